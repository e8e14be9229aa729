"""outbound.one_call: one call from the command line. (On a real node: tests/e2e/test_outbound.)"""

import asyncio
from collections.abc import Collection
from typing import Any

import pytest

from fastbridge.errors import ConfigError
from fastbridge.outbound import one_call
from fastbridge.outbound.client import Asked


class Api:
    """answers: to asking; states: one look after the other."""

    def __init__(self, *answers: Asked, states: list[dict[str, Any]] | None = None) -> None:
        self.answers = list(answers)
        self.ended: list[str] = []
        self._states = list(states or [])

    async def __aenter__(self) -> "Api":
        return self

    async def __aexit__(self, *_: Any) -> None: ...

    async def place(self, request: dict[str, Any]) -> Asked:
        return self.answers.pop(0)

    async def states(self, ids: Collection[str]) -> list[dict[str, Any]] | None:
        return [self._states.pop(0)] if self._states else None

    async def end(self, call_id: str) -> bool:
        self.ended.append(call_id)
        return True


QUEUED = Asked({"id": "OB1", "state": "queued", "call_sid": "CA1"})


def hold(api: Api, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(one_call, "ApiClient", lambda url, key: api)
    monkeypatch.setattr(one_call, "POLL_SECONDS", 0.0)
    return asyncio.run(one_call._hold("http://x", "KEY", {}))


def test_it_is_told_as_it_goes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ends = {"id": "OB1", "state": "completed", "duration_seconds": 17}
    states = [{"id": "OB1", "state": "ringing"}, {"id": "OB1", "state": "ringing"}, ends]
    assert hold(Api(QUEUED, states=states), monkeypatch) == 0
    told = capsys.readouterr()
    assert (told.err, told.out) == ("queued CA1\nringing\n", "completed after 17 s\n")


def test_what_came_of_it_is_waited_for(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ended = {"id": "OB1", "state": "completed", "duration_seconds": 17, "outcome": None}
    lost = {**ended, "outcome": "node_lost", "reason": "Its node had ended."}
    assert hold(Api(QUEUED, states=[ended, ended, lost]), monkeypatch) == 1
    assert capsys.readouterr().out == "node_lost: Its node had ended.\n"


def test_why_there_was_none_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    failed = {"id": "OB1", "state": "failed", "reason": "The number is invalid."}
    assert hold(Api(Asked(failed, "x")), monkeypatch) == 1
    assert capsys.readouterr().out == "failed: The number is invalid.\n"


def test_a_node_that_has_no_time_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    busy = Asked(problem="not now", after_seconds=0.0)
    assert hold(Api(busy, busy, Asked({"id": "OB1", "state": "busy"})), monkeypatch) == 1
    assert capsys.readouterr().err == "fastbridge: not now; it is tried again in 0 s\n" * 2
    with pytest.raises(ConfigError, match="was not placed: not now"):
        hold(Api(*[busy] * one_call.TRIES), monkeypatch)
    with pytest.raises(ConfigError, match="was not placed: to is none"):
        hold(Api(Asked(problem="to is none.")), monkeypatch)


def test_whoever_breaks_it_off_hangs_up(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    api = Api(QUEUED)

    async def interrupted(ids: Collection[str]) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(api, "states", interrupted)
    with pytest.raises(asyncio.CancelledError):
        hold(api, monkeypatch)
    assert api.ended == ["OB1"]
    assert "hanging up" in capsys.readouterr().err
