"""The input function: what arrives at the tissue, as straight lines between knots."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ekbom.errors import Refused

Array = NDArray[np.float64]

#: A step up from zero at the delayed start takes this long (min), so that knots stay distinct.
_STEP = 1e-9


@dataclass(frozen=True, eq=False)
class InputFunction:
    """Parent tracer in plasma, and whole blood, decay-corrected to injection.

    Both are piecewise linear on the same knots; after the last knot they stay
    as they are there.

    Parameters
    ----------
    t : (G,) array
        Knots in minutes from injection, strictly increasing, ``t[0] == 0``.
    plasma_parent, whole_blood : (G,) array
        kBq/mL, not negative.
    provenance : mapping of str to str
        Where each part comes from.
    covers : (float, float)
        Minutes that blood samples cover; what is outside was extrapolated.

    Raises
    ------
    Refused
        When knots or values are not as above.
    """

    t: Array
    plasma_parent: Array
    whole_blood: Array
    provenance: Mapping[str, str] = field(default_factory=dict)
    covers: tuple[float, float] = (0.0, math.inf)

    def __post_init__(self) -> None:
        t = np.array(self.t, dtype=np.float64)
        if t.ndim != 1 or t.size < 2:
            raise Refused("An input function needs two or more knots.", field="t", found=t.shape)
        if t[0] != 0:
            raise Refused(
                "An input function starts at injection.",
                field="t",
                found=f"{t[0]:g} min",
                expected="0",
                mend="add a knot of no activity at 0",
            )
        if not (np.diff(t) > 0).all():
            i = int(np.argmax(~(np.diff(t) > 0))) + 1
            raise Refused(
                "Knots of the input function do not increase.",
                field=f"t, knot {i + 1}",
                found=f"{t[i]:g} after {t[i - 1]:g} min",
                expected="strictly increasing times",
            )
        for name in ("plasma_parent", "whole_blood"):
            values = np.array(getattr(self, name), dtype=np.float64)
            if values.shape != t.shape:
                raise Refused(
                    "An input curve has not one value a knot.",
                    field=name,
                    found=values.shape,
                    expected=t.shape,
                )
            bad = ~(np.isfinite(values) & (values >= 0))
            if bad.any():
                i = int(np.argmax(bad))
                raise Refused(
                    "An input function cannot be negative or missing.",
                    field=f"{name}, knot {i + 1}",
                    found=f"{values[i]:g} kBq/mL at {t[i]:g} min",
                    expected="zero or more",
                )
            values.setflags(write=False)
            object.__setattr__(self, name, values)
        low, high = self.covers
        if not low < high:
            raise Refused(
                "The time covered is empty.", field="covers", found=f"{low:g} to {high:g} min"
            )
        t.setflags(write=False)
        object.__setattr__(self, "t", t)

    def at(self, t: ArrayLike) -> Array:
        """Return parent plasma at times ``t`` (min): 0 before injection, kBq/mL."""
        return self._at(self.plasma_parent, t)

    def whole_blood_at(self, t: ArrayLike) -> Array:
        """Return whole blood at times ``t`` (min): 0 before injection, kBq/mL."""
        return self._at(self.whole_blood, t)

    def _at(self, values: Array, t: ArrayLike) -> Array:
        return np.asarray(
            np.interp(np.asarray(t, dtype=np.float64), self.t, values, left=0.0), dtype=np.float64
        )

    def auc(self, a: float, b: float) -> float:
        """Return the exact area of parent plasma between ``a`` and ``b``.

        Parameters
        ----------
        a, b : float
            Minutes, ``0 <= a <= b``.

        Returns
        -------
        float
            kBq/mL min.
        """
        t = np.concatenate(([a], self.t[(self.t > a) & (self.t < b)], [b]))
        return float(np.trapezoid(self.at(t), t))

    def extrapolated_share(self, end: float) -> float:
        """Return the share of the area to ``end`` (min) that no blood sample covers."""
        whole = self.auc(0.0, end)
        covered = self.auc(min(self.covers[0], end), min(self.covers[1], end))
        return 1.0 - covered / whole if whole > 0 else 0.0

    def shifted(self, delay: float) -> InputFunction:
        """Return the input as tissue sees it, ``C(t - delay)``.

        Parameters
        ----------
        delay : float
            Minutes; positive when tissue is later than the place of sampling.

        Returns
        -------
        InputFunction
            With ``delay_min`` in its provenance. A negative delay cuts what
            would lie before injection.
        """
        if not math.isfinite(delay):
            raise Refused("The delay is not a number.", field="delay", found=delay, expected="min")
        if delay == 0:
            return self
        if delay > 0:
            t, keep = self.t + delay, slice(None)
            jump = max(self.plasma_parent[0], self.whole_blood[0]) > 0
            # with a start above zero the edge must stay an edge
            head = [0.0, delay - _STEP] if jump and delay > 2 * _STEP else [0.0]
            start_p = start_w = [0.0] * len(head)
        else:
            t, keep = (
                self.t + delay,
                slice(int(np.searchsorted(self.t, -delay, side="right")), None),
            )
            head = [0.0]
            start_p, start_w = [float(self.at(-delay))], [float(self.whole_blood_at(-delay))]
            if t[keep].size == 0:
                raise Refused("The delay leaves no input.", field="delay", found=f"{delay:g} min")
        low, high = self.covers
        moved = float(self.provenance.get("delay_min", "0")) + delay
        knots = np.concatenate((head, t[keep]))
        # knots nearer than a rounding step become one by the sum: the later stands for both
        apart = np.concatenate((np.diff(knots) > 0, [True]))
        return replace(
            self,
            t=knots[apart],
            plasma_parent=np.concatenate((start_p, self.plasma_parent[keep]))[apart],
            whole_blood=np.concatenate((start_w, self.whole_blood[keep]))[apart],
            provenance={**self.provenance, "delay_min": f"{moved:.6g}"},
            covers=(max(low + delay, 0.0) if low > 0 else 0.0, high + delay),
        )
