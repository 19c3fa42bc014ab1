"""The ways from an agent to its providers and hubs: TLS, proxies."""

import types

import pytest

import certs
import priced
import procs
import proxies
from procs import Agent, Sim, conf_text

# way -> options of its section, made from what is there
WAYS = {
    "plain": lambda s: (s.plain, {}),
    "http-proxy": lambda s: (s.plain, {"proxy": s.http_url}),
    "socks": lambda s: (s.plain, {"proxy": s.socks_url}),
    "tls": lambda s: (s.tls, {"ca_file": s.ca}),
    "tls-proxy": lambda s: (s.tls, {"ca_file": s.ca, "proxy": s.http_url}),
    "tls-socks": lambda s: (s.tls, {"ca_file": s.ca, "proxy": s.socks_url}),
}
CLOSED = {
    "untrusted": lambda s: (s.tls, {}),
    "wrong-name": lambda s: (s.misnamed, {"ca_file": s.ca}),
    "bad-login": lambda s: (s.plain, {"proxy": s.locked_url}),
    "bad-connect": lambda s: (s.tls, {"ca_file": s.ca,
                                      "proxy": s.locked_url}),
    "dead-proxy": lambda s: (s.plain, {"proxy": s.dead_url}),
}
MODELS = {way: priced.shape(f"way-{way}") for way in {**WAYS, **CLOSED}}


def make_agent(s, name, ways):
    """An agent with a provider for each way."""
    site = s.site
    agent = site.add(Agent(site.folder / name, site.hub, {}, name=name,
                           links=1))
    for way, make in ways.items():
        target, options = make(s)
        scheme = "http" if target is s.plain else "https"
        with open(agent.conf, "a") as f:
            f.write(f'provider "{way}" {{\n' + conf_text({
                "type": "openai", "models": [MODELS[way]],
                "base_url": f"{scheme}://127.0.0.1:{target.port}/v1",
                "api_key": Sim.KEY, **options}) + "}\n")
    return agent.start().await_up(1)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ways")
    ca = certs.Authority(folder)
    s = types.SimpleNamespace(ca=str(ca.pem))
    s.plain = proxies.provider()
    s.tls = proxies.provider(ca.sign("good", "127.0.0.1"))
    s.misnamed = proxies.provider(ca.sign("other", "elsewhere.example"))
    s.http = proxies.Server(proxies.HttpProxy)
    s.socks = proxies.Server(proxies.Socks)
    s.http_url = f"http://{proxies.LOGIN}@127.0.0.1:{s.http.port}"
    s.locked_url = f"http://127.0.0.1:{s.http.port}"
    s.socks_url = f"socks5://127.0.0.1:{s.socks.port}"
    s.dead_url = f"http://127.0.0.1:{procs.free_port()}"
    s.site = site = procs.Site(priced.PRICES, models=("sim-*",))
    site.ways = make_agent(s, "ways", WAYS)
    s.key = site.key()
    yield s
    site.close()
    for part in (s.plain, s.tls, s.misnamed, s.http, s.socks):
        part.close()


def ask(served, way):
    for part in (served.plain, served.tls, served.http, served.socks):
        part.seen.clear()
        part.connections = 0
    status, fields, _ = served.site.chat(served.key, MODELS[way])
    print(served.site.ways.tail(5))  # seen if the test fails
    row = served.site.hub.row(fields["x-request-id"])
    assert row["status"] == status
    if status == 200:
        assert row["usage"] == {"input": 3, "output": 4}
    return status


PATH = "/v1/chat/completions HTTP/1.1"


@pytest.mark.parametrize("way", ["plain", "tls"])
def test_a_connection_is_kept(served, way):
    target = getattr(served, way)
    assert ask(served, way) == 200
    assert target.seen == [f"POST {PATH}"]
    assert ask(served, way) == 200
    assert target.connections == 0


def test_an_http_proxy_is_asked_in_absolute_form(served):
    assert ask(served, "http-proxy") == 200
    assert served.http.seen == [
        f"POST http://127.0.0.1:{served.plain.port}{PATH}"]
    assert ask(served, "http-proxy") == 200
    assert served.http.connections == 0


def test_tls_goes_through_an_http_proxy(served):
    assert ask(served, "tls-proxy") == 200
    connect = f"CONNECT 127.0.0.1:{served.tls.port} HTTP/1.1"
    assert connect in served.http.seen
    assert {connect} == set(served.http.seen)
    assert served.tls.seen == [f"POST {PATH}"]
    assert ask(served, "tls-proxy") == 200
    assert served.http.connections == served.tls.connections == 0


@pytest.mark.parametrize("way", ["socks", "tls-socks"])
def test_socks(served, way):
    target = served.tls if way == "tls-socks" else served.plain
    assert ask(served, way) == 200
    assert served.socks.seen == [f"127.0.0.1:{target.port}"]
    assert target.seen == [f"POST {PATH}"]
    assert ask(served, way) == 200
    assert served.socks.connections == target.connections == 0


@pytest.mark.parametrize("way,why", [
    ("untrusted", "certificate"), ("wrong-name", "certificate"),
    ("bad-login", ""), ("bad-connect", "CONNECT tunnel failed"),
    ("dead-proxy", "connect to")])
def test_a_way_that_is_closed(served, way, why):
    """No request, and no key, is told to who is not trusted."""
    agent = make_agent(served, way, {way: CLOSED[way]})
    assert ask(served, way) == 502
    assert why in agent.tail()
    assert not served.tls.seen and not served.misnamed.seen
    assert not served.plain.seen
    agent.stop()


def test_large_bodies_pass_whole_by_tls(served):
    text = "x" * 3000000
    body = {"model": MODELS["tls"],
            "messages": [{"role": "user", "content": text}]}
    assert served.site.post(served.key, "chat/completions", body)[0] == 200


def test_the_agents_proxy_is_for_hubs_and_not_for_this_machine(served):
    site = served.site
    model = MODELS["plain"]
    site.ways.stop()
    served.http.seen.clear()
    served.plain.connections = 0
    agent = site.add(Agent(
        site.folder / "through", site.hub, {"openai": served.plain},
        name="through", links=1, models=(model,),
        options={"proxy": served.http_url}))
    agent.start().await_up(1)
    assert f"CONNECT 127.0.0.1:{site.hub.port} HTTP/1.1" in served.http.seen
    served.http.seen.clear()
    assert site.chat(served.key, model)[0] == 200
    assert served.plain.connections == 1 and not served.http.seen
