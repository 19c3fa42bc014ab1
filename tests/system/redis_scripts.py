"""The scripts of limits in Redis, called as hubs' workers call them."""

import hashlib
import itertools
import pathlib
import socket

from redis_server import ask

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "hubd" / "limit"
COMMON = (FOLDER / "redis_common.lua").read_text()
SCRIPTS = {name: COMMON + (FOLDER / f"redis_{name}.lua").read_text()
           for name in ("admit", "keep", "tell")}
OK, RATE, CONCURRENCY, BALANCE, LOST = range(5)
MINUTE = 60_000_000
ids = itertools.count()


def sha(name):
    return hashlib.sha1(SCRIPTS[name].encode()).hexdigest()


class Scripts:
    """A connection to one database, with the scripts loaded."""

    def __init__(self, redis, db):
        self.socket = socket.create_connection(("127.0.0.1", redis.port), 10)
        self.file = self.socket.makefile("rwb")
        self.run("SELECT", db)
        for text in SCRIPTS.values():
            self.run("SCRIPT", "LOAD", text)

    def run(self, *words):
        return ask(self.file, *words)

    def script(self, name, keys, args):
        return self.run("EVALSHA", sha(name), len(keys), *keys, *args)

    def close(self):
        self.file.close()
        self.socket.close()


class Known:
    """What a hub has published of an account."""

    def __init__(self, seq=1, available=0, owed=0, version=1):
        self.seq, self.available = seq, available
        self.owed, self.version = owed, version

    def args(self, account):
        return [account, 0, self.seq, self.available, self.owed,
                self.version]


class Hub:
    """One that calls the scripts: each method one command."""

    def __init__(self, scripts, name="a", ttl_ms=30_000):
        self.scripts, self.name, self.ttl = scripts, name, ttl_ms * 1000
        self.epoch = 0
        self.hello()

    def head(self):
        return (["hubd:{s}:epoch", f"hubd:{{s}}:owing:{self.name}"],
                [self.epoch, self.ttl, self.name])

    def hello(self, known=None, account=1, since=0):
        """The accounts of which it owes something, as Redis has them."""
        keys, args = self.head()
        args.append(since)
        if known:
            keys.append(f"hubd:{{s}}:account:{account}")
            args += known.args(account)
        self.epoch, self.age, *rows = self.scripts.script("tell", keys, args)
        return dict(zip(rows[::2], rows[1::2]))

    @staticmethod
    def keys(account, key):
        return [f"hubd:{{s}}:account:{account}", f"hubd:{{s}}:until:{account}",
                f"hubd:{{s}}:held:{account}", f"hubd:{{s}}:calls:{key}",
                f"hubd:{{s}}:rates:{key}"]

    def admission(self, known, hold=0, mode="strict", most=0, rpm=0, tpm=0,
                  tokens=0, account=1, key=1, lease=None):
        """A command that may be sent later."""
        keys, args = self.head()
        lease = lease or f"{self.name}-{next(ids)}"
        args += [lease, *known.args(account), hold, mode, most,
                 -(-MINUTE // rpm) if rpm else 0,
                 -(-MINUTE * tokens // tpm) if tpm else 0]
        return lease, ("admit", keys + self.keys(account, key), args)

    def admit(self, known, **how):
        """The lease and the script's answer."""
        lease, command = self.admission(known, **how)
        return lease, self.scripts.script(*command)

    def keeping(self, known, *leases, account=1, key=1):
        """leases: (id, kind, amount, counts, requests back, tokens back)"""
        keys, args = self.head()
        for lease, kind, amount, counts, *back in leases:
            keys = keys + self.keys(account, key)
            args += [lease, *known.args(account), kind, amount, int(counts),
                     *(back or (0, 0))]
        return "keep", keys, args

    def keep(self, known, *leases, **how):
        return self.scripts.script(*self.keeping(known, *leases, **how))
