"""Where a score stands among reference values: z and centile, with who they are from."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats

from ekbom.measures.clinic.facts import Fact, under


@dataclass(frozen=True)
class Place:
    """A score beside reference values.

    ``centile`` assumes a normal distribution; ``population`` and ``n`` say of
    whom the values are.
    """

    z: float
    centile: float
    population: str
    n: int
    fact: str


def reference(measure: str) -> Fact | None:
    """Return the reference row of a measure with mean and SD, None without one.

    Parameters
    ----------
    measure : str
        Name of a score.

    Returns
    -------
    Fact or None
        The row.
    """
    rows = under("norms").values()
    return next((r for r in rows if r.get("measure") == measure and r.get("sd")), None)


def place(measure: str, value: float) -> Place | None:
    """Return where a score stands among reference values.

    Parameters
    ----------
    measure : str
        ``IRLS_total`` ...
    value : float
        Score.

    Returns
    -------
    Place or None
        None without reference values, or without a score.

    Examples
    --------
    >>> p = place("IRLS_total", 24.7)
    >>> p.z, p.centile, p.n
    (0.0, 50.0, 60)
    """
    row = reference(measure)
    if row is None or value != value:
        return None
    z = (value - row["mean"]) / row["sd"]
    return Place(
        z, float(stats.norm.cdf(z)) * 100.0, str(row["population"]), int(row["n"]), row.key
    )
