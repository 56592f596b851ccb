# SPDX-License-Identifier: Apache-2.0
"""The launches that the tests of the score walk through: together they run every row of it."""
import collections
import contextlib
import itertools
import json
import os
import re
import signal
import subprocess
import threading
import time

import systemd_fake
from harness import Pty, TOP, base, binary, descendants, dummy, environment, fail, mountinfo, nsrun, ranger, reap, rootfs, run_as, single, user, wait_for

ROLES = ("runtime", "init", "workload")
MARK = "WORKLOAD-RAN"

Row = collections.namedtuple("Row", "role name interface")
TABLE = os.path.join(TOP, "include/nsrun/launch/score_table.h")


def score_rows():
    """{name: role} of the table itself, in its order."""
    with open(TABLE) as file:
        text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
    found = re.findall(r'\bSTEP\(\s*\w+\s*,\s*"([^"]+)"\s*,\s*ROLE_(\w+)', text)
    if len(found) != len(re.findall(r"\bSTEP\(", text)) or not found:
        fail("%s: %d rows, of which %d were understood" % (TABLE, len(re.findall(r"\bSTEP\(", text)), len(found)))
    return {name: role.lower() for name, role in found}


class Killer:
    """Kills, from outside, a process below this one that waits for it at a fault point: PID 1 of a pid namespace is immune to
    its own SIGKILL, and renames itself (runner.c)."""

    def __enter__(self):
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _watch(self):
        while not self._over.wait(0.005):
            for pid in descendants():
                try:
                    with open("/proc/%d/comm" % pid) as file:
                        if file.read() == "nsrun-kill-me\n":
                            os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass


class Launch:
    """One plan. options: what stands before ROOTFS; tree: makes ROOTFS; who: makes the user who calls (None: root)."""

    def __init__(self, name, options, tree, who=None, terminal=False):
        self.name, self._options, self._tree, self._who, self.terminal = name, options, tree, who, terminal

    def who(self):
        return self._who() if self._who else None

    def argv(self, extra=(), command=("/bin/true",)):
        options = self._options() if callable(self._options) else self._options
        return list(extra) + list(options) + [self._tree()] + list(command)

    @contextlib.contextmanager
    def ready(self):
        """Yields argv() once everything is there that it needs."""
        yield self.argv

    def run(self, extra=(), command=("/bin/true",), env=None, sanitizer=False, timeout=20):
        """The launch to its end, on a pseudoterminal where the plan has one."""
        argv = self.argv(extra, command)
        if not self.terminal:
            return nsrun(argv, user=self.who(), env=env, sanitizer=sanitizer, timeout=timeout)
        with Pty([binary(sanitizer)] + argv, user=self.who(), env=env) as terminal:
            before = terminal.initial
            result = terminal.result(timeout)
            # the process that restores it after a SIGKILL needs an instant
            for _ in range(1000):
                if terminal.settings() == before:
                    return result
                terminal.pump(0.01)
            fail("the terminal's settings were not restored: %r" % result)

    def rows(self, sanitizer=False):
        """[Row] that --dry-run prints for it, in the table's order."""
        result = self.run(["--dry-run"], sanitizer=sanitizer).check(0)
        table, rows = score_rows(), []
        for line in result.stdout.replace("\r", "").splitlines():
            words = line.split()
            for at, word in enumerate(words[1:3], 1):
                if words[at - 1] in ROLES and word in table:
                    rows.append(Row(words[at - 1], word, " ".join(words[at + 1:])))
                    break
        if not rows:
            fail("--dry-run of %s printed no rows: %r" % (self.name, result))
        return rows


class Scoped(Launch):
    """The group is a scope of a manager that is there for this one launch; where systemd is PID 1, of systemd."""

    @contextlib.contextmanager
    def ready(self):
        with systemd_fake.fake(self.who()) if systemd_fake.possible() else contextlib.nullcontext():
            yield self.argv

    def run(self, *args, **how):
        with self.ready():
            return super().run(*args, **how)


class Exec(Launch):
    """nsrun exec in a container that is there for this one command."""
    holder = []

    @contextlib.contextmanager
    def holding(self):
        """A container; yields its line of `nsrun ls`."""
        who = self.who()
        words = self.holder + ([] if who else _remapped())
        holder = subprocess.Popen([binary(), "-t=false", *words, self._tree(), "/bin/sh", "-c", "echo up; exec sleep 300"],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment(who), cwd=base(), **run_as(who))
        try:
            if holder.stdout.readline() != b"up\n":
                fail("%s: its container did not come up" % self.name)
            # state.init is not waited for by init: what it executes may speak first
            records = lambda: [one for one in json.loads(nsrun(["ls", "--json"], user=who).check().stdout) if one["owner"] == holder.pid]
            wait_for(lambda: records()[0]["pid"], "its pid in the record")
            [record] = records()
            yield record
            os.kill(record["pid"], signal.SIGKILL)
        finally:
            for _ in range(2000):
                reap()
                if holder.poll() is not None:
                    break
                time.sleep(0.01)
            else:
                holder.kill()
            holder.stdout.close()
            holder.wait()

    @contextlib.contextmanager
    def ready(self):
        with self.holding() as record:
            yield lambda extra=(), command=("/bin/true",): ["exec", *extra, *self._options, record["id"], *command]

    def run(self, extra=(), command=("/bin/true",), env=None, sanitizer=False, timeout=20):
        detached = "-d" in self._options
        with self.holding() as record:
            if detached:  # its output is nowhere
                command = ["/bin/sh", "-c", 'exec "$@" > /dev/shm/output', "sh", *command]
            result = nsrun(["exec", *extra, *self._options, record["id"], *command], user=self.who(), env=env, sanitizer=sanitizer,
                           timeout=timeout)
            output = "/proc/%d/root/dev/shm/output" % record["pid"]
            if detached and result.status == 0 and MARK in " ".join(command) and "--dry-run" not in extra:
                wait_for(lambda: os.path.getsize(output), "output of the detached process")
            elif detached:  # where it must not run, it has so long to be seen
                time.sleep(0.3)
            if os.path.exists(output):
                with open(output) as file:
                    result.stdout += file.read()
        return result


class LimitedExec(Exec):
    """The container has limits, in v1 hierarchies where the host has such."""
    holder = ["--memory", "64m"]


class ScopedExec(Exec):
    """The container's group is a scope, into which an ordinary user may put no process."""
    holder = ["--cgroup-manager=systemd"]

    @contextlib.contextmanager
    def holding(self):
        with systemd_fake.fake(self.who()) if systemd_fake.possible() else contextlib.nullcontext():
            with super().holding() as record:
                yield record


def _own(who):
    """A rootfs that belongs to the caller: an ordinary user's files are container root's."""
    entry = user(who)
    return rootfs(owner="%d:%d" % (entry.uid, entry.gid))


def _remapped():
    return ["--userns-remap", dummy().name]


def _dummy_tree():
    return rootfs(owner=dummy())


def _source(name, owner, mode=0o755):
    """A directory to be a volume, for the whole run."""
    path = os.path.join(base(), "volumes", name)
    os.makedirs(path, exist_ok=True)
    os.chmod(os.path.dirname(path), 0o755)
    os.chmod(path, mode)
    os.chown(path, owner.uid, owner.gid)
    return path


def _root_volumes():
    return ["-v", _source("dummys", dummy()) + ":/srv/a", "-v", _source("roots", user(0)) + ":/srv/b:ro"]


def _user_volumes():
    return ["-v", _source("rangers", ranger()) + ":/srv/a", "--tmpfs", "/srv/t:size=1m"]


def _mounts():
    """Every kind of mount, and a mask."""
    top = [_source(name, dummy()) for name in ("one", "two", "upper", "work")]
    return _root_volumes() + ["--mount", "type=overlay,lowerdir=%s:%s,upperdir=%s,workdir=%s,dst=/srv/c" % tuple(top), "--tmpfs", "/srv/d:size=1m",
                              "-v", top[0] + ":/srv/e:O", "--shm-size", "1m", "--masked-path", "/srv/b"]


_kept = {}


def _kept_namespace(name, flag):
    """A path of a namespace in which nobody is: held open by this process."""
    if name not in _kept:
        maker = subprocess.Popen(["unshare", flag, "sleep", "60"], stdin=subprocess.DEVNULL)
        wait_for(lambda: os.readlink("/proc/%d/ns/%s" % (maker.pid, name)) != os.readlink("/proc/self/ns/" + name), "unshare")
        _kept[name] = os.open("/proc/%d/ns/%s" % (maker.pid, name), os.O_RDONLY | os.O_CLOEXEC)
        maker.kill()
        maker.wait()
    return "ns:/proc/%d/fd/%d" % (os.getpid(), _kept[name])


def _joined():
    return _remapped() + ["--network=" + _kept_namespace("net", "-n"), "--ipc=" + _kept_namespace("ipc", "-i"),
                          "--uts=" + _kept_namespace("uts", "-u")]


HOST = ["--pid=host", "--network=host", "--ipc=host", "--uts=host", "--cgroupns=host", "--time-offset=boottime=5"]
_names = itertools.count()


def _looked_at():
    """All that others may look at. Another file each time: --cidfile refuses one that is there."""
    path = os.path.join(base(), "looked-%d" % next(_names))
    return _remapped() + ["--name", "looked-at-%d" % os.getpid(), "--rm", "--log-driver", "file", "--cidfile", path + ".cid", "--pidfile",
                          path + ".pid"]


LIMITS = ["--memory", "64m", "--pids-limit", "50", "--cpus", "0.5"]


def _limit_of_v2():
    """Of the group itself, so that a hybrid host without a controller there has it, too."""
    return ["--cgroup", "cgroup.max.depth=5"] if any(entry[4] == "cgroup2" for entry in mountinfo()) else []


def _scopes():
    if not systemd_fake.possible() and not os.path.isdir("/run/systemd/system"):
        return []
    limit = ["--cgroup-manager=systemd", "--cgroup", "cgroup.max.depth=5"]
    return [
        Scoped("scope", lambda: ["--userns=host"] + limit, lambda: rootfs(private=True)),
        Scoped("scope-privileged", lambda: _remapped() + ["--privileged"] + limit, _dummy_tree),
        *([Scoped("scope-user", limit, lambda: _own(single()), single),
           ScopedExec("scope-exec", ["-i=false"], lambda: _own(single()), single)] if systemd_fake.possible() else []),
    ]


def launches():
    """Every kind of caller, and every option that adds rows."""
    return [
        Launch("root-auto-limits", ["--userns-remap", "auto", "--ulimit", "nofile=256:256"] + LIMITS + _limit_of_v2(),
               lambda: rootfs(private=True)),
        Launch("user-ranges", lambda: _user_volumes(), lambda: _own(ranger()), ranger),
        Launch("root-dummy", _remapped, _dummy_tree),
        Launch("root-host", ["--userns=host"], lambda: rootfs(private=True)),
        Launch("user-single", [], lambda: _own(single()), single),
        Launch("init", lambda: _remapped() + ["--init"], _dummy_tree),
        Launch("terminal", lambda: _remapped() + ["-t"], _dummy_tree, terminal=True),
        Launch("volumes", lambda: _remapped() + _mounts(), _dummy_tree),
        Launch("ephemeral", lambda: _remapped() + ["--ephemeral", "-i=false"], _dummy_tree),
        Launch("host-namespaces", lambda: _remapped() + HOST, _dummy_tree),
        Launch("host-namespaces-init", lambda: _remapped() + HOST + ["--init"], _dummy_tree),
        Launch("joined", _joined, _dummy_tree),
        Launch("user-host-namespaces", HOST, lambda: _own(ranger()), ranger),
        Launch("process", lambda: _remapped() + ["--oom-score-adj", "100", "--umask", "077", "--domainname", "example.org", "--group-add", "5",
                                                  "--sysctl", "net.ipv4.ip_forward=1", "--add-host", "a:192.0.2.1"], _dummy_tree),
        Launch("devices", lambda: _remapped() + ["--device", "/dev/fuse:r", "--device", "/dev/null:/dev/a/b/null"], _dummy_tree),
        Launch("user-devices", ["--device", "/dev/fuse"], lambda: _own(ranger()), ranger),
        Launch("privileged", lambda: _remapped() + ["--privileged", "--cap-drop", "SYS_TIME"], _dummy_tree),
        Launch("privileged-cgroupns", lambda: _remapped() + ["--privileged", "--cgroupns=host"], _dummy_tree),
        Launch("looked-at", _looked_at, _dummy_tree),
        *_scopes(),
        Exec("exec", ["-i=false"], _dummy_tree),
        Exec("exec-detached", ["-d"], _dummy_tree),
        LimitedExec("exec-limited", ["-i=false"], _dummy_tree),
        Launch("privileges", lambda: _remapped() + ["--security-opt", "no-new-privileges=false"], _dummy_tree),
    ]


def process_of(row, rows):
    """Which process runs the row: rows of the workload are init's own, unless --init makes a process for them."""
    forks = any(other.name == "workload.fork" for other in rows)
    return "init" if row.role == "workload" and not forks else row.role


def chosen(rows_of):
    """Which (launch, row, process) a test walks: each row of the first two launches, which are the two ways through the
    table, and of the others those that no earlier launch had in that process."""
    seen, out = set(), []
    for at, (launch, rows) in enumerate(rows_of):
        for row in rows:
            key = (process_of(row, rows), row.name)
            if at < 2 or key not in seen:
                out.append((launch, row, key[0]))
            seen.add(key)
    return out


def lsm_is_active(name):
    try:
        with open("/sys/kernel/security/lsm") as file:
            return name in file.read().strip().split(",")
    except OSError:
        return False


def impossible():
    """{row: what it needs} of rows that no launch on this host can have."""
    out = {"terminal.take": "a keeper, whose faults test_life.py has",
           "affinity.start": "an exec of an engine: test_bundle.py of the fault suite, rows_of_exec",
           "affinity.set": "an exec of an engine: test_bundle.py of the fault suite, rows_of_exec"}
    if not any(lsm_is_active(name) for name in ("apparmor", "selinux")):
        out["labels.set"] = "a security module, which tests/vm/test_labels.py has: a_profile_that_is_not_loaded fails in it"
    unified = [entry[0] for entry in mountinfo() if entry[4] == "cgroup2"]
    controllers = open(os.path.join(unified[0], "cgroup.controllers")).read().split() if unified else []
    if not unified:
        out.update({row: "a v2 hierarchy" for row in (
            "cgroup.create", "cgroup.limits", "cgroup.mount", "cgroup.delegate", "cgroup.provide")})
    if not os.path.isdir("/sys/fs/cgroup/memory") or "memory" in controllers:
        out.update({row: "controllers in v1 hierarchies" for row in (
            "cgroup.open", "cgroup.attach", "cgroup.limits-late", "cgroup.open-late", "cgroup.attach-late", "cgroupns.unshare")})
    if not systemd_fake.possible():
        out["scope.enter"] = "a manager of the tests' own"
        if not os.path.isdir("/run/systemd/system"):
            out.update({row: "a v2 hierarchy" for row in ("scope.start", "scope.limits", "scope.delegate", "scope.filter")})
    # Root's overlay is made where the kernel's tmpfs allows it.
    if tuple(int(number) for number in re.findall(r"\d+", os.uname().release)[:2]) >= (6, 6):
        out["rootfs.overlay"] = "a kernel before 6.6"
    else:
        out["root.overlay"] = "tmpfs with user.* attributes, Linux 6.6"
    return out


def uncovered(names):
    """Rows of the table that are not among these and that this host could have."""
    return sorted(set(score_rows()) - set(names) - set(impossible()))


__all__ = ["Exec", "Killer", "LIMITS", "Launch", "MARK", "ROLES", "Row", "Scoped", "chosen", "impossible", "launches",
           "process_of", "score_rows", "uncovered"]
