"""From blood samples to the input function, with what was not chosen shown beside.

Steps, in order: whole blood (continuous record, then samples), total plasma
(measured, or whole blood times the plasma-over-blood ratio), parent fraction,
their product at the plasma samples, and a curve through those products.

The default, ``interpolate``, multiplies at the samples and joins the products
by straight lines from zero at injection. Interpolating plasma and parent
fraction apart and multiplying afterwards would give parabolas between samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.measures.pet import parent as parent_models
from ekbom.measures.pet import plasma as plasma_models
from ekbom.measures.pet.blood import SHORT_SHARE, BloodData, short_by
from ekbom.measures.pet.feng import feng
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction
from ekbom.measures.pet.input_tables import parent_table, plasma_table
from ekbom.measures.pet.parent import ParentFit
from ekbom.measures.pet.plasma import Curve
from ekbom.nouns import Note

#: Minutes from the scan's start after which a first blood sample makes no sense.
LATE_BLOOD = 10.0
Array = NDArray[np.float64]


@dataclass(frozen=True)
class InputFit:
    """An input function and how it came about.

    Attributes
    ----------
    input : InputFunction
        Metabolite-corrected plasma and whole blood, kBq/mL over min.
    parent_plasma, whole_blood : Curve
        The chosen curves.
    total_plasma : Curve or None
        Straight lines through total plasma; ``None`` when only parent plasma is known.
    candidates : mapping of str to Curve
        Every parent plasma curve that the samples can carry, by name.
    parent : ParentFit or None
        The chosen parent fraction; ``None`` when no correction was asked for.
    parent_candidates : tuple of ParentFit
    samples_t, samples : (N,) arrays
        Plasma samples times the chosen parent fraction, kBq/mL.
    blood : BloodData
        What went in.
    table, parent_table : DataFrame
        One row a candidate.
    extrapolated_share : float
        Share of the parent plasma area, to the end of the scan, that lies
        beyond the last sample.
    covers_end : float
        Last minute that the samples cover.
    notes : tuple of Note
    """

    input: InputFunction
    parent_plasma: Curve
    whole_blood: Curve
    total_plasma: Curve | None
    candidates: Mapping[str, Curve]
    parent: ParentFit | None
    parent_candidates: tuple[ParentFit, ...]
    samples_t: Array
    samples: Array
    blood: BloodData
    table: pd.DataFrame
    parent_table: pd.DataFrame
    extrapolated_share: float
    covers_end: float
    notes: tuple[Note, ...]


def fit_input(
    blood: BloodData,
    *,
    frames: Frames,
    parent: str = "interpolate",
    plasma: str = "interpolate",
    parent_f0: float | None = None,
    plasma_over_blood: float | None = None,
    extrapolate: bool = False,
    needs_whole_blood: bool = True,
    compare: bool = True,
) -> InputFit:
    """Make the input function of one scan.

    Parameters
    ----------
    blood : BloodData
        Samples, min from injection and kBq/mL.
    frames : Frames
        The scan; its end is where the input function ends.
    parent : str
        ``interpolate``, ``auto`` (lowest AICc of the parametric forms), a form
        of :data:`ekbom.measures.pet.parent.FORMS`, or ``none`` for a tracer
        without metabolites in plasma.
    plasma : str
        ``interpolate``, ``triexp``, ``feng`` or ``feng_infusion``; ``auto`` takes
        the one of the last three with the lowest AICc.
    parent_f0 : float, optional
        Parent fraction at injection; free when ``None``.
    plasma_over_blood : float, optional
        Constant ratio of total plasma to whole blood, to make one of them from
        the other when only one was measured.
    extrapolate : bool
        Permit blood that ends more than a tenth of the scan before the scan.
    needs_whole_blood : bool
        Whether a blood volume term will be used.
    compare : bool
        Fit the forms that were not asked for as well, for the tables of candidates and
        for :func:`ekbom.measures.pet.blood_draws.draw_inputs`; they take most of the time.

    Returns
    -------
    InputFit
        The input function, and what was not chosen beside it.

    Raises
    ------
    Refused
        When plasma, parent fraction or whole blood is asked for and absent, or
        the blood ends too early.
    """
    notes: list[Note] = []
    blood = _complete(blood, plasma_over_blood, needs_whole_blood, notes)
    assert blood.time_p is not None
    assert blood.plasma is not None
    end = float(frames.end[-1])
    _check_length(blood, end, float(frames.end[-1] - frames.start[0]), extrapolate, notes)

    chosen, parent_fits = _parent(blood, parent, parent_f0, compare)
    samples_t = blood.time_p
    samples = blood.plasma if chosen is None else blood.plasma * chosen.at(samples_t)

    candidates: dict[str, Curve] = {
        "interpolate": plasma_models.interpolated(samples_t, samples, end)
    }
    wanted = plasma
    if plasma not in (*plasma_models.CHOICES, "auto"):
        raise Refused(
            "The input curve is not known.",
            field="input",
            found=repr(plasma),
            expected=", ".join((*plasma_models.CHOICES, "auto")),
        )
    for name in plasma_models.FORMS:
        if not (compare or plasma in (name, "auto")):
            continue
        try:
            candidates[name] = fit_curve(name, samples_t, samples, end)
        except Refused:
            if plasma in (name, "auto"):
                raise
    if plasma == "auto":
        wanted = min(plasma_models.FORMS, key=lambda name: candidates[name].aicc)
    curve = candidates[wanted]
    whole = _whole_blood(blood, wanted, end, curve)
    covers_end = float(
        samples_t[-1] if blood.time_f is None else min(samples_t[-1], blood.time_f[-1])
    )
    covers_end = min(covers_end, end)
    area = curve.auc(0.0, end)
    share = curve.auc(covers_end, end) / area if area > 0 else np.nan
    for what, fitted in (("parent plasma", curve), ("whole blood", whole)):
        # a few seconds between the last sample and the end of the scan are not worth a word
        if "tail_flat" in fitted.flags and end - fitted.covers > 0.01 * end:
            notes.append(
                Note(
                    "blood-tail-flat",
                    f"the last samples of {what} do not fall: held constant after"
                    f" {fitted.covers:.1f} min",
                )
            )
    if "peak_low" in curve.flags:
        notes.append(
            Note("input-peak-low", "the fitted peak is more than 20 % below the largest sample")
        )
    knots = np.unique(np.concatenate((curve.t, whole.t)))
    made = InputFunction(
        t=knots,
        plasma_parent=curve.at(knots),
        whole_blood=whole.at(knots),
        provenance={
            "plasma": curve.model,
            "parent_fraction": "none" if chosen is None else chosen.model,
            "whole_blood": whole.model,
        },
        covers=(0.0, covers_end),
    )
    return InputFit(
        input=made,
        parent_plasma=curve,
        whole_blood=whole,
        total_plasma=(
            None
            if blood.plasma_is_parent
            else plasma_models.interpolated(blood.time_p, blood.plasma, end)
        ),
        candidates=candidates,
        parent=chosen,
        parent_candidates=tuple(parent_fits),
        samples_t=samples_t,
        samples=samples,
        blood=blood,
        table=plasma_table(candidates, wanted, end),
        parent_table=parent_table(parent_fits, chosen),
        extrapolated_share=float(share),
        covers_end=covers_end,
        notes=tuple(notes),
    )


def _complete(
    blood: BloodData, ratio: float | None, needs_whole_blood: bool, notes: list[Note]
) -> BloodData:
    """Merge the continuous record with the samples, and fill plasma or whole blood by the ratio."""
    time_wb, whole = blood.time_wb, blood.whole_blood
    time_p, plasma = blood.time_p, blood.plasma
    if blood.time_c is not None and blood.continuous is not None:
        time_c, fast = blood.time_c, blood.continuous
        if time_wb is not None and whole is not None:
            inside = (time_wb >= time_c[0]) & (time_wb <= time_c[-1]) & (whole > 0)
            if inside.any():
                overlap = np.interp(time_wb[inside], time_c, fast) / whole[inside]
                notes.append(
                    Note(
                        "blood-overlap",
                        f"automatic over manual whole blood at {int(inside.sum())} common times:"
                        f" median {np.median(overlap):.3f}",
                    )
                )
            if time_p is not None and plasma is not None:
                time_p, plasma = _fast_plasma(time_c, fast, time_wb, whole, time_p, plasma)
            after = time_wb > time_c[-1]
            time_wb = np.concatenate((time_c, time_wb[after]))
            whole = np.concatenate((fast, whole[after]))
        else:
            time_wb, whole = time_c, fast
    if plasma is None and ratio is not None and whole is not None and time_wb is not None:
        time_p, plasma = time_wb, whole * ratio
        notes.append(
            Note("plasma-from-blood", f"plasma is whole blood times {ratio:g}, from the plan")
        )
    if plasma is None:
        raise Refused(
            "There is no plasma to make an input function from.",
            file=blood.source,
            field="plasma_radioactivity",
            found="no such column, or no values",
            expected="plasma samples",
            mend="add the column, or state a constant plasma_over_blood ratio in the plan",
        )
    if whole is None and ratio is not None and not blood.plasma_is_parent and time_p is not None:
        time_wb, whole = time_p, plasma / ratio
        notes.append(
            Note("blood-from-plasma", f"whole blood is plasma over {ratio:g}, from the plan")
        )
    if whole is None and needs_whole_blood:
        raise Refused(
            "There is no whole blood for the blood volume term.",
            file=blood.source,
            field="whole_blood_radioactivity",
            found="no such column, or no values",
            expected="whole blood samples",
            mend="add the column, state plasma_over_blood in the plan, or set every vB to 0",
        )
    return BloodData(
        time_wb=time_wb,
        whole_blood=whole,
        time_p=time_p,
        plasma=plasma,
        time_f=blood.time_f,
        parent_fraction=blood.parent_fraction,
        plasma_is_parent=blood.plasma_is_parent,
        source=blood.source,
    )


def _fast_plasma(
    time_c: Array, fast: Array, time_wb: Array, whole: Array, time_p: Array, plasma: Array
) -> tuple[Array, Array]:
    """Plasma at the sampler's times: its whole blood times the measured ratio, then the samples."""
    both = np.intersect1d(time_wb[whole > 0], time_p)
    if both.size == 0:
        return time_p, plasma
    ratio = np.interp(both, time_p, plasma) / np.interp(both, time_wb, whole)
    early = fast * np.interp(time_c, both, ratio)
    after = time_p > time_c[-1]
    return np.concatenate((time_c, time_p[after])), np.concatenate((early, plasma[after]))


def _check_length(
    blood: BloodData, end: float, duration: float, extrapolate: bool, notes: list[Note]
) -> None:
    first = min(float(t[0]) for t in (blood.time_wb, blood.time_p) if t is not None and t.size)
    if first - max(end - duration, 0.0) > LATE_BLOOD and not extrapolate:
        raise Refused(
            "The blood begins long after the scan.",
            file=blood.source,
            field="time",
            found=f"first sample at {first * 60:.0f} s, scan from {(end - duration) * 60:.0f} s",
            expected=f"a first sample within {LATE_BLOOD:g} min of the scan's start",
            mend="check the clocks: times of samples count from TimeZero of the scan; if no earlier"
            " blood was taken, set blood.extrapolate = true for this scan in the plan",
        )
    missing = short_by(blood, end)
    if missing <= SHORT_SHARE * duration:
        return
    last = end - missing
    if not extrapolate:
        raise Refused(
            "The blood ends before the scan.",
            file=blood.source,
            field="time",
            found=f"last sample at {last * 60:.0f} s, scan ends at {end * 60:.0f} s",
            expected=f"blood to within {SHORT_SHARE:.0%} of the scan's end",
            mend="set blood.extrapolate = true for this scan in the plan"
            " ([measures.pet.scans.<scan>]), which is then recorded",
        )
    notes.append(
        Note(
            "blood-extrapolated",
            f"blood ends at {last:.1f} of {end:.1f} min and was extrapolated by permission",
            permission=True,
        )
    )


def _parent(
    blood: BloodData, parent: str, f0: float | None, compare: bool
) -> tuple[ParentFit | None, list[ParentFit]]:
    if blood.plasma_is_parent:
        return None, []
    if parent == "none":
        return None, []
    if blood.time_f is None or blood.parent_fraction is None:
        raise Refused(
            "There is no parent fraction to correct the plasma with.",
            file=blood.source,
            field="metabolite_parent_fraction",
            found="no such column, or no values",
            expected="the share of plasma activity that is still the tracer",
            mend='add the column, or set parent = "none" for a tracer with no plasma metabolites',
        )
    if parent not in parent_models.CHOICES:
        raise Refused(
            "The parent fraction model is not known.",
            field="parent",
            found=repr(parent),
            expected=", ".join(parent_models.CHOICES),
        )
    if parent == "interpolate" and not compare:
        line = parent_models.interpolate(blood.time_f, blood.parent_fraction)
        return line, [line]
    fits = parent_models.candidates(blood.time_f, blood.parent_fraction, f0=f0)
    return parent_models.choose(fits, parent), fits


def _whole_blood(blood: BloodData, wanted: str, end: float, plasma: Curve) -> Curve:
    if blood.time_wb is None or blood.whole_blood is None:
        # no blood volume term was asked for: the column is zero, never plasma
        return Curve("none", plasma.t, np.zeros_like(plasma.values), plasma.covers, {})
    if wanted != "interpolate":
        try:
            return fit_curve(wanted, blood.time_wb, blood.whole_blood, end)
        except Refused:
            pass  # fewer samples of whole blood than of plasma: a line through them
    return plasma_models.interpolated(blood.time_wb, blood.whole_blood, end)


def fit_curve(
    name: str, time: Array, values: Array, end: float, *, start: Array | None = None
) -> Curve:
    """Make one curve through samples.

    Parameters
    ----------
    name : str
        Of :data:`ekbom.measures.pet.plasma.CHOICES`.
    time, values : (N,) arrays
        min and kBq/mL.
    end : float
        End of the scan, min.
    start : array, optional
        Where the search of a form begins.

    Returns
    -------
    Curve
    """
    if name == "interpolate":
        return plasma_models.interpolated(time, values, end)
    if name == "triexp":
        return plasma_models.triexponential(time, values, end, start=start)
    return feng(time, values, end, infusion=name == "feng_infusion", start=start)
