"""d11: no byte from outside forges a line, a field or a terminal command."""

import json
import re
import socket

import pytest

from accesslog import AccessLog, logfmt, options
from procs import await_

EVIL = {
    "line": 'x\n{"event":"request","id":"forged"}\n',
    "carriage return": "x\r\nevent=request id=forged",
    "field": 'x" status=200 id="forged',
    "member": 'x","id":"forged","a":"',
    "backslash": 'x\\" id=forged',
    "escape": "x\x1b[2J\x1b]0;forged\x07",
    "C1": "x\x9b2J",
    "separator": "x\u2028id=forged\u2029",
    "direction": "x\u202eforged",
    "delete": "x\x7f\x08",
    "replaced": "x\ufffd",
}
RAW = {
    "invalid": b"x\xff\xfe",
    "overlong": b"x\xc0\x8a",
    "surrogate": b"x\xed\xa0\x80",
    "cut": b"x\xe2\x80",
}
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def send(port, data):
    """One request as these bytes; the whole reply."""
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        out = b""
        while chunk := s.recv(65536):
            out += chunk
    return out


def post(key, body, path=b"/v1/chat/completions", extra=b""):
    return (b"POST %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
            b"Authorization: Bearer %s\r\n%sContent-Length: %d\r\n\r\n%s" %
            (path, key.encode(), extra, len(body), body))


@pytest.fixture(params=["json", "logfmt"])
def logged(request, sites, tmp_path):
    site = sites(options=options(tmp_path, log_format=request.param,
                                 log_level="debug"))
    site.access = AccessLog(tmp_path / "access.log",
                            logfmt if request.param == "logfmt" else None)
    return site


def request_id(reply):
    return re.search(rb"x-request-id: (\S+)", reply).group(1).decode()


def whole(site):
    """Every line parses, stands alone, and none was forged."""
    lines = site.access.lines()
    assert not [e for e in lines if e.get("id") == "forged"]
    assert {e["event"] for e in lines} <= {"request", "link_up"}
    ids = [e["id"] for e in lines if e["event"] == "request"]
    assert len(ids) == len(set(ids))
    text = site.access.path.read_text()
    assert not CONTROL.search(text)
    log = site.hub.log.read_bytes().decode()
    assert not CONTROL.search(log)
    for line in log.splitlines():
        assert re.match(r"\d{4}-\d\d-\d\dT\S+Z ", line), line


def test_d11_model_names(logged):
    key = logged.key()
    for name, evil in EVIL.items():
        body = json.dumps({"model": evil, "messages": []}).encode()
        rid = request_id(send(logged.hub.port, post(key, body)))
        line = logged.access.one(id=rid)
        if line["code"] == "model_not_found":
            assert line["model"] == evil, name
        else:  # no control character gets that far
            assert line["code"] == "invalid_request", name
            assert min(evil) < " " or "\x7f" in evil, name
    for name, evil in RAW.items():
        body = b'{"model":"' + evil + b'","messages":[]}'
        rid = request_id(send(logged.hub.port, post(key, body)))
        assert logged.access.one(id=rid)["code"] == "invalid_request", name
    whole(logged)


def test_d11_paths_and_methods(logged):
    key = logged.key()
    evils = [e.encode("utf-8", "surrogateescape") for e in EVIL.values()]
    for evil in [*evils, *RAW.values()]:
        for data in (post(key, b"{}", b"/v1/" + evil),
                     post(key, b"{}", b"/v1/models?" + evil),
                     b"X" + evil + post(key, b"{}"),
                     post(key, b"{}").replace(b"HTTP/1.1", evil)):
            rid = request_id(send(logged.hub.port, data))
            line = logged.access.one(id=rid)
            assert int(line["status"]) in (400, 404, 405, 501, 505)
    quoted = post(key, b"{}", b"/v1/a\"b'c%0Aid=forged\\")
    rid = request_id(send(logged.hub.port, quoted))
    assert logged.access.one(id=rid)["outcome"] == "refused"
    whole(logged)


def test_d11_fields(logged):
    key = logged.key()
    evils = [e.encode("utf-8", "surrogateescape") for e in EVIL.values()]
    for evil in [*evils, *RAW.values()]:
        for field in (b"User-Agent", b"X-Request-Id", b"Forwarded",
                      b"X-" + evil, b"Host"):
            send(logged.hub.port,
                 post(key, b"{}", extra=field + b": " + evil + b"\r\n"))
        send(logged.hub.port, b"GET /agent/link HTTP/1.1\r\nHost: h\r\n"
             b"Connection: upgrade\r\nUpgrade: websocket\r\n"
             b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " +
             b"a" * 24 + b"\r\nSec-WebSocket-Protocol: hub-link.v1\r\n"
             b"Authorization: Bearer " + evil + b"\r\n\r\n")
        send(logged.hub.port, post("sk-" + "x", b"{}").replace(
            b"Bearer sk-x", b"Bearer " + evil))
    await_("the lines", lambda: len(logged.access.lines()) > 80)
    whole(logged)
