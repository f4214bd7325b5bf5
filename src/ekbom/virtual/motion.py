"""How a head moves during a scan: a random walk and jumps, one pose a frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ekbom.space.grid import Grid
from ekbom.space.transform import Rigid
from ekbom.virtual.design_parts import Head as Settings
from ekbom.virtual.head import CENTRE
from ekbom.virtual.spline import spline_at

Array = NDArray[np.float64]

#: Poses nearer than this to rest leave a frame as it is, mm at 80 mm.
_STILL_MM = 0.05


def draw_motion(rng: np.random.Generator, settings: Settings, end: Array) -> tuple[Rigid, ...]:
    """Draw the pose of every frame.

    Parameters
    ----------
    rng : numpy.random.Generator
        Stream of the person's motion.
    settings : ekbom.virtual.design_parts.Head
        SD at the end of the scan, jumps.
    end : (F,) array
        End of each frame, min.

    Returns
    -------
    tuple of Rigid
        By frame: from points of the head at rest (at the injection) to points
        in that frame. Motion inside a frame is not made.
    """
    size = np.array([np.radians(settings.motion_deg)] * 3 + [settings.motion_mm] * 3)
    step = np.sqrt(np.diff(end, prepend=0.0) / end[-1])
    walk = np.cumsum(step[:, None] * rng.standard_normal((end.size, 6)), axis=0) * size
    jump = rng.random() < settings.jump_probability
    when = rng.uniform(0.1, 0.9) * end[-1]
    size = np.array([np.radians(settings.jump_mm)] * 3 + [settings.jump_mm] * 3)
    far = size * rng.standard_normal(6)
    poses = walk + (jump & (end > when))[:, None] * far
    # turns about the neck, as heads do
    return tuple(Rigid.of(pose, CENTRE + np.array([0.0, -20.0, -60.0])) for pose in poses)


def moved(image: Array, grid: Grid, pose: Rigid, where: NDArray[np.int64]) -> Array:
    """Return an image as it is seen when the head has moved.

    Parameters
    ----------
    image : (X, Y, Z) array
        At rest.
    grid : Grid
        Its voxels.
    pose : Rigid
        From points at rest to points in the frame.
    where : (N,) array of int
        Voxels (flat) that can hold anything; the others are zero.

    Returns
    -------
    (X, Y, Z) array
        Cubic B-spline; zero outside.
    """
    back = pose.inverse()
    reach = np.array([[80.0, 0, 0], [0, 80.0, 0], [0, 0, 80.0]]) + CENTRE
    if float(np.abs(back.points(reach) - reach).max()) < _STILL_MM:
        return image
    weights = ndimage.spline_filter(image, order=3, output=np.float64, mode="mirror")
    matrix = np.linalg.inv(grid.affine) @ back.matrix @ grid.affine
    out = np.zeros(grid.size)
    spline_at(weights, matrix, where, out)
    return out.reshape(grid.shape)


def motion_table(poses: tuple[Rigid, ...]) -> dict[str, Array]:
    """Return the columns of a motion table.

    Parameters
    ----------
    poses : tuple of Rigid
        By frame.

    Returns
    -------
    dict of str to (F,) array
        Angles (degrees, about the origin, x first), shifts (mm), and the 12
        numbers of the matrix.
    """
    numbers = np.array([pose.parameters() for pose in poses])
    out = {
        name: np.degrees(numbers[:, k]) if k < 3 else numbers[:, k]
        for k, name in enumerate(("rot_x", "rot_y", "rot_z", "trans_x", "trans_y", "trans_z"))
    }
    for i in range(3):
        for j in range(4):
            out[f"m{i}{j}"] = np.array([pose.matrix[i, j] for pose in poses])
    return out
