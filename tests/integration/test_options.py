# SPDX-License-Identifier: Apache-2.0
"""What each option does, and what a launch without options gives: process, environment, exit status, signals, rootfs."""
import os
import shlex
import signal
import subprocess

from harness import *
from helper import executes, remapped, shell, tree


def start(script, options=(), **how):
    """A container that runs on: Popen with pipes."""
    return subprocess.Popen([binary(), "--userns-remap", dummy().name, *options, tree(), "/bin/sh", "-c", script],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), cwd=base(), **how)


# ---- process -----------------------------------------------------------------------------------------------------

def test_environment():
    run_ = remapped(["-e", "A=1", "--env", "B=two words", "-e", "EMPTY=", "-e", "SAID"], "env",
                    env={"SAID": "here", "SECRET": "no", "LISTEN_FDS": "3", "NOTIFY_SOCKET": "/x", "LD_PRELOAD": None}).check()
    got = dict(line.split("=", 1) for line in run_.stdout.splitlines())
    for name, value in {"A": "1", "B": "two words", "EMPTY": "", "SAID": "here"}.items():
        equal(got.get(name), value, name)
    equal(set(got) - {"A", "B", "EMPTY", "SAID"}, {"PATH", "HOME"} | (set(got) & {"HOSTNAME", "TERM", "container"}), "variables")
    equal(got["HOME"], "/root", "HOME")
    check("/bin" in got["PATH"].split(":"), "PATH %r" % got["PATH"])


def test_environment_twice_and_unset():
    remapped(["-e", "A=1", "-e", "A=2"], "/bin/sh", "-c", "echo $A").check(0, "2")
    remapped(["-e", "NOTSET"], "/bin/sh", "-c", "echo ${NOTSET-unset}").check(0, "unset")
    remapped(["-e", "HOME=/elsewhere"], "/bin/sh", "-c", "echo $HOME").check(0, "/elsewhere")


def test_path_is_the_containers():
    tree_ = rootfs(owner=dummy(), fresh=True)
    os.makedirs(tree_ + "/opt", exist_ok=True)
    with open(tree_ + "/opt/own", "w") as file:
        file.write("#!/bin/sh\necho own\n")
    os.chmod(tree_ + "/opt/own", 0o755)
    run_ = ["--userns-remap", dummy().name]
    nsrun(run_ + [tree_, "own"]).check(127)
    nsrun(run_ + ["-e", "PATH=/opt:/bin", tree_, "own"]).check(0, "own")
    # a program that only the host has
    check(not os.path.exists(tree_ + "/usr/bin/python3"), "the rootfs has python3")
    nsrun(run_ + [tree_, "python3"]).check(127)
    nsrun(run_ + ["-w", "/opt", tree_, "./own"]).check(0, "own")


def test_workdir():
    shell("pwd").check(0, "/")
    shell("pwd", "-w /tmp").check(0, "/tmp")
    shell("pwd", "--workdir=/tmp/").check(0, "/tmp")


def test_user():
    shell("id -u; id -g").check(0, "0\n0")
    shell("id -u; id -g", "-u 1000:100").check(0, "1000\n100")
    shell("id -u; id -g", "--user=4321").check(0, "4321\n0")
    tree_ = tree(fresh=True)
    for name, line in (("passwd", "wanda:x:1234:1235:W:/home/wanda:/bin/bash"), ("group", "staff:x:1300:wanda"), ("group", "wanda:x:1235:")):
        with open("%s/etc/%s" % (tree_, name), "a") as file:
            file.write(line + "\n")
    run_ = ["--userns-remap", dummy().name]
    nsrun(run_ + ["-u", "wanda", tree_, "/bin/sh", "-c", "id -u; id -g; id -G; echo $HOME"]).check(0, "1234\n1235\n1235 1300\n/home/wanda")
    nsrun(run_ + ["-u", "wanda:staff", tree_, "/bin/sh", "-c", "id -u; id -g"]).check(0, "1234\n1300")
    nsrun(run_ + ["-u", "1234:staff", tree_, "/bin/sh", "-c", "id -u; id -g"]).check(0, "1234\n1300")
    # no CMD: this user's own shell
    nsrun(run_ + ["-u", "wanda", tree_], input="echo ${BASH_VERSION:+bash} $(id -u)\n").check(0, "bash 1234")


def test_no_command_is_a_shell():
    nsrun(["--userns-remap", dummy().name, tree()], input="echo $((6 * 7)); exit 5\n").check(5, "42")
    empty = tree(fresh=True)
    os.unlink(empty + "/etc/passwd")
    nsrun(["--userns-remap", dummy().name, empty], input="echo $0\n").check(0)


def test_hostname():
    shell("hostname", "--hostname box").check(0, "box")
    run_ = shell("hostname").check()
    check(len(run_.stdout.strip()) == 12 and set(run_.stdout.strip()) <= set("0123456789abcdef"), "the short id: %r" % run_)
    check(shell("hostname").stdout != run_.stdout, "two containers have one id")
    equal(os.uname().nodename in (run_.stdout.strip(), "box"), False, "the host's name was changed")


def test_umask_is_not_the_callers():
    old = os.umask(0o077)
    try:
        shell("umask; stat -c %a /dev/pts /dev /dev/mqueue", "-u 1000").check(0, "0022\n755\n755\n1777")
    finally:
        os.umask(old)


def test_ulimit():
    shell("ulimit -Sn; ulimit -Hn", "--ulimit nofile=100:200").check(0, "100\n200")
    shell("ulimit -Sn; ulimit -Hn; ulimit -c", "--ulimit nofile=64 --ulimit core=0").check(0, "64\n64\n0")


@test(root=True, needs=["strace"])
def test_ulimit_is_there_from_the_first_instruction():
    """Without a map to wait for nothing else holds init back while the runtime sets the limits: here it is slow to do so. Every static
    program begins with one call of its own, so only the one that sets the limit is delayed."""
    log = os.path.join(tmp(), "strace")

    def traced(*inject):
        run_ = run(["strace", "-f", "-qq", "-o", log, "-e", "trace=prlimit64", *inject, binary(), "--userns=host", "--ulimit",
                    "nofile=77:77", rootfs(private=True), "/bin/cat", "/proc/self/limits"], env={
                        "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}).check()  # it wants ptrace for itself
        with open(log) as file:
            return run_, [line.split(None, 1) for line in file]
    _, calls = traced()
    setter = [pid for pid, call in calls if "rlim_cur=77" in call.split("}")[0]]
    equal(len(setter), 1, "calls that set the limit: %r" % calls)
    own = [call for pid, call in calls if pid == setter[0]]
    at = 1 + [("rlim_cur=77" in call.split("}")[0]) for call in own].index(True)
    check(at > max([0] + [sum(pid == other for other, _ in calls) for pid, _ in calls if pid != setter[0]]), "cat would be slow, too")
    run_, calls = traced("-e", "inject=prlimit64:delay_enter=300000:when=%d" % at)
    check(any("(DELAYED)" in call for _, call in calls), "nothing was slow: %r" % calls)
    equal([line.split()[-3:-1] for line in run_.stdout.splitlines() if line.startswith("Max open files")], [["77", "77"]], "open files")


def test_double_dash_and_options_of_the_command():
    nsrun(["--userns-remap", dummy().name, tree(), "--", "/bin/echo", "-e", "x"]).check(0, "x")
    nsrun(["--userns-remap", dummy().name, "--", tree(), "/bin/echo", "--read-only"]).check(0, "--read-only")


def test_namespaces():
    names = "cgroup ipc mnt net pid user uts"
    run_ = shell("for n in %s; do readlink /proc/self/ns/$n; done" % names).check()
    inside = run_.stdout.split()
    equal(len(inside), 7, "namespaces")
    for name, link in zip(names.split(), inside):
        check(link != os.readlink("/proc/self/ns/" + name), "%s is the host's" % name)


def test_processes():
    shell("echo $$; ls -d /proc/[0-9]* | wc -l").check(0)
    equal(shell("echo $$").check().stdout, "1\n", "pid of the workload")
    run_ = shell("cat /proc/1/cmdline | tr '\\0' ' '; echo; echo $$", "--init").check()
    check(run_.stdout.splitlines()[1] != "1", "--init, and the workload is PID 1: %r" % run_)


# ---- exit status, input, signals ---------------------------------------------------------------------------------

@generate
def test_exit_status():
    for options in ("", "--init"):
        for script, status in (("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -KILL $$; sleep 1", 137)):
            # PID 1 of a namespace is not killed by a signal of its own
            if script.startswith("kill") and not options:
                continue
            yield "%s %s" % (options or "plain", script), lambda script=script, status=status, options=options: shell(
                script, options).check(status)
    for name, status in (("TERM", 143), ("HUP", 129), ("INT", 130), ("QUIT", 131)):
        yield "ended by " + name, lambda name=name, status=status: ended_by(getattr(signal, "SIG" + name), status)


def ended_by(number, status):
    """Forwarded to a workload under --init that has no handler: 128+signal."""
    process = start("echo up; exec sleep 60", ["--init"])
    equal(process.stdout.readline(), b"up\n", "output")
    executes(process.pid, "sleep")
    process.send_signal(number)
    process.communicate(timeout=10)
    equal(process.returncode, status, "status")


def test_signals_are_forwarded():
    for options in ([], ["--init"]):
        process = start("for s in TERM INT HUP USR1 USR2; do trap \"echo got $s\" $s; done; trap 'exit 42' QUIT; echo up; "
                        "while :; do sleep 0.05; done", options)
        equal(process.stdout.readline(), b"up\n", "output")
        for name in ("TERM", "INT", "HUP", "USR1", "USR2"):
            process.send_signal(getattr(signal, "SIG" + name))
            equal(process.stdout.readline(), b"got %s\n" % name.encode(), "%s with %r" % (name, options))
        process.send_signal(signal.SIGQUIT)
        process.communicate(timeout=10)
        equal(process.returncode, 42, "status")


def test_stop_and_continue():
    """^Z without a terminal: nsrun and the workload stop, and go on together."""
    process = start("echo up; i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done")
    equal(process.stdout.readline(), b"up\n", "output")
    process.send_signal(signal.SIGTSTP)

    def state(pid):
        try:
            with open("/proc/%d/stat" % pid) as file:
                return file.read().rsplit(")", 1)[1].split()[0]
        except OSError:  # it ended meanwhile
            return "X"
    wait_for(lambda: state(process.pid) == "T", "nsrun stops")
    wait_for(lambda: all(state(pid) == "T" for pid in descendants(process.pid)[:1]), "init stops")
    process.send_signal(signal.SIGCONT)
    wait_for(lambda: state(process.pid) != "T", "nsrun goes on")
    wait_for(lambda: all(state(pid) != "T" for pid in descendants(process.pid)), "init goes on")
    process.kill()
    process.communicate(timeout=10)


def test_zombies_are_reaped():
    count = "grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l"
    shell("/helper orphans 200; " + count, "--init").check(0, "0")
    # the counterpart: this shell as PID 1 does not reap while it waits for the helper
    run_ = remapped("", "/bin/sh", "-c", "/helper orphans 20; exit 3", timeout=10)
    run_.check(3)


def test_workload_ends_with_children_left():
    before = leftovers()
    run_ = shell("(sleep 300 &) ; (sleep 300 </dev/null >/dev/null 2>&1 &) ; exit 4", "--init", timeout=10)
    run_.check(4)
    shell("sleep 300 & exit 4", timeout=10).check(4)
    assert_clean(before)


def test_stdin():
    data = os.urandom(3 << 20)
    run_ = remapped("", "/bin/cat", input=data).check()
    check(run_.stdout_bytes == data, "3 MiB through cat: %d bytes came back" % len(run_.stdout_bytes))
    shell("cat; echo end >&2").check(0, "", "end")
    remapped("-i=false", "/bin/cat", input="said").check(0, "")


def test_stdout_closed_early():
    process = start("exec yes")
    process.stdout.readline()
    process.stdout.close()
    process.stdin.close()
    check(process.wait(timeout=10) != 0, "yes ended well although nobody reads")
    process.stderr.close()


def test_closed_standard_descriptors():
    """0, 1 and 2 closed by the caller: no descriptor of nsrun's own may come to lie there."""
    path = os.path.join(tmp(), "out")
    script = "%s --userns-remap %s %s /bin/sh -c 'ls -l /proc/self/fd' <&- 2>&- >%s" % (
        shlex.quote(binary()), dummy().name, tree(), path)
    subprocess.run(["/bin/sh", "-c", script], env=environment(), cwd=base(), timeout=20)
    with open(path) as file:
        text = file.read()
    contains(text, " -> ", "what ls wrote")
    for line in text.splitlines():
        if " -> " in line:
            target = line.rsplit(" -> ", 1)[1]
            check(target.startswith(("/dev/null", "/proc/", "pipe:")) or target.endswith("/out"), "a descriptor of nsrun: %s" % text)


# ---- rootfs ------------------------------------------------------------------------------------------------------

@generate
def test_rootfs_named():
    def launch(name, **how):
        nsrun(["--userns-remap", dummy().name, name, "/bin/sh", "-c", "echo in; ls -d /bin"], **how).check(0, "in\n/bin")

    def symlink():
        link = os.path.join(tmp(), "link")
        os.symlink(tree(), link)
        launch(link)
        launch(link + "/")

    def relative():
        launch(os.path.basename(tree()), cwd=os.path.dirname(tree()))
        launch("../" + os.path.basename(os.path.dirname(tree())) + "/" + os.path.basename(tree()) + "/.", cwd=os.path.dirname(tree()))

    def working_directory():
        launch(".", cwd=tree())

    def unsearchable_parent():
        tree_ = rootfs(owner=dummy(), fresh=True)
        os.chmod(os.path.dirname(tree_), 0o700)
        launch(tree_)

    def another_mount():
        target = tmp("target")
        mount("none", target, "tmpfs", 0, "mode=755")
        try:
            os.system("cp -a %s %s/tree" % (tree(), target))
            launch(target + "/tree")
        finally:
            umount(target)

    def a_mount_point():
        target = tmp("target")
        mount(tree(), target, None, 4096)
        try:
            launch(target)
        finally:
            umount(target)

    def with_odd_name():
        tree_ = rootfs(owner=dummy(), fresh=True)
        odd = os.path.join(os.path.dirname(tree_), "a b:c,d\\n\u00e9")
        os.rename(tree_, odd)
        launch(odd)

    def named_as_a_subcommand():
        tree_ = rootfs(owner=dummy(), fresh=True)
        os.rename(tree_, os.path.join(os.path.dirname(tree_), "gc"))
        launch("./gc", cwd=os.path.dirname(tree_))
        launch("gc/", cwd=os.path.dirname(tree_))

    for case in (symlink, relative, working_directory, unsearchable_parent, another_mount, a_mount_point, with_odd_name,
                 named_as_a_subcommand):
        yield case.__name__, case


def test_rootfs_where_nsrun_may_not_write():
    """Mount points that are there already are enough: a read-only file system does."""
    target = tmp("target")
    mount(tree(), target, None, 4096)
    mount("none", target, None, 4096 | 32 | 1)  # MS_REMOUNT | MS_RDONLY
    try:
        nsrun(["--userns-remap", dummy().name, target, "/bin/sh", "-c", "echo in; touch /x"]).check(1, "in", "Read-only file system")
    finally:
        umount(target)


# ---- words -------------------------------------------------------------------------------------------------------

def test_help_and_version():
    run_ = nsrun(["--help"]).check()
    for word in ("--userns-remap", "--read-only", "--memory", "--cap-drop", "ROOTFS"):
        contains(run_.stdout, word, "--help")
    contains(nsrun(["--version"]).check().stdout, "nsrun", "--version")


def test_dry_run_makes_nothing():
    before = leftovers()
    marker = tree()
    run_ = nsrun(["--dry-run", "--userns-remap", dummy().name, marker, "/bin/sh", "-c", "touch /dry"]).check()
    contains(run_.stdout, marker, "--dry-run")
    contains(run_.stdout, "100000", "--dry-run")
    check(not os.path.exists(marker + "/dry"), "--dry-run ran the command")
    contains(nsrun(["--dry-run", rootfs(private=True)]).check().stdout, "auto", "--dry-run of auto")
    assert_clean(before)


if __name__ == "__main__":
    main()
