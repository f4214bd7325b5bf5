"""Doses in words: ``levodopa 100 mg 21:00``, ``iv iron 1000 mg 09:00 day 7``."""

from __future__ import annotations

import re

from ekbom.disease.simulate import Event
from ekbom.errors import Refused

#: Drug to the state that a dose adds to; amounts in mg.
DRUGS = {
    "levodopa": "l_gut",
    "pramipexole": "g_gut",
    "oxycodone": "o_gut",
    "pregabalin": "p_gut",
    "oral iron": "fe_gut",
    "iv iron": "fx",
}
_FORM = re.compile(
    r"^(?P<drug>[a-z ]+?)\s+(?P<amount>\d+(?:\.\d+)?)\s*(?P<unit>[a-zA-Z]*)\s+"
    r"(?P<h>\d{1,2}):(?P<m>\d\d)"
    r"(?:\s+days?\s+(?P<first>\d+)(?P<to>\s*-\s*(?P<last>\d+)?)?)?$"
)


def dose(text: str, days: int) -> list[Event]:
    """Read a daily dose.

    Parameters
    ----------
    text : str
        Drug, amount, unit (mg) and clock time; after them the days it is taken, the first
        being 0: ``day 7``, ``days 7-27``, ``days 7-`` (to the end). Without days an infusion
        is given on day 0 and all else daily.
    days : int
        Length of the run.

    Returns
    -------
    list of Event
        One a day, in order.

    Raises
    ------
    Refused
        On an unknown drug, a missing unit, a time that is none, or days outside the run.
    """
    mend = 'write for example "levodopa 100 mg 21:00" or "iv iron 1000 mg 09:00 day 7"'
    found = _FORM.match(text.strip().lower())
    if found is None:
        raise Refused("The dose cannot be read.", field="dose", found=text, mend=mend)
    if found["unit"] != "mg":
        raise Refused("The dose has no unit that is known.", field="dose",
                      found=found["unit"] or "no unit", expected="mg", mend=mend)  # fmt: skip
    if found["drug"] not in DRUGS:
        raise Refused("The drug is not known.", field="dose", found=found["drug"],
                      expected=", ".join(DRUGS))  # fmt: skip
    hour, minute = int(found["h"]), int(found["m"])
    if hour > 23 or minute > 59:
        raise Refused("The time is none.", field="dose", found=text, expected="00:00 to 23:59")
    state, amount = DRUGS[found["drug"]], float(found["amount"])
    first = 0 if found["first"] is None else int(found["first"])
    if found["first"] is None:
        last = 0 if found["drug"] == "iv iron" else days - 1
    elif found["to"] is None:
        last = first
    else:
        last = days - 1 if found["last"] is None else int(found["last"])
    if not first <= last < days:
        raise Refused("The days of a dose lie outside the run.", field="dose", found=text,
                      expected=f"0 to {days - 1}, the first not after the last")  # fmt: skip
    return [Event(24.0 * d + hour + minute / 60, state, amount) for d in range(first, last + 1)]
