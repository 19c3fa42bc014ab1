"""What starts at boot: init scripts, units, rotation, installation.

The scripts run as they are, with paths of a temporary folder from a file
that DEFAULTS names.
"""

import configparser
import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

import priced
import procs
import upgrades
from procs import ROOT, await_

UNITS = sorted((ROOT / "etc" / "systemd").glob("*.service"))


class Service:
    """An init script and the paths it works on."""

    def __init__(self, name, folder, conf, pid_file, more=""):
        self.name, self.conf = name, conf
        self.pid_file = pathlib.Path(pid_file)
        self.defaults = pathlib.Path(folder) / f"default-{name}"
        self.defaults.write_text(
            f"DAEMON={procs.program(name)}\nCONF={conf}\n"
            f"PIDFILE={pid_file}\nSTOP_TIMEOUT=10\n{more}")

    def __call__(self, verb):
        """Its exit status and what it said."""
        p = subprocess.run(
            ["/bin/sh", str(ROOT / "etc" / "init.d" / self.name), verb],
            env={"DEFAULTS": str(self.defaults), "PATH": "/nowhere",
                 "FAILPOINT_DIR": "/nonexistent"},
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60)
        return p.returncode, p.stdout + p.stderr

    def pid(self):
        return int(self.pid_file.read_text())

    def does(self, verb, status=0):
        got = self(verb)
        assert got[0] == status, (verb, got)


@pytest.fixture
def hub(tmp_path):
    h = procs.Hub(tmp_path / "hub", priced.PRICES)
    h.options["log"] = str(h.folder / "own.log")
    h.write_conf()
    yield h
    shutil.rmtree(h.run_dir, ignore_errors=True)


@pytest.fixture
def hubd(hub, tmp_path):
    s = Service("hubd", tmp_path, hub.conf, f"{hub.run_dir}/hubd.pid")
    yield s
    s("stop")


@pytest.fixture
def agentd(hub, tmp_path):
    agent = procs.Agent(tmp_path, hub, {}, token="t" * 40, options={
        "log": str(tmp_path / "agentd.log")})
    with open(agent.conf, "a") as f:
        f.write('provider "p" { type = "openai"\n'
                'base_url = "http://127.0.0.1:1/v1"\n'
                'api_key = "${PROVIDER_KEY}"\nmodels = {"*"} }\n')
    s = Service("agentd", tmp_path, agent.conf,
                tmp_path / "run" / "agentd.pid",
                "RUN_AS=\nPROVIDER_KEY=sk-of-the-defaults\n")
    yield s
    s("stop")


@pytest.fixture(params=["hubd", "agentd"])
def service(request):
    return request.getfixturevalue(request.param)


def test_a_life(service):
    service.does("configtest")
    service.does("status", 3)
    service.does("stop")  # nothing to stop is no failure
    service.does("start")
    first = service.pid()
    service.does("status")
    service.does("start")  # it runs already
    assert service.pid() == first
    service.does("restart")
    second = service.pid()
    assert second != first
    service.does("status")
    service.does("stop")
    service.does("status", 3)
    assert not service.pid_file.exists()
    await_("its end", lambda: not os.path.exists(f"/proc/{second}"))


def test_the_hubs_secrets_are_in_its_defaults(hub, hubd):
    """As the agent's, which its provider's key shows in every test here."""
    with open(hub.conf, "a") as f:
        f.write('default_route = "${SECRET_OF_DEFAULTS}"\n')
    hubd.does("configtest", 1)
    with open(hubd.defaults, "a") as f:
        f.write("SECRET_OF_DEFAULTS=gpt\n")
    for verb in ("configtest", "start", "reload", "restart"):
        hubd.does(verb)


def test_a_restart_without_a_log_stops_no_agent(agentd):
    agentd.does("start")
    pid = agentd.pid()
    text = agentd.conf.read_text()
    agentd.conf.write_text(re.sub(r"^log = .*\n", "", text, flags=re.M))
    agentd.does("configtest", 1)
    agentd.does("restart", 1)
    assert agentd.pid() == pid
    agentd.does("status")
    agentd.conf.write_text(text)


@pytest.mark.parametrize("verb", ["reload", "force-reload"])
def test_reload(service, verb):
    service.does(verb, 1)  # nothing runs
    service.does("start")
    pid = service.pid()
    log = pathlib.Path(re.search(r'^log = "(.*)"', service.conf.read_text(),
                                 re.M).group(1))
    service.does(verb)
    await_("the reload", lambda: "reloaded" in log.read_text())
    good = service.conf.read_text()
    service.conf.write_text(good + "nonsense = 1\n")
    service.does("configtest", 1)
    service.does(verb, 1)
    service.does("restart", 1)
    assert service.pid() == pid
    service.does("status")
    service.conf.write_text(good)


def test_an_upgrade_keeps_the_process(hub, hubd, tmp_path):
    daemon = tmp_path / "hubd"
    shutil.copy(procs.program("hubd"), daemon)
    with open(hubd.defaults, "a") as f:
        f.write(f"DAEMON={daemon}\n")
    hubd.does("upgrade", 1)  # nothing runs
    hubd.does("start")
    pid = hubd.pid()
    version = upgrades.other_version(1)
    os.rename(daemon, tmp_path / "old")
    daemon.write_bytes(upgrades.of_version(version))
    daemon.chmod(0o755)
    hubd.does("upgrade")
    hubd.does("status")
    assert hubd.pid() == pid
    assert hub.ctl("show", "status")["version"] == version


def test_a_start_that_fails_is_told(hubd):
    hubd.conf.write_text("nonsense = 1\n")
    status, text = hubd("start")
    assert status == 1 and "nonsense" in text


def test_what_died_is_not_running_and_starts_again(service):
    service.does("start")
    os.kill(service.pid(), signal.SIGKILL)
    await_("its end", lambda: service("status")[0] != 0)
    service.does("start")
    service.does("status")


def test_an_unknown_verb_is_answered_with_the_known(service):
    status, text = service("dance")
    assert status == 2
    for verb in ("start", "stop", "restart", "reload", "force-reload",
                 "rotate", "status", "configtest"):
        assert verb in text


# ---- logs ------------------------------------------------------------------

def rotate(text, hub, folder):
    """What logrotate.d/hubd says of /var/log/hubd/, with our paths."""
    text = text.split("\n}\n")[0] + "\n}\n"
    text = re.sub(r"^\tsu .*\n", "", text, flags=re.M)
    text = re.sub(r"^\tcreate .*$", "\tnocreate", text, flags=re.M)
    text = text.replace("/var/log/hubd/*.log", str(hub.options["log"]))
    assert text.count("/run/hubd/") == 2
    text = text.replace("/run/hubd/", hub.run_dir + "/")
    if not shutil.which("logrotate"):
        old = pathlib.Path(hub.options["log"])
        old.rename(f"{old}.1")
        script = re.search(r"postrotate\n(.*?)\tendscript", text, re.S)
        subprocess.run(["sh", "-ec", script.group(1)], check=True)
        return "logrotate is not installed: only its script was run"
    conf = folder / "logrotate.conf"
    conf.write_text(text)
    conf.chmod(0o644)
    subprocess.run(["logrotate", "-f", "-s", str(folder / "state"),
                    str(conf)], check=True)
    return "by logrotate"


def test_rotated_logs_are_opened_again(hub, hubd, tmp_path, show):
    hubd.does("start")
    log = pathlib.Path(hub.options["log"])
    show(rotate((ROOT / "etc/logrotate.d/hubd").read_text(), hub, tmp_path))
    await_("a new log", lambda: log.exists() and
           "opened again" in log.read_text())
    assert "serving" in pathlib.Path(f"{log}.1").read_text()
    log.unlink()
    hubd.does("rotate")
    await_("another", lambda: log.exists() and
           "opened again" in log.read_text())


# ---- units -----------------------------------------------------------------

def unit(path):
    c = configparser.ConfigParser(strict=False, interpolation=None)
    c.optionxform = str
    c.read_string(path.read_text())
    return dict(c["Service"])


def test_units_let_a_drain_end(hub):
    for path in UNITS:
        u = unit(path)
        assert u["Type"] == "notify" and u["KillMode"] == "mixed"
        assert int(u["TimeoutStopSec"]) > 300  # the default drain
        assert u["EnvironmentFile"] == f"-/etc/default/{path.stem}"
    assert unit(UNITS[1])["RuntimeDirectoryPreserve"] == "yes"


def test_units_are_well_formed(tmp_path, show):
    if not shutil.which("systemd-analyze"):
        show("systemd-analyze is not there: units were not verified")
        return
    for path in UNITS:
        text = path.read_text().replace("/usr/sbin/", f"{procs.BUILD}/")
        text = re.sub(r"^Documentation=.*\n", "", text, flags=re.M)
        (tmp_path / path.name).write_text(text)
        p = subprocess.run(["systemd-analyze", "verify", "--man=no",
                            str(tmp_path / path.name)],
                           capture_output=True, text=True)
        said = [s for s in p.stderr.splitlines() if path.name in s]
        assert not said, said


def allowed(path):
    """The system calls that a unit allows, with the sets that sets name."""
    words = unit(path)["SystemCallFilter"].split()
    sets = [w for w in words if w.startswith("@")]
    names, done = set(words) - set(sets), set()
    while sets:
        one = sets.pop()
        if one in done:
            continue
        done.add(one)
        text = subprocess.run(["systemd-analyze", "syscall-filter", one],
                              capture_output=True, text=True,
                              check=True).stdout
        words = re.findall(r"^ +([@\w-]+)$", text, re.M)
        sets += [w for w in words if w.startswith("@")]
        names |= {w for w in words if not w.startswith("@")}
    return names


def made(trace):
    """The system calls of a trace, and those of its lines that ask for
    memory to be written and executed."""
    lines = trace.read_text(errors="replace").splitlines()
    calls = {m.group(1) for s in lines
             if (m := re.match(r"\d+ +(\w+)\(", s))}
    return calls, [s for s in lines
                   if "PROT_WRITE|PROT_EXEC" in s or "PROT_EXEC|PROT_W" in s]


def test_the_hardening_forbids_nothing_that_is_needed(tmp_path, show):
    """A hub and an agent at work, traced."""
    site = procs.Site.__new__(procs.Site)
    traces = {}
    spawn = procs.Process.spawn

    def traced(self, argv, *args, **kwargs):
        if os.path.basename(argv[0]) in ("hubd", "agentd"):
            traces[self.name] = tmp_path / f"{self.name}.trace"
            argv = ["strace", "-f", "-D", "-qq", "-o",
                    str(traces[self.name]), *argv]
        spawn(self, argv, *args, **kwargs)
    procs.Process.spawn = traced
    try:
        site.__init__(priced.PRICES, workers=2, links=2)
        key = site.key()
        assert site.chat(key)[0] == 200
        site.hub.ctl("reload")
        site.close()
    finally:
        procs.Process.spawn = spawn
    known = ({path.stem: allowed(path) for path in UNITS}
             if shutil.which("systemd-analyze") else None)
    for name, trace in traces.items():
        calls, both = made(trace)
        assert len(calls) > 40 and "execve" in calls
        assert not both
        assert not calls & {"io_uring_setup", "unshare", "setns", "mount",
                            "ptrace", "bpf", "sched_setscheduler"}
        if known is not None:
            assert sorted(calls - known[name.split("-")[0]]) == []
    if known is None:
        show("systemd-analyze is not there: their filters were left out")


# ---- installing ------------------------------------------------------------

@pytest.mark.parametrize("prefix", ["/usr", "/opt/hub"])
def test_make_install(tmp_path, prefix):
    build = pathlib.Path(os.path.relpath(procs.BUILD, ROOT))
    subprocess.run(["make", "--no-print-directory", "-C", str(ROOT),
                    *(["SAN=1"] if build.name == "san" else []), "install",
                    f"DESTDIR={tmp_path}", f"PREFIX={prefix}"],
                   check=True, stdout=subprocess.DEVNULL,
                   env={k: v for k, v in os.environ.items()
                        if k not in ("MAKEFLAGS", "MAKELEVEL")})
    there = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")
             if p.is_file()}
    p = prefix[1:]
    assert there >= {
        f"{p}/sbin/hubd", f"{p}/sbin/agentd", f"{p}/bin/hubctl",
        "etc/init.d/hubd", "etc/init.d/agentd", "etc/logrotate.d/hubd",
        f"{p}/lib/systemd/system/hubd.service",
        f"{p}/lib/systemd/system/agentd.service",
        f"{p}/lib/sysusers.d/hubd.conf", f"{p}/lib/tmpfiles.d/hubd.conf",
        f"{p}/share/man/man8/hubd.8"}
    for name in ("hubd", "agentd"):
        script = tmp_path / "etc/init.d" / name
        assert os.access(script, os.X_OK)
        assert f"DAEMON={prefix}/sbin/{name}\n" in script.read_text()
        text = (tmp_path / p / "lib/systemd/system" /
                f"{name}.service").read_text()
        assert f"ExecStart={prefix}/sbin/{name} " in text
