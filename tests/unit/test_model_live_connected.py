"""fastbridge.model.live.connected: a session's sockets: what it is told at its start, moved, continued, closed."""

import asyncio
import json
from typing import Any

import pytest

from fastbridge.agent import Agent
from fastbridge.errors import ModelUnavailable
from fastbridge.model.farewell import FAREWELL_SECONDS
from fastbridge.model.instructions import PRIVATE
from fastbridge.model.live.responses import REACT
from helpers import LOUD
from live_rig import SILENT, LiveRig


@pytest.fixture
def rig():
    rig = LiveRig(Agent(), silence_seconds=0)
    yield rig
    rig.shut()


def talked(rig: LiveRig) -> None:
    rig.says(0.5, "We are open.")
    rig.advance(1.8)
    rig.echo_marks()


def renew(rig: LiveRig, seconds: float = 11.0) -> None:
    """The time for a successor has come, and it is dialled and opened."""
    rig.advance(seconds)
    assert len(rig.dialled) == 2
    old, rig.model_link = rig.model_link, type(rig.model_link)(rig)
    rig.model_links.append(rig.model_link)
    rig.do(rig.attempt.on_model_connected, rig.model_link)
    rig.old = old


def confirm(rig: LiveRig, number: int = 2) -> None:
    audio = {"format": {"type": "audio/pcmu", "rate": 8000}}
    session = {"id": f"live_sess_{number}", "expires_at": 0, "audio": audio}
    rig.do(rig.attempt.feed_message, json_of({"type": "session.started", "session": session}))


def json_of(event: dict[str, Any]) -> bytes:
    return json.dumps(event).encode()


@pytest.fixture
def renewing():
    rig = LiveRig(Agent(), silence_seconds=0, session_renew_seconds=10)
    rig.up()
    talked(rig)
    yield rig
    rig.shut()


@pytest.fixture
def stored():
    rig = LiveRig(Agent(), silence_seconds=0, session_renew_seconds=10, live_store=True)
    rig.up()
    talked(rig)
    yield rig
    rig.shut()


class TestStart:
    def test_the_first_one_is_told_of_nothing(self, rig):
        rig.up()
        (start,) = rig.sent("session.start")
        assert "input" not in start["session"]

    def test_waits_for_who_answers(self, rig):
        rig.call.session.hold()
        rig.do(rig.call.session.connected, rig.model_link.send_text)
        assert rig.sent("session.start") == []
        rig.do(rig.call.session.configure, Agent(instructions="New."), rig.call.settings)
        assert rig.sent("session.start")[0]["session"]["instructions"].startswith("New.")


TOOL_SECONDS = 2.0


def slow() -> Agent:
    agent = Agent()

    @agent.tool
    async def order(number: int) -> str:
        """The state of an order."""
        await asyncio.sleep(TOOL_SECONDS)
        return f"order {number} is on its way"

    return agent


class TestLostWhileAToolRuns:
    @pytest.fixture
    def lost(self):
        rig = LiveRig(slow(), silence_seconds=0).up()
        rig.line += [LOUD] * 50
        rig.advance(1.0)
        rig.hears("Where is order 7?")
        rig.advance(1.0)
        rig.delegates(("call_1", "order", '{"number": 7}'))
        rig.advance(0.5)
        rig.streaming = False
        rig.lose_model()
        rig.advance(0.1)
        rig.connect()
        yield rig
        rig.shut()

    def told_at_start(self, rig: LiveRig) -> str:
        text: str = rig.sent("session.start")[-1]["session"]["input"][-1]["content"][0]["text"]
        return text

    def test_it_is_not_asked_for_an_answer_before_the_tool_has_one(self, lost):
        assert self.told_at_start(lost).endswith("It is still at work.")
        lost.started_session(2)
        lost.advance(1.0)
        assert lost.appended("instructions") == []
        lost.advance(TOOL_SECONDS)
        assert lost.appended("thinking")[-1].endswith("It answered: order 7 is on its way")
        assert lost.appended("instructions") == [REACT]
        assert [tool["outcome"] for tool in lost.call.stats.tool_calls] == ["ok"]

    def test_one_that_answers_while_a_session_starts_is_told_to_it(self, lost):
        """What it was told at its start is not so any more when it has started."""
        lost.advance(TOOL_SECONDS)
        lost.started_session(2)
        lost.advance(0.1)
        assert lost.appended("thinking")[-1].endswith("It answered: order 7 is on its way")
        assert lost.appended("instructions") == [REACT]


class TestSuccessor:
    def test_is_told_what_was_said_and_takes_over_in_silence(self, renewing):
        renew(renewing)
        start = renewing.sent("session.start")[-1]["session"]
        assert [item["content"][0]["text"] for item in start["input"]] == ["We are open."]
        confirm(renewing)
        renewing.advance(0.3)
        assert renewing.call.line.counters["renewals"] == 1
        renewing.advance(FAREWELL_SECONDS)
        assert renewing.old.hang_ups == 1
        assert renewing.call.session.session_id == "live_sess_2"

    def test_the_old_one_is_closed_in_order(self, renewing):
        renew(renewing)
        confirm(renewing)
        renewing.advance(0.3)
        assert {"type": "session.close"} in renewing.to_model

    def test_is_told_of_what_came_meanwhile(self, renewing):
        renew(renewing)
        talked(renewing)
        confirm(renewing)
        renewing.advance(0.3)
        (told,) = renewing.appended("thinking")
        assert told == "You said: We are open."

    def test_does_not_take_over_in_mid_sentence(self, renewing):
        renew(renewing)
        renewing.says(2.0, "Wait.")
        confirm(renewing)
        renewing.advance(1.0)
        assert renewing.call.line.counters["renewals"] == 0
        renewing.advance(3.0)
        renewing.echo_marks()
        renewing.advance(0.5)
        assert renewing.call.line.counters["renewals"] == 1


class TestStored:
    def test_is_continued_by_its_successor(self, stored):
        renew(stored)
        assert stored.attempt.continues == "live_sess_1"
        start = stored.sent("session.start")[-1]["session"]
        assert start == {"audio": {"format": {"type": "audio/pcmu", "rate": 8000}}}

    def test_one_that_cannot_be_is_followed_by_another(self, stored):
        renew(stored)
        error = {"type": "error", "error": {"code": "not_found", "type": "invalid_request_error", "message": "no"}}
        stored.do(stored.attempt.feed_message, json_of(error))
        assert stored.call.line.counters["renewal_failures"] == 1
        stored.advance(30.5)
        assert stored.attempt.continues == ""

    def test_one_whose_connection_is_refused_is_followed_by_another(self, stored):
        stored.advance(11.0)
        assert stored.attempt.continues == "live_sess_1"
        stored.do(stored.attempt.on_model_failed, ModelUnavailable("not found", "http_404"))
        assert stored.call.line.counters["renewal_failures"] == 1
        stored.advance(30.5)
        assert (len(stored.dialled), stored.attempt.continues) == (3, "")

    def test_one_that_was_can_be_again_when_its_successor_is_lost_unused(self, stored):
        renew(stored)
        stored.says(3.0)
        stored.advance(0.1)
        confirm(stored)
        stored.do(stored.attempt.on_model_lost, 1006, "")
        stored.advance(30.5)
        assert (len(stored.dialled), stored.attempt.continues) == (3, "live_sess_1")

    def test_one_that_is_not_is_not(self, renewing):
        renew(renewing)
        assert renewing.attempt.continues == ""


def test_words_have_no_event_of_their_own(rig):
    rig.up()
    rig.call.session.on_words("item", "words")
    assert rig.call.session.turns == {}


class TestFarewell:
    """What a session has lasted, all told, the service says when it has been closed."""

    @staticmethod
    def closed(seconds: float) -> bytes:
        return json_of({"type": "session.closed", "reason": "close_requested", "usage": {"seconds": seconds}})

    def test_a_calls_last_session_tells_after_its_end_and_the_record_has_it(self, rig):
        documents = []
        rig.call._accounted = lambda document, more_usd: documents.append(document)
        rig.up()
        rig.advance(20)
        rig.model({"type": "session.usage.updated", "usage": {"seconds": 15}})
        rig.do(rig.call.close, "customer_hangup")
        before = rig.call.document
        assert (before["model_seconds"]["billed"], rig.model_link.hang_ups, len(rig.ended)) == (15, 0, 1)
        rig.do(rig.model_link.feed, b"no JSON")
        rig.do(rig.model_link.feed, json_of({"type": "session.output_audio.delta", "delta": "/w=="}))
        assert (rig.model_link.hang_ups, documents) == (0, [])
        rig.do(rig.model_link.feed, self.closed(21))
        assert (rig.model_link.hang_ups, documents) == (1, [rig.call.document])
        assert rig.call.document == before | {
            "model_seconds": before["model_seconds"] | {"billed": 21},
            "cost": rig.call.document["cost"],
        }
        assert before["model_seconds"]["billed"] == 15, "a thread may be writing it"
        assert rig.loop.pending_timers() == []

    def test_one_that_tells_nothing_is_waited_for_so_long_and_no_longer(self, rig):
        rig.up()
        rig.do(rig.call.close, "customer_hangup")
        assert (len(rig.carrier_link.closed), rig.model_link.hang_ups) == (1, 0)
        rig.advance(FAREWELL_SECONDS + 0.01, line=False)
        assert rig.model_link.hang_ups == 1
        rig.do(rig.model_link.feed, self.closed(21))
        assert (rig.model_link.hang_ups, rig.call.document["model_seconds"]["billed"]) == (1, None)

    @pytest.mark.parametrize("usage", [{}, None, {"seconds": float("nan")}, {"seconds": -1}, {"seconds": 1e9}])
    def test_what_is_no_account_changes_nothing(self, rig, usage):
        rig.call._accounted = lambda document, more_usd: pytest.fail("nothing was told")
        rig.up()
        rig.do(rig.call.close, "customer_hangup")
        before = rig.call.document
        rig.do(rig.model_link.feed, json_of({"type": "session.closed", "usage": usage}))
        assert (rig.model_link.hang_ups, rig.call.document) == (1, before)

    def test_one_that_has_a_successor_tells_beside_that(self, renewing):
        renew(renewing)
        confirm(renewing)
        renewing.advance(0.2)
        renewing.model({"type": "session.usage.updated", "usage": {"seconds": 3}})
        renewing.do(renewing.old.feed, self.closed(14))
        renewing.model({"type": "session.usage.updated", "usage": {"seconds": 4}})
        assert (renewing.old.hang_ups, renewing.call.session.billed_seconds) == (1, 18)

    def test_one_that_never_began_is_hung_up(self, rig):
        rig.connected()
        rig.do(rig.call.close, "customer_hangup")
        assert rig.model_link.hang_ups == 1

    def test_one_that_was_lost_has_nothing_to_say(self, rig):
        rig.up()
        rig.lose_model()
        rig.advance(0.2)
        rig.connect()
        rig.do(rig.call.close, "customer_hangup")
        assert [link.hang_ups for link in rig.model_links] == [1, 1]


def moved(rig: LiveRig, seconds: float = 6.0) -> None:
    """The successor's session begins, and streams for so long before the call has a moment to move over."""
    renew(rig)
    rig.says(seconds - 1.5, "Wait.")
    confirm(rig)
    streamed_ms = 0
    while not rig.call.line.counters["renewals"]:
        rig.do(rig.attempt.feed_message, json_of({"type": "session.output_audio.delta", "delta": "/" * 213 + "w=="}))
        streamed_ms += 20
        rig.advance(0.02)
        rig.echo_marks()
    assert streamed_ms > 4000
    rig.stream_ms = streamed_ms


class TestTheClockOfASuccessor:
    """It began with its session: what it says of places in its stream is by that."""

    def test_an_answer_that_breaks_off_is_gone_on_with_from_its_words(self, renewing):
        moved(renewing)
        words = [f"word{number}" for number in range(12)]
        for word in words:
            renewing.says(0.25, f" {word}")
            renewing.advance(0.23)
        renewing.streaming = False
        renewing.lose_model()
        renewing.advance(0.2)
        renewing.connect()
        told = renewing.sent("session.start")[-1]["session"]["input"][-1]["content"][0]["text"]
        assert told.split() == words

    def test_words_that_come_behind_their_answer_are_no_other_turn(self, renewing):
        moved(renewing)
        renewing.line += [LOUD] * 40
        renewing.advance(1.2)
        spoken_ms = renewing.stream_ms - 300
        renewing.says(1.0, "We are.")
        place = {"start_ms": spoken_ms - 400, "end_ms": spoken_ms}
        renewing.model({"type": "session.input_transcript.delta", "event_id": "e", "delta": "Are you open?", **place})
        renewing.advance(4.0)
        assert (renewing.appended("instructions"), renewing.call.stats.turns) == ([], 1)

    def test_a_stream_that_ran_before_is_not_too_fast(self, renewing):
        moved(renewing, 9.0)
        renewing.advance(3.0)
        assert renewing.call.format_watch.counters == {}

    def test_nor_is_one_whose_network_stood_still_before(self, renewing):
        renew(renewing)
        renewing.says(4.5, "Wait.")
        confirm(renewing)
        while not renewing.call.line.counters["renewals"]:
            renewing.advance(0.02)
            renewing.echo_marks()
        renewing.delta_of(SILENT * 200)
        renewing.advance(3.0)
        assert renewing.call.format_watch.counters == {}


class TestAPrivateSection:
    def test_is_known_to_a_successor(self, renewing):
        renewing.do(renewing.call.begin_private, "ticket", 60.0, lambda well: None)
        renew(renewing)
        confirm(renewing)
        renewing.advance(0.3)
        assert renewing.call.line.counters["renewals"] == 1
        assert renewing.appended("thinking") == [PRIVATE, PRIVATE]
        renewing.do(renewing.call.end_private, "ticket")
