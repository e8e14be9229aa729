"""A part of a call that fails, ours or the user's, costs itself and nothing else: the call goes on, or ends settled."""

import asyncio
import json
from typing import Any

import pytest

from call_rig import CallRig, Control
from fastbridge.agent import Agent, CallContext
from fastbridge.call.happenings import Ending
from fastbridge.call.order import TABLE
from fastbridge.call.teardown import dismantle
from helpers import LOUD

SECOND = bytes(range(160)) * 50


def fail(*_: Any, **__: Any) -> Any:
    raise RuntimeError("a bug of ours")


PARTS = [part for part, _ in TABLE[Ending] if part not in ("caller", "assistant", "media_gap")] + ["line"]
"""All but the lanes, which cannot be made to fail, and one that has no `close`."""


@pytest.mark.parametrize("part", [*PARTS, "hooks", "report", "trace"])
def test_a_call_is_settled_whoever_fails_at_its_end(part, caplog, monkeypatch):
    rig = CallRig(Agent(hang_up=True), control=Control()).up()
    rig.respond(SECOND)
    call = rig.call
    if part == "report":
        monkeypatch.setattr(call, "record", fail)
    elif part == "trace":
        monkeypatch.setattr(call.log, "finish", fail)
    elif part == "hooks":
        monkeypatch.setattr(call.hooks, "close", fail)
    else:
        monkeypatch.setattr(getattr(call, part), "close", fail)
    rig.do(call.close, "shutdown")
    assert not call.live
    assert rig.ended == [call]
    assert rig.carrier_link.closed == [(1000, "")]
    assert [link.hang_ups for link in rig.model_links] == ([1] if part != "line" else [0])
    assert (call.caller.waiting, rig.loop.pacer.active) == (0, 0)
    assert caplog.text.count("[SERVER_ERROR] internal error") == 1
    assert call.call_sid in caplog.text
    rig.loop.close()


def test_the_record_is_made_once(monkeypatch):
    made = []
    agent = Agent()
    agent.on_end(lambda record: made.append(record))
    rig = CallRig(agent).up()
    original = rig.call.record
    monkeypatch.setattr(rig.call, "record", lambda: made.append("made") or original())
    rig.do(rig.call.close, "shutdown")
    rig.loop.advance(1)
    assert made == ["made", rig.call.document]
    rig.loop.close()


@pytest.mark.parametrize("part", ["trace.second", "line.check", "upload_watch.check", "idle.look"])
def test_a_part_that_fails_once_a_second_stops_no_other(part, caplog, monkeypatch):
    rig = CallRig(silence_seconds=5).up()
    *path, name = part.split(".")
    owner = rig.call
    for each in path:
        owner = getattr(owner, each)
    monkeypatch.setattr(owner, name, fail)
    rig.advance(10)
    assert bool(rig.creates) is (part != "idle.look")
    rig.advance(6, line=False)
    assert rig.call.end_reason == "stream_dead"
    assert rig.loop.failures == []
    assert caplog.text.count("Traceback") == 1
    rig.loop.close()


@pytest.mark.parametrize("error", [KeyError, TypeError, AttributeError, ValueError])
def test_our_own_fault_is_not_the_models(error, caplog, monkeypatch):
    def fail_so() -> None:
        raise error("ours")

    rig = CallRig().up()
    monkeypatch.setattr(rig.call.turns, "speech_started", fail_so)
    rig.model({"type": "input_audio_buffer.speech_started", "item_id": "item_u"})
    rig.model({"type": "response.created", "response": [error.__name__]})
    assert rig.call.stats.errors == ["internal", "malformed_event"]
    assert rig.call.session.counters["malformed_events"] == 1
    assert rig.call.live
    assert caplog.text.count("Traceback") == 1
    rig.loop.close()


def test_a_deadline_that_fails_is_booked_to_its_call(caplog, monkeypatch):
    rig = CallRig().up()
    monkeypatch.setattr(rig.call.session.responses, "answer_turn", fail)
    for kind in ("speech_started", "speech_stopped", "committed"):
        rig.model({"type": f"input_audio_buffer.{kind}", "item_id": "item_u"})
    rig.advance(4)
    assert rig.loop.failures == []
    assert rig.call.live
    assert f"call_sid={rig.call.call_sid}" in caplog.text
    assert rig.call.stats.errors == ["internal"]
    rig.loop.close()


class TestHooks:
    @pytest.mark.parametrize("hook", ["on_start", "on_transcript", "on_dtmf"])
    def test_one_that_awaits_a_cancelled_task_ends_nothing(self, hook):
        heard = []
        agent = Agent()

        async def awaits_a_cancelled_task(_: Any) -> None:
            task = asyncio.ensure_future(asyncio.sleep(10))
            task.cancel()
            await task

        getattr(agent, hook)(awaits_a_cancelled_task)
        agent.on_end(lambda record: heard.append(record["call_sid"]))
        rig = CallRig(agent).up()
        rig.caller_turn("Hello?")
        rig.press("1#")
        rig.advance(1)
        rig.do(rig.call.close, "shutdown")
        rig.loop.advance(1)
        assert heard == [rig.call.call_sid]
        assert not rig.call.hooks.running
        rig.shut()

    def test_what_is_done_with_its_answer_ends_nothing_either(self, monkeypatch):
        agent = Agent()
        pressed = []
        agent.on_dtmf(lambda digits: pressed.append(digits) or "told")
        rig = CallRig(agent).up()
        monkeypatch.setattr(rig.call.session, "note", fail)
        for key in "12":
            rig.press(f"{key}#")
            rig.advance(1)
        assert pressed == ["1", "2"]
        rig.loop.close()

    def test_nor_does_a_look_up_that_does(self):
        agent = Agent(greeting="Hello!")

        @agent.on_call
        async def look(context: CallContext) -> None:
            task = asyncio.ensure_future(asyncio.sleep(10))
            task.cancel()
            await task

        rig = CallRig(agent).up()
        assert len(rig.creates) == 1
        assert rig.now_ms < 100
        rig.shut()


@pytest.mark.parametrize("verb", ["hang_up", "say", "transfer"])
def test_a_tool_that_outlives_its_call_speaks_to_nobody(verb):
    agent = Agent(transfer_to={"sales": "+14155550199"})
    contexts = []
    agent.on_start(lambda context: contexts.append(context))
    rig = CallRig(agent, control=Control()).up()
    rig.loop.advance(0.1)
    rig.do(rig.call.close, "shutdown")
    rig.loop.advance(1)
    (context,) = contexts
    rig.assert_settled()
    dismantle(rig.call)
    given = {"hang_up": (), "say": ("Hello?",), "transfer": ("sales",)}[verb]
    assert rig.do(getattr(context, verb), *given) in (None, False)
    rig.loop.close()


def test_a_renewal_does_not_take_a_held_answer_for_a_turn_boundary():
    """The caller has said "stop!", and nobody knows yet what it was."""
    rig = CallRig(session_renew_seconds=10, barge_in_confirm_ms=2000, silence_seconds=0).up()
    rig.advance(10.5)
    rig.connect()
    feed = rig.attempt.feed_message
    rig.respond(SECOND * 20)
    rig.advance(1)
    rig.caller_says(*[LOUD] * 6)
    assert rig.call.barge_in.held
    side = {"format": {"type": "audio/pcmu"}}
    rig.do(feed, b'{"type":"session.created","session":{"id":"sess_2"}}')

    rig.do(
        feed, json.dumps({"type": "session.updated", "session": {"audio": {"input": side, "output": side}}}).encode()
    )
    rig.caller_says(*[LOUD] * 5)
    assert rig.call.line.counters["renewals"] == 0
    rig.shut()
