# SPDX-License-Identifier: Apache-2.0
"""Many containers: at once, one after another, and what each of them costs."""
import glob
import os
import statistics
import subprocess
import threading
import time

import engines
from common import *

STARTS, AT_ONCE = 100, 4
CROWD = 200
SIZES = ["192k", "256k", "320k", "384k", "448k", "512k", "640k", "768k", "1m", "2m", "4m"]


def quiet(command, **more):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False, **more)


def starts(command_of):
    """Seconds for STARTS starts, AT_ONCE at a time."""
    failed, lock, left = [], threading.Lock(), list(range(STARTS))

    def worker():
        while True:
            with lock:
                if not left:
                    return
                number = left.pop()
            result = quiet(command_of(number))
            if result.returncode:
                failed.append(result.stderr.decode(errors="replace"))
    threads = [threading.Thread(target=worker) for _ in range(AT_ONCE)]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - begin
    if failed:
        raise RuntimeError("%d of %d starts failed: %s" % (len(failed), STARTS, failed[0]))
    return took


def throughput(bench, gates):
    bundle = engines.write_bundle(bench, os.path.join(bench.work, "bundle"), ["/bin/true"])

    def ratio():
        ratios = []
        for _ in range(3):
            ours = starts(lambda number: bench.launch())
            crun = starts(lambda number: engines.engine_command("crun", bundle, "run", "bench-%d" % number))
            print("%d starts, %d at a time: nsrun %.2f s, crun %.2f s" % (STARTS, AT_ONCE, ours, crun))
            ratios.append(ours / crun)
        return statistics.median(ratios)
    gates.check("starts/crun", ratio, "%d starts, %d at a time, take %%.3f times crun's" % (STARTS, AT_ONCE), 0.5)


def peak_kib(pid):
    """VmHWM: what was resident at most since execve(2)."""
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        for line in f:
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    raise RuntimeError("no VmHWM")


def peak_of(command):
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        process.stdout.readline()  # the workload runs
        return peak_kib(process.pid)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def memory(bench, gates):
    script = ["/bin/sh", "-c", "echo on; exec sleep 5"]
    ours = peak_of(bench.launch(*script))
    bundle = engines.write_bundle(bench, os.path.join(bench.work, "bundle-memory"), script)
    crun = peak_of(engines.engine_command("crun", bundle, "run", "bench-memory"))
    quiet(["crun", "--root", "/run/bench-crun", "delete", "--force", "bench-memory"])
    quiet([bench.nsrun, "gc"])
    print("peak resident memory: nsrun %d KiB, crun %d KiB" % (ours, crun))
    gates.check("peak-kib", ours, "the runtime's peak resident memory is %d", 2048, " KiB")
    gates.check("peak/crun", ours / crun, "that is %.2f times crun's", 0.5)


LIMITS = ["-m", "64m", "--cpus", "1", "--pids-limit", "100"]
IDLE_PAIRS, IDLE_SECONDS = 30, 0.2


def limits(bench, args, gates):
    """What limits cost a launch, one after another and on a machine that did nothing before: moving a process by its number waits for a grace
    period of RCU then, some 10 ms, which a busy machine hides."""
    smallest(bench, args, gates)
    with_, without = bench.launch(options=LIMITS), bench.launch()
    result = quiet(with_)
    if result.returncode:
        report(None if b"[no-" in result.stderr else False, "cost of limits: %s" % result.stderr.decode(errors="replace").splitlines()[0])
        return

    def cost():
        got = bench.pair(with_, without, args.pairs)
        print("with limits: median %.0f us, without: %.0f us" % (got["a"]["median"], got["b"]["median"]))
        return (got["ratio"] - 1) * got["b"]["median"]

    def idle():
        times = {False: [], True: []}
        for i in range(2 * IDLE_PAIRS):
            time.sleep(IDLE_SECONDS)
            begin = time.monotonic()
            quiet(with_ if i % 2 else without)
            times[i % 2 == 1].append(time.monotonic() - begin)
        return (statistics.median(times[True]) - statistics.median(times[False])) * 1e6
    gates.check("limits-us", cost, "-m, --cpus and --pids-limit together cost a launch %.0f", 500, " us")
    gates.check("limits-idle-us", idle, "the same after %g s without any work: %%.0f" % IDLE_SECONDS, 1000, " us")


def smallest(bench, args, gates):
    """Before v2_alone(), which covers the hierarchies of v1."""
    for size in SIZES:
        result = quiet(bench.launch(options=["-m", size]))
        if result.returncode == 0:
            break
        if result.returncode == 125 and b"[no-" in result.stderr:
            report(None, "smallest memory limit: %s" % result.stderr.decode(errors="replace").splitlines()[0])
            return
    else:
        report(False, "no container starts under any of %s" % SIZES)
        return
    kib = int(size[:-1]) * (1024 if size.endswith("m") else 1)
    gates.check("smallest-memory-kib", kib, "the smallest --memory under which /bin/true runs is %d", 512, " KiB")


def timed(command, times):
    out = []
    for _ in range(times):
        begin = time.monotonic()
        result = quiet(command)
        out.append(time.monotonic() - begin)
        if result.returncode:
            raise RuntimeError("status %d: %s" % (result.returncode, result.stderr.decode(errors="replace")))
    return undisturbed(out)


def many(bench, args, gates):
    """The next start beside many that run."""
    before = timed(bench.launch(), 30)
    names = ["crowd-%d" % i for i in range(args.running)]
    begin = time.monotonic()
    try:
        for name in names:
            result = quiet(bench.launch("/bin/sleep", "10000", options=["-d", "--rm", "--log-driver", "none", "--name", name]))
            if result.returncode:
                raise RuntimeError("%s: %s" % (name, result.stderr.decode(errors="replace")))
        print("%d containers started in %.1f s" % (len(names), time.monotonic() - begin))
        listed = subprocess.run([bench.nsrun, "ls", "-q"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
        report(len(listed) == len(names), "ls lists all %d (%d)" % (len(names), len(listed)))
        def ratio():
            after = timed(bench.launch(), 30)
            print("the next start: %.2f ms, %.2f ms before" % (after * 1e3, before * 1e3))
            return after / before
        # What grows is the kernel's: pivot_root(2) looks at the root directory of every process (chroot_fs_refs), and the mount of a sysfs
        # at every other one of a network namespace. The rows root.pivot and sys.mount of a trace show it.
        gates.check("beside-%d" % args.running, ratio, "a start beside %d running containers takes %%.2f times the first" % args.running, 1.2)
    finally:
        for i in range(0, len(names), 100):
            quiet([bench.nsrun, "rm", "-f", *names[i:i + 100]])
        quiet([bench.nsrun, "gc"])
    left = left_behind()
    report(not left, "nothing is left of them: %s" % (left or "no group, no state, no process"))


def measure(bench, args, gates):
    v2_alone()
    throughput(bench, gates)
    memory(bench, gates)
    many(bench, args, gates)


# ---- soak ----

def groups_and_records():
    return glob.glob("/sys/fs/cgroup/nsrun/*/") + glob.glob("/sys/fs/cgroup/*/nsrun/*/") + glob.glob("/run/nsrun/*.*/*") + glob.glob("/run/nsrun/names/*")


def name_of(path):
    return os.path.basename(path.rstrip("/"))


# Of somebody else's containers, which were there before; by name, since the hierarchy is at another place later.
OTHERS = {name_of(path) for path in groups_and_records()}


def left_behind():
    """Groups and records of containers, once things have settled."""
    end, left = time.monotonic() + 5, None
    while time.monotonic() < end:
        left = [path for path in groups_and_records() if name_of(path) not in OTHERS]
        if not left:
            return []
        time.sleep(0.1)
    return left[:5]


def kernel_numbers():
    """What a leak in the kernel's objects would show in: slab that cannot be reclaimed, open files, mounts, dying groups."""
    numbers = {}
    with open("/proc/meminfo", encoding="ascii") as f:
        for line in f:
            if line.startswith("SUnreclaim:"):
                numbers["unreclaimable slab, KiB"] = int(line.split()[1])
    with open("/proc/sys/fs/file-nr", encoding="ascii") as f:
        numbers["open files"] = int(f.read().split()[0])
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        numbers["mounts"] = len(f.readlines())
    return numbers


ALLOWED = {"unreclaimable slab, KiB": 65536, "open files": 1000, "mounts": 0}


def undisturbed(times):
    """The fastest tenth's slowest: a machine that has other work as well disturbs many, a launch that has become slow is slow every time."""
    return sorted(times)[len(times) // 10]


def soak(bench, args, gates):
    n, part = args.soak, max(1, args.soak // 10)
    command, times = bench.launch(), []
    timed(command, 20)
    before = kernel_numbers()
    begin = time.monotonic()
    for i in range(n):
        start = time.monotonic()
        result = quiet(command)
        times.append(time.monotonic() - start)
        if result.returncode:
            report(False, "launch %d of %d: status %d: %s" % (i + 1, n, result.returncode, result.stderr.decode(errors="replace")))
            return
    print("%d launches in %.0f s" % (n, time.monotonic() - begin))
    first, last = undisturbed(times[:part]), undisturbed(times[-part:])
    for _ in range(2):  # what is disturbed now and then is quick again later; what has become slow stays slow
        if last > 1.2 * first:
            last = min(last, timed(command, part))
    report(last <= 1.2 * first, "the last %d of %d launches take %.2f times the first (limit 1.2)" % (part, n, last / first))
    settled(before)

    children = [subprocess.Popen(bench.launch("/bin/sh", "-c", "echo $$; sleep 1"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE) for _ in range(CROWD)]
    outputs = [child.communicate() for child in children]
    good = sum(child.returncode == 0 and out == b"1\n" for child, (out, _) in zip(children, outputs))
    words = next((err.decode(errors="replace") for child, (_, err) in zip(children, outputs) if child.returncode), "")
    report(good == CROWD, "%d of %d launches at once ended well %s" % (good, CROWD, words))
    settled(before)


def settled(before):
    left = left_behind()
    report(not left, "nothing is left: %s" % (left or "no group, no record"))
    # Namespaces, groups and mounts are freed by kernel threads, some time later.
    end, grown = time.monotonic() + 20, {}
    while time.monotonic() < end:
        now = kernel_numbers()
        grown = {key: now[key] - before[key] for key in before if now[key] - before[key] > ALLOWED[key]}
        if not grown:
            break
        time.sleep(0.5)
    report(not grown, "the kernel keeps nothing of them: %s" % (grown or ", ".join("%s %+d" % (key, now[key] - before[key]) for key in before)))
