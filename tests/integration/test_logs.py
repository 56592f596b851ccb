# SPDX-License-Identifier: Apache-2.0
"""The log driver `file`, and nsrun logs."""
import os
import re
import subprocess
import time

from harness import *
from helper import refused, remapped
from life import *


def log_files(c):
    return sorted(name for name in os.listdir(c.dir) if name.startswith("log"))


def test_format():
    with script("printf 'a\\nb'; sleep 0.1; printf 'c\\n'; echo e >&2; printf tail") as c:
        c.wait()
        c.ended()
        with open(c.dir + "/log") as file:
            lines = file.read().splitlines()
        for line in lines:
            check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (stdout|stderr) [FP] .*", line), "line %r" % line)
        equal([line.split(" ", 1)[1] for line in lines if " stdout " in line], ["stdout F a", "stdout F bc", "stdout P tail"], "stdout")
        equal(c.nsrun("logs").stdout, "a\nbc\ntail", "nsrun logs gives back the bytes")


def test_long_lines_and_bytes():
    """A line longer than a record, NUL and bytes that are no text come out as they went in."""
    with script("head -c 50000 /dev/zero | tr '\\0' x; echo; printf 'a\\000\\377b\\n'") as c:
        c.wait()
        equal(c.nsrun("logs").stdout_bytes, b"x" * 50000 + b"\na\0\xffb\n", "output")


def test_tail_timestamps_since():
    with script("seq 1 20; sleep 2.2; seq 21 25") as c:
        c.wait()
        equal(c.nsrun("logs", "--tail", "3").stdout, "23\n24\n25\n", "--tail 3")
        equal(c.nsrun("logs", "--tail", "0").stdout, "", "--tail 0")
        equal(c.nsrun("logs", "--tail", "1000").stdout, "".join("%d\n" % n for n in range(1, 26)), "--tail 1000")
        stamped = c.nsrun("logs", "-t").stdout.splitlines()
        check(all(re.fullmatch(r"\S+Z \d+", line) for line in stamped), "-t: %r" % stamped)
        since = stamped[20].split()[0]
        equal(c.nsrun("logs", "--since", since).stdout, "21\n22\n23\n24\n25\n", "--since")
        equal(c.nsrun("logs", "--since", "1d").stdout.count("\n"), 25, "--since 1d")
        for bad in ("x", "10", "10y", "2026-01-01", "-5m"):
            refused(c.nsrun("logs", "--since=" + bad), "--since")
        for bad in ("x", "-1", "1.5"):
            refused(c.nsrun("logs", "--tail=" + bad), "--tail")


@test(timeout=120)
def test_rotation_and_memory():
    """A hundred megabytes: the files stay bounded, the newest lines are there, the keeper stays small."""
    with script("seq 1 100000000 | head -c 100000000; echo; echo the end", options=["--log-opt", "max-size=256k", "--log-opt", "max-file=3"]) as c:
        keeper, peak, largest = c.keeper, 0, 0
        bounded = not sanitized(keeper)
        while c.record()["exit"] is None:
            try:
                with open("/proc/%d/status" % keeper) as file:
                    peak = max(peak, int(re.search(r"VmHWM:\s*(\d+)", file.read()).group(1)))
            except (OSError, AttributeError):
                pass
            sizes = []
            for name in log_files(c):
                try:
                    sizes.append(os.path.getsize(os.path.join(c.dir, name)))
                except OSError:
                    pass
            largest = max(largest, sum(sizes))
            time.sleep(0.02)
        c.ended()
        equal(log_files(c), ["log", "log.1", "log.2"], "files")
        check(largest <= 3 * 256 * 1024, "%d bytes of log" % largest)
        check(peak < 8192 or not bounded, "peak memory of the keeper: %d kB" % peak)
        print("    100 MB: the keeper's peak memory is %d kB" % peak)
        text = c.nsrun("logs").stdout
        check(text.endswith("\nthe end\n"), "the end is missing: %r" % text[-50:])
        numbers = [int(line) for line in text.splitlines()[1:-2]]
        equal(numbers, list(range(numbers[0], numbers[0] + len(numbers))), "lines in the log")


def test_one_file():
    with script("seq 1 5000", options=["--log-opt", "max-size=8k", "--log-opt", "max-file=1"]) as c:
        c.wait()
        c.ended()
        equal(log_files(c), ["log"], "files")
        check(os.path.getsize(c.dir + "/log") <= 8192, "size")
        check(c.nsrun("logs").stdout.endswith("5000\n"), "end")


def test_follow():
    """Across rotations, from the beginning to the end of the container."""
    with script("for i in $(seq 1 3000); do echo line $i; [ $((i % 500)) = 0 ] && sleep 0.2; done; echo fin",
                options=["--log-opt", "max-size=16k", "--log-opt", "max-file=50"]) as c:
        result = c.nsrun("logs", "-f", timeout=30).check(0)
        equal(result.stdout, "".join("line %d\n" % n for n in range(1, 3001)) + "fin\n", "logs -f")
        equal(c.wait(), 0, "status")
    with script("echo a; sleep 1; echo b") as c:
        begin = time.monotonic()
        equal(c.nsrun("logs", "--follow", "--tail", "0").check(0).stdout, "b\n", "logs -f --tail 0")
        check(time.monotonic() - begin < 15, "-f ended late")


def test_follow_ends_when_the_keeper_is_killed():
    with Exclusive():
        with script("echo a; sleep 60") as c:
            follower = subprocess.Popen([binary(), "logs", "-f", c.name], stdout=subprocess.PIPE, env=environment(), cwd=base())
            equal(follower.stdout.readline(), b"a\n", "output")
            os.kill(c.keeper, 9)
            equal(follower.wait(timeout=10), 0, "status of logs -f")
            follower.stdout.close()
            nsrun(["gc"]).check(0)


def test_driver_none():
    with script("echo x; sleep 0.2", options=["--log-driver", "none"]) as c:
        check(not os.path.exists(c.dir + "/log"), "there is a log")
        refused(c.nsrun("logs"), "log-driver none")
        c.wait()
    for words in (["--log-driver", "journald"], ["--log-driver", "nonesuch"], ["--log-opt", "max-size=1m"],
                  ["-d", "--log-opt", "max-size=1"], ["-d", "--log-opt", "max-size=x"], ["-d", "--log-opt", "max-file=0"],
                  ["-d", "--log-opt", "max-file=x"], ["-d", "--log-opt", "nonesuch=1"]):
        refused(remapped(words, "/bin/true"), "log")


def test_foreground_with_a_log():
    before = leftovers()
    name = fresh()
    remapped(["--name", name, "--log-driver", "file"], "/bin/sh", "-c", "echo a; echo b >&2").check(0, "a\n", "b\n")
    logs = nsrun(["logs", name]).check(0)
    equal((logs.stdout, logs.stderr), ("a\n", "b\n"), "logs")
    nsrun(["rm", name]).check(0)
    assert_clean(before)


def test_log_of_a_terminal():
    with script("[ -t 0 ] && [ -t 2 ] && echo terminal; echo x >&2", options=["-t"]) as c:
        equal(c.wait(), 0, "status")
        equal(c.nsrun("logs").stdout, "terminal\r\nx\r\n", "log of a terminal")


if __name__ == "__main__":
    main()
