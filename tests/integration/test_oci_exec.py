# SPDX-License-Identifier: Apache-2.0
"""exec of the OCI runtime: flags and process objects as engines send them, what a further process has of its container, and what engines read of a failure."""
import array
import contextlib
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import time

from harness import *
import test_oci_life as life

class Bundle(life.Bundle):
    """With a group of its own: names are those of a state root, groups are the host's."""

    def __init__(self, *argv, **changes):
        super().__init__(*argv, **changes)
        self.config["linux"]["cgroupsPath"] = "/nsrun/test-" + os.path.basename(self.dir) + str(os.getpid())
        self.write()


PROCESS = {"args": ["/bin/true"], "cwd": "/", "env": ["PATH=/bin:/usr/bin:/sbin:/usr/sbin"], "user": {"uid": 0, "gid": 0}}


MOUNTS = [{"destination": "/proc", "type": "proc", "source": "proc"},
          {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
          {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666"]}]


def running(*argv, **changes):
    b = Bundle(*argv, **{"mounts": MOUNTS, **changes})
    b.made()
    b("start", "c").check(0)
    return b


def shell(script, **more):
    return {**PROCESS, "args": ["/bin/sh", "-c", script], **more}


def process_file(b, process):
    path = os.path.join(b.dir, "process.json")
    with open(path, "w") as file:
        json.dump(process, file)
    return path


def run_process(b, process, *options, **how):
    return b("exec", *options, "--process", process_file(b, process), "c", **how)


def status_of(pid):
    with open("/proc/%s/status" % pid) as file:
        return dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)


@contextlib.contextmanager
def detached(b, process, *options, name="c"):
    """The pid of a process that engines would have started so."""
    pid_file = os.path.join(b.dir, "exec.pid")
    words = [binary(), "--root", b.root, "exec", "--pid-file", pid_file, "--process", process_file(b, process), "--detach", *options, name]
    said = os.path.join(b.dir, "exec.errors")  # a pipe would stay open with the process
    with open(said, "wb") as errors:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, timeout=20 * SLOW, env=environment(None))
    with open(said) as errors:
        equal((done.returncode, errors.read()), (0, ""), "exec --detach")
    with open(pid_file) as file:
        text = file.read()
    check(text.isdigit(), "the pid file: %r" % text)
    try:
        yield int(text)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(text), signal.SIGKILL)
        # The subreaper's child is this process': until it is reaped, its pid namespace cannot end (zap_pid_ns_processes in the kernel).
        with contextlib.suppress(ChildProcessError):
            os.waitpid(int(text), 0)


def refused(result, words):
    equal(result.status, 255, "status: %r\n    status" % result)
    contains(result.stderr, words, "stderr")


# ---- words and statuses -------------------------------------------------------------------------------------------

@test(root=True)
def test_what_engines_read():
    """docker, podman and conmon decide on 126 and 127 by these words of the last error in the log."""
    cases = [("nope", "executable file not found in $PATH"), ("/nope", "no such file or directory"), ("/etc/passwd", "permission denied"),
             ("/bin", "permission denied")]
    with running() as b:
        for program, words in cases:
            log = os.path.join(b.dir, "log.json")
            refused(b("--log", log, "--log-format", "json", "exec", "c", program), words)
            with open(log) as file:
                last = json.loads(file.read().splitlines()[-1])
            equal(last["level"], "error", "level")
            contains(last["msg"], "exec failed: ")
            contains(last["msg"], words)
            refused(run_process(b, {**PROCESS, "args": [program]}), words)
            b.config["process"]["args"] = [program]
            b.config["linux"]["cgroupsPath"] += "-other"
            b.write()
            equal(b.create("other"), 1, "status of create")
            contains(b.errors, words)
        refused(b("exec", "--cwd", "/nope", "c", "/bin/true"), "No such file or directory")
        refused(b("exec", "c"), "process args cannot be empty")
        refused(b("exec", "nope", "/bin/true"), "container does not exist")


@test(root=True)
def test_status_is_the_process():
    with running() as b:
        for status in (0, 1, 42, 255):
            equal(b("exec", "c", "/bin/sh", "-c", "exit %d" % status).status, status, "status")
        equal(b("exec", "c", "/bin/sh", "-c", "kill -9 $$").status, 137, "status after SIGKILL")
        equal(b("exec", "c", "--", "/bin/sh", "-c", "exit 3").status, 3, "status behind --")


@test(root=True)
def test_states():
    with Bundle() as b:
        b.made()
        # as runc: its tree is complete, though nothing of the workload runs
        equal(b("exec", "c", "/bin/echo", "early").check(0).stdout, "early\n", "in one that is created")
        equal(b.status(), "created", "status")
        b("start", "c").check(0)
        equal(b("exec", "c", "/bin/echo", "late").check(0).stdout, "late\n", "in one that runs")
        b("pause", "c").check(0)
        refused(b("exec", "c", "/bin/true"), "cannot exec in a paused container")
        waits = subprocess.Popen([binary(), "--root", b.root, "exec", "--ignore-paused", "c", "/bin/echo", "on"], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, env=environment(None))
        ends = subprocess.Popen([binary(), "--root", b.root, "exec", "--ignore-paused", "c", "/bin/echo", "on"], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, env=environment(None))
        time.sleep(0.3 * SLOW)
        equal((waits.poll(), ends.poll()), (None, None), "it waits")
        ends.terminate()
        equal(ends.wait(10), -signal.SIGTERM, "a signal ends it")
        b("resume", "c").check(0)
        equal(waits.communicate(timeout=20 * SLOW)[0], b"on\n", "after resume")
        ends.stdout.close()
        b("kill", "c", "KILL").check(0)
        b.stopped()
        refused(b("exec", "c", "/bin/true"), "cannot exec in a stopped container")


@test(root=True)
def test_without_a_global_flag():
    """A bundle's container is an engine's, however the line begins."""
    with running() as b:
        env = {"NSRUN_ROOT": b.root}
        equal(nsrun(["exec", "c", "nope"], env=env).status, 255, "status")
        equal(nsrun(["exec", "-t=false", "c", "/bin/echo", "a"], env=env).check(0).stdout, "a\n", "output")


# ---- flags --------------------------------------------------------------------------------------------------------

@test(root=True)
def test_flags():
    with running(user={"uid": 5, "gid": 6, "additionalGids": [7], "umask": 0o27}, env=["PATH=/bin", "A=1"]) as b:
        def out(options, script):
            return b("exec", *options, "c", "/bin/sh", "-c", script).check(0).stdout.strip()
        equal(out([], "echo $(id -u) $(id -g) $(id -G) $(umask) $A"), "5 6 6 7 0027 1", "as the container has it")
        equal(out(["-u", "8"], "echo $(id -u) $(id -g)"), "8 6", "-u UID: the group stays")
        equal(out(["--user", "8:9"], "echo $(id -u) $(id -g)"), "8 9", "-u UID:GID")
        equal(out(["-g", "20", "--additional-gids=21"], "id -G"), "6 7 20 21", "groups")
        equal(out(["-cwd", "/tmp"], "pwd"), "/tmp", "one dash")
        equal(out(["-e", "A=2", "-env", "B=3"], "echo $A $B"), "2 3", "environment")
        equal(out(["--no-new-privs"], "grep NoNewPrivs /proc/self/status").split(), ["NoNewPrivs:", "1"], "no_new_privs")
        equal(out([], "grep NoNewPrivs /proc/self/status").split(), ["NoNewPrivs:", "0"], "no_new_privs of the container")
        equal(out(["-u", "0:0", "-c", "CAP_SYS_CHROOT"], "grep CapEff /proc/self/status").split()[1],
              "%016x" % (1 << 18 | 1 << 0 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8), "root's capabilities with --cap")
        equal(out(["--cap", "CAP_SYS_CHROOT"], "grep CapEff /proc/self/status").split()[1], "%016x" % (1 << 18), "another user's")
        refused(b("exec", "--cap", "CAP_NOPE", "c", "true"), "unknown capability")
        refused(b("exec", "--apparmor", "x", "c", "true"), "AppArmor")
        refused(b("exec", "--process-label", "x", "c", "true"), "SELinux")


@test(root=True)
def test_process_objects():
    with running() as b:
        script = "echo $(id -u) $(id -g) $(id -G) $(umask) $PWD $A; grep -E 'CapBnd|NoNew' /proc/self/status; ulimit -n; ulimit -Hn"
        process = shell(script, cwd="/tmp", env=["PATH=/bin", "A=b"], user={"uid": 3, "gid": 4, "additionalGids": [9], "umask": 0o77},
                        noNewPrivileges=True, capabilities={"bounding": ["CAP_KILL"]},
                        rlimits=[{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}])
        lines = run_process(b, process).check(0).stdout.splitlines()
        equal(lines[0], "3 4 4 9 0077 /tmp b", "the process")
        equal([line.split()[1] for line in lines[1:3]], ["%016x" % (1 << 5), "1"], "confinement")
        equal(lines[3:], ["100", "200"], "limits")
        path = process_file(b, shell("echo via stdin"))
        with open(path) as file:
            equal(b("exec", "--process", "-", "c", stdin=file).check(0).stdout, "via stdin\n", "from standard input")
        equal(b("exec", "c", "--process", path).check(0).stdout, "via stdin\n", "behind the id")
        equal(b("exec", "-p=" + path, "c").check(0).stdout, "via stdin\n", "-p")
        for bad, words in (({"args": []}, "args"), ({"args": ["x"], "cwd": "tmp"}, "absolute"), ([], "object"),
                           ({**PROCESS, "rlimits": [{"type": "RLIMIT_X", "soft": 1, "hard": 1}]}, "rlimits[0].type"),
                           ({**PROCESS, "user": {"uid": -1}}, "user.uid")):
            refused(run_process(b, bad), words)
        refused(b("exec", "-p", path, "c", "true"), "one word too many")
        refused(b("exec", "-p", path, "-e", "A=b", "c"), "are said in it")
        refused(b("exec", "-p", b.dir + "/nope", "c"), "nope")


@test(root=True)
def test_settings_of_a_process_object():
    with running() as b:
        process = {**PROCESS, "args": ["/bin/sleep", "60"], "scheduler": {"policy": "SCHED_BATCH", "nice": 5}, "oomScoreAdj": 300,
                   "ioPriority": {"class": "IOPRIO_CLASS_IDLE", "priority": 0}, "execCPUAffinity": {"initial": "0", "final": "1"}}
        with detached(b, process) as pid:
            equal(os.sched_getscheduler(pid), os.SCHED_BATCH, "policy")
            equal(os.getpriority(os.PRIO_PROCESS, pid), 5, "nice")
            equal(os.sched_getaffinity(pid), {1}, "processors")
            with open("/proc/%d/oom_score_adj" % pid) as file:
                equal(file.read(), "300\n", "out-of-memory score")
            contains(subprocess.run(["ionice", "-p", str(pid)], stdout=subprocess.PIPE, text=True).stdout, "idle")


@test(root=True, needs=["strace"])
def test_initial_affinity():
    """execCPUAffinity.initial: of nsrun itself, before the process is made, which begins with it; final is set by that process alone."""
    with running() as b:
        log, env = os.path.join(b.dir, "strace"), {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}  # it wants ptrace for itself
        process = {**PROCESS, "args": ["/bin/true"], "execCPUAffinity": {"initial": "1", "final": "0"}}
        run(["strace", "-f", "-e", "trace=sched_setaffinity,clone3,clone,vfork,fork", "-o", log, binary(), "--root", b.root, "exec", "--process",
             process_file(b, process), "c"], timeout=40, env=env).check(0)
        with open(log) as file:
            lines = file.read().splitlines()
        calls = [(line.split()[0], re.search(r"(\w+)\(", line).group(1), line) for line in lines if re.search(r" (sched_setaffinity|clone3?|v?fork)\(", line)]
        set_ = [(pid, line) for pid, name, line in calls if name == "sched_setaffinity"]
        check(set_ and set_[0][0] == calls[0][0] and re.search(r"\[1\b", set_[0][1]), "nsrun does not begin on processor 1: %s" % lines)
        entering = [n for n, (pid, name, line) in enumerate(calls) if name != "sched_setaffinity"]
        check(entering and entering[0] > calls.index((set_[0][0], "sched_setaffinity", set_[0][1])), "the process was made before: %s" % lines)
        check(any(re.search(r"\[0( \.\.\.)?\]", line) and pid != set_[0][0] for pid, line in set_), "no other process sets processor 0: %s" % lines)


@test(root=True)
def test_what_config_json_says_holds():
    """Settings that the kernel does not hand from init to a process that enters."""
    with Bundle("/bin/sleep", "60", mounts=MOUNTS) as b:
        b.config["process"].update(scheduler={"policy": "SCHED_BATCH", "nice": 3}, execCPUAffinity={"final": "0"},
                                   rlimits=[{"type": "RLIMIT_NOFILE", "soft": 64, "hard": 128}], oomScoreAdj=200, noNewPrivileges=True)
        b.config["linux"]["personality"] = {"domain": "LINUX32"}
        b.config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW",
                                        "syscalls": [{"names": ["mkdirat", "mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]}
        b.write()
        b.made()
        b("start", "c").check(0)
        init = b.state()["pid"]
        wait_for(lambda: status_of(init)["Name"] == "sleep", "the workload")
        with detached(b, {**PROCESS, "args": ["/bin/sleep", "60"]}) as pid:
            for field in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters"):
                equal(status_of(pid)[field], status_of(init)[field], field)
            equal(os.sched_getscheduler(pid), os.SCHED_BATCH, "policy")
            equal(os.getpriority(os.PRIO_PROCESS, pid), 3, "nice")
            equal(os.sched_getaffinity(pid), {0}, "processors")
            for name in ("personality", "oom_score_adj", "limits", "cgroup", "uid_map"):
                with open("/proc/%d/%s" % (pid, name)) as own, open("/proc/%d/%s" % (init, name)) as theirs:
                    equal(own.read(), theirs.read(), name)
            for name in os.listdir("/proc/self/ns"):
                equal(os.readlink("/proc/%d/ns/%s" % (pid, name)), os.readlink("/proc/%d/ns/%s" % (init, name)), name)
        failed = b("exec", "c", "/bin/mkdir", "/tmp/x")
        equal(failed.status, 1, "status")
        contains(failed.stderr, "Function not implemented", "the filter")


# ---- detached, descriptors, terminals -----------------------------------------------------------------------------

@test(root=True)
def test_detached():
    """Standard descriptors are the caller's, nsrun ends when the process executes, and the process becomes the subreaper's child."""
    PR_SET_CHILD_SUBREAPER = 36
    import ctypes
    libc = ctypes.CDLL(None)
    with running() as b:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        out, pid_file = os.path.join(b.dir, "out"), os.path.join(b.dir, "pid")
        with open(out, "wb") as file:
            words = ["exec", "-d", "--pid-file", pid_file, "c", "/bin/sh", "-c", "read x; echo got $x; exec sleep 60"]
            read, write = os.pipe()
            done = subprocess.run([binary(), "--root", b.root, *words], stdin=read, stdout=file, stderr=file, env=environment(None))
            os.close(read)
        equal(done.returncode, 0, "status")
        with open(pid_file) as file:
            pid = int(file.read())
        equal(status_of(pid)["PPid"], str(os.getpid()), "its parent")
        os.write(write, b"this\n")
        os.close(write)
        wait_for(lambda: open(out).read() == "got this\n", "its output")
        os.kill(pid, signal.SIGKILL)
        equal(os.waitpid(pid, 0)[1], signal.SIGKILL, "reaped by the subreaper")
        libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        refused(b("exec", "-d", "--pid-file", pid_file + "2", "c", "nope"), "executable file not found")
        check(not os.path.exists(pid_file + "2"), "a pid file is left")


@test(root=True)
def test_preserved_descriptors():
    with running() as b:
        read, write = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 20) for fd in os.pipe()]  # the first two stay: one is 3
        os.dup2(write, 3)
        done = subprocess.run([binary(), "--root", b.root, "exec", "--preserve-fds", "1", "c", "/bin/sh", "-c", "ls /proc/self/fd; echo x >&3"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, pass_fds=[3], env=environment(None))
        os.close(3), os.close(write)
        equal(done.returncode, 0, "status")
        equal(os.read(read, 10), b"x\n", "through descriptor 3")
        os.close(read)
        equal(done.stdout.split(), [b"0", b"1", b"2", b"3", b"4"], "open descriptors: 4 is ls' own")
        refused(b("exec", "--preserve-fds", "2", "c", "true"), "descriptor 3")


@test(root=True)
def test_console_socket():
    with running() as b:
        b.config["process"]["terminal"] = False
        path = os.path.join(b.dir, "tty.sock")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen()
            process = shell("stty size; tty; exec sleep 60", terminal=True, consoleSize={"height": 31, "width": 77})
            # podman says --tty beside the object
            with detached(b, process, "--tty", "--console-socket", path) as pid:
                client, _ = server.accept()
                data, control, _, _ = client.recvmsg(4096, socket.CMSG_SPACE(4))
                client.close()
                master = array.array("i", control[0][2])[0]
                text = b""
                while text.count(b"\n") < 2:
                    text += os.read(master, 4096)
                if b"stty" not in text:  # busybox may have none
                    contains(text.decode(), "31 77")
                contains(text.decode(), "/dev/pts/")
                os.close(master)
        refused(b("exec", "-d", "-t", "c", "true"), "cannot allocate tty if runc will detach without setting console socket")
        refused(b("exec", "--console-socket", path, "c", "true"), "cannot use console socket if runc will not detach or allocate tty")
        refused(b("exec", "-t", "c", "true"), "not both terminals")


@test(root=True)
def test_terminal_in_the_foreground():
    with running() as b:
        with Pty([binary(), "--root", b.root, "exec", "-t", "c", "/bin/sh", "-c", "tty; exit 9"]) as terminal:
            equal(terminal.wait(), 9, "status")
            contains(terminal.text, "/dev/pts/")


# ---- groups ---------------------------------------------------------------------------------------------------------

@test(root=True)
def test_groups_below():
    def groups(pid):
        with open("/proc/%d/cgroup" % pid) as file:
            return dict(line.rstrip("\n").split(":", 2)[1:] for line in file)
    with running() as b:
        own = groups(b.state()["pid"])
        mounts = {"": "/sys/fs/cgroup/unified", **{name: "/sys/fs/cgroup/" + name.replace("name=", "") for name in own if name}}
        made = []
        for name, path in own.items():
            top = mounts[name] if os.path.isdir(mounts[name]) else "/sys/fs/cgroup" if not name else None
            if top and os.path.isdir(top + path) and path != "/":
                os.makedirs(top + path + "/jobs", exist_ok=True)
                made.append((name, top + path + "/jobs"))
                if name == "cpuset":
                    for file in ("cpuset.cpus", "cpuset.mems"):
                        with open(top + path + "/" + file) as src, open(top + path + "/jobs/" + file, "w") as dst:
                            dst.write(src.read())
        check(made, "the container has no group")
        with detached(b, {**PROCESS, "args": ["/bin/sleep", "60"]}, "--cgroup", "jobs") as pid:
            found = groups(pid)
            for name, _ in made:
                equal(found[name], own[name] + "/jobs", "group of %r" % name)
        if "memory" in own:
            with detached(b, {**PROCESS, "args": ["/bin/sleep", "60"]}, "--cgroup", "memory,pids:jobs") as pid:
                found = groups(pid)
                equal((found["memory"], found["pids"], found["devices"]), (own["memory"] + "/jobs", own["pids"] + "/jobs", own["devices"]),
                      "groups")
        refused(b("exec", "--cgroup", "nope", "c", "true"), "nope")
        refused(b("exec", "--cgroup", "../x", "c", "true"), "..")
        refused(b("exec", "--cgroup", "foo:jobs", "c", "true"), "foo")
        refused(b("exec", "--cgroup", "jobs", "--cgroup", "x", "c", "true"), "missing <controller>: prefix")
        reap()


# ---- namespaces that are not the container's own --------------------------------------------------------------------

@generate
def namespaces():
    for left_out in ((), ("pid",), ("network",), ("ipc", "uts"), ("pid", "network", "ipc", "uts")):
        for user in (False, True):
            yield "%s-%s" % ("user" if user else "nouser", "-".join(left_out) or "all"), lambda o=left_out, u=user: namespaces_of(o, u)


def namespaces_of(left_out, user):
    b = Bundle("/bin/sleep", "60")
    linux = b.config["linux"]
    linux["namespaces"] = [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network", "cgroup", "time") if kind not in left_out]
    if user:
        linux["namespaces"].append({"type": "user"})
        linux["uidMappings"] = linux["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        b.config["root"]["path"] = rootfs("100000:100000")
    b.config["mounts"] = [{"destination": "/proc", "type": "proc", "source": "proc"}] if "pid" not in left_out else []
    b.write()
    with b:
        b.made()
        for status in ("created", "running"):
            equal(b.status(), status, "status")
            init = b.state()["pid"]
            with detached(b, {**PROCESS, "args": ["/bin/sleep", "60"]}) as pid:
                for name in ("pid", "net", "ipc", "uts", "mnt", "user", "time", "cgroup"):
                    equal(os.readlink("/proc/%d/ns/%s" % (pid, name)), os.readlink("/proc/%d/ns/%s" % (init, name)), name)
                equal(os.stat("/proc/%d/root/." % pid).st_ino, os.stat("/proc/%d/root/." % init).st_ino, "root")
            if status == "created":
                b("start", "c").check(0)


# ---- hostile containers -----------------------------------------------------------------------------------------------

@test(root=True)
def test_the_runtime_is_out_of_reach():
    """CVE-2019-5736, 2016-9962, 2024-21626: what a process inside sees of nsrun while exec enters, in one that waits for start as well."""
    watcher = r"""
while :; do for p in /proc/[0-9]*; do
  [ $p = /proc/$$ ] && continue
  e=$(readlink $p/exe 2>/dev/null) || continue
  case "$e" in /bin/*|"") ;; *) echo "exe $p $e";; esac
  for f in $p/fd/*; do l=$(readlink $f 2>/dev/null); case "$l" in /tmp/*|/root/*|/work/*|/run/*|/sys/*) echo "fd $f $l";; esac; done
done; done"""
    with Bundle("/bin/sleep", "60") as b:
        b.config["linux"]["namespaces"].append({"type": "user"})
        b.config["linux"]["uidMappings"] = b.config["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        b.config["root"]["path"] = rootfs("100000:100000")
        b.config["mounts"] = [{"destination": "/proc", "type": "proc", "source": "proc"}]
        b.config["process"]["capabilities"] = {kind: ["CAP_SYS_PTRACE", "CAP_SETUID", "CAP_SETGID"] for kind in ("bounding", "effective", "permitted")}
        b.write()
        b.made()
        for _ in ("created", "running"):
            out = os.path.join(b.dir, "seen")
            with open(out, "wb") as file:
                spy = subprocess.Popen([binary(), "--root", b.root, "exec", "c", "/bin/sh", "-c", watcher], stdin=subprocess.DEVNULL,
                                       stdout=file, stderr=file, env=environment(None))
                for _ in range(20):
                    b("exec", "c", "/bin/true").check(0)
                spy.terminate()
                spy.wait(20)
            with open(out) as file:
                equal(file.read(), "", "what was seen")
            if b.status() == "created":
                b("start", "c").check(0)


@test(root=True)
def test_replaced_programs_and_proc():
    """#!/proc/self/exe, a CMD that is a link there, and a /proc that the container has made itself, lead to nothing of the host."""
    tree = rootfs(private=True, fresh=True)
    with Bundle("/bin/sleep", "60") as b:
        b.config["root"]["path"] = tree
        b.config["mounts"] = [{"destination": "/proc", "type": "proc", "source": "proc"}]
        b.write()
        b.made()
        b("start", "c").check(0)
        os.symlink("/proc/self/exe", tree + "/bin/evil")
        with open(tree + "/bin/script", "w") as file:
            file.write("#!/proc/self/exe\n")
        os.chmod(tree + "/bin/script", 0o755)
        for program in ("/bin/evil", "/bin/script"):
            result = b("exec", "c", program, timeout=20)
            check("nsrun [OPTIONS] ROOTFS" not in result.stdout, "nsrun was executed inside: %r" % result)
        refused(b("exec", "--cwd", "/proc/self/fd/7", "c", "/bin/true"), "working directory")
        for fd in range(3, 12):
            refused(b("exec", "--cwd", "/proc/self/fd/%d" % fd, "c", "/bin/true"), "working directory")


# ---- the forms that engines were seen to send ------------------------------------------------------------------------

@generate
def shapes():
    forms = ["--log-format=json --log LOG exec --pid-file PID --process PROCESS --detach ID",
             "--root ROOT --log LOG --log-format json exec --process PROCESS --detach --pid-file PID ID",
             "--root ROOT exec --process PROCESS ID",
             "--root=ROOT exec --pid-file PID --process PROCESS --detach ID",
             "--log-format=json --log LOG exec --pid-file PID --process PROCESS --detach --tty --console-socket SOCKET ID",
             "--root ROOT --log LOG --log-format json exec --process PROCESS --console-socket SOCKET --detach --pid-file PID ID"]
    for i, form in enumerate(forms):
        yield "%d" % i, lambda form=form: shape(form)


def shape(form):
    terminal = "SOCKET" in form
    with running() as b, socket.socket(socket.AF_UNIX) as server:
        server.bind(b.dir + "/SOCKET")
        server.listen()
        process_file(b, shell("echo done > /tmp/shape", terminal=terminal))
        made = os.path.join(b.config["root"]["path"], "tmp/shape")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(made)
        words = form.replace("PROCESS", b.dir + "/process.json").replace("PID", b.dir + "/PID").replace("LOG", b.dir + "/LOG")
        words = words.replace("ROOT", b.root).replace("SOCKET", b.dir + "/SOCKET").replace(" ID", " c").split()
        env = environment(None)
        env["NSRUN_ROOT"] = b.root
        done = subprocess.run([binary(), *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env)
        equal((done.returncode, done.stderr), (0, b""), form)
        if terminal:
            client, _ = server.accept()
            check(client.recvmsg(100, socket.CMSG_SPACE(4))[1], "no terminal came")
            client.close()
        if "PID" in form:
            check(open(b.dir + "/PID").read().isdigit(), "pid file")
        wait_for(lambda: os.path.exists(made), "its effect")
        reap()


if __name__ == "__main__":
    main()
