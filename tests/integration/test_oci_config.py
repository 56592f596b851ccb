# SPDX-License-Identifier: Apache-2.0
# tests/run: long
"""config.json: what each field does, looked at from inside the container and in the kernel's files on the host; what is refused, and with which words; and documents that
are broken, huge or hostile."""
import contextlib
import glob
import json
import os
import resource
import socket
import subprocess
import sys
import time

from harness import *
from systemd_fake import fake, possible
from test_oci_life import Bundle, failing

KINDS = {"pid": "pid", "network": "net", "ipc": "ipc", "uts": "uts", "mount": "mnt", "user": "user", "cgroup": "cgroup", "time": "time"}
MAP = [{"containerID": 0, "hostID": 100000, "size": 65536}]


def merge(into, change):
    """Objects are laid over each other; None takes a member away."""
    for key, value in change.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value


@contextlib.contextmanager
def bundle(script="", change=None, **more):
    """A bundle whose process is this shell script, with /proc; the fields of `change` laid over."""
    with Bundle("/bin/sh", "-c", script or "true") as b:
        b.config["mounts"] = [{"destination": "/proc", "type": "proc", "source": "proc"}]
        merge(b.config, change or {})
        merge(b.config, more)
        b.write()
        yield b


def output(script, change=None, status=0, **more):
    """What it prints."""
    with bundle(script, change, **more) as b:
        result = b("run", "-b", b.dir, "c")
        equal(result.status, status, "status: %r\n" % result)
        return result.stdout


def refused(change, *words, **more):
    """It is an error that names the field, of create, and nothing is left."""
    with bundle("true", change, **more) as b:
        result = b("create", "-b", b.dir, "c")
        equal(result.status, 1, "status: %r\n" % result)
        for word in words:
            contains(result.stderr, word, "stderr")
        equal(b.ids(), [], "names that are left")


def namespaces(*types, **paths):
    return {"linux": {"namespaces": [{"type": t} for t in types] + [{"type": t, "path": p} for t, p in paths.items()]}}


@contextlib.contextmanager
def sleeper(*unshare, uid_map=None):
    """A process in namespaces of its own: its pid."""
    process = subprocess.Popen(["unshare", *unshare, "sh", "-c", "echo up; exec sleep 600"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    try:
        pid = process.pid
        if uid_map:
            wait_for(lambda: os.readlink("/proc/%d/ns/user" % pid) != os.readlink("/proc/self/ns/user"), "the user namespace")
            for name in ("uid_map", "gid_map"):
                with open("/proc/%d/%s" % (pid, name), "w") as file:
                    file.write(uid_map)
        equal(process.stdout.readline(), b"up\n", "the sleeper")
        if "--fork" in unshare:
            with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
                pid = int(file.read())
        yield pid
    finally:
        if "--fork" in unshare and pid != process.pid:
            os.kill(pid, 9)
        process.kill()
        process.wait()
        process.stdout.close()


# ---- ociVersion, root, names -------------------------------------------------------------------------------------

@test(root=True)
def test_versions():
    for version in ("1.0.0", "1.0.2-dev", "1.1.0+dev", "1.2.1", "1.3.0", "1.42.0"):
        output("true", {"ociVersion": version})
    for version in ("2.0.0", "0.9.0", "1", "1.0", "", "one"):
        refused({"ociVersion": version}, "config.json: ociVersion: ")
    refused({"ociVersion": None}, "ociVersion is missing")
    refused({"ociVersion": 1}, "ociVersion: a string is wanted, this is an integer")


@test(root=True)
def test_unknown_fields_are_ignored():
    output("true", {"x": [1], "process": {"y": {}}, "linux": {"z": None, "resources": {"a": 1, "memory": {"b": 1}}}, "root": {"c": 2}, "windows": {}})


@test(root=True)
def test_root():
    with bundle("touch /there && cat /there && touch /again") as b:
        tree = rootfs(fresh=True)
        os.rename(tree, os.path.join(b.dir, "tree"))
        b.config["root"] = {"path": "tree"}
        b.write()
        b("run", "-b", b.dir, "c").check(0)
        check(os.path.exists(b.dir + "/tree/again"), "root.path is relative to the bundle")
        b.config["root"]["readonly"] = True
        b.write()
        result = b("run", "-b", b.dir, "c")
        contains(result.stderr, "Read-only file system", "stderr of a read-only root")
    refused({"root": {"path": "/nowhere/at/all"}}, "root.path: rootfs /nowhere/at/all: does not exist")
    refused({"root": {"path": "/etc/passwd"}}, "root.path: rootfs /etc/passwd: is not a directory")
    refused({"root": None}, "root is missing")
    refused({"root": {"path": None}}, "root: path is missing")
    refused({"root": {"readonly": "no"}}, "root.readonly: a boolean is wanted, this is a string")


@test(root=True)
def test_hostname_and_domainname():
    equal(output("cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname", {"hostname": "one.two", "domainname": "three"}), "one.two\nthree\n", "names")
    host = os.uname().nodename
    equal(output("hostname"), host + "\n", "without a name the namespace has the one around it")
    with sleeper("--uts") as pid:
        change = namespaces("pid", "mount", uts="/proc/%d/ns/uts" % pid)
        equal(output("hostname", {**change, "hostname": "joined"}), "joined\n", "hostname in a joined namespace")
        equal(subprocess.check_output(["nsenter", "-t", str(pid), "-u", "hostname"]), b"joined\n", "the same from the other one in it")
    equal(os.uname().nodename, host, "the host's own name")
    refused({**namespaces("mount"), "hostname": "x"}, "hostname: linux.namespaces has no uts namespace")
    refused({**namespaces("mount", uts="/proc/self/ns/uts"), "hostname": "x"}, "hostname: linux.namespaces has no uts namespace")
    refused({"hostname": "x" * 65}, "hostname: longer than 64 bytes")


@test(root=True)
def test_annotations():
    # What a key of the image specification has is its writer's; it is handed on as it stands.
    with bundle("sleep 60", annotations={"a": "b", "\u00e4": "", "org.opencontainers.image.stopSignal": "9"}) as b:
        b.made()
        equal(b.state()["annotations"], {"a": "b", "\u00e4": "", "org.example.a": "b", "org.opencontainers.image.stopSignal": "9"},
              "annotations of the state")
    refused({"annotations": {"a": 1}}, "annotations.a: a string is wanted")
    refused({"annotations": {"": "x"}}, "annotations: a name is empty")
    refused({"annotations": []}, "annotations: an object is wanted")


# ---- namespaces ---------------------------------------------------------------------------------------------------

def ns_of(pid="self"):
    return {kind: os.readlink("/proc/%s/ns/%s" % (pid, name)) for kind, name in KINDS.items()}


def links(script_output):
    return dict(zip(KINDS, script_output.split()))


LINKS = "for n in %s; do readlink /proc/self/ns/$n; done" % " ".join(KINDS.values())


@test(root=True)
def test_namespaces_new_and_of_the_host():
    host = ns_of()
    got = links(output(LINKS, namespaces("mount")))
    equal({k for k in KINDS if got[k] != host[k]}, {"mount"}, "new ones")
    every = namespaces(*(k for k in KINDS if k != "user"))
    got = links(output(LINKS, every))
    equal({k for k in KINDS if got[k] == host[k]}, {"user"}, "the host's")
    every["linux"].update(uidMappings=MAP, gidMappings=MAP)
    every["linux"]["namespaces"].append({"type": "user"})
    got = links(output(LINKS, {**every, "root": {"path": rootfs(owner="100000:100000")}}))
    equal({k for k in KINDS if got[k] == host[k]}, set(), "the host's")


@test(root=True)
def test_namespaces_joined():
    for kind, option in (("network", "--net"), ("ipc", "--ipc"), ("uts", "--uts"), ("cgroup", "--cgroup"), ("time", "--time")):
        with sleeper(option, *(["--fork"] if kind == "time" else [])) as pid:
            path = "/proc/%d/ns/%s" % (pid, KINDS[kind])
            got = links(output(LINKS, namespaces("mount", "pid", **{kind: path})))
            equal(got[kind], os.readlink(path), "the %s namespace that was joined" % kind)
    with sleeper("--pid", "--fork") as pid:
        with bundle("cat /proc/1/comm; sleep 60", namespaces("mount", pid="/proc/%d/ns/pid" % pid)) as b:
            b.made()
            inside = b.state()["pid"]
            b("start", "c").check(0)
            wait_for(lambda: b.output(), "output")
            equal(b.output(), "sleep\n", "PID 1 that is seen inside")
            equal(os.readlink("/proc/%d/ns/pid" % inside), os.readlink("/proc/%d/ns/pid" % pid), "the pid namespace")


@test(root=True)
def test_user_namespace_joined():
    with sleeper("--user", "--net", uid_map="0 100000 65536") as pid:
        tree = {"root": {"path": rootfs(owner="100000:100000")}}
        path = "/proc/%d/ns/" % pid
        change = namespaces("mount", "pid", "uts", user=path + "user", network=path + "net")
        got = links(output(LINKS, {**change, **tree}))
        equal((got["user"], got["network"]), (os.readlink(path + "user"), os.readlink(path + "net")), "namespaces that were joined")
        equal(output("cat /proc/self/uid_map; id -u", {**change, **tree}).split(), ["0", "100000", "65536", "0"], "the map is the namespace's own")
        change["linux"].update(uidMappings=MAP, gidMappings=MAP)
        output("true", {**change, **tree})
        change["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 200000, "size": 1}]
        refused({**change, **tree}, "linux.namespaces[3].path: the user namespace has other maps")


@test(root=True)
def test_joined_network_of_the_host_and_a_joined_user_namespace():
    """What the joined user namespace does not own is entered before it."""
    with sleeper("--user", uid_map="0 100000 65536") as pid, sleeper("--net") as other:
        change = namespaces("mount", "pid", user="/proc/%d/ns/user" % pid, network="/proc/%d/ns/net" % other)
        got = links(output(LINKS, {**change, "root": {"path": rootfs(owner="100000:100000")}}))
        equal(got["network"], os.readlink("/proc/%d/ns/net" % other), "the network namespace")


@test(root=True)
def test_namespaces_refused():
    refused({"linux": {"namespaces": None}}, "linux.namespaces is missing")
    refused(namespaces("pid"), "linux.namespaces: no mount namespace")
    refused(namespaces("mount", "pid", "pid"), "linux.namespaces[2].type: a pid namespace is there already, at linux.namespaces[1]")
    refused(namespaces("mount", "pod"), "linux.namespaces[1].type: 'pod' is unknown: did you mean 'pid'?")
    refused(namespaces("mount", uts="/proc/self/ns/net"), "linux.namespaces[1].path: /proc/self/ns/net: is a network namespace, and a uts namespace is wanted")
    refused(namespaces("mount", uts="/nowhere"), "linux.namespaces[1].path: /nowhere")
    refused(namespaces("mount", uts="ns"), "linux.namespaces[1].path: 'ns' is not absolute")
    refused(namespaces(mount="/proc/self/ns/mnt"), "linux.namespaces[0].path: /proc/self/ns/mnt is the caller's own mount namespace")
    refused({"linux": {"namespaces": [{"type": "mount"}, {}]}}, "linux.namespaces[1]: type is missing")
    refused({"linux": {"namespaces": ["mount"]}}, "linux.namespaces[0]: an object is wanted, this is a string")


@test(root=True)
def test_maps():
    uids = [{"containerID": 0, "hostID": 100000, "size": 1000}, {"containerID": 1000, "hostID": 300000, "size": 5}]
    gids = [{"containerID": 0, "hostID": 0, "size": 1}, {"containerID": 1, "hostID": 500000, "size": 9}]
    change = namespaces("mount", "pid", "user")
    change["linux"].update(uidMappings=uids, gidMappings=gids)
    with bundle("sleep 60", {**change, "root": {"path": rootfs(owner="100000:0")}}) as b:
        b.made()
        pid = b.state()["pid"]
        for name, wanted in (("uid_map", uids), ("gid_map", gids)):
            with open("/proc/%d/%s" % (pid, name)) as file:
                equal([list(map(int, line.split())) for line in file], [[m["containerID"], m["hostID"], m["size"]] for m in wanted], name)
        with open("/proc/%d/setgroups" % pid) as file:
            equal(file.read(), "allow\n", "setgroups")
    refused({"linux": {"uidMappings": MAP}}, "linux.uidMappings: no user namespace")
    refused(namespaces("mount", "user"), "linux.uidMappings: missing")
    for bad, words in (({"containerID": 0, "hostID": 1}, "linux.uidMappings[0]: size is missing"),
                       ({"containerID": "0", "hostID": 1, "size": 1}, "linux.uidMappings[0].containerID: an integer is wanted"),
                       ({"containerID": 0, "hostID": 1 << 32, "size": 1}, "linux.uidMappings[0].hostID: 4294967296 is out of range"),
                       ({"containerID": 0, "hostID": 4294967290, "size": 100}, "linux.uidMappings: "),
                       ({"containerID": 5, "hostID": 1, "size": 1}, "no id 0")):
        change["linux"].update(uidMappings=[bad], gidMappings=MAP)
        refused(change, words)


@test(root=True)
def test_time_offsets():
    change = namespaces("mount", "pid", "time")
    change["linux"]["timeOffsets"] = {"monotonic": {"secs": 1000, "nanosecs": 5}, "boottime": {"secs": 864000}}
    got = output("cat /proc/self/timens_offsets /proc/uptime", change).splitlines()
    equal([line.split() for line in got[:2]], [["monotonic", "1000", "5"], ["boottime", "864000", "0"]], "offsets")
    with open("/proc/uptime") as file:
        near = float(file.read().split()[0]) + 864000
    check(abs(float(got[2].split()[0]) - near) < 60, "uptime inside: %s, and %f is wanted" % (got[2], near))
    refused({"linux": {"timeOffsets": {"boottime": {"secs": 1}}}}, "linux.timeOffsets: linux.namespaces has no new time namespace")
    change["linux"]["timeOffsets"] = {"boottime": {"secs": -(1 << 40)}}
    refused(change, "linux.timeOffsets.boottime: the clock", "would be negative")
    change["linux"]["timeOffsets"] = {"boottime": {"secs": (1 << 63) - 1}}
    refused(change, "linux.timeOffsets.boottime: the kernel's clocks end at")
    change["linux"]["timeOffsets"] = {"tai": {"secs": 1}}
    refused(change, "linux.timeOffsets.tai: this clock has no offset")


# ---- process -------------------------------------------------------------------------------------------------------

@test(root=True)
def test_args_env_cwd():
    with bundle() as b:
        b.config["process"].update(args=["sh", "-c", 'pwd; echo "$A $B $HOME"; echo "$0 $@"', "zero", "one two", ""], env=["PATH=/bin", "A=1", "B=x=y", "A=2"], cwd="/tmp")
        b.write()
        equal(b("run", "-b", b.dir, "c").check(0).stdout, "/tmp\n2 x=y /root\nzero one two \n", "output")
    refused({"process": {"args": []}}, "process.args: at least one word")
    refused({"process": {"args": None}}, "process: args is missing")
    refused({"process": {"args": ["a", 2]}}, "process.args[1]: a string is wanted, this is an integer")
    refused({"process": {"env": ["A"]}}, "process.env[0]: 'A': NAME=VALUE is wanted")
    refused({"process": {"cwd": "tmp"}}, "process.cwd: 'tmp': Cwd must be an absolute path")
    refused({"process": {"cwd": None}}, "process: cwd is missing")
    refused({"process": None}, "process is missing")
    with bundle("true", {"process": {"cwd": "/no/such"}}) as b:
        failing(b("run", "-b", b.dir, "c"), "/no/such")


@test(root=True)
def test_user():
    got = output("id -u; id -g; grep ^Groups: /proc/self/status; umask; touch /tmp/made; ls -ln /tmp/made",
                 {"process": {"user": {"uid": 1000, "gid": 1001, "additionalGids": [5, 65534], "umask": 0o027}},
                  "mounts": [{"destination": "/proc", "type": "proc"}, {"destination": "/tmp", "type": "tmpfs", "options": ["mode=1777"]}]}).splitlines()
    equal(got[:2], ["1000", "1001"], "ids")
    equal(sorted(map(int, got[2].split()[1:])), [5, 1001, 65534], "groups: the primary one is among them")
    named = output("grep ^Groups: /proc/self/status", {"process": {"user": {"gid": 1001, "additionalGids": [5, 1001]}}})
    equal(sorted(map(int, named.split()[1:])), [5, 1001], "groups: the primary one, which engines name themselves, is there once")
    equal(got[3], "0027", "umask")
    equal(got[4].split()[:4], ["-rw-r-----", "1", "1000", "1001"], "a file that is made")
    old = os.umask(0o077)
    try:
        equal(output("umask"), "0022\n", "without umask, as with other runtimes; not that of whoever starts the engine")
    finally:
        os.umask(old)
    refused({"process": {"user": {"uid": -1}}}, "process.user.uid: -1 is out of range")
    refused({"process": {"user": {"gid": 1 << 32}}}, "process.user.gid: 4294967296 is out of range")
    refused({"process": {"user": {"uid": (1 << 64) - 1}}}, "process.user.uid: 18446744073709551615 is out of range")
    refused({"process": {"user": {"umask": 0o1000}}}, "process.user.umask: 512 is out of range")
    refused({"process": {"user": {"additionalGids": [1.5]}}}, "process.user.additionalGids[0]: an integer is wanted, this is a number with a fraction")
    change = namespaces("mount", "user")
    change["linux"].update(uidMappings=MAP, gidMappings=MAP)
    refused({**change, "process": {"user": {"uid": 70000}}}, "process.user.uid: 70000 is not among the container's ids")
    refused({**change, "process": {"user": {"additionalGids": [70000]}}}, "process.user.additionalGids[0]: 70000 is not among the container's ids")


def sets(text):
    return {line.split(":")[0]: int(line.split()[1], 16) for line in text.splitlines() if line.startswith("Cap")}


CHOWN, KILL, NET_RAW, SYS_ADMIN = 1 << 0, 1 << 5, 1 << 13, 1 << 21


@test(root=True)
def test_capabilities():
    with bundle("cat /proc/self/status") as b:
        b.config["process"]["capabilities"] = {"bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"], "permitted": ["CAP_CHOWN", "CAP_KILL"], "effective": ["CAP_CHOWN"],
                                               "inheritable": ["CAP_KILL"], "ambient": ["CAP_KILL"]}
        b.config["process"]["user"] = {"uid": 1000, "gid": 1000}
        b.write()
        equal(sets(b("run", "-b", b.dir, "c").check(0).stdout),
              {"CapInh": KILL, "CapPrm": KILL, "CapEff": KILL, "CapBnd": CHOWN | KILL | NET_RAW, "CapAmb": KILL}, "sets of an ordinary user: the ambient one is what execve leaves")
        b.config["process"]["user"] = {"uid": 0, "gid": 0}
        b.config["process"]["capabilities"].pop("ambient")
        b.write()
        equal(sets(b("run", "-b", b.dir, "c").check(0).stdout),
              {"CapInh": KILL, "CapPrm": CHOWN | KILL | NET_RAW, "CapEff": CHOWN | KILL | NET_RAW, "CapBnd": CHOWN | KILL | NET_RAW, "CapAmb": 0}, "sets of root: execve gives the bounding set")
        b.config["process"].pop("capabilities")
        b.write()
        equal(set(sets(b("run", "-b", b.dir, "c").check(0).stdout).values()), {0}, "sets where none is said")


@test(root=True)
def test_capabilities_that_cannot_be_granted():
    """config.md: they are told and are no error."""
    caps = ["CAP_CHOWN", "CAP_NO_SUCH"]
    with bundle("cat /proc/self/status", {"process": {"capabilities": {"bounding": caps, "permitted": caps, "effective": caps, "ambient": ["CAP_CHOWN"]}}}) as b:
        result = b("run", "-b", b.dir, "c").check(0)
        equal(sets(result.stdout)["CapBnd"], CHOWN, "bounding set")
        contains(result.stderr, "process.capabilities.bounding[1]: CAP_NO_SUCH: this kernel has no such capability", "stderr")
        contains(result.stderr, "process.capabilities.ambient: only what is permitted and inheritable", "stderr")
    refused({"process": {"capabilities": {"bounding": ["CAP_CHOWN"], "permitted": [], "effective": ["CAP_CHOWN"]}}}, "process.capabilities.effective: CAP_CHOWN: is not permitted")
    refused({"process": {"capabilities": {"bounding": "ALL"}}}, "process.capabilities.bounding: an array is wanted")
    refused({"process": {"capabilities": ["CAP_CHOWN"]}}, "process.capabilities: an object is wanted")


@test(root=True)
def test_rlimits():
    limits = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}, {"type": "RLIMIT_CORE", "soft": 0, "hard": (1 << 64) - 1}, {"type": "RLIMIT_STACK", "soft": 1 << 20, "hard": 1 << 21},
              {"type": "RLIMIT_RTPRIO", "soft": 0, "hard": 0}]
    if resource.getrlimit(resource.RLIMIT_CORE)[1] != resource.RLIM_INFINITY:
        limits[1]["hard"] = 0
    with bundle("sleep 60", {"process": {"rlimits": limits}}) as b:
        b.made()
        pid = b.state()["pid"]
        for entry in limits:
            hard = resource.RLIM_INFINITY if entry["hard"] == (1 << 64) - 1 else entry["hard"]
            equal(resource.prlimit(pid, getattr(resource, entry["type"])), (entry["soft"], hard), entry["type"])
    for bad, words in (({"type": "RLIMIT_NOFIL", "soft": 1, "hard": 1}, "process.rlimits[0].type: 'RLIMIT_NOFIL' is unknown: did you mean 'RLIMIT_NOFILE'?"),
                       ({"type": "RLIMIT_CORE", "soft": 2, "hard": 1}, "process.rlimits[0]: the soft limit is above the hard one"),
                       ({"type": "RLIMIT_CORE", "soft": -1, "hard": 1}, "process.rlimits[0].soft: -1 is negative"),
                       ({"type": "RLIMIT_CORE", "soft": 0}, "process.rlimits[0]: hard is missing"),
                       ({"soft": 0, "hard": 0}, "process.rlimits[0]: type is missing")):
        refused({"process": {"rlimits": [bad]}}, words)
    refused({"process": {"rlimits": [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}] * 2}}, "process.rlimits[1]: core is limited already")


@test(root=True)
def test_no_new_privileges_and_oom_score():
    script = "grep -E '^NoNewPrivs' /proc/self/status; cat /proc/self/oom_score_adj"
    with open("/proc/self/oom_score_adj") as file:
        own = int(file.read())
    equal(output(script).split(), ["NoNewPrivs:", "0", str(own)], "without both")
    equal(output(script, {"process": {"noNewPrivileges": True, "oomScoreAdj": own + 100}}).split(), ["NoNewPrivs:", "1", str(own + 100)], "with both")
    refused({"process": {"noNewPrivileges": "yes"}}, "process.noNewPrivileges: a boolean is wanted")
    refused({"process": {"oomScoreAdj": 1001}}, "process.oomScoreAdj: 1001 is out of range: -1000 to 1000")


@generate(root=True)
def oom_score_that_the_kernel_refuses():
    """How low one may go is not what one has, but what was last set with privilege: the kernel is asked by another process of the same user."""
    def one(who, name):
        one_id = {"uidMappings": [{"containerID": 0, "hostID": who.uid, "size": 1}], "gidMappings": [{"containerID": 0, "hostID": who.gid, "size": 1}]}
        for score in (-1000, -1, 50, 300):
            asked = run(["sh", "-c", "echo 100 > /proc/self/oom_score_adj && echo %d > /proc/self/oom_score_adj" % score], user=name)
            change = namespaces("mount", "pid", *(["user"] if name else []))
            change["linux"].update(one_id if name else {})
            with bundle("cat /proc/self/oom_score_adj", {**change, "process": {"oomScoreAdj": score}, "root": {"path": rootfs(owner="%d:%d" % (who.uid, who.gid))}}) as b:
                open_to(who, b)
                result = b("run", "-b", b.dir, "c", user=name)
                if asked.status == 0:
                    result.check(0, stdout="%d\n" % score)
                else:
                    contains(asked.stderr, "echo", "who was refused: dash says no more")
                    failing(result, "process.oomScoreAdj: %d: process" % score)
                    contains(result.stderr, "CAP_SYS_RESOURCE", "the remedy")
    yield "root", lambda: one(user("root"), None)
    yield "ordinary user", lambda: one(ranger(), ranger().name)


@test(root=True)
def test_terminal():
    with bundle("tty; stty size; sleep 60", {"process": {"terminal": True, "consoleSize": {"height": 33, "width": 77}},
                                             "mounts": [{"destination": "/proc", "type": "proc"}, {"destination": "/dev", "type": "tmpfs"},
                                                        {"destination": "/dev/pts", "type": "devpts", "options": ["newinstance", "ptmxmode=0666"]}]}) as b:
        failing(b("create", "-b", b.dir, "c"), "cannot allocate tty if runc will detach without setting console socket")
        path = os.path.join(tmp(), "console")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen()
            b.made("c", "--console-socket", path)
            connection, _ = server.accept()
            with connection:
                _, ancillary, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(4))
                master = int.from_bytes(ancillary[0][2][:4], sys.byteorder)
        b("start", "c").check(0)
        text = b""
        while text.count(b"\n") < 2:
            text += os.read(master, 100)
        os.close(master)
        equal(text.decode().split(), ["/dev/pts/0", "33", "77"], "name and size of the terminal")
    refused({"process": {"terminal": 1}}, "process.terminal: a boolean is wanted")
    refused({"process": {"terminal": True, "consoleSize": {"height": 1 << 16}}}, "process.consoleSize.height: 65536 is out of range")


# ---- sysctl ---------------------------------------------------------------------------------------------------------

@test(root=True)
def test_sysctl():
    change = namespaces("mount", "pid", "network", "ipc", "uts")
    change["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.shmmni": "128", "kernel.domainname": "d", "net.ipv4.ping_group_range": "0 5"}
    equal(output("cd /proc/sys; cat net/ipv4/ip_forward kernel/shmmni kernel/domainname net/ipv4/ping_group_range", change).split(), ["1", "128", "d", "0", "5"], "values")
    with sleeper("--net") as pid:
        change = namespaces("mount", "pid", network="/proc/%d/ns/net" % pid)
        change["linux"]["sysctl"] = {"net/ipv4/ip_unprivileged_port_start": "80"}
        equal(output("cat /proc/sys/net/ipv4/ip_unprivileged_port_start", change), "80\n", "in a joined namespace, as engines do")
    for key, words in (("kernel.panic", "no namespace covers it"), ("kernel.hostname", 'conflicts with the OCI "hostname" field'), ("net..x", "empty part"), ("vm", "a key such as")):
        refused({"linux": {"sysctl": {key: "1"}}}, "linux.sysctl.%s: " % key, words)
    refused({"linux": {"sysctl": {"net.ipv4.ip_forward": 1}}}, "linux.sysctl.net.ipv4.ip_forward: a string is wanted")
    change = namespaces("mount", "pid")
    change["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1"}
    refused(change, "linux.sysctl.net.ipv4.ip_forward: it would change a network namespace that is not the container's own")
    change["linux"]["sysctl"] = {"kernel.domainname": "x"}
    refused(change, "linux.sysctl.kernel.domainname: linux.namespaces has no uts namespace")
    with bundle("true", {"linux": {"sysctl": {"net.ipv4.no_such_thing": "1"}}}) as b:
        failing(b("create", "-b", b.dir, "c"), "net/ipv4/no_such_thing")


# ---- control groups -------------------------------------------------------------------------------------------------

def v1_mounts():
    """{controller: mount} of the v1 hierarchies."""
    found = {}
    for target, _, _, _, fstype, _, options in mountinfo():
        if fstype == "cgroup":
            for option in options.split(","):
                found[option] = target
    return found


def v2_mount():
    return next((entry[0] for entry in mountinfo() if entry[4] == "cgroup2"), None)


def groups_of(pid):
    with open("/proc/%s/cgroup" % pid) as file:
        return {line.split(":")[1]: line.strip().split(":", 2)[2] for line in file}


@test(root=True)
def test_cgroups_path():
    for path, wanted in (("/nsrun-test/a/b", "/nsrun-test/a/b"), ("nsrun-test/c", "/nsrun/nsrun-test/c"), (None, None), ("/nsrun-test//d/", "/nsrun-test/d")):
        with bundle("sleep 60", {"linux": {"cgroupsPath": path}}) as b:
            b.made()
            pid = b.state()["pid"]
            wanted = wanted or "/nsrun/" + os.path.basename(b.place()) # two state roots may have the same name
            b("start", "c").check(0)
            for names, group in groups_of(pid).items():
                if (not names and v2_mount()) or set(names.split(",")) & set(v1_mounts()) and "name=" not in names:
                    equal(group, wanted, "group of %s, cgroupsPath %s" % (names or "v2", path))
            b("delete", "--force", "c").check(0)
        for mounted in list(v1_mounts().values()):
            check(not os.path.exists(mounted + wanted), "%s%s is left" % (mounted, wanted))
    for mounted in cgroup_mounts():
        for name in ("nsrun-test/a", "nsrun-test", "nsrun/nsrun-test"):
            with contextlib.suppress(FileNotFoundError):
                os.rmdir(os.path.join(mounted, name))
    refused({"linux": {"cgroupsPath": "/a/../b"}}, 'linux.cgroupsPath: \'/a/../b\': ".." is no name')
    refused({"linux": {"cgroupsPath": "/"}}, "linux.cgroupsPath: '/': the root group is no container's own")
    refused({"linux": {"cgroupsPath": 7}}, "linux.cgroupsPath: a string is wanted")
    with bundle("true", {"linux": {"cgroupsPath": "system.slice"}}) as b:
        failing(b("--systemd-cgroup", "create", "-b", b.dir, "c"), 'expected cgroupsPath to be of format "slice:prefix:name"')


@test(root=True)
def test_scope_of_a_bundle():
    """--systemd-cgroup: cgroupsPath is slice:prefix:name; parts that are empty are the manager's own."""
    if not possible():
        skip("no cgroup2 that groups can be made in")
    with fake() as manager:
        for path, slice_, unit in (("nsrun-test.slice:docker:abc", "/nsrun.slice/nsrun-test.slice", "docker-abc.scope"), ("::x", "/system.slice", "x.scope"), (None, "/system.slice", "nsrun-c.scope")):
            with bundle("sleep 60", {"linux": {"cgroupsPath": path}}) as b:
                with open(b.dir + "/errors", "wb") as errors:
                    status = subprocess.call([binary(), "--root", b.root, "--systemd-cgroup", "create", "-b", b.dir, "c"], stdin=subprocess.DEVNULL,
                                             stdout=subprocess.DEVNULL, stderr=errors, env=environment(None))
                with open(b.dir + "/errors") as errors:
                    equal(status, 0, "status: %s" % errors.read())
                group = groups_of(b.state()["pid"])[""]
                check(group.endswith(slice_ + "/" + unit), "group %s, and %s/%s is wanted" % (group, slice_, unit))
                b("delete", "--force", "c").check(0)
        for path, words in (("system.slice", 'expected cgroupsPath to be of format "slice:prefix:name"'), ("a:b:c:d", 'format "slice:prefix:name"'), ("no:a:b", "no"), (":a b:c", "is no name of a unit")):
            with bundle("true", {"linux": {"cgroupsPath": path}}) as b:
                failing(b("--systemd-cgroup", "create", "-b", b.dir, "c"), words)


@test(root=True)
def test_cgroups_path_of_others():
    """What is in the group would end with the container."""
    with bundle("sleep 60", {"linux": {"cgroupsPath": "/nsrun-test-busy"}}) as b:
        b.made()
        with bundle("true", {"linux": {"cgroupsPath": "/nsrun-test-busy"}}) as other:
            other.root = os.path.join(tmp(), "other")
            failing(other("create", "-b", other.dir, "d"), "container's cgroup is not empty")
        equal(b.status(), "created", "the container that has the group")


@test(root=True)
def test_cgroup_ownership():
    """config-linux.md, "Cgroup ownership": the group and the files that make groups below it are container root's, its limits are not."""
    if not v2_mount():
        skip("no cgroup2 is mounted")
    for option, owner in (("rw", 100000), ("ro", 0)):
        change = namespaces("mount", "pid", "cgroup", "user")
        change["linux"].update(uidMappings=MAP, gidMappings=MAP)
        with bundle("sleep 60", {**change, "root": {"path": rootfs(owner="100000:100000")}, "mounts": [
                {"destination": "/proc", "type": "proc"}, {"destination": "/sys/fs/cgroup", "type": "cgroup", "options": [option]}]}) as b:
            b.made()
            place = v2_mount() + groups_of(b.state()["pid"])[""]
            for name in ("", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"):
                equal(os.stat(os.path.join(place, name)).st_uid, owner, "%s: owner of %s" % (option, name or "the group"))
            equal(os.stat(place + "/cgroup.max.depth").st_uid, 0, "owner of a limit")


def limit_files(pid, wanted):
    """{"memory/memory.limit_in_bytes": ...} of the process' groups."""
    mounts, groups = v1_mounts(), groups_of(pid)
    for name, value in wanted.items():
        controller, file = name.split("/")
        if controller not in mounts:
            skip("no v1 hierarchy of %s" % controller)
        group = next(g for names, g in groups.items() if controller in names.split(","))
        with open(mounts[controller] + group + "/" + file) as opened:
            equal(opened.read().split(), str(value).split(), name)


@test(root=True)
def test_resources():
    disk = disk_number()
    with bundle("sleep 60", {"linux": {"resources": {
            "memory": {"limit": 64 << 20, "reservation": 32 << 20, "swap": 128 << 20, "swappiness": 10, "disableOOMKiller": True, "kernel": 0, "useHierarchy": True, "checkBeforeUpdate": True},
            "cpu": {"shares": 512, "quota": 50000, "period": 200000, "burst": 1000, "cpus": "0", "mems": "0", "idle": 0, "realtimeRuntime": 0},
            "pids": {"limit": 33},
            "blockIO": {"weight": 0, "throttleReadBpsDevice": [{**disk, "rate": 1048576}], "throttleWriteBpsDevice": [{**disk, "rate": 2097152}],
                        "throttleReadIOPSDevice": [{**disk, "rate": 100}], "throttleWriteIOPSDevice": [{**disk, "rate": 200}]},
            "network": {"classID": 0}}}}) as b:
        b.made()
        number = "%d:%d" % (disk["major"], disk["minor"])
        limit_files(b.state()["pid"], {
            "memory/memory.limit_in_bytes": 64 << 20, "memory/memory.soft_limit_in_bytes": 32 << 20, "memory/memory.swappiness": 10,
            "cpu/cpu.shares": 512, "cpu/cpu.cfs_quota_us": 50000, "cpu/cpu.cfs_period_us": 200000, "cpu/cpu.cfs_burst_us": 1000, "cpuset/cpuset.cpus": 0, "cpuset/cpuset.mems": 0,
            "pids/pids.max": 33, "blkio/blkio.throttle.read_bps_device": number + " 1048576", "blkio/blkio.throttle.write_bps_device": number + " 2097152",
            "blkio/blkio.throttle.read_iops_device": number + " 100", "blkio/blkio.throttle.write_iops_device": number + " 200"})
        if os.path.exists(v1_mounts()["memory"] + "/memory.memsw.limit_in_bytes"):
            limit_files(b.state()["pid"], {"memory/memory.memsw.limit_in_bytes": 128 << 20})
        with open(v1_mounts()["memory"] + groups_of(b.state()["pid"])["memory"] + "/memory.oom_control") as file:
            contains(file.read(), "oom_kill_disable 1", "memory.oom_control")


def disk_number():
    """A whole disk of this host."""
    for path in sorted(glob.glob("/sys/block/*/dev")):
        with open(path) as file:
            major, minor = map(int, file.read().split(":"))
        if not os.path.basename(os.path.dirname(path)).startswith(("ram", "zram")):
            return {"major": major, "minor": minor}
    skip("no block device")


@test(root=True)
def test_resources_that_say_nothing():
    """What engines fill in is no limit: 0, -1, false, ""."""
    with bundle("sleep 60", {"linux": {"resources": {
            "memory": {"limit": -1, "reservation": 0, "swap": -1, "disableOOMKiller": False, "kernel": 0, "kernelTCP": -1}, "cpu": {"shares": 0, "quota": -1, "period": 0, "cpus": "", "mems": "", "idle": 0},
            "pids": {"limit": 0}, "blockIO": {"weight": 0, "weightDevice": None, "throttleReadBpsDevice": []}, "hugepageLimits": [], "network": {}, "rdma": {}, "unified": {}}}}) as b:
        b.made()
        limit_files(b.state()["pid"], {"pids/pids.max": "max", "cpu/cpu.shares": 1024, "cpu/cpu.cfs_quota_us": -1})
    with bundle("sleep 60", {"linux": {"resources": {"cpu": {"shares": 1}, "memory": {"limit": (1 << 64) - 1}}}}) as b:
        b.made()
        limit_files(b.state()["pid"], {"cpu/cpu.shares": 2})


@test(root=True)
def test_hugepages_and_unified_of_a_hybrid_host():
    sizes = [name for name in os.listdir("/sys/kernel/mm/hugepages")] if os.path.isdir("/sys/kernel/mm/hugepages") else []
    if "hugepages-2048kB" not in sizes:
        skip("no huge pages of 2 MiB")
    unified = v2_mount()
    with open(unified + "/cgroup.controllers") as file:
        if "hugetlb" not in file.read().split():
            skip("hugetlb is not in the v2 hierarchy")
    with bundle("sleep 60", {"linux": {"resources": {"hugepageLimits": [{"pageSize": "2MB", "limit": 4 << 20}]}}}) as b:
        b.made()
        with open(unified + groups_of(b.state()["pid"])[""] + "/hugetlb.2MB.max") as file:
            equal(file.read(), "%d\n" % (4 << 20), "hugetlb.2MB.max")
    with bundle("sleep 60", {"linux": {"resources": {"unified": {"hugetlb.2MB.max": str(2 << 20)}}}}) as b:
        b.made()
        with open(unified + groups_of(b.state()["pid"])[""] + "/hugetlb.2MB.max") as file:
            equal(file.read(), "%d\n" % (2 << 20), "hugetlb.2MB.max by unified")
    if "memory" in v1_mounts():
        refused({"linux": {"resources": {"unified": {"memory.high": "1000000"}}}}, "linux.resources.unified memory.high")
    refused({"linux": {"resources": {"unified": {"nosuch.max": "1"}}}}, "nosuch.max")
    refused({"linux": {"resources": {"unified": {"cgroup.procs": "1"}}}}, "cgroup.procs")


@test(root=True)
def test_resources_refused():
    for change, words in (({"memory": {"limit": "64m"}}, "linux.resources.memory.limit: a number is wanted"),
                          ({"memory": {"limit": 1}}, "linux.resources.memory.limit: 1 is not from 4096"),
                          ({"memory": []}, "linux.resources.memory: an object is wanted"),
                          ({"memory": {"swappiness": 101}}, "linux.resources.memory.swappiness: 101 is not from 0 to 100"),
                          ({"memory": {"disableOOMKiller": 1}}, "linux.resources.memory.disableOOMKiller: true or false"),
                          ({"memory": {"kernel": 5}}, "linux.resources.memory.kernel: no kernel of today"),
                          ({"memory": {"useHierarchy": False}}, "linux.resources.memory.useHierarchy: groups below are always counted"),
                          ({"memory": {"checkBeforeUpdate": "x"}}, "linux.resources.memory.checkBeforeUpdate: true or false"),
                          ({"memory": {"limit": 64 << 20, "swap": 32 << 20}}, "linux.resources.memory.swap: "),
                          ({"cpu": {"shares": -5}}, "linux.resources.cpu.shares: -5 is not from"),
                          ({"cpu": {"shares": (1 << 64) - 1}}, "linux.resources.cpu.shares: it is too large"),
                          ({"cpu": {"quota": 50000, "burst": 60000}}, "linux.resources.cpu.burst: 60000"),
                          ({"cpu": {"cpus": "100000"}}, "cpuset.cpus"),
                          ({"pids": {"limit": 1.5}}, "linux.resources.pids.limit: a number is wanted"),
                          ({"blockIO": {"weight": 5}}, "linux.resources.blockIO.weight: 5 is not from 10 to 1000"),
                          ({"blockIO": {"leafWeight": 500}}, "blockIO.leafWeight: no kernel since 5.0"),
                          ({"blockIO": {"weightDevice": [{"major": 8, "minor": 0}]}}, "linux.resources.blockIO.weightDevice[0]: weight or leafWeight is wanted"),
                          ({"blockIO": {"throttleReadBpsDevice": [{"rate": 1}]}}, "linux.resources.blockIO.throttleReadBpsDevice: the numbers of a device"),
                          ({"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]}, "3MB"),
                          ({"rdma": {"x": {}}}, "linux.resources.rdma.x: hcaHandles or hcaObjects is wanted"),
                          ({"rdma": {"no_such0": {"hcaHandles": 3}}}, "linux.resources.rdma.*.hcaHandles no_such0"),
                          ({"network": {"classID": 1 << 32}}, "linux.resources.network.classID: 4294967296 is not from"),
                          ({"unified": {"memory.high": 5}}, "linux.resources.unified: a string is wanted"),
                          ({"pids": {"limit": 5}, "blockIO": {"throttleReadBpsDevice": [{"major": 1, "minor": m, "rate": 1} for m in range(5000)]}}, "more entries")):
        refused({"linux": {"resources": change}}, words)
    refused({"linux": {"resources": []}}, "linux.resources: an object is wanted")


@test(root=True)
def test_network_classes():
    """net_cls and net_prio in hierarchies that are mounted for this test alone."""
    made, wanted = [], [names for names in groups_of("self") if {"net_cls", "net_prio"} & set(names.split(","))]
    check(wanted, "this kernel has neither net_cls nor net_prio")
    for names in wanted:
        if not set(names.split(",")) & set(v1_mounts()):
            made.append(os.path.join(tmp(), names))
            os.mkdir(made[-1])
            mount("cgroup", made[-1], "cgroup", 0, names)
    try:
        with bundle("sleep 60", {"linux": {"resources": {"network": {"classID": 0x100001, "priorities": [{"name": "lo", "priority": 5}]}}}}) as b:
            b.made()
            limit_files(b.state()["pid"], {"net_cls/net_cls.classid": 0x100001})
            with open(v1_mounts()["net_prio"] + next(g for n, g in groups_of(b.state()["pid"]).items() if "net_prio" in n.split(",")) + "/net_prio.ifpriomap") as file:
                contains(file.read(), "lo 5\n", "net_prio.ifpriomap")
            b("delete", "--force", "c").check(0)
    finally:
        for target in made:
            for entry in ("nsrun/c", "nsrun"):
                with contextlib.suppress(OSError):
                    os.rmdir(os.path.join(target, entry))
            umount(target)


# ---- seccomp -----------------------------------------------------------------------------------------------------------

def seccomp(*rules, **more):
    return {"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": list(rules), **more}}}


@test(root=True)
def test_seccomp():
    script = "grep -E '^Seccomp:' /proc/self/status; mkdir /tmp/x; echo $?; mkdir -m 700 /tmp/y 2>&1"
    tmpfs = {"mounts": [{"destination": "/proc", "type": "proc"}, {"destination": "/tmp", "type": "tmpfs"}]}
    names = {"names": ["mkdir", "mkdirat", "no_such_call"]}
    got = output(script, {**seccomp({**names, "action": "SCMP_ACT_ERRNO", "errnoRet": 28}), **tmpfs}, status=1)
    check("Seccomp:\t2" in got and "No space left" in got, "errnoRet: %r" % got)
    contains(output("mkdir /tmp/x 2>&1", {**seccomp({**names, "action": "SCMP_ACT_ERRNO"}), **tmpfs}, status=1), "Operation not permitted", "without errnoRet")
    # an argument above 2^63 - 1
    output("true", seccomp({"names": ["socket"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": (1 << 64) - 1, "op": "SCMP_CMP_EQ"}]}))
    got = output("sh -c 'mkdir /tmp/z' 2>&1; echo $?", {**seccomp({**names, "action": "SCMP_ACT_KILL_PROCESS"}, flags=["SECCOMP_FILTER_FLAG_LOG"], architectures=["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]), **tmpfs})
    contains(got, "159", "SIGSYS")


@test(root=True)
def test_seccomp_default_errno():
    allowed = {"names": ["execve", "exit_group", "capset", "arch_prctl", "brk", "write", "mmap", "munmap", "mprotect", "read", "open", "openat", "close", "fstat", "set_tid_address", "set_robust_list",
                         "rseq", "prlimit64", "getrandom", "rt_sigaction", "rt_sigprocmask", "newfstatat", "getuid", "geteuid", "getpid", "getppid", "getcwd", "stat", "poll", "ioctl", "uname", "readlink", "prctl"],
               "action": "SCMP_ACT_ALLOW"}
    got = output("umask 077 2>&1; echo made > /proc/self/comm; mkdir /tmp/x", {"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "syscalls": [allowed]}}}, status=1)
    check(got == "", "output %r" % got)


@test(root=True)
def test_seccomp_is_compiled_once():
    """Docker's profile takes milliseconds to compile; the second container reads the filter."""
    cache, mark = "/var/cache/nsrun/seccomp", "no_such_call_%d_%d" % (os.getpid(), time.monotonic_ns())

    def mine():
        found = []
        for name in os.listdir(cache) if os.path.isdir(cache) else []:
            with contextlib.suppress(FileNotFoundError), open(os.path.join(cache, name), "rb") as file:
                if mark.encode() in file.read():
                    found.append(os.path.join(cache, name))
        return found

    with bundle("true", seccomp({"names": ["mkdir", mark], "action": "SCMP_ACT_ERRNO"})) as b:
        b("run", "-b", b.dir, "c").check(0)
        equal(len(mine()), 1, "filters in the cache")
        path = mine()[0]
        stamp = os.stat(path)
        b("run", "-b", b.dir, "c").check(0)
        equal((os.stat(path).st_ino, os.stat(path).st_mtime_ns), (stamp.st_ino, stamp.st_mtime_ns), "the cached filter")
        os.unlink(path)


@test(root=True)
def test_seccomp_refused():
    for change, words in ((seccomp({"names": ["mkdir"], "action": "SCMP_ACT_NO"}), 'linux.seccomp.syscalls[0].action: unknown action "SCMP_ACT_NO"'),
                          (seccomp({"action": "SCMP_ACT_ALLOW"}), "linux.seccomp.syscalls[0].names"),
                          (seccomp({"names": ["mkdir"], "action": "SCMP_ACT_ALLOW", "errnoRet": 1}), "linux.seccomp.syscalls[0].errnoRet: this action takes no error number"),
                          (seccomp(flags=["SECCOMP_FILTER_FLAG_X"]), "linux.seccomp.flags[0]: unknown flag"),
                          (seccomp(architectures=["SCMP_ARCH_Z80"]), "linux.seccomp.architectures[0]: unknown architecture"),
                          (seccomp(listenerMetadata="x"), "linux.seccomp.listenerMetadata: there is no listenerPath"),
                          (seccomp(listenerPath="x"), "linux.seccomp.listenerPath: 'x' is not absolute"),
                          (seccomp({"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}), "linux.seccomp: SCMP_ACT_NOTIFY needs a listenerPath"),
                          ({"linux": {"seccomp": {"defaultAction": None, "syscalls": []}}}, "linux.seccomp.defaultAction: missing"),
                          ({"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ERRNO"}}}, "linux.seccomp: the profile denies execve(2)"),
                          ({"linux": {"seccomp": []}}, "linux.seccomp: an object is wanted")):
        refused(change, words)


# ---- hooks -----------------------------------------------------------------------------------------------------------

@test(root=True)
def test_hooks_refused():
    for hook, words in (({"args": ["x"]}, "hooks.prestart[0]: path is missing"), ({"path": "x"}, "hooks.prestart[0].path: 'x' is not absolute"),
                        ({"path": "/x", "timeout": 0}, "hooks.prestart[0].timeout: 0 is out of range"), ({"path": "/x", "env": ["A"]}, "hooks.prestart[0].env[0]: 'A'"),
                        ({"path": "/x", "args": "x"}, "hooks.prestart[0].args: an array is wanted"), ("x", "hooks.prestart[0]: an object is wanted")):
        refused({"hooks": {"prestart": [hook]}}, words)
    refused({"hooks": {"poststop": {}}}, "hooks.poststop: an array is wanted")
    refused({"hooks": []}, "hooks: an object is wanted")
    output("true", {"hooks": {"unknownKind": [1], "prestart": None, "poststop": []}})


# ---- rootless ----------------------------------------------------------------------------------------------------------

@test(root=True)
def test_ordinary_user():
    """With maps that are the user's own, by newuidmap or by one line; without a user namespace, and with ids of others, refused."""
    who = ranger()
    change = namespaces("mount", "pid", "ipc", "uts", "user")
    change["linux"].update(uidMappings=[{"containerID": 0, "hostID": who.uid, "size": 1}], gidMappings=[{"containerID": 0, "hostID": who.gid, "size": 1}], cgroupsPath="/some/where")
    tree = rootfs(owner="%d:%d" % (who.uid, who.gid))
    with bundle("cat /proc/self/uid_map; id -u", {**change, "root": {"path": tree}}) as b:
        open_to(who, b)
        result = b("run", "-b", b.dir, "c", user=who.name)
        equal(result.check(0).stdout.split(), ["0", str(who.uid), "1", "0"], "one id")
        b.config["linux"]["uidMappings"].append({"containerID": 1, "hostID": who.subuid[0], "size": 1000})
        b.config["linux"]["gidMappings"].append({"containerID": 1, "hostID": who.subgid[0], "size": 1000})
        b.config["process"]["user"]["additionalGids"] = [7]
        b.write()
        contains(b("run", "-b", b.dir, "c", user=who.name).check(0).stdout, "1 %10d       1000" % who.subuid[0], "the second line of the map")
        b.config["linux"]["uidMappings"][1]["hostID"] = 1
        b.write()
        failing(b("run", "-b", b.dir, "c", user=who.name), "linux.uidMappings 1:1:1000: host id 1 is neither uid %d's own" % who.uid)
        b.config["linux"]["namespaces"].pop()
        b.config["linux"].update(uidMappings=[], gidMappings=[])
        b.write()
        failing(b("run", "-b", b.dir, "c", user=who.name), 'linux.namespaces without "user"')


@test(root=True)
def test_ordinary_user_joins():
    """A user namespace of one's own, and what belongs to it, by path."""
    who = ranger()
    process = subprocess.Popen(["setpriv", "--reuid", str(who.uid), "--regid", str(who.gid), "--clear-groups", "unshare", "--user", "--map-root-user", "--net", "sh", "-c", "echo up; exec sleep 600"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        equal(process.stdout.readline(), b"up\n", "the sleeper")
        path = "/proc/%d/ns/" % process.pid
        with bundle(LINKS, {**namespaces("mount", "pid", user=path + "user", network=path + "net"), "root": {"path": rootfs(owner="%d:%d" % (who.uid, who.gid))}}) as b:
            open_to(who, b)
            got = links(b("run", "-b", b.dir, "c", user=who.name).check(0).stdout)
            equal((got["user"], got["network"]), (os.readlink(path + "user"), os.readlink(path + "net")), "namespaces that were joined")
            b.config["linux"]["namespaces"][3]["path"] = "/proc/1/ns/net"
            b.write()
            result = b("run", "-b", b.dir, "c", user=who.name)
            equal(result.status, 1, "status of one that is not the user's: %r\n" % result)
            contains(result.stderr, "linux.namespaces[3].path: ", "stderr")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def open_to(who, b):
    os.makedirs(b.root, exist_ok=True)
    for path in (b.dir, b.root):
        os.chown(path, who.uid, who.gid)
        while path != "/":
            os.chmod(path, os.stat(path).st_mode | 0o055)
            path = os.path.dirname(path)
            if path in ("/tmp", "/var/tmp", "/var"):
                break


@test(root=True)
def test_nested_in_an_engines_user_namespace():
    """As rootless podman has it: root of a user namespace, with maps of its own ids, id 0 of that namespace among them, or without another namespace; no group may be made."""
    with sleeper("--user", "--mount", "--propagation", "unchanged", uid_map="0 100000 65536") as pid:
        nested = lambda b: subprocess.run(["nsenter", "-t", str(pid), "-U", "-m", "-S", "0", "-G", "0", binary(), "--root", b.root, "run", "-b", b.dir, "c"],
                                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(None), timeout=30)
        tree = {"root": {"path": rootfs(owner="100000:100000")}}
        change = namespaces("mount", "pid", "ipc", "uts", "network")
        change["linux"]["resources"] = {}
        with bundle("id -u; cat /proc/self/uid_map", {**change, **tree, "process": {"oomScoreAdj": 0}}) as b:
            open_to(user("root")._replace(uid=100000, gid=100000), b)
            result = nested(b)
            equal(result.returncode, 0, "status; %s" % result.stderr)
            equal(result.stdout.split(), ["0", "0", "100000", "65536"], "without a user namespace of its own: in that one")
            b.config["linux"]["namespaces"].append({"type": "user"})
            maps = [{"containerID": 0, "hostID": 1, "size": 1000}, {"containerID": 1000, "hostID": 0, "size": 1}, {"containerID": 1001, "hostID": 1001, "size": 5000}]
            b.config["linux"].update(uidMappings=maps, gidMappings=maps)
            b.config["process"]["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [1000]}
            b.write()
            result = nested(b)
            equal(result.returncode, 0, "status; %s" % result.stderr)
            equal(result.stdout.split(), ["1000"] + [str(m[k]) for m in maps for k in ("containerID", "hostID", "size")], "its map")
            maps[2]["hostID"] = 65530
            b.config["linux"].update(uidMappings=maps, gidMappings=maps)
            b.write()
            result = nested(b)
            check(result.returncode == 1 and "id 65536 does not exist in this user namespace" in result.stderr, "ids that are not there: %r" % result)


# ---- as others have it ---------------------------------------------------------------------------------------------------

LOOK = ("id -u; id -g; grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status; umask; cat /proc/self/oom_score_adj /proc/sys/kernel/hostname /proc/self/uid_map; env | sort; pwd; ulimit -n; ulimit -c; "
        "for n in user pid net ipc uts; do [ $(readlink /proc/self/ns/$n) = $(readlink /outside/$n) ] && echo $n is the host\\'s; done; cat /proc/sys/net/ipv4/ip_forward")


@test(root=True, needs=["runc", "crun"])
def test_as_runc_and_crun():
    """The same documents show the same to a process inside."""
    change = {"hostname": "h", "linux": {"sysctl": {"net.ipv4.ip_forward": "1"}}}
    cases = {
        "root": {},
        "user": {"process": {"user": {"uid": 1000, "gid": 1000}, "noNewPrivileges": True, "env": ["PATH=/bin", "A=b", "HOME=/tmp"], "cwd": "/tmp"}},
        "limits": {"process": {"rlimits": [{"type": "RLIMIT_NOFILE", "soft": 99, "hard": 100}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}], "oomScoreAdj": 300, "user": {"umask": 0o077}}},
        "ambient": {"process": {"user": {"uid": 7, "gid": 8}, "capabilities": {kind: ["CAP_KILL", "CAP_NET_BIND_SERVICE"] for kind in ("bounding", "effective", "permitted", "inheritable", "ambient")}}},
        "ambient_alone": {"process": {"user": {"uid": 7, "gid": 8}, "capabilities": {kind: ["CAP_KILL"] for kind in ("bounding", "effective", "permitted", "ambient")}}},
        "few_namespaces": {"hostname": None, "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}], "sysctl": None}},
        "user_namespace": {"root": {"path": rootfs(owner="100000:100000")},
                           "linux": {"namespaces": [{"type": kind} for kind in ("mount", "pid", "uts", "ipc", "network", "user")], "uidMappings": MAP, "gidMappings": MAP}},
        "seccomp": seccomp({"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}),
    }
    outside = tmp("outside")
    for name in ("user", "pid", "net", "ipc", "uts"):
        os.symlink(os.readlink("/proc/self/ns/" + name), os.path.join(outside, name))
    hidden = ["unshare", "--mount", "sh", "-c", 'umount -l "$0"; exec "$@"', v2_mount() or "/"]
    for name, case in cases.items():
        with bundle(LOOK, change) as b:
            merge(b.config, case)
            b.config["mounts"].append({"destination": "/outside", "type": "bind", "source": outside, "options": ["bind"]})
            b.write()
            own = b("run", "-b", b.dir, "c").check(0).stdout
            for other in (["runc"], [*hidden, "crun"] if "memory" in v1_mounts() else ["crun"]):
                got = run([*other, "--root", tmp() + "/other", "run", "-b", b.dir, "nsrun-test-%d" % os.getpid()])
                equal(got.status, 0, "%s: status of %s: %r\n" % (name, other[-1], got))
                # crun gives no HOME to a user whom passwd does not know.
                seen = [[line for line in text.splitlines() if other[-1] != "crun" or not line.startswith("HOME=")] for text in (own, got.stdout)]
                equal(*seen, "%s: what is seen inside, as with %s" % (name, other[-1]))


# ---- what engines write ----------------------------------------------------------------------------------------------------

DOCUMENTS = os.path.join(TOP, "tests/data/oci")


def adapted(path, b):
    """The document of an engine with a tree, names and numbers of this host."""
    with open(path) as file:
        config = json.load(file)
    linux, process = config["linux"], config["process"]
    mapped = any(ns["type"] == "user" for ns in linux["namespaces"])
    if mapped:
        linux["uidMappings"] = linux["gidMappings"] = MAP
        process["user"] = {"uid": 0, "gid": 0}
    config["root"]["path"] = rootfs(owner="100000:100000" if mapped else None)
    for ns in linux["namespaces"]:
        ns.pop("path", None)
    targets = [entry["destination"] for entry in config["mounts"]]
    os.makedirs(os.path.join(b.dir, "tree"), exist_ok=True)
    with open(os.path.join(b.dir, "tree/x"), "w"):
        pass
    for entry in config["mounts"]:
        if entry.get("type") == "bind" or {"bind", "rbind"} & set(entry.get("options", [])):
            if not entry["source"].startswith("/dev/"):
                above = entry["destination"] == "/dev/shm" or any(target.startswith(entry["destination"] + "/") for target in targets)
                above = above or os.path.isdir(os.path.join(config["root"]["path"], entry["destination"].lstrip("/")))
                entry["source"] = os.path.join(b.dir, "tree" if above else "tree/x")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for limit in process.get("rlimits", []):
        limit["soft"], limit["hard"] = min(limit["soft"], hard), min(limit["hard"], hard)
    for key, entries in linux.get("resources", {}).get("blockIO", {}).items():
        for entry in entries if isinstance(entries, list) else []:
            entry.update(disk_number())
    if "cgroupsPath" in linux:
        # One level: groups above a container's own stay after it, as with every runtime. Tests beside this one read the same documents.
        linux["cgroupsPath"] = "/nsrun/%s-%s" % (os.path.basename(b.dir), linux["cgroupsPath"].strip("/").replace("/", "-")[:100])
    for hook in config.get("hooks", {}).get("prestart", []):
        hook.update(path="/bin/true", args=["true"])
    process.update(args=["/bin/sh", "-c", "echo ran"], cwd="/", terminal=False)
    return config


@generate
def documents():
    for path in sorted(glob.glob(DOCUMENTS + "/*-config-*.json")):
        def one(path=path):
            needs_root()
            with bundle() as b:
                b.config = adapted(path, b)
                b.write()
                result = b("run", "-b", b.dir, "c")
                equal((result.status, result.stdout), (0, "ran\n"), "%r\n" % result)
        yield os.path.basename(path)[:-5], one


# ---- broken documents ---------------------------------------------------------------------------------------------------

def document(text, words=()):
    """An error within a second, with at most 256 MiB, that says these words."""
    with bundle() as b:
        with open(os.path.join(b.dir, "config.json"), "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        del text
        begin = time.monotonic()
        errors = tmp() + "/errors"
        with open(errors, "wb") as out:
            process = subprocess.Popen([binary(), "--root", b.root, "create", "-b", b.dir, "c"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=out)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        took, processors = time.monotonic() - begin, usage.ru_utime + usage.ru_stime
        with open(errors, errors="replace") as file:
            said = file.read()
        equal(process.returncode, 1, "status; %s" % said[:2000])
        check(processors < 1 or is_sanitized(), "it took %.2f s of a processor" % processors)
        check(took < 10 * SLOW, "it took %.2f s" % took) # on a machine that may have other work
        check(usage.ru_maxrss < 256 << 10 or is_sanitized(), "it took %d KiB" % usage.ru_maxrss)
        check(len(said) < 4096, "%d bytes of error" % len(said))
        for word in words:
            contains(said, word, "error")


def is_sanitized():
    with open(binary(), "rb") as file:
        return b"__asan_init" in file.read()


def good():
    with bundle() as b:
        return b.config


@generate
def broken():
    text = json.dumps(good() if ROOT else {})
    cases = {
        "empty": (b"", ["config.json: line 1"]),
        "truncated": (text[:-20], ["config.json: line 1"]),
        "garbage": (os.urandom(10000), []),
        "binary": (b"\0" * 10000, []),
        "array": ("[]", ["an object is wanted"]),
        "number": ("7", []),
        "after": (text + "x", ["end of file expected"]),
        "duplicate": (text[:-1] + ', "ociVersion": "1.0.0"}', ["duplicate object key"]),
        "utf8": (text.replace("1.0.2", "1.0.2-\xff").encode("latin-1"), ["unable to decode byte 0xff"]),
        "surrogate": (text.replace("1.0.2", "1.0.2-\\ud800"), ["config.json: line 1"]),
        "nul": (text.replace("/bin/sh", "/bin/sh\\u0000"), ["config.json: line 1"]),
        "nul_key": ('{"a\\u0000b": 1}', []),
        "deep_arrays": (lambda: "[" * 1000000, []),
        "deep_objects": (lambda: '{"a":' * 100000, []),
        "deep_and_closed": ('{"x":' + "[" * 3000 + "]" * 3000 + "}", ["maximum parsing depth"]),
        "huge_number": (text.replace('"ociVersion"', '"x": 1' + "0" * 400 + ', "ociVersion"'), []),
        "huge_real": (text.replace('"ociVersion"', '"x": 1e999, "ociVersion"'), []),
        "nan": (text.replace('"ociVersion"', '"x": NaN, "ociVersion"'), []),
        "huge": (lambda: b'{"x": "' + b"a" * (100 << 20) + b'"}', ["config.json"]),
        "huge_spaces": (lambda: b" " * (100 << 20), ["config.json"]),
        "many_values": (lambda: b'{"x": [' + b"{}," * 2000000 + b"{}]}", ["more than"]),
        "many_mounts": (lambda: json.dumps({**(good() if ROOT else {}), "mounts": [{"destination": "/a%d" % i, "type": "tmpfs"} for i in range(100000)]}), ["more than"]),
        "mounts_at_the_bound": (lambda: json.dumps({**(good() if ROOT else {}), "mounts": [{"destination": "/a"} for i in range(60000)]}), ["mounts"]),
        "many_args": (lambda: json.dumps({**(good() if ROOT else {}), "process": {"args": ["a"] * 300000, "cwd": "/"}}), ["more than"]),
        "long_name": (lambda: json.dumps({**(good() if ROOT else {}), "hostname": "a" * 5000000}), ["hostname: longer than"]),
        "long_key": (lambda: json.dumps({**(good() if ROOT else {}), "linux": {**(good() if ROOT else {"linux": {}})["linux"], "sysctl": {"net." + "x" * 1000000: "1"}}}), ["linux.sysctl."]),
        "long_word": (lambda: json.dumps({**(good() if ROOT else {}), "linux": {"namespaces": [{"type": "m" * 1000000}]}}), ["linux.namespaces[0].type"]),
        "percent": (json.dumps({**(good() if ROOT else {}), "linux": {"namespaces": [{"type": "%s%n%n%n"}]}}), ["'%s%n%n%n'"]),
    }
    for name, (body, words) in cases.items():
        yield name, lambda body=body, words=words: document(body() if callable(body) else body, words)


@test(root=True)
def test_config_that_is_no_file():
    with bundle() as b:
        path = os.path.join(b.dir, "config.json")
        os.unlink(path)
        failing(b("create", "-b", b.dir, "c"), "config.json")
        os.mkdir(path)
        failing(b("create", "-b", b.dir, "c"), "config.json")
        os.rmdir(path)
        os.mkfifo(path)
        result = b("create", "-b", b.dir, "c", timeout=10)
        equal(result.status, 1, "status of a FIFO nobody writes to: %r" % result)
        os.unlink(path)
        os.symlink("/dev/zero", path)
        failing(b("create", "-b", b.dir, "c"), "config.json")
        os.unlink(path)
        failing(b("create", "-b", b.dir + "/no", "c"), "/no")


if __name__ == "__main__":
    main()
