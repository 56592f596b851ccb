# SPDX-License-Identifier: Apache-2.0
# tests/run: long
"""nsrun exec: a further process of a container that runs, as confined as the first one, in a container that may be hostile."""
import contextlib
import json
import os
import re
import signal
import subprocess
import termios
import time

import faces
from harness import *
from faces import both, face, nsrun
from helper import executes, helper, install_helper, refused, status_fields, tree

SLEEPER = ("/bin/sh", "-c", "echo up; while :; do sleep 300; done")
REFUSED = {"run": 125, "bundle": 255, "bundle-host": 255}  # exec's status
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")


def own_tree(who):
    return tree(owner=who if user(who).subuid else "%d:%d" % (user(who).uid, user(who).gid), with_probe=True)


class Container:
    """One in the foreground whose workload has said its first line."""

    def __init__(self, *options, who=None, command=SLEEPER, tree_=None, host=False, sanitizer=False, bundle=False):
        bundle = bundle or face() != "run"
        host = host or face() == "bundle-host"
        words = ["--userns=host"] if host else ["--userns-remap", dummy().name] if who is None else []
        if tree_ is None:
            tree_ = rootfs(private=True, with_probe=True) if host else tree(with_probe=True) if who is None else own_tree(who)
        if host:
            install_helper(tree_)
        self.who, self.tree = who, tree_
        self.line = ["-t=false", *words, *options, tree_]
        self.face = "bundle" if bundle else "run"
        self.argv = [binary(sanitizer), *faces.of(self.face, faces.argv_of, [*self.line, *command], who)]
        self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=environment(who), cwd=base(), **run_as(who))
        line = self.process.stdout.readline()
        if not line.strip():
            self.process.kill()
            fail("the container did not come up: %r" % (self.process.communicate(),))
        if bundle:
            self.id = self.argv[-1]
            self.init = json.loads(nsrun(["state", self.id], user=who).check().stdout)["pid"]
            return
        listed = json.loads(nsrun(["ls", "-a", "--json"], user=who).check().stdout)
        [record] = [one for one in listed if one["owner"] == self.process.pid]
        self.id, self.init = record["id"], record["pid"]

    @property
    def pid(self):
        """The workload: PID 1, or under --init its child."""
        with open("/proc/%d/comm" % self.init) as file:
            if file.read() != "nsrun-init\n":
                return self.init
        with open("/proc/%d/task/%d/children" % (self.init, self.init)) as file:
            return int(file.read().split()[0])

    def words(self, command, options=()):
        return ["exec", *(options.split() if isinstance(options, str) else options), self.id, *command]

    def exec(self, *command, options=(), **how):
        return nsrun(self.words(command, options), user=self.who, **how)

    def shell(self, script, options=(), **how):
        return self.exec("/bin/sh", "-c", script, options=options, **how)

    def start(self, *command, options=(), **how):
        """One that goes on; its first line was read."""
        process = subprocess.Popen([binary(), *self.words(command, options)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=environment(self.who), cwd=base(), **run_as(self.who), **how)
        self.line = process.stdout.readline().decode()
        check(self.line.strip(), "exec did not begin: %r" % self.line)
        return process

    def processes(self):
        """How many are in its pid namespace. What nsrun exec left, when it was killed, is ours to reap, as elsewhere init's: a pid
        namespace does not end before."""
        reap()
        namespace = os.readlink("/proc/%d/ns/pid" % self.init)
        count = 0
        for pid in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                count += pid.isdigit() and os.readlink("/proc/%s/ns/pid" % pid) == namespace
        return count

    def end(self):
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.init or self.process.pid, signal.SIGKILL)  # init is none yet where the test ended before it was seen
        deadline = time.monotonic() + 10 * SLOW
        while self.process.poll() is None and time.monotonic() < deadline:
            reap()
            time.sleep(0.005)
        self.process.communicate(timeout=1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


KINDS = {
    "root": dict(),
    "host": dict(host=True),
    "ranges": dict(who=lambda: ranger().name),
    "single": dict(who=lambda: single().name),
    "init": dict(options=["--init"]),
    "init-ranges": dict(options=["--init"], who=lambda: ranger().name),
    "init-single": dict(options=["--init"], who=lambda: single().name),
    "limits": dict(options=["--memory", "64m", "--pids-limit", "50", "--cpus", "0.5"]),
    "uid-1000": dict(options=["-u", "1000:1000", "--umask", "077", "--group-add", "33"]),
    "drop-all": dict(options=["--cap-drop", "ALL"]),
    "add-all": dict(options=["--cap-add", "ALL"]),
    "new-privileges": dict(options=["--security-opt", "no-new-privileges=false"]),
    "unconfined": dict(options=["--security-opt", "seccomp=unconfined"]),
    "docker": dict(options=["--security-opt", "seccomp=docker"]),
    "ulimit": dict(options=["--ulimit", "nofile=100:200"]),
    "privileged": dict(options=["--privileged"]),
}
# The same of a bundle, where config.json has words for it: it has no --init.
KINDS.update({"bundle-" + name: dict(KINDS[name], bundle=True) for name in list(KINDS) if not name.startswith("init")})


def container(kind, more=()):
    how = dict(KINDS[kind])
    options = [*how.pop("options", []), *more]
    if "who" in how:
        how["who"] = how["who"]()
    return Container(*options, **how)


def status_of(pid):
    with open("/proc/%d/status" % pid) as file:
        return status_fields(file.read())


SAME = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters", "Umask",
        "SigBlk", "Cpus_allowed", "Mems_allowed")


def found(pid, read_owner=False):
    """What the kernel says from outside of a process: whatever confines it."""
    fields = {name: value for name, value in status_of(pid).items() if name in SAME}
    for name in NAMESPACES:
        fields["ns " + name] = os.readlink("/proc/%d/ns/%s" % (pid, name))
    for name in ("cgroup", "uid_map", "gid_map", "setgroups", "oom_score_adj", "limits"):
        with open("/proc/%d/%s" % (pid, name)) as file:
            fields[name] = file.read()
    fields["limits"] = re.sub(r"(?m)^Max (cpu time|processes|pending).*\n", lambda m: m.group(0), fields["limits"])
    fields["root"] = os.stat("/proc/%d/root/." % pid).st_ino, os.stat("/proc/%d/root/." % pid).st_dev
    return fields


def inside_child(launcher):
    """The process that CMD became: nsrun exec's child."""
    def inside(pid):
        with contextlib.suppress(OSError):  # the helper that entered, which has ended
            return os.readlink("/proc/%d/ns/mnt" % pid) != os.readlink("/proc/self/ns/mnt")
    found = []

    def alone():
        found[:] = [pid for pid in descendants(launcher.pid) if inside(pid)]
        return len(found) == 1
    wait_for(alone, "the one process inside")  # the helper that entered may not have ended yet
    return found[0]


@generate
def confinement():
    """Everything that confines PID 1's workload confines the new process, by what the kernel says from outside."""
    for kind in KINDS:
        yield kind, lambda kind=kind: confined(kind)


def confined(kind):
    with container(kind) as c:
        process = c.start("/bin/sh", "-c", "echo $$; exec sleep 300")
        try:
            pid = inside_child(process)
            wanted, got = found(c.pid), found(pid)
            for name in wanted:
                equal(got[name], wanted[name], "%s of the new process, as PID 1's" % name)
            check(int(c.line) > 1, "its number inside: %s" % c.line)
            equal(status_of(pid)["PPid"], str(process.pid), "its parent is nsrun exec")
        finally:
            process.terminate()
            process.communicate(timeout=10)
        equal(process.returncode, 128 + signal.SIGTERM, "status after SIGTERM")


# Numbers of processes, and what only the first process of a container or one with a parent elsewhere has.
VARIES = {"argv", "pid", "ppid", "pgid", "sid", "root_inode_same_as_parent", "session_keyring", "parent_death_signal"}


@generate
def probes():
    """What the probe sees from inside is the same for the workload and for an exec."""
    for kind in ("root", "ranges", "single", "init", "uid-1000", "drop-all", "new-privileges", "host", "privileged", "bundle-root", "bundle-ranges",
                 "bundle-uid-1000", "bundle-new-privileges", "bundle-host", "bundle-privileged"):
        yield kind, lambda kind=kind: probed(kind)


def comparable(text):
    found = json.loads(re.sub(r"(pipe|mnt|pid|pid_for_children|net|ipc|uts|user|cgroup):\[\d+\]", r"\1:[N]", text))
    for name in ("NSpid", "NSpgid", "NSsid"):
        found["status"].pop(name)
    found["mountinfo"] = [line.split(None, 3)[3] for line in found["mountinfo"]]
    return found


def probed(kind):
    with container(kind) as c:
        first = faces.of(c.face, nsrun, ["--hostname", "probed", *c.line[1:], "/probe"], user=c.who).check()
    with container(kind, more=["--hostname", "probed"]) as c:
        wanted, got = comparable(first.stdout), comparable(c.exec("/probe").check().stdout)
        for key in sorted((set(wanted) | set(got)) - VARIES):
            equal(got.get(key), wanted.get(key), key)


def test_statuses():
    with Container() as c:
        for script, status in (("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137)):
            c.shell(script).check(status)
        c.exec("nonesuch").check(127, stderr="cmd-not-found")
        c.exec("/etc").check(126)
        c.exec("/etc/passwd").check(126)
        c.exec("").check(127)
        refused(nsrun(["exec", "nonesuch-container", "true"]), "no-container")
        refused(nsrun(["exec"]), "which container")
        refused(nsrun(["exec", "--no-such", c.id, "true"]), "unknown option")
        refused(nsrun(["exec", "-dt", c.id, "true"]), "--detach")
        refused(c.exec("true", options="--privileged"), "not-built")
        refused(c.exec("true", options="-w relative"), "--workdir")
        refused(c.exec("true", options="-w /nonesuch"), "/nonesuch")
        refused(c.exec("true", options="-u nonesuch"), "nonesuch")
        for bad in ("-1", "4294967295", "1:1:1", "1:-1"):
            refused(c.exec("true", options=["-u", bad]))
        check("Usage: nsrun exec" in nsrun(["exec", "--help"]).check().stdout, "--help")


@both()
def test_options_behind_the_name():
    refused(nsrun(["exec", "web", "-it", "sh"]), "-it: an option behind NAME (web)", "[option-order]")
    with Container() as c:
        c.exec("--", "/bin/echo", "-n", "x").check(0, "x")
        c.exec("--", "-no").check(127)


def test_shell_without_cmd():
    with Container() as c:
        run = nsrun(["exec", c.id], input="echo hello; exit 4\n")
        run.check(4, stdout="hello\n")


@both()
def test_environment_and_directory():
    with Container("-e", "A=1", "-e", "B=2", "-w", "/tmp") as c:
        env = c.exec("env", options="-e B=3 -e C=4").check().stdout.splitlines()
        for word in ("A=1", "B=3", "C=4", "HOME=/root"):
            check(word in env, "%s in %r" % (word, env))
        check("B=2" not in env, "the container's B: %r" % env)
        equal(c.exec("pwd").check().stdout, "/tmp\n", "directory")
        equal(c.exec("pwd", options="-w /etc").check().stdout, "/etc\n", "directory")
        path = os.path.join(tmp("env"), "file")
        with open(path, "w") as file:
            file.write("A=9\nD=5\n")
        env = c.exec("env", options=["--env-file", path, "-e", "D=6"]).check().stdout.splitlines()
        check("A=9" in env and "D=6" in env, "%r" % env)
        env = c.exec("env", options="-e PASSED", env={"PASSED": "on", "SECRET": "host"}).check().stdout
        check("PASSED=on" in env and "SECRET" not in env, env)


@both()
def test_users():
    with Container() as c:
        equal(c.exec("id", "-u", options="-u 1000").check().stdout, "1000\n", "uid")
        fields = status_fields(c.exec("cat", "/proc/self/status", options="-u 1000:1001 --group-add 1002").check().stdout)
        equal((fields["Uid"].split(), fields["Gid"].split()), (["1000"] * 4, ["1001"] * 4), "ids")
        equal(fields["Groups"].split(), ["1001", "1002"], "groups")
        equal((int(fields["CapEff"], 16), int(fields["CapPrm"], 16)), (0, 0), "capabilities")
        env = c.exec("env", options="-u 1000").check().stdout
        contains(env, "HOME=/", "environment")


@both()
def test_streams():
    with Container() as c:
        run = c.shell("cat; echo error >&2", input="some input\n").check(0, stdout="some input\n")
        equal(run.stderr, "error\n", "stderr")
        equal(c.exec("cat", options="-i=false", input="nothing\n").check().stdout, "", "-i=false")
        # nothing beside 0, 1 and 2, of the caller's least of all
        read, write = os.pipe()
        directory = os.open("/", os.O_RDONLY)
        os.set_inheritable(directory, True)
        os.set_inheritable(write, True)
        process = subprocess.run([binary(), "exec", c.id, "ls", "-l", "/proc/self/fd"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 close_fds=False, check=True)
        for fd in (read, write, directory):
            os.close(fd)
        numbers = re.findall(r" (\d+) -> (\S+)", process.stdout.decode())
        equal([n for n, link in numbers if not link.startswith("/proc/")], ["0", "1", "2"], "descriptors beside ls' own: %r" % numbers)


@both()
def test_stdin_from_a_directory():
    with Container() as c:
        with open("/dev/null") as null:
            fd = os.open("/", os.O_RDONLY)
            process = subprocess.run([binary(), "exec", c.id, "true"], stdin=fd, stdout=null, stderr=subprocess.PIPE)
            os.close(fd)
        equal(process.returncode, REFUSED[face()], "status")
        contains(process.stderr.decode(), "stdio-directory")


def test_detached():
    with Container() as c:
        run = c.exec("/bin/sh", "-c", "echo $$ > /tmp/pid; exec sleep 300", options="-d", timeout=10).check(0, stdout="")
        check(run.duration < 30 * SLOW, "it waited: %r" % run)
        wait_for(lambda: c.shell("test -s /tmp/pid").status == 0, "the detached process")
        pid = int(c.shell("cat /tmp/pid").check().stdout)
        links = c.shell("for n in 0 1 2; do readlink /proc/%d/fd/$n; done" % pid).check().stdout.split()
        equal(links, ["/dev/null"] * 3, "its descriptors")
        c.exec("nonesuch", options="-d").check(127)
        c.shell("kill %d" % pid).check()


@both()
def test_ends_with_nsrun():
    """The bond: SIGKILL to nsrun exec ends the process, also one of another user inside."""
    for options in ("", "-u 1000"):
        with Container() as c:
            process = c.start("/bin/sh", "-c", "echo up; exec sleep 300", options=options)
            pid = inside_child(process)
            process.kill()
            process.communicate()
            wait_for(lambda: not alive(pid), "the end of the process inside")


@both()
def test_ends_with_the_container():
    with Container() as c:
        process = c.start("/bin/sh", "-c", "echo up; exec sleep 300")
        os.kill(c.init, signal.SIGKILL)
        process.communicate(timeout=10)
        equal(process.returncode, 137, "status")
        c.process.communicate(timeout=10)
        refused(c.exec("true"), ("no-container", "not-running"))


@both()
def test_signals():
    with Container() as c:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            process = c.start("/bin/sh", "-c", "trap 'exit 3' TERM INT USR1; echo up; while :; do sleep 0.05; done")
            process.send_signal(number)
            process.communicate(timeout=10)
            equal(process.returncode, 3, "status after %s" % number)


@both()
def test_own_session_keyring_and_process_group():
    with Container("--security-opt", "seccomp=unconfined") as c:
        fields = c.exec("cat", "/proc/self/stat").check().stdout.split()
        equal((fields[0], fields[4], fields[5], fields[6]), (fields[0], fields[0], fields[0], "0"), "group, session, terminal")


# ---- terminal ----

def terminal(c, *command, options="-it", **how):
    return Pty([binary(), *c.words(command, options)], user=c.who, **how)


@generate
def terminals():
    for kind in ("root", "host", "ranges", "single", "init-ranges"):
        yield kind, lambda kind=kind: on_terminal(kind)


def on_terminal(kind):
    with container(kind) as c:
        with terminal(c, "/bin/sh", rows=33, columns=99, env={"TERM": "vt220"}) as pty:
            pty.write("tty; echo T=$TERM; stty size; echo d''one\n")
            pty.expect(r"done")
            contains(pty.text, "/dev/pts/", "tty")
            contains(pty.text, "T=vt220", "TERM")
            contains(pty.text, "33 99", "size")
            pty.resize(40, 120)
            pty.ask("stty size", r"40 120")
            pty.write("sleep 100\n")
            executes(pty.pid, "sleep")
            pty.write("\x03")
            pty.write("echo st=$?\n")
            pty.expect(r"st=130")
            pty.write("exit 5\n")
            equal(pty.wait(), 5, "status")
            flags = pty.settings()[3]
            check(flags & termios.ICANON and flags & termios.ECHO, "the terminal's settings were not restored: %x" % flags)


def test_terminal_of_another_user():
    with Container() as c:
        with terminal(c, "/bin/sh", "-c", "echo hello > $(tty) && stat -c %u $(tty)", options="-it -u 1000") as pty:
            equal(pty.wait(), 0, "status: %s" % pty.text)
            contains(pty.text, "hello")
            contains(pty.text, "1000")


def test_tty_without_terminal():
    with Container() as c:
        refused(c.exec("true", options="-t"), "--tty")


# ---- trace ----

def test_trace():
    with Container() as c:
        run = c.exec("true", options="--trace=json").check()
        rows = [json.loads(line) for line in run.stderr.splitlines()]
        names = [row["step"] for row in rows]
        for name in ("container.open", "init.clone", "container.enter", "seccomp.load", "workload.exec"):
            check(name in names, "%s in %r" % (name, names))
        for name in ("state.record", "root.pivot", "proc.mount", "cgroup.create", "hostname.set"):
            check(name not in names, "%s is no row of exec: %r" % (name, names))
        check(all(row["result"] == "ok" for row in rows), "%r" % rows)
        path = os.path.join(tmp("trace"), "file")
        c.exec("true", options=["--trace-file", path]).check(0, stderr="")
        contains(open(path).read(), "workload.exec")


# ---- what lives, and what does not ----

def test_paused():
    with Container() as c:
        path = status_group(c.pid)
        if not path or not os.path.exists(os.path.join(path, "cgroup.freeze")):
            skip("needs a v2 hierarchy")
        write(os.path.join(path, "cgroup.freeze"), "1")
        try:
            refused(c.exec("true", timeout=10), "paused")
        finally:
            write(os.path.join(path, "cgroup.freeze"), "0")
        c.exec("true").check()


def test_group_that_gives_controllers():
    """cgroups(7), no internal processes: such a group takes no process, so the new one goes where PID 1 went."""
    top = [entry[0] for entry in mountinfo() if entry[4] == "cgroup2"]
    if not top or "memory" not in open(os.path.join(top[0], "cgroup.controllers")).read():
        skip("needs a v2 hierarchy with controllers")
    for how in (["-m", "64m"], ["-m", "64m", "--privileged"], ["-m", "64m", "--cgroupns=host"]):
        with Container(*how) as c:
            group = status_group(c.init)
            os.makedirs(group + "/a")
            for pid in cgroup_pids(group):
                write(group + "/a/cgroup.procs", str(pid))
            write(group + "/cgroup.subtree_control", "+memory")
            ours = status_group(c.init)
            equal(ours, group + "/a", "the group of PID 1")
            own = c.shell("sed -n 's/^0:://p' /proc/self/cgroup").check().stdout.strip()
            check(own == "/a" or "--cgroupns=host" in how and own.endswith(c.id + "/a"), "the group of the new process: %r" % own)
            # what it is counted in is still the container's
            equal(json.loads(nsrun(["inspect", c.id]).check().stdout)[0]["live"]["cgroup"]["memory"]["max"], 64 << 20, "memory limit")
            write(ours + "/cgroup.freeze", "1")
            try:
                refused(c.exec("true", timeout=10), "frozen")
            finally:
                write(ours + "/cgroup.freeze", "0")


@test(root=True)
def test_group_of_a_delegation():
    """cgroups(7), delegation containment: from outside of the delegated group nothing can be put into the container's."""
    top = [entry[0] for entry in mountinfo() if entry[4] == "cgroup2"]
    if not top:
        skip("needs a v2 hierarchy")
    who = ranger()
    group = os.path.join(top[0], "nsrun-test-exec-%d" % os.getpid())
    started = None
    os.makedirs(group + "/session")
    try:
        for path in (group, group + "/session"):
            for name in ("", "cgroup.procs", "cgroup.subtree_control"):
                os.chown(os.path.join(path, name), who.uid, who.gid)
        within = ["/bin/sh", "-c", "echo $$ >%s/session/cgroup.procs && exec setpriv --reuid %d --regid %d --clear-groups \"$@\""
                  % (group, who.uid, who.gid), "sh", binary()]
        env = environment(who.name)
        started = run([*within, "-d", own_tree(who.name), "sleep", "300"], env=env).check().stdout.strip()
        group_of = next(one for one in json.loads(nsrun(["inspect", started], user=who.name).check().stdout))["cgroup"]
        contains(group_of, os.path.basename(group) + "/nsrun/", "the container's group")
        refused(nsrun(["exec", started, "true"], user=who.name), "group-containment", group_of)
        run([*within, "exec", started, "cat", "/proc/self/cgroup"], env=env).check()
    finally:
        if started:
            nsrun(["rm", "-f", started], user=who.name).check()
        for path in (group + "/nsrun", group + "/session", group):
            with contextlib.suppress(FileNotFoundError):
                os.rmdir(path)


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def status_group(pid):
    """Path of its v2 group; None without such a hierarchy."""
    [line] = [line for line in open("/proc/%d/cgroup" % pid).read().splitlines() if line.startswith("0::")]
    for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        if os.path.exists(os.path.join(root, "cgroup.controllers")):
            return root + line[3:]
    return None


def test_other_users_containers_are_not_seen():
    with Container() as c:
        refused(nsrun(["exec", c.id, "true"], user=single().name), "no-container")


@test(timeout=120)
def test_many():
    with Container("--init") as c:
        c.exec("true").check()  # by then the owner has all that it opens while it waits
        before = len(fds(c.process.pid))
        for _ in range(200):
            c.exec("true").check()
        wait_for(lambda: len(fds(c.process.pid)) == before, "descriptors of the owner, %d at first: %r" % (before, fds(c.process.pid)))
        wait_for(lambda: c.processes() == 3, "processes: init and the loop of two")


@both()
def test_at_once():
    with Container() as c:
        processes = [subprocess.Popen([binary(), "exec", c.id, "sh", "-c", "exit %d" % n], stdin=subprocess.DEVNULL) for n in range(30)]
        equal([process.wait(30) for process in processes], list(range(30)), "statuses")


# ---- a hostile container ----

ADMIN = ("--cap-add", "SYS_ADMIN", "--cap-add", "SYS_PTRACE", "--security-opt", "seccomp=unconfined")


def changed():
    """A rootfs that CMD may change: no bundle has --ephemeral."""
    return install_helper(rootfs(private=True, fresh=True)) if face() == "bundle-host" else tree(fresh=True)


@generate
def hostile_mounts():
    """What CMD may find replaced must not keep the process from being confined, nor lead it to the host."""
    scripts = {
        "proc-tmpfs": "mount -t tmpfs none /proc",
        "proc-bind": "mkdir /tmp/p; mkdir -p /tmp/p/self/fd; mount --bind /tmp/p /proc",
        "proc-part": "mount --bind /proc/1 /proc",
        "proc-gone": "umount -l /proc",
        "etc-gone": "mount -t tmpfs none /etc",
        "dev-gone": "mount -t tmpfs none /dev; mkfifo /dev/null",
        "proc-link": "umount -l /proc; rmdir /proc && ln -s /tmp /proc",
    }
    for name, script in scripts.items():
        for one in faces.FACES:
            yield "%s %s" % (name, one), faces.in_face(one, lambda script=script: hostile_mount(script))


def hostile_mount(script):
    with Container(*ADMIN, tree_=changed(), command=("/bin/sh", "-c", script + "; echo up; while :; do read -t 300 x < /tmp/none; done")) as c:
        process = c.start("/bin/sh", "-c", "echo up; exec sleep 300")
        process_pid = inside_child(process)
        try:
            got, wanted = found(process_pid), found(c.pid)
            for name in wanted:
                equal(got[name], wanted[name], name)
            links = set(fds(process_pid).values())
            check(all(re.match(r"(/dev/null|pipe:.*)$", link) for link in links), "descriptors: %r" % links)
        finally:
            process.terminate()
            process.communicate(timeout=10)


@both()
def test_hostile_passwd():
    """A FIFO in its place hangs nobody. Numbers of user and group need no file; a name does."""
    with Container(*ADMIN, command=("/bin/sh", "-c", "mount -t tmpfs none /etc; mkfifo /etc/passwd /etc/group; echo up; exec sleep 300")) as c:
        refused(c.exec("true", options=["-u", "nobody"], timeout=10), "/etc/passwd")
        c.exec("true", timeout=10).check(0)


@both()
def test_hostile_devpts():
    """A directory that is no devpts gives no terminal."""
    for script in ("mount -t tmpfs none /dev/pts", "mount -t tmpfs none /dev; ln -s /tmp /dev/pts",
                   "mount -t tmpfs none /tmp; mkfifo /tmp/ptmx; mount --bind /tmp /dev/pts"):
        with Container(*ADMIN, command=("/bin/sh", "-c", script + "; echo up; exec sleep 300")) as c:
            with terminal(c, "/bin/true") as pty:
                equal(pty.wait(), REFUSED[face()], "status with %s: %s" % (script, pty.text))
                check("/dev/pts" in pty.text or "devpts" in pty.text or "terminals" in pty.text, pty.text)


@both()
def test_preload_of_the_rootfs():
    """Neither the container's loader configuration nor its libraries are nsrun's."""
    with Container("-e", "LD_PRELOAD=/nonesuch.so", tree_=changed(),
                   command=("/bin/sh", "-c", "echo /nonesuch.so > /etc/ld.so.preload; echo up; exec sleep 300")) as c:
        run = c.exec("/bin/echo", "fine").check(0, stdout="fine\n")
        check("nonesuch" not in run.stderr, run.stderr)


@both()
def test_cmd_is_a_link_to_nsrun():
    """/proc/self/exe as CMD: what is executed is nsrun inside, and nobody gets a descriptor of it to write to (CVE-2019-5736)."""
    for how in (dict(tree_=changed()), dict(host=True, tree_=rootfs(private=True, fresh=True)))[:2 if face() == "run" else 1]:
        with Container(command=("/bin/sh", "-c", "ln -s /proc/self/exe /link; echo up; exec sleep 300"), **how) as c:
            before = os.stat(binary())
            run = c.exec("/link", "--version")
            check(run.status in (0, 125, 126, 127), "%r" % run)
            after = os.stat(binary())
            equal((after.st_size, after.st_mtime_ns, after.st_ino), (before.st_size, before.st_mtime_ns, before.st_ino), "nsrun's file")


@generate(timeout=40)
def spies():
    for kind in ("root", "ranges", "single", "bundle-root", "bundle-ranges"):
        yield kind, lambda kind=kind: spied(kind)
    for one in ("run", "bundle"):
        yield "host " + one, faces.in_face(one, spied_without_a_user_namespace)


def spied(kind):
    """Container root with CAP_SYS_PTRACE looks at every process that joins: nsrun's descriptors, program and memory stay its own
    (CVE-2016-9962)."""
    how = dict(KINDS[kind])
    with Container(*ADMIN, who=how["who"]() if "who" in how else None, bundle=how.get("bundle", False)) as c:
        control = c.exec("/helper", "spy", "sleep", "1").check().stdout
        contains(control, "ptrace of sleep", "what the spy sees of a process that it may look at")
        spy = c.start("/helper", "spy", "nsrun", "%d" % max(5, 3 * SLOW))
        joined = 0
        while spy.poll() is None and joined < 5000:
            c.exec("/bin/true").check()
            joined += 1
        lines = spy.stdout.read().decode().splitlines()
        lines = [line for line in lines if not line.startswith("caps ")]
        check(lines[-1].startswith("seen "), "%r" % lines)
        check(joined > 10 and int(lines[-1].split()[1]) > 0, "%d joined, %s" % (joined, lines[-1]))
        equal(sorted(set(lines[:-1])), [], "what it could reach of %d processes" % joined)


def spied_without_a_user_namespace():
    """There CAP_SYS_PTRACE is the initial user namespace's, and nothing keeps its holder away: what joins must have no more
    than the container has, but for what changing ids takes."""
    with Container("--cap-add", "SYS_PTRACE", "--security-opt", "seccomp=unconfined", host=True) as c:
        launcher = c.start("/bin/sh", "-c", "echo up; exec sleep 300")
        with open("/proc/%d/comm" % launcher.pid) as file:
            name = file.read().strip()
        launcher.terminate()
        launcher.communicate(timeout=10)
        spy = c.start("/helper", "spy-caps", name, "%d" % max(5, 3 * SLOW))
        joined = 0
        while spy.poll() is None and joined < 5000:
            c.exec("/bin/true").check()
            joined += 1
        words = {word for word in spy.stdout.read().decode().splitlines() if word.startswith("caps ")}
        check(joined > 10 and words, "%d joined, %r were seen" % (joined, words))
        own = int(status_of(c.pid)["CapPrm"], 16)
        needed = 1 << 0 | 1 << 6 | 1 << 7 | 1 << 8  # CHOWN, SETGID, SETUID, SETPCAP
        for word in words:
            equal(int(word.split()[1], 16) & ~(own | needed), 0, "capabilities beyond the container's own of what joins")


@both()
def test_killed_at_any_time():
    """SIGKILL to nsrun exec in the middle: nothing is left of it inside or outside."""
    with Container() as c:
        for delay in range(0, 40):
            process = subprocess.Popen([binary(), *c.words(("sleep", "300"))], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            time.sleep(delay * 0.0003)
            process.kill()
            process.wait()
        wait_for(lambda: c.processes() == 2, "the end of all of them")


@both()
def test_container_ends_under_it():
    """PID 1 is killed while processes join: an error that says so, or the status of a process that was ended, and nothing hangs."""
    for delay in range(0, 12):
        with Container() as c:
            process = subprocess.Popen([binary(), *c.words(("sleep", "300"))], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.PIPE)
            time.sleep(delay * 0.0004)
            os.kill(c.init, signal.SIGKILL)
            _, err = process.communicate(timeout=10)
            # a record that has gone meanwhile says no more that it was a bundle's
            check(process.returncode in (125, REFUSED[face()], 137), "status %d: %s" % (process.returncode, err.decode()))
            if process.returncode != 137:
                check(any(words in err for words in (b"not-running", b"no-container", b"stopped container")), err.decode())


if __name__ == "__main__":
    main()
