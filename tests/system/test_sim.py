"""The simulator itself: what it replays, and its faults."""

import http.client
import json
import socket

import pytest

from procs import OWN, RECORDINGS, Sim, await_, bearer, fetch

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def sim(tmp_path_factory):
    s = Sim(tmp_path_factory.mktemp("sim"), key=None)
    yield s
    s.stop()


def post(sim, body, path=CHAT):
    return fetch(sim.port, "POST", path, body)


def manifest(folder):
    path = folder / "manifest.json"
    return json.loads(path.read_text()) if path.exists() else []


@pytest.mark.parametrize("cut", [0, -1, 1, 7, 1024])
@pytest.mark.parametrize("folder", [OWN, RECORDINGS], ids=["own", "shared"])
def test_replays_byte_for_byte(sim, folder, cut):
    entries = manifest(folder)
    if not entries:
        pytest.skip("../shared/recordings is not there")
    for entry in entries[::3 if cut == 1 else 1]:
        sim.next(entry["file"], cut=cut, endpoint="*")
        status, fields, body = post(sim, {"model": "any"})
        assert status == entry["status"]
        assert fields["content-type"] == entry["content_type"]
        assert body == (folder / entry["file"]).read_bytes()


def test_recording_is_found_by_its_request(sim):
    for entry in manifest(OWN):
        if entry["request_body"] and entry["provider"] == "openai":
            request = (OWN / entry["request_body"]).read_bytes()
            path = {"embeddings": "/v1/embeddings",
                    "completions": "/v1/completions"}.get(
                        entry["endpoint"], CHAT)
            assert post(sim, request, path)[2] == \
                (OWN / entry["file"]).read_bytes()


def test_recorded_fields_are_sent(sim):
    fields = post(sim, {"model": "own-error-429"})[1]
    assert fields["retry-after"] == "20"
    assert fields["x-request-id"] == "req_own_error_429"


def test_synthetic_stream(sim):
    status, fields, body = post(sim, {
        "model": "sim-c3-d5-f5-i11-o45", "stream": True,
        "stream_options": {"include_usage": True}})
    events = body.decode().split("\n\n")
    docs = [json.loads(e[6:]) for e in events[:-2]]
    assert events[-2:] == ["data: [DONE]", ""]
    assert [len(d["choices"]) for d in docs] == [1, 1, 1, 1, 0]
    assert docs[-1]["usage"]["total_tokens"] == 56
    assert all(d["usage"] is None for d in docs[:-1])
    assert b"usage" not in post(sim, {"model": "sim-c3", "stream": True})[2]


def test_synthetic_answer(sim):
    doc = json.loads(post(sim, {"model": "sim-b10-i7-o9-h3-r2"})[2])
    assert doc["usage"] == {
        "prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16,
        "prompt_tokens_details": {"cached_tokens": 3},
        "completion_tokens_details": {"reasoning_tokens": 2}}


def test_unknown_model(sim):
    assert post(sim, {"model": "none"})[0] == 404


def test_key_is_checked(tmp_path):
    sim = Sim(tmp_path)
    try:
        for key, status in ((Sim.KEY, 200), ("sk-wrong", 401)):
            assert fetch(sim.port, "POST", CHAT, {"model": "sim-chat"},
                         bearer(key))[0] == status
        assert post(sim, {"model": "sim-chat"})[0] == 401
    finally:
        sim.stop()


@pytest.mark.parametrize("fault,status", [("500", 500), ("429", 429)])
def test_refusals(sim, fault, status):
    sim.next(fault=fault)
    got, fields, body = post(sim, {"model": "sim-chat"})
    assert got == status and json.loads(body)["error"]
    assert ("retry-after" in fields) == (status == 429)


@pytest.mark.parametrize("model", ["own-stream", "sim-c10"])
@pytest.mark.parametrize("fault,error", [
    ("refuse", http.client.RemoteDisconnected),
    ("reset", ConnectionResetError),
    ("close", http.client.IncompleteRead)])
def test_broken_connections(sim, model, fault, error):
    sim.next(fault=fault)
    with pytest.raises(error):
        post(sim, {"model": model, "stream": True})


@pytest.mark.parametrize("fault", ["stall", "hang"])
def test_silence_and_who_leaves_is_noted(sim, fault):
    sim.next("own/chat-stream-usage.sse", fault=fault)
    with socket.create_connection(("127.0.0.1", sim.port)) as s:
        s.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 17\r\n"
                  b"\r\n" % CHAT.encode() + b'{"model":"quiet"}')
        if fault == "stall":
            assert s.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")
        await_("the request", lambda: sim.requests("quiet"))
        open_now = sim.stats()["open"]
    await_("the end", lambda: sim.stats()["open"] == open_now - 1)
    entry = sim.requests("quiet")[-1]
    assert entry["ended"] and entry["aborted"]
    assert entry["body"] == '{"model":"quiet"}'


def test_pipelining(sim):
    with socket.create_connection(("127.0.0.1", sim.port)) as s:
        one = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"
        s.sendall(one * 30 + one.replace(
            b"Host: x", b"Host: x\r\nConnection: close"))
        got = b""
        while more := s.recv(65536):
            got += more
    assert got.count(b"HTTP/1.1 200 OK") == 31


def test_chunked_request(sim):
    c = http.client.HTTPConnection("127.0.0.1", sim.port, timeout=10)
    c.request("POST", CHAT, iter([b'{"model":', b'"sim-chat"}']),
              encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    assert c.getresponse().status == 200
    c.close()


def test_unknown_fault_or_file_is_told(sim):
    for rule in ({"fault": "unheard"}, {"file": "no/such.json"}):
        assert fetch(sim.port, "POST", "/_sim/next", rule)[0] == 400


def test_bound_until_reset(sim):
    sim.bind("m", "own/embedding.json", cut=3)
    for _ in range(2):
        assert post(sim, {"model": "m"})[2] == \
            (OWN / "own/embedding.json").read_bytes()
    sim.reset()
    assert post(sim, {"model": "m"})[0] == 404
