# SPDX-License-Identifier: Apache-2.0
# vm: host
"""tests/vm/run: what it passes on, what the machine has, how it ends, and that nothing is left of it."""
import subprocess
import signal
import time

from host import *


@test(timeout=120)
def test_passes_output_status_and_arguments():
    words = ["", "a b", "'", '"', "$HOME", "\\", "*", "-x", "--", "new\nline", "\u00e9", "\udcff"]
    script = ('import os, sys; os.write(1, b"\\0".join(map(os.fsencode, sys.argv[1:]))); os.write(2, b"to stderr"); '
              'sys.exit(sys.stdin.read() == "" and os.getcwd() == "%s" and 77)' % base())
    result = vm("", "python3", "-c", script, *words)
    equal(result.status, 77, "status of %r" % result)
    equal(result.stdout.split("\0"), words, "arguments")
    equal(result.stderr, "to stderr", "stderr")


@test(timeout=120)
def test_what_the_machine_has():
    """Options of all kinds in one boot; output that is larger than any buffer on its way."""
    shared, scratch = tmp("a share, of two"), tmp("scratch")
    with open(os.path.join(scratch, "file"), "w") as file:
        file.write("host\n")
    script = """
        cd "$1" || exit 1
        echo controllers $(cat /sys/fs/cgroup/cgroup.controllers)
        echo enabled $(cat /sys/fs/cgroup/cgroup.subtree_control)
        echo mount $(grep -w cgroup2 /proc/mounts)
        echo hierarchies $(grep -c cgroup /proc/mounts)
        echo nodes $(cat /sys/devices/system/node/online)
        echo processors $(nproc) $(cat /sys/devices/system/node/node1/cpulist)
        echo disks $(cat /sys/block/vd*/size)
        echo ext4 $(stat -f -c %T /d)
        echo id $(id -u) $(id -g)
        echo variable $THE_VARIABLE $NSRUN_TEST_DIR
        echo parameter $(grep -o nsrun.one=1 /proc/cmdline)
        echo loop $(modprobe loop max_loop=2 && ls /dev/loop0)
        echo stays >"$2/made"
        echo gone >"$3/file"
        echo gone >"$3/new"
        head -c 3000000 /dev/zero
    """
    result = vm(["--numa", "--cpus", "4", "--mem", "1G", "--disk", "64M", "--disk", "16M", "--env", "THE_VARIABLE=a  b", "--append",
                 "nsrun.one=1", "--writable", shared], "sh", "-c", script, "sh", TOP, shared, scratch).check()
    text, zeroes = result.stdout[:-3000000], result.stdout[-3000000:]
    equal(zeroes.strip("\0"), "", "the zeroes")
    got = dict(line.split(" ", 1) for line in text.splitlines())
    for name in ("cpu", "cpuset", "hugetlb", "io", "memory", "pids"):
        check(name in got["controllers"].split() and name in got["enabled"].split(), "no controller %s: %r" % (name, got))
    contains(got["mount"], "nsdelegate", "mount of cgroup2")
    equal({name: got[name] for name in ("hierarchies", "nodes", "processors", "disks", "ext4", "id", "variable", "parameter", "loop")},
          {"hierarchies": "1", "nodes": "0-1", "processors": "4 2-3", "disks": "33554432 131072 32768", "ext4": "ext2/ext3", "id": "0 0",
           "variable": "a b /d", "parameter": "nsrun.one=1", "loop": "/dev/loop0"}, "the machine")
    with open(os.path.join(shared, "made")) as file:
        equal(file.read(), "stays\n", "a writable share")
    with open(os.path.join(scratch, "file")) as file:
        equal(file.read(), "host\n", "a file of the host")
    equal(os.listdir(scratch), ["file"], "what was made on the host")


@test(timeout=120)
def test_kernels():
    stock, backports = (subprocess.Popen([RUN, "--kernel", name, "uname", "-r"], stdout=subprocess.PIPE, env=environment(None, ENV))
                        for name in ("stock", "backports"))
    versions = [process.communicate()[0].decode() for process in (stock, backports)]
    equal((stock.returncode, backports.returncode), (0, 0), "statuses of two at once")
    numbers = [[int(part) for part in version.split(".")[:2]] for version in versions]
    check(numbers[1] >= numbers[0] >= [6, 1], "versions: %r" % versions)
    check(versions[0] != versions[1], "one kernel only: %r" % versions)


def test_death_is_told():
    result = vm(["--append", "rdinit=/nonexistent root=/dev/nonexistent"], "true").check(125, "")
    contains(result.stderr, "ended without a status", "message")
    contains(result.stderr, "Kernel panic", "the console's end")


@test(timeout=120)
def test_commands_that_fail():
    result = vm("", "/nonexistent command")
    equal(result.status, 127, "status of %r" % result)
    contains(result.stderr, "nonexistent command", "message")


def ends(how, status):
    mark = "nsrun.mark=%d.%s" % (os.getpid(), status)
    process = subprocess.Popen([RUN, "--append", mark, *how, "sleep", "1000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=environment(None, ENV))
    wait_for(lambda: machines(mark), "QEMU", timeout=40)
    return process, mark


def gone(process, mark, status):
    process.communicate(timeout=30 * SLOW)
    equal(process.returncode, status, "status")
    wait_for(lambda: not machines(mark), "the machine's end")


def test_time_limit():
    begin = time.monotonic()
    gone(*ends(["--time-limit", "4"], 124), 124)
    check(time.monotonic() - begin < 4 + 10 * SLOW, "it ended late")


@generate
def test_signals():
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)):
        def one(number=number, status=status):
            process, mark = ends([], status)
            process.send_signal(number)
            gone(process, mark, status)
        yield signal.Signals(number).name, one


def test_nothing_stays_in_the_cache():
    made = subprocess.run([os.path.join(TOP, "tests/vm/prepare"), "disk"], stdout=subprocess.PIPE, env=environment(None, ENV), check=True)
    cache = os.path.dirname(made.stdout.decode().split(" ", 1)[1].strip())
    before = set(os.listdir(cache))
    vm("--time-limit 3 --disk 8M", "true", timeout=60)
    more = {name for name in set(os.listdir(cache)) - before if not name.startswith(".")}
    equal(more, set(), "files that appeared")


def test_wrong_usage():
    for words in ([], ["--kernel", "none", "true"], ["--disk", "much", "true"], ["--nonesuch", "true"], ["--cpus=0", "true"],
                  ["--writable", "/nonexistent", "true"], ["--time-limit", "x", "true"], ["--numa", "--cpus", "1", "true"], ["--tcg"]):
        run([RUN, *words], env=ENV).check(2, "", "tests/vm/run")


if __name__ == "__main__":
    main()
