"""Answers of the kinds beside the plain effect: their figures and tables."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from markupsafe import Markup

from ekbom.report import brain, figures, kindfigures, numbers, style
from ekbom.report.blocks import Block
from ekbom.report.columns import alpha_of, bare, nested, outcome_of, unit_of
from ekbom.report.grid import Grid, build
from ekbom.report.output import Answered
from ekbom.report.voxels import space_of

KINDS = ("equivalence", "longitudinal", "mediation", "conjunction", "power")
_LEAST = {"equivalence": "smallestbound", "mediation": "stat-joint", "conjunction": "stat-min",
          "power": "detectable-maxt"}  # fmt: skip
_LABELS: dict[str, str | Markup] = {
    "smallest_bound": "Smallest bound", "verdict": "Shown", "p_difference": Markup(
        "<i>p</i> difference"), "c_direct": "c′", "effect": "a b", "p_joint": Markup(
        "<i>p</i> joint"), "min_t": Markup("Least <i>t</i>"), "p_conj": Markup(
        "<i>p</i> conj."), "detectable_single": "One test", "detectable_max_t": "Max-T",
    "detectable_bonferroni": "Bonferroni", "people_needed": "People needed",
    "power_analytic": "By noncentral t", "critical": Markup("|<i>t</i>| beyond"),
}  # fmt: skip
_MAIN = {
    "equivalence": ("region", "n", "voxels", "effect", "p", "p_holm", "smallest_bound", "verdict",
                    "p_difference", "voxels_alone", "voxels_corrected"),
    "longitudinal": ("region", "n", "measurements", "effect", "t", "F", "df1", "df", "p", "p_holm",
                     "structure"),
    "mediation": ("region", "x", "y", "z", "label", "n", "a", "p_a", "b", "p_b", "c", "c_direct",
                  "effect", "p_joint"),
    "conjunction": ("region", "x", "y", "z", "label", "n", "min_t", "p", "p_conj", "t_1", "t_2",
                    "t_3"),
    "power": ("region", "n", "df", "sd", "detectable_single", "detectable_max_t",
              "detectable_bonferroni"),
}  # fmt: skip

_MORE = {
    "power": "Power by size and test",
    "course": "Means by visit",
    "covariance": "Covariance within persons",
    "visits": "Who was seen",
}
_MAP_WORDS = {
    "equivalence": "smallest bound that would pass",
    "power": "size found with the wished power",
    "mediation": "smaller |t| of both paths",
    "conjunction": "least t",
}


def kind_of(answer: Answered) -> str:
    """Return the kind of an answer when it is one of these, else nothing."""
    kind = str(answer.about.get("kind") or "")
    return kind if kind in KINDS else ""


def blocks(answer: Answered, key: str) -> list[Block]:
    """Return figures and tables of an answer of one of these kinds.

    Parameters
    ----------
    answer : Answered
        Files of the answer.
    key : str
        Letters and digits, for ids.

    Returns
    -------
    list of Block
        Figure, main table, further tables folded.
    """
    kind = kind_of(answer)
    out = _map(answer, kind, key) if answer.maps else []
    draw = {"equivalence": _equivalence, "longitudinal": _course, "mediation": _path,
            "power": _power}.get(kind)  # fmt: skip
    if draw is not None:
        out += draw(answer, key)
    frame = answer.table("peaks" if "peaks" in answer.columns else "regions")
    if len(frame):
        name = "peaks" if "peaks" in answer.columns else "regions"
        columns = [c for c in _MAIN[kind] if c in frame]
        out.append(Block("grid", _grid(answer, name, frame, columns, kind)))
        every = [str(c) for c in frame if not str(c).endswith(("_low", "_high"))]
        whole = _grid(answer, name, frame, every, "every column")
        out.append(Block("grid", whole, fold="Every column of this table"))
    for name, title in _MORE.items():
        more = answer.table(name)
        if len(more):
            columns = [str(c) for c in more if not str(c).endswith(("_low", "_high"))]
            out.append(Block("grid", _grid(answer, name, more, columns, title), fold=title))
    return out


def _grid(answer: Answered, name: str, frame: pd.DataFrame, columns: list[str], title: str) -> Grid:
    frame = frame.copy()
    if "region" in frame:
        frame["region"] = frame["region"].astype(str).map(bare)
    pairs = {
        c: (f"{c}_low", f"{c}_high") for c in columns if {f"{c}_low", f"{c}_high"} <= set(frame)
    }
    if {"effect", "ci_low", "ci_high"} <= set(frame):
        pairs["effect"] = ("ci_low", "ci_high")
    labels = {k: v for k, v in _LABELS.items() if k != "effect" or kind_of(answer) == "mediation"}
    p = next((c for c in ("p_conj", "p_joint", "p_holm") if c in frame), None)
    alpha = alpha_of(answer)
    unit = unit_of(answer)
    caption = f"{outcome_of(answer)}{f', {unit}' if unit else ''}: {title}"
    return build(
        frame, columns, caption=caption, about=answer.columns.get(name, {}), labels=labels,
        intervals=pairs, strong=(lambda row: bool(row[p] <= alpha)) if p else None,
    )  # fmt: skip


def _equivalence(answer: Answered, key: str) -> list[Block]:
    frame = answer.table("regions")
    bounds = nested(answer.about, "bounds")
    frame = frame[frame["effect"].notna()] if "effect" in frame else frame[:0]
    if not isinstance(bounds, list) or len(bounds) != 2 or not len(frame):
        return []
    scale = numbers.plot_symbols(str(nested(answer.about, "bounds_unit") or ""))
    effect = answer.about.get("effect")
    named = effect.get("text") if isinstance(effect, Mapping) else effect
    series = figures.Series(
        "", frame["effect"].to_numpy(float), frame["ci_low"].to_numpy(float),
        frame["ci_high"].to_numpy(float), (frame["verdict"] == "equivalent").to_numpy(bool),
    )  # fmt: skip
    rows = [bare(r) for r in frame["region"].astype(str)]
    label = numbers.plot_symbols(f"{named} ({scale})")
    drawn = kindfigures.equivalence(rows, series, (float(bounds[0]), float(bounds[1])), label)
    percent = round(100 * (1 - 2 * alpha_of(answer)))
    words = Markup(
        "Effect with its {} % interval. Band: bounds of the plan; equivalence is shown where the "
        "interval lies inside (filled: after correction)."
    ).format(percent)
    alt = f"Intervals of {named} in {len(rows)} rows between the bounds of equivalence."
    return [Block("figure", style.svg(drawn, key=f"equivalence{key}", alt=alt), words)]


def _course(answer: Answered, key: str) -> list[Block]:
    frame = answer.table("course")
    if not len(frame):
        return []
    unit = unit_of(answer)
    label = numbers.plot_symbols(outcome_of(answer) + (f" ({unit})" if unit else ""))
    out = []
    for k, (region, mine) in enumerate(frame.groupby("region", sort=False)):
        if k == 6:
            break
        drawn = kindfigures.course(mine, label if len(frame) == len(mine) else bare(str(region)))
        words = Markup(
            "{}: adjusted means by visit with 95 % intervals, covariates at their mean (n: people "
            "seen), and their difference."
        ).format(bare(str(region)))
        alt = f"Adjusted means of {region} over {mine['visit'].nunique()} visits."
        out.append(Block("figure", style.svg(drawn, key=f"course{k}{key}", alt=alt), words))
    return out


def _path(answer: Answered, key: str) -> list[Block]:
    steps = nested(answer.about, "path")
    frame = answer.table("peaks" if "peaks" in answer.columns else "regions")
    if not isinstance(steps, list):
        steps = [s.strip() for s in str(steps).split("->")]
    if len(steps) != 3 or not len(frame):
        return []
    row = frame.sort_values("p_joint", kind="stable").iloc[0]
    numbers_ = {str(k): float(v) for k, v in row.items() if isinstance(v, (int, float))}
    drawn = kindfigures.path([str(s) for s in steps], numbers_)
    where = bare(str(row["region"])) if "region" in row else "the peak"
    words = Markup(
        "Slopes of the path in {}. Lines have no heads: data of one moment do not show a direction."
    ).format(where)
    out = [Block("figure", style.svg(drawn, key=f"path{key}", alt=f"Path {' - '.join(steps)}."),
                 words)]  # fmt: skip
    if "region" in frame and len(frame) > 1:
        strong = (frame["p_joint"] <= alpha_of(answer)).to_numpy(bool)
        value, low, high = (frame[c].to_numpy(float) for c in ("effect", "ci_low", "ci_high"))
        series = figures.Series("", value, low, high, strong)
        rows = [bare(r) for r in frame["region"].astype(str)]
        forest = figures.forest(rows, [("indirect path a b", [series], 0.0)])
        said = Markup(
            "Indirect path with its percentile bootstrap interval; filled: both paths significant."
        )
        alt = f"Indirect paths in {len(rows)} regions."
        out.append(Block("figure", style.svg(forest, key=f"indirect{key}", alt=alt), said))
    return out


def _power(answer: Answered, key: str) -> list[Block]:
    frame = answer.table("power")
    if not len(frame):
        return []
    unit = {"g": "true difference (standard deviations)", "r": "true partial correlation"}
    scale = str(frame["size_unit"].iloc[0])
    label = unit.get(scale, f"true effect ({unit_of(answer)})")
    wished = nested(answer.about, "power")
    drawn = kindfigures.power(frame, label, float(wished) if isinstance(wished, float) else 0.8)
    words = Markup(
        "Power of this design. Markers: simulation with 95 % error; lines: noncentral t."
    )
    return [Block("figure", style.svg(drawn, key=f"power{key}", alt="Power against size."), words)]


def _map(answer: Answered, kind: str, key: str) -> list[Block]:
    name = next((n for n in answer.maps if n.startswith(_LEAST.get(kind, "?"))), None)
    if name is None:
        return []
    image = brain.load(answer.maps[name])
    space = space_of(answer.maps[name])
    under, under_name = brain.background(space, None, image)
    about = _MAP_WORDS[kind]
    drawn = brain.mosaic(under, image, None, full=None, label=about)
    words = Markup("Axial slices over {}; {}.").format(under_name, about)
    return [Block("figure", style.svg(drawn, key=f"map{key}", alt=f"Map of {about}."), words)]
