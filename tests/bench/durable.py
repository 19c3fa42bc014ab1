"""What the stores take, and what an outage of the shared one leaves behind.

PostgreSQL is a real one that fsyncs. It has the generator's core: what the
hub does for it is on the hub's own.
"""

import os
import signal
import sys
import time

from generator import QUICK, ROUNDS, burst, result, steady
from measure import CORES, HERE, cpu_ns, median
from sites import ROOT, Hub, wait_until

sys.path.append(os.path.join(ROOT, "tests", "system"))
import postgresql  # noqa: E402

SERVED = 200  # requests a second, that go on during the outage
WAITED = 6000 if QUICK else SERVED * 600  # rows of ten minutes
LOOK_S = 2 if QUICK else 10
LONG_S = 600  # no wait takes longer
SQLITE = "hub, SQLite, backlog"


def start_server(pg):
    os.sched_setaffinity(0, {HERE})
    try:
        pg.start()
    finally:
        os.sched_setaffinity(0, CORES)


def shared(site):
    """The hub whose store is PostgreSQL; made by the first who asks."""
    if site.pg is None:
        site.pg = postgresql.PostgreSQL(durable=True)
        start_server(site.pg)
        site.database = site.pg.create()
        site.stored = Hub(site, "stored", False,
                          store=site.pg.url(site.database))
    return site.stored


def taken(hub):
    return hub.metric("hubd_shared_rows_total")


def wait_for_rows(count, n):
    wait_until("rows", lambda: count() >= n, LONG_S)


def take_away(site, hub):
    """The store is gone, and the hub knows; nothing waited before."""
    wait_until("the spool to be empty", lambda: idle(hub), LONG_S)
    site.pg.end()
    wait_until("the store to be away",
               lambda: hub.metric("hubd_shared_store_up") == 0)


def idle(hub):
    """Nothing waits, says show status."""
    billing = hub.ctl("show", "status")["billing"]
    return billing["pending"] == 0 and billing["spooled"] == 0


def check_books(site, hub):
    wait_until("the spool to be empty", lambda: idle(hub), LONG_S)
    there = int(site.pg.value("SELECT count(*) FROM ledger", site.database))
    if there != hub.booked():
        raise SystemExit(f"{hub.booked()} rows booked, {there} in PostgreSQL")


# ---- events a second -------------------------------------------------------


def serving(site, hub, count, n):
    """Rows a second, on one core with all that makes them."""
    start, t0 = count(), time.monotonic()
    r = burst(site, hub, n)
    wait_for_rows(count, start + n)
    return {**r, "rows": n / (time.monotonic() - t0)}


def backlog(site, hub, n):
    """Rows a second that billing alone commits: a backlog, let go."""
    start, pid = hub.booked(), hub.billing()
    os.kill(pid, signal.SIGSTOP)
    try:
        burst(site, hub, n)
    finally:
        os.kill(pid, signal.SIGCONT)
    t0 = time.monotonic()
    wait_for_rows(hub.booked, start + n)
    return alone(n / (time.monotonic() - t0))


def flow(site, hub, n):
    """PostgreSQL comes back to n rows: how many a second go there from when
    the first do, and the seconds until all are there, which begin with what
    is left of the courier's pause between two tries."""
    start = taken(hub)
    start_server(site.pg)
    ready = time.monotonic()
    wait_for_rows(lambda: taken(hub), start + 1)
    first, t0 = taken(hub), time.monotonic()
    wait_for_rows(lambda: taken(hub), start + n)
    end = time.monotonic()
    return {"rows": (start + n - first) / (end - t0), "seconds": end - ready}


def alone(rows, **_):
    """No generator ran."""
    return {"rows": rows, "generator": 0, "simulator": 0, "errors": 0}


def events_round(site, n):
    """A name and what was found, of each row."""
    hub = shared(site)
    yield SQLITE, backlog(site, site.hub, n)
    yield "hub, SQLite, serving", serving(site, site.hub, site.hub.booked, n)
    yield "hub, PostgreSQL, serving", serving(site, hub, lambda: taken(hub),
                                              n)
    take_away(site, hub)
    yield "hub, spool, backlog", backlog(site, hub, n)
    yield "hub, PostgreSQL, backlog", alone(**flow(site, hub, n))
    check_books(site, hub)


def events(site, what):
    runs = {}
    for _ in range(ROUNDS):
        for part, r in events_round(site, 10000 if QUICK else 40000):
            runs.setdefault(part, []).append(r)
    return [row(what, part, rs, rows=median([r["rows"] for r in rs]))
            for part, rs in runs.items()]


# ---- an outage -------------------------------------------------------------


class Steady:
    """A load as ever, while something goes on."""

    def __init__(self, site, hub):
        self.site, self.hub = site, hub

    def __enter__(self):
        self.sim_ns = cpu_ns(self.site.sim)
        self.process = steady(self.hub.candidate, SERVED)
        return self

    def __exit__(self, *_):
        self.found = result(self.process, self.site, self.sim_ns)


def outage(site, what):
    """Users all the time; meanwhile the store goes, and comes back."""
    hub = shared(site)
    with Steady(site, hub) as before:
        time.sleep(LOOK_S)
    take_away(site, hub)
    with Steady(site, hub) as away:
        time.sleep(LOOK_S)
    burst(site, hub, WAITED - away.found["requests"])
    wait_until("rows", lambda: hub.metric("hubd_pending") == 0, LONG_S)
    waited = hub.metric("hubd_spool_rows")
    with Steady(site, hub) as after:
        back = flow(site, hub, waited)
    check_books(site, hub)
    return [latency(what, "hub, before", before.found),
            latency(what, "hub, PostgreSQL away", away.found),
            latency(what, "hub, catching up", after.found, waited=waited,
                    **back)]


def latency(what, part, r, **more):
    return row(what, part, [r], p50=r["p50_us"], p99=r["p99_us"], **more)


def row(what, part, rs, **more):
    return {"what": what, "part": part, "tls": False,
            "errors": sum(r["errors"] for r in rs),
            "generator": max(r["generator"] for r in rs),
            "simulator": max(r["simulator"] for r in rs), **more}
