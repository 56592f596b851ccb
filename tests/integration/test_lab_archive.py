# SPDX-License-Identifier: Apache-2.0
"""The archive of the lab: the same bytes twice, and all that it takes to play, on a host that has a shell and nothing else, without network, as root and as an ordinary
user."""
import concurrent.futures
import hashlib
import os
import re
import shutil
import subprocess
import tarfile

from harness import *

BUILD = os.path.dirname(os.path.abspath(built("NSRUN")))
LEARNER = 1000


def make(**env):
    """The archive's file."""
    run(["meson", "compile", "-C", BUILD, "lab-archive"], env=env, timeout=300).check(0)
    [found] = [name for name in os.listdir(os.path.join(BUILD, "docs/labs/archive")) if name.endswith(".tar.gz")]
    return os.path.join(BUILD, "docs/labs/archive", found)


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def clean_root(archive):
    """A host: a shell, a directory of the learner's, and the archive, unpacked there."""
    top = tmp("host", 0o755)
    for name in ("bin", "etc", "proc", "sys", "dev", "old", "opt", "root", "home/learner", "tmp"):
        os.makedirs(os.path.join(top, name), 0o755)
    os.chmod(os.path.join(top, "tmp"), 0o1777)
    os.chown(os.path.join(top, "home/learner"), LEARNER, LEARNER)
    shutil.copy(shutil.which("busybox"), os.path.join(top, "bin/busybox"))
    os.symlink("busybox", os.path.join(top, "bin/sh"))
    with open(os.path.join(top, "etc/passwd"), "w") as file:
        file.write("root:x:0:0::/root:/bin/sh\nlearner:x:%d:%d::/home/learner:/bin/sh\n" % (LEARNER, LEARNER))
    with open(os.path.join(top, "etc/group"), "w") as file:
        file.write("root:x:0:\nlearner:x:%d:\n" % LEARNER)
    with open(os.path.join(top, "etc/shadow"), "w") as file:
        file.write("root:*:19000:0:99999:7:::\n")
    os.chmod(os.path.join(top, "etc/shadow"), 0o600)
    shutil.copy(archive, os.path.join(top, "opt/lab.tar.gz"))
    return top


# Not chroot(2) alone: who is in one may make no user namespace (EPERM, clone(2)).
ENTER = r"""set -e
mount --bind "$0" "$0"
cd "$0"
for name in proc sys dev; do mount --rbind /$name $name; done
pivot_root . old
exec /bin/busybox chroot . /bin/sh -c 'busybox umount -l /old && export PATH=/bin && '"$1"
"""
# A line as a user, with his home.
AS = 'busybox su %s -c "%s"'


def on_host(top, line, timeout=60):
    """A line for the shell of that host, without network."""
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
    return run(["unshare", "--mount", "--net", "--propagation", "private", "sh", "-c", ENTER, top, line], env=env, timeout=timeout)


@test(root=True, timeout=300, needs=["meson", "busybox", "bash-static"])
def test_same_bytes():
    first = digest(make())
    os.utime(os.path.join(TOP, "docs/labs/archive/start"))
    old = os.umask(0o077)
    try:
        equal(digest(make(TZ="Asia/Tokyo", LC_ALL="C.UTF-8", HOME="/nowhere")), first, "digest of the second")
    finally:
        os.umask(old)
    check(digest(make(SOURCE_DATE_EPOCH="1000000000")) != first, "its times are not those of SOURCE_DATE_EPOCH")
    with tarfile.open(make()) as archive:
        members = archive.getmembers()
    equal([member.name for member in members], sorted(member.name for member in members), "names")
    equal({(member.uid, member.gid, member.uname, member.gname) for member in members}, {(0, 0, "", "")}, "owners")
    equal(len({member.mtime for member in members}), 1, "times")
    equal({member.mode & 0o7022 for member in members if not member.issym()}, {0}, "set-uid, and writable by others")


@test(root=True, timeout=300, needs=["meson", "busybox", "bash-static", "unshare"])
def test_plays_on_a_bare_host():
    top = clean_root(make())
    before = leftovers()
    on_host(top, "cd /opt && busybox tar xzf lab.tar.gz").check(0)
    [name] = [name for name in os.listdir(os.path.join(top, "opt")) if name != "lab.tar.gz"]
    start = "/opt/%s/start" % name
    chapters = [name for name in re.findall(r"^([a-z0-9-]+) +\d+ ", on_host(top, start + " list").check(0).stdout, re.M)]
    check("uts" in chapters and len(chapters) > 10, "chapters: %s" % chapters)
    line = "%s solve %s" % (start, " ".join(chapters))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        plays = [(who, pool.submit(on_host, top, AS % (who, line), 200)) for who in ("root", "learner")]
    for who, play in plays:
        found = play.result().check(0)
        holding, skipped = re.findall(r"^lab: (\S+): holds\.", found.stdout, re.M), re.findall(r"^skipped: (\S+): ", found.stdout, re.M)
        equal(sorted(holding + skipped), sorted(chapters), "chapters that %s has played" % who)
        check({"uts", "ipc", "pid", "mount", "capabilities", "seccomp"} <= set(holding), "%s was not given %s" % (who, skipped))
    # What a learner types goes to the same place, and the place is his own.
    played = on_host(top, "printf '\\nb\\n\\n' | " + AS % ("learner", start + " uts")).check(0)
    contains(played.stdout, "RIGHT")
    equal(os.stat(os.path.join(top, "home/learner/.local/state/nsrun/lab")).st_uid, LEARNER, "owner of the lab's directory")
    contains(on_host(top, AS % ("learner", start + " reset")).check(0).stdout, "All chapters are new again")
    shell = on_host(top, "echo 'nsrun lab list; command -v nsrun' | HOME=/root SHELL=/bin/sh %s shell" % start).check(0)
    contains(shell.stdout, "uts  ")
    assert_clean(before, 5)


@test(root=True, timeout=120, needs=["meson", "busybox", "bash-static", "unshare"])
def test_either_program():
    """Where the C library is not there, the static one is what runs; where neither can, it says so."""
    top = tmp("unpacked", 0o755)
    with tarfile.open(make()) as archive:
        archive.extractall(top)
    [name] = os.listdir(top)
    place = os.path.join(top, name)
    env = {"NSRUN_LAB_DIR": os.path.join(top, "lab"), "NSRUN_DATA_DIR": "/nowhere"}
    run([place + "/start", "solve", "uts"], env=env, timeout=100).check(0)
    equal(os.readlink(top + "/lab/bin/nsrun"), place + "/bin/nsrun", "the program here")
    os.unlink(place + "/bin/nsrun")
    found = run(["sh", "start", "solve", "uts", "capabilities"], env=env, timeout=100, cwd=place).check(0)
    contains(found.stdout, "lab: capabilities: holds.")
    equal(os.readlink(top + "/lab/bin/nsrun"), place + "/static/nsrun", "the program without that one")
    os.chmod(place + "/static/nsrun", 0o644)
    found = run([place + "/start"], env=env)
    equal(found.status, 1, "status without a program")
    contains(found.stderr, "cannot be run here")


if __name__ == "__main__":
    main()
