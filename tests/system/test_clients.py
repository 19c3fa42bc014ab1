"""The official clients of every API, with another base URL and a hub's key.

Python's, then those of Node.js, which do all they do in one process: plain,
streamed, tools, errors as their own exceptions, and streams left early.
"""

import contextlib
import json
import os
import subprocess

import anthropic
import boto3
import botocore.config
import botocore.exceptions
import google.genai
import google.genai.errors
import openai
import pytest

import certs
import clients
import procs
from clients import LONG, MODELS, SHORT, TOOL, USAGE
from procs import await_

ASK = "How deep is the harbour?"
CHAT = [{"role": "user", "content": ASK}]


class OpenAI:
    """Also of Azure, which is another class of the same package."""

    # what is raised: for a wrong key, an unknown model, a bad request, too
    # many requests, a provider that fails
    raises = (openai.AuthenticationError, openai.NotFoundError,
              openai.BadRequestError, openai.RateLimitError,
              openai.InternalServerError)
    tools = [{"type": "function", "function": {
        "name": TOOL, "parameters": {"type": "object"}}}]

    def __init__(self, url, key):
        self.client = openai.OpenAI(base_url=url + "/v1", api_key=key,
                                    max_retries=0, timeout=30)

    def create(self, model, **more):
        return self.client.chat.completions.create(
            model=model, messages=CHAT, **more)

    def plain(self, model):
        answer = self.create(model)
        return answer.choices[0].message.content

    def stream(self, model):
        with self.create(model, stream=True) as chunks:
            for chunk in chunks:
                if chunk.choices and chunk.choices[0].delta.content:
                    yield chunk.choices[0].delta.content

    def call(self, model):
        call = self.create(model, tools=self.tools).choices[0].message. \
            tool_calls[0].function
        return call.name, json.loads(call.arguments)


class Azure(OpenAI):
    def __init__(self, url, key):
        self.client = openai.AzureOpenAI(
            azure_endpoint=url, api_key=key, api_version="2024-10-21",
            max_retries=0, timeout=30)


class Anthropic:
    raises = (anthropic.AuthenticationError, anthropic.NotFoundError,
              anthropic.BadRequestError, anthropic.RateLimitError,
              anthropic.InternalServerError)

    def __init__(self, url, key):
        self.client = anthropic.Anthropic(base_url=url, api_key=key,
                                          max_retries=0, timeout=30)

    def create(self, model, **more):
        return self.client.messages.create(
            model=model, max_tokens=300, messages=CHAT, **more)

    def plain(self, model):
        return self.create(model).content[0].text

    def stream(self, model):
        with self.client.messages.stream(model=model, max_tokens=300,
                                         messages=CHAT) as s:
            yield from s.text_stream

    def call(self, model):
        block = self.create(model, tools=[
            {"name": TOOL, "input_schema": {"type": "object"}}]).content[-1]
        return block.name, block.input


class Google:
    raises = (google.genai.errors.ClientError,) * 4 + \
        (google.genai.errors.ServerError,)

    def __init__(self, url, key):
        self.client = google.genai.Client(
            api_key=key, http_options={"base_url": url, "timeout": 30000})

    def plain(self, model):
        return self.client.models.generate_content(
            model=model, contents=ASK).text

    def stream(self, model):
        for chunk in self.client.models.generate_content_stream(
                model=model, contents=ASK):
            if chunk.text:
                yield chunk.text

    def call(self, model):
        call = self.client.models.generate_content(
            model=model, contents=ASK, config={"tools": [
                {"function_declarations": [{"name": TOOL}]}]}). \
            function_calls[0]
        return call.name, call.args


class Bedrock:
    raises = (botocore.exceptions.ClientError,) * 5
    ask = [{"role": "user", "content": [{"text": ASK}]}]

    def __init__(self, url, key):
        self.key = key
        with self.environment():
            self.client = boto3.session.Session().client(
                "bedrock-runtime", region_name="us-east-1", endpoint_url=url,
                config=botocore.config.Config(retries={"max_attempts": 0},
                                              read_timeout=30))

    @contextlib.contextmanager
    def environment(self):
        """Its bearer key is read from there, first when it is made."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_BEARER_TOKEN_BEDROCK", self.key)
            yield

    def do(self, operation, model, **more):
        with self.environment():
            return getattr(self.client, operation)(modelId=model, **more)

    def plain(self, model):
        answer = self.do("converse", model, messages=self.ask)
        return answer["output"]["message"]["content"][0]["text"]

    def stream(self, model):
        events = self.do("converse_stream", model,
                         messages=self.ask)["stream"]
        try:
            for event in events:
                if "contentBlockDelta" in event:
                    yield event["contentBlockDelta"]["delta"]["text"]
        finally:
            events.close()

    def call(self, model):
        answer = self.do("converse", model, messages=self.ask, toolConfig={
            "tools": [{"toolSpec": {"name": TOOL,
                                    "inputSchema": {"json": {}}}}]})
        use = answer["output"]["message"]["content"][-1]["toolUse"]
        return use["name"], use["input"]


CLIENTS = {"openai": OpenAI, "azure": Azure, "anthropic": Anthropic,
           "gemini": Google, "bedrock": Bedrock}


# Where each library looks for authorities that it trusts.
TRUST = ("SSL_CERT_FILE", "AWS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    authority = certs.Authority(tmp_path_factory.mktemp("ca"))
    with pytest.MonkeyPatch.context() as patch:
        for name in TRUST:
            patch.setenv(name, str(authority.pem))
        s = clients.site(authority)
        yield s
        s.close()


@pytest.fixture(scope="module", params=CLIENTS)
def dialect(request):
    return request.param


@pytest.fixture(scope="module")
def models(dialect):
    return MODELS[dialect]


@pytest.fixture(scope="module")
def make(site, dialect):
    """make(key): this dialect's client."""
    return lambda key: CLIENTS[dialect](site.url, key)


@pytest.fixture(scope="module")
def client(site, make):
    return make(site.payer)


def test_plain(site, dialect, client, models):
    assert client.plain(models[SHORT]).startswith("A synthetic answer")
    clients.check_row(site, dialect, models[SHORT], stream=False)


def test_streamed(site, dialect, client, models):
    pieces = list(client.stream(models[SHORT]))
    assert len(pieces) == 5 and all(p.startswith("s=") for p in pieces)
    clients.check_row(site, dialect, models[SHORT], stream=True)


def test_tools(client, models):
    name, arguments = client.call(models["tools"])
    assert (name, arguments["port"]) == (TOOL, "Vlissing")


def refusal_of(client, raised, model):
    with pytest.raises(raised) as e:
        client.plain(model)
    return e.value


def status_of(error):
    for name in ("status_code", "code"):
        if isinstance(getattr(error, name, None), int):
            return getattr(error, name)
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


def test_errors_are_the_clients_own(site, dialect, client, make, models):
    bad_key, unknown, bad_request, too_many, failed = client.raises
    assert status_of(refusal_of(make("sk-hub-wrong"), bad_key,
                                models[SHORT])) == 401
    assert status_of(refusal_of(client, unknown, "no-such-model")) == 404
    error = refusal_of(client, bad_request, models["bad"])
    assert status_of(error) == 400
    assert status_of(refusal_of(client, too_many, models["limited"])) == 429
    assert status_of(refusal_of(client, failed, models["failing"])) == 502


AWS_NAMES = {"bad": "ValidationException", "no-such-model":
             "ResourceNotFoundException"}


def test_aws_errors_have_their_names(site):
    client = Bedrock(site.url, site.payer)
    for model, name in AWS_NAMES.items():
        model = MODELS["bedrock"].get(model, model)
        error = refusal_of(client, getattr(client.client.exceptions, name),
                           model)
        assert error.response["Error"]["Message"]


def test_leaving_a_stream_cancels_it(site, client, models):
    before = aborted(site, models[LONG])
    stream = client.stream(models[LONG])
    assert next(stream).startswith("s=") and next(stream)
    stream.close()
    await_aborted(site, models[LONG], before + 1)
    row = clients.last_row(site)
    assert (row["model"], row["outcome"]) == (models[LONG], "cancelled")


def aborted(site, model):
    return sum(r["aborted"] for r in site.sim.requests(model))


def await_aborted(site, model, n):
    await_("the provider to see that the user left",
           lambda: aborted(site, model) >= n)


# ---- what only one API has ----

def test_anthropic_counts_tokens_for_nothing(site):
    c = Anthropic(site.url, site.payer).client
    count = c.messages.count_tokens(model=MODELS["anthropic"][SHORT],
                                    messages=CHAT)
    assert count.input_tokens == USAGE["input"]
    assert clients.last_row(site)["amount"] == "0"


def test_gemini_counts_tokens_and_embeds(site):
    c = Google(site.url, site.payer).client
    model = MODELS["gemini"][SHORT]
    assert c.models.count_tokens(model=model, contents=ASK). \
        total_tokens == USAGE["input"]
    assert clients.last_row(site)["amount"] == "0"
    got = c.models.embed_content(model="own-gemini-embed",
                                 contents=["x", "y"])
    assert [e.values for e in got.embeddings] == [[0.25, -0.5],
                                                  [0.125, 0.75]]


def test_bedrock_invokes_models_in_their_own_tongue(site):
    c = Bedrock(site.url, site.payer)
    model = MODELS["bedrock"][SHORT]
    body = json.dumps({"messages": CHAT, "max_tokens": 100,
                       "anthropic_version": "bedrock-2023-05-31"})
    answer = json.loads(c.do("invoke_model", model,
                             body=body)["body"].read())
    assert answer["content"][0]["text"].startswith("A synthetic answer")
    clients.check_row(site, "bedrock", model, stream=False)
    events = c.do("invoke_model_with_response_stream", model,
                  body=body)["body"]
    docs = [json.loads(e["chunk"]["bytes"]) for e in events]
    assert docs[-1]["type"] == "message_stop"
    clients.check_row(site, "bedrock", model, stream=True)


def test_anthropic_key_as_a_bearer(site):
    c = anthropic.Anthropic(base_url=site.url, auth_token=site.payer,
                            max_retries=0)
    c.messages.create(model=MODELS["anthropic"][SHORT], max_tokens=9,
                      messages=CHAT)
    clients.check_row(site, "anthropic", MODELS["anthropic"][SHORT],
                      stream=False)


def test_provider_prefixes(site):
    """Each API under a path of its own, as with other gateways."""
    for prefix, client, dialect in (
            ("/openai/v1", lambda u: OpenAI(u[:-3], site.payer), "openai"),
            ("/anthropic", lambda u: Anthropic(u, site.payer), "anthropic"),
            ("/google", lambda u: Google(u, site.payer), "gemini"),
            ("/aws", lambda u: Bedrock(u, site.payer), "bedrock")):
        model = MODELS[dialect][SHORT]
        assert client(site.url + prefix).plain(model)


# ---- Node.js ----

NODE = procs.ROOT / "tests" / "system" / "node"


@pytest.fixture(scope="module")
def said(site):
    """What each case of each client came to: said[dialect, what]."""
    job = {"url": site.url, "key": site.payer, "tool": TOOL,
           "models": MODELS}
    p = subprocess.run(
        ["node", NODE / "clients.cjs", json.dumps(job)], timeout=120,
        capture_output=True, text=True,
        env={**os.environ, "CLIENTS_DIR": str(procs.ROOT / "build" / "node")})
    assert p.returncode == 0, p.stderr
    lines = [json.loads(line) for line in p.stdout.splitlines()]
    return {(d["dialect"], d["what"]): d for d in lines}


def value_of(said, dialect, what):
    assert "error" not in said[dialect, what], said[dialect, what]["error"]
    return said[dialect, what]["value"]


def test_node_plain_streamed_and_tools(said, dialect):
    assert value_of(said, dialect, "plain").startswith("A synthetic answer")
    pieces = value_of(said, dialect, "stream")
    assert len(pieces) == 5 and all(p.startswith("s=") for p in pieces)
    name, arguments = value_of(said, dialect, "tools")
    assert (name, arguments["port"]) == (TOOL, "Vlissing")


# Where a package has a class for each kind of error.
NODE_CLASSES = {
    "wrong key": ("AuthenticationError", "AccessDeniedException"),
    "unknown": ("NotFoundError", "ResourceNotFoundException"),
    "bad": ("BadRequestError", "ValidationException"),
    "limited": ("RateLimitError", "ThrottlingException"),
    "failing": ("InternalServerError", "InternalServerException")}
NODE_STATUS = {"wrong key": 401, "unknown": 404, "bad": 400, "limited": 429,
               "failing": 502}


@pytest.mark.parametrize("what", NODE_STATUS)
def test_node_errors_are_the_clients_own(said, dialect, what):
    error = value_of(said, dialect, what)
    assert error["own"] and error["status"] == NODE_STATUS[what], error
    common, of_aws = NODE_CLASSES[what]
    expected = {"gemini": "ApiError", "bedrock": of_aws}.get(dialect, common)
    assert error["name"] == expected, error


def test_node_leaving_a_stream_cancels_it(site, said, dialect, models):
    assert len(value_of(said, dialect, "left")) == 2
    await_aborted(site, models[LONG], 2)  # the other was Python's
