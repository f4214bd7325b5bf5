"""Why each movement is or is not periodic: one code, and a sentence with its numbers."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from ekbom.measures.legs import bilateral as joined
from ekbom.measures.legs.events import LEG_WORDS
from ekbom.measures.legs.hypnogram import STAGE_WORDS
from ekbom.measures.legs.score import ARTEFACT, COUNTED, OUTSIDE_LIGHTS, STAGE_UNKNOWN, Scored
from ekbom.measures.legs.series import IN_SERIES, LONG, NON_CLM, RESPIRATORY, SHORT, Series
from ekbom.nouns import Column

_NOT_COUNTED = {
    OUTSIDE_LIGHTS: "outside lights off to lights on",
    STAGE_UNKNOWN: "in an epoch without a stage",
    ARTEFACT: "while a leg had no usable signal",
}

#: Columns of the table of events.
COLUMNS: dict[str, Column] = {
    "onset": Column("Start of the movement from the start of the recording", "s"),
    "duration": Column("Length of the movement", "s"),
    "trial_type": Column(
        "What the row is",
        levels={"LM": "leg movement", "signal_lost": "a leg without a usable signal"},
    ),
    "id": Column("Numbers of the marks, in order of time, that make the movement"),
    "leg": Column(
        "Leg", levels={"L": "left", "R": "right", "B": "both, joined", "n/a": "channel of both"}
    ),
    "status": Column(
        "What the movement is",
        levels={
            "PLM": "periodic leg movement (and so a CLM)",
            "CLM": "candidate leg movement in no series",
            "nonCLM": "leg movement that is no candidate",
            "LM": "mark that is part of another movement, or a movement that is not scored",
            "none": "mark that is no leg movement",
        },
    ),
    "why": Column("Code of the reason for the status"),
    "why_text": Column("The reason in words"),
    "counts": Column("yes, or why the movement is in no index"),
    "series": Column("Number of the series"),
    "rank": Column("Place in the series"),
    "imi_before": Column("Onset-to-onset interval from the candidate before", "s"),
    "imi_after": Column("Onset-to-onset interval to the next candidate", "s"),
    "stage": Column("Sleep stage at onset"),
    "resp": Column("Row of the respiratory event the movement belongs to, from 1"),
    "resp_lag": Column("Onset of the movement minus end of that event", "s"),
    "arousal": Column("Row of the arousal the movement belongs to, from 1"),
    "arousal_lag": Column("Onset of that arousal minus onset of the movement", "s"),
    "series_nr": Column("Number of the series after removal of respiratory movements"),
    "imi_before_nr": Column("Interval from the candidate before, after that removal", "s"),
    "rules": Column("Rule set"),
}


def events_frame(scored: Scored) -> pd.DataFrame:
    """Return the table of events of one rule set, with reasons.

    Parameters
    ----------
    scored : Scored

    Returns
    -------
    DataFrame
        A row a movement, and one for every mark that became part of another
        or was dropped; in order of onset. Missing values are NaN.
    """
    after = scored.series.imi_after
    rows = [_row(scored, i, float(after[i])) for i in range(len(scored.movements))]
    for i, members in enumerate(scored.movements.members):
        if len(members) > 1:
            name = "+".join(str(k + 1) for k in members)
            text = f"part of movement {name}" + (
                " of both legs" if scored.movements.legs_joined[i] > 1 else " of one leg"
            )
            rows += [_mark(scored, k, "LM", f"merged_into:{name}", text) for k in members]
    for k, word in scored.dropped.items():
        status = "none" if word in (joined.TOO_SHORT, joined.MORPHOLOGY) else "LM"
        rows.append(_mark(scored, k, status, word, _dropped_words(scored, k, word)))
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    order = frame.sort_values(["onset", "id"], kind="stable").index
    frame = frame.loc[order].reset_index(drop=True)
    for name in ("series", "rank", "resp", "arousal", "series_nr"):
        frame[name] = frame[name].astype("Int64")
    return frame


def reason(scored: Scored, i: int) -> tuple[str, str, str]:
    """Return status, code and sentence of one movement.

    Parameters
    ----------
    scored : Scored
    i : int
        Movement, from 0.

    Returns
    -------
    status, why, why_text : str
        As in the table of events.
    """
    m, rules = scored.movements, scored.rules
    if m.no[i]:
        return "nonCLM", m.no[i], _refused_words(scored, i)
    s = scored.series
    code, value, run = s.why[i], float(s.value[i]), int(s.run[i])
    limits = f"{rules.imi_min:g} to {rules.imi_max:g} s"
    if code == IN_SERIES:
        text = f"movement {s.rank[i]} of {run} in series {s.series[i]}"
        text += "" if math.isnan(value) else f", {value:.2f} s after the one before"
        return "PLM", code, _and_respiration(scored, i, text)
    if code == SHORT:
        side = "before" if s.run[i] == 0 or value == s.imi[i] else "beside"
        text = f"interval of {value:.2f} s {side} it is below {rules.imi_min:g} s"
        if s.run[i] == 0:
            text += "; it is passed over" if rules.short_imi == "skip" else "; it opens no series"
    elif code == LONG:
        text = f"alone: interval of {value:.2f} s is above {rules.imi_max:g} s"
    elif code == NON_CLM:
        text = "alone: a movement that is no candidate lies between it and its neighbour"
    else:
        text = (
            f"run of {run} with intervals of {limits}; a series needs {rules.min_run}"
            if run > 1
            else f"no other candidate within {limits}"
        )
    return "CLM", code, _and_respiration(scored, i, text)


def _and_respiration(scored: Scored, i: int, text: str) -> str:
    if scored.respiratory[i]:
        text += f"; related to respiration, {scored.resp_lag[i]:+.2f} s from the event's end"
        nr: Series | None = scored.series_nr
        if nr is not None:
            text += ", so not among PLMnr"
    elif scored.series_nr is not None and scored.periodic[i] != scored.periodic_nr[i]:
        text += "; " + ("in" if scored.periodic_nr[i] else "not in")
        text += " a series once respiratory movements are removed"
    if scored.counts[i] != COUNTED:
        text += f"; not counted: {_NOT_COUNTED[scored.counts[i]]}"
    return text


def _refused_words(scored: Scored, i: int) -> str:
    m, rules = scored.movements, scored.rules
    whole = float(m.end[i] - m.onset[i])
    if m.no[i] == joined.TOO_LONG:
        return f"lasts {whole:.2f} s, above {rules.max_duration:g} s"
    if m.no[i] == joined.MANY:
        return f"{m.legs_joined[i]} movements joined, above {rules.max_members}"
    if m.no[i] == joined.LONG:
        return f"both legs together last {whole:.2f} s, above {rules.max_bilateral:g} s"
    return f"one of its movements lasts {m.longest[i]:.2f} s, above {rules.max_duration:g} s"


def _dropped_words(scored: Scored, k: int, word: str) -> str:
    rules = scored.rules
    if word == joined.TOO_SHORT:
        return f"lasts {scored.marks.duration[k]:.3f} s, below {rules.min_duration:g} s"
    if word == joined.MORPHOLOGY:
        return f"holds no {rules.min_duration:g} s whose median is raised"
    if word == RESPIRATORY:
        return f"about a respiratory event, which {rules.title} does not score"
    return f"stage {_stage(scored, k)} at onset, which {rules.title} does not score"


def _stage(scored: Scored, k: int) -> str:
    return STAGE_WORDS[int(scored.stage_of_marks[k])]


def _row(scored: Scored, i: int, after: float) -> dict[str, Any]:
    m, s = scored.movements, scored.series
    status, why, text = reason(scored, i)
    nr = scored.series_nr
    return {
        "onset": m.onset[i],
        "duration": _length(scored, i),
        "trial_type": "LM",
        "id": "+".join(str(k + 1) for k in m.members[i]),
        "leg": LEG_WORDS[m.leg[i]],
        "status": status,
        "why": why,
        "why_text": text,
        "counts": scored.counts[i],
        "series": int(s.series[i]) or None,
        "rank": int(s.rank[i]) or None,
        "imi_before": s.imi[i],
        "imi_after": after,
        "stage": STAGE_WORDS[int(scored.stage[i])],
        "resp": _number(scored.resp_id[i]),
        "resp_lag": scored.resp_lag[i],
        "arousal": _number(scored.arousal_id[i]),
        "arousal_lag": scored.arousal_lag[i],
        "series_nr": None if nr is None else int(nr.series[i]) or None,
        "imi_before_nr": math.nan if nr is None else nr.imi[i],
        "rules": scored.rules.name,
    }


def _mark(scored: Scored, k: int, status: str, why: str, text: str) -> dict[str, Any]:
    return {
        "onset": scored.marks.onset[k],
        "duration": scored.marks.duration[k],
        "trial_type": "LM",
        "id": str(k + 1),
        "leg": LEG_WORDS[scored.marks.leg[k]],
        "status": status,
        "why": why,
        "why_text": text,
        "counts": "n/a",
        "stage": _stage(scored, k),
        "rules": scored.rules.name,
    }


def _length(scored: Scored, i: int) -> float:
    """Length of a movement; that of its mark to the last digit when it has one only."""
    members = scored.movements.members[i]
    if len(members) == 1:
        return float(scored.marks.duration[members[0]])
    return float(scored.movements.end[i] - scored.movements.onset[i])


def _number(row: int) -> int | None:
    return None if row < 0 else int(row) + 1
