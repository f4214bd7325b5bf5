"""Do the maps reach the global optimum? Noisy voxels against an exhaustive search.

A map looks columns up in a table and follows a few starts. Here its parameters go through the
exact recursion, and the residual sum they leave there is compared with that of a search which
guesses no start: every pair of 512 rates, or every one of 4,096 rates of a reference model,
then the exact recursion down to the bottom.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ekbom.measures.pet.compartment_maps import map_compartments
from ekbom.measures.pet.convolve import basis
from ekbom.measures.pet.fit import fit
from ekbom.measures.pet.lift import lift
from ekbom.measures.pet.reference_basis import k2a_table
from ekbom.measures.pet.reference_maps import map_reference
from ekbom.measures.pet.simulate import forward
from ekbom.measures.pet.voxels import VoxelFit
from ekbom.measures.pet.weights import weights
from ekbom.validate.errors import binomial_error
from ekbom.validate.pet_truth import BLOOD, Truth, noisy
from ekbom.validate.result import Check, binomial_gate

Array = NDArray[np.float64]

#: Noise of voxels, per cent, as of the closed loop.
NOISE = (3.0, 10.0, 20.0)
#: Residual sums further apart than this share are not the same optimum; share of voxels let off.
WITHIN, LET_OFF = 1e-6, 0.001
_RATES = 4096
_GOLD, _SPLITS = 0.5 * (math.sqrt(5.0) - 1.0), 60


def optimum(truth: Truth, voxels: int, seed: int, noise: Sequence[float] = NOISE) -> list[Check]:
    """Compare maps of noisy voxels with an exhaustive search.

    Parameters
    ----------
    truth : Truth
    voxels : int
        For each model and noise level.
    seed : int
    noise : sequence of float
        Per cent.

    Returns
    -------
    list of Check
        Shares of voxels above the optimum, those of them without a flag, and below it.
    """
    r, f = truth.rates, truth.frames
    two = {"K1": r.K1, "k2": r.k2, "k3": r.k3, "k4": r.k4}
    one = {"K1": r.K1, "k2": r.k2 / (1 + r.BPND)}
    reference = forward("1tcm", {"K1": r.K1, "k2": r.k2}, truth.input, f)[0]
    checks: list[Check] = []
    for percent in noise:
        for model, params in (("1tcm", one), ("2tcm", two)):
            clean = forward(model, params, truth.input, f, vB=BLOOD)[0]
            data = noisy(clean, truth, percent, voxels, seed, f"voxels {model}")
            w = weights("poisson", f, clean)
            done = map_compartments(data, f, truth.input, model=model, weights=w, se=False)
            found = _rss(data, _compartments(done, truth), w)
            best = fit(data, f, truth.input, model=model, weights=w).rss
            checks += _compare(f"{truth.name} {model} map, {percent:g} %", found, best, done)
        clean = forward("1tcm", one, truth.input, f)[0]
        data = noisy(clean, truth, percent, voxels, seed, "voxels")
        w = weights("poisson", f, clean)
        done = map_reference(data, reference, f, model="srtm", weights=w)
        grid = lift(f).on_grid(reference)
        p = done.params
        column = basis(p["k2a"], grid)[0]
        fitted = p["R1"][:, None] * reference + (p["k2"] - p["R1"] * p["k2a"])[:, None] * column
        best = _reference_search(data, reference, truth, w)
        checks += _compare(
            f"{truth.name} srtm map, {percent:g} %", _rss(data, fitted, w), best, done
        )
    return checks


def _rss(data: Array, fitted: Array, w: Array) -> Array:
    return np.asarray((w * (data - fitted) ** 2).sum(axis=1))


def _compartments(done: VoxelFit, truth: Truth) -> Array:
    """Curves of a map's parameters by the exact recursion."""
    p = done.params
    out = np.empty((p["VT"].size, truth.frames.n))
    # a second exponential without amplitude leaves one tissue
    both = np.isfinite(p["k4"]) if "k4" in p else np.zeros(p["VT"].size, dtype=bool)
    if both.any():
        rates = {name: p[name][both] for name in ("K1", "k2", "k3", "k4")}
        out[both] = forward("2tcm", rates, truth.input, truth.frames, vB=p["vB"][both])
    if not both.all():
        k2 = np.where(p["K1"] > 0, p["K1"] / np.where(p["VT"] > 0, p["VT"], 1.0), 1.0)
        rates = {"K1": p["K1"][~both], "k2": k2[~both]}
        out[~both] = forward("1tcm", rates, truth.input, truth.frames, vB=p["vB"][~both])
    return out


def _reference_search(data: Array, reference: Array, truth: Truth, w: Array) -> Array:
    """Least residual sum of SRTM over its rate: every row of a fine table, then golden sections."""
    grid = lift(truth.frames).on_grid(reference)
    root = np.sqrt(w)
    y, q = data * root, reference * root
    ln_rate, table, _ = k2a_table(grid, root, float(truth.frames.end[-1]), _RATES)
    first = q / np.sqrt((q**2).sum())
    rest = y - (y * first).sum(axis=1)[:, None] * first
    total = (rest**2).sum(axis=1)

    def fall(column: Array) -> Array:
        """Fall of the residual sum by a second column, its own for each voxel or one for all."""
        apart = column - (column * first).sum(axis=-1)[..., None] * first
        return np.asarray((rest * apart).sum(axis=1) ** 2 / (apart**2).sum(axis=-1))

    most = np.zeros(len(y))
    at = np.zeros(len(y), dtype=np.int64)
    for k in range(_RATES):
        value = fall(table[k])
        higher = value > most
        most[higher], at[higher] = value[higher], k
    low = ln_rate[np.maximum(at - 1, 0)]
    high = ln_rate[np.minimum(at + 1, _RATES - 1)]
    for _ in range(_SPLITS):
        left, right = high - _GOLD * (high - low), low + _GOLD * (high - low)
        up = fall(basis(np.exp(left), grid)[0] * root) < fall(basis(np.exp(right), grid)[0] * root)
        low, high = np.where(up, left, low), np.where(up, high, right)
        if float((high - low).max()) < 1e-7:
            break
    middle = fall(basis(np.exp(0.5 * (low + high)), grid)[0] * root)
    return np.asarray(total - np.maximum(most, middle))


def _compare(stem: str, found: Array, best: Array, done: VoxelFit) -> list[Check]:
    n = best.size
    off = found > best * (1 + WITHIN)
    silent = off & (done.flags == 0)
    under = found < best * (1 - WITHIN)
    gate = max(LET_OFF, binomial_gate(n, LET_OFF)[1] / n)
    words = ("off the optimum by over 1e-6", "off it without a flag", "below the search")
    return [
        Check(f"{stem}: voxels {word}", share, n, "1", low=0.0 if gated else math.nan,
              high=gate if gated else math.nan, se=binomial_error(share, n))
        for word, share, gated in zip(
            words, (float(off.mean()), float(silent.mean()), float(under.mean())),
            (True, True, False), strict=True,
        )
    ]  # fmt: skip
