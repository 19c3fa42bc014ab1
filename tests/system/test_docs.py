"""The manual's examples, run against a real hub."""

import shlex
import subprocess
import sys

import procs
import stores
from test_limits import close_stream, open_stream

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


# Members that this site has no occasion for.
SELDOM = {"shared_up", "spooled", "spooled_since", "store_id", "hub_id",
          "before", "changes", "flagged", "note", "tpm_left", "above", "old",
          "new", "kind", "tier", "change", "max_input", "max_output"}


def members(v):
    """Names of all members of a document; those of usage are kinds."""
    if isinstance(v, list):
        return set().union(*map(members, v))
    if not isinstance(v, dict):
        return set()
    return set(v).union(*(members(v[k]) for k in v if k != "usage"
                          or isinstance(v[k], list)))


def test_the_manual_has_every_member_of_every_document(sites):
    site = sites(store=stores.Store("sqlite", "local"), options={
        'route "fast"': {"models": ["sim-chat"]}})
    ctl, documented = site.hub.ctl, manual.shapes("hubctl.8")
    key = site.key("rpm", 60)
    key_id = ctl("show", "keys")["keys"][0]["id"]
    stream, error = open_stream(site, key)
    assert not error, error
    seen = {}

    def see(command, *args):
        doc = ctl(*command.split(), *args)
        seen.setdefault(command, set()).update(members(doc))
    for what in ("status", "workers", "agents", "models", "calls", "limits",
                 "accounts", "keys", "routes", "prices", "usage"):
        see(f"show {what}")
    close_stream(stream)
    site.hub.quiet()
    for what in ("ledger", "usage"):
        see(f"show {what}")
    see("account add", "documented")
    see("key add", "documented")
    for verb in ("set", "rotate", "revoke"):
        see(f"key {verb}", key_id)
    see("agent add", "documented")
    for verb in ("drain", "resume", "rotate", "revoke"):
        see(f"agent {verb}", "documented")
    see("explain", "fast")
    see("audit", "full")
    see("store check")
    see("backup", site.folder / "backup.db")
    see("reload")
    see("drain")
    for command, names in seen.items():
        assert names <= documented[command], command
        assert documented[command] <= names | SELDOM, command
    assert set(documented) - set(seen) == {
        "show suspense", "suspense retry", "suspense drop"}
