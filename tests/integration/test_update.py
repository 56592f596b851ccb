# SPDX-License-Identifier: Apache-2.0
"""nsrun update: limits of a container that runs, as the kernel holds them and as the record says."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import time

from harness import *
from helper import refused
from life import *

ALL = ["-m", "64m", "--pids-limit", "50", "--cpus", "1"]
IDLE = "while :; do sleep 1; done"


def read(path):
    with open(path) as file:
        return file.read()


def held(c, *names):
    """The text of the first of these files that a group of the container has."""
    group = c.record()["cgroup"]
    for name in names:
        for top in cgroup_mounts():
            path = os.path.join(top + group, name)
            if os.path.exists(path):
                return read(path).strip()
    return fail("no group of the container has one of %r" % (names,))


def memory(c):
    text = held(c, "memory.max", "memory.limit_in_bytes")
    return None if text == "max" or int(text) > 1 << 60 else int(text)


def pids(c):
    return held(c, "pids.max")


def cpus(c):
    quota, *period = held(c, "cpu.max", "cpu.cfs_quota_us").split()
    return None if quota in ("max", "-1") else int(quota) / int(period[0] if period else held(c, "cpu.cfs_period_us"))


def recorded(c):
    [one] = json.loads(c.nsrun("inspect").check().stdout)
    return one["resources"]


@test(root=True)
def test_changes_and_what_stays():
    with script(IDLE, options=ALL) as c:
        c.nsrun("update", "-m", "128m").check(0, c.name)
        equal((memory(c), pids(c), cpus(c)), (128 << 20, "50", 1.0), "after the first")
        c.nsrun("update", "--cpus", "0.25", "--pids-limit", "70").check(0, c.name)
        equal((memory(c), pids(c), cpus(c)), (128 << 20, "70", 0.25), "after the second")
        equal(recorded(c)["memory"]["limit"], 128 << 20, "recorded memory")
        equal(recorded(c)["pids"]["limit"], 70, "recorded pids")
        c.nsrun("update", "-m", "-1", "--cpus", "-1", "--pids-limit", "unlimited").check()
        equal((memory(c), pids(c), cpus(c)), (None, "max", None), "without limits")
        c.nsrun("update", "--cpus", "2").check()
        equal(cpus(c), 2.0, "processors")


@test(root=True)
def test_behind_the_name_and_several():
    with script(IDLE, options=ALL) as one, script(IDLE, options=ALL) as two:
        result = nsrun(["update", one.name, "--pids-limit", "33", two.name, "-m", "100m", "nonesuch"]).check(125, stderr="nonesuch")
        equal(result.stdout.split(), [one.name, two.name], "which were updated")
        for c in (one, two):
            equal((memory(c), pids(c)), (100 << 20, "33"), c.name)


@test(root=True)
def test_it_has_its_effect():
    """More memory for a hog, more processes for a fork."""
    with script("while ! test -e /tmp/go; do sleep 0.1; done; exec /helper hog 100", options=["-m", "32m", "--tmpfs", "/tmp"]) as c:
        c.nsrun("update", "-m", "256m").check()
        nsrun(["exec", c.name, "touch", "/tmp/go"]).check()
        equal(c.wait(), 0, "status of the hog")
        contains(c.nsrun("logs").stdout, "touched 100", "its output")
    with script("while ! test -e /tmp/go; do sleep 0.1; done; exec /helper forks 100", options=["--pids-limit", "200", "--tmpfs", "/tmp"]) as c:
        c.nsrun("update", "--pids-limit", "10").check()
        nsrun(["exec", c.name, "touch", "/tmp/go"]).check()
        c.wait()
        contains(c.nsrun("logs").stdout, "EAGAIN", "its output")


@test(root=True)
def test_every_option_that_this_host_has():
    """Of those whose controller the container was given: each is in its file afterwards."""
    launch = ALL + ["--cpuset-cpus", "0", "--hugetlb", "2m=4m"]
    with script(IDLE, options=launch) as c:
        c.nsrun("update", "--cpu-shares", "512", "--memory-reservation", "32m", "--cpuset-cpus", "0-1" if os.cpu_count() > 1 else "0",
                "--cpuset-mems", "0", "--hugetlb", "2m=8m").check()
        check(held(c, "cpu.weight", "cpu.shares") in ("59", "512", "20", "50"), "shares: %s" % held(c, "cpu.weight", "cpu.shares"))
        equal(held(c, "memory.low", "memory.soft_limit_in_bytes"), str(32 << 20), "reservation")
        equal(held(c, "cpuset.cpus"), "0-1" if os.cpu_count() > 1 else "0", "processors")
        equal(held(c, "cpuset.mems"), "0", "nodes")
        equal(held(c, "hugetlb.2MB.max", "hugetlb.2MB.limit_in_bytes"), str(8 << 20), "huge pages")


@test(root=True)
def test_paused():
    with script(IDLE, options=ALL) as c:
        c.nsrun("pause").check()
        c.nsrun("update", "-m", "96m").check()
        equal(memory(c), 96 << 20, "memory")
        c.nsrun("resume").check()


def on_v1():
    return any(entry[4] == "cgroup" and "memory" in entry[6].split(",") for entry in mountinfo())


@test(root=True, timeout=60)
def test_below_use():
    """What is used and cannot be reclaimed is not taken away: an error, nothing is killed, nothing is changed."""
    with script("head -c 40m /dev/zero >/dev/shm/x; echo up; " + IDLE, options=ALL) as c:
        wait_for(lambda: "up" in c.nsrun("logs").stdout, "it uses the memory")
        refused(c.nsrun("update", "--pids-limit", "20", "-m", "16m"), "[limit-below-use]")
        equal((memory(c), pids(c)), (64 << 20, "50"), "limits after the refusal")
        equal((recorded(c)["memory"]["limit"], recorded(c)["pids"]["limit"]), (64 << 20, 50), "the record after the refusal")
        equal(held(c, "memory.events", "memory.oom_control").split("oom_kill ")[1].split()[0], "0", "kills")
        nsrun(["exec", c.name, "true"]).check()
        if on_v1():
            refused(c.nsrun("update", "--force", "-m", "16m"), "[limit-below-use]")
        else:
            c.nsrun("update", "--force", "-m", "16m").check()
            equal(c.wait(), 137, "status of what was killed")


@test(root=True, timeout=60)
def test_below_use_that_can_be_reclaimed():
    """Pages of a file are given up."""
    with script("head -c 40m /dev/zero >/big; cat /big >/dev/null; sync; echo up; " + IDLE, options=ALL + ["-v", tmp("disk") + ":/mnt:idmap=root"]) as c:
        wait_for(lambda: "up" in c.nsrun("logs").stdout, "it has read", timeout=20)
        c.nsrun("update", "-m", "16m").check()
        equal(memory(c), 16 << 20, "memory")
        equal(held(c, "memory.events", "memory.oom_control").split("oom_kill ")[1].split()[0], "0", "kills")
        nsrun(["exec", c.name, "rm", "/big"]).check()


@test(root=True)
def test_at_odds_with_what_holds():
    with script(IDLE, options=["-m", "64m", "--memory-swap", "64m"]) as c:
        refused(c.nsrun("update", "-m", "128m"), "--memory-swap", "less than --memory")
        equal(memory(c), 64 << 20, "memory")
        c.nsrun("update", "-m", "128m", "--memory-swap", "128m").check()
        equal(memory(c), 128 << 20, "memory")
        c.nsrun("update", "-m", "32m", "--memory-swap", "32m").check()
        equal(memory(c), 32 << 20, "memory")


@test(root=True)
def test_no_group_in_that_hierarchy():
    """v1: a running process is not moved; v2 gives the controller."""
    with script(IDLE) as c:
        result = c.nsrun("update", "--pids-limit", "20")
        if any(entry[4] == "cgroup" and "pids" in entry[6].split(",") for entry in mountinfo()):
            refused(result, "[no-v1-group]", "--pids-limit")
        else:
            result.check()
            equal(pids(c), "20", "pids")


@generate
def test_ordinary_user():
    for who in (ranger, single):
        def one(who):
            with script(IDLE, who=who) as c:
                refused(c.nsrun("update", "-m", "64m"), c.name, "[no-cgroup]", "Delegate=")
        yield "%s, no group" % who.__name__, lambda who=who, one=one: one(who())

    def another():
        with script(IDLE, options=ALL if ROOT else []) as c:
            refused(nsrun(["update", "-m", "1g", c.name], user=ranger()), "no container")
    yield "another user's", another


def test_ended():
    with script("exit 0") as c:
        c.wait()
        refused(c.nsrun("update", "-m", "64m"), c.name, "not-running")


@test(root=True)
def test_record_after_the_end():
    """What was changed is in the record that stays, not what it was started with."""
    with script('trap "exit 3" TERM; while :; do sleep 0.05; done', options=ALL) as c:
        c.nsrun("update", "-m", "128m").check()
        c.nsrun("stop").check()
        equal(recorded(c)["memory"]["limit"], 128 << 20, "recorded memory")
        c.nsrun("rm").check()


@test(root=True)
def test_at_the_same_time():
    """None is lost: each waits for the one before."""
    with script(IDLE, options=ALL + ["--cpuset-cpus", "0"]) as c:
        words = [["-m", "100m"], ["--pids-limit", "60"], ["--cpus", "0.5"], ["--cpu-shares", "300"], ["--memory-reservation", "20m"]]
        running = [subprocess.Popen([binary(), "update", *option, c.name], stdout=subprocess.DEVNULL, env=environment()) for option in words]
        equal([process.wait(timeout=20) for process in running], [0] * len(words), "statuses")
        now = recorded(c)
        equal((now["memory"]["limit"], now["memory"]["reservation"], now["pids"]["limit"], now["cpu"]["quota"], now["cpu"]["shares"]),
              (100 << 20, 20 << 20, 60, 50000, 300), "the record")
        equal((memory(c), pids(c), cpus(c)), (100 << 20, "60", 0.5), "the kernel's")


@test(root=True)
def test_killed_in_the_middle():
    """Of an update that is killed either all is there or nothing, and the next one works."""
    with script(IDLE, options=ALL) as c:
        for delay in (0.0, 0.001, 0.002, 0.004):
            process = subprocess.Popen([binary(), "update", "-m", "90m", "--pids-limit", "45", c.name], stdout=subprocess.DEVNULL, env=environment())
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
            process.wait()
            json.loads(c.nsrun("inspect").check().stdout)
            c.nsrun("update", "-m", "64m", "--pids-limit", "50").check()
            equal((memory(c), pids(c)), (64 << 20, "50"), "after the next update")


@contextlib.contextmanager
def site(content):
    os.makedirs("/etc/nsrun", exist_ok=True)
    with open("/etc/nsrun/nsrun.json", "w") as file:
        json.dump(content, file)
    try:
        yield
    finally:
        shutil.rmtree("/etc/nsrun")


@test(root=True)
def test_site_file():
    """What a launch may not say an update may not say either; defaults of launches are none of updates."""
    with script(IDLE, options=ALL) as c:
        with site({"forbid": ["memory", "cgroup=memory.*", "pids-limit=-1"]}):
            refused(c.nsrun("update", "-m", "1g"), "forbids memory", "[forbidden-by-site]")
            refused(c.nsrun("update", "--cgroup", "memory.max=max"), "forbids", "[forbidden-by-site]")
            refused(c.nsrun("update", "--pids-limit", "-1"), "forbids", "[forbidden-by-site]")
            c.nsrun("update", "--pids-limit", "40").check()
        with site({"defaults": {"memory": "1g"}}):
            c.nsrun("update", "--cpus", "0.5").check()
        equal((memory(c), pids(c), cpus(c)), (64 << 20, "40", 0.5), "limits")
        with site({"forbid": ["no-such-option"]}):
            c.nsrun("update", "--cpus", "1").check(125, stderr="nsrun.json")


@generate
def test_bad_words():
    cases = [(["update"], "which container"), (["update", "x"], "[no-limit-said]"), (["update", "-m", "12q", "x"], "--memory"),
             (["update", "-m", "-5", "x"], "--memory"), (["update", "-m", "99999999999999999999g", "x"], "--memory"), (["update", "-m", "", "x"], "--memory"),
             (["update", "--cpus", "nan", "x"], "--cpus"), (["update", "--pids-limit", "1.5", "x"], "--pids-limit"),
             (["update", "-m", "64m", "--memory", "65m", "x"], "both"), (["update", "-m", "64m", "nonesuch"], "nonesuch"),
             (["update", "--memry", "64m", "x"], "--memory"), (["update", "--oom-score-adj", "5", "x"], "unknown option"),
             (["update", "--device-read-bps", "/nonesuch:1m", "x"], "/nonesuch"), (["update", "--cgroup", "../x=1", "x"], "--cgroup"),
             (["update", "--cpuset-cpus", "99999", "x"], "--cpuset-cpus")]
    for words, part in cases:
        yield " ".join(words)[:50], lambda words=words, part=part: refused(nsrun(words, sanitizer=True), part)
    yield "--help", lambda: contains(nsrun(["update", "--help"]).check().stdout, "--memory-swap", "help")


@test(root=True)
def test_lists_stand_anywhere():
    """Entries before and behind a name add up."""
    with script(IDLE, options=ALL + ["--hugetlb", "2m=2m"]) as c:
        sizes = [name for name in ("hugepages-2048kB", "hugepages-1048576kB") if os.path.isdir("/sys/kernel/mm/hugepages/" + name)]
        if len(sizes) < 2:
            skip("needs two sizes of huge pages")
        nsrun(["update", "--hugetlb", "2m=6m", c.name, "--hugetlb", "1g=2g"], sanitizer=True).check()
        equal(held(c, "hugetlb.2MB.max", "hugetlb.2MB.limit_in_bytes"), str(6 << 20), "2 MB")
        equal(held(c, "hugetlb.1GB.max", "hugetlb.1GB.limit_in_bytes"), str(2 << 30), "1 GB")


@test(root=True, needs=["strace"], timeout=240)
def test_an_update_that_is_killed_anywhere():
    """SIGKILL at each call by which update writes or renames: the record never tells other limits than the kernel has, and the next update works."""
    with script(IDLE, options=ALL) as c:
        options = ["-m", "96m", "--pids-limit", "61", "--cpus", "0.5"]
        trace, env = os.path.join(tmp(), "strace"), {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}  # it wants ptrace for itself
        run(["strace", "-qq", "-o", trace, "-e", "trace=write,renameat,unlinkat", binary(), "update", *options, c.name], env=env).check(0)
        with open(trace) as file:
            calls = [line.split("(")[0] for line in file if "(" in line]
        check(calls.count("write") >= 4 and calls.count("renameat") == 2, "calls of an update: %r" % calls)
        seen = set()
        for n in range(1, len(calls) + 1):
            c.nsrun("update", *ALL).check(0)
            call, when = calls[n - 1], calls[:n].count(calls[n - 1])
            for moment in ("signal=SIGKILL", "signal=SIGKILL:delay_enter=1"):
                run(["strace", "-qq", "-o", trace, "-e", "trace=" + call, "-e", "inject=%s:%s:when=%d" % (call, moment, when), binary(),
                     "update", *options, c.name], env=env)
                told = recorded(c)
                have = (memory(c), int(pids(c)), cpus(c))
                seen.add(have)
                quota = told["cpu"].get("quota") / told["cpu"].get("period", 100000)
                equal((told["memory"]["limit"], told["pids"]["limit"], quota), have, "what the record tells after SIGKILL at %s %d" % (call, when))
            c.nsrun("update", "--pids-limit", "62").check(0)
            told = recorded(c)
            equal((told["memory"]["limit"], told["pids"]["limit"]), (memory(c), 62), "record after the next update")
            equal(pids(c), "62", "limit after the next update")
        check(len(seen) > 2, "every run had the same end: %r" % seen)


if __name__ == "__main__":
    main()
