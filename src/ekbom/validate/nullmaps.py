"""Null studies of maps: how often each correction finds something where nothing is.

Each statistic of a study is drawn on until that of the data was reached so often that more draws
cannot bring its p to .05, which decides as all draws would and takes a third of the time (Besag
& Clifford 1991). The sequential p and the tail are taken from the same draws. Studies are kept as
they are done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from ekbom import __version__
from ekbom.inference import Settings, fit, lattice
from ekbom.inference.clusters import clusters
from ekbom.inference.lattice import Lattice
from ekbom.inference.permute.sequential import in_order, sequential_p
from ekbom.inference.permute.spatial import Exchanged, Spatial, permute_maps
from ekbom.inference.permute.tail import BELOW, tail_p
from ekbom.inference.question import Question, ask
from ekbom.inference.searched import field_of, forming_threshold
from ekbom.validate.kept import of_this_code, said_of, stamp
from ekbom.validate.result import Check, binomial_gate

ALPHA = 0.05
STATISTICS = {
    "t": "max-T", "tfce": "TFCE", "extent": "cluster extent", "mass": "cluster mass",
    "t:ball": "small volume, max-T", "tfce:ball": "small volume, TFCE",
}  # fmt: skip
SEQUENTIAL, TAIL = 20, 250
"""Exceedances at which the sequential p stops; draws that the tail is fitted to."""
KEEP = 20
"""Studies between two writings of what is done."""


@dataclass(frozen=True)
class Cell:
    """One kind of null study.

    Parameters
    ----------
    noise : {"Gaussian", "skewed"}
        Marginal distribution.
    n1, n2 : int
        People.
    width : float
        FWHM in voxels.
    shape : (3,) int
        Grid.
    permutations : int
        Relabellings, the data counted.
    seed : int
        Of every draw.
    """

    noise: str
    n1: int
    n2: int
    width: float
    shape: tuple[int, int, int]
    permutations: int
    seed: int

    @property
    def name(self) -> str:
        """The cell in words."""
        return f"{self.noise}, {self.n1} + {self.n2}, FWHM {self.width:g}"

    @property
    def file(self) -> str:
        """Name of the file of its finished studies: all that they depend on."""
        grid = "x".join(map(str, self.shape))
        return (
            f"{self.noise.lower()}-{self.n1}v{self.n2}-fwhm{self.width:g}-{grid}"
            f"-{self.permutations}-seed{self.seed}-v{__version__}.tsv"
        )


def null_maps(
    cell: Cell,
    studies: int,
    *,
    kept: Path | None = None,
    workers: int = 1,
    tell: Callable[[str], None] = lambda text: None,
) -> list[Check]:
    """Run the null studies of a cell.

    Parameters
    ----------
    cell : Cell
        What is simulated.
    studies : int
        How many.
    kept : Path, optional
        Folder of finished studies: those found there are not run again.
    workers : int
        Studies at once; nothing depends on it.
    tell : callable
        Told how many studies are done.

    Returns
    -------
    list of Check
        Counts of studies that found something, with gates.
    """
    file = None if kept is None else kept / cell.file
    rows: list[Mapping[str, float]] = []
    mine = file is None or not file.exists() or of_this_code(file)
    if file is not None and file.exists():
        table = pd.read_csv(file, sep="\t").head(studies)
        rows = [{str(k): float(v) for k, v in row.items()} for row in table.to_dict("records")]
    begun = range(len(rows), studies)
    for study, row in zip(begun, in_order(lambda k: _study(cell, k), begun, workers), strict=True):
        rows.append(row)
        if file is not None and ((study + 1) % KEEP == 0 or study + 1 == studies):
            file.parent.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(".part")
            pd.DataFrame(rows).to_csv(part, sep="\t", index=False, float_format="%.6g")
            part.replace(file)
            if mine:
                stamp(file)
            tell(f"maps, {cell.name}: {study + 1} of {studies} studies")
    checks = _checks(cell, pd.DataFrame(rows), studies)
    return checks if file is None else said_of(file, checks)


def noise_maps(
    rng: np.random.Generator, n: int, shape: Sequence[int], width: float, kind: str
) -> NDArray[np.float32]:
    """Return stationary noise maps.

    Parameters
    ----------
    rng : Generator
        Source.
    n : int
        How many.
    shape : sequence of int
        Grid.
    width : float
        FWHM in voxels.
    kind : {"Gaussian", "skewed"}
        Marginal distribution: normal, or its exponential.

    Returns
    -------
    ndarray, (n, X, Y, Z)
        float32, of mean about 0 and SD 1.
    """
    sigma = width / np.sqrt(8 * np.log(2))
    pad = int(np.ceil(3 * sigma))
    out = rng.standard_normal((n, *(s + 2 * pad for s in shape)), dtype=np.float32)
    for axis in (1, 2, 3):
        out = gaussian_filter1d(out, sigma, axis=axis, truncate=3.0)
        out = out[tuple(slice(pad, -pad) if k == axis else slice(None) for k in range(4))]
    out /= out.std()
    if kind == "skewed":
        out = np.exp(out)
        out = (out - out.mean()) / out.std()
    return np.ascontiguousarray(out, np.float32)


def two_groups(n1: int, n2: int) -> pd.DataFrame:
    """Return a table of two groups."""
    return pd.DataFrame(
        {
            "participant": [f"s{i:02d}" for i in range(n1 + n2)],
            "group": ["rls"] * n1 + ["control"] * n2,
        }
    )


def _study(cell: Cell, study: int) -> dict[str, float]:
    """Whether one study found something (1) or not (0), by method."""
    kind = [cell.seed, cell.n1, cell.n2, round(10 * cell.width), len(cell.noise), study]
    rng = np.random.default_rng(kind)
    question, mask, ball, graph = _asked(cell)
    # another draw of relabellings for each study, so that the cell does not hang on one of them
    settings = replace(question.settings, seed=cell.seed * 100_003 + study)
    values = noise_maps(rng, cell.n1 + cell.n2, cell.shape, cell.width, cell.noise)[:, mask]
    found = fit(values, question.model)
    least = round(ALPHA * cell.permutations)  # so many draws, and p is above alpha for good
    spatial = permute_maps(
        Exchanged(values, question.model, settings),
        graph,
        settings,
        forming=forming_threshold(found, settings),
        volumes=[("ball", ball[mask])],
        df=found.df,
        enough=max(least, SEQUENTIAL),
        alone=True,
    )
    out: dict[str, float] = {}
    for key, name in STATISTICS.items():
        null, cut = spatial.nulls[key], _cut(spatial, key)
        out[name] = float(found_something(spatial, key))
        if key in ("t", "tfce"):
            p = float(sequential_p(null, np.array([cut]), SEQUENTIAL)[0])
            out[f"{name}, stopped at {SEQUENTIAL}"] = float(p <= ALPHA)
            if least >= TAIL * BELOW:  # a study that stopped earlier had no p to extrapolate
                by_tail = _by_tail(null[: TAIL + 1], cut)
                out[f"{name}, tail of {TAIL} draws"] = float(by_tail <= ALPHA)
    for name, p in _field_p(values, question, mask).items():
        out[name] = float(p <= ALPHA)
    out["draws"] = spatial.plan.n
    return out


def found_something(spatial: Spatial, key: str) -> bool:
    """Whether the p of a maximum is at most .05 by all draws, of which the last may be missing.

    Parameters
    ----------
    spatial : Spatial
        Its draws end where a statistic was reached too often, if they end early.
    key : str
        Which maximum.

    Returns
    -------
    bool
        The verdict.
    """
    null = spatial.nulls[key]
    reached = int((null[1:] >= _cut(spatial, key)).sum())
    enough = spatial.plan.enough
    return (enough is None or reached < enough) and (reached + 1) / len(null) <= ALPHA


def _cut(spatial: Spatial, key: str) -> float:
    top = float(spatial.nulls[key][0])
    return top - spatial.slack * max(1.0, abs(top))


@lru_cache(maxsize=8)
def _asked(cell: Cell) -> tuple[Question, NDArray[np.bool_], NDArray[np.bool_], Lattice]:
    """Question, mask, small volume and neighbours of all studies of a cell."""
    settings = Settings("tfce", cell.permutations)
    mask = np.ones(cell.shape, bool)
    away = np.indices(cell.shape) - np.array(cell.shape)[:, None, None, None] // 2
    question = ask(two_groups(cell.n1, cell.n2), "~ group", "rls - control", "u", settings)
    return question, mask, (away**2).sum(axis=0) <= 9, lattice(mask)


def _by_tail(null: NDArray[np.float64], cut: float) -> float:
    """Return p by the tail, or that of the draws when it is not extrapolated."""
    reached = int((null[1:] >= cut).sum())
    p = (reached + 1) / len(null)
    if p >= BELOW:
        return p
    tail = float(tail_p(null, null[:1], np.array([p]))[0][0])
    return tail if np.isfinite(tail) else p


def _field_p(
    values: NDArray[np.float32], question: Question, mask: NDArray[np.bool_]
) -> dict[str, float]:
    found = fit(values, question.model)
    affine = np.eye(4)
    field = field_of(values, question, found, mask, affine)
    out = {"random field, peak": 1.0}
    for forming in (".001", ".01"):
        for how in ("local resels", "global width"):
            out[f"random field, cluster at {forming}, {how}"] = 1.0
    if field.space is None or field.smooth is None:
        return out
    out["random field, peak"] = field.space.p_peak(float(np.abs(found.statistic).max()))[0]
    for forming in (".001", ".01"):
        u = forming_threshold(found, Settings(forming_p=float(forming)))
        joined = clusters(found.statistic, mask, affine, u)
        local = max((float(field.smooth.rpv[c.voxels].sum()) for c in joined), default=0.0)
        whole = max((c.size for c in joined), default=0) / np.prod(field.smooth.fwhm_vox)
        for how, k in (("local resels", local), ("global width", float(whole))):
            if joined:
                name = f"random field, cluster at {forming}, {how}"
                out[name] = field.space.p_cluster(k, u)
    return out


def _checks(cell: Cell, frame: pd.DataFrame, count: int) -> list[Check]:
    low, high = (float(g) for g in binomial_gate(count, ALPHA))
    out = []
    for name in frame.columns:
        if name == "draws":
            continue
        gate, note = (low, high), ""
        if name.startswith("random"):
            bound = cell.noise == "Gaussian" and name.endswith("peak")
            gate = (np.nan, high if bound else np.nan)
            note = "may exceed" if " .01," in name else ""
        hits = int(frame[name].sum())
        out.append(Check(f"{name}: {cell.name}", hits, count, "null studies", *gate, note=note))
    return out
