"""How a question is answered: the part of a plan that inference reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from ekbom.errors import Refused
from ekbom.inference.volumes import checked as checked_volumes

Method = Literal["parametric", "rft", "max-t", "tfce"]
Sign = Literal["two-sided", "positive", "negative"]
Centre = Literal["mean", "group", "none"]
On = Literal["t", "z"]
Mass = Literal["excess", "sum"]
Zero = Literal["drop", "keep"]
Scaling = Literal["none", "proportional", "ancova"]
Global = Literal["mask", "spm"]
Variance = Literal["equal", "pooled", "voxel"]
Smooth = Literal["auto", "spm", "unbiased"]
Preset = Literal["none", "spm"]
Correlation = Literal["pearson", "spearman", "bend"]
Exchange = Literal["within", "whole", "both"]
Errors = Literal["exchangeable", "symmetric", "both"]

_CHOICES = {
    "method": Method, "sign": Sign, "centre": Centre, "on": On, "mass": Mass, "zero": Zero,
    "scaling": Scaling, "global_mean": Global, "variance": Variance, "smoothness": Smooth,
    "preset": Preset, "correlation": Correlation, "exchange": Exchange, "errors": Errors,
    "threshold_of": Literal["absolute", "global"],
}  # fmt: skip

SEVERITY_WITH_CONTROLS = "severity-with-controls"
PERMISSIONS = (SEVERITY_WITH_CONTROLS,)


@dataclass(frozen=True)
class Settings:
    """Choices of one question.

    Parameters
    ----------
    method : {"parametric", "rft", "max-t", "tfce"}
        ``"parametric"`` gives p values of the t or F distribution with Holm,
        Bonferroni and false-discovery corrections; ``"rft"`` (voxels) speaks of the
        random field; ``"max-t"`` adds the permutation distribution of the maximum,
        whose corrected p values need no distribution; ``"tfce"`` (voxels) also those of
        threshold-free cluster enhancement, cluster extent and mass.
    permutations : int
        Relabellings to draw, the identity counted. When there are no more
        distinct ones than this, or than 20,000, all are used.
    enough : int
        Stop drawing when the largest statistic of the data was reached so often (20 is
        usual; Besag and Clifford); 0: draw all. Nothing changes when all relabellings are used.
    tail : bool
        Also give p from a generalised Pareto tail of the drawn maxima, beside that of the
        permutation; only where that is under .1, and not when all relabellings are used.
    seed : int
        Seed of the draw; unused when all relabellings are enumerated.
    alpha : float
        Level at which the words speak of a finding.
    sign : {"two-sided", "positive", "negative"}
        Alternative of a t test; an F test has none.
    blocks : str or None
        Column whose levels are exchangeable only among themselves (a scanner,
        a site). Repeated scans of a participant need no entry.
    exchange : {"within", "whole", "both"}
        With ``blocks``: rows change places inside their block, whole blocks change places
        (they must be alike), or both.
    errors : {"exchangeable", "symmetric", "both"}
        Rows change places; signs change (of whole blocks together when only wholes may
        move); or both at once. A mean, which no exchange moves, is tested by signs anyway.
    correlation : {"pearson", "spearman", "bend"}
        A slope is tested on the values, on mid-ranks, or on percentage-bend scores of
        outcome and covariates; its size in the table stays the plain slope.
    exact : bool
        Regions: also an exact rank test, where the design has no other term (two groups,
        two sessions, a mean, a score in 3 to 9 people).
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
        Uncorrected one-sided p beneath which voxels are joined into clusters.
    forming : float or None
        The same as a statistic, which then counts instead.
    connectivity : {6, 18, 26}
        Voxels are neighbours by a face, also an edge, also a corner.
    E, H : float
        Exponents of extent and height of TFCE.
    on : {"t", "z"}
        What is enhanced, thresholded and summed in permutations.
    mass : {"excess", "sum"}
        Cluster mass sums the statistic less the threshold, or the statistic.
    volumes : tuple of mapping
        Search volumes declared before the map was seen; each has a ``name`` and
        ``centre`` (mm) with ``radius``, ``box`` (two corners, mm), ``mask`` (an image) or
        ``label`` (a region, or a list of them).
    zero : {"drop", "keep"}
        Whether a voxel that is exactly 0 in anybody leaves the mask.
    threshold : float or None
        Voxels that are not above it in everybody leave the mask.
    threshold_of : {"absolute", "global"}
        The threshold in units of the outcome, or as a fraction of each global mean.
    scaling : {"none", "proportional", "ancova"}
        Nothing; every map times ``target`` over its global mean; global mean as covariate.
    target : float
        Global mean after proportional scaling.
    global_mean : {"mask", "spm"}
        Mean over the mask, or over the voxels above an eighth of the mean of all.
    variance : {"equal", "pooled", "voxel"}
        One variance; one a group, pooled over voxels (weights); one a group and voxel
        (Aspin-Welch v, permuted by changes of sign).
    variance_groups : str
        Column whose levels have their own variance.
    shrinkage : bool
        SPM's addition to the variance in PET (a thousandth of its largest value).
    smoothness : {"auto", "spm", "unbiased"}
        Convention of the roughness; ``"auto"`` is SPM's under its preset only.
    preset : {"none", "spm"}
        ``"spm"``: zeros of the maps are kept, SPM's smoothness.
    """

    method: Method = "parametric"
    permutations: int = 10_000
    enough: int = 0
    tail: bool = False
    seed: int = 0
    alpha: float = 0.05
    sign: Sign = "two-sided"
    blocks: str | None = None
    exchange: Exchange = "within"
    errors: Errors = "exchangeable"
    correlation: Correlation = "pearson"
    exact: bool = False
    centre: Centre = "mean"
    allow: tuple[str, ...] = ()
    interval: float = 0.95
    bootstrap: int = 5_000
    forming_p: float = 0.001
    forming: float | None = None
    connectivity: int = 26
    E: float = 0.5
    H: float = 2.0
    on: On = "t"
    mass: Mass = "excess"
    volumes: tuple[dict[str, Any], ...] = ()
    zero: Zero = "drop"
    threshold: float | None = None
    threshold_of: Literal["absolute", "global"] = "absolute"
    scaling: Scaling = "none"
    target: float = 50.0
    global_mean: Global = "mask"
    variance: Variance = "equal"
    variance_groups: str = "group"
    shrinkage: bool = False
    smoothness: Smooth = "auto"
    preset: Preset = "none"

    @property
    def convention(self) -> str:
        """Convention of the smoothness."""
        if self.smoothness != "auto":
            return self.smoothness
        return "spm" if self.preset == "spm" else "unbiased"

    @property
    def keeps_zeros(self) -> bool:
        """Whether zeros of the maps count as values."""
        return self.zero == "keep" or self.preset == "spm"

    def __post_init__(self) -> None:
        for name, kind in _CHOICES.items():
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
        _within("enough", self.enough, 0, 100_000)
        if self.enough and self.tail:
            raise Refused(
                "inference.tail needs all its draws, and inference.enough stops them.",
                field="inference.tail",
                found=f"tail with enough = {self.enough}",
                expected="one of the two",
                mend="leave one of them out",
            )
        _within("bootstrap", self.bootstrap, 100, 1_000_000)
        _within("seed", self.seed, 0, 2**63 - 1)
        _inside("alpha", self.alpha)
        _inside("interval", self.interval)
        _inside("forming_p", self.forming_p)
        if self.connectivity not in (6, 18, 26):
            raise Refused(
                "inference.connectivity has no such choice.",
                field="inference.connectivity",
                found=self.connectivity,
                expected="6, 18 or 26",
                mend="use one of the choices",
            )
        for name in ("E", "H", "target", "forming"):
            value = getattr(self, name)
            if value is not None and not (value > 0.0 or (name == "H" and value == 0.0)):
                raise Refused(
                    f"inference.{name} must be positive.",
                    field=f"inference.{name}",
                    found=value,
                    expected="a number above 0",
                    mend="correct the plan",
                )
        object.__setattr__(self, "volumes", checked_volumes(self.volumes))


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
