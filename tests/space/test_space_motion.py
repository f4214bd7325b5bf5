"""Motion between frames: closed forms, and scans whose motion is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ekbom.errors import Refused
from ekbom.space import Series
from ekbom.space.motion import (
    correct_motion,
    estimate_motion,
    framewise_displacement,
    relative_to,
)
from ekbom.space.simulate import moving_head
from ekbom.space.transform import Rigid

FIRST = 6  # frames from 2 min on are estimated


@pytest.fixture(scope="module")
def scan():
    head = moving_head(3, resolution=6.0, noise=0.03)
    return head, estimate_motion(head.series, half_life=20.4)


def test_framewise_displacement_by_hand():
    still = Rigid.of([0] * 6)
    for axis in range(3):
        turn = np.zeros(6)
        turn[axis] = np.radians(1)
        fd = framewise_displacement([still, Rigid.of(turn), Rigid.of(turn)])
        np.testing.assert_allclose(fd, [0, 50 * np.pi / 180, 0], atol=1e-12)
    centre = (3.0, -20.0, 8.0)
    both = Rigid.of([0, 0.01, 0, -1, 2, 0], centre)
    assert framewise_displacement([still, both], centre)[1] == pytest.approx(3.5)


def test_known_motion_is_found(scan):
    head, found = scan
    assert list(np.flatnonzero(~found.estimated)) == list(range(FIRST))
    assert all(bool(f) != e for f, e in zip(found.flags, found.estimated, strict=True))
    brain = head.series.grid.to_world(np.argwhere(head.brain))[::20]
    mine, true = relative_to(found.transforms, 17), relative_to(head.motion, 17)
    rms = [float(np.sqrt(((a.points(brain) - b.points(brain)) ** 2).sum(1).mean()))
           for a, b in zip(mine, true, strict=True)]  # fmt: skip
    moved = [float(np.abs(t.points(brain) - brain).max()) for t in true]
    assert max(moved) > 4
    assert np.percentile(rms[FIRST:], 95) < 0.5  # voxels of 6 mm
    # Frames without counts take the transform of the first one with.
    np.testing.assert_array_equal(found.transforms[0].matrix, found.transforms[FIRST].matrix)
    assert found.largest.max() >= found.rms.max()


def test_correction_brings_frames_together(scan):
    head, found = scan
    out = correct_motion(head.series, found)
    assert out.grid == head.series.grid
    assert out.unit == "kBq/mL"
    late = slice(15, 25)
    core = head.brain

    def spread(series: Series) -> float:
        frames = np.asarray(series.values[..., late], dtype=float)
        frames = frames / np.nanmean(frames[core], axis=0)
        return float(np.nanmean(np.nanstd(frames[core], axis=1)))

    still = moving_head(3, resolution=6.0, noise=0.03, still=True)
    before, after, best = spread(head.series), spread(out), spread(still.series)
    assert after - best < 0.35 * (before - best)


def test_a_head_at_rest_stays_and_is_not_touched():
    head = moving_head(4, resolution=6.0, noise=0.0, still=True)
    found = estimate_motion(head.series, half_life=20.4)
    assert found.rms.max() < 0.3
    same = replace(found, largest=np.zeros(head.series.n_frames))
    assert correct_motion(head.series, same).values.tobytes() == head.series.values.tobytes()


def test_large_motion_is_said_and_empty_scans_are_refused(scan):
    head, found = scan
    assert any("inside a frame" in note for note in found.notes)
    short = Series(head.series.values[..., :4], head.series.grid, head.series.frame_start[:4],
                   head.series.frame_duration[:4], "kBq/mL")  # fmt: skip
    with pytest.raises(Refused, match="enough counts"):
        estimate_motion(short, half_life=20.4)
