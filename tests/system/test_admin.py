"""Health and metrics, on the listeners where they belong."""

import json
import os
import re
import signal
import time

import pytest

from procs import Hub, Sim, await_, fetch
import priced


def get(port, path):
    status, fields, body = fetch(port, "GET", path)
    return status, fields, body


@pytest.mark.parametrize("which", ["healthz", "readyz"])
def test_health_on_both_listeners(solo, which):
    for port in (solo.hub.port, solo.hub.admin_port):
        status, fields, body = get(port, "/" + which)
        assert status == 200
        assert fields["content-type"].startswith("application/json")
        assert set(json.loads(body)) >= {"status", "reason"}


def test_without_an_agent_alive_but_not_ready(tmp_path):
    hub = Hub(tmp_path / "hub", priced.PRICES).start()
    try:
        for port in (hub.port, hub.admin_port):
            assert get(port, "/healthz")[0] == 200
            status, _, body = get(port, "/readyz")
            assert status == 503
            assert json.loads(body)["reason"]
        hub.account("a")
        key = hub.ctl("key", "add", "a")["key"]
        status, fields, body = await_("no agent", lambda: next((
            r for r in [fetch(hub.port, "POST", "/v1/chat/completions", {
                "model": "sim-chat", "messages": []},
                {"Authorization": "Bearer " + key})] if r[0] != 401), None))
        assert status == 503
        assert json.loads(body)["error"]["code"] == "no_agent"
        assert "x-request-id" in fields
    finally:
        hub.stop()


def test_not_ready_without_its_agent_any_more(sites):
    site = sites()
    site.agent.stop()
    await_("not ready", lambda: not site.hub.health("readyz"))
    assert site.hub.health("healthz")
    site.agent.start().await_up()
    site.hub.await_ready()


SAMPLE = re.compile(
    r'^[a-zA-Z_:][a-zA-Z0-9_:]*(\{[^}]*\})? -?[0-9.e+-]+$|'
    r'^[a-zA-Z_:][a-zA-Z0-9_:]*(\{[^}]*\})? (NaN|[+-]Inf)$')


def metrics(site):
    status, fields, body = get(site.hub.admin_port, "/metrics")
    assert status == 200
    assert fields["content-type"].startswith("text/plain")
    return body.decode()


def test_metrics_are_well_formed(solo, key):
    assert solo.chat(key)[0] == 200
    typed = set()
    for line in metrics(solo).splitlines():
        if line.startswith("# TYPE "):
            name = line.split()[2]
            assert name not in typed, name
            typed.add(name)
        elif line and not line.startswith("#"):
            assert SAMPLE.match(line), line
    assert typed


def test_metrics_count_requests(solo, key):
    def total():
        return sum(float(line.rsplit(" ", 1)[1])
                   for line in metrics(solo).splitlines()
                   if re.match(r"hub\w*_requests_total[ {]", line))
    before = total()
    for _ in range(3):
        assert solo.chat(key)[0] == 200
    await_("the count", lambda: total() >= before + 3)


def test_metrics_hold_no_secret(solo, key):
    text = metrics(solo)
    assert key not in text and Sim.KEY not in text


def test_admin_serves_no_users(solo, key):
    status, _, _ = fetch(solo.hub.admin_port, "POST", "/v1/chat/completions",
                         {"model": "sim-chat", "messages": []},
                         {"Authorization": f"Bearer {key}"})
    assert status in (404, 405)


def test_status(solo):
    doc = solo.hub.ctl("show", "status")
    assert set(doc) >= {"version", "pid", "uptime_s", "price_version",
                        "agents", "calls", "workers", "billing"}
    assert doc["pid"] == solo.hub.pid
    assert len(doc["workers"]) == 1
    assert set(doc["workers"][0]) >= {"slot", "pid", "generation"}
    assert set(doc["billing"]) >= {"pid", "pending", "store"}


def test_agent_is_shown(solo):
    row = solo.agent.shown()
    assert row["state"] == "up" and row["links"] == 1
    assert row["models"] == ["*"] and "openai" in row["providers"]


def test_calls_are_shown_while_they_live(solo, key):
    from test_limits import open_stream, close_stream
    stream, error = open_stream(solo, key)
    assert error is None
    calls = solo.hub.ctl("show", "calls")["calls"]
    close_stream(stream)
    assert len(calls) == 1
    assert calls[0]["model"] == priced.LONG
    assert calls[0]["agent"] == "edge"
    assert set(calls[0]) >= {"id", "account", "agent", "model", "state",
                             "age_ms"}
    solo.hub.quiet()


def test_audit_is_clean(solo, key):
    assert solo.chat(key)[0] == 200
    solo.hub.quiet()
    solo.hub.ctl("audit", "full")


def test_prices_are_reloaded(sites):
    """d16: a new price counts for the next request, by every worker."""
    import procs
    site = sites(workers=2)
    key = site.key()
    old = site.hub.ctl("show", "status")["price_version"]
    prices = dict(priced.PRICES)
    prices["sim-chat"] = {"input_cost_per_token": "3e-06",
                          "output_cost_per_token": "0.00001"}
    site.hub.prices.write_text(procs.price_text(prices))
    site.hub.ctl("reload")
    await_("the new version", lambda: site.hub.ctl(
        "show", "status")["price_version"] > old)
    fields = await_("the new price", lambda: next(
        (f for _, f, _ in [site.chat(key)]
         if f["x-hub-cost"] == "0.00105"), None))
    row = site.hub.row(fields["x-request-id"])
    assert row["price_version"] > old


def test_admin_answers_while_no_worker_does(sites):
    """Health and metrics have a process of their own."""
    site = sites(workers=2)
    pids = [w["pid"] for w in site.hub.ctl("show", "status")["workers"]]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        for path in ("/healthz", "/readyz", "/metrics"):
            assert get(site.hub.admin_port, path)[0] == 200, path
        assert time.monotonic() - begun < 2
        with pytest.raises(OSError):
            fetch(site.hub.port, "GET", "/healthz", timeout=0.5)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    assert site.hub.health("healthz")
