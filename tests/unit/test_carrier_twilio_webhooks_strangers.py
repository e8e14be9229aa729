"""What comes and is no call: the doctor's probe, a stream without its upgrade, a business that is none."""

import pytest

from fastbridge.carrier import admission as calls
from fastbridge.carrier.twilio import webhooks
from front_desk import CALL, CALLER, INCOMING, admitted, exchange, make_node, post


@pytest.fixture
def node():
    return make_node()


# The doctor's probe


def test_a_probe_gets_a_token_and_nobody_is_looked_up(node):
    node.agent = node.agent.changed(allowed_callers=["+14155550100"])
    assert post(node, INCOMING).verbs == ["Reject"]
    answer = post(node, INCOMING, {**CALLER, webhooks.PROBE: "1"})
    assert admitted(node, answer).call_sid == CALL
    assert node.announced == []


def test_a_probe_must_be_signed(node):
    answer = post(node, INCOMING, {**CALLER, webhooks.PROBE: "1"}, headers={"X-Twilio-Signature": "x"})
    assert (answer.status, node.directory.pending) == (403, 0)


def test_a_probe_that_is_over_leaves_nothing(node):
    lost = []
    node.directory.on_lost = lambda *told: lost.append(told)
    token = admitted(node, post(node, INCOMING, {**CALLER, webhooks.PROBE: "1"})).token
    post(node, "/webhook/call_status", {**CALLER, "CallStatus": "completed"})
    assert (node.directory.pending, node.directory.judge(token), lost) == (0, "token_spent", [])


# A stream that a proxy has made a plain request of


@pytest.mark.parametrize(
    ("headers", "missing"),
    [
        ({"Connection": "close"}, "Upgrade Connection"),
        ({"Connection": "keep-alive, Upgrade"}, "Upgrade"),
        ({"Upgrade": "WebSocket", "Connection": "close"}, "Connection"),
        ({"Upgrade": "h2c", "Connection": "upgrade"}, "Upgrade"),
    ],
)
def test_what_is_missing_is_said_to_the_peer_and_in_the_log(node, headers, missing, caplog):
    answer = exchange(node, "GET", "/media/x/y", headers=headers)
    assert (answer.status, answer.headers["upgrade"]) == (426, "websocket")
    assert answer.body.decode() == f"{webhooks.NO_UPGRADE}{missing}\n"
    assert (node.directory.counters["no_upgrade"], node.directory.counters["token_unknown"]) == (1, 0)
    (record,) = caplog.records
    assert f"a proxy has dropped Upgrade, missing={missing}, admitted=no, more=0, address=192.0.2.1" in record.message


def test_the_token_of_a_call_that_was_let_in_is_no_strangers(node, caplog):
    token = admitted(node, post(node, INCOMING)).token
    exchange(node, "GET", f"/media/{token}")
    assert "admitted=yes" in caplog.text
    assert token not in caplog.text
    assert admitted(node, post(node, INCOMING)).token == token, "it may still come as it should"


def test_it_is_said_now_and_then(make_app_node, caplog):
    for _ in range(50):
        exchange(make_app_node, "GET", "/media/x", app=make_app_node.app)
    assert len(caplog.records) == 1
    assert make_app_node.directory.counters["no_upgrade"] == 50


@pytest.fixture
def make_app_node(node):
    """One whose routes are made once: they remember what was said."""
    from starlette.applications import Starlette

    node.app = Starlette(routes=webhooks.routes(node))
    return node


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_other_methods_are_no_streams(node, method):
    assert exchange(node, method, "/media/x").status == 405


# A business that is none


@pytest.mark.parametrize(
    ("business_id", "said"), [("456", False), ("457", True), ("a/b", True), ("", True), ("x" * 65, True)]
)
def test_a_business_that_the_agent_does_not_know_is_said(node, business_id, said, caplog):
    node.agent.for_business("456", greeting="Hi.")
    assert post(node, f"{INCOMING}?business_id={business_id}").verbs == ["Connect", "Hangup"]
    assert ("[NODE] no such business" in caplog.text) == said


def test_an_agent_without_businesses_knows_all_that_may_be_one(node, caplog):
    post(node, f"{INCOMING}?business_id=457")
    assert "business" not in caplog.text
    post(node, f"{INCOMING}?business_id=a/b")
    assert "business_id=a/b" in caplog.text


# A stream that Twilio could not connect


def test_where_to_look_is_said_when_twilio_asks_what_to_do_next(node):
    lost = []
    node.directory.on_lost = lambda admission, reason, why: lost.append((reason, why))
    node.successor = False
    post(node, INCOMING)
    post(node, "/webhook/stream_ended")
    assert lost == [("no_stream", f"Twilio could not connect the stream: {calls.LOOK_AT}")]
