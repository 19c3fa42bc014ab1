"""A slot whose worker is stopped or dead swallows nobody.

Connections are opened all the while; the kernel spreads them over both
slots. Each must be answered within a bound: a stopped worker's once it is
found out and replaced, a dead one's by its neighbour or its successor.
"""

import os
import signal
import socket
import threading
import time

import pytest

import priced
from procs import Hub, await_
from test_master import born_again, children, gone, serving

ASK = b"GET /healthz HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n"
PACE = 0.05  # a connection each so many seconds
# A worker may have taken a connection that dies with it, unanswered.
ACCEPTED = 1


@pytest.fixture
def hub(tmp_path):
    h = Hub(tmp_path / "hub", priced.PRICES, workers=2).start()
    await_("all children", lambda: serving(h))
    yield h
    h.stop(signal.SIGKILL)


class Visitors:
    """Opens connections at a pace; how long each waited for its 200."""

    def __init__(self, port):
        self.port, self.over = port, threading.Event()
        self.waits, self.wrong, self.threads = [], [], []
        self.opener = threading.Thread(target=self.run)
        self.opener.start()

    def run(self):
        while not self.over.wait(PACE):
            t = threading.Thread(target=self.visit)
            t.start()
            self.threads.append(t)

    def visit(self):
        began = time.monotonic()
        try:
            with socket.create_connection(("127.0.0.1", self.port),
                                          timeout=60) as s:
                s.sendall(ASK)
                answer = s.recv(4096)
        except OSError as e:
            answer = repr(e).encode()
        waited = time.monotonic() - began
        self.waits.append(waited)
        if not answer.startswith(b"HTTP/1.1 200"):
            self.wrong.append((waited, answer[:60]))

    def finish(self):
        self.over.set()
        self.opener.join()
        for t in self.threads:
            t.join()


def visits(hub, disturb):
    """What the visitors waited, while disturb() does its work."""
    v = Visitors(hub.port)
    try:
        await_("the first visitors", lambda: len(v.waits) >= 10)
        disturb()
        seen = len(v.threads)
        await_("some more", lambda: len(v.threads) >= seen + 20)
    finally:
        v.finish()
    return v


def told(show, what, v):
    show(f"{what}: {len(v.waits)} connections, the longest wait "
         f"{max(v.waits):.2f} s, {len(v.wrong)} cut")


def test_a_stopped_worker_holds_nobody_for_long(hub, show):
    old = children(hub)["worker 0"]

    def disturb():
        os.kill(old, signal.SIGSTOP)
        born_again(hub, "worker 0", old, 20)
        assert gone(old)
    v = visits(hub, disturb)
    told(show, "stopped", v)
    # found out after 10 s; those in the slot's queue wait for the next one
    assert max(v.waits) < 15
    assert len(v.wrong) <= ACCEPTED, v.wrong


def test_a_killed_worker_is_missed_by_nobody(hub, show):
    def disturb():
        for _ in range(3):
            old = children(hub)["worker 1"]
            os.kill(old, signal.SIGKILL)
            born_again(hub, "worker 1", old)
    v = visits(hub, disturb)
    told(show, "killed three times", v)
    assert max(v.waits) < 5
    assert len(v.wrong) <= 3 * ACCEPTED, v.wrong


def test_a_slot_that_stays_empty_is_served_by_its_neighbour(hub, show):
    def disturb():
        (hub.failpoints / "worker 1").write_text("force\n")
        os.kill(children(hub)["worker 1"], signal.SIGKILL)
        await_("the neighbour", lambda: "slot 1 is served by worker 0" in
               hub.log.read_text())
    v = visits(hub, disturb)
    told(show, "empty", v)
    # 1 s until the neighbour is asked, and the tick that sees it
    assert max(v.waits) < 4
    assert len(v.wrong) <= ACCEPTED, v.wrong
