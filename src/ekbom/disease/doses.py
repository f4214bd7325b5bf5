"""Doses in words: ``levodopa 100 mg 21:00``."""

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
    r"^(?P<drug>[a-z ]+?)\s+(?P<amount>[\d.]+)\s*(?P<unit>[a-zA-Z]*)\s+"
    r"(?P<h>\d{1,2}):(?P<m>\d\d)$"
)


def dose(text: str, days: int) -> list[Event]:
    """Read a daily dose.

    Parameters
    ----------
    text : str
        Drug, amount, unit (mg) and clock time.
    days : int
        Number of days it is taken; an intravenous dose is given on the first only.

    Returns
    -------
    list of Event
        One a day.

    Raises
    ------
    Refused
        On an unknown drug, a missing unit, or a time that is none.
    """
    mend = 'write for example "levodopa 100 mg 21:00"'
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
    count = 1 if found["drug"] == "iv iron" else days
    state, amount = DRUGS[found["drug"]], float(found["amount"])
    return [Event(24.0 * d + hour + minute / 60, state, amount) for d in range(count)]
