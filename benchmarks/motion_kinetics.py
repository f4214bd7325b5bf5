"""V_T of a head that moves: without motion, with motion, and corrected; table and figure.

python benchmarks/motion_kinetics.py [--out motion-kinetics.png] [--resolution 4] [--seed 1]
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction
from ekbom.measures.pet.parametric import map_voxels
from ekbom.measures.pet.simulate import forward
from ekbom.measures.pet.weights import weights
from ekbom.space.image import Series
from ekbom.space.motion import Motion, correct_motion, estimate_motion
from ekbom.space.simulate import DURATIONS, moving_head
from ekbom.space.template import template
from ekbom.space.transform import Rigid, compose

Array = NDArray[np.float64]

#: K1, k2, k3, k4 of grey and white matter (assumed): V_T 14.7 and 6.7, so that contrast turns over.
_GREY = {"K1": 0.30, "k2": 0.09, "k3": 0.17, "k4": 0.05}
_WHITE = {"K1": 0.10, "k2": 0.05, "k3": 0.07, "k4": 0.03}
_HALF_LIFE = 20.364
_TSTAR = 30.0
#: Regions are the grey matter in cubes of this edge.
_REGION_MM = 40.0
_WAYS = ("no motion", "motion, not corrected", "motion, corrected")


@dataclass(frozen=True, eq=False)
class Kinetics:
    """Maps of V_T of one head with and without motion.

    Parameters
    ----------
    truth : (X, Y, Z) array
        V_T of the head at rest without noise, mL/cm3; NaN outside the brain.
    maps : dict of str to (X, Y, Z) array
        By way: no motion, not corrected, corrected.
    grey : (X, Y, Z) array of bool
        Where errors are counted.
    regions : (X, Y, Z) array of int
        Pieces of grey matter, 0 outside.
    largest : float
        Largest true displacement from the frames at rest, mm.
    """

    truth: Array
    maps: dict[str, Array]
    grey: NDArray[np.bool_]
    regions: NDArray[np.int_]
    largest: float

    def error(self, way: str) -> tuple[float, float, float]:
        """Return how far V_T of a way is off.

        Parameters
        ----------
        way : str
            Of `maps`.

        Returns
        -------
        voxel, mean, worst : float
            Root mean square over voxels, mean and largest absolute error of region means, %.
        """
        there = self.grey & np.isfinite(self.maps[way]) & np.isfinite(self.truth)
        off = 100 * (self.maps[way][there] / self.truth[there] - 1)
        which = self.regions[there]
        count = np.bincount(which)
        found = np.bincount(which, self.maps[way][there])
        true = np.bincount(which, self.truth[there])
        whole = np.flatnonzero(count >= 100)
        whole = whole[whole > 0]
        part = 100 * np.abs(found[whole] / true[whole] - 1)
        return float(np.sqrt((off**2).mean())), float(part.mean()), float(part.max())


def motion_kinetics(seed: int, *, resolution: float = 4.0, noise: float = 0.05) -> Kinetics:
    """Simulate a scan, move the head, correct it, and fit V_T (Logan) each time.

    Parameters
    ----------
    seed : int
        Of motion and noise; the same noise with and without motion.
    resolution : float
        Voxel edge, mm.
    noise : float
        See :func:`ekbom.space.simulate.moving_head`.

    Returns
    -------
    Kinetics
        Maps and truth.
    """
    ends = np.cumsum(DURATIONS)
    frames = Frames(ends - np.array(DURATIONS), ends, _HALF_LIFE)
    t = np.unique(np.concatenate([np.linspace(0, 3, 60), np.linspace(3, ends[-1], 60)]))
    plasma = np.where(
        t < 0.5,
        170 * t,
        60 * np.exp(-4 * (t - 0.5)) + 20 * np.exp(-0.5 * (t - 0.5)) + 5 * np.exp(-0.02 * (t - 0.5)),
    )
    given = InputFunction(t, plasma, 1.2 * plasma)
    grey, white = (forward("2tcm", rates, given, frames)[0] for rates in (_GREY, _WHITE))
    none = np.zeros(len(DURATIONS))
    head = template(resolution)
    brain = np.asarray(head.brain)

    def fit(series: Series) -> Array:
        values = np.asarray(series.values, dtype=np.float64)[brain]
        seen = np.isfinite(values).all(axis=1)
        w = weights("poisson", frames, values[seen].mean(axis=0))
        out = np.full(brain.shape, np.nan)
        part = np.full(len(values), np.nan)
        found = map_voxels(values[seen], frames, given, model="logan", weights=w, tstar=_TSTAR)
        part[seen] = found.params["VT"]
        out[brain] = part
        return out

    def scan(share: float, still: bool) -> Series:
        return moving_head(
            seed, resolution=resolution, noise=share, still=still, curves=(grey, white, none)
        ).series

    moved = moving_head(seed, resolution=resolution, noise=noise, curves=(grey, white, none))
    found = estimate_motion(moved.series, half_life=_HALF_LIFE)
    maps = dict(
        zip(
            _WAYS,
            (fit(scan(noise, True)), fit(moved.series), fit(_at_rest(moved.series, found))),
            strict=True,
        )
    )
    points = head.grid.to_world(np.argwhere(brain))
    far = [np.sqrt(((m.points(points) - points) ** 2).sum(axis=1)).max() for m in moved.motion]
    place = head.grid.to_world(np.moveaxis(np.indices(brain.shape), 0, -1))
    cube = np.floor((place + 200.0) / _REGION_MM).astype(int)
    regions = np.where(head.grey_mask, 1 + cube @ np.array([121, 11, 1]), 0)
    return Kinetics(fit(scan(0.0, True)), maps, head.grey_mask, regions, float(max(far)))


def _at_rest(series: Series, found: Motion) -> Series:
    # To the pose in which the scan began: truth is known there, as the head drifts away from it.
    first = found.transforms[0].inverse()
    ways = tuple(cast(Rigid, compose(one, first)) for one in found.transforms)
    largest = np.maximum(found.largest, 1.0)
    return correct_motion(series, replace(found, transforms=ways, largest=largest))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--resolution", type=float, default=4.0)
    parser.add_argument("--noise", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    found = motion_kinetics(args.seed, resolution=args.resolution, noise=args.noise)
    print(f"largest displacement of the head {found.largest:.1f} mm\n")
    print("| scan | V_T of voxels, rms error % | region means, mean error % | largest % |")
    print("|---|---|---|---|")
    for way in found.maps:
        voxel, mean, worst = found.error(way)
        print(f"| {way} | {voxel:.1f} | {mean:.2f} | {worst:.2f} |")
    if args.out:
        draw(args.out, found)


def draw(out: Path, found: Kinetics) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 4, figsize=(11, 6.2))
    at = found.truth.shape[2] * 45 // 100
    top = float(np.nanpercentile(found.truth, 99.5))
    images = {"at rest, no noise": found.truth} | found.maps
    for column, (name, image) in enumerate(images.items()):
        first, second = axes[:, column]
        left = first.imshow(np.rot90(image[:, :, at]), vmin=0, vmax=top, cmap="viridis")
        off = 100 * (image / found.truth - 1)
        right = second.imshow(np.rot90(off[:, :, at]), vmin=-30, vmax=30, cmap="RdBu_r")
        first.set_title(name, fontsize=10)
        for axis in (first, second):
            axis.set_xticks([])
            axis.set_yticks([])
    axes[0, 0].set_ylabel("V_T, mL/cm3")
    axes[1, 0].set_ylabel("error, %")
    figure.colorbar(left, ax=axes[0].tolist(), shrink=0.8)
    figure.colorbar(right, ax=axes[1].tolist(), shrink=0.8)
    figure.savefig(out, dpi=80, bbox_inches="tight")


if __name__ == "__main__":
    main()
