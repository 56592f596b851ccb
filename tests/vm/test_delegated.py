# SPDX-License-Identifier: Apache-2.0
# vm: --numa --disk 512M
# vm: --systemd --numa --disk 512M
"""The same limits as an ordinary user: in a group that root gave away, or, where systemd is PID 1, in a scope of the user's own manager."""
import re
import signal

from common import *

SYSTEMD = os.path.isdir("/run/systemd/system")
LAST = processors() - 1
ALL = ("cpu", "cpuset", "io", "memory", "pids")


class Caller:
    """An ordinary user, and how a command comes to run as that user in a group of theirs."""

    def __init__(self, who, enter, extra):
        self.who, self.enter, self.extra = who, enter, extra
        self.root = install_load(rootfs(owner="%d:%d" % (who.uid, who.gid)))

    def argv(self, args):
        return self.enter + [binary()] + list(args)

    def run(self, args, **how):
        return run(self.argv(args), env=dict(environment(self.who), **self.extra), **how)

    def once(self, options, command, **how):
        return self.run(words(options) + [self.root] + words(command), **how)

    def running(self, options, command, say=None):
        return Running(None, None, say, argv=self.argv(words(options) + [self.root] + words(command)),
                       env=dict(environment(self.who), **self.extra))


def ids(who):
    return ["setpriv", "--reuid", str(who.uid), "--regid", str(who.gid), "--clear-groups"]


@contextlib.contextmanager
def given(who, controllers=ALL):
    """A sub-tree of the user's own, with these controllers, as cgroups(7) has it: the directory and three files of it."""
    top = os.path.join(TREE, "given")
    own, session = os.path.join(top, "user"), os.path.join(top, "user/session")
    for path in (top, own, session):
        os.mkdir(path)
        if path == top:
            with open(top + "/cgroup.subtree_control", "w") as file:
                file.write(" ".join("+" + name for name in controllers))
    for path in (own, session):
        for name in ("", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"):
            os.chown(os.path.join(path, name), who.uid, who.gid)
    try:
        yield Caller(who, ["/bin/sh", "-c", 'echo $$ >%s/cgroup.procs && exec "$@"' % session, "sh"] + ids(who), {})
    finally:
        for path, _, _ in os.walk(top, topdown=False):
            os.rmdir(path)


def tester():
    """The user whose manager runs in the guest; the private /etc of these tests has no ranges but these."""
    who = user("tester")
    for path in ("/etc/subuid", "/etc/subgid"):
        if "tester:" not in read(path):
            with open(path, "a") as file:
                file.write("tester:300000:65536\n")
    return who


@contextlib.contextmanager
def scope(who):
    runtime = "/run/user/%d" % who.uid
    wait_for(lambda: os.path.exists(runtime + "/bus"), "the user's manager", timeout=30)
    yield Caller(who, ids(who) + ["systemd-run", "--user", "--scope", "--quiet", "--"],
                 {"XDG_RUNTIME_DIR": runtime, "DBUS_SESSION_BUS_ADDRESS": "unix:path=%s/bus" % runtime, "HOME": who.home})


@contextlib.contextmanager
def login(who):
    """Without systemd-run: nsrun asks the user's manager itself."""
    with scope(who) as caller:
        caller.enter = ids(who)
        yield caller


def callers():
    """(name, context manager of a Caller) of this guest."""
    if SYSTEMD:
        yield "tester", lambda: scope(tester())
        yield "tester, undelegated", lambda: login(tester())
    else:
        yield "ranges", lambda: given(ranger())
        yield "one id", lambda: given(single())


# ---- what holds ----------------------------------------------------------------------------------------------------

def memory(caller):
    hog = caller.once("-m 32m", "/load hold 128")
    hog.check(137)
    check(re.search(r"memory: the kernel killed 1 process", hog.stderr), "message: %r" % hog)
    caller.once("-m 192m", "/load hold 128").check(0, "held")


def swap_(caller):
    with swap():
        with caller.running("-m 32m --memory-swap 64m", "/load hold 48", "held") as one:
            between(one.number("memory.swap.current") / MIB, 12, 32, "MiB of swap")
        caller.once("-m 32m", "/load hold 48").check(137)


def pids(caller):
    with caller.running("--pids-limit 20", "/load procs 100") as one:
        equal(one.line.split()[1], "EAGAIN", "fork")
        check(one.table("pids.events")["max"] >= 1, "pids.events")


def cpus(caller):
    with caller.running("--cpus 0.5", "/load spin 1", "spinning") as one:
        between(shares(3, one)[0], 0.2, 0.65, "of one processor with --cpus 0.5")
        check(one.table("cpu.stat")["nr_throttled"] > 0, "never throttled")


def cpu_shares(caller):
    with caller.running("--cpu-shares 1024", "/load hold 1", "held") as one, caller.running("--cpu-shares 64", "/load hold 1", "held") as two:
        check(one.number("cpu.weight") > two.number("cpu.weight"), "weights: %s, %s" % (one.read("cpu.weight"), two.read("cpu.weight")))


def cpuset(caller):
    contains(caller.once("--cpuset-cpus %d --cpuset-mems 0" % LAST, "/load place 1").check().stdout,
             "Cpus_allowed_list:\t%d\nMems_allowed_list:\t0\n" % LAST, "what the process may use")


def io(caller):
    with on_ext4() as (disk, directory):
        os.chown(directory, caller.who.uid, caller.who.gid)
        command = "/load direct w /io/file 65536 32"
        options = ["-v", directory + ":/io", "--pids-limit", "100"]
        with caller.running(options, command) as one:
            free = float(one.line)
        with caller.running(options + ["--device-write-bps", disk.path + ":1m"], command) as one:
            limited = float(one.line)
            contains(one.read("io.max"), disk.number + " rbps=max wbps=1048576", "io.max")
        check(limited > 1.5 and free < limited / 2, "took %.2f s with a limit, %.2f s without" % (limited, free))


def reservation_and_files(caller):
    with caller.running("--memory-reservation 16m --cgroup memory.high=32M --cgroup cpu.weight.nice=3 --cgroup pids.max=9", "/load hold 1", "held") as one:
        equal([one.read(name) for name in ("memory.low", "memory.high", "cpu.weight.nice", "pids.max")],
              [str(16 * MIB), str(32 * MIB), "3", "9"], "files")


def all_at_once(caller):
    options = "-m 64m --memory-swap 96m --cpus 1 --cpu-shares 512 --cpuset-cpus 0 --cpuset-mems 0 --pids-limit 30 --io-weight 200"
    with caller.running(options, "/load hold 8", "held") as one:
        files = {"memory.max": 64 * MIB, "memory.swap.max": 32 * MIB, "cpu.max": "100000 100000", "cpuset.cpus": 0, "cpuset.mems": 0, "pids.max": 30}
        equal({name: one.read(name) for name in files}, {name: str(value) for name, value in files.items()}, "files")


def sub_groups(caller):
    script = "cd /sys/fs/cgroup; mkdir sub work && echo $$ >sub/cgroup.procs && echo +memory >cgroup.subtree_control && echo 16M >work/memory.max; " \
        "sh -c 'echo $$ >work/cgroup.procs; exec /load hold 32'; echo status $?; (echo max >memory.max) 2>/dev/null && echo LIFTED; true"
    caller.once("-m 64m --security-opt writable-cgroups", ["/bin/sh", "-c", script]).check(0, "status 137")


def storm(caller):
    before = leftovers()
    with caller.running("--pids-limit 60 --rm --name storm", "/load bomb", "storm") as one:
        wait_for(lambda: one.table("pids.events")["max"] > 0, "the storm reaches its limit", timeout=20)
        caller.run(["rm", "-f", "storm"], timeout=40).check()
    check(not os.path.exists(one.group), "the group stayed: %s" % one.group)
    assert_clean(before, allow=("cgroups",))  # the parent stays, as /nsrun does


def pause(caller):
    with caller.running("--rm --name sleeper", "/load spin 1", "spinning") as one:
        caller.run(["pause", "sleeper"]).check()
        before = one.usage()
        time.sleep(1)
        check(one.usage() - before < 0.02 and one.table("cgroup.events")["frozen"] == 1, "a paused one used time")
        caller.run(["resume", "sleeper"]).check()
        time.sleep(1)
        check(one.usage() - before > 0.1, "does not go on")


@generate(timeout=90)
def test_limits():
    for name, context in callers():
        for case in (memory, swap_, pids, cpus, cpu_shares, cpuset, io, reservation_and_files, all_at_once, sub_groups, storm, pause):
            def one(context=context, case=case):
                with context() as caller:
                    case(caller)
            if name != "one id" or case in (memory, pids, all_at_once, storm):
                yield "%s as %s" % (case.__name__, name), one


# ---- what was not given --------------------------------------------------------------------------------------------

OPTIONS = (("memory", "-m 64m"), ("memory", "--memory-reservation 16m"), ("pids", "--pids-limit 20"), ("cpu", "--cpus 0.5"), ("cpu", "--cpu-shares 100"),
           ("cpuset", "--cpuset-cpus 0"), ("cpuset", "--cpuset-mems 0"), ("io", "--io-weight 100"), ("io", "--device-read-bps /dev/vda:1m"),
           ("memory", "--cgroup memory.high=32M"), ("hugetlb", "--hugetlb 2m=4m"))


@generate
def test_no_delegation():
    """In a group of root's: status 125, and what to do; without a limit the container runs."""
    def one(who, options):
        before = leftovers()
        caller = Caller(who(), ids(who()), {})
        refused(caller.once(options, "/bin/true"), "Delegate=", "delegat")
        caller.once("", "/bin/true").check(0)
        assert_clean(before)
    for who in (tester,) if SYSTEMD else (ranger, single):
        for _, options in OPTIONS:
            if who is not single or options.startswith("-m "):
                yield "%s as %s" % (options, who.__name__), lambda who=who, options=options: one(who, options)


@generate
def test_controller_not_given():
    """A group of the user's own without this one controller: status 125, its name and what to do; never a container without the limit."""
    def one(controller, options):
        with given(ranger(), [name for name in ALL if name != controller]) as caller:
            before = leftovers()
            refused(caller.once(options, "/bin/true"), controller, ("Delegate=", "delegat"))
            assert_clean(before)
            caller.once("--pids-limit 20" if controller != "pids" else "-m 64m", "/bin/true").check(0)
    if SYSTEMD:
        return
    for controller, options in OPTIONS:
        yield "%s without %s" % (options, controller), lambda controller=controller, options=options: one(controller, options)


@generate
def test_parent_outside():
    """A parent that is not in the delegated tree is refused, also by way of '..'."""
    def one(context, parent):
        with context() as caller:
            before = leftovers()
            refused(caller.once(["--cgroup-parent", parent, "-m", "64m"], "/bin/true"), "cgroup-parent")
            assert_clean(before)
    for name, context in callers():
        if name != "one id":
            for parent in ("/nsrun", "/", "/init", "../x", "/given/../init", ".."):
                yield "%s as %s" % (parent, name), lambda context=context, parent=parent: one(context, parent)


if __name__ == "__main__":
    main()
