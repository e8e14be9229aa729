"""Who has answered a call out: a person, a machine, a fax? Told by how long is spoken, the silence behind it, tones.

See docs/answering-machines.md.
"""

SIGNS: tuple[str, ...]
"""What a frame may show, by index: "" (nothing), human, machine, beep, fax."""
SIGN_HUMAN: int
SIGN_MACHINE: int
SIGN_BEEP: int
SIGN_FAX: int

class AnswerEar:
    """One call's. Every frame of the callee belongs in here, from the first on."""

    def feed(self, frame: bytes, level_dbfs: float, echo_dbfs: float) -> int:
        """Mu-law of the callee, its level, and that expected of our echo, as the barge-in detector has them. An index
        of SIGNS.

        Human and machine are told once, the one or the other; beep each time that one has ended, 0.1 s after its end;
        fax once. Judged in pieces of 160 bytes; what is left over waits for the next call. Of several signs in one long
        frame the last is told.
        """
    def reset(self) -> None:
        """As new: another call."""
    @property
    def frames(self) -> int:
        """Heard so far, of 20 ms."""
    @property
    def quiet_frames(self) -> int:
        """Since somebody was heard last, or from the beginning."""
    @property
    def beep_hz(self) -> float:
        """Of the last beep; 0 before the first."""
    @property
    def beep_frames(self) -> int:
        """How long it was."""
