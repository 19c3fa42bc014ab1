"""Every code that users may see, through the real door, as OpenAI's client
understands it: it raises its own type, with our code and request id in it.

What its API cannot say (a dripping head, a body without a length) is said by
hand; the bytes that the hub answered are then played to the client.
"""

import contextlib
import re
import socket
import threading

import openai
import pytest

import priced
import procs
from test_http import BODY, head
from test_limits import close_stream, open_stream

LATE = priced.shape("sim-f5000-i3-o4")
STALE = priced.shape("sim-f4000-i3-o4")
UNSERVED = priced.shape("unserved-model")


@pytest.fixture(scope="module")
def strict():
    """A site with narrow limits, so that each is easily met."""
    site = procs.Site(priced.PRICES, models=["sim-*", "own-*"], options={
        "max_body": "64k", "max_calls": 16, "objects": True,
        "timeout": {"header": "1s", "first_byte": "2s"}})
    yield site
    site.close()


def client(port, key):
    return openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=key,
                         max_retries=0, timeout=20)


def create(site, key, model="sim-chat", text="x", **more):
    return client(site.hub.port, key).chat.completions.create(
        model=model, messages=[{"role": "user", "content": text}], **more)


def ask(site, key, data):
    """What the hub answers to these bytes."""
    with socket.create_connection(("127.0.0.1", site.hub.port), 20) as s:
        s.sendall(data)
        out = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := s.recv(65536):
                out += chunk
        return out


def play(site, key, data):
    """The answer to data, as if the client had sent that."""
    answer = ask(site, key, data)
    assert answer.startswith(b"HTTP/1.1 "), answer

    def serve():
        c, _ = listener.accept()
        with c:
            c.recv(65536)
            c.sendall(answer)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        t = threading.Thread(target=serve)
        t.start()
        try:
            client(listener.getsockname()[1], key).models.list()
        finally:
            t.join()


def disabled(site):
    name = site.account()
    key = site.hub.key(name)[0]
    site.hub.ctl("account", "disable", name)
    create(site, key)


def twice(site, key):
    create(site, key)
    create(site, key)


def crowded(site, key, n):
    streams = []
    try:
        for _ in range(n):
            stream, _ = open_stream(site, key)
            if stream:
                streams.append(stream)
        create(site, key)
    finally:
        for s in streams:
            close_stream(s)
        site.hub.quiet()


def without_agent(site, key):
    """The agent dies while it waits for the provider."""
    def kill():
        procs.await_("the provider to be asked",
                     lambda: site.sim.requests(STALE))
        site.agent.child.kill()
    killer = threading.Thread(target=kill)
    killer.start()
    try:
        create(site, key, STALE)
    finally:
        killer.join()
        site.agent.child.wait()
        site.agent.start().await_up()


def failing(site, key):
    site.sim.bind("own-bound", "own/chat-plain.json", fault="500")
    create(site, key, "own-bound")


def fields(site, key, extra, **more):
    play(site, key, head(key, extra + b"Connection: close\r\n", **more) +
         BODY)


CODES = [
    (400, "invalid_request", openai.BadRequestError,
     lambda s: create(s, s.key(), "")),
    (401, "invalid_api_key", openai.AuthenticationError,
     lambda s: create(s, "sk-nobody")),
    (402, "insufficient_balance", openai.APIStatusError,
     lambda s: create(s, s.key(credit="0.000001"))),
    (403, "model_not_allowed", openai.PermissionDeniedError,
     lambda s: create(s, s.key("models", priced.SHORT))),
    (403, "account_disabled", openai.PermissionDeniedError, disabled),
    (404, "model_not_found", openai.NotFoundError,
     lambda s: create(s, s.key(), "no-such-model")),
    (404, "object_not_found", openai.NotFoundError,
     lambda s: client(s.hub.port, s.key()).files.retrieve("file-none")),
    (404, "unknown_endpoint", openai.NotFoundError,
     lambda s: client(s.hub.port, s.key()).get(
         "/unheard/of", cast_to=object)),
    (405, "method_not_allowed", openai.APIStatusError,
     lambda s: client(s.hub.port, s.key()).get(
         "/embeddings", cast_to=object)),
    (408, "request_timeout", openai.APIStatusError,
     lambda s: play(s, s.key(), b"POST /v1/chat")),
    (411, "body_too_large", openai.APIStatusError,
     lambda s: fields(s, s.key(), b"", length=None)),
    (413, "body_too_large", openai.APIStatusError,
     lambda s: create(s, s.key(), text="x" * 70000)),
    (415, "unsupported_encoding", openai.APIStatusError,
     lambda s: fields(s, s.key(), b"Content-Encoding: br\r\n")),
    (429, "rate_limited", openai.RateLimitError,
     lambda s: twice(s, s.key("rpm", "1"))),
    (429, "concurrency_limited", openai.RateLimitError,
     lambda s: crowded(s, s.key("concurrency", "1"), 1)),
    (431, "headers_too_large", openai.APIStatusError,
     lambda s: fields(s, s.key(), b"X: y\r\n" * 500)),
    (501, "not_implemented", openai.InternalServerError,
     lambda s: fields(s, s.key(), b"Transfer-Encoding: gzip, chunked\r\n",
                      length=None)),
    (502, "upstream_error", openai.InternalServerError,
     lambda s: failing(s, s.key())),
    (502, "agent_lost", openai.InternalServerError,
     lambda s: without_agent(s, s.key())),
    (503, "no_agent", openai.InternalServerError,
     lambda s: create(s, s.key(), UNSERVED)),
    (503, "overloaded", openai.InternalServerError,
     lambda s: crowded(s, s.key(), 17)),
    (504, "upstream_timeout", openai.InternalServerError,
     lambda s: create(s, s.key(), LATE)),
    (505, "http_version", openai.InternalServerError,
     lambda s: play(s, s.key(), head(s.key()).replace(
         b"HTTP/1.1", b"HTTP/2.0") + BODY)),
]
RETRY_AFTER = {"rate_limited", "concurrency_limited", "no_agent",
               "overloaded"}


@pytest.mark.parametrize("status,code,kind,provoke", CODES,
                         ids=[f"{c[0]}-{c[1]}" for c in CODES])
def test_code(strict, status, code, kind, provoke):
    with pytest.raises(kind) as raised:
        provoke(strict)
    e = raised.value
    assert type(e) is kind
    assert (e.status_code, e.code) == (status, code)
    assert e.body["message"] and e.body["type"]
    assert procs.UUID7.match(e.request_id)
    assert e.response.headers["x-request-id"] == e.request_id
    retry = e.response.headers.get("retry-after")
    assert (retry is not None) == (code in RETRY_AFTER), retry
    assert retry is None or int(retry) >= 1


def test_every_code_is_here():
    """All of errors.def; `internal' has no cause that a test could make."""
    text = (procs.ROOT / "hubd/api/errors.def").read_text()
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    known = set(re.findall(r'ERROR\(\w+, (\d+), "(\w+)"', text))
    tested = {(str(c[0]), c[1]) for c in CODES}
    # 417 is another invalid_request, tried by test_http
    assert known - tested == {("500", "internal"), ("417", "invalid_request")}
    assert tested <= known
