# SPDX-License-Identifier: Apache-2.0
"""SIGKILL before and after every row, in the process that runs it. The other process ends at once. A runtime
that survives names the cause and undoes everything; of one that was killed at most what docs/architecture.md says is
left, its state directory and its groups, and `nsrun gc` removes that."""
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../integration"))
from harness import *
from launches import *

WORKLOAD = ("/bin/sh", "-c", "echo %s; exec sleep 20" % MARK)
LIMIT = 8.0  # seconds that the death of one process may cost the other, over what a launch takes anyway: it would sleep for longer

_rows, _usual = [], {}


def rows_of():
    if not _rows:
        _rows.extend((launch, launch.rows(sanitizer=True)) for launch in launches())
    return _rows


def usual(launch):
    """Seconds that this launch takes when nothing is killed."""
    if launch.name not in _usual:
        _usual[launch.name] = launch.run(sanitizer=True).check(0).duration
    return _usual[launch.name]


def containers(before):
    """State directories of containers that were not there before."""
    return sorted(path for path in state() - before.state if os.path.isdir(path) and not os.path.islink(path))


def unrecorded(before, left):
    """Groups without a process that the state directory does not tell of."""
    name = os.path.basename(left[0]) if left else None
    found = {path for path in cgroups() - before.cgroups if name not in path.split("/") and not cgroup_pids(path)}
    return sorted(found - foreign(found))


def check_recovery(launch, before, result):
    """What a killed runtime leaves, and that gc removes it."""
    assert_clean(before, allow=("cgroups", "state"), what=repr(result))
    left = containers(before)
    check(len(left) <= 1, "more than one state directory is left: %s" % left)
    wait_for(lambda: not unrecorded(before, left), "the removal of groups that no state tells of: %s (%s)"
             % (unrecorded(before, left), left), timeout=1)
    collected = nsrun(["gc"], user=launch.who(), sanitizer=True).check(0)
    if left:
        contains(collected.stdout, os.path.basename(left[0]), "output of gc")
    assert_clean(before, what="%r and %r" % (result, collected))
    again = nsrun(["gc"], user=launch.who(), sanitizer=True).check(0)
    contains(again.stdout, "nothing to remove", "output of a second gc")


def kill(launch, row, how, process):
    allowed = LIMIT * SLOW + 2 * usual(launch)
    with Exclusive():
        before = leftovers()
        with Killer():
            result = launch.run(command=WORKLOAD, env={"NSRUN_FAULT": "%s=%s" % (row.name, how)}, sanitizer=True)
        check(result.duration < allowed, "the other process lived on: it took %.2f s, %.2f s are allowed: %r"
              % (result.duration, allowed, result))
        if row.role == "runtime":
            equal(result.status, -signal.SIGKILL, "status: %r\n    status" % result)
            check_recovery(launch, before, result)
            return
        if row.name == "workload.exec" or (row.name, how) == ("workload.fork", "KILL_AFTER") and result.status != 125:
            # Who dies within execve(2) is taken for the workload, and counted by its signal; so is PID 1 once the workload,
            # a process of its own, went on: whether it has come to execve(2) by then is a race.
            equal(result.status, 128 + signal.SIGKILL, "status: %r\n    status" % result)
            assert_clean(before, what=repr(result))
            return
        equal(result.status, 125, "status: %r\n    status" % result)
        check(MARK not in result.stdout, "the workload ran: %r" % result)
        check("SIGKILL" in result.stderr or "illed" in result.stderr, "stderr does not tell what happened: %r" % result)
        if process == "workload":
            # PID 1 lives on and reports how the workload's process ended
            contains(result.stderr, "workload was killed by signal 9 (SIGKILL)", "stderr")
        if how == "KILL":  # otherwise it may have come to a later row
            contains(result.stderr, row.name, "stderr")
        assert_clean(before, what=repr(result))


@generate(root=True)
def rows():
    for launch, row, process in chosen(rows_of()):
        for how in ("KILL", "KILL_AFTER"):
            # a row that executes the workload has no "after" in this program
            if how == "KILL_AFTER" and row.name == "workload.exec":
                continue
            yield "%s, %s, %s %s" % (launch.name, row.role, how, row.name), \
                lambda launch=launch, row=row, how=how, process=process: kill(launch, row, how, process)


@test(root=True)
def test_kill_while_the_workload_runs():
    """SIGKILL of the runtime when all is done: the workload dies with it, and the next launch removes what is left."""
    with Exclusive():
        before = leftovers()
        for launch in launches():
            # test_exec.py and tests/vm/test_systemd.py, which has a manager that lives on, have the end of those
            if launch.terminal or isinstance(launch, (Exec, Scoped)):
                continue
            process = start(launch)
            process.kill()
            process.wait()
            assert_clean(before, allow=("cgroups", "state"), what="SIGKILL of %s" % launch.name)
            launch.run(sanitizer=True).check(0)
            assert_clean(before, what=launch.name)


def start(launch):
    """The launch in the background, its workload known to run."""
    process = subprocess.Popen([binary(True)] + launch.argv(command=WORKLOAD), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=base(),
                               env=environment(launch.who()), **run_as(launch.who()))
    line = process.stdout.readline().decode(errors="replace")
    equal(line.strip(), MARK, "first line of %s" % launch.name)
    process.stdout.close()
    return process


if __name__ == "__main__":
    main()
