# SPDX-License-Identifier: Apache-2.0
"""Every option of the table, for root, an ordinary user with ranges and one with a single id: one effect of each, from inside and, where it
can be seen there, from the host. A built option without a line here fails; what is planned says so. Other files go deeper."""
import contextlib
import fcntl
import json
import os
import re
import struct
import subprocess

from harness import *
from helper import install_helper, refused, status_fields, tree
from test_limit_options import disk

HOST_NS = {name: os.readlink("/proc/self/ns/" + name) for name in ("pid", "net", "ipc", "uts", "cgroup", "time", "user")}


class Caller:
    """One kind of caller: what maps its container needs, and the host id of the container's root."""

    def __init__(self, name):
        self.name, self.ordinary = name, name != "root"
        self.who = {"root": None, "ranges": ranger, "single": single}[name]
        self.who = self.who() if self.who else None
        self.options = [] if self.ordinary else ["--userns-remap", dummy().name]
        self.uid, self.gid = (self.who.uid, self.who.gid) if self.ordinary else (100000, 100000)

    def tree(self, **how):
        return install_helper(rootfs(owner="%d:%d" % (self.who.uid, self.who.gid), **how)) if self.ordinary else tree(**how)

    def dir(self, mode=0o755):
        """A directory of the container's root."""
        path = tmp("dir", mode)
        os.chown(path, self.uid, self.gid)
        return path

    def file(self, text):
        path = os.path.join(tmp("file"), "file")
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o644)
        os.chown(path, self.who.uid if self.ordinary else 0, 0)
        return path

    def words(self, options, script, root=None, first=None):
        return [*(self.options if first is None else first), *options, root or self.tree(), "/bin/sh", "-c", script]

    def run(self, options, script="true", root=None, first=None, **how):
        return nsrun(self.words(options, script, root, first), user=self.who, **how)

    def inside(self, options, script, **how):
        return self.run(options, script, **how).check(0).stdout

    def refused(self, options, *words, **how):
        refused(self.run(options, **how), *words)

    def tool(self, *words, **how):
        return nsrun(list(words), user=self.who, **how)

    @contextlib.contextmanager
    def running(self, options, script="", root=None, first=None):
        """The host's pid of its first process, while the workload waits."""
        pidfile = os.path.join(self.dir(), "pid")
        words = self.words(["--pidfile", pidfile, *options], script + "\necho up; read x", root, first)
        with subprocess.Popen([binary(), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=environment(self.who), cwd=base(), **run_as(self.who)) as process:
            line = process.stdout.readline()
            if line != b"up\n":
                fail("%r: %r" % (line, process.communicate()))
            with open(pidfile) as file:
                pid = int(file.read())
            try:
                yield pid
            finally:
                process.communicate(b"end\n", timeout=20)
        equal(process.returncode, 0, "status")

    @contextlib.contextmanager
    def detached(self, options, script):
        name = "every-%s-%d" % (self.name, os.getpid())
        identity = self.run(["-d", "--name", name, *options], script).check(0).stdout.strip()
        try:
            yield name, identity
        finally:
            self.tool("rm", "-f", name)


def read(path):
    with open(path) as file:
        return file.read()


def status(pid):
    return status_fields(read("/proc/%d/status" % pid))


def namespace(pid, name):
    return os.readlink("/proc/%d/ns/%s" % (pid, name))


def extents(pid, which="uid_map"):
    return [tuple(map(int, line.split())) for line in read("/proc/%d/%s" % (pid, which)).splitlines()]


OPTIONS = {}


def option(*names):
    def add(function):
        for name in names:
            OPTIONS[name] = function
        return function
    return add


# ---- identity ----

@option("userns-remap")
def _(c):
    if c.name == "root":
        with c.running([]) as pid:
            equal((extents(pid), status(pid)["Uid"].split()[0]), ([(0, 100000, 65536)], "100000"), "map and uid on the host")
    elif c.name == "ranges":
        with c.running(["--userns-remap", c.who.name], root=rootfs(owner=c.who)) as pid:
            equal(extents(pid), [(0, 300000, 65536)], "map on the host")
        with c.running([]) as pid:
            equal(extents(pid)[:2], [(0, c.uid, 1), (1, 300000, 65536)], "map with nothing said")
        c.refused(["--userns-remap", dummy().name], "dummy", "root")
    else:
        c.refused(["--userns-remap", dummy().name], "dummy", "root")
        c.refused(["--userns-remap", c.who.name], c.who.name, "remedy")


@option("userns")
def _(c):
    if c.ordinary:
        return c.refused(["--userns=host"], "--userns=host", "CAP_SYS_ADMIN", "[cap-not-held]")
    with c.running(["--userns=host"], first=[], root=rootfs(private=True)) as pid:
        equal((namespace(pid, "user"), status(pid)["Uid"].split()[0]), (HOST_NS["user"], "0"), "user namespace and uid")


@option("uid-map", "gid-map")
def _(c):
    wanted = {"root": [(0, 100000, 500)], "ranges": [(0, c.uid, 1), (1, 300000, 10)], "single": [(0, c.uid, 1)]}[c.name]
    groups = {"root": [(0, 100000, 400)], "ranges": [(0, c.gid, 1), (1, 300000, 20)], "single": [(0, c.gid, 1)]}[c.name]
    words = ["--uid-map=%d:%d:%d" % one for one in wanted] + ["--gid-map=%d:%d:%d" % one for one in groups]
    with c.running(words, first=[]) as pid:
        equal((extents(pid), extents(pid, "gid_map")), (wanted, groups), "maps")


@option("trust-rootfs")
def _(c):
    if c.ordinary:
        return c.inside(["--trust-rootfs"], "touch /trusted; rm /trusted")
    root = rootfs(fresh=True)
    c.refused([], "--trust-rootfs", root=root)
    c.inside(["--trust-rootfs"], "touch /trusted", root=root)
    equal(os.stat(root + "/trusted").st_uid, 0, "owner on the host")


# ---- terminal and life ----

@option("interactive")
def _(c):
    equal(c.inside(["-i=false"], "readlink /proc/self/fd/0; cat", input="said"), "/dev/null\n", "without input")
    equal(c.inside(["-i"], "cat", input="said"), "said", "with input")


@option("tty")
def _(c):
    with Pty([binary(), *c.words(["-t"], "tty; stty size")], user=c.who, rows=33, columns=77) as terminal:
        equal(terminal.wait(), 0, "status")
        check(re.search(r"/dev/(pts/0|console)\r\n33 77", terminal.text), "terminal: %r" % terminal.text)
    with Pty([binary(), *c.words(["-t=false"], "readlink /proc/self/fd/0")], user=c.who) as terminal:
        equal(terminal.wait(), 0, "status")


@option("init")
def _(c):
    check(c.inside(["--init"], "echo $$") != "1\n", "the workload is PID 1")
    with c.running(["--init"]) as pid:
        children = [one for one in descendants(pid) if status(one)["Name"] == "sh"]
        equal((status(pid)["Name"] == "sh", len(children)), (False, 1), "the workload is a child of PID 1")
    equal(c.inside([], "echo $$"), "1\n", "without it")


@option("detach", "name", "rm", "log-driver", "log-opt")
def _(c):
    with c.detached(["--log-driver", "file", "--log-opt", "max-size=4k"], "echo out; read x; sleep 60") as (name, identity):
        check(re.fullmatch("[0-9a-f]{12}", identity), "id %r" % identity)
        equal([one["name"] for one in json.loads(c.tool("inspect", name).check(0).stdout)], [name], "name")
        wait_for(lambda: c.tool("logs", name).stdout == "out\n", "the output is in the log")
        refused(c.run(["--name", name]), name, "[name-in-use]")
        c.tool("stop", "-t", "0", name).check(0)
        equal(c.tool("wait", name).check(0).stdout, "137\n", "status")
    with c.detached(["--rm"], "exit 3") as (name, _identity):
        wait_for(lambda: c.tool("inspect", name).status != 0, "--rm removed it")


@option("detach-keys")
def _(c):
    name = "keys-%s-%d" % (c.name, os.getpid())
    with Pty([binary(), *c.words(["-it", "--name", name, "--detach-keys", "ctrl-p,x"], "echo here; exec sleep 60")], user=c.who) as terminal:
        terminal.expect("here")
        terminal.write(b"\x10x")
        equal(terminal.wait(), 0, "status after the keys")
    equal([one["status"] for one in json.loads(c.tool("inspect", name).check(0).stdout)], ["running"], "it goes on")
    c.tool("rm", "-f", name).check(0)


@option("cidfile", "pidfile")
def _(c):
    cid = os.path.join(c.dir(), "cid")
    with c.running(["--cidfile", cid, "--hostname", "filed"]) as pid:  # c.running() stands on --pidfile
        check(namespace(pid, "pid") != HOST_NS["pid"], "the pid names no container")
        check(re.fullmatch("[0-9a-f]{12}", read(cid).strip()), "id %r" % read(cid))
    c.refused(["--cidfile", cid], cid, "is there already")


# ---- process ----

@option("env", "env-file", "workdir", "user", "umask", "group-add")
def _(c):
    env_file = c.file("FROM_FILE=1\nBOTH=file\n")
    equal(c.inside(["-e", "BOTH=said", "--env-file", env_file, "-w", "/tmp"], "echo $FROM_FILE $BOTH; pwd"), "1 said\n/tmp\n", "environment")
    with c.running(["-e", "SEEN=yes", "-w", "/tmp", "--umask", "027"]) as pid:
        check("SEEN=yes" in read("/proc/%d/environ" % pid).split("\0"), "the environment that the host sees")
        equal((os.readlink("/proc/%d/cwd" % pid), status(pid)["Umask"]), ("/tmp", "0027"), "directory and mask")
    if c.name == "single":
        c.refused(["-u", "5"], "5", "[id-not-mapped]")
        return c.refused(["--group-add", "5"], "[setgroups-denied]")
    with c.running(["-u", "5:6", "--group-add", "9"]) as pid:
        first = 100000 if c.name == "root" else 300000 - 1
        equal([status(pid)[key].split()[-1] for key in ("Uid", "Gid")], [str(first + 5), str(first + 6)], "ids on the host")
        equal(set(status(pid)["Groups"].split()), {str(first + 6), str(first + 9)}, "groups on the host")


@option("hostname", "domainname")
def _(c):
    names = "cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname"
    equal(c.inside(["--hostname", "here", "--domainname", "example.org"], names), "here\nexample.org\n", "names inside")
    check(read("/proc/sys/kernel/hostname") != "here\n", "the host's own name was changed")


@option("ulimit")
def _(c):
    with c.running(["--ulimit", "nofile=99:111"]) as pid:
        check(re.search(r"^Max open files +99 +111 ", read("/proc/%d/limits" % pid), re.M), "limits on the host")
    equal(c.inside(["--ulimit", "nofile=99:111"], "ulimit -Sn; ulimit -Hn"), "99\n111\n", "limits inside")


@option("sysctl")
def _(c):
    path = "/proc/sys/net/ipv4/ip_unprivileged_port_start"
    before = read(path)
    equal(c.inside(["--sysctl", "net.ipv4.ip_unprivileged_port_start=77"], "cat " + path), "77\n", "inside")
    equal(read(path), before, "on the host")


@option("entrypoint")
def _(c):
    equal(c.inside(["--entrypoint", "/bin/echo"], "words"), "/bin/sh -c words\n", "output")


@option("stop-signal", "stop-timeout")
def _(c):
    with c.detached(["--stop-signal", "USR1", "--stop-timeout", "30"],
                    "trap 'exit 5' USR1; trap '' TERM; echo up; while :; do read x < /dev/zero & wait $!; done") as (name, _):
        wait_for(lambda: c.tool("logs", name).stdout == "up\n", "the trap is set")
        c.tool("stop", name).check(0)
        equal(c.tool("wait", name).check(0).stdout, "5\n", "status")


@option("image-config")
def _(c):
    path = c.file(json.dumps({"config": {"Env": ["OF_IMAGE=1"], "WorkingDir": "/tmp"}}))
    equal(c.inside(["--image-config", path], "echo $OF_IMAGE; pwd"), "1\n/tmp\n", "of the image")
    equal(c.inside(["--image-config", "none"], "echo $OF_IMAGE; pwd"), "\n/\n", "none")


# ---- files ----

@option("volume", "mount")
def _(c):
    for words in (["-v", "%s:/tmp"], ["--mount", "type=bind,src=%s,dst=/tmp"]):
        path = c.dir()
        c.inside([words[0], words[1] % path], "echo said > /tmp/made")
        made = os.stat(path + "/made")
        equal((read(path + "/made"), made.st_uid, made.st_gid), ("said\n", c.uid, c.gid), "the file on the host")
        read_only = words[1] % path + (":ro" if words[0] == "-v" else ",ro")
        check(c.run([words[0], read_only], "echo > /tmp/other").status not in (0, 125), "a read-only one can be written")
    equal(c.inside(["--mount", "type=tmpfs,dst=/tmp,size=64k"], "df -k /tmp | tail -1 | awk '{print $2}'"), "64\n", "size")


@option("tmpfs", "shm-size")
def _(c):
    size = "df -k %s | tail -1 | awk '{print $2}'"
    equal(c.inside(["--tmpfs", "/tmp:size=128k,mode=700"], size % "/tmp" + "; stat -c %a /tmp; touch /tmp/unseen"), "128\n700\n", "tmpfs")
    check(not os.path.exists(c.tree() + "/tmp/unseen"), "a file of the tmpfs is in the rootfs")
    equal(c.inside(["--shm-size", "256k"], size % "/dev/shm"), "256\n", "shm")


@option("read-only", "ephemeral")
def _(c):
    check(c.run(["--read-only"], "touch /made").status not in (0, 125), "a read-only rootfs can be written")
    with c.running(["--read-only"]) as pid:
        check(any(one.split()[4] == "/" and one.split()[5].startswith("ro") for one in read("/proc/%d/mountinfo" % pid).splitlines()),
              "the mount is not read-only")
    equal(c.inside(["--ephemeral"], "echo said > /made; cat /made"), "said\n", "written inside")
    check(not os.path.exists(c.tree() + "/made"), "the file is in the rootfs")


# ---- limits ----

@option("cgroup-manager")
def _(c):
    equal(c.inside(["--cgroup-manager", "disabled"], "echo ok"), "ok\n", "without a group")
    c.refused(["--cgroup-manager=disabled", "--memory=64m"], "--memory", "cgroup-manager")
    c.refused(["--cgroup-manager=systemd"], "systemd")  # none of the tests' users has one


@option("memory", "pids-limit", "cpus")
def _(c):
    limits = {"--memory": ("64m", str(64 << 20), ("memory.max", "memory.limit_in_bytes")), "--pids-limit": ("55", "55", ("pids.max",)),
              "--cpus": ("0.5", "50000", ("cpu.max", "cpu.cfs_quota_us"))}
    for name, (value, wanted, files) in limits.items():
        if c.ordinary:  # the tests run in a group that is root's: nothing is delegated
            c.refused([name, value], "delegat")
            continue
        before = cgroups()
        with c.running([name, value]) as pid:
            seen = [read(os.path.join(group, file)).split()[0] for group in cgroups() - before for file in files
                    if pid in cgroup_pids(group) and os.path.exists(os.path.join(group, file))]
            check(wanted in seen, "%s on the host: %r" % (name, seen))


@option("memory-reservation", "memory-swap", "cpu-shares", "cpuset-cpus", "cpuset-mems", "hugetlb", "cgroup", "device-read-bps",
        "device-write-bps", "device-read-iops", "device-write-iops", "io-weight")
def _(c):
    with disk() as (path, numbers):
        limits = {  # files of the host, one of which is there, and what it has to say
            "--memory-reservation 32m": ("memory.soft_limit_in_bytes memory.low", str(32 << 20)),
            "--memory 64m --memory-swap 64m": ("memory.memsw.limit_in_bytes memory.swap.max", (str(64 << 20), "0")),
            "--cpu-shares 512": ("cpu.shares cpu.weight", None),
            "--cpuset-cpus 0": ("cpuset.cpus", "0"),
            "--cpuset-mems 0": ("cpuset.mems", "0"),
            "--hugetlb 2m=64m": ("hugetlb.2MB.max hugetlb.2MB.limit_in_bytes", str(64 << 20)),
            "--cgroup cgroup.max.depth=7": ("cgroup.max.depth", "7"),
            "--device-read-bps %s:1m" % path: ("blkio.throttle.read_bps_device io.max", None),
            "--device-write-bps %s:1m" % numbers: ("blkio.throttle.write_bps_device io.max", None),
            "--device-read-iops %s:100" % path: ("blkio.throttle.read_iops_device io.max", None),
            "--device-write-iops %s:100" % numbers: ("blkio.throttle.write_iops_device io.max", None),
            "--io-weight 200": ("blkio.bfq.weight io.weight io.bfq.weight", None),
        }
        for options, (names, wanted) in limits.items():
            options = options.split()
            if c.ordinary:  # nothing is delegated
                c.refused(options, "delegat")
                continue
            if c.run(["--dry-run", *options]).status == 125:  # no io scheduler with weights
                equal(options[0], "--io-weight", "what this host cannot do")
                c.refused(options, "--io-weight")
                continue
            before = cgroups()
            with c.running(options) as pid:
                seen = {os.path.join(group, name): read(os.path.join(group, name)).strip() for group in cgroups() - before
                        for name in names.split() if pid in cgroup_pids(group) and os.path.exists(os.path.join(group, name))}
                if wanted:
                    check(any(value in (wanted if isinstance(wanted, tuple) else (wanted,)) for value in seen.values()), "%s: %r" % (options, seen))
                else:
                    check(any(value not in ("", "1024", "100", "default 100") for value in seen.values()), "%s: %r" % (options, seen))

@option("cgroup-parent")
def _(c):
    name = "nsrun-parent-%d" % os.getpid()
    if c.ordinary:
        c.refused(["--cgroup-parent", name], "delegat")
        return
    try:
        with c.running(["--cgroup-parent", "/" + name]) as pid:
            check("0::/%s/" % name in read("/proc/%d/cgroup" % pid), "group of init: " + read("/proc/%d/cgroup" % pid))
    finally:
        for top in cgroup_mounts():
            if os.path.isdir(os.path.join(top, name)):
                os.rmdir(os.path.join(top, name))


@option("oom-score-adj")
def _(c):
    with c.running(["--oom-score-adj", "800"]) as pid:
        equal(read("/proc/%d/oom_score_adj" % pid), "800\n", "on the host")


# ---- confinement ----

@option("cap-add", "cap-drop")
def _(c):
    def bits(options):
        with c.running(options) as pid:
            own = int(status(pid)["CapBnd"], 16)
        equal(int(c.inside(options, "grep CapBnd /proc/self/status").split()[1], 16), own, "inside and outside")
        return own
    equal(bits(["--cap-drop", "ALL", "--cap-add", "CHOWN"]), 1, "only CAP_CHOWN")
    equal(bits(["--cap-add", "SYS_TIME"]) >> 25 & 1, 1, "CAP_SYS_TIME")
    equal(bits(["--cap-drop", "CHOWN"]) & 1, 0, "CAP_CHOWN")


@option("security-opt")
def _(c):
    for words, privs, filters in (([], "1", "2"), (["no-new-privileges=false"], "0", "2"), (["seccomp=unconfined"], "1", "0"),
                                  (["seccomp=strict"], "1", "2"), (["seccomp=docker"], "1", "2")):
        with c.running([word for one in words for word in ("--security-opt", one)]) as pid:
            equal((status(pid)["NoNewPrivs"], status(pid)["Seccomp"]), (privs, filters), "no_new_privs and filter with %r" % words)
    masked = "cat /proc/timer_list > /dev/null 2>&1; wc -c < /proc/interrupts; cat /helper | wc -c"
    plain = c.inside([], masked).split()
    opened = c.inside(["--security-opt", "systempaths=unconfined"], masked).split()
    hidden = c.inside(["--security-opt", "mask=/helper"], masked).split()
    opened_one = c.inside(["--security-opt", "unmask=/proc/interrupts"], masked).split()
    equal((plain[0], hidden[1]), ("0", "0"), "masked")
    check(plain[1] != "0" and opened[0] != "0" and opened_one[0] != "0", "not masked: %r %r %r" % (plain, opened, opened_one))


@option("masked-path")
def _(c):
    equal(c.inside(["--masked-path", "/etc"], "ls /etc"), "", "inside")
    with c.running(["--masked-path", "/etc"]) as pid:
        check(any(one.split()[4] == "/etc" for one in read("/proc/%d/mountinfo" % pid).splitlines()), "no mount at /etc on the host")


@option("device")
def _(c):
    out = c.inside(["--device", "/dev/fuse:/dev/a/f"], "stat -c %t:%T /dev/a/f; (exec 3<>/dev/a/f) && echo opened")
    equal(out.splitlines(), ["a:e5", "opened"], "inside")
    with c.running(["--device", "/dev/fuse"]) as pid:
        equal(os.stat("/proc/%d/root/dev/fuse" % pid).st_uid, 0 if c.ordinary else c.uid, "owner on the host")


@option("device-cgroup-rule")
def _(c):
    words = ["--device", "/dev/fuse", "--device-cgroup-rule", "c 10:229 rwm", "--device-cgroup-rule", "b 7:* r"]
    if c.ordinary:
        return c.refused(words, "--device-cgroup-rule", "[device-filter]")
    contains(c.run(["--dry-run", *words]).check(0).stdout, "b 7:* r", "the merged rules")
    equal(c.inside(words, "(exec 3<>/dev/fuse) && echo opened"), "opened\n", "inside")


@option("privileged")
def _(c):
    with c.running(["--privileged"]) as pid:
        of = status(pid)
        last = int(read("/proc/sys/kernel/cap_last_cap"))
        equal((int(of["CapEff"], 16), of["Seccomp"], of["NoNewPrivs"]), ((2 << last) - 1, "0", "0"), "capabilities, filter, no_new_privs")
        check(namespace(pid, "user") != HOST_NS["user"], "no user namespace")


@option("pid", "ipc", "uts", "cgroupns", "time", "network")
def _(c):
    for name, kind in {"pid": "pid", "ipc": "ipc", "uts": "uts", "cgroupns": "cgroup", "time": "time", "network": "net"}.items():
        for word in ("host", "private"):
            if (kind, word) == ("pid", "host"):
                listed = c.inside(["--pid=host"], "cat /proc/%d/comm" % os.getpid())
                equal(listed, read("/proc/self/comm"), "a process of the host inside")
            with c.running(["--%s=%s" % (name, word)]) as pid:
                equal(namespace(pid, kind) == HOST_NS[kind], word == "host", "--%s %s: the host's" % (name, word))
    name = "joined-%s-%d" % (c.name, os.getpid())
    with c.running(["--name", name, "--rm", "--time", "private"]) as first:
        for option_, kind in {"ipc": "ipc", "uts": "uts", "network": "net", "time": "time"}.items():
            for word in ("container:" + name, "ns:/proc/%d/ns/%s" % (first, kind)):
                with c.running(["--%s=%s" % (option_, word)]) as pid:
                    equal(namespace(pid, kind), namespace(first, kind), "--%s %s" % (option_, word))


@option("time-offset")
def _(c):
    up = float(c.inside(["--time-offset", "boottime=1000000"], "cat /proc/uptime").split()[0])
    with open("/proc/uptime") as file:
        check(0 <= float(file.read().split()[0]) + 1000000 - up < 60, "uptime inside is %f" % up)


# ---- network ----

@option("dns", "add-host")
def _(c):
    root = c.tree(fresh=True)
    for name in ("resolv.conf", "hosts"):
        with open(root + "/etc/" + name, "w") as file:
            file.write("# of the rootfs\n")
    text = c.inside(["--dns", "192.0.2.53", "--add-host", "db:192.0.2.7"], "cat /etc/resolv.conf /etc/hosts", root=root)
    contains(text, "nameserver 192.0.2.53", "resolv.conf")
    check(re.search(r"^192\.0\.2\.7\s+db$", text, re.M), "hosts: %r" % text)
    equal(read(root + "/etc/hosts"), "# of the rootfs\n", "the rootfs' own")


# ---- looking on ----

@option("trace", "trace-file")
def _(c):
    run_ = c.run(["--trace=json"], "echo out")
    run_.check(0, "out")
    check([json.loads(line) for line in run_.stderr.splitlines()], "no lines of trace")
    path = os.path.join(c.dir(), "trace")
    run_ = c.run(["--trace", "--trace-file", path])
    equal((run_.status, run_.stderr), (0, ""), "status and standard error")
    contains(read(path), "workload.exec", "trace")


@option("tape")
def _(c):
    with open("/dev/null") as null:
        other = c.run(["--tape", str(null.fileno())], popen={"pass_fds": [null.fileno()]})
    size, rows = map(int, re.search(r"of (\d+) bytes, for (\d+) rows", other.stderr).groups())
    page = os.memfd_create("tape", os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(page, size)
        os.pwrite(page, struct.pack("II", size, rows), 0)
        fcntl.fcntl(page, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        c.run(["--tape", str(page)], popen={"pass_fds": [page]}).check(0)
        check(any(os.pread(page, size, 8)), "nothing was written to the page")
    finally:
        os.close(page)


@option("without")
def _(c):
    equal(c.inside(["--without", "hostname.set"], "cat /proc/sys/kernel/hostname").strip(), os.uname().nodename, "host name")


@option("dry-run", "spec")
def _(c):
    before = leftovers()
    contains(c.run(["--dry-run"], "echo ran").check(0).stdout, "workload.exec", "dry run")
    spec = json.loads(c.run(["--spec", "--hostname", "here"], "echo ran").check(0).stdout)
    equal((spec["hostname"], spec["process"]["args"][-1]), ("here", "echo ran"), "spec")
    assert_clean(before)


@option("help", "version")
def _(c):
    contains(c.tool("--help").check(0).stdout, "--userns-remap", "help")
    contains(c.tool("--version").check(0).stdout, "nsrun", "version")


# ---- all of them ----

def table():
    """(name, built?) of each option, and the planned values, from the table's own source."""
    text = read(os.path.join(TOP, "runtime/cli/option_table.c"))
    rows = [(name, word == "BUILT") for word, name in re.findall(r'^\t(BUILT|PLANNED)\(\w+, "([a-z-]+)"', text, re.M)]
    limits = read(os.path.join(TOP, "include/nsrun/cli/limit_option_table.h"))
    rows += [(name, True) for name in re.findall(r'^LIMIT\("([a-z-]+)"', limits, re.M)]
    check(len(rows) > 70, "the table is read wrongly: %r" % rows)
    return rows


@generate(root=True)
def option_by_caller():
    for name, built_ in table():
        if built_:
            check(name in OPTIONS, "no test of --%s" % name)
    for function in dict.fromkeys(OPTIONS.values()):
        names = [name for name, one in OPTIONS.items() if one is function]
        for caller in ("root", "ranges", "single"):
            yield "%s: %s" % (" ".join(names), caller), lambda function=function, caller=caller: function(Caller(caller))


@generate(root=True)
def commands_by_caller():
    """Each command on a container, by each caller; another user's containers are not there."""
    for caller in ("root", "ranges", "single"):
        def all_of(caller=caller):
            c = Caller(caller)
            with c.detached(["-i"], "trap 'exit 4' USR1; echo up; read x; echo $x; while :; do sleep 0.1; done") as (name, identity):
                wait_for(lambda: c.tool("logs", name).stdout == "up\n", "logs")
                contains(c.tool("ls").check(0).stdout, name, "ls")
                pid = json.loads(c.tool("inspect", name).check(0).stdout)[0]["live"]["pid"]
                equal(namespace(pid, "pid") == HOST_NS["pid"], False, "the init that inspect names is a process of the host")
                equal(c.tool("exec", name, "/bin/sh", "-c", "readlink /proc/self/ns/pid; exit 7").check(7).stdout.strip(),
                      namespace(pid, "pid"), "pid namespace of exec")
                check(str(pid) in c.tool("top", name).check(0).stdout.split(), "top does not list %d" % pid)
                for other in (ranger(), single()):
                    if other is not c.who:
                        refused(nsrun(["stop", name], user=other), "[no-container]")
                c.tool("gc").check(0)
                equal(c.tool("exec", name, "/bin/true").check(0).stdout, "", "gc left it alone")
                client = subprocess.Popen([binary(), "attach", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                          env=environment(c.who), cwd=base(), **run_as(c.who))
                client.stdin.write(b"said\n")
                client.stdin.flush()
                wait_for(lambda: "said\n" in c.tool("logs", name).stdout, "attach passes input on")
                c.tool("kill", "-s", "USR1", name).check(0)
                equal(c.tool("wait", name).check(0).stdout, "4\n", "wait")
                equal(client.communicate(timeout=15)[0], b"said\n", "what attach shows")
                equal(client.returncode, 4, "status of attach")
                c.tool("stop", name)
                c.tool("rm", name).check(0)
                refused(c.tool("rm", identity), "[no-container]")
        yield caller, all_of


PLANNED_VALUES = ("--log-driver=journald", "--log-driver=syslog", "--security-opt=apparmor=x", "--security-opt=label=x", "--network=bridge",
                  "--network=pasta")


@generate(root=True)
def planned():
    """Refused with the error that says so, by each caller, and named in the README."""
    readme = read(os.path.join(TOP, "README.md"))
    for caller in ("root", "ranges", "single"):
        def all_of(caller=caller):
            c = Caller(caller)
            for name, built_ in table():
                if not built_:
                    run_ = c.run(["--" + name] if name == "icc" else ["--%s=1" % name])
                    refused(run_, "--" + name, "not built", "[not-built]")
                    check("`--%s`" % name in readme, "the README does not list --%s" % name)
            for words in PLANNED_VALUES:
                refused(c.run([words]), words.split("=")[0], "[not-built]")
                check("`%s`" % words.replace("=x", "=").replace("=", " ", 1) in readme, "the README does not list %s" % words)
        yield caller, all_of


if __name__ == "__main__":
    main()
