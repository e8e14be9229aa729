"""A call through up to three faults of the service's, any of them at any moment: its caller is never left alone.

What the service cannot do to a session on one TCP connection is left out: audio and the beginning of a response are not
lost, and come in their place. (What is dropped for that reason the caller cannot hear.)
"""

import os
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from fastbridge.sim.disruption import (
    Disruption,
    Drop,
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
from fastbridge.sim.faults import AUDIO, CATALOGUE, Fault
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

to_connection = st.builds(
    Disruption,
    st.builds(
        On, st.sampled_from(EVENTS + REQUESTS), NTH, after_ms=st.sampled_from([0.0, 60.0, 300.0, 1000.0, 3000.0])
    ),
    st.sampled_from(TO_CONNECTION),
)
to_event = st.builds(Disruption, st.builds(On, st.sampled_from(EVENTS), NTH), st.sampled_from(TO_EVENT)).filter(
    lambda each: each.when.type not in IN_PLACE or isinstance(each.what, Repeat)
)
to_request = st.sampled_from(sorted(REFUSALS)).flatmap(
    lambda kind: st.builds(Disruption, st.builds(On, st.just(kind), NTH), st.just(Reject(REFUSALS[kind], "No.")))
)
besides = st.none() | st.sampled_from([fault for fault in CATALOGUE if "before created" not in fault.name])


def together(disruptions: list[Disruption], besides: Fault | None, *, for_ever: bool) -> Fault:
    """All of it in the first session, or in each."""

    def script(base: Scenario, attempt: int) -> Scenario:
        scenario = base if besides is None else besides.script(base, attempt)
        if attempt and not for_ever:
            return scenario
        return replace(scenario, disruptions=[*scenario.disruptions, *disruptions])

    return Fault("several", "Several at once.", script)


@settings(derandomize=EVERY_DAY)
@given(
    st.lists(to_connection | to_event | to_request, min_size=1, max_size=3),
    besides,
    st.booleans(),
    st.sampled_from(["greeting", "answer", "idle", "barge_in", "late_barge_in", "tool"]),
    st.sampled_from([1.1, 2.0, 6.0, 40.0]),
)
def test_the_caller_is_never_left_alone(disruptions, besides, for_ever, scene, speed):
    play = Play(together(disruptions, besides, for_ever=for_ever), scene, speed=speed)
    stage = play.stage()
    try:
        play.perform(stage)
        assert_never_left_alone(stage)
        assert counted(stage, "responses.safety_fuse") == 0
        assert not [error for error in stage.call.record()["errors"] if str(error).startswith("internal")]
    finally:
        stage.shut()
