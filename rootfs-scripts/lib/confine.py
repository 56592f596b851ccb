# SPDX-License-Identifier: Apache-2.0
"""Runs a program as root of a user namespace that can write in one directory and nowhere else.

confine.py --uid INSIDE:HOST:COUNT... --gid INSIDE:HOST:COUNT... --place DIR [--offline] [--prog PROG] -- COMMAND [ARG...]

What unpacks an archive, or runs the scripts of packages, does not get the rights of the caller: its capabilities end at the user
namespace, every mount is read-only for it but DIR, which is its working directory, TMPDIR and HOME; it has no devices but those like
/dev/null, and no sockets of /run; --offline leaves it no network.
DIR appears at a place that every id can reach, since the caller's path to it may lead through directories that are closed to the
ids of the namespace. A process namespace makes sure that nothing of it outlives this process. Needs Linux 5.12.

Exit status: COMMAND's; 128 + N for signal N; 125 when the namespaces could not be made.
"""
import argparse
import ctypes
import os
import signal
import struct
import subprocess
import sys

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x10000000, 0x20000000, 0x40000000
MS_SLAVE, MS_REC = 1 << 19, 16384
OPEN_TREE, MOVE_MOUNT, MOUNT_SETATTR = 428, 429, 442  # since Linux 5.1 numbers are the same on all architectures but alpha
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
OPEN_TREE_CLONE, MOVE_MOUNT_F_EMPTY_PATH = 1, 4
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV = 1, 2, 4
MS_NOSUID, MS_NODEV = 2, 4
PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4
PLACES = ("/boot", "/media", "/mnt", "/srv", "/opt", "/tmp")  # any directory that everybody may search and nothing here needs
DEVICES = ["/dev/" + name for name in ("null", "zero", "full", "random", "urandom", "tty")]
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def call(what, name, *args):
    result = getattr(libc, name)(*args)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, "%s: %s" % (what, os.strerror(number)))
    return result


def unshare(flags, what):
    call(what, "unshare", ctypes.c_int(flags))


def write(proc, path, text):
    # One write(2): the kernel takes a map as a whole (user_namespaces(7)).
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=proc)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def write_maps(proc, pid, uids, gids, one_id):
    """From outside, where the caller's capabilities, or those of newuidmap(1), count."""
    if os.geteuid() == 0 or one_id:
        if os.geteuid() != 0:
            write(proc, "%d/setgroups" % pid, "deny")
        write(proc, "%d/uid_map" % pid, "".join(" ".join(row) + "\n" for row in uids))
        write(proc, "%d/gid_map" % pid, "".join(" ".join(row) + "\n" for row in gids))
        return
    for program, rows in (("newuidmap", uids), ("newgidmap", gids)):
        subprocess.run([program, str(pid)] + [word for row in rows for word in row], check=True, stdin=subprocess.DEVNULL)


def enter_user_namespace(proc, uids, gids, prog):
    pid = int(os.readlink("self", dir_fd=proc))  # as that /proc counts
    one_id = uids == [["0", str(os.geteuid()), "1"]] and gids == [["0", str(os.getegid()), "1"]]
    ask, go = os.pipe()
    helper = os.fork()
    if helper == 0:
        status = 1
        try:
            os.close(go)
            if os.read(ask, 1):
                write_maps(proc, pid, uids, gids, one_id)
                status = 0
        except FileNotFoundError as error:
            sys.stderr.write("%s: %s is missing: apt-get install uidmap\n" % (prog, error.filename))
        except (OSError, subprocess.CalledProcessError) as error:
            sys.stderr.write("%s: the map of ids was refused: %s\n" % (prog, error))
        finally:
            os._exit(status)
    os.close(ask)
    call("prctl", "prctl", PR_SET_DUMPABLE, 1, 0, 0, 0)  # a change of ids ended that, and with it the helper's access (proc(5))
    unshare(CLONE_NEWUSER, "a user namespace cannot be made")
    os.write(go, b"x")
    os.close(go)
    if os.waitpid(helper, 0)[1] != 0:
        sys.exit(125)
    os.setresgid(0, 0, 0)
    try:
        os.setgroups([])
    except PermissionError:
        if gids[0][2] != "1":
            raise  # with one id there is nothing to be set, and it was denied for that
    os.setresuid(0, 0, 0)


def clone(path):
    return call(path, "syscall", OPEN_TREE, AT_FDCWD, path.encode(), OPEN_TREE_CLONE | os.O_CLOEXEC)


def attach(fd, path):
    call(path, "syscall", MOVE_MOUNT, fd, b"", AT_FDCWD, path.encode(), MOVE_MOUNT_F_EMPTY_PATH)


def hide_sockets():
    """Where root keeps its ids it may connect to root's sockets, read-only mounts or not: /run has them. A name server may be there."""
    resolver, data = os.path.realpath("/etc/resolv.conf"), None
    if resolver.startswith("/run/"):
        try:
            with open(resolver, "rb") as file:
                data = file.read()
        except OSError:
            pass
    call("/run", "mount", b"tmpfs", b"/run", b"tmpfs", ctypes.c_ulong(MS_NOSUID | MS_NODEV), b"mode=0755,size=1m")
    if data is not None:
        os.makedirs(os.path.dirname(resolver), exist_ok=True)
        with open(resolver, "wb") as file:
            file.write(data)


def read_only_but_here():
    """Only harmless devices, since read-only mounts do not protect those. The working directory is taken as it is, not by its path,
    which may be closed to the ids of the namespace."""
    place = next(path for path in PLACES if os.path.isdir(path) and os.access(path, os.X_OK))
    call("mounts cannot be detached", "mount", None, b"/", None, ctypes.c_ulong(MS_SLAVE | MS_REC), None)
    fd = clone(".")
    devices = [(clone(path), path) for path in DEVICES if os.path.exists(path)]
    os.chdir("/")
    attributes = struct.pack("QQQQ", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0, 0, 0)
    call("mounts cannot be made read-only", "syscall", MOUNT_SETATTR, AT_FDCWD, b"/", AT_RECURSIVE, attributes, len(attributes))
    for device, path in devices:
        attach(device, path)
        os.close(device)
    hide_sockets()
    attach(fd, place)
    os.fchdir(fd)
    os.close(fd)
    return place


def lock(proc, uids, gids, prog):
    """A second user namespace with the same ids: what is read-only in a mount namespace that it does not own stays so
    (mount_namespaces(7)); the root of the first could remount it."""
    enter_user_namespace(proc, *[[[row[0], row[0], row[2]] for row in rows] for rows in (uids, gids)], prog)
    unshare(CLONE_NEWNS, "mounts cannot be locked")


def start(command, place, child, proc, uids, gids, prog):
    ends = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    env = dict(os.environ, HOME=place, TMPDIR=place)
    for name in ("XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        env.pop(name, None)
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # until the handler knows whom to end
    child[0] = os.fork()
    if child[0] == 0:
        call("prctl", "prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGQUIT):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ends)
        try:
            lock(proc, uids, gids, prog)
            os.execvpe(command[0], command, env)
        except OSError as error:
            sys.stderr.write("%s: %s: %s\n" % (prog, command[0], error.strerror))
            os._exit(125)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ends)


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--uid", action="append", required=True)
    parser.add_argument("--gid", action="append", required=True)
    parser.add_argument("--place", required=True)
    parser.add_argument("--prog", default="confine.py")
    parser.add_argument("--offline", action="store_true")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()

    def ended_by(number, _):
        # The first process of a process namespace takes all others with it.
        if child[0]:
            os.kill(child[0], signal.SIGKILL)
            os.waitpid(child[0], 0)
        os._exit(128 + number)

    child = [0]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ended_by)
    try:
        os.chdir(options.place)
        maps = [[row.split(":") for row in rows] for rows in (options.uid, options.gid)]
        proc = os.open("/proc", os.O_PATH | os.O_CLOEXEC)  # by the caller's mount of it, which stays writable
        enter_user_namespace(proc, *maps, options.prog)
        unshare(CLONE_NEWNS | CLONE_NEWPID | (CLONE_NEWNET if options.offline else 0), "namespaces cannot be made")
        place = read_only_but_here()
        os.umask(0o022)
        start(options.command, place, child, proc, *maps, options.prog)
    except OSError as error:
        sys.stderr.write("%s: %s: see user.max_user_namespaces and kernel.unprivileged_userns_clone (sysctl(8)); in a chroot there are "
                         "no user namespaces\n" % (options.prog, error.strerror or error))
        sys.exit(125)
    status = os.waitpid(child[0], 0)[1]
    os._exit(128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))


main()
