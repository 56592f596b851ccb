# SPDX-License-Identifier: Apache-2.0
"""--spec: the config.json that it prints makes the same container under runc and crun, as the probe sees it. What differs is the
engines' own way, listed below with its reason; everything else is equal."""
import json
import os
import re
import shutil
import subprocess

from harness import *
from test_limit_options import disk, running, v1_mount
from test_probe import normalise

ENGINES = ("runc", "crun")
# Where cgroup v1 is mounted beside v2, crun refuses to run at all; it takes what it finds at /sys/fs/cgroup.
RUN = r"""
set -eu
mount --make-rprivate /
v2=$(awk '{ for (i = 1; i <= NF; i++) if ($i == "-" && $(i + 1) == "cgroup2") { print $5; exit } }' /proc/self/mountinfo)
[ -z "$v2" ] || [ "$v2" = /sys/fs/cgroup ] || mount --bind "$v2" /sys/fs/cgroup
exec "$@"
"""


def spec(options, words=("/probe",), user=None, tree=None):
    tree = tree or rootfs(owner=dummy(), with_probe=True)
    result = nsrun(["--userns-remap", dummy().name, "--spec", "--hostname", "nsrun", *options, tree, *words], user=user).check(0)
    return json.loads(result.stdout), result.stderr


def engine_run(engine, config):
    bundle = tmp("bundle-" + engine)
    with open(os.path.join(bundle, "config.json"), "w") as file:
        json.dump(config, file)
    name = "nsrun-test-%d-%s" % (os.getpid(), os.path.basename(os.path.dirname(bundle)))
    # Not /dev/null: crun gives its standard streams to the container's user, by fchown(2).
    return run(["unshare", "--mount", "sh", "-c", RUN, "sh", engine, "--root", tmp("state-" + engine, 0o700), "run", "--bundle", bundle, name],
               input=b"")


def comparable(raw):
    """The probe's print without what the specification leaves to the engine."""
    out = normalise(dict(raw, hostname="0" * 12), None)
    out["hostname"] = raw["hostname"]
    for key, reason in {
            "parent_death_signal": "no word in config.json: an engine's container outlives it",
            "fds": "the engine's own pipes",
            "cgroup": "the engine names the group",
            "session_keyring": "named after the container"}.items():
        del out[key], reason
    out["dev"] = [entry for entry in out["dev"] if not entry.startswith("/dev/core ")]  # crun makes that link
    mounts = set()
    for line in out["mountinfo"]:
        head, _, tail = line.partition(": ")
        target, fstype, options = head.split(" ")[:3]
        if target in ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf"):  # made at launch; an engine of images makes its own
            continue
        options = set(options.split(",")) - {"relatime"}
        if target == "/":  # has no mount options in config.json
            options -= {"nosuid", "nodev"}
            tail = "ROOTFS"
        elif fstype == "HOST" or target not in ("/proc", "/sys", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/data", "/t"):
            # nodes, masks and read-only paths: how they are covered and with which further options is the engine's way
            options &= {"ro"} if fstype == "proc" else set()
            tail = re.sub(r" .*", "", tail)
        else:
            tail = re.sub(r"\b(ro|rw)\b,?", "", tail)  # the superblock's own, which the mount's options cover
        mounts.add("%s %s %s %s" % (target, fstype, ",".join(sorted(options)), tail))
    out["mountinfo"] = sorted(mounts)
    return out


def compare(options, words=("/probe",)):
    before = nodes()
    config, _ = spec(options, words)
    tree = rootfs(owner=dummy(), with_probe=True)
    own = nsrun(["--userns-remap", dummy().name, "--hostname", "nsrun", *options, tree, *words], stdin=None).check(0)
    wanted = comparable(json.loads(own.stdout))
    for engine in ENGINES:
        result = engine_run(engine, config)
        check(result.status == 0, "%s: %r" % (engine, result))
        got = comparable(json.loads(result.stdout))
        wrong = {key: (wanted.get(key), got.get(key)) for key in sorted(set(wanted) | set(got)) if wanted.get(key) != got.get(key)}
        if "mountinfo" in wrong:
            a, b = wrong["mountinfo"]
            wrong["mountinfo"] = ([m for m in a if m not in b], [m for m in b if m not in a])
        check(not wrong, "%s %s: nsrun, then %s: %r" % (engine, " ".join(options), engine, wrong))
        equal(nodes(), before, engine)


CASES = {
    "plain": [],
    "user": ["-u", "1000:1000"],
    "user-by-name": ["-u", "root"],
    "read-only": ["--read-only"],
    "caps": ["--cap-add", "NET_RAW", "--cap-drop", "CHOWN"],
    "no-caps": ["--cap-drop", "ALL"],
    "new-privileges": ["--security-opt", "no-new-privileges=false"],
    "unconfined": ["--security-opt", "seccomp=unconfined"],
    "docker-profile": ["--security-opt", "seccomp=docker"],
    "ulimit": ["--ulimit", "nofile=512:1024", "--ulimit", "core=0"],
    "process": ["--umask", "077", "--group-add", "tty", "--sysctl", "net.ipv4.ip_forward=1", "--oom-score-adj", "200"],
    "privileged": ["--privileged"],
    "tmpfs": ["--tmpfs", "/t:size=1m,mode=700,uid=5,gid=6,nr_inodes=100", "--shm-size", "1m"],
    "masks": ["--masked-path", "/etc/hostname", "--security-opt", "unmask=/proc/softirqs"],
    "environment": ["-e", "A=b c", "-e", "HOME=/tmp", "-w", "/tmp"],
}


@generate(root=True)
def same_under_engines():
    for name, options in CASES.items():
        yield name, lambda options=options: (needs_program(*ENGINES), compare(options))


@test(root=True)
def test_limits_and_names():
    config, _ = spec(["-m", "64m", "--pids-limit", "20", "--cpus", "0.5"])
    resources = config["linux"]["resources"]
    equal(resources["memory"], {"limit": 64 << 20, "swap": 64 << 20}, "memory")
    equal(resources["pids"], {"limit": 20}, "pids")
    equal(resources["cpu"], {"quota": 50000, "period": 100000}, "cpu")
    equal(config["linux"]["uidMappings"], [{"containerID": 0, "hostID": 100000, "size": 65536}], "uidMappings")
    equal([ns["type"] for ns in config["linux"]["namespaces"]], ["user", "mount", "pid", "network", "ipc", "uts", "cgroup"], "namespaces")


HELD = ("memory.limit_in_bytes memory.soft_limit_in_bytes memory.memsw.limit_in_bytes memory.max memory.low memory.swap.max cpu.shares "
        "cpu.cfs_quota_us cpu.cfs_period_us cpu.max cpuset.cpus cpuset.mems pids.max blkio.throttle.read_bps_device "
        "blkio.throttle.write_iops_device io.max hugetlb.2MB.max hugetlb.2MB.limit_in_bytes cgroup.max.depth").split()


def held(groups):
    """What these groups say of limits."""
    out = {}
    for group in groups:
        for name in HELD:
            path = os.path.join(group, name)
            if os.path.exists(path):
                with open(path) as file:
                    out.setdefault(name, file.read().strip())
    return out


@generate(root=True)
def same_limits_under_engines():
    """The engine writes the same into its group's files, as far as it can on this host: beside v1 hierarchies crun refuses to run, and what
    takes v2 is shown in the v2 hierarchy alone, where runc and crun then take the host for one of pure v2."""
    def one(engine, options, alone):
        needs_program(engine)
        words = ["/bin/sh", "-c", "echo up; exec cat"]
        with running(options) as (groups, _pid, _process):
            wanted = held(groups)
        bundle, name = tmp("bundle-" + engine), "nsrun-limits-%d-%s" % (os.getpid(), engine)
        with open(os.path.join(bundle, "config.json"), "w") as file:
            json.dump(spec(options, words)[0], file)
        command = [engine, "--root", tmp("state-" + engine, 0o700), "run", "--bundle", bundle, name]
        if alone:
            command = ["unshare", "--mount", "sh", "-c", RUN, "sh", *command]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            line = process.stdout.readline()
            got = held(path for top in cgroup_mounts() for path, _, _ in os.walk(top) if os.path.basename(path) == name)
            err = process.communicate(timeout=20)[1]
        equal((line, process.returncode), (b"up\n", 0), "%s, stderr: %r" % (engine, err))
        wanted = {file: text for file, text in wanted.items() if file in got or any(word in file for word in ("memory.limit", "memory.max", "2MB"))}
        equal({file: got.get(file) for file in wanted}, wanted, engine)
        check(len(wanted) >= 2, "hardly any file was compared: %r" % wanted)

    v1 = v1_mount("memory")
    usual = "-m 64m --memory-reservation 32m --cpus 0.5 --cpuset-cpus 0 --cpuset-mems 0 --pids-limit 50"
    for engine in ENGINES:
        if not v1 or engine == "runc":
            yield engine, lambda engine=engine: one(engine, usual.split(), False)
            yield engine + " disk", lambda engine=engine: with_disk(lambda path: one(
                engine, ["-m", "64m", "--device-read-bps", path + ":1m", "--device-write-iops", path + ":100"], False))
        yield engine + " v2", lambda engine=engine: one(engine, "--hugetlb 2m=64m --cgroup cgroup.max.depth=9".split(), True)


def with_disk(function):
    with disk() as (path, _numbers):
        function(path)


@test(root=True)
def test_filter_is_the_same():
    """Not only a filter: the answers to each denied call."""
    from helper import helper, pairs
    needs_program(*ENGINES)
    tree = rootfs(owner=dummy(), fresh=True)
    shutil.copy(helper(), os.path.join(tree, "helper"))
    own = nsrun(["--userns-remap", dummy().name, "--hostname", "nsrun", tree, "/helper", "syscalls"]).check(0)
    config, _ = spec([], ["/helper", "syscalls"], tree=tree)
    wanted = pairs(own.stdout)
    check(len(wanted) > 30, "the helper said %r" % wanted)
    for engine in ENGINES:
        got = pairs(engine_run(engine, config).check(0).stdout)
        wrong = {call: (answer, got.get(call)) for call, answer in wanted.items() if got.get(call) != answer}
        # libseccomp of these engines kills nothing by itself: a foreign ABI is refused or killed by their own rule
        for foreign in ("int80", "x32"):
            wrong.pop(foreign, None)
        check(not wrong, "%s answers differently: %r" % (engine, wrong))


@test(root=True)
def test_a_volume():
    """Of the range's own files, which every engine can bind."""
    volume = tmp("volume", 0o700, owner=(100000, 100000))
    with open(os.path.join(volume, "file"), "w") as file:
        file.write("text\n")
    os.chown(os.path.join(volume, "file"), 100000, 100000)
    words = ["/bin/sh", "-c", "cat /data/file; touch /data/new 2>&1; id -u"]
    config, _ = spec(["-v", volume + ":/data:ro"], words)
    mounts = [mount for mount in config["mounts"] if mount["destination"] == "/data"]
    equal(len(mounts), 1, "mounts at /data")
    check("ro" in mounts[0]["options"] and mounts[0]["source"] == volume, "the mount: %r" % mounts[0])


@test(root=True)
def test_mounts():
    for name in ("one", "two", "upper", "work"):
        tmp(name, owner=(100000, 100000))
    top = tmp()
    config, told = spec(["-v", top + "/one:/data:noexec,nosymfollow,rslave", "-v", top + "/one:/ids:idmap=uids=@100000-3-1;gids=@100000-4-1", "--mount",
                         "type=overlay,lowerdir={0}/one:{0}/two,upperdir={0}/upper,workdir={0}/work,dst=/o".format(top)])
    mounts = {mount["destination"]: mount for mount in config["mounts"]}
    equal(sorted(mounts["/data"]["options"]), ["nodev", "noexec", "nosuid", "nosymfollow", "rbind", "rslave"], "/data")
    equal(mounts["/ids"]["uidMappings"], [{"containerID": 100000, "hostID": 100003, "size": 1}], "/ids")
    check("lowerdir={0}/one:{0}/two".format(top) in mounts["/o"]["options"] and "upperdir=%s/upper" % top in mounts["/o"]["options"], "%r" % mounts["/o"])
    check("overlay" not in told, told)
    contains(spec(["-v", top + "/one:/o:O"])[1], "overlay", "what is told")


@test(root=True)
def test_nothing_is_made_and_what_is_missing_is_told():
    tree = rootfs(private=True)
    result = nsrun(["--spec", "--init", "--ephemeral", tree, "/bin/true"]).check(0)
    config = json.loads(result.stdout)
    check(config["linux"]["uidMappings"][0]["size"] == 65536, "an auto range is exact: %r" % config["linux"]["uidMappings"])
    told = json.loads(config["annotations"]["org.nsrun.not-expressed"])
    for words in ("idmapped", "--init", "--ephemeral"):
        contains(" ".join(told), words, "annotation")
        contains(result.stderr, words, "stderr")


@test(root=True)
def test_words_that_are_no_json():
    result = nsrun(["--userns-remap", dummy().name, "--spec", rootfs(owner=dummy()), "/bin/echo", b"\xff\xfe"])
    equal(result.status, 125, "exit status")
    contains(result.stderr, "UTF-8", "stderr")


if __name__ == "__main__":
    main()
