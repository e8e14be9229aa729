"""What the log says of what calls cost."""

import asyncio
import json
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from fastbridge.config import load_settings
from fastbridge.node.day_budget import DayBudget
from virtual import Rig


def budgets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A call that costs what it may, and records that cannot be read."""
    rig = Rig(call_budget_tokens=1000).up()
    for number, tokens in enumerate((700, 300), 1):
        rig.begin(f"resp_{number}")
        rig.done(f"resp_{number}", usage={"total_tokens": tokens, "output_tokens": tokens})
    rig.advance(10)
    assert rig.call.end_reason == "budget"
    rig.shut()

    def away(since: str) -> dict[str, float]:
        raise OperationalError("x", {}, Exception())

    rig = Rig(call_budget_usd=0.75, budget_model="gpt-realtime-mini", silence_seconds=0).up()
    rig.begin("resp_1", "item_1")
    rig.delta(bytes(range(160)) * 2, "resp_1", "item_1")
    spent = {"total_tokens": 10_000, "output_tokens": 10_000, "output_token_details": {"audio_tokens": 10_000}}
    rig.done("resp_1", usage=spent)
    rig.advance(0.2)
    link = rig.connect()
    assert link is rig.model_link
    audio = {side: {"format": {"type": "audio/pcmu"}} for side in ("input", "output")}
    for event in (
        {"type": "session.created", "session": {"id": "sess_2"}},
        {"type": "session.updated", "session": {"audio": audio}},
    ):
        rig.do(rig.attempt.feed_message, json.dumps(event).encode())
    rig.echo_marks()
    rig.advance(0.5)
    rig.shut()

    asyncio.run(DayBudget(load_settings(dev=True), away).look())
