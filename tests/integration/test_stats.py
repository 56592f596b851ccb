# SPDX-License-Identifier: Apache-2.0
"""nsrun stats against the kernel's files: of a paused container, whose numbers do not move."""
import contextlib
import json
import os
import subprocess
import time

from harness import *
from life import *

LIMITS = ["-m", "64m", "--pids-limit", "50", "--cpus", "0.5"]
WORK = "/helper burn 0.3 >/dev/null; dd if=/dev/zero of=/tmp/x bs=64k count=64 2>/dev/null; cat /tmp/x >/dev/null; echo up; while :; do sleep 0.05; done"


def read(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return None


def groups(c):
    """{hierarchy: directory} of the container's groups: "v2" and the names of v1 controllers."""
    found = {}
    for entry in mountinfo():
        path = entry[0] + c.record()["cgroup"]
        if entry[4] == "cgroup2" and "v2" not in found:
            found["v2"] = path
        elif entry[4] == "cgroup":
            for word in entry[6].split(","):
                found.setdefault(word, path)
    return {name: path for name, path in found.items() if os.path.isdir(path)}


def file_of(c, *candidates):
    """The text of the first file that there is, of (hierarchy, name)."""
    known = groups(c)
    for hierarchy, name in candidates:
        text = read(os.path.join(known[hierarchy], name)) if hierarchy in known else None
        if text is not None:
            return text
    return None


def keyed(text):
    return {key: int(value) for key, value in (line.split() for line in text.splitlines())} if text is not None else None


def number(text):
    if text is None:
        return None
    word = text.split()[0]
    return "none" if word in ("max", "-1") or int(word) > 1 << 62 else int(word)


def stats(c, **how):
    [one] = json.loads(c.nsrun("stats", "--json", **how).check().stdout)
    return one


def value(tree_, path):
    """None: left out; "none": null."""
    for word in path.split("."):
        if word not in tree_:
            return None
        tree_ = tree_[word]
    return "none" if tree_ is None else tree_


def compare(c):
    """A paused group's numbers change for a while: the kernel keeps some for each processor and adds them up later."""
    for again in reversed(range(10)):
        try:
            return compare_once(c)
        except Failure:
            if not again:
                raise
            time.sleep(0.3)


def compare_once(c):
    one = stats(c)
    equal((one["id"], one["name"], one["status"]), (c.id, c.name, "paused"), "whose it is")
    got = one["stats"]
    cpu2, cpu1 = keyed(file_of(c, ("v2", "cpu.stat"))), keyed(file_of(c, ("cpu", "cpu.stat")))
    if cpu2:
        for key, name in (("total", "usage_usec"), ("user", "user_usec"), ("kernel", "system_usec")):
            equal(value(got, "cpu.usage." + key), cpu2[name] * 1000, "cpu.usage." + key)
        check(value(got, "cpu.usage.total") > 0, "no processor time")
    throttling = cpu1 or cpu2 or {}
    equal(value(got, "cpu.throttling.periods"), throttling.get("nr_periods"), "periods")
    equal(value(got, "cpu.throttling.throttledPeriods"), throttling.get("nr_throttled"), "throttled periods")
    equal(got["cpu"]["raw"], throttling, "cpu.raw")
    pairs = (
        ("memory.usage.usage", (("memory", "memory.usage_in_bytes"), ("v2", "memory.current"))),
        ("memory.usage.limit", (("memory", "memory.limit_in_bytes"), ("v2", "memory.max"))),
        ("memory.usage.max", (("memory", "memory.max_usage_in_bytes"), ("v2", "memory.peak"))),
        ("memory.memsw.usage", (("memory", "memory.memsw.usage_in_bytes"),)),
        ("memory.memsw.limit", (("memory", "memory.memsw.limit_in_bytes"),)),
        ("memory.swap.usage", (("v2", "memory.swap.current"),)),
        ("memory.swap.limit", (("v2", "memory.swap.max"),)),
        ("pids.current", (("pids", "pids.current"), ("v2", "pids.current"))),
        ("pids.limit", (("pids", "pids.max"), ("v2", "pids.max"))),
        ("pids.max", (("pids", "pids.peak"), ("v2", "pids.peak"))),
        ("cpu.quota", (("cpu", "cpu.cfs_quota_us"), ("v2", "cpu.max"))),
        ("hugetlb.2MB.usage", (("hugetlb", "hugetlb.2MB.usage_in_bytes"), ("v2", "hugetlb.2MB.current"))),
        ("hugetlb.2MB.limit", (("hugetlb", "hugetlb.2MB.limit_in_bytes"), ("v2", "hugetlb.2MB.max"))),
    )
    for path, files in pairs:
        equal(value(got, path), number(file_of(c, *files)), path)
    stat = keyed(file_of(c, ("memory", "memory.stat"), ("v2", "memory.stat")))
    events = keyed(file_of(c, ("memory", "memory.oom_control"), ("v2", "memory.events")))
    if stat is not None:
        equal(got["memory"]["raw"], {key: n for key, n in stat.items() if n < 1 << 63}, "memory.raw")
        equal(got["memory"]["events"], events, "memory.events")
        equal(got["memory"]["oomKills"], events["oom_kill"], "memory.oomKills")
        inactive = stat.get("total_inactive_file", stat["inactive_file"])
        equal(got["memory"]["workingSet"], max(0, got["memory"]["usage"]["usage"] - inactive), "memory.workingSet")
        equal(got["memory"]["cache"], stat.get("file", stat.get("cache")), "memory.cache")
    for key, name in (("cpu", "cpu.pressure"), ("memory", "memory.pressure"), ("blkio", "io.pressure")):
        text = file_of(c, ("v2", name))
        for line in (text or "").splitlines():
            word, *fields = line.split()
            fields = dict(field.split("=") for field in fields)
            equal(got[key]["psi"][word]["total"], int(fields["total"]), "%s.psi.%s.total" % (key, word))
    compare_io(c, got)


def compare_io(c, got):
    recursive = file_of(c, ("blkio", "blkio.throttle.io_service_bytes_recursive"))
    wanted = set()
    if recursive is not None:
        for line in recursive.splitlines():
            words = line.split()
            if len(words) == 3 and words[1] in ("Read", "Write", "Discard"):
                wanted.add((words[0], words[1], int(words[2])))
    else:
        for line in (file_of(c, ("v2", "io.stat")) or "").splitlines():
            device, *fields = line.split()
            for field in fields:
                key, n = field.split("=")
                if key in ("rbytes", "wbytes", "dbytes"):
                    wanted.add((device, {"r": "Read", "w": "Write", "d": "Discard"}[key[0]], int(n)))
    equal({("%d:%d" % (one["major"], one["minor"]), one["op"], one["value"])
           for one in got["blkio"].get("ioServiceBytesRecursive", [])}, wanted, "blkio")


@contextlib.contextmanager
def worked(options=LIMITS):
    """A container that has used something and is paused."""
    with script(WORK, options=options) as c:
        wait_for(lambda: "up" in c.nsrun("logs").check().stdout, "it has worked", timeout=15)
        c.nsrun("pause").check()
        yield c


@test(root=True)
def test_the_kernels_numbers():
    with worked() as c:
        compare(c)


@test(root=True)
def test_without_limits():
    """What no controller counts is left out, and a dash in the table."""
    with worked(options=[]) as c:
        compare(c)
        lines = c.nsrun("stats", "--no-stream").check().stdout.splitlines()
        equal(len(lines), 2, "lines")
        if value(stats(c)["stats"], "memory") is None or "usage" not in stats(c)["stats"]["memory"]:
            contains(lines[1], "- / -", "its line")


@test(root=True)
def test_table():
    with script("/helper burn 20 >/dev/null", options=["-m", "64m", "--pids-limit", "50", "--cpus", "0.1"]) as c:
        lines = c.nsrun("stats", "--no-stream").check().stdout.splitlines()
        for title in ("ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "PIDS / LIMIT", "BLOCK I/O", "THROTTLED", "OOM"):
            contains(lines[0], title, "titles")
        for again in reversed(range(5)):  # on a busy machine it may not even get its tenth
            cells = dict(zip(["id", "name", "cpu", "throttled"], lines[1].split()))
            equal((cells["id"], cells["name"]), (c.id, c.name), "whose line it is")
            if 3 <= float(cells["cpu"].rstrip("%")) <= 30 and float(cells["throttled"].rstrip("%")) > 20:
                break
            check(again, "a tenth of a processor, held back: %r" % lines)
            lines = c.nsrun("stats", "--no-stream").check().stdout.splitlines()
        contains(lines[1], " / 64.0MiB", "memory limit")
        contains(lines[1], " / 50", "limit of processes")


@test(root=True)
def test_oom_is_counted():
    with script("/helper hog 256; echo status $?; while :; do sleep 1; done", options=["-m", "32m"]) as c:
        wait_for(lambda: "status" in c.nsrun("logs").check().stdout, "the hog has ended", timeout=20)
        check(value(stats(c)["stats"], "memory.oomKills") >= 1, "no kill is counted")
        check(c.nsrun("stats", "--no-stream").check().stdout.splitlines()[1].split()[-1] != "0", "no kill is shown")


def test_all_and_named():
    with script("while :; do sleep 1; done") as one, script("while :; do sleep 1; done") as two, script("exit 0") as ended:
        ended.wait()
        found = {entry["name"] for entry in json.loads(nsrun(["stats", "--json"]).check().stdout)}
        check({one.name, two.name} <= found and ended.name not in found, "all that run: %r" % found)
        result = nsrun(["stats", "--json", two.name, "nonesuch", ended.name]).check(125, stderr="nonesuch")
        equal([entry["name"] for entry in json.loads(result.stdout)], [two.name], "what was found")
        contains(result.stderr, "not-running", "the ended one")


@generate
def test_of_an_ordinary_user():
    """Without a group of its own there is nothing to read, which is said where it was named."""
    for who in (ranger, single):
        def one(who):
            with script("while :; do sleep 1; done", who=who) as c:
                result = c.nsrun("stats", "--no-stream").check(125, stderr="[no-cgroup]")
                contains(result.stderr, c.name, "the message")
                equal(json.loads(nsrun(["stats", "--json"], user=who).check().stdout), [], "all that can be measured")
        yield who.__name__, lambda who=who, one=one: one(who())


@test(timeout=30)
def test_stream():
    """On and on: on a terminal by default, anew in its place; elsewhere when it is asked for."""
    with script("while :; do sleep 1; done") as c:
        with Pty([binary(), "stats", "-i", "0.2", c.name]) as terminal:
            terminal.expect(r"(?s)\x1b\[H\x1b\[J.*%s.*\x1b\[H\x1b\[J.*%s" % (c.name, c.name))
            terminal.write("\x03")
            equal(terminal.wait(), -2, "ended by ^C")
        process = subprocess.Popen([binary(), "stats", "--stream", "--json", "-i", "0.1", c.name], stdout=subprocess.PIPE, env=environment())
        times = [json.loads(process.stdout.readline())[0]["time"] for _ in range(3)]
        process.stdout.close()
        check(process.wait(timeout=10) in (141, -13), "its reader went away: %r" % process.returncode)
        equal(times, sorted(set(times)), "times")


@test(timeout=30)
def test_stream_ends_with_the_container():
    with script("sleep 1") as c:
        result = c.nsrun("stats", "--stream", "-i", "0.2", timeout=20).check(125, stderr="not-running")
        contains(result.stdout, c.name, "output")


@generate
def test_bad_words():
    for words, part in ((["-i", "0"], "--interval"), (["-i", "x"], "--interval"), (["-i", "-1"], "--interval"), (["-i", "nan"], "--interval"),
                        (["-i", "1e9"], "--interval"), (["--stream", "--no-stream"], "both"), (["--streem"], "--stream"), (["../x"], "no container")):
        yield " ".join(words), lambda words=words, part=part: nsrun(["stats", *words], sanitizer=True).check(125, stderr=part)
    yield "--help", lambda: contains(nsrun(["stats", "--help"]).check().stdout, "Usage: nsrun stats", "help")


def test_sanitizers():
    with script("while :; do sleep 1; done", options=LIMITS if ROOT else []) as c:
        nsrun(["stats", "--json", c.name], sanitizer=True).check()
        nsrun(["stats", "-i", "0.1", c.name], sanitizer=True).check()


if __name__ == "__main__":
    main()
