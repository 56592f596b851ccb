# SPDX-License-Identifier: Apache-2.0
"""Every row of the score fails once: the error names it, and nothing is left of what came before it."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../integration"))
from harness import *
from bundles import rows_of_bundles
from launches import *

# Says so if it is ever run, and then stays, so that one that was not ended is found.
WORKLOAD = ("/bin/sh", "-c", "echo %s; exec sleep 20" % MARK)
ERRNO, WORDS = "EPERM", "Operation not permitted"
LIMIT = 15.0  # seconds: what is not ended by its launch's failure sleeps for longer

_rows = []


def rows_of():
    if not _rows:
        _rows.extend((launch, launch.rows(sanitizer=True)) for launch in launches())
    return _rows


@test(root=True)
def test_every_row_is_covered():
    """Covered rows = rows, on this host; the hierarchies of another one have the rest."""
    covered = {row.name for _, rows in rows_of() for row in rows} | {row.name for row in rows_of_bundles()}  # the latter by test_bundle.py
    equal(uncovered(covered), [], "rows of the table that no launch here runs")


@test(root=True)
def test_every_process_is_covered():
    """Every row of the workload fails where init runs it and in a process of its own."""
    walked = {(process, row.name) for _, row, process in chosen(rows_of())}
    wanted = {(process_of(row, rows), row.name) for _, rows in rows_of() for row in rows}
    equal(sorted(wanted - walked), [], "rows that no test here walks in that process")
    apart = {row.name for launch, rows in rows_of() if launch.name == "init" for row in rows if row.role == "workload"}
    check("workload.exec" in apart and len(apart) > 5, "rows of the workload under --init: %s" % sorted(apart))
    equal(sorted(name for name in apart if ("workload", name) not in walked), [], "rows of a workload of its own not walked")


@test(root=True)
def test_fault_points_are_built_in():
    """Without them every test below would be a plain launch."""
    result = launches()[0].run(command=WORKLOAD, env={"NSRUN_FAULT": "workload.exec=EPERM"}, sanitizer=True)
    equal(result.status, 125, "status with a fault at workload.exec (-Dfault_points=true in %s?)" % binary(True))


@test(root=True)
def test_launches_work():
    """The same launches without a fault run their workload, otherwise a failure below would prove nothing."""
    for launch in launches():
        before = leftovers()
        result = launch.run(command=("/bin/echo", MARK), sanitizer=True)
        check(result.status == 0 and MARK in result.stdout, "%s does not run: %r" % (launch.name, result))
        assert_clean(before, what=repr(result))


@test(root=True)
def test_unknown_fault_is_refused():
    """A fault at a row that does not exist must not pass for a launch that survived it."""
    result = launches()[0].run(command=WORKLOAD, env={"NSRUN_FAULT": "no.such-row=EPERM"}, sanitizer=True)
    equal((result.status, MARK in result.stdout), (125, False), "status and workload: %r" % result)


def fault(launch, row):
    before = leftovers()
    result = launch.run(command=WORKLOAD, env={"NSRUN_FAULT": "%s=%s" % (row.name, ERRNO)}, sanitizer=True)
    equal(result.status, 125, "status: %r\n    status" % result)
    check(MARK not in result.stdout, "the workload ran: %r" % result)
    contains(result.stderr, "%s (%s)" % (row.name, row.role), "stderr")
    contains(result.stderr, WORDS, "stderr")
    assert_clean(before, what=repr(result))
    check(result.duration < LIMIT * SLOW, "it took %.2f s: %r" % (result.duration, result))


@generate(root=True)
def rows():
    for launch, row, _ in chosen(rows_of()):
        yield "%s, %s, %s" % (launch.name, row.role, row.name), lambda launch=launch, row=row: fault(launch, row)


if __name__ == "__main__":
    main()
