"""Back-pressure: what cannot be booked yet waits in the call table, and when
that is full requests are refused, before anything could be lost.
"""

import concurrent.futures
import json
import os
import re
import signal
import subprocess

import pytest

import crash
import disk
import procs
from procs import await_, error_code, fetch

SLOTS = 64
# The table may not be seen as full while a row of it is just being freed.
MOST = 4 * SLOTS


@pytest.fixture
def narrow(sites):
    """Makes a site with a small call table, and who pays there."""
    def make(**options):
        site = sites(workers=2, options={"max_calls": SLOTS, **options})
        site.payer = site.account(str(crash.CREDIT))
        site.payer_key = site.hub.key(site.payer)[0]
        return site
    return make


def reason(site, which):
    status, _, body = fetch(site.hub.port, "GET", "/" + which)
    return status, json.loads(body)["reason"]


def fill_table(site):
    """Asks until nothing is taken any more; ids of what was admitted and of
    what was refused."""
    served, refused = set(), set()

    def ask(_):
        status, fields, body = site.chat(site.payer_key, crash.MODEL)
        if status == 200:
            served.add(fields["x-request-id"])
            return
        assert (status, error_code(body)) == (503, "overloaded"), body
        assert int(fields["retry-after"]) >= 1
        refused.add(fields["x-request-id"])
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        while len(refused) < 8:
            list(pool.map(ask, range(8)))
            assert len(served) < MOST, "as many served as asked"
    return served, refused


def check_full(site):
    assert reason(site, "readyz") == (503, "overloaded")
    assert fetch(site.hub.port, "GET", "/healthz")[0] == 200


def check_all_there(site, served, refused):
    """Each that was admitted has its row, once; who was refused has none."""
    await_("room again", lambda: site.hub.health("readyz"), 30)
    rows = site.hub.rows(served, 30)
    assert {r["outcome"] for r in rows.values()} == {"complete"}
    everything = crash.ledger(site, site.payer)
    assert len(everything) == len(served)
    assert not refused & {r["id"] for r in everything}
    crash.check_books(site, site.payer, everything)
    assert site.chat(site.payer_key, crash.MODEL)[0] == 200


@pytest.mark.parametrize("then", [signal.SIGCONT, signal.SIGKILL])
def test_billing_stopped_until_nothing_is_taken(narrow, then):
    site = narrow()
    pid = crash.pid_of(site, "billing")
    os.kill(pid, signal.SIGSTOP)
    try:
        served, refused = fill_table(site)
        assert len(served) == SLOTS
        check_full(site)
    finally:
        os.kill(pid, then)
    check_all_there(site, served, refused)


def test_a_billing_that_does_not_move_is_told(sites):
    """Nobody is disturbed by it, but show status, health, metrics and log
    say so."""
    site = sites()
    silent = "hubd_billing_silent_seconds"

    def status():
        return site.hub.ctl("show", "status", json_out=False)

    def silent_s():
        text = fetch(site.hub.admin_port, "GET", "/metrics")[2].decode()
        return int(text.partition(f"\n{silent} ")[2].split()[0])

    def logged(what):
        return what in site.hub.log.read_text()
    assert "MOVED" not in status() and silent_s() in range(4)
    pid = crash.pid_of(site, "billing")
    os.kill(pid, signal.SIGSTOP)
    try:
        await_("the status", lambda: "HAS NOT MOVED FOR" in status(), 30)
        assert silent_s() >= 5
        for which in ("healthz", "readyz"):
            assert reason(site, which) == (200, "billing does not move")
        await_("the log", lambda: logged(
            f"billing (pid {pid}) has not moved for 10 s"), 30)
        waits = subprocess.Popen(
            [procs.BUILD / "hubctl", "-f", site.hub.conf, "show", "accounts"],
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        said = waits.stderr.readline()
        assert re.search(r"billing has not moved for \d+ s: waiting", said)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert waits.wait(30) == 0
    await_("the end of it", lambda: logged(f"billing (pid {pid}) moves"))
    assert "MOVED" not in status() and reason(site, "healthz") == (200, "")


def test_streams_go_on_while_nothing_new_is_taken(narrow):
    """Those under way keep their places and are billed as they end."""
    site = narrow()
    site.sim.bind("own-bound", "own/chat-plain.json", first_ms=1500)
    pid = crash.pid_of(site, "billing")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        slow = [pool.submit(site.chat, site.payer_key, "own-bound")
                for _ in range(8)]
        await_("them to be under way",
               lambda: len(site.hub.ctl("show", "calls")["calls"]) == 8)
        os.kill(pid, signal.SIGSTOP)
        try:
            served, refused = fill_table(site)
            assert len(served) == SLOTS - 8
            replies = [s.result() for s in slow]
        finally:
            os.kill(pid, signal.SIGCONT)
    assert [r[0] for r in replies] == [200] * 8
    check_all_there(
        site, served | {r[1]["x-request-id"] for r in replies}, refused)


@pytest.mark.parametrize("killed", [None, "billing", "worker", "master"])
def test_disk_full_until_nothing_is_taken(narrow, small_disk, killed):
    state = small_disk / "state"
    state.mkdir()
    site = narrow(state_dir=str(state))
    disk.fill(small_disk / "filler")
    served, refused = fill_table(site)
    check_full(site)
    if killed:
        os.kill(crash.pid_of(site, killed), signal.SIGKILL)
    if killed == "master":
        site.hub.child.wait(10)
        site.hub.launch()
    (small_disk / "filler").unlink()
    if killed == "master":
        await_("the hub to live again", site.hub.settled, 20)
        crash.renew_agent(site)
    await_("room again", lambda: site.hub.health("readyz"), 30)
    check_all_there(site, served, refused)
