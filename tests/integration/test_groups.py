# SPDX-License-Identifier: Apache-2.0
# tests/run: long
"""Where containers' groups are made, who owns them, and how they end: --cgroup-parent, writable-cgroups, removal."""
import contextlib
import ctypes
import json
import os
import re
import subprocess
import time

from harness import *
from helper import install_helper, refused, remapped, shell, tree
from life import detached

LIMITS = ["-m", "64m", "--pids-limit", "60", "--cpus", "1"]
DEEP, WIDE = 150, 400


def groups_of(id):
    """Full paths of the groups of this container, and below which group of its hierarchy each one is."""
    found = {}
    for top in dict.fromkeys(cgroup_mounts()):
        for path, dirs, _ in os.walk(top):
            if id in dirs:
                found[os.path.join(path, id)] = path[len(top):] or "/"
                dirs.remove(id)
    return found


def v2():
    """The v2 hierarchy, from the root of which this process sees all."""
    for entry in mountinfo():
        if entry[4] == "cgroup2":
            return entry[0]
    skip("no cgroup2 is mounted")


@contextlib.contextmanager
def parent():
    """The name of a group that is in no hierarchy, and in none after the test."""
    name = "nsrun-parent-%d-%d" % (os.getpid(), time.monotonic_ns() % 1000000)
    try:
        yield name
    finally:
        left = []
        for top in dict.fromkeys(cgroup_mounts()):
            for path, _, _ in os.walk(os.path.join(top, name), topdown=False):
                try:
                    os.rmdir(path)
                except OSError:
                    left.append(path)
        check(not left, "groups that cannot be removed: %r" % left)


# ---- --cgroup-parent ----

@generate(root=True)
def parents():
    def one(word, below, options):
        with parent() as name, detached("/bin/sleep", "100", options=[*options, "--cgroup-parent", word % name]) as c:
            found = groups_of(c.id)
            equal(set(found.values()), {below % name}, "parents")
            check(len(found) == len(options) / 2 + 1 or not options or not os.path.exists("/sys/fs/cgroup/memory"), "groups: %r" % found)
            for path in found:
                check(c.init in cgroup_pids(path), "init is not in %s" % path)
            equal(json.loads(c.nsrun("inspect").stdout)[0]["live"]["cgroup"]["path"], os.path.join(below % name, c.id), "inspect")
            nsrun(["exec", c.name, "/bin/true"]).check(0)
            nsrun(["rm", "-f", c.name]).check(0)
            equal([path for path in found if os.path.isdir(path)], [], "groups that stayed")
            for path in found:  # what lies around stays: others may have made it theirs
                check(os.path.isdir(os.path.dirname(path)), "%s is gone" % os.path.dirname(path))
    for options in ([], LIMITS):
        yield "absolute" + "-limited" * bool(options), lambda options=options: one("/%s", "/%s", options)
        yield "deep" + "-limited" * bool(options), lambda options=options: one("/%s/a b/c", "/%s/a b/c", options)
    # In nsrun's own parent, which is shared with other tests: the name is this one's.
    yield "relative", lambda: relative()
    yield "top", lambda: top()


def relative():
    with parent() as name:
        with detached("/bin/sleep", "100", options=[*LIMITS, "--cgroup-parent", name]) as c:
            found = groups_of(c.id)
            equal(set(found.values()), {"/nsrun/" + name}, "parents")
        for path in found:
            os.rmdir(os.path.dirname(path))


def top():
    with detached("/bin/sleep", "100", options=[*LIMITS, "--cgroup-parent", "/"]) as c:
        found = groups_of(c.id)
        equal(set(found.values()), {"/"}, "parents")
    equal([path for path in found if os.path.isdir(path)], [], "groups that stayed")


@test(root=True)
def parent_that_exists_keeps_its_limits():
    with parent() as name:
        for base_ in [top for top in dict.fromkeys(cgroup_mounts()) if os.path.exists(top + "/pids.max") or top.endswith("/pids") or top == v2()]:
            os.makedirs(os.path.join(base_, name), exist_ok=True)
        limited = next((path for path in (os.path.join(top, name, "pids.max") for top in cgroup_mounts()) if os.path.exists(path)), None)
        if not limited:
            with open(os.path.join(v2(), "cgroup.subtree_control"), "w") as file:
                file.write("+pids")
            limited = os.path.join(v2(), name, "pids.max")
        with open(limited, "w") as file:
            file.write("12")
        run_ = remapped(["--cgroup-parent", "/" + name, "--pids-limit", "1000"], "/helper", "forks", "100").check()
        made, why = run_.stdout.split()
        check(why == "EAGAIN" and int(made) < 12, "%s processes below a limit of 12 around" % made)


@generate
def bad_parents():
    def one(word, *parts):
        before = leftovers()
        for options in ([], ["--pids-limit", "10"]):
            refused(remapped([*options, "--cgroup-parent", word], "/bin/true"), "--cgroup-parent", *parts)
        assert_clean(before)
    for name, word, *parts in (
            ("empty", "", "is empty"), ("dots", "/a/../b", '".."'), ("dot", "./a", '"."'), ("up", "..", '".."'),
            ("slashes", "/a//b", "empty part"), ("end", "/a/", "empty part"), ("long", "/" + "a/" * 600 + "a", "too long"),
            ("long-name", "/" + "a" * 256, "255"), ("newline", "/a\nb", "control characters"), ("escape", "/\x1b[2J", "control characters"),
            ("slice", "user.slice", "systemd"),
            ("a container's", "/jobs/0123456789ab", "0123456789ab is the name of a container's own group", "[cgroup-parent]"),
            ("below a container's", "0123456789ab/x", "container's own group", "[cgroup-parent]"),
            ("a container's scope", "/system.slice/nsrun-0123456789ab.scope", "container's own group", "[cgroup-parent]")):
        yield name, lambda word=word, parts=parts: one(word, *parts)


@test(root=True)
def test_parent_of_another_container():
    with parent() as name, detached("/bin/sleep", "100", options=["--cgroup-parent", "/" + name]) as c:
        refused(remapped(["--cgroup-parent", "/%s/%s" % (name, c.id)], "/bin/true"), c.id, "ends with it", "[cgroup-parent]")
        # no such name: other letters, another length
        for word in ("0123456789aB", "0123456789abc", "nsrun-0123456789a.scope"):
            remapped(["--cgroup-parent", "/%s/%s" % (name, word)], "/bin/true").check(0)


def test_parent_that_is_a_file():
    before = leftovers()
    refused(remapped(["--cgroup-parent", "/cgroup.procs"], "/bin/true"), "cgroup.procs", "Not a directory", "[cgroup-parent]")
    assert_clean(before)


def test_parent_that_is_a_file_of_v1_alone():
    """The group of v2 is made by then, and goes; its parent stays, as every parent does."""
    hybrid = [top for top in cgroup_mounts() if os.path.exists(os.path.join(top, "tasks"))]
    if not (hybrid and v2() and any(os.path.exists(os.path.join(top, "memory.limit_in_bytes")) for top in hybrid)):
        return
    before = leftovers()
    try:
        run_ = remapped(["--cgroup-parent", "/tasks", "-m", "64m"], "/bin/true")
        refused(run_, "control group tasks", "Not a directory", "[cgroup-parent]")
        check("cleaning up" not in run_.stderr, "its end: %r" % run_)
        os.rmdir(os.path.join(v2(), "tasks"))
        assert_clean(before)
    finally:
        nsrun(["gc"])
        if os.path.isdir(os.path.join(v2(), "tasks")):
            os.rmdir(os.path.join(v2(), "tasks"))


@test(root=True, needs=["unshare"])
def test_hidden_hierarchies():
    """Something is mounted over them all: a limit is refused with its option and the reason, and what needs no group runs."""
    tree_ = rootfs(owner=dummy().name)
    before = leftovers()
    for options, status in (("", 0), ("-m 64m", 125)):
        run_ = run(["unshare", "-m", "--propagation", "private", "/bin/sh", "-c", 'mount -t tmpfs none /sys/fs/cgroup && exec "$0" "$@"', binary(),
                    "--userns-remap", dummy().name, *options.split(), tree_, "/bin/true"], env=environment())
        equal(run_.status, status, "status of %r: %r" % (options, run_))
        if status:
            contains(run_.stderr, "--memory", "the option")
            contains(run_.stderr, "[cgroup-not-mounted]", "the reason")
    assert_clean(before)


@contextlib.contextmanager
def delegated(who):
    """A v2 group that belongs to this user, and the words that enter it and become the user."""
    with parent() as name:
        group = os.path.join(v2(), name)
        os.mkdir(group)
        inner = os.path.join(group, "session")
        os.mkdir(inner)
        for path in (group, inner):
            for file in ("", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"):
                os.chown(os.path.join(path, file), who.uid, who.gid)
        yield name, ["/bin/sh", "-c", 'echo $$ > "$0"/cgroup.procs; exec setpriv --reuid %d --regid %d --clear-groups "$@"' % (who.uid, who.gid),
                     inner, binary()]


@generate(root=True)
def parents_of_ordinary_users():
    def one(who):
        tree_ = install_helper(rootfs(owner="%d:%d" % (who.uid, who.gid)))
        with delegated(who) as (name, words):
            def launch(*options):
                return run([*words, *options, tree_, "/bin/sh", "-c", "cat /proc/self/cgroup"], env=environment(who))
            launch().check(0)
            launch("--cgroup-parent", "jobs").check(0)
            check(os.path.isdir(os.path.join(v2(), name, "nsrun", "jobs")), "no group jobs")
            launch("--cgroup-parent", "/%s/mine" % name).check(0)
            check(os.path.isdir(os.path.join(v2(), name, "mine")), "no group mine")
            before = leftovers()
            for word in ("/", "/elsewhere", "/nsrun", "/%sx" % name):
                refused(launch("--cgroup-parent", word), "--cgroup-parent " + word, "/" + name, "[cgroup-parent-outside]")
            refused(launch("--cgroup-parent", "/%s/../x" % name), '".."')
            assert_clean(before)
        # and where nothing is delegated
        refused(nsrun(["--cgroup-parent", "jobs", tree_, "/bin/true"], user=who), "--cgroup-parent jobs", "[no-delegation]")
    for who in (ranger, single):
        yield who.__name__, lambda who=who: one(who())


# ---- no internal processes ----

def v2_only():
    """A controller that v2 has here and is in a limit's option: (words, controller)."""
    with open(os.path.join(v2(), "cgroup.controllers")) as file:
        offered = file.read().split()
    for words, controller in ((["--pids-limit", "50"], "pids"), (["--hugetlb", "2m=2m"], "hugetlb")):
        if controller in offered and nsrun(["--help"]).stdout.find(words[0]) >= 0:
            return words, controller
    skip("cgroup2 has no controller of a limit here")


@generate(root=True)
def busy_parents():
    """A parent that holds processes cannot give controllers to the group of a container: said before anything is made, with the way out; which works."""
    def one(who):
        words, controller = v2_only()
        tree_ = tree() if who is None else install_helper(rootfs(owner="%d:%d" % (who.uid, who.gid)))
        with open(os.path.join(v2(), "cgroup.subtree_control"), "w") as file:
            file.write("+" + controller)
        with parent() as name:
            group = os.path.join(v2(), name)
            os.mkdir(group)
            if who:
                for file in ("", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"):
                    os.chown(os.path.join(group, file), who.uid, who.gid)
            before = leftovers()
            drop = "setpriv --reuid %d --regid %d --clear-groups" % (who.uid, who.gid) if who else ""
            options = words if who else ["--userns-remap", dummy().name, "--cgroup-parent", "/" + name, *words]
            command = [binary(), *options, tree_, "/bin/echo", "ran"]
            enter = 'echo $$ > "$0"/cgroup.procs; %s; exec %s "$@"'
            result = run(["/bin/sh", "-c", enter % ("true", drop), group, *command], env=environment(who))
            # nsrun itself is the process that stands in the way: named, as is the group
            refused(result, "[cgroup-busy]", group, words[0], "holds processes itself", "/init")
            check(re.search(r"holds processes itself \(\d+ \S+", result.stderr), "no process is named: %s" % result.stderr)
            assert_clean(before)
            move = 'mkdir "$0"/init && for p in $(cat "$0"/cgroup.procs); do echo $p > "$0"/init/cgroup.procs; done'
            done = run(["/bin/sh", "-c", 'echo $$ > "$0"/cgroup.procs; %s sh -c \'%s\' "$0"; %s; exec %s "$@"' % (drop, move, "true", drop), group, *command],
                       env=environment(who))
            done.check(0, "ran")
    for who in (None, ranger, single):
        yield who.__name__ if who else "root", lambda who=who: one(who() if who else None)


# ---- recovery ----

@generate(root=True)
def records():
    """gc removes the groups of a killed container wherever they are, and no other on the word of a record."""
    def killed(options):
        process = subprocess.Popen([binary(), "--userns-remap", dummy().name, *options, tree(), "/bin/sh", "-c", "echo up; exec sleep 300"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(), cwd=base())
        before = state()
        process.stdout.readline()
        process.kill()
        process.wait()
        process.stdout.close()
        [record] = [path for path in state() if path.endswith("/state.json") and os.path.getmtime(path) > time.time() - 60 and path not in before] \
            or [path for path in state() if path.endswith("/state.json")]
        return record

    def elsewhere():
        with Exclusive(), parent() as name:
            before = leftovers()
            record = killed([*LIMITS, "--cgroup-parent", "/%s/x" % name])
            id = os.path.basename(os.path.dirname(record))
            check(groups_of(id), "the launch left no group: is this test looking at the right place?")
            nsrun(["gc"]).check(0)
            equal(groups_of(id), {}, "groups that stayed")
            for path in [os.path.join(top, name) for top in cgroup_mounts()]:
                for inner, _, _ in os.walk(path, topdown=False):
                    os.rmdir(inner)
            assert_clean(before)

    def forged(path):
        with Exclusive(), parent() as name:
            foreign = os.path.join(v2(), name)
            os.makedirs(foreign + "/inner")
            victim = subprocess.Popen(["sleep", "100"])
            with open(foreign + "/inner/cgroup.procs", "w") as file:
                file.write(str(victim.pid))
            record = killed([])
            id = os.path.basename(os.path.dirname(record))
            with open(record) as file:
                state_ = json.load(file)
            mine = state_["cgroup"]
            with open(record, "w") as file:
                json.dump(dict(state_, cgroup=path % dict(name=name, id=id)), file)
            result = nsrun(["gc"])
            check(result.status != 0 and "is not its cgroup" in result.stderr, "gc: %r" % result)
            check(victim.poll() is None and os.path.isdir(foreign + "/inner"), "gc killed a group that is not nsrun's")
            with open(record, "w") as file:
                json.dump(dict(state_, cgroup=mine), file)
            nsrun(["gc"]).check(0)
            victim.kill()
            victim.wait()
    yield "elsewhere", elsewhere
    for path in ("/%(name)s", "/%(name)s/inner", "/", "", "/nsrun", "/nsrun/%(id)s/../../%(name)s", "/%(name)s/../nsrun/%(id)s", "//%(id)s", "%(id)s", "/%(id)s/"):
        yield "forged " + path.replace("/", ":"), lambda path=path: forged(path)


# ---- writable-cgroups ----

WRITABLE = ["--security-opt", "writable-cgroups"]


@generate(root=True)
def writable():
    v2()
    enter = "cd /sys/fs/cgroup && mkdir a a/b && echo $$ > a/b/cgroup.procs && grep ^0:: /proc/self/cgroup"
    yield "groups of its own", lambda: shell(enter, WRITABLE[0] + " " + WRITABLE[1]).check(0, "0::/a/b")
    yield "true", lambda: shell(enter, "--security-opt writable-cgroups=true").check(0, "0::/a/b")
    yield "not asked for", lambda: check(shell(enter).status != 0, "groups were made")
    yield "false", lambda: check(shell(enter, "--security-opt writable-cgroups=false").status != 0, "groups were made")
    yield "privileged without", lambda: check(
        shell(enter, "--privileged --security-opt writable-cgroups=false").status != 0, "groups were made")
    yield "not a word", lambda: refused(shell("true", "--security-opt writable-cgroups=perhaps"), "writable-cgroups=perhaps")
    yield "another namespace", lambda: refused(shell("true", "--security-opt writable-cgroups --cgroupns host"), "writable-cgroups", "--cgroupns private", "[cgroup-namespace]")

    def owners():
        with open("/sys/kernel/cgroup/delegate") as file:
            listed = set(file.read().split())
        with detached("/bin/sleep", "100", options=WRITABLE + LIMITS) as c:
            for group in groups_of(c.id):
                for name in os.listdir(group):
                    wanted = dummy().subuid[0] if group.startswith(v2()) and name in listed else 0
                    equal(os.stat(os.path.join(group, name)).st_uid, wanted, "owner of %s/%s" % (group, name))
                    if wanted and name != "cgroup.procs":
                        listed.discard(name)
            check("cgroup.subtree_control" not in listed, "nothing was given away")
    yield "owners", owners

    def own_limits():
        run_ = shell("cd /sys/fs/cgroup; for f in *.max *.high *.min *.low *.weight cgroup.freeze cgroup.kill cgroup.type cgroup.max.descendants; do "
                     "[ -e $f ] || continue; (echo max >$f) 2>/dev/null && echo $f; (echo 1 >$f) 2>/dev/null && echo $f; done; echo end",
                     "--security-opt writable-cgroups -m 64m").check(0, "end")
    yield "its limits stay the host's", own_limits

    def outside():
        """What it may write leads nowhere else."""
        with detached("/bin/sleep", "100") as other:
            [group] = [path for path in groups_of(other.id) if path.startswith(v2())]
            check(shell("echo $$ > /sys/fs/cgroup/../cgroup.procs; mkdir /sys/fs/cgroup/../x; ls /sys/fs/cgroup/..", WRITABLE[0] + " " + WRITABLE[1]).stdout.find(other.id) < 0,
                  "groups of others are seen")
            equal(len(cgroup_pids(group)), 1, "processes of the other one")
    yield "nothing beside it", outside


@generate(root=True)
def writable_by_ordinary_users():
    """Groups of its own, also given to other ids of its map and closed by their modes, and nothing stays; limits only where the kernel keeps them from
    container root, who owns the files of an ordinary user's group."""
    def one(who, script, wanted):
        tree_ = install_helper(rootfs(owner="%d:%d" % (who.uid, who.gid)))
        with delegated(who) as (name, words):
            def launch(*options):
                return run([*words, *WRITABLE, *options, tree_, "/bin/sh", "-c", "cd /sys/fs/cgroup; " + script], env=environment(who))
            launch().check(0, wanted)
            equal(os.listdir(os.path.join(v2(), name, "nsrun")) and
                  [entry for entry in os.listdir(os.path.join(v2(), name, "nsrun")) if os.path.isdir(os.path.join(v2(), name, "nsrun", entry))],
                  [], "groups that stayed")
            process = subprocess.Popen([*words, *WRITABLE, tree_, "/bin/sh", "-c", "cd /sys/fs/cgroup; " + script + "; echo up; exec sleep 100"],
                                       env=environment(who), cwd=base(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            for line in process.stdout:
                if line == b"up\n":
                    break
            process.kill()
            process.wait()
            process.stdout.close()
            run([*words, "gc"], env=environment(who)).check(0)
            equal([entry for entry in os.listdir(os.path.join(v2(), name, "nsrun")) if os.path.isdir(os.path.join(v2(), name, "nsrun", entry))],
                  [], "groups that gc left")
    make = "mkdir a a/b a/b/c && sleep 100 & sleep 0.2; mkdir -p a/b/d; echo $! > a/b/d/cgroup.procs; "
    for who in (ranger, single):
        yield who.__name__ + " plain", lambda who=who: one(who(), make + "echo made", "made")
        yield who.__name__ + " modes", lambda who=who: one(who(), make + "chmod 0 a/b/d a/b a; echo made", "made")
    yield "ranger owners", lambda: one(ranger(), make + "chown 1000:1000 a a/b a/b/d && echo made", "made")

    def limits_hold():
        words, controller = v2_only()
        with open(os.path.join(v2(), "cgroup.subtree_control"), "w") as file:
            file.write("+" + controller)
        keeps = any("nsdelegate" in entry[6].split(",") for entry in mountinfo() if entry[4] == "cgroup2")
        who = ranger()
        tree_ = install_helper(rootfs(owner="%d:%d" % (who.uid, who.gid)))
        with delegated(who) as (name, enter):
            result = run([*enter, *WRITABLE, *words, tree_, "/bin/sh", "-c",
                          "cd /sys/fs/cgroup; (echo max > pids.max) 2>/dev/null; cat pids.max"], env=environment(who))
            if keeps:
                result.check(0, words[1])
            else:
                refused(result, "writable-cgroups", "nsdelegate", "[nsdelegate]")
    yield "limits hold", limits_hold

    def mounted_anew(options):
        """cgroup2 is mounted by whoever has CAP_SYS_ADMIN in the container, read-only or not as they like, and nsdelegate compares with the writer's
        own cgroup namespace alone, which may be one below."""
        words, controller = v2_only()
        with open(os.path.join(v2(), "cgroup.subtree_control"), "w") as control:
            control.write("+" + controller)
        who = ranger()
        tree_ = install_helper(rootfs(owner="%d:%d" % (who.uid, who.gid)))
        with delegated(who) as (name, enter):
            for limit in (words, ["--cgroup", "cgroup.max.depth=5"]):
                refused(run([*enter, *options, *limit, tree_, "/bin/true"], env=environment(who)), " ".join(options), "[limits-from-below]")
            run([*enter, *options, tree_, "/bin/true"], env=environment(who)).check(0)  # without a limit
        # the files of root's container with a map stay root's
        run([binary(), "--userns-remap", dummy().name, *options, *words, rootfs(owner=dummy().name), "/bin/true"], env=environment()).check(0)
    for options in (["--cap-add", "SYS_ADMIN"], ["--security-opt", "seccomp=unconfined"], ["--privileged"]):
        yield "mounted anew " + options[-1], lambda options=options: mounted_anew(options)


# ---- removal ----

def sub_groups(script, options="", **how):
    """A container that has made groups of its own below /sys/fs/cgroup ends, and nothing is left of it."""
    before = leftovers()
    run_ = shell("cd /sys/fs/cgroup; " + script, "--security-opt writable-cgroups " + options, **how)
    assert_clean(before, grace=3.0)
    return run_


STORM = "/helper storm 20 & sleep 0.3; "


@generate(root=True, timeout=90)
def removal():
    v2()
    yield "deep", lambda: sub_groups("i=0; while [ $i -lt %d ]; do mkdir d && cd d || exit 1; i=$((i + 1)); done; echo $$ > cgroup.procs" % DEEP).check(0)
    yield "wide", lambda: sub_groups("i=0; while [ $i -lt %d ]; do mkdir w$i w$i/x || exit 1; i=$((i + 1)); done" % WIDE, timeout=60).check(0)
    yield "threaded", lambda: sub_groups("mkdir t t/u && echo threaded > t/cgroup.type && echo threaded > t/u/cgroup.type && "
                                         "(sleep 100 & echo $! > t/u/cgroup.threads); cat t/u/cgroup.type").check(0, "threaded")
    yield "frozen", lambda: sub_groups("mkdir f; sleep 100 & echo $! > f/cgroup.procs; echo 1 > f/cgroup.freeze; sleep 0.2; cat f/cgroup.freeze").check(0, "1")
    yield "modes", lambda: sub_groups("mkdir m m/n; sleep 100 & echo $! > m/n/cgroup.procs; chmod 0 m/n m; chown 1000:1000 m").check(0)
    yield "storm", lambda: sub_groups("mkdir s s/t; echo $$ > s/t/cgroup.procs; " + STORM + "exit 3", "--pids-limit 100").check(3)
    yield "storm with the host's processes", lambda: sub_groups(STORM + "exit 3", "--pids-limit 100 --pid host").check(3)

    def after_a_kill(options, script):
        with Exclusive():
            before = leftovers()
            process = subprocess.Popen([binary(), "--userns-remap", dummy().name, *options, tree(), "/bin/sh", "-c", script + "echo up; wait"],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(), cwd=base())
            equal(process.stdout.readline(), b"up\n", "output")
            process.kill()
            process.wait()
            process.stdout.close()
            nsrun(["gc"]).check(0)
            assert_clean(before, grace=3.0)
    yield "gc after a kill", lambda: after_a_kill(
        WRITABLE + ["--pids-limit", "100"], "cd /sys/fs/cgroup; mkdir a a/b c; echo $$ > a/b/cgroup.procs; " + STORM)
    yield "gc after a kill with the host's processes", lambda: after_a_kill(
        WRITABLE + ["--pids-limit", "100", "--pid", "host"], "cd /sys/fs/cgroup; mkdir a a/b c; echo $$ > a/b/cgroup.procs; " + STORM)


# ---- many at once ----

CROWD = 500
KEYCTL, ADD_KEY = (250, 248) if os.uname().machine == "x86_64" else (219, 217)
JOIN_SESSION_KEYRING, SESSION_KEYRING = 1, -3


def login():
    check(ctypes.CDLL(None, use_errno=True).syscall(KEYCTL, JOIN_SESSION_KEYRING, None) > 0, "KEYCTL_JOIN_SESSION_KEYRING")


@test(root=True)
def test_key_quota():
    """An ordinary user whose quota of keys is used up is told so, and what to do."""
    who = make_user("keys", uid=62999)

    def use_up():  # as this user
        libc, number = ctypes.CDLL(None, use_errno=True), 0
        login()
        while libc.syscall(ADD_KEY, b"keyring", b"k%d" % number, None, 0, SESSION_KEYRING) > 0:
            number += 1
    before = leftovers()
    tree_ = rootfs(owner="%d:%d" % (who.uid, who.gid))
    refused(nsrun([tree_, "/bin/true"], user=who, popen={"preexec_fn": use_up}), "keyring", "kernel.keys.maxkeys", "[key-quota]")
    # Keys of those who ended are freed a moment later.
    wait_for(lambda: nsrun([tree_, "/bin/true"], user=who, popen={"preexec_fn": login}).status == 0, "a launch in a new session")
    assert_clean(before)


@test(root=True, timeout=300)
def five_hundred_at_once():
    """None fails, none leaves a group, a record or a process. From a session with a keyring, as a login has it (pam_keyinit(8)): those of the
    containers count to a quota then."""
    login()
    with Exclusive():
        before = leftovers()
        with open("/proc/meminfo") as file:
            free = next(int(line.split()[1]) for line in file if line.startswith("MemAvailable"))
        children = [subprocess.Popen([binary(), "--userns-remap", dummy().name, *LIMITS, tree(), "/bin/sh", "-c", "echo $((20 + 22)); read line; exit 7"],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), cwd=base())
                    for _ in range(CROWD)]
        lines = [child.stdout.readline() for child in children]  # all of them run now
        with open("/proc/meminfo") as file:
            used = free - next(int(line.split()[1]) for line in file if line.startswith("MemAvailable"))
        made = [path for path in cgroups() - before.cgroups if cgroup_pids(path) & set(descendants())]
        ends = [child.communicate(b"\n", timeout=120) for child in children]
        bad = ["%r %r %r" % (child.returncode, line, err) for child, line, (_, err) in zip(children, lines, ends)
               if child.returncode != 7 or line != b"42\n" or err]
        check(not bad, "%d of %d failed: %s" % (len(bad), CROWD, bad[0] if bad else ""))
        check(len(made) >= CROWD, "only %d groups were seen: is this test looking at the right place?" % len(made))
        print("     %d containers: %d groups, %d KiB of memory each" % (CROWD, len(made), used // CROWD))
        check(used // CROWD < 16384 or "san" in binary() or "test" in binary(), "%d KiB of memory for each" % (used // CROWD))
    assert_clean(before, grace=10.0)


if __name__ == "__main__":
    main()
