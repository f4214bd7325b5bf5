"""Measurements as parts of the page: every scan by region, models compared, flags counted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from markupsafe import Markup, escape
from scipy import stats

from ekbom.report import figures, numbers, outliers, style
from ekbom.report.blocks import Block, Part
from ekbom.report.columns import bare
from ekbom.report.grid import Cell, Grid, Head, build
from ekbom.report.output import Output
from ekbom.report.questions import Asked

#: Most regions in one figure.
ROWS = 30


def parts(output: Output, asked: Sequence[Asked]) -> list[Part]:
    """Return a part for each outcome with regions, and one for scores without.

    Parameters
    ----------
    output : Output
        An opened output folder.
    asked : sequence of Asked
        The questions: their regions are the ones shown.

    Returns
    -------
    list of Part
        Empty without measurements.
    """
    frame = output.measures
    if not {"measure", "parameter", "value", "participant_id"} <= set(frame):
        return []
    frame = frame.assign(
        region=frame.get("region", np.nan),
        method=frame["method"].fillna("") if "method" in frame else "",
    )
    out = []
    for measure in frame["measure"].dropna().unique():
        mine = frame[frame["measure"] == measure]
        regional = mine[mine["region"].notna()]
        for parameter in _parameters(regional, asked, str(measure)):
            out.append(_regional(regional, str(measure), parameter, asked))
        rest = mine[mine["region"].isna()]
        if len(rest):
            out.append(_scores(rest, str(measure)))
    return out


def _parameters(frame: pd.DataFrame, asked: Sequence[Asked], measure: str) -> list[str]:
    known = list(frame["parameter"].unique())
    wanted = [str(one.plan.get("outcome", "")) for one in asked]
    named = [w.split(".", 1)[1] for w in wanted if w.startswith(measure + ".")]
    chosen = [p for p in dict.fromkeys(named) if p in known]
    return chosen or [p for p in ("VT", "BPND") if p in known][:1] or known[:1]


def _regions(frame: pd.DataFrame, asked: Sequence[Asked]) -> list[str]:
    """Return the regions the questions are about, else those measured."""
    known = list(dict.fromkeys(frame["region"]))
    wanted: list[str] = []
    for one in asked:
        for _, answer in one.answers:
            wanted += [str(r) for r in answer.table("regions").get("region", [])]
    short: dict[str, str] = {}
    for region in known:
        short.setdefault(bare(region), region)
    hits = [w if w in set(known) else short.get(bare(w), "") for w in dict.fromkeys(wanted)]
    hits = [h for h in dict.fromkeys(hits) if h]
    return (hits or known)[:ROWS]


def _regional(frame: pd.DataFrame, measure: str, parameter: str, asked: Sequence[Asked]) -> Part:
    rows = frame[frame["parameter"] == parameter]
    regions = _regions(rows, asked)
    methods = _methods(rows, asked)
    unit = numbers.unit_text(str(rows["unit"].iloc[0])) if "unit" in rows else ""
    label = numbers.plot_symbols(parameter + (f" ({unit})" if unit else ""))
    wide = {
        m: rows[rows["method"] == m].pivot_table(
            index=_keys(rows), columns="region", values="value", aggfunc="first", dropna=False
        )
        for m in methods
    }
    blocks = []
    values = {
        m or "value": [w[r].to_numpy(float) if r in w else np.array([np.nan]) for r in regions]
        for m, w in wide.items()
    }
    drawn = figures.overview([bare(r) for r in regions], values, label=label)
    left = rows["region"].nunique() - len(regions)
    words = Markup(
        "Every dot is a scan, a triangle at the edge an outlier; marks are medians, bars reach "
        "from the first to the third quartile."
    )
    if left > 0:
        words += Markup(
            " Shown are the {} regions that the questions are about; measures.tsv holds {} more."
        ).format(len(regions), left)
    alt = f"{parameter} of every scan in {len(regions)} regions, by method."
    key = "".join(c for c in f"{measure}{parameter}" if c.isalnum())
    blocks.append(Block("figure", style.svg(drawn, key=f"overview{key}", alt=alt), words))
    blocks.append(
        Block(
            "grid",
            _heat(wide[methods[0]], regions, parameter, methods[0], unit),
            fold=f"All scans, {methods[0] or parameter}",
        )
    )
    if len(methods) > 1:
        blocks += _compared(wide, methods, parameter, unit, label, key)
    flags = _flags(rows, methods)
    if flags is not None:
        blocks.append(Block("grid", flags))
    title = Markup("{} <small>{}</small>").format(numbers.symbols(parameter), measure)
    return Part(f"measure-{key}", title, blocks)


def _methods(rows: pd.DataFrame, asked: Sequence[Asked]) -> list[str]:
    """Return the methods in the order of the first question that names some."""
    known = list(dict.fromkeys(rows["method"]))
    first: list[str] = next((m for m in ([m for m, _ in q.answers if m] for q in asked) if m), [])
    return sorted(known, key=lambda m: first.index(m) if m in first else len(first))


def _keys(frame: pd.DataFrame) -> list[str]:
    return [
        c
        for c in ("participant_id", "session_id", "run_id")
        if c in frame and (c == "participant_id" or frame[c].notna().any())
    ]


def _compared(
    wide: dict[str, pd.DataFrame],
    methods: list[str],
    parameter: str,
    unit: str,
    label: str,
    key: str,
) -> list[Block]:
    first = wide[methods[0]]
    others: dict[str, np.ndarray] = {}
    rows = []
    for method in methods[1:4]:
        aligned = wide[method].reindex(index=first.index, columns=first.columns)
        others[method] = aligned.to_numpy(float).ravel()
    x = first.to_numpy(float).ravel()
    for method, y in others.items():
        both = np.isfinite(x) & np.isfinite(y)
        a, b = x[both], y[both]
        if len(a) < 3:
            continue
        percent = 100 * (b - a) / a
        rows.append(
            {
                "method": f"{method} against {methods[0]}",
                "count": len(a),
                "median_percent": float(np.median(percent)),
                "low": float(np.quantile(percent, 0.1)),
                "high": float(np.quantile(percent, 0.9)),
                "rho": float(stats.spearmanr(a, b).statistic),
            }
        )
    if not rows:
        return []
    drawn = figures.agreement(
        x, others, x_name=methods[0], label=numbers.plot_symbols(parameter), unit=unit
    )
    alt = f"{parameter} by other methods against {methods[0]}, a dot a region and scan."
    grid = build(
        pd.DataFrame(rows),
        ["method", "count", "median_percent", "rho"],
        caption="Methods compared over all regions and scans",
        intervals={"median_percent": ("low", "high")},
        labels={
            "method": "Method",
            "count": "Pairs",
            "median_percent": "Median difference, %",
            "low": "10th to 90th percentile",
            "rho": "Rank correlation",
        },
    )
    words = Markup("{}: other methods against {}; line: identity.").format(
        numbers.symbols(parameter), methods[0]
    )
    return [
        Block("figure", style.svg(drawn, key=f"agree{key}", alt=alt), words),
        Block("grid", grid),
    ]


def _heat(wide: pd.DataFrame, regions: list[str], parameter: str, method: str, unit: str) -> Grid:
    shown = wide.reindex(columns=[r for r in regions if r in wide])
    values = shown.to_numpy(float)
    places = numbers.decimals(values.ravel().tolist())
    finite = values[np.isfinite(values)]
    low, high = (np.quantile(finite, [0.02, 0.98])) if finite.size else (0.0, 1.0)
    heads = [Head(Markup("Scan"), "", False)]
    heads += [
        Head(Markup('<span class="turn">{}</span>').format(bare(r)), bare(r), True)
        for r in shown.columns
    ]
    rows = []
    for name, row in zip(shown.index, values, strict=True):
        who = name if isinstance(name, tuple) else (name,)
        cells = [Cell(Markup(escape(" ".join(str(w) for w in who if isinstance(w, str)))))]
        for v in row:
            share = float(np.clip((v - low) / ((high - low) or 1.0), 0, 1)) if np.isfinite(v) else 0
            cells.append(
                Cell(
                    Markup('<span class="heat" style="--h:{}">{}</span>').format(
                        f"{share:.2f}", numbers.number(float(v), places=places)
                    ),
                    "" if np.isnan(v) else repr(float(v)),
                    True,
                )
            )
        rows.append(cells)
    caption = Markup("{}{} of every scan{}").format(
        numbers.symbols(parameter),
        Markup(", {},").format(method) if method else "",
        Markup(", {}").format(unit) if unit else "",
    )
    return Grid(caption, heads, rows)


def _flags(frame: pd.DataFrame, methods: list[str]) -> Grid | None:
    """Count flags by method."""
    if "flags" not in frame or not frame["flags"].notna().any():
        return None
    told = frame.loc[frame["flags"].notna(), ["method", "flags"]]
    split = told.assign(flag=told["flags"].astype(str).str.split(r"[;,\s]+", regex=True)).explode(
        "flag"
    )
    split = split[split["flag"] != ""]
    if not len(split):
        return None
    table = split.pivot_table(index="flag", columns="method", aggfunc="size", fill_value=0)
    table.columns = [str(c) for c in table.columns]
    table = table.loc[table.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    table = table[[m for m in methods if m in table]]
    table = table.reset_index()
    totals = frame.groupby("method").size()
    labels: dict[str, str | Markup] = {
        m: Markup("{} <small>of {}</small>").format(m, int(totals.get(m, 0)))
        for m in table.columns[1:]
    }
    labels["flag"] = "Flag"
    return build(
        table,
        list(table.columns),
        caption="Flagged estimates: how often, by method",
        labels=labels,
        notes=[
            "A flagged estimate stays in the table and in the mean; the flag says why to doubt it."
        ],
    )


def _scores(frame: pd.DataFrame, measure: str) -> Part:
    """Show numbers without a region: one row a scan."""
    keys = _keys(frame)
    names = frame["parameter"].astype(str) + frame["method"].map(lambda m: f" ({m})" if m else "")
    wide = frame.assign(name=names).pivot_table(
        index=keys, columns="name", values="value", aggfunc="first"
    )
    wide.columns = [str(c) for c in wide.columns]
    wide = wide.reset_index()
    grid = build(
        wide, list(wide.columns), caption=Markup("{}: numbers of each scan").format(measure)
    )
    title = Markup("Scores: {}").format(measure)
    apart = outliers.blocks(frame) if measure == outliers.MEASURE else []
    return Part(f"scores-{measure}", title, [*apart, Block("grid", grid, fold="All scans")])
