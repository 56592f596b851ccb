# SPDX-License-Identifier: Apache-2.0
"""--trace tells what happened: its rows are those of --dry-run, and strace(1) of the same run shows the system call of
each, in the process that the row names, in the same order, at the same time."""
import collections
import contextlib
import json
import os
import re
import subprocess

from harness import *
from bundles import VARIANTS, bundle, given, rows_in
from launches import *
from test_oci_config import sleeper

# What one word of an interface may look like in strace, where the C library or the architecture chooses.
SPELLINGS = {
    "rename": ("rename", "renameat", "renameat2"),
    "mkdirat": ("mkdirat", "mkdir"),
    "clone": ("clone", "clone3", "fork", "vfork"),
    "prlimit": ("prlimit64", "prlimit"),
    "faccessat2": ("faccessat2", "faccessat", "access"),
    "pivot_root": ("pivot_root",),
    "umount2": ("umount2", "umount"),
    "openat": ("openat", "openat2", "open"),
    "symlinkat": ("symlinkat", "symlink"),
    "dup3": ("dup3", "dup2"),
    "setresuid": ("setresuid", "setresuid32"),
    # newuidmap writes it in the ordinary user's stead
    "write": ("write", "pwrite64"),
    "pwrite": ("pwrite", "pwrite64"),
}
PROVIDED = ("proc.mount", "sys.mount", "mqueue.mount", "cgroup.mount", "shm.mount")
Call = collections.namedtuple("Call", "pid time name line")


def traced(launch, extra=()):
    """[object] of --trace=json and the result."""
    path = os.path.join(tmp(mode=0o777), launch.name + ".json")
    result = launch.run(["--trace=json", "--trace-file", path] + list(extra)).check(0)
    return read_trace(path), result


def read_trace(path):
    out = []
    with open(path) as file:
        for line in file:
            try:
                out.append(json.loads(line))
            except ValueError:
                fail("a line of the trace is no JSON: %r" % line)
    check(out, "%s is empty" % path)
    return out


def strace(launch):
    """The same with strace of the same run: ([object], [Call] in the order of time)."""
    directory = tmp(mode=0o777)
    log, trace = os.path.join(directory, "strace"), os.path.join(directory, "trace.json")
    who = launch.who()
    # by root with -u: traced by an ordinary user newuidmap would lose its set-uid bit
    argv = ["strace", "-f", "-ttt", "-s", "64", "-o", log] + (["-u", who.name] if who else [])
    env = environment(who)
    with launch.ready() as words:
        argv += [binary()] + words(["--trace=json", "--trace-file", trace])
        if launch.terminal:
            with Pty(argv, env=env) as terminal:
                terminal.result(30).check(0)
        else:
            run(argv, env=env, timeout=40).check(0)
    calls = []
    with open(log, errors="replace") as file:
        for line in file:
            match = re.match(r"(\d+)\s+([\d.]+) (\w+)\(", line)
            if match:
                calls.append(Call(int(match.group(1)), float(match.group(2)) * 1e6, match.group(3), line.rstrip("\n")))
    check(calls, "strace wrote nothing")
    calls.sort(key=lambda call: call.time)
    return read_trace(trace), calls


def made_by(calls, pid, names, flag=None):
    """The process that this one made by one of these calls."""
    with_children = [call for call in calls
                     if call.pid == pid and call.name in names and (flag is None or flag in call.line)]
    for call in with_children:
        match = re.search(r"= (\d+)(?: \(.*\))?$", call.line)
        # where the maker is in another pid namespace than strace, its number is none that strace shows
        if match and any(other.pid == int(match.group(1)) for other in calls):
            return int(match.group(1))
    # the result is on a line of its own when another process ran meanwhile: then it is the first one to appear afterwards
    seen = {}
    for call in calls:
        seen.setdefault(call.pid, call.time)
    others = [other for other, first in seen.items() if with_children and other != pid and first >= with_children[0].time]
    return others[0] if others else None


def streams(calls, rows):
    """{role: [Call]}: init's, the workload's, and the runtime's with the helpers that it runs."""
    runtime = calls[0].pid
    # where namespaces are joined, by the helper that enters them
    helpers = [call.pid for call in calls if call.name == "clone3" and "CLONE_PARENT" in call.line]
    init = made_by(calls, helpers[0], ("clone3",), "CLONE_PARENT") if helpers else made_by(
        calls, runtime, ("clone3", "clone"), "CLONE_NEWNS")
    check(init, "strace shows no clone of init")
    workload = init
    if any(row["step"] == "workload.fork" for row in rows):
        workload = made_by(calls, init, SPELLINGS["clone"])
        check(workload, "strace shows no fork of the workload")
    return {"runtime": [call for call in calls if call.pid not in (init, workload)],
            "init": [call for call in calls if call.pid == init],
            "workload": [call for call in calls if call.pid == workload]}


def match_row(row, stream, position, begin, end):
    """Index after the row's last call in the stream. Every word of its interface is looked for, in order."""
    for word in row["interface"].split():
        names = SPELLINGS.get(word, (word,))
        if word == "fsmount" and row["step"] in PROVIDED:
            names += ("move_mount",)  # made by another process, which owns that namespace; here it is attached alone
        while position < len(stream) and not (stream[position].name in names and begin <= stream[position].time <= end):
            position += 1
        if position == len(stream):
            near = [call.line for call in stream if begin <= call.time <= end]
            fail("row %s (%s) says %s; strace has no such call at its time, in its order. There are:\n%s" % (
                row["step"], row["role"], word, "\n".join("    " + line for line in near[:40])))
        position += 1
    return position


def against_strace(launch):
    rows, calls = strace(launch)
    by_role = streams(calls, rows)
    clone = next(row for row in rows if row["step"] == "init.clone")
    clone_call = next(call for call in by_role["runtime"]
                      if call.name in ("clone3", "clone") and ("CLONE_NEWNS" in call.line or "CLONE_PARENT" in call.line))
    # The trace counts from its first row, strace from 1970: the clone is in both, somewhere within its row.
    offset, slack = clone_call.time - clone["begin_us"], clone["duration_us"] + 2000
    positions = {}
    for row in rows:
        # without a reaper init and the workload are one process, and its calls one sequence
        stream = by_role[row["role"]]
        key = stream[0].pid if row["role"] != "runtime" else 0
        begin = row["begin_us"] + offset - slack
        end = row["begin_us"] + row["duration_us"] + offset + slack
        positions[key] = match_row(row, stream, positions.get(key, 0), begin, end)


def in_table_order(rows):
    """Rows of each role are in the table's order."""
    order = list(score_rows())
    for role in ROLES:
        names = [row["step"] for row in rows if row["role"] == role]
        equal(names, sorted(names, key=order.index), "order of the rows of " + role)


def every_field(rows):
    table = score_rows()
    for row in rows:
        for name in ("role", "step", "interface", "manual", "begin_us", "duration_us", "result", "note"):
            check(name in row, "a row without %s: %r" % (name, row))
        check(row["step"] in table, "a row that the table lacks: %r" % row)
        equal(row["role"], table[row["step"]], "role of " + row["step"])
        check(row["interface"] and re.search(r"\(\d\w*\)$", row["manual"]), "interface or manual is missing: %r" % row)
        check(row["duration_us"] is not None and row["duration_us"] >= 0 and row["begin_us"] >= 0, "time before the beginning: %r" % row)
        equal(row["result"], "ok", "result of " + row["step"])
    begins = [row["begin_us"] for row in rows]
    equal(begins, sorted(begins), "the order of begin_us")


def against_dry_run(launch):
    rows, _ = traced(launch)
    every_field(rows)
    in_table_order(rows)
    wanted = sorted((row.role, row.name, row.interface) for row in launch.rows())
    got = sorted((row["role"], row["step"], row["interface"]) for row in rows)
    equal([row for row in wanted if row not in got], [], "rows of --dry-run that were not traced")
    equal([row for row in got if row not in wanted], [], "rows traced that --dry-run does not tell of")


@generate(root=True)
def rows_equal_dry_run():
    for launch in launches():
        yield launch.name, lambda launch=launch: against_dry_run(launch)


@generate(root=True, needs=["strace"], timeout=90)
def rows_are_in_strace():
    for launch in launches():
        yield launch.name, lambda launch=launch: against_strace(launch)


# ---- bundles: hooks, a listener, network devices, a terminal for an engine, joined namespaces ---------------------------

@contextlib.contextmanager
def joined_namespaces():
    """The same with namespaces that others made: a helper enters those of pid and time."""
    with contextlib.ExitStack() as stack:
        path = os.path.join(tmp(), "joined")
        os.makedirs(path, exist_ok=True)
        with open(os.path.join(bundle(), "config.json")) as file:
            config = json.load(file)
        spaces = {"network": "net", "ipc": "ipc", "uts": "uts", "pid": "pid", "time": "time"}
        config["linux"]["namespaces"] = [{"type": "mount"}]
        for kind, name in spaces.items():
            pid = stack.enter_context(sleeper("--" + name, *(["--fork"] if name in ("pid", "time") else [])))
            config["linux"]["namespaces"].append({"type": kind, "path": "/proc/%d/ns/%s" % (pid, name)})
        config.pop("domainname"), config.pop("hostname")
        config["linux"].pop("sysctl")
        with open(os.path.join(path, "config.json"), "w") as file:
            json.dump(config, file)
        yield path


def traced_bundle(command, variant=None, path=None):
    """(rows of its trace, [Row] that its dry run tells of). run goes on in the background, as create does."""
    root, said = os.path.join(tmp(), "root"), os.path.join(tmp(), "said")
    words = [command, *(["-d"] if command == "run" else [])]
    with given(variant) if variant else contextlib.nullcontext(([], {})) as (options, env):
        options = [*options, "-b", path or bundle(variant)]
        wanted = rows_in(nsrun(["--root", root, *words, "--dry-run", *options, "c"], env=env, sanitizer=True).check(0).stdout)
        with open(said, "w") as errors:
            status = subprocess.call([binary(True), "--root", root, *words, "--trace=json", *options, "c"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                     stderr=errors, env=environment(None, env))
        try:
            with open(said) as file:
                equal(status, 0, "status of %s: %s" % (words, file.read()))
            return read_trace(said), wanted
        finally:
            nsrun(["--root", root, "delete", "--force", "c"], sanitizer=True).check(0)
            for name in cgroups():
                if name.endswith("/nsrun-fault-%d" % os.getpid()):
                    os.rmdir(name)


def bundle_against_dry_run(command, variant=None, path=None):
    rows, wanted = traced_bundle(command, variant, path)
    if command == "create":  # the last row of the process that waits there; what comes behind runs when start was said, and is in no trace
        gate = [row.name for row in wanted].index("gate.wait")
        wanted = [row for at, row in enumerate(wanted) if row.role == "runtime" or at <= gate]
        waits = next(row for row in rows if row["step"] == "gate.wait")
        equal((waits["result"], waits["duration_us"]), ("unfinished", None), "the row in which it waits")
        waits.update(result="ok", duration_us=0)
    every_field(rows)
    in_table_order(rows)
    wanted = sorted((row.role, row.name, row.interface) for row in wanted)
    got = sorted((row["role"], row["step"], row["interface"]) for row in rows)
    equal([row for row in wanted if row not in got], [], "rows of --dry-run that were not traced")
    equal([row for row in got if row not in wanted], [], "rows traced that --dry-run does not tell of")


def joined_against_dry_run(command):
    with joined_namespaces() as path:
        bundle_against_dry_run(command, path=path)
        check("namespaces.open" in [row.name for row in traced_bundle(command, path=path)[1]], "no namespace is joined")


@generate(root=True, needs=["ip"])
def bundles_equal_dry_run():
    for command in ("create", "run"):
        for variant in VARIANTS:
            yield "%s %s" % (command, variant), lambda command=command, variant=variant: bundle_against_dry_run(command, variant)
        yield "%s joined namespaces" % command, lambda command=command: joined_against_dry_run(command)


@test(root=True)
def test_dry_run_of_a_bundle_does_nothing():
    for variant in VARIANTS:
        with given(variant) as (options, env):
            before = leftovers()
            root = os.path.join(tmp(), "root")
            for command in (["create"], ["run", "-d"]):
                nsrun(["--root", root, *command, "--dry-run", *options, "-b", bundle(variant), "c"], env=env, sanitizer=True).check(0)
            equal(os.path.exists(root) and os.listdir(os.path.join(root, "names")), False, "names")
            assert_clean(before, grace=0.2)


@test(root=True)
def test_every_row_is_traced_somewhere():
    got = set()
    for launch in launches():
        got |= {row["step"] for row in traced(launch)[0]}
    for variant in VARIANTS:
        got |= {row["step"] for row in traced_bundle("run", variant)[0]} | {row["step"] for row in traced_bundle("create", variant)[0]}
    equal(uncovered(got), [], "rows of the table that no launch here traced")


@test(root=True)
def test_text_has_the_same_rows():
    launch = launches()[0]
    result = launch.run(["--trace"]).check(0)
    words = set(result.stderr.split())
    for row in traced(launch)[0]:
        check(row["step"] in words, "the text lacks %s: %r" % (row["step"], result))


@test(root=True)
def test_trace_does_not_touch_output():
    """The workload's stdout has nothing of it."""
    launch = launches()[0]
    launch.run(["--trace=json"], command=("/bin/echo", "hello")).check(0, stdout="hello")


@test(root=True)
def test_dry_run_does_nothing():
    before = leftovers()
    for launch in launches():
        result = launch.run(["--dry-run"], command=("/bin/echo", MARK)).check(0)
        lines = result.stdout.replace("\r", "").splitlines()
        check(MARK not in lines, "the workload ran: %r" % result)
        assert_clean(before, grace=0.2, what=repr(result))


@test(root=True)
def test_dry_run_twice_is_the_same():
    """The canonical form: nothing in it depends on the time, or on a random id."""
    launch = next(launch for launch in launches() if launch.name == "root-dummy")
    first, second = (launch.run(["--dry-run"]).check(0).stdout for _ in range(2))
    equal(re.sub(r"\b[0-9a-f]{12}\b", "ID", first), re.sub(r"\b[0-9a-f]{12}\b", "ID", second), "--dry-run")


@test(root=True)
def test_failed_row_is_traced():
    """The trace of a launch that fails ends with the row that failed and its errno."""
    path = os.path.join(tmp(mode=0o777), "trace.json")
    launch = launches()[0]
    argv = launch.argv(["--trace=json", "--trace-file", path], ("/no/such/program",))
    nsrun(argv).check(127)
    rows = read_trace(path)
    failed = [row for row in rows if row["result"] != "ok"]
    equal([(row["step"], row["result"]) for row in failed], [("argv.resolve", "ENOENT")], "rows that failed")
    equal(rows[-1]["step"], "argv.resolve", "the last row")


if __name__ == "__main__":
    main()
