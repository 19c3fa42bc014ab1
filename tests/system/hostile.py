"""An agent that keeps no rules: HTTP/2 frames by hand in WebSocket messages.

It answers every call with whatever frames a test gives it.
"""

import base64
import json
import os
import socket
import struct
import threading

DATA, HEADERS, RST, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, END_HEADERS, ACK = 1, 4, 1


def field(name, value):
    """A literal field without indexing, of any bytes (RFC 7541 6.2.2)."""
    def text(b):
        assert len(b) < 127
        return bytes([len(b)]) + b
    return b"\0" + text(name) + text(value)


def frame(kind, flags, stream, payload=b""):
    return (struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) +
            struct.pack(">I", stream) + payload)


def head(stream, status=b"200", more=(), end=False):
    block = b"" if status is None else field(b":status", status)
    block += b"".join(field(n, v) for n, v in more)
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream,
                 block)


def data(stream, payload=b"", end=False):
    return frame(DATA, END_STREAM if end else 0, stream, payload)


def reset(stream, code):
    return frame(RST, 0, stream, struct.pack(">I", code))


def masked(payload):
    """A binary message of a client, under a mask of zeros."""
    n = len(payload)
    size = (bytes([0x80 | n]) if n < 126 else
            struct.pack(">BH", 0xfe, n) if n < 65536 else
            struct.pack(">BQ", 0xff, n))
    return b"\x82" + size + b"\0\0\0\0" + payload


def announcement(**more):
    return json.dumps({
        "name": "evil", "version": "9", "instance": "one", "capacity": 0,
        "providers": [{"name": "openai", "type": "openai", "weight": 1,
                       "models": ["*"]}], **more}).encode() + b"\n"


class Agent(threading.Thread):
    """answer(stream) gives the frames; None: the link is cut there."""

    def __init__(self, port, token, answer, announce=announcement()):
        super().__init__(daemon=True)
        self.answer, self.announce = answer, announce
        self.s = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.s.sendall(
            b"GET /agent/link HTTP/1.1\r\nHost: hub\r\n"
            b"Connection: upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n"
            b"Sec-WebSocket-Protocol: hub-link.v1\r\n"
            b"Authorization: Bearer %s\r\n\r\n" %
            (base64.b64encode(os.urandom(16)), token.encode()))
        self.reader = self.s.makefile("rb")
        assert b" 101 " in self.reader.readline()
        while self.reader.readline() != b"\r\n":
            pass
        self.got = b""
        self.announced = None
        self.reading = True
        self.put(frame(SETTINGS, 0, 0))
        self.start()

    def put(self, payload):
        self.s.sendall(masked(payload))

    def message(self):
        first, n = self.reader.read(2)
        if n == 126:
            n, = struct.unpack(">H", self.reader.read(2))
        elif n == 127:
            n, = struct.unpack(">Q", self.reader.read(8))
        return first & 15, self.reader.read(n)

    def frames(self):
        while len(self.got) >= 9:
            n = int.from_bytes(self.got[:3], "big")
            if len(self.got) < 9 + n:
                return
            kind, flags = self.got[3], self.got[4]
            stream = int.from_bytes(self.got[5:9], "big")
            payload, self.got = self.got[9:9 + n], self.got[9 + n:]
            yield kind, flags, stream, payload

    def take(self, kind, flags, stream, payload):
        if kind == SETTINGS and not flags & ACK:
            self.put(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self.put(frame(PING, ACK, 0, payload))
        elif kind == HEADERS and self.announced is None:
            self.announced = stream
            self.put(head(stream))
            for at in range(0, len(self.announce), 16000):
                self.put(data(stream, self.announce[at:at + 16000]))
        elif kind == DATA and flags & END_STREAM:
            self.put(self.answer(stream))

    def run(self):
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        try:
            while self.reading:
                op, payload = self.message()
                if op == 8:
                    return
                if op != 2:
                    continue
                self.got += payload
                if preface:
                    if len(self.got) < len(preface):
                        continue
                    assert self.got.startswith(preface)
                    self.got, preface = self.got[len(preface):], None
                for f in self.frames():
                    self.take(*f)
        except (OSError, ValueError, TypeError):
            pass  # the hub has ended the link

    def close(self):
        try:
            self.s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.join(10)
        self.reader.close()
        self.s.close()
