"""Polysomnography as a laboratory writes it: EDF+ with EMG, BIDS tables beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ekbom.measures.legs.events import LEG_WORDS, Array, Marks
from ekbom.measures.legs.hypnogram import STAGE_WORDS, Hypnogram
from ekbom.measures.legs.io.annotations import Row
from ekbom.measures.legs.io.edf import edf_bytes
from ekbom.measures.legs.simulate import Scene, simulate_night
from ekbom.virtual import bids
from ekbom.virtual.nights import Night
from ekbom.virtual.protocol import Nights
from ekbom.virtual.sidecars import WORD

#: Channel of each leg, and of both together.
CHANNELS = ("EMG LAT", "EMG RAT")
ONE_CHANNEL = "Leg"

_EVENTS = {
    "onset": {"Description": "Start of the event after the start of the recording", "Units": "s"},
    "duration": {"Description": "Length; 0 for a moment", "Units": "s"},
    "trial_type": {
        "Description": "What it is",
        "Levels": {
            "W": "wake, an epoch", "N1": "stage N1", "N2": "stage N2", "N3": "stage N3",
            "R": "REM sleep", "lights_off": "lights off", "lights_on": "lights on",
            "arousal": "arousal", "hypopnoea": "hypopnoea",
            "obstructive apnoea": "obstructive apnoea", "LM": "leg movement as marked",
        },
    },
    "channel": {"Description": "Channel of a leg movement"},
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Recording:
    """What was written of one recording, and what is true of it.

    Parameters
    ----------
    edf : Path
        File.
    truth : Marks
        Movements by the thresholds, each leg.
    hypnogram : Hypnogram
        With the spans in which a leg had no signal.
    """

    edf: Path
    truth: Marks
    hypnogram: Hypnogram


def write_recording(
    root: Path,
    label: str,
    task: str,
    night: Night,
    design: Nights,
    rng: np.random.Generator,
    *,
    session: str | None = None,
    size: str = "quick",
) -> Recording:
    """Write one recording with its tables, and its truth under ``derivatives/truth``.

    Parameters
    ----------
    root : Path
        Raw study.
    label, session : str, str or None
        ``sub-01``, ``night1``.
    task : {"sleep", "sit"}
        Task of the file name.
    night : Night
        What happens.
    design : Nights
        Sampling, units and disturbances.
    rng : numpy.random.Generator
        Of the signal.
    size : {"rois", "quick", "full"}
        Marks in place of a signal, or the EMG at one of two sampling rates.

    Returns
    -------
    Recording
    """
    words = [label] + ([f"ses-{session}"] if session else [])
    stem = "_".join([*words, f"task-{task}"])
    folder = root.joinpath(*words, "eeg")
    fs = design.fs["full" if size == "full" else "quick"]
    rows = _rows(night)
    channels: list[tuple[str, Array, float]] = []
    truth, lost = night.bursts, dict(night.hypnogram.lost)
    if size == "rois":
        rows = sorted([*rows, *_marks(night.bursts)])
    else:
        made = simulate_night(
            seconds=night.seconds, fs=fs, scene=_scene(design, rng, task),
            seed=int(rng.integers(2**31)), bursts=night.bursts,
        )  # fmt: skip
        truth, lost = made.truth, dict(made.hypnogram.lost)
        if design.legs == "one":
            channels.append((ONE_CHANNEL, made.emg["L"] + made.emg["R"], fs))
        else:
            channels += [(name, made.emg[k], fs) for name, k in zip(CHANNELS, "LR", strict=True)]
        if made.ecg is not None:
            channels.append(("ECG", made.ecg, fs))
    edf = folder / f"{stem}_eeg.edf"
    bids.write_bytes(edf, edf_bytes(channels, rows, unit=design.unit))
    _tables(folder / stem, task, night, rows, channels, design, fs)
    h = night.hypnogram
    seen = Hypnogram(h.onset, h.duration, h.stage, h.lights_off, h.lights_on, lost)
    _truth(root, words, stem, night, truth, seen)
    return Recording(edf, truth, seen)


def write_scorers(
    root: Path,
    label: str,
    task: str,
    recording: Recording,
    design: Nights,
    rng: np.random.Generator,
    session: str | None = None,
) -> None:
    """Write marks as people would give them, under ``derivatives/scorers``.

    Parameters
    ----------
    root, label, task, session
        As for :func:`write_recording`.
    recording : Recording
        What was written.
    design : Nights
        How many scorers, what they miss, how their marks wobble.
    rng : numpy.random.Generator
        Of the scorers.
    """
    words = [label] + ([f"ses-{session}"] if session else [])
    stem = "_".join([*words, f"task-{task}"])
    true = recording.truth
    for k in range(design.scorers):
        seen = rng.random(len(true)) >= design.scorer_miss
        jitter = design.scorer_jitter_s * rng.standard_normal((2, len(true)))
        onset = np.maximum(true.onset + jitter[0], 0.0)[seen]
        duration = np.maximum(true.duration + jitter[1], 0.1)[seen]
        order = np.argsort(onset, kind="stable")
        folder = root / "derivatives" / "scorers"
        target = folder.joinpath(*words, "eeg") / f"{stem}_desc-scorer{k + 1}_events.tsv"
        bids.write_tsv(
            target,
            {
                "onset": np.round(onset[order], 3),
                "duration": np.round(duration[order], 3),
                "trial_type": ["LM"] * order.size,
                "channel": [CHANNELS[int(g)] for g in true.leg[seen][order]],
            },
        )


def _scene(design: Nights, rng: np.random.Generator, task: str) -> Scene:
    loss = bool(rng.random() < design.loss) and task != "sit"
    return Scene(
        rest=design.rest_uV, steps=design.steps, tone=design.tone, ecg=design.ecg_uV,
        mains=design.mains_uV, mains_hz=float(design.mains_hz), crosstalk=design.crosstalk,
        loss=loss, sway=20.0, twitches=design.twitches,
    )  # fmt: skip


def _rows(night: Night) -> list[Row]:
    """Return stages, lights, breathing and arousals in order of time."""
    h = night.hypnogram
    rows = [
        Row(float(t), float(d), f"Sleep stage {STAGE_WORDS[int(s)]}")
        for t, d, s in zip(h.onset, h.duration, h.stage, strict=True)
    ]
    rows += [Row(h.lights_off, 0.0, "Lights off"), Row(h.lights_on, 0.0, "Lights on")]
    for spans in (night.resp, night.arousal):
        rows += [
            Row(round(float(a), 3), round(float(b - a), 3), kind)
            for a, b, kind in zip(spans.onset, spans.end, spans.kind, strict=True)
        ]
    return sorted(rows)


def _marks(marks: Marks) -> list[Row]:
    return [
        Row(round(float(t), 3), round(float(d), 3), "Limb movement", CHANNELS[int(leg)])
        for t, d, leg in zip(marks.onset, marks.duration, marks.leg, strict=True)
    ]


def _word(text: str) -> str:
    if text.startswith("Sleep stage "):
        return text.removeprefix("Sleep stage ")
    return {"Lights off": "lights_off", "Lights on": "lights_on", "Limb movement": "LM"}.get(
        text, text
    )


def _tables(
    stem: Path,
    task: str,
    night: Night,
    rows: Sequence[Row],
    channels: Sequence[tuple[str, Array, float]],
    design: Nights,
    fs: float,
) -> None:
    def beside(suffix: str) -> Path:
        return stem.with_name(f"{stem.name}_{suffix}")

    kinds = ["ECG" if name == "ECG" else "EMG" for name, _, _ in channels]
    said: dict[str, Any] = {
        "TaskName": task,
        "TaskDescription": "sitting awake with legs outstretched, an hour"
        if task == "sit"
        else "night sleep",
        "Instructions": WORD,
        "SamplingFrequency": fs,
        "PowerLineFrequency": design.mains_hz,
        "SoftwareFilters": "n/a",
        "EEGReference": "n/a",
        "EEGChannelCount": 0,
        "EMGChannelCount": kinds.count("EMG"),
        "ECGChannelCount": kinds.count("ECG"),
        "RecordingDuration": night.seconds,
        "RecordingType": "continuous",
        "Manufacturer": "Ekbom-Sim",
    }
    bids.write_json(beside("eeg.json"), said)
    if channels:
        unit = [design.unit] * len(channels)
        bids.write_tsv(
            beside("channels.tsv"),
            {
                "name": [name for name, _, _ in channels],
                "type": kinds,
                "units": unit,
                "low_cutoff": ["n/a"] * len(channels),
                "high_cutoff": ["n/a"] * len(channels),
                "sampling_frequency": [f"{fs:g}"] * len(channels),
            },
        )
    bids.write_tsv(
        beside("events.tsv"),
        {
            "onset": [r.onset for r in rows],
            "duration": [r.duration for r in rows],
            "trial_type": [_word(r.text) for r in rows],
            "channel": [r.channel or "n/a" for r in rows],
        },
    )
    bids.write_json(beside("events.json"), _EVENTS)


def _truth(
    root: Path, words: Sequence[str], stem: str, night: Night, truth: Marks, seen: Hypnogram
) -> None:
    folder = root.joinpath("derivatives", "truth", *words, "eeg")
    bids.write_tsv(
        folder / f"{stem}_desc-truth_events.tsv",
        {
            "onset": truth.onset,
            "duration": truth.duration,
            "trial_type": ["LM"] * len(truth),
            "leg": [LEG_WORDS[int(k)] for k in truth.leg],
        },
    )
    e = night.events
    bids.write_tsv(
        folder / f"{stem}_desc-bursts_events.tsv",
        {
            "onset": e["onset"].tolist(),
            "duration": e["duration"].tolist(),
            "leg": [LEG_WORDS[int(k)] for k in e["leg"]],
            **{
                name: e[name].astype(int).tolist()
                for name in ("movement", "periodic", "respiratory", "arousal", "long")
            },
        },
    )
    lost = [(leg, a, b) for leg, spans in seen.lost.items() for a, b in spans.tolist()]
    bids.write_json(
        folder / f"{stem}_desc-truth_events.json",
        {
            "Description": "True movements: the expected envelope crosses rest + 8 uV upwards, "
            "and has been below rest + 2 uV for half a second",
            "Sources": [f"bids::{'/'.join(words)}/eeg/{stem}_eeg.edf"],
            "Lost": [{"leg": leg, "from": a, "to": b} for leg, a, b in lost],
            "onset": {"Units": "s"},
            "duration": {"Units": "s"},
        },
    )


def read_truth(root: Path, label: str, task: str, session: str | None = None) -> Recording:
    """Return the truth of a recording that was written.

    Parameters
    ----------
    root, label, task, session
        As for :func:`write_recording`.

    Returns
    -------
    Recording
        With the true marks, and the hypnogram with the spans lost.
    """
    import json

    from ekbom.measures.legs.io.table import read_table

    words = [label] + ([f"ses-{session}"] if session else [])
    stem = "_".join([*words, f"task-{task}"])
    folder = root.joinpath("derivatives", "truth", *words, "eeg")
    table = pd.read_csv(folder / f"{stem}_desc-truth_events.tsv", sep="\t")
    legs = table["leg"].map({word: k for k, word in enumerate(LEG_WORDS)})
    truth = Marks(
        table["onset"].to_numpy(float), table["duration"].to_numpy(float),
        np.asarray(legs.to_numpy(), np.int64),
    )  # fmt: skip
    raw = root.joinpath(*words, "eeg")
    lost: dict[str, list[list[float]]] = {}
    for row in json.loads((folder / f"{stem}_desc-truth_events.json").read_text("utf-8"))["Lost"]:
        lost.setdefault(row["leg"], []).append([row["from"], row["to"]])
    said = read_table(raw / f"{stem}_events.tsv")
    hypnogram = said.hypnogram({k: np.array(v) for k, v in lost.items()})
    return Recording(raw / f"{stem}_eeg.edf", truth, hypnogram)
