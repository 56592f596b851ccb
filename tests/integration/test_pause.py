# SPDX-License-Identifier: Apache-2.0
"""nsrun pause and resume, and every other command on a paused container."""
import contextlib
import json
import os
import signal
import subprocess
import time

from harness import *
from helper import refused
from life import *

COUNTER = "i=0; while :; do i=$((i + 1)); echo $i >/tmp/count 2>/dev/null; echo $i; sleep 0.01; done"
POLITE = 'trap "exit 3" TERM; echo up; while :; do sleep 0.05; done'


def v2_mount():
    mounts = [entry[0] for entry in mountinfo() if entry[4] == "cgroup2"]
    return mounts[0] if mounts else skip("needs a cgroup2")


def group(c):
    return v2_mount() + c.record()["cgroup"]


def read(path):
    with open(path) as file:
        return file.read()


def frozen(c):
    return "frozen 1" in read(group(c) + "/cgroup.events")


def asked(c):
    return read(group(c) + "/cgroup.freeze").strip() == "1"


def status(c):
    [one] = json.loads(c.nsrun("inspect").check().stdout)
    return one["status"]


def cpu_time(pid):
    fields = read("/proc/%d/stat" % pid).rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


@contextlib.contextmanager
def delegated(who):
    """The words before nsrun with which a command of this user runs in a v2 group of its own."""
    top = "%s/nsrun-test-pause-%d" % (v2_mount(), os.getpid())
    os.makedirs(top + "/session")
    for path in (top, top + "/session"):
        for name in [""] + ["/cgroup.procs", "/cgroup.threads", "/cgroup.subtree_control"]:
            os.chown(path + name, who.uid, who.gid)
    try:
        yield ["/bin/sh", "-c", 'echo $$ >%s/session/cgroup.procs && exec setpriv --reuid %d --regid %d --clear-groups "$@"'
               % (top, who.uid, who.gid), "sh"]
    finally:
        for path, _, _ in sorted(os.walk(top), reverse=True):
            os.rmdir(path)


def up(c):
    wait_for(lambda: "up\n" in c.nsrun("logs").stdout, "it is up")


# ---- what it does ----

def test_nothing_runs_and_then_goes_on():
    with script("while :; do :; done", options=["--init"]) as c:
        pids = [one["pid"] for one in json.loads(c.nsrun("top", "--json").check().stdout)]
        equal(len(pids), 2, "processes")
        c.nsrun("pause").check(0, c.name)
        check(frozen(c), "the kernel does not say frozen")
        before = [cpu_time(pid) for pid in pids]
        time.sleep(0.3)
        equal([cpu_time(pid) for pid in pids], before, "processor time while paused")
        equal(status(c), "paused", "status")
        c.nsrun("resume").check(0, c.name)
        check(not frozen(c) and not asked(c), "the kernel says frozen")
        wait_for(lambda: sum(map(cpu_time, pids)) > sum(before) + 5, "it goes on")
        equal(status(c), "running", "status")


@generate
def test_as_ordinary_user():
    def one(who):
        first, own = arguments(who)
        name = fresh()
        with delegated(who) as before:
            def call(*words, **how):
                return run([*before, binary(), *words], env=environment(who), **how)
            call(*first, "-d", "--name", name, own, "/bin/sh", "-c", POLITE).check()
            try:
                call("pause", name).check(0, name)
                [record] = json.loads(call("inspect", name).check().stdout)
                equal(record["status"], "paused", "status")
                check("frozen 1" in read(v2_mount() + record["cgroup"] + "/cgroup.events"), "the kernel does not say frozen")
                refused(call("exec", name, "true"), "[paused]")
                call("resume", name).check(0, name)
                call("exec", name, "true").check()
                call("pause", name).check()
                call("stop", name).check(0, name)
                equal(json.loads(call("inspect", name).check().stdout)[0]["exit"]["status"], 3, "status")
            finally:
                call("rm", "-f", name)
    for who in (ranger, single):
        yield who.__name__, lambda who=who: one(who())


@generate
def test_no_group():
    """Without delegation there is nothing that could be frozen: an error that tells how to get it."""
    for who in (ranger, single):
        def one(who):
            with script(POLITE, who=who) as c:
                for command in ("pause", "resume"):
                    refused(c.nsrun(command), c.name, "control group", "Delegate=", "[no-cgroup]")
                equal(status(c), "running", "status")
        yield who.__name__, lambda who=who, one=one: one(who())


def test_no_cgroup2():
    """A host, or a mount namespace, without a cgroup2."""
    with script(POLITE) as c:
        for command in ("pause", "resume"):
            result = run(["unshare", "-m", "--propagation", "private", "/bin/sh", "-c",
                          'umount -l "$1" && shift && exec "$@"', "sh", v2_mount(), binary(), command, c.name])
            refused(result, c.name, "cgroup2", "mount")


def test_twice():
    with script(POLITE) as c:
        refused(c.nsrun("resume"), c.name, "not paused", "[not-paused]")
        c.nsrun("pause").check()
        refused(c.nsrun("pause"), c.name, "paused already", "nsrun resume")
        check(frozen(c), "it was thawed by the second pause")
        c.nsrun("resume").check()
        refused(c.nsrun("resume"), c.name, "not paused", "[not-paused]")


def test_several_and_some_missing():
    with script(POLITE) as one, script(POLITE) as two:
        result = nsrun(["pause", one.name, "nonesuch", two.name]).check(125, stderr="nonesuch")
        equal(result.stdout.split(), [one.name, two.name], "what was paused")
        nsrun(["resume", one.name, two.name]).check(0, one.name + "\n" + two.name)


@generate
def test_bad_words():
    for words, part in ((["pause"], "which container"), (["resume"], "which container"), (["pause", "--al", "x"], "--al"),
                        (["pause", ""], "no container"), (["resume", "../x"], "no container")):
        yield " ".join(words), lambda words=words, part=part: refused(nsrun(words, sanitizer=True), part)
    for command in ("pause", "resume"):
        yield command + " --help", lambda command=command: contains(nsrun([command, "--help"]).check().stdout, "Usage: nsrun " + command, "help")
    yield "unpause", lambda: nsrun(["unpause", "x"]).check(125, stderr="nsrun resume")


def test_ended():
    with script("exit 0") as c:
        c.wait()
        for command in ("pause", "resume"):
            refused(c.nsrun(command), c.name, "not-running")


# ---- the other commands ----

def test_ls():
    with script(POLITE) as one, script(POLITE) as two:
        one.nsrun("pause").check()
        lines = {line.split()[1]: line.split()[2] for line in nsrun(["ls"]).check().stdout.splitlines()[1:]}
        equal((lines[one.name], lines[two.name]), ("paused", "running"), "ls")
        found = {entry["name"]: entry["status"] for entry in json.loads(nsrun(["ls", "--json"]).check().stdout)}
        equal((found[one.name], found[two.name]), ("paused", "running"), "ls --json")
        paused = nsrun(["ls", "-q", "--filter", "status=paused"]).check().stdout.split()
        check(one.id in paused and two.id not in paused, "ls --filter: %r" % paused)
        contains(one.nsrun("inspect", "--format=text").check().stdout, "status: paused\n", "inspect")
        refused(nsrun(["ls", "-f", "status=pausd"]), "status=paused")


def test_ls_where_the_path_is_another_group():
    """Whose hierarchies are not those of the record: nothing is told of it, as it may be somebody else's."""
    with script(POLITE) as c:
        c.nsrun("pause").check()
        [path] = [path for path in state() if path.endswith("/%s/state.json" % c.id)]
        with open(path) as file:
            text = file.read()

        def shown():
            return {entry["name"]: entry["status"] for entry in json.loads(nsrun(["ls", "--json"]).check().stdout)}[c.name]
        record = json.loads(text)
        for place in record["hierarchies"]:
            place["inode"] += 1
        with open(path, "w") as file:
            json.dump(record, file)
        try:
            equal(shown(), "running", "ls")
        finally:
            with open(path, "w") as file:
                file.write(text)
        equal(shown(), "paused", "ls with its record")


def test_ls_filter_of_ended_ones():
    with script("exit 4") as c:
        c.wait()
        c.ended()
        check(c.id in nsrun(["ls", "-q", "-f", "status=ended"]).check().stdout.split(), "it is not listed without -a")
        check(c.id not in nsrun(["ls", "-q", "-f", "status=running"]).check().stdout.split(), "it is listed as running")


def test_exec_attach_rm():
    with script(POLITE) as c:
        c.nsrun("pause").check()
        refused(nsrun(["exec", c.name, "true"]), c.name, "paused", "nsrun resume")
        refused(nsrun(["attach", c.name]), c.name, "paused", "nsrun resume")
        refused(nsrun(["rm", c.name]), c.name, "paused", "nsrun stop")
        c.nsrun("resume").check()
        nsrun(["exec", c.name, "true"]).check()


def test_top_and_logs():
    with script("echo one; " + POLITE) as c:
        c.nsrun("pause").check()
        contains(c.nsrun("logs").check().stdout, "one", "logs")
        contains(c.nsrun("top").check().stdout, "/bin/sh", "top")


def test_stop_takes_its_own_way():
    """The stop signal is taken by the handler, once it runs again."""
    before = leftovers()
    with script(POLITE) as c:
        up(c)
        c.nsrun("pause").check()
        c.nsrun("stop", "-t", "60").check(0, c.name)
        equal(c.record()["exit"]["status"], 3, "status")
    assert_clean(before)


def test_stop_with_a_timeout():
    with script('trap : TERM; echo up; while :; do sleep 0.05; done') as c:
        up(c)
        c.nsrun("pause").check()
        result = c.nsrun("stop", "-t", "1").check(0, c.name)
        check(1 <= result.duration < 9 * SLOW, "one second from the signal on: %r" % result)
        equal(c.record()["exit"]["status"], 137, "status")


def test_stop_without_a_handler():
    with script("while :; do sleep 300; done") as c:
        time.sleep(1.2)
        c.nsrun("pause").check()
        c.nsrun("stop").check(0, c.name, "does not handle SIGTERM")
        equal(c.record()["exit"]["status"], 137, "status")


@generate
def test_kill():
    def kill_kill():
        with script(POLITE) as c:
            c.nsrun("pause").check()
            c.nsrun("kill").check(0, c.name)
            equal(c.wait(), 137, "status")
    yield "KILL acts on a frozen process", kill_kill

    def kill_term():
        with script(POLITE) as c:
            up(c)
            c.nsrun("pause").check()
            c.nsrun("kill", "-TERM").check(0, c.name, "nsrun resume")
            time.sleep(0.3)
            equal(status(c), "paused", "status")
            c.nsrun("resume").check()
            equal(c.wait(), 3, "status")
    yield "TERM waits", kill_term


def test_rm_force():
    before = leftovers()
    with script("sleep 300 & sleep 300 & " + POLITE) as c:
        c.nsrun("pause").check()
        c.nsrun("rm", "-f").check(0, c.name)
        nsrun(["inspect", c.name]).check(125)
    assert_clean(before)


def test_wait():
    """It waits on, and has the status in the end."""
    with script(POLITE) as c:
        up(c)
        c.nsrun("pause").check()
        waiting = subprocess.Popen([binary(), "wait", c.name], stdout=subprocess.PIPE, env=environment())
        time.sleep(0.2)
        equal(waiting.poll(), None, "status of wait")
        c.nsrun("stop").check()
        equal(waiting.communicate(timeout=10)[0], b"3\n", "output of wait")


def test_owner_killed():
    """What a killed nsrun leaves is removed, paused or not."""
    before = leftovers()
    with script(POLITE) as c:
        c.nsrun("pause").check()
        os.kill(c.keeper, signal.SIGKILL)
        wait_for(lambda: "dead" in nsrun(["ls", "-a"]).check().stdout or "lost" in nsrun(["ls", "-a"]).stdout, "it is seen")
        nsrun(["gc"]).check()
        contains(nsrun(["ls", "-a"]).check().stdout, "lost", "ls -a")
    assert_clean(before)


# ---- failure ----

@contextlib.contextmanager
def unfreezable(c):
    """A process in the group that waits for a file system which never answers: it sleeps so that only SIGKILL wakes it."""
    if not os.path.exists("/dev/fuse"):
        skip("needs /dev/fuse")
    target = tmp("dead")
    fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    mount("nsrun-test", target, "fuse", 0, "fd=%d,rootmode=40000,user_id=0,group_id=0" % fd)
    child = os.fork()
    if child == 0:
        try:
            with open(group(c) + "/cgroup.procs", "w") as file:
                file.write("%d" % os.getpid())
            os.stat(target + "/x")
        finally:
            os._exit(1)
    try:
        wait_for(lambda: child in cgroup_pids(group(c)) and read("/proc/%d/stat" % child).rsplit(")", 1)[1].split()[0] == "D",
                 "it sleeps")
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.close(fd)
        umount(target, 2)
        os.waitpid(child, 0)


@test(timeout=60, root=True)
def test_not_in_time():
    """It is thawed again, and the error says what to do."""
    with script(POLITE) as c, unfreezable(c):
        result = c.nsrun("pause", timeout=30)
        refused(result, c.name, "runs on", "[unfreezable]", "state D")
        check(not asked(c), "the freezer stayed on")
        equal(status(c), "running", "status")
        nsrun(["exec", c.name, "true"]).check()


@generate(timeout=60, root=True)
def test_interrupted():
    """A signal that ends the waiting pause thaws."""
    def one(number):
        with script(POLITE) as c, unfreezable(c):
            process = subprocess.Popen([binary(), "pause", c.name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
            wait_for(lambda: asked(c), "it waits")
            process.send_signal(number)
            stdout, _ = process.communicate(timeout=10)
            equal(process.returncode, -number, "how it ended")
            equal(stdout, b"", "output")
            check(not asked(c), "the freezer stayed on")
            equal(status(c), "running", "status")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        yield number.name, lambda number=number: one(number)


@test(timeout=60, root=True)
def test_killed():
    """Nothing can be undone then: the container is shown as paused, and resume repairs it."""
    with script(POLITE) as c, unfreezable(c):
        process = subprocess.Popen([binary(), "pause", c.name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
        wait_for(lambda: asked(c), "it waits")
        process.kill()
        process.wait()
        equal(status(c), "paused", "status")
        refused(c.nsrun("pause"), "paused already", "nsrun resume")
        c.nsrun("resume").check(0, c.name)
        check(not asked(c), "the freezer stayed on")
        equal(status(c), "running", "status")


@test(root=True)
def test_frozen_around():
    """A group around it is frozen: that is told, and resume does not claim to have done it."""
    who = ranger()
    first, own = arguments(who)
    name = fresh()
    with delegated(who) as before:
        run([*before, binary(), *first, "-d", "--name", name, own, "/bin/sh", "-c", POLITE], env=environment(who)).check()
        c = Container(name, "", who, False)
        around = os.path.dirname(group(c))
        try:
            with open(around + "/cgroup.freeze", "w") as file:
                file.write("1")
            wait_for(lambda: frozen(c), "it is frozen")
            equal(status(c), "paused", "status")
            for command in ("pause", "resume"):
                refused(c.nsrun(command), "[frozen-around]")
            with open(around + "/cgroup.freeze", "w") as file:
                file.write("0")
            wait_for(lambda: not frozen(c), "it is thawed")
            equal(status(c), "running", "status")
        finally:
            c.nsrun("rm", "-f")


@test(root=True)
def test_frozen_by_itself():
    """In a group of its own: that is no pause, resume would not lift it, and it hinders nobody in ending the container."""
    freeze = "cd /sys/fs/cgroup && mkdir in && echo $$ >in/cgroup.procs && echo +hugetlb >cgroup.subtree_control && echo 1 >in/cgroup.freeze; sleep 100"
    with script(freeze, options=["--hugetlb", "2m=64m", "--security-opt", "writable-cgroups"]) as c:
        wait_for(lambda: os.path.isdir(group(c) + "/in") and "frozen 1" in read(group(c) + "/in/cgroup.events"), "it froze itself")
        equal(status(c), "running", "status")
        refused(nsrun(["exec", c.name, "/bin/true"]), "[frozen-inside]")
        c.nsrun("pause").check(0)
        refused(nsrun(["exec", c.name, "/bin/true"]), "[paused]")
        c.nsrun("resume").check(0)
        c.nsrun("kill").check(0)
        c.ended()


if __name__ == "__main__":
    main()
