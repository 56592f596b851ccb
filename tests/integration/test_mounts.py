# SPDX-License-Identifier: Apache-2.0
"""--volume, --mount, --tmpfs, --shm-size, --masked-path: what each word does, seen from inside and from the host, for root, an ordinary user with
ranges and one with a single id; what the kernel or nsrun does not allow is refused with the reason."""
import os
import socket
import stat
import subprocess

from harness import *
from helper import install_helper, refused, tree

RANGE = (100000, 100000)
MS_BIND, MS_PRIVATE = 4096, 1 << 18


def put(path, text="x\n", owner=RANGE, mode=0o644):
    with open(path, "w") as file:
        file.write(text)
    os.chown(path, *owner)
    os.chmod(path, mode)
    return path


def read(path):
    with open(path) as file:
        return file.read()


def owner(path):
    entry = os.lstat(path)
    return entry.st_uid, entry.st_gid


def own_tree(who, fresh=False):
    return install_helper(rootfs(owner="%d:%d" % (who.uid, who.gid), fresh=fresh))


class Caller:
    """Who calls, with which options and rootfs, and whose files are container root's on disk."""

    def __init__(self, name, who, options, tree_, ids):
        self.name, self.who, self.options, self.tree, self.ids = name, who, options, tree_, ids

    def run(self, script, *options, **how):
        return nsrun([*self.options, *options, self.tree, "/bin/sh", "-c", script], user=self.who, **how)


def root_caller(fresh=False):
    return Caller("root", None, ["--userns-remap", dummy().name], tree(fresh=fresh), RANGE)


def host_caller():
    return Caller("host", None, ["--userns=host"], rootfs(private=True), (0, 0))


def callers(fresh=False):
    ordinary = [Caller(who.name, who, [], own_tree(who, fresh), (who.uid, who.gid)) for who in (ranger(), single())]
    return [root_caller(fresh)] + ordinary


def each(names, function):
    """One test for each of these kinds of caller."""
    made = {"root": root_caller, "ranger": lambda: callers()[1], "single": lambda: callers()[2], "host": host_caller}
    for name in names:
        yield name, lambda name=name: function(made[name]())


EVERYBODY = ("root", "ranger", "single", "host")


def mount_line(text, target):
    """Options of the topmost mount on this target, from mountinfo of the container."""
    found = [line.split() for line in text.splitlines() if len(line.split()) > 5 and line.split()[4] == target]
    check(found, "no mount on %s:\n%s" % (target, text))
    return set(found[-1][5].split(","))


class Waiting:
    """A launch whose script has said "ready" and reads a line before it goes on."""

    def __init__(self, caller, script, *options):
        argv = [binary(), *caller.options, *options, caller.tree, "/bin/sh", "-c", "echo ready; read _; " + script]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        env=environment(caller.who), cwd="/", **run_as(caller.who))
        line = self.process.stdout.readline()
        if line != "ready\n":
            fail("the launch did not begin: %s%s" % (line, self.process.communicate()[0]))

    def end(self):
        return self.process.communicate("go on\n", timeout=20)[0]


# ---- --mount and its spellings -----------------------------------------------------------------------------------

@generate
def bind_spellings():
    """Each caller's own files, by each spelling that docker and podman have."""
    def one(caller):
        source = tmp("source", owner=caller.ids)
        put(source + "/a", "text\n", caller.ids)
        for spelling in ("type=bind,source=%s,target=/v", "type=bind,src=%s,dst=/v", "type=bind,src=%s,destination=/v,rw",
                         "type=bind,src=%s,dst=/v,readonly=false", "dst=/v,src=%s,type=bind,bind-propagation=rprivate"):
            caller.run("cat /v/a; echo more >>/v/b", "--mount", spelling % source).check(0, "text")
        equal(owner(source + "/b"), caller.ids, "owner of what the container wrote")
        equal(read(source + "/b"), "more\n" * 5, "what it wrote")
        for spelling in ("type=bind,src=%s,dst=/v,ro", "type=bind,src=%s,dst=/v,readonly", "type=bind,src=%s,dst=/v,readonly=true",
                         "type=bind,src=%s,dst=/v,rro", "type=bind,src=%s,dst=/v,ro,bind-recursive=readonly"):
            caller.run("cat /v/a; echo y >/v/a", "--mount", spelling % source).check(1, "text", "Read-only file system")
        equal(read(source + "/a"), "text\n", "the file behind a read-only mount")
    yield from each(EVERYBODY, one)


def test_bind_by_a_quoted_field():
    """A comma, a colon and a quote in a path: a field in double quotes, as CSV has it."""
    caller = root_caller()
    source = tmp('a,b:"c"', owner=RANGE)
    put(source + "/a", "text\n")
    caller.run("cat '/v,w/a'", "--mount", 'type=bind,"src=%s","dst=/v,w"' % source.replace('"', '""')).check(0, "text")


@generate
def mount_errors():
    source = "/usr"
    for name, text, words in (
            ("no type", "src=%s,dst=/v", ["type=bind"]), ("unknown type", "type=bnd,src=%s,dst=/v", ["type=bind"]),
            ("volume", "type=volume,src=data,dst=/v", ["no store"]), ("no source", "type=bind,dst=/v", ["source="]),
            ("no target", "type=bind,src=%s", ["target="]), ("near word", "type=bind,src=%s,dst=/v,redonly", ["did you mean readonly"]),
            ("unknown word", "type=bind,src=%s,dst=/v,xyzzy=1", ["unknown option xyzzy"]), ("empty word", "type=bind,,src=%s,dst=/v", ["empty"]),
            ("contradiction", "type=bind,src=%s,dst=/v,ro,rw", ["contradict"]), ("twice", "type=bind,src=%s,src=/etc,dst=/v", ["contradict"]),
            ("no value", "type=bind,src,dst=/v", ["VALUE is wanted"]), ("bad bool", "type=bind,src=%s,dst=/v,ro=maybe", ["true or false"]),
            ("bad propagation", "type=bind,src=%s,dst=/v,bind-propagation=both", ["rslave"]),
            ("word of another type", "type=bind,src=%s,dst=/v,size=1m", ["size", "bind"]),
            ("overlay's word", "type=tmpfs,dst=/v,upperdir=/x", ["upperdir", "tmpfs"]),
            ("unclosed quote", 'type=bind,"src=%s,dst=/v', ["quote"]), ("after a quote", 'type=bind,"src=%s"x,dst=/v', ["quote"]),
            ("relative target", "type=bind,src=%s,dst=v", ["absolute"]), ("dots", "type=bind,src=%s,dst=/a/../v", [".."]),
            ("root", "type=bind,src=%s,dst=/", ["rootfs"]), ("dev", "type=bind,src=%s,dst=/v,ro,dev", ["mount-dev"]),
            ("suid", "type=bind,src=%s,dst=/v,ro,suid", ["no-new-privileges=false"]),
            ("below without ro", "type=bind,src=%s,dst=/v,bind-recursive=writable", ["add ro"])):
        text = text % source if "%s" in text else text
        yield name, lambda text=text, words=words: refused(root_caller().run("true", "--mount", text), *words)


@generate
def volume_errors():
    for name, option, text, words in (
            ("missing source", "-v", "/nowhere/x:/v", ["does not exist", "mkdir", "volume-missing"]),
            ("named volume", "-v", "data:/v", ["./data", "volume-missing"]), ("anonymous volume", "-v", "/data", ["--tmpfs /data"]),
            ("near word", "-v", "/usr:/v:noexecs", ["did you mean noexec"]), ("a word of --mount", "-v", "/usr:/v:type=bind", ["--mount"]),
            ("a word of tmpfs", "-v", "/usr:/v:size=1m", ["tmpfs"]), ("a word of bind", "--tmpfs", "/v:rslave", ["bind"]),
            ("size 0", "--tmpfs", "/v:size=0", ["size=0"]), ("size of nothing", "--tmpfs", "/v:size=", ["VALUE is wanted"]),
            ("bad size", "--tmpfs", "/v:size=1x", ["size=1x"]), ("percent", "--tmpfs", "/v:size=101%", ["101%"]),
            ("bad mode", "--tmpfs", "/v:mode=888", ["octal"]), ("long mode", "--tmpfs", "/v:mode=17777", ["octal"]),
            ("name of a user", "--tmpfs", "/v:uid=www", ["number"]), ("id outside of the map", "--tmpfs", "/v:uid=70000", ["uid=70000", "id-not-mapped"]),
            ("inodes", "--tmpfs", "/v:nr_inodes=0", ["nr_inodes"]), ("relative", "--tmpfs", "v", ["absolute"]),
            ("shm-size 0", "--shm-size", "0", ["--shm-size"]), ("shm-size word", "--shm-size", "big", ["--shm-size"]),
            ("shm-size negative", "--shm-size", "-1", ["shm-size"]), ("shm-size huge", "--shm-size", "99999999999999999999", ["--shm-size"]),
            ("mask relative", "--masked-path", "etc", ["absolute"]), ("mask root", "--masked-path", "/", ["masked-path"]),
            ("mask missing", "--masked-path", "/no/such", ["/no/such", "mask-missing"]),
            ("mask below a file", "--masked-path", "/etc/passwd/x", ["/etc/passwd/x", "mask-missing"])):
        yield name, lambda option=option, text=text, words=words: refused(root_caller().run("true", option, text), *words)


def test_a_directory_is_not_made():
    """docker makes a missing source, as root; nsrun does not."""
    where = tmp("where", owner=RANGE)
    refused(root_caller().run("true", "-v", where + "/missing:/v"), "volume-missing")
    equal(os.listdir(where), [], "made on the host")


@generate
def targets_of_the_kernel():
    source = "/usr"
    for target in ("/proc", "/proc/cpuinfo", "/proc/sys/kernel", "/sys", "/sys/fs/cgroup", "/dev", "/dev/null", "/dev/pts", "/dev/pts/0", "/dev/fd",
                   "/dev/console", "/dev/mqueue", "//proc/./cpuinfo"):
        yield target, lambda target=target: refused(root_caller().run("true", "-v", source + ":" + target + ":ro"), "mount-target")
    yield "tmpfs", lambda: refused(root_caller().run("true", "--tmpfs", "/proc/acpi"), "mount-target")


@generate
def links_to_the_kernel():
    """A rootfs whose links lead a target to what nsrun and the kernel made there."""
    def one(leads, options):
        caller = root_caller(fresh=True)
        os.symlink(leads, caller.tree + "/link")
        refused(caller.run("true", *options), "mount-target")
    put_file = lambda: put(os.path.join(tmp(), "file"))  # noqa: E731
    for leads in ("/proc", "/proc/sys", "/sys", "/sys/kernel", "/dev", "/dev/pts", "/dev/mqueue"):
        yield leads, lambda leads=leads: one(leads, ["--tmpfs", "/link"])
    for leads in ("/dev/null", "/proc/cpuinfo", "/dev/pts/ptmx"):
        yield leads, lambda leads=leads: one(leads, ["-v", put_file() + ":/link"])


def test_below_dev():
    """New names below /dev, and /dev/shm, may be mounted on."""
    caller = root_caller()
    source = tmp("source", owner=RANGE)
    put(source + "/a", "text\n")
    caller.run("cat /dev/mine/a /dev/shm/a; touch /dev/shm/b", "-v", source + ":/dev/mine", "-v", source + ":/dev/shm").check(0, "text\ntext")
    check(os.path.exists(source + "/b"), "/dev/shm is not the volume")
    refused(caller.run("true", "-v", source + ":/dev/shm", "--shm-size", "1m"), "--shm-size")


# ---- what the words of a mount do --------------------------------------------------------------------------------

@generate
def attributes():
    """Each word, by all three options, in mountinfo; a bind mount has nosuid and nodev, a tmpfs noexec besides."""
    def one(caller, spelling, word, has, lacks):
        source = tmp("source", owner=caller.ids)
        option = {"-v": ["-v", "%s:/v:%s" % (source, word)], "--mount": ["--mount", "type=bind,src=%s,dst=/v,%s" % (source, word)],
                  "--tmpfs": ["--tmpfs", "/v:" + word]}[spelling]
        seen = mount_line(caller.run("cat /proc/self/mountinfo", *option).check().stdout, "/v")
        check(set(has) <= seen and not set(lacks) & seen, "%s %s: %r, wanted %r and not %r" % (spelling, word, sorted(seen), has, lacks))

    for spelling in ("-v", "--mount", "--tmpfs"):
        usual = ["nosuid", "nodev"]
        for word, has, lacks in (
                ("rw", usual, ["ro", "noexec"] if spelling != "--tmpfs" else ["ro"]), ("ro", usual + ["ro"], ["rw"] if spelling != "--tmpfs" else []),
                ("noexec", usual + ["noexec"], []), ("exec", usual, ["noexec"]), ("noatime", usual + ["noatime"], ["relatime"]),
                ("strictatime", usual, ["relatime", "noatime"]), ("relatime", usual + ["relatime"], []), ("nosymfollow", usual + ["nosymfollow"], []),
                ("nosuid,nodev", usual, [])):
            for name in ("root", "ranger") if spelling == "--mount" and "atime" not in word else ("root",):
                yield "%s %s %s" % (name, spelling, word), lambda n=name, s=spelling, w=word, h=has, l=lacks: one(
                    root_caller() if n == "root" else callers()[1], s, w, h, l)


def test_noexec_and_exec():
    caller = root_caller()
    source = tmp("source", owner=RANGE)
    put(source + "/run", "#!/bin/sh\necho ran\n", mode=0o755)
    caller.run("/v/run", "-v", source + ":/v").check(0, "ran")
    caller.run("/v/run", "-v", source + ":/v:noexec").check(126, "")
    copy = "cp /bin/busybox /t/busybox; /t/busybox echo ran"
    caller.run(copy, "--tmpfs", "/t").check(126, "")
    caller.run(copy, "--tmpfs", "/t:exec").check(0, "ran")
    caller.run(copy, "--mount", "type=tmpfs,dst=/t,exec").check(0, "ran")


def test_suid():
    """Only where no_new_privs is off, and then the set-uid bit of a volume counts."""
    caller = root_caller()
    source = tmp("source", owner=RANGE)
    subprocess.run(["cp", os.path.join(tree(), "helper"), source + "/su"], check=True)
    os.chown(source + "/su", *RANGE)
    os.chmod(source + "/su", 0o4755)
    on = ["--security-opt", "no-new-privileges=false", "-u", "1000:1000"]
    caller.run("/v/su euid", *on, "-v", source + ":/v").check(0, "1000")
    caller.run("/v/su euid", *on, "-v", source + ":/v:suid").check(0, "0")
    refused(caller.run("/v/su euid", "-v", source + ":/v:suid"), "mount-suid")


@generate
def nested_mounts():
    """What is mounted below the source: read-only with ro, as it is with bind-recursive=writable, gone with bind."""
    def one(caller):
        source = tmp("source", owner=caller.ids)
        os.mkdir(source + "/sub")
        mount("none", source + "/sub", "tmpfs", 0, "mode=777,uid=%d,gid=%d" % caller.ids)
        put(source + "/sub/a", "below\n", caller.ids)
        try:
            caller.run("cat /v/sub/a; touch /v/sub/b", "-v", source + ":/v").check(0, "below")
            caller.run("cat /v/sub/a; touch /v/sub/c", "-v", source + ":/v:rbind").check(0, "below")
            caller.run("cat /v/sub/a; touch /v/sub/d", "-v", source + ":/v:ro").check(1, "below", "Read-only file system")
            caller.run("touch /v/sub/e && echo below; touch /v/f", "--mount", "type=bind,src=%s,dst=/v,ro,bind-recursive=writable"
                       % source).check(1, "below", "Read-only file system")
            for option in (["-v", source + ":/v:bind"], ["--mount", "type=bind,src=%s,dst=/v,bind-nonrecursive" % source],
                           ["--mount", "type=bind,src=%s,dst=/v,bind-recursive=disabled" % source]):
                run_ = caller.run("ls -A /v/sub", *option)
                if caller.who:  # the kernel does not show an ordinary user what a mount of the host hides
                    refused(run_, "mount_namespaces(7)")
                else:
                    run_.check(0, "")
            equal(sorted(os.listdir(source + "/sub")), ["a", "b", "c", "e"], "what the containers wrote below")
        finally:
            umount(source + "/sub")
    yield from each(EVERYBODY, one)


def test_idmapped_tree_comes_alone():
    caller = root_caller()
    source = tmp("source", owner=(0, 0))
    refused(caller.run("true", "-v", source + ":/v:ro,rbind"), "idmap-below")
    caller.run("true", "-v", source + ":/v:ro,bind").check()


# ---- propagation -------------------------------------------------------------------------------------------------

def propagation(caller, words, expected):
    """The host mounts something below the source while the container runs."""
    source = tmp("source", owner=caller.ids)
    os.mkdir(source + "/sub")
    os.chown(source + "/sub", *caller.ids)
    waiting = Waiting(caller, "cat /v/sub/a 2>&1", "-v", "%s:/v%s" % (source, words))
    mount("none", source + "/sub", "tmpfs", 0, "mode=755")
    try:
        put(source + "/sub/a", "of the host\n", (0, 0))
        contains(waiting.end(), expected, "what the container sees below")
    finally:
        umount(source + "/sub")


@generate
def propagation_into_the_container():
    yield from each(EVERYBODY, lambda caller: propagation(caller, "", "No such file"))
    for word in ("slave", "rslave"):
        for name, function in each(EVERYBODY, lambda caller, word=word: propagation(caller, ":" + word, "of the host")):
            yield "%s %s" % (word, name), function
    yield "ro", lambda: propagation(root_caller(), ":ro,rslave,bind-recursive=writable", "of the host")
    yield "ro alone", lambda: refused(root_caller().run("true", "-v", tmp("source", owner=RANGE) + ":/v:ro,rslave"), "readonly-slave",
                                      "bind-recursive=writable")
    yield "host root's", lambda: propagation(Caller("root", None, ["--userns-remap", dummy().name], tree(), (0, 0)), ":idmap=root,rslave", "of the host")


@generate
def propagation_to_the_host():
    """Only rshared gives mounts to the host, and that is refused where the container has a user namespace."""
    script = "mkdir -p /v/in && mount -t tmpfs none /v/in && touch /v/in/made; echo $?"
    full = ["--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined"]

    def leak(caller, words, leaks):
        source = tmp("source", owner=caller.ids)
        run_ = caller.run(script, *full, "-v", source + ":/v" + words).check(0, "0")
        seen = [line for line in mountinfo() if line[0].startswith(source)]
        try:
            equal(bool(seen), leaks, "a mount of the container on the host: %r, %r" % (seen, run_))
        finally:
            if seen:
                umount(source + "/in")
    for name in ("root", "host"):
        for words in ("", ":rslave", ":rprivate"):
            yield "%s %s" % (name, words), lambda name=name, words=words: leak(root_caller() if name == "root" else host_caller(), words, False)
    yield "host :rshared", lambda: leak(host_caller(), ":rshared", True)
    for name, function in each(("root", "ranger", "single"), lambda caller: refused(
            caller.run("true", "-v", tmp("source", owner=caller.ids) + ":/v:rshared"), "propagation", "rslave")):
        yield "refused " + name, function


def test_nothing_below_a_shared_volume():
    """A mount on it would be made on the host, too; a link of the rootfs does not lead there either."""
    caller = Caller("host", None, ["--userns=host"], rootfs(private=True, fresh=True), (0, 0))
    source = tmp("source")
    refused(caller.run("true", "-v", source + ":/v:rshared", "--tmpfs", "/v/in"), "shared-below")
    os.symlink("/v", caller.tree + "/a-link")
    os.symlink("/v", caller.tree + "/w-link")
    refused(caller.run("true", "-v", source + ":/v:rshared", "--tmpfs", "/w-link/in"), "shared-below")
    equal([line for line in mountinfo() if line[0].startswith(source)], [], "mounts on the host")


def test_private_source_receives_nothing():
    caller = root_caller()
    source = tmp("source", owner=RANGE)
    mount(source, source, None, MS_BIND)
    mount(None, source, None, MS_PRIVATE)
    try:
        refused(caller.run("true", "-v", source + ":/v:rslave"), "propagation", "private mount")
        caller.run("true", "-v", source + ":/v:rprivate").check()
    finally:
        umount(source)


# ---- owners ------------------------------------------------------------------------------------------------------

def test_u_is_true_or_refused():
    caller = root_caller()
    source = tmp("source", owner=RANGE)
    caller.run("stat -c %u /v", "-v", source + ":/v:U").check(0, "0")
    caller.run("stat -c %u /v", "--mount", "type=bind,src=%s,dst=/v,chown" % source).check(0, "0")
    refused(caller.run("true", "-u", "1000", "-v", source + ":/v:U"), "volume-chown")
    users = tmp("users", owner=make_user("stranger"))
    caller.run("stat -c %u /v", "-v", users + ":/v:U").check(0, "0")
    os.chown(source, 100005, 100005)
    refused(caller.run("true", "-v", source + ":/v:U"), "volume-chown")
    equal(owner(source), (100005, 100005), "owner on disk")
    for ordinary in callers()[1:]:
        mine = tmp("mine", owner=ordinary.ids)
        ordinary.run("stat -c %u /v", "-v", mine + ":/v:U").check(0, "0")
        refused(ordinary.run("true", "-v", tmp("roots") + ":/v:U"), "volume-chown")


def test_selinux_words():
    """Without SELinux they have nothing to do; with it nsrun, which sets no labels, refuses."""
    source = tmp("source", owner=RANGE)
    for words in ("z", "Z", "ro,z"):
        run_ = root_caller().run("echo ran", "-v", source + ":/v:" + words)
        if os.path.exists("/sys/fs/selinux/enforce"):
            refused(run_, "selinux-label")
        else:
            run_.check(0, "ran")


def test_idmap():
    """The disk's ids are the container's: under the rule for host root's trees, whoever owns it."""
    caller = root_caller()
    users = tmp("users", owner=(1234, 1234))
    refused(caller.run("true", "-v", users + ":/v:idmap"), "volume-owner")
    caller.run("stat -c %u:%g /v", "-v", users + ":/v:idmap,ro").check(0, "1234:1234")
    tmp("hidden", 0o700)
    hidden = tmp("hidden/v", owner=(1234, 1234))
    caller.run("touch /v/a; chown 77 /v/a; stat -c %u:%g /v /v/a", "-v", hidden + ":/v:idmap").check(0, "1234:1234\n77:0")
    equal(owner(hidden + "/a"), (77, 0), "owner on disk")
    for other in callers()[1:] + [host_caller()]:
        refused(other.run("true", "-v", tmp("mine", owner=other.ids) + ":/v:idmap"), "idmap-unavailable")


def test_idmap_of_ids():
    """podman's form: exactly these ids are granted, and an id of the disk that is not named cannot be written."""
    caller = root_caller()
    users = tmp("users", owner=(1234, 1234))
    ids = "idmap=uids=@1234-5-1#@2000-7-2;gids=@1234-6-1"
    caller.run("stat -c %u:%g /v", "-v", users + ":/v:" + ids).check(0, "5:6")
    caller.run("touch /v/a; stat -c %u:%g /v/a", "-u", "5:6", "-v", users + ":/v:" + ids).check(0, "5:6")
    equal(owner(users + "/a"), (1234, 1234), "owner on disk")
    caller.run("touch /v/b", "-v", users + ":/v:" + ids).check(1, "", "Value too large")
    # the second number is the host's without "@"
    caller.run("stat -c %u:%g /v", "--mount", "type=bind,src=%s,dst=/v,idmap=uids=1234-100009-1;gids=1234-100008-1" % users).check(0, "9:8")
    auto = nsrun(["--userns-remap", "auto", "-v", users + ":/v:" + ids, rootfs(private=True), "/bin/stat", "-c", "%u:%g", "/v"])
    auto.check(0, "5:6")
    for text, word in (("uids=@0-0-1;gids=@1234-0-1", "volume-owner"), ("uids=@1234-0-1", "idmap"), ("uids=1234-5-1;gids=@1-1-1", "id-not-mapped"),
                       ("uids=@1-70000-1;gids=@1-1-1", "id-not-mapped"), ("uids=@1-65535-2;gids=@1-1-1", "id-not-mapped"), ("uids=a-b-c;gids=@1-1-1", "wanted"),
                       ("uids=@1-1-1-1;gids=@1-1-1", "wanted"), ("uids=@1-1-1#@1-2-1;gids=@1-1-1", "idmap"), ("shift", "idmap"),
                       ("uids=@1-1-0;gids=@1-1-1", "idmap")):
        refused(caller.run("true", "-v", users + ":/v:idmap=" + text), word)


def test_idmap_of_a_socket():
    """A socket of host root is none of the container's, whatever ids are written out."""
    path = os.path.join(tmp(), "socket")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    for words in ("ro", "idmap=uids=@5-0-1;gids=@5-0-1", "idmap=uids=@0-0-1;gids=@0-0-1", "idmap,ro"):
        refused(root_caller().run("true", "-v", path + ":/run/socket:" + words), "volume-channel")
    root_caller().run("test -S /run/socket", "-v", path + ":/run/socket:idmap=root").check()
    listener.close()


# ---- tmpfs and /dev/shm ------------------------------------------------------------------------------------------

@generate
def tmpfs():
    def one(caller):
        script = "stat -c '%a %u:%g' /t; df -k /t | tail -n 1 | awk '{print $2}'; touch /t/a; ls -A /t"
        caller.run(script, "--tmpfs", "/t:size=2m,mode=750").check(0, "750 0:0\n2048\na")
        caller.run(script, "--mount", "type=tmpfs,dst=/t,tmpfs-size=2m,tmpfs-mode=0750").check(0, "750 0:0\n2048\na")
        caller.run("stat -c %a /t; head -c 3000000 /dev/zero >/t/a; wc -c </t/a", "--tmpfs", "/t:size=1m").check(0, "1777\n1048576")
        caller.run("touch /t/1 /t/2 && touch /t/3 /t/4 /t/5", "--tmpfs", "/t:nr_inodes=4").check(1, "", "No space left")
        caller.run("touch /t/a", "--tmpfs", "/t:ro").check(1, "", "Read-only file system")
        ids = caller.run("stat -c %u:%g /t", "--tmpfs", "/t:uid=5,gid=6")
        if caller.name == "single":
            refused(ids, "id-not-mapped")
        else:
            ids.check(0, "5:6")
        check(not os.listdir(caller.tree + "/t"), "a file of a tmpfs is in the rootfs")
    yield from each(EVERYBODY, one)


def test_tmpfs_under_read_only_and_ephemeral():
    caller = root_caller(fresh=True)
    caller.run("touch /tmp/a && echo yes; touch /b", "--read-only", "--tmpfs", "/tmp").check(1, "yes", "Read-only file system")
    refused(caller.run("true", "--read-only", "--tmpfs", "/missing"), "mount-point-missing")
    caller.run("touch /new/point/a && echo yes", "--ephemeral", "--tmpfs", "/new/point").check(0, "yes")
    check(not os.path.exists(caller.tree + "/new"), "--ephemeral made a mount point on disk")


@generate
def shm_size():
    def one(caller):
        script = "df -k /dev/shm | tail -n 1 | awk '{print $2}'; stat -f -c %S /dev/shm >/dev/null; head -c 3000000 /dev/zero >/dev/shm/a; wc -c </dev/shm/a"
        caller.run(script, "--shm-size", "2m").check(0, "2048\n2097152")
        caller.run("df -k /dev/shm | tail -n 1 | awk '{print $2}'").check(0, "65536")
    yield from each(EVERYBODY, one)


def test_shm_size_of_the_host():
    refused(root_caller().run("true", "--ipc=host", "--shm-size", "1m"), "--shm-size", "--ipc host")


def test_shm_counts_as_memory():
    """It is memory of the container: its limit is the smaller of the two."""
    caller = root_caller()
    run_ = caller.run("head -c 60000000 /dev/zero >/dev/shm/a", "--shm-size", "1g", "-m", "24m")
    check(run_.status != 0, "60 MB of /dev/shm under a limit of 24 MB: %r" % run_)
    caller.run("head -c 6000000 /dev/zero >/dev/shm/a && echo fits", "--shm-size", "1g", "-m", "64m").check(0, "fits")


# ---- overlay -----------------------------------------------------------------------------------------------------

def layers(ids, private=False):
    """Two lower directories, and a directory with an upper and a work directory."""
    if private:
        tmp("private", 0o700)
    top = tmp("private/layers" if private else "layers", owner=ids)
    for name in ("one", "two", "upper", "work"):
        os.mkdir(os.path.join(top, name))
        os.chown(os.path.join(top, name), *ids)
    put(top + "/one/a", "one\n", ids)
    put(top + "/two/a", "two\n", ids)
    put(top + "/two/b", "two\n", ids)
    return top


@generate
def overlays():
    def one(caller):
        top = layers(caller.ids)
        text = "type=overlay,lowerdir={0}/one:{0}/two,upperdir={0}/upper,workdir={0}/work,dst=/o".format(top)
        run_ = caller.run("cat /o/a /o/b; echo new >/o/c; echo more >>/o/b; rm /o/a; ls /o", "--mount", text)
        run_.check(0, "one\ntwo\nb\nc")
        equal((read(top + "/one/a"), read(top + "/two/b")), ("one\n", "two\n"), "the lower directories")
        equal((read(top + "/upper/c"), read(top + "/upper/b")), ("new\n", "two\nmore\n"), "the upper directory")
        equal(owner(top + "/upper/c"), caller.ids, "owner of what was written")
        # it is kept, and seen again
        caller.run("ls /o; cat /o/c", "--mount", text).check(0, "b\nc\nnew")
        caller.run("cat /o/a; touch /o/x", "--mount", "type=overlay,lowerdir={0}/one:{0}/two,dst=/o".format(top)).check(
            1, "one", "Read-only file system")
        caller.run("ls /o; touch /o/x", "--mount", text + ",ro").check(1, "b\nc", "Read-only file system")
    yield from each(EVERYBODY, one)


@generate
def overlay_in_memory():
    """-v SRC:DST:O: every write goes away with the container."""
    def one(caller):
        source = tmp("source", 0o750, owner=caller.ids)
        put(source + "/a", "text\n", caller.ids)
        caller.run("cat /v/a; echo more >>/v/a; touch /v/b; ls /v; cat /v/a; stat -c '%a %u' /v", "-v", source + ":/v:O").check(
            0, "text\na\nb\ntext\nmore\n750 0")
        equal((os.listdir(source), read(source + "/a")), (["a"], "text\n"), "the source")
    yield from each(EVERYBODY, one)


def test_overlay_in_memory_of_host_root():
    """Where others reach it, which is no obstacle: nothing is written."""
    source = tmp("source")
    put(source + "/a", "text\n", (0, 0))
    root_caller().run("stat -c %u /v/a; echo more >>/v/a; tail -n 1 /v/a", "-v", source + ":/v:O").check(0, "0\nmore")
    equal(read(source + "/a"), "text\n", "the source")


@test(root=True)
def test_overlay_upper_of_host_root():
    """The ownership rule: what is written there is host root's, so others must not reach it."""
    caller = root_caller()
    text = "type=overlay,lowerdir={0}/one,upperdir={0}/upper,workdir={0}/work,dst=/o"
    plant = "cp /helper /o/su && chmod 4755 /o/su && echo planted"
    top = layers((0, 0))
    refused(caller.run(plant, "--mount", text.format(top)), "volume-owner")
    equal(os.listdir(top + "/upper"), [], "written where others reach it")
    hidden = layers((0, 0), private=True)
    caller.run(plant, "--mount", text.format(hidden)).check(0, "planted")
    entry = os.lstat(hidden + "/upper/su")
    equal((entry.st_uid, stat.S_IMODE(entry.st_mode)), (0, 0o4755), "the planted file")
    try:
        run([hidden + "/upper/su", "euid"], user=make_user("stranger"), cwd="/")
        fail("another user executed it")
    except OSError:
        pass


@test(root=True)
def test_overlay_upper_of_a_user():
    caller = root_caller()
    top = layers((1234, 1234))
    caller.run("touch /o/made; stat -c %u:%g /o /o/made; echo x >>/o/a", "--mount",
               "type=overlay,lowerdir={0}/one,upperdir={0}/upper,workdir={0}/work,dst=/o".format(top)).check(0, "0:0\n0:0")
    equal(owner(top + "/upper/made"), (1234, 1234), "owner on disk")
    caller.run("touch /o/other; chown 5 /o/other", "--mount",
               "type=overlay,lowerdir={0}/one,upperdir={0}/upper,workdir={0}/work,dst=/o".format(top)).check(1)


@generate
def overlay_errors():
    def one(text, *words):
        top = layers(RANGE)
        os.mkdir(top + "/apart")
        os.mkdir(top + "/apart/work")
        os.chown(top + "/apart/work", *RANGE)
        refused(root_caller().run("true", "--mount", text.format(top)), *words)
    for name, text, words in (
            ("no lower", "type=overlay,dst=/o", ["lowerdir="]), ("one lower", "type=overlay,lowerdir={0}/one,dst=/o", ["overlay-layers", "type=bind,ro"]),
            ("no work", "type=overlay,lowerdir={0}/one,upperdir={0}/upper,dst=/o", ["workdir"]),
            ("no upper", "type=overlay,lowerdir={0}/one,workdir={0}/work,dst=/o", ["upperdir"]),
            ("apart", "type=overlay,lowerdir={0}/one,upperdir={0}/upper,workdir={0}/apart/work,dst=/o", ["overlay-layers"]),
            ("the same", "type=overlay,lowerdir={0}/one,upperdir={0}/upper,workdir={0}/upper,dst=/o", ["overlay-layers"]),
            ("missing", "type=overlay,lowerdir={0}/one:{0}/three,dst=/o", ["three", "volume-missing"]),
            ("a file", "type=overlay,lowerdir={0}/one:{0}/two/a,dst=/o", ["overlay-layers"]),
            ("empty name", "type=overlay,lowerdir={0}/one::{0}/two,dst=/o", ["empty name"]),
            ("rw", "type=overlay,lowerdir={0}/one:{0}/two,dst=/o,rw", ["overlay-layers"]),
            ("source", "type=overlay,source={0}/one,dst=/o", ["source", "overlay"])):
        yield name, lambda text=text, words=words: one(text, *words)
    yield "too many", lambda: one("type=overlay,lowerdir=" + ":".join(["{0}/one"] * 51) + ",dst=/o", "50")


def test_overlay_of_many():
    top = layers(RANGE)
    names = []
    for number in range(50):
        names.append("%s/layer,%d" % (top, number))
        os.mkdir(names[-1])
        put("%s/%d" % (names[-1], number))
    text = 'type=overlay,"lowerdir=%s",dst=/o' % ":".join(names)
    root_caller().run("ls /o | wc -l", "--mount", text).check(0, "50")
    os.rename(top + "/one", top + "/o:ne")
    root_caller().run("cat /o/a", "--mount", "type=overlay,lowerdir={0}/o\\:ne:{0}/two,dst=/o".format(top)).check(0, "one")


def test_overlay_on_a_file_system_that_cannot():
    """The upper directory of an overlay may not lie on an overlay: the error says so."""
    where = tmp("where")
    for name in ("lower", "upper", "work", "merged"):
        os.mkdir(os.path.join(where, name))
        os.chown(os.path.join(where, name), *RANGE)
    mount("none", where + "/merged", "overlay", 0, "lowerdir={0}/lower,upperdir={0}/upper,workdir={0}/work".format(where))
    try:
        for name in ("upper", "work"):
            os.mkdir(where + "/merged/" + name)
            os.chown(where + "/merged/" + name, *RANGE)
        refused(root_caller().run("true", "--mount", "type=overlay,lowerdir={0}/lower,upperdir={0}/merged/upper,workdir={0}/merged/work,dst=/o".format(where)),
                "overlay", "overlay-layers")
    finally:
        umount(where + "/merged")


# ---- together ----------------------------------------------------------------------------------------------------

def test_parents_first_over_all_kinds():
    caller = root_caller()
    source = tmp("source", owner=RANGE)
    put(source + "/a", "text\n")
    options = [["-v", source + ":/m/t/v"], ["--tmpfs", "/m/t"], ["--mount", "type=tmpfs,dst=/m,size=1m"], ["-v", source + ":/m-x"]]
    for order in (options, options[::-1]):
        caller.run("cat /m/t/v/a /m-x/a; mount | grep -c ' /m'", *[word for option in order for word in option]).check(0, "text\ntext\n4")
    equal(os.listdir(source), ["a"], "made in the source")


def test_one_target_once():
    source = tmp("source", owner=RANGE)
    for options in (["-v", source + ":/v", "--tmpfs", "/v"], ["--tmpfs", "/v", "--mount", "type=tmpfs,dst=//v/"]):
        refused(root_caller().run("true", *options), "/v", "too")


@generate
def hostile_volume():
    """A target below another volume whose content leads out of it: the container's own root is where it ends."""
    def one(link):
        caller = root_caller(fresh=True)
        outside = tmp("outside", 0o777)
        volume = tmp("volume", owner=RANGE)
        inner = tmp("inner", owner=RANGE)
        put(inner + "/a", "inner\n")
        os.symlink(link % outside if "%s" in link else link, volume + "/link")
        before = [line[0] for line in mountinfo()]
        run_ = caller.run("cat /v/link/a 2>/dev/null || cat /v/link/in/a", "-v", volume + ":/v", "-v", inner + ":/v/link/in")
        check(run_.status == 125 or run_.stdout == "inner\n", "%r" % run_)
        equal(os.listdir(outside), [], "made in a directory of the host")
        equal([line[0] for line in mountinfo()], before, "mounts of the host")
    for name, link in (("absolute", "%s"), ("relative", "../../../../../../../..%s"), ("dangling", "/nowhere"), ("proc", "/proc/1/root"),
                       ("self", "link"), ("cwd", "/proc/self/cwd"), ("fd", "/proc/self/fd/9")):
        yield name, lambda link=link: one(link)


def test_source_exchanged():
    """The source is exchanged for another one between the check and the use, again and again: either of both states is one that was checked."""
    caller = root_caller()
    top = tmp("top", owner=RANGE)
    for name in ("good", "bad"):
        os.mkdir(os.path.join(top, name))
        put(os.path.join(top, name, "name"), name + "\n")
    os.chown(top + "/good", *RANGE)
    os.chown(top + "/bad", 0, 0)
    os.symlink("good", top + "/link")
    swap = subprocess.Popen(["sh", "-c", "while :; do ln -sfn bad %s/link; ln -sfn good %s/link; done" % (top, top)], stderr=subprocess.DEVNULL)
    try:
        seen = set()
        for _ in range(60):
            run_ = caller.run("cat /v/name; touch /v/made", "-v", top + "/link:/v")
            check(run_.status in (0, 125), "%r" % run_)
            seen.add(run_.stdout)
    finally:
        swap.kill()
        swap.wait()
    check(seen <= {"good\n", ""}, "a source that was refused was mounted: %r" % seen)
    check(not os.path.exists(top + "/bad/made"), "the exchanged directory was written")


# ---- masks -------------------------------------------------------------------------------------------------------

@generate
def masked():
    """In the rootfs, in a volume, in /proc; a file is empty, a directory is."""
    def one(caller):
        source = tmp("source", owner=caller.ids)
        os.mkdir(source + "/keys")
        put(source + "/keys/a", "secret\n", caller.ids)
        put(source + "/key", "secret\n", caller.ids)
        options = ["-v", source + ":/v", "--masked-path", "/v/keys", "--masked-path=/v//key", "--security-opt", "mask=/etc/hostname:/proc/version"]
        caller.run("ls -A /v/keys; cat /v/key /etc/hostname /proc/version; touch /v/keys/x; echo end", *options).check(0, "end", "Read-only file system")
        equal((os.listdir(source + "/keys"), read(source + "/key")), (["a"], "secret\n"), "the volume")
    yield from each(EVERYBODY, one)


@generate
def masks_and_links():
    """A link of a hostile rootfs leads a mask nowhere but into the container."""
    def one(link):
        caller = root_caller(fresh=True)
        os.symlink(link, caller.tree + "/link")
        outside = put(os.path.join(tmp(), "outside"), "x\n", (0, 0))
        run_ = caller.run("true", "--masked-path", "/link" + (outside if link == "/" else ""))
        check(run_.status in (0, 125), "%r" % run_)
        equal(read(outside), "x\n", "a file of the host")
    for link in ("/", "/etc/hostname", "../../../../etc/hostname", "/proc/1/root/etc", "/nowhere"):
        yield link, lambda link=link: one(link)


def test_unmask():
    caller = root_caller()
    caller.run("mount | grep -c ' /proc/'", "--security-opt", "systempaths=unconfined").check(1, "0")
    caller.run("mount | grep -v ' /sys/fs/cgroup ' | grep -c -e ' /proc/' -e ' /sys/'; mount | grep -c ' /proc '", "--security-opt", "unmask=ALL").check(0, "0\n1")
    before = caller.run("mount | grep -c ' /proc/softirqs '").check(0, "1")
    check(before, "")
    caller.run("mount | grep -c ' /proc/softirqs '; mount | grep -c ' /proc/keys '", "--security-opt", "unmask=/proc/softirqs").check(0, "0\n1")
    refused(caller.run("true", "--security-opt", "unmask=/etc"), "unmask=/etc")
    refused(caller.run("true", "--security-opt", "systempaths=none"), "systempaths")
    refused(caller.run("true", "--security-opt", "mask"), "mask")
    # the host's settings stay the host's
    caller.run("echo 1 >/proc/sys/kernel/panic; echo $?", "--security-opt", "systempaths=unconfined").check(0, "1")


# ---- mount points in the rootfs: docs/decisions/0007 -------------------------------------------------------------

@generate
def mount_points_stay():
    def one(caller):
        source = tmp("source", owner=caller.ids)
        file = put(os.path.join(tmp(), "file"), "x\n", caller.ids)
        options = ["-v", source + ":/a/b/v", "-v", file + ":/a/f", "--tmpfs", "/a/t"]
        caller.run("touch /a/b/v/x /a/t/x", *options).check()
        where = caller.tree + "/a"
        equal(sorted(os.listdir(where)), ["b", "f", "t"], "mount points")
        equal((os.listdir(where + "/b"), os.listdir(where + "/b/v"), os.listdir(where + "/t"), os.path.getsize(where + "/f")), (["v"], [], [], 0),
              "what is in them")
        for name in ("", "/b", "/b/v", "/f", "/t"):
            equal(owner(where + name), caller.ids, "owner of " + name)
    for number, name in enumerate(("root", "ranger", "single")):
        yield name, lambda number=number: one(callers(fresh=True)[number])


def test_removing_a_mount_point_would_unmount_it_elsewhere():
    """Why they stay: since Linux 3.18 rmdir(2) of a mount point takes away what another mount namespace has mounted there."""
    caller = root_caller(fresh=True)
    source = tmp("source", owner=RANGE)
    put(source + "/a")
    waiting = Waiting(caller, "ls /here/ 2>&1", "-v", source + ":/here")
    os.rmdir(caller.tree + "/here")
    contains(waiting.end(), "No such file", "what the other container sees")


if __name__ == "__main__":
    main()
