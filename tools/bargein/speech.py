"""Speech to train on, at 8 kHz: the telephone prompts that Debian ships with Asterisk, and espeak-ng's voices.

The prompts (asterisk-core-sounds-en-wav, -es-wav, -fr-wav) are CC-BY-SA-3.0, what espeak-ng says is nobody's. Half of the
prompts, chosen by a hash of their names, is never used here, and none of the other prompt packages: those are for
testing.
"""

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import signal
from tools.bargein.signals import RATE_HZ, Samples, active_rms, band_pass, frame_levels

SOUNDS = Path("/usr/share/asterisk/sounds")
PROMPTS = {  # speaker: folder, kind of file
    "allison-en": (SOUNDS / "en_US_f_Allison", ".wav"),
    "allison-es": (SOUNDS / "es_MX_f_Allison", ".wav"),
    "june-fr": (SOUNDS / "fr_CA_f_June", ".wav"),
}
NO_SPEECH = (
    "silence",
    "beep",
    "ring",
    "tone",
    "ascending",
    "descending",
    "tt-monkeys",
    "confbridge-",
    "pls-wait-connect",
)
LANGUAGES = [
    "af",
    "bg",
    "bn",
    "bs",
    "ca",
    "cs",
    "cy",
    "da",
    "de",
    "el",
    "en-gb",
    "en-us",
    "en-gb-scotland",
    "eo",
    "es-419",
    "et",
    "fa",
    "fi",
    "fr-be",
    "ga",
    "hi",
    "hr",
    "hu",
    "hy",
    "id",
    "is",
    "ka",
    "kn",
    "ko",
    "lt",
    "lv",
    "mk",
    "ml",
    "mr",
    "ms",
    "ne",
    "nl",
    "nb",
    "pa",
    "pl",
    "pt",
    "pt-br",
    "ro",
    "sk",
    "sl",
    "sq",
    "sr",
    "sv",
    "sw",
    "ta",
    "te",
    "tr",
    "uk",
    "ur",
    "vi",
    "cmn",
    "yue",
]
VARIANTS = ("", "+m1", "+m2", "+m3", "+m4", "+m5", "+m6", "+m7", "+f1", "+f2", "+f3", "+f4", "+f5", "+croak", "+klatt2")
NUMBERS = (
    "1",
    "2",
    "5",
    "8",
    "10",
    "17",
    "42",
    "350",
    "1984",
    "27350",
    "4 7 1 8 8 2",
    "9:30",
    "16 5 2026",
    "6, 7, 8, 9",
)
WORDS = {
    "en": ("No!", "Stop.", "Wait.", "Yes.", "Hello?", "Sorry.", "Hold on.", "That is not what I meant.", "One moment please.",
           "No no no, the other one.", "Can you say that again?", "I would like to change my appointment."),
    "de": ("Nein!", "Halt.", "Moment.", "Ja.", "Hallo?", "Das meine ich nicht.", "Ich möchte einen anderen Termin."),
    "es": ("¡No!", "Espera.", "Sí.", "¿Hola?", "Un momento.", "Eso no es lo que quería decir."),
    "fr": ("Non!", "Attendez.", "Oui.", "Allo?", "Un instant.", "Ce n'est pas ce que je voulais dire."),
    "nl": ("Nee!", "Wacht even.", "Ja.", "Hallo?", "Dat bedoel ik niet."),
    "pt": ("Não!", "Espere.", "Sim.", "Não foi isso que eu disse."),
    "pl": ("Nie!", "Chwileczkę.", "Tak.", "Nie o to mi chodzi."),
    "sv": ("Nej!", "Vänta.", "Ja.", "Det var inte det jag menade."),
    "tr": ("Hayır!", "Bekle.", "Evet.", "Onu demek istemedim."),
}  # fmt: skip
SENTENCES = (
    "Thank you for calling, how can I help you today? You can ask me about bookings, invoices and opening hours.",
    "There are two free appointments this week, one on Wednesday morning and another late on Friday afternoon.",
    "Let me repeat that: your number is seven four zero, nine nine one, and the total is one hundred and five euros.",
    "I am afraid that I could not find a reservation under this name. Could you spell it for me, please?",
)


@dataclass(frozen=True)
class Phrase:
    """One utterance, trimmed to its speech."""

    speaker: str
    samples: Samples
    active_s: float


def is_for_training(stem: str) -> bool:
    return int(hashlib.sha256(stem.encode()).hexdigest(), 16) & 1 == 1


def load_prompts(speaker: str) -> list[Phrase]:
    folder, suffix = PROMPTS[speaker]
    if not folder.is_dir():
        raise SystemExit(f"{folder} is missing: see the packages named in tools/bargein/README.md")
    phrases = []
    for path in sorted(folder.rglob("*" + suffix)):
        name = str(path.relative_to(folder))
        if is_for_training(path.stem) and not any(word in name for word in NO_SPEECH):
            phrases += trimmed(speaker, read(["sox", str(path)]))
    return phrases


def load_espeak(languages: tuple[str, ...], variants: int, rng: np.random.Generator) -> list[Phrase]:
    """Some voices of each language: number words, which every voice can say, and everyday words where there are any."""
    phrases = []
    for language in languages:
        for variant in rng.choice(VARIANTS, variants, replace=False):
            pitch, speed = int(rng.integers(15, 90)), int(rng.integers(125, 230))
            texts = [*rng.choice(NUMBERS, 6, replace=False), *WORDS.get(language[:2], ())]
            for text in texts:
                phrases += trimmed(f"{language}{variant}", say(text, language + variant, pitch, speed))
    return phrases


def load_assistants(rng: np.random.Generator) -> list[Phrase]:
    """Synthetic assistants; real voices come from the prompts."""
    voices = [(v, int(rng.integers(30, 70)), int(rng.integers(150, 190))) for v in
              ("en-us", "en-gb+f2", "en-us+m3", "de+f3", "fr-be+m1", "pt+f4")]  # fmt: skip
    texts = {
        v: SENTENCES if v.startswith("en") else ("4 7 1 8 8 2, 27350, 1984, 42, 16 5 2026, 350.",) for v, _, _ in voices
    }
    return [
        p for v, pitch, speed in voices for t in texts[v] for p in trimmed(f"assistant-{v}", say(t, v, pitch, speed))
    ]


def say(text: str, voice: str, pitch: int, speed: int) -> Samples:
    command = ["espeak-ng", "-v", voice, "-p", str(pitch), "-s", str(speed), "--stdout", text]
    wav = subprocess.run(command, capture_output=True).stdout
    return read(["sox", "-t", "wav", "-"], wav) if wav else np.zeros(0)


def read(source: list[str], content: bytes = b"") -> Samples:
    command = [*source, "-t", "s16", "-r", str(RATE_HZ), "-c", "1", "-D", "-"]
    raw = subprocess.run(command, input=content, capture_output=True).stdout
    return np.frombuffer(raw, "<i2").astype(float)


def trimmed(speaker: str, samples: Samples) -> list[Phrase]:
    """The phrase without the silence at its ends, or nothing if there is no speech in it."""
    if samples.size < 1600 or active_rms(samples) < 100:
        return []
    samples = band_pass(samples, 60, None)
    levels = frame_levels(samples)
    active = np.flatnonzero(levels > 20 * np.log10(active_rms(samples)) - 28)
    if active.size < 6:
        return []
    samples = samples[max(0, active[0] - 3) * 160 : (active[-1] + 4) * 160]
    return [Phrase(speaker, samples, active.size * 0.02)]


def at_speed(samples: Samples, factor: float) -> Samples:
    """Slower and lower, or faster and higher: another throat."""
    return np.interp(np.arange(int(samples.size / factor)) * factor, np.arange(samples.size), samples)


def coloured(samples: Samples, rng: np.random.Generator) -> Samples:
    """Another microphone: a tilt and a resonance."""
    pole = rng.uniform(-0.35, 0.45)
    samples = signal.lfilter([1.0, -rng.uniform(-0.2, 0.2)], [1.0, -pole], samples)
    if rng.random() < 0.5:
        # A band wider than it is high is no filter: under a Q of 3000 / 4000 the design is unstable, and sound ends in NaN.
        b, a = signal.iirpeak(rng.uniform(300, 3000), rng.uniform(1.0, 3), fs=RATE_HZ)
        samples = samples + rng.uniform(-0.5, 1.0) * signal.lfilter(b, a, samples)
    if rng.random() < 0.25:  # a telephone's automatic gain
        envelope = np.sqrt(signal.lfilter([0.002], [1, -0.998], samples**2)) + 0.05 * active_rms(samples)
        samples = samples / envelope ** rng.uniform(0.2, 0.6)
    return samples
