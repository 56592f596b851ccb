# SPDX-License-Identifier: Apache-2.0
"""rootfs-scripts/busybox: what is in the tree, who owns it, what is refused, and that nothing half-made is left."""
import os
import shutil
import signal
import stat
import subprocess
import time

from harness import *

SCRIPT = os.environ.get("NSRUN_ROOTFS_SCRIPT") or os.path.join(TOP, "rootfs-scripts/busybox")


def make(*words, **more):
    return run([SCRIPT] + list(words), **more)


def walk(tree):
    """Every entry's path relative to the tree, with its lstat; the tree itself is "."."""
    yield ".", os.lstat(tree)
    for directory, names, files in os.walk(tree):
        for name in names + files:
            path = os.path.join(directory, name)
            yield os.path.relpath(path, tree), os.lstat(path)


def beside(directory):
    return sorted(os.listdir(directory))


def test_contents():
    directory = tmp()
    tree = os.path.join(directory, "tree")
    made = make(tree).check(0, "")
    check(made.used < 1.0, "used %.2f s" % made.used)
    equal(beside(directory), ["tree"], "entries beside the tree")
    equal(stat.S_IMODE(os.stat(tree).st_mode), 0o755, "mode of the tree")
    for path, mode in (("root", 0o700), ("tmp", 0o1777), ("var/tmp", 0o1777), ("etc/shadow", 0o600), ("etc/passwd", 0o644),
                       ("bin/bash", 0o755), ("bin/busybox", 0o755), ("proc", 0o755), ("sys", 0o755), ("dev", 0o755)):
        equal(oct(stat.S_IMODE(os.lstat(os.path.join(tree, path)).st_mode)), oct(mode), "mode of " + path)
    with open(os.path.join(tree, "etc/passwd")) as file:
        users = {line.split(":")[0]: line.split(":")[2] for line in file}
    equal(users, {"root": "0", "user": "1000", "nobody": "65534"}, "users")


def test_commands():
    tree = os.path.join(tmp(), "tree")
    make(tree).check(0)
    listed = subprocess.run(["busybox", "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    links = {os.path.basename(path) for path, entry in walk(tree)
             if stat.S_ISLNK(entry.st_mode) and os.readlink(os.path.join(tree, path)) == "/bin/busybox"}
    equal(sorted(set(listed) - links - {"busybox", "bash"}), [], "commands of busybox without a link")
    check(len(links) > 100, "only %d commands" % len(links))
    run([os.path.join(tree, "bin/bash"), "-c", "exit 7"]).check(7)


def test_no_set_ids_and_no_devices():
    tree = os.path.join(tmp(), "tree")
    make(tree).check(0)
    for path, entry in walk(tree):
        check(not entry.st_mode & 0o6000, "%s has a set-id bit" % path)
        check(stat.S_ISREG(entry.st_mode) or stat.S_ISDIR(entry.st_mode) or stat.S_ISLNK(entry.st_mode), "%s is special" % path)
        check(stat.S_ISLNK(entry.st_mode) or path in ("tmp", "var/tmp") or not entry.st_mode & 0o022,
              "%s is writable by others" % path)


def test_with_a_program():
    """A program of the host with its libraries, which runs in the tree; one that needs none; what is no program is refused."""
    tree = os.path.join(tmp(), "tree")
    make("--with", shutil.which("getconf"), tree).check(0)
    result = nsrun(["--ephemeral", tree, "/bin/getconf", "PATH_MAX", "/"]).check(0)
    equal(result.stdout, "4096\n", "output")
    make("--with", shutil.which("busybox"), os.path.join(tmp(), "static")).check(0)
    bad = os.path.join(tmp(), "bad")
    contains(make("--with", "/etc/passwd", bad).check(1).stderr, "no program is there")
    check(not os.path.exists(bad), "made all the same")


@test(root=True)
def test_owner_by_name():
    make_user("scripts1", subuid=(400000, 65536), subgid=(500000, 65536))
    tree = os.path.join(tmp(), "tree")
    make("--owner", "scripts1", tree).check(0)
    for path, entry in walk(tree):
        home = path == "home/user" or path.startswith("home/user/")
        equal((entry.st_uid, entry.st_gid), (401000, 501000) if home else (400000, 500000), "owner of " + path)


@test(root=True)
def test_owner_of_several_ranges():
    make_user("scripts2", subuid=[(400000, 10), (600000, 2000)], subgid=[(400000, 65536)])
    tree = os.path.join(tmp(), "tree")
    make("--owner=scripts2", tree).check(0)
    equal(os.lstat(tree).st_uid, 400000, "owner of the tree")
    equal(os.lstat(os.path.join(tree, "home/user")).st_uid, 600000 + 1000 - 10, "owner of home/user")


@test(root=True)
def test_last_line_without_newline():
    make_user("scripts6")
    for path in ("/etc/subuid", "/etc/subgid"):
        with open(path, "a") as file:
            file.write("scripts6:400000:65536")
    tree = os.path.join(tmp(), "tree")
    make("--owner", "scripts6", tree).check(0)
    equal(os.lstat(tree).st_uid, 400000, "owner of the tree")
    remove_user("scripts6")


@test(root=True)
def test_owner_by_numbers():
    tree = os.path.join(tmp(), "tree")
    make("--owner", "700000:800000", tree).check(0)
    equal({(entry.st_uid, entry.st_gid) for _, entry in walk(tree)}, {(700000, 800000), (701000, 801000)}, "owners")


@test(root=True)
def test_owner_refused():
    directory = tmp()
    tree = os.path.join(directory, "tree")
    make_user("scripts3")
    make_user("scripts4", subuid=(400000, 1000))
    make("--owner", "scripts3", tree).check(1, stderr="no range in /etc/subuid")
    make("--owner", "scripts4", tree).check(1, stderr="too small")
    make("--owner", "no-such-user", tree).check(1, stderr='no user "no-such-user"')
    make("--owner", "4294967295:0", tree).check(1, stderr="below 4294967295")
    make("--owner", "", tree).check(2)
    with open("/etc/subuid", "a") as file:
        file.write("scripts3:abc:65536\n")
    make("--owner", "scripts3", tree).check(1, stderr="malformed")
    remove_user("scripts3")
    equal(beside(directory), [], "left behind")


@test(root=True)
def test_ordinary_user():
    who = make_user("scripts5")
    directory = tmp("own", 0o755, who.name)
    tree = os.path.join(directory, "tree")
    make("--owner", "dummy", tree, user=who).check(1, stderr="only root")
    equal(beside(directory), [], "left behind")
    make(tree, user=who).check(0)
    equal({(entry.st_uid, entry.st_gid) for _, entry in walk(tree)}, {(who.uid, who.gid)}, "owners")
    make(os.path.join(tmp("closed", 0o755), "tree"), user=who).check(1, stderr="cannot be written")


def test_nothing_is_overwritten():
    directory = tmp()
    full = os.path.join(directory, "full")
    os.mkdir(full)
    with open(os.path.join(full, "kept"), "w") as file:
        file.write("kept")
    link, plain = os.path.join(directory, "link"), os.path.join(directory, "plain")
    os.symlink(full, link)
    with open(plain, "w"):
        pass
    make(full).check(1, stderr="not empty")
    make(link).check(1, stderr="symbolic link")
    make(plain).check(1, stderr="no directory")
    make(os.path.join(directory, "missing/tree")).check(1, stderr="no such directory")
    equal(beside(directory), ["full", "link", "plain"], "entries")
    equal(beside(full), ["kept"], "entries of the full directory")


def test_empty_directory_is_used():
    directory = tmp()
    tree = os.path.join(directory, "tree")
    os.mkdir(tree, 0o700)
    make(tree).check(0)
    equal(beside(directory), ["tree"], "entries")
    equal(stat.S_IMODE(os.stat(tree).st_mode), 0o755, "mode")


def test_odd_names():
    directory = tmp()
    for name in ("with blank", "-rf", "new\nline", "trailing "):
        make("--", name, cwd=directory).check(0)
        check(os.path.isfile(os.path.join(directory, name, "bin/bash")), "%r lacks /bin/bash" % name)
    equal(beside(directory), sorted(("with blank", "-rf", "new\nline", "trailing ")), "entries")


def test_usage():
    make().check(2, stderr="DIR is missing")
    make("--no-such-option", "x").check(2, stderr="unknown option --no-such-option")
    make("a", "b").check(2, stderr="more than one DIR")
    contains(make("--help").check(0).stdout, "--owner", "--help")


def path_without(*missing):
    """A PATH that has every program but these."""
    directory = tmp("path")
    for source in ("/bin", "/usr/bin", "/sbin", "/usr/sbin"):
        for name in os.listdir(source):
            if name not in missing and not os.path.lexists(os.path.join(directory, name)):
                os.symlink(os.path.join(source, name), os.path.join(directory, name))
    return directory


def test_packages_missing():
    directory = tmp("out")
    for name, package in (("busybox", "busybox-static"), ("bash-static", "bash-static")):
        make("tree", cwd=directory, env={"PATH": path_without(name)}).check(1, stderr="apt-get install " + package)
        for entry in os.listdir(tmp("path")):
            os.unlink(os.path.join(tmp("path"), entry))
    equal(beside(directory), [], "left behind")


def test_dynamic_busybox_is_refused():
    directory, programs = tmp("out"), path_without("busybox")
    os.symlink("/bin/true", os.path.join(programs, "busybox"))
    make("tree", cwd=directory, env={"PATH": programs}).check(1, stderr="dynamically linked")
    equal(beside(directory), [], "left behind")


@generate
def ended_by_a_signal():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        yield number.name, lambda number=number: end_by(number)


def end_by(number):
    """A program of the tree's making hangs; the signal comes then, and the half-made tree goes."""
    directory, programs = tmp("out"), path_without("chmod")
    slow = os.path.join(programs, "chmod")
    with open(slow, "w") as file:
        file.write("#!/bin/sh\n: >%s/reached\nexec sleep 30\n" % tmp())
    os.chmod(slow, 0o755)
    # Restored, since a shell's background job would have SIGINT ignored, and with it the script.
    process = subprocess.Popen([SCRIPT, "tree"], cwd=directory, env=environment(None, {"PATH": programs}), start_new_session=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    wait_for(lambda: os.path.exists(os.path.join(tmp(), "reached")), "chmod")
    check(beside(directory), "nothing was there to be removed")
    check("tree" not in beside(directory), "the half-made tree has its final name")
    os.killpg(process.pid, number)
    begin = time.monotonic()
    status = process.wait(timeout=5)
    check(time.monotonic() - begin < 15, "did not end at once")
    check(status in (128 + number, -number), "status %s" % status)
    equal(beside(directory), [], "left behind")


if __name__ == "__main__":
    main()
