"""Leg movements as a measure of a study: polysomnography to events, indices and figures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, cast

from pydantic import BaseModel

from ekbom.errors import Refused
from ekbom.measures.legs import figures, tables
from ekbom.measures.legs.analyse import analyse, chosen_rules, rules_words
from ekbom.measures.legs.detect import Detection, detect, rethreshold
from ekbom.measures.legs.events import Marks
from ekbom.measures.legs.hypnogram import Hypnogram, W
from ekbom.measures.legs.io import bids
from ekbom.measures.legs.io.annotations import Annotations
from ekbom.measures.legs.io.edf import Signals, ecg_channel
from ekbom.measures.legs.reference import single_night_words
from ekbom.measures.legs.rules import RULE_SETS, rule_set
from ekbom.measures.legs.score import score
from ekbom.measures.legs.settings import LegsSettings
from ekbom.measures.legs.sit import SIT, score_sit
from ekbom.nouns import Figure, Files, Inputs, Note, Product, Score, Unit

_SLEEP = {"TST": "min", "WASO": "min", "SOL": "min", "SE": "%"}


def _outcomes() -> dict[str, str]:
    plain = {name: unit for name, (_, _, unit) in tables.SCORES.items()}
    plain |= {"PLMS_index_band_low": "1/h", "PLMS_index_band_high": "1/h", "SIT_index": "1/h"}
    named = {f"{name}_{rules}": unit for rules in RULE_SETS for name, unit in plain.items()}
    return {**plain, **_SLEEP, **named}


class LegsMeasure:
    """Leg movements of one night, by several rule sets side by side.

    The rule set is the method of each score; those of the first one have the
    plain names (``PLMS_index``), those of others end in theirs
    (``PLMS_index_aasm``). A number that cannot be formed is
    NaN with the reason as its flag. ``lower`` and ``upper`` are 95 % intervals by
    chance alone; ``PLMS_index_band_low`` and ``_high`` span what rules and
    thresholds leave open.
    """

    name: ClassVar[str] = "legs"
    settings_model: ClassVar[type[BaseModel]] = LegsSettings
    outcomes: ClassVar[Mapping[str, str]] = _outcomes()
    citations: ClassVar[Mapping[str, str]] = {n: rule_set(n).reference for n in RULE_SETS}

    def units(self, study: Files) -> list[Unit]:
        """Return every subject-session-run with a recording or events of sleep.

        Parameters
        ----------
        study : Files

        Returns
        -------
        list of Unit
        """
        return bids.units(study)

    def inputs(self, unit: Unit, study: Files, settings: BaseModel) -> Inputs:
        """Name the recording, its events and channels, and those of the test awake.

        Parameters
        ----------
        unit : Unit
        study : Files
        settings : LegsSettings

        Returns
        -------
        Inputs

        Raises
        ------
        Refused
            There is neither a night nor a test, or several files for one.
        """
        asked = cast(LegsSettings, settings)
        files = bids.find_files(unit, study, asked.task, asked.scorer)
        test = bids.find_files(unit, study, asked.sit_task, asked.scorer)
        if not any(files[r] or test[r] for r in ("edf", "events")):
            raise Refused(
                "There is no recording of this task.",
                file=study.root / unit.folder / "eeg",
                field="task",
                found="no such file",
                expected=f"*_task-{asked.task}_eeg.edf or *_task-{asked.task}_events.tsv",
                mend="name the task in [measures.legs]",
            )
        return Inputs(unit, {**files, **{f"sit_{role}": paths for role, paths in test.items()}})

    def run(self, inputs: Inputs, settings: BaseModel) -> Product:
        """Find and score the movements of one night.

        Parameters
        ----------
        inputs : Inputs
        settings : LegsSettings

        Returns
        -------
        Product
            Scores, tables of events and indices, figures, notes.
        """
        asked = cast(LegsSettings, settings)
        notes: list[Note] = []
        product = Product()
        if inputs.files.get("edf") or inputs.files.get("events"):
            product = _night(inputs, asked, notes)
        scores = list(product.scores)
        if inputs.files.get("sit_edf") or inputs.files.get("sit_events"):
            scores += _test(inputs, asked, notes)
        return Product(scores, product.tables, (), product.figures, notes, product.meta)

    def words(self, settings: BaseModel) -> str:
        """Return the methods paragraph.

        Parameters
        ----------
        settings : LegsSettings

        Returns
        -------
        str
        """
        asked = cast(LegsSettings, settings)
        sets = chosen_rules(asked)
        found = (
            f"Leg movements that were not marked were found in the EMG (band 10 to 100 Hz, root"
            f" mean square of 0.1 s): onset at {asked.on:g} uV above the local rest level, offset"
            f" at the first {asked.hold:g} s below {asked.off:g} uV above it."
        )
        given = "Leg movements were taken as marked."
        how = {"auto": found, "detect": found, "given": given}[asked.marks]
        open_points = sorted({f"{r.title}: {', '.join(r.unverified)}" for r in sets})
        return (
            f"{how} They were scored by {rules_words(sets)} side by side, through wake and sleep"
            " where the rules ask for it. Indices are movements per hour of the stage between"
            " lights off and lights on, without time in which a leg had no signal. Two periodicity"
            " indices are given, PLM/CLM (WASM 2016) and the share of intervals in runs (Ferri"
            " 2006). Details of the rules that were not checked against the full texts:"
            f" {'; '.join(open_points)}. Research use; not medical advice."
        )


def _marks_and_night(
    said: Annotations, signals: Signals | None, channels: Any, asked: LegsSettings,
    notes: list[Note], stage: int | None = None,
) -> tuple[Marks, Hypnogram, Detection | None, list[Any]]:  # fmt: skip
    """Return marks as given, or found in the EMG; the hypnogram with what was lost."""
    given = said.marks is not None and asked.marks != "detect"
    if asked.marks == "given" and said.marks is None:
        raise Refused(
            "There are no marks of leg movements.",
            file=said.file,
            expected="rows whose trial_type is LM",
            mend='set marks = "detect" to find them in the EMG',
        )
    found: Detection | None = None
    legs: list[Any] = []
    if not given:
        if signals is None or not signals.labels:
            raise Refused(
                "There are neither marks of leg movements nor an EMG to find them in.",
                file=said.file,
                expected="rows whose trial_type is LM, or an EDF file with leg channels",
            )
        legs, other = bids.legs_of(signals, channels, asked.channels)
        notes += [Note("units-of-header", text) for text in other]
        ecg = ecg_channel(signals, asked.ecg_channel)
        found = detect(legs, ecg if asked.ecg == "auto" else None, asked.detection())
        notes += [Note(flag, _FLAG_WORDS[flag]) for flag in found.flags]
        if len(legs) == 1 and legs[0].leg == 2:
            notes.append(Note("one-channel", "one channel of both legs: no rule of two legs used"))
    marks = found.marks if found is not None else said.marks
    assert marks is not None
    lost = {} if found is None else found.lost
    if stage is None or said.epochs is not None:
        return marks, said.hypnogram(lost), found, legs
    end = signals.seconds if signals is not None else float((marks.onset + marks.duration).max())
    flat = Hypnogram.constant(stage, 0.0, end)
    night = Hypnogram(flat.onset, flat.duration, flat.stage, 0.0, end, lost)
    return marks, night, found, legs


_FLAG_WORDS = {
    "rest-above-5uV": "the resting EMG is above 5 uV for a part of the night",
    "sampling-below-200Hz": "a leg is sampled below 200 Hz; the band of its EMG is cut",
    "signal-lost": "a leg has no usable signal for a part of the night, which is left out",
}


def _night(inputs: Inputs, asked: LegsSettings, notes: list[Note]) -> Product:
    said, signals = bids.read_night(inputs.files)
    marks, night, found, legs = _marks_and_night(
        said, signals, inputs.files.get("channels", ()), asked, notes
    )
    again = None if found is None else partial(rethreshold, found)
    result = analyse(marks, night, said.resp, said.arousal, settings=asked, again=again)
    for flag in night.flags:
        notes.append(Note(flag, flag.replace("-", " ")))
    for what, absent in (("respiratory events", said.resp), ("arousals", said.arousal)):
        if absent is None:
            notes.append(Note(f"no-{what.replace(' ', '-')}", f"no {what} were given"))
    first = next(iter(result.values()))
    words = single_night_words(
        next(r.value for r in first.indices if (r.measure, r.stage, r.leg)
             == ("PLM_index", "sleep", "all")), asked.child,
    )  # fmt: skip
    if words:
        notes.append(Note("one-night", words))
    meta: dict[str, Any] = {
        "Marks": "given" if found is None else "found in the EMG",
        "LightsOff": night.lights_off,
        "LightsOn": night.lights_on,
        "Ignored": dict(sorted(said.ignored.items())),
    }
    if found is not None:
        meta |= tables.detection_meta(found)
    drawn: list[Figure] = []
    if asked.figures:
        drawn = [
            figures.night_figure(first), figures.interval_figure(first),
            figures.hours_figure(first), figures.sensitivity_figure(first),
        ]  # fmt: skip
        if found is not None:
            drawn.append(figures.snippet_figure(first.scored, found, legs, seed=asked.seed))
    return Product(
        tables.scores_of(result, night),
        [
            tables.events_table(result, meta), tables.scores_table(result, meta),
            tables.variants_table(result), tables.hours_table(result),
        ],
        (),
        drawn,
        (),
        meta,
    )  # fmt: skip


def _test(inputs: Inputs, asked: LegsSettings, notes: list[Note]) -> list[Score]:
    files = {role: inputs.files.get(f"sit_{role}", ()) for role in ("edf", "events", "channels")}
    said, signals = bids.read_night(files)
    marks, night, _, _ = _marks_and_night(said, signals, files["channels"], asked, notes, W)
    out: list[Score] = []
    for rules in chosen_rules(asked):
        if rules.wake != "score":
            continue
        result: SIT = score_sit(score(marks, night, rules=rules))
        i = result.index
        flags = result.flags + ((i.why,) if i.why else ())
        value = i.value if i.hours else math.nan
        name = tables.score_name("SIT_index", rules.name, not out)
        out.append(Score(name, value, "1/h", method=rules.name, lower=i.lower,
                         upper=i.upper, flags=flags))  # fmt: skip
    return out
