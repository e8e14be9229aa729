"""Tools at the end of a call: what was still at work, and who has the caller now."""

import asyncio
import json
import threading
import time
from typing import Any

import pytest

from fastbridge.agent import Agent
from virtual import Rig

SECOND = bytes(8000)


class Control:
    """A carrier's API that does what it is asked."""

    async def hang_up(self, account_sid: str, call_sid: str) -> bool:
        return True

    async def connect(self, account_sid: str, call_sid: str, number: str) -> bool:
        return True


@pytest.fixture
def log(caplog):
    caplog.set_level("INFO", "fastbridge.events")
    return lambda: [record.getMessage().partition(", call_sid")[0] for record in caplog.records]


class TestAToolAtWork:
    @pytest.fixture
    def agent(self):
        agent = Agent()
        self.ended: list[dict[str, Any]] = []
        self.finish = threading.Event()
        agent.on_end(self.ended.append)

        @agent.tool
        async def look() -> None:
            await asyncio.sleep(5)

        @agent.tool(timeout_seconds=60)
        def book(day: str) -> str:
            assert self.finish.wait(10)
            return f"Booked for {day}, 0501234567"

        return agent

    @pytest.fixture
    def rig(self, agent):
        rig = Rig(agent)
        rig.loop.threads_hold_time = False
        yield rig
        self.finish.set()
        rig.shut()

    def hang_up(self, rig, *tools):
        rig.up().begin("resp_1")
        for number, tool in enumerate(tools):
            rig.tool_call(f"call_{number}", tool, '{"day": "Monday"}' if tool == "book" else "{}")
        rig.done("resp_1")
        rig.advance(3)
        rig.carrier({"event": "stop"})
        rig.loop.threads_hold_time = True  # the hook's
        rig.loop.advance(0)

    def test_is_in_the_record_in_the_log_and_known_to_the_hook(self, rig, log):
        self.hang_up(rig, "look", "book")
        tools = [{"name": name, "outcome": "abandoned", "elapsed_ms": 3000} for name in ("look", "book")]
        assert rig.call.document["tools"] == tools
        assert [record["tools"] for record in self.ended] == [tools]
        assert [line for line in log() if "abandoned" in line] == [
            f"[TOOL_RESULT] abandoned: the call is over, tool={name}, elapsed_ms=3000" for name in ("look", "book")
        ]
        assert log()[-1].startswith("[CALL_END]")

    def test_one_that_ends_later_is_told_with_its_result_although_the_call_is_gone(self, rig, log):
        told: list[tuple[str, Any]] = []
        rig.call.late_tools._told = lambda *what: told.append(what)
        self.hang_up(rig, "book")
        self.finish.set()
        end = time.monotonic() + 10
        while not told:
            assert time.monotonic() < end
            rig.loop.advance(0.001)
        ((outcome, document),) = told
        (tool,) = document["tools"]
        late = tool["done_late"]
        assert (outcome, tool["outcome"], late["outcome"]) == ("ok", "abandoned", "ok")
        assert late["result"] == "Booked for Monday, 0501234567"
        assert document["call_sid"] == rig.call.document["call_sid"]
        assert "done_late" not in rig.call.document["tools"][0]  # it may be on its way to the disk
        assert log()[-1].startswith("[TOOL_RESULT] done late: Booked for Monday, 05012****67, tool=book, outcome=ok")

    def test_one_that_is_done_is_not_abandoned(self, rig, log):
        self.finish.set()
        rig.loop.threads_hold_time = True
        self.hang_up(rig, "book")
        assert [tool["outcome"] for tool in rig.call.document["tools"]] == ["ok"]
        assert "[TOOL_RESULT] Booked for Monday, 05012****67, tool=book, outcome=ok, elapsed_ms=0" in log()


class TestTransferred:
    def transferred(self, transfer_to: dict[str, str], wanted: str) -> Rig:
        rig = Rig(Agent(transfer_to=transfer_to))
        rig.call.hangup._control = Control()
        rig.up().begin("resp_1", "item_1")
        rig.delta(SECOND, "resp_1", "item_1")
        rig.tool_call("call_1", "transfer_call", json.dumps({"destination": wanted}))
        rig.done("resp_1")
        rig.advance(3)
        assert rig.call.end_reason == "transferred"
        rig.shut()
        return rig

    @pytest.mark.parametrize("wanted", ["reception", "+14155550188"])
    def test_to_whom_by_name(self, wanted, log):
        rig = self.transferred({"sales": "+14155550177", "reception": "+14155550188"}, wanted)
        assert rig.call.document["transferred_to"] == "reception"
        assert "[HANGUP] transfer by REST, reason=transferred, to=reception" in log()
        assert log()[-1] == "[CALL_END] duration=1s, reason=transferred, to=reception"
        assert "4155550188" not in json.dumps(rig.call.document)
        assert not any("4155550188" in line for line in log())

    def test_a_name_that_is_a_number_is_masked(self, log):
        rig = self.transferred({"+14155550188": "+14155550188"}, "+14155550188")
        assert rig.call.document["transferred_to"] == "+1415****88"
        assert not any("4155550188" in line for line in log())

    def test_the_operators_own_number_has_no_name(self):
        rig = Rig()
        rig.call.hangup._control = Control()
        rig.started()
        assert rig.loop.run_until_complete(rig.call.hangup.transfer_now("+14155550199"))
        assert rig.call.document["transferred_to"] == "fallback"
        rig.shut()

    def test_a_call_that_ended_otherwise_was_not_transferred(self, log):
        rig = Rig(Agent(transfer_to={"reception": "+14155550188"})).up()
        rig.do(rig.call.close, "customer_hangup")
        assert rig.call.document["transferred_to"] is None
        assert log()[-1] == "[CALL_END] duration=0s, reason=customer_hangup"
        rig.shut()
