# SPDX-License-Identifier: Apache-2.0
"""The configuration of an image, kept beside the rootfs that was made from it: who decides what, and which files are believed."""
import json
import os

from harness import *
from helper import install_helper, refused


def image(config, name="tree", owner=None, whole=False, mode=0o644):
    """A rootfs of the test's own with NAME.image.json beside it. whole: `config` is the whole file."""
    root = install_helper(rootfs(owner=owner or dummy(), fresh=True))
    put(root, config if whole else {"architecture": "amd64", "config": config, "rootfs": {"type": "layers"}}, mode)
    return root


def put(root, content, mode=0o644):
    path = root + ".image.json"
    with open(path, "w") as file:
        file.write(content if isinstance(content, str) else json.dumps(content))
    os.chmod(path, mode)
    return path


def launch(root, *words, options=(), **how):
    return nsrun(["--userns-remap", dummy().name, *options, root, *words], **how)


FULL = {
    "User": "1000:1000", "WorkingDir": "/tmp", "Entrypoint": ["/bin/echo", "entry"], "Cmd": ["cmd", "two words"],
    "Env": ["FROM=image", "PATH=/usr/bin:/bin", "BOTH=image"], "StopSignal": "SIGQUIT", "Labels": {"a.b": "c"}, "Volumes": {"/data": {}},
    "ExposedPorts": {"80/tcp": {}}, "Healthcheck": {"Test": ["NONE"]}, "ArgsEscaped": True, "OnBuild": None, "Domainname": "",
}
SHOW = "echo $FROM $BOTH; id -u; pwd; echo $PATH"


def test_everything_from_the_image():
    root = image(FULL)
    launch(root).check(0, "entry cmd two words")
    launch(root + "/").check(0, "entry cmd two words")
    launch(root, "mine", "is", "this").check(0, "entry mine is this")
    run = launch(root, "--", "-c", SHOW, options=["--entrypoint", "/bin/sh"]).check()
    equal(run.stdout.splitlines(), ["image image", "1000", "/tmp", "/usr/bin:/bin"], "environment, user, directory")


def test_options_win():
    root = image(FULL)
    run = launch(root, "--", "-c", SHOW, options=["--entrypoint", "/bin/sh", "-u", "0", "-w", "/var", "-e", "BOTH=mine"]).check()
    equal(run.stdout.splitlines(), ["image mine", "0", "/var", "/usr/bin:/bin"], "environment, user, directory")
    # --entrypoint takes the image's Cmd away, too
    launch(root, options=["--entrypoint", "whoami", "-u", "0"]).check(0, "root")


def test_cmd_alone():
    root = image({"Cmd": ["/bin/echo", "only"]})
    launch(root).check(0, "only")
    launch(root, "/bin/echo", "mine").check(0, "mine")
    root = image({"Entrypoint": ["/bin/echo", "only"]})
    launch(root).check(0, "only")
    root = image({"User": "nosuchuser"})
    refused(launch(root, "/bin/true"), "nosuchuser")


def test_ignored():
    root = image(FULL)
    for word in ("none", "false"):
        run = launch(root, "/bin/sh", "-c", SHOW, options=["--image-config", word]).check()
        equal(run.stdout.splitlines()[1:3], ["0", "/"], "user, directory")
    # another file
    other = os.path.join(tmp(), "other.json")
    with open(other, "w") as file:
        json.dump({"config": {"Cmd": ["/bin/echo", "other"]}}, file)
    launch(root, options=["--image-config", other]).check(0, "other")
    refused(launch(root, options=["--image-config", "/nonexistent"]), "/nonexistent", "No such file")


@generate
def forms():
    config = {"Cmd": ["/bin/echo", "form"]}
    for name, content in {"oci": {"config": config}, "docker-image-inspect": [{"Id": "sha256:0", "Config": config, "ContainerConfig": {}}],
                          "docker-inspect-one": {"Config": config}, "config-alone": config}.items():
        yield name, lambda content=content: launch(image(content, whole=True)).check(0, "form")
    yield "empty-config", lambda: launch(image({"config": {}}, whole=True), "/bin/echo", "x").check(0, "x")


def test_dry_run_tells():
    root = image(FULL)
    run = launch(root, options=["--dry-run", "-e", "X=1", "-w", "/"]).check()
    for line in ("image: %s.image.json" % root, "user.from: image", "env.from: image and options", "workdir.from: options",
                 "argv.from: image", "stop.signal: SIGQUIT", "stop.signal.from: image", "image.volume.unused.0: /data",
                 "image.port.unused.0: 80/tcp", "image.label.0: a.b=c", "argv.3: two words"):
        contains(run.stdout, line + "\n", "--dry-run")


def test_symbolic_link_to_the_rootfs():
    """What counts is the directory's own name."""
    root = image({"Cmd": ["/bin/echo", "found"]})
    link = os.path.join(tmp(), "link")
    os.symlink(root, link)
    launch(link).check(0, "found")
    launch(".", cwd=root).check(0, "found")


@generate
def malformed():
    deep = "[" * 100000
    cases = {
        "no-json": ("{", (":1",)), "empty": ("", (".image.json",)), "array": ([], ("exactly one",)), "two": ([{"Config": {}}, {"Config": {}}], ("exactly one",)),
        "string": ('"x"', (".image.json",)), "unknown": ({"x": 1}, ("no image configuration",)), "duplicate": ('{"config": {}, "config": {}}', ("duplicate",)),
        "deep": (deep, ("depth",)), "config-type": ({"config": []}, ("config", "object")),
        "user-type": ({"config": {"User": 5}}, ("config.User", "string")), "env-type": ({"config": {"Env": "A=1"}}, ("config.Env", "array")),
        "env-entry": ({"config": {"Env": ["A=1", 2]}}, ("config.Env[1]", "string")), "env-name": ({"config": {"Env": ["A"]}}, ("config.Env[0]", "NAME=VALUE")),
        "env-equals": ({"config": {"Env": ["=1"]}}, ("config.Env[0]",)), "cmd-type": ({"Config": {"Cmd": "sh"}}, ("Config.Cmd", "array")),
        "entrypoint": ({"config": {"Entrypoint": [None]}}, ("config.Entrypoint[0]",)), "labels": ({"config": {"Labels": {"a": 1}}}, ("config.Labels.a",)),
        "volumes": ({"config": {"Volumes": ["/a"]}}, ("config.Volumes", "object")), "workdir": ({"config": {"WorkingDir": "relative"}}, ("WorkingDir", "absolute")),
        "workdir-dots": ({"config": {"WorkingDir": "/a/../.."}}, ("WorkingDir",)), "user": ({"config": {"User": "-1"}}, ("User", "-1")),
        "signal": ({"config": {"StopSignal": "NOPE"}}, ("StopSignal", "NOPE")), "nul": ('{"config": {"User": "a\\u0000b"}}', (".image.json",)),
    }
    for name, (content, words) in cases.items():
        yield name, lambda content=content, words=words: refused(launch(image(content, whole=True), "/bin/true"), ".image.json", *words)

    def large():
        refused(launch(image('{"config": {"User": "%s"}}' % ("x" * (5 << 20)), whole=True), "/bin/true"), "larger than")
    yield "large", large


@generate
def untrusted():
    """It decides what runs: nobody but the caller and root may have written it."""
    def writable(mode):
        refused(launch(image(FULL, mode=mode)), "[image-config]")
    yield "group-writable", lambda: writable(0o664)
    yield "world-writable", lambda: writable(0o646)

    def foreign():
        root = image(FULL)
        os.chown(root + ".image.json", ranger().uid, ranger().gid)
        refused(launch(root), "[image-config]", "owner %d" % ranger().uid)
        launch(root, "/bin/echo", "x", options=["--image-config", "none"]).check(0, "x")
    yield "foreign", foreign

    def link():
        root = image(FULL)
        os.rename(root + ".image.json", root + ".real")
        os.symlink(root + ".real", root + ".image.json")
        refused(launch(root), "symbolic link", "[image-config]")
        # by name it may be one
        launch(root, options=["--image-config", root + ".image.json"]).check(0, "entry cmd two words")
    yield "link", link

    def fifo():
        root = image(FULL)
        os.remove(root + ".image.json")
        os.mkfifo(root + ".image.json", 0o600)
        refused(launch(root), "not a regular file")
    yield "fifo", fifo

    def inside():
        """A file in the rootfs is the container's own and means nothing."""
        root = image(FULL)
        os.remove(root + ".image.json")
        for name in (".image.json", "image.json", os.path.basename(root) + ".image.json"):
            with open(os.path.join(root, name), "w") as file:
                json.dump({"config": FULL}, file)
        launch(root, "/bin/echo", "x").check(0, "x")
    yield "inside", inside


@generate
def ordinary_users():
    for make in (ranger, single):
        def one(make=make):
            who = make()
            root = install_helper(rootfs(owner="%d:%d" % (who.uid, who.gid), fresh=True))
            path = put(root, {"config": {"Cmd": ["/bin/echo", "of root"], "Env": ["A=1"]}})
            nsrun([root], user=who).check(0, "of root")
            os.chown(path, who.uid, who.gid)
            nsrun([root], user=who).check(0, "of root")
            os.chown(path, dummy().uid, dummy().gid)
            refused(nsrun([root], user=who), "[image-config]")
            os.chown(path, 0, 0)
            os.chmod(path, 0o600)
            refused(nsrun([root], user=who), ".image.json", "Permission denied")
        yield make.__name__, one


if __name__ == "__main__":
    main()
