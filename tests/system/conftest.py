"""Fixtures of the system tests: real processes, by turns in three shapes.

site: a hub, an agent and the simulator, shared by the tests of a session:
	direct	four workers, two links: some calls are relayed
	single	one worker, one link: none is
	relayed	four workers, one link, and every call goes by the relay
solo: a site of one worker for what does not depend on the shape.
"""

import os
import pathlib
import subprocess
import tempfile

import pytest

import procs
import priced
import stores

TOPOLOGIES = {
    "direct": dict(workers=4, links=2),
    "single": dict(workers=1, links=1),
    "relayed": dict(workers=4, links=1,
                    failpoints={"route.force_relay": "force\n"}),
}


@pytest.fixture(scope="session", params=TOPOLOGIES)
def site(request):
    s = procs.Site(priced.PRICES, **TOPOLOGIES[request.param])
    yield s
    s.close()


@pytest.fixture(scope="session")
def solo():
    s = procs.Site(priced.PRICES, workers=1, links=1)
    yield s
    s.close()


@pytest.fixture
def sites():
    """Makes sites of a test's own: sites(workers=2, options={...})."""
    made = []

    def make(prices=priced.PRICES, **kwargs):
        made.append(procs.Site(prices, **kwargs))
        return made[-1]
    make.made = made
    yield make
    for s in made:
        s.close()


@pytest.fixture(scope="module")
def module_site():
    """Makes sites of a module's own, with a key that pays: s.payer."""
    made = []

    def make(**kwargs):
        s = procs.Site(priced.PRICES, **kwargs)
        made.append(s)
        s.payer = s.key(credit="100000")
        return s
    yield make
    for s in made:
        s.close()


@pytest.fixture
def key(request):
    """A key with money and without limits, at the site of the test."""
    names = [n for n in ("site", "solo") if n in request.fixturenames]
    return request.getfixturevalue(names[0]).key()


@pytest.fixture
def small_disk():
    """A folder that can be filled: only root can have one. Its name is short
    enough for sockets in it."""
    where = pathlib.Path(tempfile.mkdtemp(prefix="hubtest."))
    if os.geteuid() != 0 or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(where)],
            capture_output=True).returncode != 0:
        where.rmdir()
        pytest.skip("left out: a small file system needs root and mount")
    yield where
    subprocess.run(["umount", "-l", str(where)], check=True)
    where.rmdir()


@pytest.fixture
def show(request):
    """show(text): printed at the end of the run, also when all is well."""
    def keep(text):
        request.node.user_properties.append(("shown", text))
    return keep


def pytest_terminal_summary(terminalreporter):
    for reports in terminalreporter.stats.values():
        for r in reports:
            for name, text in getattr(r, "user_properties", ()):
                if name == "shown" and r.when == "call":
                    terminalreporter.section(r.nodeid)
                    terminalreporter.write_line(text)


def pytest_unconfigure(config):
    stores.stop()


def pytest_report_header(config):
    return f"store {stores.STORE}, limits {stores.LIMITS}"


def may_be_left_out(report):
    """What an ordinary user cannot do, he need not."""
    return os.geteuid() != 0 and "needs root" in str(report.longrepr)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    """In CI a suite that is left out fails the run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if (os.environ.get("CI") and session.exitstatus == 0
            and not all(may_be_left_out(r) for r in skipped)):
        session.exitstatus = 1


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows the logs of the processes it was about."""
    report = (yield).get_result()
    if not report.failed:
        return
    for name in ("site", "solo", "sites"):
        value = getattr(item, "funcargs", {}).get(name)
        for s in getattr(value, "made", [value]):
            if hasattr(s, "logs"):
                report.sections.append((f"logs of {name}", s.logs()))
