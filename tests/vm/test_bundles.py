# SPDX-License-Identifier: Apache-2.0
# vm: --numa --disk 512M
"""linux.resources of a bundle's config.json on pure cgroup v2: each field in the file of the container's group that holds it, and what v2 has no file for."""
from common import *
from test_io import bfq
from test_oci_config import bundle, refused
from test_oci_life import failing


@contextlib.contextmanager
def limited(resources, script="exec sleep 60"):
    """(bundle, group) of a container that was created with these."""
    with bundle(script, {"linux": {"resources": resources, "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network", "cgroup")]}}) as b:
        b.made()
        with open("/proc/%d/cgroup" % b.state()["pid"]) as file:
            yield b, TREE + file.read().strip().split("::", 1)[1]


def holds(resources, wanted):
    with limited(resources) as (_, group):
        for name, value in wanted.items():
            equal(read(os.path.join(group, name)), str(value), "%s with %r" % (name, resources))


def test_memory():
    holds({"memory": {"limit": 64 * MIB, "reservation": 32 * MIB, "swap": 96 * MIB, "kernel": 0, "kernelTCP": -1, "useHierarchy": True}},
          {"memory.max": 64 * MIB, "memory.low": 32 * MIB, "memory.swap.max": 32 * MIB})
    holds({"memory": {"limit": 64 * MIB, "swap": -1}}, {"memory.max": 64 * MIB, "memory.swap.max": "max"})
    holds({"memory": {"limit": -1, "swap": -1}}, {"memory.max": "max", "memory.swap.max": "max"})


def test_processors_and_tasks():
    holds({"cpu": {"shares": 512, "quota": 50000, "period": 200000, "burst": 1000, "cpus": "0", "mems": "0"}, "pids": {"limit": 33}},
          {"cpu.max": "50000 200000", "cpu.max.burst": 1000, "cpuset.cpus": 0, "cpuset.mems": 0, "pids.max": 33})
    weights = []
    for shares in (2, 512, 1024, 262144):
        with limited({"cpu": {"shares": shares}}) as (_, group):
            weights.append(int(read(group + "/cpu.weight")))
    equal((weights[0], weights[-1], weights == sorted(set(weights))), (1, 10000, True), "weights of 2, 512, 1024 and 262144 shares: %s" % weights)
    holds({"cpu": {"idle": 1}}, {"cpu.idle": 1})


def test_block_io():
    with bfq() as disk:
        major, minor = map(int, disk.number.split(":"))
        device = {"major": major, "minor": minor}
        with limited({"blockIO": {"weight": 200, "weightDevice": [{**device, "weight": 700}],
                                  **{name: [{**device, "rate": rate}] for name, rate in (
                                      ("throttleReadBpsDevice", 2 * MIB), ("throttleWriteBpsDevice", 3 * MIB), ("throttleReadIOPSDevice", 40),
                                      ("throttleWriteIOPSDevice", 50))}}}) as (_, group):
            equal(read(group + "/io.max"), "%s rbps=%d wbps=%d riops=40 wiops=50" % (disk.number, 2 * MIB, 3 * MIB), "io.max")
            held = {name: read(os.path.join(group, name)) for name in ("io.bfq.weight", "io.weight") if os.path.exists(os.path.join(group, name))}
            check(held, "this kernel has no file of io weights")
            if "io.bfq.weight" in held:
                lines = held["io.bfq.weight"].splitlines()
                check("default 200" in lines and disk.number + " 700" in lines, "io.bfq.weight: %r" % lines)
            else:
                check(disk.number + " " in held["io.weight"], "io.weight: %r" % held)


def test_huge_pages_and_unified():
    holds({"hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MIB}]}, {"hugetlb.2MB.max": 4 * MIB})
    holds({"unified": {"memory.high": str(48 * MIB), "cgroup.max.descendants": "7"}}, {"memory.high": 48 * MIB, "cgroup.max.descendants": 7})


def test_check_before_update():
    """What the container uses, and swap is none to give way to: the kernel of v2 would kill, and the limit is refused instead."""
    with limited({"memory": {"limit": 96 * MIB, "swap": 96 * MIB, "checkBeforeUpdate": True}}, "head -c 40m /dev/zero > /dev/shm/x; echo up; exec sleep 60") as (b, group):
        b.config["mounts"].append({"destination": "/dev/shm", "type": "tmpfs"})
        b("delete", "--force", "c").check(0)
        b.write()
        b.made()
        with open("/proc/%d/cgroup" % b.state()["pid"]) as file:
            group = TREE + file.read().strip().split("::", 1)[1]
        b("start", "c").check(0)
        wait_for(lambda: "up" in b.output(), "it uses the memory", timeout=20)
        path = os.path.join(b.dir, "less")
        with open(path, "w") as file:
            file.write('{"memory": {"limit": %d, "swap": %d, "checkBeforeUpdate": true}}' % (16 * MIB, 16 * MIB))
        failing(b("update", "--resources", path, "c"), "limit-below-use")
        equal((read(group + "/memory.max"), b.status()), (str(96 * MIB), "running"), "limit and status")
        equal(table(read(group + "/memory.events"))["oom_kill"], 0, "kills")


def test_what_v2_lacks_is_refused():
    for resources, words in (({"memory": {"swappiness": 10}}, "memory.swappiness"), ({"memory": {"disableOOMKiller": True}}, "memory.disableOOMKiller"),
                             ({"network": {"classID": 5}}, "network.classID"), ({"network": {"priorities": [{"name": "lo", "priority": 1}]}}, "network.priorities"),
                             ({"cpu": {"realtimeRuntime": 5000}}, "cpu.realtimeRuntime"), ({"unified": {"nosuch.max": "1"}}, "nosuch.max")):
        refused({"linux": {"resources": resources}}, words)


if __name__ == "__main__":
    main()
