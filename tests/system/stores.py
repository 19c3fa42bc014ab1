"""On which store and which limits the hubs under test run.

STORE=postgresql and LIMITS=redis in the environment put every hub of every
test on real servers; without them hubs have SQLite and local limits. A
process of tests has one server of each kind, begun when first asked for, and
each hub a database of its own on them; hubs that belong together share one.
Only Python's own library is used.
"""

import atexit
import os
import threading

import postgresql
import redis_server

STORE = os.environ.get("STORE") or "sqlite"
LIMITS = os.environ.get("LIMITS") or "local"
if STORE not in ("sqlite", "postgresql") or LIMITS not in ("local", "redis"):
    raise SystemExit("STORE is sqlite or postgresql, LIMITS local or redis")

running = {}
beginning = threading.Lock()


def server(kind):
    """The server of this process, "postgresql" or "redis"."""
    with beginning:
        if kind not in running:
            made = postgresql.PostgreSQL() if kind == "postgresql" \
                else redis_server.Redis()
            running[kind] = made.start()
    return running[kind]


@atexit.register
def stop():
    """The end of both; a next hub would have new ones."""
    while running:
        running.popitem()[1].stop()


class Store:
    """A database and a Redis database, for one hub or several that share.

    By default as the environment says. pg, redis: servers of the caller's
    own, which he may hurt.
    """

    def __init__(self, store=STORE, limits=LIMITS, pg=None, redis=None):
        self.pg = self.redis = None
        if pg or store == "postgresql":
            self.pg = pg or server("postgresql")
            self.database = self.pg.create()
        if redis or limits == "redis":
            self.redis = redis or server("redis")
            self.db = self.redis.create()

    @property
    def options(self):
        """What a hub's configuration says."""
        options = {}
        if self.pg:
            options["store"] = self.pg.url(self.database)
        if self.redis:
            options["limits"] = self.redis.url(self.db)
        return options

    def sql(self, text):
        return self.pg.sql(text, self.database)

    def drop(self):
        """Nothing uses it any more. A server that has ended has dropped
        everything."""
        if self.pg and self.pg.running():
            self.pg.drop(self.database)
        self.pg = self.redis = None
