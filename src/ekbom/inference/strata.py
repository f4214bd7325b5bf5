"""Which rows carry an effect: persons, or the changes within them.

Two scans of a person are alike, so a model of all rows would count them as two
people. An effect that varies within persons (``session: blocked - baseline``) is
estimated from rows with each person's mean taken out; one that is constant within
persons (``rls - control``) from each person's mean. With complete data these are the
two strata of the split-plot analysis of variance; without repeated rows there is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.inference.design import Design, dependent
from ekbom.inference.named import Effect

Stratum = Literal["persons", "within", "between"]


@dataclass(frozen=True)
class Model:
    """Rows, as they enter the least-squares fit of one effect.

    Parameters
    ----------
    x : (m, p) float64
        Design rows after the stratum's transformation.
    c : (r, p) float64
        Contrast rows of the effect.
    kind : {"t", "F"}
        Statistic.
    stratum : {"persons", "within", "between"}
        One row a person; deviations from each person's mean; each person's mean.
    person : (m,) int
        Person of each row of ``x``.
    people : tuple of str
        Names of the persons, by that number.
    lost : int
        Degrees of freedom that the transformation took (one a person within persons).
    block : (n,) int
        Person of each row of the design.
    weight : (m,) float or None
        What rows were multiplied by, for unequal variances.
    """

    x: NDArray[np.float64]
    c: NDArray[np.float64]
    kind: Literal["t", "F"]
    stratum: Stratum
    person: NDArray[np.intp]
    people: tuple[str, ...]
    lost: int
    block: NDArray[np.intp]
    weight: NDArray[np.float64] | None = None

    @property
    def rank(self) -> int:
        """Rank of ``x``."""
        return int(np.linalg.matrix_rank(self.x))

    @property
    def df(self) -> int:
        """Residual degrees of freedom."""
        return len(self.x) - self.lost - self.rank

    @property
    def n(self) -> int:
        """Number of persons."""
        return len(self.people)

    def take(self, y: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Bring outcomes (rows of the design, V) to the rows of the model, float64."""
        rows: NDArray[np.float64] = y.astype(np.float64)
        if self.stratum == "persons":
            return rows if self.weight is None else rows * self.weight[:, None]
        mean = _means(rows, self.block)
        return rows - mean[self.block] if self.stratum == "within" else mean


def model(design: Design, asked: Effect) -> Model:
    """Choose the stratum of an effect and bring the design there.

    Parameters
    ----------
    design : Design
        Design.
    asked : Effect
        Effect of it.

    Returns
    -------
    Model
        What is fitted.

    Raises
    ------
    Refused
        An effect that mixes changes within persons with differences between them,
        that the stratum cannot estimate, or a model without degrees of freedom.
    """
    block = design.blocks
    names = tuple(str(p) for p in np.unique(np.array(design.participants)))
    if not design.repeated:
        return _checked(
            Model(design.matrix, asked.matrix, asked.kind, "persons", block, names, 0, block),
            design,
            asked,
        )
    within = design.matrix - _means(design.matrix, block)[block]
    if design.within:
        _absorbed(design, within)
        chosen: Stratum = "within"
    else:
        chosen = _stratum(design, asked, block)
    if chosen == "within":
        return _checked(
            Model(within, asked.matrix, asked.kind, "within", block, names, len(names), block),
            design,
            asked,
        )
    counts = np.bincount(block)
    if _uneven(design):
        few, many = int(counts.min()), int(counts.max())
        raise Refused(
            f"{asked.name!r} compares people, but they do not have the same scans.",
            field="test",
            found=f"{few} to {many} rows a participant, of different sessions",
            expected="the same sessions in everybody",
            mend="choose one session by `among`",
        )
    mean = _means(design.matrix, block)
    return _checked(
        Model(mean, asked.matrix, asked.kind, "between", np.arange(len(names)), names, 0, block),
        design,
        asked,
    )


def _stratum(design: Design, asked: Effect, block: NDArray[np.intp]) -> Stratum:
    # the data direction of the effect: estimates are its products with the outcomes
    direction = np.linalg.pinv(design.matrix).T @ asked.matrix.T
    direction = direction / np.sqrt(np.square(direction).sum(axis=0))
    mean = _means(direction, block)
    if np.abs(mean).max() < 1e-8:
        return "within"
    if np.abs(direction - mean[block]).max() < 1e-8:
        return "between"
    raise Refused(
        f"{asked.name!r} varies both within people and between them.",
        field="test",
        found=design.formula,
        expected="an effect of the one kind or the other",
        mend="add `+ participant` to ask within people, or keep one row of each by `among`",
    )


def _absorbed(design: Design, within: NDArray[np.float64]) -> None:
    scale = np.maximum(np.abs(design.matrix).max(axis=0), 1e-300)
    dead = np.abs(within).max(axis=0) < 1e-9 * scale
    names = [c for c, d in zip(design.columns, dead, strict=True) if d and c != "Intercept"]
    if names:
        raise Refused(
            f"The column {names[0]} is aliased: it does not vary within participants.",
            field="model",
            found=design.formula,
            expected="terms that change between the sessions of a person",
            mend="remove the term (participant holds it already), or write `~ group * session` "
            "without participant: repeated scans are recognised",
        )
    live = [j for j, c in enumerate(design.columns) if not dead[j]]
    bad = dependent(within[:, live], tuple(design.columns[j] for j in live))
    if bad:
        raise Refused(
            f"The column {bad[0]} is aliased within participants by {', '.join(bad[1])}.",
            field="model",
            found=design.formula,
            expected="columns that are not functions of each other and of participant",
            mend="remove one of them",
        )


def _checked(made: Model, design: Design, asked: Effect) -> Model:
    if made.df < 1:
        raise Refused(
            "The model leaves no degrees of freedom.",
            field="model",
            found=f"{made.n} participants, {len(made.x)} rows, rank {made.rank}",
            expected="more data than columns",
            mend="leave covariates out, or include more people",
        )
    c = made.c
    gap = np.abs(c - c @ np.linalg.pinv(made.x) @ made.x).max()
    if gap > 1e-8 * max(1.0, float(np.abs(c).max())):
        raise Refused(
            f"The effect {asked.name!r} cannot be estimated "
            + {"within": "within participants.", "between": "between participants."}.get(
                made.stratum, "from these rows."
            ),
            field="test",
            found=design.formula,
            expected="an effect that the model holds",
            mend="ask for another effect, or remove `+ participant`"
            if made.stratum == "within"
            else "ask for another effect",
        )
    return made


def _means(a: NDArray[np.float64], block: NDArray[np.intp]) -> NDArray[np.float64]:
    total = np.zeros((int(block.max()) + 1, a.shape[1]))
    np.add.at(total, block, a)
    return total / np.bincount(block)[:, None]


def _uneven(design: Design) -> bool:
    """Whether people were scanned in different sessions."""
    held: dict[str, list[str]] = {}
    for person, session in zip(design.participants, design.sessions, strict=True):
        held.setdefault(person, []).append(session)
    return len({tuple(sorted(sessions)) for sessions in held.values()}) > 1
