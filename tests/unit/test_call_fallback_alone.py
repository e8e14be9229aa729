"""call.fallback alone: every row of its table, every deadline, and what enters the lane in which order."""

import asyncio
from base64 import b64encode
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from alone import Alone, lines
from fastbridge.agent import Agent
from fastbridge.base.prompts import Prompt, Prompts, load_prompts
from fastbridge.call.fallback import (
    APOLOGY_MARGIN_SECONDS,
    FILLERS,
    TRANSFER_SECONDS,
    TRANSITIONS,
    Event,
    Fallback,
    State,
)
from fastbridge.call.happenings import EndCall, RecordingPlays
from fastbridge.config import Settings
from fastbridge.errors import IllegalEvent, ModelUnavailable

MOMENT = 0.002
ROWS = {
    (State.QUIET, Event.GIVE_UP): State.APOLOGISING,
    (State.QUIET, Event.CLOSE): State.ENDED,
    (State.APOLOGISING, Event.HEARD): State.TRANSFERRING,
    (State.APOLOGISING, Event.CLOSE): State.ENDED,
    (State.TRANSFERRING, Event.CLOSE): State.ENDED,
}
LIVE = [State.QUIET, State.APOLOGISING, State.TRANSFERRING]
FILLER = ("local_filler_1", "local_filler_1", 0, 500)
NUMBER = "+14155550177"


class Lane:
    """Writes down what it is told; its items are the test's."""

    def __init__(self) -> None:
        self.journal: list[tuple[Any, ...]] = []
        self.known: list[tuple[str, str, int, int]] = []
        self.playing = False
        self.unheard_ms = 0
        self.received_bytes = self.sent_bytes = 0

    def items(self) -> list[tuple[str, str, int, int]]:
        return self.known

    def clear(self) -> None:
        self.journal.append(("clear",))

    def begin_response(self, response_id: str) -> None:
        self.journal.append(("begin", response_id))

    def end_response(self, response_id: str) -> None:
        self.journal.append(("end", response_id))

    def feed_delta(self, response_id: bytes, item_id: bytes, delta: bytes) -> None:
        self.journal.append(("delta", response_id.decode(), item_id.decode(), delta.decode()))

    @property
    def recordings(self) -> list[str]:
        return [entry[3] for entry in self.journal if entry[0] == "delta"]


class Scene(Alone):
    """Recordings whose audio is their name, each two seconds long. answer: of the carrier's API, after `seconds`."""

    def __init__(self, *, number: str = "") -> None:
        super().__init__()
        self.lane: Any = Lane()
        self.stalls = 0
        self.transfers: list[str] = []
        self.answer: bool | Exception = True
        self.seconds = 0.0
        self.responses = SimpleNamespace(response_id=None, running=False)
        self.session: Any = SimpleNamespace(responses=self.responses, local_deltas=0, stalled=self._stalled)
        self.fallback = Fallback(
            "",
            clock=self.clock,
            settings=Settings.model_construct(fallback_number=number, prompts_dir=None),
            assistant=self.lane,
            session=self.session,
            log=self.log,
            spawn=self.loop.spawn,
            transfer=self._transfer,
            tell=self.tell,
        )
        self.record(*FILLERS, "apology", "transfer")

    def record(self, *names: str) -> None:
        """These recordings there are."""
        self.fallback._prompts = Prompts({name: Prompt(name, name.encode(), 2.0) for name in names})

    def _stalled(self) -> None:
        self.stalls += 1

    async def _transfer(self, number: str) -> bool:
        self.transfers.append(number)
        await asyncio.sleep(self.seconds)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def begins(self, response_id: str, *items: tuple[str, str, int, int]) -> None:
        """The model's response is under way, with this audio so far."""
        self.responses.response_id, self.responses.running = response_id, True
        self.lane.known = list(items)

    def fill(self, in_row: int = 0) -> None:
        self.do(self.fallback.fill, "answer", in_row, 1500)

    def give_up(self, unheard_ms: int = 2000) -> None:
        self.lane.unheard_ms = unheard_ms
        self.do(self.fallback.give_up, "model_lost", ModelUnavailable("no", "outage"))

    def at(self, state: State) -> "Scene":
        if state is not State.QUIET:
            self.give_up()
        if state is State.TRANSFERRING:
            self.do(self.fallback.played, self.fallback._last_id)
        assert self.fallback.state is state
        return self

    @property
    def ended(self) -> list[str]:
        return [told.reason for told in self.told if isinstance(told, EndCall)]


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.shut(scene.fallback.close)


@pytest.fixture
def numbered() -> Iterator[Scene]:
    """There is a number to pass the caller on to."""
    scene = Scene(number=NUMBER)
    yield scene
    scene.shut(scene.fallback.close)


class TestTable:
    def test_has_these_rows_and_no_others(self):
        assert {(state, event): to for state, row in TRANSITIONS.items() for event, to in row.items()} == ROWS

    @pytest.mark.parametrize("state", State)
    @pytest.mark.parametrize("event", Event)
    def test_an_event_without_a_row_is_an_error(self, scene, state, event):
        scene.fallback.state = state
        if (state, event) in ROWS:
            scene.do(scene.fallback._to, event)
            assert scene.fallback.state is ROWS[state, event]
        else:
            with pytest.raises(IllegalEvent):
                scene.do(scene.fallback._to, event)

    @pytest.mark.parametrize("state", LIVE)
    def test_the_call_may_end_in_each_and_nothing_is_left(self, scene, state):
        scene.at(state)
        for _ in range(2):
            scene.do(scene.fallback.close)
            assert (scene.fallback.state, scene.loop.pending_timers()) == (State.ENDED, [])

    @pytest.mark.parametrize(("state", "ending"), list(zip(LIVE, [False, True, True], strict=True)))
    def test_the_end_is_said_to_the_end(self, scene, state, ending):
        assert scene.at(state).fallback.ending is ending


class TestFiller:
    def test_is_a_response_of_its_own(self, scene):
        scene.fill()
        id = "local_filler_1"
        assert scene.lane.journal == [("begin", id), ("delta", id, id, "filler_1"), ("end", id)]
        assert scene.told == [RecordingPlays("answer", 1500)]
        assert (scene.session.local_deltas, scene.stalls) == (1, 0)

    def test_each_is_another_and_the_first_does_not_come_back(self, scene):
        for in_row in range(7):
            scene.fill(in_row)
        assert scene.lane.recordings == ["filler_1", "filler_2", "hold", "hold", "filler_2", "hold", "filler_2"]
        begun = [entry[1] for entry in scene.lane.journal if entry[0] == "begin"]
        assert begun == [f"local_filler_{number}" for number in range(1, 8)]

    def test_stands_before_a_response_that_is_silent_so_far(self, scene):
        scene.begins("resp_1", ("item_0", "resp_0", 400, 400))
        scene.fill()
        assert [entry[:2] for entry in scene.lane.journal] == [
            ("begin", "local_filler_1"),
            ("delta", "local_filler_1"),
            ("end", "local_filler_1"),
            ("begin", "resp_1"),
        ]
        assert scene.stalls == 0

    def test_stands_behind_one_that_is_over(self, scene):
        scene.begins("resp_1", ("item_1", "resp_1", 400, 400))
        scene.responses.running = False
        scene.fill()
        assert [entry[0] for entry in scene.lane.journal] == ["begin", "delta", "end"]

    @pytest.mark.parametrize(
        ("received", "sent", "silence"), [(0, 0, 0), (480, 320, 0), (481, 320, 159), (100, 0, 60), (479, 320, 1)]
    )
    def test_stands_in_the_middle_of_one_that_has_stalled_to_the_end_of_a_frame(self, scene, received, sent, silence):
        scene.begins("resp_1", ("item_0", "resp_0", 9, 9), ("item_1", "resp_1", 400, 400))
        scene.lane.received_bytes, scene.lane.sent_bytes = received, sent
        scene.fill()
        padding = [("delta", "resp_1", "local_filler_1", b64encode(b"\xff" * silence).decode())] if silence else []
        assert scene.lane.journal == [("delta", "resp_1", "local_filler_1", "filler_1"), *padding]
        assert (scene.session.local_deltas, scene.stalls) == (1 + len(padding), 1)
        assert scene.told == [RecordingPlays("answer", 1500)]

    def test_without_a_recording_there_is_none_and_nobody_is_told(self, scene):
        scene.record()
        scene.fill()
        assert (scene.lane.journal, scene.told, scene.session.local_deltas) == ([], [], 0)

    @pytest.mark.parametrize("state", [State.APOLOGISING, State.TRANSFERRING, State.ENDED])
    def test_there_is_none_at_the_end(self, scene, state):
        if state is State.ENDED:
            scene.do(scene.fallback.close)
        else:
            scene.at(state)
        before = list(scene.lane.journal)
        scene.fill()
        assert scene.lane.journal == before

    def test_is_in_the_callers_language(self, scene):
        context: Any = None
        settings = Settings.model_construct(prompts_dir=None)
        scene.do(scene.fallback.use, Agent(language="de"), context, settings)
        scene.fill()
        prompt = load_prompts("de").get("filler_1")
        assert prompt is not None
        assert scene.lane.recordings == [prompt.base64.decode()]


class TestGivesWay:
    def test_to_the_model(self, scene):
        scene.lane.playing, scene.lane.known = True, [("item_0", "resp_0", 9, 9), FILLER]
        scene.do(scene.fallback.give_way, "resp_1")
        assert scene.lane.journal == [("clear",), ("begin", "resp_1")]

    @pytest.mark.parametrize(
        ("playing", "items", "response_id"),
        [
            (True, [FILLER], "local_filler_2"),
            (False, [FILLER], "resp_1"),
            (True, [], "resp_1"),
            (True, [FILLER, ("item_1", "resp_1", 0, 9)], "resp_1"),
            (True, [("local_apology", "local_apology", 0, 9)], "resp_1"),
        ],
    )
    def test_nothing_else_does_and_to_nobody_else(self, scene, playing, items, response_id):
        scene.lane.playing, scene.lane.known = playing, items
        scene.do(scene.fallback.give_way, response_id)
        assert scene.lane.journal == []

    def test_not_any_more_once_the_model_was_given_up(self, scene):
        scene.at(State.APOLOGISING)
        before = list(scene.lane.journal)
        scene.lane.playing, scene.lane.known = True, [FILLER]
        scene.do(scene.fallback.give_way, "resp_1")
        assert scene.lane.journal == before


class TestApology:
    def test_is_said_once_and_told_of(self, scene, caplog):
        for _ in range(2):
            scene.give_up()
        id = "local_apology"
        assert scene.lane.journal == [("begin", id), ("delta", id, id, "apology"), ("end", id)]
        (line,) = lines(caplog)
        assert line == "[HANGUP] the model has failed this call: no, code=outage, step=apology, reason=model_lost"

    @pytest.mark.parametrize(
        ("playing", "items", "cleared"),
        [(True, [FILLER], True), (False, [FILLER], False), (True, [], False), (True, [("item_1", "r", 0, 9)], False)],
    )
    def test_comes_after_what_plays_but_for_a_filler(self, scene, playing, items, cleared):
        scene.lane.playing, scene.lane.known = playing, items
        scene.give_up()
        assert (scene.lane.journal[0] == ("clear",)) is cleared
        assert scene.lane.recordings == ["apology"]

    def test_that_was_heard_ends_the_call(self, scene):
        scene.give_up()
        scene.do(scene.fallback.played, "local_apology")
        assert (scene.fallback.apologised, scene.ended) == (True, ["model_lost"])

    @pytest.mark.parametrize("response_id", ["resp_1", "local_filler_1"])
    def test_what_else_was_heard_does_not(self, scene, response_id):
        scene.give_up()
        scene.do(scene.fallback.played, response_id)
        assert (scene.fallback.state, scene.fallback.apologised, scene.ended) == (State.APOLOGISING, False, [])

    @pytest.mark.parametrize("state", [State.QUIET, State.TRANSFERRING])
    def test_nor_what_was_heard_at_another_time(self, numbered, state):
        numbered.answer = True
        numbered.at(state)
        numbered.do(numbered.fallback.played, numbered.fallback._last_id)
        assert (numbered.fallback.state, numbered.ended) == (state, [])

    @pytest.mark.parametrize("unheard_ms", [2000, 7250])
    def test_has_as_long_as_it_is_unheard_and_a_margin(self, scene, unheard_ms):
        scene.give_up(unheard_ms)
        scene.advance(unheard_ms / 1000 + APOLOGY_MARGIN_SECONDS - MOMENT)
        assert scene.ended == []
        scene.advance(2 * MOMENT)
        assert (scene.fallback.apologised, scene.ended) == (True, ["model_lost"])

    def test_that_nobody_has_recorded_is_none(self, scene):
        scene.record()
        scene.give_up(0)
        scene.advance(0)
        assert (scene.fallback.apologised, scene.ended) == (False, ["model_lost"])

    def test_that_nobody_has_recorded_is_none_though_a_filler_was_heard(self, scene):
        scene.record("filler_1")
        scene.fill()
        scene.told.clear()
        scene.give_up(0)
        scene.advance(0)
        assert (scene.fallback.apologised, scene.ended) == (False, ["model_lost"])

    def test_a_call_that_does_not_end_by_that_is_told_again(self, scene):
        scene.at(State.TRANSFERRING)
        scene.advance(TRANSFER_SECONDS - MOMENT)
        assert scene.ended == ["model_lost"]
        scene.advance(2 * MOMENT)
        assert scene.ended == ["model_lost"] * 2


class TestTransfer:
    def test_is_announced_then_made_once(self, numbered):
        numbered.give_up()
        assert (numbered.lane.recordings, numbered.transfers) == (["transfer"], [])
        numbered.do(numbered.fallback.played, "local_transfer")
        numbered.advance(0.1)
        assert (numbered.transfers, numbered.fallback.apologised, numbered.ended) == ([NUMBER], True, [])

    def test_the_carrier_has_so_long_to_end_the_stream(self, numbered):
        numbered.at(State.TRANSFERRING)
        numbered.advance(TRANSFER_SECONDS - MOMENT)
        assert numbered.ended == []
        numbered.advance(2 * MOMENT)
        assert numbered.ended == ["model_lost"]

    @pytest.mark.parametrize("answer", [False, RuntimeError("no such number")])
    def test_one_that_fails_ends_the_call_at_once(self, numbered, answer, caplog):
        numbered.answer = answer
        numbered.at(State.TRANSFERRING)
        numbered.advance(MOMENT)
        assert numbered.ended == ["model_lost"]
        assert any("the transfer failed" in line for line in lines(caplog)) is isinstance(answer, Exception)

    def test_one_that_takes_too_long_has_failed(self, numbered, caplog):
        numbered.seconds = 60.0
        numbered.at(State.TRANSFERRING)
        numbered.advance(TRANSFER_SECONDS + MOMENT)
        assert numbered.ended[0] == "model_lost"
        assert any("the transfer failed" in line for line in lines(caplog))
        assert numbered.loop.tasks == set()

    def test_one_that_fails_after_the_end_ends_nothing(self, numbered):
        numbered.seconds, numbered.answer = 1.0, False
        numbered.at(State.TRANSFERRING)
        numbered.do(numbered.fallback.close)
        numbered.advance(2)
        assert numbered.ended == []
