"""Late tools: what still comes of them when nobody waits any more, as they took too long, or the call is over.

A plain function cannot be stopped: it may make its appointment minutes after the caller has hung up. What it gave back
goes to the log, and to the record, also where that is stored already. Nothing here knows the call, which may have been
taken apart by then; what waits is the function's own thread.
"""

from collections.abc import Callable
from typing import Any

from fastbridge.observe import events
from fastbridge.observe.call_log import CallLog
from fastbridge.observe.stats import CallStats

MAX_RESULT_CHARS = 1000


class Aftermath:
    """One call's. words: whether words may be in the record. told(outcome, document): a tool has ended late; the
    document is the call's record with that in it, None while the call lives."""

    def __init__(
        self, log: CallLog, stats: CallStats, *, words: bool, told: Callable[[str, dict[str, Any] | None], object]
    ) -> None:
        self.document: dict[str, Any] | None = None
        """The record, once the call has ended. Never changed, since a thread may be writing it."""
        self._log = log
        self._stats = stats
        self._words = words
        self._told = told

    def tool_ended(
        self, entry: dict[str, Any], outcome: str, output: str, elapsed_ms: int, error: BaseException | None
    ) -> None:
        """entry: the tool's, among those of `stats`. outcome: ok or error."""
        if error is not None:
            events.tool_failed(self._log, entry["name"], error)
        events.tool_done_late(self._log, entry["name"], outcome, elapsed_ms, output)
        shown = self._log.mask(output[: 2 * MAX_RESULT_CHARS])[:MAX_RESULT_CHARS]  # no number cut in two
        result = {"result": shown} if self._words else {"characters": len(output)}
        entry["done_late"] = {"outcome": outcome, "elapsed_ms": elapsed_ms, **result}
        if self.document is not None:
            self.document = {**self.document, "tools": [dict(tool) for tool in self._stats.tool_calls]}
        self._told(outcome, self.document)
