"""Commands of hubctl that take long: beside billing, never in its way.

The books have 300,000 rows that are put into SQLite's file directly, each
with its charge, so that an audit is clean.
"""

import contextlib
import json
import os
import pathlib
import signal
import socket
import sqlite3
import statistics
import subprocess
import threading
import time
from decimal import Decimal

import pytest

import priced
import procs
import stores
from procs import CtlError, await_

ROWS = 300_000
MANY = {"cmd": "show ledger", "args": {"limit": 50000}}
ERRANDS = 16    # at once, hubd/billing/errand.h
PRICE = Decimal(priced.PLAIN["input_cost_per_token"])
COLUMNS = ("id, time_ms, account, key, agent, provider, dialect, endpoint, "
           "model, price, tier, price_version, status, stream, outcome, "
           "attempts, usage, amount, estimated, unpriced_kinds, duration_ms")


def fill(site, rows, name="bulk"):
    """Rows of an account of their own, each with its charge."""
    site.hub.account(name, "1000000")
    db = sqlite3.connect(site.hub.state_dir / "hubd.db", timeout=30)
    db.execute("PRAGMA wal_autocheckpoint = 0")     # that is the hub's
    account, = db.execute("SELECT id FROM account WHERE name = ?",
                          (name,)).fetchone()
    version, = db.execute("SELECT max(version) FROM price_version").fetchone()
    begin = int(time.time() * 1000) - 2 * rows
    spent = Decimal(0)
    for first in range(0, rows, 20_000):
        ledger, changes = [], []
        for i in range(first, min(rows, first + 20_000)):
            tokens = 1 + i % 997
            amount = PRICE * tokens
            spent += amount
            text = f"{amount.normalize():f}"
            row_id = (f"{begin + i:012x}"[:8] + "-" +
                      f"{begin + i:012x}"[8:] + f"-7000-8000-{account * 2**24 + i:012x}")
            ledger.append((
                row_id, begin + i, account, "key_bulk", "edge", "openai",
                "openai", "/v1/chat/completions", "sim-chat", "sim-chat",
                "default", version, 200, 0, "complete", 1,
                json.dumps({"input": tokens}, separators=(",", ":")), text,
                "", 0, 3))
            changes.append((account, begin + i, "charge", "-" + text, row_id))
        with db:
            db.executemany(f"INSERT INTO ledger ({COLUMNS}) VALUES "
                           f"({', '.join('?' * 21)})", ledger)
            db.executemany(
                "INSERT INTO balance_change (account, time_ms, kind, amount, "
                "ref) VALUES (?, ?, ?, ?, ?)", changes)
    with db:
        db.execute("UPDATE account SET balance = ?, spent = ? WHERE id = ?",
                   (f"{(1000000 - spent).normalize():f}",
                    f"{spent.normalize():f}", account))
    db.close()


@pytest.fixture(scope="module")
def big(module_site):
    site = module_site(store=stores.Store("sqlite", "local"))
    fill(site, ROWS)
    return site


# ---- what is there ---------------------------------------------------------

def billing_pid(site):
    return site.hub.ctl("show", "status")["billing"]["pid"]


def title(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return b""


def state(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rsplit(")", 1)[1].split()[0]


def children(pid):
    """Also those that are dead and not reaped."""
    return [int(p) for p in
            pathlib.Path(f"/proc/{pid}/task/{pid}/children")
            .read_text().split()]


def errands(site):
    return [p for p in children(billing_pid(site))
            if title(p) in (b"hubd: errand", b"")]


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def await_no_errands(site):
    """Not one is left, dead or alive."""
    await_("no errand", lambda: not errands(site))


@contextlib.contextmanager
def client(site, request):
    """A client of the control socket that has asked and does not read."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(os.path.join(site.hub.run_dir, "hubd.ctl"))
        s.sendall(json.dumps(request).encode() + b"\n")
        s.settimeout(30)
        yield s


def read_all(s):
    out = b""
    while data := s.recv(1 << 20):
        out += data
    return out


def booked(site):
    body = procs.fetch(site.hub.admin_port, "GET", "/metrics")[2].decode()
    return sum(int(line.split()[1]) for line in body.splitlines()
               if line.startswith("hubd_rows_booked_total"))


def time_to_book(site):
    """Seconds from the answer to a request to its row in the store."""
    before = booked(site)
    status, fields, _ = site.chat(site.payer)
    assert status == 200 and fields["x-hub-cost"]
    begin = time.monotonic()
    await_("the row to be booked", lambda: booked(site) > before)
    return time.monotonic() - begin


def ctl(site, *args, stdout=subprocess.PIPE):
    """hubctl as a process that is under way."""
    return subprocess.Popen(
        [str(procs.BUILD / "hubctl"), "-j", "-f", str(site.hub.conf), *args],
        stdout=stdout, stderr=subprocess.PIPE, text=True)


# ---- nothing waits ---------------------------------------------------------

def test_long_queries_delay_no_commit(big, show):
    """An audit of all rows and listings of 50,000, one after the other, while
    requests are served: each is booked as fast as without them."""
    quiet = [time_to_book(big) for _ in range(30)]
    done, lengths = threading.Event(), []

    def query():
        while not done.is_set():
            for args in (("audit", "full"), ("show", "ledger", "limit",
                                             "50000")):
                begin = time.monotonic()
                p = ctl(big, *args, stdout=subprocess.DEVNULL)
                assert p.wait(60) == 0
                lengths.append(time.monotonic() - begin)

    thread = threading.Thread(target=query)
    thread.start()
    try:
        await_("an errand", lambda: errands(big))
        busy = []
        while len(lengths) < 2 or len(busy) < 60:
            busy.append(time_to_book(big))
    finally:
        done.set()
        thread.join()
    show(f"booked after {statistics.median(quiet) * 1e3:.1f} ms, at most "
         f"{max(quiet) * 1e3:.1f} ms; beside queries that took "
         f"{min(lengths):.1f} to {max(lengths):.1f} s after "
         f"{statistics.median(busy) * 1e3:.1f} ms, at most "
         f"{max(busy) * 1e3:.1f} ms")
    assert max(lengths) > 0.5, "the queries were too short to prove anything"
    assert statistics.median(busy) < 0.25
    assert max(busy) < max(lengths) / 2 + 0.25


@pytest.mark.parametrize("command", ["show ledger", "audit", "backup"])
def test_an_errand_that_stands_still_delays_no_commit(big, command, tmp_path):
    """It has looked at the store, and is stopped: rows are booked, other
    errands run, changes are made."""
    arm = big.hub.failpoints / "errand.ready"
    arm.write_text("stop\n")
    args = [str(tmp_path / "copy.db")] if command == "backup" else []
    p = ctl(big, *command.split(), *args)
    try:
        pid, = await_("a stopped errand", lambda: [
            e for e in errands(big) if state(e) == "T"])
        assert max(time_to_book(big) for _ in range(5)) < 2
        assert big.hub.balance("bulk")["state"] == "active"
        big.hub.ctl("account", "credit", "bulk", "1")
        os.kill(pid, signal.SIGCONT)
        out, err = p.communicate(timeout=60)
        assert p.returncode == 0, err
        assert json.loads(out)
    finally:
        p.kill()
        p.communicate()
    await_no_errands(big)


def test_clients_that_do_not_read_disturb_nobody(big):
    """As many as may be; one more is refused. When they are gone all is as
    before: no process, no descriptor."""
    billing = billing_pid(big)
    files = open_files(billing)
    with contextlib.ExitStack() as stack:
        for _ in range(ERRANDS):
            stack.enter_context(client(big, MANY))
        await_("all to run", lambda: len(errands(big)) == ERRANDS)
        with pytest.raises(CtlError) as e:
            big.hub.ctl("show", "ledger")
        assert e.value.status == 1
        assert "too many commands" in e.value.text
        assert max(time_to_book(big) for _ in range(5)) < 2
        big.hub.ctl("account", "credit", "bulk", "1")
        assert len(errands(big)) == ERRANDS
    await_no_errands(big)
    assert big.hub.ctl("show", "ledger")["rows"]
    await_no_errands(big)
    await_("descriptors to be closed", lambda: open_files(billing) <= files)
    assert billing_pid(big) == billing


def test_a_client_that_never_reads_is_given_up(big):
    """After a minute; after a second here."""
    arm = big.hub.failpoints / "errand.impatient"
    arm.write_text("force\n")
    try:
        with client(big, MANY) as s:
            await_("its errand", lambda: errands(big))
            await_no_errands(big)
            answer = read_all(s)
    finally:
        arm.unlink()
    assert answer.startswith(b'{"data":')
    assert not answer.endswith(b"\n")
    assert "does not read" in big.hub.tail()


def test_a_slow_reader_gets_all_of_it(big):
    with client(big, MANY) as s:
        first = s.recv(1000)
        assert time_to_book(big) < 2
        doc = json.loads(first + read_all(s))
    assert doc["status"] == 0
    assert len(doc["data"]["rows"]) == 50000
    times = [r["time"] for r in doc["data"]["rows"]]
    assert times == sorted(times, reverse=True)


def peak_kib(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmHWM:")[1].split()[0])


def test_an_export_of_everything_takes_constant_memory(big, tmp_path):
    """On both sides, and however long it waits in between."""
    out = tmp_path / "rows.jsonl"
    with open(out, "wb") as f:
        p = ctl(big, "export", "ledger", "account", "bulk", "format", "jsonl",
                stdout=f)
    pid, = await_("its errand", lambda: errands(big))
    await_("a part of it", lambda: out.stat().st_size > 10_000_000, 30)
    os.kill(p.pid, signal.SIGSTOP)
    assert time_to_book(big) < 2
    peak = peak_kib(pid), peak_kib(p.pid)
    os.kill(p.pid, signal.SIGCONT)
    _, err = p.communicate(timeout=120)
    assert p.returncode == 0, err
    with open(out, "rb") as f:
        lines = sum(1 for _ in f)
    assert lines == ROWS
    # shared memory and programs included
    assert peak[0] < 40_000 and peak[1] < 10_000, peak
    assert out.stat().st_size > 100_000_000


def test_an_export_that_cannot_be_written_or_ends_says_so(big):
    with open("/dev/full", "wb") as full:
        p = ctl(big, "export", "ledger", stdout=full)
        assert "No space left" in p.communicate(timeout=60)[1]
        assert p.returncode == 1
    await_no_errands(big)
    (big.hub.failpoints / "errand.sending").write_text("kill\nafter 9\n")
    p = ctl(big, "export", "ledger", stdout=subprocess.DEVNULL)
    assert "cut off" in p.communicate(timeout=60)[1]
    assert p.returncode == 1
    await_no_errands(big)


def test_what_a_query_put_off_delays_no_commit(big):
    """SQLite's log grows while a query reads. Copying it into the file is the
    first commit's after that, unless a child does it."""
    log = big.hub.state_dir / "hubd.db-wal"
    (big.hub.failpoints / "errand.ready").write_text("stop\n")
    with client(big, {"cmd": "show accounts"}):
        await_("a stopped errand", lambda: [
            e for e in errands(big) if state(e) == "T"])
        fill(big, 200_000, "more")
        large = log.stat().st_size
        assert large > 80_000_000
        (big.hub.failpoints / "tidier.ready").write_text("stop\n")
    await_no_errands(big)

    def tidiers():
        return [p for p in children(billing_pid(big))
                if title(p) == b"hubd: tidier"]
    time_to_book(big)
    stopped, = await_("who tidies up", lambda: [
        p for p in tidiers() if state(p) == "T"])
    assert max(time_to_book(big) for _ in range(5)) < 2
    assert log.stat().st_size >= large
    os.kill(stopped, signal.SIGCONT)
    await_("it to be done", lambda: not tidiers(), 60)

    def cut_short():
        assert time_to_book(big) < 2
        return log.stat().st_size < 70_000_000
    await_("the log to be short again", cut_short)
    assert not tidiers()
    assert big.hub.ctl("audit")["ok"]


@pytest.mark.parametrize("point,how", [("tidier", "force\n"),
                                       ("tidier.ready", "stop\n")])
def test_a_log_that_a_child_cannot_copy_does_not_grow_for_ever(
        big, point, how):
    """Because it ends at once, or hangs."""
    log = big.hub.state_dir / "hubd.db-wal"
    impatient = big.hub.failpoints / "billing.impatient"
    impatient.write_text("force\n")
    (big.hub.failpoints / point).write_text(how)
    (big.hub.failpoints / "errand.ready").write_text("stop\n")
    with client(big, {"cmd": "show accounts"}):
        await_("a stopped errand", lambda: [
            e for e in errands(big) if state(e) == "T"])
        fill(big, 200_000, point)
        large = log.stat().st_size
        assert large > 80_000_000
    await_no_errands(big)

    def cut_short():
        time_to_book(big)
        return log.stat().st_size < 70_000_000
    await_("the log to be short again", cut_short, 30)
    impatient.unlink()
    (big.hub.failpoints / point).unlink(missing_ok=True)


# ---- ends ------------------------------------------------------------------

def test_many_errands_leave_nothing(big):
    billing = billing_pid(big)
    for _ in range(3):
        big.hub.ctl("show", "accounts")
    await_no_errands(big)
    files = open_files(billing)
    for i in range(100):
        big.hub.ctl("show", "ledger", "limit", str(1 + i % 3))
    await_no_errands(big)
    await_("descriptors to be closed", lambda: open_files(billing) <= files)
    assert billing_pid(big) == billing


def test_a_killed_errand_is_told_to_its_client(big):
    arm = big.hub.failpoints / "errand.sending"
    arm.write_text("kill\nafter 3\n")
    with pytest.raises(CtlError) as e:
        big.hub.ctl("show", "ledger", "limit", "50000")
    assert e.value.status == 1
    assert "cut off" in e.value.text
    await_no_errands(big)
    assert len(big.hub.ctl("show", "ledger", "limit", "7")["rows"]) == 7


@pytest.mark.parametrize("step", ["errand", "errand.ready"])
def test_an_errand_that_dies_young(big, step):
    arm = big.hub.failpoints / step
    arm.write_text("kill\n")
    with pytest.raises(CtlError) as e:
        big.hub.ctl("show", "accounts")
    assert e.value.status == 1
    await_no_errands(big)
    assert big.hub.ctl("show", "accounts")["accounts"]


@pytest.mark.parametrize("point", ["errand", "errand.ready",
                                   "errand.sending"])
def test_a_client_that_goes_takes_its_errand_along(big, point):
    """Even one that is stopped, wherever."""
    (big.hub.failpoints / point).write_text("stop\n")
    p = ctl(big, "show", "ledger", "limit", "50000")
    await_("a stopped errand", lambda: [
        e for e in errands(big) if state(e) == "T"])
    p.kill()
    p.communicate()
    await_no_errands(big)


def test_half_closed_clients_are_answered(big):
    with client(big, {"cmd": "show accounts"}) as s:
        s.shutdown(socket.SHUT_WR)
        assert json.loads(read_all(s))["status"] == 0


def test_a_killed_billing_takes_its_errands_along(big):
    (big.hub.failpoints / "errand.ready").write_text("stop\n")
    before = billing_pid(big)
    with client(big, MANY) as s, client(big, MANY) as other:
        pids = await_("two errands", lambda: len(errands(big)) == 2 and
                      any(state(e) == "T" for e in errands(big)) and
                      errands(big))
        os.kill(before, signal.SIGKILL)
        for c in (s, other):
            assert not read_all(c).endswith(b"\n")
        await_("them to be gone", lambda: not any(map(title, pids)))
    await_("another billing",
           lambda: billing_pid(big) not in (0, before))
    assert time_to_book(big) < 5
    assert big.hub.ctl("audit")["ok"]
    await_no_errands(big)


# ---- what an errand is -----------------------------------------------------

def test_an_errand_has_nothing_that_it_does_not_need(big):
    """Shared memory to be read, the client, the pair to billing, the store to
    be read: no queue, no control socket, nothing that can be written."""
    (big.hub.failpoints / "errand.ready").write_text("stop\n")
    with client(big, MANY):
        pid, = await_("a stopped errand", lambda: [
            e for e in errands(big) if state(e) == "T"])
        assert title(pid) == b"hubd: errand"
        found = {}
        for fd in os.listdir(f"/proc/{pid}/fd"):
            name = os.path.basename(os.readlink(f"/proc/{pid}/fd/{fd}"))
            info = pathlib.Path(f"/proc/{pid}/fdinfo/{fd}").read_text()
            flags = int(info.split("flags:")[1].split()[0], 8)
            kind = name.split(":")[0]
            found.setdefault(kind, []).append(flags & os.O_ACCMODE)
        assert found["hubd.run"] == [os.O_RDONLY]
        assert found["hubd.pub"] == [os.O_RDONLY]
        assert found["hubd.db"] == [os.O_RDONLY]
        assert len(found["socket"]) == 2, found
        assert not set(found) - {
            "hubd.run", "hubd.pub", "hubd.db", "hubd.db-wal", "hubd.db-shm",
            "socket", "null", "hubd.log"}, found
        environ = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
        assert {v.split(b"=")[0] for v in environ.split(b"\0") if v} <= {
            b"PATH", b"TZ", b"FAILPOINT_DIR"}
        maps = pathlib.Path(f"/proc/{pid}/maps").read_text()
        for line in maps.splitlines():
            if line.endswith(("hubd.run", "hubd.pub")):
                assert line.split()[1].startswith("r--"), line
    await_no_errands(big)
