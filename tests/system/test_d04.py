"""d04: one fetch per credential, however many requests wait for it.

An agent reaches a simulator as Azure, with tokens of a server that the test
plays: it counts, and answers when the test lets it.
"""

import asyncio
import http.server
import json
import resource
import threading
import time

import pytest

import crowd
import priced
import procs
from procs import Agent, Hub, Sim, await_

CALLS = 1000
MODEL = "sim-chat"


class Tokens:
    """A token server. answers: what the next fetches get, the last for ever:
    (token, life in seconds), or None for a failure."""

    def __init__(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                status, body = outer.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.answers = [(Sim.KEY, 3600)]
        self.fetches = 0
        self.ends = 0.0     # when the last token runs out
        self.gate = threading.Event()
        self.gate.set()
        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, path):
        assert path == "/a-tenant/oauth2/v2.0/token", path
        self.fetches += 1
        self.gate.wait(60)
        got = self.answers.pop(0) if len(self.answers) > 1 else \
            self.answers[0]
        if got is None:
            return 503, b'{"error":"temporarily_unavailable"}'
        self.ends = time.monotonic() + got[1]
        return 200, json.dumps({
            "token_type": "Bearer", "access_token": got[0],
            "expires_in": got[1]}).encode()

    def stop(self):
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()


class AzureAgent(Agent):
    def __init__(self, folder, hub, sim, tokens):
        # one link: half of the calls go through the relay
        super().__init__(folder, hub, {}, links=1,
                         options={"capacity": 2 * CALLS})
        with open(self.conf, "a") as f:
            f.write('provider "azure" {\n' + procs.conf_text({
                "type": "azure", "base_url": f"http://127.0.0.1:{sim.port}",
                "authority": tokens.url, "tenant": "a-tenant",
                "client_id": "a-client", "client_secret": "hush-hush",
                "models": ["*"]}) + "}\n")


class Site:
    def __init__(self, folder):
        self.parts = []
        self.tokens = self.add(Tokens())
        self.sim = self.add(Sim(folder / "sim"))
        self.hub = self.add(Hub(folder / "hub", priced.PRICES, workers=2))
        self.hub.start()
        self.agent = self.add(AzureAgent(folder / "agent", self.hub, self.sim,
                                         self.tokens))
        self.agent.start().await_up(1)
        self.hub.await_ready()
        self.hub.account("acme")
        self.key = self.hub.key("acme")[0]

    def add(self, part):
        self.parts.append(part)
        return part

    def chats(self, n, beside=None):
        """n requests at once; how many had which status."""
        wire = crowd.wire(self.hub.port, self.key, crowd.chat(MODEL))
        seen = {}

        def took(got):
            seen[got.seen] = seen.get(got.seen, 0) + 1
        crowd.run(self.hub.port, [crowd.Want("chat", wire)] * n, took,
                  users=n, beside=beside)
        return seen

    async def release(self, n):
        """Lets the token server answer once n calls are in flight."""
        def waiting():
            return len(self.hub.ctl("show", "calls")["calls"]) >= n
        await asyncio.get_running_loop().run_in_executor(
            None, await_, f"{n} calls", waiting, 60)
        self.tokens.gate.set()

    def close(self):
        for part in reversed(self.parts):
            part.stop()


@pytest.fixture
def site(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    s = Site(tmp_path)
    yield s
    s.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_d04_a_thousand_requests_cost_one_fetch(site):
    tokens = site.tokens
    tokens.answers = [(Sim.KEY, 2), (Sim.KEY, 3600)]
    assert site.chats(1) == {"200 whole": 1}
    assert tokens.fetches == 1
    await_("the token to run out", lambda: time.monotonic() > tokens.ends)
    tokens.gate.clear()
    seen = site.chats(CALLS, beside=site.release(CALLS))
    assert seen == {"200 whole": CALLS}
    assert tokens.fetches == 2
    assert "hush-hush" not in site.agent.log.read_text()
    assert Sim.KEY not in site.agent.log.read_text()


def test_d04_a_refused_token_costs_one_fetch(site):
    tokens = site.tokens
    tokens.answers = [("revoked", 3600), (Sim.KEY, 3600)]
    assert site.chats(100) == {"200 whole": 100}
    assert tokens.fetches == 2


def test_d04_a_failing_server_is_not_stormed(site):
    tokens = site.tokens
    tokens.answers = [None]
    assert site.chats(100) == {"502 whole": 100}
    assert tokens.fetches <= 4     # one after the other, with pauses
    tokens.answers = [(Sim.KEY, 3600)]
    await_("the token server to be asked again",
           lambda: site.chats(1) == {"200 whole": 1}, 30)


def test_d04_an_abort_while_waiting_leaves_nothing(site):
    tokens = site.tokens
    tokens.gate.clear()
    wire = crowd.wire(site.hub.port, site.key, crowd.chat(MODEL))
    seen = []
    crowd.run(site.hub.port, [crowd.Want("chat", wire, leave="sent")] * 50,
              seen.append, users=50)
    assert {g.end for g in seen} == {"left"}
    site.hub.quiet()
    tokens.gate.set()
    assert site.chats(1) == {"200 whole": 1}
    assert tokens.fetches == 1
