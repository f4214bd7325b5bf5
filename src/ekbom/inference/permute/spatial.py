"""Permutation of whole maps: the largest t, TFCE, cluster extent and mass of each relabelling.

One pass gives all of them, and the largest statistic inside each declared volume.
Maps are float32, sums float64; nothing depends on threads or on batches.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ekbom.inference.lattice import Lattice
from ekbom.inference.permute._kernel import BATCH, statistics
from ekbom.inference.permute.engine import (
    Permuted,
    directions,
    plan_for,
    relabelled,
    threshold_of,
    unit_residuals,
)
from ekbom.inference.permute.plan import PermutationPlan
from ekbom.inference.permute.sequential import in_order, sequential_p, stopping_draws
from ekbom.inference.settings import Settings
from ekbom.inference.strata import Model
from ekbom.inference.tails import z_of_f, z_of_t
from ekbom.inference.tfce import Enhancement, Enhancer

BLOCK = 16
"""Relabellings whose maps are held at once."""
CHUNK = 256
"""Relabellings that are kept together when a long run is kept."""
_ROUNDING = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-7}


class Maps(Protocol):
    """Statistic maps of relabellings."""

    plan: PermutationPlan

    def fill(self, start: int, out: NDArray[np.float32]) -> None:
        """Write the maps (len(out), V) of the relabellings from ``start`` on."""
        ...


@dataclass(frozen=True)
class Spatial:
    """What permutation of maps gives.

    Parameters
    ----------
    observed, enhanced : (V,)
        Statistic as it was permuted (t or z), and its TFCE with sign.
    nulls : mapping of str to (N,)
        Maximum of each relabelling: ``t``, ``tfce``, ``extent``, ``mass``, and ``t`` and
        ``tfce`` inside each volume (``t:name``). The first is that of the data.
    p_t, p_tfce : (V,)
        Corrected over the mask.
    plan : PermutationPlan
        What was done.
    slack : float
        Relative rounding within which statistics count as equal.
    """

    observed: NDArray[np.float64]
    enhanced: NDArray[np.float64]
    nulls: dict[str, NDArray[np.float64]]
    p_t: NDArray[np.float64]
    p_tfce: NDArray[np.float64]
    plan: PermutationPlan
    slack: float
    sign: str
    alpha: float

    def p(self, null: str, value: Any) -> NDArray[np.float64]:
        """Return the share of relabellings whose maximum reaches a value, at least 1 / N."""
        rule = self.plan.enough or 0
        return _p(self.nulls[null], np.asarray(value, float), self.slack, rule)

    def threshold(self, null: str) -> float:
        """Return the smallest value with corrected p at or under alpha."""
        return threshold_of(np.sort(self.nulls[null]), self.alpha)

    def permuted(self) -> Permuted:
        """Return the part that concerns the largest statistic."""
        return Permuted(self.p_t, None, self.nulls["t"], self.threshold("t"), self.plan)


class Exchanged:
    """Maps of t or F by Freedman and Lane."""

    def __init__(
        self,
        values: NDArray[np.floating[Any]],
        model: Model,
        settings: Settings,
        blocks: NDArray[Any] | None = None,
    ) -> None:
        self.plan = plan_for(model, settings, blocks)
        basis = directions(model, self.plan, blocks)
        u, whole = unit_residuals(values, model, basis, compact=False)
        self._u, self.whole = u, whole
        self._w = np.concatenate([basis.tested, basis.moving], axis=1).T.copy()
        self._tested = basis.tested.shape[1]
        self._df = model.df
        self._z = settings.on == "z"
        self._joint = model.kind == "F"

    def fill(self, start: int, out: NDArray[np.float32]) -> None:
        """Write the maps of the relabellings from ``start`` on."""
        real = min(len(out), self.plan.n - start)
        # always a whole block, so that no map depends on how many there are
        w = np.zeros((-(-len(out) // BATCH) * BATCH, *self._w.shape))
        w[:real] = relabelled(self._w, self.plan, slice(start, start + real))
        full = out if len(w) == len(out) else np.empty((len(w), out.shape[1]), np.float32)
        statistics(self._u, w, self._tested, float(self._df), full)
        if self._joint and self._tested == 1:
            np.square(full, out=full)
        if self._z:
            for row in full[:real]:
                joint = self._joint
                row[:] = z_of_f(row, self._tested, self._df) if joint else z_of_t(row, self._df)
        if full is not out:
            out[:] = full[: len(out)]


def permute_maps(
    maps: Maps,
    graph: Lattice,
    settings: Settings,
    *,
    forming: float,
    volumes: Sequence[tuple[str, NDArray[np.bool_]]] = (),
    joint: bool = False,
    df: float,
    rounding: float = 1e-6,
    workers: int = 1,
    enough: int = 0,
    alone: bool = False,
    kept: MutableMapping[int, NDArray[np.float64]] | None = None,
    tell: Callable[[int, int], None] = lambda done, whole: None,
) -> Spatial:
    """Permute maps and keep the maxima.

    Parameters
    ----------
    maps : Maps
        Statistic maps of the relabellings.
    graph : Lattice
        Neighbours.
    settings : Settings
        ``E``, ``H``, ``mass``, ``sign``, ``alpha``.
    forming : float
        Forming threshold, on the scale that is permuted.
    volumes : sequence of (name, (V,) bool)
        Volumes with a maximum of their own.
    joint : bool
        The statistic is F: only large values count.
    df : float
        Degrees of freedom, for what rounding does to a statistic.
    rounding : float
        Relative rounding of the data.
    workers : int
        Threads; nothing depends on them.
    enough : int
        Stop at the draw at which every maximum of the data was reached so often; 0: never.
    alone : bool
        Each maximum stops at its own draw, where its null ends: quicker, and nothing is kept.
    kept : mutable mapping of int to (k, m) array, optional
        Finished chunks by their first relabelling: those found are not computed again.
    tell : callable
        Told how many relabellings of how many are done.

    Returns
    -------
    Spatial
        Maxima, and p of every voxel.
    """
    sign = "positive" if joint else settings.sign
    how = Enhancement(settings.E, settings.H, forming, sign, settings.mass == "excess")
    power = np.arange(graph.n + 1, dtype=float) ** settings.E
    plan = maps.plan
    places = [np.flatnonzero(inside) for _, inside in volumes]
    names = ["t", "tfce", "extent", "mass"]
    names += [f"{what}:{name}" for name, _ in volumes for what in ("t", "tfce")]
    rule = 0 if plan.exhaustive else enough
    alone = alone and rule > 0
    size = 2 * BLOCK if alone else CHUNK
    ends = np.zeros(len(names), np.intp)  # draw at which each was decided; 0: not yet

    def chunk(start: int) -> NDArray[np.float64]:
        if kept is not None and start in kept:
            return kept[start]
        stop = min(start + size, plan.n)
        wanted = ends == 0 if alone else np.ones(len(names), bool)
        tool = Enhancer(graph, how, power)
        block = np.empty((BLOCK, graph.n), np.float32)
        out = np.full((stop - start, len(names)), np.nan)
        for first in range(start, stop, BLOCK):
            maps.fill(first, block)
            for row, t in enumerate(block[: stop - first], start=first - start):
                out[row, 0] = _largest(t, sign)
                for j, inside in enumerate(places):
                    out[row, 4 + 2 * j] = _largest(t[inside], sign)
                if wanted[5::2].any():
                    # without signs: what is enhanced is asked for, whatever its sign
                    out[row, 1:4], enhanced = tool.both(t)
                    out[row, 5::2] = [enhanced[inside].max() for inside in places]
                elif wanted[1:4].any():
                    out[row, 1:4] = tool.maxima(t)
        if kept is not None:
            kept[start] = out
        return out

    parts: list[NDArray[np.float64]] = []
    done, counted = 0, np.zeros(len(names), np.int64)
    for part in in_order(chunk, range(0, plan.n, size), workers):
        parts.append(part)
        tell(done + len(part), plan.n)
        if rule:
            data = parts[0][0]
            reached = part >= _cut(data, _slack(joint, df, settings.H, rounding, data[0]))
            reached[0] &= len(parts) > 1  # the data are no draw
            last = stopping_draws(reached, rule - counted)
            ends = np.where((ends == 0) & (last > 0), done + last, ends)
            counted += reached.sum(axis=0)
        done += len(part)
        if ends.all():
            break
    everything = np.concatenate(parts)
    ends = np.where(ends, ends, len(everything))
    if rule:
        everything = everything[: ends.max()]
        plan = plan.first(len(everything), rule)
    nulls = {
        name: np.ascontiguousarray(everything[: ends[j] if alone else None, j])
        for j, name in enumerate(names)
    }
    first = np.empty((BATCH, graph.n), np.float32)
    maps.fill(0, first)
    observed = first[0]
    enhanced = Enhancer(graph, how, power).map(observed)
    slack = _slack(joint, df, settings.H, rounding, float(nulls["t"][0]))
    directed = observed.astype(float)
    return Spatial(
        directed,
        enhanced,
        nulls,
        _p(nulls["t"], _toward(directed, sign), slack, rule),
        _p(nulls["tfce"], _toward(enhanced, sign), slack, rule),
        plan,
        slack,
        sign,
        settings.alpha,
    )


def rounding_of(values: NDArray[np.floating[Any]]) -> float:
    """Return the relative rounding that float32 or float64 data carry."""
    return _ROUNDING.get(values.dtype, 1e-6)


def _toward(values: NDArray[Any], sign: str) -> NDArray[np.float64]:
    return np.asarray({"two-sided": np.abs(values), "positive": values, "negative": -values}[sign])


def _largest(t: NDArray[Any], sign: str) -> float:
    if sign == "positive":
        return float(t.max())
    if sign == "negative":
        return float(-t.min())
    return float(max(t.max(), -t.min()))


def _slack(joint: bool, df: float, h: float, rounding: float, top: float) -> float:
    # rounding moves a statistic the more the nearer the fit is to perfection
    worse = top / df if joint else top**2 / df
    return rounding * (1.0 + worse) * (h + 1.0)


def _cut(value: NDArray[np.float64], slack: float) -> NDArray[np.float64]:
    return np.asarray(value - slack * np.maximum(1.0, np.abs(value)))


def _p(
    null: NDArray[np.float64], value: NDArray[np.float64], slack: float, enough: int = 0
) -> NDArray[np.float64]:
    cut = _cut(value, slack)
    if enough:
        return sequential_p(null, cut, enough)
    ordered = np.sort(null)
    return np.asarray((len(null) - np.searchsorted(ordered, cut, side="left")) / len(null))
