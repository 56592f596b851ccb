# SPDX-License-Identifier: Apache-2.0
"""The runtime specification 1.3 where it says MUST, sentence by sentence, as far as no other test shows it; tests/conformance/requirements.tsv says which one
shows what."""
import importlib.machinery
import json
import os
import re
import resource
import stat
import sys
import types

from harness import *
from test_oci_config import bundle, groups_of, namespaces, output, refused, sleeper, v1_mounts, v2_mount
from test_oci_life import Bundle, failing

sys.path.insert(0, os.path.join(TOP, "tests/lib"))
import named

KINDS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")


# ---- the table ----------------------------------------------------------------------------------------------------

def test_table_names_tests():
    rows = named.requirements()
    for row in rows:
        check(all(row[:3]) and (row[3] or row[4]), "requirements.tsv: page, section, sentence, and tests or why there is none are wanted: %r" % (row,))
    equal([word for row in rows for word in row[3] if not named.exists(word)], [], "tests that do not exist")


def test_results_are_of_a_run():
    """results.tsv is what `tests/conformance/run --save` wrote of just these tests; no sentence fails in it."""
    results = dict(named.rows(named.RESULTS, 2))
    equal(sorted(results), sorted({word for row in named.requirements() for word in row[3]}), "tests of results.tsv (tests/conformance/run --save)")
    equal({word: result for word, result in results.items() if result not in ("pass", "not run") or result == "not run" and not word.startswith("vm:")}, {},
          "tests that did not pass")


def test_the_table_of_results_can_fail():
    """One case that fails makes its test fail, and that its sentence; what did not run has not passed."""
    loader = importlib.machinery.SourceFileLoader("conformance_run", os.path.join(TOP, "tests/conformance/run"))
    module = types.ModuleType(loader.name)
    module.__file__ = loader.path
    exec(compile(loader.get_data(loader.path), loader.path, "exec"), module.__dict__)
    got = module.of_text("ok a.b  # 1.2 s\nok a.c[one]\nFAIL a.c[two]: why\nok a.c[three]\nskip a.d: none here\nFAIL a.e: once\nunsteady: a.e (failed once)\n")
    equal(got, {"a.b": "pass", "a.c": "FAIL", "a.d": "skipped", "a.e": "pass (unsteady)"}, "results")
    equal(module.of_tap("x", "ok 1 - test_y\nnot ok 2 - z\n"), {"unit:x.y": "pass", "unit:x.z": "FAIL"}, "results of cmocka")
    for tests, wanted in ((["a.b"], "pass"), (["a.b", "a.c"], "FAIL"), (["a.d"], "skipped"), (["a.x"], "not run"), (["a.b", "a.x"], "pass"), ([], "no test")):
        equal(named.result_of(tests, got, ""), wanted, "result of %s" % tests)


def test_table_has_every_page():
    rows = named.requirements()
    equal(sorted({row[0] for row in rows}), ["bundle.md", "config-linux.md", "config.md", "features-linux.md", "features.md", "runtime-linux.md", "runtime.md"], "pages")
    check(len(rows) >= 120, "only %d sentences" % len(rows))
    equal(len({row[:3] for row in rows}), len(rows), "sentences that are there once")


# ---- operations ---------------------------------------------------------------------------------------------------

@test(root=True)
def test_operations_want_an_id():
    with Bundle() as b:
        b.made()
        before = b.state()
        for words in (["state"], ["start"], ["kill"], ["delete"], ["create", "-b", b.dir]):
            result = b(*words)
            check(result.status != 0 and result.stderr, "%s without an id: %r" % (words, result))
        equal((b.state(), b.ids()), (before, ["c"]), "what is there")


@test(root=True)
def test_create_wants_a_bundle():
    with Bundle() as b:
        for words in (["create", "c"], ["create", "-b", b.dir + "/nope", "c"], ["create", "-b", b.dir + "/config.json", "c"]):
            equal(b(*words, cwd="/").status, 1, "status of %s" % words)
        equal(b.ids(), [], "names")


@test(root=True)
def test_state_has_its_members():
    with Bundle() as b:
        b.made()
        state = b.state()
        for key, kind in (("ociVersion", str), ("id", str), ("status", str), ("pid", int), ("bundle", str), ("annotations", dict)):
            check(isinstance(state[key], kind), "%s: %r" % (key, state))
        check(os.path.isabs(state["bundle"]) and state["pid"] > 0, "bundle and pid: %r" % state)
        with open("/proc/%d/status" % state["pid"]) as file:
            contains(file.read(), "NSpid:\t%d\t1\n" % state["pid"], "its first process, as the host sees it")
        del b.config["annotations"]
        b.write()
        b.made("bare")
        equal(b.state("bare").get("annotations", {}), {}, "annotations of one without")


@test(root=True)
def test_environment_is_made_before_start():
    """All of config.json but the command is there, the command is not; what is written to config.json afterwards says nothing."""
    with bundle("echo first; cat /proc/sys/kernel/hostname; exec sleep 60", {"hostname": "before", "mounts": [{"destination": "/proc", "type": "proc"}, {"destination": "/mnt", "type": "tmpfs"}],
                "linux": {"resources": {"pids": {"limit": 44}}}}) as b:
        b.made()
        pid = b.state()["pid"]
        for kind in ("pid", "ipc", "uts", "mnt", "net"):
            check(os.readlink("/proc/%d/ns/%s" % (pid, kind)) != os.readlink("/proc/self/ns/" + kind), "%s namespace" % kind)
        check(any(entry[0] == "/mnt" and entry[4] == "tmpfs" for entry in mountinfo("/proc/%d/mountinfo" % pid)), "the mount")
        if "pids" in v1_mounts():
            with open(v1_mounts()["pids"] + groups_of(pid)["pids"] + "/pids.max") as file:
                equal(file.read(), "44\n", "pids.max")
        equal(b.output(), "", "output before start")
        b.config["hostname"] = "after"
        b.config["process"]["args"] = ["/bin/echo", "second"]
        b.config["annotations"] = {"x": "y"}
        b.write()
        equal(b.state()["annotations"], {"org.example.a": "b"}, "annotations")
        b("start", "c").check(0)
        wait_for(lambda: b.output() == "first\nbefore\n", "the first command")


@test(root=True)
def test_create_that_fails_leaves_nothing():
    changes = ({"root": {"path": "nope"}}, {"linux": {"namespaces": [{"type": "network", "path": "/proc/self/ns/uts"}]}}, {"process": {"args": ["/nope"]}},
               {"mounts": [{"destination": "/x", "type": "nosuchfs"}]}, {"linux": {"sysctl": {"net.nope": "1"}}}, {"process": {"cwd": "relative"}},
               {"linux": {"resources": {"unified": {"nope.max": "1"}}}})
    for change in changes:
        before = leftovers()
        with bundle("true", change) as b:
            equal(b.create(), 1, "status with %r" % change)
            equal(b.ids(), [], "names")
        assert_clean(before, what=repr(change))


@test(root=True)
def test_states_that_do_not_fit():
    """What is asked of a container in another state is an error, and changes nothing."""
    with Bundle() as b:
        b.made()
        b("start", "c").check(0)
        before = b.state()
        for words in (["start", "c"], ["delete", "c"], ["create", "-b", b.dir, "c"]):
            equal(b(*words).status, 1, "status of %s" % words)
            equal(b.state(), before, "state after %s" % words)
        b("kill", "c", "KILL").check(0)
        b.stopped()
        before = b.state()
        for words in (["start", "c"], ["kill", "c", "TERM"], ["create", "-b", b.dir, "c"]):
            equal(b(*words).status, 1, "status of %s" % words)
            equal(b.state(), before, "state after %s" % words)
        b("delete", "c").check(0)
        b.made()  # the id may be used again
        equal(b.status(), "created", "status")


@test(root=True)
def test_kill_sends_the_signal_that_is_named():
    with Bundle("/bin/sh", "-c", "for s in HUP USR1 USR2 WINCH; do trap \"echo $s\" $s; done; echo up; while :; do sleep 0.05; done") as b:
        b.made()
        b("start", "c").check(0)
        wait_for(lambda: b.output() == "up\n", "output")
        said = "up\n"
        for name in ("HUP", "USR1", "USR2", "WINCH"):
            b("kill", "c", name).check(0)
            said += name + "\n"
            wait_for(lambda: b.output() == said, "the word of %s" % name)


@test(root=True)
def test_delete_leaves_what_others_made():
    source = tmp("source")
    with open(source + "/kept", "w"):
        pass
    with sleeper("--net", "--uts") as pid:
        spaces = {"network": "/proc/%d/ns/net" % pid, "uts": "/proc/%d/ns/uts" % pid}
        change = namespaces("mount", "pid", "ipc", **spaces)
        with bundle("exec sleep 60", {**change, "mounts": [{"destination": "/proc", "type": "proc"}, {"destination": "/mnt", "type": "bind", "source": source, "options": ["bind"]}]}) as b:
            b.made()
            init, groups = b.state()["pid"], {n: g for n, g in groups_of(b.state()["pid"]).items() if n in v1_mounts()}
            b("start", "c").check(0)
            b("kill", "c", "KILL").check(0)
            b.stopped()
            b("delete", "c").check(0)
            check(not alive(init), "the process")
            own = groups_of("self")
            equal([n for n, g in groups.items() if g != own[n] and os.path.exists(v1_mounts()[n] + g)], [], "groups that are left")
            check(alive(pid) and os.path.exists(source + "/kept") and os.path.exists(b.config["root"]["path"] + "/bin/sh"), "what others made")


# ---- hooks --------------------------------------------------------------------------------------------------------

@test(root=True)
def test_hooks_in_the_listed_order():
    """Two of each kind, and when each runs."""
    with Bundle("/bin/sh", "-c", "echo workload >> /order; exec sleep 60") as b:
        tree = b.config["root"]["path"]
        order = os.path.join(b.dir, "order")
        inside = os.path.join(tree, "order")
        for kind in KINDS:
            for n in "12":
                if kind == "startContainer":
                    path = os.path.join(tree, "hook" + n)
                    with open(path, "w") as file:
                        file.write("#!/bin/sh\necho %s%s >> /order\n" % (kind, n))
                    os.chmod(path, 0o755)
                    b.config.setdefault("hooks", {}).setdefault(kind, []).append({"path": "/hook" + n})
                else:
                    b.hook(kind, "cat > %s/state-%s\necho %s%s >> %s\n" % (b.dir, kind, kind, n, order))
        b.write()

        def lines(path):
            with open(path) as file:
                return file.read().split()
        try:
            b.made()
            equal(lines(order), [kind + n for kind in KINDS[:3] for n in "12"], "hooks of create")
            check(not os.path.exists(inside), "hooks of start, before it")
            b("start", "c").check(0)
            equal(lines(order)[6:], ["poststart1", "poststart2"], "hooks of start, in the runtime's namespaces")
            wait_for(lambda: lines(inside) == ["startContainer1", "startContainer2", "workload"], "hooks of start, in the container's")
            b("kill", "c", "KILL").check(0)
            b.stopped()
            b("delete", "c").check(0)
            equal(lines(order)[8:], ["poststop1", "poststop2"], "hooks of delete")
            for kind in KINDS[:3] + KINDS[4:]:
                with open("%s/state-%s" % (b.dir, kind)) as file:
                    state = json.load(file)
                equal((state["id"], state["bundle"], state["ociVersion"]), ("c", b.dir, "1.0.2"), "state on the standard input of %s" % kind)
        finally:
            for name in ("hook1", "hook2", "order"):
                if os.path.exists(os.path.join(tree, name)):
                    os.unlink(os.path.join(tree, name))


@test(root=True)
def test_poststop_hooks_come_after_the_container():
    with Bundle() as b:
        b.made()
        pid = b.state()["pid"]
        b("delete", "--force", "c").check(0)
        b.hook("poststop", "readlink /proc/%s/exe > /dev/null && echo alive > %s/seen || echo gone > %s/seen\n" % ("$(cat %s/pid)" % b.dir, b.dir, b.dir))
        b.made("c", "--pid-file", b.dir + "/pid")
        check(b.state()["pid"] != pid, "a process of its own")
        b("delete", "--force", "c").check(0)
        with open(b.dir + "/seen") as file:
            equal(file.read(), "gone\n", "the process, when the hook runs")


@test(root=True)
def test_hooks_of_create_come_before_the_root_is_changed():
    """The container's namespaces are there, and the root of its process is still the host's: a file of the host is below it, and none of the rootfs."""
    with Bundle() as b:
        mark = os.path.join(b.dir, "config.json")
        for kind in ("prestart", "createRuntime"):
            b.hook(kind, "pid=$(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/' | head -n1)\n{ readlink /proc/$pid/ns/mnt /proc/$pid/ns/net; "
                         "test -e /proc/$pid/root%s && echo host; } > %s/%s\n" % (mark, b.dir, kind))
        b.made()
        pid = b.state()["pid"]
        check(not os.path.exists("/proc/%d/root%s" % (pid, mark)), "the root is not changed after create")
        for kind in ("prestart", "createRuntime"):
            with open(os.path.join(b.dir, kind)) as file:
                equal(file.read().split(), [os.readlink("/proc/%d/ns/%s" % (pid, name)) for name in ("mnt", "net")] + ["host"], kind)


@test(root=True)
def test_poststart_hooks_come_after_the_command():
    with Bundle("/bin/sleep", "60") as b:
        b.hook("poststart", "pid=$(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/' | head -n1)\ntr '\\0' ' ' < /proc/$pid/cmdline > %s/seen\n" % b.dir)
        b.made()
        b("start", "c").check(0)
        with open(b.dir + "/seen") as file:  # written when start returns
            equal(file.read(), "/bin/sleep 60 ", "what ran when the hook was called")


@test(root=True)
def test_poststop_hooks_of_a_start_that_failed():
    """The container is stopped; what create made goes, and the poststop hooks run, with the delete that follows, as engines do it."""
    for kind in ("startContainer", "poststart"):
        with Bundle() as b:
            if kind == "poststart":
                b.hook(kind, "exit 5\n")
            else:
                b.config["hooks"] = {kind: [{"path": "/bin/false"}]}
            b.hook("poststop", "echo ran >> %s/poststop\n" % b.dir)
            b.made()
            init, groups = b.state()["pid"], {n: g for n, g in groups_of(b.state()["pid"]).items() if n in v1_mounts()}
            own = groups_of("self")
            failing(b("start", "c"), "exit status")
            b.stopped()
            b("delete", "c").check(0)
            check(not alive(init), "the process")
            equal([n for n, g in groups.items() if g != own[n] and os.path.exists(v1_mounts()[n] + g)], [], "groups that are left")
            with open(b.dir + "/poststop") as file:
                equal(file.read(), "ran\n", "poststop hooks after %s" % kind)
            os.unlink(b.dir + "/poststop")


# ---- config.json --------------------------------------------------------------------------------------------------

@test(root=True)
def test_paths_that_are_relative():
    with bundle("cat /mnt/x; ls -d /rel") as b:
        os.symlink(b.config["root"]["path"], b.dir + "/tree")
        os.mkdir(b.dir + "/source")
        with open(b.dir + "/source/x", "w") as file:
            file.write("of the bundle\n")
        b.config["root"]["path"] = "tree"
        b.config["mounts"] += [{"destination": "/mnt", "type": "bind", "source": "source", "options": ["bind"]}, {"destination": "rel", "type": "tmpfs"}]
        b.write()
        equal(b("run", "-b", b.dir, "c", cwd="/").check(0).stdout, "of the bundle\n/rel\n", "output")
        os.rmdir(os.path.join(os.path.realpath(b.dir + "/tree"), "rel"))


@test(root=True)
def test_bundle_without_a_process():
    """It may be created without one (runc and crun refuse that, too); the error is there before anything runs."""
    with bundle("true", {"process": None}) as b:
        status = b.create()
        if status == 0:
            failing(b("start", "c"), "process")
        else:
            contains(b.errors, "process", "stderr")


@test(root=True)
def test_console_size_without_a_terminal():
    equal(output("echo ran", {"process": {"consoleSize": {"height": 10, "width": 20}}}), "ran\n", "output")


@test(root=True)
def test_oom_score_is_left_alone():
    with open("/proc/self/oom_score_adj") as file:
        equal(output("cat /proc/self/oom_score_adj"), file.read(), "oom_score_adj")


@test(root=True)
def test_values_that_must_be_refused():
    for change, words in (
            ({"annotations": {"": "x"}}, "annotations"), ({"annotations": {"a": 1}}, "annotations"), ({"annotations": []}, "annotations"),
            ({"linux": {"maskedPaths": ["proc/kcore"]}}, "linux.maskedPaths[0]"), ({"linux": {"readonlyPaths": ["proc/sys"]}}, "linux.readonlyPaths[0]"),
            ({"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [], "action": "SCMP_ACT_ERRNO"}]}}}, "linux.seccomp.syscalls[0].names"),
            ({"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_KILL", "errnoRet": 1}]}}}, "linux.seccomp.syscalls[0]"),
            ({"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 5}}}, "linux.seccomp.defaultErrnoRet"),
            ({"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"}}}, "linux.seccomp.listenerMetadata"),
            ({"mounts": [{"destination": "/mnt", "type": "bind", "source": "/tmp", "options": ["bind", "ridmap"]}]}, "mounts[0]: options: idmap"),
            ({"linux": {"rootfsPropagation": "sideways"}}, "linux.rootfsPropagation"),
            ({"linux": {"namespaces": [{"type": "mount"}, {"type": "network", "path": "proc/self/ns/net"}]}}, "linux.namespaces[1].path"),
            ({"linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "pid"}]}}, "linux.namespaces"),
            ({"process": {"rlimits": [{"type": "RLIMIT_NOPE", "soft": 1, "hard": 1}]}}, "process.rlimits[0]"),
            ({"hooks": {"poststart": [{"path": "relative"}]}}, "hooks.poststart[0].path"), ({"hooks": {"poststop": [{"path": "/x", "timeout": 0}]}}, "hooks.poststop[0].timeout")):
        refused(change, words)


@test(root=True)
def test_every_resource_of_the_kernel():
    """Each type that Python and this kernel know, as getrlimit(2) has it in the container's process."""
    names = sorted(name for name in vars(resource) if name.startswith("RLIMIT_") and name != "RLIMIT_OFILE")
    check(len(names) >= 15, "only %s" % names)
    wanted = {}
    for name in names:
        soft, hard = resource.getrlimit(getattr(resource, name))
        hard = hard if hard != resource.RLIM_INFINITY else 1 << 62
        wanted[name] = (max(0, min(soft if soft != resource.RLIM_INFINITY else hard, hard) - 1), hard)
    with bundle("sleep 60", {"process": {"rlimits": [{"type": name, "soft": soft, "hard": hard} for name, (soft, hard) in wanted.items()]}}) as b:
        b.made()
        pid = b.state()["pid"]
        equal({name: resource.prlimit(pid, getattr(resource, name)) for name in names}, wanted, "limits")


# ---- Linux --------------------------------------------------------------------------------------------------------

@test(root=True)
def test_descriptors_of_the_workload():
    extra = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(extra, True)
    with bundle("ls /proc/$$/fd; true") as b:
        got = set(run([binary(), "--root", b.root, "run", "-b", b.dir, "c"], popen={"close_fds": False}).check(0).stdout.split())
        equal(got - {"10", "255"}, {"0", "1", "2"}, "descriptors (a shell has one of its own for its script)")
    os.close(extra)


@test(root=True)
def test_links_and_file_systems():
    """The links of runtime-linux.md, and the file systems that every container should have, of `nsrun spec`'s document."""
    with Bundle() as b:
        made = os.path.join(tmp("spec"), "bundle")
        os.mkdir(made)
        b("spec", "-b", made).check(0)
        with open(made + "/config.json") as file:
            b.config["mounts"] = json.load(file)["mounts"]
        b.config["process"]["args"] = ["/bin/sh", "-c", "for l in fd stdin stdout stderr; do readlink /dev/$l; done; cut -d' ' -f2,3 /proc/mounts"]
        b.config["linux"]["namespaces"].append({"type": "cgroup"})
        b.write()
        result = b("run", "-b", b.dir, "c").check(0)
        lines = result.stdout.splitlines()
        check(lines, "no output: %r" % result)
        equal(lines[:4], ["/proc/self/fd", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2"], "links")
        for wanted in ("/proc proc", "/sys sysfs", "/dev/pts devpts", "/dev/shm tmpfs"):
            check(wanted in lines, "%r is missing in %r" % (wanted, lines))


@test(root=True, timeout=60)
def test_a_limit_below_use_is_rejected():
    """checkBeforeUpdate: on v1 by the kernel itself; v2 is tests/vm's."""
    if "memory" not in v1_mounts():
        skip("no v1 hierarchy of memory")
    with bundle("head -c 40m /dev/zero > /dev/shm/x; echo up; exec sleep 60", {
            "linux": {"resources": {"memory": {"limit": 96 << 20, "checkBeforeUpdate": True}}},
            "mounts": [{"destination": "/proc", "type": "proc"}, {"destination": "/dev/shm", "type": "tmpfs"}]}) as b:
        b.made()
        group = v1_mounts()["memory"] + groups_of(b.state()["pid"])["memory"]
        b("start", "c").check(0)
        wait_for(lambda: "up" in b.output(), "it uses the memory", timeout=20)
        path = os.path.join(b.dir, "less")
        with open(path, "w") as file:
            json.dump({"memory": {"limit": 16 << 20, "checkBeforeUpdate": True}}, file)
        failing(b("update", "--resources", path, "c"), "limit-below-use")
        with open(group + "/memory.limit_in_bytes") as file:
            equal((file.read(), b.status()), ("%d\n" % (96 << 20), "running"), "limit and status")


@test(root=True)
def test_unified_writes_what_it_does_not_know():
    """A file that no table of nsrun names, and that no controller owns."""
    unified = v2_mount()
    if not unified:
        skip("no cgroup2 is mounted")
    with bundle("sleep 60", {"linux": {"resources": {"unified": {"cgroup.max.descendants": "7"}}}}) as b:
        b.made()
        with open(unified + groups_of(b.state()["pid"])[""] + "/cgroup.max.descendants") as file:
            equal(file.read(), "7\n", "cgroup.max.descendants")


@test(root=True)
def test_what_cannot_be_converted_is_refused():
    """net_cls is of v1 alone: where it is not mounted, no file of v2 says the same. tests/vm has what else v2 lacks."""
    if "net_cls" in v1_mounts():
        skip("net_cls is mounted here")
    refused({"linux": {"resources": {"network": {"classID": 5}}}}, "linux.resources.network.classID")


@test(root=True)
def test_without_intel_rdt_nothing_of_it_is_touched():
    """A directory stands for resctrl: not even looked into."""
    tree = tmp("resctrl")
    os.mkdir(tree + "/c")
    for path in (tree + "/schemata", tree + "/tasks", tree + "/c/schemata", tree + "/c/tasks"):
        with open(path, "w") as file:
            file.write("as it was\n")
    os.utime(tree, (1000, 1000))

    def looked_at():
        return {path: (os.stat(path).st_mtime_ns, os.stat(path).st_ctime_ns, os.stat(path).st_atime_ns if os.path.isdir(path) else 0)
                for path in (tree, tree + "/c", tree + "/schemata", tree + "/tasks", tree + "/c/schemata", tree + "/c/tasks")}
    before = looked_at()
    with bundle("true") as b:
        b("run", "-b", b.dir, "c", env={"NSRUN_TEST_RESCTRL": tree}, sanitizer=True).check(0)
    equal(looked_at(), before, "the tree")


if __name__ == "__main__":
    main()
