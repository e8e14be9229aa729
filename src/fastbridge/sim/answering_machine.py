"""An answering machine as a Callee: it says its greeting, beeps, and records."""

import numpy as np

from fastbridge.sim.audio import RATE_HZ, SILENCE, speech, to_ulaw
from fastbridge.sim.callee import Callee
from fastbridge.sim.script import AfterMs, HangUp, Speak

GREETING = "callee_machine"
GREETING_WORDS = (
    "Hello, you have reached Peter Miller. I cannot take your call right now. Please leave a message after the tone."
)
EDGE_SECONDS = 0.004


def beep(hertz: float = 1000.0, ms: int = 400, level_dbfs: float = -20.0) -> bytes:
    """A tone, as mu-law. level_dbfs: its RMS."""
    at = np.arange(int(ms * RATE_HZ / 1000)) / RATE_HZ
    edge = np.minimum(1.0, np.minimum(at, at[::-1]) / EDGE_SECONDS)
    return to_ulaw(np.sqrt(2) * 10 ** (level_dbfs / 20) * np.sin(2 * np.pi * hertz * at) * edge)


def machine_audio(greeting: bytes | str = GREETING, *, pause_ms: int = 600, beep_audio: bytes | None = None) -> bytes:
    """All that it says, its beep last. greeting: mu-law, or the name of a clip; beep_audio: empty for none."""
    said = speech(greeting) if isinstance(greeting, str) else greeting
    tone = beep() if beep_audio is None else beep_audio
    return said + SILENCE * (pause_ms * RATE_HZ // 1000) + tone


def answering_machine(
    greeting: bytes | str = GREETING,
    *,
    after_ms: int = 600,
    pause_ms: int = 600,
    beep_audio: bytes | None = None,
    records_ms: int = 60_000,
    rings_seconds: float = 1.0,
) -> Callee:
    """after_ms: from the answer to the greeting, pause_ms: from its end to the beep. It hangs up when it has recorded
    for so long. Twilio's verdict comes as that of a machine."""
    audio = machine_audio(greeting, pause_ms=pause_ms, beep_audio=beep_audio)
    return Callee(
        [Speak(audio, AfterMs(after_ms), GREETING_WORDS), HangUp(AfterMs(records_ms))],
        rings_seconds=rings_seconds,
        patience_ms=records_ms + 20_000,
        answered_by="machine_end_beep",
        message_seconds=len(audio) / RATE_HZ + after_ms / 1000,
    )
