#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Buildah with nsrun as its runtime: from, run, commit, bud."""
import os

from engine import *
from harness import make_user
from podman import Podman

IMAGE = "localhost/busybox"
_places = {}


class Buildah(Podman):
    """Buildah reads the configuration of Podman, but for the runtime, which is an option of its commands."""

    def __call__(self, *words, **how):
        return self.program("buildah", *words, **how)

    def build(self, *words):
        """`run` or `bud` with the runtime, and a group of this run: not the one above it, but the group itself."""
        parent = [] if self.who else ["--cgroup-parent", "/%s/build" % cgroup_parent()]
        return [words[0], "--runtime", runtime(), "--network", "none", *(parent if words[0] == "bud" else []), *words[1:]]

    def from_image(self, name, *words):
        parent = [] if self.who else ["--cgroup-parent", "/%s/build" % cgroup_parent()]
        return self("from", "--name", name, *parent, *words, IMAGE).check(0)

    def seen(self, process):
        """Whether the runtime has a container of Buildah's in its state before this process ends."""
        wait_for(lambda: process.poll() is not None or any(name.startswith("buildah-") for name in self.states()), "a command", timeout=30)
        return process.poll() is None

    def nothing_left(self):
        equal(self("containers", "-q").check(0).stdout, "", "containers of Buildah")
        equal(sorted(self.states()), [], "containers in the runtime's state")
        self.dirty = False

    def again(self):
        if self.dirty:
            self("rm", "-a")
        self.dirty = True
        return self


def place(who):
    if who not in _places:
        needs_program("buildah", "podman", *(["newuidmap", "setpriv"] if who else []))
        if who:
            make_user(who, subuid=(1000000, 65536))
        _places[who] = Buildah("buildah-%s" % who, who)
        _places[who].program("podman", "import", "--change", "CMD /bin/sh", busybox_tar(), IMAGE).check(0)
    return _places[who].again()


@generate
def callers():
    for who in (None, "tester"):
        for work in (run_works, is_in_the_state, terminal_works, volumes_work, bud_works, bud_fails, end):
            yield "%s,%s" % (work.__name__, who or "root"), lambda work=work, who=who: work(place(who))


def run_works(b):
    b.from_image("c")
    b(*b.build("run", "c", "--", "/bin/sh", "-c", "echo out; echo err >&2; exit 3")).check(3, "out", "err")
    b(*b.build("run", "--user", "77:88", "--env", "A=b", "--workingdir", "/tmp", "c", "--", "/bin/sh", "-c", "echo $(id -u) $(id -g) $A $PWD")).check(
        0, "77 88 b /tmp")
    b(*b.build("run", "c", "--", "/bin/sh", "-c", "echo made >/made")).check(0)
    b("config", "--cmd", "cat /made", "c").check(0)
    b("commit", "c", "localhost/committed").check(0)
    b("rm", "c").check(0)
    b("from", "--name", "d", "localhost/committed").check(0)
    b(*b.build("run", "d", "--", "cat", "/made")).check(0, "made")
    b("rm", "d").check(0)
    b("rmi", "localhost/committed").check(0)
    b.nothing_left()


def is_in_the_state(b):
    b.from_image("s")
    running = b.begin(*b.build("run", "s", "--", "sleep", "1"), program="buildah")
    check(b.seen(running), "the runtime's state had no container: %s" % (running.communicate(timeout=10)[0]))
    equal(running.wait(20), 0, "status")
    b("rm", "s").check(0)
    b.nothing_left()


def terminal_works(b):
    b.from_image("t")
    with b.pty(*b.build("run", "-t", "t", "--", "/bin/sh"), program="buildah") as terminal:
        terminal.expect("[#$] ")
        terminal.write("tty; exit 6\n")
        terminal.expect("/dev/(pts/0|console)")
        equal(terminal.wait(), 6, "status")
    b("rm", "t").check(0)
    b.nothing_left()


def volumes_work(b):
    there = tmp("volume", owner=b.who)
    b.from_image("v")
    b(*b.build("run", "-v", there + ":/v", "v", "--", "/bin/sh", "-c", "echo kept >/v/kept")).check(0)
    with open(os.path.join(there, "kept")) as file:
        equal(file.read(), "kept\n", "by the host")
    b(*b.build("run", "-v", there + ":/v:ro", "v", "--", "touch", "/v/no")).check(1, stderr="Read-only file system")
    b("rm", "v").check(0)
    b.nothing_left()


def bud_works(b):
    there = tmp("bud", owner=b.who)
    with open(os.path.join(there, "Containerfile"), "w") as file:
        file.write("FROM %s AS first\nCOPY file /file\nRUN cat /file >/made && id -u >>/made\nUSER 1969\nRUN id -u >/tmp/user; sleep 1\n"
                   "FROM %s\nCOPY --from=first /made /tmp/user /from/\nCMD cat /from/made /from/user\n" % (IMAGE, IMAGE))
    with open(os.path.join(there, "file"), "w") as file:
        file.write("copied\n")
    building = b.begin(*b.build("bud", "--layers", "-t", "localhost/built", there), program="buildah")
    ran = b.seen(building)
    output = building.communicate(timeout=60)[0].decode()
    check(ran, "no RUN step was in the runtime's state: " + output)
    equal(building.returncode, 0, "buildah bud: " + output)
    b("from", "--name", "f", "localhost/built").check(0)
    b(*b.build("run", "f", "--", "cat", "/from/made", "/from/user")).check(0, "copied\n0\n1969")
    b("rm", "f").check(0)
    b("rmi", "-f", "localhost/built").check(0)
    b.nothing_left()


def bud_fails(b):
    there = tmp("fails", owner=b.who)
    with open(os.path.join(there, "Containerfile"), "w") as file:
        file.write("FROM %s\nRUN exit 9\n" % IMAGE)
    told = b(*b.build("bud", there))
    check(told.status != 0 and "exit status 9" in told.stderr, "the step's status: %r" % told)
    b("rm", "-a").check(0)
    b.nothing_left()


def end(b):
    b("rmi", "-a", "-f").check(0)
    b.nothing_left()
    b.stop()


if __name__ == "__main__":
    main()
