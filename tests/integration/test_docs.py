# SPDX-License-Identifier: Apache-2.0
"""The documents say what the program does: tables made from the score and the options have not drifted, links lead somewhere."""
import glob
import os
import re
import shutil
import subprocess
import sys

from harness import *

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests/lib"))
import named


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


def coverage():
    """{field: [test]} of docs/oci-coverage.tsv."""
    rows = named.coverage()
    for field, kernel, others, missing in rows:
        check(field and kernel + others, "docs/oci-coverage.tsv: a field, its tests and what is missing are wanted, apart by tabs: %r" % field)
        check(kernel or missing, "docs/oci-coverage.tsv: %s: no test looks at the kernel, and no reason is said" % field)
        equal([word for word in kernel if word.startswith("unit:") or word.endswith("_refused")], [], "%s: tests that are said to look at the kernel" % field)
    equal(len({row[0] for row in rows}), len(rows), "fields that are there once")
    return {row[0]: row[1] + row[2] for row in rows}


@test()
def test_coverage_names_every_field():
    """tests/data/oci-fields.txt is the list of the specification's JSON schema."""
    fields = [line for line in read("tests/data/oci-fields.txt").splitlines() if not line.startswith("#")]
    check(len(fields) > 150, "only %d fields" % len(fields))
    equal(sorted(set(fields) ^ set(coverage())), [], "fields that are only in tests/data/oci-fields.txt or only in docs/oci-coverage.tsv")


@test()
def test_coverage_names_tests():
    equal(["%s: %s" % (field, word) for field, tests in coverage().items() for word in tests if not named.exists(word)], [], "tests that do not exist")


@test()
def test_names_of_tests_are_checked():
    """The check above can fail: a test of each directory is found, and none of another name, nor a helper."""
    for word in ("oci_config.root", "oci_linux.schedulers", "unit:oci_linux.rdt", "vm:labels.the_profile_holds", "engines:docker.%s" % next(
            iter(re.findall(r"^def test_(\w+)\(\):", read("tests/engines/test_docker.py"), re.M))), "fault:bundle.create_works"):
        check(named.exists(word), "%s is not found" % word)
    for word in ("oci_config.bundle", "oci_config.nope", "nope.root", "unit:oci_linux.read_end", "vm:oci_config.root", "lab:x.y", "root"):
        check(not named.exists(word), "%s is found" % word)


@test()
def test_attacks_name_tests():
    """Every class of attacks once; each test that the table names exists."""
    rows = [line.split("|")[1:-1] for line in read("docs/attacks.md").splitlines() if re.match(r"\| \d+ \|", line)]
    equal([int(row[0]) for row in rows], list(range(1, 46)), "classes")
    for row in rows:
        equal(len(row), 4, "cells of %r" % row)
        check(row[2].strip() and row[3].strip(), "neither a test nor a reason: %r" % row)
        for word in re.findall(r"`([a-z_]+\.[a-z_0-9]+)`", "".join(row)):
            name, function = word.split(".")
            check(re.search(r"(?m)^def (test_)?%s\(" % function, read("tests/integration/test_%s.py" % name)), "no test %s" % word)


def test_coverage_table_has_what_is_read():
    """Each key that runtime/oci asks a document for is a field of the table, as its last part."""
    known = {part for field in coverage() for part in re.findall(r"\w+", field)}
    asked = set()
    for path in glob.glob(os.path.join(TOP, "runtime/oci/config*.c")):
        with open(path) as file:
            asked |= set(re.findall(r'json_at_(?:key|string_of|bool_of|int_of|strings_of|u64_of)\([^,"]+, "(\w+)"', file.read()))
    check(len(asked) > 30, "only %d keys were found in runtime/oci" % len(asked))
    equal(sorted(asked - known), [], "keys that runtime/oci reads and the table lacks")


def commands():
    return nsrun(["--help"]).check(0).stdout.split("nsrun COMMAND [--help] [ARG...]")[1].split("Identity")[0].split()


@test()
def test_readme_lists_what_is_planned():
    """The options between README's marks are those that the table has as planned, and --help does not know them."""
    part = read("README.md").split("<!-- planned options")[1].split("<!-- end of planned options")[0]
    listed = re.findall(r"`--([a-z-]+)`", part)
    table = re.findall(r'\bPLANNED\(\w+,\s*"([a-z0-9-]+)"', read("runtime/cli/option_table.c"))
    equal(listed, table, "planned options of README.md")
    built_ = re.findall(r"--([a-z-]+)", nsrun(["--help"]).check(0).stdout)
    equal(sorted(set(listed) & set(built_)), [], "options that README.md has as planned and --help as built")


@test()
def test_manual_page_has_every_command():
    page = open(os.path.join(build(), "docs/man/nsrun.1"), encoding="utf-8").read().replace("\\-", "-")
    for name in commands():
        usage = nsrun([name, "--help"]).check(0).stdout.splitlines()[0].replace("Usage: ", "")
        contains(page, ".SS %s\n" % usage, "nsrun.1")


@test()
def test_site_page_has_every_key():
    page = open(os.path.join(build(), "docs/man/nsrun.json.5"), encoding="utf-8").read().replace("\\-", "-")
    options = set(re.findall(r"^ .{5}--([a-z-]+)", nsrun(["--help"]).check(0).stdout, re.M)) - {"help", "version"}
    equal(set(re.findall(r"^\.TP\n\\fB([a-z-]+)\\fR$", page.split(".SH KEYS")[1], re.M)), options, "keys of nsrun.json.5")


@test(needs=["man"])
def test_manual_pages_are_good_roff():
    for name in ("nsrun.1", "nsrun.json.5"):
        result = run(["man", "--warnings", "-l", os.path.join(build(), "docs/man", name)]).check(0)
        equal(result.stderr, "", "warnings for %s" % name)


@test()
def test_example_of_readme_is_a_good_site_file():
    """What README.md and nsrun.json(5) show is accepted."""
    needs_root()
    pages = [read("README.md"), run(["man", "-l", os.path.join(build(), "docs/man/nsrun.json.5")], env={"MANWIDTH": "200"}).stdout
             if shutil.which("man") else ""]
    for text in pages:
        if not text:
            continue
        example = re.search(r'\{\s*"defaults":.*?"forbid":.*?\]\s*\}', text, re.S).group(0)
        os.makedirs("/etc/nsrun", exist_ok=True)
        try:
            with open("/etc/nsrun/nsrun.json", "w") as file:
                file.write(example)
            plan = nsrun(["--dry-run", "--userns-remap", dummy().name, rootfs(owner=dummy())]).check(0).stdout
            contains(plan, "option.memory: 512m (/etc/nsrun/nsrun.json:")
        finally:
            shutil.rmtree("/etc/nsrun")


def shown_in_readme():
    """The commands under "Using it", but what fetches from elsewhere, in the order of the page."""
    part = read("README.md").split("\n## Using it\n")[1].split("\n## ")[0]
    lines = [line[4:] for line in part.splitlines() if line.startswith("    ") and not line.startswith("    #")]
    check(len(lines) >= 15, "only %d commands were found" % len(lines))
    return [line for line in lines if not re.search(r"skopeo|docker export|\bdebian\b", line)]


@test(root=True, timeout=180)
def test_examples_of_readme():
    """As they stand, one after the other; what asks for a shell gets an empty standard input, or a terminal."""
    dummy()
    here, before = tmp("readme"), leftovers()
    os.mkdir(os.path.join(here, "bin"))
    with open(os.path.join(here, "bin/sudo"), "w") as file:
        file.write('#!/bin/sh\nexec "$@"\n')
    os.chmod(os.path.join(here, "bin/sudo"), 0o755)
    os.symlink(binary(), os.path.join(here, "bin/nsrun"))
    os.symlink(os.path.join(TOP, "rootfs-scripts"), os.path.join(here, "rootfs-scripts"))
    home = tmp("readme-home", owner=ranger())
    ours = {"PATH": "%s/bin:%s" % (here, environment()["PATH"])}
    for line in shown_in_readme():
        who = None if "sudo" in line else ranger()
        line = line.replace("/srv/private", here + "/private")
        if " -it " in line:
            with Pty(["sh", "-c", line], env=ours, cwd=here) as terminal:
                terminal.write("exit\n")
                equal(terminal.wait(), 0, "status of %s: %s" % (line, terminal.text))
            continue
        result = run(["sh", "-c", line], env=dict(ours, HOME=home if who else "/root"), cwd=here, user=who, timeout=60)
        equal(result.status, 0, "status of %s: %s" % (line, result.stderr))
        if "wget" in line:
            check(re.fullmatch(r"[0-9a-f]{12}\n", result.stdout), "the other container's name: %r" % result)
        if " logs " in line:
            contains(result.stdout + result.stderr, "response:200", "what httpd wrote")
    assert_clean(before)


@test(root=True)
def test_examples_of_help():
    """Those beside the groups' titles run in a tree of rootfs-scripts/busybox."""
    here = tmp("help-examples")
    os.mkdir(os.path.join(here, "data"))
    os.symlink(rootfs(owner=dummy()), os.path.join(here, "rootfs"))
    lines = re.findall(r"^[A-Z][a-z ]+ {3,}nsrun (.*rootfs/ .*)$", nsrun(["--help"]).check(0).stdout, re.M)
    check(len(lines) == 8, "groups: %s" % lines)
    for line in lines:
        words = line.replace("--userns-remap dummy ", "").split()
        result = nsrun(["--userns-remap", dummy().name, *words], cwd=here)
        equal(result.status, 0, "status of nsrun %s: %s" % (line, result.stderr))


@test()
def test_manual_page_has_every_option():
    page = open(os.path.join(build(), "docs/man/nsrun.1"), encoding="utf-8").read().replace("\\-", "-")
    options = re.findall(r"(--[a-z][a-z-]+)", nsrun(["--help"]).check(0).stdout)
    check(len(set(options)) > 20, "--help names only %s" % options)
    for option in set(options):
        contains(page, option, "nsrun.1")


@test()
def test_manual_page_has_the_flags_of_engines():
    page = open(os.path.join(build(), "docs/man/nsrun.1"), encoding="utf-8").read().replace("\\-", "-").split(".SH BUNDLES")[1].split(".SH ")[0]
    for flag in ("--root", "--log", "--log-format", "--debug", "--systemd-cgroup", "--cgroup-manager", "--rootless", "--criu", "LISTEN_FDS", "NOTIFY_SOCKET"):
        contains(page, flag, "BUNDLES of nsrun.1")


# Options of other programs that messages name, and which program: its name stands in the same message, or file.
FOREIGN = {"add-subuids": "usermod", "add-subgids": "usermod", "submounts": "findmnt", "print": "capsh", "user": "systemd-run",
           "scope": "systemd-run", "owner": "rootfs-scripts", "system": "useradd", "no-create-home": "useradd",
           "home-dir": "useradd", "shell": "useradd", "user-group": "useradd", "comment": "useradd"}
STRING_OR_COMMENT = re.compile(r'"((?:[^"\\\n]|\\.)*)"|/\*.*?\*/|//[^\n]*|\'(?:[^\'\\\n]|\\.)+\'', re.S)


def words_of_messages():
    """[(--word, file, the text around)]: what strings of the sources say; the text is the row of err_table.h, or the file."""
    out = []
    # Properties of CSS are written like options.
    paths = [path for path in glob.glob(os.path.join(TOP, "runtime/**/*.c"), recursive=True) if not path.endswith("lab/html_style.c")]
    for path in sorted(paths) + [os.path.join(TOP, "include/nsrun/base/err_table.h")]:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        pieces = re.split(r"^(?=ERR_ID\()", text, flags=re.M) if path.endswith("err_table.h") else [text]
        for piece in pieces:
            said = "".join(match.group(1) + " " for match in STRING_OR_COMMENT.finditer(piece) if match.group(1) is not None)
            for word in re.findall(r"(?<![\w-])--([a-z][a-z0-9-]*[a-z0-9])", said):
                out.append((word, os.path.relpath(path, TOP), said))
    return out


@test()
def test_options_in_messages_exist():
    """A remedy that names an option is worth nothing when nsrun has no such option, or has not built it yet."""
    table = read("runtime/cli/option_table.c")
    built_ = set(re.findall(r'\bBUILT\(\w+,\s*"([a-z0-9-]+)"', table))
    planned = set(re.findall(r'\bPLANNED\(\w+,\s*"([a-z0-9-]+)"', table))
    for path in glob.glob(os.path.join(TOP, "runtime/cli/*.c")):  # those of other commands
        built_ |= set(re.findall(r'\b(?:COMMAND_OPTION\(struct \w+,|GLOBAL\()\s*\w+,\s*"([a-z0-9-]+)"', read(os.path.relpath(path, TOP))))
    for name in commands():
        built_ |= set(re.findall(r"^ .{5}--([a-z-]+)", nsrun([name, "--help"]).check(0).stdout, re.M))
    check(len(built_) > 20 and len(planned) > 5, "the table was not understood: %s, %s" % (sorted(built_), sorted(planned)))
    words = words_of_messages()
    check(len({word for word, _, _ in words}) > 20, "hardly a message names an option: %s" % sorted(words)[:5])
    bad = []
    for word, path, said in words:
        if word in FOREIGN and FOREIGN[word] in said:
            continue
        if word not in built_:
            bad.append("--%s in %s%s" % (word, path, ": only planned" if word in planned else ""))
    equal(sorted(set(bad)), [], "options that messages name and that do not exist")
    stale = [word for word, program in FOREIGN.items() if not any(word == one and program in said for one, _, said in words)]
    equal(stale, [], "options of other programs that no message names")


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
