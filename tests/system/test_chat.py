"""The official OpenAI client against a hub, and the bill to the last digit."""

import json

import openai
import pytest

import money
import priced
from procs import UUID7, bearer, fetch

USAGE = {"input": 11, "output": 45}
ASK = [{"role": "user", "content": "How deep is the harbour?"}]


@pytest.fixture
def client(site, key):
    c = openai.OpenAI(api_key=key, max_retries=0, timeout=30,
                      base_url=f"http://127.0.0.1:{site.hub.port}/v1")
    yield c
    c.close()


def check_row(site, request_id, model, usage, **expected):
    """The row of a finished call says what was used and what it costs."""
    row = site.hub.row(request_id)
    assert row["usage"] == usage
    assert row["amount"] == money.cost(priced.PRICES[model], usage)
    expected = {"outcome": "complete", "status": 200, "model": model,
                "dialect": "openai", "provider": "openai", "agent": "edge",
                "attempts": 1, "estimated": False, **expected}
    assert {k: row[k] for k in expected} == expected
    assert isinstance(row["price_version"], int)
    return row


def test_plain_chat_is_billed_exactly_and_says_so(site, client):
    raw = client.chat.completions.with_raw_response.create(
        model=priced.SHORT, messages=ASK)
    answer = raw.parse()
    assert answer.usage.total_tokens == 56
    assert answer.choices[0].message.content.startswith("A synthetic answer")
    request_id = raw.headers["x-request-id"]
    assert UUID7.match(request_id)
    row = check_row(site, request_id, priced.SHORT, USAGE, stream=False)
    assert raw.headers["x-hub-cost"] == row["amount"]


def test_tiny_amount_is_not_rounded(site, key):
    status, fields, _ = site.chat(key, "sim-tiny-i1-o1")
    assert status == 200
    assert fields["x-hub-cost"] == "0.000000000000004"
    check_row(site, fields["x-request-id"], "sim-tiny-i1-o1",
              {"input": 1, "output": 1})


def test_cached_and_reasoning_tokens_have_their_own_price(site, client):
    raw = client.chat.completions.with_raw_response.create(
        model=priced.CACHED, messages=ASK)
    check_row(site, raw.headers["x-request-id"], priced.CACHED,
              {"input": 100, "cache_read": 900, "output": 7,
               "reasoning": 70})


def test_streamed_chat_hides_the_usage_nobody_asked_for(site, client):
    with client.chat.completions.with_streaming_response.create(
            model=priced.SHORT, messages=ASK, stream=True) as raw:
        chunks = list(raw.parse())
        request_id = raw.headers["x-request-id"]
    assert len(chunks) == 6
    assert all(c.choices and c.usage is None for c in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"
    check_row(site, request_id, priced.SHORT, USAGE, stream=True)
    sent = json.loads(site.sim.requests(priced.SHORT)[-1]["body"])
    assert sent["stream_options"] == {"include_usage": True}


def test_streamed_chat_shows_the_usage_that_was_asked_for(site, client):
    with client.chat.completions.with_streaming_response.create(
            model=priced.SHORT, messages=ASK, stream=True,
            stream_options={"include_usage": True}) as raw:
        chunks = list(raw.parse())
        request_id = raw.headers["x-request-id"]
    assert len(chunks) == 7
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == 56
    check_row(site, request_id, priced.SHORT, USAGE, stream=True)


def test_chunks_pass_as_they_come(site, key):
    """Not held back: a chunk is here before the next is even due."""
    body = {"model": priced.LONG, "messages": ASK, "stream": True}
    import http.client
    import time
    c = http.client.HTTPConnection("127.0.0.1", site.hub.port, timeout=10)
    c.request("POST", "/v1/chat/completions", json.dumps(body), bearer(key))
    r = c.getresponse()
    lags = []
    while len(lags) < 5:
        line = r.readline()
        if b"t=" in line:
            sent = int(line.split(b" t=")[1][:19])
            lags.append(time.monotonic_ns() - sent)
    c.close()
    assert min(lags) < 45_000_000
    site.hub.quiet()


def test_tool_calls_pass_unchanged(site, client):
    raw = client.chat.completions.with_raw_response.create(
        model="own-tools", messages=ASK, tools=[{
            "type": "function", "function": {
                "name": "tide", "parameters": {
                    "type": "object",
                    "properties": {"port": {"type": "string"}}}}}])
    call = raw.parse().choices[0].message.tool_calls[0]
    assert json.loads(call.function.arguments)["port"] == "Vlissing"
    check_row(site, raw.headers["x-request-id"], "own-tools",
              {"input": 61, "output": 18})


def test_usage_printed_by_a_model_is_not_believed(site, client):
    """The own recordings make the model print "usage" in its text."""
    with client.chat.completions.with_streaming_response.create(
            model="own-stream", messages=ASK, stream=True,
            stream_options={"include_usage": True}) as raw:
        text = "".join(c.choices[0].delta.content or ""
                       for c in raw.parse() if c.choices)
        request_id = raw.headers["x-request-id"]
    assert '"usage":{"prompt_tokens":1}' in text
    check_row(site, request_id, "own-stream",
              {"input": 13, "cache_read": 4, "output": 18, "reasoning": 5})


def test_stream_without_usage_is_estimated_and_never_free(site, client):
    site.sim.next("own/chat-stream-silent.sse", model="own-silent")
    with client.chat.completions.with_streaming_response.create(
            model="own-silent", messages=ASK, stream=True) as raw:
        assert len(list(raw.parse())) == 10
        request_id = raw.headers["x-request-id"]
    row = site.hub.row(request_id)
    assert row["estimated"] and isinstance(row["estimated"], str)
    assert row["usage"]["input"] > 0 and row["usage"]["output"] > 0
    assert row["amount"] == money.cost(priced.PRICES["own-silent"],
                                       row["usage"])


def test_provider_that_refuses_stream_options(site, key):
    """Asked once more without, and never with from then on; estimated."""
    site.sim.next("own/error-options.json", model="own-stubborn")
    site.sim.bind("own-stubborn", "own/chat-stream-silent.sse")
    for _ in range(2):
        status, fields, body = site.chat(key, "own-stubborn", stream=True)
        assert status == 200 and b"[DONE]" in body
        assert site.hub.row(fields["x-request-id"])["estimated"]
    sent = [json.loads(r["body"]) for r in site.sim.requests("own-stubborn")]
    assert "stream_options" in sent[0]
    assert "stream_options" not in sent[1]
    if site.hub.options["workers"] == 1:
        assert len(sent) == 3


def test_error_in_mid_stream_reaches_the_client(site, client):
    with pytest.raises(openai.APIError):
        for _ in client.chat.completions.create(
                model="own-broken", messages=ASK, stream=True):
            pass
    site.hub.quiet()


def test_embeddings(site, client):
    raw = client.embeddings.with_raw_response.create(
        model="own-embed", input="harbour", encoding_format="float")
    assert raw.parse().data[0].embedding[1] == -0.5
    row = check_row(site, raw.headers["x-request-id"], "own-embed",
                    {"input": 8})
    assert raw.headers["x-hub-cost"] == row["amount"]


def test_legacy_completions(site, client):
    raw = client.completions.with_raw_response.create(
        model="own-text", prompt="The pilot slept", max_tokens=7)
    assert raw.parse().choices[0].text == " and the tide came in."
    check_row(site, raw.headers["x-request-id"], "own-text",
              {"input": 5, "output": 7})


def test_streamed_legacy_completions(site, client):
    with client.completions.with_streaming_response.create(
            model=priced.SHORT, prompt="The pilot", stream=True) as raw:
        assert len(list(raw.parse())) == 6
        request_id = raw.headers["x-request-id"]
    check_row(site, request_id, priced.SHORT, USAGE, stream=True)


def test_models_lists_what_is_priced(site, client):
    ids = {m.id for m in client.models.list()}
    assert "sim-chat" in ids or not ids  # globs alone name no model
    assert ids <= set(priced.PRICES)


def test_wrong_key(site, client):
    with pytest.raises(openai.AuthenticationError) as e:
        client.with_options(api_key="sk-wrong").chat.completions.create(
            model="sim-chat", messages=ASK)
    assert e.value.code == "invalid_api_key"
    assert UUID7.match(e.value.response.headers["x-request-id"])


def test_unknown_model(site, client):
    with pytest.raises(openai.NotFoundError) as e:
        client.chat.completions.create(model="sim-unpriced", messages=ASK)
    assert e.value.code == "model_not_found"


def test_bad_request_of_the_client(site, client):
    with pytest.raises(openai.BadRequestError) as e:
        client.chat.completions.create(model="", messages=ASK)
    assert e.value.code == "invalid_request"


def test_bad_request_by_the_provider_costs_nothing(site, client):
    with pytest.raises(openai.BadRequestError) as e:
        client.chat.completions.create(model="own-error-400", messages=ASK)
    assert e.value.code == "invalid_value"
    assert e.value.param == "messages[0].role"
    row = site.hub.row(e.value.response.headers["x-request-id"])
    assert (row["amount"], row["status"], row["outcome"]) == \
        ("0", 400, "complete")


def test_rate_limit_of_the_provider(site, client):
    with pytest.raises(openai.RateLimitError) as e:
        client.chat.completions.create(model="own-error-429", messages=ASK)
    assert e.value.response.headers["retry-after"]
    row = site.hub.row(e.value.response.headers["x-request-id"])
    assert (row["amount"], row["status"]) == ("0", 429)


@pytest.mark.parametrize("fault,code", [
    ("refuse", "upstream_error"), ("500", "upstream_error")])
def test_provider_out_of_order(site, client, fault, code):
    site.sim.bind("own-bound", fault=fault)
    with pytest.raises(openai.InternalServerError) as e:
        client.chat.completions.create(model="own-bound", messages=ASK)
    assert e.value.status_code == 502
    assert e.value.code == code
    row = site.hub.row(e.value.response.headers["x-request-id"])
    assert (row["amount"], row["status"]) == ("0", 502)


@pytest.mark.parametrize("fault", ["reset", "close"])
def test_stream_that_breaks_off_is_an_error_and_one_row(site, key, fault):
    site.sim.next("own/chat-stream-usage.sse", fault=fault,
                  model="own-stream", delay_ms=20)
    status, fields, body = site.chat(key, "own-stream", stream=True,
                                     broken=True)
    assert status == 200
    assert b"[DONE]" not in body and b'"error"' in body
    row = site.hub.row(fields["x-request-id"])
    assert row["outcome"] == "failed" and row["estimated"]


def test_user_who_leaves_cancels_upstream(site, key):
    import http.client
    c = http.client.HTTPConnection("127.0.0.1", site.hub.port, timeout=10)
    c.request("POST", "/v1/chat/completions", json.dumps(
        {"model": priced.LONG, "messages": ASK, "stream": True}),
        bearer(key))
    r = c.getresponse()
    request_id = r.getheader("x-request-id")
    r.readline()
    r.close()
    c.close()
    row = site.hub.row(request_id)
    assert row["outcome"] == "cancelled" and row["status"] == 200
    assert row["estimated"] and row["usage"]["input"] > 0
    assert site.sim.requests(priced.LONG)[-1]["aborted"]


def test_provider_key_and_not_the_users_goes_upstream(site, key):
    status, _, _ = site.chat(key, priced.SHORT)
    assert status == 200
    sent = site.sim.requests(priced.SHORT)[-1]
    assert sent["fields"]["authorization"] == f"Bearer {site.sim.KEY}"
    assert key not in json.dumps(sent)


def test_usage_behind_64_mib_is_found(site, key):
    """d07: metering is incremental, whatever the size of a line."""
    status, fields, body = fetch(
        site.hub.port, "POST", "/v1/chat/completions",
        {"model": priced.HUGE, "messages": ASK, "stream": True},
        bearer(key), 60)
    assert status == 200 and len(body) > 64 << 20
    assert body.endswith(b"data: [DONE]\n\n")
    check_row(site, fields["x-request-id"], priced.HUGE,
              {"input": 3, "output": 4}, stream=True)


def test_plain_answer_beyond_what_is_held_back_has_no_cost_in_its_head(
        site, key):
    status, fields, body = site.chat(key, priced.BIG)
    assert status == 200 and len(body) > 300000
    assert "x-hub-cost" not in fields
    check_row(site, fields["x-request-id"], priced.BIG,
              {"input": 3, "output": 4})


def test_balance_goes_down_by_the_sum_of_the_rows(site):
    name = site.account("1")
    key = site.hub.key(name)[0]
    ids = [site.chat(key, priced.SHORT)[1]["x-request-id"]
           for _ in range(5)]
    rows = site.hub.rows(ids)
    spent = money.EXACT.multiply(money.Decimal(rows[ids[0]]["amount"]), 5)
    account = site.hub.balance(name)
    assert account["spent"] == money.plain(spent)
    assert account["balance"] == money.plain(
        money.EXACT.subtract(money.Decimal(1), spent))
    assert account["held"] == "0"
