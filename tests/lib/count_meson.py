# SPDX-License-Identifier: Apache-2.0
"""Sums up the TAP output of cmocka programs that meson ran: count_meson.py testlog.json"""
import json
import re
import sys


def main():
    passed = failed = skipped = 0
    with open(sys.argv[1], encoding="utf-8", errors="replace") as log:
        for line in log:
            test = json.loads(line)
            output = test.get("stdout") or ""
            ok = bad = skip = 0
            for tap in output.splitlines():
                if re.match(r"(not )?ok \d+ # SKIP", tap):
                    skip += 1
                    print(f"SKIP {test['name']}: {tap.split('# SKIP', 1)[1].strip()}")
                elif re.match(r"ok \d+", tap):
                    ok += 1
                elif re.match(r"not ok \d+", tap):
                    bad += 1
                    print(f"FAIL {test['name']}: {tap}")
            # A program that crashed, ran out of time or reported nothing is one failure.
            if test["result"] not in ("OK", "SKIP", "EXPECTEDFAIL") and bad == 0:
                bad = 1
                print(f"FAIL {test['name']}: {test['result']}")
            elif test["result"] == "SKIP" and ok + bad + skip == 0:
                skip = 1
                print(f"SKIP {test['name']}")
            elif ok + bad + skip == 0:
                bad = 1
                print(f"FAIL {test['name']}: no test was reported")
            passed, failed, skipped = passed + ok, failed + bad, skipped + skip
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return failed != 0


sys.exit(main())
