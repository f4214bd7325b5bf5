"""Johns Hopkins severity scale: how early in the day symptoms usually begin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ekbom.measures.clinic.facts import fact
from ekbom.measures.clinic.scales.score import Scored

FACT = "scales.jhss"


def jhss(
    onset_hour: NDArray[np.float64],
    bedtime_hour: NDArray[np.float64],
    no_symptoms: NDArray[np.bool_],
    given: NDArray[np.float64] | None = None,
) -> Scored:
    """Score the usual hour of onset: 0 none, 1 at bedtime, 2 evening, 3 afternoon, 4 before noon.

    Parameters
    ----------
    onset_hour, bedtime_hour : (N,) ndarray
        Clock hours in [0, 24), NaN when missing.
    no_symptoms : (N,) ndarray of bool
        No symptoms at all.
    given : (N,) ndarray, optional
        Scores 0-4 given without hours.

    Returns
    -------
    Scored
        Ordinal score; without a bedtime an evening or night onset is 1 or 2,
        so that the value is missing and the range says so.

    Examples
    --------
    >>> import numpy as np
    >>> s = jhss(np.array([22.5, 19, 14, 9, 1]), np.full(5, 23.0), np.zeros(5, bool))
    >>> s.value.tolist()
    [1.0, 2.0, 3.0, 4.0, 1.0]
    """
    row = fact(FACT)
    start = row["day_start_hour"]
    # Hours since the day began, so that a night after midnight stays one night.
    onset = np.mod(onset_hour - start, 24.0)
    bed = np.mod(bedtime_hour - start, 24.0)
    noon, evening = row["noon_hour"] - start, row["evening_hour"] - start
    known = ~np.isnan(onset)
    at_bed = known & (onset >= bed - row["before_bed_h"])
    value = np.select(
        [no_symptoms, ~known, at_bed, onset < noon, onset < evening],
        [0.0, np.nan, 1.0, 4.0, 3.0],
        default=2.0,
    )
    lower, upper = value.copy(), value.copy()
    open_ = known & ~no_symptoms & np.isnan(bed) & (onset >= evening)
    flags = np.full(len(value), "unverified", dtype=object)
    value[open_], lower[open_], upper[open_] = np.nan, 1.0, 2.0
    flags[open_] = "bedtime_missing,unverified"
    absent = ~known & ~no_symptoms
    lower[absent], upper[absent] = 0.0, 4.0
    flags[absent] = "missing_items,unverified"
    if given is not None:
        use = absent & ~np.isnan(given)
        for array in (value, lower, upper):
            array[use] = given[use]
        flags[use] = "total_given,unverified"
        absent &= ~use
    return Scored(
        name="JHSS",
        unit="ordinal 0-4",
        rule=np.full(len(value), "usual hour of onset; bedtime tells 1 from 2", dtype=object),
        value=value,
        lower=lower,
        upper=upper,
        sem=float("nan"),
        mdc90=float("nan"),
        band=np.full(len(value), "n/a", dtype=object),
        flags=flags,
        missing=absent.astype(np.int64),
        n_items=1,
        facts=(FACT,),
    )
