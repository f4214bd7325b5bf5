"""A real brain (Colin27) to the template, with the regions that were drawn on it.

    python benchmarks/real_brain.py DIR_WITH_ch2_AND_aal --out colin27.png

Prints the overlap of grey matter before and after, where the centres of three
deep regions lie, and how well left and right mirror each other: the template is
symmetric, the person is not, so this says whether regions went where they belong.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from ekbom.space import Volume, template
from ekbom.space.io import read_volume
from ekbom.space.normalise import to_template
from ekbom.space.quality import dice
from ekbom.space.transform import Affine, Transform
from ekbom.space.warp import warp

REGIONS = {
    "thalamus": ("Thalamus_L", "Thalamus_R"),
    "caudate": ("Caudate_L", "Caudate_R"),
    "amygdala": ("Amygdala_L", "Amygdala_R"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--resolution", type=float, default=2.0)
    args = parser.parse_args()
    t1 = read_volume(args.data / "ch2.nii.gz")
    drawn = read_volume(args.data / "aal.nii.gz")
    rows = [line.split() for line in (args.data / "aal.nii.txt").read_text().splitlines()]
    number = {r[1]: int(r[0]) for r in rows if len(r) > 1 and r[0].isdigit()}
    began, cpu = time.perf_counter(), time.process_time()
    found = to_template(t1, resolution_mm=args.resolution, threads=2)
    print(f"{time.perf_counter() - began:.1f} s, {time.process_time() - cpu:.1f} CPU s")
    for k, v in found.quality.items():
        print(f"  {k} {v:.4g}")
    head = template(args.resolution)
    ways: dict[str, Transform] = {
        "as published": Affine(np.eye(4)),
        "affine": found.transform.parts[0],  # type: ignore[attr-defined]
        "deformable": found.transform,
    }
    print(
        "| pose | GM Dice (regions drawn on the brain) | region | L centre | R centre |"
        " L against mirrored R, mm | mean GM of the template inside |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, way in ways.items():
        labels = warp(drawn.values, drawn.grid, head.grid, way, interpolation="label")
        # Cerebellum and vermis (91 on) are drawn with their white matter.
        overlap = dice((labels > 0) & (labels <= 90), head.grey_mask & _cerebrum(labels))
        for region, sides in REGIONS.items():
            masks = [labels == number[s] for s in sides]
            ends = [head.grid.to_world(np.argwhere(m)).mean(axis=0) for m in masks]
            apart = float(np.linalg.norm(ends[0] * [-1, 1, 1] - ends[1]))
            grey = float(head.grey[masks[0] | masks[1]].mean())
            places = [", ".join(f"{x:.1f}" for x in e) for e in ends]
            print(
                f"| {name} | {overlap:.3f} | {region} | {places[0]} | {places[1]} | {apart:.1f} "
                f"| {grey:.2f} |"
            )
    if args.out:
        _draw(args.out, t1, drawn, ways, head)


def _cerebrum(labels: np.ndarray) -> np.ndarray:
    return labels <= 90


def _draw(out: Path, t1: Volume, drawn: Volume, ways: dict[str, Transform], head) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    cuts = [(2, 8.0), (2, -16.0), (1, -18.0), (0, 12.0)]
    figure, axes = plt.subplots(len(ways) + 1, len(cuts), figsize=(10, 11.5))
    images = {"template": np.asarray(head.t1)} | {
        name: np.nan_to_num(warp(t1.values, t1.grid, head.grid, way)) for name, way in ways.items()
    }
    for row, (name, image) in zip(axes, images.items(), strict=True):
        way = ways.get(name, ways["deformable"])
        labels = warp(drawn.values, drawn.grid, head.grid, way, interpolation="label")
        for axis, (direction, mm) in zip(row, cuts, strict=True):
            at = round((mm - head.grid.affine[direction, 3]) / head.grid.voxel_size[direction])
            axis.imshow(np.rot90(image.take(at, direction)), cmap="gray")
            edge = np.rot90(np.asarray(head.grey).take(at, direction))
            axis.contour(edge, [0.5], colors="#e69f00", linewidths=0.5)
            deep = np.isin(labels, [41, 42, 71, 72, 77, 78]).astype(float)
            if deep.take(at, direction).any():
                axis.contour(
                    np.rot90(deep.take(at, direction)), [0.5], colors="#56b4e9", linewidths=1.0
                )
            axis.set_xticks([])
            axis.set_yticks([])
        row[0].set_ylabel(name)
    figure.suptitle("Grey matter of the template (orange), thalamus, caudate, amygdala (blue)")
    figure.tight_layout()
    figure.savefig(out, dpi=90)


if __name__ == "__main__":
    main()
