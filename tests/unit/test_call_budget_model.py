"""A call that goes on with a cheaper model when most of its budget is spent: in both dialects, by the wire."""

import json
from typing import Any

import pytest

from call_rig import Control
from fastbridge.agent import Agent
from fastbridge.model.renewal import RETRY_SECONDS
from helpers import LOUD
from live_rig import LiveRig
from transfer_rig import RECEPTION, Legs
from virtual import RecordingModel, Rig

DEAR, MINI = "gpt-realtime-2.1", "gpt-realtime-mini"
LIVE, LIVE_MINI = "gpt-live-1", "gpt-live-mini"
MINUTES = json.dumps({LIVE: {"minute": 6.0}, LIVE_MINI: {"minute": 0.6}})
TOKENS = 10_000
"""Of audio out: 0.64 dollars of the one, 0.20 of the other."""


def usage(tokens: int) -> dict[str, Any]:
    return {"total_tokens": tokens, "output_tokens": tokens, "output_token_details": {"audio_tokens": tokens}}


def feed(rig: Rig, event: dict[str, Any]) -> None:
    """An event of the session that is being made."""
    rig.do(rig.attempt.feed_message, json.dumps(event).encode())


def answers(rig: Rig, number: int, tokens: int) -> None:
    rig.begin(f"resp_{number}", f"item_{number}")
    rig.delta(bytes(range(160)) * 10, f"resp_{number}", f"item_{number}")
    rig.transcript(f"Answer {number}.", f"resp_{number}", f"item_{number}")
    rig.done(f"resp_{number}", usage=usage(tokens))


@pytest.fixture
def rig():
    rig = Rig(model=DEAR, call_budget_usd=0.75, budget_model=MINI, silence_seconds=0, reasoning_effort="low").up()
    yield rig
    rig.shut()


def opened(rig: Rig) -> RecordingModel:
    """The successor's session is created and confirmed."""
    link = rig.connect()
    both = {side: {"format": {"type": "audio/pcmu"}} for side in ("input", "output")}
    feed(rig, {"type": "session.created", "session": {"id": "sess_2"}})
    feed(rig, {"type": "session.updated", "session": {"audio": both}})
    return link


class TestRealtime:
    def test_moves_between_two_turns_and_each_is_paid_at_its_price(self, rig, caplog):
        caplog.set_level("INFO")
        answers(rig, 1, TOKENS)
        rig.advance(0.1)
        assert [attempt.model for attempt in rig.dialled] == ["", MINI]
        first = rig.model_link
        second = opened(rig)
        assert rig.call.line.link is first, "it still plays"
        rig.advance(0.5)
        rig.echo_marks()
        rig.advance(0.3)
        assert (rig.call.line.link, first.hang_ups) == (second, 1)
        assert "[BUDGET] cheaper model, model=gpt-realtime-mini" in caplog.text
        update, *items = rig.to_model[-3:]
        assert "reasoning" not in update["session"]
        said, note = (item["item"] for item in items)
        assert said["content"][0]["text"] == "Answer 1."
        assert (note["role"], "short" in note["content"][0]["text"]) == ("system", True)
        answers(rig, 2, 1000)
        rig.advance(0.5)
        rig.do(rig.call.close, "customer_hangup")
        cost = rig.call.document["cost"]
        assert (cost["model"], cost["usd"]) == (DEAR, pytest.approx(0.66))
        assert [(each["model"], each["usd"], each["tokens"]) for each in cost["models"]] == [
            (DEAR, pytest.approx(0.64), TOKENS),
            (MINI, pytest.approx(0.02), 1000),
        ]
        assert rig.call.document["tokens"]["total_tokens"] == TOKENS + 1000
        assert "cost_usd=0.66" in caplog.text

    def test_moves_at_the_last_moment_whoever_speaks_rather_than_end_the_call(self, rig, caplog):
        """The answer under way is asked for again, of the cheaper one."""
        caplog.set_level("INFO")
        answers(rig, 1, TOKENS)
        rig.echo_marks()
        second = opened(rig)
        rig.begin("resp_2", "item_2")
        rig.delta(bytes(range(160)) * 600, "resp_2", "item_2")  # 12 s: 240 tokens and their words, 1.7 cents
        rig.advance(0.3)
        assert rig.call.line.link is not second
        for _ in range(20):
            rig.delta(bytes(range(160)) * 600, "resp_2", "item_2")
            rig.advance(0.1)
        assert rig.call.line.link is second
        assert "[BUDGET] cheaper model, model=gpt-realtime-mini" in caplog.text
        assert "[BUDGET] spent" not in caplog.text
        rig.advance(60)
        assert rig.call.live
        assert rig.call.record()["model_line"]["renewals"] == 1

    def test_a_session_that_is_lost_afterwards_is_dialled_with_it(self, rig):
        answers(rig, 1, TOKENS)
        rig.advance(1)
        rig.echo_marks()
        opened(rig)
        rig.advance(0.3)
        rig.lose_model()
        rig.advance(0.3)
        assert [attempt.model for attempt in rig.dialled] == ["", MINI, MINI]

    def test_one_that_is_lost_before_is_dialled_with_the_first(self, rig):
        """A model that cannot be had must not cost the call."""
        answers(rig, 1, TOKENS)
        rig.advance(0.1)
        rig.refuse("http_404")
        assert rig.call.line.up
        rig.do(rig.dialled[0].on_model_lost, 1006, "")
        rig.advance(0.3)
        assert [attempt.model for attempt in rig.dialled] == ["", MINI, ""]
        rig.connect()
        rig.open_session(2)
        rig.advance(0.3)
        assert [attempt.model for attempt in rig.dialled][3:] == [MINI], "and then it is tried again"

    def test_one_that_cannot_be_had_is_tried_again_and_the_call_goes_on(self, rig):
        answers(rig, 1, TOKENS)
        rig.advance(0.1)
        rig.refuse("http_404")
        rig.advance(RETRY_SECONDS + 0.2)
        assert [attempt.model for attempt in rig.dialled] == ["", MINI, MINI]
        rig.do(rig.call.close, "customer_hangup")
        assert [each["model"] for each in rig.call.document["cost"]["models"]] == [DEAR]

    def test_a_successor_of_the_first_that_stood_ready_is_none(self):
        rig = Rig(model=DEAR, call_budget_usd=0.75, budget_model=MINI, silence_seconds=0, session_renew_seconds=10).up()
        rig.begin("resp_1", "item_1")
        rig.delta(bytes(range(160)) * 50 * 12, "resp_1", "item_1")
        rig.advance(10.1)
        ready = opened(rig)
        rig.done("resp_1", usage=usage(TOKENS))
        rig.advance(0.1)
        assert ready.hang_ups == 1
        assert [attempt.model for attempt in rig.dialled] == ["", "", MINI]
        rig.shut()


def waits_for_a_pause(rig: LiveRig) -> tuple[RecordingModel, RecordingModel]:
    """The cheaper model's session has started, 3 s ago: the link in use, and that one's."""
    first, second = rig.model_link, rig.connect()
    started = {"id": "live_2", "audio": {"format": {"type": "audio/pcmu", "rate": 8000}}}
    feed(rig, {"type": "session.started", "session": started})
    rig.advance(3)
    assert rig.call.line.link is first
    return first, second


def test_live_moves_at_the_last_moment_whoever_speaks(caplog):
    """Who speaks is heard by the other, and an answer comes."""
    caplog.set_level("INFO")
    settings = {"model": LIVE, "budget_model": LIVE_MINI, "prices": MINUTES}
    rig = LiveRig(Agent(), silence_seconds=0, call_budget_usd=2.6, **settings).up()
    rig.says(0.5, "We are open.")
    rig.advance(10)
    rig.line = [LOUD] * 750
    rig.advance(2)
    first, second = waits_for_a_pause(rig)
    rig.advance(3)  # 1.7 dollars by now, and 0.9 for a goodbye
    assert (rig.call.line.link, first.hang_ups) == (second, 1)
    rig.advance(30)
    assert (rig.call.live, "[BUDGET] spent" in caplog.text) == (True, False)
    rig.do(rig.call.close, "customer_hangup")
    assert rig.call.document["cost"]["capped_by"] is None
    rig.shut()


def test_live_that_is_lost_at_the_last_moment_moves_once(caplog):
    """The node stood still, and reads of the loss before it looks at the money: one session goes on, and is closed."""
    caplog.set_level("INFO")
    settings = {"model": LIVE, "budget_model": LIVE_MINI, "prices": MINUTES}
    rig = LiveRig(Agent(), silence_seconds=0, call_budget_usd=2.6, **settings).up()
    rig.says(0.5, "We are open.")
    rig.advance(12)
    rig.says(9, "And this takes long.")
    rig.advance(1)
    first, second = waits_for_a_pause(rig)

    def stood_still() -> None:
        rig.loop.now_ns += 2_000_000_000  # 1.75 dollars by now, and 0.9 for a goodbye
        rig.dialled[0].on_model_lost(1006, "")

    rig.do(stood_still)
    rig.advance(0.5)
    assert (rig.call.line.link, first.hang_ups, second.hang_ups) == (second, 1, 0)
    assert len(rig.dialled) == 2
    assert "[BUDGET] spent" not in caplog.text
    rig.shut()


def test_live_moves_at_the_last_moment_while_the_caller_waits_for_a_human():
    """Whose call would be withdrawn."""
    settings = {"model": LIVE, "budget_model": LIVE_MINI, "prices": MINUTES}
    agent = Agent(transfer_to={"reception": RECEPTION}, warm_transfer=True)
    rig = LiveRig(agent, control=Control(), silence_seconds=0, call_budget_usd=2.6, **settings)
    rig.call.transfers._legs = Legs()
    rig.up()
    rig.says(0.5, "We are open.")
    rig.advance(12)
    rig.echo_marks()
    assert rig.do(rig.call.remote.transfer, "reception", "Dana.")
    _, second = waits_for_a_pause(rig)
    rig.advance(3)
    assert rig.call.line.link is second
    rig.advance(5)
    assert (rig.call.facts.holding, rig.call.facts.leaving) == (True, False)
    rig.do(rig.call.close, "customer_hangup")
    assert rig.call.document["cost"]["capped_by"] is None
    rig.shut()


def test_live_moves_to_it_without_a_fork_and_pays_by_the_minute(caplog):
    caplog.set_level("INFO")
    settings = {"model": LIVE, "budget_model": LIVE_MINI, "prices": MINUTES, "live_store": True}
    rig = LiveRig(Agent(), silence_seconds=0, call_budget_usd=2.6, **settings).up()
    rig.says(0.5, "We are open.")
    rig.advance(12)  # 1.2 dollars, and 0.9 for a goodbye
    assert [(attempt.model, attempt.continues) for attempt in rig.dialled] == [("", ""), (LIVE_MINI, "")]
    first, second = rig.model_link, rig.connect()
    start = rig.sent("session.start")[-1]["session"]
    assert start["model"] == LIVE_MINI
    assert "We are open." in json.dumps(start["input"])
    feed(
        rig,
        {
            "type": "session.started",
            "session": {"id": "live_2", "audio": {"format": {"type": "audio/pcmu", "rate": 8000}}},
        },
    )
    rig.echo_marks()
    rig.advance(0.3)
    assert (rig.call.line.link, first.hang_ups) == (second, 0)
    rig.advance(10)
    assert first.hang_ups == 1
    rig.do(rig.call.close, "customer_hangup")
    cost = rig.call.document["cost"]
    models = {each["model"]: each["usd"] for each in cost["models"]}
    assert models == {LIVE: pytest.approx(1.2, abs=0.1), LIVE_MINI: pytest.approx(0.1, abs=0.01)}
    assert cost["usd"] == pytest.approx(sum(models.values()))
    assert "[BUDGET] cheaper model, model=gpt-live-mini" in caplog.text
    rig.shut()
