"""What load balancers and Prometheus are told, whatever state the hub is in.

Both listeners answer, `listen` as far as a worker is there to do it.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess

import pytest

import priced
import procs
from procs import ROOT, Hub, await_, fetch
from test_limits import close_stream, open_stream
from test_master import children, gone, serving


def told(port, which):
    """Status, and the reason that is given."""
    status, fields, body = fetch(port, "GET", "/" + which, timeout=5)
    doc = json.loads(body)
    assert fields["content-type"].startswith("application/json")
    assert "x-request-id" in fields
    assert doc["status"] == ("ok" if status == 200 else "unavailable")
    return status, doc["reason"]


def both(hub, which):
    """What is told on both listeners, which must be the same."""
    answers = {told(port, which) for port in (hub.port, hub.admin_port)}
    assert len(answers) == 1, answers
    return answers.pop()


def linked(hub, token):
    """The status that an agent with that token gets."""
    return fetch(hub.port, "GET", "/agent/link", headers={
        "Connection": "upgrade", "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol": "hub-link.v1",
        "Authorization": "Bearer " + token})[0]


@pytest.fixture
def hubs(tmp_path):
    made = []

    def make(**kwargs):
        made.append(Hub(tmp_path / f"hub{len(made)}", priced.PRICES,
                        **kwargs).start())
        return made[-1]
    yield make
    for h in made:
        h.stop(signal.SIGKILL)


def test_before_the_first_load(hubs):
    """Billing stops before it has loaded anything, then goes on."""
    hub = hubs(workers=2, failpoints={"billing": "stop\n"})
    assert both(hub, "readyz") == (503, "loading")
    assert both(hub, "healthz") == (200, "loading")
    assert linked(hub, "at-hub-" + 43 * "a") == 503     # nobody knows yet
    os.kill(children(hub)["billing"], signal.SIGCONT)
    for port in (hub.port, hub.admin_port):
        await_("the load", lambda: told(port, "readyz") == (503, "no agent"))
    assert both(hub, "healthz") == (200, "")
    assert linked(hub, "at-hub-" + 43 * "a") == 401


@pytest.mark.parametrize("workers", [1, 3])
def test_overloaded_and_back(sites, workers):
    """A table of calls that is full; each of the calls is a worker's."""
    site = sites(workers=workers, links=workers, options={"max_calls": 40})
    key, streams = site.key(), []
    with contextlib.ExitStack() as stack:
        for _ in range(38):  # 95 % of 40
            assert both(site.hub, "readyz") == (200, "")
            stream, error = open_stream(site, key)
            assert not error, error
            streams.append(stream)
            stack.callback(close_stream, stream)
        assert both(site.hub, "readyz") == (503, "overloaded")
        assert both(site.hub, "healthz") == (200, "")
    for port in (site.hub.port, site.hub.admin_port):
        await_("room again", lambda: told(port, "readyz") == (200, ""))


def test_draining(sites):
    site = sites(workers=2)
    stream, error = open_stream(site, site.key())
    assert not error, error
    site.hub.ctl("drain")
    for _ in range(20):
        assert both(site.hub, "readyz") == (503, "draining")
        assert both(site.hub, "healthz") == (200, "draining")
    close_stream(stream)


def test_every_worker_is_stopped_and_found_out(sites):
    """admin answers all the while; then new workers serve."""
    site = sites(workers=2)
    old = [children(site.hub)[f"worker {i}"] for i in range(2)]
    for pid in old:
        os.kill(pid, signal.SIGSTOP)
    seen = {path: set() for path in ("healthz", "readyz")}

    def replaced():
        for path in seen:
            seen[path].add(told(site.hub.admin_port, path))
        fetch(site.hub.admin_port, "GET", "/metrics", timeout=5)
        now = children(site.hub)
        return all(now.get(f"worker {i}", old[i]) != old[i]
                   for i in range(2))
    await_("new workers", replaced, 30)
    assert seen["healthz"] == {(200, "")}
    # stopped workers keep their links; with them these go, and come back
    assert seen["readyz"] <= {(200, ""), (503, "no agent")}
    site.hub.await_ready(40)
    assert both(site.hub, "healthz") == (200, "")


def test_every_worker_is_dead(hubs):
    """None can be started: admin says so of itself, and nobody else can."""
    hub = hubs(workers=2)
    await_("all children", lambda: serving(hub))
    await_("prices", lambda: told(hub.admin_port, "healthz") == (200, ""))
    before = children(hub)
    for i in range(2):
        (hub.failpoints / f"worker {i}").write_text("force\n")
        os.kill(before[f"worker {i}"], signal.SIGKILL)
    await_("their end", lambda: all(gone(before[f"worker {i}"])
                                    for i in range(2)))
    for _ in range(20):
        assert told(hub.admin_port, "healthz") == (200, "")
        assert told(hub.admin_port, "readyz") == (503, "no agent")
    for i in range(2):
        (hub.failpoints / f"worker {i}").unlink()
    await_("new ones", lambda: hub.health("healthz"), 60)


# ---- metrics -----------------------------------------------------------------

def promtool():
    tools = str(ROOT / "build" / "tools")
    found = shutil.which("promtool") or shutil.which("promtool", path=tools)
    assert found, "promtool is not there: make deps"
    return found


def test_promtool_has_nothing_to_say(sites):
    """After traffic of all sorts, so that every series is there."""
    site = sites(workers=2, links=2)
    key = site.key()
    assert site.chat(key)[0] == 200
    assert site.chat(key, priced.SHORT, stream=True)[0] == 200
    assert site.chat(key, priced.CACHED)[0] == 200
    assert site.chat(key, "nobody-knows")[0] == 404
    assert site.chat("sk-wrong")[0] == 401
    assert site.chat(key, "own-error-429")[0] == 429
    stream, error = open_stream(site, key)
    assert not error, error
    text = fetch(site.hub.admin_port, "GET", "/metrics")[2]
    close_stream(stream)
    assert b"hubd_model_tokens_total{" in text
    p = subprocess.run([promtool(), "check", "metrics"], input=text,
                       capture_output=True)
    assert (p.returncode, p.stdout, p.stderr) == (0, b"", b"")


def test_promtool_sees_what_is_wrong():
    """The check above can fail."""
    p = subprocess.run([promtool(), "check", "metrics"],
                       input=b"hubd_calls_milliseconds 1\n",
                       capture_output=True)
    assert p.returncode != 0 and b"help" in p.stdout + p.stderr
