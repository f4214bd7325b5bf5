"""A question of reliability over regions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.inference import words
from ekbom.inference.answer import Answer
from ekbom.inference.columns import WHO, chosen, reliability_columns
from ekbom.inference.formula import PARTICIPANT
from ekbom.inference.prepare import SESSION, normalised
from ekbom.inference.reliability import as_row, reliability, sessions_of
from ekbom.inference.settings import Settings
from ekbom.nouns import Column, Table


def answer_reliability(
    values: NDArray[np.floating[Any]],
    names: Sequence[str],
    unit: str,
    table: pd.DataFrame,
    settings: Settings | None = None,
    outcome: str = "V_T",
) -> Answer:
    """Answer how reliable regional numbers are, from two or more sessions a person.

    Parameters
    ----------
    values : (n, V) float
        One row a scan, one column a region.
    names : sequence of str, length V
        Regions.
    unit : str
        Unit of the values.
    table : pandas.DataFrame
        n rows with ``participant`` and ``session``.
    settings : Settings, optional
        Interval, bootstrap draws, seed.
    outcome : str
        What the values are, for the words.

    Returns
    -------
    Answer
        Tables ``regions`` and ``values``; words; meta.

    Raises
    ------
    Refused
        Fewer than two persons or sessions; a session held twice.
    """
    settings = settings or Settings()
    values = checked(values, names, table)
    frame = normalised(table)
    if SESSION not in frame:
        raise Refused(
            "Reliability needs sessions, and the table has none.",
            field="session",
            found=", ".join(map(str, frame.columns)),
            expected="a column session",
            mend="include the retest scans",
        )
    people, sessions, index, dropped = sessions_of(frame)
    percent = round(100 * settings.interval)
    rows = []
    for j, name in enumerate(names):
        y = values[:, j].astype(float)[index]
        good = np.isfinite(y).all(axis=1)
        missing = [p for p, g in zip(people, good, strict=True) if not g]
        row: dict[str, Any] = {"region": name, "unit": unit, "note": "n/a"}
        if missing:
            row["note"] = "no value in " + ", ".join(missing)
        if good.sum() >= 2:
            row |= as_row(
                reliability(
                    y[good],
                    interval=settings.interval,
                    bootstrap=settings.bootstrap,
                    seed=settings.seed,
                )
            )
        else:
            row |= {"n": int(good.sum()), "k": len(sessions)}
        rows.append(row)
    meanings = reliability_columns(unit, percent, sessions[0], sessions[1])
    order = [c for c in _RELIABILITY if c in meanings]
    regions = pd.DataFrame(rows).reindex(columns=order)
    flat = index.ravel()
    shown = pd.DataFrame(
        {
            "participant_id": frame[PARTICIPANT].iloc[flat].to_numpy(),
            "session_id": frame[SESSION].iloc[flat].to_numpy(),
        }
    )
    shown = pd.concat([shown, pd.DataFrame(values[flat], columns=list(names))], axis=1)
    warnings = [f"Left out: {reason}." for reason in dropped]
    meta = {
        "kind": "reliability",
        "outcome": outcome,
        "unit": unit,
        "n": len(people),
        "participants": people,
        "sessions": sessions,
        "interval": settings.interval,
        "bootstrap": settings.bootstrap,
        "seed": settings.seed,
        "dropped": dropped,
        "warnings": warnings,
        "references": words.references("mcgraw1996", "bland1986", "efron1993"),
    }
    tables = (
        Table("regions", regions, chosen(meanings, order)),
        Table("values", shown, {**WHO, **{n: Column(outcome, unit) for n in names}}),
    )
    methods, results = words.reliability_words(regions, meta)
    return Answer("reliability", "test-retest", tables, (), methods, results, meta)


_RELIABILITY = (
    "region", "n", "k", "mean", "unit",
    "trt", "trt_low", "trt_high",
    "icc31", "icc31_low", "icc31_high", "icc11", "icc11_low", "icc11_high",
    "bias", "bias_low", "bias_high",
    "loa_low", "loa_low_low", "loa_low_high", "loa_high", "loa_high_low", "loa_high_high",
    "sd_within", "sd_within_low", "sd_within_high", "sd_between", "cv_within",
    "ms_rows", "ms_columns", "ms_error", "ms_within", "note",
)  # fmt: skip


def checked(
    values: NDArray[np.floating[Any]], names: Sequence[str], table: pd.DataFrame
) -> NDArray[np.floating[Any]]:
    """Return values as float32 or float64, their shape and the names of regions checked."""
    values = np.asarray(values)
    if values.dtype != np.float32:
        values = values.astype(np.float64)
    if values.ndim != 2 or values.shape != (len(table), len(names)):
        raise ValueError(f"values {values.shape} for {len(table)} rows and {len(names)} regions")
    if len(set(names)) != len(names):
        twice = next(n for n in names if list(names).count(n) > 1)
        raise Refused(
            f"The region {twice} stands twice in the question.",
            field="regions",
            found=twice,
            expected="each region once",
            mend="remove one",
        )
    return values
