"""The pictures of the page of twenty-one pain studies, from the folders its commands leave.

python docs/inference/pain21_pictures.py MEAN_OUT SLOPE_OUT
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ekbom.report import brain
from ekbom.report.style import BLUE, FAINT, GREEN, INK, SOFT, VERMILION, look, new_figure

OUT = Path(__file__).parents[1] / "_static"
LIMITS = (("permuted maximum", BLUE), ("random field", VERMILION), ("Bonferroni", GREEN))

BEHIND = {"facecolor": "white", "linewidth": 0, "pad": 1, "alpha": 0.9}


def significant(folder: Path, name: str) -> Figure:
    """Slices of t; coloured where TFCE is significant, corrected over the brain."""
    start = f"space-MNI152_desc-{name}"
    t = brain.load(folder / f"{start}_stat-t_statmap.nii.gz")
    p = brain.load(folder / f"{start}_pmap-fweTfce_statmap.nii.gz")
    low = brain.Image(np.nan_to_num(p.values) >= -np.log10(0.05), t.affine)  # maps hold -log10 p
    under, _ = brain.background("MNI152", None, t)
    return brain.mosaic(under, t, low, label="t statistic")


def nulls(folders: dict[str, tuple[Path, str]]) -> Figure:
    """What the largest |t| of a map is when nothing is there, and what each rule asks for."""
    figure = new_figure(7.6, 2.6)
    for place, (title, (folder, name)) in enumerate(folders.items()):
        axes = figure.add_subplot(1, len(folders), place + 1)
        drawn = pd.read_csv(folder / f"desc-{name}_null.tsv", sep="\t").max_t
        axes.hist(drawn[1:], bins=60, color=FAINT)
        axes.axvline(drawn[0], color=INK, linewidth=2)
        top = axes.get_ylim()[1]
        axes.text(drawn[0] + 0.06, top, "the data", va="top", fontsize=7.5, color=INK)
        asked = thresholds(folder / "answer.json")
        for k, ((label, colour), value) in enumerate(zip(LIMITS, asked, strict=True)):
            axes.axvline(value, color=colour, linestyle=(0, (4, 2)), linewidth=1.1)
            words, height = f"{label} {value:.2f}", top * (0.84 - 0.12 * k)
            axes.text(value + 0.06, height, words, fontsize=7.5, color=colour, bbox=BEHIND)
        axes.set_xlim(2.5, 10.5)
        axes.set_title(title)
        axes.set_xlabel("largest |t| of a relabelled map")
        axes.set_yticks([])
        axes.spines["left"].set_color(SOFT)
    return figure


def thresholds(file: Path) -> tuple[float, float, float]:
    """Return what the permuted maximum, the field (not above Bonferroni) and Bonferroni ask."""
    told = json.loads(file.read_text())["meta"]
    return told["threshold"], told["field"]["threshold_rf"], told["bonferroni_threshold"]


def main(mean: Path, slope: Path) -> None:
    """Draw all."""
    with look():
        drawn = significant(mean, "intercept")
        drawn.savefig(OUT / "pain21-mean.png", dpi=90, facecolor="white", bbox_inches="tight")
        drawn = nulls({"mean": (mean, "intercept"), "log sample size": (slope, "logN")})
        drawn.savefig(OUT / "pain21-null.svg", facecolor="white", metadata={"Date": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
