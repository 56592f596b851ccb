# SPDX-License-Identifier: Apache-2.0
"""What the tests of nsrun under real engines share: a private place for the engine, daemons that live longer than a test, images without a registry.

A test file begins with

    from engine import *

and ends with

    if __name__ == "__main__":
        main()

which is tests/integration/harness.py's main(), run as PID 1 of namespaces of its own: pid, mount, net and ipc. So nothing that an engine
starts, mounts or sets up in the network (bridges, iptables) touches the host, and all of it ends with the test, whatever ends the test. /run is
empty but for what the host has there that belongs to no engine, /sys shows the private network, and /etc is the harness' copy. Control groups
cannot be private: engines are told to make theirs below cgroup_parent(), a group whose name other tests leave alone, removed at the end.

    runtime()              the runtime that engines are given: $NSRUN_ENGINE_RUNTIME while developing, otherwise nsrun
    Daemon(argv, ready)    a daemon that tests share: started, waited for, stopped by pid; what it started stays below it and is found
    busybox_tar()          an image as a tar archive of a root file system: `docker import`, `podman import`, `ctr image import`-able by others
    proves(root, id)       fails unless this runtime's own state below `root` knows the container, whose init it returns

Environment, besides the harness': NSRUN_ENGINE_TREE (a Debian tree whose engine is tested instead of the host's: the whole run happens below it,
entered by pivot_root(2), since a chroot makes CLONE_NEWUSER fail), NSRUN_ENGINE_MANAGER=systemd (see by_systemd()), NSRUN_ENGINE_RUNTIME.
"""
import atexit
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time

_HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(_HERE), "integration"))
import harness
from harness import *
from harness import CLONE_NEWNS, MS_BIND, MS_PRIVATE, MS_REC, _libc_call

CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNET = 0x08000000, 0x20000000, 0x40000000
MS_MOVE = 8192
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
SYS_pivot_root = {"x86_64": 155, "aarch64": 41}
# What engines keep below /run: a private one must not show the host's.
ENGINES_RUN = {"containerd", "containers", "crun", "crio", "docker", "docker.pid", "docker.sock", "libpod", "netns", "nsrun", "podman", "runc",
               "slurm", "munge"}
_libc = ctypes.CDLL(None, use_errno=True)


def runtime():
    """The program that engines are given as the runtime, in a place that they reach by an absolute path."""
    return os.environ.get("NSRUN_ENGINE_RUNTIME") or binary()


def by_systemd():
    """Whether engines are told to have systemd make their groups. It takes pids as those of its own namespace, so there is none for the engine:
    this is for a virtual machine, which ends with the test."""
    return os.environ.get("NSRUN_ENGINE_MANAGER") == "systemd"


def standing_in():
    """Whether another runtime stands in nsrun's place, which tests of the tests do."""
    return bool(os.environ.get("NSRUN_ENGINE_RUNTIME"))


# ---- the private place -------------------------------------------------------------------------------------------------

def _pivot(tree):
    """This mount namespace's root becomes an overlay over `tree`; what the tests need of the host is bound in."""
    work = "/run/nsrun-engine-tree"  # our own, empty /run: see _private_run()
    os.mkdir(work)
    mount("tmpfs", work, "tmpfs", 0, "mode=755")
    for name in ("upper", "work", "root"):
        os.mkdir(os.path.join(work, name))
    root = os.path.join(work, "root")
    mount("overlay", root, "overlay", 0, "lowerdir=%s,upperdir=%s,workdir=%s" % (tree, os.path.join(work, "upper"), os.path.join(work, "work")))
    wanted = ["/dev", "/proc", "/sys", "/run", "/var/tmp", harness.TOP]
    wanted += [os.path.dirname(harness.built(name)) for name in harness.BUILDS]
    wanted += [os.environ["NSRUN_TEST_DIR"]] if os.environ.get("NSRUN_TEST_DIR") else []
    done = []
    for path in wanted:
        if not os.path.isdir(path) or any(path == other or path.startswith(other + "/") for other in done):
            continue
        os.makedirs(root + path, exist_ok=True)
        mount(path, root + path, None, MS_BIND | MS_REC)
        done.append(path)
    os.chdir(root)
    if _libc.syscall(SYS_pivot_root[os.uname().machine], b".", b".") != 0:
        number = ctypes.get_errno()
        raise OSError(number, "pivot_root: " + os.strerror(number))
    umount(".", MNT_DETACH)  # the old root lies over the new one
    os.chdir("/")


def _private_run():
    """/run without what belongs to engines, in this mount namespace."""
    mount("tmpfs", "/mnt", "tmpfs", 0, "mode=700")
    mount("/run", "/mnt", None, MS_BIND | MS_REC)
    mount("tmpfs", "/run", "tmpfs", 0, "mode=755")
    for entry in os.scandir("/mnt"):
        target = os.path.join("/run", entry.name)
        if entry.name in ENGINES_RUN:
            continue
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), target)
            continue
        if entry.is_dir():
            os.mkdir(target)
        else:
            open(target, "w").close()
        mount(entry.path, target, None, MS_BIND | MS_REC)
    os.makedirs("/run/lock", exist_ok=True)
    umount("/mnt", MNT_DETACH)
    umount("/mnt", MNT_DETACH)


def _private_sys():
    """A sysfs of this network namespace, with the host's groups in it."""
    os.mkdir("/run/nsrun-cgroup")
    mount("/sys/fs/cgroup", "/run/nsrun-cgroup", None, MS_BIND | MS_REC)
    mount("sysfs", "/sys", "sysfs")
    mount("/run/nsrun-cgroup", "/sys/fs/cgroup", None, MS_MOVE)
    os.rmdir("/run/nsrun-cgroup")
    _mount_hierarchies()


def _mount_hierarchies():
    """A v1 hierarchy that is mounted elsewhere alone is mounted here too: containerd looks for the mount of each that /proc/PID/cgroup names,
    and has neither statistics nor notice of an out-of-memory kill where it finds none."""
    there = {name for entry in mountinfo() if entry[4] == "cgroup" for name in entry[6].split(",")}
    with open("/proc/self/cgroup") as file:
        for names in (line.split(":")[1] for line in file):
            if names and names.split(",")[0] not in there:
                target = os.path.join("/run/nsrun-hierarchies", names)
                os.makedirs(target)
                mount("cgroup", target, "cgroup", 0, names)


def _groups_below(name):
    for top in cgroup_mounts():
        path = os.path.join(top, name)
        if os.path.isdir(path):
            yield path


def _remove_groups(name):
    """Removes this group of every hierarchy and all below it; returns those that had processes, which are not killed here."""
    busy = []
    for top in _groups_below(name):
        for path, _, _ in os.walk(top, topdown=False):
            for _ in range(100):
                try:
                    os.rmdir(path)
                    break
                except FileNotFoundError:
                    break
                except OSError:  # EBUSY: what was killed is still leaving
                    time.sleep(0.02)
            else:
                busy.append(path)
    return busy


def cgroup_parent():
    """The group below which engines make theirs, by name: the same in each hierarchy."""
    return os.environ["NSRUN_ENGINE_GROUP"]


def main():
    """harness.main() as the first process of private namespaces; this process waits for it and removes its groups."""
    if not ROOT:
        print("SKIP engines: need root\n0 passed, 0 failed, 1 skipped")
        sys.exit(0)
    if "--list" in sys.argv[1:]:
        harness.main()
    if os.environ.pop("NSRUN_ENGINE_INSIDE", None):
        harness.main()
    group = "nsrun-test-engine-%d-%d" % (os.getpid(), int(time.time()))
    os.environ["NSRUN_ENGINE_GROUP"] = group
    program = os.path.abspath(sys.argv[0])
    sys.stdout.flush()
    if not by_systemd():
        _libc_call("unshare", CLONE_NEWPID)
    child = os.fork()
    if child == 0:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # and with PID 1 everything in its namespace
        _libc_call("unshare", CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC)
        _enter()
        if os.environ.get("NSRUN_ENGINE_TREE"):
            # Its own interpreter: this one's modules lie below the old root.
            os.environ["NSRUN_ENGINE_INSIDE"] = "1"
            os.execv("/usr/bin/python3", ["python3", "-B", program, *sys.argv[1:]])
        harness.main()

    def end(number, frame):
        os.kill(child, signal.SIGKILL)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, end)
    _, status = os.waitpid(child, 0)
    status = os.waitstatus_to_exitcode(status)
    busy = _remove_groups(group)
    if busy:
        print("FAIL engines: groups that cannot be removed: %s\n0 passed, 1 failed, 0 skipped" % " ".join(busy))
    sys.exit(status if status > 0 else 1 if status < 0 or busy else 0)


def _enter():
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    if not by_systemd():
        mount("proc", "/proc", "proc")
    _private_run()
    _private_sys()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    if by_systemd():  # engines would load them, but a tree has no modules
        subprocess.run(["modprobe", "-a", "br_netfilter", "overlay", "veth", "tun"], stderr=subprocess.DEVNULL)
    if os.environ.get("NSRUN_ENGINE_TREE"):
        _pivot(os.path.abspath(os.environ["NSRUN_ENGINE_TREE"]))


# ---- daemons -----------------------------------------------------------------------------------------------------------

_HOLDER = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: shims and other orphans stay below this process
told = int(os.environ.pop("NSRUN_HOLDER_FD"))
child = os.fork()
if child == 0:
    os.close(told)
    os.execvp(sys.argv[1], sys.argv[1:])
signal.signal(signal.SIGTERM, lambda number, frame: os.kill(child, number))
while True:
    try:
        pid, ended = os.wait()
    except ChildProcessError:  # nothing is left; who started us ends us
        signal.pause()
        continue
    if pid == child:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.write(told, b"%d" % os.waitstatus_to_exitcode(ended))
"""


class Daemon:
    """A daemon that outlives the test that started it. Its output is the file .log.

    argv      what to run
    ready     called until it is true, at most `timeout` seconds
    directory where its log is; mounts and processes below it are looked for at stop()
    """

    def __init__(self, argv, ready, directory, name=None, env=None, timeout=30):
        self.argv, self.directory = [str(word) for word in argv], directory
        self.name = name or os.path.basename(self.argv[0])
        self.log = os.path.join(directory, self.name + ".log")
        self.status, self.stopped = None, False
        ended, theirs = os.pipe()
        os.set_inheritable(theirs, True)
        with open(self.log, "ab") as log:
            self.holder = subprocess.Popen([sys.executable, "-S", "-c", _HOLDER, *self.argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                           env=environment(None, {"NSRUN_HOLDER_FD": str(theirs), **(env or {})}), cwd=directory,
                                           pass_fds=[theirs], start_new_session=True)
        os.close(theirs)
        os.set_blocking(ended, False)
        self._ended = ended
        harness.keep(self.holder)
        try:
            deadline = time.monotonic() + timeout * SLOW
            while not ready():
                check(not self.has_ended(), "%s ended with status %s before it was ready:\n%s" % (self.name, self.status, self.tail()))
                check(time.monotonic() < deadline, "%s was not ready within %g s:\n%s" % (self.name, timeout * SLOW, self.tail()))
                time.sleep(0.05)
        except BaseException:
            self.kill()
            raise

    @property
    def pid(self):
        """The daemon itself: the holder's first child."""
        return harness.children_map()[self.holder.pid][0]

    def tail(self, lines=15):
        with open(self.log, errors="replace") as file:
            return "".join([line[:400] for line in file if "module=grpc" not in line][-lines:])

    def has_ended(self):
        if self.status is None:
            try:
                self.status = int(os.read(self._ended, 16) or b"-9")
            except BlockingIOError:
                return False
        return True

    def below(self):
        return [pid for pid in harness.descendants(self.holder.pid) if alive(pid)]

    def stop(self, timeout=30, grace=5):
        """SIGTERM, and waits; whatever is left after `grace` seconds, of processes below it and of mounts below its directory, is a failure."""
        if self.stopped:
            return
        try:
            self.holder.send_signal(signal.SIGTERM)
            wait_for(self.has_ended, "%s ends; its log:\n%s" % (self.name, self.tail()), timeout=timeout)
            deadline = time.monotonic() + grace * SLOW
            while self.left() and time.monotonic() < deadline:
                time.sleep(0.05)
            left = self.left()
            check(not left, "%s left behind:\n    %s" % (self.name, "\n    ".join(left)))
        finally:
            self.kill()

    def left(self):
        out = describe(self.below())
        out += ["mount " + entry[0] for entry in mountinfo() if entry[0].startswith(self.directory + "/")]
        return out

    def kill(self):
        if not self.stopped:
            self.stopped = True
            kill_tree([self.holder.pid])
            harness.unkeep(self.holder)
            os.close(self._ended)
            for entry in reversed(mountinfo()):
                if entry[0].startswith(self.directory + "/"):
                    umount(entry[0], MNT_DETACH)


# ---- images ------------------------------------------------------------------------------------------------------------

_images = {}


def busybox_tar(more=None):
    """A tar archive of a busybox root file system. more: {path: bytes} put in, executable."""
    key = json.dumps(sorted((more or {})))
    if key not in _images:
        tree = os.path.join(base(), "image-%d" % len(_images))
        subprocess.run([os.path.join(TOP, "rootfs-scripts/busybox"), tree], check=True, stdout=subprocess.DEVNULL)
        for path, data in (more or {}).items():
            target = os.path.join(tree, path.lstrip("/"))
            with open(target, "wb") as file:
                file.write(data)
            os.chmod(target, 0o755)
        subprocess.run(["tar", "-C", tree, "-cf", tree + ".tar", "."], check=True)
        _images[key] = tree + ".tar"
    return _images[key]


# ---- control groups ----------------------------------------------------------------------------------------------------

def group(pid, controller):
    """(directory, version) of the group in which this process is bound by the controller: v1 where it is mounted as that, otherwise v2."""
    with open("/proc/%d/cgroup" % pid) as file:
        mine = {names: path for _, names, path in (line.rstrip("\n").split(":", 2) for line in file)}
    for entry in mountinfo():
        if entry[4] == "cgroup" and controller in entry[6].split(","):
            path = next(path for names, path in mine.items() if controller in names.split(","))
            return _below(entry, path), 1
    entry = next(entry for entry in mountinfo() if entry[4] == "cgroup2")
    return _below(entry, mine[""]), 2


def _below(entry, path):
    top = entry[1] if entry[1] != "/" else ""
    return entry[0] + path[len(top):]


def setting(pid, controller, v1, v2):
    """What the kernel has in the group's file of this name, v1's or v2's."""
    path, version = group(pid, controller)
    with open(os.path.join(path, v1 if version == 1 else v2)) as file:
        return file.read().strip()


def pure_v2():
    return not any(entry[4] == "cgroup" for entry in mountinfo())


# ---- proof -------------------------------------------------------------------------------------------------------------

def status_of(pid):
    """{name: value} of /proc/PID/status."""
    with open("/proc/%d/status" % pid) as file:
        return {key: value.strip() for key, _, value in (line.partition(":") for line in file)}


def proves(root, identity):
    """The runtime's own state below `root` knows the container: the pid of its init, 0 when that has ended."""
    told = run([runtime(), "--root", root, "state", identity]).check(0)
    state_of = json.loads(told.stdout)
    equal(state_of["id"], identity, "id in the runtime's state")
    return state_of["pid"]


__all__ = harness.__all__ + ["Daemon", "MNT_DETACH", "busybox_tar", "by_systemd", "cgroup_parent", "group", "main", "proves", "pure_v2", "runtime", "setting",
                             "standing_in", "status_of"]
