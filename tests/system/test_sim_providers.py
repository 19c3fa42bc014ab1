"""The simulator as each provider: credentials, refusals, tokens, voices.

What it checks is held against the clients of others: Google's own library
signs the JWT and reads the tokens, AWS's own signs requests.
"""

import json
import time
import urllib.parse

import botocore.config
import botocore.exceptions
import botocore.session
import botocore.utils
import google.auth.exceptions
import google.auth.jwt
import google.auth.transport.requests
import google.oauth2.service_account
import pytest

import providers
from procs import OWN, Sim, fetch
from providers import ACCESS, CLIENT, CLIENT_SECRET, KEY, SECRET

ANTHROPIC = {"anthropic-version": "2023-06-01"}
GENERATE = "/v1beta/models/sim-chat:generateContent"
VERTEX = ("/v1/projects/p/locations/l/publishers/google/models/sim-chat"
          ":generateContent")
DATED = "/openai/deployments/sim-chat/chat/completions?api-version=2024-10-21"
CHAT = {"model": "sim-chat", "messages": []}
SCOPE = ["https://www.googleapis.com/auth/cloud-platform"]


@pytest.fixture(scope="module")
def sim(tmp_path_factory):
    s = Sim(tmp_path_factory.mktemp("sim"))
    yield s
    s.stop()


@pytest.fixture(autouse=True)
def fresh(sim):
    sim.reset()


def ask(sim, path, body, **fields):
    status, head, raw = fetch(sim.port, "POST", path, body,
                              {k.replace("_", "-"): v
                               for k, v in fields.items()})
    return status, head, json.loads(raw)


# ---- keys ----

# path, body, fields that do, the same with a wrong key, and what is said to
# the wrong key and to none: status and a member of the error
ANTHROPIC_ERROR = lambda d: (d["type"], d["error"]["type"])
GOOGLE_ERROR = lambda d: (d["error"]["code"], d["error"]["status"])
KEYS = {
    "openai": ("/v1/chat/completions", "authorization", "Bearer {}",
               lambda d: d["error"]["code"],
               (401, "invalid_api_key"), (401, "invalid_api_key")),
    "azure": (DATED, "api-key", "{}", lambda d: d["error"]["code"],
              (401, "401"), (401, "401")),
    "azure-v1": ("/openai/v1/chat/completions", "authorization", "Bearer {}",
                 lambda d: d["error"]["code"], (401, "401"), (401, "401")),
    "anthropic": ("/v1/messages", "x-api-key", "{}", ANTHROPIC_ERROR,
                  (401, ("error", "authentication_error")),
                  (401, ("error", "authentication_error"))),
    "anthropic-bearer": ("/v1/messages", "authorization", "Bearer {}",
                         ANTHROPIC_ERROR,
                         (401, ("error", "authentication_error")),
                         (401, ("error", "authentication_error"))),
    "google": (GENERATE, "x-goog-api-key", "{}", GOOGLE_ERROR,
               (400, (400, "INVALID_ARGUMENT")),
               (403, (403, "PERMISSION_DENIED"))),
    "vertex": (VERTEX, "authorization", "Bearer {}", GOOGLE_ERROR,
               (401, (401, "UNAUTHENTICATED")),
               (401, (401, "UNAUTHENTICATED"))),
    "aws": ("/model/sim-chat/converse", "authorization", "Bearer {}",
            lambda d: list(d), (403, ["message"]), (403, ["message"])),
}


@pytest.mark.parametrize("name", KEYS)
def test_keys_are_checked_and_refused_in_the_providers_shape(sim, name):
    path, field, form, member, wrong, none = KEYS[name]
    fields = ANTHROPIC if name.startswith("anthropic") else {}

    def refusal(**more):
        status, _, doc = ask(sim, path, CHAT, **fields, **more)
        return status, member(doc)
    if name != "vertex":  # its tokens have a test of their own
        assert ask(sim, path, CHAT, **fields,
                   **{field: form.format(KEY)})[0] == 200
    assert refusal(**{field: form.format("sk-wrong")}) == wrong
    assert refusal() == none


def test_google_key_in_the_query(sim):
    for key, status in ((KEY, 200), ("no", 400)):
        query = urllib.parse.urlencode({"key": key})
        assert ask(sim, f"{GENERATE}?{query}", {})[0] == status


def test_azure_wants_a_version_and_has_not_always_known_options(sim):
    fields = {"api-key": KEY}
    dated = DATED.split("?")[0]
    assert ask(sim, dated, CHAT, **fields)[0] == 404
    options = {**CHAT, "stream": True,
               "stream_options": {"include_usage": True}}
    status, _, doc = ask(sim, dated + "?api-version=2024-02-01", options,
                         **fields)
    assert status == 400 and "stream_options" in doc["error"]["message"]
    for version in ("2024-09-01-preview", "2024-10-21"):
        assert fetch(sim.port, "POST", f"{dated}?api-version={version}",
                     options, fields)[0] == 200
    assert ask(sim, "/" + DATED, CHAT, **fields)[0] == 200


def test_azure_deployment_is_in_the_path(sim):
    path = DATED.replace("sim-chat", "own-depl")
    doc = ask(sim, path, {**CHAT, "model": "whatever"},
              **{"api-key": KEY})[2]
    assert doc["usage"]["total_tokens"] == 22
    status, _, doc = ask(sim, DATED.replace("sim-chat", "none"), CHAT,
                         **{"api-key": KEY})
    assert (status, doc["error"]["code"]) == (404, "DeploymentNotFound")


def test_anthropic_wants_a_known_version(sim):
    for version, status in (("2023-06-01", 200), ("2026-10-21", 200),
                            ("1999-01-01", 400)):
        assert ask(sim, "/v1/messages", CHAT, x_api_key=KEY,
                   anthropic_version=version)[0] == status
    assert ask(sim, "/v1/messages", CHAT, x_api_key=KEY)[0] == 400


@pytest.mark.parametrize("path,fields,type_of", [
    ("/v1/messages", {"x-api-key": KEY, **ANTHROPIC},
     lambda h, d: d["error"]["type"]),
    (GENERATE, {"x-goog-api-key": KEY}, lambda h, d: d["error"]["status"]),
    (DATED, {"api-key": KEY}, lambda h, d: d["error"]["code"]),
    ("/model/sim-chat/converse", {"authorization": f"Bearer {KEY}"},
     lambda h, d: h["x-amzn-errortype"].split(":")[0])])
def test_any_status_in_the_providers_words(sim, path, fields, type_of):
    said = []
    for status in (400, 403, 404, 429, 500, 503):
        sim.next(fault=str(status))
        got, head, doc = ask(sim, path, CHAT, **fields)
        assert got == status
        assert ("retry-after" in head) == (status in (429, 503))
        said.append(type_of(head, doc))
    assert len(set(said)) >= 5, said


def test_a_queued_answer_can_be_given_several_times(sim):
    sim.next(fault="503", times=2)
    fields = {"authorization": f"Bearer {KEY}"}
    got = [ask(sim, "/v1/chat/completions", CHAT, **fields)[0]
           for _ in range(3)]
    assert got == [503, 503, 200]


# ---- what answers ----

OWN_PATHS = {
    "messages": "/v1/messages",
    "generateContent": "/v1beta/models/{}:generateContent",
    "streamGenerateContent": "/v1beta/models/{}:streamGenerateContent?alt=sse",
    "batchEmbedContents": "/v1beta/models/{}:batchEmbedContents",
    "converse": "/model/{}/converse",
    "converse-stream": "/model/{}/converse-stream",
    "invoke": "/model/{}/invoke",
    "invoke-with-response-stream": "/model/{}/invoke-with-response-stream",
    "chat.completions": "/openai/deployments/{}/chat/completions"
                        "?api-version=2024-10-21"}
# Those that hold the inside are several a model: d20 asks for them by name.
OWN_ENTRIES = [e for e in json.loads((OWN / "manifest.json").read_text())
               if e["provider"] != "openai" and "/inside-" not in e["file"]]


@pytest.mark.parametrize("entry", OWN_ENTRIES, ids=lambda e: e["file"])
def test_own_answers_are_found_by_model_and_endpoint(sim, entry):
    model = entry["request_model"]["path"] or entry["request_model"]["body"]
    body = {"model": model, "stream": entry["streaming"]}
    if entry["request_body"]:
        body = (OWN / entry["request_body"]).read_bytes()
    path = OWN_PATHS[entry["endpoint"]].format(
        urllib.parse.quote(model, safe=""))
    status, fields, got = fetch(sim.port, "POST", path, body, {
        **ANTHROPIC, "x-api-key": KEY, "api-key": KEY, "x-goog-api-key": KEY,
        **({"authorization": f"Bearer {KEY}"} if "/model/" in path else {})})
    assert status == entry["status"]
    assert fields["content-type"] == entry["content_type"]
    assert got == (OWN / entry["file"]).read_bytes()


def test_synthetic_streams_of_each_dialect(sim):
    model = "sim-c3-i11-o45-h4-r5"

    def stream(path, body=CHAT, **fields):
        status, head, raw = fetch(sim.port, "POST", path,
                                  {**body, "model": model, "stream": True},
                                  fields)
        assert status == 200
        return head["content-type"], raw.decode()
    kind, text = stream("/v1/messages", **{"x-api-key": KEY}, **ANTHROPIC)
    assert kind.startswith("text/event-stream")
    names = [e.split("\n")[0] for e in text.split("\n\n")[:-1]]
    assert names == [f"event: {n}" for n in (
        "message_start", "content_block_start", "ping",
        *["content_block_delta"] * 3, "content_block_stop", "message_delta",
        "message_stop")]
    assert '"cache_read_input_tokens":4' in text
    path = f"/v1beta/models/{model}:streamGenerateContent"
    google = {"x-goog-api-key": KEY}
    kind, text = stream(path + "?alt=sse", **google)
    docs = [json.loads(e[6:]) for e in text.split("\r\n\r\n")[:-1]]
    usage = {"promptTokenCount": 11, "candidatesTokenCount": 40,
             "cachedContentTokenCount": 4, "thoughtsTokenCount": 5,
             "totalTokenCount": 56}
    assert len(docs) == 4 and docs[-1]["usageMetadata"] == usage
    kind, text = stream(path, **google)
    assert kind.startswith("application/json")
    assert json.loads(text)[-1]["usageMetadata"] == usage


# ---- AWS ----

def bedrock(sim, secret=SECRET, region="us-east-1", **more):
    return botocore.session.Session().create_client(
        "bedrock-runtime", region_name=region, endpoint_url=sim.url,
        aws_access_key_id=more.pop("access", ACCESS),
        aws_secret_access_key=secret,
        config=botocore.config.Config(retries={"max_attempts": 0}), **more)


HELLO = [{"role": "user", "content": [{"text": "hello"}]}]


def converse(client, model="sim-chat"):
    return client.converse(modelId=model, messages=HELLO)


def refusal_of(client, model="sim-chat"):
    with pytest.raises(botocore.exceptions.ClientError) as e:
        converse(client, model)
    return (e.value.response["ResponseMetadata"]["HTTPStatusCode"],
            e.value.response["Error"]["Code"],
            e.value.response["Error"]["Message"])


def test_aws_own_signer_is_understood(sim):
    client = bedrock(sim)
    assert converse(client)["usage"]["totalTokens"] == 245
    for model in ("own.claude-3-v1:0",
                  "arn:aws:bedrock:us-east-1:000000000000:inference-profile/"
                  "own.claude-3-v1:0"):
        # that the second is unknown is said after its signature was read
        try:
            assert converse(client, model)["usage"]["totalTokens"] == 28
        except client.exceptions.ResourceNotFoundException:
            assert model.startswith("arn:")
    answer = client.invoke_model(modelId="own.claude-3-v1:0", body=b"{}")
    counts = answer["ResponseMetadata"]["HTTPHeaders"]
    assert counts["x-amzn-bedrock-input-token-count"] == "18"


def test_aws_streams_are_good_frames(sim):
    client = bedrock(sim)
    stream = client.converse_stream(modelId="sim-c3-i11-o45-h4",
                                    messages=HELLO)["stream"]
    events = list(stream)
    assert [next(iter(e)) for e in events] == [
        "messageStart", *["contentBlockDelta"] * 3, "contentBlockStop",
        "messageStop", "metadata"]
    assert events[-1]["metadata"]["usage"] == {
        "inputTokens": 7, "cacheReadInputTokens": 4, "outputTokens": 45,
        "cacheWriteInputTokens": 0, "totalTokens": 56}
    body = client.invoke_model_with_response_stream(
        modelId="sim-c3-i11-o45-h4", body=b"{}")["body"]
    docs = [json.loads(e["chunk"]["bytes"]) for e in body]
    assert "s=" in docs[3]["delta"]["text"]
    metrics = docs[-1]["amazon-bedrock-invocationMetrics"]
    assert (metrics["inputTokenCount"], metrics["outputTokenCount"]) == \
        (7, 45)


@pytest.mark.parametrize("how,code", [
    ({"secret": "wrong"}, "InvalidSignatureException"),
    ({"access": "AKIAWRONG"}, "UnrecognizedClientException"),
    ({"aws_session_token": "wrong"}, "UnrecognizedClientException")])
def test_aws_wrong_credentials(sim, how, code):
    assert refusal_of(bedrock(sim, **how))[:2] == (403, code)


@pytest.mark.parametrize("skew,words", [
    (360, "Signature expired: "), (-360, "Signature not yet current: ")])
def test_aws_clocks_may_differ_by_five_minutes(sim, skew, words):
    client = bedrock(sim)
    sim.clock(skew - 120 if skew > 0 else skew + 120)
    converse(client)
    sim.clock(skew)
    status, code, message = refusal_of(client)
    assert (status, code) == (403, "InvalidSignatureException")
    assert message.startswith(words) and "5 min.)" in message


def test_aws_a_changed_request_does_not_fit_its_signature(sim):
    client = bedrock(sim)
    converse(client)
    sent = sim.requests("sim-chat")[-1]
    keep = {k: v for k, v in sent["fields"].items()
            if k not in ("content-length", "host")}
    keep["host"] = sent["fields"]["host"]

    def again(path, body):
        return fetch(sim.port, "POST", path, body, keep)[0]
    body = sent["body"]
    assert again(sent["path"], body) == 200
    assert again(sent["path"], body.replace("hello", "hallo")) == 403
    assert again(sent["path"].replace("chat", "chit"), body) == 403
    keep["x-amz-date"] = keep["x-amz-date"][:-2] + \
        ("1Z" if keep["x-amz-date"][-2] != "1" else "2Z")
    assert again(sent["path"], body) == 403


def test_aws_instance_metadata(sim):
    fetcher = botocore.utils.InstanceMetadataFetcher(base_url=sim.url + "/")
    got = fetcher.retrieve_iam_role_credentials()
    client = bedrock(sim, got["secret_key"], access=got["access_key"],
                     aws_session_token=got["token"])
    converse(client)
    tokens = sim.stats()["tokens"]
    assert tokens["session"] == 1 and tokens["role"] == 1
    assert fetch(sim.port, "GET", "/latest/meta-data/iam/"
                 "security-credentials/")[0] == 401
    sim.tokens(revoke=True)
    assert refusal_of(client)[1] == "ExpiredTokenException"


def test_aws_container_credentials(sim):
    fetcher = botocore.utils.ContainerMetadataFetcher()
    got = fetcher.retrieve_full_uri(sim.url + "/v1/credentials",
                                    headers={"Authorization": KEY})
    converse(bedrock(sim, got["SecretAccessKey"], access=got["AccessKeyId"],
                     aws_session_token=got["Token"]))
    assert sim.stats()["tokens"]["container"] == 1
    assert fetch(sim.port, "GET", "/v1/credentials")[0] == 401
    assert fetch(sim.port, "GET", "/v2/credentials/sim-task")[0] == 200


# ---- Google and Entra ID ----

def account(tmp_path, sim, **changed):
    path = providers.account_file(tmp_path, sim, **changed)
    return google.oauth2.service_account.Credentials. \
        from_service_account_file(path, scopes=SCOPE)


def refresh(credentials):
    credentials.refresh(google.auth.transport.requests.Request())
    return credentials


def test_google_service_account(sim, tmp_path):
    token = refresh(account(tmp_path, sim)).token
    fields = {"authorization": f"Bearer {token}"}
    assert ask(sim, VERTEX, {}, **fields)[0] == 200
    assert sim.stats()["tokens"]["oauth"] == 1
    sim.clock(3700)
    assert ask(sim, VERTEX, {}, **fields)[0] == 401
    sim.clock(0)
    sim.tokens(revoke=True)
    assert ask(sim, VERTEX, {}, **fields)[0] == 401


def test_google_assertions_are_checked(sim, tmp_path):
    def flaw(skew=0, **changed):
        sim.clock(skew)
        with pytest.raises(google.auth.exceptions.RefreshError) as e:
            refresh(account(tmp_path, sim, **changed))
        return str(e.value)
    assert "reasonable timeframe" in flaw(skew=-700)
    assert "reasonable timeframe" in flaw(skew=7200)
    sim.clock(0)
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}
    credentials = account(tmp_path, sim)
    for audience, error in ((f"{sim.url}/token", None),
                            (f"{sim.url}/other", "invalid_grant")):
        now = int(time.time())
        assertion = google.auth.jwt.encode(credentials.signer, {
            "iss": "x", "aud": audience, "iat": now, "exp": now + 3600,
            "scope": SCOPE[0]})
        doc = ask(sim, "/token", urllib.parse.urlencode(
            {**form, "assertion": assertion}))[2]
        assert doc.get("error") == error
    other = providers.new_key()[0]
    assert "Invalid JWT Signature" in flaw(private_key=other)
    assert sim.stats()["tokens"]["oauth"] == 1
    status, _, doc = ask(
        sim, "/token", "grant_type=password",
        content_type="application/x-www-form-urlencoded")
    assert (status, doc["error"]) == (400, "unsupported_grant_type")


def test_google_metadata_server(sim):
    path = "/computeMetadata/v1/instance/service-accounts/default/token"
    assert fetch(sim.port, "GET", path)[0] == 403

    def token():
        status, head, raw = fetch(sim.port, "GET", path,
                                  headers={"Metadata-Flavor": "Google"})
        assert (status, head["metadata-flavor"]) == (200, "Google")
        doc = json.loads(raw)
        return doc["access_token"], doc["expires_in"]
    first, left = token()
    assert 3590 <= left <= 3600
    assert ask(sim, VERTEX, {}, authorization=f"Bearer {first}")[0] == 200
    # it hands out a new one in the last minute only
    sim.clock(3500)
    assert token()[0] == first
    sim.clock(3550)
    assert token()[0] != first
    assert sim.stats()["tokens"]["metadata"] == 3


def test_entra_client_credentials(sim):
    path = f"/{providers.TENANT}/oauth2/v2.0/token"

    def token(**changed):
        form = {"grant_type": "client_credentials", "client_id": CLIENT,
                "client_secret": CLIENT_SECRET,
                "scope": "https://cognitiveservices.azure.com/.default",
                **changed}
        return ask(sim, path, urllib.parse.urlencode(form),
                   content_type="application/x-www-form-urlencoded")
    sim.tokens(lifetime_s=120)
    status, _, doc = token()
    assert status == 200 and doc["expires_in"] == 120
    fields = {"authorization": f"Bearer {doc['access_token']}"}
    assert ask(sim, DATED, CHAT, **fields)[0] == 200
    sim.clock(121)
    assert ask(sim, DATED, CHAT, **fields)[0] == 401
    for changed, status, error in (
            ({"client_secret": "no"}, 401, "invalid_client"),
            ({"client_id": "no"}, 400, "unauthorized_client"),
            ({"scope": "openid"}, 400, "invalid_scope"),
            ({"grant_type": "password"}, 400, "unsupported_grant_type")):
        got, _, doc = token(**changed)
        assert (got, doc["error"]) == (status, error)
    assert sim.stats()["tokens"]["entra"] == 1


def test_tokens_of_one_issuer_do_not_open_another(sim, tmp_path):
    token = refresh(account(tmp_path, sim)).token
    assert ask(sim, DATED, CHAT, authorization=f"Bearer {token}")[0] == 401


@pytest.mark.parametrize("endpoint,path", [
    ("oauth2.token", "/token"), ("entra.token", "/t/oauth2/v2.0/token"),
    ("metadata.token", "/computeMetadata/v1/instance/service-accounts/"
     "default/token"), ("imds.token", "/latest/api/token"),
    ("container.credentials", "/v2/credentials/sim-task")])
def test_issuers_fail_only_when_told_by_name(sim, endpoint, path):
    sim.next(fault="503")
    before = fetch(sim.port, "GET", path)[0]
    assert before != 503
    sim.next(endpoint=endpoint, fault="503")
    assert fetch(sim.port, "GET", path)[0] == 503
    assert fetch(sim.port, "GET", path)[0] == before
