"""A call to a GPT-Live model under any sequence of events of the carrier, the model and time.

Its promises hold at every step. What `test_call_properties` is for the Realtime API; here audio is one stream, and an
utterance has no name.
"""

from collections import Counter
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from call_machine import AnyCallMachine
from fastbridge.errors import ModelUnavailable
from fastbridge.model.line import State
from helpers import LOUD, QUIET, SID
from live_rig import LiveRig
from tool_rig import quick_and_slow

GARBAGE: list[Any] = [
    b"{",
    b"[]",
    {"type": "session.output_audio.delta", "delta": "not base64!"},
    {"type": "session.output_transcript.delta", "delta": {}, "start_ms": -1, "end_ms": "x"},
    {"type": "session.input_transcript.delta"},
    {"type": "session.delegation.created", "delegation": None},
    {"type": "response.event", "event": {"type": "response.output_item.done", "item": {"type": "function_call"}}},
    {"type": "session.usage.updated", "usage": {"seconds": "many"}},
    {"type": "session.started", "session": {}},
    {"type": "session.updated"},
    {"type": "error", "error": 7},
]
CODES = ["server_error", "rate_limit_exceeded", "something_new", "session_expired"]
WORK = st.sampled_from(["dlg_1", "dlg_2", ""])
NAMES = st.sampled_from(["quick", "slow", "unknown", ""])


class LiveCallMachine(AnyCallMachine):
    """What is asked and answered is counted over all sessions: their ids begin anew in none."""

    @initialize(
        greeting=st.sampled_from(["", "Hello!"]), lock=st.booleans(), ready=st.sampled_from([True, True, False])
    )
    def call(self, greeting: str, lock: bool, ready: bool) -> None:
        self.rig = LiveRig(quick_and_slow(greeting, lock), max_call_seconds=120)
        self.rig.up() if ready else self.rig.started()
        self.calls = self.seen = 0
        self.answered: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.called: Counter[str] = Counter()

    def model(self, event: Any) -> None:
        """A socket that is gone says nothing more."""
        if self.rig.call.line.state in (State.OPENING, State.UP):
            self.rig.model(event)

    # --- the carrier, and time ---

    @rule(frames=st.lists(st.sampled_from([QUIET, LOUD, LOUD, LOUD]), min_size=1, max_size=40))
    def caller_says(self, frames: list[bytes]) -> None:
        self.rig.line += frames

    @rule(seconds=st.sampled_from([0.02, 0.2, 0.5, 1.0, 3.0, 9.0]), streams=st.integers(0, 9), line=st.integers(0, 9))
    def time_passes(self, seconds: float, streams: int, line: int) -> None:
        self.rig.streaming = streams > 0 and self.rig.call.line.state is State.UP
        self.rig.advance(seconds, line=line > 0)

    # --- the model ---

    @rule(seconds=st.sampled_from([0.02, 0.3, 1.0, 4.0]), pause=st.sampled_from([0.1, 0.4, 1.0]))
    def it_speaks(self, seconds: float, pause: float) -> None:
        self.rig.voice += [LOUD] * round(seconds * 50) + [b"\xff" * 160] * round(pause * 50)

    @rule(late=st.sampled_from([-400, 0, 3000]), length=st.sampled_from([0, 200]), ours=st.booleans())
    def words_come(self, late: int, length: int, ours: bool) -> None:
        start_ms = max(self.rig.stream_ms - late, 0)
        kind = f"session.{'output' if ours else 'input'}_transcript.delta"
        self.model({"type": kind, "delta": " word", "start_ms": start_ms, "end_ms": start_ms + length})

    @rule(work=WORK)
    def it_hands_on(self, work: str) -> None:
        self.model({"type": "session.delegation.created", "delegation": {"id": work}})

    @rule(work=WORK, name=NAMES, again=st.booleans())
    def a_tool_is_called(self, work: str, name: str, again: bool) -> None:
        self.calls += not again
        call_id = f"call_{self.calls}"
        self.called[call_id] += 1
        item = {"type": "function_call", "call_id": call_id, "name": name, "arguments": "{}", "status": "completed"}
        event = {"type": "response.output_item.done", "item": item}
        self.model({"type": "response.event", "delegation_id": work, "event": event})

    @rule(
        work=WORK,
        kind=st.sampled_from(["created", "completed", "failed", "in_progress"]),
    )
    def it_works(self, work: str, kind: str) -> None:
        self.model({"type": "response.event", "delegation_id": work, "event": {"type": f"response.{kind}"}})

    @rule(code=st.sampled_from(CODES), number=st.integers(0, 4))
    def it_objects(self, code: str, number: int) -> None:
        error = {"type": "server_error", "code": code, "message": "No."}
        self.model({"type": "error", "error": {**error, "client_event_id": f"create_{number}" if number else None}})

    @rule(message=st.sampled_from(GARBAGE))
    def it_says_something_odd(self, message: Any) -> None:
        self.model(message)

    @rule(reason=st.sampled_from(["expired", "content", ""]))
    def it_ends_the_session(self, reason: str) -> None:
        self.model({"type": "session.closed", "reason": reason, "usage": {"seconds": 3}})

    @precondition(lambda self: self.rig.call.line.state is State.OPENING)
    @rule()
    def the_session_starts(self) -> None:
        self.rig.started_session(len(self.rig.model_links))

    @precondition(lambda self: self.rig.call.line.link is not None)
    @rule(code=st.sampled_from([1001, 1006, 1011]))
    def it_is_lost(self, code: int) -> None:
        self.rig.do(self.rig.attempt.on_model_lost, code, "")

    # --- the end ---

    @rule(way=st.integers(0, 40))
    def it_ends(self, way: int) -> None:
        call = self.rig.call
        ways: list[Any] = [
            lambda: self.rig.carrier({"event": "stop", "streamSid": SID.decode()}),
            lambda: self.rig.do(call.on_carrier_closed),
            lambda: self.rig.do(call.line.give_up, ModelUnavailable("x", "http_401")),
        ]
        if way < len(ways):  # most of the time it does not
            ways[way]()
            self.rig.streaming = False
            self.rig.advance(20)
            assert not call.live

    # --- what holds ---

    def look(self) -> None:
        rig, call = self.rig, self.rig.call
        rig.assert_sound()
        assert call.session.responses.counters["safety_fuse"] == 0
        for entry in rig.journal[self.seen :]:
            if entry.to == "model":
                self.saw(entry.message)
        self.seen = len(rig.journal)
        self.assert_ended_once()

    def saw(self, message: dict[str, Any]) -> None:
        """No call is answered more often than it was made, and nothing is asked for more than twice."""
        if message["type"] == "response.item.create":
            call_id = message["item"]["call_id"]
            self.answered[call_id] += 1
            assert self.answered[call_id] <= self.called[call_id]
        if "event_id" in message and message["type"].endswith(".append"):
            self.asked[message["event_id"]] += 1
            assert self.asked[message["event_id"]] <= 2


LiveCallMachine.TestCase.settings = settings(stateful_step_count=30)
TestLiveCall = LiveCallMachine.TestCase
