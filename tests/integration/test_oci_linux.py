# SPDX-License-Identifier: Apache-2.0
"""config.json's scheduler, ioPriority, personality, memoryPolicy, labels, intelRdt, netDevices and the listener of its filter: what the kernel has of them
in a container, and what is said of them where they cannot be had."""
import array
import ctypes
import errno
import json
import os
import signal
import socket
import struct
import subprocess
import threading

from harness import *
from test_oci_life import Bundle, failing

PROC = {"destination": "/proc", "type": "proc", "source": "proc"}
SYS_IOPRIO_GET, SYS_PERSONALITY = 252, 135
SHELL = ["/bin/sh", "-c"]
SLEEP = "exec sleep 60 >/dev/null 2>&1"  # a container that runs on must not keep the pipes of the command that started it


def bundle(script, process=None, linux=None, **more):
    """A bundle whose workload is a shell script, with /proc."""
    b = Bundle(*SHELL, script, mounts=[PROC], **more)
    b.config["process"].update(process or {})
    b.config["linux"].update(linux or {})
    b.write()
    return b


def printed(script, process=None, linux=None, **more):
    with bundle(script, process, linux, **more) as b:
        return b("run", "-b", b.dir, "c").check(0).stdout


def refused(words, process=None, linux=None):
    with bundle("echo no", process, linux) as b:
        result = b("run", "-b", b.dir, "c")
        failing(result, words)
        equal(result.stdout, "", "what the workload printed")
        equal(b.ids(), [], "what is left")


def field(pid, number):
    """A field of /proc/PID/stat as proc(5) counts them."""
    with open("/proc/%d/stat" % pid) as file:
        return file.read().rsplit(")", 1)[1].split()[number - 3]


# ---- scheduler and I/O ----

@generate(root=True)
def schedulers():
    known = [("other", {"policy": "SCHED_OTHER", "nice": 5}, os.SCHED_OTHER, 0, 5),
             ("batch", {"policy": "SCHED_BATCH", "nice": -3}, os.SCHED_BATCH, 0, -3),
             ("idle", {"policy": "SCHED_IDLE"}, os.SCHED_IDLE, 0, 0),
             ("fifo", {"policy": "SCHED_FIFO", "priority": 7}, os.SCHED_FIFO, 7, 0),
             ("rr", {"policy": "SCHED_RR", "priority": 1, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}, os.SCHED_RR | os.SCHED_RESET_ON_FORK, 1, 0),
             ("deadline", {"policy": "SCHED_DEADLINE", "runtime": 1000000, "deadline": 50000000, "period": 100000000}, 6, 0, 0)]
    for word, setting, policy, priority, nice in known:
        def one(setting=setting, policy=policy, priority=priority, nice=nice):
            # A group of cgroup v1 may have no time for real-time policies.
            with bundle(SLEEP, {"scheduler": setting}) as b:
                b("--cgroup-manager", "disabled", "run", "-d", "-b", b.dir, "c").check(0)
                pid = b.state()["pid"]
                got = os.sched_getscheduler(pid)
                equal((got, os.sched_getparam(pid).sched_priority, os.getpriority(os.PRIO_PROCESS, pid)), (policy, priority, nice),
                      "policy, priority, nice of the workload")
        yield word, one


@test(root=True)
def test_scheduler_as_the_workload_sees_it():
    equal(printed("cut -d' ' -f19,41 /proc/self/stat", {"scheduler": {"policy": "SCHED_BATCH", "nice": 11}}), "11 3\n", "nice and policy")


@test(root=True)
def test_a_deadline_makes_no_processes_for_hooks():
    with bundle("exec sleep 60", {"scheduler": {"policy": "SCHED_DEADLINE", "runtime": 1000000, "deadline": 50000000}}) as b:
        b.hook("startContainer", "exit 0")
        failing(b("run", "-b", b.dir, "c"), "hooks.startContainer")


@test(root=True)
def test_scheduler_in_a_user_namespace():
    """Container root's CAP_SYS_NICE is of another user namespace; the runtime's is what counts."""
    with bundle("cut -d' ' -f41 /proc/self/stat", {"scheduler": {"policy": "SCHED_FIFO", "priority": 7}}) as b:
        b.config["linux"]["namespaces"].append({"type": "user"})
        b.config["linux"]["uidMappings"] = b.config["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        b.write()
        equal(b("--cgroup-manager", "disabled", "run", "-b", b.dir, "c").check(0).stdout, "1\n", "policy in a user namespace")


@test(root=True)
def test_realtime_group_without_time():
    if not any("cpu" in entry[6].split(",") and entry[4] == "cgroup" and os.path.exists(entry[0] + "/cpu.rt_runtime_us") for entry in mountinfo()):
        skip("no cpu groups of cgroup v1 that have real-time budgets")
    refused("linux.resources.cpu.realtimeRuntime", {"scheduler": {"policy": "SCHED_FIFO", "priority": 7}})


@test(root=True)
def test_realtime_groups():
    """linux.resources.cpu.realtimeRuntime and realtimePeriod, in the group's files; and with them a realtime policy is to be had."""
    mount = next((entry[0] for entry in mountinfo() if "cpu" in entry[6].split(",") and entry[4] == "cgroup"), None)
    if not mount or not os.path.exists(mount + "/cpu.rt_runtime_us"):
        skip("no cpu groups of cgroup v1 that have real-time budgets")
    path = "/nsrun-rt-%d" % os.getpid()
    with bundle(SLEEP, {"scheduler": {"policy": "SCHED_FIFO", "priority": 7}},
                {"cgroupsPath": path, "resources": {"cpu": {"realtimeRuntime": 2000, "realtimePeriod": 500000}}}) as b:
        b("run", "-d", "-b", b.dir, "c").check(0)
        for name, wanted in (("cpu.rt_runtime_us", "2000\n"), ("cpu.rt_period_us", "500000\n")):
            with open(mount + path + "/" + name) as file:
                equal(file.read(), wanted, name)
        pid = b.state()["pid"]
        equal(os.sched_getscheduler(pid), os.SCHED_FIFO, "policy of the workload")
        with open("/proc/%d/cgroup" % pid) as file:
            contains(file.read(), ":cpu:%s\n" % path, "its group")
    refused("linux.resources.cpu.realtimeRuntime", linux={"cgroupsPath": path, "resources": {"cpu": {"realtimeRuntime": 900000, "realtimePeriod": 500000}}})


@generate(root=True)
def io_priorities():
    for word, number in (("RT", 1), ("BE", 2), ("IDLE", 3)):
        def one(word=word, number=number):
            with bundle("exec sleep 60", {"ioPriority": {"class": "IOPRIO_CLASS_" + word, "priority": 6}}) as b:
                b.made()
                got = ctypes.CDLL(None, use_errno=True).syscall(SYS_IOPRIO_GET, 1, b.state()["pid"])
                equal((got >> 13, got & 7), (number, 6), "class and level")
        yield word.lower(), one


# ---- personality, memory ----

@test(root=True)
def test_personality():
    for domain, machine, number in (("LINUX32", "i686\n", "00000008"), ("LINUX", os.uname().machine + "\n", "00000000")):
        equal(printed("uname -m", linux={"personality": {"domain": domain}}), machine, "the machine that uname(2) says")
        with bundle(SLEEP, linux={"personality": {"domain": domain}}) as b:
            b("run", "-d", "-b", b.dir, "c").check(0)
            with open("/proc/%d/personality" % b.state()["pid"]) as file:
                equal(file.read().strip(), number, "personality as the host sees it")


@test(root=True)
def test_memory_policy():
    for policy, word in (({"mode": "MPOL_INTERLEAVE", "nodes": "0"}, "interleave:0"), ({"mode": "MPOL_DEFAULT"}, "default"),
                         ({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}, "bind=static:0"),
                         ({"mode": "MPOL_PREFERRED", "nodes": "0", "flags": ["MPOL_F_RELATIVE_NODES"]}, "prefer=relative:0"),
                         ({"mode": "MPOL_PREFERRED_MANY", "nodes": "0"}, "prefer (many):0"), ({"mode": "MPOL_LOCAL"}, "local")):
        got = printed("head -n1 /proc/self/numa_maps", linux={"memoryPolicy": policy})
        equal(got.split(" ", 1)[1].rsplit(" ", got.count("=") - (policy.get("flags") is not None))[0].split(" file")[0].split(" anon")[0].strip(), word,
              "policy of %r in %r" % (policy, got))


@test(root=True)
def test_settings_that_the_kernel_refuses():
    refused("linux.memoryPolicy: set_mempolicy", linux={"memoryPolicy": {"mode": "MPOL_BIND", "nodes": "1023"}})
    refused("process.scheduler: sched_setattr", {"scheduler": {"policy": "SCHED_DEADLINE", "runtime": 1000, "deadline": 1000}})
    # A row before the workload's is not undone by half: nothing is left of the container (checked by the bundle).
    refused("config.json: process.scheduler.policy", {"scheduler": {"policy": "SCHED_X"}})
    refused("config.json: linux.personality.domain", linux={"personality": {"domain": "SVR4"}})


# ---- labels ----

def has_lsm(name):
    try:
        with open("/sys/kernel/security/lsm") as file:
            return name in file.read().split(",")
    except OSError:
        return False


@test(root=True)
def test_labels_without_their_module():
    if not has_lsm("apparmor"):
        refused("config.json: process.apparmorProfile: 'docker-default': AppArmor is not active", {"apparmorProfile": "docker-default"})
        equal(printed("echo ok", {"apparmorProfile": "unconfined"}), "ok\n", "without AppArmor nothing is confined anyway")
    if not has_lsm("selinux"):
        refused("config.json: process.selinuxLabel", {"selinuxLabel": "system_u:system_r:container_t:s0"})
        refused("config.json: linux.mountLabel", linux={"mountLabel": "system_u:object_r:container_file_t:s0"})


# ---- intelRdt ----

@test(root=True)
def test_rdt_without_hardware():
    if any(entry[4] == "resctrl" for entry in mountinfo()):
        skip("resctrl is mounted here")
    refused("linux.intelRdt: no resctrl file system is mounted", linux={"intelRdt": {"closID": "gold"}})


@test(root=True)
def test_rdt_group_that_is_there():
    """By what is written: no machine of the tests has the hardware. The build with fault points takes another tree."""
    tree = tmp("resctrl")
    for directory in ("gold", "gold/mon_groups", "gold/mon_groups/never"):
        os.mkdir(os.path.join(tree, directory))
    for name, text in (("schemata", "    L3:0=00ff\n"), ("tasks", "")):
        with open(os.path.join(tree, "gold", name), "w") as file:
            file.write(text)
    env = {"NSRUN_TEST_RESCTRL": tree}
    with bundle(SLEEP, linux={"intelRdt": {"closID": "gold", "schemata": ["L3:0=ff"]}}) as b:
        b("run", "-d", "-b", b.dir, "c", env=env, sanitizer=True).check(0)
        with open(tree + "/gold/tasks") as file:
            equal(file.read(), "%d\n" % b.state()["pid"], "tasks of the group")
    with bundle("echo no", linux={"intelRdt": {"closID": "gold", "schemata": ["L3:0=f"]}}) as b:
        failing(b("run", "-b", b.dir, "c", env=env, sanitizer=True), "linux.intelRdt: group gold is there already, and L3:0=f is not what it has")
    with bundle("echo no", linux={"intelRdt": {"closID": "silver"}}) as b:
        failing(b("run", "-b", b.dir, "c", env=env, sanitizer=True), "linux.intelRdt: group silver")
    equal(sorted(os.listdir(tree)), ["gold"], "groups")


# ---- network devices ----

def in_network(script, *words):
    """Runs a shell script in a network namespace of its own, with "$@" after it."""
    return run(["unshare", "--net", "/bin/sh", "-ec", script, "sh", *words], timeout=40)


SETUP = """
ip link add one type veth peer name other
ip address add 10.9.0.1/24 dev one; ip address add fd09::1/64 dev one nodad; ip address add 10.8.0.1/24 dev one valid_lft 900 preferred_lft 900
ip address add 169.254.9.9/16 scope link dev one
"""


def network_bundle(devices, script="ip -o address; ip -o link"):
    return bundle(script, linux={"netDevices": devices})


@test(root=True, needs=["ip", "unshare"])
def test_network_devices():
    with network_bundle({"one": {}}) as b:
        result = in_network(SETUP + '"$@"; ip -o link', binary(), "--root", b.root, "run", "-b", b.dir, "c").check(0)
        inside, outside = result.stdout, result.stdout.split("lo:", 2)[-1]
        contains(inside, "10.9.0.1/24", "addresses inside")
        contains(inside, "fd09::1/64", "addresses inside")
        check("10.8.0.1" not in inside, "an address that is not permanent came along:\n%s" % inside)
        check("169.254.9.9" not in inside, "an address of the link came along:\n%s" % inside)
        check("one@" in inside and ",UP" in inside.split("one@", 1)[1].split(">", 1)[0], "the device is not up:\n%s" % inside)
        check("one" not in outside, "the device is still outside:\n%s" % outside)


@test(root=True, needs=["ip", "unshare"])
def test_network_devices_get_names():
    with network_bundle({"one": {"name": "eth%d"}, "other": {"name": "eth%d"}}) as b:
        out = in_network(SETUP + '"$@"', binary(), "--root", b.root, "run", "-b", b.dir, "c").check(0).stdout
        check("eth0@" in out and "eth1@" in out, "names inside:\n%s" % out)
        contains(out, "10.9.0.1/24", "addresses")
    with network_bundle({"one": {"name": "lan"}}) as b:
        out = in_network(SETUP + '"$@"', binary(), "--root", b.root, "run", "-b", b.dir, "c").check(0).stdout
        contains(out, "lan@", "names inside")


@test(root=True, needs=["ip", "unshare"])
def test_network_devices_of_a_launch_that_fails():
    for devices, words in (({"one": {"name": "a"}, "gone": {}}, "linux.netDevices.gone: network device gone"),
                           ({"one": {"name": "lo"}}, "linux.netDevices.one: a device called lo in the container")):
        with network_bundle(devices) as b:
            result = in_network(SETUP + 'if "$@"; then exit 3; fi; ip -o address; ip -o link', binary(), "--root", b.root, "run", "-b", b.dir, "c")
            result.check(0)
            contains(result.stderr, words, "stderr")
            contains(result.stdout, "one    inet 10.9.0.1/24", "addresses outside")
            contains(result.stdout, "fd09::1/64", "addresses outside")
    # After the devices are there: CMD is not.
    with network_bundle({"one": {"name": "a"}}) as b:
        b.config["process"]["args"] = ["/nope"]
        b.write()
        result = in_network(SETUP + 'ip link set one up; if "$@"; then exit 3; fi; ip -o address; ip -o link', binary(), "--root", b.root, "run", "-b",
                            b.dir, "c").check(0)
        contains(result.stdout, "one    inet 10.9.0.1/24", "addresses outside")
        check(",UP" in result.stdout.split(": one@", 1)[1].split(">", 1)[0], "the device is up again:\n%s" % result.stdout)


@test(root=True, needs=["ip", "unshare", "nsenter"])
def test_network_devices_stay_with_their_namespace():
    """Of a namespace that lives on without the container: what was moved is not moved back, and what became of it there is left as it is."""
    hold = """
unshare --net sleep 60 >&- 2>&- & there=$!
trap 'kill $there' EXIT
until [ "$(readlink /proc/$there/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
sed -i "s,THERE,/proc/$there/ns/net," "$1/config.json"
shift
"$@"
echo outside; ip -o link; echo inside; nsenter -t $there -n ip -o link
"""
    with network_bundle({"one": {}}, "ip link set one down; ip link set one name renamed") as b:
        for namespace in b.config["linux"]["namespaces"]:
            if namespace["type"] == "network":
                namespace["path"] = "THERE"
        for names in b.config["process"]["capabilities"].values():
            names.append("CAP_NET_ADMIN")
        b.write()
        out = in_network(SETUP + hold, b.dir, binary(), "--root", b.root, "run", "-b", b.dir, "c").check(0).stdout
        outside, inside = out.split("outside\n", 1)[1].split("inside\n")
        check("one" not in outside and "renamed" not in outside, "the device was moved back:\n%s" % out)
        check(": renamed@" in inside and ",UP" not in inside.split("renamed@", 1)[1].split(">", 1)[0], "the device was meddled with:\n%s" % out)


@test(root=True)
def test_network_devices_need_a_namespace():
    with bundle("echo no", linux={"netDevices": {"one": {}}}) as b:
        b.config["linux"]["namespaces"] = [n for n in b.config["linux"]["namespaces"] if n["type"] != "network"]
        b.write()
        failing(b("run", "-b", b.dir, "c"), "config.json: linux.netDevices: devices are moved into a network namespace")


# ---- the filter's listener ----

IOCTL_RECV, IOCTL_SEND = 0xc0502100, 0xc0182101
CONTINUE = 1


class Agent:
    """Listens, takes one listener, and answers mkdir with `answer`; everything else goes on."""

    def __init__(self, answer=-1, hangs_up=False, path=None):
        self.hangs_up = hangs_up
        self.path = path or os.path.join(tmp(), "agent")
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(self.path)
        self.server.listen(1)
        self.server.settimeout(30 * SLOW)
        self.answer, self.state, self.calls, self.failure, self.taken = answer, None, [], None, threading.Event()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _take(self):
        connection, _ = self.server.accept()
        with connection:
            if self.hangs_up:
                raise OSError("hung up")
            data, control, _, _ = connection.recvmsg(65536, socket.CMSG_SPACE(64))
            fds = array.array("i")
            for level, kind, body in control:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    fds.frombytes(body[:len(body) // 4 * 4])
            while True:
                more = connection.recv(65536)
                if not more:
                    break
                data += more
        return json.loads(data), list(fds)

    def _serve(self):
        try:
            self.state, self.fds = self._take()
            self.taken.set()
            libc = ctypes.CDLL(None, use_errno=True)
            while True:
                call = ctypes.create_string_buffer(80)
                if libc.ioctl(self.fds[0], ctypes.c_ulong(IOCTL_RECV), call) < 0:
                    return
                ident, pid, flags, nr = struct.unpack_from("=QIIi", call)
                self.calls.append(nr)
                mine = nr in (83, 258)
                response = struct.pack("=QqiI", ident, 0, self.answer if mine else 0, 0 if mine else CONTINUE)
                libc.ioctl(self.fds[0], ctypes.c_ulong(IOCTL_SEND), ctypes.create_string_buffer(response, 24))
        except Exception as failure:  # noqa: shown by the test that waits
            self.failure = failure
            self.taken.set()

    def wait(self):
        check(self.taken.wait(30 * SLOW), "the agent got nothing")
        if self.failure:
            raise self.failure
        return self.state

    def close(self):
        self.server.close()
        for fd in getattr(self, "fds", []):
            os.close(fd)


def filtered(agent, script, notify, default="SCMP_ACT_ALLOW", new_privs=False, flags=(), **more):
    b = bundle(script, {"noNewPrivileges": not new_privs}, {"seccomp": {
        "defaultAction": default, "listenerPath": agent.path, "listenerMetadata": "a=b", "flags": list(flags),
        "syscalls": [{"names": notify, "action": "SCMP_ACT_NOTIFY"}]}}, **more)
    return b


def listened(agent, b, state="creating"):
    """What the agent is told of the container c."""
    said = agent.wait()
    equal((said["ociVersion"], said["fds"], said["metadata"]), ("1.0.2", ["seccompFd"], "a=b"), "container process state")
    equal(len(agent.fds), 1, "descriptors")
    inner = said["state"]
    equal((inner["id"], inner["status"], inner["bundle"], inner["annotations"]), ("c", state, b.dir, {"org.example.a": "b"}), "its state")
    equal(inner["pid"], said["pid"], "pids")
    return said["pid"]


@generate(root=True)
def listeners():
    for name, new_privs in (("no-new-privileges", False), ("new-privileges", True)):
        def one(new_privs=new_privs):
            agent = Agent(answer=-errno.EXDEV)
            with filtered(agent, "mkdir /tmp/a; exec sleep 60", ["mkdir", "mkdirat"], new_privs=new_privs) as b:
                b.made()
                equal(listened(agent, b), b.state()["pid"], "pid, before start")
                b("start", "c").check(0)
                wait_for(lambda: agent.calls, "a call that was handed on")
                with open("/proc/%d/status" % b.state()["pid"]) as file:
                    status = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
                equal((status["Seccomp"], status["NoNewPrivs"], status["Threads"]), ("2", "0" if new_privs else "1", "1"), "of the workload")
                equal(int(status["CapEff"], 16) >> 21 & 1, 0, "CAP_SYS_ADMIN of the workload")
            agent.close()
        yield name, one


@test(root=True)
def test_listener_of_exec():
    first = Agent(answer=-errno.EXDEV)
    with filtered(first, "exec sleep 60", ["mkdir", "mkdirat"]) as b:
        b.made()
        b("start", "c").check(0)
        listened(first, b)
        first.close()
        os.unlink(first.path)
        second = Agent(answer=-errno.EXDEV, path=first.path)
        contains(b("exec", "c", "/bin/mkdir", "/tmp/a").stderr, "Invalid cross-device link", "what mkdir says")
        check(listened(second, b, "running") != b.state()["pid"], "the pid of the further process")
        second.close()
        os.unlink(first.path)
        contains(b("exec", "c", "/bin/mkdir", "/tmp/a").stderr, "linux.seccomp.listenerPath", "exec without an agent")


@test(root=True)
def test_exec_has_what_the_workload_has():
    with bundle("exec sleep 60", linux={"personality": {"domain": "LINUX32"}, "memoryPolicy": {"mode": "MPOL_INTERLEAVE", "nodes": "0"}}) as b:
        b.made()
        b("start", "c").check(0)
        out = b("exec", "c", "/bin/sh", "-c", "uname -m; head -n1 /proc/self/numa_maps").check(0).stdout
        check(out.startswith("i686\n") and " interleave:0 " in out, "of a further process: %r" % out)


@test(root=True)
def test_listener_answers():
    agent = Agent(answer=-errno.EXDEV)
    with filtered(agent, "mkdir /tmp/a 2>&1; ls -l /proc/self/fd | grep -c seccomp", ["mkdir", "mkdirat"]) as b:
        out = b("run", "-b", b.dir, "c").stdout
        contains(out, "Invalid cross-device link", "output")
        contains(out, "\n0\n", "descriptors of the listener in the container")
    agent.close()


@test(root=True)
def test_listener_of_the_calls_that_send_it():
    """What the sending itself takes is handed on, too."""
    agent = Agent()
    with filtered(agent, "echo fine", ["sendmsg", "sendto", "write", "futex", "sched_yield", "shutdown", "execve", "close"],
                  flags=["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
                         "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]) as b:
        equal(b("run", "-b", b.dir, "c").check(0).stdout, "fine\n", "output")
        listened(agent, b)
        check({59, 1} <= set(agent.calls), "execve and write were handed on: %r" % agent.calls)
    agent.close()


@test(root=True)
def test_listener_of_every_call():
    agent = Agent()
    with filtered(agent, "echo fine", ["mkdir"], default="SCMP_ACT_NOTIFY") as b:
        b.config["linux"]["seccomp"]["syscalls"] = []
        b.write()
        equal(b("run", "-b", b.dir, "c").check(0).stdout, "fine\n", "output")
    agent.close()


@test(root=True)
def test_no_agent():
    agent = Agent(hangs_up=True)
    there, agent.path = agent.path, agent.path + "-not"
    with filtered(agent, "echo no", ["mkdir"]) as b:
        failing(b("run", "-b", b.dir, "c"), "linux.seccomp.listenerPath: %s" % agent.path)
        equal(b.ids(), [], "what is left")
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(there)
    agent.thread.join()
    agent.close()


@test(root=True)
def test_agent_that_hangs_up():
    agent = Agent(hangs_up=True)
    with filtered(agent, "echo no", ["mkdir"]) as b:
        equal(b.create(), 1, "status of create")
        check(agent.taken.wait(30 * SLOW), "nobody called")
        contains(b.errors, "linux.seccomp.listenerPath", "stderr of create")
        contains(b.errors, "seccomp.load", "stderr of create")
        equal(b.ids(), [], "what is left")


if __name__ == "__main__":
    main()
