"""Maps of many people as rows of a matrix."""

from __future__ import annotations

import numpy as np
import pytest

from ekbom.errors import Refused
from ekbom.space import Grid, Volume, checks
from ekbom.space.io import nifti_bytes, read_stack
from ekbom.space.stack import stack

GRID = Grid((2, 3, 2), np.diag([2.0, 2, 2, 1]))


def maps(n=3, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=GRID.shape) for _ in range(n)]


def test_only_voxels_with_a_value_in_all_maps():
    a, b, c = maps()
    a[0, 0, 0] = np.nan
    b[0, 0, 0] = np.nan
    b[1, 2, 1] = np.inf
    for image in (a, b, c):
        image[0, 1, 0] = 0.0
    a[1, 0, 0] = b[1, 0, 0] = c[1, 0, 0] = np.nan
    out = stack([Volume(x, GRID) for x in (a, b, c)])
    assert (out.tally.considered, out.tally.missing) == (11, 2)
    assert (out.tally.constant, out.tally.kept) == (1, 8)
    assert out.tally.alone == (0, 1, 0)
    assert out.values.shape == (3, 8)
    for row, image in zip(out.values, (a, b, c), strict=True):
        assert np.array_equal(row, image[out.mask])
        back = out.image(row)
        assert np.array_equal(back[out.mask], image[out.mask])
        assert np.isnan(back[~out.mask]).all()
    assert "8 of 11 voxels" in out.tally.words()


def test_a_mask_says_what_is_considered():
    mask = np.zeros(GRID.shape)
    mask[0] = 1
    out = stack([Volume(x, GRID) for x in maps()], Volume(mask, GRID))
    assert out.tally.considered == out.tally.kept == 6
    assert not out.mask[1].any()


def test_other_grids_and_nothing_left_are_refused():
    a, b, _ = maps()
    other = Grid(GRID.shape, np.diag([2.0, 2, 2.1, 1]))
    with pytest.raises(Refused) as no:
        stack([Volume(a, GRID), Volume(b, other)], names=["a.nii", "b.nii"])
    assert no.value.what == checks.GRIDS_DIFFER.what
    assert no.value.file == "b.nii"
    for empty in (np.full(GRID.shape, np.nan), np.full(GRID.shape, 2.0)):
        with pytest.raises(Refused) as no:
            stack([Volume(a, GRID), Volume(empty, GRID)], names=["a.nii", "b.nii"])
        assert (no.value.what, no.value.file) == (checks.EMPTY_MAP.what, "b.nii")
    left, right = a.copy(), b.copy()
    left[0], right[1] = np.nan, np.nan
    with pytest.raises(Refused) as no:
        stack([Volume(left, GRID), Volume(right, GRID)])
    assert no.value.what == checks.EMPTY_MASK.what
    with pytest.raises(Refused):
        stack([])


def test_files_are_read_and_brought_to_a_grid_when_asked(tmp_path):
    paths = []
    for k, image in enumerate(maps()):
        paths.append(tmp_path / f"{k}.nii.gz")
        paths[-1].write_bytes(nifti_bytes(image, GRID.affine))
    out = read_stack(paths)
    assert np.allclose(out.values, np.stack(maps()).reshape(3, -1), atol=1e-6)
    fine = GRID.with_resolution(1)
    moved = read_stack(paths, grid=fine)
    assert moved.grid == fine
    assert np.allclose(moved.image(moved.values[0])[::2, ::2, ::2], maps()[0], atol=1e-6)
