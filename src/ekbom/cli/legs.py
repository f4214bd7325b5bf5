"""`ekbom legs`: leg movements of single recordings, without a study around them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter
from rich.console import Console

from ekbom import __version__
from ekbom.errors import Refused

if TYPE_CHECKING:
    from ekbom.measures.legs.analyse import Analysis
    from ekbom.measures.legs.io.annotations import Annotations
    from ekbom.measures.legs.settings import LegsSettings
    from ekbom.nouns import Figure, Table

app = App(
    name="legs",
    help="Leg movements of single recordings. A whole study goes through `ekbom run`.",
)
_out = Console(highlight=False, soft_wrap=True)
NOT_ADVICE = "Research use; not medical advice."

Stages = Annotated[Path | None, Parameter(help="Stages and lights: EDF+, NSRR XML or table.")]
Resp = Annotated[Path | None, Parameter(help="Respiratory events: EDF+, NSRR XML or table.")]
Arousals = Annotated[Path | None, Parameter(help="Arousals: EDF+, NSRR XML or table.")]
Rules = Annotated[str, Parameter(help="Rule sets, with commas.")]
ALL = "wasm2016,wasm2006,aasm"


@app.command
def score(
    events: Path,
    out: Path,
    *,
    stages: Stages = None,
    resp: Resp = None,
    arousals: Arousals = None,
    rules: Rules = ALL,
    no_arousal: Annotated[bool, Parameter(negative=())] = False,
    rera: bool = False,
    short_imi_can_open: bool = True,
    figures: bool = True,
    seed: int = 0,
) -> int:
    """Score marks of leg movements, by several rule sets side by side.

    Parameters
    ----------
    events
        Marks: EDF+, NSRR XML, or a table with onset, duration, leg.
    out
        Output folder.
    no_arousal
        Leave arousals aside although a file marks them.
    rera
        Count arousals related to respiratory effort as respiratory events.
    short_imi_can_open
        WASM 2016: the movement after a short interval may open a series.
    figures
        Draw figures.
    seed
        Of the bootstrap.
    """
    from ekbom.measures.legs import tables
    from ekbom.measures.legs.analyse import analyse

    asked = _settings(rules=_split(rules), short_imi_can_open=short_imi_can_open, rera=rera,
                      figures=figures, seed=seed)  # fmt: skip
    said, inputs = _gather(events, stages, resp, arousals, no_arousal)
    if said.marks is None:
        raise Refused(
            "The file holds no marks of leg movements.",
            file=events,
            found=", ".join(list(said.ignored)[:8]) or "other annotations",
            expected="'Limb movement', 'LM', 'PLM (Left)' ... or a table with onset, duration, leg",
            mend="to find movements in the EMG use `ekbom legs detect`",
        )
    night = said.hypnogram()
    found = analyse(said.marks, night, said.resp, said.arousal, settings=asked)
    meta = {"Marks": "given", "LightsOff": night.lights_off, "LightsOn": night.lights_on,
            "Flags": list(night.flags), "Ignored": dict(sorted(said.ignored.items()))}  # fmt: skip
    made = [tables.events_table(found, meta), tables.scores_table(found, meta),
            tables.variants_table(found), tables.hours_table(found)]  # fmt: skip
    _write(out, _stem(events), made, _figures(found) if asked.figures else [], inputs)
    _summary(found, night.flags)
    return _end(out)


@app.command
def detect(
    edf: Path,
    out: Path,
    *,
    channels: str = "",
    ecg: str | None = None,
    unit: str | None = None,
    on: float = 8.0,
    off: float = 2.0,
    hold: float = 0.5,
    stages: Stages = None,
    resp: Resp = None,
    arousals: Arousals = None,
    rules: Rules = ALL,
    no_arousal: Annotated[bool, Parameter(negative=())] = False,
    figures: bool = True,
    seed: int = 0,
) -> int:
    """Find leg movements in the EMG, then score them.

    Parameters
    ----------
    edf
        Recording, EDF, EDF+ or BDF; EEGLAB and BrainVision with the extra `mne`.
    out
        Output folder.
    channels
        Leg channels with commas, LABEL or LABEL=L; by their labels when left out.
    ecg
        ECG channel; by its label when left out, `none` for none.
    unit
        V, mV, uV or nV, only for a format whose header has no unit (EEGLAB).
    on
        uV above rest that start a movement.
    off
        uV above rest, below which a movement ends.
    hold
        Seconds it must stay there.
    no_arousal
        Leave arousals aside although a file marks them.
    figures
        Draw figures.
    seed
        Of the bootstrap and of the movements drawn.
    """
    from ekbom.measures.legs import tables
    from ekbom.measures.legs.analyse import analyse
    from ekbom.measures.legs.detect import detect as find_movements
    from ekbom.measures.legs.detect import rethreshold
    from ekbom.measures.legs.figures import snippet_figure
    from ekbom.measures.legs.io.edf import ecg_channel, leg_channels
    from ekbom.measures.legs.io.foreign import open_recording

    asked = _settings(rules=_split(rules), on=on, off=off, hold=hold, figures=figures, seed=seed,
                      ecg="none" if ecg == "none" else "auto")  # fmt: skip
    opened = open_recording(edf, unit)
    legs = leg_channels(opened, _split(channels))
    heart = None if ecg == "none" else ecg_channel(opened, ecg)
    found = find_movements(legs, heart, asked.detection())
    for one in found.legs:
        n = int((found.marks.leg == _code(one.leg)).sum())
        _say(
            f"{one.channel} ({one.leg}): {n} movements,"
            f" rest {one.facts['RestMedian']:.1f} uV, lost {one.facts['MinutesLost']:.1f} min"
        )
    for flag in found.flags:
        _say(f"note: {flag}")
    said, inputs = _gather(edf, stages, resp, arousals, no_arousal)
    meta = {"Marks": "found in the EMG", **tables.detection_meta(found)}
    marks = _marks_table(found.marks, meta)
    if said.epochs is None:
        _write(out, _stem(edf), [marks], [], inputs)
        _say("no sleep stages were given: marks only, no indices (give them with --stages)")
        return _end(out)
    night = said.hypnogram(found.lost)
    result = analyse(found.marks, night, said.resp, said.arousal, settings=asked,
                     again=partial(rethreshold, found))  # fmt: skip
    meta |= {"LightsOff": night.lights_off, "LightsOn": night.lights_on,
             "Flags": [*night.flags, *found.flags]}  # fmt: skip
    made = [marks, tables.events_table(result, meta), tables.scores_table(result, meta),
            tables.variants_table(result), tables.hours_table(result)]  # fmt: skip
    drawn: list[Figure] = []
    if asked.figures:
        first = next(iter(result.values())).scored
        drawn = [*_figures(result), snippet_figure(first, found, legs, seed=seed)]
    _write(out, _stem(edf), made, drawn, inputs)
    _summary(result, night.flags)
    return _end(out)


@app.command
def explain(
    file: Path,
    *,
    event: int,
    stages: Stages = None,
    resp: Resp = None,
    arousals: Arousals = None,
    rules: Rules = ALL,
) -> int:
    """Say why a movement is or is not periodic under each rule set.

    Parameters
    ----------
    file
        Marks, or a table of events of this command.
    event
        Number of the mark in order of time, from 1.
    """
    from ekbom.measures.legs.analyse import chosen_rules
    from ekbom.measures.legs.events import LEG_WORDS
    from ekbom.measures.legs.reasons import events_frame
    from ekbom.measures.legs.score import score as score_one

    said, _ = _gather(file, stages, resp, arousals, False)
    if said.marks is None or not 1 <= event <= len(said.marks):
        n = 0 if said.marks is None else len(said.marks)
        raise Refused("There is no such movement.", file=file, field="--event", found=event,
                      expected=f"1 to {n}" if n else "a file with marks")  # fmt: skip
    k = event - 1
    m = said.marks
    _say(f"mark {event}: {LEG_WORDS[m.leg[k]]}, {m.onset[k]:.2f} s, {m.duration[k]:.2f} s long")
    for set_ in chosen_rules(_settings(rules=_split(rules))):
        scored = score_one(m, said.hypnogram(), said.resp, said.arousal, rules=set_)
        frame = events_frame(scored)
        mine = frame["id"].map(lambda name: str(event) in name.split("+"))
        for row in frame[mine].itertuples():
            _say(f"  {set_.title}: {row.status} ({row.why}): {row.why_text}")
    return 0


def _gather(
    events: Path, stages: Path | None, resp: Path | None, arousals: Path | None, no_arousal: bool
) -> tuple[Annotations, list[Path]]:
    """Join what the files say; a file given by name for a thing goes before the others."""
    from dataclasses import replace

    from ekbom.measures.legs.io.read import read

    said = read(events)
    inputs = [events]
    if stages is not None:
        own = read(stages)
        said = replace(
            said,
            epochs=own.epochs if own.epochs is not None else said.epochs,
            lights_off=own.lights_off if own.lights_off == own.lights_off else said.lights_off,
            lights_on=own.lights_on if own.lights_on == own.lights_on else said.lights_on,
            resp=said.resp if said.resp is not None else own.resp,
            arousal=said.arousal if said.arousal is not None else own.arousal,
            flags=tuple(dict.fromkeys((*said.flags, *own.flags))),
            file=str(stages),
        )
        inputs.append(stages)
    if resp is not None:
        from ekbom.measures.legs.events import Spans

        said = replace(said, resp=read(resp, kind="resp").resp or Spans())
        inputs.append(resp)
    if arousals is not None:
        from ekbom.measures.legs.events import Spans

        said = replace(said, arousal=read(arousals).arousal or Spans())
        inputs.append(arousals)
    return replace(said, arousal=None) if no_arousal else said, list(dict.fromkeys(inputs))


def _marks_table(marks: Any, meta: dict[str, Any]) -> Table:
    import pandas as pd

    from ekbom.measures.legs.events import LEG_WORDS
    from ekbom.measures.legs.reasons import COLUMNS
    from ekbom.nouns import Table

    names = ("onset", "duration", "trial_type", "leg")
    frame = pd.DataFrame(
        {"onset": marks.onset, "duration": marks.duration, "trial_type": "LM",
         "leg": [LEG_WORDS[k] for k in marks.leg]}
    )  # fmt: skip
    return Table("desc-detected_events", frame, {n: COLUMNS[n] for n in names}, meta)


def _figures(found: dict[str, Analysis]) -> list[Figure]:
    from ekbom.measures.legs import figures

    first = next(iter(found.values()))
    return [figures.night_figure(first), figures.interval_figure(first),
            figures.hours_figure(first), figures.sensitivity_figure(first)]  # fmt: skip


def _settings(**given: Any) -> LegsSettings:
    from ekbom.cli.options import accepted
    from ekbom.measures.legs.settings import LegsSettings

    return accepted(lambda: LegsSettings(**given), "legs")


def _stem(path: Path) -> str:
    stem = re.sub(r"_desc-[A-Za-z0-9]+(?=_)", "", path.stem)
    return re.sub(r"_(eeg|events)$", "", stem)


def _write(
    out: Path, stem: str, made: Sequence[Table], drawn: Sequence[Figure], inputs: Sequence[Path]
) -> None:
    from ekbom.study.files import json_bytes, sha256, tsv_bytes, write_bytes
    from ekbom.study.products import column_json

    by = {
        "Name": "ekbom legs",
        "Version": __version__,
        "Inputs": {p.name: sha256(p) for p in inputs},
    }
    described = out / "dataset_description.json"
    for table in made:
        target = out / f"{stem}_{table.name}.tsv"
        if any(target.exists() and target.samefile(p) for p in inputs):
            raise Refused(
                "The output would replace an input.",
                file=target,
                expected="another folder",
                mend="give another output folder; given events are never altered",
            )
    if not described.exists():
        write_bytes(described, json_bytes({
            "Name": "ekbom legs", "BIDSVersion": "1.10.0", "DatasetType": "derivative",
            "GeneratedBy": [{"Name": "ekbom", "Version": __version__}],
        }))  # fmt: skip
    for table in made:
        said = {n: column_json(c) for n, c in table.columns.items() if n in table.frame}
        write_bytes(out / f"{stem}_{table.name}.tsv", tsv_bytes(table.frame))
        write_bytes(
            out / f"{stem}_{table.name}.json",
            json_bytes({**said, **dict(table.meta), "GeneratedBy": by}),
        )
    for figure in drawn:
        path = out / "figures" / f"{stem}_{figure.name}.{figure.kind}"
        write_bytes(path, figure.data)
        write_bytes(
            path.with_suffix(".json"),
            json_bytes({"Caption": figure.caption, "GeneratedBy": by}),
        )


def _summary(found: dict[str, Analysis], flags: Sequence[str]) -> None:
    from ekbom.measures.legs.indices import find
    from ekbom.measures.legs.reference import single_night_words

    for name, one in found.items():
        rows = one.indices
        plms, plmw = find(rows, "PLM_index", "sleep"), find(rows, "PLM_index", "wake")
        pi, old = find(rows, "PI_2016"), find(rows, "PI_Ferri2006")
        _say(
            f"{name}: PLMS {_n(plms.value)}/h ({_n(plms.lower)} to {_n(plms.upper)}; {plms.n} in"
            f" {plms.hours:.2f} h), PLMW {_n(plmw.value)}/h, PI_2016 {_n(pi.value)},"
            f" PI_Ferri2006 {_n(old.value)}"
        )
    for flag in flags:
        _say(f"note: {flag}")
    first = next(iter(found.values()))
    words = single_night_words(find(first.indices, "PLM_index", "sleep").value)
    if words:
        _say(words)


def _code(leg: str) -> int:
    from ekbom.measures.legs.events import leg_code

    return leg_code(leg)


def _n(value: float) -> str:
    return "n/a" if value != value else f"{value:.3g}"


def _split(text: str) -> list[str]:
    return [t.strip() for t in text.split(",") if t.strip()]


def _say(text: str) -> None:
    _out.print(text, markup=False)


def _end(out: Path) -> int:
    _say(f"written to {out}")
    _say(NOT_ADVICE)
    return 0
