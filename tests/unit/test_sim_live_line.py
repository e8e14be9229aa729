import json

from fastbridge.sim.live_line import Line
from fastbridge.sim.timeline import Steps
from fastbridge.sim.wire import Event, Ids


def made(rate: float = 1.0) -> Line:
    return Line(Ids("seed"), 1000.0, rate)


def kinds(line: Line) -> list[str]:
    return [json.loads(frame)["type"] for frame in line.take()]


def steps(*dues: tuple[float, str]) -> Steps:
    for delay_ms, kind in dues:
        yield delay_ms, Event(kind, {})


def test_events_come_when_they_are_due_and_in_order() -> None:
    line = made()
    line.later(steps((10, "b"), (10, "d")))
    line.later(steps((5, "a"), (10, "c")))
    assert line.next_due_ms() == 1005
    line.advance(1015)
    assert kinds(line) == ["a", "b", "c"]
    assert line.next_due_ms() == 1020
    line.advance(2000)
    assert kinds(line) == ["d"]
    assert line.next_due_ms() is None
    assert line.sent == {"a": 1, "b": 1, "c": 1, "d": 1}


def test_the_session_s_clock_begins_with_the_stream_and_has_its_own_pace() -> None:
    line = made(1.25)
    line.advance(1500)
    assert (line.streaming, line.clock_ms) == (False, 0.0)
    line.begin_stream(steps())
    line.advance(2500)
    assert (line.streaming, line.clock_ms) == (True, 1250.0)


def test_what_belongs_in_the_stream_waits_for_it() -> None:
    line = made()
    line.in_stream(steps((10, "waited")))
    line.advance(5000)
    assert kinds(line) == []
    line.begin_stream(steps())
    line.in_stream(steps((5, "did not")))
    line.advance(5010)
    assert kinds(line) == ["did not", "waited"]


def test_after_the_close_nothing_is_due_any_more() -> None:
    def closing() -> Steps:
        yield 10.0, Event("last", {})
        line.closed = (1000, "")

    line = made()
    line.later(closing())
    line.later(steps((20, "never")))
    line.advance(5000)
    assert kinds(line) == ["last"]
    assert line.next_due_ms() is None
