"""agent.remote: a call from any thread, at once on its own, in turn from another, and to nobody after its end."""

import asyncio
import threading
from typing import Any

import pytest

from fastbridge.agent.remote import Remote
from virtual import VirtualLoop


class Controls:
    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def hang_up(self) -> None:
        self.told.append(("hang_up", threading.get_ident()))

    def say(self, text: str) -> None:
        self.told.append(("say", text))

    def transfer(self, number: str) -> None:
        self.told.append(("transfer", number))

    can_call = True

    def call_for(self, number: str, brief: str) -> None:
        self.told.append(("call_for", number, brief))

    def destination(self, wanted: str) -> str | None:
        return "+14155550199" if wanted == "sales" else None


@pytest.fixture
def loop():
    loop = VirtualLoop()
    yield loop
    assert loop.failures == []
    loop.close()


@pytest.fixture
def controls():
    return Controls()


def test_on_the_calls_own_thread_it_is_done_at_once(controls, loop):
    remote = Remote()
    loop.do(remote.begin, controls)
    remote.hang_up()
    remote.say("Hello.")
    assert remote.transfer("sales") is True
    assert [what for what, _ in controls.told] == ["hang_up", "say", "transfer"]


def test_nobody_is_connected_to_a_stranger(controls, loop):
    assert Remote().transfer("+19005550100") is False
    assert controls.told == []


def test_from_another_thread_it_is_done_on_the_calls(controls, loop):
    remote = Remote()
    loop.do(remote.begin, controls)

    async def elsewhere() -> None:
        await asyncio.to_thread(remote.hang_up)
        await asyncio.sleep(0)

    loop.run_until_complete(elsewhere())
    assert controls.told == [("hang_up", threading.get_ident())]


@pytest.mark.parametrize("ends", ["before", "on the way"])
def test_after_the_end_nobody_is_told(controls, loop, ends):
    remote = Remote()
    loop.do(remote.begin, controls)

    async def elsewhere() -> None:
        if ends == "before":
            remote.close()
        await asyncio.to_thread(remote.hang_up)
        remote.close()
        await asyncio.sleep(0)

    if ends == "before":
        loop.run_until_complete(elsewhere())
        assert (remote.transfer("sales"), remote.say("x")) == (False, None)
    else:
        thread = threading.Thread(target=remote.hang_up)
        thread.start()
        thread.join()
        remote.close()
        loop.advance(0)
    assert controls.told == []


def test_not_even_when_the_loop_is_gone(controls):
    loop = VirtualLoop()
    remote = Remote()
    loop.do(remote.begin, controls)
    loop.close()
    thread = threading.Thread(target=remote.hang_up)
    thread.start()
    thread.join()
    assert controls.told == []


def test_somebody_is_called_first_where_there_is_a_brief(controls, loop):
    remote = Remote()
    loop.do(remote.begin, controls)
    assert remote.transfer("sales", "Dana.") is True
    assert remote.transfer("nobody", "Dana.") is False
    controls.can_call = False
    assert remote.transfer("sales", "Dana.") is False
    assert controls.told == [("call_for", "+14155550199", "Dana.")]


@pytest.mark.parametrize("brief", [None, "Dana."])
def test_of_two_threads_that_ask_at_once_one_is_served_and_the_other_is_told(controls, loop, brief):
    """Both have looked before either has done it, where looking is for anybody's thread."""
    remote, ours = Remote(), threading.get_ident()
    both = threading.Barrier(2)
    look = controls.destination

    def destination(wanted: str) -> str | None:
        found = None if controls.told else look(wanted)
        if threading.get_ident() != ours:
            both.wait(5)
        return found

    controls.destination = destination
    loop.do(remote.begin, controls)

    async def elsewhere() -> list[bool]:
        asked = [asyncio.to_thread(remote.transfer, "sales", brief) for _ in range(2)]
        return sorted(await asyncio.gather(*asked))

    assert loop.run_until_complete(elsewhere()) == [False, True]
    assert len(controls.told) == 1
