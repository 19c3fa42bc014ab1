"""d19: who leaves is gone at the provider within milliseconds; but who
leaves at the very end gets the bill that the provider reports.
"""

import json

import pytest

import crash
import crowd
import money
import priced
import procs
from procs import await_

ENDING = priced.shape("own-ending", priced.FULL)
REPORTED = {"input": 13, "cache_read": 4, "output": 18, "reasoning": 5}
ABORTS = 300
P99_MS = 100


@pytest.fixture(scope="module", params=[1, 4])
def site(request):
    s = procs.Site(priced.PRICES, workers=request.param, links=1)
    yield s
    s.close()


def text_of(entry):
    return json.loads(entry["body"])["messages"][0]["content"]


def abort(port, key, name):
    """Users who leave in the middle; when each did, by his text."""
    left = {}

    def wants():
        for n in range(ABORTS):
            text = f"{name} {n}"
            yield crowd.Want("abort", crowd.wire(port, key, (
                crowd.chat(priced.LONG, text, stream=True))), "chunk", text)
    crowd.run(port, wants(),
              lambda got: left.__setitem__(got.want.tag, got.left_ns),
              users=10)
    assert len(left) == ABORTS
    return left


def lags(sim, left):
    """Milliseconds until the provider saw each of them leave, sorted."""
    def ended():
        mine = [r for r in sim.requests(priced.LONG) if text_of(r) in left]
        return mine if len(mine) == ABORTS and \
            all(r["ended"] for r in mine) else None
    entries = await_("the provider to see every abort", ended, 20)
    assert all(r["aborted"] for r in entries)
    return sorted((r["end_ns"] - left[text_of(r)]) / 1e6 for r in entries)


def p99(values):
    return values[len(values) * 99 // 100]


def test_d19_cancel_reaches_the_provider_at_once(site, show):
    """Beside users of the provider itself, who have no way to go."""
    key = site.key(credit="100000")

    def direct(name):
        return lags(site.sim, abort(site.sim.port, procs.Sim.KEY, name))
    beside = [direct("before")]
    took = lags(site.sim, abort(site.hub.port, key, "abort"))
    beside.append(direct("after"))
    most = max(map(p99, beside))
    show(f"user's close to provider's close, ms: p50 {took[ABORTS // 2]:.2f}, "
         f"p99 {p99(took):.2f}, most {took[-1]:.2f}; of users of the "
         f"provider itself p99 {most:.2f}")
    # a few processes in the way, each of which may have to wait its turn
    assert p99(took) < P99_MS + 5 * most


def test_d19_leaving_at_the_finish_reason_is_billed_exactly(site):
    """The usage comes a while after it; nobody waits for it but the hub."""
    site.sim.bind(ENDING, "own/chat-stream-usage.sse", delay_ms=10)
    account = site.account()
    key = site.hub.key(account)[0]
    wire = crowd.wire(site.hub.port, key, crowd.chat(ENDING, stream=True))
    got = []
    crowd.run(site.hub.port,
              (crowd.Want("ending", wire, "finish") for _ in range(100)),
              got.append, users=20)
    assert {g.seen for g in got} == {"200 left"}
    rows = site.hub.rows([g.id for g in got], 20)
    for row in rows.values():
        assert row["usage"] == REPORTED and row["estimated"] is False, row
        assert row["outcome"] in ("cancelled", "complete")
        assert row["amount"] == money.cost(priced.PRICES[ENDING], REPORTED)
    assert not any(r["aborted"] for r in site.sim.requests(ENDING))
    crash.check_books(site, account, crash.ledger(site, account))
