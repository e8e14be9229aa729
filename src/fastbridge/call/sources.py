"""Who is asked what goes on in a call: the parts of it that own a fact, each by the few words that `facts` asks of it.

A test of `facts` gives those words, and no call.
"""

from typing import Protocol

from fastbridge.agent.tool import Tool
from fastbridge.base.clock import Clock


class Playing(Protocol):
    """The assistant's lane."""

    @property
    def playing(self) -> bool: ...
    @property
    def held(self) -> bool: ...


class Arriving(Protocol):
    """The caller's lane."""

    @property
    def last_media_ns(self) -> int: ...


class Ear(Protocol):
    """The detector."""

    @property
    def speaking(self) -> bool: ...


class Moments(Protocol):
    """The call's statistics."""

    @property
    def ready_ms(self) -> int | None: ...


class Generating(Protocol):
    """The session's responses."""

    @property
    def busy(self) -> bool: ...
    @property
    def wanted(self) -> bool: ...
    @property
    def says_last_word(self) -> bool: ...


class Conversing(Protocol):
    """The session."""

    @property
    def ready(self) -> bool: ...
    @property
    def handed_on(self) -> bool: ...
    @property
    def responses(self) -> Generating: ...


class Connected(Protocol):
    """The line to the model."""

    @property
    def up(self) -> bool: ...
    @property
    def returning(self) -> bool: ...


class Holding(Protocol):
    """An interruption."""

    @property
    def held(self) -> bool: ...


class Greeted(Protocol):
    @property
    def locked(self) -> bool: ...
    @property
    def awaited(self) -> bool: ...


class Owing(Protocol):
    """The caller's turns."""

    @property
    def owed(self) -> bool: ...
    @property
    def speaking(self) -> bool: ...
    @property
    def interrupted_unnoticed(self) -> bool: ...
    @property
    def uncommitted(self) -> bool: ...
    @property
    def owed_at_loss(self) -> bool: ...
    @property
    def spoke_at_loss(self) -> bool: ...
    @property
    def overdue_seconds(self) -> float: ...


class Noisy(Protocol):
    """The watch on audio formats."""

    @property
    def noise_response(self) -> str: ...


class Hearing(Protocol):
    """The watch on the upload."""

    @property
    def said_unheard(self) -> bool: ...


class Answered(Protocol):
    """Who has answered a call out."""

    @property
    def waits(self) -> bool: ...


class GivenUp(Protocol):
    @property
    def ending(self) -> bool: ...


class Leaving(Protocol):
    @property
    def asked(self) -> bool: ...
    @property
    def firm(self) -> bool: ...
    @property
    def puts_through(self) -> bool: ...
    @property
    def transferred_to(self) -> str | None: ...


class Transferring(Protocol):
    @property
    def holding(self) -> bool: ...
    @property
    def leading(self) -> bool: ...
    @property
    def transferred_to(self) -> str | None: ...


class Heard(Protocol):
    @property
    def caller_speaking(self) -> bool: ...


class Working(Protocol):
    @property
    def running(self) -> int: ...
    @property
    def busy(self) -> bool: ...
    @property
    def running_tools(self) -> list[Tool]: ...


class Private(Protocol):
    """What the caller says now is nobody's."""

    @property
    def on(self) -> bool: ...


class Sources(Protocol):
    """Who is asked."""

    @property
    def clock(self) -> Clock: ...
    @property
    def live(self) -> bool: ...
    @property
    def stats(self) -> Moments: ...
    @property
    def assistant(self) -> Playing: ...
    @property
    def caller(self) -> Arriving: ...
    @property
    def detector(self) -> Ear: ...
    @property
    def session(self) -> Conversing: ...
    @property
    def line(self) -> Connected: ...
    @property
    def barge_in(self) -> Holding: ...
    @property
    def greeting(self) -> Greeted: ...
    @property
    def turns(self) -> Owing: ...
    @property
    def upload_watch(self) -> Hearing: ...
    @property
    def format_watch(self) -> Noisy: ...
    @property
    def answered_by(self) -> Answered: ...
    @property
    def fallback(self) -> GivenUp: ...
    @property
    def hangup(self) -> Leaving: ...
    @property
    def privacy(self) -> Private: ...
    @property
    def transfers(self) -> Transferring: ...
    @property
    def idle(self) -> Heard: ...
    @property
    def tools(self) -> Working: ...
