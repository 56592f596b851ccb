# SPDX-License-Identifier: Apache-2.0
"""The OCI runtime between a hostile container, most of them without a user namespace as Docker has it, and a careless caller."""
import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import time

from harness import *
from helper import install_helper
from test_oci_exec import MOUNTS, PROCESS, Bundle, process_file

DOCKER = ["CAP_" + name for name in ("CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT "
                                     "KILL AUDIT_WRITE").split()]
SYS = {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]}


def hostile(*argv, caps=DOCKER, tree=None, mounts=MOUNTS, **changes):
    """A bundle as Docker makes it: container root is host root with fewer capabilities."""
    b = Bundle(*argv, mounts=mounts, **changes)
    b.config["process"]["capabilities"] = {kind: caps for kind in ("bounding", "effective", "permitted")}
    if tree:
        b.config["root"]["path"] = tree
    b.write()
    return b


def started(b, **how):
    b.made(**how)
    b("start", "c").check(0)
    return b


def background(b, *words, **how):
    how = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, **how}
    return subprocess.Popen([binary(), "--root", b.root, *words], stdin=subprocess.DEVNULL, env=environment(None), **how)


def refused(result, words, status=1):
    equal(result.status, status, "status: %r\n    status" % result)
    contains(result.stderr, words, "stderr")


# ---- processes inside that disturb ----

def has_v1_freezer():
    with open("/proc/self/mountinfo") as file:
        return any(" - cgroup " in line and "freezer" in line.rstrip("\n").split(" ")[-1].split(",") for line in file)


@test(root=True)
def test_frozen_below():
    """A container that may write to its groups freezes one below by the freezer of v1, which holds back SIGKILL, too: kill and delete undo it."""
    if not has_v1_freezer():
        skip("no freezer of cgroup v1 is mounted")
    groups = [{"destination": "/sys", "type": "sysfs", "source": "sysfs"},
              {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["rw"]}]
    script = ("cd /sys/fs/cgroup/freezer; p=.; for i in 1 2 3; do p=$p/sub; mkdir $p; sleep 1000 & echo $! > $p/tasks; done; "
              "echo FROZEN > sub/sub/sub/freezer.state; echo FROZEN > sub/freezer.state; "
              "until grep -q FROZEN sub/freezer.state; do :; done; echo FROZEN; exec sleep 1000")
    for commands in ((("delete", "--force", "c"),), (("kill", "c", "KILL"), ("delete", "c")), (("kill", "--all", "c", "KILL"), ("delete", "c"))):
        with hostile("/bin/sh", "-c", script, caps=DOCKER + ["CAP_SYS_ADMIN"], mounts=MOUNTS + groups) as b:
            b.config["linux"]["namespaces"].append({"type": "cgroup"})
            b.write()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(b.dir + "/output")
            started(b)
            wait_for(lambda: b.output() == "FROZEN\n", "frozen processes")
            begin = time.monotonic()
            for command in commands:
                b(*command, timeout=30).check(0)
                if command[0] == "kill":
                    b.stopped()
            check(time.monotonic() - begin < 5 * SLOW, "%r took %g s" % (commands, time.monotonic() - begin))


STOPPER = "while :; do for p in /proc/[0-9]*; do n=${p#/proc/}; [ $n = 1 ] || [ $n = $$ ] || kill -%s $n; done 2>/dev/null; done"


@test(root=True)
def test_exec_that_is_stopped():
    """A process inside stops whatever joins: nsrun exec waits, ends when it is asked to, and says why; delete ends it in any case."""
    for number in (signal.SIGTERM, signal.SIGINT):
        with started(hostile("/bin/sh", "-c", STOPPER % "STOP")) as b:
            process = background(b, "exec", "c", "/bin/sleep", "1000")
            try:
                # as nsrun, before it has executed anything
                wait_for(lambda: any(open("/proc/%d/stat" % pid).read().split(") ")[1][0] == "T" for pid in descendants(process.pid)),
                         "a stopped process", timeout=20)
                [inside] = descendants(process.pid)
                if os.readlink("/proc/%d/exe" % inside).endswith("/busybox"):
                    continue  # it was too fast for the container
                process.send_signal(number)
                _, errors = process.communicate(timeout=20 * SLOW)
                equal(process.returncode, 255, "status: %r" % errors)
                contains(errors.decode(), "%s came" % signal.Signals(number).name, "stderr")
                wait_for(lambda: reap() or not alive(inside), "its end")
            finally:
                process.kill()
                process.communicate()
                reap()


@test(root=True)
def test_exec_that_is_killed():
    with started(hostile("/bin/sh", "-c", STOPPER % "KILL")) as b:
        for _ in range(5):
            result = b("exec", "c", "/bin/sleep", "1000", timeout=20)
            check(result.status in (137, 255), "%r" % result)
        reap()


@test(root=True)
def test_hook_that_hangs():
    """create is asked to end while a hook does not: neither the hook nor the container is left."""
    for kind in ("createRuntime", "createContainer"):
        with hostile("/bin/true") as b:
            b.config["hooks"] = {kind: [{"path": "/bin/sh", "args": ["sh", "-c", "echo up >&2; exec sleep 1000"]}]}
            b.write()
            process = background(b, "create", "-b", b.dir, "c")
            wait_for(lambda: any(comm(pid) == "sleep" for pid in descendants(process.pid)), "the hook")
            process.terminate()
            _, errors = process.communicate(timeout=20 * SLOW)
            equal(process.returncode, 1, "status")
            contains(errors.decode(), "hook /bin/sh: was killed, since nsrun was asked to end: up" if kind == "createRuntime" else "SIGTERM came", "stderr")
            equal(b.ids(), [], "containers")


@test(root=True)
def test_joined_pid_namespace():
    """A pod: what waits for start in a pid namespace that another container is in gives nothing away there."""
    tree = install_helper(rootfs(private=True, fresh=True))
    with started(hostile("/bin/sleep", "1000", tree=tree)) as first, hostile("/bin/true") as second:
        second.dir, second.root = tmp("second"), tmp("second-root", 0o711)
        kinds = [{"type": kind} for kind in ("ipc", "uts", "mount", "network")]
        second.config["linux"]["namespaces"] = kinds + [{"type": "pid", "path": "/proc/%d/ns/pid" % first.state()["pid"]}]
        second.config["linux"]["cgroupsPath"] += "-second"
        second.write()
        found = []
        for name in ("nsrun-gate",):
            spy = background(first, "exec", "c", "/helper", "spy", name, "%d" % max(3, 2 * SLOW), stdout=subprocess.PIPE)
            spy.stdout.readline()
            while spy.poll() is None:
                second.create("p")
                second("delete", "--force", "p").check(0)
                reap()  # what create left is this subreaper's, and its pid namespace would not end before
            found += spy.communicate()[0].decode().splitlines()
        seen = [int(line.split()[1]) for line in found if line.startswith("seen ")]
        check(seen[0] > 0, "it never saw one that waits: %r" % found)
        equal({line for line in found if not line.startswith(("seen ", "caps "))}, set(), "what it could reach")


# ---- paths of the rootfs ----

def planted(where, target):
    tree = rootfs(private=True, fresh=True)
    path = os.path.join(tree, where)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
    os.symlink(target, path)
    return tree


SHOW = "cat /proc/self/mountinfo"


@generate(root=True)
def links_of_the_rootfs():
    """Where nothing is mounted on /dev, it is the rootfs': CVE-2025-31133 (/dev/null), CVE-2025-52565 (/dev/console), CVE-2026-41579 (/dev)."""
    canary = "/run/canary-%d" % os.getpid()
    into_proc = ("/proc/sys/kernel/core_pattern", "/proc/self/fd/5", "/proc/1/root" + canary)
    for where in ("proc", "dev", "sys", "dev/pts", "dev/shm", "dev/null", "dev/zero", "dev/console", "dev/ptmx", "dev/fd"):
        for target in into_proc + ("../../../../../../../.." + canary, "/etc", "/"):
            yield "%s %s" % (where, target.replace("/", ".")), lambda w=where, t=target: link_of_the_rootfs(w, t, t in into_proc, canary)


def link_of_the_rootfs(where, target, into_proc, canary):
    tree = planted(where, target)
    mounts = [one for one in MOUNTS + [SYS] if not (one["destination"] == "/dev" and where.startswith("dev/"))]
    with open("/proc/sys/kernel/core_pattern") as file:
        pattern = file.read()
    terminal = where in ("dev/console", "dev/pts", "dev/ptmx")
    with hostile("/bin/sh", "-c", SHOW, tree=tree, mounts=mounts) as b:
        b.config["process"]["terminal"] = terminal
        b.write()
        if terminal:
            with Pty([binary(), "--root", b.root, "run", "-b", b.dir, "c"]) as pty:
                result = pty.result(20)
        else:
            result = b("run", "-b", b.dir, "c")
    check(result.status in (0, 1), "%r" % result)
    mounted = [line.split()[4] for line in result.stdout.splitlines() if " - " in line]
    if target != "/":  # there the proc is not where the script looks
        strange = [path for path in mounted if path.startswith(("/proc/", "/sys/"))]
        equal(strange, [], "mounts in the kernel's file systems: %r" % result)
    if into_proc and where in ("dev/null", "dev/zero", "dev/console", "dev/pts", "dev", "sys", "proc"):
        equal(result.status, 1, "a link into procfs: %r" % result)
    check(not os.path.exists(canary), "made on the host: %s" % canary)
    with open("/proc/sys/kernel/core_pattern") as file:
        equal(file.read(), pattern, "core_pattern of the host")


@test(root=True)
def test_copied_tree():
    """tmpcopyup of what an image holds: links stay links, a FIFO is not opened, and a file that claims terabytes takes no memory."""
    tree = rootfs(private=True, fresh=True)
    up = tree + "/up"
    os.makedirs(up + "/d")
    os.mkfifo(up + "/fifo")
    os.symlink("/etc/shadow", up + "/link")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(up + "/socket")
    with open(up + "/huge", "wb") as file:
        file.write(b"begin")
        file.seek(1 << 30)
        file.write(b"middle")
        file.truncate(10 << 40)
    mount_ = {"destination": "/up", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup", "size=1m"]}
    script = "cd /up; readlink link; [ -p fifo ] && echo fifo; stat -c %s huge; head -c 5 huge; dd if=huge bs=1M skip=1024 count=1 2>/dev/null | head -c 6"
    with hostile("/bin/sh", "-c", script, tree=tree, mounts=MOUNTS + [mount_]) as b:
        result = b("run", "-b", b.dir, "c", timeout=20).check(0)
        equal(result.stdout, "/etc/shadow\nfifo\n%d\nbeginmiddle" % (10 << 40), "the copy")
        fd = os.open(up, os.O_RDONLY)
        for _ in range(2000):
            os.mkdir("d" * 200, dir_fd=fd)
            below = os.open("d" * 200, os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = below
        os.close(fd)
        refused(b("run", "-b", b.dir, "c", timeout=20), "directories deep")


@test(root=True)
def test_own_program():
    """CVE-2019-5736 without a user namespace: what a process inside may see of nsrun is a sealed copy, whichever way it is executed."""
    tree = rootfs(private=True, fresh=True)
    with open(tree + "/bin/script", "w") as file:
        file.write("#!/proc/self/exe\n")
    os.chmod(tree + "/bin/script", 0o755)
    os.symlink("/proc/self/exe", tree + "/bin/own-link")
    own = os.stat(binary())
    watcher = ("while :; do for p in /proc/[0-9]*; do e=$(readlink $p/exe 2>/dev/null) || continue; case \"$e\" in /bin/busybox) ;; "
               "*) echo \"$e\";; esac; [ $(stat -L -c %%i:%%d $p/exe 2>/dev/null || echo 0) = %d:%d ] && echo HOST; done; done" % (own.st_ino, own.st_dev))
    with started(hostile("/bin/sh", "-c", watcher, caps=DOCKER + ["CAP_SYS_PTRACE"], tree=tree)) as b:
        for program in ("/bin/script", "/bin/own-link", "/bin/true"):
            for _ in range(10):
                b("exec", "c", program, "features")
        seen = set(b.output().split("\n")) - {""}
        equal({line for line in seen if not line.startswith("/memfd:")}, set(), "what is seen of nsrun")
    for change in ({"args": ["/bin/own-link", "features"]}, {"hook": "/bin/own-link"}, {"hook": "/bin/script"}):
        with hostile("/bin/true", tree=tree) as b:
            if "args" in change:
                b.config["process"]["args"] = change["args"]
            else:
                b.config["hooks"] = {"startContainer": [{"path": change["hook"], "args": ["x", "features"]}]}
            b.write()
            b("run", "-b", b.dir, "c", timeout=20)
    after = os.stat(binary())
    equal((after.st_size, after.st_mtime_ns, after.st_ino), (own.st_size, own.st_mtime_ns, own.st_ino), "nsrun's file")


@test(root=True)
def test_working_directory():
    """CVE-2024-21626 by config.json: no descriptor, of the caller's either, leads to a directory of the host."""
    tree = rootfs(private=True, fresh=True)
    held = os.open("/", os.O_RDONLY)
    os.set_inheritable(held, True)
    try:
        with hostile("/bin/sh", "-c", "pwd -P; stat -c %d:%i . /", tree=tree) as b:
            inside = os.stat(tree)
            for number in range(32):
                link = tree + "/wd"
                if os.path.lexists(link):
                    os.unlink(link)
                os.symlink("/proc/self/fd/%d" % number, link)
                for path in ("/wd", "/wd/../../..", "/proc/self/fd/%d/../../.." % number, "/proc/1/cwd/../.."):
                    b.config["process"]["cwd"] = path
                    b.write()
                    result = b("run", "-b", b.dir, "c", popen={"pass_fds": [held]})
                    if result.status == 0:
                        equal(result.stdout, "/\n" + 2 * ("%d:%d\n" % (inside.st_dev, inside.st_ino)), "the directory by %s" % path)
    finally:
        os.close(held)


# ---- what nobody reads ----

@test(root=True)
def test_terminal_that_nobody_reads():
    with hostile("/bin/sh", "-c", "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done") as b, socket.socket(socket.AF_UNIX) as server:
        b.config["process"]["terminal"] = True
        b.write()
        server.bind(b.dir + "/s")
        server.listen()
        b.made("c", "--console-socket", b.dir + "/s")
        b("start", "c").check(0)
        b("exec", "c", "/bin/true", timeout=20).check(0)
        b("kill", "c", "KILL").check(0)
        b.stopped()


@test(root=True)
def test_workload_that_reads_nothing():
    """Input that the workload does not take holds up no signal."""
    with hostile("/bin/sh", "-c", "stty raw; echo up; exec sleep 1000") as b:
        b.config["process"]["terminal"] = True
        b.write()
        with Pty([binary(), "--root", b.root, "run", "-b", b.dir, "c"]) as pty:
            pty.expect("up")
            pty.write("y" * 3000)
            b("kill", "c", "KILL", timeout=20).check(0)
            equal(pty.wait(), 137, "status")


# ---- a careless caller ----

@test(root=True)
def test_closed_standard_streams():
    with hostile("/bin/sleep", "1000") as b:
        for line in ("create -b %s c" % b.dir, "state c", "exec c true", "start c", "exec c true", "ps c", "list", "events --stats c", "pause c", "resume c",
                     "kill c KILL", "delete --force c", "features", "--version"):
            process = subprocess.run(["/bin/sh", "-c", "exec %s --root %s %s <&- >&- 2>&-" % (shlex.quote(binary()), b.root, line)], env=environment(None), timeout=60)
            equal(process.returncode, 0, line)
    with hostile("/bin/sh", "-c", "ls /proc/self/fd > /tmp/fds", tree=rootfs(private=True, fresh=True)) as b:
        subprocess.run(["/bin/sh", "-c", "exec %s --root %s run -b %s c <&- >&- 2>&-" % (shlex.quote(binary()), b.root, b.dir)], env=environment(None), check=True,
                       timeout=60)
        with open(b.config["root"]["path"] + "/tmp/fds") as file:
            equal(file.read().split(), ["0", "1", "2", "3"], "descriptors of the workload: 3 is that of ls")


@test(root=True)
def test_special_files():
    """A device node is not replaced by a pid file, and a FIFO that nobody reads holds up nobody."""
    with hostile("/bin/sleep", "1000") as b:
        node = b.dir + "/node"
        os.mknod(node, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        os.mkfifo(b.dir + "/fifo")
        for path in (node, b.dir + "/fifo", b.dir):
            equal(b.create("c", "--pid-file", path), 1, "status with %s" % path)
            contains(b.errors, "--pid-file %s: is there, and is no regular file" % path)
            equal(b.ids(), [], "containers")
        check(stat.S_ISCHR(os.stat(node).st_mode), "the node was replaced")
        started(b)
        refused(b("exec", "--pid-file", node, "c", "/bin/true"), "no regular file", 255)
        refused(b("--log", b.dir + "/fifo", "state", "c", timeout=20), "nobody reads it")
        with open(b.dir + "/fifo", "rb+", buffering=0):
            b("--log", b.dir + "/fifo", "state", "c", timeout=20).check(0)
        refused(b("--log", "/nonesuch/log", "state", "c"), "/nonesuch/log")
        b.config["linux"]["cgroupsPath"] += "-other"
        b.write()
        for where in ("/nonesuch/pid", "/proc/pid"):
            equal(b.create("d", "--pid-file", where), 1, "status")
            contains(b.errors, where)


@test(root=True)
def test_console_sockets():
    with hostile("/bin/sleep", "1000") as b:
        b.config["process"]["terminal"] = True
        b.write()
        path = b.dir + "/socket"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
        os.mkfifo(b.dir + "/fifo")
        for name in (path, b.dir + "/fifo", b.dir + "/nonesuch", b.dir):
            equal(b.create("c", "--console-socket", name), 1, "status with %s" % name)
            contains(b.errors, "--console-socket %s" % name)
            equal(b.ids(), [], "containers")
        b.config["mounts"] = MOUNTS[:2]
        b.write()
        equal(b.create("c", "--console-socket", path), 1, "status")
        contains(b.errors, "devpts on /dev/pts, and none is mounted there")


@contextlib.contextmanager
def small_root(b, options):
    os.makedirs(b.root)
    mount("tmpfs", b.root, "tmpfs", 0, "mode=711," + options)
    try:
        yield
    finally:
        for name in b.ids():
            b("delete", "--force", name)
        umount(b.root, 2)


@test(root=True)
def test_full_state_root():
    """No container is made without its record; those that are there live and go."""
    b = hostile("/bin/sleep", "1000")
    with small_root(b, "size=64k"):
        started(b)
        with contextlib.suppress(OSError), open(b.root + "/fill", "wb", buffering=0) as file:
            while file.write(bytes(512)):
                pass
        while b.create("d") == 0:
            b("delete", "--force", "d").check(0)
            with contextlib.suppress(OSError), open(b.root + "/fill2", "ab", buffering=0) as file:
                file.write(bytes(4096))
            check(os.path.getsize(b.root + "/fill2") < 1 << 20, "it is never full")
        contains(b.errors, "No space left")
        equal(b.ids(), ["c"], "containers")
        b("state", "c").check(0)
        b("exec", "c", "/bin/true").check(0)
        b("pause", "c").check(0)
        b("resume", "c").check(0)
        b("kill", "c", "KILL").check(0)
        b.stopped()
        b("delete", "c").check(0)
        equal(b.ids(), [], "containers")


@test(root=True)
def test_what_was_removed():
    """The bundle's directory and the rootfs, between create and start."""
    tree = rootfs(private=True, fresh=True)
    with hostile("/bin/sleep", "1000", tree=tree) as b:
        os.makedirs(b.dir + "/bundle")
        shutil.move(b.dir + "/config.json", b.dir + "/bundle/config.json")
        with open(os.devnull, "w") as null:
            subprocess.run([binary(), "--root", b.root, "create", "-b", b.dir + "/bundle", "c"], stdin=null, stdout=null, stderr=null, env=environment(None), check=True)
        shutil.rmtree(b.dir + "/bundle")
        b("exec", "c", "/bin/true").check(0)
        shutil.rmtree(tree)
        equal(b.status(), "created", "status")
        refused(b("exec", "c", "/bin/true"), "no such file", 255)
        refused(b("start", "c"), "no such file")
        equal(b.status(), "stopped", "status")
        b("delete", "c").check(0)


@test(root=True)
def test_roots():
    """Two state roots know nothing of each other; one of another user's, or that others write to, is not used."""
    with started(hostile("/bin/sleep", "1000")) as b:
        other = tmp("other", 0o711)
        refused(nsrun(["--root", other, "state", "c"]), "does not exist")
        b.config["linux"]["cgroupsPath"] += "-other"
        b.write()
        with open(os.devnull, "w") as null:
            subprocess.run([binary(), "--root", other, "create", "-b", b.dir, "c"], stdin=null, stdout=null, stderr=null, env=environment(None), check=True)
        nsrun(["--root", other, "delete", "--force", "c"]).check(0)
        equal(b.status(), "running", "the other one's")
        for words in (["state", "c"], ["exec", "c", "/bin/true"], ["list"], ["kill", "c", "KILL"], ["delete", "--force", "c"]):
            result = b(*words, user=single())
            check(result.status in (1, 255) and "Permission denied" in result.stderr, "of another user: %r" % result)
        for where, mode, owner in (("theirs", 0o755, single()), ("sticky", 0o1777, None), ("open", 0o777, None)):
            result = nsrun(["--root", tmp(where, mode, owner=owner), "create", "-b", b.dir, "x"])
            refused(result, "[state-root]")
        for where in ("/dev/null", "/proc"):
            equal(nsrun(["--root", where, "create", "-b", b.dir, "x"]).status, 1, where)
        equal(b.status(), "running", "at the end")


@test(root=True)
def test_text_log():
    """A quote, a newline or an escape sequence of a name makes no second word or line of a log, nor reaches a terminal."""
    with hostile("/bin/sh") as b:
        b.config["process"]["args"] = ['/bin/x" level=info msg="all is well\nlevel=info \x1b]0;x\x07\\']
        b.write()
        log = b.dir + "/log"
        result = b("--log", log, "--log-format", "text", "create", "-b", b.dir, "c")
        equal(result.status, 1, "status")
        with open(log) as file:
            lines = file.read().split("\n")
        equal((len(lines), lines[1]), (2, ""), "lines of the log: %r" % lines)
        for text in (lines[0], result.stderr):
            check("\x1b" not in text and "\x07" not in text, "%r" % text)
        contains(lines[0], '/bin/x\\" level=info msg=\\"all is well', "the log")
        b.config["process"]["capabilities"]["bounding"] = DOCKER + ["CAP_X\n\x1b[2J"]
        b.write()
        result = b("create", "-b", b.dir, "c")
        check("\x1b" not in result.stderr, "%r" % result)


if __name__ == "__main__":
    main()
