"""Limits in Redis: all that local limits do, and what becomes of them when
Redis is hurt. The servers are this module's own."""

import concurrent.futures
import os
import signal
import socket
import subprocess
import threading
import time
import types
from decimal import Decimal

import pytest

import crash
import postgresql
import priced
import procs
import redis_server
import stores
from procs import await_, error_code, fetch
from test_limits import *      # noqa: F401,F403  the same, on Redis
from test_limits import close_stream, open_stream, refused
from test_ratefields import *  # noqa: F401,F403

YOUNG_S = 6     # a Redis that was emptied does not decide for so long
# a machine that has much to do is not what is tried
PATIENT = {"limit_timeout": "10s"}
USUAL = {"limit_timeout": "500ms"}
LEASE = {"limit_lease": "4s"}


@pytest.fixture(scope="module")
def redis():
    r = redis_server.Redis().start()
    yield r
    r.stop()


@pytest.fixture
def own_redis():
    """One that the test may hurt."""
    r = redis_server.Redis().start()
    yield r
    r.stop()


def site_on(redis, options=None, **how):
    store = stores.Store("sqlite", redis=redis)
    s = procs.Site(priced.PRICES, store=store,
                   options={**PATIENT, **(options or {})}, **how)
    await_state(s, "redis")
    return s


@pytest.fixture(scope="module")
def solo(redis):
    s = site_on(redis)
    yield s
    assert decisions(s)["share"] == decisions(s)["strict"] == 0
    s.close()


@pytest.fixture
def sites(redis):
    """Makes sites of a test's own, on this module's Redis or another."""
    made = []

    def make(on=None, **how):
        made.append(site_on(on or redis, **how))
        return made[-1]
    yield make
    for s in made:
        s.close()


# ---- what the hub says -----------------------------------------------------

def state(site, hub=None):
    return (hub or site.hub).ctl("show", "status")["limits"]


def await_state(site, what, seconds=15):
    await_(f"limits by {what}", lambda: state(site) == what, seconds)


def metric(site, name):
    text = fetch(site.hub.admin_port, "GET", "/metrics")[2].decode()
    return {line.rpartition(" ")[0]: int(line.rpartition(" ")[2])
            for line in text.splitlines() if line.startswith(name)}


def decisions(site):
    found = metric(site, "hubd_limit_decisions_total")
    return {by: found[f'hubd_limit_decisions_total{{by="{by}"}}']
            for by in ("redis", "share", "strict")}


def outages(site):
    return metric(site, "hubd_limit_outages_total")[
        "hubd_limit_outages_total"]


def lines(site, what):
    return [line for line in site.hub.log.read_text().splitlines()
            if what in line]


def by_redis(site, key, n=3):
    """Requests that Redis decides."""
    before = decisions(site)
    for _ in range(n):
        assert site.chat(key)[0] == 200
    after = decisions(site)
    assert after["redis"] == before["redis"] + n
    assert after["share"] == before["share"]


def at_once(site, key, n=3):
    """Requests that nobody waits for, though Redis is away."""
    for _ in range(n):
        began = time.monotonic()
        assert site.chat(key)[0] == 200
        assert time.monotonic() - began < 2


def leases(store):
    """What lives there of calls."""
    return [k for k in store.redis.keys(store.db)
            if any(f":{what}:" in k for what in ("until", "held", "calls"))]


def await_no_lease(site, seconds=10):
    await_("no lease", lambda: not leases(site.store), seconds)


def limits_url(site, url):
    site.hub.options["limits"] = url
    site.hub.rewrite_conf()
    site.hub.ctl("reload")


# ---- ways to it ------------------------------------------------------------

def login(redis, db, socket):
    name = f"user:hub{db}"
    redis.command("ACL", "SETUSER", name, "on", f">p@ss/{db}", "~hubd:*",
                  "+@all")
    where = f"{redis.socket}?db={db}" if socket else \
        f"127.0.0.1:{redis.port}/{db}"
    return f"{'unix' if socket else 'redis'}://user%3Ahub{db}:" \
        f"p%40ss%2F{db}@{where}"


WAYS = {
    "number": lambda r, db: f"redis://127.0.0.1:{r.port}/{db}",
    "name": lambda r, db: f"redis://localhost:{r.port}/{db}",
    "socket": lambda r, db: f"unix://{r.socket}?db={db}",
    "login": lambda r, db: login(r, db, False),
    "login by socket": lambda r, db: login(r, db, True),
}


@pytest.mark.parametrize("way", WAYS)
def test_ways_to_redis(redis, way):
    store = stores.Store("sqlite", redis=redis)
    url = WAYS[way](redis, store.db)
    s = procs.Site(priced.PRICES, store=store, options={"limits": url})
    try:
        await_state(s, "redis")
        by_redis(s, s.key("rpm", "9"))
        assert any(":rates:" in k for k in redis.keys(store.db))
        assert "p@ss" not in s.hub.log.read_text()
    finally:
        s.close()


def test_password_alone():
    r = redis_server.Redis(password="s3cret").start()
    try:
        s = site_on(r)
        try:
            by_redis(s, s.key())
            # it is changed: connections go on, new ones are refused
            r.command("CONFIG", "SET", "requirepass", "other")
            r.password = "other"
            r.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await_state(s, "share")
            await_("the reason", lambda: lines(s, "is away"))
            at_once(s, s.key())
            limits_url(s, r.url(s.store.db))
            await_state(s, "redis")
            by_redis(s, s.key())
        finally:
            s.close()
    finally:
        r.stop()


def check(tmp_path, **options):
    conf = tmp_path / "hubd.conf"
    prices = tmp_path / "prices.json"
    prices.write_text("{}")
    conf.write_text(procs.conf_text({
        "listen": ["127.0.0.1:1"], "admin_listen": [],
        "run_dir": str(tmp_path), "state_dir": str(tmp_path),
        "prices": [str(prices)], "user": "root", **options}))
    p = subprocess.run([procs.program("hubd"), "-n", "-f", str(conf)],
                       capture_output=True, text=True, timeout=30)
    return p.returncode, p.stderr


def test_what_cannot_be_is_found_by_the_check(tmp_path):
    for url, says in (
            ("rediss://127.0.0.1", "asks for TLS"),
            ("redis://nowhere.invalid:6379", "limits: Redis's host"),
            ("memcached://127.0.0.1", "must be \"local\", redis://")):
        status, text = check(tmp_path, limits=url)
        assert status == 1 and says in text, text


# ---- Redis is away ---------------------------------------------------------

def test_hanging_redis_delays_nobody(sites, own_redis):
    s = sites(own_redis, options=USUAL)
    key = s.key("rpm", "1000")
    by_redis(s, key)
    own_redis.pause()
    at_once(s, key, 20)
    assert state(s) == "share"
    assert metric(s, "hubd_limits_up") == {"hubd_limits_up": 0}
    assert metric(s, "hubd_limit_timeouts_total")[
        "hubd_limit_timeouts_total"] >= 1
    own_redis.resume()
    await_state(s, "redis")
    assert metric(s, "hubd_limits_up") == {"hubd_limits_up": 1}
    by_redis(s, key)
    # one outage, one line, however often it was tried
    assert outages(s) == len(lines(s, "is away")) == 1
    assert len(lines(s, "is back")) == 1
    s.hub.quiet()
    await_no_lease(s)


class Dripping:
    """A way to Redis by which its answers come, when told so, in drops."""

    def __init__(self, redis):
        self.redis, self.drips, self.ends = redis, False, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self.listener.getsockname()[1]}/"
        self.begin(self.accept)

    @staticmethod
    def begin(fn, *args):
        threading.Thread(target=fn, args=args, daemon=True).start()

    def accept(self):
        while True:
            try:
                hub = self.listener.accept()[0]
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.redis.port))
            self.ends += [hub, far]
            self.begin(self.carry, hub, far, False)
            self.begin(self.carry, far, hub, True)

    def carry(self, source, to, may_drip):
        try:
            while data := source.recv(1 if may_drip else 65536):
                to.sendall(data)
                if may_drip and self.drips:
                    time.sleep(0.1)
            to.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self):
        for s in [self.listener, *self.ends]:
            s.close()


def test_redis_that_says_little_is_not_waited_for_for_ever(sites, own_redis):
    """Never silent, and further behind with each second."""
    way = Dripping(own_redis)
    try:
        s = sites(own_redis, options={"limit_timeout": "200ms"})
        key = s.key()
        limits_url(s, way.url + str(s.store.db))
        await_state(s, "redis")
        by_redis(s, key)
        way.drips = True
        assert s.chat(key, timeout=30)[0] == 200
        await_state(s, "share", 30)
        way.drips = False
        await_state(s, "redis", 30)
    finally:
        way.close()


def test_vanished_redis_delays_nobody(sites, own_redis):
    s = sites(own_redis, workers=2, links=2)
    key = s.key("concurrency", "1000")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(at_once, s, key, 30) for _ in range(8)]
        own_redis.end(signal.SIGKILL)
        for a in asked:
            a.result()
    await_state(s, "share")
    at_once(s, key)
    own_redis.start()
    await_state(s, "redis", 20)
    by_redis(s, key)
    s.hub.quiet()
    await_no_lease(s)


def test_start_without_redis(own_redis):
    own_redis.end()
    s = procs.Site(priced.PRICES, options={
        "limits": f"redis://127.0.0.1:{own_redis.port}/0"})
    try:
        assert state(s) == "share"
        key = s.key("rpm", "100")
        at_once(s, key)
        assert decisions(s)["share"] >= 3
        own_redis.start()
        await_state(s, "redis", 20)
        by_redis(s, key)
    finally:
        s.close()


def test_a_share_of_each_limit(sites, own_redis):
    s = sites(own_redis, options={**USUAL, "limit_share": 50})
    rate, few = s.key("rpm", "8"), s.key("concurrency", "4")
    poor = s.key(credit="0.05")  # one hold of 0.02 in a half
    own_redis.pause()
    replies = [s.chat(rate) for _ in range(6)]
    assert [r[0] for r in replies] == [200] * 4 + [429] * 2
    assert replies[0][1]["x-ratelimit-limit-requests"] == "4"
    streams = [open_stream(s, few) for _ in range(3)]
    assert [error is None for _, error in streams] == [True, True, False]
    refused(streams[2][1], 429, "concurrency_limited")
    for stream, _ in streams[:2]:
        close_stream(stream)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: s.chat(
            poor, priced.SLOW, max_tokens=2000)[0], range(2)))
    assert sorted(both) == [200, 402]


def test_strict_limits_refuse(sites, own_redis):
    s = sites(own_redis, options={**USUAL, "limit_strict": True})
    key = s.key()
    assert s.chat(key)[0] == 200
    own_redis.pause()
    reply = refused(s.chat(key), 503, "overloaded")
    assert int(reply[1]["retry-after"]) >= 1
    assert decisions(s)["strict"] >= 1 and decisions(s)["share"] == 0
    assert lines(s, "REFUSED")
    await_state(s, "refused")
    assert "REQUESTS ARE REFUSED" in s.hub.ctl("show", "status",
                                               json_out=False)
    assert metric(s, "hubd_limits_up")["hubd_limits_up"] == 0
    for port in (s.hub.port, s.hub.admin_port):
        assert not s.hub.health("readyz", port)
        assert s.hub.health("healthz", port)
    own_redis.resume()
    await_state(s, "redis")
    assert s.hub.health("readyz")
    assert s.chat(key)[0] == 200


def test_a_user_who_leaves_while_redis_is_asked(sites, own_redis):
    s = sites(own_redis, options=USUAL)
    name = s.account("1")
    key = s.hub.key(name, "concurrency", "1")[0]
    own_redis.pause()
    with pytest.raises(TimeoutError):
        s.chat(key, timeout=0.1)
    await_("the outage", lambda: state(s) == "share")
    s.hub.quiet()
    assert s.hub.balance(name)["held"] == "0"
    own_redis.resume()
    await_state(s, "redis")
    await_no_lease(s)
    assert s.chat(key)[0] == 200
    assert len(s.hub.ctl("show", "ledger")["rows"]) <= 1


def test_another_redis_is_told_all(sites, redis, own_redis):
    s = sites(own_redis)
    key = s.key("concurrency", "1")
    stream, error = open_stream(s, key)
    assert error is None
    db = redis.create()
    limits_url(s, redis.url(db))
    await_("the lease", lambda: any(":held:" in k for k in redis.keys(db)))
    refused(s.chat(key), 429, "concurrency_limited")
    close_stream(stream)
    own_redis.end()
    await_state(s, "redis")
    by_redis(s, key)
    limits_url(s, redis.url(db))  # the same: nothing happens
    by_redis(s, key)
    assert outages(s) == 1


def test_full_redis(sites, own_redis):
    s = sites(own_redis)
    key = s.key("rpm", "100")
    by_redis(s, key)
    own_redis.command("CONFIG", "SET", "maxmemory", "1")
    at_once(s, key)
    await_state(s, "share")
    at_once(s, key)
    own_redis.command("CONFIG", "SET", "maxmemory", "0")
    await_state(s, "redis", 20)
    by_redis(s, key)
    assert outages(s) == 1


def test_replica_that_takes_no_writes(sites, own_redis):
    s = sites(own_redis)
    key = s.key("rpm", "100")
    own_redis.command("REPLICAOF", "127.0.0.1", "1")
    at_once(s, key)
    await_state(s, "share")
    own_redis.command("REPLICAOF", "NO", "ONE")
    await_state(s, "redis", 20)
    by_redis(s, key)


def test_flushed_scripts_are_sent_again(sites, own_redis):
    s = sites(own_redis)
    key = s.key("concurrency", "5")
    for _ in range(3):
        own_redis.command("SCRIPT", "FLUSH")
        by_redis(s, key)
    assert outages(s) == 0
    s.hub.quiet()
    await_no_lease(s)


# ---- Redis forgets ---------------------------------------------------------

def loses_by_flush(redis):
    redis.command("FLUSHALL")


def loses_by_restart(redis):
    redis.restart()


@pytest.mark.parametrize("loses", [loses_by_flush, loses_by_restart])
def test_what_redis_forgets_it_is_told_again(sites, own_redis, loses):
    s = sites(own_redis)
    key = s.key("concurrency", "1")
    stream, error = open_stream(s, key)
    assert error is None
    refused(s.chat(key), 429, "concurrency_limited")
    began = time.monotonic()
    loses(own_redis)
    await_("the lease to be there", lambda: leases(s.store))
    # never free for another, neither here nor there
    while state(s) != "redis" or time.monotonic() - began < 2:
        refused(s.chat(key), 429, "concurrency_limited")
    assert YOUNG_S - 1 < time.monotonic() - began < YOUNG_S + 8
    assert metric(s, "hubd_limit_lost_total")["hubd_limit_lost_total"] >= 1
    assert lines(s, "it is told again, and decides in 6 s")
    refused(s.chat(key), 429, "concurrency_limited")
    close_stream(stream)
    await_("the slot to be free", lambda: s.chat(key)[0] == 200)
    s.hub.quiet()
    await_no_lease(s)


def test_calls_of_an_outage_are_told_afterwards(sites, own_redis):
    s = sites(own_redis, options=USUAL)
    key = s.key("concurrency", "1")
    own_redis.pause()
    stream, error = open_stream(s, key)
    assert error is None
    own_redis.resume()
    await_state(s, "redis")
    await_("the lease", lambda: leases(s.store))
    refused(s.chat(key), 429, "concurrency_limited")
    close_stream(stream)
    await_("the slot to be free", lambda: s.chat(key)[0] == 200)
    s.hub.quiet()
    await_no_lease(s)


def test_calls_that_end_in_an_outage_leave_nothing(sites, own_redis):
    s = sites(own_redis, options={**USUAL, **LEASE})
    key = s.key("concurrency", "1")
    stream, error = open_stream(s, key)
    assert error is None
    own_redis.pause()
    close_stream(stream)
    s.hub.quiet()
    at_once(s, key)
    own_redis.resume()
    await_no_lease(s)
    await_state(s, "redis")
    by_redis(s, key)


# ---- leases ----------------------------------------------------------------

def test_leases_live_as_long_as_their_calls(sites):
    s = sites(options=LEASE)
    key = s.key("concurrency", "1")
    stream, error = open_stream(s, key)
    assert error is None
    end = time.monotonic() + 5
    while time.monotonic() < end:
        refused(s.chat(key), 429, "concurrency_limited")
    close_stream(stream)
    await_("the slot to be free", lambda: s.chat(key)[0] == 200)
    s.hub.quiet()
    await_no_lease(s)


def await_slot(site, key, seconds=20):
    """Asks until the key's only slot is free; how long that took."""
    began = time.monotonic()

    def ask():
        try:
            status, _, body = site.chat(key)
        except OSError:
            return False
        assert status == 200 or error_code(body) in (
            "no_agent", "concurrency_limited"), (status, body)
        return status == 200
    await_("the slot", ask, seconds)
    return time.monotonic() - began


def test_d05_redis_killed_worker_frees_its_slots(sites):
    s = sites(options=LEASE)
    key = s.key("concurrency", "1")
    stream = crash.open_stream(s, key)
    refused(s.chat(key), 429, "concurrency_limited")
    os.kill(crash.pid_of(s, "worker"), signal.SIGKILL)
    await_slot(s, key)
    stream.close()
    s.hub.quiet()
    await_no_lease(s)


def test_a_stopped_billing_frees_slots_all_the_same(sites):
    s = sites(options=LEASE)
    key = s.key("concurrency", "1")
    billing = crash.pid_of(s, "billing")
    os.kill(billing, signal.SIGSTOP)
    try:
        assert s.chat(key)[0] == 200
        assert s.chat(key)[0] == 200
        held = [k for k in leases(s.store) if ":held:" in k]
        assert held  # what they cost, until it is booked
    finally:
        os.kill(billing, signal.SIGCONT)
    await_no_lease(s)


def test_a_drained_hub_leaves_no_lease(redis):
    s = site_on(redis)
    try:
        key = s.key("concurrency", "9")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            assert set(pool.map(lambda _: s.chat(key)[0], range(40))) == \
                {200}
        s.hub.stop_here(signal.SIGTERM)
        assert leases(s.store) == []
    finally:
        s.close()


# ---- two hubs --------------------------------------------------------------

@pytest.fixture
def pair(redis):
    """Two hubs on one PostgreSQL and one Redis."""
    s = procs.Site(priced.PRICES, hubs=2, options={**PATIENT, **LEASE},
                   store=stores.Store("postgresql", redis=redis))
    for hub in s.hubs:
        await_("limits by Redis", lambda: state(s, hub) == "redis")
    yield s
    s.close()
    s.store.drop()


def stream_at(hub, key):
    """A stream at that hub, or None."""
    stream, error = open_stream(types.SimpleNamespace(hub=hub), key)
    if error:
        refused(error, 429, "concurrency_limited")
    return stream


def test_two_hubs_share_rate_and_concurrency(pair):
    rate, few = pair.key("rpm", "7"), pair.key("concurrency", "3")
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        replies = list(pool.map(lambda h: pair.chat(rate, hub=h),
                                pair.hubs * 10))
        assert sorted(r[0] for r in replies) == [200] * 7 + [429] * 13
        found = list(pool.map(lambda h: stream_at(h, few), pair.hubs * 10))
    streams = [f for f in found if f]
    assert len(streams) == 3
    for stream in streams:
        close_stream(stream)
    for hub in pair.hubs:
        hub.quiet()
    await_no_lease(pair)


def test_d05_redis_killed_hub_frees_its_slots(pair):
    key = pair.key("concurrency", "1")
    dead, alive = pair.hubs
    stream = stream_at(dead, key)
    assert stream
    assert stream_at(alive, key) is None
    workers = dead.ctl("show", "status")["workers"]
    os.kill(dead.child.pid, signal.SIGKILL)
    for worker in workers:  # they die with it
        await_("their end", lambda: not os.path.exists(
            f"/proc/{worker['pid']}"))
    began = time.monotonic()
    held = await_("the slot", lambda: stream_at(alive, key), 20)
    assert time.monotonic() - began < 8
    close_stream(held)


EXACT = priced.shape("sim-c5-d10-i1-o45", {
    "input_cost_per_token": "0", "output_cost_per_token": "0.00001"})
COST = Decimal("0.00045")


def known_of(site):
    """The only account's hash in Redis."""
    key, = [k for k in site.store.redis.keys(site.store.db)
            if ":account:" in k]
    words = site.store.redis.command("HGETALL", key, db=site.store.db)
    return dict(zip(words[::2], words[1::2]))


def test_two_hubs_do_not_overdraw(pair, show):
    """Money for 100 requests, 1,000 at once over both."""
    name = pair.account(str(100 * COST))
    key = pair.hub.key(name)[0]
    pair.hubs[1].await_key(key)
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        replies = list(pool.map(lambda i: pair.chat(
            key, EXACT, hub=pair.hubs[i % 2], max_tokens=45), range(1000)))
    for r in replies:
        if r[0] != 200:
            refused(r, 402, "insufficient_balance")
    served = [r for r in replies if r[0] == 200]
    show(f"{len(served)} of 1000 requests were served, money was there for "
         "100")
    assert 95 <= len(served) <= 100
    assert {Decimal(r[1]["x-hub-cost"]) for r in served} == {COST}
    left = (100 - len(served)) * COST
    for hub in pair.hubs:
        hub.quiet()
        await_("the store", lambda: hub.balance(name)["balance"] ==
               format(left.normalize(), "f") and hub.balance(name)["held"] == "0", 20)
    await_no_lease(pair)

    # what hubs owed is forgotten, and the balance is what Redis has
    def settled():
        known = known_of(pair)
        return not any(k.startswith("o:") for k in known) and \
            int(known["available"]) == left * 10**9
    await_("the balance in Redis", settled)


def test_an_overdraft_counts_in_redis(pair):
    name = pair.account("0")
    key = pair.hub.key(name)[0]
    pair.hubs[1].await_key(key)
    refused(pair.chat(key), 402, "insufficient_balance")
    pair.hub.ctl("account", "set", name, "overdraft", "1")
    for hub in pair.hubs:
        await_("the overdraft", lambda: pair.chat(key, hub=hub)[0] == 200)


@pytest.fixture
def hurt():
    """Two hubs on servers that the test may hurt."""
    pg, redis = postgresql.PostgreSQL().start(), redis_server.Redis().start()
    s = procs.Site(priced.PRICES, hubs=2, options=PATIENT,
                   store=stores.Store("postgresql", pg=pg, redis=redis))
    for hub in s.hubs:
        await_("limits by Redis", lambda: state(s, hub) == "redis")
    yield s, pg, redis
    s.close()
    redis.stop()
    pg.stop()


def test_what_a_hub_owes_counts_in_a_redis_that_has_lost_it(hurt):
    """While the store is away nobody else knows of it."""
    site, pg, redis = hurt
    name = site.account(str(20 * COST))
    key = site.hub.key(name)[0]
    site.hubs[1].await_key(key)
    pg.pause()

    def served(hub, n):
        return sum(site.chat(key, EXACT, hub=hub, max_tokens=45)[0] == 200
                   for _ in range(n))
    assert served(site.hub, 15) == 15
    await_no_lease(site)
    redis.command("FLUSHALL")
    for hub in site.hubs:
        await_("the loss", lambda: state(site, hub) == "share")
        await_("limits by Redis", lambda: state(site, hub) == "redis")
    assert served(site.hubs[1], 15) == 5
    pg.resume()
