# SPDX-License-Identifier: Apache-2.0
"""What runs the files of tests, tests/lib/run_files: a test that fails among others is run again alone, and nothing else is forgiven."""
import os

from harness import *

RUNNER = os.path.join(TOP, "tests/lib/run_files")
HEAD = """
import os, sys, time
sys.path.insert(0, %r)
from harness import *
MARK = %%r
def times(name):
    with open(os.path.join(MARK, name), "a+") as file:
        file.write("x")
        file.seek(0)
        return len(file.read())
def test_good():
    times("good")
""" % os.path.join(TOP, "tests/integration")


def runner(bodies, *options, strict="0"):
    """Files of these bodies; returns the result and how often each of their tests ran."""
    directory, marks = tmp("files-%d" % len(os.listdir(tmp()))), tmp("marks-%d" % len(os.listdir(tmp())))
    paths = []
    for name, body in bodies.items():
        paths.append(os.path.join(directory, "test_%s.py" % name))
        with open(paths[-1], "w") as file:
            file.write(HEAD % marks + body + "\nmain()\n")
    result = run([RUNNER, *options, *paths], env={"NSRUN_TEST_STRICT": strict})
    return result, {name: os.path.getsize(os.path.join(marks, name)) for name in os.listdir(marks)}


def last(result):
    return result.stdout.splitlines()[-1]


ONCE = """
def test_once():
    check(times("once") > %d, "the first line\\nthe second line")
"""


def test_once():
    """It passes alone: named with its whole failure, and no failure of the suite; the others of its file are not run again."""
    result, ran = runner({"a": ONCE % 1, "b": ""})
    result.check(0)
    equal(last(result), "3 passed, 0 failed, 0 skipped", "summary")
    contains(result.stdout, "\nunsteady: a.once (failed once in parallel, passed alone)\n")
    contains(result.stdout, "    FAIL a.once: the first line\n    the second line\n-----\n")
    equal(ran, {"good": 2, "once": 2}, "times that each ran")


def test_twice():
    result, ran = runner({"a": ONCE % 2})
    result.check(0)
    contains(result.stdout, "\nunsteady: a.once (failed once in parallel, failed alone, then passed alone)\n")
    equal(ran["once"], 3, "times")


def test_always():
    result, ran = runner({"a": ONCE % 99, "b": ""})
    result.check(1)
    equal((last(result), "unsteady" in result.stdout), ("2 passed, 1 failed, 0 skipped", False), "summary")
    equal(ran["once"], 3, "times")


def test_strict():
    for options, strict in ((["--strict"], "0"), ([], "1")):
        result, ran = runner({"a": ONCE % 1}, *options, strict=strict)
        result.check(1)
        equal((last(result), ran["once"]), ("1 passed, 1 failed, 0 skipped", 1), "summary and times")


def test_one_case_of_many():
    """Only the case that failed runs again, whatever its name has in it."""
    result, ran = runner({"a": """
@generate
def cases():
    for name in ("one: two", "three [x]", "three"):
        yield name, lambda name=name: check(times(name.split()[0]) > 1 or name != "one: two", name)
"""})
    result.check(0)
    contains(result.stdout, "unsteady: a.cases[one: two] (")
    equal((last(result), ran), ("4 passed, 0 failed, 0 skipped", {"good": 1, "one:": 2, "three": 2}), "summary and times")


def test_skip_is_no_pass():
    result, _ = runner({"a": """
def test_x():
    check(times("x") > 1, "no")
    skip("not now")
"""})
    result.check(1)
    equal(last(result), "1 passed, 1 failed, 0 skipped", "summary")


def test_sanitizer_is_not_forgiven():
    result, ran = runner({"a": """
def test_x():
    check(times("x") > 1, "==1==ERROR: AddressSanitizer: heap-use-after-free")
"""})
    result.check(1)
    equal((last(result), ran["x"]), ("1 passed, 1 failed, 0 skipped", 1), "summary and times")


def test_many_are_not_forgiven():
    result, ran = runner({"a": """
@generate
def cases():
    for n in range(9):
        yield str(n), lambda n=n: check(times("n%d" % n) > 1, "no")
"""})
    result.check(1)
    contains(result.stdout, "9 failures are no matter of chance")
    equal((last(result), set(ran.values())), ("1 passed, 9 failed, 0 skipped", {1}), "summary and times")


def test_file_that_dies():
    """Once: the whole file runs again. Always, by a signal, or without tests: one failure."""
    result, ran = runner({"a": "\ndef test_x():\n    if times('x') == 1:\n        os._exit(0)\n"})
    result.check(0)
    contains(result.stdout, "ended with status 0 and without a summary")
    equal((last(result), ran), ("2 passed, 0 failed, 0 skipped", {"good": 2, "x": 2}), "summary and times")
    result, ran = runner({"a": "\ndef test_x():\n    times('x')\n    os.kill(os.getpid(), 9)\n", "b": ""})
    result.check(1)
    equal((last(result), ran["x"]), ("1 passed, 1 failed, 0 skipped", 3), "summary and times")
    result, _ = runner({"a": "\nsys.exit(0)\n"})
    result.check(1)
    equal(last(result), "0 passed, 1 failed, 0 skipped", "summary")


def test_no_files():
    run([RUNNER]).check(1, "no test files\n0 passed, 1 failed, 0 skipped")


def test_alone():
    """A file that asks for it runs when no other does."""
    body = "\ndef test_x():\n    times('b' + sys.argv[0])\n    time.sleep(0.3)\n    times('e')\n"
    alone = "# tests/run: alone\n\ndef test_y():\n    equal(os.path.getsize(os.path.join(MARK, 'e')), 2, 'others that have ended')\n"
    directory, marks = tmp("files"), tmp("marks")
    paths = []
    for name, text in (("alone", alone), ("b", ""), ("c", "")):
        paths.append(os.path.join(directory, "test_%s.py" % name))
        with open(paths[-1], "w") as file:
            file.write(("# tests/run: alone\n" if name == "alone" else "") + HEAD % marks + (text or body).replace("'b' + sys.argv[0]", "'b'") + "\nmain()\n")
    result = run([RUNNER, "--jobs", "3", *paths]).check(0)
    equal(last(result), "6 passed, 0 failed, 0 skipped", "summary")


if __name__ == "__main__":
    main()
