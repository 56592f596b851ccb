# SPDX-License-Identifier: Apache-2.0
# vm: --append security=selinux --append selinux=1
"""process.selinuxLabel and linux.mountLabel where SELinux enforces selinux.cil: the workload, what is executed beside it, startContainer hooks and
the session keyring have the label, new file systems have that of mounts, and whatever cannot be applied is an error. On Linux 6.1 by procfs, on 6.12
by lsm_set_self_attr(2). AppArmor is in a machine of its own: the kernel takes one of the two (LSM_FLAG_EXCLUSIVE)."""
import json
import os
import stat

from common import *
from helper import install_helper
from test_oci_life import Bundle, failing

HOST = "system_u:system_r:host_t:s0-s0:c0.c3"
LABEL = "system_u:system_r:container_t:s0:c0,c1"
OTHER = "system_u:system_r:other_t:s0:c0,c1"
WRONG = "system_u:system_r:nobody_t:s0"
FILES = "system_u:object_r:container_file_t:s0:c0,c1"
MOUNTS = [{"destination": "/proc", "type": "proc", "source": "proc"}]
MAPS = {"uidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}], "gidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}]}
CURRENT = "tr -d '\\0' </proc/self/attr/current; echo; "


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
            if stat.S_IFMT(os.lstat(path).st_mode) in (stat.S_IFREG, stat.S_IFDIR):  # the policy defines no other classes
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
    with open(os.path.join(b.dir, "output"), "w"):  # the directory is the test's
        pass
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
        equal((label(pid), label(pid, "exec")), (HOST, LABEL), "label of a container that was not started, and the one that it will have")
        b("start", "c").check(0)
        wait_for(lambda: label(pid) == LABEL, "the label of the workload, from outside")
        wait_for(lambda: [label(child) for child in descendants(pid)] == [LABEL], "the label of its child")
        result = b("exec", "c", "/bin/sh", "-c", CURRENT + "cat /mine /secret")
        equal(result.stdout, LABEL + "\ntold mine\n", "label of a further process")
        contains(result.stderr, "/secret': Permission denied", "what it is denied")
        equal(b("exec", "--process-label", OTHER, "c", "/bin/sh", "-c", CURRENT).check(0).stdout, OTHER + "\n", "--process-label")

        path = os.path.join(b.dir, "process.json")

        def by_file(**changes):
            process = dict(b.config["process"], args=["/bin/sh", "-c", CURRENT])
            del process["selinuxLabel"]
            process.update(changes)
            with open(path, "w") as file:
                json.dump(process, file)
            return b("exec", "--process", path, "c")
        equal(by_file(selinuxLabel=OTHER).check(0).stdout, OTHER + "\n", "label of a process object")
        equal(by_file().check(0).stdout, LABEL + "\n", "without one in the process object: the container's")
        for result in (by_file(selinuxLabel=WRONG), b("exec", "--process-label", WRONG, "c", "/bin/true")):
            refused_exec(result, "process.selinuxLabel: " + WRONG)
            contains(result.stderr, "[selinux-context]", "remedy")
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


TMPFS = {"type": "tmpfs", "source": "tmpfs"}
FILE_SYSTEMS = [
    {"destination": "/dev", **TMPFS, "options": ["nosuid", "mode=755", "size=65536k"]},
    {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
    {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777"]},
    {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
    {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]},
    {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]},
    {"destination": "/etc", **TMPFS, "options": ["tmpcopyup"]},
    {"destination": "/mem", "type": "ramfs", "source": "ramfs"},
    {"destination": "/own", **TMPFS, "options": ['context="system_u:object_r:container_file_t:s0:c0"']},
]
WRITING = "for d in /dev /dev/shm /dev/mqueue /etc /mem /own; do touch $d/new && echo $d; done; ls /home/masked; cat /etc/passwd >/dev/null && echo end; exec sleep 600"


@test(root=True, timeout=300)
def test_mount_label():
    bound = {"destination": "/bound", "type": "bind", "source": tmp("bound"), "options": ["rbind"]}
    for maps in ({}, MAPS):
        with bundle(WRITING, mount=FILES, mounts=FILE_SYSTEMS + [bound]) as b:
            if maps:
                b.config["linux"]["namespaces"].append({"type": "user"})
                b.config["root"]["path"] = install_helper(rootfs(owner="100000:100000"))
            os.makedirs(b.config["root"]["path"] + "/home/masked/below", exist_ok=True)
            b.config["linux"].update(maskedPaths=["/home/masked"], **maps)
            b.write()
            b.made()
            b("start", "c").check(0)
            wait_for(lambda: "end" in b.output(), "the end of what it makes")
            equal(b.output().split(), ["/dev", "/dev/shm", "/dev/mqueue", "/etc", "/mem", "/own", "end"], "where it may write, and nothing where a mask is")
            labelled = ["/dev", "/dev/pts", "/dev/pts/ptmx", "/dev/shm", "/dev/shm/new", "/dev/mqueue", "/etc", "/etc/passwd", "/mem", "/home/masked"]
            equal({path: context(inside(b, path)) for path in labelled}, dict.fromkeys(labelled, FILES), "labels of new file systems")
            equal(context(inside(b, "/own")), "system_u:object_r:container_file_t:s0:c0", "that of a mount that says its own")
            others = ["/", "/bound"]
            equal({path: context(inside(b, path)) for path in others}, dict.fromkeys(others, "system_u:object_r:container_file_t:s0"), "what has labels stays")
            shared = ["/proc", "/sys", "/sys/fs/cgroup"]
            equal({path: context(inside(b, path)) for path in shared}, dict.fromkeys(shared, "system_u:object_r:host_file_t:s0"), "the kernel's own")
    with bundle(WRITING, mounts=FILE_SYSTEMS) as b:
        b.config["linux"]["maskedPaths"] = ["/home/masked"]
        b.write()
        b.made()
        b("start", "c").check(0)
        wait_for(lambda: "end" in b.output(), "the end of what it makes")
        equal(b.output().split(), ["/own", "end"], "where it may write without mountLabel")


@test(root=True, timeout=300)
def test_labels_that_are_refused():
    for wrong in (WRONG, "nobody_u:system_r:container_t:s0", "system_u:system_r:container_t:s0:c9", "container_t", LABEL + "\n", "\n"):
        with bundle("echo no", selinux=wrong) as b:
            result = ran(b)
            failing(result, "process.selinuxLabel: " + wrong.replace("\n", "\\x0a"))
            contains(result.stderr, "[selinux-context]", "remedy")
            equal(result.stdout, "", "output")
    for place, mounts, masked in (("mounts[1]", FILE_SYSTEMS[:1], []), ("mounts[1]", FILE_SYSTEMS[7:8], []), ("mounts[1]: mqueue", FILE_SYSTEMS[3:4], []), ("linux.maskedPaths", [], ["/home"])):
        with bundle("echo no", mount=WRONG, mounts=mounts) as b:
            b.config["linux"]["maskedPaths"] = masked
            b.write()
            result = ran(b)
            failing(result, "linux.mountLabel: " + WRONG)
            contains(result.stderr, "[selinux-context]", "remedy")
            contains(result.stderr, place, "what it was for")
            equal(result.stdout, "", "output")


@test(root=True, timeout=300)
def test_transitions():
    """What execve(2) itself decides: the file as an entrypoint, and no_new_privs."""
    for kind, nnp, allowed in (("strict_t", False, True), ("strict_t", True, False), ("bounded_t", True, True), ("closed_t", False, False)):
        text = "system_u:system_r:%s:s0" % kind
        with bundle(CURRENT, selinux=text, noNewPrivileges=nnp) as b:
            result = ran(b)
            if allowed:
                equal(result.check(0).stdout, text + "\n", "label")
            else:
                failing(result, "process.selinuxLabel: %s: /bin/sh: %s" % (text, "operation not permitted" if nnp else "permission denied"))
                contains(result.stderr, "[label-exec]", "remedy")
                equal(result.stdout, "", "output")


@test(root=True, timeout=300)
def test_nsrun_that_may_not_label():
    with bundle("echo no") as b:
        nsrun_is = ["/bin/sh", "-c", 'printf %s "$0" >/proc/self/attr/exec && exec "$@"', "system_u:system_r:weak_t:s0-s0:c0.c3", binary(), "--root", b.root]
        result = run(nsrun_is + ["run", "-b", b.dir, "c"])
        failing(result, "process.selinuxLabel: " + LABEL)
        contains(result.stderr, "[lsm-denied]", "remedy")
        del b.config["process"]["selinuxLabel"]
        b.write()
        equal(run(nsrun_is + ["run", "-b", b.dir, "c"]).check(0).stdout, "no\n", "without a label")


@test(root=True, timeout=300)
def test_hooks():
    with bundle("exec sleep 600") as b:
        out = os.path.join(b.config["root"]["path"], "hooks")
        with open(out, "w"):
            pass
        for kind in ("prestart", "createRuntime", "createContainer", "poststart"):
            b.hook(kind, "echo %s $(tr -d '\\0' </proc/self/attr/current) >>%s\n" % (kind, out))
        # Its program is the image's.
        with open(b.config["root"]["path"] + "/start", "w") as file:
            file.write("#!/bin/sh\n(echo startContainer; %s cat /secret; /helper keyring) >>/hooks; exit 0\n" % CURRENT)
        os.chmod(b.config["root"]["path"] + "/start", 0o755)
        b.config["hooks"]["startContainer"] = [{"path": "/start"}]
        b.write()
        b.made()
        b("start", "c").check(0)
        equal(read(out).split(), ["prestart", HOST, "createRuntime", HOST, "createContainer", HOST, "startContainer", LABEL, LABEL, "poststart", HOST],
              "labels of hooks")
    with bundle("echo no", selinux="system_u:system_r:closed_t:s0") as b:
        b.config["hooks"] = {"startContainer": [{"path": "/bin/true"}]}
        b.write()
        failing(ran(b), "startContainer hook /bin/true: ")
    for path in (out, os.path.dirname(out) + "/start"):
        os.unlink(path)


@test(root=True, timeout=300)
def test_a_faked_proc_takes_no_label():
    with bundle("exec sleep 600") as b:
        b.config["mounts"] = []
        b.write()
        fakes = [os.path.join(b.config["root"]["path"], "proc", place, "attr", name) for place in ("self", "thread-self", "1") for name in ("exec", "keycreate")]
        for fake in fakes:
            os.makedirs(os.path.dirname(fake), exist_ok=True)
            with open(fake, "w"):
                pass
        b.made()
        b("start", "c").check(0)
        wait_for(lambda: label(b.state()["pid"]) == LABEL, "the label of the workload")
        equal([os.path.getsize(fake) for fake in fakes], [0] * len(fakes), "what was written to fakes")


@test(root=True, timeout=300)
def test_the_line():
    """Without a bundle labels are not built: the words are refused, also the one that would relabel a volume."""
    prepare()
    tree = rootfs(private=True)
    refused_anyhow(nsrun(["--trust-rootfs", "--security-opt", "label=type:container_t", tree, "/bin/true"]), "[not-built]")
    for word in ("z", "Z"):
        refused_anyhow(nsrun(["--trust-rootfs", "--volume", "%s:/v:ro,%s" % (tmp("v"), word), tree, "/bin/true"]), "[selinux-label]")
    equal(nsrun(["--trust-rootfs", tree, "/bin/sh", "-c", CURRENT]).check(0).stdout, HOST + "\n", "label of a container without a bundle")


def refused_anyhow(result, words):
    equal(result.status, 125, "status: %r\n    status" % result)
    contains(result.stderr, words, "stderr")


if __name__ == "__main__":
    main()
