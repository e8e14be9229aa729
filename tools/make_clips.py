"""Speaks the lines in src/fastbridge/sim/clips: espeak-ng for the voices, sox for the telephone.

    python tools/make_clips.py [FOLDER]

Needs `espeak-ng` and `sox` on the PATH (clips/README.md names the versions the shipped files were made with). The same
versions make the same bytes. Each file is 8 kHz mono mu-law, the telephone's own format, so that the package plays it
back unchanged.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CALLER = ["-v", "en-gb+m3", "-s", "172", "-p", "38"]
ASSISTANT = ["-v", "en-us+f4", "-s", "168", "-p", "58"]

MACHINE = ["-v", "en-gb+m5", "-s", "160", "-p", "45"]

LINES = {
    "caller_appointment": (CALLER, "Hello! I would like an appointment for a check up, on Thursday afternoon, please."),
    "caller_interrupts": (CALLER, "Wait, sorry! Is there anything in the morning?"),
    "caller_accepts": (CALLER, "Yes, ten thirty is fine. Thank you, goodbye!"),
    "assistant_greeting": (ASSISTANT, "Maple Street Dental, good morning! How can I help you?"),
    "assistant_times": (
        ASSISTANT,
        "On Thursday afternoon, I have one o'clock, one forty five, a quarter past two, three o'clock, half past "
        "three, ten to four, twenty past four, and, as the last one of the day, five o'clock. "
        "Which of these suits you best?",
    ),
    "assistant_morning": (
        ASSISTANT,
        "Of course. On Thursday morning, I have nine o'clock, or ten thirty. Is one of them good?",
    ),
    "callee_machine": (
        MACHINE,
        "Hello, you have reached Peter Miller. I cannot take your call right now. "
        "Please leave a message after the tone.",
    ),
    "assistant_message": (
        ASSISTANT,
        "This is Maple Street Dental, about your appointment on Thursday. Please call us back. Goodbye!",
    ),
    "assistant_goodbye": (ASSISTANT, "Thursday at ten thirty it is. See you then, goodbye!"),
}

# The telephone: its band, an even level, and no silence to speak of before and after.
TRIM = ["silence", "1", "0.005", "0.4%", "reverse"]
EFFECTS = [*TRIM, *TRIM, "highpass", "220", "lowpass", "3500", "rate", "-v", "8000"]
LEVEL = [
    "compand",
    "0.005,0.15",
    "6:-60,-38,-30,-19,-12,-10,0,-6",
    "-3",
    "-60",
    "0.005",
    "norm",
    "-3",
    "pad",
    "0.04",
    "0.06",
]


def speak(voice: list[str], text: str, target: Path) -> None:
    """One line of text to one mu-law WAV file."""
    with tempfile.TemporaryDirectory() as scratch:
        raw = str(Path(scratch, "raw.wav"))
        subprocess.run(["espeak-ng", *voice, "-w", raw, text], check=True)
        encoding = ["-e", "mu-law", "-c", "1", "-r", "8000"]
        subprocess.run(["sox", "-D", raw, *encoding, str(target), *EFFECTS, *LEVEL], check=True)


def main() -> int:
    for program in ("espeak-ng", "sox"):
        if shutil.which(program) is None:
            print(f"make_clips: {program} is not installed (apt-get install {program}).", file=sys.stderr)
            return 2
    default = Path(__file__).resolve().parent.parent / "src/fastbridge/sim/clips"
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    folder.mkdir(parents=True, exist_ok=True)
    for name, (voice, text) in LINES.items():
        target = folder / f"{name}.wav"
        speak(voice, text, target)
        print(f"{target.name:28} {target.stat().st_size / 8000:5.2f} s  {text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
