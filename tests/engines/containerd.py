# SPDX-License-Identifier: Apache-2.0
"""containerd with everything it keeps in a directory of its own, and images without a registry."""
import hashlib
import io
import json
import os
import signal
import tarfile

import cri
import harness
from engine import *

CONFIG = """
version = 2
root = "%(top)s/root"
state = "%(top)s/state"
oom_score = 0
disabled_plugins = ["io.containerd.internal.v1.restart", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
	"io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp"]

[grpc]
  address = "%(top)s/containerd.sock"

[plugins."io.containerd.internal.v1.opt"]
  path = "%(top)s/opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/library/pause:latest"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "%(top)s/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "nsrun"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nsrun]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nsrun.options]
        BinaryName = "%(runtime)s"
        Root = "%(top)s/runtime"
        SystemdCgroup = %(systemd)s
"""

NETWORK = {
    "cniVersion": "0.4.0", "name": "test",
    "plugins": [{"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": False,
                 "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.86.0.0/16"}]]}}, {"type": "portmap", "capabilities": {"portMappings": True}}],
}


def docker_archive(target, name, command):
    """What `docker save` writes, of one layer."""
    with open(busybox_tar(), "rb") as file:
        layer = file.read()
    config = json.dumps({
        "architecture": "amd64" if os.uname().machine == "x86_64" else "arm64", "os": "linux",
        "config": {"Cmd": command, "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
    }).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(target, "w") as archive:
        for path, data in (("config.json", config), ("layer.tar", layer), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return target


def _private_var_lib():
    """CNI plugins remember addresses and results in /var/lib/cni: what they write there is this mount namespace's."""
    over = os.path.join(base(), "var-lib")
    for name in ("upper", "work"):
        os.makedirs(os.path.join(over, name))
    mount("overlay", "/var/lib", "overlay", 0, "lowerdir=/var/lib,upperdir=%s/upper,workdir=%s/work" % (over, over))


class Containerd(Daemon):
    def __init__(self, systemd=False):
        self.top = os.path.join(base(), "containerd")
        os.makedirs(os.path.join(self.top, "net.d"))
        _private_var_lib()
        path = os.path.join(self.top, "config.toml")
        with open(path, "w") as file:
            file.write(CONFIG % dict(top=self.top, runtime=runtime(), systemd=str(systemd).lower()))
        with open(os.path.join(self.top, "net.d/10-test.conflist"), "w") as file:
            json.dump(NETWORK, file)
        self.socket = os.path.join(self.top, "containerd.sock")
        self.arguments = ["containerd", "--config", path]
        self.before = []
        self._begin()
        self.cri = cri.Client(self.socket, self.log)

    def _begin(self):
        super().__init__(self.arguments, self.answers, self.top)

    def answers(self):
        """The plugin of the Container Runtime Interface, which comes up last."""
        try:
            cri.call(self.socket, "RuntimeService/ListPodSandbox", {}, timeout=10)
            return True
        except (cri.Refused, OSError):
            return False

    def restart(self):
        """Another one, while the shims of this one live on, where they are."""
        self.holder.send_signal(signal.SIGTERM)
        wait_for(self.has_ended, "containerd ends", timeout=20)
        self.before.append(self.holder)
        self._begin()

    def kill(self):
        super().kill()
        for holder in self.before:
            kill_tree([holder.pid])
            harness.unkeep(holder)

    def ctr(self, *words, namespace="default", **how):
        return run(["ctr", "--address", self.socket, "--namespace", namespace, *words], **how)

    def image(self, name, command, namespace="default"):
        archive = docker_archive(os.path.join(self.top, "image.tar"), "docker.io/library/%s:latest" % name, command)
        self.ctr("images", "import", archive, namespace=namespace, timeout=60).check(0)
        return "docker.io/library/%s:latest" % name

    def state(self, namespace="default"):
        """What the runtime itself lists, by id."""
        root = os.path.join(self.top if namespace == "k8s.io" else "/run/containerd", "runtime" if namespace == "k8s.io" else "runc", namespace)
        told = run([runtime(), "--root", root, "list", "--format", "json"]).check(0)
        return {entry["id"]: entry for entry in json.loads(told.stdout or "[]") or []}

    def proves(self, identity, namespace="default", status="running"):
        states = self.state(namespace)
        check(identity in states, "the runtime does not know %s: %r" % (identity, sorted(states)))
        equal(states[identity]["status"], status, "status by the runtime")
        return states[identity]["pid"]

    def left(self):
        """containerd mounts overlays of what still exists only."""
        more = [line for holder in self.before for line in describe([pid for pid in harness.descendants(holder.pid) if alive(pid)])]
        return super().left() + more + ["state of " + name for namespace in ("default", "k8s.io") for name in self.state(namespace)]
