"""Backend `greedy`: picsl-greedy, in memory through SimpleITK images.

References
----------
Yushkevich PA, Pluta J, Wang H, Wisse LEM, Das S, Wolk D (2016). Fast automatic
segmentation of hippocampal subfields and medial temporal lobe subregions in
3 Tesla and 7 Tesla T2-weighted MRI. Alzheimer's & Dementia 12:P126-P127.
"""

from __future__ import annotations

import importlib
import io
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ekbom.space.grid import Grid
from ekbom.space.image import Volume
from ekbom.space.register import foreign
from ekbom.space.register.base import Kind, Registration
from ekbom.space.transform import Affine, Rigid, Warp, as_transform, compose

INSTALL = 'pip install "ekbom[register]"'
_LPS = np.array([-1.0, -1.0, 1.0])


class Greedy:
    """Rigid, affine and deformable registration by picsl-greedy."""

    name = "greedy"
    can: frozenset[Kind] = frozenset({"rigid", "affine", "deformable"})
    #: Iterations by level; the last is the finest.
    linear_rounds = "100x50x10"
    rounds = "100x50x10"

    def __init__(self) -> None:
        self.version = foreign.version(self.name, "picsl_greedy", "picsl_greedy", INSTALL)

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
            As there; the metric is one of greedy (``"NMI"``, ``"NCC 2x2x2"``):
            NMI for rigid, NCC otherwise by default. The finest level is the
            lattice of the fixed image. A given start that is not rigid is only
            deformed further.

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
            start = _matrix(
                self.register(
                    fixed,
                    moving,
                    kind="affine",
                    start=start,
                    fixed_mask=fixed_mask,
                    moving_mask=moving_mask,
                    threads=threads,
                    seed=seed,
                )
            )
        first, image = foreign.placed(fixed, moving, start)
        images: dict[str, Any] = {
            "fixed": _itk(foreign.masked(fixed, None)),
            "moving": _itk(foreign.masked(moving, moving_mask, image.grid)),
        }
        mask = ""
        if fixed_mask is not None:
            images["inside"] = _itk(Volume(fixed_mask.astype(np.float32), fixed.grid))
            mask = "-gm inside"
        if kind == "deformable":
            cost = metric if metric != "auto" else "NCC 2x2x2"
            found = _run(
                f"-i fixed moving {mask} -m {cost} -n {self.rounds} -s 1.732vox 0.707vox "
                "-o warp -oinv back",
                threads,
                images,
                warp=None,
                back=None,
            )
            there, back = _field(found["warp"]), _field(found["back"])
            settings = {"Kind": kind, "Metric": cost, "Rounds": self.rounds}
            return foreign.field_result(
                self.name,
                self.version,
                fixed,
                moving,
                first,
                there,
                back,
                fixed_mask,
                settings,
                threads=threads,
            )
        cost = metric if metric != "auto" else "NMI" if kind == "rigid" else "NCC 2x2x2"
        options = f"-i fixed moving {mask} -m {cost} -n {self.linear_rounds} -ia-identity"
        whole = first
        for freedom in (6,) if kind == "rigid" else (6, 12):
            # What is known so far goes into the header, as the start did.
            _, image = foreign.placed(fixed, moving, whole)
            images["moving"] = _itk(foreign.masked(moving, moving_mask, image.grid))
            found = _run(f"{options} -a -dof {freedom} -o matrix", threads, images, matrix=None)
            step = _rigid(found["matrix"]) if freedom == 6 else _affine(found["matrix"])
            both = compose(whole, step)
            assert isinstance(both, Affine)
            whole = both
        settings = {"Kind": kind, "Metric": cost, "Rounds": self.linear_rounds}
        return foreign.linear_result(
            self.name, self.version, fixed, moving, first, whole, fixed_mask, settings, seed=seed
        )


def _run(options: str, threads: int, images: dict[str, Any], **more: Any) -> dict[str, Any]:
    program = importlib.import_module("picsl_greedy").Greedy3D()
    words = io.StringIO()
    try:
        program.execute(f"-threads {threads} {options}", out=words, err=words, **images, **more)
        return {name: program[name] for name, value in more.items() if value is None}
    except Exception as no:
        raise foreign.failed("greedy", f"{words.getvalue()}\n{no}") from no


def _matrix(found: Registration) -> Affine:
    assert isinstance(found.transform, Affine)
    return found.transform


def _affine(matrix: Any) -> Affine:
    out = np.array(matrix, dtype=np.float64)
    out[3] = [0.0, 0.0, 0.0, 1.0]
    return Affine(out)


def _rigid(matrix: Any) -> Affine:
    m = np.asarray(matrix, dtype=np.float64)
    u, _, vt = np.linalg.svd(m[:3, :3])
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = u @ vt, m[:3, 3]
    return as_transform(out)


def _itk(volume: Volume) -> Any:
    sitk: Any = importlib.import_module("SimpleITK")
    image = sitk.GetImageFromArray(np.asarray(volume.values, dtype=np.float32).transpose(2, 1, 0))
    size = np.asarray(volume.grid.voxel_size)
    image.SetSpacing(size.tolist())
    image.SetOrigin((_LPS * volume.grid.affine[:3, 3]).tolist())
    image.SetDirection((_LPS[:, None] * volume.grid.affine[:3, :3] / size).ravel().tolist())
    return image


def _field(image: Any) -> Warp:
    sitk: Any = importlib.import_module("SimpleITK")
    values = np.asarray(sitk.GetArrayFromImage(image), dtype=np.float64).transpose(2, 1, 0, 3)
    direction = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine = np.eye(4)
    affine[:3, :3] = _LPS[:, None] * direction
    affine[:3, 3] = _LPS * np.array(image.GetOrigin())
    shape = values.shape
    return Warp(values * _LPS, Grid((shape[0], shape[1], shape[2]), affine))
