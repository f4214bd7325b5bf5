"""Our own backend: numba, nothing beyond the core, the same bytes on any number of threads."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.space.image import Volume
from ekbom.space.register.base import CANNOT, FAILED, Kind, Registration
from ekbom.space.register.linear import Level, Metric, centre_of_mass, fit, pyramid
from ekbom.space.transform import Affine, Rigid

#: Points at which the images are compared, by level (mm).
_POINTS = {8.0: 8000, 4.0: 16000, 2.0: 32000}
#: Turns about the centres of mass that a search tries (degrees).
_TURN_DEG = 18.0


class Own:
    """Rigid and affine registration by normalised mutual information."""

    name = "numba"
    version = "1"
    can: frozenset[Kind] = frozenset({"rigid", "affine"})

    def register(
        self,
        fixed: Volume,
        moving: Volume,
        *,
        kind: Kind,
        metric: str = "auto",
        start: Affine | Literal["com", "header", "search"] = "search",
        fixed_mask: NDArray[np.bool_] | None = None,
        moving_mask: NDArray[np.bool_] | None = None,
        resolution: float = 2.0,
        threads: int = 1,
        seed: int = 0,
    ) -> Registration:
        """Find the transform; see :class:`ekbom.space.register.base.Registrar`.

        Parameters
        ----------
        fixed, moving, kind, metric, start, fixed_mask, moving_mask, resolution, threads, seed
            As there; the metric is ``"nmi"``, threads make no difference.

        Returns
        -------
        Registration
            The transform, its inverse, and how good it is.

        Raises
        ------
        Refused
            A kind or metric that this backend does not have, an empty mask, or
            images that match no better than at the start.
        """
        if kind not in self.can:
            raise CANNOT.refused(found=f"{self.name}: {kind}", expected=", ".join(sorted(self.can)))
        if metric not in ("auto", "nmi"):
            raise Refused(
                "This backend does not have that metric.",
                field="metric",
                found=metric,
                expected="nmi",
            )
        levels = [w for w in _POINTS if w >= resolution] or [8.0]
        still, moved = (
            pyramid(volume, mask, levels)
            for volume, mask in ((fixed, fixed_mask), (moving, moving_mask))
        )
        return self.align(still, moved, kind=kind, start=start, seed=seed)

    def align(
        self,
        still: list[Level],
        moved: list[Level],
        *,
        kind: Kind,
        start: Affine | Literal["com", "header", "search"],
        seed: int = 0,
    ) -> Registration:
        """Find the transform between images that were made smoother before.

        Parameters
        ----------
        still, moved : list of Level
            From :func:`ekbom.space.register.linear.pyramid`, the same levels.
        kind, start, seed
            As in :meth:`register`.

        Returns
        -------
        Registration
            The transform, its inverse, and how good it is.

        Raises
        ------
        Refused
            Images that match no better than at the start.
        """
        centre = centre_of_mass(still[0])
        metrics = [
            Metric(f, m, _POINTS.get(f.width, 16000), seed, centre)
            for f, m in zip(still, moved, strict=True)
        ]
        starts = _starts(start, centre, moved[0])
        tried = [fit(metrics[0], one, "rigid", 40) for one in starts]
        best = max(range(len(tried)), key=lambda k: tried[k][1])
        here, value = tried[best]
        if isinstance(start, Affine) and not isinstance(start, Rigid):
            here = start
        freedom: Literal["rigid", "affine"] = "rigid" if kind == "rigid" else "affine"
        for step in metrics if freedom == "affine" else metrics[1:]:
            here, value = fit(step, here, freedom)
        before = metrics[-1].value(starts[0])
        if not math.isfinite(value) or value < before or value <= 1.0:
            raise FAILED.refused(found=f"NMI {value:.4f}, at the start {before:.4f}")
        settings = {
            "Kind": kind,
            "Metric": "nmi",
            "Levels": [level.width for level in still],
            "Start": start if isinstance(start, str) else "given",
            "Seed": seed,
        }
        return Registration(
            here, here.inverse(), "nmi", value, before, self.name, self.version, settings
        )


def _starts(
    start: Affine | Literal["com", "header", "search"],
    centre: NDArray[np.float64],
    moved: Level,
) -> list[Affine]:
    if isinstance(start, Affine):
        return [start]
    header: Affine = Rigid(np.eye(4))
    if start == "header":
        return [header]
    shift = centre_of_mass(moved) - centre
    com: Affine = Rigid.of([0, 0, 0, *shift], centre)
    if start == "com":
        return [com]
    angle = math.radians(_TURN_DEG)
    turns = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            p = np.array([0.0, 0.0, 0.0, *shift])
            p[axis] = sign * angle
            turns.append(Rigid.of(p, centre))
    return [header, com, *turns]
