"""Responses, moderations, images and sound with the official OpenAI client."""

import io
import json

import openai
import pytest

import money
import priced
from procs import OWN, bearer, fetch, form

RESPONSE = {"input": 20, "cache_read": 100, "output": 11, "reasoning": 20}
IMAGE = {"input": 10, "image_input": 40, "image_output": 272}
SCRIBE = {"input": 4, "audio_input": 10, "output": 45}


@pytest.fixture
def client(site, key):
    c = openai.OpenAI(api_key=key, max_retries=0, timeout=30,
                      base_url=f"http://127.0.0.1:{site.hub.port}/v1")
    yield c
    c.close()


def check_row(site, raw, model, usage, estimated=False):
    row = site.hub.row(raw.headers["x-request-id"])
    assert (row["usage"], row["estimated"]) == (usage, estimated), row
    assert row["amount"] == money.cost(priced.PRICES[model], usage)
    assert (row["outcome"], row["status"]) == ("complete", 200)
    if not row["stream"]:
        assert raw.headers["x-hub-cost"] == row["amount"]
    return row


def test_response(site, client):
    raw = client.responses.with_raw_response.create(
        model="own-response", input="What does the buoy say?")
    assert "rings" in raw.parse().output_text
    check_row(site, raw, "own-response", RESPONSE)


def test_streamed_response(site, client):
    with client.responses.with_streaming_response.create(
            model="own-response", input="And now?", stream=True) as raw:
        events = list(raw.parse())
        assert events[-1].type == "response.completed"
        assert events[-1].response.usage.total_tokens == 151
        row = check_row(site, raw, "own-response", RESPONSE)
    assert row["stream"] is True
    sent = json.loads(site.sim.requests("own-response")[-1]["body"])
    assert "stream_options" not in sent


def test_response_in_the_background_is_refused(site, client):
    with pytest.raises(openai.BadRequestError) as e:
        client.responses.create(model="own-response", input="x",
                                background=True)
    assert "background" in e.value.message


def test_kept_responses_are_not_here(site, client):
    with pytest.raises(openai.NotFoundError) as e:
        client.responses.retrieve("resp_own")
    assert e.value.code == "unknown_endpoint"


def test_moderation_is_free(site, client):
    raw = client.moderations.with_raw_response.create(
        model="own-moderation", input="a harbour")
    assert raw.parse().results[0].flagged is False
    check_row(site, raw, "own-moderation", {})
    assert raw.headers["x-hub-cost"] == "0"


def test_images_by_the_token(site, client):
    raw = client.images.with_raw_response.generate(
        model="own-image", prompt="a harbour")
    assert raw.parse().data[0].b64_json == "aGFyYm91cg=="
    check_row(site, raw, "own-image", IMAGE)


def test_streamed_images(site, client):
    with client.images.with_streaming_response.generate(
            model="own-image", prompt="a harbour", stream=True,
            partial_images=1) as raw:
        assert [e.type for e in raw.parse()] == [
            "image_generation.partial_image", "image_generation.completed"]
        check_row(site, raw, "own-image", IMAGE)


def test_images_by_the_piece_are_those_of_the_answer(site, client):
    raw = client.images.with_raw_response.generate(
        model="own-painter", prompt="harbours", n=5)
    assert len(raw.parse().data) == 3
    check_row(site, raw, "own-painter", {"images": 3})


def test_edited_images(site, client):
    raw = client.images.with_raw_response.edit(
        model="own-image", prompt="more boats",
        image=[("a.png", io.BytesIO(b"\x89PNG one"), "image/png"),
               ("b.png", io.BytesIO(b"\x89PNG two"), "image/png")])
    assert raw.parse().usage.total_tokens == 322
    check_row(site, raw, "own-image", IMAGE)


def test_speech_by_the_character(site, client):
    raw = client.audio.speech.with_raw_response.create(
        model="own-voice", voice="alloy", input="h\u00e9llo \U0001f600\n")
    assert raw.content == (OWN / "own/speech.mp3").read_bytes()
    assert raw.headers["content-type"] == "audio/mpeg"
    check_row(site, raw, "own-voice", {"characters": 8})


def test_speech_by_the_token_is_estimated_by_its_size(site, client):
    raw = client.audio.speech.with_raw_response.create(
        model="own-voice-mini", voice="alloy", input="hello")
    row = site.hub.row(raw.headers["x-request-id"])
    # 8,010 bytes at 16,000 a second are 501 ms, a token takes 48
    assert row["estimated"] == "size"
    assert row["usage"]["audio_output"] == 11
    assert row["amount"] == money.cost(priced.PRICES["own-voice-mini"],
                                       row["usage"])


def test_streamed_speech_says_what_it_used(site, key):
    body = {"model": "own-voice-mini", "voice": "alloy", "input": "hello",
            "stream_format": "sse"}
    status, fields, got = fetch(site.hub.port, "POST", "/v1/audio/speech",
                                body, bearer(key))
    assert (status, got) == (200, (OWN / "own/speech.sse").read_bytes())
    row = site.hub.row(fields["x-request-id"])
    assert row["usage"] == {"input": 14, "audio_output": 101}
    assert row["estimated"] is False and row["stream"] is True


def test_transcript_by_tokens(site, client):
    raw = client.audio.transcriptions.with_raw_response.create(
        model="own-scribe", file=("a.wav", b"RIFFxxxxWAVE"))
    assert raw.parse().text == "Fog over the bar."
    check_row(site, raw, "own-scribe", SCRIBE)
    sent = site.sim.requests("own-scribe")[-1]
    assert "boundary=" in sent["fields"]["content-type"]


def test_streamed_transcript(site, client):
    with client.audio.transcriptions.with_streaming_response.create(
            model="own-scribe", file=("a.wav", b"RIFFxxxxWAVE"),
            stream=True) as raw:
        assert [e.type for e in raw.parse()] == [
            "transcript.text.delta", "transcript.text.delta",
            "transcript.text.done"]
        assert check_row(site, raw, "own-scribe", SCRIBE)["stream"]


def test_transcript_by_time(site, client):
    raw = client.audio.transcriptions.with_raw_response.create(
        model="own-whisper", file=("a.wav", b"RIFFxxxxWAVE"),
        response_format="verbose_json")
    assert raw.parse().duration
    check_row(site, raw, "own-whisper", {"milliseconds": 7000})


def test_translation_that_says_how_long_it_was(site, client):
    raw = client.audio.translations.with_raw_response.create(
        model="own-whisper", file=("a.wav", b"RIFFxxxxWAVE"),
        response_format="verbose_json")
    assert raw.parse().text
    check_row(site, raw, "own-whisper", {"milliseconds": 6471}, "duration")


def test_plain_text_is_estimated_by_the_size_of_the_file(site, client):
    raw = client.audio.transcriptions.with_raw_response.create(
        model="own-whisper-text", file=("a.mp3", b"x" * 160000),
        response_format="text")
    assert raw.text.startswith("data of the tide")
    check_row(site, raw, "own-whisper-text", {"milliseconds": 10000}, "size")


def test_model_behind_a_large_file(site, key):
    sound = bytes(range(256)) * 4 * 25 * 1024
    body, fields = form(("file", sound, "a.wav"), ("model", "own-whisper"))
    status, got, _ = fetch(site.hub.port, "POST", "/v1/audio/transcriptions",
                           body, {**bearer(key), **fields}, 60)
    assert status == 200
    row = site.hub.row(got["x-request-id"])
    assert row["usage"] == {"milliseconds": 7000}


@pytest.mark.parametrize("fields,why", [
    ([("model", "own-whisper"), ("model", "own-scribe")], "model"),
    ([("model", "own-whisper"), ("MODEL", "own-scribe")], "model"),
    ([("model", "own-whisper"), ("stream", "maybe")], "stream"),
    ([("file", b"x", "a.wav")], "missing"),
])
def test_ambiguous_forms_are_refused(site, key, fields, why):
    body, type_ = form(*fields)
    status, _, got = fetch(site.hub.port, "POST", "/v1/audio/transcriptions",
                           body, {**bearer(key), **type_})
    assert status == 400
    assert why in json.loads(got)["error"]["message"]


@pytest.mark.parametrize("type_", [
    "application/json", "multipart/form-data",
    "multipart/form-data; boundary=a; boundary=b"])
def test_other_types_than_forms_are_refused(site, key, type_):
    status, _, got = fetch(site.hub.port, "POST", "/v1/audio/translations",
                           b"{}", {**bearer(key), "content-type": type_})
    assert (status, json.loads(got)["error"]["code"]) == \
        (415, "unsupported_encoding")


def test_one_model(site, client):
    listed = [m.id for m in client.models.list()]
    if listed:
        assert client.models.retrieve(listed[0]).id == listed[0]
    with pytest.raises(openai.NotFoundError) as e:
        client.models.retrieve("nobody/knows")
    assert e.value.code == "model_not_found"
