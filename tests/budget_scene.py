"""What the log says of what calls cost."""

import asyncio
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

    asyncio.run(DayBudget(load_settings(dev=True), away).look())
