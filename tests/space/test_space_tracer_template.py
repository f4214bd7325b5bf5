"""Template of a tracer: means by hand, refusals, and the way of a scan without a T1."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ekbom.cli.space_template import make_template
from ekbom.errors import Refused
from ekbom.nouns import Inputs, Unit
from ekbom.space import Volume, template
from ekbom.space.finer import finer, finer_mask
from ekbom.space.grid import Grid
from ekbom.space.io import nifti_bytes, read_volume
from ekbom.space.normalise import pet_to_template
from ekbom.space.smooth import gaussian
from ekbom.space.steps.tracer import PETToTemplate, TracerSettings
from ekbom.space.tracer_template import tracer_template
from ekbom.space.transform import Affine, Rigid, compose
from ekbom.space.transforms_io import read_transform
from ekbom.space.warp import warp

SPACE = "MNI152NLin2009aSym"


def _maps(*values: float) -> list[Volume]:
    grid = template(8.0).grid
    return [Volume(np.full(grid.shape, v), grid, "mL/cm3") for v in values]


def test_groups_count_the_same_whatever_their_size():
    maps = _maps(1.0, 1.0, 1.0, 5.0)
    plain = tracer_template(maps, "abcd", fwhm=0.0)
    even = tracer_template(maps, "abcd", ["rls", "rls", "rls", "control"], fwhm=0.0)
    np.testing.assert_allclose(plain.mean.values, 2.0)
    np.testing.assert_allclose(even.mean.values, 3.0)
    assert even.counts == {"control": 1, "rls": 3}
    assert even.mean.unit == "mL/cm3"


def test_voxels_that_fewer_than_half_have_are_missing():
    maps = _maps(1.0, 3.0, 8.0)
    for one in maps[:2]:
        one.values[0, 0, 0] = np.nan
    maps[0].values[1, 1, 1] = np.nan
    found = tracer_template(maps, "abc", fwhm=0.0).mean.values
    assert np.isnan(found[0, 0, 0])
    assert found[1, 1, 1] == pytest.approx(5.5)


def test_maps_that_do_not_belong_together_are_refused():
    one, two = _maps(1.0, 2.0)
    with pytest.raises(Refused, match="at least two"):
        tracer_template([one], ["a"])
    with pytest.raises(Refused, match="units"):
        tracer_template([one, Volume(two.values, two.grid, "1")], ["a", "b"])
    other = Grid(two.grid.shape, two.grid.affine + np.eye(4) * np.array([1, 1, 1, 0]))
    with pytest.raises(Refused):
        tracer_template([one, Volume(two.values, other, "mL/cm3")], ["a", "b"])


def test_command_writes_a_folder_for_the_plan(tmp_path):
    grid = template(8.0).grid
    for k in range(3):
        path = tmp_path / f"sub-0{k}_space-{SPACE}_desc-VT_mimap.nii.gz"
        path.write_bytes(nifti_bytes(np.full(grid.shape, k + 1.0), grid.affine))
    files = sorted(tmp_path.glob("*.nii.gz"))
    table = tmp_path / "participants.tsv"
    table.write_text("participant_id\tgroup\nsub-00\trls\nsub-01\trls\nsub-02\tcontrol\n")
    out = tmp_path / "out"
    assert make_template(out, *files, tracer="x", participants=table, fwhm=0.0) == 0
    np.testing.assert_allclose(read_volume(out / "template.nii.gz").values, 2.25)
    told = json.loads((out / "template.json").read_text())
    assert told["Groups"] == {"control": 1, "rls": 2}
    assert told["Space"] == SPACE
    table.write_text("participant_id\tgroup\nsub-00\trls\n")
    with pytest.raises(Refused, match="no group"):
        make_template(out, *files, tracer="x", participants=table)
    with pytest.raises(Refused, match="more than one map"):
        make_template(out, files[0], files[0], tracer="x")
    odd = tmp_path / "sub-09_desc-VT_mimap.nii.gz"
    odd.write_bytes(files[0].read_bytes())
    with pytest.raises(Refused, match="space of the template"):
        make_template(out, files[0], odd, tracer="x")


@pytest.fixture(scope="module")
def without_t1():
    """A noisy scan of a moved and stretched head, the tracer's template, and the true way."""
    head = template(4.0)
    rng = np.random.default_rng(5)
    uptake = np.asarray(head.grey, dtype=float) + 0.4 * np.asarray(head.white)
    tracer = Volume(gaussian(uptake, head.grid.voxel_size, 10.0), head.grid)
    size = Affine(np.diag([1.04, 0.97, 1.02, 1.0]))
    true = compose(Rigid.of([0.1, -0.06, 0.12, 6, -9, 5], (0, -20, 10)), size)
    image = np.nan_to_num(warp(uptake, head.grid, head.grid, true.inverse()))
    image = gaussian(image, head.grid.voxel_size, 6.0)
    grain = gaussian(rng.normal(size=image.shape), head.grid.voxel_size, 5.0)
    image += 0.05 * image[head.brain].mean() * grain / grain.std()
    return head, tracer, image, true


def test_the_step_of_a_run_takes_the_same_way(without_t1, tmp_path):
    head, tracer, image, true = without_t1
    frames, fixed = tmp_path / "sub-01_desc-mean_pet.nii.gz", tmp_path / "template.nii.gz"
    frames.write_bytes(nifti_bytes(image, head.grid.affine))
    fixed.write_bytes(nifti_bytes(np.asarray(tracer.values), head.grid.affine))
    settings = TracerSettings(template="tracer", seed=3)
    unit = Unit("sub-01")
    done = PETToTemplate().run(Inputs(unit, {"frames": [frames], "tracer": [fixed]}), settings)
    told = next(one for one in done.files if one.name.startswith("from-PET_to-tracer"))
    path = tmp_path / f"{told.name}.txt"
    path.write_bytes(next(iter(told.data.values())))
    points = head.grid.to_world(np.argwhere(head.brain))[::50]
    found = read_transform(path).points(points)
    assert float(np.median(np.sqrt(((found - true.points(points)) ** 2).sum(axis=1)))) < 1.5
    assert [n.code for n in done.notes].count("no-T1w") == 1
    frames.write_bytes(nifti_bytes(image[:, :, :20], head.grid.affine))
    with pytest.raises(Refused) as no:
        PETToTemplate().run(Inputs(unit, {"frames": [frames], "tracer": [fixed]}), settings)
    assert no.value.file == "sub-01"


def test_scan_without_t1_finds_its_way_and_a_cut_one_is_refused(without_t1):
    head, tracer, image, true = without_t1
    found = pet_to_template(
        Volume(image, head.grid), tracer, tracer_mask=np.asarray(head.brain), resolution_mm=4.0
    )
    points = head.grid.to_world(np.argwhere(head.brain))[::50]
    apart = np.sqrt(((found.transform.points(points) - true.points(points)) ** 2).sum(axis=1))
    assert float(np.median(apart)) < 1.5
    assert found.quality["coverage"] > 0.95
    assert any("left and right" in note for note in found.notes)
    part = Grid((50, 59, 20), head.grid.affine)
    with pytest.raises(Refused):
        pet_to_template(
            Volume(image[:, :, :20], part), tracer, tracer_mask=np.asarray(head.brain),
            resolution_mm=4.0, start=found.transform,
        )  # fmt: skip


@pytest.mark.parametrize(("turn", "shift"), [(-40, 30), (35, -25)])
def test_scan_without_t1_in_an_odd_pose(without_t1, turn, shift):
    """The template of a tracer has no value outside the brain; heads lie turned and moved."""
    head, tracer, _, _ = without_t1
    map_ = np.where(head.brain, np.asarray(tracer.values), np.nan)
    rng = np.random.default_rng(7)
    axis = rng.normal(size=3)
    axis *= np.radians(turn) / np.sqrt((axis**2).sum())
    true = Rigid.of([*axis, shift, -shift / 2, shift / 3], (0, -20, 10))
    uptake = np.asarray(head.grey, dtype=float) + 0.4 * np.asarray(head.white)
    wide = Grid((72, 80, 70), head.grid.affine - np.pad([[44.0], [42.0], [46.0]], ((0, 1), (3, 0))))
    image = np.nan_to_num(warp(uptake, head.grid, wide, true.inverse()))
    image = gaussian(image, wide.voxel_size, 6.0)
    grain = gaussian(rng.normal(size=image.shape), wide.voxel_size, 5.0)
    image += 0.1 * image[image > 0.2].mean() * grain / grain.std()
    found = pet_to_template(
        Volume(image, wide), Volume(map_, head.grid), tracer_mask=np.asarray(head.brain),
        resolution_mm=4.0,
    )  # fmt: skip
    points = head.grid.to_world(np.argwhere(head.brain))[::50]
    apart = np.sqrt(((found.transform.points(points) - true.points(points)) ** 2).sum(axis=1))
    assert float(np.quantile(apart, 0.95)) < 3.0
    assert found.quality["coverage"] > 0.95


def test_finer_lattice_keeps_voxels_and_reproduces_a_smooth_image():
    grid = Grid((24, 20, 22), np.diag([4.0, 4.0, 2.0, 1.0]))
    place = grid.to_world(np.moveaxis(np.indices(grid.shape), 0, -1))
    wave = np.sin(place @ np.array([0.12, 0.1, 0.05]))
    out = finer(Volume(wave, grid))
    assert out.grid.shape == (47, 39, 22)
    assert out.grid.voxel_size == pytest.approx((2.0, 2.0, 2.0))
    np.testing.assert_allclose(out.values[::2, ::2], wave, atol=1e-10)
    fine = out.grid.to_world(np.moveaxis(np.indices(out.grid.shape), 0, -1))
    inside = (slice(8, -8), slice(8, -8))
    true = np.sin(fine @ np.array([0.12, 0.1, 0.05]))
    assert np.abs(out.values - true)[inside].max() < 1e-3
    assert finer_mask(wave > 0, grid).shape == out.grid.shape
    small = Volume(wave, Grid(grid.shape, np.diag([2.0, 2.0, 2.0, 1.0])))
    assert finer(small) is small
