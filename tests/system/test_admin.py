"""Health and metrics, on the listeners where they belong."""

import email.utils
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

import procs
from procs import CtlError, Hub, Sim, await_, fetch
import priced


PACED = priced.shape("sim-c5-d200")


def get(port, path):
    status, fields, body = fetch(port, "GET", path)
    return status, fields, body


@pytest.mark.parametrize("which", ["healthz", "readyz"])
def test_health_on_both_listeners(solo, which):
    for port in (solo.hub.port, solo.hub.admin_port):
        status, fields, body = get(port, "/" + which)
        assert status == 200
        assert fields["content-type"].startswith("application/json")
        assert fields["cache-control"] == "no-store"
        assert email.utils.parsedate_to_datetime(fields["date"])
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


def test_metrics_tell_how_full_tables_are(solo, key):
    def rows(what):
        found = re.findall(r'hubd_table_%s{table="(\w+)"} (\d+)' % what,
                           metrics(solo))
        return {name: int(n) for name, n in found}
    before = rows("rows")
    assert before["keys"] > 0 and before["accounts"] > 0
    assert before["agents"] == 1
    assert rows("size") == {"calls": 4096, "keys": 1024, "accounts": 1024,
                            "agents": 256}
    # a key that is revoked keeps its row
    solo.hub.ctl("key", "revoke", solo.hub.key(solo.account())[1])
    assert rows("rows")["keys"] == before["keys"] + 1
    assert rows("rows")["accounts"] == before["accounts"] + 1


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


def test_top_is_one_frame_where_nobody_looks(solo):
    frame = solo.hub.ctl("top", json_out=False)
    assert "edge" in frame and "\x1b" not in frame
    with pytest.raises(CtlError) as e:
        solo.hub.ctl("top")
    assert e.value.status == 2


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
    shown = site.hub.ctl("show", "prices", "sim-chat")
    assert shown["before"] == old
    assert {"model": "sim-chat", "change": "changed", "kind": "input",
            "tier": "default", "old": "0.0000025",
            "new": "0.000003"} in shown["changes"]


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


LINE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="[^"\\\\\n]*",?)*)\})? '
                  r'(-?[0-9]+(?:\.[0-9]+)?)$')


def parsed(text):
    """Metrics by name: type, samples; as strict as promtool's check."""
    found, name = {}, None
    assert text.endswith("\n")
    lines = text.splitlines()
    for i, line in enumerate(lines):
        if line.startswith("# HELP "):
            name = line.split()[2]
            assert name not in found and len(line.split()) > 3, line
            assert lines[i + 1].startswith(f"# TYPE {name} "), line
            found[name] = (lines[i + 1].split()[3], {})
        elif not line.startswith("#"):
            m = LINE.match(line)
            assert m, line
            base = re.sub("_(bucket|sum|count)$", "", m[1]) if \
                found[name][0] == "histogram" else m[1]
            assert base == name, line
            series = m[1], m[2]
            assert series not in found[name][1], line
            found[name][1][series] = float(m[3])
    return found


def test_metrics_pass_a_strict_check(solo, key):
    assert solo.chat(key, priced.SHORT, stream=True)[0] == 200
    solo.hub.quiet()
    for name, (kind, samples) in parsed(metrics(solo)).items():
        assert kind in ("counter", "gauge", "histogram")
        assert (kind == "counter") == name.endswith("_total"), name
        assert not re.search("_(milliseconds|ms|micros)", name)
        if kind != "histogram":
            continue
        buckets = [v for (n, _), v in samples.items()
                   if n.endswith("_bucket")]
        assert buckets == sorted(buckets)
        assert samples[f"{name}_bucket", 'le="+Inf"'] == buckets[-1] == \
            samples[f"{name}_count", None]


def test_metrics_by_model(sites):
    site = sites()
    key = site.key()
    rows = [site.hub.row(site.chat(key, m)[1]["x-request-id"])
            for m in (priced.SHORT, priced.SHORT, "sim-chat")]
    found = parsed(metrics(site))
    tokens = found["hubd_model_tokens_total"][1]
    cost = found["hubd_model_cost_nanodollars_total"][1]
    who = f'model="{priced.SHORT}",provider="openai"'
    name = "hubd_model_tokens_total"
    # the shape's name says: 11 in, 45 out
    assert tokens[name, who + ',direction="input"'] == 22
    assert tokens[name, who + ',direction="output"'] == 90
    exact = sum(float(r["amount"]) for r in rows[:2]) * 1e9
    assert abs(cost["hubd_model_cost_nanodollars_total", who] - exact) < 3
    assert len(cost) == 2


def test_metrics_have_the_pace_of_streams(sites):
    site = sites()
    key, began = site.key(), time.monotonic()
    assert site.chat(key, PACED, stream=True)[0] == 200
    took = time.monotonic() - began
    gaps = parsed(metrics(site))["hubd_chunk_gap_seconds"][1]
    count = gaps["hubd_chunk_gap_seconds_count", None]
    assert 2 <= count <= 12
    assert 0.5 < gaps["hubd_chunk_gap_seconds_sum", None] < took


@pytest.mark.parametrize("command", [
    ("show", "status"), ("show", "accounts"), ("top",)])
def test_a_stranger_is_told_whom_hubctl_is_for(solo, command):
    if os.geteuid() != 0:
        pytest.skip("left out: another user needs root")
    with tempfile.TemporaryDirectory() as name:
        # where he may look
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        shutil.copy(procs.BUILD / "hubctl", folder)
        conf = folder / "hubd.conf"
        conf.write_text(f'run_dir = "{solo.hub.run_dir}"\n')
        p = subprocess.run([folder / "hubctl", "-f", conf, *command],
                           user=12345, group=12345, extra_groups=[],
                           capture_output=True, text=True, timeout=30)
    assert p.returncode == 1
    assert "Permission denied: hubctl is for root, the hub's user" in p.stderr
