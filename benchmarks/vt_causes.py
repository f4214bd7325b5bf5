"""Where the error of V_T comes from, one cause at a time, on the regional path.

    python benchmarks/vt_causes.py [--people 20] [--seed 1]

For each person of the demo design and the six regions of the model study, MA1
(t* 20 min, v_B 0.05) is fitted to: the curve of the region's tissue alone with
the true input; the mixture of tissues that the scanner sees in the label; the
same with an input function from blood samples without and with noise; the same
with noise of the image. Printed: median error against the V_T of what was
fitted, SD over people and regions, median standard error of the fit, and how
often its 95 % interval holds the truth; the latter also with the error of the
blood added (bootstrap of the samples, `blood_draws` of a plan).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from ekbom import virtual
from ekbom.measures.pet.blood import BloodData
from ekbom.measures.pet.blood_draws import draw_inputs
from ekbom.measures.pet.fit import fit
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction
from ekbom.measures.pet.input_fit import fit_input
from ekbom.validate.pattern import SIX
from ekbom.virtual.binding import draw_tissue
from ekbom.virtual.blood import draw_samples
from ekbom.virtual.kinetics import frame_means, time_grid
from ekbom.virtual.scanner import noisy_labels
from ekbom.virtual.seeds import stream
from ekbom.virtual.study import VirtualStudy, arterial

DRAWS = 30
#: Half width of a 95 % interval in standard errors.
WIDE = 1.959964


class Errors:
    """Errors by cause."""

    def __init__(self, frames: Frames, vB: float) -> None:
        self.frames, self.vB = frames, vB
        self.rows: list[dict[str, object]] = []

    def fitted(self, curves, inp, tstar):
        found = fit(curves, self.frames, inp, model="ma1", vB=self.vB, tstar=tstar, names=list(SIX))
        low, high = found.interval("VT")
        return found.params["VT"], (high - low) / (2 * WIDE)

    def add(self, cause, curves, true, inp, tstar=20.0, blood=0.0) -> None:
        value, se = self.fitted(curves, inp, tstar)
        wide = np.hypot(se, blood)
        for k, area in enumerate(SIX):
            self.rows.append(
                {
                    "cause": cause,
                    "region": area,
                    "error": 100 * (value[k] / true[k] - 1),
                    "se": 100 * wide[k] / true[k],
                    "held": abs(value[k] - true[k]) <= WIDE * wide[k],
                }
            )


def person(study: VirtualStudy, index: int, out: Errors) -> None:
    """Add the errors of one person."""
    design, timing, who = study.design, study.timing, study.people[index]
    rng = stream(study.seed, index, "blood")
    dose = design.scanner.dose_MBq * float(np.exp(design.scanner.dose_cv * rng.standard_normal()))
    blood = arterial(design, study.tracer, rng, dose, who.weight, who.sex)
    t = time_grid(float(timing.end[-1]))
    tissue = draw_tissue(
        study.seed, who, study.sources, design.binding, study.tracer.kinetics, study.about
    )
    curves = frame_means(
        tissue.rates, blood.parent(t), blood.whole_blood(t), timing.start, timing.end,
        timing.decay, design.scanner.vB,
    )  # fmt: skip
    seen, _ = study.mixing.matrices(np.ones(study.anatomy.grid.shape))
    labels = [s for s in study.sources if s.index]
    join = np.zeros((len(SIX), len(labels)))
    pure = np.zeros((len(SIX), len(study.sources)))
    for row, area in enumerate(SIX):
        for k, source in enumerate(labels):
            join[row, k] = study.mixing.voxels[k] * (source.area == area)
        for k, source in enumerate(study.sources):
            pure[row, k] = bool(source.index) and source.area == area
    join /= join.sum(axis=1, keepdims=True)
    pure /= pure.sum(axis=1, keepdims=True)
    exact = InputFunction(
        t=t[::2], plasma_parent=blood.parent(t[::2]), whole_blood=blood.whole_blood(t[::2]),
        provenance={}, covers=(0.0, float(timing.end[-1])),
    )  # fmt: skip
    mixed, true = join @ (seen @ curves), join @ (seen @ tissue.VT)
    out.add("tissue alone, true input", pure @ curves, pure @ tissue.VT, exact)
    out.add("mixture the scanner sees, true input", mixed, true, exact)
    out.add("the same, t* 40 min", mixed, true, exact, tstar=40.0)

    drawn = draw_samples(stream(study.seed, index, "samples"), blood, design.blood, timing.decay)
    minutes, known = drawn.time / 60.0, np.isfinite(drawn.parent_fraction)

    def sampled(plasma, whole, fraction, parent):
        data = BloodData(
            time_wb=minutes, whole_blood=whole, time_p=minutes, plasma=plasma,
            time_f=minutes[known], parent_fraction=fraction[known],
        )  # fmt: skip
        return fit_input(data, frames=out.frames, parent=parent)

    clean = (blood.plasma(minutes), blood.whole_blood(minutes), blood.parent_fraction(minutes))
    noisy = (drawn.plasma, drawn.whole_blood, drawn.parent_fraction)
    floor = design.scanner.noise_floor * np.einsum("s,sf->f", study.share, curves)
    image = join @ noisy_labels(
        stream(study.seed, index, "scan"), seen @ curves, floor, study.noise, study.mixing.noise,
        timing,
    )  # fmt: skip
    out.add("image noise, true input", image, true, exact)
    for parent in ("interpolate", "auto"):
        word = "lines through it" if parent == "interpolate" else "best form"
        out.add(f"samples without noise, parent fraction by {word}", mixed, true,
                sampled(*clean, parent).input)  # fmt: skip
        taken = sampled(*noisy, parent)
        out.add(f"samples with noise, {word}", mixed, true, taken.input)
        out.add(f"all together, {word}", image, true, taken.input)
        inputs = draw_inputs(taken, out.frames, DRAWS, seed=index)
        spread = np.std([out.fitted(image, one, 20.0)[0] for one in inputs], axis=0, ddof=1)
        out.add(f"all together, {word}, error of the blood in the interval", image, true,
                taken.input, blood=spread)  # fmt: skip


def main() -> None:
    """Run and print."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--people", type=int, default=20)
    ask.add_argument("--seed", type=int, default=1)
    given = ask.parse_args()
    design = virtual.load("demo")
    study = VirtualStudy.plan(design, Path(), "rois", given.seed)
    out = Errors(
        Frames(study.timing.start, study.timing.end, study.tracer.half_life), design.scanner.vB
    )
    for index in range(min(given.people, len(study.people))):
        person(study, index, out)
    table = pd.DataFrame(out.rows).groupby("cause", sort=False)
    print(
        table.agg(
            median=("error", "median"), sd=("error", "std"), se=("se", "median"),
            held=("held", "mean"),
        ).round(2).to_string()
    )  # fmt: skip


if __name__ == "__main__":
    main()
