"""HTTP/1.1 as strict servers speak it, over raw sockets."""

import json
import socket

import pytest

import priced
from procs import await_

BODY = json.dumps({"model": "sim-chat", "messages": [
    {"role": "user", "content": "hello"}]}).encode()


class Wire:
    """A raw connection that reads whole replies."""

    def __init__(self, port):
        self.s = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.bytes = b""

    def send(self, data):
        try:
            self.s.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the answer says why

    def fill(self):
        more = self.s.recv(65536)
        self.bytes += more
        return bool(more)

    def take(self, n):
        while len(self.bytes) < n:
            assert self.fill(), self.bytes
        out, self.bytes = self.bytes[:n], self.bytes[n:]
        return out

    def line(self):
        while b"\r\n" not in self.bytes:
            assert self.fill(), self.bytes
        out, self.bytes = self.bytes.split(b"\r\n", 1)
        return out

    def reply(self):
        """Status, fields, body."""
        status = int(self.line().split()[1])
        fields = {}
        while line := self.line():
            name, value = line.decode().split(":", 1)
            fields[name.lower()] = value.strip()
        if status == 100:
            return status, fields, b""
        if fields.get("transfer-encoding") == "chunked":
            return status, fields, self.chunks()
        return status, fields, self.take(int(fields["content-length"]))

    def chunks(self):
        body = b""
        while size := int(self.line().split(b";")[0], 16):
            body += self.take(size)
            assert self.take(2) == b"\r\n"
        assert self.line() == b""
        return body

    def closed(self):
        """Awaits the end; nothing more may come."""
        try:
            while self.fill():
                pass
        except ConnectionResetError:
            pass
        return self.bytes == b""


@pytest.fixture
def wire(solo):
    w = Wire(solo.hub.port)
    yield w
    w.s.close()


def head(key, extra=b"", method=b"POST", path=b"/v1/chat/completions",
         length=len(BODY)):
    size = b"" if length is None else b"Content-Length: %d\r\n" % length
    return (b"%s %s HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer %s\r\n"
            b"Content-Type: application/json\r\n%s%s\r\n" %
            (method, path, key.encode(), size, extra))


def code(reply):
    return reply[0], json.loads(reply[2])["error"]["code"]


def test_keep_alive(wire, key):
    for _ in range(3):
        wire.send(head(key) + BODY)
        status, fields, body = wire.reply()
        assert status == 200 and json.loads(body)["usage"]


def test_pipelined_requests_are_answered_in_order(wire, key):
    models = ["sim-chat", priced.SLOW, priced.SHORT]
    for m in models:
        body = BODY.replace(b"sim-chat", m.encode())
        wire.send(head(key, length=len(body)) + body)
    replies = [wire.reply() for _ in models]
    assert [json.loads(r[2])["model"] for r in replies] == models
    ids = {r[1]["x-request-id"] for r in replies}
    assert len(ids) == 3


def test_many_pipelined_requests_are_all_answered(wire, key):
    """Far more than are taken in one turn, and nothing comes after them."""
    wire.send(head(key, method=b"GET", path=b"/v1/models", length=None) * 100)
    ids = set()
    for _ in range(100):
        status, fields, _ = wire.reply()
        assert status == 200
        ids.add(fields["x-request-id"])
    assert len(ids) == 100
    wire.send(head(key) + BODY)
    assert wire.reply()[0] == 200


def test_request_in_single_bytes(wire, key):
    for b in head(key) + BODY:
        wire.send(bytes([b]))
    assert wire.reply()[0] == 200


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_chunked_request_body(wire, key, size):
    wire.send(head(key, b"Transfer-Encoding: chunked\r\n", length=None))
    for at in range(0, len(BODY), size):
        piece = BODY[at:at + size]
        wire.send(b"%x;ext=1\r\n%s\r\n" % (len(piece), piece))
    wire.send(b"0\r\nX-Trailer: dropped\r\n\r\n")
    assert wire.reply()[0] == 200
    wire.send(head(key) + BODY)
    assert wire.reply()[0] == 200


def test_expect_100_continue(wire, key):
    wire.send(head(key, b"Expect: 100-continue\r\n"))
    assert wire.reply()[0] == 100
    wire.send(BODY)
    assert wire.reply()[0] == 200


def test_bad_key_is_told_before_the_body_is_asked_for(wire):
    wire.send(head("sk-wrong", b"Expect: 100-continue\r\n"))
    assert code(wire.reply()) == (401, "invalid_api_key")


def test_other_expectation(wire, key):
    wire.send(head(key, b"Expect: the-best\r\n") + BODY)
    assert wire.reply()[0] == 417


BAD = {
    "two lengths": b"Content-Length: 5\r\nContent-Length: 6\r\n",
    "length and chunked":
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "signed length": b"Content-Length: +5\r\n",
    "length beyond 64 bits": b"Content-Length: 18446744073709551616\r\n",
    "blank before colon": b"X-Name : value\r\n",
    "folded field": b"X-Name: a\r\n b\r\n",
    "no colon": b"X-Name\r\n",
    "control character": b"X-Name: a\x01b\r\n",
    "bare carriage return": b"X-Name: a\rb\r\n",
    "bare line feed": b"X-Name: a\nX-Other: b\r\n",
    "NUL": b"X-Name: a\0b\r\n",
    "two hosts": b"Host: other\r\n",
}


@pytest.mark.parametrize("extra", BAD.values(), ids=BAD)
def test_ambiguous_head_is_refused_and_closed(wire, key, extra):
    wire.send(head(key, extra, length=None) + BODY)
    reply = wire.reply()
    assert code(reply) == (400, "invalid_request")
    assert reply[1]["connection"] == "close"
    assert wire.closed()


BAD_LINES = {
    "no version": b"GET /v1/models\r\n",
    "two blanks": b"GET  /v1/models HTTP/1.1\r\n",
    "no target": b"GET HTTP/1.1\r\n",
    "bad method": b"G@T /v1/models HTTP/1.1\r\n",
    "control in target": b"GET /v1/\x01 HTTP/1.1\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n",
}


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES)
def test_bad_request_line_is_refused_and_closed(wire, line):
    wire.send(line + b"Host: hub\r\n\r\n")
    assert wire.reply()[0] == 400
    assert wire.closed()


def test_no_host(wire, key):
    wire.send(head(key).replace(b"Host: hub\r\n", b"") + BODY)
    assert wire.reply()[0] == 400
    assert wire.closed()


@pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/2.0", b"HTTP/3.7"])
def test_other_versions(wire, key, version):
    wire.send(head(key).replace(b"HTTP/1.1", version) + BODY)
    assert wire.reply()[0] == 505
    assert wire.closed()


def test_unknown_transfer_coding(wire, key):
    wire.send(head(key, b"Transfer-Encoding: gzip, chunked\r\n",
                   length=None))
    assert code(wire.reply()) == (501, "not_implemented")
    assert wire.closed()


def test_broken_chunk(wire, key):
    wire.send(head(key, b"Transfer-Encoding: chunked\r\n", length=None) +
              b"zz\r\n")
    assert code(wire.reply()) == (400, "invalid_request")
    assert wire.closed()


def test_head_too_large(wire, key):
    wire.send(head(key, b"X-Pad: " + b"a" * 70000 + b"\r\n") + BODY)
    assert code(wire.reply()) == (431, "headers_too_large")
    assert wire.closed()


def test_too_many_fields(wire, key):
    wire.send(head(key, b"X: y\r\n" * 500) + BODY)
    assert code(wire.reply()) == (431, "headers_too_large")
    assert wire.closed()


def test_body_too_large_is_told_at_once(wire, key):
    wire.send(head(key, length=1 << 40))
    assert code(wire.reply()) == (413, "body_too_large")
    assert wire.closed()


def test_chunked_body_too_large(sites):
    site = sites(options={"max_body": "64k"})
    w = Wire(site.hub.port)
    w.send(head(site.key(), b"Transfer-Encoding: chunked\r\n", length=None))
    for _ in range(5):
        w.send(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
    assert code(w.reply()) == (413, "body_too_large")
    assert w.closed()
    w.s.close()


def test_compressed_body(wire, key):
    wire.send(head(key, b"Content-Encoding: gzip\r\n") + BODY)
    assert code(wire.reply()) == (415, "unsupported_encoding")


def test_no_body_at_all(wire, key):
    wire.send(head(key, length=None))
    assert wire.reply()[0] in (400, 411)


def test_unknown_endpoint(wire, key):
    wire.send(head(key, path=b"/v1/unheard/of") + BODY)
    assert code(wire.reply()) == (404, "unknown_endpoint")


@pytest.mark.parametrize("path", [
    b"/v1/../v1/chat/completions", b"/v1//chat/completions",
    b"/v1/chat/completions/", b"/V1/chat/completions",
    b"/v1/chat%2fcompletions"])
def test_no_second_spelling_of_a_path(wire, key, path):
    wire.send(head(key, path=path) + BODY)
    assert code(wire.reply()) == (404, "unknown_endpoint")


def test_wrong_method(wire, key):
    wire.send(head(key, method=b"PUT") + BODY)
    reply = wire.reply()
    assert code(reply) == (405, "method_not_allowed")


def test_metrics_are_not_for_users(wire, key):
    wire.send(head(key, method=b"GET", path=b"/metrics", length=None))
    assert wire.reply()[0] in (401, 404)


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b"null", b"{} {}", BODY + b"x",
    b'{"messages":[]}', b'{"model":7,"messages":[]}',
    b'{"model":null,"messages":[]}', b'{"model":"","messages":[]}',
    b'{"model":"sim-chat","model":"own-chat","messages":[]}',
    b'{"model":"sim-chat","stream":"yes","messages":[]}',
    b'{"model":"sim-chat","stream":true,"stream":false,"messages":[]}',
    b'{"model":"sim-\xff","messages":[]}',
    b'{"model":"' + b"m" * 5000 + b'","messages":[]}',
    b"[" * 5000], ids=lambda b: repr(b[:40]))
def test_body_that_is_no_request(wire, key, body):
    wire.send(head(key, length=len(body)) + body)
    reply = wire.reply()
    assert code(reply) == (400, "invalid_request")
    assert "x-request-id" in reply[1]


def test_absolute_form(wire, key):
    wire.send(head(key, path=b"http://hub/v1/chat/completions") + BODY)
    assert wire.reply()[0] == 200


def test_connection_close_is_obeyed(wire, key):
    wire.send(head(key, b"Connection: close\r\n") + BODY)
    status, fields, _ = wire.reply()
    assert status == 200 and fields["connection"] == "close"
    assert wire.closed()


def test_half_closed_user_gets_his_answer_or_is_gone(wire, solo, key):
    """Whatever is decided, nothing stays behind."""
    wire.send(head(key) + BODY)
    wire.s.shutdown(socket.SHUT_WR)
    wire.closed()
    solo.hub.quiet()


def test_dripping_head_meets_its_deadline(sites):
    """d06: time-outs have safe defaults; here a short one is set."""
    site = sites(options={"timeout": {"header": "1s"}})
    w = Wire(site.hub.port)
    w.send(b"GET /v1/models HT")
    status = w.reply()[0] if await_("the deadline", w.fill, 10) else None
    assert status == 408
    assert w.closed()
    w.s.close()


def test_every_reply_names_its_request(solo, key):
    seen = set()
    for path, method in ((b"/v1/models", b"GET"), (b"/nowhere", b"GET"),
                         (b"/healthz", b"GET")):
        wire = Wire(solo.hub.port)
        wire.send(head(key, method=method, path=path, length=None))
        seen.add(wire.reply()[1]["x-request-id"])
        wire.s.close()
    assert len(seen) == 3


def test_refusal_without_a_body_keeps_the_connection(wire, key):
    wire.send(head(key, method=b"GET", path=b"/nowhere", length=None))
    assert code(wire.reply()) == (404, "unknown_endpoint")
    wire.send(head(key) + BODY)
    assert wire.reply()[0] == 200


def test_head_is_answered_without_a_body(wire):
    wire.send(b"HEAD /healthz HTTP/1.1\r\nHost: hub\r\n\r\n")
    assert wire.line() == b"HTTP/1.1 200 OK"
    while wire.line():
        pass
    wire.send(b"GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n")
    assert wire.reply()[0] == 200


def test_half_closed_user_gets_what_is_answered_at_once(wire):
    wire.send(b"GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n")
    wire.s.shutdown(socket.SHUT_WR)
    assert wire.reply()[0] == 200
    assert wire.closed()


def test_silent_connection_is_closed_without_a_word(sites):
    site = sites(options={"timeout": {"header": "1s"}})
    w = Wire(site.hub.port)
    assert w.closed()
    w.s.close()


def test_who_does_not_read_answers_asks_for_no_more(wire):
    """Pipelined requests wait; nobody's answers pile up in memory."""
    ask = b"GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n"
    wire.s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    wire.s.settimeout(1)
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 64 << 20:
            sent += wire.s.send((ask * 2000)[sent % len(ask):])
    wire.s.settimeout(10)
    for _ in range(sent // len(ask)):
        assert wire.reply()[0] == 200
