"""A call through up to three faults of the service's, any of them at any moment: its caller is never left alone.

In either dialect. What the service cannot do to a session on one TCP connection is left out: audio and the beginning of
a response are not lost, and come in their place. (What is dropped for that reason the caller cannot hear.) A piece of
GPT-Live's audio is not sent twice either: it has no name, and would be said twice.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialects import CATALOGUES, EXPIRED, LIVE, REALTIME, dialects_of
from fastbridge.sim.disruption import (
    EVERY,
    Disruption,
    Drop,
    Gap,
    Jitter,
    Lose,
    On,
    Postpone,
    Reject,
    Repeat,
    Send,
    Stall,
    StopReading,
)
from fastbridge.sim.faults import AUDIO, Fault
from fastbridge.sim.live_wire import AUDIO as STREAM
from fastbridge.sim.scenario import Scenario
from plays import Play, assert_never_left_alone, counted

EVENTS = [
    "session.created",
    "session.updated",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    "conversation.item.input_audio_transcription.completed",
    "response.created",
    "response.output_item.added",
    "response.content_part.added",
    AUDIO,
    "response.output_audio.done",
    "response.output_audio_transcript.delta",
    "response.output_audio_transcript.done",
    "response.function_call_arguments.done",
    "response.output_item.done",
    "response.done",
]
IN_PLACE = (AUDIO, "response.created")
REQUESTS = ["response.create", "response.cancel", "conversation.item.truncate", "conversation.item.create"]
REFUSALS = {
    "response.create": "conversation_already_has_active_response",
    "response.cancel": "response_cancel_not_active",
    "conversation.item.truncate": "item_truncate_invalid_item_id",
}
TO_CONNECTION = [
    Drop(),
    Drop(1011, "internal error"),
    Drop(1001, "maximum duration"),
    Stall(500),
    Stall(3000),
    Stall(6000),
    Jitter(300),
    StopReading(1000),
    StopReading(4000),
    Send({"type": "response.created"}),
    Send("{"),
]
TO_EVENT = [Lose(), Repeat(0), Repeat(500), Repeat(3000), Postpone(50), Postpone(3000), Postpone(9000)]
NTH = st.sampled_from([1, 1, 2, 2, 3, 5, 9])
AFTER_MS = st.sampled_from([0.0, 60.0, 300.0, 1000.0, 3000.0])
EVERY_DAY = os.environ.get("HYPOTHESIS_PROFILE", "default") == "default"
"""Then the same calls each time; the other profiles search."""

LIVE_EVENTS = [
    "session.started",
    "session.updated",
    "session.input_transcript.delta",
    "session.output_transcript.delta",
    "session.delegation.created",
    "response.event",
    "session.usage.updated",
    "session.commentary.appended",
    "session.instructions.appended",
    "session.thinking.appended",
]
LIVE_REQUESTS = ["session.start", *(f"session.{kind}.append" for kind in ("commentary", "instructions", "thinking"))]
LIVE_REFUSALS = dict.fromkeys(("session.update", "response.create", *LIVE_REQUESTS[1:]), "server_error")
TO_STREAM = [Gap(1500, STREAM), Gap(4000, STREAM), Gap(EVERY, STREAM), EXPIRED, Send({"type": "session.started"})]


@dataclass(frozen=True)
class Words:
    """What can happen, in a dialect's words. often: the events that come so often that their number says when."""

    events: Sequence[str]
    often: Sequence[str]
    requests: Sequence[str]
    refusals: dict[str, str]
    to_connection: Sequence[object]

    def disruptions(self) -> st.SearchStrategy[list[Disruption]]:
        moments = st.builds(On, st.sampled_from([*self.events, *self.requests]), NTH, after_ms=AFTER_MS)
        places = st.builds(On, st.sampled_from(self.often), st.sampled_from([1, 5, 30, 60, 100]), after_ms=AFTER_MS)
        to_connection = st.builds(Disruption, moments | places, st.sampled_from(self.to_connection))
        events = st.builds(On, st.sampled_from(self.events), NTH)
        to_event = st.builds(Disruption, events, st.sampled_from(TO_EVENT)).filter(
            lambda each: each.when.type not in IN_PLACE or isinstance(each.what, Repeat)
        )
        to_request = st.sampled_from(sorted(self.refusals)).flatmap(
            lambda kind: st.builds(
                Disruption, st.builds(On, st.just(kind), NTH), st.just(Reject(self.refusals[kind], "No."))
            )
        )
        return st.lists(to_connection | to_event | to_request, min_size=1, max_size=3)


PATIENCE_SECONDS = {REALTIME: 45.0, LIVE: 75.0}
"""Work that GPT-Live has handed on, and that comes to nothing, is waited for twice, 25 s each, in company."""
WORDS = {
    REALTIME: Words(EVENTS, [AUDIO], REQUESTS, REFUSALS, TO_CONNECTION),
    LIVE: Words(LIVE_EVENTS, [STREAM], LIVE_REQUESTS, LIVE_REFUSALS, [*TO_CONNECTION, *TO_STREAM]),
}


def besides(dialect: str) -> st.SearchStrategy[Fault | None]:
    return st.none() | st.sampled_from([each for each in CATALOGUES[dialect] if "before created" not in each.name])


def together(disruptions: list[Disruption], besides: Fault | None, *, for_ever: bool) -> Fault:
    """All of it in the first session, or in each."""

    def script(base: Scenario, attempt: int) -> Scenario:
        scenario = base if besides is None else besides.script(base, attempt)
        if attempt and not for_ever:
            return scenario
        return replace(scenario, disruptions=[*scenario.disruptions, *disruptions])

    return Fault("several", "Several at once.", script)


@pytest.mark.timeout(600)  # a hundred calls, of which some last minutes
@pytest.mark.parametrize("dialect", dialects_of("test_the_caller_is_never_left_alone"))
@settings(derandomize=EVERY_DAY)
@given(
    st.data(),
    st.booleans(),
    st.sampled_from(["greeting", "answer", "idle", "barge_in", "late_barge_in", "tool"]),
    st.sampled_from([1.1, 2.0, 6.0, 40.0]),
)
def test_the_caller_is_never_left_alone(dialect, data, for_ever, scene, speed):
    disruptions = data.draw(WORDS[dialect].disruptions())
    beside = data.draw(besides(dialect))
    play = Play(together(disruptions, beside, for_ever=for_ever), scene, dialect, speed=speed)
    stage = play.stage()
    stage.patience_seconds = PATIENCE_SECONDS[dialect]
    try:
        play.perform(stage)
        assert_never_left_alone(stage)
        assert counted(stage, "responses.safety_fuse") == 0
        assert not [error for error in stage.call.record()["errors"] if str(error).startswith("internal")]
    finally:
        stage.shut()
