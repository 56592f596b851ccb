# SPDX-License-Identifier: Apache-2.0
"""A bundle for tests of the score: config.json with all that adds rows of a bundle's own, as far as every host has it."""
import json
import os
import shutil
import socket
import subprocess

from harness import base, nsrun, rootfs
from launches import ROLES, Row, score_rows

CAPS = ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_SYS_ADMIN"]
_made = {}


def bundle():
    """A directory with config.json: everything that adds rows of the life, and a group."""
    if "path" not in _made:
        path = os.path.join(base(), "bundle")
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
        with open(os.path.join(path, "config.json"), "w") as file:
            json.dump(config, file)
        _made["path"] = path
    return _made["path"]


def joined_bundle():
    """One whose root is that of a mount namespace which it joins, as it is there; an open file of this process holds that."""
    if "joined" not in _made:
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
        _made["joined"] = path
    return _made["joined"]


def activation():
    """The environment of a service whose supervisor waits for READY=1."""
    if "notify" not in _made:
        _made["notify"] = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        _made["notify"].bind(os.path.join(base(), "notify"))
    return {"NOTIFY_SOCKET": os.path.join(base(), "notify")}


def bundle_rows(command="create", joined=False):
    """[Row] that --dry-run prints for it, in the table's order."""
    table, rows = score_rows(), []
    words = [command, "--dry-run", "-b", joined_bundle() if joined else bundle(), "c"]
    for line in nsrun(words, sanitizer=True, env=None if joined else activation()).check(0).stdout.splitlines():
        words = line.split()
        for at, word in enumerate(words[1:3], 1):
            if words[at - 1] in ROLES and word in table:
                rows.append(Row(words[at - 1], word, ""))
                break
    return rows
