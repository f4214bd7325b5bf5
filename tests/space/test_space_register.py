"""Our own registration: derivative, known transforms found again, refusals, a real brain."""

from __future__ import annotations

import numpy as np
import pytest

from ekbom.errors import Refused
from ekbom.space import Grid, Volume, template
from ekbom.space.io import read_volume
from ekbom.space.register import Registrar, backend, backends, base
from ekbom.space.register.linear import Metric, _step, pyramid, scatter
from ekbom.space.transform import Affine, Rigid, compose
from ekbom.space.warp import warp


@pytest.fixture(scope="module")
def head():
    t = template(4.0)
    return t, Volume(t.t1.astype(float), t.grid)


def other_contrast(t, true):
    """Grey bright, white darker, moved: the moving image of a fixed T1."""
    image = t.grey.astype(float) + 0.25 * t.white
    moved = np.nan_to_num(warp(image, t.grid, t.grid, true.inverse()))
    noise = np.random.default_rng(0).normal(scale=0.05, size=moved.shape)
    return Volume(moved + noise, t.grid)


def apart(t, a, b):
    points = t.grid.to_world(np.argwhere(t.brain)[::50])
    return float(np.linalg.norm(a.points(points) - b.points(points), axis=-1).max())


def test_derivative_is_that_of_the_metric(head):
    t, still = head
    moving = other_contrast(t, Rigid.of([0.05, 0, 0.1, 2, 1, 0]))
    fixed, moved = (pyramid(v, t.brain, [8.0])[0] for v in (still, moving))
    metric = Metric(fixed, moved, 4000, 1, np.array([0.0, -20, 5]))
    at = np.eye(4)
    at[:3] += np.random.default_rng(5).normal(scale=[[0.01] * 3 + [1.0]] * 3)
    value, slope = metric.value_and_slope(at)
    assert value == metric.value(Affine(at))
    for i in range(3):
        for j in range(4):
            h = 1e-4 if j == 3 else 1e-6
            ends = []
            for sign in (1, -1):
                change = np.zeros((4, 4))
                change[i, j] = sign * h
                # Entries act on (point - centre): the centre itself stays.
                change[i, 3] -= 0 if j == 3 else change[i, j] * metric.centre[j]
                ends.append(metric.value(Affine(at + change)))
            # Trilinear images have kinks, and points leave the mask: 5 %.
            numeric = (ends[0] - ends[1]) / (2 * h)
            assert slope[i, j] == pytest.approx(
                numeric, rel=0.05, abs=0.02 * np.abs(slope[:, j]).max()
            )


@pytest.mark.parametrize("size", [6, 12])
def test_derivative_of_a_step_is_that_of_its_matrix(size):
    centre = np.array([3.0, -20.0, 8.0])
    p = np.random.default_rng(size).normal(scale=12.0, size=size)
    _, rates = _step(p, centre)
    others = [k for k in range(size) if k not in (3, 4, 5)]
    assert len(rates) == len(others)
    for rate, k in zip(rates, others, strict=True):
        h = np.zeros(size)
        h[k] = 1e-4
        numeric = (_step(p + h, centre)[0] - _step(p - h, centre)[0])[:3, :3] / 2e-4
        np.testing.assert_allclose(rate, numeric, atol=1e-9)


@pytest.mark.parametrize(
    ("turn", "shift"),
    [((0, 0, 0), (0, 0, 0)), ((10, -8, 9), (6, -12, 9)), ((-15, 0, 4), (0, 18, -8))],
)
def test_known_rigid_is_found(head, turn, shift):
    t, still = head
    true = Rigid.of([*np.radians(turn), *shift])
    found = backend().register(still, other_contrast(t, true), kind="rigid", fixed_mask=t.brain)
    assert isinstance(found.transform, Rigid)
    assert apart(t, found.transform, true) < 0.7  # voxels of 4 mm
    assert found.value > 1.0
    assert found.value >= found.value_start
    assert apart(t, compose(found.transform, found.inverse), Rigid(np.eye(4))) < 1e-9


def test_known_affine_is_found_and_the_bytes_are_the_same(head):
    t, still = head
    true = Affine([[1.06, 0.03, 0, 3], [-0.02, 0.95, 0.05, -4], [0, -0.05, 1.03, 5], [0, 0, 0, 1]])
    moving = other_contrast(t, true)
    found = [backend().register(still, moving, kind="affine", fixed_mask=t.brain) for _ in range(2)]
    assert apart(t, found[0].transform, true) < 1.5
    np.testing.assert_array_equal(found[0].transform.matrix, found[1].transform.matrix)


def test_same_image_stays(head):
    t, still = head
    found = backend().register(still, still, kind="rigid", start="header")
    assert apart(t, found.transform, Rigid(np.eye(4))) < 0.05


def test_a_given_start_is_used(head):
    t, still = head
    true = Rigid.of([0, 0, np.radians(60), 0, 0, 0])
    moving = other_contrast(t, true)
    start = Rigid.of([0, 0, np.radians(55), 2, 0, 0])
    found = backend().register(still, moving, kind="rigid", start=start, fixed_mask=t.brain)
    assert apart(t, found.transform, true) < 0.7


def test_scatter_fills_the_mask():
    mask = np.zeros((20, 20, 20), np.uint8)
    mask[5:15, 3:18, 8:12] = 1
    index = scatter(mask, 2000, 3)
    assert mask[tuple(np.round(index).astype(int).T)].all()
    assert len(index) == pytest.approx(2000, rel=0.1)
    np.testing.assert_allclose(index.mean(axis=0), [9.5, 10, 9.5], atol=0.2)


def test_refusals(head):
    t, still = head
    with pytest.raises(Refused, match="no registration backend") as no:
        backend("nonesuch")
    assert "numba" in str(no.value)
    with pytest.raises(Refused, match="cannot do"):
        backend("numba", "wavy")
    with pytest.raises(Refused, match="metric"):
        backend().register(still, still, kind="rigid", metric="ssd")
    with pytest.raises(Refused, match="fewer than two"):
        backend().register(still, still, kind="rigid", fixed_mask=np.zeros(t.grid.shape, bool))
    far = Grid(t.grid.shape, t.grid.affine + np.array([[0, 0, 0, 900.0]] + [[0.0] * 4] * 3))
    with pytest.raises(Refused, match="no better than at the start"):
        backend().register(still, Volume(still.values, far), kind="rigid", start="header")


def test_entry_points_add_backends(monkeypatch):
    class Other:
        name, version, can = "other", "2", frozenset({"deformable"})

        def register(self, *_: object, **__: object) -> None: ...

    class Entry:
        name = "other"

        def load(self):
            return Other

    monkeypatch.setattr(
        base, "entry_points", lambda group: [Entry()] if group == base.GROUP else []
    )
    assert sorted(backends()[:-1]) == ["ants", "dipy", "greedy", "niimath", "numba"]
    assert backends()[0] == "numba"
    assert backends()[-1] == "other"
    assert backend("other", "deformable").version == "2"
    assert isinstance(backend("other", "deformable"), Registrar)


@pytest.mark.real_data
def test_real_brain_to_the_template(shared_data):
    t = template(4.0)
    folder = shared_data / "colin27"
    t1, labels = read_volume(folder / "ch2.nii.gz"), read_volume(folder / "aal.nii.gz")
    coarse = Grid(
        (91, 109, 91),
        np.array([[2.0, 0, 0, -90], [0, 2, 0, -126], [0, 0, 2, -72], [0, 0, 0, 1]]),
    )
    t1 = Volume(warp(t1.values, t1.grid, coarse, Rigid(np.eye(4))), coarse)
    pose = Rigid.of([*np.radians([12, -8, 10]), 8, -15, 10])
    moved = Volume(t1.values, Grid(coarse.shape, pose.inverse().matrix @ coarse.affine))
    found = backend().register(
        Volume(t.t1.astype(float), t.grid), moved, kind="affine", fixed_mask=t.brain, resolution=4.0
    )
    # Grey matter of the template against all grey-matter regions drawn on this brain.
    back = compose(pose, found.transform)
    grey = t.grey_mask
    dice = []
    for transform in (Rigid(np.eye(4)), back):
        there = warp(labels.values, labels.grid, t.grid, transform, interpolation="label") > 0
        dice.append(2 * (there & grey).sum() / (there.sum() + grey.sum()))
    # Better than the published pose of this brain, which is already near the template.
    assert dice[1] > dice[0] > 0.6
    assert apart(t, back, Rigid(np.eye(4))) < 8
