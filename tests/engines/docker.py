# SPDX-License-Identifier: Apache-2.0
"""dockerd with this runtime as its default, in a directory of its own, and the client for it."""
import glob
import json
import os
import shutil

from engine import *
import harness

CLIENT = "/usr/bin/docker"  # the packaged one: other tools are called docker, too


class Docker(Daemon):
    """config: more of daemon.json; arguments: more of dockerd's command line."""

    def __init__(self, name="docker", config=None, arguments=(), host=None, client=None, env=None):
        self.top = os.path.join(base(), name)
        os.makedirs(self.top, mode=0o711)
        os.chmod(self.top, 0o711)
        self.exec_root, self.data_root = os.path.join(self.top, "exec"), os.path.join(self.top, "data")
        self.socket = os.path.join(self.top, "docker.sock")
        self.client_config = os.path.join(self.top, "client")
        os.mkdir(self.client_config, 0o700)
        self.config = {
            "runtimes": {"nsrun": {"path": runtime()}},
            "default-runtime": "nsrun",
            "data-root": self.data_root,
            "exec-root": self.exec_root,
            "pidfile": os.path.join(self.top, "docker.pid"),
            "hosts": ["unix://" + self.socket],
            "cgroup-parent": "/" + cgroup_parent(),
            # Docker asks for 1048576, which is more than the hard limit of a caller without CAP_SYS_RESOURCE may be.
            "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 1024, "Hard": 2048}},
            "shutdown-timeout": 5,
            **(config or {}),
        }
        self.config = {key: value for key, value in self.config.items() if value is not None}
        path = os.path.join(self.top, "daemon.json")
        with open(path, "w") as file:
            json.dump(self.config, file, indent=2)
        self.host = host or "unix://" + self.socket
        self.environment = {"DOCKER_HOST": self.host, "DOCKER_CONFIG": self.client_config, "DOCKER_BUILDKIT": "0", "HOME": self.top, **(client or {})}
        super().__init__(["dockerd", "--config-file", path, *arguments], self.answers, self.top, name="dockerd", env=env)

    def answers(self):
        return self("version", "--format", "{{.Server.Version}}").status == 0

    def __call__(self, *words, timeout=60, **how):
        """docker WORDS..., to its end."""
        env = {**self.environment, **how.pop("env", {})}
        return run([CLIENT, *words], timeout=timeout, env=env, **how)

    def out(self, *words, **how):
        """Its standard output, once it succeeded."""
        return self(*words, **how).check(0).stdout.strip()

    def inspect(self, what, template="{{json .}}"):
        return json.loads(self.out("inspect", "--format", template, what))

    def pty(self, *words):
        return Pty([CLIENT, *words], env=self.environment)

    def image(self, name="busybox", more=None, changes=('CMD ["/bin/sh"]',)):
        options = [word for change in changes for word in ("--change", change)]
        self("import", *options, busybox_tar(more), name).check(0)
        return name

    def runtime_root(self, identity):
        """The directory that the runtime was told to keep its state in: shims have it in their arguments, and it lies below exec-root."""
        found = [path for path in glob.glob(os.path.join(self.exec_root, "**", identity), recursive=True)]
        for path in found:
            if os.path.basename(os.path.dirname(path)) == "moby" and "runtime" in path and "io.containerd" not in path:
                return os.path.dirname(path)
        fail("no state of a runtime for %s below %s: %s" % (identity, self.exec_root, found))

    def proves(self, name):
        """Fails unless the runtime's own state has this container, with the init that Docker knows. Returns the pid."""
        told = self.inspect(name)
        equal(told["HostConfig"]["Runtime"], "nsrun", "Docker's runtime")
        pid = proves(self.runtime_root(told["Id"]), told["Id"])
        equal(pid, told["State"]["Pid"], "pid of init by the runtime and by Docker")
        return pid
