"""What is said of a night as tables with the meaning of their columns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from ekbom.measures.legs.analyse import Analysis, sleep_rows
from ekbom.measures.legs.detect import Detection
from ekbom.measures.legs.hypnogram import Hypnogram
from ekbom.measures.legs.night import course
from ekbom.measures.legs.reasons import COLUMNS, events_frame
from ekbom.measures.legs.reference import beside
from ekbom.measures.legs.uncertainty import band
from ekbom.nouns import Column, Score, Table

#: Scores of a night: parameter to (measure, stage) of the table of scores, and unit.
SCORES: dict[str, tuple[str, str, str]] = {
    "PLMS_index": ("PLM_index", "sleep", "1/h"),
    "PLMSnr_index": ("PLMnr_index", "sleep", "1/h"),
    "PLMW_index": ("PLM_index", "wake", "1/h"),
    "LMS_index": ("LM_index", "sleep", "1/h"),
    "CLMS_index": ("CLM_index", "sleep", "1/h"),
    "PLMS_arousal_index": ("PLM_arousal_index", "sleep", "1/h"),
    "PLMS_NREM_index": ("PLM_index", "NREM", "1/h"),
    "PLMS_REM_index": ("PLM_index", "REM", "1/h"),
    "PI_2016": ("PI_2016", "sleep", "1"),
    "PI_2016_wake": ("PI_2016", "wake", "1"),
    "PI_2016_night": ("PI_2016", "night", "1"),
    "PI_Ferri2006": ("PI_Ferri2006", "sleep", "1"),
    "PI_Ferri2006_wake": ("PI_Ferri2006", "wake", "1"),
    "PI_Ferri2006_night": ("PI_Ferri2006", "night", "1"),
    "IMI_geometric_mean": ("IMI_geometric_mean", "sleep", "s"),
    "IMI_sd_ln": ("IMI_sd_ln", "sleep", "ln s"),
    "IMI_mode": ("IMI_mode", "sleep", "s"),
    "IMI_share_short": ("IMI_share_short", "sleep", "%"),
    "IMI_share_long": ("IMI_share_long", "sleep", "%"),
    "CLM_duration_median": ("CLM_duration_median", "sleep", "s"),
    "CLM_share_bilateral": ("CLM_share_bilateral", "sleep", "%"),
    "PLM_slope": ("PLM_slope", "sleep", "1/h2"),
    "PLM_share_first_half": ("PLM_share_first_half", "sleep", "%"),
    "PLM_dispersion": ("PLM_dispersion", "sleep", "1"),
}

_SCORE_COLUMNS = {
    "measure": Column("What was measured"),
    "stage": Column("Stages counted; night is wake and sleep between lights off and on"),
    "leg": Column("all; left and right alone; mono: either alone; bi: both, joined"),
    "rules": Column("Rule set"),
    "value": Column("The number"),
    "lower": Column("Lower end of the 95 % interval"),
    "upper": Column("Upper end of the 95 % interval"),
    "unit": Column("Unit of the number"),
    "n": Column("Movements or intervals behind it"),
    "hours": Column("Hours of these stages between lights off and on, without lost signal", "h"),
    "why": Column("Why there is no number"),
}


def scores_of(found: Mapping[str, Analysis], hypnogram: Hypnogram) -> list[Score]:
    """Return the named scores of a night, the rule set as method.

    The first rule set has the plain names, so that ``legs.PLMS_index`` is one
    number a night wherever it stands; the others carry theirs at the end,
    ``PLMS_index_aasm``.

    Parameters
    ----------
    found : mapping of str to Analysis
    hypnogram : Hypnogram

    Returns
    -------
    list of Score
        NaN with the reason as a flag where there is no number.
    """
    out = []
    for k, (name, one) in enumerate(found.items()):
        rows = {(r.measure, r.stage): r for r in one.indices if r.leg == "all"}
        for plain, (measure, stage, unit) in SCORES.items():
            parameter = score_name(plain, name, k == 0)
            row = rows.get((measure, stage))
            if row is None:
                missing = "arousals" if "arousal" in measure else "respiration"
                out.append(Score(parameter, math.nan, unit, method=name,
                                 flags=(f"{missing}-not-given",)))  # fmt: skip
                continue
            flags = (row.why,) if row.why else ()
            out.append(Score(parameter, row.value, unit, method=name, lower=row.lower,
                             upper=row.upper, flags=flags))  # fmt: skip
        low, high = band(one.variants)
        for plain, value in (("PLMS_index_band_low", low), ("PLMS_index_band_high", high)):
            out.append(Score(score_name(plain, name, k == 0), value, "1/h", method=name))
    said = hypnogram.flags
    out += [
        Score(name if name in ("TST", "WASO", "SOL", "SE") else f"{name}_minutes", value, unit,
              method="hypnogram", flags=said)
        for name, value, unit in sleep_rows(hypnogram)
    ]  # fmt: skip
    return out


def score_name(plain: str, rules: str, first: bool) -> str:
    """Return the name of a score: plain for the first rule set, else with that of its set."""
    return plain if first else f"{plain}_{rules}"


def events_table(found: Mapping[str, Analysis], meta: Mapping[str, Any]) -> Table:
    """Return the events of every rule set, one after the other.

    Parameters
    ----------
    found : mapping of str to Analysis
    meta : mapping
        For the sidecar.

    Returns
    -------
    Table
        ``desc-legs_events``.
    """
    frames = [events_frame(one.scored) for one in found.values()]
    night = next(iter(found.values())).scored.hypnogram
    lost = lost_frame(night)
    frame = pd.concat([*([lost] if len(lost) else []), *frames], ignore_index=True)
    frame = frame[list(COLUMNS)]
    return Table("desc-legs_events", frame, COLUMNS, {**meta, "Rules": rules_meta(found)})


def lost_frame(night: Hypnogram) -> pd.DataFrame:
    """Return the spans without a usable signal as rows of a table of events."""
    rows = [
        {"onset": a, "duration": b - a, "trial_type": "signal_lost", "leg": leg}
        for leg, spans in sorted(night.lost.items())
        for a, b in spans
    ]
    return pd.DataFrame(rows, columns=["onset", "duration", "trial_type", "leg"])


def scores_table(found: Mapping[str, Analysis], meta: Mapping[str, Any]) -> Table:
    """Return every index of every rule set.

    Parameters
    ----------
    found : mapping of str to Analysis
    meta : mapping

    Returns
    -------
    Table
        ``desc-legs_scores``.
    """
    rows = [
        {name: getattr(row, name) for name in _SCORE_COLUMNS}
        for one in found.values()
        for row in one.indices
    ]
    frame = pd.DataFrame(rows, columns=list(_SCORE_COLUMNS))
    frame["why"] = frame["why"].replace("", None)
    shown = {p: [str(r) for r in beside(p)] for p in SCORES if beside(p)}
    return Table(
        "desc-legs_scores", frame, _SCORE_COLUMNS,
        {**meta, "Rules": rules_meta(found), "ReferenceValues": shown},
    )  # fmt: skip


def variants_table(found: Mapping[str, Analysis]) -> Table:
    """Return PLMS an hour under every change of rules and thresholds."""
    rows = [
        {"rules": name, "what": v.what, "setting": v.setting, "value": v.value}
        for name, one in found.items()
        for v in one.variants
    ]
    columns = {
        "rules": Column("Rule set"),
        "what": Column("What was changed"),
        "setting": Column("To what"),
        "value": Column("PLMS an hour of sleep", "1/h"),
    }
    return Table("desc-sensitivity_scores", pd.DataFrame(rows, columns=list(columns)), columns)


def hours_table(found: Mapping[str, Analysis]) -> Table:
    """Return periodic movements by hour, from sleep onset and from lights off."""
    rows = []
    for name, one in found.items():
        for since in ("sleep onset", "lights off"):
            of = course(one.scored, "sleep", since)
            low, high = of.intervals()
            for k in range(of.counts.size):
                rows.append(
                    {
                        "rules": name, "since": since, "hour": k + 1, "n": int(of.counts[k]),
                        "hours": of.hours[k], "value": of.rates[k], "lower": low[k],
                        "upper": high[k],
                    }
                )  # fmt: skip
    columns = {
        "rules": Column("Rule set"),
        "since": Column("Where the first hour begins"),
        "hour": Column("Hour, from 1"),
        "n": Column("Periodic movements in sleep"),
        "hours": Column("Hours of sleep in the hour, without lost signal", "h"),
        "value": Column("PLMS an hour of sleep; n/a below five minutes of sleep", "1/h"),
        "lower": Column("Lower end of the 95 % Poisson interval", "1/h"),
        "upper": Column("Upper end of the 95 % Poisson interval", "1/h"),
    }
    return Table("desc-hours_scores", pd.DataFrame(rows, columns=list(columns)), columns)


def rules_meta(found: Mapping[str, Analysis]) -> dict[str, Any]:
    """Return rule sets with every number, their source, and what was not checked."""
    return {
        name: {
            **one.scored.rules.settings(),
            "Reference": one.scored.rules.reference,
            "NotChecked": list(one.scored.rules.unverified),
            "Notes": dict(one.scored.rules.notes),
        }
        for name, one in found.items()
    }


def detection_meta(found: Detection) -> dict[str, Any]:
    """Return thresholds, filters, rest levels and what was lost, for a sidecar."""
    s = found.settings
    return {
        "Detection": {
            "OnMicrovoltsAboveRest": s.on,
            "OffMicrovoltsAboveRest": s.off,
            "HoldSeconds": s.hold,
            "Envelope": f"root mean square of {s.window:g} s",
            "Band": [s.low, s.high],
            "Legs": {one.channel: {"Leg": one.leg, **one.facts} for one in found.legs},
        }
    }
