"""The servers that the tests bring along do what the tests rely on."""

import threading

import pytest

import postgresql
import redis_server
from procs import await_


@pytest.fixture(scope="module")
def pg():
    server = postgresql.PostgreSQL().start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def redis():
    server = redis_server.Redis(password="pass").start()
    yield server
    server.stop()


def test_postgresql_keeps_what_was_committed(pg):
    db = pg.create()
    pg.sql("CREATE TABLE t (n NUMERIC); INSERT INTO t VALUES (0.1)", db)
    for mode in "fast", "immediate":
        pg.restart(mode)
        assert pg.value("SELECT n FROM t", db) == "0.1"
    pg.kill()
    pg.start()
    assert pg.value("SELECT n FROM t", db) == "0.1"
    with pytest.raises(postgresql.SqlError, match="does not exist"):
        pg.sql("SELECT * FROM t")
    assert pg.deadlocks(db) == 0
    pg.drop(db)


def test_postgresql_hangs_and_goes_on(pg):
    pg.pause()
    got = []
    asker = threading.Thread(
        target=lambda: got.append(pg.value("SELECT 42")))
    try:
        asker.start()
        asker.join(0.5)
        assert not got
    finally:
        pg.resume()
        asker.join()
    assert got == ["42"]


def test_redis_is_empty_when_restarted(redis):
    db = redis.create()
    assert redis.command("SET", "a", "1", db=db) == "OK"
    assert redis.keys(db=db) == ["a"] and redis.keys(db=db + 1) == []
    redis.kill()
    redis.start()
    assert redis.command("GET", "a", db=db) is None
    with pytest.raises(redis_server.RedisError):
        redis.command("NOSUCH")


def test_redis_keeps_what_it_is_told_to_keep():
    server = redis_server.Redis(persist=True).start()
    try:
        server.command("SET", "a", "1")
        server.kill()
        server.start()
        await_("it to have read its file",
               lambda: server.command("GET", "a") == "1")
    finally:
        server.stop()
