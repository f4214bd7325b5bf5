"""Words and columns of the answer to a question of mediation.

A path is an arrangement of correlations. The words speak of going together and of
indirect paths, never of causes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from ekbom.inference.kinds import Ask
from ekbom.inference.mediation import detectable
from ekbom.inference.onmaps import PEAK_COLUMNS, Grid
from ekbom.inference.settings import Settings
from ekbom.inference.words import count, number, p_text
from ekbom.nouns import Column

if TYPE_CHECKING:
    from ekbom.inference.paths import Tests


@dataclass(frozen=True)
class Facts:
    """What the words are made of."""

    ask: Ask
    steps: list[str]
    place: str
    outcome: str
    unit: str
    n: int
    covariates: int
    tests: Tests
    settings: Settings
    warnings: tuple[str, ...]

    @property
    def detectable(self) -> float:
        """Partial correlation of both paths that would be found with power .8."""
        return detectable(self.n, self.covariates, 0.8, self.settings.alpha)


def methods(facts: Facts, grid: Grid | None = None) -> str:
    """Return the methods paragraph."""
    x, m, y = facts.steps
    settings, said = facts.settings, facts.tests.said
    held = ", ".join(facts.ask.covariates)
    out = [
        f"Whether {x} and {y} go together by way of {m} was asked in {facts.n} people by least "
        f"squares{f', {held} held constant throughout' if held else ''}: path a is the slope of "
        f"{m} on {x}; b that of {y} on {m}, {x} held constant; c that of {y} on {x}; c' the same "
        f"with {m} held constant. The indirect path is a b, which equals c - c'.",
        "Tested was joint significance: the larger p of both paths, each by permutation after "
        f"Freedman and Lane ({said['relabellings']} relabellings"
        f"{', all there are' if said['exhaustive'] else f', seed {settings.seed}'}). It is valid "
        "whichever of the paths is absent, and conservative when both are.",
    ]
    ways = said["corrected"]
    for path in ("a", "b"):
        if ways[path] == "the largest statistic":
            what = "voxels" if grid is not None else "regions"
            out.append(f"p of {path} was corrected over {what} by the largest statistic.")
        elif ways[path] == "Holm":
            out.append(f"p of {path} was corrected over regions by Holm's method.")
    where = " at the peaks" if grid is not None else ""
    within = " within group" if facts.tests.said["strata"] else ""
    out.append(
        f"Intervals of a b{where} are percentile bootstrap intervals over people{within} "
        f"({settings.bootstrap} draws, seed {settings.seed}), with reduced bias "
        "correction and permutation of residuals beside "
        f"({round(100 * settings.interval)} %)."
    )
    out.append(
        "The order of the path is an assumption: data of one moment fit the reverse order, or a "
        "third thing behind both, just as well."
    )
    return " ".join(out)


def results(facts: Facts, frame: pd.DataFrame, maps: dict[str, Any] | None = None) -> str:
    """Return the results paragraph; it says no more than the test."""
    alpha, percent = facts.settings.alpha, round(100 * facts.settings.interval)
    good = frame[frame["p_joint"] <= alpha]
    x, _, y = facts.steps
    out = []
    if maps is not None:
        out.append(
            f"Both paths are significant at {alpha:g}, corrected, in {maps['significant']} of "
            f"{maps['voxels']} voxels."
        )
        shown = frame.head(5)
    elif len(frame) > 1:
        out.append(
            f"Both paths are significant at {alpha:g}, corrected, in {len(good)} of "
            f"{count(len(frame), 'region')}."
        )
        shown = good if len(good) else frame.sort_values("p_joint", kind="stable").head(1)
    else:
        shown = frame
    for _, row in shown.iterrows():
        name = ""
        if "region" in row and len(frame) > 1:
            name = f"{row['region']}: "
        elif "x" in row and "label" in row:
            name = f"{row['label']} ({row['x']:g}, {row['y']:g}, {row['z']:g} mm): "
        out.append(
            f"{name}a = {number(row['a'])} (p {p_text(row['p_a'])}), "
            f"b = {number(row['b'])} (p {p_text(row['p_b'])}), "
            f"a b = {number(row['effect'])} ({percent} % CI {number(row['ci_low'])} to "
            f"{number(row['ci_high'])}; {number(row['standardised'], 2)} standard deviations), "
            f"c = {number(row['c'])}, c' = {number(row['c_direct'])}; "
            f"joint p = {p_text(row['p_joint'])}."
        )
    if len(good):
        out.append(
            f"There {x} goes with {y} statistically by way of the mediator; this does not show "
            "which comes first."
        )
    if not len(good) or len(good) < len(frame):
        out.append(
            "Where joint significance is missing, an indirect path is not shown, nor is it shown "
            "to be absent."
        )
    bent = frame[frame["p_moderation"] <= alpha]
    if len(bent):
        out.append(
            f"In {count(len(bent), 'row')} the slope on the mediator changes with {x} "
            f"(p of the product <= {alpha:g}, uncorrected): one a b does not describe it."
        )
    out.append(
        f"With {facts.n} people both paths are found together with power .8 if each has a partial "
        f"correlation of {facts.detectable:.2f} or more"
        + (" (one test; correction needs more)." if len(frame) > 1 or maps else ".")
    )
    return " ".join([*out, *facts.warnings])


def columns(facts: Facts, frame: pd.DataFrame) -> dict[str, Column]:
    """Return the meanings of the columns of the table."""
    x, m, y = facts.steps
    ci = f"limit of the {round(100 * facts.settings.interval)} % interval of a b"
    base = {
        **PEAK_COLUMNS,
        "region": Column("Region, with its segmentation"),
        "n": Column("Participants"),
        "score": Column("The smaller |t| of both paths, with the sign of a b"),
        "a": Column(f"Slope of {m} on {x}"),
        "t_a": Column("Its t"),
        "p_a": Column("Its p by permutation, corrected where there are several"),
        "b": Column(f"Slope of {y} on {m}, {x} held constant"),
        "t_b": Column("Its t"),
        "p_b": Column("Its p by permutation, corrected where there are several"),
        "c": Column(f"Slope of {y} on {x}: total"),
        "t_c": Column("Its t"),
        "c_direct": Column(f"c': slope of {y} on {x}, {m} held constant"),
        "t_direct": Column("Its t"),
        "effect": Column("Indirect path a b = c - c'"),
        "ci_low": Column(f"Lower {ci}, percentile bootstrap"),
        "ci_high": Column(f"Upper {ci}, percentile bootstrap"),
        "reduced_low": Column(f"Lower {ci}, bootstrap with reduced bias correction"),
        "reduced_high": Column(f"Upper {ci}, bootstrap with reduced bias correction"),
        "permuted_low": Column(f"Lower {ci}, permutation of residuals"),
        "permuted_high": Column(f"Upper {ci}, permutation of residuals"),
        "se": Column("Bootstrap standard error of a b"),
        "standardised": Column(f"a b in standard deviations of {y} for one of {x}"),
        "df": Column("Residual degrees of freedom of a and c; those of b and c' are one less"),
        "p": Column("p of joint significance, uncorrected"),
        "p_joint": Column("p of joint significance: the larger of p_a and p_b"),
        "moderation": Column(f"Slope of {y} on the product of {x} and {m}"),
        "p_moderation": Column("Its p (t), uncorrected; small: paths are not constant"),
        "note": Column("n/a"),
    }
    return {name: base[name] for name in frame.columns}
