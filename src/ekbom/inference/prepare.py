"""A table becomes the columns of a design: checked, complete, centred."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.inference.formula import FUNCTIONS, PARTICIPANT, Factor, Parsed
from ekbom.inference.settings import SEVERITY_WITH_CONTROLS, Settings

CONTROL = "control"
GROUP = "group"
SESSION = "session"
TREATMENT = re.compile(r"^(treated|treatment|medicated|medication|drug)$", re.IGNORECASE)
_MISSING = {"", "n/a", "N/A", "na", "NA", "nan", "NaN", "None"}
_SEVERITY = re.compile(r"irls", re.IGNORECASE)


def normalised(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with columns ``participant`` and, if any, ``session`` as text."""
    frame = table.reset_index(drop=True).copy()
    for house, bids in ((PARTICIPANT, "participant_id"), (SESSION, "session_id")):
        if house not in frame and bids in frame:
            frame = frame.rename(columns={bids: house})
    if PARTICIPANT not in frame:
        raise refused(
            "The table does not say whose rows these are.",
            "participant",
            found=", ".join(map(str, frame.columns)) or "no columns",
            expected="a column participant or participant_id",
            mend="add the column",
        )
    if len(frame) == 0:
        raise refused(
            "There is nobody in the model.",
            "among",
            found="0 rows",
            expected="rows with an outcome",
            mend="check who is included, and that their scans were measured",
        )
    frame[PARTICIPANT] = frame[PARTICIPANT].astype(str)
    if SESSION in frame:
        frame[SESSION] = frame[SESSION].where(frame[SESSION].notna(), "n/a").astype(str)
    return frame


def check_names(parsed: Parsed, frame: pd.DataFrame) -> None:
    """Refuse a name of the formula that is no column, with the nearest one."""
    for name in parsed.names:
        if name not in frame:
            close = get_close_matches(name, [str(c) for c in frame.columns], n=1)
            hint = f"did you mean {close[0]}?" if close else "correct the formula"
            raise refused(
                f"The formula names {name}, which is not there.",
                "model",
                found=parsed.text,
                expected=", ".join(map(str, frame.columns)),
                mend=hint,
            )


def read_columns(
    wanted: Mapping[str, Factor], frame: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, tuple[str, ...]]]:
    """Return one column a factor: text for categorical ones, float64 for covariates."""
    data: dict[str, Any] = {}
    factors: dict[str, tuple[str, ...]] = {}
    for name, factor in wanted.items():
        raw = frame[factor.column]
        text = raw.astype(object)
        missing = raw.isna().to_numpy() | text.map(
            lambda v: isinstance(v, str) and v.strip() in _MISSING
        ).to_numpy(bool)
        if missing.any():
            who = [who_is(frame, int(i)) for i in np.flatnonzero(missing)]
            raise refused(
                f"{factor.column} is missing for {len(who)} of {len(frame)} rows.",
                factor.column,
                found="missing for " + ", ".join(who),
                expected="a value for everybody in the model",
                mend="leave these people out by `among`, or complete the table",
            )
        numeric = pd.to_numeric(raw, errors="coerce")
        is_text = numeric.isna().any() or pd.api.types.is_bool_dtype(raw.dtype)
        if factor.categorical or is_text or isinstance(raw.dtype, pd.CategoricalDtype):
            if factor.function is not None:
                raise refused(f"{factor.name}: {factor.column} is not a number.", factor.column)
            data[name] = [_level(v) for v in text]
            factors[name] = tuple(sorted(set(data[name])))
            continue
        values = numeric.to_numpy(float)
        if factor.function is not None:
            with np.errstate(all="ignore"):
                values = FUNCTIONS[factor.function](values)
        if not np.isfinite(values).all():
            who = [who_is(frame, int(i)) for i in np.flatnonzero(~np.isfinite(values))]
            raise refused(
                f"{name} is not a finite number for {len(who)} rows.",
                factor.column,
                found=", ".join(who),
                mend="correct the values, or use another function",
            )
        data[name] = values
    return pd.DataFrame(data, index=frame.index), factors


def _level(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def complete_rows(
    frame: pd.DataFrame,
    data: pd.DataFrame,
    factors: Mapping[str, tuple[str, ...]],
    parsed: Parsed,
) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """Drop persons who lack a cell that varies within persons; refuse a cell held twice."""
    people = frame[PARTICIPANT]
    changing = [f for f in factors if _repeats(data[f], people)]
    everything = np.arange(len(frame))
    if not changing:
        if PARTICIPANT not in parsed.factors:
            return everything, ()
        counts = people.map(people.value_counts())
        alone = (counts < 2).to_numpy()
        if alone.all():
            return everything, ()
        return everything[~alone], tuple(f"{p}: one row only" for p in people[alone])
    cells = data[changing].agg("\x1f".join, axis=1)
    twice = pd.DataFrame({"p": people, "c": cells}).duplicated()
    if twice.any():
        who = who_is(frame, int(np.flatnonzero(twice)[0]))
        raise refused(
            f"{who} has two rows for the same {' and '.join(changing)}.",
            changing[0],
            found=cells[twice].iloc[0].replace("\x1f", ", "),
            expected="one row each",
            mend="choose one run or session by `among`",
        )
    whole = set(cells)
    keep = np.ones(len(frame), bool)
    dropped = []
    for person, index in people.groupby(people, sort=False).groups.items():
        missing = whole - set(cells.loc[index])
        if missing:
            keep[np.asarray(index)] = False
            lacking = ", ".join(sorted(m.replace("\x1f", " ") for m in missing))
            dropped.append(f"{person}: no {lacking}")
    if not keep.any():
        raise refused(
            "No participant has every " + " and ".join(changing) + ".",
            changing[0],
            found="; ".join(dropped),
            expected="each of " + ", ".join(sorted(m.replace("\x1f", " ") for m in whole)),
            mend="restrict `among` to sessions that people share",
        )
    return everything[keep], tuple(dropped)


def _repeats(column: pd.Series[Any], people: pd.Series[Any]) -> bool:
    """Whether a factor is crossed with persons: most who change it hold all its levels.

    A scanner that was changed between the sessions of a few is not crossed, and
    nobody is dropped for it.
    """
    held = column.groupby(people).agg(lambda v: len(set(v)))
    changed = held[held > 1]
    return len(changed) > 0 and bool((changed == len(set(column))).mean() >= 0.5)


def check_levels(
    factors: Mapping[str, tuple[str, ...]], data: pd.DataFrame, participants: tuple[str, ...]
) -> None:
    """Refuse a factor of one level, and a level with one person."""
    people = np.array(participants)
    for name, levels in factors.items():
        if len(levels) < 2:
            raise refused(
                f"{name} has one level only.",
                name,
                found=f"{levels[0]} in all {len(people)} rows" if levels else "none",
                expected="two or more levels",
                mend=f"remove {name} from the formula, or include the others by `among`",
            )
        for level in levels:
            members = sorted(set(people[(data[name] == level).to_numpy()]))
            if len(members) == 1:
                raise refused(
                    f"{name} {level} has one member.",
                    name,
                    found=members[0],
                    expected="two or more people in each level",
                    mend=f"leave {members[0]} out by `among`, or join levels",
                )


def check_severity(wanted: Mapping[str, Factor], frame: pd.DataFrame, settings: Settings) -> None:
    """Refuse a severity model that holds healthy people scored 0, unless allowed."""
    if GROUP not in frame or SEVERITY_WITH_CONTROLS in settings.allow:
        return
    healthy = (frame[GROUP].astype(str) == CONTROL).to_numpy()
    for factor in wanted.values():
        if not _SEVERITY.search(factor.column) or not healthy.any():
            continue
        score = pd.to_numeric(frame[factor.column], errors="coerce").to_numpy(float)
        zero = healthy & (score == 0.0)
        if zero.any() and not healthy.all():
            raise refused(
                f"The model of severity ({factor.column}) includes healthy people scored 0: "
                "a difference between the groups would pose as a slope.",
                factor.column,
                found=f"{int(zero.sum())} controls with {factor.column} 0, "
                f"beginning with {who_is(frame, int(np.flatnonzero(zero)[0]))}",
                expected="patients only",
                mend="restrict by among = \"group == 'rls'\"; if it is meant, say "
                f'inference.allow = ["{SEVERITY_WITH_CONTROLS}"]',
            )


def centred(
    data: pd.DataFrame,
    factors: Mapping[str, tuple[str, ...]],
    frame: pd.DataFrame,
    settings: Settings,
) -> tuple[pd.DataFrame, dict[str, float], dict[str, Any]]:
    """Centre covariates; return them, their reference values and what was subtracted."""
    data = data.copy()
    reference: dict[str, float] = {}
    means: dict[str, Any] = {}
    # One vote a person: somebody with two scans does not weigh twice.
    people = frame[PARTICIPANT]
    for name in data.columns:
        if name in factors:
            continue
        person = data[name].groupby(people).transform("mean")
        votes = 1.0 / people.map(people.value_counts()).to_numpy(float)
        if settings.centre == "none":
            reference[name] = float(np.average(person, weights=votes))
            continue
        reference[name] = 0.0
        if settings.centre == "mean":
            mean = float(np.average(person, weights=votes))
            data[name] = data[name] - mean
            means[name] = mean
            continue
        if GROUP not in frame:
            raise refused(
                "Covariates cannot be centred within group: there is no column group.",
                "inference.centre",
                found="group",
                expected="mean or none",
                mend='use centre = "mean"',
            )
        levels = frame[GROUP].astype(str)
        by = {
            str(g): float(np.average(person[levels == g], weights=votes[(levels == g).to_numpy()]))
            for g in sorted(set(levels))
        }
        data[name] = data[name] - levels.map(by).astype(float)
        means[name] = by
    return data, reference, means


def shown(frame: pd.DataFrame, used: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of the model, and those that say whether groups are alike."""
    keep = [c for c in (GROUP, "sex", "age") if c in frame and c not in used]
    extra = [c for c in frame.columns if TREATMENT.match(str(c)) and c not in used]
    return pd.concat([used, frame[keep + extra]], axis=1)


def who_is(frame: pd.DataFrame, row: int) -> str:
    """Return participant and session of a row."""
    name = str(frame[PARTICIPANT].iloc[row])
    if SESSION in frame and frame[SESSION].iloc[row] not in _MISSING:
        return f"{name} {frame[SESSION].iloc[row]}"
    return name


def refused(
    what: str,
    field: str,
    found: object = None,
    expected: object = None,
    mend: str | None = "correct the formula or the table",
) -> Refused:
    """Return a refusal that concerns the formula or the table."""
    return Refused(what, field=field, found=found, expected=expected, mend=mend)
