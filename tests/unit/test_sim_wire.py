import json

import pytest

from fastbridge.sim import wire
from fastbridge.sim.wire import Event, Ids, Problem


def test_encode_is_compact_with_type_and_event_id_first() -> None:
    frame = wire.encode(Event("x.y", {"item_id": "item_1", "delta": "a b"}), "event_1")
    assert frame == '{"type":"x.y","event_id":"event_1","item_id":"item_1","delta":"a b"}'


def test_ids_have_the_length_of_the_service_and_never_repeat() -> None:
    ids = Ids("seed")
    made = [ids.new("item") for _ in range(500)]
    assert len(set(made)) == 500
    assert {len(each) for each in made} == {len("item_") + 21}
    assert all(each.removeprefix("item_").isalnum() for each in made)


def test_ids_are_reproducible_by_seed_and_differ_between_seeds() -> None:
    assert Ids("a").new("resp") == Ids("a").new("resp")
    assert Ids("a").new("resp") != Ids("b").new("resp")


@pytest.mark.parametrize("delta", ["", "Sure", "x" * 15, "x" * 16, "x" * 40])
def test_obfuscation_fills_whole_blocks(delta: str) -> None:
    payload = Ids("a").obfuscated(delta)
    assert list(payload) == ["delta", "obfuscation"]
    assert payload["obfuscation"]
    assert (len(delta) + len(payload["obfuscation"])) % 16 == 0


def test_error_names_the_client_event_and_keeps_key_order() -> None:
    event = wire.error(Problem("invalid_value", "No.", "item.id"), "mine")
    assert json.dumps(event.body["error"]) == json.dumps(
        {
            "type": "invalid_request_error",
            "code": "invalid_value",
            "message": "No.",
            "param": "item.id",
            "event_id": "mine",
        }
    )


def test_usage_adds_up() -> None:
    usage = wire.usage((3, 5), (7, 11))
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (8, 18, 26)
    assert usage["output_token_details"] == {"text_tokens": 7, "audio_tokens": 11}


def test_transcription_usage_by_tokens_and_by_duration() -> None:
    assert wire.transcription_usage(2.5, "", by_duration=True) == {"type": "duration", "seconds": 2.5}
    tokens = wire.transcription_usage(2.5, "12345678", by_duration=False)
    assert (tokens["input_tokens"], tokens["output_tokens"], tokens["total_tokens"]) == (25, 2, 27)


def test_rate_limits_never_go_below_zero() -> None:
    assert wire.rate_limits(100).body["rate_limits"][0]["remaining"] == 39_900
    spent = wire.rate_limits(99_999).body["rate_limits"][0]
    assert (spent["remaining"], spent["reset_seconds"]) == (0, 60.0)


@pytest.mark.parametrize(("text", "count"), [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2)])
def test_text_tokens(text: str, count: int) -> None:
    assert wire.text_tokens(text) == count
