"""What one call costs: what was used of each of its models, one after the other, at its own price.

Tokens and seconds are the call's, all told; here is written down how much of them there was when the model changed.
Decides nothing, and reads no clock.
"""

from typing import Any

from fastbridge.model.usage import Usage, cost_usd, price_of


class Ledger:
    """prices: FASTBRIDGE_PRICES. usage, seconds: of the whole call so far, of whichever model."""

    def __init__(self, model: str, prices: str = "") -> None:
        self.model = model
        self.source = price_of(model, prices)[1]
        """Where the first model's price is from."""
        self._prices = prices
        self._price = price_of(model, prices)[0]
        self._before: list[dict[str, Any]] = []
        self._usage_then, self._seconds_then = Usage(), 0.0

    def change(self, model: str, usage: Usage, seconds: float) -> None:
        """From here on it is this one that is used."""
        self._before.append(self._entry(usage, seconds))
        self._usage_then, self._seconds_then = Usage(**vars(usage)), seconds
        self.model, self._price = model, price_of(model, self._prices)[0]

    def usd(self, usage: Usage, seconds: float) -> float | None:
        """What all of it costs; None where a model that was used has no price."""
        costs = [entry["usd"] for entry in self.entries(usage, seconds)]
        known = [usd for usd in costs if usd is not None]
        return round(sum(known), 6) if len(known) == len(costs) else None

    def more_usd(self, usage: Usage, seconds: float = 0.0) -> float:
        """What so much more would cost, of the model in use; 0 where it has no price."""
        return cost_usd(usage, self._price, seconds) or 0.0

    def entries(self, usage: Usage, seconds: float) -> list[dict[str, Any]]:
        """Each model in its turn: `model`, `usd`, `tokens`, `seconds`."""
        return [*self._before, self._entry(usage, seconds)]

    def _entry(self, usage: Usage, seconds: float) -> dict[str, Any]:
        used, lasted = usage.less(self._usage_then), seconds - self._seconds_then
        usd = cost_usd(used, self._price, lasted)
        return {"model": self.model, "usd": usd, "tokens": used.total_tokens, "seconds": round(lasted, 1)}
