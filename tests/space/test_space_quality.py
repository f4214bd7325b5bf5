"""Quality of a registration: the score around it, and the side."""

from __future__ import annotations

import numpy as np
import pytest

from ekbom.space import Grid, Volume, template
from ekbom.space.quality import dice, displaced, side
from ekbom.space.transform import Rigid, world_points


@pytest.fixture(scope="module")
def pair():
    """A head with a lesion on the right, as T1 and as PET-like image."""
    t = template(4.0)
    lesion = ((world_points(t.grid) - [45.0, -10, 25]) ** 2).sum(-1) < 20**2
    t1, pet = np.asarray(t.t1, float), np.asarray(t.grey + 0.25 * t.white, float)
    noise = np.random.default_rng(0).normal(scale=0.02, size=t1.shape)
    return (
        t,
        [Volume(np.where(lesion, 0.15, v) + noise, t.grid) for v in (t1, pet)],
        Volume(t1, t.grid),
    )


def test_dice_by_hand():
    a, b = np.zeros((2, 2, 2), bool), np.zeros((2, 2, 2), bool)
    assert np.isnan(dice(a, b))
    a[0], b[:, 0] = True, True
    assert dice(a, b) == 0.5


def test_score_falls_all_around(pair):
    t, (t1, pet), _ = pair
    still = Rigid(np.eye(4))
    seen = displaced(t1, pet, still, fixed_mask=t.brain)
    assert len(seen.around) == 12
    assert seen.interior
    assert not displaced(t1, pet, Rigid.of([0, 0, 0, 6, 0, 0]), fixed_mask=t.brain).interior


def test_mirrored_image_is_caught(pair):
    t, (t1, pet), whole = pair
    flipped = Volume(pet.values[::-1], pet.grid)
    assert side(t1, pet, fixed_mask=t.brain).verdict == "same"
    assert side(t1, flipped, fixed_mask=t.brain).verdict == "mirrored"
    # Order of storage is not a flip.
    stored = Grid(
        t.grid.shape,
        t.grid.affine
        @ np.array([[-1.0, 0, 0, t.grid.shape[0] - 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
    )
    assert side(t1, Volume(pet.values[::-1], stored), fixed_mask=t.brain).verdict == "same"
    # The template is symmetric: it cannot tell.
    pattern = Volume(np.asarray(t.grey, float), t.grid)
    assert side(whole, pattern, fixed_mask=t.brain).verdict == "undecided"
