"""Defects of the system that hubd replaces: those with short tests.

Each test is named after its defect in the table of the design; the others
have files of their own (test_dNN.py). tests/mutants/ holds the patches that
bring them back and make these fail.
"""

import json
import socket
import time

import pytest

from procs import error_code
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
        assert drips[0].recv(1000).startswith(b"HTTP/1.1 408")
    finally:
        for s in drips:
            s.close()


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
