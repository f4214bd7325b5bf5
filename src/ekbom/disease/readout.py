"""What is read off people: two days are run, and the second becomes a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ekbom.disease.people import People, data, value_of
from ekbom.disease.simulate import Array, Event, simulate

#: Clock hours at which read-outs are kept.
HOURS = (0, 8, 10, 16, 18, 22)
#: Read-outs and assignments that the table of people holds at each of them.
_KEPT = [
    "ferritin",
    "tsat_percent",
    "hb",
    "csf_ferritin",
    "csf_transferrin",
    "irp_activity",
    "cell_tfr",
    "cell_transferrin",
    "cell_ferritin",
    "cell_fpn",
    "fe_sn",
    "r2s_sn",
    "csf_hva",
    "csf_bh4",
    "omd",
    "th_activity",
    "dat",
    "vt_dpn",
    "glx",
    "csp",
    "sici",
    "b2",
    "flexor",
    "plm_drive",
    "bp_extrastriatal",
    "fe_thalamus",
    "ubar",
    "op",
    "o_t",
    "beta_endorphin",
    "prolactin",
    "bp_raclopride",
    "lip",
    "b",
    "u",
    "e",
    "occ1",
    "theta",
]
#: Hours of the afternoon and evening at which excitability is kept (24 is midnight).
EVENING = tuple(range(12, 27))


def table(people: People, events: Sequence[Event] = ()) -> dict[str, Array]:
    """Run two days and return the second as a table of people.

    Parameters
    ----------
    people : People
        Settled.
    events : sequence of Event
        Doses of the two days, for everyone.

    Returns
    -------
    dict of str to (n,) array
        Facts; ``name@hour`` of each read-out; ``urge``, mean urge from 18 to 02 h;
        ``z``, its logarithm; ``day_urge``; ``acrophase``, clock hour of the most urge
        at rest; ``plm_phase``, that of the most drive of leg movements; ``plm_log``, log effect
        on the hazard of movements that night; ``e_12`` to ``e_26``,
        excitability from noon to 02 h.
    """
    columns: dict[str, list[Array]] = {}
    n = people.cohort.n
    for lo in range(0, n, 2000):  # bounds the memory
        part = people.cohort.take(np.arange(lo, min(n, lo + 2000)))
        run = simulate(part, 50, events=[e for e in events if e.time <= 50])
        for name in _KEPT:
            values = run.get(name)
            for h in HOURS:
                columns.setdefault(f"{name}@{h}", []).append(values[:, 24 + h])
        u, e = run.get("u"), run.get("e")
        columns.setdefault("urge", []).append(u[:, 42:51].mean(axis=1))
        columns.setdefault("day_urge", []).append(u[:, 33:41].mean(axis=1))
        hour = np.arange(24) * 2 * np.pi / 24
        around = (e[:, 24:48] * np.exp(1j * hour)).sum(axis=1)
        columns.setdefault("acrophase", []).append((np.angle(around) * 24 / (2 * np.pi)) % 24)
        plm = run.get("plm_drive")
        about = (plm[:, 24:48] * np.exp(1j * hour)).sum(axis=1)
        columns.setdefault("plm_phase", []).append((np.angle(about) * 24 / (2 * np.pi)) % 24)
        for h in EVENING:
            columns.setdefault(f"e_{h}", []).append(e[:, 24 + h])
    out = {k: np.concatenate(v) for k, v in columns.items()}
    out["z"] = np.log(np.maximum(out["urge"], 1e-6))
    plm = data("population")["plm"]
    out["plm_log"] = (
        people.facts["plm_person"]
        + value_of(plm, "male") * (1 - people.facts["female"])
        + value_of(plm, "b_drive") * out["plm_drive@0"]
    )
    return dict(people.facts) | out
