# SPDX-License-Identifier: Apache-2.0
"""Unpacks a tar archive from standard input into a directory, or goes over a tree that another program made.

unpack.py [--scrub] [--squash] [--strip-suid] [--max-size BYTES] [--total BYTES] [--quiet] [--prog PROG] [--name NAME] DIR

The archive is hostile. This process changes its root directory to DIR before it reads the first header: no name, symbolic link or
hard link of the archive can lead outside, whatever this code gets wrong. It is meant to run in a user namespace (confine.py), where
ids of the archive are ids of the container. Names with ".." are refused. Device nodes are left out: nsrun makes those of /dev.
Compressed archives (gzip, bzip2, xz, zstd) are recognised. Python 3.9 or newer, no tarfile filters (they came with 3.11.4).

--squash: the namespace has one id; owners and set-id bits are dropped.  --scrub: no archive, a tree; owners are right already.
Standard output: a line for each set-id bit and file capability that --strip-suid removed.  Exit status: 0, 1 error.
"""
import argparse
import bz2  # noqa: F401  these are loaded before the root directory changes
import encodings.ascii  # noqa: F401
import encodings.latin_1  # noqa: F401
import encodings.utf_8  # noqa: F401
import errno
import gzip  # noqa: F401
import lzma  # noqa: F401
import os
import resource
import shutil
import stat
import subprocess
import sys
import tarfile
import time
import zlib  # noqa: F401

CAPABILITY = "security.capability"
ROOTLESS = "user.rootlesscontainers"
ENTRY_COST = 4096  # bytes that an entry counts for at least: so a limit of the size limits the number of entries
MEMORY = 1 << 30   # a header may claim any size, and headers are read into memory


class Refused(Exception):
    pass


def shown(name):
    """A name for a terminal, which control characters could drive."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in name)


class Member(tarfile.TarInfo):
    """tarfile takes a damaged header, or no end mark, for the end of the archive; here they are errors."""
    @classmethod
    def frombuf(cls, *args, **more):
        member = super().frombuf(*args, **more)
        if member.size < 0:
            raise Refused("a header has a negative size")
        return member

    @classmethod
    def fromtarfile(cls, archive):
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:
            raise
        except tarfile.HeaderError as error:
            if archive.offset == 0:
                raise Refused("is not a tar archive") from error
            raise Refused("is damaged or cut off at byte %d: %s" % (archive.offset, error)) from error


def parts_of(name, what):
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise Refused('%s %s leads upwards ("..")' % (what, shown(name)))
    if any("\0" in part for part in parts):
        raise Refused("%s %s contains a NUL" % (what, shown(name)))
    return parts


class Progress:
    def __init__(self, what, total, quiet):
        self.what, self.total, self.seen, self.next = what, total, 0, 0.0
        self.on = not quiet and os.isatty(2)

    def show(self, done):
        now = time.monotonic()
        if not self.on or now < self.next:
            return
        self.next = now + 0.1
        self.seen = done
        if self.total:
            part = min(1.0, done / self.total)
            line = "%s [%-30s] %3d%%" % (self.what, "#" * int(30 * part), 100 * part)
        else:
            line = "%s %d MiB" % (self.what, done >> 20)
        os.write(2, ("\r%s\033[K" % line).encode())

    def end(self):
        if self.on and self.next:
            os.write(2, b"\r\033[K")


class Counted:
    """Standard input, with a count of what was read."""
    def __init__(self, stream, progress):
        self.stream, self.progress, self.done = stream, progress, 0

    def read(self, size=-1):
        data = self.stream.read(size)
        self.done += len(data)
        self.progress.show(self.done)
        return data


class Tree:
    """What both ways share: the policy for modes, capabilities and devices. Paths are relative to the new root."""
    def __init__(self, options):
        self.options = options
        self.squashed, self.devices, self.xattrs, self.set_ids = 0, [], set(), 0

    def mode_of(self, path, mode, is_directory):
        """The permissions without what is not to be granted. A directory's set-gid bit grants nothing: it is inherited."""
        if is_directory:
            return mode
        if mode & 0o6000 and self.options.squash:
            self.set_ids += 1
            return mode & 0o1777
        if mode & 0o6000 and self.options.strip_suid:
            bits = " and ".join(text for bit, text in ((0o4000, "set-uid"), (0o2000, "set-gid")) if mode & bit)
            print("removed %s (%04o) %s" % (bits, mode, shown(path)))
            return mode & 0o1777
        return mode

    def notes(self):
        if self.devices:
            some = ", ".join(shown(name) for name in self.devices[:3]) + (", ..." if len(self.devices) > 3 else "")
            yield "%d device nodes were left out (%s): nsrun makes those of /dev" % (len(self.devices), some)
        if self.squashed:
            yield "%d entries of other ids became the caller's: only one id is mapped" % self.squashed
        if self.set_ids:
            yield "%d set-id bits were dropped: only one id is mapped" % self.set_ids
        if self.xattrs:
            yield "extended attributes were left out: " + ", ".join(shown(name) for name in sorted(self.xattrs))


class Unpacker(Tree):
    def __init__(self, options):
        super().__init__(options)
        self.size, self.directories = 0, {}

    def charge(self, size):
        self.size += max(size, ENTRY_COST)
        if self.options.max_size and self.size > self.options.max_size:
            raise Refused("unpacks to more than %d bytes: --max-size allows more" % self.options.max_size)

    def make_parents(self, parts):
        for end in range(1, len(parts)):
            path = "/" + "/".join(parts[:end])
            try:
                # A symbolic link to a directory is followed, as in a merged /usr; the root directory is the end of all ways.
                if not stat.S_ISDIR(os.stat(path).st_mode):
                    raise Refused("%s is below a file" % shown("/".join(parts)))
            except FileNotFoundError:
                if os.path.islink(path):
                    raise Refused("%s is below a symbolic link that leads nowhere in the tree"
                                  % shown("/".join(parts))) from None
                os.mkdir(path, 0o755)

    def make_room(self, path, is_directory):
        try:
            there = os.lstat(path)
        except FileNotFoundError:
            return
        if not stat.S_ISDIR(there.st_mode):
            os.unlink(path)
        elif not is_directory:
            shutil.rmtree(path)

    def file_of(self, path, member, archive):
        pieces = member.sparse if member.sparse is not None else [(0, member.size)]
        self.charge(sum(size for _, size in pieces))
        source = archive.fileobj
        source.seek(member.offset_data)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(fd, "wb", buffering=0) as target:
            for offset, size in pieces:
                if offset < 0 or size < 0:
                    raise Refused("%s has a malformed sparse map" % shown(member.name))
                target.seek(offset)
                while size > 0:
                    data = source.read(min(size, 1 << 20))
                    if not data:
                        raise Refused("is cut off in %s" % shown(member.name))
                    view = memoryview(data)
                    while view:
                        view = view[target.write(view):]
                    size -= len(data)
            target.truncate(member.size)

    def extended_attributes(self, path, name, member):
        for key, value in member.pax_headers.items():
            if not key.startswith("SCHILY.xattr."):
                continue
            attribute = key[len("SCHILY.xattr."):]
            if attribute == CAPABILITY and self.options.strip_suid:
                print("removed file capabilities %s" % shown(name))
                continue
            if attribute == CAPABILITY or attribute.startswith("user."):
                try:
                    os.setxattr(path, attribute, value.encode("utf-8", "surrogateescape"), follow_symlinks=False)
                    continue
                except OSError as error:
                    if error.errno not in (errno.EOPNOTSUPP, errno.EPERM):
                        raise
            self.xattrs.add(attribute)

    def attributes(self, path, name, member):
        if self.options.squash:
            self.squashed += bool(member.uid or member.gid)
        else:
            try:
                os.chown(path, member.uid, member.gid, follow_symlinks=False)
            except OverflowError:
                raise Refused("%s belongs to %d:%d, which are no ids" % (shown(name), member.uid, member.gid)) from None
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                raise Refused("%s belongs to %d:%d, which the owner's ranges do not reach: larger ranges in /etc/subuid and "
                              "/etc/subgid" % (shown(name), member.uid, member.gid)) from error
        if not member.issym():
            os.chmod(path, self.mode_of(name, member.mode & 0o7777, member.isdir()))
            self.extended_attributes(path, name, member)
        if member.isdir():
            self.directories[path] = member.mtime  # what comes into it changes its time
        else:
            self.times(path, member.mtime)

    @staticmethod
    def times(path, mtime):
        try:
            os.utime(path, (mtime, mtime), follow_symlinks=False)
        except (OverflowError, ValueError):
            pass  # a time that the system cannot hold is no reason to refuse a file

    def entry(self, member, archive):
        parts = parts_of(member.name, "entry")
        if not parts:
            return  # the tree itself is root's, 0755, whatever the archive says: nsrun's rule of ownership looks at it
        path, name = "/" + "/".join(parts), "/".join(parts)
        if member.ischr() or member.isblk():
            self.devices.append(name)
            return
        if not (member.isreg() or member.isdir() or member.issym() or member.islnk() or member.isfifo()):
            raise Refused("%s is of an unknown type %r" % (shown(name), member.type))
        self.make_parents(parts)
        self.make_room(path, member.isdir())
        if member.islnk():
            self.charge(0)
            target = "/" + "/".join(parts_of(member.linkname, "the hard link %s to" % shown(name)))
            try:
                os.link(target, path, follow_symlinks=False)
            except OSError as error:
                raise Refused("%s is a hard link to %s: %s" % (shown(name), shown(target), error.strerror)) from error
            return
        if member.isdir():
            self.charge(0)
            if not os.path.isdir(path):
                os.mkdir(path, 0o700)
        elif member.issym():
            self.charge(0)
            os.symlink(member.linkname, path)
        elif member.isfifo():
            self.charge(0)
            os.mkfifo(path, 0o600)
        else:
            self.file_of(path, member, archive)
        self.attributes(path, name, member)

    def run(self, stream):
        with tarfile.open(fileobj=stream, mode="r|*", tarinfo=Member, errorlevel=2) as archive:
            count = 0
            for member in archive:
                try:
                    self.entry(member, archive)
                except OSError as error:
                    raise Refused("%s: %s" % (shown(member.name), error.strerror)) from error
                archive.members = []  # tarfile remembers all of them
                count += 1
        if count == 0:
            raise Refused("is empty")
        while stream.read(1 << 20):
            pass  # or the writer dies of SIGPIPE
        for path, mtime in reversed(self.directories.items()):
            if os.path.isdir(path) and not os.path.islink(path):
                self.times(path, mtime)


class Scrubber(Tree):
    def entry(self, path):
        name, there = path.lstrip("/"), os.lstat(path)
        if stat.S_ISCHR(there.st_mode) or stat.S_ISBLK(there.st_mode):
            self.devices.append(name)
            os.unlink(path)
            return
        if stat.S_ISLNK(there.st_mode):
            return
        mode = stat.S_IMODE(there.st_mode)
        wanted = self.mode_of(name, mode, stat.S_ISDIR(there.st_mode))
        if wanted != mode:
            os.chmod(path, wanted)
        if not stat.S_ISREG(there.st_mode) and not self.options.squash:
            return
        for attribute in os.listxattr(path, follow_symlinks=False):
            if attribute == CAPABILITY and self.options.strip_suid:
                print("removed file capabilities %s" % shown(name))
                os.removexattr(path, attribute, follow_symlinks=False)
            elif attribute == ROOTLESS and self.options.squash:
                self.squashed += 1  # umoci's mark of another owner
                os.removexattr(path, attribute, follow_symlinks=False)

    def run(self):
        for directory, names, files in os.walk("/"):
            for name in names + files:
                self.entry(os.path.join(directory, name))


def opened(progress):
    """Standard input, through zstd where that is its format; tarfile knows the others."""
    raw = sys.stdin.buffer
    magic = raw.peek(4)[:4]
    counted = Counted(raw, progress)
    if magic != b"\x28\xb5\x2f\xfd":
        return counted
    try:
        zstd = subprocess.Popen(["zstd", "-dcq"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    except FileNotFoundError:
        raise Refused("is compressed by zstd: apt-get install zstd") from None
    if os.fork() == 0:
        status = 1
        try:
            zstd.stdout.close()
            shutil.copyfileobj(counted, zstd.stdin, 1 << 20)
            zstd.stdin.close()
            status = 0
        finally:
            os._exit(status)
    zstd.stdin.close()
    return zstd.stdout


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in ("--scrub", "--squash", "--strip-suid", "--quiet"):
        parser.add_argument(name, action="store_true")
    parser.add_argument("--max-size", type=int, default=0)
    parser.add_argument("--total", type=int, default=0)
    parser.add_argument("--prog", default="unpack.py")
    parser.add_argument("--name", default="standard input")
    parser.add_argument("dir")
    options = parser.parse_args()
    os.umask(0)
    progress = Progress("unpacking", options.total, options.quiet)
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    sys.stderr.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        stream = None if options.scrub else opened(progress)
        if not options.scrub:
            os.mkdir(options.dir, 0o755)
        os.chroot(options.dir)
        os.chdir("/")
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        tree = Scrubber(options) if options.scrub else Unpacker(options)
        tree.run() if options.scrub else tree.run(stream)
        os.chown("/", 0, 0)
        os.chmod("/", 0o755)
        progress.end()
        if not options.quiet:
            for note in tree.notes():
                sys.stderr.write("%s: note: %s\n" % (options.prog, note))
        return 0
    except Refused as error:
        message = str(error)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        message = "is damaged or cut off: %s" % error
    except MemoryError:
        message = "has a header that does not fit into memory"
    except OSError as error:
        message = "%s%s" % (shown(error.filename) + ": " if isinstance(error.filename, str) else "", error.strerror or error)
    except (ValueError, OverflowError, RecursionError) as error:
        message = "is malformed: %s" % shown(str(error))
    progress.end()
    sys.stderr.write("%s: %s: %s\n" % (options.prog, shown(options.name), message))
    return 1


sys.exit(main())
