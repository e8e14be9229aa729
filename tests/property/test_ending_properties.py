"""Responses that end in any way, one after another: the caller's turn has its answer, a question, or a goodbye.

Every status and every reason, before the first sound or in the middle of a sentence, with function calls that are whole
or broken off, in the greeting, an answer, what follows a tool or an interruption. And whatever is owed has a deadline.
"""

import os
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from fastbridge.sim.faults import Fault
from fastbridge.sim.scenario import CallTool, Cancelled, Ends, Fail, Incomplete, ResponseRequest, Say, Scenario, Turn
from plays import LINES, Play, assert_never_left_alone, counted, script, tool_script
from stage import Stage

EVERY_DAY = os.environ.get("HYPOTHESIS_PROFILE", "default") == "default"
"""Then the same calls each time; the other profiles search."""
HALF = Say("We are open from")
CALL = CallTool("hours", {"day": "Monday"})
ENDINGS = [
    None,
    Incomplete("max_output_tokens"),
    Incomplete("content_filter"),
    Cancelled("turn_detected"),
    Cancelled("client_cancelled"),
    Ends("paused"),
    Ends("None"),
    Fail("server_error"),
    Fail("rate_limit_exceeded"),
    Fail(None),
]
OUTPUTS = [(), (HALF,), (CALL,), (HALF, CALL), (CALL, CALL), (Say("", b""),), (Say("", b""), CALL)]

turns = st.tuples(st.sampled_from(OUTPUTS), st.sampled_from(ENDINGS)).map(
    lambda parts: (*parts[0], parts[1]) if parts[1] is not None else parts[0]
)


def is_half_an_answer(turn: Turn) -> bool:
    """After three of them in a row there is no other: the limit is the operator's own."""
    return HALF in turn and isinstance(turn[-1], Incomplete | Cancelled)


def wrong(turns: list[Turn], first: int, *, one_id: bool, for_ever: bool) -> Fault:
    """From the response of that number on these are made, once, or again and again; then the service is well again."""

    def of(base: Scenario, attempt: int) -> Scenario:
        base = replace(base, call_id="call_0" if one_id else None)
        if attempt and not for_ever:
            return base

        def decide(request: ResponseRequest) -> Turn:
            index = request.index - first
            if index < 0 or not (index < len(turns) or for_ever):
                return base.turn_for(request)
            return turns[index % len(turns)]

        return replace(base, script=decide)

    return Fault("endings", "Responses that end as they like.", of)


class WatchedStage(Stage):
    """Looks every tick whether what is owed has an owner."""

    def _tick(self) -> None:
        super()._tick()
        turns, answers, responses = self.call.turns, self.call.answers, self.call.session.responses
        if not (self.call.live and turns.owed) or turns.speaking or self.call.fallback.ending:
            return
        deadlines = (turns._answer, answers._retry, self.call.upload_watch._deadline)
        owned = any(deadline._handle is not None for deadline in deadlines)
        assert owned or responses.busy or self.call.tools.busy or not self.call.line.up, "owed, and by nobody"


@settings(derandomize=EVERY_DAY)
@given(
    st.lists(turns, min_size=1, max_size=4).filter(lambda several: not any(map(is_half_an_answer, several[2:]))),
    st.integers(0, 3),
    st.booleans(),
    st.sampled_from(["greeting", "answer", "barge_in", "late_barge_in", "tool"]),
    st.sampled_from([1.1, 2.0, 6.0, 40.0]),
)
def test_the_caller_is_answered_whatever_the_endings(several, first, one_id, scene, speed):
    play = Play(wrong(several, first, one_id=one_id, for_ever=False), scene, speed=speed)
    perform_and_judge(play)


@settings(derandomize=EVERY_DAY, max_examples=30 if EVERY_DAY else settings().max_examples)
@given(
    st.lists(turns, min_size=1, max_size=3).filter(lambda several: not any(map(is_half_an_answer, several))),
    st.integers(0, 3),
    st.booleans(),
    st.sampled_from(["answer", "tool"]),
)
def test_one_that_is_never_well_again_is_given_up_within_bounds(several, first, one_id, scene):
    play = Play(wrong(several, first, one_id=one_id, for_ever=True), scene, tool_seconds=0.01)
    stage = perform_and_judge(play, patience_seconds=90.0)
    creates = sum(session.received["response.create"] for session in stage.sessions)
    assert creates <= 60


def perform_and_judge(play: Play, patience_seconds: float = 45.0) -> Stage:
    decide = tool_script if play.phase == "tool" else script
    base = Scenario(script=decide, speed=play.speed)
    stage = WatchedStage(play.fault(base), play._agent(), lines=(HALF, *LINES))
    stage.patience_seconds = patience_seconds
    try:
        play.perform(stage)
        assert_never_left_alone(stage)
        assert counted(stage, "responses.safety_fuse") == 0
        assert not [error for error in stage.call.record()["errors"] if str(error).startswith("internal")]
    finally:
        stage.shut()
    return stage
