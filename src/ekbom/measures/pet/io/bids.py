"""`_pet.json`: frames, units and decay of one scan, checked against the vendor's fields.

Inside the room time runs in minutes from injection and every activity is
decay-corrected to injection. All that is needed to get there from the image's
own values is one factor a frame, found here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.io import units
from ekbom.measures.pet.io.text import read_json
from ekbom.nouns import Note

Array = NDArray[np.float64]

#: Seconds by which the vendor's decay factors may disagree with the declared reference.
REFERENCE_WARN, REFERENCE_REFUSE = 1.0, 60.0
_DOSE_SHARE = 0.02


@dataclass(frozen=True)
class Scan:
    """What `_pet.json` says of a dynamic scan.

    Attributes
    ----------
    frames : Frames
        Used frames, min from injection, decay reference at injection.
    start_s, end_s : (F0,) arrays
        All frames as declared, s from TimeZero.
    keep : (F0,) bool array
        Frames used: those that last, and end after injection.
    factor : (F,) array
        Times a value in kBq/mL as the image has it gives one decay-corrected to
        injection, for the used frames.
    to_kbq : float
        Times a value in the image's unit gives kBq/mL.
    injection_s : float
        s from TimeZero.
    blood_factor : float
        Times a blood value decay-corrected to TimeZero gives one corrected to injection.
    tracer : str
    file : Path
        The nearest JSON file, for messages.
    notes : tuple of Note
    meta : mapping
        For sidecars.
    """

    frames: Frames
    start_s: Array
    end_s: Array
    keep: NDArray[np.bool_]
    factor: Array
    to_kbq: float
    injection_s: float
    blood_factor: float
    tracer: str
    file: Path
    notes: tuple[Note, ...]
    meta: Mapping[str, Any]


def read_scan(paths: Sequence[Path]) -> Scan:
    """Read the JSON files of a PET image.

    Parameters
    ----------
    paths : sequence of Path
        JSON files that apply, outermost first.

    Returns
    -------
    Scan

    Raises
    ------
    Refused
        For a missing or contradictory field.
    """
    if not paths:
        raise Refused(
            "The scan has no _pet.json.",
            expected="a JSON file with FrameTimesStart, FrameDuration, Units ...",
            mend="add the sidecar that BIDS asks for",
        )
    file = paths[-1]
    data = read_json(paths)
    notes: list[Note] = []

    start, end = _frame_times(data, file)
    injection = _number(data, "InjectionStart", file)
    scan_start = _number(data, "ScanStart", file, default=0.0)
    if start[0] < scan_start - 1.0:
        raise Refused(
            "The first frame begins before the scan.",
            file=file,
            field="FrameTimesStart",
            found=f"first frame at {start[0]:g} s, ScanStart {scan_start:g} s",
            expected="both in seconds from TimeZero",
            mend="add ScanStart to the frame times if they are counted from the start of the scan",
        )
    half_life, nuclide = _half_life(data, file, notes)
    decay = np.log(2) / (60 * half_life)
    unit = data.get("Units")
    to_kbq = units.concentration(unit, file=file, field="Units")

    corrected = data.get("ImageDecayCorrected")
    if not isinstance(corrected, bool):
        raise Refused(
            "It is not declared whether the image is decay-corrected.",
            file=file,
            field="ImageDecayCorrected",
            found="nothing" if corrected is None else repr(corrected),
            expected="true or false",
            mend="say which it is; the reconstruction log or DICOM field 0054,1102 tells",
        )
    lasting = end > start
    if not lasting.all():
        notes.append(
            Note("frames-zero-length", f"{int((~lasting).sum())} frames of no length were dropped")
        )
    keep = lasting & (end > injection)
    if (lasting & ~keep).any():
        notes.append(
            Note(
                "frames-before-injection",
                f"{int((lasting & ~keep).sum())} frames end before injection and were dropped",
            )
        )
    if not keep.any():
        raise Refused(
            "No frame ends after injection.",
            file=file,
            field="InjectionStart",
            found=f"{injection:g} s, last frame ends at {end[-1]:g} s",
            expected="both in seconds from TimeZero",
        )
    s, e = start[keep] - injection, end[keep] - injection
    factor = np.ones(s.size)
    meta: dict[str, Any] = {"ImageDecayCorrected": corrected, "DecayFactorConvention": "n/a"}
    if corrected:
        reference = _number(data, "ImageDecayCorrectionTime", file)
        factor *= np.exp(decay * (reference - injection))
        mid_frame = _check_decay_factor(
            data, start, end, lasting, decay, reference, file, notes, meta
        )
        if mid_frame:
            factor *= mid_frame_scale(decay * (e - s))
        meta["ImageDecayCorrectionTime"] = reference
    else:
        factor *= decay * (e - s) / (np.exp(-decay * s) - np.exp(-decay * e))
        notes.append(
            Note("image-decay-corrected-here", "the image was not decay-corrected; done here")
        )
    if s[0] < 0:
        # nothing is there before injection: the same counts, counted from injection on
        factor[0] *= (np.exp(-decay * s[0]) - np.exp(-decay * e[0])) / (1 - np.exp(-decay * e[0]))
        s = s.copy()
        s[0] = 0.0
    _check_dose(data, notes)
    meta |= {
        "Units": unit,
        "InjectionStart": injection,
        "RadionuclideHalfLife": half_life * 60,
        "TracerRadionuclide": nuclide,
        "TracerName": str(data.get("TracerName", "n/a")),
    }
    return Scan(
        frames=Frames(s / 60, e / 60, half_life),
        start_s=start,
        end_s=end,
        keep=keep,
        factor=factor,
        to_kbq=to_kbq,
        injection_s=injection,
        blood_factor=float(np.exp(-decay * injection)),
        tracer=str(data.get("TracerName", "n/a")),
        file=file,
        notes=tuple(notes),
        meta=meta,
    )


def mid_frame_scale(decay_times_duration: Array) -> Array:
    """Return what turns a frame corrected at its mid-time into an exactly corrected one.

    A scanner that multiplies a frame's mean by ``exp(lambda t_mid)`` overstates
    it by ``sinh(x)/x``, ``x = lambda Delta / 2``, about ``1 + (lambda Delta)^2/24``.

    Parameters
    ----------
    decay_times_duration : (F,) array
        Decay constant times frame duration.

    Returns
    -------
    (F,) array
        ``x / sinh(x)``.
    """
    x = np.maximum(np.asarray(decay_times_duration, dtype=np.float64) / 2, 1e-8)
    return np.asarray(x / np.sinh(x))


def _frame_times(data: Mapping[str, Any], file: Path) -> tuple[Array, Array]:
    arrays = []
    for key in ("FrameTimesStart", "FrameDuration"):
        value = data.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = [value]
        try:
            array = np.asarray(value, dtype=np.float64)
            good = array.ndim == 1 and array.size > 0 and bool(np.isfinite(array).all())
        except (TypeError, ValueError):
            good = False
        if not good:
            raise Refused(
                "The frames are not declared.",
                file=file,
                field=key,
                found="nothing" if value is None else repr(value)[:80],
                expected="a list of seconds, one a frame",
                mend="write the frame times as BIDS asks",
            )
        arrays.append(array)
    start, duration = arrays
    if start.size != duration.size:
        raise Refused(
            "Frame starts and durations differ in number.",
            file=file,
            field="FrameDuration",
            found=f"{start.size} starts, {duration.size} durations",
            expected="as many of one as of the other",
        )
    if (duration < 0).any():
        raise Refused(
            "A frame has a negative duration.",
            file=file,
            field="FrameDuration",
            found=f"{duration.min():g} s in frame {int(np.argmin(duration)) + 1}",
            expected="seconds, zero or more",
        )
    wrong = np.flatnonzero(np.diff(start) < 0)
    if wrong.size:
        i = int(wrong[0])
        raise Refused(
            "The frame times do not increase.",
            file=file,
            field="FrameTimesStart",
            found=f"frame {i + 1} at {start[i]:g} s, frame {i + 2} at {start[i + 1]:g} s",
            expected="increasing times",
        )
    overlap = np.flatnonzero(start[:-1] + duration[:-1] > start[1:] + 1e-3)
    if overlap.size:
        i = int(overlap[0])
        raise Refused(
            "Frames overlap.",
            file=file,
            field="FrameTimesStart, FrameDuration",
            found=f"frame {i + 1} ends at {start[i] + duration[i]:g} s,"
            f" frame {i + 2} begins at {start[i + 1]:g} s",
            expected="a frame begins when the one before has ended, or later",
            mend="both are in seconds; starts in minutes look like this",
        )
    end = start + duration
    # rounding in the file must not make neighbours overlap by a hair
    end[:-1] = np.minimum(end[:-1], np.maximum(start[1:], start[:-1]))
    return start, end


def _number(data: Mapping[str, Any], key: str, file: Path, default: float | None = None) -> float:
    value = data.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise Refused(
            "A field that BIDS asks for is missing or no number.",
            file=file,
            field=key,
            found="nothing" if value is None else repr(value),
            expected="seconds from TimeZero",
            mend=f"add {key} to the sidecar",
        )
    return float(value)


def _half_life(data: Mapping[str, Any], file: Path, notes: list[Note]) -> tuple[float, str]:
    """Half-life in minutes: the sidecar's own, else that of the radionuclide."""
    from ekbom.measures.pet.half_lives import half_life

    nuclide = str(data.get("TracerRadionuclide") or "").strip()
    stated = data.get("RadionuclideHalfLife")
    table: float | None = None
    if nuclide:
        try:
            table = half_life(nuclide)
        except Refused:
            table = None
    if isinstance(stated, int | float) and not isinstance(stated, bool) and stated > 0:
        minutes = float(stated) / 60
        if table is not None and abs(minutes / table - 1) > 0.05:
            raise Refused(
                "The half-life is not that of the radionuclide.",
                file=file,
                field="RadionuclideHalfLife",
                found=f"{stated:g} s with TracerRadionuclide {nuclide!r}",
                expected=f"about {table * 60:.0f} s",
                mend="correct the half-life (seconds) or the radionuclide",
            )
        if table is not None and abs(minutes / table - 1) > 1e-3:
            notes.append(
                Note(
                    "half-life-differs",
                    f"the file states a half-life of {stated:g} s and is followed;"
                    f" the table has {table * 60:.2f} s",
                )
            )
        return minutes, nuclide or "n/a"
    if table is not None:
        return table, nuclide
    raise Refused(
        "The half-life of the radionuclide cannot be told.",
        file=file,
        field="TracerRadionuclide",
        found=repr(nuclide) if nuclide else "nothing",
        expected="a known radionuclide (11C, 18F ...) or RadionuclideHalfLife in seconds",
        mend="add one of the two fields",
    )


def _check_decay_factor(
    data: Mapping[str, Any],
    start: Array,
    end: Array,
    lasting: NDArray[np.bool_],
    decay: float,
    reference: float,
    file: Path,
    notes: list[Note],
    meta: dict[str, Any],
) -> bool:
    """Compare the vendor's factors with the declared reference; tell mid-frame factors."""
    try:
        factor = np.atleast_1d(np.asarray(data.get("DecayFactor"), dtype=np.float64))
    except (TypeError, ValueError):
        return False
    if factor.shape != start.shape or not np.isfinite(factor).all() or (factor <= 0).any():
        return False
    s, e, log = start[lasting], end[lasting], np.log(factor[lasting]) / decay
    span = decay * (e - s)
    of_middle = (s + e) / 2 - log
    of_mean = s + np.log(span / -np.expm1(-span)) / decay - log
    mid_frame = bool(of_middle.std() < of_mean.std())
    found = float((of_middle if mid_frame else of_mean).mean())
    meta["DecayFactorConvention"] = "mid-frame" if mid_frame else "frame mean"
    meta["DecayFactorReference"] = round(found, 3)
    off = abs(found - reference)
    if off > REFERENCE_REFUSE:
        raise Refused(
            "The decay factors disagree with the declared reference of decay correction.",
            file=file,
            field="DecayFactor",
            found=f"factors that refer to {found:.1f} s from TimeZero",
            expected=f"ImageDecayCorrectionTime {reference:g} s, to {REFERENCE_REFUSE:g} s",
            mend="correct ImageDecayCorrectionTime, ImageDecayCorrected or DecayFactor",
        )
    if off > REFERENCE_WARN:
        notes.append(
            Note(
                "decay-reference-differs",
                f"DecayFactor refers to {found:.1f} s from TimeZero, ImageDecayCorrectionTime says"
                f" {reference:g} s; the latter is followed (the former would scale tissue by"
                f" {np.exp(decay * (found - reference)):.4f})",
            )
        )
    return mid_frame


def _check_dose(data: Mapping[str, Any], notes: list[Note]) -> None:
    declared = units.dose(data.get("InjectedRadioactivity"), data.get("InjectedRadioactivityUnits"))
    vendor = units.dose(data.get("RadionuclideTotalDose"), "Bq")
    if declared and vendor and abs(declared / vendor - 1) > _DOSE_SHARE:
        notes.append(
            Note(
                "dose-differs",
                f"InjectedRadioactivity {declared / 1e6:.1f} MBq, RadionuclideTotalDose"
                f" {vendor / 1e6:.1f} MBq; V_T does not use either",
            )
        )
