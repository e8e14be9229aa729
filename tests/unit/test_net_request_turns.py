"""fastbridge.net.request_turns: a few begin in a turn of the loop, the others in the next ones, in their order."""

import asyncio

from fastbridge.net.request_turns import PER_TURN, RequestTurns


def test_a_few_in_a_turn_and_the_rest_in_order():
    async def scene() -> None:
        turns, begun = RequestTurns(), []
        for number in range(3 * PER_TURN + 1):
            turns.take(lambda number=number: begun.append(number))
        assert begun == list(range(PER_TURN))
        assert turns.peak_waiting == 2 * PER_TURN + 1
        for turn in (2, 3):
            await asyncio.sleep(0)
            assert begun == list(range(turn * PER_TURN))
        await asyncio.sleep(0)
        assert begun == list(range(3 * PER_TURN + 1))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        turns.take(lambda: begun.append("at once"))
        assert begun[-1] == "at once"

    asyncio.run(scene())


def test_who_comes_while_others_wait_waits_behind_them():
    async def scene() -> None:
        turns, begun = RequestTurns(), []
        for number in range(PER_TURN + 2):
            turns.take(lambda number=number: begun.append(number))
        await asyncio.sleep(0)
        for number in range(PER_TURN):
            turns.take(lambda number=number: begun.append(PER_TURN + 2 + number))
        for _ in range(3):
            await asyncio.sleep(0)
        assert begun == list(range(2 * PER_TURN + 2))

    asyncio.run(scene())


def test_one_that_fails_does_not_keep_the_others():
    async def scene() -> None:
        failures: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context["exception"]))
        turns, begun = RequestTurns(), []
        for _ in range(PER_TURN):
            turns.take(lambda: None)
        turns.take(lambda: 1 / 0)
        turns.take(lambda: begun.append("behind"))
        for _ in range(3):
            await asyncio.sleep(0)
        assert begun == ["behind"]
        assert len(failures) == 1

    asyncio.run(scene())
