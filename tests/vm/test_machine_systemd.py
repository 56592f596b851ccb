# SPDX-License-Identifier: Apache-2.0
# vm: host
"""tests/vm/run --systemd: root, an ordinary user in a delegated group, in a session, and with what Debian delegates."""
from host import *

DELEGATED = {"cpu", "cpuset", "io", "memory", "pids"}
# What tells where a command is; the last line is whether it may make groups there.
LOOK = """
    echo id $(id -u) $(id -un)
    echo pid1 $(cat /proc/1/comm)
    echo group $(cut -d: -f3 /proc/self/cgroup)
    here=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)
    echo controllers $(cat $here/cgroup.controllers)
    echo manager $(cat /sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/cgroup.controllers)
    echo cwd $PWD
    echo ext4 $(touch $NSRUN_TEST_DIR/x && stat -f -c %T $NSRUN_TEST_DIR)
    echo ranges $(grep tester /etc/subuid)
    echo bus $(busctl --user --no-pager status >/dev/null 2>&1 && echo answers)
    echo hierarchies $(grep -c cgroup /proc/mounts)
    echo makes $(mkdir $here/sub 2>/dev/null && echo yes)
"""


def look(options, where):
    result = vm(options, "sh", "-c", LOOK, cwd=where, timeout=240).check()
    return dict((line + " ").split(" ", 1) for line in result.stdout.splitlines()), result


def common(got, result, uid):
    equal(got["id"].split(), [str(uid), "tester" if uid else "root"], "who: %r" % result)
    equal((got["pid1"].strip(), got["cwd"].strip(), got["ext4"].strip(), got["hierarchies"].strip()),
          ("systemd", TOP, "ext2/ext3", "1"), "the machine: %r" % result)
    contains(got["ranges"], "tester:", "ranges")


@test(timeout=300)
def test_root():
    got, result = look("--systemd", TOP)
    common(got, result, 0)
    check(DELEGATED <= set(got["manager"].split()), "controllers of the user's manager: %r" % result)
    equal(got["makes"].strip(), "yes", "root makes groups")


@test(timeout=300)
def test_user():
    got, result = look("--user", TOP)
    common(got, result, 1000)
    check("/user@1000.service/" in got["group"] and got["group"].strip().endswith(".scope"), "group: %r" % result)
    equal(set(got["controllers"].split()), DELEGATED, "controllers")
    equal((got["makes"].strip(), got["bus"].strip()), ("yes", "answers"), "groups and bus: %r" % result)


@test(timeout=300)
def test_session_undelegated():
    got, result = look("--session --undelegated", TOP)
    common(got, result, 1000)
    check("/user-1000.slice/session-" in got["group"], "group: %r" % result)
    equal(got["makes"].strip(), "", "a session's group is root's")
    equal(set(got["manager"].split()), {"cpu", "memory", "pids"}, "what Debian delegates")


if __name__ == "__main__":
    main()
