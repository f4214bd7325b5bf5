"""How a question is answered: the part of a plan that inference reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ekbom.errors import Refused

Method = Literal["parametric", "max-t"]
Sign = Literal["two-sided", "positive", "negative"]
Centre = Literal["mean", "group", "none"]

SEVERITY_WITH_CONTROLS = "severity-with-controls"
PERMISSIONS = (SEVERITY_WITH_CONTROLS,)


@dataclass(frozen=True)
class Settings:
    """Choices of one question.

    Parameters
    ----------
    method : {"parametric", "max-t"}
        ``"parametric"`` gives p values of the t or F distribution with Holm,
        Bonferroni and false-discovery corrections; ``"max-t"`` adds the
        permutation distribution of the maximum, whose corrected p values need
        no distribution.
    permutations : int
        Relabellings to draw, the identity counted. When there are no more
        distinct ones than this, or than 20,000, all are used.
    seed : int
        Seed of the draw; unused when all relabellings are enumerated.
    alpha : float
        Level at which the words speak of a finding.
    sign : {"two-sided", "positive", "negative"}
        Alternative of a t test; an F test has none.
    blocks : str or None
        Column whose levels are exchangeable only among themselves (a scanner,
        a site). Repeated scans of a participant need no entry.
    centre : {"mean", "group", "none"}
        What is subtracted from covariates: the mean of the rows in the model,
        the mean within the level of ``group``, or nothing.
    allow : tuple of str
        Permissions, by word: ``"severity-with-controls"``.
    interval : float
        Coverage of the intervals.
    bootstrap : int
        Draws of bootstrap intervals (reliability).
    forming_p : float
        Uncorrected one-sided p above which voxels are joined into clusters
        (for display: clusters are not tested).
    """

    method: Method = "parametric"
    permutations: int = 10_000
    seed: int = 0
    alpha: float = 0.05
    sign: Sign = "two-sided"
    blocks: str | None = None
    centre: Centre = "mean"
    allow: tuple[str, ...] = ()
    interval: float = 0.95
    bootstrap: int = 5_000
    forming_p: float = 0.001

    def __post_init__(self) -> None:
        for name, kind in (("method", Method), ("sign", Sign), ("centre", Centre)):
            value = getattr(self, name)
            if value not in get_args(kind):
                raise Refused(
                    f"inference.{name} has no choice {value!r}.",
                    field=f"inference.{name}",
                    found=value,
                    expected=", ".join(get_args(kind)),
                    mend="use one of the choices",
                )
        object.__setattr__(self, "allow", tuple(self.allow))
        for word in self.allow:
            if word not in PERMISSIONS:
                raise Refused(
                    f"inference.allow has no permission {word!r}.",
                    field="inference.allow",
                    found=word,
                    expected=", ".join(PERMISSIONS),
                    mend="remove it or correct the spelling",
                )
        _within("permutations", self.permutations, 1, 10_000_000)
        _within("bootstrap", self.bootstrap, 100, 1_000_000)
        _within("seed", self.seed, 0, 2**63 - 1)
        _inside("alpha", self.alpha)
        _inside("interval", self.interval)
        _inside("forming_p", self.forming_p)


def _within(name: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or int(value) != value or not low <= value <= high:
        raise Refused(
            f"inference.{name} must be a whole number.",
            field=f"inference.{name}",
            found=value,
            expected=f"{low} to {high}",
            mend="correct the plan",
        )


def _inside(name: str, value: float) -> None:
    if not 0.0 < value < 1.0:
        raise Refused(
            f"inference.{name} must lie between 0 and 1.",
            field=f"inference.{name}",
            found=value,
            expected="a number above 0 and below 1",
            mend="correct the plan",
        )
