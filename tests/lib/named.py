# SPDX-License-Identifier: Apache-2.0
"""Tests as docs/oci-coverage.tsv and tests/conformance/requirements.tsv name them: FILE.NAME of tests/integration, unit:FILE.NAME of tests/unit, and
vm:FILE.NAME, engines:FILE.NAME, fault:FILE.NAME of those directories."""
import os
import re

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DIRECTORIES = ("unit", "vm", "engines", "fault")


def split(word):
    """(directory below tests, file, name)"""
    kind, colon, rest = word.partition(":")
    if not colon:
        kind, rest = "integration", word
    elif kind not in DIRECTORIES:
        raise ValueError("%s: no such directory of tests" % word)
    file, dot, name = rest.partition(".")
    if not (dot and file and name):
        raise ValueError("%s: FILE.NAME is wanted" % word)
    return kind, file, name


def path_of(word):
    """Relative to the top."""
    kind, file, _ = split(word)
    return "tests/%s/test_%s.%s" % (kind, file, "c" if kind == "unit" else "py")


_texts = {}


def exists(word):
    """Is there a function of that name that the runner takes for a test?"""
    try:
        path, name = path_of(word), split(word)[2]
    except ValueError:
        return False
    if path not in _texts:
        _texts[path] = ""
        if os.path.exists(os.path.join(TOP, path)):
            with open(os.path.join(TOP, path), encoding="utf-8") as file:
                _texts[path] = file.read()
    if path.endswith(".c"):
        return bool(re.search(r"^static void (test_)?%s\(void \*\*" % re.escape(name), _texts[path], re.M))
    return bool(re.search(r"^def test_%s\(\):|^@generate\b.*\ndef %s\(\):" % (re.escape(name), re.escape(name)), _texts[path], re.M))


def rows(path, columns):
    """The rows of a table whose columns are apart by tabs, each filled up to `columns`."""
    out = []
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        for line in file:
            if not line.startswith("#"):
                row = line.rstrip("\n").split("\t")
                out.append(tuple(row + [""] * (columns - len(row))))
    return out


COVERAGE = "docs/oci-coverage.tsv"
REQUIREMENTS = "tests/conformance/requirements.tsv"
RESULTS = "tests/conformance/results.tsv"


def coverage():
    """[(field, tests that look at the kernel, others, what is missing)]"""
    out = []
    for field, tests, missing in rows(COVERAGE, 3):
        kernel, _, others = tests.partition("|")
        out.append((field, kernel.split(), others.split(), missing))
    return out


def requirements():
    """[(page, section, sentence, tests, remark)]"""
    return [(page, section, sentence, tests.split(), remark) for page, section, sentence, tests, remark in rows(REQUIREMENTS, 5)]


NOT_RUN = "not run"


def result_of(tests, results, remark):
    """Of a sentence: the worst of its tests. Where one of several ran and passed, those for other machines do not count. What is not met says so in its remark."""
    got = [results.get(word, NOT_RUN) for word in tests]
    if not tests:
        return "no test"
    if "FAIL" in got:
        return "FAIL"
    if not any(one.startswith("pass") for one in got):
        return got[0]
    return "pass, but for the remark" if remark.startswith("Not met") else "pass"
