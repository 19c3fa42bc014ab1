"""The processes of a bench: the simulator, and the candidates before it.

A candidate is an address and its parts: names of rows, with the processes
whose CPU and memory each is about. Candidates with TLS take it on every hop
but the last, to the simulator, which speaks none.
"""

import dataclasses
import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request

from measure import HERE, THERE, family, spawn

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, "build")
OUT = os.path.join(BUILD, "bench")
PLAIN, PACED, SLOW = "sim-chat", "sim-c50-d20", "sim-c12-d1000"
HUB, BOTH = "hub", "hub and agent"
LOCAL, SHARED = "hub, local limits", "hub, limits in Redis"


@dataclasses.dataclass
class Dialect:
    """The provider at the agent that speaks it."""
    type: str
    owner: str  # as price files call it
    options: str = 'api_key = "x"'
    base: str = ""  # path of its base URL
    models: tuple = ()  # that it has beside the dialect's own


DIALECTS = {
    "openai": Dialect("openai", "openai", base="/v1",
                      models=(PLAIN, PACED, SLOW)),
    "azure": Dialect("azure", "azure"),
    "anthropic": Dialect("anthropic", "anthropic"),
    "gemini": Dialect("google", "gemini"),
    "bedrock": Dialect("aws", "bedrock", 'region = "us-east-1" '
                       'access_key = "AKIABENCH" secret_key = "x"'),
}


def paced(dialect):
    """PACED by another name, which one provider alone has."""
    return PACED.replace("sim-", f"sim-{dialect}-")


def models():
    """Every model, and the dialect whose provider has it."""
    for name, d in DIALECTS.items():
        for model in (*d.models, paced(name)):
            yield model, name


@dataclasses.dataclass
class Candidate:
    port: int
    parts: dict
    tls: bool = False
    key: str = "x"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(what, ready, seconds=30):
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {seconds} s for {what}")
        time.sleep(0.02)


def fetch(port, path):
    return urllib.request.urlopen(f"http://127.0.0.1:{port}{path}",
                                  timeout=5).read().decode()


def answers(port, path):
    try:
        fetch(port, path)
        return True
    except OSError:
        return False


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Hub:
    """A hub with limits, an access log and a durable store; its agent."""

    def __init__(self, site, name, tls, limits="local", store="sqlite"):
        self.site, self.name = site, name
        self.limits, self.store = limits, store
        self.dir = os.path.join(site.dir, name)
        os.makedirs(self.dir)
        self.conf = f"{self.dir}/hubd.conf"
        self.port, self.admin = free_port(), free_port()
        self._configure(tls)
        self.pid = self._start("hubd", self.conf)
        wait_until("the hub", lambda: answers(self.admin, "/healthz"))
        self.ctl("account", "add", "bench", "credit", "1000000")
        self.key = self.ctl("key", "add", "bench", "rpm", "1000000000", "tpm",
                            "1000000000000", "concurrency", "100000")["key"]
        agent = self._agent(tls)
        wait_until("the agent", lambda: answers(self.admin, "/readyz"))
        hub = family(self.pid)
        self.candidate = Candidate(self.port, {HUB: hub, BOTH: hub +
                                               family(agent)}, tls, self.key)

    def _start(self, program, conf):
        with open(f"{OUT}/{self.name}-{program}.log", "w") as log:
            return self.site.add(spawn(THERE, f"{BUILD}/{program}", "-d",
                                       "-f", conf, stderr=log)).pid

    def _configure(self, tls):
        price = {m: {"litellm_provider": DIALECTS[d].owner, "mode": "chat",
                     "input_cost_per_token": 2.5e-6,
                     "output_cost_per_token": 1e-5}
                 for m, d in models()}
        with open(f"{self.dir}/prices.json", "w") as f:
            json.dump(price, f)
        with open(self.conf, "w") as f:
            f.write(f"""listen = {{"127.0.0.1:{self.port}"}}
admin_listen = "127.0.0.1:{self.admin}"
workers = 1
state_dir = "{OUT}/{self.name}-state"
run_dir = "{self.dir}/run"
access_log = "{OUT}/{self.name}-access.log"
limits = "{self.limits}"
store = "{self.store}"
prices = {{"{self.dir}/prices.json"}}
user = "{pwd.getpwuid(os.getuid()).pw_name}"
""")
            if tls:
                f.write(f'tls {{ certificate = "{self.site.pem}" '
                        f'key = "{self.site.pem_key}" }}\n')

    def _provider(self, name, d):
        served = ", ".join(f'"{m}"' for m, owner in models() if owner == name)
        return f"""provider "{name}" {{ type = "{d.type}" {d.options}
 base_url = "http://127.0.0.1:{self.site.sim_port}{d.base}"
 models = {{{served}}} }}
"""

    def _agent(self, tls):
        token = self.ctl("agent", "add", "bench-1")["token"]
        conf = f"{self.dir}/agentd.conf"
        with open(conf, "w") as f:
            f.write(f"""name = "bench-1"
hubs = {{"{'wss' if tls else 'ws'}://127.0.0.1:{self.port}"}}
token = "{token}"
ca_file = "{self.site.pem}"
links = 1
capacity = 8192
""" + "".join(self._provider(*x) for x in DIALECTS.items()))
        return self._start("agentd", conf)

    def ctl(self, *argv):
        out = subprocess.run([f"{BUILD}/hubctl", "-j", "-f", self.conf,
                              *argv], capture_output=True, text=True,
                             check=True)
        return json.loads(out.stdout)

    def metric(self, name):
        for line in fetch(self.admin, "/metrics").splitlines():
            if line.startswith(name):
                return int(line.split()[-1])
        return 0

    def booked(self):
        return self.metric("hubd_rows_booked_total")

    def billing(self):
        return self.ctl("show", "status")["billing"]["pid"]


class Site:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="hubd-bench-", dir="/dev/shm")
        self.procs = []
        self.candidates = []
        self.pg = None

    def start(self):
        self._certificate()
        self._simulator()
        for tls in (False, True):
            for proxy in (self._nginx, self._haproxy):
                self._one_and_two(proxy, tls)
            hub = Hub(self, "tls" if tls else "plain", tls)
            if not tls:
                self.hub = hub
            self.candidates.append(hub.candidate)
        self._limits()

    def _limits(self):
        """Two hubs that differ in where their limits are."""
        self.redis_port = free_port()
        self.add(spawn(HERE, "redis-server", "--bind", "127.0.0.1", "--port",
                       str(self.redis_port), "--save", "", "--dir", self.dir,
                       stdout=subprocess.DEVNULL))
        wait_until("Redis", lambda: listens(self.redis_port))
        shared = self.shared = Hub(self, "shared", False,
                                   f"redis://127.0.0.1:{self.redis_port}")
        wait_until("limits in Redis", lambda: shared.ctl(
            "show", "status")["limits"] == "redis")
        self.by_limits = [
            Candidate(hub.port, {part: hub.candidate.parts[HUB]},
                      key=hub.key)
            for part, hub in ((LOCAL, self.hub), (SHARED, shared))]

    def add(self, p):
        self.procs.append(p)
        return p

    def _certificate(self):
        """Its own authority; both in one file as HAProxy wants them."""
        self.pem, self.pem_key = f"{self.dir}/crt.pem", f"{self.dir}/key.pem"
        self.pem_both = f"{self.dir}/both.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=bench",
             "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2",
             "-keyout", self.pem_key, "-out", self.pem],
            check=True, capture_output=True)
        with open(self.pem_both, "w") as out:
            for part in (self.pem, self.pem_key):
                with open(part) as f:
                    out.write(f.read())

    def _simulator(self):
        p = self.add(spawn(HERE, f"{BUILD}/provsim", "-l", "127.0.0.1:0",
                           "-d", f"{ROOT}/tests/sim/data",
                           stdout=subprocess.PIPE, text=True))
        self.sim_port = int(p.stdout.readline().rsplit(":", 1)[1])
        self.sim = [p.pid]
        self.candidates.append(Candidate(self.sim_port, {"direct": []}))

    def _one_and_two(self, proxy, tls):
        name = proxy.__name__.strip("_")
        one, pid1 = proxy(self.sim_port, tls, False)
        inner, pid2 = proxy(self.sim_port, tls, False)
        outer, pid3 = proxy(inner, tls, tls)
        self.candidates += [
            Candidate(one, {f"{name}, one hop": family(pid1)}, tls),
            Candidate(outer, {f"{name}, two hops": family(pid2) +
                              family(pid3)}, tls)]

    def _nginx(self, upstream, tls, tls_up):
        port = free_port()
        home = os.path.join(self.dir, f"nginx-{port}")
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
  ssl_certificate {self.pem}; ssl_certificate_key {self.pem_key};
  upstream up {{ server 127.0.0.1:{upstream}; keepalive 8192;
                 keepalive_requests 100000000; }}
  server {{ listen 127.0.0.1:{port} {'ssl' if tls else ''} backlog=4096;
    location / {{ proxy_pass {'https' if tls_up else 'http'}://up;
      proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_buffering off; }} }}
}}
""")
        p = self.add(spawn(THERE, "nginx", "-c", f"{home}/nginx.conf",
                           "-e", f"{home}/error.log"))
        wait_until("nginx", lambda: listens(port))
        return port, p.pid

    def _haproxy(self, upstream, tls, tls_up):
        port = free_port()
        conf = os.path.join(self.dir, f"haproxy-{port}.cfg")
        with open(conf, "w") as f:
            f.write(f"""global
    nbthread 1
    maxconn 9000
    no numa-cpu-mapping
defaults
    mode http
    timeout connect 10s
    timeout client 600s
    timeout server 600s
    option http-no-delay
    http-reuse always
frontend in
    bind 127.0.0.1:{port} backlog 4096 {'ssl crt ' + self.pem_both
                                        if tls else ''}
    default_backend up
backend up
    server up 127.0.0.1:{upstream} {'ssl verify none' if tls_up else ''}
""")
        p = self.add(spawn(THERE, "haproxy", "-db", "-q", "-f", conf))
        wait_until("haproxy", lambda: listens(port))
        return port, p.pid

    def close(self):
        for p in reversed(self.procs):
            p.terminate()
        for p in reversed(self.procs):
            try:
                p.wait(20)
            except subprocess.TimeoutExpired:
                p.kill()
        if self.pg:
            self.pg.stop()
        shutil.rmtree(self.dir, ignore_errors=True)
