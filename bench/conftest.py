"""What all benchmarks of kernels share: both twins, the audio of a real call, and a clock that counts per frame."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from fastbridge.sim.audio import speech, to_frames
from helpers import base64_text, delta_json, media_json
from twins import Twin

DELTA_BYTES = 3200
"""What the model sends at a time: 400 ms."""


@pytest.fixture(params=["oracle", "compiled"])
def twin(request: pytest.FixtureRequest) -> Twin:
    """Not of the session: pytest would run all of one twin first, and a kernel's two times should be neighbours."""
    return Twin(request.param)


@pytest.fixture(scope="session")
def audio() -> bytes:
    """Spoken lines of both sides, with the pauses in them."""
    return speech("caller_appointment") + speech("assistant_times")


@pytest.fixture(scope="session")
def frames(audio: bytes) -> list[bytes]:
    """One second of speech as a carrier sends it: 50 frames of 160 bytes."""
    return to_frames(audio)[20:70]


@pytest.fixture(scope="session")
def payloads(frames: list[bytes]) -> list[bytes]:
    return [base64_text(frame) for frame in frames]


@pytest.fixture(scope="session")
def deltas(audio: bytes) -> list[bytes]:
    """The model's audio as it arrives: base64 of 3200 bytes each."""
    return [base64_text(audio[at : at + DELTA_BYTES]) for at in range(0, 10 * DELTA_BYTES, DELTA_BYTES)]


@pytest.fixture(scope="session")
def media_messages(payloads: list[bytes]) -> list[bytes]:
    """Twilio's `media` from the tenth minute of a call."""
    return [media_json(30_000 + number, payload) for number, payload in enumerate(payloads)]


@pytest.fixture(scope="session")
def delta_messages(deltas: list[bytes]) -> list[bytes]:
    """OpenAI's audio deltas, with identifiers as long as real ones."""
    return [delta_json("resp_" + "D" * 21, "item_" + "D" * 21, delta) for delta in deltas]


@pytest.fixture
def each(benchmark: Any) -> Callable[[Callable[[Any], object], Iterable[Any]], None]:
    """each(function, inputs): measure the function over all inputs in turn; the table gives the time of one call."""

    def measure(function: Callable[[Any], object], inputs: Iterable[Any]) -> None:
        inputs = list(inputs)

        def over_all() -> None:
            for value in inputs:
                function(value)

        benchmark.extra_info["calls"] = len(inputs)
        benchmark(over_all)

    return measure
