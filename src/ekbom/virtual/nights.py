"""What happens in a night: stages, leg movements, breathing, arousals. No signal yet."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.disease import plm
from ekbom.measures.legs.events import LEFT, RIGHT, Marks, Spans
from ekbom.measures.legs.hypnogram import N1, N2, N3, Hypnogram, R, W
from ekbom.measures.legs.simulate import simulate_hypnogram

Array = NDArray[np.float64]

#: Share of the movements of a stage that come (assumed); bouts come or stay away as a whole.
STAGE = {W: 1.0, N1: 1.0, N2: 1.0, N3: 0.5, R: 0.2}
#: Sides of a movement: both, the other than before, the same (assumed).
SIDES = (0.45, 0.20, 0.35)
#: SD of the lag between the legs, s (assumed).
LEG_LAG = 0.3
#: Chance of an arousal with a movement, and after a respiratory event (assumed).
AROUSAL, AROUSAL_BREATH = 0.3, 0.5
#: Chance of a movement at the end of a respiratory event (assumed).
BREATH_MOVEMENT = 0.4
#: Arousals of their own and long movements (above 10 s), an hour (assumed).
SPONTANEOUS, LONG = 6.0, 0.7
#: Lights go off and on this long after and before the ends of the recording, s.
EDGE = 60.0


@dataclass(frozen=True, eq=False)
class Night:
    """One recording before it is a signal.

    Parameters
    ----------
    seconds : float
        Length.
    hypnogram : Hypnogram
        Stages and lights.
    events : DataFrame
        One row a burst of one leg: ``onset duration leg movement periodic
        respiratory arousal long``; `movement` joins the bursts of both legs.
    resp, arousal : Spans
        Respiratory events, arousals.
    """

    seconds: float
    hypnogram: Hypnogram
    events: pd.DataFrame
    resp: Spans
    arousal: Spans

    @property
    def bursts(self) -> Marks:
        """Bursts of the legs as they were put in."""
        e = self.events
        return Marks(
            e["onset"].to_numpy(float), e["duration"].to_numpy(float),
            e["leg"].to_numpy(np.int64),
        )  # fmt: skip


def make_night(
    rng: np.random.Generator,
    *,
    age: float,
    person: float,
    excitability: float,
    hours: float = 8.0,
    ahi: float = 5.0,
    awake: bool = False,
    **more: Any,
) -> Night:
    """Make a night, or an hour awake, of a person of the disease model.

    Parameters
    ----------
    rng : numpy.random.Generator
        Of this recording; the night effect is one of its draws.
    age, person, excitability : float
        Years, log effect of the person, spinal excitability at midnight, as
        :func:`ekbom.disease.plm.night` has them.
    hours : float
        Length of the recording.
    ahi : float
        Respiratory events an hour of sleep.
    awake : bool
        A suggested immobilisation test: wake from end to end.
    **more
        Further arguments of :func:`ekbom.disease.plm.night`.

    Returns
    -------
    Night
    """
    seconds = 3600.0 * hours
    if awake:
        flat = Hypnogram.constant(W, 0.0, seconds)
        n = round(seconds / 30)
        onset: Array = 30.0 * np.arange(n, dtype=np.float64)
        hypnogram = Hypnogram(onset, np.full(n, 30.0), np.full(n, W), 0.0, flat.lights_on)
        made = plm.night(rng, age, person, excitability, hours=hours, wake=True, **more)
        start, keep = 0.0, np.ones(made.onset.size, bool)
    else:
        hypnogram = simulate_hypnogram(seconds, int(rng.integers(2**31)))
        # bouts of deep sleep and of REM hold fewer; the rest holds more, so that the night does not
        raised = -math.log(_mean_weight(hypnogram))
        in_bed = (seconds - 2 * EDGE) / 3600.0
        made = plm.night(rng, age, person + raised, excitability, hours=in_bed, **more)
        start, keep = EDGE, _kept(rng, hypnogram, EDGE + made.onset)
    rows = _movements(
        rng, start + made.onset[keep], made.duration[keep], np.asarray(made.periodic[keep], bool)
    )
    resp = Spans() if awake else _breathing(rng, hypnogram, ahi)
    breath_rows = _with_breath(rng, resp)
    long_rows = _long(rng, seconds, hours)
    every = [(*r, False, False) for r in rows]
    every += [(*r, True, False) for r in breath_rows] + [(*r, False, True) for r in long_rows]
    every = [r for r in every if r[0] > 5.0 and r[0] + r[1] < seconds - 5.0]
    every.sort(key=lambda r: (r[0], r[1]))
    arousal, woken = _arousals(rng, every, resp, hypnogram)
    return Night(seconds, hypnogram, _legs(rng, every, woken, seconds), resp, arousal)


def _mean_weight(hypnogram: Hypnogram) -> float:
    weight = np.array([STAGE.get(int(s), 1.0) for s in hypnogram.stage])
    return float(np.average(weight, weights=hypnogram.duration))


def _kept(rng: np.random.Generator, hypnogram: Hypnogram, onset: Array) -> NDArray[np.bool_]:
    """Say which movements come: a bout of a stage keeps all of its movements, or none."""
    stage = hypnogram.stage
    bout = np.concatenate(([0], np.cumsum(np.diff(stage) != 0)))
    draws = rng.random(int(bout[-1]) + 1)
    epoch = np.searchsorted(hypnogram.onset, onset, side="right") - 1
    epoch = np.clip(epoch, 0, stage.size - 1)
    weight = np.array([STAGE.get(int(s), 1.0) for s in stage])
    return np.asarray(draws[bout[epoch]] < weight[epoch])


_Row = tuple[float, float, bool]


def _movements(
    rng: np.random.Generator, onset: Array, duration: Array, periodic: NDArray[np.bool_]
) -> list[_Row]:
    return [
        (float(t), max(float(d), 0.8), bool(p))
        for t, d, p in zip(onset, duration, periodic, strict=True)
    ]


def _breathing(rng: np.random.Generator, hypnogram: Hypnogram, ahi: float) -> Spans:
    """Draw respiratory events in sleep, apart from each other by at least twenty seconds."""
    asleep = np.flatnonzero(hypnogram.stage > 0)
    hours = float(hypnogram.duration[asleep].sum()) / 3600.0
    count = rng.poisson(ahi * hours) if asleep.size else 0
    starts = np.sort(hypnogram.onset[rng.choice(asleep, count)] + rng.uniform(0, 30, count)) if (
        count
    ) else np.zeros(0)  # fmt: skip
    onset: list[float] = []
    end: list[float] = []
    kind: list[str] = []
    for t in starts:
        length = float(np.clip(np.exp(rng.normal(math.log(18.0), 0.35)), 10.0, 60.0))
        word = "hypopnoea" if rng.random() < 0.7 else "obstructive apnoea"
        if onset and t < end[-1] + 20.0:
            continue
        onset.append(float(t))
        end.append(float(t) + length)
        kind.append(word)
    return Spans(np.array(onset), np.array(end), tuple(kind))


def _with_breath(rng: np.random.Generator, resp: Spans) -> list[_Row]:
    rows = []
    for end in resp.end:
        hit, lag, length = rng.random(), rng.normal(1.5, 1.5), np.exp(rng.normal(1.0, 0.4))
        if hit < BREATH_MOVEMENT:
            at = float(end + np.clip(lag, -1.5, 9.0))
            rows.append((at, float(np.clip(length, 0.8, 9.0)), False))
    return rows


def _long(rng: np.random.Generator, seconds: float, hours: float) -> list[_Row]:
    return [
        (float(rng.uniform(10, seconds)), float(rng.uniform(11.0, 30.0)), False)
        for _ in range(rng.poisson(LONG * hours))
    ]


def _arousals(
    rng: np.random.Generator,
    rows: list[tuple[float, float, bool, bool, bool]],
    resp: Spans,
    hypnogram: Hypnogram,
) -> tuple[Spans, list[bool]]:
    """Draw arousals of movements, of breaths and of themselves; at least ten seconds apart."""
    found: list[tuple[float, float, int]] = []
    for k, row in enumerate(rows):
        hit, lag, length = rng.random(), rng.uniform(-0.4, 0.4), rng.uniform(3.0, 12.0)
        if hit < AROUSAL and _asleep(hypnogram, row[0]):
            found.append((row[0] + float(lag), float(length), k))
    for end in resp.end:
        hit, lag, length = rng.random(), rng.uniform(0.0, 2.0), rng.uniform(3.0, 12.0)
        if hit < AROUSAL_BREATH:
            found.append((float(end + lag), float(length), -1))
    sleep = float(hypnogram.duration[hypnogram.stage > 0].sum()) / 3600.0
    for _ in range(rng.poisson(SPONTANEOUS * sleep)):
        t = float(rng.uniform(hypnogram.onset[0], hypnogram.onset[-1]))
        length = float(rng.uniform(3.0, 12.0))
        if _asleep(hypnogram, t):
            found.append((t, length, -1))
    found.sort()
    kept: list[tuple[float, float]] = []
    woken = [False] * len(rows)
    for t, length, k in found:
        if kept and t < kept[-1][1] + 10.0:
            continue
        kept.append((t, t + length))
        if k >= 0:
            woken[k] = True
    spans = np.array(kept).reshape(-1, 2)
    return Spans(spans[:, 0], spans[:, 1], ("arousal",) * len(kept)), woken


def _asleep(hypnogram: Hypnogram, t: float) -> bool:
    k = int(np.searchsorted(hypnogram.onset, t, side="right")) - 1
    return bool(hypnogram.stage[min(max(k, 0), hypnogram.stage.size - 1)] > 0)


def _legs(
    rng: np.random.Generator,
    rows: list[tuple[float, float, bool, bool, bool]],
    woken: list[bool],
    seconds: float,
) -> pd.DataFrame:
    """Deal movements to the legs: both, the other than before, or the same."""
    out = []
    before = int(rng.integers(0, 2))
    for k, (t, d, periodic, respiratory, long) in enumerate(rows):
        kind = int(rng.choice(3, p=SIDES))
        lag, stretch = abs(float(rng.normal(0, LEG_LAG))), float(rng.uniform(0.8, 1.15))
        first = before if kind == 2 else 1 - before if kind == 1 else int(rng.integers(0, 2))
        burst = (k + 1, periodic, respiratory, woken[k], long)
        out.append((t, d, first, *burst))
        if kind == 0 and t + lag + d * stretch < seconds - 5.0:
            out.append((t + lag, max(d * stretch, 0.8), 1 - first, *burst))
        before = first
    out.sort(key=lambda r: (r[0], r[1], r[2]))
    names = ["onset", "duration", "leg", "movement", "periodic", "respiratory", "arousal", "long"]
    frame = pd.DataFrame(out, columns=names)
    assert set(frame["leg"]) <= {LEFT, RIGHT}
    return frame
