#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The terminal: a container on a pseudoterminal, as a person at a shell has it, and the same without one."""
from harness import *

import os
import re
import select
import shlex
import signal
import sys
import termios
import time

from helper import executes


def command(*words, options=()):
    """nsrun [options] --userns-remap dummy ROOTFS words."""
    return [binary(), *options, "--userns-remap", dummy().name, rootfs(owner=dummy().name), *words]


def on_terminal(*words, options=(), **more):
    needs_root()
    return Pty(command(*words, options=options), **more)


def shell(options=(), **more):
    """bash on a terminal, ready to take lines."""
    terminal = on_terminal("/bin/bash", "--norc", "--noprofile", options=options, env={"PS1": "ready> "}, **more)
    terminal.write("PS1='ready''> '\n")
    terminal.expect("ready> ")
    return terminal


def tell(terminal, line, pattern, timeout=10):
    """Types a line; waits for the pattern in what comes after it. Write the pattern's word in two parts in the line, since the
    echo shows the line too."""
    start = len(terminal.text)
    terminal.write(line + "\n")
    return terminal.expect(pattern, timeout, start)


# ---- settings of the user's terminal ------------------------------------------------------------------------------

@test(root=True)
def test_settings_after_exit():
    with on_terminal("/bin/sh", "-c", "stty raw -echo; exit 7") as terminal:
        before = terminal.initial
        equal(terminal.wait(), 7, "status")
        equal(terminal.settings(), before, "terminal settings")


@test(root=True)
def test_settings_after_failed_launch():
    for words, status in ((["/no/such/program"], 127), (["/etc/passwd"], 126)):
        with on_terminal(*words) as terminal:
            before = terminal.initial
            equal(terminal.wait(), status, "status of %s" % words)
            equal(terminal.settings(), before, "terminal settings")


def is_raw(terminal):
    return terminal.raw()


@test(root=True)
def test_settings_after_sigkill():
    with on_terminal("/bin/sh", "-c", "echo up; sleep 1000") as terminal:
        before = terminal.initial
        terminal.expect("up")
        wait_for(lambda: is_raw(terminal), "raw mode")
        os.kill(terminal.pid, signal.SIGKILL)
        terminal.wait()
        wait_for(lambda: terminal.settings() == before, "the settings as they were, after SIGKILL of nsrun")
        wait_for(lambda: not [p for p in descendants() if alive(p)], "the end of all its processes")


@test(root=True)
def test_settings_after_sigterm():
    # The signal is passed on; a shell with a trap for it ends, and nsrun with it.
    with on_terminal("/bin/sh", "-c", "trap 'exit 5' TERM; echo up; while :; do sleep 0.1; done") as terminal:
        before = terminal.initial
        terminal.expect("up")
        os.kill(terminal.pid, signal.SIGTERM)
        equal(terminal.wait(), 5, "status")
        equal(terminal.settings(), before, "terminal settings")


# ---- keys ----------------------------------------------------------------------------------------------------------

@test(root=True)
def test_job_control_inside():
    with shell() as terminal:
        wait_for(lambda: is_raw(terminal), "raw mode of the outer terminal")
        start = len(terminal.text)
        terminal.write("sleep 1000\n")
        executes(terminal.pid, "sleep")
        terminal.write(b"\x1a")
        terminal.expect("Stopped", start=start)

        def in_foreground():
            with open("/proc/%d/stat" % named("sleep", terminal.pid)[0]) as file:
                state, _, group, _, _, foreground = file.read().rsplit(")", 1)[1].split()[:6]
            return state != "T" and group == foreground
        start = len(terminal.text)
        terminal.write("fg\n")
        terminal.expect("sleep 1000", start=start)
        wait_for(in_foreground, "fg")
        terminal.write(b"\x03")
        tell(terminal, "echo st''atus=$?", r"status=130")
        check(terminal.process.poll() is None, "^C or ^Z reached nsrun itself")
        tell(terminal, "(exit 31); echo so''on; (exit 31)", r"soon\r\n(?s:.*)ready> ")  # the shell reads again
        terminal.write(b"\x04")
        equal(terminal.wait(), 31, "status after ^D is the last command's")


@test(root=True)
def test_interrupt_reaches_the_program():
    with on_terminal("/bin/sh", "-c", "trap 'echo caught; exit 9' INT; echo up; while :; do sleep 0.1; done") as terminal:
        terminal.expect("up")
        terminal.write(b"\x03")
        equal(terminal.wait(), 9, "status")
        contains(terminal.text, "caught")


@test(root=True)
def test_controlling_terminal():
    with on_terminal("/bin/sh", "-c", "test -t 0 && test -t 1 && test -t 2 && : </dev/tty && tty && exit 3") as terminal:
        equal(terminal.wait(), 3, "status")
        contains(terminal.text, "/dev/pts/0")


# ---- statuses ------------------------------------------------------------------------------------------------------

@test(root=True)
def test_statuses():
    for script, status in (("exit 0", 0), ("exit 7", 7), ("sh -c 'kill -TERM $$'; exit $?", 143)):
        with on_terminal("/bin/sh", "-c", script) as terminal:
            equal(terminal.wait(), status, script)
    with on_terminal("/bin/sh", "-c", "kill -TERM $$", options=["--init"]) as terminal:
        equal(terminal.wait(), 143, "killed below a reaper")


# ---- size ----------------------------------------------------------------------------------------------------------

@test(root=True)
def test_size():
    with shell(rows=33, columns=99) as terminal:
        tell(terminal, "stty size", r"33 99")
        terminal.resize(44, 111)
        wait_for(lambda: re.search("44 111", tell(terminal, "stty size", r"\d+ \d+").group(0)), "the new size inside")
        tell(terminal, "trap 'stty size' WINCH; echo tr''apped", "trapped")
        start = len(terminal.text)
        terminal.resize(20, 60)
        terminal.write("\n")
        terminal.expect("20 60", start=start)
        terminal.write("exit 0\n")
        equal(terminal.wait(), 0, "status")


# ---- volume --------------------------------------------------------------------------------------------------------

@test(root=True, timeout=120)
def test_large_output():
    count = 10 << 20
    with on_terminal("/bin/sh", "-c", "stty raw; dd if=/dev/zero bs=65536 count=160 2>/dev/null | tr '\\0' x; exit 4") as terminal:
        equal(terminal.wait(60), 4, "status")
        equal(terminal.output.count(b"x"), count, "bytes")


@test(root=True, timeout=120)
def test_large_paste():
    lines = b"".join(b"%07d abcdefghijklmnopqrstuvwxyz\n" % i for i in range(3000))
    check(len(lines) > 100000, "too little")
    with on_terminal("/bin/sh", "-c", "stty -echo; echo up; head -c %d | md5sum; exit 6" % len(lines)) as terminal:
        terminal.expect("up")
        send(terminal, lines)
        import hashlib
        terminal.expect(hashlib.md5(lines).hexdigest(), 30)
        equal(terminal.wait(), 6, "status")


def send(terminal, data):
    """Writes all of it while reading what comes back."""
    os.set_blocking(terminal.master, False)
    try:
        while data:
            _, ready, _ = select.select([], [terminal.master], [], 0.05)
            if ready:
                try:
                    data = data[os.write(terminal.master, data[:4096]):]
                except BlockingIOError:
                    pass
            terminal.pump(0)
    finally:
        os.set_blocking(terminal.master, True)


# ---- without a terminal --------------------------------------------------------------------------------------------

@test(root=True)
def test_pipes_are_binary_clean():
    data = os.urandom(1 << 20)
    result = nsrun(["--userns-remap", dummy().name, "-i", rootfs(owner=dummy().name), "/bin/cat"], input=data)
    equal(result.status, 0, "status")
    check(result.stdout_bytes == data, "1 MiB through cat came back changed: %d bytes" % len(result.stdout_bytes))
    equal(result.stderr, "", "stderr")


@test(root=True)
def test_no_terminal_on_a_terminal():
    with on_terminal("/bin/sh", "-c", "(: </dev/tty) 2>/dev/null || echo none; exit 3", options=["-t=false"]) as terminal:
        before = terminal.initial
        equal(terminal.wait(), 3, "status")
        contains(terminal.text, "none", "no controlling terminal inside")
        equal(terminal.settings(), before, "terminal settings")


@test(root=True)
def test_interrupt_without_a_terminal():
    # ^C goes to the foreground group of the outer terminal; the workload has a session of its own and gets it from nsrun.
    script = "trap 'echo caught; exit 8' INT; echo up; while :; do sleep 0.1; done"
    with on_terminal("/bin/sh", "-c", script, options=["-t=false"]) as terminal:
        terminal.expect("up")
        terminal.write(b"\x03")
        equal(terminal.wait(), 8, "status")
        equal(terminal.text.count("caught"), 1, "times")


@test(root=True)
def test_every_signal_is_forwarded():
    names = ["HUP", "INT", "QUIT", "TERM", "USR1", "USR2"]
    script = "".join("trap 'echo got-%s' %s;" % (name, name) for name in names) + "echo up; while :; do sleep 0.05; done"
    with on_terminal("/bin/sh", "-c", script, options=["-t=false"]) as terminal:
        terminal.expect("up")
        for name in names + ["TERM", "TERM"]:
            os.kill(terminal.pid, getattr(signal, "SIG" + name))
            start = len(terminal.text)
            terminal.expect("got-" + name, start=start)
        check(terminal.process.poll() is None, "a second signal ended nsrun")
        os.kill(terminal.pid, signal.SIGKILL)
        terminal.wait()


@test(root=True)
def test_default_action_below_a_reaper():
    # PID 1 does not see a signal without a handler; below --init the workload is an ordinary process.
    for options in (["--init"], ["--init", "-t=false"]):
        with on_terminal("/bin/sh", "-c", "echo up; exec sleep 1000", options=options) as terminal:
            terminal.expect("up")
            os.kill(terminal.pid, signal.SIGTERM)
            equal(terminal.wait(), 143, "status with %s" % options)


# ---- a job of an outer shell ---------------------------------------------------------------------------------------

@test(root=True)
def test_job_of_a_shell():
    """Started in the background it waits as a stopped job; fg gives it the terminal; what it leaves is in order."""
    needs_program("bash")
    with Pty(["bash", "--norc", "--noprofile", "-i"], env={"PS1": "outer> "}) as terminal:
        before = terminal.initial
        terminal.expect("outer> ")
        words = shlex.join(command("/bin/sh", "-c", "tty; stty size; read x; exit $x"))
        start = len(terminal.text)
        terminal.write(words + " &\n")
        terminal.write("sleep 1; jobs; echo af''ter\n")
        terminal.expect(r"Stopped[\s\S]*after", start=start)
        start = len(terminal.text)
        terminal.write("fg\n")
        terminal.expect("/dev/pts/0\\s+24 80", start=start)
        start = len(terminal.text)
        terminal.write("12\r")
        terminal.expect("outer> ", start=start)
        tell(terminal, "echo st''atus=$?", "status=12")
        terminal.write("exit\n")
        terminal.wait()
        equal(terminal.settings(), before, "terminal settings")


@test(root=True)
def test_stop_and_continue():
    """kill -TSTP of nsrun gives the outer shell its terminal back; fg goes on."""
    needs_program("bash")
    with Pty(["bash", "--norc", "--noprofile", "-i"], env={"PS1": "outer> "}) as terminal:
        terminal.expect("outer> ")
        terminal.write(shlex.join(command("/bin/sh", "-c", "echo u${EMPTY}p; read x; echo in${EMPTY}side-$x; exit 13")) + "\n")
        terminal.expect("up")
        child = wait_for(lambda: descendants(terminal.pid), "nsrun")[0]
        wait_for(lambda: is_raw(terminal), "raw mode")
        start = len(terminal.text)
        os.kill(child, signal.SIGTSTP)
        terminal.expect(r"Stopped[\s\S]*outer> ", start=start)
        tell(terminal, "echo al''ive", "alive")
        terminal.write("fg\n")
        wait_for(lambda: is_raw(terminal), "raw mode again")
        start = len(terminal.text)
        terminal.write("word\r")
        terminal.expect(r"inside-word[\s\S]*outer> ", start=start)
        tell(terminal, "echo st''atus=$?", "status=13")
        terminal.write("exit\n")
        terminal.wait()


def close_window(terminal):
    os.close(terminal.master)
    os.close(terminal.peer)
    terminal.master = terminal.peer = -1


@test(root=True)
def test_window_closed():
    """Closing the terminal is a hang-up inside, and leaves nothing behind."""
    terminal = shell()
    close_window(terminal)
    wait_for(lambda: terminal.process.poll() is not None, "the end of nsrun after its terminal was closed")
    wait_for(lambda: not [p for p in descendants() if alive(p)], "the end of all its processes")


@test(root=True)
def test_window_closed_before_a_plain_program():
    """The kernel drops SIGHUP for a process 1 that does not handle it: without its terminal nobody could end it."""
    for init in ([], ["--init"]):
        terminal = on_terminal("/bin/sleep", "1000", options=init)
        wait_for(lambda: any(line.endswith(": /bin/sleep 1000") for line in describe(descendants())), "sleep")
        close_window(terminal)
        wait_for(lambda: terminal.process.poll() is not None, "the end of nsrun after its terminal was closed")
        wait_for(lambda: not [p for p in descendants() if alive(p)], "the end of all its processes")


@test(root=True)
def test_window_closed_before_a_program_that_ignores_it():
    terminal = on_terminal("/bin/sh", "-c", "trap '' HUP; echo up; while [ ! -e /tmp/go ]; do sleep 0.1; done; rm /tmp/go; exit 9")
    terminal.expect("up")
    close_window(terminal)
    time.sleep(0.5)
    check(terminal.process.poll() is None, "nohup inside does not survive the terminal")
    open(os.path.join(rootfs(owner=dummy().name), "tmp/go"), "w").close()
    wait_for(lambda: terminal.process.poll() is not None, "the end of nsrun")
    equal(terminal.process.returncode, 9, "status")


if __name__ == "__main__":
    main()
