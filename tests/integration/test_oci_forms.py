# SPDX-License-Identifier: Apache-2.0
"""Lines, documents, process objects and resources as engines send them (tests/data/engine-forms.txt, tests/data/oci): each is said where it makes sense, with
paths and ids that are there, and what it is for is looked at: state, files, terminals, processes, limits in the kernel, the log."""
import array
import contextlib
import copy
import glob
import json
import os
import re
import resource
import signal
import socket
import subprocess
import threading

from harness import *
from life import fresh
from systemd_fake import fake, possible
from test_oci_config import DOCUMENTS, adapted, groups_of, v1_mounts, v2_mount
from test_oci_life import Bundle, failing
from test_probe import keyring

FORMS = os.path.join(TOP, "tests/data/engine-forms.txt")
DEV = [{"destination": "/proc", "type": "proc", "source": "proc"},
       {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]},
       {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance", "ptmxmode=0666"]}]
PROCESS = {"args": ["/bin/sh", "-c", "trap 'exit 0' TERM; echo in-exec; while :; do sleep 0.1; done"], "cwd": "/", "env": ["PATH=/bin:/usr/bin"], "user": {"uid": 0, "gid": 0}}
WITH_VALUE = {"--root", "--log", "--log-format", "--bundle", "--pid-file", "--console-socket", "--process", "--resources", "--preserve-fds", "--image-path", "--work-path",
              "--format", "--criu", "--cgroup-manager", "--page-server", "--empty-ns", "--status-fd", "--interval", "--rootless"}


def read(path):
    with open(path) as file:
        return file.read()


def forms():
    """[(form, engines, the error that it is for)] of the data file."""
    rows = []
    for line in read(FORMS).splitlines():
        if not line.startswith("#"):
            form, engines, error = (line.split("\t") + [""])[:3]
            rows.append((form, engines.split(), error))
    return rows


class Form:
    """A form, taken apart: the words before the command, the command, {option: value} and what is left."""

    def __init__(self, text):
        self.text, self.words = text, text.split()
        self.flags, self.command, self.options, self.rest = {}, None, {}, []
        words = iter(self.words)
        for word in words:
            if word.startswith("-") and word != "-":
                name, equals, value = word.partition("=")
                into = self.options if self.command else self.flags
                into[name] = value if equals else next(words) if name in WITH_VALUE and not (name == "--rootless") else True
            elif self.command is None:
                self.command = word
            else:
                self.rest.append(word)

    def said(self, values, id_="<ID>", signum="15"):
        """Its words, with a value for each <PATH> by the option before it."""
        out, option = [], ""
        for word in self.words:
            name, equals, _ = word.partition("=")
            if word == "<PATH>":
                word = values[option]
            elif equals and word.endswith("=<PATH>"):
                word = name + "=" + values[name]
            elif word == "<ID>":
                word = id_
            elif word == "<SIGNUM>":
                word = signum
            option = name
            out.append(word)
        return out


class Listener:
    """A console socket: what an engine does to get the terminal."""

    def __init__(self, path):
        self.server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.server.bind(path)
        self.server.listen(1)
        self.server.settimeout(20 * SLOW)
        self.master = None
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        with self.server, self.server.accept()[0] as client:
            _, control, _, _ = client.recvmsg(4096, socket.CMSG_SPACE(4))
            fds_ = array.array("i")
            for level, kind, payload in control:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    fds_.frombytes(payload[:4])
            self.master = fds_[0]

    def expect(self, words):
        self.thread.join()
        check(self.master is not None and os.isatty(self.master), "no terminal came")
        text = b""
        while words not in text:
            text += os.read(self.master, 4096)
        os.close(self.master)


class Case:
    """One form: the bundle, the container's name, and how it is said."""

    def __init__(self, form, bundle):
        self.form, self.b, self.id = form, bundle, fresh("form")
        # What says no --root is about the state root of everyone (a directory of this run).
        self.own = ["--root", bundle.root] if "--root" in form.flags else []
        # the group's manager is told again, as engines do
        self.manager = ["--systemd-cgroup"] if "--systemd-cgroup" in form.flags else []
        self.values = {name: os.path.join(bundle.dir, name.lstrip("-")) for name in WITH_VALUE}
        self.values.update({"--root": bundle.root, "--bundle": bundle.dir})
        for name in ("--image-path", "--work-path"):
            os.mkdir(self.values[name])

    def nsrun(self, *words, **how):
        return nsrun([*self.own, *words], **how)

    def say(self, id_=None, signum="15", output=None, input=None, **how):
        """The form. Output goes to a file where the container would keep a pipe open."""
        words = self.form.said(self.values, id_ or self.id, signum)
        if output is None:
            return nsrun(words, input=input, **how)
        with open(output, "ab") as out, open(os.path.join(self.b.dir, "errors"), "w+b") as errors:
            done = subprocess.run([binary(), *words], stdin=subprocess.DEVNULL, stdout=out, stderr=errors, timeout=30 * SLOW, env=environment(None), **how)
            errors.seek(0)
            equal(done.returncode, 0, "status of %s: %s" % (self.form.text, errors.read().decode()))
        return None

    def state(self):
        return json.loads(self.nsrun("state", self.id).check(0).stdout)

    def status(self):
        return self.state()["status"]

    def create(self, output=None):
        with open(output or os.devnull, "ab") as out, open(os.path.join(self.b.dir, "errors"), "w+b") as errors:
            done = subprocess.run([binary(), *self.own, *self.manager, "create", "--bundle", self.b.dir, self.id], stdin=subprocess.DEVNULL, stdout=out, stderr=errors,
                                  timeout=30 * SLOW, env=environment(None))
            errors.seek(0)
            equal(done.returncode, 0, "create: %s" % errors.read().decode())

    def start(self):
        self.nsrun("start", self.id).check(0)

    def started(self):
        """A container that runs and has come to its loop."""
        output = os.path.join(self.b.dir, "output")
        self.create(output)
        self.start()
        wait_for(lambda: "up\n" in read(output), "the workload", timeout=15)

    def gone(self):
        failing(self.nsrun("--debug", "state", self.id), "does not exist")

    def delete(self):
        self.nsrun("--debug", "delete", "--force", self.id)


def file_of(case, option):
    return read(case.values[option])


def does_create(case):
    form, b = case.form, case.b
    if "--console-socket" in form.options:
        b.config["process"]["terminal"] = True
        listener = Listener(case.values["--console-socket"])
    if "--no-new-keyring" in form.options:
        b.config["root"]["path"] = rootfs(private=True, with_probe=True)
        b.config["process"]["args"] = ["/probe"]
    if "--no-pivot" in form.options:
        b.config["process"]["args"] = ["/bin/sh", "-c", "ls -d /probe-no-pivot /bin; echo up; sleep 60"]
    how = {}
    if "--preserve-fds" in form.options:
        b.config["process"]["args"] = ["/bin/sh", "-c", "echo kept >&3; echo up; exec sleep 60"]
        reader, writer = os.pipe()
        # The first descriptor behind the standard ones, wherever Python has it.
        how = {"pass_fds": [3], "preexec_fn": lambda: os.dup2(writer, 3)}
    b.write()
    output = os.path.join(b.dir, "output")
    case.say(output=output, **how)
    state = case.state()
    equal((state["status"], state["id"], state["bundle"]), ("created", case.id, b.dir), "state")
    if "--pid-file" in form.options:
        equal(file_of(case, "--pid-file"), str(state["pid"]), "the pid file")
    check(alive(state["pid"]), "the process of the state")
    equal(read(output), "", "output before start")
    if "--systemd-cgroup" in form.flags:
        check(groups_of(state["pid"])[""].endswith("/nsrun-test.slice/nsrun-form.scope"), "group: %r" % groups_of(state["pid"]))
    if form.flags.get("--cgroup-manager") == "disabled":
        equal(groups_of(state["pid"]), groups_of("self"), "groups, which stay the caller's")
    case.start()
    equal(case.status() in ("running", "stopped"), True, "status")
    if "--console-socket" in form.options:
        listener.expect(b"up")
    elif "--no-new-keyring" in form.options:
        wait_for(lambda: case.status() == "stopped", "the probe's end")
        equal(json.loads(read(output))["session_keyring"], keyring(), "the session keyring")
    else:
        wait_for(lambda: read(output).endswith("up\n"), "the workload")
    if "--preserve-fds" in form.options:
        os.close(writer)
        equal(os.read(reader, 100), b"kept\n", "what came by the descriptor")
        os.close(reader)


def does_run(case):
    form, b = case.form, case.b
    if "--detach" in form.options:
        case.say(output=os.path.join(b.dir, "output"))
        equal(case.status(), "running", "status")
        equal(file_of(case, "--pid-file"), str(case.state()["pid"]), "the pid file")
    else:
        b.config["process"]["args"] = ["/bin/sh", "-c", "echo ran; exit 7"]
        b.write()
        equal(case.say().check(7).stdout, "ran\n", "output")
        case.gone()


def does_start(case):
    output = os.path.join(case.b.dir, "output")
    case.create(output)
    equal((case.status(), read(output)), ("created", ""), "before")
    case.say().check(0, stdout="")
    wait_for(lambda: read(output) == "up\n", "the workload")
    equal(case.status(), "running", "status")


def does_state(case):
    case.started()
    said = json.loads(case.say().check(0).stdout)
    equal((said["id"], said["status"], said["bundle"], said["annotations"]), (case.id, "running", case.b.dir, case.b.config["annotations"]), "state")
    check("%d" % said["pid"] in os.listdir("/proc"), "the pid of the state")


def does_delete(case):
    case.started()
    pid = case.state()["pid"]
    groups = [v + groups_of(pid)[k] for k, v in v1_mounts().items() if k in groups_of(pid) and groups_of(pid)[k] != groups_of("self")[k]]
    if "--force" not in case.form.options:
        equal(case.say().status, 1, "delete of one that runs")
        equal(case.status(), "running", "status after that")
        case.nsrun("kill", case.id, "KILL").check(0)
        wait_for(lambda: case.status() == "stopped", "its end")
    case.say().check(0, stdout="")
    wait_for(lambda: not alive(pid), "the process' end")
    equal([group for group in groups if os.path.exists(group)], [], "groups that are left")
    case.gone()
    if "--force" in case.form.options:
        case.say().check(0)  # engines say it of what is not there


def does_kill(case):
    case.started()
    pid = case.state()["pid"]
    for signum in ("15", "9"):
        if "<SIGNUM>" in case.form.rest or signum == "9":  # a form with KILL is said once
            case.say(signum=signum).check(0, stdout="")
            if signum == "15":
                wait_for(lambda: "got TERM\n" in read(os.path.join(case.b.dir, "output")), "the trap's word")
                equal(case.status(), "running", "status")
    wait_for(lambda: case.status() == "stopped", "its end")
    check(not alive(pid), "the process has ended")
    if "--all" in case.form.options:
        case.say(signum="9").check(0)  # containerd says it after the end, too


def frozen(case):
    group = v2_mount() + groups_of(case.state()["pid"])[""]
    return "frozen 1" in read(group + "/cgroup.events")


def does_pause(case):
    if not v2_mount():
        skip("no cgroup2 is mounted")
    case.started()
    check(case.say().check(0).stdout in ("", case.id + "\n"), "what it prints")
    equal((case.status(), frozen(case)), ("paused", True), "state and group")
    case.nsrun("resume", case.id).check(0)


def does_resume(case):
    if not v2_mount():
        skip("no cgroup2 is mounted")
    case.started()
    case.nsrun("pause", case.id).check(0)
    check(case.say().check(0).stdout in ("", case.id + "\n"), "what it prints")
    equal((case.status(), frozen(case)), ("running", False), "state and group")


def does_ps(case):
    case.started()
    pids = json.loads(case.say().check(0).stdout)
    check(case.state()["pid"] in pids, "%r lacks the first process" % pids)


def does_update(case):
    case.started()
    wanted = json.dumps({"pids": {"limit": 77}, "memory": {"limit": 96 << 20}})
    if case.form.options["--resources"] == "-":
        case.say(input=wanted).check(0, stdout="")
    else:
        with open(case.values["--resources"], "w") as file:
            file.write(wanted)
        check(case.say().check(0).stdout in ("", case.id + "\n"), "what it prints")
    equal(limit(case.state()["pid"], "pids", "pids.max"), "77", "pids.max")
    equal(limit(case.state()["pid"], "memory", "memory.limit_in_bytes" if "memory" in v1_mounts() else "memory.max"), str(96 << 20), "memory")


def limit(pid, controller, name):
    groups = groups_of(pid)
    if controller in v1_mounts():
        return read(v1_mounts()[controller] + next(g for names, g in groups.items() if controller in names.split(",")) + "/" + name).strip()
    return read(v2_mount() + groups[""] + "/" + name).strip()


def does_exec(case):
    form, b = case.form, case.b
    case.started()
    process = copy.deepcopy(PROCESS)
    detached = "--detach" in form.options
    if "--console-socket" in form.options:
        process["terminal"] = True
        listener = Listener(case.values["--console-socket"])
    if not detached:
        process["args"] = ["/bin/sh", "-c", "echo in-exec; exit 5"]
    with open(case.values["--process"], "w") as file:
        json.dump(process, file)
    if not detached:
        equal(case.say().check(5).stdout, "in-exec\n", "output")
        return
    output = os.path.join(b.dir, "exec-output")
    case.say(output=output)
    pid = int(file_of(case, "--pid-file"))
    init = case.state()["pid"]
    check(pid != init and alive(pid), "the process of the pid file")
    for kind in ("mnt", "pid", "net", "ipc", "uts"):
        equal(os.readlink("/proc/%d/ns/%s" % (pid, kind)), os.readlink("/proc/%d/ns/%s" % (init, kind)), kind)
    if "--console-socket" in form.options:
        listener.expect(b"in-exec")
    else:
        wait_for(lambda: read(output) == "in-exec\n", "its output")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not [reap()] or not alive(pid), "its end")  # an engine waits for it, too: the pid namespace cannot end before
    equal(case.status(), "running", "the container")


def does_list(case):
    case.started()
    said = case.say().check(0).stdout
    if "--quiet" in case.form.options:
        equal(said, case.id + "\n", "ids")
    else:
        equal([(entry["id"], entry["status"]) for entry in json.loads(said)], [(case.id, "running")], "list")


def does_events(case):
    case.started()
    if "--stats" in case.form.options:
        lines = case.say().check(0).stdout.splitlines()
        equal(len(lines), 1, "lines")
        event = json.loads(lines[0])
    else:
        process = subprocess.Popen([binary(), *case.form.said(case.values, case.id)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment(None))
        event = json.loads(process.stdout.readline())
        json.loads(process.stdout.readline())  # again and again
        process.kill()
        process.wait()
        process.stdout.close()
    equal((event["type"], event["id"]), ("stats", case.id), "event")
    check(event["data"]["pids"]["current"] >= 1, "processes: %r" % event["data"]["pids"])


def does_features(case):
    said = json.loads(case.say().check(0).stdout)
    check(said["ociVersionMax"].startswith("1.3") and "createRuntime" in said["hooks"], "features: %r" % said)


def does_version(case):
    said = case.say().check(0).stdout.splitlines()
    check(re.match(r"nsrun version \d", said[0]), said[0])
    for word in ("commit: ", "spec: 1.3", "libseccomp: 2"):
        check(any(line.startswith(word) for line in said), "%r lacks %r" % (said, word))


def does_refuse(case, error):
    """It says what is missing, and changes nothing."""
    case.started()
    before = case.state()
    result = case.say()
    equal(result.status, 1, "status: %r\n" % result)
    contains(result.stderr, error, "stderr")
    equal(case.state(), before, "state")
    equal([os.listdir(case.values[name]) for name in ("--image-path", "--work-path")], [[], []], "images")


def logged(case):
    """What fails is in the log, as one JSON object: the error that the engine shows."""
    if "--console-socket" in case.form.options or case.form.command == "restore":
        case.b.config["process"]["terminal"] = False
        case.b.write()
    log = case.values["--log"]
    with contextlib.suppress(FileNotFoundError):
        os.unlink(log)
    if case.form.command == "create":
        os.rename(os.path.join(case.b.dir, "config.json"), os.path.join(case.b.dir, "no.json"))
    words = ["0" if word == "1" and case.form.options.get("--preserve-fds") else word for word in case.form.said(case.values, "no-such-container")]
    result = nsrun(words, input="{}")
    if case.form.command == "delete" and "--force" in case.form.options:
        result.check(0)  # of what is not there
        return
    check(result.status in (1, 255), "status: %r\n" % result)
    entries = [json.loads(line) for line in read(log).splitlines()]
    equal([(e["level"], sorted(e)) for e in entries if e["level"] != "debug"], [("error", ["level", "msg", "time"])], "the log")
    wanted = "config.json" if case.form.command == "create" else "does not exist" if not case.form.command in ("checkpoint", "restore") else "CRIU"
    contains(entries[-1]["msg"], wanted, "the message")


@generate(root=True)
def lines():
    for text, _, error in forms():
        def one(text=text, error=error):
            needs_root()
            form = Form(text)
            with contextlib.ExitStack() as stack:
                b = stack.enter_context(Bundle("/bin/sh", "-c", "trap 'echo got TERM' TERM; echo up; while :; do sleep 0.1; done"))
                b.config["mounts"] = copy.deepcopy(DEV)
                if "--systemd-cgroup" in form.flags:
                    if not possible():
                        skip("no cgroup2 that groups can be made in")
                    stack.enter_context(fake())
                    b.config["linux"]["cgroupsPath"] = "nsrun-test.slice:nsrun:form"
                b.write()
                case = Case(form, b)
                stack.callback(case.delete)
                if "--version" in form.flags:
                    does_version(case)
                elif "--help" in form.options:
                    contains(case.say().check(0).stdout, "Usage: nsrun " + form.command, "help")
                elif error:
                    does_refuse(case, error)
                else:
                    globals()["does_" + form.command](case)
                case.delete()
                if "--log" in form.flags:
                    logged(case)
        yield re.sub(r"[^a-z0-9]+", "_", text.replace("<PATH>", "").replace("<ID>", "").lower()).strip("_"), one


def test_every_form_has_its_test():
    """Engines and commands that the data file must have: who takes lines away takes away what is shown."""
    rows = forms()
    check(len(rows) >= 70, "only %d forms" % len(rows))
    equal(sorted({Form(text).command for text, _, _ in rows if Form(text).command}),
          sorted(["checkpoint", "create", "delete", "events", "exec", "features", "kill", "list", "pause", "ps", "restore", "resume", "run", "start", "state", "update"]), "commands")
    wanted = {"buildah", "cri", "cri17", "crio", "ctr", "docker", "docker-userns", "docker26", "podman", "podman-rootless", "podman5", "slurm", "sources", "swarm"}
    equal(wanted - {engine for _, engines, _ in rows for engine in engines}, set(), "engines")


# ---- documents ----------------------------------------------------------------------------------------------------

@generate(root=True)
def own_commands():
    """The documents with the command that the engine's user gave, where the tree has it, and hooks; httpd and tail run until they are killed."""
    for path in sorted(glob.glob(DOCUMENTS + "/*-config-*.json")):
        def one(path=path):
            needs_root()
            with open(path) as file:
                args = json.load(file)["process"]["args"]
            if args[0].endswith("-init"):  # of the engine, bound into the tree
                args = args[args.index("--") + 1:]
            with Bundle() as b:
                b.config = adapted(path, b)
                tree = b.config["root"]["path"]
                if args[0].startswith("/") and not os.path.lexists(tree + args[0]):
                    args = ["/bin/true"]
                b.config["process"]["args"] = args
                b.write()
                waits = "httpd" in args[-1] or args[0] == "/bin/tail"
                b.made()
                equal(b.status(), "created", "status")
                if b.config.get("annotations"):
                    equal(b.state()["annotations"], b.config["annotations"], "annotations")
                b("start", "c").check(0)
                if waits:
                    equal(b.status(), "running", "status")
                    b("kill", "c", "KILL").check(0)
                b.stopped()
                check("not found" not in b.output(), b.output())
                b("delete", "c").check(0)
                with contextlib.suppress(FileNotFoundError, IsADirectoryError):
                    os.unlink(tree + "/x")  # what two of them write
        yield os.path.basename(path)[:-5], one


@generate(root=True)
def processes():
    """exec --process with the object that the engine sent: it runs, as the user and with the capabilities that it says."""
    for path in sorted(glob.glob(DOCUMENTS + "/*-process-*.json")):
        def one(path=path):
            needs_root()
            with open(path) as file:
                process = json.load(file)
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            for entry in process.get("rlimits", []):
                entry["soft"], entry["hard"] = min(entry["soft"], hard), min(entry["hard"], hard)
            for name in ("apparmorProfile", "selinuxLabel"):
                process.pop(name, None)
            with Bundle("/bin/sleep", "60") as b:
                b.config["mounts"] = copy.deepcopy(DEV)
                kept = sorted({cap for names in process.get("capabilities", {}).values() for cap in names})
                b.config["process"]["capabilities"] = {kind: kept for kind in ("bounding", "effective", "permitted")}
                b.write()
                b.made()
                b("start", "c").check(0)
                said = dict(process, terminal=False)
                with open(b.dir + "/process.json", "w") as file:
                    json.dump(said, file)
                result = b("exec", "--process", b.dir + "/process.json", "c")
                equal(result.status, 0, "its own command: %r\n" % result)
                said["args"] = ["/bin/sh", "-c", "id -u; id -g; pwd; env | sort; grep CapBnd /proc/self/status; ulimit -n"]
                with open(b.dir + "/process.json", "w") as file:
                    json.dump(said, file)
                out = b("exec", "--process", b.dir + "/process.json", "c").check(0).stdout.splitlines()
                equal(out[:3], [str(process["user"]["uid"]), str(process["user"]["gid"]), process["cwd"]], "user and directory")
                for entry in process["env"]:
                    check(entry in out, "%r is missing in %r" % (entry, out))
                bounding = int(next(line for line in out if line.startswith("CapBnd")).split()[1], 16)
                equal(bin(bounding).count("1"), len(process.get("capabilities", {}).get("bounding", [])), "capabilities in the bounding set")
                for entry in process.get("rlimits", []):
                    if entry["type"] == "RLIMIT_NOFILE":
                        equal(out[-1], str(entry["soft"]), "ulimit -n")
        yield os.path.basename(path)[:-5], one


@generate(root=True)
def resources():
    """update --resources with what the engine sent: the kernel has it."""
    for path in sorted(glob.glob(DOCUMENTS + "/*-resources-*.json")):
        def one(path=path):
            needs_root()
            with open(path) as file:
                wanted = json.load(file)
            if "memory" not in v1_mounts():
                skip("values of v1 files")
            with Bundle("/bin/sleep", "60") as b:
                b.made()
                b("start", "c").check(0)
                pid = b.state()["pid"]
                b("update", "--resources", "-", "c", input=json.dumps(wanted)).check(0, stdout="")
                memory, cpu = wanted.get("memory", {}), wanted.get("cpu", {})
                expected = [("memory", "memory.limit_in_bytes", memory.get("limit")), ("cpu", "cpu.shares", cpu.get("shares")), ("cpu", "cpu.cfs_quota_us", cpu.get("quota")),
                            ("cpu", "cpu.cfs_period_us", cpu.get("period")), ("cpuset", "cpuset.cpus", cpu.get("cpus")), ("pids", "pids.max", wanted.get("pids", {}).get("limit"))]
                looked = 0
                for controller, name, value in expected:
                    if value:
                        # the kernel counts memory in pages
                        equal(limit(pid, controller, name), str(value // 4096 * 4096 if controller == "memory" else value), name)
                        looked += 1
                check(looked, "nothing of %s was looked at" % path)
                equal(b.status(), "running", "status")
        yield os.path.basename(path)[:-5], one


if __name__ == "__main__":
    main()
