"""model.opening: what a session says of itself, whatever it says."""

from types import SimpleNamespace
from typing import Any

import pytest

from fastbridge.model.opening import FAR_FUTURE_S, SessionOpening


@pytest.fixture
def opening() -> SessionOpening:
    trouble: Any = SimpleNamespace()
    return SessionOpening(ready=lambda: None, failed=lambda error: None, trouble=trouble)


def test_nothing_is_known_at_first(opening: SessionOpening) -> None:
    assert (opening.session_id, opening.expires_at_s, opening.is_ready, opening.format_mismatches) == (
        "",
        None,
        False,
        0,
    )


def test_its_id_and_its_end(opening: SessionOpening) -> None:
    opening._identify({"id": "sess_1", "expires_at": 1_800_000_000})
    assert (opening.session_id, opening.expires_at_s) == ("sess_1", 1_800_000_000.0)


@pytest.mark.parametrize("expires_at", [None, "soon", 0, -1, FAR_FUTURE_S, float("nan"), [], {}])
def test_an_end_that_is_none_and_an_id_that_is_none(opening: SessionOpening, expires_at: Any) -> None:
    opening._identify({"id": None, "expires_at": expires_at})
    assert (opening.session_id, opening.expires_at_s) == ("unnamed", None)
