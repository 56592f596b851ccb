# SPDX-License-Identifier: Apache-2.0
"""Volumes, read-only, devices: what of the host a container sees, and where its own mounts go."""
import os
import re
import stat

from harness import *
from helper import refused, remapped, shell, tree

RANGE = (100000, 100000)


def put(path, text="", owner=RANGE, mode=0o644):
    with open(path, "w") as file:
        file.write(text)
    os.chown(path, *owner)
    os.chmod(path, mode)
    return path


def fresh():
    return tree(fresh=True)


def launch(tree_, script, *options, **how):
    return nsrun(["--userns-remap", dummy().name, *options, tree_, "/bin/sh", "-c", script], **how)


REPLACE = ("rm -rf /usr; mkdir /usr; touch /usr/new; mv /var /var2; mkdir /var; rm -rf /home; ls -A /usr /var; [ -d /var2/log ]")


@generate
def ephemeral_replaces_directories():
    """What a package manager does to directories. Before Linux 6.6, where tmpfs has no user.* attributes, an overlay made in a user
    namespace answers EIO to it; one made by root outside does not."""
    def one(options, tree_, user=None):
        run_ = nsrun([*options, "--ephemeral", tree_, "/bin/sh", "-ec", REPLACE.replace("/home", "/srv") if user else REPLACE], user=user)
        if user and tuple(int(n) for n in re.findall(r"\d+", os.uname().release)[:2]) < (6, 6):
            run_.check(1, "", "Input/output error")
        else:
            run_.check(0, "/usr:\nnew\n\n/var:\n".strip())
        check(os.path.exists(tree_ + "/usr/share") and os.path.exists(tree_ + "/home/user"), "the rootfs lost a directory")
    yield "owned by the range", lambda: one(["--userns-remap", dummy().name], fresh())
    yield "owned by root", lambda: one(["--userns-remap", "auto"], rootfs(fresh=True))
    yield "userns=host", lambda: one(["--userns=host"], rootfs(fresh=True))
    yield "ordinary user", lambda: one([], rootfs(owner="%d:%d" % (ranger().uid, ranger().gid), fresh=True), ranger())


def test_volume():
    volume = tmp("volume", owner=RANGE)
    put(volume + "/a", "of the host\n")
    tree_ = fresh()
    launch(tree_, "cat /v/a; echo new >/v/b", "-v", volume + ":/v").check(0, "of the host")
    with open(volume + "/b") as file:
        equal(file.read(), "new\n", "what the container wrote")
    equal(os.listdir(tree_ + "/v"), [], "the mount point in the rootfs")
    launch(tree_, "cat /deep/er/v/a", "--volume", volume + ":/deep/er/v").check(0, "of the host")


def test_volume_relative_source():
    volume = tmp("volume", owner=RANGE)
    put(volume + "/a", "x\n")
    launch(fresh(), "cat /v/a", "-v", "./volume:/v", cwd=os.path.dirname(volume)).check(0, "x")


def test_volume_read_only():
    volume = tmp("volume", 0o777, owner=RANGE)
    put(volume + "/a", "x\n")
    launch(fresh(), "cat /v/a; echo y >/v/a; touch /v/b", "-v", volume + ":/v:ro").check(1, "x", "Read-only file system")
    # nor by a remount, without a filter, and not in a user namespace of the workload's own, where it has all capabilities
    launch(fresh(), "mount -o remount,rw,bind /v 2>/dev/null; unshare -Urm mount -o remount,rw,bind /v 2>/dev/null; "
           "unshare -Urm sh -c 'mount -o remount,rw,bind /v; umount -l /v; echo y >/v/a' 2>/dev/null; echo y >/v/a",
           "-v", volume + ":/v:ro", "--security-opt", "seccomp=unconfined").check(1, "", "Read-only file system")
    with open(volume + "/a") as file:
        equal(file.read(), "x\n", "the file")


def test_volume_read_only_with_a_mount_below():
    """Read-only means all of it: a mount below the source is read-only too, or not there at all."""
    volume = tmp("volume", owner=RANGE)
    os.mkdir(volume + "/sub")
    mount("none", volume + "/sub", "tmpfs", 0, "mode=777,uid=100000,gid=100000")
    try:
        check(launch(fresh(), "touch /v/sub/x", "-v", volume + ":/v:ro").status != 0, "a file was made below a read-only volume")
        equal(os.listdir(volume + "/sub"), [], "the mount below")
    finally:
        umount(volume + "/sub")


def test_volume_file():
    path = put(os.path.join(tmp(), "file"), "one\n")
    tree_ = fresh()
    launch(tree_, "cat /etc/one; echo two >>/etc/one", "-v", path + ":/etc/one").check(0, "one")
    with open(path) as file:
        equal(file.read(), "one\ntwo\n", "the file")
    check(os.path.isfile(tree_ + "/etc/one"), "the mount point is no file")
    launch(tree_, "cat /etc/hostname", "-v", path + ":/etc/hostname:ro").check(0, "one\ntwo")


def test_volumes_nested_in_any_order():
    outer, inner = tmp("outer", owner=RANGE), tmp("inner", owner=RANGE)
    os.mkdir(outer + "/in")
    os.chown(outer + "/in", *RANGE)
    put(outer + "/a", "outer\n")
    put(inner + "/b", "inner\n")
    for options in (["-v", outer + ":/v", "-v", inner + ":/v/in"], ["-v", inner + ":/v/in", "-v", outer + ":/v"]):
        launch(fresh(), "cat /v/a /v/in/b", *options).check(0, "outer\ninner")


def test_same_target_twice():
    one, two = tmp("one", owner=RANGE), tmp("two", owner=RANGE)
    refused(launch(fresh(), "true", "-v", one + ":/v", "-v", two + ":/v"), "/v")


@generate
def test_target_stays_inside():
    """A target that a link of the rootfs leads out: the mount is made inside, and the host sees nothing of it."""
    def one(link, target):
        outside = tmp("outside", 0o777)
        volume = tmp("volume", owner=RANGE)
        put(volume + "/a", "x\n")
        tree_ = fresh()
        os.symlink(link % outside if "%s" in link else link, tree_ + "/link")
        result = launch(tree_, "cat %s/a" % target, "-v", volume + ":" + target)
        check(result.status == 125 or result.stdout == "x\n", "%r" % result)
        equal(os.listdir(outside), [], "made in a directory of the host")
    for name, link, target in (("absolute", "%s", "/link"), ("below", "%s", "/link/v"), ("dots", "../../../../../../%s", "/link/v"),
                               ("dots-in-target", "%s", "/link/../../v"), ("dangling", "/nowhere", "/link"), ("proc", "/proc/1/root", "/link/v")):
        yield name, lambda link=link, target=target: one(link, target)


def test_source_is_a_link_of_the_host():
    """The caller is trusted: a link that it names is followed."""
    volume = tmp("volume", owner=RANGE)
    put(volume + "/a", "x\n")
    link = os.path.join(tmp(), "link")
    os.symlink(volume, link)
    launch(fresh(), "cat /v/a", "-v", link + ":/v").check(0, "x")


def test_read_only_rootfs():
    run_ = shell("for d in / /etc /tmp /usr; do touch $d/x 2>/dev/null && echo $d; done; touch /dev/shm/x && echo shm; "
                 "echo x >/dev/null && echo null", "--read-only").check(0)
    equal(run_.stdout.split(), ["shm", "null"], "what can be written under --read-only")
    volume = tmp("volume", owner=RANGE)
    tree_ = fresh()
    os.mkdir(tree_ + "/v")
    os.chown(tree_ + "/v", *RANGE)
    launch(tree_, "touch /v/x && echo yes; touch /y", "--read-only", "-v", volume + ":/v").check(1, "yes", "Read-only file system")
    equal(os.listdir(volume), ["x"], "the volume")
    launch(tree_, "mount -o remount,rw,bind / 2>/dev/null; unshare -Urm sh -c 'mount -o remount,rw,bind /; touch /y' 2>/dev/null; touch /y",
           "--read-only", "--security-opt", "seccomp=unconfined").check(1, "", "Read-only file system")
    check(not os.path.exists(tree_ + "/y"), "a file was made in a read-only rootfs")


def test_device_nodes_of_the_files_do_not_work():
    """A node that lies in a rootfs or a volume is the host's device: the mounts are nodev."""
    tree_, volume = fresh(), tmp("volume", owner=RANGE)
    for directory in (tree_, volume):
        os.mknod(directory + "/zero", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
        os.chmod(directory + "/zero", 0o666)
        os.chown(directory + "/zero", *RANGE)
    run_ = launch(tree_, "for f in /zero /v/zero; do head -c 1 $f >/dev/null 2>&1 && echo opened $f; done; head -c 1 /dev/zero | wc -c",
                  "-v", volume + ":/v").check()
    equal(run_.stdout, "1\n", "device nodes")


def test_set_uid_of_a_volume_gives_nothing():
    volume = tmp("volume", owner=RANGE)
    for name, source in (("su", os.path.join(tree(), "helper")),):
        with open(source, "rb") as old, open(os.path.join(volume, name), "wb") as new:
            new.write(old.read())
        os.chown(os.path.join(volume, name), *RANGE)
        os.chmod(os.path.join(volume, name), 0o4755)
    remapped(["-v", volume + ":/v", "-u", "1000:1000"], "/v/su", "euid").check(0, "1000")


def test_mount_points_are_made():
    """A rootfs of one program: /proc, /sys and /dev are made by nsrun, owned by the container's root."""
    tree_ = os.path.join(tmp(), "bare")
    os.mkdir(tree_)
    os.chown(tree_, *RANGE)
    with open(os.path.join(tree(), "bin/busybox"), "rb") as old, open(tree_ + "/busybox", "wb") as new:
        new.write(old.read())
    os.chmod(tree_ + "/busybox", 0o755)
    os.chown(tree_ + "/busybox", *RANGE)
    run_ = nsrun(["--userns-remap", dummy().name, tree_, "/busybox", "ls", "/"]).check()
    equal(set(run_.stdout.split()), {"busybox", "dev", "proc", "sys"}, "/")
    for name in ("dev", "proc", "sys"):
        entry = os.lstat(os.path.join(tree_, name))
        equal((entry.st_uid, entry.st_gid), RANGE, "owner of /" + name)
        equal(os.listdir(os.path.join(tree_, name)), [], "/" + name + " on disk")


def test_dev_shm_is_the_containers():
    name = "nsrun-test-%d" % os.getpid()
    shell("echo x >/dev/shm/%s; ls /dev/shm" % name).check(0, name)
    check(not os.path.exists("/dev/shm/" + name), "/dev/shm is the host's")
    run_ = shell("head -c 100000000 /dev/zero >/dev/shm/big; echo $?").check()
    check(run_.stdout != "0\n", "/dev/shm has no limit (64 MiB wanted)")


def test_nothing_is_written_into_the_rootfs():
    tree_ = fresh()
    launch(tree_, "true").check()  # mount points that were not there are made by the first launch

    def census():
        return {os.path.join(d, n): os.lstat(os.path.join(d, n))[:9:] for d, dirs, files in os.walk(tree_) for n in dirs + files}
    before = {path: (e[0], e[1], e[4], e[5], e[6], e[8]) for path, e in census().items()}
    launch(tree_, "true", "--hostname", "box", "-m", "64m", "--init").check()
    after = {path: (e[0], e[1], e[4], e[5], e[6], e[8]) for path, e in census().items()}
    equal({p for p in set(before) | set(after) if before.get(p) != after.get(p)}, set(), "files that a launch touched")


if __name__ == "__main__":
    main()
