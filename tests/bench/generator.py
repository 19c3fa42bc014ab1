"""The load generators, and how busy their core was."""

import json
import os
import subprocess
import sys

from measure import HERE, cpu_ns, spawn
from sites import BUILD, PLAIN

QUICK = os.environ.get("BENCH_QUICK", "") != ""
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "1" if QUICK else "3"))
STEADY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "steady.py")


def generator(candidate, *argv):
    return spawn(HERE, f"{BUILD}/load", "-a", f"127.0.0.1:{candidate.port}",
                 "-k", candidate.key, *(["-T"] if candidate.tls else []),
                 *argv, stdout=subprocess.PIPE, text=True)


def steady(candidate, rate):
    """So many plain requests a second, until its result is asked for."""
    return spawn(HERE, sys.executable, STEADY, str(candidate.port),
                 candidate.key, PLAIN, str(rate), stdin=subprocess.PIPE,
                 stdout=subprocess.PIPE, text=True)


def result(process, site, sim_ns):
    """What the generator says, and how busy its core was."""
    text = process.communicate()[0]
    if not text:
        raise SystemExit("the load generator failed")
    r = json.loads(text)
    r["generator"] = r["cpu_us"] / r["us"]
    r["simulator"] = (cpu_ns(site.sim) - sim_ns) / 1000 / r["us"]
    return r


def burst(site, hub, n):
    """So many plain requests, 64 at once, all good."""
    sim_ns = cpu_ns(site.sim)
    r = result(generator(hub.candidate, "-m", PLAIN, "-c", "64", "-n",
                         str(n)), site, sim_ns)
    if r["errors"]:
        raise SystemExit(f"{r['errors']} errors before the store")
    return r
