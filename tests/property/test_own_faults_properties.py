"""Our own parts throw, any of them, at any time: the call goes on or ends, and either way its books, its record and its
sockets are settled, and each fault is booked to the call."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialects import LIVE, REALTIME, dialects_of
from fastbridge.call.happenings import SessionUseless
from fastbridge.call.order import TABLE
from fastbridge.observe import stats
from plays import INTERRUPTION, QUESTION, Play
from stage import Stage

LANES = ("assistant", "caller")
TOLD = sorted({(part, method) for row in TABLE.values() for part, method in row if part and part not in LANES})
"""Every handler in the table but the compiled lanes' own, which nothing can be put in the place of."""
_CALLED = [("barge_in", "on_edge"), ("session", "on_event"), ("session", "on_words"), ("trace", "model_event")]
REACHED = {REALTIME: [*TOLD, *_CALLED], LIVE: [*TOLD, *_CALLED, ("session", "on_utterance")]}
"""And what the lanes call by themselves, in each dialect."""


class OurError(Exception):
    """What is thrown."""


class Saboteur:
    """In the place of a part's method: throws at its nth call, or from then on."""

    def __init__(self, stage: Stage, part: str, method: str, nth: int, *, again: bool) -> None:
        self.thrown = 0
        self._calls = 0
        self._nth = nth
        self._again = again
        owner = getattr(stage.call, part)
        self._instead_of = getattr(owner, method)
        setattr(owner, method, self)

    def __call__(self, *fields: Any) -> Any:
        self._calls += 1
        if self._calls == self._nth or (self._again and self._calls > self._nth):
            self.thrown += 1
            raise OurError(f"call {self._calls}")
        return self._instead_of(*fields)


def perform(stage: Stage, scene: str) -> None:
    """A caller who asks twice and presses a key, whatever becomes of it."""
    stage.run(3.0)
    for number in range(2):
        stage.says(QUESTION)
        stage.run(4.0)
        if scene == "barge_in" and number == 0:
            stage.says(INTERRUPTION)
        if scene == "keys":
            stage.loop.do(stage.call.caller.feed_message, stage.carrier.dtmf("5").encode())
        if scene == "lost" and number == 0:
            stage.loop.do(stage.call._tell, SessionUseless("the test says so", "test"))
        stage.run(5.0)
    stage.run(2.0)


def assert_settled(stage: Stage, saboteurs: list[Saboteur]) -> None:
    call, lane = stage.call, stage.call.assistant
    assert stage.loop.failures == []
    assert not call.live
    assert call.end_reason
    assert stage.ended == [call]
    assert [code for _, code, _ in stage.closed] == [1000]
    assert [wire.hung_up or wire.channel.closed is not None for wire in stage.wires] == [True] * len(stage.wires)
    assert call.caller.frames_in == sum(call.caller.outcomes)
    assert (call.caller.waiting, stage.loop.pacer.active) == (0, 0)
    rewound = getattr(lane, "frames_rewound", 0)
    assert lane.frames_enqueued + rewound == lane.frames_sent + sum(lane.frames_flushed.values())
    assert call.document is not None
    assert call.document["end_reason"] == call.end_reason
    assert stats.accounting_lines(call.caller)[1][0] is False
    thrown = sum(saboteur.thrown for saboteur in saboteurs)
    assert call.stats.error_types["internal"] == thrown


@pytest.mark.timeout(600)
@pytest.mark.parametrize("dialect", dialects_of("test_whoever_of_us_throws_the_call_is_settled"))
@settings(max_examples=60 if settings.default.max_examples == 100 else settings.default.max_examples)
@given(
    st.data(),
    st.sampled_from(["greeting", "barge_in", "tool", "keys", "lost"]),
)
def test_whoever_of_us_throws_the_call_is_settled(dialect, data, scene):
    one = st.tuples(st.sampled_from(REACHED[dialect]), st.sampled_from([1, 1, 2, 3, 7]), st.booleans())
    faults = data.draw(st.lists(one, min_size=1, max_size=3))
    stage = Play(None, "tool" if scene == "tool" else "answer", dialect, tool_seconds=0.5).stage()
    try:
        saboteurs = [Saboteur(stage, part, method, nth, again=again) for (part, method), nth, again in faults]
        perform(stage, scene)
        stage.hang_up()
        stage.run(1.0)
        stage.loop.do(stage.call.close, "shutdown")  # where the carrier's stop found nobody to tell
        stage.run(60.0)  # what a part that could not be closed has left behind does no harm
        assert_settled(stage, saboteurs)
    finally:
        stage.model.close()
        stage.loop.close()


@pytest.mark.parametrize(
    ("dialect", "part", "method"),
    [(dialect, *each) for dialect in dialects_of("test_one_that_throws_every_time") for each in REACHED[dialect]],
)
def test_one_that_throws_every_time(dialect, part, method):
    """Each handler in turn, in a call of everything."""
    stage = Play(None, "tool", dialect, tool_seconds=0.5).stage()
    try:
        saboteurs = [Saboteur(stage, part, method, 1, again=True)]
        perform(stage, "lost")
        stage.hang_up()
        stage.run(1.0)
        stage.loop.do(stage.call.close, "shutdown")
        stage.run(60.0)
        assert_settled(stage, saboteurs)
    finally:
        stage.model.close()
        stage.loop.close()
