"""Each dialect through the door, to a provider that speaks it, and back."""

import base64
import http.client
import json
import socket
import struct
import threading
import types
import zlib

import pytest

import procs
from procs import Agent

PRICE = {"input_cost_per_token": "1e-06", "output_cost_per_token": "2e-06"}
MODELS = ("claude-smoke", "claude-broken", "gemini-smoke", "us.smoke-v1:0", "gpt-smoke")
PRICES = {model: PRICE for model in MODELS}
# What kind of agent's section each is served by, and with what.
SECTIONS = {
    "anthropic": {"base_url": "http://127.0.0.1:{port}", "api_key": "sk-own",
                  "models": ["claude-*"]},
    "google": {"base_url": "http://127.0.0.1:{port}", "api_key": "own",
               "models": ["gemini-*"]},
    "aws": {"base_url": "http://127.0.0.1:{port}", "region": "us-east-1",
            "bearer": "own", "models": ["us.*"]},
    "azure": {"base_url": "http://127.0.0.1:{port}", "api_key": "own",
              "models": ["gpt-*"]},
}


class Provider:
    """Answers each request with what it was told; keeps the requests."""

    def __init__(self):
        self.status, self.type, self.body, self.fields = 200, "", b"", {}
        self.head, self.asked, self.cut = "", b"", None
        self.go_on = threading.Event()
        self.s = socket.create_server(("127.0.0.1", 0))
        self.port = self.s.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def tell(self, body, type="application/json", status=200, cut=None,
             **fields):
        self.body = body if isinstance(body, bytes) else json.dumps(
            body).encode()
        self.type, self.status, self.cut = type, status, cut
        self.go_on.clear()
        self.fields = {k.replace("_", "-"): v for k, v in fields.items()}

    def serve(self, c):
        data = b""
        while b"\r\n\r\n" not in data:
            data += c.recv(65536)
        head, body = data.split(b"\r\n\r\n", 1)
        self.head = head.decode()
        length = next(int(l.split(":")[1]) for l in self.head.split("\r\n")
                      if l.lower().startswith("content-length:"))
        while len(body) < length:
            body += c.recv(65536)
        self.asked = body
        fields = {"content-type": self.type, "connection": "close",
                  "transfer-encoding": "chunked", **self.fields}
        c.sendall(f"HTTP/1.1 {self.status} X\r\n".encode() + "".join(
            f"{k}: {v}\r\n" for k, v in fields.items()).encode() + b"\r\n")
        sent = self.body[:self.cut]
        c.sendall(b"%x\r\n%s\r\n" % (len(sent), sent))
        if self.cut is None:
            c.sendall(b"0\r\n\r\n")
        else:
            self.go_on.wait(20)  # until the user has what was sent

    def run(self):
        while True:
            try:
                c, _ = self.s.accept()
            except OSError:
                return
            with c:
                self.serve(c)

    def line(self):
        return self.head.split("\r\n")[0]


@pytest.fixture(scope="module")
def served():
    site = procs.Site(PRICES, models=("none",))
    provider = Provider()
    agent = site.add(Agent(site.folder / "five", site.hub, {}, name="five",
                           links=1))
    with open(agent.conf, "a") as f:
        for kind, section in SECTIONS.items():
            f.write(f'provider "{kind}" {{\n' + procs.conf_text({
                "type": kind, **section}).replace(
                    "{port}", str(provider.port)) + "}\n")
    agent.start().await_up(1)
    yield types.SimpleNamespace(site=site, provider=provider, key=site.key())
    provider.s.close()
    site.close()


def ask(served, path, body, key_field="Authorization", **fields):
    key = served.key if key_field != "Authorization" else \
        f"Bearer {served.key}"
    status, got, answer = procs.fetch(
        served.site.hub.port, "POST", path, body,
        {key_field: key, "Content-Type": "application/json",
         **{k.replace("_", "-"): v for k, v in fields.items()}})
    return status, got, answer, served.site.hub.row(got["x-request-id"])


def ask_broken(served, path, body):
    """The same where the provider breaks off: what comes behind its bytes."""
    sent = served.provider.body[:served.provider.cut]
    c = procs.connect(served.site.hub.port)
    c.request("POST", path, json.dumps(body),
              {"Authorization": f"Bearer {served.key}"})
    r = c.getresponse()
    assert r.status == 200 and r.read(len(sent)) == sent
    served.provider.go_on.set()
    try:
        rest = r.read()
    except http.client.IncompleteRead as e:
        rest = e.partial
    c.close()
    row = served.site.hub.row(r.getheader("x-request-id"))
    assert row["outcome"] == "failed"
    return rest, row


def message(kind, name, payload):
    """One of Amazon's event stream."""
    which = ":event-type" if kind == "event" else ":exception-type"
    head = b"".join(
        bytes([len(k)]) + k.encode() + b"\x07" + struct.pack(">H", len(v)) +
        v.encode() for k, v in ((":message-type", kind), (which, name)))
    m = struct.pack(">II", len(head) + len(payload) + 16, len(head))
    m += struct.pack(">I", zlib.crc32(m)) + head + payload
    return m + struct.pack(">I", zlib.crc32(m))


def test_a_message_of_anthropics(served):
    answer = {"type": "message", "content": [{"type": "text", "text": "x"}],
              "usage": {"input_tokens": 3, "output_tokens": 4}}
    served.provider.tell(answer, request_id="req_inside")
    status, fields, body, row = ask(
        served, "/v1/messages?beta=true",
        {"model": "claude-smoke", "max_tokens": 5, "messages": []},
        "x-api-key", anthropic_version="2026-10-21", anthropic_beta="b-1")
    assert (status, json.loads(body)) == (200, answer)
    assert fields["request-id"] == fields["x-request-id"]
    assert fields["x-hub-cost"] == "0.000011"
    assert row["usage"] == {"input": 3, "output": 4}
    assert (row["dialect"], row["model"]) == ("anthropic", "claude-smoke")
    assert served.provider.line() == "POST /v1/messages HTTP/1.1"
    head = served.provider.head.lower()
    assert "anthropic-beta: b-1" in head and "x-api-key: sk-own" in head
    assert served.key.lower() not in head


def test_a_stream_of_anthropics_that_breaks_off(served):
    events = (
        b'event: message_start\ndata: {"type":"message_start","message":'
        b'{"usage":{"input_tokens":30,"output_tokens":1}}}\n\n'
        b'event: content_block_delta\ndata: {"type":"content_block_delta",'
        b'"delta":{"text":"' + b"word " * 16 + b'"}}\n\n')
    served.provider.tell(events + b"event: message_stop", cut=len(events),
                         type="text/event-stream")
    last, row = ask_broken(served, "/anthropic/v1/messages",
                           {"model": "claude-broken", "stream": True})
    assert last.startswith(b"event: error\ndata: {")
    assert json.loads(last[len(b"event: error\ndata: "):])["type"] == "error"
    assert row["estimated"] == "bytes"
    assert row["usage"] == {"input": 30, "output": 20}


def test_a_refusal_of_anthropics(served):
    served.provider.tell(
        {"type": "error", "error": {"type": "invalid_request_error",
                                    "message": "no: http://inside/x"}},
        status=400)
    status, _, body, row = ask(served, "/v1/messages",
                               {"model": "claude-smoke"})
    assert (status, row["amount"]) == (400, "0")
    assert json.loads(body) == {
        "type": "error", "error": {"type": "invalid_request_error",
                                   "message": "no: [removed]"}}


USAGE = {"promptTokenCount": 5, "candidatesTokenCount": 2,
         "thoughtsTokenCount": 1, "totalTokenCount": 8}
ARRAY = (b'[{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}\n,\r\n'
         b'{"candidates":[{"finishReason":1}],"usageMetadata":' +
         json.dumps(USAGE).encode() + b"}\n]")


@pytest.mark.parametrize("path", [
    "/v1beta/models/gemini-smoke", "/google/v1beta/models/gemini-smoke",
    "/v1/projects/p/locations/l/publishers/google/models/gemini-smoke"])
def test_geminis_answers_in_all_frames(served, path):
    want = {"input": 5, "output": 2, "reasoning": 1}
    ask_for = {"contents": [{"parts": [{"text": "x"}]}]}
    served.provider.tell({"usageMetadata": USAGE})
    status, fields, _, row = ask(served, path + ":generateContent", ask_for,
                                 "x-goog-api-key")
    assert (status, row["usage"]) == (200, want)
    assert "x-hub-cost" in fields and row["stream"] is False
    served.provider.tell(b"data: " + json.dumps(
        {"usageMetadata": USAGE}).encode() + b"\r\n\r\n",
        type="text/event-stream")
    status, _, body, row = ask(
        served, path + f":streamGenerateContent?alt=sse&key={served.key}",
        ask_for, "x-unused")
    assert (status, row["usage"], row["stream"]) == (200, want, True)
    assert body == served.provider.body
    assert "alt=sse" in served.provider.line()
    assert served.key not in served.provider.head
    served.provider.tell(ARRAY)
    status, fields, body, row = ask(
        served, path + ":streamGenerateContent?%24alt=json%3Benum-encoding="
        "int", ask_for)
    assert (status, row["usage"], body) == (200, want, ARRAY)
    assert fields["transfer-encoding"] == "chunked"
    assert "enum-encoding" in served.provider.line()


def test_an_array_of_geminis_that_breaks_off(served):
    served.provider.tell(ARRAY, cut=ARRAY.index(b"\n,"))
    last, _ = ask_broken(
        served, "/v1beta/models/gemini-smoke:streamGenerateContent", {})
    elements = json.loads(served.provider.body[:served.provider.cut] + last)
    assert elements[1]["error"]["status"] == "UNAVAILABLE"


def test_a_conversation_with_bedrock(served):
    usage = {"inputTokens": 5, "outputTokens": 6, "totalTokens": 11}
    served.provider.tell({"usage": usage})
    status, fields, _, row = ask(
        served, "/model/us.smoke-v1%3A0/converse", {"messages": []},
        X_Amzn_Bedrock_Trace="ENABLED")
    assert (status, row["usage"]) == (200, {"input": 5, "output": 6})
    assert fields["x-amzn-requestid"] == fields["x-request-id"]
    assert "/model/us.smoke-v1%3A0/converse " in served.provider.line()
    assert "x-amzn-bedrock-trace: enabled" in served.provider.head.lower()
    stream = message("event", "contentBlockDelta", b'{"delta":{"text":"x"}}') \
        + message("event", "messageStop", b"{}") + message(
            "event", "metadata", json.dumps({"usage": usage}).encode())
    served.provider.tell(stream, type="application/vnd.amazon.eventstream")
    status, _, body, row = ask(
        served, "/aws/model/us.smoke-v1:0/converse-stream", {"messages": []})
    assert (status, body) == (200, stream)
    assert row["usage"] == {"input": 5, "output": 6}
    first = message("event", "contentBlockDelta", b'{"delta":{"text":"x"}}')
    served.provider.tell(stream, type="application/vnd.amazon.eventstream",
                         cut=len(first))
    last, row = ask_broken(served, "/model/us.smoke-v1:0/converse-stream", {})
    assert b"internalServerException" in last
    assert struct.unpack(">I", last[-4:])[0] == zlib.crc32(last[:-4])


def test_an_invocation_at_bedrock(served):
    served.provider.tell(
        {"generations": [{"text": "x"}]},
        X_Amzn_Bedrock_Input_Token_Count="7",
        X_Amzn_Bedrock_Output_Token_Count="8")
    status, fields, _, row = ask(served, "/model/us.smoke-v1:0/invoke",
                                 {"prompt": "x"})
    assert (status, row["usage"]) == (200, {"input": 7, "output": 8})
    assert fields["x-amzn-bedrock-input-token-count"] == "7"
    inner = json.dumps({"amazon-bedrock-invocationMetrics": {
        "inputTokenCount": 1, "outputTokenCount": 2}}).encode()
    stream = message("event", "chunk", json.dumps(
        {"bytes": base64.b64encode(inner).decode(), "p": "ab"}).encode())
    served.provider.tell(stream, type="application/vnd.amazon.eventstream")
    status, _, body, row = ask(
        served, "/model/us.smoke-v1:0/invoke-with-response-stream", {})
    assert (status, body) == (200, stream)
    assert row["usage"] == {"input": 1, "output": 2}


def test_errors_of_bedrock(served):
    served.provider.tell(
        {"message": "bad"}, status=400,
        x_amzn_errortype="ValidationException:http://internal.amazon.com/x/")
    status, fields, body, _ = ask(served, "/model/us.smoke-v1:0/converse", {})
    assert (status, json.loads(body)) == (400, {"message": "bad"})
    assert fields["x-amzn-errortype"] == "ValidationException"
    status, fields, body = procs.fetch(
        served.site.hub.port, "POST", "/model/x/converse", {})
    assert status == 401
    assert fields["x-amzn-errortype"] == "AccessDeniedException"
    assert json.loads(body)["reason"] == "invalid_api_key"


def test_a_deployment_of_azures(served):
    served.provider.tell({"choices": [], "usage": {
        "prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}})
    status, _, _, row = ask(
        served, "/openai/deployments/gpt-smoke/chat/completions"
        "?api-version=2024-10-21", {"messages": []}, "api-key")
    assert (status, row["usage"]) == (200, {"input": 3, "output": 4})
    assert (row["dialect"], row["model"]) == ("azure", "gpt-smoke")
    assert json.loads(served.provider.asked) == {
        "model": "gpt-smoke", "messages": []}


def test_models_are_listed_in_each_dialect(served):
    def names(path, field, **more):
        _, _, body = procs.fetch(served.site.hub.port, "GET", path, None,
                                 {field: served.key, **more})
        return body

    data = json.loads(names("/v1/models", "x-api-key"))
    assert {m["id"] for m in data["data"]} == {"claude-smoke",
                                             "claude-broken"}
    data = json.loads(names("/v1beta/models", "x-goog-api-key"))
    assert [m["name"] for m in data["models"]] == ["models/gemini-smoke"]
    data = json.loads(names("/openai/models", "api-key"))
    assert {m["id"] for m in data["data"]} == set(MODELS)


def test_a_model_of_another_api_is_told_so(served):
    status, _, body = procs.fetch(
        served.site.hub.port, "POST", "/v1/messages",
        {"model": "gemini-smoke"}, {"x-api-key": served.key})
    assert status == 404
    assert json.loads(body)["error"]["details"]["error_code"] == \
        "model_not_found"
