"""The model's side of a load run: sessions that hear every frame, and speak on a schedule."""

from collections.abc import Mapping, Sequence

from fastbridge._measure import Histogram

SCRIPT_NAMES: tuple[str, ...]
"""The occasions on which the model says something; see `fastbridge.sim.load_events`."""

class Model:
    """The sessions of a run. `fastbridge._load.Players` adds the callers, and plays."""

    def __init__(
        self,
        *,
        calls: int,
        scripts: Mapping[str, Sequence[bytes]],
        quiet: bytes,
        voice: bytes,
        exact: bool = True,
        barge: bool = False,
        talk_ms: int = 6000,
        period_ms: int = 10_000,
        request_ms: int = 1000,
        delta_bytes: int = 3200,
        speed: float = 6.7,
        voice_delay_ms: int = 200,
        names: Sequence[str] = SCRIPT_NAMES,
    ) -> None:
        """scripts: templates by occasion; names: their order. quiet: 4096 + 160 bytes that callers say when they say
        nothing. voice: whole frames of what they interrupt with. exact: frames are tagged and must arrive byte for
        byte; otherwise they are told by their order. barge: callers interrupt. Scheduled responses of talk_ms come
        every period_ms, requested ones last request_ms; deltas of delta_bytes come `speed` times as fast as they play.
        voice_delay_ms: from the arrival of a loud frame to speech_started; negative: never. ValueError for what cannot
        be.
        """
    @property
    def configured(self) -> int:
        """Sessions that were sent `session.updated`."""
    @property
    def live(self) -> int:
        """Calls that are up on both sides."""
    @property
    def counts(self) -> dict[str, int]:
        """What was counted so far."""
    @property
    def histograms(self) -> dict[str, Histogram]: ...
    def integrity(self) -> dict[str, int]:
        """What `_measure.Conversation` counts, summed over all sessions; `undelivered` bytes, which should have been
        heard two seconds ago; marks_overflowed; uplink_skipped."""
