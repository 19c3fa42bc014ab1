"""The manual's examples, run against a real hub."""

import shlex
import subprocess
import sys

import procs

sys.path.insert(0, str(procs.ROOT / "tests" / "docs"))
import manual  # noqa: E402


def test_examples_of_the_manual_work(sites):
    site = sites()
    lines = [line for page in ("hubctl.8", "agentd.8")
             for line in manual.commands(page)
             if line.startswith("hubctl ")]
    assert lines
    for line in lines:
        argv = shlex.split(line)[1:]
        p = subprocess.run(
            [str(procs.BUILD / "hubctl"), "-f", str(site.hub.conf), *argv],
            capture_output=True, text=True, timeout=60)
        assert p.returncode == 0, f"{line}: {p.stderr}"


def test_every_show_is_at_home_in_80_columns(sites):
    """With the money of one day, that is; exact sums may be longer."""
    site = sites()
    assert site.chat(site.key())[0] == 200
    site.hub.quiet()
    for what in ("status", "workers", "agents", "models", "calls", "limits",
                 "accounts", "keys", "prices", "ledger", "suspense"):
        text = site.hub.ctl("show", what, json_out=False)
        assert text.strip(), what
        for line in text.splitlines():
            assert len(line) <= 80, line
