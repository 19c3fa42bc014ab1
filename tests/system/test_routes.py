"""Routes: names for several models, fallbacks, strategies, waiting, and
providers that are left alone while they fail.
"""

import concurrent.futures
import time

import pytest

import money
import priced
import procs
from procs import Agent, Sim, await_, error_code

CHEAP = priced.shape("own-cheap", {"input_cost_per_token": "1e-07",
                                   "output_cost_per_token": "4e-07"})
DEAR = priced.shape("own-dear", priced.FULL)
LAST = priced.shape("own-last", priced.PLAIN)
ANSWER = "own/chat-plain.json"
USAGE = {"input": 13, "cache_read": 4, "output": 18, "reasoning": 5}

ROUTES = {
    'route "both"': {"models": [CHEAP, DEAR], "strategy": "price",
                     "fallback": [LAST]},
    'route "fast"': {"models": [DEAR], "strategy": "latency"},
    'route "second-only"': {"models": [f"second/{DEAR}"]},
    'route "patient"': {"models": [CHEAP], "retries": 4, "max_wait": "20s"},
    'route "hasty"': {"models": [CHEAP], "retries": 4, "max_wait": "1ms"},
    'route "nobody"': {"models": ["nobody-has-this"]},
    "default_route": "last-resort",
    'route "last-resort"': {"models": [LAST], "retries": 0},
}


@pytest.fixture(scope="module")
def pair(request):
    """A hub with two agents; the second one's provider is "second"."""
    site = procs.Site(priced.PRICES, workers=2, links=2, options=ROUTES)
    request.addfinalizer(site.close)
    site.other = site.add(Sim(site.folder / "sim2", name="sim2"))
    site.edge2 = site.add(Agent(site.folder / "agent2", site.hub,
                                {"second": site.other}, name="edge-2",
                                models=("*", "announced-*")))
    site.edge2.start().await_up(2)
    return site


@pytest.fixture(autouse=True)
def afresh(pair):
    for sim in (pair.sim, pair.other):
        sim.reset()
        for model in (CHEAP, DEAR, LAST):
            sim.bind(model, ANSWER)
    await_("nobody cools", lambda: not cooling(pair), 70)


def places(pair, name):
    return pair.hub.ctl("explain", name)["candidates"]


def cooling(pair):
    return [p for m in (CHEAP, DEAR, LAST) for p in places(pair, m)
            if p["cooling_ms"] > 0]


def ask(pair, name, n=1):
    """The rows of n requests, one after the other; all are answered."""
    key = pair.key()
    replies = [pair.chat(key, name) for _ in range(n)]
    assert [r[0] for r in replies] == [200] * n, replies
    rows = pair.hub.rows([r[1]["x-request-id"] for r in replies])
    return [rows[r[1]["x-request-id"]] for r in replies]


def test_cheapest_of_a_route_and_its_own_price(pair):
    for row in ask(pair, "both", 6):
        assert row["model"] == CHEAP
        assert row["amount"] == money.cost(priced.PRICES[CHEAP], USAGE)


def test_fallback_when_none_of_the_models_works(pair):
    for sim in (pair.sim, pair.other):
        sim.bind(CHEAP, fault="500")
        sim.bind(DEAR, fault="500")
    for row in ask(pair, "both", 6):
        assert row["model"] == LAST
        # of the first stage's four places three at most, then a fallback
        assert row["attempts"] <= 4
        assert row["amount"] == money.cost(priced.PRICES[LAST], USAGE)


def test_route_without_anybody_goes_to_the_default_route(pair):
    """d09: neither a model that nobody has nor a route of such models is a
    dead end."""
    for name in ("nobody", "no-such-model-at-all"):
        (row,) = ask(pair, name)
        assert row["model"] == LAST


def test_provider_named_before_the_model(pair):
    for row in ask(pair, "second-only", 4) + ask(pair, f"second/{DEAR}", 4):
        assert (row["provider"], row["model"]) == ("second", DEAR)


def test_latency_picks_the_faster(pair):
    pair.sim.bind(DEAR, ANSWER, first_ms=1000)
    key = pair.key()

    def learnt():
        """By each worker: what counts is the shortest that one knows."""
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: pair.chat(key, DEAR), range(16)))
        return all(p["latency_ms"] > 100 for p in places(pair, "fast")
                   if p["provider"] == "openai")
    await_("every worker to know that it is slow", learnt, 60)
    rows = ask(pair, "fast", 10)
    assert [r["provider"] for r in rows] == ["second"] * 10


def test_patience_outlasts_a_provider_that_asks_to_wait(pair):
    """Both say 429 with retry-after 1; one recovers meanwhile."""
    for sim in (pair.sim, pair.other):
        sim.bind(CHEAP, fault="429")
    key, began = pair.key(), time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        call = pool.submit(pair.chat, key, "patient")
        await_("both have refused", lambda: all(
            s.requests(CHEAP) for s in (pair.sim, pair.other)))
        pair.sim.bind(CHEAP, ANSWER)
        pair.other.bind(CHEAP, ANSWER)
        status, fields, body = call.result()
    assert status == 200, body
    assert time.monotonic() - began >= 1
    row = pair.hub.row(fields["x-request-id"])
    assert row["attempts"] == 3 and row["outcome"] == "complete"
    assert row["amount"] == money.cost(priced.PRICES[CHEAP], USAGE)


def test_who_may_not_wait_gets_the_providers_refusal(pair):
    for sim in (pair.sim, pair.other):
        sim.bind(CHEAP, fault="429")
    status, fields, body = pair.chat(pair.key(), "hasty")
    assert status == 429 and fields["retry-after"] == "1"
    assert pair.hub.row(fields["x-request-id"])["amount"] == "0"


def test_user_who_leaves_while_waiting_costs_nothing(pair):
    for sim in (pair.sim, pair.other):
        sim.bind(CHEAP, fault="429")
    account = pair.account()
    key = pair.hub.key(account)[0]
    with pytest.raises(OSError):
        pair.chat(key, "patient", timeout=0.6)
    pair.hub.quiet()
    (row,) = pair.hub.ctl("show", "ledger", "account", account)["rows"]
    assert (row["outcome"], row["status"], row["amount"]) == (
        "cancelled", 499, "0")


def test_failing_provider_is_left_alone_then_tried_again(pair):
    pair.sim.bind(DEAR, fault="500")
    rows = ask(pair, DEAR, 12)
    assert {r["provider"] for r in rows} == {"second"}
    asked = len(pair.sim.requests(DEAR))
    (place,) = [p for p in places(pair, DEAR) if p["provider"] == "openai"]
    assert place["serves"] == "cooling" and place["cooling_ms"] > 0
    # both workers leave it alone: whoever asks, it hears nothing
    assert asked <= 6
    pair.sim.bind(DEAR, ANSWER)
    await_("it is tried again", lambda: (
        ask(pair, DEAR), len(pair.sim.requests(DEAR)) > asked)[1], 30)


def test_key_that_may_not_use_a_model_is_told_so(pair):
    """Known, not allowed: 403, whether or not it has a price."""
    key = pair.key("models", "other-*")
    for name in ("both", DEAR, "announced-but-unpriced"):
        status, _, body = pair.chat(key, name)
        assert (status, error_code(body)) == (403, "model_not_allowed")


def test_routes_change_with_a_reload(pair):
    shown = {r["name"]: r for r in pair.hub.ctl("show", "routes")["routes"]}
    assert shown["both"]["models"] == [CHEAP, DEAR]
    assert shown["both"]["open"] == 6 and shown["nobody"]["open"] == 0
    pair.hub.options['route "new"'] = {"models": [LAST]}
    pair.hub.rewrite_conf()
    pair.hub.ctl("reload")
    await_("the new route", lambda: pair.chat(pair.key(), "new")[0] == 200)
    (row,) = ask(pair, "new")
    assert row["model"] == LAST
    text = pair.hub.ctl("explain", "new", json_out=False)
    assert LAST in text and "yes" in text
