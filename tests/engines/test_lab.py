# SPDX-License-Identifier: Apache-2.0
"""nsrun lab in one container of Docker or Podman, as docs/lab-laptop.md has it, from the archive, without network."""
import concurrent.futures
import os
import re
import tarfile

from docker import Docker
from engine import *
from podman import Podman

BUILD = os.path.dirname(os.path.abspath(built("NSRUN")))
_made = {}


def unpacked():
    """The archive, as it is unpacked on the laptop."""
    if "top" not in _made:
        run(["meson", "compile", "-C", BUILD, "lab-archive"], timeout=300).check(0)
        [name] = [name for name in os.listdir(os.path.join(BUILD, "docs/labs/archive")) if name.endswith(".tar.gz")]
        top = os.path.join(base(), "laptop")
        os.mkdir(top, 0o755)
        with tarfile.open(os.path.join(BUILD, "docs/labs/archive", name)) as archive:
            archive.extractall(top)
        _made["top"] = os.path.join(top, name[:-len(".tar.gz")])
    return _made["top"]


def chapters():
    return [name[:-3] for name in sorted(os.listdir(os.path.join(unpacked(), "share/nsrun/labs"))) if re.match(r"[a-z].*\.md$", name)]


# What the page says.
PRIVILEGED = ("--privileged", "-v", "lab:/root")
FIRST = ("-v", "mine:/mine", "busybox", "chmod", "1777", "/mine")
MINE = ("--user", "1000:1000", "-v", "mine:/mine", "-e", "HOME=/mine")
DOCKER_LEAST = (*MINE, "--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined", "-v", "/sys:/sys")
PODMAN_ORDINARY = (*MINE, "--privileged")


def play(run, options, ordinary):
    """Each chapter holds, or says that this container cannot play it."""
    found = run(*options, "--network", "none", "-v", unpacked() + ":/lab:ro", "busybox", "/lab/start", "solve", *chapters(), timeout=300)
    lines = found.stdout.splitlines()
    wrong = [at for at, line in enumerate(lines) if line.startswith("/lab/share/nsrun/labs/") or " does not hold here: " in line]
    if found.status or wrong:
        fail("%s: status %d\n%s" % (options, found.status, "\n".join("    " + "\n    ".join(lines[max(0, at - 3):at + 4]) for at in wrong) or repr(found)))
    skipped = re.findall(r"^skipped: (\S+): ", found.stdout, re.M)
    equal(sorted(re.findall(r"^lab: (\S+): holds\.", found.stdout, re.M) + skipped), chapters(), "chapters that were played with %s" % (options,))
    check({"uts", "ipc", "pid", "mount", "user", "network", "capabilities", "seccomp", "launch"}.isdisjoint(skipped), "skipped: %s" % skipped)
    if ordinary:
        check("break-setuid" in skipped, "a chapter for several ids was played with one")


def play_all(plays):
    """At the same time: most of a chapter is waiting."""
    unpacked()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for done in [pool.submit(play, *one) for one in plays]:
            done.result()


@test(timeout=300)
def test_docker():
    docker = Docker()
    docker.image()
    started = lambda *words, **how: docker("run", "--rm", *words, **how)
    started(*FIRST).check(0)
    # runc applies all capabilities or none, and a machine without CAP_SYS_RESOURCE has not all: the privileged one is this runtime's.
    play_all([(started, PRIVILEGED, False), (lambda *words, **how: started("--runtime", "runc", *words, **how), DOCKER_LEAST, True)])
    # What was done is there again in the next container.
    where = started(*PRIVILEGED, "-v", unpacked() + ":/lab:ro", "busybox", "/bin/sh", "-c", "printf '\\nb\\n' | /lab/start uts >/dev/null")
    where.check(0)
    contains(started(*PRIVILEGED, "-v", unpacked() + ":/lab:ro", "busybox", "/lab/start").check(0).stdout, "Go on with: nsrun lab uts")


@test(timeout=300)
def test_podman():
    podman, ordinary = Podman(), Podman("rootless", who=ranger())
    for engine in (podman, ordinary):
        engine("import", busybox_tar(), "busybox").check(0)
    ordinary("run", "--rm", *FIRST).check(0)
    play_all([(lambda *words, **how: podman("run", "--rm", *words, **how), PRIVILEGED, False),
              (lambda *words, **how: ordinary("run", "--rm", *words, **how), PODMAN_ORDINARY, True)])


if __name__ == "__main__":
    main()
