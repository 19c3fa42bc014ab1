"""SIGUSR2: another program takes the hub over in place, and nobody notices."""

import asyncio
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time

import pytest

import certs
import crash
import crowd
import priced
import procs
import upgrades
from procs import await_, fetch
from test_master import stream
from test_tls import resumes, session_of
from upgrades import gone, of_version, other_version, patched

QUICK = priced.shape("sim-c4-i11-o45", priced.FULL)
DRIP = priced.shape("sim-c40-d50")
LONG = priced.shape("sim-c2000-d50")


@pytest.fixture
def make(monkeypatch, sites):
    monkeypatch.setattr(procs, "Hub", upgrades.Hub)
    return lambda **how: sites(**{"workers": 2, "links": 2, **how})


@pytest.fixture
def site(make):
    return make()


@pytest.fixture
def hub(tmp_path):
    h = upgrades.Hub(tmp_path / "hub", priced.PRICES, workers=2).start()
    await_("all children", lambda: h.said("serving: 2 workers"))
    yield h
    h.stop(signal.SIGKILL)


def test_another_version_takes_over_in_place(site):
    hub, key = site.hub, site.key()
    pid, old = hub.pid, hub.children()
    files = len(os.listdir(f"/proc/{pid}/fd"))
    assert site.chat(key)[0] == 200
    hub.upgrade(1)
    status = hub.ctl("show", "status")
    assert status["pid"] == pid == int(
        (pathlib.Path(hub.run_dir) / "hubd.pid").read_text())
    assert status["restarts"] == 0
    assert os.readlink(f"/proc/{pid}/exe") == str(hub.program)
    assert pathlib.Path(f"/proc/{pid}/comm").read_text() == "hubd\n"
    body = fetch(hub.admin_port, "GET", "/metrics")[2].decode()
    assert f'hubd_build_info{{version="{other_version(1)}"}}' in body
    await_("the end of the old", lambda: all(map(gone, old)))
    now = hub.children()
    assert sorted(now.values()) == ["admin", "billing", "worker 0",
                                    "worker 1"]
    for child in now:
        assert os.readlink(f"/proc/{child}/exe") == str(hub.program)
    assert len(os.listdir(f"/proc/{pid}/fd")) == files
    assert len([f for f in os.listdir(hub.run_dir) if "relay" in f]) == 2
    assert site.chat(key)[0] == 200


# ---- under load ------------------------------------------------------------

def closing(wire):
    """The same request on a connection that ends with it."""
    return wire.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)


class Load:
    """Users who ask until they are told to stop, and what they got."""

    def __init__(self, site, key):
        self.port = site.hub.port
        kinds = {"plain": (QUICK, False), "stream": (QUICK, True),
                 "drip": (DRIP, True)}
        wires = {name: crowd.wire(self.port, key,
                                  crowd.chat(model, stream=streams))
                 for name, (model, streams) in kinds.items()}
        wires["alone"] = closing(wires["plain"])
        self.wants = [crowd.Want(name, wires[name]) for name in
                      ["plain"] * 8 + ["stream"] * 4 + ["drip"] +
                      ["alone"] * 3]
        self.got = []
        self.stop = False

    def more(self):
        n = 0
        while not self.stop:
            yield self.wants[n % len(self.wants)]
            n += 1

    def bad(self):
        return [g.seen for g in self.got if g.seen != "200 whole"]

    async def meanwhile(self, work):
        try:
            await asyncio.to_thread(work)
        finally:
            self.stop = True

    def run(self, work, users=32):
        """All of it, while work() is done in a thread beside."""
        crowd.run(self.port, self.more(), self.got.append, users=users,
                  beside=self.meanwhile(work))


def booked_once(hub, account, got):
    """Every request of an account has one row, and nothing else has."""
    ids = {g.id for g in got}
    assert len(ids) == len(got)

    def rows():
        found = hub.ctl("show", "ledger", "account", account, "limit",
                        str(2 * len(ids)))["rows"]
        return found if len(found) >= len(ids) else None
    found = await_("all rows", rows, 20)
    assert {r["id"] for r in found} == ids and len(found) == len(ids)
    assert {r["outcome"] for r in found} == {"complete"}
    audit = hub.ctl("audit", "full")
    assert audit["ok"] and audit["suspense"] == 0, audit


@pytest.mark.parametrize("shape", ["direct", "relayed"])
def test_nobody_notices_under_load(make, show, shape):
    """Twice in a row; streams and connections are under way all the time.

    relayed: with one link the calls of most workers pass through another.
    """
    site = make(workers=3, links=2 if shape == "direct" else 1)
    hub, account = site.hub, site.account("100000")
    load = Load(site, hub.key(account)[0])
    first = hub.children()

    def twice():
        await_("some load", lambda: len(load.got) > 300, 30)
        for n in (1, 2):
            hub.upgrade(n)
            before = len(load.got)
            await_("load after it", lambda: len(load.got) > before + 700, 60)
        await_("the end of the first", lambda: all(map(gone, first)), 60)
    load.run(twice)
    assert load.bad() == []
    booked_once(hub, account, load.got)
    show(f"{len(load.got)} requests during two upgrades, all answered")


# ---- what is under way -----------------------------------------------------

def read_rest(s):
    text = b""
    while part := s.recv(65536):
        text += part
        if part.endswith(b"0\r\n\r\n"):
            break
    s.close()
    return text


def test_streams_finish_on_the_old_workers_and_are_billed(site):
    hub, key = site.hub, site.key()
    s = stream(site, key, DRIP)
    old = hub.children()
    hub.upgrade(1)
    serving = [p for p in old if not gone(p)]
    assert [old[p][:6] for p in serving].count("worker") >= 1
    assert not any(old[p] in ("billing", "admin") for p in serving)
    assert b"[DONE]" in read_rest(s)
    await_("the end of the old", lambda: all(map(gone, old)))
    rows = hub.ctl("show", "ledger")["rows"]
    assert [r["outcome"] for r in rows] == ["complete"]


def test_an_old_worker_that_dies_leaves_no_call_behind(site):
    hub, key = site.hub, site.key()
    s = stream(site, key, priced.LONG)
    old = hub.children()
    hub.upgrade(1)
    busy = [p for p, title in old.items() if not gone(p)]
    for pid in busy:
        os.kill(pid, signal.SIGKILL)
    s.close()
    await_("its row", lambda: [
        r["outcome"] for r in hub.ctl("show", "ledger")["rows"]] in
        (["orphaned"], ["failed"]))
    hub.quiet()
    await_("links to the new", lambda: site.agent.shown()["links"] == 2)
    assert site.chat(key)[0] == 200


def test_who_stays_longer_than_a_drain_is_cut_and_billed(make):
    site = make(options={"timeout": {"drain": 2}})
    hub, key = site.hub, site.key()
    s = stream(site, key, priced.LONG)
    old = hub.children()
    hub.upgrade(1)
    await_("the end of the old", lambda: all(map(gone, old)), 20)
    assert hub.said("has not retired: killed")
    s.close()
    # its worker's own end, or that of the one that had the link
    await_("its row", lambda: [
        r["outcome"] for r in hub.ctl("show", "ledger")["rows"]] in
        (["orphaned"], ["failed"]))


def test_a_kept_connection_is_served_once_more_and_told(site):
    hub = site.hub
    c = procs.connect(hub.port)
    c.request("GET", "/healthz")
    assert c.getresponse().read()
    hub.upgrade(1)
    c.request("GET", "/healthz")
    r = c.getresponse()
    assert r.status == 200 and r.getheader("connection") == "close"
    assert r.read()
    c.close()


def test_a_master_killed_in_the_middle_of_it_is_a_master_killed(site):
    hub, key = site.hub, site.key()
    s = stream(site, key, priced.LONG)
    old = hub.children()
    (hub.failpoints / "master.spawned").write_text("kill\n")
    hub.install(of_version(other_version(1)))
    os.kill(hub.pid, signal.SIGUSR2)
    assert hub.child.wait(20) == -signal.SIGKILL
    assert hub.said("takes over from")
    await_("the end of all children", lambda: all(map(gone, old)))
    s.close()
    hub.launch()
    await_("health", lambda: hub.health("healthz"))
    await_("its row", lambda: [
        r["outcome"] for r in hub.ctl("show", "ledger")["rows"]] in
        (["orphaned"], ["failed"]))  # if its link's worker went first


# ---- refusals --------------------------------------------------------------

def other_layout():
    program = pathlib.Path(procs.program("hubd")).read_bytes()
    at = program.index(b"\0layout ") + len(b"\0layout ")
    return patched(program[at - 8:at + 1], b"\0layout 9")


@pytest.mark.parametrize("program, mode, why", [
    (lambda: of_version(other_version(1)), 0o644, "Permission denied"),
    (lambda: b"\x7fELF and no more", 0o755, "Exec format error"),
    (lambda: pathlib.Path("/bin/true").read_bytes(), 0o755, "is no hubd"),
    (lambda: pathlib.Path("/bin/false").read_bytes(), 0o755, "is no hubd"),
    (other_layout, 0o755, "the hub that runs has layout"),
], ids=["not executable", "broken", "true", "false", "another layout"])
def test_a_program_that_is_none_is_refused(hub, program, mode, why):
    hub.install(program(), mode)
    hub.refuses(why)
    assert hub.health("healthz") and hub.health("healthz", hub.admin_port)
    hub.upgrade(2)


def test_a_program_that_is_not_there_is_refused(hub):
    os.unlink(hub.program)
    hub.refuses("No such file")
    hub.upgrade(1)


def test_a_configuration_that_the_new_one_does_not_read_is_refused(hub):
    good = hub.conf.read_text()
    hub.conf.write_text(good + "nonsense = 1\n")
    hub.refuses("nonsense")
    hub.conf.write_text(good)
    hub.prices.write_text("{")
    hub.refuses("prices.json")
    hub.prices.write_text(procs.price_text(priced.PRICES))
    hub.upgrade(1)


def test_a_check_that_hangs_hinders_nothing(hub):
    (hub.failpoints / "check").write_text("stop\n")
    hub.signal(signal.SIGUSR2, "upgrade: checking")
    hub.refuses("under way")
    assert hub.health("healthz")
    await_("it to hang", lambda: not (hub.failpoints / "check").exists())
    pid, = (p for p, line in hub.processes().items() if "\0-u\0" in line)
    os.kill(pid, signal.SIGKILL)
    await_("its end", lambda: hub.said("killed by signal 9"))
    hub.upgrade(1)


def test_an_exec_that_fails_changes_nothing(hub):
    before = hub.children()
    files = len(os.listdir(f"/proc/{hub.pid}/fd"))
    (hub.failpoints / "master.exec").write_text("skip\n")
    hub.install(of_version(other_version(1)))
    hub.signal(signal.SIGUSR2, "not upgraded: executing")
    assert hub.children() == before
    assert len(os.listdir(f"/proc/{hub.pid}/fd")) == files
    pid = hub.youngest("worker 0")
    os.kill(pid, signal.SIGKILL)  # the next one inherits what it may
    hub.await_born("worker 0", pid)
    names = {os.readlink(f"/proc/{hub.youngest('worker 0')}/fd/{fd}")
             for fd in os.listdir(f"/proc/{hub.youngest('worker 0')}/fd")}
    assert not any("handover" in n for n in names), names
    hub.upgrade(2)


def stopped(pid):
    """Has SIGSTOP found it?"""
    try:
        return ") T " in pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_a_second_signal_is_refused_while_workers_come_up(hub):
    (hub.failpoints / "worker 0").write_text("stop\n")
    hub.install(of_version(other_version(1)))
    hub.signal(signal.SIGUSR2, "takes over from")
    hub.signal(signal.SIGUSR2, "not upgraded: an upgrade is under way")
    pid = await_("a worker that stopped", lambda: next(
        filter(stopped, hub.processes()), None))
    os.kill(pid, signal.SIGCONT)
    await_("the upgrade", lambda: hub.said("info: upgraded: "))
    hub.upgrade(2)


def test_a_worker_that_comes_back_during_the_check_finds_its_place(make):
    """Which there is none of for it in the next program: it must not go."""
    site = make(workers=1, links=1)
    hub, key = site.hub, site.key()
    streams = []
    for n in (1, 2):
        streams.append(stream(site, key, priced.LONG))
        hub.upgrade(n)
        await_("the link", lambda: site.chat(key)[0] == 200)
    hub.refuses("have not finished")
    (hub.failpoints / "worker 0").write_text("force\n")
    again = "worker 0 starts again in 4 s"
    os.kill(hub.youngest("worker 0"), signal.SIGKILL)
    await_("its death", lambda: hub.said(again), 30)
    (hub.failpoints / "check").write_text("stop\n")
    hub.signal(signal.SIGUSR2, "upgrade: checking")
    (hub.failpoints / "worker 0").unlink()
    await_("the worker", lambda: list(hub.children().values()).count(
        "worker 0") == 3, 30)
    pid, = (p for p, line in hub.processes().items() if "\0-u\0" in line)
    await_("the check", lambda: stopped(pid))
    before = hub.children()
    os.kill(pid, signal.SIGCONT)
    await_("the refusal", lambda: hub.said("have not finished") == 2)
    assert hub.children() == before
    for s in streams:
        s.close()


def test_if_new_workers_cannot_begin_the_old_serve_on(site):
    hub, key = site.hub, site.key()
    old = hub.children()
    (hub.failpoints / "worker 1").write_text("force\n")
    hub.install(of_version(other_version(1)))
    hub.signal(signal.SIGUSR2, "worker 1 starts again in")
    for _ in range(20):
        assert site.chat(key)[0] == 200
    assert all(not gone(p) for p, title in old.items() if "worker" in title)
    # and another one, in which that is mended, is let in
    (hub.failpoints / "worker 1").unlink()
    hub.upgrade(2)
    await_("the end of the old", lambda: all(map(gone, old)), 60)
    assert site.chat(key)[0] == 200


def test_who_asks_for_health_while_admin_is_replaced_is_answered(hub):
    """It hears of its successor and of those who ask in one turn."""
    admin, = [p for p, title in hub.children().items() if title == "admin"]
    hub.install(of_version(other_version(1)))
    os.kill(admin, signal.SIGSTOP)
    hub.signal(signal.SIGUSR2, "takes over")
    await_("another billing",
           lambda: crash.asked(hub.ctl, "show", "prices"))
    asking = [socket.create_connection(("127.0.0.1", hub.admin_port))
              for _ in range(24)]
    for a in asking:
        a.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
    os.kill(admin, signal.SIGCONT)
    for a in asking:
        a.settimeout(10)
        assert a.recv(4096).startswith(b"HTTP/1.1 200")
        a.close()
    await_("the end of the old one", lambda: gone(admin))


def wakes(hub):
    """What waits in the descriptors by which workers are woken."""
    folder = pathlib.Path(f"/proc/{hub.pid}/fdinfo")
    return [int(line.split()[1], 16) for info in folder.iterdir()
            for line in info.read_text().splitlines()
            if line.startswith("eventfd-count:")]


def test_a_cut_is_one_where_old_and_new_workers_serve_a_slot(site):
    """Billing wakes the slot, and the other one may be first."""
    hub = site.hub
    key, key_id = hub.key(site.account())
    streams = [stream(site, key, LONG) for _ in range(8)]
    old = [p for p, title in hub.children().items() if "worker" in title]
    (hub.failpoints / "worker 1").write_text("force\n")
    hub.install(of_version(other_version(1)))
    hub.signal(signal.SIGUSR2, "worker 1 starts again in")
    await_("another billing",
           lambda: crash.asked(hub.ctl, "show", "prices"))
    for pid in old:
        os.kill(pid, signal.SIGSTOP)
    hub.ctl("key", "revoke", key_id, "cut")
    await_("one that wakes", lambda: 0 in wakes(hub))
    for pid in old:
        os.kill(pid, signal.SIGCONT)
    begun = time.monotonic()
    for s in streams:
        while s.recv(65536):
            assert time.monotonic() - begun < 10
        s.close()


# ---- life after it ---------------------------------------------------------

@pytest.mark.parametrize("title", ["worker 1", "billing", "admin"])
def test_a_killed_child_is_replaced_by_one_of_the_new_program(hub, title):
    hub.upgrade(1)
    os.unlink(hub.program)  # whatever lies there by now
    pid = hub.youngest(title)
    os.kill(pid, signal.SIGKILL)
    hub.await_born(title, pid)
    await_("admin", lambda: hub.health("healthz", hub.admin_port))
    assert hub.ctl("show", "status")["version"] == other_version(1)
    hub.account("a")


def test_no_child_outlives_a_master_that_was_upgraded(hub):
    hub.account("a")
    hub.upgrade(1)
    pids = list(hub.children())
    hub.stop_here()
    await_("the end of all children", lambda: all(map(gone, pids)))
    hub.launch()
    await_("health", lambda: hub.health("healthz"))
    assert hub.balance("a")


def reloads(hub):
    """A billing that has just begun may have to reach its store first."""
    try:
        return hub.ctl("reload")
    except procs.CtlError as e:
        assert "the store is away" in e.text
        return None


def test_other_signals_mean_what_they_did(hub):
    hub.upgrade(1)
    hub.options["log_level"] = "debug"
    hub.rewrite_conf()
    hub.signal(signal.SIGHUP, "configuration reloaded")
    await_("a reload by hand", lambda: reloads(hub))
    hub.signal(signal.SIGUSR1, "logs opened again")
    os.kill(hub.pid, signal.SIGTERM)
    assert hub.child.wait(20) == 0
    assert os.listdir(hub.run_dir) == ["hubd.lock"]


def test_a_drain_in_the_middle_of_it_takes_all_along(site):
    hub, key = site.hub, site.key()
    s = stream(site, key, DRIP)
    hub.upgrade(1)
    os.kill(hub.pid, signal.SIGTERM)
    assert b"[DONE]" in read_rest(s)
    assert hub.child.wait(20) == 0
    assert os.listdir(hub.run_dir) == ["hubd.lock"]


def test_signals_and_deaths_during_the_exec_are_not_lost(hub):
    (hub.failpoints / "master.exec").write_text("stop\n")
    hub.install(of_version(other_version(1)))
    os.kill(hub.pid, signal.SIGUSR2)
    await_("its stop", lambda: stopped(hub.pid))
    worker = hub.youngest("worker 0")
    os.kill(worker, signal.SIGKILL)
    os.kill(hub.pid, signal.SIGHUP)
    os.kill(hub.pid, signal.SIGCONT)
    await_("the upgrade", lambda: hub.said("info: upgraded: "))
    await_("the reload", lambda: hub.said("configuration reloaded"))
    await_("the burial", lambda: gone(worker))
    assert hub.said(f"worker 0 (pid {worker}) was killed by signal 9") == 1


def test_a_hub_in_the_background_stays_there(tmp_path):
    h = upgrades.Hub(tmp_path / "hub", priced.PRICES)
    h.log = h.folder / "own.log"
    h.options["log"] = str(h.log)
    h.write_conf()
    # found by PATH, as from a shell
    subprocess.run(["hubd", "-f", str(h.conf)], check=True, timeout=30,
                   env={**os.environ, "PATH": str(h.folder),
                        "FAILPOINT_DIR": str(h.failpoints)})
    file = pathlib.Path(h.run_dir) / "hubd.pid"
    pid = int(file.read_text())
    try:
        h.install(of_version(other_version(1)))
        os.kill(pid, signal.SIGUSR2)
        await_("the upgrade", lambda: h.said("info: upgraded: "))
        assert int(file.read_text()) == pid
        assert os.readlink(f"/proc/{pid}/exe") == str(h.program)
        h.log.rename(h.folder / "old.log")
        os.kill(pid, signal.SIGUSR1)
        await_("a new log", lambda: h.log.exists() and
               h.said("opened again"))
    finally:
        os.kill(pid, signal.SIGTERM)
        await_("the end", lambda: gone(pid))
    assert os.listdir(h.run_dir) == ["hubd.lock"]


@pytest.mark.skipif(os.geteuid() != 0, reason="left out: needs root")
def test_what_the_user_may_not_open_is_handed_over():
    """Keys that root alone may read, and the tickets of sessions."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hubtest."))
    folder.chmod(0o755)
    authority = certs.Authority(folder)
    trust = ssl.create_default_context(cafile=authority.pem)
    pair = authority.sign("private", "localhost", "127.0.0.1")
    hub = upgrades.Hub(folder, priced.PRICES, ca=authority.pem, options={
        "tls": certs.section(pair), "user": "nobody"})
    for path in (hub.run_dir, hub.state_dir):
        shutil.chown(path, "nobody")
    try:
        hub.start()
        assert hub.said(f'{pair["key"]}: closed to user nobody')
        session = session_of(hub, trust)
        await_("all children", lambda: hub.said("serving: "))
        hub.upgrade(1)
        assert resumes(hub, trust, session)
        assert resumes(hub, trust, session_of(hub, trust))
    finally:
        hub.stop()
        shutil.rmtree(folder)
