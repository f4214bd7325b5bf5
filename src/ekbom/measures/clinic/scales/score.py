"""Totals of a whole table at once, with missing items by rule and never silently.

Examples
--------
The IRLS of one person by item number: total 22, symptoms 14, impact 5.

>>> import numpy as np
>>> from ekbom.measures.clinic.scales.definition import scale
>>> result = score(scale("irls"), np.array([[3, 2, 3, 1, 2, 3, 3, 2, 1, 2.0]]))
>>> [(name, float(r.value[0]), str(r.band[0])) for name, r in result.items()]
... # doctest: +NORMALIZE_WHITESPACE
[('IRLS_total', 22.0, 'severe'), ('IRLS_symptoms', 14.0, 'n/a'), ('IRLS_impact', 5.0, 'n/a')]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ekbom.measures.clinic.facts import fact, under, unverified
from ekbom.measures.clinic.scales.definition import Band, Part, Scale

Array = NDArray[np.float64]
Text = NDArray[np.object_]


@dataclass(frozen=True)
class Scored:
    """One measure for N people.

    Attributes
    ----------
    name, unit : str
        Measure and its unit.
    rule : (N,) ndarray of str
        Rule that was followed for each person.
    value, lower, upper : (N,) ndarray
        Score, and the range of scores that the missing items allow; both ends
        equal the value when nothing is missing.
    sem, mdc90 : float
        Standard error of measurement and 90 % minimal detectable change, NaN
        when reliability or spread is not known.
    band, flags : (N,) ndarray of str
        Severity band or ``n/a``; flags joined by commas, empty when none.
    missing : (N,) ndarray of int
        Items missing, of ``n_items``.
    facts, missing_facts : tuple of str
        Keys of the data rows used for everyone, and for those with items missing.
    """

    name: str
    unit: str
    rule: Text
    value: Array
    lower: Array
    upper: Array
    sem: float
    mdc90: float
    band: Text
    flags: Text
    missing: NDArray[np.int64]
    n_items: int
    facts: tuple[str, ...]
    missing_facts: tuple[str, ...] = ()

    def facts_of(self, row: int) -> tuple[str, ...]:
        """Return the keys of the data rows used for one person.

        Parameters
        ----------
        row : int
            Row.

        Returns
        -------
        tuple of str
            Keys.
        """
        return self.facts + (self.missing_facts if self.missing[row] else ())


def score(
    scale: Scale,
    items: Array,
    given: Mapping[str, Array] | None = None,
    *,
    prorate: bool = False,
    on_request: bool = False,
) -> dict[str, Scored]:
    """Score N people on one scale.

    Parameters
    ----------
    scale : Scale
        Definition; answers must lie in its range (checked where they are read).
    items : (N, K) ndarray
        Answers in the order of ``scale.items``, NaN when missing.
    given : mapping of str to (N,) ndarray, optional
        Totals given without items, by column; used where no item is answered.
    prorate : bool
        Prorate also where the data allow it only on request.
    on_request : bool
        Give parts that are not meant to be used (a sum of the RLS-6).

    Returns
    -------
    dict
        :class:`Scored` by measure name.
    """
    answers = items.copy()
    for number, name in enumerate(scale.items):
        if name in scale.reverse:
            answers[:, number] = scale.low + scale.high - answers[:, number]
    totals = given or {}
    out: dict[str, Scored] = {}
    done: dict[str, Scored] = {}
    for part in scale.parts:
        if part.on_request and not on_request:
            continue
        if part.sum_of:
            result = _joined(scale, part, [done[s] for s in part.sum_of])
        else:
            result = _sum(scale, part, answers, prorate)
        if part.given is not None and part.given in totals:
            result = _with_given(scale, part, result, totals[part.given])
        done[part.short] = out[part.name] = result
    return out


def _sum(scale: Scale, part: Part, answers: Array, prorate: bool) -> Scored:
    own = answers[:, np.array(part.items) - 1]
    absent = np.isnan(own)
    missing = absent.sum(axis=1)
    n = own.shape[1]
    present = np.where(absent, 0.0, own).sum(axis=1)
    lower, upper = present + missing * scale.low, present + missing * scale.high
    allowed = max(part.prorate_max, part.prorate_option_max if prorate else 0)
    share = fact("scales.proration")["least_share"]
    filled = (missing > 0) & (missing <= allowed) & (n - missing >= share * n)
    value = np.where(missing == 0, present, np.nan)
    value[filled] = present[filled] * n / (n - missing[filled])
    flags = np.full(len(value), "", dtype=object)
    flags[missing > 0] = "missing_items"
    flags[filled] = "missing_items,prorated"
    return _finish(scale, part, value, lower, upper, missing, n, flags)


def _joined(scale: Scale, part: Part, halves: list[Scored]) -> Scored:
    value, lower, upper = (
        np.sum([getattr(h, which) for h in halves], axis=0) for which in ("value", "lower", "upper")
    )
    missing = np.sum([h.missing for h in halves], axis=0)
    flags = np.full(len(value), "", dtype=object)
    flags[missing > 0] = "missing_items"
    flags[(missing > 0) & ~np.isnan(value)] = "missing_items,prorated"
    return _finish(scale, part, value, lower, upper, missing, len(part.items), flags)


def _with_given(scale: Scale, part: Part, result: Scored, total: Array) -> Scored:
    use = (result.missing == result.n_items) & ~np.isnan(total)
    if not use.any():
        return result
    value, lower, upper = (
        np.where(use, total, old) for old in (result.value, result.lower, result.upper)
    )
    flags = result.flags.copy()
    flags[use] = "total_given"
    missing = np.where(use, 0, result.missing)
    return _finish(scale, part, value, lower, upper, missing, result.n_items, flags)


def _finish(
    scale: Scale,
    part: Part,
    value: Array,
    lower: Array,
    upper: Array,
    missing: NDArray[np.int64],
    n: int,
    flags: Text,
) -> Scored:
    keys = list(part.facts)
    banded = part.name.endswith("_total") and bool(scale.bands)
    if banded:
        keys += [b.fact for b in scale.bands]
        no_value = np.isnan(value)
        band = bands_between(
            scale.bands, np.where(no_value, lower, value), np.where(no_value, upper, value)
        )
        band[missing == n] = "n/a"
    else:
        band = np.full(len(value), "n/a", dtype=object)
    sem, mdc, error_facts = error_of(part)
    facts_ = (*keys, *error_facts)
    missing_facts = (f"scales.{scale.key}.missing", "scales.proration")
    rule = np.full(len(value), "sum of the items" if n > 1 else "as answered", dtype=object)
    rule[flags == "total_given"] = "total as given"
    rule[missing > 0] = scale.missing_rule
    open_ = np.full(len(value), bool(unverified(facts_)))
    if unverified(missing_facts):
        open_ |= missing > 0
    return Scored(
        name=part.name,
        unit=part.unit,
        rule=rule,
        value=value,
        lower=lower,
        upper=upper,
        sem=sem,
        mdc90=mdc,
        band=band,
        flags=mark(flags, open_),
        missing=missing,
        n_items=n,
        facts=facts_,
        missing_facts=missing_facts,
    )


def mark(flags: Text, unverified_: NDArray[np.bool_]) -> Text:
    """Add the word ``unverified`` to the flags of some rows.

    Parameters
    ----------
    flags : (N,) ndarray of str
        Flags, joined by commas.
    unverified_ : (N,) ndarray of bool
        Rows to mark.

    Returns
    -------
    (N,) ndarray of str
        New flags.
    """
    out = flags.copy()
    out[unverified_ & (flags == "")] = "unverified"
    more = unverified_ & (flags != "")
    # Few different texts, many rows.
    for text in set(flags[more]):
        out[more & (flags == text)] = f"{text},unverified"
    return out


def bands_between(bands: tuple[Band, ...], lower: Array, upper: Array) -> Text:
    """Name the bands that a range of scores touches: ``severe or very severe``.

    Parameters
    ----------
    bands : tuple of Band
        In order.
    lower, upper : (N,) ndarray
        Ends of the range.

    Returns
    -------
    (N,) ndarray of str
        Names joined by "or".
    """
    # A prorated total may fall between two whole numbers: bands meet half-way.
    edges = np.array([(a.high + b.low) / 2 for a, b in pairwise(bands)])
    first = np.searchsorted(edges, lower, side="right")
    last = np.searchsorted(edges, upper, side="right")
    names = [b.name for b in bands]
    k = len(names)
    words = np.array(
        [[" or ".join(names[i : j + 1]) for j in range(k)] for i in range(k)], dtype=object
    )
    picked: Text = words[first, last]
    return picked


def error_of(part: Part) -> tuple[float, float, tuple[str, ...]]:
    """Return measurement error of a part: SEM = SD sqrt(1 - alpha), MDC90, facts.

    Parameters
    ----------
    part : Part
        With its reliability; the SD comes from the reference values.

    Returns
    -------
    sem, mdc90 : float
        In points, NaN when reliability or SD is not known.
    facts : tuple of str
        Keys used.
    """
    for short, row in under("norms").items():
        if row.get("measure") == part.name and "sd" in row.values:
            sem, mdc = measurement_error(row["sd"], part.reliability)
            return sem, mdc, (f"norms.{short}",) if sem == sem else ()
    return float("nan"), float("nan"), ()


def measurement_error(sd: float, reliability: float) -> tuple[float, float]:
    """Return SEM and 90 % minimal detectable change.

    Parameters
    ----------
    sd : float
        Standard deviation of the scores.
    reliability : float
        Alpha or test-retest coefficient.

    Returns
    -------
    sem, mdc90 : float
        ``sd sqrt(1 - reliability)`` and ``1.645 sqrt(2) sem``.

    Examples
    --------
    >>> sem, mdc = measurement_error(5.2, 0.81)
    >>> round(sem, 2), round(mdc, 2)
    (2.27, 5.27)
    """
    sem = sd * (1.0 - reliability) ** 0.5
    return sem, 1.645 * 2**0.5 * sem
