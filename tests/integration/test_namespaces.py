# SPDX-License-Identifier: Apache-2.0
# tests/run: long
"""--pid, --ipc, --uts, --cgroupns, --time, --network and --time-offset: what is seen inside and outside, who may, and what
attackers find."""
import contextlib
import ctypes
import os
import re
import signal
import socket
import subprocess
import time

from harness import *
from helper import *

HOST = {name: os.readlink("/proc/self/ns/" + name) for name in ("pid", "net", "ipc", "uts", "cgroup", "time", "mnt", "user")}
OPTIONS = {"pid": "--pid", "net": "--network", "ipc": "--ipc", "uts": "--uts", "cgroup": "--cgroupns", "time": "--time"}


def own_tree(who):
    return tree(owner="%d:%d" % (who.uid, who.gid))


CALLERS = {
    "root-dummy": lambda: (None, ["--userns-remap", dummy().name], tree()),
    "root-auto": lambda: (None, [], tree(owner=None, private=True)),
    "root-host": lambda: (None, ["--userns=host"], tree(owner=None, private=True)),
    "ranges": lambda: (ranger(), [], own_tree(ranger())),
    "single": lambda: (single(), [], own_tree(single())),
}


def launch(kind, options, *command, **how):
    who, first, rootfs_ = CALLERS[kind]()
    return nsrun(first + list(options) + [rootfs_] + list(command), user=who, **how)


def sh(kind, options, script, **how):
    return launch(kind, options, "/bin/sh", "-c", script, **how)


class Running:
    """A container in the background that printed "up". Its processes on the host: descendants."""

    def __init__(self, kind, options=(), command=("/bin/sh", "-c", "echo up; exec sleep 60")):
        who, first, rootfs_ = CALLERS[kind]()
        self.who = who
        self.process = subprocess.Popen([binary()] + first + list(options) + [rootfs_] + list(command),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=environment(who), cwd=base(), **run_as(who))

    def __enter__(self):
        line = self.process.stdout.readline().decode()
        if "up" not in line:
            fail("%r: %s" % (line, self.process.stderr.read().decode()))
        self.name = None
        return self

    def init(self):
        """The host's pid of its first process."""
        return [pid for pid in descendants(self.process.pid) if alive(pid)][0]

    def id(self):
        return wait_for(lambda: open("/proc/%d/cgroup" % self.init()).read().rstrip().rsplit("/", 1)[-1], "the cgroup")

    def __exit__(self, *_):
        # Process 1 takes no SIGTERM, and without one everything is a process of nsrun's.
        for pid in descendants(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()
        nsrun(["gc"], user=self.who)


def links(text):
    return dict(line.split() for line in text.splitlines() if re.match(r"\w+ \w+:\[\d+\]$", line))


SHOW = "for n in pid net ipc uts cgroup time mnt user; do echo $n $(readlink /proc/self/ns/$n); done"


# ---- the host's -----------------------------------------------------------------------------------------------------

@generate(root=True)
def host_and_private():
    """Each option alone: that namespace is the host's and no other is; `private` says the default."""
    for kind in CALLERS:
        for name, option in OPTIONS.items():
            def case(kind=kind, name=name, option=option):
                before = leftovers()
                for word in ("host", "private"):
                    got = links(sh(kind, [option, word], SHOW).check(0).stdout)
                    for other in OPTIONS:
                        shared = got[other] == HOST[other]
                        wanted = (word == "host") if other == name else other == "time"
                        equal(shared, wanted, "%s is the host's, with %s %s" % (other, option, word))
                    check(got["mnt"] != HOST["mnt"], "the mount namespace is the host's")
                assert_clean(before)
            yield "%s, %s" % (kind, name), case


@generate(root=True)
def everything_at_once():
    """The known restrictions of others, lifted: all of the host's, under remapping, also with --read-only."""
    every = ["%s=host" % option for option in OPTIONS.values()]
    for kind in CALLERS:
        for extra in ([], ["--read-only"], ["--init"], ["--read-only", "--init", "--ephemeral"]):
            def case(kind=kind, extra=extra):
                before = leftovers()
                result = sh(kind, every + extra, SHOW + "; hostname; cat /proc/sys/kernel/ostype; id -u; echo x > /probe-write && echo WROTE")
                got = links(result.stdout)
                for name in OPTIONS:
                    equal(got[name], HOST[name], name)
                contains(result.stdout, socket.gethostname(), "host name")
                contains(result.stdout, "Linux", "procfs")
                writes = "--read-only" not in extra
                equal("WROTE" in result.stdout, writes, "the rootfs was written: %r" % result)
                if writes and "--ephemeral" not in extra:
                    sh(kind, [], "rm /probe-write").check(0)
                assert_clean(before)
            yield "%s %s" % (kind, " ".join(extra)), case


@generate(root=True)
def host_pid_shows_and_hides():
    """The host's processes are seen; masks and read-only paths lie on that procfs, too, and nothing of it can be written."""
    for kind in CALLERS:
        def case(kind=kind):
            script = ("test -d /proc/%d && echo SEEN; echo self=$$; " % os.getpid() +
                      "for f in /proc/sys/kernel/domainname /proc/sys/vm/swappiness /proc/sysrq-trigger /proc/irq/default_smp_affinity "
                      "/proc/pressure/memory; do test -e $f || continue; (: >> $f) 2>/dev/null && echo WROTE $f; done; "
                      "for f in /proc/kcore /proc/keys /proc/timer_list /proc/interrupts; do test -e $f && wc -c < $f; done; ls /proc/acpi /sys/firmware; "
                      "mount -o remount,rw /proc/sys && echo REMOUNTED; umount /proc/sys && echo UNMOUNTED; true")
            result = sh(kind, ["--pid=host"], script, input="").check(0)
            contains(result.stdout, "SEEN", "stdout")
            check(int(re.search(r"self=(\d+)", result.stdout).group(1)) > 1, "it is PID 1")
            for word in ("WROTE", "REMOUNTED", "UNMOUNTED"):
                check(word not in result.stdout, "%s: %r" % (word, result))
            equal(set(re.findall(r"^\d+$", result.stdout, re.M)), {"0"}, "bytes of masked files: %r" % result)
        yield kind, case


@generate(root=True)
def sysctls_beside_host_pid():
    """What its own namespaces cover is set, whoever made the procfs; what is the host's is refused."""
    for kind in CALLERS:
        def case(kind=kind):
            before = [open("/proc/sys/" + path).read() for path in ("net/ipv4/ip_default_ttl", "kernel/shm_rmid_forced")]
            result = sh(kind, ["--pid=host", "--sysctl=net.ipv4.ip_default_ttl=77", "--sysctl=kernel.shm_rmid_forced=1"],
                        "cat /proc/sys/net/ipv4/ip_default_ttl /proc/sys/kernel/shm_rmid_forced; (echo 5 > /proc/sys/net/ipv4/ip_default_ttl) && echo WROTE")
            equal(result.stdout, "77\n1\n", "parameters inside: %r" % result)
            after = [open("/proc/sys/" + path).read() for path in ("net/ipv4/ip_default_ttl", "kernel/shm_rmid_forced")]
            equal(after, before, "the host's")
            for option, word in (("network", "net.ipv4.ip_forward=1"), ("ipc", "kernel.shm_rmid_forced=1")):
                refused(sh(kind, ["--%s=host" % option, "--sysctl=" + word], "true"), "sysctl-namespace")
        yield kind, case


@generate(root=True)
def procfs_of_the_host_without_its_masks():
    """A container that may unmount the masks: behind them the kernel still asks for the host's root."""
    def case():
        script = ("umount /proc/sys; umount /proc/kcore; umount /proc/keys; umount /proc/sysrq-trigger; "
                  "grep -c ' /proc/sys ' /proc/self/mountinfo; "
                  "for f in /proc/sys/kernel/core_pattern /proc/sys/vm/swappiness /proc/sys/kernel/hostname /proc/sysrq-trigger "
                  "/proc/1/oom_score_adj /proc/sys/fs/file-max; do (: >> $f) && echo WROTE $f; done; "
                  "head -c1 /proc/kcore | wc -c; ls /proc/1/root/ && echo ROOT; ls /proc/1/fd && echo FDS")
        result = sh("root-dummy", ["--pid=host", "--cap-add=ALL", "--security-opt", "seccomp=unconfined"], script)
        equal(result.stdout.split("\n")[0], "0", "the masks are off: %r" % result)
        for word in ("WROTE", "ROOT", "FDS"):
            check(word not in result.stdout, "%s: %r" % (word, result))
        for kind in ("root-dummy", "root-auto", "ranges", "single"):
            result = sh(kind, ["--pid=host", "--network=host", "--privileged"], script + "; for f in /sys/kernel/uevent_seqnum /sys/module/*/parameters/*; "
                        "do (: >> $f) 2>/dev/null && echo WROTE $f; done; true")
            for word in ("WROTE", "ROOT", "FDS"):
                check(word not in result.stdout, "%s: %r" % (word, result))
    yield "root-dummy", case


@generate(root=True)
def host_pid_attacks():
    """Against a process of the host's root, one of the ids that the container has, and one of the caller."""
    for kind, options in (("root-dummy", []), ("root-auto", []), ("root-dummy", ["--cap-add=ALL", "--security-opt", "seccomp=unconfined"]),
                          ("root-dummy", ["--privileged"]), ("ranges", ["--privileged"]), ("ranges", []), ("single", []), ("ranges", ["--cap-add=ALL", "--security-opt", "seccomp=unconfined"])):
        def case(kind=kind, options=options):
            who = CALLERS[kind]()[0]
            victims = {"root": subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL)}
            if who:
                victims["caller"] = subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL, **run_as(who))
            elif kind == "root-dummy":
                victims["same"] = subprocess.Popen(["setpriv", "--reuid", "100000", "--regid", "100000", "--clear-groups", "sleep", "60"],
                                                   stdin=subprocess.DEVNULL)
            try:
                wait_for(lambda: all(comm(victim.pid) == "sleep" for victim in victims.values()), "the victims")
                for name, victim in victims.items():
                    got = pairs(launch(kind, ["--pid=host"] + options, "/helper", "attack", str(victim.pid)).check(0).stdout)
                    # These go by the uid alone (kill(2), and opening two files): processes of the same id are no strangers.
                    if name != "root":
                        for word in ("kill", "setpriority", "oom_score_adj(write)", "comm(write)"):
                            got.pop(word)
                    equal({word: what for word, what in got.items() if what == "DONE"}, {}, "done to a process of %s" % name)
                    check(len(got) >= 12, "attacks: %r" % got)
                    equal(victim.poll(), None, "the victim's end")
            finally:
                for victim in victims.values():
                    victim.kill()
                    victim.wait()
        yield "%s %s" % (kind, " ".join(options)), case


@generate(root=True)
def attacks_can_succeed():
    """The same program from outside: it would tell."""
    def case():
        victim = subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL)
        try:
            got = pairs(run([helper(), "attack", str(victim.pid)]).check(0).stdout)
        finally:
            victim.kill()
            victim.wait()
        done = {word for word, what in got.items() if what == "DONE"}
        check({"kill", "environ", "maps", "root/", "comm(write)"} <= done, "attacks: %r" % got)
    yield "root", case


@generate(root=True)
def host_network():
    """Its interfaces and sockets are there, in /sys too; none of it can be changed."""
    for kind in ("root-dummy", "root-auto", "ranges", "single"):
        for caps in ([], ["--cap-add=ALL", "--security-opt", "seccomp=unconfined"]):
            def case(kind=kind, caps=caps):
                listener = socket.socket()
                listener.bind(("127.0.0.1", 0))
                listener.listen()
                try:
                    before = open("/sys/class/net/lo/flags").read()
                    result = sh(kind, ["--network=host"] + caps, "ls -x /sys/class/net; /helper net-attack lo; (echo hello | timeout 1 nc 127.0.0.1 %d)"
                                % listener.getsockname()[1])
                    for name in os.listdir("/sys/class/net"):
                        contains(result.stdout, name, "interfaces")
                    got = pairs(result.stdout)
                    equal(got["flags(read)"], "DONE", "reading flags")
                    for word in ("flags", "mtu", "packet", "raw", "ip_forward", "tun"):
                        check(got[word] != "DONE", "%s: %r" % (word, got))
                    equal(open("/sys/class/net/lo/flags").read(), before, "flags of lo")
                    listener.settimeout(2)
                    connection, _ = listener.accept()
                    equal(connection.recv(100), b"hello\n", "what came from inside")
                    connection.close()
                finally:
                    listener.close()
            yield "%s %s" % (kind, " ".join(caps)), case


@test(root=True)
def test_loopback_is_left_alone():
    """In a network namespace that is not the container's own, a loopback that is down stays so."""
    who, first, rootfs_ = CALLERS["root-dummy"]()
    result = run(["unshare", "-n", binary()] + first + ["--network=host", rootfs_, "/bin/cat", "/sys/class/net/lo/flags"])
    equal(result.check(0).stdout, "0x8\n", "flags of lo inside")  # IFF_LOOPBACK without IFF_UP
    result = run(["unshare", "-n", binary()] + first + [rootfs_, "/bin/cat", "/sys/class/net/lo/flags"])
    equal(result.check(0).stdout, "0x9\n", "flags of its own")


@generate(root=True)
def host_ipc():
    """System V and POSIX shared memory and message queues of the host; sysctls are not writable."""
    for kind in CALLERS:
        def case(kind=kind):
            who = CALLERS[kind]()[0]
            path = "/dev/shm/nsrun-test-%d" % os.getpid()
            with open(path, "w") as file:
                file.write("outside\n")
            os.chmod(path, 0o644)
            made = run(["ipcmk", "-M", "4096", "-p", "0666"], user=who).check(0).stdout
            number = made.split()[-1]
            try:
                result = sh(kind, ["--ipc=host"], "cat %s; awk '{print $2}' /proc/sysvipc/shm; (echo 1 > /proc/sys/kernel/shmmax) 2>/dev/null && echo WROTE; "
                            "cp /bin/true /dev/shm/x%d && /dev/shm/x%d; echo exec=$?; rm -f /dev/shm/x%d; true" % ((path,) + (os.getpid(),) * 3))
                contains(result.check(0).stdout, "outside", "/dev/shm")
                check(number in result.stdout.split(), "segment %s: %r" % (number, result))
                check("WROTE" not in result.stdout, "a sysctl was written")
                contains(result.stdout, "exec=126", "programs in /dev/shm")
                private = sh(kind, [], "ls /dev/shm; awk '{print $2}' /proc/sysvipc/shm").check(0).stdout
                check(os.path.basename(path) not in private and number not in private.split(), "without the option: %r" % private)
            finally:
                run(["ipcrm", "-m", number], user=who)
                os.unlink(path)
        yield kind, case


@generate(root=True)
def host_uts():
    for kind in CALLERS:
        def case(kind=kind):
            before = socket.gethostname()
            result = sh(kind, ["--uts=host"], "hostname; hostname changed; true")
            equal(result.check(0).stdout.split("\n")[0], before, "host name inside")
            equal(socket.gethostname(), before, "host name after it")
        yield kind, case


@test(root=True)
def test_cgroupns_host_shows_the_whole_path():
    text = sh("root-dummy", ["--cgroupns=host"], "cat /proc/self/cgroup").check(0).stdout
    check(re.search(r":/.*nsrun/[0-9a-f]{12}$", text, re.M), "groups: %s" % text)
    text = sh("root-dummy", [], "cat /proc/self/cgroup").check(0).stdout
    check("nsrun/" not in text, "groups without it: %s" % text)
    limited = sh("root-dummy", ["--cgroupns=host", "--memory=64m"], "cat /proc/self/cgroup").check(0).stdout
    contains(limited, "nsrun/", "groups with a limit")


# ---- the end, where no PID 1 takes the others with it ------------------------------------------------------------------

MARK = str(10_000_000 + os.getpid())  # seconds that no other process of this host sleeps: other tests run at the same time
STRAY = ("(trap '' HUP TERM; setsid /helper stubborn %s >/dev/null 2>&1 </dev/null &) ; (setsid sleep %s & ) ; sleep 0.2; echo up; " % (MARK, MARK))


def strays():
    """Processes left of it, as the whole host sees them."""
    out = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            text = open("/proc/%s/cmdline" % pid).read()
        except OSError:
            continue
        if text in ("/helper\0stubborn\0%s\0" % MARK, "sleep\0%s\0" % MARK) and alive(int(pid)):
            out.append(int(pid))
    return out


@generate(root=True)
def host_pid_ends_with_the_workload():
    """With or without a group of its own, under --init or not: nothing survives, also of what ignores every signal."""
    for kind in CALLERS:
        for options in ([], ["--init"]):
            def case(kind=kind, options=options):
                before = leftovers()
                result = sh(kind, ["--pid=host"] + options, STRAY + "exit 7")
                equal((result.status, "up" in result.stdout), (7, True), "%r" % result)
                equal(strays(), [], "left")
                assert_clean(before)
            yield "%s %s" % (kind, " ".join(options)), case


@generate(root=True)
def host_pid_ends_with_nsrun():
    """SIGTERM to nsrun goes to the workload; SIGKILL of nsrun ends the workload by its bond, and gc what is left of a group."""
    for kind in CALLERS:
        for options in ([], ["--init"]):
            for number in (signal.SIGTERM, signal.SIGKILL):
                def case(kind=kind, options=options, number=number):
                    with Running(kind, ["--pid=host"] + options, ("/bin/sh", "-c", "echo up; exec sleep 62")) as container:
                        init = container.init()
                        os.kill(container.process.pid, number)
                        container.process.wait()
                        wait_for(lambda: not alive(init), "the end of init")
                        nsrun(["gc"], user=container.who).check(0)
                        wait_for(lambda: not [p for p in descendants() if alive(p)], "the end of the workload")
                yield "%s %s %s" % (kind, " ".join(options), number.name), case


@test(root=True)
def test_reaper_of_a_shared_pid_namespace():
    """--init is no PID 1 there: it reaps as subreaper."""
    result = sh("root-dummy", ["--pid=host", "--init"],
                "(sleep 0.1 & ); (true & ); sleep 0.4; for p in $(ls /proc | grep -E '^[0-9]+$'); do "
                "grep -sq '^PPid:.*\\b'$PPID'$' /proc/$p/status && grep -s '^State' /proc/$p/status; done; true")
    check("Z (zombie)" not in result.check(0).stdout, "zombies: %r" % result)
    comm = sh("root-dummy", ["--pid=host", "--init"], "cat /proc/$PPID/comm").check(0).stdout
    equal(comm, "nsrun-init\n", "its parent")


@test(root=True)
def test_without_any_end_it_is_refused():
    """No PID 1, no group, no user namespace that is its own alone: nothing would end its processes."""
    who = ranger()
    keeper = subprocess.Popen(["unshare", "-Urpf", "--mount-proc", "sleep", "60"], stdin=subprocess.DEVNULL, env=environment(who), **run_as(who))
    try:
        inner = wait_for(lambda: named("sleep", keeper.pid), "sleep")[0]
        refused(nsrun(["--pid=ns:/proc/%d/ns/pid" % inner, own_tree(who), "/bin/true"], user=who), "outlive", "no-delegation")
    finally:
        kill_tree([keeper.pid])
        keeper.wait()


# ---- time ------------------------------------------------------------------------------------------------------------

def clock(name):
    return time.clock_gettime(getattr(time, "CLOCK_" + name.upper()))


@generate(root=True)
def time_offsets():
    """PID 1 is in it from its first instruction, with --init and without; by the vDSO, the system call and /proc/uptime."""
    for kind in CALLERS:
        for init in ([], ["--init"]):
            for pid in ([], ["--pid=host"]):
                def case(kind=kind, init=init, pid=pid):
                    options = ["--time-offset", "monotonic=86400.25", "--time-offset=boottime=-100.5"] + init + pid
                    script = "/helper clocks; cat /proc/uptime; echo one $(readlink /proc/1/ns/time); echo parent $(readlink /proc/$PPID/ns/time); " + SHOW
                    result = sh(kind, options, script)
                    got = {line.split()[0]: [float(word) for word in line.split()[1:]]
                           for line in result.check(0).stdout.splitlines() if line.startswith(("monotonic", "boottime"))}
                    for name, offset in (("monotonic", 86400.25), ("boottime", -100.5), ("monotonic_raw", 86400.25)):
                        for value in got[name]:
                            difference = value - clock(name)
                            check(abs(difference - offset) < 5 * SLOW, "%s is %.2f ahead, wanted %.2f: %r" % (name, difference, offset, result))
                    uptime = [float(line.split()[0]) for line in result.stdout.splitlines() if re.match(r"[\d.]+ [\d.]+$", line)][0]
                    check(abs(uptime - clock("boottime") + 100.5) < 5 * SLOW, "/proc/uptime %.2f" % uptime)
                    namespace = links(result.stdout)["time"]
                    check(namespace != HOST["time"], "the time namespace is the host's")
                yield "%s %s" % (kind, " ".join(init + pid)), case


@generate(root=True)
def time_of_pid_1():
    """As the host sees it, of init and of the workload."""
    for options in (["--time=private"], ["--time=private", "--init"], ["--time-offset=boottime=7", "--init", "--pid=host"]):
        def case(options=options):
            with Running("root-dummy", options) as container:
                processes = [pid for pid in descendants(container.process.pid) if alive(pid)]
                seen = {os.readlink("/proc/%d/ns/%s" % (pid, name)) for pid in processes for name in ("time", "time_for_children")}
                equal(len(seen), 1, "time namespaces of %r: %r" % (describe(processes), seen))
                check(HOST["time"] not in seen, "it is the host's")
                with open("/proc/%d/ns/user" % processes[0]) as user_, open("/proc/%d/ns/time" % processes[0]) as time_:
                    owner = ctypes.CDLL(None, use_errno=True).ioctl(time_.fileno(), 0xb701)
                    equal(os.fstat(owner).st_ino, os.fstat(user_.fileno()).st_ino, "who owns it")
                    os.close(owner)
        yield " ".join(options), case


@generate
def time_refusals():
    for options, words in ((["--time=host", "--time-offset=boottime=5"], ["contradicts --time host"]),
                           (["--time-offset=boottime=-99999999999"], ["negative"]),
                           (["--time-offset=boottime=99999999999"], ["clocks end"]),
                           (["--time-offset=boottime=1.5.5"], ["nine digits"]),
                           (["--time-offset=boottime=1", "--time-offset=boottime=2"], ["already"]),
                           (["--time-offset=realtime=1"], ["monotonic="])):
        yield " ".join(options), lambda options=options, words=words: refused(nsrun(options + ["/"]), *words)


# ---- joined ------------------------------------------------------------------------------------------------------------

@generate(root=True)
def join_by_path():
    """Root, remapped and not: each kind of another process, by the file."""
    for kind in ("root-dummy", "root-auto", "root-host"):
        for name, option in OPTIONS.items():
            for extra in ([], ["--init"], ["--read-only"]):
                def case(kind=kind, name=name, option=option, extra=extra):
                    before = leftovers()
                    flags = {"pid": ["--pid", "--fork"], "net": ["-n"], "ipc": ["-i"], "uts": ["-u"], "cgroup": ["-C"], "time": ["-T", "--boottime", "5000", "--fork"]}[name]
                    keeper = subprocess.Popen(["unshare"] + flags + ["sleep", "63"], stdin=subprocess.DEVNULL)
                    try:
                        inner = wait_for(lambda: [pid for pid in [keeper.pid] + descendants(keeper.pid)
                                                  if open("/proc/%d/comm" % pid).read() == "sleep\n"], "sleep")[0]
                        theirs = os.readlink("/proc/%d/ns/%s" % (inner, name))
                        check(theirs != HOST[name], "unshare did not")
                        result = sh(kind, ["%s=ns:/proc/%d/ns/%s" % (option, inner, name)] + extra,
                                    SHOW + "; echo pid $$; cat /proc/uptime /proc/1/comm; ls /sys/class/net; ls /dev/mqueue; (echo 1 > /proc/sys/kernel/domainname) && echo WROTE")
                        equal(links(result.stdout).get(name), theirs, "%r" % result)
                        check("WROTE" not in result.stdout, "a sysctl was written")
                        if name == "pid":
                            contains(result.stdout, "sleep", "comm of PID 1")
                        if name == "net":
                            equal([word for word in result.stdout.split() if word in os.listdir("/sys/class/net") and word != "lo"], [], "interfaces")
                        if name == "time":
                            uptime = [float(line.split()[0]) for line in result.stdout.splitlines() if re.match(r"[\d.]+ [\d.]+$", line)][0]
                            check(abs(uptime - clock("boottime") - 5000) < 5 * SLOW, "uptime %.1f" % uptime)
                        equal(keeper.poll(), None, "the end of what was joined")
                    finally:
                        kill_tree([keeper.pid])
                        keeper.wait()
                    assert_clean(before)
                yield "%s, %s %s" % (kind, name, " ".join(extra)), case


@test(root=True)
def test_all_of_one_by_path():
    keeper = subprocess.Popen(["unshare", "-n", "-i", "-u", "-C", "--pid", "-T", "--fork", "sleep", "63"], stdin=subprocess.DEVNULL)
    try:
        inner = wait_for(lambda: named("sleep", keeper.pid), "sleep")[0]
        options = ["%s=ns:/proc/%d/ns/%s" % (option, inner, name) for name, option in OPTIONS.items()]
        got = links(sh("root-dummy", options + ["--read-only"], SHOW).check(0).stdout)
        for name in OPTIONS:
            equal(got[name], os.readlink("/proc/%d/ns/%s" % (inner, name)), name)
    finally:
        kill_tree([keeper.pid])
        keeper.wait()


@generate(root=True)
def user_joins_own():
    """An ordinary user: namespaces of a user namespace of their own, which is joined, too, with its maps."""
    for kind in ("ranges", "single"):
        for names in (["net"], ["ipc"], ["uts"], ["time"], ["cgroup"], ["net", "ipc", "uts"]):
            def case(kind=kind, names=names):
                who = CALLERS[kind]()[0]
                before = leftovers()
                keeper = subprocess.Popen(["unshare", "-Ur", "-n", "-i", "-u", "-C", "-T", "--fork", "sleep", "63"], stdin=subprocess.DEVNULL,
                                          env=environment(who), **run_as(who))
                try:
                    inner = wait_for(lambda: named("sleep", keeper.pid), "sleep")[0]
                    options = ["%s=ns:/proc/%d/ns/%s" % (OPTIONS[name], inner, name) for name in names]
                    for extra in ([], ["--init"], ["--time-offset=boottime=9"] if "time" not in names else []):
                        result = sh(kind, options + extra, SHOW + "; cat /proc/self/uid_map; ls /sys/class/net; cat /proc/uptime")
                        got = links(result.check(0).stdout)
                        for name in names + ["user"]:
                            equal(got[name], os.readlink("/proc/%d/ns/%s" % (inner, name)), name)
                        check(re.search(r"^ +0 +%d +1$" % who.uid, result.stdout, re.M), "map: %r" % result)
                    equal(keeper.poll(), None, "the end of what was joined")
                finally:
                    kill_tree([keeper.pid])
                    keeper.wait()
                assert_clean(before)
            yield "%s %s" % (kind, " ".join(names)), case


@generate(root=True)
def user_may_not():
    """What belongs to others, with the reason; nothing is left."""
    for kind in ("ranges", "single"):
        def foreign(kind=kind):
            keeper = subprocess.Popen(["unshare", "-n", "-u", "sleep", "63"], stdin=subprocess.DEVNULL)
            name = "/run/nsrun-test-ns-%d" % os.getpid()
            try:
                wait_for(lambda: os.readlink("/proc/%d/ns/net" % keeper.pid) != HOST["net"], "unshare")
                refused(sh(kind, ["--network=ns:/proc/%d/ns/net" % keeper.pid], "true"), ("Permission denied", "namespace-foreign"))
                with open(name, "w"):
                    pass
                mount("/proc/%d/ns/net" % keeper.pid, name, None, 4096)
                try:
                    refused(sh(kind, ["--network=ns:" + name], "true"), "namespace-foreign", "belongs to the host")
                finally:
                    umount(name)
            finally:
                if os.path.exists(name):
                    os.unlink(name)
                keeper.kill()
                keeper.wait()
        yield kind + " of root", foreign

        def two_owners(kind=kind):
            who = CALLERS[kind]()[0]
            keepers = [subprocess.Popen(["unshare", "-Ur", "-n", "-u", "sleep", "63"], stdin=subprocess.DEVNULL, env=environment(who), **run_as(who))
                       for _ in range(2)]
            try:
                for keeper in keepers:
                    wait_for(lambda: comm(keeper.pid) == "sleep", "sleep")
                refused(sh(kind, ["--network=ns:/proc/%d/ns/net" % keepers[0].pid, "--uts=ns:/proc/%d/ns/uts" % keepers[1].pid], "true"),
                        "another user namespace")
                refused(sh(kind, ["--uid-map=0:%d:1" % who.uid, "--gid-map=0:%d:1" % who.gid, "--uts=ns:/proc/%d/ns/uts" % keepers[0].pid,
                                  "--network=ns:/proc/%d/ns/net" % keepers[1].pid], "true"), "another user namespace")
            finally:
                for keeper in keepers:
                    keeper.kill()
                    keeper.wait()
        yield kind + " of two", two_owners


@generate(root=True)
def bad_paths():
    """A clear error, at once, and nothing left."""
    directory = tmp()
    os.mkfifo(directory + "/fifo")
    with open(directory + "/file", "w"):
        pass
    os.symlink("loop", directory + "/loop")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(directory + "/socket")
    for name, words in (("fifo", ["no namespace"]), ("file", ["no namespace"]), ("", ["no namespace"]), ("missing", ["No such file"]),
                        ("file/below", ["Not a directory"]), ("loop", ["symbolic links"]), ("socket", ["no namespace"])):
        for kind in ("root-dummy", "single"):
            def case(name=name, words=words, kind=kind):
                os.makedirs(directory, exist_ok=True)
                if not os.path.lexists(directory + "/fifo"):
                    os.mkfifo(directory + "/fifo")
                    open(directory + "/file", "w").close()
                    os.symlink("loop", directory + "/loop")
                    again = socket.socket(socket.AF_UNIX)
                    again.bind(directory + "/socket")
                os.chmod(directory, 0o755)
                before = leftovers()
                result = refused(sh(kind, ["--network=ns:%s/%s" % (directory, name)], "true"), "--network", *words)
                check(result.duration < 15 * SLOW, "it took %.1f s" % result.duration)
                assert_clean(before)
            yield "%s %s" % (kind, name), case
    for options, words in ((["--network=ns:/proc/self/ns/uts"], ["uts namespace"]), (["--pid=ns:/proc/1/cmdline"], ["no namespace"]),
                           (["--ipc=ns:relative"], ["absolute"]), (["--pid=container:no-such"], ["no-such"]), (["--pid=none"], ["none of its values"]),
                           (["--network=bridge"], ["planned"]), (["--uts=host", "--hostname=x"], ["contradicts"]),
                           (["--pid=ns:/proc/4194999/ns/pid"], ["No such file"])):
        yield " ".join(options), lambda options=options, words=words: refused(sh("root-dummy", options, "true"), *words)


@test(root=True)
def test_exchange_is_noticed():
    """A path that means another namespace when it is opened than when it was checked."""
    name = "/run/nsrun-test-xc-%d" % os.getpid()
    keepers = [subprocess.Popen(["unshare", "-u", "sleep", "64"], stdin=subprocess.DEVNULL) for _ in range(2)]
    try:
        for keeper in keepers:
            wait_for(lambda: os.readlink("/proc/%d/ns/uts" % keeper.pid) != HOST["uts"], "unshare")
        noticed = joined = 0
        os.symlink("/proc/%d/ns/uts" % keepers[0].pid, name)
        stop = time.monotonic() + 3 * PATIENCE
        swapper = subprocess.Popen(["/bin/sh", "-c", "while :; do ln -sfn /proc/%d/ns/uts %s.n; mv -T %s.n %s; ln -sfn /proc/%d/ns/uts %s.n; mv -T %s.n %s; done"
                                    % (keepers[1].pid, name, name, name, keepers[0].pid, name, name, name)])
        while time.monotonic() < stop and not (noticed and joined):
            result = sh("root-dummy", ["--uts=ns:" + name], "readlink /proc/self/ns/uts")
            if result.status == 0:
                joined += 1
                check(result.stdout.strip() in [os.readlink("/proc/%d/ns/uts" % keeper.pid) for keeper in keepers], "%r" % result)
            else:
                contains(result.stderr, "another uts namespace", "stderr")
                noticed += 1
        swapper.kill()
        swapper.wait()
        check(joined, "it never ran")
    finally:
        for path in (name, name + ".n"):
            if os.path.lexists(path):
                os.unlink(path)
        for keeper in keepers:
            keeper.kill()
            keeper.wait()


# ---- other containers ---------------------------------------------------------------------------------------------------

@generate(root=True)
def join_container():
    """By id: what it has, both ways; also under another remap."""
    for kind, other in (("root-dummy", "root-auto"), ("root-auto", "root-auto"), ("root-host", "root-dummy"), ("root-dummy", "root-host"),
                        ("ranges", "ranges"), ("single", "single")):
        for extra in ([], ["--init"]):
            def case(kind=kind, other=other, extra=extra):
                with Running(other, ["--hostname=first"]) as container:
                    init = container.init()
                    words = ids(container.who)
                    check(len(words) == 1, "containers: %r" % words)
                    for name in ("net", "ipc", "uts", "cgroup", "pid"):
                        if name == "pid" and container.who:
                            continue
                        result = sh(kind, ["%s=container:%s" % (OPTIONS[name], words[0])] + extra, SHOW + "; hostname; ls /proc; ls /sys/class/net")
                        got = links(result.check(0).stdout)
                        equal(got[name], os.readlink("/proc/%d/ns/%s" % (init, name)), name)
                        if name == "uts":
                            contains(result.stdout, "first", "host name")
                        equal(got["user"] == os.readlink("/proc/%d/ns/user" % init), bool(container.who), "the user namespace is joined")
                    equal(alive(init), True, "the other lives")
            yield "%s of %s %s" % (kind, other, " ".join(extra)), case


def ids(who):
    """Ids of the containers that have a state directory of this caller's."""
    out = []
    for root in state_roots():
        for directory, names, _ in os.walk(root):
            out += [name for name in names if re.fullmatch("[0-9a-f]{12}", name)]
    return sorted(set(out))


@test(root=True)
def test_joined_pid_ends():
    """In another container's pid namespace: the end of this one leaves the other alone, and the end of the other ends this one."""
    with Running("root-dummy") as container:
        init, word = container.init(), ids(None)[0]
        result = sh("root-auto", ["--pid=container:" + word], STRAY + "exit 7")
        equal(result.status, 7, "%r" % result)
        equal(strays(), [], "left")
        equal(alive(init), True, "the other lives")
        second = Running("root-auto", ["--pid=container:" + word])
        with second:
            os.kill(init, signal.SIGKILL)
            equal(second.process.wait(5), 137, "status")


@test(root=True)
def test_ended_container_is_refused():
    with Running("root-dummy") as container:
        word = ids(None)[0]
    refused(sh("root-dummy", ["--pid=container:" + word], "true"), word)


if __name__ == "__main__":
    main()
