# SPDX-License-Identifier: Apache-2.0
"""Docker with userns-remap and nsrun as its runtime: whose ids a container has on the host, --userns=host, and what a remapped daemon hides."""
import os
import stat

from docker import *

FIRST = 100000  # of dummy's subordinate ids
_shared = {}


def remapped(name="remapped", **config):
    """The daemon that the tests share."""
    if "daemon" not in _shared:
        dummy()
        _shared["daemon"] = None
        _shared["daemon"] = Docker(name, config={"userns-remap": "dummy", **config})
        _shared["daemon"].image()
    check(_shared["daemon"], "the daemon did not start for an earlier test")
    return _shared["daemon"]


def container(options="", *command, image="busybox"):
    return Container(remapped(), options, *command, image=image)


def ids_of_map(pid):
    return [tuple(map(int, line.split())) for line in open("/proc/%d/uid_map" % pid)]


def test_ids_on_the_host():
    with container() as one:
        equal(ids_of_map(one.pid), [(0, FIRST, 65536)], "the map")
        status = status_of(one.pid)
        equal(status["Uid"].split(), [str(FIRST)] * 4, "user ids")
        equal(status["Gid"].split(), [str(FIRST)] * 4, "group ids")
        check(os.readlink("/proc/%d/ns/user" % one.pid) != os.readlink("/proc/self/ns/user"), "no user namespace of its own")
        one.shell("id -u; touch /file; chown 5:7 /file").check(0, "0\n")
        made = os.stat("/proc/%d/root/file" % one.pid)
        equal((made.st_uid, made.st_gid), (FIRST + 5, FIRST + 7), "owner on the host of what was made inside")
    with container("-u 1969:1970") as one:
        equal(status_of(one.pid)["Uid"].split(), [str(FIRST + 1969)] * 4, "user ids of USER 1969")
        one.shell("id -u; id -g").check(0, "1969\n1970\n")
        one.shell("id -u", options=["-u", "0"]).check(0, "0\n")


def test_exec_is_remapped():
    with container() as one:
        one.exec("sleep", "4321", options=["-d"]).check(0)

        def found():
            for pid in descendants():
                with open("/proc/%d/cmdline" % pid, "rb") as file:
                    if file.read() == b"sleep\0" b"4321\0":
                        return pid
        pid = wait_for(found, "the process of exec")
        equal(status_of(pid)["Uid"].split(), [str(FIRST)] * 4, "user ids")
        for name in ("user", "mnt", "pid", "net", "ipc", "uts"):
            equal(os.readlink("/proc/%d/ns/%s" % (pid, name)), os.readlink("/proc/%d/ns/%s" % (one.pid, name)), name)
        one.shell("cat /proc/self/uid_map").check(0)
        contains(one.shell("cat /proc/self/uid_map").stdout, str(FIRST))


def test_terminal():
    with remapped().pty("run", "--rm", "-it", "busybox", "/bin/sh") as term:
        term.expect("# ")
        term.write("tty; echo mine $(id -u) $(stat -c %u $(tty)); exit 7\n")
        term.expect(r"/dev/pts/0\s+mine 0 0")
        equal(term.wait(), 7, "status")


def test_host_is_out_of_reach():
    """What root of the host owns is nobody's inside."""
    directory = tmp("roots", 0o700)
    with open(os.path.join(directory, "secret"), "w") as file:
        file.write("secret\n")
    with container(["-v", directory + ":/v"]) as one:
        contains(one.shell("cat /v/secret").stderr, "Permission denied")
        one.shell("stat -c %u:%g /v").check(0, "65534:65534\n")
        check(one.shell("mknod /dev/x c 1 3").status != 0, "a device node in a user namespace")
        check(one.shell("echo 1 >/proc/sys/kernel/printk").status != 0, "a sysctl of the host can be written")


def test_confinement():
    with container("-m 64m --pids-limit 50 --read-only --tmpfs /scratch --security-opt no-new-privileges --cap-drop CHOWN") as one:
        status = status_of(one.pid)
        equal((status["Seccomp"], status["NoNewPrivs"]), ("2", "1"), "filter and no_new_privs")
        equal(int(status["CapEff"], 16), 0xa80425fa, "capabilities")
        equal(setting(one.pid, "memory", "memory.limit_in_bytes", "memory.max"), str(64 << 20), "memory")
        equal(setting(one.pid, "pids", "pids.max", "pids.max"), "50", "pids")
        contains(one.shell("echo x >/file").stderr, "Read-only file system")
        one.shell("echo x >/scratch/file; stat -c %u /scratch/file").check(0, "0\n")


def test_network():
    with container("-p 127.0.0.1:8083:80", "/bin/sh", "-c", "mkdir /www; echo remapped >/www/index.html; exec httpd -f -p 80 -h /www") as one:
        wait_for(lambda: run(["python3", "-c", "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8083/', timeout=2).read().decode())"]
                             ).stdout.strip() == "remapped", "an answer", timeout=15, interval=0.2)
        one.shell("ip link show eth0").check(0)


def test_userns_host():
    """--userns=host: the container's root is root."""
    with container("--userns=host") as one:
        equal(os.readlink("/proc/%d/ns/user" % one.pid), os.readlink("/proc/self/ns/user"), "user namespace")
        equal(status_of(one.pid)["Uid"].split(), ["0"] * 4, "user ids")
        one.shell("touch /file").check(0)
        equal(os.stat("/proc/%d/root/file" % one.pid).st_uid, 0, "owner of what was made inside")


def test_privileged_needs_userns_host():
    result = remapped().once("--privileged", "true")
    check(result.status != 0 and "privileged mode is incompatible with user namespaces" in result.stderr, repr(result))
    remapped().once("--privileged --userns=host", "mount", "-t", "tmpfs", "none", "/mnt").check(0)


def test_build():
    context = tmp("context")
    with open(os.path.join(context, "Dockerfile"), "w") as file:
        file.write("FROM busybox\nRUN mkdir /app && chown 1969 /app\nUSER 1969\nRUN id -u >/app/who\n")
    remapped().out("build", "-t", "built", context, timeout=60)
    with container("", "sleep", "1000", image="built") as one:
        equal(status_of(one.pid)["Uid"].split(), [str(FIRST + 1969)] * 4, "user ids of USER 1969 on the host")
        one.exec("cat", "/app/who").check(0, "1969\n")
        equal(os.stat("/proc/%d/root/app/who" % one.pid).st_uid, FIRST + 1969, "owner of what RUN wrote")


def test_directory():
    """What the daemon keeps lies in a directory of the range, which root of the range can enter and no other user can."""
    path = os.path.join(remapped().data_root, "%d.%d" % (FIRST, FIRST))
    found = os.stat(path)
    check(stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o007, "mode %o" % found.st_mode)
    equal(found.st_gid, FIRST, "its group")
    equal(remapped().out("info", "--format", "{{.DockerRootDir}}"), path)
    contains(remapped().out("info", "--format", "{{.SecurityOptions}}"), "name=userns")


@test(timeout=120)
def test_hiding():
    """A daemon sees what it made under the same map alone: without remapping what came before is there, with it hidden, and there again."""
    remapped().stop()
    remapped().clean()
    _shared.clear()
    top = "hiding"

    def objects(daemon):
        return (daemon.out("images", "-q") != "", daemon.out("ps", "-aq") != "", "kept" in daemon.out("volume", "ls", "-q"))
    plain = Docker(top)
    try:
        plain.image()
        plain.out("volume", "create", "kept")
        plain.once("-v kept:/v", "sh", "-c", "echo before >/v/file").check(0)
        plain.out("create", "--name", "earlier", "busybox", "true")
        equal(objects(plain), (True, True, True), "objects before")
    finally:
        plain.stop()
    hiding = plain.again({"userns-remap": "dummy"})
    try:
        equal(objects(hiding), (False, False, False), "objects of the time before, under the remapped daemon")
        hiding.image("other")
        hiding.once("", *lasting("id -u"), image="other").check(0, "0\n")
    finally:
        hiding.stop()
    plain = plain.again({})
    try:
        equal(objects(plain), (True, True, True), "objects once the map is gone")
        check("other" not in plain.out("images"), "an image of the remapped daemon is seen")
        plain.once("-v kept:/v", *lasting("cat /v/file")).check(0, "before\n")
    finally:
        plain.stop()
    plain.clean()


if __name__ == "__main__":
    main()
