"""An agent at several hubs: hubs that are listed, addresses of one name.

The hubs here are twins: the second began with a copy of the first one's
store, so that both know the same agent and keys, and go on apart.
"""

import concurrent.futures
import shutil
import signal
import threading

import pytest

import certs
import priced
import procs
import stores
from procs import Agent, Hub, Sim, await_, bearer, fetch

MODEL = "own-bound"
SERVED = priced.shape("sim-c4-d5-i11-o45", priced.FULL)


@pytest.fixture
def parts(tmp_path):
    """Makes processes that end with the test."""
    made = []

    def add(part):
        made.append(part)
        return part
    yield add
    for part in reversed(made):
        part.stop()


class Twins:
    """Hubs with copies of one store; a simulator; no agent yet."""

    def __init__(self, add, folder, n=2, listen=None, ca=None, **options):
        self.folder, self.add = folder, add
        self.sim = add(Sim(folder / "sim"))
        self.hubs = [add(Hub(folder / f"hub{i}", priced.PRICES, ca=ca,
                             store=stores.Store("sqlite", "local"),
                             options=options)) for i in range(n)]
        first = self.hubs[0].start()
        self.token = first.ctl("agent", "add", "edge")["token"]
        first.account("payer")
        self.key = first.key("payer")[0]
        first.stop_here(signal.SIGTERM)
        for hub in self.hubs[1:]:
            shutil.copytree(first.state_dir, hub.state_dir,
                            dirs_exist_ok=True)
        if listen:
            self.listen_at(listen)
        for hub in self.hubs:
            hub.start()

    def listen_at(self, addresses):
        """One port of several addresses, as hubs of one name have it."""
        self.port = procs.free_port()
        for hub, address in zip(self.hubs, addresses):
            hub.options["listen"] = [f"{address}:{self.port}"]
            hub.settled = lambda hub=hub: not hub.running() or \
                hub.health("healthz", hub.admin_port)

    def agent(self, **options):
        return self.add(Agent(self.folder / "agent", self.hubs[0],
                              {"openai": self.sim}, token=self.token,
                              options=options, also=self.hubs[1:])).start()

    def ask(self, port, model=SERVED, **more):
        return fetch(port, "POST", "/v1/chat/completions",
                     {"model": model, "max_tokens": 100, "messages": [
                         {"role": "user", "content": "hello"}], **more},
                     bearer(self.key))

    def links(self):
        """How many each hub has of the agent's."""
        return [sum(a["links"] for a in h.ctl("show", "agents")["agents"])
                for h in self.hubs]


def most_at_once(requests):
    """How many requests the provider had at the same time."""
    edges = sorted([(r["received_ns"], 1) for r in requests] +
                   [(r["end_ns"], -1) for r in requests])
    now = most = 0
    for _, step in edges:
        now += step
        most = max(most, now)
    return most


def test_agent_keeps_one_capacity_at_two_hubs(parts, tmp_path):
    """The provider never sees a fifth call; who is refused comes again."""
    twins = Twins(parts, tmp_path)
    twins.agent(capacity=4).await_up(2)
    twins.sim.bind(MODEL, "own/chat-plain.json", first_ms=150)
    refused = []

    def until_served(i):
        while True:
            status, fields, body = twins.ask(twins.hubs[i % 2].port, MODEL)
            if status == 200:
                return status
            assert status == 503 and b"overloaded" in body, body
            refused.append(fields["retry-after"])
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        assert list(pool.map(until_served, range(20))) == [200] * 20
    assert refused, "twenty at once found room for all"
    requests = twins.sim.requests(MODEL)
    assert len(requests) == 20
    assert most_at_once(requests) == 4


def test_agent_is_told_why_its_links_end(parts, tmp_path):
    """Its owner does not see the hub's log."""
    twins = Twins(parts, tmp_path, 1)
    first = twins.agent().await_up(2)
    second = parts(Agent(tmp_path / "second", twins.hubs[0],
                         {"openai": twins.sim}, token=twins.token)).start()

    def told(agent, why):
        await_(why, lambda: f"closed by the hub: {why}" in agent.tail())
    told(second, "another instance serves")
    assert twins.links() == [2]
    twins.hubs[0].ctl("agent", "revoke", "edge")
    told(first, "agent revoked")


def test_an_agent_by_another_name_is_that_of_its_token(parts, tmp_path):
    twins = Twins(parts, tmp_path, 1)
    agent = twins.agent()
    agent.stop(signal.SIGTERM)
    agent.conf.write_text(agent.conf.read_text().replace('"edge"', '"egde"'))
    agent.start().await_up(2)
    assert "agent edge calls itself egde" in twins.hubs[0].tail()


def test_hub_that_is_killed_disturbs_its_own_requests_alone(parts, tmp_path):
    twins = Twins(parts, tmp_path)
    twins.agent().await_up(2)
    done, ended = [0, 0], threading.Event()
    wrong = []

    def load(i):
        while not ended.is_set():
            try:
                status, _, body = twins.ask(twins.hubs[i].port, stream=True)
            except OSError as e:
                status, body = 0, repr(e).encode()
            if status == 200 and body.endswith(b"data: [DONE]\n\n"):
                done[i] += 1
            elif i == 0:
                wrong.append((status, body[-200:]))
            else:
                return
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for i in range(16):
            pool.submit(load, i % 2)
        await_("load on both", lambda: min(done) > 50, 30)
        twins.hubs[1].child.kill()
        at = done[0]
        await_("the other to go on", lambda: done[0] > at + 200, 30)
        ended.set()
    assert not wrong, wrong[:3]


def test_every_address_of_a_name_is_dialled(parts, tmp_path):
    """Addresses come and go; a link that fails makes the agent look."""
    here = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    twins = Twins(parts, tmp_path, n=3, listen=here)
    addresses = twins.hubs[0].failpoints / "agent.addresses"
    addresses.write_text("127.0.0.1 127.0.0.2\n")
    agent = twins.agent(hubs=[f"ws://hub.example:{twins.port}"],
                        plaintext=True, ui=f"127.0.0.1:{procs.free_port()}")
    await_("links to two", lambda: twins.links() == [2, 2, 0])
    addresses.write_text("127.0.0.1 127.0.0.3\n")
    agent.child.send_signal(signal.SIGHUP)
    await_("links to the others", lambda: twins.links() == [2, 0, 2])
    addresses.write_text("127.0.0.2 127.0.0.3\n")
    twins.hubs[0].stop_here()
    await_("links to where it went", lambda: [
        h.ctl("show", "agents")["agents"][0]["links"]
        for h in twins.hubs[1:]] == [2, 2])
    addresses.write_text("nonsense\n")
    agent.child.send_signal(signal.SIGHUP)
    await_("the failure to be told",
           lambda: "cannot look up hub.example" in agent.log.read_text())
    assert [h.ctl("show", "agents")["agents"][0]["links"]
            for h in twins.hubs[1:]] == [2, 2]


def test_an_address_is_left_when_another_answers(parts, tmp_path):
    """What the name has by mistake, and nobody is at, cuts nobody off."""
    twins = Twins(parts, tmp_path, listen=["127.0.0.1", "127.0.0.2"])
    addresses = twins.hubs[0].failpoints / "agent.addresses"
    addresses.write_text("127.0.0.1\n")
    agent = twins.agent(hubs=[f"ws://hub.example:{twins.port}"],
                        plaintext=True)
    await_("links", lambda: twins.links() == [2, 0])
    addresses.write_text("127.0.0.9\n")
    agent.child.send_signal(signal.SIGHUP)
    await_("the failure", lambda: "/link at 127.0.0.9: " in
           agent.log.read_text())
    assert "no address of it any more" not in agent.log.read_text()
    assert twins.links() == [2, 0]
    assert twins.ask(twins.port)[0] == 200
    addresses.write_text("127.0.0.2\n")
    agent.child.send_signal(signal.SIGHUP)
    await_("links to the other", lambda: twins.links() == [0, 2])
    await_("no link to the first", lambda: agent.log.read_text().count(
        "no address of it any more") == 2)


def test_one_family_of_addresses_is_taken(parts, tmp_path):
    """A hub met by IPv4 and by IPv6 is one, and has its links once."""
    twins = Twins(parts, tmp_path, n=1, listen=["127.0.0.1"])
    hub = twins.hubs[0]
    hub.stop_here(signal.SIGTERM)
    hub.options["listen"] = [f"127.0.0.1:{twins.port}",
                             f"[::1]:{twins.port}"]
    hub.start()
    (hub.failpoints / "agent.addresses").write_text("::1 127.0.0.1\n")
    agent = twins.agent(hubs=[f"ws://hub.example:{twins.port}"],
                        plaintext=True)
    await_("links", lambda: twins.links() == [2])
    first = agent.log.read_text().count(" is up")
    assert first in (2, 3)  # both families may have answered at once
    agent.child.send_signal(signal.SIGHUP)
    await_("it to have looked again",
           lambda: "reloaded" in agent.log.read_text())
    for _ in range(5):
        assert twins.ask(twins.port)[0] == 200
    assert twins.links() == [2]
    assert agent.log.read_text().count(" is up") == first


def test_certificate_is_of_the_name_whatever_the_address(parts, tmp_path):
    authority = certs.Authority(tmp_path / "ca")
    tls = certs.section(authority.sign("hub", "hub.example", "127.0.0.1"))
    here = ["127.0.0.1", "127.0.0.2"]
    twins = Twins(parts, tmp_path, ca=authority.pem, tls=tls, listen=here)
    (twins.hubs[0].failpoints / "agent.addresses").write_text(
        "127.0.0.1 127.0.0.2\n")
    agent = twins.agent(hubs=[f"wss://hub.example:{twins.port}"])
    await_("links to both", lambda: twins.links() == [2, 2])
    agent.stop()
    await_("the end of them", lambda: twins.links() == [0, 0])
    other = twins.agent(hubs=[f"wss://other.example:{twins.port}"])
    await_("both to be refused", lambda: all(
        f"cannot link to wss://other.example:{twins.port}/agent/link at {a}: "
        in other.log.read_text() for a in here))
    assert "SSL" in other.log.read_text()
    assert twins.links() == [0, 0]
