"""The refusals of a GPT-Live session that depend on its state, and which of them a correct client can run into.

`immutable_field_update`, `invalid_audio`, `unknown_parameter` and `model_not_found` are codes of the service; the
others are not documented, and named after what the documentation says is refused.
"""

from base64 import b64decode

from .wire import Json, Problem

MAX_APPEND_TOKENS = 500
MAX_INSTRUCTIONS_TOKENS = 16_384
MAX_INPUT_TOKENS = 8_192
MAX_FIXTURE_MS = 30_000

NOT_JSON = Problem("invalid_event", "The event could not be parsed as JSON.")
NOT_STARTED = Problem("session_not_started", "Send session.start and wait for session.started before other commands.")
ALREADY_STARTED = Problem(
    "session_already_started", "The session has already started: session.start is the first command."
)
CLOSING = Problem("session_closing", "The session is closing and takes no further commands.")
NOT_BASE64 = Problem("invalid_audio", "Expected base64-encoded audio bytes.", "audio")
ODD_BYTES = Problem("invalid_audio", "PCM16 audio must contain an even number of bytes", "audio")
FIXTURE_TOO_LONG = Problem("invalid_audio", "An audio fixture may last at most 30 seconds.", "audio")
FIXTURE_ACTIVE = Problem(
    "fixture_active", "An audio fixture is being played: wait for session.output_audio.fixture.played."
)
DELEGATION_TYPE_IS_FIXED = Problem(
    "immutable_field_update", "The delegation type cannot change after session startup.", "session.delegation.type"
)
NO_ID_WITH_RESPONSES = Problem(
    "invalid_value", "Non-null delegation ids are not accepted with Responses delegation.", "delegation_id"
)
NOTHING_TO_ANSWER = Problem(
    "response_without_input", "There is no new item to respond to: send response.item.create before response.create."
)

_BENIGN = frozenset({"session_closing", "response_in_progress"})


def is_benign(problem: Problem) -> bool:
    """Whether a correct client can meet this refusal: it crossed something on the way."""
    return problem.code in _BENIGN


def needs_responses(kind: str) -> Problem:
    """A command of Responses delegation in a session without."""
    return Problem("invalid_request", f"{kind} requires Responses delegation.")


def needs_decisions(kind: str) -> Problem:
    """A command of Decisions in a session without."""
    return Problem("invalid_request", f"{kind} requires Decisions delegation or triggers.")


def unknown_delegation(delegation_id: str) -> Problem:
    """An append for a delegation that there never was."""
    return Problem("invalid_value", f"Delegation '{delegation_id}' not found.", "delegation_id")


def unknown_call(call_id: str) -> Problem:
    """An output for a call that nobody made."""
    return Problem(
        "invalid_tool_call_id", f"No tool call found for function call output with call_id {call_id}.", "item.call_id"
    )


def no_output(call_id: str) -> Problem:
    """A response is asked for, and a call has no output yet."""
    return Problem("missing_tool_output", f"No tool output found for function call {call_id}.")


def in_progress(response_id: str) -> Problem:
    """A response is asked for while another is being made."""
    return Problem("response_in_progress", f"A response is already in progress: {response_id}.")


def too_many_tokens(path: str, tokens: int, most: int) -> Problem:
    """A text over its limit."""
    message = f"Invalid '{path}': expected at most {most} tokens, but got {tokens}."
    return Problem("string_above_max_length", message, path)


def unknown_model(model: str) -> Problem:
    """A model that does not speak this dialect."""
    return Problem("model_not_found", f"The model '{model}' does not exist or is not a Live model.", "session.model")


def not_simulated(path: str) -> Problem:
    """What the service does and the simulator does not."""
    return Problem("not_simulated", f"The simulator does not do this: '{path}'.", path)


def decoded(text: str, encoding: Json) -> bytes | Problem:
    """The client's audio, or why it is refused."""
    try:
        audio = b64decode(text, validate=True)
    except ValueError:
        return NOT_BASE64
    return ODD_BYTES if encoding["type"] == "audio/pcm" and len(audio) % 2 else audio
