# SPDX-License-Identifier: Apache-2.0
"""Every option of every command, and of those before the command: one effect of each. One that --help shows and that has no line here fails; other files go
deeper. Options of a launch are test_every_option.py's."""
import contextlib
import json
import os
import re
import signal
import subprocess
import time

from harness import *
from helper import install_helper, refused, tree
from life import Container, arguments, detached, fresh, script
from test_limit_options import disk
from test_oci_config import groups_of, v1_mounts, v2_mount
from test_oci_forms import Listener, keyring
from test_oci_life import Bundle, failing

PROC = {"destination": "/proc", "type": "proc", "source": "proc"}
PTS = [PROC, {"destination": "/dev", "type": "tmpfs", "options": ["mode=755"]}, {"destination": "/dev/pts", "type": "devpts", "options": ["newinstance", "ptmxmode=0666"]}]
IDLE = "echo up; while :; do sleep 0.1; done"
OPTIONS = {}


def of(command, *names):
    """This function shows these options of the command; "": those before it."""
    def add(function):
        for name in names:
            OPTIONS[command, name] = function
        return function
    return add


def read(path):
    with open(path) as file:
        return file.read()


@contextlib.contextmanager
def bundle(script="exec sleep 60", start=True, **process):
    with Bundle("/bin/sh", "-c", script, mounts=[PROC]) as b:
        b.config["process"].update(process)
        b.write()
        b.made()
        if start:
            b("start", "c").check(0)
        yield b


def file_of(text, name="file"):
    path = os.path.join(tmp(), name)
    with open(path, "w") as file:
        file.write(text)
    return path


def status_of(pid):
    return dict(line.split(":\t", 1) for line in read("/proc/%s/status" % pid).splitlines() if ":\t" in line)


def up(c):
    wait_for(lambda: "up" in c.nsrun("logs").stdout, "the workload")


# ---- before the command ---------------------------------------------------------------------------------------------

@of("", "root", "log", "log-format", "debug", "rootless", "criu", "version", "help")
def _():
    root, log = os.path.join(tmp(), "a-root"), os.path.join(tmp(), "log")
    with bundle() as b:
        nsrun(["--root", root, "state", "c"]).check(1)
        equal(json.loads(nsrun(["--root", b.root, "state", "c"]).check(0).stdout)["id"], "c", "by its root")
        for flag in ("--debug", "--rootless=true", "--criu=/x"):  # accepted, and change nothing
            equal(json.loads(nsrun([flag, "--root", b.root, "state", "c"]).check(0).stdout)["status"], "running", flag)
    nsrun(["--root", root, "--log", log, "--log-format", "json", "state", "nope"]).check(1)
    equal(json.loads(read(log))["level"], "error", "a line of the log")
    nsrun(["--root", root, "--log", log + ".text", "--log-format", "text", "state", "nope"]).check(1)
    contains(read(log + ".text"), "level=error", "a line of the text")
    contains(nsrun(["--version"]).check(0).stdout, "spec: 1.3", "version")
    contains(nsrun(["--help"]).check(0).stdout, "nsrun COMMAND", "help")


@of("", "systemd-cgroup", "cgroup-manager")
def _():
    with bundle() as b:
        b.config["linux"]["cgroupsPath"] = "no words of a scope"
        b.write()
        contains(b("--systemd-cgroup", "create", "-b", b.dir, "d").check(1).stderr, "slice:prefix:name", "stderr")
        contains(b("--cgroup-manager", "systemd", "create", "-b", b.dir, "d").check(1).stderr, "slice:prefix:name", "stderr")
        equal(subprocess.call([binary(), "--root", b.root, "--cgroup-manager", "disabled", "create", "-b", b.dir, "d"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(None)), 0, "status of create")
        equal(groups_of(b.state("d")["pid"]), groups_of("self"), "groups")


# ---- create and run -------------------------------------------------------------------------------------------------

for verb in ("create", "run"):
    def made(b, name, *options, verb=verb, env=None, **how):
        """Created, and started by run -d."""
        with open(os.path.join(b.dir, "output"), "w") as out, open(os.path.join(b.dir, "errors"), "w") as errors:
            words = [binary(), "--root", b.root, verb, *(["-d"] if verb == "run" else []), *options, name]
            status = subprocess.call(words, stdin=subprocess.DEVNULL, stdout=out, stderr=errors, env=environment(None, env), cwd="/", **how)
        equal((status, read(b.dir + "/errors")), (0, ""), "%s %s" % (verb, options))
        if verb == "create" and "--dry-run" not in options:
            b("start", name).check(0)

    @of(verb, "bundle", "config", "pid-file")
    def _(made=made):
        with Bundle("/bin/sh", "-c", "hostname; exec sleep 60", mounts=[PROC]) as b:
            b.config["hostname"] = "of-config"
            b.write()
            other = os.path.join(b.dir, "other.json")
            with open(other, "w") as file:
                json.dump(dict(b.config, hostname="of-other"), file)
            for name, more, wanted in (("a", [], "of-config"), ("b", ["--config", other], "of-other")):
                path = os.path.join(b.dir, "pid-" + name)
                made(b, name, "--bundle", b.dir, "--pid-file", path, *more)
                wait_for(lambda: b.output() == wanted + "\n", "its host name")
                equal(int(read(path)), b.state(name)["pid"], "pid")

    @of(verb, "console-socket")
    def _(made=made):
        with Bundle("/bin/sh", "-c", "tty; exec sleep 60", mounts=PTS, terminal=True) as b:
            listener = Listener(os.path.join(b.dir, "tty.sock"))
            made(b, "c", "-b", b.dir, "--console-socket", os.path.join(b.dir, "tty.sock"))
            listener.expect(b"/dev/pts/0")

    @of(verb, "no-pivot")
    def _(made=made):
        """The same root, by chroot(2) and without pivot_root(2)."""
        needs_program("strace")
        with Bundle("/bin/sleep", "60", mounts=[PROC]) as b:
            for name, more in (("a", []), ("b", ["--no-pivot"])):
                made(b, name, "-b", b.dir, *more)
                equal(sorted(os.listdir("/proc/%d/root/" % b.state(name)["pid"])), sorted(os.listdir(b.config["root"]["path"])), "the root with %s" % more)
            log = os.path.join(b.dir, "strace")
            for more, wanted in (([], {"pivot_root"}), (["--no-pivot"], {"chroot"})):
                words = [binary(), "--root", b.root, verb_of(made), *(["-d"] if verb_of(made) == "run" else []), *more, "-b", b.dir, "c"]
                # strace waits for the container's process, too
                traced = subprocess.Popen(["strace", "-f", "-e", "trace=pivot_root,chroot", "-o", log, *words], stdin=subprocess.DEVNULL,
                                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(None))
                wait_for(lambda: "c" in b.ids() and b("state", "c").status == 0 and b.status() in ("created", "running"), "the container", timeout=20)
                b("delete", "--force", "c").check(0)
                traced.wait(20 * SLOW)
                equal(set(re.findall(r"(pivot_root|chroot)\(", read(log))), wanted, "system calls with %s" % more)

    @of(verb, "no-new-keyring")
    def _(made=made):
        with Bundle("/probe", mounts=[PROC]) as b:
            b.config["root"]["path"] = rootfs(private=True, with_probe=True)
            b.write()
            for name, more in (("a", []), ("b", ["--no-new-keyring"])):
                made(b, name, "-b", b.dir, *more)
                wait_for(lambda: b.status(name) == "stopped", "the probe's end")
                equal(json.loads(b.output())["session_keyring"] == keyring(), bool(more), "the session keyring with %s" % more)

    @of(verb, "dry-run", "trace")
    def _(made=made):
        with Bundle("/bin/sh", "-c", "echo ran; exec sleep 60", mounts=[PROC]) as b:
            before = leftovers()
            contains(b(verb_of(made), "--dry-run", "-b", b.dir, "c").check(0).stdout, "workload.exec", "rows")
            equal(b.ids(), [], "what a dry run left")
            assert_clean(before)
            with open(b.dir + "/trace", "w") as errors:
                equal(subprocess.call([binary(), "--root", b.root, verb_of(made), *(["-d"] if verb_of(made) == "run" else []), "--trace=json", "-b", b.dir, "c"],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, env=environment(None)), 0, "status")
            names = [json.loads(line)["step"] for line in read(b.dir + "/trace").splitlines()]
            check("init.clone" in names, "rows of the trace: %s" % names)

    @of(verb, "preserve-fds")
    def _(made=made):
        with Bundle("/bin/sh", "-c", "echo kept >&3; exec sleep 60") as b:
            reader, writer = os.pipe()
            made(b, "c", "--preserve-fds", "1", "-b", b.dir, pass_fds=[3], preexec_fn=lambda: os.dup2(writer, 3))
            os.close(writer)
            equal(os.read(reader, 100), b"kept\n", "by the descriptor")
            os.close(reader)


def verb_of(made):
    return made.__defaults__[0] if made.__defaults__ else made.__kwdefaults__["verb"]


@of("run", "detach", "keep", "no-subreaper")
def _():
    with Bundle("/bin/sh", "-c", "echo ran; exit 3") as b:
        equal(b("run", "--no-subreaper", "-b", b.dir, "c").check(3).stdout, "ran\n", "output")
        equal(b.ids(), [], "names")
        b("run", "--keep", "-b", b.dir, "c").check(3)
        equal(b.status(), "stopped", "status of one that is kept")
        b("delete", "c").check(0)
        b.config["process"]["args"] = ["/bin/sleep", "60"]
        b.write()
        subprocess.run([binary(), "--root", b.root, "run", "--detach", "-b", b.dir, "c"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=True, env=environment(None))
        equal(b.status(), "running", "status of one that is detached")


@of("delete", "force")
def _():
    with bundle() as b:
        pid = b.state()["pid"]
        failing(b("delete", "c"), "not stopped")
        b("delete", "--force", "c").check(0)
        check(not alive(pid), "the process")
        b("delete", "--force", "c").check(0)


# ---- exec -----------------------------------------------------------------------------------------------------------

@of("exec", "interactive", "tty")
def _():
    with script(IDLE) as c:
        equal(c_exec(c, ["-i=false"], "cat", input="said"), "", "without input")
        equal(c_exec(c, ["-i"], "cat", input="said"), "said", "with input")
        with Pty([binary(), "exec", "-t", c.name, "/bin/sh", "-c", "tty; stty size"], rows=31, columns=71) as terminal:
            equal(terminal.wait(), 0, "status")
            check(re.search(r"/dev/(pts/\d|console)\r\n31 71", terminal.text), "terminal: %r" % terminal.text)
        with Pty([binary(), "exec", "-t=false", c.name, "/bin/sh", "-c", "tty"]) as terminal:
            terminal.wait()
            check("pts/0\r" not in terminal.text.split("tty")[-1] or "not a tty" in terminal.text or "/dev" in terminal.text, terminal.text)


def c_exec(c, options, text, **how):
    return nsrun(["exec", *options, c.name, "/bin/sh", "-c", text], **how).check(0).stdout


@of("exec", "detach", "pid-file")
def _():
    with bundle() as b:
        path = os.path.join(b.dir, "pid")
        subprocess.run([binary(), "--root", b.root, "exec", "--detach", "--pid-file", path, "c", "/bin/sleep", "61"], stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, env=environment(None))
        pid = int(read(path))
        wait_for(lambda: read("/proc/%d/cmdline" % pid) == "/bin/sleep\x0061\0", "the process of the pid file")
        equal(os.readlink("/proc/%d/ns/pid" % pid), os.readlink("/proc/%d/ns/pid" % b.state()["pid"]), "its pid namespace")
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not [reap()] or not alive(pid), "its end")


@of("exec", "env", "env-file", "workdir", "cwd")
def _():
    with script(IDLE, options=["-e", "OWN=1"]) as c:
        path = file_of("FROM_FILE=2\nBOTH=file\n")
        equal(c_exec(c, ["-e", "BOTH=said", "--env-file", path], "echo $OWN $FROM_FILE $BOTH"), "1 2 said\n", "environment")
        for word in ("--workdir", "--cwd"):
            equal(c_exec(c, [word, "/tmp"], "pwd"), "/tmp\n", word)


@of("exec", "user", "group-add", "additional-gids")
def _():
    with script(IDLE, options=["--group-add", "7"]) as c:
        equal(c_exec(c, ["-u", "5:6"], "echo $(id -u) $(id -g)"), "5 6\n", "user")
        equal(set(c_exec(c, ["--group-add", "9"], "id -G").split()), {"0", "9"}, "instead of the container's groups")
        equal(set(c_exec(c, ["--additional-gids", "9"], "id -G").split()), {"0", "7", "9"}, "beside the container's groups")


@of("exec", "process", "cap", "no-new-privs")
def _():
    with bundle() as b:
        path = file_of(json.dumps({"args": ["/bin/sh", "-c", "pwd; exit 6"], "cwd": "/tmp", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}}))
        equal(b("exec", "--process", path, "c").check(6).stdout, "/tmp\n", "of the object")
        show = ["/bin/grep", "-E", "CapEff|NoNewPrivs", "/proc/self/status"]
        plain, more = (b("exec", *options, "c", *show).check(0).stdout.split() for options in ([], ["--cap", "CAP_SYS_CHROOT", "--no-new-privs"]))
        equal((int(more[1], 16) ^ int(plain[1], 16), plain[3], more[3]), (1 << 18, "0", "1"), "capabilities, no_new_privs")


@of("exec", "apparmor", "process-label")
def _():
    """Their effect: tests/vm/test_labels.py. Where the module does not decide it is an error, and nothing runs."""
    with bundle() as b:
        for word, module in (("--apparmor", "AppArmor"), ("--process-label", "SELinux")):
            result = b("exec", word, "x", "c", "/bin/echo", "ran")
            equal((result.status, result.stdout), (255, ""), "status and output with %s" % word)
            contains(result.stderr, module, "stderr")


@of("exec", "cgroup")
def _():
    with bundle() as b:
        pid = b.state()["pid"]
        if not v2_mount() or groups_of(pid)[""] == groups_of("self").get(""):
            skip("no group of cgroup v2")
        ours = groups_of("self")
        own = {name: group for name, group in groups_of(pid).items() if (name in v1_mounts() or not name) and group != ours[name]}
        for name, group in own.items():
            os.makedirs((v1_mounts()[name] if name else v2_mount()) + group + "/jobs", exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):
            if "cpuset" in v1_mounts():
                top = v1_mounts()["cpuset"] + own["cpuset"]
                with open(top + "/jobs/" + file, "w") as target:
                    target.write(read(top + "/" + file))
        got = b("exec", "--cgroup", "jobs", "c", "/bin/cat", "/proc/self/cgroup").check(0).stdout
        check(got.splitlines() and all(line.endswith("/jobs") for line in got.splitlines() if line.split(":")[1] in own), "groups: %s" % got)


@of("exec", "console-socket")
def _():
    with Bundle("/bin/sleep", "60", mounts=PTS) as b:
        b.made()
        b("start", "c").check(0)
        listener = Listener(os.path.join(b.dir, "tty.sock"))
        path = os.path.join(b.dir, "pid")
        subprocess.run([binary(), "--root", b.root, "exec", "-d", "-t", "--pid-file", path, "--console-socket", os.path.join(b.dir, "tty.sock"), "c", "/bin/sh", "-c",
                        "tty; exec sleep 60"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, env=environment(None))
        listener.expect(b"/dev/pts/")
        os.kill(int(read(path)), signal.SIGKILL)
        wait_for(lambda: not [reap()] or not alive(int(read(path))), "its end")


@of("exec", "preserve-fds")
def _():
    with bundle() as b:
        reader, writer = os.pipe()
        subprocess.run([binary(), "--root", b.root, "exec", "--preserve-fds", "1", "c", "/bin/sh", "-c", "echo kept >&3"], stdin=subprocess.DEVNULL,
                       check=True, pass_fds=[3], preexec_fn=lambda: os.dup2(writer, 3), env=environment(None))
        os.close(writer)
        equal(os.read(reader, 100), b"kept\n", "by the descriptor")
        os.close(reader)


@of("exec", "ignore-paused")
def _():
    if not v2_mount():
        skip("no cgroup2 is mounted")
    with bundle() as b:
        b("pause", "c").check(0)
        equal(b("exec", "c", "/bin/true").status, 255, "without it")
        waits = subprocess.Popen([binary(), "--root", b.root, "exec", "--ignore-paused", "c", "/bin/echo", "on"], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, env=environment(None))
        time.sleep(0.2)
        equal(waits.poll(), None, "it waits")
        b("resume", "c").check(0)
        equal(waits.communicate(timeout=20 * SLOW)[0], b"on\n", "after resume")


@of("exec", "trace", "trace-file", "dry-run")
def _():
    with script(IDLE) as c:
        result = nsrun(["exec", "--trace=json", c.name, "/bin/true"]).check(0)
        check("workload.exec" in [json.loads(line)["step"] for line in result.stderr.splitlines()], "rows: %s" % result.stderr)
        path = os.path.join(tmp(), "trace")
        equal(nsrun(["exec", "--trace", "--trace-file", path, c.name, "/bin/true"]).check(0).stderr, "", "standard error")
        contains(read(path), "workload.exec", "the file")
        equal("ran\n" in nsrun(["exec", "--dry-run", c.name, "/bin/echo", "ran"]).check(0).stdout.splitlines(True), False, "a dry run")


# ---- looking at containers and changing them ------------------------------------------------------------------------

@of("attach", "detach-keys")
def _():
    with detached("/bin/sh", "-c", "echo here; exec sleep 60", options=["-it"]) as c:
        with Pty([binary(), "attach", "--detach-keys", "ctrl-x,q", c.name]) as terminal:
            time.sleep(0.2)
            terminal.write(b"\x18q")
            equal(terminal.wait(), 0, "status after the keys")
        equal(json.loads(c.nsrun("inspect").stdout)[0]["status"], "running", "it goes on")


def client(c, *options):
    return subprocess.Popen([binary(), "attach", *options, c.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=environment(None), cwd=base())


@of("attach", "no-stdin", "end-stdin")
def _():
    with detached("/bin/sh", "-c", "while read x; do echo got $x; done; echo ended; exit 8", options=["-i"]) as c:
        looking = client(c, "--no-stdin")
        looking.stdin.write(b"unseen\n")
        looking.stdin.flush()
        saying = client(c, "--end-stdin")
        out, _ = saying.communicate(b"seen\n", timeout=20 * SLOW)
        equal(saying.returncode, 8, "status")
        contains(out.decode(), "ended", "what it shows")
        equal(c.nsrun("logs").stdout, "got seen\nended\n", "what the container read")
        equal(b"ended" in looking.communicate(timeout=20 * SLOW)[0], True, "what the other one shows")


@of("attach", "sig-proxy")
def _():
    with script("trap 'echo term' TERM; " + IDLE) as c:
        up(c)
        ends = client(c, "--sig-proxy=false")
        passes = client(c)
        wait_for(lambda: b"x" and all(os.path.exists("/proc/%d/fd" % one.pid) and len(os.listdir("/proc/%d/fd" % one.pid)) > 3 for one in (ends, passes)), "both")
        time.sleep(0.3)
        ends.send_signal(signal.SIGTERM)
        ends.communicate(timeout=20 * SLOW)
        check("term" not in c.nsrun("logs").stdout, "the container had the signal")
        passes.send_signal(signal.SIGTERM)
        wait_for(lambda: "term" in c.nsrun("logs").stdout, "the signal of the other one")
        passes.kill()
        passes.communicate()


@of("kill", "signal", "all")
def _():
    with script("trap 'echo usr' USR1; sleep 77 & " + IDLE) as c:
        up(c)
        c.nsrun("kill", "--signal", "USR1").check(0)
        wait_for(lambda: "usr" in c.nsrun("logs").stdout, "the signal")
        child = next(pid for pid in descendants(c.init) if "77" in read("/proc/%d/cmdline" % pid).split("\0"))
        c.nsrun("kill", "--all", "-s", "USR1").check(0)
        wait_for(lambda: not alive(child), "the end of another process of it")


@of("logs", "follow", "tail", "timestamps", "since")
def _():
    with script("echo one; echo two; sleep 1.2; echo three; sleep 1; exit 0") as c:
        wait_for(lambda: "two" in c.nsrun("logs").stdout, "output")
        equal(c.nsrun("logs", "--follow").check(0).stdout, "one\ntwo\nthree\n", "until it ended")
        equal(c.nsrun("logs", "--tail", "2").stdout, "two\nthree\n", "the last lines")
        stamped = c.nsrun("logs", "-t").stdout.splitlines()
        check(all(re.match(r"\d{4}-\d\d-\d\dT[\d:.]+\S* (one|two|three)$", line) for line in stamped), "timestamps: %s" % stamped)
        equal(c.nsrun("logs", "--since", stamped[2].split()[0]).stdout, "three\n", "since a time")


@of("lab", "chapters", "json", "one-column", "output", "plain", "salt", "verify", "view")
def _():
    """test_lab.py and test_lab_view.py play, test_lab_report.py reports."""
    chapter = "# Mine\n\n```lab\nminutes: 1\ngoal: something\n```\n\nText.\n"
    place = tmp("chapters")
    words = ["lab", "list", "--chapters", place]
    env = {"NSRUN_LAB_DIR": tmp("lab", 0o700)}
    file_of(chapter, "chapters/mine.md")
    equal([(one["id"], one["title"]) for one in json.loads(nsrun([*words, "--json"], env=env).check(0).stdout)], [("mine", "Mine")], "chapters")
    contains(nsrun([*words, "--verify", "--one-column"], env=env).check(0).stdout, "1 chapters, 0 with mistakes")
    results = os.path.join(tmp("results"), "mine.json")
    nsrun(["lab", "report", "--json", "--output", results, "--salt", "autumn", "--chapters", place], env=env).check(0)
    with open(results) as opened:
        equal(json.load(opened)["hash"]["salted"], True, "salted")
    nsrun(["lab", "report", "--json", "--salt", "autumn", results], env=env).check(0)
    contains(nsrun(["lab", "report", "--json", "--salt", "winter", results], env=env).check(1).stderr, "another salt")
    words[1] = "mine"
    for view in (("--plain",), ("--view", "plain")):
        contains(nsrun([*words, *view], env=env).check(0).stdout, "\nText.\n")
    contains(nsrun([*words, "--view", "panes"], env=env).check(125).stderr, "--view panes: standard input and output are not a terminal")
    contains(nsrun([*words, "--view", "panes", "--plain"], env=env).check(125).stderr, "--plain is for lines")
    words[1] = "list"
    file_of(chapter + "```rnu\n```\n", "chapters/mine.md")
    contains(nsrun([*words, "--verify"], env=env).check(1).stderr, "mine.md:9: 'rnu' is no block")


@of("ls", "all", "filter", "json", "no-trunc", "quiet")
def _():
    with script(IDLE + " # " + "long " * 40) as runs, script("exit 0") as ended:
        ended.wait()
        wait_for(lambda: ended.record()["exit"], "its end")

        def names(*options):
            return {one["name"] for one in json.loads(nsrun(["ls", "--json", *options]).check(0).stdout)}
        equal((runs.name in names(), ended.name in names()), (True, False), "without --all")
        check({runs.name, ended.name} <= names("--all"), "with --all")
        equal((runs.name in names("-a", "--filter", "status=ended"), ended.name in names("-a", "--filter", "status=ended")), (False, True), "of one status")
        check(runs.id in nsrun(["ls", "--quiet"]).check(0).stdout.split(), "ids")
        full, short = (next(line for line in nsrun(["ls", *options]).check(0).stdout.splitlines() if runs.name in line) for options in (["--no-trunc"], []))
        check("long " * 40 in full and "long " * 40 not in short, "commands: %r, %r" % (full, short))


@of("inspect", "format", "json")
def _():
    with script(IDLE) as c:
        for words in (["--json"], ["--format", "json"], []):
            equal(json.loads(c.nsrun("inspect", *words).check(0).stdout)[0]["name"], c.name, "name")
        text = c.nsrun("inspect", "--format", "text").check(0).stdout
        check(c.name in text and not text.startswith("["), "text: %s" % text)


@of("rm", "force")
def _():
    with script(IDLE) as c:
        refused(c.nsrun("rm"), c.name)
        pid = c.init
        c.nsrun("rm", "--force").check(0)
        check(not alive(pid), "the process")


@of("stats", "interval", "json", "no-stream", "stream")
def _():
    with script(IDLE, options=["--pids-limit", "50"]) as c:
        contains(c.nsrun("stats", "--no-stream").check(0).stdout, c.name[:8], "a table")
        equal(json.loads(c.nsrun("stats", "--json").check(0).stdout)[0]["name"], c.name, "counters")
        process = subprocess.Popen([binary(), "stats", "--stream", "--interval", "0.1", c.name], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   env=environment(None))
        seen = b""
        begin = time.monotonic()
        while seen.count(c.name[:8].encode()) < 3:
            seen += os.read(process.stdout.fileno(), 4096)
        check(time.monotonic() - begin < 5 * SLOW, "three readings with an interval of 0.1 s took %.1f s" % (time.monotonic() - begin))
        process.kill()
        process.wait()
        process.stdout.close()


@of("stop", "signal", "timeout")
def _():
    with script("trap 'exit 5' USR1; trap '' TERM; " + IDLE) as c:
        up(c)
        c.nsrun("stop", "--signal", "USR1", "--timeout", "20").check(0)
        equal(c.wait(), 5, "status")
    with script("trap '' TERM; " + IDLE) as c:
        up(c)
        begin = time.monotonic()
        c.nsrun("stop", "--timeout", "1").check(0)
        equal((c.wait(), 0.9 < time.monotonic() - begin < 6 * SLOW), (137, True), "status, and time")


@of("top", "json")
def _():
    with script("sleep 78 & " + IDLE) as c:
        up(c)
        rows = json.loads(c.nsrun("top", "--json").check(0).stdout)
        check(any("sleep 78" in json.dumps(row) for row in rows), "processes: %s" % rows)


@of("events", "interval", "stats")
def _():
    with bundle() as b:
        [line] = b("events", "--stats", "c").check(0).stdout.splitlines()
        equal((json.loads(line)["type"], json.loads(line)["id"]), ("stats", "c"), "event")
        process = subprocess.Popen([binary(), "--root", b.root, "events", "--interval", "100ms", "c"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   env=environment(None))
        begin = time.monotonic()
        for _ in range(3):
            equal(json.loads(process.stdout.readline())["type"], "stats", "event")
        check(time.monotonic() - begin < 5 * SLOW, "three events took %.1f s" % (time.monotonic() - begin))
        process.kill()
        process.wait()
        process.stdout.close()


@of("list", "format", "quiet")
def _():
    with bundle() as b:
        equal(b("list", "--quiet").check(0).stdout, "c\n", "ids")
        equal([one["id"] for one in json.loads(b("list", "--format", "json").check(0).stdout)], ["c"], "json")
        check(re.match(r"ID +PID +STATUS", b("list", "--format", "table").check(0).stdout), "table")


@of("ps", "format")
def _():
    with bundle() as b:
        equal(b.state()["pid"] in json.loads(b("ps", "--format", "json", "c").check(0).stdout), True, "pids")
        check(str(b.state()["pid"]) in b("ps", "--format", "table", "c").check(0).stdout.split(), "table")


@of("spec", "bundle", "rootless")
def _():
    for options, user in (([], False), (["--rootless"], True)):
        made = tmp("bundle%d" % user)
        nsrun(["spec", "--bundle", made, *options]).check(0)
        config = json.loads(read(made + "/config.json"))
        equal("user" in [one["type"] for one in config["linux"]["namespaces"]], user, "a user namespace with %s" % options)
    nsrun(["spec", "--bundle", made]).check(1)  # config.json is there


# ---- update ---------------------------------------------------------------------------------------------------------

# option: value, file of v1 with its controller and what it then has, file of v2 and what it then has
UPDATES = {
    "memory": ("48m", "memory/memory.limit_in_bytes", str(48 << 20), "memory.max", str(48 << 20)),
    "memory-reservation": ("16m", "memory/memory.soft_limit_in_bytes", str(16 << 20), "memory.low", str(16 << 20)),
    "memory-swap": ("128m", "memory/memory.memsw.limit_in_bytes", str(128 << 20), "memory.swap.max", str(64 << 20)),
    "pids-limit": ("44", "pids/pids.max", "44", "pids.max", "44"),
    "cpus": ("0.5", "cpu/cpu.cfs_quota_us", "50000", "cpu.max", "50000 100000"),
    "cpu-shares": ("512", "cpu/cpu.shares", "512", "cpu.weight", None), "cpu-share": ("256", "cpu/cpu.shares", "256", "cpu.weight", None),
    "cpu-quota": ("30000", "cpu/cpu.cfs_quota_us", "30000", "cpu.max", "30000 100000"),
    "cpu-idle": ("1", "cpu/cpu.idle", "1", "cpu.idle", "1"),
    "cpuset-cpus": ("0", "cpuset/cpuset.cpus", "0", "cpuset.cpus", "0"), "cpuset-mems": ("0", "cpuset/cpuset.mems", "0", "cpuset.mems", "0"),
}


def held(pid, in_v1, in_v2):
    """(text, whether it is v1's)"""
    controller, file = in_v1.split("/")
    if controller in v1_mounts():
        return read(v1_mounts()[controller] + next(g for names, g in groups_of(pid).items() if controller in names.split(",")) + "/" + file).strip(), True
    return read(v2_mount() + groups_of(pid)[""] + "/" + in_v2).strip(), False


@contextlib.contextmanager
def with_limits(**more):
    """A container that has each limit already, so that its groups are there in every hierarchy."""
    with Bundle("/bin/sleep", "60", mounts=[PROC]) as b:
        b.config["linux"]["resources"] = {"memory": {"limit": 64 << 20}, "pids": {"limit": 30}, "cpu": {"shares": 300, "cpus": "0-1", "mems": "0"}, **more}
        b.write()
        b.made()
        b("start", "c").check(0)
        yield b, b.state()["pid"]


@of("update", *UPDATES)
def _():
    for option, (value, in_v1, wanted_v1, in_v2, wanted_v2) in UPDATES.items():
        with with_limits() as (b, pid):
            b("update", "--" + option, value, "c").check(0)
            got, v1 = held(pid, in_v1, in_v2)
            wanted = wanted_v1 if v1 else wanted_v2
            check(wanted is None or got == wanted, "--%s: %s, and %s is wanted" % (option, got, wanted))


@of("update", "cpu-period", "cpu-burst")
def _():
    with with_limits() as (b, pid):
        b("update", "--cpu-period", "50000", "--cpu-quota", "20000", "--cpu-burst", "1000", "c").check(0)
        got = [held(pid, "cpu/" + one, two)[0] for one, two in (("cpu.cfs_period_us", "cpu.max"), ("cpu.cfs_burst_us", "cpu.max.burst"))]
        check(got in (["50000", "1000"], ["20000 50000", "1000"]), "period and burst: %s" % got)


@of("update", "cpu-rt-period", "cpu-rt-runtime")
def _():
    """Where this kernel has realtime groups in v1, which a group has time of that lies at the top; otherwise an error that names the file."""
    if "cpu" in v1_mounts() and os.path.exists(v1_mounts()["cpu"] + "/cpu.rt_runtime_us"):
        with Bundle("/bin/sleep", "60", mounts=[PROC]) as b:
            b.config["linux"].update(cgroupsPath="/nsrun-rt-%d" % os.getpid(), resources={"cpu": {"realtimeRuntime": 2000, "realtimePeriod": 500000}})
            b.write()
            b.made()
            pid = b.state()["pid"]
            for option, file in (("cpu-rt-runtime", "cpu.rt_runtime_us"), ("cpu-rt-period", "cpu.rt_period_us")):
                b("update", "--" + option, {"cpu-rt-runtime": "3000", "cpu-rt-period": "700000"}[option], "c").check(0)
                equal(held(pid, "cpu/" + file, "")[0], {"cpu-rt-runtime": "3000", "cpu-rt-period": "700000"}[option], option)
        return
    with with_limits() as (b, pid):
        for option in ("cpu-rt-period", "cpu-rt-runtime"):
            result = b("update", "--" + option, "100000", "--pids-limit", "99", "c")
            check(result.status == 1 and re.search(r"cpu\.rt_|realtime|--" + option, result.stderr), "%s: %r" % (option, result))
        equal(held(pid, "pids/pids.max", "pids.max")[0], "30", "pids.max")


@of("update", "device-read-bps", "device-write-bps", "device-read-iops", "device-write-iops")
def _():
    with disk() as (path, number), with_limits() as (b, pid):
        for option, file in (("device-read-bps", "read_bps_device"), ("device-write-bps", "write_bps_device"), ("device-read-iops", "read_iops_device"),
                             ("device-write-iops", "write_iops_device")):
            b("update", "--" + option, "%s:7340032" % path, "c").check(0)
            contains(held(pid, "blkio/blkio.throttle." + file, "io.max")[0], "7340032", option)


@of("update", "io-weight", "blkio-weight")
def _():
    """A disk's scheduler decides whether there is a file: without one it is an error that says so. tests/vm/test_io.py has the effect."""
    with with_limits() as (b, pid):
        for option in ("io-weight", "blkio-weight"):
            result = b("update", "--" + option, "200", "c")
            if result.status == 0:
                text = " ".join(held(pid, "blkio/" + name, "io." + name.split(".", 1)[1])[0] for name in ("blkio.bfq.weight",))
                contains(text, "200", "weight")
            else:
                check(result.status == 1 and "weight" in result.stderr, "%s: %r" % (option, result))


@of("update", "hugetlb", "cgroup")
def _():
    if not v2_mount():
        skip("no cgroup2 is mounted")
    with with_limits() as (b, pid):
        group = v2_mount() + groups_of(pid)[""]
        b("update", "--cgroup", "cgroup.max.depth=5", "c").check(0)
        equal(read(group + "/cgroup.max.depth"), "5\n", "cgroup.max.depth")
    with with_limits(hugepageLimits=[{"pageSize": "2MB", "limit": 8 << 20}]) as (b, pid):
        b("update", "--hugetlb", "2m=4m", "c").check(0)
        equal(read(v2_mount() + groups_of(pid)[""] + "/hugetlb.2MB.max"), "%d\n" % (4 << 20), "hugetlb.2MB.max")


@of("update", "resources", "force")
def _():
    with with_limits() as (b, pid):
        path = file_of(json.dumps({"pids": {"limit": 77}}))
        b("update", "--resources", path, "c").check(0)
        equal(held(pid, "pids/pids.max", "pids.max")[0], "77", "pids.max")
        b("update", "--force", "--memory", "40m", "c").check(0)  # below what is used: test_update.py
        equal(held(pid, "memory/memory.limit_in_bytes", "memory.max")[0], str(40 << 20), "memory")


# ---- what is not built ----------------------------------------------------------------------------------------------

CRIU = {"auto-dedup": None, "empty-ns": "network", "ext-unix-sk": None, "file-locks": None, "image-path": "/tmp", "lazy-pages": None, "manage-cgroups-mode": "soft",
        "shell-job": None, "tcp-established": None, "work-path": "/tmp", "leave-running": None, "page-server": "a:1", "parent-path": "/tmp", "pre-dump": None,
        "status-fd": "3", "tcp-close": None, "bundle": "/tmp", "console-socket": "/x", "detach": None, "lsm-mount-context": "x", "lsm-profile": "a:b", "no-pivot": None,
        "no-subreaper": None, "pid-file": "/x"}


def not_built(command):
    with bundle() as b:
        for name in options_of(command) - {"help"}:
            result = b(command, "--" + name if CRIU[name] is None else "--%s=%s" % (name, CRIU[name]), "c")
            check(result.status == 1 and "CRIU" in result.stderr, "%s --%s: %r" % (command, name, result))
        equal(b.status(), "running", "status")
        failing(b(command, "--nonesuch", "c"), "nonesuch")


of("checkpoint", *(name for name in CRIU if name not in ("bundle", "console-socket", "detach", "lsm-mount-context", "lsm-profile", "no-pivot", "no-subreaper", "pid-file")))(
    lambda: not_built("checkpoint"))
of("restore", *(name for name in CRIU if name not in ("leave-running", "page-server", "parent-path", "pre-dump", "status-fd", "tcp-close")))(lambda: not_built("restore"))


# ---- all of them ----------------------------------------------------------------------------------------------------

def commands():
    return nsrun(["--help"]).check(0).stdout.split("nsrun COMMAND [--help] [ARG...]")[1].split("Identity")[0].split()


def options_of(command):
    return set(re.findall(r"^  (?:-\w,|   ) --([a-z-]+)", nsrun([command, "--help"]).check(0).stdout, re.M))


def globals_():
    with open(os.path.join(TOP, "runtime/cli/globals.c")) as file:
        return set(re.findall(r'\bGLOBAL\(\w+, "([a-z-]+)"', file.read())) | {"help"}


@test()
def test_every_option_has_a_line():
    shown = {("", name) for name in globals_()} | {(command, name) for command in commands() for name in options_of(command) - {"help"}}
    check(len(shown) > 120, "only %d options were found" % len(shown))
    equal(sorted(shown - set(OPTIONS)), [], "options without a line here")
    equal(sorted(set(OPTIONS) - shown), [], "lines of options that no help shows")


@test()
def test_help_of_every_command():
    for command in commands():
        if command in ("help", "version"):
            continue
        contains(nsrun([command, "--help"]).check(0).stdout, "Usage: nsrun %s" % command, "help")


@generate(root=True, timeout=90)
def options():
    for function in dict.fromkeys(OPTIONS.values()):
        keys = [key for key, one in OPTIONS.items() if one is function]
        yield "%s: %s" % (keys[0][0] or "before the command", " ".join(name for _, name in keys)), function


if __name__ == "__main__":
    main()
