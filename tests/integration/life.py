# SPDX-License-Identifier: Apache-2.0
"""Detached containers for tests of their life: started, looked at, and removed whatever happens."""
import contextlib
import itertools
import json
import os

from harness import base, binary, dummy, fail, nsrun, ranger, rootfs, runtime_dir, single, wait_for
from helper import install_helper, tree

_numbers = itertools.count()

CALLERS = {"root": None, "ranges": ranger, "single": single}


def fresh(what="c"):
    return "%s-%d-%d" % (what, os.getpid(), next(_numbers))


class Container:
    def __init__(self, name, id, who, sanitizer):
        self.name, self.id, self.who, self.sanitizer = name, id, who, sanitizer

    def nsrun(self, command, *more, **how):
        """nsrun COMMAND [OPTIONS] NAME"""
        return nsrun([command, *more, self.name], user=self.who, sanitizer=self.sanitizer, **how)

    @property
    def dir(self):
        root = "/run/nsrun" if self.who is None else os.path.join(runtime_dir(self.who), "nsrun")
        return os.path.realpath(os.path.join(root, "names", self.name))

    def record(self):
        with open(self.dir + "/state.json") as file:
            return json.load(file)

    def wait(self, timeout=20):
        return int(self.nsrun("wait", timeout=timeout).check(0).stdout)

    def ended(self):
        wait_for(lambda: self.record()["exit"] and not os.path.exists(self.dir + "/lock"), "%s has ended" % self.name, timeout=15)
        return self.record()["exit"]

    @property
    def keeper(self):
        return self.record()["owner"]["pid"]

    @property
    def init(self):
        with open(self.dir + "/lock") as file:
            return int(file.read().split()[0])


def sanitized(pid):
    """Its memory says nothing then."""
    with open("/proc/%d/maps" % pid) as file:
        return "asan" in file.read()


def arguments(who):
    """Options and rootfs for this caller."""
    if who is None:
        return ["--userns-remap", dummy().name], tree()
    return [], install_helper(rootfs(owner="%d:%d" % (who.uid, who.gid)))


@contextlib.contextmanager
def detached(*command, options=(), who=None, sanitizer=False, **how):
    name = fresh()
    first, own = arguments(who)
    result = nsrun([*first, "-d", "--name", name, *options, own, *command], user=who, sanitizer=sanitizer, **how).check(0)
    container = Container(name, result.stdout.strip(), who, sanitizer)
    try:
        yield container
    finally:
        removed = nsrun(["rm", "-f", name], user=who)
        if removed.status and "no container of that name" not in removed.stderr:
            fail("rm -f: %r" % removed)


def script(text, **how):
    return detached("/bin/sh", "-c", text, **how)


__all__ = ["CALLERS", "Container", "arguments", "detached", "fresh", "sanitized", "script"]
