"""Random-field p values of peaks, clusters and sets, and thresholds.

Peak: p = 1 - exp(-sum R_d rho_d(u)), never above Bonferroni, and which of the two it was.
Cluster: Friston 1994 (10.1002/hbm.460010306), extent in resels. Two-sided questions
count both tails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats
from scipy.optimize import brentq

from ekbom.inference.fields import Kind, ec_density

Rule = Literal["RF", "Bonferroni"]


@dataclass(frozen=True)
class RandomField:
    """A field over a search volume.

    Parameters
    ----------
    kind : {"Z", "T", "X", "F"}
        Field.
    df : tuple of float
        As :func:`~ekbom.inference.fields.ec_density` takes them.
    resels : (4,)
        R_0 to R_3 of the volume.
    n : int
        Voxels of the volume.
    tails : {1, 2}
        2 when both signs are asked about.
    """

    kind: Kind
    df: tuple[float, ...]
    resels: NDArray[np.float64]
    n: int
    tails: int = 1

    def expected(self, u: ArrayLike) -> NDArray[np.float64]:
        """Return the expected Euler characteristic above u, both tails when asked."""
        rho = ec_density(self.kind, u, *self.df)
        return np.asarray(self.tails * np.tensordot(self.resels, rho, axes=(0, 0)))

    def p_uncorrected(self, u: ArrayLike) -> NDArray[np.float64]:
        """Return the tail probability of one voxel."""
        return np.asarray(np.minimum(self.tails * ec_density(self.kind, u, *self.df)[0], 1.0))

    def p_peak(self, u: float) -> tuple[float, Rule]:
        """Return the corrected p of a peak and which bound gave it."""
        field = -float(np.expm1(-max(float(self.expected(u)), 0.0)))
        # beneath the last bend the expectation may fall again: a field's p then is 1
        if u < self._bend():
            field = 1.0
        bonferroni = self.n * float(self.p_uncorrected(u))
        return min(field, bonferroni, 1.0), "RF" if field <= bonferroni else "Bonferroni"

    def threshold(self, alpha: float = 0.05) -> tuple[float, Rule, float, float]:
        """Return the threshold, which rule gave it, and those of the field and Bonferroni."""
        wanted = -np.log1p(-alpha)
        low, high = self._bend(), 2.0 * self._bend() + 4.0
        while float(self.expected(high)) > wanted and high < 1e12:
            high *= 2.0
        field = low
        if float(self.expected(low)) > wanted:
            field = float(brentq(lambda u: float(self.expected(u)) - wanted, low, high, xtol=1e-10))
        bonferroni = self._isf(alpha / (self.n * self.tails))
        if field <= bonferroni:
            return field, "RF", field, bonferroni
        return bonferroni, "Bonferroni", field, bonferroni

    def p_extent(self, k: float, u: float) -> float:
        """Return P(K >= k) for a cluster of k resels above u (Z and T only)."""
        rho = ec_density(self.kind, u, *self.df)
        clusters = self.resels[3] * rho[3]
        if self.kind not in ("Z", "T") or not clusters > 0.0:
            return float("nan")
        eta = float(self.resels[3] * rho[0] / clusters)
        return float(np.exp(-((special.gamma(2.5) / eta * k) ** (2.0 / 3.0))))

    def p_cluster(self, k: float, u: float) -> float:
        """Return the corrected p of a cluster of k resels above u."""
        return -float(np.expm1(-float(self.expected(u)) * self.p_extent(k, u)))

    def p_set(self, c: int, k: float, u: float) -> float:
        """Return the p of at least c clusters of k resels or more above u."""
        return float(stats.poisson.sf(c - 1, float(self.expected(u)) * self.p_extent(k, u)))

    def p_height(self, z: ArrayLike, u: float) -> NDArray[np.float64]:
        """Return P(a peak exceeds z | it exceeds u) (Chumbley 2010)."""
        ratio = self.expected(z) / float(self.expected(u))
        return np.asarray(np.clip(ratio, 0.0, 1.0))

    def _bend(self) -> float:
        """Level from which on the expectation falls."""
        grid = np.linspace(0.05, 12.0, 1200) if self.kind in ("Z", "T") else np.geomspace(
            1e-2, 400.0, 2400
        )  # fmt: skip
        values = self.expected(grid)
        rising = np.flatnonzero(np.diff(values) > 0.0)
        return float(grid[rising[-1] + 1]) if len(rising) else float(grid[0])

    def _isf(self, p: float) -> float:
        if self.kind == "Z":
            return float(stats.norm.isf(p))
        if self.kind == "T":
            return float(stats.t.isf(p, *self.df))
        if self.kind == "X":
            return float(stats.chi2.isf(p, *self.df))
        return float(stats.f.isf(p, *self.df))
