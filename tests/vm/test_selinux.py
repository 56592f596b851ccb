# SPDX-License-Identifier: Apache-2.0
# vm: --append security=selinux --append selinux=1
"""process.selinuxLabel and linux.mountLabel where SELinux enforces selinux.cil: the workload, what is executed beside it, startContainer hooks and
the session keyring have the label, new file systems have that of mounts, and whatever cannot be applied is an error. On Linux 6.1 by procfs, on 6.12
by lsm_set_self_attr(2). AppArmor is in a machine of its own: the kernel takes one of the two (LSM_FLAG_EXCLUSIVE)."""
import ctypes
import json
import os
import stat

from common import *
from helper import helper, install_helper
from test_oci_life import Bundle, failing

HOST = "system_u:system_r:host_t:s0-s0:c0.c3"
LABEL = "system_u:system_r:container_t:s0:c0,c1"
OTHER = "system_u:system_r:other_t:s0:c0,c1"
FILES = "system_u:object_r:container_file_t:s0:c0,c1"
MOUNTS = [{"destination": "/proc", "type": "proc", "source": "proc"}]
MAPS = {"uidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}], "gidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}]}
CURRENT = "cat /proc/self/attr/current; echo; "


def selinuxfs():
    if not os.path.exists("/sys/fs/selinux/load"):
        run(["mount", "-t", "selinuxfs", "none", "/sys/fs/selinux"]).check(0)


def prepare():
    """The policy is loaded and enforced; what tests make from now on is container_file_t, as the directory that it is in."""
    selinuxfs()
    if read("/sys/fs/selinux/enforce") == "1":
        return
    policy = os.path.join(tmp(), "policy")
    run(["secilc", "-o", policy, "-f", "/dev/null", os.path.join(TOP, "tests/vm/selinux.cil")]).check(0)
    with open(policy, "rb") as file, open("/sys/fs/selinux/load", "wb", buffering=0) as load:
        load.write(file.read())
    with open("/sys/fs/selinux/enforce", "w") as file:
        file.write("1")
    for directory, directories, files in os.walk(base()):
        for path in [directory] + [os.path.join(directory, name) for name in directories + files]:
            if not os.path.islink(path):  # of a class that the policy does not define
                mark(path, "system_u:object_r:container_file_t:s0")
    equal(label(os.getpid()), HOST, "label of the tests")


def mark(path, context):
    os.setxattr(path, "security.selinux", context.encode() + b"\0", follow_symlinks=False)


def context(path):
    return os.getxattr(path, "security.selinux", follow_symlinks=False).decode().rstrip("\0")


def label(pid, name="current"):
    return read("/proc/%d/attr/%s" % (pid, name)).rstrip("\0")


def bundle(script, selinux=LABEL, mount=None, mounts=(), **process):
    prepare()
    b = Bundle("/bin/sh", "-c", script, mounts=MOUNTS + list(mounts))
    root = install_helper(b.config["root"]["path"])
    b.config["process"].update(process)
    if selinux:
        b.config["process"]["selinuxLabel"] = selinux
    if mount:
        b.config["linux"]["mountLabel"] = mount
    for name, kind in (("secret", "secret_t:s0"), ("mine", "container_file_t:s0:c0,c1"), ("foreign", "container_file_t:s0:c0,c2")):
        with open(os.path.join(root, name), "w") as file:
            file.write("told %s\n" % name)
        mark(os.path.join(root, name), "system_u:object_r:" + kind)
    b.write()
    return b


def ran(b, *options, **how):
    return b("run", "-b", b.dir, *options, "c", **how)


def inside(b, path):
    return "/proc/%d/root%s" % (b.state()["pid"], path)


def refused_exec(result, words):
    equal(result.status, 255, "status: %r\n    status" % result)
    contains(result.stderr, words, "stderr")


@test(root=True, timeout=300)
def test_no_policy_is_loaded():
    # Before one is, the kernel takes every label for its own first one and says nothing.
    selinuxfs()
    equal(label(os.getpid()), "kernel", "label without a policy")
    for field, place in (("process.selinuxLabel", "process"), ("linux.mountLabel", "linux")):
        b = Bundle("/bin/true")
        b.config[place][field.split(".")[1]] = LABEL
        b.write()
        with b:
            result = ran(b)
            failing(result, "config.json: %s: '%s'" % (field, LABEL))
            contains(result.stderr, "[lsm-absent]", "remedy")
    with Bundle() as b:
        b.made()
        b("start", "c").check(0)
        refused_exec(b("exec", "--process-label", LABEL, "c", "/bin/true"), "--process-label " + LABEL)


@test(root=True, timeout=300)
def test_the_label_holds():
    for nnp in (True, False):
        with bundle(CURRENT + "cat /mine /secret; cat /foreign; kill -0 1", noNewPrivileges=nnp) as b:
            result = ran(b).check(0)
            equal(result.stdout, LABEL + "\ntold mine\n", "label inside, and what it may read")
            contains(result.stderr, "/secret': Permission denied", "a file of another type")
            contains(result.stderr, "/foreign': Permission denied", "a file of other categories")
    with bundle(CURRENT + "cat /mine /secret /foreign", selinux=None) as b:
        equal(ran(b).check(0).stdout, HOST + "\ntold mine\ntold secret\ntold foreign\n", "without a label")


@test(root=True, timeout=300)
def test_gate_and_exec():
    with bundle("sleep 600 & wait") as b:
        b.made()
        pid = b.state()["pid"]
        equal((label(pid), label(pid, "exec")), (HOST, ""), "label of a container that was not started")
        b("start", "c").check(0)
        wait_for(lambda: label(pid) == LABEL, "the label of the workload, from outside")
        wait_for(lambda: [label(child) for child in descendants(pid)] == [LABEL], "the label of its child")
        result = b("exec", "c", "/bin/sh", "-c", CURRENT + "cat /mine /secret")
        equal(result.stdout, LABEL + "\ntold mine\n", "label of a further process")
        contains(result.stderr, "/secret': Permission denied", "what it is denied")
        equal(b("exec", "--process-label", OTHER, "c", "/bin/sh", "-c", CURRENT).check(0).stdout, OTHER + "\n", "--process-label")
        path = os.path.join(b.dir, "process.json")
        for own, wanted in ((OTHER, OTHER), (None, HOST)):
            process = dict(b.config["process"], args=["/bin/sh", "-c", CURRENT], selinuxLabel=own)
            if own is None:
                del process["selinuxLabel"]
            with open(path, "w") as file:
                json.dump(process, file)
            print("process file", own, b("exec", "--process", path, "c").check(0).stdout)
        process["selinuxLabel"] = "system_u:system_r:nobody_t:s0"
        with open(path, "w") as file:
            json.dump(process, file)
        refused_exec(b("exec", "--process", path, "c"), "process.selinuxLabel: system_u:system_r:nobody_t:s0")
        refused_exec(b("exec", "--process-label", "nonsense", "c", "/bin/true"), "nonsense")
        equal(b.status(), "running", "status after them")


@test(root=True, timeout=300)
def test_session_keyring():
    with bundle("/helper keyring; exec sleep 600") as b:
        b.made()
        b("start", "c").check(0)
        wait_for(b.output, "what the workload says")
        equal(b.output(), LABEL + "\n", "label of the session keyring")
        equal(b("exec", "c", "/helper", "keyring").check(0).stdout, LABEL + "\n", "label of that of a further process")
    with bundle("/helper keyring", selinux=None) as b:
        equal(ran(b).check(0).stdout, HOST + "\n", "without a label")


@test(root=True, timeout=300)
def test_mount_label():
    mounts = [{"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
              {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
              {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777"]},
              {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
              {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]},
              {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]},
              {"destination": "/etc", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]},
              {"destination": "/bound", "type": "bind", "source": tmp("bound"), "options": ["rbind"]}]
    script = "for d in /dev /dev/shm /etc; do touch $d/new && echo made $d; done; touch /dev/mqueue/q && echo queue; ls /home/masked; echo end; exec sleep 600"
    for maps in ({}, MAPS):
        with bundle(script, mount=FILES, mounts=mounts) as b:
            os.makedirs(b.config["root"]["path"] + "/home/masked/below", exist_ok=True)
            b.config["linux"].update(maskedPaths=["/home/masked", "/proc/kcore"], **maps)
            if maps:
                b.config["linux"]["namespaces"].append({"type": "user"})
                b.config["root"]["path"] = install_helper(rootfs(owner="100000:100000"))
            b.write()
            b.made()
            b("start", "c").check(0)
            wait_for(lambda: "end" in b.output(), "the end of what it makes")
            print(maps, b.output())
            for path in ("/dev", "/dev/pts", "/dev/pts/ptmx", "/dev/shm", "/dev/mqueue", "/etc", "/etc/passwd", "/dev/shm/new", "/dev/null", "/home/masked", "/proc", "/sys", "/sys/fs/cgroup", "/bound", "/"):
                print(path, context(inside(b, path)))


@test(root=True, timeout=300)
def test_labels_that_are_refused():
    for wrong in ("system_u:system_r:nobody_t:s0", "nobody_u:system_r:container_t:s0", "system_u:system_r:container_t:s0:c9", "container_t"):
        with bundle("echo no", selinux=wrong) as b:
            result = ran(b)
            failing(result, "process.selinuxLabel: " + wrong)
            contains(result.stderr, "[selinux-context]", "remedy")
            equal(result.stdout, "", "output")
        with bundle("echo no", mount=wrong, mounts=[{"destination": "/dev/shm", "type": "tmpfs", "source": "shm"}]) as b:
            result = ran(b)
            print(result.stderr)
            failing(result, "linux.mountLabel: " + wrong)
            contains(result.stderr, "[selinux-context]", "remedy")


@test(root=True, timeout=300)
def test_transitions():
    def labelled(kind, nnp):
        text = "system_u:system_r:%s:s0" % kind
        with bundle(CURRENT, selinux=text, noNewPrivileges=nnp) as b:
            result = ran(b)
            if kind == "closed_t" or (kind == "strict_t" and nnp):
                print(result.status, result.stderr)
                failing(result, "process.selinuxLabel")
                equal(result.stdout, "", "output")
            else:
                equal(result.check(0).stdout, text + "\n", "label")
    for kind in ("strict_t", "bounded_t", "closed_t"):
        for nnp in (True, False):
            labelled(kind, nnp)


@test(root=True, timeout=300)
def test_hooks():
    with bundle("exec sleep 600") as b:
        out = os.path.join(b.config["root"]["path"], "hooks")
        open(out, "w").close()
        for kind in ("prestart", "createRuntime", "createContainer", "poststart"):
            b.hook(kind, "echo %s $(tr -d '\\0' </proc/self/attr/current) >>%s\n" % (kind, out))
        with open(b.config["root"]["path"] + "/start", "w") as file:
            file.write("#!/bin/sh\necho startContainer $(tr -d '\\0' </proc/self/attr/current) >>/hooks; cat /secret >>/hooks; exit 0\n")
        os.chmod(b.config["root"]["path"] + "/start", 0o755)
        b.config["hooks"]["startContainer"] = [{"path": "/start"}]
        b.write()
        b.made()
        b("start", "c").check(0)
        with open(out) as file:
            print(file.read())


@test(root=True, timeout=300)
def test_a_faked_proc_takes_no_label():
    with bundle("exec sleep 600") as b:
        b.config["mounts"] = []
        b.write()
        fakes = [os.path.join(b.config["root"]["path"], "proc", place, "attr", name) for place in ("self", "thread-self", "1") for name in ("exec", "keycreate")]
        for fake in fakes:
            os.makedirs(os.path.dirname(fake), exist_ok=True)
            open(fake, "w").close()
        b.made()
        b("start", "c").check(0)
        wait_for(lambda: label(b.state()["pid"]) == LABEL, "the label of the workload")
        equal([os.path.getsize(fake) for fake in fakes], [0] * len(fakes), "what was written to fakes")


if __name__ == "__main__":
    main()
