"""What was found in a mask: fit, field, permutation and clusters of one voxel question."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from ekbom.inference.clusters import Cluster
from ekbom.inference.glm import Fit, residuals
from ekbom.inference.masking import Tally
from ekbom.inference.multiple import benjamini_hochberg
from ekbom.inference.permute.engine import Permuted
from ekbom.inference.permute.spatial import Spatial
from ekbom.inference.question import Question
from ekbom.inference.rft import RandomField
from ekbom.inference.settings import Settings
from ekbom.inference.smoothness import FEW, LEAST, Smoothness, resels, smoothness
from ekbom.inference.tails import z_of_f, z_of_t
from ekbom.inference.volumes import SearchVolume

Label = Callable[[float, float, float], str]
"""Name of the region at x, y, z mm."""


NOISY = 30
"""Degrees of freedom under which resels a voxel are told to be uncertain."""


@dataclass(frozen=True)
class Field:
    """The random field of a question, or why there is none.

    Parameters
    ----------
    smooth : Smoothness or None
        Smoothness of the residuals.
    space : RandomField or None
        Field over the mask; None when it may not be used.
    why : str
        Why not; empty when it may.
    warnings : tuple of str
        What a reader must know.
    """

    smooth: Smoothness | None
    space: RandomField | None
    why: str = ""
    warnings: tuple[str, ...] = ()

    def inside(self, mask: NDArray[np.bool_], inside: NDArray[np.bool_]) -> RandomField | None:
        """Return the field over a part of the mask (masked index)."""
        if self.space is None or self.smooth is None:
            return None
        part = np.zeros_like(mask)
        part[mask] = inside
        counted = resels(part, self.smooth.fwhm_vox)
        space = self.space
        return RandomField(space.kind, space.df, counted, int(inside.sum()), space.tails)


@dataclass(frozen=True)
class Searched:
    """Everything the tables and maps of a voxel question are made of."""

    question: Question
    found: Fit
    field: Field
    permuted: Permuted | None
    spatial: Spatial | None
    clusters: list[Cluster]
    forming: float
    mask: NDArray[np.bool_]
    affine: NDArray[np.float64]
    tally: Tally
    volumes: tuple[SearchVolume, ...]
    label: Label | None

    @property
    def settings(self) -> Settings:
        """Choices of the question."""
        return self.question.settings

    @cached_property
    def place(self) -> NDArray[np.intp]:
        """Index of each voxel of the mask, (V, 3)."""
        return np.argwhere(self.mask)

    @cached_property
    def p(self) -> NDArray[np.float64]:
        """Uncorrected p, (V,)."""
        return self.found.p(self.settings.sign)

    @cached_property
    def p_fdr(self) -> NDArray[np.float64]:
        """p adjusted over voxels for the false discovery rate, (V,)."""
        return benjamini_hochberg(self.p)

    @property
    def voxel_mm3(self) -> float:
        """Volume of a voxel."""
        return round(abs(float(np.linalg.det(self.affine[:3, :3]))), 6)

    def mm(self, voxel: int) -> tuple[float, float, float]:
        """Return the place of a voxel (masked index) in mm."""
        x, y, z = (float(c) for c in self.affine[:3, :3] @ self.place[voxel] + self.affine[:3, 3])
        return x, y, z

    def name(self, voxel: int) -> str:
        """Return the region of a voxel."""
        return "n/a" if self.label is None else self.label(*self.mm(voxel))

    @cached_property
    def by_height(self) -> dict[int, float]:
        """False-discovery p of every local maximum in clusters, by voxel."""
        space = self.field.space
        tops = [v for cluster in self.clusters for v in cluster.maxima]
        if space is None or not tops:
            return {}
        p = space.p_height(np.abs(self.found.statistic[tops]), self.forming)
        return dict(zip(tops, benjamini_hochberg(p).tolist(), strict=True))

    @cached_property
    def extents(self) -> list[dict[str, Any]]:
        """What is known of each cluster as a whole."""
        out: list[dict[str, Any]] = []
        smooth, space, spatial = self.field.smooth, self.field.space, self.spatial
        strength = np.abs(self.found.statistic if spatial is None else spatial.observed)
        forming = self.forming if spatial is None else permuted_forming(self.found, self.settings)
        for cluster in self.clusters:
            above = strength[cluster.voxels]
            mass = float((above - forming if self.settings.mass == "excess" else above).sum())
            row: dict[str, Any] = {"k_vox": cluster.size, "k_mm3": cluster.size * self.voxel_mm3}
            row["mass"] = mass
            if space is not None and smooth is not None:
                k = cluster.size / math.prod(smooth.fwhm_vox)
                rpv = float(smooth.rpv[cluster.voxels].sum())
                row |= {"k_resels": k, "k_rpv": rpv}
                if space.kind in ("Z", "T"):
                    row |= {
                        "p_rft_cluster": space.p_cluster(rpv, self.forming),
                        "p_rft_cluster_fwhm": space.p_cluster(k, self.forming),
                        "p_cluster_unc": space.p_extent(rpv, self.forming),
                    }
            if spatial is not None:
                row["p_extent"] = float(spatial.p("extent", cluster.size))
                row["p_mass"] = float(spatial.p("mass", mass))
                top = spatial.enhanced[cluster.voxels]
                row["p_tfce"] = float(spatial.p("tfce", np.abs(top).max()))
            out.append(row)
        if out and "p_cluster_unc" in out[0]:
            adjusted = benjamini_hochberg([row["p_cluster_unc"] for row in out])
            for row, p in zip(out, adjusted.tolist(), strict=True):
                row["p_fdr_cluster"] = p
        return out


def forming_threshold(found: Fit, settings: Settings) -> float:
    """Return the statistic above which voxels are joined into clusters.

    Parameters
    ----------
    found : Fit
        Its kind of statistic and degrees of freedom.
    settings : Settings
        ``forming``, or ``forming_p`` from which it follows.

    Returns
    -------
    float
        t or F.
    """
    if settings.forming is not None:
        return settings.forming
    if found.kind == "F":
        return float(stats.f.isf(settings.forming_p, found.df1, found.df))
    return float(special.stdtrit(found.df, 1.0 - settings.forming_p))


def permuted_forming(found: Fit, settings: Settings) -> float:
    """Return the forming threshold on the scale that is permuted."""
    forming = forming_threshold(found, settings)
    if settings.on == "t":
        return forming
    if found.kind == "F":
        return float(z_of_f(forming, found.df1, found.df))
    return float(z_of_t(forming, found.df))


def field_of(
    kept: NDArray[np.floating[Any]],
    question: Question,
    found: Fit,
    mask: NDArray[np.bool_],
    affine: NDArray[np.float64],
) -> Field:
    """Return the random field of a question.

    Parameters
    ----------
    kept : (n, V)
        Rows of the design at the voxels of ``mask``.
    question, found
        What was asked, and its fit.
    mask, affine
        Voxels that are tested, and where they are.

    Returns
    -------
    Field
        Without a space when the map is too rough, flat, or has degrees of freedom by voxel.
    """
    settings = question.settings
    if found.df_each is not None:
        return Field(None, None, "degrees of freedom differ between voxels")
    e = residuals(kept, question.model)
    smooth = smoothness(e, mask, affine, found.df, settings.convention)
    if smooth is None:
        return Field(None, None, "the mask is not three-dimensional, or df are under 3")
    least = min(smooth.fwhm_vox)
    size = " x ".join(f"{w:.2f}" for w in smooth.fwhm_vox)
    if least < LEAST:
        return Field(smooth, None, f"FWHM {size} voxels is under {LEAST:g}")
    warnings = []
    if least < FEW:
        warnings.append(
            f"FWHM {size} voxels is under {FEW:g}: random-field p values are rough here."
        )
    if found.kind == "t" and found.df < NOISY:
        warnings.append(
            f"With {found.df} degrees of freedom local resels are uncertain, and random-field p of "
            "cluster extent in them too small: p_rft_cluster_fwhm or permuted extent is safer."
        )
    tails = 2 if found.kind == "t" and settings.sign == "two-sided" else 1
    df: tuple[float, ...] = (float(found.df),)
    if found.kind == "F":
        df = (float(found.df1), float(found.df))
    kind = "T" if found.kind == "t" else "F"
    space = RandomField(
        "T" if kind == "T" else "F", df, resels(mask, smooth.fwhm_vox), int(mask.sum()), tails
    )
    if settings.forming is None and settings.forming_p > 0.001:
        warnings.append(
            f"Clusters formed at p {settings.forming_p:g}: random-field p values of cluster extent "
            "are liberal above .001 (Eklund 2016)."
        )
    return Field(smooth, space, "", tuple(warnings))
