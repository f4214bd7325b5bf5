"""Covariances of repeated measurements that are linear in their parameters.

Each structure is a sum of known matrices times a parameter, ``V_i = sum theta_k Q_ik``,
so the derivatives that restricted likelihood and degrees of freedom need are the ``Q``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Structure = Literal["unstructured", "slope", "intercept", "independent"]

#: What a structure becomes when it is singular, in order.
SIMPLER: dict[str, str] = {"slope": "intercept", "intercept": "independent"}

WORDS: dict[str, str] = {
    "unstructured": "every visit its own variance, every pair of visits its own covariance",
    "slope": "each person has a level and a slope of their own",
    "intercept": "each person has a level of their own",
    "independent": "all measurements are independent",
}


@dataclass(frozen=True)
class Stack:
    """People measured at the same times, group by group, by their cross products.

    Groups with fewer measurements are filled up with rows of variance 1 that hold
    nothing, which changes neither likelihood nor derivatives.

    Parameters
    ----------
    bases : (K, G, m, m) float64
        The ``Q`` of the m measurements of each group.
    filled : (G, m, m) float64
        1 on the diagonal of rows that are filling.
    cross : (G m m, u u) float64
        Sums over people of the products of their rows ``[X y]``.
    counts : (G,) float64
        People.
    """

    bases: NDArray[np.float64]
    filled: NDArray[np.float64]
    cross: NDArray[np.float64]
    counts: NDArray[np.float64]

    @property
    def columns(self) -> int:
        """Columns of ``[X y]``."""
        return round(float(np.sqrt(self.cross.shape[1])))


def parameters(structure: str, labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the parameters of a structure.

    Parameters
    ----------
    structure : str
        One of :data:`Structure`.
    labels : tuple of str
        Names of the visits (used by ``"unstructured"``).

    Returns
    -------
    tuple of str
        In the order of the bases.
    """
    if structure == "unstructured":
        return tuple(
            f"var({a})" if a == b else f"cov({a}, {b})"
            for i, a in enumerate(labels)
            for b in labels[: i + 1]
        )
    return {
        "slope": ("var(intercept)", "cov(intercept, slope)", "var(slope)", "var(residual)"),
        "intercept": ("var(intercept)", "var(residual)"),
        "independent": ("var(residual)",),
    }[structure]


def bases_of(
    structure: str, visit: NDArray[np.intp], time: NDArray[np.float64], visits: int
) -> NDArray[np.float64]:
    """Return the matrices ``Q`` of one person.

    Parameters
    ----------
    structure : str
        One of :data:`Structure`.
    visit : (m,) int
        Number of the visit of each measurement.
    time : (m,) float
        Its time (used by ``"slope"``).
    visits : int
        How many visits there are.

    Returns
    -------
    (K, m, m) float64
        One matrix a parameter.
    """
    m = len(visit)
    if structure == "unstructured":
        out = []
        for i in range(visits):
            for j in range(i + 1):
                one = np.outer(visit == i, visit == j).astype(float)
                out.append(one if i == j else one + one.T)
        return np.array(out)
    ones = np.ones(m)
    level, noise = np.outer(ones, ones), np.eye(m)
    if structure == "independent":
        return noise[None]
    if structure == "intercept":
        return np.array([level, noise])
    mixed = np.outer(ones, time)
    return np.array([level, mixed + mixed.T, np.outer(time, time), noise])


def random_part(structure: str, theta: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the covariance of the random effects, None without them."""
    if structure == "slope":
        return np.array([[theta[0], theta[1]], [theta[1], theta[2]]])
    if structure == "intercept":
        return theta[:1, None].copy()
    return None


def stacked(
    rows: NDArray[np.float64],
    subject: NDArray[np.intp],
    visit: NDArray[np.intp],
    time: NDArray[np.float64],
    structure: str,
    visits: int,
) -> Stack:
    """Put people with the same visits and times together.

    Parameters
    ----------
    rows : (N, u) float64
        ``[X y]``.
    subject, visit : (N,) int
        Who and which visit.
    time : (N,) float64
        When.
    structure : str
        Covariance structure.
    visits : int
        How many visits there are.

    Returns
    -------
    Stack
        Groups in the order in which they are first met.
    """
    groups: dict[tuple[Any, ...], list[NDArray[np.intp]]] = {}
    order = np.lexsort((time, visit, subject))
    edges = np.flatnonzero(np.diff(subject[order])) + 1
    for mine in np.split(order, edges):
        key: tuple[Any, ...] = (len(mine),)
        if structure == "unstructured":
            key = tuple(visit[mine].tolist())
        elif structure == "slope":
            key = tuple(time[mine].tolist())
        groups.setdefault(key, []).append(mine)
    members = [np.array(g) for g in groups.values()]
    u, most, many = rows.shape[1], max(g.shape[1] for g in members), len(members)
    cross = np.zeros((many, most, most, u, u))
    filled = np.zeros((many, most, most))
    bases: list[NDArray[np.float64]] = []
    for k, group in enumerate(members):
        n, m = group.shape
        z = rows[group].reshape(n, m * u)
        cross[k, :m, :m] = (z.T @ z).reshape(m, u, m, u).transpose(0, 2, 1, 3)
        filled[k, range(m, most), range(m, most)] = 1.0
        first = group[0]
        q = bases_of(structure, visit[first], time[first], visits)
        bases.append(np.pad(q, ((0, 0), (0, most - m), (0, most - m))))
    return Stack(
        np.stack(bases, axis=1),
        filled,
        cross.reshape(many * most * most, u * u),
        np.array([float(len(g)) for g in members]),
    )
