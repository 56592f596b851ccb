# SPDX-License-Identifier: Apache-2.0
"""What waits for start has nothing left to give up: ids, capabilities, descriptors, no_new_privs, the filter and the labels are the workload's by the end of create,
for every caller and in both orders of filter and credentials; the hooks of start have the same; what fails before the gate is told by create, what
fails behind it by start."""
import itertools
import json
import os
import signal
import subprocess

from harness import *
from test_oci_life import Bundle, failing

PROC = {"destination": "/proc", "type": "proc", "source": "proc"}
WANTED = ["CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
MASK = 1 << 0 | 1 << 5 | 1 << 10
MAP = [{"containerID": 0, "hostID": 100000, "size": 65536}]
FILTER = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}
SEEN = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")
KINDS = {"host": None, "remapped": None, "ranges": ranger, "single id": single}


def status_of(pid):
    with open("/proc/%s/status" % pid) as file:
        return dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)


def descriptors(pid):
    names = sorted((int(name) for name in os.listdir("/proc/%d/fd" % pid)))
    return [(name, os.readlink("/proc/%d/fd/%d" % (pid, name))) for name in names]


class Of(Bundle):
    """A bundle of this kind of caller, with a place that both sides see at /seen."""

    def __init__(self, kind, *argv, uid=0, new_privs=False, filter=None):
        self.who = KINDS[kind]() if KINDS[kind] else None
        super().__init__(*argv, mounts=[PROC])
        process, linux = self.config["process"], self.config["linux"]
        process.update(user={"uid": uid, "gid": uid}, noNewPrivileges=not new_privs,
                       capabilities={name: WANTED for name in ("bounding", "effective", "permitted", "inheritable")})
        if filter:
            linux["seccomp"] = filter
        self.base = 0
        if kind == "remapped":
            linux["namespaces"].append({"type": "user"})
            linux.update(uidMappings=MAP, gidMappings=MAP)
            self.base = 100000
        elif self.who:
            entry = user(self.who)
            ids = [(0, entry.uid, entry.gid, 1)] + ([(1, 300000, 300000, 65535)] if kind == "ranges" else [])
            linux["namespaces"].append({"type": "user"})
            for at, key in ((1, "uidMappings"), (2, "gidMappings")):
                linux[key] = [{"containerID": first, "hostID": host[at - 1], "size": size} for first, *host, size in ids]
            self.base = entry.uid
            for path in (self.dir, os.path.dirname(self.root)):
                os.chown(path, entry.uid, entry.gid)
        self.owner = self.base
        self.config["root"]["path"] = rootfs(owner="%d:%d" % (self.owner, self.owner)) if self.base else rootfs(private=True)
        self.seen = os.path.join(self.dir, "seen")
        os.makedirs(self.seen, exist_ok=True)
        os.chmod(self.seen, 0o777)
        self.config["mounts"].append({"destination": "/tmp", "type": "bind", "source": self.seen, "options": ["bind"]})
        self.write()

    def host(self, uid):
        """The host's number of an id of the container's."""
        return 300000 + uid - 1 if self.who and uid else self.base + uid

    def __call__(self, *words, **how):
        return super().__call__(*words, user=self.who, **how)

    def create(self, name="c", *options, **how):
        with open(os.path.join(self.dir, "output"), "ab") as out, open(os.path.join(self.dir, "errors"), "w+b") as errors:
            process = subprocess.Popen([binary(), "--root", self.root, "create", "-b", self.dir, *options, name], stdin=subprocess.DEVNULL,
                                       stdout=out, stderr=errors, env=environment(self.who), **run_as(self.who), **how)
            status = process.wait(timeout=20 * SLOW)
            errors.seek(0)
            self.errors = errors.read().decode()
        return status


def confined(kind, uid, new_privs, filter):
    """The same at the gate, in a hook of start, and in what is executed."""
    script = "cat /proc/self/status > /tmp/%s; readlink /proc/self/cwd >> /tmp/%s"
    with Of(kind, "/bin/sh", "-c", script % ("workload", "workload") + "; exec sleep 60", uid=uid, new_privs=new_privs, filter=filter) as b:
        b.config["hooks"] = {"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", script % ("hook", "hook")], "env": ["PATH=/bin:/usr/bin"]}]}
        b.config["process"]["cwd"] = "/tmp"
        b.write()
        b.made()
        pid = b.state()["pid"]
        gate = status_of(pid)
        equal(gate["Uid"].split(), [str(b.host(uid))] * 4, "ids at the gate")
        equal(gate["Gid"].split(), [str(b.host(uid))] * 4, "group ids at the gate")
        for name in ("CapPrm", "CapEff", "CapBnd", "CapInh"):
            equal(int(gate[name], 16), MASK, "%s at the gate" % name)
        equal((gate["NoNewPrivs"], gate["Seccomp"], gate["Threads"]), ("0" if new_privs else "1", "2" if filter else "0", "1"), "at the gate")
        fds = descriptors(pid)
        equal([fd for fd, _ in fds], [0, 1, 2, 3, 4], "descriptors at the gate: %s\n    descriptors" % fds)
        equal((fds[3][1][:7], fds[4][1]), ("socket:", os.path.join(b.place(), "gate")), "descriptors at the gate")
        equal(os.readlink("/proc/%d/cwd" % pid), "/tmp", "working directory at the gate")
        equal(os.stat("/proc/%d/environ" % pid).st_uid, 0, "owner of its files: it is not dumpable")
        with open("/proc/%d/stat" % pid) as file:
            fields = file.read().rsplit(")", 1)[1].split()
        equal(int(fields[3]), pid, "leader of a session of its own")
        b("start", "c").check(0)
        said = {}
        for name in ("hook", "workload"):
            path = os.path.join(b.seen, name)
            wait_for(lambda: os.path.exists(path) and open(path).read().endswith("/tmp\n"), name)
            with open(path) as file:
                said[name] = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
        for key in SEEN:
            equal(said["hook"][key], said["workload"][key], "%s of the hook and of the workload" % key)
            if key not in ("Uid", "Gid", "Groups", "CapPrm", "CapEff", "CapAmb"):  # in the container's numbers; execve(2) computes the others
                equal(said["workload"][key], gate[key], "%s of the workload and at the gate" % key)
        check(not int(said["hook"]["CapPrm"], 16) & ~MASK, "the hook's capabilities: %s" % said["hook"]["CapPrm"])


@generate(root=True)
def at_the_gate():
    for kind, uid, new_privs, filter in itertools.product(KINDS, (0, 1000), (False, True), (None, FILTER)):
        if kind == "single id" and uid:
            continue
        if new_privs and filter is None and kind != "host":
            continue
        yield "%s, uid %d, %s, %s" % (kind, uid, "new privileges" if new_privs else "no new privileges", "filter" if filter else "no filter"), \
            lambda kind=kind, uid=uid, new_privs=new_privs, filter=filter: confined(kind, uid, new_privs, filter)


@test(root=True)
def test_preserved_descriptors_stay_alone():
    with Of("host", "/bin/sh", "-c", "cat <&3; exec sleep 60", filter=FILTER) as b:
        reader, writer = os.pipe()
        os.write(writer, b"given\n")
        os.close(writer)
        os.set_inheritable(reader, True)

        def place():
            os.dup2(reader, 3)
            os.dup2(reader, 7)
        b.made("c", "--preserve-fds", "1", preexec_fn=place, close_fds=False)
        os.close(reader)
        fds = descriptors(b.state()["pid"])
        equal([fd for fd, _ in fds], [0, 1, 2, 3, 4, 5], "descriptors: %s\n    descriptors" % fds)
        equal((fds[3][1][:5], fds[5][1]), ("pipe:", os.path.join(b.place(), "gate")), "descriptors")
        b("start", "c").check(0)
        wait_for(lambda: b.output() == "given\n", "what was in the pipe")


# ---- the filter ---------------------------------------------------------------------------------------------------------

def only(*names, **more):
    return {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": list(names), "action": "SCMP_ACT_ALLOW"}], **more}


LEAST = ("execve", "read", "write")


@generate(root=True)
def least():
    """A filter that permits no more than the gate takes, and kills for everything else."""
    for new_privs, action in itertools.product((False, True), ("SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS")):
        def one(new_privs=new_privs, action=action):
            words = LEAST + (("capset",) if new_privs else ())
            with Of("host", "/bin/true", new_privs=new_privs, filter={**only(*words), "defaultAction": action}) as b:
                b.made()
                equal((b.status(), status_of(b.state()["pid"])["Seccomp"]), ("created", "2"), "at the gate")
                b("start", "c").check(0)  # what /bin/true can do is its own affair
                b.stopped()
                b("delete", "c").check(0)
                b.made()
                b("kill", "c", "KILL").check(0)
                b.stopped()
        yield "%s, %s" % (action, "new privileges" if new_privs else "no new privileges"), one


@test(root=True)
def test_filter_that_forbids_to_wait():
    for missing in ("read", "write"):
        with Of("host", "/bin/true", filter=only(*(set(LEAST) - {missing}), "exit_group")) as b:
            equal(b.create(), 1, "status")
            contains(b.errors, "linux.seccomp: the profile denies %s(2), by which init waits for start" % missing, "stderr")
            contains(b.errors, "seccomp-gate", "stderr")
            equal(b.ids(), [], "names")
            # without a gate nothing of it is wanted
            check("seccomp" not in b("run", "-b", b.dir, "c").stderr, "run waits for no start")


@test(root=True)
def test_filter_that_forbids_hooks():
    with Of("host", "/bin/true", filter={"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["pipe2"], "action": "SCMP_ACT_ERRNO"}]}) as b:
        b.config["hooks"] = {"startContainer": [{"path": "/bin/true"}]}
        b.write()
        equal(b.create(), 1, "status")
        contains(b.errors, "denies pipe2(2), by which init runs hooks.startContainer", "stderr")
        failing(b("run", "-b", b.dir, "c"), "denies pipe2(2), by which init runs hooks.startContainer")


@generate(root=True)
def errors_under_the_filter():
    """The tape tells them, whatever the filter denies."""
    for new_privs in (False, True):
        def one(new_privs=new_privs):
            with Of("host", "/broken", new_privs=new_privs, filter=only(*LEAST, "capset", "exit_group")) as b:
                path = os.path.join(b.config["root"]["path"], "broken")
                with open(path, "w") as file:
                    file.write("no program")
                os.chmod(path, 0o755)
                b.made()
                started = b("start", "c")
                failing(started, "/broken")
                contains(started.stderr, "workload.exec (workload)", "the row")
                b.stopped()
                os.unlink(path)
        yield "new privileges" if new_privs else "no new privileges", one


@test(root=True)
def test_conditions_on_arguments():
    """What resolve cannot foresee is told by create, with the row: here read(2) is denied for the channel."""
    rule = {"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 3, "op": "SCMP_CMP_EQ"}]}
    with Of("host", "/bin/true", filter={"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}) as b:
        b.create()
        wait_for(lambda: not b.ids() or b.status() == "stopped", "the end of init")
    rule["names"] = ["write"]
    with Of("host", "/bin/true", filter={"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}) as b:
        equal(b.create(), 1, "status")
        contains(b.errors, "sync.ready (init)", "the row")
        contains(b.errors, "seccomp-gate", "the cause")
        equal(b.ids(), [], "names")


# ---- what create tells ------------------------------------------------------------------------------------------------

@generate(root=True)
def told_by_create():
    """What was start's to find is found by create."""
    def directory(b):
        b.config["process"]["cwd"] = "/seen/secret"
        os.makedirs(os.path.join(b.config["root"]["path"], "seen/secret"))
        os.chmod(os.path.join(b.config["root"]["path"], "seen"), 0o700)
        return "cwd.enter"

    for name, change in (("a working directory that its user may not enter", directory),):
        def one(change=change):
            with Of("host", "/bin/true", uid=1000) as b:
                tree = b.config["root"]["path"]
                row = change(b)
                b.write()
                try:
                    equal(b.create(), 1, "status")
                    contains(b.errors, "%s (" % row, "the row")
                    equal(b.ids(), [], "names")
                finally:
                    for path in ("seen/secret", "seen"):
                        os.rmdir(os.path.join(tree, path))
        yield name, one


# ---- its end ------------------------------------------------------------------------------------------------------------

@generate(root=True)
def ends():
    """A signal ends what waits, also where its ids and its filter would let it do nothing."""
    for kind, uid in (("host", 0), ("host", 1000), ("remapped", 1000), ("single id", 0)):
        def one(kind=kind, uid=uid):
            words = LEAST + ("exit_group",)
            for sent in ("TERM", "INT", "HUP", "SEGV", "USR1", "RTMIN"):
                with Of(kind, "/bin/true", uid=uid, filter=only(*words)) as b:
                    b.made()
                    b("kill", "c", "WINCH").check(0)
                    equal(b.status(), "created", "status after a signal that ends nothing")
                    b("kill", "c", sent).check(0)
                    b.stopped()
                    failing(b("start", "c"), "cannot start a container that has stopped")
        yield "%s, uid %d" % (kind, uid), one


@test(root=True)
def test_shared_pid_namespace():
    """A neighbour there that may trace gets hold of nothing but what the workload would have."""
    with Of("host", "/bin/sleep", "60", filter=FILTER) as b:
        b.made("first")
        b("start", "first").check(0)
        for entry in b.config["linux"]["namespaces"]:
            if entry["type"] == "pid":
                entry["path"] = "/proc/%d/ns/pid" % b.state("first")["pid"]
        b.write()
        b.made("second")
        gate = status_of(b.state("second")["pid"])
        equal((int(gate["CapPrm"], 16), gate["NoNewPrivs"], gate["Seccomp"]), (MASK, "1", "2"), "at the gate")
        # it is no PID 1 there: signals without a handler would end it, too
        b("kill", "second", "TERM").check(0)
        b.stopped("second")
        equal(b.status("first"), "running", "the neighbour")
        reap()  # by its parent, before the end of its pid namespace can be (pid_namespaces(7))


if __name__ == "__main__":
    main()
