"""Speaks the recordings in src/fastbridge/prompts: espeak-ng for the voices, sox for the telephone.

    python tools/make_prompts.py [FOLDER]

Needs `espeak-ng` and `sox` on the PATH (prompts/README.md names the versions the shipped files were made with). The
same versions make the same bytes. Each file is raw 8 kHz mono mu-law, the telephone's own format.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from make_clips import EFFECTS, LEVEL

VOICES = {"en": "en-us+f4", "es": "es+f4", "fr": "fr-fr+f4", "de": "de+f4", "he": "he+f4", "ar": "ar+f4"}
STYLE = ["-s", "160", "-p", "55"]

LINES = {
    "en": {
        "filler_1": "One moment, please.",
        "filler_2": "Just a moment.",
        "hold": "I am still here. Please hold on.",
        "apology": "I am sorry, we have a technical problem. Please call again in a few minutes. Goodbye.",
        "transfer": "I am sorry, we have a technical problem. I am putting you through to a colleague.",
    },
    "es": {
        "filler_1": "Un momento, por favor.",
        "filler_2": "Un instante.",
        "hold": "Sigo aquí. Espere un momento, por favor.",
        "apology": "Lo siento, tenemos un problema técnico. Por favor, vuelva a llamar en unos minutos. Adiós.",
        "transfer": "Lo siento, tenemos un problema técnico. Le paso con un compañero.",
    },
    "fr": {
        "filler_1": "Un instant, s'il vous plaît.",
        "filler_2": "Un petit moment.",
        "hold": "Je suis toujours là. Restez en ligne, s'il vous plaît.",
        "apology": "Je suis désolée, nous avons un problème technique. Rappelez dans quelques minutes. Au revoir.",
        "transfer": "Je suis désolée, nous avons un problème technique. Je vous passe un collègue.",
    },
    "de": {
        "filler_1": "Einen Moment, bitte.",
        "filler_2": "Einen Augenblick.",
        "hold": "Ich bin noch da. Bitte bleiben Sie dran.",
        "apology": "Es tut mir leid, wir haben ein technisches Problem. Bitte rufen Sie in einigen Minuten wieder an. "
        "Auf Wiederhören.",
        "transfer": "Es tut mir leid, wir haben ein technisches Problem. Ich verbinde Sie mit einem Kollegen.",
    },
    "he": {
        "filler_1": "רגע אחד, בבקשה.",
        "filler_2": "רק רגע.",
        "hold": "אני עדיין כאן. אנא המתינו.",
        "apology": "אני מצטערת, יש לנו תקלה טכנית. אנא התקשרו שוב בעוד כמה דקות. להתראות.",
        "transfer": "אני מצטערת, יש לנו תקלה טכנית. אני מעבירה אתכם לנציג.",
    },
    "ar": {
        "filler_1": "لحظة من فضلك.",
        "filler_2": "لحظة واحدة.",
        "hold": "ما زلت هنا. يرجى الانتظار.",
        "apology": "أنا آسفة، لدينا مشكلة تقنية. يرجى الاتصال مرة أخرى بعد بضع دقائق. مع السلامة.",
        "transfer": "أنا آسفة، لدينا مشكلة تقنية. سأحولك إلى زميل.",
    },
}


def speak(voice: str, text: str, target: Path) -> None:
    """One line of text to one file of raw mu-law."""
    with tempfile.TemporaryDirectory() as scratch:
        raw = str(Path(scratch, "raw.wav"))
        subprocess.run(["espeak-ng", "-v", voice, *STYLE, "-w", raw, text], check=True)
        encoding = ["-t", "raw", "-e", "mu-law", "-b", "8", "-c", "1", "-r", "8000"]
        subprocess.run(["sox", "-D", raw, *encoding, str(target), *EFFECTS, *LEVEL], check=True)


def main() -> int:
    for program in ("espeak-ng", "sox"):
        if shutil.which(program) is None:
            print(f"make_prompts: {program} is not installed (apt-get install {program}).", file=sys.stderr)
            return 2
    default = Path(__file__).resolve().parent.parent / "src/fastbridge/prompts"
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    for language, lines in LINES.items():
        (folder / language).mkdir(parents=True, exist_ok=True)
        for name, text in lines.items():
            target = folder / language / f"{name}.ulaw"
            speak(VOICES[language], text, target)
            print(f"{language}/{target.name:14} {target.stat().st_size / 8000:5.2f} s  {text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
