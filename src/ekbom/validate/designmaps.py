"""Power of maps by smoothing and threshold: a blob in correlated noise, voxel by voxel.

The blob is a ball of the size of a nucleus; the scanner blurs it and its noise, the
analysis smooths once more. Part of the variance between persons is wider than any
filter and stays. At the middle of the ball signal and noise have closed forms:

    ball seen by a Gaussian: erf(a) - 2/sqrt(pi) a exp(-a^2), a = R / (sigma sqrt 2)
    variance of smoothed noise: (w^2 / (w^2 + f^2))^(3/2)

so that the noncentral t gives the power there. Maps say what more all its voxels give.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

from ekbom.inference.rft import RandomField
from ekbom.trials.petstudy import PetStudy, ball, exact_power
from ekbom.validate.result import Check

Array = NDArray[np.float64]

#: Scanner's resolution, filters of the analysis, radius of the ball, mm.
SCANNER, FILTERS, RADIUS = 6.0, (0.0, 4.0, 8.0, 12.0), 8.0
#: Share of the variance between persons that no filter takes away (A).
WIDE = 0.4
#: Correlation at a voxel that the scanner would not blur and nobody smooths.
_R = 0.75
_PATIENTS = (15, 30, 60)
_VOXEL, _EDGE = 3, 20
_SIGMA = math.sqrt(8 * math.log(2))
#: Thresholds and what they are.
THRESHOLDS = {
    "p < .001": "one-sided, uncorrected",
    "six balls": "two-sided .05, Bonferroni over six declared voxels",
    "whole brain": "two-sided .05, random field over 1,200 cm3",
}


def seen(radius: float, fwhm: float) -> float:
    """Return what a Gaussian leaves of the middle of a ball.

    Parameters
    ----------
    radius, fwhm : float
        mm.

    Returns
    -------
    float
        Share of the ball's value.

    Examples
    --------
    >>> round(seen(8.0, 6.0), 3)
    0.98
    """
    a = radius / (fwhm / _SIGMA * math.sqrt(2))
    return math.erf(a) - 2 / math.sqrt(math.pi) * a * math.exp(-a * a)


def noise_sd(filter_mm: float) -> float:
    """Return the standard deviation between persons after a filter, before it 1.

    Parameters
    ----------
    filter_mm : float
        FWHM.

    Returns
    -------
    float
        Of white noise seen by the scanner, and of the wide part.
    """
    narrow = (SCANNER**2 / (SCANNER**2 + filter_mm**2)) ** 1.5
    return math.sqrt(WIDE + (1 - WIDE) * narrow)


def correlation_at(filter_mm: float, r: float = _R) -> float:
    """Return the true correlation at the middle of the ball after a filter.

    Parameters
    ----------
    filter_mm : float
        FWHM.
    r : float
        With neither scanner's blur nor filter.

    Returns
    -------
    float
        Signal over noise, as a correlation.
    """
    total = math.hypot(SCANNER, filter_mm)
    delta = r / math.sqrt(1 - r * r) * seen(RADIUS, total) / noise_sd(filter_mm)
    return delta / math.hypot(1.0, delta)


def critical(name: str, n: int, filter_mm: float) -> float:
    """Return the |t| that a threshold asks for.

    Parameters
    ----------
    name : str
        Of :data:`THRESHOLDS`.
    n : int
        Patients.
    filter_mm : float
        FWHM of the filter.

    Returns
    -------
    float
        Of the slope, with n - 2 degrees of freedom.
    """
    if name == "whole brain":
        resels = ball(1200.0, math.hypot(SCANNER, filter_mm))
        return RandomField("T", (n - 2.0,), resels, 150_000, 2).threshold(0.05)[0]
    tail = 0.001 if name == "p < .001" else 0.05 / 12
    return float(special.stdtrit(n - 2, 1 - tail))


def smoothing(studies: int, seed: int) -> Iterator[Check]:
    """Count what maps find by filter, threshold and number of patients.

    Parameters
    ----------
    studies : int
        Maps at each number of patients; the same noise under every filter.
    seed : int
        Of the noise.

    Yields
    ------
    Check
        Power at the middle of the ball, gated against the closed form; power of any voxel of
        the ball; detectable correlation.
    """
    from ekbom.validate.design import share

    signals = {f: _blob(math.hypot(SCANNER, f)) for f in FILTERS}
    inside = _blob(0.0) > 0.5
    middle = (_EDGE // 2,) * 3
    for n in _PATIENTS:
        rng = np.random.default_rng([seed, 3, n])
        hits = {(f, name): [0, 0] for f in FILTERS for name in THRESHOLDS}
        for _ in range(studies):
            for f, t in _study(rng, n, signals):
                for name in THRESHOLDS:
                    c = critical(name, n, f)
                    hits[f, name][0] += bool(t[middle] > c)
                    hits[f, name][1] += bool((t[inside] > c).any())
        for (f, name), (at_middle, anywhere) in hits.items():
            c, r = critical(name, n, f), correlation_at(f)
            stem = f"{n} patients, filter {f:g} mm, {name}"
            exact = exact_power(PetStudy(n, r, 1, 1, correction="none"), c)
            yield share(f"{stem}: power at the middle of a ball of {RADIUS:g} mm", at_middle,
                        studies, exact, f"true r {_R:g} before blur, {r:.2f} after")  # fmt: skip
            p = (anywhere + 2) / (studies + 4)
            yield Check(f"{stem}: power of any voxel of the ball", anywhere / studies, studies,
                        "1", se=math.sqrt(p * (1 - p) / (studies + 4)))  # fmt: skip
            yield Check(f"{stem}: true |r| before blur found with power .8 at the middle",
                        _detectable(n, f, c), 1, "1", note="closed form")  # fmt: skip


def _detectable(n: int, f: float, c: float) -> float:
    low, high = 1e-4, 1 - 1e-9
    while high - low > 1e-4:
        half = (low + high) / 2
        study = PetStudy(n, min(correlation_at(f, half), 1 - 1e-9), 1, 1, correction="none")
        low, high = (low, half) if exact_power(study, c) >= 0.8 else (half, high)
    return high


def _blob(fwhm: float) -> Array:
    """Return the ball on the lattice, blurred on one of 1 mm."""
    edge = _EDGE * _VOXEL
    # the middle voxel of the lattice is the middle of the ball
    at = np.arange(edge) - (_EDGE // 2) * _VOXEL
    # eight points a millimetre cube: the ball's rim
    value = np.zeros((edge, edge, edge))
    for shift in np.stack(np.meshgrid(*3 * [[-0.25, 0.25]]), -1).reshape(-1, 3):
        x, y, z = (at + s for s in shift)
        value += (x[:, None, None] ** 2 + y[:, None] ** 2 + z**2 <= RADIUS**2) / 8
    if fwhm > 0:
        value = ndimage.gaussian_filter(value, fwhm / _SIGMA, truncate=6.0)
    return np.asarray(value[::_VOXEL, ::_VOXEL, ::_VOXEL])


def _study(
    rng: np.random.Generator, n: int, signals: dict[float, Array]
) -> Iterator[tuple[float, Array]]:
    """Yield the t map of the slope under each filter."""
    score = rng.standard_normal(n)
    wide = math.sqrt(WIDE) * rng.standard_normal(n)
    white = np.fft.rfftn(rng.standard_normal((n, _EDGE, _EDGE, _EDGE)), axes=(1, 2, 3))
    delta = _R / math.sqrt(1 - _R * _R)
    x = score - score.mean()
    for f, signal in signals.items():
        fine = np.fft.irfftn(white * _transfer(math.hypot(SCANNER, f)), (_EDGE,) * 3, (1, 2, 3))
        scale = math.sqrt(1 - WIDE) / math.sqrt(_variance(SCANNER))
        y = delta * score[:, None, None, None] * signal + scale * fine
        y += wide[:, None, None, None]
        y -= y.mean(axis=0)
        slope = np.tensordot(x, y, 1) / (x @ x)
        rss = np.square(y).sum(axis=0) - slope**2 * (x @ x)
        yield f, slope / np.sqrt(rss / (n - 2) / (x @ x))


def _transfer(fwhm: float) -> Array:
    sigma = fwhm / _SIGMA / _VOXEL
    k, last = np.fft.fftfreq(_EDGE), np.fft.rfftfreq(_EDGE)
    square = k[:, None, None] ** 2 + k[:, None] ** 2 + last**2
    return np.asarray(np.exp(-2 * (math.pi * sigma) ** 2 * square))


def _variance(fwhm: float) -> float:
    """Of white noise after the filter, on this lattice."""
    sigma = fwhm / _SIGMA / _VOXEL
    one = np.square(np.exp(-2 * (math.pi * sigma * np.fft.fftfreq(_EDGE)) ** 2)).mean()
    return float(one**3)
