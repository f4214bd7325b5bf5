"""Whether a head is upright, as the axes of its file say."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ekbom.space.image import Volume
from ekbom.space.register.linear import Metric, centre_of_mass, fit, pyramid
from ekbom.space.transform import Rigid


@dataclass(frozen=True)
class Upright:
    """Whether a head is upright as its header says.

    Parameters
    ----------
    angle : float
        Degrees from upright of the best of 24 rough turns, after a short climb.
    value : float
        Match there.
    value_upright : float
        Best match of the turns that leave the head upright.
    """

    angle: float
    value: float
    value_upright: float

    @property
    def doubtful(self) -> bool:
        """Whether a head that is not upright fits clearly better."""
        gain = self.value - 1.0
        return self.angle > 45.0 and self.value - self.value_upright > 0.1 * gain


def upright(fixed: Volume, moving: Volume, mask: NDArray[np.bool_], *, seed: int = 0) -> Upright:
    """Try the 24 ways in which axes can be swapped.

    Parameters
    ----------
    fixed : Volume
        The template.
    moving : Volume
        The image.
    mask : (X, Y, Z) array of bool
        Where the template counts.
    seed : int
        Of the points.

    Returns
    -------
    Upright
        The best of them against the best upright one.
    """
    still, moved = pyramid(fixed, mask, [8.0])[0], pyramid(moving, None, [8.0])[0]
    centre = centre_of_mass(still)
    metric = Metric(still, moved, 4000, seed, centre)
    shift = centre_of_mass(moved) - centre
    found = []
    for axes in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            rotation = np.zeros((3, 3))
            rotation[range(3), axes] = signs
            if np.linalg.det(rotation) < 0:
                continue
            matrix = np.eye(4)
            matrix[:3, :3] = rotation
            matrix[:3, 3] = centre + shift - rotation @ centre
            one, value = fit(metric, Rigid(matrix), "rigid", 8)
            cosine = (np.trace(one.matrix[:3, :3]) - 1.0) / 2.0
            found.append((value, math.degrees(math.acos(float(np.clip(cosine, -1.0, 1.0))))))
    best = max(found)
    level = max((value for value, angle in found if angle <= 45.0), default=1.0)
    return Upright(best[1], best[0], level)
