import pytest

from fastbridge.sim import refusals
from fastbridge.sim.wire import Problem


@pytest.mark.parametrize(
    ("problem", "event_type", "benign"),
    [
        (refusals.NOT_ACTIVE, "response.cancel", True),
        (refusals.already_active("resp_1"), "response.create", True),
        (refusals.buffer_too_small(0, 100), "input_audio_buffer.commit", True),
        (Problem("invalid_value", ""), "conversation.item.truncate", True),
        (Problem("unsupported_content_type", ""), "conversation.item.truncate", True),
        (Problem("item_truncate_invalid_item_id", ""), "conversation.item.truncate", False),
        (Problem("invalid_value", ""), "session.update", False),
        (refusals.VOICE_IS_FIXED, "session.update", False),
        (refusals.NOT_JSON, "session", False),
    ],
)
def test_only_what_can_cross_on_the_way_is_benign(problem: Problem, event_type: str, benign: bool) -> None:
    assert refusals.is_benign(problem, event_type) is benign


def test_messages_are_those_that_clients_match_on() -> None:
    assert refusals.NOT_ACTIVE.message == "Cancellation failed: no active response found"
    assert "in progress: resp_1. Wait until" in refusals.already_active("resp_1").message
    assert "at least 100ms of audio, but buffer only has 0.00ms" in refusals.buffer_too_small(0, 100).message
