"""Whatever a provider sends, the agent lives and the user gets a reply."""

import socket
import threading
import types

import pytest

import priced
import procs
from procs import Agent, Sim, await_

MODEL = priced.shape("evil-1")
OK = b"HTTP/1.1 200 OK\r\n"
JSON = OK + b"Content-Type: application/json\r\n"
CHUNKED = JSON + b"Transfer-Encoding: chunked\r\n\r\n"
PLAIN = b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}'
EVENTS = b"data: " + PLAIN + b"\n\ndata: [DONE]\n\n"

# What the provider sends: pieces, each many times; then it closes.
ANSWERS = {
    "good": ([(JSON + b"\r\n" + PLAIN, 1)], 200),
    "interim answer first": ([
        (b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n", 3),
        (JSON + b"\r\n" + PLAIN, 1)], 200),
    "usage behind a long line": ([
        (OK + b"Content-Type: text/event-stream\r\n\r\ndata: ", 1),
        (b"x" * 65536, 128), (b"\n\n" + EVENTS, 1)], 200),
    "endless head": ([(OK, 1), (b"X: " + b"y" * 1000 + b"\r\n", 20000)], 502),
    "endless field": ([(OK + b"X: ", 1), (b"y" * 65536, 500)], 502),
    "endless interim answers": ([
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 100, 2000)], 502),
    "switches protocols": ([
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" +
         b"\xff" * 100, 1)], 502),
    "broken chunks": ([(CHUNKED + b"zz\r\n", 1)], 502),
    "huge chunk": ([(CHUNKED + b"f" * 17 + b"\r\n", 1)], 502),
    "chunks break off": ([(CHUNKED + b"10\r\nabc", 1)], 502),
    "compressed": ([(JSON + b"Content-Encoding: gzip\r\n\r\n" +
                     b"\x1f\x8b\x08" + b"\0" * 100, 1)], 502),
    "redirect": ([(b"HTTP/1.1 307 No\r\nLocation: file:///etc/passwd\r\n"
                   b"Content-Length: 0\r\n\r\n", 1)], 502),
    "too short": ([(JSON + b"Content-Length: 5000\r\n\r\n" + PLAIN, 1)], 502),
    "negative length": ([(JSON + b"Content-Length: -5\r\n\r\n", 1)], 502),
    "no head": ([(PLAIN, 1)], 502),
    "other protocol": ([(b"220 hello\r\n", 1)], 502),
    "odd status": ([(b"HTTP/1.1 42 X\r\nContent-Length: 0\r\n\r\n", 1)], 502),
    "endless refusal": ([(b"HTTP/1.1 500 X\r\n\r\n", 1),
                         (b"x" * 65536, 500)], 502),
    "nothing": ([], 502),
}


class Provider:
    """Answers each request with the bytes it was told, then closes."""

    def __init__(self):
        self.pieces = []
        self.s = socket.create_server(("127.0.0.1", 0))
        self.port = self.s.getsockname()[1]
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def close(self):
        """Wakes the thread first: the number of a descriptor that it waits
        on would be the next test's, and so would the connection it takes."""
        self.s.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.s.close()

    def answer(self, c):
        c.settimeout(20)
        head = b""
        while b"\r\n\r\n" not in head:
            more = c.recv(65536)
            if not more:
                return
            head += more
        for piece, times in self.pieces:
            for _ in range(times):
                c.sendall(piece)

    def run(self):
        while True:
            try:
                c, _ = self.s.accept()
            except OSError:
                return
            with c:
                try:
                    self.answer(c)
                    c.shutdown(socket.SHUT_WR)
                    while c.recv(65536):
                        pass
                except OSError:
                    pass  # the agent has had enough


@pytest.fixture(scope="module")
def served():
    site = procs.Site(priced.PRICES, models=("sim-*",))
    provider = Provider()
    site.evil = site.add(Agent(
        site.folder / "evil", site.hub, {"openai": provider}, name="evil",
        links=1, models=("evil-*",)))
    site.evil.start().await_up(1)
    yield types.SimpleNamespace(site=site, provider=provider, key=site.key())
    site.close()
    provider.close()


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("name", ANSWERS)
def test_any_answer_of_a_provider(served, name, stream):
    served.provider.pieces, expected = ANSWERS[name]
    site = served.site
    status, fields, body = site.chat(served.key, MODEL, stream=stream,
                                     broken=True)
    assert status == expected, body[:500]
    assert b"127.0.0.1" not in body and Sim.KEY.encode() not in body
    row = site.hub.row(fields["x-request-id"])
    if expected == 200:
        assert row["usage"] == {"input": 3, "output": 4}
    else:
        assert (row["status"], row["amount"]) == (status, "0")
    assert site.evil.running()
    site.hub.quiet()


def test_where_a_provider_sends_on_is_in_the_agents_log(served):
    """A base_url that is not quite right: the user sees a mere 502."""
    served.provider.pieces, _ = ANSWERS["redirect"]
    call = served.site.chat(served.key, MODEL)[1]["x-request-id"]
    await_("the status", lambda: f"call {call}: provider openai answers 307"
           in served.site.evil.tail())
