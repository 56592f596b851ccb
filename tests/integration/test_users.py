# SPDX-License-Identifier: Apache-2.0
"""Whose ids a container has: ordinary callers, the forms of --userns-remap, ranges that no two containers share."""
import os
import shutil
import signal
import stat
import subprocess
import time

from harness import *
from helper import refused

MAPS = "cat /proc/self/uid_map; echo; cat /proc/self/gid_map"


def maps(result):
    """([(inside, outside, count)] of uid_map, of gid_map) as printed by MAPS."""
    result.check()
    return tuple([tuple(int(word) for word in line.split()) for line in part.splitlines() if line.strip()]
                 for part in result.stdout.split("\n\n"))


def launch(options, script=MAPS, tree=None, **how):
    return nsrun([*options, tree or rootfs(owner=dummy()), "/bin/sh", "-c", script], **how)


def own_tree(who):
    return rootfs(owner="%d:%d" % (who.uid, who.gid), fresh=True)


class Files:
    """Files of the private /etc with other contents for a while."""

    def __init__(self, **contents):
        self.contents, self.saved = {"/etc/" + name: text for name, text in contents.items()}, {}

    def __enter__(self):
        for path, text in self.contents.items():
            with open(path, "rb") as file:
                self.saved[path] = file.read()
            with open(path, "w") as file:
                file.write(text)

    def __exit__(self, *_):
        for path, data in self.saved.items():
            with open(path, "wb") as file:
                file.write(data)


# ---- ordinary users ----------------------------------------------------------------------------------------------

def test_ordinary_user_with_ranges():
    tree = own_tree(ranger())
    uids, gids = maps(launch([], tree=tree, user=ranger()))
    equal(uids[0], (0, ranger().uid, 1), "first line of uid_map")
    equal(gids[0], (0, ranger().gid, 1), "first line of gid_map")
    equal(uids[1], (1, 300000, 65536), "second line of uid_map")
    # another id of the range works inside, and is what the map says on disk
    launch(["-u", "7:7"], "id -u; touch /tmp/seven", tree=tree, user=ranger()).check(0, "7")
    equal(os.lstat(tree + "/tmp/seven").st_uid, 300006, "owner on disk of a file of id 7")


def test_ordinary_user_short_command():
    """As the README has it: `nsrun rootfs/ sh`, in the directory where the rootfs is."""
    tree = own_tree(ranger())
    nsrun([os.path.basename(tree) + "/", "sh", "-c", "id -u; read name </proc/1/comm; echo $name"], user=ranger(),
          cwd=os.path.dirname(tree)).check(0, "0\nsh")


def test_ordinary_user_with_a_single_id():
    tree = own_tree(single())
    uids, gids = maps(launch([], tree=tree, user=single()))
    equal(uids, [(0, single().uid, 1)], "uid_map")
    equal(gids, [(0, single().gid, 1)], "gid_map")
    launch([], "cat /proc/self/setgroups", tree=tree, user=single()).check(0, "deny")
    launch([], "touch /tmp/mine; stat -c %u:%g /tmp/mine", tree=tree, user=single()).check(0, "0:0")
    equal(os.lstat(tree + "/tmp/mine").st_uid, single().uid, "owner on disk")
    refused(launch(["-u", "7"], "id -u", tree=tree, user=single()), "7")


def test_ordinary_user_and_no_ranges_file():
    tree = own_tree(single())
    os.rename("/etc/subuid", "/etc/subuid.away")
    try:
        equal(maps(launch([], tree=tree, user=single()))[0], [(0, single().uid, 1)], "uid_map")
    finally:
        os.rename("/etc/subuid.away", "/etc/subuid")


def test_foreign_range_is_refused():
    """--userns-remap dummy needs the right to dummy's ranges: root, or dummy."""
    tree = own_tree(ranger())
    for who in (ranger(), single()):
        refused(launch(["--userns-remap", dummy().name], tree=tree, user=who), "dummy", "only root")
    launch(["--userns-remap", dummy().name], "id -u", user=dummy()).check(0, "0")


def test_ordinary_user_and_host_root():
    tree = own_tree(single())
    refused(launch(["--uid-map", "0:0:1", "--gid-map", "0:0:1"], tree=tree, user=single()))
    refused(launch(["--userns=host"], tree=tree, user=single()), ("root", "privilege", "CAP_SYS_ADMIN"))


def test_newuidmap_missing():
    empty = tmp("empty")
    tree = own_tree(ranger())
    path = subprocess.run(["which", "-a", "newuidmap"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    hidden = [p for p in dict.fromkeys(os.path.realpath(p) for p in path)]
    # the directory itself cannot be hidden, since the tests need it: the file is replaced by a dead link
    moved = []
    try:
        for directory in dict.fromkeys(os.path.dirname(p) for p in hidden):
            upper, work = tmp("upper%d" % len(moved)), tmp("work%d" % len(moved))
            mount("overlay", directory, "overlay", 0, "lowerdir=%s,upperdir=%s,workdir=%s" % (directory, upper, work))
            moved.append(directory)
        for file in hidden:
            os.unlink(file)
        refused(launch([], tree=tree, user=ranger()), "newuidmap", "install")
        refused(launch([], tree=tree, user=ranger(), env={"PATH": empty}), "newuidmap", "install")
    finally:
        for directory in reversed(moved):
            umount(directory, 2)


def test_newuidmap_not_set_uid():
    copy = os.path.join(tmp(), "newuidmap")
    source = "/usr/bin/newuidmap"
    with open(source, "rb") as old, open(copy, "wb") as new:
        new.write(old.read())
    os.chmod(copy, 0o755)
    mount(copy, source, None, 4096)
    try:
        check(not os.stat(source).st_mode & stat.S_ISUID, "the copy is set-uid")
        refused(launch([], tree=own_tree(ranger()), user=ranger()), "newuidmap", "set-uid")
    finally:
        umount(source)


class Hanging:
    """newuidmap sleeps: a set-uid copy of sleep(1), which adds up its arguments, the first of which is a pid."""

    def __enter__(self):
        copy = os.path.join(tmp(), "newuidmap")
        shutil.copy("/bin/sleep", copy)
        os.chmod(copy, 0o4755)
        mount(copy, "/usr/bin/newuidmap", None, 4096)

    def __exit__(self, *_):
        umount("/usr/bin/newuidmap", 2)


def test_newuidmap_hangs():
    """Whatever ends, init, nsrun or its patience (a signal): nothing waits for newuidmap, and it is not left behind."""
    tree = own_tree(ranger())
    with Hanging():
        for who, number, status in (("init", signal.SIGKILL, 125), ("nsrun", signal.SIGTERM, 125), ("nsrun", signal.SIGINT, 125),
                                    ("nsrun", signal.SIGHUP, 125), ("nsrun", signal.SIGKILL, -signal.SIGKILL)):
            before = leftovers()
            process = subprocess.Popen([binary(), tree, "/bin/true"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, env=environment(ranger()), cwd=base(), **run_as(ranger()))
            wait_for(lambda: any("newuidmap" in text for text in describe(descendants(process.pid))), "newuidmap runs")
            below = descendants(process.pid)
            helper = [pid for pid in below if "newuidmap" in describe([pid])[0]]
            [init] = [pid for pid in below if pid not in helper]
            begin = time.monotonic()
            os.kill(init if who == "init" else process.pid, number)
            _, err = process.communicate(timeout=10)
            what = "%s, %s" % (who, number.name)
            equal(process.returncode, status, "%s: %r; status" % (what, err))
            wait_for(lambda: not any(alive(pid) for pid in below), "%s: the end of %r" % (what, describe(below)), timeout=1)
            check(time.monotonic() - begin < 5 * SLOW, "%s: it took %.1f s" % (what, time.monotonic() - begin))
            if who == "init":
                check(b"killed" in err, "stderr does not tell that init was killed: %r" % err)
            elif status == 125:
                check(b"newuidmap" in err and b"signal" in err, "stderr does not tell what was cut short: %r" % err)
            nsrun(["gc"], user=ranger()).check(0)
            assert_clean(before)


# ---- inside another user namespace -------------------------------------------------------------------------------

def test_nested_caller():
    """All capabilities, in a user namespace of an ordinary user that has one id."""
    tree = own_tree(single())

    def nested(*words, **how):
        return run(["unshare", "-Ur", binary(), *words], user=single(), **how)

    if run(["unshare", "-Ur", "true"], user=single()).status != 0:
        skip("an ordinary user makes no user namespace here")
    before = leftovers()
    nested("--userns=host", "--read-only", tree, "/bin/sh", "-c", "id -u; cat /proc/self/uid_map").check(0)
    # without XDG_RUNTIME_DIR; /tmp is the test's own, since this name does not tell users apart
    copy = shutil.copy(binary(), tmp())
    mount("none", "/tmp", "tmpfs")
    try:
        os.chmod("/tmp", 0o1777)
        run(["unshare", "-Ur", copy, "--userns=host", "--read-only", tree, "/bin/true"], user=single(),
            env={"XDG_RUNTIME_DIR": None}).check(0)
        check(os.path.isdir("/tmp/nsrun-0"), "no /tmp/nsrun-0: %r" % os.listdir("/tmp"))
    finally:
        umount("/tmp")
    # its one id is the outer 0: a container of its own ids cannot be made of it
    for count in ("1", "1000"):
        result = refused(nested("--uid-map", "0:0:" + count, tree, "/bin/true"), "user namespace around it")
        check("of the host, which" not in result.stderr, "untrue in a user namespace: %r" % result)
    refused(nested(tree, "/bin/true"), "range")
    assert_clean(before)


def test_nested_caller_with_ids():
    """Root of a user namespace with 200000 ids, the second half of which is for a container, by number and by `auto`."""
    keeper = subprocess.Popen(["unshare", "-U", "sh", "-c", "echo up; exec sleep 60"], stdout=subprocess.PIPE)
    try:
        equal(keeper.stdout.readline(), b"up\n", "output")
        for name in ("uid_map", "gid_map"):
            with open("/proc/%d/%s" % (keeper.pid, name), "w") as file:
                file.write("0 1000000 131072")
        tree = rootfs(owner="1065536:1065536", fresh=True)
        place = tmp("run", 0o700)
        os.chown(place, 1000000, 1000000)
        result = run(["nsenter", "--user=/proc/%d/ns/user" % keeper.pid, "-S", "0", "-G", "0", binary(), "--uid-map", "0:65536:65536",
                      tree, "/bin/sh", "-c", "id -u; cat /proc/self/uid_map"], env={"XDG_RUNTIME_DIR": place})
        if result.status == 0:
            equal(result.stdout.split(), ["0", "0", "65536", "65536"], "id and map inside")
        else:
            refused(result, "/proc")  # a procfs with something mounted over it cannot be had again (mount_too_revealing)
        check(os.path.isdir(place + "/nsrun"), "the state root: %r" % os.listdir(place))
    finally:
        keeper.kill()
        keeper.wait()
        keeper.stdout.close()


def test_range_that_newuidmap_refuses():
    """The helper's own words come through when it says no for a reason of its own."""
    tree = own_tree(ranger())
    refused(launch(["--uid-map", "0:%d:1" % ranger().uid, "--uid-map", "1:900000:10", "--gid-map", "0:%d:1" % ranger().gid],
                   tree=tree, user=ranger()), ("900000", "newuidmap"))


# ---- the forms of --userns-remap, as root ------------------------------------------------------------------------

def test_remap_forms():
    who = dummy()
    make_user("groups", subuid=None, subgid=(500000, 65536))
    wanted = [(0, 100000, 65536)]
    for form in ("dummy", "dummy:dummy", str(who.uid), "%d:%d" % (who.uid, who.gid)):
        equal(maps(launch(["--userns-remap", form])), (wanted, wanted), form)
    equal(maps(launch(["--userns-remap=dummy"])), (wanted, wanted), "with =")
    tree = rootfs(owner="100000:500000", fresh=True)
    equal(maps(launch(["--userns-remap", "dummy:groups"], tree=tree)), (wanted, [(0, 500000, 65536)]), "USER:GROUP")


def test_subuid_and_subgid_differ():
    make_user("apart", subuid=(1000000, 65536), subgid=(2000000, 1000))
    tree = rootfs(owner="1000000:2000000", fresh=True)
    equal(maps(launch(["--userns-remap", "apart"], tree=tree)), ([(0, 1000000, 65536)], [(0, 2000000, 1000)]), "maps")
    launch(["--userns-remap", "apart"], "touch /made; stat -c %u:%g /made", tree=tree).check(0, "0:0")
    entry = os.lstat(tree + "/made")
    equal((entry.st_uid, entry.st_gid), (1000000, 2000000), "owner on disk")


def test_several_ranges():
    make_user("many", subuid=[(1100000, 1000), (1200000, 64536)])
    tree = rootfs(owner="1100000:1100000", fresh=True)
    equal(maps(launch(["--userns-remap", "many"], tree=tree))[0], [(0, 1100000, 1000), (1000, 1200000, 64536)], "uid_map")


def test_id_without_passwd_entry():
    with Files(subuid="61900:1300000:65536\n", subgid="61900:1300000:65536\n"):
        tree = rootfs(owner="1300000:1300000", fresh=True)
        for form in ("61900", "61900:61900"):
            equal(maps(launch(["--userns-remap", form], tree=tree))[0], [(0, 1300000, 65536)], form)


def test_remap_default():
    """Makes the user nsremap with ranges of its own where there is none, and uses them the second time."""
    remove_user("nsremap")
    try:
        first = maps(launch(["--userns-remap", "default"], tree=rootfs(private=True)))
        with open("/etc/subuid") as file:
            lines = [line.split(":") for line in file.read().split() if line.startswith("nsremap:")]
        equal(len(lines), 1, "lines of nsremap in /etc/subuid")
        equal(first[0], [(0, int(lines[0][1]), int(lines[0][2]))], "uid_map")
        check(int(lines[0][1]) >= 165536 or int(lines[0][1]) + int(lines[0][2]) <= 100000, "nsremap's range overlaps dummy's: %r" % lines)
        equal(maps(launch(["--userns-remap", "default"], tree=rootfs(private=True))), first, "the second time")
        check(user("nsremap").uid > 0, "nsremap is root")
    finally:
        remove_user("nsremap")


def test_explicit_maps():
    tree = rootfs(owner="1400000:1400100", fresh=True)
    options = ["--uid-map", "0:1400000:100", "--uid-map", "1000:1400200:5", "--gid-map", "0:1400100:50"]
    equal(maps(launch(options, tree=tree)), ([(0, 1400000, 100), (1000, 1400200, 5)], [(0, 1400100, 50)]), "maps")
    launch(options + ["-u", "1003:7"], "id -u; id -g", tree=tree).check(0, "1003\n7")
    refused(launch(options + ["-u", "500"], "id -u", tree=tree), "500")
    # one said alone is meant for both
    same = rootfs(owner="1400000:1400000", fresh=True)
    for option in ("--uid-map", "--gid-map"):
        equal(maps(launch([option, "0:1400000:100"], tree=same)), ([(0, 1400000, 100)], [(0, 1400000, 100)]), option + " alone")


def test_root_with_nothing_said_is_auto():
    uids, gids = maps(launch([], tree=rootfs(private=True)))
    check(uids[0][0] == 0 and uids[0][2] == 65536 and uids[0][1] >= 65536, "uid_map %r" % uids)
    equal(gids, uids, "gid_map")


# ---- auto --------------------------------------------------------------------------------------------------------

def start_auto(n, tree):
    """n containers at once that say their map and wait to be told to end (end of file on stdin)."""
    args = [binary(), "--userns-remap", "auto", tree, "/bin/sh", "-c", "cat /proc/self/uid_map; exec cat"]
    return [subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
                             cwd=base()) for _ in range(n)]


def first_lines(processes):
    return [process.stdout.readline().split() for process in processes]


def end(processes):
    out = []
    for process in processes:
        _, err = process.communicate(timeout=30)
        out.append((process.returncode, err.decode()))
    return out


@test(timeout=90)
def test_auto_never_overlaps():
    before = leftovers()
    dummy(), ranger()
    make_user("inthemiddle", subuid=(4194304, 655360))
    processes = start_auto(20, rootfs(private=True))
    lines = first_lines(processes)
    ended = end(processes)
    equal([status for status, _ in ended], [0] * 20, "statuses; %r" % ended)
    ranges = sorted((int(line[1]), int(line[1]) + int(line[2])) for line in lines)
    equal([int(line[2]) for line in lines], [65536] * 20, "counts")
    taken = sorted(ranges + [(100000, 165536), (300000, 365536), (4194304, 4194304 + 655360)])
    for (_, last), (first, _) in zip(taken, taken[1:]):
        check(last <= first, "ranges overlap: %r" % taken)
    check(ranges[0][0] >= 65536 and ranges[-1][1] < 2 ** 32, "outside of what may be mapped: %r" % ranges)
    assert_clean(before)


@test(timeout=90)
def test_auto_returns_its_range():
    """Room for three ranges alone: eight containers one after another are served, and at once no more than there is room."""
    low, high = 65536 * 40, 65536 * 43
    hog = "hog:1:%d\nhog:%d:%d\n" % (low - 1, high, 2 ** 32 - 2 - high)
    tree = rootfs(private=True)
    with Files(subuid=hog, subgid=hog):
        for _ in range(8):
            uids, _gids = maps(launch(["--userns-remap", "auto"], tree=tree))
            check(low <= uids[0][1] and uids[0][1] + 65536 <= high, "range of somebody else: %r" % uids)
        processes = start_auto(5, tree)
        lines = first_lines(processes)
        ended = end(processes)
        good = [line for line in lines if line]
        check(2 <= len(good) <= 3, "%d of 5 were served: %r" % (len(good), ended))
        equal(len({line[1] for line in good}), len(good), "distinct ranges in %r" % good)
        for status, err in ended:
            check(status in (0, 125), "status %d: %s" % (status, err))
            check(status == 0 or "nsrun gc" in err, "the remedy is missing: %s" % err)
        maps(launch(["--userns-remap", "auto"], tree=tree))


def test_auto_exhausted():
    hog = "hog:1:%d\n" % (2 ** 32 - 3)
    before = leftovers()
    with Files(subuid=hog, subgid=hog):
        refused(launch(["--userns-remap", "auto"], tree=rootfs(private=True)), "range")
    assert_clean(before)


def test_auto_range_of_a_killed_owner():
    low, high = 65536 * 40, 65536 * 41
    hog = "hog:1:%d\nhog:%d:%d\n" % (low - 1, high, 2 ** 32 - 2 - high)
    tree = rootfs(private=True)
    with Files(subuid=hog, subgid=hog):
        [process] = start_auto(1, tree)
        equal(int(first_lines([process])[0][1]), low, "the one range that is there")
        refused(launch(["--userns-remap", "auto"], tree=tree), "range")
        process.kill()
        process.communicate(timeout=10)
        equal(maps(launch(["--userns-remap", "auto"], tree=tree))[0], [(0, low, 65536)], "uid_map after its owner was killed")


def test_each_remap_has_its_own_state():
    """Two remaps do not see each other's state directories (UID.GID, 0700)."""
    process = subprocess.Popen([binary(), "--userns-remap", dummy().name, rootfs(owner=dummy()), "/bin/sh", "-c", "echo up; exec cat"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(), cwd=base())
    try:
        equal(process.stdout.readline(), b"up\n", "output")
        directory = "/run/nsrun/100000.100000"
        check(os.path.isdir(directory), "no %s: %r" % (directory, state()))
        equal(stat.S_IMODE(os.stat(directory).st_mode), 0o700, "mode of " + directory)
        equal(len(os.listdir(directory)), 1, "containers in " + directory)
    finally:
        process.communicate(timeout=10)
    equal(os.listdir(directory) if os.path.isdir(directory) else [], [], "containers after the end")


if __name__ == "__main__":
    main()
