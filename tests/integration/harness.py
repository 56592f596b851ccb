# SPDX-License-Identifier: Apache-2.0
"""What every test that drives the built nsrun stands on. Python 3.9 or newer, standard library only.

A test module:

    from harness import *

    def test_status():                        # every function named test_* is a test, in the order of the file
        run = nsrun(["--userns-remap", "dummy", rootfs(owner=dummy().name), "/bin/sh", "-c", "exit 3"])
        run.check(3)                          # fails with the whole story

    @test(timeout=120, needs=["strace"])      # the same with a longer limit, and a skip where strace is missing
    def test_slow(): ...

    @generate                                 # one test for each pair that it yields
    def rows():
        for row in ("a", "b"):
            yield row, lambda row=row: equal(row, row, "row")

    if __name__ == "__main__":
        main()

Fail by an exception: check(condition, message), equal(got, wanted, what), fail(message). skip(reason) skips.

What main() prepares, as root: a private mount namespace in which /etc is a copy with empty subuid and subgid files, so
that users made here never exist on the host; /run/nsrun is a directory of this run; and every mount is shared, as
systemd has it, so that a mount which escapes from a container is seen. The process is a child subreaper: whatever a
launch leaves running becomes its child and is found. After each test what still runs is killed, by pid, and the test
fails.

Environment: NSRUN (the binary, default build/nsrun), NSRUN_SAN (the one with sanitizers and fault points, default
build-test/nsrun), NSRUN_RELEASE (the one that users get, default build/nsrun), NSRUN_PROBE, NSRUN_ROOTFS_SCRIPT,
NSRUN_TEST_DIR (a directory on a real disk, default /var/tmp), NSRUN_TEST_SLOW (factor for every time limit).

Tests run beside each other on a machine that may have other work. So: wait_for() what is to come, never a sleep; its limits are only there to end
a test that hangs (PATIENCE), so they cost nothing. What a test finds in /proc or in a group may be gone when it looks: wait_for() asks again when
its condition meets ENOENT or ESRCH, fds() leaves out what was closed meanwhile. A bound of time is a check only where time is what is tested,
and then far from both what is right and what is wrong. Names have the pid of the test in them.
"""
import atexit
import collections
import ctypes
import errno
import fcntl
import glob
import importlib
import os
import pty
import pwd
import re
import resource
import select
import shlex
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import termios
import time
import traceback
import types

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SLOW = float(os.environ.get("NSRUN_TEST_SLOW", "1"))
PATIENCE = max(1.0, 4 / SLOW)  # where every processor has four times the work that it can do
DEFAULT_TIMEOUT = 60
ROOT = os.geteuid() == 0

MS_BIND, MS_REC, MS_PRIVATE, MS_SHARED = 4096, 16384, 1 << 18, 1 << 20
CLONE_NEWNS = 0x00020000
PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


class Failure(AssertionError):
    pass


class Skip(Exception):
    pass


class TimeUp(BaseException):
    """The test's own time limit: not an Exception, so that no test catches it by accident."""


def fail(message):
    raise Failure(message)


def skip(reason):
    raise Skip(reason)


def check(condition, message):
    if not condition:
        raise Failure(message)


def equal(got, wanted, what="value"):
    if got != wanted:
        raise Failure("%s: got %r, wanted %r" % (what, got, wanted))


def contains(text, part, what="text"):
    if part not in text:
        raise Failure("%s lacks %r:\n%s" % (what, part, text))


def needs_root():
    if not ROOT:
        skip("needs root")


def needs_program(*names):
    for name in names:
        if not shutil.which(name, path=_path()):
            skip("needs %s" % name)


def _path():
    return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _libc_call(name, *args):
    if getattr(_libc, name)(*args) != 0:
        number = ctypes.get_errno()
        raise OSError(number, "%s: %s" % (name, os.strerror(number)))


def mount(source, target, fstype=None, flags=0, data=None):
    def raw(text):
        return None if text is None else os.fsencode(text)
    _libc_call("mount", raw(source), raw(target), raw(fstype), ctypes.c_ulong(flags), raw(data))


def umount(target, flags=0):
    _libc_call("umount2", os.fsencode(target), flags)


# ---- the binary -------------------------------------------------------------------------------------------------

BUILDS = {"NSRUN": "build/nsrun", "NSRUN_SAN": "build-test/nsrun", "NSRUN_RELEASE": "build/nsrun"}


def built(name):
    """Path of the binary that the variable NSRUN, NSRUN_SAN or NSRUN_RELEASE names, where it was built."""
    return os.path.abspath(os.environ.get(name) or os.path.join(TOP, BUILDS[name]))


def binary(sanitizer=False):
    """Path of the binary to run; a copy that every user may execute where the original may not be reached by others."""
    name = "NSRUN_SAN" if sanitizer else "NSRUN"
    path = built(name)
    if path not in _binaries:
        if not os.access(path, os.X_OK):
            fail("%s is not an executable file (build it, or set %s)" % (path, name))
        _binaries[path] = path if _reachable(path) else _publish(path)
    return _binaries[path]


_binaries = {}


def _reachable(path):
    if not os.stat(path).st_mode & 0o001:
        return False
    while path != "/":
        path = os.path.dirname(path)
        if not os.stat(path).st_mode & 0o001:
            return False
    return True


def _publish(path):
    copy = os.path.join(base(), "bin-%d-%s" % (len(_binaries), os.path.basename(path)))
    shutil.copy(path, copy)
    os.chmod(copy, 0o755)
    return copy


def probe():
    """The static probe (tests/probe/probe.c): as built beside the binary, or compiled here."""
    if "probe" not in _made:
        candidates = [os.environ.get("NSRUN_PROBE") or ""]
        candidates += [os.path.join(os.path.dirname(built(name)), "tests/probe/nsrun-probe") for name in BUILDS]
        source = os.path.join(TOP, "tests/probe/probe.c")
        found = [path for path in candidates if path and os.access(path, os.X_OK)
                 and os.stat(path).st_mtime >= os.stat(source).st_mtime]
        if not found:
            found = [os.path.join(base(), "nsrun-probe")]
            subprocess.run(["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O1", "-static", "-o", found[0], source], check=True)
        _made["probe"] = found[0]
    return _made["probe"]


# ---- directories, users, rootfs ----------------------------------------------------------------------------------

_made = {}


def base():
    """This run's directory, on a real disk, searchable by every user; removed at exit."""
    if "base" not in _made:
        parent = os.environ.get("NSRUN_TEST_DIR") or "/var/tmp"
        path = tempfile.mkdtemp(prefix="nsrun-test-", dir=parent)
        os.chmod(path, 0o755)
        _made["base"] = path
        owner = os.getpid()
        atexit.register(lambda: os.getpid() == owner and _remove_tree(path))
    return _made["base"]


def _remove_tree(path):
    subprocess.run(["rm", "-rf", "--one-file-system", path], stderr=subprocess.DEVNULL)


def tmp(name="", mode=0o755, owner=None):
    """A fresh directory of this test, removed when it ends. owner: a user's name, User or (uid, gid)."""
    if _current.get("tmp") is None:
        _current["tmp"] = tempfile.mkdtemp(prefix="t-", dir=base())
        os.chmod(_current["tmp"], 0o755)
    path = _current["tmp"] if not name else os.path.join(_current["tmp"], name)
    os.makedirs(path, exist_ok=True)
    os.chmod(path, mode)
    if owner is not None:
        ids = owner if type(owner) is tuple else (user(owner).uid, user(owner).gid)
        os.chown(path, *ids)
    return path


User = collections.namedtuple("User", "name uid gid home subuid subgid")
_users = {}


def _rewrite(path, drop, add):
    """A new file renamed over the old one, as useradd does it; lines of which `drop` is the first field go."""
    try:
        with open(path) as file:
            lines = [line for line in file.read().splitlines() if line.split(":")[0] != drop]
    except FileNotFoundError:
        lines = []
    fresh = path + ".nsrun-test"
    with open(fresh, "w") as file:
        file.write("".join(line + "\n" for line in lines + add))
    os.chmod(fresh, 0o644)
    os.rename(fresh, path)


def _private_etc():
    needs_root()
    if not _made.get("private_etc"):
        fail("users are made in a private copy of /etc only: call harness.main()")


def make_user(name, subuid=None, subgid=None, uid=None):
    """A user of the private /etc, with a home directory and, when given, subordinate ranges (first, count) or a list of
    such. Making it again replaces it. subgid is the same as subuid unless it is given."""
    _private_etc()
    subgid = subuid if subgid is None else subgid
    if uid is None:
        uid = _users[name].uid if name in _users else 61000 + len(_users)
    home = os.path.join(base(), "home", name)
    os.makedirs(home, exist_ok=True)
    os.chmod(os.path.dirname(home), 0o755)
    os.chown(home, uid, uid)
    _rewrite("/etc/passwd", name, ["%s:x:%d:%d:nsrun test:%s:/bin/sh" % (name, uid, uid, home)])
    _rewrite("/etc/group", name, ["%s:x:%d:" % (name, uid)])
    for path, ranges in (("/etc/subuid", subuid), ("/etc/subgid", subgid)):
        ranges = [] if not ranges else [ranges] if isinstance(ranges, tuple) else ranges
        _rewrite(path, name, ["%s:%d:%d" % (name, first, count) for first, count in ranges])
    _users[name] = User(name, uid, uid, home, subuid, subgid)
    return _users[name]


def remove_user(name):
    _private_etc()
    for path in ("/etc/passwd", "/etc/group", "/etc/subuid", "/etc/subgid"):
        _rewrite(path, name, [])
    _users.pop(name, None)


def dummy():
    """The user of the mission's command: 100000:65536."""
    return _users.get("dummy") or make_user("dummy", subuid=(100000, 65536))


def ranger():
    """An ordinary user with ranges."""
    return _users.get("ranger") or make_user("ranger", subuid=(300000, 65536))


def single():
    """An ordinary user without ranges."""
    return _users.get("single") or make_user("single")


def user(who):
    """A User from a User, a name or a uid; None is this process' own."""
    if isinstance(who, User):
        return who
    if who in _users:
        return _users[who]
    if who is None:
        return User(None, os.geteuid(), os.getegid(), os.environ.get("HOME", "/"), None, None)
    try:
        entry = pwd.getpwuid(who) if isinstance(who, int) else pwd.getpwnam(who)
        return User(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir, None, None)
    except KeyError:
        if isinstance(who, int):
            return User(str(who), who, who, "/", None, None)
        raise


def rootfs(owner=None, private=False, fresh=False, with_probe=False):
    """A busybox rootfs by rootfs-scripts/busybox. owner: a user (its first subordinate ids own the tree), "UID:GID"
    (host ids), or None (whoever runs the tests). private: below a directory that only root can search. One tree for
    each kind is made in a run and shared by its tests; fresh=True gives a tree of the test's own, removed with it.
    with_probe puts the probe in as /probe."""
    owner = owner.name if isinstance(owner, User) else owner
    key = (owner, private)
    if fresh or key not in _trees:
        if fresh:
            parent = tmp("private" if private else "public", 0o700 if private else 0o755)
        else:
            parent = os.path.join(base(), "private" if private else "rootfs")
            os.makedirs(parent, exist_ok=True)
            os.chmod(parent, 0o700 if private else 0o755)
        path = os.path.join(parent, "%s-%d" % (str(owner).replace(":", "."), len(os.listdir(parent))))
        script = os.environ.get("NSRUN_ROOTFS_SCRIPT") or os.path.join(TOP, "rootfs-scripts/busybox")
        command = [script] + (["--owner", str(owner)] if owner is not None else []) + [path]
        made = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        check(made.returncode == 0, "%s: status %d\n%s"
              % (shlex.join(command), made.returncode, made.stdout.decode(errors="replace")))
        if fresh:
            return install_probe(path) if with_probe else path
        _trees[key] = path
    if with_probe:
        install_probe(_trees[key])
    return _trees[key]


_trees = {}


def install_probe(tree):
    target = os.path.join(tree, "probe")
    if not os.path.exists(target):
        shutil.copy(probe(), target)
        os.chmod(target, 0o755)
        root = os.stat(tree)
        os.chown(target, root.st_uid, root.st_gid)
    return tree


# ---- running -----------------------------------------------------------------------------------------------------

class Result:
    """used: seconds of processors, of the command and all that it waited for, which other work on the machine does not change much."""

    def __init__(self, argv, status, stdout, stderr, duration, used=None):
        self.argv, self.status, self.duration, self.used = argv, status, duration, used
        self.stdout_bytes, self.stderr_bytes = stdout, stderr
        self.stdout = stdout.decode("utf-8", "surrogateescape")
        self.stderr = stderr.decode("utf-8", "surrogateescape")

    def __repr__(self):
        return "%s\n    status %s after %.2f s\n    stdout: %s\n    stderr: %s" % (
            shlex.join(self.argv), self.status, self.duration, _quote(self.stdout), _quote(self.stderr))

    def check(self, status=0, stdout=None, stderr=None):
        """The status is this one (exact), stdout is this one (exact, one newline at its end may be missing), stderr
        contains this. Returns the result."""
        if self.status != status:
            fail("status %s, wanted %s: %r" % (self.status, status, self))
        if stdout is not None and self.stdout not in (stdout, stdout + "\n"):
            fail("stdout is not %r: %r" % (stdout, self))
        if stderr is not None and stderr not in self.stderr:
            fail("stderr lacks %r: %r" % (stderr, self))
        return self


def _quote(text):
    text = text.encode("ascii", "backslashreplace").decode()
    if len(text) > 6000:
        text = text[:3000] + "\n[...]\n" + text[-3000:]
    lines = text.splitlines()
    return text.strip() if len(lines) <= 1 else "\n" + "\n".join("        " + line for line in lines)


def environment(who=None, extra=None):
    """What a child gets: little, so that nothing of the caller decides a test."""
    entry = user(who)
    env = {"PATH": _path(), "HOME": entry.home, "LANG": "C.UTF-8", "TERM": "dumb"}
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
        if name in os.environ:
            env[name] = os.environ[name]
    # 99: a report of a sanitizer is told from a refusal
    env.setdefault("ASAN_OPTIONS", "exitcode=99:detect_leaks=1:detect_stack_use_after_return=1")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1:exitcode=99")
    if who is not None and entry.uid != 0 and ROOT:
        env["XDG_RUNTIME_DIR"] = runtime_dir(entry)
    for name, value in (extra or {}).items():
        if value is None:
            env.pop(name, None)
        else:
            env[name] = value
    return env


def runtime_dir(who):
    path = os.path.join(base(), "run", str(user(who).uid))
    if not os.path.isdir(path):
        os.makedirs(path)
        os.chmod(os.path.dirname(path), 0o755)
        os.chmod(path, 0o700)
        os.chown(path, user(who).uid, user(who).gid)
    return path


def run_as(who):
    """Keyword arguments of Popen for a process with exactly the ids of this user."""
    if who is None:
        return {}
    entry = user(who)
    if entry.uid == os.geteuid() == entry.gid == 0:
        return {}
    needs_root()
    return {"user": entry.uid, "group": entry.gid, "extra_groups": []}


def _used():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(argv, user=None, timeout=30, input=None, env=None, cwd=None, stdin=None, popen=None):
    """Runs a command to its end. input: str or bytes, otherwise stdin is /dev/null (or the `stdin` given). A process
    that runs longer, or leaves something that holds its output, is a failure, as is a report of a sanitizer."""
    argv = [os.fspath(word) if not isinstance(word, int) else str(word) for word in argv]
    if isinstance(input, str):
        input = input.encode("utf-8", "surrogateescape")
    begin, used = time.monotonic(), _used()
    process = subprocess.Popen(
        argv, stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL if stdin is None else stdin,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(user, env), cwd=cwd or base(),
        **run_as(user), **(popen or {}))
    try:
        stdout, stderr = process.communicate(input, timeout=timeout * SLOW)
    except subprocess.TimeoutExpired as late:
        ended = process.poll()
        tree = "\n".join("        " + line for line in describe(descendants()))
        kill_tree()
        partial = Result(argv, ended, late.stdout or b"", late.stderr or b"", time.monotonic() - begin)
        what = "still running" if ended is None else "ended, but something holds its output"
        fail("%s after %.1f s: %r\n    processes:\n%s" % (what, timeout * SLOW * PATIENCE, partial, tree))
    result = Result(argv, process.returncode, stdout, stderr, time.monotonic() - begin, _used() - used)
    if reported(result.stderr):
        fail("report of a sanitizer: %r" % result)
    return result


SANITIZER_STATUS = 99  # as ASAN_OPTIONS and UBSAN_OPTIONS have it below


def reported(text):
    """Whether this has a report of a sanitizer."""
    return any(word in text for word in ("AddressSanitizer", "LeakSanitizer", "UndefinedBehaviorSanitizer", ": runtime error: "))


def nsrun(args, user=None, timeout=30, input=None, env=None, cwd=None, sanitizer=False, **more):
    """nsrun with these arguments, as this user (a name, uid or User; None: as we are)."""
    return run([binary(sanitizer)] + list(args), user=user, timeout=timeout, input=input, env=env, cwd=cwd, **more)


class Pty:
    """A command on a pseudoterminal of its own, as a session leader with it as controlling terminal."""

    def __init__(self, argv, user=None, env=None, rows=24, columns=80, cwd=None):
        self.argv, self.output, self.status = [os.fspath(word) for word in argv], b"", None
        self.begin = time.monotonic()
        self.master, self.peer = pty.openpty()
        self.resize(rows, columns)
        self.initial = self.settings()  # before the command has changed anything
        entry = run_as(user)
        if entry:
            os.fchown(self.peer, entry["user"], entry["group"])

        def controlling():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        self.process = subprocess.Popen(
            self.argv, stdin=self.peer, stdout=self.peer, stderr=self.peer, cwd=cwd or base(),
            env=environment(user, env), preexec_fn=controlling, **entry)

    @property
    def pid(self):
        return self.process.pid

    @property
    def text(self):
        return self.output.decode("utf-8", "surrogateescape")

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def settings(self):
        """termios of the terminal, comparable."""
        return termios.tcgetattr(self.peer)

    def raw(self):
        """Whether keys reach the program as they are: until then ^C is the terminal's own."""
        return not self.settings()[3] & (termios.ICANON | termios.ECHO | termios.ISIG)

    def ask(self, line, pattern, timeout=10):
        """Types this line again and again until the pattern comes: for what takes a moment to arrive inside."""
        def came():
            start = len(self.text)
            self.write(line + "\n")
            for _ in range(25):
                self.pump(0.02)
                if re.search(pattern, self.text[start:]):
                    return True
            return False
        wait_for(came, "%r after %r; output:%s" % (pattern, line, _quote(self.text)), timeout)

    def write(self, data):
        os.write(self.master, data.encode() if isinstance(data, str) else data)

    def pump(self, seconds=0.0):
        """Reads what is there, waiting at most this long for the first byte; True when something came."""
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            data = b""
        self.output += data
        return bool(data)

    def expect(self, pattern, timeout=10, start=None):
        """Waits until the output (from `start` on, default: all of it) matches; returns the match."""
        deadline = time.monotonic() + timeout * SLOW * PATIENCE
        while True:
            match = re.search(pattern, self.text[start or 0:])
            if match:
                return match
            left = deadline - time.monotonic()
            if left <= 0:
                fail("%r did not come within %.1f s from %s; output:%s" % (
                    pattern, timeout * SLOW * PATIENCE, shlex.join(self.argv), _quote(self.text)))
            self.pump(min(left, 0.2))

    def wait(self, timeout=10):
        """Reads until the command has ended; returns its status as Popen has it."""
        deadline = time.monotonic() + timeout * SLOW * PATIENCE
        while self.status is None:
            self.pump(0.02)
            self.status = self.process.poll()
            if self.status is None and time.monotonic() > deadline:
                fail("still running after %.1f s: %s; output:%s" % (
                    timeout * SLOW * PATIENCE, shlex.join(self.argv), _quote(self.text)))
        while self.pump(0.05):
            pass
        if reported(self.text):
            fail("report of a sanitizer from %s:%s" % (shlex.join(self.argv), _quote(self.text)))
        return self.status

    def result(self, timeout=10):
        """All output as stderr and stdout alike, which a terminal does not tell apart."""
        status = self.wait(timeout)
        return Result(self.argv, status, self.output, self.output, time.monotonic() - self.begin)

    def close(self):
        for fd in (self.master, self.peer):
            if fd >= 0:
                os.close(fd)
        self.master = self.peer = -1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.close()


# ---- processes ---------------------------------------------------------------------------------------------------

def _stat_fields(pid):
    with open("/proc/%d/stat" % pid, "rb") as file:
        data = file.read()
    return data[data.rindex(b")") + 2:].split()


def children_map():
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                fields = _stat_fields(int(name))
            except OSError:
                continue
            found.setdefault(int(fields[1]), []).append(int(name))
    return found


def descendants(pid=None):
    """Every process below this one (zombies too), as host pids, parents first."""
    tree, out = children_map(), []
    queue = [os.getpid() if pid is None else pid]
    while queue:
        for child in sorted(tree.get(queue.pop(0), [])):
            out.append(child)
            queue.append(child)
    return out


def fds(pid):
    """{number: target} of its descriptors; one that is closed meanwhile is left out."""
    found = {}
    for name in os.listdir("/proc/%d/fd" % pid):
        try:
            found[int(name)] = os.readlink("/proc/%d/fd/%s" % (pid, name))
        except FileNotFoundError:
            pass
    return found


def comm(pid):
    """Name of the program that it executes; None when it is gone."""
    try:
        with open("/proc/%d/comm" % pid) as file:
            return file.read().rstrip("\n")
    except OSError:
        return None


def named(name, below=None):
    """Processes below this one (default: us) that execute a program of this name."""
    return [pid for pid in descendants(below) if comm(pid) == name]


def keep(process):
    """This process (a Popen) and all below it live on when the test ends that started it: a daemon that tests share."""
    _kept[process.pid] = process


def unkeep(process):
    _kept.pop(process.pid, None)


def _passing():
    """Every process below this one that must not outlive the test."""
    kept = {pid for top in _kept for pid in [top] + descendants(top)}
    return [pid for pid in descendants() if pid not in kept]


_kept = {}


def alive(pid):
    try:
        return _stat_fields(pid)[0] not in (b"Z", b"X")
    except OSError:
        return False


def describe(pids):
    out = []
    for pid in pids:
        try:
            fields = _stat_fields(pid)
            with open("/proc/%d/cmdline" % pid, "rb") as file:
                command = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
            with open("/proc/%d/comm" % pid) as file:
                command = command or "[%s]" % file.read().strip()
            out.append("%d (parent %s, state %s): %s" % (pid, fields[1].decode(), fields[0].decode(), command[:160]))
        except OSError:
            pass
    return out


def reap():
    """Collects zombies that came to us as the subreaper. Those that a Popen waits for are left to it."""
    waited = {p.pid for p in _popens()}
    for pid in children_map().get(os.getpid(), []):
        if pid not in waited:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass


def _popens():
    return [p for p in _live if p.returncode is None]


_live = []
_popen_init = subprocess.Popen.__init__


def _remember(self, *args, **kwargs):
    _popen_init(self, *args, **kwargs)
    _live.append(self)


subprocess.Popen.__init__ = _remember
_popen_wait, _popen_communicate = subprocess.Popen.wait, subprocess.Popen.communicate


def _wait(self, timeout=None):
    return _popen_wait(self, timeout if timeout is None else timeout * PATIENCE)


def _communicate(self, input=None, timeout=None):
    return _popen_communicate(self, input, timeout if timeout is None else timeout * PATIENCE)


subprocess.Popen.wait, subprocess.Popen.communicate = _wait, _communicate


def kill_tree(pids=None, timeout=20):
    """Kills all processes below this one but those of keep(), or these and all below them, by pid."""
    deadline = time.monotonic() + timeout
    while True:
        wanted = _passing() if pids is None else [p for top in pids for p in [top] + descendants(top)]
        wanted = [pid for pid in wanted if alive(pid)]
        for pid in wanted:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for process in _popens():
            process.poll()
        reap()
        if not wanted or time.monotonic() > deadline:
            return
        time.sleep(0.01)


def wait_for(condition, what, timeout=5, interval=0.02):
    """Calls condition() until it is true; returns its value. What it looks at may be gone at that moment, which is not yet."""
    deadline = time.monotonic() + timeout * SLOW * PATIENCE
    while True:
        error = None
        try:
            value = condition()
        except OSError as gone:
            if gone.errno not in (errno.ENOENT, errno.ESRCH):
                raise
            value, error = None, gone
        if value:
            return value
        if time.monotonic() > deadline:
            fail("did not come within %.1f s: %s%s" % (timeout * SLOW * PATIENCE, what, " (%s)" % error if error else ""))
        time.sleep(interval)


# ---- what a launch may leave behind ------------------------------------------------------------------------------

def mountinfo(path="/proc/self/mountinfo"):
    """[(target, root, options, optional fields, type, source, super options)] in the file's order."""
    out = []
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            left, right = line.rstrip("\n").split(" - ", 1)
            left, right = left.split(" "), right.split(" ")
            out.append((left[4], left[3], left[5], " ".join(left[6:]), right[0], right[1], right[2]))
    return out


def cgroup_mounts():
    return [entry[0] for entry in mountinfo() if entry[4] in ("cgroup", "cgroup2")]


def cgroups():
    """Every group named nsrun* and what is below one, in every hierarchy. "/nsrun" itself stays: it is the parent that
    launches share. "nsrun-test*" are those of unit tests."""
    found = set()
    for top in cgroup_mounts():
        for path, dirs, _ in os.walk(top):
            dirs[:] = [name for name in dirs if not name.startswith("nsrun-test")]
            relative = path[len(top):]
            if relative not in ("", "/nsrun") and any(part.startswith("nsrun") for part in relative.split("/")):
                found.add(path)
    return found


def _ids_of_others():
    """Ids of containers that other runs of tests have a record of: it is made before the group and removed after it."""
    places = glob.glob(os.path.join(os.path.dirname(base()), "nsrun-test-*"))
    patterns = ["state/*.*/*", "run/*/nsrun/*.*/*"]
    return {os.path.basename(path) for place in places if place != base() for pattern in patterns for path in glob.glob(os.path.join(place, pattern))}


def foreign(groups):
    """Those of these groups that are other tests', run at the same time: a process is in it that is not ours, another run has a record of the
    container, or the name has the pid of another process of tests."""
    ours, others, found = {os.getpid(), *descendants()}, _ids_of_others(), set()

    def tests_of_another(pid):
        if pid in ours:
            return False
        try:
            with open("/proc/%d/cmdline" % pid, "rb") as file:
                return b"test" in file.read()
        except OSError:
            return False
    for path in groups:
        words = path.split("/")
        pids = [int(number) for word in words for number in re.findall(r"-(\d+)(?=-|$|\.)", word)]
        if cgroup_pids(path) - ours or others.intersection(words) or any(tests_of_another(pid) for pid in pids):
            found.add(path)
    return found


def cgroup_pids(path):
    """Processes of the group and of those below it."""
    found = set()
    for directory, _, _ in os.walk(path):
        try:
            with open(os.path.join(directory, "cgroup.procs")) as file:
                found.update(int(line) for line in file)
        except OSError:
            pass
    return found


def state_roots():
    roots = ["/run/nsrun"] if ROOT else []
    for entry in list(_users.values()) + ([] if ROOT else [user(None)]):
        roots.append("/tmp/nsrun-%d" % entry.uid)
        roots.append(os.path.join(base(), "run", str(entry.uid), "nsrun"))
    if not ROOT and os.environ.get("XDG_RUNTIME_DIR"):
        roots.append(os.path.join(os.environ["XDG_RUNTIME_DIR"], "nsrun"))
    return roots


def _locked(path):
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except OSError:
        return True
    finally:
        os.close(fd)


def state():
    """What lies in the state roots for a container: directories of containers, and the files of ranges that are taken
    (locked, or with somebody's name in them). The directory of a remap stays, as does the empty file of a range."""
    found = set()
    for root in state_roots():
        for path, dirs, files in os.walk(root):
            relative = os.path.relpath(path, root)
            for name in dirs:
                if relative not in (".", "ranges"):
                    found.add(os.path.join(path, name))
            for name in files:
                full = os.path.join(path, name)
                if relative == "ranges":
                    try:
                        if not os.path.getsize(full) and not _locked(full):
                            continue
                    except OSError:
                        continue
                if relative != ".":
                    found.add(full)
    return found


def network():
    found = set("link " + name for name in os.listdir("/sys/class/net"))
    for directory in ("/run/netns", "/var/run/netns"):
        try:
            found |= set("netns " + name for name in os.listdir(directory))
        except OSError:
            pass
    return found


def ipc():
    found = set()
    for name in ("shm", "sem", "msg"):
        try:
            with open("/proc/sysvipc/" + name) as file:
                found |= set("%s %s" % (name, line.split()[1]) for line in file.readlines()[1:])
        except OSError:
            pass
    for directory in ("/dev/shm", "/dev/mqueue"):
        try:
            found |= set(os.path.join(directory, name) for name in os.listdir(directory))
        except OSError:
            pass
    return found


def nodes():
    """Whose the host's /dev/null is: every process' standard streams may be it, and whoever gives those to another user gives it away."""
    st = os.stat("/dev/null")
    return {"/dev/null is owned by %d:%d, mode %o" % (st.st_uid, st.st_gid, st.st_mode & 0o7777)}


Snapshot = collections.namedtuple("Snapshot", "processes mounts cgroups state network ipc nodes")


def leftovers():
    """A snapshot of all that a launch could leave on the host, to be compared by assert_clean()."""
    reap()
    mounts = collections.Counter("%s %s on %s" % (entry[4], entry[1], entry[0]) for entry in mountinfo())
    processes = {pid for pid in descendants() if alive(pid)}
    return Snapshot(processes, frozenset(mounts.items()), cgroups(), state(), network(), ipc(), nodes())


def _difference(before, allow):
    now, out = leftovers(), []
    for kind in Snapshot._fields:
        more = getattr(now, kind) - getattr(before, kind)
        if kind in allow:
            continue
        if kind == "processes":
            out += ["process " + text for text in describe(sorted(more))]
            continue
        if kind == "cgroups":
            more = {path for path in more if os.path.isdir(path)}
            more -= foreign(more)
        out += ["%s %s" % (kind, item[0] if isinstance(item, tuple) else item) for item in sorted(more)]
        if kind == "mounts":
            out += ["mount gone or changed: %s" % item[0] for item in sorted(before.mounts - now.mounts)]
    return out


class Exclusive:
    """Held by a test that leaves cgroups behind for a while, so that others, run at the same time, do not take them for
    their own, should foreign() not know them. Nobody waits for it for long: on a busy machine that would end in a time limit."""

    def __enter__(self):
        os.makedirs("/run/lock", exist_ok=True)  # made by the init system, which a container may not have
        self.fd = os.open("/run/lock/nsrun-tests", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        for _ in range(40):
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.05)
        return self

    def __exit__(self, *_):
        os.close(self.fd)


def assert_clean(before, grace=1.0, allow=(), what=""):
    """Nothing is there that was not in `before`. What ends by itself has `grace` seconds for it. allow: fields of
    Snapshot that are not looked at."""
    deadline = time.monotonic() + grace * SLOW * PATIENCE
    stayed = None
    while True:
        left = _difference(before, allow)
        # Groups come and go with the tests that run at the same time, and an empty one tells not whose it is: one that was
        # left behind is there at every look.
        groups = {line for line in left if line.startswith("cgroups ")}
        stayed = groups if stayed is None else stayed & groups
        left = [line for line in left if line not in groups or line in stayed]
        if not left:
            return
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    if ROOT and all(line.startswith("cgroups ") for line in left):
        with Exclusive():
            now = set(_difference(before, allow))
        left = [line for line in left if line in now]
        if not left:
            return
    fail("left behind%s:\n%s" % (" by " + what if what else "", "\n".join("    " + line for line in left)))


# ---- the runner --------------------------------------------------------------------------------------------------

_current = {}
_registered = {}


def test(function=None, name=None, timeout=DEFAULT_TIMEOUT, root=False, needs=()):
    """@test or @test(timeout=..., root=True, needs=["strace"]): marks a function and gives it limits and needs."""
    def mark(function):
        _registered[function] = dict(name=name, timeout=timeout, root=root, needs=needs)
        return function
    return mark(function) if function else mark


def generate(function=None, timeout=DEFAULT_TIMEOUT, root=False, needs=()):
    """Marks a generator of (name, callable): each pair is a test. An exception of the generator is a failed test."""
    def mark(function):
        _registered[function] = dict(name=None, timeout=timeout, root=root, needs=needs, generator=True)
        return function
    return mark(function) if function else mark


def _prepare():
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if not ROOT:
        return
    _libc_call("unshare", CLONE_NEWNS)
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    directory = base()
    etc = os.path.join(directory, "etc")
    subprocess.run(["cp", "-a", "/etc", etc], check=True)
    for name in ("subuid", "subgid"):
        with open(os.path.join(etc, name), "w"):
            pass
    mount(etc, "/etc", None, MS_BIND)
    os.makedirs("/run/nsrun", mode=0o711, exist_ok=True)
    own = os.path.join(directory, "state")
    os.mkdir(own)
    os.chmod(own, 0o711)
    mount(own, "/run/nsrun", None, MS_BIND)
    # A /dev/null of our own: other programs of the host, engines above all, give theirs to another user, as nodes() notices.
    null = os.path.join(directory, "null")
    os.mkdir(null)
    mount("tmpfs", null, "tmpfs", 0, "mode=0755,size=16k")
    os.mknod(null + "/null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.chmod(null + "/null", 0o666)
    mount(null + "/null", "/dev/null", None, MS_BIND)
    umount(null, 2)  # MNT_DETACH: the node stays where it is bound, and the directory can be removed
    # a peer group of our own: shared as on a systemd host, and apart from the host's
    mount("none", "/", None, MS_REC | MS_SHARED)
    _made["private_etc"] = True


def _alarm(number, frame):
    raise TimeUp()


def _run_one(function, options):
    """Returns None, or raises what the test raised."""
    if options["root"]:
        needs_root()
    needs_program(*options["needs"])
    signal.signal(signal.SIGALRM, _alarm)
    signal.setitimer(signal.ITIMER_REAL, options["timeout"] * SLOW * PATIENCE)
    try:
        function()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _settle():
    """Ends what the test left running; returns its description."""
    deadline = time.monotonic() + 0.5 * SLOW * PATIENCE
    while True:
        for process in _popens():
            process.poll()
        reap()
        left = [pid for pid in _passing() if alive(pid)]
        if not left or time.monotonic() > deadline:
            break
        time.sleep(0.01)
    text = describe(left)
    if left:
        kill_tree()
    # Those whose output no run() read.
    text += ["status %d, a sanitizer's: %s" % (process.returncode, shlex.join(map(str, process.args)))
             for process in _live if process.returncode == SANITIZER_STATUS and process.args[0] in _binaries.values()]
    del _live[:]
    if _current.get("tmp"):
        _remove_tree(_current["tmp"])
    _current.clear()
    return text


def _tests(module):
    prefix = re.sub(r"^test_", "", os.path.splitext(os.path.basename(module.__file__))[0])
    for function in list(vars(module).values()):
        if not callable(function) or getattr(function, "__module__", None) != module.__name__:
            continue
        options = _registered.get(function)
        if options is None and not (function.__name__.startswith("test_") and not isinstance(function, type)):
            continue
        options = options or dict(name=None, timeout=DEFAULT_TIMEOUT, root=False, needs=())
        name = "%s.%s" % (prefix, options["name"] or re.sub(r"^test_", "", function.__name__))
        if not options.get("generator"):
            yield name, function, options
            continue
        single = dict(options, root=False, needs=())
        try:
            if options["root"]:
                needs_root()
            needs_program(*options["needs"])
            for case, call in function():
                yield "%s[%s]" % (name, case), call, single
        except Exception as error:  # a generator that breaks off must not pass for one with fewer cases
            def broken(error=error):
                raise error
            yield name, broken, single


def main(module_name="__main__"):
    """Runs the module's tests: [--list] [-k WORD]... [--only NAME]... [-x] and words that tests look up in `arguments`. --only takes a whole name,
    or that of a function with all its cases."""
    _main(lambda: [sys.modules[module_name]])


def main_of_files(paths):
    """The same for the tests of several files in one process, where starting another one is what costs most."""
    def load():
        for path in paths:
            name = os.path.splitext(os.path.basename(path))[0]
            sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
            try:
                yield importlib.import_module(name)
            except (Exception, SystemExit) as error:
                yield _broken_module(path, error)
    _main(load)


def _broken_module(path, error):
    """A module of one test, which fails: a file that cannot be read must not pass for one without tests."""
    module = types.ModuleType(os.path.splitext(os.path.basename(path))[0])
    module.__file__ = path

    def test_import():
        raise error if isinstance(error, Exception) else Failure(str(error))
    test_import.__module__ = module.__name__
    module.test_import = test_import
    return module


def _main(modules):
    words = sys.argv[1:]
    wanted, exact, only_list, stop, part, parts, met = [], [], False, False, 0, 1, 0
    while words:
        word = words.pop(0)
        if word == "-k" and words:
            wanted.append(words.pop(0))
        elif word == "--only" and words:
            exact.append(words.pop(0))
        elif word == "--list":
            only_list = True
        elif word == "-x":
            stop = True
        elif word.startswith("--"):
            arguments.add(word)
        else:
            sys.exit("usage: %s [--list] [-x] [-k WORD]... [--only NAME]... [--part=K/N] [--update-golden]" % sys.argv[0])
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    # A shell without job control starts background jobs with these ignored, and ignored signals are inherited by the tool.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    _prepare()
    counts, failed = collections.Counter(), []
    try:
        for name, function, options in (each for module in modules() for each in _tests(module)):
            name = " ".join(name.split())
            if wanted and not any(word in name for word in wanted):
                continue
            met += 1
            if (met - part) % parts and not exact:
                continue
            if exact and not any(name == word or name.startswith(word + "[") for word in exact):
                continue
            if only_list:
                print(name)
                continue
            verdict, reason, begin = "ok", "", time.monotonic()
            try:
                _run_one(function, options)
            except Skip as error:
                verdict, reason = "skip", str(error)
            except Failure as error:
                verdict, reason = "FAIL", str(error)
            except TimeUp:
                processes = "".join("\n    " + line for line in describe(descendants()))
                verdict = "FAIL"
                reason = "the time limit of %g s is over; processes:%s" % (options["timeout"] * SLOW * PATIENCE, processes)
            except Exception:
                verdict, reason = "FAIL", traceback.format_exc().strip().replace("\n", "\n    ")
            left = _settle()
            if left and verdict == "ok":
                verdict = "FAIL"
                reason = "the test ended and left:\n" + "\n".join("    " + line for line in left)
            counts[verdict] += 1
            if verdict == "FAIL":
                # A report of a sanitizer is no matter of load.
                failed.append(("failed for good: " if reported(reason) or ", a sanitizer's: " in reason else "failed: ") + name)
            took = time.monotonic() - begin
            print("%s %s%s%s" % (verdict, name, ": " + reason if reason else "", "  # %.1f s" % took if took >= 1 and verdict == "ok" else ""))
            if stop and verdict == "FAIL":
                break
    finally:
        _kept.clear()
        kill_tree()
    for line in failed:  # for tests/lib/steady.py
        print(line)
    if not only_list:
        print("%d passed, %d failed, %d skipped" % (counts["ok"], counts["FAIL"], counts["skip"]))
    sys.exit(1 if counts["FAIL"] or (not only_list and not sum(counts.values())) else 0)


arguments = set()

__all__ = [
    "Exclusive", "Failure", "PATIENCE", "Pty", "ROOT", "Result", "SLOW", "Skip", "Snapshot", "TOP", "User", "alive",
    "arguments", "assert_clean", "base", "binary", "built", "cgroup_mounts", "cgroup_pids", "cgroups", "check", "comm",
    "contains", "descendants", "describe", "dummy", "environment", "equal", "fail", "fds", "foreign", "generate", "install_probe",
    "kill_tree", "leftovers", "main", "main_of_files", "make_user", "mount", "mountinfo", "named", "needs_program", "needs_root", "nodes", "nsrun",
    "probe", "ranger", "reap", "remove_user", "rootfs", "run", "run_as", "runtime_dir", "single", "skip", "state",
    "state_roots", "test", "tmp", "umount", "user", "wait_for",
]
