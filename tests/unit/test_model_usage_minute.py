"""fastbridge.model.usage for a model that is billed by time, and for one that works behind it."""

import json

import pytest

from fastbridge.model.usage import KINDS, MINUTE, Usage, cost_usd, price_of


def test_a_price_by_the_minute_is_the_operators_own():
    assert price_of("gpt-live-1") == (None, None)
    given = json.dumps({"gpt-live-1": {MINUTE: 0.05}})
    assert price_of("gpt-live-1", given) == ({MINUTE: 0.05}, "setting")


@pytest.mark.parametrize(("seconds", "usd"), [(0, 0.0), (90, 0.075), (3600, 3.0)])
def test_is_for_the_time_alone(seconds, usd):
    assert cost_usd(Usage(total_tokens=500), {MINUTE: 0.05}, seconds) == usd


def test_time_costs_nothing_by_the_token():
    price = dict.fromkeys(KINDS, 1.0)
    assert cost_usd(Usage(text_in=100), price, 900) == cost_usd(Usage(text_in=100), price)


def test_tokens_of_who_works_behind_the_voice_are_text():
    usage = Usage()
    usage.add_work(
        {"input_tokens": 10, "output_tokens": 4, "total_tokens": 14, "input_tokens_details": {"cached_tokens": 3}}
    )
    usage.add_work({"input_tokens": "x", "input_tokens_details": None})
    assert (usage.text_in, usage.text_cached, usage.text_out, usage.total_tokens) == (10, 3, 4, 14)
    assert (usage.audio_in, usage.audio_out) == (0, 0)
