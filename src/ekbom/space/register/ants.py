"""Backend `ants`: antspyx, which pins old numpy and scipy, so it needs an environment of its own.

References
----------
Avants BB, Tustison NJ, Song G, Cook PA, Klein A, Gee JC (2011). A reproducible
evaluation of ANTs similarity metric performance in brain image registration.
NeuroImage 54:2033-2044. doi:10.1016/j.neuroimage.2010.09.025
"""

from __future__ import annotations

import importlib
import os
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ekbom.space.image import Volume
from ekbom.space.io import nifti_bytes
from ekbom.space.register import foreign
from ekbom.space.register.base import Kind, Registration
from ekbom.space.transform import Affine, Rigid, Warp, as_transform, compose

INSTALL = "an environment of its own with: pip install ekbom antspyx"
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


class Ants:
    """Rigid, affine and SyN registration by antspyx."""

    name = "ants"
    can: frozenset[Kind] = frozenset({"rigid", "affine", "deformable"})
    #: Iterations of SyN by level, coarse first.
    rounds = (40, 20, 10)
    #: Steps of the linear stages by level, coarse first.
    steps = (1000, 500, 250, 100)

    def __init__(self) -> None:
        self.version = foreign.version(self.name, "antspyx", "ants", INSTALL)

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
            on the lattice of the fixed image. The same bytes come with one thread only.

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
        os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(threads)
        ants: Any = importlib.import_module("ants")
        if kind == "deformable" and (not isinstance(start, Affine) or isinstance(start, Rigid)):
            found = self.register(
                fixed, moving, kind="affine", start=start, fixed_mask=fixed_mask,
                moving_mask=moving_mask, threads=threads, seed=seed,
            )  # fmt: skip
            assert isinstance(found.transform, Affine)
            start = found.transform
        first, image = foreign.placed(fixed, moving, start)
        with foreign.folder() as place:
            volumes = {
                "fixed": foreign.masked(fixed, None),
                "moving": foreign.masked(moving, moving_mask, image.grid),
            }
            if fixed_mask is not None:
                volumes["inside"] = Volume(fixed_mask.astype(np.float32), fixed.grid)
            read = {}
            for name, volume in volumes.items():
                path = place / f"{name}.nii.gz"
                path.write_bytes(nifti_bytes(volume.values, volume.grid.affine))
                read[name] = ants.image_read(str(path))
            # Of the matrices the last freedom only: ANTs' affine starts from its own rigid.
            names = {"rigid": "Rigid", "affine": "Affine", "deformable": "SyNOnly"}
            # Its defaults look at a fifth of the points, outside the mask too, and never at the
            # finest level: a third of the overlap was missing in a head turned by 30 degrees.
            more: dict[str, Any] = {
                "mask_all_stages": True, "aff_random_sampling_rate": 1.0,
                "aff_iterations": self.steps, "aff_shrink_factors": (4, 2, 1, 1),
                "aff_smoothing_sigmas": (3, 2, 1, 0),
            }  # fmt: skip
            if kind == "deformable":
                more = {
                    "syn_metric": "CC", "syn_sampling": 2, "reg_iterations": self.rounds,
                    "initial_transform": "identity",
                }  # fmt: skip
            try:
                with foreign.quiet(place / "log.txt"):
                    out = ants.registration(
                        read["fixed"], read["moving"], type_of_transform=names[kind],
                        outprefix=str(place / "out"), mask=read.get("inside"),
                        random_seed=seed + 1, singleprecision=True, **more,
                    )  # fmt: skip
            except (ValueError, RuntimeError) as no:
                words = (place / "log.txt").read_text(errors="replace")
                raise foreign.failed(self.name, f"{words}\n{no}") from no
            settings: dict[str, Any] = {"Kind": kind, "Transform": names[kind]}
            if kind == "deformable":
                settings |= {"Metric": "CC 2", "Rounds": list(self.rounds)}
                files = [f for f in out["fwdtransforms"] if f.endswith(".nii.gz")]
                backs = [f for f in out["invtransforms"] if f.endswith(".nii.gz")]
                fields = [_field(files[0]), _field(backs[0])]
            else:
                settings |= {"Rounds": list(self.steps)}
                step = _matrix(ants.read_transform(out["fwdtransforms"][0]), kind)
        if kind == "deformable":
            return foreign.field_result(
                self.name, self.version, fixed, moving, first, fields[0], fields[1], fixed_mask,
                settings, threads=threads,
            )  # fmt: skip
        whole = compose(first, step)
        assert isinstance(whole, Affine)
        return foreign.linear_result(
            self.name, self.version, fixed, moving, first, whole, fixed_mask, settings, seed=seed
        )


def _field(path: str) -> Warp:
    from ekbom.space.transforms_io import read_transform

    found = read_transform(path)
    assert isinstance(found, Warp)
    return found


def _matrix(transform: Any, kind: Kind) -> Affine:
    # ITK: x -> A (x - c) + t + c, in LPS.
    p = np.asarray(transform.parameters, dtype=np.float64)
    centre = np.asarray(transform.fixed_parameters, dtype=np.float64)[:3]
    out = np.eye(4)
    out[:3, :3] = p[:9].reshape(3, 3)
    out[:3, 3] = p[9:12] + centre - out[:3, :3] @ centre
    ras = _LPS @ out @ _LPS
    if kind == "rigid":
        u, _, vt = np.linalg.svd(ras[:3, :3])
        ras[:3, :3] = u @ vt
    ras[3] = [0.0, 0.0, 0.0, 1.0]
    return as_transform(ras)
