"""d16: a new price is in force in all workers within 100 ms of the reload
(1 s where hubs share a store), by SIGHUP and by hubctl; a stream in flight
keeps the price it began with.
"""

import asyncio
import signal
import statistics
import time

import pytest

import crash
import crowd
import money
import priced
import procs
import stores

MODEL = priced.shape("sim-f20-i11-o45")
STREAM = priced.shape("sim-c40-d50-i11-o45")
USAGE = {"input": 11, "output": 45}
USERS = 32      # connections: every one of four workers has some
# A store that several hubs share has to be asked first, by a child.
WITHIN_S = 0.1 if stores.STORE == "sqlite" else 1.0
TIMES = 3


def new_prices(site, n):
    """The n-th price file; its prices are told apart by their digits."""
    fields = {"input_cost_per_token": f"0.0000025{n}",
              "output_cost_per_token": f"0.0000100{n}"}
    prices = {**priced.PRICES, MODEL: fields, STREAM: fields}
    site.hub.prices.write_text(procs.price_text(prices))
    return fields


def by_signal(site):
    site.hub.child.send_signal(signal.SIGHUP)


def by_hubctl(site):
    site.hub.ctl("reload")


def load(site, key, during):
    """Requests all the time, while during() runs beside; what came."""
    got, over = [], []
    wire = crowd.wire(site.hub.port, key, crowd.chat(MODEL))

    async def beside():
        await asyncio.sleep(0.3)
        await asyncio.get_running_loop().run_in_executor(None, during)
        await asyncio.sleep(0.5)
        over.append(True)

    def wants():
        while not over:
            yield crowd.Want("load", wire)
    crowd.run(site.hub.port, wants(), got.append, users=USERS,
              beside=beside())
    return got


def one_reload(site, reload, n):
    """Seconds from the reload to the last request at the old price."""
    account = site.account()
    key = site.hub.key(account)[0]
    old = site.hub.ctl("show", "status")["price_version"]
    prices, at = new_prices(site, n), []

    def during():
        before = time.monotonic()
        reload(site)
        at.append(before if reload is by_signal else time.monotonic())
    got = load(site, key, during)
    rows = site.hub.rows([g.id for g in got], 20)
    for row in rows.values():
        if row["price_version"] > old:
            assert row["amount"] == money.cost(prices, USAGE)
    last = max(g.began for g in got if rows[g.id]["price_version"] == old)
    assert any(r["price_version"] > old for r in rows.values()), "never"
    return last - at[0]


@pytest.mark.parametrize("reload", [by_signal, by_hubctl])
def test_d16_new_price_is_in_force_at_once(reload, show):
    site = procs.Site(priced.PRICES, workers=4, links=2)
    try:
        took = [one_reload(site, reload, n) for n in range(1, TIMES + 1)]
        show("last request at the old price, ms after the reload: " +
             ", ".join(f"{1000 * t:.0f}" for t in took))
        assert statistics.median(took) < WITHIN_S
    finally:
        site.close()


def test_d16_stream_in_flight_keeps_its_price():
    site = procs.Site(priced.PRICES, workers=2, links=2)
    try:
        account = site.account()
        key = site.hub.key(account)[0]
        old = site.hub.ctl("show", "status")["price_version"]
        stream = crash.open_stream(site, key, STREAM)
        new = new_prices(site, 7)
        site.hub.ctl("reload")
        procs.await_("the new version", lambda: site.hub.ctl(
            "show", "status")["price_version"] > old)
        later = site.chat(key, STREAM)[1]
        seen = b""
        while not seen.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n"):
            piece = stream.sock.recv(65536)
            assert piece, seen
            seen = (seen + piece)[-100:]
        stream.close()
        site.hub.quiet()
        rows = {r["id"]: r for r in crash.ledger(site, account)}
        after = rows.pop(later["x-request-id"])
        (before,) = rows.values()
        assert before["price_version"] == old < after["price_version"]
        assert before["usage"] == after["usage"] == USAGE
        assert before["amount"] == money.cost(priced.PRICES[STREAM], USAGE)
        assert after["amount"] == money.cost(new, USAGE)
        assert later["x-hub-cost"] == after["amount"]
        site.hub.ctl("audit", "full")
    finally:
        site.close()
