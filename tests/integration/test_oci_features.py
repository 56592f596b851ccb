# SPDX-License-Identifier: Apache-2.0
"""nsrun features: features.md of the runtime specification 1.3, its types, and that it names no less than another runtime knows."""
import json
import re
import subprocess

from harness import *

# features-schema.json and features-linux.json, as far as they say something of types: a type, a list of strings that match, or an object.
SCHEMA = {
    "ociVersionMin": str, "ociVersionMax": str, "hooks": [r"prestart|createRuntime|createContainer|startContainer|poststart|poststop"],
    "mountOptions": [r"[a-z]+"], "annotations": dict, "potentiallyUnsafeConfigAnnotations": [r".+"],
    "linux": {
        "namespaces": [r"mount|pid|network|uts|ipc|user|cgroup|time"], "capabilities": [r"CAP_[A-Z_]+"],
        "cgroup": {"v1": bool, "v2": bool, "systemd": bool, "systemdUser": bool, "rdma": bool},
        "seccomp": {"enabled": bool, "actions": [r"SCMP_ACT_[A-Z_]+"], "operators": [r"SCMP_CMP_(NE|LT|LE|EQ|GE|GT|MASKED_EQ)"],
                    "archs": [r"SCMP_ARCH_(?!NATIVE)[A-Z0-9_]+"], "knownFlags": [r"SECCOMP_FILTER_FLAG_[A-Z_]+"],
                    "supportedFlags": [r"SECCOMP_FILTER_FLAG_[A-Z_]+"]},
        "apparmor": {"enabled": bool}, "selinux": {"enabled": bool}, "intelRdt": {"enabled": bool, "schemata": bool, "monitoring": bool},
        "memoryPolicy": {"modes": [r"MPOL_[A-Z_]+"], "flags": [r"MPOL_F_[A-Z_]+"]},
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


def test_takes_no_words():
    check(nsrun(["features", "x"]).status != 0, "features with a word")


if __name__ == "__main__":
    main()
