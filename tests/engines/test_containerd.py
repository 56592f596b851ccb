#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""containerd's own client with nsrun as the runtime."""
import os
import re
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
    c.ctr(*run_words("run", "--rm", command=["/bin/sh", "-c", "echo out; echo err >&2; exit 3"])).check(3, "out", "err")
    c.ctr(*run_words("cwd", "--rm", "--cwd", "/tmp", "--env", "A=b", command=["/bin/sh", "-c", "echo $PWD $A"])).check(0, "/tmp b")
    c.ctr(*run_words("input", "--rm", command=["head", "-n", "1"]), input="through\n").check(0, "through")
    told = c.ctr(*run_words("missing", "--rm", command=["/missing"]))
    check(told.status != 0, "%r" % told)
    contains(told.stderr, "no such file or directory", "error")
    nothing_left(c)


def test_state_and_exec():
    c = containerd()
    start(c, "exec")
    pid = c.proves("exec")
    contains(c.ctr("task", "ls").stdout, str(pid), "ctr task ls")
    c.ctr("task", "exec", "--exec-id", "e1", "exec", "/bin/sh", "-c", "echo out; exit 4").check(4, "out")
    c.ctr("task", "exec", "--exec-id", "e2", "--cwd", "/tmp", "--user", "99", "exec", "/bin/sh", "-c", "echo $(id -u) $PWD").check(0, "99 /tmp")
    c.ctr("task", "exec", "--exec-id", "e3", "exec", "/bin/sh", "-c", "readlink /proc/self/ns/net; readlink /proc/1/ns/net").check(
        0, "%s\n%s" % ((os.readlink("/proc/%d/ns/net" % pid),) * 2))
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
    c.ctr(*run_words("mounts", "--rm", "--mount", "type=bind,src=%s,dst=/mnt,options=rbind:ro" % there,
                     command=["/bin/sh", "-c", "cat /mnt/file; echo no >/mnt/file"])).check(1, "seen", "Read-only file system")
    c.ctr(*run_words("readonly", "--rm", "--read-only", command=["touch", "/file"])).check(1, stderr="Read-only file system")
    c.ctr(*run_words("seccomp", "--rm", "--seccomp", command=["grep", "Seccomp:", "/proc/self/status"])).check(0, "Seccomp:\t2")
    c.ctr(*run_words("device", "--rm", "--device", "/dev/full", command=["/bin/sh", "-c", "echo x >/dev/full"])).check(1, stderr="No space left")
    nothing_left(c)


def test_daemon_restarts():
    """The shim and the container live on without containerd, and the next one finds them."""
    c = containerd()
    start(c, "stays")
    pid = c.proves("stays")
    c.restart()
    contains(c.ctr("task", "ls").check(0).stdout, str(pid), "ctr task ls after the restart")
    c.ctr("task", "exec", "--exec-id", "again", "stays", "echo", "still").check(0, "still")
    remove(c, "stays")
    nothing_left(c)


def test_stop():
    containerd().stop()


if __name__ == "__main__":
    main()
