# SPDX-License-Identifier: Apache-2.0
"""What the suites of Python tests share: reading what a file said, and running again, alone, what failed among others.

A test that fails while everything runs at once and passes alone tells more often of the test (or of a race in the product) than of the change
under test. Its first failure is shown in full, a line "unsteady: NAME (...)" names it, and it does not fail the suite. One that fails alone too
is a failure, as are a report of a sanitizer, which no load explains, and more failures than chance makes.

The harness ends its output with a line "failed: NAME" for each test that may be run again and "failed for good: NAME" for others.
"""
import re

TRIES = 2    # runs alone
CHANCE = 8   # more failures than this in a suite are no matter of chance
SUMMARY = re.compile(r"([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped")


class Report:
    """What one process of tests said. name: of the file or boot; status: its exit status."""

    def __init__(self, name, text, status):
        self.name, self.status, self.lines = name, status, []
        self.counts, self.failed, self.final = [0, 0, 0], [], []
        summaries = 0
        for line in text.splitlines():
            match = SUMMARY.fullmatch(line)
            if match:
                self.counts = [a + int(b) for a, b in zip(self.counts, match.groups())]
                summaries += 1
            elif line.startswith("failed: "):
                self.failed.append(line.partition(": ")[2])
            elif line.startswith("failed for good: "):
                self.final.append(line.partition(": ")[2])
            else:
                self.lines.append(line)
        # One that dies, or fails without saying so, is one failure, and is run again as a whole.
        self.died = not summaries or not sum(self.counts) or (status != 0) != (self.counts[1] > 0)
        if self.died:
            self.counts[1] += 1
            self.lines.append("FAIL %s: ended with status %d and %s" % (name, status, "without a summary" if not summaries else "%d failed tests" % (
                self.counts[1] - 1)))

    @property
    def ok(self):
        return not self.died and not self.counts[1]

    def failure_of(self, test):
        """The lines that tell of this test's failure: up to the next verdict."""
        out = []
        for line in self.lines:
            if out and re.match(r"(ok|FAIL|skip) [a-z0-9_]+\.", line):
                break
            if out or line == "FAIL " + test or line.startswith("FAIL %s: " % test):
                out.append(line)
        return out or self.lines[-30:]


def again(reports, alone, strict=False, say=print):
    """reports: [(key, Report)] of what ran together. alone(key, tests) runs these tests of it (None: all) by themselves and returns a Report.
    Returns the counts of all, and the names of those that were unsteady."""
    counts, unsteady = [0, 0, 0], []
    for _, report in reports:
        counts = [a + b for a, b in zip(counts, report.counts)]
    todo = []
    for key, report in reports:
        if report.died:
            todo.append((key, report, None))
        else:
            todo += [(key, report, test) for test in report.failed]
    if strict or not todo:
        return counts, unsteady
    if len(todo) > CHANCE:
        say("%d failures are no matter of chance: none is run again" % len(todo))
        return counts, unsteady
    for key, report, test in todo:
        name = test or report.name
        for attempt in range(1, TRIES + 1):
            second = alone(key, test and [test])
            passed, failed, skipped = second.counts
            if second.ok and passed and (test is None or not skipped):
                unsteady.append(name)
                # What was counted as a failure has passed; of a file that died, whatever it had not come to, too.
                if test:
                    counts[0], counts[1] = counts[0] + 1, counts[1] - 1
                else:
                    counts = [a - b + c for a, b, c in zip(counts, report.counts, second.counts)]
                say("----- unsteady: the failure of %s among others, which %s alone:" % (name, "passed" if attempt == 1 else "failed once more, then passed"))
                say("\n".join("    " + line for line in (report.failure_of(test) if test else report.lines[-60:])))
                say("-----")
                say("unsteady: %s (failed once in parallel, %spassed alone)" % (name, "" if attempt == 1 else "failed alone, then "))
                break
            say("----- %s, alone (%d of %d): failed as well\n%s" % (name, attempt, TRIES, "\n".join("    " + line for line in second.lines[-60:])))
            if second.final:
                break
    return counts, unsteady
