# SPDX-License-Identifier: Apache-2.0
"""nsrun lab, killed at any moment: no container, mount, link, group or process stays. Its guardian sees to that; when that is killed, too, the next start of a lab does."""
import os
import random
import shutil
import signal
import subprocess
import time

from harness import *
from launches import ROLES, score_rows
from test_lab import (BOX, SMALL, USERS, assert_nothing_left, begin, chapter, chapters_of_nsrun, containers, data, fresh, lab, lab_dir, marked, until,
                      variables)

SEED = random.randrange(10000)
TEXT = "Text.\n"


def kinds():
    return [(kind, who) for kind, who in USERS if ROOT or kind == "root"]


def furnished(who):
    lab("solve", "own", who=who, chapters=chapter(TEXT)).check(0)


def start(*words, who=None, env=None):
    """A lab of which nothing is read."""
    return subprocess.Popen([binary(), "lab", *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                            env=environment(who, variables(who, **(env or {}))), cwd=base(), start_new_session=True, **run_as(who))


def kill(process):
    try:
        process.send_signal(signal.SIGKILL)
    except ProcessLookupError:
        pass
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()
    process.wait(20)


def guardian():
    """Its pid. Of a lab of these tests: they run one at a time."""
    return wait_for(lambda: [pid for pid in descendants() if comm(pid) == "nsrun-guardian" and alive(pid)], "a guardian")[0]


def next_start(before, who, what):
    """What is left is gone once a lab was started again."""
    furnished(who)
    assert_nothing_left(before, who, what)


# ---- each row, held ---------------------------------------------------------------------------------------------------

def launch_of(who):
    """Options of a launch with many rows, all of which this user may have on any host."""
    options = ["--hostname inside --tmpfs /mnt --ulimit nofile=256 --oom-score-adj 500 --cap-drop all --cap-add CHOWN --time-offset boottime=100 --log-driver file --volume rootfs/srv:/opt --sysctl net.ipv4.ip_forward=1 --read-only --stop-timeout 2"]
    if who is None:
        options.append("--userns-remap dummy --ephemeral --pids-limit 64 --memory 64m")
    return " ".join(options)


def rows_of(who, options):
    """As --dry-run has them."""
    found = nsrun(["--dry-run", *options.split(), "rootfs", "true"], user=who, cwd=lab_dir(who)).check(0)
    table = score_rows()
    return [words[1] for words in map(str.split, found.stdout.splitlines()) if len(words) > 1 and words[0] in ROLES and words[1] in table]


@generate(timeout=240)
def each_row_held():
    for kind, who in kinds():
        yield kind, lambda who=who: rows_held(who())


def rows_held(who):
    """All rows of a launch stand at once, each in a launch of its own, eight of them in a lab that is killed then."""
    if who is None:
        dummy()
    furnished(who)
    options = launch_of(who)
    rows = rows_of(who, options)
    check(len(rows) > 25, "rows of the launch: %s" % rows)
    for at in range(0, len(rows), 8):
        part = rows[at:at + 8]
        text = "".join("```run hold=%s\nnsrun --name box%d %s rootfs sleep 600\n```\n" % (row, i, options) for i, row in enumerate(part))
        before = leftovers()
        fresh(who)
        process = begin(chapter(text + "```end box0\n```\n"), who, "\n" * len(part))
        told = until(process, "(Enter ends the container)")
        equal(told.count("\nheld: "), len(part), "launches that are held before %s: %s" % (" ".join(part), told))
        kill(process)
        assert_nothing_left(before, who, " killed when launches stood before %s" % " ".join(part))


# ---- at any time -------------------------------------------------------------------------------------------------------

@generate(timeout=240)
def solving():
    for kind, who in kinds():
        yield kind, lambda who=who: killed_while_solving(who())


def killed_while_solving(who):
    """Real chapters, wherever they are."""
    furnished(who)
    dice = random.Random(SEED)
    for _ in range(8):
        names = chapters_of_nsrun()
        dice.shuffle(names)
        seconds = dice.uniform(0.05, 2)
        before = leftovers()
        process = start("solve", *names, who=who)
        time.sleep(seconds / PATIENCE)
        kill(process)
        assert_nothing_left(before, who, " killed after %.3f s of solving %s (seed %d)" % (seconds, " ".join(names), SEED))


BUSY = BOX + """
```task own
Whatever.
solution box: hostname mine
check: box.hostname == mine
```
"""
# What a learner may have done by then. The last line tells that all was.
TYPED = [
    "nsrun --name two --pids-limit 400 rootfs sleep 600" if ROOT else "nsrun --name two rootfs sleep 600",
    "two i=0; while [ $i -lt 100 ]; do sleep 600 >/dev/null 2>&1 & i=$((i+1)); done",
    "host nsrun run -d --name three rootfs sleep 600 >/dev/null",
    "host setsid sh -c 'sleep 1000; sleep 1000' >/dev/null 2>&1 &",
    "host nohup nsrun run --name four --network none -v $PWD/rootfs/srv:/mnt rootfs sh -c 'while sleep 0.01; do sleep 1000 & done' >/dev/null 2>&1 &",
    "box setsid sleep 700 >/dev/null 2>&1 &",
    "host nsrun stop --help >/dev/null; echo all was typed",
]


@generate(timeout=240)
def tasks():
    for kind, who in kinds():
        yield kind, lambda who=who: killed_in_a_task(who())


def busy(who, more=()):
    process = begin(chapter(BUSY), who, "\n" + "\n".join([*more, *TYPED]) + "\n")
    until(process, "all was typed\n")
    return process


def killed_in_a_task(who):
    furnished(who)
    for words in ([], ["host nsrun run -d --name five rootfs sleep 600 >/dev/null", "host nsrun pause five"] if who is None else []):
        before = leftovers()
        fresh(who)
        kill(busy(who, words))
        assert_nothing_left(before, who, " killed in a task")
    # While a command of the learner's goes on, and while the lab waits for what a check wants.
    for line, sign in (("box sleep 1000", "sleep 1000"), ("check", "")):
        before = leftovers()
        fresh(who)
        process = begin(chapter(BUSY), who, "\n" + line + "\n")
        if sign:
            wait_for(lambda: any(text.endswith(": " + sign) for text in describe(descendants())), sign)
        else:
            until(process, "task> ")
            time.sleep(0.5)
        kill(process)
        assert_nothing_left(before, who, " killed during %r" % line)


@test(timeout=120)
def test_terminal_is_gone():
    """Its window is closed while a shell in a container has it."""
    before = leftovers()
    fresh()
    pty = Pty([binary(), "lab", "own", "--chapters", chapter(SMALL)], env=variables(None, TERM="dumb"))
    with pty:
        pty.expect(r"own 1/\d+> $")
        pty.write("\n")
        pty.expect(r"answer> $")
        pty.write("shell box\n")
        pty.ask("echo $((40+2))", r"\n42\r\n")
        pty.write("sleep 1000 &\n")
    assert_nothing_left(before, what=" whose terminal was closed")


@generate(timeout=120)
def rootfs_and_reset():
    for kind, who in kinds():
        yield kind, lambda who=who: killed_at_the_edges(who())


def killed_at_the_edges(who):
    """While the rootfs is made, and while all is reset: what is half done is done again."""
    furnished(who)
    for i in range(6):
        before = leftovers()
        process = start("reset", who=who)
        time.sleep(0.02 * i / PATIENCE)
        kill(process)
        assert_nothing_left(before, who, " reset that was killed after %d ms" % (20 * i))
    for i in range(6):
        lab("reset", who=who).check(0)
        before = leftovers()
        process = start("solve", "uts", who=who)
        time.sleep(0.05 * i / PATIENCE)
        kill(process)
        assert_nothing_left(before, who, " killed after %d ms with its rootfs" % (50 * i))
    lab("solve", "uts", who=who).check(0)
    names = os.listdir(lab_dir(who))
    check(not [name for name in names if name.startswith(".") and name != ".nsrun-lab"], "half a rootfs: %s" % names)


# ---- the guardian, too ------------------------------------------------------------------------------------------------

@generate(timeout=240)
def guardian_too():
    for kind, who in kinds():
        yield kind, lambda who=who: both_killed(who())
        yield "alone-" + kind, lambda who=who: guardian_killed(who())


def both_killed(who):
    """At once, and the guardian in the middle of its work. The next start ends what is left: containers by their records, processes by the lab's token."""
    furnished(who)
    stayed = 0
    for late in (0, 0, 0.005, 0.03, 0.1, 0.2):
        before = leftovers()
        fresh(who)
        process = busy(who)
        pid = guardian()
        if not late:
            os.kill(pid, signal.SIGKILL)
        os.kill(process.pid, signal.SIGKILL)
        if late:
            time.sleep(late / PATIENCE)
            if comm(pid) == "nsrun-guardian":
                os.kill(pid, signal.SIGKILL)
        kill(process)
        stayed += bool(marked()) or bool(containers(who))
        next_start(before, who, " killed with its guardian, %g s later" % late)
    check(stayed, "the guardian was never missed: this proves nothing")
    # So does a reset.
    before = leftovers()
    fresh(who)
    process = busy(who)
    os.kill(guardian(), signal.SIGKILL)
    kill(process)
    lab("reset", who=who).check(0)
    assert_nothing_left(before, who, " reset after both were killed")


def guardian_killed(who):
    """The lab starts another one before it starts anything else."""
    furnished(who)
    before = leftovers()
    fresh(who)
    process = begin(chapter(BUSY), who, "\n")
    until(process, "task> ")
    first = guardian()
    os.kill(first, signal.SIGKILL)
    process.stdin.write(("\n".join(TYPED) + "\n").encode())
    process.stdin.flush()
    until(process, "all was typed\n")
    check(guardian() != first, "no other guardian")
    kill(process)
    assert_nothing_left(before, who, " killed after its guardian was")


def test_its_directory_is_its_own():
    """One that has anything else in it is not touched: a reset removes all that is there."""
    path = tmp("home", 0o755)
    with open(os.path.join(path, "letter"), "w") as file:
        file.write("dear")
    for words in (("reset",), ("uts",)):
        found = nsrun(["lab", *words], env={"NSRUN_LAB_DIR": path, "NSRUN_DATA_DIR": data()})
        equal(found.status, 125, "status of %r" % found)
        contains(found.stderr, "it has files, such as letter")
    equal((os.listdir(path), os.stat(path).st_mode & 0o777), (["letter"], 0o755), "what is there, and its mode")


def test_a_lock_is_no_mark():
    """A file of that name is in /var/lib/dpkg and in many others: neither emptied by a reset, nor written to."""
    for text, letter in (("", True), ("1234\n", True), ("1234\n", False)):
        path = tmp("locked", 0o755)
        with open(os.path.join(path, "lock"), "w") as file:
            file.write(text)
        if letter:
            with open(os.path.join(path, "letter"), "w") as file:
                file.write("dear")
        before = sorted(os.listdir(path))
        for words in (("reset",), ("uts",), ("check",)):
            found = nsrun(["lab", *words], env={"NSRUN_LAB_DIR": path, "NSRUN_DATA_DIR": data()})
            equal(found.status, 125, "status of %r" % found)
            contains(found.stderr, "it has files, such as %s" % ("letter" if letter else "lock"))
        equal((sorted(os.listdir(path)), os.stat(path).st_mode & 0o777), (before, 0o755), "what is there, and its mode")
        equal(open(os.path.join(path, "lock")).read(), text, "the lock of somebody else")
        shutil.rmtree(path)


@test(root=True)
def test_within_the_reach_of_others():
    """Who owns the directory above, or may write there, could exchange the lab's."""
    for owner, mode in ((ranger().uid, 0o755), (0, 0o777), (0, 0o1777)):
        above = tmp("above", 0o755)
        os.chown(above, owner, 0)
        os.chmod(above, mode)
        for words in (("uts",), ("reset",)):
            found = nsrun(["lab", *words], env={"NSRUN_LAB_DIR": above + "/mine/lab", "NSRUN_DATA_DIR": data()})
            if mode & 0o1000:
                found.check(0)
            else:
                equal(found.status, 125, "status of %r" % found)
                contains(found.stderr, "it lies in %s, where other users can put another one" % above)
                equal(os.listdir(above), [], "what is there")
        shutil.rmtree(above)


@test(root=True, needs=["unshare"])
def test_where_the_hosts_root_has_no_number():
    """In a user namespace without a map for root, / belongs to 65534, and to nobody who could do anything there."""
    place = os.path.join(tmp("inside", 0o777), "lab")
    found = run(["unshare", "-Ur", binary(), "lab", "reset"], user=ranger(), env={"NSRUN_LAB_DIR": place, "NSRUN_DATA_DIR": data()})
    # What it lies in can be written by all, and that is what counts here too.
    equal(found.status, 125, "status of %r" % found)
    os.chmod(os.path.dirname(place), 0o1777)
    run(["unshare", "-Ur", binary(), "lab", "reset"], user=ranger(), env={"NSRUN_LAB_DIR": place, "NSRUN_DATA_DIR": data()}).check(0)


def test_a_link_is_told():
    where = tmp("real", 0o755)
    path = where + "-link"
    os.symlink(where, path)
    found = nsrun(["lab", "uts"], env={"NSRUN_LAB_DIR": path, "NSRUN_DATA_DIR": data()})
    os.unlink(path)
    equal(found.status, 125, "status of %r" % found)
    contains(found.stderr, "it is a symbolic link; name the directory itself")


@generate(timeout=120)
def reset_of_all():
    for kind, who in kinds():
        yield kind, lambda who=who: reset_removes_all(who())


def reset_removes_all(who):
    """Also what commands have made beside the rootfs, and containers that nobody looks after any more."""
    path = chapter(BOX + "```sh\nmkdir -p own/deep; echo 1 > own/deep/file; echo 2 > .hidden; chmod 0 own/deep\n```\n")
    lab("own", who=who, chapters=path, input="\n\n").check(0)
    check({"own", ".hidden", "progress.json"} <= set(os.listdir(lab_dir(who))), "nothing is there to be reset")
    lab("reset", who=who).check(0)
    equal(set(os.listdir(lab_dir(who))) - {"state", "progress.json"}, {"lock", ".nsrun-lab"}, "what is left")


if __name__ == "__main__":
    main()
