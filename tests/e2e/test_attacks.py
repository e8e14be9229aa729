"""The media socket under attack: who may open a stream, and what is not a stream.

Each test says what goes over a real TCP connection and what must come back. What a stranger can do to one socket, no
call on another may notice.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from websockets.frames import Close, Opcode

from attacker import HOST, STREAM_SID, Line, RunningNode, eventually, new_call_sid, sign, start_message, wire
from fastbridge.carrier.twilio import media_socket as sockets

LIMIT = sockets.MAX_CARRIER_MESSAGE_BYTES
SHUT = "AC" + "99" * 16


def signed(path: str) -> str:
    return sign(f"wss://{HOST}{path}")


# Who may open a stream


@pytest.mark.parametrize("path", ["/", "/media", "/Media/token", "/webhook/incoming_call", "/media%2ftoken"])
def test_another_path_is_not_there(node, path):
    assert node.status(path, signed(path)) == 404


@pytest.mark.parametrize("token", ["", "x", "A" * 22, "A" * 4000, "../healthz", "%2e%2e", "t?t=1"])
def test_an_unknown_token(node, token):
    before = node.counters.get("token_unknown", 0)
    assert node.status(f"/media/{token}", signed(f"/media/{token}")) == 403
    assert node.counters["token_unknown"] == before + 1


def test_a_token_is_good_once(node):
    call_sid = new_call_sid()
    token = node.token(call_sid)
    with node.line(token) as line:
        line.start(call_sid)
        assert eventually(lambda: node.call(call_sid))
        assert node.status(f"/media/{token}", signed(f"/media/{token}")) == 403
    assert eventually(lambda: not node.call(call_sid))
    assert node.status(f"/media/{token}", signed(f"/media/{token}")) == 403


def test_a_token_expires(node_with):
    node = node_with(stream_token_seconds=1)
    token = node.token(new_call_sid())
    time.sleep(1.05)
    assert node.status(f"/media/{token}", signed(f"/media/{token}")) == 403
    assert node.counters == {"token_expired": 1}


def test_a_handshake_must_be_signed_once_and_well(node):
    path = f"/media/{node.token(new_call_sid())}"
    good = signed(path)
    bad = ["", "x", good[:-1], good.swapcase(), "é" * 28, signed("/media/other"), sign(f"wss://evil.example{path}")]
    assert [node.status(path, *signatures) for signatures in ([], [good, good], [good, "x"])] == [403] * 3
    assert [node.status(path, signature) for signature in bad] == [403] * len(bad)
    assert node.status(path, good) == 101


@pytest.mark.parametrize("url", ["wss://{host}{path}/", "wss://{host}:443{path}", "https://{host}{path}"])
def test_the_forms_of_the_url_that_twilio_signs(node, url):
    path = f"/media/{node.token(new_call_sid())}"
    assert node.status(path, sign(url.format(host=HOST, path=path))) == 101


def test_a_path_with_a_trailing_slash(node):
    path = f"/media/{node.token(new_call_sid())}"
    assert node.status(path + "/", signed(path)) == 101


def test_no_header_moves_the_address_that_was_signed(node):
    path = f"/media/{node.token(new_call_sid())}"
    spoofed = "X-Forwarded-Host: evil.example\r\nForwarded: host=evil.example;proto=http\r\nX-Forwarded-Proto: http\r\n"
    assert node.status(path, sign(f"ws://evil.example{path}"), headers=spoofed) == 403
    assert node.status(path, signed(path), headers=spoofed) == 101


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ("Sec-WebSocket-Version: 8\r\n", 400),
        ("Sec-WebSocket-Key: AAAA\r\n", 400),
        ("Content-Length: 5\r\n", 400),
        ("".join(f"X-{number}: x\r\n" for number in range(200)), 431),
        (f"X-Long: {'x' * 9000}\r\n", 400),
    ],
    ids=["version", "key", "body", "many headers", "long header"],
)
def test_what_is_no_handshake(node, headers, status):
    path = f"/media/{node.token(new_call_sid())}"
    assert node.status(path, signed(path), headers=headers) == status
    assert node.status(path, signed(path)) == 101, "the token was not spent"


def test_caps_in_all_and_the_place_is_given_back(node_with):
    node = node_with(max_connections=2)
    tokens = [node.token(new_call_sid()) for _ in range(3)]
    lines = [node.line(token) for token in tokens[:2]]
    path = f"/media/{tokens[2]}"
    assert node.status(path, signed(path)) == 503
    assert node.counters == {"connections": 1}
    for line in lines:
        line.reset()
    assert eventually(lambda: node.status(path, signed(path)) == 101)


def test_caps_for_an_address(node_with):
    node = node_with(max_connections_per_ip=1)
    first, second = (node.token(new_call_sid()) for _ in range(2))
    with node.line(first):
        path = f"/media/{second}"
        assert node.status(path, signed(path), headers="X-Forwarded-For: 203.0.113.9\r\n") == 503
        assert node.counters == {"connections_per_ip": 1}


# Before the call


def test_a_stream_that_never_starts(node_with, model):
    node = node_with(start_deadline_seconds=0.2)
    dialled = model.dialled
    with node.admitted(new_call_sid()) as line:
        line.text({"event": "connected"})
        assert line.close_code() == 1008
    assert node.counters == {"start_deadline": 1}
    assert (node.live, model.dialled) == (0, dialled), "nothing costly exists before admission"


def test_what_comes_before_start_is_nobodys(node, model):
    call_sid = new_call_sid()
    dialled = model.dialled
    with node.admitted(call_sid) as line:
        line.media()
        line.text({"event": "mark", "streamSid": STREAM_SID, "mark": {"name": "1"}})
        line.text(b"[" * 30_000)
        line.text(b"1" * 5000)
        line.text({"event": "nonsense"})
        line.send(wire(9, b"still there"))
        assert line.until(Opcode.PONG) == b"still there"
        assert (node.call(call_sid), model.dialled) == (None, dialled)
        line.start(call_sid)
        assert eventually(lambda: node.call(call_sid))
        assert node.call(call_sid).caller.frames_in == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"callSid": new_call_sid()},
        {"accountSid": SHUT},
        {"callSid": "CA1"},
        {"streamSid": "MZ" + "0" * 32},
        {"mediaFormat": {"encoding": "audio/l16", "sampleRate": 8000, "channels": 1}},
    ],
)
def test_a_start_that_is_not_its_own_burns_the_token(node, changes):
    call_sid = new_call_sid()
    token = node.token(call_sid)
    with node.line(token) as line:
        line.start(call_sid, **changes)
        assert line.close_code() == 1008
    assert node.call(call_sid) is None
    assert node.status(f"/media/{token}", signed(f"/media/{token}")) == 403


def test_a_second_start_changes_nothing(node):
    call_sid, other = new_call_sid(), new_call_sid()
    with node.started(call_sid) as line:
        call = node.call(call_sid)
        line.start(call_sid, streamSid="MZ" + "0" * 32)
        line.start(other)
        line.media()
        assert eventually(lambda: call.caller.frames_in == 1)
        assert node.call(call_sid) is call
        assert call.stream_sid == STREAM_SID
        assert node.call(other) is None


def test_two_sockets_race_with_one_token(node, model):
    """One of them gets the call, and its sibling's end takes nothing from it."""
    for _ in range(5):
        call_sid, dialled = new_call_sid(), model.dialled
        token = node.token(call_sid)
        lines = [node.line(token) for _ in range(2)]
        Random(dialled).shuffle(lines)
        racers = [threading.Thread(target=line.start, args=(call_sid,)) for line in lines]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
        assert eventually(lambda call_sid=call_sid: node.call(call_sid))
        loser = next(line for line in lines if not line.is_quiet(0.2))
        assert loser.close_code() == 1008
        winner = next(line for line in lines if line is not loser)
        winner.send(wire(9, b"?"))
        assert winner.until(Opcode.PONG) == b"?"
        assert eventually(lambda before=dialled: model.dialled == before + 1)
        for line in lines:
            line.close()


def test_after_a_refused_start_no_call_can_begin(node_with):
    """Neither in one frame nor in fragments, which take another way."""
    node = node_with()
    call_sid = new_call_sid()
    good = start_message(call_sid)
    with node.admitted(call_sid) as line:
        line.text(start_message(new_call_sid()))
        line.send_if_open(wire(1, good[:9], fin=False) + wire(0, good[9:]) + wire(1, good))
        assert line.close_code() == 1008
        time.sleep(0.1)
        assert node.live == 0
        assert node.node.directory.pending == 0


# What is not a stream


def bad_frames() -> dict[str, tuple[bytes, int]]:
    text = Opcode.TEXT
    return {
        "2^63-1 bytes": (b"\x81\xff" + (2**63 - 1).to_bytes(8, "big") + bytes(4), 1009),
        "2^63 bytes": (b"\x81\xff" + (2**63).to_bytes(8, "big") + bytes(4), 1009),
        "2^64-1 bytes": (b"\x81\xff" + b"\xff" * 8 + bytes(4), 1009),
        "a byte too long": (b"\x81\xff" + (LIMIT + 1).to_bytes(8, "big"), 1009),
        "too long in fragments": (wire(text, bytes(LIMIT), fin=False) + wire(0, b"x"), 1009),
        "unmasked": (wire(text, b"{}", mask=False), 1002),
        "RSV1": (wire(text, b"{}", reserved=4), 1002),
        "RSV2": (wire(text, b"{}", reserved=2), 1002),
        "RSV3": (wire(9, b"", reserved=1), 1002),
        "opcode 3": (wire(3, b""), 1002),
        "opcode 7": (wire(7, b""), 1002),
        "opcode 11": (wire(11, b""), 1002),
        "opcode 15": (wire(15, b""), 1002),
        "long ping": (wire(9, bytes(126)), 1002),
        "fragmented ping": (wire(9, b"", fin=False), 1002),
        "fragmented close": (wire(8, b"", fin=False), 1002),
        "close of one byte": (wire(8, b"x"), 1002),
        "close with a bad code": (wire(8, b"\x03\xed"), 1002),
        "bad close within a message": (wire(text, b"{", fin=False) + wire(8, b"\x03\xed"), 1002),
        "continuation of nothing": (wire(0, b"x"), 1002),
        "text within a message": (wire(text, b"{", fin=False) + wire(text, b"}"), 1002),
        "binary": (wire(2, b"{}"), 1003),
        "binary in fragments": (wire(2, b"{", fin=False) + wire(0, b"}"), 1003),
        "fragments not UTF-8": (wire(text, b"\xc3", fin=False) + wire(0, b"\x28"), 1007),
        "not UTF-8": (wire(text, b'{"event":"\xff"}'), 1007),
        "not UTF-8 in a frame that is never finished": (wire(text, b"\xed\xa0" + bytes(60_000))[:9], 1007),
        "a close reason that is not UTF-8": (wire(8, b"\x03\xe8\xff"), 1007),
        "a flood of fragments": (wire(text, b"", fin=False) + wire(0, b"", fin=False) * 5000, 1009),
        "a flood of pings": (wire(9, b"x" * 125) * 5000, 1008),
        "a flood of pongs": (wire(10, b"") * 5000, 1008),
    }


@pytest.mark.parametrize(("bad", "code"), bad_frames().values(), ids=bad_frames())
def test_the_wire_is_judged_and_the_verdict_arrives(node, bad, code):
    """Behind the violation comes more, which is read, dropped, and does not cost the peer our close frame."""
    with node.admitted(new_call_sid()) as line:
        line.send_if_open(bad + wire(1, b"x" * 30_000))
        assert line.close_code() == code
        assert line.is_closed()


@pytest.mark.parametrize(
    "name", ["2^63-1 bytes", "unmasked", "binary", "not UTF-8", "a flood of fragments", "a flood of pings"]
)
def test_a_violation_ends_its_own_call_and_no_other(node, name):
    bad, code = bad_frames()[name]
    mine, other = new_call_sid(), new_call_sid()
    with node.started(other) as bystander, node.started(mine) as line:
        line.send_if_open(bad)
        assert line.close_code() == code
        assert eventually(lambda: node.call(mine) is None)
        frames = node.call(other).caller.frames_in
        bystander.media()
        assert eventually(lambda: node.call(other).caller.frames_in == frames + 1)


def test_a_peer_that_is_told_to_go_is_not_answered_any_more(node):
    """Pings after the close frame would fill our buffers with pongs that nobody reads."""
    call_sid = new_call_sid()
    with node.started(call_sid) as line:
        line.text({"event": "stop", "streamSid": STREAM_SID})
        line.send_if_open(wire(9, b"x" * 125) * 5000)
        pongs = sum(frame.opcode is Opcode.PONG for frame in line.frames())
        assert pongs <= sockets.MAX_CONTROL_PER_SECOND + 1
        assert eventually(lambda: node.call(call_sid) is None)


def test_a_legal_message_in_fragments_with_a_ping_between(node):
    call_sid = new_call_sid()
    message = start_message(call_sid)
    with node.admitted(call_sid) as line:
        parts = [message[at : at + 20] for at in range(0, len(message), 20)]
        line.send(wire(1, parts[0], fin=False) + wire(9, b"between"))
        assert line.until(Opcode.PONG) == b"between"
        for part in parts[1:-1]:
            line.send(wire(0, part, fin=False))
        assert node.call(call_sid) is None
        line.send(wire(0, parts[-1]))
        assert eventually(lambda: node.call(call_sid))
        line.media()
        assert eventually(lambda: node.call(call_sid).caller.frames_in == 1)


@pytest.mark.parametrize("before", [b"", wire(1, b"{", fin=False)], ids=["", "between fragments"])
@pytest.mark.parametrize("payload", [Close(1000, "").serialize(), Close(4321, "bye").serialize(), b""])
def test_close_is_echoed_and_the_server_closes_first(node, payload, before):
    call_sid = new_call_sid()
    with node.started(call_sid) as line:
        line.send(before + wire(8, payload))
        assert line.until(Opcode.CLOSE) == payload
        assert line.is_closed()
        assert eventually(lambda: node.call(call_sid) is None)


def test_a_message_byte_by_byte(node):
    call_sid = new_call_sid()
    with node.admitted(call_sid) as line:
        line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in wire(1, start_message(call_sid)):
            line.send(bytes([byte]))
        assert eventually(lambda: node.call(call_sid))


@pytest.mark.parametrize(
    "part", [wire(1, bytes(300))[:1], wire(1, bytes(300))[:-1], wire(9, b"1234")[:4]], ids=["a byte", "most", "a ping"]
)
def test_a_frame_that_is_never_finished(node_with, monkeypatch, part):
    monkeypatch.setattr(sockets, "FRAME_DEADLINE_SECONDS", 0.2)
    node = node_with(start_deadline_seconds=60)
    with node.admitted(new_call_sid()) as line:
        line.send(part)
        assert line.close_code() == 1008


def test_a_frame_that_takes_its_time_is_read(node_with, monkeypatch):
    monkeypatch.setattr(sockets, "FRAME_DEADLINE_SECONDS", 0.5)
    node = node_with(start_deadline_seconds=60)
    call_sid = new_call_sid()
    other, start = wire(1, b'{"event":"connected"}'), wire(1, start_message(call_sid))
    with node.admitted(call_sid) as line:
        line.send(other[:9])
        for rest in (other[9:] + other[:9], other[9:] + other[:9], other[9:] + start[:9], start[9:]):
            time.sleep(0.3)  # at every check a frame is unfinished, but never the same one
            line.send(rest)
        assert eventually(lambda: node.call(call_sid))


def test_a_reset_within_a_frame_ends_the_call_once(node):
    call_sid = new_call_sid()
    line = node.started(call_sid)
    line.send(wire(1, bytes(300))[:100])
    line.reset()
    assert eventually(lambda: node.call(call_sid) is None)
    assert node.node.directory.ended_reason(call_sid) == "customer_hangup"
    with node.started(new_call_sid()) as line:
        line.send(wire(9, b"?"))
        assert line.until(Opcode.PONG) == b"?"


def test_half_a_handshake_and_gone(node):
    for sent in (b"", b"GET /media/x HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00\x01"):
        connection = node.connect()
        connection.send(sent)
        connection.reset()
    assert node.request(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").status == 200


def test_compression_is_not_negotiated(node):
    path = f"/media/{node.token(new_call_sid())}"
    offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    with node.knock(path, signed(path), headers=offer) as line:
        head = line.head().lower()
        assert head.startswith("http/1.1 101 ")
        assert "sec-websocket-extensions" not in head


def test_no_subprotocol_is_chosen(node):
    path = f"/media/{node.token(new_call_sid())}"
    with node.knock(path, signed(path), headers="Sec-WebSocket-Protocol: a, b\r\n") as line:
        assert "sec-websocket-protocol" not in line.head().lower()


def test_a_slow_reader_is_bounded_and_then_let_go(node_with, monkeypatch):
    """Nothing of the assistant's audio is taken: it waits in the ring, and after about ten seconds the stream ends."""
    monkeypatch.setattr(sockets, "CARRIER_BUFFER_BYTES", 4096)
    node = node_with(script=talkative, send_buffer_bytes=4608)
    other, mine = new_call_sid(), new_call_sid()
    with node.started(other) as bystander, node.started(mine, receive_buffer_bytes=2048) as line:
        heard: list[float] = []
        reader = threading.Thread(target=listen, args=(bystander, heard))
        reader.start()
        call = node.call(mine)
        keep_talking(node, line, bystander, lambda: node.call(mine) is None)
        assert call.end_reason == "carrier_slow"
        assert call.record()["pacing"]["peak_ring_ms"] > 5000
        assert node.call(other) is not None
        bystander.close()
        reader.join()
        assert len(heard) > 100, "the other caller heard speech all the while"


def test_a_carrier_that_stalls_gets_two_seconds_of_what_it_missed_and_then_the_rest_in_time(node_with, caplog):
    """Its own kernel took what its process did not: the marks tell."""
    node = node_with(script=talkative)
    call_sid = new_call_sid()
    with node.started(call_sid) as line:
        over = threading.Event()
        speaker = threading.Thread(target=speak, args=(line, over))
        speaker.start()
        try:
            assert heard_in(line, 2.0) > 60
            time.sleep(6.0)
            assert heard_in(line, 0.3) <= 150, "2 s, and what is under way"
            assert "[TX_SLOW] Twilio takes no audio: pacing waits" in caplog.text
            assert heard_in(line, 2.0) > 60
            assert node.call(call_sid) is not None
        finally:
            over.set()
            speaker.join()


def speak(line: Line, over: threading.Event) -> None:
    while not over.wait(0.02):
        line.media()


def heard_in(line: Line, seconds: float) -> int:
    """Frames that come in this time; marks are sent back at once."""
    count, until = 0, time.monotonic() + seconds
    for message in line.messages():
        if message["event"] == "mark":
            line.text({"event": "mark", "streamSid": STREAM_SID, "mark": message["mark"]})
        count += message["event"] == "media"
        if time.monotonic() > until:
            break
    return count


def talkative(model: Any) -> None:
    model.ready().begin()
    for _ in range(20):
        model.send(wire(1, model.delta(b"\x55" * 8000), mask=False))
    model.listen()


def listen(line: Line, heard: list[float]) -> None:
    with contextlib.suppress(ValueError, OSError):  # closed by the test, when it has heard enough
        heard.extend(time.monotonic() for message in line.messages() if message["event"] == "media")


def keep_talking(node: RunningNode, line: Line, bystander: Line, over: Callable[[], bool]) -> None:
    """Both callers' audio goes on, 50 times a second."""
    deadline = time.monotonic() + 20
    while not over():
        assert time.monotonic() < deadline
        line.send_if_open(wire(1, b"{}"))
        line.media()
        bystander.media()
        time.sleep(0.02)


def test_many_sockets_at_once_leave_nothing_behind(node):
    directory = node.node.directory
    assert eventually(lambda: not node.server.server_state.connections)
    lines = [node.admitted(new_call_sid()) for _ in range(50)]
    assert len(node.server.server_state.connections) == 50
    for number, line in enumerate(lines):
        line.reset() if number % 2 else line.close()
    assert eventually(lambda: not node.server.server_state.connections)
    assert node.do(lambda: directory._total_connections) == 0
