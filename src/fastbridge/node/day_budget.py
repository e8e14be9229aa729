"""What may be spent in a day, by the node and by each business: whoever calls when it is spent hears that all is busy.

The records tell what other processes, and this one before it was started, have spent; they are asked every
LOOK_SECONDS, in a thread. Between two looks a process knows of the others' calls only what had ended by the last.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy.exc import SQLAlchemyError

from fastbridge.base.spending import DAY_SECONDS, Spending
from fastbridge.config import Settings
from fastbridge.observe import notices

LOOK_SECONDS = 30.0
MOST_LOOKS = 5
"""At once."""


class DayBudget:
    """spent(started_at): what calls that have begun since have cost, by business; blocks, raises SQLAlchemyError."""

    def __init__(
        self, settings: Settings, spent: Callable[[str], dict[str, float]], spending: Spending | None = None
    ) -> None:
        self.spending = spending or Spending()
        self._business_usd, self._day_usd = settings.business_budget_usd, settings.day_budget_usd
        self._spent = spent

    @property
    def wanted(self) -> bool:
        return bool(self._business_usd or self._day_usd)

    def is_spent(self, business_id: str) -> bool:
        """Or will be, by the goodbyes of the calls under way."""
        spending = self.spending
        if self._day_usd and spending.total() + spending.aside() >= self._day_usd:
            return True
        if not (self._business_usd and business_id):
            return False
        return spending.of(business_id) + spending.aside(business_id) >= self._business_usd

    async def watch(self) -> None:
        """For as long as the node lives."""
        while self.wanted:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        for _ in range(MOST_LOOKS):
            day, closings = self.spending.day, self.spending.closings
            midnight = datetime.fromtimestamp(day * DAY_SECONDS, UTC).isoformat(timespec="milliseconds")
            try:
                recorded = await asyncio.to_thread(self._spent, midnight)
            except SQLAlchemyError as error:
                notices.spending_unknown(error)
                return
            if self.spending.closings == closings:
                break  # else a call has ended of which the answer may, or may not, know
        self.spending.recorded(day, recorded)
