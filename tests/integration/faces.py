# SPDX-License-Identifier: Apache-2.0
"""One test for both faces. `nsrun` here is harness.nsrun, but for a launch in a test marked by @both: its line, OPTIONS ROOTFS CMD, is made into a
config.json by --spec, and that bundle runs as engines do it. The faces:

    run          nsrun OPTIONS ROOTFS CMD
    bundle       nsrun run -b BUNDLE ID, with the same user namespace
    bundle-host  nsrun create, start, delete, without a user namespace: Docker's default

What a test wants of run holds for all: the bundle's exit statuses 1 and 255 of a failed launch are given as run's 125, 126 and 127."""
import itertools
import json
import os
import subprocess
import time

import harness
from harness import Result, binary, check, environment, generate, run_as, tmp, wait_for

FACES = ("run", "bundle", "bundle-host")
_now = ["run"]
_numbers = itertools.count()
COMMANDS = ("attach", "exec", "gc", "inspect", "kill", "logs", "ls", "pause", "ps", "rm", "run", "state", "stats", "stop", "top", "update", "wait")


def face():
    return _now[0]


def in_face(name, function):
    def call():
        _now[0] = name
        try:
            function()
        finally:
            _now[0] = "run"
    return call


def of(name, function, *args, **how):
    """function(...) in that face."""
    before, _now[0] = _now[0], name
    try:
        return function(*args, **how)
    finally:
        _now[0] = before


def both(*faces):
    """@both() or @both("run", "bundle"): the test once for each of them."""
    def mark(function):
        def cases():
            for name in faces or FACES:
                yield name, in_face(name, function)
        cases.__name__, cases.__module__, cases.__doc__ = function.__name__, function.__module__, function.__doc__
        return generate(root=True)(cases)
    return mark


def without_userns(args):
    """The line with --userns=host instead of what it says of a user namespace."""
    args, out = list(args), []
    while args:
        word = args.pop(0)
        if word == "--userns-remap":
            args.pop(0)
        else:
            out.append(word)
    return ["--userns=host", *out]


def config_of(args, user=None, change=None, **how):
    """config.json of a line, or the Result of a --spec that failed."""
    words = without_userns(args) if face() == "bundle-host" else list(args)
    told = harness.nsrun(["--spec", *words], user=user, **how)
    if told.status != 0:
        return told
    config = json.loads(told.stdout)
    if change:
        change(config)
    return config


def bundle_of(config, user=None):
    """Its directory, which may be made before the test's own goes."""
    path = tmp("bundle-%d" % next(_numbers), owner=user)
    with open(os.path.join(path, "config.json"), "w") as file:
        json.dump(config, file)
    os.chmod(os.path.join(path, "config.json"), 0o644)
    return path


def fresh_id():
    return "face-%d-%d" % (os.getpid(), next(_numbers))


def _as_run(result):
    """Its status as `nsrun OPTIONS ROOTFS CMD` would have it."""
    if result.status in (1, 255) and "nsrun: " in result.stderr:
        missing = any(word in result.stderr for word in ("[cmd-not-found]", "[interpreter-missing]", "no such file or directory"))
        result.status = 127 if missing else 126 if ": permission denied" in result.stderr else 125
    return result


def _ended(pid):
    """The exit status of an init, which is a child of this subreaper by now."""
    deadline = time.monotonic() + 30 * harness.SLOW * harness.PATIENCE
    while time.monotonic() < deadline:
        number, status = os.waitpid(pid, os.WNOHANG)
        if number:
            return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
        time.sleep(0.005)
    harness.fail("the workload did not end")


def _gated(directory, user=None, input=None, stdin=None, env=None, popen=None, **_):
    """create, start, the end of the workload, delete."""
    name, begin = fresh_id(), time.monotonic()
    argv = [binary(), "create", "-b", directory, name]
    with open(os.path.join(directory, "out"), "w+b") as out, open(os.path.join(directory, "err"), "w+b") as err, open(os.devnull, "rb") as null:
        if input is not None:
            stdin = open(os.path.join(directory, "in"), "w+b")
            stdin.write(input.encode() if isinstance(input, str) else input)
            stdin.seek(0)
        made = subprocess.run(argv, stdin=stdin or null, stdout=out, stderr=err, env=environment(user, env), cwd=harness.base(), **run_as(user), **(popen or {}))
        status = made.returncode
        if status == 0:
            pid = json.loads(harness.nsrun(["state", name], user=user).check(0).stdout)["pid"]
            started = harness.nsrun(["start", name], user=user)
            err.write(started.stderr_bytes)
            status = _ended(pid)
            status = started.status or status
            harness.nsrun(["delete", "--force", name], user=user).check(0)
        out.seek(0), err.seek(0)
        return Result(argv, status, out.read(), err.read(), time.monotonic() - begin)


def nsrun(args, user=None, **how):
    args = list(args)
    if face() == "run" or args[0] in COMMANDS:
        result = harness.nsrun(args, user=user, **how)
        return _as_run(result) if face() != "run" and args[0] == "exec" else result
    config = config_of(args, user=user)
    if isinstance(config, Result):
        return config
    directory = bundle_of(config, user)
    if face() == "bundle-host":
        return _as_run(_gated(directory, user=user, **how))
    return _as_run(harness.nsrun(["run", "-b", directory, fresh_id()], user=user, **how))


def argv_of(args, user=None):
    """What to start for this launch in the foreground, without the program's name; of a bundle, its id is the last."""
    if face() == "run":
        return list(args)
    config = config_of(args, user=user)
    check(not isinstance(config, Result), "--spec: %r" % (config,))
    return ["run", "-b", bundle_of(config, user), fresh_id()]
