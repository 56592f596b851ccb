# SPDX-License-Identifier: Apache-2.0
"""--cgroup-manager, as far as a host without systemd can show it: what is refused and how, that a launch which does not ask for systemd has nothing to
do with it, and what nsrun does with a manager that errs. What systemd does is in tests/vm/test_systemd.py."""
import os
import re
import subprocess

from harness import *
from helper import refused, tree
from systemd_fake import fake, possible

SYSTEMD = ["--cgroup-manager=systemd"]


def remapped(options, command=("/bin/true",), **how):
    return nsrun(["--userns-remap", dummy().name, *options, tree(), *command], **how)


def own(who):
    return rootfs(owner="%d:%d" % (who.uid, who.gid))


def needs_fake():
    if not possible():
        skip("needs a v2 hierarchy and no systemd")


# ---- without a manager -----------------------------------------------------------------------------------------------

@generate
def test_no_systemd():
    def root():
        refused(remapped(SYSTEMD), "no systemd listens here", "systemd-absent")

    def single_user():
        refused(nsrun([*SYSTEMD, own(single()), "/bin/true"], user=single()), "no systemd of this user listens here", "systemd-absent")

    def foreign_runtime_dir():
        env = {"XDG_RUNTIME_DIR": "/run"}  # somebody else's
        refused(nsrun([*SYSTEMD, own(single()), "/bin/true"], user=single(), env=env), "systemd-absent")

    def nobody_listens():
        before = leftovers()
        env = {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"}
        refused(remapped(SYSTEMD, env=env), "unix:path=/nonexistent", "systemd-absent")
        assert_clean(before)
    if not os.path.isdir("/run/systemd/system"):
        for case in (root, single_user, foreign_runtime_dir, nobody_listens):
            yield case.__name__, case


def test_library_missing():
    """Its absence is told by name, and with the package."""
    needs_fake()
    empty = tmp("libraries", 0o755)
    with fake():
        # A private mount namespace in which every libsystemd.so.0 is covered by an empty file
        hide = "for f in $(ldconfig -p | sed -n 's/.*libsystemd.so.0 .*=> //p'); do mount --bind %s/none $f; done; exec \"$@\"" % empty
        open(os.path.join(empty, "none"), "w").close()
        result = run(["unshare", "-m", "/bin/sh", "-c", hide, "sh", binary(), "--userns-remap", dummy().name, *SYSTEMD, tree(), "/bin/true"])
        refused(result, "libsystemd.so.0", "libsystemd0", "systemd-library")


def test_not_loaded():
    """A launch without systemd does not open libsystemd, nor look for a bus."""
    needs_program("strace")
    trace = os.path.join(tmp("trace", 0o777), "out")
    for options in ([], ["-m", "64m"], ["--cgroup-manager=disabled"]):
        run(["strace", "-f", "-e", "trace=open,openat,connect,stat,newfstatat,access,faccessat,faccessat2", "-o", trace, built("NSRUN_RELEASE"),
             "--userns-remap", dummy().name, *options, tree(), "/bin/true"]).check(0)
        with open(trace) as file:
            text = file.read()
        check("openat(" in text and "libsystemd" not in text and "bus" not in re.sub(r"busybox|bus\w*/devices", "", text.replace("/sys/bus", "")),
              "with %s: %s" % (options, [line for line in text.splitlines() if "systemd" in line or "bus" in line]))


# ---- words -----------------------------------------------------------------------------------------------------------

@generate
def test_words():
    for options, words in (
            (["--cgroup-manager=flat"], ("flat", "auto")),
            (["--cgroup-manager=disabled", "-m", "64m"], ("--memory", "disabled", "cgroup-manager")),
            (["--cgroup-manager=disabled", "--pids-limit", "5"], ("--pids-limit", "disabled")),
            (["--cgroup-manager=disabled", "--device-cgroup-rule", "c 1:3 r"], ("--device-cgroup-rule", "disabled")),
            (["--cgroup-manager=disabled", "--cgroup-parent", "/a"], ("--cgroup-parent", "disabled")),
            (["--cgroup-manager=cgroupfs", "--cgroup-parent", "a.slice"], ("a.slice", "cgroupfs")),
            (["--cgroup-manager=systemd", "--cgroup-parent", "/a"], ("/a", "NAME.slice")),
            (["--cgroup-manager=systemd", "--cgroup-parent", "a--b.slice"], ("a--b.slice", "systemd.slice(5)"))):
        yield " ".join(options), lambda options=options, words=words: refused(remapped(options), *words)


def test_disabled():
    """The caller's group, and none of its own in any hierarchy."""
    before = cgroups()
    out = remapped(["--cgroup-manager=disabled", "--cgroupns=host"], ["/bin/cat", "/proc/self/cgroup"]).check(0).stdout
    with open("/proc/self/cgroup") as file:
        equal(out, file.read(), "groups")
    made = cgroups() - before
    equal(made - foreign(made), set(), "groups made")


# ---- a manager of the tests' own -------------------------------------------------------------------------------------

def test_scope():
    """The group is the scope's, its path is recorded, exec goes there, and all of it is gone afterwards."""
    needs_fake()
    before = leftovers()
    with fake() as manager:
        remapped([*SYSTEMD, "--cgroup", "cgroup.max.depth=5", "-d", "--name", "scoped", "--rm"], ["/bin/sleep", "60"]).check(0)
        [(unit, group)] = manager.units.items()
        properties = dict(manager.asked)[unit]
        equal((properties["Slice"], properties["DelegateControllers"], properties["TasksMax"], properties["CollectMode"], properties["DefaultDependencies"],
               properties["TimeoutStopUSec"]), ("system.slice", [], 2**64 - 1, "inactive-or-failed", 0, 10000000), "properties")
        with open(manager.top + group + "/cgroup.max.depth") as file:
            equal(file.read(), "5\n", "cgroup.max.depth")
        contains(nsrun(["inspect", "--format=text", "scoped"]).check().stdout, "cgroup: %s\n" % group, "record")
        out = nsrun(["exec", "scoped", "/bin/cat", "/proc/self/cgroup"]).check().stdout
        contains(out, "0::/\n", "exec")
        nsrun(["rm", "-f", "scoped"]).check()
        wait_for(lambda: not manager.units, "the scope ends")
    assert_clean(before)


def test_ordinary_user():
    """auto: a scope of the user's own manager where a limit asks for it, and none otherwise."""
    needs_fake()
    who, before = single(), leftovers()
    with fake(who) as manager:
        limit = ["--cgroup", "cgroup.max.depth=5"]
        out = nsrun([*limit, "--cgroupns=host", own(who), "/bin/cat", "/proc/self/cgroup"], user=who).check(0).stdout
        check(re.search(r"^0::%s/app\.slice/nsrun-[0-9a-f]{12}\.scope$" % manager.group, out, re.M), "groups: %s" % out)
        asked = len(manager.asked)
        nsrun([own(who), "/bin/true"], user=who).check(0)
        equal(len(manager.asked), asked, "scopes without a limit")
        connections = manager.connections
        nsrun(["-d", "--name", "mine", "--rm", own(who), "/bin/sleep", "60"], user=who).check(0)
        equal(len(manager.asked), asked + 1, "scopes of a detached one")
        equal(manager.connections - connections, 2, "connections: one for where the scope will be, one to start it")
        contains(nsrun(["exec", "mine", "/bin/cat", "/proc/self/cgroup"], user=who).check(0).stdout, "0::/\n", "exec")
        nsrun(["rm", "-f", "mine"], user=who).check(0)
        refused(nsrun([*SYSTEMD, "--cgroup-parent", "x.slice", "--hugetlb", "2MB=2m", own(who), "/bin/true"], user=who), "hugetlb")
    assert_clean(before)


@generate
def test_manager_errs():
    needs_fake()

    def one(mode, words):
        before = leftovers()
        with fake(mode=mode):
            result = remapped(SYSTEMD, timeout=40)
            refused(result, "scope.start", *words)
        assert_clean(before)
    for mode, words in (("denied", ("Permission denied", "systemd-denied")), ("exists", ("was already loaded",)), ("failed", ('ended as "failed"', "journalctl")),
                        ("elsewhere", ("/elsewhere",)), ("silent", ("Connection timed out",))):
        yield mode, lambda mode=mode, words=words: one(mode, words)


def test_unknown_property():
    """An older systemd: the file holds the limit."""
    needs_fake()
    with fake(mode="unknown:CPUWeight") as manager:
        remapped([*SYSTEMD, "--cgroup", "cgroup.max.depth=5"]).check(0)
        equal(len(manager.asked), 1, "attempts")


def test_update():
    """systemd is told of a change, and what it makes of it, as a quota in whole per cent, is not what stays."""
    needs_fake()
    before = leftovers()
    with fake(mode="rounds") as manager:
        remapped([*SYSTEMD, "--cgroup", "cgroup.max.depth=5", "-d", "--name", "changed", "--rm"], ["/bin/sleep", "60"]).check(0)
        [(unit, group)] = manager.units.items()
        nsrun(["update", "--cgroup", "cgroup.max.depth=7", "changed"]).check(0)
        wait_for(lambda: manager.changed == [unit], "the unit is changed, and what systemd makes of it is written")
        with open(manager.top + group + "/cgroup.max.depth") as file:
            equal(file.read(), "7\n", "cgroup.max.depth")
        nsrun(["rm", "-f", "changed"]).check()
        wait_for(lambda: not manager.units, "the scope ends")
    assert_clean(before)


def test_update_refused():
    """All or none: what the files held is there again, also in one that had no limit, and the record is the old one."""
    needs_fake()
    before = leftovers()
    with fake(mode="unchanging") as manager:
        remapped([*SYSTEMD, "--cgroup", "cgroup.max.depth=5", "-d", "--name", "kept", "--rm"], ["/bin/sleep", "60"]).check(0)
        [group] = manager.units.values()
        record = nsrun(["inspect", "kept"]).check().stdout
        refused(nsrun(["update", "--cgroup", "cgroup.max.depth=7", "--cgroup", "cgroup.max.descendants=9", "kept"]), "Permission denied")
        for name, text in (("depth", "5\n"), ("descendants", "max\n")):
            with open(manager.top + group + "/cgroup.max." + name) as file:
                equal(file.read(), text, "cgroup.max." + name)
        equal(nsrun(["inspect", "kept"]).check().stdout.count("descendants"), record.count("descendants"), "keys in the record")
        nsrun(["rm", "-f", "kept"]).check()
        wait_for(lambda: not manager.units, "the scope ends")
    assert_clean(before)


def test_root_of_a_users_namespace():
    """Below a rootless engine nsrun is root of an ordinary user's user namespace: that user's manager is asked, and the system's left alone."""
    needs_fake()
    who, before = single(), leftovers()
    listen = "import socket; s = socket.socket(socket.AF_UNIX); s.bind('/run/dbus/system_bus_socket'); s.listen()"
    enter = "mount -t tmpfs none /run && mkdir /run/dbus && python3 -c \"%s\" && exec setpriv --reuid %d --regid %d --clear-groups unshare -Ur \"$@\"" % (
        listen, who.uid, who.gid)
    options = [*SYSTEMD, "--userns=host", "--cgroup", "cgroup.max.depth=5", "--cgroupns=host"]
    with fake(who) as manager:
        result = run(["unshare", "-m", "/bin/sh", "-c", enter, "sh", binary(), *options, own(who), "/bin/cat", "/proc/self/cgroup"],
                     env=environment(who, {"XDG_RUNTIME_DIR": runtime_dir(who)})).check(0)
        check(re.search(r"^0::%s/app\.slice/nsrun-[0-9a-f]{12}\.scope$" % manager.group, result.stdout, re.M), "groups: %s" % result.stdout)
        equal(len(manager.asked), 1, "scopes of the user's manager")
    assert_clean(before)


def test_foreign_manager():
    """A manager of another user than this one is not asked."""
    needs_fake()
    with fake(single()) as manager:
        refused(remapped(SYSTEMD, env={"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=" + manager.path}), "is of user %d" % single().uid, "systemd-foreign")
        equal(manager.asked, [], "asked")


def test_outer_manager():
    """In a pid namespace of its own nsrun's numbers are other processes' to a manager outside."""
    needs_fake()
    with fake() as manager:
        result = run(["unshare", "-pf", "--mount-proc", binary(), "--userns-remap", dummy().name, *SYSTEMD, tree(), "/bin/true"])
        refused(result, "outside of this pid namespace", "systemd-foreign")
        equal(manager.asked, [], "asked")


if __name__ == "__main__":
    main()
