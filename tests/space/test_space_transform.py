"""Transforms: closed forms, round trips, files read by another program."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ekbom.errors import Refused
from ekbom.space.grid import Grid
from ekbom.space.transform import (
    Affine,
    Chain,
    Rigid,
    Warp,
    as_transform,
    compose,
    jacobian,
    round_trip,
    world_points,
)
from ekbom.space.transforms_io import (
    field_image_bytes,
    itk_text_bytes,
    read_transform,
    write_itk_h5,
    write_x5,
)

RNG = np.random.default_rng(3)
POINTS = RNG.uniform(-70, 70, (200, 3))
SHEARED = Affine([[1.1, 0.1, 0, 3], [0.02, 0.9, -0.1, -7], [0.05, 0, 1.05, 11], [0, 0, 0, 1]])
angle = st.floats(-1.2, 1.2)
shift = st.floats(-40, 40)


def sine(a, k, n=41, step=2.0):
    grid = Grid((n, 5, 5), np.diag([step, step, step, 1.0]))
    field = np.zeros((*grid.shape, 3))
    field[..., 0] = a * np.sin(k * world_points(grid)[..., 0])
    return Warp(field, grid)


def smooth_field():
    grid = Grid(
        (20, 22, 18), np.array([[-4.0, 0, 0, 38], [0, 4, 0, -40], [0, 0, 4, -30], [0, 0, 0, 1]])
    )
    place = world_points(grid)
    window = np.prod(
        [
            np.sin(np.pi * np.arange(n) / (n - 1)).reshape(s)
            for n, s in zip(grid.shape, [(-1, 1, 1), (1, -1, 1), (1, 1, -1)], strict=True)
        ][0:1],
        axis=0,
    )
    for n, s in ((22, (1, -1, 1)), (18, (1, 1, -1))):
        window = window * np.sin(np.pi * np.arange(n) / (n - 1)).reshape(s)
    field = (
        np.stack(
            [
                3 * np.sin(place[..., 1] / 15),
                2 * np.cos(place[..., 2] / 12),
                3 * np.sin(place[..., 0] / 14),
            ],
            -1,
        )
        * window[..., None]
    )
    return Warp(field, grid)


def test_quarter_turns_by_hand():
    q = np.pi / 2
    for k, (start, end) in enumerate(
        (([0, 1, 0], [0, 0, 1]), ([0, 0, 1], [1, 0, 0]), ([1, 0, 0], [0, 1, 0]))
    ):
        p = np.zeros(6)
        p[k] = q
        np.testing.assert_allclose(Rigid.of(p).points(start), end, atol=1e-15)
    # About another centre: the centre stays.
    c = [10.0, -5, 3]
    np.testing.assert_allclose(Rigid.of([0.3, 0.2, -0.5, 0, 0, 0], c).points(c), c, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.tuples(angle, angle, angle, shift, shift, shift))
def test_rigid_parameters_round_trip(p):
    centre = [4.0, -9.0, 20.0]
    rigid = Rigid.of(p, centre)
    np.testing.assert_allclose(rigid.parameters(centre), p, atol=1e-9)
    assert round_trip(rigid, rigid.inverse(), POINTS).max() < 1e-10


def test_chain_is_the_product_and_goes_backwards():
    turn = Rigid.of([0.2, -0.1, 0.4, 5, 6, 7])
    chain = Chain((SHEARED, turn))
    np.testing.assert_allclose(chain.points(POINTS), SHEARED.points(turn.points(POINTS)))
    one = compose(SHEARED, turn)
    assert isinstance(one, Affine)
    assert not isinstance(one, Rigid)
    np.testing.assert_allclose(one.points(POINTS), chain.points(POINTS), atol=1e-11)
    assert isinstance(compose(turn, turn), Rigid)
    assert round_trip(chain, chain.inverse(), POINTS).max() < 1e-10
    mixed = compose(SHEARED, compose(turn, smooth_field()))
    assert [type(p) for p in mixed.parts] == [Affine, Warp]
    np.testing.assert_array_equal(compose().points(POINTS), POINTS)
    assert isinstance(as_transform(turn.matrix), Rigid)
    assert not isinstance(as_transform(SHEARED.matrix), Rigid)


@pytest.mark.parametrize("matrix", [np.ones((4, 4)), np.full((4, 4), np.nan), np.eye(3)])
def test_matrices_that_are_none(matrix):
    with pytest.raises(Refused, match="not an affine"):
        Affine(matrix)


def test_mirror_is_not_rigid():
    with pytest.raises(Refused, match="not a rotation"):
        Rigid(np.diag([-1.0, 1, 1, 1]))


def test_sine_warp_has_its_jacobian_and_inverse():
    a, k = 2.0, 2 * np.pi / 80
    warp = sine(a, k)
    x = world_points(warp.grid)[1:-1, 2, 2, 0]
    # Central differences of a sine are exact up to sinc(k h).
    inside = 1 + a * k * np.cos(k * x) * np.sin(k * 2.0) / (k * 2.0)
    np.testing.assert_allclose(jacobian(warp, warp.grid)[1:-1, 2, 2], inside, atol=1e-12)
    back = warp.inverse()
    assert round_trip(back, warp, world_points(warp.grid)).max() < 0.05
    assert round_trip(warp, back, world_points(warp.grid)[:, 1:-1, 1:-1]).max() < 0.1


def test_fold_is_found():
    k = 2 * np.pi / 20
    with pytest.raises(Refused, match="folds"):
        sine(1.3 / k, k).inverse()
    assert jacobian(sine(0.9 / k, k), sine(1.0, k).grid).min() > 0


def test_warp_checks_itself():
    grid = Grid((3, 3, 3), np.eye(4))
    with pytest.raises(Refused, match="displacement field"):
        Warp(np.zeros((3, 3, 2, 3)), grid)
    with pytest.raises(Refused, match="displacement field"):
        Warp(np.full((3, 3, 3, 3), np.nan), grid)


def test_itk_text_by_hand(tmp_path):
    # Shift of 5 mm to the right (RAS) is -5 in LPS; a turn about z keeps its sign.
    path = tmp_path / "a.txt"
    path.write_bytes(itk_text_bytes(Rigid.of([0, 0, np.pi / 2, 5, 7, 9])))
    line = next(ln for ln in path.read_text().splitlines() if ln.startswith("Parameters"))
    np.testing.assert_allclose(
        np.array(line.split()[1:], float), [0, -1, 0, 1, 0, 0, 0, 0, 1, -5, -7, 9], atol=1e-15
    )
    # A centre of rotation in LPS: c + t + R (x - c).
    path.write_text(
        "#Insight Transform File V1.0\nTransform: AffineTransform_double_3_3\n"
        "Parameters: 0 -1 0 1 0 0 0 0 1 1 2 3\nFixedParameters: 10 20 30\n"
    )
    lps = np.array([1.0, 2.0, 3.0])
    expected = np.array([10 + 1 - (2 - 20), 20 + 2 + (1 - 10), 3 + 3])
    flip = np.array([-1, -1, 1])
    np.testing.assert_allclose(read_transform(path).points(lps * flip), expected * flip)


@pytest.mark.parametrize("ending", ["h5", "x5", "nii.gz", "txt"])
def test_files_round_trip(tmp_path, ending):
    path = tmp_path / f"from-a_to-b_xfm.{ending}"
    if ending == "txt":
        transform = Chain((SHEARED, Rigid.of([0.1, 0.2, 0.3, 4, 5, 6])))
        path.write_bytes(itk_text_bytes(transform))
    elif ending == "nii.gz":
        transform = smooth_field()
        path.write_bytes(field_image_bytes(transform))
    else:
        pytest.importorskip("h5py")
        if ending == "x5":
            pytest.importorskip("nitransforms")
        transform = Chain((SHEARED, smooth_field()))
        (write_itk_h5 if ending == "h5" else write_x5)(transform, path)
    back = read_transform(path)
    np.testing.assert_allclose(back.points(POINTS), transform.points(POINTS), atol=1e-6)
    if ending == "h5":
        write_itk_h5(transform, tmp_path / "again.h5")
        assert (tmp_path / "again.h5").read_bytes() == path.read_bytes()


def test_lta_pushes(tmp_path):
    path = tmp_path / "a.lta"
    rows = "\n".join(" ".join(f"{v:.15e}" for v in row) for row in SHEARED.matrix)
    geometry = (
        "valid = 1\nfilename = a\nvolume = 10 20 30\nvoxelsize = 1 2 3\nxras = -1 0 0\n"
        "yras = 0 0 -1\nzras = 0 1 0\ncras = 1 2 3\n"
    )
    path.write_text(
        f"type = 1\nnxforms = 1\nmean = 0 0 0\nsigma = 1\n1 4 4\n{rows}\n"
        f"src volume info\n{geometry}dst volume info\n{geometry}"
    )
    np.testing.assert_allclose(
        read_transform(path).points(SHEARED.points(POINTS)), POINTS, atol=1e-9
    )
    # Voxel to voxel, unit matrix, same geometry: nothing moves.
    unit = "\n".join("0 " * k + "1" + " 0" * (3 - k) for k in range(4))
    path.write_text(path.read_text().replace("type = 1", "type = 0").replace(rows, unit))
    np.testing.assert_allclose(read_transform(path).points(POINTS), POINTS, atol=1e-9)


def test_itk_reads_the_same(tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    flip = np.array([-1.0, -1.0, 1.0])
    chain = Chain((SHEARED, smooth_field()))
    write_itk_h5(chain, tmp_path / "c.h5")
    (tmp_path / "a.txt").write_bytes(itk_text_bytes(SHEARED))
    inside = POINTS / 3
    for name, mine in (("c.h5", chain), ("a.txt", SHEARED)):
        theirs = sitk.ReadTransform(str(tmp_path / name))
        for point in inside[:20]:
            there = np.array(theirs.TransformPoint((point * flip).tolist())) * flip
            np.testing.assert_allclose(mine.points(point), there, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "nothing"),
        ("a.h5", "nothing"),
        ("a.lta", "x"),
        ("a.x5", "x"),
        ("a.mat", "x"),
        ("a.txt", "Transform: BSpline_double_3_3\nParameters: 1\nFixedParameters: 1\n"),
    ],
)
def test_broken_files_are_refused(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(Refused) as no:
        read_transform(path)
    assert no.value.file == str(path)
