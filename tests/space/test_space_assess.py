"""Numbers and pictures that say whether a registration can be trusted."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from ekbom.errors import Refused
from ekbom.space import Grid, Volume, template
from ekbom.space.assess import robust_z
from ekbom.space.handed import handedness, mirror_in
from ekbom.space.io import read_header
from ekbom.space.pictures import lines, outlined
from ekbom.space.pose import brain_points, covered, linear_part, turn
from ekbom.space.quality import dice, single_peak
from ekbom.space.tissue import classify
from ekbom.space.transform import Affine, Rigid, world_points
from ekbom.space.upright import upright


@pytest.fixture(scope="module")
def head():
    return template(4.0)


def test_tissue_by_brightness_under_shading(head):
    slope = np.linspace(-1, 1, head.grid.shape[1])[None, :, None]
    t1 = np.asarray(head.t1, dtype=float) * np.exp(0.3 * slope)
    found = classify(t1, head.brain)
    assert dice(found.grey > 0.5, head.grey_mask & head.brain) > 0.8
    assert np.allclose((found.fluid + found.grey + found.white)[head.brain], 1.0)


def test_a_head_with_swapped_axes_is_seen(head):
    fixed = Volume(np.asarray(head.t1, dtype=float), head.grid)
    assert not upright(fixed, fixed, np.asarray(head.brain)).doubtful
    swap = np.eye(4)[[1, 2, 0, 3]]
    turned = Volume(fixed.values, Grid(head.grid.shape, swap @ head.grid.affine))
    found = upright(fixed, turned, np.asarray(head.brain))
    assert found.doubtful
    assert found.angle > 90


def test_turn_linear_part_and_coverage_by_hand(head):
    points = brain_points(head.grid, np.asarray(head.brain))
    pose = Rigid.of([np.radians(20.0), 0, 0, 3, 4, 5])
    assert turn(pose, points) == pytest.approx(20.0)
    assert np.allclose(linear_part(pose, points).matrix, pose.matrix, atol=1e-9)
    assert covered(pose, brain_points(head.grid, head.brain), head.grid) > 0.9
    away = Rigid.of([0, 0, 0, 500, 0, 0])
    assert covered(away, brain_points(head.grid, head.brain), head.grid) == 0.0


def test_the_plane_of_the_template_mirrors_itself_and_tells_the_side(head):
    points = brain_points(head.grid, np.asarray(head.brain))
    pose = Rigid.of([0.2, 0.1, -0.1, 8, 5, -10])
    mirror = mirror_in(pose, points)
    assert np.allclose(mirror.matrix @ mirror.matrix, np.eye(4), atol=1e-9)
    middle = pose.points([[0.0, 10.0, 20.0]])
    assert np.allclose(mirror.points(middle), middle, atol=1e-6)
    lesion = ((world_points(head.grid) - [45.0, -10, 25]) ** 2).sum(-1) < 20**2
    t1, pet = (
        Volume(np.where(lesion, 0.15, np.asarray(v, dtype=float)), head.grid)
        for v in (head.t1, head.grey + 0.25 * head.white)
    )
    still = Affine(np.eye(4))
    plane = mirror_in(still, points)
    brain = np.asarray(head.brain)
    assert handedness(t1, pet, still, plane, fixed_mask=brain).verdict == "same"
    flipped = Volume(pet.values[::-1], pet.grid)
    assert handedness(t1, flipped, still, plane, fixed_mask=brain).verdict == "mirrored"


def test_outliers_and_peaks_by_hand():
    values = robust_z(np.array([1.0, 2.0, 3.0, 4.0, 100.0]))
    assert values[-1] == pytest.approx(0.6745 * 97)
    assert np.isnan(robust_z(np.array([1.0, 2.0]))).all()
    assert single_peak(np.array([[0.0, 1.0, 0.5]]))
    assert not single_peak(np.array([[0.0, 1.0, 2.0]]))
    assert not single_peak(np.array([[0.0, 1.0, 0.5, 0.7, 0.0]]))


def test_pictures_are_the_same_bytes_for_the_same_image(head):
    image = np.asarray(head.t1, dtype=float)
    one = outlined(image, head.grey_mask, head.grid)
    assert one == outlined(image, head.grey_mask, head.grid)
    assert one.startswith(b"\x89PNG")
    drawn = lines([("Turns", "degrees", [("x", np.arange(3.0))])], np.arange(3.0), "min")
    assert b"Turns (degrees)" in drawn


def test_doubtful_headers_are_read_when_told_how(tmp_path):
    image = nib.Nifti1Image(np.ones((3, 4, 5), np.float32), np.diag([2.0, 2, 2, 1]))
    image.set_sform(image.affine, code=0)
    image.set_qform(image.affine, code=0)
    image.header.set_xyzt_units("mm")
    nib.save(image, tmp_path / "lost.nii")
    with pytest.raises(Refused):
        read_header(tmp_path / "lost.nii")
    assert read_header(tmp_path / "lost.nii", assume_affine=True).notes
    image.set_sform(np.diag([2.0, 2, 2, 1]), code=1)
    apart = np.diag([2.0, 2, 2, 1])
    apart[0, 3] = 5.0
    image.set_qform(apart, code=1)
    nib.save(image, tmp_path / "two.nii")
    assert read_header(tmp_path / "two.nii", trust="qform").grid.affine[0, 3] == 5.0
    assert read_header(tmp_path / "two.nii", trust="sform").grid.affine[0, 3] == 0.0
