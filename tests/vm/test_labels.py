# SPDX-License-Identifier: Apache-2.0
# vm: --append security=apparmor --append apparmor=1
"""process.apparmorProfile where AppArmor decides: the profile holds the workload and what is executed beside it, also where the container's /proc is
a fake (CVE-2019-16884, CVE-2019-19921, CVE-2025-52881). On Linux 6.1 by procfs, on 6.12 by lsm_set_self_attr(2)."""
import os

from common import *
from test_lab import lab
from test_oci_life import Bundle, failing

PROFILE = """
profile nsrun-test flags=(attach_disconnected,mediate_deleted) {
  file,
  capability,
  network,
  signal,
  ptrace,
  mount,
  umount,
  deny /secret r,
}
"""
PROC = {"destination": "/proc", "type": "proc", "source": "proc"}


def prepare():
    if not os.path.exists("/sys/kernel/security/apparmor"):
        run(["mount", "-t", "securityfs", "none", "/sys/kernel/security"]).check(0)
    path = os.path.join(tmp(), "profile")
    with open(path, "w") as file:
        file.write(PROFILE)
    run(["apparmor_parser", "--replace", "--skip-cache", path], timeout=120).check(0)


def bundle(script, profile="nsrun-test", mounts=(PROC,), **process):
    prepare()
    b = Bundle("/bin/sh", "-c", script, mounts=list(mounts))
    b.config["process"].update(apparmorProfile=profile, **process)
    with open(b.config["root"]["path"] + "/secret", "w") as file:
        file.write("told\n")
    b.write()
    return b


def label(pid):
    with open("/proc/%d/attr/apparmor/current" % pid) as file:
        return file.read().strip()


@test(root=True, timeout=300)
def test_the_profile_holds():
    for nnp in (True, False):
        with bundle("cat /proc/self/attr/apparmor/current; cat /secret", noNewPrivileges=nnp) as b:
            result = b("run", "-b", b.dir, "c").check(1)
            equal(result.stdout, "nsrun-test (enforce)\n", "label inside")
            contains(result.stderr, "Permission denied", "what it denies")
    with bundle("cat /proc/self/attr/apparmor/current; cat /secret", profile="unconfined") as b:
        equal(b("run", "-b", b.dir, "c").check(0).stdout, "unconfined\ntold\n", "without a profile")


@test(root=True, timeout=300)
def test_exec_has_the_profile():
    with bundle("exec sleep 600") as b:
        b.made()
        equal(label(b.state()["pid"]), "unconfined", "label of a container that was not started")
        b("start", "c").check(0)
        wait_for(lambda: label(b.state()["pid"]) == "nsrun-test (enforce)", "the label of the workload, from outside")
        result = b("exec", "c", "/bin/cat", "/proc/self/attr/apparmor/current", "/secret")
        equal(result.stdout, "nsrun-test (enforce)\n", "label of a further process")
        contains(result.stderr, "Permission denied", "what it denies")


@test(root=True, timeout=300)
def test_start_hooks_have_the_profile():
    # Their programs are the image's.
    with bundle("true") as b:
        path = os.path.join(b.config["root"]["path"], "start")
        with open(path, "w") as file:
            file.write("#!/bin/sh\n(cat /proc/self/attr/apparmor/current; cat /secret) >/told 2>&1\nexit 0\n")
        os.chmod(path, 0o755)
        b.config["hooks"] = {"startContainer": [{"path": "/start"}]}
        b.write()
        b("run", "-b", b.dir, "c").check(0)
        told = read(os.path.join(os.path.dirname(path), "told"))
        equal(told.splitlines()[0], "nsrun-test (enforce)", "label of the hook")
        contains(told, "Permission denied", "what it is denied")


@test(root=True, timeout=300)
def test_a_faked_proc_takes_no_label():
    # Without a procfs: what lies on /proc is the rootfs' own.
    with bundle("exec sleep 600", mounts=()) as b:
        for name in ("self/attr/apparmor", "thread-self/attr/apparmor", "1/attr/apparmor"):
            os.makedirs(os.path.join(b.config["root"]["path"], "proc", name), exist_ok=True)
            for file in ("exec", "../exec"):
                with open(os.path.join(b.config["root"]["path"], "proc", name, file), "w") as fake:
                    fake.write("")
        b.made()
        b("start", "c").check(0)
        wait_for(lambda: label(b.state()["pid"]) == "nsrun-test (enforce)", "the label of the workload")
        for directory, _, files in os.walk(os.path.join(b.config["root"]["path"], "proc")):
            for file in files:
                equal(os.path.getsize(os.path.join(directory, file)), 0, "what was written to the fake %s" % file)
    # With one, over which a tmpfs lies.
    with bundle("exec sleep 600", mounts=(PROC, {"destination": "/proc", "type": "tmpfs", "source": "tmpfs"})) as b:
        b.made()
        b("start", "c").check(0)
        wait_for(lambda: label(b.state()["pid"]) == "nsrun-test (enforce)", "the label of the workload")


@test(root=True, timeout=300)
def test_a_profile_that_is_not_loaded():
    with bundle("echo no", profile="nsrun-nowhere") as b:
        result = b("run", "-b", b.dir, "c")
        failing(result, "process.apparmorProfile: nsrun-nowhere")
        contains(result.stderr, "[apparmor-profile]", "remedy")
        equal(result.stdout, "", "output")


@test(root=True, timeout=300)
def test_the_chapter_of_the_lab():
    """Where AppArmor is, root is shown all of it but the part about SELinux."""
    prepare()
    transcript = lab("solve", "labels", timeout=250).check(0).stdout
    contains(transcript, "lab: labels: holds")
    contains(transcript, "nsrun-lab (enforce)")
    equal([line for line in transcript.split("\n") if line.startswith("skipped") and "AppArmor" in line], [], "what was skipped")


if __name__ == "__main__":
    main()
