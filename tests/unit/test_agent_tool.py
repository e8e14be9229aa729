"""agent.tool: a function of the user's is run beside the audio, for as long as it may, with what it asks for."""

import asyncio
import functools
import json
import threading
from typing import Any

import pytest

from fastbridge.agent import CallContext as Context
from fastbridge.agent import Tool
from fastbridge.agent.definition import tool_from
from fastbridge.agent.schema import ArgumentError
from virtual import VirtualLoop, call_context


@pytest.fixture
def loop():
    loop = VirtualLoop()
    yield loop
    loop.close()


class TestCall:
    def run(self, loop: VirtualLoop, tool: Tool, **arguments: Any) -> Any:
        return loop.run_until_complete(tool.call(json.dumps(arguments), call_context()))

    def test_an_async_function(self, loop):
        async def double(number: int) -> int:
            return 2 * number

        assert self.run(loop, tool_from(double), number=4) == 8

    def test_a_plain_function_runs_in_a_thread(self, loop):
        def where() -> int:
            return threading.get_ident()

        assert self.run(loop, tool_from(where)) != threading.get_ident()

    def test_gets_the_context_where_it_asks_for_it(self, loop):
        def who(context: Context, greeting: str) -> str:
            return f"{greeting} {context.from_number}"

        assert self.run(loop, tool_from(who), greeting="Hi") == "Hi +14155550100"

    def test_the_model_cannot_give_the_context(self, loop):
        def who(context: Context) -> str:
            return context.from_number

        with pytest.raises(ArgumentError, match="context: there is no such argument"):
            self.run(loop, tool_from(who), context="forged")

    def test_takes_arguments_as_a_mapping_too(self, loop):
        async def double(number: int) -> int:
            return 2 * number

        assert loop.run_until_complete(tool_from(double).call({"number": 4}, call_context())) == 8

    def test_a_plain_function_around_an_async_one_is_awaited(self, loop):
        async def inner(number: int) -> int:
            await asyncio.sleep(1)
            return 2 * number

        def outer(number: int):
            return inner(number)

        class Callable:
            async def __call__(self, number: int) -> int:
                return await inner(number)

        for function in (outer, Callable(), functools.partial(inner)):
            assert self.run(loop, tool_from(function, name="double"), number=4) == 8

    def test_takes_no_longer_than_its_timeout(self, loop):
        async def slow() -> None:
            await asyncio.sleep(60)

        began = loop.time()
        with pytest.raises(TimeoutError):
            self.run(loop, tool_from(slow, timeout_seconds=3))
        assert loop.time() - began == pytest.approx(3)

    def test_takes_no_longer_in_a_thread_either(self, loop):
        finish = threading.Event()
        loop.threads_hold_time = False
        with pytest.raises(TimeoutError):
            self.run(loop, tool_from(lambda: finish.wait(10), timeout_seconds=3, name="slow"))
        finish.set()

    def test_a_plain_one_that_is_left_works_on_and_its_future_is_told(self, loop):
        finish, left = threading.Event(), []
        loop.threads_hold_time = False
        tool = tool_from(lambda: finish.wait(10), timeout_seconds=1, name="wait")
        task = loop.create_task(tool.call("{}", call_context(), left=left.append))
        loop.advance(1.1)
        assert isinstance(task.exception(), TimeoutError)
        (future,) = left
        assert not future.done()
        finish.set()
        assert future.result(10) is True

    def test_one_that_is_done_or_async_is_never_left(self, loop):
        async def hang() -> None:
            await asyncio.sleep(3600)

        left = []
        tool = tool_from(hang, timeout_seconds=1)
        task = loop.create_task(tool.call("{}", call_context(), left=left.append))
        loop.advance(1.1)
        assert isinstance(task.exception(), TimeoutError)
        quick = tool_from(lambda: 7, name="quick")
        assert loop.run_until_complete(quick.call("{}", call_context(), left=left.append)) == 7
        assert left == []
