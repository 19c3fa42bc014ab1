"""make bench: what a request, a chunk and a stream cost, beside nginx and
HAProxy in the same run.

The hub has all that it has in service: keys with limits, metering, an access
log, a store that commits to the disk. The proxies beside it check, count and
write nothing. Rounds alternate between the candidates; every figure is a
median over the rounds. CPU is that of the candidate's own processes. A row
during which the generator used more than 80 % of its core, or saw an error,
is not reported: it would measure the generator.

HAProxy's reverse HTTP needs 2.9; where the pair of the hub's shape cannot be
had, two hops of nginx stand for it.

The last rows are of the stores: events a second that are durable in each, and
ten minutes' worth of them that waited for a PostgreSQL which was away, while
users go on.

BENCH_QUICK=1 is for a look: fewer rounds, requests and streams.
BENCH_ONLY=many,one,... takes only those rows (NAMES has them).
"""

import json
import os
import re
import shutil
import subprocess
import time

import durable
import limits
import report
from generator import QUICK, ROUNDS, generator, result
from measure import CORES, cpu_ns, median, rss_kib
from sites import (DIALECTS, HUB, LOCAL, OUT, PACED, PLAIN, SHARED,
                   SLOW, Site, fetch, paced, wait_until)

SLOWS = 500 if QUICK else 2000
STREAMS = 500 if QUICK else 5000
ABORTS = 200 if QUICK else 900
NAMES = {  # memory first: later there is some that earlier rows left behind
    "memory": f"memory an open stream, {STREAMS:,} streams",
    "many": "plain request, 64 at once",
    "one": "plain request, one at a time",
    "limits": "plain request, one at a time, by where limits are",
    "paced": "200 streams, 50 chunks 20 ms apart, per chunk",
    "dialects": "200 streams, 50 contents 20 ms apart, per event",
    "slow": f"{SLOWS:,} streams, a chunk a second each, per chunk",
    "abort": "a user's leaving to the provider's end of it",
    "durable": "durable events a second",
    "outage": f"PostgreSQL away for {durable.WAITED:,} rows, then back",
}
ONLY = os.environ.get("BENCH_ONLY", ",".join(NAMES)).split(",")
STORES = {"durable": durable.events, "outage": durable.outage}


def requests(per, *argv):
    """Some load, and CPU by what it is counted in."""
    def measure(site, candidate):
        before = {k: cpu_ns(v) for k, v in candidate.parts.items()}
        sim_ns = cpu_ns(site.sim)
        r = result(generator(candidate, *argv), site, sim_ns)
        r["rate"] = r["requests"] * 1e6 / r["us"]
        r["each"] = r["events"] / r["requests"]
        for part, pids in candidate.parts.items():
            used = cpu_ns(pids) - before[part]
            yield part, {**r, "cpu": used / 1000 / max(1, r[per])}
    return measure


def paced_by(model, dialect, per):
    return requests(per, "-m", model, "-d", dialect, "-s", "-c", "200", "-n",
                    "200" if QUICK else "600", "-r", "20")


def dialects(site, candidate):
    """The same stream in each, of those that speak them all."""
    for dialect in DIALECTS if HUB in candidate.parts else ():
        measure = paced_by(paced(dialect), dialect, "events")
        for part, r in measure(site, candidate):
            yield f"{dialect}, {part}", r


def streams(n, ramp_s, look_s):
    """Many streams, a chunk a second each; looked at when all are open."""
    def measure(site, candidate):
        idle = {k: rss_kib(v) for k, v in candidate.parts.items()}
        sim_ns = cpu_ns(site.sim)
        p = generator(candidate, "-m", SLOW, "-s", "-c", str(n), "-n",
                      str(n), "-r", str(ramp_s * 1000))
        time.sleep(ramp_s + 2)
        seen, t0 = {}, time.monotonic()
        before = {k: cpu_ns(v) for k, v in candidate.parts.items()}
        time.sleep(look_s)
        chunks = n * (time.monotonic() - t0)
        for part, pids in candidate.parts.items():
            used = cpu_ns(pids) - before[part]
            seen[part] = {"cpu": used / 1000 / chunks,
                          "kib": (rss_kib(pids) - idle[part]) / n}
        r = result(p, site, sim_ns)
        for part, found in seen.items():
            yield part, {**r, **found}
    return measure


def journal(site):
    """When the simulator saw each request's end, by its number."""
    found = {}
    for text in fetch(site.sim_port, "/_sim/log").splitlines():
        entry = json.loads(text)
        number = re.search(r"This is number (\d+)", entry["body"])
        if number and entry["ended"]:
            found[int(number[1])] = entry["end_ns"]
    return found


def aborts(site, candidate):
    """Ten users at a time leave at their first chunk."""
    subprocess.run(["curl", "-s", "-d", "{}", "-o", "/dev/null",
                    f"http://127.0.0.1:{site.sim_port}/_sim/reset"],
                   check=True)
    sim_ns = cpu_ns(site.sim)
    r = result(generator(candidate, "-m", PACED, "-s", "-x", "-c", "10",
                         "-n", str(ABORTS)), site, sim_ns)
    wait_until("the provider to see every abort",
               lambda: len(journal(site)) == ABORTS)
    ends = journal(site)
    took = sorted((ends[i] - t) / 1e6 for i, t in enumerate(r["left"]))
    del r["left"]
    for part in candidate.parts:
        yield part, {**r, "abort_p50": took[ABORTS // 2],
                     "abort_p99": took[ABORTS * 99 // 100]}


ROWS = {
    "many": (requests("requests", "-m", PLAIN, "-c", "64", "-n",
                      "5000" if QUICK else "20000"),
             "cpu p50 p99 rate"),
    "one": (requests("requests", "-m", PLAIN, "-c", "1", "-n",
                     "1000" if QUICK else "5000"),
            "cpu p50 p99"),
    "limits": (requests("requests", "-m", PLAIN, "-c", "1", "-n",
                        "1000" if QUICK else "5000"),
               "cpu p50 p99"),
    "paced": (paced_by(PACED, "openai", "chunks"), "cpu lag_p50 lag_p99"),
    "dialects": (dialects, "cpu each lag_p50 lag_p99"),
    "slow": (streams(SLOWS, 2, 6), "cpu lag_p50 lag_p99"),
    "memory": (streams(STREAMS, STREAMS // 1000 + 1, 1), "kib"),
    "abort": (aborts, "abort_p50 abort_p99"),
}
LATENCY = {"p50": "p50_us", "p99": "p99_us", "lag_p50": "lag_p50_us",
           "lag_p99": "lag_p99_us"}


def rounds(site, name):
    """One row a part of a candidate, medians over the rounds."""
    measure, fields = ROWS[name]
    runs, tls = {}, {}
    for _ in range(1 if name == "memory" else ROUNDS):
        for c in site.by_limits if name == "limits" else site.candidates:
            if name != "one" and "direct" in c.parts:
                continue
            for part, r in measure(site, c):
                runs.setdefault((c.tls, part), []).append(r)
    for (tls, part), rs in runs.items():
        row = {"what": NAMES[name], "part": part, "tls": tls,
               "errors": sum(r["errors"] for r in rs),
               "generator": max(r["generator"] for r in rs),
               "simulator": max(r["simulator"] for r in rs)}
        for field in fields.split():
            row[field] = median([r[LATENCY.get(field, field)] for r in rs])
        yield row


def add_latency(rows):
    """What a candidate adds to the provider's own time, one at a time."""
    mine = [r for r in rows if r["what"] == NAMES["one"]]
    direct = next((r for r in mine if r["part"] == "direct"), None)
    for r in mine:
        for p in ("p50", "p99"):
            r["added_" + p] = None if r is direct else r[p] - direct[p]
    if direct:
        direct["cpu"] = None


def add_limits(rows):
    """What Redis adds to a request beside local limits."""
    mine = {r["part"]: r for r in rows if r["what"] == NAMES["limits"]}
    for p in ("p50", "p99") if mine else ():
        mine[SHARED]["added_" + p] = mine[SHARED][p] - mine[LOCAL][p]


def add_ratio(rows):
    """What an event costs in a dialect beside the openai one's."""
    for r in rows:
        if r["what"] == NAMES["dialects"]:
            part = r["part"].split(", ")[1]
            r["ratio"] = report.ratio(rows, r["what"], r["tls"], r["part"],
                                      f"openai, {part}")


def run(site):
    for c in site.candidates:  # warm up
        generator(c, "-m", PLAIN, "-c", "64", "-n", "3000").communicate()
    rows = []
    for name in NAMES:
        if name in ONLY:
            print(f"measuring: {NAMES[name]}", flush=True)
            rows += STORES[name](site, NAMES[name]) if name in STORES \
                else rounds(site, name)
    add_latency(rows)
    add_limits(rows)
    add_ratio(rows)
    scripts = limits.per_second(site.redis_port, 20000) \
        if "limits" in ONLY else None
    return rows, scripts


def publish(rows, scripts):
    found = report.targets(rows, NAMES, report.value(
        rows, NAMES["durable"], False, durable.SQLITE, "rows"))
    text = report.table(rows)
    if scripts:
        text += (f"\nRedis alone, {limits.DEEP} under way: {scripts[0]:.0f} "
                 f"admissions, {scripts[1]:.0f} ends of calls a second of "
                 "its CPU\n")
    text += "\n" + report.target_table(found)
    with open(f"{OUT}/table.txt", "w") as f:
        f.write(text)
    with open(f"{OUT}/rows.json", "w") as f:
        json.dump({"rows": rows, "redis_per_s": scripts}, f, indent=1)
    with open(f"{OUT}/bench.svg", "w") as f:
        f.write(report.svg(rows))
    print(text + f"written: {OUT}/table.txt, rows.json, bench.svg")


def main():
    if len(CORES) < 2:
        raise SystemExit("make bench needs two cores")
    shutil.rmtree(OUT, ignore_errors=True)
    os.makedirs(OUT)
    site = Site()
    try:
        site.start()
        publish(*run(site))
    finally:
        site.close()


main()
