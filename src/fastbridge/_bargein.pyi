"""Is the caller talking over the assistant? A gate over an adaptive floor and the expected echo, and a small combiner.

Levels are dBFS: RMS relative to 32768, of what is above about 60 Hz. Every frame of the caller belongs in here,
playing or not: the floor learns from all of them. See docs/barge-in.md.
"""

WHY: tuple[str, ...]
"""Why a frame did or did not count, by index: quiet (under min_level_dbfs), floor (not above the floor), echo (not
above the echo expected of what is playing), tone, unvoiced, noise (loud enough, but not a voice: a few pure tones, no
pitch, neither), voice."""
FRAME_FEATURES: int
CONTEXT_FEATURES: int
HIDDEN: int
"""How many sums the combiner has."""

class Detector:
    """An edge is a run of `frames` frames in a row that pass the gate while the assistant plays, the last two of which
    the combiner takes for a voice: three where they are less than 8 dB over the expected echo, at most `frames`.

    min_level_dbfs: nothing below counts. sensitivity_db: above 0 the caller is heard sooner and noise more often; gate
    and combiner move together. echo=False: what plays is not compared (for a line without any echo).
    The gate is threshold_dbfs. One frame at or under it resets the run, and so does a frame while nothing plays.
    ValueError: frames under 1, or a level or sensitivity that is not finite.
    """

    def __init__(
        self, *, min_level_dbfs: float = -54.0, sensitivity_db: float = 0.0, frames: int = 5, echo: bool = True
    ) -> None: ...
    def feed(self, frame: bytes, playing: bytes | None) -> bool:
        """Mu-law of the caller, and the mu-law (up to 160 bytes) that he hears now; None: nothing plays.

        True on the frame that completes a run, and only on that one until the run is broken. Judged in pieces of 160
        bytes; what is left over waits for the next call. Of several edges in one long frame, one is told.
        """
    def expect_voice(self) -> None:
        """Somebody who knows says that the caller speaks: for 600 ms the floor learns nothing, the echo no more."""
    def reset(self) -> None:
        """As new: another call."""
    @property
    def frames(self) -> int: ...
    @property
    def echo(self) -> bool: ...
    @property
    def min_level_dbfs(self) -> float: ...
    @property
    def sensitivity_db(self) -> float: ...
    @property
    def loud_frames(self) -> int:
        """Length of the present run."""
    @property
    def speaking(self) -> bool:
        """The caller is talking, also when nothing plays. Begins with three frames of voice in a row, ends 240 ms after
        the last that may be one."""
    @property
    def voice_ms(self) -> int:
        """From the beginning of his voice to the last of it so far, short gaps included; 0 when not speaking."""
    @property
    def quiet_ms(self) -> int | None:
        """From the last frame of his voice to the last of all; None before there was one."""
    @property
    def why(self) -> str:
        """Of WHY, for the last whole frame."""
    @property
    def why_code(self) -> int: ...
    @property
    def level_dbfs(self) -> float:
        """Of the last whole frame, -90.3 at the lowest."""
    @property
    def floor_dbfs(self) -> float:
        """The level that one in twenty of the last 100 background frames was above; -95 before there are any."""
    @property
    def echo_dbfs(self) -> float:
        """The level expected of the assistant's echo, -90.3 for none."""
    @property
    def threshold_dbfs(self) -> float:
        """A frame counts as loud above it."""
    @property
    def confidence(self) -> float:
        """The combiner's output less what it takes to be a voice, so above 0 it is one; -10 below the gate."""
    @property
    def features(self) -> tuple[int, ...]:
        """What the combiner saw of the last frame and of the past: FRAME_FEATURES and CONTEXT_FEATURES numbers."""
