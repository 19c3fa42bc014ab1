"""Whatever an agent sends, the hub lives, users get replies, rows are one."""

import json

import pytest

import hostile
import priced
import procs
from hostile import announcement, data, field, frame, head, reset
from procs import await_

JSON = ((b"content-type", b"application/json"),)
SSE = ((b"content-type", b"text/event-stream"),)
PLAIN = json.dumps({"choices": [], "usage": {
    "prompt_tokens": 3, "completion_tokens": 4}}).encode()
NO_ERROR, INTERNAL, REFUSED, CANCEL = 0, 2, 7, 8

ANSWERS = {
    "good": (lambda s: head(s, more=JSON) + data(s, PLAIN, True), 200),
    "status 999": (lambda s: head(s, b"999", JSON, True), 502),
    "status 000": (lambda s: head(s, b"000", JSON, True), 502),
    "status 204": (lambda s: head(s, b"204", JSON) +
                   data(s, b"{}", True), 502),
    "status 304": (lambda s: head(s, b"304", JSON, True), 502),
    "status of two digits": (lambda s: head(s, b"20", JSON, True), 502),
    "no status": (lambda s: head(s, None, JSON, True), 502),
    "interim answers alone": (lambda s: head(s, b"103") * 3 +
                              reset(s, INTERNAL), 502),
    "interim answers first": (lambda s: head(s, b"100") +
                              head(s, more=JSON) + data(s, PLAIN, True), 200),
    "two heads": (lambda s: head(s, more=JSON) + head(s, more=JSON) +
                  data(s, PLAIN, True), 502),
    "no head": (lambda s: data(s, PLAIN, True), 502),
    "empty answer": (lambda s: head(s, more=JSON, end=True), 200),
    "error field": (lambda s: head(s, more=(
        (b"hub-error", b"/etc/passwd"),), end=True), 502),
    "line break in a field": (lambda s: head(s, more=(
        (b"content-type", b"a\r\nx-evil: 1"),)) + data(s, PLAIN, True), 502),
    "refused before its head": (lambda s: reset(s, REFUSED), 503),
    "refused after its head": (lambda s: head(s, more=JSON) +
                               data(s, PLAIN) + reset(s, REFUSED), 502),
    "broken off as if all were well": (lambda s: head(s, more=JSON) +
                                       reset(s, NO_ERROR), 502),
    "data after its end": (lambda s: head(s, more=JSON) +
                           data(s, PLAIN, True) + data(s, PLAIN, True), 200),
    "a stream of its own": (lambda s: frame(
        hostile.HEADERS, 5, 2, field(b":status", b"200")), 502),
    "too many fields": (lambda s: head(s, more=tuple(
        (b"x-%d" % i, b"y" * 100) for i in range(80)), end=True), 502),
    "huge frame": (lambda s: frame(0, 0, s, b"x" * 60000), 502),
    "goaway": (lambda s: frame(hostile.GOAWAY, 0, 0, b"\0" * 8), 503),
    "garbage": (lambda s: b"\xff" * 100, 502),
}


class Hub:
    """A hub for hostile agents, one at a time."""

    def __init__(self, workers, failpoints):
        self.site = procs.Site(priced.PRICES, workers=workers,
                               failpoints=failpoints)
        self.hub = self.site.hub
        self.site.agent.stop()
        await_("the good agent to be gone",
               lambda: self.site.agent.shown()["state"] == "down")
        self.key = self.site.key()
        self.token = self.hub.ctl("agent", "add", "evil")["token"]

    def links(self):
        rows = self.hub.ctl("show", "agents")["agents"]
        return next(r for r in rows if r["name"] == "evil")["links"]

    def workers(self):
        return [(w["slot"], w["pid"])
                for w in self.hub.ctl("show", "status")["workers"]]


@pytest.fixture(scope="module", params=["single", "relayed"])
def hub(request):
    relayed = request.param == "relayed"
    h = Hub(2 if relayed else 1,
            {"route.force_relay": "force\n"} if relayed else None)
    yield h
    h.site.close()


def serve(hub, answer, announce=announcement()):
    await_("old links to be gone", lambda: hub.links() == 0)
    return hostile.Agent(hub.hub.port, hub.token, answer, announce)


@pytest.mark.parametrize("name", ANSWERS)
def test_any_answer(hub, name):
    answer, expected = ANSWERS[name]
    workers = hub.workers()
    agent = serve(hub, answer)
    try:
        await_("its link", lambda: hub.links() == 1)
        status, fields, body = hub.site.chat(hub.key, timeout=20)
    finally:
        agent.close()
    assert status == expected, body
    assert "x-evil" not in fields and b"passwd" not in body
    row = hub.hub.row(fields["x-request-id"])
    assert row["status"] == status
    assert status == 200 or row["amount"] == "0"
    hub.hub.quiet()
    assert hub.workers() == workers


def test_stream_refused_in_its_middle_is_not_begun_again(hub):
    event = b'data: {"choices":[{"delta":{"content":"hello"}}]}\n\n'
    agent = serve(hub, lambda s: head(s, more=SSE) + data(s, event) +
                  reset(s, REFUSED))
    try:
        await_("its link", lambda: hub.links() == 1)
        try:
            status, fields, body = hub.site.chat(hub.key, stream=True)
        except Exception:  # cut, as it should be when the head was out
            status, body = 200, b""
    finally:
        agent.close()
    assert status in (200, 502, 503) and body.count(b"hello") <= 1
    hub.hub.quiet()


BAD_ANNOUNCEMENTS = {
    "no JSON": b"}{\n",
    "no object": b"[]\n",
    "no providers": b'{"name":"evil"}\n',
    "without an end": b"x" * 20000,
    "deep": b"[" * 10000 + b"\n",
}


@pytest.mark.parametrize("text", BAD_ANNOUNCEMENTS.values(),
                         ids=BAD_ANNOUNCEMENTS)
def test_bad_announcement_ends_the_link(hub, text):
    workers = hub.workers()
    agent = serve(hub, None, text)
    agent.join(10)
    assert not agent.is_alive()
    agent.close()
    assert hub.workers() == workers


ODD_ANNOUNCEMENTS = {
    "twice": announcement() * 2,
    "too many providers": announcement(providers=[
        {"name": f"p{i}", "type": "openai", "models": ["*"]}
        for i in range(100)]),
    "too many globs": announcement(providers=[
        {"name": "p", "type": "openai", "models": ["m%d" % i for i in
                                                   range(700)]},
        {"name": "q", "type": "openai", "models": ["*"]}]),
    "odd types": announcement(capacity="much", clock_ms=2**63 - 1, version=[],
                              providers=[7, {}, {"name": 7, "models": 7}, {
                                  "name": "p" * 500, "type": "t" * 500,
                                  "weight": -1, "models": [1, "*", None]}]),
}


@pytest.mark.parametrize("text", ODD_ANNOUNCEMENTS.values(),
                         ids=ODD_ANNOUNCEMENTS)
def test_odd_announcement_is_survived(hub, text):
    workers = hub.workers()
    agent = serve(hub, ANSWERS["good"][0], text)
    try:
        await_("its link", lambda: hub.links() == 1)
        assert hub.site.chat(hub.key)[0] in (200, 404, 503)
    finally:
        agent.close()
    hub.hub.quiet()
    assert hub.workers() == workers


def private_kib(pid):
    """Memory of a process that is its own, without the shared tables."""
    fields = dict(line.split(":", 1)
                  for line in open(f"/proc/{pid}/status") if ":" in line)
    return int(fields["VmRSS"].split()[0]) - int(
        fields["RssShmem"].split()[0])


FLOODS = {
    "WebSocket pings": (b"\x89\xfd\0\0\0\0" + b"p" * 125) * 1000,
    "pings": hostile.masked(frame(hostile.PING, 0, 0, b"12345678") * 3000),
    "settings": hostile.masked(frame(hostile.SETTINGS, 0, 0) * 3000),
    "resets": hostile.masked(reset(1, CANCEL) * 3000),
    "empty messages": hostile.masked(b"") * 9000,
    "announcements": hostile.masked(data(1, announcement())) * 300,
}


@pytest.mark.parametrize("bytes_", FLOODS.values(), ids=FLOODS)
def test_flood_of_frames_disturbs_nobody(hub, bytes_):
    """An agent that sends and sends, and reads nothing of the answers."""
    workers = hub.workers()
    agent = serve(hub, ANSWERS["good"][0])
    try:
        await_("its link", lambda: hub.links() == 1)
        agent.reading = False
        before = sum(private_kib(pid) for _, pid in hub.workers())
        try:
            for _ in range(300):
                agent.s.sendall(bytes_)
        except OSError:
            pass  # the hub has ended the link, as it may
        assert hub.hub.health("healthz")
        after = sum(private_kib(pid) for _, pid in hub.workers())
        assert after - before < 20 * 1024
    finally:
        agent.close()
    assert hub.workers() == workers
