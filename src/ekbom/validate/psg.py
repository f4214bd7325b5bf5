"""Closed loops of virtual nights: the disease model to EDF+ and back; norms beside print."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ekbom.measures.legs.agreement import agree
from ekbom.measures.legs.detect import detect
from ekbom.measures.legs.indices import find, indices
from ekbom.measures.legs.io.edf import ecg_channel, leg_channels, open_edf
from ekbom.measures.legs.io.table import read_table
from ekbom.measures.legs.periodicity import intervals, pi_2016, pi_ferri2006
from ekbom.measures.legs.rules import rule_set
from ekbom.measures.legs.score import Scored, score
from ekbom.validate.errors import binomial_error, f1_error, mean_words, median_error
from ekbom.validate.result import Check
from ekbom.virtual import load_protocol, make_clinical
from ekbom.virtual.nights import make_night
from ekbom.virtual.patients import Pool, draw_pool, movement_facts
from ekbom.virtual.psg import read_truth

#: The rules of 2016 (10 to 90 s), and those by which most printed indices were counted.
W16, W06 = "wasm2016", "wasm2006"
#: Nights of a patient, as many as in Trotti 2009 (10 to 15).
NIGHTS = 12


def virtual_nights(place: Path, *, people: int, hours: float, seed: int) -> Iterator[Check]:
    """Simulate a study of nights, find and score what was written, compare with the truth.

    Parameters
    ----------
    place : Path
        Folder for the study.
    people : int
        Persons, half of them patients.
    hours : float
        Length of a night.
    seed : int

    Yields
    ------
    Check
        F1 over all recordings (gate 0.95), offset error, errors of the indices by
        rule set, of the periodicity index and of the test awake.
    """
    design = load_protocol("plm-norms", {"nights.hours": hours})
    made = make_clinical(design, place, seed=seed, subjects=people)
    hits: list[int] = []
    wrong: list[int] = []
    marks = 0
    onset: list[float] = []
    offset: list[float] = []
    index: dict[str, list[tuple[float, float]]] = {W16: [], "aasm": [], "SIT": [], "PI": []}
    for label in made.participants["participant_id"]:
        for task in ("sleep", "sit"):
            true = read_truth(place, label, task)
            opened = open_edf(true.edf)
            found = detect(leg_channels(opened), ecg_channel(opened))
            got = agree(found.marks, true.truth)
            hits.append(got.hits)
            wrong.append(got.false + got.missed)
            marks += len(true.truth)
            onset += got.onset_error.tolist()
            offset += got.offset_error.tolist()
            said = read_table(true.edf.with_name(true.edf.name.replace("_eeg.edf", "_events.tsv")))
            night = said.hypnogram(found.lost)
            for rules in (W16, "aasm"):
                a = score(found.marks, night, said.resp, said.arousal, rules=rule_set(rules))
                b = score(true.truth, true.hypnogram, said.resp, said.arousal,
                          rules=rule_set(rules))  # fmt: skip
                if task == "sleep":
                    index[rules].append((index_of(a), index_of(b)))
                    if rules == W16:
                        index["PI"].append((pi_2016(a, "sleep").value, pi_2016(b, "sleep").value))
                elif rules == W16:
                    index["SIT"].append((index_of(a, "wake"), index_of(b, "wake")))
    n, bad = sum(hits), sum(wrong)
    yield Check("virtual nights: F1 (IoU > .2)", 2 * n / max(2 * n + bad, 1), marks, "", 0.95, 1.0,
                f1_error(hits, wrong),
                f"{bad} false or missed in {2 * people} recordings")  # fmt: skip
    for word, error in (("onset", np.array(onset)), ("offset", np.array(offset))):
        yield Check(f"virtual nights: {word} error, median absolute",
                    float(np.median(np.abs(error))), error.size, "s", se=median_error(error),
                    note=f"median {np.median(error):+.3f} s, 90 % within"
                    f" {np.quantile(np.abs(error), 0.9):.3f} s")  # fmt: skip
    for name, unit in ((W16, "1/h"), ("aasm", "1/h"), ("SIT", "1/h"), ("PI", "")):
        pairs = np.array(index[name])
        pairs = pairs[np.isfinite(pairs).all(axis=1)]
        error = pairs[:, 0] - pairs[:, 1] if len(pairs) else np.zeros(1)
        what = {"SIT": "index of the test awake", "PI": "PI_2016"}.get(name, f"PLMS by {name}")
        yield Check(f"virtual nights: {what}, largest error", float(np.max(np.abs(error))),
                    len(pairs), unit,
                    note=f"{mean_words(error)}, true mean {np.mean(pairs[:, 1]):.3g}"
                    if len(pairs) else "no night had any")  # fmt: skip


def index_of(scored: Scored, stage: str = "sleep") -> float:
    """Return periodic movements an hour of a stage, by the rules of the night.

    Parameters
    ----------
    scored : Scored
        A night.
    stage : str
        Such as ``sleep`` or ``wake``.

    Returns
    -------
    float
        1/h.
    """
    return find(indices(scored), "PLM_index", stage).value


def norms(*, people: int, patients: int, seed: int) -> Iterator[Check]:
    """Score the movements that the model makes, without a signal, and hold them to print.

    Parameters
    ----------
    people, patients : int
        Others of 40 to 80 years, and patients of 20 to 80 with twelve nights each.
    seed : int

    Yields
    ------
    Check
        Shares above a cut, modes of the interval by age, spread between nights.
        Printed values stand in the note; nothing is gated.
    """
    others = draw_pool(seed, 0, people, (40, 80), 0.5)
    first = [scored_night(others, k, seed, 0, W06) for k in range(people)]
    share = 100 * float(np.mean([index_of(s) > 15 for s in first]))
    yield Check("norms: PLMS > 15/h, 40 to 80 years", share, people, "%",
                se=100 * binomial_error(share / 100, people),
                note="HypnoLaus 28.6, mean age 58; the model's rate was set to it")  # fmt: skip
    ill = draw_pool(seed + 1, patients, 0, (20, 80), 0.5)
    many = np.array([[index_of(scored_night(ill, k, seed + 1, j, W06)) for j in range(NIGHTS)]
                     for k in range(patients)])  # fmt: skip
    for limit, note in ((5, "PL01 80.2; Trotti 2009 70.1 of nights"),
                        (15, "Korean patients 42.3; Trotti 2009 34.1 of nights")):  # fmt: skip
        yield Check(f"norms: PLMS > {limit}/h in patients, of nights",
                    100 * float(np.mean(many > limit)), patients, "%",
                    se=100 * _mean_error((many > limit).mean(axis=1)), note=note)  # fmt: skip
    high, low = many.max(axis=1), many.min(axis=1)
    yield Check(f"norms: highest less lowest of {NIGHTS} nights in patients",
                float((high - low).mean()), patients, "1/h", se=_mean_error(high - low),
                note="Trotti 2009, 10 to 15 nights: 25.1")  # fmt: skip
    within = float(many.var(axis=1, ddof=1).mean())
    between = float(many.mean(axis=1).var(ddof=1)) - within / NIGHTS
    yield Check("norms: variance of the index between patients over that between nights",
                between / max(within, 1e-9), patients, "",
                note="Trotti 2009: nearly 5")  # fmt: skip
    nights = [[scored_night(ill, k, seed + 1, j, W06) for j in range(2)] for k in range(patients)]
    x = np.array([[index_of(s) for s in two] for two in nights])
    pi = np.array([[pi_ferri2006(s, "sleep").value for s in two] for two in nights])
    apart = np.abs(x[:, 0] - x[:, 1])
    ok = np.isfinite(pi).all(axis=1) & (x.mean(axis=1) > 15)
    ratio = (apart[ok] / x[ok].mean(axis=1)).mean() / max(
        (np.abs(pi[ok, 0] - pi[ok, 1]) / pi[ok].mean(axis=1).clip(1e-9)).mean(), 1e-9
    )
    yield Check("norms: relative range of index over that of periodicity, more than 15/h",
                float(ratio), int(ok.sum()), "", note="PL04: above 6.5")  # fmt: skip
    age = ill.table["age"]
    for word, keep, printed in (("under 55 y", age < 55, "24 to 28"),
                                ("over 65 y", age > 65, "14 to 16")):  # fmt: skip
        values = np.concatenate(
            [intervals(nights[k][0], "sleep") for k in np.flatnonzero(keep)] or [np.zeros(0)]
        )
        yield Check(f"norms: mode of the interval {word}", _mode(values), values.size, "s",
                    note=f"print: {printed}")  # fmt: skip


def _mean_error(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    return float(np.std(values, ddof=1) / np.sqrt(values.size)) if values.size > 1 else float("nan")


def scored_night(pool: Pool, k: int, seed: int, night: int, rules: str) -> Scored:
    """Make a night of a person of the disease model and score it.

    Parameters
    ----------
    pool : Pool
        People.
    k : int
        Which of them.
    seed, night : int
        Of the night's draws.
    rules : str
        Name of the rules.

    Returns
    -------
    Scored
        The night.
    """
    rng = np.random.default_rng([seed, k, night])
    made = make_night(rng, **movement_facts(pool.table, k))
    return score(made.bursts, made.hypnogram, made.resp, made.arousal, rules=rule_set(rules))


def _mode(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    if not values.size:
        return float("nan")
    inside = values[(values >= 10) & (values <= 90)]
    counts, edges = np.histogram(inside, np.arange(10.0, 92.0, 2.0))
    k = int(np.argmax(counts))
    return float(0.5 * (edges[k] + edges[k + 1]))
