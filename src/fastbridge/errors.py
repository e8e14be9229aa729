"""Every error fastbridge raises on purpose.

    FastbridgeError
    ├── ConfigError             a setting or a file is wrong; the message is one sentence that says what to do
    │   ├── AgentError          the agent's own code is wrong; the sentence says file and line
    │   └── NotInstalledError   a part that is installed by itself is not there; also a ModuleNotFoundError
    ├── NotPrivate              what the caller says cannot be kept out of a recording: ask for no secret
    ├── IllegalEvent            a state table met an event it has no row for: a bug of ours
    └── ModelError              the model refused, failed or broke its protocol: `code`, `kind`, `param`
        └── ModelUnavailable    the model cannot be reached, or will not answer this call any more

A peer's bytes never raise out of a parser; these are for decisions above it.
"""

from pathlib import Path


class FastbridgeError(Exception):
    """The root: `except FastbridgeError` catches all that fastbridge raises on purpose."""


class ConfigError(FastbridgeError):
    """The settings cannot work. The message is one sentence that names the variable and says what to do."""


class AgentError(ConfigError):
    """The agent's own code cannot be imported. The message is one sentence with file and line; `trace` is what Python
    says of it, without our frames, and empty where the sentence says all."""

    def __init__(self, message: str, trace: str = "") -> None:
        super().__init__(message)
        self.trace = trace


class NotInstalledError(ConfigError, ModuleNotFoundError):
    """A part that is installed by itself is not there. The message is one sentence that says how to install it."""


class NotPrivate(FastbridgeError):  # noqa: N818 - what it is not is what is wrong
    """`context.private()` has not begun: the carrier did not pause its recording in time. Ask for no secret now; it may
    be tried again."""


class IllegalEvent(FastbridgeError):  # noqa: N818 - the event is what is illegal
    """An event that its state has no transition for."""


class ModelError(FastbridgeError):
    """The model answered with an error, or did not answer. `code`, `kind` and `param` are its own words where it gave
    some (`insufficient_quota`, `invalid_request_error`, `session.voice`); else they are ours, or missing. `message` is
    ours, `words` are the model's, which may quote what was said."""

    def __init__(
        self, message: str = "", code: str | None = None, kind: str = "", *, param: str = "", words: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.kind = kind
        self.param = param
        self.words = words

    def __str__(self) -> str:
        text = ": ".join(part for part in (self.message, self.words) if part)
        return f"{text} ({self.code})" if self.code else text


class ModelUnavailable(ModelError):  # noqa: N818 - a kind of ModelError, and reads as one
    """The model cannot be reached, or has refused for good: the caller must hear an apology, not silence."""


def short_path(filename: str) -> str:
    """As it is seen from here."""
    path = Path(filename)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else filename
