"""Every error fastbridge raises on purpose, with whom to blame in the type.

    FastbridgeError             blame: local
    ├── ConfigError             local    a setting or a file is wrong; the message is one sentence that says what to do
    ├── IllegalEvent            local    a state table met an event it has no row for: a bug of ours
    ├── CarrierError            carrier  Twilio refused or broke its own protocol
    └── ModelError              model    the model refused, failed or broke its protocol; `code` is the model's own word
        └── ModelUnavailable    model    the model cannot be reached, or will not answer this call any more

A peer's bytes never raise out of a parser; these are for decisions above it.
"""

from typing import ClassVar, Literal

Blame = Literal["local", "carrier", "model"]

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
"""The model's words for what no retry cures in this session."""


class FastbridgeError(Exception):
    """The root: `except FastbridgeError` catches all that fastbridge raises on purpose."""

    blame: ClassVar[Blame] = "local"


class ConfigError(FastbridgeError):
    """The settings cannot work. The message is one sentence that names the variable and says what to do."""


class IllegalEvent(FastbridgeError):  # noqa: N818 - the event is what is illegal
    """An event that its state has no transition for."""


class CarrierError(FastbridgeError):
    """Twilio refused a request or broke its protocol."""

    blame: ClassVar[Blame] = "carrier"


class ModelError(FastbridgeError):
    """The model answered with an error. `code` is its error code (such as `insufficient_quota`) where it gave one."""

    blame: ClassVar[Blame] = "model"

    def __init__(self, message: str = "", code: str | None = None) -> None:
        super().__init__(message)
        self.code = code

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} ({self.code})" if self.code else message


class ModelUnavailable(ModelError):  # noqa: N818 - a kind of ModelError, and reads as one
    """The model cannot be reached, or has refused for good: the caller must hear an apology, not silence."""
