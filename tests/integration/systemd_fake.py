# SPDX-License-Identifier: Apache-2.0
"""A manager of systemd's interface, as far as nsrun asks for it, on hosts where systemd is not PID 1: a thread that speaks D-Bus at a socket, makes
groups below one of its own, moves processes, and removes a scope's group when it is empty. What systemd itself does is tested in the virtual machine; this
one serves errors that it never makes, and the fault suite. D-Bus specification, "Message Protocol"."""
import contextlib
import ctypes
import os
import socket
import struct
import threading
import time

from harness import mount, mountinfo, runtime_dir, umount

SETRESUID = {"x86_64": 117}.get(os.uname().machine, 147)
MANAGER = "org.freedesktop.systemd1.Manager"


class Reader:
    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def pad(self, n):
        self.at = -(-self.at // n) * n

    def fixed(self, kind, size):
        self.pad(size)
        self.at += size
        return struct.unpack_from("<" + kind, self.data, self.at - size)[0]

    def text(self, n):
        self.at += n + 1
        return self.data[self.at - n - 1:self.at - 1].decode()

    def one(self, signature):
        """(value, the rest of the signature)"""
        kind, rest = signature[0], signature[1:]
        if kind in "ybnqiuxtd":
            letter, size = {"y": ("B", 1), "b": ("I", 4), "n": ("h", 2), "q": ("H", 2), "i": ("i", 4), "u": ("I", 4), "x": ("q", 8), "t": ("Q", 8),
                            "d": ("d", 8)}[kind]
            return self.fixed(letter, size), rest
        if kind in "so":
            return self.text(self.fixed("I", 4)), rest
        if kind == "g":
            return self.text(self.fixed("B", 1)), rest
        if kind == "v":
            return self.one(self.text(self.fixed("B", 1)))[0], rest
        if kind == "a":
            size, element = self.fixed("I", 4), rest[:whole(rest)]
            self.pad({"(": 8, "t": 8, "x": 8}.get(element[0], 4 if element[0] in "subio" else 1))
            end, out = self.at + size, []
            while self.at < end:
                out.append(self.one(element)[0])
            return out, rest[len(element):]
        self.pad(8)
        inner, out = signature[1:whole(signature) - 1], []
        length = whole(signature)
        while inner:
            value, inner = self.one(inner)
            out.append(value)
        return tuple(out), signature[length:]

    def all(self, signature):
        out = []
        while signature:
            value, signature = self.one(signature)
            out.append(value)
        return out


def whole(signature):
    """How long its first complete type is."""
    if signature[0] == "a":
        return 1 + whole(signature[1:])
    if signature[0] != "(":
        return 1
    depth = 0
    for at, letter in enumerate(signature):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if not depth:
            return at + 1


def put(out, kind, value):
    """Appends a basic value, or a string in a variant ("v")."""
    if kind == "v":
        out += b"\x01s\x00"
        kind = "s"
    if kind == "g":
        out += struct.pack("B", len(value)) + value.encode() + b"\0"
        return
    out += b"\0" * (-len(out) % 4)
    out += struct.pack("<I", value) if kind == "u" else struct.pack("<I", len(value)) + value.encode() + b"\0"


def message(kind, serial, fields, signature, values):
    body = bytearray()
    for letter, value in zip(signature, values):
        put(body, letter, value)
    head = bytearray()
    for code, letter, value in fields + ([(8, "g", signature)] if signature else []):
        head += b"\0" * (-len(head) % 8)
        head += struct.pack("B", code) + b"\x01" + letter.encode() + b"\0"
        put(head, letter, value)
    out = struct.pack("<BBBBIII", ord("l"), kind, 1, 1, len(body), serial, len(head)) + bytes(head)
    return out + b"\0" * (-len(out) % 8) + bytes(body)


class Fake:
    """mode: "" does as asked; "denied", "exists", "failed" (the job), "elsewhere" (another group than said), "silent" (no answer), "rounds"
    (writes another value than was asked for at a change), "unchanging" (refuses a change)."""

    def __init__(self, path, group, uid=0, mode=""):
        self.path, self.group, self.uid, self.mode = path, group, uid, mode
        self.units, self.asked, self.changed, self.serial, self.connections = {}, [], [], 0, 0
        self.top = next(entry[0] for entry in mountinfo() if entry[4] == "cgroup2")
        self.over = threading.Event()
        self.libc = ctypes.CDLL(None)

    def __enter__(self):
        ready = threading.Event()
        self.thread = threading.Thread(target=self.serve, args=(ready,), daemon=True)
        self.thread.start()
        ready.wait(5)
        self.cleaner = threading.Thread(target=self.clean, daemon=True)
        self.cleaner.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.cleaner.join()
        self.listener.close()
        os.unlink(self.path)
        for path, _, _ in os.walk(self.top + self.group, topdown=False):
            os.rmdir(path)

    def serve(self, ready):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        os.chmod(self.path, 0o666)
        # SO_PEERCRED is who called listen(2); of this thread alone, which os.seteuid() would not be
        self.libc.syscall(SETRESUID, ctypes.c_uint(-1), ctypes.c_uint(self.uid), ctypes.c_uint(-1))
        self.listener.listen(64)
        self.libc.syscall(SETRESUID, ctypes.c_uint(-1), ctypes.c_uint(0), ctypes.c_uint(-1))
        ready.set()
        while not self.over.is_set():
            self.listener.settimeout(0.1)
            try:
                connection, _ = self.listener.accept()
            except (socket.timeout, OSError):
                continue
            self.connections += 1
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def clean(self):
        """As systemd: a scope whose group is empty is over."""
        while not self.over.wait(0.005) or self.units:
            for unit, group in list(self.units.items()):
                path = self.top + group
                try:
                    with open(path + "/cgroup.events") as file:
                        if "populated 0" not in file.read():
                            if self.over.is_set():
                                with open(path + "/cgroup.kill", "w") as kill:
                                    kill.write("1")
                            continue
                    for below, _, _ in os.walk(path, topdown=False):
                        os.rmdir(below)
                except OSError:
                    if os.path.exists(path):
                        continue
                del self.units[unit]

    def talk(self, connection):
        connection.settimeout(30)
        data = b""
        try:
            while b"BEGIN\r\n" not in data:
                got = connection.recv(4096)
                if not got:
                    return
                data += got
            connection.sendall(b"DATA\r\nOK " + b"0" * 32 + b"\r\nAGREE_UNIX_FD\r\n")
            data = data.split(b"BEGIN\r\n", 1)[1]
            while True:
                while len(data) < 16 or len(data) < self.size(data):
                    got = connection.recv(65536)
                    if not got:
                        return
                    data += got
                size = self.size(data)
                self.answer(connection, data[:size])
                data = data[size:]
        except OSError:
            pass
        finally:
            connection.close()

    @staticmethod
    def size(data):
        body, _, fields = struct.unpack_from("<III", data, 4)
        return -(-(16 + fields) // 8) * 8 + body

    def send(self, connection, kind, fields, signature="", values=()):
        self.serial += 1
        connection.sendall(message(kind, self.serial, fields, signature, values))

    def answer(self, connection, data):
        fields = dict(Reader(data, 12).one("a(yv)")[0])
        _, serial = struct.unpack_from("<II", data, 4)
        body = Reader(data[-struct.unpack_from("<I", data, 4)[0]:] if struct.unpack_from("<I", data, 4)[0] else b"")
        member, values = fields[3], body.all(fields.get(8, ""))
        reply = [(5, "u", serial), (7, "s", ":1.0")]
        if self.mode == "silent" and member == "StartTransientUnit":
            return
        if member == "Get":
            group = self.group
            if values[0].endswith("Scope"):
                group = "/elsewhere" if self.mode == "elsewhere" else next(reversed(self.units.values()), "")
            self.send(connection, 2, reply, "v", [group])
        elif member == "StartTransientUnit":
            self.asked.append((values[0], dict(values[2])))
            refusal = {"denied": ("org.freedesktop.DBus.Error.AccessDenied", "Permission denied"),
                       "exists": ("org.freedesktop.systemd1.UnitExists", "Unit %s was already loaded." % values[0])}.get(self.mode)
            unknown = [name for name, _ in values[2] if self.mode == "unknown:" + name]
            if unknown:
                refusal = ("org.freedesktop.DBus.Error.PropertyReadOnly", "Cannot set property %s, or unknown property." % unknown[0])
            if refusal:
                self.send(connection, 3, reply + [(4, "s", refusal[0])], "s", [refusal[1]])
                return
            if self.mode != "failed":
                self.start(values[0], dict(values[2]))
            self.send(connection, 2, reply, "o", ["/org/freedesktop/systemd1/job/1"])
            self.send(connection, 4, [(1, "o", "/org/freedesktop/systemd1"), (2, "s", MANAGER), (3, "s", "JobRemoved"), (7, "s", ":1.0")], "uoss",
                      [1, "/org/freedesktop/systemd1/job/1", values[0], "failed" if self.mode == "failed" else "done"])
        elif member == "AttachProcessesToUnit":
            self.move(self.units[values[0]] + values[1], values[2])
            self.send(connection, 2, reply)
        elif member == "SetUnitProperties" and self.mode == "unchanging":
            self.send(connection, 3, reply + [(4, "s", "org.freedesktop.DBus.Error.AccessDenied")], "s", ["Permission denied"])
        elif member == "SetUnitProperties":
            self.send(connection, 2, reply)
            if self.mode == "rounds":  # systemd writes after its answer, and before it reads on
                time.sleep(0.1)
                with open(self.top + self.units[values[0]] + "/cgroup.max.depth", "w") as file:
                    file.write("9")
            self.changed.append(values[0])
        else:
            self.send(connection, 2, reply, "s" if member == "Hello" else "", [":1.1"] if member == "Hello" else [])

    def move(self, group, pids):
        for pid in pids:
            with open(self.top + group + "/cgroup.procs", "w") as file:
                file.write(str(pid))

    def start(self, unit, properties):
        slice_, path = properties["Slice"][:-len(".slice")], self.group
        parts = slice_.split("-")
        for n in range(len(parts)):
            path += "/" + "-".join(parts[:n + 1]) + ".slice"
        path += "/" + unit
        os.makedirs(self.top + path)
        os.chown(self.top + path, self.uid, -1)
        for name in os.listdir(self.top + path):
            os.chown(os.path.join(self.top + path, name), self.uid, -1)
        self.move(path, properties["PIDs"])
        self.units[unit] = path


def possible():
    """Is there a v2 hierarchy, and no systemd that has it?"""
    return any(entry[4] == "cgroup2" for entry in mountinfo()) and not os.path.isdir("/run/systemd/system")


@contextlib.contextmanager
def fake(who=None, mode=""):
    """The manager of root, or of this user, where each looks for it."""
    if who:
        path = runtime_dir(who) + "/bus"
    else:
        os.makedirs("/run/dbus", exist_ok=True)
        mount("tmpfs", "/run/dbus", "tmpfs", 0, "mode=755")
        path = "/run/dbus/system_bus_socket"
    try:
        with Fake(path, "/nsrun-test-fake-%d-%d" % (os.getpid(), who.uid if who else 0), who.uid if who else 0, mode) as one:
            yield one
    finally:
        if not who:
            umount("/run/dbus", 2)
