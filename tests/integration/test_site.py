# SPDX-License-Identifier: Apache-2.0
"""/etc/nsrun/nsrun.json and the user's own file: defaults, what is forbidden, who may have written them, where mistakes are."""
import json
import os
import re
import shutil
import stat
import subprocess

from harness import *
from helper import tree

SITE = "/etc/nsrun/nsrun.json"


def write(path, content, mode=0o644, owner=(0, 0)):
    """A file with this text, or this value as JSON; its directory is made."""
    if not os.path.isdir(os.path.dirname(path)):
        os.makedirs(os.path.dirname(path))
        os.chown(os.path.dirname(path), *owner)
    with open(path, "w") as file:
        file.write(content if isinstance(content, str) else json.dumps(content))
    os.chmod(path, mode)
    os.chown(path, *owner)
    return path


class files:
    """In the private /etc and homes: the host's file and a user's own, removed at the end."""

    def __init__(self, host=None, own=None, user=None):
        self.host, self.own, self.user = host, own, user

    def __enter__(self):
        needs_root()
        if self.host is not None:
            write(SITE, self.host)
        if self.own is not None:
            write(os.path.join(self.user.home, ".config/nsrun/nsrun.json"), self.own, owner=(self.user.uid, self.user.gid))
        return self

    def __exit__(self, *_):
        shutil.rmtree("/etc/nsrun", ignore_errors=True)
        if self.user:
            shutil.rmtree(os.path.join(self.user.home, ".config"), ignore_errors=True)


def launch(*options, **more):
    return nsrun(["--userns-remap", dummy().name, *options, tree(), "/bin/sh", "-c", more.pop("script", "true")], **more)


def refused(result, *parts):
    result.check(125, stdout="")
    for part in parts:
        contains(result.stderr, part, "message")
    return result


def test_defaults_have_their_effect():
    with files({"defaults": {"env": ["A=site", "B=site"], "hostname": "fromfile", "ulimit": ["nofile=100:200"], "cap-drop": ["ALL"]}}):
        script = "echo $A $B $C; hostname; ulimit -n; grep CapEff /proc/self/status"
        launch(script=script).check(0, "site site\nfromfile\n100\nCapEff:\t0000000000000000")
        launch("-e", "A=line", "-e", "C=line", "--hostname=line", "--ulimit", "nofile=50", script=script).check(
            0, "line site line\nline\n50\nCapEff:\t0000000000000000")
    launch(script="echo ${A-unset}").check(0, "unset")


def test_switches_and_numbers():
    with files({"defaults": {"read-only": True, "pids-limit": 5, "init": True}}):
        result = launch(script="touch /x; cat /proc/1/comm; cat /sys/fs/cgroup/pids.max 2>/dev/null; true").check(0)
        contains(result.stderr, "Read-only")
        check("sh" not in result.stdout.split(), "no init as PID 1: %r" % result)
        plan = launch("--dry-run").check(0).stdout
        contains(plan, "option.pids-limit: 5 (%s:1)\n" % SITE)
        contains(plan, "option.userns-remap: dummy (command line)\n")
        launch("--read-only=false", script="touch /x && rm /x").check(0)


def test_layers_of_a_user():
    who = ranger()
    with files({"defaults": {"hostname": "site", "env": ["A=site"]}}, {"defaults": {"hostname": "own",\
               "env": ["B=own"]}}, who):
        own = rootfs(owner=who)
        script = ["/bin/sh", "-c", "hostname; echo $A $B"]
        nsrun([own, *script], user=who).check(0, "own\nsite own")
        nsrun(["--hostname", "line", own, *script], user=who).check(0, "line\nsite own")
        plan = nsrun(["--dry-run", own], user=who).check(0).stdout
        contains(plan, "option.env.0: A=site (%s:1)\noption.env.1: B=own (%s/.config/nsrun/nsrun.json:1)\n" % (SITE, who.home))
        # XDG_CONFIG_HOME is elsewhere; a relative one counts for nothing
        nsrun([own, *script], user=who, env={"XDG_CONFIG_HOME": "/nonexistent"}).check(0, "site\nsite")
        nsrun([own, *script], user=who, env={"XDG_CONFIG_HOME": "relative"}).check(0, "own\nsite own")


def test_single_id():
    who = single()
    with files(own={"defaults": {"hostname": "own"}}, user=who):
        nsrun([rootfs(owner="%d:%d" % (who.uid, who.gid)), "/bin/hostname"], user=who).check(0, "own")


def test_root_reads_no_other_home():
    """After sudo HOME may be the user's: root's own is the one in passwd."""
    who = ranger()
    with files(own={"defaults": {"hostname": "mine"}}, user=who):
        result = launch(env={"HOME": who.home, "XDG_CONFIG_HOME": who.home + "/.config"}, script="hostname").check(0)
        check("mine" not in result.stdout, "root used the file of another user")
        # a broken one breaks nothing either
        write(os.path.join(who.home, ".config/nsrun/nsrun.json"), "{", owner=(who.uid, who.gid))
        launch(env={"HOME": who.home}).check(0)


def test_root_has_an_own_file():
    needs_root()
    home = tmp("roothome")
    with open("/etc/passwd") as file:
        before = file.read()
    try:
        with open("/etc/passwd", "w") as file:
            file.write(re.sub(r"^root:(.*):[^:]*:([^:]*)$", r"root:\1:%s:\2" % home, before, flags=re.M))
        write(home + "/.config/nsrun/nsrun.json", {"defaults": {"hostname": "roots"}})
        launch(script="hostname", env={"HOME": "/nonexistent"}).check(0, "roots")
    finally:
        with open("/etc/passwd", "w") as file:
            file.write(before)


FORBID = {"forbid": ["privileged", "userns=host", "trust-rootfs", "security-opt=seccomp=unconfined", "volume=/var/run/*", "memory", "cap-add=SYS_*",
                     "security-opt=no-new-privileges=false", "ROOTFS=/srv/private"]}


@generate(root=True)
def forbidden():
    for words in (["--privileged"], ["--privileged=on"], ["--userns=host"], ["--userns", "host"], ["--trust-rootfs"], ["--trust-rootfs=yes"],
                  ["--security-opt", "seccomp=unconfined"], ["--security-opt=seccomp=unconfined"], ["-v", "/var/run/x:/x"],
                  ["-v/run/x:/x"], ["-v=/var//run/./x:/x:ro"], ["--volume", "/etc/../run/x:/x"], ["-v", "/:/x"], ["-m1g"],
                  ["--memory=1g"], ["--cap-add", "sys_admin"], ["--cap-add=CAP_SYS_TIME"], ["--cap-add", "ALL"],
                  ["--security-opt", "no-new-privileges=off"]):
        def one(words=words):
            with files(FORBID):
                refused(nsrun([*words, tree(), "/bin/true"]), "%s:1 forbids" % SITE, "[forbidden-by-site]")
        yield " ".join(words), one
    for words in (["--privileged=false"], ["--trust-rootfs=false"], ["--security-opt", "seccomp=docker"], ["-v", "/etc:/x:ro"], ["--cap-add", "NET_RAW"], []):
        def other(words=words):
            with files(FORBID):
                launch(*words).check(0)
        yield " ".join(words) + " is permitted", other


@generate(root=True)
def forbidden_values_of_limits():
    """In whatever spelling; and a limit that is forbidden by one value may have another."""
    rules = {"forbid": ["memory=unlimited", "pids-limit=-1", "memory-reservation=1g", "device-read-bps=/dev/null", "cgroup=cgroup.max.*"]}
    for words in (["-m", "unlimited"], ["-m", "-1"], ["--memory=-1"], ["--pids-limit", "-1"], ["--pids-limit=unlimited"],
                  ["--memory-reservation", "1g"], ["--memory-reservation", "1024m"], ["--memory-reservation", "1073741824"],
                  ["--device-read-bps", "/dev/null:1m"], ["--device-read-bps", "/dev/../dev//null:1m"], ["--cgroup", "cgroup.max.depth=5"]):
        def one(words=words):
            with files(rules):
                refused(nsrun([*words, tree(), "/bin/true"]), "%s:1 forbids" % SITE, "[forbidden-by-site]")
        yield " ".join(words), one
    for words in (["-m", "64m"], ["--pids-limit", "50"], ["--memory-reservation", "32m"], ["--cpu-shares", "512"]):
        def other(words=words):
            with files(rules):
                launch(*words).check(0)
        yield " ".join(words) + " is permitted", other


def test_limits_of_a_file():
    """Defaults of every kind; what the command line says of the same device or page size wins, the rest stays."""
    needs_root()
    with files({"defaults": {"memory": "64m", "memory-swap": "unlimited", "cpuset-cpus": "0", "hugetlb": ["2m=64m"],
                             "cgroup": ["cgroup.max.depth=5", "cgroup.max.descendants=6"]}}):
        lines = launch("--dry-run", "--hugetlb", "2MB=32m", "--cgroup", "cgroup.max.depth=9").check(0).stdout.splitlines()
    limits = [line.split(": ", 1)[1] for line in lines if line.startswith("limit.")]
    for limit in ("memory.limit %d" % (64 << 20), "memory.swap unlimited", "cpu.cpus 0", "hugepageLimits 2MB %d" % (32 << 20),
                  "unified cgroup.max.depth 9", "unified cgroup.max.descendants 6"):
        check(limit in limits, "--dry-run lacks %r: %r" % (limit, limits))


def test_forbidden_leaves_nothing():
    with files(FORBID):
        before = leftovers()
        refused(nsrun(["-m", "1g", tree(), "/bin/true"]))
        assert_clean(before)


def test_forbidden_through_a_link():
    needs_root()
    here = tmp("links")
    os.makedirs(here + "/secret/x", exist_ok=True)
    os.symlink("secret", here + "/link")
    with files({"forbid": ["volume=%s/secret/*" % here, "ROOTFS=%s/secret" % here]}):
        refused(launch("-v", here + "/link/x:/x"), "[forbidden-by-site]")
        refused(launch("-v", "link/x:/x", cwd=here), "[forbidden-by-site]")
        refused(nsrun([here + "/link", "/bin/true"]), "ROOTFS", "[forbidden-by-site]")


def test_forbidden_through_a_link_that_is_exchanged():
    """Whoever runs nsrun by sudo may own a link and exchange it between nsrun's first look and its second."""
    needs_root()
    dummy()
    here = tmp("exchange")
    for name in ("good", "bad"):
        os.makedirs(here + "/" + name)
    with open(here + "/bad/secret", "w") as file:
        file.write("forbidden")
    exchanger = os.fork()
    if exchanger == 0:
        while os.getppid() != 1:
            for name in ("good", "bad"):
                os.symlink(name, here + "/new")
                os.rename(here + "/new", here + "/link")
        os._exit(0)
    try:
        wait_for(lambda: os.path.lexists(here + "/link"), "the link is there")
        with files({"forbid": ["volume=%s/bad" % here]}):
            for options in (["-v", here + "/link:/x:ro"], ["--mount", "type=overlay,lowerdir=%s/link:%s/good,target=/x" % (here, here)]):
                seen = [launch(*options, script="cat /x/secret 2>&1").stdout for _ in range(80)]
                check(not any("forbidden" in text for text in seen), "%s showed what is forbidden" % options[0])
    finally:
        os.kill(exchanger, 9)
        os.waitpid(exchanger, 0)


def test_hosts_own_defaults_are_not_forbidden():
    """Neither at the first look nor at the second."""
    here = tmp("own")
    with files({"defaults": {"volume": [here + ":/x:ro"], "uts": "host"}, "forbid": ["volume=" + here, "uts=host"]}):
        launch(script="ls /x").check(0)
        refused(launch("-v", here + ":/y:ro"), "[forbidden-by-site]")


def test_overlay_beside_what_is_forbidden():
    """The directory above upperdir and workdir is opened, and shows nothing."""
    here = tmp("beside", owner=(100000, 100000))
    for name in ("bad", "low", "up", "work"):
        tmp("beside/" + name, owner=(100000, 100000))
    option = "type=overlay,lowerdir=%s/low,upperdir=%s/up,workdir=%s/work,target=/x" % (here, here, here)
    with files({"forbid": ["volume=%s/bad" % here]}):
        launch("--mount", option).check(0)
    with files({"forbid": ["volume=%s/work" % here]}):
        refused(launch("--mount", option), "[forbidden-by-site]")


def test_exec_is_bound():
    """Its options are those of a launch, and would write or read the same files."""
    needs_root()
    name = "bound-%d" % os.getpid()
    victim = os.path.join(tmp("exec"), "victim")
    with open(victim, "w") as file:
        file.write("A=precious")
    nsrun(["-d", "--name", name, "--userns-remap", dummy().name, tree(), "/bin/sleep", "60"]).check(0)
    try:
        with files({"forbid": ["trace-file", "env-file=" + victim, "user=root"]}):
            for words in (["--trace-file", victim], ["--trace", "--trace-file=" + victim], ["--env-file", victim], ["-u", "root"]):
                refused(nsrun(["exec", *words, name, "/bin/sh", "-c", "echo $A"]), "[forbidden-by-site]", "%s:1 forbids" % SITE)
                with open(victim) as file:
                    equal(file.read(), "A=precious", "the file")
            nsrun(["exec", "-e", "B=1", name, "/bin/true"]).check(0)
        nsrun(["exec", "--env-file", victim, name, "/bin/sh", "-c", "echo $A"]).check(0, stdout="precious")
        with files("{"):
            nsrun(["exec", name, "/bin/true"]).check(0)
            nsrun(["exec", "-u", "root", name, "/bin/true"]).check(125)
    finally:
        nsrun(["rm", "-f", name])


def test_site_rules_bind_the_users_file():
    who = ranger()
    with files({"defaults": {"pids-limit": 50}, "forbid": ["env=SECRET*", "pids-limit"]}, '{"defaults":\n{"env": ["SECRET=1"]}}', who):
        refused(nsrun([rootfs(owner=who), "/bin/true"], user=who), "--env SECRET=1 (%s/.config/nsrun/nsrun.json:2)" % who.home,
                "%s:1 forbids env=SECRET*" % SITE)
    # its own default is not forbidden by the site's rule
    with files({"defaults": {"hostname": "x"}, "forbid": ["hostname"]}):
        launch(script="hostname").check(0, "x")
        refused(launch("--hostname", "y"), "[forbidden-by-site]")


def test_help_needs_no_site_file():
    with files("{"):
        nsrun(["--help"]).check(0)
        nsrun(["--version"]).check(0)


@generate(root=True)
def mistakes():
    for text, part in (
            ('{"defaults": {\n  "memroy": "1g"}}', "%s:2:3: memroy: unknown option: did you mean memory?" % SITE),
            ('{"default": {}}', "%s:1:2: default: unknown key: did you mean defaults?" % SITE),
            ('{"defaults": {"init": "yes"}}', "%s:1:23: init: a string, where true or false is wanted" % SITE),
            ('{"defaults": {"env": "A=1"}}', "%s:1:22: env: a string, where an array" % SITE),
            ('{"defaults": {"memory": "1g",\n"memory": "2g"}}', "%s:2:8: duplicate object key" % SITE),
            ('{"defaults": {"landlock": "x"}}', "%s:1:15: landlock: planned" % SITE),
            ('{"forbid": ["privilegd"]}', "%s:1:13: privilegd: unknown option: did you mean privileged?" % SITE),
            ('{"defaults": {', "%s:1:" % SITE),
            ('\0', SITE + ":1:"),
            ("", SITE)):
        def one(text=text, part=part):
            with files(text):
                refused(launch(), part)
        yield repr(text)[:40], one


def test_mistake_of_a_value():
    """What the plan refuses names the file too."""
    with files('{"defaults":\n{"memory": "512q"}}'):
        refused(launch(), "--memory 512q", "(said by %s:2)" % SITE)


def test_who_may_have_written_it():
    who = ranger()
    for change, part in ((lambda: os.chmod(SITE, 0o666), "mode 0666"), (lambda: os.chmod(SITE, 0o664), "mode 0664"),
                         (lambda: os.chown(SITE, who.uid, 0), "belongs to uid %d" % who.uid),
                         (lambda: os.chmod("/etc/nsrun", 0o777), "mode 0777"),
                         (lambda: (os.unlink(SITE), os.mkfifo(SITE)), "not a regular file"),
                         (lambda: (os.unlink(SITE), os.mkdir(SITE)), "not a regular file"),
                         (lambda: write(SITE, '{"forbid": [' + '"init",' * 20000 + '"init"]}'), "larger than")):
        with files({"defaults": {"init": True}}):
            change()
            refused(launch(timeout=10), SITE if "0777" not in part else "/etc/nsrun", part, "[site-file]")
    with files({"defaults": {}}):
        os.chmod(SITE, 0o600)
        refused(nsrun([rootfs(owner=who), "/bin/true"], user=who), SITE, "Permission denied", "[site-file]")


@test(root=True, needs=["unshare"])
def test_root_of_a_user_namespace():
    """There the host's root is nobody, and its file still counts; root's home is out of reach, and that is no mistake."""
    who = ranger()
    with files({"defaults": {"hostname": "site"}, "forbid": ["memory"]}):
        words = ["unshare", "-Ur", binary(), rootfs(owner="%d:%d" % (who.uid, who.gid))]
        run([*words[:3], "--userns=host", "--dry-run", words[3]], user=who).check(0, stderr="")
        contains(run([*words[:3], "--userns=host", "--dry-run", words[3]], user=who).stdout, "option.hostname: site (%s:1)" % SITE)
        refused(run([*words[:3], "-m1g", words[3]], user=who), "[forbidden-by-site]")
        os.chown(SITE, single().uid, 0)
        # whoever that is, a namespace does not tell
        refused(nsrun([words[3]], user=who), "belongs to uid")


def test_who_may_have_written_the_users_file():
    who, other = ranger(), single()
    own = os.path.join(who.home, ".config/nsrun/nsrun.json")
    with files(own={"defaults": {"hostname": "own"}}, user=who):
        words = [rootfs(owner=who), "/bin/hostname"]
        os.chown(own, other.uid, other.gid)
        refused(nsrun(words, user=who), own, "belongs to uid %d" % other.uid, "[site-file]")
        os.chown(own, 0, 0)
        nsrun(words, user=who).check(0, "own")
        os.chown(own, who.uid, who.gid)
        os.chmod(own, 0o666)
        refused(nsrun(words, user=who), own, "mode 0666", "[site-file]")


def test_spec_tells_where_options_came_from():
    with files({"defaults": {"memory": "512m", "cap-drop": ["ALL"]}}):
        spec = json.loads(launch("--spec").check(0).stdout)
        equal(spec["annotations"]["org.nsrun.option.memory"], "512m (%s:1)" % SITE, "annotation")
        equal(spec["annotations"]["org.nsrun.option.cap-drop.0"], "ALL (%s:1)" % SITE, "annotation")
        check("org.nsrun.option.userns-remap" not in spec["annotations"], "the command line is annotated")


@test(root=True, needs=["strace"])
def test_missing_files_cost_one_open_each():
    trace = os.path.join(tmp(), "strace")
    run(["strace", "-o", trace, "-e", "trace=open,openat,stat,newfstatat,access,readlink", built("NSRUN_RELEASE"), "--dry-run", "--userns-remap", dummy().name,
         tree()]).check(0)
    with open(trace) as file:
        lines = [line for line in file if "/nsrun\"" in line and ("/etc/" in line or ".config" in line)]
    equal(len(lines), 2, "calls for files that are not there: %s" % lines)
    check(all("ENOENT" in line for line in lines), "calls: %s" % lines)


if __name__ == "__main__":
    main()
