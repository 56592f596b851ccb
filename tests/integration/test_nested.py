# SPDX-License-Identifier: Apache-2.0
"""nsrun inside containers that nsrun made, and on a host whose root is read-only."""
import os
import re
import shutil
import signal
import subprocess

from harness import *

INNER, DEEP = 4096, 256  # where the first ranges of a container inside one, and of one inside that, begin
# The kinds of caller outside: options, first id of the container's range, and the host id of its root.
KINDS = {"root": (["--userns-remap", "dummy"], None), "ranges": ([], ranger), "single": ([], single)}
SECRET = "not for the container"


def libraries():
    """What the dynamic nsrun needs: files of the host."""
    found = run(["ldd", binary()]).check(0).stdout
    return re.findall(r"(/\S+) \(", found)


def fill(tree):
    """Puts nsrun and its libraries into a tree."""
    for path in libraries():
        # the loader's directory and those where it looks
        target = tree + (path if "ld-linux" in path else "/lib/x86_64-linux-gnu/" + os.path.basename(path))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy(path, target)
    shutil.copy(binary(), tree + "/bin/nsrun")
    os.chmod(tree + "/bin/nsrun", 0o755)
    return tree


def own(tree, first_uid, first_gid=None):
    run(["chown", "-hR", "%d:%d" % (first_uid, first_uid if first_gid is None else first_gid), tree]).check(0)


def outer(kind="root"):
    """A rootfs that has nsrun, and rootfs of its own: /mine of the container's root, /ranged of its first range."""
    who = KINDS[kind][1]
    if kind not in _outers:
        dummy()
        tree = os.path.join(base(), "outer-" + kind)
        shutil.copytree(rootfs(), tree, symlinks=True)
        fill(tree)
        small = tree + "/small"
        shutil.copytree(rootfs(), small, symlinks=True)
        for name in ("mine", "ranged"):
            shutil.copytree(small, tree + "/" + name, symlinks=True)
        shutil.rmtree(small)
        fill(tree + "/ranged")
        shutil.copytree(rootfs(), tree + "/ranged/deep", symlinks=True)
        first = {"root": 100000, "ranges": 300000 - 1, "single": 0}[kind]
        owner = who().uid if who else first
        own(tree, owner)
        if kind != "single":
            own(tree + "/ranged", first + INNER)
            own(tree + "/ranged/deep", first + INNER + DEEP)
        _outers[kind] = tree
    return _outers[kind]


_outers = {}


def inside(command, kind="root", options=("--privileged",), **how):
    """Runs a shell command in an outer container."""
    words, who = KINDS[kind]
    tree = outer(kind)
    return nsrun(words + list(options) + [tree, "/bin/sh", "-c", command], user=who() if who else None, **how)


def refused(result, word, *parts):
    check(result.status == 125, "status %s: %r" % (result.status, result))
    contains(result.stderr, "[%s]" % word, "stderr")
    for part in parts:
        contains(result.stderr, part, "stderr")
    equal(len(re.findall("^nsrun: ", result.stderr, re.M)), 1, "errors in %r" % result)


def copied(result):
    """Needs a tmpfs with idmapped mounts, as Linux has since 6.3. Before: an error with a way out, and nothing else."""
    if kernel() < (6, 3):
        refused(result, "copy-not-idmappable", "tmpfs", "6.3", "--userns=host")
        skip("tmpfs of this kernel has no idmapped mounts")


def kernel():
    return tuple(int(word) for word in re.match(r"(\d+)\.(\d+)", os.uname().release).groups())


def extents(text):
    return [tuple(int(word) for word in line.split()) for line in text.splitlines()]


# ---- the default inside --------------------------------------------------------------------------------------------

@generate
def defaults():
    for kind in ("root", "ranges"):
        yield "test_tree_of_a_range_" + kind, lambda kind=kind: tree_of_a_range(kind)
        yield "test_ephemeral_" + kind, lambda kind=kind: ephemeral(kind)


def tree_of_a_range(kind):
    """The tree's owner decides the range; what root of the inner container writes belongs to that on the host."""
    before = leftovers()
    result = inside("nsrun /ranged /bin/sh -c 'id -u; cat /proc/self/uid_map; rm -f /made; touch /made'", kind).check(0)
    lines = result.stdout.split("\n", 1)
    equal(lines[0], "0", "id inside")
    equal(extents(lines[1]), [(0, INNER, INNER)], "map")
    equal(os.stat(outer(kind) + "/ranged/made").st_uid, (100000 if kind == "root" else 299999) + INNER, "owner on the host")
    refused(inside("exec nsrun /mine /bin/true", kind), "nested-rootfs", "--ephemeral", "--userns=host", "--owner 4096:4096")
    assert_clean(before)


def ephemeral(kind):
    """A tree of the outer root's: a copy in memory, shown with the inner ids, in a range that no other container has."""
    before = leftovers()
    result = inside("nsrun --ephemeral /mine /bin/sh -c 'cat /proc/self/uid_map; touch /made /bin/made; stat -c %u /bin/busybox; "
                    "chown 7:7 /bin/busybox'; ls /mine/made", kind)
    if kernel() < (6, 3):
        copied(inside("exec nsrun --ephemeral /mine /bin/true", kind))
    check(result.status != 0, "a file got out of --ephemeral: %r" % result)
    contains(result.stderr, "/mine/made", "stderr")
    lines = result.stdout.splitlines()
    (begin, first, count), = extents(lines[0])
    equal((begin, first % INNER, count), (0, 0, INNER), "map")
    check(first >= INNER, "the outer container's own ids: %r" % result)
    equal(lines[1:], ["0"], "owner of the copy")
    inside("nsrun --read-only /mine /bin/sh -c '! touch /made'", kind).check(0)
    inside("nsrun --userns=host /mine /bin/sh -c 'rm -f /made; touch /made' && test -O /mine/made", kind).check(0)
    assert_clean(before)


def test_single_id():
    """A container of one id has none to give: only --userns=host is left, at any depth."""
    before = leftovers()
    refused(inside("exec nsrun /mine /bin/true", "single"), "nested-ids", "--userns=host")
    refused(inside("exec nsrun --ephemeral /mine /bin/true", "single"), "nested-ids", "--userns=host")
    inside("nsrun --userns=host --privileged / nsrun --userns=host /mine /bin/cat /proc/self/uid_map", "single").check(
        0, "         0 %10d          1" % single().uid)
    assert_clean(before)


def test_ranges_are_apart():
    """Containers that run at the same time get different ranges."""
    result = inside("for i in 1 2 3; do nsrun --read-only /mine /bin/sh -c 'cat /proc/self/uid_map; sleep 1' & done; wait").check(0)
    first = [extent[1] for extent in extents(result.stdout)]
    equal(len(set(first)), 3, "ranges %r; different ones" % first)


def test_levels():
    """Three deep: 65536, 4096 and 256 ids; the fourth is told what it lacks."""
    before = leftovers()
    script = ("cat /proc/self/uid_map; nsrun --privileged /ranged /bin/sh -c '"
              "cat /proc/self/uid_map; nsrun --privileged /deep /bin/sh -c \"cat /proc/self/uid_map\"'")
    result = inside(script).check(0)
    equal(extents(result.stdout), [(0, 100000, 65536), (0, INNER, INNER), (0, DEEP, DEEP)], "maps")
    result = inside("nsrun --privileged /ranged /bin/sh -c 'nsrun --privileged -v /bin/nsrun:/bin/nsrun:ro -v /lib:/lib:ro -v /lib64:/lib64:ro "
                    "/deep nsrun --ephemeral / /bin/true'")
    refused(result, "nested-ids", "256")
    assert_clean(before)


def test_larger_outer():
    """With more than 65536 ids outside, a full range inside; no map across lines of the outer one."""
    maps = ["--uid-map", "0:100000:65536", "--uid-map", "65536:1000000:131072"]
    tree = outer()

    def launch(*words):
        return nsrun([*maps, "--privileged", tree, "nsrun", *words])
    for _ in range(3):
        own = ["--ephemeral"] if kernel() >= (6, 3) else ["--read-only"]
        (begin, first, count), = extents(launch(*own, "/mine", "/bin/cat", "/proc/self/uid_map").check(0).stdout)
        check(first in (65536, 131072), "first id %d" % first)
        equal((begin, count), (0, 65536), "map")
    refused_map = launch("--read-only", "--uid-map", "0:4096:70000", "/mine", "/bin/true")
    check(refused_map.status == 125 and "several lines" in refused_map.stderr, repr(refused_map))
    launch("--read-only", "--uid-map", "0:4096:61440", "--uid-map", "61440:65536:70000", "/mine", "/bin/true").check(0)


def test_outer_without_remap():
    """--userns=host outside: root inside is root of the host, and nsrun does all that it does there."""
    tree = outer()
    before = leftovers()
    result = nsrun(["--userns=host", "--privileged", "--ephemeral", tree, "/bin/sh", "-c",
                    "rm -rf /run/nsrun; nsrun --uid-map 0:104096:4096 --read-only /ranged /bin/cat /proc/self/uid_map"])
    equal(extents(result.check(0).stdout), [(0, 104096, 4096)], "map")
    assert_clean(before)


def test_private_on_this_side_alone():
    """A volume below a directory that is private in the container alone: others may reach it on the host, so it is not idmapped writable."""
    tree = outer()
    run(["mkdir", "-p", tree + "/hidden/there"]).check(0)
    os.chmod(tree + "/hidden", 0o700)
    for path in (tree + "/hidden", tree + "/hidden/there"):
        os.chown(path, 0, 0)
    public, private = rootfs(fresh=True), rootfs(private=True)
    words = ["--userns=host", "--privileged", "--ephemeral"]
    result = nsrun(words + ["-v", public + ":/hidden/there", tree, "/bin/sh", "-c", "rm -rf /run/nsrun; exec nsrun /hidden/there /bin/true"])
    refused(result, "rootfs-owner", "/hidden/there")
    nsrun(words + ["-v", os.path.dirname(private) + ":/hidden/there", tree, "/bin/sh", "-c",
                   "rm -rf /run/nsrun; exec nsrun /hidden/there/%s /bin/true" % os.path.basename(private)]).check(0)


# ---- life ----------------------------------------------------------------------------------------------------------

def test_life_inside():
    before = leftovers()
    script = """set -e
        nsrun -d --name deep /ranged /bin/sh -c 'echo words; exec sleep 100' >/dev/null
        nsrun ls; nsrun exec deep /bin/cat /proc/self/uid_map; sleep 0.2; nsrun logs deep
        nsrun stop -t 0 deep; nsrun ls -a; nsrun rm deep; nsrun gc; ls /run/nsrun/names"""
    result = inside(script).check(0)
    for part in ("running", "ended (137)", "words", "nothing to remove", " 4096 "):
        contains(result.stdout, part, "stdout")
    assert_clean(before)


def test_seen_from_outside():
    """The host enters the outer container and finds the inner one; no name or record of it is on the host."""
    before = leftovers()
    name = "nested-%d" % os.getpid()
    nsrun(["-d", "--name", name, "--rm", "--userns-remap", "dummy", "--privileged", outer(), "/bin/sh", "-c",
           "nsrun -d --name deep /ranged /bin/sleep 100; exec sleep 100"]).check(0)
    try:
        def listed():
            return "running" in nsrun(["exec", name, "nsrun", "ls"]).check(0).stdout
        wait_for(listed, "the inner container runs")
        nsrun(["exec", name, "nsrun", "exec", "deep", "/usr/bin/id", "-u"]).check(0, "0")
        check(not re.search(r" deep +running", nsrun(["ls"]).check(0).stdout), "the inner container is listed on the host")
        [sleeper] = [pid for pid in descendants() if os.stat("/proc/%d" % pid).st_uid == 100000 + INNER
                     and b"sleep\x00100" in open("/proc/%d/cmdline" % pid, "rb").read()]
        check(alive(sleeper), "no inner workload")
    finally:
        nsrun(["stop", "-t", "0", name])
    wait_for(lambda: not alive(sleeper), "the inner workload's end")
    assert_clean(before, grace=3)


@generate
def ends():
    for number in (signal.SIGTERM, signal.SIGKILL):
        yield "test_end_of_the_outer_" + number.name, lambda number=number: end_of_outer(number)


def end_of_outer(number):
    """Whatever ends the outer nsrun: the inner processes die with its PID namespace, and nothing stays."""
    before = leftovers()
    process = subprocess.Popen(
        [binary(), "--userns-remap", "dummy", "--privileged", "--init", outer(), "/bin/sh", "-c",
         "nsrun -d /ranged /bin/sleep 100 >/dev/null; nsrun %s /mine /bin/sh -c 'echo up; exec sleep 100'; :"
         % ("--ephemeral" if kernel() >= (6, 3) else "--userns=host")],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment())
    try:
        equal(process.stdout.readline(), b"up\n", "output")
        below = descendants(process.pid)
        check(len(below) >= 6, "processes: %r" % describe(below))
        process.send_signal(number)
        process.wait(timeout=10)
        wait_for(lambda: not any(alive(pid) for pid in below), "the end of %r" % describe(below))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    nsrun(["gc"]).check(0)
    assert_clean(before, grace=3)


def test_limits():
    """What cannot be handed down is an error; what can be is applied."""
    for option, name in (("-m 64m", "memory"), ("--pids-limit 20", "pids")):
        result = inside("nsrun %s --read-only /mine /bin/true || exit; exec nsrun --read-only /mine /bin/true" % option)
        if result.status != 0:
            check("[no-controller]" in result.stderr or "[no-delegation]" in result.stderr or "[cgroup-busy]" in result.stderr, repr(result))
            contains(result.stderr, name, "stderr")


# ---- refusals ------------------------------------------------------------------------------------------------------

@generate
def refusals():
    filtered = ("seccomp-around", "--security-opt seccomp=unconfined", "--privileged")
    capless = ("nested-caps", "--privileged")
    rows = {
        "plain": ([], capless),
        "no_sys_admin": (["--privileged", "--cap-drop", "SYS_ADMIN"], capless + ("CAP_SYS_ADMIN",)),
        "no_setuid": (["--privileged", "--cap-drop", "SETUID"], capless + ("CAP_SETUID",)),
        "unconfined": (["--security-opt", "seccomp=unconfined"], capless),
        "all_caps": (["--cap-add", "ALL"], filtered),
        "docker_profile": (["--privileged", "--security-opt", "seccomp=docker"], filtered),
        # LeakSanitizer needs ptrace(2), which this one denies
        "strict_profile": (["--privileged", "--security-opt", "seccomp=strict", "-e", "ASAN_OPTIONS=detect_leaks=0"], filtered),
        "masked_proc": (["--cap-add", "ALL", "--security-opt", "seccomp=unconfined"], ("proc-overmounted", "--privileged")),
        "user_filtered": (["-u", "1000:1000"], filtered),
        "user_masked": (["-u", "1000:1000", "--security-opt", "seccomp=unconfined"], ("proc-overmounted", "--privileged")),
        "read_only": (["--privileged", "--read-only"], ("state-readonly", "/run/nsrun", "tmpfs")),
    }
    for name, (options, wanted) in rows.items():
        def one(options=options, wanted=wanted):
            before = leftovers()
            refused(inside("exec nsrun --read-only /mine /bin/true", options=options), *wanted)
            assert_clean(before)
        yield "test_refused_" + name, one


def test_place_for_records():
    inside("exec nsrun --read-only /mine /bin/true", options=["--privileged", "--read-only", "--tmpfs", "/run"]).check(0)


def test_user_inside():
    """An ordinary user of a privileged outer container is one there as well."""
    result = inside("exec nsrun --read-only /mine /bin/cat /proc/self/uid_map", options=["--privileged", "-u", "1000:1000"]).check(0)
    equal(extents(result.stdout), [(0, 1000, 1)], "map")


# ---- attacks -------------------------------------------------------------------------------------------------------

def test_inner_root_reaches_nothing():
    """Privileged root of an inner container, against the outer one and the host: files, devices, processes, ids, mounts."""
    before = leftovers()
    attack = """
        cat /vol/secret && echo BROKEN read
        echo x >/vol/secret && echo BROKEN write
        chown 0:0 /vol/open && echo BROKEN chown
        mknod /tmp/disk b 254 0 && dd if=/tmp/disk of=/dev/null count=1 && echo BROKEN device
        mount -o remount,rw /vol && echo x >/vol/open && echo BROKEN remount
        kill -9 -1; [ "$(ls -d /proc/[0-9]* | wc -l)" -lt 5 ] || echo BROKEN processes
        [ -e /mine ] || [ -e /proc/1/root/mine ] && echo BROKEN root
        umount /proc/acpi 2>/dev/null; umount -l / && [ -e /mine ] && echo BROKEN umount
        echo h >/proc/sys/kernel/core_pattern && echo BROKEN core_pattern
        echo 1 >/proc/sys/vm/drop_caches && echo BROKEN sysctl
        echo b >/proc/sysrq-trigger 2>/dev/null && echo BROKEN sysrq
        echo done"""
    script = """echo %s >/tmp/secret; mkdir -p /tmp/v; mv /tmp/secret /tmp/v; chmod 600 /tmp/v/secret; echo y >/tmp/v/open; chmod 644 /tmp/v/open
        nsrun --privileged -v /tmp/v:/vol:ro /ranged /bin/sh -c '%s'; cat /tmp/v/secret /tmp/v/open; rm -r /tmp/v""" % (
            SECRET, attack.replace("'", "'\\''"))
    result = inside(script).check(0)
    check("BROKEN" not in result.stdout, repr(result))
    equal(result.stdout.splitlines(), ["done", SECRET, "y"], "output; %r" % result)
    assert_clean(before)


def test_inner_without_remap_is_the_outer():
    """--userns=host inside gives no more than the outer container has: neither capabilities nor the host's root's files."""
    secret = tmp("host") + "/secret"
    with open(secret, "w") as file:
        file.write(SECRET)
    os.chmod(secret, 0o600)
    result = nsrun(["--userns-remap", "dummy", "--privileged", "-v", os.path.dirname(secret) + ":/vol:ro", "--cap-drop", "NET_RAW",
                    "--cap-drop", "SYS_ADMIN", outer(), "nsrun", "--userns=host", "/mine", "/bin/true"])
    check(result.status == 125, repr(result))
    result = nsrun(["--userns-remap", "dummy", "--privileged", "--cap-drop", "NET_RAW", outer(), "nsrun", "--userns=host", "--privileged",
                    "/mine", "/bin/sh", "-c", "grep CapBnd /proc/self/status; cat /proc/self/uid_map"])
    check(result.status in (0, 125), repr(result))
    if result.status == 0:
        bounding = int(result.stdout.split()[1], 16)
        check(not bounding & 1 << 13, "CAP_NET_RAW is back: %r" % result)
        equal(extents(result.stdout.split("\n", 1)[1]), [(0, 100000, 65536)], "map")


def test_sanitizer_build():
    """The same by the checked build, once each way."""
    if not os.path.exists(built("NSRUN_SAN")):
        skip("no checked build")
    words = ["--userns-remap", "dummy", "--privileged", outer(), "nsrun"]
    nsrun(words + ["/ranged", "/bin/true"], sanitizer=True).check(0)


# ---- a read-only root ----------------------------------------------------------------------------------------------

READ_ONLY = """set -e
    mount --make-rprivate /
    mount -t tmpfs none /mnt; mkdir /mnt/root
    mount --rbind / /mnt/root
    mount -o remount,bind,ro /mnt/root
    awk '$5 ~ "^/mnt/root/" {print $5}' /proc/self/mountinfo | while read -r point; do
        case $point in /mnt/root/proc*|/mnt/root/sys*|/mnt/root/dev*|/mnt/root/mnt*) ;; *) mount -o remount,bind,ro "$point" ;; esac
    done
    mount -t tmpfs none /mnt/root/run; chmod 755 /mnt/root/run; mount -t tmpfs none /mnt/root/mnt
    mkdir -p -m 755 /mnt/root/run/user; mkdir -m 700 /mnt/root/run/user/%(ranger)d; chown %(ranger)d:%(ranger)d /mnt/root/run/user/%(ranger)d
    cd /mnt/root; pivot_root . mnt; cd /; umount -l /mnt
    for place in / /tmp /var/tmp /etc "$BASE"; do
        if touch "$place/nsrun-touched" 2>/dev/null; then echo "$place is writable"; exit 1; fi
    done
    set +e
    """


def on_read_only(script, *words):
    who = ranger()
    return run(["unshare", "-m", "/bin/sh", "-c", READ_ONLY % {"ranger": who.uid} + script, "sh", *words],
               env={"BASE": base(), "NSRUN": binary(), "TREE": rootfs(owner=dummy().name), "MINE": rootfs(owner="%d:%d" % (who.uid, who.gid))})


AS_USER = "setpriv --reuid %d --regid %d --clear-groups env XDG_RUNTIME_DIR="


def test_read_only_root():
    before = leftovers()
    result = on_read_only("""
        \"$NSRUN\" --userns-remap dummy --read-only $TREE /bin/sh -c 'id -u; ! touch /made 2>/dev/null'; echo $?
        \"$NSRUN\" --userns-remap dummy $TREE /bin/sh -c '! touch /made 2>/dev/null'; echo $?
        \"$NSRUN\" --userns-remap dummy --ephemeral $TREE /bin/touch /made; echo $?
        \"$NSRUN\" --userns-remap dummy -m 64m --pids-limit 20 --security-opt seccomp=docker --read-only $TREE /bin/true; echo $?
        \"$NSRUN\" -d --name ro --userns-remap dummy $TREE /bin/sh -c 'echo words; exec sleep 100' >/dev/null; echo $?
        for i in 1 2 3 4 5 6 7 8 9; do \"$NSRUN\" logs ro | grep words && break; sleep 0.1; done
        \"$NSRUN\" stop -t 0 ro >/dev/null 2>&1; \"$NSRUN\" rm ro; \"$NSRUN\" gc
        """ + AS_USER % (ranger().uid, ranger().gid) + """/run/user/%d \"$NSRUN\" --read-only $MINE /usr/bin/id -u; echo $?""" % ranger().uid)
    equal(result.check(0).stdout.split("\n"), ["0", "0", "0", "0", "0", "0", "words", "ro", "nothing to remove", "0", "0", ""],
          "output; %r" % result)
    assert_clean(before)


def test_read_only_run():
    """Records cannot be written: one error that names the place."""
    before = leftovers()
    for prepare in ("mount -o remount,ro /run", "\"$NSRUN\" --userns-remap dummy $TREE /bin/true; mount -o remount,ro /run"):
        refused(on_read_only(prepare + "; exec \"$NSRUN\" --userns-remap dummy $TREE /bin/true"), "state-readonly", "/run/nsrun", "tmpfs")
        on_read_only(prepare + "; \"$NSRUN\" ls").check(0)
    refused(on_read_only("mount -o remount,ro /run; exec \"$NSRUN\" gc"), "state-readonly", "/run/nsrun", "tmpfs")
    refused(on_read_only("exec " + AS_USER % (ranger().uid, ranger().gid) + " \"$NSRUN\" --read-only $MINE /bin/true"), "state-readonly",
            "/tmp/nsrun-%d" % ranger().uid, "XDG_RUNTIME_DIR")
    assert_clean(before)


def test_read_only_etc():
    """The user nsremap cannot be made; a range without a user can be taken."""
    private = rootfs(private=True)
    result = on_read_only("grep -q nsremap /etc/passwd && exit 3; exec \"$NSRUN\" --userns-remap default --read-only %s /bin/true" % private)
    if result.status == 3:
        skip("this host has the user nsremap")
    check(result.status == 125, repr(result))
    contains(result.stderr, "--userns-remap default: ", "stderr")
    contains(result.stderr, "nsremap", "stderr")
    on_read_only("exec \"$NSRUN\" --read-only %s /bin/true" % private).check(0)


def test_read_only_tree_without_mount_points():
    tree = rootfs(owner=dummy().name, fresh=True)
    os.rmdir(tree + "/proc")
    refused(on_read_only("exec \"$NSRUN\" --userns-remap dummy %s /bin/true" % tree), "mount-point-missing", "/proc", "--ephemeral")
    on_read_only("exec \"$NSRUN\" --userns-remap dummy --ephemeral %s /bin/true" % tree).check(0)


if __name__ == "__main__":
    main()
