"""Where an agent gets its credentials: each way, against the simulator.

It checks each token and signature, and counts who fetched what.
"""

import concurrent.futures
import itertools

import pytest

import priced
import providers
import recorded
from procs import Agent, await_, fetch

# kind, the dialect and path of a user, and the fetches of the simulator
WAYS = {
    "vertex": ("gemini", "/v1beta/models/{}:generateContent", "oauth"),
    "metadata": ("gemini", "/v1beta/models/{}:generateContent", "metadata"),
    "entra": ("azure", "/openai/deployments/{}/chat/completions"
              "?api-version=2024-10-21", "entra"),
    "instance": ("bedrock", "/model/{}/converse", "role"),
    "container": ("bedrock", "/model/{}/converse", "container"),
}
BODY = {"messages": [{"role": "user", "content": [{"text": "hello"}]}],
        "contents": [{"parts": [{"text": "hello"}]}]}
MODELS = {way: priced.shape(f"sim-w{n}-i11-o45", priced.WHOLE)
          for n, way in enumerate(WAYS)}
AT_ONCE = 20
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def site(module_site):
    return module_site(kinds={"openai": {"models": ["nobody-elses"]}})


@pytest.fixture(params=WAYS)
def way(request, site, tmp_path):
    """One way, and an agent that goes it alone."""
    kind = request.param
    site.sim.reset()
    agent = Agent(tmp_path, site.hub, {kind: (kind, site.sim, {})},
                  name=f"{kind}-{next(NUMBERS)}", links=1, models=[MODELS[kind]],
                  env=providers.environment(kind, site.sim))
    agent.start().await_up(1)
    yield kind
    agent.stop()


def ask(site, way):
    dialect, path, _ = WAYS[way]
    return fetch(site.hub.port, "POST", path.format(MODELS[way]), BODY,
                 recorded.key_fields(dialect, site.payer))[0]


def fetches(site, way):
    return site.sim.stats()["tokens"][WAYS[way][2]]


def test_one_fetch_serves_all(site, way):
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        got = list(pool.map(lambda _: ask(site, way), range(AT_ONCE)))
    assert got == [200] * AT_ONCE
    assert fetches(site, way) == 1


def test_a_credential_that_is_refused_is_fetched_anew(site, way):
    assert ask(site, way) == 200
    site.sim.tokens(revoke=True)
    await_("a new credential", lambda: ask(site, way) == 200, 30)
    assert fetches(site, way) >= 2


def test_an_issuer_that_fails_is_no_secret_and_no_end(site, way):
    """A user hears that it is not his fault; then it works again."""
    endpoint = {"oauth": "oauth2.token", "metadata": "metadata.token",
                "entra": "entra.token", "role": "imds.credentials",
                "container": "container.credentials"}[WAYS[way][2]]
    site.sim.next(endpoint=endpoint, fault="500", times=1)
    first = ask(site, way)
    assert first in (200, 502, 503, 504)
    await_("the issuer to be asked again", lambda: ask(site, way) == 200, 60)
