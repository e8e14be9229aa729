"""Who answers a call out, as sounds with labels: machines, people, faxes, ring-back, music, silence.

All is made here, from a seed, and nothing of it was ever on a telephone line: voices of espeak-ng and the recordings
that fastbridge ships, beeps and tones by formula, a line by mu-law, level, noise and the echo of our own greeting. The
part that is held out has other voices, other words, other beeps and another seed, and was never used to tune.
"""

import hashlib
import subprocess
import wave
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastbridge.sim.audio import speech

RATE_HZ = 8000
FRAME = 160
FULL_SCALE = 32768.0
ROOT = Path(__file__).parent.parent
CACHE = ROOT / "build" / "machines"
Samples = NDArray[np.float64]

VOICES = {
    "dev": ("", "+m1", "+m2", "+m3", "+f1", "+f2", "+croak"),
    "held": ("+m4", "+m5", "+m6", "+m7", "+f3", "+f4", "+f5", "+klatt2"),
}
DIALECTS = {
    "dev": {"en": "en-us", "de": "de", "fr": "fr-fr", "es": "es", "it": "it", "pt": "pt"},
    "held": {"en": "en-gb", "de": "de", "fr": "fr-be", "es": "es-419", "it": "it", "pt": "pt-br"},
}
GREETINGS = {
    "dev": {
        "en": (
            "You have reached {name}. I cannot take your call right now. Please leave a message after the tone.",
            "Hi, this is {name}. Sorry I missed you. Leave your name and number, and I will call you back.",
            "The person you are calling, {number}, is not available. At the tone, please record your message.",
            "Hello. You have reached the voice mail of {name}. Please leave a message after the beep.",
        ),
        "de": (
            "Guten Tag, hier ist der Anschluss von {name}. Bitte hinterlassen Sie eine Nachricht nach dem Signalton.",
            "Der Teilnehmer mit der Rufnummer {number} ist zur Zeit nicht erreichbar. Sprechen Sie nach dem Ton.",
            "Hallo, hier ist die Mailbox von {name}. Ich bin gerade nicht da. Ich rufe zurück.",
        ),
        "fr": (
            "Bonjour, vous êtes bien sur la messagerie de {name}. Laissez un message après le bip sonore.",
            "Votre correspondant, {number}, n'est pas disponible. Veuillez laisser un message après le signal.",
        ),
        "es": (
            "Hola, ha llamado a {name}. En este momento no puedo atenderle. Deje su mensaje después de la señal.",
            "El número {number} no está disponible. Por favor, deje un mensaje después del tono.",
        ),
        "it": (
            "Ciao, sono {name}. In questo momento non posso rispondere. Lascia un messaggio dopo il segnale.",
            "Segreteria telefonica del numero {number}. Lasciate un messaggio dopo il segnale acustico.",
        ),
        "pt": (
            "Olá, você ligou para {name}. Não posso atender agora. Deixe o seu recado depois do sinal.",
            "O número {number} não está disponível. Por favor, deixe uma mensagem após o sinal.",
        ),
    },
    "held": {
        "en": (
            "Thank you for calling {name}. Our office is closed. Please leave your name, your number and a message.",
            "Hey, it's {name}, you know what to do. Talk to me after the beep, and have a nice day.",
            "We are sorry, nobody at {number} can answer your call. To leave a message, wait for the tone.",
        ),
        "de": (
            "Sie haben {name} angerufen. Wir rufen gern zurück, wenn Sie uns Ihren Namen und Ihre Nummer nennen.",
            "Willkommen bei der Mailbox der Nummer {number}. Bitte sprechen Sie jetzt Ihre Nachricht auf Band.",
        ),
        "fr": (
            "Vous avez joint {name}, je suis absent pour le moment. Merci de me laisser vos coordonnées.",
            "Le répondeur du {number} est à votre écoute. Parlez après le bip, nous vous rappellerons.",
        ),
        "es": (
            "Ha contactado con el buzón de voz de {name}. Grabe su mensaje al oír la señal, gracias.",
            "Buenas, soy {name}, ahora estoy ocupado. Déjame tu nombre y te llamo luego.",
        ),
        "it": (
            "Avete chiamato lo studio di {name}. Siamo chiusi fino a lunedì. Lasciate nome e numero.",
            "La persona al numero {number} non è raggiungibile. Registrate il messaggio dopo il tono.",
        ),
        "pt": (
            "Você chegou à caixa postal de {name}. Grave sua mensagem após o bip, e retornarei a ligação.",
            "Sua chamada para {number} está sendo encaminhada para a caixa de mensagens. Aguarde o sinal.",
        ),
    },
}
NAMES = {"dev": ("Dana Weiss", "Peter Miller", "Anna"), "held": ("Maria Lopez", "the Harbour Clinic", "Jonas Beck")}
WORDS = {
    "dev": {
        "en": ("Hello?", "Yes?", "Hi.", "Speaking."),
        "de": ("Hallo?", "Ja?", "Müller.", "Ja, bitte?"),
        "fr": ("Allô?", "Oui?", "Oui, allô?"),
        "es": ("¿Diga?", "¿Sí?", "¿Hola?"),
        "it": ("Pronto?", "Sì?"),
        "pt": ("Alô?", "Estou?", "Sim?"),
    },
    "held": {
        "en": ("Hello.", "Yeah?", "Good morning."),
        "de": ("Schmidt.", "Hallo.", "Guten Tag."),
        "fr": ("Bonjour.", "Allô oui?"),
        "es": ("Dígame.", "¿Bueno?"),
        "it": ("Sì, pronto?", "Buongiorno."),
        "pt": ("Oi?", "Bom dia."),
    },
}
SENTENCES = {
    "dev": {
        "en": ("Hello, Peter Miller speaking.", "Yes, hello, who is this?", "Maple Street Dental, how can I help you?"),
        "de": ("Guten Tag, Peter Müller am Apparat.", "Ja hallo, wer ist da, bitte?"),
        "fr": ("Allô, oui, qui est à l'appareil?", "Bonjour, Anna Martin à l'appareil."),
        "es": ("Hola, ¿con quién hablo?", "Sí, dígame, soy Ana."),
        "it": ("Pronto, chi parla?", "Buongiorno, sono Anna, mi dica."),
        "pt": ("Alô, quem está falando?", "Bom dia, aqui é a Ana, pois não?"),
    },
    "held": {
        "en": ("Good afternoon, this is Maria Lopez.", "Hi there, can you hear me?", "Harbour Clinic, good morning."),
        "de": ("Hier ist Beck, guten Morgen.", "Praxis Schmidt, was kann ich für Sie tun?"),
        "fr": ("Cabinet Dubois, bonjour.", "Oui bonjour, je vous écoute."),
        "es": ("Buenos días, clínica del puerto.", "¿Sí, quién es, por favor?"),
        "it": ("Studio Rossi, buongiorno.", "Sì pronto, con chi parlo?"),
        "pt": ("Clínica do porto, bom dia.", "Oi, aqui é o João, pode falar."),
    },
}
BEEPS_HZ = {"dev": (440, 480, 600, 800, 1000, 1400, 2000), "held": (420, 523, 660, 850, 950, 1209, 1750)}
BEEP_SECONDS = {"dev": (0.15, 0.2, 0.35, 0.5, 0.8, 1.2), "held": (0.16, 0.25, 0.4, 0.6, 1.0)}
SHIPPED = {"dev": ("en", "fr", "he"), "held": ("de", "es", "ar")}


@dataclass
class Sound:
    """What is heard from the moment that the call is answered. label: human, machine, fax, or none where nobody says
    anything. kind: which of them. Frames of 160 bytes. heard: what we play at that time. Times are seconds, -1 for
    none: word is that of the first word, speech_end of the end of what was said first."""

    label: str
    kind: str
    frames: list[bytes]
    heard: list[bytes | None] = field(repr=False)
    word: float = -1.0
    speech_end: float = -1.0
    beep: float = -1.0
    beep_end: float = -1.0


def gain(db: float) -> float:
    return float(10 ** (db / 20))


def espeak(text: str, voice: str, pitch: int, speed: int) -> Samples:
    """At 8 kHz, kept in `build/machines`."""
    key = hashlib.sha256(repr((text, voice, pitch, speed)).encode()).hexdigest()[:24]
    path = CACHE / f"{key}.wav"
    if not path.is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        command = ["espeak-ng", "-v", voice, "-p", str(pitch), "-s", str(speed), "-w", str(path), text]
        subprocess.run(command, check=True, capture_output=True)
    return trimmed(read_wav(path))


def read_wav(path: Path) -> Samples:
    with wave.open(str(path), "rb") as file:
        rate, raw = file.getframerate(), file.readframes(file.getnframes())
    return resampled(np.frombuffer(raw, "<i2").astype(float), rate)


def resampled(samples: Samples, rate_hz: int) -> Samples:
    """To 8 kHz, by the spectrum."""
    if rate_hz == RATE_HZ or samples.size == 0:
        return samples
    size = int(samples.size * RATE_HZ / rate_hz)
    spectrum = np.fft.rfft(samples)[: size // 2 + 1]
    spectrum[int(3500 / RATE_HZ * size) :] = 0
    return np.fft.irfft(spectrum, size) * size / samples.size


def trimmed(samples: Samples) -> Samples:
    """Without the silence at its ends."""
    loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max(initial=1.0))
    return samples[max(loud[0] - 80, 0) : loud[-1] + 80] if loud.size else samples


def shipped(part: str) -> list[Samples]:
    """Recordings of real voices' making: the prompts of fastbridge."""
    folder = ROOT / "src" / "fastbridge" / "prompts"
    found = [folder / language / f"{name}.ulaw" for language in SHIPPED[part] for name in ("apology", "transfer")]
    return [trimmed(from_ulaw(path.read_bytes())) for path in found]


def tone(hertz: float, seconds: float, *more_hz: float) -> Samples:
    """Of one frequency, or of several; with edges of 4 ms."""
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    sound = sum(np.sin(2 * np.pi * each * t) for each in (hertz, *more_hz)) / (1 + len(more_hz))
    edge = np.minimum(1.0, np.minimum(t, t[::-1]) / 0.004)
    return np.asarray(sound * edge * 8000.0)


def silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * RATE_HZ))


def music(rng: np.random.Generator, seconds: float) -> Samples:
    """Chords of a few partials, one after the other, some of one pure note."""
    parts = []
    while sum(part.size for part in parts) < seconds * RATE_HZ:
        root, length = 220 * 2 ** (rng.integers(0, 24) / 12), rng.choice([0.2, 0.4, 0.8])
        notes = [root * ratio for ratio in (1, 1.26, 1.5)[: rng.integers(1, 4)]]
        t = np.arange(int(length * RATE_HZ)) / RATE_HZ
        chord = sum(np.sin(2 * np.pi * note * k * t) / k**1.5 for note in notes for k in range(1, 6) if note * k < 3600)
        parts.append(np.asarray(chord) * np.exp(-t * rng.uniform(0, 4)) * 2500.0)
    return np.concatenate(parts)[: int(seconds * RATE_HZ)]


def from_ulaw(audio: bytes) -> Samples:
    return _LINEAR[np.frombuffer(audio, np.uint8)]


def to_ulaw(x: Samples) -> bytes:
    return bytes(_CODES[np.clip(np.rint(x), -32768, 32767).astype(np.int32) + 32768])


def _codes() -> NDArray[np.uint8]:
    x = np.arange(-32768, 32768)
    magnitude = np.minimum(np.abs(x), 32635) + 0x84
    exponent = np.floor(np.log2(magnitude)).astype(int) - 7
    coded = np.where(x < 0, 0x80, 0) | (exponent << 4) | ((magnitude >> (exponent + 3)) & 0x0F)
    return (~coded & 0xFF).astype(np.uint8)


def _linear() -> Samples:
    code = ~np.arange(256).astype(np.uint8)
    exponent, mantissa = (code >> 4) & 7, code & 0x0F
    magnitude = (((mantissa.astype(int) << 3) + 0x84) << exponent.astype(int)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(float)


_CODES = _codes()
_LINEAR = _linear()


class Maker:
    """part: dev, or held."""

    def __init__(self, part: str, seed: int) -> None:
        self.part = part
        self.rng = np.random.default_rng([seed, 0 if part == "dev" else 1])
        names = ("greeting", "goodbye") if part == "dev" else ("morning", "times")
        self._ours = [from_ulaw(speech(f"assistant_{name}")) for name in names]
        self._shipped = shipped(part)

    def pick(self, given: tuple) -> object:
        return given[int(self.rng.integers(len(given)))]

    def say(self, texts: dict[str, tuple[str, ...]], *, hasty: bool = False) -> Samples:
        language = str(self.pick(tuple(texts)))
        digits = " ".join(str(self.rng.integers(10)) for _ in range(int(self.rng.integers(6, 11))))
        text = str(self.pick(texts[language])).format(name=self.pick(NAMES[self.part]), number=digits)
        voice = DIALECTS[self.part][language] + str(self.pick(VOICES[self.part]))
        speed = int(self.rng.integers(150, 215) if hasty else self.rng.integers(125, 200))
        return espeak(text, voice, int(self.rng.integers(25, 85)) // 10 * 10, speed // 10 * 10)

    def sounds(self, count: int) -> Iterator[Sound]:
        """As many of each: words, sentences and machines; and a tenth of each of the others."""
        for _ in range(count):
            yield self.word()
            yield self.sentence()
            yield self.machine()
        for _ in range(count // 10):
            for make in (self.fax, self.sit, self.ring_back, self.hold_music, self.nobody):
                yield make()

    def word(self) -> Sound:
        return self._human("word", self.say(WORDS[self.part], hasty=True))

    def sentence(self) -> Sound:
        return self._human("sentence", self.say(SENTENCES[self.part], hasty=True))

    def _human(self, kind: str, said: Samples) -> Sound:
        before = self.rng.uniform(0.15, 1.2)
        again = self.say(WORDS[self.part], hasty=True) if self.rng.random() < 0.3 else silence(0)
        sound = np.concatenate([silence(before), said, silence(self.rng.uniform(2.2, 4.0)), again, silence(5)])
        end = before + said.size / RATE_HZ
        return self._on_line(Sound("human", kind, [], [], word=before, speech_end=end), sound, leveled=said)

    def machine(self) -> Sound:
        before, gap = self.rng.uniform(0.1, 1.5), self.rng.uniform(0.15, 1.2)
        if self.rng.random() < 0.15:
            said = self._shipped[int(self.rng.integers(len(self._shipped)))]
        else:
            said = self.say(GREETINGS[self.part])
        seconds = float(self.pick(BEEP_SECONDS[self.part]))  # type: ignore[arg-type]
        beep = tone(float(self.pick(BEEPS_HZ[self.part])), seconds)  # type: ignore[arg-type]
        beep *= gain(self.rng.uniform(-12, 3))
        sound = np.concatenate([silence(before), said, silence(gap), beep, silence(4)])
        end = before + said.size / RATE_HZ
        made = Sound("machine", "machine", [], [], before, end, end + gap, end + gap + seconds)
        return self._on_line(made, sound, leveled=said)

    def fax(self) -> Sound:
        if self.rng.random() < 0.5:
            sound = np.concatenate([silence(self.rng.uniform(0.2, 2)), tone(2100, 3.0), silence(5)])
        else:
            once = np.concatenate([tone(1100, 0.5), silence(3)])
            sound = np.concatenate([silence(self.rng.uniform(0.2, 2)), once, once, once])
        return self._on_line(Sound("fax", "fax", [], []), sound, leveled=sound)

    def sit(self) -> Sound:
        """The network's three tones, and its announcement: a machine without a beep."""
        tones = np.concatenate([tone(hertz, 0.33) for hertz in (950, 1400, 1800)])
        said = self.say(GREETINGS[self.part])
        sound = np.concatenate([silence(0.4), tones, silence(0.3), said, silence(4)])
        end = 1.7 + said.size / RATE_HZ
        return self._on_line(Sound("machine", "sit", [], [], word=1.7, speech_end=end), sound, leveled=said)

    def ring_back(self) -> Sound:
        cadences = (((425.0,), 1.0, 4.0), ((440.0, 480.0), 2.0, 4.0), ((400.0, 450.0), 0.4, 2.0))
        notes, on, off = cadences[int(self.rng.integers(3))]
        once = np.concatenate([tone(notes[0], on, *notes[1:]), silence(off)])
        return self._on_line(Sound("none", "ring-back", [], []), np.concatenate([once] * 3), leveled=once)

    def hold_music(self) -> Sound:
        sound = music(self.rng, 14)
        return self._on_line(Sound("none", "music", [], []), sound, leveled=sound)

    def nobody(self) -> Sound:
        return self._on_line(Sound("none", "silence", [], []), silence(12), leveled=np.ones(1))

    def _on_line(self, made: Sound, sound: Samples, leveled: Samples) -> Sound:
        """Through a telephone line: level, echo of our greeting, noise, mu-law."""
        rms = float(np.sqrt((leveled**2).mean())) + 1e-9
        sound = sound * (FULL_SCALE * gain(self.rng.uniform(-34, -16)) / rms if leveled.size > 1 else 1.0)
        ours = np.zeros(sound.size)
        if self.rng.random() < 0.75:
            greeting = self._ours[int(self.rng.integers(len(self._ours)))]
            at = int(self.rng.uniform(0.5, 1.2) * RATE_HZ)
            end = min(at + greeting.size, ours.size)
            ours[at:end] = greeting[: end - at]
            delay, loss = int(self.rng.uniform(0.05, 0.25) * RATE_HZ), self.rng.uniform(-50, -26)
            sound = sound + gain(loss) * np.concatenate([np.zeros(delay), ours])[: sound.size]
        noise = self.rng.standard_normal(sound.size)
        if self.rng.random() < 0.5:
            noise = np.convolve(noise, np.ones(4) / 2, "same")
        sound = sound + noise * FULL_SCALE * gain(self.rng.uniform(-72, -48))
        coded, played = to_ulaw(sound), to_ulaw(ours)
        starts = range(0, len(coded) // FRAME * FRAME, FRAME)
        made.frames = [coded[at : at + FRAME] for at in starts]
        loud = [bool(np.abs(ours[at : at + FRAME]).max() > 0) for at in starts]
        made.heard = [played[at : at + FRAME] if on else None for at, on in zip(starts, loud, strict=True)]
        return made
