"""Backend `dipy`: affine by mutual information and SyN.

References
----------
Garyfallidis E, Brett M, Amirbekian B, Rokem A, van der Walt S, Descoteaux M,
Nimmo-Smith I (2014). Dipy, a library for the analysis of diffusion MRI data.
Front Neuroinform 8:8. doi:10.3389/fninf.2014.00008
"""

from __future__ import annotations

import importlib
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ekbom.space.image import Volume
from ekbom.space.register import foreign
from ekbom.space.register.base import Kind, Registration
from ekbom.space.transform import Affine, Rigid, Warp, as_transform, compose

INSTALL = 'pip install "ekbom[register-dipy]"'


class Dipy:
    """Rigid and affine by mutual information, deformable by SyN with local correlation."""

    name = "dipy"
    can: frozenset[Kind] = frozenset({"rigid", "affine", "deformable"})
    #: Iterations by level, coarse first.
    linear_rounds = (1000, 100, 20)
    rounds = (50, 30, 10)

    def __init__(self) -> None:
        self.version = foreign.version(self.name, "dipy", "dipy", INSTALL)

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
            As there; the metric is left to the program, which has its own levels
            on the lattice of the fixed image. Its threads are not set.

        Returns
        -------
        Registration
            The transform, its inverse, and how good it is.

        Raises
        ------
        Refused
            A run that failed, folds, or matches less than at the start.
        """
        foreign.able(self.name, self.can, kind)
        if kind == "deformable" and (not isinstance(start, Affine) or isinstance(start, Rigid)):
            found = self.register(
                fixed, moving, kind="affine", start=start, fixed_mask=fixed_mask,
                moving_mask=moving_mask, threads=threads, seed=seed,
            )  # fmt: skip
            assert isinstance(found.transform, Affine)
            start = found.transform
        first, image = foreign.placed(fixed, moving, start)
        still = foreign.masked(fixed, None)
        moved = foreign.masked(moving, moving_mask, image.grid)
        with foreign.folder() as place:
            try:
                with foreign.quiet(place / "log.txt"):
                    if kind == "deformable":
                        there, back = self._syn(still, moved)
                    else:
                        step = self._linear(still, moved, kind, fixed_mask)
            except (ValueError, RuntimeError, ArithmeticError) as no:
                words = (place / "log.txt").read_text(errors="replace")
                raise foreign.failed(self.name, f"{words}\n{no}") from no
        if kind == "deformable":
            settings = {"Kind": kind, "Metric": "CC 4", "Rounds": list(self.rounds)}
            return foreign.field_result(
                self.name, self.version, fixed, moving, first, there, back, fixed_mask, settings,
                threads=threads,
            )  # fmt: skip
        whole = compose(first, step)
        assert isinstance(whole, Affine)
        settings = {"Kind": kind, "Metric": "MI", "Rounds": list(self.linear_rounds)}
        return foreign.linear_result(
            self.name, self.version, fixed, moving, first, whole, fixed_mask, settings, seed=seed
        )

    def _linear(
        self, fixed: Volume, moving: Volume, kind: Kind, mask: NDArray[np.bool_] | None
    ) -> Affine:
        affine = importlib.import_module("dipy.align.imaffine")
        models = importlib.import_module("dipy.align.transforms")
        search = affine.AffineRegistration(
            metric=affine.MutualInformationMetric(nbins=32, sampling_proportion=None),
            level_iters=list(self.linear_rounds),
            sigmas=[3.0, 1.0, 0.0],
            factors=[4, 2, 1],
            verbosity=0,
        )
        here = np.eye(4)
        names = (
            ["RigidTransform3D"] if kind == "rigid" else ["RigidTransform3D", "AffineTransform3D"]
        )
        for name in names:
            here = search.optimize(
                fixed.values, moving.values, getattr(models, name)(), None,
                static_grid2world=fixed.grid.affine, moving_grid2world=moving.grid.affine,
                starting_affine=here, static_mask=None if mask is None else mask.astype(np.int32),
            ).affine  # fmt: skip
        here = np.array(here)
        here[3] = [0.0, 0.0, 0.0, 1.0]
        return as_transform(here)

    def _syn(self, fixed: Volume, moving: Volume) -> tuple[Warp, Warp]:
        warping: Any = importlib.import_module("dipy.align.imwarp")
        metrics: Any = importlib.import_module("dipy.align.metrics")
        syn = warping.SymmetricDiffeomorphicRegistration(
            metrics.CCMetric(3), level_iters=list(self.rounds)
        )
        found = syn.optimize(
            fixed.values, moving.values,
            static_grid2world=fixed.grid.affine, moving_grid2world=moving.grid.affine,
        )  # fmt: skip
        # Both fields are in world mm on the lattice of the fixed image.
        there, back = (
            Warp(np.asarray(f, dtype=np.float64), fixed.grid)
            for f in (found.get_forward_field(), found.get_backward_field())
        )
        return there, back
