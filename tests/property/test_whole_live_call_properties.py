"""Whole calls with a GPT-Live model of another make: what its caller hears, what is kept of it, and that it ends."""

import json
import os
from typing import Any

import pytest

from whole_live_calls import FRAME_MS, WORD_FRAMES, WholeCall

EVERY_DAY = os.environ.get("HYPOTHESIS_PROFILE", "default") == "default"
SEEDS = range(60 if EVERY_DAY else 1000)
NEAR_FRAMES = 40
"""A word is heard with what lies beside it: a turn that is cut is cut to whole words, by their share of it."""
GOODBYES = ("hanging up", "say goodbye in one")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_whole_call(seed: int) -> None:
    call = WholeCall(seed)
    call.play()
    assert not call.call.live, "it never ends"
    document, heard = call.call.document, call.heard()
    call.shut()  # nothing is left behind, no session of the model's either
    json.dumps(document, allow_nan=False)
    assert document["log"]["lines"] <= 30
    assert "safety_fuse" not in document["responses"] | document["model_line"]
    assert {*call.runs.values(), *call.outputs_seen.values()} <= {1}, "a tool runs once, and is answered once"
    assert heard == sorted(set(heard)) or document["pacing"]["rewound"], "in order, and once"
    assert goodbyes_heard(call, set(heard)) <= 1 + call_went_on(call)
    assert said_and_not_heard(call, document, set(heard)) == []
    assert heard_and_not_said(call, document, set(heard)) == []
    assert lost(call, document, set(heard)) == []


def words_of(document: dict[str, Any]) -> list[str]:
    return [word for turn in document["turns"] if turn["role"] == "assistant" for word in turn["text"].split()]


def goodbyes_heard(call: WholeCall, heard: set[int]) -> int:
    goodbyes = {at for at, why in enumerate(call.said) if any(each in why for each in GOODBYES)}
    return len({call.frames[number][0] for number in heard} & goodbyes)


def call_went_on(call: WholeCall) -> int:
    """How often a caller who interrupted took a goodbye back."""
    return sum("nobody has hung up" in text for text in call.told)


def said_and_not_heard(call: WholeCall, document: dict[str, Any], heard: set[int]) -> list[str]:
    """Words in the record that nobody has heard."""
    near = {number + offset for number in heard for offset in range(-NEAR_FRAMES, 4 * WORD_FRAMES)}
    known = {f"a{utterance}w{word}" for number, (utterance, word) in enumerate(call.frames) if number in near}
    return [word for word in words_of(document) if word not in known]


def heard_and_not_said(call: WholeCall, document: dict[str, Any], heard: set[int]) -> list[int]:
    """Utterances that were heard whole, some time before the end, of which the record has no word."""
    known = {word.partition("w")[0] for word in words_of(document)}
    return [
        utterance
        for utterance, numbers in utterances(call).items()
        if heard.issuperset(numbers)
        and len(numbers) > 2 * WORD_FRAMES
        and call.frame_ms[numbers[-1]] < document["duration_ms"] - 3000
        and f"a{utterance}" not in known
    ]


def lost(call: WholeCall, document: dict[str, Any], heard: set[int]) -> list[int]:
    """Utterances that began to be heard, and of which frames are missing, though nobody interrupted."""
    cut = [each["at_ms"] for each in document["barge_ins"]] + call.voice_ms
    return [
        utterance
        for utterance, numbers in utterances(call).items()
        if heard.intersection(numbers)
        and not heard.issuperset(call.delivered.intersection(numbers))
        and call.frame_ms[numbers[-1]] < document["duration_ms"] - 1500
        and not any(-5000 < at - call.frame_ms[numbers[0]] < len(numbers) * FRAME_MS + 5000 for at in cut)
    ]


def utterances(call: WholeCall) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for number, (utterance, _) in enumerate(call.frames):
        found.setdefault(utterance, []).append(number)
    return found
