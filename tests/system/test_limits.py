"""What keys and accounts may do: models, expiry, rates, money."""

import concurrent.futures
import datetime
import http.client
import json
from decimal import Decimal

import pytest

import priced
from procs import CtlError, await_, bearer, error_code

PLENTY = 2000


def refused(reply, status, code):
    assert reply[0] == status, reply
    assert error_code(reply[2]) == code
    if status == 429:
        assert int(reply[1]["retry-after"]) >= 1
    return reply


def open_stream(site, key, model=priced.LONG, hub=None):
    """A stream under way; the caller closes it."""
    port = (hub or site.hub).port
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    c.request("POST", "/v1/chat/completions", json.dumps({
        "model": model, "messages": [{"role": "user", "content": "x"}],
        "stream": True}), bearer(key))
    r = c.getresponse()
    if r.status != 200:
        reply = r.status, {k.lower(): v for k, v in r.getheaders()}, r.read()
        c.close()
        return None, reply
    r.readline()
    return (c, r), None


def close_stream(stream):
    stream[1].close()
    stream[0].close()


def test_key_is_limited_to_its_models(solo):
    key = solo.key("models", f"sim-chat,{priced.SHORT}")
    assert solo.chat(key, "sim-chat")[0] == 200
    assert solo.chat(key, priced.SHORT)[0] == 200
    refused(solo.chat(key, priced.SLOW), 403, "model_not_allowed")
    ids = {m["id"] for m in json.loads(solo.hub.get_models(key)[2])["data"]}
    assert ids <= {"sim-chat", priced.SHORT}


def test_models_of_a_key_may_be_globs(solo):
    key = solo.key("models", "sim-c5-*")
    assert solo.chat(key, priced.SHORT)[0] == 200
    refused(solo.chat(key, "sim-chat"), 403, "model_not_allowed")


def test_unknown_model_comes_before_a_forbidden_one(solo):
    key = solo.key("models", "sim-chat")
    refused(solo.chat(key, "no-such-model"), 404, "model_not_found")


def test_key_expires(solo):
    soon = datetime.datetime.now(datetime.timezone.utc) + \
        datetime.timedelta(seconds=3)
    key = solo.key("expires", soon.strftime("%Y-%m-%dT%H:%M:%SZ"))
    reply = await_("expiry", lambda: next(
        (r for r in [solo.chat(key)] if r[0] != 200), None), 15)
    refused(reply, 401, "invalid_api_key")


@pytest.mark.parametrize("shape", ["single", "many"])
def test_concurrency(request, sites, solo, shape):
    site = solo if shape == "single" else sites(workers=4, links=2)
    key = site.key("concurrency", "2")
    streams = [open_stream(site, key) for _ in range(2)]
    try:
        assert [error for _, error in streams] == [None, None]
        refused(site.chat(key), 429, "concurrency_limited")
    finally:
        for stream, _ in streams:
            if stream:
                close_stream(stream)
    await_("the slots to be free", lambda: site.chat(key)[0] == 200)
    site.hub.quiet()


def test_concurrency_never_exceeded_by_a_burst(sites):
    site = sites(workers=4, links=2)
    key = site.key("concurrency", "3")
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda _: open_stream(site, key), range(20)))
    streams = [s for s, _ in found if s]
    for _, error in found:
        if error:
            refused(error, 429, "concurrency_limited")
    for s in streams:
        close_stream(s)
    assert 1 <= len(streams) <= 3
    site.hub.quiet()


def test_requests_per_minute(solo):
    key = solo.key("rpm", "3")
    replies = [solo.chat(key) for _ in range(5)]
    assert [r[0] for r in replies] == [200, 200, 200, 429, 429]
    refused(replies[3], 429, "rate_limited")
    assert int(replies[3][1]["retry-after"]) <= 60


def test_tokens_per_minute(solo):
    key = solo.key("tpm", "2000")
    replies = []
    for _ in range(6):
        replies.append(solo.chat(key, priced.HEAVY, max_tokens=300))
        if replies[-1][0] != 200:
            break
    assert replies[0][0] == 200
    refused(replies[-1], 429, "rate_limited")


def test_refused_request_consumes_nothing(solo):
    name = solo.account("1")
    key = solo.hub.key(name, "rpm", "1")[0]
    assert solo.chat(key, "no-such-model")[0] == 404
    assert solo.chat(key)[0] == 200
    before = solo.hub.balance(name)
    refused(solo.chat(key), 429, "rate_limited")
    assert solo.hub.balance(name)["held"] in ("0", before["held"])


def test_revoked_key(solo):
    name = solo.account()
    key, key_id = solo.hub.key(name)
    assert solo.chat(key)[0] == 200
    solo.hub.ctl("key", "revoke", key_id)
    reply = await_("the revocation", lambda: next(
        (r for r in [solo.chat(key)] if r[0] != 200), None))
    refused(reply, 401, "invalid_api_key")


def test_unknown_revoked_and_missing_key_read_alike(solo):
    key, key_id = solo.hub.key(solo.account())
    solo.hub.ctl("key", "revoke", key_id)
    await_("the revocation", lambda: solo.chat(key)[0] == 401)
    texts = {json.loads(solo.chat(k)[2])["error"]["message"]
             for k in (key, "sk-nobody")}
    assert len(texts) == 1


def test_rotated_key(solo):
    old, key_id = solo.hub.key(solo.account())
    new = solo.hub.ctl("key", "rotate", key_id)["key"]
    await_("the new key", lambda: solo.chat(new)[0] == 200)
    await_("the end of the old", lambda: solo.chat(old)[0] == 401)


def test_balance_that_does_not_cover(solo):
    name = solo.account("0.0000001")
    key = solo.hub.key(name)[0]
    refused(solo.chat(key, max_tokens=PLENTY), 402, "insufficient_balance")
    solo.hub.ctl("account", "credit", name, "5")
    await_("the credit",
           lambda: solo.chat(key, max_tokens=PLENTY)[0] == 200)


def test_empty_account_is_refused(solo):
    key = solo.key(credit="0")
    refused(solo.chat(key), 402, "insufficient_balance")


def test_disabled_account(solo):
    name = solo.account()
    key = solo.hub.key(name)[0]
    solo.hub.ctl("account", "disable", name)
    reply = await_("the account to be disabled", lambda: next(
        (r for r in [solo.chat(key)] if r[0] != 200), None))
    refused(reply, 403, "account_disabled")
    solo.hub.ctl("account", "enable", name)
    await_("the account to be enabled", lambda: solo.chat(key)[0] == 200)


def test_concurrent_requests_do_not_overdraw(solo):
    """Each may cost 0.02 by its own bound; there is money for three."""
    name = solo.account("0.063")
    key = solo.hub.key(name)[0]

    def ask(_):
        return solo.chat(key, priced.SLOW, max_tokens=PLENTY)
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        replies = list(pool.map(ask, range(12)))
    good = [r for r in replies if r[0] == 200]
    for r in replies:
        if r[0] != 200:
            refused(r, 402, "insufficient_balance")
    assert 1 <= len(good) <= 3
    solo.hub.rows([r[1]["x-request-id"] for r in good])
    solo.hub.quiet()
    account = solo.hub.balance(name)
    assert Decimal(account["balance"]) > 0 and account["held"] == "0"


def test_hubctl_refuses_what_is_not_there(solo):
    with pytest.raises(CtlError) as e:
        solo.hub.ctl("account", "credit", "nobody", "5")
    assert e.value.status == 1 and e.value.text
    with pytest.raises(CtlError) as e:
        solo.hub.ctl("account", "fly", "away")
    assert e.value.status == 2
