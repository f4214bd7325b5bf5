"""Closed loops of leg movements: made EMG through files, detector and rules, truth beside."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ekbom.measures.legs.agreement import Agreement, agree
from ekbom.measures.legs.detect import detect
from ekbom.measures.legs.hypnogram import STAGE_WORDS
from ekbom.measures.legs.indices import find, indices
from ekbom.measures.legs.io.annotations import Row
from ekbom.measures.legs.io.edf import ecg_channel, edf_bytes, leg_channels, open_edf
from ekbom.measures.legs.io.read import read
from ekbom.measures.legs.rules import RULE_SETS, rule_set
from ekbom.measures.legs.score import score
from ekbom.measures.legs.simulate import CLEAN, HARD, MadeNight, Scene, simulate_night
from ekbom.validate.errors import f1_error, mean_words, median_error
from ekbom.validate.psg import norms, virtual_nights
from ekbom.validate.result import Check

#: Scenes by name: each disturbance alone, then all together.
SCENES: dict[str, Scene] = {
    "clean": CLEAN,
    "rest 4 uV": Scene(rest=(4.0, 4.0)),
    "rest 6 uV": Scene(rest=(6.0, 6.0)),
    "rest 8 uV": Scene(rest=(8.0, 8.0)),
    "drift and steps": Scene(rest=(1.0, 5.0), steps=12),
    "tone": Scene(tone=20),
    "ECG with a channel": Scene(ecg=25.0),
    "ECG without a channel": Scene(ecg=25.0, ecg_channel=False),
    "mains 50 Hz": Scene(mains=20.0),
    "mains 60 Hz": Scene(mains=20.0, mains_hz=60.0),
    "cross-talk": Scene(crosstalk=0.15),
    "electrode loss": Scene(loss=True),
    "twitches": Scene(twitches=20),
    "hard": HARD,
}


def validate_legs(*, nights: int = 2, hours: float = 8.0, seed: int = 1) -> list[Check]:
    """Run every loop.

    Parameters
    ----------
    nights : int
        Made nights of each scene.
    hours : float
        Length of each.
    seed : int

    Returns
    -------
    list of Check
        Gates on F1 and offset errors of the clean and the hard nights, and on F1 of
        virtual nights that the disease model made; the other scenes, errors of the
        indices and the norms are printed.
    """
    checks: list[Check] = []
    with TemporaryDirectory() as place:
        for name, scene in SCENES.items():
            made = [
                simulate_night(seconds=3600 * hours, scene=scene, seed=seed + 100 * k, per_hour=40)
                for k in range(nights)
            ]
            checks += _detection(name, made, Path(place))
        checks += list(_indices(nights, hours, seed, Path(place)))
        checks += list(_units(seed, Path(place)))
    checks += validate_virtual(nights=nights, hours=hours, seed=seed)
    checks += list(norms(people=100 * nights, patients=30 * nights, seed=seed))
    return checks


def validate_virtual(*, nights: int = 2, hours: float = 8.0, seed: int = 1) -> list[Check]:
    """Run the loop of the nights that the disease model makes.

    Parameters
    ----------
    nights : int
        Twice as many people, each with a night and a test awake.
    hours : float
        Length of a night.
    seed : int

    Returns
    -------
    list of Check
        Gate on F1.
    """
    with TemporaryDirectory() as place:
        return list(virtual_nights(Path(place) / "s", people=2 * nights, hours=hours, seed=seed))


def night_file(night: MadeNight, path: Path, unit: str = "uV") -> Path:
    """Write a made night as EDF+ with its stages and lights; returns the path."""
    channels = [("EMG LAT", night.emg["L"], night.fs), ("EMG RAT", night.emg["R"], night.fs)]
    if night.ecg is not None:
        channels.append(("ECG", night.ecg, night.fs))
    h = night.hypnogram
    rows = [
        Row(float(t), float(d), f"Sleep stage {STAGE_WORDS[int(s)]}")
        for t, d, s in zip(h.onset, h.duration, h.stage, strict=True)
    ]
    rows += [Row(h.lights_off, 0.0, "Lights off"), Row(h.lights_on, 0.0, "Lights on")]
    path.write_bytes(edf_bytes(channels, sorted(rows), unit=unit))
    return path


def _through_file(night: MadeNight, path: Path, unit: str = "uV") -> Agreement:
    opened = open_edf(night_file(night, path, unit))
    found = detect(leg_channels(opened), ecg_channel(opened))
    return agree(found.marks, night.truth)


def _detection(name: str, made: list[MadeNight], place: Path) -> Iterator[Check]:
    results = [_through_file(night, place / "night.edf") for night in made]
    hits = sum(r.hits for r in results)
    wrong = sum(r.false + r.missed for r in results)
    n = sum(len(night.truth) for night in made)
    f1 = 2 * hits / (2 * hits + wrong) if hits + wrong else math.nan
    onset = np.concatenate([r.onset_error for r in results])
    offset = np.concatenate([r.offset_error for r in results])
    low = {"clean": 0.99, "hard": 0.95}.get(name, math.nan)
    high = 0.05 if name in ("clean", "hard") else math.nan
    error = f1_error([r.hits for r in results], [r.false + r.missed for r in results])
    yield Check(f"{name}: F1 (IoU > .2)", f1, n, "", low, 1.0 if low == low else math.nan,
                error, f"{wrong} false or missed")  # fmt: skip
    yield Check(f"{name}: onset error, median absolute", float(np.median(np.abs(onset))), hits, "s",
                se=median_error(onset), note=f"median {np.median(onset):+.3f} s")  # fmt: skip
    most = np.quantile(np.abs(offset), 0.9)
    yield Check(
        f"{name}: offset error, median absolute", float(np.median(np.abs(offset))), hits, "s",
        0.0 if high == high else math.nan, high, median_error(offset),
        note=f"median {np.median(offset):+.3f}, 90 % within {most:.3f} s",
    )  # fmt: skip


def _indices(nights: int, hours: float, seed: int, place: Path) -> Iterator[Check]:
    """PLMS an hour from found movements beside that of the true ones."""
    for name in ("clean", "hard"):
        errors: dict[str, list[float]] = {r: [] for r in RULE_SETS}
        for k in range(nights):
            night = simulate_night(
                seconds=3600 * hours, scene=SCENES[name], seed=seed + 7 + 100 * k, per_hour=40
            )
            path = night_file(night, place / "night.edf")
            opened = open_edf(path)
            found = detect(leg_channels(opened), ecg_channel(opened))
            hypnogram = read(path).hypnogram(found.lost)
            for rules in RULE_SETS:
                a = score(found.marks, hypnogram, rules=rule_set(rules))
                b = score(night.truth, night.hypnogram, rules=rule_set(rules))
                x, y = (find(indices(s), "PLM_index", "sleep").value for s in (a, b))
                errors[rules].append(x - y)
        for rules, values in errors.items():
            yield Check(f"{name}: PLMS by {rules}, largest error", float(np.max(np.abs(values))),
                        nights, "1/h", note=mean_words(values))  # fmt: skip


def _units(seed: int, place: Path) -> Iterator[Check]:
    """The header alone decides the unit: the same night in V, mV and uV."""
    night = simulate_night(seconds=1800, scene=replace(CLEAN), seed=seed, per_hour=60)
    for unit in ("V", "mV", "uV"):
        got = _through_file(night, place / "unit.edf", unit)
        yield Check(f"half an hour in {unit}: F1", got.f1, len(night.truth), "", 0.95, 1.0)
