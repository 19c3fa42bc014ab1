"""What the scripts of limits do, on a real Redis."""

import random
import time

import pytest

import redis_server
from redis_scripts import (BALANCE, CONCURRENCY, LOST, MINUTE, OK, RATE, Hub,
                           Known, Scripts)


@pytest.fixture(scope="module")
def redis():
    r = redis_server.Redis().start()
    yield r
    r.stop()


@pytest.fixture
def scripts(redis):
    s = Scripts(redis, redis.create())
    yield s
    s.close()


@pytest.fixture
def hub(scripts):
    return Hub(scripts)


@pytest.fixture
def other(scripts):
    return Hub(scripts, "b")


def lives(scripts):
    """All keys but the epoch and what is known of accounts."""
    return sorted(k.split(":", 2)[2] for k in scripts.run("KEYS", "*")
                  if "epoch" not in k and "account" not in k)


# ---- money -----------------------------------------------------------------

def test_money_is_what_is_available_less_what_is_held(hub, other):
    known = Known(available=100)
    assert hub.admit(known, hold=60)[1][:2] == [OK, 60]
    assert other.admit(known, hold=41)[1][0] == BALANCE
    assert other.admit(known, hold=40)[1][:2] == [OK, 40]
    assert hub.admit(known, hold=1)[1][0] == BALANCE
    assert hub.admit(known, hold=0)[1][0] == OK


def test_soft_holds_take_what_is_left(hub, other):
    known = Known(available=100)
    assert hub.admit(known, hold=70)[1][0] == OK
    assert other.admit(known, hold=70, mode="soft")[1][:2] == [OK, 30]
    assert other.admit(known, hold=70, mode="soft")[1][0] == BALANCE


def test_unlimited_accounts_are_never_refused(hub):
    assert hub.admit(Known(), hold=9, mode="unlimited")[1][:2] == [OK, 9]


def test_no_money_below_nothing(hub):
    assert hub.admit(Known(available=-5), hold=0)[1][0] == BALANCE
    assert hub.admit(Known(available=-5), hold=3, mode="soft")[1][0] == \
        BALANCE


def test_cost_counts_until_what_is_owed_includes_it(hub, other):
    known = Known(available=100)
    lease, _ = hub.admit(known, hold=60)
    hub.keep(known, (lease, "c", 50, False))
    assert other.admit(known, hold=51)[1][0] == BALANCE
    hub.keep(Known(available=100, owed=50, version=2),
             (lease, "-", 0, False))
    assert other.admit(known, hold=51)[1][0] == BALANCE
    assert other.admit(known, hold=50)[1][0] == OK


def test_charges_above_their_hold_count_whole(hub):
    known = Known(available=100)
    lease, _ = hub.admit(known, hold=10)
    hub.keep(known, (lease, "c", 99, False))
    assert hub.admit(known, hold=2)[1][0] == BALANCE


def test_older_news_change_nothing(hub, other):
    new = Known(seq=5, available=10, owed=4, version=9)
    old = Known(seq=4, available=1000, owed=0, version=8)
    assert hub.admit(new, hold=7)[1][0] == BALANCE
    assert hub.admit(old, hold=7)[1][0] == BALANCE
    # of its own debts a hub alone says what is new
    assert other.admit(old, hold=7)[1][0] == BALANCE
    assert other.admit(old, hold=6)[1][0] == OK


def test_an_overdraft_changes_no_number(hub, other):
    assert hub.admit(Known(seq=5, available=10), hold=11)[1][0] == BALANCE
    more = Known(seq=5, available=20, version=2)
    assert hub.admit(more, hold=11)[1][0] == OK
    assert other.admit(more, hold=10)[1][0] == BALANCE


def test_hubs_hear_which_accounts_they_owe(hub, other):
    hub.admit(Known(owed=4, version=2), account=7)
    hub.admit(Known(owed=1, version=2), account=8)
    assert hub.hello() == {7: 0, 8: 0}
    assert hub.hello(since=1) == {8: 0}
    assert other.hello() == {}
    assert hub.hello(Known(owed=0, version=3), account=7) == {8: 0}


def test_large_sums_are_exact(hub):
    most = 2**53 - 1
    known = Known(available=most)
    assert hub.admit(known, hold=most - 1)[1][:2] == [OK, most - 1]
    assert hub.admit(known, hold=2)[1][0] == BALANCE
    assert hub.admit(known, hold=1)[1][:2] == [OK, 1]


# ---- rates and concurrency -------------------------------------------------

def test_rate_is_exact_over_hubs(hub, other):
    known = Known(available=100)
    answers = [h.admit(known, rpm=5)[1] for _ in range(4)
               for h in (hub, other)]
    assert [a[0] for a in answers] == [OK] * 5 + [RATE] * 3
    assert 0 < answers[-1][2] <= MINUTE // 5
    assert MINUTE - 1_000_000 < answers[-1][3] <= MINUTE
    assert answers[-1][4] == 0


def test_tokens_above_a_burst_wait_for_a_full_bucket(hub):
    known = Known(available=100)
    assert hub.admit(known, tpm=100, tokens=250)[1][0] == OK
    code, _, wait, _, full = hub.admit(known, tpm=100, tokens=250)[1]
    assert code == RATE
    assert 2.4 * MINUTE < wait == full <= 2.5 * MINUTE


def test_refused_takes_nothing(hub, scripts):
    known = Known(available=10)
    assert hub.admit(known, hold=10, most=1, rpm=9, tpm=900,
                     tokens=90)[1][0] == OK
    before = lives(scripts), hub.admit(known, hold=9, most=1, rpm=9,
                                       tpm=900, tokens=900)[1][3:]
    for code, how in ((RATE, dict(tpm=900, tokens=900, rpm=9)),
                      (CONCURRENCY, dict(most=1, rpm=9, tpm=900, tokens=9)),
                      (BALANCE, dict(hold=1, rpm=9, tpm=900, tokens=9))):
        answer = hub.admit(known, **how)[1]
        assert answer[:2] == [code, 0]
        assert lives(scripts) == before[0]
        for now, then in zip(answer[3:], before[1]):
            assert then - 1_000_000 < now <= then


def test_concurrency_is_exact_over_hubs(hub, other):
    known = Known(available=100)
    first = hub.admit(known, most=2)[0]
    assert other.admit(known, most=2)[1][0] == OK
    assert other.admit(known, most=2)[1][0] == CONCURRENCY
    hub.keep(known, (first, "c", 0, False))
    assert other.admit(known, most=2)[1][0] == OK
    assert hub.admit(known, most=2)[1][0] == CONCURRENCY


def test_tokens_are_corrected_once(hub):
    known = Known(available=100)
    lease, answer = hub.admit(known, tpm=60, tokens=30)
    assert MINUTE // 2 - 1_000_000 < answer[4] <= MINUTE // 2
    for _ in range(3):  # an answer may be lost, and the command sent again
        hub.keep(known, (lease, "c", 1, False, 0, 20_000_000))
    left = hub.admit(known, tpm=60, tokens=1)[1][4]
    assert 10_000_000 < left <= 11_000_000


def test_cancelled_gives_all_back(hub, scripts):
    known = Known(available=100)
    how = dict(hold=100, most=1, rpm=1, tpm=60, tokens=60)
    lease, answer = hub.admit(known, **how)
    assert answer[0] == OK
    hub.keep(known, (lease, "-", 0, False, MINUTE, MINUTE))
    assert hub.admit(known, **how)[1][0] == OK


def test_a_clock_that_was_set_back_locks_no_key(hub, scripts):
    """Its buckets are full in a day at the latest, and not in years."""
    known = Known(available=100)
    hub.admit(known, rpm=60, tpm=60, tokens=1)
    rates, = (k for k in scripts.run("KEYS", "*") if ":rates:" in k)
    day = 24 * 60 * MINUTE
    for bucket in ("q", "t"):
        scripts.run("HINCRBY", rates, bucket, 1000 * day)
    answer = hub.admit(known, rpm=60, tpm=60, tokens=1)[1]
    assert answer[0] == RATE
    assert all(0 < n <= day for n in answer[2:]), answer


# ---- leases ----------------------------------------------------------------

def test_asked_twice_is_taken_once(hub):
    known = Known(available=100)
    how = dict(hold=60, most=1, rpm=9)
    lease, first = hub.admit(known, **how)
    assert hub.admit(known, lease=lease, **how)[1][:2] == [OK, 60]
    assert hub.admit(known, hold=40)[1][0] == OK


def test_d05_redis_a_lease_that_nobody_renews_ends(scripts):
    """Though others of its key and account live on."""
    dead, alive = (Hub(scripts, name, ttl_ms=500) for name in ("a", "b"))
    known = Known(available=100)
    how = dict(hold=50, most=2)
    lives_on, _ = alive.admit(known, **how)
    assert dead.admit(known, **how)[1][0] == OK
    end = time.monotonic() + 10
    while alive.admit(known, **how)[1][0] != OK:
        assert time.monotonic() < end
        alive.keep(known, (lives_on, "h", 50, True))
    assert time.monotonic() > end - 9.6
    assert alive.admit(known, **how)[1][0] == CONCURRENCY
    assert alive.admit(known, hold=1)[1][0] == BALANCE


def test_renewed_leases_live_on(scripts):
    hub = Hub(scripts, ttl_ms=400)
    known = Known(available=100)
    lease, _ = hub.admit(known, hold=100, most=1)
    end = time.monotonic() + 1
    while time.monotonic() < end:
        hub.keep(known, (lease, "h", 100, True))
        assert hub.admit(known, most=1)[1][0] == CONCURRENCY
        assert hub.admit(known, hold=1)[1][0] == BALANCE


def test_what_redis_has_lost_is_made_anew(hub, other, scripts):
    known = Known(available=100)
    lease, _ = hub.admit(known, hold=60, most=1)
    scripts.run("FLUSHDB")
    assert other.admit(known, hold=60)[1][0] == LOST
    assert hub.keep(known, (lease, "h", 60, True)) == [LOST]
    assert lives(scripts) == []
    before = hub.epoch
    hub.hello()
    assert hub.epoch > before
    assert hub.age == 0
    assert hub.keep(known, (lease, "h", 60, True)) == [OK]
    other.hello()
    assert other.epoch == hub.epoch
    assert 0 < other.age < 60_000_000
    assert other.admit(known, hold=60)[1][0] == BALANCE
    assert other.admit(known, most=1)[1][0] == CONCURRENCY


def test_nothing_stays_when_nothing_lives(scripts):
    hub = Hub(scripts, ttl_ms=200)
    known = Known(available=100, owed=1, version=2)
    done, _ = hub.admit(known, hold=5, most=9, rpm=1200, tpm=60000,
                        tokens=60)
    hub.admit(known, hold=5, most=9)  # its worker dies
    hub.keep(known, (done, "-", 0, False))
    end = time.monotonic() + 10
    while lives(scripts) != ["owing:a"]:
        assert time.monotonic() < end, lives(scripts)
    for key in scripts.run("KEYS", "*"):
        assert 0 < scripts.run("PTTL", key) <= 86_400_000


def test_the_last_lease_takes_the_sum_along(hub, scripts):
    known = Known(available=100)
    leases = [hub.admit(known, hold=10)[0] for _ in range(10)]
    hub.keep(known, *((e, "-", 0, False) for e in leases))
    assert lives(scripts) == []


# ---- several hubs spend one balance ----------------------------------------

class Spender(Hub):
    """A hub with what it has booked and not stored. Its commands lie about
    for a while, in order for each of its workers."""

    def __init__(self, world, name):
        super().__init__(world.scripts, name)
        self.world = world
        self.base, self.seq, self.version = world.balance, world.seq, 1
        self.owed = 0       # booked here, not in the store
        self.telling = []   # (amount) in the store, hub not told yet
        self.live, self.over, self.booked = [], [], []
        self.queues = {0: [], 1: []}

    def known(self):
        return Known(self.seq, self.base, self.owed, self.version)

    def publish(self):
        self.version += 1

    def send(self, worker, command, done):
        self.queues[worker].append((command, done))

    def ask(self, hold):
        worker = self.world.random.choice((0, 1))
        lease, command = self.admission(self.known(), hold=hold)

        def done(answer):
            assert answer[0] in (OK, BALANCE)
            if answer[0] == OK:
                self.world.spend(lease, hold)
                self.live.append((worker, lease, hold))
        self.send(worker, command, done)

    def finish(self):
        worker, lease, hold = self.take(self.live)
        cost = self.world.random.randint(0, hold)
        self.world.spend(lease, cost)
        self.send(worker, self.keeping(
            self.known(), (lease, "c", cost, False)), lambda _: None)
        self.over.append((worker, lease, cost))

    def book(self):
        """Billing commits and publishes; then the worker lets go."""
        worker, lease, cost = self.take(self.over)
        self.owed += cost
        self.publish()
        self.booked.append(cost)
        self.send(worker, self.keeping(
            self.known(), (lease, "-", 0, False)), lambda _: None)

    def die(self):
        """A worker is killed: billing bills what it had, and its leases
        stay as they are until they run out."""
        worker = self.world.random.choice((0, 1))
        self.queues[worker].clear()
        for rows in (self.live, self.over):
            for row in [r for r in rows if r[0] == worker]:
                rows.remove(row)
                self.owed += row[2]
                self.booked.append(row[2])
        self.publish()

    def store(self):
        """The courier: rows are in the store, whatever the hub knows."""
        n = self.world.random.randint(1, len(self.booked))
        amount = sum(self.booked[:n])
        del self.booked[:n]
        self.world.balance -= amount
        self.world.seq += 1
        self.telling.append(amount)

    def hear(self):
        """Its courier tells it, with the balance as it is now."""
        self.owed -= self.telling.pop(0)
        # what is stored and not told of is owed still: counted twice
        self.learn()

    def learn(self):
        """A notification, or what its courier brought."""
        if self.world.seq > self.seq:
            self.base, self.seq = self.world.balance, self.world.seq
        self.publish()

    def tell(self):
        keys, args = self.head()
        self.send(0, ("tell", keys + ["hubd:{s}:account:1"],
                      args + [0, *self.known().args(1)]), lambda _: None)

    def deliver(self):
        queue = self.world.random.choice(
            [q for q in self.queues.values() if q])
        command, done = queue.pop(0)
        done(self.scripts.script(*command))

    def take(self, rows):
        return rows.pop(self.world.random.randrange(len(rows)))

    def moves(self):
        can = [(self.ask_some, 4), (self.learn, 1), (self.tell, 1)]
        if any(self.queues.values()):
            can.append((self.deliver, 12))
        if self.live:
            can.append((self.finish, 3))
        if self.over:
            can.append((self.book, 3))
        if self.booked:
            can.append((self.store, 2))
        if self.telling:
            can.append((self.hear, 2))
        return can

    def ask_some(self):
        self.ask(self.world.random.randint(0, 40))


class World:
    def __init__(self, scripts, seed, balance, hubs):
        self.scripts, self.random = scripts, random.Random(seed)
        self.first = self.balance = balance
        self.seq, self.spent = 1, {}
        self.hubs = [Spender(self, f"hub{i}") for i in range(hubs)]

    def spend(self, lease, amount):
        """A lease's hold, then its cost: never more than there is."""
        self.spent[lease] = amount
        assert sum(self.spent.values()) <= self.first

    def step(self, die=False):
        hub = self.random.choice(self.hubs)
        if die and self.random.random() < 0.01:
            return hub.die()
        can = hub.moves()
        self.random.choices([f for f, _ in can], [w for _, w in can])[0]()

    def settle(self):
        """Everything comes to its end."""
        for hub in self.hubs:
            while any(hub.queues.values()):
                hub.deliver()
            while hub.live:
                hub.finish()
            while hub.over:
                hub.book()
            while hub.booked:
                hub.store()
            while hub.telling:
                hub.hear()
        for hub in self.hubs:
            hub.learn()
            hub.tell()
            while any(hub.queues.values()):
                hub.deliver()


@pytest.mark.parametrize("seed", range(6))
def test_no_interleaving_overdraws(scripts, seed):
    world = World(scripts, seed, 2000, 2 + seed % 2)
    for _ in range(1500):
        world.step()
    world.settle()
    assert world.balance == 2000 - sum(world.spent.values()) >= 0
    assert lives(scripts) == []
    # what is left can be had, to the last bit
    hub = world.hubs[0]
    assert hub.admit(hub.known(), hold=world.balance + 1)[1][0] == BALANCE
    assert hub.admit(hub.known(), hold=world.balance)[1][0] == OK


@pytest.mark.parametrize("seed", range(3))
def test_no_death_overdraws(scripts, seed):
    world = World(scripts, seed, 2000, 3)
    for _ in range(1500):
        world.step(die=True)
    world.settle()
    assert world.balance >= 0


def test_money_for_100_requests_serves_100_of_1000(scripts):
    """Two hubs, all at once: no hold is above its cost here."""
    world = World(scripts, 1, 100 * 7, 2)
    for i in range(1000):
        world.hubs[i % 2].ask(7)
    for hub in world.hubs:
        while any(hub.queues.values()):
            hub.deliver()
    assert sum(len(hub.live) for hub in world.hubs) == 100
