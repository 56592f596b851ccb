# SPDX-License-Identifier: Apache-2.0
"""Docker with nsrun as its default runtime: life and processes, limits, confinement, files, network, build, Docker in Docker."""
import json
import os
import re
import shutil
import threading
import urllib.request

from docker import *

_shared = {}


def docker():
    """The daemon that the tests share. Containers on its default bridge cannot reach each other; published ports work."""
    if "daemon" not in _shared:
        _shared["daemon"] = None
        _shared["daemon"] = Docker(config={"icc": False})
        _shared["daemon"].image()
    check(_shared["daemon"], "the daemon did not start for an earlier test")
    return _shared["daemon"]


def container(options="", *command, image="busybox"):
    return Container(docker(), options, *command, image=image)


def once(options, *command, image="busybox", **how):
    return docker().once(options, *command, image=image, **how)


def inside(options, script, **how):
    return once(options, *lasting(script), **how)


# ---- life and processes ------------------------------------------------------------------------------------------------

def test_default_runtime():
    told = json.loads(docker().out("info", "--format", "{{json .}}"))
    equal(told["DefaultRuntime"], "nsrun")
    equal(told["Runtimes"]["nsrun"]["path"], runtime())
    print("# Docker %s, %s" % (told["ServerVersion"], docker().out("version", "--format", "client {{.Client.Version}}")))
    # Docker asks the runtime who it is, and since 25 what it can do.
    version = run([runtime(), "--version"]).check(0).stdout
    contains(version, told["RuncCommit"]["ID"], "what the runtime says of itself")
    if not standing_in():
        check(told["RuncCommit"]["ID"], "no commit of the runtime")
        names = {part["Name"]: part["Version"] for part in json.loads(docker().out("version", "--format", "{{json .Server.Components}}"))}
        equal("nsrun version " + names["nsrun"], version.splitlines()[0], "version by Docker and by the runtime")
        status = told["Runtimes"]["nsrun"].get("status")
        if int(told["ServerVersion"].split(".")[0]) >= 25:
            features = json.loads(run([runtime(), "features"]).check(0).stdout)
            told = json.loads(status["org.opencontainers.runtime-spec.features"])
            equal(_known(features, told), told, "features, as far as this Docker knows them")
            contains(told["linux"]["namespaces"], "time", "namespaces")
    with container() as one:
        equal(os.path.basename(os.readlink("/proc/%d/exe" % one.pid)), "busybox")


def _known(ours, theirs):
    """Of ours what has a key in theirs."""
    return {key: _known(ours[key], theirs[key]) for key in ours if key in theirs} if isinstance(ours, dict) and isinstance(theirs, dict) else ours


def test_run():
    once("-i", "cat", input="to and fro\n").check(0, "to and fro\n")
    result = inside("", "echo out; echo err >&2; exit 3").check(3, "out\n")
    equal(result.stderr, "err\n", "standard error")
    inside("-e A=b -w /tmp -u 1000:1000 --group-add 7 -h named", "echo $A $PWD $(id -u) $(id -g) $(id -G) $(hostname)").check(
        0, "b /tmp 1000 1000 1000 7 named\n")
    inside("", "sh -c 'kill -9 $$'; exit $?").check(137)


def test_run_that_cannot_start():
    """The engine reads what the runtime wrote to --log, and makes the exit status of its words."""
    once("", "/nothing").check(127, stderr="/nothing")
    once("", "nothing").check(127, stderr="nothing")
    once("", "/etc/passwd").check(126, stderr="/etc/passwd")
    once("", "/etc").check(126, stderr="/etc")
    equal(docker().out("ps", "-aq"), "", "containers that stayed")


def test_run_terminal():
    with docker().pty("run", "--rm", "-it", "busybox", "/bin/sh") as term:
        term.expect("# ")
        term.write("tty; echo $((1 + 41))\n")
        term.expect(r"/dev/pts/0\s+42")
        wait_for(lambda: _size(term) == "24 80", "the container's terminal has the size of the client's")
        term.resize(33, 111)
        term.process.send_signal(28)  # SIGWINCH: the client looks at its terminal
        wait_for(lambda: _size(term) == "33 111", "the container's terminal has the new size")
        term.write("sh -c 'echo $((6 * 7000)); exec sleep 1000'\n")
        term.expect("42000")
        term.write("\x03")
        term.write("echo status $?; exit 7\n")
        term.expect("status 130")
        equal(term.wait(), 7, "status")


def _size(term):
    start = len(term.text)
    term.write("stty size; echo asked $((1 + 1))\n")  # before the client has told the size, stty prints none
    term.expect("asked 2", start=start)
    found = re.search(r"(\d+ \d+)\r\n", term.text[start:])
    return found and found[1]


def test_exec():
    with container("-e A=container") as one:
        one.exec("echo", "hello").check(0, "hello\n")
        one.shell("exit 5").check(5)
        one.shell("echo $A $B $PWD $(id -u):$(id -g)", options=["-e", "B=exec", "-w", "/tmp", "-u", "1000:7"]).check(0, "container exec /tmp 1000:7\n")
        docker()("exec", "-i", one.name, "cat", input="through\n").check(0, "through\n")
        check(one.exec("/nothing").status in (126, 127), "exec of what is not there")
        one.exec("touch", "/detached", options=["-d"]).check(0)
        wait_for(lambda: one.exec("test", "-e", "/detached").status == 0, "the detached command's file")
        equal(status_of(one.pid)["NSpid"].split()[-1], "1")
        one.shell("grep CapBnd /proc/self/status").check(0, docker().out("exec", one.name, "grep", "CapBnd", "/proc/1/status") + "\n")
        told = one.shell("grep CapEff /proc/self/status", options=["--privileged"]).check(0).stdout
        _has_all(int(told.split()[1], 16))


def _has_all(mask):
    """All that Docker names (20.10 knows them up to audit_read) and this host has to give."""
    bounding = int(status_of(os.getpid())["CapBnd"], 16)
    equal("%x" % (mask & ((1 << 38) - 1)), "%x" % (bounding & ((1 << 38) - 1)), "capabilities")
    equal(mask & ~bounding, 0, "capabilities that the host does not have")


def test_exec_terminal():
    with container() as one:
        with docker().pty("exec", "-it", one.name, "/bin/sh") as term:
            term.expect("# ")
            term.write("tty\n")
            term.expect(r"/dev/pts/\d+")
            wait_for(lambda: _size(term) == "24 80", "the terminal has the size of the client's")
            term.write("exit 9\n")
            equal(term.wait(), 9, "status")


def test_attach():
    with container("-it", "/bin/sh") as one:
        with docker().pty("attach", one.name) as term:
            term.write("echo I am $((40 + 2))\n")
            term.expect("I am 42")
            term.write("\x10\x11")
            term.wait()
            contains(term.text, "read escape sequence")
        equal(one.inspect("State.Running"), True)


def test_logs():
    with container("", "/bin/sh", "-c", "echo one; echo two >&2; echo three; sleep 1000") as one:
        wait_for(lambda: "three" in docker()("logs", one.name).stdout, "the last line")
        result = docker()("logs", one.name).check(0, "one\nthree\n")
        equal(result.stderr, "two\n", "standard error")


def test_top_and_stats():
    with container("", "/bin/sh", "-c", "sleep 1111 & sleep 2222") as one:
        text = wait_for(lambda: [out for out in [docker().out("top", one.name, "-o", "pid,args")] if "1111" in out], "all processes")[0]
        contains(text, "sleep 2222")
        contains(text, str(one.pid))
        with container() as other:
            check(str(other.pid) not in docker().out("top", one.name), "top shows a process of another container")
        told = json.loads(docker().out("stats", "--no-stream", "--format", "{{json .}}", one.name))
        equal(told["PIDs"], setting(one.pid, "pids", "pids.current", "pids.current"), "processes by stats")
        check(not told["MemUsage"].startswith("0B"), "memory by stats: %r" % told)
        docker().out("update", "-m", "64m", "--memory-swap", "64m", one.name)
        contains(docker().out("stats", "--no-stream", "--format", "{{.MemUsage}}", one.name), " / 64MiB", "the limit by stats")


def test_pause():
    with container("", "/bin/sh", "-c", "i=0; while :; do i=$((i+1)); echo $i >/count; done") as one:
        def count():
            return open("/proc/%d/root/count" % one.pid).read()
        wait_for(lambda: os.path.exists("/proc/%d/root/count" % one.pid), "it counts")
        docker().out("pause", one.name)
        equal(one.inspect("State.Status"), "paused")
        before = count()
        wait_for(lambda: "refrigerator" in open("/proc/%d/stack" % one.pid).read() or _frozen(one.pid), "the kernel has frozen it")
        before = count()
        equal(count(), before, "count of a paused container")
        contains(one.exec("true").stderr, "paused")
        docker().out("unpause", one.name)
        wait_for(lambda: count() not in ("", before), "it counts again")
        equal(one.inspect("State.Status"), "running")


def _frozen(pid):
    path, version = group(pid, "freezer")
    if version == 1 and open(path + "/freezer.state").read() == "FROZEN\n":
        return True
    with open("/proc/%d/cgroup" % pid) as file:
        mine = [line.rstrip("\n").split(":", 2)[2] for line in file if line.startswith("0::")]
    tops = [entry[0] for entry in mountinfo() if entry[4] == "cgroup2"]
    return bool(mine and tops) and "frozen 1" in open(tops[0] + mine[0] + "/cgroup.events").read()


def test_kill():
    script = "trap 'echo got USR1' USR1; trap 'echo got TERM; exit 4' TERM; echo ready; while :; do sleep 0.05; done"
    with container("", "/bin/sh", "-c", script) as one:
        def logs():
            return docker().out("logs", one.name)
        wait_for(lambda: "ready" in logs(), "the traps are set")
        docker().out("kill", "-s", "USR1", one.name)
        wait_for(lambda: "got USR1" in logs(), "the signal's trace")
        docker().out("stop", one.name)
        contains(logs(), "got TERM")
        equal(one.inspect("State.ExitCode"), 4)
    with container() as one:
        docker().out("kill", one.name)
        equal(one.ended(), 137, "status")
        wait_for(lambda: not alive(one.pid), "its init ended")


def test_stop_of_a_deaf_one():
    """PID 1 without a handler: SIGTERM does nothing, and SIGKILL follows."""
    with container() as one:
        docker().out("stop", "-t", "1", one.name)
        equal(one.inspect("State.ExitCode"), 137)
    with container("--stop-signal KILL") as one:
        docker().out("stop", "-t", "30", one.name, timeout=15)


def test_restart():
    with container("", "/bin/sh", "-c", "date >>/dates; sleep 1000") as one:
        docker().out("restart", "-t", "0", one.name)
        pid = docker().proves(one.name)
        check(pid != one.pid, "the same init after a restart")
        wait_for(lambda: one.exec("wc", "-l", "/dates").stdout.split()[:1] == ["2"], "both runs in the file")
    with container("--restart on-failure:2", "/bin/sh", "-c", "until test -e /go; do sleep 0.05; done; exit 1") as one:
        one.exec("touch", "/go", options=["-d"]).check(0)
        wait_for(lambda: one.inspect("RestartCount") == 2 and not one.inspect("State.Running"), "two restarts", timeout=20)


def test_init():
    with container("--init") as one:
        equal(one.shell("cat /proc/1/comm").stdout.strip() in ("docker-init", "tini"), True, "PID 1 is the reaper")


@test(timeout=90)
def test_healthcheck():
    options = ["--health-cmd", "test -e /healthy", "--health-interval", "1s", "--health-retries", "1"]
    with container(options, "/bin/sh", "-c", "touch /healthy; sleep 1000") as one:
        wait_for(lambda: one.inspect("State.Health.Status") == "healthy", "healthy", timeout=20)
        one.exec("rm", "/healthy").check(0)
        wait_for(lambda: one.inspect("State.Health.Status") == "unhealthy", "unhealthy", timeout=20)


@test(timeout=120)
def test_many_at_once():
    results = {}
    docker()

    def one(number):
        results[number] = inside(["--name", "many%d" % number], "echo %d; exit %d" % (number, number))
    threads = [threading.Thread(target=one, args=(number,)) for number in range(1, 13)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(1, 13):
        results[number].check(number, "%d\n" % number)


# ---- limits ------------------------------------------------------------------------------------------------------------

def test_limits():
    options = "-m 64m --memory-reservation 32m --memory-swap 128m --cpus 0.5 --cpu-shares 512 --cpuset-cpus 0 --pids-limit 50 --oom-score-adj 321 " \
              "--ulimit nofile=100:200"
    with container(options) as one:
        equal(setting(one.pid, "memory", "memory.limit_in_bytes", "memory.max"), str(64 << 20), "memory")
        equal(setting(one.pid, "memory", "memory.soft_limit_in_bytes", "memory.low"), str(32 << 20), "memory reservation")
        path, version = group(one.pid, "memory")
        if version == 2:
            equal(setting(one.pid, "memory", "", "memory.swap.max"), str(64 << 20), "swap")
        elif os.path.exists(path + "/memory.memsw.limit_in_bytes"):
            equal(setting(one.pid, "memory", "memory.memsw.limit_in_bytes", ""), str(128 << 20), "memory and swap")
        _, version = group(one.pid, "cpu")
        if version == 2:
            equal(setting(one.pid, "cpu", "", "cpu.max"), "50000 100000", "cpus")
        else:
            equal(setting(one.pid, "cpu", "cpu.cfs_quota_us", ""), "50000", "quota")
            equal(setting(one.pid, "cpu", "cpu.cfs_period_us", ""), "100000", "period")
            equal(setting(one.pid, "cpu", "cpu.shares", ""), "512", "shares")
        equal(setting(one.pid, "cpuset", "cpuset.cpus", "cpuset.cpus"), "0", "cpuset")
        equal(setting(one.pid, "pids", "pids.max", "pids.max"), "50", "pids")
        equal(open("/proc/%d/oom_score_adj" % one.pid).read(), "321\n", "oom_score_adj")
        limits = open("/proc/%d/limits" % one.pid).read()
        check(re.search(r"Max open files +100 +200 ", limits), limits)
        path = group(one.pid, "pids")[0]
        check(one.pid in cgroup_pids(path), "its init is not in the group that was looked at")
        parent = "/system.slice/docker-" if by_systemd() else "/%s/" % cgroup_parent()
        check(parent in path, "the group is not below the parent that the engine was told: %s" % path)
        # Each hierarchy has the group, also systemd's own, which would otherwise count the container among the engine's processes.
        with open("/proc/%d/cgroup" % one.pid) as file:
            groups = file.read()
        check(all(one.inspect("Id") in line for line in groups.splitlines()), "groups of its init:\n" + groups)
        equal(one.shell("cat /proc/self/cgroup").stdout.count(one.inspect("Id")), 0 if pure_v2() else groups.count(one.inspect("Id")), "groups of exec")
        # A process of exec is bound by the same groups.
        check(one.shell("for i in $(seq 60); do sleep 5 & done").status != 0, "60 processes of exec under a limit of 50")


def test_update():
    with container("-m 64m --memory-swap 64m --pids-limit 50") as one:
        docker().out("update", "-m", "96m", "--memory-swap", "96m", "--cpus", "0.25", "--pids-limit", "40", "--cpuset-cpus", "0", one.name)
        equal(setting(one.pid, "memory", "memory.limit_in_bytes", "memory.max"), str(96 << 20), "memory")
        equal(setting(one.pid, "cpu", "cpu.cfs_quota_us", "cpu.max").split()[0], "25000", "cpus")
        equal(setting(one.pid, "pids", "pids.max", "pids.max"), "40", "pids")
        equal(setting(one.pid, "cpuset", "cpuset.cpus", "cpuset.cpus"), "0", "cpuset")


def test_pids_limit():
    result = inside("--pids-limit 5", "for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; echo all")
    check(result.status != 0 and "all" not in result.stdout, "eight processes under a limit of five: %r" % result)


def test_oom():
    with container("-m 16m --memory-swap 16m", "/bin/sh", "-c", "until test -e /go; do sleep 0.1; done; tail /dev/zero") as one:
        one.exec("touch", "/go", options=["-d"]).check(0)
        equal(one.ended(), 137, "status")
        wait_for(lambda: one.inspect("State.OOMKilled"), "OOMKilled")
    with container("-m 64m") as one:
        docker().out("kill", one.name)
        equal(one.ended(), 137, "status")
        equal(one.inspect("State.OOMKilled"), False, "OOMKilled of one that was just killed")


# ---- confinement -------------------------------------------------------------------------------------------------------

def test_defaults():
    with container() as one:
        status = status_of(one.pid)
        equal(status["Seccomp"], "2", "Seccomp")
        equal(int(status["CapBnd"], 16), 0xa80425fb, "the bounding set of Docker's default")
        equal(int(status["CapEff"], 16), 0xa80425fb, "the effective set")
        for name in ("mnt", "pid", "net", "uts", "ipc"):
            check(os.readlink("/proc/%d/ns/%s" % (one.pid, name)) != os.readlink("/proc/self/ns/" + name), "no %s namespace of its own" % name)
        equal(one.shell("cat /proc/keys").stdout, "", "a masked file")
        contains(one.shell("echo x >/proc/sys/kernel/hostname").stderr, "Read-only file system")
        check(one.shell("mount -t tmpfs none /mnt").status != 0, "mount without the capability")
        check(one.shell("mknod /tmp/x b 254 1 && cat /tmp/x").status != 0, "a device of the host")


def test_privileged():
    with container("--privileged") as one:
        status = status_of(one.pid)
        equal(status["Seccomp"], "0", "Seccomp")
        _has_all(int(status["CapEff"], 16))
        one.shell("mount -t tmpfs none /mnt && touch /mnt/x").check(0)
        one.shell("echo named >/proc/sys/kernel/hostname && hostname").check(0, "named\n")
        inside_devices = set(one.shell("ls /dev").stdout.split())
        check({"full", "kmsg"} <= inside_devices, "devices of the host are missing: %s" % sorted(inside_devices))


def test_capabilities():
    inside("--cap-drop ALL --cap-add NET_ADMIN --cap-add CHOWN", "grep CapEff /proc/self/status").check(0, "CapEff:\t0000000000001001\n")
    inside("-u 1000 --cap-add NET_ADMIN", "grep -E 'Cap(Eff|Bnd)' /proc/self/status").check(0, "CapEff:\t0000000000000000\nCapBnd:\t00000000a80435fb\n")


def test_read_only():
    with container("--read-only --tmpfs /scratch:size=1m -v /vol") as one:
        result = one.shell("echo x >/file")
        check(result.status != 0 and "Read-only file system" in result.stderr, repr(result))
        one.shell("echo x >/scratch/file && echo x >/vol/file && echo x >/dev/shm/file").check(0)
        check(one.shell("dd if=/dev/zero of=/scratch/big bs=1M count=2").status != 0, "the size of the tmpfs is no limit")


def test_device():
    with container("--device /dev/zero:/dev/nought:r --device /dev/full") as one:
        equal(one.shell("head -c 3 /dev/nought | wc -c").stdout.strip(), "3", "bytes that were read")
        major_minor = os.stat("/dev/zero").st_rdev
        inside_dev = os.stat("/proc/%d/root/dev/nought" % one.pid)
        equal(inside_dev.st_rdev, major_minor, "the device's number")
        check("No space left" in one.shell("echo x >/dev/full").stderr, "/dev/full is not /dev/full")
    # One that is not among the default rules: only reading is granted.
    with container("--device /dev/kmsg:/dev/kmsg:r --cap-add SYSLOG") as one:
        one.shell("exec 3</dev/kmsg").check(0)
        result = one.shell("exec 3>/dev/kmsg")
        check(result.status != 0 and "not permitted" in result.stderr, "a device that was given for reading can be written: %r" % result)
    with container("--cap-add SYSLOG") as one:
        result = one.shell("mknod /tmp/kmsg c 1 11 && exec 3</tmp/kmsg")
        check(result.status != 0 and "not permitted" in result.stderr, "a device that was not given: %r" % result)


def test_seccomp_file():
    profile = os.path.join(tmp(), "profile.json")
    with open(profile, "w") as file:
        json.dump({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95},
            {"names": ["uname"], "action": "SCMP_ACT_ERRNO"}]}, file)
    with container(["--security-opt", "seccomp=" + profile]) as one:
        result = one.exec("mkdir", "/tmp/x")
        check(result.status == 1 and "not supported" in result.stderr, "mkdir under a filter that denies it: %r" % result)
        check(one.exec("uname", "-s").stdout != "Linux\n", "uname under a filter that denies it")
        one.exec("touch", "/tmp/y").check(0)
    inside("--security-opt seccomp=unconfined", "grep ^Seccomp: /proc/self/status; mkdir /tmp/x").check(0, "Seccomp:\t0\n")
    inside("", "unshare -r true").check(1)


def test_no_new_privileges():
    inside("--security-opt no-new-privileges", "grep NoNewPrivs /proc/self/status").check(0, "NoNewPrivs:\t1\n")
    script = "cp /bin/bash /tmp/suid && chmod 4755 /tmp/suid && su user -c '/tmp/suid -pc \"echo \\$EUID\"'"
    inside("", script).check(0, "0\n")
    inside("--security-opt no-new-privileges", script).check(0, "1000\n")


# ---- files -------------------------------------------------------------------------------------------------------------

def test_volumes():
    directory = tmp("volume")
    open(os.path.join(directory, "file"), "w").close()
    with container(["-v", directory + ":/a", "-v", directory + ":/b:ro", "-v", "named:/c", "--mount", "type=tmpfs,dst=/d,tmpfs-size=1m",
                    "--shm-size", "8m"]) as one:
        one.shell("echo x >/a/new && cat /b/new && echo y >/c/y && echo z >/d/z").check(0, "x\n")
        contains(one.shell("echo x >/b/file").stderr, "Read-only file system")
        contains(one.shell("df -k /dev/shm").stdout, "8192")
        equal(open(os.path.join(directory, "new")).read(), "x\n", "what was written inside")
    docker().out("volume", "rm", "named")
    # propagation: what is mounted on the host later is seen inside
    shared = tmp("shared")
    mount(shared, shared, None, 4096)
    mount("none", shared, None, 1 << 20)
    try:
        os.mkdir(os.path.join(shared, "later"))
        with container(["-v", shared + ":/s:rslave"]) as one:
            mount("tmpfs", os.path.join(shared, "later"), "tmpfs")
            try:
                open(os.path.join(shared, "later/seen"), "w").close()
                one.shell("ls /s/later").check(0, "seen\n")
            finally:
                umount(os.path.join(shared, "later"))
    finally:
        umount(shared, MNT_DETACH)


def test_copy_and_diff():
    with container() as one:
        one.shell("echo inside >/root/file").check(0)
        docker().out("cp", one.name + ":/root/file", os.path.join(tmp(), "file"))
        equal(open(os.path.join(tmp(), "file")).read(), "inside\n")
        docker().out("cp", os.path.join(tmp(), "file"), one.name + ":/root/again")
        one.exec("cat", "/root/again").check(0, "inside\n")
        contains(docker().out("diff", one.name), "A /root/again")


# ---- namespaces and network --------------------------------------------------------------------------------------------

def test_shared_namespaces():
    def namespace(pid, name):
        return os.readlink("/proc/%s/ns/%s" % (pid, name))
    with container("--ipc shareable") as one:
        with container("--net container:%s --ipc container:%s --pid container:%s" % ((one.name,) * 3)) as two:
            for name in ("net", "ipc", "pid"):
                equal(namespace(two.pid, name), namespace(one.pid, name), name)
            for name in ("mnt", "uts"):
                check(namespace(two.pid, name) != namespace(one.pid, name), name + " is shared")
            contains(two.shell("ps").stdout, "sleep 1000")
    with container("--net host --pid host --uts host --ipc host") as one:
        for name in ("net", "ipc", "pid", "uts"):
            equal(namespace(one.pid, name), namespace("self", name), name)


def _answers(port):
    def get():
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d/" % port, timeout=2) as reply:
                return reply.read().decode()
        except (OSError, ValueError):
            return None
    return wait_for(get, "an answer on port %d" % port, timeout=10)


SERVE = "mkdir -p /www && echo %s >/www/index.html && exec httpd -f -p 80 -h /www"


def test_ports():
    """Two containers, each with its own port 80."""
    with container("-p 127.0.0.1:8081:80", "/bin/sh", "-c", SERVE % "first") as one:
        with container("-p 8082:80", "/bin/sh", "-c", SERVE % "second") as two:
            equal(_answers(8081), "first\n")
            equal(_answers(8082), "second\n")
            check(one.inspect("NetworkSettings.IPAddress") != two.inspect("NetworkSettings.IPAddress"), "the same address")
            contains(one.shell("ip addr show eth0").stdout, one.inspect("NetworkSettings.IPAddress"))


def test_no_talk_between_containers():
    """--icc=false; on a network of the user's own they talk."""
    def reach(options):
        with container(options, "/bin/sh", "-c", SERVE % "there") as server:
            networks = server.inspect("NetworkSettings.Networks")
            address = next(iter(networks.values()))["IPAddress"]
            with container(options) as client:
                # The server answers its own namespace, so that silence is the network's doing.
                wait_for(lambda: server.exec("wget", "-q", "-O", "-", "http://127.0.0.1/").status == 0, "it serves")
                return client.shell(r"printf 'GET / HTTP/1.0\r\n\r\n' | nc -w 2 %s 80" % address).stdout
    check("there" not in reach(""), "containers on the default bridge reach each other under --icc=false")
    docker().out("network", "create", "own")
    try:
        contains(reach("--net own"), "there")
    finally:
        docker().out("network", "rm", "own")


def test_sysctl():
    inside("--sysctl net.ipv4.ip_forward=0 --sysctl kernel.msgmax=4096", "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax").check(0, "0\n4096\n")
    # The runtime's own message reaches the client.
    result = once("--sysctl kernel.shm_rmid_forced=what", "true")
    check(result.status != 0 and "shm_rmid_forced" in result.stderr, repr(result))


# ---- images ------------------------------------------------------------------------------------------------------------

@test(timeout=120)
def test_build():
    context = tmp("context")
    with open(os.path.join(context, "Dockerfile"), "w") as file:
        file.write("FROM busybox\n"
                   "RUN echo app:x:1969:1969::/:/bin/sh >>/etc/passwd && mkdir /app && chown 1969 /app\n"
                   "USER 1969\n"
                   "RUN id -u >/app/who\n"
                   "ENV KEY=value\n"
                   "WORKDIR /app\n"
                   "COPY Dockerfile /app/\n"
                   "HEALTHCHECK NONE\n"
                   'CMD ["sleep", "1000"]\n')
    docker().out("build", "-t", "built", context, timeout=60)
    try:
        with container("", "sleep", "1000", image="built") as one:
            equal(status_of(one.pid)["Uid"].split(), ["1969"] * 4, "user ids on the host")
            one.shell("cat who; id -u; echo $KEY $PWD; ls -n /app/who").check(0)
            equal(one.shell("cat who; id -u; echo $KEY $PWD").stdout, "1969\n1969\nvalue /app\n")
            equal(os.stat("/proc/%d/root/app/who" % one.pid).st_uid, 1969, "owner on the host of what RUN wrote")
    finally:
        docker()("rmi", "built")


def test_build_that_fails():
    context = tmp("context")
    with open(os.path.join(context, "Dockerfile"), "w") as file:
        file.write("FROM busybox\nRUN exit 17\n")
    result = docker()("build", "--force-rm", context)
    check(result.status != 0 and "non-zero code: 17" in result.stderr, repr(result))


# ---- Docker in Docker --------------------------------------------------------------------------------------------------

INNER = r"""
set -e
mkdir -p /tmp/d /run
cat >/tmp/daemon.json <<END
{"runtimes": {"nsrun": {"path": "%(runtime)s"}}, "default-runtime": "nsrun", "exec-root": "/run/inner", "cgroup-parent": "/inner",
 "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 1024, "Hard": 2048}}}
END
dockerd --config-file /tmp/daemon.json >/tmp/log 2>&1 &
for i in $(seq 200); do docker version >/dev/null 2>&1 && break; sleep 0.1; done
docker import /image.tar inner >/dev/null || { tail -n 40 /tmp/log; exit 1; }
docker run -d --name one --memory 64m inner sleep 1000 >/tmp/id
%(runtime)s --root /run/inner/runtime-%(name)s/moby state $(cat /tmp/id)
docker exec one hostname
docker run --rm -p 80:80 inner id -u
docker rm -f one
kill %%1
wait %%1
echo the end
"""


@test(timeout=120)
def test_docker_in_docker():
    tree = tmp("outer-image")
    for name in ("bin", "sbin", "lib", "lib64"):
        os.symlink("usr/" + name, os.path.join(tree, name))
    for name in ("usr", "etc", "tmp", "proc", "sys", "dev", "run", "root", "var", "var/lib"):
        os.mkdir(os.path.join(tree, name))
    os.symlink("/run", os.path.join(tree, "var/run"))
    for name in ("passwd", "group", "nsswitch.conf", "protocols", "services"):
        if os.path.exists("/etc/" + name):
            shutil.copy("/etc/" + name, os.path.join(tree, "etc", name))
    shutil.copytree("/etc/alternatives", os.path.join(tree, "etc/alternatives"), symlinks=True)  # iptables is one
    os.symlink("busybox.tar", os.path.join(tree, "root/none"))
    archive = os.path.join(tmp(), "outer.tar")
    run(["tar", "-C", tree, "-cf", archive, "."]).check(0)
    docker()("import", archive, "outer").check(0)
    script = INNER % {"runtime": runtime(), "name": docker().runtime_name()}
    program = os.path.dirname(runtime())
    options = ["--privileged", "-v", "/usr:/usr:ro", "-v", "/var/lib/docker", "-v", "/run", "-v", busybox_tar() + ":/image.tar:ro", "-e", "DOCKER_BUILDKIT=0"]
    if not runtime().startswith("/usr/"):
        options += ["-v", "%s:%s:ro" % (program, program)]
    try:
        result = once(options, "/bin/bash", "-c", script, image="outer", timeout=90)
        result.check(0)
        check(re.search(r'"status": ?"running"', result.stdout), "the inner daemon's container is not the runtime's: %r" % result)
        contains(result.stdout, "\n0\n")
        contains(result.stdout, "the end")
    finally:
        docker()("rmi", "outer")


# ---- the end -----------------------------------------------------------------------------------------------------------

@test(timeout=90)
def test_nothing_is_left():
    daemon = docker()
    equal(daemon.out("ps", "-aq"), "", "containers that stayed")
    daemon.stop()
    daemon.clean()


if __name__ == "__main__":
    main()
