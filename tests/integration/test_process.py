# SPDX-License-Identifier: Apache-2.0
# tests/run: long
"""What the workload is and sees: environment files, groups, names, mask, kernel parameters, entry point, its way to end, files of /etc,
and --privileged. Each effect from inside, and from the host where it can be seen there; for root, for an ordinary user with ranges, and for
one with a single id."""
import os
import signal
import subprocess

from harness import *
from helper import helper, install_helper, pairs, refused, remapped, shell, status_fields, tree


def own(who):
    """A rootfs of an ordinary user's own."""
    entry = user(who)
    return install_helper(rootfs(owner="%d:%d" % (entry.uid, entry.gid)))


def callers():
    """(name, who, options, rootfs) of the three kinds of caller."""
    yield "root", None, ["--userns-remap", dummy().name], tree()
    yield "ranges", ranger(), [], own(ranger())
    yield "single", single(), [], own(single())


def for_all(check_one):
    """One test for each kind of caller; check_one(inside, name), where inside(options, script) runs /bin/sh -c SCRIPT."""
    for at, name in enumerate(("root", "ranges", "single")):
        def one(at=at, name=name):
            _, who, base_options, root = list(callers())[at]
            check_one(lambda options, script: nsrun(base_options + list(options) + [root, "/bin/sh", "-c", script], user=who), name)
        yield name, one


def write(name, text, mode=0o644):
    path = os.path.join(tmp(), name)
    with open(path, "wb") as file:
        file.write(text.encode() if isinstance(text, str) else text)
    os.chmod(path, mode)
    return path


# ---- environment ----

@generate
def env_file():
    def one(inside, _):
        first = write("first", "\ufeffA=1\r\n# a comment\n\n  B=two words  \nC='quoted'\nPATH=/bin\nNSRUN_ABSENT\nD=a=b#c\nE=")
        second = write("second", "A=2\n\tF=x\n")
        run = inside(["--env-file", first, "--env-file", second, "-e", "F=y", "-e", "NSRUN_FROM_CALLER"], "env").check()
        got = dict(line.split("=", 1) for line in run.stdout.splitlines())
        for name, value in {"A": "2", "B": "two words  ", "C": "'quoted'", "D": "a=b#c", "E": "", "F": "y", "PATH": "/bin"}.items():
            equal(got.get(name), value, name)
        check("NSRUN_ABSENT" not in got, "a name without a value that the caller does not have: %r" % got)
    yield from for_all(one)


def test_env_file_from_the_caller():
    path = write("env", "NSRUN_FROM_CALLER\n")
    remapped(["--env-file", path], "/bin/sh", "-c", "echo $NSRUN_FROM_CALLER", env={"NSRUN_FROM_CALLER": "yes"}).check(0, "yes")


def test_env_file_from_a_pipe():
    read, write_end = os.pipe()
    os.write(write_end, b"A=from a pipe\n")
    os.close(write_end)
    remapped(["--env-file", "/dev/fd/%d" % read], "/bin/sh", "-c", "echo $A", popen={"pass_fds": [read]}).check(0, "from a pipe")
    os.close(read)


@generate
def env_file_bad():
    for name, content, words in (
            ("equals", "A=1\n=x\n", (":2", "'='")), ("blank", "A=1\n\nA B=1\n", (":3", "blank")), ("nul", b"A=1\nB=\0\n", (":2", "NUL"))):
        yield name, lambda name=name, content=content, words=words: refused(
            remapped(["--env-file", write(name, content)], "/bin/true"), "--env-file", name, *words)
    yield "missing", lambda: refused(remapped(["--env-file", "/nonexistent"], "/bin/true"), "/nonexistent", "No such file")
    yield "directory", lambda: refused(remapped(["--env-file", "/"], "/bin/true"), "directory")
    yield "endless", lambda: refused(remapped(["--env-file", "/dev/zero"], "/bin/true"), "/dev/zero", "larger than")


# ---- groups, names, mask ----

def test_group_add():
    root = tree(fresh=True)
    with open(root + "/etc/group", "a") as file:
        file.write("extra:x:4321:\n")
    def groups(*options):
        run = nsrun(["--userns-remap", dummy().name, *options, root, "/bin/cat", "/proc/self/status"]).check()
        return set(status_fields(run.stdout)["Groups"].split())
    equal(groups("--group-add", "extra", "--group-add", "77"), {"0", "4321", "77"}, "groups of root")
    equal(groups("-u", "1000:1000", "--group-add", "extra"), {"1000", "4321"}, "groups of uid 1000")
    run = nsrun([*["--group-add", "12"], own(ranger()), "/bin/cat", "/proc/self/status"], user=ranger()).check()
    equal(set(status_fields(run.stdout)["Groups"].split()), {"0", "12"}, "groups of a user with ranges")
    # from the host: the ids that the map grants
    with subprocess.Popen([binary(), "--userns-remap", dummy().name, "--group-add", "77", root, "/bin/sleep", "30"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment(), cwd=base()) as process:
        def seen():
            for pid in descendants(process.pid):
                with open("/proc/%d/status" % pid) as file:
                    fields = status_fields(file.read())
                if fields["Name"] == "sleep":
                    return fields["Groups"].split()
            return None
        equal(set(wait_for(seen, "the workload")), {"100000", "100077"}, "groups on the host")
        os.kill(named("sleep", process.pid)[0], signal.SIGKILL)  # process 1 takes no SIGTERM


def test_group_add_bad():
    refused(remapped("--group-add nosuchgroup", "/bin/true"), "nosuchgroup", "/etc/group")
    refused(remapped("--group-add 4294967295", "/bin/true"), "4294967295")
    refused(remapped("--group-add 70000", "/bin/true"), "setgroups", "[id-not-mapped]")
    refused(nsrun(["--group-add", "5", own(single()), "/bin/true"], user=single()), "--group-add", "setgroups", "[setgroups-denied]")


@generate
def domainname():
    def one(inside, _):
        inside(["--domainname", "example.org"], "cat /proc/sys/kernel/domainname").check(0, "example.org")
        inside([], "cat /proc/sys/kernel/domainname").check(0, "(none)")
    yield from for_all(one)


def test_domainname_bad():
    for name in ("x" * 65, "a b", "a/b", "\u00fc"):
        refused(remapped(["--domainname", name], "/bin/true"), "--domainname")


@generate
def umask():
    def one(inside, _):
        inside(["--umask", "077"], "umask; touch /tmp/u; mkdir /tmp/ud; stat -c %a /tmp/u /tmp/ud; rm -r /tmp/u /tmp/ud").check(0, "0077\n600\n700")
        inside(["--umask", "0"], "umask; stat -c %a /dev /dev/pts /dev/shm").check(0, "0000\n755\n755\n1777")
        inside([], "umask").check(0, "0022")
    yield from for_all(one)


def test_umask_bad():
    for text in ("8", "1000", "-1", "rwx", "00000", "0x7"):
        refused(remapped(["--umask", text], "/bin/true"), "--umask", text)


# ---- kernel parameters ----

IPC_SEM = "32000 1024000000 500 32001"


@generate
def sysctl():
    def one(inside, name):
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as file:
            host = file.read()
        run = inside(["--sysctl", "net.ipv4.ip_unprivileged_port_start=0", "--sysctl", "net/ipv4/ping_group_range=0 0"],
                     "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range").check()
        equal(run.stdout.split(), ["0", "0", "0"], "values inside")
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as file:
            equal(file.read(), host, "the host's value")
        inside(["--sysctl", "user.max_net_namespaces=3"], "cat /proc/sys/user/max_net_namespaces").check(0, "3")
        # /proc/sys is read-only for the workload all the same
        check(inside(["--sysctl", "net.ipv4.ip_forward=1"], "echo 0 > /proc/sys/net/ipv4/ip_forward").status != 0, "/proc/sys is writable")
        # those of the ipc namespace are container root's since Linux 6.10 or so; before, the error says whose they are
        run = inside(["--sysctl", "kernel.sem=" + IPC_SEM, "--sysctl", "kernel.shmmni=99", "--sysctl", "fs.mqueue.msg_max=33"],
                     "cat /proc/sys/kernel/sem /proc/sys/kernel/shmmni /proc/sys/fs/mqueue/msg_max")
        if run.status == 125:
            contains(run.stderr, "[sysctl-refused]", "the refusal")
        else:
            equal(run.check().stdout.split(), IPC_SEM.split() + ["99", "33"], "values of the ipc namespace")
    yield from for_all(one)


def test_sysctl_lets_bind():
    """The use of it: a low port without CAP_NET_BIND_SERVICE."""
    script = "nc -l -p 80 127.0.0.1 & sleep 0.2; kill $! 2>/dev/null && echo listening"
    shell(script, "-u 1000:1000 --cap-drop ALL --sysctl net.ipv4.ip_unprivileged_port_start=80").check(0, "listening")
    check("listening" not in shell(script, "-u 1000:1000 --cap-drop ALL --sysctl net.ipv4.ip_unprivileged_port_start=81").stdout,
          "the port could be bound without the parameter")


@generate
def sysctl_bad():
    for text, words in {
            "net.ipv4.ip_forward": ("KEY=VALUE",), "=1": ("KEY=VALUE",), "net=1": ("net",), "net..x=1": ("empty",), "net.=1": ("empty",),
            "net/../kernel/core_pattern=x": ("dots",), "net/./x=1": ("dots",), "/net/ipv4/ip_forward=1": (), "net.ipv4.ip_forward=": ("value",),
            "net.ipv4.ip_forward=1\n2": ("line",), "net.ipv4.ip_forw\u00e4rd=1": ("character",), "net.a b=1": ("character",),
            "kernel.core_pattern=x": ("[sysctl-namespace]", "host"), "vm.swappiness=1": ("[sysctl-namespace]",),
            "kernel.shmmax_x=1": ("[sysctl-namespace]",), "fs.file-max=1": ("[sysctl-namespace]",), "netx.y=1": ("[sysctl-namespace]",),
            "kernel.hostname=x": ("--hostname",), "kernel/domainname=x": ("--domainname",),
            "net.ipv4.nonexistent=1": ("nonexistent", "[sysctl-refused]"), "net.ipv4.ip_forward=banana": ("banana", "Invalid"),
            "net.ipv4.ip_local_port_range=5": (), "net." + "x" * 300 + "=1": ("KEY",), "net.ipv4.ip_forward=" + "1" * 5000: ("value",)}.items():
        yield text[:40].replace("\n", " "), lambda text=text, words=words: refused(remapped(["--sysctl", text], "/bin/true"), "net" if text[0] == "/" else "sys", *words)
    yield "twice", lambda: refused(remapped(["--sysctl", "net.ipv4.ip_forward=1", "--sysctl", "net/ipv4/ip_forward=0"], "/bin/true"), "both")
    # without namespaces of its own there is nothing that would be only the container's
    yield "no-userns", lambda: refused(nsrun(["--userns=host", "--sysctl", "user.max_net_namespaces=3", rootfs(private=True), "/bin/true"]),
                                       "user namespace", "[sysctl-namespace]")


# ---- entry point, end ----

@generate
def entrypoint():
    def one(inside, _):
        run = inside(["--entrypoint", "/bin/echo"], "said")  # argv is /bin/sh -c said
        run.check(0, "/bin/sh -c said")
    yield from for_all(one)


def test_entrypoint_alone():
    remapped("--entrypoint whoami").check(0, "root")
    remapped("--entrypoint nosuchprogram").check(127)


def dry(options, *command, **how):
    run = remapped(["--dry-run", *options], *command, **how).check()
    return dict(line.split(": ", 1) for line in run.stdout.splitlines() if ": " in line)


def test_stop_signal_and_timeout():
    plan = dry(["--stop-signal", "RTMIN+3", "--stop-timeout", "0"], "/bin/true")
    equal((plan["stop.signal"], plan["stop.timeout"], plan["stop.signal.from"]), ("SIGRTMIN+3", "0", "options"), "the plan")
    plan = dry([], "/bin/true")
    equal((plan["stop.signal"], plan["stop.timeout"], plan["stop.signal.from"]), ("SIGTERM", "10", "default"), "the plan")
    for text in ("0", "NOPE", "65", "RTMIN+99", "-1"):
        refused(remapped(["--stop-signal", text], "/bin/true"), "--stop-signal")
    for text in ("-1", "ten", "99999999999"):
        refused(remapped(["--stop-timeout", text], "/bin/true"), "--stop-timeout")


# ---- the kernel's killer ----

@generate
def oom_score():
    def one(inside, _):
        inside(["--oom-score-adj", "700"], "cat /proc/self/oom_score_adj; sh -c 'cat /proc/self/oom_score_adj'").check(0, "700\n700")
        with open("/proc/self/oom_score_adj") as file:
            equal(inside([], "cat /proc/self/oom_score_adj").check().stdout, file.read(), "the caller's own is inherited")
    yield from for_all(one)


def test_oom_score_lower():
    with open("/proc/self/status") as file:
        powerful = int(status_fields(file.read())["CapEff"], 16) >> 24 & 1  # CAP_SYS_RESOURCE
    lower = remapped("--oom-score-adj -900", "/bin/cat", "/proc/self/oom_score_adj")
    if powerful:
        lower.check(0, "-900")
    else:
        refused(lower, "--oom-score-adj -900", "[oom-score-lower]")
    refused(nsrun(["--oom-score-adj", "-900", own(single()), "/bin/true"], user=single()), "--oom-score-adj", "CAP_SYS_RESOURCE")
    refused(nsrun(["--oom-score-adj=-900", own(ranger()), "/bin/true"], user=ranger()), "--oom-score-adj", "CAP_SYS_RESOURCE")
    # root of the host who lacks the capability
    lacking = run(["setpriv", "--bounding-set=-sys_resource", "--inh-caps=-sys_resource", binary(), "--userns-remap", dummy().name,
                           "--oom-score-adj=-1000", rootfs(owner=dummy()), "/bin/true"])
    refused(lacking, "--oom-score-adj -1000", "leaves it this capability", "[oom-score-lower]")
    for text in ("1001", "-1001", "x", "+5", "--5"):
        refused(remapped(["--oom-score-adj=" + text], "/bin/true"), "--oom-score-adj", "[option-value]")


# ---- /etc ----

@generate
def hosts():
    def one(inside, _):
        run = inside(["--hostname", "web", "--add-host", "db:192.0.2.7", "--add-host", "six=[2001:db8::1]", "--add-host", "v6:2001:db8::2"],
                     "cat /etc/hosts; ping -c1 -w1 db >/dev/null 2>&1; ls -A /dev /dev/pts").check()
        for line in ("127.0.0.1\tlocalhost", "192.0.2.7\tdb", "2001:db8::1\tsix", "2001:db8::2\tv6", "127.0.1.1\tweb"):
            contains(run.stdout, line + "\n", "/etc/hosts")
        check("hosts" not in run.stdout.split(), "the file is seen below /dev: %r" % run.stdout)
    yield from for_all(one)


def test_hosts_leave_the_rootfs_alone():
    root = tree(fresh=True)
    before = open(root + "/etc/hosts").read()
    inside = "echo changed >> /etc/hosts && tail -1 /etc/hosts"
    nsrun(["--userns-remap", dummy().name, "--add-host", "db:192.0.2.7", root, "/bin/sh", "-c", inside]).check(0, "changed")
    equal(open(root + "/etc/hosts").read(), before, "the rootfs' own file")
    # --read-only has it, too, and is read-only there as well
    run = nsrun(["--userns-remap", dummy().name, "--read-only", "--add-host", "db:192.0.2.7", root, "/bin/sh", "-c",
                 "grep -c 192.0.2.7 /etc/hosts; echo x >> /etc/hosts"])
    equal((run.stdout, run.status != 0), ("1\n", True), "read-only")
    nsrun(["--userns-remap", dummy().name, "--ephemeral", "--add-host", "db:192.0.2.7", root, "/bin/grep", "-c", "192.0.2.7", "/etc/hosts"]).check(0, "1")


def test_hosts_where_there_are_none():
    """What the rootfs does not have is not made, but for what an option asks for."""
    root = tree(fresh=True)
    for name in ("hosts", "hostname", "resolv.conf"):
        os.remove(root + "/etc/" + name)
    def rows(*options):
        return nsrun(["--userns-remap", dummy().name, "--dry-run", *options, root, "/bin/true"]).check().stdout
    check("etc.mount" not in rows(), "a row for nothing")
    nsrun(["--userns-remap", dummy().name, root, "/bin/ls", "/etc/hosts"]).check(1)
    check(not os.path.exists(root + "/etc/hosts"), "the rootfs was written")
    contains(rows("--add-host", "a:192.0.2.1"), "etc.mount", "rows")
    refused(nsrun(["--userns-remap", dummy().name, "--read-only", "--add-host", "a:192.0.2.1", root, "/bin/true"]), "[mount-point-missing]")
    nsrun(["--userns-remap", dummy().name, "--add-host", "a:192.0.2.1", root, "/bin/grep", "-c", "192.0.2.1", "/etc/hosts"]).check(0, "1")
    equal(os.path.getsize(root + "/etc/hosts"), 0, "the mount point that was asked for")


def test_hosts_links_of_a_hostile_rootfs():
    """A link in the rootfs leads nowhere outside of it: what is missing where it leads is made there, within the rootfs, for who asks for the file."""
    outside = write("canary", "canary\n")
    root = tree(fresh=True)
    for target, exists, status in ((outside, False, 0), ("/../../.." + outside, False, 0), ("../tmp/real", True, 0), ("loop", False, 125)):
        for name in ("hosts", "loop"):
            if os.path.lexists(root + "/etc/" + name):
                os.remove(root + "/etc/" + name)
        os.symlink("hosts", root + "/etc/loop")
        os.symlink(target, root + "/etc/hosts")
        with open(root + "/tmp/real", "w") as file:
            file.write("own\n")
        run = nsrun(["--userns-remap", dummy().name, root, "/bin/sh", "-c", "cat /etc/hosts"])
        if exists:
            contains(run.check().stdout, "localhost", "/etc/hosts by a link")
        else:
            check(run.status == 1 and "canary" not in run.stdout, "%s: %r" % (target, run))
        refusal = nsrun(["--userns-remap", dummy().name, "--add-host", "a:192.0.2.1", root, "/bin/true"])
        equal(refusal.status, status, "--add-host with a link to %s" % target)
        equal(open(outside).read(), "canary\n", "the file outside")
        if outside in target:
            equal(os.path.getsize(root + outside), 0, "the mount point within the rootfs")
            os.remove(root + outside)
    os.remove(root + "/etc/hosts")
    os.mkdir(root + "/etc/hosts")
    nsrun(["--userns-remap", dummy().name, root, "/bin/true"]).check()
    refused(nsrun(["--userns-remap", dummy().name, "--add-host", "a:192.0.2.1", root, "/bin/true"]), "/etc/hosts", "directory")


def test_volume_wins_over_hosts():
    mine = write("mine", "10.0.0.1\tmine\n")
    remapped(["-v", mine + ":/etc/hosts:ro"], "/bin/cat", "/etc/hosts").check(0, "10.0.0.1\tmine")


def test_hostname_file():
    root = tree(fresh=True)
    with open(root + "/etc/hostname", "w") as file:
        file.write("of-the-image\n")
    nsrun(["--userns-remap", dummy().name, "--hostname", "web", root, "/bin/cat", "/etc/hostname"]).check(0, "web")
    equal(open(root + "/etc/hostname").read(), "of-the-image\n", "the rootfs' own file")


def test_dns():
    run = remapped("--dns 192.0.2.53 --dns 2001:db8::53", "/bin/cat", "/etc/resolv.conf").check()
    equal(run.stdout, "nameserver 192.0.2.53\nnameserver 2001:db8::53\n", "/etc/resolv.conf")


@generate(root=True)
def names_of_the_hosts_network():
    """In the host's network its names mean the same: /etc/hosts and /etc/resolv.conf are the host's, as they were at the launch."""
    def one(inside, _):
        old = {name: open("/etc/" + name).read() for name in ("hosts", "resolv.conf")}  # of the private /etc of these tests
        try:
            with open("/etc/hosts", "w") as file:
                file.write("127.0.0.1 localhost\n192.0.2.9 of-the-host")  # no newline at its end
            with open("/etc/resolv.conf", "w") as file:
                file.write("# comment\nnameserver 192.0.2.1\nsearch example.org\n")
            run = inside(["--network", "host"], "cat /etc/hosts; echo ---; cat /etc/resolv.conf")
            hosts, resolv = run.check().stdout.split("---\n")
            check(hosts.startswith("127.0.0.1 localhost\n192.0.2.9 of-the-host\n127.0.1.1\t"), "/etc/hosts: %r" % hosts)
            equal(resolv, "# comment\nnameserver 192.0.2.1\nsearch example.org\n", "/etc/resolv.conf")
            run = inside(["--network", "host", "--dns", "192.0.2.2"], "cat /etc/resolv.conf").check()
            equal(run.stdout, "nameserver 192.0.2.2\n# comment\nsearch example.org\n", "/etc/resolv.conf with --dns")
            os.remove("/etc/resolv.conf")
            inside(["--network", "host"], "true").check()
        finally:
            for name, text in old.items():
                with open("/etc/" + name, "w") as file:
                    file.write(text)
        # without it both are the rootfs' own business
        check("192.0.2.9" not in inside([], "cat /etc/hosts /etc/resolv.conf").stdout, "names of the host in a network of its own")
    yield from for_all(one)


@generate
def etc_bad():
    for options in ("--add-host db", "--add-host :1.2.3.4", "--add-host db:", "--add-host db:1.2.3", "--add-host db:host", "--add-host d/b:1.2.3.4",
                    "--add-host -db:1.2.3.4", "--add-host db:[::1", "--dns x", "--dns 1.2.3.4.5", "--dns ::g",
                    "--dns 192.0.2.1 --dns 192.0.2.2 --dns 192.0.2.3 --dns 192.0.2.4"):
        yield options, lambda options=options: refused(remapped(options, "/bin/true"), options.split()[0])
    yield "newline", lambda: refused(remapped(["--add-host", "db\nx:1.2.3.4"], "/bin/true"), "--add-host")
    yield "host-gateway", lambda: refused(remapped(["--add-host", "db:host-gateway"], "/bin/true"), "host-gateway", "[not-built]")


# ---- --privileged ----

def every_cap():
    with open("/proc/sys/kernel/cap_last_cap") as file:
        return (1 << (int(file.read()) + 1)) - 1


@generate
def privileged():
    def one(inside, name):
        run = inside(["--privileged"], "cat /proc/self/status").check()
        fields = status_fields(run.stdout)
        for set_name in ("CapPrm", "CapEff", "CapBnd"):
            equal(int(fields[set_name], 16), every_cap(), set_name)
        equal((fields["Seccomp"], fields["NoNewPrivs"]), ("0", "0"), "Seccomp, NoNewPrivs")
        # of its own namespaces it is the master
        inside(["--privileged"], "mount -t tmpfs none /mnt && echo 1 >/proc/sys/net/ipv4/ip_forward && unshare -m true && "
               "ip link add dummy0 type dummy 2>/dev/null; ip link set lo down && echo done").check(0, "done")
        # over the host it has no power
        for path in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/sys/vm/drop_caches", "/sys/kernel/uevent_helper",
                     "/sys/power/state"):
            if os.path.exists(path):
                run = inside(["--privileged"], "echo >%s" % path)
                check(run.status != 0 and "ermission denied" in run.stderr, "%s: %r" % (path, run))
        check(inside(["--privileged"], "mknod /tmp/sda b 8 0").status != 0, "mknod of a block device")
        check(inside(["--privileged"], "mount -t ext4 /dev/null /mnt").status != 0, "mount of a file system of the host's")
        run = inside(["--privileged"], "grep -E ' (/proc/|/sys/)' /proc/self/mountinfo | grep -v ' /sys/fs/cgroup '; grep ' /sys ' /proc/self/mountinfo").check()
        lines = run.stdout.splitlines()
        equal(len(lines), 1, "masked and read-only paths: %r" % run.stdout)
        check(" rw," in lines[0], "/sys: %s" % lines[0])
    yield from for_all(one)


def test_privileged_and_other_options():
    """What else is said wins."""
    run = shell("cat /proc/self/status", "--privileged --cap-drop SYS_ADMIN --security-opt seccomp=default --security-opt no-new-privileges").check()
    fields = status_fields(run.stdout)
    equal(int(fields["CapEff"], 16), every_cap() & ~(1 << 21), "CapEff")
    equal((fields["Seccomp"], fields["NoNewPrivs"]), ("2", "1"), "Seccomp, NoNewPrivs")
    refused(remapped("--privileged --cap-drop ALL", "/bin/true"), "--privileged", "--cap-drop")
    run = shell("cat /proc/self/status", "--privileged -u 1000:1000").check()
    equal(int(status_fields(run.stdout)["CapEff"], 16), 0, "CapEff of uid 1000")


def test_privileged_on_the_host():
    """With --userns=host it is the caller's own power, whole."""
    with open("/proc/self/status") as file:
        mine = int(status_fields(file.read())["CapPrm"], 16)
    run = nsrun(["--userns=host", "--privileged", rootfs(private=True), "/bin/sh", "-c",
                 "cat /proc/self/status; test -w /proc/sys/kernel/core_pattern && echo writable"]).check()
    equal(int(status_fields(run.stdout)["CapEff"], 16), mine, "CapEff")
    contains(run.stdout, "writable", "/proc/sys/kernel/core_pattern")


def test_privileged_cgroup():
    """Groups of its own below its own group, where the host has a v2 hierarchy; their removal is the runtime's."""
    if not any(entry[4] == "cgroup2" for entry in mountinfo()):
        skip("no v2 hierarchy")
    shell("mkdir /sys/fs/cgroup/a /sys/fs/cgroup/a/b && echo $$ >/sys/fs/cgroup/a/cgroup.procs && grep ^0:: /proc/self/cgroup; "
          "ls -ld /sys/fs/cgroup | cut -d' ' -f1; echo 1 >/sys/fs/cgroup/cgroup.freeze 2>/dev/null || echo kept", "--privileged").check(
        0, "0::/a\ndrwxr-xr-x\nkept")
    top = next(entry[0] for entry in mountinfo() if entry[4] == "cgroup2")
    offered = open(os.path.join(top, "cgroup.controllers")).read().split()
    if "memory" in offered:
        shell("cd /sys/fs/cgroup && mkdir a && echo $$ >a/cgroup.procs && echo '+memory +pids' >cgroup.subtree_control && echo 16m >a/memory.max && "
              "cat a/memory.max && (echo max >memory.max) 2>/dev/null || echo kept; "
              "/bin/dd if=/dev/zero of=/dev/null bs=64M count=1 2>/dev/null; echo $?",
              "--privileged").check(0, "16777216\nkept\n137")
    # without it nothing of the group can be changed
    check(shell("mkdir /sys/fs/cgroup/a").status != 0, "a group could be made without --privileged")


# ---- seccomp=strict ----

def test_filter_strict():
    got = pairs(remapped("--security-opt seccomp=strict", "/helper", "syscalls").check().stdout)
    default = pairs(remapped("", "/helper", "syscalls").check().stdout)
    looser = {name: (default[name], got.get(name)) for name in default if default[name] in ("EPERM", "EAFNOSUPPORT", "ENOSYS") and got.get(name) != default[name]}
    equal(looser, {}, "what strict permits and default does not")
    # whatever the capabilities
    got = pairs(remapped("--security-opt seccomp=strict --cap-add ALL", "/helper", "syscalls").check().stdout)
    for name in ("mount", "umount2", "unshare-user", "clone-user", "setns", "bpf", "perf_event_open", "open_by_handle_at", "reboot", "fsopen"):
        equal(got[name], "EPERM", name)
    equal(got["clone3"], "ENOSYS", "clone3")


def test_filter_strict_runs_programs():
    shell("for i in 1 2 3; do echo $i; done | sort -r | head -1; (sleep 0.01) & wait; ps >/dev/null; mkdir /tmp/s && mv /tmp/s /tmp/t && rmdir /tmp/t; "
          "date >/dev/null; awk 'BEGIN { print 6*7 }'", "--security-opt seccomp=strict").check(0, "3\n42")
    shell("echo x | sed s/x/y/ | tr y z; id -u", "--security-opt seccomp=strict --init -u 1000").check(0, "z\n1000")


if __name__ == "__main__":
    main()
