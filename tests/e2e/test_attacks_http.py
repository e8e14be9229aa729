"""The webhooks under attack, over real HTTP: who is believed, and how long and how much is listened to."""

import socket
import time
from urllib.parse import urlencode

import pytest

from attacker import ACCOUNT_SID, HOST, PUBLIC_URL, eventually, new_call_sid, sign
from fastbridge.carrier.twilio import webhook
from fastbridge.net import http_socket as webhook_socket
from fastbridge.net.http_gate import MAX_BODY_BYTES

PATH = "/webhook/incoming_call"
FORM = "Content-Type: application/x-www-form-urlencoded\r\n"


def post(path: str, headers: str) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\n{FORM}{headers}\r\n".encode()


def test_an_unsigned_request_is_refused_before_its_body_is_read(node):
    with node.connect() as connection:
        connection.send(post(PATH, f"Content-Length: {MAX_BODY_BYTES}\r\n"))
        answer = connection.answer()
        assert answer.status == 403
        assert "server" not in answer.headers
        assert b"Traceback" not in answer.body


@pytest.mark.parametrize("then", ["silence", "dribbling", "a flood"])
def test_a_body_that_nobody_reads_does_not_keep_its_connection(node, monkeypatch, then):
    monkeypatch.setattr(webhook_socket, "BODY_SECONDS", 0.3)
    slow = node.counters.get("slow", 0)
    with node.connect() as connection:
        connection.send(post(PATH, f"Content-Length: {MAX_BODY_BYTES}\r\n"))
        assert connection.answer().status == 403
        deadline = time.monotonic() + 3
        connection.send(b"x")
        while then != "silence" and time.monotonic() < deadline:
            connection.send_if_open(b"x" * (1 if then == "dribbling" else 500))
            time.sleep(0.01)
            if node.counters.get("slow", 0) > slow:
                break
        assert connection.is_closed()
    assert node.counters["slow"] == slow + 1


@pytest.mark.parametrize("head", [b"", b"POST /webhook/incoming_call HTTP/1.1\r\nHost: x\r\nX-A: ", b"\r\n"])
def test_a_head_that_does_not_come(node, monkeypatch, head):
    monkeypatch.setattr(webhook_socket, "HEAD_SECONDS", 0.3)
    with node.connect() as connection:
        began = time.monotonic()
        connection.send(head)
        for _ in range(10):
            time.sleep(0.02)
            connection.send_if_open(head[-1:])
        assert connection.is_closed()
        assert time.monotonic() - began < 3


def test_a_head_that_dribbles_on_a_connection_that_was_used(node, monkeypatch):
    monkeypatch.setattr(webhook_socket, "HEAD_SECONDS", 0.3)
    with node.connect() as connection:
        for _ in range(3):
            connection.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.answer().status == 200
            time.sleep(0.15)
        began = time.monotonic()
        connection.send(b"GET /healthz HT")
        assert connection.is_closed()
        assert time.monotonic() - began < 3


def test_a_stream_has_no_such_deadline(node, monkeypatch):
    monkeypatch.setattr(webhook_socket, "HEAD_SECONDS", 0.1)
    monkeypatch.setattr(webhook_socket, "BODY_SECONDS", 0.1)
    call_sid = new_call_sid()
    with node.started(call_sid) as line:
        assert not eventually(lambda: not node.call(call_sid), 0.5)
        line.media()
        assert eventually(lambda: node.call(call_sid).caller.frames_in == 1)


def test_a_signed_body_that_dribbles(node, monkeypatch):
    monkeypatch.setattr(webhook, "BODY_DEADLINE_S", 0.3)
    with node.connect() as connection:
        connection.send(post(PATH, "Content-Length: 100\r\nX-Twilio-Signature: x\r\n") + b"CallSid=")
        assert connection.answer().status == 408


@pytest.mark.parametrize(
    ("length", "status"),
    [(f"Content-Length: {MAX_BODY_BYTES + 1}\r\n", 413), ("Transfer-Encoding: chunked\r\n", 411)],
    ids=["too large", "of no length"],
)
@pytest.mark.parametrize("signed", ["X-Twilio-Signature: x\r\n", ""])
def test_a_body_that_is_judged_by_its_head(node, length, status, signed):
    with node.connect() as connection:
        connection.send(post(PATH, f"{length}{signed}"))
        connection.send_if_open(b"1\r\nx\r\n" * 60_000)
        assert connection.answer().status in (status, 413)  # what is read with the head may be too much by itself
        assert eventually(connection.is_closed)


@pytest.mark.parametrize("head", ["X: y\r\n" * 100, "X: " + "x" * 20_000 + "\r\n", "X: y\r\n" * 15_500])
def test_a_head_that_would_take_long_to_read(node, head):
    with node.connect() as connection:
        connection.send(post(PATH, head))
        assert connection.answer().status == 431
        assert eventually(connection.is_closed)


@pytest.mark.parametrize("headers", ["X-Twilio-Signature: x\r\n", ""])
@pytest.mark.parametrize("at_once", [True, False])
def test_what_follows_a_request_and_is_no_http(node, caplog, headers, at_once):
    """It has an answer of its own, and nothing of it is worth a traceback."""
    head = post(PATH, f"Content-Length: 2\r\n{headers}")
    with node.connect() as connection:
        connection.send(head + b"xx" + b"zz\r\n\r\n" * at_once)
        if not at_once:
            time.sleep(0.05)
            connection.send_if_open(b"zz\r\n\r\n")
        assert connection.answer().status == 403
        assert eventually(connection.is_closed)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("PUT /webhook/incoming_call", 405),
        ("DELETE /webhook/call_status", 405),
        ("POST /healthz", 405),
        ("GET /", 404),
        ("GET /webhook", 404),
        ("GET /webhook/../healthz", 404),
        ("GET //healthz", 404),
        ("GET /webhook/incoming_call/", 404),
        ("GET /media/x", 426),
        ("GET /docs", 404),
        ("CONNECT evil.example:443", 404),
        ("OPTIONS *", 404),
    ],
)
def test_other_paths_and_methods(node, request_line, status):
    answer = node.request(f"{request_line} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".encode())
    assert answer.status == status
    assert "location" not in answer.headers
    assert b"evil.example" not in answer.body


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\nHost: x\nHost: y\n\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: \xd9\xa1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n folded\0: 1\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 17_000,
        b"POST /webhook/incoming_call HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    ],
)
def test_what_is_no_request_is_a_400_or_a_refusal(node, raw):
    with node.connect() as connection:
        connection.send_if_open(raw)
        assert connection.answer().status in (400, 404, 431)
        assert connection.is_closed()


SPOOFED = [
    "Host: evil.example\r\n",
    "X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: http\r\nX-Forwarded-For: 127.0.0.1\r\n",
    f"Forwarded: for=127.0.0.1;host=evil.example;proto=http\r\nX-Original-URL: {PATH}?a=b\r\n",
    "X-Forwarded-Prefix: /evil\r\nX-HTTP-Method-Override: DELETE\r\n",
]


@pytest.mark.parametrize("headers", SPOOFED)
def test_headers_that_anybody_can_set_change_nothing(node, headers):
    answer = node.webhook(new_call_sid(), headers=headers)
    assert answer.status == 200
    assert f'url="wss://{HOST}/media/'.encode() in answer.body
    assert f'action="{PUBLIC_URL}/webhook/stream_ended"'.encode() in answer.body
    assert b"evil" not in answer.body


@pytest.mark.parametrize("url", ["https://evil.example", "http://voice.example.com", "https://127.0.0.1"])
def test_a_signature_for_another_address(node, url):
    params = {"CallSid": new_call_sid(), "AccountSid": ACCOUNT_SID}
    body = urlencode(params).encode()
    host = url.partition("//")[2]
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Host: {host}\r\nX-Forwarded-Proto: http\r\n{FORM}"
        f"X-Twilio-Signature: {sign(url + PATH, params)}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    assert node.request(head.encode() + body).status == 403


def test_a_replayed_webhook_mints_one_token_for_each_stream(node):
    call_sid = new_call_sid()
    token = node.token(call_sid)
    assert node.token(call_sid) == token
    with node.line(token) as line:
        line.start(call_sid)
        assert eventually(lambda: node.call(call_sid))
        assert node.token(call_sid) is None
    assert eventually(lambda: node.call(call_sid) is None)
    again = node.token(call_sid)  # its stream has ended: it may come again, once
    assert again not in (None, token)
    assert node.token(call_sid) == again


def test_a_full_house_says_so(node_with):
    node = node_with(max_calls=1)
    with node.started(new_call_sid()):
        answer = node.webhook(new_call_sid())
        assert (answer.status, b"<Say>" in answer.body, b"<Stream" in answer.body) == (200, True, False)
        assert node.counters == {"capacity": 1}


def test_only_the_start_line_of_a_call_holds_its_place(node_with):
    """A caller who hangs up before the stream begins gives the place to another."""
    node = node_with(max_calls=1)
    gone = new_call_sid()
    assert node.token(gone)
    assert node.token(new_call_sid()) is None
    assert node.webhook(gone, "/webhook/call_status", CallStatus="completed").status == 204
    assert node.token(new_call_sid())


def test_slow_strangers_do_not_keep_callers_waiting(node):
    strangers = [socket.create_connection(node.address) for _ in range(100)]
    try:
        for stranger in strangers:
            stranger.sendall(b"POST /webhook/incoming_call HTTP/1.1\r\nHost: x\r\n")
        began = time.monotonic()
        assert node.token(new_call_sid())
        assert time.monotonic() - began < 1
    finally:
        for stranger in strangers:
            stranger.close()


def test_what_is_no_http_is_said_now_and_then(node_with, caplog):
    node = node_with()
    for _ in range(20):
        assert node.request(b"NO SUCH THING\r\n\r\n").status == 400
    assert caplog.text.count("[NODE] a request was refused: ") == 1
    assert "address=127.0.0.1" in caplog.text
    assert caplog.text.count("Invalid HTTP request") == 1
