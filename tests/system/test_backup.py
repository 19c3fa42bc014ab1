"""A backup of a hub that is at work, on SQLite, and what comes of putting it
back."""

import os
import shutil
import signal
import sqlite3
import threading
from decimal import Decimal

import pytest

import crash
import stores
from procs import CtlError, await_


class Load:
    """Requests one after the other by a few users, until the end of with."""

    def __init__(self, site, keys):
        self.site, self.done = site, threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(k,))
                        for k in keys]
        self.served = []

    def run(self, key):
        while not self.done.is_set():
            status, fields, _ = self.site.chat(key)
            assert status == 200
            self.served.append((fields["x-request-id"],
                                Decimal(fields["x-hub-cost"])))

    def __enter__(self):
        for t in self.threads:
            t.start()
        await_("some requests", lambda: len(self.served) > 20)
        return self

    def __exit__(self, *_):
        self.done.set()
        for t in self.threads:
            t.join()


def alone():
    return stores.Store("sqlite", "local")


def restore(hub, copy):
    """As hubd(8) says."""
    for name in ("hubd.db", "hubd.db-wal", "hubd.db-shm"):
        (hub.state_dir / name).unlink(missing_ok=True)
    shutil.copy(copy, hub.state_dir / "hubd.db")


def books(hub):
    accounts = hub.ctl("show", "accounts")["accounts"]
    return ({a["name"]: (a["balance"], a["spent"]) for a in accounts},
            {r["id"]: r["amount"] for r in
             hub.ctl("show", "ledger", "limit", "50000")["rows"]})


def books_of(path):
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return ({n: (b, s) for n, b, s in
                 db.execute("SELECT name, balance, spent FROM account")},
                dict(db.execute("SELECT id, amount FROM ledger")))
    finally:
        db.close()


def test_backup_under_load_and_restore(sites, tmp_path):
    site = sites(workers=2, store=alone())
    keys = [site.key(credit="100") for _ in range(3)]
    copy = tmp_path / "copy.db"
    with Load(site, keys) as load:
        before = {i for i, _ in load.served}
        await_("them to be booked", lambda: before <= set(books(site.hub)[1]))
        assert site.hub.ctl("backup", copy)["file"] == str(copy)
        n = len(load.served)
        await_("more requests", lambda: len(load.served) > n + 20)
    assert [p.name for p in tmp_path.iterdir()] == ["copy.db"]
    assert copy.stat().st_mode & 0o777 == 0o600

    # one state, whatever was booked meanwhile
    accounts, rows = books_of(copy)
    costs = dict(load.served)
    assert before <= set(rows) <= set(costs)
    assert all(Decimal(a) == costs[i] for i, a in rows.items())
    spent = sum(map(Decimal, rows.values()))
    assert spent == sum(Decimal(s) for _, s in accounts.values())
    assert 300 - spent == sum(Decimal(b) for b, _ in accounts.values())

    late = site.key()
    await_("all to be booked", lambda: set(costs) == set(books(site.hub)[1]))
    assert site.hub.stop_here(signal.SIGTERM) == 0
    restore(site.hub, copy)
    crash.relaunch(site.hub)
    crash.renew_agent(site)
    site.hub.await_ready()
    assert books(site.hub) == (accounts, rows)
    assert site.hub.ctl("audit", "full")["ok"]
    assert site.chat(late)[0] == 401    # made after the backup
    status, fields, _ = site.chat(keys[0])
    assert status == 200
    site.hub.row(fields["x-request-id"])
    assert site.hub.ctl("audit", "full")["ok"]


def test_finished_calls_in_memory_are_billed_to_a_restored_store(
        sites, tmp_path):
    """Those of after the backup that no store had seen when the hub died."""
    site = sites(workers=1, store=alone())
    key = site.key(credit="100")
    copy = tmp_path / "copy.db"
    known = site.chat(key)[1]["x-request-id"]
    site.hub.row(known)
    site.hub.ctl("backup", copy)
    os.kill(crash.pid_of(site, "billing"), signal.SIGSTOP)
    costs = {}
    for _ in range(5):
        status, fields, _ = site.chat(key)
        assert status == 200
        costs[fields["x-request-id"]] = fields["x-hub-cost"]
    site.hub.stop_here(signal.SIGKILL)
    restore(site.hub, copy)
    crash.relaunch(site.hub)
    assert {i: r["amount"] for i, r in
            site.hub.rows(list(costs)).items()} == costs
    assert set(books(site.hub)[1]) == {known, *costs}
    assert site.hub.ctl("audit", "full")["ok"]


def test_a_backup_is_whole_or_not_there(sites, tmp_path):
    site = sites(workers=1, store=alone())
    copy = tmp_path / "copy.db"
    (site.hub.failpoints / "backup.written").write_text("kill\n")
    with pytest.raises(CtlError):
        site.hub.ctl("backup", copy)
    assert not copy.exists()
    site.hub.ctl("backup", copy)
    with pytest.raises(CtlError, match=f"hubctl: backup: {copy} is there"):
        site.hub.ctl("backup", copy)
    with pytest.raises(CtlError, match=f"hubctl: backup: {tmp_path}/nowhere/"):
        site.hub.ctl("backup", tmp_path / "nowhere" / "copy.db")
    books_of(copy)
