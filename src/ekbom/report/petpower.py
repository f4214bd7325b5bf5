"""The page of a planned PET study: what it finds, by number of patients."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ekbom.report.evidence import page
from ekbom.report.trial import power_figure

_COLUMNS = {
    "n": "patients",
    "each": "each", "any": "any", "all": "all",
    "single_exact": "one test, closed form", "each_exact": "each, closed form",
    "false": "false finding", "r_needed": "least |r| found", "r_found": "mean |r| found",
    "inflation": "over the truth", "wrong_sign": "wrong sign", "wanted": "wanted",
}  # fmt: skip


def power_page(lines: Sequence[str], curve: pd.DataFrame, wish: str, about: str) -> str:
    """Return the HTML page of a planned PET study.

    Parameters
    ----------
    lines : sequence of str
        What to read first.
    curve : DataFrame
        Of :class:`ekbom.trials.petpower.PetPlan`.
    wish : str
        Which power is drawn: ``each``, ``any`` or ``all``.
    about : str
        What the page is not.

    Returns
    -------
    str
        A page without outside resources; the same numbers give the same bytes.
    """
    drawn = pd.DataFrame({
        "n": curve["n"], "power": curve[wish],
        "lower": (curve[wish] - 1.96 * curve[f"{wish}_se"]).clip(0.0),
        "upper": (curve[wish] + 1.96 * curve[f"{wish}_se"]).clip(upper=1.0),
        "wanted": curve["wanted"],
    })  # fmt: skip
    shown = curve[list(_COLUMNS)].rename(columns=_COLUMNS).round(3)
    return page(
        "A planned PET study of severity", lines, {"By number of patients": shown}, about,
        {f"Power ({wish}) with its Monte-Carlo interval": power_figure(drawn, "patients")},
    )  # fmt: skip
