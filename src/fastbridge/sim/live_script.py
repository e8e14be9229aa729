"""How the simulated GPT-Live behaves: the pace of its one unbroken stream, and when the model speaks, as plain data.

What it says is the `Scenario`'s, as with the Realtime API: the greeting for the first words it is given, a turn for
each of the caller's. Commentary that is no greeting is spoken word for word. The faults that are habits of a model (it
does not stop, it speaks over the caller) are fields here; what happens at a moment is a `Disruption`.
"""

from dataclasses import dataclass
from typing import Literal

MIN_DELTA_MS = 20.0
MAX_DELTA_MS = 100.0


@dataclass(frozen=True, slots=True)
class Live:
    """The habits of a GPT-Live session. ValueError for a `delta_ms` outside 20 to 100.

    Times are in milliseconds of real time, those of speech from when the session's clock begins.
    """

    delta_ms: float = 100.0
    """How much audio a delta has, and so how often one comes."""
    odd_sizes: bool = False
    """Deltas of any size from one sample to `delta_ms`, at the same pace."""
    drift_ppm: float = 0.0
    """The service's clock is fast by so much: it sends more audio than time passes. Negative: less."""
    noise_dbfs: float | None = None
    """The level of the noise between the words; None: digital silence, 0xFF in mu-law."""
    waits_for_input: bool = True
    """The stream begins with the first audio of the caller's, and nothing is said before; otherwise at the start."""

    turn_silence_ms: int = 500
    """So much silence ends the caller's turn."""
    answer_ms: float = 300.0
    """From the end of the caller's turn, or of a delegation's text, to the first word."""
    commentary_ms: float = 850.0
    """From `session.commentary.append` to its first word."""
    instructions_ms: float | None = 2050.0
    """From `session.instructions.append` to the first word; None: the model takes note and says nothing."""
    acknowledgement: str = ""
    """What the model says by itself when it delegates and has said nothing else; empty: nothing."""

    interruptible: bool = True
    """Whether the model stops when the caller speaks."""
    stop_ms: float = 200.0
    """From the moment the model hears the caller to its silence."""
    speaks_over_ms: float | None = None
    """So long after the caller began, the model answers though he still speaks."""

    append_ms: float = 200.0
    """From an append to the event that says it is in the session's timeline."""
    close_ms: float = 50.0
    """From `session.close` to `session.closed`."""
    usage_ms: float = 15_000.0
    """Between two `session.usage.updated`."""
    max_session_ms: float = 7_200_000.0
    end_reason: Literal["expired", "content", "remote_hangup", "connection_lost"] = "expired"
    """What `session.closed` says after `max_session_ms`."""
    forks: bool = True
    """Whether a stored session can be forked; otherwise the handshake is answered with 404."""

    def __post_init__(self) -> None:
        if not MIN_DELTA_MS <= self.delta_ms <= MAX_DELTA_MS:
            raise ValueError(f"delta_ms={self.delta_ms:g} is not from {MIN_DELTA_MS:g} to {MAX_DELTA_MS:g}")
