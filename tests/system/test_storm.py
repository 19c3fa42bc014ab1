"""The storm: users of every kind, providers that fail, processes killed at
random points. Seeded by STORM_SEED, sized by STORM_REQUESTS.
"""

import collections
import os
import random
import time

import crowd
import procs
import priced
import storm

REQUESTS = int(os.environ.get("STORM_REQUESTS", "20000"))
SEED = int(os.environ.get("STORM_SEED", "20260101"))
ROUNDS = max(1, min(3, REQUESTS // 6000))
LINKS = 4
KILLS_S = 300    # it goes on until all are killed, but not for ever


def test_storm(show):
    rng = random.Random(SEED)
    site = procs.Site(priced.PRICES, workers=4, links=LINKS,
                      options={"timeout": {"first_byte": "5s"}})
    try:
        tally, hits = storm.Tally(kills=True), collections.Counter()
        storm.prepare(site.sim)
        accounts, keys = storm.payers(site, 4)
        warm(site, rng, keys)
        before = storm.memory(site)
        run(site, rng, keys, tally, hits)
        after = storm.quiet_memory(site)
        try:
            storm.check_books(site, accounts, tally)
        finally:
            show(f"seed {SEED}, {tally.n} requests\n{tally.table()}\n"
                 f"{storm.kill_table(hits)}\n"
                 f"{storm.memory_text(before, after)}")
        storm.check_flat(before, after)
        storm.check_logs(site)
        tally.check_shares()
        assert all(hits[p] >= max(1, 0.05 * ROUNDS) for p in storm.POINTS)
    finally:
        site.close()


def warm(site, rng, keys):
    """Buffers and pools grow to what they are going to be."""
    n = max(REQUESTS // 10, 200)
    crowd.run(site.hub.port, storm.wants(rng, site.hub.port, keys,
                                         lambda i: i < n),
              lambda got: None)


def run(site, rng, keys, tally, hits):
    kills = ROUNDS * len(storm.POINTS)
    gap = REQUESTS // (2 * kills)

    deadline = time.monotonic() + KILLS_S

    def more(n):
        return n < REQUESTS or (sum(hits.values()) < kills and
                                time.monotonic() < deadline)
    crowd.run(site.hub.port,
              storm.wants(rng, site.hub.port, keys, more), tally.took,
              beside=storm.kill_on(site, rng, ROUNDS, LINKS - 1, hits,
                                   lambda: tally.n, gap))
