# SPDX-License-Identifier: Apache-2.0
"""The table "Who owns what on disk", each row by a launch, and by another user of the host who executes what was planted."""
import os
import stat

from harness import *
from faces import both, nsrun
from helper import install_helper, refused

FIRST = 100000  # of dummy's range
WAYS = ("--owner", "chmod 700", ("--read-only", "--ephemeral"), "--trust-rootfs")
PLANT = "cp /helper /planted && chmod 4755 /planted && echo planted"


def census(top):
    """{path: (uid, gid, mode, kind)} of the whole tree, links not followed."""
    found = {}
    for directory, dirs, files in os.walk(top):
        for name in [""] + dirs + files:
            path = os.path.join(directory, name) if name else directory
            entry = os.lstat(path)
            found[os.path.relpath(path, top)] = (entry.st_uid, entry.st_gid, entry.st_mode)
    return found


def unchanged(before, top, but=()):
    now = census(top)
    differ = {path: (before.get(path), now.get(path)) for path in set(before) | set(now)
              if before.get(path) != now.get(path) and path not in but}
    equal(differ, {}, "ownership on disk that a launch changed: path: (before, after)")


def launch(tree, *command, options=(), remap=None, **how):
    return nsrun(["--userns-remap", remap or dummy().name, *options, tree, *command], **how)


def owner(path):
    entry = os.lstat(path)
    return entry.st_uid, entry.st_gid


def stranger():
    return make_user("stranger")


def executed_by_stranger(path):
    """What effective uid another ordinary user of the host gets by executing the file; None where it cannot be reached."""
    try:
        result = run([path, "euid"], user=stranger(), cwd="/")
    except OSError:
        return None
    return int(result.check().stdout)


# ---- rootfs ------------------------------------------------------------------------------------------------------

@both("run", "bundle")
def test_owned_by_the_range():
    tree = install_helper(rootfs(owner=dummy(), fresh=True))
    before = census(tree)
    check(all(FIRST <= one < FIRST + 65536 for ids in before.values() for one in ids[:2]), "owners of the fresh tree: %r" % before)
    launch(tree, "/bin/sh", "-c", "touch /made; id -u; stat -c %u:%g /made / /bin/busybox").check(0, "0\n0:0\n0:0\n0:0")
    equal(owner(tree + "/made"), (FIRST, FIRST), "owner on disk")
    unchanged(before, tree, but=["made"])
    launch(tree, "/bin/sh", "-c", PLANT).check(0, "planted")
    check(os.stat(tree + "/planted").st_mode & stat.S_ISUID, "the planted file is not set-uid: the test would prove nothing")
    equal(executed_by_stranger(tree + "/planted"), FIRST, "what the planted file gives: an id that the map grants, and no more")


def test_root_owned_private():
    tree = install_helper(rootfs(private=True, fresh=True))
    before = census(tree)
    equal({ids[:2] for ids in before.values()}, {(0, 0)}, "owners of the fresh tree")
    launch(tree, "/bin/sh", "-c", "touch /made; stat -c %u:%g /made / /bin/busybox").check(0, "0:0\n0:0\n0:0")
    equal(owner(tree + "/made"), (0, 0), "owner on disk")
    unchanged(before, tree, but=["made"])
    launch(tree, "/bin/sh", "-c", PLANT).check(0, "planted")
    check(os.stat(tree + "/planted").st_mode & stat.S_ISUID, "the planted file is not set-uid: the test would prove nothing")
    equal(executed_by_stranger(tree + "/planted"), None, "what the planted file gives")


@both("run", "bundle")
def test_workload_is_not_host_root_though_files_are():
    tree = rootfs(private=True)
    run_ = launch(tree, "/bin/sh", "-c", "cat /proc/self/uid_map").check()
    equal(run_.stdout.split(), ["0", str(FIRST), "65536"], "uid_map")


def test_root_owned_reachable():
    tree = install_helper(rootfs(fresh=True))
    before = census(tree)
    refused(launch(tree, "/bin/sh", "-c", "touch /made"), tree, *WAYS)
    unchanged(before, tree)


def test_private_by_its_own_mode_is_not_private():
    """0700 on the tree itself hides nothing: container root owns that directory, and may open it to everybody."""
    tree = install_helper(rootfs(fresh=True))
    os.chmod(tree, 0o700)
    refused(launch(tree, "/bin/sh", "-c", PLANT + "; chmod 755 /"), tree, *WAYS)
    volume = tmp("volume", 0o700)
    refused(with_volume(volume, "true"), volume, ":ro")


def test_private_to_somebody_else_is_not_private():
    """0700 of another user: that user can search it."""
    tree = install_helper(rootfs(fresh=True))
    os.chown(os.path.dirname(tree), stranger().uid, stranger().gid)
    os.chmod(os.path.dirname(tree), 0o700)
    refused(launch(tree, "/bin/true"), tree)


def test_group_may_search_is_not_private():
    tree = install_helper(rootfs(fresh=True))
    os.chown(os.path.dirname(tree), 0, stranger().gid)
    os.chmod(os.path.dirname(tree), 0o710)
    refused(launch(tree, "/bin/true"), tree)


def test_private_is_not_faked_by_a_link():
    """The tree's own place counts, not the words that name it: a link below a private directory hides nothing."""
    tree = install_helper(rootfs(fresh=True))
    link = os.path.join(tmp("hidden", 0o700), "link")
    os.symlink(tree, link)
    refused(launch(link, "/bin/true"), WAYS[3])


def test_root_owned_read_only():
    tree = install_helper(rootfs(fresh=True))
    before = census(tree)
    run_ = launch(tree, "/bin/sh", "-c", "stat -c %u:%g /bin/busybox; touch /made", options=["--read-only"]).check(1, "0:0")
    contains(run_.stderr, "Read-only file system", "stderr")
    launch(tree, "/bin/sh", "-c", "chmod 4755 /helper", options=["--read-only"]).check(1, "", "Read-only file system")
    unchanged(before, tree)


@generate
def test_read_only_cannot_be_lifted():
    """Where read-only is all that keeps the rule, a workload with CAP_SYS_ADMIN must not be able to remount it: refused, or locked."""
    def one(options, of_rootfs):
        tree = install_helper(rootfs(fresh=True) if of_rootfs else rootfs(owner=dummy(), fresh=True))
        volume = tmp("volume", 0o755)
        where = "" if of_rootfs else "/v"
        script = ("mount -o remount,rw,bind %s/; mount -o remount,rw %s/; cp /helper %s/planted && chmod 4755 %s/planted && echo planted"
                  % (where, where, where, where))
        options = [*options, *(["--read-only"] if of_rootfs else ["-v", volume + ":/v:ro"])]
        run_ = launch(tree, "/bin/sh", "-c", script, options=options)
        planted = os.path.join(tree if of_rootfs else volume, "planted")
        check(not os.path.exists(planted) or executed_by_stranger(planted) != 0, "host root's set-uid file, made inside: %r" % run_)
        check(run_.status != 0, "%r" % run_)
    for name, options in (("SYS_ADMIN", ["--cap-add", "SYS_ADMIN"]),
                          ("ALL-unconfined", ["--cap-add", "ALL", "--security-opt", "seccomp=unconfined"]),
                          ("unconfined", ["--security-opt", "seccomp=unconfined"])):
        for of_rootfs in (True, False):
            yield "%s %s" % (name, "rootfs" if of_rootfs else "volume"), lambda options=options, of_rootfs=of_rootfs: one(options, of_rootfs)


def test_root_owned_ephemeral():
    tree = install_helper(rootfs(fresh=True))
    before = census(tree)
    run_ = launch(tree, "/bin/sh", "-c", PLANT + "; stat -c %u:%g /planted", options=["--ephemeral"])
    if run_.status == 125 and "not built yet" in run_.stderr:
        skip("--ephemeral is not built yet, and says so")
    run_.check(0, "planted\n0:0")
    check(not os.path.exists(tree + "/planted"), "what was written is still there")
    unchanged(before, tree)


def test_root_owned_trusted():
    """The one way that leaves a hole, by request; it shows that the tests of the others can fail."""
    tree = install_helper(rootfs(fresh=True))
    launch(tree, "/bin/sh", "-c", PLANT, options=["--trust-rootfs"]).check(0, "planted")
    equal(owner(tree + "/planted"), (0, 0), "owner on disk")
    equal(executed_by_stranger(tree + "/planted"), 0, "what the planted file gives")


def test_rootfs_of_another_user():
    tree = rootfs(owner="%d:%d" % (stranger().uid, stranger().gid), fresh=True)
    before = census(tree)
    refused(launch(tree, "/bin/true"), tree, ("--owner", "--userns-remap"))
    unchanged(before, tree)


def test_rootfs_of_another_range():
    """Two remaps, one tree: the second one's ids must not be granted."""
    make_user("other", subuid=(700000, 65536))
    tree = rootfs(owner=dummy(), fresh=True)
    refused(launch(tree, "/bin/true", remap="other"), tree)


def test_root_owned_file_system_without_idmap():
    """An overlay whose own root nobody else can search: what hides a tree counts on its own mount, wherever the tests run."""
    where, top = tmp("hidden", 0o700), tmp("hidden/merged")
    for name in ("upper", "work"):
        os.mkdir(os.path.join(where, name))
    source = rootfs(fresh=True)
    merged = os.path.join(top, os.path.basename(source))
    mount("overlay", top, "overlay", 0, "lowerdir=%s,upperdir=%s/upper,workdir=%s/work" % (os.path.dirname(source), where, where))
    os.chmod(top, 0o700)
    try:
        refused(launch(merged, "/bin/true"), merged, "overlay")
        refused(launch(merged, "/bin/true", options=["--read-only"]), merged, "overlay")
        # --ephemeral copies it into a tmpfs: same contents, ids as if idmapped, every write thrown away
        run_ = launch(merged, "/bin/sh", "-c", "id -u; echo new >/made; rm -rf /usr && mkdir /usr; stat -c %u /made /bin/busybox; ls /usr",
                      options=["--ephemeral"]).check(0, "0\n0\n0")
        check(not os.path.exists(merged + "/made") and os.path.exists(merged + "/usr/share"), "it was written: %r" % run_)
    finally:
        umount(top)


def test_range_owned_file_system_without_idmap():
    where, merged = tmp("overlay-parts", 0o700), tmp("merged")
    for name in ("upper", "work"):
        os.mkdir(os.path.join(where, name))
        os.chown(os.path.join(where, name), FIRST, FIRST)
    mount("overlay", merged, "overlay", 0, "lowerdir=%s,upperdir=%s/upper,workdir=%s/work" % (rootfs(owner=dummy()), where, where))
    try:
        launch(merged, "/bin/sh", "-c", "touch /made; stat -c %u /made").check(0, "0")
        equal(owner(merged + "/made"), (FIRST, FIRST), "owner on disk")
    finally:
        umount(merged)


def test_userns_host():
    """Not remapped: container root is host root, by request, and the tree is used as it is."""
    tree = rootfs(fresh=True)
    nsrun(["--userns=host", tree, "/bin/sh", "-c", "touch /made; stat -c %u /made"]).check(0, "0")
    equal(owner(tree + "/made"), (0, 0), "owner on disk")


# ---- volumes -----------------------------------------------------------------------------------------------------

def with_volume(volume, script, volume_options="", options=(), **how):
    words = ["-v", volume + ":/v" + (":" + volume_options if volume_options else ""), *options]
    return launch(install_helper(rootfs(owner=dummy())), "/bin/sh", "-c", script, options=words, **how)


@both("run", "bundle")
def test_volume_of_a_user():
    volume = tmp("volume", 0o777, owner=stranger())
    open(volume + "/old", "w").close()
    os.chown(volume + "/old", stranger().uid, stranger().gid)
    before = census(volume)
    with_volume(volume, "stat -c %u:%g /v /v/old; echo x >/v/made; stat -c %u:%g /v/made").check(0, "0:0\n0:0\n0:0")
    equal(owner(volume + "/made"), (stranger().uid, stranger().gid), "owner on disk")
    unchanged(before, volume, but=["made"])
    # nobody else is granted: not by writing, not by giving away
    with_volume(volume, "/helper create /v/theirs", options=["-u", "1000:1000"]).check(0, "EOVERFLOW")
    check(with_volume(volume, "chown 1000:1000 /v/made").status != 0, "container root gave a file to an id that is not granted")
    unchanged(before, volume, but=["made"])


@both("run", "bundle")
def test_volume_of_a_user_hides_other_owners():
    """A file of host root in a user's volume is nobody's inside, and container root cannot write it."""
    volume = tmp("volume", 0o755, owner=stranger())
    with open(volume + "/roots", "w") as file:
        file.write("secret")
    os.chmod(volume + "/roots", 0o600)
    run_ = with_volume(volume, "stat -c %u /v/roots; cat /v/roots; echo x >>/v/roots")
    check(run_.status != 0 and run_.stdout == "65534\n", "%r" % run_)
    with open(volume + "/roots") as file:
        equal(file.read(), "secret", "the file of host root")


def test_volume_of_host_root():
    volume = tmp("volume", 0o755)
    open(volume + "/old", "w").close()
    before = census(volume)
    refused(with_volume(volume, "touch /v/made"), volume, ":ro", "directory that other users cannot search")
    unchanged(before, volume)
    run_ = with_volume(volume, "stat -c %u:%g /v/old; touch /v/made", "ro").check(1, "0:0")
    contains(run_.stderr, "Read-only file system", "stderr")
    unchanged(before, volume)


@both("run", "bundle")
def test_volume_of_host_root_granted():
    volume = tmp("volume", 0o755)
    with_volume(volume, "touch /v/made; stat -c %u:%g /v/made", "idmap=root").check(0, "0:0")
    equal(owner(volume + "/made"), (0, 0), "owner on disk")


def test_volume_of_host_root_private():
    tmp("hidden", 0o700)
    volume = tmp("hidden/volume", 0o755)
    with_volume(volume, "cp /helper /v/planted; chmod 4755 /v/planted; stat -c %u:%g /v/planted").check(0, "0:0")
    equal(owner(volume + "/planted"), (0, 0), "owner on disk")
    equal(executed_by_stranger(volume + "/planted"), None, "what the planted file gives")


@both("run", "bundle")
def test_volume_of_the_range():
    volume = tmp("volume", 0o755, owner=(FIRST, FIRST))
    with_volume(volume, "touch /v/made; chown 5:6 /v/made; stat -c %u:%g /v/made").check(0, "5:6")
    equal(owner(volume + "/made"), (FIRST + 5, FIRST + 6), "owner on disk")


@both("run", "bundle")
def test_volume_of_another_range():
    """An id that no passwd knows is an ordinary one all the same: its files are container root's."""
    volume = tmp("volume", 0o755, owner=(700000, 700000))
    with_volume(volume, "touch /v/made; stat -c %u:%g /v/made").check(0, "0:0")
    equal(owner(volume + "/made"), (700000, 700000), "owner on disk")


def test_volume_without_idmap():
    where, merged = tmp("overlay-parts", 0o700), tmp("merged")
    for name in ("lower", "upper", "work"):
        os.mkdir(os.path.join(where, name))
    mount("overlay", merged, "overlay", 0, "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work" % (where, where, where))
    try:
        refused(with_volume(merged, "true", "ro"), merged, "overlay")
    finally:
        umount(merged)


@both("run", "bundle")
def test_tmpfs_volume():
    """tmpfs can be idmapped since 6.3; before, the error must say which file system it is."""
    volume = tmp("volume")
    mount("none", volume, "tmpfs", 0, "mode=755,uid=%d,gid=%d" % (stranger().uid, stranger().gid))
    try:
        run_ = with_volume(volume, "touch /v/made; stat -c %u /v/made")
        if tuple(int(part) for part in os.uname().release.split(".")[:2]) < (6, 3):
            refused(run_, "tmpfs")
        else:
            run_.check(0, "0")
            equal(owner(volume + "/made"), (stranger().uid, stranger().gid), "owner on disk")
    finally:
        umount(volume)


# ---- mounts below a tree ------------------------------------------------------------------------------------------

def below(top, public):
    """A directory in the tree, with the public one bound over it."""
    target = os.path.join(top, "below")
    os.mkdir(target, 0o755)
    mount(public, target, None, 4096)
    return target


def planted_below(public, target, run_):
    """Written, but into the tree itself: its private directory keeps it from others, which says nothing of what is mounted there."""
    try:
        equal(os.listdir(public), [], "what the workload left in the public directory: %r" % run_)
        run_.check(0, "planted")
    finally:
        umount(target)
    equal(os.listdir(target), ["planted"], "what it left in the tree: %r" % run_)
    equal(executed_by_stranger(os.path.join(target, "planted")), None, "what the planted file gives")


PLANT_BELOW = "cp /helper %s/below/planted && chmod 4755 %s/below/planted && echo planted"


@test(root=True)
def test_public_directory_gives_root_away():
    """The counterpart of the two below: idmapped by request, the same directory takes the set-uid file, and a stranger gets at it."""
    public = tmp("public", 0o755)
    with_volume(public, "cp /helper /v/planted && chmod 4755 /v/planted && echo planted", "idmap=root").check(0, "planted")
    equal(executed_by_stranger(public + "/planted"), 0, "what the planted file gives")


@test(root=True)
def test_root_owned_private_with_a_mount_below():
    """A private directory hides what lies in it, and not what is mounted there and has another way in."""
    public = tmp("public", 0o755)
    tree = install_helper(rootfs(private=True, fresh=True))
    target = below(tree, public)
    planted_below(public, target, launch(tree, "/bin/sh", "-c", PLANT_BELOW % ("", "")))


@test(root=True)
def test_volume_of_host_root_private_with_a_mount_below():
    public = tmp("public", 0o755)
    tmp("hidden", 0o700)
    volume = tmp("hidden/volume", 0o755)
    target = below(volume, public)
    planted_below(public, target, with_volume(volume, PLANT_BELOW % ("/v", "/v")))


# ---- ordinary callers --------------------------------------------------------------------------------------------

@generate
def test_ordinary_caller():
    for who in (ranger, single):
        yield who.__name__, lambda who=who: ordinary(who())


def ordinary(who):
    tree = install_helper(rootfs(owner="%d:%d" % (who.uid, who.gid), fresh=True))
    before = census(tree)
    nsrun([tree, "/bin/sh", "-c", "touch /made; id -u; stat -c %u:%g /made"], user=who).check(0, "0\n0:0")
    equal(owner(tree + "/made"), (who.uid, who.gid), "owner on disk")
    unchanged(before, tree, but=["made"])
    volume = tmp("volume", owner=who)
    nsrun(["-v", volume + ":/v", tree, "/bin/sh", "-c", "touch /v/made"], user=who).check(0)
    equal(owner(volume + "/made"), (who.uid, who.gid), "owner on disk")
    # what is root's on the host is nobody's inside
    volume = tmp("roots")
    run_ = nsrun(["-v", volume + ":/v", tree, "/bin/sh", "-c", "touch /v/made"], user=who)
    check(run_.status != 0 and not os.listdir(volume), "an ordinary user wrote a directory of root: %r" % run_)


if __name__ == "__main__":
    main()
