import itertools
import json
import random
from base64 import b64decode
from typing import Any

import pytest

from fastbridge.sim.items import Conversation
from fastbridge.sim.response import STEADY_DELTA_BYTES, WORD_MS, ResponseRun, ResponseSettings, cut, words
from fastbridge.sim.scenario import CallTool, Fail, Incomplete, Say, Scenario, Stuck
from fastbridge.sim.wire import Event, Ids
from model_client import configured

SETTINGS: dict[str, Any] = {
    "output_modalities": ["audio"],
    "max_output_tokens": "inf",
    "audio": {"output": {"format": {"type": "audio/pcmu"}, "voice": "marin", "speed": 1.0}},
}


class Made:
    """A response and everything it handed out, with times."""

    def __init__(self, *turn: Any, params: dict[str, Any] | None = None, **scenario: Any) -> None:
        self.conversation = Conversation("conv_1")
        self.run = ResponseRun(
            turn,
            ResponseSettings.merged(SETTINGS, params or {}),
            self.conversation,
            Scenario(**scenario),
            Ids("ids"),
            random.Random(7),
            0.0,
        )
        self.events: list[tuple[float, Event]] = []

    def until(self, end_ms: float = 1e9) -> "Made":
        while (due_ms := self.run.due_ms) is not None and due_ms <= end_ms:
            self.events += [(due_ms, event) for event in self.run.take()]
        return self

    @property
    def types(self) -> list[str]:
        return [event.type for _, event in self.events]

    def bodies(self, kind: str) -> list[dict[str, Any]]:
        return [event.body for _, event in self.events if event.type == kind]

    @property
    def done(self) -> dict[str, Any]:
        body: dict[str, Any] = self.bodies("response.done")[0]["response"]
        return body


SPEECH_ORDER = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "response.output_item.done",
    "conversation.item.done",
    "response.done",
    "rate_limits.updated",
]


def test_speech_comes_in_the_order_of_the_service() -> None:
    assert Made(Say("Sure", b"\x10" * 700)).until().types == SPEECH_ORDER


def test_audio_and_transcript_arrive_whole() -> None:
    made = Made(Say("Hello, this is a longer sentence.", b"\x10\x20\x30" * 9000)).until()
    item = made.run.items[0]
    assert bytes(item.audio) == b"\x10\x20\x30" * 9000
    assert "".join(body["delta"] for body in made.bodies("response.output_audio_transcript.delta")) == (
        "Hello, this is a longer sentence."
    )
    assert made.done["output"] == [item.view()]
    assert item.status == "completed"
    assert made.done["usage"]["output_token_details"]["audio_tokens"] == 3375 // 50


def test_ids_stand_in_the_order_of_the_service() -> None:
    made = Made(Say("Sure", b"\x10" * 700)).until()
    keys = {event.type: list(event.body) for _, event in made.events}
    ids = ["response_id", "item_id", "output_index", "content_index"]
    assert keys["response.output_audio.delta"] == [*ids, "delta"]
    assert keys["response.output_audio_transcript.delta"] == [*ids, "delta", "obfuscation"]
    assert keys["response.output_audio.done"] == ids
    assert keys["response.content_part.done"] == [*ids, "part"]
    assert keys["response.output_item.added"] == ["response_id", "output_index", "item"]
    assert keys["conversation.item.added"] == ["previous_item_id", "item"]


def test_audio_comes_faster_than_it_plays_and_not_before_its_time() -> None:
    made = Made(Say("a b c d e f g h " * 20, b"\x10" * 240_000), speed=6.0, first_delta_ms=150.0).until()
    deltas = [(at, event.body["delta"]) for at, event in made.events if event.type == "response.output_audio.delta"]
    times = [at for at, _ in deltas]
    assert times[0] == 150.0
    assert 0.8 < (times[-1] - times[0]) / (30_000 / 6) < 1.2
    steady = {
        round(later - at, 3)
        for (at, delta), (later, _) in itertools.pairwise(deltas)
        if len(b64decode(delta)) == STEADY_DELTA_BYTES
    }
    assert len(steady) > 10, "equal deltas do not arrive evenly"


def test_a_call_in_the_order_of_the_service() -> None:
    made = Made(CallTool("look_up", {"city": "Haifa"})).until()
    assert sorted(set(made.types), key=made.types.index) == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
        "rate_limits.updated",
    ]
    done = made.bodies("response.function_call_arguments.done")[0]
    assert list(done) == ["response_id", "item_id", "output_index", "call_id", "name", "arguments"]
    assert json.loads(done["arguments"]) == {"city": "Haifa"}
    assert made.done["output"][0]["call_id"] == done["call_id"]
    assert made.bodies("response.output_item.added")[0]["item"]["arguments"] == ""


def test_several_outputs_are_numbered() -> None:
    made = Made(Say("One moment.", b"\x10" * 80), CallTool("a"), CallTool("b")).until()
    assert [body["output_index"] for body in made.bodies("response.output_item.done")] == [0, 1, 2]
    assert len({item["call_id"] for item in made.done["output"][1:]}) == 2
    assert made.events[-1][0] == 150.0 + 2 * WORD_MS, "only the first output waits for the model"


def test_text_instead_of_audio() -> None:
    made = Made(Say("Just text."), params={"output_modalities": ["text"]}).until()
    assert made.bodies("response.output_text.done")[0]["text"] == "Just text."
    assert made.bodies("response.content_part.added")[0]["part"] == {"type": "text", "text": ""}
    assert made.done["output"][0]["content"] == [{"type": "output_text", "text": "Just text."}]
    assert not made.run.audio_was_sent


def test_a_reply_without_sound_is_a_whole_reply() -> None:
    made = Made(Say("", b"")).until()
    assert "response.output_audio.delta" not in made.types
    assert made.done["status"] == "completed"


def test_a_failure_takes_its_time_and_has_no_items() -> None:
    made = Made(Fail("rate_limit_exceeded", "Slow down.", "invalid_request_error"), first_delta_ms=200.0).until()
    assert made.types == ["response.created", "response.done", "rate_limits.updated"]
    assert [at for at, _ in made.events] == [0.0, 100.0, 100.0]
    error = {"type": "invalid_request_error", "code": "rate_limit_exceeded", "message": "Slow down."}
    assert (made.done["status"], made.done["status_details"]) == ("failed", {"type": "failed", "error": error})
    assert made.done["output"] == []


@pytest.mark.parametrize(
    ("ending", "status"), [(Fail(), "failed"), (Incomplete("content_filter"), "incomplete")], ids=["fail", "incomplete"]
)
def test_an_ending_after_speech_leaves_the_item_incomplete(ending: Any, status: str) -> None:
    made = Made(Say("Well", b"\x10" * 700), ending).until()
    assert made.types == SPEECH_ORDER
    assert (made.done["status"], made.done["output"][0]["status"]) == (status, "incomplete")
    assert made.run.audio_was_sent


def test_a_cancelled_response_ends_with_the_whole_tail() -> None:
    made = Made(Say("A long, long story.", b"\x10" * 80_000)).until(400.0)
    sent = len(made.run.items[0].audio)
    made.run.cancel(400.0)
    assert not made.run.cancellable
    made.until()
    assert made.types[-7:] == SPEECH_ORDER[-7:]
    assert made.done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert made.done["output"][0]["status"] == "incomplete"
    assert 0 < len(made.run.items[0].audio) == sent < 80_000
    heard = "".join(body["delta"] for body in made.bodies("response.output_audio_transcript.delta"))
    assert made.done["output"][0]["content"][0]["transcript"] == heard
    assert made.run.done_ms == 400.0


def test_deltas_go_on_until_the_cancellation_takes_hold() -> None:
    made = Made(Say("x", b"\x10" * 80_000)).until(400.0)
    before = len(made.run.items[0].audio)
    made.run.cancel(500.0)
    made.until()
    assert len(made.run.items[0].audio) > before
    assert made.run.done_ms == 500.0


def test_a_response_that_completes_first_is_completed() -> None:
    made = Made(Say("Hi", b"\x10" * 80)).until(0.0)
    made.run.cancel(10_000.0)
    made.until()
    assert made.done["status"] == "completed"
    assert made.run.due_ms is None
    assert made.types.count("response.done") == 1


@pytest.mark.parametrize(
    ("at_ms", "expected"),
    [
        (0.0, ["response.done", "rate_limits.updated"]),
        (75.0, [*SPEECH_ORDER[6:]]),
    ],
    ids=["before the item", "before the audio"],
)
def test_cut_at_once_at_any_stage(at_ms: float, expected: list[str]) -> None:
    made = Made(Say("Hi", b"\x10" * 8000)).until(at_ms)
    tail = made.run.cut("turn_detected", at_ms)
    assert [event.type for event in tail] == expected
    assert made.run.due_ms is None
    assert made.run.details == {"type": "cancelled", "reason": "turn_detected"}


def test_a_cut_call_has_done_arguments_too() -> None:
    made = Made(CallTool("f", {"key": "a long argument value"})).until(180.0)
    tail = made.run.cut("client_cancelled", 180.0)
    assert tail[0].type == "response.function_call_arguments.done"
    assert 0 < len(tail[0].body["arguments"]) < len('{"key":"a long argument value"}')
    assert made.run.items[0].status == "incomplete"


def test_outside_the_conversation_no_item_joins_it() -> None:
    made = Made(Say("Aside", b"\x10" * 80), params={"conversation": "none", "metadata": {"purpose": "check"}}).until()
    assert not [kind for kind in made.types if kind.startswith("conversation.")]
    assert made.conversation.order == []
    assert made.run.items[0].id in made.conversation.items
    assert (made.done["conversation_id"], made.done["metadata"]) == (None, {"purpose": "check"})


def test_a_transcript_that_was_truncated_away_stays_away() -> None:
    made = Made(Say("one two three four five six", b"\x10" * 40_000)).until(200.0)
    assert made.run.items[0].truncate(0, 10) is None
    made.until()
    assert made.done["output"][0]["content"][0]["transcript"] is None
    assert made.bodies("response.output_audio_transcript.done")[0]["transcript"] == ""


@pytest.mark.parametrize("text", ["", "one", "two words", " odd  spacing "])
def test_words_join_to_the_text(text: str) -> None:
    assert "".join(words(text)) == text


def test_deltas_are_uneven_and_lose_nothing() -> None:
    audio = bytes(range(256)) * 4000
    pieces = cut(audio, random.Random(1))
    sizes = [len(piece) for piece in pieces]
    assert b"".join(pieces) == audio
    assert sizes[0] == 800
    assert 0 in sizes
    assert any(size % 2 for size in sizes)
    assert max(sizes) > 4000
    assert cut(audio, random.Random(1)) == pieces
    assert cut(b"", random.Random(1)) == []


def test_a_stuck_response_ends_only_by_a_cancellation() -> None:
    made = configured(Scenario(greeting=(Say("Half a", b"\x20" * 800), Stuck())))
    made.send("response.create")
    made.run(60_000)
    assert made.audio() == b"\x20" * 800
    assert made.of("response.done") == []
    assert made.session.active is not None
    made.send("response.cancel", response_id=made.session.active.id)
    assert made.run_until("response.done")["response"]["status"] == "cancelled"


def test_it_may_speak_in_another_format_than_it_says() -> None:
    say = Say("Hello.", bytes(range(0, 240, 3)) * 20)
    agreed, other = Made(say).until(), Made(say, speaks={"type": "audio/pcm", "rate": 24_000}).until()
    sizes = [
        [len(b64decode(body["delta"])) for body in made.bodies("response.output_audio.delta")]
        for made in (agreed, other)
    ]
    assert sizes[1] == [6 * size for size in sizes[0]]
    assert other.done["audio"] == agreed.done["audio"], "which is what it says"
