"""Smoothness of a field from residuals, and the resels of a mask.

With u the residuals of a voxel at length one, Lambda_jl = sum d_j u d_l u is the
covariance of their spatial derivatives. It is unbiased for independent Gaussian errors
after a factor (df - 2) / (df - 1) (Kiebel 1999, 10.1006/nimg.1999.0508), which SPM leaves
out. Differences between neighbours stand for derivatives, only within the mask; they
overstate the width of narrow kernels (2 voxels look like 2.18).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FEW = 3.0
"""FWHM in voxels under which a random field is only roughly one."""
LEAST = 2.0
"""FWHM in voxels under which it is none."""
_FOUR_LN2 = 4.0 * np.log(2.0)


@dataclass(frozen=True)
class Smoothness:
    """How smooth a field is.

    Parameters
    ----------
    fwhm_vox, fwhm_mm : tuple of float
        Equivalent Gaussian width along the axes of the image.
    rpv : (V,)
        Resels a voxel; the mean where a derivative is missing.
    df : int
        Degrees of freedom of the residuals.
    convention : {"spm", "unbiased"}
        Whether the factor of Kiebel was applied.
    """

    fwhm_vox: tuple[float, float, float]
    fwhm_mm: tuple[float, float, float]
    rpv: NDArray[np.float64]
    df: int
    convention: str


def smoothness(
    residuals: NDArray[np.float64],
    mask: NDArray[np.bool_],
    affine: NDArray[np.float64],
    df: int,
    convention: str = "unbiased",
) -> Smoothness | None:
    """Estimate the smoothness of residuals.

    Parameters
    ----------
    residuals : (m, V) float
        Residuals at the voxels of the mask, C order.
    mask : (X, Y, Z) bool
        Mask.
    affine : (4, 4) float
        Index to mm.
    df : int
        Their degrees of freedom.
    convention : {"spm", "unbiased"}
        See :class:`Smoothness`.

    Returns
    -------
    Smoothness or None
        None when the mask is not three-dimensional or df is under 3.
    """
    ahead, behind = _neighbours(mask)
    if df < 3:
        return None
    n = residuals.shape[1]
    length = np.zeros(n)
    for row in residuals:
        length += row * row
    scale = 1.0 / np.sqrt(np.where(length > 0, length, np.inf))
    lam = np.zeros((3, 3, n))
    there = np.stack([(a >= 0) | (b >= 0) for a, b in zip(ahead, behind, strict=True)])
    if not there.all(axis=0).any():
        return None
    here = np.arange(n)
    upper = [np.where(a >= 0, a, here) for a in ahead]
    lower = [np.where(a >= 0, here, np.where(b >= 0, b, here)) for a, b in
             zip(ahead, behind, strict=True)]  # fmt: skip
    for row in residuals:
        u = row * scale
        d = [u[up] - u[down] for up, down in zip(upper, lower, strict=True)]
        for j in range(3):
            for k in range(j, 3):
                lam[j, k] += d[j] * d[k]
    if convention == "unbiased":
        lam *= (df - 2.0) / (df - 1.0)
    a, b, c, e, f, g = lam[0, 0], lam[1, 1], lam[2, 2], lam[0, 1], lam[0, 2], lam[1, 2]
    det = a * (b * c - g * g) - e * (e * c - g * f) + f * (e * g - b * f)
    whole = there.all(axis=0)
    rpv = np.sqrt(np.maximum(det, 0.0) / _FOUR_LN2**3)
    mean = float(rpv[whole].mean())
    if not mean > 0.0:
        return None
    rpv = np.where(whole, rpv, mean)
    along = np.array([float(np.sqrt(lam[j, j][there[j]] / _FOUR_LN2).mean()) for j in range(3)])
    along *= (mean / along.prod()) ** (1.0 / 3.0)
    size = np.sqrt(np.square(affine[:3, :3]).sum(axis=0))
    vox = 1.0 / along
    mm = vox * size
    return Smoothness(
        (float(vox[0]), float(vox[1]), float(vox[2])),
        (float(mm[0]), float(mm[1]), float(mm[2])),
        rpv,
        df,
        convention,
    )


def resels(mask: NDArray[np.bool_], fwhm_vox: tuple[float, float, float]) -> NDArray[np.float64]:
    """Return the resel counts R_0 to R_3 of a mask.

    Parameters
    ----------
    mask : (X, Y, Z) bool
        Voxels; their centres are the points of the lattice.
    fwhm_vox : tuple of float
        Width of the field in voxels.

    Returns
    -------
    ndarray, (4,)
        Euler number, and resels of dimension 1, 2, 3 (Worsley 1996).

    Examples
    --------
    >>> resels(np.ones((5, 5, 5), bool), (2.0, 2.0, 2.0)).tolist()
    [1.0, 6.0, 12.0, 8.0]
    """
    m = np.asarray(mask, bool)
    x, y, z = _pair(m, 0), _pair(m, 1), _pair(m, 2)
    xy, xz, yz = _pair(x, 1), _pair(x, 2), _pair(y, 2)
    cubes = int(_pair(xy, 2).sum())
    points = int(m.sum())
    ex, ey, ez = int(x.sum()), int(y.sum()), int(z.sum())
    fxy, fxz, fyz = int(xy.sum()), int(xz.sum()), int(yz.sum())
    rx, ry, rz = (1.0 / w for w in fwhm_vox)
    return np.array(
        [
            points - (ex + ey + ez) + (fxy + fxz + fyz) - cubes,
            rx * (ex - fxy - fxz + cubes)
            + ry * (ey - fxy - fyz + cubes)
            + rz * (ez - fxz - fyz + cubes),
            rx * ry * (fxy - cubes) + rx * rz * (fxz - cubes) + ry * rz * (fyz - cubes),
            rx * ry * rz * cubes,
        ]
    )


def _pair(m: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    n = m.shape[axis]
    return np.asarray(m.take(range(n - 1), axis) & m.take(range(1, n), axis))


def _neighbours(mask: NDArray[np.bool_]) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
    """Index of the next and of the previous voxel along each axis, -1 without one."""
    number = np.full(tuple(s + 2 for s in mask.shape), -1, np.intp)
    inner = number[1:-1, 1:-1, 1:-1]
    inner[mask] = np.arange(int(mask.sum()))
    ahead: list[NDArray[Any]] = []
    behind: list[NDArray[Any]] = []
    for axis in range(3):
        for step, out in ((-1, ahead), (1, behind)):
            out.append(np.roll(number, step, axis)[1:-1, 1:-1, 1:-1][mask])
    return ahead, behind
