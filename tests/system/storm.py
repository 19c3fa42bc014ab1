"""What a storm is made of: kinds of requests, what may come of each, the
tally, the books behind it, and the kills.
"""

import asyncio
import collections
import dataclasses
import itertools
import os
import pathlib
from decimal import Decimal

import crash
import crowd
import money
import priced
from procs import await_

REPORTED = {"input": 11, "output": 45}
QUICK = priced.shape("sim-c4-i11-o45", priced.FULL)
DRIP = priced.shape("sim-c6-d2-i11-o45", priced.FULL)
BIG = priced.shape("sim-b300000-i11-o45", priced.FULL)
TINY = priced.shape("sim-c4-i11-o45-tiny", priced.TINY)
SILENT = priced.shape("sim-silent", priced.FULL)
FAULTS = {f: priced.shape(f"sim-c4-d4-i11-o45-fault-{f}", priced.FULL)
          for f in ("500", "429", "refuse", "reset", "close", "hang")}

EXACT, SOME, FREE, ANY = "exact", "some", "free", "any"
OVER = {"complete", "cancelled"}
KILLED = {"orphaned", "failed"}     # besides, when processes are killed
KILLED_SEEN = {"- none", "200 cut", "502 whole", "503 whole", "502 left",
               "503 left"}


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of request: how it is asked, and what may come of it."""
    name: str
    share: int
    model: str
    seen: frozenset             # status and end, as its user saw them
    outcomes: frozenset         # of its row; empty: it has none
    bill: str = EXACT
    stream: bool = False
    leave: str = ""
    known: bool = True          # the key is

    def wire(self, port, key):
        return crowd.wire(port, key if self.known else "sk-nobody",
                          crowd.chat(self.model, stream=self.stream))


def kind(name, share, model, seen, outcomes=(), bill=EXACT, **more):
    return Kind(name, share, model, frozenset(seen), frozenset(outcomes),
                bill, **more)


# The end may overtake the beginning: then nothing has reached the user.
BROKEN = {"200 cut", "502 whole"}
WHOLE, DONE = {"200 whole"}, {"complete"}
KINDS = [
    kind("plain", 20, QUICK, WHOLE, DONE),
    kind("stream", 20, QUICK, WHOLE, DONE, stream=True),
    kind("drip", 10, DRIP, WHOLE, DONE, stream=True),
    kind("big", 2, BIG, WHOLE, DONE),
    kind("tiny", 5, TINY, WHOLE, DONE),
    kind("silent", 5, SILENT, WHOLE, DONE, SOME, stream=True),
    kind("left unsent", 5, QUICK, {"- left"}, leave="unsent"),
    kind("left sent", 5, DRIP, {"- left"}, OVER, ANY, stream=True,
         leave="sent"),
    kind("left at head", 5, DRIP, {"200 left"}, OVER, ANY, stream=True,
         leave="head"),
    kind("left in stream", 5, DRIP, {"200 left"}, OVER, ANY, stream=True,
         leave="chunk"),
    kind("left at finish", 5, DRIP, {"200 left"}, OVER, EXACT, stream=True,
         leave="finish"),
    kind("provider 500", 4, FAULTS["500"], {"502 whole"}, {"failed"}, FREE),
    kind("provider 429", 4, FAULTS["429"], {"429 whole"}, DONE, FREE),
    kind("refused", 4, FAULTS["refuse"], {"502 whole"}, {"failed"}, FREE,
         stream=True),
    kind("reset", 4, FAULTS["reset"], BROKEN, {"failed"}, SOME,
         stream=True),
    kind("closed", 4, FAULTS["close"], BROKEN, {"failed"}, SOME,
         stream=True),
    kind("timed out", 1, FAULTS["hang"], {"504 whole"}, {"timed_out"}, FREE,
         stream=True),
    kind("unknown model", 3, "nobody-knows", {"404 whole"}),
    kind("unknown key", 3, QUICK, {"401 whole"}, known=False),
]


def prepare(sim):
    """The simulator's part of the kinds."""
    for fault, model in FAULTS.items():
        sim.bind(model, fault=fault)
    sim.bind(SILENT, "own/chat-stream-silent.sse")


def wants(rng, port, keys, more):
    """Requests of random kinds, as long as more(n) says so."""
    wires = {(k.name, key): k.wire(port, key) for k in KINDS for key in keys}
    bag = [k for k in KINDS for _ in range(k.share)]
    for n in itertools.count():
        if not more(n):
            return
        k = rng.choice(bag)
        yield crowd.Want(k, wires[k.name, rng.choice(keys)], k.leave)


# ---- the tally --------------------------------------------------------------

class Tally:
    """What users saw, by kind, and which rows they must find."""

    def __init__(self, kills):
        self.kills = kills
        self.n = 0
        self.seen = collections.defaultdict(collections.Counter)
        self.rows = collections.defaultdict(collections.Counter)
        self.by_id = {}
        self.wrong = collections.Counter()

    def took(self, got):
        k = got.want.kind
        self.n += 1
        self.seen[k.name][got.seen] += 1
        if got.seen not in k.seen and not (
                self.kills and (got.seen in KILLED_SEEN)):
            self.wrong[f"{k.name}: {got.seen}"] += 1
        if got.id:
            if got.id in self.by_id:
                self.wrong["an id twice"] += 1
            self.by_id[got.id] = got

    def may(self, k):
        return k.outcomes | (KILLED if self.kills and k.outcomes else set())

    def row_wrong(self, row):
        """What is wrong with a row, or None."""
        # killed before it was sent anywhere, a call has no model yet
        prices = priced.PRICES[row["model"]] if row["usage"] else {}
        if row["amount"] != money.cost(prices, row["usage"]):
            return "amount is not that of the usage"
        got = self.by_id.get(row["id"])
        if got is None:
            return None     # he left before he knew its id
        k, outcome = got.want.kind, row["outcome"]
        self.rows[k.name][outcome] += 1
        if outcome not in self.may(k):
            return f"{k.name} ended {outcome}"
        if got.seen == "200 whole" and outcome != "complete":
            return f"{k.name}: seen whole, booked {outcome}"
        if outcome in KILLED and outcome not in k.outcomes:
            return None
        return bill_wrong(k, row, got)

    def check_rows(self, rows):
        ids = {r["id"] for r in rows}
        if len(ids) != len(rows):
            self.wrong["a row twice"] += 1
        for row in rows:
            if why := self.row_wrong(row):
                self.wrong[why] += 1
        for id_, got in self.by_id.items():
            k = got.want.kind
            if k.outcomes and id_ not in ids and \
                    not (self.kills and got.status == 503):
                self.wrong[f"{k.name}: {got.seen}, but no row"] += 1
            if not k.outcomes and id_ in ids:
                self.wrong[f"{k.name}: a row"] += 1

    def table(self):
        wide = max(len(k.name) for k in KINDS) + 2
        lines = ["kind".ljust(wide) + "requests  seen / booked"]
        for k in KINDS:
            lines.append(
                k.name.ljust(wide) +
                f"{sum(self.seen[k.name].values()):8}  " +
                counts(self.seen[k.name]) + " / " +
                (counts(self.rows[k.name]) or "-"))
        return "\n".join(lines)

    def check_shares(self):
        """Every kind was asked for often enough to say something."""
        total = sum(k.share for k in KINDS)
        for k in KINDS:
            asked = sum(self.seen[k.name].values())
            assert asked >= 0.05 * self.n * k.share / total, k.name


def bill_wrong(k, row, got):
    if k.bill == EXACT and (row["usage"] != REPORTED or row["estimated"]):
        return f"{k.name}: billed {row['usage']} by {row['estimated']}"
    if k.bill == SOME and got.status == 200 and row["amount"] == "0":
        return f"{k.name}: billed nothing"
    if k.bill == FREE and row["amount"] != "0":
        return f"{k.name}: billed {row['amount']}"
    return None


def counts(counter):
    return ", ".join(f"{n} {what}" for what, n in
                     sorted(counter.items(), key=lambda i: -i[1]))


# ---- the books ----------------------------------------------------------------

CREDIT = 1000000


def payers(site, n):
    """Accounts and a key of each."""
    names = [site.account(str(CREDIT)) for _ in range(n)]
    return names, [site.hub.key(name)[0] for name in names]


def idle(site):
    limits = crash.asked(site.hub.ctl, "show", "limits")
    calls = crash.asked(site.hub.ctl, "show", "calls")
    return limits and calls and not calls["calls"] and all(
        r["calls"] == 0 and r.get("held", "0") == "0"
        for r in limits["keys"] + limits["accounts"])


def check_books(site, accounts, tally):
    """Nothing is taken, rows are right, balances are what is left."""
    await_("nothing to be taken", lambda: idle(site), 30)
    rows = []
    for name in accounts:
        mine = site.hub.ctl("show", "ledger", "account", name,
                            "limit", "50000")["rows"]
        spent = sum(Decimal(r["amount"]) for r in mine)
        assert Decimal(site.hub.balance(name)["balance"]) == CREDIT - spent
        rows += mine
    tally.check_rows(rows)
    assert not tally.wrong, dict(tally.wrong)
    assert site.hub.ctl("show", "suspense")["suspense"] == []
    site.hub.ctl("audit", "full")


# ---- processes ------------------------------------------------------------------

def rss(pid):
    """Resident memory in MiB that is its own (no shared maps)."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"no RssAnon of {pid}")


def memory(site):
    """The most that a process of each role holds."""
    status = site.hub.ctl("show", "status")
    return {"master": rss(site.hub.pid), "agent": rss(site.agent.pid),
            "billing": rss(status["billing"]["pid"]),
            "worker": max(rss(w["pid"]) for w in status["workers"])}


def quiet_memory(site):
    """The same once nothing is under way any more."""
    await_("nothing to be taken", lambda: idle(site), 30)
    return memory(site)


def memory_text(before, after):
    return "MiB before and after: " + ", ".join(
        f"{role} {before[role]:.1f} {after[role]:.1f}" for role in before)


def check_flat(before, after, slack=6):
    """In MiB. Sanitizers keep what was freed: nothing is said then."""
    if "san" in os.environ.get("BUILD", ""):
        return
    for role, most in before.items():
        assert after[role] <= most * 1.2 + slack, (role, before, after)


POINTS = ["worker.open", "worker.sent", "worker.head", "worker.streaming",
          "worker.final", "worker.queued", "worker.booked",
          "billing.in_transaction", "billing.committed", "billing.published",
          "agent.sent", "agent.streaming", "agent.end"]


def links_up(site, n):
    row = crash.asked(site.agent.shown)
    return row and row["links"] >= n


def mend(site, point, links):
    """Behind a kill: everybody is there again."""
    if point.startswith("agent."):
        site.agent.child.wait(10)
        site.agent.start()
    await_("every process to be there", lambda: crash.all_alive(site), 20)
    try:
        await_("links", lambda: links_up(site, links), 3)
    except TimeoutError:    # an old agent waits longer and longer
        crash.renew_agent(site)


async def kill_on(site, rng, rounds, links, hits, progress, gap):
    """Each point in each round once, gap requests apart at least."""
    loop = asyncio.get_running_loop()
    points = [p for _ in range(rounds)
              for p in rng.sample(POINTS, len(POINTS))]
    for point in points:
        at = progress()
        while progress() < at + gap:
            await asyncio.sleep(0.02)
        path = crash.arm(site, point, f"kill\nafter {rng.randint(1, 40)}")
        while path.exists():
            await asyncio.sleep(0.02)
        hits[point] += 1
        await loop.run_in_executor(None, mend, site, point, links)


def kill_table(hits):
    return "\n".join(["killed at".ljust(26) + "times"] +
                     [p.ljust(26) + str(hits[p]) for p in POINTS])


# ---- sanitizers and asserts -----------------------------------------------------

REPORTS = ("AddressSanitizer", "runtime error:", "LeakSanitizer",
           "Assertion ")


def check_logs(site):
    """No report of a sanitizer, no failed assert, in any log."""
    for part in site.parts:
        text = part.log.read_text(errors="replace")
        found = [line for line in text.splitlines()
                 if any(r in line for r in REPORTS)]
        assert not found, "\n".join(found[:20])
