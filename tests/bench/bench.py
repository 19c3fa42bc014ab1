"""make bench: what a request and a chunk cost, beside nginx in the same run.

Rounds alternate between the candidates; every figure is a median over the
rounds. What is measured is pinned to one core, the load generator and the
simulator to the other. CPU is that of the candidate's own processes, from
/proc/PID/task/*/schedstat. A row during which the generator used more than
80 % of its core is not reported: it would measure the generator.
"""

import glob
import html
import json
import os
import pwd
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, "build")
OUT = os.path.join(BUILD, "bench")
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
CORES = sorted(os.sched_getaffinity(0))
THERE, HERE = CORES[0], CORES[-1]  # the measured; generator and simulator

PLAIN, PACED, SLOW = "sim-chat", "sim-c50-d20", "sim-c12-d1000"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def spawn(core, *argv, **kw):
    return subprocess.Popen(["taskset", "-c", str(core), *argv], **kw)


def family(pid):
    """The process and its descendants."""
    pids, queue = [], [pid]
    while queue:
        p = queue.pop()
        pids.append(p)
        for path in glob.glob(f"/proc/{p}/task/*/children"):
            try:
                with open(path) as f:
                    queue += [int(x) for x in f.read().split()]
            except OSError:
                pass
    return pids


def cpu_ns(pids):
    total = 0
    for pid in pids:
        for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
            try:
                with open(path) as f:
                    total += int(f.read().split()[0])
            except OSError:
                pass
    return total


def rss_kib(pids):
    """Memory of its own: shared mappings are not counted per process."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as f:
                for line in f:
                    if line.startswith(("Private_Clean:", "Private_Dirty:")):
                        total += int(line.split()[1])
        except OSError:
            pass
    return total


def wait_http(port, path="/readyz"):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}",
                                   timeout=2).read()
            return
        except urllib.error.HTTPError as e:
            if path == "/":
                return e
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit(f"nothing answers on port {port}")


class Bench:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="hubd-bench-", dir="/dev/shm")
        self.procs = []
        self.candidates = {}  # name -> (port, key, {part: pids})

    def add(self, p):
        self.procs.append(p)
        return p

    def sim(self):
        p = self.add(spawn(HERE, f"{BUILD}/provsim", "-l", "127.0.0.1:0",
                           "-d", f"{ROOT}/tests/sim/data",
                           stdout=subprocess.PIPE, text=True))
        self.sim_port = int(p.stdout.readline().rsplit(":", 1)[1])
        self.candidates["direct"] = (self.sim_port, "x", {})

    def nginx(self, name, upstream):
        port = free_port()
        home = os.path.join(self.dir, name)
        os.makedirs(home)
        with open(f"{home}/nginx.conf", "w") as f:
            f.write(f"""
daemon off; worker_processes 1; pid {home}/pid;
error_log {home}/error.log;
events {{ worker_connections 20000; }}
http {{
  access_log off; keepalive_requests 100000000;
  client_body_temp_path {home}/b; proxy_temp_path {home}/p;
  fastcgi_temp_path {home}/f; uwsgi_temp_path {home}/u;
  scgi_temp_path {home}/s;
  upstream up {{ server 127.0.0.1:{upstream}; keepalive 2048;
                 keepalive_requests 100000000; }}
  server {{ listen 127.0.0.1:{port} backlog=4096;
    location / {{ proxy_pass http://up; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_buffering off; }} }}
}}
""")
        p = self.add(spawn(THERE, "nginx", "-c", f"{home}/nginx.conf",
                           "-e", f"{home}/error.log"))
        time.sleep(0.3)
        return port, p.pid

    def nginxes(self):
        one, pid1 = self.nginx("nginx1", self.sim_port)
        inner, pid2 = self.nginx("nginx2", self.sim_port)
        outer, pid3 = self.nginx("nginx3", inner)
        self.candidates["nginx, one hop"] = (
            one, "x", {"all": family(pid1)})
        self.candidates["nginx, two hops"] = (
            outer, "x", {"all": family(pid2) + family(pid3)})

    def ctl(self, *argv):
        out = subprocess.run([f"{BUILD}/hubctl", "-j", "-f", self.conf,
                              *argv], capture_output=True, text=True,
                             check=True)
        return json.loads(out.stdout)

    def hub(self):
        port, self.admin = free_port(), free_port()
        price = {m: {"litellm_provider": "openai", "mode": "chat",
                     "input_cost_per_token": 2.5e-6,
                     "output_cost_per_token": 1e-5}
                 for m in (PLAIN, PACED, SLOW)}
        with open(f"{self.dir}/prices.json", "w") as f:
            json.dump(price, f)
        self.conf = f"{self.dir}/hubd.conf"
        with open(self.conf, "w") as f:
            f.write(f"""listen = {{"127.0.0.1:{port}"}}
admin_listen = "127.0.0.1:{self.admin}"
workers = 1
state_dir = "{OUT}/state"
run_dir = "{self.dir}/run"
prices = {{"{self.dir}/prices.json"}}
user = "{pwd.getpwuid(os.getuid()).pw_name}"
""")
        log = open(f"{OUT}/hubd.log", "w")
        hub = self.add(spawn(THERE, f"{BUILD}/hubd", "-d", "-f", self.conf,
                             stderr=log))
        wait_http(self.admin, "/healthz")
        self.ctl("account", "add", "bench", "credit", "1000000")
        key = self.ctl("key", "add", "bench")["key"]
        token = self.ctl("agent", "add", "bench-1")["token"]
        with open(f"{self.dir}/agentd.conf", "w") as f:
            f.write(f"""name = "bench-1"
hubs = {{"ws://127.0.0.1:{port}"}}
token = "{token}"
links = 1
capacity = 4096
provider "sim" {{ type = "openai"
 base_url = "http://127.0.0.1:{self.sim_port}/v1"
 api_key = "x" models = {{"*"}} }}
""")
        alog = open(f"{OUT}/agentd.log", "w")
        agent = self.add(spawn(THERE, f"{BUILD}/agentd", "-d", "-f",
                               f"{self.dir}/agentd.conf", stderr=alog))
        wait_http(self.admin, "/readyz")
        hub_pids, agent_pids = family(hub.pid), family(agent.pid)
        self.candidates["hub and agent"] = (
            port, key, {"hub": hub_pids, "all": hub_pids + agent_pids})

    def load(self, name, *argv):
        """One run; the generator's figures and CPU of the candidate."""
        port, key, parts = self.candidates[name]
        before = {k: cpu_ns(v) for k, v in parts.items()}
        out = subprocess.run(
            ["taskset", "-c", str(HERE), f"{BUILD}/load", "-a",
             f"127.0.0.1:{port}", "-k", key, *argv],
            capture_output=True, text=True)
        if not out.stdout:
            raise SystemExit(f"load: {out.stderr}")
        r = json.loads(out.stdout)
        r["cpu"] = {k: cpu_ns(v) - before[k] for k, v in parts.items()}
        r["busy"] = r["cpu_us"] / r["us"]
        return r

    def memory(self, name):
        """KiB an open stream, beyond idle, with 2,000 of them."""
        port, key, parts = self.candidates[name]
        idle = {k: rss_kib(v) for k, v in parts.items()}
        p = spawn(HERE, f"{BUILD}/load", "-a", f"127.0.0.1:{port}", "-k",
                  key, "-m", SLOW, "-s", "-c", "2000", "-n", "2000", "-r",
                  "2000", stdout=subprocess.PIPE, text=True)
        before = {k: cpu_ns(v) for k, v in parts.items()}
        time.sleep(6)
        open_kib = {k: rss_kib(v) - idle[k] for k, v in parts.items()}
        r = json.loads(p.communicate()[0])
        r["cpu"] = {k: cpu_ns(v) - before[k] for k, v in parts.items()}
        r["kib"] = {k: v / 2000 for k, v in open_kib.items()}
        r["busy"] = r["cpu_us"] / r["us"]
        return r

    def close(self):
        for p in reversed(self.procs):
            p.terminate()
        for p in reversed(self.procs):
            try:
                p.wait(20)
            except subprocess.TimeoutExpired:
                p.kill()
        shutil.rmtree(self.dir, ignore_errors=True)


def median(values):
    return statistics.median(values) if values else None


def rounds(b, label, per, *argv):
    """One row a candidate: CPU per unit, medians over the rounds."""
    runs = {name: [] for name in b.candidates}
    for _ in range(ROUNDS):
        for name in b.candidates:
            runs[name].append(b.load(name, *argv))
    rows = []
    for name, rs in runs.items():
        busy = max(r["busy"] for r in rs)
        errors = sum(r["errors"] for r in rs)
        row = {"what": label, "candidate": name, "generator": busy,
               "errors": errors, "valid": busy <= 0.8 and errors == 0,
               "p50": median([r["p50_us"] for r in rs]),
               "p99": median([r["p99_us"] for r in rs]),
               "first_p50": median([r["first_p50_us"] for r in rs]),
               "lag_p50": median([r["lag_p50_us"] for r in rs]),
               "lag_p99": median([r["lag_p99_us"] for r in rs]),
               "rate": median([r["requests"] * 1e6 / r["us"] for r in rs])}
        for part in rs[0]["cpu"]:
            row["cpu_" + part] = median(
                [r["cpu"][part] / 1000 / max(1, r[per]) for r in rs])
        rows.append(row)
    return rows


def memory_rows(b):
    rows = []
    for name in b.candidates:
        if name == "direct":
            continue
        r = b.memory(name)
        row = {"what": "2,000 streams, a chunk a second", "candidate": name,
               "generator": r["busy"], "errors": r["errors"],
               "valid": r["busy"] <= 0.8 and r["errors"] == 0,
               "lag_p50": r["lag_p50_us"], "lag_p99": r["lag_p99_us"]}
        for part, kib in r["kib"].items():
            row["kib_" + part] = kib
            row["cpu_" + part] = r["cpu"][part] / 1000 / max(1, r["chunks"])
        rows.append(row)
    return rows


def booked(b):
    text = urllib.request.urlopen(
        f"http://127.0.0.1:{b.admin}/metrics").read().decode()
    for line in text.splitlines():
        if line.startswith("hubd_rows_booked_total"):
            return int(line.split()[-1])
    return 0


def durable(b):
    """Rows a second into the store while calls come as fast as they can."""
    start, t0 = booked(b), time.monotonic()
    r = b.load("hub and agent", "-m", PLAIN, "-c", "64", "-n", "40000")
    deadline = time.monotonic() + 60
    while booked(b) - start < r["requests"]:
        if time.monotonic() > deadline:
            raise SystemExit("rows are missing from the store")
        time.sleep(0.01)
    return r["requests"] / (time.monotonic() - t0)


def fmt(v, digits=1):
    return "-" if v is None else f"{v:.{digits}f}"


COLUMNS = [("cpu_hub", "hub us", 1), ("cpu_all", "all us", 1),
           ("p50", "p50 us", 0), ("p99", "p99 us", 0),
           ("lag_p50", "lag p50", 0), ("lag_p99", "lag p99", 0),
           ("kib_hub", "hub KiB", 1), ("kib_all", "all KiB", 1),
           ("rate", "per s", 0), ("generator", "gen %", 1)]


def groups(rows):
    """Rows by what was done, in order."""
    found = {}
    for row in rows:
        found.setdefault(row["what"], []).append(row)
    return found.items()


def line(row, columns):
    name = f"{row['candidate']:<16}"
    if not row["valid"]:
        return (f"{name}not reported: generator at "
                f"{row['generator'] * 100:.0f} % of its core, "
                f"{row['errors']} errors")
    values = {**row, "generator": row["generator"] * 100}
    return name + "".join(f"{fmt(values.get(k), digits):>8}"
                          for k, _, digits in columns)


def table(rows, events):
    """Each group with the columns that it has something in."""
    lines = []
    for what, group in groups(rows):
        columns = [c for c in COLUMNS
                   if any(r["valid"] and r.get(c[0]) for r in group)]
        lines += [what, f"{'':<16}" + "".join(f"{h:>8}"
                                              for _, h, _ in columns)]
        lines += [line(row, columns) for row in group] + [""]
    lines += [f"durable events: {events:.0f} rows a second committed",
              "while serving, all on one core with hub and agent"]
    return "\n".join(lines) + "\n"


def svg_group(out, y, what, bars):
    """One group of bars with a scale of its own; where it ends."""
    top = max(v for _, v in bars) or 1
    out.append(f'<text x="10" y="{y}" font-weight="bold">'
               f'{html.escape(what)}</text>')
    for name, v in bars:
        y += 22
        colour = "#2563a8" if "hub" in name else "#9aa5b1"
        out.append(f'<text x="130" y="{y}" text-anchor="end">'
                   f'{html.escape(name)}</text>'
                   f'<rect x="140" y="{y - 13}" width="{400 * v / top:.1f}" '
                   f'height="17" fill="{colour}"/>'
                   f'<text x="{146 + 400 * v / top:.1f}" y="{y}">'
                   f'{v:.1f}</text>')
    return y + 38


def svg(rows):
    out, y = [], 56
    for what, group in groups(rows):
        bars = [(r["candidate"], r["cpu_all"]) for r in group
                if r["valid"] and r.get("cpu_all") is not None]
        if bars:
            y = svg_group(out, y, what, bars)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="620" '
            f'height="{y - 16}" font-family="sans-serif" font-size="12">'
            '<rect width="100%" height="100%" fill="white"/>'
            '<text x="10" y="24" font-size="15">CPU per request or chunk, '
            'microseconds</text>\n' + "\n".join(out) + "\n</svg>\n")


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    os.makedirs(OUT)
    if len(CORES) < 2:
        raise SystemExit("make bench needs two cores")
    b = Bench()
    try:
        b.sim()
        b.nginxes()
        b.hub()
        for name in b.candidates:  # warm up
            b.load(name, "-m", PLAIN, "-c", "64", "-n", "5000")
        rows = rounds(b, "plain request, 64 at once", "requests",
                      "-m", PLAIN, "-c", "64", "-n", "20000")
        rows += rounds(b, "plain request, one at a time", "requests",
                       "-m", PLAIN, "-c", "1", "-n", "5000")
        rows += rounds(b, "200 streams, 50 chunks 20 ms apart, per chunk",
                       "chunks", "-m", PACED, "-s", "-c", "200", "-n", "600",
                       "-r", "20")
        rows += memory_rows(b)
        events = durable(b)
        text = table(rows, events)
        with open(f"{OUT}/table.txt", "w") as f:
            f.write(text)
        with open(f"{OUT}/rows.json", "w") as f:
            json.dump({"rows": rows, "durable_per_s": events}, f, indent=1)
        with open(f"{OUT}/cpu.svg", "w") as f:
            f.write(svg(rows))
        sys.stdout.write(text)
        print(f"written: {OUT}/table.txt, rows.json, cpu.svg")
    finally:
        b.close()


main()
