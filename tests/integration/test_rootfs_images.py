# SPDX-License-Identifier: Apache-2.0
# tests/run: long
"""rootfs-scripts/docker-export and rootfs-scripts/oci: what is made of an archive or image, whose it is, and that nothing of a
hostile one is written outside of the tree."""
import gzip
import hashlib
import io
import json
import os
import shutil
import signal
import stat
import subprocess
import tarfile
import time

from harness import *

EXPORT, OCI = (os.path.join(TOP, "rootfs-scripts", name) for name in ("docker-export", "oci"))
CAPABILITY = bytes.fromhex("0000000200200000000000000000000000000000").decode("latin-1")  # cap_net_raw permitted, version 2


def export(*words, **more):
    return run([EXPORT, *words], **more)


def oci(*words, **more):
    return run([OCI, *words], **more)


def place(who=None):
    """A directory where set-id files may be made: nobody else reaches it."""
    return tmp("private" + (who.name if who else ""), 0o700, who)


def beside(directory):
    return sorted(os.listdir(directory))


def reg(name, data=b"", mode=0o644, uid=0, gid=0, **more):
    return entry(name, tarfile.REGTYPE, data, mode, uid, gid, **more)


def directory(name, mode=0o755, uid=0, gid=0):
    return entry(name, tarfile.DIRTYPE, b"", mode, uid, gid)


def link(name, to, kind=tarfile.SYMTYPE):
    return entry(name, kind, linkname=to)


def entry(name, kind, data=b"", mode=0o644, uid=0, gid=0, **more):
    member = tarfile.TarInfo(name)
    member.type, member.size, member.mode, member.uid, member.gid, member.mtime = kind, len(data), mode, uid, gid, 1000000000
    for key, value in more.items():
        setattr(member, key, value)
    return member, data


def archive_of(entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member, data in entries:
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def written(data, name="it.tar", **more):
    path = os.path.join(tmp(**more), name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def world():
    """A small tree with something of everything, and busybox, so that it runs."""
    with open(shutil.which("busybox", path="/bin:/usr/bin"), "rb") as file:
        busybox = file.read()
    return [directory("./"), directory("bin"), reg("bin/busybox", busybox, 0o755), link("bin/sh", "busybox"), link("bin/cat", "busybox"),
            directory("usr"), link("usr/bin", "../bin"), reg("usr/bin/below-a-link", b"below\n"),
            directory("etc"), reg("etc/passwd", b"root:x:0:0::/:/bin/sh\nme:x:1000:1000::/home:/bin/sh\n"),
            directory("home", 0o700, 1000, 1000), reg("home/mine", b"mine\n", 0o600, 1000, 1000), reg("bin/set", b"x", 0o6755),
            reg("bin/cap", b"x", 0o755, pax_headers={"SCHILY.xattr.security.capability": CAPABILITY}),
            reg("etc/kept", b"1\n", pax_headers={"SCHILY.xattr.user.note": "hello"}), link("etc/kept-too", "etc/kept", tarfile.LNKTYPE),
            directory("dev"), entry("dev/sda", tarfile.BLKTYPE, devmajor=8, devminor=0), entry("dev/pipe", tarfile.FIFOTYPE),
            directory("tmp", 0o1777), directory("shared", 0o2775)]


# ---- docker export -----------------------------------------------------------------------------------------------

@test(root=True)
def test_export():
    tree = os.path.join(tmp("out"), "tree")
    made = export("--owner", dummy().name, written(archive_of(world())), tree).check(0, "", stderr="1 device nodes were left out (dev/sda)")
    contains(made.stderr, "unpacking", "stages")
    equal(beside(os.path.dirname(tree)), ["tree"], "entries")
    for path, mode, owner in ((".", 0o755, 100000), ("home", 0o700, 101000), ("home/mine", 0o600, 101000), ("bin/set", 0o6755, 100000),
                              ("tmp", 0o1777, 100000), ("shared", 0o2775, 100000), ("bin/below-a-link", 0o644, 100000)):
        there = os.lstat(os.path.join(tree, path))
        equal((oct(stat.S_IMODE(there.st_mode)), there.st_uid, there.st_gid), (oct(mode), owner, owner), path)
    equal(os.lstat(tree + "/etc/kept").st_ino, os.lstat(tree + "/etc/kept-too").st_ino, "a hard link")
    equal(os.lstat(tree + "/etc/kept").st_mtime, 1000000000, "time")
    equal(os.lstat(tree + "/etc").st_mtime, 1000000000, "time of a directory")
    equal(os.getxattr(tree + "/etc/kept", "user.note"), b"hello", "an extended attribute")
    check(os.getxattr(tree + "/bin/cap", "security.capability"), "file capabilities are gone")
    check(stat.S_ISFIFO(os.lstat(tree + "/dev/pipe").st_mode), "the FIFO is gone")
    check(not os.path.lexists(tree + "/dev/sda"), "the device was made")
    nsrun(["--userns-remap", dummy().name, "-u", "1000:1000", tree, "/bin/cat", "/home/mine"]).check(0, "mine")
    nsrun(["--userns-remap", dummy().name, tree, "/bin/sh", "-c", "echo $(id -u) >/etc/new"]).check(0)
    equal(os.lstat(tree + "/etc/new").st_uid, 100000, "owner of a new file")


@test(root=True)
def test_strip_suid():
    tree = os.path.join(tmp("out"), "tree")
    made = export("-q", "--strip-suid", written(archive_of(world())), tree).check(0)
    equal(sorted(made.stdout.splitlines()), ["removed file capabilities bin/cap", "removed set-uid and set-gid (6755) bin/set"], "list")
    equal(made.stderr, "", "a quiet run's messages")
    equal(oct(stat.S_IMODE(os.lstat(tree + "/bin/set").st_mode)), "0o755", "mode")
    equal(os.listxattr(tree + "/bin/cap"), [], "attributes")
    equal(os.lstat(tree + "/home/mine").st_uid, 1000, "without --owner, root's ids are as they are")


@test(root=True)
def test_exposed_set_ids_are_refused():
    """Where the container's root is the caller, others must not reach set-uid files that an archive brought."""
    path = written(archive_of(world()))
    for who in (None, ranger()):
        place_of = tmp("open" + (who.name if who else ""), 0o755, who)
        export(path, os.path.join(place_of, "tree"), user=who).check(1, stderr="others can reach it")
        equal(beside(place_of), [], "left behind")
        export(path, os.path.join(place(who), "tree"), user=who).check(0)


@test(root=True)
def test_ordinary_user_with_ranges():
    where = place(ranger())
    tree = os.path.join(where, "tree")
    export(written(archive_of(world())), tree, user=ranger()).check(0)
    equal(os.lstat(tree).st_uid, ranger().uid, "owner of the tree")
    equal(os.lstat(tree + "/home/mine").st_uid, 300999, "owner of user 1000's file")
    nsrun(["-u", "1000:1000", tree, "/bin/cat", "/home/mine"], user=ranger()).check(0, "mine")


@test(root=True)
def test_ordinary_user_with_one_id():
    tree = os.path.join(place(single()), "tree")
    made = export(written(archive_of(world())), tree, user=single()).check(0)
    contains(made.stderr, "only one id is mapped", "note")
    equal({os.lstat(os.path.join(tree, path)).st_uid for path in (".", "home/mine", "bin/set")}, {single().uid}, "owners")
    equal(oct(stat.S_IMODE(os.lstat(tree + "/bin/set").st_mode)), "0o755", "mode of a set-id file")
    nsrun([tree, "/bin/cat", "/home/mine"], user=single()).check(0, "mine")
    export("--owner", dummy().name, written(archive_of(world())), tree + "2", user=single()).check(1, stderr="only root")


@test(root=True)
def test_closed_way():
    """The way to the tree, to the archive and to the scripts need not be open to the ids of the map."""
    closed = tmp("closed", 0o700)
    path = os.path.join(closed, "it.tar")
    with open(path, "wb") as file:
        file.write(archive_of(world()))
    os.chmod(path, 0o600)
    scripts = os.path.join(closed, "scripts")
    shutil.copytree(os.path.dirname(EXPORT), scripts)
    run([scripts + "/docker-export", "--owner", dummy().name, path, "tree"], cwd=closed).check(0)
    equal(os.lstat(closed + "/tree/home/mine").st_uid, 101000, "owner")


def test_input_forms():
    data = archive_of([entry for entry in world() if entry[0].name not in ("bin/set", "bin/cap")])
    forms = [("gz", gzip.compress(data, 1))]
    for program, suffix in (("xz", "xz"), ("zstd", "zst")):
        if shutil.which(program):
            forms.append((suffix, subprocess.run([program, "-1c"], input=data, stdout=subprocess.PIPE, check=True).stdout))
    for suffix, packed in forms:
        tree = os.path.join(tmp("out"), suffix)
        export("--strip-suid", written(packed, "it." + suffix), tree).check(0)
        equal(open(tree + "/etc/kept").read(), "1\n", "content")
    export("--strip-suid", "-", tree + "-stdin", input=data).check(0)
    equal(open(tree + "-stdin/etc/kept").read(), "1\n", "content")


def hostile(outside):
    """(name, entries, part of the message): archives that are refused."""
    up = "../" * 12 + outside.lstrip("/")
    yield "parent", [reg(up + "/new", b"x")], "leads upwards"
    yield "parent in the middle", [directory("a"), reg("a/../../new", b"x")], "leads upwards"
    yield "hard link upwards", [link("a", up + "/file", tarfile.LNKTYPE)], "leads upwards"
    yield "hard link outside", [link("a", outside + "/file", tarfile.LNKTYPE), reg("a", b"x")], "is a hard link to"
    yield "hard link through a link", [link("a", outside), link("b", "a/file", tarfile.LNKTYPE)], "is a hard link to"
    yield "through a link", [link("a", outside), reg("a/new", b"x")], "leads nowhere"
    yield "through a relative link", [link("a", up), reg("a/new", b"x")], "leads nowhere"
    yield "through proc", [link("a", "/proc/self/root" + outside), reg("a/new", b"x")], "leads nowhere"
    yield "below a file", [reg("a", b"x"), reg("a/b", b"x")], "is below a file"
    yield "no ids", [reg("a", b"x", uid=1 << 33)], "no ids"
    yield "unknown type", [entry("a", b"Q")], "unknown type"
    yield "nothing", [], "empty"


@generate
def hostile_archives():
    for name, _, _ in hostile("/x"):
        yield name, lambda name=name: refused_archive(name)


def refused_archive(name):
    outside = tmp("outside", 0o777)
    with open(outside + "/file", "w") as file:
        file.write("untouched")
    _, entries, message = next(row for row in hostile(outside) if row[0] == name)
    before = os.lstat(outside + "/file")
    where = tmp("out")
    export("--strip-suid", written(archive_of(entries)), os.path.join(where, "tree")).check(1, stderr=message)
    equal(beside(where), [], "left behind")
    equal(beside(outside), ["file"], "files outside")
    after = os.lstat(outside + "/file")
    equal((after.st_nlink, after.st_ctime_ns, after.st_size), (before.st_nlink, before.st_ctime_ns, 9), "the file outside")


def test_links_end_in_the_tree():
    """Absolute names and links are meant inside of the tree, and go there."""
    outside = tmp("outside", 0o777)
    tree = os.path.join(tmp("out"), "tree")
    entries = [directory(outside.lstrip("/")), link("a", outside), reg("a/new", b"inside"), reg("/absolute", b"x"), link("b", "/../.."),
               reg("b/top", b"x"), link("c", outside + "/new"), reg("c", b"replaces the link"), link("d", outside), directory("d")]
    export("--strip-suid", written(archive_of(entries)), tree).check(0)
    equal(beside(outside), [], "files outside")
    equal(open(tree + outside + "/new").read(), "inside", "what came through the link")
    equal(open(tree + "/c").read(), "replaces the link", "a file in place of a link")
    check(os.path.isfile(tree + "/absolute") and os.path.isfile(tree + "/top"), "absolute names")
    check(not os.path.islink(tree + "/d"), "a directory did not replace a link")


def test_damaged_archives():
    data = archive_of([reg("a", b"x" * 5000), reg("b", b"y" * 5000), reg("c", b"z")])
    where = tmp("out")
    for name, broken, message in (("cut in a file", data[:3000], "cut off"), ("cut after a file", data[:512 + 5120], "cut off"),
                                  ("header", data[:5632 + 20] + b"!!!!" + data[5656:], "damaged"), ("no archive", b"hello" * 500, "no"),
                                  ("empty", b"", "no"), ("gzip cut", gzip.compress(os.urandom(9000) + data)[:8000], ""),
                                  ("huge header", tar_header(b"./a", 1 << 40, b"x") + b"\0" * 4096, "")):
        made = export("--strip-suid", written(broken), os.path.join(where, "tree"))
        check(made.status == 1 and message in made.stderr and "Traceback" not in made.stderr, "%s: %r" % (name, made))
        equal(beside(where), [], "left behind by: " + name)


def tar_header(name, size, kind):
    member = tarfile.TarInfo(name.decode())
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


def test_sizes():
    where = tmp("out")
    many = archive_of([reg("f%d" % number) for number in range(300)])
    big = archive_of([reg("big", b"\0" * (4 << 20))])
    for data, limit in ((many, "1M"), (big, "4095K"), (gzip.compress(big), "1M")):
        export("--strip-suid", "--max-size", limit, written(data), os.path.join(where, "tree")).check(1, stderr="--max-size")
        equal(beside(where), [], "left behind")
    export("--strip-suid", "--max-size", "5M", written(big), os.path.join(where, "tree")).check(0)
    for wrong in ("0", "x", "-1", "9999999T"):
        export("--max-size", wrong, written(big), where + "/t").check(2, stderr="--max-size")


@test(needs=["tar"])
def test_sparse():
    source = tmp("sparse")
    with open(source + "/hole", "wb") as file:
        file.seek(1 << 30)
        file.write(b"end")
    for kind in ("gnu", "posix"):
        made = subprocess.run(["tar", "--format", kind, "-C", source, "-Scf", "-", "hole"], stdout=subprocess.PIPE, check=True)
        tree = os.path.join(tmp("out"), kind)
        export("--strip-suid", "--max-size", "1M", written(made.stdout), tree).check(0)
        there = os.stat(tree + "/hole")
        equal(there.st_size, (1 << 30) + 3, "size")
        check(there.st_blocks < 1000, "the hole takes %d blocks" % there.st_blocks)
        with open(tree + "/hole", "rb") as file:
            file.seek(1 << 30)
            equal(file.read(), b"end", "end of the file")


def test_inspected_configuration():
    data = written(archive_of([reg("a", b"x")]))
    config = {"User": "1000:1000", "Env": ["A=1", "PATH=/bin"], "Cmd": ["/bin/sh"], "Entrypoint": None, "WorkingDir": "/home",
              "Hostname": "x", "Tty": True, "StopSignal": "SIGINT"}
    where = tmp("out")
    documents = {"list": [{"Id": "x", "Config": config}], "object": {"Architecture": "arm64", "Os": "linux", "Config": config}}
    for name, document in documents.items():
        tree = os.path.join(where, name)
        export("--strip-suid", "--config", written(json.dumps(document).encode(), "c.json"), data, tree).check(0)
        with open(tree + ".image.json") as file:
            got = json.load(file)
        equal(got["config"], {key: config[key] for key in ("User", "Env", "Cmd", "WorkingDir", "StopSignal")}, "configuration")
        equal(got["architecture"] == "arm64", name == "object", "architecture")
    before = beside(where)
    for text, message in (("{", "no JSON"), ("[]", "0 objects"), ('{"a":1}', "no object Config"),
                          ('{"Config":{"Env":"x"}}', "Env is malformed"), ('{"Config":{"Cmd":[1]}}', "Cmd is malformed")):
        export("--config", written(text.encode(), "c.json"), "--strip-suid", data, where + "/bad").check(1, stderr=message)
    export("--config", written(b"{}", "c.json"), "--strip-suid", data, os.path.join(tmp(), "x" * 300)).check(1)
    with open(where + "/there.image.json", "w"):
        pass
    export("--config", written(json.dumps([{"Config": config}]).encode(), "c.json"), "--strip-suid", data, where + "/there").check(
        1, stderr="there.image.json: exists")
    equal(beside(where), sorted(before + ["there.image.json"]), "left behind")


# ---- OCI ---------------------------------------------------------------------------------------------------------

IMAGE_CONFIG = {"User": "1000:1000", "Env": ["GREETING=hello"], "Cmd": ["/bin/sh"], "WorkingDir": "/home"}
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


class Image:
    """An OCI image layout, written by hand so that it can be wrong."""
    def __init__(self, path):
        self.path, self.entries = path, []
        os.makedirs(path + "/blobs/sha256")
        self.write("oci-layout", {"imageLayoutVersion": "1.0.0"})

    def write(self, name, document):
        with open(os.path.join(self.path, name), "w") as file:
            json.dump(document, file)

    def blob(self, data, kind, **more):
        data = data if isinstance(data, bytes) else json.dumps(data).encode()
        name = hashlib.sha256(data).hexdigest()
        with open(self.blob_path(name), "wb") as file:
            file.write(data)
        return dict(more, mediaType=kind, digest="sha256:" + name, size=len(data))

    def blob_path(self, name):
        return os.path.join(self.path, "blobs/sha256", name.replace("sha256:", ""))

    def manifest(self, layers, config=None, arch="amd64", diff_ids=None, kind=LAYER):
        packed = [gzip.compress(layer, 1, mtime=0) for layer in layers]
        diff_ids = diff_ids or ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]
        self.layers = [self.blob(layer, kind) for layer in packed]
        self.config = self.blob({"architecture": arch, "os": "linux", "config": config or IMAGE_CONFIG,
                                 "rootfs": {"type": "layers", "diff_ids": diff_ids}}, "application/vnd.oci.image.config.v1+json")
        return self.blob({"schemaVersion": 2, "config": self.config, "layers": self.layers},
                         "application/vnd.oci.image.manifest.v1+json")

    def add(self, descriptor, tag=None, **more):
        self.entries.append(dict(descriptor, **more, **({"annotations": {"org.opencontainers.image.ref.name": tag}} if tag else {})))
        self.write("index.json", {"schemaVersion": 2, "manifests": self.entries})
        return self


def second_layer():
    return archive_of([reg("etc/.wh.kept", b""), directory("home", 0o700, 1000, 1000), reg("home/.wh..wh..opq"),
                       reg("home/second", b"second\n", 0o600, 1000, 1000)])


def image(name="image", layers=None, **more):
    made = Image(os.path.join(tmp(), name))
    return made.add(made.manifest([archive_of(world()), second_layer()] if layers is None else layers, **more), "one")


def arch_of_host():
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine)


def checked_tree(tree, owner, second, user_of="1000:1000"):
    equal(os.lstat(tree).st_uid, owner, "owner of the tree")
    equal(os.lstat(tree + "/home/second").st_uid, second, "owner of user 1000's file")
    check(not os.path.lexists(tree + "/etc/kept") and os.path.lexists(tree + "/etc/kept-too"), "the layers' whiteouts")
    equal(beside(tree + "/home"), ["second"], "an opaque directory")
    with open(tree + ".image.json") as file:
        equal(json.load(file)["config"], dict(IMAGE_CONFIG, User=user_of) if user_of else {
            key: value for key, value in IMAGE_CONFIG.items() if key != "User"}, "configuration")


@test(root=True, needs=["umoci"])
def test_oci_owner():
    made = image(arch=arch_of_host())
    tree = os.path.join(tmp("out"), "tree")
    oci("--owner", dummy().name, made.path + ":one", tree).check(0, "")
    checked_tree(tree, 100000, 101000)
    equal(beside(os.path.dirname(tree)), ["tree", "tree.image.json"], "entries")
    equal(oct(stat.S_IMODE(os.lstat(tree + "/bin/set").st_mode)), "0o6755", "mode of a set-id file")
    nsrun(["--userns-remap", dummy().name, "-u", "1000:1000", tree, "/bin/cat", "/home/second"]).check(0, "second")
    stripped = oci("-q", "--strip-suid", "--owner=" + dummy().name, made.path, tree + "2").check(0)
    equal(sorted(stripped.stdout.splitlines()), ["removed file capabilities bin/cap", "removed set-uid and set-gid (6755) bin/set"], "list")
    oci("--owner", dummy().name, made.path, tree).check(1, stderr="not empty")


@test(root=True, needs=["umoci"])
def test_oci_ordinary_users():
    made = image(arch=arch_of_host())
    for who, second in ((ranger(), 300999), (single(), single().uid)):
        tree = os.path.join(place(who), "tree")
        said = oci(made.path, tree, user=who).check(0)
        one = who is single()
        equal("became root: only one id is mapped" in said.stderr, one, "a note about the image's user")
        checked_tree(tree, who.uid, second, None if one else "1000:1000")
        # what the image says of itself is honoured
        script = "echo $(busybox id -u) $GREETING $PWD $(busybox cat second)"
        nsrun([tree, "/bin/sh", "-c", script], user=who).check(0, "%d hello /home second" % (0 if one else 1000))
        equal([name for name in os.listxattr(tree + "/home/second") if name != "security.selinux"], [], "marks of another owner")


@test(needs=["umoci", "skopeo"])
def test_archives():
    """What umoci and skopeo themselves write, and archives of both kinds."""
    where = tmp()
    layer = written(archive_of([entry for entry in world() if entry[0].name not in ("dev/sda",)]), "layer.tar")
    layout = os.path.join(where, "layout")
    for words in (["init", "--layout", layout], ["new", "--image", layout + ":v1"], ["raw", "add-layer", "--image", layout + ":v1", layer],
                  ["config", "--image", layout + ":v1", "--config.cmd", "/bin/sh", "--config.env", "A=1"]):
        run(["umoci", *words]).check(0)
    for form in ("oci-archive", "docker-archive"):
        run(["skopeo", "copy", "oci:%s:v1" % layout, "%s:%s/%s:name:v1" % (form, where, form)]).check(0)
    for path in (layout, layout + ":v1", "oci-archive", "docker-archive"):
        tree = os.path.join(tmp("out"), os.path.basename(path).replace(":", "-"))
        oci("--strip-suid", path, tree, cwd=where).check(0)
        equal(open(tree + "/etc/kept").read(), "1\n", "content from " + path)
        with open(tree + ".image.json") as file:
            equal(json.load(file)["config"].get("Cmd"), ["/bin/sh"], "configuration from " + path)
    export("--strip-suid", where + "/docker-archive", tmp("out") + "/by-export").check(0)
    check(os.path.isfile(tmp("out") + "/by-export.image.json"), "docker-export left an image to rootfs-scripts/oci")
    oci("--strip-suid", layer, tmp("out") + "/no").check(1, stderr="docker-export")
    with open(where + "/docker-archive", "rb") as file:
        export("--strip-suid", "-", tmp("out") + "/no", input=file.read()).check(1, stderr="rootfs-scripts/oci")
    oci("--strip-suid", layout + ":v2", tmp("out") + "/no").check(1, stderr="there are: v1")
    check("no" not in beside(tmp("out")), "left behind")


def tampered(made):
    """(name, what is done to a good layout, part of the message)."""
    def flip(name):
        with open(made.blob_path(name), "r+b") as file:
            file.seek(20)
            byte = file.read(1)
            file.seek(20)
            file.write(bytes([byte[0] ^ 1]))

    def shorten(name):
        os.truncate(made.blob_path(name), os.path.getsize(made.blob_path(name)) - 1)

    def with_link(name):
        os.rename(made.blob_path(name), made.path + "/elsewhere")
        os.symlink("../../elsewhere", made.blob_path(name))

    def fifo():
        os.unlink(made.path + "/index.json")
        os.mkfifo(made.path + "/index.json")

    manifest = made.entries[0]["digest"]
    yield "layer", lambda: flip(made.layers[1]["digest"]), "layer 2 "
    yield "first layer", lambda: flip(made.layers[0]["digest"]), "layer 1 "
    yield "layer cut off", lambda: shorten(made.layers[0]["digest"]), "it was changed or is incomplete"
    yield "layer missing", lambda: os.unlink(made.blob_path(made.layers[1]["digest"])), "No such file"
    yield "layer by a link", lambda: with_link(made.layers[0]["digest"]), "blobs/sha256"
    yield "configuration", lambda: flip(made.config["digest"]), "the configuration does not match its digest"
    yield "manifest", lambda: flip(manifest), "the manifest does not match its digest"
    yield "index", lambda: made.write("index.json", {"schemaVersion": 2, "manifests": [dict(made.entries[0], size=7)]}), "should have 7"
    yield "index is no JSON", lambda: open(made.path + "/index.json", "w").close(), "no JSON"
    yield "index is a FIFO", fifo, "index.json"
    yield "digest is a path", lambda: made.write("index.json", {"manifests": [dict(made.entries[0], digest="sha256:../../x")]}), "digest"
    yield "diff_ids", lambda: made.add(made.manifest([archive_of(world())], arch=arch_of_host(), diff_ids=["sha256:" + "0" * 64]),
                                       "two"), "do not belong together"
    yield "more diff_ids", lambda: made.add(made.manifest([archive_of(world())], arch=arch_of_host(), diff_ids=["sha256:0", "x"]),
                                            "two"), "do not belong together"
    yield "layers of another kind", lambda: made.add(made.manifest([archive_of(world())], arch=arch_of_host(), kind=LAYER.replace(
        "gzip", "zstd")), "two"), "umoci does not unpack"
    yield "layer that is no gzip", lambda: made.add(garbage(made), "two"), "cannot be uncompressed"
    yield "layout version", lambda: made.write("oci-layout", {"imageLayoutVersion": "9"}), "layout version 9"
    yield "nothing in it", lambda: made.write("index.json", {"manifests": []}), ""


def garbage(made):
    descriptor = made.manifest([b"x"], arch=arch_of_host())
    with open(made.blob_path(descriptor["digest"]), "rb") as file:
        document = json.load(file)
    document["layers"] = [made.blob(b"no gzip at all, not a bit of it", LAYER)]
    return made.blob(document, descriptor["mediaType"])


@generate
def tampered_images():
    rows = Image.__new__(Image)
    rows.entries, rows.layers, rows.config = [{"digest": ""}], [{"digest": ""}] * 2, {"digest": ""}
    for name, _, _ in tampered(rows):
        yield name, lambda name=name: refused_image(name)


def refused_image(name):
    needs_program("umoci")
    made = image(layers=[archive_of([reg("a", b"x" * 3000)]), archive_of([reg("b", b"y" * 3000)])], arch=arch_of_host())
    _, spoil, message = next(row for row in tampered(made) if row[0] == name)
    spoil()
    where = tmp("out")
    tag = ":two" if len(made.entries) > 1 else ""
    result = oci("--strip-suid", made.path + tag, os.path.join(where, "tree")).check(1, stderr=message)
    check("Traceback" not in result.stderr, repr(result))
    equal(beside(where), [], "left behind")


@test(needs=["umoci"])
def test_hostile_layers():
    outside = tmp("outside", 0o777)
    with open(outside + "/file", "w") as file:
        file.write("untouched")
    up = "../" * 12 + outside.lstrip("/")
    where = tmp("out")
    for number, entries in enumerate((
            [reg(up + "/new", b"x")], [link("a", outside), reg("a/new", b"x")], [link("a", up), reg("a/new", b"x")],
            [reg(outside + "/new", b"x")], [link("a", outside + "/file"), reg("a", b"x")], [link("a", outside), reg("a/.wh.file")],
            [link("a", outside), reg("a/.wh..wh..opq")], [reg("../" * 12 + outside.lstrip("/") + "/.wh.file")],
            [link("a", "/proc/self/root" + outside), reg("a/new", b"x")], [link("a", outside + "/file", tarfile.LNKTYPE)],
            [link("a", up + "/file", tarfile.LNKTYPE), reg("a", b"x")])):
        made = image("i%d" % number, layers=[archive_of([reg("base", b"x")] + entries)], arch=arch_of_host())
        tree = os.path.join(where, str(number))
        result = oci("--strip-suid", made.path, tree)
        check(result.status in (0, 1), repr(result))
        equal(beside(outside), ["file"], "files outside, after %d" % number)
        equal(open(outside + "/file").read(), "untouched", "the file outside, after %d" % number)
        check(result.status == 0 or not os.path.exists(tree), "left behind")
    check(all(not name.startswith(".") for name in beside(where)), "left behind")


@test(needs=["umoci"])
def test_platforms_and_tags():
    made = Image(os.path.join(tmp(), "many"))
    host = arch_of_host()
    other = "arm64" if host != "arm64" else "amd64"
    inner = [dict(made.manifest([archive_of([reg("arch", arch.encode())])], arch=arch), platform={"os": "linux", "architecture": arch})
             for arch in (host, other)]
    inner.append(dict(inner[0], platform={"os": "unknown", "architecture": "unknown"}))
    made.add(made.blob({"schemaVersion": 2, "manifests": inner}, "application/vnd.oci.image.index.v1+json"), "multi")
    made.add(made.manifest([archive_of([reg("arch", b"plain")])], arch=other), "foreign")
    where = tmp("out")
    oci("--strip-suid", made.path, where + "/x").check(1, stderr="LAYOUT:TAG, of: foreign, multi")
    for words, content in (([], host), (["--platform", "linux/" + other], other), (["--platform=linux/" + host], host)):
        tree = os.path.join(where, str(len(os.listdir(where))))
        oci(*words, "--strip-suid", made.path + ":multi", tree).check(0)
        equal(open(tree + "/arch").read(), content, "platform")
    oci("--strip-suid", "--platform", "linux/s390x", made.path + ":multi", where + "/x").check(1, stderr="--platform takes one of")
    oci("--strip-suid", made.path + ":foreign", where + "/x").check(1, stderr="--platform linux/%s takes it" % other)
    oci("--strip-suid", "--platform", "x", made.path + ":foreign", where + "/x").check(2)
    oci("--strip-suid", made.path + ":none", where + "/x").check(1, stderr='tagged "none"')


@test(root=True, needs=["umoci"])
def test_ids_outside_of_the_ranges():
    make_user("few", subuid=(400000, 1000))
    where = tmp("out")
    data = archive_of([reg("a", b"x", uid=70000)])
    export("--owner", "few", written(data), where + "/tree").check(1, stderr="which the owner's ranges do not reach")
    oci("--owner", "few", image(layers=[data], arch=arch_of_host()).path, where + "/tree").check(1, stderr="do not reach")
    equal(beside(where), [], "left behind")
    remove_user("few")


@test(root=True)
def test_confinement():
    """What runs in the map writes in its one directory, has no network, no way to the host's processes, and ends with its caller."""
    open_to_all, node, who = tmp("open", 0o777), os.path.join(tmp(), "node"), ranger()
    os.mknod(node, stat.S_IFCHR | 0o600, os.makedev(1, 5))  # zeroes, as /dev/zero has them, of root alone

    def ids(first_uid, first_gid, count):
        return ["--uid", "0:%d:%d" % (first_uid, count), "--gid", "0:%d:%d" % (first_gid, count)]
    # In the second case the ids of the map are the host's own, and root's files are its files.
    for user_of, rows, place_dir in ((None, ids(300000, 300000, 65536), tmp("ranges", 0o755, (300000, 300000))),
                                     (None, ids(0, 0, 65536), tmp("same")), (who, ids(who.uid, who.gid, 1), tmp("own", 0o700, who))):
        script = """ls -A /run | grep -vx systemd; id -u; touch here && echo wrote; pwd | grep -q "^$TMPDIR" && echo tmp
            grep -c : /proc/net/dev
            for name in %s/new /var/tmp/nsrun-new /tmp/nsrun-new /dev/shm/nsrun-new; do touch $name && echo "wrote $name"; done
            mount -o remount,rw,bind / && touch %s/new && echo "wrote after a remount"; kill -0 %d && echo signalled
            mknod device b 8 0 && echo device; dd if=%s bs=1 count=1 | wc -c | grep -qx 1 && echo read
            echo x >/proc/sys/kernel/domainname && echo sysctl
            echo x >/dev/null && exit 7""" % (open_to_all, open_to_all, os.getpid(), node)
        command = ["/usr/bin/python3", "-I", "-B", os.path.dirname(EXPORT) + "/lib/confine.py", *rows, "--place", place_dir,
                   "--offline", "--"]
        result = run([*command, "sh", "-c", script], user=user_of).check(7)
        equal(result.stdout.split(), ["0", "wrote", "tmp", "1"], "what it could do")
        equal((beside(open_to_all), beside(place_dir)), ([], ["here"]), "files")
        process = subprocess.Popen([*command, "sh", "-c", "sleep 60 & sleep 60"], env=environment(user_of), **run_as(user_of))
        wait_for(lambda: len(descendants(process.pid)) >= 3, "its processes")
        inside = descendants(process.pid)
        process.kill()
        process.wait()
        wait_for(lambda: not any(alive(pid) for pid in inside), "the end of its processes")


@test(needs=["unshare"])
def test_without_user_namespaces():
    """Where there may be no more of them the message says so, and nothing is left."""
    where = tmp("out")
    script = 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"'
    run(["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh", EXPORT, "--strip-suid", written(archive_of([reg("a", b"x")])),
         where + "/tree"]).check(1, stderr="user.max_user_namespaces")
    equal(beside(where), [], "left behind")


@test(needs=["umoci"])
def test_bomb():
    layer = archive_of([reg("big", b"\0" * (64 << 20))])
    made = image(layers=[layer], arch=arch_of_host())
    where = tmp("out")
    oci("--strip-suid", "--max-size", "16M", made.path, where + "/tree").check(1, stderr="--max-size")
    equal(beside(where), [], "left behind")


# ---- all of them -------------------------------------------------------------------------------------------------

def test_usage():
    for script in (export, oci):
        for words, message in (([], "is missing"), (["a"], "DIR is missing"), (["a", "b", "c"], "more than one DIR"),
                               (["--no-such"], "unknown option --no-such"), (["--owner"], "--owner needs a value"),
                               (["--owner=", "a", "b"], "value")):
            script(*words).check(2, stderr=message)
        text = script("--help").check(0).stdout
        for part in ("--owner", "--strip-suid", "Needs the packages", "Example:", "Exit status"):
            contains(text, part, "--help")
    export("/no/such", "x").check(1, stderr="/no/such: no such file")
    oci("/no/such:tag", "x").check(1, stderr="/no/such:tag: no such image")
    data = written(archive_of([reg("a", b"x")]))
    for name in (".", "..", "/", "x/.."):
        export("--strip-suid", data, name, cwd=tmp("out")).check(1)
    export("--strip-suid", data, "with a/ slash//", cwd=tmp("out")).check(1, stderr="no such directory")
    for name in ("with blank", "-rf", "new\nline", "trailing ", "slash/", "a:b", "%s"):
        export("--strip-suid", "--", data, name, cwd=tmp("out")).check(0)
        check(os.path.isfile(os.path.join(tmp("out"), name, "a")), "%r lacks its file" % name)


def test_names_do_not_drive_the_terminal():
    made = export("--strip-suid", written(archive_of([reg("a\x1b[31m\nb", b"x", 0o4755)])), tmp("out") + "/tree").check(0)
    check("\x1b" not in made.stdout and len(made.stdout.splitlines()) == 1, repr(made))


def test_progress_on_a_terminal():
    data = archive_of([reg("f%d" % number, os.urandom(1 << 16)) for number in range(200)])
    with Pty([EXPORT, "--strip-suid", written(data), tmp("out") + "/tree"]) as terminal:
        terminal.expect(r"unpacking \[#*")
        equal(terminal.wait(), 0, "status")


@generate
def ended_by_a_signal():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        yield number.name, lambda number=number: end_by(number)


def end_by(number):
    """In the middle of an archive that does not come to its end; to the script alone, as kill(1) does it."""
    who = ranger() if ROOT else None
    where = place(who) if who else tmp("out")
    data = archive_of(world())
    read, write = os.pipe()
    process = subprocess.Popen([EXPORT, "-", "tree"], cwd=where, env=environment(who), stdin=read, start_new_session=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler), **run_as(who))
    os.close(read)
    try:
        os.write(write, data[:60000])
        wait_for(lambda: any(os.path.exists(os.path.join(where, name, "work/tree/bin")) for name in os.listdir(where)), "the tree", 10)
        begin = time.monotonic()
        process.send_signal(number)
        status = process.wait(timeout=10)
        check(time.monotonic() - begin < 15, "did not end at once")
        equal(status, 128 + number, "status")
        equal(beside(where), [], "left behind")
    finally:
        os.close(write)


if __name__ == "__main__":
    main()
