# SPDX-License-Identifier: Apache-2.0
"""Namespaces that a bundle joins by path: each kind, all of them at once, also by a file that nsfs is bound to; what a joined mount namespace means for the root and the mounts;
and paths that are no namespace, of another kind, of others, or that would make the runtime wait."""
import json
import os
import subprocess
import time

from harness import *
from test_oci_config import KINDS, LINKS, MAP, bundle, links, merge, namespaces, ns_of, open_to, output, refused, sleeper
from test_oci_life import failing

ALL = ["--mount", "--pid", "--fork", "--net", "--ipc", "--uts", "--cgroup", "--time"]
SHELL = "/bin/sh"


def inode(pid, kind):
    return os.stat("/proc/%d/ns/%s" % (pid, KINDS[kind])).st_ino


def joined(pid, *kinds):
    return [{"type": kind, "path": "/proc/%d/ns/%s" % (pid, KINDS[kind])} for kind in kinds]


def reap(pid):
    """These tests are the reaper of what nsrun create leaves, when that has ended."""
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass


def mounts_of(pid):
    with open("/proc/%d/mountinfo" % pid) as file:
        return [line.split()[4] for line in file]


def running(b):
    """The pid of its init, with the workload begun."""
    b("start", "c").check(0)
    wait_for(lambda: b.output().endswith("up\n"), "the workload")
    return b.state()["pid"]


# ---- each kind ----

@generate(root=True)
def kinds():
    for kind in ("pid", "network", "ipc", "uts", "cgroup", "time"):
        for bound in (False, True):
            yield "%s%s" % (kind, ", bound" if bound else ""), lambda kind=kind, bound=bound: join_one(kind, bound)


def join_one(kind, bound):
    """What the workload, and one more by exec, is in: by the inodes of /proc/PID/ns that the host sees."""
    with sleeper(*ALL) as pid:
        path = "/proc/%d/ns/%s" % (pid, KINDS[kind])
        if bound:
            path = os.path.join(tmp(), "ns-" + kind)
            open(path, "w").close()
            subprocess.run(["mount", "--bind", "/proc/%d/ns/%s" % (pid, KINDS[kind]), path], check=True)
        try:
            with bundle("echo up; exec sleep 60", {"linux": {"namespaces": [{"type": "mount"}, {"type": kind, "path": path}]}}) as b:
                b.made()
                inside = running(b)
                equal(inode(inside, kind), inode(pid, kind), "the %s namespace of the workload" % kind)
                for other in KINDS:
                    if other not in (kind, "mount"):
                        equal(inode(inside, other), os.stat("/proc/self/ns/" + KINDS[other]).st_ino, "its %s namespace" % other)
                got = links(b("exec", "c", SHELL, "-c", LINKS).check(0).stdout)
                equal(got[kind], os.readlink("/proc/%d/ns/%s" % (pid, KINDS[kind])), "that of one more")
                b("delete", "--force", "c").check(0)
            check(os.path.exists("/proc/%d" % pid), "whose namespaces were joined has ended")
        finally:
            if bound:
                subprocess.run(["umount", path], check=True)


@test(root=True)
def test_everything_of_another_container():
    """All kinds but the mount namespace, of a container with a user namespace; and one more container that joins that one's, too."""
    tree = rootfs(owner="100000:100000")
    every = namespaces(*KINDS)
    every["linux"].update(uidMappings=MAP, gidMappings=MAP, timeOffsets={"boottime": {"secs": 1000}})
    with bundle("echo up; exec sleep 60", {**every, "root": {"path": tree}, "hostname": "first"}) as a:
        a.made("a")
        first = a.state("a")["pid"]
        a("start", "a").check(0)
        for kinds in ([k for k in KINDS if k != "mount"], list(KINDS)):
            own = [] if "mount" in kinds else [{"type": "mount"}]
            a.config["linux"] = {"namespaces": own + joined(first, *kinds)}
            a.config.pop("hostname", None)
            a.config["root"] = {"path": "/" if "mount" in kinds else tree}
            a.config["mounts"] = [] if "mount" in kinds else [{"destination": "/proc", "type": "proc", "source": "proc"}]
            a.config["process"]["args"] = [SHELL, "-c", "cut -d. -f1 /proc/uptime; hostname; cat /proc/1/comm; id -u; exec sleep 60"]
            a.write()
            os.unlink(os.path.join(a.dir, "output"))
            a.made("b")
            second = a.state("b")["pid"]
            for kind in kinds:
                equal(inode(second, kind), inode(first, kind), "the %s namespace of one that waits" % kind)
            a("start", "b").check(0)
            wait_for(lambda: a.output().count("\n") == 4, "the workload")
            up, host, comm, uid = a.output().split()
            with open("/proc/uptime") as file:
                check(abs(int(up) - 1000 - float(file.read().split()[0])) < 30, "boottime inside: %s" % up)
            equal((host, comm, uid), ("first", "sleep", "0"), "host name, PID 1, user")
            for kind in kinds:
                equal(inode(second, kind), inode(first, kind), "the %s namespace" % kind)
            for kind in set(KINDS) - set(kinds):
                check(inode(second, kind) not in (inode(first, kind), os.stat("/proc/self/ns/" + KINDS[kind]).st_ino), "its own %s namespace" % kind)
            got = links(a("exec", "b", SHELL, "-c", LINKS).check(0).stdout)
            equal({k: got[k] for k in kinds}, {k: os.readlink("/proc/%d/ns/%s" % (first, KINDS[k])) for k in kinds}, "one more of it")
            a("delete", "--force", "b").check(0)
            reap(second)  # otherwise PID 1 of its pid namespace could not end: zap_pid_ns_processes() in the kernel
            equal(a.status("a"), "running", "the other container")
        equal(a("exec", "a", SHELL, "-c", "hostname").check(0).stdout, "first\n", "it goes on")


# ---- mount namespaces ----

def prepared():
    """A mount namespace in which somebody has prepared a rootfs: its sleeper."""
    return sleeper("--mount", "--propagation", "private")


@test(root=True)
def test_mount_namespace_with_a_root_prepared_in_it():
    """root.path and the sources of binds are of the joined namespace. It pivots there, as with runc: what is in it has the container's root from then on."""
    before = mounts_of(os.getpid())
    with prepared() as pid:
        place = os.path.join(tmp(), "place")
        os.mkdir(place)
        enter = ["nsenter", "-t", str(pid), "-m"]
        subprocess.run([*enter, "mount", "-t", "tmpfs", "inner", place], check=True)
        subprocess.run([*enter, "cp", "-a", rootfs(), place + "/root"], check=True)
        subprocess.run([*enter, "sh", "-c", "mkdir %s/data; echo inner > %s/data/told" % (place, place)], check=True)
        change = {"linux": {"namespaces": [{"type": "pid"}, {"type": "uts"}, *joined(pid, "mount")], "maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"]},
                  "root": {"path": place + "/root", "readonly": True},
                  "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}, {"destination": "/dev", "type": "tmpfs", "options": ["mode=755"]},
                             {"destination": "/srv", "type": "bind", "source": place + "/data", "options": ["ro"]}]}
        with bundle("readlink /proc/self/ns/mnt; cat /srv/told; touch /x 2>/dev/null && echo WROTE; cat /proc/kcore | wc -c; ls /dev/null; echo up; exec sleep 60", change) as b:
            check(not os.path.exists(place + "/root"), "it is on the host, too")
            b.made()
            inside = running(b)
            equal(b.output().split(), [os.readlink("/proc/%d/ns/mnt" % pid), "inner", "0", "/dev/null", "up"], "what the workload sees")
            equal(inode(inside, "mount"), inode(pid, "mount"), "the mount namespace")
            equal(b("exec", "c", SHELL, "-c", "readlink /proc/self/ns/mnt; cat /srv/told").check(0).stdout.split(), [os.readlink("/proc/%d/ns/mnt" % pid), "inner"], "exec")
            equal(os.stat("/proc/%d/root" % pid).st_ino, os.stat("/proc/%d/root" % inside).st_ino, "the root of who was in it")
            check("/srv" in mounts_of(pid) and place not in mounts_of(pid), "its mounts: %r" % mounts_of(pid))
        equal(mounts_of(os.getpid()), before, "mounts of the host")


@test(root=True)
def test_mount_namespace_as_it_is():
    """root.path "/": nothing is mounted and nothing moves, for who is in it and for who comes later."""
    with prepared() as pid:
        place = os.path.join(tmp(), "place")
        os.mkdir(place)
        subprocess.run(["nsenter", "-t", str(pid), "-m", "mount", "-t", "tmpfs", "inner", place], check=True)
        before = mounts_of(pid)
        change = {"linux": {"namespaces": [{"type": "pid"}, *joined(pid, "mount")]}, "root": {"path": "/"}, "mounts": []}
        with bundle("readlink /proc/1/ns/mnt > %s/link; echo up; exec sleep 60" % place, change) as b:
            b.made()
            inside = running(b)
            equal(inode(inside, "mount"), inode(pid, "mount"), "the mount namespace")
            equal(mounts_of(pid), before, "mounts of it")
            equal(os.stat("/proc/%d/root" % inside).st_dev, os.stat("/proc/%d/root" % pid).st_dev, "the root")
            check(os.path.exists("/proc/%d/root%s/link" % (pid, place)) and not os.path.exists(place + "/link"), "what it wrote is in that namespace alone")
            b("exec", "c", SHELL, "-c", "echo more > %s/more" % place).check(0)
            check(os.path.exists("/proc/%d/root%s/more" % (pid, place)), "what exec wrote is there, too")
            b("delete", "--force", "c").check(0)
        equal(mounts_of(pid), before, "mounts of it after the end")


@test(root=True)
def test_mount_namespace_that_nobody_is_in():
    """By an open file of nsfs, when its last process has ended. (Binding a mount namespace's file is EINVAL now and then: Linux 6.18 gives ids by processor, and the
    rule against loops compares them.)"""
    with prepared() as pid:
        subprocess.run(["nsenter", "-t", str(pid), "-m", "sh", "-c", "mount -t tmpfs inner /mnt && cp -a %s /mnt/root" % rootfs()], check=True)
        link, fd = os.readlink("/proc/%d/ns/mnt" % pid), os.open("/proc/%d/ns/mnt" % pid, os.O_RDONLY)
    try:
        change = {"linux": {"namespaces": [{"type": "mount", "path": "/proc/%d/fd/%d" % (os.getpid(), fd)}, {"type": "pid"}]}, "root": {"path": "/mnt/root"}}
        with bundle("echo up; exec sleep 60", change) as b:
            b.made()
            equal(inode(running(b), "mount"), os.fstat(fd).st_ino, "the mount namespace")
            equal(b("exec", "c", SHELL, "-c", "readlink /proc/self/ns/mnt").check(0).stdout, link + "\n", "exec")
    finally:
        os.close(fd)


@test(root=True)
def test_mount_namespace_with_clocks_and_a_terminal_of_its_own():
    """A new time namespace with offsets: written through the host's procfs, whatever lies on /proc of the one that is joined."""
    with prepared() as pid:
        subprocess.run(["nsenter", "-t", str(pid), "-m", "sh", "-c", "mount -t tmpfs fake /proc && mkdir /proc/self && touch /proc/self/timens_offsets"], check=True)
        change = {"linux": {"namespaces": [{"type": "pid"}, {"type": "time"}, *joined(pid, "mount")], "timeOffsets": {"boottime": {"secs": 5000}}}, "root": {"path": rootfs()}}
        up = int(output("cut -d. -f1 /proc/uptime", change))
        with open("/proc/uptime") as file:
            check(abs(up - 5000 - float(file.read().split()[0])) < 30, "boottime inside: %d" % up)


@test(root=True)
def test_launch_that_fails_leaves_a_joined_mount_namespace_as_it_was():
    with prepared() as pid:
        before = mounts_of(pid)
        for bad in ({"destination": "/x", "type": "nothing-like-it"}, {"destination": "/proc/self/x", "type": "tmpfs"}):
            change = {"linux": {"namespaces": [{"type": "pid"}, *joined(pid, "mount")]}, "root": {"path": rootfs()},
                      "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}, {"destination": "/tmp", "type": "tmpfs"}, bad]}
            with bundle("true", change) as b:
                failing(b("run", "-b", b.dir, "c"), "mounts[2]")
            equal(mounts_of(pid), before, "mounts of it")
            check(os.path.isdir("/proc/%d/root/proc/1" % pid), "its root is another")


@test(root=True)
def test_mount_namespace_of_a_joined_user_namespace():
    with sleeper("--user", "--mount", "--propagation", "private", uid_map="0 100000 65536") as pid:
        tree = rootfs(owner="100000:100000")
        change = {"linux": {"namespaces": [{"type": "pid"}, *joined(pid, "user", "mount")]}, "root": {"path": tree}}
        with bundle("id -u; cat /proc/self/uid_map; echo up; exec sleep 60", change) as b:
            b.made()
            inside = running(b)
            equal(b.output().split(), ["0", "0", "100000", "65536", "up"], "ids")
            equal((inode(inside, "user"), inode(inside, "mount")), (inode(pid, "user"), inode(pid, "mount")), "namespaces")


@test(root=True)
def test_mount_namespace_of_an_ordinary_user():
    who = ranger()
    process = subprocess.Popen(["setpriv", "--reuid", str(who.uid), "--regid", str(who.gid), "--clear-groups", "unshare", "--user", "--map-root-user", "--mount", "sh", "-c", "echo up; exec sleep 600"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        equal(process.stdout.readline(), b"up\n", "the sleeper")
        tree = {"root": {"path": rootfs(owner="%d:%d" % (who.uid, who.gid))}}
        with bundle(LINKS, {"linux": {"namespaces": [{"type": "pid"}, *joined(process.pid, "user", "mount")]}, **tree}) as b:
            open_to(who, b)
            got = links(b("run", "-b", b.dir, "c", user=who.name).check(0).stdout)
            for kind in ("user", "mount"):
                equal(got[kind], "%s:[%d]" % (KINDS[kind], inode(process.pid, kind)), "the %s namespace" % kind)
            # root's
            with prepared() as pid:
                b.config["linux"]["namespaces"] = [{"type": "pid"}, *joined(pid, "mount")]
                b.write()
                failing(b("run", "-b", b.dir, "c", user=who.name), "linux.namespaces")
            equal(b.ids(), [], "what is left")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@test(root=True)
def test_mount_namespace_refused():
    with prepared() as pid:
        join = {"linux": {"namespaces": [{"type": "pid"}, *joined(pid, "mount")]}}
        what = "for all who are in it this would hold"
        root = {"root": {"path": "/"}}
        refused({**join, **root}, "config.json: mounts: root.path is the root of the mount namespace that linux.namespaces[1] joins: " + what)
        for change, key in (({"root": {"path": "/", "readonly": True}}, "root.readonly"), ({"linux": {"maskedPaths": ["/proc/kcore"]}}, "linux.maskedPaths"),
                            ({"linux": {"readonlyPaths": ["/proc/sys"]}}, "linux.readonlyPaths"), ({"linux": {"rootfsPropagation": "shared"}}, "linux.rootfsPropagation"),
                            ({"linux": {"devices": [{"path": "/dev/x", "type": "c", "major": 1, "minor": 3}]}}, "linux.devices")):
            whole = {"linux": {**join["linux"], **change.get("linux", {})}, "root": {**root["root"], **change.get("root", {})}, "mounts": None}
            refused(whole, key + ": root.path is the root", what)
        refused({**join, "root": {"path": "/nowhere"}}, "root.path: /nowhere: No such file or directory (in the mount namespace that linux.namespaces[1] joins)")
        refused({**join, "root": {"path": "/etc/passwd"}}, "root.path: /etc/passwd: is no directory")
        user = {"linux": {"namespaces": join["linux"]["namespaces"] + [{"type": "user"}], "uidMappings": MAP, "gidMappings": MAP}, "root": {"path": rootfs(owner="100000:100000")}}
        refused(user, "linux.namespaces[1].path: it does not belong to the user namespace of linux.namespaces[2]")
        refused({**join, "root": {"path": rootfs()}, "mounts": [{"destination": "/x", "type": "bind", "source": "/", "options": ["bind", "idmap"], "uidMappings": MAP, "gidMappings": MAP}]},
                "mounts[0]: options: idmap: the source is of the mount namespace")
        refused({**join, "mounts": [{"destination": "/x", "type": "bind", "source": "/nowhere"}], "root": {"path": rootfs()}}, "mounts[0].source: /nowhere: No such file")
        with bundle("true", {**join, "root": {"path": rootfs()}}) as b:
            failing(b("run", "--no-pivot", "-b", b.dir, "c"), "--no-pivot would cover")
    refused(namespaces(mount="/proc/self/ns/mnt"), "linux.namespaces[0].path: /proc/self/ns/mnt is the caller's own mount namespace")


# ---- what is no namespace ----

@generate(root=True)
def refusals():
    for kind in KINDS:
        yield kind, lambda kind=kind: refuse(kind)


def refuse(kind):
    """None of it hangs, and each is named."""
    others = [] if kind == "mount" else ["mount"]
    where = "linux.namespaces[%d].path: " % len(others)

    def join(path, *words):
        begin = time.monotonic()
        refused(namespaces(*others, **{kind: path}), where, *words)
        check(time.monotonic() - begin < 20 * SLOW, "it took %.1f s" % (time.monotonic() - begin))
    path = os.path.join(tmp(), "file")
    with open(path, "w") as file:
        file.write("x")
    wanted = "a %s namespace is wanted" % kind
    for place in (path, tmp(), "/dev/null", "/proc/self/status"):
        join(place, "is no namespace (namespaces(7))", wanted)
    fifo = os.path.join(tmp(), "fifo")
    os.mkfifo(fifo)
    join(fifo, "is no namespace")
    link = os.path.join(tmp(), "loop")
    os.symlink(link, link)
    join(link, "Too many levels of symbolic links")
    join(tmp() + "/missing", "No such file or directory")
    join("/proc/999999999/ns/" + KINDS[kind], "No such file or directory")
    wrong = "net" if kind != "network" else "uts"
    join("/proc/self/ns/" + wrong, "is a %s namespace, and %s" % ("network" if wrong == "net" else "uts", wanted))
    refused(namespaces(*others, **{kind: "relative"}), where + "'relative' is not absolute")


@test(root=True)
def test_namespaces_of_others_are_refused_to_an_ordinary_user():
    who = ranger()
    change = namespaces("mount", "pid", "user")
    change["linux"].update(uidMappings=[{"containerID": 0, "hostID": who.uid, "size": 1}], gidMappings=[{"containerID": 0, "hostID": who.gid, "size": 1}])
    with sleeper(*ALL) as pid, bundle("true", {**change, "root": {"path": rootfs(owner="%d:%d" % (who.uid, who.gid))}}) as b:
        open_to(who, b)
        for kind in ("network", "ipc", "uts", "cgroup", "time"):
            merge(b.config, namespaces("mount", "pid", "user", **{kind: "/proc/%d/ns/%s" % (pid, KINDS[kind])}))
            b.write()
            result = b("run", "-b", b.dir, "c", user=who.name)
            failing(result, "linux.namespaces[3].path: ")
            check("ermission denied" in result.stderr or "CAP_SYS_ADMIN" in result.stderr, "the cause: " + result.stderr)
            equal(b.ids(), [], "what is left")


if __name__ == "__main__":
    main()
