# SPDX-License-Identifier: Apache-2.0
# tests/run: long
"""Every limit by its option: which files of which group hold it on this host, what the workload notices, what --dry-run, --spec and inspect
say of it, and which words are refused. tests/vm has what takes a pure v2 host, swap, several nodes or an io weight."""
import contextlib
import json
import os
import re
import struct
import subprocess

from harness import *
from helper import refused, remapped, shell, tree

MEBI = 1 << 20


def read(path):
    with open(path) as file:
        return file.read()


def v1_mount(controller):
    """Where the controller's v1 hierarchy is, or None."""
    for entry in mountinfo():
        if entry[4] == "cgroup" and controller in entry[6].split(","):
            return entry[0]
    return None


@contextlib.contextmanager
def running(options, script="", volumes=()):
    """(groups that hold the workload, its pid, the client) while a container with these options waits."""
    before = cgroups()
    words = ["--userns-remap", dummy().name, *options, *volumes, tree(), "/bin/sh", "-c", script + "\necho up; exec cat"]
    process = subprocess.Popen([binary(), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
                               cwd=base())
    try:
        line = process.stdout.readline()
        if line != b"up\n":
            fail("%r: %r" % (line, process.communicate(timeout=20)))
        pids = set(descendants(process.pid))
        yield {path for path in cgroups() - before if cgroup_pids(path) & pids}, max(pids), process
    finally:
        _, err = process.communicate(timeout=20)
    equal((process.returncode, err), (0, b""), "status and stderr")


def holds(groups, files):
    """One of the groups has each of these files with this text, of which white space is no part."""
    for alternatives, wanted in files:
        seen = {}
        for group in groups:
            for name in alternatives.split():
                path = os.path.join(group, name)
                if os.path.exists(path):
                    seen[path] = " ".join(read(path).split())
        check(wanted in seen.values(), "no %s says %r: %r" % (alternatives, wanted, seen))


# ---- devices ----

@contextlib.contextmanager
def disk(size=16 * MEBI, partition=False, file_system=False):
    """A loop device of a file, as (path, MAJOR:MINOR); with `partition` the numbers of a partition of it come behind. A kernel without loop
    devices (that of tests/vm) has another disk, which serves where nothing is written to it."""
    needs_program("losetup", "mkfs.ext4", "partx")
    image = os.path.join(tmp("disk"), "image")
    with open(image, "wb") as file:
        if partition:  # one entry of an MBR: from sector 2048 on, 4096 sectors
            entry = struct.pack("<B3sB3sII", 0, b"\0" * 3, 0x83, b"\0" * 3, 2048, 4096)
            file.write(b"\0" * 446 + entry + b"\0" * 48 + b"\x55\xaa")
        file.truncate(size)
    if not os.path.exists("/sys/block/loop0") and run(["losetup", "--find"]).status != 0:
        disks = [name for name in os.listdir("/sys/block") if os.path.exists("/dev/" + name) and int(read("/sys/block/%s/size" % name))]
        if partition or file_system or not disks:
            skip("this kernel has no loop devices")
        yield "/dev/" + disks[0], read("/sys/block/%s/dev" % disks[0]).strip()
        return
    path = run(["losetup", "--find", "--show", image]).check(0).stdout.strip()
    name = os.path.basename(path)
    try:
        if file_system:
            run(["mkfs.ext4", "-q", path]).check(0)
        numbers = read("/sys/block/%s/dev" % name).strip()
        if not partition:
            yield path, numbers
            return
        run(["partx", "-a", path]).check(0)
        try:
            yield path, numbers, read("/sys/block/%s/%sp1/dev" % (name, name)).strip()
        finally:
            run(["partx", "-d", path])
    finally:
        run(["losetup", "-d", path])


# ---- each option: files of the host ----

HELD = {  # options: (names of the file, one of which is there, text)
    "memory": ("--memory 64m", [("memory.max memory.limit_in_bytes", str(64 * MEBI)), ("memory.swap.max memory.memsw.limit_in_bytes", None)]),
    "memory-reservation": ("--memory-reservation 33m", [("memory.low memory.soft_limit_in_bytes", str(33 * MEBI))]),
    "cpus": ("--cpus 1.5", [("cpu.max", "150000 100000"), ("cpu.cfs_quota_us", "150000"), ("cpu.cfs_period_us", "100000")]),
    "cpuset-cpus": ("--cpuset-cpus 0,0-0", [("cpuset.cpus", "0")]),
    "cpuset-mems": ("--cpuset-mems 0", [("cpuset.mems", "0")]),
    "pids-limit": ("--pids-limit 77", [("pids.max", "77")]),
}


@generate(root=True)
def files_of_the_host():
    def one(options, wanted):
        with running(options.split()) as (groups, _pid, _process):
            for names, text in wanted:
                there = [name for name in names.split() for group in groups if os.path.exists(os.path.join(group, name))]
                if text and there:
                    holds(groups, [(names, text)])
            names = " ".join(names for names, _ in wanted)
            check(any(os.path.exists(os.path.join(group, name)) for group in groups for name in names.split()), "no group has any of " + names)
    for name, (options, wanted) in HELD.items():
        yield name, lambda options=options, wanted=wanted: one(options, wanted)


@test(root=True)
def test_memory_and_swap():
    """Together on v1, swap alone on v2."""
    for options, together, alone in (("-m 64m", 64, 0), ("-m 64m --memory-swap 64m", 64, 0), ("-m 64m --memory-swap 96m", 96, 32)):
        with running(options.split()) as (groups, _pid, _process):
            v1 = [group for group in groups if os.path.exists(group + "/memory.memsw.limit_in_bytes")]
            v2 = [group for group in groups if os.path.exists(group + "/memory.swap.max")]
            if not v1 and not v2:
                skip("this kernel does not account for swap")
            for group in v1:
                equal(read(group + "/memory.memsw.limit_in_bytes"), "%d\n" % (together * MEBI), options)
            for group in v2:
                equal(read(group + "/memory.swap.max"), "%d\n" % (alone * MEBI), options)


@generate
def unlimited():
    """It takes no group of its own: an ordinary user may say it, too."""
    words = ["-m", "unlimited", "--memory-swap", "-1", "--memory-reservation", "-1", "--cpus", "unlimited", "--pids-limit=-1"]
    for who in (None, ranger, single):
        def one(who=who):
            user_ = who and who()
            root = rootfs(owner="%d:%d" % (user_.uid, user_.gid)) if user_ else tree()
            first = [] if user_ else ["--userns-remap", dummy().name]
            check("limits: 0" in nsrun([*first, "--dry-run", *words, root, "/bin/true"], user=user_).check(0).stdout.splitlines(), "limits")
            nsrun([*first, *words, root, "/bin/true"], user=user_).check(0)
        yield who.__name__ if who else "root", one


@test(root=True)
def test_cpu_shares():
    with running(["--cpu-shares", "512"]) as (groups, _pid, _process):
        if v1_mount("cpu"):
            holds(groups, [("cpu.shares", "512")])
        else:
            weight = next(int(read(group + "/cpu.weight")) for group in groups if os.path.exists(group + "/cpu.weight"))
            check(1 < weight < 100, "512 of 1024 became the weight %d" % weight)


@test(root=True)
def test_cpuset_seen_inside():
    with running(["--cpuset-cpus", "0"], "grep Cpus_allowed_list /proc/self/status >/tmp/cpus") as (groups, pid, _process):
        check(re.search(r"^Cpus_allowed_list:\t0$", read("/proc/%d/status" % pid), re.M), "processors of the workload")
        holds(groups, [("cpuset.cpus", "0")])
    equal(shell("grep -c processor /proc/cpuinfo >/dev/null; grep Cpus_allowed_list /proc/self/status", "--cpuset-cpus 0").check(0).stdout.split()[1],
          "0", "inside")


@generate(root=True)
def device_rates():
    """Each option in the file of its own, by path and by numbers."""
    names = {"read-bps": ("rbps", str(2 * MEBI)), "write-bps": ("wbps", str(2 * MEBI)), "read-iops": ("riops", "300"),
             "write-iops": ("wiops", "300")}

    def one(name, by_numbers):
        key, value = names[name]
        with disk() as (path, numbers):
            said = "%s:%s" % (numbers if by_numbers else path, "2m" if name.endswith("bps") else "300")
            with running(["--device-" + name, said]) as (groups, _pid, _process):
                if v1_mount("blkio"):
                    holds(groups, [("blkio.throttle.%s_device" % name.replace("-", "_"), "%s %s" % (numbers, value))])
                else:
                    line = next(read(group + "/io.max") for group in groups if os.path.exists(group + "/io.max"))
                    check("%s=%s" % (key, value) in line.split() and line.split()[0] == numbers, "io.max: %r" % line)
    for name in names:
        for by_numbers in (False, True):
            yield "%s by %s" % (name, "numbers" if by_numbers else "path"), lambda name=name, by_numbers=by_numbers: one(name, by_numbers)


@test(root=True, timeout=120)
def test_reading_takes_its_time():
    """4 MiB at 2 MiB a second from a disk of its own, whose pages are not in memory; and without the limit."""
    with disk(32 * MEBI, file_system=True) as (path, _numbers):
        place = tmp("mounted")
        mount(path, place, "ext4")
        try:
            with open(place + "/data", "wb") as file:
                file.write(os.urandom(4 * MEBI))
                file.flush()
                os.fsync(file.fileno())
            os.chmod(place, 0o755)
            os.chmod(place + "/data", 0o644)

            def seconds(options):
                with open(place + "/data", "rb") as file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                result = shell("a=$(cut -d' ' -f1 /proc/uptime); cat /data/data | wc -c; b=$(cut -d' ' -f1 /proc/uptime); echo $a $b",
                               [*options, "-v", place + ":/data:ro"], timeout=60).check(0)
                size, times = result.stdout.splitlines()
                equal(size.strip(), str(4 * MEBI), "bytes read")
                return float(times.split()[1]) - float(times.split()[0])
            free, limited = seconds([]), seconds(["--device-read-bps", path + ":2m"])
            check(limited >= 1.2 and limited > 2 * free, "%.2f s with the limit, %.2f s without" % (limited, free))
        finally:
            umount(place)


@test(root=True)
def test_io_weight():
    """Where an io scheduler has weights it is written, elsewhere it is an error: never passed over."""
    result = remapped("--io-weight 200", "/bin/true")
    if result.status == 125:
        refused(result, "--io-weight", ("weight",))
    else:
        with running(["--io-weight", "200"]) as (groups, _pid, _process):
            seen = [read(os.path.join(group, name)) for group in groups for name in ("blkio.bfq.weight", "io.weight", "io.bfq.weight")
                    if os.path.exists(os.path.join(group, name))]
            check(seen and not any(text.split()[-1] == "100" for text in seen), "weights: %r" % seen)


@test(root=True)
def test_hugetlb():
    if not os.path.isdir("/sys/kernel/mm/hugepages/hugepages-2048kB"):
        skip("no huge pages of 2 MB")
    for said in ("2m=64m", "2MB=64m", "2048k=67108864"):
        with running(["--hugetlb", said]) as (groups, _pid, _process):
            holds(groups, [("hugetlb.2MB.max hugetlb.2MB.limit_in_bytes", str(64 * MEBI))])


@test(root=True)
def test_unified_key():
    """A file of the v2 group; and of a controller that v1 holds, an error that names the option there is."""
    with running(["--cgroup", "cgroup.max.descendants=7", "--cgroup", "cgroup.max.depth=3"]) as (groups, _pid, _process):
        holds(groups, [("cgroup.max.descendants", "7"), ("cgroup.max.depth", "3")])
    if v1_mount("memory"):
        refused(remapped("--cgroup memory.max=64m", "/bin/true"), "memory.max", "v1 hierarchy", "--memory works there", "[v2-only]")
    else:
        with running(["--cgroup", "memory.high=%d" % (64 * MEBI)]) as (groups, _pid, _process):
            holds(groups, [("memory.high", str(64 * MEBI))])
    refused(remapped("--cgroup hugetlb.7MB.max=7", "/bin/true"), "hugetlb.7MB.max")
    refused(remapped("--cgroup cgroup.max.descendants=-1", "/bin/true"), "cgroup.max.descendants: write -1: ", "out of range", "[limit-refused]")
    refused(remapped("--cgroup hugetlb.2MB.current=1", "/bin/true"), "hugetlb.2MB.current: write 1", "can only be read", "[limit-refused]")
    for value in ("1\n2", "1\n", "a 1\na 2", "a 1\n\nb 2"):
        refused(remapped(["--cgroup", "cgroup.max.depth=" + value], "/bin/true"), "--cgroup cgroup.max.depth", "several lines", "[cgroup-file]")
    for value in ("1\t", "1\r\n2", "\x1b[2J"):
        refused(remapped(["--cgroup", "cgroup.max.depth=" + value], "/bin/true"), "--cgroup cgroup.max.depth", "printable", "[cgroup-file]")
    refused(remapped("--hugetlb 2m=64m --cgroup hugetlb.2MB.max=2m", "/bin/true"), "contradict", "[limit-contradicts]")


# ---- what is told of them ----

ALL = ("-m 64m --memory-swap 96m --memory-reservation 32m --cpus 0.5 --cpu-shares 512 --cpuset-cpus 0 --cpuset-mems 0 --pids-limit 50 "
       "--hugetlb 2m=64m --cgroup cgroup.max.depth=9").split()


@test(root=True)
def test_dry_run():
    with disk() as (path, numbers):
        text = remapped(["--dry-run", *ALL, "--device-read-bps", path + ":1m"], "/bin/true").check(0).stdout
    limits = re.findall(r"^limit\.\d+: (.*)$", text, re.M)
    for limit in ("memory.limit %d" % (64 * MEBI), "memory.swap %d" % (96 * MEBI), "memory.reservation %d" % (32 * MEBI), "cpu.quota 50000",
                  "cpu.period 100000", "cpu.shares 512", "cpu.cpus 0", "cpu.mems 0", "pids.limit 50", "hugepageLimits 2MB %d" % (64 * MEBI),
                  "unified cgroup.max.depth 9", "blockIO.throttleReadBpsDevice %s %d" % (numbers, MEBI)):
        check(limit in limits, "--dry-run lacks %r: %r" % (limit, limits))
    writes = re.findall(r"^cgroup\.write\.\d+: (v[12]) (\w+) (\S+) (.+)$", text, re.M)
    on_v1 = bool(v1_mount("memory"))
    wanted = ("v1", "memory", "memory.limit_in_bytes", str(64 * MEBI)) if on_v1 else ("v2", "memory", "memory.max", str(64 * MEBI))
    check(wanted in writes, "what is written: %r" % writes)
    check(any(where == "v2" and file == "cgroup.max.depth" for where, _, file, _ in writes), "what is written: %r" % writes)
    text = remapped(["--dry-run"], "/bin/true").check(0).stdout
    check("limits: 0" in text.splitlines() and "cgroup.write" not in text, "limits of none")


def resources_of(options):
    return json.loads(remapped(["--spec", *options], "/bin/true").check(0).stdout)["linux"]["resources"]


@test(root=True)
def test_spec():
    with disk() as (path, numbers):
        major, minor = map(int, numbers.split(":"))
        got = resources_of([*ALL, "--device-write-iops", path + ":100", "--device-read-bps", numbers + ":1m"])
    equal(got["memory"], {"limit": 64 * MEBI, "swap": 96 * MEBI, "reservation": 32 * MEBI}, "memory")
    equal(got["cpu"], {"shares": 512, "quota": 50000, "period": 100000, "cpus": "0", "mems": "0"}, "cpu")
    equal((got["pids"], got["hugepageLimits"]), ({"limit": 50}, [{"pageSize": "2MB", "limit": 64 * MEBI}]), "pids, huge pages")
    equal(got["unified"], {"cgroup.max.depth": "9"}, "unified")
    equal(got["blockIO"], {"throttleWriteIOPSDevice": [{"major": major, "minor": minor, "rate": 100}],
                           "throttleReadBpsDevice": [{"major": major, "minor": minor, "rate": MEBI}]}, "blockIO")
    # nsrun gives no swap beside a limit, and says so to who would
    equal(resources_of(["-m", "64m"])["memory"], {"limit": 64 * MEBI, "swap": 64 * MEBI}, "memory without swap")


@test(root=True)
def test_record_and_inspect():
    """What was asked for is in the record, beside what the kernel says now; also after the end."""
    name = "limits-%d" % os.getpid()
    remapped(["-d", "--name", name, *ALL], "/bin/sleep", "30").check(0)
    try:
        one = json.loads(nsrun(["inspect", name]).check(0).stdout)[0]
        equal(one["resources"], resources_of(ALL), "resources of the record")
        equal(one["live"]["cgroup"]["memory"]["max"], 64 * MEBI, "memory.max of the kernel")
        text = nsrun(["inspect", "--format=text", name]).check(0).stdout.splitlines()
        for line in ("resources.memory.limit: %d" % (64 * MEBI), "resources.cpu.cpus: 0", "resources.unified.cgroup.max.depth: 9",
                     "live.cgroup.pids.max: 50"):
            check(line in text, "inspect lacks %r: %r" % (line, text))
        nsrun(["stop", "-t", "0", name]).check(0)
        one = json.loads(nsrun(["inspect", name]).check(0).stdout)[0]
        equal((one["status"], one["resources"]["pids"]), ("ended", {"limit": 50}), "after its end")
    finally:
        nsrun(["rm", "-f", name])
    remapped(["-d", "--name", name], "/bin/sleep", "30").check(0)
    try:
        equal(json.loads(nsrun(["inspect", name]).check(0).stdout)[0]["resources"], {}, "resources of a container without")
    finally:
        nsrun(["rm", "-f", name])


# ---- words that are refused ----

BAD_SIZES = ("", "-5", "-2m", "0", "abc", "12q", "1.5g", "99999999999999999999", "99999999999999999999g", "16777216t", "9223372036854775808",
             " 1m", "1m ", "+1m", "0x100000", "1e9", "m")
BAD_COUNTS = ("", "-5", "0", "abc", "1.5", "99999999999999999999", "1k", " 5", "+5", "0x5")


@generate(root=True)
def bad_words():
    def one(option, value):
        before = leftovers()
        refused(remapped([option, value], "/bin/true"), option, value or option)
        assert_clean(before)
    for option, values in {"--memory": BAD_SIZES, "--memory-reservation": BAD_SIZES, "--memory-swap": BAD_SIZES, "--pids-limit": BAD_COUNTS,
                           "--cpu-shares": (*BAD_COUNTS, "1", "262145", "-1"),
                           "--cpuset-cpus": ("", "a", "1-", "-1", "2-1", "0,,1", "0:1", "8191", "0,8191", "99999999999999999999"),
                           "--cpuset-mems": ("", "a", "3-1", "1023", "-0"),
                           "--io-weight": ("", "9", "1001", "-5", "x", "1.5"),
                           "--hugetlb": ("", "2m", "2m=", "=64m", "2m=x", "2m=-5", "2m=1.5g", "2m=3m", "3m=6m", "2m=99999999999999999999g"),
                           "--cgroup": ("", "x", "memory.high", "memory.high=", "memory=1", "../x.y=1", "a/b.c=1", "nosuch.max=1",
                                        "cgroup.procs=1", "cgroup.freeze=1", "cgroup.kill=1")}.items():
        for value in values:
            yield "%s=%s" % (option, value), lambda option=option, value=value: one(option, value)


@test(root=True)
def test_contradictions():
    for options, *words in (("--memory-swap 96m", "--memory-swap", "--memory"), ("-m 64m --memory-swap 63m", "--memory-swap", "--memory"),
                            ("-m 64m --memory-reservation 65m", "--memory-reservation", "--memory"),
                            ("-m unlimited --memory-swap 96m", "--memory-swap")):
        before = leftovers()
        refused(remapped(options, "/bin/true"), *words)
        assert_clean(before)


@generate(root=True)
def bad_devices():
    """Absent, no device, a partition: messages of their own."""
    def one(said, words, options=("--device-read-bps", "--device-write-bps", "--device-read-iops", "--device-write-iops", "--io-weight")):
        for option in options:
            before = leftovers()
            value = said + (":1048576" if option.endswith("bps") else ":500")
            refused(remapped([option, value], "/bin/true"), option, value, *words)
            assert_clean(before)

    def partition():
        with disk(partition=True) as (path, _numbers, part):
            one(part, ("partition", "whole disk", path, "[block-device]"))

    def rates():
        with disk() as (path, _numbers):
            for option in ("--device-read-bps", "--device-write-iops"):
                for rate in ("", "-5", "0", "x", "1.5", "99999999999999999999"):
                    refused(remapped([option, "%s:%s" % (path, rate)], "/bin/true"), option, "%s:%s" % (path, rate))
            refused(remapped(["--device-read-iops", path + ":1m"], "/bin/true"), "--device-read-iops", "whole number")
            refused(remapped(["--device-read-iops", path], "/bin/true"), "--device-read-iops", "DEVICE:RATE")

    yield "absent", lambda: one("/dev/nosuchdisk", ("does not exist", "[block-device]"))
    yield "character device", lambda: one("/dev/null", ("character device", "[block-device]"))
    yield "directory", lambda: one("/etc", ("a directory", "[block-device]"))
    yield "file", lambda: one("/etc/passwd", ("regular file", "[block-device]"))
    yield "absent numbers", lambda: one("4095:7", ("no block device 4095:7", "[block-device]"))
    yield "word", lambda: one("sda", ("neither a path", "MAJOR:MINOR", "[block-device]"))
    yield "partition", partition
    yield "rates", rates


@generate
def ordinary_user_without_delegation():
    """Each limit is refused with the remedy, and none is dropped."""
    def one(who, options):
        root = rootfs(owner="%d:%d" % (who.uid, who.gid))
        before = leftovers()
        refused(nsrun([*options, root, "/bin/true"], user=who), "delegat", "Delegate=")
        assert_clean(before)
    for options in ("--memory-reservation=32m", "--memory=64m --memory-swap=96m", "--cpu-shares=512", "--cpuset-cpus=0", "--cpuset-mems=0",
                    "--hugetlb=2m=64m", "--cgroup=cgroup.max.depth=3", "--io-weight=200"):
        for who in (ranger, single):
            yield "%s %s" % (who.__name__, options), lambda who=who, options=options: one(who(), options.split())


# ---- hints and the site's file ----

@generate
def hints():
    cases = {"--blkio-weight=500": "--io-weight", "--blkio-weight-device=/dev/sda:500": "--io-weight", "--cpu-quota=50000": "--cpus",
             "--cpu-period=100000": "--cpus", "--memory-swappiness=10": "--memory-swap", "--oom-kill-disable": "--oom-score-adj",
             "--cpu-rt-runtime=5000": "cgroup v1", "--cpu-rt-period=5000": "cgroup v1", "--kernel-memory=5m": "--memory",
             "--cpuset=0": "--cpuset-cpus", "--cgroup-conf=a.b=1": "--cgroup"}
    for word, wanted in cases.items():
        yield word, lambda word=word, wanted=wanted: refused(nsrun([word, "/", "/bin/true"]), word.split("=")[0], wanted, "[unknown-option]")


if __name__ == "__main__":
    main()
