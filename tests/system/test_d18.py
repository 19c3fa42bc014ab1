"""d18: amounts far below a nano-dollar add up to the last digit."""

import random
from decimal import Decimal

import crash
import crowd
import money
import priced
import procs

SMALLEST = priced.shape("sim-i1-o3-d18", {
    "input_cost_per_token": "1e-24", "output_cost_per_token": "3e-24"})
ODD = priced.shape("sim-i7-o9-d18", {
    "input_cost_per_token": "0.000000000000000000000007",
    "output_cost_per_token": "1.000000000000000001e-6"})
TIMES = 500


def test_d18_tiny_amounts_add_up():
    rng = random.Random(18)
    site = procs.Site(priced.PRICES, workers=2, links=1)
    try:
        account = site.account("1")
        key = site.hub.key(account)[0]
        wires = {m: crowd.wire(site.hub.port, key, crowd.chat(m))
                 for m in (SMALLEST, ODD)}
        got = []
        crowd.run(site.hub.port,
                  (crowd.Want(m, wires[m]) for m in (
                      rng.choice(list(wires)) for _ in range(TIMES))),
                  got.append, users=16)
        assert {g.seen for g in got} == {"200 whole"}
        site.hub.quiet()
        rows = crash.ledger(site, account)
        assert {r["id"] for r in rows} == {g.id for g in got}
        spent = Decimal(0)
        for r in rows:
            assert r["amount"] == money.cost(priced.PRICES[r["model"]],
                                             r["usage"])
            assert Decimal(r["amount"]) > 0
            spent = money.EXACT.add(spent, Decimal(r["amount"]))
        shown = site.hub.balance(account)
        assert shown["spent"] == money.plain(spent)
        assert shown["balance"] == money.plain(
            money.EXACT.subtract(Decimal(1), spent))
        site.hub.ctl("audit", "full")
    finally:
        site.close()
