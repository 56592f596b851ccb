# SPDX-License-Identifier: Apache-2.0
# vm: --numa --disk 512M
"""Limits as a pure cgroup v2 kernel holds them: memory, swap, tasks, processors, nodes, huge pages, files of the group."""
import re

from common import *

PROCESSORS = processors()
LAST = PROCESSORS - 1  # the processor that tests of competition use; the tests themselves mostly run on others


# ---- memory --------------------------------------------------------------------------------------------------------

def killed(result, count=None):
    """The message says that the kernel killed processes at the limit, and how many."""
    found = re.search(r"memory: the kernel killed (\d+) process", result.stderr)
    check(found, "the message does not say that the kernel killed: %r" % result)
    check(int(found.group(1)) == count if count else int(found.group(1)) > 0, "count of kills: %r" % result)
    contains(result.stderr, "--memory", "message")


def test_memory_hog_is_killed_and_the_message_says_so():
    hog = once("-m 32m", "/load hold 128")
    hog.check(137)
    killed(hog, 1)
    equal(hog.stdout, "", "what the hog said")
    # the same below its limit, and the same without one
    once("-m 192m", "/load hold 128").check(0, "held")
    once("", "/load hold 128").check(0, "held")


def test_memory_the_child_is_killed_and_the_first_process_lives():
    run_ = inside("-m 32m", "/load hold 128; echo status $?; grep -w oom_kill /sys/fs/cgroup/memory.events; exit 9")
    run_.check(9, "status 137\noom_kill 1")
    killed(run_, 1)


def test_memory_kills_are_counted():
    run_ = inside("-m 32m", "/load hold 128; /load hold 128; /load hold 128; true")
    run_.check(0)
    killed(run_, 3)


def test_memory_of_all_processes_together():
    """Two that would fit each do not fit together."""
    script = "/load hold 32 </dev/zero >/dev/null & sleep 1; /load hold 32; grep -w oom_kill /sys/fs/cgroup/memory.events; kill -9 $!; true"
    check("oom_kill 0" not in inside("-m 48m", script).check().stdout, "neither was killed")
    inside("-m 96m", script).check(0, "held\noom_kill 0")


def test_memory_use_stays_below_the_limit():
    """Page cache is given back before anything is killed."""
    with Running("-m 32m --tmpfs /none", ["/bin/sh", "-c", "cat /bin/* /load >/dev/null 2>&1; /load hold 16"], "held") as one:
        equal(one.number("memory.max"), 32 * MIB, "memory.max")
        between(one.number("memory.current") / MIB, 16, 32, "MiB in use")
        equal(one.table("memory.events")["oom_kill"], 0, "kills")


def test_memory_without_swap():
    """What --memory alone, or an equal --memory-swap, leaves of swap: none."""
    with swap():
        for options in ("-m 32m", "-m 32m --memory-swap 32m"):
            before = swapped_out()
            hog = once(options, "/load hold 48")
            hog.check(137)
            killed(hog, 1)
            equal(swapped_out() - before, 0, "pages swapped out with " + options)


def test_memory_with_some_swap():
    """--memory-swap is memory and swap together: 32 MiB of swap here."""
    with swap():
        with Running("-m 32m --memory-swap 64m", "/load hold 48", "held") as one:
            equal((one.number("memory.max"), one.number("memory.swap.max")), (32 * MIB, 32 * MIB), "limits")
            between(one.number("memory.swap.current") / MIB, 12, 32, "MiB of swap")
            between(one.number("memory.current") / MIB, 1, 32, "MiB of memory")
        hog = once("-m 32m --memory-swap 64m", "/load hold 96")
        hog.check(137)
        killed(hog, 1)


def test_memory_with_all_swap():
    with swap():
        with Running("-m 32m --memory-swap -1", "/load hold 128", "held") as one:
            equal((one.number("memory.max"), one.read("memory.swap.max")), (32 * MIB, "max"), "limits")
            between(one.number("memory.swap.current") / MIB, 90, 128, "MiB of swap")
            between(one.number("memory.current") / MIB, 1, 32, "MiB of memory")


def test_memory_reservation():
    with Running("-m 64m --memory-reservation 24m", "/load hold 1", "held") as one:
        equal((one.number("memory.low"), one.number("memory.max")), (24 * MIB, 64 * MIB), "limits")
    with Running("--memory-reservation 24m", "/load hold 1", "held") as one:
        equal((one.number("memory.low"), one.read("memory.max")), (24 * MIB, "max"), "limits")


# ---- tasks ---------------------------------------------------------------------------------------------------------

def test_pids_fork_is_refused():
    with Running("--pids-limit 20", "/load procs 500") as one:
        made, why = one.line.split()
        equal(why, "EAGAIN", "errno of fork")
        between(int(made), 10, 19, "processes below a limit of 20")
        check(one.table("pids.events")["max"] >= 1, "pids.events: %s" % one.read("pids.events"))
        equal(one.number("pids.current"), int(made) + 1, "pids.current")
    once("", "/load procs 100").check(0, "100 all")


def test_pids_fork_storm_and_the_host_stays_usable():
    """While a storm is at its limit, this system starts programs and containers, and what is left of it in the end is nothing."""
    before = leftovers()
    with Running("--pids-limit 100", "/load bomb", "storm") as one:
        wait_for(lambda: one.table("pids.events")["max"] > 3, "the storm reaches its limit", timeout=20)
        equal(one.number("pids.current"), 100, "pids.current")
        begin = time.monotonic()
        run(["/bin/true"]).check()
        once("-m 64m --pids-limit 10", "/bin/true").check()
        check(time.monotonic() - begin < 10, "a program and a container took %.1f s beside a storm" % (time.monotonic() - begin))
        equal(one.number("pids.current"), 100, "pids.current afterwards")
    assert_clean(before)


def test_pids_storm_that_is_killed():
    """The whole group goes with the tool itself, killed with no word to anyone."""
    before = leftovers()
    one = Running("--pids-limit 100 --rm --name storm", "/load bomb", "storm")
    wait_for(lambda: one.table("pids.events")["max"] > 0, "the storm reaches its limit", timeout=20)
    nsrun(["rm", "-f", "storm"]).check()
    check(not os.path.exists(one.group), "the group stayed: %s" % one.group)
    one.end()
    assert_clean(before)


# ---- processors ----------------------------------------------------------------------------------------------------

def test_cpus_half_of_one():
    with Running("--cpus 0.5", "/load spin 1", "spinning") as one, Running("", "/load spin 1", "spinning") as other:
        throttled = one.table("cpu.stat")["nr_throttled"]
        limited, free = shares(4, one, other)
        between(limited, 0.2, 0.65, "of one processor with --cpus 0.5")
        check(free > limited * 1.2 and free > 0.5, "without a limit: %.3f, with it: %.3f" % (free, limited))
        check(one.table("cpu.stat")["nr_throttled"] > throttled, "never throttled: %s" % one.read("cpu.stat"))


def test_cpus_one_and_a_half():
    """The limit is of the container, not of a process: as many as there are processors have 1.5 together."""
    with Running("--cpus 1.5", "/load spin %d" % max(PROCESSORS, 2), "spinning") as one:
        equal(one.read("cpu.max"), "150000 100000", "cpu.max")
        between(shares(4, one)[0], 0.9, 1.75, "processors with --cpus 1.5")
        check(one.table("cpu.stat")["nr_throttled"] > 0, "never throttled: %s" % one.read("cpu.stat"))


def test_cpus_finer_than_a_hundredth():
    with Running("--cpus 0.125", "/load spin 1", "spinning") as one:
        equal(one.read("cpu.max"), "12500 100000", "cpu.max")
        between(shares(4, one)[0], 0.03, 0.25, "of one processor with --cpus 0.125")


def test_cpu_shares_of_two_that_compete():
    """On one processor, in one boot, at the same time: as the weights are to each other. Equal ones are the measure's own check."""
    def ratio(first, second):
        with Running("--cpuset-cpus %d --cpu-shares %d" % (LAST, first), "/load spin 1", "spinning") as one, \
                Running("--cpuset-cpus %d --cpu-shares %d" % (LAST, second), "/load spin 1", "spinning") as other:
            weights = one.number("cpu.weight"), other.number("cpu.weight")
            time.sleep(0.5)
            a, b = shares(4, one, other)
            check(a + b < 1.2, "they were on more than one processor: %.2f and %.2f" % (a, b))
            return a / b, weights
    got, weights = ratio(1024, 1024)
    equal(weights[0], weights[1], "equal weights")
    between(got, 0.7, 1.4, "equal weights: the one's time by the other's")
    got, weights = ratio(2048, 256)
    wanted = weights[0] / weights[1]
    check(wanted > 2.5, "weights %r do not tell 2048 from 256" % (weights,))
    between(got / wanted, 0.6, 1.6, "time of 2048 by that of 256, %.2f, by the ratio of weights, %.2f" % (got, wanted))


@generate
def test_cpuset():
    def one(cpu):
        place = once("--cpuset-cpus %d" % cpu, "/load place 1").check()
        contains(place.stdout, "Cpus_allowed_list:\t%d\n" % cpu, "what the process may use")
        with Running("--cpuset-cpus %d" % cpu, "/load spin %d" % PROCESSORS, "spinning") as one:
            equal((one.read("cpuset.cpus"), one.read("cpuset.cpus.effective")), (str(cpu), str(cpu)), "files")
            between(shares(2, one)[0], 0.4, 1.15, "processors with one allowed")
    for cpu in (0, LAST):
        yield str(cpu), lambda cpu=cpu: one(cpu)

    def all_of_them():
        word = "0-%d" % LAST if LAST else "0"
        contains(once("--cpuset-cpus " + word, "/load place 1").check().stdout, "Cpus_allowed_list:\t%s\n" % word, "allowed")
    yield "all", all_of_them


def nodes():
    return sorted(int(name[4:]) for name in os.listdir("/sys/devices/system/node") if re.match(r"node\d+$", name))


@generate
def test_cpuset_mems():
    """Memory lies on the node that was asked for, as the process' map and the group's statistics have it."""
    def one(node):
        place = once("--cpuset-mems %d" % node, "/load place 16").check().stdout
        contains(place, "Mems_allowed_list:\t%d\n" % node, "what the process may use")
        pages = dict(re.findall(r"\bN(\d+)=(\d+)", place.splitlines()[-1]))
        equal(pages, {str(node): "4096"}, "pages by node")
        with Running("--cpuset-mems %d --cpuset-cpus 0-%d -m 64m" % (node, LAST), "/load hold 16", "held") as two:
            equal((two.read("cpuset.mems"), two.read("cpuset.mems.effective")), (str(node), str(node)), "files")
            anon = [line for line in two.read("memory.numa_stat").splitlines() if line.startswith("anon ")][0]
            for other, size in re.findall(r"N(\d+)=(\d+)", anon):
                check((int(size) >= 16 * MIB) == (int(other) == node), "memory.numa_stat: %s" % anon)
    if len(nodes()) < 2:
        fail("this guest has one memory node: tests/vm/run --numa")
    for node in nodes():
        yield str(node), lambda node=node: one(node)


@generate
def test_cpuset_refused():
    def one(option, value):
        before = leftovers()
        refused(once([option, value], "/bin/true"), option)
        assert_clean(before)
    for option, value in (("--cpuset-cpus", "9999"), ("--cpuset-cpus", "0-"), ("--cpuset-cpus", "a"), ("--cpuset-cpus", ""),
                          ("--cpuset-cpus", "-1"), ("--cpuset-cpus", "2-1"), ("--cpuset-mems", "1023"), ("--cpuset-mems", "x"),
                          ("--cpuset-cpus", str(PROCESSORS)), ("--cpuset-mems", str(len(nodes())))):
        yield "%s=%s" % (option, value), lambda option=option, value=value: one(option, value)


# ---- huge pages ----------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def huge_pages(wanted=8):
    path = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
    with open(path, "w") as file:
        file.write(str(wanted))
    try:
        equal(int(read(path)), wanted, "huge pages of the guest")
        yield
    finally:
        with open(path, "w") as file:
            file.write("0")


def test_hugetlb():
    with huge_pages():
        run_ = once("--hugetlb 2m=4m", "/load huge 4").check()
        check(run_.stdout.split() in (["page", "page", "SIGBUS"], ["page", "page", "ENOMEM"]), "the third page of two: %r" % run_)
        with Running("--hugetlb 2m=4m", "/load huge 2", "page") as one:
            equal([one.next_line() for _ in range(2)], ["page", "all"], "what it said")
            equal((one.number("hugetlb.2MB.max"), one.number("hugetlb.2MB.current")), (4 * MIB, 4 * MIB), "limit and use")
        equal(once("", "/load huge 4").check().stdout.split(), ["page"] * 4 + ["all"], "without a limit")


@generate
def test_hugetlb_refused():
    def one(value, *words):
        before = leftovers()
        refused(once(["--hugetlb", value], "/bin/true"), "hugetlb", *words)
        assert_clean(before)
    for value, *more in (("3m=6m", "2MB"), ("2m",), ("2m=-4m",), ("=4m",), ("2m=x",), ("2m=99999999999999999999",), ("",)):
        yield value, lambda value=value, more=more: one(value, *more)


# ---- any file ------------------------------------------------------------------------------------------------------

@generate
def test_unified():
    def one(key, value, held):
        with Running(["--cgroup", "%s=%s" % (key, value)], "/load hold 1", "held") as one:
            equal(one.read(key), held or value, key)
    for key, value, *held in (("memory.high", "50331648"), ("memory.high", "48M", "50331648"), ("memory.min", "1048576"),
                              ("memory.oom.group", "1"), ("cgroup.max.descendants", "5"), ("cgroup.max.depth", "2"),
                              ("cpu.weight.nice", "5"), ("cpu.idle", "1"), ("cpu.max.burst", "0"), ("cpu.max", "20000 50000"),
                              ("pids.max", "33"), ("cpuset.cpus", "0"), ("memory.swap.high", "max"), ("misc.max", "")):
        if value:
            yield "%s=%s" % (key, value), lambda key=key, value=value, held=(held or [None])[0]: one(key, value, held)

    def several():
        with Running("--cgroup memory.high=40M --cgroup memory.low=8M --cgroup cpu.weight=321 -m 64m", "/load hold 1", "held") as one:
            equal([one.read(name) for name in ("memory.high", "memory.low", "cpu.weight", "memory.max")],
                  [str(40 * MIB), str(8 * MIB), "321", str(64 * MIB)], "files")
    yield "several", several

    def effect():
        """memory.high throttles, and the group says so."""
        with swap():
            with Running("--cgroup memory.high=16M", "/load hold 32", "held") as one:
                check(one.table("memory.events")["high"] > 0, "memory.events: %s" % one.read("memory.events"))
    yield "memory.high acts", effect

    def group_kill():
        """memory.oom.group: the first process goes with the child."""
        run_ = inside("-m 32m --cgroup memory.oom.group=1", "/load hold 128; echo lived")
        run_.check(137)
        equal(run_.stdout, "", "what was said afterwards")
    yield "memory.oom.group acts", group_kill

    def too_small():
        """What was said is named, and no option that was not."""
        run_ = inside("--cgroup memory.max=64k", "/load hold 1")
        run_.check(125)
        contains(run_.stderr, "at the limit of --cgroup memory.max before it executed", "message")
    yield "memory.max below a launch", too_small


@generate
def test_unified_refused():
    def one(word, *words):
        before = leftovers()
        refused(once(["--cgroup", word], "/bin/true"), *words)
        assert_clean(before)
    for word, *more in (
            ("memory.nonesuch=1", "memory.nonesuch"), ("nonesuch.max=1", "nonesuch"), ("io.latency=254:0 target=1", "io.latency"),
            ("memory.high=abc", "memory.high"), ("cpu.weight=0", "cpu.weight"), ("cpu.weight=10001", "cpu.weight"),
            ("memory.current=1", "memory.current"), ("memory.high", "cgroup"), ("=1", "cgroup"), ("", "cgroup"),
            ("cgroup.procs=1", "cgroup.procs"), ("cgroup.threads=1", "cgroup.threads"), ("cgroup.kill=1", "cgroup.kill"),
            ("cgroup.freeze=1", "cgroup.freeze"), ("cgroup.type=threaded", "cgroup.type"),
            ("cgroup.subtree_control=+memory", "cgroup.subtree_control"),
            ("../memory.max=1", "memory.max"), ("/memory.max=1", "memory.max"), ("sub/memory.max=1", "memory.max")):
        yield word, lambda word=word, more=more: one(word, *more)


# ---- what follows from all of them ---------------------------------------------------------------------------------

def test_only_needed_controllers_are_enabled():
    """What no limit needs is not given to the group: nothing is charged that nobody asked for."""
    def controllers(options):
        with Running(options, "/load hold 1", "held") as one:
            return set(one.read("cgroup.controllers").split()), one.group
    both, group = controllers("-m 64m --pids-limit 10")
    check({"memory", "pids"} <= both, "controllers of -m and --pids-limit: %s" % both)
    check(not os.path.exists(group), "the group stayed")


def test_all_at_once():
    options = "-m 64m --memory-reservation 16m --memory-swap 96m --cpus 1.5 --cpu-shares 512 --cpuset-cpus 0 --cpuset-mems 0 " \
        "--pids-limit 30 --hugetlb 2m=4m --io-weight 200 --cgroup memory.high=48M"
    with Running(options, "/load hold 8", "held") as one:
        files = {"memory.max": 64 * MIB, "memory.low": 16 * MIB, "memory.swap.max": 32 * MIB, "cpu.max": "150000 100000", "cpuset.cpus": "0",
                 "cpuset.mems": "0", "pids.max": 30, "hugetlb.2MB.max": 4 * MIB, "memory.high": 48 * MIB}
        equal({name: one.read(name) for name in files}, {name: str(value) for name, value in files.items()}, "files")


def test_groups_are_of_the_first_instant():
    """The workload is born in its group: its own memory, from execve on, is charged there and nowhere else."""
    run_ = inside("-m 64m --pids-limit 20", "cat /proc/self/cgroup; cat /sys/fs/cgroup/pids.current /sys/fs/cgroup/pids.max")
    run_.check(0)
    equal(run_.stdout.split()[0], "0::/", "the group as seen from inside")
    equal(run_.stdout.split()[2], "20", "pids.max from inside")


@generate
def test_bad_sizes():
    def one(option, value):
        before = leftovers()
        refused(once([option, value], "/bin/true"), option.strip("-"))
        assert_clean(before)
    sizes = ("-5", "99999999999999999999g", "9223372036854775808", "abc", "1.5.2m", "12q", "")
    numbers = ("abc", "99999999999999999999", "1.5", "")
    cases = {"--memory": sizes, "--memory-reservation": sizes, "--memory-swap": ("-5", "99999999999999999999g", "abc", "", "64m"),
             "--cpus": ("-1", "abc", "1e300", "nan", ""), "--cpu-shares": numbers + ("-1", "1", "262145"), "--pids-limit": numbers + ("-5",),
             "--io-weight": numbers + ("-1", "0", "1001", "9999"), "--cpuset-cpus": ("0-99999999999",)}
    for option, values in cases.items():
        for value in values:
            yield "%s=%s" % (option, value), lambda option=option, value=value: one(option, value)


@generate
def test_limits_at_odds():
    def one(options, *words):
        before = leftovers()
        refused(once(options, "/bin/true"), *words)
        assert_clean(before)
    yield "swap below memory", lambda: one("-m 64m --memory-swap 32m", "memory-swap")
    yield "swap without memory", lambda: one("--memory-swap 32m", "memory")


if __name__ == "__main__":
    main()
