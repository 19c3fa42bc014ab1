"""d14: very many requests of every outcome; then there is no call, no
stream, no hold, and as much memory as before. D14_REQUESTS sizes it.
"""

import os
import random

import crowd
import priced
import procs
import storm
from procs import await_

REQUESTS = int(os.environ.get("D14_REQUESTS", "100000"))


def no_streams(site):
    """Not at a worker, not on a link, not at the provider."""
    workers = site.hub.ctl("show", "workers")["workers"]
    agents = site.hub.ctl("show", "agents")["agents"]
    return all(w["streams"] == 0 for w in workers) and \
        all(a["calls"] == 0 for a in agents) and \
        all(r["ended"] for r in site.sim.requests())


def test_d14_nothing_leaks(show):
    rng = random.Random(14)
    site = procs.Site(priced.PRICES, workers=2, links=2,
                      options={"timeout": {"first_byte": "3s"}})
    try:
        storm.prepare(site.sim)
        tally = storm.Tally(kills=False)
        accounts, keys = storm.payers(site, 4)

        def run(n):
            crowd.run(site.hub.port,
                      storm.wants(rng, site.hub.port, keys,
                                  lambda i: i < n), tally.took)
        run(REQUESTS // 5)
        before = storm.memory(site)
        run(REQUESTS - REQUESTS // 5)
        after = storm.quiet_memory(site)
        try:
            storm.check_books(site, accounts, tally)
        finally:
            show(f"{tally.n} requests\n{tally.table()}\n"
                 f"{storm.memory_text(before, after)}")
        storm.check_flat(before, after)
        await_("no stream to be open", lambda: no_streams(site), 20)
        storm.check_logs(site)
        tally.check_shares()
    finally:
        site.close()
