"""What was put into a simulated study, in words to hold its answer to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ekbom.virtual.clinical import ClinicalTruth
from ekbom.virtual.design import Design
from ekbom.virtual.truth import StudyTruth


def planted_lines(truth: StudyTruth | ClinicalTruth) -> list[str]:
    """Say what a study holds: what the design plants, and what its people came out with.

    Parameters
    ----------
    truth : StudyTruth or ClinicalTruth
        Of the study.

    Returns
    -------
    list of str
        A line each; of the true values, without noise or blur. Nothing is said of nights,
        whose true movements stand beside each recording.
    """
    if isinstance(truth, ClinicalTruth):
        return _clinical(truth.participants)
    if "d2_binding" in truth.participants:
        return _dopamine(truth)
    return [*_slopes(truth.design), *_people(truth)]


def _slopes(design: Design) -> list[str]:
    """Return what the design plants into V_T."""
    binding, words = design.binding, []
    severity = 0.0 if design.permuted else design.severity_slope
    if design.permuted:
        words.append("occupancy of somebody else, so that nothing goes with IRLS or group")
    for slope, scale, regions in (
        (severity, "IRLS", binding.severity_regions),
        (binding.affective_slope, "affective pain", binding.affective_regions),
    ):
        if slope and regions:
            words.append(f"{slope:g} occupancy a point of {scale} in {', '.join(regions)}")
    shift = binding.group_shift_percent
    if shift:
        words.append(f"patients {shift:+g} % from volunteers")
    elif design.opioid is not None and design.opioid.tonic != 1.0:
        words.append(f"{design.opioid.tonic:g} of the tonic deficit that makes groups equal")
    elif not design.permuted:
        words.append("groups equal on average")
    return [f"planted: {'; '.join(words)}"]


def _people(truth: StudyTruth) -> list[str]:
    """Return slopes and differences that the true V_T of these people has."""
    severe = [a for a in truth.effects["region"] if _is(truth.effects, a, "severity")]
    areas = severe or list(truth.effects["region"])
    wide = truth.joined().pivot_table(index="participant_id", columns="area", values="VT")
    people = truth.participants.drop_duplicates("participant_id").set_index("participant_id")
    sick = (people["group"] == "rls").reindex(wide.index).to_numpy()
    score = people["irls_total"].reindex(wide.index).to_numpy(dtype=np.float64)
    slopes, shifts = [], []
    for area in areas:
        V = wide[area].to_numpy()
        if sick.sum() > 2 and np.ptp(score[sick]) > 0:
            slopes.append(float(np.polyfit(score[sick], V[sick], 1)[0]))
        if 0 < sick.sum() < sick.size:
            shifts.append(100.0 * (V[sick].mean() / V[~sick].mean() - 1.0))
    said = []
    where = "these regions" if severe else "the regions"
    if slopes:
        said.append(
            f"true V_T of {where} goes with IRLS by {_range(slopes, '+.2f')} mL/cm3 a point"
        )
    if shifts:
        said.append(f"patients lie {_range(shifts, '+.1f')} % from volunteers")
    return [f"these people: {'; '.join(said)}"] if said else []


def _dopamine(truth: StudyTruth) -> list[str]:
    """Return ratios of the true D2 binding."""
    table = truth.participants
    by: Any = table.groupby(["tracer", "session_id", "group"], sort=False)["d2_binding"].mean()
    out = []
    for name in dict.fromkeys(table["tracer"]):
        ratios = []
        for session in dict.fromkeys(table.loc[table["tracer"] == name, "session_id"]):
            mean = by[name][session]
            if {"rls", "control"} <= set(mean.index):
                change = 100.0 * (mean["rls"] / mean["control"] - 1.0)
                ratios.append(
                    f"{round(change, 1) + 0.0:+.1f} % in the {str(session).removeprefix('ses-')}"
                )
        if ratios:
            out.append(f"{name}, patients against volunteers: {', '.join(ratios)}")
    scenario = truth.design.disease.scenario if truth.design.disease else "none"
    first = f"planted: D2 binding of the disease model, scenario {scenario}"
    if truth.design.permuted:
        first += ", groups dealt at random"
    return [first, *(f"these people: true D2 binding by {line}" for line in out)]


def _clinical(people: pd.DataFrame) -> list[str]:
    """Return means of what the disease model says of a test or a trial."""
    if "drug_fall_percent" in people:
        out = []
        for name, here in (("patients", people["rls"] == 1), ("others", people["rls"] == 0)):
            drug = people.loc[here, "drug_fall_percent"]
            other = people.loc[here, "placebo_fall_percent"].mean()
            if here.any():
                out.append(
                    f"{name} {drug.mean():.0f} % ({drug.min():.0f} to {drug.max():.0f}) "
                    f"by the drug at its height, {other:.0f} % without it"
                )
        return [f"these people: symptoms fall in {'; in '.join(out)}"]
    if "z_change" in people:
        change = 100.0 * np.expm1(people.groupby("arm", sort=False)["z_change"].mean())
        said = ", ".join(f"{value:+.0f} % under {arm}" for arm, value in change.items())
        return [f"these people: evening urge of the disease model changes by {said}"]
    return []


def _is(effects: pd.DataFrame, area: str, word: str) -> bool:
    return word in str(effects.loc[effects["region"] == area, "planted"].iloc[0]).split()


def _range(values: list[float], how: str) -> str:
    low, high = format(min(values), how), format(max(values), how)
    return low if low == high else f"{low} to {high}"
