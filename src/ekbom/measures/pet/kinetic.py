"""What a kinetic model made of N curves: estimates, errors, intervals, flags."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from ekbom.measures.pet.profile import Profile

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class KineticFit:
    """N curves fitted by one model.

    Attributes
    ----------
    model : str
    names : tuple of str
        N regions.
    params, se : mapping of str to (N,) array
        Estimates and standard errors (NaN where not estimated).
    units : mapping of str to str
    rss, aicc : (N,) array
        Weighted residual sum of squares and criterion, on the axis the model fits.
    n_free : int
        Parameters estimated for each curve.
    df : int
        Frames used less ``n_free``.
    flags : tuple of tuple of str
        Words of :mod:`ekbom.measures.pet.flags`.
    fitted : (N, F) array
        kBq/mL on the axis of the data; NaN for frames before t*.
    weights : (F,) array
    meta : mapping
        What was asked for and used, JSON-serialisable.
    se_kind : {"se", "se_regression"}
        ``se_regression`` is known to be optimistic: both axes share noise.
    cov : (N, 5, 5) array or None
        Compartments: of theta1, theta2, phi1, phi2, vB.
    extra : mapping of str to (N,) or (N, F) array
        ``extrapolated_share`` of V_T (compartments); ``guessed_share`` of the
        tissue integral that lies in gaps and ``residual_ratio`` (graphical).
    profile : Profile or None
        What the limits of V_T are found from (compartments with V_T).
    """

    model: str
    names: tuple[str, ...]
    params: Mapping[str, Array]
    se: Mapping[str, Array]
    units: Mapping[str, str]
    rss: Array
    aicc: Array
    n_free: int
    df: int
    flags: tuple[tuple[str, ...], ...]
    fitted: Array
    weights: Array
    meta: Mapping[str, Any]
    se_kind: Literal["se", "se_regression"] = "se"
    cov: Array | None = None
    extra: Mapping[str, Array] = field(default_factory=dict)
    profile: Profile | None = None

    @property
    def outcome(self) -> str:
        """The main outcome: VT, Ki of irreversible models, BPND, SUVR or SUV without blood."""
        return next(name for name in ("Ki", "VT", "BPND", "SUVR", "SUV") if name in self.params)

    def interval(self, name: str, level: float = 0.95) -> tuple[Array, Array]:
        """Return limits of a parameter.

        Parameters
        ----------
        name : str
        level : float
            Of confidence.

        Returns
        -------
        lower, upper : (N,) array
            V_T of compartments: of the profile likelihood (some milliseconds a curve); ``inf``
            where the scan does not bound it. Others: the standard error times the quantile of t.
        """
        if name == "VT" and self.profile is not None:
            return self.profile.interval(level)
        reach = float(stdtrit(self.df, 0.5 + level / 2)) if self.df > 0 else math.nan
        half = reach * self.se[name]
        return self.params[name] - half, self.params[name] + half

    def holds(self, name: str, value: float, level: float = 0.95) -> NDArray[np.bool_]:
        """Tell which intervals of a parameter hold a value.

        Parameters
        ----------
        name : str
        value : float
            In the unit of the parameter.
        level : float
            Of confidence.

        Returns
        -------
        (N,) array of bool
            As limits of :meth:`interval` around the value would say; False without limits.
        """
        if name == "VT" and self.profile is not None:
            return self.profile.holds(value, level)
        lower, upper = self.interval(name, level)
        with np.errstate(invalid="ignore"):
            return np.asarray((lower <= value) & (value <= upper))

    def cv(self, name: str | None = None) -> Array:
        """Return 100 SE/estimate of a parameter (the main outcome by default), per cent."""
        name = name or self.outcome
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(100 * self.se[name] / np.abs(self.params[name]))
