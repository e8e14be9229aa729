"""A call whose budget is nearly spent goes on with a cheaper model: a real node, and the simulated service."""

import asyncio
import json
from typing import Any

import pytest

from fastbridge.sim import (
    AfterAssistant,
    HangUp,
    ModelServer,
    NodeProcess,
    Say,
    Scenario,
    SimulatedCaller,
    Speak,
)

HELLO = Say("Hello, how can I help?")
ANSWERS = [Say(f"Yes, that is answer {number}.") for number in range(6)]
DEAR, MINI = "gpt-realtime-2.1", "gpt-realtime-2.1-mini"
NOTHING = dict.fromkeys(("text_in", "text_cached", "text_out", "audio_in", "audio_cached"), 0)
REALTIME = {
    "FASTBRIDGE_MODEL": DEAR,
    "FASTBRIDGE_BUDGET_MODEL": MINI,
    "FASTBRIDGE_CALL_BUDGET_USD": "0.02",
    "FASTBRIDGE_PRICES": json.dumps({DEAR: {**NOTHING, "audio_out": 64}, MINI: {**NOTHING, "audio_out": 6.4}}),
}
LIVE = {
    "FASTBRIDGE_MODEL": "gpt-live-1",
    "FASTBRIDGE_BUDGET_MODEL": "gpt-live-mini",
    "FASTBRIDGE_CALL_BUDGET_USD": "4.5",
    "FASTBRIDGE_PRICES": json.dumps({"gpt-live-1": {"minute": 6}, "gpt-live-mini": {"minute": 0.1}}),
}
"""The goodbye is set aside, as 9 s: there is room for two answers between four fifths and all of it."""


async def held(settings: dict[str, str]) -> dict[str, Any]:
    script = [*(Speak("caller_appointment") for _ in ANSWERS), HangUp(AfterAssistant(1500))]
    async with (
        ModelServer(Scenario(greeting=HELLO, turns=ANSWERS)) as model,
        NodeProcess(model.base_url, settings={"FASTBRIDGE_SILENCE_SECONDS": "0", **settings}) as node,
    ):
        caller = SimulatedCaller(
            node.url, script, auth_token=node.auth_token, account_sid=node.account_sid, limit_seconds=90
        )
        report = await caller.call()
        record = await node.record(report.call_sid)
    assert model.errors == []
    assert report.errors == []
    assert record is not None
    return record


@pytest.mark.parametrize("settings", [REALTIME, LIVE], ids=["realtime", "live"])
def test_it_goes_on_with_it_and_each_is_paid_at_its_price(settings):
    record = asyncio.run(held(settings))
    assert record["model_line"].get("renewals") == 1, record["cost"]
    cost = record["cost"]
    first, second = cost["models"]
    assert (first["model"], second["model"]) == (settings["FASTBRIDGE_MODEL"], settings["FASTBRIDGE_BUDGET_MODEL"])
    assert cost["usd"] == pytest.approx(first["usd"] + second["usd"], abs=2e-6)
    assert first["tokens"] + second["tokens"] == record["tokens"]["total_tokens"]
    assert (first["usd"] > 0, second["usd"] > 0, cost["capped_by"]) == (True, True, None)
    said = [turn["text"] for turn in record["turns"] if turn["role"] == "assistant"]
    assert len(said) == 1 + len(ANSWERS), "each turn is answered, once"  # by a script that begins anew in a new session
