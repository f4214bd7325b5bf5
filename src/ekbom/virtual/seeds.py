"""One tree of seeds: study, person, and what is drawn for the person.

The streams are those that ``SeedSequence.spawn`` would give, but addressed by
name, so that nothing depends on the order of drawing or on who draws: any
number of workers, or a study with more persons, gives the same numbers.
"""

from __future__ import annotations

import numpy as np

#: Branches below the study; numbers are part of the promise of same bytes.
_BRANCHES = {
    "person": 0,
    "binding": 1,
    "flow": 2,
    "blood": 3,
    "samples": 4,
    "scan": 5,
    "texture": 6,
    "study": 7,
    "head": 8,
    "motion": 9,
    "t1": 10,
    "retest": 11,
    "faults": 12,
    "missing": 13,
}


def stream(seed: int, person: int, branch: str, scan: int = 0) -> np.random.Generator:
    """Return the random generator of one branch of one person.

    Parameters
    ----------
    seed : int
        Seed of the study, not negative.
    person : int
        Place of the person in the study, from 0.
    branch : str
        What is drawn: person, binding, flow, blood, samples, scan, texture, head,
        motion, t1, retest, faults, missing, or study (of person 0: what is drawn for all at once).
    scan : int
        Place of the scan in the design; the first has the person's own streams.

    Returns
    -------
    numpy.random.Generator
        PCG64, at its start.
    """
    key = (person, _BRANCHES[branch]) if scan == 0 else (person, _BRANCHES[branch], scan)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))
