# SPDX-License-Identifier: Apache-2.0
"""Podman, as root or as an ordinary user, with this runtime as its only one and everything it keeps in a directory of its own."""
import json
import os
import re

from engine import *
import harness

# The hard limits here are lower than Podman's own default of 1048576, and without CAP_SYS_RESOURCE none may be raised.
CONTAINERS_CONF = """
[containers]
default_ulimits = ["nofile=4096:8192", "nproc=4096:8192"]
%(containers)s
[engine]
runtime = "nsrun"
runtime_supports_json = ["nsrun"]
runtime_supports_nocgroup = ["nsrun"]
cgroup_manager = "%(manager)s"
events_logger = "file"
%(engine)s
[engine.runtimes]
nsrun = ["%(runtime)s"]
"""

STORAGE_CONF = """
[storage]
driver = "overlay"
runroot = "%(runroot)s"
graphroot = "%(graphroot)s"
%(storage)s
"""


class Podman:
    """who: None is root, or a user of the private /etc. program: podman or buildah, which read the same files."""

    def __init__(self, name="podman", who=None, containers="", engine="", storage=""):
        self.who = user(who) if who is not None else None
        self.top = os.path.join(base(), name)
        os.makedirs(self.top, mode=0o711)
        os.chmod(self.top, 0o711)
        self.holder, self.dirty = None, False
        for path, text in (("containers.conf", CONTAINERS_CONF), ("storage.conf", STORAGE_CONF)):
            with open(os.path.join(self.top, path), "w") as file:
                file.write(text % dict(containers=containers, engine=engine, storage=storage, runtime=runtime(),
                                       manager="systemd" if by_systemd() else "cgroupfs",
                                       runroot=os.path.join(self.top, "run"), graphroot=os.path.join(self.top, "data")))
        for path in ("run", "data", "tmp"):
            os.mkdir(os.path.join(self.top, path), 0o711)
            if self.who:
                os.chown(os.path.join(self.top, path), self.who.uid, self.who.gid)
        # With an interval Podman asks systemd for a timer: there is none in these namespaces.
        self.environment = {
            "CONTAINERS_CONF": os.path.join(self.top, "containers.conf"), "CONTAINERS_STORAGE_CONF": os.path.join(self.top, "storage.conf"),
            "TMPDIR": os.path.join(self.top, "tmp"), "XDG_CONFIG_HOME": None, **self._session(),
            # Debian 13's takes nftables otherwise, which is one more package; and says to every command that v1 hierarchies are of the past.
            "NETAVARK_FW": "iptables", "PODMAN_IGNORE_CGROUPSV1_WARNING": "1",
        }
        if self.who:
            self._hold()

    def _session(self):
        """Where an ordinary user's programs find each other. With systemd it is that user's own manager that makes the groups."""
        if not self.who:
            return {"XDG_RUNTIME_DIR": None, "DBUS_SESSION_BUS_ADDRESS": None}
        if not by_systemd():
            return {"XDG_RUNTIME_DIR": harness.runtime_dir(self.who), "DBUS_SESSION_BUS_ADDRESS": None}
        directory = "/run/user/%d" % self.who.uid
        wait_for(lambda: os.path.exists(directory + "/bus"), "the user's manager", timeout=30)
        return {"XDG_RUNTIME_DIR": directory, "DBUS_SESSION_BUS_ADDRESS": "unix:path=%s/bus" % directory}

    def _hold(self):
        """An ordinary user's Podman keeps a process alive that owns its user namespace: here below one that outlives the tests."""
        env = {**environment(self.who), **self.environment}
        words = ["setpriv", "--reuid", self.who.uid, "--regid", self.who.gid, "--clear-groups", "env", "-i",
                 *("%s=%s" % item for item in env.items() if item[1] is not None), "podman", "unshare", "sleep", "infinity"]
        pid_file = os.path.join(self.environment["XDG_RUNTIME_DIR"], "libpod/tmp/pause.pid")
        self.holder = Daemon(words, lambda: os.path.exists(pid_file), self.top, name="podman-unshare")

    def program(self, name, *words, timeout=60, **how):
        """The program, podman or buildah, to its end."""
        return run([name, *words], user=self.who, timeout=timeout, env={**self.environment, **how.pop("env", {})}, cwd=self.top, **how)

    def __call__(self, *words, **how):
        """podman WORDS..., to its end."""
        return self.program("podman", *words, **how)

    def out(self, *words, **how):
        """Its standard output, once it succeeded."""
        return self(*words, **how).check(0).stdout.strip()

    def pty(self, *words, program="podman"):
        return Pty([program, *words], user=self.who, env=self.environment, cwd=self.top)

    def begin(self, *words, program="podman"):
        """Starts it and goes on: a Popen."""
        return harness.subprocess.Popen([program, *words], stdin=harness.subprocess.DEVNULL, stdout=harness.subprocess.PIPE,
                                        stderr=harness.subprocess.STDOUT, env=environment(self.who, self.environment), cwd=self.top,
                                        **harness.run_as(self.who))

    def image(self, name="localhost/busybox", more=None):
        self("import", "--change", "CMD /bin/sh", busybox_tar(more), name).check(0)
        return name

    def inspect(self, what):
        return json.loads(self.out("inspect", what))[0]

    @property
    def parent(self):
        """Options that put a container's groups where this run's are. An ordinary user has none on a host with v1 hierarchies, and of systemd
        they are scopes of machine.slice."""
        return [] if self.who or by_systemd() else ["--cgroup-parent", "/" + cgroup_parent()]

    def start(self, *words, name):
        """podman run -d of a container that waits; its name."""
        self("run", "-d", "--name", name, *self.parent, *words).check(0)
        return name

    def remove(self, *names):
        for name in names:  # in this order: some depend on others
            self("rm", "-f", "-t", "0", name).check(0)

    def again(self):
        """Itself, for another test: what one that failed left is removed first."""
        if self.dirty:
            self("pod", "rm", "-f", "-a", "-t", "0")
            for _ in range(2):  # the first finds that conmon was killed
                self("rm", "-f", "-a", "-t", "0")
            inside = ["podman", "unshare"] if self.who else []
            for name in self.states():
                run([*inside, runtime(), "delete", "--force", name], user=self.who, env=self.environment)
        self.dirty = True
        return self

    def states(self):
        """What the runtime itself lists, by id: by its own default directory, since Podman names it none."""
        # An ordinary user's Podman starts it within the user namespace.
        inside = ["podman", "unshare"] if self.who else []
        told = run([*inside, runtime(), "list", "--format", "json"], user=self.who, env=self.environment).check(0)
        return {entry["id"]: entry for entry in json.loads(told.stdout or "[]") or []}

    def proves(self, name):
        """Fails unless the runtime's own state has this container, with the init that Podman knows. Returns the pid."""
        told = self.inspect(name)
        equal(told["OCIRuntime"], "nsrun", "Podman's runtime")
        states = self.states()
        check(told["Id"] in states, "the runtime does not know %s: %r" % (told["Id"], sorted(states)))
        equal(states[told["Id"]]["pid"], told["State"]["Pid"], "pid of init by the runtime and by Podman")
        equal(states[told["Id"]]["status"], "running", "status by the runtime")
        return told["State"]["Pid"]

    def nothing_left(self):
        """No container, no pod, no state of the runtime, no process, no mount of a container."""
        equal(self.out("ps", "-a", "-q"), "", "containers of Podman")
        equal(self.out("pod", "ls", "-q"), "", "pods of Podman")
        equal(sorted(self.states()), [], "containers in the runtime's state")
        mounts = [entry[0] for entry in mountinfo() if entry[0].startswith(self.top + "/")]
        # the storage's own, made private by Podman itself
        mounts = [path for path in mounts if not re.fullmatch(re.escape(self.top) + r"/data/overlay", path)]
        equal(mounts, [], "mounts below " + self.top)
        wait_for(lambda: not self.groups(), "its groups are removed: %r" % self.groups())
        self.dirty = False

    def groups(self):
        """Groups of containers and of what runs beside them."""
        found = []
        within = cgroup_parent() if not by_systemd() else "user.slice/user-%d.slice" % self.who.uid if self.who else "machine.slice"
        for top in harness.cgroup_mounts():
            for path, dirs, _ in os.walk(os.path.join(top, within)):
                found += [os.path.join(path, name) for name in dirs if name.startswith("libpod-") and not name.startswith("libpod-conmon")]
        return found

    def stop(self):
        if self.holder:
            self.holder.kill()
