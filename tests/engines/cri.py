# SPDX-License-Identifier: Apache-2.0
"""A client of the Container Runtime Interface (runtime.v1), as much of it as these tests say: gRPC, which is protobuf messages in HTTP/2, on a unix
socket. Messages are dictionaries from the field's number in api.proto to its value: a number, text, bytes, a dictionary, or a list of such."""
import os
import socket
import struct

SETTINGS, PING, GOAWAY, RST_STREAM, HEADERS, DATA = 4, 6, 7, 3, 1, 0
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8


class Refused(Exception):
    """The call ended without a message: an error, whose words are in the server's log."""


def _varint(number):
    number &= (1 << 64) - 1  # negative ones are sent in two's complement
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def encode(message):
    out = b""
    for field, values in message.items():
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, (bool, int)):
                out += _varint(field << 3) + _varint(int(value))
                continue
            data = encode(value) if isinstance(value, dict) else value.encode() if isinstance(value, str) else value
            out += _varint(field << 3 | 2) + _varint(len(data)) + data
    return out


def decode(data):
    """{field: [value, ...]}: numbers, and bytes for whatever has a length."""
    out, at = {}, 0

    def varint():
        nonlocal at
        number = shift = 0
        while True:
            byte = data[at]
            at += 1
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number
    while at < len(data):
        key = varint()
        kind = key & 7
        if kind == 0:
            value = varint()
        else:
            size = varint() if kind == 2 else {1: 8, 5: 4}[kind]
            value = data[at:at + size]
            at += size
        out.setdefault(key >> 3, []).append(value)
    return out


def pairs(mapping):
    """A map<string, string>."""
    return [{1: key, 2: value} for key, value in mapping.items()]


def dig(message, *fields, default=None):
    """The first value below these fields of a decoded message; text stays bytes."""
    for field in fields:
        if not isinstance(message, dict):
            message = decode(message)
        if field not in message:
            return default
        message = message[field][0]
    return message


def _frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def _headers(fields):
    """HPACK (RFC 7541): every field as it is, without an index and without Huffman's code."""
    out = b""
    for name, value in fields:
        out += b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
    return out


def call(path, method, message, timeout=60):
    """One call in a connection of its own; the decoded answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        connection.connect(path)
        body = encode(message)
        headers = _headers([(":method", "POST"), (":scheme", "http"), (":path", "/runtime.v1." + method), (":authority", "localhost"),
                            ("content-type", "application/grpc"), ("te", "trailers")])
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(SETTINGS, 0, 0, b"") + _frame(HEADERS, END_HEADERS, 1, headers) +
                           _frame(DATA, END_STREAM, 1, b"\0" + struct.pack(">I", len(body)) + body))
        stream, answer = connection.makefile("rb"), b""
        while True:
            head = stream.read(9)
            if len(head) < 9:
                raise Refused("%s: the server closed the connection" % method)
            size, (kind, flags), number = int.from_bytes(head[:3], "big"), head[3:5], int.from_bytes(head[5:], "big")
            payload = stream.read(size)
            if kind in (SETTINGS, PING) and not flags & ACK:
                connection.sendall(_frame(kind, ACK, 0, payload if kind == PING else b""))
            elif kind == DATA:
                answer += payload[1:len(payload) - payload[0]] if flags & PADDED else payload
            elif kind in (RST_STREAM, GOAWAY):
                raise Refused("%s: frame of kind %d: %r" % (method, kind, payload))
            if number == 1 and kind in (HEADERS, DATA) and flags & END_STREAM:
                break
        if not answer:
            raise Refused(method)
        return decode(answer[5:5 + struct.unpack(">I", answer[1:5])[0]])


class Client:
    """What a kubelet does, by the names of the calls."""

    def __init__(self, path, log):
        self.path, self.log = path, log

    def __call__(self, method, message, timeout=60):
        service = "ImageService" if "Image" in method else "RuntimeService"
        at = os.path.getsize(self.log)
        try:
            return call(self.path, "%s/%s" % (service, method), message, timeout)
        except Refused as refused:
            with open(self.log, errors="replace") as file:
                file.seek(at)
                raise Refused("%s\n%s" % (refused, "".join(line for line in file if "level=error" in line or "level=warn" in line)))
