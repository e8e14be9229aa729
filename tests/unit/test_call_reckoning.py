"""call.reckoning: what responses cost that the service has not told of."""

from types import SimpleNamespace

import pytest

from fastbridge.agent import Agent
from fastbridge.call.reckoning import MAX_GUESSES, Reckoning
from fastbridge.model.usage import Usage

READ = 101
"""Tokens of the instructions, and one."""


class Scene:
    def __init__(self) -> None:
        self.usage = Usage()
        self.responses = SimpleNamespace(generating=False)
        self.frames_enqueued = 0
        self.reckoning = Reckoning(Agent(instructions="x" * 400), self, self)  # type: ignore[arg-type]

    def begins(self, frames: int = 0) -> None:
        self.responses.generating = True
        self.reckoning.response_begun()
        self.frames_enqueued += frames

    def ends(self, response_id: str = "resp_1", **usage: int) -> None:
        self.tells(**usage)
        self.responses.generating = False
        self.reckoning.response_done(response_id)

    def tells(self, **usage: int) -> None:
        self.usage = self.usage.plus(Usage(**usage))

    @property
    def total(self) -> int:
        return self.reckoning.total.total_tokens


@pytest.fixture
def scene() -> Scene:
    return Scene()


def kinds(usage: Usage) -> tuple[int, ...]:
    return usage.text_in, usage.audio_in, usage.text_out, usage.audio_out


def test_the_first_response_reads_the_instructions(scene: Scene) -> None:
    assert scene.reckoning.running() == Usage()
    scene.begins(frames=50)
    assert kinds(scene.reckoning.running()) == (READ, 0, 5, 20)
    assert kinds(scene.reckoning.running(ahead=50)) == (READ, 0, 10, 40)
    assert kinds(scene.reckoning.conversation(scene.reckoning.running())) == (READ + 5, 20, 0, 0)


def test_those_of_who_answers_then(scene: Scene) -> None:
    scene.reckoning.use(Agent(instructions="שלום"))
    assert scene.reckoning.conversation(Usage()).total_tokens == 3


def test_the_next_reads_what_the_last_read_and_said_and_what_the_caller_adds(scene: Scene) -> None:
    scene.begins()
    scene.ends(text_in=90, audio_in=10, text_out=5, audio_out=20, input_tokens=100, output_tokens=25, total_tokens=125)
    assert kinds(scene.reckoning.conversation(Usage())) == (95, 30, 0, 0)
    scene.begins()
    scene.ends(text_in=95, audio_in=60, text_out=5, audio_out=20, input_tokens=155, output_tokens=25, total_tokens=180)
    assert kinds(scene.reckoning.conversation(Usage())) == (100, 80 + 30, 0, 0)
    assert scene.total == 305


def test_recordings_of_ours_before_it_are_no_part_of_it(scene: Scene) -> None:
    scene.frames_enqueued = 500
    scene.begins(frames=5)
    assert scene.reckoning.frames == 5


class TestUntold:
    def test_is_what_it_was_reckoned_to_be(self, scene: Scene) -> None:
        scene.begins(frames=50)
        scene.ends()
        assert (scene.total, kinds(scene.reckoning.total)) == (READ + 25, (READ, 0, 5, 20))
        assert kinds(scene.reckoning.conversation(Usage())) == (READ + 5, 20, 0, 0), "which the next one reads"

    def test_until_it_is_told(self, scene: Scene) -> None:
        scene.begins(frames=50)
        scene.ends("resp_1")
        scene.tells(text_in=7, input_tokens=7, total_tokens=7)
        scene.reckoning.usage_told("resp_1")
        scene.reckoning.usage_told("resp_9")
        assert scene.total == 7

    def test_of_which_kind_is_reckoned_too(self, scene: Scene) -> None:
        """And how many there were is not counted twice."""
        scene.begins(frames=50)
        scene.ends(total_tokens=200)
        assert (scene.total, kinds(scene.reckoning.total)) == (200, (READ, 0, 5, 20))

    def test_there_may_be_any_number_of(self, scene: Scene) -> None:
        for number in range(3 * MAX_GUESSES):
            scene.begins()
            scene.ends(f"resp_{number}")
        assert (scene.total, len(scene.reckoning._guesses)) == (3 * MAX_GUESSES * READ, MAX_GUESSES)
