"""Every recorded answer in OpenAI's dialect, through hub and agent.

The user gets the recorded bytes, however they were cut, and the bill is what
the provider reported. Where the hub asked for usage and the user did not, the
chunk that only carries it is hidden, and so is "usage":null.
"""

import json

import pytest

import money
import priced
from procs import RECORDINGS, bearer, fetch, form

CUTS = [0, -1, 1, 7, 37, 1024]
MORE_CUTS = [2, 3, 65536]  # in one shape of the site
PATHS = priced.PATHS
# What these cost is not in their answers.
FREE = ("responses.input_tokens", "moderations")
# Refusals whose status users see; of others they get a 502 and the outcome
# is a failure. So is an error in the middle of a stream.
PASSED = (400, 404, 413, 422, 429)

pytestmark = pytest.mark.skipif(
    not priced.RECORDED, reason="../shared/recordings is not there")


SECOND = b"\0" * 16000  # of sound, as the hub estimates it


def request_of(entry):
    """The recorded request's bytes, or one that fits the answer."""
    if entry["endpoint"].startswith("audio."):
        body, fields = form(("file", SECOND * 3, "a.mp3"),
                            ("model", "rec-sound"))
        return body, {"model": "rec-sound", "fields": fields}
    if entry["endpoint"] == "images.generations":
        doc = {"model": "rec-image", "prompt": "a harbour"}
        return json.dumps(doc).encode(), doc
    if entry["request_body"] and entry["request_model"]["body"]:
        raw = (RECORDINGS / entry["request_body"]).read_bytes()
        try:
            doc = json.loads(raw)
        except ValueError:
            doc = None
        if isinstance(doc, dict) and doc.get("model") == \
                entry["request_model"]["body"] and \
                bool(doc.get("stream")) == entry["streaming"]:
            return raw, doc
    doc = {"model": entry["request_model"]["body"] or "rec-unnamed"}
    if entry["endpoint"] == "chat.completions":
        doc["messages"] = [{"role": "user", "content": "hello"}]
    elif entry["endpoint"] == "completions":
        doc["prompt"] = "hello"
    else:
        doc["input"] = "hello"
    if entry["streaming"]:
        doc["stream"] = True
    return json.dumps(doc).encode(), doc


def is_bad_here(doc):
    """The hub itself refuses what its own arithmetic cannot take."""
    return (doc.get("max_tokens") or 0) < 0 or doc.get("background") is True


def outcome_of(entry, status):
    broken = "midstream-error" in entry["features"] or \
        "error-streaming-0" in entry["file"] or status == 502
    return "failed" if broken else "complete"


def data_of(event):
    """The JSON of an event's data, or None."""
    lines = [line[5:] for line in event.splitlines()
             if line.startswith(b"data:")]
    try:
        return json.loads(b"\n".join(lines)) if lines else None
    except ValueError:
        return None


def events_of(body):
    events = body.replace(b"\r\n", b"\n").split(b"\n\n")
    assert events[-1].strip() == b"" or data_of(events[-1]) is None
    return events


def visible(body):
    """Events as a user sees them who did not ask for usage."""
    seen = []
    for event in events_of(body):
        doc = data_of(event)
        if isinstance(doc, dict) and "usage" in doc:
            if doc.get("choices") == [] and doc["usage"]:
                continue
            if doc["usage"] is None:
                del doc["usage"]
            seen.append(doc)
        else:
            seen.append(event)
    return seen


def same_or_hidden(got, recorded):
    """Unlike bytes only where "usage":null may have been taken out."""
    want, have = visible(recorded), events_of(got)
    have = [data_of(e) if isinstance(w, dict) else e
            for e, w in zip(have, want)] if len(have) == len(want) else have
    for doc in have:
        if isinstance(doc, dict) and doc.get("usage", 1) is None:
            del doc["usage"]
    assert have == want


# An error in mid-stream is scrubbed as a refusal is, of links as well.
LINKS = {"openai/responses-openai-error-1-chunks.sse":
         b"https://platform.openai.com/docs/guides/error-codes/api-errors"}


def check_body(entry, asked, got, recorded):
    if entry["file"] in LINKS:
        recorded = recorded.replace(LINKS[entry["file"]], b"[removed]")
    if entry["streaming"] and not asked and b'"usage"' in recorded and \
            "completions" in entry["endpoint"]:
        same_or_hidden(got, recorded)
    else:
        assert got == recorded


def check_bill(entry, model, row):
    usage, prices = row["usage"], priced.PRICES[model]
    assert row["amount"] == money.cost(prices, usage)
    reported = entry["usage_final"]
    if entry["endpoint"] in FREE:
        assert (usage, row["estimated"]) == ({}, False)
        return
    if entry["endpoint"] == "images.generations":
        assert (usage, row["estimated"]) == ({"images": 1}, False)
        return
    if entry["endpoint"] == "audio.translations":
        assert (usage, row["estimated"]) == ({"milliseconds": 3000}, "size")
        return
    if entry["endpoint"] == "audio.transcriptions":
        assert (usage, row["estimated"]) == ({"milliseconds": 7000}, False)
        return
    if not reported and "responses-openai-error" in entry["file"]:
        # it failed before it said anything
        assert (usage, row["estimated"]) == ({}, False)
        return
    if not reported:
        assert row["estimated"], row
        return
    expected, prompt, completion, certain = money.kinds_of(reported)
    assert row["estimated"] is False
    assert money.side(usage, money.INPUT_SIDE) == prompt
    assert money.side(usage, money.OUTPUT_SIDE) == completion
    if certain:
        sides = money.INPUT_SIDE | money.OUTPUT_SIDE
        assert {k: n for k, n in usage.items() if k in sides} == expected


def check_refusal(entry, status, body, row):
    assert status == (entry["status"] if entry["status"] in PASSED else 502)
    assert json.loads(body)["error"]["message"]
    assert row["amount"] == "0" and row["status"] == status


@pytest.fixture(scope="module")
def payer(site):
    return site.key(credit="100000")


@pytest.mark.parametrize("entry", priced.RECORDED, ids=lambda e: e["file"])
def test_recording_passes_and_is_billed(site, payer, entry):
    request, doc = request_of(entry)
    asked = bool((doc.get("stream_options") or {}).get("include_usage"))
    recorded = (RECORDINGS / entry["file"]).read_bytes()
    answers = []
    relayed = "route.force_relay" in site.failpoints
    for cut in CUTS + (MORE_CUTS if relayed else []):
        if cut in (1, 2, 3) and len(recorded) > 65536:
            continue  # a send a byte: the small ones show it all
        site.sim.bind(doc["model"], entry["file"], cut=cut)
        status, fields, body = fetch(site.hub.port, "POST",
                                     PATHS[entry["endpoint"]], request,
                                     {**bearer(payer),
                                      **doc.get("fields", {})}, 60)
        if is_bad_here(doc):
            assert status == 400 and doc.get("background", status)
            continue
        answers.append((fields["x-request-id"], status, fields, body))
    rows = site.hub.rows([a[0] for a in answers])
    for request_id, status, fields, body in answers:
        row = rows[request_id]
        assert row["outcome"] == outcome_of(entry, status), row
        if entry["status"] >= 400:
            check_refusal(entry, status, body, row)
            continue
        assert status == entry["status"]
        check_body(entry, asked, body, recorded)
        check_bill(entry, doc["model"], row)
        if not entry["streaming"] and len(recorded) <= 256 << 10:
            assert fields["x-hub-cost"] == row["amount"]
