"""Tissue curves by the matrix exponential, apart from the analysis on purpose.

The analysis solves the compartment equations in closed form. Here the linear
system is stepped on a fixed grid with its matrix exponential, so that a shared
mistake would show as a bias.

With ``x(t) = C(t) e^(-lambda t)`` (activity as the scanner sees it) the two
tissue compartments follow ``x' = (A - lambda I) x + b u``, ``u = C_P e^(-lambda
t)`` piecewise linear on the grid. A frame that is decay-corrected as a whole
holds ``lambda int x dt / (e^(-lambda s) - e^(-lambda e))``, and the integral is
``(A - lambda I)^-1 (x(e) - x(s) - b int u dt)``: no quadrature of the tissue.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ekbom.virtual.stepping import stepped

Array = NDArray[np.float64]

#: Step of the grid, seconds.
STEP_S = 0.5


@dataclass(frozen=True)
class Rates:
    """Rate constants of R tissues.

    Parameters
    ----------
    K1 : (R,) array
        Uptake, mL/cm3/min.
    k2, k3, k4 : (R,) array
        1/min; ``k3 = 0`` is one tissue compartment, ``k4 = 0`` trapping.
    """

    K1: Array
    k2: Array
    k3: Array
    k4: Array

    def __post_init__(self) -> None:
        shapes = {np.shape(part) for part in (self.K1, self.k2, self.k3, self.k4)}
        if len(shapes) != 1 or len(next(iter(shapes))) != 1:
            raise ValueError("K1, k2, k3, k4 must be (R,) arrays of one length")

    @property
    def VND(self) -> Array:
        """K1/k2, mL/cm3."""
        return self.K1 / self.k2

    @property
    def VT(self) -> Array:
        """K1/k2 (1 + k3/k4), mL/cm3; infinite when tracer is trapped."""
        with np.errstate(divide="ignore", invalid="ignore"):
            bound = np.where(self.k3 > 0, self.k3 / self.k4, 0.0)
        return self.VND * (1.0 + bound)


def time_grid(end_min: float) -> Array:
    """Return the grid from 0 to the end of the scan.

    Parameters
    ----------
    end_min : float
        End of the last frame, min; a whole number of steps.

    Returns
    -------
    (G,) array
        Times in minutes.
    """
    steps = _steps(np.array([end_min]))[0]
    return np.arange(steps + 1) * (STEP_S / 60.0)


def frame_means(
    rates: Rates,
    parent: Array,
    whole_blood: Array,
    start: Array,
    end: Array,
    decay: float,
    vB: float = 0.0,
) -> Array:
    """Return decay-corrected frame means of tissue with its blood.

    Parameters
    ----------
    rates : Rates
        R tissues.
    parent, whole_blood : (G,) array
        Decay-corrected concentrations on the grid of :func:`time_grid`, kBq/mL.
    start, end : (F,) array
        Frame edges, min, on the grid, in order, without overlap.
    decay : float
        Decay constant lambda, 1/min, positive.
    vB : float
        Share of blood in the volume.

    Returns
    -------
    (R, F) array
        ``(1 - vB) C_T + vB C_WB`` averaged as the scanner does, kBq/mL.
    """
    decayed = _decayed(parent.size, decay)
    x_integral = _tissue_integrals(rates, parent * decayed, start, end, decay)
    blood = _cumulative(whole_blood * decayed)
    blood_integral = blood[_steps(end)] - blood[_steps(start)]
    weight = decay / (np.exp(-decay * start) - np.exp(-decay * end))
    mixed: Array = ((1.0 - vB) * x_integral + vB * blood_integral) * weight
    return mixed


@functools.lru_cache(maxsize=4)
def _decayed(size: int, decay: float) -> Array:
    """Return what is left of an activity at each point of the grid; do not write to it."""
    out: Array = np.exp(-decay * (np.arange(size) * (STEP_S / 60.0)))
    out.setflags(write=False)
    return out


def _tissue_integrals(rates: Rates, u: Array, start: Array, end: Array, decay: float) -> Array:
    if not decay > 0:
        raise ValueError("decay must be positive")
    h = STEP_S / 60.0
    u_cum = _cumulative(u)
    n_tissue = rates.K1.size

    system = np.zeros((n_tissue, 2, 2))
    system[:, 0, 0] = -(rates.k2 + rates.k3) - decay
    system[:, 0, 1] = rates.k4
    system[:, 1, 0] = rates.k3
    system[:, 1, 1] = -rates.k4 - decay

    # One exponential of the system together with a linear input gives the
    # transition over a step and the two weights of the input's ends.
    joint = np.zeros((n_tissue, 4, 4))
    joint[:, :2, :2] = system
    joint[:, 0, 2] = rates.K1
    joint[:, 2, 3] = 1.0
    step = _exponential(joint * h)
    late = step[:, :2, 3] / h
    early = step[:, :2, 2] - late
    weights = np.concatenate([step[:, :2, :2].reshape(n_tissue, 4), early, late], axis=1)

    first, last = _steps(start), _steps(end)
    edges = np.unique(np.concatenate([[0], first, last]))
    states = np.empty((edges.size, 2, n_tissue))
    stepped(np.ascontiguousarray(weights.T), u, edges, states)
    change = states[np.searchsorted(edges, last)] - states[np.searchsorted(edges, first)]
    change[:, 0] -= rates.K1 * (u_cum[last] - u_cum[first])[:, None]
    out: Array = np.einsum("rij,fjr->rf", np.linalg.inv(system), change)
    return out


def _exponential(m: Array) -> Array:
    """Return the exponentials of small matrices, (R, n, n), by their series.

    A step is short, so the series ends soon; general routines call threaded
    linear algebra for every 4 x 4 matrix, which takes a hundred times longer.
    """
    if np.abs(m).sum(axis=-1).max() > 1.0:
        raise ValueError(f"rates are too fast for a step of {STEP_S} s")
    term = np.broadcast_to(np.eye(m.shape[-1]), m.shape).copy()
    out = term.copy()
    for k in range(1, 20):
        term = np.einsum("rij,rjk->rik", term, m) / k
        before = out
        out = before + term
        if np.array_equal(out, before):  # no later term can count
            break
    return out


def _cumulative(u: Array) -> Array:
    out = np.zeros(u.size)
    np.cumsum(0.5 * (u[1:] + u[:-1]) * (STEP_S / 60.0), out=out[1:])
    return out


def _steps(minutes: Array) -> NDArray[np.int64]:
    steps = np.asarray(minutes, dtype=np.float64) * (60.0 / STEP_S)
    whole = np.rint(steps)
    if np.any(np.abs(steps - whole) > 1e-6):
        raise ValueError(f"frame edges must be multiples of {STEP_S} s")
    return whole.astype(np.int64)
