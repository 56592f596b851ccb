#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""containerd's own client with nsrun as the runtime."""
import os
import re
import subprocess
import time

from engine import *
from containerd import Containerd

_daemon = []


def containerd():
    if not _daemon:
        needs_program("containerd", "ctr", "containerd-shim-runc-v2")
        _daemon.append(Containerd())
        _daemon[0].image("busybox", ["/bin/sh"])
    c = _daemon[0]
    for name in c.ctr("container", "ls", "-q").stdout.split():  # of a test that failed
        remove(c, name)
    return c


IMAGE = "docker.io/library/busybox:latest"


def start(c, name, *words, command=("sleep", "1000")):
    c.ctr(*run_words(name, "-d", *words, command=command)).check(0)
    return name


def run_words(name, *words, command):
    return ["run", "--runc-binary", runtime(), "--cgroup", "/%s/%s" % (cgroup_parent(), name), *words, IMAGE, name, *command]


def attached(c, words, script, status=0, out="", err="", stdin=""):
    """ctr WORDS... and a shell that runs `script`: its status, its output, what its errors have. ctr loses what a container says that ends before ctr has
    opened the streams, whatever the runtime is; so the shell ends when all was read. Its container has tmp("told") at /told."""
    paths = [os.path.join(tmp("told"), name) for name in ("in", "out", "err", "read")]
    with open(paths[0], "w") as file:
        file.write(stdin)
    if os.path.exists(paths[3]):
        os.unlink(paths[3])
    inside = "(%s); s=$?; until test -e /told/read; do sleep 0.02; done; exit $s" % script
    with open(paths[0]) as file, open(paths[1], "w") as stdout, open(paths[2], "w") as stderr:
        process = subprocess.Popen(["ctr", "--address", c.socket, *words, "/bin/sh", "-c", inside], stdin=file, stdout=stdout, stderr=stderr, env=environment())

    def said():
        return [open(path).read().rstrip("\n") for path in paths[1:3]]
    try:
        wait_for(lambda: process.poll() is not None or (said()[0] == out and err in said()[1]), "output %r and errors %r" % (out, err), timeout=20)
        open(paths[3], "w").close()
        equal(process.wait(20 * SLOW * PATIENCE), status, "status; output and errors: %r" % said())
        equal(said()[0], out, "output")
        contains(said()[1], err, "errors")
    except BaseException as error:
        if process.poll() is None:
            print("# output and errors: %r" % said())
            kill_tree([process.pid])
        raise


def runs(c, name, *words, script, **wanted):
    """ctr run of such a shell."""
    attached(c, run_words(name, "--rm", *told(), *words, command=()), script, **wanted)


def told():
    """Options of ctr run for attached()."""
    return "--mount", "type=bind,src=%s,dst=/told,options=rbind:ro" % tmp("told")


def remove(c, name):
    c.ctr("task", "kill", "-s", "SIGKILL", name)
    wait_for(lambda: re.search(r"^%s\s+\d+\s+STOPPED" % name, c.ctr("task", "ls").stdout, re.M), "the task stops")
    c.ctr("task", "rm", name)
    c.ctr("container", "rm", name).check(0)


def nothing_left(c):
    equal(c.ctr("container", "ls", "-q").stdout, "", "containers of containerd")
    equal(sorted(c.state()), [], "containers in the runtime's state")
    found = [entry[0] for entry in mountinfo() if entry[0].startswith(c.top + "/") or entry[0].startswith("/run/containerd/")]
    equal(found, [], "mounts of containers")


def test_run():
    c = containerd()
    runs(c, "run", script="echo out; echo err >&2; exit 3", status=3, out="out", err="err")
    runs(c, "cwd", "--cwd", "/tmp", "--env", "A=b", script="echo $PWD $A", out="/tmp b")
    runs(c, "input", script="head -n 1", stdin="through\n", out="through")
    told = c.ctr(*run_words("missing", "--rm", command=["/missing"]))
    check(told.status != 0, "%r" % told)
    contains(told.stderr, "no such file or directory", "error")
    nothing_left(c)


def test_state_and_exec():
    c = containerd()
    start(c, "exec", *told())
    pid = c.proves("exec")
    contains(c.ctr("task", "ls").stdout, str(pid), "ctr task ls")

    def execute(*words, **wanted):
        attached(c, ["task", "exec", "--exec-id", "e%d" % time.monotonic_ns(), *words, "exec"], **wanted)
    execute(script="echo out; exit 4", status=4, out="out")
    execute("--cwd", "/tmp", "--user", "99", script="echo $(id -u) $PWD", out="99 /tmp")
    execute(script="readlink /proc/self/ns/net; readlink /proc/1/ns/net", out="%s\n%s" % ((os.readlink("/proc/%d/ns/net" % pid),) * 2))
    missing = c.ctr("task", "exec", "--exec-id", "missing", "exec", "/missing")
    check(missing.status != 0 and "no such file or directory" in missing.stderr, "exec of what is not there: %r" % missing)
    start(c, "other", "--net-host")
    equal(os.readlink("/proc/%d/ns/net" % c.proves("other")), os.readlink("/proc/self/ns/net"), "the host's network")
    remove(c, "exec")
    remove(c, "other")
    nothing_left(c)


def test_terminal():
    c = containerd()
    with Pty(["ctr", "--address", c.socket, *run_words("tty", "--rm", "-t", command=["/bin/sh"])]) as terminal:
        terminal.expect("/ # ")
        terminal.write("stty size; tty\n")
        terminal.expect("24 80")
        terminal.resize(40, 100)
        terminal.write("sleep 1; stty size\n")
        terminal.expect("40 100")
        terminal.write("exit 7\n")
        equal(terminal.wait(), 7, "status")
    nothing_left(c)


def test_exec_terminal():
    c = containerd()
    start(c, "et")
    with Pty(["ctr", "--address", c.socket, "task", "exec", "-t", "--exec-id", "t1", "et", "/bin/sh"]) as terminal:
        terminal.expect("/ # ")
        terminal.write("tty; exit 5\n")
        terminal.expect("/dev/pts/")
        equal(terminal.wait(), 5, "status")
    remove(c, "et")
    nothing_left(c)


def test_pause():
    c = containerd()
    start(c, "pause", command=["/bin/sh", "-c", "while :; do :; done"])
    pid = c.proves("pause")
    c.ctr("task", "pause", "pause").check(0)
    contains(c.ctr("task", "ls").stdout, "PAUSED", "ctr task ls")
    c.proves("pause", status="paused")

    def used():
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rsplit(")", 1)[1].split()[11:13]
    before = used()
    time.sleep(0.3)
    equal(used(), before, "processor time while paused")
    c.ctr("task", "resume", "pause").check(0)
    wait_for(lambda: used() != before, "it runs on")
    remove(c, "pause")
    nothing_left(c)


def test_kill():
    c = containerd()
    start(c, "kill", command=["/bin/sh", "-c", "trap 'exit 9' TERM; while :; do sleep 0.05; done"])
    pid = c.proves("kill")
    c.ctr("task", "kill", "-s", "SIGTERM", "kill").check(0)
    wait_for(lambda: not alive(pid), "the init ends")
    remove(c, "kill")
    start(c, "all", command=["/bin/sh", "-c", "sleep 1001 & sleep 1002"])
    where = group(c.proves("all"), "pids")[0]
    c.ctr("task", "kill", "--all", "-s", "SIGKILL", "all").check(0)
    wait_for(lambda: not os.path.isdir(where) or not open(where + "/cgroup.procs").read(), "all processes end")
    remove(c, "all")
    nothing_left(c)


def test_limits():
    c = containerd()
    start(c, "limits", "--memory-limit", "67108864", "--cpu-quota", "50000", "--cpu-period", "100000", "--cpu-shares", "512")
    pid = c.proves("limits")
    contains(group(pid, "memory")[0], "/%s/limits" % cgroup_parent(), "group")
    equal(setting(pid, "memory", "memory.limit_in_bytes", "memory.max"), "67108864", "memory")
    check(setting(pid, "cpu", "cpu.cfs_quota_us", "cpu.max") in ("50000", "50000 100000"), "cpu quota")
    check(setting(pid, "cpu", "cpu.shares", "cpu.weight") in ("512", "20", "59"), "cpu weight")
    told = c.ctr("task", "metrics", "limits").check(0).stdout
    check(re.search(r"memory\.(usage|limit)", told), "ctr task metrics: " + told)
    contains(c.ctr("task", "ps", "limits").check(0).stdout, str(pid), "ctr task ps")
    remove(c, "limits")
    nothing_left(c)


def test_mounts_and_confinement():
    c = containerd()
    there = tmp("mount")
    with open(os.path.join(there, "file"), "w") as file:
        file.write("seen\n")
    runs(c, "mounts", "--mount", "type=bind,src=%s,dst=/mnt,options=rbind:ro" % there, script="cat /mnt/file; echo no >/mnt/file",
         status=1, out="seen", err="Read-only file system")
    runs(c, "readonly", "--read-only", script="touch /file", status=1, err="Read-only file system")
    runs(c, "seccomp", "--seccomp", script="grep Seccomp: /proc/self/status", out="Seccomp:\t2")
    runs(c, "device", "--device", "/dev/full", script="echo x >/dev/full", status=1, err="No space left")
    nothing_left(c)


def test_daemon_restarts():
    """The shim and the container live on without containerd, and the next one finds them."""
    c = containerd()
    start(c, "stays", *told())
    pid = c.proves("stays")
    c.restart()
    contains(c.ctr("task", "ls").check(0).stdout, str(pid), "ctr task ls after the restart")
    attached(c, ["task", "exec", "--exec-id", "again", "stays"], "echo still", out="still")
    remove(c, "stays")
    nothing_left(c)


def test_stop():
    containerd().stop()


if __name__ == "__main__":
    main()
