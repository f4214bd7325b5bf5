"""Where the error of V_T comes from, one cause at a time, on the regional path.

    python benchmarks/vt_causes.py [--people 20] [--seed 1] [--design demo] [--draws 30]

For each person of the design and the six regions of the model study, MA1
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
import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd

from ekbom import virtual
from ekbom.measures.pet.blood_draws import draw_inputs
from ekbom.measures.pet.input import InputFunction
from ekbom.measures.pet.input_fit import fit_input
from ekbom.validate.pattern import SIX, TSTAR, WIDE, estimate, measured
from ekbom.virtual.cohort import Person
from ekbom.virtual.kinetics import time_grid
from ekbom.virtual.study import VirtualStudy


def person(study: VirtualStudy, who: Person, draws: int, rows: list[dict[str, object]]) -> None:
    """Add the errors of one person."""
    scan, vB = measured(study, who), study.design.scanner.vB

    def add(cause, curves, true, given, tstar=TSTAR, blood=0.0):
        value, se = estimate(curves, scan.frames, given, vB, tstar)
        wide = np.hypot(se, blood)
        for k, area in enumerate(SIX):
            rows.append(
                {
                    "cause": cause,
                    "region": area,
                    "error": 100 * (value[k] / true[k] - 1),
                    "se": 100 * wide[k] / true[k],
                    "held": abs(value[k] - true[k]) <= WIDE * wide[k],
                }
            )

    blood, curves = scan.true.blood, scan.true.curves
    t = time_grid(float(study.timing.end[-1]))[::2]
    exact = InputFunction(
        t=t, plasma_parent=blood.parent(t), whole_blood=blood.whole_blood(t), provenance={},
        covers=(0.0, float(t[-1])),
    )  # fmt: skip
    pure = np.array(
        [[bool(s.index) and s.area == area for s in study.sources] for area in SIX], dtype=float
    )
    pure /= pure.sum(axis=1, keepdims=True)
    mixed, true = scan.seen @ curves, scan.VT
    add("tissue alone, true input", pure @ curves, pure @ scan.true.tissue.VT, exact)
    add("mixture the scanner sees, true input", mixed, true, exact)
    add("the same, t* 40 min", mixed, true, exact, tstar=40.0)
    add("image noise, true input", scan.curves, true, exact)

    minutes, known = scan.samples.time_p, scan.samples.time_f
    clean = dataclasses.replace(
        scan.samples, whole_blood=blood.whole_blood(minutes), plasma=blood.plasma(minutes),
        parent_fraction=blood.parent_fraction(known),
    )  # fmt: skip
    for parent in ("interpolate", "auto"):
        word = "lines through it" if parent == "interpolate" else "best form"
        add(f"samples without noise, parent fraction by {word}", mixed, true,
            fit_input(clean, frames=scan.frames, parent=parent, compare=False).input)  # fmt: skip
        taken = fit_input(scan.samples, frames=scan.frames, parent=parent)
        add(f"samples with noise, {word}", mixed, true, taken.input)
        add(f"all together, {word}", scan.curves, true, taken.input)
        if draws:
            inputs = draw_inputs(taken, scan.frames, draws, seed=who.index)
            again = [estimate(scan.curves, scan.frames, one, vB)[0] for one in inputs]
            add(f"all together, {word}, error of the blood in the interval", scan.curves, true,
                taken.input, blood=np.std(again, axis=0, ddof=1))  # fmt: skip


def main() -> None:
    """Run and print."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--people", type=int, default=20)
    ask.add_argument("--seed", type=int, default=1)
    ask.add_argument("--design", default="demo")
    ask.add_argument("--draws", type=int, default=30)
    given = ask.parse_args()
    study = VirtualStudy.plan(virtual.load(given.design), Path(), "rois", given.seed)
    rows: list[dict[str, object]] = []
    for who in study.people[: given.people]:
        person(study, who, given.draws, rows)
    table = pd.DataFrame(rows).groupby("cause", sort=False)
    print(
        table.agg(
            median=("error", "median"), sd=("error", "std"), se=("se", "median"),
            held=("held", "mean"),
        ).round(2).to_string()
    )  # fmt: skip


if __name__ == "__main__":
    main()
