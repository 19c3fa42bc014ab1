"""Whether the books are right: rows against what users saw, balances, and
what the provider served.
"""

import collections
import dataclasses
import json
import subprocess
from decimal import Decimal

import money
import priced
import procs

NO_ROW = {400, 401, 402, 403, 404, 429}     # the hub's own refusals
GENEROUS = 1.5  # an estimate is at most so many times the answer's cost


@dataclasses.dataclass(slots=True)
class Seen:
    """A line of the load: one request, as its user saw it."""
    ms: int
    kind: int
    key: int
    hub: int
    status: int
    end: str
    id: str
    cost: str
    prompt: int
    completion: int


def read_seen(path):
    with open(path) as f:
        for line in f:
            w = line.rstrip("\n").split("\t")
            yield Seen(int(w[0]), int(w[1]), int(w[2]), int(w[3]), int(w[4]),
                       w[5], w[6], w[7], int(w[8]), int(w[9]))


def export(hub, path):
    """All rows there are, as show ledger has them, one a line."""
    with open(path, "wb") as out:
        subprocess.run(
            [str(procs.BUILD / "hubctl"), "-f", str(hub.conf), "export",
             "ledger", "format", "jsonl"], stdout=out, check=True)


def read_rows(path):
    with open(path) as f:
        for line in f:
            yield json.loads(line)


class Books:
    """Compares; what is wrong is in wrong, with an example each."""

    def __init__(self, kinds):
        self.kinds = kinds
        self.wrong = collections.Counter()
        self.example = {}
        self.outcomes = collections.Counter()
        self.seen = {}          # by id
        self.unknown = 0        # requests whose id nobody has seen
        self.n = 0
        self.asked = collections.Counter()
        self.amounts = collections.defaultdict(Decimal)     # by account
        self.paid = Decimal(0)      # for whole answers, as users saw it
        self.rest = Decimal(0)      # for all others, as rows say
        self.attempts = self.complete = self.rows = 0
        self.lowest = Decimal(0)    # of balances

    def say(self, what, example):
        self.wrong[what] += 1
        self.example.setdefault(what, example)

    # ---- what users saw ----------------------------------------------------

    def take_seen(self, path):
        for s in read_seen(path):
            self.n += 1
            label = f"{s.status or '-'} {s.end}"
            self.asked[self.kinds[s.kind].name, label] += 1
            if s.id == "-":
                self.unknown += s.end in ("none", "left", "unsent")
                continue
            if s.id in self.seen:
                self.say("an id twice", s)
            self.seen[s.id] = s
            self.check_answer(s)

    def check_answer(self, s):
        """What can be told without the row."""
        k = self.kinds[s.kind]
        if s.status != 200 or s.end != "done":
            return
        if k.stream and (s.prompt, s.completion) != (k.input, k.output):
            self.say("another usage than the provider's", s)
        if not k.stream and s.cost != k.cost:
            self.say("another x-hub-cost than the price", s)

    # ---- rows --------------------------------------------------------------

    def take_rows(self, found):
        left = set(self.seen)
        ids = set()
        for row in found:
            if row["id"] in ids:
                self.say("a row twice", row)
            ids.add(row["id"])
            self.take_row(row)
            left.discard(row["id"])
        for id_ in left:
            s = self.seen[id_]
            if s.status == 200:
                self.say(f"no row: {s.status} {s.end}", s)
        strangers = sum(1 for id_ in ids if id_ not in self.seen)
        if strangers > self.unknown:
            self.say("rows of requests that nobody made",
                     f"{strangers}, and {self.unknown} without an id")

    def take_row(self, row):
        amount = Decimal(row["amount"])
        self.rows += 1
        self.attempts += row["attempts"]
        self.complete += row["outcome"] == "complete" and \
            row["status"] == 200
        self.amounts[row["account"]] += amount
        self.outcomes[row["outcome"] + (
            f", by {row['estimated']}" if row["estimated"] else "")] += 1
        prices = priced.PRICES[row["model"]] if row["usage"] else {}
        if row["amount"] != money.cost(prices, row["usage"]):
            self.say("an amount that is not usage by price", row)
        s = self.seen.get(row["id"])
        if s is not None and s.status == 200 and s.end == "done":
            self.check_done(row, s)
            self.paid += Decimal(self.kinds[s.kind].cost)
            return
        self.rest += amount
        if s is not None and s.status in NO_ROW:
            self.say(f"a row, and the user saw {s.status}", row)
        self.check_cut(row)

    def check_done(self, row, s):
        k = self.kinds[s.kind]
        if row["outcome"] != "complete" or row["estimated"]:
            self.say(f"seen whole, booked {row['outcome']} by "
                     f"{row['estimated']}", row)
        if row["amount"] != k.cost:
            self.say("another amount than the answer's cost", row)

    def check_cut(self, row):
        """It costs what the provider said, or an estimate within bounds."""
        k = next((k for k in self.kinds if k.model == row["model"]), None)
        if k is None or not row["usage"]:
            return
        if not row["estimated"] and row["amount"] != k.cost:
            self.say("a reported usage that nobody reported", row)
        if Decimal(row["amount"]) > Decimal(GENEROUS) * Decimal(k.cost):
            self.say("an estimate out of all bounds", row)

    # ---- the whole ---------------------------------------------------------

    def check_balances(self, hub, credits, share):
        """credits: by account, what it was given.

        share: how much of it may be spent once more. While one hub cannot
        reach Redis and another can, the one gives out its share and the other
        does not know.
        """
        total = Decimal(0)
        for name, credit in credits.items():
            row = hub.balance(name)
            balance, spent = Decimal(row["balance"]), self.amounts[name]
            total += Decimal(credit) - balance
            if Decimal(credit) - balance != spent:
                self.say("a balance that is not what is left",
                         f"{name}: {credit} - {spent} is not {balance}")
            self.lowest = min(self.lowest, balance)
            if balance < -Decimal(credit) * share:
                self.say("a balance far below zero", f"{name}: {balance}")
            if row["held"] != "0":
                self.say("money still held", row)
        if total != self.paid + self.rest:
            self.say("sums differ", f"{total}, {self.paid} + {self.rest}")

    def check_provider(self, stats):
        if self.complete > stats["answered"]:
            self.say("more answers booked than served",
                     f"{self.complete} of {stats['answered']}")
        if stats["requests"] > self.attempts:
            self.say("more requests served than were asked",
                     f"{stats['requests']} of {self.attempts}")
        if stats["open"]:
            self.say("requests still open at the provider", stats)

    def text(self):
        """The tally, and what is wrong."""
        by_kind = collections.defaultdict(list)
        for (kind, label), n in self.asked.most_common():
            by_kind[kind].append(f"{n} {label}")
        lines = [f"{kind:<14}{', '.join(found)}"
                 for kind, found in sorted(by_kind.items())]
        lines += ["rows          " + ", ".join(
            f"{n} {what}" for what, n in self.outcomes.most_common())]
        lines += [f"paid          {self.paid} for whole answers, {self.rest} "
                  f"for others; the lowest balance is {self.lowest}"]
        lines += [f"WRONG         {n} x {what}: {self.example[what]}"
                  for what, n in self.wrong.items()]
        return "\n".join(lines)
