"""d06: those who send their request byte by byte disturb nobody.

Thousands of connections drip a head, or a body, while users of the usual
kind ask; what these wait is measured with and without the drippers.
DRIPPERS sets how many (2,000; `make check-long` takes 10,000).
"""

import asyncio
import json
import os
import resource
import socket
import statistics
import time

from procs import bearer, fetch

DRIPPERS = int(os.environ.get("DRIPPERS", 2000))
USERS = 8
ASKS = 50
# Long enough for all of them to be there at once, on a busy machine, too.
DEADLINES = {name: f"{max(2, DRIPPERS // 200)}s" for name in ("header", "body")}


def request(site, key):
    body = json.dumps({"model": "sim-chat", "messages": [
        {"role": "user", "content": "hello"}]}).encode()
    return (b"POST /v1/chat/completions HTTP/1.1\r\nHost: hub\r\n"
            b"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n" %
            (key.encode(), len(body)) + body)


class Dripper(asyncio.Protocol):
    """Sends a byte each half second, until it is cut; then anew."""

    def __init__(self, crowd, text, at):
        self.crowd, self.text, self.at = crowd, text, at
        self.told = b""

    def connection_made(self, transport):
        self.transport = transport
        transport.write(self.text[:self.at])
        self.crowd.dripping.add(self)
        self.began = time.monotonic()

    def data_received(self, data):
        self.told += data

    def drip(self):
        self.transport.write(self.text[self.at:self.at + 1])
        self.at = min(self.at + 1, len(self.text) - 1)

    def connection_lost(self, exc):
        self.crowd.dripping.discard(self)
        self.crowd.cut.append((time.monotonic() - self.began,
                               self.told[:12]))


class Drip:
    """Keeps so many drippers at work, half in heads and half in bodies."""

    def __init__(self, port, text):
        self.port, self.text = port, text
        self.dripping, self.cut = set(), []
        self.most = 0

    async def keep(self, n):
        loop = asyncio.get_running_loop()
        body_at = self.text.index(b"\r\n\r\n") + 5
        i = 0
        while True:
            # a few at a time, so that it is not us who keep users waiting
            while len(self.dripping) < n:
                at = body_at if i % 2 else 20
                i += 1
                try:
                    await loop.create_connection(
                        lambda at=at: Dripper(self, self.text, at),
                        "127.0.0.1", self.port)
                except OSError:
                    await asyncio.sleep(0.05)
                self.most = max(self.most, len(self.dripping))
            for k, d in enumerate(list(self.dripping)):
                d.drip()
                if k % 50 == 0:
                    await asyncio.sleep(0)
            await asyncio.sleep(0.5)

    def close(self):
        for d in list(self.dripping):
            d.transport.abort()


async def ask(port, text, times):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(ASKS):
        began = time.monotonic()
        writer.write(text)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        assert head.startswith(b"HTTP/1.1 200"), head
        fields = dict(line.lower().split(b": ", 1)
                      for line in head.split(b"\r\n")[1:-2])
        await reader.readexactly(int(fields[b"content-length"]))
        times.append((time.monotonic() - began) * 1000)
    writer.close()


async def users(port, text):
    """Milliseconds of each answer, sorted."""
    times = []
    await asyncio.gather(*(ask(port, text, times) for _ in range(USERS)))
    return sorted(times)


def p99(times):
    return times[len(times) * 99 // 100]


async def measure(port, text):
    alone = await users(port, text)
    drip = Drip(port, text)
    keeper = asyncio.ensure_future(drip.keep(DRIPPERS))
    deadline = time.monotonic() + 120
    while drip.most < DRIPPERS and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    assert drip.most >= DRIPPERS * 9 // 10, drip.most
    beside = await users(port, text)
    # each is cut at its deadline, and its place is free
    while not drip.cut and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    assert not keeper.done()
    keeper.cancel()
    drip.close()
    return alone, beside, drip


def test_d06_drippers_disturb_nobody(sites, show):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (
        max(soft, min(hard, DRIPPERS + 1000)), hard))
    site = sites(workers=2, links=2, options={"timeout": DEADLINES})
    key = site.key()
    text = request(site, key)
    alone, beside, drip = asyncio.run(measure(site.hub.port, text))
    show(f"{drip.most} drippers, {len(drip.cut)} cut meanwhile; users wait\n"
         f"  without them: median {statistics.median(alone):.1f} ms, "
         f"p99 {p99(alone):.1f} ms\n"
         f"  with them:    median {statistics.median(beside):.1f} ms, "
         f"p99 {p99(beside):.1f} ms")
    # noise of a shared machine is allowed for, a queue of drippers is not
    assert p99(beside) < 10 * p99(alone) + 250
    told = [(s, t) for s, t in drip.cut if t]
    assert told, "nobody was cut"
    assert all(t == b"HTTP/1.1 408" for _, t in told), told[:5]
    assert fetch(site.hub.port, "GET", "/v1/models",
                 headers=bearer(key))[0] == 200


def test_d06_the_defaults_have_an_end(sites):
    """Without a line in the file, every deadline is there."""
    site = sites(workers=1, links=1)
    began = time.monotonic()
    with socket.create_connection(
            ("127.0.0.1", site.hub.port), timeout=20) as s:
        s.sendall(b"GET /v1/models HTTP/1.1\r\nHo")
        assert s.recv(100).startswith(b"HTTP/1.1 408")
    assert 4 < time.monotonic() - began < 12
