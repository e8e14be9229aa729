"""Twin of fastbridge._livegate: the whole stream's story kept as lists, and read anew at each frame."""

from itertools import takewhile

from oracle import mulaw

DROP, PASS, BEGIN, RESUME, END, REFUSE = range(6)
PAUSE_FRAMES, END_FRAMES, REFUSED_END_FRAMES, REFUSED_FRAMES, BACKLOG_FRAMES = 10, 40, 15, 75, 6
CLOSURE_FRAMES, PREROLL_FRAMES, ONSET_FRAMES, FRAME_BYTES = 3, 5, 3, 160
FRAME_NS = 20_000_000
ENTER_POWER, LEAVE_POWER = 26_970.0, 6_775.0
ENTER_NOISE, LEAVE_NOISE, LOUDEST_NOISE = 3.981, 2.512, 17_019.0
NOISE_FRAMES, SOUND_FRAMES = 50, 250


def power(frame: bytes) -> float:
    return sum(mulaw.decode_sample(code) ** 2 for code in frame) / len(frame)


def trailing(flags: list[bool]) -> int:
    """How many are false at the end."""
    return next((count for count, loud in enumerate(reversed(flags)) if loud), len(flags))


class LiveGate:
    def __init__(self) -> None:
        self._sounds: list[bool] | None = None  # of each frame of the utterance under way
        self._refused = 0
        self._unsent: list[bytes] = []
        self._powers: list[float] = []
        self._powers_before = [0.0]
        self._leave_power = LEAVE_POWER
        self.frames_in = self.frames_silent = self.frames_refused = self.utterances = self.resumes = 0
        self.peak_backlog_frames = 0

    @property
    def is_open(self) -> bool:
        return self._sounds is not None

    @property
    def quiet_frames(self) -> int:
        return trailing(self._sounds) if self._sounds is not None else 0

    @property
    def _pausing(self) -> bool:
        return self._sounds is not None and trailing(self._sounds) > PAUSE_FRAMES

    def judge(
        self,
        frame: bytes,
        backlog_frames: int,
        refused: bool = False,
        *,
        delay_ns: int = 0,
        wanted_ns: int = 3 * FRAME_NS,
    ) -> int:
        if len(frame) != FRAME_BYTES:
            raise ValueError(f"a frame has {FRAME_BYTES} bytes, not {len(frame)}")
        self.frames_in += 1
        self.peak_backlog_frames = max(self.peak_backlog_frames, backlog_frames)
        pausing = self._pausing
        if len(self._powers) >= (SOUND_FRAMES if self.is_open else NOISE_FRAMES):
            self._powers_before, self._powers = self._powers, []
        self._powers.append(power(frame))
        noise = min(LOUDEST_NOISE, *self._powers, *self._powers_before)
        self._leave_power = max(LEAVE_POWER, LEAVE_NOISE * noise)
        enter_power = max(ENTER_POWER, ENTER_NOISE * noise)
        loud = self._powers[-1] >= (self._leave_power if self.is_open and not pausing else enter_power)
        lacking = min(-((delay_ns - wanted_ns) // FRAME_NS), BACKLOG_FRAMES - 1 - backlog_frames)
        if self._sounds is None:
            return self._begin(lacking) if loud else self._drop(frame)
        self._sounds.append(loud)
        quiet = trailing(self._sounds)
        if refused:
            self._refused += 1
            self.frames_refused += 1
            over = quiet >= REFUSED_END_FRAMES or self._refused >= REFUSED_FRAMES
            return self._not_sent(frame, END if over else REFUSE, over=over)
        if loud and pausing:
            self._trim(lacking)
            self.resumes += 1
            return RESUME
        if quiet >= END_FRAMES:
            return self._not_sent(frame, END, over=True)
        crowded = backlog_frames >= BACKLOG_FRAMES or delay_ns >= max(6 * FRAME_NS, wanted_ns + FRAME_NS)
        if quiet > PAUSE_FRAMES or (quiet > CLOSURE_FRAMES and crowded):
            return self._drop(frame)
        self._unsent.clear()
        return PASS

    def _begin(self, lacking: int) -> int:
        self._trim(lacking)
        self._sounds = [True]
        self.utterances += 1
        return BEGIN

    def _trim(self, lacking: int) -> None:
        onset = list(takewhile(lambda frame: power(frame) < self._leave_power, self._unsent[-ONSET_FRAMES:]))
        silent = max(len(self._unsent) - ONSET_FRAMES, 0) + len(onset)
        self._unsent = self._unsent[max(silent - max(lacking, 0), 0) :]

    def _drop(self, frame: bytes) -> int:
        self.frames_silent += 1
        return self._not_sent(frame, DROP, over=False)

    def _not_sent(self, frame: bytes, verdict: int, *, over: bool) -> int:
        self._unsent = [*self._unsent, frame][-PREROLL_FRAMES:]
        if over:
            self._sounds, self._refused = None, 0
        return verdict

    def take_preroll(self) -> bytes:
        preroll, self._unsent = b"".join(self._unsent), []
        return preroll

    def reset(self) -> None:
        self._sounds, self._refused = None, 0
        self._unsent.clear()
        self._powers, self._powers_before = [], [0.0]
