"""d03: users leave while the last chunks pass. One teardown a call, whatever
comes first: no process dies, no sanitizer speaks, nothing stays.
"""

import random

import pytest

import crowd
import priced
import procs
import storm

FAST = priced.shape("sim-c3-i11-o45-d03", priced.FULL)
LEAVES = ["sent", "head", "chunk", "finish", "finish", "finish", ""]


@pytest.mark.parametrize("on_disconnect", ["cancel", "drain"])
def test_d03_aborts_race_with_last_chunks(on_disconnect):
    rng = random.Random(3)
    site = procs.Site(priced.PRICES, workers=2, links=1,
                      options={"on_disconnect": on_disconnect})
    try:
        key = site.key(credit="1000000")
        status = site.hub.ctl("show", "status")
        got = []
        wire = crowd.wire(site.hub.port, key, crowd.chat(FAST, stream=True))
        crowd.run(site.hub.port,
                  (crowd.Want("race", wire, rng.choice(LEAVES))
                   for _ in range(4000)), got.append)
        assert {g.seen for g in got} <= {
            "- left", "200 left", "200 whole"}
        site.hub.quiet(20)
        after = site.hub.ctl("show", "status")
        assert after["workers"] == status["workers"]
        assert after["restarts"] == status["restarts"]
        assert site.agent.running() and storm.idle(site)
        storm.check_logs(site)
    finally:
        site.close()
