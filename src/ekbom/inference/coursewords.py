"""Words and columns of the answer to a longitudinal question."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from ekbom.inference.columns import effect_columns
from ekbom.inference.covariance import WORDS
from ekbom.inference.kinds import Ask
from ekbom.inference.named import Effect
from ekbom.inference.settings import Settings
from ekbom.inference.words import amount, count, named, number, p_text
from ekbom.nouns import Column

FEW = 20
"""Under this many people the words say that tests with many covariances are rough."""


@dataclass(frozen=True)
class Facts:
    """What the words are made of."""

    ask: Ask
    asked: Effect
    frame: pd.DataFrame
    course: pd.DataFrame
    parameters: pd.DataFrame
    seen: dict[str, int]
    unit: str
    outcome: str
    settings: Settings
    warnings: tuple[str, ...]

    @property
    def effect_unit(self) -> str:
        """Unit of the effect."""
        slope = self.asked.quantity == "slope"
        return f"{self.unit} per unit of {self.asked.over}" if slope else self.unit


def methods(facts: Facts) -> str:
    """Return the methods paragraph."""
    ask, asked, settings = facts.ask, facts.asked, facts.settings
    people = int(facts.frame["n"].max())
    structures = list(dict.fromkeys(facts.frame["structure"]))
    name = "a mixed model for repeated measures" if structures == ["unstructured"] else (
        "a linear mixed model")  # fmt: skip
    out = [
        f"{named(facts.outcome, facts.unit)} of {people} participants at "
        f"{count(len(facts.seen), 'visit')} ({', '.join(facts.seen)}) was analysed by {name}, "
        f"`{ask.formula}`, fitted by restricted maximum likelihood; the effect tested was "
        f"`{asked.name}` ({asked.meaning})."
    ]
    if ask.baseline is not None:
        out.append(
            f"The value at {ask.baseline} was a covariate, centred, and not an outcome."
        )  # fmt: skip
    out += [
        f"Covariance within persons: {structure} ({WORDS[structure]})." for structure in structures
    ]
    freedom = "Degrees of freedom are Satterthwaite's, from the observed information."
    if asked.kind == "F":
        freedom = "F is scaled, and its degrees of freedom found, by Kenward and Roger's method."
    out.append(
        f"{freedom} Everybody with "
        "at least one measurement counts; nothing was filled in. This takes measurements to be "
        "missing at random: whether somebody was missing may depend on what was measured "
        "before, not on what would have been measured then. No data can show that this holds."
    )
    if len(facts.frame) > 1:
        out.append(f"p was corrected over {len(facts.frame)} outcomes by Holm's method.")
    out.append(f"Intervals are {round(100 * settings.interval)} % confidence intervals.")
    return " ".join(out)


def results(facts: Facts, warnings: list[str]) -> str:
    """Return the results paragraph; it says no more than the test."""
    frame, alpha = facts.frame, facts.settings.alpha
    percent = round(100 * facts.settings.interval)
    out = [f"Seen: {', '.join(f'{v} {n}' for v, n in facts.seen.items())}."]
    for _, row in frame.iterrows():
        head = f"{row['region']}: " if len(frame) > 1 else f"`{facts.asked.name}`: "
        if "F" in frame:
            stat = f"F({int(row['df1'])}, {row['df']:.1f}) = {row['F']:.2f}"
        else:
            stat = (
                f"{amount(row['effect'], facts.effect_unit)} ({percent} % CI "
                f"{number(row['ci_low'])} to {number(row['ci_high'])}), "
                f"t({row['df']:.1f}) = {row['t']:.2f}"
            )
        p = f"p = {p_text(row['p_holm'])}"
        if len(frame) > 1:
            p += f", uncorrected {p_text(row['p'])}"
        out.append(f"{head}{stat}, {p}.")
    if (frame["p_holm"] > alpha).any():
        out.append(
            f"What is not significant at {alpha:g} is not shown to be without effect: the interval "
            "says which sizes remain possible."
        )
    course = facts.course
    gaps = course[course["what"].str.contains(" - ", regex=False)] if len(course) else course
    if len(frame) == 1 and len(gaps):
        said = [
            f"{row['visit']} {number(row['effect'])} ({number(row['ci_low'])} to "
            f"{number(row['ci_high'])})"
            for _, row in gaps.iterrows()
        ]
        out.append(f"{gaps['what'].iloc[0]} by visit, not corrected: {'; '.join(said)}.")
    return " ".join(out + warnings)


def dropout_warnings(seen: dict[str, int]) -> list[str]:
    """Return what a reader must know of who was missing, and of few people."""
    most, last = max(seen.values()), list(seen.values())[-1]
    out = []
    if last < 0.8 * most:
        out.append(
            f"{most - last} of {most} people were not seen at the last visit. If people stayed "
            "away because of how they would have done, the estimate is biased, and a sensitivity "
            "analysis is due."
        )
    if most < FEW:
        out.append(
            f"With {most} people the covariance is known only roughly: p values of Satterthwaite's "
            "method can be somewhat too small."
        )
    return out


def columns(facts: Facts, frame: pd.DataFrame) -> dict[str, Column]:
    """Return the meanings of the columns of the table of effects."""
    percent = round(100 * facts.settings.interval)
    base = effect_columns(facts.unit, facts.effect_unit, percent, {"effect": facts.asked.meaning})
    base |= {
        "region": Column("Outcome, or region with its segmentation"),
        "measurements": Column("Measurements used"),
        "df": Column("Degrees of freedom, Satterthwaite"),
        "p": Column("Two-sided p, uncorrected"),
        "structure": Column("Covariance within persons that was fitted"),
    }
    return {name: base[name] for name in frame.columns}


def course_columns(unit: str, settings: Settings) -> dict[str, Column]:
    """Return the meanings of the columns of the course."""
    ci = f"limit of the {round(100 * settings.interval)} % interval"
    return {
        "region": Column("Outcome"),
        "visit": Column("Session"),
        "what": Column("Level whose adjusted mean it is, or the difference between two"),
        "n": Column("Measurements"),
        "effect": Column("Adjusted mean or difference, covariates at their mean", unit),
        "se": Column("Standard error", unit),
        "ci_low": Column(f"Lower {ci}", unit),
        "ci_high": Column(f"Upper {ci}", unit),
        "t": Column("t statistic"),
        "df": Column("Degrees of freedom, Satterthwaite"),
        "p": Column("Two-sided p, uncorrected"),
    }


def covariance_columns(unit: str) -> dict[str, Column]:
    """Return the meanings of the columns of the covariance parameters."""
    return {
        "region": Column("Outcome"),
        "parameter": Column("Variance or covariance"),
        "value": Column("Estimate (REML)", f"({unit})^2"),
        "se": Column("Standard error from the observed information", f"({unit})^2"),
    }


def visit_columns() -> dict[str, Column]:
    """Return the meanings of the columns of the table of visits."""
    return {
        "pattern": Column("Visits at which these people were seen; - where they were not"),
        "n": Column("People"),
    }
