"""d10: AWS refuses signatures of a clock that is off; the agent learns.

The simulator's clock is moved, and it verifies signatures by its own clock.
"""

import pytest

import priced
from procs import await_, bearer, fetch

MODELS = [priced.shape(f"sim-a{n}-c3-i11-o45", priced.WHOLE)
          for n in range(6)]
ASK = {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}


@pytest.fixture(scope="module")
def site(module_site):
    return module_site(kinds=["aws"])


def converse(site, model, verb="converse"):
    return fetch(site.hub.port, "POST", f"/model/{model}/{verb}", ASK,
                 bearer(site.payer))[0]


def sent(site, model):
    """How often the provider was asked."""
    return len(site.sim.requests(model))


@pytest.mark.parametrize("n,skew,verb", [
    (0, 900, "converse"), (1, -900, "converse-stream")])
def test_d10_skew_is_learnt_and_the_request_sent_again(site, n, skew, verb):
    site.sim.clock(skew)
    assert converse(site, MODELS[n], verb) == 200
    assert sent(site, MODELS[n]) == 2  # refused, and signed anew
    assert converse(site, MODELS[n], verb) == 200
    assert sent(site, MODELS[n]) == 3  # it is known now
    first, second = site.sim.requests(MODELS[n])[:2]
    assert first["body"] == second["body"]
    await_("a word in the log",
           lambda: "clock" in site.agent.log.read_text())
    # both clocks are good again
    site.sim.clock(0)
    assert converse(site, MODELS[n], verb) == 200


def test_d10_small_differences_are_let_be(site):
    site.sim.clock(200)
    assert converse(site, MODELS[2]) == 200
    assert sent(site, MODELS[2]) == 1


def test_d10_a_denied_model_is_no_matter_of_clocks(site):
    site.sim.clock(0)
    site.sim.bind(MODELS[3], fault="403")
    assert converse(site, MODELS[3]) >= 400
    assert sent(site, MODELS[3]) == 1


@pytest.mark.parametrize("n,skew", [(4, 0), (5, 900)])
def test_d10_a_wrong_secret_stays_wrong(module_site, n, skew):
    """... and is tried at most once more."""
    site = module_site(kinds={"aws": {"secret_key": "not-the-secret"}})
    site.sim.clock(skew)
    assert converse(site, MODELS[n]) in (502, 503)
    assert sent(site, MODELS[n]) == (2 if skew else 1)
