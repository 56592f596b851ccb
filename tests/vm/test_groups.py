# SPDX-License-Identifier: Apache-2.0
# vm: --numa --disk 512M
"""Groups while containers live in them: pausing, changing, measuring, groups inside of groups, and what is left of them at the end."""
import json
import signal

from common import *

LAST = processors() - 1
WRITABLE = "--security-opt writable-cgroups"


def used(container, seconds):
    """Seconds of processor time that it used meanwhile."""
    before = container.usage()
    time.sleep(seconds)
    return container.usage() - before


def frozen(container):
    return container.table("cgroup.events")["frozen"] == 1 and container.number("cgroup.freeze") == 1


# ---- pause, resume -------------------------------------------------------------------------------------------------

def test_pause_and_resume():
    """By what the group does: a paused one uses no time, and goes on where it stopped."""
    with Running("--rm --name sleeper", "/load spin 1", "spinning") as one:
        check(used(one, 1) > 0.3, "does not spin")
        nsrun(["pause", "sleeper"]).check(0, "sleeper")
        check(frozen(one), "cgroup.events: %s" % one.read("cgroup.events"))
        check(used(one, 1) < 0.02, "a paused one used time")
        contains(nsrun(["ls"]).check().stdout, "paused", "ls")
        contains(nsrun(["pause", "sleeper"]).check(125).stderr, "paused", "pausing twice")
        check(frozen(one), "pausing twice has thawed it")
        nsrun(["resume", "sleeper"]).check(0, "sleeper")
        check(not frozen(one), "cgroup.events: %s" % one.read("cgroup.events"))
        check(used(one, 1) > 0.3, "does not go on")
        contains(nsrun(["resume", "sleeper"]).check(125).stderr, "paused", "resuming twice")


@generate
def test_end_while_paused():
    """A paused container can be ended by each command that ends one."""
    def one(*words):
        before = leftovers()
        container = Running("--rm --name sleeper", "/load spin 1", "spinning")
        nsrun(["pause", "sleeper"]).check()
        nsrun(list(words) + ["sleeper"], timeout=20).check()
        container.end()
        check(not os.path.exists(container.group), "the group stayed: %s" % container.group)
        assert_clean(before)
    for words_ in (("stop", "-t", "1"), ("kill", "-s", "KILL"), ("rm", "-f")):
        yield " ".join(words_), lambda words_=words_: one(*words_)


def test_pause_of_a_storm():
    """Processes that fork all the time are all stopped, and none is missed."""
    before = leftovers()
    with Running("--rm --name storm --pids-limit 60", "/load bomb", "storm") as one:
        nsrun(["pause", "storm"]).check()
        check(frozen(one), "cgroup.events: %s" % one.read("cgroup.events"))
        members = one.read("cgroup.procs")
        check(used(one, 1) < 0.02, "a paused one used time")
        equal(one.read("cgroup.procs"), members, "processes of a paused group")
        nsrun(["resume", "storm"]).check()
        check(used(one, 1) > 0.1, "does not go on")
    assert_clean(before)


@test(timeout=120)
def test_pause_that_fails_leaves_it_running():
    """A process that waits for a disk cannot be frozen: the error says so, and the group is not left half frozen."""
    with on_ext4() as (_, directory):
        with Running("--rm --name stuck -v %s:/io" % directory, ["/bin/sh", "-c", "echo up; cat >/dev/null"], "up") as one:
            run(["fsfreeze", "-f", os.path.dirname(directory)]).check()
            try:
                waiter = subprocess.Popen([binary(), "exec", "stuck", "/bin/sh", "-c", "echo x >/io/file"], stdin=subprocess.DEVNULL,
                                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(), cwd=base())
                wait_for(lambda: any(state_of(pid) == "D" for pid in cgroup_pids(one.group)), "a process waits for the disk")
                refused(nsrun(["pause", "stuck"], timeout=60), "stuck", "unfreezable")
                equal((one.number("cgroup.freeze"), one.table("cgroup.events")["frozen"]), (0, 0), "freezer after the error")
            finally:
                run(["fsfreeze", "-u", os.path.dirname(directory)]).check()
            equal(waiter.wait(timeout=20 * SLOW), 0, "status of the process that waited")
            nsrun(["pause", "stuck"]).check()
            nsrun(["resume", "stuck"]).check()


def state_of(pid):
    try:
        return read("/proc/%d/stat" % pid).rsplit(") ", 1)[1][0]
    except OSError:
        return ""


# ---- stats ---------------------------------------------------------------------------------------------------------

def test_stats_are_the_kernels():
    """Of a paused container, whose counters stand still: each number is the one of the kernel's file."""
    with on_ext4() as (disk, directory):
        with Running("--rm --name measured -m 64m --cpus 0.5 --pids-limit 30 --io-weight 100 -v %s:/io" % directory,
                     ["/bin/sh", "-c", "/load direct w /io/file 65536 8 </dev/null >/dev/null; /load hold 128; exec /load spin 2"], "spinning") as one:
            time.sleep(1)
            nsrun(["pause", "measured"]).check()
            try:
                stats = json.loads(nsrun(["stats", "--json", "measured"]).check().stdout)[0]["stats"]
                cpu, memory = one.table("cpu.stat"), one.table("memory.stat")
                # the timer of periods goes on for a moment after a group is frozen
                between(cpu["nr_periods"] - stats["cpu"]["throttling"]["periods"], 0, 5, "periods since stats")
                got = {"time": stats["cpu"]["usage"]["total"], "throttled": stats["cpu"]["throttling"]["throttledPeriods"], "memory": stats["memory"]["usage"]["usage"],
                       "limit": stats["memory"]["usage"]["limit"], "kills": stats["memory"]["oomKills"], "cache": stats["memory"]["cache"],
                       "tasks": stats["pids"]["current"], "tasks limit": stats["pids"]["limit"]}
                equal(got, {"time": cpu["usage_usec"] * 1000, "throttled": cpu["nr_throttled"],
                            "memory": one.number("memory.current"), "limit": one.number("memory.max"),
                            "kills": one.table("memory.events")["oom_kill"], "cache": memory["file"],
                            "tasks": one.number("pids.current"), "tasks limit": one.number("pids.max")}, "numbers")
                check(got["kills"] == 1 and got["throttled"] > 0 and got["tasks"] == 3, "nothing was measured: %r" % got)
                major, minor = (int(word) for word in disk.number.split(":"))
                written = [row["value"] for row in stats["blkio"]["ioServiceBytesRecursive"]
                           if (row["major"], row["minor"], row["op"]) == (major, minor, "Write")]
                equal(written, [one.io(disk)["wbytes"]], "bytes written to the disk")
                check(written[0] >= 8 * 65536, "bytes written: %r" % written)
            finally:
                nsrun(["resume", "measured"]).check()


# ---- update --------------------------------------------------------------------------------------------------------

def test_update_while_running():
    """By what the group does: the same processes get less, then more."""
    with Running("--rm --name worker --cpus 1 --pids-limit 50 -m 64m", "/load spin 2", "spinning") as one:
        before = used(one, 2) / 2
        nsrun(["update", "--cpus", "0.2", "--memory", "48m", "--pids-limit", "33", "worker"]).check(0, "worker")
        equal([one.read(name) for name in ("cpu.max", "memory.max", "pids.max")], ["20000 100000", str(48 * MIB), "33"], "files")
        less = used(one, 2) / 2
        check(less < 0.35 and less < before * 0.7, "of a processor: %.2f with --cpus 1, %.2f with 0.2" % (before, less))
        nsrun(["update", "--cpus", "1", "worker"]).check()
        check(used(one, 2) / 2 > less * 1.5, "no more than with 0.2")
        equal(one.read("memory.max"), str(48 * MIB), "what was not named stays")


def test_update_below_use():
    """Refused before anything is killed or changed."""
    with Running("--rm --name holder -m 96m", "/load hold 48", "held") as one:
        refused(nsrun(["update", "--memory", "16m", "holder"]), "memory")
        equal(one.number("memory.max"), 96 * MIB, "memory.max")
        equal(one.table("memory.events")["oom_kill"], 0, "kills")


# ---- groups inside -------------------------------------------------------------------------------------------------

def test_groups_are_read_only_unless_asked_for():
    run_ = inside("-m 64m", "cd /sys/fs/cgroup; mkdir a 2>&1; for f in memory.max cgroup.procs cgroup.subtree_control; do echo max 2>&1 >$f; done; true")
    equal(run_.stdout.count("Read-only file system") + run_.stderr.count("Read-only file system"), 4, "refusals: %r" % run_)


def test_own_sub_groups():
    """What the specification calls delegation: the container's root makes groups, moves processes, gives controllers to them; its own limits it
    cannot touch."""
    script = """
        cd /sys/fs/cgroup
        mkdir sub work && echo $$ >sub/cgroup.procs && echo '+memory +pids' >cgroup.subtree_control && cat cgroup.subtree_control
        echo 16M >work/memory.max && cat work/memory.max
        sh -c 'echo $$ >work/cgroup.procs; exec /load hold 32'; echo status $?
        grep -w oom_kill work/memory.events
        (echo max >memory.max) 2>/dev/null && echo LIFTED memory
        (echo max >pids.max) 2>/dev/null && echo LIFTED pids
        (echo max >cpu.max) 2>/dev/null && echo LIFTED cpu
        rmdir work; cat /proc/self/cgroup
    """
    run_ = inside("-m 64m --pids-limit 50 --cpus 1 " + WRITABLE, script)
    run_.check(0)
    equal(run_.stdout.splitlines(), ["memory pids", str(16 * MIB), "status 137", "oom_kill 1", "0::/sub"], "what the container could do: %r" % run_)
    contains(run_.stderr, "at the limit of a control group around it or below", "whose limit it was")
    check("(--memory)" not in run_.stderr, "it was its own limit: %r" % run_)


def test_sub_group_counts_against_the_whole():
    """A group of its own is no way out of the container's limit."""
    script = "cd /sys/fs/cgroup; mkdir sub; echo $$ >sub/cgroup.procs; /load hold 128; echo status $?"
    contains(inside("-m 32m " + WRITABLE, script).check(0, "status 137").stderr, "at its limit of 32.0MiB (--memory)", "whose limit it was")


@generate
def test_removal_with_sub_groups_and_storms():
    """Groups in groups, in each of which processes fork all the time: nothing of them is left, however the container ends."""
    def one(end, status):
        before = leftovers()
        container = Running("--rm --name storms --pids-limit 120 " + WRITABLE, "/load storms a/b/c d e/f", "storm")
        top = container.group
        while os.path.basename(os.path.dirname(top)) != "nsrun" and top != TREE:
            top = os.path.dirname(top)
        check(os.path.isdir(os.path.join(top, "a/b/c")), "no sub-groups in %s" % top)
        end(container)
        got = container.end(timeout=30)
        check(status is None or got == status, "status %r, wanted %r; %s" % (got, status, container.stderr))
        check(not os.path.exists(top), "the group stayed: %s" % top)
        assert_clean(before)

    def lost(container):
        """nsrun itself is killed: gc tidies up."""
        container.process.send_signal(signal.SIGKILL)
        container.process.wait()
        nsrun(["gc"], timeout=60).check()
    yield "ends by itself", lambda: one(lambda container: None, 7)
    yield "stop", lambda: one(lambda container: nsrun(["stop", "-t", "1", "storms"], timeout=40).check(), None)
    yield "rm -f", lambda: one(lambda container: nsrun(["rm", "-f", "storms"], timeout=40).check(), None)
    yield "nsrun is killed", lambda: one(lost, None)


# ---- parents -------------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def parent_group(name="jobs", **files):
    path = os.path.join(TREE, name)
    os.mkdir(path)
    try:
        for file, value in files.items():
            with open(os.path.join(path, file.replace("_", ".")), "w") as out:
                out.write(str(value))
        yield path
    finally:
        for directory, _, _ in os.walk(path, topdown=False):
            os.rmdir(directory)


def test_parent_with_a_limit_of_its_own():
    """Two containers below one parent share what it has, whatever their own limits are."""
    with parent_group(memory_max="48M") as parent:
        with Running("--cgroup-parent /jobs -m 40m", "/load hold 24", "held") as one:
            check(one.group.startswith(parent + "/"), "the group is %s" % one.group)
            equal(one.number("memory.max"), 40 * MIB, "memory.max")
            inside("--cgroup-parent /jobs -m 40m", "/load hold 40; true").check()
            check(table(read(parent + "/memory.events"))["oom_kill"] >= 1, "the parent's limit did not act: %s" % read(parent + "/memory.events"))


def test_parent_that_holds_processes():
    """A group with processes cannot give controllers to those below it (cgroups(7)): an error that says so, and the process stays where it is."""
    with parent_group() as parent:
        inhabitant = subprocess.Popen(["sleep", "1000"])
        try:
            with open(parent + "/cgroup.procs", "w") as file:
                file.write(str(inhabitant.pid))
            before = leftovers()
            result = once("--cgroup-parent /jobs -m 64m", "/bin/true")
            refused(result, "/jobs")
            assert_clean(before)
            equal(read(parent + "/cgroup.procs").split(), [str(inhabitant.pid)], "processes of the parent")
        finally:
            inhabitant.kill()
            inhabitant.wait()


@generate
def test_parent_refused():
    def one(parent, *more):
        before = leftovers()
        groups = {path for path, _, _ in os.walk(TREE)}
        refused(once(["--cgroup-parent", parent, "-m", "64m"], "/bin/true"), "cgroup-parent", *more)
        equal({path for path, _, _ in os.walk(TREE)} - groups, set(), "groups that were made")
        assert_clean(before)
    for parent in ("..", "/..", "../jobs", "/jobs/../../other", "jobs/..", "/jobs/./x", "//", "", "/jobs//x", "jobs.slice", "/" + "x" * 300, "/jobs\n"):
        yield repr(parent), lambda parent=parent: one(parent)


if __name__ == "__main__":
    main()
