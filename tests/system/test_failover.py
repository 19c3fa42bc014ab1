"""Before the first byte another candidate is tried; after it, never."""

import concurrent.futures
import signal
import time

import pytest

import crowd
import money
import priced
import procs
from procs import Agent, Sim, await_, error_code

MODEL = "own-bound"
ANSWER = "own/chat-plain.json"
USAGE = {"input": 13, "cache_read": 4, "output": 18, "reasoning": 5}


@pytest.fixture(scope="module")
def pair(request):
    """A hub with two agents, each with a simulator of its own."""
    site = procs.Site(priced.PRICES, workers=2, links=2)
    request.addfinalizer(site.close)
    site.other = site.add(Sim(site.folder / "sim2", name="sim2"))
    site.edge2 = site.add(Agent(site.folder / "agent2", site.hub,
                                {"second": site.other}, name="edge-2"))
    site.edge2.start().await_up(2)
    return site


@pytest.mark.parametrize("fault", ["refuse", "500", "429"])
def test_next_candidate_answers(pair, fault):
    key = pair.key()
    pair.sim.bind(MODEL, fault=fault)
    pair.other.bind(MODEL, ANSWER)
    replies = [pair.chat(key, MODEL) for _ in range(8)]
    assert [r[0] for r in replies] == [200] * 8, replies
    rows = pair.hub.rows([r[1]["x-request-id"] for r in replies])
    for row in rows.values():
        assert (row["provider"], row["agent"]) == ("second", "edge-2")
        assert 1 <= row["attempts"] <= 3
        assert row["amount"] == money.cost(priced.PRICES[MODEL], USAGE)


def test_all_candidates_fail(pair):
    key = pair.key()
    pair.sim.bind(MODEL, fault="500")
    pair.other.bind(MODEL, fault="500")
    status, fields, body = pair.chat(key, MODEL)
    assert (status, error_code(body)) == (502, "upstream_error")
    row = pair.hub.row(fields["x-request-id"])
    assert row["amount"] == "0" and row["attempts"] >= 2


def test_what_a_provider_said_is_in_the_agents_log(pair):
    """The user is not told, under the same id somebody has to be."""
    key = pair.key()
    pair.sim.bind(MODEL, fault="500")
    pair.other.bind(MODEL, fault="500")
    call = pair.chat(key, MODEL)[1]["x-request-id"]
    for agent, provider in ((pair.agent, "openai"), (pair.edge2, "second")):
        said = f"call {call}: provider {provider} answers 500: {{"
        await_(said, lambda: said in agent.tail())


def test_both_candidates_are_used(pair):
    key = pair.key()
    for sim in (pair.sim, pair.other):
        sim.bind(MODEL, ANSWER, first_ms=100)
    await_("nobody is left alone for what was before", lambda: not any(
        c["cooling_ms"] for c in pair.hub.ctl("explain", MODEL)["candidates"]),
        70)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: pair.chat(key, MODEL), range(24)))
    rows = pair.hub.rows([r[1]["x-request-id"] for r in replies])
    assert {r["agent"] for r in rows.values()} == {"edge", "edge-2"}


def test_no_second_attempt_after_the_first_byte(pair):
    key = pair.key()
    for sim in (pair.sim, pair.other):
        sim.reset()
        sim.bind(MODEL, "own/chat-stream-usage.sse", fault="reset",
                 delay_ms=20)
    status, fields, body = pair.chat(key, MODEL, stream=True, broken=True)
    assert status == 200 and b"[DONE]" not in body
    row = pair.hub.row(fields["x-request-id"])
    assert row["attempts"] == 1 and row["outcome"] == "failed"
    assert len(pair.sim.requests(MODEL) + pair.other.requests(MODEL)) == 1


def test_agent_killed_while_it_serves(pair):
    """Calls not yet answered move over; the dead one comes back."""
    key = pair.key()
    for sim in (pair.sim, pair.other):
        sim.bind(MODEL, ANSWER, first_ms=1500)
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        calls = [pool.submit(pair.chat, key, MODEL) for _ in range(6)]
        await_("calls at both", lambda: all(
            any(not r["ended"] for r in s.requests(MODEL))
            for s in (pair.sim, pair.other)))
        pair.edge2.child.send_signal(signal.SIGKILL)
        pair.edge2.child.wait()
        replies = [c.result() for c in calls]
    assert [r[0] for r in replies] == [200] * 6
    rows = pair.hub.rows([r[1]["x-request-id"] for r in replies])
    assert {r["agent"] for r in rows.values()} == {"edge"}
    assert max(r["attempts"] for r in rows.values()) == 2
    pair.edge2.start().await_up(2)


def test_plain_answer_that_breaks_off_is_asked_for_again(pair):
    """Held back as it is, the user has seen nothing of it, nor pays."""
    key = pair.key()
    pair.sim.bind(MODEL, ANSWER, fault="reset", cut=100, delay_ms=20)
    pair.other.bind(MODEL, ANSWER)
    replies = [pair.chat(key, MODEL) for _ in range(8)]
    assert [r[0] for r in replies] == [200] * 8
    rows = pair.hub.rows([r[1]["x-request-id"] for r in replies])
    assert {r["attempts"] for r in rows.values()} == {1, 2}
    for row in rows.values():
        assert row["amount"] == money.cost(priced.PRICES[MODEL], USAGE)


def test_plain_answer_that_breaks_off_everywhere_costs_nothing(pair):
    key = pair.key()
    for sim in (pair.sim, pair.other):
        sim.bind(MODEL, ANSWER, fault="reset", cut=100, delay_ms=20)
    status, fields, body = pair.chat(key, MODEL)
    assert (status, error_code(body)) == (502, "agent_lost")
    row = pair.hub.row(fields["x-request-id"])
    assert (row["amount"], row["usage"], row["outcome"]) == ("0", {}, "failed")


def test_nobody_notices_that_the_only_link_is_replaced(sites):
    """It is, every second; who has it takes calls until the next is known."""
    site = sites(workers=2, links=1, options={"link_max_age": "1s"})
    key, got = site.key(), []
    want = crowd.Want("", crowd.wire(site.hub.port, key,
                                     crowd.chat(priced.SHORT)))
    log = site.hub.log
    deadline = time.monotonic() + 40

    def more():
        while (log.read_text().count("is old: replaced") < 4
               and time.monotonic() < deadline):
            yield want
    crowd.run(site.hub.port, more(), got.append, users=4)
    assert log.read_text().count("is old: replaced") >= 4
    assert {g.seen for g in got} == {"200 whole"}
