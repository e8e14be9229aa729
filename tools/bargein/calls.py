"""Labelled calls, made up: a caller on some line, an assistant that plays, and who speaks when.

A call is a row of turns. The assistant plays in each; in some the caller talks over it, in all sorts of noise, echo and
coding; in others there is only what must not count as talking. The labels come from the clean speech.
"""

import io
import subprocess
import wave
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from tools.bargein import sounds
from tools.bargein.signals import (
    FRAME,
    FULL_SCALE,
    RATE_HZ,
    Samples,
    active_rms,
    band_pass,
    frame_levels,
    gain,
    place,
    reverberant,
    to_active,
    to_rms,
    to_ulaw,
)
from tools.bargein.speech import Phrase, at_speed, coloured

Rng = np.random.Generator
SECOND = 50
"""Frames in one."""


@dataclass
class Material:
    """What calls are made of."""

    callers: list[Phrase]
    assistants: list[Phrase]
    music: list[Samples]
    by_speaker: dict[str, list[Phrase]] = field(init=False)
    by_assistant: dict[str, list[Phrase]] = field(init=False)

    def __post_init__(self) -> None:
        self.by_speaker, self.by_assistant = grouped(self.callers), grouped(self.assistants)
        prompts = [name for name in self.by_speaker if "-" in name and name.split("-")[0] in ("allison", "june")]
        self.real, self.synthetic = prompts, [name for name in self.by_speaker if name not in prompts]


def grouped(phrases: list[Phrase]) -> dict[str, list[Phrase]]:
    found: dict[str, list[Phrase]] = {}
    for phrase in phrases:
        found.setdefault(phrase.speaker, []).append(phrase)
    return found


@dataclass
class Call:
    """mu-law of both sides, a byte a frame for `playing`, `voice` (1: the caller's clean speech is active) and the frames
    where he begins to talk over the assistant."""

    kind: str
    caller: NDArray[np.uint8]
    assistant: NDArray[np.uint8]
    playing: NDArray[np.uint8]
    voice: NDArray[np.uint8]
    onsets: list[int]
    sudden: bool


class Builder:
    """One call in the making: `line` is what the caller's telephone sends, `played` the assistant, `clean` the speech."""

    def __init__(self, material: Material, rng: Rng, frames: int) -> None:
        self.material, self.rng, self.frames = material, rng, frames
        self.n = frames * FRAME
        self.line, self.played, self.clean = np.zeros(self.n), np.zeros(self.n), np.zeros(self.n)
        self.playing, self.voice = np.zeros(frames, np.uint8), np.zeros(frames, np.uint8)
        self.onsets: list[int] = []
        self.sudden = False
        self.narrow, self.gsm, self.lossy = rng.random() < 0.5, rng.random() < 0.12, 0.0
        names = material.real if rng.random() < 0.55 or not material.synthetic else material.synthetic
        self.speaker = str(rng.choice(names))
        female = self.speaker in material.real
        self.speed = rng.uniform(0.76, 0.9) if female and rng.random() < 0.45 else rng.uniform(0.92, 1.2)
        others = [name for name in material.by_assistant if name.split("-")[0] != self.speaker.split("-")[0]]
        self.assistant_name = str(rng.choice(others))

    # --- who speaks

    def phrase(self, low_s: float, high_s: float, speaker: str | None = None) -> Samples:
        pool = self.material.by_speaker[speaker or self.speaker]
        fitting = [p for p in pool if low_s <= p.active_s <= high_s] or pool
        samples = at_speed(fitting[self.rng.integers(len(fitting))].samples, self.speed)
        return coloured(samples, self.rng) if self.rng.random() < 0.6 else samples

    def speech_run(self, n: int, speaker: str, gap: tuple[float, float] = (0.1, 0.5)) -> Samples:
        parts: list[Samples] = []
        size = 0
        speed = self.rng.uniform(0.78, 1.1)
        pool = self.material.by_speaker[speaker]
        while size < n:
            x = at_speed(pool[self.rng.integers(len(pool))].samples, speed)
            parts += [x / max(active_rms(x), 1e-6), np.zeros(int(self.rng.uniform(*gap) * RATE_HZ))]
            size += parts[-1].size + x.size
        return np.concatenate(parts)[:n]

    def babble(self) -> Samples:
        x = np.zeros(self.n)
        for name in self.rng.choice(list(self.material.by_speaker), int(self.rng.integers(3, 9))):
            offset = int(self.rng.integers(0, RATE_HZ))
            run = self.speech_run(self.n + RATE_HZ, str(name), (0.05, 0.3))
            x += run[offset : offset + self.n] * self.rng.uniform(0.5, 1.5)
        return reverberant(self.rng, x, self.rng.uniform(0.1, 0.5), 0.3)

    def song(self) -> Samples:
        if self.rng.random() < 0.5:
            return sounds.music(self.rng, self.n)
        track = self.material.music[self.rng.integers(len(self.material.music))]
        start = int(self.rng.integers(0, max(1, track.size - self.n)))
        x = track[start : start + self.n]
        x = np.pad(x, (0, self.n - x.size))
        return x if active_rms(x) > 100 else sounds.music(self.rng, self.n)

    def assistant_plays(self, start: int, end: int, dbfs: float) -> None:
        pool = self.material.by_assistant[self.assistant_name]
        at = start * FRAME
        while at < end * FRAME:
            x = pool[self.rng.integers(len(pool))].samples
            place(self.played[: end * FRAME], to_active(x, dbfs), at)
            at += x.size + int(self.rng.uniform(0.1, 0.5) * RATE_HZ)
        self.playing[start:end] = 1

    def caller_says(self, samples: Samples, dbfs: float, at: int) -> int:
        """Returns the frame after it. Marks the active frames."""
        samples = to_active(samples, dbfs)[: max(0, self.n - at)]
        place(self.clean, samples, at)
        first = at // FRAME
        padded = np.concatenate([np.zeros(at % FRAME), samples, np.zeros(FRAME)])
        levels = frame_levels(band_pass(padded, 80, None))
        full = 20 * np.log10(max(active_rms(samples), 1e-6))
        active = levels > full - 25
        end = min(self.frames, first + active.size)
        self.voice[first:end] |= active[: end - first].astype(np.uint8)
        if self.playing[first] if first < self.frames else 0:
            begin = first_speech(levels, full)
            if begin is not None and first + begin < self.frames:
                self.onsets.append(first + begin)
        return end

    # --- what is around them

    def idle(self, low: float = -74, high: float = -57) -> None:
        make = (sounds.white, sounds.pink, sounds.brown)[self.rng.integers(3)]
        self.line += to_rms(make(self.rng, self.n), self.rng.uniform(low, high))

    def background(self, x: Samples, dbfs: float, active: bool = True) -> None:
        self.line += np.clip((to_active if active else to_rms)(x, dbfs), -24000, 24000)

    def events(self, make: Callable[[Rng], Samples], low: float, high: float, gap: tuple[float, float]) -> None:
        at = int(self.rng.uniform(0.2, 1.0) * RATE_HZ)
        while at < self.n - RATE_HZ // 4:
            x = make(self.rng)
            loudest = frame_levels(np.concatenate([x, np.zeros(FRAME)])).max() - 20 * np.log10(FULL_SCALE)
            place(self.line, x * gain(self.rng.uniform(low, high) - loudest), at)
            at += x.size + int(self.rng.uniform(*gap) * RATE_HZ)

    def echo(self, loss_db: float) -> None:
        """The assistant out of the caller's loudspeaker, through his room, into his microphone."""
        rng = self.rng
        delay = int(rng.uniform(30, 300) * RATE_HZ / 1000)
        x = band_pass(self.played, rng.uniform(120, 400), rng.uniform(2600, 3700), 1)
        if rng.random() < 0.35:
            limit = active_rms(x) * rng.uniform(0.8, 2.5)
            x = np.tanh(x / limit) * limit
        x = reverberant(rng, x, rng.uniform(0.2, 1.2), rng.uniform(0.02, 0.18))
        x = np.concatenate([np.zeros(delay), x])[: self.n]
        if rng.random() < 0.35:  # a suppressor that opens and closes
            steps = np.where(rng.random(self.n // 800 + 2) < 0.5, 1.0, gain(-rng.uniform(6, 20)))
            x = x * np.convolve(np.repeat(steps, 800)[: self.n], np.ones(160) / 160, "same")
        if rng.random() < 0.2:  # the telephone is moved
            x = x * sounds.wander(rng, self.n, 0.5, 0.3)
        self.line += x * (active_rms(self.played) * gain(-loss_db) / max(active_rms(x), 1e-6))

    def finished(self, kind: str) -> Call:
        x = self.line + self.clean
        if self.narrow:
            x = band_pass(x, self.rng.uniform(200, 320), self.rng.uniform(3200, 3500))
        if self.rng.random() < 0.1:
            x = x + self.rng.uniform(-400, 400)
        x = np.clip(np.rint(x), -32768, 32767)
        if self.gsm:
            x = through_gsm(x)
        caller = to_ulaw(x).reshape(self.frames, FRAME)
        if self.lossy:
            caller[self.rng.random(self.frames) < self.lossy] = 0xFF
        if self.rng.random() < 0.05:  # a network that sends nothing in pauses
            quiet = frame_levels(x) < 20 * np.log10(FULL_SCALE) - self.rng.uniform(48, 60)
            caller[quiet] = 0xFF
        assistant = to_ulaw(self.played).reshape(self.frames, FRAME)
        return Call(kind, caller, assistant, self.playing, self.voice, self.onsets, self.sudden)


def first_speech(levels: Samples, full: float) -> int | None:
    """The first frame from where on it really is speech: not a click before it, not a breath."""
    on = levels > full - 25
    for i in np.flatnonzero(on):
        if on[i : i + 5].sum() >= 4 and 10 * np.log10((10 ** (levels[i : i + 10] / 10)).mean()) > full - 15:
            return int(i)
    return None


def through_gsm(x: Samples) -> Samples:
    """GSM full rate and back, by sox."""
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(x.astype("<i2").tobytes())
    coded = subprocess.run(["sox", "-t", "wav", "-", "-t", "gsm", "-"], input=content.getvalue(), capture_output=True)
    raw = subprocess.run(
        ["sox", "-t", "gsm", "-r", "8000", "-", "-t", "s16", "-"], input=coded.stdout, capture_output=True
    )
    y = np.frombuffer(raw.stdout, "<i2").astype(float)
    return np.pad(y, (0, max(0, x.size - y.size)))[: x.size]


# --- calls in which the caller talks over the assistant


def level_of(rng: Rng) -> float:
    """Active level of a caller, dBFS: mostly as on a telephone, some far, some right in the microphone."""
    chance = rng.random()
    return rng.uniform(-28, -17) if chance < 0.66 else rng.uniform(-40, -28) if chance < 0.89 else rng.uniform(-14, -3)


def interrupted(material: Material, rng: Rng, kind: str) -> Call:
    turns = int(rng.choice([1, 2, 3], p=[0.6, 0.25, 0.15]))
    plans, at = [], int(rng.uniform(0.3, 4.0) * SECOND)
    for _ in range(turns):
        said = rng.uniform(0.4, 3.0) if rng.random() < 0.5 else 0.0
        play = at + int((said + (rng.uniform(0.3, 1.3) if said else 0.0)) * SECOND)
        lead, over = rng.uniform(0.25, 4.0), rng.uniform(0.4, 2.4)
        onset = play + int(lead * SECOND)
        stop = onset + int(over * SECOND)
        plans.append((at, said, play, onset, stop))
        at = stop + int(rng.uniform(0.3, 1.0) * SECOND)
    call = Builder(material, rng, plans[-1][4])
    level, spoken_to = level_of(rng), rng.uniform(-26, -14)
    for begin, said, play, onset, stop in plans:
        call.assistant_plays(play, stop, spoken_to)
        if said:
            size = (play - begin) * FRAME - int(rng.uniform(0.3, 0.5) * RATE_HZ)
            call.caller_says(call.phrase(said * 0.5, said)[: max(800, size)], level, begin * FRAME)
        if kind == "through":  # he was speaking when the assistant began
            before = int(rng.uniform(0.3, 1.5) * RATE_HZ)
            long = call.phrase(1.5, 8.0)
            call.caller_says(long[: before + int(1.5 * RATE_HZ)], level, max(0, play * FRAME - before))
            if long.size > before + RATE_HZ // 2:
                call.onsets.append(play)
            continue
        at_sample = onset * FRAME + int(rng.integers(FRAME))
        if kind == "vowel":
            call.sudden = True
            call.caller_says(sounds.vowel(rng), level, onset * FRAME)
        else:
            low, high = (0.14, 0.5) if kind == "short" else (0.4, 6.0)
            call.caller_says(call.phrase(low, high)[: int(2.6 * RATE_HZ)], level, at_sample)
    surround(call, kind, level)
    return call.finished("over-" + kind)


def surround(call: Builder, kind: str, level: float) -> None:
    """What is on the line besides the caller who interrupts."""
    rng = call.rng
    call.idle()
    loss = rng.uniform(38, 58) if rng.random() < 0.5 else None
    snr = rng.uniform(0, 22)
    if kind == "noise":
        name = str(rng.choice(list(sounds.STATIONARY)))
        call.background(sounds.STATIONARY[name](rng, call.n), level - snr, active=False)
    elif kind == "restless":
        name = str(rng.choice(list(sounds.RESTLESS)))
        call.background(sounds.RESTLESS[name](rng, call.n), level - rng.uniform(4, 22), active=False)
    elif kind == "babble":
        call.background(call.babble(), level - rng.uniform(4, 18))
    elif kind == "music":
        call.background(call.song(), level - rng.uniform(4, 18))
    elif kind == "room":
        call.events((sounds.typing, sounds.knock, sounds.rustle)[rng.integers(3)], level - 18, level - 4, (0.2, 2))
    elif kind == "lossy":
        call.lossy = rng.uniform(0.01, 0.06)
    elif kind == "echo":
        loss = rng.uniform(8, 32)
        if rng.random() < 0.35:
            call.background(sounds.pink(rng, call.n), level - rng.uniform(10, 20), active=False)
    if loss is not None:
        call.echo(loss)


def instrument(material: Material, rng: Rng) -> Call:
    """A test set's call: digital silence or little noise, and a steady voice at a voice's level, over anything."""
    frames = int(rng.uniform(1, 12) * SECOND)
    call = Builder(material, rng, frames)
    call.narrow, call.gsm, call.sudden = False, False, True
    start = 0 if rng.random() < 0.4 else min(frames - 1, int(rng.uniform(0, 3) * SECOND))
    call.assistant_plays(start, frames, rng.uniform(-26, -14))
    if rng.random() < 0.4:
        call.played[start * FRAME :] = rng.standard_normal(call.n - start * FRAME) * rng.uniform(300, 6000)
    elif rng.random() < 0.2:
        call.played[:] = 0
    if rng.random() < 0.6:
        call.idle(-84, -56)
    at = max(0, start + int(rng.choice([-30, -8, 0, 1, 2, 5, 20, 50]) * rng.uniform(1, 2)))
    level = rng.uniform(-26, -6)
    while at + 16 < frames:
        n = int(rng.integers(10, 31))
        sound = to_active(sounds.steady(rng, n * 0.02), level)[: call.n - at * FRAME]
        place(call.clean, sound, at * FRAME)
        call.voice[at : at + n] = 1
        call.onsets.append(max(at, start))
        stop = max(at, start) + int(rng.integers(5, n))
        at += n + int(rng.uniform(0.3, 3) * SECOND)
        if rng.random() < 0.6:
            call.playing[stop : at - 12] = 0
            call.played[stop * FRAME : (at - 12) * FRAME] = 0
    return call.finished("over-instrument")


# --- calls in which nobody talks over it


def undisturbed(material: Material, rng: Rng, kind: str) -> Call:
    pre, seconds = rng.uniform(0.3, 4.0), rng.uniform(7, 16)
    spurts = int(rng.choice([1, 2], p=[0.7, 0.3]))
    frames = int((pre + seconds) * SECOND) + (spurts - 1) * SECOND
    call = Builder(material, rng, frames)
    level = level_of(rng)
    start = int(pre * SECOND)
    middle = (start + frames) // 2
    spoken_to = rng.uniform(-26, -14)
    call.assistant_plays(start, frames if spurts == 1 else middle - SECOND // 2, spoken_to)
    if spurts == 2:
        call.assistant_plays(middle + SECOND // 2, frames, spoken_to)
    if rng.random() < 0.35 and pre > 1.2:
        end = start * FRAME - int(rng.uniform(0.4, 1.2) * RATE_HZ)
        said = call.phrase(0.4, 3.0)[:end]
        call.caller_says(said, level, max(0, end - said.size))
    loss = rng.uniform(36, 58) if rng.random() < 0.5 else None
    NOTHING[kind](call, rng)
    if kind.startswith("echo"):
        loss = rng.uniform(8, 16) if kind == "echo-loud" else rng.uniform(16, 36)
    if loss is not None:
        call.echo(loss)
    return call.finished("not-" + kind)


def stationary(call: Builder, rng: Rng) -> None:
    name = str(rng.choice(list(sounds.STATIONARY)))
    call.background(sounds.STATIONARY[name](rng, call.n), rng.uniform(-55, -20), active=False)


def steps(call: Builder, rng: Rng) -> None:
    """A lorry passes, a door opens to the street."""
    makers = {**sounds.STATIONARY, **sounds.RESTLESS}
    x = to_rms(makers[str(rng.choice(list(makers)))](rng, call.n), rng.uniform(-56, -40))
    curve, at = np.zeros(call.n), int(rng.uniform(0.5, 4) * RATE_HZ)
    while at < call.n:
        up = rng.uniform(8, 22)
        rise, hold, fall = (int(rng.uniform(*span) * RATE_HZ) for span in ((0.1, 1.2), (0.5, 5), (0.3, 2)))
        shape = np.concatenate([np.linspace(0, up, rise), np.full(hold, up), np.linspace(up, 0, fall)])
        place(curve, shape, at)
        at += shape.size + int(rng.uniform(1, 4) * RATE_HZ)
    call.line += x * 10 ** (curve / 20)


def television(call: Builder, rng: Rng) -> None:
    name = str(rng.choice(list(call.material.by_speaker)))
    x = reverberant(
        rng, band_pass(call.speech_run(call.n, name), 200, 3000, 1), rng.uniform(0.4, 1.5), rng.uniform(0.2, 0.6)
    )
    level = rng.uniform(-54, -36)
    call.background(x, level)
    if rng.random() < 0.6:
        call.background(call.song(), level - rng.uniform(0, 12))


def crackle(call: Builder, rng: Rng) -> None:
    for at in range(0, call.n, RATE_HZ // 2):
        n = min(RATE_HZ // 2, call.n - at)
        if rng.random() < 0.5:
            impulses = (rng.random(n) < rng.uniform(20, 500) / RATE_HZ) * rng.standard_normal(n)
            pole = rng.uniform(0, 0.8)
            shaped = np.convolve(impulses, pole ** np.arange(12))[:n]
            call.line[at : at + n] += shaped * FULL_SCALE * gain(rng.uniform(-24, -3))


def offset(call: Builder, rng: Rng) -> None:
    call.narrow = False
    x = np.full(call.n, rng.choice([-1, 1]) * rng.uniform(100, 3500))
    if rng.random() < 0.6:
        for at in range(0, call.n, int(rng.uniform(1, 5) * RATE_HZ)):
            x[at:] = rng.choice([-1, 1]) * rng.uniform(0, 3500)
    call.line += x


def gated(call: Builder, rng: Rng) -> None:
    """Comfort noise that comes and goes."""
    x = to_rms(sounds.pink(rng, call.n), rng.uniform(-56, -36))
    at, on = 0, True
    while at < call.n:
        n = int(rng.uniform(0.1, 2.0) * RATE_HZ)
        if not on:
            x[at : at + n] = 0
        at, on = at + n, not on
    call.line += x


def eventful(
    make: Callable[[Rng], Samples], low: float, high: float, gap: tuple[float, float]
) -> Callable[[Builder, Rng], None]:
    def fill(call: Builder, rng: Rng) -> None:
        call.idle()
        call.events(make, low, high, gap)

    return fill


def lasting(make: Callable[[Builder], Samples], low: float, high: float) -> Callable[[Builder, Rng], None]:
    def fill(call: Builder, rng: Rng) -> None:
        call.idle()
        call.background(make(call), rng.uniform(low, high))

    return fill


def restless(call: Builder, rng: Rng) -> None:
    name = str(rng.choice(list(sounds.RESTLESS)))
    call.idle()
    call.background(sounds.RESTLESS[name](rng, call.n), rng.uniform(-50, -24), active=False)


NOTHING: dict[str, Callable[[Builder, Rng], None]] = {
    "idle": lambda call, rng: call.idle(-88, -56),
    "stationary": stationary,
    "steps": steps,
    "restless": restless,
    "slam": eventful(sounds.slam, -30, -8, (0.6, 4)),
    "knock": eventful(sounds.knock, -36, -10, (0.3, 3)),
    "click": eventful(sounds.click, -44, -16, (0.05, 0.5)),
    "typing": eventful(sounds.typing, -46, -20, (0.2, 1.5)),
    "rustle": eventful(sounds.rustle, -44, -18, (0.3, 2)),
    "crackle": crackle,
    "dtmf": eventful(sounds.dtmf, -26, -6, (0.05, 1.5)),
    "beep": eventful(sounds.beep, -36, -8, (0.15, 2)),
    "ringtone": eventful(sounds.ringtone, -40, -12, (0.3, 3)),
    "whistle": eventful(sounds.whistle, -40, -12, (0.3, 3)),
    "buzz": eventful(sounds.buzz, -44, -22, (0.2, 2)),
    "cough": eventful(sounds.cough, -30, -6, (0.6, 4)),
    "sneeze": eventful(sounds.sneeze, -30, -8, (1, 4)),
    "breath": eventful(sounds.breath, -50, -26, (0.5, 3)),
    "music": lasting(lambda call: call.song(), -46, -18),
    "babble": lasting(lambda call: call.babble(), -50, -30),
    "television": television,
    "offset": offset,
    "gated": gated,
    "echo": lambda call, rng: call.idle(-80, -55),
    "echo-noise": lambda call, rng: stationary(call, rng),
    "echo-loud": lambda call, rng: call.idle(-75, -55),
}
OVER = {"plain": 5, "through": 1.2, "short": 4, "vowel": 1.5, "noise": 5, "restless": 2, "babble": 2.5, "music": 3, "room": 1.5, "lossy": 1,
        "echo": 7}  # fmt: skip
NOT = {"idle": 1, "stationary": 2, "steps": 2, "restless": 1, "slam": 1.5, "knock": 1, "click": 0.7, "typing": 0.7,
       "rustle": 0.7, "crackle": 1, "dtmf": 1.2, "beep": 2.5, "ringtone": 1, "whistle": 0.7, "buzz": 1, "cough": 4, "sneeze": 0.6,
       "breath": 1, "music": 3, "babble": 1, "television": 1, "offset": 0.7, "gated": 0.7, "echo": 2.5, "echo-noise": 3,
       "echo-loud": 2}  # fmt: skip


def make_call(material: Material, seed: int, index: int, over_share: float = 0.6) -> Call:
    """Call number `index` of a set: depends on nothing but the material, the seed and the index."""
    rng = np.random.Generator(np.random.PCG64([seed, index]))
    table, build = (OVER, interrupted) if rng.random() < over_share else (NOT, undisturbed)
    shares = np.array(list(table.values()), float)
    kind = str(rng.choice(list(table), p=shares / shares.sum()))
    return build(material, rng, kind)
