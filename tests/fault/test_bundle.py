# SPDX-License-Identifier: Apache-2.0
"""create of a bundle's container, with an error or a SIGKILL at every row: an error leaves nothing; after a SIGKILL `state` answers, `delete --force`
removes all, and what a create that was killed leaves is for gc, too."""
import json
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../integration"))
from harness import *
from bundles import CONSOLE, DEVICE, GIVEN, JOINED, LIFE, VARIANTS, bundle, bundle_rows, given, process_file, rows_in
from launches import Killer

LIMIT = 3.0


def root():
    return os.path.join(base(), "state")


def oci(*words, env=None):
    return nsrun(["--root", root(), *words], env=env, sanitizer=True)


def create(fault=None, variant=LIFE, more=((), {})):
    """(status, stderr). Its output goes to files: the container keeps them. more: of given()."""
    options, env = more
    with open(os.path.join(base(), "errors"), "w+b") as errors:
        process = subprocess.Popen([binary(True), "--root", root(), "create", "-b", bundle(variant), *options, "--pid-file", os.path.join(base(), "pid"), "c"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
                                   env=environment(None, {**env, **({"NSRUN_FAULT": fault} if fault else {})}))
        status = process.wait(timeout=LIMIT * 5 * SLOW)
        errors.seek(0)
        return status, errors.read().decode()


def of_start(row, rows):
    """Is it one that runs once start was said?"""
    names = [one.name for one in rows]
    return names.index(row.name) > names.index("gate.wait")


def tidy(before, what):
    parent = "/nsrun-fault-%d" % os.getpid()
    for path in sorted(cgroups() - before.cgroups, reverse=True):
        if path.endswith(parent):
            os.rmdir(path)
    assert_clean(before, what=what)


def gone():
    equal(os.listdir(os.path.join(root(), "names")), [], "names that are left")
    equal(sorted(set(os.listdir(root())) - {"names", "ranges"}), [], "state that is left")


@test(root=True)
def test_create_works():
    for variant in VARIANTS:
        with given(variant) as more:
            before = leftovers()
            equal(create(variant=variant, more=more), (0, ""), "create of %s" % variant)
            equal(json.loads(oci("state", "c").check(0).stdout)["status"], "created", "status")
            oci("start", "c").check(0)
            if variant == GIVEN:
                check(not os.path.exists("/sys/class/net/" + DEVICE), "the device was not moved")
                with open(bundle(GIVEN) + "/resctrl/gold/tasks") as file:
                    equal(file.read().split()[-1], str(json.loads(oci("state", "c").stdout)["pid"]), "tasks of the resctrl group")
            oci("delete", "--force", "c").check(0)
            gone()
            tidy(before, "create, start, delete")


def fails(row, rows, variant):
    with given(variant) as more:
        failing(row, rows, variant, more)
        if variant == GIVEN and not of_start(row, rows):
            check(os.path.exists("/sys/class/net/" + DEVICE), "the device did not come back")


def failing(row, rows, variant, more):
    before = leftovers()
    status, errors = create("%s=EPERM" % row.name, variant, more)
    if of_start(row, rows):
        equal((status, errors), (0, ""), "create")
        started = oci("start", "c").check(1)
        contains(started.stderr, "%s (" % row.name, "stderr of start")
        contains(started.stderr, "Operation not permitted", "stderr of start")
        wait_for(lambda: json.loads(oci("state", "c").check(0).stdout)["status"] == "stopped", "its end")
        oci("delete", "c").check(0)
    elif row.name == "gate.wait":  # nobody listens to init any more, and nobody to start
        oci("delete", "--force", "c").check(0)
    else:
        equal(status, 1, "status: %s\n    status" % errors)
        contains(errors, "%s (%s)" % (row.name, row.role), "stderr")
    gone()
    tidy(before, errors)


def killed(row, how, rows, variant):
    with given(variant) as more:
        killing(row, how, rows, variant, more)


def killing(row, how, rows, variant, more):
    before = leftovers()
    with Killer():
        status, errors = create("%s=%s" % (row.name, how), variant, more)
        state = oci("state", "c")
        if state.status == 0:
            check(json.loads(state.stdout)["status"] in ("creating", "created", "stopped", "running"), state.stdout)
        else:
            contains(state.stderr, "does not exist", "stderr of state")
        if status == 0 and (row.role == "init" or row.role == "workload"):
            oci("start", "c")  # whatever becomes of it
    # what was never created is gc's, too; what was is not
    if how == "KILL" and row.role == "runtime":
        oci("gc").check(0)
    oci("delete", "--force", "c").check(0)
    contains(oci("state", "c").check(1).stderr, "does not exist", "stderr of state")
    gone()
    if os.path.exists(os.path.join(base(), "pid")):
        os.unlink(os.path.join(base(), "pid"))
    tidy(before, "%s: %s" % (status, errors))
    if row.role == "runtime":
        equal(status, -signal.SIGKILL, "status: %s\n    status" % errors)


def walked():
    """(variant, its table, row): every row of the first bundle, and of the others those that no earlier one had."""
    seen, out = set(), []
    for variant in VARIANTS:
        table = bundle_rows(variant=variant)
        out += [(variant, table, row) for row in table if row.name not in seen]
        seen |= {row.name for row in table}
    return out


@generate(root=True)
def rows_of_joined():
    """Those that are another thing where a mount namespace is joined."""
    table = bundle_rows(variant=JOINED)
    for row in table:
        if row.name in ("namespaces.open", "init.clone", "root.adopt", "user.resolve", "workload.exec"):
            if row.name != "workload.exec":
                yield "error, %s" % row.name, lambda row=row: fails(row, table, JOINED)
            yield "KILL, %s" % row.name, lambda row=row: killed(row, "KILL", table, JOINED)


@generate(root=True)
def rows():
    for variant, table, row in walked():
        if not row.name.startswith("workload.exec"):
            yield "error, %s" % row.name, lambda row=row, table=table, variant=variant: fails(row, table, variant)
        for how in ("KILL", "KILL_AFTER"):
            if how == "KILL_AFTER" and row.name == "workload.exec":
                continue
            yield "%s, %s" % (how, row.name), lambda row=row, how=how, table=table, variant=variant: killed(row, how, table, variant)


@test(root=True)
def test_other_bundles_have_rows_of_their_own():
    """What those are made for: rows that the first has not."""
    own = {variant: {row.name for one, _, row in walked() if one == variant} for variant in VARIANTS}
    check({"netdevs.move", "rdt.create", "rdt.place", "proc.keep", "listener.connect", "listener.describe", "memory-policy.set"} <= own[GIVEN], own[GIVEN])
    check("console.send" in own[CONSOLE], own[CONSOLE])


# ---- exec of an engine ----------------------------------------------------------------------------------------------

def exec_words(*options):
    return ["exec", *options, "--process", process_file(), "c"]


def in_container(work):
    before = leftovers()
    equal(create(), (0, ""), "create")
    oci("start", "c").check(0)
    pid = json.loads(oci("state", "c").check(0).stdout)["pid"]
    try:
        work(pid)
        # Whatever became of the other process: the container runs on, alone, and takes another one.
        equal(json.loads(oci("state", "c").check(0).stdout)["status"], "running", "status")
        wait_for(lambda: not [reap()] or json.loads(oci("ps", "-f", "json", "c").check(0).stdout) == [pid], "the processes of the container")
        oci("exec", "c", "/bin/true").check(0)
    finally:
        oci("delete", "--force", "c").check(0)
    gone()
    tidy(before, "exec")


def exec_fails(row):
    def work(_):
        result = oci(*exec_words(), env={"NSRUN_FAULT": "%s=EPERM" % row.name})
        equal(result.status, 255, "status: %r\n    status" % result)
        contains(result.stderr, "%s (%s)" % (row.name, row.role), "stderr")
        contains(result.stderr, "Operation not permitted", "stderr")
    in_container(work)


def exec_killed(row, how):
    def work(_):
        with Killer():
            result = oci(*exec_words(), env={"NSRUN_FAULT": "%s=%s" % (row.name, how)})
        if row.role == "runtime":
            equal(result.status, -signal.SIGKILL, "status: %r\n    status" % result)
        else:
            check(result.status in (255, 128 + signal.SIGKILL), "status: %r" % result)
    in_container(work)


def exec_rows():
    rows = []

    def work(_):
        rows.extend(rows_in(oci(*exec_words("--dry-run")).check(0).stdout))
    in_container(work)
    check({"affinity.start", "affinity.set"} <= {row.name for row in rows}, "rows of exec: %r" % rows)
    return rows


@generate(root=True)
def rows_of_exec():
    for row in exec_rows():
        if row.name != "workload.exec":
            yield "error, %s" % row.name, lambda row=row: exec_fails(row)
        for how in ("KILL", "KILL_AFTER"):
            if how == "KILL_AFTER" and row.name == "workload.exec":
                continue
            yield "%s, %s" % (how, row.name), lambda row=row, how=how: exec_killed(row, how)


if __name__ == "__main__":
    main()
