"""Steady state of the default person with the clock averaged, by damped Newton steps.

Uses the slow evaluator of the expressions, so that it does not depend on the
compiled code it is the start of. Biopterin is conserved: one of its two rates
is replaced by the conserved sum.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ekbom.disease import expr
from ekbom.disease.model import Model

#: Conserved sum: states, total in their unit, and the state whose rate it replaces.
CONSERVED = (("bh2", "bh4"), 360.0, "bh4")
_GUESS = {
    "tyr": 125.7, "pool": 942.8, "bh2": 40.85, "bh4": 319.14, "ldopa": 0.3559, "cda": 2.647,
    "vda": 80.97, "hva": 7.678, "e": 0.1, "rest": 0.05, "u": 0.01, "ubar": 0.01, "op": 0.005,
    "b2": 1.0,
}  # fmt: skip


def rate_function(model: Model, overrides: dict[str, float] | None = None):  # type: ignore[no-untyped-def]
    """Return ``f(t, y)``, the rates by walking the expressions.

    Parameters
    ----------
    model : Model
        The model.
    overrides : dict, optional
        Parameter values other than the defaults.

    Returns
    -------
    callable
        Of hours and (S,) states, giving (S,) rates per hour.
    """
    values = model.defaults | (overrides or {})
    for d in model.derived:
        values[d.id] = expr.evaluate(d.tree, values)
    assigns = [(a.id, a.tree) for a in model.assigns]
    rates = [expr.parse(model.rates[s.id]) for s in model.states]
    ids = [s.id for s in model.states]

    def f(t: float, y: NDArray[np.float64]) -> NDArray[np.float64]:
        now = values | dict(zip(ids, y, strict=True)) | {"t": t}
        for name, tree in assigns:
            now[name] = expr.evaluate(tree, now)
        return np.array([expr.evaluate(r, now) for r in rates])

    return f


def steady(model: Model) -> dict[str, float]:
    """Return the steady state.

    Parameters
    ----------
    model : Model
        The model.

    Returns
    -------
    dict
        State to value.
    """
    ids = [s.id for s in model.states]
    f = rate_function(model, {"clock": 0.0})
    values = model.defaults
    y = np.array(
        [
            _GUESS[s.id] if s.initial == "steady" else expr.evaluate(expr.parse(s.initial), values)
            for s in model.states
        ]
    )
    scale = np.array([s.scale for s in model.states])
    members, total, replaced = CONSERVED
    which, row = [ids.index(m) for m in members], ids.index(replaced)

    def residual(z: NDArray[np.float64]) -> NDArray[np.float64]:
        r: NDArray[np.float64] = f(0.0, z)
        r[row] = z[which].sum() - total
        return r

    for _ in range(60):
        r = residual(y)
        jac = np.empty((len(y), len(y)))
        for j, s in enumerate(scale):
            step = 1e-7 * s
            up, down = y.copy(), y.copy()
            up[j] += step
            down[j] -= step
            jac[:, j] = (residual(up) - residual(down)) / (2 * step)
        change = np.linalg.solve(jac, -r)
        y = y + change
        if np.max(np.abs(change) / scale) < 1e-14:
            break
    return dict(zip(ids, (float(v) for v in y), strict=True))
