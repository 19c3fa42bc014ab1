"""Books for people, and for years: sums, exports, suspense, sealed months."""

import csv
import datetime
import io
import json
import os
import shutil
import signal
import sqlite3
import threading
from decimal import Decimal

import pytest

import crash
import priced
import stores
from procs import CtlError, await_, fetch

PRICE = Decimal(priced.PLAIN["input_cost_per_token"])
UTC = datetime.timezone.utc
COLUMNS = ("id, time_ms, account, key, agent, provider, dialect, endpoint, "
           "model, price, tier, price_version, status, stream, outcome, "
           "attempts, usage, amount, estimated, unpriced_kinds, duration_ms")


def plain(amount):
    return f"{amount.normalize():f}"


@pytest.fixture
def own(sites):
    """Makes sites whose store is a file."""
    def make(**kwargs):
        return sites(store=stores.Store("sqlite", "local"), **kwargs)
    return make


def store_file(site):
    return site.hub.state_dir / "hubd.db"


def query(site, sql, *args):
    db = sqlite3.connect(store_file(site), timeout=30)
    try:
        with db:
            return db.execute(sql, args).fetchall()
    finally:
        db.close()


# ---- sums and exports ------------------------------------------------------

@pytest.fixture(scope="module")
def used(module_site):
    """A site with requests of two accounts, and what each of them cost."""
    site = module_site()
    costs = {}
    for account, n in (("one", 3), ("two", 5)):
        site.hub.account(account, "100")
        key, key_id = site.hub.key(account)
        costs[account] = key_id, []
        for _ in range(n):
            status, fields, _ = site.chat(key)
            assert status == 200
            costs[account][1].append((fields["x-request-id"],
                                      Decimal(fields["x-hub-cost"])))
    for _, calls in costs.values():
        site.hub.rows([i for i, _ in calls])
    site.costs = costs
    return site


def usage(site, *args):
    return site.hub.ctl("show", "usage", *args)


def test_usage_is_what_clients_were_told(used):
    total = usage(used)
    by_account = {g["account"]: g for g in total["usage"]}
    for name, (key_id, calls) in used.costs.items():
        cost = sum(c for _, c in calls)
        group = by_account[name]
        assert group["requests"] == len(calls)
        assert Decimal(group["amount"]) == cost
        assert used.hub.balance(name)["spent"] == group["amount"]
        own, = usage(used, "account", name, "by", "key")["usage"]
        assert own["key"] == key_id and own["amount"] == group["amount"]
        day, = usage(used, "account", name, "by", "day")["usage"]
        assert datetime.date.fromisoformat(day["day"])
    sums = [Decimal(g["amount"]) for g in total["usage"]]
    assert Decimal(total["total"]["amount"]) == sum(sums)
    audit = used.hub.ctl("audit")
    assert audit["ledger_sum"] == total["total"]["amount"]
    for by in "model", "agent":
        groups = usage(used, "by", by)
        assert groups["total"] == total["total"]
        assert sum(g["requests"] for g in groups["usage"]) == \
            total["total"]["requests"]


def test_usage_of_a_time_and_as_text(used):
    assert usage(used, "until", "2026-01-01")["total"] == {
        "requests": 0, "usage": {}, "amount": "0"}
    assert usage(used, "since", "1h")["total"] == usage(used)["total"]
    text = used.hub.ctl("show", "usage", "by", "model", json_out=False)
    lines = text.splitlines()
    assert lines[0].split() == ["MODEL", "REQUESTS", "IN", "OUT", "USD"]
    assert lines[-1].split()[:2] == ["total", "8"]
    # money has its points in one column
    assert len({line.index(".") for line in lines[1:]}) == 1


def test_an_export_is_the_ledger(used):
    rows = used.hub.ctl("show", "ledger")["rows"]
    text = used.hub.ctl("export", "ledger", "format", "jsonl",
                        json_out=False)
    assert [json.loads(line) for line in text.splitlines()] == rows[::-1]
    text = used.hub.ctl("export", "ledger", "account", "two", json_out=False)
    table = list(csv.DictReader(io.StringIO(text, newline="")))
    mine = [r for r in rows[::-1] if r["account"] == "two"]
    assert len(table) == len(mine) == 5
    for got, row in zip(table, mine):
        counts = row.pop("usage")
        for kind, n in counts.items():
            assert got[kind] == str(n)
        for name, value in row.items():
            text = value if isinstance(value, str) else json.dumps(value)
            assert got[name] == text, name


def test_the_row_of_an_answer_is_found_by_its_id(used):
    key = used.hub.key(used.account())[0]
    ids = [used.chat(key)[1]["x-request-id"] for _ in range(3)]
    used.hub.rows(ids)
    for call in ids:
        row, = used.hub.ctl("show", "ledger", "id", call)["rows"]
        assert row["id"] == call
    for wrong, why in ((ids[0][:-1] + ("0" if ids[0][-1] != "0" else "1"),
                        "there is no row"), ("x", "is no request id")):
        with pytest.raises(CtlError, match=why) as e:
            used.hub.ctl("show", "ledger", "id", wrong)
        assert e.value.status == 1


def test_a_store_is_checked(used):
    check = used.hub.ctl("store", "check")
    assert check["ok"] and check["audit"]["ok"]
    assert check["problems"] == 0 and check["first_problem"] == ""


def test_a_check_finds_a_page_that_nobody_can_read(own):
    """It is in the audit's way; the check says so all the same."""
    site = own()
    key = site.hub.key(site.account())[0]
    for _ in range(3):
        assert site.chat(key)[0] == 200
    site.hub.quiet()
    assert site.hub.stop_here(signal.SIGTERM) == 0
    root, = query(site, "SELECT rootpage FROM sqlite_master "
                  "WHERE name = 'ledger'")[0]
    size, = query(site, "PRAGMA page_size")[0]
    with open(store_file(site), "r+b") as f:
        f.seek((root - 1) * size)
        f.write(os.urandom(size))
    site.hub.launch()
    await_("the store", lambda: site.hub.health("healthz"))
    with pytest.raises(CtlError, match=r"the store is not whole: Page \d+: "):
        site.hub.ctl("store", "check")


def test_a_file_that_is_no_database_is_called_so(own):
    site = own()
    assert site.hub.stop_here(signal.SIGTERM) == 0
    good = store_file(site).read_bytes()
    store_file(site).write_bytes(os.urandom(100) + good[100:])
    site.hub.launch()
    await_("healthz", lambda: site.hub.health("healthz"))
    with pytest.raises(CtlError, match="hubd.db: file is not a database"):
        site.hub.ctl("show", "accounts")
    assert not site.hub.health("readyz")
    store_file(site).write_bytes(good)
    site.hub.await_ready(30)


def test_a_check_finds_a_broken_store(own):
    site = own()
    site.account()
    query(site, "UPDATE balance_change SET account = 77")
    with pytest.raises(CtlError, match="refers to no account"):
        site.hub.ctl("store", "check")


# ---- suspense --------------------------------------------------------------

def suspended(site):
    """What show suspense, show status and the metrics say; they agree."""
    shown = site.hub.ctl("show", "suspense")["count"]
    status = site.hub.ctl("show", "status")["billing"]["suspense"]
    metrics = fetch(site.hub.admin_port, "GET", "/metrics")[2].decode()
    assert shown == status
    assert f"\nhubd_suspense {shown}\n" in metrics
    return shown


@pytest.fixture
def lost_price(own):
    """A site with one call in suspense: its account, id and cost."""
    site = own()
    account = site.account("10")
    key, _ = site.hub.key(account)
    # The version of a call that is there already is known by heart: it must
    # not have been asked for before.
    version, = query(site, "SELECT max(version) FROM price_version")[0]
    query(site, "UPDATE price_version SET version = version + 1000")
    status, fields, _ = site.chat(key)
    assert status == 200
    await_("it to be put aside", lambda: site.hub.ctl(
        "show", "status")["billing"]["suspense"] == 1)
    assert suspended(site) == 1
    query(site, "UPDATE price_version SET version = ?", version)
    return site, account, fields["x-request-id"], fields["x-hub-cost"]


def test_suspense_is_booked_once_what_was_wrong_is_mended(lost_price):
    site, account, call, cost = lost_price
    row, = site.hub.ctl("show", "suspense")["suspense"]
    assert row["id"] == call and row["state"] == "waits"
    assert row["reason"] == "its price is not known"
    assert (row["account"], row["agent"], row["model"], row["status"]) == \
        (account, "edge", "sim-chat", 200)
    assert row["usage"]["input"] > 0 and row["admitted"] <= row["time"]
    done = site.hub.ctl("suspense", "retry", call, "reason", "it is back")
    assert done["state"] == "retried" and done["amount"] == cost
    assert suspended(site) == 0
    assert site.hub.balance(account)["spent"] == cost
    with pytest.raises(CtlError, match="waits"):
        site.hub.ctl("suspense", "retry", call, "reason", "again")
    row, = site.hub.ctl("show", "suspense", "all")["suspense"]
    assert row["why"] == "it is back" and row["by"] == f"uid {os.getuid()}"
    assert row["state"] == "retried" and row["resolved"]
    assert site.hub.ctl("audit", "full")["ok"]


def test_a_retry_that_is_killed_books_once(lost_price):
    site, account, call, cost = lost_price
    point = crash.arm(site, "suspense.booked", "kill")
    with pytest.raises(CtlError):
        site.hub.ctl("suspense", "retry", call, "reason", "it is back")
    assert not point.exists()
    assert suspended(site) == 1
    site.hub.ctl("suspense", "retry", call, "reason", "once more")
    assert suspended(site) == 0
    assert site.hub.balance(account)["spent"] == cost
    assert len(site.hub.ctl("show", "ledger")["rows"]) == 1
    assert site.hub.ctl("audit", "full")["ok"]


def test_what_a_store_says_against_a_row_is_in_the_log(own):
    site = own()
    key = site.hub.key(site.account("10"))[0]
    query(site, "CREATE TRIGGER odd BEFORE INSERT ON ledger "
          "BEGIN SELECT raise(ABORT, 'an odd row'); END")
    status, fields, _ = site.chat(key)
    assert status == 200
    call = fields["x-request-id"]
    await_("it to be put aside", lambda: status_suspense(site) == 1)
    assert f"row {call} is refused: an odd row\n" in site.hub.log.read_text()
    with pytest.raises(CtlError, match="the store refuses the row"):
        site.hub.ctl("suspense", "retry", call, "reason", "too early")
    query(site, "DROP TRIGGER odd")
    site.hub.ctl("suspense", "retry", call, "reason", "it is gone")
    assert suspended(site) == 0


def test_suspense_is_dropped_on_record(lost_price):
    site, account, call, _ = lost_price
    site.hub.ctl("suspense", "drop", call, "reason", "our fault")
    assert suspended(site) == 0
    assert site.hub.balance(account)["spent"] == "0"
    row, = site.hub.ctl("show", "suspense", "all")["suspense"]
    assert (row["state"], row["why"]) == ("dropped", "our fault")
    site.hub.stop_here()
    crash.relaunch(site.hub)
    site.hub.await_ready()
    assert suspended(site) == 0


def status_suspense(site):
    return site.hub.ctl("show", "status")["billing"]["suspense"]


def test_suspense_in_a_shared_store(sites):
    """It is put aside here, goes to the store, and is booked from there."""
    site = sites(store=stores.Store("postgresql", "local"))
    account = site.account("10")
    key, key_id = site.hub.key(account)
    spool = sqlite3.connect(site.hub.state_dir / "spool.db", timeout=30)
    with spool:
        spool.execute("UPDATE price_version SET version = version + 1000")
    status, fields, _ = site.chat(key)
    assert status == 200
    call, cost = fields["x-request-id"], fields["x-hub-cost"]
    await_("it to be in the store", lambda: [
        s["id"] for s in site.hub.ctl("show", "suspense")["suspense"]]
        == [call], 30)
    await_("it to be counted", lambda: status_suspense(site) == 1)
    done = site.hub.ctl("suspense", "retry", call, "reason", "by the store")
    assert done["state"] == "retried" and done["amount"] == cost
    assert status_suspense(site) == 0
    assert site.hub.balance(account)["spent"] == cost
    row, = site.hub.ctl("show", "ledger")["rows"]
    assert (row["id"], row["key"], row["agent"]) == (call, key_id, "edge")
    with pytest.raises(CtlError, match="waits"):
        site.hub.ctl("suspense", "retry", call, "reason", "again")
    row, = site.hub.ctl("show", "suspense", "all")["suspense"]
    assert (row["state"], row["why"]) == ("retried", "by the store")
    assert row["by"] == f"uid {os.getuid()}"
    assert site.hub.ctl("audit", "full")["ok"]
    assert site.hub.ctl("store", "check")["ok"]
    spool.close()


# ---- sealed months ---------------------------------------------------------

PER_MONTH = 450         # more than two slices of each kind
POINTS = [("seal.begun", 1), ("seal.copied", 1), ("seal.copied", 3),
          ("seal.checked", 1), ("seal.noted", 1), ("seal.named", 1),
          ("seal.removing", 1), ("seal.removing", 3), ("seal.removed", 1),
          ("seal.removed", 5)]


def month_before(day, n):
    """The first moment of the month n months before that of a day."""
    months = day.year * 12 + day.month - 1 - n
    return datetime.datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)


class Old:
    """Months of rows of an account of their own, as if booked at their
    time: months[0] is the oldest."""

    def __init__(self, site, months, per_month=PER_MONTH):
        self.site = site
        self.now = datetime.datetime.now(UTC)
        self.months = [month_before(self.now, months + 1 - i)
                       for i in range(months)]
        self.rows = {}
        site.hub.account("old", "1000000")
        self.account, = query(
            site, "SELECT id FROM account WHERE name = 'old'")[0]
        for month in self.months:
            self.fill(month, per_month)

    def fill(self, month, n):
        ledger, changes, spent = [], [], Decimal(0)
        for i in range(n):
            at = int(month.timestamp() * 1000) + i // 2
            amount = PRICE * (1 + i % 97)
            head = f"{at:012x}"
            row_id = f"{head[:8]}-{head[8:]}-7000-8000-{i:012x}"
            ledger.append((
                row_id, at, self.account, "key_old", "edge", "openai",
                "openai", "/v1/chat/completions", "sim-chat", "sim-chat",
                "default", 1, 200, 0, "complete", 1,
                json.dumps({"input": 1 + i % 97}, separators=(",", ":")),
                plain(amount), "", 0, 3))
            changes.append((self.account, at, "charge", "-" + plain(amount),
                            row_id))
            spent += amount
            self.rows[row_id] = plain(amount)
        db = sqlite3.connect(store_file(self.site), timeout=30)
        with db:
            db.executemany(f"INSERT INTO ledger ({COLUMNS}) VALUES "
                           f"({', '.join('?' * 21)})", ledger)
            db.executemany(
                "INSERT INTO balance_change (account, time_ms, kind, amount, "
                "ref) VALUES (?, ?, ?, ?, ?)", changes)
            was = [Decimal(a) for a in db.execute(
                "SELECT balance, spent FROM account WHERE id = ?",
                (self.account,)).fetchone()]
            db.execute("UPDATE account SET balance = ?, spent = ? "
                       "WHERE id = ?", (plain(was[0] - spent),
                                        plain(was[1] + spent), self.account))
        db.close()

    def name(self, i):
        return self.months[i].strftime("%Y-%m")

    def file(self, i):
        return self.site.hub.state_dir / f"ledger-{self.name(i)}.db"

    def keep_all_after(self, i):
        """Months up to the i-th are to be sealed, from now on."""
        end = month_before(self.months[i], -1)
        seconds = int((self.now - end).total_seconds()) - 3600
        self.site.hub.options["ledger_keep"] = f"{seconds}s"
        self.site.hub.rewrite_conf()
        self.site.hub.ctl("reload")

    def sealed(self):
        return query(self.site, "SELECT count(*) FROM sealed_month "
                                "WHERE gone_all = 1")[0][0]

    def await_sealed(self, n):
        await_(f"{n} months to be sealed", lambda: self.sealed() == n, 60)

    def exported(self):
        text = self.site.hub.ctl("export", "ledger", "account", "old",
                                 "format", "jsonl", json_out=False)
        rows = [json.loads(line) for line in text.splitlines()]
        ids = [r["id"] for r in rows]
        assert len(set(ids)) == len(ids), "a row twice"
        assert [r["time"] for r in rows] == sorted(r["time"] for r in rows)
        return {r["id"]: r["amount"] for r in rows}

    def check(self):
        """Every row is there once, and everything adds up."""
        assert self.exported() == self.rows
        audit = self.site.hub.ctl("audit", "full")
        assert audit["ok"] and audit["first_bad"] == ""


class Reader(threading.Thread):
    """Exports again and again: each is whole, or says that it is not."""

    def __init__(self, old):
        super().__init__()
        self.old, self.done, self.good, self.wrong = old, False, 0, []

    def run(self):
        while not self.done and not self.wrong:
            try:
                if self.old.exported() == self.old.rows:
                    self.good += 1
                else:
                    self.wrong.append("rows differ")
            except CtlError:
                pass    # billing is being killed
            except Exception as e:
                self.wrong.append(repr(e))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.done = True
        self.join()


def test_sealing_survives_a_kill_at_each_step(own):
    site = own()
    key = site.key()
    old = Old(site, len(POINTS))
    old.check()
    served = []
    with Reader(old) as reader:
        for i, (point, n) in enumerate(POINTS):
            armed = crash.arm(site, point, f"kill\nafter {n}")
            old.keep_all_after(i)
            await_(f"{point} to be passed", lambda: not armed.exists(), 60)
            status, fields, _ = site.chat(key)
            assert status == 200
            served.append(fields["x-request-id"])
            old.await_sealed(i + 1)
            assert old.file(i).exists() and not reader.wrong
    assert not reader.wrong and reader.good > 5
    site.hub.rows(served)
    old.check()
    audit = site.hub.ctl("audit", "full")
    assert audit["sealed_months"] == len(POINTS)
    assert audit["absent_months"] == 0
    assert not list(site.hub.state_dir.glob("*.new"))
    assert query(site, "SELECT count(*) FROM ledger")[0][0] == len(served)
    assert site.hub.ctl("store", "check")["ok"]
    for i in range(len(POINTS)):
        assert old.file(i).stat().st_mode & 0o777 == 0o600


def test_sealed_months_are_in_every_answer(own):
    site = own()
    old = Old(site, 3, per_month=120)
    before = {by: usage(site, "by", by) for by in ("day", "model", "key")}
    newest = site.hub.ctl("show", "ledger", "limit", "200")
    old.keep_all_after(1)
    old.await_sealed(2)
    for by, groups in before.items():
        assert usage(site, "by", by) == groups
    assert site.hub.ctl("show", "ledger", "limit", "200") == newest
    month = usage(site, "by", "day", "since", old.months[0].strftime("%F"),
                  "until", old.months[1].strftime("%F"))
    assert month["total"]["requests"] == 120
    # A month that is carried away is missed by who needs it.
    shutil.move(old.file(0), site.folder / "away.db")
    audit = site.hub.ctl("audit")
    assert audit["ok"] and audit["absent_months"] == 1
    assert audit["note"] == (f"sealed month {old.name(0)} is not here: by "
                             "its recorded sums")
    for command in (("show", "usage"), ("export", "ledger")):
        with pytest.raises(CtlError, match="sealed month is not here"):
            site.hub.ctl(*command, json_out=False)
    since = old.months[1].strftime("%F")
    assert usage(site, "since", since)["total"]["requests"] == 240
    assert len(site.hub.ctl("show", "ledger", "limit", "200")["rows"]) == 200
    shutil.move(old.file(1), site.folder / "away too.db")
    assert site.hub.ctl("audit")["note"] == (
        f"sealed month {old.name(0)} and 1 more are not here: by their "
        "recorded sums")
    shutil.move(site.folder / "away too.db", old.file(1))
    shutil.move(site.folder / "away.db", old.file(0))
    old.check()


def test_a_hub_goes_back_to_a_backup_with_its_months(own, tmp_path):
    site = own()
    old = Old(site, 3, per_month=120)
    old.keep_all_after(0)
    old.await_sealed(1)
    copy = tmp_path / "copy.db"
    site.hub.ctl("backup", copy)
    old.keep_all_after(1)       # the month of the backup's future
    old.await_sealed(2)
    site.hub.stop_here()
    for name in ("hubd.db", "hubd.db-wal", "hubd.db-shm"):
        (site.hub.state_dir / name).unlink(missing_ok=True)
    shutil.copy(copy, site.hub.state_dir / "hubd.db")
    crash.relaunch(site.hub)
    site.hub.await_ready()
    # That month is in the store again, and its file is left alone.
    await_("it to be told", lambda: "it is there already" in site.hub.tail())
    old.check()
    assert site.hub.ctl("audit")["sealed_months"] == 1
    old.file(1).unlink()
    site.hub.ctl("reload")
    old.await_sealed(2)
    old.check()


def start_anew(hub):
    hub.stop_here(signal.SIGTERM)
    hub.rewrite_conf()
    crash.relaunch(hub)


def reload(hub):
    hub.rewrite_conf()
    hub.ctl("reload")


@pytest.mark.parametrize("put_in_force", [start_anew, reload])
def test_months_of_a_shared_store_are_put_aside(sites, put_in_force):
    """By whichever hub comes first; a call is made one of long ago."""
    site = sites(store=stores.Store("postgresql", "local"))
    account = site.account("10")
    key, _ = site.hub.key(account)
    call = site.chat(key)[1]["x-request-id"]
    site.hub.row(call)
    first = month_before(datetime.datetime.now(UTC), 3)
    low, high = (f"{int(m.timestamp() * 1000):012x}" for m in
                 (first, month_before(first, -1)))
    ids = [f"{t[:8]}-{t[8:]}-0000-0000-000000000000" for t in (low, high)]
    columns = ", ".join(c for c in COLUMNS.split(", ")
                        if c not in ("id", "time_ms"))
    at = int(first.timestamp() * 1000) + 5000
    site.store.sql(f"""
        SELECT hubd_month('ledger_{first:%Y_%m}', '{ids[0]}', '{ids[1]}');
        WITH c AS (INSERT INTO balance_change
            (account, time_ms, kind, amount, ref)
            SELECT account, {at}, 'charge', -amount, '' FROM ledger
            RETURNING id)
        INSERT INTO ledger (id, time_ms, {columns}, charge)
            SELECT '{ids[0][:-1]}1', {at}, {columns}, c.id FROM ledger, c;
        UPDATE account SET seq = seq + 1, balance = 2 * balance - 10,
            spent = 2 * spent""")
    before = usage(site, "by", "day")
    assert before["total"]["requests"] == 2
    assert site.hub.ctl("audit", "full")["ok"]
    site.hub.options["ledger_keep"] = "7d"
    put_in_force(site.hub)
    # every audit adds up, also one during which it is put aside
    await_("the month to be sealed",
           lambda: site.hub.ctl("audit")["sealed_months"] == 1, 60)
    assert usage(site, "by", "day") == before
    audit = site.hub.ctl("audit", "full")
    assert audit["ok"] and audit["rows"] == 2 and audit["absent_months"] == 0
    assert site.hub.balance(account)["spent"] == before["total"]["amount"]
    assert site.hub.ctl("store", "check")["ok"]
