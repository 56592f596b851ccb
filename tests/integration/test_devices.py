# SPDX-License-Identifier: Apache-2.0
"""--device and --device-cgroup-rule, by what a container can open and make: for root with and without a user namespace, for ordinary users, and
where cgroup v1 alone is mounted."""
import ctypes
import json
import os
import re
import stat
import struct
import subprocess

from harness import *
from helper import install_helper, refused, remapped, shell, tree

FUSE, TUN, LOOP = "/dev/fuse", "/dev/net/tun", "/dev/loop-control"
FUSE_NUMBER = "%d %d" % (os.major(os.stat(FUSE).st_rdev), os.minor(os.stat(FUSE).st_rdev)) if os.path.exists(FUSE) else ""


def host(options, script, prefix=(), **how):
    """Root without a user namespace. /dev of the container is where a node could be made and opened: the rootfs is nodev."""
    words = ["--userns=host", *options, rootfs(private=True), "/bin/sh", "-c", script]
    return nsrun(words, **how) if not prefix else run([*prefix, binary(), *words], **how)


def opens(path, how="<>"):
    """A line of shell that says whether the path opens: no error of busybox ends the script."""
    return "(exec 3%s%s) 2>&1 && echo opened %s || echo refused %s\n" % (how, path, path, path)


def make(path, numbers, kind="c"):
    return "mknod %s %s %s 2>&1 && echo made %s || echo not made %s\n" % (path, kind, numbers, path, path)


def said(result):
    """{path: word} of the lines of opens() and make()."""
    out = {}
    for line in result.check(0).stdout.splitlines():
        words = line.split()
        if words[0] in ("opened", "refused", "made", "not"):
            out.setdefault(words[-1], []).append("unmade" if words[0] == "not" else words[0])
    return out


# ---- the programs of the kernel ----

_PROG_GET_NEXT_ID, _PROG_GET_FD_BY_ID, _OBJ_GET_INFO = 11, 13, 15


def _bpf(command, attr):
    buffer = ctypes.create_string_buffer(attr, 64)
    number = ctypes.CDLL(None, use_errno=True).syscall(321, command, buffer, 64)
    return number, buffer.raw


def filters():
    """Ids of the programs that nsrun has loaded, as long as a group holds them."""
    found, at = set(), 0
    while True:
        r, attr = _bpf(_PROG_GET_NEXT_ID, struct.pack("II", at, 0))
        if r != 0:
            return found
        at = struct.unpack_from("I", attr, 4)[0]
        fd, _ = _bpf(_PROG_GET_FD_BY_ID, struct.pack("I", at))
        if fd < 0:
            continue
        info = ctypes.create_string_buffer(256)
        r, _ = _bpf(_OBJ_GET_INFO, struct.pack("IIQ", fd, 256, ctypes.addressof(info)))
        os.close(fd)
        if r == 0 and b"nsrun_devices" in info.raw:
            found.add(at)


# ---- root, no user namespace ----

@test(root=True)
def test_usual_devices_alone():
    got = said(host(["--cap-add", "MKNOD"], make("/dev/n", "1 3") + opens("/dev/n") + make("/dev/f", FUSE_NUMBER) + make("/dev/b", "7 0", "b")
                    + make("/dev/t", "5 1") + "".join(opens("/dev/" + name) for name in ("null", "zero", "full", "random", "urandom"))))
    equal(got, {"/dev/n": ["made", "opened"], "/dev/f": ["unmade"], "/dev/b": ["unmade"], "/dev/t": ["unmade"], "/dev/null": ["opened"],
                "/dev/zero": ["opened"], "/dev/full": ["opened"], "/dev/random": ["opened"], "/dev/urandom": ["opened"]}, "what is allowed")


@test(root=True)
def test_rules_add():
    """By each letter: a node that may be made and not opened, and the other way round."""
    number = "c " + FUSE_NUMBER.replace(" ", ":")
    script = make("/dev/f", FUSE_NUMBER) + opens("/dev/f", "<") + opens("/dev/f")
    for letters, wanted in (("m", ["made", "refused", "refused"]), ("mr", ["made", "opened", "refused"]), ("rwm", ["made", "opened", "opened"]),
                            ("rw", ["unmade"])):
        got = said(host(["--cap-add", "MKNOD", "--device-cgroup-rule", number + " " + letters], script))["/dev/f"]
        equal(got[:len(wanted)], wanted, letters)
    for rule in ("c *:* rwm", "a", "a *:* rwm", "c 10:* rwm", "c *:%s rwm" % FUSE_NUMBER.split()[1]):
        equal(said(host(["--cap-add", "MKNOD", "--device-cgroup-rule", rule], script))["/dev/f"], ["made", "opened", "opened"], rule)
    for rule in ("b *:* rwm", "c 11:* rwm", "c *:1 rwm"):
        equal(said(host(["--cap-add", "MKNOD", "--device-cgroup-rule", rule], make("/dev/f", FUSE_NUMBER)))["/dev/f"], ["unmade"], rule)
    both = ["--device-cgroup-rule", number + " r", "--device-cgroup-rule", number + " m"]
    equal(said(host(["--cap-add", "MKNOD", *both], script))["/dev/f"], ["made", "opened", "refused"], "two rules add up")


@test(root=True)
def test_many_rules():
    rules = [word for at in range(400) for word in ("--device-cgroup-rule", "c %d:%d r" % (300 + at % 40, at))]
    script = make("/dev/x", "310 10") + make("/dev/f", FUSE_NUMBER)
    equal(said(host(["--cap-add", "MKNOD", *rules, "--device-cgroup-rule", "c 310:10 m"], script)),
          {"/dev/x": ["made"], "/dev/f": ["unmade"]}, "after 400 rules")


@test(root=True)
def test_privileged_on_the_host():
    script = make("/dev/f", FUSE_NUMBER) + opens("/dev/f")
    equal(said(host(["--privileged"], script))["/dev/f"], ["made", "opened"], "--privileged")
    check("devices.filter" not in host(["--privileged", "--dry-run"], "").check(0).stdout, "--privileged has a filter")
    # what is said besides takes back
    got = said(host(["--privileged", "--device", FUSE + ":r"], opens(FUSE) + opens(FUSE, "<") + make("/dev/t", "10 200") + opens("/dev/t", "<")))
    equal(got, {FUSE: ["refused", "opened"], "/dev/t": ["made", "opened"]}, "--device FUSE:r")


@test(root=True)
def test_exec_is_held_too():
    name = "devices-%d" % os.getpid()
    host(["-d", "--name", name, "--cap-add", "MKNOD"], "exec sleep 100").check(0)
    try:
        script = make("/dev/f", FUSE_NUMBER) + make("/dev/z", "1 5") + opens("/dev/z")
        equal(said(nsrun(["exec", name, "/bin/sh", "-c", script])), {"/dev/f": ["unmade"], "/dev/z": ["made", "opened"]}, "exec")
        shown = json.loads(nsrun(["inspect", name]).check(0).stdout)[0]
        contains(json.dumps(shown), "c 1:3 rwm", "inspect")
    finally:
        nsrun(["rm", "-f", name])


@test(root=True)
def test_filter_goes_with_its_group():
    before = filters()
    name = "devices-%d" % os.getpid()
    host(["-d", "--name", name], "exec sleep 100").check(0)
    try:
        check(filters() - before, "no program is there")
    finally:
        nsrun(["rm", "-f", name]).check(0)
    mine = filters() - before
    # the kernel lets go of it after the group, in a thread of its own; other programs may be those of other tests
    wait_for(lambda: not (mine & filters()) or len(filters()) <= len(before), "the program is gone")


# ---- cgroup v1 alone ----

def v1_alone():
    """The words before a command that sees no cgroup2: in a mount namespace of its own."""
    mounts = [entry[4] for entry in mountinfo() if entry[4] in ("cgroup", "cgroup2")]
    if "cgroup" not in mounts or not os.path.exists("/sys/fs/cgroup/devices/devices.list"):
        skip("needs the devices controller in a v1 hierarchy")
    return ["unshare", "-m", "/bin/sh", "-c", "grep ' cgroup2 ' /proc/self/mounts | cut -d' ' -f2 | xargs -r umount -l; exec \"$@\"", "sh"]


def v1_groups():
    return {path for path, _, _ in os.walk("/sys/fs/cgroup/devices")}


@test(root=True)
def test_v1_alone():
    before, words = v1_groups(), v1_alone()
    script = "grep -q devices:/ /proc/self/cgroup || echo no group\n" + make("/dev/n", "1 3") + opens("/dev/n") + make("/dev/b", "7 0", "b")
    script += opens(FUSE) + opens(FUSE, "<")
    wanted = {"/dev/n": ["made", "opened"], "/dev/b": ["unmade"], FUSE: ["refused", "opened"]}
    equal(said(host(["--cap-add", "MKNOD", "--device", FUSE + ":r"], script, words)), wanted, "usual rules and a letter")
    wanted["/dev/b"] = ["made"]
    equal(said(host(["--cap-add", "MKNOD", "--device", FUSE + ":r", "--device-cgroup-rule", "b 7:* m"], script, words)), wanted, "a rule")
    equal(said(host(["--privileged", "--device", FUSE + ":r"], script, words)), wanted, "exceptions from allow")
    shown = run([*words, binary(), "--userns-remap", dummy().name, "--dry-run", "--device", FUSE + ":r", tree(), "/bin/true"]).check(0).stdout
    contains(shown, "device.filter: v1", "--dry-run")
    remapped_ = run([*words, binary(), "--userns-remap", dummy().name, "--device", FUSE + ":r", tree(), "/bin/sh", "-c", opens(FUSE) + opens(FUSE, "<")])
    equal(said(remapped_), {FUSE: ["refused", "opened"]}, "in a user namespace")
    # Others have groups of other names there: these are called by the containers' ids.
    made = {path for path in v1_groups() - before if re.search("/nsrun/[0-9a-f]{12}$", path)}
    equal({path for path in made - foreign(made) if os.path.isdir(path)}, set(), "groups that stayed")


@test(root=True)
def test_v1_alone_exec():
    words, name = v1_alone(), "devices-v1-%d" % os.getpid()
    inside = 'nsrun=$1 root=$2 name=$3\n"$nsrun" -d --name $name --userns=host --cap-add MKNOD "$root" sleep 100 >&2 || exit 9\n'
    inside += '"$nsrun" exec $name /bin/sh -c \'%s\'\n"$nsrun" rm -f $name >&2' % (make("/dev/f", FUSE_NUMBER) + make("/dev/z", "1 5") + opens("/dev/z"))
    result = run([*words, "/bin/sh", "-c", inside, "sh", binary(), rootfs(private=True), name])
    equal(said(result), {"/dev/f": ["unmade"], "/dev/z": ["made", "opened"]}, "exec")


@test(root=True)
def test_terminal_without_a_user_namespace():
    with Pty([binary(), "--userns=host", "-t", rootfs(private=True), "/bin/sh", "-c", "echo to-console > /dev/console; tty; echo to-tty > /dev/tty"]) as terminal:
        result = terminal.result(20)
    equal((result.status, result.stdout.split()), (0, ["to-console", "/dev/pts/0", "to-tty"]), "terminal")


@test(root=True)
def test_no_descriptor_of_the_nodes_stays():
    """Neither in the workload nor in the init of --init."""
    name, pidfile = "devices-fds-%d" % os.getpid(), os.path.join(tmp("fds"), "pid")
    remapped(["-d", "--name", name, "--init", "--pidfile", pidfile, "--device", FUSE], "sleep", "100").check(0)
    try:
        with open(pidfile) as file:
            init = int(file.read())
        wait_for(lambda: named("sleep", init), "the workload")
        for pid in [init, *descendants(init)]:
            for fd, target in fds(pid).items():
                mode = os.stat("/proc/%d/fd/%d" % (pid, fd)).st_mode
                check(not stat.S_ISDIR(mode), "process %d has %s open" % (pid, target))
    finally:
        nsrun(["rm", "-f", name])


# ---- root, with a user namespace ----

@test(root=True)
def test_nodes_of_the_container():
    """Numbers and mode are the host's, the owner is container root, the group has the host's number; directories on the way are made."""
    got = remapped(["--device", FUSE, "--device", TUN + ":/dev/a/b/tun", "--device", LOOP + ":/srv/loop", "--device", LOOP],
                   "/bin/sh", "-c", "stat -c '%n %a %u:%g %t:%T' /dev/fuse /dev/a/b/tun /srv/loop /dev/loop-control; stat -c %F /dev/fuse; ls /dev/pts")
    lines = got.check(0).stdout.splitlines()
    wanted = []
    for path, inside in ((FUSE, FUSE), (TUN, "/dev/a/b/tun"), (LOOP, "/srv/loop"), (LOOP, LOOP)):
        st = os.stat(path)
        wanted.append("%s %o %d:%d %x:%x" % (inside, stat.S_IMODE(st.st_mode), 0, st.st_gid, os.major(st.st_rdev), os.minor(st.st_rdev)))
    equal(lines, wanted + ["character special file", "ptmx"], "nodes")
    os.path.exists(os.path.join(tree(), "srv/loop")) and os.unlink(os.path.join(tree(), "srv/loop"))


@test(root=True)
def test_given_devices_open():
    # the usual ones stay what they are
    equal(said(remapped(["--device", "/dev/zero:/dev/z:r"], "/bin/sh", "-c", opens("/dev/z") + opens("/dev/zero"))),
          {"/dev/z": ["opened"], "/dev/zero": ["opened"]}, "a usual one by another name")
    equal(said(remapped(["--device", FUSE, "--device", LOOP], "/bin/sh", "-c", opens(FUSE) + opens(LOOP))),
          {FUSE: ["opened"], LOOP: ["opened"]}, "container root")
    # a user of the container: as mode and owner have it
    equal(said(remapped(["--device", FUSE, "--device", LOOP, "-u", "1000:1000"], "/bin/sh", "-c", opens(FUSE) + opens(LOOP))),
          {FUSE: ["opened"], LOOP: ["refused"]}, "a user of the container")
    group = str(os.stat(LOOP).st_gid)
    equal(said(remapped(["--device", LOOP, "-u", "1000:1000", "--group-add", group], "/bin/sh", "-c", opens(LOOP))), {LOOP: ["opened"]}, "group")


@test(root=True)
def test_letters():
    script = opens(FUSE, "<") + opens(FUSE, ">") + opens(FUSE)
    for letters, wanted in (("r", ["opened", "refused", "refused"]), ("w", ["refused", "opened", "refused"]), ("rw", ["opened"] * 3),
                            ("m", ["refused"] * 3), ("rwm", ["opened"] * 3), ("mwr", ["opened"] * 3)):
        equal(said(remapped(["--device", FUSE + ":" + letters], "/bin/sh", "-c", script))[FUSE], wanted, letters)
    contains(remapped(["--device", FUSE + ":/dev/f:r"], "/bin/sh", "-c", "exec 3>/dev/f").stderr, "not permitted", "EPERM")


@test(root=True)
def test_links_directories_and_volumes():
    place = tmp("place")
    os.symlink(FUSE, os.path.join(place, "link:with:colons"))
    link = os.path.join(place, "link:with:colons")
    equal(said(remapped(["--device", link + ":/dev/f:r"], "/bin/sh", "-c", opens("/dev/f", "<") + opens("/dev/f"))),
          {"/dev/f": ["opened", "refused"]}, "a link whose name has colons")
    equal(said(remapped(["--device", link], "/bin/sh", "-c", opens(link))), {link: ["opened"]}, "its own name inside")
    contains(remapped(["--device", "/dev/net"], "/bin/sh", "-c", "ls -l /dev/net").check(0).stdout, "tun", "a directory")
    nodes = os.path.join(place, "nodes")
    os.makedirs(os.path.join(nodes, "below"))
    os.mknod(os.path.join(nodes, "one"), 0o666 | stat.S_IFCHR, os.stat(FUSE).st_rdev)
    os.mknod(os.path.join(nodes, "below/two"), 0o660 | stat.S_IFBLK, os.makedev(7, 0))
    os.symlink("one", os.path.join(nodes, "link"))
    open(os.path.join(nodes, "file"), "w").close()
    got = remapped(["--device", nodes + ":/dev/x:rw"], "/bin/sh", "-c", "cd /dev/x; find . | sort; " + opens("/dev/x/one") + opens("/dev/x/below/two", "<"))
    equal(got.check(0).stdout.splitlines()[:4], [".", "./below", "./below/two", "./one"], "what is in it")
    equal(said(got), {"/dev/x/one": ["opened"], "/dev/x/below/two": ["opened"]}, "nodes of a directory")
    data = tmp("data", owner=(100000, 100000))
    equal(said(remapped(["-v", data + ":/data", "--device", FUSE + ":/data/fuse"], "/bin/sh", "-c", opens("/data/fuse"))), {"/data/fuse": ["opened"]},
          "in a volume")
    check(stat.S_ISREG(os.stat(os.path.join(data, "fuse")).st_mode), "the mount point in the volume")


@test(root=True)
def test_remapped_without_options():
    """No node can be made, with or without --privileged, and so there is nothing to filter."""
    for more in ([], ["--cap-add", "MKNOD"], ["--privileged"]):
        result = remapped(more, "/bin/sh", "-c", make("/dev/f", FUSE_NUMBER) + make("/dev/n", "1 3"))
        equal(said(result), {"/dev/f": ["unmade"], "/dev/n": ["unmade"]}, "mknod with %r" % more)
        contains(remapped([*more, "--dry-run"], "/bin/true").check(0).stdout, "device.filter: none", "plan with %r" % more)
    # a node that is in the tree already is on a file system that is nodev
    place = rootfs(owner=dummy(), fresh=True)
    os.mknod(os.path.join(place, "fuse"), 0o666 | stat.S_IFCHR, os.stat(FUSE).st_rdev)
    for more in ([], ["--device", FUSE]):
        equal(said(nsrun(["--userns-remap", dummy().name, *more, place, "/bin/sh", "-c", opens("/fuse")])), {"/fuse": ["refused"]}, "node of the tree")


@test(root=True)
def test_spec_and_dry_run():
    shown = remapped(["--device", FUSE + ":/dev/f:r", "--device-cgroup-rule", "b 7:* m", "--dry-run"], "/bin/true").check(0).stdout
    for line in ("device.0.target: /dev/f", "device.0.access: r", "device.filter: v2", "b 7:* m", "devices.filter", "devices.place"):
        contains(shown, line, "--dry-run")
    spec = json.loads(remapped(["--device", FUSE + ":/dev/f:r", "--device-cgroup-rule", "b 7:* m", "--spec"], "/bin/true").check(0).stdout)
    st = os.stat(FUSE)
    equal(spec["linux"]["devices"], [{"path": "/dev/f", "type": "c", "major": os.major(st.st_rdev), "minor": os.minor(st.st_rdev),
                                      "fileMode": stat.S_IMODE(st.st_mode), "uid": 0, "gid": 0}], "linux.devices")
    rules = spec["linux"]["resources"]["devices"]
    equal(rules[0], {"allow": False, "access": "rwm"}, "the first rule")
    for rule in ({"allow": True, "type": "c", "access": "r", "major": os.major(st.st_rdev), "minor": os.minor(st.st_rdev)},
                 {"allow": True, "type": "b", "access": "m", "major": 7}, {"allow": True, "type": "c", "access": "rwm", "major": 1, "minor": 3}):
        check(rule in rules, "%r is not among %r" % (rule, rules))


# ---- ordinary users ----

@generate(root=True)
def ordinary_users():
    for name, who in (("ranges", ranger), ("single", single)):
        def all_of(who=who):
            who = who()
            place = rootfs(owner="%d:%d" % (who.uid, who.gid))

            def mine(options, script="true"):
                return nsrun([*options, place, "/bin/sh", "-c", script], user=who)
            equal(said(mine(["--device", FUSE, "--device", TUN + ":/dev/a/tun"], opens(FUSE) + opens("/dev/a/tun"))),
                  {FUSE: ["opened"], "/dev/a/tun": ["opened"]}, "nodes that all may open")
            contains(mine(["--device", LOOP], "(exec 3<>%s) 2>&1" % LOOP).stdout, "denied", "a node of root's")
            own = tmp("own")
            os.mknod(os.path.join(own, "node"), 0o600 | stat.S_IFCHR, os.stat(FUSE).st_rdev)
            os.chown(os.path.join(own, "node"), who.uid, who.gid)
            equal(said(mine(["--device", os.path.join(own, "node") + ":/dev/mine"], "stat -c '%u %a' /dev/mine; " + opens("/dev/mine"))),
                  {"/dev/mine": ["opened"]}, "a node of one's own")
            refused(mine(["--device", FUSE + ":r"]), "--device", "rwm", "remedy", "[device-filter]")
            refused(mine(["--device-cgroup-rule", "c 1:3 rwm"]), "--device-cgroup-rule", "[device-filter]")
            nodev = tmp("nodev")
            mount("none", nodev, "tmpfs", 4, "mode=755")
            try:
                os.mknod(os.path.join(nodev, "node"), 0o666 | stat.S_IFCHR, os.stat(FUSE).st_rdev)
                refused(mine(["--device", os.path.join(nodev, "node") + ":/dev/n"]), os.path.join(nodev, "node"), "nodev", "[device-nodev]")
            finally:
                umount(nodev)
        yield name, all_of


# ---- bad input ----

@test(root=True)
def test_bad_input():
    file = os.path.join(tmp("bad"), "file")
    open(file, "w").close()
    empty = tmp("empty")
    loop = os.path.join(tmp("bad"), "loop")
    os.symlink("loop", loop)
    for text, *words in (
            ["/dev/not-there", "/dev/not-there: does not exist", "[device-missing]"], ["", "--device", "[option-value]"], ["fuse", "absolute", "[device-missing]"],
            ["vendor.com/class=gpu0", "CDI", "[device-missing]"], [file, "no device", "[device-missing]"], [empty, "no device in", "[device-missing]"],
            [loop, loop, "[device-missing]"], [FUSE + ":rwx", "rwx", "[device-missing]"], [FUSE + ":rr", "letters"], [FUSE + ":/dev/f:rwmr", "letters"],
            [FUSE + ":relative", "relative"], [FUSE + ":/dev/../f", ".."], [FUSE + ":/", "rootfs itself", "[mount-target]"], ["/", "rootfs itself", "[mount-target]"], [FUSE + ":/proc/f", "[mount-target]"],
            [FUSE + ":/dev/null", "[mount-target]"], [FUSE + ":/dev/pts/7", "[mount-target]"], ["/dev/null", "[mount-target]"],
            [FUSE + ":", "[device-missing]"], ["/dev/fuse\n", "[device-missing]"]):
        refused(remapped(["--device", text], "/bin/true"), "--device", *words)
    for text in ("c", "c 1:3", "x 1:3 r", "c 1:3 q", "c 1:3 rr", "c -1:3 r", "c 4096:0 r", "c 1:1048576 r", "c 99999999999999999999:3 r", "c 1:3 r ",
                 "c 1:3\tr", "c 1:3 x", "c 1:3 r\nc 1:5 r"):
        refused(remapped(["--device-cgroup-rule", text], "/bin/true"), "--device-cgroup-rule", "c 10:200 rwm", "[device-rule]")
    refused(remapped(["--device", FUSE, "--device", TUN + ":" + FUSE], "/bin/true"), FUSE, "too", "[device-twice]")
    refused(remapped(["--device", FUSE, "--device", FUSE], "/bin/true"), FUSE, "too", "[device-twice]")
    refused(remapped(["--device", FUSE + ":/etc"], "/bin/true"), "/etc", "directory", "[mount-kind]")
    refused(remapped(["--tmpfs", "/srv/x", "--device", FUSE + ":/srv/x"], "/bin/true"), "/srv/x", "--tmpfs", "[device-twice]")
    many = [word for at in range(1100) for word in ("--device-cgroup-rule", "c %d:%d r" % (at % 4000, at))]
    refused(remapped(many, "/bin/true"), "1024", "[device-rule]")
    # a link of the rootfs that leads to what the kernel made
    place = rootfs(owner=dummy(), fresh=True)
    os.symlink("/proc/version", os.path.join(place, "trap"))
    refused(nsrun(["--userns-remap", dummy().name, "--device", FUSE + ":/trap", place, "/bin/true"]), "/trap", "[mount-target]")
    # what is mounted below a shared volume would be on the host, too
    shared = tmp("shared")
    refused(host(["-v", shared + ":/v:rshared", "--device", FUSE + ":/v/fuse"], "true"), "/v/fuse", "[shared-below]")


@test(root=True)
def test_directory_of_many_files():
    """It is no use, and takes no time: files and directories are counted, and what is deeper, too."""
    crowd, deep = tmp("crowd"), tmp("deep")
    for at in range(4097):
        os.mkdir(os.path.join(crowd, str(at))) if at % 2 else os.mknod(os.path.join(crowd, str(at)))
    refused(remapped(["--device", crowd], "/bin/true"), "--device " + crowd, "4096", "below " + crowd, "[device-many]")
    os.remove(os.path.join(crowd, "0"))
    refused(remapped(["--device", crowd], "/bin/true"), "no device in", "[device-missing]")
    os.makedirs(os.path.join(deep, *"a" * 20))
    refused(remapped(["--device", deep], "/bin/true"), "--device " + deep, "16 directories deep", "[device-many]")


@generate(root=True)
def null_stays_the_hosts():
    """As standard streams and as --device, whoever the container's user is; also where the workload gives its streams away."""
    def one(options, words):
        before = nodes()
        with open("/dev/null", "r+b", buffering=0) as null:
            status = subprocess.run([binary(), "--userns-remap", dummy().name, *options, rootfs(owner=dummy()), *words],
                                    stdin=null, stdout=null, stderr=null, check=False).returncode
        equal((nodes(), status), (before, 0))
    give = ["/bin/sh", "-c", "! chown 5:5 /dev/null /proc/self/fd/0"]
    for name, options, words in (("streams", [], ["/bin/true"]), ("another user", ["-u", "5:5"], ["/bin/true"]), ("given away", [], give),
                                 ("device", ["--device", "/dev/null:/dev/other"], give), ("device of another user", ["-u", "5", "--device", "/dev/null:/dev/other"], give)):
        yield name, lambda options=options, words=words: one(options, words)


@test(root=True)
def test_site_file():
    """A link whose name has colons is followed: nothing behind the first of them is lost."""
    link = os.path.join(tmp("site"), "a:b")
    os.symlink(FUSE, link)
    os.makedirs("/etc/nsrun", exist_ok=True)
    with open("/etc/nsrun/nsrun.json", "w") as file:
        json.dump({"forbid": ["device=" + FUSE]}, file)
    try:
        for text in (FUSE, FUSE + ":r", FUSE + ":/dev/f:r", link, link + ":/dev/f", link + ":rw", "/dev", "/dev/../dev/fuse"):
            refused(remapped(["--device", text], "/bin/true"), "--device", "[forbidden-by-site]")
        remapped(["--device", TUN + ":r"], "/bin/true").check(0)
    finally:
        os.unlink("/etc/nsrun/nsrun.json")


if __name__ == "__main__":
    main()
