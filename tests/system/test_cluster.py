"""Several hubs of one store: real PostgreSQL, real Redis, one agent at all."""

import concurrent.futures
from decimal import Decimal

import pytest

import crash
import money
import postgresql
import priced
import procs
import redis_server
import stores
from procs import await_

CREDIT = crash.CREDIT


class Cluster(procs.Site):
    """Two hubs, with servers of the test's own, that it may hurt."""

    def __init__(self, **how):
        self.pg = postgresql.PostgreSQL().start()
        self.redis = redis_server.Redis().start()
        super().__init__(priced.PRICES, hubs=2,
                         store=stores.Store(pg=self.pg, redis=self.redis),
                         **how)

    def close(self):
        """Of a failed start, too."""
        try:
            super().close()
        finally:
            self.pg.stop()
            self.redis.stop()

    def ask_both(self, key, n, users=8, **more):
        """n requests by turns at the hubs; their ids. All are served."""
        def ask(i):
            status, fields, body = self.chat(
                key, crash.MODEL, hub=self.hubs[i % 2], **more)
            assert status == 200, body
            return fields["x-request-id"]
        with concurrent.futures.ThreadPoolExecutor(users) as pool:
            return list(pool.map(ask, range(n)))

    def settled(self, account, n, seconds=30):
        """Awaits n rows in the store; the account's balance everywhere."""
        await_(f"{n} rows in the store", lambda: self.rows() == n, seconds)
        rows = crash.ledger(self, account)
        left = CREDIT - sum(Decimal(r["amount"]) for r in rows)
        for hub in self.hubs:
            await_("the balance at every hub", lambda: Decimal(
                hub.balance(account)["balance"]) == left)
            hub.ctl("audit", "full")
        return rows

    def rows(self):
        return int(self.store.sql("SELECT count(*) FROM ledger")[0][0])


@pytest.fixture
def pair():
    cluster = Cluster()
    yield cluster
    cluster.close()


@pytest.fixture(scope="module")
def worn():
    """As pair, for tests that leave it as it was."""
    cluster = Cluster()
    yield cluster
    cluster.close()


def payer(cluster):
    account = cluster.account(str(CREDIT))
    key = cluster.hub.key(account)[0]
    for hub in cluster.hubs[1:]:
        hub.await_key(key)
    return account, key


def test_hubs_charge_one_account(pair):
    account, key = payer(pair)
    ids = pair.ask_both(key, 200)
    rows = pair.settled(account, 200)
    assert {r["id"] for r in rows} == set(ids)
    cost = money.cost(priced.PRICES[crash.MODEL], crash.REPORTED)
    assert {r["amount"] for r in rows} == {cost}
    assert pair.pg.deadlocks() == 0


@pytest.mark.parametrize("away", ["immediate", "kill", "pause"])
def test_hubs_serve_while_the_store_is_away(pair, away):
    """What is booked meanwhile gets there, once, and in order of nothing."""
    account, key = payer(pair)
    pair.ask_both(key, 20)
    pair.settled(account, 20)
    if away == "pause":
        pair.pg.pause()
    elif away == "kill":
        pair.pg.kill()
    else:
        pair.pg.end("immediate")
    pair.ask_both(key, 60)
    for hub in pair.hubs:
        assert hub.health("readyz")
        await_("its rows to wait", lambda: hub.ctl(
            "show", "status")["billing"]["spooled"] > 0)
    if away == "pause":
        pair.pg.resume()
    else:
        pair.pg.start()
    pair.settled(account, 80, 60)
    for hub in pair.hubs:
        await_("nothing to wait", lambda: hub.ctl(
            "show", "status")["billing"]["spooled"] == 0)


def test_hub_that_is_killed_leaves_nothing_behind(pair):
    """The other serves on; what it had booked gets there when it is back."""
    account, key = payer(pair)
    pair.pg.pause()
    ids = pair.ask_both(key, 20)
    pair.hubs[1].child.kill()
    pair.hubs[1].child.wait()
    pair.pg.resume()
    for _ in range(10):
        assert pair.chat(key, crash.MODEL)[0] == 200
    await_("the rows of the one", lambda: pair.rows() == 20)
    crash.relaunch(pair.hubs[1])
    rows = pair.settled(account, 30)
    assert set(ids) <= {r["id"] for r in rows}


@pytest.mark.parametrize("away", ["kill", "pause", "restart"])
def test_hubs_serve_while_redis_is_away(pair, away):
    account, key = payer(pair)
    pair.ask_both(key, 10)
    if away == "pause":
        pair.redis.pause()
    elif away == "kill":
        pair.redis.kill()
    else:
        pair.redis.restart()
    pair.ask_both(key, 40)
    if away == "pause":
        pair.redis.resume()
    elif away == "kill":
        pair.redis.start()
    pair.ask_both(key, 10)
    pair.settled(account, 60)


# ---- between the spool and the store: who is killed where ------------------

def pid_of(cluster, victim):
    if victim == "postgresql":
        return cluster.pg.pid
    if victim == "courier":
        return await_("a courier", lambda: crash.courier(cluster.hub))
    return crash.pid_of(cluster, victim)


def revive(cluster, victim):
    if victim == "postgresql":
        cluster.pg.child.wait(10)
        cluster.pg.start()
    if victim == "master":
        cluster.hub.child.wait(10)
        crash.relaunch(cluster.hub)
        crash.renew_agent(cluster)


def spooled(hub):
    status = crash.asked(hub.ctl, "show", "status")
    return status["billing"]["spooled"] if status else -1


@pytest.mark.parametrize("victim", ["courier", "billing", "master",
                                    "postgresql"])
@pytest.mark.parametrize("point", ["courier.committed", "billing.taken"])
def test_row_gets_to_the_store_once_whoever_is_killed(worn, point, victim):
    """It is there and this hub does not know; it knows, and is killed."""
    account, key = payer(worn)
    path = crash.arm(worn, point, f"kill {pid_of(worn, victim)}")
    status, fields, _ = worn.chat(key, crash.MODEL)
    assert status == 200
    await_(f"{point} to be passed", lambda: not path.exists())
    revive(worn, victim)
    await_("the spool to be empty", lambda: spooled(worn.hub) == 0, 30)
    rows = await_("its row", lambda: crash.asked(crash.ledger, worn, account))
    assert [r["id"] for r in rows] == [fields["x-request-id"]]
    crash.check_books(worn, account, rows)
    await_("a hub that is whole", lambda: worn.hub.health("readyz"), 30)
