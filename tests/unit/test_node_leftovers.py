"""node.leftovers: taken apart in its time, and not before."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from fastbridge.node import leftovers
from fastbridge.node.leftovers import Leftovers


class Part:
    """Something that has something."""

    def __init__(self) -> None:
        self.held = object()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "TEARDOWN_SECONDS", 0.0)


def turns(*steps: Any) -> None:
    """Each, and a moment for what was begun."""

    async def live() -> None:
        for step in steps:
            step()
            for _ in range(3):
                await asyncio.sleep(0.001)

    asyncio.run(live())


def test_parts_are_taken_apart_later_or_at_once() -> None:
    left, later, now = Leftovers(), Part(), Part()
    seen: list[bool] = []

    def retire() -> None:
        left.parts(later)
        left.parts(now, at_once=True)
        seen.extend([bool(vars(later)), bool(vars(now))])

    turns(retire, lambda: seen.append(bool(vars(later))))
    assert seen == [True, False, False]


@pytest.mark.parametrize(("part", "at_work"), [("hooks", "running"), ("transfers", "asking")])
def test_a_call_is_dismantled_when_its_hooks_have_ended_and_nothing_is_asked_of_the_carrier(
    monkeypatch: pytest.MonkeyPatch, part: str, at_work: str
) -> None:
    left, gone = Leftovers(), list[Any]()
    monkeypatch.setattr(leftovers, "dismantle", gone.append)
    parts: dict[str, Any] = {"hooks": SimpleNamespace(running=False), "transfers": SimpleNamespace(asking=False)}
    setattr(parts[part], at_work, True)
    call: Any = type("Call", (), parts)()  # what a dict's key must be
    seen: list[int] = []

    def release() -> None:
        seen.append(len(gone))
        setattr(parts[part], at_work, False)

    turns(lambda: left.call(call), release, lambda: seen.append(len(gone)))
    assert seen == [0, 1]


def test_at_the_end_of_the_process_they_are_left() -> None:
    left, part = Leftovers(), Part()

    def end() -> None:
        left.parts(part)
        left.close()

    turns(end)
    assert vars(part)
