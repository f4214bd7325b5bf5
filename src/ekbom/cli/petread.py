"""What ``ekbom pet`` reads beside its curves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ekbom.errors import Refused

if TYPE_CHECKING:
    from ekbom.measures.pet.frames import Frames
    from ekbom.measures.pet.input_fit import InputFit
    from ekbom.measures.pet.settings import PETSettings
    from ekbom.nouns import Note


def read_blood(
    path: Path,
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
        path, unit=unit, sort=sort, decay_corrected=decay_corrected, half_life=half_life
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
