"""Whether two images of one person agree in left and right, when their places are known.

The template is symmetric, but the plane in which it is mirrored is known in the
T1-weighted image once that is registered. The image is mirrored in that plane and
both forms are climbed to their best match from where they stand, which is far
quicker than a search (:func:`ekbom.space.quality.side`) and needs no start.
"""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from ekbom.space.checks import SIDES_DIFFER, UNDECIDED_NOTE
from ekbom.space.image import Volume
from ekbom.space.pose import linear_part
from ekbom.space.quality import Side, side
from ekbom.space.register.linear import Metric, centre_of_mass, fit, pyramid
from ekbom.space.transform import Affine, Transform, compose

Array = NDArray[np.float64]

#: Difference of the gains, in shares of the larger, below which the side is open.
UNDECIDED = 0.02
_LEVELS = (8.0, 4.0)


def mirror_in(template_to_image: Transform, points: Array) -> Affine:
    """Reflection of an image in the plane that divides the template.

    Parameters
    ----------
    template_to_image : Transform
        From points of the (symmetric) template to points of the image.
    points : (P, 3) array
        Points of the brain of the template.

    Returns
    -------
    Affine
        From points of the image to points of the image; its own inverse.
    """
    matrix = linear_part(template_to_image, points).matrix
    normal = np.linalg.inv(matrix[:3, :3]).T[:, 0]
    normal /= np.linalg.norm(normal)
    at = matrix[:3, 3]  # where the middle of the template lies
    out = np.eye(4)
    out[:3, :3] -= 2.0 * np.outer(normal, normal)
    out[:3, 3] = 2.0 * normal * float(normal @ at)
    return Affine(out)


def handedness(
    fixed: Volume,
    moving: Volume,
    transform: Affine,
    mirror: Affine,
    *,
    fixed_mask: NDArray[np.bool_] | None = None,
    seed: int = 0,
) -> Side:
    """Compare the match of an image with that of its mirror image.

    Parameters
    ----------
    fixed, moving : Volume
        Two images of one person.
    transform : Affine
        From points of the fixed image to points of the moving one.
    mirror : Affine
        Reflection of the fixed image, from :func:`mirror_in`.
    fixed_mask : (X, Y, Z) array of bool, optional
        Where the fixed image counts.
    seed : int
        Of the points.

    Returns
    -------
    Side
        A difference below 2 % of the gain (match above 1) is undecided.
    """
    still, moved = pyramid(fixed, fixed_mask, _LEVELS), pyramid(moving, None, _LEVELS)
    centre = centre_of_mass(still[0])
    values = []
    for start in (transform, cast(Affine, compose(Affine(transform.matrix), mirror))):
        here, value = Affine(start.matrix), 0.0
        for a, b in zip(still, moved, strict=True):
            here, value = fit(Metric(a, b, 16000, seed, centre), here, "rigid", 40)
        values.append(value)
    here_value, there_value = values
    gain = max(here_value, there_value) - 1.0
    if abs(here_value - there_value) < UNDECIDED * gain:
        return Side("undecided", here_value, there_value)
    return Side("same" if here_value > there_value else "mirrored", here_value, there_value)


def require_side(
    fixed: Volume,
    moving: Volume,
    transform: Affine,
    *,
    mirror: Affine | None = None,
    fixed_mask: NDArray[np.bool_] | None = None,
    seed: int = 0,
    file: object = None,
) -> tuple[Side, str]:
    """Refuse two images of one person of which one is mirrored.

    Parameters
    ----------
    fixed, moving : Volume
        Two images of one person.
    transform : Affine
        From points of the fixed image to points of the moving one.
    mirror : Affine, optional
        Reflection of the fixed image, from :func:`mirror_in`. Where the middle of
        the head is not known, both forms are searched for
        (:func:`ekbom.space.quality.side`), which takes longer.
    fixed_mask : (X, Y, Z) array of bool, optional
        Where the fixed image counts.
    seed : int
        Of the points.
    file : object, optional
        What the images are called in the message.

    Returns
    -------
    side : Side
        ``same`` or ``undecided``.
    note : str
        What must be said when it is undecided, else empty.

    Raises
    ------
    Refused
        When the mirrored image fits better.
    """
    if mirror is None:
        found = side(fixed, moving, fixed_mask=fixed_mask, seed=seed)
    else:
        found = handedness(fixed, moving, transform, mirror, fixed_mask=fixed_mask, seed=seed)
    if found.verdict == "mirrored":
        raise SIDES_DIFFER.refused(
            file=file,
            found=f"NMI {found.mirrored:.4f} mirrored, {found.as_is:.4f} as it is",
        )
    if found.verdict == "undecided":
        return found, UNDECIDED_NOTE.format(here=found.as_is, there=found.mirrored)
    return found, ""
