"""Hubs on a PostgreSQL that they share: what is billed gets there once, what
changes is in force everywhere, and nothing that PostgreSQL does or does not do
delays a request."""

import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import threading
import time

import pytest

import crash
import money
import postgresql
import priced
import procs
import stores
from procs import await_
from test_admin_now import Stream
from test_errands import ctl
from test_limits import open_stream

MODEL = "sim-chat"
PRICE = "0.00095"      # of one answer of it
SOON = 1.0             # a change at all hubs, in seconds
SECRET = "p4ssw0rd-that-nobody-sees"


@pytest.fixture(scope="module")
def pg():
    """A server to be hurt."""
    server = postgresql.PostgreSQL().start()
    yield server
    server.stop()


@pytest.fixture
def shared(pg):
    """Makes sites on it: shared(hubs=2)."""
    made = []

    def make(prices=priced.PRICES, hubs=1, **kwargs):
        store = stores.Store("postgresql", "local", pg=pg)
        site = procs.Site(prices, hubs=hubs, store=store, **kwargs)
        made.append((site, store))
        return site
    yield make
    for site, store in made:
        site.close()
        if pg.running():
            store.drop()


def billing(hub):
    return hub.ctl("show", "status")["billing"]


def flowed(hub, seconds=30):
    """Everything has gone from the spool."""
    await_("the spool to be empty", lambda: billing(hub)["pending"] == 0 and
           billing(hub)["spooled"] == 0, seconds)


def away(hub, seconds=30):
    await_("the store to be away",
           lambda: not billing(hub)["shared_up"], seconds)


def back(hub, seconds=40):
    await_("the store to be back", lambda: billing(hub)["shared_up"], seconds)


def chats(site, key, n, hub=None):
    """Ids of n answers that cost what they must."""
    ids = []
    for _ in range(n):
        status, fields, body = site.chat(key, hub=hub)
        assert status == 200, body
        assert fields["x-hub-cost"] == PRICE
        ids.append(fields["x-request-id"])
    return ids


def expect_books(site, ids):
    """Each once, and all of it adds up."""
    # an answer comes before its row is seen to wait
    await_("the last row", lambda: len(
        site.store.sql("SELECT id FROM ledger")) >= len(ids))
    rows = site.store.sql("SELECT id, amount FROM ledger")
    assert sorted(r[0] for r in rows) == sorted(ids)
    assert site.store.sql(
        "SELECT count(*) FROM account a WHERE balance <> (SELECT "
        "coalesce(sum(amount), 0) FROM balance_change WHERE account = a.id)"
    ) == [["0"]]
    assert site.store.sql(
        "SELECT coalesce(sum(amount), 0) + (SELECT coalesce(sum(amount), 0) "
        "FROM balance_change WHERE kind = 'charge') = 0 FROM ledger"
    ) == [["t"]]
    site.hub.ctl("audit", "full")


# ---- billed, and changed ---------------------------------------------------

def test_requests_are_billed_there_and_both_hubs_know(shared):
    site = shared(hubs=2)
    key = site.key()
    ids = chats(site, key, 5) + chats(site, key, 5, site.hubs[1])
    for hub in site.hubs:
        flowed(hub)
        assert len(hub.rows(ids)) == 10
        assert hub.balance("acct-1")["spent"] == "0.0095"
    expect_books(site, ids)
    one, other = (billing(h) for h in site.hubs)
    assert one["store"] == other["store"] == "postgresql"
    assert one["store_id"] == other["store_id"]
    assert one["hub_id"] != other["hub_id"]


def until(what, good, seconds=SOON):
    """How long it took, asked without a pause."""
    began = time.monotonic()
    while not good():
        assert time.monotonic() - began < seconds, f"no {what} by now"
    return time.monotonic() - began


def known(hub, key):
    return hub.get_models(key)[0] == 200


def test_d16n_changes_are_in_force_at_all_hubs(shared, show):
    site = shared(hubs=2)
    a, b = site.hubs
    site.hub.account("acme")
    made = [a.ctl("key", "add", "acme") for _ in range(2)]
    took = []
    for i in range(20):
        made.append((a, b)[i % 2].ctl("key", "add", "acme"))
        took.append(until("key", lambda: known((b, a)[i % 2],
                                               made[-1]["key"])))
        assert known((a, b)[i % 2], made[-1]["key"])
    show(f"a key at the other hub: median {1e3 * statistics.median(took):.0f}"
         f" ms, longest {1e3 * max(took):.0f} ms after its command")
    a.ctl("key", "revoke", made[0]["id"])
    assert not known(a, made[0]["key"])
    until("revocation", lambda: not known(b, made[0]["key"]))
    b.ctl("account", "disable", "acme")
    assert site.chat(made[1]["key"], hub=b)[0] == 403
    until("disabling",
          lambda: site.chat(made[1]["key"], hub=a)[0] == 403)


def test_a_cut_is_one_at_all_hubs(shared, show):
    site = shared(hubs=2)
    a, b = site.hubs
    key, key_id = a.key(site.account())
    b.await_key(key)
    streams = []
    for hub in (a, b, b):
        opened, error = open_stream(site, key, hub=hub)
        assert error is None, error
        streams.append(Stream(opened))
    a.ctl("key", "revoke", key_id)
    until("revocation", lambda: not known(b, key))
    assert [len(h.ctl("show", "calls")["calls"]) for h in (a, b)] == [1, 2]
    a.ctl("key", "revoke", key_id, "cut")
    began = time.monotonic()
    took = [s.until_cut() - began for s in streams]
    for s in streams:
        s.s.close()
    show(f"cut at the other hub {1e3 * max(took):.0f} ms after its command")
    assert max(took) < SOON
    # told again, and at a hub that starts anew: nothing is left to be done
    b.ctl("key", "revoke", key_id, "cut")
    b.stop_here(signal.SIGTERM)
    b.launch()
    b.await_ready()
    assert not known(b, key)
    for hub in site.hubs:
        hub.quiet()
        flowed(hub)
    assert site.store.sql("SELECT outcome, status FROM ledger") == [
        ["cancelled", "200"]] * 3


def test_d16n_prices_reloaded_at_one_hub_are_in_force_at_all(shared):
    site = shared(hubs=2)
    a, b = site.hubs
    key = site.key()
    fields = {"input_cost_per_token": "0.000003",
              "output_cost_per_token": "0.00002"}
    a.prices.write_text(procs.price_text({**priced.PRICES, MODEL: fields}))
    a.ctl("reload")
    until("price", lambda: b.ctl("show", "status")["price_version"] == 2)
    for hub in site.hubs:
        fields_of = site.chat(key, hub=hub)[1]
        row = hub.row(fields_of["x-request-id"])
        assert row["price_version"] == 2
        assert row["amount"] == money.cost(fields, row["usage"])
        assert fields_of["x-hub-cost"] == row["amount"]
    # the files of the other are older: its start changes nothing
    b.stop_here(signal.SIGTERM)
    b.launch()
    b.await_ready()
    assert b.ctl("show", "status")["price_version"] == 2
    # its reload does: nobody is more right than another
    b.ctl("reload")
    until("price", lambda: a.ctl("show", "status")["price_version"] == 3)


def test_credit_counts_at_the_other_hub(shared):
    site = shared(hubs=2)
    key = site.key(credit="0")
    assert site.chat(key, hub=site.hubs[1])[0] == 402
    site.hub.ctl("account", "credit", "acct-1", "5")
    until("credit", lambda: site.chat(key, hub=site.hubs[1])[0] == 200)


def test_lost_notifications_are_made_up_for(shared):
    """The look that nobody asks for: every 30 s, every 2 s here."""
    site = shared(hubs=2, failpoints={"courier.deaf": "force\n",
                                      "courier.hurry": "force\n"})
    site.hub.account("acme")
    key = site.hub.ctl("key", "add", "acme")["key"]
    assert known(site.hub, key)
    until("key", lambda: known(site.hubs[1], key), 10)


# ---- PostgreSQL hurt -------------------------------------------------------

def latency(site, key, n=40):
    """Median of n requests in milliseconds, and their ids."""
    took, ids = [], []
    for _ in range(n):
        began = time.monotonic()
        ids += chats(site, key, 1)
        took.append(1e3 * (time.monotonic() - began))
    return statistics.median(took), ids


def booked_here(site, seconds=10):
    await_("all to be acknowledged",
           lambda: billing(site.hub)["pending"] == 0 and
           not site.hub.ctl("show", "calls")["calls"], seconds)


def stopped(pg, site):
    pg.end("immediate")
    return pg.start


def hanging(pg, site):
    pg.pause()
    return pg.resume


def read_only(pg, site):
    pg.sql("ALTER SYSTEM SET default_transaction_read_only = on; "
           "SELECT pg_reload_conf()".replace("; SELECT", ";\nSELECT"))

    def end():
        pg.sql("SET default_transaction_read_only = off;\n"
               "ALTER SYSTEM RESET default_transaction_read_only")
        pg.sql("SELECT pg_reload_conf()")
    return end


def full(pg, site):
    """As it says when the disk has no room."""
    def say(what):
        site.store.sql("CREATE OR REPLACE FUNCTION full_disk() RETURNS "
                       f"trigger LANGUAGE plpgsql AS $$ BEGIN {what}; END $$")
    say("RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full'")
    site.store.sql("CREATE TRIGGER full_disk BEFORE INSERT ON ledger "
                   "FOR EACH ROW EXECUTE FUNCTION full_disk()")
    # not DROP TRIGGER: its lock and a batch's might wait for each other
    return lambda: say("RETURN NEW")


@pytest.mark.parametrize("hurt", [stopped, hanging, read_only, full])
def test_a_store_that_fails_delays_nothing(pg, shared, hurt, show):
    site = shared()
    key = site.key()
    before, ids = latency(site, key)
    flowed(site.hub)
    heal = hurt(pg, site)
    try:
        during, more = latency(site, key, 80)
        booked_here(site)
        status = billing(site.hub)
        assert status["store_up"] and status["spooled"] >= 80
        assert site.hub.health("healthz") and site.hub.health("readyz")
        away(site.hub)
        since = billing(site.hub)["spooled_since"]
        assert since is not None
        metrics = procs.fetch(site.hub.admin_port, "GET",
                              "/metrics")[2].decode()
        assert f"\nhubd_spool_rows {status['spooled']}\n" in metrics
        assert "\nhubd_shared_store_up 0\n" in metrics
        after, still = latency(site, key, 20)
    finally:
        heal()
    show(f"median of a request: {before:.1f} ms before, {during:.1f} ms as "
         f"it fails, {after:.1f} ms while it is away")
    assert max(during, after) < 3 * before + 50
    back(site.hub)
    flowed(site.hub)
    assert billing(site.hub)["spooled_since"] is None
    expect_books(site, ids + more + still)


def test_an_audit_waits_for_a_server_only_while_it_answers(pg, shared, show):
    """Whether it does is looked at every 10 s, every second here."""
    site = shared(failpoints={"pgconn.hurry": "force\n"})
    chats(site, site.key(), 1)
    flowed(site.hub)
    held = subprocess.Popen(
        [postgresql.program("psql"), "-Xq", "-d", pg.url(site.store.database),
         "-c", "BEGIN; LOCK TABLE sealed_sum; SELECT pg_sleep(600)"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def waiting():
        return site.store.sql(
            "SELECT 1 FROM pg_locks WHERE relation = 'sealed_sum'::regclass "
            "AND NOT granted")

    def sessions():
        """How many there have been, these of ours too."""
        return int(site.store.sql(
            "SELECT sessions FROM pg_stat_database "
            "WHERE datname = current_database()")[0][0])
    try:
        await_("the lock", lambda: site.store.sql(
            "SELECT 1 FROM pg_locks WHERE relation = 'sealed_sum'::regclass "
            "AND granted"))
        audit = ctl(site, "audit")
        await_("the audit to wait", waiting)
        asked, before = 0, sessions()

        def looked():
            nonlocal asked
            asked += 1
            return sessions() - before >= asked + 3
        await_("the server to be looked at", looked)
        assert audit.poll() is None and waiting()
        pg.pause()
        began = time.monotonic()
        try:
            assert "the store is away" in audit.communicate(timeout=60)[1]
        finally:
            pg.resume()
        assert audit.returncode == 1
        show(f"an audit ended {time.monotonic() - began:.1f} s after "
             f"PostgreSQL had stopped")
    finally:
        held.kill()
        held.wait()


def test_a_hub_starts_and_serves_while_the_store_is_away(pg, shared):
    site = shared()
    hub, key = site.hub, site.key()
    ids = chats(site, key, 3)
    flowed(hub)
    hub.stop_here(signal.SIGTERM)
    pg.pause()
    try:
        hub.launch()
        hub.await_ready(30)
        site.agent.await_up(seconds=40)
        ids += chats(site, key, 3)
        booked_here(site)
        hub.stop_here(signal.SIGKILL)
        hub.launch()
        hub.await_ready(30)
        site.agent.await_up(seconds=40)
        assert billing(hub)["spooled"] == 3
        with pytest.raises(procs.CtlError):
            hub.ctl("reload")
        with pytest.raises(procs.CtlError,
                           match="store is away: no connection in time"):
            hub.ctl("key", "add", "acct-1")
        ids += chats(site, key, 3)
    finally:
        pg.resume()
    back(hub)
    flowed(hub)
    expect_books(site, ids)


def test_calls_of_a_hub_before_are_seen_to_wait(pg, shared):
    site = shared()
    hub, key = site.hub, site.key()
    flowed(hub)
    pg.pause()
    try:
        streams = [crash.open_stream(site, key) for _ in range(3)]
        hub.stop_here(signal.SIGKILL)
        for s in streams:
            s.close()
        hub.launch()
        hub.await_ready(30)
        assert billing(hub)["spooled"] == 3
    finally:
        pg.resume()
    back(hub)
    flowed(hub)
    rows = hub.ctl("show", "ledger")["rows"]
    assert [r["outcome"] for r in rows] == ["orphaned"] * 3


def test_a_fresh_hub_waits_for_its_first_load(pg):
    pg.end("fast")
    store = hub = None
    try:
        pg.start()
        store = stores.Store("postgresql", "local", pg=pg)
        pg.end("fast")
        folder = pathlib.Path(tempfile.mkdtemp(prefix="hubtest."))
        hub = procs.Hub(folder, priced.PRICES, store=store).start()
        status, _, body = procs.fetch(hub.port, "GET", "/readyz")
        assert status == 503 and b"loading" in body
        # what a copy has that is not whole is not what there is
        assert "are published" not in hub.log.read_text()
        pg.start()
        await_("the first load",
               lambda: hub.ctl("show", "status")["state"] == "serving", 30)
        assert hub.log.read_text().count("are published") == 1
        assert hub.ctl("show", "status")["price_version"] == 1
    finally:
        if hub:
            hub.stop()
        if not pg.running():
            pg.start()
        if store:
            store.drop()


def test_a_shutdown_takes_along_what_waits(shared):
    site = shared()
    key = site.key()
    ids = chats(site, key, 20)
    site.hub.stop_here(signal.SIGTERM)
    assert site.store.sql("SELECT count(*) FROM ledger") == [["20"]]
    site.hub.launch()
    site.hub.await_ready()
    expect_books(site, ids)


# ---- killed ----------------------------------------------------------------

def fire(site, name, text):
    (site.hub.failpoints / name).write_text(text)


def fired(site, name):
    await_(f"{name} to fire",
           lambda: not (site.hub.failpoints / name).exists())


@pytest.mark.parametrize("point", ["courier.committed", "billing.taken"])
def test_killed_between_store_and_spool(shared, point):
    """What is there already is sent again, and is there once."""
    site = shared()
    key = site.key()
    ids = chats(site, key, 5)
    flowed(site.hub)
    fire(site, point, "kill\n")
    ids += chats(site, key, 5)
    fired(site, point)
    back(site.hub)
    ids += chats(site, key, 5)
    flowed(site.hub)
    expect_books(site, ids)
    assert site.hub.balance("acct-1")["balance"] == "999.98575"


def test_killed_again_and_again_under_load(shared):
    site = shared(hubs=2)
    key = site.key()
    ids, over = [], threading.Event()

    def load(hub):
        while not over.is_set():
            ids.extend(chats(site, key, 1, hub))
    threads = [threading.Thread(target=load, args=[h]) for h in site.hubs]
    for t in threads:
        t.start()
    try:
        for i in range(6):
            for hub in site.hubs:
                pid = await_("a courier", lambda: crash.courier(hub))
                booked = len(ids)
                os.kill(pid, signal.SIGKILL)
                await_("load", lambda: len(ids) > booked + 20)
    finally:
        over.set()
        for t in threads:
            t.join()
    for hub in site.hubs:
        back(hub)
        flowed(hub)
    expect_books(site, ids)


def test_a_change_waits_for_the_next_courier(shared):
    """Which brings it into force here; the store has it long before."""
    hub = shared().hub
    for n in range(3):
        os.kill(await_("a courier", lambda: crash.courier(hub)),
                signal.SIGKILL)
        hub.account(f"late-{n}")
        assert hub.balance(f"late-{n}")["name"] == f"late-{n}"


def test_a_reload_waits_for_the_next_courier(shared):
    hub = shared().hub
    for _ in range(3):
        os.kill(await_("a courier", lambda: crash.courier(hub)),
                signal.SIGKILL)
        await_("its end to be seen", lambda: crash.courier(hub) is None)
        assert hub.ctl("reload")["price_version"] == 1


def test_a_reload_under_way_is_the_next_billing_s(pg, shared):
    """The store takes its time, and billing does not live to hear of it."""
    hub = shared().hub
    hub.prices.write_text(procs.price_text({
        **priced.PRICES, "another": {"input_cost_per_token": "0.000001"}}))
    pid = billing(hub)["pid"]
    pg.pause()
    hub.child.send_signal(signal.SIGHUP)
    await_("the reload", lambda: "configuration reloaded"
           in hub.log.read_text())
    hub.ctl("show", "prices")   # it has heard of the reload, too
    os.kill(pid, signal.SIGKILL)
    await_("another billing", lambda: billing(hub)["pid"] not in (pid, 0))
    pg.resume()
    await_("the new prices", lambda: hub.ctl(
        "show", "status")["price_version"] == 2, 30)


def test_a_reload_whose_end_is_unknown_is_not_said_to_fail(pg, shared):
    hub = shared().hub
    pg.pause()
    hub.child.send_signal(signal.SIGHUP)
    await_("the reload", lambda: "configuration reloaded"
           in hub.log.read_text())
    hub.ctl("show", "prices")   # billing has heard of it, too
    os.kill(crash.courier(hub), signal.SIGKILL)
    await_("word of it", lambda: "error: prices: the shared store did not "
           "answer: whether" in hub.log.read_text())
    pg.resume()


def test_a_reload_that_follows_one_of_a_billing_before(pg, shared):
    """That the older one is answered does not mean the younger is."""
    hub = shared().hub

    def reload_with(name, times):
        hub.prices.write_text(procs.price_text({
            **priced.PRICES, name: {"input_cost_per_token": "0.000001"}}))
        hub.child.send_signal(signal.SIGHUP)
        await_("the reload", lambda: hub.log.read_text().count(
            "configuration reloaded") == times)
        hub.ctl("show", "prices")   # billing has heard of it, too

    def kill_billing():
        pid = billing(hub)["pid"]
        os.kill(pid, signal.SIGKILL)
        await_("another billing", lambda: billing(hub)["pid"] not in (pid, 0))
        hub.ctl("show", "prices")
    pg.pause()
    reload_with("another", 1)
    kill_billing()
    reload_with("a-third", 2)
    kill_billing()
    pg.resume()
    await_("the newest prices", lambda: "a-third" in [
        p["model"] for p in hub.ctl("show", "prices")["prices"]], 30)


def test_a_courier_that_hangs_is_replaced(shared):
    site = shared(failpoints={"billing.impatient": "force\n"})
    key = site.key()
    pid = await_("a courier", lambda: crash.courier(site.hub))
    os.kill(pid, signal.SIGSTOP)
    ids = chats(site, key, 5)
    booked_here(site)
    await_("another courier",
           lambda: crash.courier(site.hub) not in (pid, None), 15)
    flowed(site.hub)
    expect_books(site, ids)


def test_a_reload_right_after_the_start_is_carried_out(shared):
    """With a copy of the store, and while its first load is under way."""
    hub = shared().hub
    for new in (False, True):
        hub.stop_here(signal.SIGTERM)
        if new:
            shutil.rmtree(hub.state_dir)
            hub.state_dir.mkdir()
        hub.launch()
        await_("healthz", hub.settled)
        assert hub.ctl("reload")["price_version"] == 1


# ---- written by others -----------------------------------------------------

STRANGE = [
    "UPDATE account SET overdraft = '5 USD' WHERE name = 'acct-1'",
    "INSERT INTO account (name) VALUES ('')",
    "UPDATE access_key SET tpm = -1",
    "INSERT INTO agent (name, token_hash, models, providers, replicas, "
    "revoked, draining) VALUES ('', '', '', '', 1, false, false)",
    "INSERT INTO object (id, account, agent, provider, kind, created_ms) "
    "SELECT 'no id', min(id), 1, 'sim', 77, 0 FROM account",
    "INSERT INTO object_removed VALUES ('no id')",
    "INSERT INTO account (name, balance) VALUES ('odd', 'NaN')",
]


def test_what_makes_no_sense_in_the_store_holds_up_nothing_else(shared):
    site = shared()
    key = site.key()
    ids = chats(site, key, 1)
    site.hub.account("other")
    pid = await_("a courier", lambda: crash.courier(site.hub))
    for i, sql in enumerate(STRANGE):
        site.store.sql(sql)
        site.store.sql(f"UPDATE account SET overdraft = '{i}.5' "
                       "WHERE name = 'other'")
        until("change", lambda: site.hub.ctl("show", "accounts", "other")[
            "accounts"][0]["overdraft"] == f"{i}.5", 3)
        ids += chats(site, key, 1)
        flowed(site.hub)
        assert crash.courier(site.hub) == pid
    assert len(site.store.sql("SELECT id FROM ledger")) == len(ids)


def test_an_account_whose_balance_is_none_spends_nothing(shared):
    site = shared()
    key, other = site.key(), site.key()
    pid = await_("a courier", lambda: crash.courier(site.hub))
    chats(site, key, 1)
    flowed(site.hub)
    site.store.sql("UPDATE account SET balance = 'NaN' WHERE name = 'acct-1'")
    chats(site, key, 1)
    flowed(site.hub)
    until("end", lambda: site.chat(key)[0] == 402, 3)
    chats(site, other, 1)
    flowed(site.hub)
    assert crash.courier(site.hub) == pid
    assert len(site.store.sql("SELECT id FROM ledger")) == 3


# ---- refused, and secret ---------------------------------------------------

def test_a_row_that_is_refused_goes_to_suspense(shared):
    site = shared()
    key = site.key()
    site.store.sql("ALTER TABLE ledger ADD CONSTRAINT odd "
                   "CHECK (model <> 'sim-tiny-i1-o1')")
    ids = chats(site, key, 3)
    assert site.chat(key, "sim-tiny-i1-o1")[0] == 200
    ids += chats(site, key, 3)
    flowed(site.hub)
    await_("suspense", lambda: billing(site.hub)["suspense"] == 1)
    row, = site.hub.ctl("show", "suspense")["suspense"]
    assert (row["account"], row["model"]) == ("acct-1", "sim-tiny-i1-o1")
    assert row["usage"] == {"input": 1, "output": 1}
    said = re.findall(rf'row {row["id"]} is refused: .* constraint "odd"',
                      site.hub.log.read_text())
    assert len(said) == 1
    assert site.hub.balance("acct-1")["spent"] == "0.0057"
    expect_books(site, ids)


def test_the_password_is_nowhere(pg, shared):
    pg.sql(f"ALTER USER {postgresql.USER} PASSWORD '{SECRET}'")
    site = shared()
    hub = site.hub
    url = site.store.options["store"].replace("@", f":{SECRET}@", 1)
    url = url.replace("postgresql:", "postgres:", 1)
    hub.options["store"] = url
    hub.stop_here(signal.SIGTERM)
    hub.rewrite_conf()
    hub.launch()
    hub.await_ready()
    pg.end("fast")
    away(hub)
    pg.start()
    back(hub)
    site.agent.await_up()
    chats(site, site.key(), 1)
    told = [hub.log.read_text(), str(hub.ctl("show", "status")),
            procs.fetch(hub.admin_port, "GET", "/metrics")[2].decode()]
    for pid in [hub.pid, billing(hub)["pid"], crash.courier(hub)]:
        for name in ("cmdline", "environ", "comm"):
            told.append(pathlib.Path(f"/proc/{pid}/{name}").read_text())
    assert not any(SECRET in text for text in told)
