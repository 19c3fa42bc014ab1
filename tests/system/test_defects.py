"""Defects of the system that hubd replaces: those with short tests.

Each test is named after its defect in the table of the design; the others
have files of their own (test_dNN.py). tests/mutants/ holds the patches that
bring them back and make these fail.
"""

import json
import signal
import socket
import time

import pytest

from procs import await_, error_code
from test_http import Wire, head, BODY


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
        drips[0].settimeout(15)
        assert drips[0].recv(1000).startswith(b"HTTP/1.1 408")
    finally:
        for s in drips:
            s.close()


def logging_site(sites, tmp_path):
    log = tmp_path / "access.log"
    return sites(options={"access_log": str(log),
                          "log_level": "debug"}), log


def test_d11_log_lines_cannot_be_forged(sites, tmp_path):
    site, access = logging_site(sites, tmp_path)
    key = site.key()
    evil = 'x"}\r\n2026-01-01T00:00:00Z master: FORGED\x1b[2J\x7f\u0085\u2028'
    odd = 'x"}\\FORGED\u0085\u2028'
    assert site.chat(key, evil)[0] == 400
    assert site.chat(key, odd)[0] == 404
    site.post(key, "chat/completions", '{"model": "\\u000aFORGED"}')
    wire = Wire(site.hub.port)
    wire.send(head(key, b"User-Agent: a\tb\x85FORGED\r\n",
                   path=b"/x%0aFORGED") + BODY)
    wire.reply()
    wire.s.close()
    lines = await_("four lines", lambda: (
        found := access.read_bytes().splitlines()) and found[3:] and found)
    assert any(json.loads(line).get("model") == odd for line in lines)
    for log in [access] + [part.log for part in site.parts]:
        for line in log.read_bytes().split(b"\n"):
            assert not line.lstrip().startswith((b"FORGED", b"2026-01-01"))
            assert all(32 <= b != 127 or b == 9 for b in line), line


def test_access_log_has_one_line_a_request(sites, tmp_path):
    site, access = logging_site(sites, tmp_path)
    key = site.key()
    replies = [site.chat(key), site.chat(key, stream=True),
               site.chat("sk-wrong"), site.chat(key, "no-such")]
    site.hub.quiet()

    def entries():
        found = [json.loads(line)
                 for line in access.read_text().splitlines()]
        return {e["id"]: e for e in found if e["event"] == "request"}
    await_("the lines", lambda: all(
        r[1]["x-request-id"] in entries() for r in replies))
    by_id = entries()
    lines = [by_id[r[1]["x-request-id"]] for r in replies]
    assert [e["status"] for e in lines] == [200, 200, 401, 404]
    assert lines[2]["code"] == "invalid_api_key"
    assert (lines[0]["model"], lines[0]["outcome"]) == \
        ("sim-chat", "complete")
    assert lines[0]["amount"] == replies[0][1]["x-hub-cost"]
    assert lines[1]["stream"] and lines[1]["agent"] == "edge"
    assert key not in access.read_text()


def test_access_log_is_reopened(sites, tmp_path):
    site, access = logging_site(sites, tmp_path)
    key = site.key()
    assert site.chat(key)[0] == 200
    await_("a line", lambda: access.stat().st_size)
    access.rename(tmp_path / "old.log")
    site.hub.child.send_signal(signal.SIGUSR1)
    await_("a new file", access.exists)

    def lands_there():
        site.chat(key)
        return access.stat().st_size
    await_("lines in the new file", lands_there)


def test_d12_health_answers_without_login(solo):
    for which in ("healthz", "readyz"):
        assert solo.hub.health(which)


LEAKS = ("127.0.0.1", "/home", "/tmp", "localhost", ".sock", "edge",
         "sk-provider", "hubd.", "errno", "curl", "sqlite")


@pytest.mark.parametrize("fault", ["refuse", "500", "reset", "close"])
def test_d20_errors_tell_nothing_of_the_inside(solo, key, fault):
    solo.sim.bind("own-bound", "own/chat-plain.json", fault=fault)
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
