#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/engines, followed: the files as the pages have them, at the places that they name, and their commands. What systemctl would do is done by starting and
ending the daemon; `sudo` is left out."""
import json
import os
import re
import shutil

from engine import *
import cri
import harness
import slurm
from containerd import docker_archive
from docker import lasting
from harness import make_user
from test_docker_tls import client_directory, pki

PLACES = ("docker", "containerd", "containers")
_prepared = []


class Page:
    def __init__(self, name):
        with open(os.path.join(TOP, "docs/engines", name + ".md")) as file:
            self.lines = file.read().splitlines()

    def block(self, part, nth=0):
        """The lines of code around one that has this part."""
        at = [number for number, line in enumerate(self.lines) if line.startswith("    ") and part in line]
        check(len(at) > nth, "the page has no code with %r" % part)
        first = last = at[nth]
        while self.lines[first - 1].startswith("    "):
            first -= 1
        while last + 1 < len(self.lines) and (self.lines[last + 1].startswith("    ") or (
                not self.lines[last + 1] and self.lines[last + 2:last + 3] and self.lines[last + 2].startswith("    "))):
            last += 1
        return "\n".join(line[4:] for line in self.lines[first:last + 1]) + "\n"

    def command(self, *begins, nth=0, instead=(), **how):
        """The lines of code that begin so, run by one shell: its result."""
        script = ["set -e"]
        for begin in begins:
            found = [line.strip() for line in self.lines if line.startswith("    ") and line.strip().startswith(begin)]
            check(len(found) > nth, "the page has no command that begins with %r" % begin)
            script.append(found[nth].replace("sudo -u ", "SUDO-U ").replace("sudo ", ""))
        text = "\n".join(script)
        for old, new in instead:
            contains(text, old, "the command")
            text = text.replace(old, new)
        return run(["/bin/sh", "-c", text], timeout=60, **how)

    def row(self, part):
        """What a table says between backquotes, of the row that has this part there."""
        found = [words for line in self.lines if line.startswith("|") for words in line.split("`")[1::2] if part in words]
        check(found, "no row of a table has %r" % part)
        return found[0]


def prepare():
    """nsrun where `meson install` has it, and places of engines that are this run's."""
    if _prepared:
        return
    _prepared.append(True)
    over = os.path.join(base(), "over")
    for name in ("upper", "work", *PLACES):
        os.makedirs(os.path.join(over, name))
    mount("overlay", "/var/lib", "overlay", 0, "lowerdir=/var/lib,upperdir=%s/upper,workdir=%s/work" % (over, over))
    for name in PLACES:
        os.makedirs("/var/lib/" + name, exist_ok=True)
        mount(os.path.join(over, name), "/var/lib/" + name, None, 4096)
    mount("tmpfs", "/usr/local/bin", "tmpfs", 0, "mode=755")
    shutil.copy(runtime(), "/usr/local/bin/nsrun")
    os.chmod("/usr/local/bin/nsrun", 0o755)
    run(["nsrun", "--version"]).check(0)


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)


# ---- Docker ------------------------------------------------------------------------------------------------------------

def docker(*words, **how):
    return run(["/usr/bin/docker", *words], timeout=60, **how)


def dockerd(config, name, env=None):
    write("/etc/docker/daemon.json", json.dumps(config) if isinstance(config, dict) else config)
    return Daemon(["dockerd"], lambda: docker("version", env=env).status == 0, tmp(name), name="dockerd")


def here(page):
    """What the tables say for a host like this, and this run's group."""
    return {**json.loads("{%s}" % page.row('"default-ulimits"')), **json.loads("{%s}" % page.row('"cgroup-parent"').replace("/engines", "/" + cgroup_parent()))}


@test(timeout=180)
def test_docker():
    needs_program("dockerd")
    prepare()
    page = Page("docker")
    config = json.loads(page.block('"default-runtime"'))
    equal(set(config), {"default-runtime", "runtimes"}, "keys of daemon.json")
    daemon = dockerd({**config, **here(page)}, "docker")
    try:
        docker("import", "--change", "CMD /bin/sh", busybox_tar(), "busybox").check(0)
        page.command("docker info").check(0, "nsrun")
        page.command("docker run --rm --name try").check(0)
        told = page.command("id=$(docker run", 'sudo sh -c "nsrun').check(0)
        check(re.search(r'"status": ?"running"', told.stdout), "state: %r" % told)
        docker("rm", "-f", docker("ps", "-q").stdout.strip()).check(0)
        docker("create", "--name", "before", "busybox", "sleep", "1000").check(0)
    finally:
        daemon.stop()
    # The way back; the file is in lines, as the page has it.
    lines = page.block('"default-runtime"').rstrip().rstrip("}").rstrip() + ",\n" + json.dumps(here(page))[1:]
    write("/etc/docker/daemon.json", lines)
    page.command("sudo sed").check(0)
    with open("/etc/docker/daemon.json") as file:
        daemon = dockerd(file.read(), "back")
    try:
        page.command("docker info").check(0, "runc")
        docker("start", "before").check(0)
        equal(docker("inspect", "--format", "{{.HostConfig.Runtime}}", "before").stdout.strip(), "nsrun", "runtime of one that was made before")
        docker("rm", "-f", "before").check(0)
        docker("run", "-d", "--name", "runcs", "busybox", "sleep", "100")  # that runc fails here is runc's affair
        equal(docker("inspect", "--format", "{{.HostConfig.Runtime}}", "runcs").stdout.strip(), "runc", "runtime of a new one")
        docker("rm", "-f", "runcs").check(0)
    finally:
        daemon.stop()


@test(timeout=120)
def test_docker_userns_remap():
    needs_program("dockerd")
    prepare()
    dummy()
    page = Page("docker")
    daemon = dockerd({**json.loads(page.block('"userns-remap"')), **here(page)}, "remapped")
    try:
        docker("import", busybox_tar(), "busybox").check(0)
        docker("run", "--rm", "busybox", *lasting("awk '{print $2}' /proc/self/uid_map")).check(0, "100000")
        check(os.path.isdir("/var/lib/docker/100000.100000"), "the directory")
        docker("run", "--rm", "--userns=host", "busybox", *lasting("awk '{print $2}' /proc/self/uid_map")).check(0, "0")
    finally:
        daemon.stop()


@test(timeout=120)
def test_docker_tls():
    needs_program("dockerd", "openssl")
    prepare()
    page = Page("docker")
    for ours, theirs in (("ca.pem", "ca.pem"), ("server.pem", "server.pem"), ("server-key.pem", "server-key.pem")):
        os.makedirs("/etc/docker/tls", mode=0o700, exist_ok=True)
        shutil.copy(os.path.join(pki(), ours), "/etc/docker/tls/" + theirs)
    config = json.loads(page.block('"tlsverify": true'))
    daemon = dockerd({**config, **here(page)}, "tls")
    try:
        words = (("tcp://HOST", "tcp://127.0.0.1"), ("~/.docker", client_directory("client")))
        told = page.command("export DOCKER_HOST", instead=words + (("# ca.pem", "\ndocker version --format '{{.Server.Os}}' # ca.pem"),))
        told.check(0, "linux")
        none = page.command("export DOCKER_HOST", instead=(words[0], ("~/.docker", client_directory(None)), ("# ca.pem", "\ndocker version # ca.pem")))
        check(none.status != 0, "without a certificate: %r" % none)
    finally:
        daemon.stop()


# ---- Podman and Buildah ------------------------------------------------------------------------------------------------

def containers_conf(page, rows):
    """The page's, with these rows of its table below the sections that the table names."""
    sections = {}
    for line in page.block("runtime_supports_json").splitlines():
        if line.startswith("["):
            name = line
        elif line:
            sections.setdefault(name, []).append(line)
    for section, part in rows:
        sections.setdefault(section, []).append(page.row(part))
    return "\n".join("\n".join([name] + lines) for name, lines in sections.items()) + "\n"


ROWS = [("[containers]", "default_ulimits"), ("[engine]", "cgroup_manager"), ("[engine]", "events_logger"), ("[containers]", "log_driver")]
PODMAN = {"NETAVARK_FW": "iptables", "PODMAN_IGNORE_CGROUPSV1_WARNING": "1", "DBUS_SESSION_BUS_ADDRESS": None}


@test(timeout=120)
def test_podman():
    needs_program("podman")
    prepare()
    page = Page("podman")
    text = containers_conf(page, ROWS)
    write("/etc/containers/containers.conf", text)

    def podman(*words):
        return run(["podman", *words], env=PODMAN, timeout=60)
    podman("import", busybox_tar(), "docker.io/library/busybox").check(0)
    page.command("podman info", env=PODMAN).check(0, "nsrun")
    parent = (("podman run", "podman run --cgroup-parent /" + cgroup_parent()),)
    page.command("podman run --rm", instead=parent, env=PODMAN).check(0)
    told = page.command("id=$(podman run", "sudo nsrun state", instead=parent, env=PODMAN).check(0)
    check(re.search(r'"status": ?"running"', told.stdout), "state: %r" % told)
    podman("rm", "-f", "-a", "-t", "0").check(0)
    # The way back
    podman("create", "--name", "before", "--cgroup-parent", "/" + cgroup_parent(), "busybox", "true").check(0)
    page.command("podman system migrate", env=PODMAN).check(0)
    equal(podman("inspect", "--format", "{{.OCIRuntime}}", "before").stdout.strip(), "crun", "runtime of one that was made before")
    podman("rm", "before").check(0)
    lines = [line for line in text.splitlines() if "nsrun" not in line and line != "[engine.runtimes]"]
    write("/etc/containers/containers.conf", "\n".join(lines) + "\n")
    check(page.command("podman info", env=PODMAN).check(0).stdout.strip() in ("crun", "runc"), "the runtime that Podman finds by itself")
    podman("rmi", "-f", "docker.io/library/busybox").check(0)
    os.unlink("/etc/containers/containers.conf")


@test(timeout=120)
def test_podman_of_an_ordinary_user():
    needs_program("podman", "newuidmap")
    prepare()
    page, who = Page("podman"), make_user("tester", subuid=(1000000, 65536))
    path = os.path.join(who.home, ".config/containers/containers.conf")
    write(path, containers_conf(page, ROWS))
    run(["chown", "-R", "%d:%d" % (who.uid, who.gid), who.home]).check(0)
    env = {**PODMAN, "XDG_RUNTIME_DIR": harness.runtime_dir(who), "CONTAINERS_CONF": None}
    how = {"user": who, "env": env, "cwd": who.home}
    holder = Daemon(["setpriv", "--reuid", who.uid, "--regid", who.gid, "--clear-groups", "env", "-i",
                     *("%s=%s" % item for item in {**environment(who), **env}.items() if item[1] is not None), "podman", "unshare", "sleep", "infinity"],
                    lambda: os.path.exists(os.path.join(env["XDG_RUNTIME_DIR"], "libpod/tmp/pause.pid")), tmp("holder"), name="podman-unshare")
    try:
        run(["podman", "import", busybox_tar(), "docker.io/library/busybox"], timeout=60, **how).check(0)
        page.command("podman info", **how).check(0, "nsrun")
        none = (("podman run", "podman run --network none"),)  # slirp4netns may have no /dev/net/tun here
        page.command("podman run --rm", instead=none, **how).check(0)
        told = page.command("id=$(podman run", "podman unshare nsrun state", instead=none, **how).check(0)
        check(re.search(r'"status": ?"running"', told.stdout), "state: %r" % told)
        run(["podman", "rm", "-f", "-a", "-t", "0"], timeout=60, **how).check(0)
    finally:
        holder.kill()


@test(timeout=120)
def test_buildah():
    needs_program("buildah", "podman")
    prepare()
    page = Page("buildah")
    write("/etc/containers/containers.conf", containers_conf(Page("podman"), ROWS[:2]))
    run(["podman", "import", busybox_tar(), "localhost/busybox"], env=PODMAN, timeout=60).check(0)
    context = tmp("context")
    write(os.path.join(context, "Containerfile"), "FROM busybox\nRUN id -u >/who && cat /proc/self/cgroup >&2\n")
    group = "--cgroup-parent /%s/build" % cgroup_parent()
    told = page.command("export BUILDAH_RUNTIME", "c=$(buildah from", "buildah run $c", "buildah bud", cwd=context, env=PODMAN, instead=(
        ("buildah from", "buildah from " + group), ("buildah run", "buildah run --network none"), ("buildah bud", "buildah bud --network none " + group)))
    told.check(0)
    contains(told.stdout, "uid=0", "id in the container")
    # The runtime's own state has the container while its command runs.
    seen = "sleep 4 & until nsrun list | grep 'buildah-.* running '; do sleep 0.05; done; wait"
    running = page.command("export BUILDAH_RUNTIME", "c=$(buildah from", "buildah run $c", env=PODMAN, instead=(
        ("buildah from", "buildah from " + group), ("buildah run", "buildah run --network none"), ("-- id", "-- " + seen)))
    contains(running.check(0).stdout, "running", "list of the runtime")
    contains(told.stdout + told.stderr, cgroup_parent(), "the group of a step")
    for words in (["rm", "-a"], ["rmi", "-a", "-f"]):
        run(["buildah", *words], env=PODMAN).check(0)
    os.unlink("/etc/containers/containers.conf")


# ---- containerd --------------------------------------------------------------------------------------------------------

SOCKET = "/run/containerd/containerd.sock"


def containerd(config, name):
    def answers():
        try:
            cri.call(SOCKET, "RuntimeService/ListPodSandbox", {}, timeout=10)
            return True
        except (cri.Refused, OSError):
            return False
    write("/etc/containerd/config.toml", config)
    return Daemon(["containerd"], answers, tmp(name), name="containerd")


@test(timeout=120)
def test_containerd():
    needs_program("containerd", "ctr")
    prepare()
    page = Page("containerd")
    config = page.block("default_runtime_name").replace(
        '[plugins."io.containerd.grpc.v1.cri".containerd]',
        '[plugins."io.containerd.grpc.v1.cri"]\n%s\n%s\n[plugins."io.containerd.grpc.v1.cri".containerd]' % (
            page.row("restrict_oom_score_adj = true"), page.row("disable_apparmor = true")), 1)
    # Its command of systemd is not of the file.
    daemon = containerd(config.partition("sudo systemctl")[0], "containerd")
    try:
        run(["ctr", "images", "import", docker_archive(os.path.join(tmp(), "image.tar"), "docker.io/library/busybox:latest", ["/bin/sh"])], timeout=60).check(0)
        group = (("ctr run", "ctr run --cgroup /%s/ctr" % cgroup_parent()),)
        page.command("sudo ctr run --rm", instead=group).check(0)
        run(["ctr", "run", "-d", "--runc-binary", "/usr/local/bin/nsrun", "--cgroup", "/%s/stays" % cgroup_parent(), "docker.io/library/busybox:latest", "stays",
             "sleep", "1000"]).check(0)
        contains(page.command("sudo nsrun --root /run/containerd/runc/default").check(0).stdout, "stays", "list of the runtime")
        run(["ctr", "task", "kill", "-s", "SIGKILL", "stays"]).check(0)
        wait_for(lambda: "STOPPED" in run(["ctr", "task", "ls"]).stdout, "the task stops")
        run(["ctr", "task", "rm", "stays"])
        run(["ctr", "container", "rm", "stays"]).check(0)
        pause = re.search(r'sandbox_image = "([^"]+)"', run(["containerd", "config", "dump"]).check(0).stdout)[1]
        run(["ctr", "-n", "k8s.io", "images", "import", docker_archive(os.path.join(tmp(), "pause.tar"), pause, ["/bin/sleep", "1000"])], timeout=60).check(0)
        client = cri.Client(SOCKET, daemon.log)
        wait_for(lambda: 1 in client("ImageStatus", {1: {1: pause}}), "the image " + pause)
        # In the host's network: what gives another one is CNI's.
        config = {1: {1: "p", 2: "u", 3: "d", 4: 1}, 3: tmp("logs"), 8: {1: "/" + cgroup_parent() + "/pod", 2: {1: {1: 2}}}}
        pod = cri.dig(client("RunPodSandbox", {1: config}), 1).decode()
        contains(page.command("sudo nsrun --root /run/containerd/runc/k8s.io").check(0).stdout, pod, "list of the runtime")
        client("StopPodSandbox", {1: pod})
        client("RemovePodSandbox", {1: pod})
    finally:
        daemon.stop()


# ---- Slurm -------------------------------------------------------------------------------------------------------------

def test_slurm():
    """test_slurm.py runs what the page has."""
    page = Page("slurm")

    def lines(text):
        return [line for line in (text % dict(runtime="/usr/local/bin/nsrun", root="/run/nsrun-slurm/%u", id=slurm.PATTERN)).replace("%%", "%").splitlines() if line]
    equal(page.block("RunTimeRun=").splitlines(), lines(slurm.RUN + slurm.OTHERS), "oci.conf")
    equal(page.block("RunTimeCreate=").splitlines(), lines(slurm.CREATE_AND_START), "oci.conf with create and start")


if __name__ == "__main__":
    main()
