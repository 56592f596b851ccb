# SPDX-License-Identifier: Apache-2.0
"""quickstart and tests/run: what they say, which ids quickstart chooses, and what they refuse. What quickstart does is the clean-tree
suite's business."""
import os

from harness import *

QUICKSTART = os.path.join(TOP, "quickstart")
RUN = os.path.join(TOP, "tests/run")


def planned(subuid, subgid, passwd=""):
    """quickstart --dry-run with these files; returns the lines that it would add, and the owner of the rootfs if it says one."""
    remove_user("dummy")
    for path, text in (("/etc/subuid", subuid), ("/etc/subgid", subgid)):
        with open(path, "w") as file:
            file.write(text)
    with open("/etc/passwd") as file:
        before = file.read()
    with open("/etc/passwd", "a") as file:
        file.write(passwd)
    try:
        output = run([QUICKSTART, "--dry-run"]).check(0).stdout
    finally:
        with open("/etc/passwd", "w") as file:
            file.write(before)
        for path in ("/etc/subuid", "/etc/subgid"):
            with open(path) as file:
                equal(file.read(), subuid if path == "/etc/subuid" else subgid, path)
            with open(path, "w"):
                pass
    return [line.split("add ")[1] for line in output.splitlines() if line.startswith("      add ")]


@test(root=True)
def test_the_usual_range():
    equal(planned("", ""), ["dummy:100000:65536 to /etc/subuid", "dummy:100000:65536 to /etc/subgid"], "added")


@generate(root=True)
def taken_ranges():
    """(name, subuid, subgid, passwd, first): the first range that meets nobody's."""
    for name, subuid, subgid, passwd, first in (
            ("the_same", "a:100000:65536\n", "a:100000:65536\n", "", 165536),
            ("last_id_meets", "a:90000:10001\n", "", "", 165536),
            ("just_below", "a:90000:10000\n", "", "", 100000),
            ("first_id_meets", "", "a:165535:1\n", "", 165536),
            ("just_above", "", "a:165536:1\n", "", 100000),
            ("two", "a:100000:65536\n", "b:165536:65536\n", "", 231072),
            ("leading_zeros", "a:000100000:0065536\n", "", "", 165536),
            ("a_user_of_the_host", "", "", "a:x:100005:100005::/:/bin/sh\n", 165536),
            ("no_newline", "a:100000:65536", "", "", 165536)):
        def case(subuid=subuid, subgid=subgid, passwd=passwd, first=first):
            why = "" if first == 100000 else " (ids from 100000 on are in use)"
            equal(planned(subuid, subgid, passwd), ["dummy:%d:65536 to /etc/sub%sid%s" % (first, letter, why) for letter in "ug"], "added")
        yield name, case


@test(root=True)
def test_what_is_there_is_kept():
    equal(planned("dummy:200000:65536\n", "dummy:300000:65536\n"), [], "added")
    equal(planned("dummy:200000:65536\n", ""), ["dummy:100000:65536 to /etc/subgid"], "added")


@test(root=True)
def test_exhausted():
    everything = "a:1:4294967294\n"
    remove_user("dummy")
    with open("/etc/subuid", "w") as file:
        file.write(everything)
    try:
        run([QUICKSTART, "--dry-run"]).check(1, stderr="no free range of 65536 ids")
    finally:
        with open("/etc/subuid", "w"):
            pass


def test_quickstart_usage():
    contains(run([QUICKSTART, "--help"]).check(0).stdout, "--dry-run", "--help")
    run([QUICKSTART, "--no-such-option"]).check(2, stderr="unknown argument --no-such-option")


@test(root=True)
def test_quickstart_without_root():
    who = make_user("starter")
    copy = os.path.join(tmp(mode=0o755), "quickstart")
    with open(QUICKSTART) as source, open(copy, "w") as target:
        target.write(source.read())
    os.chmod(copy, 0o755)
    run([copy], user=who).check(1, "", stderr="need root: sudo ./quickstart")
    contains(run([copy, "--dry-run"], user=who).check(0).stdout, "quickstart will:", "--dry-run")


def test_tests_run_usage():
    suites = ["lint", "unit", "integration", "sanitizer", "fault", "engines", "vm", "bench", "clean-tree"]
    equal(run([RUN, "--list"]).check(0).stdout.split(), suites, "suites")
    contains(run([RUN, "--help"]).check(0).stdout, "clean-tree", "--help")
    run([RUN, "nonsense"]).check(2, stderr="no suite nonsense")
    run([RUN, "--nonsense"]).check(2, stderr="unknown option --nonsense")


def test_tests_run_without_signals_and_input():
    """As `tests/run &` in a script has it: SIGINT and SIGQUIT ignored, and nothing to read."""
    script = "trap '' INT QUIT; exec \"$0\" --list <&-"
    equal(len(run(["/bin/bash", "-c", script, RUN]).check(0).stdout.split()), 9, "suites")


def test_first_screen_of_the_readme():
    """The two commands, and nothing else to be typed before them."""
    with open(os.path.join(TOP, "README.md"), encoding="utf-8") as file:
        lines = file.read().splitlines()
    equal([line.strip() for line in lines[:10] if line.startswith("    ")], ["sudo ./quickstart", "sudo tests/run"], "commands")


def test_continuous_integration_runs_the_same():
    with open(os.path.join(TOP, ".ci/run"), encoding="utf-8") as file:
        contains(file.read(), "exec tests/run", ".ci/run")
    check(os.access(os.path.join(TOP, ".ci/run"), os.X_OK), ".ci/run is not executable")


if __name__ == "__main__":
    main()
