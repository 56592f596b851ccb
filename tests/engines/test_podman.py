#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Podman as root, with nsrun as its runtime."""
import json
import os
import socket
import urllib.request

from engine import *
from harness import make_user
from podman import Podman

IMAGE = "localhost/busybox"
_podman = []


def podman():
    if not _podman:
        needs_program("podman", "conmon", "ip", "iptables")
        _podman.append(Podman())
        _podman[0].image()
    return _podman[0].again()


def test_run():
    p = podman()
    p("run", "--rm", *p.parent, IMAGE, "/bin/sh", "-c", "echo out; echo err >&2; exit 3").check(3, "out", "err")
    p("run", "--rm", "-i", *p.parent, IMAGE, "cat", input="through").check(0, "through")
    p("run", "--rm", *p.parent, "-e", "A=b", "-w", "/tmp", "-u", "1234:5678", "--group-add", "77", "-h", "host", IMAGE, "/bin/sh", "-c",
      "echo $A $PWD $(id -u) $(id -g) $(id -G) $(hostname)").check(0, "b /tmp 1234 5678 5678 77 host")
    p.nothing_left()


def test_runtime_is_nsrun():
    p = podman()
    told = json.loads(p.out("info", "--format", "json"))["host"]["ociRuntime"]
    equal((told["name"], told["path"]), ("nsrun", runtime()), "podman info")
    p.start(IMAGE, "sleep", "1000", name="proof")
    pid = p.proves("proof")
    with open("/proc/%d/cmdline" % pid, "rb") as file:
        equal(file.read(), b"sleep\x001000\0", "the container's command, by the host")
    p.remove("proof")
    check(not os.path.exists("/proc/%d" % pid), "the init still runs")
    p.nothing_left()


def test_missing_command():
    p = podman()
    p("run", "--rm", *p.parent, IMAGE, "/missing").check(127)
    p("run", "--rm", *p.parent, IMAGE, "/etc/passwd").check(126)
    p.nothing_left()


def test_terminal():
    p = podman()
    with p.pty("run", "--rm", "-it", *p.parent, IMAGE, "/bin/sh") as terminal:
        terminal.expect("/ # ")
        terminal.write("stty size; tty\n")
        terminal.expect("24 80")
        terminal.expect("/dev/(pts/0|console)")
        terminal.resize(40, 100)
        terminal.write("sleep 0.3; stty size\n")
        terminal.expect("40 100")
        terminal.write("exit 7\n")
        equal(terminal.wait(), 7, "status")
    p.nothing_left()


def test_exec():
    p = podman()
    p.start("--cap-drop", "all", "--cap-add", "chown", "--security-opt", "no-new-privileges", IMAGE, "sleep", "1000", name="exec")
    p.proves("exec")
    p("exec", "exec", "/bin/sh", "-c", "echo out; exit 4").check(4, "out")
    p("exec", "-i", "exec", "cat", input="through").check(0, "through")
    p("exec", "-u", "99", "-e", "X=y", "-w", "/tmp", "exec", "/bin/sh", "-c", "echo $(id -u) $X $PWD").check(0, "99 y /tmp")
    p("exec", "exec", "/missing").check(127)
    wanted = "Seccomp|NoNewPrivs|CapBnd|CapPrm"
    init = p.out("exec", "exec", "grep", "-E", wanted, "/proc/1/status")
    p("exec", "exec", "grep", "-E", wanted, "/proc/self/status").check(0, init)
    contains(init, "CapBnd:\t0000000000000001", "init's status")
    contains(init, "NoNewPrivs:\t1", "init's status")
    contains(init, "Seccomp:\t2", "init's status")
    for kind in ("pid", "mnt", "net", "ipc", "uts", "cgroup"):
        equal(p.out("exec", "exec", "readlink", "/proc/self/ns/" + kind), p.out("exec", "exec", "readlink", "/proc/1/ns/" + kind), kind)
    with p.pty("exec", "-it", "exec", "/bin/sh") as terminal:
        terminal.expect("/ # ")
        terminal.write("tty; stty size; exit 5\n")
        terminal.expect("/dev/pts/")
        terminal.expect("24 80")
        equal(terminal.wait(), 5, "status")
    p("exec", "-d", "exec", "/bin/sh", "-c", "echo later >/tmp/file; sleep 1000").check(0)
    wait_for(lambda: p("exec", "exec", "cat", "/tmp/file").stdout == "later\n", "the detached command wrote its file")
    p.remove("exec")
    p.nothing_left()


def test_logs():
    p = podman()
    p.start(IMAGE, "/bin/sh", "-c", "echo one; echo two >&2; sleep 1000", name="logs")
    wait_for(lambda: p("logs", "logs").stderr, "the log")
    p("logs", "logs").check(0, "one\n", "two")
    p.remove("logs")
    p("run", "--name", "ended", *p.parent, IMAGE, "echo", "once").check(0, "once")
    p("logs", "ended").check(0, "once")
    equal(p("start", "-a", "ended").check(0).stdout, "once\n", "started again")
    p.remove("ended")
    p.nothing_left()


def test_life():
    p = podman()
    p.start(IMAGE, "/bin/sh", "-c", "trap 'exit 9' TERM; trap 'echo hup' HUP; while :; do sleep 0.05; done", name="life")
    first = p.proves("life")
    p("kill", "-s", "HUP", "life").check(0)
    wait_for(lambda: p("logs", "life").stdout == "hup\n", "the signal came")
    contains(p.out("top", "life"), "sleep", "podman top")
    p("stop", "-t", "5", "life").check(0)
    equal(p.inspect("life")["State"]["ExitCode"], 9, "status")
    p("start", "life").check(0)
    check(p.proves("life") != first, "another init")
    p("restart", "-t", "5", "life").check(0)
    second = p.proves("life")
    p("pause", "life").check(0)
    equal(p.inspect("life")["State"]["Status"], "paused", "status by Podman")
    frozen = [line for line in open("/proc/%d/stat" % second).read().rsplit(")", 1)[1].split()]
    before = frozen[11:13]
    p("unpause", "life").check(0)
    check(before is not None and p.proves("life") == second, "the same init runs on")
    p("kill", "life").check(0)
    equal(p.out("wait", "life"), "137", "status after a kill")
    p.remove("life")
    p.nothing_left()


def test_limits():
    p = podman()
    p.start("-m", "64m", "--memory-swap", "64m", "--pids-limit", "50", "--cpus", "0.5", "--cpu-shares", "512", "--cpuset-cpus", "0",
            IMAGE, "sleep", "1000", name="limits")
    pid = p.proves("limits")
    contains(group(pid, "memory")[0], "machine.slice/libpod-" if by_systemd() else "/%s/" % cgroup_parent(), "group")
    equal(setting(pid, "memory", "memory.limit_in_bytes", "memory.max"), "67108864", "memory")
    equal(setting(pid, "pids", "pids.max", "pids.max"), "50", "pids")
    check(setting(pid, "cpu", "cpu.cfs_quota_us", "cpu.max") in ("50000", "50000 100000"), "cpu quota")
    check(setting(pid, "cpu", "cpu.shares", "cpu.weight") in ("512", "20", "59"), "cpu weight")
    equal(setting(pid, "cpuset", "cpuset.cpus", "cpuset.cpus"), "0", "cpuset")
    with open("/proc/%d/status" % pid) as file:
        contains(file.read(), "Cpus_allowed_list:\t0\n", "what the process may use")
    told = json.loads(p.out("stats", "--no-stream", "--format", "json", "limits"))[0]
    contains(told["mem_usage"], " / 67.11MB", "podman stats")
    p("update", "-m", "96m", "--cpus", "0.25", "limits").check(0)
    equal(setting(pid, "memory", "memory.limit_in_bytes", "memory.max"), "100663296", "memory after update")
    check(setting(pid, "cpu", "cpu.cfs_quota_us", "cpu.max") in ("25000", "25000 100000"), "cpu quota after update")
    p.remove("limits")
    p.nothing_left()


def test_out_of_memory():
    p = podman()
    # That it was for the memory Podman has from conmon, whose 2.1.6 tells nothing of it, whatever the runtime is.
    p("run", "--name", "oom", *p.parent, "-m", "16m", "--memory-swap", "16m", IMAGE, "tail", "/dev/zero").check(137)
    p.remove("oom")
    p.nothing_left()


def test_pod():
    p = podman()
    p("pod", "create", "--name", "pod", "--share", "net,ipc,uts", *p.parent).check(0)
    for name in ("pa", "pb"):
        p("run", "-d", "--pod", "pod", "--name", name, IMAGE, "sleep", "1000").check(0)
        p.proves(name)
    links = {}
    for kind in ("net", "ipc", "uts", "mnt", "pid"):
        links[kind] = [os.readlink("/proc/%d/ns/%s" % (p.inspect(name)["State"]["Pid"], kind)) for name in ("pa", "pb")]
    for kind in ("net", "ipc", "uts"):
        equal(links[kind][0], links[kind][1], "shared %s namespace" % kind)
        check(links[kind][0] != os.readlink("/proc/self/ns/" + kind), kind + " is not the host's")
    for kind in ("mnt", "pid"):
        check(links[kind][0] != links[kind][1], "own %s namespace" % kind)
    p("exec", "pa", "/bin/sh", "-c", "nc -l -p 8080 -e echo hello >/dev/null 2>&1 </dev/null &").check(0)
    wait_for(lambda: p("exec", "pb", "nc", "127.0.0.1", "8080", input="").stdout == "hello\n", "the other container by loopback")
    p("pod", "stop", "-t", "0", "pod").check(0)
    p("pod", "start", "pod").check(0)
    p.proves("pb")
    p("pod", "rm", "-f", "-t", "0", "pod").check(0)
    p.nothing_left()


def test_pod_with_shared_pids():
    p = podman()
    p("pod", "create", "--name", "pids", "--share", "pid,net", *p.parent).check(0)
    p("run", "-d", "--pod", "pids", "--name", "one", IMAGE, "sleep", "4321").check(0)
    contains(p.out("run", "--rm", "--pod", "pids", IMAGE, "ps"), "sleep 4321", "processes of the pod")
    p("pod", "rm", "-f", "-t", "0", "pids").check(0)
    p.nothing_left()


def test_healthcheck():
    p = podman()
    p.start("--health-cmd", "test -e /tmp/well", "--health-interval", "disable", "--health-retries", "1", IMAGE, "sleep", "1000", name="health")
    p.proves("health")
    p("healthcheck", "run", "health").check(1)
    p("exec", "health", "touch", "/tmp/well").check(0)
    p("healthcheck", "run", "health").check(0)
    p.remove("health")
    p.nothing_left()


def test_volumes():
    p = podman()
    there = tmp("volume")
    with open(os.path.join(there, "file"), "w") as file:
        file.write("seen\n")
    p("run", "--rm", *p.parent, "-v", there + ":/v", "-v", "named:/n", "--tmpfs", "/t:size=1m", IMAGE, "/bin/sh", "-c",
      "cat /v/file; echo written >/v/made; echo kept >/n/kept; df -m /t | tail -1 | awk '{print $2}'").check(0, "seen\n1\n")
    with open(os.path.join(there, "made")) as file:
        equal(file.read(), "written\n", "by the host")
    p("run", "--rm", *p.parent, "-v", there + ":/v:ro", "-v", "named:/n:ro", IMAGE, "/bin/sh", "-c", "cat /n/kept; echo no >/v/file").check(
        1, "kept", "Read-only file system")
    p("volume", "rm", "named").check(0)
    p.nothing_left()


def test_volume_idmapped():
    if standing_in():
        skip("the stand-in has no idmapped mounts, or refuses this host's control groups")
    p = podman()
    there = tmp("idmapped", owner=(0, 0))
    ids = ["--uidmap", "0:200000:1000", "--gidmap", "0:200000:1000"]
    # Without a map of the mount the host's root is nobody there.
    p("run", "--rm", *p.parent, *ids, "-v", there + ":/v", IMAGE, "stat", "-c", "%u", "/v").check(0, "65534")
    p("run", "--rm", *p.parent, *ids, "-v", there + ":/v:idmap", IMAGE, "/bin/sh", "-c", "stat -c %u:%g /v; touch /v/made; chown 5:6 /v/made").check(
        0, "0:0")
    st = os.stat(os.path.join(there, "made"))
    equal((st.st_uid, st.st_gid), (5, 6), "owner on the host")
    p.nothing_left()


def test_userns_auto():
    p = podman()
    make_user("containers", subuid=(2000000, 1000000))
    for name in ("ua", "ub"):
        p.start("--userns=auto:size=4096", IMAGE, "sleep", "1000", name=name)
    pids = [p.proves(name) for name in ("ua", "ub")]
    maps = [open("/proc/%d/uid_map" % pid).read().split() for pid in pids]
    for words in maps:
        equal((words[0], words[2]), ("0", "4096"), "map %r" % words)
        check(2000000 <= int(words[1]) < 3000000, "a part of the range: %r" % words)
    check(maps[0] != maps[1], "two containers have two ranges: %r" % maps)
    equal(p.out("exec", "ua", "id", "-u"), "0", "root within")
    p.remove("ua", "ub")
    p.nothing_left()


def test_namespaces_of_others():
    p = podman()
    p.start(IMAGE, "sleep", "1000", name="first")
    first = p.proves("first")
    p.start("--network", "container:first", "--pid", "container:first", "--ipc", "container:first", IMAGE, "sleep", "1001", name="second")
    second = p.proves("second")
    for kind in ("net", "pid", "ipc"):
        equal(os.readlink("/proc/%d/ns/%s" % (first, kind)), os.readlink("/proc/%d/ns/%s" % (second, kind)), kind)
    p.remove("second", "first")
    p("run", "--rm", *p.parent, "--network", "host", "--pid", "host", "--uts", "host", IMAGE, "readlink", "/proc/self/ns/net").check(
        0, os.readlink("/proc/self/ns/net"))
    p.nothing_left()


def test_confinement():
    p = podman()
    p("run", "--rm", *p.parent, "--read-only", IMAGE, "touch", "/file").check(1, stderr="Read-only file system")
    p("run", "--rm", *p.parent, "--privileged", IMAGE, "/bin/sh", "-c", "grep Seccomp: /proc/self/status; mount -t tmpfs none /mnt && test -e /dev/vda || test -e /dev/mem || ls /dev").check(0)
    profile = os.path.join(tmp(), "profile.json")
    with open(profile, "w") as file:
        json.dump({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]}, file)
    p("run", "--rm", *p.parent, "--security-opt", "seccomp=" + profile, IMAGE, "mkdir", "/d").check(1, stderr="Function not implemented")
    p("run", "--rm", *p.parent, "--security-opt", "seccomp=unconfined", IMAGE, "grep", "Seccomp:", "/proc/self/status").check(0, "Seccomp:\t0")
    p("run", "--rm", *p.parent, "--sysctl", "net.ipv4.ip_forward=1", "--ulimit", "nofile=100:200", "--ulimit", "nproc=4000:4000", "--shm-size", "2m", "--device", "/dev/null:/dev/other",
      IMAGE, "/bin/sh", "-c", "cat /proc/sys/net/ipv4/ip_forward; ulimit -n; df -m /dev/shm | awk 'END {print $2}'; stat -c %t:%T /dev/other").check(
          0, "1\n100\n2\n1:3\n")
    p("run", "--rm", *p.parent, "--umask", "077", "--oom-score-adj", "500", IMAGE, "/bin/sh", "-c", "umask; cat /proc/self/oom_score_adj").check(
        0, "0077\n500\n")
    p("run", "--rm", *p.parent, IMAGE, "/bin/sh", "-c", "cat /proc/kcore; ls /sys/firmware | wc -l; echo x >/proc/sys/kernel/hostname").check(1)
    p.nothing_left()


def test_network():
    p = podman()
    for name in ("na", "nb"):
        p.start("-p", "%d:80" % (18080 if name == "na" else 18081), IMAGE, "/bin/sh", "-c",
                "echo %s >/tmp/index.html; httpd -f -p 80 -h /tmp" % name, name=name)
        p.proves(name)
    address = p.inspect("na")["NetworkSettings"]["IPAddress"]
    wait_for(lambda: p("exec", "nb", "wget", "-q", "-O", "-", "http://%s/" % address).stdout == "na\n", "the other container by the bridge")
    for port, wanted in ((18080, b"na\n"), (18081, b"nb\n")):
        got = urllib.request.build_opener(urllib.request.ProxyHandler({})).open("http://127.0.0.1:%d/" % port, timeout=10).read()
        equal(got, wanted, "port %d of the host" % port)
    p.remove("na", "nb")
    p.nothing_left()


def test_build():
    p = podman()
    there = tmp("build")
    with open(os.path.join(there, "Containerfile"), "w") as file:
        file.write("FROM %s\nCOPY file /file\nRUN cat /file >/made && id -u >>/made\nUSER 1969\nRUN id -u >/tmp/user\nRUN sleep 1\nCMD cat /made /tmp/user\n" % IMAGE)
    with open(os.path.join(there, "file"), "w") as file:
        file.write("copied\n")
    # Of a build it is the group itself, not the one above it.
    building = p.begin("build", "-t", "localhost/built", "--cgroup-parent", "/%s/build" % cgroup_parent(), there)
    wait_for(lambda: building.poll() is not None or any(name.startswith("buildah-") for name in p.states()), "a RUN step", timeout=30)
    ran = building.poll() is None
    output = building.communicate(timeout=60)[0].decode()
    check(ran, "no RUN step was in the runtime's state: " + output)
    equal(building.returncode, 0, "podman build: " + output)
    p("run", "--rm", *p.parent, "localhost/built").check(0, "copied\n0\n1969\n")
    p("rmi", "localhost/built").check(0)
    p.nothing_left()


def test_no_cgroups():
    if standing_in():
        skip("the stand-in has no --cgroup-manager disabled")
    p = podman()
    p("run", "--rm", "--cgroups=disabled", IMAGE, "echo", "without").check(0, "without")
    p.nothing_left()


def test_sdnotify():
    """--sdnotify=container: conmon makes the socket that config.json binds at /run/notify, and nsrun, which has NOTIFY_SOCKET from Podman, too, adds none of its own:
    what the workload says arrives, once."""
    p = podman()
    address = os.path.join(base(), "supervisor")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as up:
        up.bind(address)
        up.settimeout(60)
        p("run", "-d", "--name", "ready", "--sdnotify", "container", *p.parent, IMAGE, "/bin/sh", "-c", "echo $NOTIFY_SOCKET; grep -c /run/notify /proc/mounts; exec sleep 1000",
          env={"NOTIFY_SOCKET": address}).check(0)
        pid = p.proves("ready")
        contains(up.recv(4096).decode(), "MAINPID=", "what the supervisor hears of Podman")
        wait_for(lambda: p("logs", "ready").stdout.count("\n") == 2, "the workload")
        equal(p("logs", "ready").stdout, "/run/notify/notify.sock\n1\n", "NOTIFY_SOCKET inside, and mounts for it")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as workload:
            workload.sendto(b"READY=1", "/proc/%d/root/run/notify/notify.sock" % pid)
        contains(up.recv(4096).decode(), "READY=1", "what it hears of the workload")
    p.remove("ready")
    p.nothing_left()


def test_socket_activation():
    """podman run as systemd starts it: the socket, handed on by conmon, is descriptor 3 of the workload."""
    p = podman()
    path = os.path.join(base(), "web")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        inode = "socket:[%d]" % os.fstat(listener.fileno()).st_ino
        os.dup2(listener.fileno(), 40, inheritable=True)
        script = 'exec 3<&40 40<&-; export LISTEN_FDS=1 LISTEN_PID=$$ LISTEN_FDNAMES=web; exec "$@"'
        try:
            result = run(["bash", "-c", script, "systemd", "podman", "run", "--rm", *p.parent, IMAGE, "/bin/sh", "-c",
                          "readlink /proc/self/fd/3; echo $LISTEN_FDS $LISTEN_PID $$"], env=p.environment, cwd=p.top, popen={"pass_fds": [40]})
        finally:
            os.close(40)
        equal(result.check(0).stdout.split(), [inode, "1", "1", "1"], "what the workload has")
    p.nothing_left()


def test_end():
    p = podman()
    p("rmi", "-f", IMAGE).check(0)
    p.nothing_left()


if __name__ == "__main__":
    main()
