"""The image part of the PET measure: curves of regions, and maps.

Every map says in its sidecar how it was made. The map that group questions
use carries the name of the outcome as its parameter (``VT``): it is smoothed,
and brought to the resolution of the plan, when the plan says so. The map from
before that is published beside it as ``VT_unsmoothed``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ekbom.measures.pet.compartment_maps import map_compartments
from ekbom.measures.pet.dose import Injected
from ekbom.measures.pet.flags import MEANINGS, bits
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.image_figures import map_figures
from ekbom.measures.pet.input import InputFunction
from ekbom.measures.pet.io.bids import Scan
from ekbom.measures.pet.io.image import DynamicImage, read_image
from ekbom.measures.pet.io.native import read_native
from ekbom.measures.pet.map_settings import MAP_OUTCOMES
from ekbom.measures.pet.map_smoothing import brought, target_grid
from ekbom.measures.pet.map_smoothing import smoothed as smoothed_map
from ekbom.measures.pet.parametric import map_voxels
from ekbom.measures.pet.reference_regional import map_model
from ekbom.measures.pet.regions import Curves, join
from ekbom.measures.pet.settings import COMPARTMENT, GRAPHICAL, REFERENCE, PETSettings
from ekbom.measures.pet.spectral import UNITS
from ekbom.measures.pet.tstar import choose_tstar
from ekbom.measures.pet.uptake import map_suv
from ekbom.measures.pet.voxels import VoxelFit, with_signal
from ekbom.nouns import Figure, Map, Note
from ekbom.space import Grid, LabelImage, resample, smooth
from ekbom.space.checks import FIELD_OF_VIEW, FIELD_OF_VIEW_NOTE
from ekbom.space.labels import region_curves
from ekbom.space.smooth import smoothing_note

Array = NDArray[np.float64]

#: Outcomes that only maps have, and their units.
OUTCOMES: Mapping[str, str] = {
    name: UNITS[name] for name in ("IRF60", "extrapolated", "components")
}

#: Maps that group questions are asked of, and so are smoothed.
SMOOTHED = ("VT", "K1", "IRF60", "BPND", "R1", "SUVR", "SUV")


@dataclass(frozen=True)
class Maps:
    """What the image of one scan gave.

    Parameters
    ----------
    maps : sequence of Map
        In the order of the plan.
    notes : sequence of Note
        What a reader must know.
    figures : sequence of Figure
        One a model.
    """

    maps: Sequence[Map] = ()
    notes: Sequence[Note] = ()
    figures: Sequence[Figure] = ()


def load(
    files: Mapping[str, Sequence[Path]], scan: Scan, settings: PETSettings
) -> DynamicImage | None:
    """Read the image of a scan when its inputs name one.

    Parameters
    ----------
    files : mapping of str to sequence of Path
        Roles of the scan's inputs.
    scan : Scan
        What its JSON says.
    settings : PETSettings
        Where maps are brought together.

    Returns
    -------
    DynamicImage or None
        ``None`` without the role ``image``.
    """
    if "image" not in files:
        return None
    native = any(role in files for role in ("anat", "straight"))
    return read_native(files, scan, settings) if native else read_image(files, scan)


def regional_curves(image: DynamicImage | None, settings: PETSettings) -> list[Curves]:
    """Return the mean curves of the regions of every label image.

    Parameters
    ----------
    image : DynamicImage or None
        Of the scan.
    settings : PETSettings
        Segmentations and joined regions.

    Returns
    -------
    list of Curves
        One a segmentation; without any label image the mean over the brain
        mask, as ``image:brain``. Regions of which less than 80 % lies in the
        field of view are left out.
    """
    if image is None:
        return []
    labels = dict(image.labels)
    if settings.segmentations is not None:
        labels = {name: labels[name] for name in settings.segmentations if name in labels}
    if not labels:
        whole = image.brain_mask.astype(np.int32)
        labels = {"image": LabelImage(whole, image.grid, {1: "brain"}, "image", image.space)}
    found = []
    for name, one in labels.items():
        values, _ = region_curves(image.curves, image.voxels, one)
        there = np.asarray(np.isfinite(values).all(axis=1))
        names = tuple(n for n, ok in zip(one.names, there, strict=True) if ok)
        volumes = {n: v for n, v in one.volumes().items() if n in names}
        curves = Curves(name, names, values[there], volumes, image.source, {})
        found.append(join(curves, settings.regions.get(name, {})))
    return found


def maps_of(
    image: DynamicImage | None,
    frames: Frames,
    input: InputFunction | None,
    weights: Array,
    settings: PETSettings,
    *,
    regions: Array,
    tstar: Mapping[str, float],
    meta: Mapping[str, Any],
    reference: Array | None = None,
    injected: Injected | None = None,
) -> Maps:
    """Fit every voxel with every model of ``[measures.pet.maps]``.

    Parameters
    ----------
    image : DynamicImage or None
        Curves of the voxels.
    frames : Frames
        Of the scan.
    input : InputFunction or None
        As tissue sees it, delay applied; ``None`` when no model needs blood.
    weights : (F,) array
        Of squared residuals, as in the regional fits.
    settings : PETSettings
        Models, outcomes, smoothing.
    regions : (N, F) array
        Regional curves, on which t* is chosen when no regional fit has one.
    tstar : mapping of str to float
        Minutes by graphical model, where a regional fit has used one.
    meta : mapping
        What the sidecars say of scan, blood and input.
    reference : (F,) array, optional
        Curve of the reference region.
    injected : Injected, optional
        What SUV divides by.

    Returns
    -------
    Maps
        Only notes when no model is asked for, nothing without an image.

    Raises
    ------
    Refused
        When less than 70 % of the brain mask holds activity.
    """
    if image is None:
        return Maps()
    notes = [Note("image", text) for text in image.notes]
    if not settings.maps.model:
        return Maps(notes=notes)
    maps: list[Map] = []
    figures: list[Figure] = []
    notes += _covered(image)
    curves = _calm(image, settings.maps.frame_fwhm)
    for model in settings.maps.model:
        start = None
        if model in REFERENCE:
            assert reference is not None
            fit = map_model(
                curves, reference, frames, model, weights, regions, tstar.get(model), settings
            )
        elif model == "suv":
            assert injected is not None
            assert settings.window is not None
            fit = map_suv(curves, frames, injected, settings.window)
        else:
            assert input is not None
            if model in GRAPHICAL:
                start = tstar.get(model)
                if start is None:
                    start = _tstar(regions, frames, input, weights, model, settings)
            fit = _fit(curves, frames, input, weights, model, start, settings)
        made, said = _published(image, fit, settings, meta)
        maps += made
        notes.append(_voxel_note(image, fit))
        notes += [Note("map-smoothing", text) for text in said]
        if settings.figures:
            figures += map_figures(image, fit, made)
    return Maps(maps, tuple(dict.fromkeys(notes)), figures)


def _covered(image: DynamicImage) -> list[Note]:
    """Refuse an image of which more than 30 % of the brain is missing, note 10 %."""
    missing = 100.0 * (1.0 - float(with_signal(image.brain_curves).mean()))
    if missing > 30.0:
        raise FIELD_OF_VIEW.refused(
            file=image.source, found=f"{100 - missing:.0f} % of the mask ({image.mask_source})"
        )
    if missing > 10.0:
        return [Note("field-of-view", FIELD_OF_VIEW_NOTE.format(share=missing))]
    return []


def _calm(image: DynamicImage, fwhm: float) -> Array:
    """Curves of the brain after smoothing every frame inside the brain mask."""
    if fwhm == 0:
        return image.brain_curves
    mask, inside = image.brain_mask, image.voxels[: image.n_brain]
    out = np.empty_like(image.brain_curves)
    for frame in range(image.curves.shape[1]):
        volume = image.image(image.brain_curves[:, frame])
        out[:, frame] = smooth(volume, image.grid.voxel_size, fwhm, mask).ravel()[inside]
    return out


def _fit(
    curves: Array,
    frames: Frames,
    input: InputFunction,
    weights: Array,
    model: str,
    start: float | None,
    settings: PETSettings,
) -> VoxelFit:
    if model in COMPARTMENT:
        return map_compartments(
            curves,
            frames,
            input,
            model=model,
            weights=weights,
            vB=settings.compartment.vB,
            se=settings.maps.se,
            decay_weighted=settings.frame_mean == "decay-weighted",
        )
    spectral = settings.maps.spectral
    slowest = spectral.beta_min
    if slowest is None:
        # With the noise of a voxel, rates the scan cannot tell from zero make
        # V_T anything: see docs/pet/maps.md for the numbers.
        slowest = 1.0 / float(frames.end[-1])
    return map_voxels(
        curves,
        frames,
        input,
        model=model,
        weights=weights,
        vB=spectral.vB if model == "spectral" else settings.vB,
        tstar=start,
        beta_min=slowest,
        beta_max=spectral.beta_max,
        nodes=spectral.nodes,
        draws=spectral.draws if settings.maps.se else 0,
        decay_weighted=settings.frame_mean == "decay-weighted",
    )


def _tstar(
    regions: Array,
    frames: Frames,
    input: InputFunction,
    weights: Array,
    model: str,
    settings: PETSettings,
) -> float:
    if settings.tstar != "auto":
        return float(settings.tstar)
    chosen = choose_tstar(
        regions[np.isfinite(regions).all(axis=1)],
        frames,
        input,
        model=model,
        vB=settings.vB,
        weights=weights,
        frame_mean=settings.frame_mean,
    )
    return float(chosen.value)


def _published(
    image: DynamicImage, fit: VoxelFit, settings: PETSettings, meta: Mapping[str, Any]
) -> tuple[list[Map], list[str]]:
    wanted = [name for name in MAP_OUTCOMES[fit.model] if name in settings.maps.outcome]
    target = target_grid(image, settings)
    fwhm = settings.space.fwhm
    changed = fwhm > 0 or target != image.grid or image.way is not None
    said: list[str] = []
    note = smoothing_note(image.grid.voxel_size, fwhm) if wanted else None
    if note:
        said.append(note)
    # The unit of the image must not stand where that of the map belongs.
    about = {("ImageUnits" if key == "Units" else key): value for key, value in meta.items()}
    common = {
        **about,
        "Model": fit.model,
        "ModelSettings": dict(fit.meta),
        "BrainMask": image.mask_source,
        "VoxelsInMask": image.n_brain,
        "VoxelsByFlag": fit.count(),
        "Interpolations": 1 if image.way is not None and image.way.frames else 0,
        **_way_words(image),
        "FrameSmoothingFWHM": settings.maps.frame_fwhm,
        "SmoothingFWHM": 0.0,
    }
    stem = f"space-{image.space}_desc-{fit.model}"
    maps = []

    def add(name: str, values: Array, parameter: str, unit: str, more: Mapping[str, Any]) -> None:
        maps.append(_map(name, values, image.grid, image.space, parameter, unit, fit.model, more))

    for name in wanted:
        values = image.image(fit.params[name])
        smoothed = changed and name in SMOOTHED
        parameter = f"{name}_unsmoothed" if smoothed else name
        add(f"{stem}_{name}_mimap", values, parameter, fit.units[name], common)
        if smoothed:
            calm, left_out = (
                smoothed_map(values, image, fwhm)
                if image.way is None
                else brought(values, image, image.way, target, settings)
            )
            more = {**common, "SmoothingFWHM": fwhm, "VoxelsLeftOutOfSmoothing": left_out}
            resolution, space = "", image.space
            if image.way is not None:
                more["Interpolations"] = int(common["Interpolations"]) + 1
                more |= {"Grid": target.as_dict(), "Interpolation": settings.space.interpolation}
                resolution = f"_res-{target.voxel_size[0]:g}".replace(".", "p")
                space = image.way.space
            elif target != image.grid:
                calm = resample(calm, image.grid, target, antialias=fwhm == 0)
                more |= {"Interpolations": 1, "Grid": target.as_dict()}
                resolution = f"_res-{settings.space.resolution:g}".replace(".", "p")
            if left_out:
                said.append(f"{fit.model} {name}: {left_out} outlying voxels left out of smoothing")
            full = f"space-{space}{resolution}_desc-{fit.model}Smoothed_{name}_mimap"
            maps.append(_map(full, calm, target, space, name, fit.units[name], fit.model, more))
        if settings.maps.se and name in fit.se:
            se = image.image(fit.se[name])
            add(f"{stem}_{name}se_mimap", se, f"{name}_se", fit.units[name], common)
            cv = np.full(values.shape, np.nan)
            np.divide(100.0 * se, np.abs(values), out=cv, where=np.abs(values) > 0)
            add(f"{stem}_{name}cv_mimap", cv, f"{name}_cv", "%", common)
    if settings.maps.flags:
        meanings = {str(bits([word])): f"{word}: {text}" for word, text in MEANINGS.items()}
        words = {**common, "Levels": meanings}
        flags = image.image(fit.flags)
        add(f"{stem}_flags_mimap", flags, "flags", "1", words)
    return maps, said


def _way_words(image: DynamicImage) -> dict[str, Any]:
    if image.way is None:
        return {}
    return {
        "FramesInterpolated": image.way.frames,
        "TransformsFromImageToTemplate": list(image.way.parts),
        "TemplateSpace": image.way.space,
    }


def _map(
    name: str,
    values: Array,
    grid: Grid,
    space: str,
    parameter: str,
    unit: str,
    method: str,
    meta: Mapping[str, Any],
) -> Map:
    return Map(
        name, values.astype(np.float32), grid.affine, unit, space, parameter, method, dict(meta)
    )


def _voxel_note(image: DynamicImage, fit: VoxelFit) -> Note:
    counts = fit.count()
    text = f"{fit.model} maps: {image.n_brain} voxels in the brain mask"
    if counts:
        text += "; " + ", ".join(f"{n} {word.replace('_', ' ')}" for word, n in counts.items())
    return Note(f"map-voxels-{fit.model}", text)
