"""Registrations that cannot be right are refused, each with its own words."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from ekbom.errors import Refused
from ekbom.measures.pet.native import find_way
from ekbom.measures.pet.settings import PETSettings
from ekbom.nouns import Unit
from ekbom.space import Grid, Volume, checks, template
from ekbom.space.normalise import pet_to_t1, to_template
from ekbom.space.settings import SpaceSettings
from ekbom.space.smooth import gaussian
from ekbom.space.transform import Rigid
from ekbom.study.index import Study


@pytest.fixture(scope="module")
def head():
    t = template(4.0)
    return t, np.asarray(t.t1, dtype=np.float64)


def refused(message, call):
    with pytest.raises(Refused) as no:
        call()
    assert (no.value.what, no.value.expected) == (message.what, message.expected)
    return no.value


def test_a_head_whose_axes_were_swapped(head):
    t, values = head
    turned = Rigid.of([np.pi / 2, 0, 0, 0, 0, 0], (0, -20, 10))
    lying = Volume(values, Grid(t.grid.shape, turned.matrix @ t.grid.affine))
    no = refused(
        checks.WRONG_ORIENTATION,
        lambda: to_template(lying, t, kind="rigid", resolution_mm=4.0, start=turned),
    )
    assert no.found.startswith("90 degrees, axes ")


def test_a_field_of_view_that_misses_half_the_brain(head):
    t, values = head
    top = int(t.grid.to_index(np.array([0.0, 0.0, 15.0]))[2])
    affine = t.grid.affine.copy()
    affine[:3, 3] = t.grid.to_world(np.array([0, 0, top]))
    part = values[:, :, top:]
    cut = Volume(part, Grid(part.shape, affine))
    no = refused(
        checks.BRAIN_CUT,
        lambda: to_template(cut, t, kind="rigid", resolution_mm=4.0, start="header"),
    )
    share = np.asarray(t.brain)[:, :, top:].sum() / t.brain.sum()
    assert abs(float(no.found.split()[0]) - 100 * share) < 6


def test_a_match_that_does_not_see_turns():
    # A ball looks the same from all sides.
    grid = Grid((40, 40, 40), np.diag([4.0, 4.0, 4.0, 1.0]))
    rng = np.random.default_rng(5)
    far = np.sqrt(((np.indices(grid.shape) - 19.5) ** 2).sum(axis=0))
    ball = np.clip(14.0 - far, 0.0, 6.0)
    images = [
        Volume(ball + 0.3 * gaussian(rng.normal(size=ball.shape), grid.voxel_size, 6.0), grid)
        for _ in range(2)
    ]
    no = refused(
        checks.NOT_A_MAXIMUM,
        lambda: pet_to_t1(*images, resolution_mm=4.0, start="header", check_side=False),
    )
    assert no.found.startswith("NMI ")


def test_a_scan_without_any_way_to_the_template(tmp_path):
    told = {"Name": "x", "BIDSVersion": "1.10.0"}
    (tmp_path / "dataset_description.json").write_text(json.dumps(told))
    (tmp_path / "participants.tsv").write_text("participant_id\nsub-01\n")
    image = tmp_path / "sub-01" / "pet" / "sub-01_pet.nii.gz"
    image.parent.mkdir(parents=True)
    nib.save(nib.Nifti1Image(np.ones((4, 4, 4, 2), np.float32), np.eye(4)), image)
    beside = image.parent / "sub-01_pet.json"
    beside.write_text("{}")

    def way(normalise):
        settings = PETSettings(tracer="diprenorphine", space=SpaceSettings(normalise=normalise))
        roles = {"image": [image]}
        return find_way(Unit("sub-01"), Study.open(tmp_path), settings, roles, [beside])

    no = refused(checks.NO_WAY, lambda: way("always"))
    assert no.file == str(image)
    assert no.found == "no T1w image and no transform for sub-01"
    assert way("auto") is None
