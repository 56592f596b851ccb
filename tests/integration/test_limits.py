# SPDX-License-Identifier: Apache-2.0
"""--memory, --pids-limit, --cpus: what they do to a workload, where they are written, and that none is dropped in silence."""
import os
import subprocess

from harness import *
from helper import install_helper, refused, remapped, shell, tree


def while_running(options, look):
    """look(new cgroups, Popen) while a container with these options runs."""
    before = cgroups()
    process = subprocess.Popen([binary(), "--userns-remap", dummy().name, *options, tree(), "/bin/sh", "-c", "echo up; exec cat"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), cwd=base())
    try:
        line = process.stdout.readline()
        mine = {path for path in cgroups() - before if cgroup_pids(path) & set(descendants(process.pid))}
        if line == b"up\n":
            look(mine, process)
    finally:
        _, err = process.communicate(timeout=20)
    equal((line, process.returncode), (b"up\n", 0), "output and status; stderr: %r" % err)
    left = [path for path in mine if os.path.isdir(path)]
    equal(left, [], "groups that stayed")


def in_some(groups, names, wanted):
    """One of the groups has one of these files with this content."""
    seen = {}
    for group in groups:
        for name in names:
            try:
                with open(os.path.join(group, name)) as file:
                    seen[os.path.join(group, name)] = file.read().split()
            except OSError:
                pass
    check(wanted in seen.values(), "no file says %r: %r" % (wanted, seen))


def test_memory_hog_is_killed():
    run_ = remapped("--memory 32m", "/helper", "hog", "256", timeout=30)
    run_.check(137)
    check("memory" in run_.stderr.lower() and "killed" in run_.stderr.lower() and "--memory" in run_.stderr,
          "stderr does not say why it was killed: %r" % run_)
    remapped("--memory 128m", "/helper", "hog", "64").check(0, "touched 64")
    remapped("", "/helper", "hog", "64").check(0, "touched 64")


def test_ulimit_too_small_for_a_launch():
    for word in ("nofile=10", "fsize=0"):
        run_ = remapped("--ulimit " + word, "/bin/true")
        run_.check(125)
        contains(run_.stderr, "[ulimit-too-small]", "message for " + word)
    remapped("--ulimit nofile=32 --ulimit fsize=4096", "/bin/true").check(0)


def test_memory_too_small_for_a_launch():
    """For the rows of init that come after it has entered its groups; what execve(2) takes is the workload's own."""
    run_ = remapped("--memory 16k", "/bin/true")
    run_.check(125)
    for part in ("--memory", "before it executed the workload", "[memory-too-small]"):
        contains(run_.stderr, part, "message")


def test_memory_hog_below_a_shell():
    """The workload lives on when the kernel kills a child of it: no 137, and its own status."""
    run_ = shell("/helper hog 256; echo status $?", "--memory 32m", timeout=30)
    run_.check(0, "status 137")


@generate
def test_memory_written():
    for word, wanted in (("33554432", 33554432), ("32m", 33554432), ("32M", 33554432), ("65536k", 67108864), ("1g", 1 << 30)):
        yield word, lambda word=word, wanted=wanted: while_running(["--memory", word], lambda groups, _process: in_some(
            groups, ("memory.max", "memory.limit_in_bytes"), [str(wanted)]))
    yield "-m", lambda: while_running(["-m", "64m"], lambda groups, _process: in_some(
        groups, ("memory.max", "memory.limit_in_bytes"), [str(64 << 20)]))


def disk():
    """MAJOR:MINOR of a whole disk of this host."""
    for name in sorted(os.listdir("/sys/block")):
        with open("/sys/block/%s/dev" % name) as file:
            return file.read().strip()
    skip("this host has no block device")


def processors():
    """A list of two processors, as it is said and as the kernel shows it; one where there is no second beside it."""
    first, *rest = sorted(os.sched_getaffinity(0))
    if first + 1 in rest:
        return "%d,%d" % (first + 1, first), "%d-%d" % (first, first + 1)
    return str(first), str(first)


@generate
def test_every_file():
    """Each resource in the file of the hierarchy that this host has it in, v1 or v2, and the workload in that group."""
    said, shown = processors()
    device = disk()
    cases = {
        "-m 64m": [("memory.limit_in_bytes", "67108864", "memory.max", "67108864")],
        "-m 64m --memory-swap 80m": [("memory.memsw.limit_in_bytes", "83886080", "memory.swap.max", "16777216")],
        "-m 64m --memory-swap -1": [("memory.memsw.limit_in_bytes", "9223372036854771712", "memory.swap.max", "max")],
        "--memory-reservation 32m": [("memory.soft_limit_in_bytes", "33554432", "memory.low", "33554432")],
        "--cpu-shares 512": [("cpu.shares", "512", "cpu.weight", "59")],
        "--cpu-shares 1024": [("cpu.shares", "1024", "cpu.weight", "100")],
        "--cpus 0.5": [("cpu.cfs_quota_us", "50000", "cpu.max", "50000 100000"), ("cpu.cfs_period_us", "100000", "cpu.max", "50000 100000")],
        "--cpuset-cpus " + said: [("cpuset.cpus", shown, "cpuset.cpus", shown)],
        "--cpuset-mems 0": [("cpuset.mems", "0", "cpuset.mems", "0")],
        "--pids-limit 77": [("pids.max", "77", "pids.max", "77")],
        "--device-read-bps %s:1m" % device: [("blkio.throttle.read_bps_device", device + " 1048576", "io.max", device + " rbps=1048576 wbps=max riops=max wiops=max")],
        "--device-write-iops %s:50 --device-write-bps %s:2m" % (device, device): [
            ("blkio.throttle.write_iops_device", device + " 50", "io.max", device + " rbps=max wbps=2097152 riops=max wiops=50"),
            ("blkio.throttle.write_bps_device", device + " 2097152", "io.max", device + " rbps=max wbps=2097152 riops=max wiops=50")],
        "--io-weight 300": [("blkio.bfq.weight", "300", "io.weight", "default 2930")],
        "--hugetlb 2m=4m": [("hugetlb.2MB.limit_in_bytes", "4194304", "hugetlb.2MB.max", "4194304")],
        "--cgroup cgroup.max.depth=5": [("cgroup.max.depth", "5", "cgroup.max.depth", "5")],
    }
    def read(groups, name):
        for group in groups:
            if os.path.exists(os.path.join(group, name)):
                with open(os.path.join(group, name)) as file:
                    return group, file.read().strip()
        return None, None
    def one(options, files):
        def look(groups, process):
            for v1, v1_value, v2, v2_value in files:
                group, got = read(groups, v1)
                wanted = v1_value
                if group is None or (v1 == v2 and os.path.exists(group + "/cgroup.type")):
                    group, got = read(groups, v2)
                    wanted = v2_value
                if v2 == "memory.swap.max" and group is None:
                    skip("this kernel does not count swap")
                equal(got, wanted, "%s in %s" % (v1 if wanted == v1_value else v2, group))
                inside = cgroup_pids(group) & set(descendants(process.pid))
                check(len(inside) >= 1, "no process of the container is in %s" % group)
        missing = refusal(options)
        if missing:
            skip(missing)
        while_running(options.split(), look)
    for options, files in cases.items():
        yield options, lambda options=options, files=files: one(options, files)


def refusal(options):
    """Why this host cannot have the limit: only that a controller, or a file of the kernel's configuration, is missing."""
    run_ = remapped(options, "/bin/true")
    if run_.status == 125 and ("[no-controller]" in run_.stderr or "[limit-no-file]" in run_.stderr):
        return run_.stderr.splitlines()[0]
    run_.check(0)
    return None


def test_groups_of_v1_are_made_for_what_is_limited():
    """One limit, one v1 hierarchy: others cost time, and a cpuset without processors takes no process."""
    hierarchies = [path for path in cgroup_mounts() if os.path.exists(os.path.join(path, "tasks"))]
    if not hierarchies:
        skip("this host has no v1 hierarchy with controllers")
    def look(groups, _process):
        with_tasks = [group for group in groups if os.path.exists(group + "/tasks")]
        check(all(os.path.exists(group + "/pids.max") for group in with_tasks), "groups of others: %r" % with_tasks)
    while_running(["--pids-limit", "50"], look)


def test_device_that_is_no_disk():
    before = leftovers()
    refused(remapped("--device-read-bps 4000:7:1m", "/bin/true"), "4000:7", "no block device 4000:7")
    assert_clean(before)


def test_processor_that_is_not_there():
    before = leftovers()
    run_ = remapped("--cpuset-cpus 4000", "/bin/true")
    refused(run_, "cpuset", "4000")
    assert_clean(before)


def test_huge_pages_of_no_size():
    before = leftovers()
    run_ = remapped("--hugetlb 3m=0", "/bin/true")
    if "[no-controller]" in run_.stderr:
        skip(run_.stderr.splitlines()[0])
    refused(run_, "hugetlb", "huge pages")
    assert_clean(before)


def test_swap_is_no_way_out():
    """Where memory.max bounds memory alone, swap would take the rest."""
    with open("/proc/swaps") as file:
        if len(file.readlines()) < 2:
            skip("this host has no swap")
    remapped("--memory 32m", "/helper", "hog", "256", timeout=60).check(137)


def test_fork_bomb_stops():
    run_ = remapped("--pids-limit 20", "/helper", "forks", "500").check()
    made, why = run_.stdout.split()
    equal(why, "EAGAIN", "errno of fork")
    check(10 <= int(made) < 20, "%s processes were made below a limit of 20" % made)
    remapped("", "/helper", "forks", "100").check(0, "100 all")


def test_fork_bomb_of_a_shell_ends():
    before = leftovers()
    run_ = shell("bomb() { bomb | bomb & }; bomb 2>/dev/null; sleep 0.5; exit 9", "--pids-limit 50", timeout=20)
    check(run_.status in (2, 9), "%r" % run_)
    assert_clean(before, grace=3.0)


def test_pids_written():
    while_running(["--pids-limit", "77"], lambda groups, _process: in_some(groups, ("pids.max",), ["77"]))


def test_cpus():
    """Half a processor for 1.5 s; the process tells its own share, and the accounting of the kernel agrees."""
    share = float(remapped("--cpus 0.5", "/helper", "burn", "1.5").check().stdout)
    check(0.05 <= share <= 0.6, "share of a processor: %.3f" % share)  # a busy host gives less than the limit
    tight = float(remapped("--cpus=0.1", "/helper", "burn", "1").check().stdout)
    check(tight <= 0.2, "share of a processor: %.3f" % tight)


def test_cpus_are_of_the_container():
    """Not of each process: two burn half a processor together."""
    run_ = shell("/helper burn 1.5 & /helper burn 1.5; wait", "--cpus 0.5").check()
    total = sum(float(line) for line in run_.stdout.split())
    check(0.05 <= total <= 0.65, "share of a processor: %.3f" % total)


def test_cpus_written():
    def look(groups, _process):
        for group in groups:
            try:
                with open(group + "/cpu.max") as file:
                    quota, period = file.read().split()
            except OSError:
                try:
                    with open(group + "/cpu.cfs_quota_us") as one, open(group + "/cpu.cfs_period_us") as two:
                        quota, period = one.read().strip(), two.read().strip()
                except OSError:
                    continue
            if quota not in ("max", "-1") and abs(int(quota) / int(period) - 1.5) < 0.001:
                return
        fail("no group has 1.5 processors: %r" % groups)
    while_running(["--cpus", "1.5"], look)


def test_all_three():
    def look(groups, process):
        in_some(groups, ("memory.max", "memory.limit_in_bytes"), [str(64 << 20)])
        in_some(groups, ("pids.max",), ["30"])
        # from the first instant: the workload itself is in each of the groups
        for pid in descendants(process.pid):
            for group in groups:
                if os.path.exists(group + "/memory.limit_in_bytes") or os.path.exists(group + "/pids.max"):
                    check(pid in cgroup_pids(group), "process %d is not in %s" % (pid, group))
    while_running(["-m", "64m", "--pids-limit", "30", "--cpus", "2"], look)


def test_own_cgroup_is_the_root_inside():
    run_ = shell("cat /proc/self/cgroup", "-m 64m --pids-limit 30").check()
    for line in run_.stdout.splitlines():
        if any(part in line for part in (":memory:", ":pids:", "0::")):
            check(line.endswith(":/"), "a path of the host: %s" % line)


def test_workload_cannot_lift_its_limit():
    run_ = shell("for f in $(find /sys/fs/cgroup -name memory.max -o -name memory.limit_in_bytes -o -name cgroup.procs 2>/dev/null); "
                 "do (echo 1 >$f) 2>/dev/null && echo wrote $f; done; echo end", "-m 64m").check()
    equal(run_.stdout, "end\n", "files of the cgroup that could be written")


@generate
def test_bad_values():
    cases = {
        "--memory": ("abc", "-5", "12q", "1.5.2g", "99999999999999999999g", "", "m"),
        "--pids-limit": ("abc", "-5", "1.5", "99999999999999999999", ""),
        "--cpus": ("abc", "-1", "1.2.3", "nan", "inf", "1e300", "", "0x1"),
    }
    def one(option, value):
        before = leftovers()
        refused(remapped([option, value], "/bin/true"), option.strip("-"), value or option)
        assert_clean(before)
    for option, values in cases.items():
        for value in values:
            yield "%s=%s" % (option, value), lambda option=option, value=value: one(option, value)


def test_more_processors_than_there_are():
    """Whether the kernel takes it or nsrun refuses it, it is not dropped in silence."""
    run_ = remapped("--cpus 100000", "/bin/true")
    check(run_.status == 0 or (run_.status == 125 and "cpus" in run_.stderr), "%r" % run_)


@generate
def test_ordinary_user_without_delegation():
    """The processes of the test run in groups that only root may change."""
    def one(who, option, value):
        tree_ = install_helper(rootfs(owner="%d:%d" % (who.uid, who.gid), fresh=True))
        before = leftovers()
        refused(nsrun([option, value, tree_, "/bin/true"], user=who), "delegat", "Delegate=")
        nsrun([tree_, "/bin/true"], user=who).check(0)  # and without the limit it runs
        assert_clean(before)
    for option, value in (("--memory", "64m"), ("--pids-limit", "50"), ("--cpus", "1")):
        for who in (ranger, single):
            yield "%s %s" % (who.__name__, option), lambda who=who, option=option, value=value: one(who(), option, value)


def delegate(who):
    """A group of this user's in each hierarchy. Returns those to enter: on v2 one below it, since a group that holds processes cannot give
    controllers to others (cgroups(7))."""
    made = []
    for mount in dict.fromkeys(os.path.realpath(path) for path in cgroup_mounts()):
        group = os.path.join(mount, "nsrun-delegated-%d" % os.getpid())
        groups = [group, group + "/session"] if os.path.exists(os.path.join(mount, "cgroup.controllers")) else [group]
        for group in groups:
            os.mkdir(group)
            for path in [group] + [os.path.join(group, name) for name in os.listdir(group)]:
                os.chown(path, who.uid, who.gid)
        made.append(groups[-1])
    return made


@generate(root=True)
def ordinary_user_with_delegation():
    """Where the user's own group is delegated, limits hold for an ordinary user as for root."""
    def one(who):
        tree_ = install_helper(rootfs(owner="%d:%d" % (who.uid, who.gid)))
        groups = delegate(who)
        try:
            enter = "".join("echo $$ > %s/cgroup.procs; " % group for group in groups)
            words = ["/bin/sh", "-c", enter + 'exec setpriv --reuid %d --regid %d --clear-groups "$@"' % (who.uid, who.gid), "sh", binary()]
            limited = ["--memory", "32m", "--pids-limit", "20", "--cpus", "0.5", tree_]
            result = run([*words, *limited, "/helper", "hog", "256"], env=environment(who))
            if "[no-delegation]" in result.stderr or "[no-controller]" in result.stderr:
                skip("no hierarchy of this host can be delegated: %s" % result.stderr.splitlines()[0])
            result.check(137)
            contains(result.stderr, "--memory", "why it was killed")
            script = "i=0; while [ $i -lt 40 ]; do sleep 100 & i=$((i + 1)); done; echo all"
            check("all" not in run([*words, *limited, "/bin/sh", "-c", script], env=environment(who)).stdout, "40 processes were made")
        finally:
            for group in groups:
                for path, _, _ in os.walk(group[:-len("/session")] if group.endswith("/session") else group, topdown=False):
                    os.rmdir(path)
    for who in (ranger, single):
        yield who.__name__, lambda who=who: one(who())


if __name__ == "__main__":
    main()
