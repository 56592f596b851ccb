# SPDX-License-Identifier: Apache-2.0
"""nsrun features: features.md of the runtime specification 1.3, its types, and that it names no less than another runtime knows."""
import json
import os
import re
import subprocess
import sys

from harness import *

# features-schema.json and features-linux.json, as far as they say something of types: a type, a list of strings that match, or an object.
SCHEMA = {
    "ociVersionMin": str, "ociVersionMax": str, "hooks": [r"prestart|createRuntime|createContainer|startContainer|poststart|poststop"],
    "mountOptions": [r"[a-z]+"], "annotations": dict, "potentiallyUnsafeConfigAnnotations": [r".+"],
    "linux": {
        "namespaces": [r"mount|pid|network|uts|ipc|user|cgroup|time"], "capabilities": [r"CAP_[A-Z_]+"],
        "cgroup": {"v1": bool, "v2": bool, "systemd": bool, "systemdUser": bool, "rdma": bool},
        "seccomp": {"enabled": bool, "actions": [r"SCMP_ACT_(KILL|KILL_PROCESS|KILL_THREAD|TRAP|ERRNO|TRACE|LOG|ALLOW|NOTIFY)"], "operators": [r"SCMP_CMP_(NE|LT|LE|EQ|GE|GT|MASKED_EQ)"],
                    "archs": [r"SCMP_ARCH_(X86|X86_64|X32|ARM|AARCH64|MIPS(EL)?(64(N32)?)?|PPC(64(LE)?)?|S390X?|PARISC(64)?|RISCV64|LOONGARCH64|M68K|SH|SHEB)"], "knownFlags": [r"SECCOMP_FILTER_FLAG_(TSYNC|LOG|SPEC_ALLOW|WAIT_KILLABLE_RECV)"],
                    "supportedFlags": [r"SECCOMP_FILTER_FLAG_(TSYNC|LOG|SPEC_ALLOW|WAIT_KILLABLE_RECV)"]},
        "apparmor": {"enabled": bool}, "selinux": {"enabled": bool}, "intelRdt": {"enabled": bool, "schemata": bool, "monitoring": bool},
        "memoryPolicy": {"modes": [r"MPOL_(DEFAULT|BIND|INTERLEAVE|WEIGHTED_INTERLEAVE|PREFERRED|PREFERRED_MANY|LOCAL)"],
                         "flags": [r"MPOL_F_(NUMA_BALANCING|RELATIVE_NODES|STATIC_NODES)"]},
        "mountExtensions": {"idmap": {"enabled": bool}}, "netDevices": {"enabled": bool},
    },
}


def features():
    return json.loads(nsrun(["features"]).check(0, stderr="").stdout)


def conforms(value, schema, where):
    if isinstance(schema, dict):
        check(isinstance(value, dict), "%s is no object" % where)
        equal(sorted(value), sorted(schema), "members of %s" % where)
        for key in schema:
            conforms(value[key], schema[key], where + "." + key)
    elif isinstance(schema, list):
        check(isinstance(value, list) and len(set(value)) == len(value), "%s is no list of different words: %r" % (where, value))
        for word in value:
            check(re.fullmatch(schema[0], word), "%s: %r is no such word" % (where, word))
    else:
        check(isinstance(value, schema), "%s is no %s" % (where, schema.__name__))


def test_schema():
    got = features()
    conforms(got, SCHEMA, "features")
    check(all(isinstance(value, str) for value in got["annotations"].values()), "annotations are strings")
    for version in ("ociVersionMin", "ociVersionMax"):
        check(re.fullmatch(r"\d+\.\d+\.\d+", got[version]), version)
    check([int(part) for part in got["ociVersionMin"].split(".")] <= [int(part) for part in got["ociVersionMax"].split(".")], "the least version is above the last")
    check(set(got["linux"]["seccomp"]["supportedFlags"]) <= set(got["linux"]["seccomp"]["knownFlags"]), "flags that are supported are known")


@test(needs=["runc"])
def test_no_less_than_runc():
    theirs = json.loads(subprocess.run(["runc", "features"], check=True, capture_output=True, text=True).stdout)
    ours = features()
    # Those two are no flags of mount(2) any more, and go to the file system.
    equal(sorted(set(theirs["mountOptions"]) - set(ours["mountOptions"]) - {"acl", "noacl"}), [], "mount options that runc has more")
    equal(ours["hooks"], theirs["hooks"], "hooks")
    for part, key in ((theirs["linux"], "namespaces"), (theirs["linux"], "capabilities"), (theirs["linux"]["seccomp"], "actions"),
                      (theirs["linux"]["seccomp"], "operators"), (theirs["linux"]["seccomp"], "archs")):
        mine = ours["linux"] if key in ours["linux"] else ours["linux"]["seccomp"]
        equal(sorted(set(part[key]) - set(mine[key])), [], "%s that runc has more" % key)


# ---- what is listed is recognized ---------------------------------------------------------------------------------------------

def ran(change, words="echo ran"):
    from test_oci_config import output
    equal(output(words, change), "ran\n", "output with %r" % change)


@test(root=True, timeout=120)
def test_every_mount_option_is_recognized():
    """A bind mount takes no words of a file system: what is unknown is refused."""
    from test_oci_config import refused
    listed = features()["mountOptions"]
    source = tmp("source")
    maps = {key: [{"containerID": 0, "hostID": 100000, "size": 10}] for key in ("uidMappings", "gidMappings")}
    for word in listed:
        one = {"destination": "/mnt", "type": "bind", "source": source, "options": ["rbind", word]}
        mounts = [dict(one, **maps) if word in ("idmap", "ridmap") else one]
        if word == "remount":
            mounts.insert(0, dict(one, options=["bind"]))
        if word == "tmpcopyup":
            mounts = [{"destination": "/etc", "type": "tmpfs", "options": [word]}]
        ran({"mounts": mounts})
    refused({"mounts": [{"destination": "/mnt", "type": "bind", "source": source, "options": ["rbind", "nosuch"]}]}, "nosuch")


@test(root=True)
def test_every_capability_is_recognized():
    from test_oci_config import output
    names = features()["linux"]["capabilities"]
    got = output("grep CapBnd: /proc/self/status", {"process": {"capabilities": {kind: names for kind in ("bounding", "permitted", "effective", "inheritable")}},
                                                    "mounts": [{"destination": "/proc", "type": "proc"}]})
    # What the tests themselves may not have nobody gets from them.
    own = int(re.search(r"^CapBnd:\s*(\w+)", text_of("/proc/self/status"), re.M).group(1), 16)
    equal(int(got.split()[1], 16), own & ((1 << len(names)) - 1), "bounding set")


@test(root=True, timeout=120)
def test_every_word_of_a_filter_is_recognized():
    from test_oci_config import bundle
    of = features()["linux"]["seccomp"]

    def filter_of(**more):
        return {"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", **more}}}
    for action in of["actions"]:
        change = filter_of(syscalls=[{"names": ["acct"], "action": action}])
        if action == "SCMP_ACT_NOTIFY":
            change["linux"]["seccomp"]["listenerPath"] = "/nonexistent/agent"
            with bundle("true", change) as b:
                contains(b("run", "-b", b.dir, "c").check(1).stderr, "linux.seccomp.listenerPath: /nonexistent/agent", "stderr")
        else:
            ran(change)
    for op in of["operators"]:
        ran(filter_of(syscalls=[{"names": ["acct"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 5, "valueTwo": 1, "op": op}]}]))
    for arch in of["archs"]:
        with bundle("echo ran", filter_of(architectures=[arch])) as b:
            result = b("run", "-b", b.dir, "c")
            if result.status:  # one of another byte order than this machine's
                contains(result.stderr, "linux.seccomp.architectures[0]: a filter of this machine cannot hold it", "stderr of " + arch)
    for flag in of["knownFlags"]:
        if flag in of["supportedFlags"] and not flag.endswith("WAIT_KILLABLE_RECV"):  # which goes with a listener alone: test_oci_linux.py
            ran(filter_of(flags=[flag]))


@test(root=True)
def test_every_memory_policy_is_recognized():
    """One that this kernel has not is an error of the kernel's, and no unknown word."""
    from test_oci_config import bundle
    of = features()["linux"]["memoryPolicy"]
    for policy in [{"mode": mode} for mode in of["modes"]] + [{"mode": "MPOL_BIND", "flags": [flag]} for flag in of["flags"]]:
        if policy["mode"] not in ("MPOL_DEFAULT", "MPOL_LOCAL"):
            policy["nodes"] = "0"
        with bundle("echo ran", {"linux": {"memoryPolicy": policy}}) as b:
            result = b("run", "-b", b.dir, "c")
            here = host()
            had = policy["mode"] in here["memoryPolicy.modes"].split() and set(policy.get("flags", [])) <= set(here["memoryPolicy.flags"].split())
            equal(result.status, 0 if had else 1, "status with %r: %r" % (policy, result))
            if not had:
                contains(result.stderr, "set_mempolicy", "stderr")


def test_what_is_supported_is_said():
    """Each of these is built, and its own tests show it."""
    of = features()["linux"]
    for path in ("cgroup.v1", "cgroup.v2", "cgroup.systemd", "cgroup.systemdUser", "cgroup.rdma", "seccomp.enabled", "apparmor.enabled", "selinux.enabled",
                 "intelRdt.enabled", "intelRdt.schemata", "intelRdt.monitoring", "mountExtensions.idmap.enabled", "netDevices.enabled"):
        value = of
        for part in path.split("."):
            value = value[part]
        equal(value, True, path)


@test(root=True)
def test_versions_are_accepted():
    from test_oci_life import Bundle, failing
    got = features()
    with Bundle("/bin/true") as b:
        for version in (got["ociVersionMin"], got["ociVersionMax"]):
            b.config["ociVersion"] = version
            b.write()
            b("run", "-b", b.dir, "c").check(0)
        b.config["ociVersion"] = "2.0.0"
        b.write()
        failing(b("run", "-b", b.dir, "c"), "ociVersion")


# ---- what this host has: annotations nsrun.host.PATH, compared with the kernel's own files -------------------------------------

HOST = "nsrun.host."


def host(user=None):
    got = json.loads(nsrun(["features"], user=user).check(0, stderr="").stdout)["annotations"]
    return {key[len(HOST):]: value for key, value in got.items() if key.startswith(HOST)}


def text_of(path):
    with open(path) as file:
        return file.read()


def lsms():
    return text_of("/sys/kernel/security/lsm").strip().split(",") if os.path.exists("/sys/kernel/security/lsm") else None


def test_every_field_has_an_annotation():
    """One for each field of linux, but those that say nothing of a kernel: operators, knownFlags, and supportedFlags, which is of this kernel itself."""
    paths = set()
    for key, value in SCHEMA["linux"].items():
        if isinstance(value, dict):
            paths |= {"%s.%s%s" % (key, member, ".enabled" if isinstance(value[member], dict) else "") for member in value}
        else:
            paths.add(key)
    paths -= {"seccomp.operators", "seccomp.knownFlags", "seccomp.supportedFlags"}
    equal(set(host()), paths | {"kernel", "cgroup.v1.controllers", "cgroup.v2.controllers"}, "annotations of this host")


def test_what_the_build_knows_is_more_than_the_host_has():
    got, here = features()["linux"], host()
    for path, known in (("namespaces", got["namespaces"]), ("capabilities", got["capabilities"]), ("seccomp.actions", got["seccomp"]["actions"]),
                        ("seccomp.archs", got["seccomp"]["archs"]), ("memoryPolicy.modes", got["memoryPolicy"]["modes"]),
                        ("memoryPolicy.flags", got["memoryPolicy"]["flags"])):
        equal(sorted(set(here[path].split()) - set(known)), [], "%s that the host has and the build does not know" % path)
    for path, value in here.items():
        if path.endswith("enabled") or path in ("cgroup.v1", "cgroup.v2", "cgroup.rdma", "cgroup.systemd", "cgroup.systemdUser"):
            check(value in ("true", "false"), "%s: %r" % (path, value))


def test_kernel_and_namespaces():
    here = host()
    equal(here["kernel"], text_of("/proc/sys/kernel/osrelease").strip(), "release")
    words = {"mnt": "mount", "net": "network"}
    files = {name for name in os.listdir("/proc/self/ns") if not name.endswith("_for_children")}
    equal(set(here["namespaces"].split()), {words.get(name, name) for name in files}, "namespaces")
    equal(here["netDevices.enabled"], "true" if "net" in files else "false", "netDevices")


def test_capabilities_up_to_the_kernels_last():
    names = host()["capabilities"].split()
    last = int(text_of("/proc/sys/kernel/cap_last_cap"))
    equal(names, features()["linux"]["capabilities"][:last + 1], "capabilities")


def test_cgroup_as_mounted():
    here, v1, v2 = host(), set(), None
    known = {line.split()[0] for line in text_of("/proc/cgroups").splitlines() if not line.startswith("#")}
    for line in text_of("/proc/self/mountinfo").splitlines():
        mount, kind = line.split(" - ")[0].split(), line.split(" - ")[1].split()
        if kind[0] == "cgroup":
            v1 |= known & set(kind[2].split(","))
        elif kind[0] == "cgroup2" and v2 is None:
            v2 = set(text_of(mount[4] + "/cgroup.controllers").split())
    equal(here["cgroup.v1"], "true" if v1 else "false", "v1")
    equal(here["cgroup.v2"], "false" if v2 is None else "true", "v2")
    equal(set(here["cgroup.v1.controllers"].split()), v1 - {"debug"}, "controllers of v1")
    equal(set(here["cgroup.v2.controllers"].split()), v2 or set(), "controllers of v2")
    rdma = "rdma" in v1 | (v2 or set())
    equal(here["cgroup.rdma"], "true" if rdma else "false", "rdma")
    there = os.path.exists("/run/systemd/private") or os.path.exists("/run/dbus/system_bus_socket") and os.path.isdir("/run/systemd/system")
    if os.geteuid() == 0:
        equal((here["cgroup.systemd"], here["cgroup.systemdUser"]), ("true" if there else "false", "false"), "managers that root may ask")


@test(root=True)
def test_a_manager_is_seen():
    """One of the tests' own, of an ordinary user: it is the user's, and not the system's."""
    import systemd_fake
    if not systemd_fake.possible():
        return
    who = single()
    equal(host(user=who)["cgroup.systemdUser"], "false", "without one")
    with systemd_fake.fake(who):
        here = host(user=who)
        equal((here["cgroup.systemd"], here["cgroup.systemdUser"]), ("false", "true"), "with one")


def test_seccomp_as_the_kernel_lists_it():
    """/proc/sys/kernel/seccomp/actions_avail has the kernel's own words; flags are what a real seccomp(2) takes."""
    here, avail = host(), text_of("/proc/sys/kernel/seccomp/actions_avail").split()
    words = {"kill_process": ["KILL_PROCESS"], "kill_thread": ["KILL", "KILL_THREAD"], "trap": ["TRAP"], "errno": ["ERRNO"], "user_notif": ["NOTIFY"],
             "trace": ["TRACE"], "log": ["LOG"], "allow": ["ALLOW"]}
    equal(set(here["seccomp.actions"].split()), {"SCMP_ACT_" + word for name in avail for word in words[name]}, "actions")
    equal(here["seccomp.enabled"], "true", "enabled")
    archs = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}
    if os.uname().machine in archs:
        equal(here["seccomp.archs"], archs[os.uname().machine], "native architecture")


@test(root=True)
def test_supported_flags_are_taken():
    """Each of them in a container's filter."""
    from test_oci_config import output
    of = features()["linux"]["seccomp"]
    for flag in of["supportedFlags"]:
        if flag.endswith("WAIT_KILLABLE_RECV"):
            continue  # goes with a listener alone: test_oci_linux.py
        equal(output("echo ran", {"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "flags": [flag]}}}), "ran\n", flag)


def test_modules_and_hardware():
    here, modules = host(), lsms()
    if modules is not None:
        for name in ("apparmor", "selinux"):
            equal(here[name + ".enabled"], "true" if name in modules else "false", name)
    else:
        equal(here["apparmor.enabled"] == "true", os.path.exists("/sys/module/apparmor/parameters/enabled")
              and text_of("/sys/module/apparmor/parameters/enabled").strip() == "Y", "apparmor")
        equal(here["selinux.enabled"] == "true", os.path.exists("/sys/fs/selinux/enforce"), "selinux")
    kinds = [line.split("\t")[1] for line in text_of("/proc/filesystems").splitlines()]
    equal(here["intelRdt.enabled"], "true" if "resctrl" in kinds else "false", "resctrl")
    mounted = [entry[0] for entry in mountinfo() if entry[4] == "resctrl"]
    for path, name in (("schemata", "schemata"), ("mon_groups", "monitoring")):
        equal(here["intelRdt." + name], "true" if mounted and os.path.exists(os.path.join(mounted[0], path)) else "false", name)


def test_memory_policies_as_set_mempolicy_takes_them():
    """Each mode by a set_mempolicy(2) of a process of its own."""
    program = ("import ctypes,sys\nmode,none=int(sys.argv[1]),int(sys.argv[2])\nc=ctypes.CDLL(None,use_errno=True)\nmask=ctypes.c_ulong(1)\n"
               "sys.exit(c.syscall({'x86_64':238,'aarch64':237}[sys.argv[3]],mode,None if none else ctypes.byref(mask),0 if none else 65)!=0)")

    def takes(mode, none):
        return subprocess.run([sys.executable, "-c", program, str(mode), str(int(none)), os.uname().machine]).returncode == 0
    if os.uname().machine not in ("x86_64", "aarch64"):
        return
    modes = {"MPOL_DEFAULT": 0, "MPOL_PREFERRED": 1, "MPOL_BIND": 2, "MPOL_INTERLEAVE": 3, "MPOL_LOCAL": 4, "MPOL_PREFERRED_MANY": 5,
             "MPOL_WEIGHTED_INTERLEAVE": 6}
    here = host()
    equal(set(here["memoryPolicy.modes"].split()), {name for name, mode in modes.items() if takes(mode, mode in (0, 4))}, "modes")
    flags = {"MPOL_F_STATIC_NODES": 1 << 15, "MPOL_F_RELATIVE_NODES": 1 << 14, "MPOL_F_NUMA_BALANCING": 1 << 13}
    equal(set(here["memoryPolicy.flags"].split()), {name for name, flag in flags.items() if takes(2 | flag, False)}, "flags")


@test(root=True)
def test_idmapped_mounts():
    """The kernel floor has them: what is said is what a mount of a tmpfs or ext4 shows in test_oci_mounts.py (idmap)."""
    release = tuple(int(number) for number in re.findall(r"\d+", os.uname().release)[:2])
    equal(host()["mountExtensions.idmap.enabled"], "true" if release >= (5, 12) else "false", "idmap")


@test(root=True)
def test_a_container_has_less():
    """Asked where a filter of Docker's forbids it, and /sys is not there: the answer changes, the fields do not."""
    from test_oci_config import bundle
    with bundle("true", {"mounts": [{"destination": "/proc", "type": "proc"}, {"destination": "/nsrun", "type": "bind", "source": binary(), "options": ["bind", "ro"]},
                                     *({"destination": path, "type": "bind", "source": path, "options": ["rbind", "ro"]}
                                       for path in ("/lib", "/lib64", "/usr/lib") if os.path.exists(path))],
                         "linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                             {"names": ["mbind", "seccomp"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}}}) as b:
        b.config["process"]["args"] = ["/nsrun", "features"]
        b.write()
        got = json.loads(b("run", "-b", b.dir, "c").check(0).stdout)
    equal([got["annotations"][HOST + path] for path in ("memoryPolicy.modes", "seccomp.actions", "seccomp.enabled", "cgroup.v1", "cgroup.v2")],
          ["", "", "false", "false", "false"], "what is there")
    conforms(got, SCHEMA, "features")
    mine = features()
    got["linux"]["seccomp"]["supportedFlags"] = mine["linux"]["seccomp"]["supportedFlags"]
    equal(got["linux"], mine["linux"], "what the build knows")


def test_takes_no_words():
    check(nsrun(["features", "x"]).status != 0, "features with a word")


if __name__ == "__main__":
    main()
