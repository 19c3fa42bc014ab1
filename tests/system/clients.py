"""What the tests of official clients share: the site, models, the bill."""

import certs
import money
import priced
import procs
import recorded  # noqa: it prices its own models
from procs import UUID7

# What a model is for.
SHORT, LONG = "short", "long"
TOOL = "tide"
USAGE = {"input": 11, "output": 45}

# By dialect. Azure's have names of their own, so that its provider is asked.
MODELS = {
    "openai": {SHORT: "sim-c5-d1-i11-o45", LONG: "sim-c2000-d40",
               "tools": "own-tools", "bad": "own-error-400"},
    "azure": {SHORT: "sim-z1-c5-i11-o45", LONG: "sim-z1-c2000-d40",
              "tools": "own-depl-tools", "bad": "own-depl-400"},
    "anthropic": {SHORT: "sim-c5-d2-i11-o45", LONG: "sim-c2000-d41",
                  "tools": "own-claude-tools", "bad": "own-claude-400"},
    "gemini": {SHORT: "sim-c5-d3-i11-o45", LONG: "sim-c2000-d42",
               "tools": "own-gemini-tools", "bad": "own-gemini-400"},
    "bedrock": {SHORT: "sim-c5-d4-i11-o45", LONG: "sim-c2000-d43",
                "tools": "own.claude-tools-v1:0",
                "bad": "own.claude-400-v1:0"},
}
for _n, _models in enumerate(MODELS.values()):
    _models["limited"] = f"sim-z1-c6-d{_n}"
    _models["failing"] = f"sim-z1-c7-d{_n}"
    for _use in (SHORT, LONG, "limited", "failing"):
        priced.shape(_models[_use], priced.WHOLE)


def site(authority):
    """A hub and an agent with one provider of each kind, and who pays.

    By TLS: a bearer key of AWS is not sent without.
    """
    azure = [m for m in MODELS["azure"].values()]
    openai = [m for m in MODELS["openai"].values()]
    pair = authority.sign("hub", "localhost", "127.0.0.1")
    s = procs.Site(
        priced.PRICES, workers=2, links=1, ca=authority.pem,
        options={"tls": certs.section(pair)}, kinds={
            "openai": {"models": openai}, "azure": {"models": azure},
            "anthropic": {}, "google": {}, "aws": {}})
    for models in MODELS.values():
        s.sim.bind(models["limited"], fault="429")
        s.sim.bind(models["failing"], fault="500")
    s.payer = s.key(credit="100000")
    s.url = f"https://localhost:{s.hub.port}"
    return s


def last_row(site):
    site.hub.quiet()
    return site.hub.ctl("show", "ledger", "limit", "1")["rows"][0]


def check_row(site, dialect, model, **expected):
    """The newest row is of that call, exact, and from the right provider."""
    row = last_row(site)
    provider = {"gemini": "google", "bedrock": "aws"}.get(dialect, dialect)
    expected = {"model": model, "dialect": dialect, "provider": provider,
                "outcome": "complete", "status": 200, "usage": USAGE,
                "estimated": False, "attempts": 1,
                "amount": cost_of(model), **expected}
    assert {k: row[k] for k in expected} == expected
    assert UUID7.match(row["id"])


def cost_of(model):
    return money.cost(priced.PRICES[model], USAGE)
