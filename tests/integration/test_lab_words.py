# SPDX-License-Identifier: Apache-2.0
"""Chapters use only what was said before: each command, option of nsrun, row that is left out, capability, and what a check asks, was introduced by the text of the chapter,
or of one that it comes after. docs/labs/README.md lists the words that everybody is taken to know."""
import collections
import glob
import os
import re
import shlex

from harness import *

LABS = os.path.join(TOP, "docs/labs")
Block = collections.namedtuple("Block", "line word arguments lines")  # lines: [(number, text)]; word "" is text
Use = collections.namedtuple("Use", "line kind what")

# What a learner must have read of before a check asks for it, as a pattern.
CONCEPTS = {
    "uts": "uts namespace|ns/uts", "ipc": "ipc namespace", "mnt": "mount namespace", "pid": "pid namespace", "net": "network namespace", "user": "user namespace",
    "cgroup": "cgroup.namespace", "time": "time namespace", "owner": "owns|owner", "hostname": "hostname", "domainname": "domain name", "process": "process",
    "uid": r"\buids?\b", "gid": r"\bgids?\b|group", "uid_map": r"\bmap\b", "gid_map": r"\bmap\b|gid_map", "setgroups": "setgroups", "caps": "capabilit",
    "no_new_privs": "no_new_privs", "seccomp": "seccomp|filter", "processes": "process", "zombies": "zombie", "mount": "mount", "propagation": "propagat",
    "file": "", "links": "links?", "link": "links?", "addresses": "address", "oom_kills": r"\boom\b", "boottime": "boottime", "monotonic": "monotonic", "state": "",
    "exit": "exit status|status", "fds": "descriptor|open", "label": "label", "oom_score_adj": "oom", "limit": "limit",
}
# Words before a command that are none themselves.
BEFORE_A_COMMAND = {"if", "then", "else", "elif", "fi", "do", "done", "while", "until", "!", "{", "}", "(", ")", "exec", "setsid", "nohup", "time", "env", "command"}
TAKES_A_COMMAND = {"sh": "-c", "bash": "-c", "unshare": None, "chroot": None, "su": "-c", "busybox": None, "timeout": None, "xargs": None}


# ---- chapters ------------------------------------------------------------------------------------------------------------

def blocks_of(path):
    blocks, text, block = [], [], None
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file.read().split("\n"), 1):
            if line.startswith("```"):
                if block is not None:
                    blocks.append(block)
                    block = None
                    continue
                if text:
                    blocks.append(Block(text[0][0], "", [], text))
                    text = []
                words = line[3:].split()
                block = Block(number, words[0] if words else "text", words[1:], [])
            elif block is not None:
                block.lines.append((number, line))
            else:
                text.append((number, line))
    return blocks + ([Block(text[0][0], "", [], text)] if text else [])


def joined(lines):
    """Lines that end in a backslash go on in the next one."""
    out, first, whole = [], 0, ""
    for number, line in lines:
        first = first or number
        whole += line[:-1] if line.endswith("\\") else line
        if not line.endswith("\\"):
            out.append((first, whole))
            first, whole = 0, ""
    return out


def entries(block):
    """[(line, KEY with what is behind it, value)] of lab, ask and task; the prose has the key ""."""
    out = []
    for number, line in block.lines:
        found = re.match(r"(answer|why|holds|hint|check|solution(?: [a-z0-9-]+)?|[a-i]\)|minutes|goal|after|needs):? ?(.*)", line)
        if line.startswith("  ") and out:
            out[-1][2] += "\n" + line.strip()
        elif found and (line[1:2] == ")" or ":" in line[:line.find(found.group(2)) if found.group(2) else None]):
            out.append([number, found.group(1), found.group(2)])
        else:
            out.append([number, "", line])
    return out


# ---- what is used ----------------------------------------------------------------------------------------------------------

def split(line):
    """Words and operators of a line of the shell; words keep no quotes."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError:
        return line.split()


def uses_of_shell(number, line):
    """Commands of a line, and options of nsrun among them."""
    line = re.sub(r"\$\(\([^()]*\)\)", "0", line)  # arithmetic
    inner = re.findall(r"\$\(((?:[^()]|\([^()]*\))*)\)", line)
    for text in inner:
        yield from uses_of_shell(number, text)
    line = re.sub(r"\$\((?:[^()]|\([^()]*\))*\)", "X", line)
    command, words = True, split(line)
    while words:
        word = words.pop(0)
        if re.fullmatch(r"[();|&]+", word):
            command = True
        elif re.fullmatch(r"[<>&]+", word):
            words = words[1:]
        elif not command or re.fullmatch(r"\d", word):
            continue
        elif word in BEFORE_A_COMMAND or re.match(r"[A-Za-z_]\w*=", word):
            continue
        elif word in ("for", "case", "in"):
            command = False
        elif word == "nsrun":
            rest = []
            while words and not re.fullmatch(r"[();|&]+", words[0]):
                rest.append(words.pop(0))
            yield from uses_of_nsrun(number, rest)
        else:
            command = False
            name = os.path.basename(word)
            yield Use(number, "command", name)
            if name in TAKES_A_COMMAND:
                rest = []
                while words and not re.fullmatch(r"[();|&]+", words[0]):
                    rest.append(words.pop(0))
                yield from uses_within(number, name, rest)


def uses_within(number, name, rest):
    """A command that another one starts."""
    option = TAKES_A_COMMAND[name]
    if option:
        for at, word in enumerate(rest[:-1]):
            if word == option:
                yield from uses_of_shell(number, rest[at + 1])
        return
    names = [at for at, word in enumerate(rest) if not word.startswith("-") and not re.fullmatch(r"[\d./:]+[smhd]?", word)]
    if names:
        yield from uses_of_shell(number, " ".join(map(shlex.quote, rest[names[0]:])))


TAKES_NO_VALUE = {"--read-only", "--init", "--ephemeral", "--privileged", "--rm", "--detach", "-d", "-i", "-t", "-it", "--force", "-f", "--trace", "--dry-run", "-a"}


def uses_of_nsrun(number, words):
    """Options, what they take of rows and capabilities, and the command that a container runs."""
    words = list(words)
    if words and re.fullmatch(r"[a-z]+", words[0]) and words[0] not in ("rootfs", "sleep"):
        yield Use(number, "command of nsrun", words[0])
        if words[0] in ("exec", "run"):
            words = words[1:]
        else:
            for word in words[1:]:
                if word.startswith("--"):
                    yield Use(number, "option", word.split("=")[0])
            return
    while words and words[0].startswith("-"):
        option, _, value = words.pop(0).partition("=")
        if not value and option not in TAKES_NO_VALUE and words:
            value = words.pop(0)
        if option not in ("--name", "-e"):
            yield Use(number, "option", option)
        if option == "--without":
            for row in value.split(","):
                yield Use(number, "row", row)
        if option in ("--cap-add", "--cap-drop") and value != "ALL":
            yield Use(number, "capability", value)
    if len(words) > 1:
        yield from uses_of_shell(number, " ".join(map(shlex.quote, words[1:])))


def uses_of_check(number, text):
    for name in re.findall(r"\bCAP_[A-Z_]+", text):
        yield Use(number, "capability", name)
    for subject, first, rest in re.findall(r"(?<![\w.:/-])([a-z][a-z0-9-]*(?:/[\w.-]+)?)\.([a-z_]+)([:.]\S+)?", re.sub(r'"[^"]*"', '""', text)):
        if first in CONCEPTS:
            yield Use(number, "what is asked", first)
            if first == "sysctl" or (first == "cgroup" and rest.startswith(":")):
                yield Use(number, "file", rest[1:])
            elif rest == ".owner":
                yield Use(number, "what is asked", "owner")


def uses_of(block):
    if block.word == "run":
        for number, line in joined(block.lines):
            yield from uses_of_shell(number, line)
    elif block.word == "sh":
        for number, line in joined(block.lines):
            yield from uses_of_shell(number, line)
    elif block.word == "check":
        for number, line in block.lines:
            yield from uses_of_check(number, line)


# ---- what was said ----------------------------------------------------------------------------------------------------------

SHOWN = {"", "text", "console", "c", "json", "yaml", "diff"}


class Read:
    """What a learner has read: all of it, and what stood in code."""

    def __init__(self, *others):
        self.text, self.code = "".join(other.text for other in others), "".join(other.code for other in others)

    def prose(self, text):
        self.text += text + "\n"
        self.code += "\n".join(re.findall(r"`([^`]+)`", text)) + "\n"

    def shown(self, text):
        self.text += text + "\n"
        self.code += text + "\n"

    def knows(self, use, basic):
        word = re.escape(use.what)
        if use.kind == "command":
            # A manual page, unshare(1), is a name as code is.
            return use.what in basic or re.search(r"(?<![\w-])%s(?![\w-])" % word, self.code) or re.search(r"\b%s\(\d\)" % word, self.text)
        if use.kind == "command of nsrun":
            return re.search(r"nsrun %s\b" % word, self.text)
        if use.kind == "capability":
            return re.search(r"\b(CAP_)?%s\b" % re.escape(re.sub("^CAP_", "", use.what)), self.text)
        if use.kind == "what is asked":
            return re.search(CONCEPTS[use.what], self.text, re.I)
        return re.search(r"(?<![\w-])%s(?![\w-])" % word, self.text)


def basic_words():
    with open(os.path.join(LABS, "README.md"), encoding="utf-8") as file:
        found = re.search(r"^Words that everybody is taken to know: (.*)$", file.read(), re.M)
    check(found, "docs/labs/README.md has no list of basic words")
    return set(re.findall(r"`([^`]+)`", found.group(1)))


def read_chapter(path, read, basic):
    """Goes on reading, in the order in which it is played. Returns what was used before it was said."""
    gaps = []

    def use(uses):
        gaps.extend(each for each in uses if not read.knows(each, basic))

    for block in blocks_of(path):
        if block.word in SHOWN:
            for _, line in block.lines:
                (read.shown if block.word else read.prose)(line)
        elif block.word in ("ask", "task", "lab"):
            mine = entries(block)
            for _, key, value in mine:
                if key in ("", "hint", "goal") or key.endswith(")"):
                    read.prose(value)
            # The answer is told with its reason; a task is solved after its hints.
            for number, key, value in mine:
                if key.startswith("solution"):
                    for line in value.split("\n"):
                        use(uses_of_shell(number, line))
                elif key == "check":
                    use(uses_of_check(number, value))
                elif key == "why":
                    read.prose(value)
            for number, key, value in mine:
                if key in ("holds", "answer"):
                    use(uses_of_check(number, value))
        else:
            use(uses_of(block))
    return gaps


def chapters():
    found = {}
    for path in glob.glob(os.path.join(LABS, "[a-z0-9]*.md")):
        after = []
        for block in blocks_of(path):
            if block.word == "lab":
                after = [word for _, key, value in entries(block) if key == "after" for word in value.split()]
        found[os.path.basename(path)[:-3]] = (path, after)
    return found


def before(name, all_of):
    """What it comes after, and what those come after, each once, the earliest first."""
    out = []
    for other in all_of[name][1]:
        out += [each for each in before(other, all_of) + [other] if each not in out]
    return out


@generate
def only_what_was_said():
    all_of, basic = chapters(), basic_words()
    for name in sorted(all_of):
        yield name, lambda name=name: one_chapter(name, all_of, basic)


def one_chapter(name, all_of, basic):
    read = Read()
    for other in before(name, all_of):
        read_chapter(all_of[other][0], read, basic)
    gaps = read_chapter(all_of[name][0], read, basic)
    if gaps:
        fail("used before it was said:\n%s" % "\n".join("    docs/labs/%s.md:%d: %s %s" % (name, *gap) for gap in gaps))


def test_notes_for_the_teacher_have_each_chapter():
    minutes = {}
    for name, (path, _) in chapters().items():
        minutes[name] = [int(value) for block in blocks_of(path) if block.word == "lab" for _, key, value in entries(block) if key == "minutes"][0]
    with open(os.path.join(TOP, "docs/lab-teacher.md"), encoding="utf-8") as file:
        text = file.read()
    rows = re.findall(r"^\| `([a-z-]+)` \| (\d+) \| (.*?) \|", text, re.M)
    equal({name: int(number) for name, number, _ in rows}, minutes, "minutes in docs/lab-teacher.md")
    for name, _, missed in rows:
        with open(os.path.join(LABS, name + ".md"), encoding="utf-8") as file:
            known = set(re.findall(r"^```ask ([a-z0-9-]+)", file.read(), re.M))
        asked = set(re.findall(r"`([a-z-]+)`[:,]", missed))
        check(asked and asked <= known, "docs/lab-teacher.md: questions of %s: %s" % (name, asked - known))


def test_gaps_are_found():
    """A chapter with one gap of each kind, beside what is known."""
    path = os.path.join(tmp("chapters"), "own.md")
    with open(path, "w") as file:
        file.write("# A\n\n```lab\nminutes: 1\ngoal: it is a test\n```\n\nThe option `--init` and `lsns`, unshare(1), and CAP_KILL.\n\n```run\n"
                   "nsrun --name a --init --tmpfs /x --cap-add KILL --cap-add CHOWN --without proc.mount rootfs sleep 1\n```\n\n"
                   "```sh\necho 1 | lsns; for i in a b; do cat $(frob x); done >/dev/null && unshare -r grep x\nnsrun frobnicate a\n```\n\n"
                   "```check\na.seccomp == 2\na.caps.eff has CAP_SYS_TIME\na.state == running\n```\n\n"
                   "```task t\nDo.\nhint: `tick`\nsolution a: tick 1 && tock 2\ncheck: a.zombies == 0\n```\n")
    gaps = read_chapter(path, Read(), {"echo", "cat", "sleep"})
    equal([(gap.kind, gap.what) for gap in gaps],
          [("option", "--tmpfs"), ("option", "--cap-add"), ("option", "--cap-add"), ("capability", "CHOWN"), ("option", "--without"), ("row", "proc.mount"),
           ("command", "frob"), ("command", "grep"), ("command of nsrun", "frobnicate"), ("what is asked", "seccomp"), ("capability", "CAP_SYS_TIME"),
           ("what is asked", "caps"), ("command", "tock"), ("what is asked", "zombies")], "gaps")


if __name__ == "__main__":
    main()
