"""The response controller in the words of the Realtime API: `response.create` and `response.cancel`.

Each create carries its event id as metadata, which the model shows in what it creates. What is asked for, and when, is
the controller's own (`model/responses.py`).
"""

from collections.abc import Callable
from typing import Any

from fastbridge.base.clock import Clock
from fastbridge.model.port import Create
from fastbridge.model.realtime.session_config import response_config
from fastbridge.model.response_states import Listener
from fastbridge.model.responses import (
    FUSE_SECONDS,
    MAX_OVER,
    MAX_REFUSALS,
    MAX_WAITING,
    METADATA_KEY,
    RETRY_SECONDS,
    ResponseControl,
)

__all__ = [
    "FUSE_SECONDS",
    "MAX_OVER",
    "MAX_REFUSALS",
    "MAX_WAITING",
    "METADATA_KEY",
    "RETRY_SECONDS",
    "Listener",
    "ResponseController",
]


class ResponseController(ResponseControl):
    """send(event): a client event to the model."""

    def __init__(
        self,
        *,
        clock: Clock,
        send: Callable[[dict[str, Any]], object],
        progress: Callable[[], object],
        listener: Listener,
    ) -> None:
        super().__init__(clock=clock, progress=progress, listener=listener)
        self._send = send

    def _ask(self, create: Create) -> None:
        response = {**response_config(create.wish), "metadata": {METADATA_KEY: self._event_id()}}
        self._send({"type": "response.create", "event_id": self._event_id(), "response": response})

    def _take_back(self) -> None:
        self._send({"type": "response.cancel", "response_id": self.response_id})
        self.counters["cancels"] += 1
