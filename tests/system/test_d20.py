"""d20: no answer tells of the inside, whatever dialect it is in.

Refusals and errors in mid-stream that are full of it, and providers that are
away, deny our key or break off: the user gets his dialect's shape and none of
the words.
"""

import json
import struct
import zlib

import pytest

import priced
import providers
import recorded
from procs import fetch

INSIDE = [c for c in recorded.OWN_CASES if c.file.startswith("own/inside-")]
REFUSALS = [c for c in INSIDE if not c.streaming]
STREAMS = [c for c in INSIDE if c.streaming]
WORDS = [b"10.20.30.40", b"8443", b"edge-7", b"inner.", b"role/", b"123456789012",
         b"agentd.conf", providers.KEY.encode(), providers.ACCESS.encode(),
         providers.SECRET.encode(), b"127.0.0.1", b"Signature"]

# One request of each dialect that a synthetic model answers.
ASK = {c.dialect: c for c in recorded.OWN_CASES
       if c.endpoint in ("messages", "generateContent", "converse",
                         "chat.completions") and not c.streaming}
MODEL = priced.shape("sim-d20-c3", priced.WHOLE)


@pytest.fixture(scope="module")
def site(module_site):
    return module_site(kinds=[k for k in providers.ALL if k != "openai"])


def ask(site, case, model=None):
    """Status, the answer as it came, and its JSON if it is one."""
    path, body = case.path, case.body
    if model is not None:
        path = recorded.OWN_URLS[case.endpoint].format(model)
        body = json.dumps({**json.loads(body), "model": model}).encode()
    status, fields, got = fetch(site.hub.port, "POST", path, body,
                                recorded.key_fields(case.dialect,
                                                    site.payer))
    head = "\n".join(f"{k}: {v}" for k, v in fields.items()
                     if k not in ("date",)).encode()
    return status, head, got


def check_words(head, got):
    for word in WORDS:
        assert word not in head + got, got


def check_frames(got):
    """Lengths and sums of Amazon's messages are right."""
    while got:
        total, _, crc = struct.unpack(">III", got[:12])
        assert crc == zlib.crc32(got[:8])
        assert struct.unpack(">I", got[total - 4:total])[0] == \
            zlib.crc32(got[:total - 4])
        got = got[total:]


def message_of(dialect, got):
    doc = json.loads(got)
    text = doc["message"] if dialect == "bedrock" else \
        doc["error"]["message"]
    assert text
    return text


@pytest.mark.parametrize("case", REFUSALS, ids=repr)
def test_d20_messages_of_providers_are_scrubbed(site, case):
    site.sim.bind(case.model, case.file)
    status, head, got = ask(site, case)
    assert status == case.entry["status"]
    check_words(head, got)
    # it still says what the provider said of the user's own mistake
    assert "says no" in message_of(case.dialect, got)


# How the error begins in each stream, and the end of its text.
SHAPES = {"own/inside-azure.sse": b'data: {"error": {"message": "',
          "own/inside-response.sse": b'"type": "response.failed"',
          "own/inside-messages.sse": b'event: error\ndata: {"type": "error"',
          "own/inside-gemini.sse": b'data: {"error": {"code": 503',
          "own/inside-gemini-bare.sse": b'\n{\n  "error": {\n',
          "own/inside-gemini-array.json": b',\r\n{"error": {"code": 503',
          "own/inside-converse.bin": b"internalServerException"}


@pytest.mark.parametrize("cut", [0, 1, 37])
@pytest.mark.parametrize("case", STREAMS, ids=repr)
def test_d20_errors_in_mid_stream_are_scrubbed(site, case, cut):
    site.sim.bind(case.model, case.file, cut=cut)
    status, head, got = ask(site, case)
    assert status == 200
    check_words(head, got)
    raw = case.bytes()
    at = raw.index(b"So far ") if b"So far " in raw else 20
    assert got[:at + 7] == raw[:at + 7]
    assert SHAPES[case.file] in got and b"[removed]" in got
    assert b" says no" in got
    if case.dialect == "bedrock":
        check_frames(got)


@pytest.mark.parametrize("dialect", ASK)
@pytest.mark.parametrize("fault", ["401", "500", "503", "reset", "close",
                                   "refuse"])
def test_d20_failures_inside_are_told_in_the_dialects_shape(site, dialect,
                                                            fault):
    site.sim.bind(MODEL, fault=fault)
    status, head, got = ask(site, ASK[dialect], MODEL)
    assert status in (502, 503, 504), got
    check_words(head, got)
    message_of(dialect, got)


@pytest.mark.parametrize("dialect", ASK)
def test_d20_a_provider_is_gone(site, dialect):
    """Last here: the simulator ends."""
    if site.sim.running():
        site.sim.stop()
    status, head, got = ask(site, ASK[dialect], MODEL)
    assert status in (502, 503), got
    check_words(head, got)
    message_of(dialect, got)
