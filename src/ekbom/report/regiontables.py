"""Tables of an answer: regions as a paper prints them, with and without, influence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from markupsafe import Markup

from ekbom.report import numbers
from ekbom.report.blocks import Block
from ekbom.report.columns import (
    LOWER,
    STATISTIC,
    UPPER,
    VALUE,
    alpha_of,
    bare,
    corrected,
    effect_of,
    is_reliability,
    outcome_of,
    pick,
    unit_of,
)
from ekbom.report.grid import Grid, build, head
from ekbom.report.output import WITHOUT, Answered

#: What the printed table holds; the rest of the columns are folded away under it.
_MAIN = (
    *("region", "n", "mean", *VALUE, "percent", *STATISTIC, "df1", "df", "p", "p_holm", "p_maxT"),
    *("g", "r", "trt", "icc31", "bias", "loa_low", "loa_high", "sd_within", "note"),
)
_SAID = ("n", "n_a", "n_b", "df1", "df", "k")
_NOT_SHOWN = frozenset({"unit", "question", "method", "outcome", "segmentation", "alpha"})


def p_name(column: str) -> Markup:
    """Return the symbol of a column of p values."""
    return head(column, {})


def limits(columns: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return which columns are limits of which: ``icc31_low`` of ``icc31``.

    Parameters
    ----------
    columns : sequence of str
        Of a table.

    Returns
    -------
    dict of str to (str, str)
        ``ci_low`` and ``ci_high`` belong to the effect.
    """
    known = set(columns)
    out = {}
    for column in columns:
        for low, high in (("low", "high"), ("lower", "upper")):
            if {f"{column}_{low}", f"{column}_{high}"} <= known:
                out[column] = (f"{column}_{low}", f"{column}_{high}")
    value = next((c for c in VALUE if c in known), None)
    if value and value not in out:
        for low, high in zip(LOWER, UPPER, strict=True):
            if {low, high} <= known:
                out[value] = (low, high)
                break
    return out


def region_blocks(answer: Answered) -> list[Block]:
    """Return the printed table of regions, and the whole one folded.

    Parameters
    ----------
    answer : Answered
        Files of the answer.

    Returns
    -------
    list of Block
        Rows significant after correction stand out.
    """
    frame = answer.table("regions")
    if not len(frame):
        return []
    main = [c for c in _MAIN if c in frame]
    if is_reliability(answer):
        main = [c for c in main if c not in {"n", "mean"}] if "trt" in main else main
    elif pick(frame, VALUE):
        # A slope has r for its size, a difference g.
        slope = not frame.get("g", pd.Series(dtype=float)).notna().any()
        main = [c for c in main if c not in {"mean", "g" if slope else "r"}]
    out = [Block("grid", _table(answer, main, _caption(answer)))]
    if len([c for c in frame if c not in _NOT_SHOWN]) > len(main) + 2:
        whole = _table(answer, list(frame.columns), Markup("Every column of the table"), False)
        out.append(Block("grid", whole, fold="Every column of this table"))
    return out


def _table(answer: Answered, columns: list[str], caption: Markup, brief: bool = True) -> Grid:
    frame = answer.table("regions").copy()
    frame["region"] = frame["region"].astype(str).map(bare)
    intervals = limits(list(frame.columns))
    if brief:
        # Limits of agreement stand for themselves in print.
        intervals = {k: v for k, v in intervals.items() if not k.startswith(("loa_", "sd_"))}
    ends = {e for pair in intervals.values() for e in pair}
    columns = [c for c in columns if c not in ends and c not in _NOT_SHOWN]
    notes: list[str | Markup] = []
    if brief and len(frame) > 1:
        same = [c for c in _SAID if c in frame and frame[c].notna().all() and _constant(frame[c])]
        columns = [c for c in columns if c not in same]
        if same:
            words = {"n": "n", "n_a": "", "n_b": ""}
            said = ", ".join(
                f"{words.get(c, c)} = {numbers.number(float(frame[c].iloc[0]))}"
                for c in same
                if words.get(c, c)
            )
            notes.append(f"In every row {said}." if said else "")
    p = corrected(frame)
    alpha = alpha_of(answer)
    if p:
        notes.append(Markup("Bold: {} &lt; {}.").format(p_name(p), numbers.level(alpha)))
    return build(
        frame,
        columns,
        caption=caption,
        about=answer.columns.get("regions", {}),
        intervals=intervals,
        strong=(lambda row: bool(row[p] < alpha)) if p else None,
        notes=[n for n in notes if n],
    )


def _constant(column: pd.Series) -> bool:
    return bool((column == column.iloc[0]).all())


def _caption(answer: Answered) -> Markup:
    unit = unit_of(answer)
    tail = Markup(", {}").format(unit) if unit else Markup()
    name = numbers.symbols(outcome_of(answer))
    if is_reliability(answer):
        return Markup("Reliability per region, {}{}").format(name, tail)
    return Markup("{} per region, {}{}").format(numbers.minus(effect_of(answer)), name, tail)


def with_and_without(answer: Answered) -> list[Block]:
    """Return the comparison with the answer without scans that needed a permission.

    Parameters
    ----------
    answer : Answered
        Files of the answer.

    Returns
    -------
    list of Block
        Empty when no scan needed one.
    """
    frame, without = answer.table("regions"), answer.table("regions" + WITHOUT)
    told = answer.about.get("without_permitted")
    if isinstance(told, Mapping) and told.get("refused"):
        why = dict(told["refused"]).get("what")
        who = ", ".join(told.get("participants_left_out", []))
        text = f"Without {who} no answer is possible: {why}"
        return [Block("warnings", Markup("<li>{}</li>").format(text))]
    values = [pick(frame, VALUE)] if pick(frame, VALUE) else ["trt", "icc31"]
    values = [v for v in values if v in frame and v in without]
    if not len(without) or not len(frame) or not values or "region" not in without:
        return []
    found = limits(list(frame.columns))
    p = corrected(frame)
    columns, labels, intervals = ["region"], {}, {}
    keep: list[str] = []
    for value in [str(v) for v in values] + ([p] if p and p in without else []):
        ends = found.get(value)
        keep += [value, *(ends or ())]
        name = Markup() if value in VALUE else Markup("{}<br>").format(head(value, {}))
        for end, word in (("", "with"), ("_without", "without")):
            columns.append(value + end)
            labels[value + end] = (name + word).capitalize() if not name else name + word
            if ends:
                intervals[value + end] = (ends[0] + end, ends[1] + end)
    keep = [c for c in keep if c in without]
    joined = frame[["region", *keep]].merge(
        without[["region", *keep]], on="region", how="left", suffixes=("", "_without")
    )
    joined["region"] = joined["region"].astype(str).map(bare)
    who = people(answer.about.get("permitted"))
    lost = [str(n) for n in (frame["n"].iloc[0], without["n"].iloc[0])] if "n" in frame else []
    notes = [f"n = {lost[0]} with, {lost[1]} without."] if lost and "n" in without else []
    caption = "With and without the scans that needed a permission" + (f": {who}" if who else "")
    grid = build(joined, columns, caption=caption, intervals=intervals, labels=labels, notes=notes)
    return [Block("grid", grid)]


def people(value: object) -> str:
    """Return the scans named in an answer's list of permissions, in one line."""
    if isinstance(value, Mapping):
        return ", ".join(str(k) for k in value)
    said = []
    for one in value if isinstance(value, (list, tuple)) else ():
        if isinstance(one, Mapping):
            keys = ("participant_id", "session_id")
            who = [str(one[k]) for k in keys if one.get(k) not in {None, "", "n/a"}]
            said.append(" ".join(who) or str(one.get("unit", "")))
        else:
            said.append(str(one))
    return ", ".join(dict.fromkeys(s for s in said if s))


def influence(answer: Answered) -> list[Block]:
    """Return how far one person moves each region's answer.

    Parameters
    ----------
    answer : Answered
        Files of the answer.

    Returns
    -------
    list of Block
        A folded table, a row a region; empty when influence was not computed.
    """
    left = answer.table("influence")
    frame = answer.table("regions")
    value = pick(frame, VALUE)
    if value is None or not {"region", "effect_without", "participant_id"} <= set(left):
        return []
    rows = []
    for _, row in frame.iterrows():
        mine = left[left["region"] == row["region"]]
        mine = mine[mine["effect_without"].notna()]
        if not len(mine):
            continue
        most = mine.loc[mine["dfbetas"].abs().idxmax()] if "dfbetas" in mine else None
        rows.append(
            {
                "region": bare(str(row["region"])),
                value: row[value],
                "low": mine["effect_without"].min(),
                "high": mine["effect_without"].max(),
                "most": None if most is None else most["participant_id"],
                "dfbetas": float("nan") if most is None else most["dfbetas"],
                "loo_p": row.get("loo_p"),
                "loo_subject": row.get("loo_subject"),
            }
        )
    if not rows:
        return []
    labels: dict[str, str | Markup] = {
        "low": "Range without one person",
        "most": "Moved most by",
        "dfbetas": "DFBETAS",
        "loo_p": Markup("Largest <i>p</i>"),
        "loo_subject": "Without",
    }
    grid = build(
        pd.DataFrame(rows),
        ["region", value, "most", "dfbetas", "loo_p", "loo_subject"],
        caption="The effect when any one person is left out",
        intervals={value: ("low", "high")},
        labels=labels,
        notes=["Largest p: uncorrected, of the leave-one-out fit nearest to no effect."],
    )
    return [Block("grid", grid, fold="Influence: does the answer hang on one person?")]
