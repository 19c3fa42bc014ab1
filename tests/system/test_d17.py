"""d17: readers that stand still hold up nobody but themselves, although all
share one link.
"""

import http.client
import json
import select
import socket
import time

import crowd
import priced
import procs
from procs import await_, bearer

ENDLESS = priced.shape("sim-c1000000-w50-i3-o4-d17")
LIVE = priced.shape("sim-c200-d10-i3-o4")
STOPPED = 64


def stop_reading(site, key):
    """Asks for a stream without an end and never reads it."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", site.hub.port))
    s.sendall(crowd.wire(site.hub.port, key, crowd.chat(ENDLESS,
                                                        stream=True)))
    return s


def ticks(pid):
    """Processor time that a process has used, in ticks."""
    with open(f"/proc/{pid}/stat") as f:
        return sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13]))


def standing(site):
    """Nothing moves any more: every window is full."""
    pids = site.sim.pid, site.agent.pid
    before = [ticks(pid) for pid in pids]
    select.select([], [], [], 0.3)
    return [ticks(pid) for pid in pids] == before


def lags(site, key):
    """Milliseconds from the provider's write to here, of each chunk."""
    c = http.client.HTTPConnection("127.0.0.1", site.hub.port, timeout=30)
    c.request("POST", "/v1/chat/completions",
              json.dumps(crowd.chat(LIVE, stream=True)), bearer(key))
    r = c.getresponse()
    found, began = [], time.monotonic()
    while line := r.readline():
        assert time.monotonic() - began < 30, f"{len(found)} chunks by now"
        if b" t=" in line:
            sent = int(line.split(b" t=")[1][:19])
            found.append((time.monotonic_ns() - sent) / 1e6)
    c.close()
    assert len(found) == 200
    return sorted(found)


def test_d17_stopped_readers_do_not_slow_the_next_stream(show):
    site = procs.Site(priced.PRICES, workers=1, links=1)
    stopped = []
    try:
        key = site.key()
        alone = lags(site, key)
        stopped = [stop_reading(site, key) for _ in range(STOPPED)]
        await_("their streams to begin",
               lambda: len(site.sim.requests(ENDLESS)) == STOPPED)
        await_("them to stand still", lambda: standing(site), 60)
        beside = lags(site, key)
        show(f"chunk lag in ms, alone: p50 {alone[100]:.2f} p99 "
             f"{alone[197]:.2f}; beside {STOPPED} stopped readers: p50 "
             f"{beside[100]:.2f} p99 {beside[197]:.2f}")
        assert beside[197] < 500  # without the remedy they stand still
        assert site.chat(key)[0] == 200
    finally:
        for s in stopped:
            s.close()
        site.close()
