"""What the simulated caller does, tick by tick, judged only by what it hears."""

import pytest

from fastbridge.sim import audio
from fastbridge.sim.script import QUIET_FRAME, AfterAssistant, AfterMs, Conversation, Dtmf, HangUp, Interrupt, Speak

LOUD = b"\x10" * 160
WORD = b"\x20" * 320


def run(conversation: Conversation, heard: list[bytes]) -> list[tuple[int, str]]:
    """(tick, what) for every tick in which the caller did something."""
    done = []
    for tick, frame in enumerate(heard):
        action = conversation.tick(frame)
        if action.frame != QUIET_FRAME:
            done.append((tick, "say"))
        if action.digit is not None:
            done.append((tick, action.digit))
        if action.hang_up:
            done.append((tick, "hang up"))
            break
    return done


def test_the_caller_speaks_after_the_assistant_has_been_heard_and_was_silent() -> None:
    conversation = Conversation([Speak(WORD, AfterAssistant(silence_ms=100))])
    heard = [QUIET_FRAME] * 20 + [LOUD] * 5 + [QUIET_FRAME] * 10
    assert run(conversation, heard) == [(29, "say"), (30, "say")]
    assert conversation.events == [(580, "speak", ""), (620, "speak_end", "")]


def test_a_breath_of_the_assistant_is_no_end() -> None:
    conversation = Conversation([Speak(WORD, AfterAssistant(silence_ms=100))])
    heard = ([LOUD] * 2 + [QUIET_FRAME] * 4) * 5
    assert run(conversation, heard) == []


def test_what_was_heard_before_the_last_step_does_not_count_for_the_next() -> None:
    conversation = Conversation([Speak(WORD, AfterAssistant(40)), HangUp(AfterAssistant(40))])
    assert run(conversation, [LOUD] + [QUIET_FRAME] * 50) == [(2, "say"), (3, "say")]
    assert run(conversation, [LOUD, QUIET_FRAME, QUIET_FRAME]) == [(2, "hang up")]


def test_an_interruption_comes_while_the_assistant_speaks() -> None:
    conversation = Conversation([Interrupt(WORD, after_ms=200, text="wait")])
    assert run(conversation, [QUIET_FRAME] * 30 + [LOUD] * 12) == [(39, "say"), (40, "say")]
    assert conversation.events[0] == (780, "speak", "wait")


def test_an_interruption_waits_for_speech_when_the_assistant_is_silent_just_then() -> None:
    conversation = Conversation([Interrupt(WORD, after_ms=400)])
    assert run(conversation, [LOUD] * 2 + [QUIET_FRAME] * 30 + [LOUD]) == [(32, "say")]


def test_keys_are_pressed_one_every_200_ms() -> None:
    conversation = Conversation([Dtmf("1#", AfterMs(200)), HangUp(AfterMs(0))])
    assert run(conversation, [QUIET_FRAME] * 40) == [(10, "1"), (20, "#"), (21, "hang up")]
    assert [kind for _, kind, _ in conversation.events] == ["dtmf", "dtmf", "hang_up"]


def test_a_script_without_a_hang_up_ends_a_second_after_its_last_step() -> None:
    assert run(Conversation([]), [QUIET_FRAME] * 60) == [(49, "hang up")]


def test_a_caller_who_waits_in_vain_says_so_and_hangs_up() -> None:
    conversation = Conversation([Speak(WORD)], patience_ms=1000)
    assert run(conversation, [QUIET_FRAME] * 60) == [(49, "hang up")]
    assert conversation.errors == ["caller waited 1 s in vain to Speak: nothing was heard since its last step"]


def test_a_shipped_clip_is_spoken_whole() -> None:
    conversation = Conversation([Speak("caller_accepts", AfterMs(20))])
    said = b"".join(conversation.tick(QUIET_FRAME).frame for _ in range(250))
    clip = audio.speech("caller_accepts")
    assert said[: len(clip)] == clip
    assert not conversation.speaking


def test_the_end_of_speech_is_quiet_even_when_the_audio_is_empty() -> None:
    conversation = Conversation([Speak(b"", AfterMs(20)), HangUp(AfterMs(20))])
    assert run(conversation, [QUIET_FRAME] * 5) == [(1, "hang up")]


@pytest.mark.parametrize("level", [b"\xfe", b"\x7e"])
def test_line_noise_is_not_the_assistant(level: bytes) -> None:
    conversation = Conversation([Speak(WORD, AfterAssistant(40))], patience_ms=1000)
    assert run(conversation, [level * 160] * 60) == [(49, "hang up")]


@pytest.mark.parametrize(
    ("step", "heard", "why"),
    [
        (Speak(WORD), QUIET_FRAME, "nothing was heard since its last step"),
        (Speak(WORD), LOUD, "the assistant did not fall silent"),
        (Interrupt(WORD, 5000), LOUD, "the assistant did not speak for 5000 ms"),
        (HangUp(AfterMs(5000)), LOUD, "its patience is shorter than that"),
    ],
)
def test_a_caller_who_gives_up_says_what_was_missing(step, heard, why):
    conversation = Conversation([step], patience_ms=1000)
    for _ in range(60):
        conversation.tick(heard)
    assert conversation.errors[0].endswith(f"in vain to {type(step).__name__}: {why}")
