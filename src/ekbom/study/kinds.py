"""Keys of a question that belong to one kind of question, and their checks."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from ekbom.errors import Refused
from ekbom.inference.equivalence import checked_bounds
from ekbom.inference.kinds import Ask
from ekbom.study.words import choices

Kind = Literal[
    "effect", "reliability", "equivalence", "mediation", "conjunction", "longitudinal", "power"
]

#: What each kind must say, and what it may say beside what every question may.
_MUST: dict[str, tuple[str, ...]] = {
    "effect": ("model", "test"),
    "reliability": (),
    "equivalence": ("model", "test", "bounds"),
    "mediation": ("path",),
    "conjunction": ("model", "tests"),
    "longitudinal": ("model", "test"),
    "power": ("model", "test"),
}
_MAY: dict[str, tuple[str, ...]] = {
    "effect": ("sign",),
    "reliability": (),
    "equivalence": ("bounds_in",),
    "mediation": ("covariates",),
    "conjunction": ("null", "sign"),
    "longitudinal": ("covariance", "baseline", "time", "simplify"),
    "power": ("sizes", "sizes_in", "power", "sign"),
}
_EXPECTED: dict[str, tuple[str, str]] = {
    "model": ('a formula, "~ group + age"', "add model"),
    "test": ("a named effect", "add test"),
    "bounds": (
        "one number for both sides, or [low, high]",
        "say from which size on the effect would matter, before the data are seen",
    ),
    "path": ('"cause -> mediator -> outcome"', "add path"),
    "tests": ("two or more named effects", 'add tests = ["a - c", "b - c"]'),
}


class KindKeys(BaseModel):
    """What only some kinds of question say.

    Attributes
    ----------
    bounds : float or [low, high], optional
        Equivalence: from which size on the effect would matter.
    bounds_in : {"outcome", "g", "percent"}, optional
        Unit of the bounds: of the effect, standard deviations, per cent of the mean.
    path : str, optional
        Mediation: ``"ferritin -> pet.VT -> irls_total"``; one of the names is the outcome.
    covariates : list of str, optional
        Mediation: held constant on every path.
    tests : list of str, optional
        Conjunction: effects that shall all be there.
    null : {"conjunction", "global"}, optional
        Conjunction: what is refuted.
    covariance : {"unstructured", "slope", "intercept"}, optional
        Longitudinal: how the measurements of a person belong together.
    baseline : str, optional
        Longitudinal: session whose value is the covariate ``baseline``.
    time : str, optional
        Longitudinal: column with the time of each visit.
    simplify : bool, optional
        Longitudinal: whether a covariance that cannot be estimated may be simplified.
    sizes : list of float, optional
        Power: true effects to try.
    sizes_in : {"g", "r", "outcome"}, optional
        Power: their unit.
    power : float, optional
        Power: what is wished.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)

    bounds: float | list[float] | None = None
    bounds_in: Literal["outcome", "g", "percent"] | None = None
    path: str | None = None
    covariates: list[str] | None = None
    tests: list[str] | None = None
    null: Literal["conjunction", "global"] | None = None
    covariance: Literal["unstructured", "slope", "intercept"] | None = None
    baseline: str | None = None
    time: str | None = None
    simplify: bool | None = None
    sizes: list[float] | None = None
    sizes_in: Literal["g", "r", "outcome"] | None = None
    power: float | None = None


def check_keys(question: Any) -> None:
    """Refuse a question that lacks a key of its kind, or has one of another kind.

    Parameters
    ----------
    question : Question
        What is asked.

    Raises
    ------
    Refused
        Without the file and the full key, which the plan adds.
    """
    kind = question.kind
    for key in _MUST[kind]:
        if not getattr(question, key):
            expected, mend = _EXPECTED[key]
            other = ', or say kind = "reliability"' if kind == "effect" else ""
            raise Refused(
                f"the question has no {key}" + ("" if kind == "effect" else f" ({kind})"),
                field=key,
                found="nothing",
                expected=expected,
                mend=mend + other,
            )
    allowed = {*_MUST[kind], *_MAY[kind]}
    every = {"model", "test", "sign", *KindKeys.model_fields}
    for key in sorted(every - allowed):
        if getattr(question, key) is not None:
            whose = [k for k in _MUST if key in (*_MUST[k], *_MAY[k])]
            raise Refused(
                f"a {kind} question has no {key}",
                field=key,
                found=getattr(question, key),
                expected="sessions of the same people, chosen by among"
                if kind == "reliability"
                else f"{choices(sorted(allowed))}",
                mend=f"remove {key}, or say kind = {' or '.join(map(repr, whose))}",
            )
    if kind == "equivalence":
        checked_bounds(question.bounds, question.bounds_in or "outcome")
    if kind == "mediation":
        ask_of(question).steps()
    if kind == "conjunction" and len(set(question.tests)) < 2:
        raise Refused(
            "a conjunction needs two different effects",
            field="tests",
            found=choices(question.tests),
            expected="two or more",
            mend="add one, or ask for the effect alone",
        )
    if kind == "power" and question.power is not None and not 0 < question.power < 1:
        raise Refused("power lies between 0 and 1", field="power", found=question.power,
                      expected="0.8 or the like")  # fmt: skip


def ask_of(question: Any) -> Ask:
    """Return what inference needs to know of a question.

    Parameters
    ----------
    question : Question
        Of the plan.

    Returns
    -------
    Ask
        With the defaults of its kind.
    """
    given: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key in KindKeys.model_fields
        if (value := getattr(question, key)) is not None
    }
    return Ask(question.kind, question.model, question.test, **given)
