"""Tokens and what they cost."""

import json

import pytest

from fastbridge.errors import ConfigError
from fastbridge.model.usage import KINDS, MAX_TOKENS, MINUTE, PRICES, PRICES_DATE, Usage, cost_usd, is_cheaper, price_of

DONE = {
    "total_tokens": 320,
    "input_tokens": 132,
    "output_tokens": 188,
    "input_token_details": {
        "text_tokens": 59,
        "audio_tokens": 73,
        "cached_tokens": 64,
        "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 64},
    },
    "output_token_details": {"text_tokens": 41, "audio_tokens": 147},
}
PRICE = dict(zip(KINDS, (4.0, 0.4, 24.0, 32.0, 0.4, 64.0), strict=True))


def test_responses_are_summed_by_kind():
    usage = Usage()
    usage.add(DONE)
    usage.add(DONE)
    usage.add_transcription({"type": "tokens", "total_tokens": 26})
    assert vars(usage) == {
        "input_tokens": 264, "output_tokens": 376, "total_tokens": 640,
        "text_in": 118, "text_cached": 0, "text_out": 82, "audio_in": 146, "audio_cached": 128, "audio_out": 294,
        "transcription_tokens": 26,
    }  # fmt: skip


@pytest.mark.parametrize(
    "usage",
    [
        {},
        {"input_tokens": "9", "output_tokens": -1, "total_tokens": True},
        {"input_tokens": 1 << 50, "input_token_details": [], "output_token_details": {"text_tokens": None}},
        {"input_token_details": {"cached_tokens_details": "x", "text_tokens": 1.5}},
    ],
)
def test_what_is_no_count_is_not_counted(usage):
    counted = Usage()
    counted.add(usage)
    counted.add_transcription(usage.get("input_token_details", "x"))
    assert counted == Usage()


def test_the_cost_bills_cached_input_as_such():
    usage = Usage()
    usage.add(DONE)
    by_hand = 59 * 4 + 41 * 24 + (73 - 64) * 32 + 64 * 0.4 + 147 * 64
    assert cost_usd(usage, PRICE) == pytest.approx(by_hand / 1e6, abs=1e-6)
    assert cost_usd(Usage(), PRICE) == 0
    assert cost_usd(usage, None) is None


def test_more_cached_than_there_were_is_no_gain():
    assert cost_usd(Usage(text_in=10, text_cached=100), PRICE) == pytest.approx(10 * 0.4 / 1e6, abs=1e-6)


def test_tokens_of_no_known_kind_have_no_price():
    assert cost_usd(Usage(total_tokens=100), PRICE) is None


@pytest.mark.parametrize("model", PRICES)
def test_every_price_of_the_table_is_whole(model):
    price, source = price_of(model)
    assert set(price) == set(KINDS)
    assert price["text_cached"] < price["text_in"] < price["text_out"] < price["audio_out"]
    assert source == PRICES_DATE


@pytest.mark.parametrize(
    ("model", "like"),
    [
        ("gpt-realtime-2025-08-28", "gpt-realtime"),
        ("gpt-realtime-mini-2025-10-06", "gpt-realtime-mini"),
        ("gpt-realtime-9", None),
        ("my-model", None),
        ("2025-08-28", None),
    ],
)
def test_a_snapshot_costs_what_its_model_does_and_an_unknown_one_nobody_knows(model, like):
    assert price_of(model)[0] == (PRICES[like] if like else None)


def test_the_operators_prices_come_first():
    given = json.dumps({"gpt-realtime-2.1": dict.fromkeys(KINDS, 1), "mine": dict.fromkeys(KINDS, 2)})
    assert price_of("gpt-realtime-2.1", given) == (dict.fromkeys(KINDS, 1.0), "setting")
    assert price_of("mine-2026-01-01", given) == (dict.fromkeys(KINDS, 2.0), "setting")
    assert price_of("gpt-realtime", given)[1] == PRICES_DATE


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ("x", "it is no JSON at character 1"),
        ('{"m": {"minute": 1}', "it is no JSON at character 20"),
        ("[]x", "it is no JSON at character 3"),
        ("[" * 100_000, "it is no JSON"),
        ("1", "it is no object"),
        ("[]", "it is no object"),
        ('{"m": 1}', "that of 'm' is no object"),
        ('{"m": null}', "that of 'm' is no object"),
        ('{"m": {}}', "that of 'm' lacks text_in"),
        ('{"m": {"text_in": 1}}', "that of 'm' lacks text_cached"),
        ('{"m": {"minutes": 1}}', "that of 'm' has 'minutes', which nothing is billed by"),
        ('{"m": {"minute": "1"}}', "minute in that of 'm' is no number of dollars"),
        (
            json.dumps({"m": {**PRICE, MINUTE: 0.05}}),
            "that of 'm' has a price for a minute and others beside it: keep what the model is billed by",
        ),
        *(
            (json.dumps({"m": dict.fromkeys(KINDS, bad)}), "text_in in that of 'm' is no number of dollars")
            for bad in (-1, "1", True, None, float("nan"), float("inf"), 1e300)
        ),
    ],
)
def test_a_bad_price_list_is_said_in_a_sentence(given, what):
    with pytest.raises(ConfigError) as caught:
        price_of("gpt-realtime", given)
    assert str(caught.value) == (
        "FASTBRIDGE_PRICES must be a JSON object of models, each with the dollars for a million tokens as text_in, "
        f"text_cached, text_out, audio_in, audio_cached, audio_out, or for a minute: {what}."
    )


def test_capital_letters_make_no_other_model():
    assert price_of("GPT-Realtime-2.1") == price_of("gpt-realtime-2.1")
    assert price_of("gpt-live-1", '{"GPT-Live-1": {"minute": 1}}') == ({MINUTE: 1.0}, "setting")


def test_what_is_cheaper():
    dear, mini, minute = PRICES["gpt-realtime-2.1"], PRICES["gpt-realtime-mini"], {MINUTE: 0.05}
    assert is_cheaper(mini, dear)
    assert is_cheaper({MINUTE: 0.02}, minute)
    assert not any(is_cheaper(*pair) for pair in ((dear, mini), (dear, dear), (minute, dear), (mini, minute)))
    assert not is_cheaper({**mini, "text_out": 100.0}, dear), "in every kind"


def test_of_one_response_there_are_so_many_tokens_and_no_more():
    usage = Usage()
    usage.add({"total_tokens": MAX_TOKENS + 1, "input_tokens": MAX_TOKENS})
    assert (usage.total_tokens, usage.input_tokens) == (0, MAX_TOKENS)


def test_what_has_come_since():
    assert Usage(text_in=7, total_tokens=9).plus(Usage(text_in=2)) == Usage(text_in=9, total_tokens=9)
    assert Usage(text_in=7, total_tokens=9).less(Usage(text_in=2, total_tokens=2)) == Usage(text_in=5, total_tokens=7)
