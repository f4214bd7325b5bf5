"""Made EMG of two legs with known truth: every disturbance the detector must stand.

The truth is not what was put in but what the rules say of it: the expected
envelope in the analysis band (10 to 100 Hz) crosses rest + 8 uV upwards at the
onset, and has been below rest + 2 uV for half a second at the offset. It is found
here from the smooth envelope by plain array operations, without the detector.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import signal

from ekbom.measures.legs.events import LEFT, RIGHT, Array, Marks, union
from ekbom.measures.legs.hypnogram import Hypnogram

#: Hz of the grid on which envelopes are made and the truth is read.
GRID = 200.0
ON, OFF, HOLD = 8.0, 2.0, 0.5
#: Steps and tone do not lift the floor above this, uV.
HIGHEST_REST = 8.0


@dataclass(frozen=True)
class Scene:
    """What is added to the movements.

    Parameters
    ----------
    rest : tuple of float
        Root mean square of the resting EMG in the analysis band: it drifts
        between these, uV.
    steps : int
        Sudden steps of the floor a night, 1 to 4 uV.
    tone : int
        Tonic spells a night of 20 to 120 s, 2 to 5 uV.
    ecg : float
        Peak of the ECG in both legs, uV.
    ecg_channel : bool
        Whether the ECG has a channel of its own.
    mains : float
        Amplitude of mains, uV.
    mains_hz : float
        50 or 60.
    crosstalk : float
        Share of each leg seen in the other.
    loss : bool
        Whether one leg is flat for a part of the night.
    sway : float
        Amplitude of slow baseline drift, uV.
    clip : float
        uV at which the amplifier saturates; infinity for never.
    twitches : int
        Bursts an hour that are too short for a movement.
    """

    rest: tuple[float, float] = (1.0, 3.0)
    steps: int = 0
    tone: int = 0
    ecg: float = 0.0
    ecg_channel: bool = True
    mains: float = 0.0
    mains_hz: float = 50.0
    crosstalk: float = 0.0
    loss: bool = False
    sway: float = 0.0
    clip: float = math.inf
    twitches: int = 0


CLEAN = Scene()
HARD = Scene(
    rest=(2.0, 6.0), steps=12, tone=12, ecg=20.0, mains=20.0, crosstalk=0.12, loss=True,
    sway=300.0, clip=600.0, twitches=10,
)  # fmt: skip


@dataclass(frozen=True)
class MadeNight:
    """A made night.

    Parameters
    ----------
    fs : float
        Hz.
    emg : mapping of str to (N,) array
        By leg, ``L`` and ``R``, uV.
    ecg : (N,) array or None
        uV.
    truth : Marks
        Movements by the rules, each leg.
    put_in : Marks
        Bursts as they were made, tails included.
    hypnogram : Hypnogram
        With the spans lost.
    rest : mapping of str to (K,) array
        Expected rest level on the grid, uV.
    """

    fs: float
    emg: Mapping[str, Array]
    ecg: Array | None
    truth: Marks
    put_in: Marks
    hypnogram: Hypnogram
    rest: Mapping[str, Array] = field(default_factory=dict)


def simulate_hypnogram(seconds: float, seed: int) -> Hypnogram:
    """Return a night of 90-minute cycles in epochs of 30 s, with short awakenings.

    Parameters
    ----------
    seconds : float
        Length; lights go off after one minute and on one minute before the end.
    seed : int

    Returns
    -------
    Hypnogram
    """
    rng = np.random.default_rng([seed, 1])
    n = int(seconds // 30)
    stage = np.full(n, 2)
    t: Array = np.arange(n) * np.float64(30.0)
    phase = np.mod(t - 900.0, 5400.0)
    cycle = np.floor((t - 900.0) / 5400.0)
    stage[phase < 300] = 1
    stage[(phase > 1200) & (phase < 3000 - 500 * cycle)] = 3
    stage[phase > 4500] = 4
    stage[t < 900] = 0
    for at in rng.integers(30, max(n, 31), int(seconds // 1200)):
        stage[at : at + int(rng.integers(1, 6))] = 0
    on = max(seconds - 60.0, 60.0)
    return Hypnogram(t, np.full(n, 30.0), stage, min(60.0, on), on)


def simulate_bursts(seconds: float, seed: int, *, per_hour: float = 30.0) -> Marks:
    """Return bursts of both legs: periodic trains, single ones, long ones.

    Parameters
    ----------
    seconds : float
        Length of the night.
    seed : int
    per_hour : float
        Periodic movements an hour of the night, about.

    Returns
    -------
    Marks
        As planted; the truth by the rules follows from the amplitudes.
    """
    rng = np.random.default_rng([seed, 2])
    rows: list[tuple[float, float, int]] = []
    total = round(per_hour * seconds / 3600.0)
    while total > 0:
        n = min(total, int(rng.integers(5, 40)))
        t = float(rng.uniform(30, max(seconds - 60, 31)))
        for step in np.exp(rng.normal(math.log(22.0), 0.35, n)):
            t += max(float(step), 6.0)
            rows += _both(rng, t, float(np.clip(np.exp(rng.normal(0.6, 0.45)), 0.7, 9.0)))
        total -= n
    for _ in range(rng.poisson(6.0 * seconds / 3600.0)):
        rows += _both(rng, float(rng.uniform(10, seconds)), float(rng.uniform(0.7, 8.0)))
    for _ in range(rng.poisson(1.0 * seconds / 3600.0)):
        rows += _both(rng, float(rng.uniform(10, seconds)), float(rng.uniform(11.0, 30.0)))
    rows = [r for r in rows if r[0] > 5.0 and r[0] + r[1] < seconds - 5.0]
    array = np.array(sorted(rows)).reshape(-1, 3)
    return Marks(array[:, 0], array[:, 1], array[:, 2].astype(np.int64))


def _both(rng: np.random.Generator, t: float, d: float) -> list[tuple[float, float, int]]:
    first = int(rng.integers(0, 2))
    rows = [(t, d, first)]
    if rng.random() < 0.6:
        rows.append((t + float(rng.uniform(0, 0.4)), max(d * float(rng.uniform(0.7, 1.2)), 0.7),
                     1 - first))  # fmt: skip
    return rows


def simulate_night(
    *,
    seconds: float = 8 * 3600.0,
    fs: float = 256.0,
    scene: Scene = CLEAN,
    seed: int = 0,
    per_hour: float = 30.0,
    bursts: Marks | None = None,
) -> MadeNight:
    """Make the EMG of both legs, and the ECG, of one night.

    Parameters
    ----------
    seconds, fs : float
        Length (s) and sampling rate (Hz).
    scene : Scene
        Disturbances.
    seed : int
    per_hour : float
        Periodic movements an hour.
    bursts : Marks, optional
        What to plant instead of drawing it.

    Returns
    -------
    MadeNight
        Signals and truth.
    """
    made = simulate_bursts(seconds, seed, per_hour=per_hour) if bursts is None else bursts
    rng = np.random.default_rng([seed, 3])
    n, k = round(seconds * fs), round(seconds * GRID)
    own: dict[int, Array] = {}
    rest: dict[int, Array] = {}
    rows: list[tuple[float, float, int]] = []
    lost: dict[str, Array] = {}
    for leg in (LEFT, RIGHT):
        amplitude = _amplitudes(made, leg, k, rng)
        floor = _floor(scene, k, rng)
        rest[leg] = floor
        twitch = _twitches(scene, k, rng)
        own[leg] = _noise(n, fs, floor, None, rng) + _noise(
            n, fs, np.maximum(amplitude, twitch), (20.0, min(225.0, 0.45 * fs)), rng
        )
        rows += [(a, b, leg) for a, b in true_marks(floor, amplitude)]
    ecg = _ecg(n, fs, rng)
    emg: dict[str, Array] = {}
    for leg, word in ((LEFT, "L"), (RIGHT, "R")):
        x = own[leg] + scene.crosstalk * own[1 - leg]
        x += scene.ecg * (1.0 if leg == LEFT else -0.7) * ecg
        if scene.mains:
            for harmonic, share in ((1, 1.0), (2, 0.2)):
                if harmonic * scene.mains_hz < 0.45 * fs:
                    x += _sine(
                        n, fs, harmonic * scene.mains_hz, scene.mains * share, rng.uniform(0, 6)
                    )
        if scene.sway:
            x += _sine(n, fs, 1 / 97.0, scene.sway, rng.uniform(0, 6))
        if math.isfinite(scene.clip):
            np.clip(x, -scene.clip, scene.clip, out=x)
        emg[word] = x
    if scene.loss:
        a = round(float(rng.uniform(0.3, 0.6)) * seconds)
        b = a + round(seconds / 16)
        emg["R"][round(a * fs) : round(b * fs)] = 0.0
        lost["R"] = np.array([[a, b]], float)
        rows = [r for r in rows if r[2] != RIGHT or r[1] < a or r[0] > b]
    stages = simulate_hypnogram(seconds, seed)
    hypnogram = Hypnogram(
        stages.onset, stages.duration, stages.stage, stages.lights_off, stages.lights_on, lost
    )
    array = np.array(sorted(rows)).reshape(-1, 3)
    truth = Marks(array[:, 0], array[:, 1] - array[:, 0], array[:, 2].astype(np.int64))
    shown = 800.0 * ecg + rng.normal(0, 5, n) if scene.ecg_channel else None
    return MadeNight(
        fs, emg, shown, truth, made, hypnogram, {"L": rest[LEFT], "R": rest[RIGHT]}
    )  # fmt: skip


def _sine(n: int, fs: float, hz: float, amplitude: float, phase: float) -> Array:
    """Return a sine; one second of it is repeated where that is the same."""
    if hz == round(hz) and fs == round(fs):
        block = np.sin(2 * math.pi * hz * np.arange(round(fs)) / fs + phase)
        return np.asarray(amplitude * np.resize(block, n))
    if hz < 0.1:  # straight lines of a tenth of a second differ by less than 1e-4 of it
        coarse = np.arange(math.ceil(10 * n / fs) + 2) / 10.0
        slow = amplitude * np.sin(2 * math.pi * hz * coarse + phase)
        return np.asarray(np.interp(np.arange(n) / fs, coarse, slow))
    return np.asarray(amplitude * np.sin(2 * math.pi * hz * np.arange(n) / fs + phase))


def true_marks(rest: Array, amplitude: Array) -> list[tuple[float, float]]:
    """Read onsets and offsets off the expected envelope.

    Parameters
    ----------
    rest, amplitude : (K,) array
        On the grid of 200 Hz, uV.

    Returns
    -------
    list of (float, float)
        Onset and offset of every movement of at least 0.5 s.
    """
    level = np.sqrt(np.square(rest) + np.square(amplitude))
    high, low = level >= rest + ON, level < rest + OFF
    edges = np.flatnonzero(np.diff(np.concatenate(([0], low.astype(np.int8), [0]))))
    starts, stops = edges[::2], edges[1::2]
    calm = starts[(stops - starts) >= round(HOLD * GRID)]
    found: list[tuple[float, float]] = []
    ups = np.flatnonzero(high)
    at = 0
    while True:
        i = np.searchsorted(ups, at)
        if i == ups.size:
            return found
        onset = int(ups[i])
        j = np.searchsorted(calm, onset)
        offset = int(calm[j]) if j < calm.size else rest.size
        if offset - onset >= HOLD * GRID:
            found.append((onset / GRID, offset / GRID))
        at = offset


def _amplitudes(made: Marks, leg: int, k: int, rng: np.random.Generator) -> Array:
    """Expected envelope of the bursts of a leg: rise, plateau with some life, fall."""
    out = np.zeros(k)
    for onset, duration, of in zip(made.onset, made.duration, made.leg, strict=True):
        peak = float(np.exp(rng.uniform(math.log(30.0), math.log(150.0))))
        rise, fall = rng.uniform(0.1, 0.3, 2)
        wave = rng.normal(0, 1, 8)
        if of != leg:
            continue
        a, b = round(onset * GRID), min(round((onset + duration) * GRID), k)
        s = (np.arange(a, b) - a) / GRID
        shape = np.minimum(np.minimum(s / rise, (duration - s) / fall), 1.0).clip(0)
        life = 1 + 0.12 * np.interp(s, np.linspace(0, duration, 8), wave)
        out[a:b] = np.maximum(out[a:b], peak * shape * np.maximum(life, 0.4))
    return out


def _floor(scene: Scene, k: int, rng: np.random.Generator) -> Array:
    low, high = scene.rest
    knots = max(int(k / GRID // 900), 1) + 2
    drift = rng.uniform(low, high, knots)
    floor = np.interp(np.linspace(0, knots - 1, k), np.arange(knots), drift)
    step = np.zeros(k)
    for at in rng.integers(0, k, scene.steps):
        step[at:] += rng.choice([-1, 1]) * rng.uniform(1, 4)
    # steps go up and down, folded back into what rest may be
    top = max(high, HIGHEST_REST)
    floor = top - np.abs(top - (low + np.abs(floor + step - low)))
    for at in rng.integers(0, k, scene.tone):
        length = round(float(rng.uniform(20, 120)) * GRID)
        ramp = np.minimum(np.arange(length), np.arange(length)[::-1]) / (4 * GRID)
        piece = floor[at : at + length]
        piece += (rng.uniform(2, 5) * np.minimum(ramp, 1.0))[: piece.size]
    return np.clip(floor, low, top)


def _twitches(scene: Scene, k: int, rng: np.random.Generator) -> Array:
    out = np.zeros(k)
    for at in rng.integers(0, k, round(scene.twitches * k / GRID / 3600.0)):
        length = round(float(rng.uniform(0.08, 0.25)) * GRID)
        out[at : at + length] = rng.uniform(20, 60)
    return out


def _noise(
    n: int,
    fs: float,
    level: Array,
    band: tuple[float, float] | None,
    rng: np.random.Generator,
) -> Array:
    """Noise whose root mean square between 10 and 100 Hz follows `level`."""
    out = np.zeros(n)
    share = _in_band(fs, band)
    sos = None if band is None else signal.butter(3, band, btype="bandpass", fs=fs, output="sos")
    times = np.arange(level.size) / GRID
    for a, b in _active(level, band is None):
        i, j = round(a / GRID * fs), min(round(b / GRID * fs), n)
        x = rng.standard_normal(j - i + (0 if sos is None else 512))
        if sos is not None:
            x = signal.sosfilt(sos, x)[512:]
        out[i:j] = x * np.interp(np.arange(i, j) / fs, times, level) / share
    return out


def _active(level: Array, whole: bool) -> Sequence[tuple[int, int]]:
    if whole:
        return [(0, level.size)]
    hit = np.flatnonzero(level > 0)
    if not hit.size:
        return []
    breaks = np.flatnonzero(np.diff(hit) > 1)
    starts = hit[np.concatenate(([0], breaks + 1))]
    stops = hit[np.concatenate((breaks, [hit.size - 1]))] + 1
    spans = union(np.column_stack((starts, stops)))
    return [(int(a), int(b)) for a, b in spans]


def _in_band(fs: float, band: tuple[float, float] | None) -> float:
    """Share of the root mean square that lies in the analysis band."""
    f = np.linspace(0.1, fs / 2 * 0.999, 20_000)
    _, h = signal.sosfreqz(
        signal.butter(2, [10, min(100.0, 0.45 * fs)], btype="bandpass", fs=fs, output="sos"),
        f, fs=fs,
    )  # fmt: skip
    power = np.ones(f.size)
    if band is not None:
        sos = signal.butter(3, band, btype="bandpass", fs=fs, output="sos")
        power = np.square(np.abs(signal.sosfreqz(sos, f, fs=fs)[1]))
    # both ways: the power gain is the fourth power of the one-way response
    return float(np.sqrt(np.mean(power * np.abs(h) ** 4)))


def _ecg(n: int, fs: float, rng: np.random.Generator) -> Array:
    """QRS complexes of unit peak at 50 to 80 beats a minute with a slow change of rate."""
    out = np.zeros(n)
    width = round(0.2 * fs)
    s = (np.arange(2 * width + 1) - width) / fs
    shape = np.exp(-0.5 * (s / 0.010) ** 2) - 0.25 * np.exp(-0.5 * ((s - 0.03) / 0.012) ** 2)
    shape += 0.12 * np.exp(-0.5 * ((s - 0.16) / 0.03) ** 2)
    t, rate = 0.5, float(rng.uniform(0.9, 1.2))
    while t < n / fs - 1:
        i = round(t * fs)
        low, high = max(i - width, 0), min(i + width + 1, n)
        out[low:high] += shape[low - i + width : high - i + width]
        t += 1 / (rate + 0.15 * math.sin(t / 300.0)) + float(rng.normal(0, 0.02))
    return out
