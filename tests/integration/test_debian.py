# SPDX-License-Identifier: Apache-2.0
# tests/run: long
"""The tools that administer a Debian system work in a Debian rootfs: useradd, passwd, su, sudo, apt; each with the options that it needs and
no others, for root and for ordinary users.

The tree is made once by mmdebstrap, from the host's own sources of packages, and kept as build/debian.tar; NSRUN_DEBIAN_TAR names
another one. It must have sudo, passwd and apt."""
import glob
import os
import re
import subprocess

from harness import *

GAIN = ["--security-opt", "no-new-privileges=false"]  # set-uid programs: sudo, su, passwd
NETWORK = ["--network", "host"]
UNREACHABLE = r"(?i)could not resolve|temporary failure|failed to fetch|unable to connect|connection (refused|timed out|failed)|no route"


def sources():
    """The host's sources that Debian's own keys sign, as one text."""
    out = ""
    for path in ["/etc/apt/sources.list"] + sorted(glob.glob("/etc/apt/sources.list.d/*")):
        if not path.endswith((".list", ".sources")) or not os.path.isfile(path):
            continue
        with open(path) as file:
            text = file.read()
        if path.endswith(".sources"):
            out += "".join(part + "\n\n" for part in re.split(r"\n\s*\n", text) if "debian-archive-keyring" in part)
        else:
            out += "".join(line + "\n" for line in text.splitlines() if line.startswith("deb ") and "signed-by" not in line.lower())
    return out


def apt_conf():
    """How the host's apt reaches the archive: proxies, checks of dates."""
    dump = subprocess.run(["apt-config", "dump"], stdout=subprocess.PIPE, check=True).stdout.decode()
    return "".join(line + "\n" for line in dump.splitlines() if re.match(r'Acquire::(https?|Check|Retries|ForceIPv)[\w:.-]* "[^"]', line))


def archive():
    """The tree as a tar, with the owners of a Debian system."""
    path = os.environ.get("NSRUN_DEBIAN_TAR") or os.path.join(os.path.dirname(built("NSRUN")), "debian.tar")
    if os.path.exists(path):
        return path
    needs_program("mmdebstrap", "apt-config")
    with open("/etc/os-release") as file:
        release = dict(line.rstrip("\n").split("=", 1) for line in file if "=" in line)
    if release.get("ID") != "debian" or not sources():
        skip("the host has no sources of Debian packages")
    made = path + ".%d.tmp" % os.getpid()
    command = ["mmdebstrap", "--mode=root", "--format=tar", "--variant=minbase", "--include=sudo,passwd,apt,debian-archive-keyring,python3-minimal",
               "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
               release["VERSION_CODENAME"].strip('"'), made, "-"]
    try:
        run = subprocess.run(command, input=sources().encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300 * SLOW)
        said = run.stdout.decode(errors="replace")
        if run.returncode and re.search(UNREACHABLE, said):
            skip("the archive of packages cannot be reached")
        check(run.returncode == 0, "mmdebstrap: status %d\n%s" % (run.returncode, said[-3000:]))
        os.rename(made, path)
    finally:
        if os.path.exists(made):
            os.remove(made)
    return path


def shift(tree_, outside):
    """Gives every file to the host id that stands for its owner. chown(2) takes set-uid bits away, so the mode is set again."""
    for path, names, files in os.walk(tree_):
        for name in [""] + [n for n in names if os.path.islink(os.path.join(path, n))] + files:
            full = os.path.join(path, name) if name else path
            st = os.lstat(full)
            os.chown(full, outside(st.st_uid), outside(st.st_gid), follow_symlinks=False)
            if not os.path.islink(full):
                os.chmod(full, st.st_mode & 0o7777)


_trees = {}


def debian(name):
    """A tree for this caller, made once and shared by its tests: what one of them installs the others may see."""
    if name not in _trees:
        outside = {"root": lambda id_: dummy().subuid[0] + id_,
                   "ranges": lambda id_: ranger().uid if id_ == 0 else ranger().subuid[0] + id_ - 1,
                   "single": lambda id_: single().uid}[name]
        tar = archive()
        path = os.path.join(base(), "debian-" + name)
        os.mkdir(path)
        subprocess.run(["tar", "-C", path, "--exclude=./dev/*", "-xpf", tar], check=True)
        with open(path + "/etc/hosts", "w") as file:
            file.write("127.0.0.1\tlocalhost\n")
        for old in glob.glob(path + "/etc/apt/sources.list*"):
            subprocess.run(["rm", "-rf", old], check=True)
        os.makedirs(path + "/etc/apt/sources.list.d")
        deb822, lines = sources(), ""
        lines = "".join(line + "\n" for line in deb822.splitlines() if line.startswith("deb "))
        rest = "".join(line + "\n" for line in deb822.splitlines() if not line.startswith("deb "))
        for file_name, text in (("sources.list", lines), ("sources.list.d/host.sources", rest), ("apt.conf.d/99host", apt_conf())):
            if text.strip():
                with open(path + "/etc/apt/" + file_name, "w") as file:
                    file.write(text)
        shift(path, outside)
        _trees[name] = path
    return _trees[name]


def inside(name, options, script, **how):
    """/bin/sh -c SCRIPT in the tree, as this caller's launch."""
    who, own = {"root": (None, ["--userns-remap", dummy().name]), "ranges": (ranger(), []), "single": (single(), [])}[name]
    proxies = {key: os.environ[key] for key in os.environ if key.lower() in ("http_proxy", "https_proxy", "no_proxy")}
    passed = [word for key in proxies for word in ("-e", key)]
    return nsrun(own + passed + list(options) + [debian(name), "/bin/sh", "-c", script], user=who, env=proxies, timeout=120, **how)


def for_both(check_one):
    for name in ("root", "ranges"):
        yield name, lambda name=name: check_one(name)


@generate(root=True, timeout=300)
def useradd():
    def one(name):
        run = inside(name, [], "set -e; useradd -m -s /bin/sh alice; echo alice:secret | chpasswd; groupadd -g 2000 staff2; usermod -aG staff2 alice; "
                     "id alice; stat -c '%U %a' /home/alice; getent shadow alice | cut -c1-8; userdel -r alice 2>/dev/null; groupdel staff2; id alice")
        equal(run.status, 1, "status of the last id: %r" % run)
        check(re.match(r"uid=(\d+)\(alice\) gid=\d+\(alice\) groups=\d+\(alice\),2000\(staff2\)\nalice 7\d\d\nalice:\$y", run.stdout), repr(run))
        check("no such user" in run.stderr, repr(run))
    yield from for_both(one)


@generate(root=True, timeout=300)
def su():
    def one(name):
        # root becomes another user: nothing is gained, so it works with no_new_privs
        run = inside(name, [], "useradd -m carol && su carol -c 'id -un; touch ~/file; stat -c %U ~/file'; su - carol -c pwd; userdel -rf carol 2>/dev/null")
        run.check(0, "carol\ncarol\n/home/carol")
        # another user becomes root by a set-uid program and a password
        script = ("echo root:toor | chpasswd; useradd -m dave; echo dave:secret | chpasswd; su dave -c 'echo toor | su root -c id -s /bin/sh; "
                  "printf \"secret\\nn3w-Secret\\nn3w-Secret\\n\" | passwd'; userdel -rf dave 2>/dev/null")
        run = inside(name, GAIN, script).check()
        contains(run.stdout, "uid=0(root)", "su root")
        contains(run.stderr, "password updated successfully", "passwd")
        run = inside(name, [], script)
        check("uid=0(root)" not in run.stdout, "su gained root with no_new_privs: %r" % run)
    yield from for_both(one)


@generate(root=True, timeout=300)
def sudo():
    def one(name):
        inside(name, [], "useradd -m erin; echo 'erin ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/erin; chmod 440 /etc/sudoers.d/erin").check()
        run = inside(name, GAIN + ["-u", "erin"], "sudo -n id -un; sudo -n -u www-data id -un; sudo -n sh -c 'echo x >/root/by-sudo; stat -c %U /root/by-sudo'")
        run.check(0, "root\nwww-data\nroot")
        equal(run.stderr, "", "what sudo warns of")  # "unable to resolve host" without a line for it in /etc/hosts
        # with no_new_privs, the default, sudo itself says what is in its way
        run = inside(name, ["-u", "erin"], "sudo -n id -un")
        equal((run.status, run.stdout), (1, ""), "sudo with no_new_privs")
        contains(run.stderr, "no new privileges", "what sudo says")
        inside(name, [], "userdel -rf erin 2>/dev/null; rm /etc/sudoers.d/erin").check()
    yield from for_both(one)


APT = "apt-get -q update && apt-get -q install -y --no-install-recommends hello && hello && dpkg -s hello | grep Status && apt-get -q purge -y hello"


def with_network(name, options, script):
    run = inside(name, NETWORK + options, script)
    if re.search(UNREACHABLE, run.stderr) and "nameserver" in open("/etc/resolv.conf").read():
        outside = subprocess.run(["apt-get", "-q", "--print-uris", "download", "hello"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if outside.returncode:
            skip("the archive of packages cannot be reached")
    return run


@generate(root=True, timeout=300)
def apt():
    def one(name):
        run = with_network(name, ["-e", "DEBIAN_FRONTEND=noninteractive"], APT).check()
        contains(run.stdout, "Hello, world!", "the installed program")
        contains(run.stdout, "Status: install ok installed", "dpkg")
        equal([line for line in run.stderr.splitlines() if line.startswith(("W:", "E:"))], [], "warnings of apt")
    yield from for_both(one)
    yield "sudo-apt", lambda: apt_by_sudo("root")
    yield "single", apt_with_one_id


def apt_by_sudo(name):
    """As people have it at home: an ordinary user inside who installs by sudo."""
    inside(name, [], "useradd -m frank; echo 'frank ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/frank").check()
    run = with_network(name, GAIN + ["-u", "frank"], "sudo -n apt-get -q update && sudo -n apt-get -q install -y hello && hello").check()
    contains(run.stdout, "Hello, world!", "the installed program")
    inside(name, [], "userdel -rf frank 2>/dev/null; apt-get -q purge -y hello; rm /etc/sudoers.d/frank").check()


def apt_with_one_id():
    """A map of one id has no user _apt: apt is told to stay root."""
    run = with_network("single", ["-e", "DEBIAN_FRONTEND=noninteractive"], APT.replace("apt-get ", "apt-get -o APT::Sandbox::User=root "))
    contains(run.check().stdout, "Hello, world!", "the installed program")


@test(root=True, timeout=300)
def test_filter_strict():
    """The stricter filter runs the tools of a Debian system."""
    options = ["--security-opt", "seccomp=strict"]
    script = ("set -e; bash -c 'a=(1 2 3); echo ${#a[@]}; echo <(true) >/dev/null; cat <<<here'; perl -e 'print 6*7, \"\\n\"'; "
              "dpkg -l | grep -c '^ii' >/dev/null; find /usr -name '*.so*' | sort | tail -1 >/dev/null; tar cf - /etc 2>/dev/null | gzip | gunzip | tar tf - | "
              "grep -c passwd >/dev/null; useradd -m gina; su gina -c 'id -un'; userdel -rf gina 2>/dev/null; ls -l /proc/self/fd >/dev/null; date +%Y >/dev/null")
    inside("root", options, script).check(0, "3\nhere\n42\ngina")
    python = ("import os, threading, socket; t = threading.Thread(target=lambda: None); t.start(); t.join(); "
              "a, b = socket.socketpair(); a.send(b'x'); r = os.popen('echo child').read().strip(); print(r, len(os.listdir('/proc')) > 5)")
    inside("root", options, "python3 -c \"%s\"" % python).check(0, "child True")
    refused_mount = inside("root", options + ["--cap-add", "ALL"], "mount -t tmpfs none /mnt")
    check(refused_mount.status != 0, "mount under strict: %r" % refused_mount)


if __name__ == "__main__":
    main()
