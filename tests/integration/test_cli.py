#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The command line: what is parsed, what is refused with which words, and which descriptors are there."""
import json
import os
import re
import resource
import subprocess

from harness import *

REFUSED = 125


def refused(args, *parts, **more):
    """nsrun refuses these arguments: nothing on stdout, status 125, and all parts in its message."""
    result = nsrun(args, **more).check(REFUSED, stdout="")
    check(result.stderr.startswith("nsrun: "), "the message does not say who speaks: %r" % result)
    for part in parts:
        contains(result.stderr, part, "message")
    return result


def launch(*args, **more):
    """nsrun with these arguments, remapped to dummy's range."""
    return nsrun(["--userns-remap", dummy().name, *args], **more)


def test_no_arguments():
    result = nsrun([]).check(REFUSED, stdout="")
    contains(result.stderr, "Usage: nsrun [OPTIONS] ROOTFS")


def test_empty_argv():
    """execve(2) with an empty vector gives argv[0] = "" since Linux 5.18, and argc 0 before."""
    process = subprocess.run([""], executable=binary(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             env=environment())
    equal(process.returncode, REFUSED, "status")
    contains(process.stderr.decode(), "Usage: ")


def test_options_without_rootfs():
    refused(["--init"], "ROOTFS is missing", "Usage: ")
    refused(["--"], "ROOTFS is missing")


def test_help():
    result = nsrun(["--help"]).check(0)
    lines = result.stdout.splitlines()
    equal(result.stderr, "", "stderr")
    check(20 <= len(lines) <= 96, "%d lines are no two screens" % len(lines))
    check(max(map(len, lines)) <= 100, "a line is wider than 100 columns")
    for word in ("--userns-remap=USER[:GROUP]", "-e, --env=", "-t, --tty", "--trace[=FORMAT]", "125"):
        contains(result.stdout, word)
    check("--landlock" not in result.stdout, "--help shows an option that is not built")
    equal(nsrun(["-h"]).check(0).stdout, result.stdout, "-h")
    # --help is answered wherever it stands before ROOTFS, and nothing is made
    equal(nsrun(["--init", "--help", "/nonexistent"]).check(0).stdout, result.stdout, "--help among others")


def test_version():
    result = nsrun(["--version"]).check(0)
    check(re.fullmatch(r"nsrun version \d+\.\d+\.\d+\ncommit: \w+\nspec: 1\.3\.0\nlibseccomp: \d+\.\d+\.\d+\n",
                       result.stdout), repr(result.stdout))


def test_output_that_fails():
    with open("/dev/full", "w") as full:
        for words in (["--help"], ["--version"]):
            process = subprocess.run([binary()] + words, stdout=full, stderr=subprocess.PIPE, env=environment())
            equal(process.returncode, REFUSED, "status of %s > /dev/full" % words)
            contains(process.stderr.decode(), "No space left on device")
    reader, writer = os.pipe()
    os.close(reader)
    try:
        process = subprocess.run([binary(), "--help"], stdout=writer, stderr=subprocess.PIPE, env=environment())
    finally:
        os.close(writer)
    equal(process.returncode, 141, "status with a reader that went away")
    equal(process.stderr, b"", "stderr with a reader that went away")


@test(root=True)
def test_spec_that_nobody_reads():
    words = [binary(), "--spec", "--userns-remap", dummy().name, rootfs(owner=dummy())]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        process = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, env=environment(), text=True)
    finally:
        os.close(writer)
    equal(process.returncode, 141, "status")
    check("Broken pipe" not in process.stderr, "it complains: %s" % process.stderr)
    with open("/dev/full", "w") as full:
        process = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, env=environment(), text=True)
    equal(process.returncode, REFUSED, "status with a full disk")
    contains(process.stderr, "No space left on device")


def test_limit_that_took_the_rootfs():
    for words, name in ((["-m", "rootfs", "id"], "--memory rootfs"), (["--cpus", "rootfs", "id"], "--cpus rootfs")):
        refused(words, name + ": ", cwd=tmp())


def test_terminal_that_is_missing():
    refused(["-it", tmp(), "sh"], "not both terminals", "leave -t away", "[no-terminal]")


def test_letters():
    refused(["-V", "/"], "-V: unknown option: did you mean --version?")
    refused(["ls", "-x"], "-x: unknown option\n", "nsrun COMMAND --help")


@generate
def unknown():
    for args, part in (
            (["--memroy=5", "/"], "did you mean --memory?"),
            (["--userns-rmap", "dummy", "/"], "did you mean --userns-remap?"),
            (["--privilegd", "/"], "did you mean --privileged?"),
            (["--wholly-other", "/"], "--wholly-other: unknown option"),
            (["--read", "/"], "--read: unknown option"),
            (["-Z", "/"], "-Z: unknown option"),
            (["-itZ", "/"], "-itZ: unknown option -Z")):
        yield args[0], lambda args=args, part=part: refused(args, part, "[unknown-option]")


@generate
def values():
    for args, part in (
            (["--memory"], "needs a value (SIZE)"),
            (["--memory=", "/"], "the value is empty"),
            (["-e", "", "/"], "the value is empty"),
            (["--init=maybe", "/"], "true or false"),
            (["--tty=fals", "/"], "did you mean 'false'?"),
            (["--help=yes"], "takes no value"),
            (["--trace=jso", "/"], "did you mean 'json'?"),
            (["--trace=xml", "/"], "text, json"),
            (["--network=non", "/"], "did you mean 'none'?"),
            (["--userns=hots", "/"], "'hots'"),
            (["--security-opt", "secomp=x", "/"], "did you mean 'seccomp='?")):
        yield " ".join(args), lambda args=args, part=part: refused(args, part, "[option-value]")


# Every option of the finished command.
CONTRACT = """userns-remap userns uid-map gid-map trust-rootfs interactive tty init detach detach-keys name rm cidfile pidfile env env-file workdir
    user group-add hostname domainname umask ulimit sysctl entrypoint stop-signal stop-timeout volume mount tmpfs shm-size read-only
    ephemeral secret memory memory-reservation memory-swap cpus cpu-shares cpuset-cpus cpuset-mems pids-limit device-read-bps
    device-write-bps device-read-iops device-write-iops io-weight hugetlb oom-score-adj cgroup cgroup-parent cap-add cap-drop privileged
    security-opt device device-cgroup-rule masked-path landlock pid ipc uts cgroupns time time-offset network publish ip mac-address dns
    add-host icc net-bandwidth trace trace-file dry-run spec log-driver audit-log version""".split()


@generate
def planned():
    """Every option of the contract that is not built is known: an error that says so, never "unknown option"."""
    for name in CONTRACT:
        explained = nsrun(["help", "--" + name]).check(0).stdout
        if "planned, not built yet" not in explained:
            yield name + " is built", lambda explained=explained: contains(explained, "example: nsrun ")
            continue
        words = ["--%s=x" % name if "--%s=" % name in explained else "--" + name, "/"]
        yield name, lambda words=words: refused(words, words[0].split("=")[0], "planned", "[not-built]")
        letter = re.match(r" *-(\w), ", explained)
        if letter:
            short = ["-" + letter.group(1), "x", "/"]
            yield short[0], lambda short=short: refused(short, "planned", "[not-built]")


@generate
def planned_values():
    for name in CONTRACT:
        match = re.search(r"^ +planned: (.*)$", nsrun(["help", "--" + name]).check(0).stdout, re.M)
        for value in match.group(1).split() if match else ():
            words = ["--" + name, value + "x" if value[-1] in ":=" else value, "/"]
            yield " ".join(words), lambda words=words: refused(words, "planned", "[not-built]")


@generate
def words_of_other_tools():
    """One answer that helps, whatever was typed out of habit."""
    commands_ = nsrun(["--help"]).check(0).stdout.splitlines()[1].split()
    for words, *parts in (
            ("docker run -it alpine", "docker: ", "leave the word away"),
            ("podman run alpine", "leave the word away"),
            ("pull alpine", "no images"), ("images", "no images"), ("build .", "no images"),
            ("cp web:/x .", "cp(1)"), ("volume ls", "-v SRC:DST"), ("compose up", "one container"),
            ("alpine", "image", "[rootfs-missing]", "no image store"), ("alpine:3.19 sh", "image", "[rootfs-missing]"),
            ("ubuntu:22.04", "image"), ("-it ghcr.io/x/y", "image"), ("no/such/rootfs", "[rootfs-missing]"),
            ("-it exec web sh", "did you mean nsrun exec?", "[unknown-option]"), ("--net host /", "did you mean --network?", "[unknown-option]"), ("--cap_add X /", "did you mean --cap-add?"),
            ("--memory-limit=1g /", "did you mean --memory?"), ("--mem 1g /", "did you mean --memory?"),
            ("--entry-point sh /", "did you mean --entrypoint?"), ("--work-dir=/ /", "did you mean --workdir?"),
            ("--restart=always /", "service manager"), ("--pull always /", "no image store"), ("--root /", "ROOTFS"),
            ("-P /", "-P"), ("-network none /", "did you mean --network?"), ("-hostname x /", "did you mean --hostname?"),
            ("-init /", "did you mean --init?"), ("-memory 1g /", "did you mean --memory?"), ("-env A=B /", "did you mean --env?")):
        yield words, lambda words=words, parts=parts: refused(words.split(), *parts, cwd=tmp())
    for word, command in (("container", "ls"), ("log", "logs"), ("exc", "exec"), ("exce", "exec"), ("isnpect", "inspect"), ("shell", "exec"), ("remove", "rm")):
        yield word, lambda word=word, command=command: refused(
            [word, "-a"], "nsrun %s?" % command if command in commands_ else word, cwd=tmp())


def test_a_directory_is_no_foreign_word():
    needs_root()
    here = tmp()
    for name in ("alpine", "docker"):
        os.symlink(rootfs(owner=dummy()), os.path.join(here, name))
        launch(name, "/bin/echo", "inside", cwd=here).check(0, stdout="inside")


def test_help_of_words():
    equal(nsrun(["help"]).check(0).stdout, nsrun(["--help"]).check(0).stdout, "nsrun help")
    equal(nsrun(["version"]).check(0).stdout, nsrun(["--version"]).check(0).stdout, "nsrun version")
    contains(nsrun(["help", "files"]).check(0).stdout, "example: nsrun --read-only ROOTFS")
    contains(nsrun(["help", "volume"]).check(0).stdout, "-v ./data:/data:ro")
    equal(nsrun(["help", "-v"]).check(0).stdout, nsrun(["help", "--volume"]).check(0).stdout, "nsrun help -v")
    refused(["help", "volums"], "did you mean volume?")
    refused(["version", "please"], "please")


@generate
def help_of_commands():
    """Usage of every command in one form, from its table, by both ways."""
    names = nsrun(["--help"]).check(0).stdout.split("nsrun COMMAND [--help] [ARG...]")[1].split("Identity")[0].split()
    check("gc" in names and "help" in names, "commands: %s" % names)
    for name in names:
        def one(name=name):
            text = nsrun([name, "--help"]).check(0).stdout
            check(text.startswith("Usage: nsrun %s" % name) and len(text.splitlines()) >= 3, "help: %s" % text)
            check(max(map(len, text.splitlines())) <= 110, "a line is too wide: %s" % text)
            contains(text, "-h, --help")
            equal(nsrun([name, "-h"]).check(0).stdout, text, "-h")
            equal(nsrun(["help", name]).check(0).stdout, text, "nsrun help %s" % name)
        yield name, one


def test_directory_named_like_a_command():
    needs_root()
    parent = tmp("parent")
    os.symlink(rootfs(owner=dummy()), os.path.join(parent, "run"))
    os.symlink(rootfs(owner=dummy()), os.path.join(parent, "gc"))
    launch("run", "/bin/echo", "inside", cwd=parent).check(0, stdout="inside")
    for name in ("./gc", "gc/"):
        launch(name, "/bin/echo", "inside", cwd=parent).check(0, stdout="inside")
    # the first word alone is a command
    check("inside" not in nsrun(["gc"], cwd=parent).check(0).stdout, "gc was taken for a rootfs")


def test_gc():
    needs_root()
    nsrun(["gc"]).check(0, stdout="nothing to remove")
    nsrun(["gc", "--help"]).check(0)
    refused(["gc", "everything"], "everything", "./gc")


def test_option_behind_rootfs():
    refused(["/", "-it", "sh"], "-it", "[option-order]")
    refused(["/", "--memory=1g"], "[option-order]")


def test_words_of_cmd_stay():
    needs_root()
    tree = rootfs(owner=dummy())
    launch(tree, "/bin/echo", "-n", "--memory", "x", "--").check(0, stdout="--memory x --")
    launch(tree, "--", "/bin/echo", "--", "--help").check(0, stdout="-- --help")
    launch("--", tree, "--", "/bin/echo", "a").check(0, stdout="a")
    # "--" makes a CMD of any name
    contains(launch(tree, "--", "-l").check(127).stderr, "-l")


def test_forms_of_values():
    needs_root()
    tree = rootfs(owner=dummy())
    script = "echo $A $B $C; pwd; hostname"
    wanted = "1 2 3\n/tmp\nweb"
    launch("-eA=1", "-e", "B=2", "--env=C=3", "--workdir", "/tmp", "--hostname=web", tree, "/bin/sh", "-c", script).check(0, stdout=wanted)
    launch("-ieA=1", "-e=B=2", "--env", "C=3", "-w/tmp", "--hostname", "web", tree, "/bin/sh", "-c", script).check(0, stdout=wanted)


def test_said_twice():
    """The same value again is nothing; another one is refused, not guessed."""
    refused(["--hostname", "one", "--hostname=two", "/"], "'one' and 'two'", "[option-repeated]")
    refused(["--init", "--init=false", "/"], "--init", "[option-repeated]")
    refused(["-it", "-t=false", "/"], "-t (--tty)", "[option-repeated]")
    needs_root()
    launch("--hostname", "two", "--hostname=two", rootfs(owner=dummy()), "/bin/hostname").check(0, stdout="two")


def test_switches():
    needs_root()
    tree = rootfs(owner=dummy())
    launch("-i=false", tree, "/bin/cat", input="text").check(0, stdout="")
    launch("-i", tree, "/bin/cat", input="text").check(0, stdout="text")
    launch("-it=false", tree, "/bin/cat", input="text").check(0, stdout="text")


def test_many_variables():
    """100,000 -e: all of them arrive, or a clear refusal, and soon."""
    needs_root()
    count = 100000

    def roomy():
        # the words may take a quarter of the stack's limit (execve(2)), at most 6 MB
        resource.setrlimit(resource.RLIMIT_STACK, (64 << 20, resource.getrlimit(resource.RLIMIT_STACK)[1]))
    options = ["-eV%d=" % number for number in range(count)]
    result = launch(*options, rootfs(owner=dummy()), "env", timeout=60, popen={"preexec_fn": roomy})
    check(result.used < 5 * SLOW, "used %.1f s" % result.used)
    if result.status == 0:
        equal(sum(line.startswith("V") for line in result.stdout.splitlines()), count, "variables inside")
    else:
        check(result.status in (REFUSED, 126) and result.stderr.startswith("nsrun: "), repr(result)[:600])


def test_closed_descriptors():
    """0, 1 and 2 that are closed at the start are /dev/null, and nothing of nsrun's own."""
    needs_root()
    tree = rootfs(owner=dummy())
    command = [binary(), "--userns-remap", dummy().name, tree, "/bin/sh", "-c",
               "for fd in 0 1 2; do readlink /proc/self/fd/$fd; done > /tmp/fds; ls /proc/self/fd | wc -l >> /tmp/fds"]
    for closed in ([0], [1], [2], [0, 1, 2]):
        def close():
            for fd in closed:
                os.close(fd)
        process = subprocess.run(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=close,
                                 env=environment(), timeout=30 * SLOW, cwd="/")
        equal(process.returncode, 0, "status with %s closed (%s)" % (closed, process.stderr))
        with open(os.path.join(tree, "tmp/fds")) as file:
            inside = file.read().split()
        # in the loop fd 1 is the file itself
        if 0 in closed:
            check(inside[0].endswith("/dev/null") or inside[0] == "/dev/null", "0 is %s" % inside[0])
        if 2 in closed:
            check(inside[2].endswith("/dev/null"), "2 is %s" % inside[2])


def test_closed_descriptors_of_a_refusal():
    process = subprocess.run([binary(), "--bad"], stdin=subprocess.DEVNULL, preexec_fn=lambda: os.closerange(0, 3), env=environment())
    equal(process.returncode, REFUSED, "status")


def test_escapes_in_messages():
    result = refused(["--a\x1b[31mb\n", "/"], "\\x1b[31mb\\x0a")
    check("\x1b" not in result.stderr, "a terminal escape in a message")


def test_dry_run():
    needs_root()
    tree = rootfs(owner=dummy())
    before = leftovers()
    result = launch("--dry-run", "-e", "SECRET=1", tree, "/bin/false").check(0)
    plan, rows = result.stdout.split("\n\n", 1)
    values = dict(line.split(": ", 1) for line in plan.splitlines())
    equal(values["remap.word"], dummy().name, "remap.word")
    equal(values["uids"], "0:100000:65536", "uids")
    equal(values["argv.0"], "/bin/false", "argv.0")
    assert_clean(before, what="--dry-run")
    steps = [line.split()[1] for line in rows.splitlines()]
    check("init.clone" in steps and steps[-1] == "workload.exec", "rows: %s" % steps)
    # with an automatic range, which is not taken
    automatic = nsrun(["--userns-remap=auto", "--dry-run", "--read-only", rootfs()]).check(0)
    for line in ("id: auto", "uids: auto", "root.uid: auto"):
        contains(automatic.stdout, line + "\n")
    assert_clean(before, what="--dry-run with an automatic range")


def test_trace():
    needs_root()
    tree = rootfs(owner=dummy())
    file = os.path.join(tmp(), "trace.json")
    launch("--trace=json", "--trace-file", file, tree, "/bin/echo", "x").check(0, stdout="x", stderr="")
    with open(file) as stream:
        rows = [json.loads(line) for line in stream]
    check(rows, "the trace is empty")
    for row in rows:
        equal(row["result"], "ok", row["step"])
        check(row["begin_us"] >= 0 and row["duration_us"] >= 0, "times of %s" % row["step"])
    equal(rows, sorted(rows, key=lambda row: row["begin_us"]), "order of the trace")
    planned_rows = launch("--dry-run", tree, "/bin/echo", "x").check(0).stdout.split("\n\n", 1)[1]
    equal(sorted(row["step"] for row in rows), sorted(line.split()[1] for line in planned_rows.splitlines()), "rows")
    text = launch("--trace", tree, "/bin/true").check(0, stdout="").stderr
    equal(len(text.splitlines()), len(rows), "lines of --trace")
    refused(["--userns-remap", dummy().name, "--trace-file", "/nonexistent/file", tree, "/bin/true"], "/nonexistent/file",
            "No such file or directory")


def test_error_of_a_row():
    """The row, its process, the kernel interface and its page."""
    needs_root()
    result = launch(rootfs(owner=dummy()), "/bin/nothing-here").check(127)
    contains(result.stderr, "nsrun: argv.resolve (init): ")
    contains(result.stderr, "[cmd-not-found]")


def test_trace_to_a_descriptor_of_the_caller():
    """--trace-file /dev/fd/N, as bash's >(program) has it, although the caller's descriptors do not live on in the launch."""
    needs_root()
    path = os.path.join(tmp(), "trace")
    with open(path, "w") as file:
        os.set_inheritable(file.fileno(), True)
        nsrun(["--userns-remap", dummy().name, "--trace=json", "--trace-file", "/dev/fd/%d" % file.fileno(), rootfs(owner=dummy()), "/bin/true"],
              popen={"pass_fds": [file.fileno()]}).check(0)
    with open(path) as file:
        contains(file.read(), '"workload.exec"', "trace")


def test_set_uid_copy():
    """nsrun with more privilege than its caller refuses to run (AT_SECURE)."""
    needs_root()
    copy = os.path.join(tmp(), "nsrun")
    subprocess.run(["cp", binary(), copy], check=True)
    os.chmod(copy, 0o4755)
    flags = os.statvfs(copy).f_flag
    if flags & os.ST_NOSUID:
        skip("the test directory is on a file system with nosuid")
    result = run([copy, "--version"], user=single()).check(REFUSED, stdout="")
    contains(result.stderr, "[setuid-binary]")


if __name__ == "__main__":
    main()
