"""call.transcripts: each turn told once, in the conversation's order, and of the assistant what was heard."""

from typing import Any

import pytest

from fastbridge.agent import Agent
from fastbridge.base.conversation import Turn
from fastbridge.call.transcripts import PATIENCE_SECONDS
from helpers import LOUD
from virtual import Rig

SECOND, HALF = bytes(8000), bytes(4000)
COMPLETED = "conversation.item.input_audio_transcription.completed"
FAILED = "conversation.item.input_audio_transcription.failed"


class SaidRig(Rig):
    """A live call. `told`: what the hook was told; `lines`: what the log says was said."""

    def __init__(self, caplog: Any, **settings: Any) -> None:
        agent = Agent()
        self.told: list[tuple[str, str]] = []

        @agent.on_transcript
        async def tell(turn: Turn) -> None:
            self.told.append((turn.role, turn.text))

        super().__init__(agent, **settings)
        caplog.set_level("INFO", "fastbridge.events")
        self._caplog = caplog

    @property
    def lines(self) -> list[str]:
        texts = [record.getMessage().partition(", call_sid")[0] for record in self._caplog.records]
        return [text.removeprefix("[TRANSCRIPT] ") for text in texts if text.startswith(("[TRANSCRIPT]", "[BARGE-IN]"))]

    def words(self, text: str, response_id: str = "resp_1", item_id: str = "item_1") -> None:
        event = {"type": "response.output_audio_transcript.delta", "response_id": response_id}
        self.model({**event, "item_id": item_id, "delta": text})

    def caller_turn(self, item_id: str = "item_u", text: str | None = None) -> None:
        self.model({"type": "input_audio_buffer.committed", "item_id": item_id})
        if text is not None:
            self.written_down(text, item_id)

    def written_down(self, text: str, item_id: str = "item_u") -> None:
        self.model({"type": COMPLETED, "item_id": item_id, "transcript": text})

    def played(self, seconds: float) -> None:
        self.advance(seconds)
        self.echo_marks()
        self.advance(0.02)


@pytest.fixture
def rig(caplog):
    rig = SaidRig(caplog).up()
    yield rig
    rig.shut()


def interrupt(rig: SaidRig) -> None:
    rig.model({"type": "input_audio_buffer.speech_started", "item_id": "item_u"})
    rig.caller_says(*[LOUD] * 6)


class TestHeard:
    def test_an_answer_is_told_when_it_has_been_played(self, rig):
        rig.respond(SECOND * 2, 1, "We are open from nine to five.")
        rig.advance(1.9)
        assert (rig.lines, rig.told) == ([], [])
        rig.played(0.15)
        assert rig.lines == ['AI: "We are open from nine to five."']
        assert rig.told == [("assistant", "We are open from nine to five.")]

    def test_also_where_the_carrier_echoes_no_marks(self, rig):
        rig.respond(SECOND * 2, 1, "We are open.")
        rig.advance(3.1)
        assert rig.lines == ['AI: "We are open."']

    def test_of_an_interrupted_one_the_words_that_were_heard_and_that_it_was_cut(self, rig):
        rig.respond(SECOND * 4, 1, "I have Tuesday at ten, Wednesday at noon, and Thursday.")
        rig.advance(2)
        interrupt(rig)
        rig.advance(0.02)
        (turn,) = rig.call.record()["turns"]
        line, barge_in = rig.lines
        assert line == f'AI: "{turn["text"]}…" (interrupted)'
        assert "I have Tuesday at ten,".startswith(turn["text"][:10])
        assert len(turn["text"]) < 40
        assert "User interrupting AI!" in barge_in
        assert rig.told == [("assistant", turn["text"])]

    def test_one_whose_words_were_still_coming_too(self, rig):
        rig.begin("resp_1", "item_1")
        rig.words("I have Tuesday at ten, Wed")
        rig.delta(SECOND * 2, "resp_1", "item_1")
        rig.advance(1)
        interrupt(rig)
        rig.advance(0.02)
        assert rig.lines[0].startswith('AI: "I have')
        assert rig.lines[0].endswith('…" (interrupted)')
        rig.transcript("I have Tuesday at ten, Wednesday at noon.", "resp_1", "item_1")
        rig.done("resp_1", "cancelled")
        rig.played(2)
        assert len(rig.told) == len([line for line in rig.lines if line.startswith("AI")]) == 1

    def test_one_whose_words_come_after_it_was_cut_is_told_then(self, rig):
        rig.begin("resp_1", "item_1")
        rig.delta(SECOND * 2, "resp_1", "item_1")
        rig.advance(1)
        interrupt(rig)
        assert rig.told == []
        rig.transcript("one two three four", "resp_1", "item_1")
        rig.advance(0.02)
        assert rig.told == [("assistant", "one two")]
        rig.done("resp_1", "cancelled")

    def test_where_no_word_was_heard_whole_it_is_still_said_that_something_was(self, rig):
        rig.respond(SECOND * 4, 1, "Internationally-renowned")
        rig.advance(1)
        interrupt(rig)
        assert rig.lines[0] == 'AI: "…" (interrupted)'
        assert rig.told == []

    def test_what_was_never_heard_was_never_said(self, rig):
        rig.respond(SECOND * 2, 1, "The first.")
        rig.begin("resp_2", "item_2")
        rig.delta(SECOND, "resp_2", "item_2")
        rig.transcript("The second.", "resp_2", "item_2")
        rig.begin("resp_2", "item_3")
        rig.words("And the third, of which no audio came.", "resp_2", "item_3")
        rig.advance(1)
        interrupt(rig)
        rig.done("resp_2", "cancelled")
        rig.advance(3)
        assert [line for line in rig.lines if line.startswith("AI")] == ['AI: "The…" (interrupted)']
        assert [turn["text"] for turn in rig.call.record()["turns"]] == ["The"]

    def test_a_response_that_ended_without_audio_was_not_heard(self, rig):
        rig.begin("resp_1", "item_1")
        rig.words("Never voiced.")
        rig.done("resp_1", "failed", status_details={"error": {"code": "server_error"}})
        rig.advance(0.1)
        assert (rig.lines, rig.call.record()["turns"]) == ([], [])

    def goes_on(self, rig):
        """The response has another message, which is heard to its end."""
        item = {"id": "item_2", "type": "message"}
        rig.model({"type": "response.output_item.added", "response_id": "resp_1", "item": item})
        rig.delta(SECOND, "resp_1", "item_2")
        rig.transcript("At nine.", "resp_1", "item_2")
        rig.done("resp_1")
        rig.played(2)

    def test_two_messages_of_one_response(self, rig):
        rig.begin("resp_1", "item_1")
        rig.delta(bytes(2000), "resp_1", "item_1")
        rig.transcript("Let me see.", "resp_1", "item_1")
        rig.advance(0.6)
        self.goes_on(rig)
        assert rig.lines == ['AI: "Let me see."', 'AI: "At nine."']

    def test_a_message_that_was_heard_before_the_next_one_began(self, rig):
        """The lane knows nothing of it any more when its response ends."""
        rig.begin("resp_1", "item_1")
        rig.transcript("Let me see.", "resp_1", "item_1")
        rig.delta(bytes(2080), "resp_1", "item_1")
        rig.advance(0.5)
        self.goes_on(rig)
        assert rig.lines == ['AI: "Let me see."', 'AI: "At nine."']

    def test_a_false_interruption_changes_nothing(self, rig):
        rig.respond(SECOND * 2, 1, "We are open from nine to five.")
        rig.advance(0.5)
        rig.caller_says(*[LOUD] * 5)
        assert rig.call.assistant.held
        rig.played(3.5)
        assert [line for line in rig.lines if line.startswith("AI")] == ['AI: "We are open from nine to five."']

    def test_the_end_of_the_call_cuts_too(self, rig):
        rig.respond(SECOND * 4, 1, "one two three four five six seven eight")
        rig.advance(2)
        rig.do(rig.call.close, "customer_hangup")
        rig.loop.advance(0.02)
        assert rig.lines == ['AI: "one two three four…" (interrupted)']
        assert rig.told == [("assistant", "one two three four")]

    def test_the_end_of_the_call_while_the_words_still_come(self, rig):
        rig.begin("resp_1", "item_1")
        rig.words("one two three four")
        rig.delta(SECOND * 2, "resp_1", "item_1")
        rig.advance(1)
        rig.do(rig.call.close, "customer_hangup")
        assert rig.lines == ['AI: "one two…" (interrupted)']

    def test_the_end_of_the_call_where_the_words_are_ahead_of_the_voice(self, rig):
        rig.begin("resp_1", "item_1")
        rig.words("one two three four five six seven eight nine ten eleven twelve thirteen")
        rig.delta(SECOND, "resp_1", "item_1")
        rig.advance(1.5)
        rig.do(rig.call.close, "customer_hangup")
        (line,) = rig.lines
        assert line == 'AI: "one two three four five…" (interrupted)'

    def test_what_the_node_itself_has_cleared_was_not_heard(self, rig):
        rig.respond(SECOND * 4, 1, "one two three four")
        rig.advance(1)
        rig.do(rig.call.assistant.clear)
        rig.advance(1)
        assert rig.lines == ['AI: "one…" (interrupted)']


class TestOrder:
    def test_the_callers_words_come_before_the_answer_to_them_however_late_they_are(self, rig):
        rig.caller_turn()
        rig.respond(HALF, 1, "At nine.")
        rig.played(0.7)
        assert rig.lines == []
        rig.written_down("When do you open?")
        rig.advance(0.02)
        assert rig.lines == ['Customer: "When do you open?"', 'AI: "At nine."']
        assert rig.told == [("caller", "When do you open?"), ("assistant", "At nine.")]

    def test_words_that_do_not_come_are_not_waited_for_for_ever(self, rig):
        rig.caller_turn()
        rig.respond(HALF, 1, "At nine.")
        rig.played(0.7)
        rig.advance(PATIENCE_SECONDS - 0.1)
        assert rig.lines == []
        rig.advance(0.2)
        assert rig.lines == ['AI: "At nine."']
        rig.respond(HALF, 2, "Good day.")
        rig.played(0.7)
        assert rig.lines == ['AI: "At nine."', 'AI: "Good day."']
        rig.written_down("When do you open?")
        assert rig.lines[-1] == 'Customer: "When do you open?"'

    def test_those_that_never_come_are_not_looked_through_again_and_again(self, rig):
        for number in range(1, 6):
            rig.caller_turn(f"item_u{number}")
            rig.respond(HALF, number, f"Answer {number}.")
            rig.played(0.7)
            rig.advance(PATIENCE_SECONDS + 0.1)
        assert rig.call.session.history.untold == {}
        rig.written_down("Two?", "item_u2")
        rig.model({"type": FAILED, "item_id": "item_u3", "error": {}})
        assert next(line for line in rig.lines if line.startswith('Customer: "')) == 'Customer: "Two?"'
        rig.advance(0.02)
        assert rig.told[-1] == ("caller", "Two?")

    def test_nor_are_those_that_failed(self, rig):
        rig.caller_turn()
        rig.model({"type": FAILED, "item_id": "item_u", "error": {}})
        rig.respond(HALF, 1, "Pardon?")
        rig.played(0.7)
        assert [line for line in rig.lines if "AI" in line] == ['AI: "Pardon?"']

    def test_nor_where_nothing_is_written_down(self, caplog):
        rig = SaidRig(caplog, transcription_model="").up()
        rig.caller_turn()
        rig.respond(HALF, 1, "At nine.")
        rig.played(0.7)
        assert rig.lines == ['AI: "At nine."']
        rig.shut()

    def test_what_is_said_into_an_answer_comes_behind_it(self, rig):
        rig.respond(SECOND * 2, 1, "We are open from nine to five.")
        rig.advance(0.5)
        rig.caller_turn("item_u", "Mhm.")
        rig.advance(0.5)
        assert rig.lines == []
        rig.played(1.2)
        assert rig.lines == ['AI: "We are open from nine to five."', 'Customer: "Mhm."']

    def test_it_is_the_models_order(self, rig):
        rig.respond(SECOND, 1, "Of course.")
        rig.model({"type": "conversation.item.added", "item": {"id": "item_1"}, "previous_item_id": "item_u"})
        rig.caller_turn("item_u", "Please.")
        assert rig.lines == ['Customer: "Please."']
        rig.played(1.2)
        assert rig.lines == ['Customer: "Please."', 'AI: "Of course."']

    def test_the_end_tells_what_waits_in_order(self, rig):
        rig.caller_turn("item_u")
        rig.respond(HALF, 1, "At nine.")
        rig.played(0.7)
        rig.caller_turn("item_v", "Thanks.")
        rig.do(rig.call.close, "customer_hangup")
        assert rig.lines == ['AI: "At nine."', 'Customer: "Thanks."']

    def test_an_empty_turn_is_none(self, rig):
        rig.caller_turn("item_u", "  ")
        rig.respond(HALF, 1, "Yes?")
        rig.played(0.7)
        assert rig.lines == ['AI: "Yes?"']


def test_each_turn_is_told_once_whatever_comes_again(rig):
    rig.caller_turn("item_u", "Hello?")
    rig.written_down("Hello?")
    rig.respond(HALF, 1, "Yes?")
    rig.transcript("Yes?", "resp_1", "item_1")
    for _ in range(3):
        rig.played(0.7)
    rig.transcript("Yes? And more", "resp_1", "item_1")
    rig.do(rig.call.close, "customer_hangup")
    assert rig.lines == ['Customer: "Hello?"', 'AI: "Yes?"']
    assert rig.call.session.history.untold == {}
