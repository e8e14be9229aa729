"""Status callbacks: in order, and what may befall them."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import httpx2
import pytest

import loops
from fastbridge.sim.signed_http import SignedHttp
from fastbridge.sim.twilio_callbacks import Callbacks, Fate, Mishaps

pytestmark = pytest.mark.usefixtures("virtual_loops")
URL = "https://ours.example/status"


def arrivals(fates: Mapping[str, Fate], sent: list[str], answer: Any = None, spacing: float = 1.0) -> Any:
    """(seconds, name) of what came; names are sent one after the other, and `a1` is about `a`."""
    loop = loops.virtual()
    came: list[tuple[float, str]] = []
    errors: list[str] = []

    async def take(request: httpx2.Request) -> httpx2.Response:
        await asyncio.sleep(0.1)
        name = request.content.decode().removeprefix("Name=")
        came.append((round(loop.time() - began, 1), name))
        return answer(request) if answer else httpx2.Response(204)

    async def run() -> None:
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(take))
        callbacks = Callbacks(
            SignedHttp("", http), errors.append, lambda form: fates.get(form["Name"], Fate.SENT), delay_seconds=5.0
        )
        for name in sent:
            callbacks.send(name[0], URL, "POST", {"Name": name})
            await asyncio.sleep(spacing)
        await callbacks.settle()
        assert [form["Name"] for _, form in callbacks.fates] == sent
        await callbacks.close()

    began = loop.time()
    loop.run_until_complete(run())
    return came, errors


def names(fates: Mapping[str, Fate], sent: list[str], spacing: float = 1.0) -> list[str]:
    return [name for _, name in arrivals(fates, sent, spacing=spacing)[0]]


def test_of_one_call_they_come_in_order_and_calls_do_not_wait_for_each_other() -> None:
    came, errors = arrivals({}, ["a1", "a2", "b1"], spacing=0)
    assert came == [(0.1, "a1"), (0.1, "b1"), (0.2, "a2")]
    assert errors == []


def test_late() -> None:
    assert arrivals({"a1": Fate.DELAYED}, ["a1", "a2"])[0] == [(1.1, "a2"), (5.1, "a1")]


def test_in_another_order() -> None:
    assert arrivals({"a1": Fate.REORDERED}, ["a1", "a2", "a3"])[0] == [(1.1, "a2"), (1.2, "a1"), (2.1, "a3")]
    assert names({"a1": Fate.REORDERED}, ["a1", "b1", "a2"]) == ["b1", "a2", "a1"]
    assert names({"a1": Fate.REORDERED, "a2": Fate.REORDERED}, ["a1", "a2"]) == ["a2", "a1"]


def test_the_last_of_a_call_cannot_be_overtaken_and_is_late() -> None:
    assert arrivals({"a2": Fate.REORDERED}, ["a1", "a2"])[0] == [(0.1, "a1"), (6.1, "a2")]


def test_twice() -> None:
    assert names({"a1": Fate.DOUBLED}, ["a1", "a2"], spacing=0) == ["a1", "a1", "a2"]


def test_never() -> None:
    assert names({"a1": Fate.DROPPED}, ["a1", "a2"]) == ["a2"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (lambda request: httpx2.Response(404), f"11200 {URL} answered 404"),
        (lambda request: (_ for _ in ()).throw(httpx2.ConnectError("nobody")), f"11200 {URL} failed: ConnectError"),
    ],
)
def test_one_that_nobody_takes_is_an_error(answer: Callable[[Any], Any], error: str) -> None:
    _, errors = arrivals({}, ["a1"], answer)
    assert len(errors) == 1
    assert errors[0].startswith(error)


def test_what_is_on_its_way_at_the_end_is_lost() -> None:
    loop = loops.virtual()
    came: list[Any] = []

    async def run() -> None:
        http = httpx2.AsyncClient(
            transport=httpx2.MockTransport(lambda request: came.append(1) or httpx2.Response(204))
        )
        callbacks = Callbacks(SignedHttp("", http), came.append, lambda form: Fate(form["Name"]))
        for fate in ("delayed", "reordered", "sent"):
            callbacks.send(fate, URL, "POST", {"Name": fate})
        await callbacks.close()
        await asyncio.sleep(10)

    loop.run_until_complete(run())
    assert came == []


def test_chance_is_the_same_for_the_same_seed() -> None:
    shares = {"delayed": 0.1, "reordered": 0.2, "doubled": 0.3, "dropped": 0.1}
    runs = [[mishaps({}) for _ in range(3000)] for mishaps in (Mishaps(seed, **shares) for seed in (1, 1, 2))]
    assert runs[0] == runs[1] != runs[2]
    counts = Counter(runs[0])
    for fate, share in {**shares, "sent": 0.3}.items():
        assert abs(counts[Fate(fate)] / 3000 - share) < 0.04


@pytest.mark.parametrize("shares", [{"delayed": 1.1}, {"dropped": -0.1}, {"doubled": 0.6, "dropped": 0.6}])
def test_shares_that_are_none(shares: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Mishaps(1, **shares)


def test_nothing_befalls_them_unless_asked_for() -> None:
    assert {Mishaps(1)({}) for _ in range(100)} == {Fate.SENT}
