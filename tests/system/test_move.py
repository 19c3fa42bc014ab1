"""hubd -m: a hub of SQLite goes on in PostgreSQL, with all it had."""

import signal
import subprocess
from decimal import Decimal

import pytest

import stores
from procs import await_, program


@pytest.fixture
def shared():
    store = stores.Store("postgresql", "local")
    yield store
    store.drop()


def move(hub, expected=0):
    p = subprocess.run([program("hubd"), "-m", "-f", str(hub.conf)],
                       capture_output=True, text=True, timeout=120)
    assert p.returncode == expected, p.stderr
    return p.stdout if expected == 0 else p.stderr


def books(hub):
    """Accounts with all their fields, agents, and rows by id."""
    rows = hub.ctl("show", "ledger", "limit", "1000")["rows"]
    return (hub.ctl("show", "accounts")["accounts"],
            [(a["name"], a["state"]) for a in
             hub.ctl("show", "agents")["agents"]],
            {r["id"]: r for r in rows})


def test_a_hub_moves_and_goes_on(sites, shared):
    site = sites(store=stores.Store("sqlite", "local"))
    hub = site.hub
    keys = [site.key(credit="5") for _ in range(3)]
    ids = [site.chat(keys[i % 3])[1]["x-request-id"] for i in range(30)]
    hub.rows(ids)
    hub.ctl("account", "debit", "acct-2", "1.5", "reason", "a fee")
    before = books(hub)

    # not while it runs
    hub.options.update(shared.options)
    hub.rewrite_conf()
    assert "another hubd runs" in move(hub, expected=1)
    assert hub.stop_here(signal.SIGTERM) == 0
    said = move(hub)
    assert "ledger rows: 30\n" in said and "accounts: 3\n" in said
    assert not (hub.state_dir / "hubd.db").exists()
    assert (hub.state_dir / "hubd.db.moved").stat().st_mode & 0o777 == 0o600
    assert shared.sql("SELECT count(*) FROM ledger") == [["30"]]

    hub.launch()
    hub.await_ready()
    site.agent.await_up()
    assert books(hub) == before
    hub.ctl("audit", "full")
    # the keys are what they were, and calls cost what they did
    status, fields, _ = site.chat(keys[0])
    assert status == 200
    hub.row(fields["x-request-id"])
    cost = Decimal(fields["x-hub-cost"])
    spent = {a["name"]: Decimal(a["spent"]) for a in before[0]}
    await_("the charge to be booked", lambda: Decimal(
        hub.balance("acct-1")["spent"]) == spent["acct-1"] + cost)

    # and not twice
    assert hub.stop_here(signal.SIGTERM) == 0
    assert "have been moved already" in move(hub, expected=1)
