"""fastbridge.model.attempt: each try tells its own owner, and says whose it is."""

from typing import Any

from fastbridge.errors import ModelUnavailable
from fastbridge.model.attempt import Attempt


class Owner:
    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def __getattr__(self, verb: str) -> Any:
        return lambda *arguments: self.told.append((verb, *arguments))


def test_tells_its_owner_with_itself():
    owner = Owner()
    attempt, link = Attempt(owner, print, print), object()
    error = ModelUnavailable("no", "http_401")
    attempt.on_model_connected(link)
    attempt.on_model_failed(error)
    attempt.on_model_paused(True)
    assert owner.told == [
        ("connected", attempt, link),
        ("failed", attempt, error),
        ("paused", attempt, True),
    ]


def test_a_loss_is_an_error_with_the_close_code():
    owner = Owner()
    Attempt(owner, print, print).on_model_lost(1011, "internal")
    ((verb, _, error),) = owner.told
    assert (verb, error.code, error.kind) == ("failed", "closed_1011", "connection_closed")
    assert (error.message, error.words) == ("the model closed the session with 1011", "internal")


def test_its_owner_may_change():
    first, second = Owner(), Owner()
    attempt = Attempt(first, print, print)
    attempt.owner = second
    attempt.on_model_paused(False)
    assert (first.told, len(second.told)) == ([], 1)
