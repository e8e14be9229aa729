"""model.line alone: sockets that take nothing, rings that are full, and a session's planned successor."""

from collections.abc import Iterator
from typing import Any

import pytest

from alone import lines
from fastbridge.errors import ModelUnavailable
from fastbridge.model.line import BLOCKED_SECONDS, HEALTHY_SECONDS, State
from fastbridge.model.port import LineLost, LineUp
from fastbridge.model.untaken import UNTAKEN_BYTES, UNTAKEN_SECONDS
from line_scene import GONE, HOPELESS, MOMENT, OUTAGE_SECONDS, RENEW_SECONDS, LineScene, Link


@pytest.fixture
def scene(monkeypatch, caplog) -> Iterator[LineScene]:
    caplog.set_level("INFO", "fastbridge.events")
    scene = LineScene(monkeypatch)
    yield scene
    scene.end()


def left_for(scene: LineScene, new: Link) -> list[Any]:
    """What is done when the session in use is left for its successor, in order."""
    return [
        "shut",
        "hang_up 1",
        "LineLost",
        "disconnected",
        (f"redirect {new.number}", scene.sink, scene.feed),
        ("move", scene.opening, new.send_text),
        "replay",
        ("open", new.write),
        "LineUp",
    ]


class TestBackPressure:
    def test_the_caller_waits_for_a_socket_that_takes_nothing(self, scene):
        scene.at(State.UP)
        scene.do(scene.attempt.on_model_paused, True)
        scene.do(scene.attempt.on_model_paused, False)
        assert scene.journal == ["pause", "resume"]
        scene.advance(BLOCKED_SECONDS + 1)
        assert scene.line.up

    def test_so_long_and_no_longer(self, scene):
        scene.at(State.UP)
        scene.do(scene.attempt.on_model_paused, True)
        scene.advance(BLOCKED_SECONDS - MOMENT)
        assert scene.line.up
        scene.advance(2 * MOMENT)
        assert (scene.line.state, scene.stats.errors) == (State.PAUSING, ["upload_blocked"])

    def test_not_longer_than_its_session(self, scene):
        scene.at(State.UP)
        scene.do(scene.attempt.on_model_paused, True)
        scene.fail()
        scene.advance(0.2)
        scene.up()
        scene.advance(BLOCKED_SECONDS)
        assert scene.line.up

    @pytest.mark.parametrize(("untaken", "up"), [(UNTAKEN_BYTES - 1, True), (UNTAKEN_BYTES, False)])
    def test_what_is_written_and_not_taken_is_a_dead_socket(self, scene, untaken, up):
        scene.at(State.UP)
        scene.link.untaken = untaken
        for _ in range(1 + int(UNTAKEN_SECONDS)):
            scene.do(scene.line.check)
            assert scene.line.up
            scene.advance(1)
        scene.do(scene.line.check)
        assert scene.line.up is up
        assert scene.stats.errors == ([] if up else ["upload_blocked"])

    def test_what_gets_less_is_taken(self, scene):
        scene.at(State.UP)
        for number in range(20):
            scene.link.untaken = 4 * UNTAKEN_BYTES - number
            scene.do(scene.line.check)
            scene.advance(1)
        assert scene.line.up

    def test_what_gets_less_and_then_not_counts_from_then(self, scene):
        scene.at(State.UP)
        for number in range(10):
            scene.link.untaken = 4 * UNTAKEN_BYTES - min(number, 6)
            scene.do(scene.line.check)
            scene.advance(1)
        assert scene.line.up
        scene.do(scene.line.check)
        assert not scene.line.up

    def test_what_was_not_taken_is_of_its_session(self, scene):
        scene.at(State.UP)
        scene.link.untaken = UNTAKEN_BYTES
        for _ in range(3):
            scene.do(scene.line.check)
            scene.advance(1)
        scene.fail()
        scene.do(scene.line.check)
        scene.advance(1)
        scene.up()
        scene.link.untaken = UNTAKEN_BYTES
        for _ in range(3):
            scene.do(scene.line.check)
            scene.advance(1)
        assert scene.line.up

    def test_one_that_is_not_up_is_not_looked_at(self, scene):
        scene.at(State.OPENING)
        scene.link.untaken = 9 * UNTAKEN_BYTES
        for _ in range(5):
            scene.do(scene.line.check)
            scene.advance(1)
        assert scene.line.state is State.OPENING

    def test_a_full_ring_stops_the_reader(self, scene):
        scene.at(State.UP)
        scene.do(scene.line.ring_full, True)
        assert not scene.link.reading
        scene.do(scene.line.ring_full, False)
        assert scene.link.reading

    @pytest.mark.parametrize("full", [True, False])
    def test_a_full_ring_stops_the_next_one_too(self, scene, full):
        scene.at(State.UP)
        scene.do(scene.line.ring_full, True)
        scene.fail()
        scene.do(scene.line.ring_full, full)
        scene.advance(0.2)
        assert scene.connect().reading is not full


class TestRenewal:
    def test_is_these_steps_in_this_order(self, scene, caplog):
        scene.at(State.UP)
        old = scene.link
        new = scene.successor()
        scene.between_turns = True
        scene.advance(0.2)
        assert scene.journal == [
            (f"redirect {new.number}", scene.sink, scene.feed),
            ("move", scene.opening, new.send_text),
            "replay",
            f"hang_up {old.number}",
            ("open", new.write),
            "LineUp",
        ]
        assert (scene.line.link, scene.attempt.owner, new.reading) == (new, scene.line, True)
        counters = {"dials": 2, "renewals": 1, "replayed_items": 3}
        assert dict(scene.line.counters) == counters
        assert lines(caplog)[-1] == "[REALTIME] session renewed, renewals=1"
        scene.fail()
        assert scene.line.state is State.PAUSING, "the new attempt is the line's"

    def test_forgets_that_the_old_socket_took_nothing(self, scene):
        scene.at(State.UP)
        first = scene.attempt
        scene.successor()
        scene.do(first.on_model_paused, True)
        scene.between_turns = True
        scene.advance(BLOCKED_SECONDS + 1)
        assert scene.line.up

    def test_a_full_ring_stops_the_new_reader(self, scene):
        scene.at(State.UP)
        scene.do(scene.line.ring_full, True)
        new = scene.successor()
        assert new.reading
        scene.between_turns = True
        scene.advance(0.2)
        assert not new.reading

    def test_comes_again(self, scene):
        scene.at(State.UP)
        scene.between_turns = True
        for number in (1, 2):
            scene.successor()
            assert scene.line.counters["renewals"] == number

    def test_one_that_fails_is_counted_and_costs_nothing(self, scene, caplog):
        scene.at(State.UP)
        scene.advance(RENEW_SECONDS + MOMENT)
        scene.fail(ModelUnavailable("no", "connect_failed"))
        assert (scene.line.state, scene.line.counters["renewal_failures"]) == (State.UP, 1)
        assert "renewal_failures=1" in lines(caplog)[-1]

    def test_a_session_that_is_lost_is_succeeded_at_once(self, scene, caplog):
        scene.at(State.UP)
        first = scene.attempt
        new = scene.successor()
        scene.told.clear()
        scene.do(first.on_model_failed, GONE)
        assert scene.journal == left_for(scene, new)
        assert (scene.line.state, scene.line.link, scene.told) == (State.UP, new, [LineLost(), LineUp()])
        said = [line.partition(",")[0] for line in lines(caplog)[-2:]]
        assert said == ["[REALTIME] connection lost: gone", "[REALTIME] OpenAI reconnected in 0ms"]
        scene.advance(OUTAGE_SECONDS + 1)
        assert scene.line.up, "there is no outage"

    def test_one_that_must_be_left_is_left_as_a_lost_one_and_nothing_is_booked_as_lost(self, scene, caplog):
        scene.at(State.UP)
        new = scene.successor()
        scene.told.clear()
        scene.journal.clear()
        scene.do(scene.line.change_model_now)
        assert scene.journal == left_for(scene, new)
        assert (scene.line.state, scene.line.link, scene.told) == (State.UP, new, [LineLost(), LineUp()])
        assert (scene.line.counters["renewals"], scene.line.counters["losses"], scene.stats.errors) == (1, 0, [])
        assert lines(caplog)[-1].startswith("[REALTIME] session renewed")
        scene.advance(OUTAGE_SECONDS + 1)
        assert scene.line.up, "there is no outage"

    def test_one_for_which_the_line_is_given_up_when_it_is_left_is_hung_up_on(self, scene, monkeypatch):
        scene.at(State.UP)
        new = scene.successor()
        monkeypatch.setattr(scene, "tell", lambda event: isinstance(event, LineLost) and scene.line.give_up(GONE))
        scene.do(scene.line.change_model_now)
        assert (scene.line.state, new.hang_ups) == (State.DOWN, 1)

    def test_nothing_is_left_for_what_does_not_stand_ready(self, scene):
        scene.at(State.UP)
        scene.do(scene.line.change_model_now)
        assert (scene.line.state, scene.line.link.number, scene.journal) == (State.UP, 1, scene.journal)
        scene.advance(RENEW_SECONDS + MOMENT)
        scene.connect()
        scene.journal.clear()
        scene.do(scene.line.change_model_now)
        assert (scene.line.state, scene.line.link.number, scene.journal) == (State.UP, 1, [])

    def test_what_the_lost_one_did_not_take_is_not_its_successors(self, scene):
        scene.at(State.UP)
        first = scene.link
        new = scene.successor()
        first.untaken = new.untaken = UNTAKEN_BYTES
        while first.hang_ups == 0:
            scene.do(scene.line.check)
            scene.advance(1)
        scene.do(scene.line.check)
        assert (scene.line.state, scene.line.link) == (State.UP, new)

    def test_its_successor_is_healthy_in_its_turn(self, scene):
        scene.do(scene.line.start)
        scene.fail()
        scene.advance(1)
        scene.up()
        first = scene.attempt
        scene.successor()
        scene.line.tries = 3
        scene.do(first.on_model_failed, GONE)
        scene.advance(HEALTHY_SECONDS + MOMENT)
        assert scene.line.tries == 0

    def test_there_is_none_where_there_is_no_hope(self, scene):
        scene.at(State.UP)
        first = scene.attempt
        scene.successor()
        scene.do(first.on_model_failed, HOPELESS)
        assert scene.line.state is State.DOWN

    def test_what_was_being_made_is_dropped_with_the_line(self, scene):
        scene.at(State.UP)
        first = scene.attempt
        scene.advance(RENEW_SECONDS + MOMENT)
        second = scene.connect()
        scene.do(first.on_model_failed, GONE)
        assert (second.hang_ups, scene.line.state) == (1, State.PAUSING)
