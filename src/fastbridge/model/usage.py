"""Tokens of a call, and an estimate of what they cost.

Prices are US dollars for a million tokens, from OpenAI's model pages on the date below, or from FASTBRIDGE_PRICES. A
model without a price has no cost: None, never a guess. The transcription's tokens are counted, and not priced.
"""

import json
from dataclasses import dataclass
from typing import Any

from fastbridge.errors import ConfigError

MINUTE = "minute"
"""A session's, where it is billed by time."""
MAX_DOLLARS = 1e9
MAX_TOKENS = 10_000_000
"""Of one response, more than any model reads: what is no such number is no count."""
KINDS = ("text_in", "text_cached", "text_out", "audio_in", "audio_cached", "audio_out")
PRICES_DATE = "2026-11"
_REALTIME = {"text_in": 4.0, "text_cached": 0.4, "audio_in": 32.0, "audio_cached": 0.4, "audio_out": 64.0}
_MINI = {"text_in": 0.6, "text_cached": 0.06, "text_out": 2.4, "audio_in": 10.0, "audio_cached": 0.3, "audio_out": 20.0}
PRICES: dict[str, dict[str, float]] = {
    "gpt-realtime-2.1": _REALTIME | {"text_out": 24.0},
    "gpt-realtime-2": _REALTIME | {"text_out": 24.0},
    "gpt-realtime-1.5": _REALTIME | {"text_out": 16.0},
    "gpt-realtime": _REALTIME | {"text_out": 16.0},
    "gpt-realtime-2.1-mini": _MINI,
    "gpt-realtime-mini": _MINI,
}


@dataclass
class Usage:
    """Tokens, summed over the session's responses. Cached ones are part of the input; in and out are by kind, too."""

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    text_in: int = 0
    text_cached: int = 0
    text_out: int = 0
    audio_in: int = 0
    audio_cached: int = 0
    audio_out: int = 0
    transcription_tokens: int = 0

    def add(self, usage: dict[str, Any]) -> None:
        """The `usage` of a response. What is not a count is not counted."""
        for name in ("input_tokens", "output_tokens", "total_tokens"):
            self._count(name, usage.get(name))
        given, made = _part(usage, "input_token_details"), _part(usage, "output_token_details")
        cached = _part(given, "cached_tokens_details")
        for kind in ("text", "audio"):
            tokens = f"{kind}_tokens"
            self._count(f"{kind}_in", given.get(tokens))
            self._count(f"{kind}_cached", cached.get(tokens))
            self._count(f"{kind}_out", made.get(tokens))

    def add_work(self, usage: dict[str, Any]) -> None:
        """The `usage` of a model that works behind the one that speaks, in text."""
        for name in ("input_tokens", "output_tokens", "total_tokens"):
            self._count(name, usage.get(name))
        self._count("text_in", usage.get("input_tokens"))
        self._count("text_cached", _part(usage, "input_tokens_details").get("cached_tokens"))
        self._count("text_out", usage.get("output_tokens"))

    def add_transcription(self, usage: object) -> None:
        """The `usage` of a caller's transcript."""
        if isinstance(usage, dict):
            self._count("transcription_tokens", usage.get("total_tokens"))

    def less(self, before: "Usage") -> "Usage":
        """What has come since it was `before`."""
        return Usage(**{name: count - getattr(before, name) for name, count in vars(self).items()})

    def plus(self, other: "Usage") -> "Usage":
        """Both together."""
        return Usage(**{name: count + getattr(other, name) for name, count in vars(self).items()})

    def _count(self, name: str, count: object) -> None:
        if isinstance(count, int) and not isinstance(count, bool) and 0 <= count <= MAX_TOKENS:
            setattr(self, name, getattr(self, name) + count)


def cost_usd(usage: Usage, price: dict[str, float] | None, seconds: float = 0.0) -> float | None:
    """What these tokens, and seconds of a session, cost; None without a price. Cached input is billed as such, not as
    input. A price by the minute alone is the session's, whatever works behind it."""
    if price is not None and MINUTE in price:
        return round(price[MINUTE] * seconds / 60, 6)
    if price is None or (usage.total_tokens and not any(getattr(usage, kind) for kind in KINDS)):
        return None  # tokens of no known kind have no price either
    cost = 0.0
    for kind in ("text", "audio"):
        cached = min(getattr(usage, f"{kind}_cached"), getattr(usage, f"{kind}_in"))
        cost += (getattr(usage, f"{kind}_in") - cached) * price[f"{kind}_in"]
        cost += cached * price[f"{kind}_cached"] + getattr(usage, f"{kind}_out") * price[f"{kind}_out"]
    return round(cost / 1e6, 6)


def is_cheaper(price: dict[str, float], than: dict[str, float]) -> bool:
    """No kind of token is dearer, nor the minute, and something costs less."""
    return price.keys() == than.keys() and price != than and all(price[kind] <= than[kind] for kind in price)


def price_of(model: str, given: str = "") -> tuple[dict[str, float] | None, str | None]:
    """A model's price and where it is from: `setting`, or the table's date. A dated snapshot has its model's price.

    given: FASTBRIDGE_PRICES, a JSON object of models, each with all of KINDS, or with MINUTE alone. ConfigError, which
    says what is wrong, if it is anything else. Capital letters make no difference.
    """
    own, model = _parsed(given), model.lower()
    name = model if model in own or model in PRICES else _without_date(model)
    if name in own:
        return own[name], "setting"
    return (PRICES[name], PRICES_DATE) if name in PRICES else (None, None)


def _without_date(model: str) -> str:
    """`gpt-realtime-2025-08-28` is a snapshot of `gpt-realtime`."""
    parts = model.rsplit("-", 3)
    return parts[0] if len(parts) == 4 and all(part.isdigit() for part in parts[1:]) else model


def _parsed(given: str) -> dict[str, dict[str, float]]:
    if not given:
        return {}
    try:
        prices = json.loads(given)
    except (ValueError, RecursionError) as error:
        where = f" at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else ""
        raise _bad(f"it is no JSON{where}") from None
    if not isinstance(prices, dict):
        raise _bad("it is no object")
    return {model.lower(): _price(model, price) for model, price in prices.items()}


def _price(model: str, given: object) -> dict[str, float]:
    whose = f"that of {model[:80]!r}"
    if not isinstance(given, dict):
        raise _bad(f"{whose} is no object")
    if MINUTE in given and len(given) > 1:
        raise _bad(f"{whose} has a price for a {MINUTE} and others beside it: keep what the model is billed by")
    kinds = (MINUTE,) if MINUTE in given else KINDS
    for kind in given:
        if kind not in kinds:
            raise _bad(f"{whose} has {kind[:80]!r}, which nothing is billed by")
    for kind in kinds:
        if kind not in given:
            raise _bad(f"{whose} lacks {kind}")
        if not _are_dollars(given[kind]):
            raise _bad(f"{kind} in {whose} is no number of dollars")
    return {kind: float(given[kind]) for kind in kinds}


def _are_dollars(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_DOLLARS


def _bad(what: str) -> ConfigError:
    return ConfigError(
        "FASTBRIDGE_PRICES must be a JSON object of models, each with the dollars for a million tokens as "
        f"{', '.join(KINDS)}, or for a {MINUTE}: {what}."
    )


def _part(usage: dict[str, Any], name: str) -> dict[str, Any]:
    part = usage.get(name)
    return part if isinstance(part, dict) else {}
