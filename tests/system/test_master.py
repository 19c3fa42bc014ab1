"""The master: births, deaths, reloads, drains, starts and their failures."""

import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import time

import pytest

import priced
import procs
from procs import Agent, Hub, await_, fetch


LONG_DRAIN = priced.shape("sim-c60-d50")
SLOW_READING = priced.shape("sim-b200000-i3-o4")


@pytest.fixture
def hub(tmp_path):
    h = Hub(tmp_path / "hub", priced.PRICES, workers=2).start()
    h.await_store()
    yield h
    h.stop(signal.SIGKILL)


def children(hub):
    """Pid by title: "worker 0", "billing", "admin"."""
    found = {}
    for pid in os.listdir("/proc"):
        try:
            path = pathlib.Path("/proc", str(int(pid)))
            stat = (path / "stat").read_text()
            if int(stat.rsplit(")", 1)[1].split()[1]) != hub.pid:
                continue
            title = (path / "cmdline").read_text().rstrip("\0")
        except (OSError, ValueError):
            continue
        if title.startswith("hubd: "):
            found[title[6:]] = int(pid)
    return found


def born_again(hub, name, old, seconds=10):
    return await_(f"another {name}", lambda: (
        lambda pid: pid if pid != old else None)(children(hub).get(name)),
        seconds)


def gone(pid):
    return not pathlib.Path(f"/proc/{pid}").exists()


def worker_of(hub, slot):
    rows = hub.ctl("show", "status")["workers"]
    return next((r["pid"] for r in rows if r["slot"] == slot), None)


def serving(hub):
    return "serving: 2 workers" in hub.log.read_text()


@pytest.mark.parametrize("name", ["worker 1", "billing", "admin"])
def test_a_killed_child_is_replaced(hub, name):
    await_("all children", lambda: serving(hub))
    old = children(hub)[name]
    os.kill(old, signal.SIGKILL)
    born_again(hub, name, old)
    await_("health", lambda: hub.health("healthz"))
    await_("admin", lambda: hub.health("healthz", hub.admin_port))
    hub.ctl("show", "status")


def test_no_child_outlives_a_killed_master_and_the_next_one_starts(hub):
    await_("all children", lambda: serving(hub))
    pids = list(children(hub).values())
    hub.child.kill()
    hub.child.wait()
    await_("the end of all children", lambda: all(map(gone, pids)))
    hub.launch()
    await_("health", lambda: hub.health("healthz"))
    assert children(hub)
    # what the hub before left was read by billing, and is gone
    await_("old memory is billed", lambda: not list(
        pathlib.Path(hub.run_dir).glob("hubd.run.old*")))


def test_a_file_that_cannot_be_read_is_kept(hub):
    hub.child.kill()
    hub.child.wait()
    run = pathlib.Path(hub.run_dir) / "hubd.run"
    run.write_bytes(b"garbage" * 1000)
    hub.launch()
    await_("health", lambda: hub.health("healthz"))
    kept = list(pathlib.Path(hub.run_dir).glob("hubd.run.unreadable.*"))
    assert len(kept) == 1 and kept[0].read_bytes().startswith(b"garbage")
    assert "cannot be read" in hub.log.read_text()


def test_signals_to_the_group_reach_only_the_master(hub):
    await_("all children", lambda: serving(hub))
    before = children(hub)
    for pid in before.values():
        for sig in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM,
                    signal.SIGUSR1, signal.SIGUSR2):
            os.kill(pid, sig)
    assert hub.ctl("show", "status")["pid"] == hub.pid
    assert children(hub) == before


def test_a_child_inherits_no_more_than_it_needs(tmp_path):
    hub = Hub(tmp_path / "hub", priced.PRICES, workers=2,
              env={"SECRET": "s3cret", "TZ": "UTC"}).start()
    try:
        await_("all children", lambda: serving(hub))
        for name, pid in children(hub).items():
            env = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
            assert b"s3cret" not in env
            assert b"TZ=UTC" in env
            files = {os.readlink(f"/proc/{pid}/fd/{fd}")
                     for fd in os.listdir(f"/proc/{pid}/fd")}
            assert any("hubd.lock" in f for f in files), files
            assert any(".db" in f for f in files) == (name == "billing")
    finally:
        hub.stop()


def test_a_stopped_worker_is_killed_and_replaced(hub):
    await_("all children", lambda: serving(hub))
    old = children(hub)["worker 0"]
    os.kill(old, signal.SIGSTOP)
    born_again(hub, "worker 0", old, 20)
    assert gone(old)
    assert "has not moved" in hub.log.read_text()


def test_a_slot_without_a_worker_is_served_by_its_neighbour(hub):
    await_("all children", lambda: serving(hub))
    (hub.failpoints / "worker 1").write_text("force\n")
    os.kill(children(hub)["worker 1"], signal.SIGKILL)
    await_("the neighbour", lambda: "slot 1 is served by worker 0" in
           hub.log.read_text())
    # the kernel spreads connections over both slots: all are served
    for _ in range(40):
        assert fetch(hub.port, "GET", "/healthz", timeout=5)[0] == 200
    (hub.failpoints / "worker 1").unlink()
    await_("the slot's own worker", lambda: "worker 1" in children(hub), 40)
    await_("its generation", lambda: worker_of(hub, 1), 40)
    for _ in range(40):
        assert fetch(hub.port, "GET", "/healthz", timeout=5)[0] == 200


def test_a_child_that_dies_at_every_start_is_throttled(hub):
    await_("all children", lambda: serving(hub))
    (hub.failpoints / "worker 1").write_text("force\n")
    os.kill(children(hub)["worker 1"], signal.SIGKILL)
    await_("waiting longer", lambda: re.search(
        r"worker 1 starts again in 2 s", hub.log.read_text()), 15)
    starts = hub.log.read_text().count("stillborn")
    assert starts <= 4
    assert hub.health("healthz", hub.admin_port)


def test_a_reload_refuses_a_bad_file_and_keeps_the_old(hub):
    hub.options["bogus"] = 1
    hub.rewrite_conf()
    with pytest.raises(procs.CtlError) as e:
        hub.ctl("reload")
    assert e.value.status == 1
    assert "bogus" in e.value.text and "hubd.conf:" in e.value.text
    hub.child.send_signal(signal.SIGHUP)
    await_("the refusal", lambda: hub.log.read_text().count(
        "not reloaded") >= 2)
    assert hub.health("healthz")
    del hub.options["bogus"]
    hub.options.update(workers=3, log_level="debug")
    hub.rewrite_conf()
    hub.ctl("reload")
    text = hub.log.read_text()
    assert "workers has changed, which only a start can do" in text
    assert len(hub.ctl("show", "status")["workers"]) == 2


def test_prices_that_change_while_billing_is_away_are_taken(hub):
    """Nobody but it can load them: who comes back is told once more."""
    def version():
        return hub.ctl("show", "status")["price_version"]

    def signalled(times):
        hub.child.send_signal(signal.SIGHUP)
        await_("the reload", lambda: hub.log.read_text().count(
            "configuration reloaded") == times)
    before = version()
    stillborn = hub.failpoints / "billing"
    stillborn.write_text("force\n")
    os.kill(children(hub)["billing"], signal.SIGKILL)
    await_("a billing that cannot begin", lambda: "billing starts again"
           in hub.log.read_text())
    hub.prices.write_text(procs.price_text({
        **priced.PRICES, "another": {"input_cost_per_token": "0.000001"}}))
    signalled(1)
    stillborn.unlink()
    await_("the new prices", lambda: version() == before + 1, 30)
    pid = children(hub)["billing"]
    os.kill(pid, signal.SIGKILL)
    born_again(hub, "billing", pid)
    hub.await_store()
    assert version() == before + 1
    assert hub.log.read_text().count("is in force") == 2


SHORT = {"billing": ("hubd.ctl", "control socket: "),
         "worker 0": ("relay.*.sock", "accept of a relay: ")}


@pytest.mark.parametrize("name", SHORT)
def test_who_is_short_of_descriptors_waits_for_some(hub, name):
    """What listens to others of the hub, too; and goes on then."""
    pid = children(hub)[name]
    where, said = SHORT[name]
    fds = {int(fd) for fd in os.listdir(f"/proc/{pid}/fd")}
    short = next(n for n in range(len(fds) + 1) if n not in fds)
    usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    paths = pathlib.Path(hub.run_dir).glob(where)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (short, usual[1]))
    sockets = []
    for path in paths:
        sockets.append(socket.socket(socket.AF_UNIX))
        sockets[-1].connect(str(path))
    await_("a complaint", lambda: said in hub.log.read_text())
    time.sleep(1)
    assert hub.log.read_text().count(said) < 20
    resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)
    await_("descriptors", lambda: len(os.listdir(f"/proc/{pid}/fd")) >
           len(fds))
    for s in sockets:
        s.close()


def test_logs_are_opened_again(tmp_path):
    h = Hub(tmp_path / "hub", priced.PRICES)
    log = h.folder / "own.log"
    h.options["log"] = str(log)
    h.write_conf()
    # in the background: it returns when all serve
    p = subprocess.run([procs.program("hubd"), "-f", str(h.conf)],
                       capture_output=True, text=True, timeout=30)
    assert (p.returncode, p.stdout, p.stderr) == (0, "", "")
    pid = int((pathlib.Path(h.run_dir) / "hubd.pid").read_text())
    try:
        assert h.health("healthz") and h.health("healthz", h.admin_port)
        assert "serving" in log.read_text()
        log.rename(h.folder / "old.log")
        os.kill(pid, signal.SIGUSR1)
        await_("a new log", lambda: log.exists() and
               "opened again" in log.read_text())
    finally:
        os.kill(pid, signal.SIGTERM)
        await_("the end", lambda: gone(pid))
    assert "done" in log.read_text()
    assert sorted(os.listdir(h.run_dir)) == ["hubd.lock"]


def test_a_start_that_fails_says_so_with_1(tmp_path):
    h = Hub(tmp_path / "hub", priced.PRICES)
    h.write_conf()
    with socket.socket() as s:
        s.bind(("127.0.0.1", h.port))
        s.listen()
        p = subprocess.run([procs.program("hubd"), "-f", str(h.conf)],
                           capture_output=True, text=True, timeout=30)
    assert p.returncode == 1
    assert "in use" in p.stderr


def test_a_child_that_cannot_begin_ends_the_start(tmp_path):
    h = Hub(tmp_path / "hub", priced.PRICES,
            failpoints={"admin": "force\n"},
            options={"log": str(tmp_path / "own.log")})
    h.write_conf()
    p = subprocess.run([procs.program("hubd"), "-f", str(h.conf)],
                       env={**os.environ, "FAILPOINT_DIR":
                            str(h.failpoints)},
                       capture_output=True, text=True, timeout=30)
    assert p.returncode == 1
    assert "admin cannot start" in p.stderr
    assert "stillborn" in (tmp_path / "own.log").read_text()


def test_starts_that_fail_again_and_again_leave_no_memory(tmp_path):
    h = Hub(tmp_path / "hub", priced.PRICES,
            failpoints={"billing": "force\n"})
    h.write_conf()
    for _ in range(3):
        p = subprocess.run([procs.program("hubd"), "-d", "-f", str(h.conf)],
                           env={**os.environ, "FAILPOINT_DIR":
                                str(h.failpoints)},
                           capture_output=True, timeout=30)
        assert p.returncode == 1
    assert not [f for f in os.listdir(h.run_dir) if "old" in f]
    shutil.rmtree(h.run_dir)


def test_a_second_hub_waits_and_leaves_everything_alone(hub):
    before = hub.ctl("show", "status")
    began = time.monotonic()
    p = subprocess.run([procs.program("hubd"), "-d", "-f", str(hub.conf)],
                       capture_output=True, text=True, timeout=30)
    assert p.returncode == 1
    assert "another hubd runs" in p.stderr
    assert 4.5 < time.monotonic() - began < 15
    assert hub.ctl("show", "status")["workers"] == before["workers"]


def check(hub, how="-n"):
    return subprocess.run([procs.program("hubd"), how, "-f",
                           str(hub.conf)], capture_output=True, text=True,
                          timeout=30)


def test_n_checks_and_starts_nothing(tmp_path):
    h = Hub(tmp_path / "hub", priced.PRICES)
    h.write_conf()
    p = check(h)
    assert p.returncode == 0, p.stderr
    assert re.search(r"shared memory: \d+ MiB", p.stdout)
    assert os.listdir(h.run_dir) == []
    h.prices.write_text('{"m": {"input_cost_per_token": "-1"}}')
    p = check(h)
    assert p.returncode == 1
    assert "prices.json" in p.stderr and '"m"' in p.stderr
    for option in ("state_dir", "access_log", "log"):
        h.options[option] = f"/nonexistent/{option}"
        h.rewrite_conf()
        p = check(h)
        assert p.returncode == 1
        assert f"/nonexistent/{option}: cannot be made" in p.stderr
    # a hub in the foreground does not open it
    assert "/nonexistent/log" not in check(h, "-dn").stderr


def test_n_finds_a_run_dir_that_is_too_small(tmp_path, small_disk):
    h = Hub(tmp_path / "hub", priced.PRICES)
    h.write_conf()
    shutil.rmtree(h.run_dir)
    for run_dir in (small_disk, small_disk / "new"):
        h.run_dir = str(run_dir)
        h.rewrite_conf()
        p = check(h)
        assert p.returncode == 1
        assert re.search(rf"{run_dir}: no room for that: \d MiB", p.stderr)


def test_n_of_an_agent(tmp_path):
    conf = tmp_path / "agentd.conf"
    conf.write_text('name = "a"\nhubs = {"wss://hub"}\ntoken = "t"\n'
                    'provider "p" {\n type = "openai"\n models = {"*"}\n'
                    ' base_url = "https://h"\n}\n')

    def checked():
        p = subprocess.run([procs.program("agentd"), "-n", "-f", str(conf)],
                           capture_output=True, text=True, timeout=30)
        return p.returncode, p.stdout, p.stderr
    assert checked() == (0, f"{conf}: fine\n", "")
    conf.write_text(conf.read_text().replace("wss", "http"))
    status, said, why = checked()
    assert (status, said) == (1, "") and why.startswith(f"{conf}:2: hub ")


@pytest.mark.parametrize("program", ["hubd", "agentd", "hubctl"])
def test_a_wrong_command_line(program):
    path = (procs.BUILD / program) if program == "hubctl" \
        else procs.program(program)
    p = subprocess.run([str(path), "-x"], capture_output=True, text=True,
                       timeout=30)
    assert p.returncode == 2 and f"usage: {program} [" in p.stderr


def test_a_drain_ends_with_0_and_leaves_nothing(hub):
    hub.account("a")
    hub.ctl("drain")
    assert hub.child.wait(15) == 0
    assert os.listdir(hub.run_dir) == ["hubd.lock"]
    with pytest.raises(procs.CtlError) as e:
        hub.ctl("show", "status")
    assert e.value.status == 3


def look(port, path):
    return fetch(port, "GET", "/" + path, timeout=5)[0]


def stream(site, key, model):
    """A stream whose head has come, on a socket of its own."""
    s = socket.create_connection(("127.0.0.1", site.hub.port))
    body = json.dumps({"model": model, "stream": True, "messages": [
        {"role": "user", "content": "x"}]})
    s.sendall((f"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\n"
               f"Authorization: Bearer {key}\r\n"
               f"Content-Length: {len(body)}\r\n\r\n{body}").encode())
    s.settimeout(30)
    assert s.recv(4096).startswith(b"HTTP/1.1 200")
    return s


def test_health_is_answered_while_requests_are_waited_for(sites):
    """Also on the slots of workers that are done."""
    site = sites(workers=3, links=2, options={"timeout": {"drain": 60}})
    key, port = site.key(), site.hub.port
    s = stream(site, key, LONG_DRAIN)
    site.hub.ctl("drain")
    for _ in range(10):
        assert look(port, "healthz") == 200
        assert look(port, "readyz") == 503
        assert look(site.hub.admin_port, "readyz") == 503
    status, fields, _ = site.chat(key)
    assert status == 503 and "retry-after" in fields
    text = b""
    while part := s.recv(65536):
        text += part
    assert b"[DONE]" in text
    s.close()
    assert site.hub.child.wait(15) == 0
    assert site.hub.log.read_text().count("is served by") >= 1


def test_who_comes_in_the_turn_that_a_worker_ends_is_answered(sites):
    """The drain and the connections are one worker's same wake-up; with the
    worker gone, they are a neighbour's."""
    site = sites(workers=3, links=2, options={"timeout": {"drain": 60}})
    s = stream(site, site.key(), LONG_DRAIN)
    workers = [p for t, p in children(site.hub).items() if "worker" in t]
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    site.hub.ctl("drain")
    asking = [socket.create_connection(("127.0.0.1", site.hub.port))
              for _ in range(48)]
    for a in asking:
        a.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\n"
                  b"Connection: close\r\n\r\n")
    for pid in workers:
        os.kill(pid, signal.SIGCONT)
    for a in asking:
        a.settimeout(10)
        assert a.recv(4096).startswith(b"HTTP/1.1 200")
        a.close()
    s.close()


def slow_reader(site, key, model):
    """A socket on which little of an answer has room, until it is read."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1000)
    s.settimeout(30)
    s.connect(("127.0.0.1", site.hub.port))
    body = json.dumps({"model": model, "messages": [
        {"role": "user", "content": "x"}]})
    s.sendall((f"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\n"
               f"Authorization: Bearer {key}\r\n"
               f"Content-Length: {len(body)}\r\n\r\n{body}").encode())
    return s


def test_who_reads_slowly_gets_all_of_his_answer_while_the_hub_drains(sites):
    site = sites(options={"timeout": {"drain": 60}})
    s = slow_reader(site, site.key(), SLOW_READING)
    await_("the answer", lambda: len(
        site.hub.ctl("show", "ledger")["rows"]) == 1)
    site.hub.quiet()
    site.hub.ctl("drain")
    with pytest.raises(subprocess.TimeoutExpired):
        site.hub.child.wait(6)
    got = s.recv(1000)
    head, _, body = got.partition(b"\r\n\r\n")
    length = int(re.search(rb"content-length: (\d+)", head).group(1))
    while len(body) < length and (part := s.recv(65536)):
        body += part
    assert len(body) == length > 200000
    s.close()
    assert site.hub.child.wait(15) == 0


def test_a_second_signal_hastens(sites):
    site = sites(workers=1, links=1)
    key, hub = site.key(), site.hub
    s = stream(site, key, priced.LONG)
    hub.child.send_signal(signal.SIGTERM)
    await_("the drain", lambda: "draining" in hub.log.read_text())
    assert hub.running()
    hub.child.send_signal(signal.SIGTERM)
    assert hub.child.wait(10) == 0
    s.close()
    # the call was billed as an orphan before billing ended
    assert os.listdir(hub.run_dir) == ["hubd.lock"]
    hub.launch()
    await_("health", lambda: hub.health("healthz"))
    rows = hub.ctl("show", "ledger")["rows"]
    assert [r["outcome"] for r in rows] == ["orphaned"]


def test_a_hastened_drain_ends_even_if_billing_hangs(hub):
    await_("all children", lambda: serving(hub))
    born = children(hub)
    workers = [pid for name, pid in born.items() if name.startswith("worker")]
    billing = born["billing"]
    os.kill(billing, signal.SIGSTOP)
    hub.child.send_signal(signal.SIGTERM)
    # Dead is not enough: until the master has reaped them, a second signal
    # is about workers, and billing is given its time.
    await_("the workers' end", lambda: not any(
        os.path.exists(f"/proc/{pid}") for pid in workers))
    assert hub.stop_here(signal.SIGTERM) == 0
    assert gone(billing)


def test_files_have_their_modes_whatever_the_mask(tmp_path):
    h = Hub(tmp_path / "hub", priced.PRICES, workers=1)
    h.run_dir += "/run"
    mask = os.umask(0o077)
    try:
        h.start()
    finally:
        os.umask(mask)
    modes = {name: os.stat(f"{h.run_dir}/{name}").st_mode & 0o777
             for name in (".", "hubd.run", "hubd.pub", "hubd.ctl")}
    h.stop()
    assert modes == {".": 0o755, "hubd.run": 0o640, "hubd.pub": 0o640,
                     "hubd.ctl": 0o660}


def test_a_supervisor_is_told(tmp_path):
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(path))
        s.settimeout(15)
        h = Hub(tmp_path / "hub", priced.PRICES,
                env={"NOTIFY_SOCKET": str(path)}).start()
        try:
            assert s.recv(4096) == b"READY=1"
            h.ctl("reload")
            assert s.recv(4096).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert s.recv(4096) == b"READY=1"
        finally:
            h.stop()
        assert s.recv(4096) == b"STOPPING=1"


def test_the_supervisor_of_an_agent_is_told(tmp_path):
    """Ready as soon as it dials, whether or not a hub is there."""
    hub = Hub(tmp_path / "hub", priced.PRICES)
    hub.write_conf()
    agent = Agent(tmp_path / "agent", hub, {}, token="t" * 40)
    with open(agent.conf, "a") as f:
        f.write('provider "p" { type = "openai"\n'
                'base_url = "http://127.0.0.1:1/v1"\n'
                'api_key = "k"\nmodels = {"*"} }\n')
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(path))
        s.settimeout(15)
        agent.spawn([procs.program("agentd"), "-d", "-f", str(agent.conf)],
                    {"NOTIFY_SOCKET": str(path)})
        assert s.recv(4096) == b"READY=1"
        agent.stop()
        assert s.recv(4096) == b"STOPPING=1"
