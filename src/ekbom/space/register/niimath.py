"""Backend `niimath`: affine and rigid, a small program of its own.

Its fast engine is affine only; rigid runs on its slower Hellinger engine.
`fixed_to_moving` of its matrix file is the convention used here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ekbom.space.image import Volume
from ekbom.space.io import nifti_bytes
from ekbom.space.register import foreign
from ekbom.space.register.base import Kind, Registration
from ekbom.space.transform import Affine, as_transform, compose

INSTALL = 'pip install "ekbom[register]"'


class Niimath:
    """Rigid and affine registration by niimath's `-allineate`."""

    name = "niimath"
    can: frozenset[Kind] = frozenset({"rigid", "affine"})

    def __init__(self) -> None:
        self.version = foreign.version(self.name, "niimath", "niimath", INSTALL)

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
            As there; the metric is a cost of niimath, ``fast`` for affine and
            ``hel`` for rigid by default. Voxels outside the masks are set to 0.
            The program chooses its own levels: `resolution` makes no difference.

        Returns
        -------
        Registration
            The transform, its inverse, and how good it is.

        Raises
        ------
        Refused
            A kind it does not have, a run that failed or matches less than at the start.
        """
        foreign.able(self.name, self.can, kind)
        first, image = foreign.placed(fixed, moving, start)
        cost = metric if metric != "auto" else "fast" if kind == "affine" else "hel"
        still = foreign.masked(fixed, fixed_mask)
        moved = foreign.masked(moving, moving_mask, image.grid)
        with foreign.folder() as place:
            for name, volume in (("fixed", still), ("moving", moved)):
                (place / f"{name}.nii.gz").write_bytes(
                    nifti_bytes(volume.values, volume.grid.affine)
                )
            options = ["-cost", cost, "-savemat", "found.json"]
            if kind == "rigid":
                options += ["-warp", "shr"]
            command = [sys.executable, "-m", "niimath", "moving.nii.gz", "-p", str(threads)]
            command += ["-allineate", "fixed.nii.gz", *options, "out.nii.gz"]
            done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
            if done.returncode or not (place / "found.json").is_file():
                raise foreign.failed(self.name, done.stdout + done.stderr)
            matrix = np.array(json.loads((place / "found.json").read_text())["fixed_to_moving"])
        step = _cleaned(matrix) if kind == "rigid" else Affine(matrix)
        whole = compose(first, step)
        assert isinstance(whole, Affine)
        settings = {"Kind": kind, "Cost": cost}
        return foreign.linear_result(
            self.name, self.version, fixed, moving, first, whole, fixed_mask, settings, seed=seed
        )


def _cleaned(matrix: NDArray[np.float64]) -> Affine:
    # Written with ten digits from 32 bits: the nearest rotation is meant.
    u, _, vt = np.linalg.svd(matrix[:3, :3])
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = u @ vt, matrix[:3, 3]
    return as_transform(out)
