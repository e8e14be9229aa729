"""The refusals that depend on the state of a session, and which of them a correct client can run into.

Client and service act at the same time, so some refusals mean only that two events crossed; the others are mistakes
of the client. Wording and codes are the service's own.
"""

from .wire import Problem

BETA_DISABLED = Problem(
    "beta_api_shape_disabled",
    "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API.",
)
EXPIRED = Problem("session_expired", "Your session hit the maximum duration of 60 minutes.")
NOT_JSON = Problem("invalid_event", "The event could not be parsed as JSON.")
NOT_BASE64 = Problem(
    "invalid_value", "Invalid 'audio'. Expected base64-encoded audio bytes but got an invalid value.", "audio"
)
NOT_ACTIVE = Problem("response_cancel_not_active", "Cancellation failed: no active response found")
VOICE_IS_FIXED = Problem("cannot_update_voice", "Cannot update a conversation's voice if assistant audio is present.")

EARLY_AUDIO = "input_audio_buffer.append before session.updated: the format was not agreed yet"
"""A mistake the service does not report: it takes such audio, and takes it for something else."""

_BENIGN = frozenset(
    {"response_cancel_not_active", "conversation_already_has_active_response", "input_audio_buffer_commit_empty"}
)
_BENIGN_FOR_TRUNCATE = frozenset({"invalid_value", "unsupported_content_type"})


def is_benign(problem: Problem, event_type: str) -> bool:
    """Whether a correct client can meet this refusal: it crossed something on the way."""
    if event_type == "conversation.item.truncate" and problem.code in _BENIGN_FOR_TRUNCATE:
        return True
    return problem.code in _BENIGN


def already_active(response_id: str) -> Problem:
    """A second response for the conversation while this one is being made."""
    return Problem(
        "conversation_already_has_active_response",
        f"Conversation already has an active response in progress: {response_id}. "
        "Wait until the response is finished before creating a new one.",
    )


def buffer_too_small(pending_ms: float, needed_ms: int) -> Problem:
    """A commit with hardly anything to commit."""
    return Problem(
        "input_audio_buffer_commit_empty",
        f"Error committing input audio buffer: buffer too small. Expected at least {needed_ms}ms of audio, "
        f"but buffer only has {pending_ms:.2f}ms of audio.",
    )
