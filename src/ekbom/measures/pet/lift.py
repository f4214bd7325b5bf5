"""A curve through frame means: the smoothest one whose frame means are exact.

A reference region is known by its frame means only, yet convolving needs a
curve. Taking the means as values at the frames' middles shifts every bend of
the curve (with frames of ten minutes BP_ND is wrong by per cents). Instead the
curve is the piecewise-linear one, zero at injection, whose second differences,
the later the dearer, are least among all that have exactly the measured means: a linear function of
the means, computed once a scan.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from ekbom.measures.pet.convolve import Grid, basis, frame_operator, make_grid
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction

Array = NDArray[np.float64]

#: Pieces that a frame (or a gap) is cut into.
PIECES = 4


@dataclass(frozen=True, eq=False)
class Lift:
    """From frame means to a curve.

    Attributes
    ----------
    t : (M,) array
        Knots, min; the first is injection.
    operator : (M, F) array
        Times the frame means gives the curve at the knots; the first row is zero.
    grid : Grid
        Frames and knots, with no curve on it.
    """

    t: Array
    operator: Array
    grid: Grid

    def curve(self, means: ArrayLike) -> Array:
        """Return the curve at the knots.

        Parameters
        ----------
        means : (F,) array
            kBq/mL, decay-corrected to injection.

        Returns
        -------
        (M,) array
            Noise can make it negative in places.
        """
        return np.asarray((self.operator * np.asarray(means, dtype=np.float64)).sum(axis=1))

    def on_grid(self, means: ArrayLike) -> Grid:
        """Return a grid on which the curve stands as input.

        Parameters
        ----------
        means : (F,) array
            kBq/mL, decay-corrected to injection.

        Returns
        -------
        Grid
            Its frame means are the given ones.
        """
        values = np.asarray(means, dtype=np.float64)
        return replace(self.grid, plasma=self.curve(values), plasma_mean=values)

    def running(self) -> Array:
        """Return the operator from frame means to frame means of the running integral.

        Returns
        -------
        (F, F) array
            Row k gives frame k, min.
        """
        F = self.operator.shape[1]
        columns = [self.on_grid(row) for row in np.eye(F)]
        return np.stack([basis(np.zeros(1), one)[0][0] for one in columns], axis=1)


def lift(frames: Frames, *, decay_weighted: bool = True, pieces: int = PIECES) -> Lift:
    """Return the lift of a frame schedule.

    Parameters
    ----------
    frames : Frames
        F frames; across gaps the curve is what is smoothest.
    decay_weighted : bool
        How a frame averages, see :mod:`ekbom.measures.pet.convolve`.
    pieces : int
        Pieces of a frame.

    Returns
    -------
    Lift

    Notes
    -----
    Least is the integral of the squared second derivative times time squared: the sum over
    inner knots of the squared change of slope, over the mean of the two steps beside. A tracer
    bends where it arrives and hardly later; without the weight the early bends, which must be
    there, are flattened at the price of late ones which must not.
    """
    edges = np.unique(np.concatenate(([0.0], frames.start, frames.end)))
    knots = [0.0]
    for a, b in itertools.pairwise(edges):
        knots += np.linspace(a, b, pieces + 1)[1:].tolist()
    t = np.array(knots)
    none = np.zeros(t.size)
    grid = make_grid(frames, InputFunction(t, none, none), decay_weighted=decay_weighted)
    A = frame_operator(grid)[:, 1:]
    h = np.diff(t)
    n, F = h.size, frames.n
    bend = np.zeros((n - 1, n + 1))
    row = np.arange(n - 1)
    scale = t[1:-1] / np.sqrt((h[:-1] + h[1:]) / 2)
    bend[row, row] = scale / h[:-1]
    bend[row, row + 1] = -scale * (1 / h[:-1] + 1 / h[1:])
    bend[row, row + 2] = scale / h[1:]
    bend = bend[:, 1:]
    system = np.zeros((n + F, n + F))
    bends = np.einsum("ki,kj->ij", bend, bend)
    # of the size of the means beside them
    system[:n, :n] = bends * (n / np.einsum("ii->", bends))
    system[:n, n:] = A.T
    system[n:, :n] = A
    right = np.zeros((n + F, F))
    right[n:] = np.eye(F)
    _eliminate(system, right)
    return Lift(t, np.vstack((np.zeros((1, F)), right[:n])), grid)


@njit(cache=True, error_model="numpy")
def _eliminate(A, B):  # type: ignore[no-untyped-def]
    """Solve ``A X = B`` in place of B by elimination: the same bits whatever BLAS and threads."""
    n = A.shape[0]
    for i in range(n):
        pivot = i
        for k in range(i + 1, n):
            if abs(A[k, i]) > abs(A[pivot, i]):
                pivot = k
        if pivot != i:
            for j in range(n):
                A[i, j], A[pivot, j] = A[pivot, j], A[i, j]
            for j in range(B.shape[1]):
                B[i, j], B[pivot, j] = B[pivot, j], B[i, j]
        for k in range(i + 1, n):
            if A[k, i] != 0.0:
                factor = A[k, i] / A[i, i]
                for j in range(i, n):
                    A[k, j] -= factor * A[i, j]
                for j in range(B.shape[1]):
                    B[k, j] -= factor * B[i, j]
    for i in range(n - 1, -1, -1):
        for j in range(B.shape[1]):
            value = B[i, j]
            for k in range(i + 1, n):
                value -= A[i, k] * B[k, j]
            B[i, j] = value / A[i, i]
