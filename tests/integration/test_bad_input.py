# SPDX-License-Identifier: Apache-2.0
"""Bad input: 125 (126 and 127 for CMD), a message that names the object, a remedy where there is one, nothing left, soon."""
import json
import os
import resource

from harness import *
from helper import refused, remapped

LIMIT = 2.0  # seconds of processors


class SubidFiles:
    def __init__(self, subuid, subgid=None):
        self.text = {"/etc/subuid": subuid, "/etc/subgid": subuid if subgid is None else subgid}

    def __enter__(self):
        self.saved = {}
        for path, text in self.text.items():
            with open(path, "rb") as file:
                self.saved[path] = file.read()
            with open(path, "w") as file:
                file.write(text)

    def __exit__(self, *_):
        for path, data in self.saved.items():
            with open(path, "wb") as file:
                file.write(data)


def bad(args, *words, status=125, **how):
    """One bad launch and all that is asked of it."""
    dummy()
    before = leftovers()
    result = refused(nsrun(args, **how), *words, status=status)
    check(result.used < LIMIT * SLOWNESS, "used %.2f s: %r" % (result.used, result))
    check(result.stderr.count("\n") <= 25 and result.stderr.endswith("\n"), "not a message for people: %r" % result)
    check("bug" not in result.stderr.lower(), "an invariant does not hold: %r" % result)
    assert_clean(before)
    return result


SLOWNESS = float(os.environ.get("NSRUN_TEST_SLOW", "1"))
REMAP = ["--userns-remap", "dummy"]


def launch(*args):
    return REMAP + [*args, rootfs(owner=dummy()), "/bin/true"]


# ---- rootfs ------------------------------------------------------------------------------------------------------

@generate
def test_rootfs():
    def missing():
        path = os.path.join(tmp(), "nowhere")
        bad(REMAP + [path, "/bin/true"], path, "rootfs-scripts")

    def a_file():
        path = os.path.join(tmp(), "file")
        open(path, "w").close()
        bad(REMAP + [path, "/bin/true"], path, "director")

    def loop():
        one, two = (os.path.join(tmp(), name) for name in ("one", "two"))
        os.symlink(one, two)
        os.symlink(two, one)
        bad(REMAP + [one, "/bin/true"], one, ("symbolic link", "ELOOP"))

    def empty():
        path = tmp("empty", owner=(100000, 100000))
        bad(REMAP + [path, "/bin/true"], path, "empty", "rootfs-scripts")
        bad(REMAP + [path], path, "empty")
        equal(os.listdir(path), [], "left in the empty rootfs")

    def without_a_program():
        path = tmp("nearly-empty/etc", owner=(100000, 100000))
        os.chown(os.path.dirname(path), 100000, 100000)
        bad(REMAP + [os.path.dirname(path), "/bin/true"], "/bin/true", status=127)
        bad(REMAP + [os.path.dirname(path)], ("/bin/sh", "shell"), status=127)
        equal(set(os.listdir(os.path.dirname(path))) - {"proc", "sys", "dev"}, {"etc"}, "left in the rootfs")

    def unreadable():
        path = tmp("closed", 0o700)
        bad([path, "/bin/true"], path, "permission denied", user=single())

    def fifo():
        path = os.path.join(tmp(), "fifo")
        os.mkfifo(path)
        bad(REMAP + [path, "/bin/true"], path, "director")

    def missing_word():
        bad(REMAP, "ROOTFS")

    def name_too_long():
        bad(REMAP + ["/" + "x" * 5000, "/bin/true"], "too long")

    def the_host_itself():
        bad(REMAP + ["/", "/bin/true"], "/")

    def with_escape_sequences():
        path = os.path.join(tmp(), "a\x1b[31mb\nc")
        result = bad(REMAP + [path, "/bin/true"], "a\\x1b[31mb")
        check("\x1b" not in result.stderr, "an escape sequence went to the terminal: %r" % result)

    for case in (missing, a_file, loop, empty, without_a_program, unreadable, fifo, missing_word, name_too_long, the_host_itself,
                 with_escape_sequences):
        yield case.__name__, case


@generate
def test_hostile_rootfs():
    """Links of the rootfs lead nowhere but into it; what stands where a mount belongs is an error that names it."""
    def prepared(change):
        tree = rootfs(owner=dummy(), fresh=True)
        change(tree)
        return tree

    def replace(tree, name, make):
        os.system("rm -rf '%s/%s'" % (tree, name))
        make(os.path.join(tree, name))

    def proc_is_a_file():
        tree = prepared(lambda t: replace(t, "proc", lambda p: open(p, "w").close()))
        bad(REMAP + [tree, "/bin/true"], "proc")

    def dev_links_out():
        outside = tmp("outside", owner=(100000, 100000))
        tree = prepared(lambda t: replace(t, "dev", lambda p: os.symlink(outside, p)))
        before = leftovers()
        nsrun(REMAP + [tree, "/bin/true"])
        equal(os.listdir(outside), [], "made in a directory of the host")
        assert_clean(before)

    def loop_where_proc_is():
        tree = prepared(lambda t: replace(t, "proc", lambda p: os.symlink("proc", p)))
        bad(REMAP + [tree, "/bin/true"], "proc")

    def passwd_is_a_fifo():
        tree = prepared(lambda t: replace(t, "etc/passwd", os.mkfifo))
        bad(REMAP + ["-u", "root", tree, "/bin/true"], "/etc/passwd")

    def passwd_is_huge():
        def sparse(path):
            with open(path, "w") as file:
                file.truncate(10 << 30)
        tree = prepared(lambda t: replace(t, "etc/passwd", sparse))
        bad(REMAP + ["-u", "root", tree, "/bin/true"], "/etc/passwd")

    def passwd_links_out():
        tree = prepared(lambda t: replace(t, "etc/passwd", lambda p: os.symlink("/../../../../etc/passwd", p)))
        bad(REMAP + ["-u", "dummy", tree, "/bin/true"], "passwd")

    for case in (proc_is_a_file, dev_links_out, loop_where_proc_is, passwd_is_a_fifo, passwd_is_huge, passwd_links_out):
        yield case.__name__, case


# ---- identity ----------------------------------------------------------------------------------------------------

@generate
def test_remap_words():
    cases = {
        "unknown-user": ("nobody-of-that-name", "nobody-of-that-name", "/etc/passwd"),
        "unknown-group": ("dummy:nobody-of-that-name", "nobody-of-that-name"),
        "empty": ("", "--userns-remap"),
        "colon": (":", "--userns-remap"),
        "no-group": ("dummy:", "--userns-remap"),
        "negative": ("-1", "-1"),
        "minus-one-as-unsigned": ("4294967295", "4294967295"),
        "too-large": ("99999999999999999999", "99999999999999999999"),
        "without-range": ("single", "single", "usermod"),
        "number-without-range": ("61999", "61999", "usermod"),
    }
    for name, (word, *words) in cases.items():
        yield name, lambda word=word, words=words: (dummy(), single(), bad(
            ["--userns-remap", word, rootfs(owner=dummy()), "/bin/true"], *words))


@generate
def test_subid_files():
    cases = {  # contents of both files, words
        "malformed": ("dummy:100000:65536\nthis is no line\n", "/etc/subuid", "2"),
        "malformed-elsewhere": ("somebody:x:65536\ndummy:100000:65536\n", "/etc/subuid", "1"),
        "two-fields": ("dummy:100000\n", "/etc/subuid", "1"),
        "four-fields": ("dummy:100000:65536:1\n", "/etc/subuid", "1"),
        "negative": ("dummy:-100000:65536\n", "/etc/subuid", "1"),
        "hexadecimal": ("dummy:0x10000:65536\n", "/etc/subuid", "1"),
        "wrapping": ("dummy:4294967000:65536\n", "/etc/subuid", "1"),
        "wrapping-64": ("dummy:100000:18446744073709551615\n", "/etc/subuid", "1"),
        "wrapping-beyond-64": ("dummy:18446744073709551716:65536\n", "/etc/subuid", "1"),
        "no-count": ("dummy:100000:0\n", ("/etc/subuid", "no-subid-range", "usermod")),
        "overlapping-own": ("dummy:100000:65536\ndummy:150000:65536\n", ("overlap",)),
        "overlapping-other": ("dummy:100000:65536\nother:165000:65536\n", "other", "overlap"),
        "host-root": ("dummy:0:65536\n", "0", "--userns=host"),
        "host-root-in-the-second": ("dummy:100000:10\ndummy:0:10\n", "--userns=host"),
        "empty": ("", "dummy", "usermod"),
    }
    def one(text, words):
        dummy()
        tree = rootfs(owner=dummy())
        with SubidFiles(text):
            bad(REMAP + [tree, "/bin/true"], *words)
    for name, (text, *words) in cases.items():
        yield name, lambda text=text, words=words: one(text, words)


def test_subid_file_missing_range_of_groups():
    dummy()
    tree = rootfs(owner=dummy())
    with SubidFiles("dummy:100000:65536\n", ""):
        bad(REMAP + [tree, "/bin/true"], "/etc/subgid", "usermod")


def test_subid_file_huge():
    dummy()
    tree = rootfs(owner=dummy())
    with SubidFiles("".join("u%d:%d:1\n" % (i, 200000 + i) for i in range(400000)) + "dummy:100000:65536\n"):
        bad(REMAP + [tree, "/bin/true"], "/etc/subuid", ("large", "big", "4 MiB", "bytes"))
    with SubidFiles("x" * (2 << 20)):
        bad(REMAP + [tree, "/bin/true"], "/etc/subuid", "1")
    # below the limit it is read, and read fast
    with SubidFiles("".join("u%d:%d:1\n" % (i, 200000 + i) for i in range(60000)) + "dummy:100000:65536\n"):
        result = nsrun(REMAP + [tree, "/bin/true"]).check()
        check(result.used < LIMIT * SLOWNESS, "used %.2f s" % result.used)


@generate
def test_maps():
    cases = {
        "host-root": (["--uid-map", "0:0:65536", "--gid-map", "0:100000:65536"], "--userns=host"),
        "host-root-inside": (["--uid-map", "0:100000:10", "--uid-map", "50:0:1", "--gid-map", "0:100000:65536"], "--userns=host"),
        "host-root-group": (["--uid-map", "0:100000:65536", "--gid-map", "0:0:1"], "--userns=host"),
        "malformed": (["--uid-map", "0:100000", "--gid-map", "0:100000:1"], "0:100000"),
        "words": (["--uid-map", "a:b:c", "--gid-map", "0:100000:1"], "a:b:c"),
        "count-0": (["--uid-map", "0:100000:0", "--gid-map", "0:100000:1"], "0:100000:0"),
        "overlap-inside": (["--uid-map", "0:100000:10", "--uid-map", "5:200000:10", "--gid-map", "0:100000:1"], "overlap"),
        "overlap-outside": (["--uid-map", "0:100000:10", "--uid-map", "50:100005:10", "--gid-map", "0:100000:1"], "overlap"),
        "wraps": (["--uid-map", "0:4294967290:100", "--gid-map", "0:100000:1"], "4294967290"),
        "root-unmapped": (["--uid-map", "1:100001:10", "--gid-map", "0:100000:10"], "0"),
        "too-many": ([w for i in range(400) for w in ("--uid-map", "%d:%d:1" % (i, 100000 + i))] + ["--gid-map", "0:100000:1"], "uid"),
    }
    for name, (options, *words) in cases.items():
        yield name, lambda options=options, words=words: bad(options + [rootfs(owner=dummy()), "/bin/true"], *words)


# ---- options -----------------------------------------------------------------------------------------------------

@generate
def test_options():
    cases = {
        "remap-and-host": (["--userns=host"], "--userns", "--userns-remap"),
        "remap-and-map": (["--uid-map", "0:100000:1", "--gid-map", "0:100000:1"], "--uid-map", "--userns-remap"),
        "unknown-option": (["--read-onli"], "--read-onli", "--read-only"),
        "unknown-short": (["-Q"], "-Q"),
        "unknown-capability": (["--cap-add", "NET_RWA"], "NET_RWA", "NET_RAW"),
        "unknown-drop": (["--cap-drop", "no-such"], "no-such"),
        "unknown-userns": (["--userns=hots"], "hots", "host"),
        "unknown-security-opt": (["--security-opt", "seccmop=unconfined"], "seccmop", "seccomp"),
        "no-new-privileges-word": (["--security-opt", "no-new-privileges=perhaps"], "perhaps"),
        "user-negative": (["-u", "-1"], "-1"),
        "user-too-large": (["-u", "4294967295"], "4294967295"),
        "user-wraps": (["-u", "4294967296"], "4294967296"),
        "user-unmapped": (["-u", "65536"], "65536"),
        "group-unmapped": (["-u", "0:65536"], "65536"),
        "user-unknown": (["-u", "nobodyofthatname"], "nobodyofthatname"),
        "group-unknown": (["-u", "0:nogroupofthatname"], "nogroupofthatname"),
        "user-empty": (["-u", ""], "-u"),
        "user-with-space": (["-u", "1 "], "1 "),
        "hostname-too-long": (["--hostname", "x" * 65], "hostname"),
        "hostname-with-slash": (["--hostname", "a/b"], "a/b"),
        "ulimit-unknown": (["--ulimit", "nofiles=10"], "nofiles", "nofile"),
        "ulimit-malformed": (["--ulimit", "nofile"], "nofile"),
        "ulimit-soft-above-hard": (["--ulimit", "nofile=10:5"], "10:5"),
        "workdir-relative": (["-w", "tmp"], "tmp"),
        "workdir-missing": (["-w", "/nowhere/at/all"], "/nowhere/at/all"),
        "workdir-file": (["-w", "/etc/passwd"], "/etc/passwd"),
        "env-without-name": (["-e", "=x"], "=x"),
        "volume-malformed": (["-v", "/tmp"], "/tmp"),
        "volume-relative-target": (["-v", "/tmp:tmp"], "tmp"),
        "volume-source-missing": (["-v", "/no/such/source:/v"], "/no/such/source"),
        "volume-unknown-option": (["-v", "/tmp:/v:idmap=rot"], "idmap=rot", "idmap=root"),
        "volume-on-root": (["-v", "/tmp:/:ro"], "/"),
        "memory-negative": (["-m", "-5m"], "--memory -5m", "negative"),
        "memory-overflows": (["-m", "99999999999g"], "--memory 99999999999g", "too large"),
        "memory-no-number": (["-m", "much"], "--memory much", "suffixes"),
        "memory-fraction": (["-m", "1.5g"], "--memory 1.5g", "1536m"),
        "memory-zero": (["-m", "0"], "--memory 0", "too small"),
        "memory-unset": (["-m", ""], "-m"),
        "swap-without-memory": (["--memory-swap", "1g"], "--memory-swap", "--memory"),
        "swap-below-memory": (["-m", "64m", "--memory-swap", "32m"], "--memory-swap", "--memory"),
        "reservation-above-memory": (["-m", "64m", "--memory-reservation", "1g"], "--memory-reservation", "--memory"),
        "shares-too-small": (["--cpu-shares", "1"], "--cpu-shares 1", "at least 2"),
        "processor-not-there": (["--cpuset-cpus", "8000"], "--cpuset-cpus 8000", "this host has the processors", "[cpuset]"),
        "node-not-there": (["--cpuset-mems", "900"], "--cpuset-mems 900", "this host has the memory nodes", "[cpuset]"),
        "device-not-there": (["--device-read-bps", "/dev/nosuchdisk:1m"], "/dev/nosuchdisk does not exist", "[block-device]"),
        "device-is-none": (["--device-write-iops", "/dev/null:10"], "/dev/null is a character device", "[block-device]"),
        "device-numbers-not-there": (["--device-read-iops", "4095:1:10"], "no block device 4095:1", "[block-device]"),
        "huge-pages-not-there": (["--hugetlb", "3m=3m"], "--hugetlb 3m=3m", "[huge-pages]"),
        "cgroup-path": (["--cgroup", "../x.max=1"], "--cgroup ../x.max=1", "[cgroup-file]"),
        "cgroup-freeze": (["--cgroup", "cgroup.freeze=1"], "--cgroup cgroup.freeze", "[cgroup-file]"),
        "profile-missing": (["--security-opt", "seccomp=/no/such/file"], "/no/such/file"),
    }
    for name, (options, *words) in cases.items():
        yield name, lambda options=options, words=words: bad(launch(*options), *words)


def long_arguments():
    """The kernel takes a quarter of the stack limit for arguments, 6 MiB at most: more than the usual 2 are wanted here."""
    resource.setrlimit(resource.RLIMIT_STACK, (64 << 20, resource.getrlimit(resource.RLIMIT_STACK)[1]))


def test_messages_name_the_option():
    """Which of several words is meant, and the nearest one."""
    for words, *parts in ((["--ulimit", "nofil=3"], "--ulimit nofil", "nofile"), (["--mount", "tpe=bind"], "--mount tpe=bind", "did you mean type?"),
                          (["--tmpfs", "/x:siz=3"], "--tmpfs", "did you mean size?"), (["--image-config", "/nonexistent"], "--image-config /nonexistent"),
                          (["--security-opt", "seccomp=/nonexistent"], "--security-opt seccomp=/nonexistent")):
        refused(remapped(words, "/bin/true"), *parts)


def test_environment_of_100000():
    variables = [word for i in range(100000) for word in ("-e", "V%d=x" % i)]
    tree = rootfs(owner=dummy())
    before = leftovers()
    result = nsrun(REMAP + variables + [tree, "env"], popen={"preexec_fn": long_arguments}).check(0)
    equal(len([line for line in result.stdout.splitlines() if line.startswith("V")]), 100000, "variables that arrived")
    check(result.used < LIMIT * SLOWNESS, "used %.2f s" % result.used)
    # a workload whose stack limit leaves no room for them
    result = nsrun(REMAP + variables + ["--ulimit", "stack=1048576:1048576", tree, "/bin/true"], popen={"preexec_fn": long_arguments})
    check(result.status in (125, 126), "status %s: %r" % (result.status, result))
    contains(result.stderr.lower(), "arguments and environment", "stderr")
    check(result.used < LIMIT * SLOWNESS, "used %.2f s" % result.used)
    assert_clean(before)


@generate
def test_profiles():
    cases = {
        "no-json": ("{ nothing", "line 1"),
        "empty": ("", "profile.json"),
        "array": ("[]", "profile.json"),
        "no-action": ({"syscalls": []}, "defaultAction"),
        "unknown-action": ({"defaultAction": "SCMP_ACT_ALOW"}, "SCMP_ACT_ALOW"),
        "unknown-operator": ({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQUAL"}]}]}, "SCMP_CMP_EQUAL"),
        "index-6": ({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]}]}, "index"),
        "names-no-array": ({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": "kill", "action": "SCMP_ACT_ERRNO"}]}, "names"),
        "too-deep": ("[" * 100000, "profile.json"),
        "truncated": (json.dumps({"defaultAction": "SCMP_ACT_ALLOW"})[:-1], "line 1"),
        "unknown-architecture": ({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_Z80"]}, "SCMP_ARCH_Z80"),
    }
    def one(content, words):
        path = os.path.join(tmp(), "profile.json")
        with open(path, "w") as file:
            file.write(content if isinstance(content, str) else json.dumps(content))
        bad(launch("--security-opt", "seccomp=" + path), "profile.json", *words)
    for name, (content, *words) in cases.items():
        yield name, lambda content=content, words=words: one(content, words)


# ---- CMD ---------------------------------------------------------------------------------------------------------

@generate
def test_command():
    def file_with(mode, content="#!/bin/sh\nexit 0\n"):
        tree = rootfs(owner=dummy(), fresh=True)
        path = os.path.join(tree, "program")
        with open(path, "w") as file:
            file.write(content)
        os.chmod(path, mode)
        os.chown(path, 100000, 100000)
        return REMAP + [tree]

    cases = {
        "missing": lambda: bad(launch()[:-1] + ["no-such-command"], "no-such-command", status=127),
        "missing-path": lambda: bad(launch()[:-1] + ["/no/such/command"], "/no/such/command", status=127),
        "empty": lambda: bad(launch()[:-1] + [""], status=127),
        "not-executable": lambda: bad(file_with(0o644) + ["/program"], "/program", "chmod +x", status=126),
        "directory": lambda: bad(launch()[:-1] + ["/etc"], "/etc", status=126),
        "no-program": lambda: bad(file_with(0o755, "\x7fELF nothing") + ["/program"], "/program", status=126),
        "missing-under-init": lambda: bad(launch("--init")[:-1] + ["no-such-command"], "no-such-command", status=127),
        "not-executable-under-init": lambda: bad(file_with(0o644)[:2] + ["--init"] + file_with(0o644)[2:] + ["/program"], "/program",
                                                 status=126),
    }
    yield from cases.items()


def test_memory_below_a_launch():
    """It is met in the launch, or, on a busy machine, within execve(2), which counts as the workload's end."""
    before = leftovers()
    result = nsrun(REMAP + ["-m", "64k", rootfs(owner=dummy()), "/bin/true"])
    check(result.status in (125, 137), "status: %r" % result)
    contains(result.stderr, "--memory", "stderr")
    contains(result.stderr, "[memory-too-small]" if result.status == 125 else "the kernel killed", "stderr")
    assert_clean(before)


if __name__ == "__main__":
    main()
