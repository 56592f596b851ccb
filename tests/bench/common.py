# SPDX-License-Identifier: Apache-2.0
"""What the parts of the benchmark share: results, a private view of the machine, pairs of commands, gates."""
import ctypes
import json
import os
import shutil
import stat
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BENCH_UID, FIRST, COUNT = 54321, 200000, 65536
GATE = 1.25  # a figure may be so many times what was reached before the suite fails
TRIES = 3    # and must be every time that it is measured
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 0x1000, 0x4000, 1 << 18
results = {"passed": 0, "failed": 0, "skipped": 0}


def report(ok, text):
    """ok is True, False, or None for a skip."""
    word = {True: "passed", False: "failed", None: "skipped"}[ok]
    results[word] += 1
    print("%s %s" % ({"passed": "ok  ", "failed": "FAIL", "skipped": "SKIP"}[word], text), flush=True)


def summary():
    print("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % results)
    return 1 if results["failed"] else 0


_null = None


def own_null(work):
    """A node of this namespace's in the place of /dev/null: crun gives its standard streams to the container's user, by fchown(2), and the
    host's would be that user's from then on."""
    global _null
    _null = os.open("/dev/null", os.O_PATH)
    place = os.path.join(work, "dev")
    os.makedirs(place)
    _mount(b"tmpfs", place.encode(), b"tmpfs", 0, b"mode=0755,size=16k")
    node = os.path.join(place, "null")
    os.mknod(node, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.chmod(node, 0o666)
    _mount(node.encode(), b"/dev/null", None, MS_BIND, None)
    for fd in range(3):
        st = os.fstat(fd)
        if stat.S_ISCHR(st.st_mode) and st.st_rdev == os.makedev(1, 3):
            own = os.open("/dev/null", os.O_RDWR)
            os.dup2(own, fd)
            os.close(own)
    return owner_of_null()


def owner_of_null():
    """Of the host's."""
    st = os.fstat(_null)
    return st.st_uid, st.st_gid, st.st_mode


def finish():
    sys.exit(summary())


def _mount(source, target, fstype, flags, data):
    if LIBC.mount(source, target, fstype, flags, data):
        raise OSError(ctypes.get_errno(), target)


def private_view(work):
    """A user with subordinate ranges that exists in this mount namespace alone: /etc on the host stays as it is. And a tmpfs on /run,
    as every system with an init has one: where it lies on a disk's file system, state files cost a launch some 0.7 ms more. The cache of
    filters is this run's own."""
    if LIBC.unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "private mount namespace")
    _mount(None, b"/", None, MS_REC | MS_PRIVATE, None)
    lines = {
        "passwd": "bench:x:%d:%d::/nonexistent:/usr/sbin/nologin\n" % (BENCH_UID, BENCH_UID),
        "group": "bench:x:%d:\n" % BENCH_UID,
        "subuid": "bench:%d:%d\n" % (FIRST, COUNT),
        "subgid": "bench:%d:%d\n" % (FIRST, COUNT),
    }
    etc = os.path.join(work, "etc")
    shutil.copytree("/etc", etc, symlinks=True, ignore_dangling_symlinks=True)
    shutil.rmtree(os.path.join(etc, "nsrun"), ignore_errors=True)
    for name, line in lines.items():
        path = os.path.join(etc, name)
        old = ""
        if name in ("passwd", "group"):
            with open(path, encoding="utf-8", errors="surrogateescape") as f:
                old = f.read()
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as f:
            f.write(old + line)
    _mount(etc.encode(), b"/etc", None, MS_BIND, None)
    _mount(b"tmpfs", b"/run", b"tmpfs", 0, b"mode=0755")
    os.makedirs(os.path.join(work, "cache"), exist_ok=True)
    _mount(os.path.join(work, "cache").encode(), b"/var/cache", None, MS_BIND, None)


def v2_mount():
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        for line in f:
            left, _, right = line.partition(" - ")
            if right.split()[0] == "cgroup2":
                return left.split()[4].encode().decode("unicode_escape")
    return None


_alone = False


def v2_alone():
    """cgroup2 at /sys/fs/cgroup: crun refuses to run where v1 is mounted beside it."""
    global _alone
    mount = v2_mount()
    if mount and mount != "/sys/fs/cgroup" and not _alone:
        _alone = True
        _mount(mount.encode(), b"/sys/fs/cgroup", None, MS_BIND, None)


class Bench:
    """The programs, a rootfs of the range, and a directory to work in."""

    def __init__(self, build, work):
        self.build, self.work = build, work
        self.nsrun = os.path.join(build, "nsrun")
        self.pair_program = os.path.join(build, "tests", "bench", "pair")
        self.share = os.path.join(build, "tests", "bench", "share")
        self.rootfs = os.path.join(work, "rootfs")
        subprocess.run([os.path.join(TOP, "rootfs-scripts", "busybox"), "--owner", "bench", self.rootfs], check=True,
                       stdout=subprocess.DEVNULL)
        os.chmod(work, 0o755)

    def launch(self, *words, options=()):
        return [self.nsrun, "--userns-remap", "bench", *options, self.rootfs, *(words or ("/bin/true",))]

    def pair(self, a, b, pairs, warm_up=10):
        """Medians of two commands in turn, and of the ratios of neighbours: {"a": .., "b": .., "ratio": a/b}."""
        out = subprocess.run([self.pair_program, "-n", str(pairs), "-w", str(warm_up), *a, "--", *b], check=True,
                             stdout=subprocess.PIPE, text=True).stdout
        return json.loads(out)


REACHED = os.path.join(HERE, "reached.json")


class Gates:
    """Figures that were reached, in reached.json: what is now more than GATE times such a figure has slid. All are better when smaller. A
    neighbour's burst of work passes, what the program has become does not: what exceeds a gate is measured again, and the least counts."""

    def __init__(self, update):
        self.update = update
        with open(REACHED, encoding="utf-8") as f:
            self.figures = json.load(f)

    def check(self, name, measure, text, goal=None, unit="", limit=None):
        """measure: a function, or a figure that is the same every time. limit: more is a failure, whatever was reached."""
        reached = self.figures.get(name)
        most = min((bound for bound in (reached and GATE * reached, limit) if bound), default=None)
        values = [measure() if callable(measure) else measure]
        while callable(measure) and not self.update and most and min(values) > most and len(values) < TRIES:
            print("     %s: %g is more than %g; once more, load average %.1f" % (name, values[-1], most, os.getloadavg()[0]), flush=True)
            values.append(measure())
        value = min(values)
        said = "%s%s (reached %s%s" % (text % value, unit, "never" if reached is None else "%g" % reached, unit)
        if goal is not None:
            said += ", goal %g%s: %s" % (goal, unit, "kept" if value <= goal else "missed")
        said += ")"
        if self.update:
            self.figures[name] = float("%.3g" % value)
            print("     " + said)
            return
        if reached is None:
            report(False, "%s: no figure in reached.json; --update-reached writes it" % said)
            return
        report(value <= most, said)

    def write(self):
        if self.update:
            with open(REACHED, "w", encoding="utf-8") as f:
                json.dump(self.figures, f, indent=1, sort_keys=True)
                f.write("\n")
