"""One try to reach the model, and the socket that comes of it: the seam between a call and its transport.

The transport tells the attempt, the attempt its owner. So what an old socket still says is told apart by whose it is,
never by when it comes.
"""

from collections.abc import Callable
from typing import Protocol

from fastbridge._websocket import TextSink
from fastbridge.errors import ModelError, ModelUnavailable

Feed = Callable[[bytes], object]


class ModelLink(Protocol):
    """The model's socket, as its call sees it."""

    def write(self, frame: bytes) -> object: ...
    def send_text(self, message: bytes) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def untaken_bytes(self) -> int: ...
    def redirect(self, sink: TextSink | Feed, feed_message: Feed) -> None: ...
    def hang_up(self) -> None: ...


class Owner(Protocol):
    """Whose an attempt is: the line, or its renewal."""

    def connected(self, attempt: "Attempt", link: ModelLink) -> None: ...
    def failed(self, attempt: "Attempt", error: ModelError) -> None: ...
    def paused(self, attempt: "Attempt", paused: bool) -> None: ...


class Attempt:
    """One try to reach the model, and the socket that came of it. Messages of the socket go to `sink`, or, what that is
    not given, to `feed_message`. The transport calls the four methods. continues: the stored session that
    this one is to go on with, if any. model: whom to ask for; empty: whom the call began with."""

    def __init__(
        self, owner: Owner, sink: TextSink | Feed, feed_message: Feed, continues: str = "", *, model: str = ""
    ) -> None:
        self.owner = owner
        self.sink = sink
        self.feed_message = feed_message
        self.continues = continues
        self.model = model

    def on_model_connected(self, link: ModelLink) -> None:
        """The socket is open; the gate for audio is not."""
        self.owner.connected(self, link)

    def on_model_failed(self, error: ModelError) -> None:
        """The socket could not be opened."""
        self.owner.failed(self, error)

    def on_model_lost(self, code: int, reason: str) -> None:
        """The socket is gone, and not by us."""
        message = f"the model closed the session with {code}"
        self.owner.failed(self, ModelUnavailable(message, f"closed_{code}", "connection_closed", words=reason))

    def on_model_paused(self, paused: bool) -> None:
        """Back-pressure of the socket's transport."""
        self.owner.paused(self, paused)
