"""Files, batches and stored responses with the official OpenAI client.

Each belongs to the account that made it and to the agent that holds it. What
is of others is as if it were not there.
"""

import http.server
import io
import os
import signal
import threading
from decimal import Decimal

import openai
import pytest

import money
import priced
import procs
from procs import await_, bearer, fetch

MODEL = "keep-it"
LINES = b'{"custom_id": "1", "method": "POST"}\n'
BATCH = priced.PRICES["own-batch"]
# 1000 in, of which 200 were cached, 300 out, at the price of batches
BATCH_COST = money.plain(
    1000 * Decimal(BATCH["input_cost_per_token_batches"]) +
    300 * Decimal(BATCH["output_cost_per_token_batches"]))


def client_of(site, key):
    return openai.OpenAI(api_key=key, max_retries=0, timeout=30,
                         base_url=f"http://127.0.0.1:{site.hub.port}/v1")


@pytest.fixture(scope="module")
def keeper():
    """A site that keeps objects: two workers, so that some calls and their
    followers are at different ones."""
    site = procs.Site(priced.PRICES, workers=2, links=1,
                      options={"objects": True})
    yield site
    site.close()


@pytest.fixture
def client(keeper):
    with client_of(keeper, keeper.key()) as c:
        yield c


@pytest.fixture
def other(keeper):
    with client_of(keeper, keeper.key()) as c:
        yield c


def upload(c, purpose="user_data", data=LINES):
    return c.files.create(file=("own.jsonl", io.BytesIO(data)),
                          purpose=purpose)


def respond(c, **more):
    return c.responses.create(model=MODEL, input="keep", **more)


def not_found(act):
    """Asserts that act() is answered as for what nobody has; the text."""
    with pytest.raises(openai.NotFoundError) as e:
        act()
    assert e.value.code == "object_not_found"
    return e.value.body["message"]


# ---- files -----------------------------------------------------------------

def test_a_file_lives_until_it_is_deleted(client):
    f = upload(client)
    assert client.files.retrieve(f.id).id == f.id
    assert client.files.content(f.id).content == LINES
    assert [g.id for g in client.files.list()] == [f.id]
    assert client.files.delete(f.id).deleted
    assert list(client.files.list()) == []
    not_found(lambda: client.files.retrieve(f.id))
    not_found(lambda: client.files.content(f.id))
    not_found(lambda: client.files.delete(f.id))


def test_what_the_provider_has_lost_can_be_deleted(keeper, client):
    f = upload(client)
    status = fetch(keeper.sim.port, "DELETE", f"/v1/files/{f.id}",
                   headers=bearer(keeper.sim.KEY))[0]
    assert status == 200
    for act in (client.files.retrieve, client.files.delete):
        with pytest.raises(openai.NotFoundError) as e:
            act(f.id)
        assert e.value.code is None     # the provider's own words
    assert list(client.files.list()) == []
    not_found(lambda: client.files.retrieve(f.id))


def test_an_id_is_good_as_soon_as_it_is_known(keeper, client):
    for _ in range(30):
        f = upload(client)
        assert client.files.retrieve(f.id).id == f.id
    assert "not booked yet" not in keeper.hub.tail(2000)


def test_lists_go_page_by_page(keeper, client, other):
    made = []
    for _ in range(5):
        made.append(upload(client).id)
        upload(other)
    assert [f.id for f in client.files.list()] == made[::-1]
    assert [f.id for f in client.files.list(limit=2)] == made[::-1]
    assert [f.id for f in client.files.list(limit=2, order="asc")] == made
    page = client.files.list(limit=2, after=made[3])
    assert [f.id for f in page.data] == [made[2], made[1]]
    assert page.has_more
    not_found(lambda: other.files.list(after=made[0]))
    not_found(lambda: other.files.list(after="file-nobodys"))
    assert list(client.batches.list()) == []
    with pytest.raises(openai.BadRequestError):
        client.files.list(limit=0)


def test_a_file_costs_nothing(keeper, client):
    raw = client.files.with_raw_response.create(
        file=("own.jsonl", io.BytesIO(LINES)), purpose="user_data")
    row = keeper.hub.row(raw.headers["x-request-id"])
    assert (row["amount"], row["usage"], row["status"]) == ("0", {}, 200)
    assert (row["agent"], row["provider"]) == ("edge", "openai")
    assert raw.headers["x-hub-cost"] == "0"


def test_what_is_of_others_is_as_if_it_were_not_there(client, other):
    f, r = upload(client), respond(client)
    b = client.batches.create(input_file_id=f.id, completion_window="24h",
                              endpoint="/v1/chat/completions")
    texts = set()
    for mine, none in ((f.id, "file-none"), (r.id, "resp_none"),
                       (b.id, "batch_none")):
        for name in (mine, none):
            texts |= {not_found(act) for act in (
                lambda: other.files.retrieve(name),
                lambda: other.files.content(name),
                lambda: other.files.delete(name),
                lambda: other.batches.retrieve(name),
                lambda: other.batches.cancel(name),
                lambda: other.responses.retrieve(name),
                lambda: other.responses.delete(name),
                lambda: other.responses.cancel(name),
                lambda: list(other.responses.input_items.list(name)),
                lambda: other.batches.create(
                    input_file_id=name, completion_window="24h",
                    endpoint="/v1/chat/completions"),
                lambda: respond(other, previous_response_id=name),
                lambda: other.responses.create(model=MODEL, input=[
                    {"role": "user", "content": [
                        {"type": "input_file", "file_id": name}]}]),
                lambda: other.chat.completions.create(
                    model="sim-chat", messages=[
                        {"role": "user", "content": [
                            {"type": "file", "file": {"file_id": name}}]}]),
                lambda: other.responses.create(
                    model=MODEL, input="x", tools=[
                        {"type": "code_interpreter", "container": {
                            "type": "auto", "file_ids": [name]}}]),
            )}
    assert len(texts) == 1
    # not even by its own kind's name
    not_found(lambda: client.responses.retrieve(f.id))
    not_found(lambda: client.files.retrieve(r.id))
    assert client.files.retrieve(f.id).id == f.id


def test_refusals_consume_nothing(keeper):
    name = keeper.account()
    key = keeper.hub.key(name)[0]
    with client_of(keeper, key) as c:
        not_found(lambda: c.files.retrieve("file-none"))
        not_found(lambda: respond(c, previous_response_id="resp_none"))
    keeper.hub.quiet()
    assert keeper.hub.ctl("show", "ledger", "account", name)["rows"] == []


# ---- responses ---------------------------------------------------------------

def test_a_response_is_kept(keeper, client):
    raw = client.responses.with_raw_response.create(model=MODEL, input="keep")
    r = raw.parse()
    assert client.responses.retrieve(r.id).output_text == "Kept."
    items = client.responses.input_items.list(r.id)
    assert [i.id for i in items] == ["msg_in"]
    after = respond(client, previous_response_id=r.id)
    assert after.id != r.id
    with pytest.raises(openai.BadRequestError):
        client.responses.cancel(r.id)
    client.responses.delete(r.id)
    not_found(lambda: client.responses.retrieve(r.id))
    not_found(lambda: respond(client, previous_response_id=r.id))
    assert client.responses.retrieve(after.id).id == after.id
    # looking at it is not billed again
    row = keeper.hub.row(raw.headers["x-request-id"])
    assert row["usage"] == {"input": 11, "output": 7}


def test_looking_at_a_response_costs_nothing(keeper, client):
    r = respond(client)
    raw = client.responses.with_raw_response.retrieve(r.id)
    row = keeper.hub.row(raw.headers["x-request-id"])
    assert (row["amount"], row["usage"]) == ("0", {})


def test_the_id_in_a_stream_is_good_at_its_end(client):
    for _ in range(10):
        kinds = []
        for event in respond(client, stream=True):
            kinds.append(event.type)
        assert kinds == ["response.created", "response.output_text.delta",
                         "response.completed"]
        assert client.responses.retrieve(event.response.id).status == \
            "completed"


def test_what_is_not_to_be_stored_is_not_known(client):
    r = respond(client, store=False)
    not_found(lambda: client.responses.retrieve(r.id))


def test_which_part_of_a_list_is_asked_for_goes_to_the_provider(
        keeper, client):
    r = respond(client)
    client.responses.input_items.list(r.id, limit=7, order="asc",
                                      after="msg_1")
    sent = keeper.sim.requests()[-1]
    assert sent["path"] == \
        f"/v1/responses/{r.id}/input_items?after=msg_1&limit=7&order=asc"
    assert sent["method"] == "GET"


# ---- batches -----------------------------------------------------------------

def make_batch(c):
    f = upload(c, "batch")
    return c.batches.create(input_file_id=f.id, completion_window="24h",
                            endpoint="/v1/chat/completions")


def test_a_batch_is_billed_once_when_it_has_ended(keeper):
    name = keeper.account()
    key = keeper.hub.key(name)[0]
    with client_of(keeper, key) as c:
        b = make_batch(c)
        assert [x.id for x in c.batches.list()] == [b.id]
        assert c.batches.retrieve(b.id).status == "validating"
        raw = c.batches.with_raw_response.retrieve(b.id)
        ended = raw.parse()
        assert ended.status == "completed"
        assert raw.headers["x-hub-cost"] == BATCH_COST
        row = keeper.hub.row(raw.headers["x-request-id"])
        assert row["usage"] == {"input": 800, "cache_read": 200,
                                "output": 200, "reasoning": 100}
        assert (row["amount"], row["tier"], row["model"]) == \
            (BATCH_COST, "batch", "own-batch")
        again = c.batches.with_raw_response.retrieve(b.id)
        assert again.headers["x-hub-cost"] == "0"
        row = keeper.hub.row(again.headers["x-request-id"])
        assert (row["amount"], row["usage"]) == ("0", {})
        assert keeper.hub.balance(name)["spent"] == BATCH_COST
        # what came out of it is the account's, and nobody else's
        out = c.files.content(ended.output_file_id).content
        assert b"status_code" in out
        with client_of(keeper, keeper.key()) as o:
            not_found(lambda: o.files.content(ended.output_file_id))
    assert keeper.hub.ctl("audit", "full")["bad_rows"] == 0


def test_a_batch_is_cancelled_by_its_own(client, other):
    b = make_batch(client)
    not_found(lambda: other.batches.cancel(b.id))
    assert client.batches.cancel(b.id).id == b.id


def test_a_key_with_models_of_its_own_makes_no_batches(keeper):
    name = keeper.account()
    free, bound = keeper.hub.key(name)[0], \
        keeper.hub.key(name, "models", MODEL)[0]
    with client_of(keeper, free) as c, client_of(keeper, bound) as d:
        f = upload(c, "batch")
        for act in (lambda: upload(d, "batch"),
                    lambda: d.batches.create(
                        input_file_id=f.id, completion_window="24h",
                        endpoint="/v1/chat/completions")):
            with pytest.raises(openai.PermissionDeniedError) as e:
                act()
            assert e.value.code == "model_not_allowed"
        assert d.files.retrieve(upload(d).id).purpose == "user_data"


# ---- what is no request ------------------------------------------------------

@pytest.mark.parametrize("method,path,body", [
    ("GET", "/v1/files/..", None), ("GET", "/v1/files/.", None),
    ("GET", "/v1/files/%2e%2e", None), ("GET", "/v1/files/a%2Fb", None),
    ("GET", "/v1/files/" + "a" * 129, None), ("GET", "/v1/files/", None),
    ("POST", "/v1/batches", b"[]"), ("POST", "/v1/batches", b"{}"),
    ("POST", "/v1/batches",
     b'{"input_file_id":"a","input_file_id":"b"}'),
    ("POST", "/v1/batches", b'{"input_file_id":"a","Input_File_ID":"b"}'),
    ("GET", "/v1/files?limit=x", None), ("GET", "/v1/files?order=up", None),
    ("GET", "/v1/responses/resp_a?stream=true", None),
    ("DELETE", "/v1/files/file-a", b'{"x":1}'),
    ("GET", "/v1/files", b'{"x":1}'),
])
def test_what_is_no_request_is_refused(keeper, method, path, body):
    status, _, got = fetch(keeper.hub.port, method, path, body,
                           bearer(keeper.key()))
    assert status in (400, 404), got
    assert procs.error_code(got) in (
        "invalid_request", "unknown_endpoint", "object_not_found")


def test_other_methods_are_named(keeper):
    status, fields, _ = fetch(keeper.hub.port, "PUT", "/v1/files/file-a",
                              b"{}", bearer(keeper.key()))
    assert status == 405
    assert set(fields["allow"].split(", ")) == {"GET", "DELETE"}


def test_without_the_option_there_is_nothing_of_it(solo):
    key = solo.key()
    for method, path in (("GET", "/v1/files"), ("GET", "/v1/files/file-a"),
                         ("DELETE", "/v1/files/file-a"),
                         ("GET", "/v1/batches"), ("PUT", "/v1/batches"),
                         ("GET", "/v1/responses/resp_a"),
                         ("GET", "/v1/responses/resp_a/input_items")):
        status, _, body = fetch(solo.hub.port, method, path, None,
                                bearer(key))
        assert (status, procs.error_code(body)) == (404, "unknown_endpoint")
    status, fields, _ = fetch(solo.hub.port, "GET", "/v1/responses", None,
                              bearer(key))
    assert (status, fields["allow"]) == (405, "POST")
    with client_of(solo, key) as c:
        respond(c, previous_response_id="resp_somebody's")


# ---- two agents --------------------------------------------------------------

def test_requests_go_to_the_agent_that_holds_the_object(sites):
    site = sites(workers=2, options={"objects": True})
    sim = site.add(procs.Sim(site.folder / "sim2", name="sim2"))
    agent = site.add(procs.Agent(site.folder / "agent2", site.hub,
                                 {"openai": sim}, name="edge-2", links=1))
    agent.start().await_up(1)
    with client_of(site, site.key()) as c:
        held = {"edge": [], "edge-2": []}
        while not all(held.values()):
            raw = c.files.with_raw_response.create(
                file=("own.jsonl", io.BytesIO(LINES)), purpose="user_data")
            row = site.hub.row(raw.headers["x-request-id"])
            held[row["agent"]].append(raw.parse().id)
        mine, theirs = held["edge"][0], held["edge-2"][0]
        for _ in range(10):     # the other one answers 404
            assert c.files.retrieve(mine).id == mine
            assert c.files.retrieve(theirs).id == theirs
        rows = {}
        while len(rows) < 2:
            raw = c.responses.with_raw_response.create(
                model=MODEL, input="keep")
            row = site.hub.row(raw.headers["x-request-id"])
            rows[row["agent"]] = raw.parse().id
        for name, r in rows.items():
            for _ in range(5):
                raw = c.responses.with_raw_response.create(
                    model=MODEL, input="on", previous_response_id=r)
                row = site.hub.row(raw.headers["x-request-id"])
                assert row["agent"] == name
        with pytest.raises(openai.BadRequestError):
            c.responses.create(
                model=MODEL, previous_response_id=rows["edge"], input=[
                    {"role": "user", "content": [
                        {"type": "input_file", "file_id": theirs}]}])
        site.hub.ctl("agent", "drain", "edge-2")
        for act in (lambda: c.files.retrieve(theirs),
                    lambda: respond(c, previous_response_id=rows["edge-2"])):
            with pytest.raises(openai.InternalServerError) as e:
                act()
            assert (e.value.status_code, e.value.code) == (503, "no_agent")
        assert c.files.retrieve(mine).id == mine
        site.hub.ctl("agent", "revoke", "edge-2")
        with pytest.raises(openai.InternalServerError) as e:
            c.files.retrieve(theirs)
        assert e.value.code == "no_agent"


class Bare(http.server.BaseHTTPRequestHandler):
    """A model server of one's own: it has no such path."""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_error(404)

    def log_message(self, *args):
        pass


def test_a_provider_without_files_is_passed_over(sites):
    site = sites(workers=1, options={"objects": True})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bare) as bare:
        threading.Thread(target=bare.serve_forever).start()
        bare.port = bare.server_port
        agent = site.add(procs.Agent(
            site.folder / "agent2", site.hub, {"bare": bare}, name="bare",
            links=1))
        agent.start().await_up(1)
        try:
            with client_of(site, site.key()) as c:
                seen = set()
                while len(seen) < 2:    # one or two attempts
                    raw = c.files.with_raw_response.create(
                        file=("own.jsonl", io.BytesIO(LINES)),
                        purpose="user_data")
                    row = site.hub.row(raw.headers["x-request-id"])
                    assert row["agent"] == "edge"
                    seen.add(row["attempts"])
        finally:
            bare.shutdown()


# ---- room --------------------------------------------------------------------

def test_the_oldest_are_known_no_more_when_there_is_no_room(sites):
    site = sites(workers=1, options={"objects": True, "max_objects": 4})
    with client_of(site, site.key()) as c:
        made = [upload(c).id for _ in range(6)]
        not_found(lambda: c.files.retrieve(made[1]))
        assert c.files.retrieve(made[2]).id == made[2]
        assert [f.id for f in c.files.list()] == made[:1:-1]
        text = fetch(site.hub.admin_port, "GET", "/metrics")[2].decode()
        assert "hubd_objects_left_total 2" in text


# ---- crashes -----------------------------------------------------------------

# Behind the point at which the answer's id was seen: a row and an object.
POINTS = [("worker.sent", False), ("worker.head", False),
          ("worker.streaming", True), ("worker.final", True),
          ("worker.queued", True), ("billing.intake", True),
          ("billing.in_transaction", True), ("billing.committed", True),
          ("billing.published", True), ("worker.booked", True),
          ("worker.freed", True)]


def ledger(site, name):
    return site.hub.ctl("show", "ledger", "account", name)["rows"]


def revive(site):
    """All are there again, and nothing is under way."""
    if not site.agent.shown()["links"]:
        site.agent.stop()       # it would wait longer each time
        site.agent.start()
    site.agent.await_up(1)
    site.hub.await_ready()
    site.hub.quiet()


def test_an_object_is_there_if_and_only_if_its_row_is(sites):
    site = sites(workers=1, options={"objects": True})
    for point, there in POINTS:
        name = site.account()
        key = site.hub.key(name)[0]
        armed = site.hub.failpoints / point
        with client_of(site, key) as c:
            armed.write_text("kill\n")
            try:
                given = upload(c).id
            except openai.APIError:
                given = None
            await_(f"{point} to kill", lambda: not armed.exists())
            revive(site)
            rows = await_("its row", lambda: ledger(site, name))
            assert len(rows) == 1, (point, rows)
            listed = [f.id for f in c.files.list()]
            assert len(listed) == there, (point, rows)
            if given:
                assert listed == [given], point
            for f in listed:
                assert c.files.retrieve(f).id == f, point


BATCH_POINTS = ["worker.streaming", "worker.final", "worker.queued",
                "billing.intake", "billing.in_transaction",
                "billing.committed", "billing.published", "worker.booked"]


def test_a_batch_is_billed_once_whatever_is_killed(sites):
    site = sites(workers=1, options={"objects": True})
    for point in BATCH_POINTS:
        name = site.account()
        key = site.hub.key(name)[0]
        armed = site.hub.failpoints / point
        with client_of(site, key) as c:
            b = make_batch(c)
            c.batches.retrieve(b.id)
            site.hub.quiet()
            armed.write_text("kill\n")
            try:
                c.batches.retrieve(b.id)
            except openai.APIError:
                pass
            await_(f"{point} to kill", lambda: not armed.exists())
            revive(site)
            for _ in range(2):
                ended = c.batches.retrieve(b.id)
            assert ended.status == "completed", point
            site.hub.quiet()
            assert site.hub.balance(name)["spent"] == BATCH_COST, point
            assert c.files.content(ended.output_file_id).content, point
    audit = site.hub.ctl("audit", "full")
    assert (audit["bad_rows"], audit["bad_accounts"]) == (0, 0)


def test_objects_outlive_a_restart_of_the_hub(sites):
    site = sites(workers=1, options={"objects": True})
    with client_of(site, site.key()) as c:
        f, gone = upload(c), upload(c)
        c.files.delete(gone.id)
        site.hub.stop_here()
        site.hub.launch()
        site.hub.await_ready(40)  # what it knew is published, the agent there
        revive(site)
        assert [x.id for x in c.files.list()] == [f.id]
        assert c.files.content(f.id).content == LINES
        not_found(lambda: c.files.retrieve(gone.id))


def test_a_reply_waits_for_its_row_but_not_for_ever(sites):
    site = sites(workers=1, options={"objects": True})
    with client_of(site, site.key()) as c:
        billing = site.hub.ctl("show", "status")["billing"]["pid"]
        os.kill(billing, signal.SIGSTOP)
        try:
            f = upload(c)
            assert "not booked yet" in site.hub.tail(200)
            not_found(lambda: c.files.retrieve(f.id))
        finally:
            os.kill(billing, signal.SIGCONT)
        await_("the object", lambda: [x.id for x in c.files.list()] == [f.id],
               30)
        assert c.files.retrieve(f.id).id == f.id
