"""fastbridge.masking.patterns: an operator's own patterns, and that none of them can stop the node."""

import builtins
import json
import time

import pytest

from fastbridge.config import Settings, load_settings
from fastbridge.errors import ConfigError
from fastbridge.masking.patterns import MAX_PATTERN_CHARS, MAX_PATTERNS, mask_of

CARD = "4242 4242 4242 4242"
POLICY = '{"policy": "POL-[0-9]{4}", "מרפאה": "מר[0-9]+"}'


def mask(patterns="", kinds="all"):
    return mask_of(load_settings(mask_patterns=patterns, mask=kinds))


def complaint(patterns):
    with pytest.raises(ConfigError) as caught:
        load_settings(mask_patterns=patterns)
    return str(caught.value)


def test_by_default_the_built_in_alone():
    assert mask()(f"{CARD}; POL-1234; 123456782") == "[card …4242]; POL-1234; [id]"
    assert mask_of(Settings.model_construct())(CARD) == "[card …4242]"


@pytest.mark.parametrize(
    ("kinds", "shown"),
    [
        ("all", "[card …4242]; [policy]; [id]"),
        ("cards", "[card …4242]; [policy]; 123456782"),
        ("identities", f"{CARD}; [policy]; [id]"),
        ("none", f"{CARD}; [policy]; 123456782"),
    ],
)
def test_what_is_masked_is_chosen(kinds, shown):
    assert mask(POLICY, kinds)(f"{CARD}; POL-1234; 123456782") == shown
    assert mask(POLICY, kinds).written(f"{CARD}; POL-1234; 123456782") == shown


def test_they_find_words_of_any_language_and_half_a_character_too():
    assert mask(POLICY)("שלום מר17, POL-1234\ud800 POL-5678") == "שלום [מרפאה], [policy]? [policy]"


@pytest.mark.parametrize(
    "patterns",
    [
        "POL-[0-9]+",
        '["POL-[0-9]+"]',
        '{"policy": 7}',
        '{"": "x"}',
        '{"1": "x"}',
        '{"a]\\n": "x"}',
        json.dumps({f"p{number}": "x" for number in range(MAX_PATTERNS + 1)}),
        json.dumps({"long": "x" * (MAX_PATTERN_CHARS + 1)}),
    ],
)
def test_what_is_no_object_of_patterns(patterns):
    must_be = 'must be a JSON object of up to 20 names and patterns such as {"policy": "POL-[0-9]{8}"}, not '
    assert complaint(patterns).startswith(f"FASTBRIDGE_MASK_PATTERNS {must_be}")


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("(", "FASTBRIDGE_MASK_PATTERNS: the pattern of 'policy' is none of RE2's (missing ): (): mend it."),
        (r"(a)\1", r"FASTBRIDGE_MASK_PATTERNS: the pattern of 'policy' is none of RE2's (invalid escape sequence: \1)"),
        ("(?=a)", "FASTBRIDGE_MASK_PATTERNS: the pattern of 'policy' is none of RE2's (invalid perl operator: (?=)"),
        ("\ud800", "FASTBRIDGE_MASK_PATTERNS: the pattern of 'policy' is none of RE2's (it is no text): mend it."),
        ("x*", "FASTBRIDGE_MASK_PATTERNS: the pattern of 'policy' finds nothing, too: let it ask for a character."),
    ],
)
def test_a_pattern_that_cannot_be_used_is_one_sentence(pattern, sentence, capfd):
    assert complaint(json.dumps({"policy": pattern})).startswith(sentence)
    assert capfd.readouterr().err == ""


def test_without_the_library_it_says_how_to_get_it(monkeypatch):
    real = builtins.__import__
    monkeypatch.setattr(
        builtins, "__import__", lambda name, *rest: real(name, *rest) if name != "re2" else real("no_such_module")
    )
    assert complaint(POLICY) == 'FASTBRIDGE_MASK_PATTERNS needs google-re2: pip install "fastbridge[patterns]".'
    assert load_settings().mask_patterns == ""


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "a*a*a*a*a*$", "(.*a){20}$", "(a?){300}a{300}$"])
def test_no_pattern_can_stop_the_loop(pattern):
    """Each of these is minutes, or years, where an expression may go back."""
    if pattern == "a*a*a*a*a*$":
        pattern = "a" + pattern
    masked = mask(json.dumps({"p": pattern}))
    began = time.perf_counter()
    masked("a" * 20_000 + "b")
    assert time.perf_counter() - began < 2
