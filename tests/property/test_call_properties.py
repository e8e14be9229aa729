"""A call under any sequence of events of the carrier, the model and time: its promises hold at every step."""

from base64 import b64decode
from collections import Counter
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from call_machine import AnyCallMachine
from fastbridge.base.prompts import Prompts
from fastbridge.errors import ModelUnavailable
from fastbridge.model.line import State
from fastbridge.model.realtime.errors import EXPECTED_ERRORS
from fastbridge.model.response_states import EXPIRIES
from helpers import FOREIGN_SID, LOUD, QUIET, SID, base64_text, mark_json, media_json
from tool_rig import quick_and_slow
from virtual import Rig

STATUSES = ["completed", "cancelled", "failed", "incomplete", "what"]
GARBAGE = [
    b"{",
    b"[]",
    b'{"event":"media"}',
    b'{"event":"mark"}',
    b'{"event":"dtmf"}',
    b'{"type":"response.done"}',
    b'{"type":"error","error":7}',
]
RESPONSES = st.integers(-3, 0)
"""Which response a model's event is about: 0 is the latest, -1 the one before."""


class CallMachine(AnyCallMachine):
    """Audio of response n is made of n, so that every frame on the wire says whose it is."""

    @initialize(
        greeting=st.sampled_from(["", "Hello!"]),
        lock=st.booleans(),
        frames=st.sampled_from([1, 5]),
        confirm_ms=st.sampled_from([0, 250]),
        ready=st.sampled_from([True, True, True, False]),
    )
    def call(self, greeting: str, lock: bool, frames: int, confirm_ms: int, ready: bool) -> None:
        options = {"barge_in_frames": frames, "barge_in_confirm_ms": confirm_ms, "max_call_seconds": 60}
        self.rig = Rig(quick_and_slow(greeting, lock), **options)
        # What we say ourselves has tests of its own: here every frame says whose it is.
        self.rig.call.fallback._prompts = Prompts({})
        self.rig.call.fallback.use = lambda *_: None  # type: ignore[method-assign]
        self.model, self.rig.model = self.rig.model, self.model_says  # type: ignore[method-assign]
        self.rig.up() if ready else self.rig.started()
        self.responses = 0
        self.turns = 0
        self.calls = 0
        self.fed: Counter[str] = Counter()  # bytes by item id
        self.silenced = 0  # responses that an interruption has ended: 1 to this
        self.interrupted: list[int] = []  # the response under way at each clear
        self.seen = 0  # entries of the journal that were looked at
        self.cut: set[str] = set()
        self.cancelled: set[str] = set()
        self.called: set[tuple[str, str, int]] = set()  # call, response, session: one that comes again is another
        self.answered: Counter[str] = Counter()
        self.first_end: str | None = None
        self.asked: set[str] = set()  # event ids of the creates
        self.under_way: str | None = None  # the response that the model makes
        self.expiries_at_beginning = 0

    def response(self, back: int) -> str:
        return f"resp_{max(self.responses + back, 0)}"

    # --- the carrier ---

    @rule(frames=st.lists(st.sampled_from([QUIET, LOUD, LOUD, LOUD]), min_size=1, max_size=8))
    def caller_says(self, frames: list[bytes]) -> None:
        self.rig.caller_says(*frames)

    @rule(frames=st.sampled_from([1, 10, 1000]))
    def frames_are_lost(self, frames: int) -> None:
        self.rig.lose(frames)

    @rule(message=st.sampled_from([*GARBAGE, mark_json(b"0:x:160"), media_json(1, base64_text(LOUD), FOREIGN_SID)]))
    def carrier_says_something_odd(self, message: bytes) -> None:
        self.rig.carrier(message)

    @rule(seconds=st.sampled_from([0.001, 0.02, 0.16, 0.5, 3.0, 9.0]), line=st.integers(0, 9))
    def time_passes(self, seconds: float, line: int) -> None:
        self.rig.advance(seconds, line=line > 0)

    # --- the model ---

    def model_says(self, event: Any) -> None:
        """A socket that is gone says nothing more."""
        if self.model_is_there:
            self.model(event)

    @property
    def model_is_there(self) -> bool:
        return self.rig.call.line.state in (State.DIALLING, State.OPENING, State.UP)

    def connecting(self) -> None:
        self.under_way = None

    @precondition(lambda self: self.rig.call.line.link is not None)
    @rule(back=st.integers(1, 2), code=st.sampled_from([1001, 1006, 1011]))
    def model_is_lost(self, back: int, code: int) -> None:
        attempt = self.rig.dialled[-min(back, len(self.rig.dialled))]
        if attempt is self.rig.attempt:
            self.under_way = None
        self.rig.do(attempt.on_model_lost, code, "")

    @rule()
    def session_is_created(self) -> None:
        self.rig.model({"type": "session.created", "session": {"id": "sess_1"}})

    @precondition(lambda self: self.rig.call.line.link is not None)
    @rule(audio_format=st.sampled_from(["audio/pcmu", "audio/pcmu", "audio/pcm"]))
    def session_is_updated(self, audio_format: str) -> None:
        self.rig.confirm(audio_format)

    @rule()
    def response_begins(self) -> None:
        """Of one that begins before its session has confirmed anything nobody knows."""
        self.responses += 1
        if self.rig.call.line.state is State.UP:
            self.under_way = f"resp_{self.responses}"
        self.expiries_at_beginning = self.expiries
        self.rig.begin(f"resp_{self.responses}", f"item_{self.responses}")

    @rule(back=RESPONSES, size=st.sampled_from([0, 1, 159, 160, 1600, 16_000]), second_item=st.booleans())
    def audio_comes(self, back: int, size: int, second_item: bool) -> None:
        number = max(self.responses + back, 0)
        item_id = f"item_{number}" + "b" * second_item
        self.fed[item_id] += size
        self.rig.delta(bytes([number % 255]) * size, f"resp_{number}", item_id)

    @rule(back=RESPONSES, words=st.sampled_from(["", "one two three"]))
    def words_come(self, back: int, words: str) -> None:
        self.rig.transcript(words, self.response(back), self.response(back).replace("resp", "item"))

    @rule(back=RESPONSES, status=st.sampled_from(STATUSES))
    def response_ends(self, back: int, status: str) -> None:
        if self.under_way == self.response(back):
            self.under_way = None
        self.rig.done(self.response(back), status)

    @rule(back=RESPONSES, name=st.sampled_from(["quick", "slow", "unknown"]), again=st.booleans())
    def model_calls(self, back: int, name: str, again: bool) -> None:
        self.calls += not again
        call_id, response_id = f"call_{self.calls}", self.response(back)
        self.called.add((call_id, response_id, len(self.rig.dialled)))
        self.rig.tool_call(call_id, name, "{}", response_id)

    @rule(kind=st.sampled_from(["speech_started", "speech_stopped", "committed"]), late=st.integers(0, 3))
    def model_hears(self, kind: str, late: int) -> None:
        """Of the turn that is being spoken, or one before. What it hears after a commit is another turn."""
        item_id = f"item_u{self.turns - (late == 0)}"
        self.turns += kind == "committed"
        self.rig.model({"type": f"input_audio_buffer.{kind}", "item_id": item_id})

    @rule(
        code=st.sampled_from(sorted(EXPECTED_ERRORS)) | st.just("conversation_already_has_active_response"),
        event_id=st.sampled_from([None, "create_1", "create_2", "create_3"]),
    )
    def model_objects(self, code: str, event_id: str | None) -> None:
        self.rig.model({"type": "error", "error": {"code": code, "event_id": event_id}})

    @rule(message=st.sampled_from(GARBAGE))
    def model_says_something_odd(self, message: bytes) -> None:
        self.rig.model(message)

    @rule(paused=st.booleans())
    def model_is_paused(self, paused: bool) -> None:
        self.rig.do(self.rig.attempt.on_model_paused, paused)

    # --- the end ---

    @rule(way=st.integers(0, 60))
    def it_ends(self, way: int) -> None:
        call = self.rig.call
        ways: list[Any] = [
            lambda: self.rig.carrier({"event": "stop", "streamSid": SID.decode()}),
            lambda: self.rig.do(call.on_carrier_closed),
            lambda: self.rig.do(call.on_carrier_status, "completed"),
            lambda: self.rig.do(call.line.give_up, ModelUnavailable("x", "http_401")),
        ]
        if way < len(ways):  # most of the time it does not
            ways[way]()
            self.rig.advance(20)
            assert not call.live

    # --- what holds ---

    def look(self) -> None:
        rig = self.rig
        rig.assert_sound()
        for entry in rig.journal[self.seen :]:
            check = getattr(self, "saw_" + entry.kind.replace(".", "_"), None)
            if check is not None:
                check(entry.message)
        self.seen = len(rig.journal)
        for number, barge_in in zip(self.interrupted, rig.call.stats.barge_ins, strict=True):
            if barge_in.outcome == "committed":
                self.silenced = max(self.silenced, number)
        self.look_at_end()

    def look_at_end(self) -> None:
        self.assert_ended_once()
        call = self.rig.call
        assert (call.end_reason is None) is call.live
        self.first_end = self.first_end or call.end_reason
        assert call.end_reason == self.first_end
        assert len(call.stats.barge_ins) == len(self.rig.written("clear"))

    def saw_clear(self, _: Any) -> None:
        """Each step is looked at, and none both clears and begins. What is committed later is silenced then."""
        if self.rig.call.stats.barge_ins[len(self.interrupted)].outcome == "committed":
            self.silenced = self.responses
        self.interrupted.append(self.responses)

    def saw_media(self, message: dict[str, Any]) -> None:
        audio = b64decode(message["media"]["payload"])
        assert len(audio) == 160
        numbers = set(audio) - {0xFF}
        assert len(numbers) <= 1, "a frame of two responses"
        assert all(number > self.silenced for number in numbers), "audio of an interrupted response"

    def saw_response_create(self, message: dict[str, Any]) -> None:
        """Each is a new request, and none is sent while another response is under way."""
        assert message["event_id"] not in self.asked
        self.asked.add(message["event_id"])
        assert self.under_way is None or self.expiries > self.expiries_at_beginning

    @property
    def expiries(self) -> int:
        """How often the model owed something for too long; what we owe is never late."""
        counters = self.rig.call.session.responses.counters
        assert counters["safety_fuse"] == 0
        return sum(counters[name] for name in EXPIRIES.values())

    def saw_response_cancel(self, message: dict[str, Any]) -> None:
        assert message["response_id"] not in self.cancelled
        self.cancelled.add(message["response_id"])

    def saw_conversation_item_truncate(self, message: dict[str, Any]) -> None:
        self.saw_cut(message)
        assert 0 < message["audio_end_ms"] <= self.fed[message["item_id"]] // 8

    def saw_conversation_item_delete(self, message: dict[str, Any]) -> None:
        self.saw_cut(message)

    def saw_cut(self, message: dict[str, Any]) -> None:
        assert message["item_id"] not in self.cut
        self.cut.add(message["item_id"])

    def saw_session_update(self, _: Any) -> None:
        """A new session is told all again, and another may be cut."""
        self.answered.clear()
        self.cut.clear()

    def saw_conversation_item_create(self, message: dict[str, Any]) -> None:
        if message["item"]["type"] != "function_call_output":
            return
        call_id = message["item"]["call_id"]
        self.answered[call_id] += 1
        assert self.answered[call_id] <= len([called for called in self.called if called[0] == call_id])


CallMachine.TestCase.settings = settings(stateful_step_count=40)
TestCall = CallMachine.TestCase
