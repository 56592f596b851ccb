# SPDX-License-Identifier: Apache-2.0
"""What a workload may not do by default, and what the options make of it."""
import json
import os
import socket
import subprocess

from harness import *
from faces import both, face, nsrun
from helper import helper, pairs, refused, remapped, shell, status_fields, tree

CAPS = dict(CHOWN=0, DAC_OVERRIDE=1, FOWNER=3, FSETID=4, KILL=5, SETGID=6, SETUID=7, SETPCAP=8, NET_BIND_SERVICE=10, SYS_CHROOT=18)
DEFAULT = sum(1 << bit for bit in CAPS.values())
NET_RAW, SYS_ADMIN = 1 << 13, 1 << 21
SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")

# Denied by the default filter: the answer that the kernel would give without it is another one where the second word says so.
DENIED = {
    "mount": "EFAULT", "umount2": "EFAULT", "open_tree": "EFAULT", "mount_setattr": "E2BIG", "unshare-user": "0", "clone-user": "0",
    "setns": "EBADF", "io_uring_setup": "EFAULT", "io_uring_enter": "EBADF", "io_uring_register": None, "keyctl": "0", "add_key": "0",
    "request_key": "EFAULT", "userfaultfd": "0", "vmsplice": "EBADF", "bpf": None, "perf_event_open": "EFAULT", "modify_ldt": "0",
    "open_by_handle_at": None, "pivot_root": None, "fsopen": None, "move_mount": None, "reboot": None, "swapon": None, "acct": None,
    "tiocsti": "ENOTTY", "tiocsti-high": "ENOTTY", "tioclinux": "ENOTTY",
}
ALLOWED = {"clone-plain": "0", "unix": "0", "inet": "0", "inet6": "0", "netlink": "0", "tiocgwinsz": "ENOTTY", "unknown": "ENOSYS"}
SOCKETS = ("alg", "packet", "vsock", "bluetooth", "xdp")


def caps(options):
    """{set: mask}, with the other lines of /proc/self/status."""
    run = remapped(options, "/bin/cat", "/proc/self/status").check()
    fields = status_fields(run.stdout)
    return {name: int(fields[name], 16) for name in SETS}, fields


def equal_caps(got, mask, bounding=None, what=""):
    wanted = dict(CapInh=0, CapPrm=mask, CapEff=mask, CapBnd=mask if bounding is None else bounding, CapAmb=0)
    for name in SETS:
        check(got[name] == wanted[name], "%s %s: %x, wanted %x" % (what, name, got[name], wanted[name]))


@both()
def test_capabilities_default():
    got, fields = caps("")
    equal_caps(got, DEFAULT, what="default")
    equal(fields["NoNewPrivs"], "1", "NoNewPrivs")
    equal(fields["Seccomp"], "2", "Seccomp")
    equal(fields["Seccomp_filters"], "1", "number of filters")
    equal(fields["Groups"], "0", "supplementary groups: the primary one alone")


@both()
def test_capabilities_of_another_user():
    got, fields = caps("-u 1000:1000")
    equal_caps(got, 0, bounding=DEFAULT, what="-u 1000")
    equal(fields["Uid"].split(), ["1000"] * 4, "uids")
    equal(fields["Gid"].split(), ["1000"] * 4, "gids")


@generate
def test_capability_options():
    cases = {
        "add": ("--cap-add NET_RAW", DEFAULT | NET_RAW),
        "add-long-name": ("--cap-add=cap_net_raw", DEFAULT | NET_RAW),
        "add-twice": ("--cap-add NET_RAW --cap-add SYS_ADMIN", DEFAULT | NET_RAW | SYS_ADMIN),
        "drop": ("--cap-drop CHOWN", DEFAULT & ~1),
        "drop-all": ("--cap-drop ALL", 0),
        "only-one": ("--cap-drop ALL --cap-add CHOWN", 1),
        "only-one-other-order": ("--cap-add CHOWN --cap-drop ALL", 1),
    }
    for name, (options, mask) in cases.items():
        yield name, lambda options=options, mask=mask: equal_caps(caps(options)[0], mask, what=options)


@both()
def test_capabilities_all():
    with open("/proc/sys/kernel/cap_last_cap") as file:
        every = (1 << (int(file.read()) + 1)) - 1
    if face() == "bundle-host":  # what the caller's bounding set lacks is left out, with a warning
        with open("/proc/self/status") as file:
            every &= int(status_fields(file.read())["CapBnd"], 16)
    equal_caps(caps("--cap-add ALL")[0], every, what="--cap-add ALL")


def calls(options="", **how):
    return pairs(remapped(options, "/helper", "syscalls", **how).check().stdout)


@both()
def test_filter_default():
    got = calls()
    wrong = {name: got.get(name) for name in DENIED if name in got and got[name] != "EPERM"}
    wrong.update({name: got.get(name) for name, answer in ALLOWED.items() if got.get(name) != answer})
    wrong.update({name: got.get(name) for name in SOCKETS if got.get(name) != "EAFNOSUPPORT"})
    if got.get("clone3") != "ENOSYS":
        wrong["clone3"] = got.get("clone3")
    for foreign in ("int80", "x32"):
        if got.get(foreign, "ENOSYS") not in ("ENOSYS", "EPERM", "SIGSYS", "SIGSEGV"):
            wrong[foreign] = got[foreign]
    check(not wrong, "answers under the default filter: %r" % wrong)
    check(len(got) > 35, "the helper said only %r" % got)


@both()
def test_filter_unconfined():
    """The counterpart: without the filter the same calls answer otherwise, so the test above can fail. Ids may have 200 keys, which containers
    of other tests with these ids share."""
    got = wait_for(lambda: (lambda got: got if got.get("add_key") != "EDQUOT" else None)(calls("--security-opt seccomp=unconfined")),
                   "room for another key", timeout=10)
    wrong = {name: got[name] for name, answer in DENIED.items() if answer and name in got and got[name] != answer}
    check(not wrong, "answers without a filter: %r" % wrong)
    equal(got["clone3"], "EFAULT", "clone3")
    equal(got["packet"], "EPERM", "AF_PACKET without CAP_NET_RAW")
    fields = caps("--security-opt seccomp=unconfined")[1]
    equal((fields["Seccomp"], fields["NoNewPrivs"]), ("0", "1"), "Seccomp, NoNewPrivs")


@both()
def test_filter_survives_exec_and_user():
    run = shell("/bin/sh -c '/helper syscalls'", "-u 1000").check()
    equal(pairs(run.stdout)["unshare-user"], "EPERM", "unshare as uid 1000, two programs later")


@both()
def test_filter_docker():
    got = calls("--security-opt seccomp=docker")
    for name, answer in {"mount": "EPERM", "unshare-user": "EPERM", "keyctl": "EPERM", "clone3": "ENOSYS", "vmsplice": "EBADF",
                         "unix": "0", "packet": "EPERM"}.items():
        equal(got[name], answer, name)


def profile(content):
    path = os.path.join(tmp(), "profile.json")
    with open(path, "w") as file:
        file.write(content if isinstance(content, str) else json.dumps(content))
    return path


@both()
def test_filter_from_a_file():
    path = profile({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 30},
        {"names": ["sethostname"], "action": "SCMP_ACT_KILL_PROCESS"},
        {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 1, "value": 10, "op": "SCMP_CMP_EQ"}]}]})
    option = "--security-opt seccomp=" + path
    shell("mkdir /tmp/d; test -d /tmp/d && echo made", option).check(1, "", "Read-only file system")
    shell("hostname x; echo $?", option).check(0, "159")
    shell("kill -10 $$; kill -0 $$ && echo lives", option).check(0, "lives", "Operation not permitted")


def test_filter_cache():
    """A profile of the user's is compiled once; what others could have written is not used."""
    user = ranger()
    home = tmp("cache", 0o700, owner=user)
    cache = os.path.join(home, "nsrun", "seccomp")
    tree_ = rootfs(owner="%d:%d" % (user.uid, user.gid))
    path = profile({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 30}]})

    def launch(*options):
        run = nsrun([*options, "--security-opt", "seccomp=" + path, tree_, "/bin/sh", "-c", "mkdir /tmp/d && rmdir /tmp/d"],
                    user=user, env={"XDG_CACHE_HOME": home})
        return run if options else run.check(1, "", "Read-only file system")

    launch("--dry-run").check()
    check(not os.path.exists(cache), "a dry run writes no cache")
    launch()
    files = os.listdir(cache)
    equal(len(files), 1, "files in the cache")
    file = os.path.join(cache, files[0])
    st = os.stat(file)
    equal((st.st_uid, st.st_mode & 0o777, os.stat(cache).st_mode & 0o777), (user.uid, 0o600, 0o700), "owner and modes")
    launch()
    equal(os.stat(file).st_ino, st.st_ino, "the second launch takes it as it is")
    # Found by its content: with the last instruction damaged it is made anew.
    with open(file, "r+b") as f:
        f.seek(-8, 2)
        f.write(bytes(8))
    launch()
    check(os.stat(file).st_ino != st.st_ino, "a damaged one is replaced")
    ino = os.stat(file).st_ino
    os.chmod(cache, 0o777)
    launch()
    equal(os.stat(file).st_ino, ino, "a directory that others can write to is left alone")


@both()
def test_filter_without_no_new_privs():
    """Here the filter needs CAP_SYS_ADMIN to be loaded, and the workload must not keep it."""
    got, fields = caps("--security-opt no-new-privileges=false")
    equal_caps(got, DEFAULT, what="no-new-privileges=false")
    equal((fields["NoNewPrivs"], fields["Seccomp"]), ("0", "2"), "NoNewPrivs, Seccomp")
    got, fields = caps("--security-opt no-new-privileges=false -u 1000:1000")
    equal_caps(got, 0, bounding=DEFAULT, what="no-new-privileges=false -u 1000")
    equal((fields["NoNewPrivs"], fields["Seccomp"]), ("0", "2"), "NoNewPrivs, Seccomp of uid 1000")


@both()
def test_set_uid_inside():
    """no_new_privs is what makes a set-uid program inside powerless; switched off, it works."""
    tree_ = tree(fresh=True)
    prepare = ["--userns-remap", dummy().name, tree_, "/bin/sh", "-c", "cp /helper /su; chmod 4755 /su"]
    nsrun(prepare).check()
    options = ["--userns-remap", dummy().name, "-u", "1000:1000"]
    nsrun(options + [tree_, "/su", "euid"]).check(0, "1000")
    # the rootfs is nosuid unless privileges may be gained (features.md)
    nsrun(options + ["--security-opt", "no-new-privileges=false", tree_, "/su", "euid"]).check(0, "0")


@both()
def test_filter_that_denies_capset():
    path = profile({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["capset"], "action": "SCMP_ACT_ERRNO"}]})
    refused(remapped(["--security-opt", "seccomp=" + path, "--security-opt", "no-new-privileges=false"], "/bin/true"), "capset")
    remapped(["--security-opt", "seccomp=" + path], "/bin/true").check()


def inside_mounts():
    run = remapped("", "/bin/cat", "/proc/self/mountinfo").check()
    path = os.path.join(tmp(), "mountinfo")
    with open(path, "w") as file:
        file.write(run.stdout)
    return mountinfo(path)


def test_mounts():
    entries = inside_mounts()
    by_target = {entry[0]: entry for entry in entries}
    for path in ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/pressure", "/proc/sys", "/proc/sysrq-trigger"):
        if os.path.exists(path):
            check(path in by_target and "ro" in by_target[path][2].split(","), "%s is not read-only: %r" % (path, by_target.get(path)))
    check("ro" in by_target["/sys"][2].split(","), "/sys is writable: %r" % (by_target["/sys"],))
    check("nosuid" in by_target["/"][2].split(","), "the rootfs is not nosuid: %r" % (by_target["/"],))
    for path in ("/proc", "/sys", "/dev/shm", "/dev/mqueue", "/dev/pts"):
        flags = by_target[path][2].split(",")
        check("nosuid" in flags and "noexec" in flags, "%s: %r" % (path, flags))
    equal([e for e in entries if "shared:" in e[3] or "master:" in e[3]], [], "mounts that propagate")
    # nothing of the host: all lies where a container has it
    strange = [e for e in entries if e[0] != "/" and e[0].split("/")[1] not in ("proc", "sys", "dev")
               and not (e[0] in ("/etc/hosts", "/etc/hostname") and e[1].startswith("/pts/"))]  # its own, kept in its own /dev
    equal(strange, [], "mounts of the host")


@both()
def test_masked_paths():
    files = [p for p in ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/interrupts", "/proc/latency_stats", "/proc/sched_debug",
                         "/proc/timer_stats", "/sys/kernel/notes", "/sys/kernel/vmcoreinfo") if os.path.exists(p)]
    dirs = [p for p in ("/proc/acpi", "/proc/asound", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap", "/sys/kernel/slab") if os.path.isdir(p)]
    dirs += ["/sys/devices/system/cpu/%s/thermal_throttle" % name for name in os.listdir("/sys/devices/system/cpu")
             if os.path.isdir("/sys/devices/system/cpu/%s/thermal_throttle" % name)]
    check("/proc/interrupts" in files and "/sys/firmware" in dirs, "this host has none of what is masked")
    run = shell("stat -c '%%n %%F %%t:%%T' %s; for d in %s; do echo $d $(ls -A $d | wc -l); done" % (" ".join(files), " ".join(dirs))).check()
    got = pairs(run.stdout)
    for path in files:
        equal(got.get(path), "character special file 1:3", path)
    for path in dirs:
        equal(got.get(path), "0", path + " (entries)")
    # a directory that covers them cannot be written either
    shell("touch /sys/firmware/x").check(1, "", "Read-only file system")


@both()
def test_proc_and_sys_cannot_be_written():
    # both are this container's own (its network namespace), so that nothing but the read-only mount forbids them
    shell("echo 1 >/proc/sys/net/ipv4/ip_forward").check(1, "", "Read-only file system")
    shell("echo 1 >/sys/class/net/lo/gro_flush_timeout").check(1, "", "Read-only file system")
    for path in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger"):
        run = shell("echo x >" + path)
        check(run.status != 0, "%s could be opened for writing: %r" % (path, run))


DEV = {"null", "zero", "full", "random", "urandom", "tty", "pts", "shm", "mqueue", "fd", "stdin", "stdout", "stderr", "ptmx"}


@both()
def test_dev():
    run = shell("ls -A /dev; stat -c '%n=%t:%T' /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty").check()
    names = {line for line in run.stdout.splitlines() if "=" not in line}
    equal(names - {"core"}, DEV, "/dev")
    numbers = dict(line.split("=") for line in run.stdout.splitlines() if "=" in line)
    equal(numbers, {"/dev/null": "1:3", "/dev/zero": "1:5", "/dev/full": "1:7", "/dev/random": "1:8", "/dev/urandom": "1:9",
                    "/dev/tty": "5:0"}, "device numbers")
    run = shell("for l in fd stdin stdout stderr ptmx; do readlink /dev/$l; done; touch /dev/shm/x && rm /dev/shm/x && stat -c %a /dev/shm")
    run.check(0, "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx\n1777")
    shell("echo x >/dev/null && head -c 4 /dev/urandom | wc -c").check(0, "4")
    check(shell("mknod /tmp/sda b 8 0").status != 0, "mknod of a block device")


def test_dev_on_a_terminal():
    with Pty([binary(), "--userns-remap", dummy().name, tree(), "/bin/sh", "-c", "ls -A /dev | tr '\\n' ' '; tty; echo done"]) as terminal:
        terminal.expect("done")
        equal(terminal.wait(), 0, "status")
        names = set(terminal.text.split())
        check(DEV | {"console"} <= names, "/dev on a terminal: %r" % terminal.text)
        check("/dev/pts/0" in names or "/dev/console" in names, "tty: %r" % terminal.text)


@both()
def test_no_descriptors_of_the_host():
    opened = [os.open("/", os.O_RDONLY | os.O_DIRECTORY), os.open("/etc/passwd", os.O_RDONLY), *os.pipe()]
    high = os.dup2(opened[0], 1000)
    try:
        run = remapped("", "/helper", "fds", popen={"pass_fds": opened + [high]}).check()
    finally:
        for fd in opened + [high]:
            os.close(fd)
    equal(run.stdout.split(), ["0", "1", "2"], "descriptors of the workload")


def test_no_descriptors_under_init():
    run = remapped("--init", "/helper", "fds", popen={"pass_fds": []}).check()
    equal(run.stdout.split(), ["0", "1", "2"], "descriptors under --init")


def test_init_holds_nothing_of_the_host():
    """A descriptor left in the reaper would be a way out for whoever may read /proc/1/fd."""
    fd = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        run = shell("ls -l /proc/1/fd/ /proc/1/cwd /proc/1/root 2>/dev/null | sed -n 's/.* -> //p'; echo end", "--init",
                    popen={"pass_fds": [fd]}).check()
    finally:
        os.close(fd)
    for target in run.stdout.split():
        check(target in ("/", "end", "/dev/null") or target.startswith(("pipe:", "anon_inode:", "socket:")), "/proc/1 leads to %r" % target)


LOOK = """
echo cmdline $(tr '\\0' ' ' </proc/1/cmdline)
echo comm $(cat /proc/1/comm)
for name in exe fd environ auxv mem maps root cwd map_files; do
	case $name in
	exe|root|cwd) readlink /proc/1/$name >/dev/null ;;
	fd|map_files) ls /proc/1/$name >/dev/null ;;
	mem) dd if=/proc/1/mem bs=1 count=0 >/dev/null ;;
	*) cat /proc/1/$name >/dev/null ;;
	esac 2>/dev/null && echo "open $name"
done
echo owner $(stat -c %u /proc/1/environ) $(stat -c %u /proc/$$/environ)
for file in /proc/1/* /proc/1/task/1/* /proc/1/attr/*; do
	case $file in */mount*|*/mem|*/pagemap) ;; *) [ ! -f $file ] || cat $file 2>/dev/null ;; esac
done | tr '\\0' '\\n' | grep -F -e secret-of-1 -e "$WHERE" | sed 's/^/leaks /'
cat /proc/$$/environ | tr '\\0' '\\n' | grep -qF secret-of-1 && echo "own environment"
"""


@generate(root=True)
def init_shows_nothing():
    """The reaper came from the host, with the host's arguments and descriptors: undumpable (owned by no id of the container), not
    even a workload with all capabilities of its namespace looks into it."""
    def one(options):
        where = os.path.basename(base())
        contains(tree(), where, "the path of the rootfs: it must not be seen")
        volume = tmp("volume", owner=(100000, 100000))
        run = shell(LOOK, ["--init", "-e", "SECRET=secret-of-1", "-e", "WHERE=" + where, "-v", volume + ":/v:ro", *options]).check()
        equal(run.stdout.splitlines(), ["cmdline nsrun-init", "comm nsrun-init", "owner 65534 0", "own environment"], "what is seen of PID 1")
    yield "default", lambda: one([])
    yield "CAP_SYS_PTRACE", lambda: one(["--cap-add", "SYS_PTRACE"])
    yield "ALL-unconfined", lambda: one(["--cap-add", "ALL", "--security-opt", "seccomp=unconfined"])


@test(root=True)
def test_workload_without_init_may_look_at_itself():
    """The counterpart: PID 1 is the workload, which its own execve made dumpable again."""
    run = shell(LOOK, ["-e", "SECRET=secret-of-1", "-e", "WHERE=nowhere-at-all"]).check()
    for name in ("exe", "fd", "environ", "maps"):
        contains(run.stdout, "open %s\n" % name, "what is seen of PID 1")
    contains(run.stdout, "owner 0 0\n", "owner of /proc/1/environ")
    contains(run.stdout, "leaks SECRET=secret-of-1\n", "what is seen of PID 1")


@test(root=True)
def test_init_dies_with_the_runtime():
    """Its parent-death signal outlives all changes of ids: SIGKILL of the runtime ends everything at once."""
    for options in (["--init"], ["--init", "-u", "1000:1000"]):
        process = subprocess.Popen([binary(), "--userns-remap", dummy().name, *options, tree(), "/bin/sh", "-c", "echo up; exec sleep 60"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment(), cwd=base())
        equal(process.stdout.readline(), b"up\n", "output")
        inside = descendants(process.pid)
        check(len(inside) >= 2, "init and workload: %s" % describe(inside))
        for pid in inside[:1]:
            entry = os.stat("/proc/%d/environ" % pid)
            equal((entry.st_uid, entry.st_gid), (0, 0), "owner of init's /proc/PID/environ on the host: undumpable")
        process.kill()
        process.communicate(timeout=10)
        wait_for(lambda: not any(alive(pid) for pid in inside), "the end of init and workload", timeout=2)
    nsrun(["gc"]).check()


@both()
def test_root_is_all():
    run = remapped("", "/helper", "escape").check()
    equal(pairs(run.stdout), {"walk": "same", "chroot": "done", "after": "same"}, "walks by ..")
    marker = os.path.join(tmp(), "marker")
    open(marker, "w").close()
    equal(shell("ls /../../..%s" % marker).status, 1, "status of ls of a path of the host")


@both()
def test_network_is_loopback():
    run = shell("sed 1,2d /proc/net/dev | cut -d: -f1; ip -o link show lo; ip route | wc -l").check()
    lines = run.stdout.split("\n")
    equal(lines[0].strip(), "lo", "interfaces: %s" % run.stdout)
    check(lines[1].startswith("1: lo:") and "UP" in lines[1], "loopback is down: %s" % lines[1])
    # On a busy host nc may give up before the line has arrived: then the whole exchange is repeated.
    shell("for try in 1 2 3 4 5; do timeout 5 nc -l -p 5000 127.0.0.1 >/tmp/got & "
          "for i in 1 2 3 4 5 6 7 8 9; do echo hi | nc -w 2 127.0.0.1 5000 && break; sleep 0.1; done; "
          "wait; test -s /tmp/got && break; done; cat /tmp/got").check(0, "hi")


@both()
def test_abstract_sockets_of_the_host():
    name = "nsrun-test-%d" % os.getpid()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0" + name)
        server.listen()
        live = subprocess.run([helper(), "abstract", name], stdout=subprocess.PIPE, check=True)
        equal(live.stdout, b"0\n", "connection on the host")
        remapped("", "/helper", "abstract", name).check(0, "ECONNREFUSED")


@both()
def test_groups_of_the_caller():
    run = remapped("", "/bin/cat", "/proc/self/status", popen={"extra_groups": [4, 27, 61500]}).check()
    equal(status_fields(run.stdout)["Groups"], "0", "supplementary groups")
    run = remapped("-u 1000:1000", "/bin/cat", "/proc/self/status", popen={"extra_groups": [4, 27, 61500]}).check()
    equal(status_fields(run.stdout)["Groups"], "1000", "supplementary groups of -u 1000:1000")


def test_mounts_do_not_propagate():
    """In a peer group on purpose: what is mounted inside is not seen outside, and the other way round."""
    volume = tmp("volume", owner=(100000, 100000))
    mount("none", volume, "tmpfs", 0, "mode=755,uid=100000,gid=100000")
    try:
        check("shared:" in dict((e[0], e[3]) for e in mountinfo())[volume], "the test's own mount is not shared")
        os.mkdir(volume + "/out")
        for name in ("in", "ready"):
            os.mkdir(volume + "/" + name)
            os.chown(volume + "/" + name, 100000, 100000)
        script = ("mount -t tmpfs none /v/in || exit 9; touch /v/in/inside; touch /v/ready/1; "
                  "for i in $(seq 100); do test -e /v/ready/2 && break; sleep 0.1; done; ls -A /v/out; echo end")
        args = ["--userns-remap", dummy().name, "--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined", "-v", volume + ":/v",
                tree(), "/bin/sh", "-c", script]
        process = subprocess.Popen([binary()] + args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=environment(), cwd=base())
        wait_for(lambda: os.path.exists(volume + "/ready/1") or process.poll() is not None, "the container's mount")
        seen_outside = os.listdir(volume + "/in")
        mount("none", volume + "/out", "tmpfs")
        open(volume + "/out/outside", "w").close()
        open(volume + "/ready/2", "w").close()
        out, err = process.communicate(timeout=20)
        equal(process.returncode, 0, "status; stderr: %r" % err)
        equal(seen_outside, [], "the container's mount seen on the host")
        equal(out, b"end\n", "the host's mount seen in the container")
        umount(volume + "/out")
    finally:
        umount(volume, 2)


if __name__ == "__main__":
    main()
