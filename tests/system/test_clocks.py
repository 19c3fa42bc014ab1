"""Agents whose clock is wrong: both sides say so, and show agents does."""

import pathlib
import subprocess

import pytest

from procs import Agent, await_, program

WRONG_CLOCK = pathlib.Path(__file__).with_name("wrong_clock.c")


@pytest.fixture(scope="module")
def wrong_clock(tmp_path_factory):
    """A library to preload; see wrong_clock.c."""
    library = tmp_path_factory.mktemp("clock") / "wrong_clock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library),
                    str(WRONG_CLOCK)], check=True)
    return str(library)


def agent_off_by(site, wrong_clock, seconds):
    agent = site.add(Agent(site.folder / f"off{seconds}", site.hub,
                           {"openai": site.sim}, name=f"off{seconds}",
                           links=2))
    agent.spawn([program("agentd"), "-d", "-f", str(agent.conf)],
                {"LD_PRELOAD": wrong_clock, "CLOCK_OFFSET_S": str(seconds)})
    return agent.await_up(links=2)


@pytest.mark.parametrize("seconds,word", [(-3600, "behind"),
                                          (90, "ahead of")])
def test_wrong_clock_is_told_by_both(solo, wrong_clock, seconds, word):
    agent = agent_off_by(solo, wrong_clock, seconds)
    skew = agent.shown()["clock_skew_ms"]
    assert abs(skew - 1000 * seconds) < 3000
    said = await_("the hub's warning", lambda: [
        line for line in solo.hub.log.read_text().splitlines()
        if f"agent {agent.agent}: its clock is " in line])
    assert all(f" s {word} ours" in line for line in said)
    said = [line for line in agent.log.read_text().splitlines()
            if "our clock is" in line]
    # one of two links
    assert len(said) == 1
    assert f" s {word} that of the hub at ws://127.0.0.1" in said[0]


def test_small_difference_is_only_shown(solo, wrong_clock):
    agent = agent_off_by(solo, wrong_clock, 30)
    assert abs(agent.shown()["clock_skew_ms"] - 30000) < 3000
    assert "our clock is" not in agent.log.read_text()
    assert f"agent {agent.agent}: its clock" not in solo.hub.log.read_text()
