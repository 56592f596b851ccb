# SPDX-License-Identifier: Apache-2.0
"""The probe (tests/probe/probe.c) run as the workload, for each kind of caller: what it prints, with what varies from
run to run and from host to host replaced by words, equals tests/integration/golden/KIND.json. `--update-golden` writes
those files; read the difference before it is kept, each line of it is a promise."""
import ctypes
import difflib
import json
import os
import platform
import re
import resource
import signal
import subprocess

from harness import *

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden")
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "user", "uts")
NODE = re.compile(r"/dev/(null|zero|full|random|urandom|tty)$")
# Made by the kernel in every network namespace where these modules are loaded.
TUNNELS = {"tunl0", "sit0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6tnl0", "ip6gre0"}


def own_tree(who):
    return rootfs(owner="%d:%d" % (who.uid, who.gid), with_probe=True)


def dummy_launch(*options):
    return lambda: (None, ["--userns-remap", dummy().name] + list(options) + [rootfs(owner=dummy(), with_probe=True)])


def all_mounts():
    """Every kind of mount at once."""
    for name in ("bind", "one", "two", "upper", "work"):
        os.chown(tmp(name), 100000, 100000)
    top = tmp()
    return None, ["--userns-remap", dummy().name, "-v", top + "/bind:/m/bind:ro,noexec,noatime", "-v", top + "/bind:/m/memory:O",
                  "--mount", "type=overlay,lowerdir={0}/one:{0}/two,upperdir={0}/upper,workdir={0}/work,dst=/m/overlay".format(top),
                  "--tmpfs", "/m/tmpfs:size=1m,uid=5,gid=6,mode=700,nr_inodes=100", "--mount", "type=tmpfs,dst=/m/tmpfs/in,exec",
                  "--shm-size", "1m", "--masked-path", "/m/tmpfs/in", "--security-opt", "mask=/etc/hostname",
                  rootfs(owner=dummy(), with_probe=True)]


KINDS = {
    "root-dummy": dummy_launch(),
    "root-auto": lambda: (None, [rootfs(private=True, with_probe=True)]),
    "root-host": lambda: (None, ["--userns=host", rootfs(private=True, with_probe=True)]),
    "user-ranges": lambda: (ranger(), [own_tree(ranger())]),
    "user-single": lambda: (single(), [own_tree(single())]),
    "read-only": dummy_launch("--read-only"),
    "ephemeral": dummy_launch("--ephemeral"),
    "init": dummy_launch("--init"),
    "uid-1000": dummy_launch("-u", "1000"),
    "uid-1000-caps": dummy_launch("-u", "1000", "--cap-add", "NET_RAW"),
    "cap-drop-all": dummy_launch("--cap-drop", "ALL"),
    "cap-add-all": dummy_launch("--cap-add", "ALL"),
    "new-privileges": dummy_launch("--security-opt", "no-new-privileges=false"),
    "unconfined": dummy_launch("--security-opt", "seccomp=unconfined"),
    "terminal": dummy_launch("-t"),
    "no-stdin": dummy_launch("-i=false"),
    "host-pid": dummy_launch("--pid=host"),
    "host-network": dummy_launch("--network=host"),
    "host-ipc": dummy_launch("--ipc=host"),
    "user-host-pid": lambda: (ranger(), ["--pid=host", own_tree(ranger())]),
    "user-host-network": lambda: (ranger(), ["--network=host", own_tree(ranger())]),
    "user-host-ipc": lambda: (ranger(), ["--ipc=host", own_tree(ranger())]),
    "mounts": all_mounts,
}


# ---- what varies -------------------------------------------------------------------------------------------------

def keyring():
    """Serial number of this process' session keyring; None where the kernel has none."""
    numbers = {"x86_64": 250, "aarch64": 219, "riscv64": 219}
    libc = ctypes.CDLL(None, use_errno=True)
    value = libc.syscall(numbers.get(platform.machine(), 250), 0, -3, 0)
    return value if value > 0 else None


def inside(entries, number):
    """The id inside that this host id is."""
    for entry in entries:
        begin, outside, count = (int(word) for word in entry.split())
        if outside <= number < outside + count:
            return begin + number - outside
    return "none"


def normalise_mount(line, container, uid_map, gid_map):
    left, right = line.split(" - ")
    left, right = left.split(" "), right.split(" ")
    root, target, options, tags = left[3], left[4], left[5], left[6:]
    fstype, source, extra = right[0], right[1], right[2].split(",")
    if target == "/" and fstype != "overlay":
        root, fstype, source, extra = "ROOTFS", "DISK", "DISK", []
    elif target == "/m/bind":
        root, fstype, source, extra = "SOURCE", "DISK", "DISK", []
    elif NODE.match(target) or (root == "/null" and fstype in ("devtmpfs", "tmpfs")):
        root, fstype, source, extra = "HOST" + os.path.join("/dev", root.lstrip("/")), "HOST", "HOST", []
    if fstype in ("proc", "sysfs", "mqueue"):  # a name without meaning, which for one of the host's the host chose
        source = fstype
    out = []
    for option in extra:
        name, _, value = option.partition("=")
        if name in ("uid", "gid"):  # the kernel shows those of the host
            option = "%s=%s" % (name, inside(uid_map if name == "uid" else gid_map, int(value)))
        if fstype == "overlay":  # others are the kernel's defaults, and differ between kernels
            # userxattr too: with tmpfs before Linux 6.6 root's overlays have trusted.* attributes instead
            # layers are shown by number of descriptor
            option = name if name in ("rw", "ro", "lowerdir", "upperdir", "workdir") else None
            if option is None:
                continue
        if name in ("nr_inodes", "inode64", "seclabel") or (name == "size" and fstype == "devtmpfs"):
            continue
        out.append(option)
    tags = ["PEER" if tag.startswith(("shared:", "master:", "propagate_from:")) else tag for tag in tags]
    left = " ".join([target, fstype, options] + tags)
    text = "%s: %s of %s %s" % (left, root, source, ",".join(sorted(out)))
    return re.sub(r"/pts/\d+", "/pts/N", text.replace(container, "ID").rstrip())


def normalise(raw, who):
    """The probe's object with words for what varies."""
    out = dict(raw)
    hostname = raw["hostname"]
    check(re.fullmatch(r"[0-9a-f]{12}", hostname), "the host name %r is no container id" % hostname)
    out["hostname"] = "ID"

    def first(entries):
        values = [int(entry.split()[1]) for entry in entries if entry.split()[0] == "0"]
        return values[0] if values else None
    for name, begin in (("uid_map", first(raw["uid_map"])), ("gid_map", first(raw["gid_map"]))):
        if who is None and begin not in (0, 100000):  # an auto range
            out[name] = [re.sub(r"\b%d\b" % begin, "AUTO", entry) for entry in raw[name]]

    own = {name: os.readlink("/proc/self/ns/" + name) for name in NAMESPACES}
    out["namespaces"] = {name: "the host's" if value == own[name] else value if value.startswith("errno") else "new"
                         for name, value in raw["namespaces"].items()}
    # on any mixture of hierarchies
    out["cgroup"] = sorted({entry.split(":", 2)[2].replace(hostname, "ID") for entry in raw["cgroup"]})
    if isinstance(raw["session_keyring"], int):
        out["session_keyring"] = "the caller's" if raw["session_keyring"] == keyring() else "another"
    with open("/proc/self/oom_score_adj") as file:
        out["oom_score_adj"] = "inherited" if raw["oom_score_adj"] == file.read().strip() else raw["oom_score_adj"]
    if raw["nice"] == 20 - os.nice(0):
        out["nice"] = "inherited"
    for name, value in raw["rlimits"].items():
        number = getattr(resource, "RLIMIT_" + name.upper(), None)
        if number is None or value == "%d %d" % resource.getrlimit(number):
            out["rlimits"] = dict(out["rlimits"], **{name: "inherited"})
    for gone in ("lsm_label", "timens_offsets"):  # of the host's security module; covered by the namespace's identity
        del out[gone]
    out["status"] = {key: value for key, value in raw["status"].items() if key not in ("THP_enabled", "TracerPid")}
    links = [line.split(":")[0] for line in raw.pop("net_dev")[2:]]
    out["net_dev"] = sorted(set(links) - TUNNELS)
    out["fds"] = [dict(fd, target=re.sub(r":\[\d+\]", "", fd["target"])) for fd in raw["fds"]]
    out["environment"] = sorted(entry.replace(hostname, "ID") for entry in raw["environment"])
    mounts = [normalise_mount(line, hostname, raw["uid_map"], raw["gid_map"]) for line in raw["mountinfo"]]
    if out["namespaces"]["pid"] == "the host's":
        for name in ("pid", "ppid", "pgid", "sid"):
            out[name] = "PID"
        out["status"] = dict(out["status"], **{name: "PID" for name in out["status"] if name.startswith("NS")})
    if out["namespaces"]["net"] == "the host's":
        equal(out["net_dev"], sorted(set(os.listdir("/sys/class/net")) - TUNNELS), "interfaces")
        out["net_dev"] = "the host's"
    if out["namespaces"]["ipc"] == "the host's":
        mounts = [re.sub(r"(?<=^/dev/shm tmpfs )(\S+): .*", r"\1: the host's", text) for text in mounts]
        if who is not None and os.path.ismount("/dev/mqueue"):  # bound, where there is one: only root can mount the host's queues anew
            check(any(text.startswith("/dev/mqueue mqueue ") for text in mounts), "the host's /dev/mqueue is not there: %r" % mounts)
            mounts = [text for text in mounts if not text.startswith("/dev/mqueue ")]
            out["dev"] = [re.sub("^/dev/mqueue directory 1777$", "/dev/mqueue directory 0755", entry) for entry in out["dev"]]
    mounts = [text for text in mounts if not of_the_host(text, out["namespaces"])]
    # those of one target stay in their order: the last one is seen
    out["mountinfo"] = sorted(mounts, key=lambda text: text.split(" ")[0])
    return out


def of_the_host(mount, namespaces):
    """What the host has mounted below a /proc or /sys that is bound: it comes along, read-only."""
    target, _, options = mount.split(" ")[:3]
    top = "/" + target.split("/")[1] + "/"
    bound = {"/proc/": "pid", "/sys/": "net"}.get(top)
    if not bound or not target.startswith(top) or namespaces[bound] != "the host's" or target not in {entry[0] for entry in mountinfo()}:
        return False
    check(options.startswith("ro,nosuid,nodev,noexec"), "the host's mount can be written: %s" % mount)
    return True


def host_has(mount):
    """Masks of what this kernel does not have are not there; the groups depend on the hierarchies."""
    target = mount.split(" ")[0]
    if target.startswith("/sys/fs/cgroup"):
        return False
    return os.path.exists(target) or not target.startswith(("/proc/", "/sys/"))


def probe_as(kind):
    who, argv = KINDS[kind]()
    if kind == "terminal":
        with Pty([binary()] + argv + ["/probe"]) as terminal:
            text = terminal.result().check(0).stdout
    else:
        text = nsrun(argv + ["/probe"], user=who, stdin=subprocess.DEVNULL).check(0).stdout
    try:
        raw = json.loads(text)
    except ValueError as error:
        fail("the probe's output is no JSON: %s\n%s" % (error, text))
    return normalise(raw, who)


def lines(data):
    return json.dumps(data, indent=1, sort_keys=True).splitlines(keepends=True)


def compare(kind):
    got, path = probe_as(kind), os.path.join(GOLDEN, kind + ".json")
    if "--update-golden" in arguments:
        os.makedirs(GOLDEN, exist_ok=True)
        with open(path, "w") as file:
            file.write("".join(lines(got)) + "\n")
        return
    check(os.path.exists(path), "%s is missing: make it with --update-golden, and read it" % path)
    with open(path) as file:
        wanted = json.load(file)
    for data in (got, wanted):
        data["mountinfo"] = [mount for mount in data["mountinfo"] if host_has(mount)]
    difference = list(difflib.unified_diff(lines(wanted), lines(got), "golden/%s.json" % kind, "this launch", n=2))
    check(not difference, "the probe's print is not the golden one:\n" + "".join("    " + line for line in difference))


@generate(root=True)
def golden():
    for kind in KINDS:
        yield kind, lambda kind=kind: compare(kind)


@test(root=True)
def test_every_golden_file_is_used():
    there = sorted(name for name in os.listdir(GOLDEN) if name.endswith(".json"))
    equal(there, sorted(kind + ".json" for kind in KINDS), "golden files")


# ---- the mission's own sentences -----------------------------------------------------------------------------------

def background(argv, who=None):
    process = subprocess.Popen(
        [binary()] + argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=environment(who), cwd=base(), **run_as(who))
    first = process.stdout.readline().decode().strip()
    if not first:
        fail("no output; status %s: %s" % (process.wait(), process.stderr.read().decode(errors="replace")))
    return process, first


def end(process):
    """SIGKILL: a PID 1 without handlers does not notice SIGTERM."""
    process.kill()
    process.wait()
    process.stdout.close()
    process.stderr.close()
    nsrun(["gc"]).check(0)


@test(root=True, needs=["ps"])
def test_ps_of_the_host_shows_the_mapped_id():
    """Root inside, 100000 outside."""
    process, first = background(["--userns-remap", dummy().name, rootfs(owner=dummy()), "/bin/sh", "-c",
                                  "echo $(id -u):$(id -g):$$; sleep 4711 & wait"])
    try:
        equal(first, "0:0:1", "uid, gid and pid inside")
        listing = run(["ps", "-eo", "uid=,gid=,pid=,args="]).check(0).stdout
        ours = set(descendants(process.pid))
        rows = [line.split(None, 3) for line in listing.splitlines()]
        found = [row for row in rows if int(row[2]) in ours and row[3].startswith(("sleep 4711", "/bin/sh -c"))]
        equal(len(found), 2, "processes of the container in ps: %r" % found)
        equal({(row[0], row[1]) for row in found}, {("100000", "100000")}, "ids in the host's ps")
    finally:
        end(process)


@test(root=True)
def test_outside_view():
    """All ids, groups and capabilities as the host's /proc tells them."""
    process, _ = background(["--userns-remap", dummy().name, rootfs(owner=dummy()),
                             "/bin/sh", "-c", "echo on; exec sleep 4711"])
    try:
        workload = wait_for(lambda: [pid for pid in descendants(process.pid)
                                     if open("/proc/%d/comm" % pid).read() == "sleep\n"], "the workload")[0]
        with open("/proc/%d/status" % workload) as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        equal(status["Uid"].split(), ["100000"] * 4, "Uid")
        equal(status["Gid"].split(), ["100000"] * 4, "Gid")
        equal(status["Groups"].split(), ["100000"], "Groups: the primary one alone")
        equal(status["NSpid"].split()[-1], "1", "innermost pid")
        equal(status["NoNewPrivs"], "1", "NoNewPrivs")
        equal(status["Seccomp"], "2", "Seccomp")
        for name in ("uid_map", "gid_map"):
            with open("/proc/%d/%s" % (workload, name)) as file:
                equal(file.read().split(), ["0", "100000", "65536"], name)
    finally:
        end(process)


@test(root=True)
def test_session_keyring_is_not_the_callers():
    """Without a filter, which would forbid to ask."""
    numbers = {"x86_64": 250, "aarch64": 219, "riscv64": 219}
    if platform.machine() not in numbers or keyring() is None:
        skip("no keyrings here")
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(numbers[platform.machine()], 1, b"nsrun-test")  # KEYCTL_JOIN_SESSION_KEYRING
    ours = keyring()
    direct = json.loads(run([probe()]).check(0).stdout)
    equal(direct["session_keyring"], ours, "keyring of a plain child: the test sees nothing otherwise; serial")
    who, argv = KINDS["unconfined"]()
    got = json.loads(nsrun(argv + ["/probe"], user=who).check(0).stdout)["session_keyring"]
    check(isinstance(got, int) and got != ours, "session keyring inside: %r, the caller's: %r" % (got, ours))


@test(root=True)
def test_nothing_of_the_caller_is_inherited():
    """Descriptors, environment, ignored and blocked signals, supplementary groups: none crosses."""
    read, write = os.pipe()
    directory = os.open("/", os.O_RDONLY | os.O_DIRECTORY)

    def prepare():
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGCHLD})
        os.setgroups([4, 24, 27])
        for fd in (read, directory):
            os.set_inheritable(fd, True)
    who, argv = KINDS["root-dummy"]()
    variables = {"SECRET": "x", "LISTEN_FDS": "2", "NOTIFY_SOCKET": "/run/n"}
    got = json.loads(nsrun(argv + ["/probe"], user=who, env=variables,
                           popen=dict(preexec_fn=prepare, close_fds=False)).check(0).stdout)
    for fd in (read, write, directory):
        os.close(fd)
    equal([fd["fd"] for fd in got["fds"]], [0, 1, 2], "descriptors")
    status = got["status"]
    equal((status["SigIgn"], status["SigBlk"]), ("0" * 16, "0" * 16), "ignored and blocked signals")
    equal(status["Groups"].split(), ["0"], "groups: the primary one alone")
    names = [entry.split("=")[0] for entry in got["environment"]]
    equal([name for name in names if name in ("SECRET", "LISTEN_FDS", "NOTIFY_SOCKET")], [], "variables of the caller")


if __name__ == "__main__":
    main()
