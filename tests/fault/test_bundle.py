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
from bundles import activation, bundle, bundle_rows, joined_bundle
from launches import Killer

LIMIT = 3.0


def root():
    return os.path.join(base(), "state")


def oci(*words, env=None):
    return nsrun(["--root", root(), *words], env=env, sanitizer=True)


def create(fault=None, joined=False):
    """(status, stderr). Its output goes to files: the container keeps them."""
    with open(os.path.join(base(), "errors"), "w+b") as errors:
        process = subprocess.Popen([binary(True), "--root", root(), "create", "-b", joined_bundle() if joined else bundle(), "--pid-file", os.path.join(base(), "pid"), "c"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
                                   env=environment(None, {**({} if joined else activation()), **({"NSRUN_FAULT": fault} if fault else {})}))
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
    before = leftovers()
    equal(create(), (0, ""), "create")
    equal(json.loads(oci("state", "c").check(0).stdout)["status"], "created", "status")
    oci("start", "c").check(0)
    oci("delete", "--force", "c").check(0)
    gone()
    tidy(before, "create, start, delete")


def fails(row, rows, joined=False):
    before = leftovers()
    status, errors = create("%s=EPERM" % row.name, joined)
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


def killed(row, how, rows, joined=False):
    before = leftovers()
    with Killer():
        status, errors = create("%s=%s" % (row.name, how), joined)
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


@generate(root=True)
def rows():
    table = bundle_rows()
    joined = bundle_rows(joined=True)
    for row in joined:
        if row.name in ("namespaces.open", "init.clone", "root.adopt", "user.resolve", "workload.exec"):
            if row.name != "workload.exec":
                yield "joined, error, %s" % row.name, lambda row=row: fails(row, joined, True)
            yield "joined, KILL, %s" % row.name, lambda row=row: killed(row, "KILL", joined, True)
    for row in table:
        if not row.name.startswith("workload.exec"):
            yield "error, %s" % row.name, lambda row=row: fails(row, table)
        for how in ("KILL", "KILL_AFTER"):
            if how == "KILL_AFTER" and row.name == "workload.exec":
                continue
            yield "%s, %s" % (how, row.name), lambda row=row, how=how: killed(row, how, table)


if __name__ == "__main__":
    main()
