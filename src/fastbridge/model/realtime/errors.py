"""What the model says of errors, read: in its `error` events, its failed responses, transcriptions and connections.

Pure. Fields may be missing, null or anything else: what is no text is nothing. Which errors are races, and which end a
session, is said here; what is done about them is not.
"""

from typing import Any

from fastbridge.base.json_text import object_of
from fastbridge.errors import ModelError
from fastbridge.model.errors import FATAL_ERRORS, NO_KIND, model_error, name_of, read_error, refusal

__all__ = [
    "EXPECTED_ERRORS",
    "FATAL_ERRORS",
    "NO_KIND",
    "means_active",
    "model_error",
    "read_error",
    "refusal",
    "response_error",
]

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

ALREADY_ACTIVE = "conversation_already_has_active_response"
ALREADY_ACTIVE_WORDS = "Conversation already has an active response"


def response_error(response: dict[str, Any]) -> ModelError | None:
    """Why a response came to no good end, as far as the model says; None where it says nothing, and has not failed."""
    details, failed = object_of(response.get("status_details")), response.get("status") == "failed"
    error = read_error(details.get("error"), "a response failed" if failed else "a response was cut short")
    error.code = error.code or name_of(details.get("reason")) or None
    return error if failed or error.code else None


def means_active(error: ModelError) -> bool:
    """A create of ours met a response already active. Some servers give no code, only the words."""
    return error.code == ALREADY_ACTIVE or (error.code is None and error.words.startswith(ALREADY_ACTIVE_WORDS))
