# SPDX-License-Identifier: Apache-2.0
"""Containers that outlive the command that started them: keeper, names, records, files that name them."""
import json
import os
import re
import signal
import subprocess
import time

from harness import *
from helper import refused, remapped, tree
from life import *


def groups_of(c):  # other tests make groups meanwhile
    return {group for group in cgroups() if os.path.basename(group) == c.id}


def status_of(pid):
    with open("/proc/%d/status" % pid) as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


@generate
def test_detached():
    for name, who in CALLERS.items():
        yield name, lambda who=who: one_detached(who() if who else None)


def one_detached(who):
    before = leftovers()
    with script("echo out; echo err >&2; read x; sleep 0.3; exit 7", who=who) as c:
        check(re.fullmatch("[0-9a-f]{12}", c.id), "stdout is not the id alone: %r" % c.id)
        record = c.record()
        equal(record["id"], c.id, "id in the record")
        equal(record["name"], c.name, "name in the record")
        equal((record["version"], record["keep"], record["exit"]), (2, True, None), "version, keep and exit")
        equal(record["log"]["driver"], "file", "log driver")
        equal(c.wait(), 7, "exit status")
        end = c.ended()
        equal((end["status"], end["signal"]), (7, 0), "end in the record")
        equal(c.nsrun("logs").check(0).stdout, "out\n", "standard output in the log")
        equal(c.nsrun("logs").stderr, "err\n", "standard error in the log")
        equal(sorted(os.listdir(c.dir)), ["log", "name", "state.json"], "what a container that ended leaves")
        now = leftovers()
        equal(groups_of(c), set(), "groups of a container that ended")
        equal(now.processes - before.processes, set(), "processes of a container that ended")
    assert_clean(before)


def test_keeper_holds_nothing_of_the_caller():
    read, write = os.pipe()
    os.set_inheritable(write, True)
    before = leftovers()
    try:
        with script("sleep 60", popen={"pass_fds": [write]}) as c:
            os.close(write)
            write = -1
            equal(os.read(read, 1), b"", "end of file of a pipe that the caller had open")
            keeper = c.keeper
            files = fds(keeper)
            equal([files[fd] for fd in range(3)], ["/dev/null"] * 3, "standard descriptors of the keeper")
            for fd, target in files.items():
                check(re.match(r"/dev/null|socket:|pipe:|anon_inode:|/run/nsrun/|/sys/fs/cgroup|/$", target),
                      "descriptor %d of the keeper is %s" % (fd, target))
            equal(os.readlink("/proc/%d/cwd" % keeper), "/", "working directory of the keeper")
            equal(os.getsid(keeper), keeper, "session of the keeper")
            equal(status_of(keeper)["Name"], "nsrun-keeper", "name of the keeper")
            peak = int(status_of(keeper)["VmHWM"].split()[0])
            check(peak < 6144 or sanitized(keeper), "peak memory of the keeper: %d kB" % peak)
            print("    the keeper's peak memory is %d kB" % peak)
    finally:
        os.close(read)
        if write >= 0:
            os.close(write)
    assert_clean(before)


@generate
def test_errors_are_those_of_the_foreground():
    own = tree()
    cases = {
        "no such command": (["/bin/nonesuch"], 127),
        "not executable": (["/etc/passwd"], 126),
        "unknown user": (["-u", "nobodyatall", "/bin/true"], 125),
    }
    for name, (words, status) in cases.items():
        def one(words=words, status=status):
            before = leftovers()
            options, command = words[:-1], words[-1:]
            front = nsrun(["--userns-remap", dummy().name, *options, own, *command]).check(status)
            back = nsrun(["--userns-remap", dummy().name, "-d", "--name", fresh(), *options, own, *command]).check(status)
            equal((back.stdout, back.stderr), (front.stdout, front.stderr), "what is said")
            assert_clean(before)
        yield name, one


def test_bad_names():
    before = leftovers()
    for name in ("", "-x", ".x", "_x", "a/b", "a b", "../x", "a" * 64, "\u00e4"):
        refused(remapped(["--name", name], "/bin/true"), "name")
    for name in ("a", "A.b_c-9", "0" * 63):
        remapped(["--name", name, "--rm"], "/bin/true").check(0)
    assert_clean(before)


def test_name_in_use():
    before = leftovers()
    with script("sleep 60") as c:
        refused(remapped(["--name", c.name], "/bin/true"), c.id, "name-in-use")
        refused(nsrun(["--userns=host", "--name", c.name, rootfs(private=True), "/bin/true"]), c.id, "name-in-use")
        c.nsrun("kill").check(0)
        c.ended()
        refused(remapped(["--name", c.name], "/bin/true"), c.id, "ended", "name-in-use")
        c.nsrun("rm").check(0)
        remapped(["--name", c.name, "--rm"], "/bin/true").check(0)
    assert_clean(before)


def test_eight_want_one_name():
    before = leftovers()
    name = fresh()
    running = [subprocess.Popen([binary(), "--userns-remap", dummy().name, "--rm", "--name", name, tree(), "/bin/sleep", "0.5"],
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(),
                                cwd=base()) for _ in range(8)]
    statuses = sorted(process.wait(timeout=20) for process in running)
    equal(statuses, [0] + [125] * 7, "statuses of eight launches with one name")
    assert_clean(before)


def test_foreground_with_a_name():
    before = leftovers()
    name = fresh()
    result = remapped(["--name", name], "/bin/sh", "-c", "cat; echo err >&2; exit 9", input="in\n")
    result.check(9, "in\n")
    equal(result.stderr, "err\n", "stderr")
    equal(json.loads(nsrun(["inspect", name]).check(0).stdout)[0]["exit"]["status"], 9, "recorded status")
    nsrun(["rm", name]).check(0)
    result = remapped(["--name", name, "--rm"], "/bin/sh", "-c", "kill -9 $$")
    check(result.status == 137 or result.status == 0, "status %r" % result)
    assert_clean(before)


def test_output_of_a_named_one_is_whole():
    """A megabyte through the pipes, to a reader that begins late; and one that goes away ends the writer."""
    before = leftovers()
    name = fresh()
    words = [binary(), "--userns-remap", dummy().name, "--rm", "--name", name, tree(), "/bin/sh", "-c"]
    process = subprocess.Popen(words + ["seq 1 150000"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment(), cwd=base())
    time.sleep(0.5)
    text = process.stdout.read()
    equal(process.wait(timeout=10), 0, "status")
    equal(text, "".join("%d\n" % n for n in range(1, 150001)).encode(), "output")
    process.stdout.close()
    process = subprocess.Popen(words + ["while echo y; do :; done; exit 3"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, env=environment(), cwd=base())
    equal(process.stdout.read(2), b"y\n", "output")
    process.stdout.close()
    check(process.wait(timeout=10) in (3, 141), "status %s after the reader had gone" % process.returncode)
    assert_clean(before)


@generate
def test_dev_stdout_can_be_opened():
    """By name, by root and by another user: it is a pipe that they own."""
    for user_ in ("0:0", "1000:1000"):
        for kind, who in CALLERS.items():
            if kind == "single" and user_ != "0:0":
                continue

            def one(user_=user_, who=who):
                with script("echo named > /dev/stdout; echo too > /dev/stderr", options=["-u", user_],
                            who=who() if who else None) as c:
                    equal(c.wait(), 0, "status; %r" % c.nsrun("logs"))
                    logs = c.nsrun("logs")
                    equal((logs.stdout, logs.stderr), ("named\n", "too\n"), "output")
            yield "%s %s" % (kind, user_), one


def test_cidfile_and_pidfile():
    before = leftovers()
    cid, pid = tmp("cid-dir") + "/cid", tmp("pid-dir") + "/pid"
    with script("sleep 60", options=["--cidfile", cid, "--pidfile", pid]) as c:
        equal(open(cid).read(), c.id, "--cidfile")
        equal(int(open(pid).read()), c.init, "--pidfile")
        with open("/proc/%d/cmdline" % c.init) as file:
            contains(file.read(), "sleep", "command line of the pid in --pidfile")
        refused(remapped(["--cidfile", cid], "/bin/true"), "cidfile")
        c.nsrun("kill").check(0)
        c.ended()
        check(not os.path.exists(pid), "--pidfile stays after the end")
        check(os.path.exists(cid), "--cidfile is gone after the end")
    os.unlink(cid)
    # what fails leaves neither; the foreground has both, too
    remapped(["--cidfile", cid, "--pidfile", pid], "/bin/nonesuch").check(127)
    check(not os.path.exists(cid) and not os.path.exists(pid), "files of a launch that failed")
    remapped(["--cidfile", cid, "--pidfile", pid], "/bin/true").check(0)
    check(re.fullmatch("[0-9a-f]{12}", open(cid).read()), "--cidfile of a foreground launch")
    refused(remapped(["--cidfile", "/nonesuch/x"], "/bin/true"), "/nonesuch/x")
    refused(remapped(["--pidfile", "/nonesuch/x"], "/bin/true"), "/nonesuch")
    assert_clean(before)


def test_pidfile_and_cidfile_name_files():
    directory = tmp("named")
    for option in ("--pidfile", "--cidfile"):
        for word in ("/", directory + "/", directory + "/missing/"):
            result = nsrun([option, word, "--userns-remap", dummy().name, tree(), "/bin/true"])
            equal(result.status, 125, "%s %s: %r" % (option, word, result))
            contains(result.stderr, "%s %s: names a directory" % (option, word), "stderr")
    equal(os.listdir(directory), [], "made there")


def test_rm_removes_all():
    before = leftovers()
    with script("echo x; sleep 0.2", options=["--rm"]) as c:
        wait_for(lambda: not os.path.lexists("/run/nsrun/names/" + c.name), "name and record go", timeout=10)
    assert_clean(before)


def test_standard_input():
    """/dev/null unless -i was said."""
    with script("cat; echo end") as c:
        equal(c.wait(), 0, "status")
        equal(c.nsrun("logs").stdout, "end\n", "log")
    with script("read line; echo got $line", options=["-i"]) as c:
        time.sleep(0.3)
        equal(c.record()["exit"], None, "it waits for input")
        attach = subprocess.Popen([binary(), "attach", c.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(),
                                  cwd=base())
        out, _ = attach.communicate(b"word\n", timeout=10)
        equal((out, attach.returncode), (b"got word\n", 0), "what the attached one sees")


@generate
def test_keeper_killed():
    for kind, who in CALLERS.items():
        yield kind, lambda who=who: keeper_killed(who() if who else None)


def keeper_killed(who):
    with Exclusive():
        before = leftovers()
        with script("echo up; sleep 60 & wait", who=who) as c:
            wait_for(lambda: c.nsrun("logs").stdout == "up\n", "it is up")
            init, directory = c.init, c.dir
            os.kill(c.keeper, signal.SIGKILL)
            wait_for(lambda: not alive(init), "init dies with its keeper", timeout=5)
            nsrun(["gc"], user=who).check(0)
            with open(directory + "/state.json") as file:
                equal(json.load(file)["exit"].get("lost"), True, "the end in the record")
            check(not os.path.exists(directory + "/lock"), "the lock is gone")
            equal(c.nsrun("logs").stdout, "up\n", "the log after the keeper was killed")
            equal(groups_of(c), set(), "groups")
            equal(nsrun(["gc"], user=who).check(0).stdout, "nothing to remove\n", "a second gc")
            c.nsrun("rm").check(0)
        assert_clean(before)


def test_keeper_passes_signals_on():
    with script("trap 'exit 5' TERM; echo up; while :; do sleep 0.1; done") as c:
        wait_for(lambda: c.nsrun("logs").stdout == "up\n", "it is up")
        os.kill(c.keeper, signal.SIGTERM)
        equal(c.wait(), 5, "status after SIGTERM to the keeper")


def test_end_by_a_signal_is_recorded():
    with script("sleep 60") as c:
        c.nsrun("kill").check(0)
        end = c.ended()
        equal((end["status"], end["signal"]), (137, 9), "status and signal")


ROWS = ("state.record", "cid.write", "log.open", "control.listen", "output.open", "init.clone", "state.init", "pid.write", "root.pivot",
        "output.attach", "workload.exec")


@generate
def test_faults():
    """Each row of a detached launch fails, and its keeper is killed there: the caller is told, and nothing stays."""
    for row in ROWS:
        for how in ("EPERM", "KILL"):
            yield "%s %s" % (row, how), lambda row=row, how=how: fault(row, how)


def fault(row, how):
    from launches import Killer
    with Exclusive():
        before = leftovers()
        directory, name = tmp("fault"), fresh("fault")
        with Killer():
            result = remapped(["-d", "--name", name, "--cidfile", directory + "/cid", "--pidfile", directory + "/pid"], "/bin/sleep", "20",
                              env={"NSRUN_FAULT": "%s=%s" % (row, how)}, sanitizer=True, timeout=20)
        if (row, how) == ("workload.exec", "KILL"):
            nsrun(["rm", "-f", name])  # taken for the workload's end
        else:
            result.check(125)
            equal(result.stdout, "", "stdout of a launch that failed")
            contains(result.stderr, row if how == "EPERM" else "kill", "stderr")
            if how == "EPERM":
                check(not os.listdir(directory), "files left: %s" % os.listdir(directory))
        nsrun(["gc"]).check(0)
        nsrun(["rm", "-f", name])
        assert_clean(before)


def test_trace_and_dry_run():
    before = leftovers()
    dry = remapped(["-d", "--name", "drydrydry", "--dry-run"], "/bin/true").check(0)
    contains(dry.stdout, "output.open", "--dry-run -d")
    assert_clean(before)
    result = remapped(["-d", "--rm", "--trace"], "/bin/true").check(0)
    check(re.fullmatch("[0-9a-f]{12}\n", result.stdout), "stdout of -d --trace: %r" % result.stdout)
    contains(result.stderr, "workload.exec", "trace of -d")
    path = tmp("trace") + "/trace"
    result = remapped(["-d", "--rm", "--trace-file", path], "/bin/true").check(0)
    equal(result.stderr, "", "stderr")
    contains(open(path).read(), "control.listen", "--trace-file of -d")
    assert_clean(before)


def test_no_zombies_and_no_fds():
    """Clients that come and go leave nothing in the keeper."""
    with script("while :; do echo x; sleep 0.05; done") as c:
        keeper = c.keeper
        first = len(fds(keeper))
        for _ in range(20):
            attach = subprocess.Popen([binary(), "attach", "--no-stdin", c.name], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      env=environment(), cwd=base())
            equal(attach.stdout.read(1), b"x", "output")
            attach.kill()
            attach.wait()
            attach.stdout.close()
        wait_for(lambda: len(fds(keeper)) == first, "the keeper closes what its clients had")
        # Children of the script end all the time, and are reaped: what stays is none of theirs.
        zombies = lambda: {pid for pid in descendants(keeper) if not alive(pid)}
        first = zombies()
        wait_for(lambda: not first & zombies(), "zombies below the keeper: %r" % describe(first))


def test_filter_of_a_file_is_kept_for_others():
    profile = tmp("profile") + "/p.json"
    with open(profile, "w") as file:
        json.dump({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]}, file)
    with script("sleep 60", options=["--security-opt", "seccomp=" + profile]) as c:
        check(os.path.getsize(c.dir + "/filter.bpf") % 8 == 0, "filter.bpf")
        equal(c.record()["process"]["seccomp"], profile, "name of the filter")
    with script("sleep 60") as c:
        check(not os.path.exists(c.dir + "/filter.bpf"), "a shipped profile needs no copy")


if __name__ == "__main__":
    main()
