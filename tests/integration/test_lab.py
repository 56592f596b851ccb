# SPDX-License-Identifier: Apache-2.0
"""nsrun lab: chapters are proved by their solutions, answers and tasks are graded by what the kernel says, progress is kept, and whatever ends the
lab leaves nothing."""
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import time

from harness import *

HEAD = "# A chapter\n\n```lab\nminutes: 1\ngoal: it is a test\n```\n\n"
BOX = "```run\nnsrun --name box --hostname inside --cap-add SYS_ADMIN rootfs sleep 600\n```\n"
USERS = [("root", lambda: None), ("ranges", ranger), ("one-id", single)]


def data():
    """What is installed: the binary may be a copy, without its tree beside it."""
    path = os.path.join(base(), "data")
    if not os.path.isdir(path):
        shutil.copytree(os.path.join(TOP, "docs/labs"), os.path.join(path, "labs"))
        shutil.copytree(os.path.join(TOP, "rootfs-scripts"), os.path.join(path, "rootfs-scripts"))
        subprocess.run(["chmod", "-R", "a+rX", path], check=True)
    return path


def lab_dir(who):
    """One for each user, for all tests: its rootfs is made once."""
    path = os.path.join(base(), "lab-%d" % user(who).uid)
    if not os.path.isdir(path):
        os.mkdir(path, 0o700)
        if ROOT:
            os.chown(path, user(who).uid, user(who).gid)
    return path


def variables(who, **more):
    return {"NSRUN_LAB_DIR": lab_dir(who), "NSRUN_DATA_DIR": data(), **more}


def lab(*words, who=None, input=None, timeout=60, env=None, chapters=None):
    args = ["lab", *words] + (["--chapters", chapters] if chapters else [])
    return nsrun(args, user=who, input=input, timeout=timeout, env=variables(who, **(env or {})))


def fresh(who=None):
    """Nothing was played yet."""
    try:
        os.unlink(os.path.join(lab_dir(who), "progress.json"))
    except FileNotFoundError:
        pass


def chapter(text, name="own", head=HEAD):
    """A directory with this chapter."""
    path = tmp("chapters")
    with open(os.path.join(path, name + ".md"), "w") as file:
        file.write(head + text)
    return path


def containers(who=None):
    """Records in the lab's own state root."""
    return [path for path in glob.glob(os.path.join(lab_dir(who), "state", "*", "*")) if re.search(r"/\d+\.\d+/[0-9a-f]{12}$", path)] + \
        glob.glob(os.path.join(lab_dir(who), "state", "names", "*"))


def marked():
    """Processes that a lab has started, and guardians."""
    found = []
    for pid in descendants():
        try:
            with open("/proc/%d/environ" % pid, "rb") as file:
                mine = b"\0NSRUN_LAB=" in b"\0" + file.read()
        except OSError:
            mine = False
        if alive(pid) and (mine or comm(pid) == "nsrun-guardian"):
            found.append(pid)
    return found


def assert_nothing_left(before, who=None, what=""):
    wait_for(lambda: not marked(), "the end of what the lab started" + what, 20)
    assert_clean(before, 5, what="the lab" + what)
    equal(containers(who), [], "containers in the lab's state root" + what)


def result_of(name, who=None, chapters=None):
    found = lab("check", name, "--json", who=who, chapters=chapters)
    document = json.loads(found.stdout)
    equal(document["version"], 1, "version")
    equal(found.status, 0 if document["solved"] else 1, "exit status against \"solved\"")
    return document["chapters"][0]


# ---- chapters -----------------------------------------------------------------------------------------------------

def chapters_of_nsrun():
    return sorted(os.path.basename(path)[:-3] for path in glob.glob(os.path.join(TOP, "docs/labs/[a-z0-9]*.md")))


def solved(kind, names):
    """Every chapter holds, by its own solutions, for every sort of user; what it cannot do here it says."""
    for name in names:
        if ROOT or kind == "root":
            yield name, lambda name=name: solve(name, dict(USERS)[kind](), kind)


def ladder():
    return [name for name in chapters_of_nsrun() if not name.startswith("break-")]


def exercises():
    return [name for name in chapters_of_nsrun() if name.startswith("break-")]


# By names of their own, since a machine of tests/vm/suite plays some of them.

@generate(timeout=240)
def ladder_as_root():
    return solved("root", ladder())


@generate(timeout=240)
def ladder_with_ranges():
    return solved("ranges", ladder())


@generate(timeout=240)
def ladder_with_one_id():
    return solved("one-id", ladder())


@generate(timeout=240)
def exercises_as_root():
    return solved("root", exercises())


@generate(timeout=240)
def exercises_with_ranges():
    return solved("ranges", exercises())


@generate(timeout=240)
def exercises_with_one_id():
    return solved("one-id", exercises())


def solve(name, who, kind):
    before = leftovers()
    found = lab("solve", name, who=who, timeout=200)
    found.check(0)
    skipped = re.search(r"^skipped: %s: (.*)" % name, found.stdout, re.M)
    if not skipped:
        contains(found.stdout, "%s: holds." % name)
    elif name == "uts" or (ROOT and not (kind == "one-id" and "range of subordinate ids" in skipped.group(1))):
        fail("%s was skipped, and %s can play it: %r" % (name, kind, found))
    check("\033" not in found.stdout, "escape sequences without a terminal")
    said_as_told(found.stdout)
    assert_nothing_left(before, who)


def said_as_told(transcript):
    """An error that the text of a chapter quotes, EADDRINUSE, "address already in use", is one that a command has met:
    another one would be another reason."""
    lines = transcript.split("\n")
    printed = "\n".join(line for line in lines if line.startswith("  | ")).lower()
    told = " ".join(line.strip() for line in lines if not line.startswith("  | "))
    quoted = re.findall(r'\bE[A-Z]{3,},\s+"([^"]+)"', told)
    equal([text for text in quoted if text.lower() not in printed], [], "errors that nothing has met")


def test_list_reads_all():
    fresh()
    found = lab("list", "--verify").check(0)
    contains(found.stdout, "%d chapters, 0 with mistakes" % len(chapters_of_nsrun()))
    listed = json.loads(lab("list", "--json").check(0).stdout)
    equal(sorted(each["id"] for each in listed), chapters_of_nsrun(), "chapters")
    one = [each for each in listed if each["id"] == "uts"][0]
    for key, kind in (("minutes", int), ("goal", str), ("after", list), ("needs", list), ("status", str), ("asks", list), ("tasks", list)):
        check(isinstance(one[key], kind), "%s: %r" % (key, one[key]))
    seen = []
    for each in listed:
        equal([other for other in each["after"] if other not in seen], [], "chapters before %s" % each["id"])
        seen.append(each["id"])


def test_every_mistake_is_told():
    path = chapter("```rnu\n```\n```check\nbox.uts == host.uts\n```\n")
    with open(os.path.join(path, "other.md"), "w") as file:
        file.write("no title\n")
    found = lab("list", "--verify", chapters=path).check(1)
    for part in ("own.md:8: 'rnu' is no block of a chapter: is it 'run'?", "own.md:11: box.uts: no `run` before it has made 'box'",
                 "other.md:1: the first line is the title", "other.md:1: no block `lab`"):
        contains(found.stderr, part)
    contains(found.stdout, "2 chapters, 2 with mistakes")
    played = lab("own", chapters=path)
    equal(played.status, 125, "status of a chapter with mistakes")
    contains(played.stderr, "own.md:8:")


MIB = 1 << 20


def filled(begin, piece, end="\n", size=MIB):
    return begin + piece * ((size - len(begin) - len(end)) // len(piece)) + end


MALFORMED = {
    "empty": ("", ":1: the first line is the title"),
    "zero-byte": (HEAD + "Text.\n\0\n", r":9: this is no text: it has a zero byte"),
    "no-utf-8": (HEAD + "Text.\n\udcff\n", r":9: this is no UTF-8"),
    "too-large": (filled(HEAD, "x\n", size=MIB + 100), r":1: a chapter has at most 1048576 bytes"),
    "backslashes": (HEAD + "```run\n\\\n\\\n\n```\n", r":8: run: wanted is one command of nsrun, but there are 0"),
    "one-line": (filled(HEAD + "```check\n", "x ", "\n```\n"), r":9: x x"),
    "quotes": (filled(HEAD + "```run\n", "'x", "\n```\n"), r":8: run: wanted is|:9: "),
    "open-blocks": (filled(HEAD, "```x\n"), r":8: this block is not ended"),
    "questions": (filled(HEAD, "```ask a\nx\na) y\na) z\nanswer: c\n```\n"), r":11: a\): wanted is b\)"),
    "words": (filled(HEAD + "```sh ", "needs=x ", "\n```\n"), r":8: 'x' is no need"),
    "checks": (filled(HEAD + "```check\n", "a.b == c\n", "```\n"), r"there are more mistakes than these 199"),
    "going-on": (filled(HEAD + "```ask a\nx\nwhy: a\n", "  b\n", "```\n"), r":8: ask: wanted is `answer:`"),
    "commands": (filled(HEAD + "```run\n", "\\\n", "\n```\n"), r":8: run: wanted is one command"),
    "blocks": (filled(HEAD, "```text\n```\n"), r": a chapter has at most 4096 blocks"),
    "containers": (HEAD + "".join("```run\nnsrun --name b%d rootfs x\n```\n" % i for i in range(9999)), r"--name b64: a chapter has at most 64 containers"),
}


@generate
def malformed():
    """Whatever the file is: what is wrong, with file and line, within a second."""
    for name, (text, pattern) in MALFORMED.items():
        yield name, lambda text=text, pattern=pattern: is_told(text, pattern)


def is_told(text, pattern):
    path = tmp("chapters")
    with open(os.path.join(path, "own.md"), "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
    begun = time.monotonic()
    found = lab("list", "--verify", chapters=path).check(1)
    took = time.monotonic() - begun
    check(re.search(r"/own\.md(%s|.*%s)" % (pattern, pattern), found.stderr), "%r lacks %s" % (found, pattern))
    equal([line for line in found.stderr.splitlines() if not re.match(r"\S+/own\.md:\d+: ", line)], [], "lines without file and line")
    check(len(found.stderr) < 100000, "%d bytes of mistakes" % len(found.stderr))
    check(took < SLOW * PATIENCE, "it took %.2f s" % took)


BROKEN = {
    "answer": (BOX + "```ask a\nSame?\na) yes\nb) no\nanswer: a\nholds: box.uts == host.uts\n```\n", r"own\.md:11: ask a: .*does not hold"),
    "check": (BOX + "```check\nbox.hostname == outside\n```\n", r"own\.md:12: box.hostname is inside; wanted: outside"),
    "task-done-before": (BOX + "```task a\nDo.\nsolution box: true\ncheck: box.hostname == inside\n```\n", r"own\.md:11: task a: its checks hold before"),
    "task-not-solved": (BOX + "```task a\nDo.\nsolution box: hostname more\ncheck: box.hostname == mine\n```\n",
                        r"own\.md:11: task a: its solution does not\s+make"),
    "starts": ("```run fails\nnsrun --name box rootfs sleep 600\n```\n", r"own\.md:9: this must fail to start"),
    "fails": ("```run\nnsrun --name box nowhere sleep 600\n```\n", r"own\.md:9: this could not be started"),
    "not-held": ("```run hold=root.readonly\nnsrun --name box rootfs sleep 600\n```\n", r"own\.md:9: the launch did not stand before the row root\.readonly"),
    "term": (BOX + "```ask a\nWho?\nanswer: box/nobody.uid\n```\n", r"own\.md:11: ask a: .*no process in it"),
}


@generate(timeout=120)
def broken_on_purpose():
    for name, (text, pattern) in BROKEN.items():
        yield name, lambda text=text, pattern=pattern: broken(text, pattern)


def broken(text, pattern):
    before = leftovers()
    found = lab("solve", "own", chapters=chapter(text))
    equal(found.status, 1, "status of %r" % found)
    check(re.search(pattern, " ".join(found.stdout.split())), "%r lacks %s" % (found, pattern))
    contains(found.stdout, "does not hold here")
    assert_nothing_left(before)


# ---- playing ------------------------------------------------------------------------------------------------------

SMALL = BOX + """
```ask name
What does hostname print on the host?
a) inside
b) something else
answer: b
holds: host.hostname != inside
why: another namespace
```

```sh both box
hostname
```

So it is.

```ask who
Which user id has process 1 of box, as it sees itself?
answer: box.uid.inner
```

```look box ids
```

That is the end of questions.

```task rename
Call it mine.
hint: first
hint: second
solution box: hostname mine
check: box.hostname == mine
```

```end box
```
"""
# run, the answer, sh, the other answer, look: up to the task
UP_TO_TASK = "\n%s\n\n%s\n\n"


@generate(timeout=120)
def played():
    for kind, who in USERS:
        if ROOT or kind == "root":
            yield "right-%s" % kind, lambda who=who: play_right(who())


def play_right(who):
    before = leftovers()
    path = chapter(SMALL)
    fresh(who)
    found = lab("own", who=who, chapters=path, input=UP_TO_TASK % ("b", "0") + "\nbox hostname mine\n\n\n").check(0)
    equal(found.stdout.count("RIGHT"), 2, "answers that are right in %r" % found)
    contains(found.stdout, "not yet: box.hostname is inside; wanted: mine")
    contains(found.stdout, "SOLVED")
    contains(" ".join(found.stdout.split()), "Predictions that were right: 2 of 2; tasks that you have solved: 1 of 1.")
    result = result_of("own", who, path)
    equal((result["status"], [ask["right"] for ask in result["asks"]], result["tasks"][0]["state"], result["tasks"][0]["tries"]),
          ("solved", [True, True], "solved", 2), "result")
    assert_nothing_left(before, who)


BY_USER = """
```ask as-root needs=root
One?
answer: 1
```

```ask as-ordinary needs=ordinary
Two?
answer: 2
```

That was all.
"""


@generate(timeout=60)
def what_was_skipped_is_nobodys_omission():
    for kind, who in USERS:
        if ROOT or kind == "root":
            yield kind, lambda kind=kind, who=who: skipped_question(kind, who())


def skipped_question(kind, who):
    path = chapter(BY_USER)
    fresh(who)
    ordinary = kind != "root" or not ROOT
    found = lab("own", who=who, chapters=path, input="%d\n" % (2 if ordinary else 1)).check(0)
    contains(" ".join(found.stdout.split()), "Predictions that were right: 1 of 1;")
    result = result_of("own", who, path)
    equal((result["status"], [bool(ask["skipped"]) for ask in result["asks"]]), ("solved", [ordinary, not ordinary]), "result")
    contains(lab("check", "own", who=who, chapters=path).check(0).stdout, "question %s: skipped" % ("as-root" if ordinary else "as-ordinary"))


@test(timeout=120)
def test_answer_that_comes_late():
    """The kernel is asked until what the chapter has started is there."""
    path = chapter(BOX.replace("rootfs", "--ephemeral rootfs") + """```ask who
Which user id has the program?
answer: box/late.uid.inner
```

```sh box
cp /bin/bash /tmp/late
(sleep 0.7; exec /tmp/late -c 'sleep 300; true') >/dev/null 2>&1 &
```

It is there.
""")
    lab("solve", "own", chapters=path).check(0)


@test(timeout=120)
def test_wrong_is_wrong():
    path = chapter(SMALL)
    fresh()
    found = lab("own", chapters=path, input=UP_TO_TASK % ("a", "1") + "hint\nhint\nhint\nbox hostname other\ncheck\nsolve\n\n").check(0)
    equal((found.stdout.count("WRONG"), found.stdout.count("RIGHT")), (2, 0), "answers in %r" % found)
    contains(found.stdout, "answer: b) something else")
    contains(found.stdout, "another namespace")
    contains(found.stdout, "Hint 2 of 2: second")
    contains(found.stdout, "There are no more hints")
    contains(found.stdout, "not yet: box.hostname is other; wanted: mine")
    result = result_of("own", chapters=path)
    equal(result["status"], "played", "status")
    equal([ask["answer"] for ask in result["asks"]], ["a", "1"], "answers")
    equal((result["tasks"][0]["state"], result["tasks"][0]["hints"]), ("shown", 2), "task")


@test(timeout=120)
def test_answer_comes_after_the_prediction():
    """Neither the kernel's answer nor what is right is seen before the learner has said something."""
    path = chapter(SMALL)
    fresh()
    found = lab("own", chapters=path, input="\n").check(0)
    check("another namespace" not in found.stdout and "answer:" not in found.stdout, "too early: %r" % found)
    equal(result_of("own", chapters=path)["asks"][0]["answer"], None, "answer")


@test(timeout=180)
def test_goes_on_another_day():
    path = chapter(SMALL + "```sh box\nhostname\n```\n".join(["", ""]))
    fresh()
    before = leftovers()
    first = lab("own", chapters=path, input="\nb\n\n").check(0)
    contains(first.stdout, "`nsrun lab own` goes on there")
    assert_nothing_left(before)
    equal(result_of("own", chapters=path)["status"], "begun", "status")
    contains(lab("list", chapters=path).stdout, "begun (")
    contains(lab(chapters=path).check(0).stdout, "Go on with: nsrun lab own")
    # The question that was open is asked again, the one that was answered is not.
    second = lab("own", chapters=path, input="0\n\nhost echo $((6*7))\nbox hostname\nbox hostname mine\ncheck\n").check(0)
    check("What does hostname" not in second.stdout, "asked again: %r" % second)
    contains(second.stdout, "  | 42\n")
    contains(second.stdout, "  | inside\n")
    contains(second.stdout, "SOLVED")
    # What a task had made is there again, too.
    third = lab("own", chapters=path, input="host true\nbox hostname\nagain\n").check(0)
    contains(third.stdout, "  | mine\n")
    contains(third.stdout, "(Enter starts a container)")
    result = result_of("own", chapters=path)
    equal((result["plays"], result["asks"][0]["answer"]), (2, None), "`again` forgets what was answered")
    assert_nothing_left(before)
    # A chapter that has changed since is played from its beginning.
    chapter(SMALL + "\nNew.\n")
    contains(lab("own", chapters=path, input="").check(0).stdout, "(Enter starts a container)")
    contains(lab("reset", "own", chapters=path).check(0).stdout, "own: new again")
    equal(result_of("own", chapters=path)["status"], "new", "status after reset")


def test_reset_of_all_and_damage():
    fresh()
    path = chapter(SMALL)
    lab("own", chapters=path, input="").check(0)
    file = os.path.join(lab_dir(None), "progress.json")
    equal(os.stat(file).st_mode & 0o777, 0o600, "mode of progress.json")
    for text, part in (("{", "damaged"), ('{"version": 2, "chapters": {}}', "another version")):
        with open(file, "w") as out:
            out.write(text)
        found = lab("check", chapters=path)
        equal(found.status, 125, "status")
        contains(found.stderr, part)
        contains(lab("reset", "own", chapters=path).stderr, part)
        contains(lab("reset").check(0).stdout, "All chapters are new again")
        equal(result_of("own", chapters=path)["status"], "new", "status")


@generate(timeout=120)
def reset_of_the_rootfs():
    for kind, who in USERS:
        if ROOT or kind == "root":
            yield kind, lambda who=who: reset_rootfs(who())


def reset_rootfs(who):
    """Whatever a learner has done to it, and whoever owns what is in it; what a killed script has left goes, too."""
    damage = chapter(BOX + "```sh box\nmkdir -m 700 /tmp/own /tmp/own/deep; chown 1:1 /tmp/own/deep /tmp/own; rm /bin/id\n```\n")
    half = os.path.join(lab_dir(who), ".rootfs.abcdefgh")
    lab("solve", "own", who=who, chapters=damage).check(0)
    tree = os.path.join(lab_dir(who), "rootfs")
    check(not os.path.lexists(os.path.join(tree, "bin/id")) and os.path.exists(os.path.join(tree, "tmp/own")), "no damage was done")
    os.mkdir(half)
    os.chown(half, user(who).uid, user(who).gid)
    lab("reset", who=who).check(0)
    check(not os.path.exists(tree) and not os.path.exists(half), "still there: %s" % os.listdir(lab_dir(who)))
    contains(lab("solve", "own", who=who, chapters=chapter(BOX + "```sh box\nid -u\n```\n")).check(0).stdout, "  | 0\n")


MACHINE = """
```run
nsrun --name host2 --privileged --ephemeral machine sleep 600
```

```sh host2
nsrun -d --name guest --userns=host rootfs tail -f /dev/null
watch -n 1000 true >/dev/null 2>&1 &
until killall watch; do sleep 0.1; done
watch -n 1000 true >/dev/null 2>&1 &
```

```check
host2/tail.pid != host2.pid
host2/tail.user == host2.user
host2/tail.mnt != host2.mnt
not host2/tail.caps.eff has CAP_SYS_ADMIN
host2/sleep.process.inner == 1
host2.zombies >= 1
host2/watch.file:/rootfs == directory
```
"""


@generate(timeout=120)
def a_container_plays_the_host():
    """`needs: machine` makes a tree in which this very program runs; NAME/COMM also finds what runs in a container there."""
    for kind, who in USERS:
        if ROOT or kind == "root":
            yield kind, lambda who=who: machine(who())


def machine(who):
    before = leftovers()
    path, copy = chapter(MACHINE, head=HEAD.replace("test\n", "test\nneeds: machine\n")), os.path.join(lab_dir(who), "machine/bin/nsrun")
    lab("solve", "own", who=who, chapters=path).check(0)
    first = os.stat(copy).st_ino
    lab("solve", "own", who=who, chapters=path).check(0)
    equal(os.stat(copy).st_ino, first, "made once")
    with open(copy, "a") as file:
        file.write("of another build")
    os.unlink(os.path.join(lab_dir(who), "machine/rootfs/bin/busybox"))
    lab("solve", "own", who=who, chapters=path).check(0)
    equal(os.stat(copy).st_size, os.stat(binary()).st_size, "made anew when it is another program, or not whole")
    lab("reset", who=who).check(0)
    check(not os.path.exists(os.path.join(lab_dir(who), "machine")), "there after reset")
    assert_nothing_left(before, who)


TYPED = """
box id -u
both box hostname
host echo $PWD
nsrun ls
nsrun --name two --hostname second rootfs sleep 600
two hostname
look two ns
tape two root.pivot
tape two
end two
two hostname
nsrun --dry-run rootfs true
shell box
hint
nonsense
look box nonsense
"""


@test(timeout=120)
def test_typed_commands():
    before = leftovers()
    path = chapter(BOX + "```end box\n```\n")
    fresh()
    found = lab("own", chapters=path, input=TYPED).check(0)
    for pattern in (r"^  \| 0$", r"^  host: .*\n  box : inside\n  They differ\.$", r"^  \| %s$" % re.escape(os.path.realpath(lab_dir(None))),
                    r"^  \| [0-9a-f]{12} +box ", r"^two: it runs; its process 1 is process \d+", r"^  \| second$",
                    r"^  uts: other: host \d+, two \d+$", r"^  root.pivot +init +ok +[0-9.]+ ms +pivot_root\(2\)$",
                    r"^      After everything that needs", r"^  workload.exec +\w+ +(ok|now) ", r"^That is no command of the lab",
                    r"workload +workload.exec", r"^A shell takes a terminal", r"^That is for tasks", r"'nonsense' is none of ns ids"):
        check(re.search(pattern, found.stdout, re.M), "%r lacks %s" % (found, pattern))
    assert_nothing_left(before)


def test_a_wrong_launch_that_was_typed():
    """It is no mistake of the chapter, which has no line 0."""
    found = lab("own", chapters=chapter(BOX), input="nsrun --name bad nowhere sleep 600\n").check(0)
    contains(found.stdout, "bad: it was not started: exit status 125")
    check("own.md:" not in found.stdout, "the chapter is blamed: %r" % found)


def test_a_reader_that_went_away():
    """`nsrun lab uts | head -3`: nothing to tell a person."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        process = subprocess.run([binary(), "lab", "own", "--chapters", chapter(BOX)], stdin=subprocess.DEVNULL, stdout=writer,
                                 stderr=subprocess.PIPE, env=environment(None, variables(None)))
    finally:
        os.close(writer)
    equal((process.returncode, process.stderr), (141, b""), "status and standard error")


def test_mistakes_of_all_together():
    """What no chapter shows by itself: a name that is none, one that means something else, chapters that wait for each other."""
    text = HEAD + "Text.\n"
    path = chapter("Text.\n", "check")
    for name, after in (("one", "two"), ("two", "one"), ("Bad Name", None), ("README", None)):
        with open(os.path.join(path, name + ".md"), "w") as file:
            file.write(text.replace("minutes:", "after: %s\nminutes:" % after, 1) if after else text)
    found = lab("list", "--verify", chapters=path).check(1)
    for part in ("check.md: a chapter cannot be called like `nsrun lab check`", "one.md: after: two: that one comes after this one in its turn",
                 "Bad Name: no chapter has such a name: wanted is a-z, 0-9 and -"):
        contains(found.stderr, part)
    contains(found.stdout, "4 chapters, 3 with mistakes")


@generate
def a_bound_for_processes():
    """A fork bomb that somebody types all the same does not take all pids: the bound of its user namespace is that of the lab's processes, which root in there
    cannot raise."""
    for kind, who in USERS:
        if ROOT or kind == "root":
            yield kind, lambda who=who: bounded(who())


def bounded(who):
    path = chapter(BOX + "```check\nbox.limit:nproc <= 8192\n```\n```sh box\nulimit -Hp 16384; ulimit -Sp 16384; grep processes /proc/self/limits\n```\n")
    found = lab("solve", "own", chapters=path, who=who)
    limits = re.search(r"Max processes +(\d+) +(\d+)", found.stdout)
    check(limits and max(map(int, limits.groups())) <= 8192, "the bound can be raised: %r" % found)


def test_answer_that_is_coming():
    """A process that a command has put into the background may not be there yet when its text follows."""
    path = chapter(BOX + "```ask late\nWho?\nanswer: box/tail.uid.inner\n```\n```sh box\n(sleep 0.7; exec tail -f /dev/null) >/dev/null 2>&1 &\n```\nText.\n")
    contains(lab("solve", "own", chapters=path).check(0).stdout, "answer: 0")


HELD = """
```run hold=root.pivot
nsrun --name box rootfs sleep 600
```

```check
box.state == held
box.mnt != host.mnt
```

```go box workload.exec
```

```check
box.state == held
```

```go box
```

```check
box.state == running
box/sleep.process.inner == 1
```

```tape box root.pivot
```

```end box
```

```check
box.state == none
```

```run
nsrun --name box rootfs /bin/sh -c 'exit 3'
```

```check
box.exit == 3
box.state == stopped
```

```run fails
nsrun --name wrong rootfs /no/such/program
```
"""


@generate(timeout=120)
def held():
    for kind, who in USERS:
        if ROOT or kind == "root":
            yield kind, lambda who=who: hold(who())


def hold(who):
    before = leftovers()
    path = chapter(HELD)
    found = lab("solve", "own", who=who, chapters=path).check(0)
    check(re.search(r"^held: box stands before the row root.pivot", found.stdout, re.M), "not told: %r" % found)
    fresh(who)
    # One row, and the next.
    played = lab("own", who=who, chapters=path, input="\nstep\nstep box\ngo\n").check(0)
    rows = re.findall(r"^held: box stands before the row (\S+)", played.stdout, re.M)
    equal((rows[0], len(rows)), ("root.pivot", 3), "rows at which it was held: %r" % played)
    check(len(set(rows)) == 3, "it stood still: %s" % rows)
    contains(played.stdout, "box: its launch is finished: it runs")
    assert_nothing_left(before, who)


BUNDLE = """
```sh
mkdir -p oci
rm -f oci/config.json
nsrun spec -b oci %s
sed -i -e 's|"path": "rootfs"|"path": "../rootfs"|' -e 's|"terminal": true|"terminal": false|' -e 's|"sh"|"sleep", "600"|' oci/config.json
```

```run
nsrun create -b oci box
```

```check
box.state == created
box.process.inner == 1
```

```sh
nsrun start box
```

```check
box.state == running
box.processes has sleep
```

```sh
nsrun kill box KILL
```

```check
box.state == stopped
```

```end box
```

```check
box.state == none
```

```task again
Once more, and started.
solution run: nsrun create -b oci box
solution host: nsrun start box
check: box.state == running
```

```sh
sed -i 's|"hostname": "nsrun"|"hostname": 5|' oci/config.json
```

```run fails
nsrun create -b oci wrong
```

```check
wrong.state == none
```
"""


@generate(timeout=120)
def bundles():
    for kind, who in USERS:
        if ROOT or kind == "root":
            yield kind, lambda who=who: play_bundle(who())


def play_bundle(who):
    """A command that has ended and left its container; one that was created alone goes with the lab, too."""
    before = leftovers()
    text = BUNDLE % ("" if who is None and ROOT else "--rootless")
    found = lab("solve", "own", who=who, chapters=chapter(text)).check(0)
    check(re.search(r"^box: it is created; process \d+ of the host, its process 1, waits\s+for start", found.stdout, re.M), "not told: %r" % found)
    contains(found.stdout, "wrong: it was not created")
    assert_nothing_left(before, who)
    # It goes with the lab also where it was not ended, and how it ended nobody has seen.
    found = lab("solve", "own", who=who, chapters=chapter(text[:text.index("```end box")] + "```check\nbox.exit == 137\n```\n"))
    equal(found.status, 1, "status of %r" % found)
    contains(" ".join(found.stdout.split()), "box: nobody has waited for its exit status")
    assert_nothing_left(before, who)
    # Typed.
    fresh(who)
    found = lab("own", who=who, chapters=chapter(text[:text.index("```run")] + "```sh\ntrue\n```\n"),
                input="\nnsrun create -b oci mine\nlook mine processes\nnsrun start mine\nmine echo $((6*7))\nend mine\n").check(0)
    contains(found.stdout, "mine: it is created")
    contains(found.stdout, "  | 42\n")
    assert_nothing_left(before, who)


def test_needs():
    path = chapter("Text.\n", head=HEAD.replace("minutes", "needs: ordinary\nminutes") if ROOT else HEAD.replace("minutes", "needs: root\nminutes"))
    fresh()
    found = lab("own", chapters=path).check(0)
    check(re.search(r"^skipped: own: this [^|]*What\s+helps: ", found.stdout, re.M), "no reason and remedy: %r" % found)
    result = result_of("own", chapters=path)
    equal(result["status"], "skipped", "status")
    block = chapter("```run needs=%s\nnsrun --name box rootfs sleep 600\n```\n```sh box\ntrue\n```\nText.\n" % ("ordinary" if ROOT else "root"))
    found = lab("solve", "own", chapters=block).check(0)
    contains(found.stdout, "skipped: ")
    twice = "```sh needs=%s\ntrue\n```\n" % ("ordinary" if ROOT else "root")
    again = lab("solve", "own", chapters=chapter(twice + "Text.\n" + twice)).check(0)
    equal(again.stdout.count("What helps: "), 1, "times that a reason is told in %r" % again)
    contains(again.stdout, "skipped: for the same reason")
    check("box$" not in found.stdout, "a block about a container that is not there: %r" % found)


@test(timeout=120)
def test_needs_of_groups():
    """Found out by a real launch: what it says is the reason."""
    path = chapter("Text.\n", head=HEAD.replace("minutes", "needs: cgroup limits\nminutes"))
    for who in ([None, single()] if ROOT else [None]):
        fresh(who)
        found = lab("own", who=who, chapters=path).check(0)
        launch = nsrun(["--pids-limit=64", "--memory", "64m", os.path.join(lab_dir(who), "rootfs"), "true"], user=who)
        equal("skipped: own" in found.stdout, launch.status != 0, "skipped, against %r: %r" % (launch, found))


# ---- how it looks ---------------------------------------------------------------------------------------------------

@test(timeout=120)
def test_80_columns_and_no_colour():
    fresh()
    found = lab("uts", input="\nb\n\n\n\nb\n").check(0)
    long = [line for line in found.stdout.splitlines() if len(line) > 80 and not re.match(r"  (host|box|both)?\$ ", line)]
    equal(long, [], "lines beyond 80 columns")
    check(found.stdout.isascii() and "\033" not in found.stdout, "more than plain text: %r" % found)
    narrow = lab("uts", input="", env={"COLUMNS": "50"}).check(0)
    check(all(len(line) <= 50 for line in narrow.stdout.splitlines() if "nsrun" not in line), "beyond 50 columns: %r" % narrow)


def terminal(env, more=()):
    return Pty([binary(), "lab", "own", "--chapters", chapter(SMALL), *more], env=variables(None, **env))


@test(timeout=120)
def test_terminal():
    fresh()
    for env, more, colour, columns in (({"TERM": "xterm"}, ("--plain",), True, True), ({"TERM": "xterm", "NO_COLOR": "1"}, (), False, True),
                                       ({"TERM": "dumb"}, (), False, False), ({"TERM": "xterm", "NO_COLOR": "1"}, ("--one-column",), False, False)):
        fresh()
        with terminal(env, more) as pty:
            for at, line in ((r"1/9>", ""), (r"2/9 answer>", "b"), (r"3/9>", "")):
                pty.expect("own " + at + " $")
                pty.write(line + "\n")
            pty.expect(r"5/9 answer> $")
            equal(bool(re.search(r"\bhost {10,}     box\r\n", pty.text)), columns, "columns with %s %s: %s" % (env, more, pty.text))
            equal("They differ." in pty.text, not columns, "differences by a word: %s" % pty.text)
            pty.write("quit\n")
            equal(pty.wait(30), 0, "status")
            equal("\033[" in pty.text, colour, "colour with %s: %s" % (env, pty.text))


@test(timeout=120)
def test_shell_and_keys():
    """A shell has the terminal; ^C is for what runs, the lab goes on."""
    before = leftovers()
    fresh()
    with terminal({"TERM": "dumb"}) as pty:
        pty.expect(r"own 1/\d+> $")
        pty.write("\n")
        pty.expect(r"answer> $")
        pty.write("shell box\n")
        pty.ask("echo $((40+2))-$(hostname)", r"\n42-inside\r\n")
        pty.write("exit\n")
        pty.expect(r"exit\r?\n(.*\n)*.*own 2/\d+ answer> $")
        pty.output = b""
        pty.write("host exec sleep 1000\n")
        wait_for(lambda: any(line.endswith(": sleep 1000") for line in describe(descendants(pty.pid))), "sleep on the host")
        pty.write("\003")
        pty.expect(r"answer> $")
        pty.write("\004")
        equal(pty.wait(30), 0, "status")
        contains(pty.text, "goes on there")
    assert_nothing_left(before)


# ---- whatever ends it -----------------------------------------------------------------------------------------------

def begin(chapters, who=None, lines=""):
    process = subprocess.Popen([binary(), "lab", "own", "--chapters", chapters], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               env=environment(who, variables(who)), cwd=base(), start_new_session=True, **run_as(who))
    process.stdin.write(lines.encode())
    process.stdin.flush()
    return process


def until(process, text):
    """Reads until this comes; what was read."""
    got = b""
    while text.encode() not in got:
        more = os.read(process.stdout.fileno(), 4096)
        check(more, "%r did not come: %s" % (text, got.decode(errors="replace")))
        got += more
    return got.decode(errors="replace")


def end(process, number):
    os.kill(process.pid, number)
    process.stdin.close()
    process.stdout.close()
    process.wait(20)


@generate(timeout=240)
def killed():
    for kind, who in USERS:
        if ROOT or kind == "root":
            yield "at-places-%s" % kind, lambda who=who: killed_at_places(who())
    yield "at-any-time", killed_at_any_time
    yield "other-signals", lambda: killed_at_places(None, (signal.SIGHUP, signal.SIGINT, signal.SIGTERM))


def killed_at_places(who, numbers=(signal.SIGKILL,)):
    """While a container runs, is held before rows of several processes, while a command runs that went into the background."""
    background = BOX + "```sh\nsetsid sleep 1000 >/dev/null 2>&1 &\n```\n```sh\nsleep 1000\n```\nEnd.\n"
    holds = ["```run hold=%s\nnsrun --name box rootfs sleep 600\n```\nEnd.\n```end box\n```\n" % row
             for row in ("init.clone", "root.attach", "workload.exec")]
    lab("solve", "own", who=who, chapters=chapter("Text.\n")).check(0)  # the rootfs is there
    for number in numbers:
        for text, lines, sign in [(BOX + "```end box\n```\n", "\n", "it runs"), (background, "\n\n\n", "own 3/4> \n")] + \
                [(text, "\n", "held: ") for text in holds]:
            before = leftovers()
            fresh(who)
            process = begin(chapter(text), who, lines)
            until(process, sign)
            end(process, number)
            assert_nothing_left(before, who, " killed by %s after %r of %r" % (number, sign, text))


def killed_at_any_time():
    lab("solve", "own", chapters=chapter("Text.\n")).check(0)
    path = chapter(HELD.replace("```run hold=root.pivot", BOX.replace("box", "first") + "```run hold=root.pivot"))
    for i in range(16):
        before = leftovers()
        fresh()
        process = begin(path, lines="\n" * 40)
        try:
            process.wait(i * 0.12 / PATIENCE)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
        process.stdin.close()
        process.stdout.close()
        process.wait(20)
        assert_nothing_left(before, what=" killed after %.2f s" % (i * 0.12))


@test(timeout=120)
def test_one_at_a_time():
    path = chapter(SMALL)
    fresh()
    process = begin(path, lines="\n")
    until(process, "answer>")
    found = lab("own", chapters=path, timeout=60)
    equal(found.status, 125, "status of the second")
    contains(found.stderr, "[lab-busy]")
    end(process, signal.SIGKILL)
    # The next one waits until the guardian is done.
    lab("own", chapters=path).check(0)


# ---- the command ------------------------------------------------------------------------------------------------------

def test_unknown_chapter():
    found = lab("utz")
    equal(found.status, 125, "status")
    contains(found.stderr, "utz: there is no such chapter; is it uts?")
    contains(found.stderr, "[lab-chapter]")
    for words in (("list", "more"), ("uts", "more"), ("../x",), ("solve",)):
        equal(lab(*words).status, 125, "status of %s" % (words,))


def test_where_it_lives():
    """Mode 0700, below XDG_STATE_HOME or HOME; looking makes nothing."""
    home = tmp("home")
    env = {"NSRUN_LAB_DIR": None, "NSRUN_DATA_DIR": data(), "HOME": home}
    nsrun(["lab", "list"], env=env).check(0)
    equal(os.listdir(home), [], "made by looking")
    nsrun(["lab", "own", "--chapters", chapter("Text.\n")], env=env).check(0)
    equal(os.stat(os.path.join(home, ".local/state/nsrun/lab")).st_mode & 0o7777, 0o700, "mode")
    state = tmp("state")
    nsrun(["lab", "reset"], env={**env, "XDG_STATE_HOME": state}).check(0)
    equal(os.listdir(state), ["nsrun"], "in XDG_STATE_HOME")
    nothing = nsrun(["lab", "list"], env={**env, "NSRUN_DATA_DIR": None}, popen={}) if not os.path.isdir(
        os.path.join(os.path.dirname(os.path.dirname(binary())), "docs/labs")) else None
    if nothing:
        contains(nothing.check(125).stderr, "[lab-data]")


def test_what_is_missing_is_told():
    """Without a static busybox no rootfs can be made; the remedy names the packages."""
    env = {"NSRUN_LAB_DIR": tmp("lab", 0o700), "NSRUN_DATA_DIR": data(), "PATH": tmp("bin")}
    for name in ("bash", "readlink", "dirname", "id", "mkdir", "rm", "env", "head", "grep", "mktemp", "cat"):
        os.symlink(shutil.which(name), os.path.join(tmp("bin"), name))
    found = nsrun(["lab", "own", "--chapters", chapter("Text.\n")], env=env)
    equal(found.status, 125, "status of %r" % found)
    contains(found.stderr, "apt-get install busybox-static")
    contains(found.stderr, "[lab-rootfs]")


def test_data_beside_the_program():
    """As a build tree and an installation have it, NSRUN_DATA_DIR not set."""
    top = tmp("prefix")
    for place, source in (("share/nsrun/labs", "docs/labs"), ("share/nsrun/rootfs-scripts", "rootfs-scripts")):
        shutil.copytree(os.path.join(TOP, source), os.path.join(top, place))
    os.mkdir(os.path.join(top, "bin"))
    shutil.copy(built("NSRUN"), os.path.join(top, "bin/nsrun"))
    contains(run([os.path.join(top, "bin/nsrun"), "lab", "list"], env={"NSRUN_LAB_DIR": tmp("lab")}).check(0).stdout, "uts")


if __name__ == "__main__":
    main()
