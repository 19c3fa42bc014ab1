"""The crash matrix: at every step of a call each process is killed.

One table: rows are steps, columns what was killed, cells what the books
showed. Before OPEN there may be no row, from then on there is exactly one;
a charge counts at every moment; nothing is left taken; the audit is clean.
"""

import concurrent.futures
import dataclasses
import os
import signal
from decimal import Decimal

import pytest

import crash
import disk
import priced
import procs
from procs import await_

COLUMNS = ("worker", "billing", "master", "agent")
LOST = {"orphaned"}     # of the worker that had it
CUT = {"failed"}        # the agent's end
WELL = {"complete"}


@dataclasses.dataclass(frozen=True)
class Step:
    """A crash point and what the books may show behind it."""
    name: str
    process: str        # that passes the point
    point: str
    worker: tuple       # rows and outcomes, by what is killed
    master: tuple
    agent: tuple
    text: str = ""      # in place of kill
    before: int = 0     # requests ahead of it
    seen: bool = False  # something to be billed has passed
    model: str = crash.MODEL

    def expected(self, victim):
        if victim == "billing":
            return {1}, WELL
        return getattr(self, victim)


NONE, ONE, EITHER = {0}, {1}, {0, 1}
LATE = dict(worker=(ONE, WELL), master=(ONE, WELL), agent=(ONE, WELL))
# What is killed from elsewhere lives on for an instant: an answer that takes
# long is not over by then.
OPENED = dict(worker=(ONE, LOST), master=(ONE, LOST), agent=(ONE, CUT),
              model=crash.LASTING)
# The master's children live on for an instant: they may get past OPEN.
EARLY = dict(worker=(NONE, set()), master=(EITHER, LOST),
             agent=(EITHER, CUT), model=crash.LASTING)
# Handed to the socket is not yet seen by the worker, and may be.
ENDED = dict(worker=(ONE, LOST | WELL), master=(ONE, LOST | WELL),
             agent=(ONE, CUT | WELL))

STEPS = [
    Step("head read", "worker", "worker.head_read", **EARLY),
    Step("slot taken", "worker", "worker.taken", **EARLY),
    Step("cells taken", "worker", "worker.cells_taken", **EARLY),
    Step("open", "worker", "worker.open", **OPENED),
    Step("open, slot reused", "worker", "worker.open", **OPENED,
         before=crash.SLOTS),
    Step("sent", "worker", "worker.sent", **OPENED),
    Step("call received", "agent", "agent.call_received", **OPENED),
    Step("sent upstream", "agent", "agent.sent", **OPENED),
    Step("head at the agent", "agent", "agent.head", **OPENED),
    Step("head", "worker", "worker.head", **OPENED),
    Step("streaming, agent", "agent", "agent.streaming", **OPENED),
    Step("streaming", "worker", "worker.streaming", **OPENED, seen=True),
    Step("end at the agent", "agent", "agent.end", **ENDED),
    Step("final", "worker", "worker.final", **LATE),
    Step("message sent", "worker", "worker.queued", **LATE),
    Step("message lost", "worker", "worker.message_lost", **LATE,
         text="skip"),
    Step("message read", "billing", "billing.intake", **LATE),
    Step("in transaction", "billing", "billing.in_transaction", **LATE),
    Step("committed", "billing", "billing.committed", **LATE),
    Step("published", "billing", "billing.published", **LATE),
    Step("booked", "billing", "billing.booked", **LATE),
    Step("booked, not freed", "worker", "worker.booked", **LATE),
    Step("freed", "worker", "worker.freed", **LATE),
]


def run_column(victim):
    site = crash.new_site()
    try:
        return {(s.name, victim): crash.guarded_cell(site, s, victim)
                for s in STEPS}
    finally:
        site.close()


def test_crash_matrix(show):
    """Columns run side by side, each on a site of its own."""
    cells = {}
    with concurrent.futures.ThreadPoolExecutor(len(COLUMNS)) as pool:
        for column in pool.map(run_column, COLUMNS):
            cells.update(column)
    show(crash.table(STEPS, COLUMNS, cells))
    wrong = [c.wrong for c in cells.values() if c.wrong]
    assert not wrong, "\n".join(wrong)


# ---- not killed, but as good as --------------------------------------------

STOPPED = [
    Step("stopped while streaming", "worker", "worker.streaming", **OPENED,
         text="stop", seen=True),
    Step("stopped at final", "worker", "worker.final", **LATE, text="stop"),
]


def test_stopped_worker_is_replaced_and_its_call_billed(show):
    """The watchdog ends what has not said anything for 10 s."""
    site = crash.new_site()
    try:
        cells = {(s.name, "worker"): crash.guarded_cell(site, s, "worker")
                 for s in STOPPED}
    finally:
        site.close()
    show(crash.table(STOPPED, ("worker",), cells))
    wrong = [c.wrong for c in cells.values() if c.wrong]
    assert not wrong, "\n".join(wrong)


@pytest.fixture
def alone():
    """A site of the test's own, as the matrix has them."""
    site = crash.new_site(options={"max_calls": 256})
    yield site
    site.close()


def payer(site):
    account = site.account(str(crash.CREDIT))
    return (account, *site.hub.key(account, "concurrency", "100"))


def settle(site, account, key_id, n):
    """n complete rows, exact, and nothing left taken."""
    await_("nothing to be taken",
           lambda: crash.nothing_taken(site, account, key_id), 30)
    # rows of the hub before this one are billed a moment after its start
    await_("all rows", lambda: len(crash.ledger(site, account)) >= n, 30)
    rows = crash.ledger(site, account)
    assert [r["outcome"] for r in rows] == ["complete"] * n
    crash.check_books(site, account, rows)


@pytest.mark.parametrize("point", ["billing.in_transaction",
                                   "billing.committed"])
def test_hub_serves_while_billing_is_stopped(alone, point):
    account, key, key_id = payer(alone)
    pid = crash.pid_of(alone, "billing")
    path = crash.arm(alone, point, "stop")
    assert alone.chat(key, crash.MODEL)[0] == 200
    await_("billing to stop", lambda: not path.exists())
    try:
        for _ in range(20):
            assert alone.chat(key, crash.MODEL)[0] == 200
    finally:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass  # it was replaced: as well
    settle(alone, account, key_id, 21)


def store_up(site):
    status = crash.asked(site.hub.ctl, "show", "status")
    return status and status["billing"]["store_up"]


@pytest.mark.parametrize("killed", [None, "billing", "master"])
def test_full_disk_delays_bills_and_loses_none(small_disk, killed):
    """Served all the same; what is killed meanwhile changes nothing."""
    state = small_disk / "state"
    state.mkdir()
    site = crash.new_site(options={"state_dir": str(state),
                                   "max_calls": 1024})
    try:
        account, key, key_id = payer(site)
        disk.fill(small_disk / "filler")
        for _ in range(300):
            assert site.chat(key, crash.MODEL)[0] == 200
        await_("the store to be away", lambda: store_up(site) is False)
        assert site.hub.health("healthz")
        if killed:
            os.kill(crash.pid_of(site, killed), signal.SIGKILL)
        if killed == "master":
            site.hub.child.wait(10)
            site.hub.launch()
        if killed == "billing":
            assert site.chat(key, crash.MODEL)[0] == 200
        (small_disk / "filler").unlink()
        await_("the store to be back", lambda: store_up(site), 30)
        settle(site, account, key_id, 301 if killed == "billing" else 300)
    finally:
        site.close()


def full_pipe():
    """Both ends of a pipe that nobody reads and that takes nothing more."""
    r, w = os.pipe()
    os.set_blocking(w, False)
    try:
        while True:
            os.write(w, b"x" * 512)
    except BlockingIOError:
        pass
    try:
        while True:
            os.write(w, b"x")
    except BlockingIOError:
        os.set_blocking(w, True)
    return r, w


def test_log_that_nobody_reads_stops_nothing(alone):
    """stderr is a pipe, full, and blocking as pipes are."""
    account, key, key_id = payer(alone)
    alone.hub.stop_here()
    r, w = full_pipe()
    alone.hub.stderr = w
    try:
        crash.relaunch(alone.hub)
        crash.renew_agent(alone)
        alone.hub.await_ready()
        for _ in range(10):
            assert alone.chat(key, crash.MODEL)[0] == 200
            assert crash.ask(alone, "sk-nobody").status == 401
        settle(alone, account, key_id, 10)
        pid = crash.pid_of(alone, "worker")
        os.kill(pid, signal.SIGKILL)
        crash.revive(alone, "worker")
        assert alone.chat(key, crash.MODEL)[0] == 200
    finally:
        os.close(r)
        os.close(w)


def test_old_rows_are_billed_once_by_the_next_hub(alone):
    """All are killed while many calls are open, and twice in a row."""
    account, key, key_id = payer(alone)
    for _ in range(2):
        streams = [crash.open_stream(alone, key) for _ in range(20)]
        alone.hub.child.kill()
        crash.revive(alone, "master")
        for s in streams:
            s.close()
    await_("nothing to be taken",
           lambda: crash.nothing_taken(alone, account, key_id))
    rows = crash.ledger(alone, account)
    assert [r["outcome"] for r in rows] == ["orphaned"] * 40
    assert all(Decimal(r["amount"]) > 0 for r in rows)
    crash.check_books(alone, account, rows)


@pytest.mark.parametrize("point", ["master.reaped", "master.spawned"])
def test_master_dies_while_it_replaces_a_worker(alone, point):
    account, key, key_id = payer(alone)
    streams = [crash.open_stream(alone, key) for _ in range(5)]
    path = crash.arm(alone, point, "kill")
    os.kill(crash.pid_of(alone, "worker"), signal.SIGKILL)
    await_("the master to be killed", lambda: not path.exists())
    crash.revive(alone, "master")
    for s in streams:
        s.close()
    await_("nothing to be taken",
           lambda: crash.nothing_taken(alone, account, key_id))
    rows = crash.ledger(alone, account)
    assert [r["outcome"] for r in rows] == ["orphaned"] * 5
    crash.check_books(alone, account, rows)


def test_worker_dies_that_passes_streams_on_for_another():
    """Its own calls are orphaned, those it relayed have failed."""
    site = procs.Site(priced.PRICES, workers=2, links=1)
    try:
        account, key, key_id = payer(site)
        streams = [crash.open_stream(site, key) for _ in range(20)]
        workers = site.hub.ctl("show", "workers")["workers"]
        held = {w["links"]: w for w in workers}
        assert set(held) == {0, 1}, workers
        os.kill(held[1]["pid"], signal.SIGKILL)
        said = f'worker {held[1]["slot"]} (pid {held[1]["pid"]}) left'
        crash.revive(site, "worker")
        for s in streams:
            s.close()
        await_("the log", lambda: f"what {said} is booked\n"
               in site.hub.log.read_text())
        await_("nothing to be taken",
               lambda: crash.nothing_taken(site, account, key_id))
        rows = crash.ledger(site, account)
        outcomes = sorted(r["outcome"] for r in rows)
        assert outcomes.count("orphaned") == held[1]["streams"]
        assert outcomes.count("failed") == held[0]["streams"]
        assert len(rows) == 20
        assert all(Decimal(r["amount"]) > 0 for r in rows)
        crash.check_books(site, account, rows)
        assert site.chat(key)[0] == 200
    finally:
        site.close()
