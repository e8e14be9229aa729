from fastbridge.sim.timeline import Steps, Timeline
from fastbridge.sim.wire import Event


def event(name: str) -> Event:
    return Event(name, {})


def test_delays_count_from_the_step_before_not_from_the_poll() -> None:
    line = Timeline(100.0, iter([(10.0, event("a")), (5.0, event("b"))]))
    assert line.due_ms == 110.0
    assert list(line.take()) == [event("a")]
    assert line.due_ms == 115.0
    assert list(line.take()) == [event("b")]
    assert line.due_ms is None


def test_a_pause_hands_out_nothing_but_takes_time() -> None:
    line = Timeline(0.0, iter([(50.0, None), (0.0, event("a"))]))
    assert line.due_ms == 50.0
    assert list(line.take()) == []
    assert line.due_ms == 50.0
    assert list(line.take()) == [event("a")]


def test_what_follows_a_yield_happens_after_the_event_was_handed_out() -> None:
    log: list[str] = []

    def steps() -> Steps:
        yield 0.0, event("a")
        log.append("after a")

    line = Timeline(0.0, steps())
    for taken in line.take():
        log.append(taken.type)
    assert log == ["a", "after a"]


def test_stop_forgets_the_rest_even_in_the_middle_of_a_take() -> None:
    line = Timeline(0.0, iter([(0.0, event("a")), (1.0, event("b"))]))
    for _ in line.take():
        line.stop()
    assert line.due_ms is None
    assert list(line.take()) == []


def test_an_empty_timeline_is_never_due() -> None:
    assert Timeline(0.0, iter(())).due_ms is None
