"""What goes wrong in one call: said in one line each, with its cause, and counted by code and by type.

Decides nothing: whoever met the error does. How often a line is written that comes again and again is the call log's
affair; all are counted.
"""

from fastbridge.errors import ModelError
from fastbridge.observe import events
from fastbridge.observe.call_log import CallLog
from fastbridge.observe.stats import CallStats

MALFORMED = "malformed_event"
TRANSCRIPTION = "transcription_failed"
WORDS_LOST = "words_lost"
CARRIER_MALFORMED = "carrier_malformed"
WATCHDOG = "watchdog"
"""The type of what we have found out ourselves, for the model says nothing of it."""


class Trouble:
    """One call's."""

    def __init__(self, log: CallLog, stats: CallStats) -> None:
        self._log = log
        self._stats = stats
        self._fuses = 0

    # --- the line to the model ---

    def lost(self, error: ModelError, *, tries: int) -> None:
        """The line was lost or not got; another try follows."""
        self._count(error)
        events.realtime_lost(self._log, error, tries=tries)

    def renewal_failed(self, error: ModelError, failures: int) -> None:
        """A session's successor could not be made. It is tried again, and nobody hears of it."""
        self._stats.note_type(error.kind or WATCHDOG)
        events.renewal_failed(self._log, error, failures)

    def failed(self, error: ModelError, **fields: str) -> None:
        """The model refused, failed or left, and it matters."""
        self._count(error)
        events.realtime_error(self._log, error, **fields)

    def given_up(self, error: ModelError) -> None:
        """The end of all tries; the line that says so is the fallback's. Counted, where it was not when it was said."""
        if error.code not in self._stats.errors:
            self._count(error)

    # --- what the model says ---

    def reported(self, error: ModelError) -> None:
        """An `error` event after which the session goes on."""
        self._count(error)
        events.realtime_complains(self._log, error)

    def left_out(self, error: ModelError, setting: str) -> None:
        """The service does not take a setting, which is left out. setting: its path below `session`."""
        self._count(error)
        events.realtime_left_out(self._log, error, setting)

    def expected(self, error: ModelError) -> None:
        """A race, and no fault: the session counts it."""
        events.realtime_expected(self._log, error)

    def malformed(self, kind: str, cause: str) -> None:
        """A message of the model's that cannot be what it is meant to be. kind: its type, if it has one."""
        self._stats.note_error(MALFORMED, MALFORMED)
        events.realtime_malformed(self._log, kind, cause)

    def wrong_format(self, formats: tuple[object, object]) -> None:
        """The session's audio is not what was asked for."""
        events.realtime_format(self._log, formats)

    def transcription_failed(self, error: ModelError) -> None:
        """What the caller said was not written down. Said once a call; the turns are in the record."""
        if self._log.once.once(TRANSCRIPTION):
            self._stats.note_error(error.code or TRANSCRIPTION, TRANSCRIPTION)
            events.transcription_failed(self._log, error)
        else:
            self._stats.note_type(TRANSCRIPTION)

    def words_lost(self) -> None:
        """What the caller said was lost with the connection, before it was written down. Said once a call."""
        if self._log.once.once(WORDS_LOST):
            self._stats.note_error(WORDS_LOST, TRANSCRIPTION)
            events.words_lost(self._log)
        else:
            self._stats.note_type(TRANSCRIPTION)

    # --- the carrier, and ourselves ---

    def carrier_malformed(self) -> None:
        """Twilio sent what is no message."""
        self._stats.note_error(CARRIER_MALFORMED, CARRIER_MALFORMED)
        events.carrier_malformed(self._log, self._stats.error_types[CARRIER_MALFORMED])

    def look(self, fuses: dict[str, int]) -> None:
        """Have states of ours outlived their deadlines, since the last look? fuses: by whose they are."""
        if sum(fuses.values()) > self._fuses:
            self._fuses = sum(fuses.values())
            events.safety_fuse(self._log, fuses)

    def _count(self, error: ModelError) -> None:
        kind = error.kind or WATCHDOG
        self._stats.note_error(error.code or kind, kind)
