"""Defects of the system that hubd replaces: none may come back.

Each test is named after its defect in the table of the design (d03 ... d20);
tests/mutants/ holds the patches that bring them back and make these fail.
"""

import concurrent.futures
import http.client
import json
import os
import signal
import socket
import time

import pytest

import priced
from procs import await_, bearer, error_code
from test_http import Wire, head, BODY
from test_limits import close_stream, open_stream

QUICK = priced.shape("sim-c20-d5-i3-o4")
ENDLESS = priced.shape("sim-c100000-w50-i3-o4")


def threads(n, fn):
    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        return list(pool.map(fn, range(n)))


def stream_and_leave(site, key, model, lines):
    """Reads some lines of a stream, then closes. The request's id."""
    c = http.client.HTTPConnection("127.0.0.1", site.hub.port, timeout=20)
    c.request("POST", "/v1/chat/completions", json.dumps({
        "model": model, "stream": True,
        "messages": [{"role": "user", "content": "x"}]}), bearer(key))
    r = c.getresponse()
    request_id = r.getheader("x-request-id")
    for _ in range(lines):
        r.readline()
    r.close()
    c.close()
    return request_id


def test_d03_aborts_race_with_last_chunks(site):
    """A stream has 42 lines and [DONE]; users leave around its end."""
    key = site.key()
    ids = []

    def user(n):
        return [stream_and_leave(site, key, QUICK, 38 + (n + i) % 8)
                for i in range(6)]
    for got in threads(16, user):
        ids += got
    rows = site.hub.rows(ids, 20)
    assert {r["outcome"] for r in rows.values()} <= {"complete", "cancelled"}
    site.hub.quiet()
    assert site.chat(key)[0] == 200
    workers = site.hub.ctl("show", "status")["workers"]
    assert all(w["generation"] == workers[0]["generation"] for w in workers)


def test_d05_killed_worker_leaves_no_live_calls(sites):
    site = sites(workers=2, links=2)
    key = site.key("concurrency", "2")
    streams = [open_stream(site, key)[0] for _ in range(2)]
    assert all(streams)
    assert site.chat(key)[0] == 429
    for w in site.hub.ctl("show", "status")["workers"]:
        os.kill(w["pid"], signal.SIGKILL)
    site.agent.await_up(1, 40)

    def again():
        try:
            return site.chat(key)[0] == 200
        except (OSError, http.client.HTTPException):
            return False
    await_("the slots of the dead", again, 40)
    for s in streams:
        close_stream(s)
    rows = site.hub.ctl("show", "ledger")["rows"]
    assert sum(r["outcome"] == "orphaned" for r in rows) == 2


def test_d06_dripping_connections_disturb_nobody(solo):
    key = solo.key()
    drips = []
    try:
        for _ in range(500):
            s = socket.create_connection(("127.0.0.1", solo.hub.port))
            s.sendall(b"POST /v1/chat/comple")
            drips.append(s)
        for _ in range(20):
            start = time.monotonic()
            assert solo.chat(key)[0] == 200
            assert time.monotonic() - start < 1
        assert drips[0].recv(1000).startswith(b"HTTP/1.1 408")
    finally:
        for s in drips:
            s.close()


def test_d09_model_that_nobody_knows(solo, key):
    assert error_code(solo.chat(key, "nobody-knows")[2]) == "model_not_found"


def test_d09_default_route(sites):
    site = sites(options={"default_route": "sim-chat"})
    status, fields, body = site.chat(site.key(), "nobody-knows")
    assert status == 200
    assert json.loads(body)["model"] == "sim-chat"
    row = site.hub.row(fields["x-request-id"])
    assert row["model"] == "sim-chat"


def test_d11_log_lines_cannot_be_forged(solo, key):
    evil = "x\r\n2026-01-01T00:00:00Z master: notice: FORGED\x1b[2J"
    solo.chat(key, evil)
    solo.post(key, "chat/completions", '{"model": "\\u000aFORGED"}')
    wire = Wire(solo.hub.port)
    wire.send(head(key, b"User-Agent: a\tb\x85FORGED\r\n",
                   path=b"/x%0aFORGED") + BODY)
    wire.reply()
    wire.s.close()
    for part in solo.parts:
        for line in part.log.read_bytes().split(b"\n"):
            assert not line.lstrip().startswith((b"FORGED", b"2026-01-01"))
            assert all(b >= 32 or b == 9 for b in line), line


def test_d12_health_answers_without_login(solo):
    for which in ("healthz", "readyz"):
        assert solo.hub.health(which)


def test_d14_nothing_stays_behind(solo):
    """Requests of every outcome, then no call, no hold, no open stream."""
    name = solo.account()
    key = solo.hub.key(name)[0]
    for fault in ("500", "refuse", "429"):
        solo.sim.next(fault=fault, model="own-bound")
        solo.chat(key, "own-bound")
    for fault in ("reset", "close"):
        solo.sim.next("own/chat-stream-usage.sse", fault=fault,
                      model="own-stream")
        solo.chat(key, "own-stream", stream=True, broken=True)

    def user(n):
        for i in range(10):
            if (n + i) % 3 == 0:
                stream_and_leave(solo, key, QUICK, (n + i) % 7)
            elif (n + i) % 3 == 1:
                solo.chat(key, QUICK, stream=True)
            else:
                solo.chat(key)
    threads(16, user)
    solo.hub.quiet()
    await_("no holds", lambda: solo.hub.balance(name)["held"] == "0")
    await_("no upstream call", lambda: solo.sim.stats()["open"] == 0)
    row = solo.agent.shown()
    assert row["calls"] == 0
    solo.hub.ctl("audit", "full")


def stopped_reader(port, key):
    """A user who asks for an endless stream and does not read it."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", port))
    body = json.dumps({"model": ENDLESS, "stream": True,
                       "messages": []}).encode()
    s.sendall(head(key, length=len(body)) + body)
    assert s.recv(9) == b"HTTP/1.1 "
    return s


def test_d17_stopped_readers_do_not_slow_another_stream(solo):
    key = solo.key()
    stopped = [stopped_reader(solo.hub.port, key) for _ in range(64)]
    try:
        for _ in range(3):
            start = time.monotonic()
            status, _, body = solo.chat(key, QUICK, stream=True)
            assert status == 200 and body.endswith(b"[DONE]\n\n")
            assert time.monotonic() - start < 2
        assert solo.agent.shown()["state"] == "up"
    finally:
        for s in stopped:
            s.close()
    solo.hub.quiet(20)


def test_d17_a_link_outlives_its_silence_while_readers_stand(sites):
    """Heartbeats pass although every window is full."""
    site = sites()
    key = site.key()
    stopped = [stopped_reader(site.hub.port, key) for _ in range(16)]
    links = site.agent.shown()["links"]
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert site.chat(key)[0] == 200
        assert site.agent.shown()["links"] == links
    for s in stopped:
        s.close()


def test_d19_cancel_reaches_the_provider_at_once(solo):
    """p99 in milliseconds, from the user's close to the provider's."""
    key = solo.key()
    lags = []
    for _ in range(60):
        stream, error = open_stream(solo, key)
        assert error is None
        close_stream(stream)
        closed = time.monotonic_ns()
        entry = await_("the provider to notice", lambda: next((
            r for r in solo.sim.requests(priced.LONG)[-1:]
            if r["ended"] and r["aborted"] and r["end_ns"] > closed - 10**8),
            None))
        lags.append(entry["end_ns"] - closed)
    lags.sort()
    assert lags[len(lags) // 2] < 20e6, lags
    assert lags[-2] < 100e6, lags
    solo.hub.quiet()


LEAKS = ("127.0.0.1", "/home", "/tmp", "localhost", ".sock", "edge",
         "sk-provider", "hubd.", "errno", "curl", "sqlite")


@pytest.mark.parametrize("fault", ["refuse", "500", "reset", "close"])
def test_d20_errors_tell_nothing_of_the_inside(solo, key, fault):
    solo.sim.next("own/chat-plain.json", fault=fault, model="own-bound",
                  endpoint="*")
    status, fields, body = solo.chat(key, "own-bound")
    text = (body.decode() + json.dumps(fields)).lower()
    assert status >= 500
    for leak in LEAKS + (str(solo.sim.port),):
        assert leak not in text, (leak, text)


def test_d20_provider_is_gone(sites):
    site = sites()
    key = site.key()
    port = site.sim.port
    site.sim.stop()
    status, fields, body = site.chat(key)
    assert (status, error_code(body)) == (502, "upstream_error")
    assert str(port) not in body.decode()
    assert site.hub.row(fields["x-request-id"])["amount"] == "0"


def test_d20_wrong_provider_key_is_not_the_users_fault(solo, key):
    solo.sim.next("own/error-401.json")
    status, _, body = solo.chat(key)
    assert (status, error_code(body)) == (502, "upstream_error")
    assert b"sk-" not in body and b"account" not in body
