# SPDX-License-Identifier: Apache-2.0
"""The static program helper.c, and the short forms of a launch that the behaviour tests share."""
import os
import shutil
import subprocess

from faces import nsrun
from harness import base, descendants, dummy, rootfs, wait_for

_HERE = os.path.dirname(os.path.abspath(__file__))


def helper():
    """helper.c as a static program that every user may execute; NSRUN_HELPER is one where compiling takes long."""
    if os.environ.get("NSRUN_HELPER"):
        return os.environ["NSRUN_HELPER"]
    path = os.path.join(base(), "helper")
    if not os.path.exists(path):
        subprocess.run(["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O1", "-static", "-o", path, os.path.join(_HERE, "helper.c")],
                       check=True)
        os.chmod(path, 0o755)
    return path


def install_helper(tree):
    """Puts it in as /helper, owned as the tree's root is. Returns the tree."""
    target = os.path.join(tree, "helper")
    if not os.path.exists(target):
        shutil.copy(helper(), target)
        os.chmod(target, 0o755)
        root = os.stat(tree)
        os.chown(target, root.st_uid, root.st_gid)
    return tree


def tree(**how):
    """A rootfs of dummy's range (or as rootfs() is told) with the helper in it."""
    if "owner" not in how:
        how["owner"] = dummy()
    return install_helper(rootfs(**how))


def remapped(options, *command, **how):
    """nsrun --userns-remap dummy OPTIONS TREE COMMAND. options: a list, or one string of words."""
    options = options.split() if isinstance(options, str) else list(options)
    return nsrun(["--userns-remap", dummy().name] + options + [tree()] + list(command), **how)


def shell(script, options="", **how):
    """The same with /bin/sh -c SCRIPT."""
    return remapped(options, "/bin/sh", "-c", script, **how)


def executes(pid, name):
    """Waits until a process below this one is this program: around execve busybox ash loses signals, SIGQUIT above all."""
    def found():
        for child in descendants(pid):
            try:
                with open("/proc/%d/comm" % child) as file:
                    if file.read() == name + "\n":
                        return True
            except OSError:  # it ended meanwhile
                pass
        return False
    wait_for(found, "%s is executed" % name)


def pairs(text):
    """{first word: rest} of lines."""
    return dict(line.split(None, 1) for line in text.splitlines() if " " in line)


def status_fields(text):
    """{name: value} of /proc/PID/status."""
    return {key: value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}


def refused(result, *words, status=125):
    """nsrun refused: this status, a message on stderr that names each of these, and nothing on stdout. A word that is a
    tuple is one of several."""
    result.check(status)
    if result.stdout:
        raise AssertionError("a refusal wrote to stdout: %r" % result)
    for word in words:
        any_of = word if isinstance(word, tuple) else (word,)
        if not any(one.lower() in result.stderr.lower() for one in any_of):
            raise AssertionError("the message names none of %r: %r" % (any_of, result))
    return result
