#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""containerd as Kubernetes has it, by the Container Runtime Interface, with nsrun as the runtime."""
import os
import time
import urllib.request

from engine import *
from containerd import Containerd
from cri import Refused, decode, dig, pairs

IMAGE = "docker.io/library/busybox:latest"
RUNNING, EXITED = 1, 2
OWN_PIDS = {2: 1}  # NamespaceOption: pid is CONTAINER; without it, POD
_daemon = []


def containerd():
    if not _daemon:
        needs_program("containerd", "ctr", "containerd-shim-runc-v2", "ip")
        if not os.path.exists("/usr/lib/cni/bridge"):
            skip("no /usr/lib/cni/bridge (containernetworking-plugins)")
        c = Containerd()
        c.image("busybox", ["/bin/sh"], "k8s.io")
        c.image("pause", ["/bin/sleep", "1000000"], "k8s.io")
        for name in ("busybox", "pause"):  # the plugin hears of them a little later
            wait_for(lambda name=name: 1 in c.cri("ImageStatus", {1: {1: "docker.io/library/%s:latest" % name}}), "the image " + name)
        _daemon.append(c)
    c = _daemon[0]
    for sandbox in c.cri("ListPodSandbox", {}).get(1, []):  # of a test that failed
        remove_sandbox(c, dig(sandbox, 1).decode())
    return c


def sandbox_config(name, linux=None, ports=()):
    return {1: {1: name, 2: "uid-" + name, 3: "default", 4: 1}, 2: name, 3: tmp("logs"), 5: list(ports), 6: pairs({"app": name}),
            8: {1: "/%s/pod%s" % (cgroup_parent(), name), **(linux or {})}}


def sandbox(c, config):
    return dig(c.cri("RunPodSandbox", {1: config}), 1).decode()


def container(c, pod, config, name, command, more=None, linux=None):
    """Creates and starts one; its id."""
    identity = create(c, pod, config, name, command, more, linux)
    c.cri("StartContainer", {1: identity})
    return identity


def create(c, pod, config, name, command, more=None, linux=None):
    wanted = {1: {1: name}, 2: {1: IMAGE}, 3: list(command), 11: name + ".log", 15: linux or {}, **(more or {})}
    return dig(c.cri("CreateContainer", {1: pod, 2: wanted, 3: config}), 1).decode()


def status(c, identity):
    return decode(dig(c.cri("ContainerStatus", {1: identity}), 1))


def execute(c, identity, *command, timeout=20):
    """(status, stdout, stderr)"""
    told = c.cri("ExecSync", {1: identity, 2: list(command), 3: timeout})
    return told.get(3, [0])[0], told.get(1, [b""])[0].decode(), told.get(2, [b""])[0].decode()


def remove_sandbox(c, pod):
    c.cri("StopPodSandbox", {1: pod})
    c.cri("RemovePodSandbox", {1: pod})


def nothing_left(c):
    equal(c.cri("ListContainers", {}).get(1, []), [], "containers")
    equal(c.cri("ListPodSandbox", {}).get(1, []), [], "sandboxes")
    equal(sorted(c.state("k8s.io")), [], "containers in the runtime's state")
    equal([entry[0] for entry in mountinfo() if entry[0].startswith((c.top + "/state", "/run/netns/", "/var/run/netns/"))], [], "mounts")
    equal([name for name in os.listdir("/sys/class/net") if name.startswith("veth")], [], "interfaces")


def test_version():
    told = containerd().cri("Version", {})
    equal(told[2][0], b"containerd", "runtime")
    ready = containerd().cri("Status", {})
    for condition in decode(ready[1][0])[1]:
        check(dig(condition, 2) == 1, "not ready: %r" % condition)


def test_pod():
    c = containerd()
    config = sandbox_config("pod")
    pod = sandbox(c, config)
    init = c.proves(pod, "k8s.io")
    contains(group(init, "pids")[0], "/%s/podpod/" % cgroup_parent(), "group of the sandbox")
    equal(dig(c.cri("PodSandboxStatus", {1: pod}), 1, 3, default=0), 0, "state: ready")
    address = dig(c.cri("PodSandboxStatus", {1: pod}), 1, 5, 1).decode()
    check(address.startswith("10.86."), "address %r" % address)
    first = container(c, pod, config, "first", ["/bin/sh", "-c", "echo out; echo err >&2; exec sleep 1000"])
    second = container(c, pod, config, "second", ["/bin/sh", "-c", "echo two >/tmp/index.html; exec httpd -f -p 80 -h /tmp"])
    pids = [c.proves(identity, "k8s.io") for identity in (first, second)]
    for kind in ("net", "ipc", "uts"):
        for pid in pids:
            equal(os.readlink("/proc/%d/ns/%s" % (pid, kind)), os.readlink("/proc/%d/ns/%s" % (init, kind)), kind)
    for kind in ("mnt",):
        equal(len({os.readlink("/proc/%d/ns/%s" % (pid, kind)) for pid in pids + [init]}), 3, kind)
    equal(status(c, first)[3][0], RUNNING, "state")
    wait_for(lambda: execute(c, first, "wget", "-q", "-O", "-", "http://127.0.0.1/")[1] == "two\n", "the other container by loopback")
    got = urllib.request.build_opener(urllib.request.ProxyHandler({})).open("http://%s/" % address, timeout=10).read()
    equal(got, b"two\n", "the pod's address from the host")
    wait_for(lambda: len(open(os.path.join(config[3], "first.log")).readlines()) == 2, "the log")
    with open(os.path.join(config[3], "first.log")) as file:
        lines = sorted(line.split(" ", 3)[1:] for line in file)
    equal(lines, [["stderr", "F", "err\n"], ["stdout", "F", "out\n"]], "log")
    c.cri("StopContainer", {1: first, 2: 0})
    equal(status(c, first)[3][0], EXITED, "state after StopContainer")
    check(not alive(pids[0]) and alive(pids[1]), "one ended, the other did not")
    c.cri("RemoveContainer", {1: first})
    remove_sandbox(c, pod)  # with what still runs in it
    check(not alive(pids[1]) and not alive(init), "nothing of the pod runs")
    nothing_left(c)


def test_exec():
    c = containerd()
    config = sandbox_config("exec")
    pod = sandbox(c, config)
    one = container(c, pod, config, "one", ["sleep", "1000"], linux={2: {1: {2: ["ALL"], 1: ["CHOWN"]}, 3: OWN_PIDS, 11: True, 15: {1: 0}}})
    c.proves(one, "k8s.io")
    equal(execute(c, one, "/bin/sh", "-c", "echo out; echo err >&2; exit 5"), (5, "out\n", "err\n"), "exec")
    wanted = ["grep", "-E", "Seccomp:|NoNewPrivs|CapBnd"]
    equal(execute(c, one, *wanted, "/proc/self/status"), execute(c, one, *wanted, "/proc/1/status"), "confinement of exec and of init")
    contains(execute(c, one, *wanted, "/proc/self/status")[1], "CapBnd:\t0000000000000001\nNoNewPrivs:\t1\nSeccomp:\t2", "confinement")
    try:
        told = execute(c, one, "/missing")
        fail("a missing command ran: %r" % (told,))
    except Refused as refused:
        contains(str(refused), "no such file or directory", "error")
    begin = time.monotonic()
    try:
        execute(c, one, "sleep", "100", timeout=1)
        fail("it should take too long")
    except Refused:
        check(time.monotonic() - begin < 20, "it ends at its time")
    remove_sandbox(c, pod)
    nothing_left(c)


def test_resources():
    c = containerd()
    config = sandbox_config("limits")
    pod = sandbox(c, config)
    one = container(c, pod, config, "one", ["sleep", "1000"], linux={1: {1: 100000, 2: 50000, 3: 512, 4: 64 << 20, 6: "0", 10: 64 << 20}})
    pid = c.proves(one, "k8s.io")
    equal(setting(pid, "memory", "memory.limit_in_bytes", "memory.max"), str(64 << 20), "memory")
    check(setting(pid, "cpu", "cpu.cfs_quota_us", "cpu.max") in ("50000", "50000 100000"), "cpu quota")
    check(setting(pid, "cpu", "cpu.shares", "cpu.weight") in ("512", "20", "59"), "cpu weight")
    equal(setting(pid, "cpuset", "cpuset.cpus", "cpuset.cpus"), "0", "cpuset")
    c.cri("UpdateContainerResources", {1: one, 2: {1: 100000, 2: 25000, 3: 256, 4: 96 << 20, 10: 96 << 20}})
    equal(setting(pid, "memory", "memory.limit_in_bytes", "memory.max"), str(96 << 20), "memory after the update")
    check(setting(pid, "cpu", "cpu.cfs_quota_us", "cpu.max") in ("25000", "25000 100000"), "cpu quota after the update")
    told = c.cri("ContainerStats", {1: one})
    equal(dig(told, 1, 1, 1).decode(), one, "statistics are of this container")
    check(dig(told, 1, 2, 2, 1, default=0) > 0, "processor time: %r" % told)
    check(dig(told, 1, 3, 2, 1, default=0) > 0, "memory: %r" % told)
    remove_sandbox(c, pod)
    nothing_left(c)


def test_statuses():
    c = containerd()
    config = sandbox_config("status")
    pod = sandbox(c, config)
    ends = container(c, pod, config, "ends", ["/bin/sh", "-c", "exit 7"])
    wait_for(lambda: status(c, ends)[3][0] == EXITED, "it ends")
    equal(status(c, ends)[7][0], 7, "exit status")
    polite = container(c, pod, config, "polite", ["/bin/sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done"])
    c.cri("StopContainer", {1: polite, 2: 10})
    equal(status(c, polite)[7][0], 3, "exit status after SIGTERM")
    # The first process of a pid namespace gets no signal that it has no handler for.
    deaf = container(c, pod, config, "deaf", ["sleep", "1000"], linux={2: {3: OWN_PIDS}})
    c.cri("StopContainer", {1: deaf, 2: 1})
    equal(status(c, deaf)[7][0], 137, "exit status after SIGKILL")
    memory = container(c, pod, config, "memory", ["tail", "/dev/zero"], linux={1: {4: 16 << 20, 10: 16 << 20}})
    wait_for(lambda: status(c, memory)[3][0] == EXITED, "it is killed", timeout=20)
    equal(status(c, memory)[10][0], b"OOMKilled", "reason")
    missing = create(c, pod, config, "missing", ["/missing"])
    try:
        c.cri("StartContainer", {1: missing})
        fail("a missing command ran")
    except Refused as refused:
        contains(str(refused), "no such file or directory", "error")
    remove_sandbox(c, pod)
    nothing_left(c)


def test_mounts_and_security():
    c = containerd()
    config = sandbox_config("mounts")
    pod = sandbox(c, config)
    there = tmp("volume")
    with open(os.path.join(there, "file"), "w") as file:
        file.write("seen\n")
    one = container(c, pod, config, "one", ["sleep", "1000"], {7: [{1: "/mnt", 2: there, 3: True}, {1: "/rw", 2: there}], 6: [{1: "A", 2: "b"}]},
                    {2: {5: {1: 1234}, 12: {1: 5678}, 7: True, 8: [77], 13: ["/etc/passwd"]}})
    c.proves(one, "k8s.io")
    equal(execute(c, one, "/bin/sh", "-c", "cat /mnt/file; echo $A $(id -u) $(id -g) $(id -G); cat /etc/passwd | wc -c"), (0, "seen\nb 1234 5678 5678 77\n0\n", ""),
          "mounts, environment, ids, a masked path")
    code, _, error = execute(c, one, "touch", "/mnt/no")
    check(code == 1 and "Read-only" in error, "a read-only mount: %s" % error)
    check(execute(c, one, "touch", "/no")[0] == 1, "a read-only root")
    privileged = sandbox_config("priv", {2: {6: True}})
    pod2 = sandbox(c, privileged)
    two = container(c, pod2, privileged, "two", ["sleep", "1000"], linux={2: {2: True}})
    equal(execute(c, two, "/bin/sh", "-c", "mount -t tmpfs none /mnt && grep Seccomp: /proc/self/status"), (0, "Seccomp:\t0\n", ""), "privileged")
    remove_sandbox(c, pod)
    remove_sandbox(c, pod2)
    nothing_left(c)


def test_namespaces():
    """Of the host (NODE is 2), of the pod (POD is 0), of a container (CONTAINER is 1)."""
    c = containerd()
    options = {1: 2, 2: 0, 3: 2}
    config = {**sandbox_config("node", {2: {1: options}}), 2: ""}
    pod = sandbox(c, config)
    one = container(c, pod, config, "one", ["sleep", "1000"], linux={2: {3: options}})
    pid = c.proves(one, "k8s.io")
    for kind in ("net", "ipc"):
        equal(os.readlink("/proc/%d/ns/%s" % (pid, kind)), os.readlink("/proc/self/ns/" + kind), kind)
    equal(os.readlink("/proc/%d/ns/pid" % pid), os.readlink("/proc/%d/ns/pid" % c.proves(pod, "k8s.io")), "pid namespace of the pod")
    two = container(c, pod, config, "two", ["sleep", "1000"], linux={2: {3: {**options, 2: 1}}})
    check(os.readlink("/proc/%d/ns/pid" % c.proves(two, "k8s.io")) != os.readlink("/proc/%d/ns/pid" % pid), "a pid namespace of its own")
    remove_sandbox(c, pod)
    nothing_left(c)


def test_ports():
    c = containerd()
    config = sandbox_config("ports", ports=[{2: 80, 3: 18090}])
    pod = sandbox(c, config)
    container(c, pod, config, "web", ["/bin/sh", "-c", "echo web >/tmp/index.html; exec httpd -f -p 80 -h /tmp"])
    address = [line.split()[3].split("/")[0] for line in run(["ip", "-4", "-o", "address", "show", "dev", "cni0"]).check(0).stdout.splitlines()][0]

    def fetch():
        try:
            return urllib.request.build_opener(urllib.request.ProxyHandler({})).open("http://%s:18090/" % address, timeout=10).read()
        except OSError:
            return b""
    wait_for(lambda: fetch() == b"web\n", "the port of the host")
    remove_sandbox(c, pod)
    nothing_left(c)


def test_daemon_restarts():
    c = containerd()
    config = sandbox_config("stays")
    pod = sandbox(c, config)
    one = container(c, pod, config, "one", ["sleep", "1000"])
    pid = c.proves(one, "k8s.io")
    c.restart()
    equal(status(c, one)[3][0], RUNNING, "state after the restart")
    equal(c.proves(one, "k8s.io"), pid, "init")
    equal(execute(c, one, "echo", "still")[1], "still\n", "exec")
    remove_sandbox(c, pod)
    nothing_left(c)


def test_stop():
    containerd().stop()


if __name__ == "__main__":
    main()
