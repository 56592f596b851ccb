# SPDX-License-Identifier: Apache-2.0
"""Reads images: of which kind an archive is, the one image of a layout that is meant, a configuration.

image.py [--prog PROG] [--name NAME] VERB ..., which begin what goes wrong:
image.py kind FILE                    prints layout, docker-archive or export
image.py pick [--tag TAG] --platform OS/ARCH[/VARIANT] --config FILE [--max-size BYTES] [--squash] [--quiet] LAYOUT
                                      writes a tar of a layout with that one image, called "rootfs", to standard output
image.py inspected --config FILE [--squash] [--quiet] FILE
                                      turns the output of `docker inspect` into an image configuration

pick compares every byte with its digest while it passes it on: the index of indexes, the manifest, the configuration, the layers,
and what the layers are uncompressed to with the configuration's diff_ids. What it writes is what it verified. Exit status: 0, 1 error.
"""
import argparse
import hashlib
import io
import json
import lzma
import os
import platform
import re
import resource
import stat
import sys
import tarfile
import time
import zlib

INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
MANIFEST, CONFIG = MANIFESTS[0], "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
# Layers by their media type: the OCI type that umoci knows, and whether they are compressed.
LAYERS = {
    LAYER: (LAYER, False), LAYER + "+gzip": (LAYER + "+gzip", True),
    "application/vnd.docker.image.rootfs.diff.tar": (LAYER, False),
    "application/vnd.docker.image.rootfs.diff.tar.gzip": (LAYER + "+gzip", True),
}
REF = "org.opencontainers.image.ref.name"
JSON_LIMIT = 8 << 20
PIECE = 1 << 22
MEMORY = 1 << 30  # a header of an archive may claim any size
FIELDS = ("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal", "ArgsEscaped")


class Refused(Exception):
    pass


def shown(text):
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in str(text))


def of_type(value, kind, what):
    if not isinstance(value, kind) or isinstance(value, bool):
        raise Refused("%s is malformed" % what)
    return value


def decoded(data, what):
    try:
        return of_type(json.loads(data), dict, what)
    except (ValueError, RecursionError) as error:
        raise Refused("%s is no JSON: %s" % (what, error)) from None


class Layout:
    def __init__(self, path):
        self.path = path
        if not os.path.isdir(path):
            raise Refused("no such directory")
        if not os.path.isfile(os.path.join(path, "index.json")):
            raise Refused("is no OCI image layout: index.json is missing")
        version = decoded(self.small("oci-layout"), "oci-layout").get("imageLayoutVersion")
        if version != "1.0.0":
            raise Refused("has layout version %s; 1.0.0 is known" % shown(version))
        self.index = decoded(self.small("index.json"), "index.json")

    def open(self, name):
        # The layout may come from an archive: a link or a FIFO in it leads to nothing that it may name.
        try:
            fd = os.open(os.path.join(self.path, name), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            raise Refused("%s: %s" % (name, error.strerror)) from None
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise Refused("%s: is no regular file" % name)
        return open(fd, "rb")

    def small(self, name):
        with self.open(name) as file:
            data = file.read(JSON_LIMIT + 1)
        if len(data) > JSON_LIMIT:
            raise Refused("%s: is larger than %d bytes" % (name, JSON_LIMIT))
        return data

    def descriptor(self, descriptor, what):
        """(name below blobs/sha256, size) of what a descriptor points to."""
        of_type(descriptor, dict, "the descriptor of " + what)
        digest, size = descriptor.get("digest"), of_type(descriptor.get("size"), int, "the size of " + what)
        match = re.fullmatch(r"sha256:([0-9a-f]{64})", of_type(digest, str, "the digest of " + what))
        if not match:
            raise Refused("the digest of %s, %s, is none of SHA-256, which is the one that is known" % (what, shown(digest)))
        if size < 0:
            raise Refused("the size of %s is malformed" % what)
        return match.group(1), size

    def blocks(self, descriptor, what):
        """The content of a blob, which is complete and right when the last block has been taken."""
        name, size = self.descriptor(descriptor, what)
        digest, rest = hashlib.sha256(), size
        with self.open("blobs/sha256/" + name) as file:
            if os.fstat(file.fileno()).st_size != size:
                raise Refused("%s, sha256:%s, has %d bytes and should have %d: it was changed or is incomplete"
                              % (what, name, os.fstat(file.fileno()).st_size, size))
            while rest > 0:
                block = file.read(min(rest, 1 << 20))
                if not block:
                    raise Refused("%s, sha256:%s, was cut off while it was read" % (what, name))
                digest.update(block)
                rest -= len(block)
                yield block
        if digest.hexdigest() != name:
            raise Refused("%s does not match its digest sha256:%s: it was changed" % (what, name))

    def document(self, descriptor, what):
        if self.descriptor(descriptor, what)[1] > JSON_LIMIT:
            raise Refused("%s is larger than %d bytes" % (what, JSON_LIMIT))
        return decoded(b"".join(self.blocks(descriptor, what)), what)


class Platform:
    def __init__(self, text):
        words = text.split("/")
        self.os, self.architecture = words[0], words[1]
        self.variant = words[2] if len(words) > 2 else None

    def __str__(self):
        return "/".join(word for word in (self.os, self.architecture, self.variant) if word)

    def is_that_of(self, document):
        return (document.get("os") == self.os and document.get("architecture") == self.architecture and
                (self.variant is None or document.get("variant") == self.variant))


def name_of(platform_of):
    return "/".join(shown(platform_of.get(key)) for key in ("os", "architecture", "variant") if platform_of.get(key))


def manifests_in(layout, index, depth=0):
    if depth > 4:
        raise Refused("indexes are nested too deeply")
    for descriptor in of_type(index.get("manifests"), list, "the list of manifests"):
        of_type(descriptor, dict, "a descriptor of the index")
        if descriptor.get("mediaType") in INDEXES:
            yield from manifests_in(layout, layout.document(descriptor, "an index"), depth + 1)
        elif descriptor.get("mediaType") in MANIFESTS:
            yield descriptor


def tag_of(descriptor):
    return (descriptor.get("annotations") or {}).get(REF)


def chosen(layout, tag, wanted):
    """The descriptor of the one manifest that is meant."""
    top = [of_type(entry, dict, "a descriptor of the index") for entry in
           of_type(layout.index.get("manifests"), list, "the list of manifests")]
    tags = sorted({shown(tag_of(entry)) for entry in top if tag_of(entry)})
    if tag is not None:
        top = [entry for entry in top if tag_of(entry) == tag]
        if not top:
            raise Refused('no image is tagged "%s"; there are: %s' % (shown(tag), ", ".join(tags) or "no tags"))
    elif len(tags) > 1:
        raise Refused("has several images: name one, LAYOUT:TAG, of: " + ", ".join(tags))
    found = list(manifests_in(layout, {"manifests": top}))
    if not found:
        raise Refused("has no image manifest")
    said = [entry for entry in found if isinstance(entry.get("platform"), dict)]
    fitting = [entry for entry in said if wanted.is_that_of(entry["platform"])] or [entry for entry in found if entry not in said]
    if not fitting:
        raise Refused("has no image for %s: --platform takes one of: %s"
                      % (wanted, ", ".join(sorted({name_of(entry["platform"]) for entry in said}))))
    if len({entry.get("digest") for entry in fitting}) > 1:
        raise Refused("has %d images for %s: name one, LAYOUT:TAG%s"
                      % (len(fitting), wanted, ", or a variant, --platform %s/VARIANT" % wanted if wanted.variant is None else ""))
    return fitting[0]


class Progress:
    def __init__(self, total, quiet):
        self.total, self.done, self.next, self.on = total, 0, 0.0, not quiet and os.isatty(2)

    def add(self, count):
        self.done += count
        now = time.monotonic()
        if self.on and now >= self.next:
            self.next = now + 0.1
            part = min(1.0, self.done / self.total) if self.total else 1.0
            os.write(2, ("\rverifying [%-30s] %3d%%\033[K" % ("#" * int(30 * part), 100 * part)).encode())

    def end(self):
        if self.on and self.next:
            os.write(2, b"\r\033[K")


class Verified:
    """A layer's blocks as a file; its uncompressed content goes through the digest of the configuration."""
    def __init__(self, layout, descriptor, number, diff_id, compressed, limit, progress):
        self.what = "layer %d" % number
        self.blocks = layout.blocks(descriptor, self.what)
        self.digest, self.diff_id, self.limit, self.progress = hashlib.sha256(), diff_id, limit, progress
        self.inflate = zlib.decompressobj(31) if compressed else None
        self.buffer, self.ended = b"", False

    def uncompressed(self, block):
        if self.inflate is None:
            yield block
            return
        if self.inflate.eof:
            self.inflate = zlib.decompressobj(31)
        while True:
            try:
                piece = self.inflate.decompress(block, PIECE)  # in pieces: a bomb fills memory otherwise
            except zlib.error as error:
                raise Refused("%s cannot be uncompressed: %s" % (self.what, error)) from None
            yield piece
            if self.inflate.eof and self.inflate.unused_data:
                block, self.inflate = self.inflate.unused_data, zlib.decompressobj(31)  # gzip files may follow each other
            elif self.inflate.eof or (len(piece) < PIECE and not self.inflate.unconsumed_tail):
                return
            else:
                block = self.inflate.unconsumed_tail

    def read(self, size):
        while len(self.buffer) < size and not self.ended:
            block = next(self.blocks, None)
            if block is None:
                self.ended = True
                if self.inflate is not None and not self.inflate.eof:
                    raise Refused("%s is cut off" % self.what)
                if "sha256:" + self.digest.hexdigest() != self.diff_id:
                    raise Refused("%s is uncompressed to sha256:%s, and the configuration says %s: they do not belong together"
                                  % (self.what, self.digest.hexdigest(), shown(self.diff_id)))
                break
            self.buffer += block
            self.progress.add(len(block))
            for piece in self.uncompressed(block):
                self.digest.update(piece)
                if self.limit is not None:
                    self.limit[0] -= len(piece)
                    if self.limit[0] < 0:
                        raise Refused("the layers are uncompressed to more than --max-size allows")
        result, self.buffer = self.buffer[:size], self.buffer[size:]
        return result


def add(archive, name, size, stream):
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    archive.addfile(member, stream)


def add_blob(archive, data):
    name = hashlib.sha256(data).hexdigest()
    add(archive, "blobs/sha256/" + name, len(data), io.BytesIO(data))
    return {"digest": "sha256:" + name, "size": len(data)}


def pick(options):
    layout = Layout(options.layout)
    wanted = Platform(options.platform)
    manifest = layout.document(chosen(layout, options.tag, wanted), "the manifest")
    if manifest.get("schemaVersion") != 2:
        raise Refused("the manifest has schema version %s; 2 is known" % shown(manifest.get("schemaVersion")))
    raw = b"".join(layout.blocks(manifest.get("config"), "the configuration"))
    config = decoded(raw, "the configuration")
    if not wanted.is_that_of(config):
        raise Refused("is an image for %s, and %s is wanted: --platform %s takes it" % (name_of(config), wanted, name_of(config)))
    for key, value in of_type(config.get("config") or {}, dict, "the configuration").items():
        kind = {"Env": list, "Cmd": list, "Entrypoint": list, "User": str, "WorkingDir": str, "StopSignal": str}.get(key)
        if kind and value is not None:
            of_type(value, kind, "the configuration's " + key)
    layers = of_type(manifest.get("layers"), list, "the list of layers")
    diff_ids = of_type(of_type(config.get("rootfs"), dict, "the configuration's rootfs").get("diff_ids"), list, "the list of diff_ids")
    if len(layers) != len(diff_ids):
        raise Refused("the manifest has %d layers and the configuration %d: they do not belong together" % (len(layers), len(diff_ids)))
    if not layers:
        raise Refused("has no layers: there is no file in it")
    for number, layer in enumerate(layers, 1):
        kind = of_type(layer, dict, "layer %d" % number).get("mediaType")
        if kind not in LAYERS:
            raise Refused("layer %d is of type %s, which umoci does not unpack; skopeo copy --dest-compress-format gzip "
                          "oci:LAYOUT:TAG oci:NEW:TAG makes one that it does" % (number, shown(kind)))
    progress = Progress(sum(layout.descriptor(layer, "a layer")[1] for layer in layers), options.quiet)
    limit = [options.max_size] if options.max_size else None
    try:
        with tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.PAX_FORMAT) as archive:
            written = set()
            for number, (layer, diff_id) in enumerate(zip(layers, diff_ids), 1):
                name, size = layout.descriptor(layer, "layer %d" % number)
                stream = Verified(layout, layer, number, diff_id, LAYERS[layer["mediaType"]][1], limit, progress)
                if name in written:
                    while stream.read(1 << 20):
                        pass
                    continue
                written.add(name)
                add(archive, "blobs/sha256/" + name, size, stream)
                stream.read(1)  # takes the end, where digests are compared
            fresh = {"schemaVersion": 2, "mediaType": MANIFEST, "config": dict(add_blob(archive, raw), mediaType=CONFIG),
                     "layers": [{"mediaType": LAYERS[layer["mediaType"]][0], "digest": layer["digest"], "size": layer["size"]}
                                for layer in layers]}
            entry = dict(add_blob(archive, json.dumps(fresh).encode()), mediaType=MANIFEST, annotations={REF: "rootfs"})
            for name, document in (("index.json", {"schemaVersion": 2, "manifests": [entry]}),
                                   ("oci-layout", {"imageLayoutVersion": "1.0.0"})):
                data = json.dumps(document).encode()
                add(archive, name, len(data), io.BytesIO(data))
    finally:
        progress.end()
    write_config(options, config)


def write_config(options, config):
    user = (config.get("config") or {}).get("User")
    if options.squash and user not in (None, "", "0", "root", "0:0", "root:root"):
        # The files have become the one id's, and so does who the image wants to be.
        del config["config"]["User"]
        if not options.quiet:
            sys.stderr.write("%s: note: the image's user %s became root: only one id is mapped\n" % (options.prog, shown(user)))
    with open(options.config, "w", encoding="utf-8") as file:
        json.dump(config, file, indent=2, sort_keys=True)
        file.write("\n")


def machine():
    return {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "armv7l": "arm", "loongarch64": "loong64"}.get(
        platform.machine(), platform.machine())


def inspected(options):
    """docker inspect CONTAINER|IMAGE prints a list of one object; its Config has the image configuration's fields and others."""
    with open(options.file, "rb") as file:
        data = file.read(JSON_LIMIT + 1)
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Refused("is no JSON: %s" % error) from None
    if isinstance(found, list):
        if len(found) != 1:
            raise Refused("has %d objects, and one is needed: docker inspect NAME" % len(found))
        found = found[0]
    of_type(found, dict, "it")
    config = found.get("Config", found.get("config"))
    if not isinstance(config, dict):
        raise Refused("is no output of docker inspect, and no image configuration: there is no object Config")
    kept = {key: config[key] for key in FIELDS if config.get(key) not in (None, "", [], {})}
    for key, kind in (("Env", list), ("Cmd", list), ("Entrypoint", list), ("User", str), ("WorkingDir", str), ("StopSignal", str)):
        if key in kept:
            of_type(kept[key], kind, key)
            if kind is list and not all(isinstance(item, str) for item in kept[key]):
                raise Refused("%s is malformed" % key)
    write_config(options, {"architecture": found.get("Architecture") or found.get("architecture") or machine(),
                                  "os": found.get("Os") or found.get("os") or "linux", "config": kept})


def kind_of(options):
    names = set()
    try:
        with tarfile.open(options.file) as archive:
            last = -1
            for member in archive:
                if member.offset <= last:
                    break  # a size of less than nothing: the unpacker refuses it
                last = member.offset
                names.add(os.path.normpath(member.name))
                archive.members = []
                if len(names) > 100000 or {"oci-layout", "index.json"} <= names:
                    break
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, ValueError, OverflowError, RecursionError):
        if not names:
            print("export")  # the unpacker says what is wrong with it, and knows zstd
            return
    if {"oci-layout", "index.json"} <= names:
        print("layout")
    elif "manifest.json" in names and not names & {"etc", "bin", "usr"}:
        print("docker-archive")
    else:
        print("export")


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--prog", default="image.py")
    parser.add_argument("--name", default="the image")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name, operand in (("kind", "file"), ("pick", "layout"), ("inspected", "file")):
        verb = verbs.add_parser(name, allow_abbrev=False)
        verb.add_argument(operand)
        if name != "kind":
            verb.add_argument("--config", required=True)
            verb.add_argument("--quiet", action="store_true")
            verb.add_argument("--squash", action="store_true")
        if name == "pick":
            verb.add_argument("--tag")
            verb.add_argument("--platform", default="linux/" + machine())
            verb.add_argument("--max-size", type=int, default=0)
    options = parser.parse_args()
    sys.stderr.reconfigure(encoding="utf-8", errors="backslashreplace")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    try:
        {"kind": kind_of, "pick": pick, "inspected": inspected}[options.verb](options)
        return 0
    except Refused as error:
        message = str(error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader says why it ended
        return 1
    except (OSError, MemoryError, tarfile.TarError) as error:
        message = str(error)
    sys.stderr.write("%s: %s: %s\n" % (options.prog, shown(options.name), message))
    return 1


sys.exit(main())
