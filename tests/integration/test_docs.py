# SPDX-License-Identifier: Apache-2.0
"""The documents say what the program does: tables made from the score and the options have not drifted, links lead somewhere."""
import glob
import os
import re
import subprocess

from harness import *

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def build():
    return os.path.dirname(built("NSRUN_RELEASE"))


def read(*words):
    with open(os.path.join(TOP, *words), encoding="utf-8") as f:
        return f.read()


@test()
def test_architecture_has_the_score():
    result = run([os.path.join(TOP, "docs/update"), build(), "--check"])
    equal(result.status, 0, "docs/update --check: %s" % result.stderr)


@test()
def test_drift_is_noticed():
    """The check above can fail: one changed word of the table is found."""
    page = read("docs/architecture.md")
    table = run([os.path.join(build(), "docs/print-score")]).check(0).stdout
    contains(page, table, "docs/architecture.md")
    check(table.replace("| init.clone |", "| init.fork |") not in page, "a changed table was found in the page")


@test()
def test_score_table_names_every_row():
    table = run([os.path.join(build(), "docs/print-score")]).check(0).stdout
    names = re.findall(r'^STEP\(\w+, "([^"]+)"', read("include/nsrun/launch/score_table.h"), re.M)
    check(len(names) > 40, "only %d rows were found in score_table.h" % len(names))
    for name in names:
        contains(table, "| %s |" % name, "print-score")


@test()
def test_manual_page_has_every_option():
    page = open(os.path.join(build(), "docs/man/nsrun.1"), encoding="utf-8").read().replace("\\-", "-")
    options = re.findall(r"(--[a-z][a-z-]+)", nsrun(["--help"]).check(0).stdout)
    check(len(set(options)) > 20, "--help names only %s" % options)
    for option in set(options):
        contains(page, option, "nsrun.1")


@test()
def test_links_lead_somewhere():
    pages = [p for p in glob.glob(os.path.join(TOP, "**/*.md"), recursive=True) if not re.search(r"/build[^/]*/", p)]
    check(len(pages) > 5, "only %s" % pages)
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", open(page, encoding="utf-8").read()):
            if re.match(r"[a-z]+:", target):
                continue
            path = os.path.join(os.path.dirname(page), target)
            check(os.path.exists(path), "%s: link to %s" % (os.path.relpath(page, TOP), target))


@test()
def test_readme_has_the_two_commands():
    first_screen = "\n".join(read("README.md").splitlines()[:40])
    contains(first_screen, "sudo ./quickstart", "the first screen of README.md")
    contains(first_screen, "sudo tests/run", "the first screen of README.md")


if __name__ == "__main__":
    main()
