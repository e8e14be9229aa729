"""call.order, in real calls: who must be told of what, or a caller pays for it."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from call_rig import CallRig, Control
from fastbridge.agent import Agent, CallContext
from fastbridge.base.prompts import load_prompts
from fastbridge.call.dead_air import LIMIT_SECONDS
from fastbridge.call.upload_watch import State as Upload
from helpers import LOUD, QUIET

SECOND = bytes(0x50 + n % 48 for n in range(160)) * 50
Make = Callable[..., CallRig]


@pytest.fixture
def make() -> Iterator[Make]:
    rigs: list[CallRig] = []

    def make(agent: Agent | None = None, **given: Any) -> CallRig:
        rigs.append(CallRig(agent, **given))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.shut()


def transcript_off(**changes: Any) -> Agent:
    agent = Agent()

    @agent.on_call
    async def look_up(context: CallContext) -> Agent:
        return context.agent.changed(settings={"transcription_model": "", **changes})

    return agent


def give_up(rig: CallRig) -> None:
    """Out of money: no other session would be any better."""
    error = {"type": "insufficient_quota", "code": "insufficient_quota", "message": "no"}
    rig.done("resp_1", "failed", status_details={"type": "failed", "error": error})
    assert rig.call.fallback.ending


def fillers(rig: CallRig) -> int:
    return sum(rig.call.dead_air.fillers.values())


class TestOfAnAgentWhoWritesNothingDown:
    """`on_call` may switch transcription off."""

    def test_the_watch_on_a_noisy_line(self, make: Make) -> None:
        rig = make(transcript_off(), noise_seconds=30, silence_seconds=0).up()
        for number in range(8):
            rig.speech()
            rig.advance(4)
            rig.speech(started=False)
            rig.model({"type": "input_audio_buffer.committed", "item_id": f"item_{number}", "previous_item_id": None})
            rig.respond(SECOND, number)
            rig.advance(2)
        assert rig.call.live
        assert not [one for one in rig.creates if "goodbye" in json.dumps(one).lower()]

    def test_the_transcripts(self, make: Make) -> None:
        agent, told = transcript_off(), []

        @agent.on_transcript
        async def tell(turn: Any) -> None:
            told.append(turn.text)

        rig = make(agent).up()
        rig.speech()
        rig.speech(started=False)
        rig.model({"type": "input_audio_buffer.committed", "item_id": "item_u", "previous_item_id": None})
        rig.respond(SECOND, text="We open at nine.")
        rig.advance(1.2)
        rig.echo_marks()
        rig.advance(0.1)
        assert told == ["We open at nine."]


class TestOfAModelGivenUp:
    def held(self, make: Make, **settings: Any) -> CallRig:
        rig = make(control=Control(), **settings).up()
        rig.begin("resp_1", "item_1")
        rig.delta(SECOND * 9, "resp_1", "item_1")
        rig.advance(0.5)
        rig.caller_says(*[LOUD] * 5)
        assert rig.call.barge_in.held
        return rig

    def test_the_interruption_that_is_held(self, make: Make) -> None:
        """Or it would cut off the apology when it is decided."""
        rig = self.held(make)
        give_up(rig)
        apology = load_prompts("").get("apology")
        assert apology is not None
        before = len(rig.downlink)
        rig.caller_says(*[LOUD] * 60)
        rig.advance(apology.seconds + 1)
        assert len(rig.downlink) - before >= apology.seconds * 8000 - 160
        assert len(rig.written("clear")) == 1

    @pytest.mark.parametrize("begun", [True, False])
    def test_whoever_asks_whether_the_caller_still_speaks(self, make: Make, begun: bool) -> None:
        """Or the fallback number would be called when he stops, which nobody will tell."""
        rig = make(control=Control(), fallback_number="+14155550199").up()
        rig.begin("resp_1", "item_1")
        rig.speech()
        rig.advance(0.5)
        if not begun:
            rig.speech(started=False)
        give_up(rig)
        prompt = load_prompts("").get("transfer")
        assert prompt is not None
        rig.advance(prompt.seconds + 2.5)
        assert rig.control is not None
        assert [what for what, *_ in rig.control.done] == ["connect"]


class TestOfAnotherSession:
    def test_the_watch_on_the_upload(self, make: Make) -> None:
        """What the old one was asked, the new one need not answer."""
        rig = make().up()
        for frame in [LOUD] * 50 + [QUIET] * 60:
            rig.caller_says(frame)
        assert rig.call.upload_watch.state is Upload.ASKED
        rig.lose_model()
        rig.advance(0.2)
        rig.connect()
        rig.open_session(2)
        assert rig.call.upload_watch.state is Upload.LISTENING
        rig.advance(6)
        assert rig.call.line.counters["losses"] == 1

    def test_is_not_taken_while_the_caller_interrupts_unnoticed(self, make: Make) -> None:
        rig = make().up()
        assert rig.call.facts.between_turns
        for frame in [LOUD] * 50 + [QUIET] * 50:
            rig.caller_says(frame)
        assert not rig.call.facts.between_turns


class TestOfAnAnswerToCome:
    """Whoever watches how long the caller waits."""

    def test_to_keys(self, make: Make) -> None:
        rig = make(Agent(keys_to_model=True)).up()
        rig.press("1#", 0)
        rig.advance(LIMIT_SECONDS["response"] + 0.1)
        assert fillers(rig) == 1

    def test_after_a_transfer_that_failed(self, make: Make) -> None:
        control = Control()
        control.well = False
        rig = make(Agent(transfer_to={"sales": "+14155550199"}), control=control).up()
        rig.do(rig.call.transfer, "+14155550199")
        rig.advance(0.6)
        assert rig.creates
        rig.advance(LIMIT_SECONDS["response"])
        assert fillers(rig) == 1

    def test_that_is_tried_again(self, make: Make) -> None:
        """From when it failed, and not from when it is asked for again."""
        rig = make().up()
        rig.do(rig.call.session.responses.create, "say")
        (create,) = rig.sent("response.create")
        rig.advance(0.3)
        error = {"type": "server_error", "code": "server_error", "event_id": create["event_id"], "message": "no"}
        rig.model({"type": "error", "error": error})
        rig.advance(LIMIT_SECONDS["response"] - 0.3 + 0.1)
        assert fillers(rig) == 1


class TestOfTheCaller:
    def test_who_presses_a_key_when_all_is_said_and_does_not_want_to_go(self, make: Make) -> None:
        rig = make(Agent(keys_to_model=True), control=Control()).up()
        rig.do(rig.call.hang_up)
        rig.advance(0.1)
        rig.press("1#", 0)
        rig.begin_ours("resp_1", "item_1")
        rig.delta(SECOND, "resp_1", "item_1")
        rig.done("resp_1")
        rig.advance(4)
        assert rig.call.live
        assert rig.control is not None
        assert rig.control.done == []

    def test_who_interrupts_what_is_to_be_gone_on_with(self, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        """By our ear alone: the sentence that broke off is not taken up again."""
        monkeypatch.setattr(random, "uniform", lambda low, high: high)  # it would be asked for in 0.3 to 0.6 s
        rig = make().up()
        rig.begin("resp_1", "item_1")
        rig.delta(SECOND * 3, "resp_1", "item_1")
        rig.done("resp_1", "incomplete", status_details={"type": "incomplete", "reason": "max_output_tokens"})
        rig.advance(0.1)
        rig.caller_says(*[LOUD] * 20)
        assert rig.call.stats.barge_ins[-1].outcome == "committed"
        rig.caller_says(*[QUIET] * 60)
        assert [one for one in rig.creates if one] == []

    def test_whose_turn_we_ended(self, make: Make) -> None:
        """The answer's time counts from then."""
        rig = make().up()
        rig.speech()
        rig.caller_says(*[LOUD] * 50)
        rig.caller_says(*[QUIET] * 100)
        assert rig.call.turns.counters["speech_unstopped"] == 1
        rig.respond(SECOND)
        rig.advance(0.2)
        (taken_ms,) = rig.call.stats.response_ms
        assert 0 < taken_ms < 1500


@pytest.mark.parametrize("part", ["answering", "greeting", "time_limit", "line", "dead_air", "remote"])
def test_a_part_that_does_not_begin_keeps_none_of_the_others_from_it(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("a bug of ours")

    rig = CallRig()
    call = rig.call
    method = {"line": "start", "dead_air": "review"}.get(part, "begin")
    monkeypatch.setattr(getattr(call, part), method, fail)
    rig.started()
    assert "internal" in call.stats.errors
    if part != "line":
        rig.connect()
        rig.open_session()
        rig.caller_says(*[LOUD] * 10)
        assert len(rig.uplink) == 1600
    rig.advance(2)
    assert call.live
    rig.do(call.close, "shutdown")
    rig.loop.close()
