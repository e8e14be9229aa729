"""What the model says of errors, read: in its events, and where it refuses a connection. For every dialect.

Pure. Fields may be missing, null or anything else: what is no text is nothing. Which errors end a session is said here;
what is done about them is not.
"""

import re

from fastbridge.base.json_text import object_of, parse_event, text_of
from fastbridge.errors import ModelError, ModelUnavailable

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

_RETRIED_STATUSES = frozenset({"http_408", "http_409", "http_425", "http_429"})
_BUSY_CODES = frozenset({"http_429", "rate_limit_exceeded", "inference_rate_limit_exceeded", "server_error"})
_HOPELESS = (FATAL_ERRORS - {"session_expired"}) | {"format_mismatch"}

NO_KIND = "error"
_NAME = re.compile(r"[A-Za-z0-9_.\[\]-]{1,80}")


def read_error(error: object, message: str = "") -> ModelError:
    """`{type, code, message, param}` as an error of ours; a bare text is its words. message: ours, for what failed."""
    given = {"message": error} if isinstance(error, str) else object_of(error)
    return ModelError(
        message,
        name_of(given.get("code")) or None,
        name_of(given.get("type")) or NO_KIND,
        param=name_of(given.get("param")),
        words=text_of(given.get("message")),
    )


def name_of(value: object) -> str:
    """A code, a type or a parameter, if it looks like one: a name is no place for words."""
    text = text_of(value)
    return text if _NAME.fullmatch(text) else ""


def model_error(error: Exception) -> ModelError:
    """What stopped the connection, in words for the log and a code for the record."""
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    kind = type(error).__name__
    if isinstance(error, TimeoutError):
        return ModelUnavailable("OpenAI did not answer in time", "connect_timeout", kind)
    if status is not None:
        return refusal(status, getattr(response, "body", None))
    return ModelUnavailable(f"OpenAI cannot be reached: {kind}: {error}", "connect_failed", kind)


def refusal(status: int, body: object) -> ModelError:
    """A refused connection: the model's own words where its answer has some, and its code where no retry cures it."""
    document = parse_event(bytes(body)) if isinstance(body, bytes | bytearray) else None
    said = read_error((document or {}).get("error"))
    code = said.code if said.code in FATAL_ERRORS else f"http_{status}"
    message = f"OpenAI refused the connection with HTTP {status}"
    return ModelUnavailable(message, code, said.kind, words=said.words)


def is_hopeless(error: ModelError) -> bool:
    """No retry can cure it: our key, our account, our settings."""
    code = error.code or ""
    return code in _HOPELESS or (code.startswith("http_4") and code not in _RETRIED_STATUSES)


def is_busy(error: ModelError) -> bool:
    """The service is there, and has no time."""
    code = error.code or ""
    return code in _BUSY_CODES or code.startswith("http_5")
