"""One anatomy stored in all 48 orders of axes."""

from __future__ import annotations

import itertools

import numpy as np

from ekbom.space import Grid

ORDERS = [
    (axes, signs)
    for axes in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


def stored(axes, signs, shape=(7, 8, 9), size=(2.0, 3.0, 4.0), origin=(-5.0, 10.0, 3.0)):
    """The affine of one anatomy stored in one of the 48 orders, and its shape."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    out_shape = []
    for k, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
        affine[axis, k] = sign * size[axis]
        affine[axis, 3] = (
            origin[axis] if sign > 0 else origin[axis] + (shape[axis] - 1) * size[axis]
        )
        out_shape.append(shape[axis])
    return Grid(tuple(out_shape), affine)
