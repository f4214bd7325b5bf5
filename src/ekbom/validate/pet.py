"""Kinetic models on curves of known truth: bias, coverage and flags by model, tracer and noise.

Truths are the rate constants of the tracer files. Every fit counts, flagged
ones too. Gates hold where a model is fitted to its own truth; where it is
fitted to another's, its bias is a fact to know and is only printed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ekbom.measures.pet.fit import fit
from ekbom.measures.pet.kinetic import KineticFit
from ekbom.measures.pet.reference import fit_reference
from ekbom.measures.pet.simulate import forward
from ekbom.measures.pet.spectral import spectral, spectral_basis
from ekbom.measures.pet.weights import weights
from ekbom.validate import pet_optimum
from ekbom.validate.errors import binomial_error
from ekbom.validate.kept import once
from ekbom.validate.pet_clean import clean
from ekbom.validate.pet_truth import (
    BLOOD,
    TISSUES,
    Truth,
    bias_check,
    first_minute,
    noisy,
    truth_of,
)
from ekbom.validate.result import Check, binomial_gate

Array = NDArray[np.float64]

#: Noise: mean coefficient of variation over the last ten frames, per cent.
NOISE = (1.0, 3.0, 6.0)
#: Noise of the single frames of voxels, per cent, where only bias is looked at.
NOISE_SPECTRAL = (3.0, 5.0, 10.0)
# Fits from which a run is a statement.
_MANY = 1000
#: Gate of coverage (share) at the noise of regions.
COVERAGE = (0.93, 0.97)


def validate_pet(
    *,
    fits: int = 200,
    seed: int = 1,
    tracers: Sequence[str] = tuple(TISSUES),
    noise: Sequence[float] = NOISE,
    voxels: int | None = None,
    kept: Path | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Check]:
    """Fit simulated curves by every model.

    Parameters
    ----------
    fits : int
        Curves a cell; 2,000 for a statement, fewer for a look.
    seed : int
        Of every random draw.
    tracers : sequence of str
        Of :data:`TISSUES`.
    noise : sequence of float
        Per cent.
    voxels : int, optional
        Voxels a cell that are held to an exhaustive search; by default as many as fits, or
        five times as many from 1,000 fits on: a share of one in a thousand is to be told.
    kept : Path, optional
        Folder of finished parts: an interrupted run goes on from there.
    tell : callable
        Gets a line before each part.

    Returns
    -------
    list of Check
        Errors without noise; median bias (%), coverage of the 95 % interval (share) and
        share of flagged fits, each with its Monte-Carlo error; share of voxels off the
        global optimum.
    """
    many = (5 * fits if fits >= _MANY else fits) if voxels is None else voxels
    checks: list[Check] = []
    for name in tracers:
        truth = truth_of(name)
        parts: list[tuple[str, int, Callable[[], list[Check]]]] = [
            ("no noise", 1, partial(clean, truth))
        ]
        for percent in noise:
            parts += [
                (f"{percent:g} own", fits, partial(_own, truth, percent, fits, seed)),
                (f"{percent:g} other", fits, partial(_other, truth, percent, fits, seed)),
            ]
        for percent in NOISE_SPECTRAL:
            parts += [
                (f"{percent:g} spectral", fits, partial(_spectral, truth, percent, fits, seed))
            ]
        for percent in pet_optimum.NOISE:
            look = partial(pet_optimum.optimum, truth, many, seed, (percent,))
            parts += [(f"{percent:g} voxels", many, look)]
        for what, count, make in parts:
            tell(f"{name}, {what}, {count} curves")
            checks += once(f"{name} {what} {count} seed{seed}", make, kept)
    return checks


def _own(truth: Truth, percent: float, fits: int, seed: int) -> list[Check]:
    """Models on the truth that is theirs."""
    r, f = truth.rates, truth.frames
    two = {"K1": r.K1, "k2": r.k2, "k3": r.k3, "k4": r.k4}
    one = {"K1": r.K1, "k2": r.k2 / (1 + r.BPND)}
    checks: list[Check] = []
    # the scan must see the slowest rate fall (fallypride's does not): else what it
    # does not hold is printed, not gated
    gated = one["k2"] * float(f.end[-1]) >= 1
    for model, params in (("1tcm", one), ("2tcm", two)):
        clean = forward(model, params, truth.input, f, vB=BLOOD)[0]
        data = noisy(clean, truth, percent, fits, seed, model)
        done = fit(data, f, truth.input, model=model, weight_reference=clean)
        checks += _checks(done, "VT", r.VT, truth, model, percent, fits, gated)
    # one tissue in target and reference, the same non-displaceable distribution
    reference = forward("1tcm", {"K1": r.K1, "k2": r.k2}, truth.input, f)[0]
    clean = forward("1tcm", one, truth.input, f)[0]
    data = noisy(clean, truth, percent, fits, seed, "srtm")
    for model in ("srtm", "srtm2"):
        done = fit_reference(data, reference, f, model=model, weight_reference=clean, k2prime=r.k2)
        checks += _checks(done, "BPND", r.BPND, truth, model, percent, fits, gated)
    return checks


def _other(truth: Truth, percent: float, fits: int, seed: int) -> list[Check]:
    """Models on a two-tissue truth: bias is a fact, not a fault."""
    r, f = truth.rates, truth.frames
    clean = forward(
        "2tcm", {"K1": r.K1, "k2": r.k2, "k3": r.k3, "k4": r.k4}, truth.input, f, vB=BLOOD
    )[0]
    data = noisy(clean, truth, percent, fits, seed, "other")
    checks: list[Check] = []
    for model in ("logan", "ma1"):
        done = fit(data, f, truth.input, model=model, vB=BLOOD, tstar=first_minute(f),
                   weight_reference=clean)  # fmt: skip
        checks += _checks(done, "VT", r.VT, truth, f"{model} on 2tcm", percent, fits, False)
    reference = forward("1tcm", {"K1": r.K1, "k2": r.k2}, truth.input, f)[0]
    clean = forward("2tcm", {"K1": r.K1, "k2": r.k2, "k3": r.k3, "k4": r.k4}, truth.input, f)[0]
    data = noisy(clean, truth, percent, fits, seed, "reference")
    for model in ("srtm", "mrtm1", "mrtm2", "logan-ref"):
        done = fit_reference(
            data, reference, f, model=model, weight_reference=clean, k2prime=r.k2,
            tstar=None if model == "srtm" else first_minute(f),
        )  # fmt: skip
        checks += _checks(done, "BPND", r.BPND, truth, f"{model} on 2tcm", percent, fits, False)
    return checks


def _spectral(truth: Truth, percent: float, fits: int, seed: int) -> list[Check]:
    r, f = truth.rates, truth.frames
    clean = forward(
        "2tcm", {"K1": r.K1, "k2": r.k2, "k3": r.k3, "k4": r.k4}, truth.input, f, vB=BLOOD
    )[0]
    data = noisy(clean, truth, percent, fits, seed, "spectral")
    done = spectral(data, spectral_basis(f, truth.input), weights("poisson", f, clean))
    stem = f"{truth.name} spectral on 2tcm, {percent:g} %"
    flagged = float(np.mean(done.flags != 0))
    return [
        bias_check(f"{stem}: bias of VT", done.params["VT"], r.VT, truth, False),
        bias_check(f"{stem}: bias of K1", done.params["K1"], r.K1, truth, False),
        Check(f"{stem}: flagged", flagged, fits, "1", se=binomial_error(flagged, fits)),
    ]


def _checks(
    done: KineticFit,
    parameter: str,
    value: float,
    truth: Truth,
    model: str,
    percent: float,
    fits: int,
    gated: bool,
) -> list[Check]:
    stem = f"{truth.name} {model}, {percent:g} %"
    share = float(done.holds(parameter, value).mean())
    low, high = binomial_gate(fits, 0.95)
    regional = percent <= 1.0
    flagged = float(np.mean([bool(flags) for flags in done.flags]))
    regression = done.se_kind == "se_regression"
    return [
        bias_check(f"{stem}: bias of {parameter}", done.params[parameter], value, truth,
              gated and regional),
        Check(
            f"{stem}: coverage of {parameter}",
            share,
            fits,
            "1",
            # fewer fits, wider gate: never narrower than chance
            low=min(COVERAGE[0], low / fits) if gated else math.nan,
            high=max(COVERAGE[1], high / fits) if gated and regional else math.nan,
            se=binomial_error(share, fits),
            note="regression error, known to be too small" if regression else "",
        ),
        Check(f"{stem}: flagged", flagged, fits, "1", se=binomial_error(flagged, fits)),
    ]  # fmt: skip
