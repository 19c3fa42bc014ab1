"""agentd as a program in the background, with no hub to dial."""

import http.server
import os
import signal
import subprocess

import pytest

import procs
import proxies
from procs import await_


class Background:
    """agentd without -d; by its pid file alone it is known."""

    def __init__(self, folder):
        self.folder = folder
        self.conf, self.pid_file = folder / "agentd.conf", folder / "pid"
        self.log = folder / "agentd.log"
        self.write()

    def write(self, **more):
        options = {"name": "edge", "token": "t", "log": str(self.log),
                   "hubs": [f"ws://127.0.0.1:{procs.free_port()}"], **more}
        self.conf.write_text(procs.conf_text(options) + (
            'provider "p" {\n type = "openai"\n models = {"*"}\n'
            ' base_url = "https://h"\n}\n'))

    def run(self, *args):
        p = subprocess.run(
            [procs.program("agentd"), "-f", str(self.conf), *args],
            capture_output=True, text=True, timeout=30)
        return p.returncode, p.stdout, p.stderr

    def start(self):
        return self.run("-p", str(self.pid_file))

    def kill(self, sig):
        os.kill(int(self.pid_file.read_text()), sig)


@pytest.fixture
def agentd(tmp_path):
    a = Background(tmp_path)
    yield a
    if a.pid_file.exists():
        a.kill(signal.SIGTERM)
        await_("its end", lambda: not a.pid_file.exists())


def test_a_reload_names_what_it_cannot_change(agentd):
    assert agentd.start()[0] == 0
    first, agentd.log = agentd.log, agentd.folder / "new.log"
    agentd.write(links=3, capacity=9)
    agentd.kill(signal.SIGHUP)
    await_("a line in the new log", lambda: agentd.log.exists() and
           "reloaded: 1 providers" in agentd.log.read_text())
    said = first.read_text()
    for option in ("links", "hubs"):
        assert f"{option} has changed, which only a start can do" in said
    for option in ("ui", "capacity"):
        assert f"{option} has changed" not in said


def test_n_finds_a_log_that_cannot_be_written(agentd):
    agentd.log = agentd.folder / "none" / "agentd.log"
    agentd.write()
    status, said, why = agentd.run("-n")
    assert (status, said) == (1, "")
    assert why == (f"log: {agentd.log}: cannot be written: "
                   "No such file or directory\n")
    assert agentd.run("-d", "-n")[0] == 0  # it goes to standard error


def test_one_pid_file_is_one_agent(agentd):
    """Else the first one is not found any more by whoever wants it to end."""
    assert agentd.start()[0] == 0
    pid = agentd.pid_file.read_text()
    status, _, why = agentd.start()
    assert status == 1 and f"{agentd.pid_file}: another agentd runs" in why
    assert agentd.pid_file.read_text() == pid
    os.kill(int(pid), signal.SIGKILL)
    await_("another to begin", lambda: agentd.start()[0] == 0)
    assert agentd.pid_file.read_text() != pid


class Wall(http.server.BaseHTTPRequestHandler):
    """What stands in front of a hub and lets nobody in."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_error(403)

    def log_message(self, *args):
        pass


def test_a_front_that_refuses_is_not_taken_for_the_hub(agentd):
    wall = proxies.Server(Wall)
    agentd.write(hubs=[f"ws://127.0.0.1:{wall.port}"])
    assert agentd.start()[0] == 0
    await_("its answer", lambda: "the hub answers 403" in
           agentd.log.read_text())
    wall.close()
