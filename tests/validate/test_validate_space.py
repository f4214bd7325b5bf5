"""`ekbom validate space` on the smallest case, and its error measure by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ekbom.space.transform import Rigid, compose
from ekbom.validate.space import motion_errors, validate_space


def test_errors_by_hand():
    brain = np.random.default_rng(0).uniform(-60, 60, (300, 3))
    true = tuple(Rigid.of([0.01 * k, 0, 0, k, 0, 0]) for k in range(3))
    used = np.array([True, True, True])
    # A common pose of the reference is no error.
    common = Rigid.of([0.1, -0.2, 0.05, 3, 4, 5])
    found = tuple(compose(t, common) for t in true)
    for error in motion_errors(found, true, brain, used):
        assert error.max() < 1e-5
    # Half a degree too much in one of many frames.
    many, still = tuple([Rigid(np.eye(4))] * 200), np.ones(200, dtype=bool)
    odd = (Rigid.of([np.radians(0.5), 0, 0, 0, 0, 0]), *many[1:])
    surface, rms, angle = motion_errors(odd, many, brain, still)
    assert angle[0] == pytest.approx(0.5, rel=0.02)
    assert surface[0] > rms[0] > 0.2
    assert surface[1:].max() < 0.01


@pytest.mark.slow
def test_small_run():
    checks = {
        c.name: c for c in validate_space(scans=1, heads=1, bent=0, resolution=8.0, noise=0.01)
    }
    assert len(checks) == 10
    assert checks["PET to T1: share captured"].value == 1
    assert checks["side: mirrored called same"].value == 0
    assert checks["motion: rms error over the brain, 95th percentile"].value < 0.6
