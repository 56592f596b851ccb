# SPDX-License-Identifier: Apache-2.0
"""What looks at containers and ends them: ls, inspect, top, stop, kill, rm, wait."""
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import time

from harness import *
from helper import executes, refused, tree

SLEEPER = ["/bin/sh", "-c", "echo up; while :; do sleep 300; done"]
POLITE = ["/bin/sh", "-c", 'trap "exit 3" TERM; echo up; sleep 300 & wait']
UNKNOWN = "nonesuch"


class Foreground:
    """A container in the foreground whose workload has said its first line."""

    def __init__(self, command=SLEEPER, options=(), who=None, tree_=None, nsrun_=None):
        words = ["--userns-remap", dummy().name] if who is None else []
        if tree_ is None:
            tree_ = tree() if who is None else own_tree(who)
        self.who = who
        self.process = subprocess.Popen([nsrun_ or binary(), "-t=false", *words, *options, tree_, *command], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(who), cwd=base(), **run_as(who))
        line = self.process.stdout.readline()
        if not line.strip():
            self.process.kill()
            fail("the container did not come up: %r" % (self.process.communicate(),))
        [self.record] = [record for record in listed(who) if record["owner"] == self.process.pid]
        self.id = self.record["id"]
        self.pid = self.record["pid"]

    def wait(self, timeout=10):
        self.process.stdout.close()
        self.process.stderr.close()
        return self.process.wait(timeout=timeout * SLOW)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
        nsrun(["gc"], user=self.who)


def own_tree(who):
    """A rootfs that this user's containers can use: of its ranges, or, of one who has none, its own."""
    return tree(owner=who if user(who).subuid else "%d:%d" % (user(who).uid, user(who).gid))


def listed(who=None, *options):
    return json.loads(nsrun(["ls", "-a", "--json", *options], user=who).check().stdout)


CALLERS = [("root", None), ("ranges", ranger), ("single", single)]


def callers():
    for name, make in CALLERS:
        yield name, make().name if make else None


# ---- ls ----

@generate
def test_ls():
    for name, who in callers():
        yield name, lambda who=who: ls(who)


def ls(who):
    with Foreground(who=who) as c:
        lines = nsrun(["ls"], user=who).check().stdout.splitlines()
        equal(lines[0].split(), ["ID", "NAME", "STATUS", "PID", "USER", "CREATED", "COMMAND"], "titles")
        [line] = [line for line in lines if line.startswith(c.id)]
        for column in ("STATUS", "PID", "COMMAND"):
            check(line[lines[0].index(column) - 1] == " " and line[lines[0].index(column)] != " ", "not aligned: %r" % lines)
        contains(line, " running ", "its line")
        contains(line, " %d " % c.pid, "its line")
        contains(line, "/bin/sh -c echo up;", "its line")
        check(c.id in nsrun(["ls", "-q"], user=who).check().stdout.split(), "ls -q")
        equal(os.stat("/proc/%d" % c.pid).st_uid, c.record["uid"] if c.record["uid"] is not None else 0, "uid of the container's root")
        equal(c.record["argv"], SLEEPER, "argv in --json")
        contains(nsrun(["ls", "--no-trunc"], user=who).check().stdout, " ".join(SLEEPER), "ls --no-trunc")
    check(c.id not in nsrun(["ls", "-aq"], user=who).check().stdout, "it is listed after its end")


def test_ls_of_nobody():
    """An ordinary user sees its own, and looking makes nothing."""
    who = make_user("lister")
    with Foreground() as c:
        equal(nsrun(["ls", "-aq"], user=who.name).check().stdout, "", "another user's list")
        refused(nsrun(["inspect", "--format=text", c.id], user=who.name), c.id, "no-container")
    check(not os.path.exists(os.path.join(runtime_dir(who), "nsrun")), "ls made a state root")
    remove_user("lister")


def test_hostile_command():
    """Escape sequences of argv and of a process' own command line do not reach the terminal."""
    evil = "\x1b]0;owned\x07\x1b[2J\nline\xff"
    with Foreground(["/bin/sh", "-c", "echo up; while :; do sleep 300; done", evil, "\u202e\u009b31m"]) as c:
        for words in (["ls", "--no-trunc"], ["top", c.id], ["inspect", c.id], ["inspect", "--format=text", c.id], ["ls", "--json"],
                      ["top", "--json", c.id]):
            out = nsrun(words).check().stdout_bytes
            bad = [byte for byte in out if byte < 0x20 and byte != 0x0a] + re.findall(rb"\xc2[\x80-\x9f]", out)
            check(not bad, "%s: control characters: %r" % (words, out))
            contains(out.decode(errors="replace"), "owned", str(words))


def test_ls_damaged_record():
    """One bad record is told, and the others are listed."""
    with Foreground() as c:
        directory = os.path.dirname([path for path in state() if path.endswith(c.id)][0])
        bad = os.path.join(directory, "ffffffffffff")
        os.mkdir(bad, 0o700)
        try:
            for text in ('{"version": 2', '{"version": 99, "id": "ffffffffffff"}', '{"version": 2, "id": 3}', "[" * 100000, "\0" * 64):
                with open(os.path.join(bad, "state.json"), "w") as file:
                    file.write(text)
                with open(os.path.join(bad, "lock"), "w"):
                    pass
                run = nsrun(["ls", "-a"], sanitizer=True).check(125, stderr="ffffffffffff")
                contains(run.stdout, c.id, "the other one")
                nsrun(["inspect", "ffffffffffff"], sanitizer=True).check(125, stderr="ffffffffffff")
                nsrun(["rm", "-f", "ffffffffffff"], sanitizer=True).check(125, stderr="ffffffffffff")
        finally:
            shutil.rmtree(bad)


# ---- inspect ----

@generate
def test_inspect():
    for name, who in callers():
        yield name, lambda who=who: inspect(who)


def inspect(who):
    with Foreground(who=who) as c:
        [one] = json.loads(nsrun(["inspect", c.id], user=who).check().stdout)
        equal(one["status"], "running", "status")
        equal(one["live"]["pid"], c.pid, "pid")
        for name, inode in one["live"]["namespaces"].items():
            equal(inode, os.stat("/proc/%d/ns/%s" % (c.pid, name)).st_ino, "namespace " + name)
        with open("/proc/%d/mountinfo" % c.pid) as file:
            equal(one["live"]["mounts"], len(file.readlines()), "mounts")
        equal(one["argv"], SLEEPER, "argv")
        check(os.path.isdir(one["state_dir"]), "state_dir")
        text = nsrun(["inspect", "--format=text", c.id], user=who).check().stdout
        contains(text, "live.pid: %d\n" % c.pid, "--format=text")
        contains(text, "argv.2: %s\n" % SLEEPER[2], "--format=text")


@test(root=True)
def test_inspect_use_and_limits():
    with Foreground(options=["-m", "64m", "--pids-limit", "50", "--cpus", "0.5"]) as c:
        [one] = json.loads(nsrun(["inspect", c.id]).check().stdout)
        group = one["live"]["cgroup"]
        equal(group["memory"]["max"], 64 << 20, "memory limit")
        check(0 < group["memory"]["current"] <= 64 << 20, "memory use: %r" % group)
        equal(group["pids"]["max"], 50, "pids limit")
        equal(group["pids"]["current"], 2, "pids")
        equal(group["cpu"]["quota_us"] * 2, group["cpu"]["period_us"], "cpus")


def test_inspect_some_are_missing():
    with Foreground() as c:
        run = nsrun(["inspect", UNKNOWN, c.id, "fff"]).check(125, stderr=UNKNOWN)
        contains(run.stderr, "fff", "stderr")
        equal([one["id"] for one in json.loads(run.stdout)], [c.id], "what was found")


# ---- top ----

@generate
def test_top():
    for name, who in callers():
        for options in ([], ["--init"]):
            yield " ".join([name] + options), lambda who=who, options=options: top(who, options)


def top(who, options):
    with Foreground(["/bin/sh", "-c", "sleep 301 & sleep 302 & echo up; wait"], options=options, who=who) as c:
        def processes():
            found = json.loads(nsrun(["top", "--json", c.id], user=who).check().stdout)
            return found if {"sleep 301", "sleep 302"} <= {one["command"] for one in found} else None
        found = wait_for(processes, "both sleeps execute")
        below = descendants(c.process.pid)
        equal(sorted(one["pid"] for one in found), sorted(pid for pid in below if alive(pid)), "processes")
        equal(found[0]["nspid"], 1, "the first one's number inside")
        for one in found:
            status = open("/proc/%d/status" % one["pid"]).read()
            equal(one["nspid"], int(re.search(r"NSpid:.*\s(\d+)\n", status).group(1)), "NSpid")
            equal(one["uid"], int(re.search(r"Uid:\t\d+\t(\d+)", status).group(1)), "uid")
            equal(one["uid_inside"], 0, "uid inside")
        text = nsrun(["top", c.id], user=who).check().stdout
        equal(len(text.splitlines()), len(found) + 1, "lines")
        contains(text, "sleep 301", "text")


# ---- stop and kill ----

@generate
def test_stop():
    for name, who in callers():
        yield name, lambda who=who: stop(who)


def stop(who):
    before = leftovers()
    with Foreground(POLITE, who=who) as c:
        nsrun(["stop", "-t", "60", c.id], user=who).check(0, c.id)
        check(not alive(c.pid), "it runs after stop")
        equal(c.wait(), 3, "its status")
    assert_clean(before)


def test_stop_without_a_handler():
    """The kernel would drop the signal: killed at once, not after ten seconds."""
    with Foreground() as c:
        time.sleep(1.2)  # older than a program that is still starting
        run = nsrun(["stop", "-t", "60", c.id], timeout=70).check(0, c.id, "does not handle SIGTERM")
        check(run.duration < 50 * SLOW, "it waited for the timeout: %r" % run)
        equal(c.wait(), 137, "its status")


def test_stop_young_waits_for_the_handler():
    """A program that installs its handler a moment after its start is asked all the same."""
    with Foreground(["/bin/sh", "-c", 'echo up; sleep 0.3; trap "exit 3" TERM; sleep 300 & wait']) as c:
        nsrun(["stop", c.id]).check(0, c.id)
        equal(c.wait(), 3, "its status")


def test_stop_under_init():
    """The reaper takes every signal and passes it on to a workload with the default action."""
    with Foreground(["/bin/sh", "-c", "echo up; exec sleep 300"], options=["--init"]) as c:
        executes(c.process.pid, "sleep")
        run = nsrun(["stop", "-t", "60", c.id], timeout=70).check(0, c.id)
        check("handle" not in run.stderr, "it was killed: %r" % run)
        equal(c.wait(), 143, "its status")


def test_stop_timeout_and_signal():
    with Foreground(["/bin/sh", "-c", 'trap "" TERM; trap : USR1; echo up; while :; do sleep 0.1; done']) as c:
        run = nsrun(["stop", "-s", "USR1", "-t", "1", c.id]).check(0, c.id)
        check(1 <= run.duration < 9 * SLOW, "the timeout is one second: %r" % run)
        equal(c.wait(), 137, "its status")


def test_stop_several_at_once():
    containers = [Foreground(["/bin/sh", "-c", 'trap : TERM; echo up; while :; do sleep 0.1; done']) for _ in range(3)]
    try:
        run = nsrun(["stop", "--timeout=3", *[c.id for c in containers], UNKNOWN]).check(125, stderr=UNKNOWN)
        equal(run.stdout.split(), [c.id for c in containers], "what was stopped")
        check(run.duration < 8 * SLOW, "one after the other: %r" % run)
        for c in containers:
            equal(c.wait(), 137, "status")
    finally:
        for c in containers:
            c.__exit__()


def test_stop_during_the_start():
    """Whenever it comes, the container ends and nothing stays."""
    before = leftovers()
    for delay in (0, 0.001, 0.002, 0.003, 0.005, 0.01):
        process = subprocess.Popen([binary(), "-t=false", "--userns-remap", dummy().name, tree(), "/bin/sh", "-c",
                                    'trap "exit 4" TERM; sleep 300 & wait'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, env=environment(), cwd=base())
        time.sleep(delay)
        found = wait_for(lambda: [one["id"] for one in listed() if one["owner"] == process.pid], "it is listed")
        nsrun(["stop", "-t", "2", *found]).check(0, found[0])
        check(process.wait(timeout=10) in (4, 137), "its status: %r" % process.returncode)
    assert_clean(before)


@generate
def test_kill():
    for name, who in callers():
        yield name, lambda who=who: kill(who)


def kill(who):
    for words, wanted in ((["-s", "TERM"], 3), (["-TERM"], 3), (["-15"], 3), ([], 137), (["--signal=SIGKILL"], 137)):
        with Foreground(POLITE, who=who) as c:
            nsrun(["kill", *words, c.id], user=who).check(0, c.id)
            equal(c.wait(), wanted, "status after kill %s" % words)


def test_kill_says_what_the_kernel_drops():
    with Foreground() as c:
        nsrun(["kill", "-s", "TERM", c.id]).check(0, c.id, "has no effect")
        check(alive(c.pid), "it has ended")


@generate
def test_bad_words():
    cases = [(["stop"], "which container"), (["stop", "-t", "x", "a"], "number of seconds"), (["stop", "-s", "NOPE", "a"], "NOPE"),
             (["kill", "-s", "0", "a"], "'0'"), (["kill", "-99", "a"], "'99'"), (["kill", "-9", "-s", "TERM", "a"], "both"),
             (["rm"], "which container"), (["rm", "--forse", "a"], "--force"), (["wait"], "which container"), (["top"], "which"),
             (["top", "a", "b"], "'b'"), (["ls", "x"], "'x'"), (["inspect", "--format=xml", "a"], "json"),
             (["inspect", "--json", "--format=text", "a"], "both")]
    cases += [([command, word], "no container") for command in ("stop", "kill", "rm", "wait", "top", "inspect")
              for word in (UNKNOWN, "", ".", "..", "/", "../../etc", "a" * 3000, "ab", "names")]
    for words, part in cases:
        yield shlex_join(words)[:40], lambda words=words, part=part: nsrun(words, sanitizer=True).check(125, stderr=part)


def shlex_join(words):
    return " ".join(word or "''" for word in words)


@generate
def test_help():
    for command in ("ls", "inspect", "top", "stop", "kill", "rm", "wait", "gc"):
        for word in ("--help", "-h"):
            yield "%s %s" % (command, word), lambda command=command, word=word: contains(
                nsrun([command, word]).check().stdout, "Usage: nsrun " + command, "help")


def test_options_behind_names():
    with Foreground(POLITE) as c:
        nsrun(["stop", c.id, "-t", "5"]).check(0, c.id)
        equal(c.wait(), 3, "status")
        nsrun(["stop", "--", "-t"]).check(125, stderr="-t: no container")


def test_prefixes():
    with Foreground() as one, Foreground() as two:
        for c, other in ((one, two), (two, one)):
            short = next(c.id[:n] for n in range(3, 13) if not other.id.startswith(c.id[:n]))
            equal(json.loads(nsrun(["inspect", short]).check().stdout)[0]["id"], c.id, "by its beginning")
        nsrun(["inspect", one.id[:2]]).check(125, stderr="no container")
        nsrun(["inspect", one.id + "0"]).check(125, stderr="no container")


# ---- rm ----

def test_rm_refuses_and_forces():
    before = leftovers()
    with Foreground() as c:
        refused(nsrun(["rm", c.id]), c.id, "running", "rm -f")
        check(alive(c.pid), "a refusal killed it")
        nsrun(["rm", "-f", c.id]).check(0, c.id)
        equal(c.wait(), 137, "status")
    assert_clean(before)


@test(root=True)
def test_rm_of_a_dead_one():
    """Its nsrun was killed: what is left is ended first."""
    with Exclusive():
        before = leftovers()
        with Foreground(options=["-m", "64m"]) as c:
            os.kill(c.process.pid, signal.SIGKILL)
            c.process.wait()
            equal([one["status"] for one in listed() if one["id"] == c.id], ["dead"], "status")
            check(c.id not in nsrun(["ls", "-q"]).check().stdout, "a dead one passes for running")
            refused(nsrun(["top", c.id]), c.id)
            nsrun(["rm", c.id]).check(0, c.id)
            check(not listed(), "it is still listed")
            c.wait()
        assert_clean(before)


def test_rm_and_stop_by_several():
    """Whoever comes second finds it gone: success, or no such container, and never anything else."""
    before = leftovers()
    for _ in range(4):
        with Foreground(POLITE) as c:
            commands = [["stop", c.id], ["rm", "-f", c.id], ["stop", "-t", "1", c.id], ["rm", "-f", c.id], ["kill", c.id], ["gc"], ["ls", "-a"]]
            running = [subprocess.Popen([binary(), *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=environment(), cwd=base()) for words in commands]
            for words, process in zip(commands, running):
                out, errors = process.communicate(timeout=20 * SLOW)
                if process.returncode:
                    check(process.returncode == 125 and (b"no container" in errors or b"it has no process" in errors),
                          "%s: %r %r %r" % (words, process.returncode, out, errors))
            check(c.wait() in (3, 137), "status")
    assert_clean(before)


def test_owner_is_stopped():
    """A suspended nsrun cannot tidy up: said at once, and nothing waits for it for long."""
    with Foreground(POLITE) as c:
        os.kill(c.process.pid, signal.SIGSTOP)
        run = nsrun(["stop", c.id]).check(125, "", "is stopped")
        check(run.duration < 20 * SLOW, "%r" % run)
        nsrun(["rm", "-f", c.id]).check(125, "", "is stopped")
        os.kill(c.process.pid, signal.SIGCONT)
        equal(c.wait(), 3, "status")
        nsrun(["inspect", c.id]).check(125, stderr="no container")


# ---- wait ----

def test_wait_foreground():
    """Its status is its nsrun's own; a kernel of 6.15 or later tells it."""
    with Foreground(POLITE) as c:
        waiter = subprocess.Popen([binary(), "wait", c.id], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        time.sleep(0.2)
        check(waiter.poll() is None, "it did not wait: %r" % (waiter.communicate() if waiter.poll() is not None else None,))
        nsrun(["kill", "-TERM", c.id]).check()
        equal(c.wait(), 3, "status")
        out, errors = waiter.communicate(timeout=10 * SLOW)
        if waiter.returncode:
            check(tuple(map(int, re.match(r"(\d+)\.(\d+)", os.uname().release).groups())) < (6, 15), "it does not know: %r" % errors)
            contains(errors.decode(), "status was that of its nsrun", "stderr")
        else:
            equal(out, b"3\n", "output")


# ---- containers that are kept ----

class Detached:
    """A container in the background; removed at the end, whatever became of it."""

    def __init__(self, command=POLITE, options=(), who=None, name=None):
        words = ["--userns-remap", dummy().name] if who is None else []
        words += ["--name", name] if name else []
        self.who, self.name = who, name
        self.id = nsrun(["-d", *words, *options, tree() if who is None else own_tree(who), *command], user=who).check().stdout.strip()
        check(re.fullmatch("[0-9a-f]{12}", self.id), "not an id: %r" % self.id)

    def record(self):
        found = [one for one in listed(self.who) if one["id"] == self.id]
        return found[0] if found else None

    def status(self):
        return (self.record() or {}).get("status")

    def ready(self):
        """Until its handler is installed."""
        def handles():
            try:
                with open("/proc/%d/status" % self.record()["pid"]) as file:
                    return int(re.search(r"SigCgt:\t(\w+)", file.read()).group(1), 16) & 1 << signal.SIGTERM - 1
            except OSError:
                return False
        wait_for(handles, "the handler of %s" % self.id)
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        nsrun(["rm", "-f", self.id], user=self.who)


@generate
def test_life_of_a_named_one():
    for name, who in callers():
        yield name, lambda who=who: life_of_a_named_one(who)


def life_of_a_named_one(who):
    before = leftovers()
    with Detached(who=who, name="web-1") as c:
        c.ready()
        equal(c.record()["name"], "web-1", "name")
        line = [line for line in nsrun(["ls"], user=who).check().stdout.splitlines() if line.startswith(c.id)][0]
        equal(line.split()[1:3], ["web-1", "running"], "ls")
        for word in ("web-1", c.id, c.id[:8]):
            equal(json.loads(nsrun(["inspect", word], user=who).check().stdout)[0]["id"], c.id, word)
        contains(nsrun(["top", "wep-1"], user=who).check(125).stderr, "did you mean web-1?", "a name that is near")
        refused(nsrun(["rm", "web-1"], user=who), "running")
        nsrun(["stop", "web-1"], user=who).check(0, "web-1")
        equal(c.status(), "ended", "status after stop")
        equal(c.record()["exit"]["status"], 3, "its status in the record")
        check(re.search(r"^%s +web-1 +ended \(3\) \d+ seconds? ago +- " % c.id, nsrun(["ls", "-a"], user=who).stdout, re.M), "ls -a")
        check(c.id not in nsrun(["ls", "-q"], user=who).stdout, "ls shows one that has ended")
        nsrun(["wait", "web-1"], user=who).check(0, "3")
        nsrun(["stop", "web-1"], user=who).check(0, "web-1")
        refused(nsrun(["kill", "web-1"], user=who), "web-1", "not-running")
        refused(nsrun(["top", "web-1"], user=who), "web-1", "not-running")
        equal(json.loads(nsrun(["inspect", "web-1"], user=who).check().stdout)[0]["live"], None, "live facts of a dead one")
        nsrun(["rm", "web-1"], user=who).check(0, "web-1")
        refused(nsrun(["rm", "web-1"], user=who), "web-1", "no-container")
        equal(c.record(), None, "record after rm")
    assert_clean(before)


@generate
def test_lost():
    """Its nsrun was killed: dead, then lost once somebody has tidied up; its end is known to nobody."""
    for name, who in callers():
        yield name, lambda who=who: lost(who)


def lost(who):
    with Exclusive():
        before = leftovers()
        with Detached(who=who, name="lost") as c:
            waiter = subprocess.Popen([binary(), "wait", "lost"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      env=environment(who), cwd=base(), **run_as(who))
            time.sleep(0.2)
            owner, pid = c.record()["owner"], c.record()["pid"]
            os.kill(owner, signal.SIGKILL)
            wait_for(lambda: not alive(pid), "its workload ends with it")
            out, errors = waiter.communicate(timeout=15 * SLOW)
            equal((waiter.returncode, out), (125, b""), "wait: %r" % errors)
            check(c.status() in ("dead", "ended"), "status")
            collected = nsrun(["gc"], user=who).check().stdout
            check(c.id not in collected or "record stays" in collected, "gc does not say that it is kept: %r" % collected)
            equal(c.status(), "ended", "status after gc")
            check(c.record()["exit"]["lost"], "it is not lost: %r" % c.record())
            contains(nsrun(["ls", "-a"], user=who).stdout, " lost ", "ls -a")
            nsrun(["wait", "lost"], user=who).check(125, "", "killed")
            nsrun(["stop", "lost"], user=who).check(0, "lost")
            nsrun(["rm", "lost"], user=who).check(0, "lost")
        assert_clean(before)


def test_rm_of_a_dead_kept_one():
    with Exclusive():
        before = leftovers()
        with Detached(name="dead") as c:
            os.kill(c.record()["owner"], signal.SIGKILL)
            wait_for(lambda: c.status() != "running", "its death is seen")
            nsrun(["rm", "dead"]).check(0, "dead")
            equal(c.record(), None, "record")
        assert_clean(before)


@generate
def test_wait():
    for name, who in callers():
        yield name, lambda who=who: wait(who)


def wait(who):
    """Several wait for several, one of which removes itself."""
    before = leftovers()
    with Detached(who=who, name="one") as one, Detached(who=who, options=["--rm"], name="two") as two:
        one.ready(), two.ready()
        waiters = [subprocess.Popen([binary(), "wait", "two", one.id, UNKNOWN], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    env=environment(who), cwd=base(), **run_as(who)) for _ in range(3)]
        time.sleep(0.2)
        check(all(waiter.poll() is None for waiter in waiters), "it did not wait")
        nsrun(["kill", "-9", "two"], user=who).check(0, "two")
        nsrun(["stop", "one"], user=who).check(0, "one")
        for waiter in waiters:
            out, errors = waiter.communicate(timeout=10 * SLOW)
            equal((waiter.returncode, out), (125, b"137\n3\n"), "status and output: %r" % errors)
            contains(errors.decode(), UNKNOWN, "stderr")
        equal(two.record(), None, "record of --rm")
    assert_clean(before)


def test_rm_several():
    before = leftovers()
    with Detached(name="a") as a, Detached(name="b") as b, Detached(name="c", command=["/bin/true"]) as c:
        nsrun(["wait", "c"]).check(0, "0")
        run = nsrun(["rm", "a", "c", UNKNOWN, "b"]).check(125, "c")
        for word in ("a", "b", UNKNOWN):
            contains(run.stderr, "nsrun: %s: " % word, "stderr")
        nsrun(["rm", "-f", a.id, "b"]).check(0)
        equal([one.record() for one in (a, b, c)], [None] * 3, "records")
    assert_clean(before)


@test(timeout=120)
def test_same_name_again_and_again():
    """Started, stopped and removed by several at once: the name is never stuck, and nothing stays."""
    before = leftovers()
    for round_ in range(6):
        started = subprocess.Popen([binary(), "-d", "--userns-remap", dummy().name, "--name", "again", tree(), *POLITE],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), cwd=base())
        if round_ % 2:
            started.wait(timeout=10 * SLOW)
        running = [subprocess.Popen([binary(), *words, "again"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    env=environment(), cwd=base())
                   for words in (["rm", "-f"], ["stop", "-t", "1"], ["rm", "-f"], ["wait"], ["kill"], ["inspect"])]
        started.communicate(timeout=10 * SLOW)
        # All of them may have come before it had its name, and `wait` after: then it is this one that ends it.
        run = nsrun(["rm", "-f", "again"])
        check(run.status == 0 or "no container" in run.stderr, "%r" % run)
        for process in running:
            out, errors = process.communicate(timeout=30 * SLOW)
            check(process.returncode == 0 or (process.returncode == 125 and errors),
                  "%s: %r %r %r" % (process.args[1:], process.returncode, out, errors))
    equal(listed(), [], "what is left")
    assert_clean(before)


# ---- looking disturbs nobody ----

@test(timeout=120)
def test_looking_disturbs_no_launch():
    """Lists are read all the time while containers start and end: no launch fails, no reader does."""
    before = leftovers()
    stop_at = time.monotonic() + 4
    readers = [subprocess.Popen(["/bin/sh", "-c", 'while :; do "$0" ls -a || exit 1; "$0" ls --json || exit 1; done', binary()],
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment()) for _ in range(2)]
    try:
        while time.monotonic() < stop_at:
            nsrun(["--userns-remap", dummy().name, tree(), "/bin/true"]).check(0)
            for reader in readers:
                check(reader.poll() is None, "a reader failed: %r" % (reader.communicate() if reader.poll() is not None else None,))
    finally:
        for reader in readers:
            kill_tree([reader.pid])
            reader.wait()
            reader.stderr.close()
    nsrun(["gc"])
    assert_clean(before)


def test_lock_is_free_after_a_look():
    with Foreground() as c:
        lock = os.path.join([path for path in state() if path.endswith(c.id)][0], "lock")
        nsrun(["ls"]).check()
        with open(lock) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                fail("the owner has lost its lock")
            except BlockingIOError:
                pass


if __name__ == "__main__":
    main()
