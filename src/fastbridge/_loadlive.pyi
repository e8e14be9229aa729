"""The model's side of a load run in GPT-Live: the same sessions, and a stream that never pauses."""

from collections.abc import Mapping, Sequence

from fastbridge._loadmodel import Model

LIVE_SCRIPT_NAMES: tuple[str, ...]
"""The occasions on which the model says something; see `fastbridge.sim.load_live_events`."""

class LiveModel(Model):
    """The sessions of a run, of either dialect."""

    def __init__(
        self,
        *,
        live: bool = False,
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
    ) -> None:
        """live: GPT-Live, and `scripts` are its; deltas then come at the pace of real time, whatever `speed` is. The
        rest is `Model`'s."""
