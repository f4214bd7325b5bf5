"""Simulated studies of one world as text, so that a run that was stopped goes on."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.disease.people import source_digest
from ekbom.trials.evidence import Part

#: What an empty cell is stored as.
EMPTY = ("", "n/a")


def world_key(*what: Any) -> str:
    """Return a short name of everything that simulated studies depend on.

    Parameters
    ----------
    *what
        Sizes, seed, changes, recipes; the text of the model's files is added.

    Returns
    -------
    str
        12 hex digits.
    """
    digest = source_digest().copy()
    digest.update(repr(what).encode())
    return digest.hexdigest()[:12]


def to_table(made: dict[tuple[str, str], Part | None]) -> pd.DataFrame:
    """Return a table of simulated studies.

    Parameters
    ----------
    made : dict
        Of :func:`ekbom.trials.evidence.simulated`.

    Returns
    -------
    pandas.DataFrame
        A row a finding and scenario; values by spaces.
    """
    rows = []
    for (name, scenario), part in made.items():
        found, rival, effect = part or (np.zeros(0), None, float("nan"))
        rows.append({
            "id": name, "scenario": scenario, "numbers": "yes" if found.dtype.kind == "f" else "no",
            "effect": effect, "found": _text(found), "rival": "" if rival is None else _text(rival),
        })  # fmt: skip
    return pd.DataFrame(rows)


def from_table(text: str) -> dict[tuple[str, str], Part | None]:
    """Return simulated studies from a stored table.

    Parameters
    ----------
    text : str
        TSV of :func:`to_table`.

    Returns
    -------
    dict
        As :func:`ekbom.trials.evidence.simulated` gives it.
    """
    table = pd.read_csv(io.StringIO(text), sep="\t", dtype=str, keep_default_na=False)
    out: dict[tuple[str, str], Part | None] = {}
    for _, r in table.iterrows():
        numbers = r["numbers"] == "yes"
        rival = _values(r["rival"], numbers) if r["rival"] not in EMPTY else None
        found = _values(r["found"], numbers)
        effect = float(r["effect"]) if r["effect"] not in EMPTY else float("nan")
        out[r["id"], r["scenario"]] = (found, rival, effect) if len(found) else None
    return out


def _text(values: NDArray[Any]) -> str:
    if values.dtype.kind == "f":
        return " ".join(f"{v:.8g}" for v in values)
    return " ".join(map(str, values))


def _values(text: str, numbers: bool) -> NDArray[Any]:
    words = [] if text in EMPTY else text.split()
    return np.array(words, dtype=float) if numbers else np.array(words)
