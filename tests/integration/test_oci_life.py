# SPDX-License-Identifier: Apache-2.0
"""create, start, state, kill, delete and run of the OCI runtime, as engines use them: what a container is between two commands, what its hooks are told,
who may open its gate, and what is left of it when something fails or is killed."""
import array
import fcntl
import json
import os
import signal
import socket
import stat
import subprocess
import threading
import time

from harness import *

CAPS = ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"]
GROUP = "/nsrun-life-%d" % os.getpid()


def own_groups():
    return sorted(group for group in cgroups() if GROUP in group)


def tidy_groups():
    for group in sorted(own_groups(), reverse=True):
        os.rmdir(group)


class Bundle:
    """A bundle and a state root of its own; every container of it is removed at the end."""

    def __init__(self, *argv, **changes):
        self.dir, self.root = tmp(), os.path.join(tmp(), "root")
        self.config = {
            "ociVersion": "1.0.2",
            "process": {"terminal": False, "user": {"uid": 0, "gid": 0}, "args": list(argv) or ["/bin/sleep", "60"],
                        "env": ["PATH=/bin:/usr/bin:/sbin:/usr/sbin"], "cwd": "/",
                        "capabilities": {kind: CAPS for kind in ("bounding", "effective", "permitted")}},
            "root": {"path": rootfs(private=True), "readonly": False},
            "annotations": {"org.example.a": "b"},
            "linux": {"namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network")]},
        }
        for key, value in changes.items():
            if key in self.config["process"]:
                self.config["process"][key] = value
            else:
                self.config[key] = value
        self.write()

    def write(self):
        with open(os.path.join(self.dir, "config.json"), "w") as file:
            json.dump(self.config, file)

    def hook(self, kind, script, **more):
        """A hook that is a shell script, which has the state in the file `state` beside it."""
        path = os.path.join(self.dir, "hook-%s-%d" % (kind, len(self.config.get("hooks", {}).get(kind, []))))
        with open(path, "w") as file:
            file.write("#!/bin/sh\n" + script)
        os.chmod(path, 0o755)
        self.config.setdefault("hooks", {}).setdefault(kind, []).append({"path": path, **more})
        self.write()
        return path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for name in self.ids():
            self("delete", "--force", name)
        equal(self.ids(), [], "names that are left")
        equal([entry for entry in os.listdir(self.root) if entry not in ("names", "ranges")] if os.path.isdir(self.root) else [], [],
              "state that is left")

    def ids(self):
        try:
            return os.listdir(os.path.join(self.root, "names"))
        except FileNotFoundError:
            return []

    def __call__(self, *words, **how):
        return nsrun(["--root", self.root, *words], **how)

    def create(self, name="c", *options, **how):
        """Output goes to the file `output`: a pipe would stay open with the container."""
        with open(os.path.join(self.dir, "output"), "ab") as out, open(os.path.join(self.dir, "errors"), "w+b") as errors:
            process = subprocess.Popen([binary(), "--root", self.root, "create", "-b", self.dir, *options, name], stdin=subprocess.DEVNULL,
                                       stdout=out, stderr=errors, env=environment(None, how.pop("env", None)), **how)
            status = process.wait(timeout=20 * SLOW)
            errors.seek(0)
            self.errors = errors.read().decode()
        return status

    def made(self, name="c", *options, **how):
        equal(self.create(name, *options, **how), 0, "status of create: %s" % self.errors)
        return self

    def output(self):
        with open(os.path.join(self.dir, "output")) as file:
            return file.read()

    def state(self, name="c"):
        return json.loads(self("state", name).check(0).stdout)

    def status(self, name="c"):
        return self.state(name)["status"]

    def stopped(self, name="c"):
        wait_for(lambda: self.status(name) == "stopped", "the end of %s" % name)

    def place(self, name="c"):
        return os.path.realpath(os.path.join(self.root, "names", name))


def failing(result, words):
    equal(result.status, 1, "status: %r\n    status" % result)
    contains(result.stderr, words, "stderr")


@test(root=True)
def test_life():
    with Bundle("/bin/sh", "-c", "echo up; exec sleep 60") as b:
        b.made("c", "--pid-file", b.dir + "/pid")
        state = b.state()
        equal((state["status"], state["id"], state["ociVersion"], state["bundle"]), ("created", "c", "1.0.2", b.dir), "state")
        equal(state["annotations"], {"org.example.a": "b"}, "annotations")
        equal(state["rootfs"], os.path.realpath(b.config["root"]["path"]), "rootfs")
        with open(b.dir + "/pid") as file:
            equal(file.read(), str(state["pid"]), "the pid file, without a newline")
        equal(b.output(), "", "output before start")
        b("start", "c").check(0, stdout="")
        wait_for(lambda: b.output() == "up\n", "the workload")
        equal((b.status(), b.state()["pid"]), ("running", state["pid"]), "state")
        failing(b("start", "c"), "cannot start an already running container")
        failing(b("delete", "c"), "cannot delete container c that is not stopped: running")
        failing(b("create", "-b", b.dir, "c"), "container with given ID already exists")
        b("kill", "c", "KILL").check(0, stdout="")
        b.stopped()
        equal(b.state()["pid"], 0, "pid of one that has stopped")
        failing(b("kill", "c", "9"), "container not running")
        failing(b("start", "c"), "cannot start a container that has stopped")
        b("delete", "c").check(0, stdout="")
        failing(b("state", "c"), "does not exist")


@test(root=True)
def test_words_of_what_is_not_there():
    with Bundle() as b:
        for words in (["state", "nope"], ["start", "nope"], ["kill", "nope", "9"], ["delete", "nope"], ["kill", "--all", "nope", "KILL"]):
            failing(b(*words), "container does not exist")
        b("delete", "--force", "nope").check(0, stdout="")
        b("delete", "nope", "-f").check(0)
        failing(b("create", "-b", b.dir, "a/b"), "invalid container ID format")
        failing(b("run", "-b", b.dir + "/nope", "c"), "nope")
        empty = b.dir + "/empty"
        os.mkdir(empty)
        failing(b("create", "-b", empty, "c"), empty + "/config.json: No such file or directory")
        failing(b("create", "-b", empty, "--config", "/nope/c.json", "c"), "nsrun: /nope/c.json: No such file or directory")


@test(root=True)
def test_ids_as_runc_has_them():
    with Bundle("/bin/true") as b:
        for name in ("a+b_c-d.e", "x" * 255, "0123456789ab", "-x"):
            words = ["--", name] if name[0] == "-" else [name]
            b("run", "-b", b.dir, *words).check(0)
        for name in ("x" * 256, "..", ".", "a b"):
            failing(b("run", "-b", b.dir, name), "invalid container ID format")
        failing(b("run", "-b", b.dir, "x" * 256), "it has 256 bytes, and at most 255 are taken")


@test(root=True)
def test_run():
    with Bundle("/bin/sh", "-c", "echo hello; exit 7") as b:
        equal(b("run", "-b", b.dir, "c").check(7).stdout, "hello\n", "output")
        equal(b.ids(), [], "names")
        equal(b("run", "--keep", "--bundle", b.dir, "c").check(7).stdout, "hello\n", "output")
        equal(b.status(), "stopped", "state of one that is kept")
        b("delete", "c").check(0)


@test(root=True)
def test_run_in_the_bundle_and_with_another_file():
    with Bundle("/bin/echo", "one") as b:
        equal(b("run", "c", cwd=b.dir).check(0).stdout, "one\n", "output")
        b.config["process"]["args"] = ["/bin/echo", "two"]
        os.rename(b.dir + "/config.json", b.dir + "/other.json")
        b.write()
        equal(b("run", "--config", "other.json", "c", cwd=b.dir).check(0).stdout, "one\n", "output")
        equal(b("run", "c", "-bundle=" + b.dir).check(0).stdout, "two\n", "one dash, behind the id")


@test(root=True)
def test_commands_that_need_an_owner():
    """stop, rm, wait and attach speak to the nsrun of a container: where there is none they say at once what to say instead, and do nothing."""
    wanted = {("stop",): "nsrun kill ends it", ("rm",): "nsrun delete removes it", ("rm", "-f"): "nsrun delete removes it", ("wait",): "nsrun state tells",
              ("attach",): "those that create was given"}
    with Bundle("/bin/sleep", "60") as b:
        b.made()
        for status in ("created", "running", "stopped"):
            if status == "running":
                b("start", "c").check(0)
            if status == "stopped":
                b("kill", "c", "KILL").check(0)
                wait_for(lambda: b.status() == "stopped", "its end")
            for words, instead in wanted.items():
                begin = time.monotonic()
                result = b(*words, "c")
                failing(result, "c: it was made from a bundle and belongs to no nsrun: ")
                contains(result.stderr, instead, "what to say instead of " + words[0])
                check(time.monotonic() - begin < 5, "%s waits" % words[0])
            equal(b.status(), status, "what became of it")
        b("delete", "c").check(0)
        # The nsrun of one in the foreground is there.
        process = subprocess.Popen([binary(), "--root", b.root, "run", "-b", b.dir, "c"], stdin=subprocess.DEVNULL, env=environment(None))
        try:
            wait_for(lambda: b.ids() and b.status() == "running", "its begin")
            b("stop", "-t", "1", "c").check(0, stdout="c\n")
            equal(process.wait(timeout=20), 137, "status of run")
        finally:
            process.kill()
        equal(b.ids(), [], "names")


@test(root=True)
def test_run_detached():
    with Bundle("/bin/sleep", "60") as b:
        with open(os.devnull, "w") as null:
            subprocess.run([binary(), "--root", b.root, "run", "-d", "-b", b.dir, "--pid-file", b.dir + "/pid", "c"], stdin=null, stdout=null,
                           stderr=null, check=True, env=environment(None))
        state = b.state()
        equal(state["status"], "running", "status")
        with open(b.dir + "/pid") as file:
            equal(int(file.read()), state["pid"], "pid")
        b("kill", "c", "9").check(0)
        b.stopped()


@test(root=True)
def test_signals_of_run_reach_the_workload():
    with Bundle("/bin/sh", "-c", "trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done") as b:
        process = subprocess.Popen([binary(), "--root", b.root, "run", "-b", b.dir, "c"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   env=environment(None))
        equal(process.stdout.readline(), b"up\n", "output")
        equal(b.status(), "running", "status")
        process.send_signal(signal.SIGTERM)
        equal(process.wait(20), 5, "status")
        process.stdout.close()
        equal(b.ids(), [], "names")


@test(root=True)
def test_delete_while_run_waits():
    with Bundle("/bin/sleep", "60") as b:
        process = subprocess.Popen([binary(), "--root", b.root, "run", "-b", b.dir, "c"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                   env=environment(None))
        wait_for(lambda: b.ids() and b("state", "c").status == 0 and b.status() == "running", "the container")
        b("delete", "--force", "c").check(0)
        equal(process.wait(20), 137, "status")
        equal(process.stderr.read(), b"", "messages")
        process.stderr.close()


@test(root=True)
def test_sigkill_of_run():
    """The workload ends with it, the record stays until it is deleted, and gc leaves it alone."""
    with Bundle("/bin/sleep", "60") as b:
        process = subprocess.Popen([binary(), "--root", b.root, "run", "-b", b.dir, "c"], stdin=subprocess.DEVNULL, env=environment(None))
        wait_for(lambda: b.ids() and b("state", "c").status == 0 and b.status() == "running", "the container")
        process.kill()
        process.wait()
        b.stopped()
        b("gc").check(0)
        equal(b.status(), "stopped", "status after gc")


# ---- the gate -----------------------------------------------------------------------------------------------------

@test(root=True)
def test_exec_that_fails_is_told_to_start():
    """What create could not see: the file is looked up at create, and is no program at start."""
    with Bundle("/tmp/broken") as b:
        path = os.path.join(b.config["root"]["path"], "tmp/broken")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write("no program")
        os.chmod(path, 0o755)
        b.made()
        started = b("start", "c")
        failing(started, "/tmp/broken")
        contains(started.stderr, "workload.exec", "the row")
        b.stopped()
        os.unlink(path)


@test(root=True)
def test_missing_command_fails_create():
    with Bundle("/nope") as b:
        equal(b.create(), 1, "status")
        contains(b.errors, "/nope", "stderr")
        equal(b.ids(), [], "names")


@test(root=True)
def test_errors_are_in_the_log():
    with Bundle("/nope") as b:
        b("--log", b.dir + "/log", "--log-format", "json", "run", "-b", b.dir, "c").check(1)
        with open(b.dir + "/log") as file:
            last = json.loads(file.read().splitlines()[-1])
        equal(last["level"], "error", "level")
        contains(last["msg"], "/nope", "message")


@test(root=True)
def test_gate_is_the_owners():
    with Bundle() as b:
        b.made()
        gate, tape = (os.path.join(b.place(), name) for name in ("gate", "tape"))
        check(stat.S_ISFIFO(os.stat(gate).st_mode), gate)
        equal([stat.S_IMODE(os.stat(path).st_mode) for path in (os.path.dirname(gate), gate, tape)], [0o700, 0o600, 0o600], "modes")
        # who opens it and says nothing, goes away or talks nonsense is ignored
        quiet = [os.open(gate, os.O_WRONLY | os.O_NONBLOCK) for _ in range(12)]
        os.write(quiet[-1], b"hello\0tart")
        os.close(quiet.pop())
        equal(b.status(), "created", "status")
        with open(tape) as file:  # a start that has it is under way
            fcntl.flock(file, fcntl.LOCK_EX)
            failing(b("start", "c"), "cannot start an already running container")
        equal(b.status(), "created", "status")
        b("start", "c").check(0)
        equal(b.status(), "running", "status")
        for one in quiet:
            os.close(one)


@test(root=True)
def test_created_by_another_build():
    """Its tape has another form: start says so, and the container can be deleted."""
    with Bundle() as b:
        for damage in (lambda path: os.truncate(path, 100), os.unlink, lambda path: (os.unlink(path), os.mkfifo(path))):
            b.made()
            damage(os.path.join(b.place(), "tape"))
            failing(b("start", "c"), "created by another build of nsrun")
            equal(b.status(), "created", "status")
            b("delete", "c").check(0)


@test(root=True)
def test_tape_that_says_nonsense():
    """It has been in reach of a process without privileges: numbers in it choose nothing that is not there."""
    with Bundle("/tmp/broken") as b:
        path = os.path.join(b.config["root"]["path"], "tmp/broken")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write("no program")
        os.chmod(path, 0o755)
        for garbage in (b"\xff", b"\x7f", b"\x41"):
            b.made()
            tape = os.path.join(b.place(), "tape")
            with open(tape, "r+b") as file:
                file.seek(12)  # behind size, rows and whether it is timed
                file.write(garbage * 1024)
            check(b("start", "c").status in (0, 1), "start by a tape of nonsense")
            b.stopped()
            b("delete", "c").check(0)
        os.unlink(path)


@test(root=True)
def test_two_starts_at_once():
    for _ in range(10):
        with Bundle() as b:
            b.made()
            starts = [subprocess.Popen([binary(), "--root", b.root, "start", "c"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                       env=environment(None)) for _ in range(4)]
            said = [(one.communicate()[1].decode(), one.returncode) for one in starts]
            equal(sorted(status for _, status in said), [0, 1, 1, 1], "statuses: %r\n    statuses" % said)
            for text, status in said:
                if status:
                    contains(text, "cannot start an already running container")


@test(root=True)
def test_init_survives_create_and_is_closed():
    with Bundle() as b:
        b.made()
        pid = b.state()["pid"]
        check(alive(pid), "init does not live")
        equal(os.stat("/proc/%d/environ" % pid).st_uid, 0, "owner of its files")
        with open("/proc/%d/status" % pid) as file:
            status = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
        equal(status["Name"], "nsrun-gate", "name")
        # undumpable: its files in /proc are root's also where it is not root
        fds = [os.readlink("/proc/%d/fd/%s" % (pid, fd)) for fd in sorted(os.listdir("/proc/%d/fd" % pid), key=int)]
        gate, channel = fds.pop(), fds.pop()
        equal((gate, channel[:7], fds[1:]), (os.path.join(b.place(), "gate"), "socket:", [b.dir + "/output", b.dir + "/errors"]), "descriptors")


@test(root=True)
def test_signals_of_one_that_waits():
    with Bundle() as b:
        for sent in ("TERM", "15", "SIGINT", "KILL", "9"):
            b.made()
            b("kill", "c", sent).check(0)
            b.stopped()
            b("delete", "c").check(0)
        b.made()
        for sent in ("WINCH", "CHLD", "CONT"):
            b("kill", "c", sent).check(0)
        equal(b.status(), "created", "status after signals that end nothing")
        b("kill", "c").check(0)
        b.stopped()
        b("delete", "c").check(0)
        b.made()
        b("delete", "c").check(0)  # one that waits is killed


# ---- kill -----------------------------------------------------------------------------------------------------------

@test(root=True)
def test_kill_all():
    """Every process of the group, also when init has ended: in the host's pid namespace nothing else ends them."""
    script = "for i in 1 2 3; do sleep 61 & done; echo up; sleep 0.3"
    with Bundle("/bin/sh", "-c", script) as b:
        b.config["linux"]["namespaces"] = [{"type": "mount"}]
        b.config["root"]["path"] = rootfs(private=True, fresh=True)
        open(os.path.join(b.config["root"]["path"], "dev/null"), "a").close()  # of a shell's background jobs
        b.config["linux"]["cgroupsPath"] = GROUP + "/all"
        b.write()
        b.made()
        b("start", "c").check(0)
        wait_for(lambda: b.output(), "output")
        b.stopped()
        failing(b("kill", "c", "9"), "container not running")
        left = [pid for pid in descendants() if alive(pid) and "sleep" in open("/proc/%d/comm" % pid).read()]
        equal(len(left), 3, "processes that init has left")
        b("kill", "--all", "c", "TERM").check(0)
        wait_for(lambda: not [reap()] or not any(alive(pid) for pid in left), "the end of all")
        b("kill", "-a", "c", "KILL").check(0)
        b("delete", "c").check(0)
    tidy_groups()


@test(root=True)
def test_a_word_that_is_no_signal_kills_nobody():
    with Bundle("/bin/sleep", "60") as b:
        b.made()
        b("start", "c").check(0)
        failing(b("kill", "c", "SIGFOO"), "SIGFOO")
        b("kill", "c", "0").check(0)
        equal(b.state()["status"], "running", "status after a word that is no signal")
        b("delete", "--force", "c").check(0)


@test(root=True)
def test_delete_leaves_others_of_the_same_group():
    """An engine may name one group for two containers, one after the other."""
    with Bundle("/bin/sleep", "60") as b:
        b.config["linux"]["cgroupsPath"] = GROUP + "/shared"
        b.write()
        b.made("first")
        b("start", "first").check(0)
        b("kill", "first", "KILL").check(0)
        wait_for(lambda: b.state("first")["status"] == "stopped", "the end of the first")
        b.made("second")
        b("start", "second").check(0)
        b("delete", "first").check(0)
        equal(b.state("second")["status"], "running", "status of the other one")
        b("delete", "--force", "second").check(0)
    tidy_groups()


@test(root=True)
def test_hooks_at_the_start_have_no_more_than_the_workload():
    with Bundle("/bin/true") as b:
        b.config["process"]["capabilities"] = {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL"]}
        b.config["process"]["noNewPrivileges"] = True
        b.config["mounts"] = [{"destination": "/proc", "type": "proc", "source": "proc"},
                              {"destination": "/tmp", "type": "bind", "source": tmp("seen"), "options": ["bind"]}]
        b.config["hooks"] = {"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "grep -E 'CapBnd|CapEff|NoNew' /proc/self/status > /tmp/caps"]}]}
        b.write()
        b("run", "-b", b.dir, "c").check(0)
        with open(os.path.join(b.config["mounts"][1]["source"], "caps")) as file:
            equal(file.read().split(), ["CapEff:", "%016x" % (1 << 5), "CapBnd:", "%016x" % (1 << 5), "NoNewPrivs:", "1"], "the hook's rights")


@test(root=True)
def test_signal_words():
    with Bundle("/bin/sh", "-c", "trap 'echo usr' USR1; echo up; while :; do sleep 0.05; done") as b:
        b.made()
        b("start", "c").check(0)
        wait_for(lambda: b.output() == "up\n", "output")
        for n, word in enumerate(("USR1", "SIGUSR1", "10", "usr1"), 1):
            b("kill", "c", word).check(0)
            wait_for(lambda: b.output().count("usr") == n, "USR1 by %s" % word)
        failing(b("kill", "c", "NOPE"), "NOPE")
        failing(b("kill", "c", "500"), "500")


# ---- hooks ----------------------------------------------------------------------------------------------------------

HOOK_STATE = "cat > %s.state; readlink /proc/self/ns/mnt > %s.mnt\n"


def states_of(path):
    with open(path + ".state") as file:
        return json.loads(file.read())


@test(root=True)
def test_hooks_in_the_runtimes_namespaces():
    with Bundle() as b:
        paths = {}
        for kind in ("prestart", "createRuntime", "poststart", "poststop"):
            name = os.path.join(b.dir, kind)
            paths[kind] = name
            b.hook(kind, "echo %s >> %s/order\n" % (kind, b.dir) + HOOK_STATE % (name, name) + "env > %s.env; pwd > %s.pwd\n" % (name, name),
                   args=["hook", kind], env=["A=%s" % kind])
        b.made()
        pid = b.state()["pid"]
        order = lambda: open(b.dir + "/order").read().split()
        equal(order(), ["prestart", "createRuntime"], "hooks of create")
        for kind in ("prestart", "createRuntime"):
            state = states_of(paths[kind])
            equal((state["id"], state["pid"], state["status"], state["bundle"], state["annotations"]),
                  ("c", pid, "creating", b.dir, {"org.example.a": "b"}), "state of %s" % kind)
            equal(open(paths[kind] + ".mnt").read().strip(), os.readlink("/proc/self/ns/mnt"), "mount namespace of %s" % kind)
            env = open(paths[kind] + ".env").read().split()
            check("A=" + kind in env and not any(e.startswith(("PATH=/usr", "HOME=")) for e in env), "environment: %s" % env)
            equal(open(paths[kind] + ".pwd").read().strip(), b.dir, "directory")
        b("start", "c").check(0)
        equal(order()[2:], ["poststart"], "hooks of start")
        equal(states_of(paths["poststart"])["status"], "running", "state of poststart")
        b("delete", "--force", "c").check(0)
        equal(order()[3:], ["poststop"], "hooks of delete")
        equal(states_of(paths["poststop"])["status"], "stopped", "state of poststop")


@test(root=True)
def test_hooks_in_the_containers_namespaces():
    with Bundle("/bin/sh", "-c", "cat /hook-ran; cat /hook-state; exec sleep 60") as b:
        tree = b.config["root"]["path"]
        name = os.path.join(b.dir, "createContainer")
        b.hook("createContainer", HOOK_STATE % (name, name))
        inside = os.path.join(tree, "hook")
        with open(inside, "w") as file:
            file.write("#!/bin/sh\ncat > /hook-state\necho ran > /hook-ran\n")
        os.chmod(inside, 0o755)
        b.config["hooks"]["startContainer"] = [{"path": "/hook"}]
        b.write()
        b.made()
        equal((states_of(name)["pid"], states_of(name)["status"]), (1, "creating"), "state of createContainer")
        mnt = os.readlink("/proc/%d/ns/mnt" % b.state()["pid"])
        equal(open(name + ".mnt").read().strip(), mnt, "mount namespace of createContainer")
        check(not os.path.exists(tree + "/hook-ran"), "startContainer hook before start")
        b("start", "c").check(0)
        wait_for(lambda: "}" in b.output(), "output")
        said = b.output().split("\n", 1)
        equal(said[0], "ran", "startContainer hook")
        equal((json.loads(said[1])["pid"], json.loads(said[1])["status"]), (1, "created"), "state of startContainer")
        for file in ("hook", "hook-ran", "hook-state"):
            os.unlink(os.path.join(tree, file))


@generate(root=True)
def failing_hooks():
    for kind in ("prestart", "createRuntime", "createContainer"):
        yield "failing %s hook" % kind, lambda kind=kind: failing_create_hook(kind)


def failing_create_hook(kind):
    before = leftovers()
    with Bundle() as b:
        path = b.hook(kind, "echo first >&2; echo the reason >&2; exit 3\n")
        b.hook("poststop", "touch %s/poststop\n" % b.dir)
        equal(b.create(), 1, "status")
        contains(b.errors, "%s hook %s: exit status 3: the reason" % (kind, path), "stderr")
        check(os.path.exists(b.dir + "/poststop"), "poststop hooks of a create that failed")
        equal(b.ids(), [], "names")
    assert_clean(before)


@test(root=True)
def test_failing_start_hooks():
    with Bundle() as b:
        tree = b.config["root"]["path"]
        with open(tree + "/hook", "w") as file:
            file.write("#!/bin/sh\necho no >&2; exit 4\n")
        os.chmod(tree + "/hook", 0o755)
        b.config["hooks"] = {"startContainer": [{"path": "/hook"}]}
        b.write()
        b.made()
        failing(b("start", "c"), "startContainer hook /hook: exit status 4: no")
        b.stopped()
        b("delete", "c").check(0)
        os.unlink(tree + "/hook")
        del b.config["hooks"]
        b.hook("poststart", "exit 5\n")
        b.made()
        failing(b("start", "c"), "exit status 5")
        b.stopped()
        b("delete", "c").check(0)
        failing(b("run", "-b", b.dir, "c"), "exit status 5")
        equal(b.ids(), [], "names")


@test(root=True)
def test_poststop_only_warns():
    with Bundle("/bin/true") as b:
        b.hook("poststop", "exit 6\n")
        b.hook("poststop", "touch %s/second\n" % b.dir)
        contains(b("run", "-b", b.dir, "c").check(0).stderr, "exit status 6", "stderr")
        os.unlink(b.dir + "/second")
        b.made()
        contains(b("delete", "c").check(0).stderr, "exit status 6", "stderr")
        check(os.path.exists(b.dir + "/second"), "the remaining hook")


@test(root=True)
def test_timeout_of_a_hook():
    with Bundle() as b:
        b.hook("prestart", "sleep 61 &\nsleep 61\n", timeout=1)
        begin = time.monotonic()
        equal(b.create(), 1, "status")
        check(0.9 < time.monotonic() - begin < 5 * SLOW, "it took %.1f s" % (time.monotonic() - begin))
        contains(b.errors, "timeout of 1 seconds", "stderr")


def pids_in(path):
    wait_for(lambda: os.path.exists(path), path)
    with open(path) as file:
        return [int(word) for word in file.read().split()]


@generate(root=True)
def hooks_of_a_create_that_is_killed():
    for kind in ("prestart", "createRuntime", "createContainer"):
        for pid in ("private", "host"):
            for sent in ("KILL", "the group"):
                if sent == "KILL" or (kind, pid) == ("createRuntime", "private"):
                    yield "%s, %s pid namespace, %s" % (kind, pid, sent), lambda kind=kind, pid=pid, sent=sent: killed_hook(kind, pid, sent)


def killed_hook(kind, pid, sent):
    """With create end the hook and all that it has started; what made itself a session of its own stays, by its own will."""
    before = leftovers()
    with Bundle() as b:
        mark = os.path.join(b.dir, "pids")
        b.hook(kind, "sleep 61 & echo $$ $! > %s.tmp\nsetsid sleep 71 </dev/null >/dev/null 2>&1 & echo $! >> %s.tmp\nmv %s.tmp %s; sleep 62; touch %s.on\n"
               % ((mark,) * 5), **({"timeout": 50} if sent == "KILL" else {}))
        if pid == "host":
            b.config["linux"]["namespaces"] = [{"type": "mount"}]
        b.write()
        with open(os.path.join(b.dir, "errors"), "wb") as errors:
            process = subprocess.Popen([binary(), "--root", b.root, "create", "-b", b.dir, "c"], stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
                                       env=environment(None), start_new_session=True)
            if kind == "createContainer" and pid == "private":  # its numbers are the namespace's
                wait_for(lambda: os.path.exists(mark), mark)
                seen = [one for one in descendants() if one != process.pid]
                hooks, daemon = seen, None
            else:
                shell, child, daemon = pids_in(mark)
                hooks = [shell, child]
            check(all(alive(one) for one in hooks), "the hook does not run")
            if sent == "the group":
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.send_signal(getattr(signal, "SIG" + sent))
            process.wait(20 * SLOW)
        wait_for(lambda: not [reap()] or not any(alive(one) for one in hooks), "the end of the hook and its children")
        check(not os.path.exists(mark + ".on"), "the hook went on")
        if daemon:
            if pid == "private" or kind != "createContainer":
                check(alive(daemon), "what made itself a daemon has been ended, too")
                os.kill(daemon, signal.SIGKILL)
                wait_for(lambda: not [reap()] or not alive(daemon), "the end of the daemon")
        b("delete", "--force", "c").check(0)
    assert_clean(before)


@test(root=True)
def test_timeout_ends_what_the_hook_started():
    with Bundle() as b:
        mark = os.path.join(b.dir, "pids")
        b.hook("prestart", "sleep 61 &\necho $$ $! > %s\nsleep 61\n" % mark, timeout=1)
        equal(b.create(), 1, "status")
        contains(b.errors, "timeout of 1 seconds", "stderr")
        wait_for(lambda: not [reap()] or not any(alive(one) for one in pids_in(mark)), "the end of the hook and its children")


@test(root=True)
def test_what_a_hook_leaves_behind_stays():
    """As with every runtime: a helper that a hook starts in the background serves the container."""
    with Bundle() as b:
        mark = os.path.join(b.dir, "pids")
        b.hook("prestart", "sleep 61 </dev/null >/dev/null 2>&1 &\necho $! > %s\n" % mark)
        b.made()
        [helper] = pids_in(mark)
        check(alive(helper), "the helper")
        os.kill(helper, signal.SIGKILL)
        wait_for(lambda: not [reap()] or not alive(helper), "the end of the helper")


@test(root=True)
def test_missing_hook():
    with Bundle() as b:
        b.config["hooks"] = {"prestart": [{"path": "/nonexistent/hook"}]}
        b.write()
        equal(b.create(), 1, "status")
        contains(b.errors, "/nonexistent/hook", "stderr")
        contains(b.errors, "No such file", "stderr")


# ---- descriptors and the terminal -------------------------------------------------------------------------------------

@test(root=True)
def test_preserved_descriptors():
    with Bundle("/bin/sh", "-c", "ls -l /proc/self/fd; cat <&3") as b:
        b.config["process"]["args"] = ["/bin/sh", "-c", "cat <&3; (cat <&4) 2>/dev/null || echo closed"]
        b.write()
        low, writer = os.pipe()
        reader = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, 20)
        os.close(low)
        os.write(writer, b"given\n")
        os.close(writer)

        def place():
            os.dup2(reader, 3)
            os.dup2(os.open("/etc/passwd", os.O_RDONLY), 4)
        result = subprocess.run([binary(), "--root", b.root, "run", "--preserve-fds", "1", "-b", b.dir, "c"], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, env=environment(None), preexec_fn=place, close_fds=False)
        os.close(reader)
        equal(result.stdout, b"given\nclosed\n", "output")
        failing(b("run", "--preserve-fds", "3", "-b", b.dir, "c"), "preserve-fds")


def listen(path, got):
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(path)
    server.listen(1)
    server.settimeout(20)

    def serve():
        client, _ = server.accept()
        with client:
            data, control, _, _ = client.recvmsg(4096, socket.CMSG_SPACE(4))
            fds = array.array("i")
            for level, kind, payload in control:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    fds.frombytes(payload[:4])
            got.append((data, fds[0]))
        server.close()
    thread = threading.Thread(target=serve)
    thread.start()
    return thread


@test(root=True)
def test_console_socket():
    with Bundle("/bin/sh", "-c", "stty size; tty; read x; echo got $x", terminal=True) as b:
        b.config["process"]["consoleSize"] = {"height": 31, "width": 97}
        b.config["mounts"] = [{"destination": "/proc", "type": "proc", "source": "proc"},
                              {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]},
                              {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance", "ptmxmode=0666"]}]
        b.write()
        got = []
        thread = listen(b.dir + "/tty.sock", got)
        b.made("c", "--console-socket", b.dir + "/tty.sock")
        thread.join()
        data, master = got[0]
        contains(data.decode(), "/dev/ptmx", "the terminal's name")
        b("start", "c").check(0)
        os.write(master, b"word\n")
        text = b""
        while b"got word" not in text:
            text += os.read(master, 4096)
        contains(text.decode(), "31 97", "output")
        contains(text.decode(), "/dev/pts/0", "output")
        os.close(master)
        b.stopped()


@test(root=True)
def test_terminal_and_console_socket_contradict():
    with Bundle(terminal=True) as b:
        equal(b.create(), 1, "status")
        contains(b.errors, "cannot allocate tty if runc will detach without setting console socket")
        b.config["process"]["terminal"] = False
        b.write()
        equal(b.create("c", "--console-socket", b.dir + "/tty.sock"), 1, "status")
        contains(b.errors, "cannot use console socket if runc will not detach or allocate tty")


# ---- state ------------------------------------------------------------------------------------------------------------

@test(root=True)
def test_others_leave_them_alone():
    """Launches collect what is dead, gc all of it: not these."""
    with Bundle() as b:
        b.made("waits")
        b.made("ended")
        b("kill", "ended", "9").check(0)
        b.stopped("ended")
        b.made("runs")
        b("start", "runs").check(0)
        b("gc").check(0)
        b("run", "-b", b.dir, "--pid-file", b.dir + "/x", "nope", "--config", "none.json").check(1)
        equal({name: b.status(name) for name in b.ids()}, {"waits": "created", "ended": "stopped", "runs": "running"}, "statuses")
        listed = {line["name"]: line["status"] for line in json.loads(b("ls", "-a", "--json").check(0).stdout)}
        equal(listed, {"waits": "created", "ended": "stopped", "runs": "running"}, "nsrun ls")


@test(root=True)
def test_state_after_the_record_is_older_or_broken():
    with Bundle() as b:
        b.made()
        path = os.path.join(b.place(), "state.json")
        with open(path) as file:
            record = json.load(file)
        equal(record["version"], 3, "version")
        del record["resources"], record["bundle"]["hooks"]
        with open(path, "w") as file:
            json.dump(record, file)
        equal(b.status(), "created", "status by an older record")
        record["bundle"]["dir"] = 5
        with open(path, "w") as file:
            json.dump(record, file)
        failing(b("state", "c"), "bundle")
        failing(b("delete", "c"), "bundle")
        pid = int(open(os.path.join(b.place(), "lock")).read().split()[0])
        with open("/proc/%d/cgroup" % pid) as file:
            groups = {line.rstrip().split(":", 2)[2] for line in file}
        with open(path, "w") as file:
            file.write("{")
        contains(b("delete", "--force", "c").check(0).stderr, "state.json", "stderr")
        wait_for(lambda: not [reap()] or not alive(pid), "the end of its init")
        equal(b.ids(), [], "names")
        equal([group for group in cgroups() if any(one != "/" and group.endswith(one) for one in groups)], [], "groups")


@test(root=True)
def test_state_during_create():
    """A hook of create asks for the state: it is there, and says creating."""
    with Bundle() as b:
        b.hook("createRuntime", "exec '%s' --root %s state c > %s/asked\n" % (binary(), b.root, b.dir))
        b.made()
        with open(b.dir + "/asked") as file:
            state = json.load(file)
        equal((state["status"], state["pid"]), ("creating", b.state()["pid"]), "state while creating")


# ---- the end of what is damaged, and of groups that others made -------------------------------------------------------


def damage_record(b, how):
    place = b.place()
    path = os.path.join(place, "state.json")
    with open(path) as file:
        record = file.read()
    if how == "truncated":
        text = record[:len(record) // 2]
    elif how == "empty":
        text = ""
    elif how == "wrong types":
        text = json.dumps(dict(json.loads(record), bundle=5, cgroup={}))
    elif how == "newer":
        text = json.dumps(dict(json.loads(record), version=99))
    elif how == "of another":
        text = json.dumps(dict(json.loads(record), id="0123456789ab"))
    if how == "missing":
        os.unlink(path)
    elif how == "undo too":
        for name in ("state.json", "undo.json"):
            with open(os.path.join(place, name), "w") as file:
                file.write("{")
    elif how == "both missing":
        os.unlink(path)
        os.unlink(os.path.join(place, "undo.json"))
    else:
        with open(path, "w") as file:
            file.write(text)


def sleepers(b):
    """Processes of its group, by the files of the group."""
    found = set()
    for group in own_groups() if "cgroupsPath" in b.config["linux"] else [one for one in cgroups() if b.inner in one]:
        with open(group + "/cgroup.procs") as file:
            found |= {int(line) for line in file}
    return found


@generate(root=True)
def damaged_records():
    for how in ("truncated", "empty", "wrong types", "newer", "of another", "missing"):
        for pid in ("private", "host"):
            yield "%s, %s pid namespace" % (how, pid), lambda how=how, pid=pid: damaged_record(how, pid, GROUP + "/damaged")
    for how in ("undo too", "both missing"):
        yield how, lambda how=how: damaged_record(how, "private", None)
        yield how + ", host pid namespace", lambda how=how: damaged_record(how, "host", None)


def damaged_record(how, pid, path):
    """Engines and people can end and remove it, whatever has become of its record: every process, every group, every file."""
    before = leftovers()
    with Bundle("/bin/sh", "-c", "sleep 61 & sleep 61 & exec sleep 61") as b:
        if pid == "host":
            b.config["linux"]["namespaces"] = [{"type": "mount"}]
            b.config["root"]["path"] = rootfs(private=True, fresh=True)
            open(os.path.join(b.config["root"]["path"], "dev/null"), "a").close()
        if path:
            b.config["linux"]["cgroupsPath"] = path
        b.write()
        b.made()
        b("start", "c").check(0)
        b.inner = os.path.basename(b.place())
        wait_for(lambda: len(sleepers(b)) == 3, "the processes")
        left = sleepers(b)
        damage_record(b, how)
        for words in (["state", "c"], ["ps", "c"], ["exec", "c", "/bin/true"], ["pause", "c"], ["start", "c"]):
            result = b(*words)
            check(result.status in (1, 125, 255), "%s: %r" % (words, result))
            contains(result.stderr, "state.json", "stderr of %s" % words)
        failing(b("delete", "c"), "state.json")
        contains(b("delete", "c").stderr, "delete --force", "remedy")
        equal(b.create("c"), 1, "create of the same id")
        contains(b.errors, "already exists")
        listed = b("list", "-q")
        contains(listed.stderr, "state.json", "stderr of list")
        if "undo" not in how and "both" not in how:
            equal(listed.stdout, "c\n", "list")
        b("gc")
        equal(sleepers(b), left, "processes before it is deleted")
        b("kill", "c", "CONT").check(0)
        result = b("delete", "--force", "c").check(0)
        contains(result.stderr, "poststop hooks, if there are any, are not run: ", "stderr of delete")
        contains(result.stderr, "state.json", "stderr of delete")
        check("remedy" not in result.stderr, "delete --force names itself as the way out: %r" % result)
        equal(b.ids(), [], "names")
        wait_for(lambda: not [reap()] or not any(alive(one) for one in left), "the end of its processes")
        equal([group for group in own_groups() if group.endswith("/damaged")], [], "groups")
    tidy_groups()
    assert_clean(before)


@test(root=True)
def test_a_lock_that_is_lost_or_damaged():
    for text in (None, "", "no numbers\n", "12"):
        before = leftovers()
        with Bundle() as b:
            b.config["linux"]["cgroupsPath"] = GROUP + "/lost"
            b.write()
            b.made()
            b("start", "c").check(0)
            pid, lock = b.state()["pid"], os.path.join(b.place(), "lock")
            if text is None:
                os.unlink(lock)
            else:
                with open(lock, "w") as file:
                    file.write(text)
            if text != "":  # as a create leaves it that was killed before init was made
                failing(b("delete", "c"), "delete --force")
                check(alive(pid), "delete without --force has ended it")
                b("delete", "--force", "c").check(0)
                wait_for(lambda: not [reap()] or not alive(pid), "the end of its process")
                equal([group for group in own_groups() if group.endswith("/lost")], [], "groups")
            else:
                b("delete", "--force", "c").check(0)
                os.kill(pid, signal.SIGKILL)
                wait_for(lambda: not [reap()] or not alive(pid), "the end of its process")
            equal(b.ids(), [], "names")
        tidy_groups()
        assert_clean(before)


@test(root=True)
def test_directories_and_names_without_the_rest():
    with Bundle() as b:
        b.made()
        b("delete", "--force", "c").check(0)  # makes the state root
        os.makedirs(b.root + "/0.0/0123456789ab")
        os.symlink("../0.0/0123456789ab", b.root + "/names/c")
        failing(b("state", "c"), "does not exist")
        equal(b("list", "-q").check(0).stdout, "", "list of an empty directory")
        b("delete", "--force", "c").check(0)
        equal((b.ids(), os.path.exists(b.root + "/0.0")), ([], False), "after delete of an empty directory")
        os.symlink("../0.0/0123456789ab", b.root + "/names/c")
        b("delete", "--force", "c").check(0)
        equal(b.ids(), [], "a name that leads nowhere")
        os.makedirs(b.root + "/0.0/0123456789ab")
        os.symlink("../0.0/0123456789ab", b.root + "/names/c")
        b.made()  # takes the name over
        pid = b.state()["pid"]
        os.unlink(b.root + "/names/c")
        failing(b("state", "c"), "does not exist")
        b("delete", "--force", "c").check(0)
        wait_for(lambda: not [reap()] or not alive(pid), "the end of one whose name was lost")
        wait_for(lambda: not any(entry[0].isdigit() for entry in os.listdir(b.root) if not b("gc").check(0)), "gc")


def hierarchies():
    return [mount for mount in cgroup_mounts() if os.access(mount, os.W_OK)]


@generate(root=True)
def groups_that_stood_before():
    for pid in ("private", "host"):
        for way in ("delete", "force", "failing create", "run", "damaged"):
            yield "%s, %s pid namespace" % (way, pid), lambda pid=pid, way=way: group_that_stood(pid, way)


def group_that_stood(pid, way):
    """An empty group at cgroupsPath is somebody's: it is used, and is there afterwards, empty; so are groups below it. What is made beside it goes."""
    mounts = hierarchies()
    some = [mount for i, mount in enumerate(mounts) if i % 2 == 0 or len(mounts) == 1]
    before = leftovers()
    for mount in some:
        os.makedirs(mount + GROUP + "/stood")
        for name in ("cpuset.cpus", "cpuset.mems"):  # cpuset(7): of a group that is made by hand
            for at in (GROUP, GROUP + "/stood"):
                if os.path.exists(mount + "/" + name) and not open(mount + at + "/" + name).read().strip():
                    with open(mount + "/" + name) as source, open(mount + at + "/" + name, "w") as file:
                        file.write(source.read())
    os.mkdir(some[0] + GROUP + "/stood/below")
    inodes = {mount: os.stat(mount + GROUP + "/stood").st_ino for mount in some}
    with Bundle("/bin/sh", "-c", "sleep 61 & exec sleep 61" if way != "run" else "true") as b:
        b.config["linux"]["cgroupsPath"] = GROUP + "/stood"
        if pid == "host":
            b.config["linux"]["namespaces"] = [{"type": "mount"}]
            b.config["root"]["path"] = rootfs(private=True, fresh=True)
            open(os.path.join(b.config["root"]["path"], "dev/null"), "a").close()
        b.write()
        if way == "run":
            b("run", "-b", b.dir, "c").check(0)
        elif way == "failing create":
            b.hook("createRuntime", "exit 3\n")
            equal(b.create(), 1, "status of create")
        else:
            b.made()
            b("start", "c").check(0)
            wait_for(lambda: len(sleepers(b)) == 2, "the processes")
            check(all(os.path.isdir(mount + GROUP + "/stood") for mount in mounts), "groups of the container")
            if way == "delete":
                b("kill", "--all", "c", "KILL").check(0)
                b.stopped()
            if way == "damaged":
                damage_record(b, "truncated")
            b("delete", *["--force"][way == "delete":], "c").check(0)
        equal(b.ids(), [], "names")
        equal({mount: os.stat(mount + GROUP + "/stood").st_ino for mount in mounts if os.path.exists(mount + GROUP + "/stood")}, inodes, "groups that stay")
        check(os.path.isdir(some[0] + GROUP + "/stood/below"), "the group below one that stood before")
        wait_for(lambda: not sleepers(b), "the groups are empty")
    tidy_groups()
    assert_clean(before)


@test(root=True)
def test_a_group_that_stays_is_not_left_frozen():
    """And one that is frozen is refused: init would stand still in it, and create wait for ever."""
    top = next(entry[0] for entry in mountinfo() if entry[4] == "cgroup2")
    before = leftovers()
    os.makedirs(top + GROUP + "/stood")
    with Bundle("/bin/sleep", "60") as b:
        b.config["linux"]["cgroupsPath"] = GROUP + "/stood"
        b.write()
        for _ in range(2):
            b.made()
            b("start", "c").check(0)
            b("pause", "c").check(0)
            b("delete", "--force", "c").check(0)
            with open(top + GROUP + "/stood/cgroup.freeze") as file:
                equal(file.read(), "0\n", "cgroup.freeze of the group that stays")
        for path in ("/stood", ""):
            with open(top + GROUP + path + "/cgroup.freeze", "w") as file:
                file.write("1")
            equal(b.create(), 1, "create in a frozen group")
            contains(b.errors, "frozen")
            equal(b.ids(), [], "names")
            with open(top + GROUP + path + "/cgroup.freeze", "w") as file:
                file.write("0")
    tidy_groups()
    assert_clean(before)


@test(root=True)
def test_a_group_of_two_containers_goes_with_the_last():
    """The first has made it, the second found it: it is nsrun's, and is not left."""
    with Bundle("/bin/sleep", "60") as b:
        b.config["linux"]["cgroupsPath"] = GROUP + "/shared"
        b.write()
        b.made("first")
        b("kill", "first", "KILL").check(0)
        b.stopped("first")
        b.made("second")
        b("delete", "first").check(0)
        check([group for group in own_groups() if group.endswith("/shared")], "the group of the second")
        b("delete", "--force", "second").check(0)
        equal([group for group in own_groups() if group.endswith("/shared")], [], "groups that are left")
    tidy_groups()


def older_record(b, version):
    """As nsrun wrote it before: without undo.json, and without what hierarchies say of groups that stood before."""
    place = b.place()
    if os.path.exists(place + "/undo.json"):
        os.unlink(place + "/undo.json")
    with open(place + "/state.json") as file:
        record = json.load(file)
    record["version"] = version
    for entry in record["hierarchies"]:
        entry.pop("stood", None)
    for key in ("resources", "devices"):
        record.pop(key, None)
    with open(place + "/state.json", "w") as file:
        json.dump(record, file)


@test(root=True, needs=["strace"])
def test_a_delete_that_is_killed_while_it_removes_files():
    """Whichever file was the last: what is left has no owner and no name, and is gc's, or the next delete's."""
    with Bundle("/bin/sleep", "60") as b:
        trace, env = os.path.join(b.dir, "strace"), {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}  # it wants ptrace for itself
        b.made()
        run(["strace", "-qq", "-o", trace, "-e", "trace=unlinkat", binary(), "--root", b.root, "delete", "--force", "c"], env=env).check(0)
        with open(trace) as file:
            calls = sum("unlinkat" in line for line in file)
        check(calls >= 6, "calls: %d" % calls)
        for n in range(1, calls + 1):
            b.made()
            run(["strace", "-qq", "-o", trace, "-e", "trace=unlinkat", "-e", "inject=unlinkat:signal=SIGKILL:when=%d" % n, binary(), "--root", b.root,
                 "delete", "--force", "c"], env=env)
            if n % 2:
                b("delete", "--force", "c").check(0)
            b("gc").check(0)
            equal((b.ids(), [entry for entry in os.listdir(b.root) if entry not in ("names", "ranges")]), ([], []), "left after SIGKILL at the %d. file" % n)


@test(root=True)
def test_records_of_an_older_nsrun():
    before = leftovers()
    with Bundle() as b:
        b.config["linux"]["cgroupsPath"] = GROUP + "/older"
        b.write()
        for version in (1, 2, 3):
            b.made()
            older_record(b, version)
            equal(b.status(), "created", "state")
            b("start", "c").check(0)
            equal(b.status(), "running", "state")
            contains(b("ps", "c").check(0).stdout, "sleep", "ps")
            b("exec", "c", "/bin/true").check(0)
            equal(b("list", "-q").check(0).stdout, "c\n", "list")
            b("kill", "c", "KILL").check(0)
            b.stopped()
            b("delete", "c").check(0)
            equal([group for group in own_groups() if group.endswith("/older")], [], "groups")
    tidy_groups()
    assert_clean(before)

if __name__ == "__main__":
    main()
