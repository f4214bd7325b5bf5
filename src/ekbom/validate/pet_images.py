"""Maps of V_T through the whole run, voxel by voxel, against what the scanner sees of the truth.

People of the demo's design are simulated as images with blood samples, `ekbom run` makes
their maps, and the maps are held to the true V_T blurred as the scanner blurs. A slope of
1 means that differences between voxels come out at their size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from ekbom import virtual
from ekbom.space.smooth import smooth
from ekbom.space.template import SPACE, Template, template
from ekbom.study.run import run_study
from ekbom.validate.result import Check
from ekbom.virtual.anatomy import blur

Array = NDArray[np.float64]

#: Noise of a grey voxel in the last frame: none, and the design's.
NOISE = (0.0, 0.08)
#: Gate of the slope in grey matter.
SLOPE = (0.97, 1.03)
_FWHM = 8.0
_PLAN = """
[measures.pet]
model = ["ma1"]
tstar = 20
vB = 0.05
parent = "auto"
figures = false

[measures.pet.maps]
model = ["ma1"]
outcome = ["VT"]

[space]
fwhm = 0
"""


@dataclass(frozen=True)
class Fitness:
    """How a map goes with the truth, over the voxels of a mask.

    Parameters
    ----------
    slope, r : float
        Of the least-squares line of the map on the truth, and the correlation.
    bias, rmse : float
        Median relative error, and root of the mean squared one, %.
    """

    slope: float
    r: float
    bias: float
    rmse: float


def fitness(found: Array, true: Array, mask: NDArray[np.bool_]) -> Fitness:
    """Compare a map with the truth.

    Parameters
    ----------
    found, true : (X, Y, Z) array
        Same unit.
    mask : (X, Y, Z) array of bool
        Voxels to compare; those without a value are left out.

    Returns
    -------
    Fitness
        Over these voxels.
    """
    use = mask & np.isfinite(found) & (true > 0)
    x, y = true[use], found[use]
    dx, dy = x - x.mean(), y - y.mean()
    relative = y / x - 1.0
    return Fitness(
        float(dx @ dy / (dx @ dx)),
        float(dx @ dy / math.sqrt((dx @ dx) * (dy @ dy))),
        100.0 * float(np.median(relative)),
        100.0 * float(np.sqrt(np.mean(relative**2))),
    )


def validate_images(
    *,
    people: int = 4,
    seed: int = 1,
    noise: Sequence[float] = NOISE,
    bias_map: Path | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> list[Check]:
    """Simulate images, run them, and compare the maps with the truth.

    Parameters
    ----------
    people : int
        Scans at each noise.
    seed : int
        Of the study.
    noise : sequence of float
        Coefficient of variation of a grey voxel in the last frame.
    bias_map : Path, optional
        File for the mean relative error of each voxel at the last noise, %.
    tell : callable, optional
        Told what is being done.

    Returns
    -------
    list of Check
        Slope (gate), r, bias and RMSE in grey matter, as they are and after a filter of
        8 mm on map and truth alike; errors are those over people.
    """
    base, checks = template(4.0), []
    for cov in noise:
        tell(f"images of {people} people, noise {100 * cov:g} %")
        with TemporaryDirectory() as place:
            pairs = _maps(Path(place), people, seed, cov, base)
        stem = f"images, noise {100 * cov:g} %"
        plain = [fitness(found, true, base.grey_mask) for found, true in pairs]
        wide = [
            fitness(_smooth(found, base), _smooth(true, base), base.grey_mask)
            for found, true in pairs
        ]
        for word, rows in ((stem, plain), (f"{stem}, filter {_FWHM:g} mm", wide)):
            checks += _checks(word, rows, people, gated=rows is plain)
    if bias_map is not None and noise:
        error = np.mean([found / np.maximum(true, 1e-9) - 1.0 for found, true in pairs], axis=0)
        image = np.where(base.brain, 100.0 * error, 0.0).astype(np.float32)
        bias_map.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(image, base.grid.affine), bias_map)
    return checks


def _maps(
    place: Path, people: int, seed: int, cov: float, base: Template
) -> list[tuple[Array, Array]]:
    """Return found and blurred true V_T of each person."""
    design = virtual.load("demo", {"scanner.noise_cov": cov})
    made = virtual.make(design, place / "raw", size="quick", seed=seed, subjects=people)
    plan = place / "plan.toml"
    plan.write_text(_PLAN)
    run_study(made.root, place / "out", "participant", plan)
    out = []
    for label in made.participants["participant_id"]:
        stem = f"{label}/pet/{label}_space-{SPACE}"
        found = nib.load(place / "out" / f"{stem}_desc-ma1_VT_mimap.nii.gz").get_fdata()
        true = nib.load(
            made.root / "derivatives" / "truth" / f"{stem}_desc-truth_VT.nii.gz"
        ).get_fdata()
        out.append((found, blur(true, design.scanner.psf_fwhm_mm, base.grid)))
    return out


def _smooth(image: Array, base: Template) -> Array:
    return smooth(image, base.grid.voxel_size, _FWHM, base.brain)


def _checks(word: str, rows: list[Fitness], people: int, gated: bool) -> list[Check]:
    out = []
    for name, unit, what in (
        ("slope", "1", "slope of V_T on the truth, grey matter"),
        ("r", "1", "r with the truth"),
        ("bias", "%", "median error of a voxel"),
        ("rmse", "%", "root mean square error of a voxel"),
    ):
        value = np.array([getattr(row, name) for row in rows])
        error = float(value.std(ddof=1) / math.sqrt(value.size)) if value.size > 1 else math.nan
        low, high = SLOPE if name == "slope" and gated else (math.nan, math.nan)
        out.append(Check(f"{word}: {what}", float(value.mean()), people, unit, low, high, error))
    return out
