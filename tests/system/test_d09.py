"""d09: a request always gets somewhere: to an agent, to the default route,
or to an error that says what is missing.
"""

import pytest

import money
import priced
import procs
from procs import error_code

UNSERVED = priced.shape("other-model", priced.FULL)
UNKNOWN = "nobody-knows-this-model"


@pytest.fixture(scope="module", params=["none", "sim-chat", "gone"])
def site(request):
    options = {} if request.param == "none" else {
        "default_route": request.param}
    s = procs.Site(priced.PRICES, workers=1, links=1, models=("sim-*",),
                   options=options)
    s.default = request.param
    yield s
    s.close()


def test_d09_unknown_model(site):
    status, fields, body = site.chat(site.key(), UNKNOWN)
    if site.default != "sim-chat":
        assert (status, error_code(body)) == (404, "model_not_found")
        return
    assert status == 200
    row = site.hub.row(fields["x-request-id"])
    assert row["outcome"] == "complete" and row["model"] == "sim-chat"
    assert row["amount"] == money.cost(priced.PRICES["sim-chat"],
                                       row["usage"])


def test_d09_priced_model_that_nobody_serves(site):
    status, fields, body = site.chat(site.key(), UNSERVED)
    if site.default != "sim-chat":
        assert (status, error_code(body)) == (503, "no_agent")
        assert int(fields["retry-after"]) >= 1
        return
    assert status == 200
    assert site.hub.row(fields["x-request-id"])["model"] == "sim-chat"


def test_d09_served_model_goes_its_own_way(site):
    status, fields, _ = site.chat(site.key(), "sim-tiny-i1-o1")
    assert status == 200
    assert site.hub.row(fields["x-request-id"])["model"] == "sim-tiny-i1-o1"
