"""Images made smooth and thin for registration, in one pass over each axis.

Float32 and every so many voxels: what is dropped is never computed, and what is
looked at afterwards lies near each other in memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ekbom.space.register import field as fields
from ekbom.space.register.slabs import Run
from ekbom.space.smooth import FWHM_PER_SIGMA

#: An axis keeps at least this many steps.
_LEAST = 8


def strides(shape: Sequence[int], edges: Sequence[float], width: float) -> tuple[int, int, int]:
    """Every how many voxels of each axis an image of some smoothness need be kept.

    Parameters
    ----------
    shape : three ints
        Of the image.
    edges : three floats
        Of its voxels, mm.
    width : float
        FWHM, mm: kept are two voxels in it.

    Returns
    -------
    tuple of int
        1 or more.
    """
    x, y, z = (
        max(1, min(int(width / (2.0 * edge) + 1e-6), (n - 1) // _LEAST))
        for edge, n in zip(edges, shape, strict=True)
    )
    return x, y, z


def soften(
    image: NDArray[np.float32],
    edges: Sequence[float],
    fwhm: float,
    steps: Sequence[int],
    run: Run,
) -> NDArray[np.float32]:
    """Smooth with a Gaussian (zeros beyond the image, cut at 3 standard deviations).

    Parameters
    ----------
    image : (X, Y, Z) array
        Finite values.
    edges : three floats
        Of the voxels, mm.
    fwhm : float
        mm, above 0.
    steps : three ints
        Every how many voxels one is kept.
    run : callable
        Threads; see :mod:`ekbom.space.register.slabs`.

    Returns
    -------
    (x, y, z) array
        The first voxel of each axis is kept.
    """
    known = np.ascontiguousarray(image, dtype=np.float32)[None]
    for axis, (edge, step) in enumerate(zip(edges, steps, strict=True)):
        shape = list(known.shape)
        shape[axis + 1] = (shape[axis + 1] - 1) // step + 1
        out = np.empty(shape, np.float32)
        taps = gaussian_taps(fwhm / FWHM_PER_SIGMA / edge)
        if axis < 2:
            run(fields.smooth_xy, shape[1], known, taps, out, axis, step)
        else:
            run(fields.smooth_z, shape[1], known, taps, out, step)
        known = out
    return np.asarray(known[0])


def gaussian_taps(sigma: float) -> NDArray[np.float32]:
    """Kernel of a Gaussian.

    Parameters
    ----------
    sigma : float
        Standard deviation, voxels.

    Returns
    -------
    (2 H + 1,) array
        Sums to 1; H is 3 standard deviations, rounded up.
    """
    half = max(1, math.ceil(3.0 * sigma))
    t = np.exp(-0.5 * (np.arange(-half, half + 1) / max(sigma, 1e-6)) ** 2)
    return np.asarray(t / t.sum(), dtype=np.float32)
