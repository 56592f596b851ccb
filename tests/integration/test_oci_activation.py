# SPDX-License-Identifier: Apache-2.0
"""What systemd and its like hand to a service through nsrun: sockets that it is activated by (sd_listen_fds(3)), and the socket that it tells by that it is
ready (sd_notify(3)). The supervisor of these tests is a datagram socket of their own."""
import array
import json
import os
import signal
import socket
import subprocess
import threading

from harness import *
from test_oci_config import open_to, sleeper
from test_oci_life import Bundle, failing

PROC = {"destination": "/proc", "type": "proc", "source": "proc"}
ANSWER = "echo served by $LISTEN_PID of $$ as $LISTEN_FDNAMES, $LISTEN_FDS in all"


def bundle(script, **more):
    b = Bundle("/bin/sh", "-c", script, mounts=[PROC, {"destination": "/run", "type": "tmpfs", "options": ["mode=755"]}], **more)
    b.config["process"]["user"] = {"uid": 1234, "gid": 1234}
    b.write()
    return b


# ---- sockets ----

def activated(b, words, fds, env=(), own=True, output=subprocess.PIPE):
    """nsrun as a process that systemd has started: descriptors from 3 on, and LISTEN_PID its own."""
    script = "".join("exec %d<&%d; " % (3 + i, 40 + i) for i in range(len(fds)))
    script += "".join("exec %d<&-; " % (40 + i) for i in range(len(fds)))
    script += 'export LISTEN_FDS=%d LISTEN_PID=%s; exec "$@"' % (len(fds), "$$" if own else "1")
    for i, fd in enumerate(fds):
        os.dup2(fd, 40 + i, inheritable=True)
    try:
        return subprocess.Popen(["bash", "-c", script, "systemd", binary(), "--root", b.root, *words], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                pass_fds=[40 + i for i in range(len(fds))], env=environment(None, dict(env)), text=True)
    finally:
        for i in range(len(fds)):
            os.close(40 + i)


def listening():
    listener = socket.socket(socket.AF_UNIX)
    path = os.path.join(tmp(), "socket")
    if os.path.exists(path):
        os.unlink(path)
    listener.bind(path)
    listener.listen()
    return listener, path


@test(root=True)
def test_socket_activation():
    """run: the listening socket is descriptor 3 inside, and the words name the process that has it."""
    listener, _ = listening()
    with bundle('readlink /proc/self/fd/3; ls /proc/self/fd | wc -l; echo "$LISTEN_FDS $LISTEN_PID $$ $LISTEN_FDNAMES"') as b, listener:
        inode = "socket:[%d]" % os.fstat(listener.fileno()).st_ino
        process = activated(b, ["run", "-b", b.dir, "c"], [listener.fileno()], {"LISTEN_FDNAMES": "web"})
        out, errors = process.communicate(timeout=30 * SLOW)
        equal((process.returncode, errors), (0, ""), "run")
        equal(out.splitlines(), [inode, "5", "1 1 1 web"], "what the workload has: 0 to 3, and ls' own")


@test(root=True)
def test_socket_activation_of_a_container_that_waits():
    """create and start: what was handed to create is served after start, by a connection from outside."""
    listener, path = listening()
    with bundle(ANSWER + "; readlink /proc/self/fd/3; readlink /proc/self/fd/4; exec sleep 60") as b, listener:
        with open(os.path.join(b.dir, "output"), "w") as out:
            process = activated(b, ["create", "-b", b.dir, "c"], [listener.fileno(), listener.fileno()], {"LISTEN_FDNAMES": "web:other"}, output=out)
            equal(process.wait(30 * SLOW), 0, "create")
        b("start", "c").check(0)
        wait_for(lambda: b.output().count("\n") == 3, "the workload")
        inode = "socket:[%d]" % os.fstat(listener.fileno()).st_ino
        equal(b.output().splitlines(), ["served by 1 of 1 as web:other, 2 in all", inode, inode], "the workload")
        pid = b.state()["pid"]
        equal(sorted(os.listdir("/proc/%d/fd" % pid), key=int), ["0", "1", "2", "3", "4"], "its descriptors")
        # one more process is not activated, as with runc
        equal(b("exec", "c", "/bin/sh", "-c", "ls /proc/self/fd; echo $LISTEN_FDS$NOTIFY_SOCKET").check(0).stdout.split(), ["0", "1", "2", "3"], "exec")


@test(root=True)
def test_activation_of_another_process():
    """LISTEN_PID is not nsrun's: what was meant for who started it is not passed on."""
    listener, _ = listening()
    with bundle("ls /proc/self/fd; echo [$LISTEN_FDS$LISTEN_PID$LISTEN_FDNAMES]") as b, listener:
        process = activated(b, ["run", "-b", b.dir, "c"], [listener.fileno()], {"LISTEN_FDNAMES": "x"}, own=False)
        out, errors = process.communicate(timeout=30 * SLOW)
        equal((process.returncode, errors, out.split()), (0, "", ["0", "1", "2", "3", "[]"]), "run")


@test(root=True)
def test_activation_with_preserved_descriptors():
    """--preserve-fds counts behind the sockets, as with runc; in a pid namespace of others LISTEN_PID is the pid there; config.json's own words are replaced."""
    listener, _ = listening()
    with open("/dev/zero") as zero, bundle('readlink /proc/self/fd/3; readlink /proc/self/fd/4; [ "$LISTEN_PID" = $$ ] && echo mine; env | grep -c LISTEN_') as b, listener:
        b.config["linux"]["namespaces"] = [n for n in b.config["linux"]["namespaces"] if n["type"] != "pid"]
        b.config["process"]["env"] += ["LISTEN_PID=77", "LISTEN_FDS=9"]
        b.write()
        process = activated(b, ["run", "--preserve-fds", "1", "-b", b.dir, "c"], [listener.fileno(), zero.fileno()], {"BASH_ENV": ""})
        out, errors = process.communicate(timeout=30 * SLOW)
        check("descriptor 5" in errors and process.returncode == 1, "two sockets and one that is not there: %r" % errors)
        script = 'exec 3<&40 4</dev/zero 40<&-; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@"'
        os.dup2(listener.fileno(), 40, inheritable=True)
        result = subprocess.run(["bash", "-c", script, "systemd", binary(), "--root", b.root, "run", "--preserve-fds", "1", "-b", b.dir, "c"], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[40], env=environment(None), text=True)
        os.close(40)
        equal((result.returncode, result.stderr), (0, ""), "run")
        equal(result.stdout.splitlines(), ["socket:[%d]" % os.fstat(listener.fileno()).st_ino, "/dev/zero", "mine", "2"], "what it has")


@test(root=True)
def test_activation_refused():
    with bundle("echo no") as b:
        for count, words in (("many", "LISTEN_FDS=many: a number up to 1024"), ("-1", "LISTEN_FDS=-1"), ("2000", "LISTEN_FDS=2000"), ("2", "LISTEN_FDS=2: descriptor 3: Bad file descriptor")):
            result = subprocess.run(["bash", "-c", 'export LISTEN_FDS=%s LISTEN_PID=$$; exec "$@"' % count, "x", binary(), "--root", b.root, "run", "-b", b.dir, "c"],
                                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(None), text=True)
            equal((result.returncode, result.stdout), (1, ""), "status; " + result.stderr)
            contains(result.stderr, words, "stderr")


# ---- readiness ----

class Supervisor:
    """Takes messages as systemd does: a descriptor that comes with BARRIER=1 is closed when its turn has come."""

    def __init__(self, abstract=False):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = os.path.join(tmp(), "notify-%d" % len(os.listdir(tmp())))
        self.address = "@nsrun-test-%d" % os.getpid() if abstract else path
        self.socket.bind("\0" + self.address[1:] if abstract else path)
        self.socket.settimeout(30 * SLOW)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def env(self):
        return {"NOTIFY_SOCKET": self.address}

    def take(self):
        message, control, _, _ = self.socket.recvmsg(4096, 1024)
        for _, _, data in control:
            for fd in array.array("i", data):
                os.close(fd)
        return message.decode().split()

    def silent(self):
        self.socket.settimeout(0)
        try:
            return self.socket.recv(4096)
        except BlockingIOError:
            return None


def say(pid, *words):
    """What a process of the container with that pid would say: a socket in its tree, by its own path."""
    path = "/proc/%d/root/run/notify/notify.sock" % pid
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        for text in words:
            one.sendto(text.encode(), path)


@test(root=True)
def test_ready_of_run():
    """In the foreground: READY=1 arrives while it runs; nothing else of what the workload says does, and no MAINPID: nsrun stays the service's process."""
    with Supervisor() as up, bundle("echo $NOTIFY_SOCKET; ls /run/notify; touch /run/notify/x 2>&1; exec sleep 60") as b:
        process = subprocess.Popen([binary(), "--root", b.root, "run", "-b", b.dir, "c"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   env=environment(None, up.env()), text=True)
        try:
            equal([process.stdout.readline() for _ in range(2)], ["/run/notify/notify.sock\n", "notify.sock\n"], "what the workload has")
            contains(process.stdout.readline(), "Read-only file system", "a file beside the socket")
            pid = b.state()["pid"]
            say(pid, "STATUS=almost", "MAINPID=1", "READY=0", "XREADY=1\nREADY=12", "FDSTORE=1\nFDNAME=x")
            equal(up.silent(), None, "what the supervisor hears before it is ready")
            up.socket.settimeout(30 * SLOW)
            say(pid, "STATUS=up\nREADY=1\nMAINPID=1")
            equal(up.take(), ["READY=1"], "what the supervisor hears")
            say(pid, "READY=1")
            equal(up.silent(), None, "what it hears once more")
        finally:
            b("kill", "c", "KILL")
            process.wait(30 * SLOW)
            process.stdout.close()
        equal(b.ids(), [], "what is left")


@test(root=True)
def test_ready_of_create_and_start():
    """create makes the place; start listens, and returns when the workload is ready, with its pid as MAINPID, or has ended."""
    with Supervisor() as up, bundle("echo $NOTIFY_SOCKET; exec sleep 60") as b:
        equal(b.create("c", env=up.env()), 0, "create: " + getattr(b, "errors", ""))
        pid = b.state()["pid"]
        started = subprocess.Popen([binary(), "--root", b.root, "start", "c"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                   env=environment(None, up.env()))
        wait_for(lambda: b.output(), "the workload")
        equal((b.status(), started.poll()), ("running", None), "start waits")
        say(pid, "READY=1")
        equal(up.take(), ["MAINPID=%d" % pid, "READY=1"], "what the supervisor hears")
        equal(started.poll(), None, "start before the supervisor has come to the barrier")
        equal(up.take(), ["BARRIER=1"], "the barrier")
        equal((started.wait(30 * SLOW), started.stderr.read()), (0, b""), "start")
        started.stderr.close()
        equal(b("exec", "c", "/bin/sh", "-c", "echo [$NOTIFY_SOCKET]").check(0).stdout, "[]\n", "exec")


@test(root=True)
def test_ready_of_a_workload_that_ends():
    with Supervisor() as up, bundle("true") as b:
        equal(b.create("c", env=up.env()), 0, "create")
        b("start", "c", env=up.env(), timeout=10).check(0)
        b.stopped()
        b("delete", "c").check(0)
        equal(up.silent(), None, "what the supervisor hears")
        equal(b.ids(), [], "what is left")


@test(root=True)
def test_ready_of_run_detached():
    with Supervisor(abstract=True) as up, bundle("exec sleep 60") as b:
        process = subprocess.Popen([binary(), "--root", b.root, "run", "-d", "-b", b.dir, "c"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env=environment(None, up.env()))
        wait_for(lambda: b.ids() and b("state", "c").status == 0 and b.status() == "running", "the workload")
        pid = b.state()["pid"]
        wait_for(lambda: os.path.exists("/proc/%d/root/run/notify/notify.sock" % pid), "the socket")
        process.send_signal(signal.SIGWINCH)
        equal(process.poll(), None, "run -d waits")
        say(pid, "READY=1\n")
        equal(up.take(), ["MAINPID=%d" % pid, "READY=1"], "what the supervisor hears")
        equal(up.take(), ["BARRIER=1"], "the barrier")
        equal(process.wait(30 * SLOW), 0, "run -d")
        equal(b.status(), "running", "the container")


@test(root=True)
def test_ready_is_no_matter_of_start_alone():
    """Engines give start a NOTIFY_SOCKET that create has not had, or have a way of their own, which config.json shows: neither changes anything."""
    with Supervisor() as up, bundle("echo $NOTIFY_SOCKET; exec sleep 60") as b:
        b.made()
        b("start", "c", env=up.env()).check(0)
        wait_for(lambda: b.output(), "the workload")
        equal(b.output(), "\n", "NOTIFY_SOCKET inside")
        b("delete", "--force", "c").check(0)
        b.config["process"]["env"].append("NOTIFY_SOCKET=/run/own/notify.sock")
        b.write()
        b.config["process"]["args"] = ["/bin/sh", "-c", "echo $NOTIFY_SOCKET; ls /run"]
        b.write()
        equal(b("run", "-b", b.dir, "d", env=up.env()).check(0).stdout, "/run/own/notify.sock\n", "what the engine says, and no mount")
        equal(up.silent(), None, "what the supervisor hears")


@test(root=True)
def test_supervisor_that_is_not_there():
    with bundle("echo no") as b:
        for address, words in (("/nowhere/notify", "NOTIFY_SOCKET=/nowhere/notify: No such file"), ("relative", "NOTIFY_SOCKET=relative: an absolute path, or @"),
                               ("/" + "x" * 120, "longer than 107 bytes"), ("@nobody-%d" % os.getpid(), "Connection refused"), ("@", "an absolute path")):
            result = b("run", "-b", b.dir, "c", env={"NOTIFY_SOCKET": address})
            failing(result, words)
            equal(result.stdout, "", "what the workload printed")
            equal(b.ids(), [], "what is left")


@test(root=True)
def test_ready_and_a_joined_mount_namespace():
    """The state directory, in which the socket is, need not be in its tree: an error, and no directory of the same name there."""
    with Supervisor() as up, sleeper("--mount", "--propagation", "private") as pid, bundle("echo no") as b:
        b.config["linux"]["namespaces"] = [{"type": "pid"}, {"type": "mount", "path": "/proc/%d/ns/mnt" % pid}]
        for path in (rootfs(), "/"):
            b.config.update(root={"path": path}, mounts=[])
            b.write()
            failing(b("run", "-b", b.dir, "c", env=up.env()), "NOTIFY_SOCKET=%s: linux.namespaces[1] joins a mount namespace" % up.address)


@test(root=True)
def test_ready_in_a_user_namespace():
    """The socket is reached by whoever the workload is: a user of a remapped container, below a state directory that only root may search."""
    with Supervisor() as up, bundle("exec sleep 60") as b:
        ids = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        b.config["root"]["path"] = rootfs(owner="100000:100000")
        b.config["linux"]["namespaces"].append({"type": "user"})
        b.config["linux"].update(uidMappings=ids, gidMappings=ids)
        b.write()
        process = subprocess.Popen([binary(), "--root", b.root, "run", "-b", b.dir, "c"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env=environment(None, up.env()))
        wait_for(lambda: b.ids() and b("state", "c").status == 0 and b.status() == "running", "the workload")
        pid = b.state()["pid"]
        code = "import os, socket; os.setgroups([]); os.setgid(101234); os.setuid(101234)\ns = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.sendto(b'READY=1', '/run/notify/notify.sock')"
        child = os.fork()
        if child == 0:
            try:
                os.chroot("/proc/%d/root" % pid)
                exec(code)
                os._exit(0)
            finally:
                os._exit(1)
        equal(os.waitpid(child, 0)[1], 0, "sending as uid 1234 of the container")
        equal(up.take(), ["READY=1"], "what the supervisor hears")
        b("kill", "c", "KILL").check(0)
        process.wait(30 * SLOW)


@test(root=True)
def test_ready_of_an_ordinary_user():
    who = ranger()
    with Supervisor() as up, bundle("exec sleep 60") as b:
        ids = lambda n: [{"containerID": 0, "hostID": n, "size": 1}]
        b.config["root"]["path"] = rootfs(owner="%d:%d" % (who.uid, who.gid))
        b.config["process"]["user"] = {"uid": 0, "gid": 0}
        b.config["linux"]["namespaces"].append({"type": "user"})
        b.config["linux"].update(uidMappings=ids(who.uid), gidMappings=ids(who.gid))
        b.write()
        open_to(who, b)
        os.chmod(up.address, 0o777)
        thread = threading.Thread(target=lambda: setattr(b, "result", b("run", "-b", b.dir, "c", env=up.env(), user=who.name)))
        thread.start()
        wait_for(lambda: b.ids() and b("state", "c", user=who.name).status == 0 and '"running"' in b("state", "c", user=who.name).stdout, "the workload")
        pid = json.loads(b("state", "c", user=who.name).stdout)["pid"]
        say(pid, "READY=1")
        equal(up.take(), ["READY=1"], "what the supervisor hears")
        b("kill", "c", "KILL", user=who.name).check(0)
        thread.join()
        equal(b.result.status, 137, "run: " + b.result.stderr)


if __name__ == "__main__":
    main()
