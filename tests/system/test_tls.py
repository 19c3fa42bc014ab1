"""TLS: who gets in and how, tickets, reloads, slow handshakes, the end."""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time

import openai
import pytest

import certs
import crash
import money
import priced
import procs
from procs import CtlError, await_, bearer, fetch

HERE = ("localhost", "127.0.0.1")
ASK = [{"role": "user", "content": "How deep is the harbour?"}]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return certs.Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def pair(authority):
    return authority.sign("here", *HERE)


@pytest.fixture(scope="module")
def secure(authority, pair):
    """A site with TLS that tests share: two workers, one link."""
    other = authority.sign("other", "hub.example", "*.hub.example")
    site = procs.Site(priced.PRICES, workers=2, links=1, ca=authority.pem,
                      options={"tls": certs.section(pair, other)})
    yield site
    site.close()


@pytest.fixture
def hubs(tmp_path, authority, pair):
    """Makes hubs with TLS of a test's own: hubs(timeout={...})."""
    made = []

    def make(workers=1, tls=None, **options):
        hub = procs.Hub(tmp_path / f"hub{len(made)}", priced.PRICES, workers,
                        options={"tls": tls or certs.section(pair),
                                 **options}, ca=authority.pem)
        made.append(hub)
        return hub.start()
    yield make
    for hub in made:
        hub.stop()


@pytest.fixture
def trust(authority):
    return ssl.create_default_context(cafile=authority.pem)


def greet(hub, context, name="localhost", session=None):
    """A session with the hub; the caller closes."""
    raw = socket.create_connection(("127.0.0.1", hub.port), timeout=10)
    try:
        return context.wrap_socket(raw, server_hostname=name,
                                   session=session,
                                   suppress_ragged_eofs=False)
    except BaseException:
        raw.close()
        raise


def ask_health(s, close=False):
    """Ready or not, as the head says; all of the answer is read."""
    s.sendall(b"GET /healthz HTTP/1.1\r\nHost: hub\r\n" +
              (b"Connection: close\r\n" if close else b"") + b"\r\n")
    got = b""
    while b"\r\n\r\n" not in got:
        got += s.recv(4096)
    head, body = got.split(b"\r\n\r\n", 1)
    left = int(re.search(rb"content-length: (\d+)", head, re.I)[1])
    while len(body) < left:
        body += s.recv(4096)
    assert head.startswith(b"HTTP/1.1 200")


def handshakes(hub, result):
    text = fetch(hub.admin_port, "GET", "/metrics")[2].decode()
    return int(re.search(
        rf'^hubd_tls_handshakes_total{{result="{result}"}} (\d+)$', text,
        re.M)[1])


# ---- users and agents ------------------------------------------------------

def test_the_official_client_is_served_and_billed(secure, trust):
    client = openai.OpenAI(
        api_key=secure.key(), max_retries=0, timeout=30,
        base_url=f"https://localhost:{secure.hub.port}/v1",
        http_client=openai.DefaultHttpxClient(verify=trust))
    raw = client.chat.completions.with_raw_response.create(
        model=priced.SHORT, messages=ASK)
    assert raw.parse().usage.total_tokens == 56
    row = secure.hub.row(raw.headers["x-request-id"])
    assert row["amount"] == raw.headers["x-hub-cost"] == money.cost(
        priced.PRICES[priced.SHORT], {"input": 11, "output": 45})
    chunks = list(client.chat.completions.create(
        model=priced.SHORT, messages=ASK, stream=True))
    assert chunks[-1].choices[0].finish_reason == "stop"
    client.close()


def test_some_calls_pass_through_the_other_worker(secure):
    """One link, two workers: the way between them is as it was."""
    before = relayed(secure.hub)
    key = secure.key()
    for _ in range(12):
        assert secure.chat(key)[0] == 200
    assert relayed(secure.hub) > before


def relayed(hub):
    text = fetch(hub.admin_port, "GET", "/metrics")[2].decode()
    return int(re.search(r"^hubd_relayed_total (\d+)$", text, re.M)[1])


def test_large_bodies_pass_whole_both_ways(secure):
    key = secure.key()
    status, _, body = secure.chat(key, priced.BIG)
    assert status == 200 and len(body) > 300_000
    long = [{"role": "user", "content": "x" * 3_000_000}]
    status, fields, body = secure.chat(key, messages=long)
    assert status == 200, body
    assert secure.sim.requests("sim-chat")[-1]["body_size"] > 3_000_000


def test_an_agent_does_not_trust_another_authority(secure, tmp_path):
    stranger = certs.Authority(tmp_path, "stranger")
    agent = procs.Agent(tmp_path / "agent", secure.hub,
                        {"openai": secure.sim}, name="careful",
                        options={"ca_file": str(stranger.pem)})
    agent.start()
    try:
        await_("the refusal", lambda: re.search(
            "certificate", agent.log.read_text()))
        assert agent.shown()["state"] != "up"
    finally:
        agent.stop()


def test_plain_text_is_not_understood(secure):
    with socket.create_connection(("127.0.0.1", secure.hub.port), 10) as s:
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n")
        try:
            assert b"HTTP" not in s.recv(4096)
        except ConnectionResetError:
            pass


# ---- what is agreed on -----------------------------------------------------

@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_versions_that_are_spoken(secure, trust, version):
    trust.minimum_version = trust.maximum_version = \
        ssl.TLSVersion[version]
    with greet(secure.hub, trust) as s:
        ask_health(s)
        assert s.version() == version.replace("_", ".")
        assert s.compression() is None


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_tls_1_1_is_refused(secure, trust):
    trust.set_ciphers("DEFAULT@SECLEVEL=0")
    trust.minimum_version = ssl.TLSVersion.TLSv1
    trust.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
        greet(secure.hub, trust)


def test_protocols(secure, trust):
    with greet(secure.hub, trust) as s:
        assert s.selected_alpn_protocol() is None
    trust.set_alpn_protocols(["h2", "http/1.1"])
    with greet(secure.hub, trust) as s:
        assert s.selected_alpn_protocol() == "http/1.1"
        ask_health(s)
    trust.set_alpn_protocols(["h2"])
    with pytest.raises(ssl.SSLError, match="(?i)application.protocol"):
        greet(secure.hub, trust)


def names_of(s):
    return {name for _, name in s.getpeercert()["subjectAltName"]}


@pytest.mark.parametrize("asked,got", [
    ("localhost", "localhost"), ("hub.example", "hub.example"),
    ("eu.hub.example", "hub.example"), ("elsewhere.example", "localhost")])
def test_the_certificate_is_that_of_the_name(secure, trust, asked, got):
    trust.check_hostname = False
    with greet(secure.hub, trust, asked) as s:
        assert got in names_of(s)


# ---- tickets ---------------------------------------------------------------

def limit_to(context, version):
    context.minimum_version = context.maximum_version = \
        ssl.TLSVersion[version]


def session_of(hub, trust):
    """A session with its ticket, which comes behind the handshake."""
    with greet(hub, trust) as s:
        ask_health(s)
        assert not s.session_reused
        assert s.session.has_ticket
        return s.session


def clients_by_worker(hub):
    return [w["clients"] for w in hub.ctl("show", "workers")["workers"]]


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_a_ticket_is_good_with_every_worker(hubs, trust, version):
    limit_to(trust, version)
    hub = hubs(workers=2)
    await_("both workers", lambda: "serving: 2" in hub.log.read_text())
    session = session_of(hub, trust)
    held = [greet(hub, trust, session=session) for _ in range(20)]
    for s in held:
        ask_health(s)
        assert s.session_reused
    await_("clients of both", lambda: min(clients_by_worker(hub)) > 0)
    assert handshakes(hub, "resumed") == 20
    for s in held:
        s.close()


def test_a_ticket_outlives_workers_and_one_change_of_keys(hubs, trust):
    hub = hubs()
    session = session_of(hub, trust)
    old = hub.ctl("show", "workers")["workers"][0]["pid"]
    os.kill(old, signal.SIGKILL)
    await_("another worker", lambda: any(
        w["pid"] != old and w["state"] == "serving"
        for w in hub.ctl("show", "workers")["workers"]))
    assert resumes(hub, trust, session)
    rotate(hub, 1)
    assert resumes(hub, trust, session)
    rotate(hub, 2)
    await_("a refusal of the ticket",
           lambda: not resumes(hub, trust, session))


def resumes(hub, trust, session):
    with greet(hub, trust, session=session) as s:
        ask_health(s)
        return s.session_reused


def rotate(hub, nth):
    """As after twelve hours."""
    (hub.failpoints / "master.rotate").write_text("skip\n")
    await_("new keys", lambda: hub.log.read_text().count(
        "tickets have a new key") == nth)


def test_keys_are_seen_by_master_and_workers_alone(hubs):
    hub = hubs()
    await_("all children", lambda: "serving:" in hub.log.read_text())
    status = hub.ctl("show", "status")
    key = pathlib.Path(hub.options["tls"]["key"][0]).read_text()
    secret = key.splitlines()[1].encode()
    assert "/memfd:hubd tls" in files_of(status["pid"])
    for pid in (status["billing"]["pid"], status["workers"][0]["pid"]):
        assert "/memfd:hubd tls" not in files_of(pid)
    for path in pathlib.Path(hub.run_dir).glob("hubd.*"):
        if path.is_file():
            assert secret not in path.read_bytes()
    assert secret not in hub.log.read_bytes()


def files_of(pid):
    found = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        found.add(os.readlink(f"/proc/{pid}/fd/{fd}").split(" (")[0])
    return found


# ---- reloads ---------------------------------------------------------------

def serial(hub, trust):
    with greet(hub, trust) as s:
        return s.getpeercert()["serialNumber"]


def test_a_reload_takes_new_certificates_and_cuts_nobody(hubs, authority,
                                                         trust):
    first = authority.sign("first", *HERE)
    second = authority.sign("second", *HERE)
    hub = hubs(tls=certs.section(first))
    old = serial(hub, trust)
    with greet(hub, trust) as s:
        ask_health(s)
        for name in ("certificate", "key"):
            shutil.copy(second[name], first[name])
        hub.ctl("reload")
        await_("the new one", lambda: serial(hub, trust) != old)
        ask_health(s)
        assert s.getpeercert()["serialNumber"] == old


def refusal(hub):
    with pytest.raises(CtlError) as e:
        hub.ctl("reload")
    assert e.value.status == 1
    return e.value.text


def test_a_reload_with_a_bad_key_is_refused_and_says_so(hubs, authority,
                                                        trust):
    mine = authority.sign("mine", *HERE)
    other = authority.sign("unrelated", *HERE)
    hub = hubs(tls=certs.section(mine))
    old = serial(hub, trust)
    shutil.copy(other["key"], mine["key"])
    assert f'{mine["key"]}: does not belong to' in refusal(hub)
    pathlib.Path(mine["key"]).write_text("garbage\n")
    assert "no key in PEM form" in refusal(hub)
    pathlib.Path(mine["key"]).unlink()
    assert "No such file" in refusal(hub)
    hub.child.send_signal(signal.SIGHUP)
    await_("the refusal", lambda: hub.log.read_text().count(
        "not reloaded: tls: ") == 4)
    assert serial(hub, trust) == old


def test_tls_is_not_switched_off_by_a_reload(hubs, trust):
    hub = hubs()
    del hub.options["tls"]
    hub.rewrite_conf()
    assert "only a start" in refusal(hub)
    with greet(hub, trust) as s:
        ask_health(s)


@pytest.fixture
def open_folder():
    """One that every user may look into."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="hubtest."))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="left out: needs root")
def test_a_start_as_root_reads_what_is_closed_to_the_user(open_folder, trust,
                                                          authority):
    private = authority.sign("private", *HERE)
    hub = procs.Hub(open_folder, priced.PRICES, ca=authority.pem, options={
        "tls": certs.section(private), "user": "nobody"})
    for path in (hub.run_dir, hub.state_dir):
        shutil.chown(path, "nobody")
    try:
        hub.start()
        assert f'{private["key"]}: closed to user nobody' in \
            hub.log.read_text()
        with greet(hub, trust) as s:
            ask_health(s)
        assert "Permission denied" in refusal(hub)
        with greet(hub, trust) as s:
            ask_health(s)
    finally:
        hub.stop()


# ---- handshakes ------------------------------------------------------------

def silent(hub):
    return socket.create_connection(("127.0.0.1", hub.port), timeout=10)


def test_a_slow_handshake_is_cut(hubs):
    hub = hubs(timeout={"handshake": "300ms", "header": "60s"})
    failed = handshakes(hub, "failed")
    with silent(hub) as s:
        s.sendall(b"\x16\x03\x01\x02\x00\x01")
        assert s.recv(1) == b""
    await_("the count", lambda: handshakes(hub, "failed") == failed + 1)


def test_after_the_handshake_the_head_has_its_own_time(hubs, trust):
    hub = hubs(timeout={"handshake": "60s", "header": "300ms"})
    with greet(hub, trust) as s:
        assert s.recv(1) == b""


def test_a_handshake_that_a_drain_finds_is_finished(hubs, trust):
    hub = hubs()
    raw = socket.create_connection(("127.0.0.1", hub.port), timeout=10)
    with greet(hub, trust) as s:  # accepted after it, by the same worker
        ask_health(s, close=True)
    hub.ctl("drain")
    await_("the drain", lambda: "drains:" in hub.log.read_text())
    with trust.wrap_socket(raw, server_hostname="localhost") as s:
        ask_health(s, close=True)
    assert hub.child.wait(15) == 0


def test_slow_handshakes_keep_nobody_out(hubs, trust, pair):
    hub = hubs(tls=certs.section(pair, max_handshakes=2),
               timeout={"handshake": "60s"})
    cut = handshakes(hub, "failed")
    crowd = [silent(hub) for _ in range(6)]
    begun = time.monotonic()
    with greet(hub, trust) as s:
        ask_health(s)
    assert time.monotonic() - begun < 9
    assert handshakes(hub, "failed") >= cut + 5
    for s in crowd:
        s.close()


# ---- the end of connections ------------------------------------------------

def test_the_end_is_announced(secure, trust):
    """An end without a close_notify would raise."""
    with greet(secure.hub, trust) as s:
        ask_health(s, close=True)
        assert s.recv(1) == b""


def test_an_idle_end_is_announced(hubs, trust):
    hub = hubs(timeout={"keepalive": "200ms"})
    with greet(hub, trust) as s:
        ask_health(s)
        assert s.recv(1) == b""


def test_a_slow_reader_gets_all_and_the_announced_end(secure, trust):
    key = secure.key()
    body = json.dumps({"model": priced.BIG, "messages": ASK}).encode()
    with greet(secure.hub, trust) as s:
        s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: hub\r\n"
                  b"Authorization: Bearer " + key.encode() +
                  b"\r\nConnection: close\r\nContent-Length: " +
                  str(len(body)).encode() + b"\r\n\r\n" + body)
        got = s.recv(1)
        secure.hub.quiet()
        while piece := s.recv(8192):
            got += piece
    assert len(got) > 300_000


@pytest.mark.parametrize("announced", [True, False])
def test_a_user_who_leaves_ends_the_call(secure, announced):
    account = secure.account()
    key = secure.hub.key(account)[0]
    c = crash.open_stream(secure, key)
    if announced:
        c.sock.settimeout(0.2)
        try:
            c.sock.unwrap()
        except (OSError, ssl.SSLError):
            pass
    c.sock.close()
    c.close()
    rows = await_("the row", lambda: crash.ledger(secure, account))
    assert [r["outcome"] for r in rows] == ["cancelled"]


# ---- crashes ---------------------------------------------------------------

@pytest.mark.parametrize("victim", ["worker", "master"])
def test_crashes_are_billed_as_ever(authority, pair, victim):
    import test_crash
    site = crash.new_site(ca=authority.pem,
                          options={"tls": certs.section(pair)})
    try:
        for name in ("streaming", "final"):
            step = next(s for s in test_crash.STEPS if s.name == name)
            crash.run_cell(site, step, victim)
    finally:
        site.close()


# ---- hubd -n and starts ----------------------------------------------------

def check(hub):
    p = subprocess.run([procs.program("hubd"), "-n", "-f", str(hub.conf)],
                       capture_output=True, text=True, timeout=30)
    return p.returncode, p.stdout + p.stderr


@pytest.fixture
def unstarted(tmp_path, authority):
    """A hub that was configured and not started."""
    def make(*pairs):
        hub = procs.Hub(tmp_path / "hub", priced.PRICES,
                        options={"tls": certs.section(*pairs)},
                        ca=authority.pem)
        hub.write_conf()
        made.append(hub)
        return hub
    made = []
    yield make
    for hub in made:
        shutil.rmtree(hub.run_dir, ignore_errors=True)


def test_a_check_shows_until_when(unstarted, pair):
    status, text = check(unstarted(pair))
    assert status == 0, text
    assert re.search(r"here\.pem: until 20\d\d-\d\d-\d\d", text)


def test_a_check_and_a_start_find_what_is_wrong(unstarted, authority, pair):
    other = authority.sign("wrong", *HERE)
    hub = unstarted({"certificate": pair["certificate"],
                     "key": other["key"]})
    status, text = check(hub)
    assert status == 1 and "does not belong to" in text
    hub.launch()
    assert hub.child.wait(15) == 1
    assert "does not belong to" in hub.tail()


def test_a_check_finds_a_certificate_that_has_expired(unstarted, authority):
    status, text = check(unstarted(authority.sign("old", *HERE, days=-1)))
    assert status == 1 and "has expired" in text


def test_a_key_with_a_password_is_refused(unstarted, authority, pair):
    locked = authority.folder / "locked.key"
    certs.openssl("ec", "-in", pair["key"], "-aes256", "-passout",
                  "pass:harbour", "-out", locked)
    status, text = check(unstarted({**pair, "key": str(locked)}))
    assert status == 1 and "without a password" in text
