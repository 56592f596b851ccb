# SPDX-License-Identifier: Apache-2.0
"""The root file system of an OCI bundle: every option of the specification's table of mounts seen in mountinfo and by its effect, destinations that lead
elsewhere, propagation, ids, control groups, the default devices and linux.devices, masked and read-only paths, rootfs of all sorts."""
import contextlib
import errno
import json
import os
import shutil
import stat
import subprocess
import threading
import time

from harness import *
from helper import install_helper

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME, MS_NODIRATIME, MS_REMOUNT = 1, 2, 4, 8, 1024, 2048, 32
MS_BIND, MS_SLAVE = 4096, 1 << 19
CAPS = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_MKNOD", "CAP_SYS_ADMIN", "CAP_FOWNER", "CAP_SETUID", "CAP_SETGID"]
SPACES = ("pid", "ipc", "uts", "mount", "network")
BASICS = [
    {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
    {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
     "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
    {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
    {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
    {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
]


def entry(destination, kind, options=(), source=None, **more):
    return {"destination": destination, "type": kind, "source": source or kind, "options": list(options), **more}


def bind(source, destination, *options, **more):
    return entry(destination, "none", options, source, **more)


def id_map(first, count=65536):
    extent = [{"containerID": 0, "hostID": first, "size": count}]
    return {"uidMappings": extent, "gidMappings": extent}


class Bundle:
    """config.json in a directory of its own. mounts: after the usual ones, or all of them with only=True. who: an ordinary user whose bundle it is."""

    def __init__(self, script, mounts=(), only=False, spaces=SPACES, root=None, readonly=False, linux=None, who=None, remapped=False, fresh=False):
        self.dir, self.who = tmp("bundle", owner=None if who is None else (who.uid, who.gid)), who
        linux = dict(linux or {})
        if who is not None:
            self.root = root or rootfs(owner="%d:%d" % (who.uid, who.gid), fresh=fresh)
            ids = [{"containerID": 0, "hostID": who.uid, "size": 1}]
            if who.subuid:
                ids.append({"containerID": 1, "hostID": who.subuid[0], "size": who.subuid[1]})
            linux.update({"uidMappings": ids, "gidMappings": ids})
        elif remapped:
            self.root = root or rootfs(owner="100000:100000", fresh=fresh)
            linux.update(id_map(100000))
        else:
            self.root = root or rootfs(fresh=fresh)
        if who is not None or remapped:
            spaces = tuple(spaces) + ("user",)
        self.config = {
            "ociVersion": "1.2.0",
            "process": {"user": {"uid": 0, "gid": 0}, "args": ["/bin/sh", "-c", script], "env": ["PATH=/bin:/usr/bin:/sbin:/usr/sbin"], "cwd": "/",
                        "capabilities": {kind: CAPS for kind in ("bounding", "effective", "permitted")}, "noNewPrivileges": True},
            "root": {"path": self.root, "readonly": readonly},
            "mounts": ([] if only else list(BASICS)) + list(mounts),
            "linux": {"namespaces": [{"type": kind} for kind in spaces], **linux},
        }

    def write(self):
        path = os.path.join(self.dir, "config.json")
        with open(path, "w") as file:
            json.dump(self.config, file)
        os.chmod(path, 0o644)
        return self

    def argv(self, *options):
        self.write()
        return ["--root", os.path.join(tmp(), "state-%s" % (self.who.name if self.who else "root")), "run", *options, "-b", self.dir, "m%d" % os.getpid()]

    def run(self, *options, **how):
        if self.who is not None:
            tmp("state-%s" % self.who.name, 0o700, (self.who.uid, self.who.gid))
        return nsrun(self.argv(*options), user=self.who, **how)


def run(script, *mounts, **how):
    return Bundle(script, mounts, **how).run()


def out(script, *mounts, **how):
    return run(script, *mounts, **how).check(0).stdout


def refused(result, *words):
    """Status 1, and a message that names each of these."""
    result.check(1)
    equal(result.stdout, "", "standard output")
    for word in words:
        contains(result.stderr, word, "standard error")
    return result


def mounted(text):
    """{target: (mount's options, optional fields, type, source, superblock's options)}; the last one at a place."""
    found = {}
    for line in text.splitlines():
        left, right = line.split(" - ", 1)
        left, right = left.split(" "), right.split(" ")
        found[left[4]] = (set(left[5].split(",")), " ".join(left[6:]), right[0], right[1], set(right[2].split(",")))
    return found


def mounts_of(*mounts, script="true", **how):
    return mounted(out("{ %s; } >&2; cat /proc/self/mountinfo" % script, *mounts, **how))


@contextlib.contextmanager
def host_mount(name, flags=0, data=None, below=None, below_flags=0):
    """A tmpfs of the host, with another one in its directory `below`."""
    path = tmp(name)
    mount("tmpfs", path, "tmpfs", 0, data)
    made = [path]
    try:
        if below:
            os.mkdir(os.path.join(path, below))
            mount("tmpfs", os.path.join(path, below), "tmpfs", below_flags, None)
            made.append(os.path.join(path, below))
        mount("none", path, None, MS_REMOUNT | MS_BIND | flags)
        yield path
    finally:
        for one in reversed(made):
            umount(one, 2)


def volume(text="v\n"):
    path = tmp("volume")
    with open(os.path.join(path, "file"), "w") as file:
        file.write(text)
    return path


# ---- the table of options ----

# word: what mountinfo has of a bind mount of a plain tree, and what it has not
ATTRIBUTES = {
    "ro": ("ro", "rw"), "nosuid": ("nosuid", None), "nodev": ("nodev", None), "noexec": ("noexec", None), "noatime": ("noatime", "relatime"),
    "nodiratime": ("nodiratime", None), "strictatime": (None, "relatime"), "relatime": ("relatime", "noatime"), "nosymfollow": ("nosymfollow", None),
}
# word: host's flags that it takes away
OPPOSITES = {
    "rw": (MS_RDONLY, "rw", "ro"), "suid": (MS_NOSUID, None, "nosuid"), "dev": (MS_NODEV, None, "nodev"), "exec": (MS_NOEXEC, None, "noexec"),
    "atime": (MS_NOATIME, "relatime", "noatime"), "diratime": (MS_NODIRATIME, None, "nodiratime"), "symfollow": (256, None, "nosymfollow"),
    "nostrictatime": (1 << 24, "relatime", None),
}


def seen(options, has, lacks, what):
    if has:
        check(has in options, "%s: %s is missing in %s" % (what, has, sorted(options)))
    if lacks:
        check(lacks not in options, "%s: %s is in %s" % (what, lacks, sorted(options)))


@generate(root=True)
def attribute_words():
    for word, (has, lacks) in ATTRIBUTES.items():
        def one(word=word, has=has, lacks=lacks):
            for kind, made in (("bind", bind(volume(), "/x", "bind", word)), ("tmpfs", entry("/x", "tmpfs", [word, "size=64k"]))):
                seen(mounts_of(made)["/x"][0], has, lacks, "%s, %s" % (kind, word))
        yield word, one


@generate(root=True)
def opposite_words():
    for word, (flags, has, lacks) in OPPOSITES.items():
        def one(word=word, flags=flags, has=has, lacks=lacks):
            with host_mount("host", flags) as path:
                before = mounts_of(bind(path, "/x", "bind"))["/x"][0]
                if lacks:
                    check(lacks in before, "without a word the host's flags stay: %s" % sorted(before))
                seen(mounts_of(bind(path, "/x", "bind", word))["/x"][0], has, lacks, word)
        yield word, one


@generate(root=True)
def recursive_words():
    """A word without r changes the topmost mount alone, as mount(8) has it; with r what is mounted below, too."""
    for word, (has, lacks) in ATTRIBUTES.items():
        def one(word=word, has=has, lacks=lacks):
            with host_mount("host", below="sub") as path:
                plain = mounts_of(bind(path, "/x", "rbind", word))
                seen(plain["/x"][0], has, lacks, word)
                if word != "relatime":
                    seen(plain["/x/sub"][0], lacks, has, word + " and what is below")
                for r in ("r" + word,):
                    every = mounts_of(bind(path, "/x", "rbind", r))
                    seen(every["/x"][0], has, lacks, r)
                    seen(every["/x/sub"][0], has, lacks, r + " below")
        yield word, one
    for word, (flags, has, lacks) in OPPOSITES.items():
        def back(word=word, flags=flags, has=has, lacks=lacks):
            with host_mount("host", flags, below="sub", below_flags=flags) as path:
                plain = mounts_of(bind(path, "/x", "rbind", word))
                seen(plain["/x"][0], has, lacks, word)
                if lacks:
                    check(lacks in plain["/x/sub"][0], "%s changed what is below" % word)
                every = mounts_of(bind(path, "/x", "rbind", "r" + word))
                seen(every["/x"][0], has, lacks, "r" + word)
                seen(every["/x/sub"][0], has, lacks, "r" + word + " below")
        yield word, back


@test(root=True)
def test_later_words_win():
    equal("ro" in mounts_of(bind(volume(), "/x", "bind", "rw", "ro"))["/x"][0], True, "rw, ro")
    equal("ro" in mounts_of(bind(volume(), "/x", "bind", "ro", "rw"))["/x"][0], False, "ro, rw")
    got = mounts_of(bind(volume(), "/x", "bind", "noatime", "strictatime"))["/x"][0]
    check("noatime" not in got and "relatime" not in got, "noatime, strictatime: %s" % got)
    check("noatime" in mounts_of(bind(volume(), "/x", "bind", "strictatime", "noatime", "nostrictatime"))["/x"][0], "nostrictatime undid noatime")


@test(root=True)
def test_effects():
    """What the words are for."""
    with host_mount("host", below="sub") as path:
        for place in (path, path + "/sub"):
            shutil.copy(os.path.join(rootfs(), "bin/busybox"), place + "/echo")
            os.mknod(place + "/null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
            os.symlink("echo", place + "/link")
        script = """cd /x
for d in . sub; do
  touch $d/t 2>/dev/null && echo $d written
  $d/echo $d executed 2>/dev/null
  (: > $d/null) 2>/dev/null && echo $d device
  cat $d/link >/dev/null 2>&1 && echo $d followed
done; true"""
        deeds = ("written", "executed", "device", "followed")
        linux = {"resources": {"devices": [{"allow": True, "access": "rwm"}]}}
        for words, topmost, below in (
                (["rbind"], deeds, deeds), (["rbind", "ro"], deeds[1:], deeds), (["rbind", "rro"], deeds[1:], deeds[1:]),
                (["rbind", "noexec", "rnodev"], ("written", "followed"), ("written", "executed", "followed")),
                (["rbind", "nosymfollow"], deeds[:3], deeds), (["rbind", "rnosymfollow", "rnoexec"], ("written", "device"), ("written", "device"))):
            got = set(out(script, bind(path, "/x", *words), linux=linux).splitlines())
            # a device that is read-only may be written to
            equal(got, {". " + deed for deed in topmost} | {"sub " + deed for deed in below}, "what %s allows" % words)


@test(root=True)
def test_access_times():
    path = volume()
    script = "cat /x/file; stat -c %X /x/file"
    for word, changes in (("noatime", False), ("strictatime", True)):
        os.utime(path + "/file", (1000, 500))  # newer than its contents: relatime would leave it
        equal(out(script, bind(path, "/x", "bind", word)) == "v\n1000\n", not changes, word)


@test(root=True)
def test_superblock_words():
    got = mounts_of(entry("/x", "tmpfs", ["sync", "dirsync", "lazytime", "mand", "iversion", "size=64k", "silent", "defaults"]))["/x"]
    check({"sync", "dirsync", "lazytime", "mand", "size=64k"} <= got[4], "superblock: %s" % sorted(got[4]))
    got = mounts_of(entry("/x", "tmpfs", ["sync", "lazytime", "mand", "async", "nolazytime", "nomand", "noiversion", "loud", "norelatime"]))["/x"]
    check(not {"sync", "lazytime", "mand"} & got[4], "superblock: %s" % sorted(got[4]))
    got = mounts_of(entry("/x", "tmpfs", ["iversion", "nosuid", "noatime", "size=64k", "private"]))["/x"]
    check({"nosuid", "noatime"} <= got[0] and "size=64k" in got[4], "iversion: %s" % (got,))
    got = mounts_of(entry("/x", "ramfs", ["ro", "mode=700"]))["/x"]
    check("ro" in got[0] and "ro" in got[4] and "mode=700" in got[4], "ramfs: %s" % (got,))


@test(root=True)
def test_words_of_the_file_system():
    got = mounts_of(entry("/x", "tmpfs", ["size=1m", "mode=1700", "nr_inodes=77", "uid=5", "gid=6"]))["/x"]
    check({"size=1024k", "mode=1700", "nr_inodes=77", "uid=5", "gid=6"} <= got[4], "tmpfs: %s" % sorted(got[4]))
    refused(run("true", entry("/x", "tmpfs", ["frobnicate=7"])), "mounts[6]", "frobnicate", "Unknown parameter")
    refused(run("true", entry("/x", "tmpfs", ["size=many"])), "mounts[6]", "size=many")
    refused(run("true", entry("/x", "nonesuch")), "mounts[6]", "nonesuch", "No such device")
    refused(run("true", bind(volume(), "/x", "bind", "noexce")), "mounts[6]", "noexce", "bind mount")
    refused(run("true", entry("/x", "tmpfs", ["a" * 5000])), "mounts[6].options[0]", "4095")
    refused(run("true", entry("/x", "tmpfs", [7])), "mounts[6].options[0]")
    equal(out("ls /proc | grep -c '^[0-9]'", entry("/proc", "proc", ["hidepid=2"])) != "", True, "a second procfs over the first")
    check("hidepid=invisible" in mounts_of(entry("/proc", "proc", ["hidepid=2"]))["/proc"][4], "hidepid")


@test(root=True)
def test_overlay():
    """A value that is longer than fsconfig(2) takes; upper and lower directories of the host."""
    lower = []
    for letter in "ab":
        path = tmp(letter * 150)
        with open(path + "/" + letter, "w") as file:
            file.write(letter)
        lower.append(path)
    upper, work = tmp("upper"), tmp("work")
    options = ["lowerdir=" + ":".join(lower), "upperdir=" + upper, "workdir=" + work]
    equal(out("cat /x/a /x/b; echo c > /x/c", entry("/x", "overlay", options)), "ab", "overlay")
    with open(upper + "/c") as file:
        equal(file.read(), "c\n", "the upper directory")


# ---- where ----

@test(root=True)
def test_destinations():
    path = volume()
    equal(out("cat /new/a/b/file /new/f", bind(path, "/new/a/b", "bind"), bind(path + "/file", "/new/f", "bind")), "v\nv\n", "made destinations")
    equal(out("cat /a/file", bind(path, "a", "bind")), "v\n", "a relative destination begins at /")
    equal(out("cat /b/file", bind(path, "/x/../b//.", "bind")), "v\n", "a destination with ..")
    b = Bundle("cat /c", [bind("here/file", "/c", "bind")])
    os.makedirs(b.dir + "/here")
    with open(b.dir + "/here/file", "w") as file:
        file.write("relative\n")
    equal(b.run().check(0).stdout, "relative\n", "a source relative to the bundle")
    equal(out("cat /d/file", entry("/d", "bind", [], path)), "v\n", "type bind without the word")
    refused(run("true", bind("/nonesuch/x", "/x", "bind")), "mounts[6].source", "/nonesuch/x", "No such file")
    refused(run("true", bind(path, "/", "bind")), "mounts[6].destination", "root")
    refused(run("true", bind(path, "/etc/passwd", "bind")), "mounts[6]", "/etc/passwd", "directory")
    refused(run("true", bind(path + "/file", "/etc", "bind")), "mounts[6]", "/etc", "file")
    refused(run("true", {"type": "tmpfs", "source": "x"}), "mounts[6]", "destination is missing")
    refused(run("true", {"destination": "/x", "source": "x"}), "mounts[6]", "type is missing")
    refused(run("true", entry("/x", "none", ["bind"], "")), "mounts[6]", "source")


@test(root=True)
def test_order():
    """In the listed order, whatever lies below what: a later one covers."""
    path = volume()
    equal(out("ls /x", bind(path, "/x/y", "bind"), entry("/x", "tmpfs")), "", "a tmpfs over what was mounted before")
    equal(out("ls /x /x/y", entry("/x", "tmpfs"), bind(path, "/x/y", "bind")), "/x:\ny\n\n/x/y:\nfile\n", "a mount in a tmpfs")


@test(root=True)
def test_planted_links():
    """A link of the rootfs leads nowhere out of it (CVE-2021-30465, CVE-2024-45310), nor into procfs."""
    canary = tmp("canary")
    b = Bundle("cat /proc/self/mountinfo", [], fresh=True)
    before = leftovers()
    for name, target in (("abs", canary), ("up", "../../../../../../../../" + canary), ("magic", "/proc/self/root" + canary),
                         ("cwd", "/proc/self/cwd"), ("loop", "loop")):
        os.symlink(target, os.path.join(b.root, name))
    os.symlink("/proc/sys", os.path.join(b.root, "sysctl"))
    os.symlink("/proc/1", os.path.join(b.root, "one"))
    for destination in ("/abs/x", "/up/x"):
        b.config["mounts"] = BASICS + [entry(destination, "tmpfs")]
        check(canary + "/x" in mounted(b.run().check(0).stdout), "the link does not lead to its path inside")
        check(os.path.isdir(b.root + canary + "/x"), "what it leads to was made inside")
        shutil.rmtree(b.root + canary)
    equal(os.listdir(canary), [], "what was made on the host")
    os.symlink("../run/there", b.root + "/etc/rel")
    os.symlink("/etc/rel", b.root + "/chain")
    b.config["mounts"] = BASICS + [entry("/chain/in/it", "tmpfs"), bind(volume() + "/file", "/chain/f", "bind")]
    got = mounted(b.run().check(0).stdout)
    check("/run/there/in/it" in got and "/run/there/f" in got, "links that lead to what is missing: %s" % sorted(got))
    for destination in ("/magic/x", "/cwd/x", "/loop/x", "/sysctl/net", "/one/fd"):
        for kind in (entry(destination, "tmpfs"), bind(canary, destination, "bind")):
            b.config["mounts"] = BASICS + [kind]
            refused(b.run(), "mounts[6]")
    equal(os.listdir(canary), [], "what was made on the host")
    assert_clean(before)


@test(root=True, timeout=120)
def test_exchanged_paths():
    """Another container exchanges a directory of a shared volume for a link while mounts are made there (CVE-2021-30465)."""
    shared, canary = volume(), tmp("canary")
    os.makedirs(shared + "/a/b")
    os.symlink(canary, shared + "/link")
    over = threading.Event()

    def exchange():
        while not over.is_set():
            for pair in ((shared + "/a", shared + "/kept"), (shared + "/link", shared + "/a"), (shared + "/a", shared + "/link"),
                         (shared + "/kept", shared + "/a")):
                try:
                    os.rename(*pair)
                except OSError:
                    pass
    thread = threading.Thread(target=exchange, daemon=True)
    thread.start()
    ends = {0: 0, 1: 0}
    try:
        b = Bundle("cat /proc/self/mountinfo", [bind(shared, "/v", "rbind"), entry("/v/a/b/c", "tmpfs", ["size=64k"])])
        for _ in range(60):
            result = b.run()
            ends[result.status] += 1  # any other status is an error of its own
            for target in mounted(result.stdout):
                check(not target.startswith("/proc/"), target)
    finally:
        over.set()
        thread.join()
    equal(os.listdir(canary), [], "what was made on the host")
    check(not any(target.startswith(canary) for target, *_ in mountinfo()), "mounted on the host")
    check(ends[0] > 0, "none of the launches succeeded: %s" % ends)


@test(root=True)
def test_below_proc():
    path = volume()
    equal(out("cat /proc/uptime", bind(path + "/file", "/proc/uptime", "bind")), "v\n", "a file that lxcfs covers")
    equal(out("ls /proc/fs", entry("/proc/fs", "tmpfs", ["ro"])), "", "hidden by a tmpfs")
    for place in ("/proc/sys/kernel/hostname", "/proc/self/status", "/proc/1/attr/exec", "/proc/version"):
        refused(run("true", bind(path + "/file", place, "bind")), "mounts[6]", place, "inside /proc")
    refused(run("true", bind(path, "/proc/sys", "bind")), "mounts[6]", "inside /proc")


# ---- tmpfs ----

@test(root=True)
def test_tmpfs_mode():
    b = Bundle("stat -c %a /tmp /here /new /said", [entry(place, "tmpfs") for place in ("/tmp", "/here", "/new")] + [entry("/said", "tmpfs", ["mode=711"])],
               fresh=True)
    os.chmod(b.root + "/tmp", 0o1777)
    os.mkdir(b.root + "/here")
    os.chmod(b.root + "/here", 0o2750)
    equal(b.run().check(0).stdout.split(), ["1777", "2750", "1777", "711"], "modes: of what is covered, and open to all where nothing was")


@test(root=True)
def test_copy_up():
    b = Bundle("cd /cu; stat -c '%n %a %u:%g %F %Y' . d d/f p; cat d/f l; readlink l; echo more > d/f; ls; grep ' /cu ' /proc/self/mountinfo >&2",
               [entry("/cu", "tmpfs", ["tmpcopyup", "size=1m", "nosuid"])], fresh=True)
    top = b.root + "/cu"
    os.makedirs(top + "/d")
    with open(top + "/d/f", "w") as file:
        file.write("text\n")
    os.chown(top + "/d/f", 7, 8)
    os.chmod(top + "/d/f", 0o4755)
    os.utime(top + "/d/f", (1234567, 7654321))
    os.symlink("d/f", top + "/l")
    os.symlink("/etc/shadow", top + "/evil")
    os.mkfifo(top + "/p", 0o600)
    os.chmod(top, 0o1711)
    os.utime(top + "/d", (5, 6))
    result = b.run().check(0)
    lines = result.stdout.splitlines()
    check(lines[0].startswith(". 1711 0:0 directory"), lines[0])
    equal(lines[1:4], ["d 755 0:0 directory 6", "d/f 4755 7:8 regular file 7654321"] + [lines[3]], "what was copied")
    check(lines[3].startswith("p 600 0:0 fifo"), lines[3])
    equal(lines[4:7], ["text", "text", "d/f"], "contents and link")
    equal(sorted(lines[7:]), ["d", "evil", "l", "p"], "names")
    with open(top + "/d/f") as file:
        equal(file.read(), "text\n", "what was covered")
    b.config["mounts"][-1]["options"] = ["tmpcopyup", "size=64k"]
    with open(top + "/big", "wb") as file:
        file.write(b"x" * 200000)
    refused(b.run(), "mounts[6]", "big", "No space left")
    refused(run("true", bind(volume(), "/x", "bind", "tmpcopyup")), "tmpcopyup")
    refused(run("true", entry("/x", "ramfs", ["tmpcopyup"])), "tmpcopyup")


@test(root=True)
def test_readonly_tmpfs():
    """Mount points are made in it all the same, and it is read-only in the end; so is /dev, in which nodes are made."""
    path = volume()
    equal(out("cat /x/y/z/file; touch /x/t 2>/dev/null || echo no", entry("/x", "tmpfs", ["ro"]), bind(path, "/x/y/z", "bind")), "v\nno\n", "tmpfs")
    mounts = [dict(m, options=m["options"] + ["ro"]) if m["destination"] == "/dev" else m for m in BASICS]
    equal(out(": > /dev/null && echo null; touch /dev/t 2>/dev/null || echo no; touch /dev/shm/t && echo shm", *mounts, only=True), "null\nno\nshm\n", "/dev")


@test(root=True)
def test_remount():
    path = volume()
    got = mounts_of(bind(path, "/x", "bind", "nosuid"), entry("/x", "none", ["bind", "remount", "ro", "noexec"]))["/x"][0]
    check({"ro", "noexec", "nosuid"} <= got, "bind, remount: %s" % got)
    got = mounts_of(entry("/x", "tmpfs", ["size=64k", "nosuid"]), entry("/x", "tmpfs", ["remount", "size=128k", "nodev"]))["/x"]
    check("size=128k" in got[4] and {"nosuid", "nodev"} <= got[0], "remount: %s" % (got,))
    got = mounts_of(entry("/dev", "none", ["remount", "ro"]))["/dev"][0]
    check("ro" in got, "remount of /dev: %s" % got)
    refused(run("true", entry("/etc", "none", ["remount", "ro"])), "mounts[6]", "/etc", "nothing is mounted")


# ---- propagation ----

@test(root=True)
def test_propagation_words():
    """The host's mounts are shared in these tests, as under systemd."""
    path = volume()
    for word, wanted in (("private", ""), ("rprivate", ""), ("slave", "master:"), ("rslave", "master:"), ("shared", "shared:"), ("rshared", "shared:"),
                         ("unbindable", "unbindable"), ("runbindable", "unbindable"), (None, "master:")):
        got = mounts_of(bind(path, "/x", "rbind", *([word] if word else [])))["/x"][1]
        check(wanted in got if wanted else got == "", "%s: %r" % (word, got))
        if wanted == "shared:":
            contains(got, "master:", "shared among its own, and still the host's slave")
    check(mounts_of(entry("/x", "tmpfs", ["shared"]))["/x"][1].startswith("shared:"), "a tmpfs that is shared")


@test(root=True)
def test_recursive_propagation():
    with host_mount("host", below="sub") as path:
        got = mounts_of(bind(path, "/x", "rbind", "private"))
        equal((got["/x"][1], got["/x/sub"][1].split(":")[0]), ("", "master"), "private")
        got = mounts_of(bind(path, "/x", "rbind", "rprivate"))
        equal((got["/x"][1], got["/x/sub"][1]), ("", ""), "rprivate")
        equal("/x/sub" in mounts_of(bind(path, "/x", "bind")), False, "bind takes what is mounted below along")


@contextlib.contextmanager
def waiting(b):
    """The container runs and goes on when a line comes."""
    process = subprocess.Popen([binary()] + b.argv(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    try:
        equal(process.stdout.readline(), b"up\n", "the first line")
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@test(root=True)
def test_propagation_from_the_host():
    for word, comes in (("rslave", True), ("rprivate", False), ("rshared", True)):
        path = tmp("host-" + word)
        os.makedirs(path + "/sub", exist_ok=True)
        with waiting(Bundle("echo up; read x; ls /x/sub", [bind(path, "/x", "rbind", word)])) as process:
            mount("tmpfs", path + "/sub", "tmpfs")
            try:
                open(path + "/sub/seen", "w").close()
                stdout, _ = process.communicate(b"\n", timeout=20 * SLOW)
                equal(stdout, b"seen\n" if comes else b"", word)
            finally:
                umount(path + "/sub")


@test(root=True)
def test_propagation_to_the_host():
    """Both ways where rootfsPropagation is shared and the mount, too: what engines call rshared."""
    for root, word, goes in (("shared", "rshared", True), ("rshared", "rshared", True), ("rslave", "rshared", False), ("shared", "rslave", False),
                             ("shared", "rprivate", False), ("private", "rshared", False)):
        path = tmp("host-%s-%s" % (root, word))
        os.makedirs(path + "/sub", exist_ok=True)
        b = Bundle("mount -t tmpfs none /x/sub; echo up; read x", [bind(path, "/x", "rbind", word)], linux={"rootfsPropagation": root})
        with waiting(b) as process:
            here = any(target == path + "/sub" for target, *_ in mountinfo())
            process.communicate(b"\n", timeout=20 * SLOW)
        if here:
            umount(path + "/sub", 2)
        equal(here, goes, "root %s, mount %s" % (root, word))


@test(root=True)
def test_rootfs_propagation():
    for word, wanted in (("", "master:"), ("slave", "master:"), ("rslave", "master:"), ("private", ""), ("rprivate", ""), ("shared", "shared:"),
                         ("rshared", "shared:"), ("unbindable", "unbindable"), ("runbindable", "unbindable")):
        got = mounts_of(entry("/x", "tmpfs", ["private"]), linux={"rootfsPropagation": word})
        check(wanted in got["/"][1] if wanted else got["/"][1] == "", "%s: %r" % (word, got["/"][1]))
        if wanted == "shared:":
            check("master:" not in got["/"][1], "a peer group of its own: %r" % got["/"][1])
    refused(run("true", linux={"rootfsPropagation": "rslaves"}), "linux.rootfsPropagation", "rslave")


# ---- ids ----

@test(root=True)
def test_idmap():
    """The ids of the disk show as others; what is written gets those of the disk."""
    path = volume()
    os.chown(path + "/file", 1, 2)
    os.chmod(path, 0o777)
    map_ = [{"containerID": 0, "hostID": 5000, "size": 100}]
    b = Bundle("stat -c %u:%g /x/file; touch /x/new; stat -c %u:%g /x/new", [bind(path, "/x", "bind", "idmap", uidMappings=map_, gidMappings=map_)])
    b.config["process"]["user"] = {"uid": 5009, "gid": 5010}
    lines = b.run().check(0).stdout.split()
    equal(lines, ["5001:5002", "5009:5010"], "shown")
    made = os.stat(path + "/new")
    equal((made.st_uid, made.st_gid), (9, 10), "on disk")
    for words in (["bind"], ["bind", "ridmap"]):  # the maps alone mean idmap, too
        b.config["mounts"][-1]["options"] = words
        equal(b.run().check(0).stdout.split()[0], "5001:5002", str(words))


@test(root=True)
def test_idmap_of_the_container():
    path = volume()
    script = "stat -c %u:%g /x/file /y/file"
    b = Bundle(script, [bind(path, "/x", "bind", "idmap"), bind(path, "/y", "bind")], remapped=True)
    equal(b.run().check(0).stdout.split(), ["0:0", "65534:65534"], "through the container's own map, and without")
    refused(run("true", bind(path, "/x", "bind", "idmap")), "mounts[6]", "idmap", "user namespace")
    os.chown(path + "/file", 3, 4)
    equal(out("stat -c %u:%g /x/file", bind(path, "/x", "bind", "idmap", uidMappings=id_map(5)["uidMappings"])).split(), ["8:4"],
          "users alone are mapped")
    refused(run("true", entry("/x", "tmpfs", ["idmap"])), "mounts[6]", "idmap")
    refused(run("true", bind(path, "/x", "bind", "idmap", **{"uidMappings": [{"containerID": 0, "hostID": 0}], "gidMappings": []})),
            "mounts[6].uidMappings[0]", "size")


@test(root=True)
def test_idmap_recursive():
    with host_mount("host", below="sub") as path:
        maps = id_map(7000, 10)
        for word, below in (("idmap", "0:0"), ("ridmap", "7000:7000")):
            got = out("stat -c %u:%g /x /x/sub", bind(path, "/x", "rbind", word, **maps)).split()
            equal(got, ["7000:7000", below], word)


@test(root=True)
def test_idmap_as_podman_writes_it():
    path = volume()
    os.chown(path + "/file", 3, 4)
    equal(out("stat -c %u:%g /x/file", bind(path, "/x", "bind", "idmap=uids=3-8000-1;gids=4-9000-1")).split(), ["8000:9000"], "shown")
    got = out("stat -c %u:%g /x/file", bind(path, "/x", "bind", "idmap=uids=@3-12-1;gids=@4-13-1"), remapped=True).split()
    equal(got, ["12:13"], "by the container's numbers")
    refused(run("true", bind(path, "/x", "bind", "idmap=uids=3")), "mounts[6]", "idmap")


# ---- namespaces, control groups ----

@generate(root=True)
def ordinary():
    """Engines' mounts for an ordinary user, with ranges and with one id."""
    for name in ("ranger", "single"):
        def one(name=name):
            who = {"ranger": ranger, "single": single}[name]()
            got = mounts_of(bind("/etc/hostname", "/etc/hostname", "rbind", "rprivate"), who=who, script="ls -l /dev; touch /dev/shm/x && : > /dev/null")
            equal({target: got[target][2] for target in ("/proc", "/dev", "/dev/pts", "/sys", "/dev/mqueue", "/dev/shm")},
                  {"/proc": "proc", "/dev": "tmpfs", "/dev/pts": "devpts", "/sys": "sysfs", "/dev/mqueue": "mqueue", "/dev/shm": "tmpfs"}, "types")
            check({"ro", "nosuid", "noexec", "nodev"} <= got["/sys"][0], "sysfs: %s" % got["/sys"][0])
            equal("gid=%d" % (who.subuid[0] + 4) in got["/dev/pts"][4] if who.subuid else any("gid" in w for w in got["/dev/pts"][4]), bool(who.subuid),
                  "devpts: %s" % got["/dev/pts"][4])
        yield name, one


@test(root=True)
def test_namespaces_of_the_host():
    """Under a user namespace nobody inside may mount what shows the host's: as root it is made outside, with the flags that config.json says."""
    got = mounts_of(remapped=True, spaces=("uts", "mount"))
    for target, kind in (("/proc", "proc"), ("/sys", "sysfs"), ("/dev/mqueue", "mqueue")):
        check(got[target][2] == kind and {"nosuid", "noexec", "nodev"} <= got[target][0], "%s: %s" % (target, got[target]))
    check("ro" in got["/sys"][0] and "ro" not in got["/proc"][0], "read-only where it was said")
    equal(out("[ -d /proc/%d ] && echo there" % os.getpid(), remapped=True, spaces=("uts", "mount")), "there\n", "the host's processes")


def hierarchies():
    """{name: options of its superblock} of v1, and the names of v2 mounts."""
    one = {os.path.basename(e[0]): set(e[6].split(",")) - {"rw", "xattr", "seclabel"} for e in mountinfo() if e[4] == "cgroup"}
    return one, [os.path.basename(e[0]) for e in mountinfo() if e[4] == "cgroup2"]


GROUPS = entry("/sys/fs/cgroup", "cgroup", ["ro", "nosuid", "noexec", "nodev"])


def shown_groups(own, remapped):
    v1, v2 = hierarchies()
    if not v1:
        skip("this host has cgroup v2 alone: tests/vm")
    how = {"spaces": SPACES + (("cgroup",) if own else ()), "remapped": remapped}
    text = out("cat /proc/self/mountinfo", GROUPS, **how)
    got = mounted(text)
    equal(got["/sys/fs/cgroup"][2:4], ("tmpfs", "cgroup"), "/sys/fs/cgroup")
    for name in list(v1) + v2:
        place = "/sys/fs/cgroup/" + name
        equal(got[place][2], "cgroup" if name in v1 else "cgroup2", place)
        check({"ro", "nosuid", "noexec", "nodev"} <= got[place][0], "%s: %s" % (place, got[place][0]))
    roots = {line.split()[4]: line.split()[3] for line in text.splitlines()}
    for name in (n for n in ("memory", "pids", "cpu") if n in v1):
        root = roots["/sys/fs/cgroup/" + name]
        check(root == "/" if own else root != "/", "%s shows %s" % (name, root))
    script = "grep -cx 1 /sys/fs/cgroup/memory/cgroup.procs; mkdir /sys/fs/cgroup/memory/n /sys/fs/cgroup/n 2>&1 | grep -c Read-only"
    equal(out(script, GROUPS, **how).split(), ["1", "2"], "PID 1 in the group that is shown, and writes that were refused")
    writable = dict(GROUPS, options=["rprivate", "nosuid", "noexec", "nodev", "relatime", "rw"])
    check("rw" in mounts_of(writable, **how)["/sys/fs/cgroup/memory"][0], "rw")


@generate(root=True)
def control_groups():
    for own in (True, False):
        for remapped in (False, True):
            name = "%s, %s" % ("own namespace" if own else "the host's", "remapped" if remapped else "root")
            yield name, lambda own=own, remapped=remapped: shown_groups(own, remapped)


@test(root=True)
def test_merged_control_groups():
    """Two controllers in one hierarchy: its directory, and a link for each."""
    place = tmp("net_cls,net_prio")
    if any("net_cls" in e[6] for e in mountinfo()):
        skip("net_cls is mounted already")
    try:
        mount("cgroup", place, "cgroup", 0, "net_cls,net_prio")
    except OSError as error:
        skip("net_cls and net_prio cannot be mounted: %s" % error)
    try:
        for spaces in (SPACES, SPACES + ("cgroup",)):
            got = out("cd /sys/fs/cgroup; readlink net_cls; readlink net_prio; ls net_prio/net_cls.classid", GROUPS, spaces=spaces)
            equal(got, "net_cls,net_prio\nnet_cls,net_prio\nnet_prio/net_cls.classid\n", "links")
    finally:
        umount(place)


# ---- devices ----

DEFAULTS = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}


def listed(text):
    """{path: (type, mode, uid, gid, major, minor)} of lines of stat."""
    found = {}
    for line in text.splitlines():
        name, mode, uid, gid, major, minor = line.split()
        found[name] = (stat.S_IFMT(int(mode, 16)), int(mode, 16) & 0o7777, int(uid), int(gid), int(major, 16), int(minor, 16))
    return found


STAT = "stat -c '%n %f %u %g %t %T' "


@generate(root=True)
def default_devices():
    def one(**how):
        names = " ".join("/dev/" + name for name in DEFAULTS)
        text = out(STAT + names + "; echo; cd /dev; for l in fd stdin stdout stderr ptmx; do readlink $l; done; echo x > null; head -c 3 zero | wc -c; "
                   "head -c 2 urandom | wc -c; echo x 2>/dev/null > full || echo nospace; [ -c /dev/ptmx ] && echo pty", **how)
        nodes, _, rest = text.partition("\n\n")
        got = listed(nodes)
        equal({name[5:]: value[4:] for name, value in got.items()}, DEFAULTS, "numbers")
        equal({value[:2] for value in got.values()}, {(stat.S_IFCHR, 0o666)}, "type and mode")
        equal(rest.split(), ["/proc/self/fd", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2", "pts/ptmx", "3", "2", "nospace", "pty"], "links, and what they do")
    yield "root", lambda: one()
    yield "remapped", lambda: one(remapped=True)
    yield "ranger", lambda: one(who=ranger())
    yield "single", lambda: one(who=single())


@test(root=True)
def test_default_devices_in_the_rootfs():
    """Without a mount on /dev they are made in the rootfs' own; what an image has in their place is covered; a bound /dev stays as it is."""
    plain = [BASICS[0]]
    b = Bundle(STAT + "/dev/null; echo x > /dev/null; cat /dev/null; ls /dev", plain, only=True, fresh=True)
    os.makedirs(b.root + "/dev", exist_ok=True)
    for name in os.listdir(b.root + "/dev"):
        path = os.path.join(b.root, "dev", name)
        os.unlink(path) if not os.path.isdir(path) else shutil.rmtree(path)
    open(b.root + "/dev/null", "w").close()
    open(b.root + "/dev/ptmx", "w").close()
    result = b.run().check(0)
    equal(listed(result.stdout.splitlines()[0])["/dev/null"][4:], (1, 3), "a file of the image")
    equal(os.stat(b.root + "/dev/null").st_size, 0, "what was written to it")
    check(stat.S_ISCHR(os.stat(b.root + "/dev/zero").st_mode), "made in the rootfs")
    empty = tmp("empty")
    equal(out("ls /dev", bind(empty, "/dev", "rbind"), plain[0], only=True), "", "a bound /dev")


@generate(root=True)
def devices():
    """linux.devices: anywhere, with mode and owner as they are said, whatever the umask."""
    wanted = [
        {"path": "/dev/one", "type": "c", "major": 1, "minor": 3, "fileMode": 0o662, "uid": 4, "gid": 9},
        {"path": "/run/deep/er/two", "type": "u", "major": 1, "minor": 5},
        {"path": "/dev/disk", "type": "b", "major": 7, "minor": 77, "fileMode": 0o60640},
        {"path": "/run/fifo", "type": "p", "fileMode": 0o622, "uid": 1, "gid": 2},
        {"path": "/dev/null", "type": "c", "major": 1, "minor": 3},
        {"path": "/dev/ptmx", "type": "c", "major": 5, "minor": 2},
    ]

    def one(**how):
        text = out("rm -f /run/fifo; true", linux={}, **how) + out(STAT + "/dev/one /run/deep/er/two /dev/disk /run/fifo; readlink /dev/ptmx; echo x > /dev/one; head -c 2 /run/deep/er/two | wc -c",
                   linux={"devices": wanted}, **how)
        lines = text.splitlines()
        got = listed("\n".join(lines[:4]))
        equal(got["/dev/one"], (stat.S_IFCHR, 0o662, 4, 9, 1, 3), "/dev/one")
        equal(got["/run/deep/er/two"], (stat.S_IFCHR, 0o666, 0, 0, 1, 5), "two")
        equal(got["/dev/disk"], (stat.S_IFBLK, 0o640, 0, 0, 7, 77), "disk")
        equal(got["/run/fifo"][:4], (stat.S_IFIFO, 0o622, 1, 2), "fifo")
        equal(lines[4:], ["pts/ptmx", "2"], "ptmx is the container's own, and the nodes work")
    yield "root", lambda: one()
    yield "remapped", lambda: one(remapped=True)


@test(root=True)
def test_devices_bound():
    """An ordinary user's are the host's own."""
    node = {"path": "/dev/zero2", "type": "c", "major": 1, "minor": 5}
    refused(run("true", linux={"devices": [dict(node, minor=250)]}, who=ranger()), "linux.devices[0]", "1:250")
    node = {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229}
    if os.path.exists("/dev/fuse"):
        equal(listed(out(STAT + "/dev/fuse", linux={"devices": [node]}, who=ranger()))["/dev/fuse"][4:], (10, 229), "the host's node")


@test(root=True)
def test_bad_devices():
    good = {"path": "/dev/x", "type": "c", "major": 1, "minor": 3}
    for change, words in (
            ({"type": "x"}, ("linux.devices[0].type", "'x'")), ({"major": 5000}, ("linux.devices[0].major",)), ({"minor": -1}, ("linux.devices[0].minor",)),
            ({"path": "dev/x"}, ("linux.devices[0].path", "absolute")), ({"path": "/"}, ("linux.devices[0].path",)), ({"uid": -1}, ("linux.devices[0].uid",)),
            ({"fileMode": "666"}, ("linux.devices[0].fileMode",))):
        refused(run("true", linux={"devices": [dict(good, **change)]}), *words)
    for gone in ("path", "type", "major", "minor"):
        refused(run("true", linux={"devices": [{k: v for k, v in good.items() if k != gone}]}), "linux.devices[0]", gone)
    refused(run("true", linux={"devices": [dict(good, path="/etc/passwd")]}), "linux.devices[0]", "/etc/passwd", "something else")
    refused(run("true", linux={"devices": [dict(good, path="/dev/zero")]}), "linux.devices[0]", "/dev/zero")
    refused(run("true", linux={"devices": [dict(good, path="/etc/passwd")]}, remapped=True), "linux.devices[0]", "/etc/passwd", "something else")


@test(root=True)
def test_device_rules():
    """In their order, and after them what every container may use; making a node is no use without the right to open it."""
    deny = {"allow": False, "access": "rwm"}
    # device 10:229 is fuse, which anybody may open
    script = "mknod /dev/f c 10 229 && mknod /dev/k c 1 11 && echo made; for n in null zero random f k; do (: < /dev/$n) 2>/dev/null && echo $n; done; " \
             "(: > /dev/f) 2>/dev/null && echo w; true"
    fuse = {"type": "c", "major": 10, "minor": 229}
    for rules, allowed in (
            (None, ""), ([deny], ""), ([{"allow": True}], "f k w"), ([deny, dict(fuse, allow=True, access="r")], "f"),
            ([{"allow": True, "type": "a", "access": "rwm"}, dict(fuse, allow=False, access="rw")], "k"),
            ([{"allow": True}, dict(fuse, allow=False, access="w")], "f k"),
            ([deny, {"allow": True, "type": "c", "major": 1, "minor": -1, "access": "rwm"}], "k"),
            ([dict(fuse, allow=True, access="rw"), deny], "")):
        b = Bundle(script, linux={} if rules is None else {"resources": {"devices": rules}})
        for kind in b.config["process"]["capabilities"]:
            b.config["process"]["capabilities"][kind] = CAPS + ["CAP_SYSLOG"]
        equal(set(b.run().check(0).stdout.split()), {"made", "null", "zero", "random"} | set(allowed.split()), "with %s" % json.dumps(rules))
    for bad, words in (({"access": "rwm"}, ("allow is missing",)), ({"allow": True, "access": "rx"}, ("access",)), ({"allow": True, "type": "p"}, ("type",)),
                       ({"allow": True, "major": "1"}, ("major",))):
        refused(run("true", linux={"resources": {"devices": [bad]}}), "linux.resources.devices[0]", *words)
    # nobody there makes a node that opens, and no filter can be loaded: what engines say to everybody is no error
    equal(out("echo here", linux={"resources": {"devices": [deny, {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rwm"}]}}, who=ranger()), "here\n",
          "an ordinary user's")


# ---- masks, the root itself ----

@test(root=True)
def test_masked_and_readonly_paths():
    path = volume()
    masked = ["/proc/kcore", "/proc/meminfo", "/sys/firmware", "/nonesuch", "/proc/nonesuch/x", "/v/file", "/etc"]
    readonly = ["/proc/sys", "/proc/nonesuch", "/w", "/nonesuch"]
    script = "cat /proc/meminfo /v/file | wc -c; ls /sys/firmware /etc | grep -vc :; echo x > /v/file; touch /etc/x 2>&1 | grep -c Read-only; " \
             "echo x > /proc/sys/kernel/hostname || echo sys; touch /w/t || echo w; touch /w/sub/t || echo sub"
    for how in ({}, {"remapped": True}):
        with host_mount("host", below="sub") as tree:
            os.chmod(tree, 0o777)
            os.chmod(tree + "/sub", 0o777)
            linux = {"maskedPaths": masked, "readonlyPaths": readonly}
            got = run(script, bind(path, "/v", "bind"), bind(tree, "/w", "rbind"), linux=linux, **how).check(0)
            words = got.stdout.split()
            equal(words[:1] + words[2:], ["0", "1", "sys", "w", "sub"], "%s" % how)
            equal(open(path + "/file").read(), "v\n", "what is below a mask")
    refused(run("true", linux={"maskedPaths": ["etc"]}), "linux.maskedPaths[0]", "absolute")
    refused(run("true", linux={"readonlyPaths": [1]}), "linux.readonlyPaths[0]")


@test(root=True)
def test_readonly_root():
    b = Bundle("touch /t 2>/dev/null || echo ro; cat /new/place/file; touch /new/place/t && echo volume", [bind(volume(), "/new/place", "bind")], readonly=True, fresh=True)
    equal(b.run().check(0).stdout, "ro\nv\nvolume\n", "mount points are made in a root that is read-only later")
    check(os.path.isdir(b.root + "/new/place"), "made in the rootfs")
    equal(out("touch /t 2>/dev/null || echo ro", readonly=True, remapped=True), "ro\n", "remapped")
    equal(out("touch /t 2>/dev/null || echo ro", readonly=True, who=single()), "ro\n", "single")
    refused(run("true", readonly=1), "root.readonly")


@test(root=True)
def test_no_pivot():
    """For a host whose root cannot be pivoted: nothing of the host's mounts is left below."""
    for how in ({}, {"remapped": True}):
        b = Bundle("cat /proc/self/mountinfo; ls /", **how)
        got = b.run("--no-pivot").check(0)
        lines = [line for line in got.stdout.splitlines() if " - " in line]
        check(mounted("\n".join(lines))["/proc"][2] == "proc", "procfs")
        names = got.stdout.splitlines()[len(lines):]
        equal(sorted(names), sorted(os.listdir(b.root)), "the root")


@test(root=True)
def test_rootfs_of_the_host():
    b = Bundle("", [BASICS[0]], only=True, root="/", readonly=True)
    b.config["process"]["args"] = ["/bin/sh", "-c", "ls -d '%s'; touch /nsrun-was-here 2>/dev/null || echo ro" % TOP]
    equal(b.run().check(0).stdout, TOP + "\nro\n", "the host's own root")


@test(root=True)
def test_rootfs_is_a_mount():
    with host_mount("host", below="sub") as path:
        subprocess.run(["cp", "-a", rootfs() + "/.", path], check=True)
        open(path + "/sub/seen", "w").close()
        equal(out("ls /sub", root=path), "seen\n", "with what is mounted below it")


@test(root=True)
def test_console():
    b = Bundle("[ -t 0 ] && echo terminal; echo here > /dev/console; stat -c %t:%T /dev/console; tty; ls -l /proc/self/fd/0 >/dev/null && echo ok")
    b.config["process"]["terminal"] = True
    with Pty([binary()] + b.argv()) as terminal:
        result = terminal.result(20)
    equal(result.status, 0, "status")
    equal(result.stdout.replace("\r", "").split(), ["terminal", "here", "88:0", "/dev/pts/0", "ok"], "the container's terminal")


@test(root=True)
def test_without_proc():
    """sysctl is written through a procfs that nobody else sees."""
    equal(out("ls -A /proc; cat /etc/hostname >/dev/null; echo ok", only=True, linux={"sysctl": {"kernel.domainname": "x.example"}}), "ok\n", "without /proc")


@test(root=True, timeout=60)
def test_many():
    path = volume()
    begin = time.monotonic()
    refused(run("true", *[bind(path, "/x%d" % i, "bind") for i in range(16400)]), "mounts", "16384")
    check(time.monotonic() - begin < 5 * SLOW, "too long")
    equal(out("ls -d /m/* | wc -l", *[bind(path, "/m/%d" % i, "bind", "ro") for i in range(300)]), "300\n", "300 mounts")


if __name__ == "__main__":
    main()
