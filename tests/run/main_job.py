"""The main job: a hub and an agent, one real streamed chat, its bill.

Uses the provider whose key is in the environment (OPENAI_API_KEY), else the
simulator. Then it serves until interrupted; with ONCE=1 it ends there.
Only Python's own library is used.
"""

import http.client
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.environ.get("BUILD", os.path.join(ROOT, "build"))
HOME = os.path.join(ROOT, "build", "run")
SIM = os.path.join(ROOT, "tests", "sim", "data")
children = []


def free_port(wanted):
    """The port that is wanted, or any other that is free."""
    for port in (wanted, 0):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return s.getsockname()[1]
    raise SystemExit("no free port")


def start(name, *argv, **kw):
    log = open(os.path.join(HOME, name + ".log"), "w")
    p = subprocess.Popen([os.path.join(BUILD, name), *argv], stderr=log,
                         stdout=kw.get("stdout", log), cwd=HOME)
    children.append((name, p))
    return p


def fail(what):
    for name, _ in children:
        path = os.path.join(HOME, name + ".log")
        with open(path) as f:
            tail = f.read()[-1500:]
        print(f"--- {path}\n{tail}", file=sys.stderr)
    raise SystemExit("make run: " + what)


def wait_for(port, path, what):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for name, p in children:
            if p.poll() is not None:
                fail(f"{name} ended with status {p.returncode}")
        try:
            c = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            c.request("GET", path)
            if c.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.02)
    fail(what)


def hubctl(conf, *argv):
    p = subprocess.run([os.path.join(BUILD, "hubctl"), "-j", "-f", conf,
                        *argv], capture_output=True, text=True)
    if p.returncode != 0:
        fail(f"hubctl {' '.join(argv)}: {p.stderr.strip()}")
    return json.loads(p.stdout)


def write(name, text):
    path = os.path.join(HOME, name)
    with open(path, "w") as f:
        f.write(text)
    return path


def owner():
    """Who the clone belongs to: the hub runs as him, if we are root."""
    return pwd.getpwuid(os.stat(ROOT).st_uid).pw_name


def provider():
    """Base URL, key and model; starts the simulator if there is no key."""
    key = os.environ.get("OPENAI_API_KEY")
    if key:
        base = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
        print(f"provider: OpenAI at {base}")
        return base, "${OPENAI_API_KEY}", "gpt-4o-mini"
    sim = start("provsim", "-l", "127.0.0.1:0", "-d", SIM,
                stdout=subprocess.PIPE)
    line = sim.stdout.readline().decode()
    if "listening on" not in line:
        fail("the simulator does not start")
    addr = line.split()[-1]
    print("provider: the simulator (no OPENAI_API_KEY in the environment)")
    return f"http://{addr}/v1", "sim-key", "own-stream"


def configure(run_dir, port, admin):
    base, key, model = provider()
    conf = write("hubd.conf", f'''listen       = {{"127.0.0.1:{port}"}}
admin_listen = "127.0.0.1:{admin}"
state_dir    = "{HOME}/state"
run_dir      = "{run_dir}"
prices       = {{"{ROOT}/etc/prices.json", "{SIM}/prices.json"}}
user         = "{owner()}"
''')
    start("hubd", "-d", "-f", conf)
    wait_for(admin, "/healthz", "the hub does not come up")
    hubctl(conf, "account", "add", "demo", "credit", "5")
    secret = hubctl(conf, "key", "add", "demo", "name", "first")["key"]
    token = hubctl(conf, "agent", "add", "edge-1")["token"]
    agent = write("agentd.conf", f'''name  = "edge-1"
hubs  = {{"ws://127.0.0.1:{port}"}}
token = "{token}"
provider "openai" {{
  type     = "openai"
  base_url = "{base}"
  api_key  = "{key}"
  models   = {{"*"}}
}}
''')
    start("agentd", "-d", "-f", agent)
    wait_for(admin, "/readyz", "the agent does not come up")
    return conf, secret, model


def chat(port, key, model):
    """One streamed chat; returns the request's id."""
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    body = {"model": model, "stream": True,
            "stream_options": {"include_usage": True},
            "messages": [{"role": "user", "content":
                          "In one sentence: what does a gateway do?"}]}
    c.request("POST", "/v1/chat/completions", json.dumps(body),
              {"Authorization": "Bearer " + key,
               "Content-Type": "application/json"})
    r = c.getresponse()
    if r.status != 200:
        fail(f"the chat got {r.status}: {r.read(2000).decode()}")
    print("answer:   ", end="")
    usage = None
    for line in r:
        line = line.decode().strip()
        if not line.startswith("data: {"):
            continue
        event = json.loads(line[6:])
        if event.get("error"):
            fail(f"the chat failed: {event['error']}")
        usage = event.get("usage") or usage
        for choice in event.get("choices", []):
            print(choice.get("delta", {}).get("content") or "", end="",
                  flush=True)
    print(f"\nusage:    {json.dumps(usage)}")
    return r.getheader("x-request-id")


def show_bill(conf, model, request_id):
    prices = hubctl(conf, "show", "prices", model)
    print(f"price:    {json.dumps(prices['prices'][0])[:300]}")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for row in hubctl(conf, "show", "ledger", "limit", "5")["rows"]:
            if row["id"] == request_id:
                print(f"ledger:   {json.dumps(row)}")
                print(f"amount:   {row['amount']} USD")
                return
        time.sleep(0.02)
    fail("the ledger has no row for the chat")


def stop():
    for _, p in reversed(children):
        if p.poll() is None:
            p.send_signal(signal.SIGTERM)
    for _, p in reversed(children):
        try:
            p.wait(20)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()


def serve(port, key):
    print(f"\nserving on http://127.0.0.1:{port}/v1 with the key {key}\n"
          f"configuration and logs are in {HOME}; interrupt to end")
    while all(p.poll() is None for _, p in children):
        time.sleep(0.5)
    fail("a program ended")


def main():
    once = os.environ.get("ONCE", "") not in ("", "0")
    shutil.rmtree(HOME, ignore_errors=True)
    os.makedirs(HOME)
    shm = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    run_dir = tempfile.mkdtemp(prefix="hubd-run-", dir=shm)
    signal.signal(signal.SIGTERM, lambda *a: sys.exit(0))
    try:
        port, admin = free_port(8080), free_port(9090)
        conf, key, model = configure(run_dir, port, admin)
        request_id = chat(port, key, model)
        show_bill(conf, model, request_id)
        if not once:
            serve(port, key)
    except KeyboardInterrupt:
        pass
    finally:
        stop()
        shutil.rmtree(run_dir, ignore_errors=True)


main()
