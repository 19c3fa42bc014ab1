"""make torture: a load, a chaos of kills, and the books afterwards.

SEED chooses the schedule of faults, SECONDS how long it lasts, GAP how many
seconds lie between two faults; HUBS=1 runs on SQLite and local limits. Prints
the seed, kills by kind, requests by what came of them; draws a picture in
build/torture.svg; exits 1 if the books are wrong.
"""

import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time
from decimal import Decimal

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] /
                       "system"))

import books    # noqa: E402
import chaos    # noqa: E402
import crash    # noqa: E402
import money    # noqa: E402
import picture  # noqa: E402
import postgresql   # noqa: E402
import priced   # noqa: E402
import procs    # noqa: E402
import redis_server     # noqa: E402
import storm    # noqa: E402
import stores   # noqa: E402

SEED = int(os.environ.get("SEED") or 1)
SECONDS = float(os.environ.get("SECONDS") or 900)
GAP = float(os.environ.get("GAP") or 0.7)
HUBS = int(os.environ.get("HUBS") or 2)
USERS = int(os.environ.get("USERS") or 48)
PAUSE_MS = int(os.environ.get("PAUSE_MS") or 20)
CALM_S = 60
SHARE = Decimal("0.5")  # that a hub gives out while Redis is away
RICH, POOR = "1000000", "0.05"  # a poor one can pay for a few dozen
GIFT = "0.01"
TEXT = "How deep is the harbour at low water, and who has measured it last?"


@dataclasses.dataclass
class Kind:
    """A kind of request; the simulator serves what the model's name says."""
    name: str
    share: int
    model: str
    input: int
    output: int
    stream: bool = False
    leave: str = "-"

    @property
    def cost(self):
        return money.cost(priced.PRICES[self.model],
                          {"input": self.input, "output": self.output})

    def line(self):
        body = {"model": self.model, "stream": self.stream,
                "max_tokens": self.output + self.output // 10,
                "messages": [{"role": "user", "content": TEXT}]}
        if self.stream:
            body["stream_options"] = {"include_usage": True}
        return f"{self.share}\t{self.leave}\t{json.dumps(body)}\n"


def kind(name, share, shape, prices, **more):
    """shape: of the answer's delays; tokens are told by it, too."""
    words = dict((w[0], int(w[1:])) for w in shape.split("-"))
    return Kind(name, share, priced.shape("sim-" + shape, prices),
                words["i"], words["o"], **more)


# A chunk is 150 bytes, and counts as some 60 tokens: so that an estimate of an
# answer that breaks off is what estimates are.
KINDS = [
    kind("plain", 40, "c4-i20-o245", priced.FULL),
    kind("plain, slow", 6, "f200-c4-i21-o244", priced.PLAIN),
    kind("stream", 30, "c4-i22-o243", priced.FULL, stream=True),
    kind("drip", 12, "c20-d20-i23-o1242", priced.PLAIN, stream=True),
    kind("tiny", 4, "c4-i24-o241", priced.TINY, stream=True),
    kind("left sent", 2, "c6-d5-i25-o361", priced.FULL, stream=True,
         leave="sent"),
    kind("left at head", 2, "c6-d5-i26-o362", priced.FULL, stream=True,
         leave="head"),
    kind("left in it", 4, "c20-d20-i27-o1243", priced.FULL, stream=True,
         leave="chunk"),
]


class Cluster:
    """Hubs, two agents, the simulator, and the servers, to be hurt."""

    def __init__(self, hubs):
        self.site = self.postgresql = self.redis = None
        try:
            self.set_up(hubs)
        except BaseException:
            self.close()
            raise

    def set_up(self, hubs):
        if hubs > 1:
            self.postgresql = postgresql.PostgreSQL().start()
            self.redis = redis_server.Redis().start()
        self.store = stores.Store("sqlite", "local", self.postgresql,
                                  self.redis)
        self.site = procs.Site(
            priced.PRICES, workers=2, links=3, hubs=hubs, store=self.store,
            options={"max_calls": 2048, "limit_share": int(100 * SHARE)})
        self.hubs = self.site.hubs
        self.sites = [Place(h) for h in self.hubs]
        second = procs.Agent(self.site.folder / "agent2", self.hubs[0],
                             {"openai": self.site.sim}, name="edge-2",
                             links=3, also=self.hubs[1:])
        self.agents = [self.site.agent,
                       self.site.add(second).start().await_up(3)]
        self.credits, self.keys = {}, []
        for i in range(3):
            self.payer(f"rich-{i}", RICH)
        self.keys *= 5      # how often each is taken
        self.payer("limited", RICH, "concurrency", "4")
        self.payer("paced", RICH, "rpm", "600")
        for i in range(3):
            self.payer(f"poor-{i}", POOR)

    def payer(self, name, credit, *limits):
        self.credits[name] = Decimal(credit)
        self.hubs[0].account(name, credit)
        key = self.hubs[0].key(name, *limits)[0]
        for hub in self.hubs[1:]:
            hub.await_key(key)
        self.keys.append(key)

    @property
    def have(self):
        """Whom the chaos may choose."""
        some = {"worker", "billing", "errand", "admin", "master", "agent",
                "point"}
        return some | ({"postgresql", "redis", "courier"}
                       if self.postgresql else set())

    def close(self):
        try:
            if self.site:
                self.site.close()
        finally:
            for server in filter(None, (self.postgresql, self.redis)):
                server.stop()


@dataclasses.dataclass
class Place:
    """As crash.arm() wants it."""
    hub: procs.Hub


class Load:
    """The users, as a process of their own; seen is what they write."""

    def __init__(self, cluster, folder):
        self.seen, self.rows = folder / "seen", folder / "rows"
        (folder / "keys").write_text("\n".join(cluster.keys) + "\n")
        (folder / "kinds").write_text("".join(k.line() for k in KINDS))
        argv = [str(procs.BUILD / "press"), "-k", str(folder / "keys"),
                "-q", str(folder / "kinds"), "-c", str(USERS),
                "-p", str(PAUSE_MS), "-s", str(SEED)]
        for hub in cluster.hubs:
            argv += ["-a", str(hub.port)]
        with open(self.seen, "wb") as out:
            self.child = subprocess.Popen(argv, stdout=out)

    def end(self):
        self.child.send_signal(signal.SIGTERM)
        assert self.child.wait(90) == 0, "the load has failed"


class Sampler(threading.Thread):
    """What waits to be booked, once a second. Beside it, what operators do:
    a long listing, which is an errand to be killed, and a credit.
    """

    def __init__(self, cluster, began):
        super().__init__()
        self.cluster, self.began = cluster, began
        self.points = {name: [] for name in picture.WAITING}
        self.ended = threading.Event()

    def run(self):
        while not self.ended.wait(1):
            memory = store = 0
            for hub in self.cluster.hubs:
                status = crash.asked(hub.ctl, "show", "status")
                if status:
                    memory += status["billing"]["pending"]
                    store += waits(status)
                crash.asked(hub.ctl, "show", "ledger", "limit", "5000")
            at = time.monotonic() - self.began
            self.points["in memory"].append((at, memory))
            self.points["for the store"].append((at, store))
            self.give(len(self.points["in memory"]))

    def give(self, n):
        """A credit that is said until it is heard, and counts once."""
        name, ref = f"poor-{n % 3}", f"gift-{n}"
        procs.await_("a credit", lambda: crash.asked(
            self.cluster.hubs[n % HUBS].ctl, "account", "credit", name, GIFT,
            "ref", ref) is not None, 120)
        self.cluster.credits[name] += Decimal(GIFT)

    def stop(self):
        self.ended.set()
        self.join()


def waits(status):
    """Rows that the shared store does not have yet."""
    return status["billing"].get("spooled", 0)


def not_clean(cluster):
    """What is still taken anywhere, or "" """
    for i, hub in enumerate(cluster.hubs):
        status = crash.asked(hub.ctl, "show", "status")
        if status is None or not crash.all_alive(cluster.sites[i]):
            return f"hub {i} is not whole"
        if status["billing"]["pending"] or waits(status):
            return f"hub {i}: {json.dumps(status['billing'])}"
        if not storm.idle(cluster.sites[i]):
            return f"hub {i}: " + json.dumps(hub.ctl("show", "limits"))[:800]
    if cluster.redis and (left := leases(cluster)):
        return f"leases in Redis: {left}"
    return ""


def await_clean(cluster):
    """Seconds that it took; what was left when patience ended."""
    began = time.monotonic()
    while why := not_clean(cluster):
        if time.monotonic() > began + CALM_S:
            return CALM_S, why
        time.sleep(0.1)
    return time.monotonic() - began, ""


def run(cluster):
    folder = cluster.site.folder
    began = time.monotonic()
    faults = chaos.schedule(SEED, SECONDS, GAP, HUBS, cluster.have)
    havoc = chaos.Chaos(cluster, faults)
    load, sampler = Load(cluster, folder), Sampler(cluster, began)
    sampler.start()
    try:
        havoc.run()
    finally:
        havoc.calm()
        load.end()
        sampler.stop()
    return began, havoc, load, sampler


def check(cluster, load):
    """The books, compared."""
    found = books.Books(KINDS)
    took, why = await_clean(cluster)
    print(f"calm          after {took:.1f} s")
    if why:
        found.say("not everything was given back", why)
    found.take_seen(load.seen)
    books.export(cluster.hubs[0], load.rows)
    found.take_rows(books.read_rows(load.rows))
    for hub in cluster.hubs:
        found.check_balances(hub, cluster.credits,
                             SHARE if cluster.redis else 0)
    found.check_provider(cluster.site.sim.stats())
    cluster.hubs[0].ctl("audit", "full")
    check_servers(cluster, found)
    return found


def check_servers(cluster, found):
    if cluster.postgresql is None:
        return
    if n := cluster.postgresql.deadlocks():
        found.say("deadlocks in PostgreSQL", n)
    differ = cluster.store.sql(
        "SELECT (SELECT coalesce(sum(amount), 0) FROM ledger) +"
        " (SELECT coalesce(sum(amount), 0) FROM balance_change"
        " WHERE kind = 'charge')")
    if Decimal(differ[0][0]) != 0:
        found.say("ledger and balance changes differ", differ)


def leases(cluster):
    """What Redis still holds of calls: names, and members whose time has not
    run out. A lease of a dead worker runs out by itself."""
    ask, db = cluster.redis.command, cluster.store.db
    seconds, micros = map(int, ask("TIME"))
    left = {}
    for key in cluster.redis.keys(db, "hubd:*:until:*") + \
            cluster.redis.keys(db, "hubd:*:calls:*"):
        if n := ask("ZCOUNT", key, seconds * 1000000 + micros, "+inf", db=db):
            left[key] = n
    return left


def draw(began, havoc, load, sampler):
    where = procs.BUILD / "torture.svg"
    p = picture.Picture(int(began * 1000), SECONDS)
    for seen in books.read_seen(load.seen):
        p.took(seen)
    where.write_text(p.svg(
        f"hubd: {HUBS} hubs, seed {SEED}, {sum(havoc.count.values())} faults",
        havoc.faults, sampler.points))
    print(f"picture       {where}")


def keep_logs(cluster):
    """For whoever looks for the reason."""
    where = procs.BUILD / "torture"
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    servers = filter(None, (cluster.postgresql, cluster.redis))
    for i, part in enumerate([*cluster.site.parts, *servers]):
        shutil.copy(part.log, where / f"{i}-{part.log.name}")
    for name in "seen", "rows":
        shutil.copy(cluster.site.folder / name, where)
    print(f"logs          {where}")


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    print(f"torture       seed {SEED}, {SECONDS:g} s, {HUBS} hubs, a fault "
          f"every {GAP:g} s", flush=True)
    cluster = Cluster(HUBS)
    try:
        began, havoc, load, sampler = run(cluster)
        for name, n in sorted(havoc.count.items()):
            print(f"{name:<24}{n}")
        found = check(cluster, load)
        kills = sum(n for name, n in havoc.count.items() if
                    not name.endswith(" stop"))
        print(found.text())
        print(f"in all        {found.n} requests, {found.rows} rows, "
              f"{kills} kills, {sum(havoc.count.values()) - kills} stops")
        draw(began, havoc, load, sampler)
        if found.wrong:
            keep_logs(cluster)
        return 1 if found.wrong else 0
    finally:
        cluster.close()


if __name__ == "__main__":
    sys.exit(main())
