"""Our own backend: numba, nothing beyond the core, the same bytes on any number of threads."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.space.image import Volume
from ekbom.space.register.base import CANNOT, FAILED, Kind, Registration
from ekbom.space.register.deform import Recipe, correlation, deform
from ekbom.space.register.linear import Level, Metric, centre_of_mass, fit, pyramid
from ekbom.space.rim import with_rim
from ekbom.space.transform import Affine, Chain, Rigid, Transform, Warp

#: Points at which the images are compared, by level (mm).
_POINTS = {8.0: 8000, 4.0: 16000, 2.0: 32000}
#: Turns about the centres of mass that a search tries (degrees).
_TURN_DEG = 18.0
#: Steps after which the starts of a search are compared.
_SHORT = 8
#: Gain of a step below which the last level, and those before, are left.
_FINE, _ROUGH = 1e-8, 1e-6
#: Mutual information (above 1) that images of pure noise reach is a third of this.
_CHANCE = 0.003
#: Share of the gain by which a result may lie below its start and count as the same.
_SAME = 0.01
#: Smoothness at which the affine step before a deformable one ends.
_AFFINE_MM = 4.0
#: How far beyond its mask a fixed image is looked at.
_RIM_MM = 4.0


class Own:
    """Rigid and affine by normalised mutual information, deformable by local correlation."""

    name = "numba"
    version = "4"
    can: frozenset[Kind] = frozenset({"rigid", "affine", "deformable"})

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
            As there. The metric is ``"nmi"``; a deformable registration goes on
            with ``"lncc"`` from the affine one (or from a start that is an affine
            but not a rigid matrix). Threads make no difference to any bit.

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
        known = "lncc" if kind == "deformable" else "nmi"
        if metric not in ("auto", known):
            raise Refused(
                "This backend does not have that metric.",
                field="metric",
                found=metric,
                expected=known,
            )
        if kind == "deformable":
            linear: Transform = start if isinstance(start, Affine) else Affine(np.eye(4))
            given = isinstance(start, Affine) and not isinstance(start, Rigid)
            if not given:
                linear = self.register(
                    fixed,
                    moving,
                    kind="affine",
                    start=start,
                    fixed_mask=fixed_mask,
                    moving_mask=moving_mask,
                    resolution=max(resolution, _AFFINE_MM),
                    seed=seed,
                ).transform
            assert isinstance(linear, Affine)
            return self.deformable(
                fixed,
                moving,
                linear,
                fixed_mask=fixed_mask,
                moving_mask=moving_mask,
                resolution=resolution,
                threads=threads,
            )
        levels = [w for w in _POINTS if w >= resolution] or [8.0]
        still, moved = (
            pyramid(volume, mask, levels)
            for volume, mask in ((fixed, fixed_mask), (moving, moving_mask))
        )
        return self.align(still, moved, kind=kind, start=start, seed=seed)

    def deformable(
        self,
        fixed: Volume,
        moving: Volume,
        linear: Affine,
        *,
        fixed_mask: NDArray[np.bool_] | None = None,
        moving_mask: NDArray[np.bool_] | None = None,
        resolution: float = 2.0,
        threads: int = 1,
        recipe: Recipe | None = None,
    ) -> Registration:
        """Go on from an affine map; see :func:`ekbom.space.register.deform.deform`.

        Parameters
        ----------
        fixed, moving, fixed_mask, moving_mask, resolution, threads, recipe
            As there. The mask of the fixed image is widened by 4 mm: its rim
            says where the edge of the brain is.
        linear : Affine
            From fixed to moving.

        Returns
        -------
        Registration
            Its transform is the chain of `linear` and a warp.

        Raises
        ------
        Refused
            Images that match no better than at the start.
        """
        recipe = recipe or Recipe()
        inside = (
            None if fixed_mask is None else with_rim(fixed_mask, fixed.grid.voxel_size, _RIM_MM)
        )
        there, back, (before, value), log = deform(
            fixed,
            moving,
            linear,
            fixed_mask=inside,
            moving_mask=moving_mask,
            resolution=resolution,
            recipe=recipe,
            threads=threads,
        )
        if not value > before:
            raise FAILED.refused(found=f"local correlation {value:.4f}, at the start {before:.4f}")
        settings = {
            "Kind": "deformable",
            "Metric": "lncc",
            "Resolution": resolution,
            **{k[0].upper() + k[1:]: v for k, v in asdict(recipe).items()},
        }
        return Registration(
            Chain((linear, there)),
            Chain((back, linear.inverse())),
            "lncc",
            value,
            before,
            self.name,
            self.version,
            settings,
            log,
        )

    @staticmethod
    def judge(
        fixed: Volume,
        moving: Volume,
        linear: Affine,
        warp: Warp,
        *,
        fixed_mask: NDArray[np.bool_] | None = None,
        spacing: float = 4.0,
        threads: int = 1,
    ) -> tuple[float, float]:
        """Measure local correlation under any field as :meth:`deformable` does.

        Parameters
        ----------
        fixed, moving : Volume
            Images.
        linear, warp : Affine, Warp
            A point goes through the warp, then through `linear`.
        fixed_mask : (X, Y, Z) array of bool, optional
            Where the fixed image counts.
        spacing : float
            Of the lattice, mm.
        threads : int
            Threads.

        Returns
        -------
        before, after : float
            Mean squared local correlation without and with the warp.
        """
        inside = (
            None if fixed_mask is None else with_rim(fixed_mask, fixed.grid.voxel_size, _RIM_MM)
        )
        return correlation(
            fixed, moving, linear, warp, fixed_mask=inside, spacing=spacing, threads=threads
        )

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
        # Only the last level need be climbed to the top.
        rough = _ROUGH if len(metrics) > 1 else _FINE
        tried = [fit(metrics[0], one, "rigid", _SHORT if len(starts) > 1 else 40) for one in starts]
        if len(starts) > 1:
            # A few steps show which ways are worth going on.
            tried = sorted(tried, key=lambda t: -t[1])[:2]
            tried = [fit(metrics[0], one, "rigid", 40, rough) for one, _ in tried]
        here, value = max(tried, key=lambda t: t[1])
        if isinstance(start, Affine) and not isinstance(start, Rigid):
            here = start
        freedom: Literal["rigid", "affine"] = "rigid" if kind == "rigid" else "affine"
        for step in metrics if freedom == "affine" else metrics[1:]:
            here, value = fit(step, here, freedom, settle=_FINE if step is metrics[-1] else rough)
        before = metrics[-1].value(starts[0])
        if before - _SAME * (before - 1.0) <= value < before:
            # A start that could not be better: the metric is rough on that scale.
            here, value = starts[0], before
        if not math.isfinite(value) or value < before or value - 1.0 < _CHANCE:
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
