"""Parent fraction: the share of plasma activity that is still the tracer, over time.

Parametric forms are fitted by bounded least squares from the best node of a
grid and compared by AICc. The names follow the field: Hill, power, bi- and
single exponential, inverse gamma (Tonietto et al. 2016, doi:10.1177/0271678X15610585,
reviews them).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import gammaincc

from ekbom.errors import Refused

Array = NDArray[np.float64]


@dataclass(frozen=True)
class _Form:
    """A parametric form: its function, free parameters, bounds and grid of starts."""

    function: Callable[[Array, Array], Array]
    names: tuple[str, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    grid: tuple[tuple[float, ...], ...]


def _hill(t: Array, p: Array) -> Array:
    f0, final, half, power = p
    # (t/t50)^n through the logistic: no overflow for late times and high powers
    with np.errstate(divide="ignore"):
        x = np.where(t > 0, power * np.log(np.maximum(t, 1e-300) / half), -np.inf)
    return np.asarray(f0 * (1 - (1 - final) / (1 + np.exp(-np.clip(x, -700, 700)))))


def _power(t: Array, p: Array) -> Array:
    f0, rate, exponent = p
    return np.asarray(f0 * (1 + (rate * t) ** 2) ** -exponent)


def _exponential(t: Array, p: Array) -> Array:
    f0, weight, fast, ratio = p
    return np.asarray(f0 * (weight * np.exp(-fast * t) + (1 - weight) * np.exp(-fast * ratio * t)))


def _single(t: Array, p: Array) -> Array:
    f0, rate = p
    return np.asarray(f0 * np.exp(-rate * t))


def _inverse_gamma(t: Array, p: Array) -> Array:
    f0, final, shape, scale = p
    spread = np.zeros_like(t)
    later = t > 0
    spread[later] = gammaincc(shape, scale / t[later])
    return np.asarray(f0 * (1 - (1 - final) * spread))


_F0 = (0.7, 0.95)
FORMS: Mapping[str, _Form] = {
    "hill": _Form(
        _hill,
        ("f0", "f_inf", "t50", "n"),
        (1e-3, 0.0, 0.05, 0.2),
        (1.0, 1.0, 500.0, 12.0),
        (_F0, (0.0, 0.3), (3.0, 10.0, 30.0, 90.0), (0.8, 1.5, 3.0)),
    ),
    "power": _Form(
        _power,
        ("f0", "b", "c"),
        (1e-3, 1e-4, 1e-3),
        (1.0, 20.0, 20.0),
        (_F0, (0.01, 0.05, 0.2, 1.0), (0.1, 0.4, 1.5)),
    ),
    "exponential": _Form(
        _exponential,
        ("f0", "w", "b", "c_over_b"),
        (1e-3, 0.0, 1e-4, 0.0),
        (1.0, 1.0, 20.0, 1.0),
        (_F0, (0.3, 0.7), (0.02, 0.06, 0.2, 1.0), (0.0, 0.05, 0.2)),
    ),
    "single-exponential": _Form(
        _single,
        ("f0", "b"),
        (1e-3, 0.0),
        (1.0, 20.0),
        (_F0, (0.002, 0.006, 0.02, 0.06, 0.2)),
    ),
    "inverse-gamma": _Form(
        _inverse_gamma,
        ("f0", "f_inf", "a", "b"),
        (1e-3, 0.0, 0.05, 0.01),
        (1.0, 1.0, 20.0, 1000.0),
        (_F0, (0.0, 0.3), (0.3, 1.0, 3.0), (1.0, 5.0, 20.0, 80.0)),
    ),
}
#: Ways to a parent fraction that a plan may name.
CHOICES = ("interpolate", "auto", *FORMS, "none")


@dataclass(frozen=True)
class ParentFit:
    """One candidate: a form fitted to the samples (or the line through them).

    Attributes
    ----------
    model : str
    params, se : dict of str to float
        Empty for ``interpolate``.
    rss, aicc : float
        Unweighted residual sum of squares; NaN for ``interpolate``, whose
        line goes through the samples.
    loo_rmse : float
        Root mean squared error of leave-one-out prediction; of ``interpolate``
        only, the inner samples.
    n_samples, n_free : int
    """

    model: str
    params: Mapping[str, float]
    se: Mapping[str, float]
    rss: float
    aicc: float
    loo_rmse: float
    n_samples: int
    n_free: int
    _time: Array
    _fraction: Array

    def at(self, t: Array) -> Array:
        """Return the parent fraction at times ``t`` (min), in [0, 1]."""
        t = np.asarray(t, dtype=np.float64)
        if self.model == "interpolate":
            return np.asarray(np.interp(t, self._time, self._fraction))
        form = FORMS[self.model]
        values = form.function(t, np.array([self.params[name] for name in form.names]))
        return np.asarray(np.clip(values, 0.0, 1.0))


def interpolate(time: Array, fraction: Array) -> ParentFit:
    """Return the straight line through the samples, constant outside them."""
    error = np.nan
    if time.size >= 3:
        inner = [
            np.interp(time[i], np.delete(time, i), np.delete(fraction, i)) - fraction[i]
            for i in range(1, time.size - 1)
        ]
        error = float(np.sqrt(np.mean(np.square(inner))))
    return ParentFit(
        "interpolate", {}, {}, np.nan, np.nan, error, time.size, time.size, time, fraction
    )


def fit_form(
    model: str,
    time: Array,
    fraction: Array,
    *,
    f0: float | None = None,
    weights: Array | None = None,
) -> ParentFit:
    """Fit one parametric form.

    Parameters
    ----------
    model : str
        A key of :data:`FORMS`.
    time : (N,) array
        min from injection.
    fraction : (N,) array
    f0 : float, optional
        Fix the value at injection; free by default.
    weights : (N,) array, optional
        Multiply the squared residuals; uniform by default.

    Returns
    -------
    ParentFit

    Raises
    ------
    Refused
        When there are fewer samples than free parameters.
    """
    form = FORMS[model]
    fixed = {"f0": f0} if f0 is not None else {}
    free = [i for i, name in enumerate(form.names) if name not in fixed]
    if time.size < len(free):
        raise Refused(
            f"Too few samples for the parent fraction model {model}.",
            field="parent",
            found=f"{time.size} samples",
            expected=f"at least {len(free)}",
            mend='use parent = "interpolate" or a form with fewer parameters',
        )
    root = np.ones(time.size) if weights is None else np.sqrt(weights)
    nodes = np.array(
        list(
            product(
                *(
                    [fixed[n]] if n in fixed else g
                    for n, g in zip(form.names, form.grid, strict=True)
                )
            )
        )
    )

    def residuals(x: Array, start: Array) -> Array:
        full = start.copy()
        full[free] = x
        return np.asarray(root * (form.function(time, full) - fraction))

    scores = [float(np.sum(np.square(residuals(node[free], node)))) for node in nodes]
    start = nodes[int(np.argmin(scores))]
    lower, upper = np.array(form.lower)[free], np.array(form.upper)[free]
    inside = np.clip(start[free], lower + 1e-9 * (upper - lower), upper - 1e-9 * (upper - lower))
    done = least_squares(
        residuals,
        inside,
        bounds=(lower, upper),
        args=(start,),
        x_scale=np.maximum(np.abs(inside), 1e-2),
    )
    full = start.copy()
    full[free] = done.x
    rss = float(2 * done.cost)
    se = _standard_errors(np.asarray(done.jac), rss, time.size)
    return ParentFit(
        model,
        dict(zip(form.names, map(float, full), strict=True)),
        {form.names[i]: float(s) for i, s in zip(free, se, strict=True)},
        rss,
        aicc(rss, time.size, len(free)),
        np.nan,
        time.size,
        len(free),
        time,
        fraction,
    )


def candidates(
    time: Array, fraction: Array, *, f0: float | None = None, weights: Array | None = None
) -> list[ParentFit]:
    """Return the line through the samples and every form that the samples can carry."""
    fits = [interpolate(time, fraction)]
    for model, form in FORMS.items():
        if time.size >= len(form.names):
            fits.append(fit_form(model, time, fraction, f0=f0, weights=weights))
    return fits


def choose(fits: list[ParentFit], parent: str) -> ParentFit:
    """Return the candidate that was asked for; ``auto`` takes the lowest AICc.

    Raises
    ------
    Refused
        When it is not among the candidates (too few samples).
    """
    if parent == "auto":
        able = [f for f in fits if np.isfinite(f.aicc)]
        if able:
            return min(able, key=lambda f: f.aicc)
        parent = "interpolate"
    for fit in fits:
        if fit.model == parent:
            return fit
    raise Refused(
        f"The parent fraction cannot be fitted by {parent!r}.",
        field="parent",
        found=f"{fits[0].n_samples} samples",
        expected=", ".join(f.model for f in fits) + " (what these samples can carry)",
        mend='use parent = "interpolate"',
    )


def aicc(rss: float, n: int, n_free: int) -> float:
    """Return the corrected Akaike criterion; the variance counts as a parameter.

    Infinite when there are too few samples for the correction.
    """
    p = n_free + 1
    if n - p - 1 <= 0:
        return float("inf")
    floor = max(rss, 1e-300)
    return float(n * np.log(floor / n) + 2 * p + 2 * p * (p + 1) / (n - p - 1))


def _standard_errors(jacobian: Array, rss: float, n: int) -> Array:
    free = jacobian.shape[1]
    if n <= free:
        return np.full(free, np.nan)
    # pseudo-inverse: a parameter at a bound or without influence must not stop the others
    cov = np.linalg.pinv(jacobian.T @ jacobian) * rss / (n - free)
    return np.asarray(np.sqrt(np.maximum(np.diag(cov), 0)))
