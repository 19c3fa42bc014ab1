"""The access log: a line a request and a change of state, for nobody a wait."""

import json
import os
import select
import signal
import time

import pytest

import priced
import procs
from accesslog import AccessLog, logfmt, options
from procs import Sim, await_, bearer, fetch
from test_limits import close_stream, open_stream


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """A site with two workers and its access log."""
    folder = tmp_path_factory.mktemp("access")
    site = procs.Site(priced.PRICES, workers=2, links=1,
                      options=options(folder))
    site.access = AccessLog(folder / "access.log")
    yield site
    site.close()


def test_line_of_a_finished_call(logged):
    name = logged.account()
    key, key_id = logged.hub.key(name)
    status, fields, body = logged.chat(key, priced.SHORT)
    line = logged.access.request(fields)
    row = logged.hub.row(fields["x-request-id"])
    assert line["usage"] == row["usage"] and line["amount"] == row["amount"]
    assert line["amount"] == fields["x-hub-cost"]
    assert line["bytes_out"] == len(body) and line["bytes_in"] > 0
    assert 0 < line["ttfb_ms"] <= line["total_ms"] < 10000
    assert line["peer"].startswith("127.0.0.1:")
    assert line["worker"] in (0, 1)
    assert procs.UUID7.match(line["id"])
    known = {"event": "request", "account": name, "key": key_id,
             "method": "POST", "path": "/v1/chat/completions",
             "endpoint": "chat.completions", "model": priced.SHORT,
             "agent": "edge", "provider": "openai", "status": 200,
             "outcome": "complete", "attempts": 1, "stream": False,
             "estimated": False}
    assert {k: line.get(k) for k in known} == known
    assert "code" not in line


def test_one_line_for_a_stream(logged):
    key = logged.key()
    _, fields, body = logged.chat(key, priced.SHORT, stream=True)
    line = logged.access.request(fields)
    assert line["stream"] is True and line["outcome"] == "complete"
    assert line["bytes_out"] == len(body)
    assert line["ttfb_ms"] < line["total_ms"]


def test_line_of_a_stream_that_its_user_left(logged):
    key = logged.key()
    stream, error = open_stream(logged, key)
    assert error is None
    rid = stream[1].getheader("x-request-id")
    assert not logged.access.find(id=rid)
    close_stream(stream)
    line = logged.access.one(id=rid)
    assert line["outcome"] == "cancelled" and line["status"] == 200
    assert line["usage"]["output"] > 0


@pytest.mark.parametrize("what", ["key", "model", "body", "endpoint",
                                  "method", "money"])
def test_line_of_a_refusal(logged, what):
    key = logged.key(credit="0.000001" if what == "money" else "1000")
    port = logged.hub.port
    reply = {
        "key": lambda: logged.chat("sk-nobody"),
        "model": lambda: logged.chat(key, "no-such-model"),
        "body": lambda: logged.post(key, "chat/completions", "{"),
        "endpoint": lambda: fetch(port, "GET", "/v1/unheard?key=1",
                                  headers=bearer(key)),
        "method": lambda: fetch(port, "GET", "/v1/embeddings",
                                headers=bearer(key)),
        "money": lambda: logged.chat(key)}[what]()
    line = logged.access.request(reply[1])
    assert line["outcome"] == "refused"
    assert line["status"] == reply[0]
    assert line["code"] == procs.error_code(reply[2])
    assert line["bytes_out"] == len(reply[2])
    assert ("account" in line) == (what != "key")
    assert "amount" not in line and "attempts" not in line
    assert "?" not in line["path"]


def test_line_of_a_body_that_does_not_come(sites, tmp_path):
    site = sites(options=options(tmp_path, timeout={"body": "1s"}))
    access = AccessLog(tmp_path / "access.log")
    c = procs.connect(site.hub.port)
    c.putrequest("POST", "/v1/messages")
    c.putheader("x-api-key", site.key())
    c.putheader("content-length", "10")
    c.endheaders(b"{")
    r = c.getresponse()
    body = json.loads(r.read())
    assert r.status == 408 and body["type"] == "error"  # Anthropic's
    line = access.request({"x-request-id": r.getheader("x-request-id")})
    assert line["status"] == 408 and line["code"] == "request_timeout"
    assert "account" in line
    assert access.find(event="request", peer=line["peer"]) == [line]
    c.close()


def test_line_of_what_the_hub_answers_itself(logged):
    _, fields, _ = fetch(logged.hub.port, "GET", "/healthz")
    line = logged.access.request(fields)
    assert (line["path"], line["status"]) == ("/healthz", 200)
    assert line["outcome"] == "complete" and "account" not in line


def test_line_of_a_provider_that_fails(sites, tmp_path):
    site = sites(options=options(tmp_path, timeout={"first_byte": "1s"}))
    access = AccessLog(tmp_path / "access.log")
    site.sim.bind("own-bound", "own/chat-plain.json", fault="500")
    _, fields, body = site.chat(site.key(), "own-bound")
    line = access.request(fields)
    assert line["code"] == procs.error_code(body)
    assert line["outcome"] == "failed" and line["status"] >= 500
    assert line["amount"] == "0" and line["agent"] == "edge"


def test_changes_of_state(sites, tmp_path):
    site = sites(options=options(tmp_path))
    access = AccessLog(tmp_path / "access.log")
    up = access.one(event="link_up")
    assert up["agent"] == "edge" and up["peer"].startswith("127.0.0.1:")
    name = site.account()
    key, key_id = site.hub.key(name)
    stream, error = open_stream(site, key)
    assert error is None
    site.hub.ctl("key", "revoke", key_id, "cut")
    assert access.one(event="revoke", key=key_id)["reason"] == "cut"
    close_stream(stream)
    site.hub.ctl("agent", "revoke", "edge")
    assert access.one(event="revoke", agent="edge")
    assert access.one(event="link_down", agent="edge")["reason"]
    site.hub.ctl("drain")
    await_("the end", lambda: not site.hub.running())
    assert access.one(event="drain")["worker"] == 0


def test_logfmt(sites, tmp_path):
    site = sites(options=options(tmp_path, log_format="logfmt"))
    access = AccessLog(tmp_path / "access.log", logfmt)
    _, fields, _ = site.chat(site.key(), priced.SHORT)
    line = access.request(fields)
    assert line["model"] == priced.SHORT and line["status"] == "200"
    assert line["amount"] == fields["x-hub-cost"]
    row = site.hub.row(fields["x-request-id"])
    assert {k[6:]: int(v) for k, v in line.items()
            if k.startswith("usage.")} == row["usage"]
    assert line["total_ms"].replace(".", "").isdigit()


def test_rotation(sites, tmp_path):
    site = sites(workers=2, options=options(tmp_path))
    path = tmp_path / "access.log"
    access, key = AccessLog(path), site.key()
    access.request(site.chat(key)[1])
    path.rename(tmp_path / "access.log.1")
    os.kill(site.hub.pid, signal.SIGUSR1)
    await_("a new file", path.exists)
    old = AccessLog(tmp_path / "access.log.1")
    await_("lines of both workers in the new file", lambda: (
        site.chat(key) and {e["worker"] for e in access.lines()} == {0, 1}))
    assert old.lines()


def dropped(site):
    _, _, body = fetch(site.hub.admin_port, "GET", "/metrics")
    return next(int(line.split()[1]) for line in body.decode().splitlines()
                if line.startswith("hubd_log_dropped_total "))


def test_a_reader_that_stops_stops_nobody(sites, tmp_path):
    """Lines are dropped and counted; when he reads again, they come again."""
    fifo = tmp_path / "access.log"
    os.mkfifo(fifo)
    site = sites(options=options(tmp_path))
    fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    asked, slowest = 0, 0.0
    while not dropped(site):
        for _ in range(100):
            begun = time.monotonic()
            assert fetch(site.hub.port, "GET", "/healthz")[0] == 200
            slowest = max(slowest, time.monotonic() - begun)
            asked += 1
        assert asked < 20000
    assert slowest < 2
    text = b""
    deadline = time.monotonic() + 20
    _, fields, _ = fetch(site.hub.port, "GET", "/v1/models?late")
    while time.monotonic() < deadline:
        ready, _, _ = select.select([fd], [], [], 0.2)
        try:
            text += os.read(fd, 1 << 20) if ready else b""
        except BlockingIOError:
            pass
        if not ready:
            _, fields, _ = fetch(site.hub.port, "GET", "/healthz")
        if fields["x-request-id"].encode() in text:
            break
    os.close(fd)
    lines = text.decode().split("\n")[:-1]
    assert len(lines) > 500
    for line in lines:
        assert line.startswith('{"time"') and line.endswith("}")
    assert fields["x-request-id"] in lines[-1]


def test_logs_hold_no_secret(sites, tmp_path):
    """Everything that is logged anywhere, against everything secret."""
    site = sites(workers=2, links=2, options=options(tmp_path,
                                                     log_level="debug"))
    made = [site.hub.key(site.account()) for _ in range(3)]
    secrets = [k for k, _ in made] + [site.agent.token, Sim.KEY]
    for key, key_id in made:
        assert site.chat(key)[0] == 200
        site.chat(key, key)  # where it does not belong
        site.post(key, "completions", {"model": f"x{key}y", "prompt": key})
        fetch(site.hub.port, "GET", f"/v1/{key}?key={key}",
              headers=bearer(key))
        fetch(site.hub.port, "POST", f"/v1/models/{key}:x", "{}",
              {"x-api-key": key})
        site.chat(key + "x")
        secrets.append(site.hub.ctl("key", "rotate", key_id)["key"])
        site.hub.ctl("key", "revoke", key_id)
        site.chat(key)
    secrets.append(site.hub.ctl("agent", "rotate", "edge")["token"])
    fetch(site.hub.port, "GET", "/agent/link?token=" + site.agent.token,
          headers={"Authorization": "Bearer " + site.agent.token})
    site.hub.stop_here(signal.SIGTERM)
    logs = [p.log for p in site.parts] + [tmp_path / "access.log"]
    assert all(s for s in secrets)
    for log in logs:
        text = log.read_text(errors="replace")
        for secret in secrets:
            assert secret not in text, log
            # nor the part of it that counts
            assert secret.rsplit("-", 1)[-1] not in text, log
    assert "/v1/sk-***" in (tmp_path / "access.log").read_text()
