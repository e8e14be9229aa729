"""fastbridge.model.ledger: each model at its own price, for what was used of it."""

import json

import pytest

from fastbridge.model.ledger import Ledger
from fastbridge.model.usage import KINDS, Usage

PRICES = json.dumps(
    {"dear": dict.fromkeys(KINDS, 100.0), "cheap": dict.fromkeys(KINDS, 10.0), "by time": {"minute": 0.6}}
)


def used(tokens: int) -> Usage:
    return Usage(input_tokens=tokens, total_tokens=tokens, audio_in=tokens)


def test_one_model():
    ledger = Ledger("dear", PRICES)
    assert (ledger.source, ledger.usd(used(10_000), 7.0)) == ("setting", 1.0)
    assert ledger.entries(used(10_000), 7.04) == [{"model": "dear", "usd": 1.0, "tokens": 10_000, "seconds": 7.0}]


def test_each_is_reckoned_by_what_was_used_of_it():
    ledger = Ledger("dear", PRICES)
    usage = used(10_000)
    ledger.change("cheap", usage, 60.0)
    usage.add({"total_tokens": 5_000, "input_tokens": 5_000, "input_token_details": {"audio_tokens": 5_000}})
    assert ledger.usd(usage, 90.0) == pytest.approx(1.05)
    assert ledger.more_usd(used(1_000)) == 0.01
    assert [
        (entry["model"], entry["usd"], entry["tokens"], entry["seconds"]) for entry in ledger.entries(usage, 90.0)
    ] == [
        ("dear", 1.0, 10_000, 60.0),
        ("cheap", 0.05, 5_000, 30.0),
    ]


def test_by_the_minute():
    ledger = Ledger("by time", PRICES)
    ledger.change("by time", Usage(), 60.0)
    assert ledger.usd(Usage(), 90.0) == pytest.approx(0.9)
    assert ledger.more_usd(used(10**9), 5.0) == pytest.approx(0.05)


def test_what_has_no_price_has_no_cost():
    ledger = Ledger("dear", PRICES)
    ledger.change("nobody's", used(10_000), 0.0)
    assert ledger.usd(used(10_000), 0.0) is None
    assert ledger.more_usd(used(10_000)) == 0.0
    assert [entry["usd"] for entry in ledger.entries(used(10_000), 0.0)] == [1.0, None]
