"""The main job: a hub and an agent, one real streamed chat, its bill.

Uses the provider whose key is in the environment, else the simulator. Then it
serves until interrupted; with ONCE=1 it ends there. RUN_MODEL names another
model than the usual one. STORE=postgresql and LIMITS=redis have it on real servers,
which end with it. Only Python's own library is used.
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
sys.path.insert(0, os.path.join(ROOT, "tests", "system"))
import stores  # noqa: E402

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


QUESTION = "In one sentence: what does a gateway do?"


class OpenAI:
    """A provider that speaks as OpenAI does: what is asked of it, and how."""

    name, type = "OpenAI", "openai"
    variable, base_variable = "OPENAI_API_KEY", "OPENAI_BASE_URL"
    base, model = "https://api.openai.com/v1", "gpt-4o-mini"

    @staticmethod
    def request(model):
        return "/v1/chat/completions", {
            "model": model, "stream": True,
            "stream_options": {"include_usage": True},
            "messages": [{"role": "user", "content": QUESTION}]}

    @staticmethod
    def text(event):
        return "".join(c.get("delta", {}).get("content") or ""
                       for c in event.get("choices", []))

    @staticmethod
    def usage(event):
        return event.get("usage")


class Anthropic(OpenAI):
    name, type = "Anthropic", "anthropic"
    variable, base_variable = "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"
    base, model = "https://api.anthropic.com", "claude-haiku-4-5"

    @staticmethod
    def request(model):
        return "/v1/messages", {
            "model": model, "stream": True, "max_tokens": 200,
            "messages": [{"role": "user", "content": QUESTION}]}

    @staticmethod
    def text(event):
        return event.get("delta", {}).get("text") or ""


class Gemini(OpenAI):
    name, type = "Gemini", "google"
    variable, base_variable = "GEMINI_API_KEY", "GEMINI_BASE_URL"
    base = "https://generativelanguage.googleapis.com"
    model = "gemini-2.5-flash-lite"

    @staticmethod
    def request(model):
        return f"/v1beta/models/{model}:streamGenerateContent?alt=sse", {
            "contents": [{"role": "user", "parts": [{"text": QUESTION}]}]}

    @staticmethod
    def text(event):
        return "".join(p.get("text") or ""
                       for c in event.get("candidates", [])
                       for p in c.get("content", {}).get("parts", []))

    @staticmethod
    def usage(event):
        return event.get("usageMetadata")


PROVIDERS = OpenAI, Anthropic, Gemini


def provider():
    """Its kind, base URL, key and model; starts the simulator if there is no
    key."""
    for kind in PROVIDERS:
        if os.environ.get(kind.variable):
            base = os.environ.get(kind.base_variable, kind.base)
            print(f"provider: {kind.name} at {base}")
            return (kind, base, "${" + kind.variable + "}",
                    os.environ.get("RUN_MODEL", kind.model))
    sim = start("provsim", "-l", "127.0.0.1:0", "-d", SIM,
                stdout=subprocess.PIPE)
    line = sim.stdout.readline().decode()
    if "listening on" not in line:
        fail("the simulator does not start")
    addr = line.split()[-1]
    keys = ", ".join(kind.variable for kind in PROVIDERS)
    print(f"provider: the simulator (the environment has none of {keys})")
    return OpenAI, f"http://{addr}/v1", "sim-key", "own-stream"


def on_stores():
    """Lines of hubd.conf: on which store and limits it is to run."""
    store = stores.Store()
    for server in filter(None, (store.pg, store.redis)):
        print(f"{server.name + ':':<10}127.0.0.1:{server.port}, "
              f"in {server.home}")
    return "".join(f'{k:<12} = "{v}"\n' for k, v in store.options.items())


def configure(run_dir, port, admin):
    kind, base, key, model = provider()
    lines = on_stores()
    conf = write("hubd.conf", f'''{lines}listen       = {{"127.0.0.1:{port}"}}
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
provider "{kind.type}" {{
  type     = "{kind.type}"
  base_url = "{base}"
  api_key  = "{key}"
  models   = {{"*"}}
}}
''')
    start("agentd", "-d", "-f", agent)
    wait_for(admin, "/readyz", "the agent does not come up")
    return conf, secret, kind, model


def chat(port, key, kind, model):
    """One streamed chat; returns the request's id."""
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    path, body = kind.request(model)
    c.request("POST", path, json.dumps(body),
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
        usage = kind.usage(event) or usage
        print(kind.text(event), end="", flush=True)
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
    stores.stop()


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
        conf, key, kind, model = configure(run_dir, port, admin)
        request_id = chat(port, key, kind, model)
        show_bill(conf, model, request_id)
        if not once:
            serve(port, key)
    except KeyboardInterrupt:
        pass
    finally:
        stop()
        shutil.rmtree(run_dir, ignore_errors=True)


main()
