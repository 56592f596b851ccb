# SPDX-License-Identifier: Apache-2.0
"""nsrun attach, and the control socket behind it."""
import contextlib
import os
import re
import signal
import socket
import struct
import subprocess
import time

from harness import *
from helper import refused, remapped
from life import *

MAGIC = 0x6e737231
ATTACH, WAIT, INPUT, INPUT_END, SIZE, STDOUT, STDERR, END = range(1, 9)


def message(kind, data=b""):
    return struct.pack("=IHH", MAGIC, kind, len(data)) + data


def connect(c):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(20)
    directory = os.open(c.dir, os.O_PATH)
    try:
        for _ in range(500):
            try:
                s.connect("/proc/self/fd/%d/control" % directory)
                break
            except BlockingIOError:  # more than listen(2) takes
                time.sleep(0.01)
    finally:
        os.close(directory)
    return s


def attach(c, *options, **how):
    return subprocess.Popen([binary(), "attach", *options, c.name], env=environment(c.who), cwd=base(), **run_as(c.who),
                            **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how})


def clients(c):
    """How many are connected, beside the socket that listens and those of the launch."""
    return sum(target.startswith("socket:") for target in fds(c.keeper).values())


@contextlib.contextmanager
def connecting(c, n):
    """Ends when the keeper has accepted so many more clients than before."""
    before = clients(c)
    yield
    wait_for(lambda: clients(c) == before + n, "%d clients are connected" % n, timeout=15)


def takes_signals(pid):
    with open("/proc/%d/status" % pid) as file:
        return int(re.search(r"SigBlk:\s*(\w+)", file.read()).group(1), 16) >> signal.SIGTERM - 1 & 1


def attached_pty(c, *options):
    return Pty([binary(), "attach", *options, c.name], user=c.who)


SHELL = ("/bin/sh",)


@generate
def test_shell():
    """A shell in the background: typed into, left by keys, come back to, ended."""
    for kind, who in CALLERS.items():
        yield kind, lambda who=who: shell_of(who() if who else None)


def shell_of(who):
    before = leftovers()
    with detached(*SHELL, options=["-t"], who=who) as c:
        with attached_pty(c) as terminal:
            settings = terminal.initial
            terminal.resize(33, 99)
            terminal.write("echo fir''st; stty size\n")
            terminal.expect("first\r")
            terminal.write(b"\x10\x11")
            equal(terminal.wait(), 0, "status after the detach keys")
            contains(terminal.text, "detached", "what it says")
            equal(terminal.settings(), settings, "the terminal's settings")
        check(alive(c.init), "the container ended with its terminal")
        with attached_pty(c) as terminal:
            terminal.write("stty size; echo sec''ond\n")
            terminal.expect("24 80")
            terminal.expect("second\r")
            terminal.resize(40, 120)
            terminal.ask("stty size", "40 120")
            terminal.write("exit 5\n")
            equal(terminal.wait(), 5, "status after exit")
    assert_clean(before)


def test_detach_keys():
    with detached(*SHELL, options=["-t"]) as c:
        with attached_pty(c, "--detach-keys", "ctrl-a,x") as terminal:
            terminal.write("echo a''b\n")
            terminal.expect("ab\r")
            # ctrl-p ctrl-q is nothing here; a beginning that is not gone on with is passed on
            terminal.write(b"\x10\x11\x15cat > /dev/null\n")
            wait_for(lambda: named("cat", c.keeper), "cat")
            terminal.write(b"\x01y\n\x04")
            terminal.write("echo st''ill\n")
            terminal.expect("still\r")
            terminal.write(b"\x01x")
            equal(terminal.wait(), 0, "status")
        for bad in ("", "ctrl-", "ab", "ctrl-p,", "ctrl-1"):
            refused(nsrun(["attach", "--detach-keys=" + bad, c.name]), "detach-keys")


def test_three_at_once():
    with script("read go; for i in 1 2 3; do echo line $i; echo err $i >&2; done; exit 6", options=["-i"]) as c:
        with connecting(c, 4):
            attached = [attach(c, "--no-stdin", stdin=subprocess.DEVNULL) for _ in range(3)]
            waiting = subprocess.Popen([binary(), "wait", c.name], stdout=subprocess.PIPE, env=environment(), cwd=base())
        first = attach(c)
        first.stdin.write(b"go\n")
        first.stdin.flush()
        for process in attached + [first]:
            out, err = process.communicate(timeout=10)
            equal((out, err, process.returncode), (b"line 1\nline 2\nline 3\n", b"err 1\nerr 2\nerr 3\n", 6), "of each")
        equal(waiting.communicate(timeout=10)[0], b"6\n", "nsrun wait")


@test(timeout=90)
def test_slow_reader_is_dropped():
    """It neither stops the container nor the other client."""
    with script("read go; seq 1 400000; echo end; exit 4", options=["-i"]) as c:
        with connecting(c, 2):
            slow = connect(c)
            slow.send(message(ATTACH, struct.pack("=I", 2)))
            quick = attach(c)
        out, _ = quick.communicate(b"go\n", timeout=30)
        equal(quick.returncode, 4, "status")
        check(out.endswith(b"\n400000\nend\n") and out.count(b"\n") == 400001, "output: %r" % out[-30:])
        kind = None
        try:
            while True:
                data = slow.recv(20000)
                if not data:
                    break
                kind = struct.unpack("=IHH", data[:8])[1]
        except ConnectionResetError:
            pass
        check(kind == STDOUT, "the slow one heard the end: message %s" % kind)
        slow.close()


def test_clients_killed():
    """SIGKILL of an attached terminal: its settings come back, the container goes on."""
    with detached(*SHELL, options=["-t"]) as c:
        with attached_pty(c) as terminal:
            settings = terminal.initial
            terminal.write("echo u''p\n")
            terminal.expect("up\r")
            terminal.process.kill()
            terminal.process.wait()
            wait_for(lambda: terminal.settings() == settings, "the settings come back")
        check(alive(c.init), "the container ended with its client")
        with attached_pty(c) as terminal:
            terminal.close()  # hung up
            wait_for(lambda: terminal.process.poll() is not None, "the client ends")
        check(alive(c.init), "the container ended with its client's terminal")


def test_keeper_killed_under_a_client():
    with Exclusive():
        with script("sleep 60") as c:
            with connecting(c, 1):
                process = attach(c, "--no-stdin")
            os.kill(c.keeper, signal.SIGKILL)
            out, err = process.communicate(timeout=10)
            equal(process.returncode, 125, "status")
            contains(err.decode(), "killed", "message")
            nsrun(["gc"]).check(0)


def test_signals():
    with script("trap 'echo term; exit 3' TERM; echo up; while :; do sleep 0.1; done") as c:
        with connecting(c, 2):
            process = attach(c, "--no-stdin")
            wait_for(lambda: c.nsrun("logs").stdout == "up\n", "it is up")
            other = attach(c, "--sig-proxy=false")
        wait_for(lambda: takes_signals(other.pid), "the client's signals are its own")
        other.send_signal(signal.SIGTERM)
        out, err = other.communicate(timeout=10)
        equal(other.returncode, 0, "status of the one without proxy")
        contains(err.decode(), "detached", "what it says")
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=10)
        check(out.endswith(b"term\n"), "output %r" % out)
        equal(process.returncode, 3, "status")


def test_nothing_to_attach_to():
    refused(nsrun(["attach", "nonesuch"]), "nonesuch", "no-container")
    refused(nsrun(["attach"]), "attach")
    with script("exit 0") as c:
        c.ended()
        refused(c.nsrun("attach"), "not-running")
    plain = subprocess.Popen([binary(), "--userns-remap", dummy().name, arguments(None)[1], "/bin/sh", "-c", "echo up; sleep 60"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment(), cwd=base())
    try:
        equal(plain.stdout.readline(), b"up\n", "output")
        ids = [line.split()[0] for line in nsrun(["ls"]).stdout.splitlines() if str(descendants(plain.pid)[0]) in line.split()]
        refused(nsrun(["attach", ids[0]]), "no-control")
    finally:
        kill_tree([plain.pid])
        plain.wait()
        plain.stdout.close()
        nsrun(["gc"])


def test_hostile_clients():
    """Rubbish drops its sender, and nobody else."""
    with script("read go; echo fine", options=["-i"]) as c:
        rubbish = [b"", b"x", b"\0" * 8, message(99), message(ATTACH), message(ATTACH, b"\xff" * 4), message(SIZE, b"x"), message(END, b"x" * 4),
                   message(INPUT, b"early\n"), struct.pack("=IHH", MAGIC, INPUT, 4000) + b"x", b"\xff" * 30000]
        for data in rubbish:
            s = connect(c)
            s.send(data)
            try:
                equal(s.recv(100), b"", "answer to %r" % data[:20])
            except ConnectionResetError:
                pass
            s.close()
        many = [connect(c) for _ in range(70)]
        for s in many:
            s.close()
        good = connect(c)
        good.send(message(ATTACH, struct.pack("=I", 3)))
        good.send(message(INPUT, b"go\n"))
        good.send(message(INPUT_END))
        equal(good.recv(100), message(STDOUT, b"fine\n"), "output")
        equal(good.recv(100), message(END, struct.pack("=i", 0)), "end")
        good.close()


def test_input_end():
    with detached("/bin/cat", options=["-i"]) as c:
        s = connect(c)
        s.send(message(ATTACH, struct.pack("=I", 3)))
        s.send(message(INPUT, b"abc"))
        equal(s.recv(100), message(STDOUT, b"abc"), "output")
        s.send(message(INPUT_END))
        equal(s.recv(100), message(END, struct.pack("=i", 0)), "cat ends with its input")
        s.close()


def test_input_ends_when_it_was_said():
    """One who pipes into a container: the next could go on, unless --end-stdin."""
    with detached("/bin/sh", "-c", "cat; echo over", options=["-i"]) as c:
        client = subprocess.Popen([binary(), "attach", c.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(None))
        client.stdin.write(b"one\n")
        client.stdin.close()
        equal(client.stdout.readline(), b"one\n", "what the first client typed")
        client.kill()
        client.wait()
        client.stdout.close()
        second = c.nsrun("attach", "--end-stdin", input="two\n", timeout=20).check(0)
        equal(second.stdout, "two\nover\n", "what the second one sees to the end")


def test_socket_is_the_owners():
    with script("sleep 60") as c:
        mode = os.stat(c.dir).st_mode & 0o777
        equal(mode, 0o700, "mode of the state directory")
        other = run(["test", "-e", c.dir + "/control"], user=single())
        check(other.status != 0, "another user can see the socket")


def test_interrupt_that_nobody_takes():
    """^C leaves a container without a terminal whose process 1 drops it; no key would."""
    with detached("/bin/sleep", "60") as c, attached_pty(c) as terminal:
        wait_for(lambda: takes_signals(terminal.pid), "the client's signals are its own")
        terminal.write(b"\x03")
        equal(terminal.wait(), 0, "status")
        contains(terminal.text, "does not handle SIGINT")
        contains(terminal.text, "detached from")
        check(alive(c.init), "the container ended")
    with script("trap 'echo caught; exit 6' INT; echo up; while :; do sleep 0.1; done") as c:
        wait_for(lambda: c.nsrun("logs").stdout == "up\n", "it is up")
        with attached_pty(c) as terminal:
            wait_for(lambda: takes_signals(terminal.pid), "the client's signals are its own")
            terminal.write(b"\x03")
            equal(terminal.wait(), 6, "status of one that takes it")


def test_foreground_with_detach_keys():
    """-it --detach-keys: the terminal from the first byte on; left, it goes on."""
    before = leftovers()
    name = fresh()
    words = ["--userns-remap", dummy().name, "--name", name, "--detach-keys", "ctrl-p,ctrl-q", arguments(None)[1]]
    with Pty([binary(), "-it", *words, "/bin/sh", "-c", "echo first; stty size; exec sh"], rows=30, columns=90) as terminal:
        settings = terminal.initial
        terminal.expect("first\r\n30 90\r")
        terminal.write("echo he''re\n")
        terminal.expect("here\r")
        terminal.write(b"\x10\x11")
        equal(terminal.wait(), 0, "status after the keys")
        wait_for(lambda: terminal.settings() == settings, "the settings come back")
    c = Container(name, None, None, False)
    with attached_pty(c) as terminal:
        terminal.write("exit 8\n")
        equal(terminal.wait(), 8, "status")
    nsrun(["rm", "-f", name]).check(0)
    with Pty([binary(), "-it", "--rm", *words, "/bin/sh", "-c", "exit 11"]) as terminal:
        equal(terminal.wait(), 11, "status of one that is not left")
    with Pty([binary(), "-it", "--rm", *words, "/bin/nonesuch"]) as terminal:
        equal(terminal.wait(), 127, "status of one that is not found")
    refused(remapped(["--detach-keys", "ctrl-p"], "/bin/true"), "detach-keys")
    assert_clean(before)


if __name__ == "__main__":
    main()
