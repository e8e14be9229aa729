"""call.fallback: what the caller hears when the model is silent, and that it never overlaps with the model."""

from base64 import b64decode

import pytest

from fastbridge.agent import Agent
from fastbridge.base.prompts import Prompts, load_prompts
from fastbridge.call.fallback import TRANSITIONS, Event, State
from fastbridge.errors import IllegalEvent
from helpers import LOUD
from virtual import Rig

SECOND = bytes(range(160)) * 50
COMMITTED = {"type": "input_audio_buffer.committed", "item_id": "item_u"}


def recording(name: str, language: str = "") -> bytes:
    prompt = load_prompts(language).get(name)
    assert prompt is not None
    audio = b64decode(prompt.base64)
    return audio + b"\xff" * (-len(audio) % 160)


@pytest.fixture
def new():
    rig = Rig()
    yield rig
    rig.shut()


@pytest.fixture
def rig(new):
    return new.up()


class TestTable:
    def test_every_way_leads_to_the_end(self):
        assert {state for state in State if Event.CLOSE not in TRANSITIONS[state]} == {State.ENDED}

    @pytest.mark.parametrize("event", [Event.HEARD, Event.GIVE_UP])
    def test_an_event_without_a_row_is_an_error(self, rig, event):
        rig.do(rig.call.fallback.close)
        with pytest.raises(IllegalEvent, match=f"{event} in state ended"):
            rig.do(rig.call.fallback._to, event)


class TestFiller:
    def test_is_heard_whole_and_the_model_hears_nothing_of_it(self, rig):
        rig.model(COMMITTED)
        rig.advance(1.5 + 1.8)
        assert rig.downlink == recording("filler_1")
        assert rig.to_model == [rig.to_model[0], *rig.sent("response.create")]

    @pytest.mark.parametrize("begun_first", [True, False])
    def test_gives_way_to_the_sound_of_the_models(self, rig, begun_first):
        rig.model(COMMITTED)
        if begun_first:
            rig.begin("resp_1", "item_1")
        rig.advance(1.9)
        if not begun_first:
            rig.begin("resp_1", "item_1")
        assert rig.written("clear") == []
        heard = len(rig.downlink)
        rig.delta(SECOND, "resp_1", "item_1")
        assert len(rig.written("clear")) == 1
        rig.done("resp_1")
        rig.advance(1.2)
        assert rig.downlink[heard:] == SECOND
        assert (rig.call.stats.barge_ins, rig.call.assistant.refused_deltas) == ([], 0)

    def test_not_to_a_message_without_a_sound(self, rig):
        rig.model(COMMITTED)
        rig.advance(1.6)
        rig.begin("resp_1", "item_1")
        rig.transcript("", "resp_1", "item_1")
        rig.advance(1.7)
        assert rig.downlink == recording("filler_1")

    def test_stands_in_the_middle_of_a_message_that_has_stalled(self, rig):
        rig.begin("resp_1", "item_1")
        rig.delta(SECOND, "resp_1", "item_1")
        rig.advance(2.6)
        rig.delta(SECOND, "resp_1", "item_1")
        rig.done("resp_1")
        rig.advance(4)
        heard = rig.downlink
        assert heard.startswith(SECOND)
        assert heard.rstrip(b"\xff").endswith(SECOND[:-1].rstrip(b"\xff")) or SECOND in heard[8000:]
        assert len(heard) - 2 * 8000 - len(recording("filler_1")) in range(-160, 161)

    @pytest.mark.parametrize("rest", [0, 1, 100, 159])
    def test_leaves_no_piece_of_a_frame_to_be_sent_later(self, rig, rest):
        rig.begin("resp_1", "item_1")
        rig.delta(SECOND + SECOND[:rest], "resp_1", "item_1")
        rig.advance(5)
        heard, ended_ns = rig.downlink, rig.call.assistant.schedule.play_end_ns
        assert recording("filler_1")[:-160] in heard
        rig.done("resp_1")
        rig.advance(0.1)
        assert rig.downlink == heard
        assert rig.call.assistant.schedule.play_end_ns == ended_ns

    def test_what_was_heard_counts_on_over_it(self, rig):
        rig.begin("resp_1", "item_1")
        rig.delta(SECOND, "resp_1", "item_1")
        rig.advance(2.6)
        rig.delta(SECOND * 3, "resp_1", "item_1")
        rig.advance(2.8)
        rig.caller_says(*[LOUD] * 40)
        (cut,) = rig.sent("conversation.item.truncate")
        assert cut["item_id"] == "item_1"
        assert 1000 < cut["audio_end_ms"] < 4000, "the second before the filler counts, the filler does not"

    def test_is_no_progress_of_the_models(self, rig):
        rig.begin("resp_1")
        rig.advance(8.1)
        assert len(rig.sent("response.cancel")) == 1

    def test_an_interrupted_one_is_not_truncated(self, rig):
        rig.model(COMMITTED)
        rig.advance(1.8)
        rig.caller_says(*[LOUD] * 6)
        assert rig.sent("conversation.item.truncate") == rig.sent("conversation.item.delete") == []

    def test_the_same_is_not_heard_three_times_in_a_row(self, rig):
        lane = rig.call.assistant
        for count in range(6):
            rig.do(rig.call.fallback.fill, "answer", count, 1500)
        assert rig.call.dead_air.fillers == {"answer": 6}
        names = [item.rsplit("_", 1)[0] for item, _, _, _ in lane.items()]
        assert names == ["local_filler"] * 6

    def test_in_the_language_of_the_agent(self):
        rig = Rig(Agent(language="de")).up()
        rig.model(COMMITTED)
        rig.advance(1.5 + 1.8)
        assert rig.downlink == recording("filler_1", "de") != recording("filler_1")
        rig.shut()

    def test_without_a_recording_there_is_none(self, rig):
        rig.call.fallback._prompts = Prompts({})
        rig.do(rig.call.fallback.fill, "answer", 0, 1500)
        assert not rig.call.dead_air.fillers
        rig.model(COMMITTED)
        rig.advance(2)
        assert rig.downlink == b""


class TestApology:
    def test_is_heard_to_its_end_then_the_call_ends(self, rig, caplog):
        caplog.set_level("INFO")
        rig.do(rig.call.fallback.give_up, "model_lost", None)
        apology = recording("apology")
        rig.advance(len(apology) / 8000 - 0.2)
        assert (rig.call.live, rig.call.apologised) == (True, False)
        rig.advance(0.3)
        rig.echo_marks()
        assert (rig.downlink, rig.call.end_reason, rig.call.apologised) == (apology, "model_lost", True)
        assert any("[HANGUP] the model has failed this call" in record.getMessage() for record in caplog.records)

    def test_does_not_wait_for_marks_for_ever(self, rig):
        rig.do(rig.call.fallback.give_up, "model_lost", None)
        rig.advance(len(recording("apology")) / 8000 + 1.6)
        assert rig.call.end_reason == "model_lost"

    def test_comes_after_what_is_still_playing(self, rig):
        rig.respond(SECOND)
        rig.advance(0.3)
        rig.do(rig.call.fallback.give_up, "model_lost", None)
        rig.advance(9)
        assert rig.downlink == SECOND + recording("apology")

    def test_cuts_off_a_filler(self, rig):
        rig.model(COMMITTED)
        rig.advance(1.8)
        rig.do(rig.call.fallback.give_up, "model_lost", None)
        rig.advance(9)
        assert rig.downlink.endswith(recording("apology"))
        assert len(rig.downlink) < len(recording("apology")) + 8000

    def test_nothing_interrupts_it(self, rig):
        rig.do(rig.call.fallback.give_up, "model_lost", None)
        rig.caller_says(*[LOUD] * 100)
        assert (rig.written("clear"), rig.call.stats.barge_ins) == ([], [])

    def test_no_filler_after_it(self, rig):
        rig.do(rig.call.fallback.give_up, "model_lost", None)
        rig.do(rig.call.fallback.fill, "answer", 0, 1500)
        assert not rig.call.dead_air.fillers

    def test_once(self, rig):
        for _ in range(3):
            rig.do(rig.call.fallback.give_up, "model_lost", None)
        rig.advance(9)
        assert rig.downlink == recording("apology")

    def test_without_a_recording_the_call_ends_and_owes_one(self, rig):
        rig.call.fallback._prompts = Prompts({})
        rig.do(rig.call.fallback.give_up, "model_lost", None)
        rig.advance(0.1)
        assert (rig.call.end_reason, rig.call.apologised) == ("model_lost", False)

    def test_a_caller_who_hangs_up_is_let_go(self, rig):
        rig.do(rig.call.fallback.give_up, "model_lost", None)
        rig.advance(1)
        rig.carrier({"event": "stop"})
        assert (rig.call.end_reason, rig.call.apologised) == ("customer_hangup", False)


class TestTransfer:
    @pytest.fixture
    def rig(self):
        rig = Rig(fallback_number="+14155550177").up()
        self.asked: list[str] = []
        yield rig
        rig.shut()

    def give_up(self, rig: Rig, answer: object) -> None:
        async def transfer(number: str) -> bool:
            self.asked.append(number)
            if isinstance(answer, Exception):
                raise answer
            return bool(answer)

        rig.call.fallback._transfer_to = transfer
        rig.do(rig.call.fallback.give_up, "model_lost", None)
        rig.advance(len(recording("transfer")) / 8000 + 0.1)
        assert self.asked == []
        rig.echo_marks()
        rig.advance(0.1)

    def test_is_announced_then_made(self, rig):
        self.give_up(rig, True)
        assert (rig.downlink, self.asked) == (recording("transfer"), ["+14155550177"])
        assert rig.call.live, "the carrier ends the stream"
        rig.carrier({"event": "stop"})
        assert rig.call.end_reason == "customer_hangup"

    def test_a_carrier_that_does_not_end_the_stream_has_5_s(self, rig):
        self.give_up(rig, True)
        rig.advance(5)
        assert rig.call.end_reason == "model_lost"

    @pytest.mark.parametrize("answer", [False, RuntimeError("no such number")])
    def test_where_there_is_no_way_the_stream_ends_and_its_twiml_is_asked(self, rig, answer):
        self.give_up(rig, answer)
        assert (rig.call.end_reason, rig.call.apologised) == ("model_lost", True)


def test_what_is_written_is_what_twilio_takes(rig):
    rig.do(rig.call.fallback.give_up, "model_lost", None)
    rig.advance(1)
    kinds = {entry.kind for entry in rig.to_carrier}
    assert kinds == {"media", "mark"}
