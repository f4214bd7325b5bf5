"""A small study in native space: heads with their own place, PET and T1w apart."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np

from ekbom import virtual
from ekbom.space import template
from ekbom.space.transform import Rigid

PLAN = """
[measures.pet]
tracer = "diprenorphine"
model = ["ma1"]
tstar = 20
figures = false

[measures.pet.maps]
model = ["ma1"]
outcome = ["VT"]

[space]
resolution = 4
fwhm = 8
warp = "affine"
warp_resolution = 4
motion = false
"""


def make_native(root: Path, plan: str = PLAN, people: int = 1) -> Path:
    """Turn a study that was simulated on the template into one of heads in scanners."""
    virtual.make("smoke", root, size="quick", seed=3, subjects=people)
    shutil.rmtree(root / "derivatives" / "truth")
    sim = root / "derivatives" / "ekbom-sim"
    head = template(4.0)
    rng = np.random.default_rng(0)
    for k, folder in enumerate(sorted(root.glob("sub-*"))):
        label = folder.name
        own = sim / label / "pet"
        if k == 0:
            for path in own.glob("*desc-sim_dseg.*"):
                shutil.move(path, sim / path.name.replace(label, f"tpl-{head.space}", 1))
        shutil.rmtree(sim / label)
        move(folder / "pet" / f"{label}_pet.nii.gz", Rigid.of([0.1, -0.06, 0.08, 5, -7, 9]))
        anat = folder / "anat"
        anat.mkdir()
        # A lesion, so that there is a side to be told.
        t1 = np.asarray(head.t1, dtype=np.float32) + rng.normal(scale=0.01, size=head.t1.shape)
        image = nib.Nifti1Image(t1.astype(np.float32), head.grid.affine)
        image.header.set_xyzt_units("mm")
        nib.save(image, anat / f"{label}_T1w.nii.gz")
        move(anat / f"{label}_T1w.nii.gz", Rigid.of([-0.12, 0.05, -0.1, -4, 6, 3]))
    (root / "code" / "plan.toml").write_text(plan)
    return root


def move(path: Path, pose: Rigid) -> None:
    """Place a head elsewhere in the scanner, by its header."""
    image = nib.load(path)
    affine = pose.matrix @ image.affine
    moved = nib.Nifti1Image(np.asarray(image.dataobj, dtype=np.float32), affine)
    moved.set_sform(affine, code=1)
    moved.set_qform(affine, code=1)
    moved.header.set_xyzt_units("mm", "sec")
    nib.save(moved, path)
