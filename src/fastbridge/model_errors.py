"""What the model's error codes mean: races that are no faults, and ends that no retry cures."""

from typing import Any

EXPECTED_ERRORS = frozenset(
    {
        "response_cancel_not_active",
        "conversation_already_has_active_response",
        "input_audio_buffer_commit_empty",
        "invalid_value",
        "unsupported_content_type",
        "item_truncate_invalid_item_id",
    }
)
"""Races between two machines, not faults: the model's state is what we wanted."""

FATAL_ERRORS = frozenset(
    {
        "insufficient_quota",
        "invalid_api_key",
        "account_deactivated",
        "billing_hard_limit_reached",
        "beta_api_shape_disabled",
        "session_expired",
    }
)

ALREADY_ACTIVE = "conversation_already_has_active_response"
ALREADY_ACTIVE_WORDS = "Conversation already has an active response"


def means_active(error: dict[str, Any]) -> bool:
    """A response is under way, so a create was refused. Some servers give no code, only the words."""
    code = error.get("code")
    return code == ALREADY_ACTIVE or (code is None and str(error.get("message")).startswith(ALREADY_ACTIVE_WORDS))
