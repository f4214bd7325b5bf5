"""Blood samples of one scan, and what can be told about them before any fit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.nouns import Note

Array = NDArray[np.float64]

#: Share of the scan that the blood may miss at its end before it is refused.
SHORT_SHARE = 0.10
_RISE = 0.1
_PERCENT = 1.5
_METABOLITE_START = 0.3


@dataclass(frozen=True)
class BloodData:
    """Samples of whole blood, plasma and parent fraction, each with its own times.

    Parameters
    ----------
    time_wb, whole_blood : (A,) float arrays or None
        Whole blood: min from injection, kBq/mL decay-corrected to injection.
    time_p, plasma : (B,) float arrays or None
        Total plasma (or parent plasma when ``plasma_is_parent``), same units.
    time_f, parent_fraction : (C,) float arrays or None
        Unmetabolised share of the activity in plasma, 0 to 1.
    time_c, continuous : (D,) float arrays or None
        Whole blood of an automatic sampler.
    plasma_is_parent : bool
        The plasma values are already corrected for metabolites.
    source : str
        Name of the file, for messages.

    Raises
    ------
    Refused
        When times do not increase, lengths differ, values are not finite, or
        a parent fraction cannot be one.
    """

    time_wb: Array | None = None
    whole_blood: Array | None = None
    time_p: Array | None = None
    plasma: Array | None = None
    time_f: Array | None = None
    parent_fraction: Array | None = None
    time_c: Array | None = None
    continuous: Array | None = None
    plasma_is_parent: bool = False
    source: str = "blood"

    def __post_init__(self) -> None:
        for times, values in (
            ("time_wb", "whole_blood"),
            ("time_p", "plasma"),
            ("time_f", "parent_fraction"),
            ("time_c", "continuous"),
        ):
            t, v = getattr(self, times), getattr(self, values)
            if (t is None) != (v is None):
                raise Refused(
                    f"{values} needs its times and the reverse.", file=self.source, field=values
                )
            if t is None or v is None:
                continue
            t, v = np.asarray(t, dtype=np.float64), np.asarray(v, dtype=np.float64)
            object.__setattr__(self, times, t)
            object.__setattr__(self, values, v)
            _check_series(t, v, values, self.source)
        if self.parent_fraction is not None:
            _check_fraction(self.parent_fraction, self.source)

    def scaled(self, factor: float) -> BloodData:
        """Return the same samples with all activities multiplied by a factor."""

        def times(values: Array | None) -> Array | None:
            return None if values is None else values * factor

        return replace(
            self,
            whole_blood=times(self.whole_blood),
            plasma=times(self.plasma),
            continuous=times(self.continuous),
        )


def _check_series(t: Array, v: Array, name: str, source: str) -> None:
    if t.ndim != 1 or t.shape != v.shape or t.size == 0:
        raise Refused(
            "Samples and times differ in number.",
            file=source,
            field=name,
            found=f"{t.size} times, {v.size} values",
            expected="as many times as values, at least one",
        )
    if not (np.isfinite(t).all() and np.isfinite(v).all()):
        raise Refused(
            "A sample is not a number.", file=source, field=name, expected="finite values"
        )
    wrong = np.flatnonzero(np.diff(t) <= 0)
    if wrong.size:
        raise Refused(
            "The times of the blood samples do not increase.",
            file=source,
            field=name,
            found=", ".join(f"{t[i] * 60:g} s before {t[i + 1] * 60:g} s" for i in wrong[:5]),
            expected="strictly increasing times",
        )


def _check_fraction(fraction: Array, source: str) -> None:
    top = float(fraction.max())
    if top > _PERCENT:
        raise Refused(
            "The parent fraction is not a fraction.",
            file=source,
            field="metabolite_parent_fraction",
            found=f"values up to {top:g}, perhaps percent",
            expected="0 to 1",
            mend="divide the column by 100 if it holds percent",
        )
    if top > 1 or float(fraction.min()) < 0:
        worst = top if top > 1 else float(fraction.min())
        raise Refused(
            "The parent fraction lies outside 0 to 1.",
            file=source,
            field="metabolite_parent_fraction",
            found=f"{worst:g}",
            expected="0 to 1",
            mend="correct the value, or set it to 1 (or n/a) if the assay says so",
        )
    rising = fraction.size >= 3 and bool((np.diff(fraction) > 0).all())
    if fraction[0] < _METABOLITE_START and rising:
        raise Refused(
            "The parent fraction looks like a metabolite fraction.",
            file=source,
            field="metabolite_parent_fraction",
            found=f"starts at {fraction[0]:.3g} and rises to {fraction[-1]:.3g}",
            expected="the unmetabolised share: near 1 at first, falling",
            mend="write 1 minus the value if the column holds the metabolites' share",
        )


def inspect(blood: BloodData, half_life: float) -> list[Note]:
    """Return what a reader must know about the samples.

    Parameters
    ----------
    blood : BloodData
    half_life : float
        Of the radionuclide, min.

    Returns
    -------
    list of Note
        ``parent-fraction-rising``, ``blood-negative``, ``blood-looks-uncorrected``,
        ``blood-looks-corrected-twice``.
    """
    notes: list[Note] = []
    if blood.parent_fraction is not None:
        rise = float((blood.parent_fraction - np.minimum.accumulate(blood.parent_fraction)).max())
        if rise > _RISE:
            notes.append(
                Note(
                    "parent-fraction-rising",
                    f"the parent fraction rises by {rise:.2f} after falling",
                )
            )
    negative = sum(
        int((values < 0).sum())
        for values in (blood.whole_blood, blood.plasma, blood.continuous)
        if values is not None
    )
    if negative:
        notes.append(
            Note(
                "blood-negative",
                f"{negative} negative blood values: kept for fits, zero in the input function",
            )
        )
    notes.extend(_decay_notes(blood, half_life))
    return notes


def _decay_notes(blood: BloodData, half_life: float) -> list[Note]:
    parent = parent_samples(blood)
    if parent is None:
        return []
    t, c = parent
    late = (t >= 30) & (c > 0)
    if late.sum() < 3:
        return []
    slope = float(np.polyfit(t[late], np.log(c[late]), 1)[0])
    decay = np.log(2) / half_life
    if slope < -decay:
        return [
            Note(
                "blood-looks-uncorrected",
                f"parent plasma after 30 min falls by {-slope:.4f}/min, faster than decay"
                f" ({decay:.4f}/min): was the blood decay-corrected?",
            )
        ]
    if slope > 0.2 * decay:
        return [
            Note(
                "blood-looks-corrected-twice",
                f"parent plasma after 30 min rises by {slope:.4f}/min:"
                " was the blood decay-corrected twice?",
            )
        ]
    return []


def parent_samples(blood: BloodData) -> tuple[Array, Array] | None:
    """Return times (min) and metabolite-corrected plasma (kBq/mL) at the plasma samples.

    The parent fraction is interpolated linearly between its samples and held
    constant outside them. ``None`` when there is no plasma.
    """
    if blood.time_p is None or blood.plasma is None:
        return None
    if blood.plasma_is_parent or blood.time_f is None or blood.parent_fraction is None:
        return blood.time_p, blood.plasma
    return blood.time_p, blood.plasma * np.interp(blood.time_p, blood.time_f, blood.parent_fraction)


def short_by(blood: BloodData, scan_end: float) -> float:
    """Return how many minutes before the end of the scan the blood ends (0 when it covers it).

    The plasma and the parent fraction count, whichever ends first.
    """
    ends = [t[-1] for t in (blood.time_p, blood.time_f) if t is not None]
    return max(0.0, scan_end - float(min(ends))) if ends else scan_end
