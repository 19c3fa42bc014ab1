"""The price file of the tests: every model that they use.

Prices are texts, so that the file holds each digit as written here, and are
odd on purpose: a sum that went through a float would show it.
"""

import json

import procs

PLAIN = {"input_cost_per_token": "2.5e-06",
         "output_cost_per_token": "0.00001"}
FULL = {"input_cost_per_token": "1.3700000000000001e-07",
        "cache_read_input_token_cost": "1.37e-08",
        "cache_creation_input_token_cost": "1.7125e-07",
        "input_cost_per_audio_token": "0.000040000000000000003",
        "output_cost_per_token": "5.48e-07",
        "output_cost_per_reasoning_token": "5.490000000000007e-07",
        "output_cost_per_audio_token": "8.0000000000001e-05"}
WHOLE = {**FULL,
         "cache_creation_input_token_cost_above_1hr": "2.7400000000000003e-07",
         "input_cost_per_image_token": "3.0000000000001e-07",
         "output_cost_per_image_token": "0.00003"}
TINY = {"input_cost_per_token": "1e-15", "output_cost_per_token": "3e-15"}

PRICES = {"sim-chat": PLAIN, "sim-tiny-i1-o1": TINY}


def shape(name, prices=PLAIN):
    """Names a synthetic model that the tests use, with its prices."""
    PRICES[name] = prices
    return name


LONG = shape("sim-c2000-d50")          # a stream of 100 s
SHORT = shape("sim-c5-d10-i11-o45", FULL)
CACHED = shape("sim-c5-i1000-h900-o77-r70", FULL)
SLOW = shape("sim-f500-i3-o4")
BIG = shape("sim-b300000-i3-o4")       # beyond what a plain reply is held to
HUGE = shape("sim-b67108864-c2-i3-o4")
HEAVY = shape("sim-i600-o300")

for name in ("own-chat", "own-tools", "own-stream", "own-silent",
             "own-broken", "own-embed", "own-text", "own-error-400",
             "own-error-429", "own-bound", "own-stubborn"):
    shape(name, FULL)
shape("rec-unnamed", FULL)
for name in ("own-response", "own-moderation", "keep-it"):
    shape(name, FULL)
shape("own-image", {"input_cost_per_token": "5e-06",
                    "input_cost_per_image_token": "1.0000000000003e-05",
                    "output_cost_per_image_token": "0.00004"})
# What batches of the simulator say that they used, at the price of batches.
shape("own-batch", {"input_cost_per_token": "1e-06",
                    "input_cost_per_token_batches": "5.000000000001e-07",
                    "output_cost_per_token": "4e-06",
                    "output_cost_per_token_batches": "2e-06"})
shape("own-painter", {"output_cost_per_image": "0.018000000000000001"})
shape("own-voice", {"input_cost_per_character": "1.5e-05"})
shape("own-voice-mini", {"input_cost_per_token": "2.5e-06",
                         "output_cost_per_audio_token": "1.2e-05"})
shape("own-scribe", {"input_cost_per_token": "2.5e-06",
                     "input_cost_per_audio_token": "6e-06",
                     "output_cost_per_token": "1e-05"})
BY_TIME = {"input_cost_per_second": "0.00010000000000000002"}
for name in ("own-whisper", "own-whisper-text", "rec-sound"):
    shape(name, BY_TIME)
shape("rec-image", PRICES["own-painter"])


# The endpoints whose recordings go through hub and agent.
PATHS = {"chat.completions": "/v1/chat/completions",
         "completions": "/v1/completions", "embeddings": "/v1/embeddings",
         "responses": "/v1/responses",
         "responses.compact": "/v1/responses/compact",
         "responses.input_tokens": "/v1/responses/input_tokens",
         "moderations": "/v1/moderations",
         "images.generations": "/v1/images/generations",
         "images.edits": "/v1/images/edits",
         "audio.speech": "/v1/audio/speech",
         "audio.transcriptions": "/v1/audio/transcriptions",
         "audio.translations": "/v1/audio/translations"}


def _recorded():
    manifest = procs.RECORDINGS / "manifest.json"
    if not manifest.exists():
        return []
    return [e for e in json.loads(manifest.read_text())
            if e["provider"] not in ("azure", "anthropic", "vertex") and
            e["endpoint"] in PATHS]


RECORDED = _recorded()
for entry in RECORDED:
    if entry["request_model"]["body"] and \
            entry["endpoint"] != "images.generations":
        shape(entry["request_model"]["body"], FULL)
