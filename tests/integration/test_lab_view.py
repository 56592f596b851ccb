# SPDX-License-Identifier: Apache-2.0
"""nsrun lab in panes: driven by keys through tmux(1), its screens compared with tests/integration/screens/NAME.txt (`--update-golden` writes them).
Numbers that differ from run to run are replaced, so that those which are the same on a screen stay the same."""
import difflib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import termios
import time

from harness import *

SCREENS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "screens")

CHAPTER = """# Names

```lab
minutes: 1
goal: it is a test
```

A *container* has a name: `hostname` tells it. This sentence is long enough to be wrapped in a pane, wherever it stands.

```run
nsrun --name box --hostname inside --cap-add SYS_ADMIN rootfs sleep 600
```

```ask name
What does hostname print on the host?
a) inside
b) something else
answer: b
holds: host.hostname != inside
why: another namespace
```

```sh box
hostname
```

So it is.

```ask who
Which user id has process 1 of box, as it sees itself?
answer: box.uid.inner
```

```sh box
id -u
```

That is all there is to see.

```task rename
Call it mine.
hint: `hostname NAME`
solution box: hostname mine
check: box.hostname == mine
```

```run
nsrun --name twin --uts=host rootfs sleep 600
```

```check
twin.uts == host.uts
```

The end.
"""
HELD = """# Held

```lab
minutes: 1
goal: it is a test
```

```run hold=root.pivot
nsrun --name box rootfs sleep 600
```

Look at the tape.

```go box
```
"""


def data():
    path = os.path.join(base(), "data")
    if not os.path.isdir(path):
        shutil.copytree(os.path.join(TOP, "docs/labs"), os.path.join(path, "labs"))
        shutil.copytree(os.path.join(TOP, "rootfs-scripts"), os.path.join(path, "rootfs-scripts"))
        subprocess.run(["chmod", "-R", "a+rX", path], check=True)
    return path


def lab_dir():
    path = os.path.join(base(), "lab")
    if not os.path.isdir(path):
        os.mkdir(path, 0o700)
    return path


def chapters(text=CHAPTER):
    path = tmp("chapters")
    with open(os.path.join(path, "own.md"), "w") as file:
        file.write(text)
    return path


class Screen:
    """A lab in a terminal of its own; when it has ended its status and the settings of the terminal are on the screen."""

    def __init__(self, *words, columns=80, rows=24, term=None, env=None, chapter=CHAPTER, keep=False, after="true"):
        if not keep and os.path.exists(os.path.join(lab_dir(), "progress.json")):
            os.unlink(os.path.join(lab_dir(), "progress.json"))
        self.socket = tmp("tmux", 0o700)
        self.chapters = chapters(chapter) if chapter else None
        more = ["--chapters", self.chapters] if chapter else []
        variables = {**environment(None, {"NSRUN_LAB_DIR": lab_dir(), "NSRUN_DATA_DIR": data(), "TMUX_TMPDIR": self.socket, **(env or {})})}
        variables.pop("TERM")
        command = "trap : INT; set -m; %s %s; status=$?; echo; %s; echo ended $status; stty -a | grep -ow -e '-*icanon' -e '-*echo' -e '-*isig' | xargs; " \
            "exec cat >/dev/null" % ("env TERM=%s" % term if term else "", shlex.join([binary(), "lab", *(words or ("own",)), *more]), after)
        self.env = variables
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows), "sh", "-c", command,
                  ";", "set", "-g", "status", "off", ";", "set", "-s", "escape-time", "0")
        self.rows = rows

    def tmux(self, *words):
        run = subprocess.run(["tmux", "-L", "lab", *words], env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        check(run.returncode == 0, "tmux %s: %s" % (shlex.join(words), run.stdout.decode()))
        return run.stdout.decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pid = int(self.tmux("display-message", "-p", "#{pid}"))
        self.tmux("kill-server")
        wait_for(lambda: not alive(pid), "the end of tmux")
        wait_for(lambda: not [pid for pid in descendants() if alive(pid)], "the end of the lab", 30)

    def text(self):
        return self.tmux("capture-pane", "-p")

    def pid(self):
        """Of the lab."""
        shell = int(self.tmux("display-message", "-p", "#{pane_pid}"))
        found = [pid for pid in descendants(shell) if comm(pid) == "nsrun"]
        return found[0]

    def key(self, *keys):
        for key in keys:
            self.tmux("send-keys", key)

    def type(self, text):
        self.tmux("send-keys", "-l", text)

    def see(self, pattern, timeout=20):
        """Waits until the screen matches; returns it."""
        last = [""]

        def seen():
            last[0] = self.text()
            return re.search(pattern, last[0], re.M)
        try:
            wait_for(seen, "%r" % pattern, timeout, 0.05)
        except Failure as failure:
            fail("%s on the screen:\n%s" % (failure, last[0]))
        return last[0]

    def at(self, place):
        """Waits for the prompt of this block, as the line that is typed to."""
        return self.see(r"^own %s> *\n(.*\n)?\s*\Z" % place)

    def go(self, place, *keys):
        self.key(*keys)
        return self.at(place)


def plain(screen):
    """Numbers that are the same on a screen become the same word of the same length."""
    names = {}

    def inode(match):
        return names.setdefault(match.group(), "INODE%05d" % (len(names) + 1))
    screen = re.sub(r"\b40\d{8}\b", inode, screen)
    screen = re.sub(r"process 1 is process \d+ of the host *", lambda m: "process 1 is process N of the host".ljust(len(m.group())), screen)
    screen = re.sub(r"\b(host name     ).{12}", lambda m: m.group(1) + "N".ljust(12), screen)
    screen = re.sub(r"\b(host name     .*=  )\S+", r"\1N", screen)
    screen = re.sub(r"\b(process|pid inside|uid|capabilities)(  .*)",
                    lambda m: m.group(1) + re.sub(r"\d+ *", lambda n: "N".ljust(len(n.group())), m.group(2)), screen)
    screen = re.sub(r"─* \d+-\d+ of \d+ ─", "─ N-N of N ─", screen)
    screen = re.sub(r" *\d+\.\d{3} ms", "  N.NNN ms", screen)
    # Two processes run rows at once, so their order is not always the same: but for the last ones, of the workload alone, it is left out.
    screen = re.sub(r"(│   done    ).*|(   done    )\S+ +(?:runtime|init) .*", lambda m: (m.group(1) or m.group(2)) + "ROW", screen)
    return "\n".join(line.rstrip() for line in screen.split("\n")).rstrip("\n") + "\n"


def golden(name, lab):
    """The screen becomes the golden one: what is seen first may not be all of it yet."""
    path, last = os.path.join(SCREENS, name + ".txt"), [""]
    if "--update-golden" in arguments:
        time.sleep(2)
        os.makedirs(SCREENS, exist_ok=True)
        with open(path, "w") as file:
            file.write(plain(lab.text()))
    check(os.path.exists(path), "%s is missing: make it with --update-golden, and read it" % path)
    with open(path) as file:
        wanted = file.read()

    def same():
        last[0] = plain(lab.text())
        return last[0] == wanted
    try:
        wait_for(same, "the golden screen", 5, 0.1)
    except Failure:
        fail("the screen is not the golden one:\n%s\nall of it:\n%s" % ("\n".join(difflib.unified_diff(
            wanted.splitlines(), last[0].splitlines(), "screens/%s.txt" % name, "this screen", n=1, lineterm="")), last[0]))


def progress():
    with open(os.path.join(lab_dir(), "progress.json")) as file:
        return json.load(file)["chapters"]["own"]


# ---- a whole chapter by keys ------------------------------------------------------------------------------------------

@test(needs=["tmux"], timeout=120)
def test_played_by_keys():
    """Right and wrong answers, a task, both sides, the tape, the end."""
    with Screen() as lab:
        lab.at("2/12")
        golden("begin-80x24", lab)
        lab.go("3/12 answer", "Enter")
        golden("question-80x24", lab)
        lab.type("x")
        lab.key("Enter")
        lab.see("Wanted is a letter from a to b")
        lab.type("a")
        lab.go("4/12", "Enter")
        screen = lab.go("6/12 answer", "Space")
        for part in ("  | inside", "WRONG: you said: a", "answer: b) something else", "another namespace"):
            contains(screen, part)
        # Letters are the answer here, also those that are keys elsewhere.
        lab.type("tq")
        lab.see(r"^own 6/12 answer> tq$")
        lab.key("BSpace", "BSpace")
        # But a colon begins a line that may be a word of the prompt, as everywhere.
        lab.type(":next")
        lab.see(r"^own 6/12 answer> next$")
        lab.key("C-u")
        lab.type("0")
        screen = lab.go("7/12", "Enter")
        lab.key("t")
        lab.see(r"^.the launch of box")
        golden("tape-80x24", lab)
        lab.key("t")
        lab.see("^.inode of")
        lab.go("9/12 task", "Enter")
        contains(lab.text(), "RIGHT: you said: 0")
        lab.go("9/12 task", "Enter")
        lab.see("not yet: box.hostname is inside; wanted: mine")
        lab.type("hint")
        lab.key("Enter")
        lab.see("Hint 1 of 1")
        # `t` and `b` begin lines as well, and what the container is called is told beside.
        lab.type("box hostname mine")
        lab.go("9/12 task", "Enter")
        lab.see(r"!  mine")
        golden("renamed-80x24", lab)
        lab.type("tape box hostname.set")
        lab.go("9/12 task", "Enter")
        lab.see(r"^  hostname.set +init +ok")
        lab.go("10/12", "Enter")
        lab.key("Enter")
        lab.see("The end: Enter leaves")
        golden("end-80x24", lab)
        lab.key("Enter")
        screen = lab.see(r"^ended 0\n(.*\n)*isig icanon echo$")
        contains(" ".join(screen.split()), "Predictions that were right: 1 of 2; tasks that you have solved: 1 of 1.")
    one = progress()
    equal({name: ask["answer"] for name, ask in one["asks"].items()}, {"name": "a", "who": "0"}, "answers")


def play(lab, answers, tasks):
    """Keys until the chapter has ended: Enter, an answer for each question, and lines for each task."""
    answers, tasks, last = list(answers), list(tasks), ""
    for _ in range(400):
        def stands():
            lines = lab.text().rstrip("\n").split("\n")
            sign = "\n".join(lines[-2:])
            return sign if sign != last and ("The end: " in sign or re.search(r"^\w+ \d+/\d+( answer| task)?>$", lines[-2])) else ""
        last = wait_for(stands, "the next prompt behind %r" % last, 20)
        if "The end: " in last:
            return
        if "more (lines:" in last:
            lab.key("Space")
        elif " answer>" in last:
            lab.type(answers.pop(0))
            lab.key("Enter")
        elif " task>" in last:
            # Its lines one after the other, then Enter, which checks: the prompt is the same all the while, what was typed is in the text.
            for line in tasks.pop(0):
                lab.type(line)
                lab.key("Enter")
                lab.see(r"^\w+ \d+/\d+ task> %s$" % re.escape(line))
                lab.see(r"^\w+ \d+/\d+ task> *\n.*\n?\Z")
            lab.key("Enter")
        else:
            lab.key("Enter")


@test(needs=["tmux"], timeout=180)
def test_chapter_of_nsrun():
    """The first chapter, all of it; its first answer is a wrong one."""
    answers = [line[8:] for line in open(os.path.join(data(), "labs/uts.md")).read().split("\n") if line.startswith("answer: ")]
    answers[0] = {"a": "b", "b": "a"}[answers[0]]
    with Screen("uts", chapter=None) as lab:
        lab.see(r"^uts 2/\d+>")
        play(lab, answers, [["box hostname mine"], ["end guest", "nsrun --name twin --hostname twin rootfs sleep 600"]])
        lab.key("Enter")
        screen = " ".join(lab.see(r"^ended 0\n").split())
        contains(screen, "Predictions that were right: %d of %d; tasks that you have solved: 2 of 2." % (len(answers) - 1, len(answers)))
    result = json.loads(nsrun(["lab", "check", "uts", "--json"], env={"NSRUN_LAB_DIR": lab_dir(), "NSRUN_DATA_DIR": data()}).stdout)["chapters"][0]
    equal([ask["right"] for ask in result["asks"]], [False] + [True] * (len(answers) - 1), "answers")


@test(needs=["tmux"], timeout=120)
def test_large():
    """All panes at once; two containers beside the host, joined where they share a namespace."""
    with Screen(columns=200, rows=50) as lab:
        lab.go("3/12 answer", "Enter")
        lab.type("b")
        lab.go("4/12", "Enter")
        golden("question-200x50", lab)
        lab.type("nsrun --name more --uts=host rootfs sleep 600")
        lab.key("Enter")
        lab.see("box running, more running")
        lab.at("4/12")
        golden("containers-200x50", lab)
        lab.tmux("resize-window", "-x", "80", "-y", "24")
        lab.see(r"^.inode of host           more ")
        lab.key("Left")
        lab.see(r"^.inode of host           box ")
        lab.type("again")
        lab.go("2/12", "Enter")
        check("running" not in lab.text(), "containers after `again`:\n" + lab.text())
        lab.key("q")
        lab.see(r"^ended 0\n")


@test(needs=["tmux"], timeout=120)
def test_held():
    """The tape of a launch that stands before a row says which; and goes on from there."""
    with Screen(chapter=HELD) as lab:
        lab.at("1/3")
        lab.go("3/3", "Enter")
        lab.key("t")
        lab.see("box held before root.pivot")
        lab.see(r"^ > held    root.pivot")
        golden("held-80x24", lab)
        lab.key("C-l")  # `t` was a key, not the beginning of a word
        lab.type("step")
        lab.key("Enter")
        lab.see(r"^ > held    root.detach")
        contains(lab.at("3/3"), "done    root.pivot")
        lab.key("q")
        lab.see(r"^ended 0\n")


@test(needs=["tmux"], timeout=120)
def test_monochrome():
    """A terminal without colour, and without Unicode: what is marked is marked by characters."""
    with Screen("own", "--view", "panes", term="vt100", env={"LANG": "C", "NO_COLOR": "1"}) as lab:
        lab.go("3/12 answer", "Enter")
        golden("question-vt100", lab)
        raw = lab.tmux("capture-pane", "-p", "-e")
        equal(re.findall(r"\033\[[0-9;]*(?:3[0-7]|4[0-7])m", raw), [], "colours")
        check("\033[7m" in raw, "no reverse video: the test sees nothing")
        check(lab.text().isascii(), "more than ASCII:\n" + lab.text())
        lab.key("C-d")
        lab.see(r"^ended 0\n")


@test(needs=["tmux"], timeout=120)
def test_keys_and_sizes():
    with Screen() as lab:
        lab.at("2/12")
        lab.key("?")
        lab.see("Any key closes the help")
        golden("help-80x24", lab)
        lab.key("Escape")
        lab.at("2/12")
        # A line that begins with a key: by a colon, or as it comes.
        lab.type(":quack")
        lab.see(r"^own 2/12> quack$")
        lab.key("Enter")
        lab.see("That is no command of the lab")
        lab.type("tap")
        lab.see(r"^own 2/12> tap$")
        lab.key("Escape")
        lab.at("2/12")
        lab.key("C-p", "C-p")
        lab.see(r"^own 2/12> quack$")
        lab.key("C-u")
        lab.type("host seq 100")
        lab.go("2/12", "Enter")
        # What is longer than the pane begins at its top; Space reads on, before anything else happens.
        lab.see(r"\A.*\nown 2/12> host seq 100\n|\A.*\n  \| 1\n")
        for _ in range(4):
            lab.key("Space")
        lab.see(r"^  \| 100\n")
        lab.key("PPage", "PPage")
        lab.see(r"^  \| 60\n")
        lab.key("NPage", "NPage")
        for columns, rows in ((60, 15), (20, 6), (8, 2), (250, 60), (80, 24)):
            lab.tmux("resize-window", "-x", str(columns), "-y", str(rows))
            lab.key("z", "z", "Tab")
        lab.see(r"^  \| 100\n(.*\n)* Enter next   PgUp PgDn scroll   Tab pane  t tape  : command  \? help  q quit$")
        lab.key("q")
        lab.see(r"^ended 0\n")


@test(needs=["tmux"], timeout=120)
def test_goes_on_another_day():
    with Screen() as lab:
        lab.go("3/12 answer", "Enter")
        lab.key("C-d")
        contains(lab.see(r"^ended 0\n"), "lab: you are at block 3 of 12; `nsrun lab own` goes on there.")
    with Screen(keep=True) as lab:
        screen = lab.at("3/12 answer")
        contains(screen, "you were at block 3 of 12; what came before is set up again.")
        contains(screen, "box running")
        lab.type("quit")
        lab.key("Enter")
        lab.see(r"^ended 0\n")


# ---- the terminal ---------------------------------------------------------------------------------------------------

EVIL = r"printf '\033]2;stolen\007\033[2J\033[31mred\033[0m \233H\302\2332J \016\017\001\004 end\n'"


def evil_screen(view, columns=80):
    with Screen("own", *view, columns=columns) as lab:
        lab.go("3/12 answer", "Enter")
        lab.type("box " + EVIL)
        lab.key("Enter")
        screen = lab.see(r"(\\x04 |\| |^)end$")
        contains(screen, r"\x1b]2;stolen\x07\x1b[2J\x1b[31mred\x1b[0m")
        contains(screen, r"\x9bH\xc2\x9b2J")
        lab.at("3/12 answer")
        lab.type(r"box hostname $(printf 'a\033[7mb')")
        lab.key("Enter")
        lab.at("3/12 answer")
        lab.type("both box hostname")
        lab.key("Enter")
        lab.see(r"  !  a\\x1b\[7mb$" if not view else r"a\\x1b\[7mb")
        lab.at("3/12 answer")
        raw = lab.tmux("capture-pane", "-p", "-e")
        check("\033[31m" not in raw and "a\033[7mb" not in raw, "colours of the container:\n%r" % raw)
        check("stolen" not in lab.tmux("display-message", "-p", "#{pane_title}"), "the title of the terminal is the container's")
        lab.type("quit")
        lab.key("Enter")
        lab.see(r"^ended 0\n")


@generate(timeout=120)
def hostile_output():
    for name, view in (("panes", ()), ("lines", ("--plain",))):
        yield name, lambda view=view: (needs_program("tmux"), evil_screen(view))


def modes(lab):
    """Of the terminal, as the lab has it now."""
    path = lab.tmux("display-message", "-p", "#{pane_tty}").strip()
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
    try:
        return termios.tcgetattr(fd)[3] & (termios.ICANON | termios.ECHO)
    finally:
        os.close(fd)


@generate(timeout=120)
def ended_by_signals():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL):
        yield number.name, lambda number=number: (needs_program("tmux"), ended_by(number))


def ended_by(number):
    """The terminal has its screen and its settings back, and nothing is left of the lab."""
    before = leftovers()
    with Screen() as lab:
        lab.go("3/12 answer", "Enter")
        equal(modes(lab), 0, "settings while the lab has the terminal")
        equal(lab.tmux("display-message", "-p", "#{alternate_on}").strip(), "1", "the other screen")
        os.kill(lab.pid(), number)
        wait_for(lambda: modes(lab) == termios.ICANON | termios.ECHO, "the terminal's settings")
        wait_for(lambda: lab.tmux("display-message", "-p", "#{alternate_on}").strip() == "0", "the terminal's screen")
        # Whoever waits for a process that was killed may be faster than its guard, and write to the other screen still.
        if number != signal.SIGKILL:
            screen = lab.see(r"^ended \d+\n(.*\n)*isig icanon echo$")
            if number not in (signal.SIGSEGV, signal.SIGABRT):  # which sanitizers report
                contains(screen, "ended %d\n" % (128 + number))
        wait_for(lambda: lab.tmux("display-message", "-p", "#{cursor_flag}").strip() == "1", "the cursor")
    assert_clean(before, 10)


@test(needs=["tmux"], timeout=120)
def test_stopped_and_shell():
    """^Z and fg; a shell has the screen as it was before, and the lab comes back."""
    with Screen(after="echo stopped; read line; fg; status=$?") as lab:
        lab.go("3/12 answer", "Enter")
        pid = lab.pid()
        lab.key("C-z")
        lab.see("^stopped")
        equal((modes(lab), lab.tmux("display-message", "-p", "#{alternate_on}").strip()), (termios.ICANON | termios.ECHO, "0"), "terminal of the shell")
        lab.key("Enter")
        lab.at("3/12 answer")
        equal(modes(lab), 0, "settings of the lab")
        lab.type("shell box")
        lab.key("Enter")
        lab.see("A shell in box; `exit` comes back to the lab.")
        equal(lab.tmux("display-message", "-p", "#{alternate_on}").strip(), "0", "the other screen while there is a shell")
        lab.type("echo $((40+2))-$(hostname); hostname other")
        lab.key("Enter")
        lab.see("^42-inside")
        lab.type("exit")
        lab.key("Enter")
        contains(lab.at("3/12 answer"), "!  other")
        # ^C is for what runs.
        lab.type("host sleep 1000")
        lab.key("Enter")
        wait_for(lambda: any(line.endswith(": sleep 1000") for line in describe(descendants(pid))), "sleep on the host")
        lab.see("Working; ")
        lab.key("C-c")
        lab.at("3/12 answer")
        contains(lab.text(), "[interrupted]")
        lab.key("C-c")
        lab.see(r"^ended 130\n(.*\n)*isig icanon echo$")


@generate(timeout=120, root=True)
def ordinary_user():
    """On a terminal that the harness reads: what goes to it begins with the other screen, and ends with this one."""
    for kind, who in (("ranges", ranger), ("one-id", single)):
        yield kind, lambda who=who: as_user(who())


def as_user(who):
    place = tmp("lab", 0o700, owner=who)
    env = {"TERM": "xterm", "NSRUN_LAB_DIR": place, "NSRUN_DATA_DIR": data()}
    before = leftovers()
    with Pty([binary(), "lab", "own", "--chapters", chapters()], user=who, env=env) as pty:
        pty.expect(r"own 2/12>")
        pty.write("\r")
        pty.expect(r"box running")
        pty.expect(r"answer>")
        pty.write("\004")
        equal(pty.wait(30), 0, "status")
        check(pty.text.index("\033[?1049h") < pty.text.index("box running") < pty.text.rindex("\033[?1049l") < pty.text.index("goes on there"), repr(pty.text))
        equal(pty.settings(), pty.initial, "settings of the terminal")
    assert_clean(before, 10)


# ---- which view -------------------------------------------------------------------------------------------------------

@test(needs=["tmux"], timeout=120)
def test_which_view():
    """Panes where they fit; lines for all else, without being asked."""
    for words, more, is_panes in (
            ((), {}, True),
            (("--plain",), {}, False),
            (("--view", "plain"), {}, False),
            (("--one-column",), {}, False),
            ((), {"term": "dumb"}, False),
            ((), {"term": "no-such-terminal"}, False),
            ((), {"env": {"NO_COLOR": "1"}}, False),
            (("--view", "panes"), {"env": {"NO_COLOR": "1"}}, True),
            ((), {"columns": 79}, False),
            ((), {"rows": 23}, False),
            (("--view", "panes"), {"columns": 60, "rows": 15}, True)):
        what = "%s %s" % (words, more)
        with Screen("own", *words, **more) as lab:
            lab.see(r"^own 2/12> ?$")
            equal(lab.tmux("display-message", "-p", "#{alternate_on}").strip(), "1" if is_panes else "0", "panes with " + what)
            lab.key("C-d")
            lab.see(r"^ended 0\n")
    with Screen("own", "--view", "panes", term="dumb") as lab:
        screen = "".join(lab.see(r"^ended 125\n").split())
        contains(screen, "--view panes: TERM says that the terminal can only print lines; --plain shows the same as lines".replace(" ", ""))


def test_every_screen_is_used():
    with open(os.path.abspath(__file__)) as file:
        used = re.findall(r'\bgolden\("([^"]+)"', file.read())
    equal(sorted(os.listdir(SCREENS)), sorted(name + ".txt" for name in used), "golden screens")


if __name__ == "__main__":
    main()
