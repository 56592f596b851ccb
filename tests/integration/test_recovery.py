# SPDX-License-Identifier: Apache-2.0
"""What is left when nsrun or init is killed, and what removes it: the next launch, and `nsrun gc`."""
import contextlib
import json
import os
import random
import signal
import subprocess
import time

from harness import *
from helper import executes, install_helper, tree


def start(command, options=(), remap=None, tree_=None, who=None):
    """A container whose workload has said its first line."""
    words = ["--userns-remap", remap or dummy().name] if who is None else []
    process = subprocess.Popen([binary(), *words, *options, tree_ or tree(), *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=environment(who), cwd=base(), **run_as(who))
    line = process.stdout.readline()
    if not line.strip():
        process.kill()
        fail("the container did not come up: %r" % (process.communicate(),))
    return process


SLEEPER = ["/bin/sh", "-c", "echo up; sleep 300 & wait"]


def killed(process, number=signal.SIGKILL):
    """Kills nsrun alone; the pids of what was below it."""
    below = descendants(process.pid)
    os.kill(process.pid, number)
    process.wait(timeout=10)
    return below


def gone(pids, timeout=2.0):
    wait_for(lambda: not any(alive(pid) for pid in pids), "processes %r end" % describe(pids), timeout=timeout)


def close(process):
    for pipe in (process.stdin, process.stdout, process.stderr):
        pipe.close()


def gc(**how):
    return nsrun(["gc"], **how).check()


@generate
def test_runtime_killed():
    for options in ([], ["--init"], ["-m", "64m", "--pids-limit", "50"]):
        yield " ".join(options) or "plain", lambda options=options: runtime_killed(options)


def runtime_killed(options):
    with Exclusive():
        before = leftovers()
        process = start(SLEEPER, options)
        below = killed(process)
        check(below, "there was no workload")
        gone(below)
        close(process)
        check(state() - before.state, "a killed runtime cannot have removed its state: is this test looking at the right place?")
        result = gc()
        check(result.stdout + result.stderr, "gc removed something and said nothing")
    assert_clean(before)


def test_next_launch_after_a_kill():
    """The same range works at once, and the launch itself removes what the dead one left."""
    with Exclusive():
        before = leftovers()
        process = start(SLEEPER)
        gone(killed(process))
        close(process)
        nsrun(["--userns-remap", dummy().name, tree(), "/bin/echo", "again"]).check(0, "again")
        assert_clean(before)
        equal(gc().stdout, "nothing to remove\n", "what the launch left to gc")


def test_auto_next_launch_collects():
    with Exclusive():
        before = leftovers()
        own = rootfs(private=True)
        process = start(SLEEPER, remap="auto", tree_=own)
        gone(killed(process))
        close(process)
        nsrun([own, "/bin/true"]).check(0)  # of some 28000 ranges it draws another one
        assert_clean(before)
        equal(gc().stdout, "nothing to remove\n", "what the launch left to gc")


def test_launch_of_another_remap_collects():
    with Exclusive():
        before = leftovers()
        process = start(["/helper", "stubborn"], ["-m", "64m"])
        below = killed(process)
        nsrun([rootfs(private=True), "/bin/true"]).check(0)
        gone(below)
        close(process)
        assert_clean(before)


@test(root=True)
def test_gc_where_the_groups_are_hidden():
    """gc that cannot see the hierarchies keeps the record and says so; gc elsewhere succeeds."""
    top = os.path.commonpath(cgroup_mounts()) if cgroup_mounts() else skip("no control groups here")
    with Exclusive():
        before = leftovers()
        nsrun(["--userns-remap", dummy().name, "-m", "64m", tree(), "/bin/true"], env={"NSRUN_FAULT": "init.clone=KILL"},
              sanitizer=True).check(-signal.SIGKILL)
        [left] = [path for path in state() - before.state if os.path.isdir(path)]

        def groups_left():  # other tests make groups meanwhile
            return {group for group in cgroups() if os.path.basename(group) == os.path.basename(left)}

        groups = groups_left()
        check(groups, "the launch made no group: is the fault in its place?")
        hidden = run(["unshare", "-m", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$1" gc', top, binary()])
        check(hidden.status == 125, "gc that cannot see the groups: %r" % hidden)
        contains(hidden.stderr, "control groups", "stderr")
        check("removed" not in hidden.stdout, "it says that it removed something: %r" % hidden)
        check(os.path.isdir(left), "the record is gone")
        equal(groups_left(), groups, "groups after gc that does not see them")
        contains(gc().stdout, os.path.basename(left), "gc where they are visible")
        assert_clean(before)


@test(root=True)
def test_gc_of_a_record_without_hierarchies():
    """A record that names a group and not what it was made in is no word to destroy a group on; nor is one of other hierarchies."""
    cgroup_mounts() or skip("no control groups here")
    with Exclusive():
        before = leftovers()
        nsrun(["--userns-remap", dummy().name, "-m", "64m", tree(), "/bin/true"], env={"NSRUN_FAULT": "init.clone=KILL"},
              sanitizer=True).check(-signal.SIGKILL)
        [left] = [path for path in state() - before.state if os.path.isdir(path)]
        groups = {group for group in cgroups() if os.path.basename(group) == os.path.basename(left)}
        check(groups, "the launch made no group: is the fault in its place?")
        with open(os.path.join(left, "state.json")) as file:
            record = json.load(file)
        for places in ([], None, {}, [dict(record["hierarchies"][0], inode=0)]):
            with open(os.path.join(left, "state.json"), "w") as file:
                json.dump(dict(record, hierarchies=places), file)
            result = nsrun(["gc"])
            check(result.status == 125, "gc with %r: %r" % (places, result))
            contains(result.stderr, "what the group was made in" if places else "without the hierarchies", "stderr")
            check(all(os.path.isdir(group) for group in groups), "gc with %r has removed a group" % places)
        with open(os.path.join(left, "state.json"), "w") as file:
            json.dump(record, file)
        gc()
        assert_clean(before)


def test_record_names_the_rootfs_absolutely():
    """A relative name would mean whatever directory the reader stands in."""
    own = tree()
    process = subprocess.Popen([binary(), "--userns-remap", dummy().name, os.path.basename(own), *SLEEPER], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, env=environment(), cwd=os.path.dirname(own))
    try:
        equal(process.stdout.readline(), b"up\n", "output")
        records = []
        for path in state():
            if path.endswith("state.json"):
                with open(path) as file:
                    records.append(json.load(file))
        [record] = [record for record in records if record["owner"]["pid"] == process.pid]
        equal(record["rootfs"], os.path.realpath(own), "rootfs in state.json")
        if record["cgroup"]:
            check(record["hierarchies"], "no hierarchies in %r" % record)
    finally:
        kill_tree([process.pid])
        process.wait()
        process.stdout.close()
        gc()


def test_dry_run_names_the_state_root():
    """And makes nothing: the ordinary user's does not exist afterwards."""
    contains(nsrun(["--dry-run", "--userns-remap", dummy().name, tree(), "/bin/true"]).check(0).stdout, "/run/nsrun", "the plan")
    own = rootfs(owner="%d:%d" % (single().uid, single().gid), fresh=True)
    wanted = os.path.join(runtime_dir(single()), "nsrun")
    os.path.isdir(wanted) and subprocess.run(["rm", "-r", wanted], check=True)
    contains(nsrun(["--dry-run", own, "/bin/true"], user=single()).check(0).stdout, wanted, "the plan")
    check(not os.path.exists(wanted), "--dry-run made " + wanted)


@generate
def test_workload_without_the_bond():
    """prctl(PR_SET_PDEATHSIG, 0) and every signal ignored: it outlives nsrun, and gc ends it by its cgroup."""
    def one(collect):
        with Exclusive():
            before = leftovers()
            process = start(["/helper", "stubborn"])
            below = killed(process)
            time.sleep(0.2)
            if not any(alive(pid) for pid in below):
                skip("nothing outlived the runtime: stronger than promised")
            collect()
            gone(below)
            close(process)
            gc()
        assert_clean(before)
    yield "gc", lambda: one(gc)


def test_gc_leaves_the_living_alone():
    process = start(["/bin/sh", "-c", "echo up; read x; echo got $x"])
    try:
        before = state()
        gc()
        equal(before - state(), set(), "what gc took from a running container")
        out, _ = process.communicate(b"on\n", timeout=10)
        equal((out, process.returncode), (b"got on\n", 0), "output and status after gc")
    finally:
        process.kill()
        process.wait()


def test_gc_with_nothing_to_do():
    gc()
    before = leftovers()
    gc()
    assert_clean(before)


def test_gc_and_rubbish_in_the_state_root():
    """Files that are no state, or half written ones, neither stop gc nor are taken for a container."""
    directory = "/run/nsrun/100000.100000"
    os.makedirs(directory + "/0123456789ab", mode=0o700, exist_ok=True)
    os.makedirs(directory + "/ba9876543210", mode=0o700, exist_ok=True)
    with open(directory + "/0123456789ab/state.json", "w") as file:
        file.write('{"cgroup": "/../../..", "init": 1, ')
    for name in ("0123456789ab", "ba9876543210"):
        open("%s/%s/lock" % (directory, name), "w").close()
    nsrun(["gc"])
    nsrun(["--userns-remap", dummy().name, tree(), "/bin/true"]).check(0)
    check(alive(1), "init of the host")
    os.system("rm -rf %s/0123456789ab %s/ba9876543210" % (directory, directory))


def test_state_cannot_send_gc_elsewhere():
    """A group of the host named in a state file of a dead container is not gc's to kill."""
    unified = [path for path in cgroup_mounts() if os.path.exists(path + "/cgroup.controllers")]
    if not unified:
        skip("no cgroup2 here")
    victim = os.path.join(unified[0], "nsrunvictim-%d" % os.getpid())
    with Exclusive():
        os.mkdir(victim)
        sleeper, found = subprocess.Popen(["sleep", "60"]), []
        try:
            with open(victim + "/cgroup.procs", "w") as file:
                file.write(str(sleeper.pid))
            process = start(SLEEPER)
            gone(killed(process))
            close(process)
            found = [os.path.join(path, "state.json") for path in state() if os.path.isfile(os.path.join(path, "state.json"))]
            check(found, "no state.json of the dead container: %r" % state())
            for path in found:
                with open(path) as file:
                    text = file.read()
                with open(path, "w") as file:
                    file.write(text.replace("/nsrun/", "/../" + os.path.basename(victim) + "/../" + os.path.basename(victim) + "/../nsrun/"))
            nsrun(["gc"])
            check(alive(sleeper.pid), "gc killed a process of another group")
        finally:
            sleeper.kill()
            sleeper.wait()
            os.rmdir(victim)
            own = {os.path.basename(os.path.dirname(path)) for path in found}  # groups of other tests are empty for a moment, too
            for group in sorted((path for path in cgroups() if os.path.basename(path) in own), reverse=True):
                with contextlib.suppress(OSError):
                    os.rmdir(group)
            os.system("rm -rf /run/nsrun/[0-9]*.[0-9]*/*")


@generate
def test_init_killed_from_outside():
    for options in ([], ["--init"]):
        yield " ".join(options) or "plain", lambda options=options: init_killed(options)


def init_killed(options):
    before = leftovers()
    process = start(SLEEPER, options)
    below = descendants(process.pid)
    os.kill(below[0], signal.SIGKILL)
    process.communicate(timeout=5)
    equal(process.returncode, 137, "status")
    gone(below)
    assert_clean(before)


@generate
def test_signals_leave_nothing():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        yield number.name, lambda number=number: signalled(number)


def signalled(number):
    before = leftovers()
    process = start(["/bin/sh", "-c", "echo up; exec sleep 300"], ["--init"])
    executes(process.pid, "sleep")
    os.kill(process.pid, number)
    process.communicate(timeout=10)
    check(process.returncode in (128 + number, -number), "status %d" % process.returncode)
    assert_clean(before)


def test_terminal_closed_by_its_other_end():
    """The terminal goes away (ssh breaks off): the shell inside sees its end, and nothing stays."""
    before = leftovers()
    with Pty([binary(), "--userns-remap", dummy().name, tree(), "/bin/sh"]) as terminal:
        terminal.write("echo u''p\n")
        terminal.expect("up\r")
        below = descendants(terminal.pid)
        terminal.close()
        wait_for(lambda: terminal.process.poll() is not None, "nsrun ends", timeout=5)
    gone(below)
    assert_clean(before)


@generate
def test_ordinary_user_killed():
    for who in (ranger, single):
        yield who.__name__, lambda who=who: ordinary_killed(who())


def ordinary_killed(who):
    own = install_helper(rootfs(owner="%d:%d" % (who.uid, who.gid), fresh=True))
    before = leftovers()
    process = start(SLEEPER, tree_=own, who=who)
    gone(killed(process))
    close(process)
    nsrun([own, "/bin/echo", "again"], user=who).check(0, "again")
    gc(user=who)
    assert_clean(before)


@test(timeout=90)
def test_killed_at_any_moment():
    """Forty kills between 0 and 12 ms after the start; gc removes all that they left. A seed is printed by a failure."""
    seed = int(os.environ.get("NSRUN_TEST_SEED", time.time_ns()))
    moments = random.Random(seed)
    with Exclusive():
        before = leftovers()
        for _ in range(40):
            process = subprocess.Popen([binary(), "--userns-remap", dummy().name, "-m", "64m", tree(), "/bin/sleep", "60"],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                       env=environment(), cwd=base())
            time.sleep(moments.uniform(0, 0.012))
            gone(killed(process))
            # What was cloned after killed() looked came to us, and lives for another moment: gc would leave it alone.
            wait_for(lambda: not any(map(alive, descendants())), "the end of all that was begun")
        gc()
    assert_clean(before, what="NSRUN_TEST_SEED=%d" % seed)


if __name__ == "__main__":
    main()
