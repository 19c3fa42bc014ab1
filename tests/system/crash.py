"""The machinery of the crash matrix: one request, one kill, the books after.

A cell arms one failpoint, sends one streamed request, revives what was
killed and reads what the books say until nothing is left taken.
"""

import dataclasses
import decimal
import http.client
import json
import os
import pathlib
import signal
import threading
from decimal import Decimal

import money
import priced
import procs
from procs import CtlError, await_, bearer

decimal.DefaultContext.prec = 200   # of every thread: sums are exact
decimal.setcontext(decimal.DefaultContext.copy())

MODEL = priced.SHORT
LASTING = priced.shape("sim-c5-d500-i11-o45", priced.FULL)  # the same in 2 s
REPORTED = {"input": 11, "output": 45}
CREDIT = Decimal(1000)
SLOTS = 16      # rows of the call table: they are reused all the time
CLEAN_S = 20    # nothing may be left taken after that


@dataclasses.dataclass
class Reply:
    """What the user saw."""
    status: int = 0         # 0: no head came
    request_id: str = ""
    whole: bool = False     # the body came to its end

    def __str__(self):
        if not self.status:
            return "no head"
        return f"{self.status}{'' if self.whole else ' cut'}"


def ask(site, key, model=MODEL, timeout=30):
    """One streamed request, whatever becomes of it."""
    reply = Reply()
    c = procs.connect(site.hub.port, timeout)
    try:
        c.request("POST", "/v1/chat/completions", json.dumps({
            "model": model, "stream": True, "max_tokens": 100,
            "messages": [{"role": "user", "content": "hello"}]}),
            bearer(key))
        r = c.getresponse()
        reply.request_id = r.getheader("x-request-id", "")
        reply.status = r.status
        body = r.read()
        reply.whole = r.status != 200 or body.endswith(b"data: [DONE]\n\n")
    except (OSError, http.client.HTTPException):
        pass
    finally:
        c.close()
    return reply


def open_stream(site, key, model=priced.LONG, port=None):
    """A connection on which a long stream has begun; the caller closes."""
    c = procs.connect(port or site.hub.port, timeout=10)
    c.request("POST", "/v1/chat/completions", json.dumps({
        "model": model, "stream": True, "max_tokens": 100,
        "messages": [{"role": "user", "content": "hello"}]}), bearer(key))
    r = c.getresponse()
    assert r.status == 200
    r.readline()
    return c


# ---- processes -------------------------------------------------------------

def courier(hub):
    """Its pid, of billing's children; None if there is none now."""
    pid = hub.ctl("show", "status")["billing"]["pid"]
    try:
        text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
        for child in text.split():
            line = pathlib.Path(f"/proc/{child}/cmdline").read_bytes()
            if line.startswith(b"hubd: courier"):
                return int(child)
    except OSError:
        pass    # one that has just ended
    return None


def pid_of(site, role):
    """The pid of what a column of the matrix names."""
    if role == "master":
        return site.hub.pid
    if role == "agent":
        return site.agent.pid
    status = site.hub.ctl("show", "status")
    if role == "billing":
        return status["billing"]["pid"]
    return status["workers"][0]["pid"]


def asked(fn, *args):
    """fn's value, or None as long as the hub cannot answer."""
    try:
        return fn(*args)
    except (CtlError, OSError, http.client.HTTPException):
        return None


def relaunch(hub):
    """Starts a hub anew over the files of the one that was killed."""
    hub.launch()
    await_("the hub to live again", hub.settled, 20)
    assert hub.running(), hub.tail()


def renew_agent(site):
    """A fresh agent dials at once, an old one waits longer and longer."""
    if site.agent.running():
        site.agent.child.send_signal(signal.SIGCONT)
    site.agent.stop(signal.SIGKILL)

    def gone():
        row = asked(site.agent.shown)
        return row is None or row["links"] == 0
    await_("the old links to end", gone)
    site.agent.start().await_up()


def all_alive(site):
    """Every process is there again and nothing of a dead one is left."""
    status = asked(site.hub.ctl, "show", "status")
    workers = asked(site.hub.ctl, "show", "workers")
    return status and workers and status["billing"]["pid"] > 0 and \
        len(status["workers"]) == site.hub.options["workers"] and \
        all(w["state"] == "serving" for w in workers["workers"])


def revive(site, victim, seconds=CLEAN_S):
    """The site as it was before the kill."""
    if victim == "master":
        site.hub.child.wait(10)
        relaunch(site.hub)
    elif victim == "agent":
        site.agent.child.wait(10)
    await_("every process to be there", lambda: all_alive(site), seconds)
    if victim != "billing":
        renew_agent(site)
    site.hub.await_ready()


# ---- the books -------------------------------------------------------------

class Watch:
    """Looks at an account all the time: what is free of it and what is held.

    From the end of an answer on its charge counts at every moment, on the
    balance or as held: so what is free now, less what was held the time
    before, never exceeds what is left in the end.
    """

    def __init__(self, site, account):
        self.site, self.account = site, account
        self.free = []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def look(self):
        """A hub that is not serving yet may still be billing old rows."""
        status = asked(self.site.hub.ctl, "show", "status")
        if status is None or status["state"] == "loading":
            return None
        limits = asked(self.site.hub.ctl, "show", "limits")
        return next((r for r in (limits or {}).get("accounts", [])
                     if r["account"] == self.account), None)

    def run(self):
        held = None
        while not self.ended.wait(0.02):
            row = self.look()
            if row is None:
                held = None
                continue
            if held is not None:
                self.free.append(Decimal(row["available"]) - held)
            held = Decimal(row["held"])

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    def check(self, left):
        assert all(f <= left for f in self.free), \
            f"free {max(self.free)}, more than the {left} that is left"


def nothing_taken(site, account, key_id):
    """No call, no hold, no slot of a key; no row on its way either."""
    calls = asked(site.hub.ctl, "show", "calls")
    limits = asked(site.hub.ctl, "show", "limits")
    row = asked(site.hub.balance, account)
    if calls is None or limits is None or row is None or calls["calls"]:
        return False
    mine = [r for r in limits["accounts"] if r["account"] == account] + \
        [r for r in limits["keys"] if r["key"] == key_id]
    # last: a call that is gone has its row there, not the other way round
    status = asked(site.hub.ctl, "show", "status")
    if status is None or status["billing"].get("spooled"):
        return False
    return len(mine) == 2 and all(r["calls"] == 0 for r in mine) and \
        mine[0]["held"] == "0" and row["held"] == "0"


def ledger(site, account):
    return site.hub.ctl("show", "ledger", "account", account,
                        "limit", "1000")["rows"]


def check_books(site, account, rows):
    """Ids once, amounts of the usage, and the balance is what is left."""
    assert len({r["id"] for r in rows}) == len(rows), "a row twice"
    for r in rows:
        # killed before it was sent anywhere, a call has no model yet
        prices = priced.PRICES[r["model"]] if r["usage"] else {}
        assert r["amount"] == money.cost(prices, r["usage"]), r
    left = CREDIT - sum(Decimal(r["amount"]) for r in rows)
    assert Decimal(site.hub.balance(account)["balance"]) == left
    assert site.hub.ctl("show", "suspense")["suspense"] == []
    site.hub.ctl("audit", "full")
    return left


def row_text(row):
    usage = row["estimated"] or "reported"
    return row["outcome"] + ("" if row["amount"] == "0" else f" {usage}")


# ---- one cell --------------------------------------------------------------

@dataclasses.dataclass
class Cell:
    """What the books showed, and what of it is wrong."""
    text: str
    wrong: str = ""


def arm(site, point, text):
    path = site.hub.failpoints / point
    tmp = path.with_suffix(".new")
    tmp.write_text(text + "\n")
    tmp.rename(path)
    return path


def check_row(row, reply, outcomes):
    assert row["outcome"] in outcomes, f"outcome {row['outcome']}"
    if reply.request_id:
        assert reply.request_id == row["id"]
    if reply.status == 200 and reply.whole:
        assert row["outcome"] == "complete"
    if row["outcome"] == "complete":
        assert row["usage"] == REPORTED and row["estimated"] is False


def earlier(site, account, key, n):
    """Ids of n requests that are over and booked."""
    for _ in range(n):
        assert site.chat(key, MODEL)[0] == 200
    await_("their rows", lambda: len(ledger(site, account)) == n)
    return {r["id"] for r in ledger(site, account)}


def run_cell(site, step, victim, seconds=CLEAN_S):
    """Kills and asks; the cell's text. Raises what is wrong."""
    account = site.account(str(CREDIT))
    key, key_id = site.hub.key(account, "concurrency", "1")
    before = earlier(site, account, key, step.before)
    own = step.process == victim
    text = step.text or ("kill" if own else f"kill {pid_of(site, victim)}")
    pid = pid_of(site, victim)
    path = arm(site, step.point, text)
    reply = ask(site, key, step.model)
    with Watch(site, account) as watch:
        await_(f"{step.point} to be passed", lambda: not path.exists())
        if step.text == "skip" and not own:
            os.kill(pid, signal.SIGKILL)
        if not (step.text == "skip" and own):
            revive(site, victim, seconds)
        await_("nothing to be taken",
               lambda: nothing_taken(site, account, key_id), seconds)
    rows = ledger(site, account)
    new = [r for r in rows if r["id"] not in before]
    watch.check(check_books(site, account, rows))
    counts, outcomes = step.expected(victim)
    assert len(new) in counts, f"{len(new)} rows, not {counts}"
    for row in new:
        check_row(row, reply, outcomes)
        if row["outcome"] in ("orphaned", "failed") and step.seen:
            assert Decimal(row["amount"]) > 0, "seen and not billed"
    return "; ".join(map(row_text, new)) or "no row"


def guarded_cell(site, step, victim):
    """As a cell, with what went wrong; the next cell runs all the same."""
    try:
        return Cell(run_cell(site, step, victim))
    except Exception as e:  # told in the table, and fails the test
        return Cell("WRONG", f"{step.name} / {victim}: {e!r}")


def table(steps, columns, cells):
    """The matrix as text."""
    wide = max(len(s.name) for s in steps) + 2
    widths = {c: max([len(c)] + [len(cells[s.name, c].text)
                                 for s in steps]) + 2 for c in columns}
    lines = ["step".ljust(wide) +
             "".join(c.ljust(widths[c]) for c in columns)]
    lines += [s.name.ljust(wide) +
              "".join(cells[s.name, c].text.ljust(widths[c])
                      for c in columns) for s in steps]
    return "\n".join(line.rstrip() for line in lines)


def new_site(**kwargs):
    """One worker, so that it is known who serves; few slots, so that they
    are reused."""
    options = {"max_calls": SLOTS, **kwargs.pop("options", {})}
    return procs.Site(priced.PRICES, workers=1, links=1, options=options,
                      **kwargs)
