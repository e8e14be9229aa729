"""model.line alone: every deadline, each step of a loss, and whose socket may still say something."""

from collections.abc import Iterator

import pytest

from alone import lines
from fastbridge.errors import ModelError, ModelUnavailable
from fastbridge.model.backoff import BACKOFF_SECONDS, BUSY_BACKOFF_SECONDS, MAX_TRIES
from fastbridge.model.errors import is_busy, is_hopeless
from fastbridge.model.line import (
    BLOCKED_SECONDS,
    DEADLINES_SECONDS,
    HEALTHY_SECONDS,
    LOST,
    UNAVAILABLE,
    State,
)
from fastbridge.model.port import LineChanged, LineLost, LineUp, ModelGivenUp
from fastbridge.model.untaken import UNTAKEN_BYTES, UNTAKEN_SECONDS
from line_scene import GONE, HOPELESS, MOMENT, OUTAGE_SECONDS, RENEW_SECONDS, LineScene

LIVE = [State.DIALLING, State.OPENING, State.UP, State.PAUSING]
BUSY = ModelUnavailable("busy", "http_503")


@pytest.fixture
def scene(monkeypatch, caplog) -> Iterator[LineScene]:
    caplog.set_level("INFO", "fastbridge.events")
    scene = LineScene(monkeypatch)
    yield scene
    scene.end()


def test_the_bounds_are_these():
    """Tries that grow apart; and what waits for others waits longer than they are allowed to take."""
    assert (BACKOFF_SECONDS, BUSY_BACKOFF_SECONDS, MAX_TRIES) == ((0.1, 0.5, 1.0), (0.5, 1.5), 4)
    assert DEADLINES_SECONDS == {State.DIALLING: 4.0, State.OPENING: 9.0, State.PAUSING: 2.0}
    assert (HEALTHY_SECONDS, BLOCKED_SECONDS, UNTAKEN_BYTES, UNTAKEN_SECONDS) == (10.0, 5.0, 32_768, 3.0)


class TestUp:
    def test_is_these_steps_in_this_order(self, scene):
        scene.advance(1)
        scene.do(scene.line.start)
        assert (scene.attempt.sink, scene.attempt.feed_message) == (scene.sink, scene.feed)
        scene.advance(0.25)
        link = scene.connect()
        assert (scene.line.state, scene.stats.connect_ms, scene.stats.ready_ms) == (State.OPENING, 1250, None)
        assert link.reading
        scene.advance(0.25)
        scene.do(scene.line.ready)
        assert scene.journal == ["dial", ("connected", link.send_text), ("open", link.write), "LineUp"]
        assert (scene.line.state, scene.stats.ready_ms, scene.resets) == (State.UP, 1500, 1)
        assert (scene.told, dict(scene.line.counters)) == ([LineUp()], {"dials": 1})

    def test_the_moments_are_the_first_ones_and_said_once(self, scene, caplog):
        scene.at(State.UP)
        scene.fail()
        scene.advance(1)
        scene.up()
        assert (scene.stats.connect_ms, scene.stats.ready_ms) == (0, 0)
        assert [line for line in lines(caplog) if "OpenAI connected" in line] == ["[REALTIME] OpenAI connected in 0ms"]

    @pytest.mark.parametrize("state", [State.DIALLING, State.UP, State.PAUSING, State.DOWN])
    def test_only_what_opens_gets_ready(self, scene, state):
        scene.at(state)
        scene.do(scene.line.ready)
        assert (scene.line.state, scene.journal) == (state, [])

    @pytest.mark.parametrize("state", [State.OPENING, State.UP, State.PAUSING, State.DOWN, State.CLOSED])
    def test_a_socket_that_nobody_waits_for_is_hung_up(self, scene, state):
        scene.at(state)
        link = scene.connect()
        assert (scene.line.state, scene.journal) == (state, [f"hang_up {link.number}"])

    def test_so_is_one_of_an_older_try(self, scene):
        scene.at(State.PAUSING)
        older = scene.attempt
        scene.advance(1)
        assert scene.line.state is State.DIALLING
        scene.connect(older)
        assert (scene.line.state, scene.link.hang_ups) == (State.DIALLING, 1)

    def test_a_loss_is_told_with_what_it_cost(self, scene, caplog):
        scene.at(State.UP)
        scene.advance(5)
        scene.fail()
        scene.advance(0.3)
        link = scene.connect()
        scene.journal.clear()
        scene.do(scene.line.ready)
        assert scene.journal == ["replay", ("open", link.write), "LineUp"]
        line = "[REALTIME] OpenAI reconnected in 300ms, tries=2, replayed=3"
        assert lines(caplog)[-1] == line
        counters = {"dials": 2, "losses": 1, "reconnects": 1, "replayed_items": 3}
        assert dict(scene.line.counters) == counters


class TestLost:
    def test_is_these_steps_in_this_order(self, scene):
        scene.at(State.UP)
        scene.overdue_seconds = 1.5
        scene.fail()
        assert scene.journal == ["shut", "hang_up 1", "LineLost", "disconnected", "LineChanged"]
        assert scene.told == [LineLost(), LineChanged(1.5)]
        assert (scene.line.state, dict(scene.line.counters)) == (State.PAUSING, {"dials": 1, "losses": 1})
        assert scene.stats.errors == ["closed_1006"]

    @pytest.mark.parametrize("state", [State.DIALLING, State.OPENING])
    def test_what_was_not_up_is_not(self, scene, state):
        scene.at(state)
        scene.fail()
        assert (scene.told, scene.line.state) == ([LineChanged(0.0)], State.PAUSING)
        assert dict(scene.line.counters) == {"dials": 1, "dial_failures": 1}

    @pytest.mark.parametrize("state", [State.IDLE, State.PAUSING, State.DOWN, State.CLOSED])
    def test_what_is_not_there_is_not(self, scene, state):
        scene.at(state)
        for lose in (
            lambda: scene.line.lose("deaf", "upload_deaf"),
            lambda: scene.line.session_failed(GONE),
        ):
            scene.do(lose)
        assert (scene.line.state, scene.journal) == (state, [])

    @pytest.mark.parametrize("state", [State.DIALLING, State.OPENING, State.UP])
    def test_by_the_models_own_word_or_ours(self, scene, state):
        scene.at(state)
        scene.do(scene.line.session_failed, ModelUnavailable("sorry", "server_error"))
        assert (scene.line.state, scene.stats.errors) == (State.PAUSING, ["server_error"])
        scene.advance(1)
        scene.do(lambda: scene.line.lose("deaf", "upload_deaf"))
        assert scene.stats.errors == ["server_error", "upload_deaf"]

    def test_an_older_try_says_nothing_any_more(self, scene):
        scene.at(State.UP)
        older = scene.attempt
        scene.fail()
        scene.advance(1)
        scene.up()
        scene.do(older.on_model_failed, GONE)
        scene.do(older.on_model_paused, True)
        scene.advance(BLOCKED_SECONDS + 1)
        assert scene.line.up

    @pytest.mark.parametrize("ready", [True, False])
    def test_that_ends_the_line_ends_it(self, scene, ready):
        """Of those who are told of the loss, one gives the model up."""
        scene.at(State.UP)
        scene.advance(RENEW_SECONDS + 1)
        scene.connect()
        if ready:
            scene.do(scene.confirmed)
        scene.session.disconnected = lambda: scene.line.give_up(HOPELESS)
        scene.do(scene.line.failed, scene.dialled[0], GONE)
        assert scene.line.state is State.DOWN
        assert [link.hang_ups for link in scene.links] == [1, 1]
        assert scene.told[-1] == ModelGivenUp(LOST, HOPELESS)
        assert len(scene.dialled) == 2

    def test_the_first_loss_of_a_session_is_dialled_again_soon_whatever_came_before(self, scene):
        scene.do(scene.line.start)
        for _ in range(2):
            scene.fail()
            scene.advance(1)
        scene.up()
        scene.fail()
        assert scene.pauses_seconds == pytest.approx(BACKOFF_SECONDS[0], abs=0.011)


@pytest.mark.parametrize("state", [State.DIALLING, State.OPENING, State.PAUSING])
def test_it_is_returning_when_there_was_a_session_before(scene, state):
    scene.at(state)
    assert not scene.line.returning
    scene.stats.ready_ms = 200
    assert scene.line.returning


@pytest.mark.parametrize("state", [State.UP, State.DOWN, State.CLOSED])
def test_what_is_there_or_will_never_be_is_not_returning(scene, state):
    scene.at(state)
    scene.stats.ready_ms = 200
    assert not scene.line.returning


class TestTries:
    def test_are_further_apart_each_and_have_an_end(self, scene):
        scene.do(scene.line.start)
        for seconds in (*BACKOFF_SECONDS, None):
            scene.fail()
            if seconds is None:
                break
            assert scene.pauses_seconds == pytest.approx(seconds, abs=0.011)
        assert (len(scene.dialled), scene.line.state) == (MAX_TRIES, State.DOWN)
        assert scene.told[-1] == ModelGivenUp(UNAVAILABLE, GONE)

    def test_for_a_busy_service_are_fewer_and_further_apart(self, scene):
        scene.do(scene.line.start)
        for seconds in BUSY_BACKOFF_SECONDS:
            scene.fail(BUSY)
            assert scene.pauses_seconds == pytest.approx(seconds, abs=0.011)
        scene.fail(BUSY)
        assert (len(scene.dialled), scene.line.state, scene.trips) == (3, State.DOWN, 0)

    def test_that_no_retry_cures_are_none(self, scene):
        scene.do(scene.line.start)
        scene.fail(HOPELESS)
        assert (len(scene.dialled), scene.line.state, scene.trips) == (1, State.DOWN, 1)
        assert scene.stats.errors == ["http_401"], "counted once"

    def test_a_pause_is_somewhere_in_its_upper_half(self, scene, monkeypatch):
        asked = []
        monkeypatch.setattr(
            "fastbridge.model.backoff.random.uniform", lambda *bounds: asked.append(bounds) or bounds[0]
        )
        scene.do(scene.line.start)
        scene.fail()
        assert scene.pauses_seconds == pytest.approx(BACKOFF_SECONDS[0] / 2, abs=0.011)
        scene.fail(BUSY)
        assert scene.pauses_seconds == pytest.approx(BUSY_BACKOFF_SECONDS[0] / 2, abs=0.011)
        assert asked == [(0.5, 1.0)] * 2

    @pytest.mark.parametrize(("seconds", "tries"), [(HEALTHY_SECONDS + MOMENT, 1), (HEALTHY_SECONDS - MOMENT, 2)])
    def test_count_anew_behind_a_healthy_session(self, scene, seconds, tries):
        scene.at(State.UP)
        scene.advance(seconds)
        scene.fail()
        scene.advance(1)
        assert scene.line.tries == tries

    def test_of_a_busy_service_count_anew_too(self, scene):
        scene.at(State.UP)
        for _ in range(4):
            scene.advance(HEALTHY_SECONDS + MOMENT)
            scene.fail(BUSY)
            scene.advance(BUSY_BACKOFF_SECONDS[0] + MOMENT)
            scene.up()

    def test_a_session_that_was_lost_is_not_healthy_later(self, scene):
        scene.at(State.UP)
        scene.advance(HEALTHY_SECONDS - 0.05)
        scene.fail()
        scene.advance(0.11)
        assert (scene.line.state, scene.line.tries) == (State.DIALLING, 2)


class TestDeadlines:
    @pytest.mark.parametrize("state", [State.DIALLING, State.OPENING])
    def test_who_does_not_answer_is_lost(self, scene, state):
        scene.at(state)
        scene.advance(DEADLINES_SECONDS[state] - MOMENT)
        assert scene.line.state is state
        scene.advance(2 * MOMENT)
        assert (scene.line.state, scene.stats.errors) == (State.PAUSING, ["connect_timeout"])
        assert scene.line.counters["safety_fuse"] == 1

    def test_a_pause_that_nobody_ends_ends(self, scene):
        scene.at(State.PAUSING)
        scene.line._pause.clear()
        scene.advance(DEADLINES_SECONDS[State.PAUSING] + MOMENT)
        assert (scene.line.state, len(scene.dialled)) == (State.DIALLING, 2)
        assert scene.line.counters["safety_fuse"] == 1

    @pytest.mark.parametrize("state", [State.DIALLING, State.OPENING])
    def test_an_outage_ends_after_its_bound(self, scene, state, caplog):
        scene.at(state)
        scene.line._state_deadline.clear()
        scene.advance(OUTAGE_SECONDS - MOMENT)
        assert scene.line.state is state
        scene.advance(2 * MOMENT)
        assert scene.line.state is State.DOWN
        (told,) = scene.told
        assert (told.reason, told.error.code, told.error.message) == (UNAVAILABLE, "outage", "no session for 25s")
        assert scene.stats.errors == ["outage"]
        assert lines(caplog)[-1].startswith("[SERVER_ERROR] no session for 25s, code=outage")

    def test_an_outage_begins_with_the_loss(self, scene):
        scene.at(State.UP)
        scene.advance(OUTAGE_SECONDS + 1)
        assert scene.line.up
        scene.fail()
        scene.advance(0.2)
        scene.line._state_deadline.clear()
        scene.advance(OUTAGE_SECONDS - 0.2 - MOMENT)
        assert scene.line.state is State.DIALLING
        scene.advance(2 * MOMENT)
        assert scene.told[-1].reason == LOST

    def test_an_outage_does_not_begin_with_each_try(self, scene):
        scene.at(State.UP)
        scene.fail()
        scene.advance(0.2)
        scene.line._state_deadline.clear()
        scene.advance(OUTAGE_SECONDS - 1)
        scene.fail()
        scene.advance(0.9)
        assert scene.line.state is State.DOWN


class TestGivenUp:
    @pytest.mark.parametrize("state", LIVE)
    def test_is_these_steps_in_this_order(self, scene, state):
        scene.at(state)
        scene.do(scene.line.give_up, ModelError("no words", "empty_response"))
        hung_up = [f"hang_up {link.number}" for link in scene.links]
        assert scene.journal == ["shut", *hung_up, "disconnected", "ModelGivenUp"]
        assert scene.told[-1].reason == (LOST if state is State.UP else UNAVAILABLE)
        assert (scene.line.state, scene.loop.pending_timers(), scene.trips) == (State.DOWN, [], 0)
        assert scene.stats.errors.count("empty_response") == 1

    @pytest.mark.parametrize("state", [State.DOWN, State.CLOSED])
    def test_once(self, scene, state):
        scene.at(state)
        scene.do(scene.line.give_up, HOPELESS)
        assert scene.journal == []

    @pytest.mark.parametrize(("code", "trips"), [("http_401", 1), ("format_mismatch", 0), ("outage", 0)])
    def test_others_hear_of_what_has_no_hope_for_them(self, scene, code, trips):
        """A format is the agreement of one call."""
        scene.at(State.UP)
        scene.do(scene.line.give_up, ModelError("no", code))
        assert scene.trips == trips


class TestClose:
    @pytest.mark.parametrize("state", State)
    def test_leaves_nothing_and_may_come_twice(self, scene, state):
        scene.at(state)
        for _ in range(2):
            scene.do(scene.line.close)
            assert (scene.line.state, scene.loop.pending_timers()) == (State.CLOSED, [])
        assert scene.line.link is None

    def test_of_one_that_is_blocked_and_has_a_successor(self, scene):
        scene.at(State.UP)
        first = scene.attempt
        scene.successor()
        scene.do(first.on_model_paused, True)
        scene.do(scene.line.close)
        assert [link.hang_ups for link in scene.links] == [1, 1]
        assert scene.loop.pending_timers() == []

    def test_nothing_is_heard_of_its_sockets_any_more(self, scene):
        scene.at(State.UP)
        scene.do(scene.line.close)
        scene.journal.clear()
        scene.fail()
        scene.do(scene.attempt.on_model_paused, True)
        assert scene.journal == []


@pytest.mark.parametrize(
    ("code", "hopeless", "busy"),
    [
        ("http_400", True, False),
        ("http_401", True, False),
        ("http_408", False, False),
        ("http_409", False, False),
        ("http_425", False, False),
        ("http_429", False, True),
        ("http_500", False, True),
        ("http_529", False, True),
        ("rate_limit_exceeded", False, True),
        ("inference_rate_limit_exceeded", False, True),
        ("server_error", False, True),
        ("insufficient_quota", True, False),
        ("format_mismatch", True, False),
        ("session_expired", False, False),
        ("connect_failed", False, False),
        ("", False, False),
        (None, False, False),
    ],
)
def test_which_errors_a_retry_may_cure_and_which_ask_for_time(code, hopeless, busy):
    error = ModelUnavailable("no", code)
    assert (is_hopeless(error), is_busy(error)) == (hopeless, busy)
