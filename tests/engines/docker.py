# SPDX-License-Identifier: Apache-2.0
"""dockerd with this runtime as its default, in a directory of its own, and the client for it."""
import glob
import json
import os

from engine import *

CLIENT = "/usr/bin/docker"  # the packaged one: other tools are called docker, too


class Docker(Daemon):
    """config: more of daemon.json; arguments: more of dockerd's command line."""

    def __init__(self, name="docker", config=None, arguments=(), host=None, client=None, env=None):
        self.top = os.path.join(base(), name)
        os.makedirs(self.top, mode=0o711, exist_ok=True)
        os.chmod(self.top, 0o711)  # a remapped container's root passes through it
        self.exec_root, self.data_root = os.path.join(self.top, "exec"), os.path.join(self.top, "data")
        self.socket = os.path.join(self.top, "docker.sock")
        client_config = os.path.join(self.top, "client")
        os.makedirs(client_config, mode=0o700, exist_ok=True)
        self.config = {
            "runtimes": {"nsrun": {"path": runtime()}},
            "default-runtime": "nsrun",
            "data-root": self.data_root,
            "exec-root": self.exec_root,
            "pidfile": os.path.join(self.top, "docker.pid"),
            "hosts": ["unix://" + self.socket],
            **({"exec-opts": ["native.cgroupdriver=systemd"]} if by_systemd() else {"cgroup-parent": "/" + cgroup_parent()}),
            # Docker asks for 1048576, which may be above the hard limit of a caller without CAP_SYS_RESOURCE.
            "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 1024, "Hard": 2048}},
            "shutdown-timeout": 5,
            **(config or {}),
        }
        path = os.path.join(self.top, "daemon.json")
        with open(path, "w") as file:
            json.dump(self.config, file, indent=2)
        self.environment = {"DOCKER_HOST": host or "unix://" + self.socket, "DOCKER_CONFIG": client_config, "DOCKER_BUILDKIT": "0",
                            "HOME": self.top, **(client or {})}
        super().__init__(["dockerd", "--config-file", path, *arguments], self.answers, self.top, name="dockerd", env=env)

    def again(self, config):
        """Another daemon on the same data-root, once this one was stopped."""
        return Docker(os.path.basename(self.top), config)

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

    def runtime_root(self):
        """What the runtime was told as --root: EXEC-ROOT/runtime-NAME/moby, or moby-UID.GID for a remapped daemon of Docker 26."""
        found = glob.glob(os.path.join(self.exec_root, "runtime-*", "moby*"))
        check(len(found) == 1, "not one state directory of a runtime: %s" % found)
        return found[0]

    def proves(self, name):
        """Fails unless the runtime's own state has this container, with the init that Docker knows. Returns the pid."""
        told = self.inspect(name)
        equal(told["HostConfig"]["Runtime"], "nsrun", "Docker's runtime")
        pid = proves(self.runtime_root(), told["Id"])
        equal(pid, told["State"]["Pid"], "pid of init by the runtime and by Docker")
        return pid

    def runtime_name(self):
        """The NAME of runtime-NAME below exec-root, which is not the runtime's in each version of Docker."""
        names = glob.glob(os.path.join(self.exec_root, "runtime-*"))
        check(len(names) == 1, "not one directory runtime-*: %s" % names)
        return os.path.basename(names[0]).partition("-")[2]

    def left(self):
        """dockerd 26 does not unmount the name that it gave its own network namespace for --net host."""
        return [line for line in super().left() if line != "mount " + os.path.join(self.exec_root, "netns/default")]

    def clean(self):
        """After stop(): no state of the runtime and no group is left."""
        # nsrun's own: DIR/UID.GID/CONTAINER and DIR/names/NAME; other runtimes have DIR/CONTAINER.
        left = [path for path in glob.glob(os.path.join(self.exec_root, "runtime-*", "*", "*", "*")) if os.path.basename(path) != "lock"]
        groups = "system.slice/docker-*.scope" if by_systemd() else cgroup_parent() + "/*/"
        left += [path for top in cgroup_mounts() for path in glob.glob(os.path.join(top, groups))]
        check(not left, "left behind:\n    %s" % "\n    ".join(left))

    def once(self, options, *command, image="busybox", **how):
        """docker run --rm OPTIONS IMAGE COMMAND. options: a list, or one string of words."""
        return self("run", "--rm", *_words(options), image, *command, **how)


def lasting(script):
    """A shell that runs the script and stays a moment. Docker opens the streams of a container beside its start, and on a busy machine loses what one that
    has ended by then has said ("stream copy error: reading from a closed fifo"), whatever the runtime is."""
    return ["/bin/sh", "-c", "(%s); s=$?; sleep 0.5; exit $s" % script]


def _words(options):
    return options.split() if isinstance(options, str) else options


class Container:
    """docker run -d OPTIONS busybox COMMAND, proved to be this runtime's, removed at the end."""
    count = 0

    def __init__(self, docker, options="", *command, image="busybox"):
        Container.count += 1
        self.docker, self.name = docker, "c%d" % Container.count
        self.options = _words(options)
        self.command, self.image = command or ("sleep", "1000"), image

    def __enter__(self):
        try:
            self.docker("run", "-d", "--name", self.name, *self.options, self.image, *self.command).check(0)
            self.pid = self.docker.proves(self.name)
        except BaseException:
            self.__exit__(None)
            raise
        return self

    def __exit__(self, kind, *_):
        self.docker("rm", "-f", "-v", self.name)

    def exec(self, *words, options=()):
        return self.docker("exec", *options, self.name, *words)

    def shell(self, script, options=()):
        return self.exec("/bin/sh", "-c", script, options=options)

    def inspect(self, template):
        return self.docker.inspect(self.name, "{{json .%s}}" % template)

    def ended(self, timeout=20):
        """Its exit status, once it ended."""
        return int(self.docker.out("wait", self.name, timeout=timeout))
