"""What the simulated session makes of the caller's audio: turns, transcripts, interruptions."""

from base64 import b64encode

import pytest

from fastbridge.sim.refusals import EARLY_AUDIO
from fastbridge.sim.scenario import Say, Scenario, babble
from model_client import SILENT_FRAME, VirtualClient, configured, errors, types

SPEECH = babble("This is the caller, speaking to the machine.")[: 1000 * 8]
PAUSE = SILENT_FRAME * 50
VAD = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500}
LONG = Say("A long story that goes on and on.", b"\x20" * 80_000)


def test_a_caller_turn_in_the_order_of_the_service() -> None:
    made = configured(input_settings={"turn_detection": VAD, "transcription": {"model": "gpt-transcribe"}})
    made.hear(SILENT_FRAME * 25 + SPEECH + PAUSE)
    kinds = types(made.events[2:])
    assert kinds[:6] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    started, stopped = made.events[2], made.events[3]
    assert (started["audio_start_ms"], stopped["audio_end_ms"]) == (200, 2000)
    item_id = started["item_id"]
    assert stopped["item_id"] == made.last("input_audio_buffer.committed")["item_id"] == item_id
    item = made.session.items[item_id]
    assert bytes(item.audio) == made.session.input_audio[200 * 8 : 2000 * 8]
    made.run()
    transcripts = made.of("conversation.item.input_audio_transcription.completed")
    assert [(event["item_id"], event["transcript"]) for event in transcripts] == [(item_id, "Hi, I have a question.")]
    assert made.session.errors == []


def test_without_transcription_there_is_no_transcript() -> None:
    made = configured(input_settings={"turn_detection": VAD})
    made.hear(SPEECH + PAUSE)
    made.run()
    assert not [kind for kind in types(made.events) if "transcription" in kind]


def test_a_minute_of_audio_in_no_time_has_the_same_turns() -> None:
    def turns(made: VirtualClient) -> list[tuple[int, int]]:
        made.run()
        started = [event["audio_start_ms"] for event in made.of("input_audio_buffer.speech_started")]
        stopped = [event["audio_end_ms"] for event in made.of("input_audio_buffer.speech_stopped")]
        return list(zip(started, stopped, strict=True))

    audio = (SPEECH + PAUSE) * 3
    real_time = configured(input_settings={"turn_detection": {**VAD, "create_response": False}})
    real_time.hear(audio)
    at_once = configured(input_settings={"turn_detection": {**VAD, "create_response": False}})
    at_once.send("input_audio_buffer.append", audio=b64encode(audio).decode())
    assert turns(at_once) == turns(real_time)
    assert len(turns(at_once)) == 3


def test_speech_cuts_the_response_when_the_session_says_so() -> None:
    made = configured(Scenario(greeting=LONG, speed=1.0), input_settings={"turn_detection": VAD})
    made.send("response.create")
    made.run_until("response.output_audio.delta")
    events = made.hear(SPEECH)
    kinds = types(events)
    assert kinds.index("response.done") > kinds.index("input_audio_buffer.speech_started")
    done = made.last("response.done")["response"]
    assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert "response.output_audio.delta" not in kinds[kinds.index("response.done") :]


def test_speech_leaves_the_response_alone_when_the_session_says_so() -> None:
    detection = {**VAD, "interrupt_response": False}
    made = configured(Scenario(greeting=LONG, speed=1.0), input_settings={"turn_detection": detection})
    made.send("response.create")
    made.run_until("response.output_audio.delta")
    made.hear(SPEECH + PAUSE)
    assert made.session.active is not None
    assert errors(made) == [("conversation_already_has_active_response", None)], "the turn gets no response"
    assert made.session.errors == []
    made.run()
    assert made.last("response.done")["response"]["status"] == "completed"


def test_detection_may_only_listen() -> None:
    detection = {**VAD, "interrupt_response": False, "create_response": False}
    made = configured(input_settings={"turn_detection": detection})
    made.hear(SPEECH + PAUSE)
    made.run()
    assert made.of("input_audio_buffer.committed")
    assert not made.of("response.created")


def test_turns_by_hand() -> None:
    made = configured()
    made.hear(SPEECH)
    made.send("input_audio_buffer.commit")
    assert types(made.run(0)) == [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    item_id = made.last("input_audio_buffer.committed")["item_id"]
    assert bytes(made.session.items[item_id].audio) == SPEECH
    made.send("input_audio_buffer.commit")
    made.run()
    assert errors(made) == [("input_audio_buffer_commit_empty", None)]
    assert made.session.errors == []


def test_a_commit_in_the_middle_of_speech_takes_the_item_that_was_announced() -> None:
    made = configured(input_settings={"turn_detection": VAD})
    made.hear(SPEECH)
    announced = made.last("input_audio_buffer.speech_started")["item_id"]
    made.send("input_audio_buffer.commit")
    made.hear(PAUSE)
    assert made.last("input_audio_buffer.committed")["item_id"] == announced
    assert not made.of("input_audio_buffer.speech_stopped")


def test_clear_forgets_the_buffer() -> None:
    made = configured()
    made.hear(SPEECH)
    made.send("input_audio_buffer.clear")
    assert types(made.run(0)) == ["input_audio_buffer.cleared"]
    made.send("input_audio_buffer.commit")
    made.run()
    assert errors(made) == [("input_audio_buffer_commit_empty", None)]


def test_after_a_clear_the_announced_item_is_gone() -> None:
    made = configured(input_settings={"turn_detection": VAD})
    made.hear(SPEECH)
    announced = made.last("input_audio_buffer.speech_started")["item_id"]
    made.send("input_audio_buffer.clear")
    made.hear(PAUSE)
    made.send("input_audio_buffer.commit")
    assert made.run_until("input_audio_buffer.committed")["item_id"] != announced


def test_audio_before_the_format_was_agreed_is_a_mistake_noted_once() -> None:
    made = VirtualClient()
    made.hear(SILENT_FRAME * 2)
    made.send("session.update", session={"type": "realtime", "audio": {"input": {"format": {"type": "audio/pcmu"}}}})
    made.hear(SILENT_FRAME)
    assert made.session.errors == [EARLY_AUDIO]
    made.run()
    made.hear(SILENT_FRAME)
    assert made.session.errors == [EARLY_AUDIO]
    assert not made.of("error")
    assert made.session.input_audio.endswith(SILENT_FRAME)


@pytest.mark.parametrize("audio", ["!!!!", "AAA", "AA=A", "AAAA "])
def test_audio_must_be_base64(audio: str) -> None:
    made = configured()
    made.send("input_audio_buffer.append", audio=audio)
    made.run()
    assert errors(made) == [("invalid_value", "audio")]
