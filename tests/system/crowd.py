"""Many users at once: an asyncio client on raw sockets, and what each saw.

A user sends one request after the other on a connection of his own, and may
leave at a chosen moment. What the hub may answer is up to the caller.
"""

import asyncio
import dataclasses
import json
import re
import time

ID = re.compile(rb"\r\nx-request-id: ([0-9a-f-]{36})\r\n", re.I)
LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.I)
FINISH = re.compile(rb'"finish_reason": ?"[a-z_]+"')
KEPT = 65536    # of a body, for those who look for the finish reason


@dataclasses.dataclass
class Want:
    """One request, and when its user leaves: "" never, "unsent" in the
    middle of his request, "sent" right after it, "head", "chunk" when the
    first byte of the answer's body is there, "finish" at its finish reason.
    """
    kind: str
    wire: bytes
    leave: str = ""
    tag: str = ""


@dataclasses.dataclass
class Got:
    """What came of it. end: "whole", "left", "cut" (the connection ended
    before the answer did) or "none" (it ended without a head)."""
    want: Want
    status: int = 0
    id: str = ""
    end: str = "none"
    began: float = 0.0
    left_ns: int = 0    # CLOCK_MONOTONIC, when he left

    @property
    def seen(self):
        return f"{self.status or '-'} {self.end}"


def wire(port, key, body, path="/v1/chat/completions"):
    """The bytes of a request."""
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return (f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Authorization: Bearer {key}\r\n"
            f"Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


def chat(model, text="hello", **more):
    return {"model": model, "max_tokens": 100,
            "messages": [{"role": "user", "content": text}], **more}


class Wire(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self):
        self.transport = None
        self.lost = False
        self.got = None
        self.done = None

    def connection_made(self, transport):
        self.transport = transport

    def ask(self, want):
        """A future of what comes of it."""
        self.got = Got(want, began=time.monotonic())
        done = self.done = asyncio.get_running_loop().create_future()
        self.head, self.body = b"", b""
        self.left = None    # bytes to come; None: chunked
        self.in_body = False
        if want.leave == "unsent":
            self.transport.write(want.wire[:-8])
            self.leave()
            return done
        self.transport.write(want.wire)
        if want.leave == "sent":
            self.leave()
        return done

    def end(self, how):
        self.got.end = how
        done, self.done = self.done, None
        if done and not done.done():
            done.set_result(self.got)

    def leave(self):
        self.got.left_ns = time.monotonic_ns()
        self.transport.close()
        self.lost = True
        self.end("left")

    def connection_lost(self, exc):
        self.lost = True
        if self.done:
            self.end("cut" if self.got.status else "none")

    def data_received(self, data):
        if self.done is None:
            return
        if not self.in_body:
            data = self.take_head(data)
            if not data or self.done is None:
                return
        self.take_body(data)

    def take_head(self, data):
        """Bytes of the body behind the head, once it is whole."""
        self.head += data
        at = self.head.find(b"\r\n\r\n")
        if at == -1:
            return b""
        head, data = self.head[:at + 2], self.head[at + 4:]
        self.got.status = int(head[9:12])
        found = ID.search(head)
        self.got.id = found.group(1).decode() if found else ""
        found = LENGTH.search(head)
        self.left = int(found.group(1)) if found else None
        self.in_body = True
        if self.got.want.leave == "head":
            self.leave()
        elif self.left == 0:
            self.over()
        return data

    def over(self):
        if b"\r\nconnection: close\r\n" in self.head.lower():
            self.transport.close()
            self.lost = True
        self.end("whole")

    def take_body(self, data):
        if self.got.want.leave == "chunk":
            self.leave()
            return
        self.body = (self.body + data)[-KEPT:]
        if self.got.want.leave == "finish" and FINISH.search(self.body):
            self.leave()
            return
        if self.left is None:
            if self.body.endswith(b"0\r\n\r\n") and \
                    self.body[-7:-5] in (b"", b"\r\n"):
                self.over()
            return
        self.left -= len(data)
        if self.left <= 0:
            self.over()


async def connect(port, patience):
    """A connection, also while nobody accepts for a moment."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return (await asyncio.get_running_loop().create_connection(
                Wire, "127.0.0.1", port))[1]
        except OSError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)


async def user(port, wants, took, patience, answer_s):
    """Sends what is left to send, until there is nothing."""
    conn = None
    for want in wants:
        if conn is None or conn.lost:
            conn = await connect(port, patience)
        try:
            got = await asyncio.wait_for(conn.ask(want), answer_s)
        except asyncio.TimeoutError:
            conn.transport.abort()
            conn.lost = True
            raise AssertionError(f"{want.kind}: no answer in {answer_s} s")
        took(got)
    if conn is not None:
        conn.transport.close()


async def crowd(port, wants, took, users=64, beside=None, patience=30,
                answer_s=60):
    """All users over one iterator of wants; took(got) for each answer.

    beside is a coroutine that runs meanwhile and is ended with them.
    """
    wants = iter(wants)
    also = asyncio.ensure_future(beside) if beside else None
    people = [asyncio.ensure_future(user(port, wants, took, patience,
                                         answer_s)) for _ in range(users)]
    try:
        await asyncio.gather(*people)
    finally:
        for p in people:
            p.cancel()
        if also:
            if also.done():
                also.result()
            also.cancel()
            await asyncio.gather(also, return_exceptions=True)


def run(*args, **kwargs):
    asyncio.run(crowd(*args, **kwargs))
