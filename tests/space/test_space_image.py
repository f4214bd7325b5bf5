"""Images in memory check themselves."""

from __future__ import annotations

import numpy as np
import pytest

from ekbom.errors import Refused
from ekbom.space import Grid, Series, Volume, checks

GRID = Grid((2, 3, 4), np.eye(4))


def test_a_volume_has_the_shape_of_its_grid():
    assert Volume(np.zeros((2, 3, 4)), GRID).unit == ""
    for shape in ((2, 3), (2, 3, 5), (2, 3, 4, 1)):
        with pytest.raises(Refused) as no:
            Volume(np.zeros(shape), GRID)
        assert no.value.what == checks.NOT_3D.what


def test_a_series_has_a_time_for_every_frame():
    start, length = np.array([0.0, 1.0]), np.array([1.0, 2.0])
    series = Series(np.zeros((2, 3, 4, 2)), GRID, start, length, "kBq/mL")
    assert series.n_frames == 2
    with pytest.raises(Refused) as no:
        Series(np.zeros((2, 3, 4, 3)), GRID, start, length, "kBq/mL")
    assert no.value.what == checks.FRAMES_DIFFER.what
    with pytest.raises(Refused) as no:
        Series(np.zeros((2, 3, 4)), GRID, start, length, "kBq/mL")
    assert no.value.what == checks.NOT_4D.what
