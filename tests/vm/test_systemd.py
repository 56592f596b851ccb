# SPDX-License-Identifier: Apache-2.0
# vm: --systemd --numa --disk 512M
"""systemd as the manager of control groups, as PID 1 of this guest: root's scopes and an ordinary user's, what `systemctl show` says of them beside the
files, a daemon-reload, exec, the end in every way, and what a user's manager was not given. The limits themselves are in test_delegated.py."""
import glob
import re
import signal

from common import *
from test_delegated import Caller, SYSTEMD, ids, login, tester

ALL = "-m 64m --memory-swap 96m --memory-reservation 16m --cpus 0.5 --cpu-shares 512 --cpuset-cpus 0 --cpuset-mems 0 --pids-limit 30 --io-weight 200"
PROPERTIES = {"MemoryMax": 64 * MIB, "MemorySwapMax": 32 * MIB, "MemoryLow": 16 * MIB, "CPUQuotaPerSecUSec": "500ms", "AllowedCPUs": "0",
              "AllowedMemoryNodes": "0", "TasksMax": 30, "Delegate": "yes", "CollectMode": "inactive-or-failed", "TimeoutStopUSec": "10s"}
FILES = ("memory.max", "memory.swap.max", "memory.low", "cpu.max", "cpu.weight", "cpuset.cpus", "cpuset.mems", "pids.max", "io.max")


class Root:
    """Root, and the system's manager."""
    who, slice, systemctl = None, "/system.slice/", ["systemctl"]
    options = ["--cgroup-manager=systemd"]

    def run(self, args, **how):
        return nsrun(args, **how)

    def once(self, options, command, **how):
        return once(self.options + words(options), command, **how)

    def running(self, options, command, say=None):
        return Running(self.options + words(options), command, say)


class User:
    """The ordinary user in no group of theirs: --cgroup-manager is auto."""
    slice, options = "/user.slice/user-1000.slice/user@1000.service/app.slice/", []

    def __init__(self, caller):
        self.caller, self.who = caller, caller.who
        self.run, self.once, self.running = caller.run, caller.once, caller.running
        self.systemctl = ids(caller.who) + ["env", *("%s=%s" % pair for pair in caller.extra.items()), "systemctl", "--user"]


@contextlib.contextmanager
def as_root():
    yield Root()


@contextlib.contextmanager
def as_user():
    with login(tester()) as caller:
        yield User(caller)


def by_each(cases):
    for case in cases:
        for name, context in (("root", as_root), ("tester", as_user)):
            def one(context=context, case=case):
                with context() as caller:
                    before = leftovers()
                    case(caller)
                    no_units(caller)
                    assert_clean(before, allow=("cgroups",))
            yield "%s as %s" % (case.__name__, name), one


def units(caller):
    out = run(caller.systemctl + ["list-units", "--all", "--plain", "--no-legend", "nsrun-*"]).check().stdout
    return re.findall(r"^\S+", out, re.M)


def no_units(caller):
    wait_for(lambda: not units(caller), "the units to go", timeout=5)
    equal(glob.glob(TREE + "/**/nsrun-*.scope", recursive=True), [], "groups")


def show(caller, unit):
    out = run(caller.systemctl + ["show", unit]).check().stdout
    return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)


def unit_of(one):
    return os.path.basename(one.group)


# ---- what the manager knows ------------------------------------------------------------------------------------------

def properties(caller):
    with caller.running(ALL, "/load hold 1", "held") as one:
        shown = show(caller, unit_of(one))
        equal({name: shown.get(name) for name in PROPERTIES}, {name: str(value) for name, value in PROPERTIES.items()}, "properties")
        equal(one.group, TREE + caller.slice + unit_of(one), "group")
        equal(shown["ControlGroup"], one.group[len(TREE):], "the manager's own word for it")
        contains(shown["Description"], "nsrun container", "Description")


def not_limited(caller):
    """No default of systemd's is a limit that nobody asked for, and what is not needed is not handed down."""
    with caller.running("-m 64m", "/load hold 1", "held") as one:
        equal(show(caller, unit_of(one))["TasksMax"], "infinity", "TasksMax")
        equal(one.read("pids.max"), "max", "pids.max")
        equal(show(caller, unit_of(one))["DelegateControllers"], "memory", "DelegateControllers")


def reload_(caller):
    with caller.running(ALL, "/load hold 1", "held") as one:
        before = {name: one.read(name) for name in FILES}
        run(caller.systemctl + ["daemon-reload"]).check()
        equal({name: one.read(name) for name in FILES}, before, "files after a daemon-reload")


def reload_of_other_files(caller):
    """Files of the group that --cgroup names have properties, too; a quota in between is rounded up, and nothing is lost."""
    with caller.running("--cgroup memory.high=48M --cgroup cpu.weight=77 --cpus 0.125", "/load hold 1", "held") as one:
        equal([one.read(name) for name in ("memory.high", "cpu.weight", "cpu.max")], [str(48 * MIB), "77", "12500 100000"], "files")
        run(caller.systemctl + ["daemon-reload"]).check()
        equal([one.read(name) for name in ("memory.high", "cpu.weight", "cpu.max")], [str(48 * MIB), "77", "13000 100000"], "after a reload")


def idle_no_more(caller):
    """The unit forgets CPUWeight=idle with the file: a reload does not bring it back."""
    with caller.running("--cgroup cpu.idle=1 --name lazy --rm", "/load hold 1", "held") as one:
        equal(one.read("cpu.idle"), "1", "cpu.idle")
        caller.run(["update", "--cgroup", "cpu.idle=0", "lazy"]).check()
        run(caller.systemctl + ["daemon-reload"]).check()
        equal([one.read(name) for name in ("cpu.idle", "cpu.weight")], ["0", "100"], "after a reload")


def disks(caller):
    with caller.running("--device-read-bps /dev/vda:1m --device-write-iops /dev/vda:100", "/load hold 1", "held") as one:
        shown = show(caller, unit_of(one))
        check(shown["IOReadBandwidthMax"].endswith(" 1048576") and shown["IOWriteIOPSMax"].endswith(" 100"), "properties: %r" % shown)
        before = one.read("io.max")
        contains(before, "rbps=1048576", "io.max")
        run(caller.systemctl + ["daemon-reload"]).check()
        equal(one.read("io.max"), before, "io.max after a reload")


def killed(caller):
    for _ in range(3):  # who is first, systemd or nsrun, is another one each time
        hog = caller.once("-m 32m", "/load hold 128")
        hog.check(137)
        check(re.search(r"memory|--memory", hog.stderr), "message: %r" % hog)


def life(caller):
    """Detached, by name: exec, a reload in between, pause, stats, stop, rm."""
    caller.once("-d --name lively -m 64m", "/bin/sleep 100").check()
    [unit] = units(caller)
    group = TREE + show(caller, unit)["ControlGroup"]
    script = "cat /sys/fs/cgroup/memory.max; cat /proc/self/cgroup"
    equal(caller.run(["exec", "lively", "/bin/sh", "-c", script]).check().stdout.split(), [str(64 * MIB), "0::/"], "exec")
    run(caller.systemctl + ["daemon-reload"]).check()
    equal(read(group + "/memory.max"), str(64 * MIB), "memory.max")
    caller.run(["pause", "lively"]).check()
    equal(table(read(group + "/cgroup.events"))["frozen"], 1, "frozen")
    caller.run(["resume", "lively"]).check()
    contains(caller.run(["stats", "--no-stream", "lively"]).check().stdout, "lively", "stats")
    caller.run(["stop", "-t", "1", "lively"], timeout=30).check()
    caller.run(["rm", "lively"]).check()


def storm(caller):
    with caller.running("--pids-limit 60 --rm --name storm", "/load bomb", "storm") as one:
        wait_for(lambda: one.table("pids.events")["max"] > 0, "the storm reaches its limit", timeout=20)
        caller.run(["rm", "-f", "storm"], timeout=40).check()


def sub_groups(caller):
    """Delegate=yes of all controllers: groups below are the container's, and go with it."""
    script = "cd /sys/fs/cgroup; mkdir -p sub/deeper && echo $$ >sub/deeper/cgroup.procs && echo +memory >cgroup.subtree_control && cat cgroup.subtree_control"
    contains(caller.once("-m 64m --security-opt writable-cgroups", ["/bin/sh", "-c", script]).check().stdout, "memory", "subtree_control")


def lifted(caller):
    """nsdelegate compares with the writer's own cgroup namespace alone: limits hold only against who makes none below, or does not own their files."""
    script = "(echo max >/sys/fs/cgroup/memory.max) 2>/dev/null; cat /sys/fs/cgroup/memory.max"
    options = ("--privileged", "--cap-add SYS_ADMIN", "--security-opt seccomp=unconfined")
    no_namespace = "unshare -U -r true 2>/dev/null && echo a namespace; "
    equal(caller.once("-m 64m --security-opt writable-cgroups", ["/bin/sh", "-c", no_namespace + script]).check().stdout, "%d\n" % (64 * MIB), "memory.max")
    if not caller.who:
        equal(caller.once("-m 64m --privileged", ["/bin/sh", "-c", script]).check().stdout, "%d\n" % (64 * MIB), "root's --privileged")
        return
    for option in options:
        refused(caller.once("-m 64m " + option, "/bin/true"), option, "[limits-from-below]")
    contains(caller.once("-d --name unlimited --privileged", "/bin/sleep 100").check() and caller.run(["rm", "-f", "unlimited"]).check().stdout, "unlimited", "without limits")
    # what the remedy says
    run(caller.systemctl + ["set-property", "--runtime", "nsrun-jobs.slice", "MemoryMax=64M"]).check()
    with caller.running("--cgroup-manager=systemd --cgroup-parent nsrun-jobs.slice --privileged", "/load hold 1", "held") as one:
        equal(read(os.path.dirname(one.group) + "/memory.max"), str(64 * MIB), "memory.max around")
    run(caller.systemctl + ["stop", "nsrun-jobs.slice", "nsrun.slice"]).check()
    run(caller.systemctl + ["revert", "nsrun-jobs.slice"])


def runtime_killed(caller):
    """SIGKILL to nsrun: the container dies with it, and gc clears up what is recorded."""
    with caller.running("-m 64m", "/load hold 1", "held") as one:
        os.kill(one.process.pid, signal.SIGKILL)
        wait_for(lambda: not os.path.exists(one.group), "systemd removes the group", timeout=10)
    caller.run(["gc"]).check()


def stopped_by_systemctl(caller):
    """systemctl stop ends it as well, with SIGKILL after --stop-timeout, and nothing is left on our side."""
    one = caller.running("-m 64m --stop-timeout 2", "/load hold 1", "held")
    equal(show(caller, unit_of(one))["TimeoutStopUSec"], "2s", "TimeoutStopUSec")
    run(caller.systemctl + ["daemon-reload"]).check()
    equal(show(caller, unit_of(one))["TimeoutStopUSec"], "2s", "TimeoutStopUSec after a reload")
    run(caller.systemctl + ["stop", unit_of(one)], timeout=30).check()
    one.process.wait(timeout=20)
    one.end()


def slices(caller):
    with caller.running("--cgroup-manager=systemd --cgroup-parent nsrun-test.slice -m 64m", "/load hold 1", "held") as one:
        contains(one.group, "/nsrun.slice/nsrun-test.slice/nsrun-", "group")
    run(caller.systemctl + ["stop", "nsrun-test.slice", "nsrun.slice"]).check()


@generate(timeout=90)
def test_scopes():
    yield from by_each((properties, not_limited, reload_, reload_of_other_files, idle_no_more, disks, killed, life, storm, sub_groups, lifted,
                        runtime_killed, stopped_by_systemctl, slices))


# ---- an ordinary user ------------------------------------------------------------------------------------------------

def test_auto_needs_a_reason():
    """Without a limit and in the foreground there is no scope: it would double the time."""
    with as_user() as caller:
        equal(re.search(r"cgroup\.manager: (\S+)\ncgroup\.path: (\S+)", caller.once("--dry-run", "/load hold 1").check().stdout).group(2), "none",
              "path without a limit")
        for options in ("-m 64m", "-d", "--name x"):
            out = caller.once("--dry-run " + options, "/load hold 1").check().stdout
            contains(out, "cgroup.manager: systemd\ncgroup.path: " + caller.slice.rstrip("/"), options)


def test_su():
    """No $XDG_RUNTIME_DIR, as after su(1): the manager is found where pam_systemd(8) puts it."""
    who = tester()
    caller = Caller(who, ids(who) + ["env", "-u", "XDG_RUNTIME_DIR"], {"HOME": who.home})
    equal(caller.once("-m 64m", ["/bin/cat", "/sys/fs/cgroup/memory.max"]).check().stdout, "%d\n" % (64 * MIB), "memory.max")


def test_not_delegated():
    """A user's manager that has no cpuset: the drop-in to write is named, and it takes a new start of that manager."""
    who = tester()
    drop_in = "/run/systemd/system/user@.service.d/zz-test.conf"

    def restart(text):
        os.makedirs(os.path.dirname(drop_in), exist_ok=True)
        with open(drop_in, "w") as file:
            file.write(text)
        run(["systemctl", "daemon-reload"]).check()
        run(["systemctl", "restart", "user@1000.service"], timeout=40).check()

    restart("[Service]\nDelegate=\nDelegate=pids memory\n")
    try:
        with as_user() as caller:
            for options, controller in (("--cpuset-cpus 0", "cpuset"), ("--cpus 0.5", "cpu"), ("--io-weight 100", "io")):
                before = leftovers()
                refused(caller.once(options, "/bin/true"), controller, "Delegate=")
                no_units(caller)
                assert_clean(before, allow=("cgroups",))
            caller.once("-m 64m --pids-limit 20", "/bin/true").check(0)
    finally:
        os.unlink(drop_in)
        restart("")
        os.unlink(drop_in)
        run(["systemctl", "daemon-reload"]).check()
    with as_user() as caller:
        caller.once("--cpuset-cpus 0", ["/bin/cat", "/sys/fs/cgroup/cpuset.cpus"]).check(0, stdout="0\n")


def test_foreign_bus():
    """An ordinary user who is pointed at the system's manager: refused, not asked."""
    who = tester()
    caller = Caller(who, ids(who), {"XDG_RUNTIME_DIR": "/nonexistent", "DBUS_SESSION_BUS_ADDRESS": "unix:path=/run/dbus/system_bus_socket"})
    refused(caller.once("--cgroup-manager=systemd", "/bin/true"), "systemd")


def test_many_at_once():
    """Twenty launches: each scope is its own, and none stays."""
    children = [subprocess.Popen([binary()] + arguments_of("--cgroup-manager=systemd -m 64m", "/bin/true"), stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment(), cwd=base()) for _ in range(20)]
    for child in children:
        _, stderr = child.communicate(timeout=60)
        equal((child.returncode, stderr), (0, b""), "status, stderr")
    no_units(Root())


if __name__ == "__main__":
    if not SYSTEMD:
        print("0 passed, 0 failed, 1 skipped (no systemd: tests/vm/run --systemd)")
        raise SystemExit(0)
    main()
