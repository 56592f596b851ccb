# SPDX-License-Identifier: Apache-2.0
"""Slurm with three nodes on this host: munged, slurmctld, three slurmd, and an oci.conf that names this runtime."""
import json
import os
import shutil
import signal
import subprocess

import harness
from engine import *

# glibc's AI_ADDRCONFIG does not count 127.0.0.1 as an address: the nodes have another one of the private network namespace.
ADDRESS = "10.99.0.1"
NODES = ("n1", "n2", "n3")

SLURM_CONF = """
ClusterName=test
SlurmctldHost=localhost(%(address)s)
SlurmctldPort=16817
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=%(top)s/munge/socket
CredType=cred/munge
StateSaveLocation=%(top)s/state
SlurmdSpoolDir=%(top)s/spool/%%n
SlurmctldPidFile=%(top)s/slurmctld.pid
SlurmdPidFile=%(top)s/slurmd-%%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
KillWait=6
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
%(nodes)s
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""

PATTERN = "%n.%u.%j.%s.%t"
RUN = 'RunTimeRun="exec %(runtime)s --root=%(root)s run --bundle %%b %(id)s"'
# slurmstepd reads the output of create to its end, which a container that inherits it does not reach before its own: it gets the task's streams.
STREAMS = "</proc/$PPID/fd/0 >/proc/$PPID/fd/1 2>/proc/$PPID/fd/2"
CREATE_AND_START = ('RunTimeCreate="exec %(runtime)s --root=%(root)s create --bundle %%b %(id)s ' + STREAMS +
                    '"\nRunTimeStart="exec %(runtime)s --root=%(root)s start %(id)s"')
OTHERS = """
RunTimeQuery="%(runtime)s --root=%(root)s state %(id)s"
RunTimeKill="%(runtime)s --root=%(root)s kill --all %(id)s"
RunTimeDelete="%(runtime)s --root=%(root)s delete --force %(id)s"
"""


class Slurm:
    def __init__(self):
        self.top = os.path.join(base(), "slurm")
        for name, mode in (("", 0o755), ("munge", 0o755), ("state", 0o700), ("spool", 0o755), ("runtime", 0o755)):
            os.makedirs(os.path.join(self.top, name))
            os.chmod(os.path.join(self.top, name), mode)
        self.daemons = []
        subprocess.run(["ip", "address", "add", ADDRESS + "/32", "dev", "lo"], check=True)
        nodes = "\n".join("NodeName=%s NodeHostname=localhost NodeAddr=%s Port=%d CPUs=1" % (name, ADDRESS, 16821 + at) for at, name in enumerate(NODES))
        self.write("slurm.conf", SLURM_CONF % dict(address=ADDRESS, top=self.top, nodes=nodes))
        self.configure(RUN)
        self.environment = {"SLURM_CONF": os.path.join(self.top, "slurm.conf")}

    def write(self, name, text):
        path = os.path.join(self.top, name)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o644)
        return path

    def configure(self, how):
        """oci.conf, which is read at each step's launch."""
        self.write("oci.conf", (how + OTHERS) % dict(runtime=runtime(), root=os.path.join(self.top, "runtime", "%u"), id=PATTERN))

    def begin(self):
        key = os.path.join(self.top, "munge/key")
        with open(key, "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(os.urandom(128))
        munge = os.path.join(self.top, "munge/")
        self._daemon(["munged", "--foreground", "--force", "--socket", munge + "socket", "--key-file", key, "--log-file", munge + "log",
                      "--pid-file", munge + "pid", "--seed-file", munge + "seed", "--num-threads", "2"], "munged", lambda: os.path.exists(munge + "socket"))
        self._daemon(["slurmctld", "-D"], "slurmctld", lambda: self.run("scontrol", "ping").status == 0)
        for node in NODES:
            self._daemon(["slurmd", "-D", "-N", node], "slurmd-" + node, lambda: True)
        wait_for(lambda: self.run("sinfo", "-h", "-o", "%t %D").stdout == "idle 3\n", "three idle nodes", timeout=30, interval=0.2)

    def _daemon(self, words, name, ready):
        self.daemons.append(Daemon(words, ready, self.top, name=name, env=self.environment))

    def run(self, *words, who=None, env=None, **how):
        return run(words, user=who, env={**self.environment, **(env or {})}, cwd="/", **how)

    def popen(self, *words, who=None):
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/",
                                env=environment(who, self.environment), **harness.run_as(who))

    def srun(self, bundle, *words, command=("/bin/true",), **how):
        return self.run("srun", *words, "--container=" + bundle, *command, **how)

    def bundle(self, name, who=None):
        """A bundle with a root file system of its own; who: an ordinary user, whom its user namespace has as root."""
        path = os.path.join(self.top, name)
        os.makedirs(path)
        os.chmod(path, 0o755)
        shutil.copytree(rootfs(owner="%d:%d" % (who.uid, who.gid) if who else None), os.path.join(path, "rootfs"), symlinks=True)
        if who:
            subprocess.run(["chown", "-R", "-h", "%d:%d" % (who.uid, who.gid), path], check=True)
        with open(os.path.join(path, "config.json"), "w") as file:
            json.dump(config(who, path), file)
        return path

    def state(self, who="root", as_user=None):
        """What the runtime itself lists, by id, of this user's containers."""
        root = os.path.join(self.top, "runtime", who)
        if not os.path.isdir(root):
            return {}
        told = run([runtime(), "--root", root, "list", "--format", "json"], user=as_user).check(0)
        return {entry["id"]: entry for entry in json.loads(told.stdout or "[]") or []}

    def again(self):
        """Itself, for another test: what one that failed left is ended first."""
        if self.run("squeue", "-h").stdout:
            self.run("scancel", "--full", "-u", "root")
            self.run("scancel", "-s", "KILL", "-u", "root")
        for daemon in self.daemons:
            for pid in daemon.below():
                if pid != daemon.pid and b"slurmscriptd" not in open("/proc/%d/cmdline" % pid, "rb").read():
                    os.kill(pid, signal.SIGKILL)
        for name in self.state():
            run([runtime(), "--root", os.path.join(self.top, "runtime/root"), "delete", "--force", name])
        return self

    def left(self):
        """What jobs left behind."""
        found = [line for daemon in self.daemons for line in describe([pid for pid in daemon.below() if pid != daemon.pid])
                 if "slurmscriptd" not in line]
        return found + ["state of " + name for name in self.state()]

    def stop(self):
        for daemon in reversed(self.daemons):
            daemon.stop()


def config(who, path):
    mounts = [{"destination": "/proc", "type": "proc", "source": "proc"},
              {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=64k"]},
              {"destination": "/sys", "type": "none" if who else "sysfs", "source": "/sys" if who else "sysfs",
               "options": ["rbind" if who else "nodev", "nosuid", "noexec", "nodev", "ro"]}]
    namespaces = ["pid", "ipc", "uts", "mount"] + (["user"] if who else ["network"])
    linux = {"namespaces": [{"type": kind} for kind in namespaces], "maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"]}
    if who:
        linux["uidMappings"] = [{"containerID": 0, "hostID": who.uid, "size": 1}]
        linux["gidMappings"] = [{"containerID": 0, "hostID": who.gid, "size": 1}]
    else:
        linux["resources"] = {"memory": {"limit": 64 << 20}, "pids": {"limit": 100}}
        linux["cgroupsPath"] = ""
    return {
        "ociVersion": "1.0.0",
        "process": {"terminal": False, "user": {"uid": 0, "gid": 0}, "args": ["/bin/sh"], "cwd": "/", "noNewPrivileges": True,
                    "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]},
        "root": {"path": "rootfs"}, "hostname": "job", "mounts": mounts, "linux": linux,
    }
