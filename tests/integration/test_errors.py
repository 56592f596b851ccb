# SPDX-License-Identifier: Apache-2.0
"""Errors whose cause is known: each is made for real, in namespaces of the test's own, and must name cause and remedy."""
import ctypes
import os
import resource
import shlex
import shutil
import struct
import subprocess

from harness import *
from helper import install_helper, refused, tree

CLONE_NEWUSER = 0x10000000
libc = ctypes.CDLL(None, use_errno=True)
REMAP = ["--userns-remap", "dummy"]


def own_tree(who):
    return rootfs(owner="%d:%d" % (who.uid, who.gid), fresh=True)


def in_user_namespace(who, then):
    """preexec_fn: a user namespace with most ids mapped to themselves, `then` as its root, then the ids of `who`."""
    def prepare():
        ready, done = os.pipe(), os.pipe()
        writer = os.fork()
        if writer == 0:  # in the outer namespace, where the right to write the maps is
            os.read(ready[0], 1)
            for name in ("uid_map", "gid_map"):
                with open("/proc/%d/%s" % (os.getppid(), name), "w") as file:
                    file.write("0 0 1000000")
            os.write(done[1], b"x")
            os._exit(0)
        if libc.unshare(CLONE_NEWUSER) != 0:
            os._exit(99)
        os.write(ready[1], b"x")
        os.read(done[0], 1)
        os.waitpid(writer, 0)
        then()
        os.setgroups([])
        os.setresgid(who.gid, who.gid, who.gid)
        os.setresuid(who.uid, who.uid, who.uid)
    return prepare


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def program(tree_, name, content, mode=0o755):
    path = os.path.join(tree_, name)
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, mode)
    os.chown(path, 100000, 100000)
    return "/" + name


# ---- namespaces --------------------------------------------------------------------------------------------------

def test_user_namespaces_disabled():
    """user.max_user_namespaces is counted in each user namespace: 0 in one of the test's own."""
    before = leftovers()
    own = own_tree(single())
    result = nsrun([own, "/bin/true"], env={"XDG_RUNTIME_DIR": runtime_dir(single())}, popen={"preexec_fn": in_user_namespace(
        single(), lambda: write("/proc/sys/user/max_user_namespaces", "0"))})
    refused(result, "user namespace", "user.max_user_namespaces")
    assert_clean(before)
    # the counterpart: there, but not switched off, it runs
    nsrun([own, "/bin/echo", "in"], env={"XDG_RUNTIME_DIR": runtime_dir(single())},
          popen={"preexec_fn": in_user_namespace(single(), lambda: None)}).check(0, "in")


def test_other_namespaces_disabled():
    """The limits of the other namespaces give ENOSPC as well: the message must not send anybody to the wrong switch."""
    own = own_tree(single())
    result = nsrun([own, "/bin/true"], env={"XDG_RUNTIME_DIR": runtime_dir(single())}, popen={"preexec_fn": in_user_namespace(
        single(), lambda: write("/proc/sys/user/max_net_namespaces", "0"))})
    refused(result, "namespace")


def test_chroot():
    """A process in a chroot may not make a user namespace."""
    top = tmp("chroot")
    script = ("cd / && for d in *; do if [ -L $d ]; then cp -P $d {0}/; elif [ -d $d ]; then mkdir {0}/$d && mount --rbind $d {0}/$d; fi; done; "
              "exec chroot {0} {1} --userns-remap dummy {2} /bin/true").format(top, shlex.quote(binary()), tree())
    refused(run(["unshare", "-m", "sh", "-c", script]), "chroot", "pivot_root")


def test_proc_overmounted():
    own = own_tree(single())
    script = "mount -t tmpfs none /proc/irq && exec setpriv --reuid %d --regid %d --clear-groups %s %s /bin/true" % (
        single().uid, single().gid, shlex.quote(binary()), own)
    before = leftovers()
    refused(run(["unshare", "-m", "sh", "-c", script], env={"XDG_RUNTIME_DIR": runtime_dir(single())}), "/proc", "mounted over")
    assert_clean(before)


def test_records_that_find_no_room():
    script = ("mkdir -p /run/nsrun && mount -t tmpfs -o size=64k,mode=755 none /run/nsrun && "
              "head -c 100000 /dev/zero >/run/nsrun/fill; exec %s --userns-remap dummy %s /bin/true" % (shlex.quote(binary()), tree()))
    before = leftovers()
    refused(run(["unshare", "-m", "sh", "-c", script]), "/run/nsrun/", "/state.json: No space left on device", "[state-full]")
    assert_clean(before)


def test_set_uid_nsrun():
    copy = os.path.join(base(), "set-uid-nsrun")
    shutil.copy(binary(), copy)
    os.chmod(copy, 0o4755)
    try:
        refused(run([copy, own_tree(single()), "/bin/true"], user=single()), "set-uid", "chmod u-s")
        refused(run([copy, "--help"], user=single()), "set-uid")
    finally:
        os.unlink(copy)


# ---- what CMD needs ----------------------------------------------------------------------------------------------

def command(content, *words, status=(126, 127), tree_=None):
    tree_ = tree_ or rootfs(owner=dummy(), fresh=True)
    name = program(tree_, "program", content)
    before = leftovers()
    for options in ([], ["--init"]):
        result = nsrun(REMAP + options + [tree_, name])
        check(result.status in status, "status %d, wanted one of %r: %r" % (result.status, status, result))
        refused(result, name, *words, status=result.status)
    assert_clean(before)


def test_interpreter_missing():
    command(b"#!/no/such/interpreter -x\n", "/no/such/interpreter", "install")


def test_interpreter_not_executable():
    tree_ = rootfs(owner=dummy(), fresh=True)
    program(tree_, "interpreter", b"", 0o644)
    command(b"#!/interpreter\n", "/interpreter", tree_=tree_, status=(126,))


def test_crlf():
    command(b"#!/bin/sh\r\necho hi\r\n", "CR LF", "dos2unix")


def test_no_interpreter_line():
    """A script without a first line of its own: a shell would run it, execve does not."""
    command(b"echo hi\n", status=(126,))


def test_loader_missing():
    """A dynamic program of the host, without the C library inside."""
    with open("/usr/bin/env", "rb") as file:
        content = file.read()
    check(b"ld-linux" in content, "/usr/bin/env of this host is no dynamic program")
    command(content, "ld-linux", "loader")


def test_other_architecture():
    machine = 183 if os.uname().machine == "x86_64" else 62  # AArch64, x86-64
    header = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0x400000, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    command(header + struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, 120, 120, 4096), "architecture", status=(126,))


def test_cut_off_program():
    with open(os.path.join(rootfs(owner=dummy()), "bin/busybox"), "rb") as file:
        content = file.read(100)
    command(content, status=(126,))


def test_noexec():
    volume = tmp("volume")
    mount("none", volume, "tmpfs", 8, "mode=755,uid=100000,gid=100000")  # MS_NOEXEC
    try:
        program(volume, "program", b"#!/bin/sh\necho ran\n")
        result = nsrun(REMAP + ["-v", volume + ":/v:ro", tree(), "/v/program"])
        refused(result, "/v/program", "noexec", status=126)
    finally:
        umount(volume)


def test_the_shell_says_its_own():
    """An error of the workload is not nsrun's: its status and words come through alone."""
    result = nsrun(REMAP + [tree(), "/bin/sh", "-c", "exec /no/such/program"]).check(127)
    check("nsrun" not in result.stderr, "nsrun spoke about the workload's own error: %r" % result)
    result = nsrun(REMAP + [tree(), "/bin/sh", "-c", "exit 125"]).check(125, "")
    equal(result.stderr, "", "stderr of a workload that exits with 125")


# ---- what the caller does not have -------------------------------------------------------------------------------

def test_no_range():
    make_user("rangeless")
    refused(nsrun(["--userns-remap", "rangeless", tree(), "/bin/true"]), "rangeless", "/etc/subuid", "usermod --add-subuids")


def test_capability_not_held():
    result = run(["setpriv", "--bounding-set", "-sys_time", binary(), "--userns=host", "--cap-add", "SYS_TIME", rootfs(fresh=True), "/bin/true"])
    refused(result, "SYS_TIME", "capsh")
    # and in a user namespace of its own the container has them all
    run(["setpriv", "--bounding-set", "-sys_time", binary(), *REMAP, "--cap-add", "SYS_TIME", tree(), "/bin/true"]).check(0)


def test_hard_limit():
    own = install_helper(own_tree(single()))

    def low():
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
        os.setgroups([])
        os.setresgid(single().gid, single().gid, single().gid)
        os.setresuid(single().uid, single().uid, single().uid)
    env = {"XDG_RUNTIME_DIR": runtime_dir(single())}
    refused(nsrun(["--ulimit", "nofile=200", own, "/bin/true"], env=env, popen={"preexec_fn": low}), "nofile", "hard limit")
    nsrun(["--ulimit", "nofile=50", own, "/bin/sh", "-c", "ulimit -n"], env=env, popen={"preexec_fn": low}).check(0, "50")


# ---- words -------------------------------------------------------------------------------------------------------

def test_words_of_other_tools():
    """nsrun alpine, nsrun run -it alpine sh: there is no image store, and this is how a rootfs is made."""
    for words in (["alpine"], ["run", "-it", "alpine", "sh"], ["docker.io/library/alpine:latest", "sh"]):
        result = nsrun(words, cwd=tmp())
        refused(result, "rootfs-scripts", status=1 if words[0] == "run" else 125)  # run is a command of the OCI runtime
        check("image" in result.stderr or "does not exist" in result.stderr or "No such file" in result.stderr, "%r" % result)


def test_not_built_options_say_so():
    """An option of the contract that is not built yet is told from a misspelt one."""
    built = nsrun(["--help"]).check().stdout
    for option in ("--landlock", "--secret", "--cgroupns"):
        if option in built:
            continue
        result = nsrun(REMAP + [option, "x", tree(), "/bin/true"])
        refused(result, option)


def test_message_form():
    """One line of what failed with its object, then the remedy; on stderr, without escape sequences."""
    result = refused(nsrun(REMAP + ["/no/such/rootfs", "/bin/true"]), "/no/such/rootfs", "does not exist", "rootfs-scripts/busybox")
    first = result.stderr.splitlines()[0]
    check(first.startswith("nsrun: "), "first line: %r" % first)
    contains(first, "/no/such/rootfs", "first line")
    check("\x1b" not in result.stderr, "escape sequences without a terminal")


def test_error_of_a_row_names_it():
    """A launch that fails half way says at which row: a rootfs whose /proc is a file."""
    tree_ = rootfs(owner=dummy(), fresh=True)
    os.rmdir(tree_ + "/proc")
    open(tree_ + "/proc", "w").close()
    before = leftovers()
    result = refused(nsrun(REMAP + [tree_, "/bin/true"]), "proc")
    rows = subprocess.run([binary(), "--dry-run", *REMAP, tree(), "/bin/true"], stdout=subprocess.PIPE, env=environment(), text=True,
                          check=True).stdout.split()
    rows = {word for word in rows if "." in word and word.replace(".", "").replace("-", "").isalpha()}
    check(any(row in result.stderr for row in rows), "no row of %r is named: %r" % (sorted(rows), result))
    assert_clean(before)


if __name__ == "__main__":
    main()
