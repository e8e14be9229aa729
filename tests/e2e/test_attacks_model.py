"""The model's side gone bad: refused, rude, broken or gone, the caller is never left on a silent line.

Whatever the model does, the caller's stream is closed, the webhook behind it says an apology, and other calls go on.
"""

import base64
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from websockets.frames import Opcode

from attacker import API_KEY, AUTH_TOKEN, LIMIT_SECONDS, Line, RunningNode, eventually, new_call_sid, wire
from e2e.dialects import LIVE, MODELS, REALTIME, both
from fastbridge.model import socket as model_socket
from fastbridge.observe.log_format import Scrubber
from scripted_model import ModelLine, obliging

GONE = b"\x03\xf0"  # 1008
SPEECH = bytes(range(256)) * 40


def refuse(status: str) -> Callable[[ModelLine], None]:
    def script(model: ModelLine) -> None:
        model.head()
        body = b'{"error":{"message":"no","code":"x"}}'
        model.send(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)

    return script


def after_handshake(*sends: bytes, stay: bool = False) -> Callable[[ModelLine], None]:
    def script(model: ModelLine) -> None:
        model.accept()
        for data in sends:
            model.send(data)
        if stay:
            model.until(Opcode.CONT)  # answers nothing, and does not go
        else:
            model.listen()

    return script


def in_session(*sends: bytes) -> Callable[[ModelLine], None]:
    """What comes in the middle of a response, from a model that does not close its end either."""

    def script(model: ModelLine) -> None:
        model.ready().begin()
        model.send(wire(1, model.delta(bytes(1600)), mask=False))
        for data in sends:
            model.send(data)
        model.until(Opcode.CONT)

    return script


def drop(model: ModelLine) -> None:
    model.ready().begin()
    model.send(wire(1, model.delta(SPEECH), mask=False)[:-100])
    model.reset()


def leave(model: ModelLine) -> None:
    model.ready().begin()
    model.send(wire(1, model.delta(SPEECH[:1600]), mask=False))


def garbage(model: ModelLine) -> None:
    model.head()
    model.send(b"\x00\xffnot http at all\r\n\r\n" * 10)


def bad_accept(model: ModelLine) -> None:
    model.head()
    model.send(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"
    )
    model.until(Opcode.CONT)


BIG = model_socket.MAX_MODEL_MESSAGE_BYTES + 1
MISBEHAVIOUR: dict[str, tuple[Callable[[ModelLine], None], str]] = {
    "401": (refuse("401 Unauthorized"), "model_unavailable"),
    "429": (refuse("429 Too Many Requests"), "model_unavailable"),
    "500": (refuse("500 Internal Server Error"), "model_unavailable"),
    "a redirect to nowhere": (refuse("302 Found"), "model_unavailable"),
    "garbage": (garbage, "model_unavailable"),
    "a wrong accept key": (bad_accept, "model_unavailable"),
    "EOF for an answer": (lambda model: None, "model_unavailable"),
    "1008 at once": (after_handshake(wire(8, GONE, mask=False)), "model_unavailable"),
    "1008 at once, and stays": (after_handshake(wire(8, GONE, mask=False), stay=True), "model_unavailable"),
    "gone after the handshake": (lambda model: model.accept(), "model_unavailable"),
    "close in a session": (in_session(wire(8, GONE, mask=False)), "model_lost"),
    "a masked frame": (in_session(wire(1, b"{}")), "model_lost"),
    "RSV1": (in_session(wire(1, b"{}", reserved=4, mask=False)), "model_lost"),
    "not UTF-8": (in_session(wire(1, b'{"type":"\xff"}', mask=False)), "model_lost"),
    "oversize": (in_session(b"\x81\x7f" + BIG.to_bytes(8, "big")), "model_lost"),
    "2^63-1": (in_session(b"\x81\x7f" + (2**63 - 1).to_bytes(8, "big")), "model_lost"),
    "oversize in fragments": (
        in_session(wire(1, bytes(BIG - 1), fin=False, mask=False), wire(0, b"x", mask=False)),
        "model_lost",
    ),
    "a flood of empty fragments": (
        in_session(wire(1, b"", fin=False, mask=False), wire(0, b"", fin=False, mask=False) * 100_000),
        "model_lost",
    ),
    "RST in a frame": (drop, "model_lost"),
    "FIN in a response": (leave, "model_lost"),
}


APOLOGY = bytes(range(100, 200)) * 16
"""Our own recordings are longer than a test has time for."""


@pytest.fixture
def prompts(tmp_path):
    (tmp_path / "apology.ulaw").write_bytes(APOLOGY)
    return tmp_path


REFUSED_ALIKE = {"401", "500", "a redirect to nowhere", "garbage", "a wrong accept key", "EOF for an answer"}
"""Before anybody has said a word in either dialect: one of these, 429, will do for the second."""
MISBEHAVIOUR_IN = [(REALTIME, name) for name in MISBEHAVIOUR]
MISBEHAVIOUR_IN += [(LIVE, name) for name in MISBEHAVIOUR if name not in REFUSED_ALIKE]


@pytest.mark.parametrize(("dialect", "name"), MISBEHAVIOUR_IN)
def test_the_caller_hears_an_apology(node_with, caplog, monkeypatch, prompts, dialect, name):
    monkeypatch.setattr(model_socket, "CLOSE_GRACE_SECONDS", 0.2)  # for models that stay, at the end of the test
    script, reason = MISBEHAVIOUR[name]
    node = node_with(script=script, prompts_dir=prompts, outage_seconds=4, model=MODELS[dialect])
    call_sid = new_call_sid()
    began = time.monotonic()
    with node.started_at_once(call_sid) as line:
        audio = heard(line, 1 << 30)
        assert APOLOGY in audio
        assert time.monotonic() - began < 12, "an open line that says nothing"
    answer = node.webhook(call_sid, "/webhook/stream_ended")
    assert b"<Say>" not in answer.body, "said once"
    assert b"<Hangup" in answer.body
    assert node.node.directory.ended_reason(call_sid) == reason
    assert [record for record in caplog.records if record.levelno >= logging.ERROR and record.exc_info] == []


@both
def test_a_model_that_does_not_answer(node_with, monkeypatch, prompts, dialect):
    monkeypatch.setattr("fastbridge.node.dialler.CONNECT_SECONDS", 0.3)
    node = node_with(script=lambda model: model.until(Opcode.CONT), prompts_dir=prompts, model=MODELS[dialect])
    call_sid = new_call_sid()
    with node.started(call_sid) as line:
        assert APOLOGY in heard(line, 1 << 30)
    assert b"<Hangup" in node.webhook(call_sid, "/webhook/stream_ended").body


def test_a_caller_who_hangs_up_is_not_apologised_to(node):
    call_sid = new_call_sid()
    with node.started(call_sid):
        pass
    assert eventually(lambda: node.call(call_sid) is None)
    assert b"<Say>" not in node.webhook(call_sid, "/webhook/stream_ended").body


def harmless() -> list[bytes]:
    return [
        wire(9, b"ping", mask=False),
        wire(10, b"pong", mask=False),
        wire(2, b"binary", mask=False),
        wire(1, b"not json", mask=False),
        wire(1, b"", mask=False),
        wire(1, b"[" * 100_000, mask=False),
        wire(1, b'{"type":"response.created"}', mask=False),
        wire(1, b'{"type":"response.created","response":[]}', mask=False),
        wire(1, b'{"type":"error","error":{"code":"\\ud800","message":"\\ud800"}}', mask=False),
        wire(1, b'{"type":"unheard.of","x":"' + b"x" * 1_000_000 + b'"}', mask=False),
        wire(1, b'{"type":"response.output_audio.delta","delta":"*"}', mask=False),
        wire(1, b'{"type":"rate_lim', fin=False, mask=False) + wire(9, b"", mask=False) + wire(0, b'its"}', mask=False),
    ]


def heard(line: Line, size: int) -> bytes:
    """The caller's audio up to `size` bytes, then silence is awaited no longer."""
    audio = b""
    for message in line.messages():
        if message["event"] == "media":
            audio += base64.b64decode(message["media"]["payload"])
            if len(audio) >= size:
                break
    return audio


@pytest.mark.parametrize("cutting", ["whole", "bytes", "random"])
def test_audio_and_events_keep_their_order_however_they_are_cut(node_with, cutting):
    """Two responses, big, fragmented and odd deltas, and harmless nonsense in between: the caller hears it in order."""
    random = Random(7)
    audio = random.randbytes(60_000)
    parts = [audio[:1], audio[1:161], audio[161:4000], audio[4000:], b""]

    def script(model: ModelLine) -> None:
        model.ready()
        stream = b""
        for number, response in ((1, parts[:3]), (2, parts[3:])):
            stream += wire(1, model.event("response.created", response={"id": f"resp_{number}"}), mask=False)
            for part in response:
                event = model.delta(part, number)
                middle = len(event) // 2
                stream += random.choice(harmless())
                if random.random() < 0.5:
                    stream += wire(1, event, mask=False)
                else:
                    stream += wire(1, event[:middle], fin=False, mask=False) + wire(0, event[middle:], mask=False)
            done = {"id": f"resp_{number}", "status": "completed"}
            stream += wire(1, model.event("response.done", response=done), mask=False)
        stream += b"".join(harmless())
        for chunk in cut(stream, cutting, random):
            model.send(chunk)
        model.listen()

    node = node_with(script=script, lead_ms=2000)
    call_sid = new_call_sid()
    pad = b"\xff" * (-len(audio[:4000]) % 160)
    expected = audio[:4000] + pad + audio[4000:10_000]
    with node.started(call_sid) as line:
        assert heard(line, len(expected))[: len(expected)] == expected
        record = node.do(node.call(call_sid).record)
    assert record["pacing"]["malformed_deltas"] <= 1 + len(parts)
    assert eventually(lambda: node.call(call_sid) is None)


def cut(stream: bytes, how: str, random: Random) -> list[bytes]:
    if how == "whole":
        return [stream]
    if how == "bytes":  # the frames' heads, where it matters; all of it would take minutes
        return [*(stream[at : at + 1] for at in range(2000)), stream[2000:]]
    places = sorted(random.sample(range(len(stream)), 200))
    return [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]


@both
def test_harmless_nonsense_is_counted_and_the_call_goes_on(node_with, dialect):
    def script(model: ModelLine) -> None:
        model.ready()
        model.send(b"".join(harmless()))
        assert model.until(Opcode.PONG) == b"ping"
        model.begin()
        model.send(wire(1, model.delta(b"\x11" * 160), mask=False))
        model.end()
        model.listen()

    node = node_with(script=script, model=MODELS[dialect])
    call_sid = new_call_sid()
    malformed = 3 if dialect == LIVE else 5  # the rest are events that it does not know
    with node.started(call_sid) as line:
        assert heard(line, 160) == b"\x11" * 160
        assert eventually(lambda: node.call(call_sid).session.counters["malformed_events"] >= malformed)


@both
def test_a_stop_does_not_wait_for_a_model_that_will_not_close(node_with, dialect):
    """And leaves no socket behind: the loop closes, or this node's thread would fail the test."""
    node = node_with(script=in_session(), model=MODELS[dialect])
    with node.started(new_call_sid()) as line:
        assert line.until(Opcode.TEXT)
        began = time.monotonic()
        node.server.should_exit = True
        assert line.close_code() is not None
        line.close()
        assert eventually(lambda: not node.running)
        assert time.monotonic() - began < 6


# What stays behind


@both
def test_the_record_of_a_call_is_whole_whatever_the_model_said(node_with, tmp_path, dialect):
    transcript = 'a "\ud800" \u2028 and a \x00'

    def script(model: ModelLine) -> None:
        model.ready().begin()
        if model.live:
            model.say("session.output_transcript.delta", delta=transcript, start_ms=0, end_ms=20)
            model.deltas(bytes(1600))
        else:
            model.send(wire(1, model.delta(bytes(160)), mask=False))
            model.say("response.output_audio_transcript.done", item_id="item_1", transcript=transcript)
        model.end()
        model.listen()

    node = node_with(script=script, records_dir=tmp_path, model=MODELS[dialect])
    call_sid, item_id = new_call_sid(), "live_1" if dialect == LIVE else "item_1"
    with node.started(call_sid) as line:
        assert eventually(lambda: node.call(call_sid).session.turns.get(item_id))
        assert eventually(lambda: node.call(call_sid).session.turns[item_id].ended)
        assert eventually(lambda: not node.call(call_sid).assistant.playing)  # or its words are cut to what was heard
        line.text({"event": "stop"})
        assert line.close_code() == 1000
    path = tmp_path / f"{call_sid}.json"
    assert eventually(path.exists)
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["end_reason"] == "customer_hangup"
    assert record["turns"][0]["text"].startswith('a "')
    assert list(tmp_path.iterdir()) == [path]


@both
def test_no_secret_is_ever_logged(node_with, caplog, monkeypatch, tmp_path, dialect):
    """At the most talkative level, through the formatter, over good calls and bad ones; not even in raw records."""
    scrub = Scrubber([API_KEY, AUTH_TOKEN])
    caplog.set_level(logging.DEBUG)
    tokens = []
    for script in (obliging, refuse("401 Unauthorized"), drop):
        node = node_with(script=script, records_dir=Path(tmp_path), model=MODELS[dialect])
        call_sid = new_call_sid()
        token = node.token(call_sid)
        tokens.append(token)
        assert node.status(f"/media/{token}", "wrong") == 403
        with node.line(token) as line:
            line.start(call_sid)
            assert eventually(lambda node=node: node.node.directory.pending == 0)
            line.text({"event": "stop"})
            assert line.close_code() == 1000
    lines = [scrub(logging.Formatter().format(record)) for record in caplog.records]
    assert len(lines) > 50
    for secret in (API_KEY, AUTH_TOKEN, *tokens):
        assert [line for line in lines if secret in line] == []
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("fastbridge")]
    assert ours
    for secret in (API_KEY, AUTH_TOKEN, *tokens):
        assert [line for line in ours if secret in line] == []


# The end of the node's life


def finish(line: Line, node: RunningNode, call_sid: str) -> None:
    line.text({"event": "stop"})
    assert line.close_code() == 1000
    assert eventually(lambda: not node.running or node.call(call_sid) is None)


def drain(node: RunningNode) -> None:
    node.do(lambda: node.server.handle_exit(15, None))


def readiness(node: RunningNode) -> tuple[int, Any]:
    answer = node.request(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    return answer.status, json.loads(answer.body)["draining"]


@both
def test_a_drain_lets_live_calls_finish(node_with, dialect):
    node = node_with(model=MODELS[dialect])
    call_sid, pending = new_call_sid(), new_call_sid()
    with node.started(call_sid) as line:
        token = node.token(pending)
        assert readiness(node) == (200, False)
        drain(node)
        assert readiness(node) == (503, True)
        refused = node.webhook(new_call_sid())
        assert (refused.status, b"<Say>" in refused.body, b"<Stream" in refused.body) == (200, True, False)
        call = node.call(call_sid)
        for _ in range(20):
            line.media()
            time.sleep(0.02)
        assert eventually(lambda: call.caller.frames_in == 20)
        with node.line(token) as late:  # admitted before the drain
            late.start(pending)
            assert eventually(lambda: node.call(pending))
            finish(late, node, pending)
        assert node.running
        finish(line, node, call_sid)
        assert node.webhook(call_sid, "/webhook/stream_ended").status == 200, "Twilio asks what to do next"
        assert eventually(lambda: not node.running)


def test_a_drain_without_calls_ends_at_once(node_with):
    node = node_with()
    began = time.monotonic()
    drain(node)
    assert eventually(lambda: not node.running)
    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize("how", ["a second signal", "drain_seconds"])
def test_a_drain_has_an_end(node_with, how, tmp_path):
    node = node_with(drain_seconds=0 if how == "drain_seconds" else 3600, records_dir=tmp_path)
    call_sid = new_call_sid()
    with node.started(call_sid) as line:
        drain(node)
        if how == "a second signal":
            drain(node)
        assert line.close_code() in (1000, 1001)
    assert eventually(lambda: not node.running, LIMIT_SECONDS)
    assert json.loads((tmp_path / f"{call_sid}.json").read_text())["end_reason"] == "shutdown"
