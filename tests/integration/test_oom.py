# SPDX-License-Identifier: Apache-2.0
"""What is told when the kernel kills for want of memory, or refuses a fork at the limit: in the foreground, and of a container that nobody watched."""
import json
import os

from harness import *
from helper import remapped, shell
from life import *

HOG = "exec /helper hog 256"
AT_LIMIT = "the kernel killed 1 process of the container at its limit of 32.0MiB (--memory)"


@test(root=True)
def test_in_the_foreground():
    run_ = remapped("-m 32m", "/helper", "hog", "256").check(137, stderr=AT_LIMIT)
    contains(run_.stderr, "remedy: a higher --memory", "the remedy")
    check("went on" not in run_.stderr, "it did not go on: %r" % run_)


@test(root=True)
def test_under_init():
    remapped("-m 32m --init", "/helper", "hog", "256").check(137, stderr=AT_LIMIT)


@test(root=True)
def test_a_child():
    """Process 1 lives on, and its status stays its own: the kernel kills one process, as docker has it, unless memory.oom.group says all."""
    shell("/helper hog 256; exit 3", "-m 32m").check(3, stderr=AT_LIMIT + "; process 1 went on")


@test(root=True)
def test_nothing_to_tell():
    run_ = remapped("-m 64m --pids-limit 20", "/bin/true").check(0)
    equal(run_.stderr, "", "stderr")
    equal(shell("kill -9 $$; exit 3", "-m 64m --init").stderr, "", "stderr of one that killed itself")


@test(root=True)
def test_detached():
    """The record has it, and every command that tells of the end."""
    with script("echo out; " + HOG, options=["-m", "32m"]) as c:
        result = c.nsrun("wait").check(0, "137", AT_LIMIT)
        contains(result.stderr, c.name, "whose end it is")
        end = c.ended()
        equal((end["status"], end["oom_kills"], end["memory_limit"]), (137, 1, 32 << 20), "the record")
        [one] = json.loads(c.nsrun("inspect").check().stdout)
        equal(one["exit"]["oom_kills"], 1, "inspect")
        [line] = [line for line in nsrun(["ls", "-a"]).check().stdout.splitlines() if c.name in line]
        contains(line, "ended (137, out of memory)", "ls")
        result = c.nsrun("logs").check(0, stderr=AT_LIMIT)
        equal(result.stdout, "out\n", "the log itself")
        contains(c.nsrun("logs", "-f").check(0).stderr, AT_LIMIT, "logs -f")


@test(root=True)
def test_detached_child():
    with script("/helper hog 256; exit 0", options=["-m", "32m"]) as c:
        c.nsrun("wait").check(0, "0", "process 1 went on")
        c.ended()
        [line] = [line for line in nsrun(["ls", "-a"]).check().stdout.splitlines() if c.name in line]
        contains(line, "ended (0)", "ls")


@test(root=True)
def test_attached():
    with script("sleep 1; " + HOG, options=["-m", "32m"]) as c:
        c.nsrun("attach", "--no-stdin").check(137, stderr=AT_LIMIT)


@test(root=True)
def test_limit_of_another():
    """A limit that somebody else has set is not told as the option's; one that --cgroup has set is."""
    if "memory" in open("/proc/self/cgroup").read():  # v1 has it, and unified keys are v2's
        file = "/memory.limit_in_bytes"
    else:
        file = "/memory.max"
        run_ = remapped("--cgroup memory.max=32m", "/helper", "hog", "256").check(137, stderr="at its limit of 32.0MiB (--cgroup memory.max)")
        contains(run_.stderr, "nsrun update --cgroup memory.max=SIZE", "the remedy")
    with script("sleep 1; " + HOG, options=["-m", "64m"]) as c:
        [group] = [path for path in cgroups() if path.endswith("/" + c.id) and os.path.exists(path + file)]
        with open(group + file, "w") as limit:
            limit.write("32M")
        result = c.nsrun("wait").check(0, stderr="at its limit of 32.0MiB, which was set after its launch")
        check("(--memory)" not in result.stderr, "whose limit it was: %r" % result)
        c.ended()


@test(root=True)
def test_exec():
    """Of the process that was killed it is told, of one that was not it is not."""
    with script("while :; do sleep 1; done", options=["-m", "32m"]) as c:
        nsrun(["exec", c.name, "/helper", "hog", "256"]).check(137, stderr=AT_LIMIT)
        equal(nsrun(["exec", c.name, "/bin/sh", "-c", "kill -9 $$"]).check(137).stderr, "", "one that killed itself")
        equal(nsrun(["exec", c.name, "/bin/true"]).check(0).stderr, "", "another one")


@test(root=True)
def test_refused_forks():
    script_ = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 1 & done; exit %d"
    run_ = shell(script_ % 4, "--pids-limit 10")
    check(run_.status in (2, 4), "%r" % run_)
    contains(run_.stderr, "the limit is 10", "why it failed")
    contains(run_.stderr, "remedy: a higher --pids-limit", "the remedy")
    # one that coped with it has nothing to be told of
    equal(shell("/helper forks 100 >/dev/null; exit 0", "--pids-limit 10").check(0).stderr, "", "stderr")
    with script(script_ % 4, options=["--pids-limit", "10"]) as c:
        contains(c.nsrun("wait").check(0).stderr, "the limit is 10", "wait")
        check(c.ended()["forks_refused"] >= 1, "the record")


if __name__ == "__main__":
    main()
