# SPDX-License-Identifier: Apache-2.0
"""Every limit where its controller is missing: status 125 with the option, the controller and a remedy, and no container. Never one without its limit."""
import contextlib
import os
import re

from harness import *
from helper import install_helper, refused, tree


def block_device():
    """MAJOR:MINOR of a disk of this host, which limits of input and output are for."""
    for name in sorted(os.listdir("/sys/block")):
        if not name.startswith(("loop", "ram", "zram")):
            with open("/sys/block/%s/dev" % name) as file:
                return file.read().strip()
    return "7:0"


def device_rate(rate):
    return lambda: block_device() + ":" + rate


# What is asked for, and the controller that it takes, as v2 spells it. None: the option needs no controller of its own.
CASES = {
    "memory": ("64m", "memory"),
    "memory-reservation": ("32m", "memory"),
    "memory-swap": ("128m", "memory"),
    "pids-limit": ("50", "pids"),
    "cpus": ("0.5", "cpu"),
    "cpu-shares": ("512", "cpu"),
    "cpuset-cpus": ("0", "cpuset"),
    "cpuset-mems": ("0", "cpuset"),
    "device-read-bps": (device_rate("1m"), "io"),
    "device-write-bps": (device_rate("1m"), "io"),
    "device-read-iops": (device_rate("100"), "io"),
    "device-write-iops": (device_rate("100"), "io"),
    "io-weight": ("100", "io"),
    "hugetlb": ("2m=64m", "hugetlb"),
    "cgroup": ("memory.high=64m", "memory"),
    "oom-score-adj": None,
    "cgroup-parent": None,
    "cgroup-manager": None,
}
WITH = {"memory-swap": ["--memory", "64m"]}  # what has no meaning without another one
V1_NAMES = {"io": "blkio"}


def limits():
    """(name, is it built?) of every option of the group Limits, from the table of options."""
    with open(os.path.join(TOP, "runtime/cli/option_table.c")) as file:
        found = [(name, word == "BUILT") for word, name in re.findall(r'\b(BUILT|PLANNED)\(LIMITS,\s*"([^"]+)"', file.read())]
    with open(os.path.join(TOP, "include/nsrun/cli/limit_option_table.h")) as file:
        return found + [(name, True) for name in re.findall(r'^LIMIT\("([^"]+)"', file.read(), re.M)]


@test
def table_is_complete():
    names = [name for name, _ in limits()]
    check("memory" in names and "cpus" in names, "the table of options has no limits: is this test reading the right file? %r" % names)
    equal([name for name in names if name not in CASES], [], "limits without a case in this file")


def words_of(name):
    value, controller = CASES[name]
    return WITH.get(name, []) + ["--" + name, value() if callable(value) else value], controller


def v1_mounts(controller):
    name = V1_NAMES.get(controller, controller)
    return [entry[0] for entry in mountinfo() if entry[4] == "cgroup" and name in entry[6].split(",")]


def v2_mounts():
    return [entry[0] for entry in mountinfo() if entry[4] == "cgroup2"]


@contextlib.contextmanager
def bare_group(owner=None):
    """A v2 group whose parent hands down no controller, so it has none; it belongs to `owner`."""
    top = v2_mounts()
    if not top:
        skip("no cgroup2 is mounted")
    outer = os.path.join(top[0], "nsrun-bare-%d" % os.getpid())
    inner = os.path.join(outer, "inner")
    session = os.path.join(inner, "session")
    os.makedirs(session)
    try:
        for path in (inner, session):
            for file in ("", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"):
                if owner:
                    os.chown(os.path.join(path, file), owner.uid, owner.gid)
        yield inner, session
    finally:
        for path, _, _ in os.walk(outer, topdown=False):
            os.rmdir(path)


def refused_by(run_, name, controller, *parts):
    """The option, its controller, a remedy; and what the workload would have written is not there."""
    refused(run_, (WITH.get(name) or ["--" + name])[0], *parts)  # the first that needs it is named
    check(re.search(r"\b%s\b" % (controller if controller not in V1_NAMES else "%s|%s" % (controller, V1_NAMES[controller])), run_.stderr),
          "the message does not name the controller %s: %s" % (controller, run_.stderr))
    check("remedy:" in run_.stderr, "no remedy: %s" % run_.stderr)
    check("was here" not in run_.stdout, "the container ran: %r" % run_)


WORKLOAD = ["/bin/echo", "was here"]


@generate(root=True)
def nowhere():
    """The caller is root, and no hierarchy that is mounted has the controller: v1 hierarchies are detached in a mount namespace of this test's; of v2 a
    part is mounted to which nothing is handed down."""
    def one(name):
        words, controller = words_of(name)
        before = leftovers()
        command = [binary(), "--userns-remap", dummy().name, *words, tree(), *WORKLOAD]
        mounted = v1_mounts(controller)
        script = "".join('umount "%s" && ' % path for path in mounted)
        if mounted:
            refused_by(run(["unshare", "-m", "--propagation", "private", "sh", "-c", script + 'exec "$@"', "sh", *command]), name, controller,
                       "[no-controller]")
        else:
            with bare_group() as (_, session):
                top = v2_mounts()[0]
                enter = 'echo $$ > "%s/cgroup.procs"; exec unshare -C -m --propagation private sh -c \'umount "%s" && mount -t cgroup2 none "%s" && exec "$@"\' sh "$@"'
                refused_by(run(["sh", "-c", enter % (session, top, top), "sh", *command]), name, controller, "[no-controller]")
        assert_clean(before)
    for name, is_built in limits():
        if CASES.get(name) and is_built:
            yield name, lambda name=name: one(name)


@generate(root=True)
def not_delegated():
    """An ordinary user whose own group has not got the controller: what systemd must be told is in the message."""
    def one(name):
        words, controller = words_of(name)
        who = ranger()
        tree_ = install_helper(rootfs(owner="%d:%d" % (who.uid, who.gid)))
        with bare_group(who) as (_, session):
            before = leftovers()
            enter = 'echo $$ > "$0/cgroup.procs"; exec setpriv --reuid %d --regid %d --clear-groups "$@"' % (who.uid, who.gid)
            result = run(["sh", "-c", enter, session, binary(), *words, tree_, *WORKLOAD], env=environment(who))
            refused_by(result, name, controller, "[v2-only]" if name == "cgroup" and v1_mounts(controller) else "Delegate=")
            assert_clean(before)
            # and without the limit it runs there
            run(["sh", "-c", enter, session, binary(), tree_, *WORKLOAD], env=environment(who)).check(0, "was here")
    for name, is_built in limits():
        if CASES.get(name) and is_built:
            yield name, lambda name=name: one(name)


if __name__ == "__main__":
    main()
