"""Curves without noise from an independent integration of the differential equations."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ekbom.measures.pet.fit import fit
from ekbom.measures.pet.reference import fit_reference
from ekbom.measures.pet.simulate import forward_ode
from ekbom.measures.pet.spectral import spectral, spectral_basis
from ekbom.measures.pet.weights import weights
from ekbom.validate.pet_truth import BLOOD, Truth, first_minute
from ekbom.validate.result import Check

Array = NDArray[np.float64]

#: Largest errors on a model's own truth, per cent: compartments, reference region, graphical and
#: spectral.
EXACT, REFERENCE, LINEAR = 0.01, 0.1, 0.5
# Time constants after which a transient has left a line: e^-3 of it is there.
_TAU = 3.0


def _curves(truth: Truth) -> tuple[dict[str, Array], dict[str, Array]]:
    """Curves with blood, and without it; all tissues in one integration."""
    r = truth.rates
    one = (r.K1, r.k2 / (1 + r.BPND), 0.0, 0.0)
    two = (r.K1, r.k2, r.k3, r.k4)
    caught, free = (r.K1, r.k2, r.k3, 0.0), (r.K1, r.k2, 0.0, 0.0)
    columns = np.array([one, two, caught, one, two, free]).T
    rates = dict(zip(("K1", "k2", "k3", "k4"), columns, strict=True))
    blood = np.repeat((BLOOD, 0.0), 3)
    all_ = forward_ode("2tcm", rates, truth.input, truth.frames, vB=blood)
    return (
        dict(zip(("1tcm", "2tcm", "2tcm-irreversible"), all_[:3], strict=True)),
        dict(zip(("1tcm", "2tcm", "reference"), all_[3:], strict=True)),
    )


def clean(truth: Truth) -> list[Check]:
    """Fit every model to curves without noise.

    Parameters
    ----------
    truth : Truth

    Returns
    -------
    list of Check
        Errors in per cent of the truth. On a model's own truth they are gated; what a line or
        a spectrum makes of two tissues is printed.
    """
    r, f, given = truth.rates, truth.frames, truth.input
    curve, bare = _curves(truth)
    one = r.k2 / (1 + r.BPND)
    t = first_minute(f)
    Ki = r.K1 * r.k3 / (r.k2 + r.k3)
    checks: list[Check] = []

    def add(model: str, on: str, name: str, value: float, true: float, gate: float) -> None:
        stem = model if model == on else f"{model} on {on}"
        checks.append(
            Check(
                f"{truth.name} {stem}, no noise: error of {name}",
                100 * (value / true - 1),
                1,
                "%",
                low=-gate,
                high=gate,
            )
        )

    for model, true in (("1tcm", {"VT": r.VT, "K1": r.K1}), ("2tcm", {"VT": r.VT, "K1": r.K1}),
                        ("2tcm-irreversible", {"Ki": Ki, "K1": r.K1})):  # fmt: skip
        done = fit(curve[model], f, given, model=model)
        for name, value in true.items():
            add(model, model, name, float(done.params[name][0]), value, EXACT)
    for model in ("logan", "ma1"):
        for on, gate in (("1tcm", LINEAR), ("2tcm", math.nan)):
            done = fit(curve[on], f, given, model=model, vB=BLOOD, tstar=t)
            add(model, on, "VT", float(done.params["VT"][0]), r.VT, gate)
    done = fit(curve["2tcm-irreversible"], f, given, model="patlak", vB=BLOOD, tstar=t)
    late = (r.k2 + r.k3) * t >= _TAU
    add("patlak", "2tcm-irreversible", "Ki", float(done.params["Ki"][0]), Ki,
        LINEAR if late else math.nan)  # fmt: skip
    seen = one * float(f.end[-1]) >= 1
    for on in ("1tcm", "2tcm"):
        w = weights("poisson", f, curve[on])
        lines = spectral(curve[on][None], spectral_basis(f, given), w)
        # a rate slower than the scan is long is a lower bound, and flagged
        add("spectral", on, "VT", float(lines.params["VT"][0]), r.VT, LINEAR if seen else math.nan)
        add("spectral", on, "K1", float(lines.params["K1"][0]), r.K1, math.nan)
    for model in ("srtm", "srtm2", "frtm", "mrtm1", "mrtm2", "logan-ref"):
        start = None if model in ("srtm", "srtm2", "frtm") else t
        own = "2tcm" if model == "frtm" else "1tcm"
        for on in ("1tcm", "2tcm"):
            if model == "frtm" and on != own:
                continue
            done = fit_reference(
                bare[on], bare["reference"], f, model=model, k2prime=r.k2, tstar=start
            )
            gate = REFERENCE if start is None else LINEAR
            found = 1 + float(done.params["BPND"][0])
            add(model, on, "1 + BP_ND", found, 1 + r.BPND, gate if on == own else math.nan)
            if "R1" in done.params and on == own:
                add(model, on, "R1", float(done.params["R1"][0]), 1.0, gate)
            if model in ("mrtm1", "mrtm2") and on == own:
                # their equation holds in every frame: from the first one on they are a full model
                whole = fit_reference(
                    bare[on], bare["reference"], f, model=model, k2prime=r.k2, tstar=0.0
                )
                found = 1 + float(whole.params["BPND"][0])
                add(model, on, "1 + BP_ND, all frames", found, 1 + r.BPND, REFERENCE)
                add(model, on, "R1, all frames", float(whole.params["R1"][0]), 1.0, REFERENCE)
    return checks
