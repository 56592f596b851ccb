# SPDX-License-Identifier: Apache-2.0
# tests/run: long
"""rootfs-scripts/debian: archives made here that are good, unsigned, signed by others, out of date or changed; and Debian's own."""
import glob
import hashlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import time

from harness import *

SCRIPT = os.path.join(TOP, "rootfs-scripts/debian")
NEEDED = ["mmdebstrap", "apt-ftparchive", "gpg", "gpgv", "dpkg-deb"]
SUITE = "local"
_archive = {}


def debian(*words, **more):
    return run([SCRIPT, *words], **dict({"timeout": 50}, **more))


def arch():
    return subprocess.run(["dpkg", "--print-architecture"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def quietly(command, **more):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
    check(done.returncode == 0, "%s: %s" % (command, done.stdout.decode(errors="replace")))
    return done.stdout


def gpg(*words):
    home = os.path.join(base(), "gnupg")
    if not os.path.isdir(home):
        os.mkdir(home, 0o700)
    try:
        return quietly(["gpg", "--homedir", home, "--batch", "--yes", "--pinentry-mode", "loopback", "--passphrase", "", *words])
    finally:
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "gpg-agent"], check=True)


def key(name, *expires):
    """The file of a public key made in this run; its secret one stays with gpg."""
    path = os.path.join(base(), name + ".gpg")
    if not os.path.exists(path):
        gpg("--quick-generate-key", name + "@example.invalid", "ed25519", "sign", *expires)
        gpg("--output", path, "--export", name + "@example.invalid")
    return path


def package(root):
    """A package with a program, so that the tree runs: no scripts, no dependencies."""
    source = os.path.join(base(), "package")
    if not os.path.isdir(source):
        for name in ("DEBIAN", "bin", "home", "etc"):
            os.makedirs(os.path.join(source, name))
            os.chmod(os.path.join(source, name), 0o755)
        shutil.copy(shutil.which("busybox", path="/bin:/usr/bin"), source + "/bin/busybox")
        os.symlink("busybox", source + "/bin/sh")
        with open(source + "/bin/elevated", "w") as file:
            file.write("x\n")
        os.chmod(source + "/bin/elevated", 0o4755)
        os.chown(source + "/home", 1000, 1000)
        with open(source + "/DEBIAN/control", "w") as file:
            file.write("Package: tiny\nVersion: 1\nArchitecture: %s\nMaintainer: nsrun <x@example.invalid>\nDescription: test\n" % arch())
    os.makedirs(root + "/pool")
    quietly(["dpkg-deb", "-Znone", "--build", source, root + "/pool/tiny.deb"])


def archive(name="debian", sign="good", seconds=3600, date=0):
    """An archive with that package. seconds: until it is out of date; date: of its signature, relative to now."""
    root = os.path.join(tmp(), name)
    if "good" not in _archive:
        _archive["good"] = os.path.join(base(), "archive")
        package(_archive["good"])
    shutil.copytree(_archive["good"], root)
    os.chmod(root, 0o755)
    lists = "dists/%s/main/binary-%s" % (SUITE, arch())
    os.makedirs(os.path.join(root, lists))
    with open(os.path.join(root, lists, "Packages"), "wb") as file:
        file.write(subprocess.run(["apt-ftparchive", "packages", "pool"], cwd=root, stdout=subprocess.PIPE, check=True).stdout)
    release(root, sign, seconds, date)
    return root


def release(root, sign, seconds=3600, date=0):
    def at(offset):
        return time.strftime("%a, %d %b %Y %H:%M:%S UTC", time.gmtime(time.time() + offset))
    path = os.path.join(root, "dists", SUITE)
    for stale in ("Release", "InRelease"):
        if os.path.exists(os.path.join(path, stale)):
            os.unlink(os.path.join(path, stale))
    options = {"Origin": "Test", "Suite": SUITE, "Codename": SUITE, "Components": "main", "Architectures": arch()}
    text = subprocess.run(["apt-ftparchive", *["-o=APT::FTPArchive::Release::%s=%s" % pair for pair in options.items()], "release", path],
                          stdout=subprocess.PIPE, text=True, check=True).stdout
    lines = [line for line in text.splitlines() if not line.startswith(("Date:", "Valid-Until:"))]
    with open(path + "/Release", "w") as file:
        file.write("\n".join(["Date: " + at(date), "Valid-Until: " + at(seconds)] + lines) + "\n")
    if sign:
        gpg("--local-user", sign + "@example.invalid", "--output", path + "/InRelease", "--clearsign", path + "/Release")
        os.unlink(path + "/Release")


def words_for(root, keyring="good"):
    return ["--suite", SUITE, "--variant", "extract", "--include", "tiny", "--mirror", "file://" + root, "--keyring", key(keyring)]


def beside(directory):
    return sorted(os.listdir(directory))


def refused(root, message, *more, keyring="good", **how):
    where = tmp("out")
    os.makedirs(where, exist_ok=True)
    result = debian(*words_for(root, keyring), *more, "--owner", dummy().name, where + "/tree", **how).check(1, stderr=message)
    equal(beside(where), [], "left behind")
    return result


@test(root=True, needs=NEEDED)
def test_good_archive():
    key("good")
    root, where = archive(), tmp("out")
    made = debian(*words_for(root), "--owner", dummy().name, where + "/tree").check(0)
    for stage in ("signatures are checked", "hashes are checked", "made "):
        contains(made.stderr, stage, "stages")
    equal(beside(where), ["tree"], "entries")
    for path, owner in ((".", 100000), ("bin/sh", 100000), ("home", 101000)):
        equal(os.lstat(os.path.join(where, "tree", path)).st_uid, owner, "owner of " + path)
    nsrun(["--userns-remap", dummy().name, where + "/tree", "/bin/sh", "-c", "echo $(busybox id -u)"]).check(0, "0")
    check(os.lstat(where + "/tree/bin/elevated").st_mode & stat.S_ISUID, "the set-uid bit is gone")
    stripped = debian("--quiet", "--strip-suid", *words_for(root), where + "/stripped").check(0, "removed set-uid (4755) bin/elevated")
    equal(stripped.stderr, "", "a quiet run's messages")
    equal(oct(stat.S_IMODE(os.lstat(where + "/stripped/bin/elevated").st_mode)), "0o755", "mode")
    equal(glob.glob(where + "/stripped/etc/apt/apt.conf.d/99*"), [], "options of its making")


@test(root=True, needs=NEEDED)
def test_ordinary_users():
    key("good")
    root, where = archive(), tmp("own", 0o700, ranger())
    debian(*words_for(root), where + "/tree", user=ranger()).check(0)
    equal([os.lstat(where + "/tree" + path).st_uid for path in ("", "/home")], [ranger().uid, 300999], "owners")
    nsrun([where + "/tree", "/bin/sh", "-c", "echo $(busybox id -u)"], user=ranger()).check(0, "0")
    where = tmp("one", 0o700, single())
    debian(*words_for(root), where + "/tree", user=single()).check(1, stderr="usermod --add-subuids")
    equal(beside(where), [], "left behind")
    debian(*words_for(root), "--owner", dummy().name, where + "/tree", user=single()).check(1, stderr="only root")


@test(root=True, needs=NEEDED)
def test_keyring_forms():
    """Armoured, and where only root can read it."""
    key("good")
    closed = tmp("closed", 0o700)
    with open(closed + "/key.txt", "wb") as file:
        file.write(gpg("--armor", "--export", "good@example.invalid"))
    os.chmod(closed + "/key.txt", 0o600)
    words = words_for(archive())
    words[words.index("--keyring") + 1] = closed + "/key.txt"
    debian(*words, "--owner", dummy().name, closed + "/tree").check(0)
    words[words.index("--keyring") + 1] = closed + "/none"
    debian(*words, "--owner", dummy().name, closed + "/tree2").check(1, stderr="no file that can be read")


@test(root=True, needs=NEEDED)
def test_unsigned_archive():
    key("good")
    refused(archive(sign=None), "the archive is not signed")


@test(root=True, needs=NEEDED)
def test_wrong_key():
    key("good"), key("other")
    refused(archive(sign="other"), "signed by a key that the keyring does not have")
    refused(archive("second"), "signed by a key that the keyring does not have", keyring="other")


@test(root=True, needs=NEEDED)
def test_expired_release():
    key("good")
    refused(archive(seconds=-60, date=-3600), "out of date")
    refused(archive("second", date=86400, seconds=2 * 86400), "is this host's clock right?")


@test(root=True, needs=NEEDED)
def test_expired_key():
    key("brief", "seconds=3")
    root = archive(sign="brief")
    time.sleep(4)
    refused(root, "a key that has expired", keyring="brief")


@test(root=True, needs=NEEDED)
def test_changed_files():
    key("good")

    def change(path, old, new):
        with open(path, "rb") as file:
            data = file.read()
        check(old in data, "%s lacks %r" % (path, old))
        with open(path, "wb") as file:
            file.write(data.replace(old, new, 1))
    root = archive("package")
    with open(root + "/pool/tiny.deb", "r+b") as file:
        file.seek(-5000, 2)
        byte = file.read(1)[0]
        file.seek(-5000, 2)
        file.write(bytes([byte ^ 1]))
    refused(root, "does not have the hash that is signed")
    root = archive("size")
    with open(root + "/pool/tiny.deb", "ab") as file:
        file.write(b"more")
    refused(root, "that is signed")
    root = archive("list")
    change(root + "/dists/%s/main/binary-%s/Packages" % (SUITE, arch()), b"Version: 1", b"Version: 2")
    refused(root, "that is signed")
    root = archive("release")
    change(root + "/dists/%s/InRelease" % SUITE, b"Origin: Test", b"Origin: Tost")
    refused(root, "the signature of the archive is wrong")


class Files:
    """Files of the private /etc for a while."""
    def __init__(self, **files):
        self.files = {"/etc/apt/" + name: text for name, text in files.pop("files").items()}

    def __enter__(self):
        for path, text in self.files.items():
            check(not os.path.exists(path), path + " exists")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(text)

    def __exit__(self, *_):
        for path in self.files:
            os.unlink(path)


INSECURE = """APT::Get::AllowUnauthenticated "true"; Acquire::AllowInsecureRepositories "true"; Acquire::AllowWeakRepositories "true";
Acquire::AllowDowngradeToInsecureRepositories "true"; Acquire::Check-Valid-Until "false"; Acquire::Check-Date "false";
"""


@test(root=True, needs=NEEDED)
def test_host_configuration_does_not_weaken():
    key("good"), key("other")
    config = os.path.join(tmp(), "apt.conf")
    with open(config, "w") as file:
        file.write(INSECURE)
    with Files(files={"apt.conf.d/zz-insecure": INSECURE}):
        shutil.copy(key("other"), "/etc/apt/trusted.gpg.d/other.gpg")
        for env in ({}, {"APT_CONFIG": config}):
            name = "env" if env else "file"
            refused(archive(name + "/unsigned", sign=None), "the archive is not signed", env=env)
            refused(archive(name + "/other", sign="other"), "the keyring does not have", env=env)
            refused(archive(name + "/expired", seconds=-60, date=-3600), "out of date", env=env)
    for options in ("trusted=yes", "allow-insecure=yes trusted=yes check-valid-until=no"):
        root = archive("trusted-%d/debian" % len(options), sign=None)
        moved = {path: path + ".moved" for path in glob.glob("/etc/apt/sources.list.d/*") + glob.glob("/etc/apt/sources.list")}
        for path, aside in moved.items():
            os.rename(path, aside)
        try:
            with Files(files={"sources.list": "deb [%s] file://%s %s main\n" % (options, root, SUITE)}):
                words = [word for word in words_for(root) if word not in ("--mirror", "file://" + root)]
                result = debian(*words, "--owner", dummy().name, tmp("out") + "/tree").check(1, stderr="the archive is not signed")
                contains(result.stderr, root, "the source that was used")
        finally:
            for path, aside in moved.items():
                os.rename(aside, path)
        equal(beside(tmp("out")), [], "left behind")


@test(root=True, needs=NEEDED)
def test_proxy_of_the_host():
    for option in ("Acquire::http::Proxy", "Acquire::http::Proxy::mirror.invalid"):
        server, command = silent_mirror()
        address = "http://127.0.0.1:%d" % server.getsockname()[1]
        command[command.index("--mirror") + 1] = "http://mirror.invalid/debian"
        where = tmp("own", 0o700)
        with Files(files={"apt.conf.d/zz-proxy": '%s "%s";\n' % (option, address)}):
            process = subprocess.Popen(command, cwd=where, env=environment(), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            connection, _ = server.accept()
            contains(connection.recv(4096).decode(), "http://mirror.invalid/debian/dists/", "the request to the proxy")
            process.terminate()
            equal(process.wait(timeout=10), 143, "status")
        connection.close()
        server.close()
        equal(beside(where), [], "left behind")


@test(root=True, needs=NEEDED)
def test_usage():
    for words, message in (
            ([], "DIR is missing"), (["a", "b"], "more than one DIR"), (["--suite", "x [trusted=yes]", "a"], "no name of a suite"),
            (["--mirror", "[trusted=yes] http://x", "a"], "a URL is needed"),
            (["--mirror", "http://x [trusted=yes]", "a"], "a URL is needed"),
            (["--mirror", "http://x\ndeb [trusted=yes] http://y", "a"], "a URL is needed"), (["--components", "main [x]", "a"], "commas"),
            (["--include", "a b", "a"], "commas"), (["--include=-x", "a"], "commas"), (["--variant", "x", "a"], "no variant")):
        debian(*words).check(2, stderr=message)
    text = debian("--help").check(0).stdout
    for part in ("--suite", "--mirror", "--keyring", "--strip-suid", "--owner", "Needs the packages", "Example:", "Exit status"):
        contains(text, part, "--help")
    make_user("fewids", subuid=(400000, 1000))
    debian("--owner", "fewids", tmp("out") + "/tree").check(1, stderr="too small")
    debian(tmp("open", 0o755) + "/tree").check(1, stderr="others can reach it")
    with open(os.path.join(tmp("full"), "kept"), "w"):
        pass
    debian("--owner", dummy().name, tmp("full")).check(1, stderr="not empty")
    where = tmp("out")
    unreachable = ["--suite", SUITE, "--mirror", "http://127.0.0.1:1/x"]
    debian("--owner", dummy().name, *unreachable, where + "/tree").check(1, stderr="cannot be reached")
    debian("--owner", dummy().name, "--suite", SUITE, "--mirror", "file://" + where, where + "/tree").check(1, stderr="no such suite")
    key("good")
    words = words_for(archive()) + ["--include", "none-such"]
    debian(*words, "--owner", dummy().name, where + "/tree").check(1, stderr="package of --include")
    equal(beside(where), [], "left behind")


@test(root=True, needs=NEEDED)
def test_progress_on_a_terminal():
    key("good")
    with Pty([SCRIPT, *words_for(archive()), "--owner", dummy().name, tmp("out") + "/tree"]) as terminal:
        terminal.expect(r"\[#+ +\] \d+ s, fetching", 30)
        equal(terminal.wait(30), 0, "status")


@generate(root=True)
def ended_by_a_signal():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        yield number.name, lambda number=number: end_by(number)


def silent_mirror():
    """A mirror that takes connections and does not answer, and the command that uses it."""
    needs_program(*NEEDED)
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(8)
    server.settimeout(20)
    mirror = "http://127.0.0.1:%d/debian" % server.getsockname()[1]
    return server, [SCRIPT, "--suite", SUITE, "--mirror", mirror, "--keyring", key("good"), "tree"]


@test(root=True)
def test_interrupted_at_the_terminal():
    server, command = silent_mirror()
    where = tmp("own", 0o700, ranger())
    with Pty(command, user=ranger(), cwd=where) as terminal:
        connection, _ = server.accept()
        terminal.write("\x03")
        equal(terminal.wait(10), 130, "status")
    equal(beside(where), [], "left behind")
    connection.close()
    server.close()


def end_by(number):
    """While it fetches: nothing is left, no process and no file."""
    server, command = silent_mirror()
    where = tmp("own", 0o700, ranger())
    process = subprocess.Popen(command, cwd=where, env=environment(ranger()), stdin=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, start_new_session=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler), **run_as(ranger()))
    connection, _ = server.accept()
    check(beside(where) and "tree" not in beside(where), "the half-made tree")
    begin = time.monotonic()
    process.send_signal(number)
    status = process.wait(timeout=10)
    check(time.monotonic() - begin < 15, "did not end at once")
    equal(status, 128 + number, "status")
    equal(beside(where), [], "left behind")
    connection.close()
    server.close()


# ---- Debian's own ------------------------------------------------------------------------------------------------

@test(root=True, needs=["mmdebstrap", "gpgv"], timeout=300)
def test_real_debian():
    """From this host's own mirror; kept for the next run, until what makes it changes."""
    digest = hashlib.sha256()
    for path in sorted(glob.glob(os.path.dirname(SCRIPT) + "/lib/*.py") + [SCRIPT] + glob.glob(os.path.dirname(SCRIPT) + "/*.sh")):
        with open(path, "rb") as file:
            digest.update(file.read())
    cache = os.path.join(TOP, "build/rootfs-debian")
    tree = os.path.join(cache, digest.hexdigest()[:16])
    if not os.path.isdir(tree):
        shutil.rmtree(cache, ignore_errors=True)
        os.makedirs(cache)
        made = debian("--owner", dummy().name, "--include", "sudo", tree, timeout=280)
        if made.status == 1 and "cannot be reached" in made.stderr:
            skip("the mirror cannot be reached")
        made.check(0)
    equal(beside(cache), [os.path.basename(tree)], "entries")
    os.chmod(cache, 0o755)
    script = """set -e
        apt-get --version >/dev/null; dpkg --audit; test "$(dpkg -l | grep -c '^ii')" -gt 80
        test "$(stat -c '%U %a' /usr/bin/su)" = 'root 4755'
        test "$(stat -c '%U:%G' /etc/shadow)" = root:shadow
        test ! -e /etc/apt/apt.conf.d/99mmdebstrap; grep -c signed-by /etc/apt/sources.list; id -u"""
    result = nsrun(["--userns-remap", dummy().name, "--ephemeral", tree, "/bin/bash", "-c", script]).check(0)
    equal(result.stdout.split()[-1], "0", "uid inside")
    with open(tree + "/etc/apt/sources.list") as file:
        for line in file:
            contains(line, "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]", "sources.list")


if __name__ == "__main__":
    main()
