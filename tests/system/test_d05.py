"""d05: a live call of a killed worker counts no longer. It is the worker's
death that frees it, at once, not what billing does about it later; in Redis,
where nobody sees that death, its lease runs out.
"""

import os
import signal
import time

import crash
import priced
import procs
import stores
from procs import await_, error_code


LEASE = {"limit_lease": "3s"} if stores.LIMITS == "redis" else {}
MEANWHILE = {"no_agent", "concurrency_limited"} if LEASE else {"no_agent"}


def await_admitted(site, key):
    """Asks until there is an agent again, and the slot is free."""
    def ask():
        try:
            status, _, body = site.chat(key)
        except OSError:
            return False
        assert status == 200 or error_code(body) in MEANWHILE
        return status == 200
    await_("the next request to be admitted", ask, 20)


def test_d05_killed_worker_frees_its_keys_slots():
    site = procs.Site(priced.PRICES, workers=1, links=1, options=LEASE)
    try:
        key, key_id = site.hub.key(site.account(), "concurrency", "1")
        stream = crash.open_stream(site, key)
        assert error_code(site.chat(key)[2]) == "concurrency_limited"
        worker = crash.pid_of(site, "worker")
        billing = crash.pid_of(site, "billing")
        os.kill(billing, signal.SIGSTOP)
        try:
            began = time.monotonic()
            os.kill(worker, signal.SIGKILL)
            await_admitted(site, key)
            assert time.monotonic() - began < 8, "billing was replaced"
        finally:
            os.kill(billing, signal.SIGCONT)
        stream.close()
        await_("the slot to be shown free", lambda: all(
            r["calls"] == 0 for r in site.hub.ctl("show", "limits")["keys"]))
    finally:
        site.close()
