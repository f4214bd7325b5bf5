"""From a head to the template, and from a PET image to the T1 of the same head.

Arrays in and out: :func:`to_template`, :func:`pet_to_t1`, and without a T1
:func:`pet_to_template`. All say how good the result is, and refuse one that
cannot be right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.space.checks import (
    BRAIN_CUT,
    BRAIN_CUT_NOTE,
    NOT_A_MAXIMUM,
    WRONG_ORIENTATION,
)
from ekbom.space.grid import Grid
from ekbom.space.handed import require_side
from ekbom.space.image import Volume
from ekbom.space.pose import covered, turn_and_scale
from ekbom.space.quality import Displaced, Side, displaced
from ekbom.space.register import Kind, Registration
from ekbom.space.register import backend as chosen
from ekbom.space.rim import with_rim
from ekbom.space.template import SPACE, Template, template
from ekbom.space.transform import Affine, Transform, jacobian, round_trip

Start = Affine | Literal["com", "header", "search"]

#: Rim (mm) about the brain within which PET is compared with T1 or template.
RIM_MM = 8.0
#: Largest turn of the brain against the template (degrees).
_TURNED_DEG = 45.0

NO_SIDE_NOTE = "no T1: brought to the template of the tracer; left and right cannot be checked"


@dataclass(frozen=True, eq=False)
class Alignment:
    """How one image lies on another, and how well that is known.

    Parameters
    ----------
    transform : Transform
        From points of the fixed image (template, T1) to points of the moving one:
        what :func:`ekbom.space.warp.warp` needs to bring the moving image over.
    inverse : Transform
        The other way.
    quality : mapping of str to float
        Numbers by name; see the functions.
    backend, version : str
        Who did it.
    settings : mapping
        All that the result depends on, besides the images.
    notes : tuple of str
        What should be known.
    around : Displaced, optional
        The match of the linear step at the result and around it.
    side : Side, optional
        Whether left and right agree, where that was looked at.
    """

    transform: Transform
    inverse: Transform
    quality: Mapping[str, float]
    backend: str
    version: str
    settings: Mapping[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    around: Displaced | None = None
    side: Side | None = None


def to_template(
    t1: Volume,
    target: Template | None = None,
    *,
    backend: str = "auto",
    kind: Kind = "deformable",
    resolution_mm: float = 2.0,
    start: Start = "search",
    t1_mask: NDArray[np.bool_] | None = None,
    threads: int = 1,
    seed: int = 0,
) -> Alignment:
    """Bring a T1-weighted image to the template.

    Affine by mutual information, then deformable. The affine step is checked:
    the brain must not lie turned by more than 45 degrees, the match must fall
    4 mm along and 4 degrees about each axis, and the field of view must hold
    70 % of the brain.

    Parameters
    ----------
    t1 : Volume
        With or without skull.
    target : Template, optional
        The template at `resolution_mm` (1 mm at the finest) by default.
    backend : str
        See :func:`ekbom.space.register.backends`.
    kind : {"deformable", "affine", "rigid"}
        Freedom of the transform.
    resolution_mm : float
        Spacing of the field; it can be applied at any resolution.
    start : Affine or {"search", "com", "header"}
        Where to start.
    t1_mask : (X, Y, Z) array of bool, optional
        Where the T1 counts.
    threads : int
        The result of our own backend is the same for any number.
    seed : int
        Of the points at which images are compared.

    Returns
    -------
    Alignment
        ``transform`` takes points of the template to points of the T1. Its
        ``quality``: ``nmi`` and ``nmi_start`` (affine step), ``turn_deg`` and
        ``scale`` (of the affine part), ``coverage`` (share of the template's brain
        in the field of view), and, when deformable, ``metric`` and
        ``metric_start`` (mean squared local correlation with our own backend),
        ``jacobian_min``, ``jacobian_max``, ``folded`` (share), ``displacement_median_mm``,
        ``displacement_max_mm``, ``inverse_median_mm``, ``inverse_p95_mm``,
        all inside the brain.

    Raises
    ------
    Refused
        One of the failures above, images that match no better than at the
        start, a backend that is missing or cannot do this kind, an empty mask.
    """
    head = target or template(max(1.0, resolution_mm))
    fixed = Volume(np.asarray(head.t1, dtype=np.float64), head.grid)
    brain = np.asarray(head.brain)
    registrar = chosen(backend, kind)
    options = {"fixed_mask": brain, "moving_mask": t1_mask, "threads": threads, "seed": seed}
    linear_kind: Kind = "rigid" if kind == "rigid" else "affine"
    first = registrar.register(
        fixed,
        t1,
        kind=linear_kind,
        start=start,
        resolution=max(resolution_mm, 4.0),
        **options,  # type: ignore[arg-type]
    )
    linear = first.transform
    assert isinstance(linear, Affine)
    points = head.grid.to_world(np.argwhere(brain))
    points = points[:: max(1, len(points) // 20000)]
    turn, scale = turn_and_scale(linear)
    if turn > _TURNED_DEG:
        raise WRONG_ORIENTATION.refused(found=f"{turn:.0f} degrees, axes {t1.grid.orientation}")
    share = covered(linear, points, t1.grid, np.isfinite(t1.values))
    notes = list(first.log)
    if share < 0.7:
        raise BRAIN_CUT.refused(found=f"{100 * share:.0f} %")
    if share < 0.9:
        notes.append(BRAIN_CUT_NOTE.format(share=100 * share))
    around = displaced(fixed, t1, linear, fixed_mask=brain, seed=seed)
    _require_maximum(around, first.value_start, None)
    quality = {
        "nmi_start": first.value_start,
        "nmi": first.value,
        "turn_deg": turn,
        "scale": scale,
        "coverage": share,
    }
    found = first
    if kind == "deformable":
        found = registrar.register(
            fixed,
            t1,
            kind="deformable",
            start=linear,
            resolution=resolution_mm,
            **options,  # type: ignore[arg-type]
        )
        notes += found.log
        quality |= _deformed(found, linear, head.grid, brain, points)
    return Alignment(
        found.transform,
        found.inverse,
        quality,
        found.backend,
        found.version,
        {"Space": head.space if target else SPACE, **found.settings, "Seed": seed},
        tuple(notes),
        around,
    )


def pet_to_t1(
    pet: Volume,
    t1: Volume,
    *,
    backend: str = "auto",
    resolution_mm: float = 2.0,
    start: Start = "search",
    t1_mask: NDArray[np.bool_] | None = None,
    check_side: bool = True,
    mirror: Affine | None = None,
    threads: int = 1,
    seed: int = 0,
    file: str | None = None,
) -> Alignment:
    """Bring the mean of a PET scan to the T1 of the same head, rigidly.

    Parameters
    ----------
    pet : Volume
        Mean of the (motion-corrected) frames, or a parametric map.
    t1 : Volume
        Of the same person.
    backend : str
        See :func:`ekbom.space.register.backends`.
    resolution_mm : float
        Finest step.
    start : Affine or {"search", "com", "header"}
        Where to start.
    t1_mask : (X, Y, Z) array of bool, optional
        Brain of the T1, e.g. the template's brought over with the inverse of
        :func:`to_template`. It is widened by 8 mm: inside the brain alone the match
        hardly sees where the brain ends, and heads turned by 60 degrees can fit.
    check_side : bool
        Whether to compare with the mirrored PET.
    mirror : Affine, optional
        Reflection of the T1, from :func:`ekbom.space.handed.mirror_in` once its way to
        the template is known; without it both forms are searched for.
    threads : int
        The result of our own backend is the same for any number.
    seed : int
        Of the points at which images are compared.
    file : str, optional
        What the images are called in messages.

    Returns
    -------
    Alignment
        ``transform`` takes points of the T1 to points of the PET. Its
        ``quality``: ``nmi``, ``nmi_start``, ``shift_mm`` and ``turn_deg`` (what the
        headers were off), ``coverage`` (share of the mask in the PET), and
        ``nmi_as_is``, ``nmi_mirrored`` when the side was looked at.

    Raises
    ------
    Refused
        Images that match no better than at the start, a match that does not
        fall in all 12 directions, a mirrored PET, a backend that is missing.
    """
    registrar = chosen(backend, "rigid")
    wide = None if t1_mask is None else with_rim(t1_mask, t1.grid.voxel_size, RIM_MM)
    found = registrar.register(
        t1,
        pet,
        kind="rigid",
        start=start,
        fixed_mask=wide,
        resolution=resolution_mm,
        threads=threads,
        seed=seed,
    )
    linear = found.transform
    assert isinstance(linear, Affine)
    around = displaced(t1, pet, linear, fixed_mask=wide, seed=seed)
    _require_maximum(around, found.value_start, file)
    inside = t1_mask if t1_mask is not None else np.isfinite(np.asarray(t1.values, dtype=float))
    points = t1.grid.to_world(np.argwhere(inside))
    points = points[:: max(1, len(points) // 20000)]
    centre = points.mean(axis=0)
    quality = {
        "nmi_start": found.value_start,
        "nmi": found.value,
        "shift_mm": float(np.sqrt(((linear.points(centre) - centre) ** 2).sum())),
        "turn_deg": turn_and_scale(linear)[0],
        "coverage": covered(linear, points, pet.grid, np.isfinite(pet.values)),
    }
    notes = list(found.log)
    looked = None
    if check_side:
        looked, note = require_side(
            t1, pet, linear, mirror=mirror, fixed_mask=wide, seed=seed, file=file
        )
        quality |= {"nmi_as_is": looked.as_is, "nmi_mirrored": looked.mirrored}
        notes += [note] if note else []
    return Alignment(
        linear,
        linear.inverse(),
        quality,
        found.backend,
        found.version,
        {**found.settings, "Seed": seed},
        tuple(notes),
        around,
        looked,
    )


def pet_to_template(
    pet: Volume,
    tracer: Volume,
    *,
    tracer_mask: NDArray[np.bool_] | None = None,
    backend: str = "auto",
    resolution_mm: float = 2.0,
    start: Start = "search",
    threads: int = 1,
    seed: int = 0,
    file: str | None = None,
) -> Alignment:
    """Bring a PET image to a template of its tracer, when there is no T1.

    Affine: noise is followed by a finer deformation. The template is symmetric
    and cannot tell the side.

    Parameters
    ----------
    pet : Volume
        Mean of the frames, or a parametric map.
    tracer : Volume
        Mean map in template space
        (:func:`ekbom.space.tracer_template.tracer_template`); NaN counts as 0.
    tracer_mask : (X, Y, Z) array of bool, optional
        The brain on its grid; where the map has a value by default. It is widened by
        8 mm, for the same reason as that of :func:`pet_to_t1`.
    backend : str
        See :func:`ekbom.space.register.backends`.
    resolution_mm : float
        Finest step.
    start : Affine or {"search", "com", "header"}
        Where to start.
    threads : int
        The result of our own backend is the same for any number.
    seed : int
        Of the points at which images are compared.
    file : str, optional
        Name of the PET image, for messages.

    Returns
    -------
    Alignment
        ``transform`` takes points of the template to points of the PET. Its
        ``quality``: ``nmi``, ``nmi_start``, ``turn_deg``, ``scale``, ``coverage``.

    Raises
    ------
    Refused
        A brain turned by more than 45 degrees, less than 70 % of it in the field
        of view, a match that does not fall in all 12 directions or is no better
        than at the start, a backend that is missing.
    """
    registrar = chosen(backend, "affine")
    values = np.asarray(tracer.values, dtype=np.float64)
    brain = np.isfinite(values) & (values != 0) if tracer_mask is None else tracer_mask
    wide = with_rim(brain, tracer.grid.voxel_size, RIM_MM)
    still = Volume(np.nan_to_num(values), tracer.grid, tracer.unit)
    found = registrar.register(
        still,
        pet,
        kind="affine",
        start=start,
        fixed_mask=wide,
        resolution=resolution_mm,
        threads=threads,
        seed=seed,
    )
    linear = found.transform
    assert isinstance(linear, Affine)
    turn, scale = turn_and_scale(linear)
    if turn > _TURNED_DEG:
        raise WRONG_ORIENTATION.refused(
            file=file, found=f"{turn:.0f} degrees, axes {pet.grid.orientation}"
        )
    points = tracer.grid.to_world(np.argwhere(brain))
    points = points[:: max(1, len(points) // 20000)]
    share = covered(linear, points, pet.grid, np.isfinite(pet.values))
    if share < 0.7:
        raise BRAIN_CUT.refused(file=file, found=f"{100 * share:.0f} %")
    around = displaced(still, pet, linear, fixed_mask=wide, seed=seed)
    _require_maximum(around, found.value_start, file)
    notes = [*found.log, NO_SIDE_NOTE]
    if share < 0.9:
        notes.append(BRAIN_CUT_NOTE.format(share=100 * share))
    return Alignment(
        linear,
        found.inverse,
        {
            "nmi_start": found.value_start,
            "nmi": found.value,
            "turn_deg": turn,
            "scale": scale,
            "coverage": share,
        },
        found.backend,
        found.version,
        {**found.settings, "Seed": seed},
        tuple(notes),
        around,
    )


def _require_maximum(around: Displaced, start: float, file: str | None) -> None:
    if around.interior and math.isfinite(around.value):
        return
    lower = sum(v < around.value for v in around.around)
    raise NOT_A_MAXIMUM.refused(
        file=file,
        found=f"NMI {around.value:.4f} at the result, {start:.4f} at the start; "
        f"it falls in {lower} of 12 directions",
    )


def _deformed(
    found: Registration,
    linear: Affine,
    grid: Grid,
    brain: NDArray[np.bool_],
    points: NDArray[np.float64],
) -> dict[str, float]:
    volume = jacobian(found.transform, grid)[brain] / np.linalg.det(linear.matrix[:3, :3])
    apart = round_trip(found.transform, found.inverse, points)
    moved = found.transform.points(points) - linear.points(points)
    far = np.sqrt((moved**2).sum(axis=1))
    folded = float((volume <= 0).mean())
    if folded > 0:
        raise Refused(
            "The registration folds inside the brain.",
            found=f"{100 * folded:.2g} % of the voxels",
            expected="none",
            mend="Try our own backend (numba).",
        )
    return {
        "metric_start": found.value_start,
        "metric": found.value,
        "jacobian_min": float(volume.min()),
        "jacobian_max": float(volume.max()),
        "folded": folded,
        "displacement_median_mm": float(np.median(far)),
        "displacement_max_mm": float(far.max()),
        "inverse_median_mm": float(np.median(apart)),
        "inverse_p95_mm": float(np.percentile(apart, 95.0)),
    }
