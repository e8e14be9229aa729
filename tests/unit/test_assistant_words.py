"""fastbridge._assistant: whether the assistant's words come in step with its audio. Every test runs on both twins."""

import pytest

from helpers import base64_text, delta_json
from rigs import AssistantRig
from virtual import Rig

AUDIO = base64_text(bytes(1600))
WORDS = (
    b'{"type":"response.output_audio_transcript.delta","event_id":"e","response_id":"r","item_id":"%s",'
    b'"output_index":0,"content_index":0,"delta":"word "}'
)


@pytest.fixture
def rig(twin) -> AssistantRig:
    rig = AssistantRig(twin, on_words=lambda item_id, words: None).started()
    rig.lane.begin_response("resp_1")
    return rig


def plays(rig: AssistantRig, what: str) -> bool:
    """w: a piece of the words, p: one that was parsed elsewhere, a: some audio; W: a piece of another item's."""
    for each in what:
        if each == "a":
            rig.lane.feed_message(delta_json("resp_1", "item_1", AUDIO))
        elif each == "p":
            rig.lane.parsed_words(b"item_1")
        else:
            rig.lane.feed_message(WORDS % (b"item_1" if each == "w" else b"item_2"))
    return rig.lane.words_in_step


@pytest.mark.parametrize(
    ("what", "in_step"),
    [
        ("", False),
        ("a", False),
        ("w", False),
        ("wa", True),
        ("waawa", True),
        ("waw", False),
        ("awa", True),
        ("wwa", False),
        ("wwawa", False),
        ("wap", False),
        ("papa", True),
        ("ppa", False),
        ("wwaWa", True),
        ("waWWa", False),
    ],
)
def test_words_are_in_step_where_no_more_than_a_piece_is_ahead_and_its_audio_has_come(rig, what, in_step):
    assert plays(rig, what) is in_step


@pytest.mark.parametrize(("ahead", "heard"), [(False, "We are open on tuesday"), (True, "We are open on")])
def test_a_word_whose_audio_has_come_is_not_said_twice(ahead, heard):
    """The connection is lost behind the audio of the last word, which took less than the others of the call."""
    rig = Rig(silence_seconds=0).up()
    rig.model({"type": "input_audio_buffer.committed", "item_id": "item_u"})
    kind = "conversation.item.input_audio_transcription.completed"
    rig.model({"type": kind, "item_id": "item_u", "transcript": "When?"})
    rig.begin("resp_1", "item_1")
    words = ("We", " are", " open", " on", " tuesday")
    for word in words * ahead:
        rig.model(WORDS.replace(b"word ", word.encode()) % b"item_1")
    for word in words:
        if not ahead:
            rig.model(WORDS.replace(b"word ", word.encode()) % b"item_1")
        rig.delta(bytes(2000), "resp_1", "item_1")
    rig.lose_model()
    rig.advance(0.2)
    rig.connect()
    rig.open_session(2)
    (asked,) = rig.sent("response.create")
    assert f'last: "{heard}"' in asked["response"]["instructions"]
    assert [turn["text"] for turn in rig.call.record()["turns"]] == ["When?", heard]
    rig.shut()
