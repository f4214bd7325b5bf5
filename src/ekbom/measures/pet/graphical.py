"""Logan, MA1 and Patlak on frame means.

All three are linear in the tissue curve, its running integral and the input,
so they hold exactly for means over a frame as well as at a time:

    <int C_T> = V_T <int C_P> + b <C_T>            (Logan, MA1; t >= t*)
    <C_T> = K_i <int C_P> + V <C_P>                (Patlak)

with ``<.>`` the same frame mean that the scanner makes. Those of the input are
exact; the running integral of tissue comes from the frame means themselves,
the curve within a frame being a line with the slope of its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ekbom.measures.pet._threads import share_rows
from ekbom.measures.pet.convolve import Grid, running_input
from ekbom.measures.pet.frames import Frames

Array = NDArray[np.float64]

#: Graphical models.
MODELS = ("logan", "ma1", "patlak")
_CODES = {name: code for code, name in enumerate(MODELS)}


@dataclass(frozen=True, eq=False)
class TissueIntegral:
    """Running integral of a tissue curve as a banded function of its frame means.

    Row k of each array holds the weights of frames k-1, k and k+1.

    Attributes
    ----------
    lead : (F, 3) array
        Integral over the gap before the frame.
    inner : (F, 3) array
        Frame mean of the integral from the frame's start.
    whole : (F, 3) array
        Plain integral over the frame.
    """

    lead: Array
    inner: Array
    whole: Array

    def mean(self, tacs: Array) -> Array:
        """Return frame means of the running integral.

        Parameters
        ----------
        tacs : (N, F) array
            kBq/mL.

        Returns
        -------
        (N, F) array
            kBq/mL min.
        """
        lead, inner, whole = (_band(part, tacs) for part in (self.lead, self.inner, self.whole))
        before = np.cumsum(lead + whole, axis=1) - whole
        return np.asarray(before + inner)

    def guessed_share(self, tacs: Array) -> Array:
        """Return the share of the integral that lies in gaps, (N,)."""
        # a curve with a missing or infinite value gets NaN
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            lead = _band(self.lead, tacs).sum(axis=1)
            return np.asarray(lead / (lead + _band(self.whole, tacs).sum(axis=1)))


def _band(part: Array, tacs: Array) -> Array:
    out = part[:, 1] * tacs
    out[:, 1:] += part[1:, 0] * tacs[:, :-1]
    out[:, :-1] += part[:-1, 2] * tacs[:, 1:]
    return np.asarray(out)


def tissue_integral(frames: Frames, *, decay_weighted: bool = True) -> TissueIntegral:
    """Return the running integral of tissue for a schedule.

    Parameters
    ----------
    frames : Frames
        F frames.
    decay_weighted : bool
        How a frame averages, as of :func:`ekbom.measures.pet.convolve.make_grid`.

    Returns
    -------
    TissueIntegral
        From injection: up to the first frame's mean time the curve rises
        linearly from zero; across other gaps it joins the neighbours' mean
        times by a line.
    """
    decay = frames.decay_lambda if decay_weighted else 0.0
    first, second = _moments(decay, frames.duration)
    when = frames.start + first
    F = frames.n
    slope = np.zeros((F, 3))
    for k in range(F):
        if k == 0:
            slope[k, 1] = 1.0 / when[0]
        elif k == F - 1:
            slope[k, :2] = np.array([-1.0, 1.0]) / (when[k] - when[k - 1])
        else:
            a, b = when[k] - when[k - 1], when[k + 1] - when[k]
            slope[k] = [-b / (a * (a + b)), 1 / a - 1 / b, a / (b * (a + b))]
    own = np.array([0.0, 1.0, 0.0])
    lead = np.zeros((F, 3))
    lead[0, 1] = frames.start[0] ** 2 / (2 * when[0])
    for k in range(1, F):
        gap = frames.start[k] - frames.end[k - 1]
        if gap > 0:
            middle = (frames.start[k] + frames.end[k - 1]) / 2
            late = (middle - when[k - 1]) / (when[k] - when[k - 1])
            lead[k, :2] = gap * (1 - late), gap * late
    # C(u) = y + g (u - first), u from the frame's start
    inner = first[:, None] * own + ((second / 2 - first**2)[:, None]) * slope
    d = frames.duration
    whole = d[:, None] * own + (d * (d / 2 - first))[:, None] * slope
    return TissueIntegral(lead, inner, whole)


def _moments(decay: float, d: Array) -> tuple[Array, Array]:
    """Return mean and mean square of time from a frame's start, weighted exp(-decay t)."""
    x = decay * d
    # series: the closed form loses its digits at small x
    small = x < 0.02
    safe = np.where(small, 1.0, x)
    fall = np.exp(-safe)
    norm = -np.expm1(-safe)
    m1 = 1 / safe - fall / norm
    m2 = 2 / safe**2 - fall * (1 + 2 / safe) / norm
    s1 = 0.5 - x / 12 + x**3 / 720
    s2 = 1 / 3 - x / 12 + x**2 / 360 + x**3 / 720
    return d * np.where(small, s1, m1), d**2 * np.where(small, s2, m2)


@dataclass(frozen=True, eq=False)
class Line:
    """Fits of N curves by a model that is linear in two coefficients.

    Attributes
    ----------
    value : (N,) array
        V_T (Logan, MA1) or K_i (Patlak).
    intercept : (N,) array
        Logan's b (min), 1/gamma_2 of MA1 (the same quantity), V of Patlak.
    se : (N,) array
        Regression standard error of ``value``.
    rss : (N,) array
        Weighted, on the regression's own axis.
    fitted : (N, F) array
        Tissue with its blood, kBq/mL; NaN before t*.
    residual_ratio : (N, F) array
        Residual over fitted value on the regression's own axis.
    guessed : (N,) array
        Share of the tissue integral that lies in gaps.
    """

    value: Array
    intercept: Array
    se: Array
    rss: Array
    fitted: Array
    residual_ratio: Array
    guessed: Array


def fit_line(
    model: str,
    tacs: Array,
    frames: Frames,
    grid: Grid,
    weights: Array,
    *,
    first: int,
    vB: float = 0.0,
) -> Line:
    """Fit a graphical model from frame ``first`` on.

    Parameters
    ----------
    model : {"logan", "ma1", "patlak"}
    tacs : (N, F) array
        kBq/mL, decay-corrected to injection.
    frames : Frames
    grid : Grid
    weights : (F,) array
        Of squared residuals.
    first : int
        Index of the first frame used.
    vB : float
        Blood volume, removed before: ``C_T = (C_PET - vB C_WB)/(1 - vB)``.

    Returns
    -------
    Line

    References
    ----------
    Logan J et al. (1990), doi:10.1038/jcbfm.1990.127; Ichise M et al. (2002),
    doi:10.1097/01.WCB.0000038000.34930.4E; Patlak CS et al. (1983),
    doi:10.1038/jcbfm.1983.1.
    """
    operator = tissue_integral(frames, decay_weighted=grid.decay > 0)
    tissue = (tacs - vB * grid.whole_blood_mean) / (1 - vB)
    N, F = tacs.shape
    value, intercept = np.full(N, np.nan), np.full(N, np.nan)
    se, rss = np.full(N, np.nan), np.full(N, np.nan)
    predicted, ratio = np.full((N, F), np.nan), np.full((N, F), np.nan)
    usable = np.isfinite(tissue).all(axis=1) & (tacs > 0).any(axis=1)
    curves = np.ascontiguousarray(tissue)
    running = running_input(grid)

    def work(rows: NDArray[np.int64]) -> None:
        _fit_rows(
            rows, _CODES[model], curves, operator.lead, operator.inner, operator.whole, running,
            grid.plasma_mean, weights, first, value, intercept, se, rss, predicted, ratio,
        )  # fmt: skip

    share_rows(np.flatnonzero(usable), work)
    fitted = (1 - vB) * predicted + vB * grid.whole_blood_mean
    return Line(value, intercept, se, rss, fitted, ratio, operator.guessed_share(tissue))


@njit(cache=True, error_model="numpy")
def two_columns(u, v, y, w, first):  # type: ignore[no-untyped-def]
    """Weighted least squares ``y = p u + q v`` from frame ``first`` on.

    Returns p, q, rss, frames used, and the inverse normal matrix (pp, pq, qq);
    NaN when the columns are dependent. The second column is orthogonalised
    against the first, so that nothing is squared before it is subtracted.
    """
    uu = uv = uy = vv = 0.0
    n = 0
    for f in range(first, y.size):
        if w[f] > 0.0:
            n += 1
            uu += w[f] * u[f] * u[f]
            uv += w[f] * u[f] * v[f]
            uy += w[f] * u[f] * y[f]
            vv += w[f] * v[f] * v[f]
    if not (uu > 0.0 and n >= 2):
        return np.nan, np.nan, np.nan, n, np.nan, np.nan, np.nan
    c = uv / uu
    dd = dy = 0.0
    for f in range(first, y.size):
        d = v[f] - c * u[f]
        dd += w[f] * d * d
        dy += w[f] * d * (y[f] - uy / uu * u[f])
    if not dd > 1e-24 * vv:
        return np.nan, np.nan, np.nan, n, np.nan, np.nan, np.nan
    q = dy / dd
    p = uy / uu - c * q
    rss = 0.0
    for f in range(first, y.size):
        e = y[f] - p * u[f] - q * v[f]
        rss += w[f] * e * e
    return p, q, rss, n, 1.0 / uu + c * c / dd, -c / dd, 1.0 / dd


@njit(cache=True, error_model="numpy")
def fit_one(code, tissue, lead, inner, whole, plasma, plasma_mean, w, first, u, v, y):  # type: ignore[no-untyped-def]
    """Fit one curve; fills the columns u, v and the data y (F,) from ``first`` on.

    ``code`` is 0 Logan, 1 MA1, 2 Patlak. Returns value, intercept, se, rss, p, q.
    """
    F = tissue.size
    total = 0.0
    for k in range(F):
        here = inner[k, 1] * tissue[k]
        gap = lead[k, 1] * tissue[k]
        all_ = whole[k, 1] * tissue[k]
        if k > 0:
            here += inner[k, 0] * tissue[k - 1]
            gap += lead[k, 0] * tissue[k - 1]
            all_ += whole[k, 0] * tissue[k - 1]
        if k < F - 1:
            here += inner[k, 2] * tissue[k + 1]
            all_ += whole[k, 2] * tissue[k + 1]
        total += gap
        integral = total + here
        total += all_
        if k < first:
            continue
        if code == 0:
            u[k] = plasma[k] / tissue[k]
            v[k] = 1.0
            y[k] = integral / tissue[k]
        elif code == 1:
            u[k] = plasma[k]
            v[k] = integral
            y[k] = tissue[k]
        else:
            u[k] = plasma[k] / plasma_mean[k]
            v[k] = 1.0
            y[k] = tissue[k] / plasma_mean[k]
    p, q, rss, n, pp, pq, qq = two_columns(u, v, y, w, first)
    s2 = rss / (n - 2) if n > 2 else np.nan
    if code == 1:
        value = -p / q
        spread = pp / (p * p) + qq / (q * q) - 2.0 * pq / (p * q)
        return value, 1.0 / q, abs(value) * np.sqrt(s2 * spread), rss, p, q
    return p, q, np.sqrt(s2 * pp), rss, p, q


@njit(cache=True, error_model="numpy", nogil=True)
def _fit_rows(  # type: ignore[no-untyped-def]
    rows, code, tissue, lead, inner, whole, plasma, plasma_mean, w, first,
    value, intercept, se, rss, predicted, ratio,
):  # fmt: skip
    F = tissue.shape[1]
    for row in range(rows.size):
        n = rows[row]
        u, v, y = np.zeros(F), np.zeros(F), np.zeros(F)
        value[n], intercept[n], se[n], rss[n], p, q = fit_one(
            code, tissue[n], lead, inner, whole, plasma, plasma_mean, w, first, u, v, y
        )
        for k in range(first, F):
            on_line = p * u[k] + q * v[k]
            ratio[n, k] = (y[k] - on_line) / on_line
            if code == 0:
                # the line solved for the tissue value: C = (int C - V_T int C_P) / b
                predicted[n, k] = (y[k] * tissue[n, k] - p * plasma[k]) / q
            elif code == 1:
                predicted[n, k] = on_line
            else:
                predicted[n, k] = on_line * plasma_mean[k]
