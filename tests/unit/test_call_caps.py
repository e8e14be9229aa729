"""fastbridge.call.caps: a budget that is set, as a call sees it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbridge.call.caps import GOODBYE_TOKENS, OVERDRAFT_USD, Cap, overdraft, told

USD = st.floats(0, 1000, allow_nan=False)


@given(USD, USD, USD, USD)
def test_what_is_sure_is_all_of_it(spent: float, goodbye: float, answer: float, aside: float) -> None:
    cap = Cap("day", spent, 5.0, goodbye, "usd", answer, aside)
    assert cap.ended == spent + goodbye + aside
    assert cap.sure == cap.ended + answer


def test_a_goodbye_may_cost_a_cent_more_or_its_own_speech() -> None:
    assert overdraft(Cap("call", 1, 1, 0, "usd", 0)) == pytest.approx(OVERDRAFT_USD)
    assert overdraft(Cap("call", 1, 1, 0, "tokens", 0)) == GOODBYE_TOKENS


@pytest.mark.parametrize(
    ("cap", "shown"),
    [
        (
            Cap("call", 0.815, 1.0, 0.01, "usd", 0.0),
            "whose=call spent=0.81 answer=0.00 goodbye=0.01 most=1.00 unit=usd",
        ),
        (
            Cap("day", 7.0, 12.0, 0.5, "usd", 0.25, 4.0),
            "whose=day spent=7.00 answer=0.25 goodbye=0.50 aside=4.00 most=12.00 unit=usd",
        ),
        (
            Cap("call", 0.003, 0.002, 0.0, "usd", 0.0),
            "whose=call spent=0.00300 answer=0.00000 goodbye=0.00000 most=0.00200 unit=usd",
        ),
        (
            Cap("call", 1520.0, 1700, 125, "tokens", 75.4),
            "whose=call spent=1520 answer=75 goodbye=125 most=1700 unit=tokens",
        ),
    ],
)
def test_what_has_decided_is_told_in_its_own_coin(cap: Cap, shown: str) -> None:
    assert " ".join(f"{name}={value}" for name, value in told(cap).items()) == shown
