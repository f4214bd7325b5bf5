"""Fifteen made patients whose binding falls with severity in one region.

    python make.py FOLDER
    ekbom infer FOLDER/list.tsv FOLDER/out --model "~ irls" --test irls --space simulated \
        --settings FOLDER/settings.toml --unit mL/cm3 --outcome "V_T"

Maps of 3 mm in an ellipsoid the size of a brain, noise of 9 mm FWHM, V_T about 20. In a
sphere of 12 mm the value falls with the score, so that their true correlation is -0.65 at
its centre. The search volume of the settings is a sphere of 15 mm around another point,
6 mm away, as an atlas would place it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.ndimage import gaussian_filter

N, MM, FWHM, RADIUS, RHO = 15, 3.0, 9.0, 12.0, -0.65
SHAPE, CENTRE = (49, 59, 49), (9.0, -18.0, 6.0)
SETTINGS = """\
method = "tfce"
permutations = 5000
seed = 1
volumes = [{ name = "thalamus", centre = [12, -15, 9], radius = 15 }]
"""


def main(folder: Path) -> None:
    """Write maps, list and settings."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(20)
    affine = np.diag([MM, MM, MM, 1.0])
    affine[:3, 3] = [-(s - 1) / 2 * MM for s in SHAPE]
    mm = np.moveaxis(np.indices(SHAPE), 0, -1) * MM + affine[:3, 3]
    brain = (np.square(mm / [66.0, 82.0, 66.0]).sum(axis=-1) < 1).astype(float)
    away = np.sqrt(np.square(mm - CENTRE).sum(axis=-1))
    weight = np.clip(1.5 - away / RADIUS, 0.0, 1.0)
    score = rng.integers(12, 39, N).astype(float)
    slope = (score - score.mean()) / score.std(ddof=1) * RHO / np.sqrt(1 - RHO**2)
    lines = ["participant_id\tmap\tirls"]
    for i in range(N):
        noise = gaussian_filter(rng.standard_normal(SHAPE), FWHM / MM / 2.3548)
        noise /= noise[brain > 0].std()
        data = (20.0 + 2.0 * (noise + weight * slope[i])) * brain
        nib.Nifti1Image(data.astype(np.float32), affine).to_filename(folder / f"sub-{i:02d}.nii.gz")
        lines.append(f"sub-{i:02d}\tsub-{i:02d}.nii.gz\t{score[i]:g}")
    (folder / "list.tsv").write_text("\n".join(lines) + "\n")
    (folder / "settings.toml").write_text(SETTINGS)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
