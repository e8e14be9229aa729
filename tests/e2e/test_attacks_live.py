"""A GPT-Live model gone bad, event by event: whatever it sends, the call goes on, or ends with an apology.

What befalls a connection in either dialect is in `test_attacks_model`; here is what this dialect has of its own: events
of wrong types, a stream too fast, too slow or in pieces of any size, words and work without end. After each attack the
model speaks, and the caller must hear every byte of that.
"""

import base64
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from random import Random
from typing import Any

import pytest
from websockets.frames import Opcode

from attacker import Line, RunningNode, new_call_sid, wire
from e2e.dialects import LIVE, MODELS
from fastbridge.model.history import MAX_ARGUMENTS_CHARS, MAX_TURN_CHARS
from scripted_model import LIVE_AUDIO, SILENCE, ModelLine, live_session

WORDS = Random(1).randbytes(16_000)
"""Two seconds that are loud in every frame, and like nothing else."""
SLACK_SECONDS = 1.0
"""For a webhook beside an attack, on a busy machine."""


def event(kind: str, **fields: Any) -> bytes:
    return json.dumps({"type": kind, "event_id": "event_1", **fields}).encode()


def fragment(text: str, kind: str = "output", start_ms: int = 100, end_ms: int = 200) -> bytes:
    return event(f"session.{kind}_transcript.delta", delta=text, start_ms=start_ms, end_ms=end_ms)


def work(kind: str, work_id: str = "dlg_1", **fields: Any) -> bytes:
    return event("response.event", delegation_id=work_id, event={"type": kind, **fields})


def call(call_id: str, arguments: str = "{}", name: str = "no_such_tool") -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments, "status": "completed"}


def framed(*events: bytes) -> bytes:
    return b"".join(wire(1, each, mask=False) for each in events)


def attacked(*attacks: bytes | Callable[[ModelLine], None]) -> Callable[[ModelLine], None]:
    """A session in which these come, and then WORDS; the stream goes on."""

    def script(model: ModelLine) -> None:
        model.ready().deltas(SILENCE)
        for attack in attacks:
            if isinstance(attack, bytes):
                model.send(attack)
            else:
                attack(model)
        model.deltas(SILENCE * 12 + WORDS)
        model.listen()

    return script


@contextmanager
def called(node: RunningNode) -> Iterator[tuple[Line, str]]:
    """A call whose caller is on the line, and silent; and its id."""
    call_sid, over = new_call_sid(), threading.Event()

    def breathe(line: Line) -> None:
        with suppress(OSError):
            while not over.wait(0.02):
                line.media()

    with node.started_at_once(call_sid) as line:
        caller = threading.Thread(target=breathe, args=(line,), name="caller")
        caller.start()
        try:
            yield line, call_sid
        finally:
            over.set()
            caller.join()


def audio_of(line: Any) -> Iterator[bytes]:
    for message in line.messages():
        if message["event"] == "media":
            yield base64.b64decode(message["media"]["payload"])


def hears(line: Any, words: bytes = WORDS) -> bytes:
    """All that the caller hears up to these words, which must come."""
    heard = bytearray()
    for audio in audio_of(line):
        heard += audio
        if heard.endswith(words[-160:]) or (len(audio) > 1 and words in heard[-len(words) - 320 :]):
            break
    assert words in heard
    return bytes(heard)


def assert_nothing_broke(node: RunningNode, call_sid: str, caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    record: dict[str, Any] = node.do(node.call(call_sid).record)
    assert record["errors_by_type"].get("internal", 0) == 0
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []
    return record


@pytest.fixture
def live(node_with: Callable[..., RunningNode]) -> Callable[..., RunningNode]:
    """A node whose model plays the script in GPT-Live."""
    return lambda script, **settings: node_with(script=script, model=MODELS[LIVE], greeting_lock=False, **settings)


# Wrong types.

EVENTS: tuple[bytes, ...] = (
    event("session.started", session=live_session() | {"expires_at": 1_900_000_000}),
    event("session.updated", session=live_session()),
    fragment("words", "input"),
    fragment("words"),
    event("session.delegation.created", offset_ms=0, delegation={"id": "dlg_1", "target": "responses"}),
    work("response.created", response={"id": "resp_1"}),
    work("response.output_item.done", item=call("call_1")),
    work("response.completed", response={"id": "resp_1", "usage": {"total_tokens": 1, "input_tokens_details": {}}}),
    event("session.usage.updated", usage={"seconds": 1}),
    event("session.commentary.appended", start_ms=1, end_ms=2, client_event_id="x"),
    event("error", error={"type": "server_error", "code": "odd", "message": "no", "client_event_id": "create_1"}),
    event("info", code="odd", message="no"),
    json.dumps({"type": LIVE_AUDIO, "delta": "////"}).encode(),
)
WRONG: tuple[Any, ...] = (
    None, True, -1, 2**70, 1e308, float("inf"), "", "\ud800", "x" * 5000, [], [[{}]], {}, {"type": {"type": 1}},
)  # fmt: skip
GONE = object()


def spoilt(value: Any) -> Iterator[Any]:
    """The same object, again and again, with one thing in it that is missing or of another type."""
    for key in list(value):
        for wrong in (GONE, *WRONG):
            made = deepcopy(value)
            if wrong is GONE:
                del made[key]
            else:
                made[key] = wrong
            yield made
        if isinstance(value[key], dict):
            yield from ({**value, key: inner} for inner in spoilt(value[key]))


def test_a_wrong_type_in_any_field_of_any_event(live, caplog):
    events = [json.dumps(made).encode() for each in EVENTS for made in spoilt(json.loads(each))]
    assert len(events) > 700
    node = live(attacked(framed(*events)))
    with called(node) as (line, call_sid):
        hears(line)
        record = assert_nothing_broke(node, call_sid, caplog)
    assert record["model_line"].get("losses", 0) == 0
    assert record["model_events"]["malformed_events"] > 100


def test_a_wrong_type_in_what_ends_a_session(live, caplog):
    """However it is said, the session is over; the call has another."""
    left = [json.dumps(made).encode() for made in spoilt({"type": "session.closed", "reason": "expired", "usage": {}})]
    left = [each for each in left if b'"session.closed"' in each][:3]

    def script(model: ModelLine) -> None:
        model.ready().deltas(SILENCE)
        if left:
            model.send(framed(left.pop()))
        else:
            model.deltas(SILENCE * 12 + WORDS)
        model.listen()

    node = live(script)
    with called(node) as (line, call_sid):
        hears(line)
        record = assert_nothing_broke(node, call_sid, caplog)
    assert record["model_line"]["reconnects"] == 3


@pytest.mark.parametrize("wrong", [None, [], "audio/pcmu", {"type": "audio/pcmu"}, {"type": "audio/pcm", "rate": 8000}])
def test_a_format_that_is_not_ours_is_no_session(live, wrong):
    def script(model: ModelLine) -> None:
        model.accept()
        model.hears("session.start")
        model.say("session.started", session={"audio": {"format": wrong}})
        model.deltas(SILENCE + WORDS)
        model.listen()

    node = live(script, outage_seconds=2)
    with called(node) as (line, _):
        assert WORDS not in b"".join(audio_of(line)), "noise in somebody's ear"


# The stream.

PIECES = {
    "one sample": (1,),
    "three": (3,),
    "a byte more than a frame": (161,),
    "empty ones between": (0, 700, 0, 0, 1),
    "all sizes": tuple(Random(2).choices(range(1, 1600), k=50)),
    "all at once": (len(WORDS),),
}


@pytest.mark.parametrize("sizes", PIECES.values(), ids=PIECES)
def test_pieces_of_any_size_are_one_stream(live, sizes):
    node = live(attacked(lambda model: model.deltas(WORDS[::-1], *sizes, speed=2.0)))
    with called(node) as (line, _):
        assert WORDS[::-1] in hears(line)


@pytest.mark.parametrize("speed", [0.4, 20.0])
def test_a_stream_of_another_speed_is_heard_whole(live, caplog, speed):
    words = Random(3).randbytes(16_000)
    node = live(attacked(lambda model: model.deltas(words, speed=speed)))
    with called(node) as (line, call_sid):
        assert words in hears(line)
        record = assert_nothing_broke(node, call_sid, caplog)
    assert record["model_line"].get("losses", 0) == 0


JUNK = ["*", "A", "AA=", "=", "AAAA====", "//// ////", "////\\n", "\\u0041AAA", "\\u0000", "\xe9\xe9", "A" * 1_000_001]


def test_what_is_no_base64_is_left_out(live, caplog):
    messages = [f'{{"type":"{LIVE_AUDIO}","delta":"{junk}"}}'.encode() for junk in JUNK]
    node = live(attacked(framed(*messages * 3)))
    with called(node) as (line, call_sid):
        hears(line)
        record = assert_nothing_broke(node, call_sid, caplog)
    assert record["pacing"]["malformed_deltas"] >= 3 * 7


# Without end.


@contextmanager
def beside(node: RunningNode) -> Iterator[list[float]]:
    """Requests of others meanwhile: the seconds that each took."""
    over, seconds = threading.Event(), list[float]()

    def ask() -> None:
        while not over.wait(0.05):
            began = time.monotonic()
            with suppress(OSError):
                node.request(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            seconds.append(time.monotonic() - began)

    thread = threading.Thread(target=ask, name="others")
    thread.start()
    try:
        yield seconds
    finally:
        over.set()
        thread.join()


FLOODS: dict[str, bytes] = {
    "words of the assistant's": framed(fragment("and on and on ")) * 60_000,
    "words of the caller's": framed(fragment("and on and on ", "input")) * 60_000,
    "words in one message": framed(fragment("on " * 1_300_000)) + framed(fragment("on " * 1_300_000, "input")),
    "one word in one message": framed(fragment("x" * 3_900_000)) + framed(fragment("x" * 3_900_000, "input")),
    "unknown events": framed(event("session.something_new", value=list(range(20)))) * 60_000,
    "what is no JSON": framed(b"[" * 3000) * 600,
    "errors": framed(event("error", error={"type": "server_error", "code": "x", "message": "y" * 100})) * 3000,
    "empty audio": framed(json.dumps({"type": LIVE_AUDIO, "delta": ""}).encode()) * 60_000,
    "work": framed(event("session.delegation.created", delegation={"id": "x"})) * 20_000
    + b"".join(framed(work("response.created", f"dlg_{number}")) for number in range(20_000)),
    "binary frames": wire(2, b"\xff" * 4000, mask=False) * 2000,
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_is_borne_and_others_are_served(live, caplog, name):
    flood = FLOODS[name]
    done: list[float] = []

    def attack(model: ModelLine) -> None:
        if "words" in name or "word" in name:
            model.deltas(SILENCE + WORDS[:1600])  # they are somebody's
        model.send(flood)
        model.send(wire(9, b"over", mask=False))
        assert model.until(Opcode.PONG) == b"over"
        done.append(time.monotonic())

    node = live(attacked(attack))
    with called(node) as (line, call_sid):
        began = time.monotonic()
        with beside(node) as seconds:
            hears(line)
        assert_nothing_broke(node, call_sid, caplog)
        turns = node.call(call_sid).session.turns.values()
        assert all(len(turn.text) <= MAX_TURN_CHARS for turn in turns)
    assert done[0] - began < 30
    assert max(seconds) < SLACK_SECONDS, f"{max(seconds):.1f} s"


@pytest.mark.parametrize("calls", [40, 1000])
def test_calls_without_end_are_each_answered_and_the_work_goes_on(live, caplog, calls):
    """What is not answered the service waits for, and the caller with it."""
    outputs: list[str] = []
    went_on: list[bool] = []

    def attack(model: ModelLine) -> None:
        model.send(framed(event("session.delegation.created", delegation={"id": "dlg_1"}), work("response.created")))
        for number in range(calls):
            model.send(framed(work("response.output_item.done", item=call(f"call_{number}"))))
        model.send(framed(work("response.completed", response={"id": "resp_1"})))
        for message in model.messages():
            if message["type"] == "response.item.create":
                outputs.append(message["item"]["call_id"])
            elif message["type"] == "response.create":
                went_on.append(True)
                break

    node = live(attacked(attack))
    with called(node) as (line, call_sid):
        hears(line)
        assert_nothing_broke(node, call_sid, caplog)
    assert outputs == [f"call_{number}" for number in range(calls)]
    assert went_on


def test_arguments_without_end_are_no_arguments(live, caplog):
    items = [call(f"call_{number}", json.dumps({"x": "y" * 3_000_000})) for number in range(5)]
    events = [work("response.output_item.done", item=item) for item in items]
    node = live(attacked(framed(work("response.created"), *events)))
    with called(node) as (line, call_sid):
        hears(line)
        assert_nothing_broke(node, call_sid, caplog)
        kept = node.call(call_sid).session.tool_calls
    assert [len(each.arguments) for each in kept] == [MAX_ARGUMENTS_CHARS] * 5
