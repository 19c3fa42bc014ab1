"""Recorded exchanges of every provider: how to ask a hub for one again, and
what it must cost.

A case is an entry of a manifest with what a user of that dialect sends: path,
fields, body; and the kinds of usage that its bill must have.
"""

import json
import urllib.parse

import money
import priced
from procs import OWN, RECORDINGS

# The endpoints of the manifest that a hub serves, by who recorded them.
SERVED = {
    "anthropic": ("messages", "count_tokens"),
    "azure": ("chat.completions", "completions", "embeddings", "responses"),
    "gemini": ("generateContent", "streamGenerateContent", "countTokens",
               "embedContent", "batchEmbedContents"),
    "bedrock": ("converse", "converse-stream", "invoke",
                "invoke-with-response-stream"),
}
SERVED["vertex"] = SERVED["gemini"]
DIALECT = {"anthropic": "anthropic", "azure": "azure", "gemini": "gemini",
           "vertex": "gemini", "bedrock": "bedrock"}
# What these cost nobody says, and nobody is billed.
COUNTS = ("count_tokens", "countTokens")
# What an answer reports and its manifest does not: counts as 6.0 and 3.0.
UNNOTED = {"bedrock/invoke-with-response-stream-test-guardrail-invoke-stream"
           ".bin": {"inputTokenCount": 6, "outputTokenCount": 3}}

HELLO = {
    "messages": {"max_tokens": 100,
                 "messages": [{"role": "user", "content": "hello"}]},
    "count_tokens": {"messages": [{"role": "user", "content": "hello"}]},
    "chat.completions": {"messages": [{"role": "user", "content": "hello"}]},
    "completions": {"prompt": "hello"},
    "embeddings": {"input": "hello"},
    "responses": {"input": "hello"},
    "batchEmbedContents": {"requests": [
        {"content": {"parts": [{"text": "hello"}]}}]},
    "embedContent": {"content": {"parts": [{"text": "hello"}]}},
    "converse": {"messages": [{"role": "user",
                               "content": [{"text": "hello"}]}]},
    "invoke": {"prompt": "hello", "max_tokens": 100},
}
HELLO["converse-stream"] = HELLO["converse"]
HELLO["invoke-with-response-stream"] = HELLO["invoke"]
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}

OWN_URLS = {
    "messages": "/v1/messages",
    "chat.completions": "/openai/deployments/{}/chat/completions"
                        "?api-version=2024-10-21",
    "generateContent": "/v1beta/models/{}:generateContent",
    "streamGenerateContent": "/v1beta/models/{}:streamGenerateContent?alt=sse",
    "batchEmbedContents": "/v1beta/models/{}:batchEmbedContents",
    "converse": "/model/{}/converse",
    "converse-stream": "/model/{}/converse-stream",
    "invoke": "/model/{}/invoke",
    "invoke-with-response-stream": "/model/{}/invoke-with-response-stream",
}


def key_fields(dialect, key):
    """The key where that dialect's clients put it."""
    fields = {"Content-Type": "application/json"}
    if dialect == "azure":
        return {**fields, "api-key": key}
    if dialect == "anthropic":
        return {**fields, "x-api-key": key, "anthropic-version": "2023-06-01"}
    if dialect == "gemini":
        return {**fields, "x-goog-api-key": key}
    return {**fields, "Authorization": f"Bearer {key}"}


class Case:
    """One entry, as it is asked for."""

    def __init__(self, entry, folder):
        self.entry, self.folder = entry, folder
        self.file, self.endpoint = entry["file"], entry["endpoint"]
        self.dialect = DIALECT[entry["provider"]]
        names = entry["request_model"]
        self.model = urllib.parse.unquote(
            names["path"] or names["body"] or "rec-unnamed")
        self.streaming = entry["streaming"]
        self.path = self._path()
        self.body = self._body()

    def __repr__(self):
        return self.file

    def _path(self):
        if "url" in self.entry:
            url = urllib.parse.urlsplit(self.entry["url"])
            return url.path + ("?" + url.query if url.query else "")
        return OWN_URLS[self.endpoint].format(
            urllib.parse.quote(self.model, safe=""))

    def _in_body(self):
        """Is the model named in the body alone?"""
        return self.entry["request_model"]["path"] is None

    def _body(self):
        if self.entry["request_body"]:
            raw = (self.folder / self.entry["request_body"]).read_bytes()
            try:
                doc = json.loads(raw)
            except ValueError:
                doc = None
            if isinstance(doc, dict) and self._fits(doc):
                return raw
        doc = dict(HELLO.get(self.endpoint, CONTENTS))
        if self.dialect in ("anthropic", "azure"):
            doc["model"] = self.model
            if self.streaming:
                doc["stream"] = True
        return json.dumps(doc).encode()

    def _fits(self, doc):
        if self.dialect in ("gemini", "bedrock"):
            return True
        return ((not self._in_body() or doc.get("model") == self.model) and
                bool(doc.get("stream")) == self.streaming)

    @property
    def asked(self):
        """Did the user ask for the usage of a stream?"""
        options = json.loads(self.body).get("stream_options") or {}
        return bool(options.get("include_usage"))

    def bytes(self):
        return (self.folder / self.file).read_bytes()

    def broken(self):
        """Does it end with an error in the middle of a stream?"""
        return "midstream-error" in (self.entry.get("features") or ()) or \
            "error-mid-stream" in self.file

    def refused(self):
        """Is it an error, whatever its status says?"""
        if self.streaming or self.dialect == "bedrock":
            return False
        return list(json.loads(self.bytes())) == ["error"]

    def kinds(self):
        """Its usage in kinds and the sums of both sides; None: not told.

        The kinds are None where only the sums are beyond doubt.
        """
        reported = self.entry["usage_final"] or UNNOTED.get(self.file)
        told = READERS[self.dialect](reported) if reported else None
        return told if told and told[1] + told[2] else None

    def blocked(self):
        """Did the provider not let the prompt in?"""
        return b'"blockReason' in self.bytes()


def _sums(usage, certain=True):
    usage = {k: n for k, n in usage.items() if n}
    certain = certain and min(usage.values(), default=0) >= 0
    return (usage if certain else None,
            money.side(usage, money.INPUT_SIDE),
            money.side(usage, money.OUTPUT_SIDE))


def _azure(u):
    kinds, prompt, completion, certain = money.kinds_of(u)
    return kinds if certain else None, prompt, completion


def _anthropic_part(u):
    split = u.get("cache_creation") or {}
    hour = split.get("ephemeral_1h_input_tokens") or 0
    return {"input": u.get("input_tokens") or 0,
            "cache_read": u.get("cache_read_input_tokens") or 0,
            "cache_write": (u.get("cache_creation_input_tokens") or 0) - hour,
            "cache_write_1h": hour, "output": u.get("output_tokens") or 0}


def _anthropic(u):
    """Disjoint; of several turns of a request each is billed."""
    parts = [_anthropic_part(p) for p in u.get("iterations") or [u]]
    usage = {k: sum(p[k] for p in parts) for k in parts[0]}
    details = u.get("output_tokens_details") or {}
    return _sums(usage, not details.get("thinking_tokens"))


def _gemini(u):
    """The prompt holds what was cached; candidates leave thoughts out."""
    cached = u.get("cachedContentTokenCount") or 0
    usage = {"input": (u.get("promptTokenCount") or 0) - cached +
             (u.get("toolUsePromptTokenCount") or 0),
             "cache_read": cached,
             "output": u.get("candidatesTokenCount") or 0,
             "reasoning": u.get("thoughtsTokenCount") or 0}
    details = [d for k in u if k.endswith("Details") for d in u[k] or ()]
    return _sums(usage, all(d.get("modality") == "TEXT" for d in details))


NAMES = {
    "input": ("inputTokens", "input_tokens", "inputTokenCount",
              "prompt_token_count", "inputTextTokenCount", "prompt_tokens",
              "x-amzn-bedrock-input-token-count"),
    "output": ("outputTokens", "output_tokens", "outputTokenCount",
               "generation_token_count", "results.tokenCount",
               "completion_tokens", "x-amzn-bedrock-output-token-count"),
    "cache_read": ("cacheReadInputTokens", "cache_read_input_tokens",
                   "cacheReadInputTokenCount"),
    "cache_write": ("cacheWriteInputTokens", "cache_creation_input_tokens",
                    "cacheWriteInputTokenCount"),
}


def _bedrock(u):
    """Disjoint, under the names of whoever made the model."""
    usage = {}
    for kind, names in NAMES.items():
        count = next((u[n] for n in names if u.get(n)), 0)
        usage[kind] = sum(count) if isinstance(count, list) else int(count)
    return _sums(usage)


READERS = {"azure": _azure, "anthropic": _anthropic, "gemini": _gemini,
           "bedrock": _bedrock}


def _cases(folder):
    manifest = folder / "manifest.json"
    if not manifest.exists():
        return []
    return [Case(e, folder) for e in json.loads(manifest.read_text())
            if e["endpoint"] in SERVED.get(e["provider"], ())]


SHARED_CASES = _cases(RECORDINGS)
OWN_CASES = _cases(OWN)
# Those full of what no user may read have a test of their own.
CASES = [c for c in OWN_CASES if not c.file.startswith("own/inside-")] + \
    SHARED_CASES
for _case in OWN_CASES + SHARED_CASES:
    priced.shape(_case.model, priced.WHOLE)
