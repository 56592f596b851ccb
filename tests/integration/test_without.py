# SPDX-License-Identifier: Apache-2.0
"""--without ROW: each row that can be left out is missing from the steps, and what it is for does not hold any more."""
import os
import re

from harness import *
from helper import *

ROWS = re.search(r"values:(.*)example:", run([binary(), "help", "without"]).stdout, re.S).group(1).split()

# What holds in a launch, and does not without the row: options, a script, what it prints in either.
EFFECTS = {
    "time.offsets": (["--time-offset", "boottime=1000000000"], "cut -d. -f1 /proc/uptime", r"^1\d{9}$", r"^\d{1,8}$"),
    "hostname.set": (["--hostname", "inside"], "cat /proc/sys/kernel/hostname", "^inside$", "^%s$" % re.escape(os.uname().nodename)),
    "domainname.set": (["--domainname", "inside"], "cat /proc/sys/kernel/domainname", "^inside$", "^(?!inside)"),
    "sys.mount": ([], "ls /sys | wc -l", r"^[1-9]", "^0$"),
    "shm.mount": ([], "grep -c ' /dev/shm ' /proc/self/mountinfo", "^1$", "^0$"),
    "mqueue.mount": ([], "grep -c ' /dev/mqueue ' /proc/self/mountinfo", "^1$", "^0$"),
    "loopback.up": ([], "ip link show lo", "LOOPBACK,UP", "^(?!.*LOOPBACK,UP)"),
    "paths.readonly": ([], "grep -c ' /proc/sys ro' /proc/self/mountinfo", "^1$", "^0$"),
    "paths.mask": ([], "grep -c ' /proc/keys ' /proc/self/mountinfo", "^1$", "^0$"),
    "session.new": (["-t=false"], "cut -d' ' -f6 /proc/self/stat", "^1$", "^0$"),
    "caps.bound": ([], "grep CapBnd /proc/self/status", "^(?!.*1ffffffffff)", "ffffffffff$"),
    "seccomp.load": ([], "grep ^Seccomp: /proc/self/status", "2$", "0$"),
}


def launch(options, script, who=None):
    mine = tree(owner="%d:%d" % (who.uid, who.gid)) if who else tree(owner=None, private=True)
    return nsrun(options + [mine, "/bin/sh", "-c", script], user=who)


def played(row, who=None):
    options, script, there, gone = EFFECTS[row]
    with_it, without = launch(options, script, who), launch(options + ["--without", row], script, who)
    check(re.search(there, with_it.stdout.strip(), re.S), "with %s: %r %s" % (row, with_it.stdout, with_it.stderr))
    check(re.search(gone, without.stdout.strip(), re.S), "without %s: %r %s" % (row, without.stdout, without.stderr))


@generate(root=True)
def row_left_out():
    for row in EFFECTS:
        yield row, lambda row=row: played(row)


@test
def an_ordinary_user():
    played("hostname.set", single())


@test(root=True)
def every_row_is_missing_from_the_steps():
    mine = tree(owner=None, private=True)
    for row in ROWS:
        options = {"time.offsets": ["--time-offset", "boottime=1"], "domainname.set": ["--domainname", "x"],
                   "devices.filter": ["--device", "/dev/null:/dev/extra"]}.get(row, [])
        more = ["paths.readonly", "paths.mask"] if row == "proc.mount" else []
        whole = nsrun(["--dry-run"] + options + [mine, "/bin/true"])
        if row not in whole.stdout.split():
            contains(nsrun(["--without", row] + options + [mine, "/bin/true"]).stderr, "no such row anyway", row)
            continue
        less = nsrun(["--dry-run"] + options + sum((["--without", r] for r in [row] + more), []) + [mine, "/bin/true"])
        equal(less.status, 0, less.stderr)
        steps = less.stdout.split("\n\n")[-1].split()
        check(row not in steps, "%s is still a step" % row)


def with_descriptor(options, script, who=None):
    """Descriptor 9 of what starts nsrun is a directory of the host, which no mount of the container has."""
    house = tmp("house")
    with open(os.path.join(house, "note"), "w") as file:
        file.write("of the host")
    mine = tree(owner="%d:%d" % (who.uid, who.gid)) if who else tree(owner=None, private=True)
    fd = os.open(house, os.O_RDONLY)
    os.dup2(fd, 9)
    try:
        return nsrun(options + [mine, "/bin/sh", "-c", script], user=who, popen={"pass_fds": [9]})
    finally:
        os.close(fd)
        os.close(9)


@generate(root=True)
def descriptors_left_open():
    for kind, who in (("root", lambda: None), ("one-id", single)):
        yield kind, lambda who=who: leaked(who())


def leaked(who):
    for options, script in (([], "cat /proc/self/fd/9/note"), (["-w", "/proc/self/fd/9"], "cat note")):
        got = with_descriptor(["--without", "fds.close"] + options, script, who)
        equal((got.status, got.stdout), (0, "of the host"), "without the row: %r" % got)
        got = with_descriptor(options, script, who)
        check(got.status != 0 and "of the host" not in got.stdout, "with the row: %r" % got)


@test(root=True)
def exec_is_the_same_place():
    mine = tree(owner=None, private=True)
    started = nsrun(["-d", "--name", "weak", "--without", "seccomp.load", "--without", "caps.bound", "--without", "caps.set", mine,
                     "/bin/sleep", "60"])
    equal(started.status, 0, started.stderr)
    try:
        inside = nsrun(["exec", "weak", "/bin/sh", "-c", "grep -E '^(Seccomp|CapBnd)' /proc/self/status"])
        check(re.search(r"Seccomp:\t0", inside.stdout), inside.stdout + inside.stderr)
        check(re.search(r"CapBnd:\t0*[13]?f{9,}", inside.stdout), inside.stdout)
    finally:
        nsrun(["rm", "--force", "weak"])


@test(root=True)
def not_with_the_hosts_ids():
    got = nsrun(["--userns=host", "--without", "hostname.set", tree(owner=None, private=True), "/bin/true"])
    equal(got.status, 125, got.stderr)
    contains(got.stderr, "without-host")


@test(root=True)
def not_a_row_that_others_build_on():
    mine = tree(owner=None, private=True)
    got = nsrun(["--without", "proc.mount", mine, "/bin/true"])
    equal(got.status, 125)
    contains(got.stderr, "paths.readonly")
    got = nsrun(["--without", "root.pivot", mine, "/bin/true"])
    equal(got.status, 125)
    contains(got.stderr, "none of its values")


@test(root=True)
def a_tape_of_somebody_else():
    mine = tree(owner=None, private=True)
    for fd in ("2", "x", "99"):
        got = nsrun(["--tape", fd, mine, "/bin/true"])
        equal(got.status, 125, got.stderr)
        contains(got.stderr, "descriptor")


if __name__ == "__main__":
    main()
