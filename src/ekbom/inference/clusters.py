"""Clusters above a threshold, and the peaks in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ekbom.inference.lattice import structure

CONNECTIVITY = 26
PEAKS = 3
"""At most so many peaks of a cluster are listed."""
APART = 8.0
"""mm: listed peaks of a cluster lie farther apart than this."""


@dataclass(frozen=True)
class Cluster:
    """Joined voxels of one sign.

    Parameters
    ----------
    sign : {1, -1}
        Sign of the statistic.
    voxels : (k,) int
        Indices into the masked voxels.
    peaks : tuple of int
        Masked indices of the listed peaks, largest first.
    maxima : tuple of int
        Masked indices of all local maxima, largest first.
    """

    sign: int
    voxels: NDArray[np.intp]
    peaks: tuple[int, ...]
    maxima: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Number of voxels."""
        return len(self.voxels)


def clusters(
    stat: NDArray[np.floating[Any]],
    mask: NDArray[np.bool_],
    affine: NDArray[np.float64],
    threshold: float,
    *,
    signs: tuple[int, ...] = (1, -1),
    connectivity: int = CONNECTIVITY,
) -> list[Cluster]:
    """Find clusters, each sign apart, and up to three peaks in each.

    Parameters
    ----------
    stat : (V,) float
        Statistic of the masked voxels, in C order of the mask.
    mask : (X, Y, Z) bool
        Mask.
    affine : (4, 4) float
        Index to mm.
    threshold : float
        Voxels with ``sign * stat`` above it are joined.
    signs : tuple of int
        Signs to look at.
    connectivity : {6, 18, 26}
        Which voxels are joined.

    Returns
    -------
    list of Cluster
        Largest absolute statistic first; peaks are local maxima among their
        neighbours, more than 8 mm apart.
    """
    place = np.argwhere(mask)
    mm = place @ affine[:3, :3].T + affine[:3, 3]
    number = np.full(mask.shape, -1, np.intp)
    number[mask] = np.arange(len(place))
    out = []
    around = structure(connectivity)
    for sign in signs:
        volume = np.full(mask.shape, -np.inf)
        volume[mask] = np.where(np.isfinite(stat), sign * stat, -np.inf)
        labels, _ = ndimage.label(volume > threshold, structure=around)
        highest = volume >= ndimage.maximum_filter(
            volume, footprint=around, mode="constant", cval=-np.inf
        )
        for i, box in enumerate(ndimage.find_objects(labels), start=1):
            inside = labels[box] == i
            voxels = number[box][inside]
            local = number[box][inside & highest[box]]
            # ties are broken by position, so that the list does not depend on the sort
            order = local[np.lexsort((local, -sign * stat[local]))]
            out.append(Cluster(sign, np.sort(voxels), _apart(order, mm), tuple(order.tolist())))
    out.sort(key=lambda c: (-abs(float(stat[c.peaks[0]])), c.peaks[0]))
    return out


def highest(stat: NDArray[np.floating[Any]], sign: int) -> int:
    """Return the masked index of the largest ``sign * stat``."""
    return int(np.nanargmax(sign * stat))


def _apart(order: NDArray[np.intp], mm: NDArray[np.float64]) -> tuple[int, ...]:
    kept: list[int] = []
    for voxel in order.tolist():
        if all(np.sqrt(np.square(mm[voxel] - mm[k]).sum()) > APART for k in kept):
            kept.append(voxel)
        if len(kept) == PEAKS:
            break
    return tuple(kept)
