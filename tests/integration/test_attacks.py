# SPDX-License-Identifier: Apache-2.0
"""Attacks that once worked, or worked against others, each replayed step by step."""
import hashlib
import contextlib
import os
import shutil
import subprocess

from harness import *
from helper import *
from faces import FACES, both, face, in_face, nsrun


def host_dir():
    """A directory of the host with a canary, which nothing inside may see."""
    path = tmp("host", 0o755)
    with open(os.path.join(path, "canary"), "w") as f:
        f.write("outside\n")
    return path


@generate
def test_working_directory_through_descriptor():
    """CVE-2024-21626: a link in the rootfs to /proc/self/fd/N as -w."""
    for name, options in (("dummy", ["--userns-remap", "dummy"]), ("init", ["--userns-remap", "dummy", "--init"]), ("host", ["--userns=host"])):
        def case(options=options):
            dummy()
            tree = rootfs(owner=dummy() if "dummy" in options else None, private=True, fresh=True)
            with open(host_dir() + "/canary") as held:
                for number in range(3, 30):
                    link = os.path.join(tree, "wd")
                    if os.path.lexists(link):
                        os.unlink(link)
                    os.symlink("/proc/self/fd/%d" % number, link)
                    result = nsrun(options + ["-w", "/wd", tree, "/bin/sh", "-c", "echo entered; ls -a"])
                    equal(result.status, 125, "status with descriptor %d: %r" % (number, result))
                    check("entered" not in result.stdout, "descriptor %d was entered: %s" % (number, result.stdout))
        for one in FACES if name == "dummy" else ("run",):
            yield name + ("" if one == "run" else " " + one), in_face(one, case)


@both()
def test_interpreter_through_descriptor():
    """The #! line is resolved by the kernel in the same process: no directory of the host may be open by then."""
    tree = rootfs(owner=dummy(), fresh=True)
    outside = tmp("outside", 0o755)
    shutil.copy(os.path.join(tree, "bin/busybox"), os.path.join(outside, "marker-program"))
    os.chmod(os.path.join(outside, "marker-program"), 0o755)
    for number in range(3, 30):
        script = os.path.join(tree, "bin/script")
        with open(script, "w") as f:
            f.write("#!/proc/self/fd/%d/../../../../../../../..%s/marker-program sh\necho ran\n" % (number, outside))
        os.chmod(script, 0o755)
        result = nsrun(["--userns-remap", "dummy", tree, "script"])
        check("ran" not in result.stdout, "descriptor %d led to a program of the host" % number)
        check(result.status in (126, 127), "status with descriptor %d: %r" % (number, result))


@both()
def test_no_descriptor_but_three_at_execve():
    """Held open by the caller on purpose, directories among them."""
    held = [os.open(path, os.O_RDONLY) for path in ("/", "/etc", host_dir())]
    for fd in held:
        os.set_inheritable(fd, True)
    try:
        run_ = remapped("", "/bin/ls", "/proc/self/fd", popen={"pass_fds": held}).check()
        equal(run_.stdout.split(), ["0", "1", "2", "3"], "descriptors (3 is that of ls)")
    finally:
        for fd in held:
            os.close(fd)


def test_own_program_is_out_of_reach():
    """CVE-2019-5736: where the container has the rights of its owner, nsrun runs from a sealed copy."""
    binary_path = binary()
    before = hashlib.sha256(open(binary_path, "rb").read()).hexdigest()
    tree = rootfs(private=True)
    for options, sealed in ((["--userns=host"], True), (["--userns-remap", "dummy", "--read-only"], False)):
        dummy()
        process = subprocess_nsrun(options + [tree, "/bin/sh", "-c", "echo up; exec sleep 30"])
        try:
            equal(process.stdout.readline(), b"up\n", "output")
            link = os.readlink("/proc/%d/exe" % process.pid)
            equal(link.startswith("/memfd:"), sealed, "program of nsrun with %s: %s" % (options, link))
            if sealed:
                try:
                    with open("/proc/%d/exe" % process.pid, "r+b") as f:
                        f.write(b"overwritten")
                        f.flush()
                    fail("the sealed copy could be written")
                except OSError:
                    pass
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
    nsrun(["gc"])
    equal(hashlib.sha256(open(binary_path, "rb").read()).hexdigest(), before, "nsrun's own file")


def subprocess_nsrun(args):
    return subprocess.Popen([binary()] + args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)


@both()
def test_standard_input_is_no_directory():
    fd = os.open("/tmp", os.O_RDONLY)
    try:
        result = remapped("", "/bin/sh", "-c", "ls /proc/self/fd/0/..", stdin=fd)
        equal(result.status, 125, "status: %r" % result)
        contains(result.stderr, "stdio-directory", "stderr")
        if face() == "run":
            remapped("-i=false", "/bin/true", stdin=fd).check(0)
    finally:
        os.close(fd)


def test_volume_group_is_not_granted():
    """`chown USER dir` leaves the group: a set-group-id file made inside would be root's or shadow's."""
    volume = tmp("volume", 0o755)
    for uid, gid in ((4321, 0), (4321, 42), (100000, 0)):
        os.chown(volume, uid, gid)
        result = remapped("-v %s:/v" % volume, "/bin/sh", "-c", "cp /bin/busybox /v/s; chmod 6755 /v/s")
        equal(result.status, 125, "%d:%d: %r" % (uid, gid, result))
        contains(result.stderr, "volume-group", "stderr")
        equal(os.listdir(volume), [], "made in the volume")
        remapped("-v %s:/v:ro" % volume, "/bin/ls", "/v").check(0)
    os.chown(volume, 4321, 4321)
    remapped("-v %s:/v" % volume, "/bin/touch", "/v/mine").check(0)
    made = os.stat(volume + "/mine")
    equal((made.st_uid, made.st_gid), (4321, 4321), "owner of what was made")


def test_sockets_and_fifos_of_host_root_are_refused():
    """Read-only does not keep container root, who would be their owner, from using them."""
    import socket
    where = tmp("channels", 0o755)
    os.mkfifo(where + "/fifo", 0o600)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(where + "/socket")
        os.chmod(where + "/socket", 0o600)
        for name in ("fifo", "socket"):
            for option in ("", ":ro"):
                result = remapped("-v %s/%s:/c%s" % (where, name, option), "/bin/true")
                equal(result.status, 125, "%s%s: %r" % (name, option, result))
                contains(result.stderr, "volume-channel", "stderr")
            remapped("-v %s/%s:/c:idmap=root" % (where, name), "/bin/ls", "/c").check(0)


@both()
def test_command_is_not_looked_up_on_the_host():
    """argv.resolve runs before the workload's descriptors are closed: nothing that leads to the host may be open by then either."""
    tree_ = rootfs(owner=dummy(), fresh=True)
    canary = host_dir() + "/canary"  # a path that the container does not have
    held = os.open("/", os.O_RDONLY)
    os.set_inheritable(held, True)
    try:
        for number in range(3, 30):
            result = nsrun(["--userns-remap", "dummy", tree_, "/proc/self/fd/%d/../../../../../../../..%s" % (number, canary)],
                           popen={"pass_fds": [held]})
            equal(result.status, 127, "descriptor %d tells of a file of the host: %r" % (number, result))
            contains(result.stderr, "argv.resolve", "stderr")
    finally:
        os.close(held)


def test_private_tree_shown_by_another_mount():
    """All of it, or a part, at a place that others can reach."""
    tree = rootfs(private=True, fresh=True)
    dummy()
    nsrun(["--userns-remap", "dummy", tree, "/bin/true"]).check(0)
    public = tmp("public", 0o755)
    for shown in (tree, tree + "/tmp"):
        mount(shown, public, flags=0x1000)  # MS_BIND
        try:
            result = nsrun(["--userns-remap", "dummy", tree, "/bin/true"])
            equal(result.status, 125, "%s is shown at %s: %r" % (shown, public, result))
            contains(result.stderr, "rootfs-owner", "stderr")
        finally:
            umount(public)
    nsrun(["--userns-remap", "dummy", tree, "/bin/true"]).check(0)


def test_pidfile_in_an_exchanged_directory():
    """What nsrun removes at the end is what it wrote, wherever a path of another user's leads by then."""
    dummy()
    mine = tmp("owned", owner=single())
    os.mkdir(mine + "/run")
    victim = os.path.join(tmp("elsewhere"), "web.pid")
    with open(victim, "w") as f:
        f.write("1\n")
    process = subprocess_nsrun(["--pidfile", mine + "/run/web.pid", "--userns-remap", "dummy", rootfs(owner=dummy()), "/bin/sh", "-c", "echo up; exec sleep 1"])
    try:
        equal(process.stdout.readline(), b"up\n", "output")
        os.rename(mine + "/run", mine + "/moved")
        os.symlink(os.path.dirname(victim), mine + "/run")
        equal(process.wait(20), 0, "status")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    check(os.path.exists(victim), "a file of another directory was removed")
    equal(os.listdir(mine + "/moved"), [], "the pidfile's own directory")


@generate
def test_hosts_file_leads_elsewhere():
    """CVE-2019-16884: a rootfs whose /etc/hosts leads into /proc or /dev gets no mount there."""
    for target in ("/proc/sys/kernel/hostname", "/proc/self/oom_score_adj", "/proc/1/environ", "/proc/sys/net/ipv4/ip_forward", "/dev/null", "/dev/zero"):
        def case(target=target):
            tree = rootfs(owner=dummy(), fresh=True)
            for name in ("hosts", "hostname"):
                path = os.path.join(tree, "etc", name)
                if os.path.lexists(path):
                    os.unlink(path)
            with open(tree + "/etc/hostname", "w") as f:  # so that the row runs
                f.write("x\n")
            os.symlink(target, tree + "/etc/hosts")
            options = ["--userns-remap", "dummy", "--sysctl", "net.ipv4.ip_forward=1"]
            run_ = nsrun(options + [tree, "/bin/sh", "-c", "cat /proc/self/mountinfo; test -c /dev/null"]).check(0)
            check("/pts/hosts " not in run_.stdout, "mounted: %s" % run_.stdout)
            contains(run_.stdout, " /etc/hostname ", "mounts")
            refused = nsrun(options + ["--add-host", "db:10.0.0.1", tree, "/bin/true"])
            equal(refused.status, 125, "--add-host: %r" % refused)
            contains(refused.stderr, "mount-target", "stderr")
        yield target.replace("/", "."), case


def test_rm_where_the_disk_is_full():
    """Output filled it: no room for the last record, and rm is what makes room."""
    os.makedirs("/run/nsrun", exist_ok=True)
    mount("tmpfs", "/run/nsrun", "tmpfs", 0, "size=160k,mode=711")
    try:
        loop = "i=0; while [ $i -lt 6000 ]; do echo 0123456789012345678901234567890123456789; i=$((i+1)); done; sleep 2; exit 7"
        nsrun(["-d", "--name", "full", "--userns-remap", dummy().name, rootfs(owner=dummy()), "/bin/sh", "-c", loop]).check(0)
        wait_for(lambda: os.statvfs("/run/nsrun").f_bavail <= 16, "the output has filled it")
        # The log ends at a write that was cut short, which may leave some pages.
        with contextlib.suppress(OSError), open("/run/nsrun/filler", "wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
        equal(nsrun(["wait", "full"]).stdout, "7\n", "status while its nsrun can tell it")
        wait_for(lambda: nsrun(["ls", "-a"]).stdout.count("dead"), "its nsrun has ended")
        nsrun(["rm", "full"]).check(0)
        equal(nsrun(["ls", "-aq"]).stdout, "", "containers")
        nsrun(["-d", "--rm", "--name", "full", "--userns-remap", dummy().name, rootfs(owner=dummy()), "/bin/true"]).check(0)
        wait_for(lambda: not nsrun(["ls", "-aq"]).stdout, "the next one has ended")
    finally:
        umount("/run/nsrun", 2)


EXCHANGER = """
import os, sys, time
place, victim = sys.argv[1:]
os.makedirs(place + "/trap/work")
os.symlink(victim, place + "/trap/work/tree")
while True:
    for name in os.listdir(place):
        if name.startswith(".new."):
            time.sleep(0.1)
            os.rename(place + "/" + name, place + "/moved")
            os.rename(place + "/trap", place + "/" + name)
            print("exchanged")
            sys.exit()
"""


def test_rootfs_script_in_another_users_directory():
    """The owner of the directory exchanges the one in which root makes the tree for another, which leads to the host's files."""
    dummy()
    place, victim = tmp("theirs", owner=single()), tmp("victim")
    for name in ("etc", "bin", "sbin", "usr/bin", "usr/sbin", "tmp", "var/tmp", "root", "home/user", "lib", "var/log"):
        os.makedirs(victim + "/" + name)
    with open(victim + "/etc/shadow", "w") as f:
        f.write("precious")
    script = os.environ.get("NSRUN_ROOTFS_SCRIPT") or os.path.join(TOP, "rootfs-scripts/busybox")
    exchanger = subprocess.Popen(["/usr/bin/python3", "-c", EXCHANGER, place, victim], stdout=subprocess.PIPE, **run_as(single()))
    try:
        wait_for(lambda: os.path.lexists(place + "/trap/work/tree"), "the trap is there")
        made = run([script, "--owner", "dummy", place + "/new"])
        exchanged = exchanger.communicate(timeout=10)[0]
    finally:
        exchanger.kill()
        exchanger.wait()
    equal(exchanged, b"exchanged\n", "what the attacker says")
    with open(victim + "/etc/shadow") as f:
        equal(f.read(), "precious", "a file that the exchanged directory leads to, after %r" % made)
    equal(os.stat(victim).st_uid, 0, "the owner of what it leads to")
    equal(os.listdir(victim + "/etc"), ["shadow"], "files in it")


if __name__ == "__main__":
    main()
