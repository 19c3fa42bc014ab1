"""What a reply says of the key's rates, and what refusals leave untouched."""

import json
import re

import priced
from procs import await_, bearer, error_code, fetch

GO = re.compile(r"^(\d+h)?(\d+m)?\d+(\.\d+)?s$|^\d+ms$")
UNITS = {"h": 3600, "m": 60, "s": 1, "ms": 0.001}


def seconds(text):
    """A Go duration as a number."""
    assert GO.match(text), text
    return sum(float(n) * UNITS[u]
               for n, u in re.findall(r"([\d.]+)(ms|h|m|s)", text))


def state(fields, what):
    """limit, remaining, reset in seconds."""
    return (int(fields[f"x-ratelimit-limit-{what}"]),
            int(fields[f"x-ratelimit-remaining-{what}"]),
            seconds(fields[f"x-ratelimit-reset-{what}"]))


def test_fields_count_down(solo):
    key = solo.key("rpm", "10", "tpm", "100000")
    left, tokens = [], []
    for _ in range(3):
        status, fields, _ = solo.chat(key)
        assert status == 200
        limit, remaining, reset = state(fields, "requests")
        assert limit == 10 and 0 < reset <= 60
        left.append(remaining)
        limit, remaining, reset = state(fields, "tokens")
        assert limit == 100000 and 0 < remaining < 100000 and reset > 0
        tokens.append(remaining)
    assert left[0] in (8, 9) and left == sorted(left, reverse=True)
    assert left[2] < left[0] and tokens[2] < tokens[0]


def test_fields_on_streams_refusals_and_429(solo):
    key = solo.key("rpm", "2")
    status, fields, _ = solo.chat(key, stream=True)
    assert status == 200 and state(fields, "requests")[:2] == (2, 1)
    status, fields, _ = solo.chat(key, "no-such-model")
    assert status == 404 and state(fields, "requests")[:2] == (2, 1)
    assert solo.chat(key)[0] == 200
    status, fields, _ = solo.chat(key)
    assert status == 429 and state(fields, "requests")[:2] == (2, 0)
    assert 1 <= int(fields["retry-after"]) <= 31
    assert "x-ratelimit-limit-tokens" not in fields


def test_no_fields_without_rates(solo, key):
    assert not [f for f in solo.chat(key)[1] if f.startswith("x-ratelimit")]


def remaining(site, key):
    """Of requests and tokens, by a request that takes none."""
    status, fields, _ = site.chat(key, "no-such-model")
    assert status == 404
    return state(fields, "requests")[1], state(fields, "tokens")[1]


def untouched(site, key, status, code, **more):
    before = remaining(site, key)
    reply = site.chat(key, **more)
    assert (reply[0], error_code(reply[2])) == (status, code)
    after = remaining(site, key)
    # what comes back by itself is time's, nothing may be missing
    assert after >= before


def test_refused_for_money_takes_no_rate(solo):
    key = solo.key("rpm", "5", "tpm", "100000", credit="0.000001")
    untouched(solo, key, 402, "insufficient_balance")


def test_refused_for_concurrency_takes_no_rate(solo):
    from test_limits import close_stream, open_stream
    key = solo.key("rpm", "5", "tpm", "100000", "concurrency", "1")
    stream, error = open_stream(solo, key)
    assert error is None
    try:
        untouched(solo, key, 429, "concurrency_limited")
    finally:
        close_stream(stream)
    solo.hub.quiet()


def test_refused_for_tokens_takes_no_request(solo):
    key = solo.key("rpm", "5", "tpm", "300")
    assert solo.chat(key, priced.HEAVY, max_tokens=5)[0] == 200
    untouched(solo, key, 429, "rate_limited")


def test_refused_for_its_model_takes_nothing(solo):
    key = solo.key("rpm", "5", "tpm", "1000", "models", "sim-chat")
    untouched(solo, key, 403, "model_not_allowed", model=priced.SHORT)


def test_refused_holds_no_money(solo):
    name = solo.account("1")
    key = solo.hub.key(name, "rpm", "1")[0]
    assert solo.chat(key)[0] == 200
    await_("the booking", lambda: solo.hub.balance(name)["held"] == "0")
    before = solo.hub.balance(name)
    for _ in range(5):
        assert solo.chat(key)[0] == 429
    assert solo.hub.balance(name) == before


def test_401_names_the_scheme(solo):
    status, fields, _ = solo.chat("sk-nobody")
    assert status == 401 and fields["www-authenticate"] == "Bearer"


def test_405_names_the_methods(solo, key):
    status, fields, body = fetch(solo.hub.port, "GET", "/v1/embeddings",
                                 headers=bearer(key))
    assert status == 405 and fields["allow"] == "POST"
    assert json.loads(body)["error"]["code"] == "method_not_allowed"
    status, fields, _ = fetch(solo.hub.port, "POST", "/v1/models", "{}",
                              headers=bearer(key))
    assert status == 405 and fields["allow"] == "GET"
    status, fields, _ = fetch(solo.hub.port, "PUT", "/healthz")
    assert status == 405 and fields["allow"] == "GET, HEAD"
