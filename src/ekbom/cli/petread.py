"""What ``ekbom pet`` reads beside its curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ekbom.errors import Refused

if TYPE_CHECKING:
    from ekbom.measures.pet.dose import Injected
    from ekbom.measures.pet.frames import Frames
    from ekbom.measures.pet.input_fit import InputFit
    from ekbom.measures.pet.settings import PETSettings
    from ekbom.nouns import Note


def read_blood(
    paths: Sequence[Path],
    settings: PETSettings,
    frames: Frames,
    *,
    unit: str | None,
    sort: bool,
    decay_corrected: bool,
    half_life: float | None,
    extrapolate: bool,
    notes: list[Note],
) -> InputFit:
    """Read blood and make the input function; notes are appended."""
    from ekbom.measures.pet.input_fit import fit_input
    from ekbom.measures.pet.io.plain import read_input

    blood, said = read_input(
        paths[0],
        more=paths[1:],
        unit=unit,
        sort=sort,
        decay_corrected=decay_corrected,
        half_life=half_life,
    )
    notes += said
    fitted = fit_input(
        blood,
        frames=frames,
        parent=settings.parent,
        plasma=settings.input,
        extrapolate=extrapolate,
        needs_whole_blood=any(settings.blood_volume(m) != 0 for m in settings.model),
    )
    notes += fitted.notes
    return fitted


def injected(
    models: Sequence[str], dose_mbq: float | None, weight_kg: float | None
) -> Injected | None:
    """Return what SUV divides by, or ``None`` when nothing asks for SUV."""
    if "suv" not in models:
        return None
    from ekbom.measures.pet.dose import Injected

    for option, value, unit in (("--dose-MBq", dose_mbq, "MBq"), ("--weight-kg", weight_kg, "kg")):
        if value is None or not value > 0:
            raise Refused(
                "SUV needs the injected activity and the weight of the person.",
                field=option,
                found="nothing" if value is None else value,
                expected=f"a number above 0, in {unit}",
                mend=f"add {option}",
            )
    assert dose_mbq is not None
    assert weight_kg is not None
    return Injected(dose_mbq, weight_kg, "--dose-MBq", "--weight-kg")


def injected_of(
    image: Path,
    sidecar: Path,
    models: Sequence[str],
    *,
    dose_mbq: float | None,
    weight_kg: float | None,
    dose_from: str | None,
) -> Injected | None:
    """Return what SUV of an image divides by: options first, then sidecar and participants."""
    if "suv" not in models:
        return None
    from ekbom.measures.pet.io.dose import injected as read_injected
    from ekbom.measures.pet.io.dose import weight_beside
    from ekbom.measures.pet.io.text import read_json

    if dose_mbq is not None and weight_kg is not None:
        return injected(models, dose_mbq, weight_kg)
    data = read_json([sidecar])
    if dose_mbq is not None:
        data |= {"InjectedRadioactivity": dose_mbq, "InjectedRadioactivityUnits": "MBq"}
        data.pop("RadionuclideTotalDose", None)
    weight, weight_from = weight_kg, "--weight-kg"
    if weight is None:
        weight, weight_from = weight_beside(image), "participants.tsv"
    else:
        data.pop("PatientWeight", None)
    found = read_injected(
        data, sidecar, dose_from=dose_from, weight=weight, weight_from=weight_from
    )
    return found if dose_mbq is None else replace(found, dose_from="--dose-MBq")


def window(text: str) -> list[float]:
    """Return start and end of a window, "40,60" in minutes."""
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise Refused(
            "The window has not a start and an end.",
            field="--window",
            found=text,
            expected='minutes, "40,60"',
        ) from None
    return [low, high]
