"""fastbridge.call.order: whoever is named there is there, takes what is told, and fails alone."""

import inspect
import itertools
from typing import Any, NamedTuple, get_type_hints

import pytest

from fastbridge.call import happenings, order
from fastbridge.call.call import Call
from fastbridge.call.happenings import EndCall, Ending, Interrupted, Played, Second
from fastbridge.call.order import ORDER, TABLE, Dispatcher
from fastbridge.call.parts import Parts
from fastbridge.carrier import port as carrier
from fastbridge.model import port as model

KINDS = get_type_hints(Parts)
TOLD = [(event, part, method) for event, row in TABLE.items() for part, method in row]


def events_of(module: Any) -> list[type]:
    return [kind for kind in vars(module).values() if isinstance(kind, type) and hasattr(kind, "_fields")]


def test_every_event_there_is_has_its_row_and_only_those():
    there = {event for module in (happenings, model, carrier) for event in events_of(module)}
    assert set(ORDER) == there


def test_nobody_is_told_twice_of_one_event():
    for row in TABLE.values():
        assert len(set(row)) == len(row)


@pytest.mark.parametrize(("event", "part", "method"), TOLD, ids=lambda value: getattr(value, "__name__", value))
def test_whoever_is_told_takes_it(event, part, method):
    kind = KINDS[part] if part else Call
    handler = getattr(kind, method)
    if kind.__module__.startswith("fastbridge._"):
        assert callable(handler)  # compiled: it does not say what it takes
    else:
        inspect.signature(handler).bind(None, *event._fields)


@pytest.mark.parametrize(("event", "part", "method"), TOLD, ids=lambda value: getattr(value, "__name__", value))
def test_in_the_fields_order(event, part, method):
    """By name, where it says one: a text in the place of another would pass."""
    kind = KINDS[part] if part else Call
    if kind.__module__.startswith("fastbridge._"):
        return
    named = [name for name, one in inspect.signature(getattr(kind, method)).parameters.items() if name != "self"]
    known = [name for name in named if name in event._fields]
    assert known == sorted(known, key=event._fields.index)


class Writer:
    """A part that writes down what it is told."""

    def __init__(self, name: str, told: list[tuple[Any, ...]], *, fails: bool = False) -> None:
        self._name, self._told, self._fails = name, told, fails

    def __getattr__(self, method: str) -> Any:
        def handle(*fields: object) -> None:
            self._told.append((self._name, method, *fields))
            if self._fails:
                raise ValueError(self._name)

        return handle


class Scene:
    """All parts, some of which fail."""

    live = True

    def __init__(self, *failing: str) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.failures: list[str] = []
        for name in {part for row in TABLE.values() for part, _ in row if part}:
            setattr(self, name, Writer(name, self.told, fails=name in failing))
        self.tell = Dispatcher(self, lambda error: self.failures.append(str(error)))

    def close(self, reason: str) -> None:
        self.told.append(("close", reason))


def test_each_is_told_in_the_order_of_its_row_with_the_events_fields():
    scene = Scene()
    scene.tell(Played("resp_1"))
    assert scene.told == [
        ("greeting", "played", "resp_1"),
        ("fallback", "played", "resp_1"),
        ("answered_by", "played", "resp_1"),
        ("transcripts", "review", "resp_1"),
    ]


TO_SEVERAL = [event for event, row in TABLE.items() if len(row) > 1]


@pytest.mark.parametrize("event", TO_SEVERAL, ids=lambda each: each.__name__)
def test_one_that_throws_is_booked_and_stops_nobody(event):
    row = TABLE[event]
    for part, _ in row:
        scene = Scene(part)
        scene.tell(event(*event._fields))
        assert [(name, method) for name, method, *_ in scene.told] == list(row)
        assert scene.failures == [part] * sum(name == part for name, _ in row)


def test_the_call_itself_is_told_without_a_name():
    scene = Scene()
    scene.tell(EndCall("shutdown"))
    assert scene.told == [("close", "shutdown")]


def test_the_seconds_of_a_call_that_is_over_count_no_more():
    scene = Scene()
    scene.live = False
    scene.tell(Second())
    assert scene.told == []
    scene.tell(Interrupted())
    assert scene.told != []


def test_nor_for_those_behind_whoever_ends_it():
    scene = Scene()
    (first, _), (second, method) = itertools.islice(TABLE[Second], 2)
    setattr(scene, first, Ends(scene))
    scene.tell(Second())
    assert scene.told == []
    assert (second, method) in TABLE[Second]


class Ends:
    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def __getattr__(self, method: str) -> Any:
        def handle() -> None:
            self._scene.live = False

        return handle


def test_an_event_nobody_knows_is_a_bug_of_ours():
    class Unknown(NamedTuple):
        pass

    with pytest.raises(KeyError):
        Scene().tell(Unknown())


def test_all_that_can_be_closed_is_at_the_end():
    closed = {part for part, _ in TABLE[Ending]}
    can = {name for name, kind in KINDS.items() if hasattr(kind, "close")}
    assert can - closed == {"line", "hooks"}, "these are closed behind the report: see Call.close"
    assert order.ORDER[Ending].endswith("session.close caller.close assistant.close local_recording.close"), (
        "the lanes last, and behind them the tape from which they take back"
    )
