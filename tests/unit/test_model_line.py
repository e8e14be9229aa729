"""fastbridge.model.line: the table, every deadline, and what a lost line costs the caller."""

import json
from typing import Any

import pytest

from fastbridge.agent import Agent
from fastbridge.base.end_reasons import EndReason
from fastbridge.errors import IllegalEvent, ModelUnavailable
from fastbridge.model.backoff import MAX_TRIES
from fastbridge.model.errors import is_busy, is_hopeless
from fastbridge.model.line import (
    DEADLINES_SECONDS,
    TRANSITIONS,
    Event,
    State,
)
from helpers import LOUD, QUIET, numbered_frame
from virtual import Rig

SECOND = bytes(range(160)) * 50
SPEECH_STARTED = {"type": "input_audio_buffer.speech_started", "item_id": "item_u"}
SPEECH_STOPPED = {"type": "input_audio_buffer.speech_stopped", "item_id": "item_u"}
COMMITTED = {"type": "input_audio_buffer.committed", "item_id": "item_u"}


@pytest.fixture
def new():
    rig = Rig(silence_seconds=0)
    yield rig
    rig.shut()


@pytest.fixture
def rig(new):
    return new.up()


def back(rig: Rig, number: int = 2) -> Rig:
    """The line comes back: dialled, connected, confirmed."""
    dialled = len(rig.dialled)
    for _ in range(300):
        if len(rig.dialled) > dialled or len(rig.dialled) > len(rig.model_links):
            break
        rig.advance(0.02)
    rig.connect()
    rig.open_session(number)
    return rig


def say(rig: Rig, words: str) -> None:
    """The caller says it, and the model hears it."""
    for event in (SPEECH_STARTED, SPEECH_STOPPED, COMMITTED):
        rig.model(event)
    rig.model(
        {
            "type": "conversation.item.input_audio_transcription.completed",
            "item_id": "item_u",
            "transcript": words,
        }
    )


def told(rig: Rig) -> list[tuple[str, str]]:
    """What the session of the newest connection was told, by role."""
    last = max(index for index, event in enumerate(rig.to_model) if event["type"] == "session.update")
    found = []
    for event in rig.to_model[last:]:
        if event["type"] == "conversation.item.create":
            item = event["item"]
            text = item["content"][0]["text"] if "content" in item else item.get("output", item.get("arguments"))
            found.append((item.get("role", item["type"]), text))
    return found


def asked(rig: Rig) -> list[str]:
    """The instructions of the creates in the newest session."""
    last = max(index for index, event in enumerate(rig.to_model) if event["type"] == "session.update")
    creates = [event for event in rig.to_model[last:] if event["type"] == "response.create"]
    return [event["response"].get("instructions", "") for event in creates]


ROWS = {
    (State.IDLE, Event.DIAL): State.DIALLING,
    (State.DIALLING, Event.CONNECTED): State.OPENING,
    (State.DIALLING, Event.LOST): State.PAUSING,
    (State.OPENING, Event.READY): State.UP,
    (State.OPENING, Event.LOST): State.PAUSING,
    (State.UP, Event.LOST): State.PAUSING,
    (State.PAUSING, Event.DIAL): State.DIALLING,
    **{(state, Event.GIVE_UP): State.DOWN for state in (State.DIALLING, State.OPENING, State.UP, State.PAUSING)},
    **{(state, Event.CLOSE): State.CLOSED for state in State if state is not State.CLOSED},
}


class TestTable:
    def test_has_these_rows_and_no_others(self):
        assert {(state, event): to for state, row in TRANSITIONS.items() for event, to in row.items()} == ROWS

    @pytest.mark.parametrize("state", State)
    @pytest.mark.parametrize("event", Event)
    def test_an_event_without_a_row_is_an_error(self, new, state, event):
        line = new.call.line
        line.state = state
        if (state, event) in ROWS:
            new.do(line._to, event)
            assert line.state is ROWS[state, event]
        else:
            with pytest.raises(IllegalEvent, match=f"{event} in state {state}"):
                new.do(line._to, event)
        line.state = State.IDLE
        line._state_deadline.clear()

    def test_what_waits_for_others_has_a_deadline(self):
        assert set(DEADLINES_SECONDS) == {State.DIALLING, State.OPENING, State.PAUSING}


class TestReaching:
    def test_once_up_it_is_not_dialled_again(self, rig):
        rig.advance(60)
        assert (len(rig.dialled), rig.call.line.state) == (1, State.UP)

    def test_not_reached_is_tried_again_soon_and_heard_by_the_model_when_it_comes(self, new):
        new.started()
        new.caller_says(numbered_frame(1))
        new.refuse()
        new.advance(0.101)
        assert len(new.dialled) == 2
        new.connect()
        new.open_session()
        assert new.uplink[:160] == numbered_frame(1)
        assert new.call.record()["model_line"] == {"dials": 2, "dial_failures": 1, "apologised": False}

    def test_at_most_four_times_then_an_apology_and_the_end(self, new):
        new.started()
        for _ in range(MAX_TRIES):
            new.refuse()
            new.advance(1.1)
        assert (len(new.dialled), new.call.line.state, new.call.live) == (MAX_TRIES, State.DOWN, True)
        new.advance(10)
        assert new.call.end_reason == EndReason.MODEL_UNAVAILABLE
        assert new.call.apologised
        assert len(new.downlink) > 5 * 8000

    @pytest.mark.parametrize("code", ["http_401", "http_403", "http_404", "insufficient_quota", "invalid_api_key"])
    def test_what_no_retry_cures_is_not_retried(self, new, code):
        new.started()
        new.refuse(code)
        new.advance(0.1)
        assert (len(new.dialled), new.call.line.state) == (1, State.DOWN)
        assert len(new.downlink) >= 160, "the apology has begun"
        assert new.call.line._breaker.refuses()

    @pytest.mark.parametrize("code", ["http_429", "http_500", "http_503"])
    def test_a_busy_service_is_tried_twice_more_within_3_s(self, new, code):
        new.started()
        new.refuse(code)
        new.advance(0.51)
        assert len(new.dialled) == 2
        new.refuse(code)
        new.advance(1.51)
        assert len(new.dialled) == 3
        new.refuse(code)
        assert (new.call.line.state, new.call.line._breaker.refuses()) == (State.DOWN, False)

    def test_a_service_that_lets_us_in_and_throws_us_out_is_left_alone(self, new):
        new.started()
        for _ in range(MAX_TRIES):
            new.connect()
            new.lose_model(1008, "no")
            new.advance(1.1)
        assert (len(new.dialled), new.call.line.state) == (MAX_TRIES, State.DOWN)

    def test_so_is_one_that_throws_us_out_once_the_session_is_up(self, new):
        new.up()
        for number in range(2, MAX_TRIES + 1):
            new.lose_model(1008, "no")
            back(new, number)
        new.lose_model(1008, "no")
        new.advance(1.1)
        assert (len(new.dialled), new.call.line.state) == (MAX_TRIES, State.DOWN)
        new.advance(10)
        assert new.call.end_reason == EndReason.MODEL_LOST

    def test_ten_healthy_seconds_begin_the_count_anew(self, rig):
        for number in range(2, 9):
            rig.advance(10.1)
            rig.lose_model()
            back(rig, number)
        assert (rig.call.line.state, len(rig.dialled)) == (State.UP, 8)

    def test_a_dial_that_never_ends_is_given_up_after_its_deadline(self, new):
        new.started()
        new.advance(4.2)
        assert len(new.dialled) == 2
        assert new.call.line.counters["safety_fuse"] == 1

    def test_a_socket_that_comes_too_late_is_hung_up(self, new):
        new.started()
        late = new.attempt
        new.advance(4.2)
        new.connect()
        link = type(new.model_link)(new)
        new.do(late.on_model_connected, link)
        assert (link.hang_ups, new.model_link.hang_ups) == (1, 0)

    def test_an_outage_ends_after_its_bound_whatever_is_still_tried(self):
        rig = Rig(outage_seconds=3).started()
        rig.advance(3.1)
        assert rig.call.line.state is State.DOWN
        rig.shut()

    def test_not_confirmed_in_8_s_is_tried_again(self, new):
        new.connected()
        new.model({"type": "session.created", "session": {"id": "sess_1"}})
        new.advance(8.2)
        assert len(new.dialled) == 2
        assert new.call.record()["errors"] == ["session_update_timeout"]

    def test_a_wrong_format_is_not_tried_again(self, new):
        new.connected()
        new.model({"type": "session.created", "session": {"id": "sess_1"}})
        new.confirm("audio/pcm")
        new.advance(8.1)
        assert (len(new.dialled), new.call.line.state) == (1, State.DOWN)
        assert new.call.record()["errors"] == ["format_mismatch"]
        assert not new.call.line._breaker.refuses()

    def test_out_of_money_mid_call(self, rig):
        rig.model({"type": "error", "error": {"code": "insufficient_quota", "message": "Pay."}})
        assert rig.call.line.state is State.DOWN
        rig.advance(10)
        assert rig.call.end_reason == EndReason.MODEL_LOST
        assert rig.call.record()["errors"] == ["insufficient_quota"]


class TestLost:
    @pytest.mark.parametrize("code", [1000, 1001, 1005, 1006, 1011, 1012])
    def test_it_is_dialled_again_within_100_ms(self, rig, code):
        rig.lose_model(code)
        rig.advance(0.101)
        assert len(rig.dialled) == 2
        assert rig.call.record()["errors"] == [f"closed_{code}"]

    def test_an_hour_is_over(self, rig):
        rig.model({"type": "error", "error": {"code": "session_expired", "message": "60 minutes"}})
        rig.lose_model(1001, "Your session hit the maximum duration of 60 minutes.")
        back(rig)
        assert (rig.call.line.state, rig.call.line.counters["losses"]) == (State.UP, 1)

    def test_the_caller_waits_and_is_heard_in_order(self, rig):
        rig.lose_model()
        spoken = [numbered_frame(number) for number in range(1, 30)]
        rig.caller_says(*spoken)
        assert rig.uplink == b""
        back(rig)
        assert rig.uplink.startswith(b"".join(spoken))

    def test_what_was_received_is_heard(self, rig):
        rig.respond(SECOND * 2)
        rig.advance(0.5)
        rig.lose_model()
        rig.advance(2)
        assert rig.downlink.startswith(SECOND * 2)

    def test_the_conversation_is_told_to_the_new_session_in_order(self, rig):
        rig.respond(SECOND, 1, "How can I help?")
        rig.advance(1.2)
        say(rig, "A table for two.")
        rig.respond(SECOND, 2, "For when?")
        rig.advance(1.2)
        rig.lose_model()
        back(rig)
        assert told(rig) == [
            ("assistant", "How can I help?"),
            ("user", "A table for two."),
            ("assistant", "For when?"),
        ]
        assert asked(rig) == []
        assert rig.call.line.counters["replayed_items"] == 3

    def test_the_update_comes_first_then_the_conversation_then_audio(self, rig):
        rig.respond(SECOND, 1, "Hello.")
        rig.advance(1.2)
        rig.lose_model()
        rig.caller_says(QUIET)
        rig.advance(0.2)
        before = len(rig.journal)
        rig.connect()
        rig.open_session(2)
        kinds = [entry.kind for entry in rig.journal[before:] if entry.to == "model"]
        assert kinds[:3] == ["session.update", "conversation.item.create", "input_audio_buffer.append"]

    def test_an_answer_cut_off_goes_on_from_what_was_heard(self, rig):
        say(rig, "Tell me a story.")
        rig.begin("resp_1", "item_1")
        for word in ["Once", "upon", "a", "time", "there", "was", "a", "very", "small", "frog", "that", "lived"]:
            rig.model(
                {
                    "type": "response.output_audio_transcript.delta",
                    "response_id": "resp_1",
                    "item_id": "item_1",
                    "delta": f"{word} ",
                }
            )
        rig.delta(SECOND, "resp_1", "item_1")
        rig.advance(0.4)
        rig.lose_model()
        back(rig)
        assert told(rig) == [("user", "Tell me a story."), ("assistant", "Once upon a")]
        (instructions,) = asked(rig)
        assert '"Once upon a"' in instructions
        assert "Repeat nothing" in instructions
        rig.begin("resp_2", "item_2")
        rig.delta(SECOND, "resp_2", "item_2")
        rig.done("resp_2")
        rig.advance(2.5)
        assert rig.downlink == SECOND * 2, "nothing is lost, nothing is said twice, and no filler is needed"

    def test_a_caller_who_interrupts_meanwhile_ends_that(self, rig):
        rig.begin("resp_1", "item_1")
        rig.delta(SECOND * 5, "resp_1", "item_1")
        rig.advance(0.4)
        rig.lose_model()
        rig.caller_says(*[LOUD] * 40)
        assert len(rig.call.stats.barge_ins) == 1
        back(rig)
        assert asked(rig) == []

    def test_a_turn_without_an_answer_gets_one(self, rig):
        say(rig, "Are you open?")
        rig.lose_model()
        back(rig)
        assert told(rig) == [("user", "Are you open?")]
        assert asked(rig) == [""]

    def test_a_turn_whose_words_are_lost_is_asked_for(self, rig):
        for event in (SPEECH_STARTED, SPEECH_STOPPED, COMMITTED):
            rig.model(event)
        rig.lose_model()
        back(rig)
        assert "did not hear them" in asked(rig)[0]

    def test_so_is_one_that_was_being_spoken_and_does_not_go_on(self, rig):
        rig.model(SPEECH_STARTED)
        rig.lose_model()
        back(rig)
        assert asked(rig) == []
        rig.advance(2.1)
        assert "did not hear them" in asked(rig)[0]

    def test_but_not_if_it_goes_on(self, rig):
        rig.model(SPEECH_STARTED)
        rig.lose_model()
        back(rig)
        rig.model(SPEECH_STARTED)
        rig.caller_says(*[LOUD] * 150)
        assert asked(rig) == []

    def test_a_response_without_any_audio_is_asked_for_again(self, rig):
        say(rig, "Are you open?")
        rig.begin("resp_1", "item_1")
        rig.lose_model()
        back(rig)
        assert asked(rig) == [""]

    def test_a_greeting_not_begun_is_asked_for_again_and_still_locked(self):
        rig = Rig(Agent(greeting="Hello!")).up()
        rig.begin("resp_1", "item_1")
        rig.lose_model()
        assert rig.call.greeting.locked
        back(rig)
        assert "Hello!" in asked(rig)[0]
        rig.begin("resp_2", "item_2")
        rig.delta(SECOND, "resp_2", "item_2")
        rig.done("resp_2")
        rig.advance(0.5)
        assert rig.call.greeting.locked
        rig.advance(0.8)
        assert not rig.call.greeting.locked
        assert rig.call.record()["timings_ms"]["greeting"] is not None
        rig.shut()

    def test_a_greeting_that_was_only_requested_is_requested_once_more(self):
        rig = Rig(Agent(greeting="Hello!")).up()
        rig.lose_model()
        back(rig)
        assert len(asked(rig)) == 1
        rig.shut()

    def test_is_said_in_the_log_and_counted(self, rig, caplog):
        caplog.set_level("INFO")
        rig.lose_model(1011, "internal")
        back(rig)
        lines = [record.getMessage() for record in caplog.records]
        assert any("[REALTIME] connection lost" in line and "code=closed_1011" in line for line in lines)
        assert any("[REALTIME] OpenAI reconnected in" in line for line in lines)
        counters = rig.call.record()["model_line"]
        assert (counters["losses"], counters["reconnects"], counters["dials"]) == (1, 1, 2)
        json.dumps(rig.call.record())

    def test_every_try_is_one_line_with_its_cause(self, caplog):
        rig = Rig().started()
        for number in range(MAX_TRIES):
            error = ModelUnavailable(f"cause {number}", f"http_50{number}", "HTTPError", words="Busy, sorry.")
            rig.do(rig.attempt.on_model_failed, error)
            rig.advance(2)
        rig.shut()
        sid = f", call_sid={rig.call.call_sid}"
        written = [
            (record.levelname, record.getMessage()) for record in caplog.records if "cause" in record.getMessage()
        ]
        assert all(line.endswith(sid) for _, line in written)
        lost = "[REALTIME] connection lost: cause {0}: Busy, sorry, code=http_50{0}, type=HTTPError, tries={1}"
        tries, last = [("WARNING", lost.format(number, number + 1)) for number in range(2)], "cause 2: Busy, sorry"
        assert [(level, line.removesuffix(sid)) for level, line in written] == [
            *tries,
            ("ERROR", f"[SERVER_ERROR] {last}, code=http_502, type=HTTPError"),
            (
                "WARNING",
                f"[HANGUP] the model has failed this call: {last}, code=http_502, type=HTTPError, step=apology, "
                "reason=model_unavailable",
            ),
        ]
        document = rig.call.document
        assert (document["errors"], document["errors_by_type"]) == (
            ["http_500", "http_501", "http_502"],
            {"HTTPError": 3},
        )


class TestTools:
    @pytest.fixture
    def rig(self):
        agent = Agent()
        self.release: Any = None

        @agent.tool
        async def look_up(what: str) -> str:
            """Look something up."""
            import asyncio

            await asyncio.sleep(1)
            return f"{what}: yes"

        rig = Rig(agent).up()
        yield rig
        rig.shut()

    def call(self, rig: Rig) -> None:
        say(rig, "Is it there?")
        rig.begin("resp_1")
        rig.tool_call("call_1", "look_up", '{"what": "it"}')
        rig.done("resp_1")

    def test_that_ends_while_the_line_is_down_is_told_to_the_new_session(self, rig):
        self.call(rig)
        rig.advance(0.9)
        rig.lose_model()
        rig.advance(0.2)
        back(rig)
        assert told(rig) == [
            ("user", "Is it there?"),
            ("function_call", '{"what": "it"}'),
            ("function_call_output", "it: yes"),
        ]
        assert asked(rig) == [""]

    def test_that_ends_later_is_told_then_and_only_then_asked_for(self, rig):
        self.call(rig)
        rig.advance(0.2)
        rig.lose_model()
        back(rig)
        assert told(rig) == [("user", "Is it there?"), ("function_call", '{"what": "it"}')]
        assert asked(rig) == []
        rig.advance(1)
        assert told(rig)[-1] == ("function_call_output", "it: yes")
        assert asked(rig) == [""]

    def test_of_a_response_that_was_cut_off_is_not_called_again(self, rig):
        say(rig, "Is it there?")
        rig.begin("resp_1")
        rig.tool_call("call_1", "look_up", '{"what": "it"}')
        rig.lose_model()
        back(rig)
        rig.advance(1.5)
        assert asked(rig) == [""]
        assert len(rig.call.stats.tool_calls) == 1


class TestBackPressure:
    def test_a_socket_that_takes_no_audio_for_5_s_is_dead(self, rig):
        rig.do(rig.attempt.on_model_paused, True)
        rig.advance(4.9)
        assert rig.call.line.up
        assert rig.call.caller.waiting == 100, "2 s of the caller, and no more"
        rig.advance(0.2)
        assert not rig.call.line.up
        assert rig.model_link.hang_ups == 1

    def test_one_that_takes_it_again_is_not(self, rig):
        rig.do(rig.attempt.on_model_paused, True)
        rig.advance(4.9)
        rig.do(rig.attempt.on_model_paused, False)
        rig.advance(5)
        assert rig.call.line.up

    def test_an_old_socket_does_not_stop_the_new_one(self, rig):
        old = rig.attempt
        rig.lose_model()
        back(rig)
        rig.do(old.on_model_paused, True)
        rig.do(old.on_model_lost, 1006, "")
        rig.caller_says(LOUD)
        assert rig.uplink.endswith(LOUD)
        assert rig.call.line.up

    def test_a_full_ring_stops_the_new_socket_too(self, rig):
        rig.begin("resp_1", "item_1")
        for _ in range(601):
            rig.delta(SECOND, "resp_1", "item_1")
        rig.lose_model()
        back(rig)
        assert not rig.model_link.reading


@pytest.mark.parametrize(
    ("code", "hopeless", "busy"),
    [
        ("http_401", True, False),
        ("http_400", True, False),
        ("http_408", False, False),
        ("http_429", False, True),
        ("http_502", False, True),
        ("insufficient_quota", True, False),
        ("session_expired", False, False),
        ("rate_limit_exceeded", False, True),
        ("connect_timeout", False, False),
        (None, False, False),
    ],
)
def test_who_is_to_blame_decides_about_retries(code, hopeless, busy):
    error = ModelUnavailable("x", code)
    assert (is_hopeless(error), is_busy(error)) == (hopeless, busy)


class TestUntaken:
    """What is written and not taken, while nobody says that the socket is dead."""

    def test_for_three_seconds_is_a_loss(self, rig):
        rig.model_link.untaken = 40_000
        rig.advance(3)
        assert rig.call.line.state is State.UP
        rig.advance(2.1)
        assert rig.call.line.counters["losses"] == 1
        assert "upload_blocked" in rig.call.stats.errors

    def test_that_gets_less_is_only_slow(self, rig):
        for untaken in range(900_000, 40_000, -50_000):
            rig.model_link.untaken = untaken
            rig.advance(1)
        assert rig.call.line.counters["losses"] == 0

    def test_a_little_is_nothing(self, rig):
        rig.model_link.untaken = 30_000
        rig.advance(10)
        assert rig.call.line.counters["losses"] == 0
