#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""srun --container with nsrun as the runtime of oci.conf, on three nodes."""
import os

from engine import *
from harness import make_user
from slurm import CREATE_AND_START, NODES, RUN, Slurm

_cluster = []


def slurm(how=RUN):
    if not _cluster:
        needs_program("slurmctld", "slurmd", "srun", "munged", "ip")
        cluster = Slurm()
        cluster.begin()
        cluster.bundles = {"root": cluster.bundle("bundle")}
        _cluster.append(cluster)
    _cluster[0].configure(how)
    return _cluster[0].again()


def nothing_left(s):
    wait_for(lambda: not s.run("squeue", "-h").stdout, "no job is left", timeout=20)
    wait_for(lambda: not s.left(), "nothing of the jobs is left: %r" % s.left(), timeout=10)


@generate
def ways():
    for name, how, works in (("run", RUN, (three_nodes, exit_status, cancelled, cancelled_deaf)),
                             # That a container ended Slurm learns from `state`, which has no exit status; and a job that is cancelled it may forget
                             # before it has killed its container, whatever the runtime is.
                             ("create+start", CREATE_AND_START, (three_nodes,))):
        for work in works:
            yield "%s,%s" % (work.__name__, name), lambda work=work, how=how: work(slurm(how))


def three_nodes(s):
    command = ["/bin/sh", "-c", "echo $(hostname) $(id -u) $(ls / | grep -c proc) $$"]
    told = s.srun(s.bundles["root"], "-N3", "-n3", command=command, timeout=60).check(0)
    equal(sorted(told.stdout.splitlines()), ["job 0 1 1"] * 3, "one task on each node, in containers")
    nothing_left(s)


def exit_status(s):
    s.srun(s.bundles["root"], "-N1", command=["/bin/sh", "-c", "exit 7"], timeout=60).check(7)
    told = s.srun(s.bundles["root"], "-N3", "-n3", command=["/bin/sh", "-c", "mkdir /first 2>/dev/null && exit 5; exit 0"], timeout=60)
    os.rmdir(os.path.join(s.bundles["root"], "rootfs/first"))
    equal(told.status, 5, "the largest status of three")
    nothing_left(s)


def begun(s, *words, trap, count=1):
    """srun of so many containers that wait, once each has set its trap; (process, what the runtime's state has of them)"""
    process = s.popen("srun", *words, "--container=" + s.bundles["root"], "/bin/sh", "-c", "trap %s; echo ready; while :; do sleep 0.05; done" % trap)
    for _ in range(count):
        line = process.stdout.readline()
        check(line == b"ready\n", "srun: %r %r" % (line, line or process.communicate()))
    states = {name: entry for name, entry in s.state().items() if entry["status"] == "running"}
    equal(len(states), count, "containers in the runtime's state")
    return process, states


def cancelled(s):
    """SIGTERM reaches the command."""
    process, states = begun(s, "-N3", "-n3", trap="'exit 9' TERM", count=3)
    equal(sorted(name.split(".")[0] for name in states), list(NODES), "a container on each node, in the runtime's state")
    pids = [entry["pid"] for entry in states.values()]
    s.run("scancel", "--signal=TERM", next(iter(states)).split(".")[2]).check(0)
    output = process.communicate(timeout=40)
    check(process.returncode != 0, "status of a cancelled srun: %r" % (output,))
    wait_for(lambda: not any(alive(pid) for pid in pids), "every container ended", timeout=20)
    nothing_left(s)


def cancelled_deaf(s):
    """A command that no signal ends is killed, and its container deleted."""
    process, states = begun(s, "-N1", trap="'' TERM INT")
    pid = next(iter(states.values()))["pid"]
    s.run("scancel", next(iter(states)).split(".")[2]).check(0)
    process.communicate(timeout=50)
    wait_for(lambda: not alive(pid), "the container ended", timeout=20)
    nothing_left(s)


def test_limits():
    s = slurm()
    process, states = begun(s, "-N1", trap="'exit 0' TERM")
    pid = next(iter(states.values()))["pid"]
    equal(setting(pid, "memory", "memory.limit_in_bytes", "memory.max"), str(64 << 20), "memory")
    equal(setting(pid, "pids", "pids.max", "pids.max"), "100", "pids")
    s.run("scancel", next(iter(states)).split(".")[2]).check(0)
    output = process.communicate(timeout=50)
    nothing_left(s)


def test_streams():
    s = slurm()
    s.srun(s.bundles["root"], "-N1", command=["/bin/sh", "-c", "echo out; echo err >&2; cat"], input="through\n", timeout=60).check(
        0, "out\nthrough\n", "err")
    s.srun(s.bundles["root"], "-N1", "--chdir=/tmp", command=["/bin/sh", "-c", "echo $PASSED"], env={"PASSED": "on"}, timeout=60).check(0, "on")
    nothing_left(s)


def test_batch():
    """A batch script runs in the container as a whole."""
    s = slurm()
    out = os.path.join(s.top, "batch.out")
    script = "#!/bin/sh\nhostname\necho pid $$\nexit 5\n"
    told = s.run("sbatch", "--wait", "--container=" + s.bundles["root"], "--output=" + out, input=script, timeout=60)
    equal(told.status, 5, "status of the script: %r" % told)
    with open(out) as file:
        # Slurm 22.05 says there, too, that the error of `state` after the end is not JSON.
        equal(file.read().split("slurmstepd")[0], "job\npid 1\n", "output of the script")
    nothing_left(s)


def test_ordinary_user():
    s = slurm()
    who = make_user("tester", subuid=(1000000, 65536))
    own = os.path.join(s.top, "runtime", "tester")
    os.makedirs(own)
    os.chmod(own, 0o700)
    os.chown(own, who.uid, who.gid)
    bundle = s.bundle("bundle-tester", who)
    s.srun(bundle, "-N1", command=["/bin/sh", "-c", "id -u; cat /proc/self/uid_map | awk '{print $2}'; exit 4"], who=who, timeout=60).check(
        4, "0\n%d\n" % who.uid)
    nothing_left(s)


def test_bad_bundle():
    s = slurm()
    told = s.srun(os.path.join(s.top, "nowhere"), "-N1", timeout=60)
    check(told.status != 0, "a bundle that is not there: %r" % told)
    nothing_left(s)


def test_stop():
    slurm().stop()


if __name__ == "__main__":
    main()
