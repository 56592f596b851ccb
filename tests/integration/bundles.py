# SPDX-License-Identifier: Apache-2.0
"""Bundles for tests of the score: config.json with all that adds rows of a bundle's own. One has what every host has; one what a launch must be given beside it, a
network device, an agent that takes the filter's listener, a directory for resctrl; one a terminal for an engine."""
import contextlib
import json
import os
import shutil
import socket
import subprocess
import threading

from harness import base, nsrun, rootfs, run
from launches import ROLES, Row, score_rows

LIFE, GIVEN, CONSOLE, JOINED = "life", "given", "console", "joined"
VARIANTS = (LIFE, GIVEN, CONSOLE, JOINED)
DEVICE = "nsr%d" % os.getpid()  # a name has 15 bytes
CAPS = ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_SYS_ADMIN"]
_made = {}


def bundle(variant=LIFE):
    """A directory with config.json: everything that adds rows of the life, and a group."""
    if variant == JOINED:
        return joined_bundle()
    if variant not in _made:
        path = os.path.join(base(), "bundle-" + variant)
        os.makedirs(path)
        tree = os.path.join(path, "rootfs")  # for the whole run
        shutil.copytree(rootfs(private=True), tree, symlinks=True)
        os.makedirs(os.path.join(tree, "srv"), exist_ok=True)
        with open(os.path.join(tree, "hook"), "w") as file:
            file.write("#!/bin/sh\nexit 0\n")
        os.chmod(os.path.join(tree, "hook"), 0o755)
        hook = [{"path": "/bin/true"}]
        config = {
            "ociVersion": "1.2.0",
            "process": {"terminal": False, "user": {"uid": 0, "gid": 0, "umask": 63}, "args": ["/bin/sleep", "60"], "env": ["PATH=/bin"], "cwd": "/",
                        "noNewPrivileges": True,
                        "scheduler": {"policy": "SCHED_BATCH", "nice": 1},
                        "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 5}, "oomScoreAdj": 100, "capabilities": {k: CAPS for k in ("bounding", "effective", "permitted")},
                        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 256, "hard": 256}]},
            "root": {"path": tree, "readonly": True},
            "hostname": "fault",
            "domainname": "example.org",
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
                       {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]},
                       {"destination": "/srv", "type": "bind", "source": path, "options": ["rbind", "ro"]}],
            "hooks": {"prestart": hook, "createRuntime": hook, "createContainer": hook, "startContainer": [{"path": "/hook"}],
                      "poststart": hook, "poststop": hook},
            "linux": {"namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network")],
                      "cgroupsPath": "/nsrun-fault-%d/c" % os.getpid(), "maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/bus"],
                      "sysctl": {"net.ipv4.ip_forward": "1"}, "personality": {"domain": "LINUX"},
                      "seccomp": {"defaultAction": "SCMP_ACT_ALLOW"}, "resources": {"pids": {"limit": 50}}},
        }
        if variant == GIVEN:
            config["linux"].update(memoryPolicy={"mode": "MPOL_PREFERRED", "nodes": "0"}, netDevices={DEVICE: {"name": "moved"}},
                                   intelRdt={"closID": "gold"},
                                   seccomp={"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": os.path.join(path, "agent"),
                                            "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]})
            os.makedirs(os.path.join(path, "resctrl/gold"))
            for name in ("schemata", "tasks"):
                open(os.path.join(path, "resctrl/gold", name), "w").close()
        if variant == CONSOLE:
            config["process"]["terminal"] = True
            config["mounts"].append({"destination": "/dev/pts", "type": "devpts", "options": ["newinstance", "ptmxmode=0666"]})
        with open(os.path.join(path, "config.json"), "w") as file:
            json.dump(config, file)
        _made[variant] = path
    return _made[variant]


def joined_bundle():
    """One whose root is that of a mount namespace which it joins, as it is there; an open file of this process holds that."""
    if JOINED not in _made:
        holder = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", "echo up; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        holder.stdout.readline()
        held = os.open("/proc/%d/ns/mnt" % holder.pid, os.O_RDONLY)
        holder.communicate()
        path = os.path.join(base(), "joined")
        os.makedirs(path)
        config = {"ociVersion": "1.2.0", "process": {"user": {"uid": 0, "gid": 0}, "args": ["/bin/sleep", "60"], "env": ["PATH=/bin"], "cwd": "/"}, "root": {"path": "/"},
                  "linux": {"namespaces": [{"type": "pid"}, {"type": "mount", "path": "/proc/%d/fd/%d" % (os.getpid(), held)}], "cgroupsPath": "/nsrun-fault-%d/c" % os.getpid()}}
        with open(os.path.join(path, "config.json"), "w") as file:
            json.dump(config, file)
        _made[JOINED] = path
    return _made[JOINED]


def activation():
    """The environment of a service whose supervisor waits for READY=1."""
    if "notify" not in _made:
        _made["notify"] = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        _made["notify"].bind(os.path.join(base(), "notify"))
    return {"NOTIFY_SOCKET": os.path.join(base(), "notify")}


@contextlib.contextmanager
def _taking(path):
    """Somebody who takes what is sent to this socket, and holds it: a terminal's other end, a filter's listener."""
    held = []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(8)

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    with server.accept()[0] as client:
                        client.settimeout(20)
                        with contextlib.suppress(OSError):
                            held.extend(socket.recv_fds(client, 65536, 8)[1])
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            os.unlink(path)
            for fd in held:
                os.close(fd)


@contextlib.contextmanager
def given(variant):
    """(options of create, environment) of a launch of the bundle, and all that it must find."""
    path = bundle(variant)
    if variant == GIVEN:
        run(["ip", "link", "add", DEVICE, "type", "veth", "peer", "name", DEVICE + "o"]).check(0)
        try:
            with _taking(os.path.join(path, "agent")):
                yield [], {"NSRUN_TEST_RESCTRL": os.path.join(path, "resctrl")}
        finally:
            if os.path.exists("/sys/class/net/" + DEVICE):  # it went with the container otherwise
                run(["ip", "link", "delete", DEVICE]).check(0)
    elif variant == CONSOLE:
        with _taking(os.path.join(path, "tty")):
            yield ["--console-socket", os.path.join(path, "tty")], {}
    else:
        yield [], activation() if variant == LIFE else {}


def rows_in(text):
    """[Row] of what --dry-run printed, in the table's order."""
    table, rows = score_rows(), []
    for line in text.splitlines():
        words = line.split()
        for at, word in enumerate(words[1:3], 1):
            if words[at - 1] in ROLES and word in table:
                rows.append(Row(words[at - 1], word, " ".join(words[at + 1:])))
                break
    return rows


def bundle_rows(command="create", variant=LIFE):
    """[Row] that --dry-run prints for it."""
    with given(variant) as (options, env):
        return rows_in(nsrun([command, "--dry-run", *options, "-b", bundle(variant), "c"], sanitizer=True, env=env).check(0).stdout)


def rows_of_bundles():
    return [row for variant in VARIANTS for row in bundle_rows(variant=variant)]


PROCESS = {"args": ["/bin/sleep", "60"], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}, "scheduler": {"policy": "SCHED_BATCH", "nice": 1},
           "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 5}, "execCPUAffinity": {"initial": "0", "final": "0"}, "oomScoreAdj": 200,
           "noNewPrivileges": True, "capabilities": {kind: ["CAP_KILL"] for kind in ("bounding", "effective", "permitted")},
           "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 128, "hard": 128}]}


def process_file():
    """A process object of an engine's exec, with all that adds rows."""
    path = os.path.join(base(), "process.json")
    with open(path, "w") as file:
        json.dump(PROCESS, file)
    return path
