"""Bedrock behind the agent: where its keys come from, and its clock (d10)."""

import concurrent.futures

import pytest

import procs
import providers
from procs import await_

MODEL = "sim-c5-i11-o45"
PRICES = {MODEL: {"input_cost_per_token": "1e-06",
                  "output_cost_per_token": "2e-06"}}
TURN = {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}
AT_ONCE = 50


@pytest.fixture(scope="module")
def site():
    s = procs.Site(PRICES, kinds=["aws"])
    yield s
    s.close()


def converse(site, key, operation="converse"):
    return procs.fetch(site.hub.port, "POST", f"/model/{MODEL}/{operation}",
                       TURN, procs.bearer(key))


# ---- keys ------------------------------------------------------------------


class Keyless(procs.Agent):
    """Its section has no keys; the environment says where they are."""

    @classmethod
    def at(cls, site, how):
        agent = site.add(cls(site.folder / "keyless", site.hub,
                             {"aws": ("aws", site.sim, {})}, name="keyless"))
        agent.where = {"HOME": "/nonexistent",
                       **environment(how, site.sim, agent.folder)}
        return agent.start().await_up()

    def spawn(self, argv, env=None, stdout=None):
        super().spawn(argv, {**(env or {}), **self.where}, stdout)

    def section(self, name, sim, models):
        text = super().section(name, sim, models)
        return "".join(line for line in text.splitlines(True)
                       if not line.startswith(("access_key", "secret_key")))


def environment(how, sim, folder):
    pair = {"AWS_ACCESS_KEY_ID": providers.ACCESS,
            "AWS_SECRET_ACCESS_KEY": providers.SECRET}
    if how == "environment":
        return pair
    if how == "bearer":
        return {"AWS_BEARER_TOKEN_BEDROCK": providers.KEY}
    if how == "profile":
        (folder / "keys").write_text("[one]\n" + "".join(
            f"{k.lower()} = {v}\n" for k, v in pair.items()))
        return {"AWS_PROFILE": "one",
                "AWS_SHARED_CREDENTIALS_FILE": str(folder / "keys")}
    if how == "container":
        (folder / "token").write_text(providers.KEY + "\n")
        return {"AWS_CONTAINER_CREDENTIALS_FULL_URI":
                f"{sim.url}/v1/credentials",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE":
                str(folder / "token")}
    return {"AWS_EC2_METADATA_SERVICE_ENDPOINT": sim.url}


SOURCES = {"environment": "keys of the environment", "bearer": "a bearer key",
           "profile": "keys of a profile",
           "container": "keys of the container",
           "instance": "keys of the instance"}


@pytest.mark.parametrize("how", SOURCES)
def test_keys_are_found(how):
    site = procs.Site(PRICES, kinds=["openai"])
    try:
        agent = Keyless.at(site, how)
        key = site.key()
        for operation in ("converse", "converse-stream"):
            status, _, body = converse(site, key, operation)
            assert status == 200, (body, agent.tail())
        log = agent.log.read_text()
        assert f"provider aws: {SOURCES[how]}" in log
        for secret in (providers.SECRET, providers.KEY, "SIMROLE"):
            assert secret not in log
    finally:
        site.close()


def test_keys_that_are_revoked_are_fetched_anew():
    site = procs.Site(PRICES, kinds=["openai"])
    try:
        agent = Keyless.at(site, "instance")
        key = site.key()
        assert converse(site, key)[0] == 200
        site.sim.tokens(revoke=True)
        status, _, body = converse(site, key)
        assert status == 200, (body, agent.tail())
    finally:
        site.close()


def test_wrong_key_is_the_agents_matter():
    site = procs.Site(PRICES, kinds=["openai"])
    try:
        agent = site.add(procs.Agent(
            site.folder / "wrong", site.hub, name="wrong",
            sims={"aws": ("aws", site.sim, {"secret_key": "wrong"})}))
        agent.start().await_up()
        status, _, body = converse(site, site.key())
        assert status == 502, body
        assert b"ignature" not in body and b"redential" not in body
        assert len(site.sim.requests(MODEL)) == 1
        await_("the reason", lambda: "refuses our credentials: 403" in
               agent.log.read_text())
    finally:
        site.close()


def test_denied_model_leaves_the_provider_in_use(site):
    key = site.key()
    site.sim.next(model=MODEL, fault="403")
    status, _, body = converse(site, key)
    assert status >= 500 and b"access to the model" not in body
    await_("the reason", lambda: "does not let us use" in
           site.agent.log.read_text())
    assert "access to the model" in site.agent.log.read_text()
    assert converse(site, key)[0] == 200


# ---- the clock -------------------------------------------------------------


@pytest.fixture
def provider_ahead(site):
    """provider_ahead(seconds): its clock, until the test is over."""
    yield site.sim.clock
    site.sim.clock(0)
    # what the agent has learnt it learns back
    assert converse(site, site.key())[0] == 200


def asked(site, key, operation):
    """How often the provider was asked for one request that goes well."""
    before = len(site.sim.requests(MODEL))
    status, _, body = converse(site, key, operation)
    assert status == 200, (body, site.agent.tail())
    return len(site.sim.requests(MODEL)) - before


@pytest.mark.parametrize("seconds", [7200, -7200])
@pytest.mark.parametrize("operation", ["converse", "converse-stream"])
def test_d10_signatures_follow_the_providers_clock(
        site, provider_ahead, seconds, operation):
    key = site.key()
    provider_ahead(seconds)
    assert asked(site, key, operation) == 2
    assert asked(site, key, operation) == 1
    word = "behind" if seconds > 0 else "ahead of"
    lines = [line for line in site.agent.log.read_text().splitlines()
             if "our clock is" in line]
    assert f" s {word} its own: signing by that" in lines[-1]


def test_d10_all_that_was_under_way_is_signed_anew(site, provider_ahead):
    key = site.key(credit="1000")
    provider_ahead(3600)
    before = len(site.sim.requests(MODEL))
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        got = list(pool.map(lambda _: converse(site, key)[0],
                            range(AT_ONCE)))
    assert got == [200] * AT_ONCE, site.agent.tail()
    assert len(site.sim.requests(MODEL)) - before <= 2 * AT_ONCE
