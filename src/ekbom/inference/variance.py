"""Unequal variances of two kinds, and SPM's shrinkage.

``pooled`` estimates one variance a group from many voxels together and weights rows by
it, the same everywhere (as SPM does). ``voxel`` gives each voxel the variance of each group:
the Aspin-Welch v and its extension G (Winkler 2014, 10.1016/j.neuroimage.2014.01.060).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.inference.design import Design
from ekbom.inference.glm import Fit, fit, residuals
from ekbom.inference.permute.engine import directions
from ekbom.inference.permute.plan import PermutationPlan, flip
from ekbom.inference.settings import Settings
from ekbom.inference.strata import Model
from ekbom.inference.tails import log_sf_f, z_of_f, z_of_t

SELECT = 0.05
"""Voxels whose model explains something at this p give the pooled covariance (PET)."""
SHRINKAGE = 1e-3
"""Share of the largest variance that SPM adds outside fMRI."""


def groups_of(design: Design, model: Model, settings: Settings) -> NDArray[np.intp]:
    """Return the variance group of each row of the model.

    Raises
    ------
    Refused
        Repeated rows, no such column, one level, a level of one.
    """
    name = settings.variance_groups
    if model.stratum != "persons":
        raise Refused(
            "Unequal variances are for designs with one row a person.",
            field="inference.variance",
            found=f"rows {model.stratum} persons",
            expected='variance = "equal"',
            mend="ask within people without it, or choose one session by `among`",
        )
    if name not in design.table:
        raise Refused(
            f"There is no column {name} for groups of variance in the model's table.",
            field="inference.variance_groups",
            found=name,
            expected=", ".join(map(str, design.table.columns)),
            mend="name a factor of the formula",
        )
    levels, label = np.unique(design.table[name].astype(str).to_numpy(), return_inverse=True)
    counts = np.bincount(label)
    if len(levels) < 2 or counts.min() < 2:
        raise Refused(
            f"{name} cannot give each level its variance.",
            field="inference.variance_groups",
            found=", ".join(f"{v}: {c}" for v, c in zip(levels, counts, strict=True)),
            expected="two or more levels of two or more people",
            mend='use variance = "equal"',
        )
    return np.asarray(label, np.intp)


def pooled(
    values: NDArray[np.floating[Any]], model: Model, label: NDArray[np.intp]
) -> tuple[Model, NDArray[np.float64]]:
    """Weight rows by group variances that all voxels share.

    Parameters
    ----------
    values : (n, V)
        Rows of the design.
    model : Model
        One row a person.
    label : (m,) int
        Variance group of each row.

    Returns
    -------
    tuple of Model and (groups,) array
        The weighted model, and the variances by restricted maximum likelihood, scaled
        so that their mean over rows is 1.
    """
    found = fit(values, model)
    e = residuals(values, model)
    y = model.take(values)
    y = y - y.mean(axis=0)
    rank = model.rank - 1
    chosen = np.isfinite(found.sigma) & (found.sigma > 0)
    if rank > 0:
        rss = np.square(found.sigma) * model.df
        tss = np.square(y).sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            f = (tss - rss) / rank / np.square(found.sigma)
            passing = chosen & (np.exp(log_sf_f(np.maximum(f, 0.0), rank, model.df)) < SELECT)
        chosen = passing if passing.any() else chosen
    e = e[:, chosen] / found.sigma[chosen]
    h = reml(e @ e.T / e.shape[1], model.x, label)
    h = h / h[label].mean()
    return weighted(model, 1.0 / np.sqrt(h[label])), h


def weighted(model: Model, weight: NDArray[np.float64]) -> Model:
    """Return a model whose rows are multiplied by weights."""
    return dataclasses.replace(model, x=model.x * weight[:, None], weight=weight)


def reml(
    s: NDArray[np.float64], x: NDArray[np.float64], label: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return group variances by restricted maximum likelihood (Fisher scoring).

    Parameters
    ----------
    s : (m, m)
        Covariance of the rows, pooled over voxels.
    x : (m, p)
        Design.
    label : (m,) int
        Group of each row.

    Returns
    -------
    ndarray, (groups,)
        Variances.
    """
    q = np.eye(int(label.max()) + 1)[label].T
    start = max(float(np.trace(s)) / len(s), 1e-300)
    h = np.full(len(q), start)
    for _ in range(200):
        inverse = 1.0 / (q.T @ h)
        ix = x * inverse[:, None]
        p = np.diag(inverse) - ix @ np.linalg.pinv(x.T @ ix) @ ix.T
        psp = p @ s @ p
        gradient = 0.5 * np.array([np.sum(g * (np.diag(psp) - np.diag(p))) for g in q])
        hessian = 0.5 * np.array([[a @ (p * p) @ b for b in q] for a in q])
        step = np.linalg.solve(hessian, gradient)
        while np.any(h + step <= 0.0):
            step = step / 2.0
        h = h + step
        if np.abs(step).max() < 1e-12 * h.max():
            break
    return np.asarray(h)


def shrunk(found: Fit) -> tuple[Fit, int, float]:
    """Add SPM's thousandth of the largest variance to the variance of every voxel.

    Returns
    -------
    tuple of Fit, int, float
        The fit; the voxel of the largest variance (masked index) and that variance.
    """
    s2 = np.square(found.sigma)
    where = int(np.nanargmax(s2))
    sigma = np.sqrt(s2 + SHRINKAGE * s2[where])
    ratio = found.sigma / sigma
    statistic = found.statistic * (ratio if found.kind == "t" else np.square(ratio))
    new = dataclasses.replace(found, sigma=sigma, se=found.se / ratio, statistic=statistic)
    return new, where, float(s2[where])


class Welch:
    """Maps of v (one row of contrast) or G, relabelled by changes of sign."""

    plan: PermutationPlan

    def __init__(
        self,
        values: NDArray[np.floating[Any]],
        model: Model,
        label: NDArray[np.intp],
        settings: Settings,
    ) -> None:
        self._x, self._c, self._label = model.x, model.c, label
        self._y = model.take(values)
        self._pinv = np.linalg.pinv(model.x)
        self._hat = model.x @ self._pinv
        free = 1.0 - np.diag(self._hat)
        self._free = np.array([free[label == g].sum() for g in range(int(label.max()) + 1)])
        self._rows = [np.flatnonzero(label == g) for g in range(len(self._free))]
        self._inner = np.stack([model.x[r].T @ model.x[r] for r in self._rows])
        z = directions(model, None).nuisance
        self._reduced = self._y - z @ (z.T @ self._y)
        self.plan = flip(len(model.x), None, settings.permutations, settings.seed)
        self._z = settings.on == "z"

    def statistic(
        self, y: NDArray[np.float64] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return v or G and its degrees of freedom for rows y (m, V), the data by default."""
        y = self._y if y is None else y
        e = y - self._hat @ y
        s2 = np.stack([np.square(e[r]).sum(axis=0) for r in self._rows]) / self._free[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            w = np.where(s2 > 0.0, 1.0 / s2, np.nan)
            effect = self._c @ (self._pinv @ y)
            inner = np.einsum("gv,gpq->vpq", np.nan_to_num(w), self._inner)
            cov = self._c @ np.linalg.pinv(inner, hermitian=True) @ self._c.T
            each = np.array([len(r) for r in self._rows])[:, None] * w
            gap = (np.square(1.0 - each / each.sum(axis=0)) / self._free[:, None]).sum(axis=0)
            r = len(self._c)
            if r == 1:
                value = effect[0] / np.sqrt(cov[:, 0, 0])
            else:
                solved = np.linalg.pinv(cov, hermitian=True) @ effect.T[:, :, None]
                quadratic = (effect.T * solved[:, :, 0]).sum(axis=1)
                value = quadratic / r / (1.0 + 2.0 * (r - 1) / (r * (r + 2.0)) * gap)
            df = r * (r + 2.0) / 3.0 / gap
        return np.asarray(value), np.asarray(df)

    def fill(self, start: int, out: NDArray[np.float32]) -> None:
        """Write the maps of the relabellings from ``start`` on."""
        assert self.plan.signs is not None
        for row, signs in zip(out, self.plan.signs[start : start + len(out)], strict=False):
            value, df = self.statistic(self._reduced * signs[:, None])
            if self._z:
                joint = len(self._c) > 1
                value = z_of_f(value, len(self._c), df) if joint else z_of_t(value, df)
            row[:] = np.nan_to_num(value, nan=0.0, posinf=0.0, neginf=0.0)

    def fitted(self, found: Fit) -> Fit:
        """Return a fit with v or G in place of t or F, and degrees of freedom by voxel."""
        value, df = self.statistic()
        se = found.estimate[0] / value if found.kind == "t" else found.se
        return dataclasses.replace(found, statistic=value, se=np.abs(se), df_each=df)
