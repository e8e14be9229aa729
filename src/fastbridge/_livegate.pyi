"""Utterances, read out of a stream of audio that never pauses; and its backlog, kept small by leaving out silence."""

DROP: int
"""Silence that nobody needs."""
PASS: int
"""To be sent."""
BEGIN: int
"""The first sound of an utterance: to be sent behind the pre-roll."""
RESUME: int
"""The first sound behind a pause of which not all was sent: likewise."""
END: int
"""With this frame, which is not sent, the utterance is over."""
REFUSE: int
"""Of an utterance that nobody wants."""
PAUSE_FRAMES: int
"""Of a pause so many are sent; of a shorter one all."""
END_FRAMES: int
REFUSED_END_FRAMES: int
"""So much silence ends an utterance that nobody wants."""
REFUSED_FRAMES: int
"""So long it is refused; then what comes is another."""
BACKLOG_FRAMES: int
"""While so many wait, or the delay is longer than that and than is wanted, a pause is left out from its fourth frame
on."""
ONSET_FRAMES: int
"""Of the pre-roll, so many are looked at for what is faint; that is sent whatever the delay."""

class LiveGate:
    """One stream's, frame by frame: 160 bytes of mu-law, 20 ms.

    A frame is loud from -46 dBFS on, within a sound from -52 dBFS on; beside noise from 6 and 4 dB above it. Noise
    is what the quietest frame of the last 1 to 2 s has, or 5 to 10 s within an utterance, up to -48 dBFS. Every
    frame in is sent, or counted as silent or refused, or kept as pre-roll for the next sound: a loud one that is
    not refused is always sent, none twice.
    """

    def judge(
        self,
        frame: bytes,
        backlog_frames: int,
        refused: bool = False,
        *,
        delay_ns: int = 0,
        wanted_ns: int = 60_000_000,
    ) -> int:
        """What is to be done with it. backlog_frames: how many wait to be sent. refused: nobody wants the utterance
        under way. delay_ns: how long after audio that comes soonest it would be heard; wanted_ns: how long that is to
        be. ValueError for a frame of another size."""
    def take_preroll(self) -> bytes:
        """What goes before the frame of BEGIN or RESUME: of the frames that were not sent the last, as many as make the
        delay what it is to be, at most five."""
    def reset(self) -> None:
        """Another stream: the utterance under way is over, and what came before it is forgotten."""
    @property
    def is_open(self) -> bool:
        """An utterance is under way."""
    @property
    def quiet_frames(self) -> int:
        """Of the utterance under way, since its last sound; 0 where none is."""
    @property
    def frames_in(self) -> int: ...
    @property
    def frames_silent(self) -> int:
        """Left out, pre-roll that was sent later included."""
    @property
    def frames_refused(self) -> int: ...
    @property
    def utterances(self) -> int: ...
    @property
    def resumes(self) -> int:
        """Pauses behind which an utterance went on, of those of which not all was sent."""
    @property
    def peak_backlog_frames(self) -> int:
        """The most that ever waited as a frame came."""
