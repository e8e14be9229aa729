"""fastbridge.model.untaken: a peer that reads no more is told from one that is slow."""

from types import SimpleNamespace
from typing import Any

import pytest

from fastbridge.model.untaken import UNTAKEN_BYTES, UNTAKEN_SECONDS, Untaken


def told(waiting: list[int]) -> list[bool]:
    """What it says of these, a second apart."""
    clock: Any = SimpleNamespace(now_ns=lambda: clock.ns, ns=10**12)
    untaken = Untaken(clock)
    answers = []
    for untaken_bytes in waiting:
        answers.append(untaken.too_long(untaken_bytes))
        clock.ns += 10**9
    return answers


def test_so_much_for_so_long_is_told_once_and_then_again() -> None:
    after = int(UNTAKEN_SECONDS) + 1
    answers = told([UNTAKEN_BYTES] * (2 * after + 3))
    assert [number for number, long in enumerate(answers) if long] == [after, 2 * after]


@pytest.mark.parametrize(
    "waiting",
    [
        [UNTAKEN_BYTES - 1] * 20,
        [9 * UNTAKEN_BYTES - number for number in range(20)],
        [UNTAKEN_BYTES, UNTAKEN_BYTES, UNTAKEN_BYTES, 0] * 5,
    ],
    ids=["less", "getting less", "taken in between"],
)
def test_a_slow_one_is_none(waiting: list[int]) -> None:
    assert not any(told(waiting))
