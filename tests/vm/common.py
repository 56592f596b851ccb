# SPDX-License-Identifier: Apache-2.0
"""What the tests of a pure cgroup v2 system share: a container that runs while its group's files are read, load inside of it, spare disks.

Nothing here measures work done, which says little under emulation: what a group used is compared with the guest's own clock, or with another
group of the same boot. Tolerances are wide, since the machine that emulates may be busy, and each is such that the limit's absence fails.
"""
import contextlib
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../integration"))
from harness import *
import harness
from helper import refused as helper_refused

TREE = "/sys/fs/cgroup"
MIB = 1 << 20
_HERE = os.path.dirname(os.path.abspath(__file__))


def load():
    """load.c as a static program: as built beside the binary, or compiled here."""
    source = os.path.join(_HERE, "load.c")
    for name in harness.BUILDS:
        path = os.path.join(os.path.dirname(built(name)), "tests/vm/nsrun-load")
        if os.access(path, os.X_OK) and os.stat(path).st_mtime >= os.stat(source).st_mtime:
            return path
    path = os.path.join(base(), "nsrun-load")
    if not os.path.exists(path):
        subprocess.run(["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O1", "-static", "-o", path, source], check=True)
    return path


def install_load(path):
    target = os.path.join(path, "load")
    if not os.path.exists(target):
        shutil.copy(load(), target)
        os.chmod(target, 0o755)
    return path


def tree(owner=None):
    """A rootfs of this user's range (default: dummy's) with the load in it."""
    return install_load(rootfs(owner=owner or dummy()))


def words(options):
    return options.split() if isinstance(options, str) else [str(word) for word in options]


def arguments_of(options, command, remap=True):
    return (["--userns-remap", dummy().name] if remap else []) + words(options) + [tree()] + words(command)


def once(options, command, **how):
    """nsrun --userns-remap dummy OPTIONS TREE COMMAND, run to its end."""
    return nsrun(arguments_of(options, command), **how)


def inside(options, script, **how):
    """The same with /bin/sh -c SCRIPT."""
    return once(options, ["/bin/sh", "-c", script], **how)


def refused(result, *words):
    """Status 125 and these words; an option that is not there is refused for another reason."""
    helper_refused(result, *words)
    check("[not-built]" not in result.stderr and "[unknown-option]" not in result.stderr, "not the refusal that was wanted: %r" % result)


def read(path):
    with open(path) as file:
        return file.read().strip()


def table(text):
    """{first word: the rest} of lines; a number where it is one."""
    out = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        out[key] = int(value) if value.isdigit() else value
    return out


class Running:
    """A container in the background: standard input is held open, and `say` is the line that says it is under way."""

    def __init__(self, options, command, say=None, argv=None, env=None, user=None):
        self.argv = argv or [binary()] + arguments_of(options, command)
        self.process = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=environment(user, env), cwd=base(), **run_as(user))
        self.status = self.stderr = None
        self.line = self.process.stdout.readline().decode().strip()
        if not self.line or (say and self.line != say):
            self.end()
            fail("said %r, not %r; status %s, stderr: %s; %r" % (self.line, say, self.status, self.stderr, self.argv))
        self.group = self._group()

    def _group(self):
        """The group of the workload: it is the one below nsrun whose own namespace of groups has it as the root."""
        mine = read("/proc/self/cgroup")
        for pid in reversed(descendants(self.process.pid)):
            try:
                text = read("/proc/%d/cgroup" % pid)
            except OSError:
                continue
            if text != mine and os.readlink("/proc/%d/ns/pid" % pid) != os.readlink("/proc/self/ns/pid"):
                self.pid = pid
                return TREE + text.split("::", 1)[1]
        fail("no process of %r is in a group of its own" % self.argv)

    def read(self, name):
        return read(os.path.join(self.group, name))

    def table(self, name):
        return table(self.read(name))

    def number(self, name):
        return int(self.read(name))

    def usage(self):
        """Seconds of processor time used by the group."""
        return self.table("cpu.stat")["usage_usec"] / 1e6

    def io(self, disk):
        """{"rbytes": ...} of io.stat for this disk."""
        for line in self.read("io.stat").splitlines():
            device, *fields = line.split()
            if device == disk.number:
                return {key: int(value) for key, value in (field.split("=") for field in fields)}
        return {}

    def tell(self, text="\n"):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def next_line(self):
        return self.process.stdout.readline().decode().strip()

    def end(self, timeout=20):
        """Ends standard input, waits; returns the status. Standard error is in .stderr afterwards."""
        if self.status is None:
            try:
                out, err = self.process.communicate(timeout=timeout * SLOW)
            except subprocess.TimeoutExpired:
                kill_tree([self.process.pid])
                fail("does not end after its input did: %r" % self.argv)
            self.status, self.stdout, self.stderr = self.process.returncode, out.decode(), err.decode()
        return self.status

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            kill_tree([self.process.pid])
        self.end()
        if kind is None and os.path.isdir(self.group):
            fail("the group stayed: %s" % self.group)


def shares(seconds, *containers):
    """What each of them got of one processor, by the guest's clock, in the same time."""
    begin, before = time.monotonic(), [one.usage() for one in containers]
    time.sleep(seconds)
    after, end = [one.usage() for one in containers], time.monotonic()
    return [(b - a) / (end - begin) for a, b in zip(before, after)]


def between(value, low, high, what):
    check(low <= value <= high, "%s: %.3f is not from %.3f to %.3f" % (what, value, low, high))


def processors():
    return os.cpu_count()


# ---- disks ---------------------------------------------------------------------------------------------------------

class Disk:
    def __init__(self, name):
        self.name, self.path = name, "/dev/" + name
        self.number = read("/sys/block/%s/dev" % name)

    @property
    def scheduler(self):
        return read("/sys/block/%s/queue/scheduler" % self.name)

    @scheduler.setter
    def scheduler(self, value):
        with open("/sys/block/%s/queue/scheduler" % self.name, "w") as file:
            file.write(value)


def spare_disk():
    """A disk of the guest that nothing uses."""
    used = read("/proc/mounts") + read("/proc/swaps")
    for name in sorted(os.listdir("/sys/block")):
        if name.startswith("vd") and "/dev/" + name not in used:
            return Disk(name)
    fail("this guest has no spare disk: tests/vm/run --disk")


@contextlib.contextmanager
def swap():
    disk = spare_disk()
    run(["mkswap", disk.path]).check()
    run(["swapon", disk.path]).check()
    try:
        yield
    finally:
        run(["swapoff", disk.path], timeout=60).check()


def swapped_out():
    """Pages that this guest wrote to swap so far."""
    return table(read("/proc/vmstat"))["pswpout"]


@contextlib.contextmanager
def on_ext4():
    """(disk, directory): a spare disk with ext4 on it, mounted; the directory belongs to dummy's first id."""
    disk, where = spare_disk(), tmp("ext4")
    run(["mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-E", "lazy_itable_init=0", disk.path, "256M"]).check()
    mount(disk.path, where, "ext4")
    try:
        directory = os.path.join(where, "files")
        os.mkdir(directory)
        os.chown(directory, 100000, 100000)
        yield disk, directory
    finally:
        umount(where)


if not os.path.exists(os.path.join(TREE, "cgroup.controllers")) and "--list" not in sys.argv:
    sys.exit("these tests are about a system whose only hierarchy is cgroup2, at %s: tests/vm/run runs them in one" % TREE)
