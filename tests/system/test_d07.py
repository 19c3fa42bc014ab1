"""d07: usage right behind a line of 64 MB is found, in the next event or in
the same document, and no line of an answer is ever in memory whole.
"""

import http.client
import json
import threading

import pytest

import crash
import money
import priced
import procs
import storm
from procs import bearer

LINE = 64 << 20
LONG_LINE = priced.shape(f"sim-b{LINE}-c2-i11-o45", priced.FULL)
ROOM_MB = 24    # buffers, windows and the allocator's own


class Peak:
    """The most memory of its own that a process has while it is looked at."""

    def __init__(self, pid):
        self.look = lambda: storm.rss(pid)
        self.before = self.most = self.look()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.ended.wait(0.005):
            self.most = max(self.most, self.look())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


def read_all(site, key, stream):
    """Reads the answer as it comes; its id and how long it was."""
    c = http.client.HTTPConnection("127.0.0.1", site.hub.port, timeout=60)
    c.request("POST", "/v1/chat/completions", json.dumps({
        "model": LONG_LINE, "stream": stream, "max_tokens": 100,
        "messages": [{"role": "user", "content": "x"}]}), bearer(key))
    r = c.getresponse()
    assert r.status == 200
    n = 0
    while piece := r.read(1 << 16):
        n += len(piece)
        tail = piece
    c.close()
    assert tail.endswith(b"data: [DONE]\n\n" if stream else b"}")
    return r.getheader("x-request-id"), n


@pytest.mark.parametrize("stream", [True, False])
def test_d07_usage_behind_a_line_of_64_mb(stream):
    site = procs.Site(priced.PRICES, workers=1, links=1)
    try:
        key = site.key()
        site.chat(key)
        with Peak(crash.pid_of(site, "worker")) as peak, \
                Peak(site.agent.pid) as agent:
            request_id, n = read_all(site, key, stream)
        assert n > LINE
        row = site.hub.row(request_id)
        assert row["usage"] == {"input": 11, "output": 45}
        assert row["estimated"] is False
        assert row["amount"] == money.cost(priced.PRICES[LONG_LINE],
                                           row["usage"])
        assert peak.most - peak.before < ROOM_MB
        assert agent.most - agent.before < ROOM_MB
    finally:
        site.close()
