"""One contract for every registration backend that is installed; the others are skipped by name."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from ekbom.errors import Refused
from ekbom.space import Volume, template
from ekbom.space.quality import dice
from ekbom.space.register import Registrar, backend, backends
from ekbom.space.smooth import gaussian
from ekbom.space.transform import Affine, Chain, Rigid, Warp, compose, round_trip
from ekbom.space.warp import warp

MODULES = {"greedy": "picsl_greedy", "niimath": "niimath", "dipy": "dipy", "ants": "ants"}
NAMES = ["numba", *MODULES]
KINDS = {
    "numba": {"rigid", "affine", "deformable"},
    "greedy": {"rigid", "affine", "deformable"},
    "niimath": {"rigid", "affine"},
    "dipy": {"rigid", "affine", "deformable"},
    "ants": {"rigid", "affine", "deformable"},
}


def missing(name):
    return name in MODULES and importlib.util.find_spec(MODULES[name]) is None


@pytest.fixture(params=NAMES)
def name(request):
    if missing(request.param):
        pytest.skip(f"backend {request.param} is not installed")
    return request.param


@pytest.fixture(scope="module")
def head():
    t = template(4.0)
    return t, Volume(np.asarray(t.t1, float), t.grid)


def moved(t, true):
    image = np.nan_to_num(warp(t.t1, t.grid, t.grid, true.inverse()))
    return Volume(image + np.random.default_rng(0).normal(scale=0.02, size=image.shape), t.grid)


def apart(t, a, b):
    points = t.grid.to_world(np.argwhere(t.brain)[::50])
    return np.linalg.norm(a.points(points) - b.points(points), axis=-1)


def test_what_it_says_it_can(name):
    made = backend(name)
    assert isinstance(made, Registrar)
    assert made.name == name
    assert made.version
    assert made.can == KINDS[name]
    assert name in backends()


@pytest.mark.parametrize("kind", ["rigid", "affine"])
def test_a_turned_head_is_found(name, head, kind):
    t, still = head
    true = Rigid.of([*np.radians([8, -6, 9]), 6, -9, 5], [0, -20, 10])
    found = backend(name, kind).register(
        still, moved(t, true), kind=kind, fixed_mask=np.asarray(t.brain), threads=2
    )
    assert isinstance(found.transform, Rigid if kind == "rigid" else Affine)
    # Directions and centres are right when this holds; voxels are 4 mm.
    assert apart(t, found.transform, true).max() < 2.0
    assert apart(t, compose(found.transform, found.inverse), Rigid(np.eye(4))).max() < 1e-6
    assert found.value > found.value_start
    assert found.backend == name
    assert found.settings["Kind"] == kind


def test_a_start_is_used(name, head):
    t, still = head
    true = Rigid.of([0, 0, np.radians(65), 10, 0, 0], [0, -20, 10])
    start = Rigid.of([0, 0, np.radians(60), 12, 0, 0], [0, -20, 10])
    found = backend(name, "affine").register(
        still, moved(t, true), kind="affine", start=start, fixed_mask=np.asarray(t.brain)
    )
    assert apart(t, found.transform, true).max() < 2.5


def test_a_bent_head_is_found(name, head):
    if "deformable" not in KINDS[name]:
        with pytest.raises(Refused, match="cannot do"):
            backend(name, "deformable")
        return
    t, still = head
    rng = np.random.default_rng(2)
    field = np.stack(
        [gaussian(rng.normal(size=t.grid.shape), t.grid.voxel_size, 45.0) for _ in range(3)], -1
    )
    psi = Warp(field * 12.0 / np.sqrt((field**2).sum(axis=-1)).max(), t.grid)
    image = Volume(np.nan_to_num(warp(t.t1, t.grid, t.grid, psi)), t.grid)
    grey = np.nan_to_num(warp(t.grey, t.grid, t.grid, psi))
    # A start that is not rigid is only deformed further.
    start = Affine(np.diag([1.001, 1.0, 1.0, 1.0]))
    found = backend(name, "deformable").register(
        still, image, kind="deformable", start=start, fixed_mask=np.asarray(t.brain),
        resolution=4.0, threads=2,
    )  # fmt: skip
    assert isinstance(found.transform, Chain)
    before = dice(grey > 0.5, t.grey_mask)
    after = dice(np.nan_to_num(warp(grey, t.grid, t.grid, found.transform)) > 0.5, t.grey_mask)
    assert after > before + 0.05
    points = t.grid.to_world(np.argwhere(t.brain)[::10])
    assert np.percentile(round_trip(found.transform, found.inverse, points), 95) < 0.5
    assert found.value > found.value_start
    assert found.metric == "lncc"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_missing_backend_says_how_to_get_it(name, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda m, *a: None if m == MODULES[name] else real(m, *a)
    )
    with pytest.raises(Refused, match="not installed") as no:
        backend(name)
    assert "pip install" in str(no.value)
