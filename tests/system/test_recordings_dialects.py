"""Every recorded answer of Azure, Anthropic, Google and AWS, and own ones.

As test_recordings.py for OpenAI and its kin: the user gets the provider's
bytes, however they were cut, and the bill is what the provider reported. Each
is asked for as it was when it was recorded: its path, its body, its key where
that dialect's clients put it.
"""

import json

import pytest

import money
import priced
import providers
import recorded
from procs import fetch
from test_recordings import PASSED, same_or_hidden

CUTS = [0, -1, 1, 2, 3, 7, 37, 1024, 65536]
SMALL = 16384  # cut at a few bytes: a send each, the small ones show it all


@pytest.fixture(scope="module")
def dialects(module_site):
    return module_site(workers=2, links=1, kinds=[
        k for k in providers.ALL if k != "openai"])


def answers_of(site, case):
    """By cut: id, status, fields, body."""
    size, found = len(case.bytes()), {}
    for cut in CUTS:
        if cut in (1, 2, 3) and size > SMALL:
            continue
        site.sim.bind(case.model, case.file, cut=cut)
        status, fields, body = fetch(
            site.hub.port, "POST", case.path, case.body,
            recorded.key_fields(case.dialect, site.payer), 60)
        found[cut] = fields["x-request-id"], status, fields, body
    return found


# An error that comes with 200 is scrubbed as a refusal is, of links as well.
LINK = b"https://go.microsoft.com/fwlink/?linkid=21298766"


def check_body(case, body):
    raw = case.bytes()
    if case.refused():
        raw = raw.replace(LINK, b"[removed]")
    if case.dialect == "azure" and case.streaming and not case.asked and \
            b'"usage"' in raw and case.endpoint != "responses":
        same_or_hidden(body, raw)
    else:
        assert body == raw


def check_bill(case, row):
    usage = row["usage"]
    assert row["amount"] == money.cost(priced.PRICES[case.model], usage)
    if case.endpoint in recorded.COUNTS or case.refused():
        assert (usage, row["estimated"]) == ({}, False)
        return
    expected = case.kinds()
    if expected is None:
        assert row["estimated"] or (case.blocked() and usage == {}), row
        return
    kinds, prompt, completion = expected
    assert row["estimated"] is False
    assert money.side(usage, money.INPUT_SIDE) == prompt
    assert money.side(usage, money.OUTPUT_SIDE) == completion
    if kinds is not None:
        sides = money.INPUT_SIDE | money.OUTPUT_SIDE
        assert {k: n for k, n in usage.items() if k in sides} == kinds


# The words for it, where each dialect puts them.
MESSAGE = {"azure": lambda d: d["error"]["message"],
           "anthropic": lambda d: d["error"]["message"],
           "gemini": lambda d: d["error"]["message"],
           "bedrock": lambda d: d["message"]}
# What names the kind of error, and must be the provider's.
NAME = {"azure": lambda d: d["error"].get("code"),
        "anthropic": lambda d: d["error"]["type"],
        "gemini": lambda d: (d["error"]["code"], d["error"]["status"]),
        "bedrock": lambda d: None}


def refuses_our_key(doc):
    """Google says so with 400: not the user's matter."""
    error = doc.get("error", {})
    return any(d.get("reason") == "API_KEY_INVALID"
               for d in error.get("details", ()))


def check_refusal(case, status, fields, body, row):
    """The user's own mistakes are told as the provider words them."""
    doc, raw = json.loads(body), json.loads(case.bytes())
    assert MESSAGE[case.dialect](doc)
    assert row["amount"] == "0" and row["status"] == status
    if case.entry["status"] not in PASSED or refuses_our_key(raw):
        assert status in (502, 503, 404), body
        return
    assert status == case.entry["status"]
    assert NAME[case.dialect](doc) == NAME[case.dialect](raw)
    kept = case.entry["response_headers"].get("x-amzn-errortype")
    if kept:
        assert fields["x-amzn-errortype"].split(":")[0] == kept.split(":")[0]


@pytest.mark.parametrize("case", recorded.CASES, ids=repr)
def test_recording_passes_and_is_billed(dialects, case):
    answers = answers_of(dialects, case)
    rows = dialects.hub.rows([a[0] for a in answers.values()])
    for cut, (request_id, status, fields, body) in answers.items():
        row = rows[request_id]
        assert row["dialect"] == case.dialect
        assert row["model"] == case.model
        if case.entry["status"] >= 400:
            check_refusal(case, status, fields, body, row)
            continue
        assert status == case.entry["status"], body
        assert row["outcome"] == \
            ("failed" if case.broken() else "complete"), (cut, row)
        assert fields["content-type"] == case.entry["content_type"]
        check_body(case, body)
        check_bill(case, row)
