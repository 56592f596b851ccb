#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Podman as an ordinary user, with nsrun as its runtime."""
import json
import os

from engine import *
from harness import make_user, run_as
from podman import Podman

IMAGE = "localhost/busybox"
_podman = []


def podman():
    if not _podman:
        needs_program("podman", "conmon", "newuidmap", "setpriv")
        # The machine's own tester is the one whose manager of systemd runs.
        make_user("tester", subuid=(1000000, 65536), uid=1000 if by_systemd() else None)
        _podman.append(Podman("rootless", "tester"))
        _podman[0].image()
    return _podman[0].again()


def test_run():
    p = podman()
    p("run", "--rm", "--network", "none", IMAGE, "/bin/sh", "-c", "echo out; echo err >&2; exit 3").check(3, "out", "err")
    p("run", "--rm", "-i", "--network", "none", IMAGE, "cat", input="through").check(0, "through")
    p("run", "--rm", "--network", "none", "-e", "A=b", "-w", "/tmp", "-u", "1234:5678", "-h", "host", IMAGE, "/bin/sh", "-c",
      "echo $A $PWD $(id -u) $(id -g) $(hostname)").check(0, "b /tmp 1234 5678 host")
    p("run", "--rm", "--network", "none", IMAGE, "/missing").check(127)
    p.nothing_left()


def test_ids():
    p = podman()
    p.start("--network", "none", IMAGE, "sleep", "1000", name="proof")
    pid = p.proves("proof")
    st = os.stat("/proc/%d" % pid)
    equal(st.st_uid, p.who.uid, "root of the container, by the host")
    with open("/proc/%d/uid_map" % pid) as file:
        rows = [tuple(int(word) for word in line.split()) for line in file]
    equal(rows, [(0, p.who.uid, 1), (1, 1000000, 65536)], "map")
    p.remove("proof")
    p.nothing_left()


def test_keep_id():
    p = podman()
    p("run", "--rm", "--network", "none", "--userns", "keep-id", IMAGE, "id", "-u").check(0, str(p.who.uid))
    p.start("--network", "none", "--userns", "keep-id", IMAGE, "sleep", "1000", name="kept")
    pid = p.proves("kept")
    equal(os.stat("/proc/%d" % pid).st_uid, p.who.uid, "owner by the host")
    p.remove("kept")
    p.nothing_left()


def test_terminal():
    p = podman()
    with p.pty("run", "--rm", "-it", "--network", "none", IMAGE, "/bin/sh") as terminal:
        terminal.expect("/ # ")
        terminal.write("stty size; tty\n")
        terminal.expect("24 80")
        terminal.expect("/dev/(pts/0|console)")
        terminal.write("exit 7\n")
        equal(terminal.wait(), 7, "status")
    p.nothing_left()


def test_exec():
    p = podman()
    p.start("--network", "none", "--security-opt", "no-new-privileges", IMAGE, "sleep", "1000", name="exec")
    p.proves("exec")
    p("exec", "exec", "/bin/sh", "-c", "echo out; exit 4").check(4, "out")
    p("exec", "-i", "-u", "99", "exec", "/bin/sh", "-c", "id -u; cat", input="through").check(0, "99\nthrough")
    wanted = "Seccomp|NoNewPrivs|CapBnd|CapPrm"
    init = p.out("exec", "exec", "grep", "-E", wanted, "/proc/1/status")
    p("exec", "exec", "grep", "-E", wanted, "/proc/self/status").check(0, init)
    contains(init, "NoNewPrivs:\t1", "init's status")
    contains(init, "Seccomp:\t2", "init's status")
    with p.pty("exec", "-it", "exec", "/bin/sh") as terminal:
        terminal.expect("/ # ")
        terminal.write("exit 5\n")
        equal(terminal.wait(), 5, "status")
    p.remove("exec")
    p.nothing_left()


def test_life():
    p = podman()
    p.start("--network", "none", IMAGE, "/bin/sh", "-c", "trap 'exit 9' TERM; echo begun; while :; do sleep 0.05; done", name="life")
    first = p.proves("life")
    wait_for(lambda: p("logs", "life").stdout == "begun\n", "the log")
    p("stop", "-t", "5", "life").check(0)
    equal(p.inspect("life")["State"]["ExitCode"], 9, "status")
    p("start", "life").check(0)
    check(p.proves("life") != first, "another init")
    p("kill", "life").check(0)
    equal(p.out("wait", "life"), "137", "status after a kill")
    p.remove("life")
    p.nothing_left()


def test_pod():
    p = podman()
    p("pod", "create", "--name", "pod", "--network", "none", "--share", "net,ipc,uts").check(0)
    for name in ("pa", "pb"):
        p("run", "-d", "--pod", "pod", "--name", name, IMAGE, "sleep", "1000").check(0)
        p.proves(name)
    for kind in ("net", "ipc", "uts"):
        equal(os.readlink("/proc/%d/ns/%s" % (p.proves("pa"), kind)), os.readlink("/proc/%d/ns/%s" % (p.proves("pb"), kind)), kind)
    p("pod", "rm", "-f", "-t", "0", "pod").check(0)
    p.nothing_left()


def test_healthcheck():
    p = podman()
    p.start("--network", "none", "--health-cmd", "test -e /tmp/well", "--health-interval", "disable", "--health-retries", "1",
            IMAGE, "sleep", "1000", name="health")
    p.proves("health")
    p("healthcheck", "run", "health").check(1)
    p("exec", "health", "touch", "/tmp/well").check(0)
    p("healthcheck", "run", "health").check(0)
    p.remove("health")
    p.nothing_left()


def test_volumes():
    p = podman()
    there = tmp("volume", owner=p.who)
    p("run", "--rm", "--network", "none", "-v", there + ":/v", "-v", "named:/n", IMAGE, "/bin/sh", "-c",
      "echo a >/v/root; echo b >/v/other; chown 7:8 /v/other; echo kept >/n/kept").check(0)
    st = [os.stat(os.path.join(there, name)) for name in ("root", "other")]
    equal([(s.st_uid, s.st_gid) for s in st], [(p.who.uid, p.who.gid), (1000006, 1000007)], "owners on the host")
    p("run", "--rm", "--network", "none", "-v", "named:/n:ro", IMAGE, "/bin/sh", "-c", "cat /n/kept; echo no >/n/kept").check(
        1, "kept", "Read-only file system")
    p("volume", "rm", "named").check(0)
    p.nothing_left()


def test_volume_idmapped():
    """The kernel lets nobody but root of the initial user namespace map a mount of the host's file system: the error says which mount."""
    if standing_in():
        skip("the stand-in has words of its own")
    p = podman()
    there = tmp("idmapped", owner=p.who)
    told = p("run", "--rm", "--network", "none", "--userns", "keep-id", "-v", there + ":/v:idmap", IMAGE, "true")
    check(told.status != 0, "an idmapped mount of the host's file system: %r" % told)
    contains(told.stderr, "idmap", "error")
    p.nothing_left()


if not pure_v2():
    def test_limits_are_refused():
        """On a host with v1 hierarchies an ordinary user has no groups: Podman itself leaves limits out, and says so."""
        p = podman()
        told = p("run", "--rm", "--network", "none", "-m", "64m", IMAGE, "true")
        contains(told.stderr.lower(), "cgroup", "warning or error: %r" % told)
        p.nothing_left()


if by_systemd():
    def test_limits():
        """The user's own manager of systemd makes the group, and the user writes the limits."""
        p = podman()
        p.start("--network", "none", "-m", "64m", "--memory-swap", "64m", "--memory-reservation", "32m", "--pids-limit", "50", "--cpus", "0.5",
                "--cpu-shares", "512", "--cpuset-cpus", "0", IMAGE, "sleep", "1000", name="limits")
        pid = p.proves("limits")
        path, version = group(pid, "memory")
        equal(version, 2, "version of the group")
        contains(path, "/user.slice/user-%d.slice/user@%d.service/" % (p.who.uid, p.who.uid), "the group")
        contains(path, "/libpod-%s.scope" % p.inspect("limits")["Id"], "the group")

        def has(**wanted):
            for name, value in wanted.items():
                with open(os.path.join(path, name.replace("_", "."))) as file:
                    equal(file.read().strip(), value, name)
        has(memory_max=str(64 << 20), memory_low=str(32 << 20), pids_max="50", cpu_max="50000 100000", cpuset_cpus="0")
        equal(open(path + "/memory.swap.max").read().strip(), "0", "swap")
        check(open(path + "/cpu.weight").read().strip() in ("20", "59"), "weight of 512 shares")
        equal(status_of(pid)["Cpus_allowed_list"], "0", "what the process may use")
        equal(cgroup_pids(path), {pid}, "processes of the group")
        # A process of exec is bound by the same group.
        told = p("exec", "limits", "/bin/sh", "-c", "for i in $(seq 60); do sleep 5 & done; echo all")
        check(told.status != 0 and "all" not in told.stdout, "60 processes of exec under a limit of 50: %r" % told)
        told = json.loads(p.out("stats", "--no-stream", "--format", "json", "limits"))[0]
        contains(told["mem_usage"], " / 67.11MB", "podman stats")
        contains(p.out("top", "limits"), "sleep", "podman top")
        p("update", "-m", "96m", "--cpus", "0.25", "limits").check(0)
        has(memory_max=str(96 << 20), cpu_max="25000 100000")
        p("pause", "limits").check(0)
        equal(p.inspect("limits")["State"]["Status"], "paused", "status by Podman")
        contains(open(path + "/cgroup.events").read(), "frozen 1", "events of the group")
        p("unpause", "limits").check(0)
        contains(open(path + "/cgroup.events").read(), "frozen 0", "events of the group")
        p.remove("limits")
        p.nothing_left()

    def test_limits_have_effect():
        p = podman()
        p("run", "--rm", "--network", "none", "-m", "32m", "--memory-swap", "32m", IMAGE, "tail", "/dev/zero").check(137)
        p("run", "--rm", "--network", "none", "-m", "32m", "--memory-swap", "32m", IMAGE, "head", "-c", "1000", "/dev/zero").check(0)
        told = p("run", "--rm", "--network", "none", "--pids-limit", "5", IMAGE, "/bin/sh", "-c", "for i in $(seq 8); do sleep 1 & done; echo all")
        check(told.status != 0 and "all" not in told.stdout, "eight processes under a limit of five: %r" % told)
        # Two seconds of work under a tenth of a processor: the kernel counts the periods in which it stopped them.
        p.start("--network", "none", "--cpus", "0.1", IMAGE, "/bin/sh", "-c", "while :; do :; done", name="busy")
        path = group(p.proves("busy"), "cpu")[0]

        def throttled():
            with open(path + "/cpu.stat") as file:
                return dict(line.split() for line in file)["nr_throttled"]
        wait_for(lambda: int(throttled()) > 2, "periods in which it was stopped", timeout=20)
        p.remove("busy")
        p.nothing_left()

    def test_limits_of_a_pod():
        p = podman()
        p("pod", "create", "--name", "bound", "--network", "none").check(0)
        p("run", "-d", "--pod", "bound", "--name", "member", "-m", "48m", IMAGE, "sleep", "1000").check(0)
        path = group(p.proves("member"), "memory")[0]
        equal(open(path + "/memory.max").read().strip(), str(48 << 20), "memory")
        contains(path, "libpod_pod_", "the group of the pod around it")
        p("pod", "rm", "-f", "-t", "0", "bound").check(0)
        p.nothing_left()


def test_network():
    needs_program("slirp4netns")
    if not os.path.exists("/dev/net/tun"):
        skip("no /dev/net/tun, which slirp4netns needs")
    p = podman()
    p("run", "--rm", "--network", "slirp4netns", IMAGE, "ip", "address", "show", "tap0").check(0)
    p.nothing_left()


def test_build():
    p = podman()
    there = tmp("build", owner=p.who)
    with open(os.path.join(there, "Containerfile"), "w") as file:
        file.write("FROM %s\nCOPY file /file\nRUN cat /file >/made && id -u >>/made\nUSER 1969\nRUN id -u >/tmp/user\nRUN sleep 1\n"
                   "CMD cat /made /tmp/user\n" % IMAGE)
    with open(os.path.join(there, "file"), "w") as file:
        file.write("copied\n")
    building = p.begin("build", "--network", "none", "-t", "localhost/built", there)
    wait_for(lambda: building.poll() is not None or any(name.startswith("buildah-") for name in p.states()), "a RUN step", timeout=30)
    ran = building.poll() is None
    output = building.communicate(timeout=60)[0].decode()
    check(ran, "no RUN step was in the runtime's state: " + output)
    equal(building.returncode, 0, "podman build: " + output)
    p("run", "--rm", "--network", "none", "localhost/built").check(0, "copied\n0\n1969\n")
    p("rmi", "localhost/built").check(0)
    p.nothing_left()


def test_end():
    p = podman()
    p("rmi", "-f", IMAGE).check(0)
    p.nothing_left()
    p.stop()


if __name__ == "__main__":
    main()
