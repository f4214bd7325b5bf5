"""V_T of a head that moves: without motion, with motion, and corrected; table and figure.

python benchmarks/motion_kinetics.py [--out motion-kinetics.png] [--resolution 4] [--seed 1]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from ekbom.validate.motion_kinetics import Kinetics, motion_kinetics


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
