"""fastbridge.model.renewal: the second session is made beside the first, and nobody hears the move."""

import json
import time
from typing import Any

import pytest

from fastbridge.agent import Agent
from fastbridge.errors import IllegalEvent, ModelUnavailable
from fastbridge.model.renewal import PATIENCE_SECONDS, RETRY_SECONDS, TRANSITIONS, Event, State
from helpers import LOUD, numbered_frame
from virtual import RecordingModel, Rig

SECOND = bytes(range(160)) * 50
SPEECH_STARTED = {"type": "input_audio_buffer.speech_started", "item_id": "item_u"}
SPEECH_STOPPED = {"type": "input_audio_buffer.speech_stopped", "item_id": "item_u"}


@pytest.fixture
def rig():
    rig = Rig(silence_seconds=0, session_renew_seconds=60, max_call_seconds=7200).up()
    yield rig
    rig.shut()


def renewal(rig: Rig) -> Any:
    return rig.call.line._renewal


def feed(rig: Rig, event: dict[str, Any] | bytes) -> None:
    """A message on the newest socket, wherever its messages go."""
    if rig.model_link.redirected or len(rig.model_links) == 1:
        rig.model(event)
    else:
        text = event if isinstance(event, bytes) else json.dumps(event).encode()
        rig.do(rig.attempt.feed_message, text)


def confirm(rig: Rig) -> None:
    both = {side: {"format": {"type": "audio/pcmu"}} for side in ("input", "output")}
    feed(rig, {"type": "session.created", "session": {"id": "sess_2"}})
    feed(rig, {"type": "session.updated", "session": {"audio": both}})


def moved(rig: Rig) -> bool:
    return rig.model_link.redirected


class TestTable:
    @pytest.mark.parametrize("state", State)
    @pytest.mark.parametrize("event", Event)
    def test_every_row_and_every_missing_row(self, rig, state, event):
        one = renewal(rig)
        before, one.state = one.state, state
        if event in TRANSITIONS[state]:
            one._to(event)
            assert one.state is TRANSITIONS[state][event]
        else:
            with pytest.raises(IllegalEvent, match=f"{event} in state {state}"):
                one._to(event)
        one.state = before

    def test_it_can_be_stopped_in_every_state(self):
        assert all(row[Event.STOP] is State.OFF for row in TRANSITIONS.values())


class TestMoving:
    def test_at_its_time_and_in_silence_it_is_done_at_once(self, rig, caplog):
        caplog.set_level("INFO")
        rig.respond(SECOND, 1, "Hello.")
        rig.advance(60.1)
        assert len(rig.dialled) == 2
        old, link = rig.model_link, rig.connect()
        assert rig.call.line.link is old
        before = len(rig.journal)
        confirm(rig)
        kinds = [entry.kind for entry in rig.journal[before:] if entry.to == "model"]
        assert kinds == ["session.update", "conversation.item.create"]
        assert (moved(rig), old.hang_ups, link.hang_ups) == (True, 1, 0)
        spoken = [numbered_frame(number) for number in range(1, 5)]
        rig.caller_says(*spoken)
        assert rig.uplink.endswith(b"".join(spoken))
        rig.respond(SECOND, 2, "Again.")
        rig.advance(1.2)
        assert rig.downlink == SECOND * 2
        assert any("[REALTIME] session renewed" in record.getMessage() for record in caplog.records)
        counters = rig.call.record()["model_line"]
        assert (counters["renewals"], counters.get("losses", 0), rig.call.record()["errors"]) == (1, 0, [])

    def test_not_while_the_assistant_speaks(self, rig):
        rig.advance(59)
        rig.respond(SECOND * 4)
        rig.advance(1.5)
        rig.connect()
        confirm(rig)
        assert not moved(rig)
        rig.advance(1.5)
        assert not moved(rig)
        rig.advance(1.5)
        assert moved(rig)
        assert rig.downlink == SECOND * 4

    def test_not_while_a_response_is_made(self, rig):
        rig.advance(60.1)
        rig.begin("resp_1", "item_1")
        rig.connect()
        confirm(rig)
        rig.advance(1)
        assert not moved(rig)
        rig.delta(SECOND, "resp_1", "item_1")
        rig.done("resp_1")
        rig.advance(4)
        assert moved(rig)

    def test_not_while_the_caller_speaks_or_waits_for_an_answer(self, rig):
        rig.advance(60.1)
        rig.model(SPEECH_STARTED)
        rig.connect()
        confirm(rig)
        rig.caller_says(*[LOUD] * 50)
        assert not moved(rig)
        rig.model(SPEECH_STOPPED)
        rig.advance(1)
        assert not moved(rig)
        rig.respond(SECOND)
        rig.advance(4)
        assert moved(rig)

    def test_not_while_a_tool_runs(self):
        agent = Agent()

        @agent.tool
        async def slow() -> str:
            """Take your time."""
            import asyncio

            await asyncio.sleep(3)
            return "done"

        rig = Rig(agent, silence_seconds=0, session_renew_seconds=60, max_call_seconds=7200).up()
        rig.advance(59.9)
        rig.begin("resp_1")
        rig.tool_call("call_1", "slow")
        rig.done("resp_1")
        rig.advance(0.3)
        rig.connect()
        confirm(rig)
        rig.advance(1)
        assert not moved(rig)
        rig.shut()

    def test_without_a_boundary_for_long_a_moment_without_generation_will_do(self, rig):
        rig.advance(60.1)
        rig.connect()
        rig.respond(SECOND * 300)
        confirm(rig)
        rig.advance(PATIENCE_SECONDS - 1)
        assert not moved(rig)
        rig.advance(2)
        assert moved(rig)
        assert rig.call.assistant.playing

    def test_each_session_has_a_successor(self, rig):
        for number in range(3):
            rig.advance(60.2)
            assert len(rig.dialled) == number + 2
            rig.connect()
            confirm(rig)
        assert rig.call.line.counters["renewals"] == 3

    def test_the_time_may_be_the_models(self):
        rig = Rig(silence_seconds=0, session_renew_seconds=3300, max_call_seconds=7200).connected()
        rig.model({"type": "session.created", "session": {"id": "s", "expires_at": time.time() + 420}})
        rig.confirm()
        rig.advance(115)
        assert len(rig.dialled) == 1
        rig.advance(10)
        assert len(rig.dialled) == 2
        rig.shut()

    @pytest.mark.parametrize("expires_at", [0, -5, 1e12, "soon", None, True, [], 1e400])
    def test_a_clock_that_cannot_be_right_is_not_believed(self, expires_at):
        rig = Rig(silence_seconds=0, session_renew_seconds=60).connected()
        rig.model({"type": "session.created", "session": {"id": "s", "expires_at": expires_at}})
        rig.confirm()
        rig.advance(59)
        assert len(rig.dialled) == 1
        rig.advance(1.1)
        assert len(rig.dialled) == 2
        rig.shut()


class TestLostWhileASuccessorIsReady:
    def test_the_ready_connection_is_used(self, rig):
        rig.advance(59.5)
        rig.respond(SECOND * 4, 1, "Hello.")
        rig.advance(0.7)
        _old, link = rig.model_link, rig.connect()
        confirm(rig)
        assert not moved(rig)
        old_attempt = rig.dialled[0]
        before = len(rig.journal)
        rig.do(old_attempt.on_model_failed, ModelUnavailable("gone", "connection_lost"))
        rig.advance(1)
        kinds = [entry.kind for entry in rig.journal[before:] if entry.to == "model"]
        assert (moved(rig), len(rig.dialled), link.hang_ups, rig.call.line.link is link) == (True, 2, 0, True)
        assert kinds.count("conversation.item.create") == 1
        assert "response.create" not in kinds
        counters = rig.call.line.counters
        assert (counters["losses"], counters["reconnects"], counters["renewals"]) == (1, 1, 0)
        rig.advance(4)
        assert rig.downlink == SECOND * 4


class TestFailing:
    def test_is_said_with_its_cause_once_a_try(self, rig, caplog):
        rig.advance(60.1)
        rig.refuse()
        rig.advance(RETRY_SECONDS + 0.1)
        rig.connect()
        error = {"type": "x", "code": "y", "message": "No."}
        feed(rig, {"type": "session.created", "session": {"id": "sess_2"}})
        feed(rig, {"type": "error", "error": error})
        rig.advance(RETRY_SECONDS + 0.1)
        rig.advance(13)
        found = [record.getMessage().partition(", call_sid")[0] for record in caplog.records]
        assert [line.removeprefix("[REALTIME] no successor for the session: ") for line in found] == [
            "no, code=connect_failed, renewal_failures=1",
            "the model reports an error: No, code=y, type=x, renewal_failures=2",
            "no session in time, code=session_update_timeout, renewal_failures=3",
        ]
        assert rig.call.record()["errors_by_type"] == {"watchdog": 2, "x": 1}

    def test_costs_nothing_and_is_tried_again(self, rig):
        rig.advance(60.1)
        rig.refuse()
        assert rig.call.line.up
        rig.advance(RETRY_SECONDS + 0.1)
        assert len(rig.dialled) == 3
        rig.connect()
        confirm(rig)
        assert moved(rig)
        assert rig.call.record()["model_line"]["renewal_failures"] == 1
        assert rig.call.record()["errors"] == []

    @pytest.mark.parametrize(
        "event",
        [
            {"type": "error", "error": {"code": "insufficient_quota"}},
            {"type": "session.updated", "session": {"audio": {}}},
            b"{",
            {"type": "session.created"},
        ],
    )
    def test_what_the_second_session_says_hurts_nobody(self, rig, event):
        rig.advance(60.1)
        rig.connect()
        feed(rig, event)
        rig.advance(15)
        assert (rig.call.line.up, moved(rig), rig.model_links[0].hang_ups) == (True, False, 0)
        assert rig.model_link.hang_ups == 1

    def test_what_it_says_wrongly_is_counted_as_of_any_session(self, rig, caplog):
        rig.advance(60.1)
        rig.connect()
        feed(rig, {"type": "session.updated"})
        assert rig.call.session.counters["malformed_events"] == 1
        assert "[REALTIME] malformed session.updated: no session: NoneType, call_sid=" in caplog.text

    def test_a_second_socket_that_breaks_is_only_that(self, rig):
        rig.advance(60.1)
        rig.connect()
        rig.lose_model()
        assert (rig.call.line.up, rig.model_links[0].hang_ups) == (True, 0)

    def test_the_first_breaking_meanwhile_is_a_loss_as_any(self, rig):
        rig.advance(60.1)
        first = rig.dialled[0]
        rig.connect()
        rig.do(first.on_model_lost, 1001, "")
        assert [link.hang_ups for link in rig.model_links] == [1, 1]
        rig.advance(0.2)
        assert len(rig.dialled) == 3

    def test_a_socket_that_comes_too_late_is_hung_up(self, rig):
        rig.advance(60.1)
        late = rig.attempt
        rig.advance(13)
        link = RecordingModel(rig)
        rig.do(late.on_model_connected, link)
        assert link.hang_ups == 1

    def test_the_end_of_the_call_ends_it(self, rig):
        rig.advance(60.1)
        rig.connect()
        rig.do(rig.call.close, "shutdown")
        assert [link.hang_ups for link in rig.model_links] == [1, 1]
