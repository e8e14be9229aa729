"""A webhook's way in: what is read of it, and who is turned away."""

import hashlib
import json
import logging
from urllib.parse import parse_qsl, urlencode

import pytest
from twilio.request_validator import RequestValidator

from fastbridge.carrier.twilio import webhook
from fastbridge.observe.limits import RateLimiter
from front_desk import (
    ACCOUNT,
    CALL,
    CALLER,
    FORM,
    GONE,
    HANG,
    INCOMING,
    URL,
    FakeCall,
    exchange,
    get,
    make_node,
    post,
    signature,
)


@pytest.fixture
def node():
    return make_node()


def test_without_a_signature_the_body_is_not_read(node, caplog):
    answer = exchange(node, "POST", INCOMING, headers={"Content-Type": FORM}, chunks=[HANG])
    assert (answer.status, answer.body, answer.bytes_read) == (403, b"Forbidden", 0)
    assert node.directory.counters["no_signature"] == 1
    assert "webhook refused: no_signature (1 so far), from 192.0.2.1" in caplog.text


@pytest.mark.parametrize("wrong", ["x", "é", RequestValidator("other").compute_signature(URL + INCOMING, CALLER)])
@pytest.mark.parametrize("path", [INCOMING, "/webhook/outbound_call", "/webhook/call_status", "/webhook/stream_ended"])
def test_a_wrong_signature(node, path, wrong):
    node.directory.add(call := FakeCall())
    assert post(node, path, headers={"X-Twilio-Signature": wrong}).status == 403
    assert node.directory.counters["signature"] == 1
    assert node.directory.pending == 0
    assert call.told == []


def test_what_is_signed_cannot_change(node):
    good = signature(INCOMING + "?business_id=1", CALLER)
    assert post(node, INCOMING + "?business_id=2", headers={"X-Twilio-Signature": good}).status == 403
    body = urlencode(CALLER | {"From": "+1900"}).encode()
    assert post(node, INCOMING, chunks=[body]).status == 403
    other = exchange(node, "GET", INCOMING + "?" + urlencode(CALLER), headers={"X-Twilio-Signature": good})
    assert other.status == 403


def test_blank_and_repeated_fields_are_signed_as_they_came(node):
    body = urlencode([*CALLER.items(), ("CallerName", ""), ("X", " a "), ("X", "ב"), ("X", " a ")]).encode()

    class Fields(dict):
        getlist = dict.__getitem__

    fields = Fields()
    for name, value in parse_qsl(body.decode(), keep_blank_values=True):
        fields.setdefault(name, []).append(value)
    headers = {"X-Twilio-Signature": signature(INCOMING, fields)}
    assert post(node, INCOMING, headers=headers, chunks=[body[:7], b"", body[7:]]).verbs == ["Connect", "Hangup"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": ""},
        {"Content-Type": "text/plain"},
        {"Content-Encoding": "gzip"},
    ],
)
def test_other_bodies_are_not_read(node, headers):
    answer = post(node, INCOMING, headers=headers, chunks=[HANG])
    assert (answer.status, answer.bytes_read) == (415, 0)
    assert node.directory.counters["content_type"] == 1


def test_a_body_that_says_it_is_too_large_is_not_read(node):
    for declared in ("65537", "9" * 5000):
        answer = post(node, INCOMING, headers={"Content-Length": declared}, chunks=[HANG])
        assert (answer.status, answer.bytes_read) == (413, 0)


def test_a_body_that_is_too_large_is_read_no_further(node):
    answer = post(node, INCOMING, chunks=[b"a" * 1024] * 1000)
    assert answer.status == 413
    assert answer.bytes_read == webhook.MAX_BODY_BYTES + 1024
    assert node.directory.counters["too_large"] == 1


def test_a_body_of_the_largest_size_is_read(node):
    params = CALLER | {"Pad": ""}
    params["Pad"] = "a" * (webhook.MAX_BODY_BYTES - len(urlencode(params)))
    assert post(node, INCOMING, params).status == 200


def test_too_many_fields(node):
    params = CALLER | {f"Field{number}": "" for number in range(webhook.MAX_PARAMS - len(CALLER))}
    assert post(node, INCOMING, params).status == 200
    assert post(node, INCOMING, params | {"OneMore": ""}).status == 413
    assert get(node, INCOMING, params | {"OneMore": ""}).status == 413
    assert post(node, INCOMING, chunks=[b"&" * 60_000]).status == 413


def test_a_slow_body_is_cut(node, monkeypatch):
    monkeypatch.setattr(webhook, "BODY_DEADLINE_S", 0.001)
    answer = post(node, INCOMING, chunks=[b"CallSid=", HANG])
    assert (answer.status, answer.body) == (408, b"Request Timeout")
    assert node.directory.counters["slow"] == 1


def test_a_client_that_leaves_is_no_error_of_ours(node, caplog):
    assert post(node, INCOMING, chunks=[b"CallSid", GONE]).status == 400
    assert "SERVER_ERROR" not in caplog.text


@pytest.mark.parametrize(
    "changes",
    [
        {"CallSid": ""},
        {"CallSid": "CA123"},
        {"CallSid": CALL + "\n"},
        {"CallSid": "../" + CALL},
        {"AccountSid": "AC1"},
        {"AccountSid": CALL},
    ],
)
def test_signed_but_malformed_sids(node, changes):
    assert post(node, INCOMING, CALLER | changes).status == 403
    assert node.directory.counters["bad_sid"] == 1


def test_another_account_is_refused_where_ours_is_known():
    node = make_node(twilio_account_sid=ACCOUNT)
    assert post(node, INCOMING).status == 200
    assert post(node, INCOMING, CALLER | {"AccountSid": "AC" + "1" * 32}).status == 403


def test_a_json_body_is_signed_by_its_hash(node):
    body = json.dumps(CALLER | {"Count": 1}).encode()
    target = f"{INCOMING}?bodySHA256={hashlib.sha256(body).hexdigest()}"
    headers = {"Content-Type": "application/json", "X-Twilio-Signature": signature(target)}
    answer = exchange(node, "POST", target, headers=headers, chunks=[body])
    assert answer.verbs == ["Connect", "Hangup"]
    assert list(answer.xml.iter("Parameter")) == []
    assert exchange(node, "POST", target, headers=headers, chunks=[body + b" "]).status == 403


@pytest.mark.parametrize(("body", "status"), [(b"[", 415), (b"[" * 60_000, 415), (b"[]", 403), (b"\xff", 415)])
def test_a_json_body_that_is_none(node, body, status):
    target = f"{INCOMING}?bodySHA256={hashlib.sha256(body).hexdigest()}"
    headers = {"Content-Type": "application/json", "X-Twilio-Signature": signature(target)}
    assert exchange(node, "POST", target, headers=headers, chunks=[body]).status == status


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "CONNECT", "TRACE"])
def test_other_methods(node, method):
    assert exchange(node, method, INCOMING).status == 405


@pytest.mark.parametrize(
    "path", ["/", "/webhook", "/webhook/", "/webhook/../etc/passwd", "//webhook/incoming_call", "/media"]
)
def test_other_paths(node, path):
    answer = exchange(node, "GET", path)
    assert (answer.status, answer.body) == (404, b"Not Found")
    assert "server" not in answer.headers


def test_refusals_are_logged_once_a_second(node, caplog):
    now_s = 0.0
    door = webhook.Door(node, RateLimiter(lambda: now_s))
    request = webhook.Request({"type": "http", "headers": [], "client": ("192.0.2.1", 1)})
    for _ in range(50):
        door._refused(request, webhook.RequestError("signature", 403))
    assert len(caplog.records) == 1
    now_s = 1.0
    door._refused(request, webhook.RequestError("signature", 403))
    assert "webhook refused: signature (51 so far)" in caplog.records[1].getMessage()


def test_what_breaks_is_logged_and_answered_kindly(node, caplog):
    node.directory.admit = None
    answer = post(node, INCOMING)
    assert answer.verbs == ["Say", "Hangup"]
    assert b"TypeError" not in answer.body
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.getMessage() == f"[SERVER_ERROR] webhook failed, path={INCOMING}"
    assert record.exc_info


# The operator's own parameters


@pytest.mark.parametrize(
    ("query", "own"),
    [
        ("business_id=456", {"business_id": "456"}),
        ("business_id=a-B_9&lang=he&x-y=%D7%A9", {"business_id": "a-B_9", "lang": "he", "x-y": "ש"}),
        ("business_id=", {}),
        ("business_id=4%2056", {}),
        ("business_id=" + "a" * 65, {}),
        ("business_id=%3Cscript%3E", {}),
        ("business_id=1&business_id=2", {"business_id": "1"}),
        ("From=%2B1415&CallSid=CA1&_x=1&9=1&%D7%A9=1", {}),
        ("bodySHA256=abc&note=" + "a" * 400, {}),
        ("note=a%0Ab&other=%00&blank=", {"blank": ""}),
        ("&".join(f"p{number}=1" for number in range(40)), {f"p{number}": "1" for number in range(16)}),
    ],
)
def test_own_parameters(query, own):
    assert webhook.own_parameters(parse_qsl(query, keep_blank_values=True)) == own
