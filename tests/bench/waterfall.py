#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where the time of a launch goes: rows of `nsrun --trace=json` as text and as SVG.

    waterfall.py TRACE.json [--svg FILE]        one launch; "-" is standard input
"""
import argparse
import html
import json
import statistics
import sys

COLOURS = {"runtime": "#3b6ea8", "init": "#c46a2b", "workload": "#4f8a4c"}  # told apart in grey as well, and the text says the role
TEXT_COLUMNS = 60


def read(stream):
    rows = []
    for line in stream:
        event = json.loads(line)
        rows.append({"step": event["step"], "role": event["role"], "begin": event["begin_us"], "took": event["duration_us"]})
    return rows


def medians(launches):
    """One launch of the medians: of each row's begin and duration."""
    steps = {}
    for rows in launches:
        for row in rows:
            entry = steps.setdefault(row["step"], {"role": row["role"], "begin": [], "took": []})
            entry["begin"].append(row["begin"])
            entry["took"].append(row["took"] or 0)
    rows = [{"step": step, "role": entry["role"], "begin": statistics.median(entry["begin"]), "took": statistics.median(entry["took"])}
            for step, entry in steps.items()]
    return sorted(rows, key=lambda row: row["begin"])


def span(rows):
    return max((row["begin"] + (row["took"] or 0) for row in rows), default=1) or 1


def text(rows):
    whole, out = span(rows), []
    for row in rows:
        left = int(row["begin"] / whole * TEXT_COLUMNS)
        width = max(1, round((row["took"] or 0) / whole * TEXT_COLUMNS))
        bar = (" " * left + {"runtime": "=", "init": "#", "workload": "+"}[row["role"]] * width)[:TEXT_COLUMNS + 1]
        out.append("%-22s %-8s %8.0f us |%-*s|" % (row["step"], row["role"], row["took"] or 0, TEXT_COLUMNS + 1, bar))
    out.append("%-22s %-8s %8.0f us   = runtime   # init   + workload" % ("from first to last", "", whole))
    return "\n".join(out) + "\n"


def svg(rows, title="nsrun: one launch"):
    """Self-contained; readable on light and dark ground, and when printed."""
    whole, line, left, right, top = span(rows), 16, 150, 70, 46
    width, height = 900, top + line * len(rows) + 34
    scale = (width - left - right) / whole
    out = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11" role="img" '
           'aria-label="%s">' % (width, height, html.escape(title)),
           "<style>text{fill:#222}.g{stroke:#999;stroke-width:.5}"
           "@media(prefers-color-scheme:dark){text{fill:#ddd}svg{background:#1b1b1b}}</style>",
           '<text x="8" y="18" font-size="14">%s: %.0f microseconds from the first row to the last</text>' % (html.escape(title), whole)]
    x = 8
    for role, colour in COLOURS.items():
        out.append('<rect x="%d" y="27" width="10" height="10" fill="%s"/><text x="%d" y="36">%s</text>' % (x, colour, x + 14, role))
        x += 90
    step = 10 ** (len(str(int(whole))) - 1)
    step = step if whole / step >= 4 else step / 2
    at = 0
    while at <= whole:
        gx = left + at * scale
        out.append('<line class="g" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/><text x="%.1f" y="%d" text-anchor="middle">%g</text>' % (
            gx, top - 2, gx, height - 24, gx, height - 10, at))
        at += step
    for i, row in enumerate(rows):
        y, took = top + line * i, row["took"] or 0
        out.append('<g><title>%s (%s): begins at %.0f us, takes %.0f us</title><text x="%d" y="%d" text-anchor="end">%s</text>'
                   '<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/><text x="%.1f" y="%d">%.0f</text></g>' % (
                       html.escape(row["step"]), row["role"], row["begin"], took, left - 6, y + 11, html.escape(row["step"]),
                       left + row["begin"] * scale, y + 2, max(1.0, took * scale), line - 4, COLOURS[row["role"]],
                       left + (row["begin"] + took) * scale + 4, y + 11, took))
    out.append("</svg>\n")
    return "\n".join(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace", help="output of --trace=json")
    parser.add_argument("--svg", help="write the plot to this file, too")
    args = parser.parse_args()
    if args.trace == "-":
        rows = read(sys.stdin)
    else:
        with open(args.trace, encoding="utf-8") as f:
            rows = read(f)
    sys.stdout.write(text(rows))
    if args.svg:
        with open(args.svg, "w", encoding="utf-8") as f:
            f.write(svg(rows))


if __name__ == "__main__":
    main()
