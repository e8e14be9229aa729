import json
import logging
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest

from fastbridge.agent import Agent
from fastbridge.carrier.twilio import webhook, webhooks
from fastbridge.carrier.twilio.webhook import MAX_PARAMETER_CHARS
from fastbridge.net import arrival
from fastbridge.net.arrival import Arrival
from front_desk import (
    ACCOUNT,
    CALL,
    CALLER,
    FORM,
    INCOMING,
    URL,
    FakeCall,
    admitted,
    exchange,
    get,
    make_node,
    post,
    signature,
)


@pytest.fixture
def node():
    return make_node()


# A call comes in


@pytest.mark.parametrize("ask", [post, get])
@pytest.mark.parametrize(("path", "direction"), [("incoming_call", "inbound"), ("outbound_call", "outbound")])
def test_a_signed_webhook_is_connected(node, ask, path, direction):
    answer = ask(node, f"/webhook/{path}?business_id=456")
    assert answer.verbs == ["Connect", "Hangup"]
    connect = answer.xml.find("Connect")
    assert connect.attrib == {"action": f"{URL}/webhook/stream_ended", "method": "POST"}
    assert [each.attrib for each in connect.iter("Parameter")] == [{"name": "business_id", "value": "456"}]
    admission = admitted(node, answer)
    assert (admission.call_sid, admission.account_sid) == (CALL, ACCOUNT)
    assert (admission.from_number, admission.to_number) == ("+972501234512", "+14155550123")
    assert (admission.direction, admission.business_id) == (direction, "456")


def test_of_addresses_of_any_length_so_much_is_kept(node):
    longer = CALLER | {"From": "sip:" + "a" * 1000, "To": "sip:" + "b" * 1000}
    admission = admitted(node, post(node, INCOMING, longer))
    kept = MAX_PARAMETER_CHARS - 4
    assert (admission.from_number, admission.to_number) == ("sip:" + "a" * kept, "sip:" + "b" * kept)


def test_the_stream_url_comes_from_the_settings_alone(node):
    spoofed = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "http",
        "Forwarded": "host=evil.example;proto=http",
        "X-Forwarded-For": "203.0.113.9",
        "X-Original-URL": "/evil",
    }
    answer = post(node, INCOMING, headers=spoofed)
    assert b"evil" not in answer.body
    assert admitted(node, answer)
    assert exchange(make_node(public_url="http://127.0.0.1:5050"), "POST", INCOMING).status == 403


def test_a_path_prefix_of_the_public_url_is_signed_and_answered():
    node = make_node(public_url=URL + "/voice")
    params = urlencode(CALLER).encode()
    signed = {"Content-Type": FORM, "X-Twilio-Signature": signature("/voice" + INCOMING, CALLER)}
    answer = exchange(node, "POST", INCOMING, headers=signed, chunks=[params])
    assert answer.xml.find("Connect").get("action") == URL + "/voice/webhook/stream_ended"
    assert admitted(node, answer)


def test_a_retry_gets_the_same_token_and_a_replay_none(node, caplog):
    first = post(node, INCOMING)
    assert post(node, INCOMING).body == first.body
    admission = admitted(node, first)
    node.directory.redeem(admission.token, CALL, ACCOUNT)
    assert post(node, INCOMING).verbs == ["Hangup"]
    assert node.directory.counters["replay"] == 1
    assert "call refused: replay (1 so far)" in caplog.text
    assert CALL not in caplog.text  # or whoever replays it could fill that call's log


@pytest.mark.parametrize("reason", ["capacity", "draining"])
def test_no_room_is_said_with_a_200(node, reason, caplog):
    node = make_node(max_calls=1)
    if reason == "capacity":
        post(node, INCOMING, CALLER | {"CallSid": "CA" + "2" * 32})
    else:
        node.directory.draining = True
    answer = post(node, INCOMING)
    assert answer.verbs == ["Say", "Hangup"]
    assert "busy" in answer.xml.find("Say").text
    assert node.directory.counters[reason] == 1
    assert f"call refused: {reason}" in caplog.text


def test_in_dev_without_a_token_nothing_is_signed():
    node = make_node(twilio_auth_token=None)
    assert exchange(
        node, "POST", INCOMING, headers={"Content-Type": FORM}, chunks=[urlencode(CALLER).encode()]
    ).verbs == ["Connect", "Hangup"]
    refused = exchange(node, "POST", INCOMING, headers={"Content-Type": FORM}, chunks=[b"CallSid=x"])
    assert refused.status == 403


class Stopwatch:
    """The clock of arrivals, and what makes it go on."""

    def __init__(self, monkeypatch):
        self.now_ns = 10**9
        monkeypatch.setattr(arrival, "time", SimpleNamespace(monotonic_ns=lambda: self.now_ns))
        self._monkeypatch = monkeypatch

    def takes(self, module, name, milliseconds):
        """This function takes so long."""
        function = getattr(module, name)

        def slow(*arguments, **named):
            self.now_ns += milliseconds * 1_000_000
            return function(*arguments, **named)

        self._monkeypatch.setattr(module, name, slow)

    def ago(self, head_ms, body_ms):
        """A request whose head and body came so long ago."""
        came = Arrival()
        came.head(self.now_ns - head_ms * 1_000_000)
        came.body(self.now_ns - body_ms * 1_000_000)
        return came


def slow_lines(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize(
    ("module", "name", "parts"),
    [
        (webhook, "_read", "body_ms=313, lag_ms=0, work_ms=0"),
        (webhook, "valid_webhook", "body_ms=0, lag_ms=0, work_ms=313"),
        (webhooks, "connect_twiml", "body_ms=0, lag_ms=0, work_ms=313"),
    ],
)
def test_slow_twiml_is_a_warning_whatever_was_slow(monkeypatch, caplog, module, name, parts):
    Stopwatch(monkeypatch).takes(module, name, 313)
    post(make_node(twiml_sla_ms=313), INCOMING)
    assert slow_lines(caplog) == []
    post(make_node(twiml_sla_ms=312), INCOMING)
    assert slow_lines(caplog) == [f"[SLA] TwiML too slow: 313ms > 312ms, {parts}, call_sid={CALL}"]


@pytest.mark.parametrize("ask", [post, get])
@pytest.mark.parametrize("path", [INCOMING, "/webhook/outbound_call", "/webhook/stream_ended"])
def test_a_request_waits_from_its_arrival(monkeypatch, caplog, ask, path):
    watch = Stopwatch(monkeypatch)
    watch.takes(webhook, "valid_webhook", 20)
    node = make_node()
    node.successor = False
    ask(node, path, arrival=watch.ago(400, 300))
    assert slow_lines(caplog) == [
        f"[SLA] TwiML too slow: 420ms > 350ms, body_ms=100, lag_ms=300, work_ms=20, call_sid={CALL}"
    ]


def test_nobody_waits_for_what_is_no_twiml(monkeypatch, caplog):
    watch = Stopwatch(monkeypatch)
    post(make_node(), "/webhook/call_status", arrival=watch.ago(4000, 4000))
    assert slow_lines(caplog) == []


# Status callbacks


def status(node, word, number=None, **changes):
    numbered = {} if number is None else {"SequenceNumber": number}
    answer = post(node, "/webhook/call_status", CALLER | {"CallStatus": word} | numbered | changes)
    assert (answer.status, answer.body) == (204, b"")


def test_statuses_reach_the_call_once_and_in_order(node):
    node.directory.add(call := FakeCall())
    for word, number in [("in-progress", "2"), ("ringing", "1"), ("completed", "3"), ("completed", "3")]:
        status(node, word, number)
    assert call.told == ["in-progress", "completed"]


def test_a_terminal_status_that_overtakes_the_others_is_the_last(node):
    node.directory.add(call := FakeCall())
    for word, number in [("completed", "3"), ("in-progress", "2"), ("ringing", "9")]:
        status(node, word, number)
    assert call.told == ["completed"]


@pytest.mark.parametrize("number", ["", "x", "-1", "1.5", "²", "9" * 5000])
def test_a_sequence_number_that_is_none_counts_as_the_next(node, number):
    node.directory.add(call := FakeCall())
    status(node, "ringing", number)
    status(node, "in-progress", number)
    assert call.told == ["ringing", "in-progress"]


def test_the_status_of_an_unknown_call_is_normal(node, caplog):
    status(node, "completed", "3")
    assert caplog.records == []


@pytest.mark.parametrize("word", ["", "on-hold", "COMPLETED", "completed\n"])
def test_an_unknown_status_changes_nothing(node, word):
    node.directory.add(call := FakeCall())
    status(node, word, "7")
    status(node, "ringing", "1")
    assert call.told == ["ringing"]


def test_a_caller_who_hangs_up_before_the_stream_frees_the_place(node):
    post(node, INCOMING)
    assert node.directory.pending == 1
    status(node, "ringing", "1")
    assert node.directory.pending == 1
    status(node, "canceled", "2")
    assert node.directory.pending == 0


def test_a_call_that_breaks_on_a_status_is_still_a_204(node, caplog):
    call = FakeCall()
    call.on_carrier_status = None
    node.directory.add(call)
    status(node, "completed", "3")
    assert "[SERVER_ERROR] webhook failed" in caplog.text


# The end of <Connect>


def stream_ended(node):
    return post(node, "/webhook/stream_ended", CALLER | {"CallStatus": "in-progress"})


def test_stream_ended_reaches_its_call_and_hangs_up(node):
    node.directory.add(call := FakeCall())
    assert stream_ended(node).verbs == ["Hangup"]
    assert call.told == ["stream_ended"]


@pytest.mark.parametrize("reason", [None, "caller_hangup", "the_model_"])
def test_other_ends_hang_up(node, reason):
    node.directory.add(call := FakeCall(reason))
    node.directory.remove(call)
    assert stream_ended(node).verbs == ["Hangup"]


def test_stream_ended_of_an_unknown_call_hangs_up(node):
    assert stream_ended(node).verbs == ["Hangup"]


def test_after_a_worker_that_died_a_callers_stream_that_ended_is_our_fault(node):
    """Its successor knows nothing of the call, but that somebody was on the line."""
    node.successor = True
    assert stream_ended(node).verbs == ["Say", "Hangup"]
    node.settings = node.settings.model_copy(update={"fallback_number": "+14155550177"})
    assert stream_ended(node).verbs == ["Dial", "Hangup"]


def test_a_successor_knows_what_it_has_ended_itself(node):
    node.successor = True
    node.directory.add(call := FakeCall("caller_hangup"))
    node.directory.remove(call)
    assert stream_ended(node).verbs == ["Hangup"]


def test_stream_ended_that_breaks_hangs_up(node, caplog):
    call = FakeCall()
    call.on_stream_ended = None
    node.directory.add(call)
    assert stream_ended(node).verbs == ["Hangup"]
    assert "[SERVER_ERROR]" in caplog.text


# Health


def test_healthz(node):
    answer = exchange(node, "GET", "/healthz")
    assert (answer.status, json.loads(answer.body)) == (200, {"alive": True})


@pytest.mark.parametrize(
    ("ready", "draining", "code"), [(True, False, 200), (False, False, 503), (True, True, 503), (False, True, 503)]
)
def test_readyz(node, ready, draining, code):
    node.ready, node.draining = ready, draining
    node.directory.add(FakeCall())
    answer = exchange(node, "GET", "/readyz")
    state = {"ready": code == 200, "draining": draining, "calls": 1, "capacity": 400}
    assert (answer.status, json.loads(answer.body)) == (code, state)


def test_a_full_node_is_still_ready_to_say_that_it_is_busy():
    node = make_node(max_calls=1)
    node.directory.add(FakeCall())
    assert exchange(node, "GET", "/readyz").status == 200


@pytest.mark.parametrize(("number", "verb"), [("", "Reject"), ("anonymous", "Reject"), ("+14155550100", "Connect")])
def test_the_agent_says_who_is_answered(node, number, verb):
    node.agent = Agent(allowed_callers=["+14155550100"])
    answer = post(node, "/webhook/incoming_call", {**CALLER, "From": number})
    assert answer.xml[0].tag == verb
    assert node.announced == ([admitted(node, answer)] if verb == "Connect" else [])


@pytest.mark.parametrize(
    ("word", "verdict"),
    [
        ("human", "human"),
        ("machine_start", "machine"),
        ("machine_end_beep", "machine"),
        ("fax", "fax"),
        ("unknown", "unknown"),
    ],
)
def test_who_has_answered_is_passed_on(word, verdict):
    node = make_node()
    callback = {name: CALLER[name] for name in ("CallSid", "AccountSid")} | {"MachineDetectionDuration": "2400"}
    assert post(node, "/webhook/call_status?outbound_id=OB1", callback | {"AnsweredBy": word}).status == 204
    assert node.statuses == [(CALL, verdict)]


def test_a_word_for_that_which_nobody_knows_is_none():
    node = make_node()
    assert post(node, "/webhook/call_status", CALLER | {"CallStatus": "", "AnsweredBy": "a parrot"}).status == 204
    assert node.statuses == []


def test_a_status_is_passed_on_with_what_else_it_says():
    node = make_node()
    said = {"CallStatus": "failed", "SequenceNumber": "3", "CallDuration": "0", "ErrorCode": "13224"}
    assert post(node, "/webhook/call_status?outbound_id=OB1", CALLER | said).status == 204
    ((call_sid, state, sequence, told),) = node.statuses
    assert (call_sid, state, sequence) == (CALL, "failed", 3)
    assert told["outbound_id"] == "OB1"
    assert told["reason"].startswith("The number is invalid")
