"""What is on a telephone line besides speech, made from nothing: noises that last, and events that come and go.

Every function takes a random generator (and, for what lasts, a number of samples) and returns samples at no particular
level. They are meant to be many and different rather than beautiful: the detector must not learn one cough.
"""

from collections.abc import Callable

import numpy as np
from scipy import signal
from tools.bargein.signals import RATE_HZ, Samples, band_pass, gain, place, reverberant

Rng = np.random.Generator
TAU = 2 * np.pi


def unit(x: Samples) -> Samples:
    return x / max(float(np.sqrt((x**2).mean())), 1e-9)


def wander(rng: Rng, n: int, per_second: float, depth: float) -> Samples:
    """A slow random curve around 1."""
    points = int(n / RATE_HZ * per_second) + 3
    return np.maximum(0.05, 1 + depth * np.interp(np.arange(n), np.arange(points) * RATE_HZ / per_second,
                                                  rng.standard_normal(points)))  # fmt: skip


# --- what lasts


def white(rng: Rng, n: int) -> Samples:
    return rng.standard_normal(n)


def falling(rng: Rng, n: int, power: float) -> Samples:
    spectrum = np.fft.rfft(rng.standard_normal(n))
    f = np.fft.rfftfreq(n, 1 / RATE_HZ)
    spectrum *= np.maximum(f, 25) ** -power
    spectrum[f < 20] = 0
    return np.fft.irfft(spectrum, n)


def pink(rng: Rng, n: int) -> Samples:
    return falling(rng, n, 0.5)


def brown(rng: Rng, n: int) -> Samples:
    return falling(rng, n, rng.uniform(0.8, 1.2))


def hum(rng: Rng, n: int) -> Samples:
    f0, t = rng.choice([50.0, 60.0, 100.0, 120.0]) * (1 + rng.uniform(-0.003, 0.003)), np.arange(n) / RATE_HZ
    slope = rng.uniform(0.5, 1.6)
    x = sum(
        (1.0 if h % 2 else rng.uniform(0.2, 1)) / h**slope * np.sin(TAU * f0 * h * t + rng.uniform(0, TAU))
        for h in range(1, int(rng.integers(5, 20)))
    )
    return unit(x) + rng.uniform(0.01, 0.1) * rng.standard_normal(n)


def engine(rng: Rng, n: int) -> Samples:
    """A car from within: rumble, firing order, hiss of the tyres."""
    t = np.arange(n) / RATE_HZ
    rumble = unit(band_pass(rng.standard_normal(n), None, rng.uniform(120, 450)))
    speed = rng.uniform(22, 70) * (1 + 0.08 * np.sin(TAU * rng.uniform(0.03, 0.3) * t + rng.uniform(0, TAU)))
    phase = TAU * np.cumsum(speed) / RATE_HZ
    orders = sum(np.sin(h * phase + rng.uniform(0, TAU)) / h for h in (1, 2, 3, 4, 6, 8))
    return (
        rumble * wander(rng, n, 2, 0.25) + rng.uniform(0.1, 0.7) * orders + rng.uniform(0.05, 0.4) * unit(pink(rng, n))
    )


def fan(rng: Rng, n: int) -> Samples:
    t = np.arange(n) / RATE_HZ
    beat = 1 + rng.uniform(0, 0.4) * np.sin(TAU * rng.uniform(4, 25) * t)
    blade = np.sin(TAU * rng.uniform(80, 400) * t) * rng.uniform(0, 0.5)
    return unit(band_pass(rng.standard_normal(n), rng.uniform(60, 300), rng.uniform(700, 3500), 1)) * beat + blade


def wind(rng: Rng, n: int) -> Samples:
    """Gusts into a microphone: low, heaving, now and then clipped."""
    gusts = wander(rng, n, rng.uniform(0.7, 3), 0.9) ** rng.uniform(1, 2)
    flutter = wander(rng, n, rng.uniform(10, 40), 0.4)
    x = unit(falling(rng, n, rng.uniform(0.7, 1.4))) * gusts * flutter
    return x + rng.uniform(0, 0.15) * rng.standard_normal(n) * gusts


def water(rng: Rng, n: int) -> Samples:
    return unit(band_pass(rng.standard_normal(n), rng.uniform(300, 1000), 3700, 1)) * wander(
        rng, n, rng.uniform(5, 40), 0.3
    )


def crowd_hiss(rng: Rng, n: int) -> Samples:
    """A hall: speech-shaped noise that heaves like speech."""
    low = unit(band_pass(rng.standard_normal(n), 200, rng.uniform(600, 1100), 1)) * wander(rng, n, 4, 0.35)
    high = unit(band_pass(rng.standard_normal(n), 1000, 3000, 1)) * wander(rng, n, 5, 0.35)
    return low + rng.uniform(0.2, 0.6) * high


STATIONARY: dict[str, Callable[[Rng, int], Samples]] = {
    "white": white, "pink": pink, "brown": brown, "hum": hum, "engine": engine, "fan": fan,
}  # fmt: skip
RESTLESS: dict[str, Callable[[Rng, int], Samples]] = {"wind": wind, "water": water, "hall": crowd_hiss}


def music(rng: Rng, n: int) -> Samples:
    """Chords, a tune, a bass and drums, in some tempo."""
    x = np.zeros(n)
    beat = int(RATE_HZ * 60 / rng.uniform(70, 150))
    root, scale = (
        rng.uniform(80, 160),
        np.array([0, 2, 3, 5, 7, 8, 10] if rng.random() < 0.5 else [0, 2, 4, 5, 7, 9, 11]),
    )
    parts = rng.random(4) < 0.75
    parts[rng.integers(4)] = True
    brightness = rng.uniform(0.8, 2.2)
    for start in range(0, n, beat):
        if parts[0] and start // beat % 4 == 0:
            degree = rng.integers(7)
            for step in (0, 2, 4):
                note = 2 * root * 2 ** (scale[(degree + step) % 7] / 12)
                place(x, tone(rng, note, 4 * beat / RATE_HZ, brightness, 1.5) * 0.3, start)
        if parts[1]:
            for part in range(int(rng.integers(1, 3))):
                note = 4 * root * 2 ** (scale[rng.integers(7)] / 12)
                place(
                    x,
                    tone(rng, note, beat / RATE_HZ * rng.uniform(0.4, 1.5), brightness, 0.4),
                    start + part * beat // 2,
                )
        if parts[2]:
            place(x, tone(rng, root * 2 ** (scale[rng.integers(7)] / 12), beat / RATE_HZ, 1.2, 0.3) * 0.8, start)
        if parts[3]:
            place(x, drum(rng) * 1.5, start + (beat // 2 if rng.random() < 0.3 else 0))
    return x + 1e-3 * rng.standard_normal(n)


def tone(rng: Rng, f0: float, seconds: float, brightness: float, decay_s: float) -> Samples:
    t = np.arange(max(80, int(seconds * RATE_HZ))) / RATE_HZ
    vibrato = f0 * (1 + rng.uniform(0, 0.006) * np.sin(TAU * 5.5 * t))
    phase = TAU * np.cumsum(vibrato) / RATE_HZ
    count = int(min(12, 3600 / f0)) or 1
    x = sum(np.sin(h * phase + rng.uniform(0, TAU)) / h**brightness for h in range(1, count + 1))
    return x * np.exp(-t / decay_s) * np.minimum(1, t / rng.uniform(0.003, 0.03))


def drum(rng: Rng) -> Samples:
    t = np.arange(int(0.2 * RATE_HZ)) / RATE_HZ
    body = np.sin(TAU * rng.uniform(50, 250) * t * np.exp(-t * 3)) * np.exp(-t / rng.uniform(0.03, 0.1))
    return body + rng.uniform(0, 1) * rng.standard_normal(t.size) * np.exp(-t / rng.uniform(0.01, 0.06))


# --- events


def slam(rng: Rng) -> Samples:
    t = np.arange(int(rng.uniform(0.2, 0.7) * RATE_HZ)) / RATE_HZ
    thud = sum(
        rng.uniform(0.3, 1)
        * np.sin(TAU * rng.uniform(45, 350) * t + rng.uniform(0, TAU))
        * np.exp(-t / rng.uniform(0.02, 0.13))
        for _ in range(int(rng.integers(2, 6)))
    )
    crack = rng.standard_normal(t.size) * np.exp(-t / rng.uniform(0.004, 0.04)) * rng.uniform(0.3, 1.5)
    return reverberant(rng, thud + crack, rng.uniform(0.2, 0.9), rng.uniform(0.1, 0.5))


def knock(rng: Rng) -> Samples:
    """Taps on wood, a cup on a table: damped modes, one to four times."""
    t = np.arange(int(0.12 * RATE_HZ)) / RATE_HZ
    modes = [(rng.uniform(120, 2800), rng.uniform(0.004, 0.03)) for _ in range(int(rng.integers(2, 6)))]
    tap = sum(np.sin(TAU * f * t) * np.exp(-t / d) for f, d in modes) + 0.3 * rng.standard_normal(t.size) * np.exp(
        -t / 0.003
    )
    taps = [np.concatenate([tap * rng.uniform(0.5, 1), np.zeros(int(rng.uniform(0.02, 0.2) * RATE_HZ))])
            for _ in range(int(rng.integers(1, 5)))]  # fmt: skip
    return np.concatenate(taps)


def click(rng: Rng) -> Samples:
    t = np.arange(int(0.04 * RATE_HZ)) / RATE_HZ
    return band_pass(rng.standard_normal(t.size), rng.uniform(400, 1200), 3600, 1) * np.exp(
        -t / rng.uniform(0.0005, 0.006)
    )


def typing(rng: Rng) -> Samples:
    keys = [np.concatenate([click(rng) * rng.uniform(0.3, 1), np.zeros(int(rng.uniform(0.03, 0.2) * RATE_HZ))])
            for _ in range(int(rng.integers(3, 12)))]  # fmt: skip
    return np.concatenate(keys)


def rustle(rng: Rng) -> Samples:
    """Paper, cloth on the microphone."""
    n = int(rng.uniform(0.2, 1.2) * RATE_HZ)
    grains = (rng.random(n) < rng.uniform(0.01, 0.15)) * rng.standard_normal(n)
    return band_pass(grains, rng.uniform(200, 1500), 3700, 1) * wander(rng, n, 12, 0.8) * np.hanning(n) ** 0.5


def formants(rng: Rng, x: Samples) -> Samples:
    y = rng.uniform(0.1, 0.5) * x
    for low, high in ((300, 1000), (900, 2000), (2000, 3400)):
        b, a = signal.iirpeak(rng.uniform(low, high), rng.uniform(1.5, 7), fs=RATE_HZ)
        y = y + signal.lfilter(b, a, x) * rng.uniform(0.5, 3)
    return y


def glottal(rng: Rng, seconds: float, low_hz: float, high_hz: float, glide: float) -> Samples:
    """A buzz whose pitch glides, with a throat's irregularity."""
    n = max(160, int(seconds * RATE_HZ))
    f0 = rng.uniform(low_hz, high_hz) * (1 + glide * np.linspace(0, 1, n)) * wander(rng, n, 30, rng.uniform(0, 0.02))
    phase = TAU * np.cumsum(f0) / RATE_HZ
    slope = rng.uniform(0.6, 1.3)
    count = max(2, int(3600 / f0.max()))
    return sum(np.sin(h * phase) / h**slope for h in range(1, count + 1))


def cough(rng: Rng) -> Samples:
    """Mostly bursts, each through another throat; else a fit in one throat, or a throat that is cleared."""
    chance = rng.random()
    return barks(rng) if chance < 0.7 else fit_of_coughing(rng) if chance < 0.92 else throat_clearing(rng)


def fit_of_coughing(rng: Rng) -> Samples:
    """The same throat each time: a crack, hoarse air, at the end of some the cords close on it; weaker and weaker."""
    low, high, noisy = rng.uniform(250, 900), rng.uniform(1600, 3500), rng.uniform(0.15, 0.9)
    throat, fade = int(rng.integers(1 << 30)), rng.uniform(0.6, 1.0)
    out = []
    for index in range(int(rng.integers(1, 7))):
        n = int(rng.uniform(0.1, 0.45) * RATE_HZ)
        t = np.arange(n) / RATE_HZ
        air = band_pass(rng.standard_normal(n), low, high, 1)
        cords = unit(glottal(rng, (n + 1) / RATE_HZ, 100, 400, rng.uniform(-0.6, 0.2)))[:n]
        closing = np.clip((t - rng.uniform(0.0, 0.2)) / rng.uniform(0.02, 0.1), 0, 1) * (rng.random() < 0.3)
        x = unit(air) + (1 - noisy) * closing * cords
        x = formants(np.random.default_rng(throat), x)
        x *= np.minimum(1, t / rng.uniform(0.001, 0.02)) * np.exp(-t / rng.uniform(0.05, 0.3)) * edges(n, 0.01)
        out += [unit(x) * fade**index * rng.uniform(0.6, 1), np.zeros(int(rng.uniform(0.02, 0.35) * RATE_HZ))]
    return np.concatenate(out)


def throat_clearing(rng: Rng) -> Samples:
    """A scrape: noise that the loose cords chop at 25 to 80 times a second."""
    n = int(rng.uniform(0.2, 0.8) * RATE_HZ)
    rate = rng.uniform(25, 80) * wander(rng, n, 20, rng.uniform(0.05, 0.3))
    chopped = np.maximum(0, np.sin(TAU * np.cumsum(rate) / RATE_HZ)) ** rng.uniform(0.5, 3)
    return formants(rng, rng.standard_normal(n)) * (chopped + rng.uniform(0.05, 0.5)) * np.hanning(n) ** 0.5


def barks(rng: Rng) -> Samples:
    """One to four bursts of noise through a throat, some with a voiced tail."""
    out = []
    for _ in range(int(rng.integers(1, 5))):
        n = int(rng.uniform(0.08, 0.35) * RATE_HZ)
        t = np.arange(n) / RATE_HZ
        burst = formants(rng, rng.standard_normal(n)) * np.minimum(1, t / rng.uniform(0.002, 0.03))
        burst *= np.exp(-t / rng.uniform(0.04, 0.22))
        if rng.random() < 0.5:
            tail = formants(rng, glottal(rng, rng.uniform(0.05, 0.16), 90, 320, rng.uniform(-0.45, 0.05)))
            tail = unit(tail) * np.hanning(tail.size) + rng.uniform(0.2, 0.8) * rng.standard_normal(
                tail.size
            ) * np.hanning(tail.size)
            burst = np.concatenate([burst, tail * np.abs(burst).max() * rng.uniform(0.1, 0.4) / np.abs(tail).max()])
        out += [burst * rng.uniform(0.5, 1), np.zeros(int(rng.uniform(0.03, 0.3) * RATE_HZ))]
    return np.concatenate(out)


def sneeze(rng: Rng) -> Samples:
    n = int(rng.uniform(0.2, 0.5) * RATE_HZ)
    t = np.arange(n) / RATE_HZ
    x = band_pass(rng.standard_normal(n), rng.uniform(600, 1500), 3600, 1)
    return x * np.minimum(1, t / 0.01) * np.exp(-t / rng.uniform(0.08, 0.2))


def breath(rng: Rng) -> Samples:
    n = int(rng.uniform(0.15, 1.0) * RATE_HZ)
    x = band_pass(rng.standard_normal(n), rng.uniform(150, 700), rng.uniform(1500, 3700), 1)
    return (formants(rng, x) if rng.random() < 0.5 else x) * np.hanning(n) ** rng.uniform(0.5, 1.5)


KEYS = [(low, high) for low in (697, 770, 852, 941) for high in (1209, 1336, 1477, 1633)]
PROGRESS = [(400,), (425,), (440,), (450,), (480,), (620,), (1000,), (1100,), (1400,), (2000,), (2100,), (350, 440), (440, 480),
            (480, 620), (950,), (1800,), (400, 450), (941, 1477)]  # fmt: skip


def dtmf(rng: Rng) -> Samples:
    low, high = KEYS[rng.integers(16)]
    n = int(rng.uniform(0.05, 0.3 if rng.random() < 0.75 else 1.2) * RATE_HZ)
    t = np.arange(n) / RATE_HZ
    x = np.sin(TAU * low * t * rng.uniform(0.985, 1.015)) + gain(rng.uniform(-4, 6)) * np.sin(TAU * high * t)
    return x * edges(n, rng.uniform(0.001, 0.008))


def beep(rng: Rng) -> Samples:
    n = int(rng.uniform(0.06, 1.2) * RATE_HZ)
    t = np.arange(n) / RATE_HZ
    pitches = (
        PROGRESS[rng.integers(len(PROGRESS))]
        if rng.random() < 0.6
        else tuple(rng.uniform(300, 3000, int(rng.integers(1, 3))))
    )
    x = sum(np.sin(TAU * f * t + rng.uniform(0, TAU)) * rng.uniform(0.5, 1) for f in pitches)
    kind = rng.random()
    if kind < 0.2:
        x = np.sign(x) * 0.5 + 0.1 * x
    elif kind < 0.4:
        x = x + rng.uniform(0, 0.5) * sum(np.sin(TAU * 2 * f * t) for f in pitches) + rng.uniform(0, 0.3) * x**2
    if rng.random() < 0.2:
        x = x * (np.sin(TAU * rng.uniform(8, 30) * t) > 0)
    return x * edges(n, rng.uniform(0.001, 0.02))


def ringtone(rng: Rng) -> Samples:
    """A few high notes one after the other, or two that warble."""
    notes = rng.uniform(500, 2500, int(rng.integers(2, 5)))
    step = rng.uniform(0.04, 0.2)
    parts = [
        tone(rng, note, step, rng.uniform(1.5, 4), rng.uniform(0.05, 1))
        for note in np.tile(notes, int(rng.integers(1, 4)))
    ]
    return np.concatenate(parts)


def whistle(rng: Rng) -> Samples:
    """A glide of one partial: a whistle, a bird, a siren far away."""
    n = int(rng.uniform(0.1, 1.0) * RATE_HZ)
    f = rng.uniform(600, 2800) * (
        1 + rng.uniform(-0.3, 0.3) * np.sin(TAU * rng.uniform(0.5, 6) * np.arange(n) / RATE_HZ)
    )
    return np.sin(TAU * np.cumsum(f) / RATE_HZ) * edges(n, 0.02) + 0.02 * rng.standard_normal(n)


def buzz(rng: Rng) -> Samples:
    """A telephone that vibrates on a table: a motor's hum that rattles."""
    n = int(rng.uniform(0.3, 1.2) * RATE_HZ)
    t = np.arange(n) / RATE_HZ
    f = rng.uniform(110, 240) * (1 + 0.02 * np.sin(TAU * rng.uniform(1, 6) * t))
    phase = TAU * np.cumsum(f) / RATE_HZ
    count = int(rng.integers(4, 16))
    x = sum(
        rng.uniform(0.1, 1) / h ** rng.uniform(0.1, 1.2) * np.sin(h * phase + rng.uniform(0, TAU))
        for h in range(1, count)
    )
    rattle = rng.standard_normal(n) * np.maximum(0, np.sin(phase)) ** 4 * rng.uniform(0.1, 1.2)
    return (unit(x) + rattle) * edges(n, rng.uniform(0.01, 0.08))


def vowel(rng: Rng) -> Samples:
    """A steady voiced sound, "mmm" or "aaa", also as plain as a sum of a few harmonics: this one IS a voice."""
    seconds = rng.uniform(0.2, 0.8)
    if rng.random() < 0.5:
        x = formants(rng, glottal(rng, seconds, 85, 300, rng.uniform(-0.2, 0.2)))
        return x * edges(x.size, rng.uniform(0.002, 0.03))
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    f0 = rng.uniform(90, 280)
    count = int(min(rng.integers(4, 12), 3400 / f0))
    x = sum(
        rng.uniform(0.15, 1) * np.sin(TAU * f0 * h * t + rng.uniform(0, TAU) * (rng.random() < 0.5))
        for h in range(1, count + 1)
    )
    return x * edges(t.size, rng.uniform(0.0001, 0.01))


def steady(rng: Rng, seconds: float) -> Samples:
    """A voice as test instruments have it: some harmonics that fall off, begun and ended at once."""
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    f0 = rng.uniform(100, 280) if rng.random() < 0.6 else rng.choice([100, 120, 150, 200, 250])
    x = np.sin(TAU * f0 * t)
    for h in range(2, int(rng.integers(4, 9))):
        x = x + (rng.random() < 0.85) * rng.uniform(0.15, 0.9) * np.sin(TAU * f0 * h * t)
    if rng.random() < 0.3:  # a few samples of each frame carry a number
        x.reshape(-1, 160)[:, :8] = 0
    return x


def edges(n: int, seconds: float) -> Samples:
    ramp = max(1, min(n // 2, int(seconds * RATE_HZ)))
    window = np.ones(n)
    window[:ramp] = np.linspace(0, 1, ramp)
    window[n - ramp :] = np.linspace(1, 0, ramp)
    return window
