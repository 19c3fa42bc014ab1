"""Real processes under test: the simulator, the hub, an agent.

Each lives in a folder of its own under a fresh temporary folder and listens
on loopback ports that were free a moment ago. Nothing here sleeps for a fixed
time in the hope that something has happened: await_() asks again until a
deadline.
"""

import getpass
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import tempfile

import children
import providers
import stores
from children import Process, await_

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build"))
OWN = ROOT / "tests" / "sim" / "data"
SHARED = ROOT.parent / "shared"
RECORDINGS = SHARED / "recordings"


def program(name):
    """The test build if there is one: it has the failpoints."""
    for path in (BUILD / "test" / name, BUILD / name):
        if path.exists():
            return str(path)
    raise FileNotFoundError(f"{name} is not built")


# Ports that speak TLS, and how to meet them.
TLS = {}


def free_port():
    """One that nobody listens on now, whatever a hub before spoke there."""
    port = children.free_port()
    TLS.pop(port, None)
    return port


def connect(port, timeout=30):
    """A connection to a hub, by TLS if that is what it speaks."""
    if port in TLS:
        return http.client.HTTPSConnection("127.0.0.1", port,
                                           timeout=timeout, context=TLS[port])
    return http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)


def fetch(port, method, path, body=None, headers=None, timeout=30,
          broken=False):
    """One request on a connection of its own: status, fields, body.

    An answer that breaks off raises, or with broken=True is what came.
    """
    c = connect(port, timeout)
    try:
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        c.request(method, path, body, headers or {})
        r = c.getresponse()
        fields = {k.lower(): v for k, v in r.getheaders()}
        try:
            return r.status, fields, r.read()
        except http.client.IncompleteRead as e:
            if not broken:
                raise
            return r.status, fields, e.partial
    finally:
        c.close()


def form(*fields, boundary="------form-of-the-tests"):
    """A multipart body and its content-type; files are (name, bytes, file)."""
    parts = []
    for name, value, *file in fields:
        value = value.encode() if isinstance(value, str) else value
        extra = f'; filename="{file[0]}"' if file else ""
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; '
                     f'name="{name}"{extra}\r\n\r\n'.encode() +
                     value + b"\r\n")
    return (b"".join(parts) + f"--{boundary}--\r\n".encode(),
            {"Content-Type": f"multipart/form-data; boundary={boundary}"})


class Sim(Process):
    """The provider simulator and its control channel."""

    KEY = providers.KEY

    def __init__(self, folder, key=KEY, name="sim"):
        super().__init__(folder, name)
        argv = [str(BUILD / "provsim"), "-l", "127.0.0.1:0", "-d", str(OWN)]
        if RECORDINGS.is_dir():
            argv += ["-d", str(RECORDINGS)]
        if key == self.KEY:
            argv += providers.secrets()
        elif key:
            argv += ["-k", key]
        self.spawn(argv, stdout=subprocess.PIPE)
        line = self.child.stdout.readline().decode()
        assert line.startswith("listening on "), self.tail()
        self.port = int(line.rsplit(":", 1)[1])

    @property
    def url(self):
        return providers.url_of(self)

    def _post(self, verb, rule):
        status, _, body = fetch(self.port, "POST", f"/_sim/{verb}", rule)
        assert status == 200, body

    def next(self, file=None, **rule):
        """What the next request of the file's endpoint gets."""
        self._post("next", {**({"file": file} if file else {}), **rule})

    def bind(self, model, file=None, **rule):
        """What a model answers from now on."""
        self._post("bind", {"model": model,
                            **({"file": file} if file else {}), **rule})

    def clock(self, seconds):
        """Its clock is so much ahead of this machine's."""
        self._post("clock", {"skew_s": seconds})

    def tokens(self, **how):
        """lifetime_s of the next ones; revoke=True ends those there are."""
        self._post("tokens", how)

    def reset(self):
        self._post("reset", {})

    def requests(self, model=None):
        """The requests of late, oldest first, as dicts."""
        lines = fetch(self.port, "GET", "/_sim/log")[2].decode().splitlines()
        found = [json.loads(line) for line in lines]
        for r in found:
            r["fields"] = {k.lower(): v for k, v in r["headers"]}
        return [r for r in found if model is None or r["model"] == model]

    def stats(self):
        return json.loads(fetch(self.port, "GET", "/_sim/stats")[2])


class CtlError(Exception):
    """hubctl refused; status is its exit status."""

    def __init__(self, status, text):
        super().__init__(f"hubctl exit {status}: {text}")
        self.status, self.text = status, text


def conf_text(options):
    """libconfuse syntax of a dict; nested dicts are sections."""
    out = []
    for key, value in options.items():
        if isinstance(value, dict):
            out.append(f"{key} {{\n{conf_text(value)}}}\n")
        elif isinstance(value, (list, tuple)):
            out.append(f"{key} = {{{', '.join(map(json.dumps, value))}}}\n")
        elif isinstance(value, bool):
            out.append(f"{key} = {'true' if value else 'false'}\n")
        elif isinstance(value, int):
            out.append(f"{key} = {value}\n")
        else:
            out.append(f"{key} = {json.dumps(value)}\n")
    return "".join(out)


def price_text(prices):
    """A price file; numbers are texts so that each digit is as written."""
    entries = []
    for model, fields in prices.items():
        members = [f'    {json.dumps(k)}: {v}' for k, v in fields.items()]
        members += ['    "litellm_provider": "openai"', '    "mode": "chat"']
        entries.append(f"  {json.dumps(model)}: {{\n" +
                       ",\n".join(members) + "\n  }")
    return "{\n" + ",\n".join(entries) + "\n}\n"


class Hub(Process):
    """A hub with sockets of its own, and a store, if it is not given one."""

    def __init__(self, folder, prices, workers=1, failpoints=None,
                 options=None, env=None, ca=None, store=None):
        super().__init__(folder, "hubd")
        self.ca = ca  # who signed its certificates, if it has some
        self.own_store = store is None
        self.store = store or stores.Store()
        self.prices = self.folder / "prices.json"
        self.prices.write_text(price_text(prices))
        self.conf = self.folder / "hubd.conf"
        self.failpoints = self.folder / "failpoints"
        self.failpoints.mkdir(exist_ok=True)
        for name, text in (failpoints or {}).items():
            (self.failpoints / name).write_text(text)
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.run_dir = tempfile.mkdtemp(prefix="hubd.", dir=memory)
        self.state_dir = self.folder / "state"
        self.state_dir.mkdir(exist_ok=True)
        self.options = {"workers": workers, **self.store.options,
                        **(options or {})}
        self.env = env or {}

    def write_conf(self):
        self.port, self.admin_port = free_port(), free_port()
        if self.ca:
            TLS[self.port] = ssl.create_default_context(cafile=self.ca)
        self.rewrite_conf()

    def rewrite_conf(self):
        """Writes the file anew, as before a reload: ports stay."""
        self.conf.write_text(conf_text({
            "listen": [f"127.0.0.1:{self.port}"],
            "admin_listen": [f"127.0.0.1:{self.admin_port}"],
            "state_dir": str(self.state_dir),
            "run_dir": self.run_dir,
            "user": getpass.getuser(),
            "prices": [str(self.prices)],
            "max_calls": 4096, "max_keys": 1024, "max_accounts": 1024,
            **self.options}))

    def launch(self):
        self.spawn([program("hubd"), "-d", "-f", str(self.conf)],
                   {"FAILPOINT_DIR": str(self.failpoints), **self.env})

    def start(self):
        """Starts and awaits life. A port taken meanwhile: once more."""
        for _ in range(5):
            self.write_conf()
            self.launch()
            try:
                await_("healthz", self.settled)
            except TimeoutError:
                raise AssertionError(f"hubd does not start:\n{self.tail()}")
            if self.running():
                return self
            if "in use" not in self.tail():
                break
        raise AssertionError(f"hubd ended at its start:\n{self.tail()}")

    def settled(self):
        return not self.running() or self.health("healthz")

    def health(self, which, port=None):
        """True if the health endpoint answers 200."""
        try:
            return fetch(port or self.port, "GET", "/" + which,
                         timeout=5)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def await_ready(self, seconds=15):
        try:
            await_("readyz", lambda: self.health("readyz"), seconds)
        except TimeoutError:
            raise AssertionError(f"hub not ready:\n{self.tail()}")

    def await_store(self, seconds=15):
        """Awaits that the store is there, and the one it may share."""
        def there():
            billing = self.ctl("show", "status")["billing"]
            return billing["store_up"] and billing.get("shared_up", True)
        await_("the store", there, seconds)

    def ctl(self, *args, json_out=True):
        """hubctl -j; its document, or its text with json_out=False."""
        argv = [str(BUILD / "hubctl"), *(["-j"] if json_out else []),
                "-f", str(self.conf), *map(str, args)]
        p = subprocess.run(argv, capture_output=True, text=True, timeout=60)
        if p.returncode != 0:
            raise CtlError(p.returncode, p.stderr.strip())
        if not json_out:
            return p.stdout
        return json.loads(p.stdout) if p.stdout.strip() else None

    def account(self, name, credit="1000"):
        return self.ctl("account", "add", name,
                        *(["credit", credit] if credit != "0" else []))

    def balance(self, name):
        """The row of show accounts."""
        rows = self.ctl("show", "accounts", name)["accounts"]
        assert len(rows) == 1, rows
        return rows[0]

    def key(self, account, *limits):
        """A new key and its id, once the hub admits it."""
        made = self.ctl("key", "add", account, *limits)
        self.await_key(made["key"])
        return made["key"], made["id"]

    def await_key(self, key):
        await_("the key to be known",
               lambda: self.get_models(key)[0] == 200)

    def get_models(self, key):
        return fetch(self.port, "GET", "/v1/models", headers=bearer(key))

    def row(self, request_id, seconds=10):
        """The ledger row of a request, once it is booked."""
        return self.rows([request_id], seconds)[request_id]

    def rows(self, ids, seconds=10):
        """Rows by request id."""
        def look():
            rows = self.ctl("show", "ledger", "limit",
                            str(max(100, 4 * len(ids))))["rows"]
            found = {r["id"]: r for r in rows if r["id"] in ids}
            assert len(rows) == len({r["id"] for r in rows}), "doubled rows"
            return (found,) if len(found) == len(set(ids)) else None
        return await_(f"ledger rows of {len(ids)} requests", look,
                      seconds)[0]

    def quiet(self, seconds=10):
        """Awaits that no call is in flight, and no row on its way to a
        store that others read, too."""
        def still():
            return not self.ctl("show", "calls")["calls"] and not \
                self.ctl("show", "status")["billing"].get("spooled")
        await_("no calls", still, seconds)

    def stop_here(self, sig=signal.SIGKILL):
        """Ends it and leaves its files to a next one."""
        return super().stop(sig)

    def stop(self, *args, **kwargs):
        try:
            return super().stop(*args, **kwargs)
        finally:
            shutil.rmtree(self.run_dir, ignore_errors=True)
            if self.own_store:
                self.store.drop()


class Agent(Process):
    """An agent that dials a hub, or several, and reaches simulators.

    hub: the one at which it is registered; also: others of the same store.
    sims: by the provider's name a simulator, or (kind, simulator, options)
    with a kind of providers.section() and options that go before its own.
    """

    def __init__(self, folder, hub, sims, name="edge", links=2,
                 models=("*",), token=None, options=None, grants=(),
                 env=None, also=()):
        super().__init__(folder, f"agentd-{name}")
        self.hub, self.agent = hub, name
        self.hubs = [hub, *also]
        self.env = env or {}
        self.token = token or hub.ctl("agent", "add", name, *grants)["token"]
        self.conf = self.folder / "agentd.conf"
        self.conf.write_text(conf_text({
            "name": name, "token": self.token, "links": links,
            **self.way(), **(options or {})}) +
            "".join(self.section(p, sim, models) for p, sim in sims.items()))

    def section(self, name, sim, models):
        kind, sim, more = sim if isinstance(sim, tuple) else \
            ("openai", sim, {})
        options = {**providers.section(kind, sim, self.folder),
                   "models": list(models), **more}
        return f'provider "{name}" {{\n{conf_text(options)}}}\n'

    def start(self):
        self.spawn([program("agentd"), "-d", "-f", str(self.conf)],
                   {"FAILPOINT_DIR": str(self.hub.failpoints), **self.env})
        return self

    def way(self):
        if not self.hub.ca:
            return {"hubs": [f"ws://127.0.0.1:{h.port}" for h in self.hubs]}
        return {"hubs": [f"wss://localhost:{h.port}" for h in self.hubs],
                "ca_file": str(self.hub.ca)}

    def shown(self, hub=None):
        """Its row of show agents, or None."""
        rows = (hub or self.hub).ctl("show", "agents")["agents"]
        return next((r for r in rows if r["name"] == self.agent), None)

    def await_up(self, links=None, seconds=15):
        """So many links at each hub."""
        def up(hub):
            row = self.shown(hub)
            return row and row["state"] == "up" and (
                links is None or row["links"] >= links)
        for hub in self.hubs:
            try:
                await_("the agent to be up", lambda: up(hub), seconds)
            except TimeoutError:
                raise AssertionError(
                    f"agent not up: {self.shown(hub)}\n{self.tail()}\n"
                    f"-- hub --\n{hub.tail()}")
        return self


def bearer(key):
    return {"Authorization": f"Bearer {key}",
            "Content-Type": "application/json"}


def dict_of(kinds):
    return kinds if isinstance(kinds, dict) else {k: {} for k in kinds}


class Site:
    """A simulator, a hub and an agent that belong together.

    kinds: whom the agent knows, of providers.section(): a list, or by kind
    the options that go before the section's own.
    hubs: how many; several share a store and limits, and the agent dials
    all. hub is the first of them.
    """

    def __init__(self, prices, workers=1, links=1, failpoints=None,
                 options=None, models=("*",), ca=None, kinds=("openai",),
                 hubs=1, store=None, agent_options=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hubtest."))
        self.parts = []
        self.kept = []
        self.accounts = 0
        self.failpoints = failpoints or {}
        self.own_store = store is None
        self.store = store or (stores.Store() if hubs == 1 else
                               stores.Store("postgresql", "redis"))
        try:
            self.sim = self.add(Sim(self.folder / "sim"))
            self.hubs = [
                self.add(Hub(self.folder / ("hub" if i == 0 else f"hub{i}"),
                             prices, workers, failpoints, options, ca=ca,
                             store=self.store)) for i in range(hubs)]
            self.hub = self.hubs[0]
            for hub in self.hubs:
                hub.start()
            self.agent = self.add(Agent(self.folder / "agent", self.hub,
                                        {k: (k, self.sim, more) for k, more
                                         in dict_of(kinds).items()},
                                        links=links, models=models,
                                        options=agent_options,
                                        also=self.hubs[1:]))
            self.agent.start().await_up(links)
            for hub in self.hubs:
                hub.await_ready()
        except BaseException:
            self.close()
            raise

    def add(self, part):
        self.parts.append(part)
        return part

    def account(self, credit="1000"):
        """A fresh account; its name."""
        self.accounts += 1
        name = f"acct-{self.accounts}"
        self.hub.account(name, credit)
        return name

    def key(self, *limits, credit="1000"):
        """A key of an account of its own, once every hub admits it."""
        key = self.hub.key(self.account(credit), *limits)[0]
        for hub in self.hubs[1:]:
            hub.await_key(key)
        return key

    def post(self, key, path, body, hub=None, **how):
        return fetch((hub or self.hub).port, "POST", "/v1/" + path, body,
                     bearer(key), **how)

    def chat(self, key, model="sim-chat", timeout=30, broken=False,
             hub=None, **more):
        body = {"model": model,
                "messages": [{"role": "user", "content": "hello"}], **more}
        return self.post(key, "chat/completions", body, hub,
                         timeout=timeout, broken=broken)

    def logs(self):
        return "\n".join(f"---- {p.log} ----\n{p.tail()}"
                         for p in self.parts)

    def close(self):
        errors = []
        for part in reversed(self.parts):
            try:
                part.stop()
            except Exception as e:  # stop the others all the same
                errors.append(f"{part.name}: {e!r}")
        if self.own_store:
            self.store.drop()
        shutil.rmtree(self.folder, ignore_errors=True)
        assert not errors, errors


def error_code(body):
    """The code of an error in OpenAI's shape."""
    doc = json.loads(body)
    assert set(doc["error"]) >= {"message", "type", "code"}, doc
    return doc["error"]["code"]


UUID7 = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-"
                   r"[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
