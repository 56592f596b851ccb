# SPDX-License-Identifier: Apache-2.0
"""Flags before the command, as engines say them, and where messages go then."""
import json
import os
import re

from harness import *

REFUSED = 125


def failing(words, status):
    """stderr of a line that fails for want of a container."""
    result = nsrun(words).check(status, stdout="")
    contains(result.stderr, "nope")
    return result.stderr


def test_exit_status_of_an_engines_line():
    root = os.path.join(tmp(), "root")
    failing(["kill", "nope"], REFUSED)
    failing(["--root", root, "kill", "nope"], 1)
    failing(["--debug", "kill", "nope", ], 1)
    failing(["--root", root, "exec", "nope", "true"], 255)


def test_one_dash_and_either_form():
    root = os.path.join(tmp(), "root")
    for words in (["-root", root], ["-root=" + root], ["--root=" + root], ["--debug", "-root", root, "-systemd-cgroup"],
                  ["--root", "/nonexistent", "--root", root], ["--rootless=true", "--root", root], ["--criu", "x"],
                  ["--cgroup-manager", "cgroupfs"], ["--cgroup-manager=disabled", "--root", root]):
        failing(words + ["rm", "nope"], 1)


def test_log_as_json_and_as_text():
    log, root = os.path.join(tmp(), "log"), os.path.join(tmp(), "root")
    for _ in range(2):
        failing(["--root", root, "--log", log, "--log-format", "json", "rm", "nope"], 1)
    with open(log) as file:
        lines = [json.loads(line) for line in file]
    equal(len(lines), 2, "lines of the log")
    equal(sorted(lines[1]), ["level", "msg", "time"], "keys")
    equal(lines[1]["level"], "error", "level")
    contains(lines[1]["msg"], "nope")
    check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", lines[1]["time"]), lines[1]["time"])
    failing(["--root", root, "--log", log + ".text", "rm", "nope"], 1)
    with open(log + ".text") as file:
        check(re.fullmatch(r'time="[^"]+" level=error msg="nsrun: nope.*"\n', file.read()), "a line of text")


def test_a_root_of_its_own():
    root = os.path.join(tmp(), "deep", "er", "root")
    equal(nsrun(["--root", root, "ls", "-aq"]).check(0).stdout, "", "containers of an empty root")


def test_wrong_words():
    root = os.path.join(tmp(), "root")
    contains(nsrun(["--root", root]).check(REFUSED).stderr, "ROOTFS")
    contains(nsrun(["--root", root, "crate"]).check(REFUSED).stderr, "crate")
    contains(nsrun(["--root"]).check(REFUSED).stderr, "needs a value")
    contains(nsrun(["--log-format", "xml", "rm", "nope"]).check(REFUSED).stderr, "xml")
    contains(nsrun(["--log", "/nonexistent/log", "rm", "nope"]).check(1).stderr, "/nonexistent/log")


def test_words_of_docker():
    """ps is runc's; who means docker's is told."""
    for words in (["ps"], ["ps", "-a"]):
        contains(nsrun(words).check(1, stdout="").stderr, "nsrun ls")
    for words in (["run", "-it", "alpine", "sh"], ["run", "--rm", "-it", "alpine", "sh"], ["run", "alpine", "sh"],
                  ["create", "--name", "web", "alpine"]):
        said = nsrun(words).check(1, stdout="").stderr
        contains(said, "makes and starts one")
        contains(said, "rootfs-scripts/busybox")


if __name__ == "__main__":
    main()
