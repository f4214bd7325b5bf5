"""The stored cohort from which simulated studies are drawn: tables of people by name."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.disease import cohort as co
from ekbom.disease.model import load
from ekbom.disease.plm import night
from ekbom.disease.simulate import Event, simulate
from ekbom.measures.legs.rules import rule_sets
from ekbom.measures.legs.series import find_series

#: Scenarios in which the same people are run anew.
_BASE = "base"


class World:
    """Tables of virtual people, made when first asked for.

    Parameters
    ----------
    n : int
        People of the reference population.
    seed : int
        Of every draw.
    """

    def __init__(self, n: int = 8000, seed: int = 1) -> None:
        self.n, self.seed = n, seed
        self._tables: dict[str, pd.DataFrame] = {}
        people, sibs = co.draw(n, seed, siblings=True)
        assert sibs is not None
        self.people, self.siblings = co.settled(people), co.settled(sibs)
        first = co.table(self.people)
        self.cut = co.threshold(first["z"])
        general = self._frame(first)
        general["sibling_rls"] = co.table(self.siblings)["z"] > self.cut
        cases = np.flatnonzero(general["rls"])
        self.cases = cases
        rest = np.flatnonzero(~general["rls"])
        self.controls = np.random.default_rng([seed, 2]).permutation(rest)[
            : max(len(cases) * 2, 400)
        ]
        self._add_nights(general, np.concatenate([cases, self.controls]))
        self._add_rest_tests(general, cases)
        self._tables["general"] = general

    def table(self, name: str, scenario: str = _BASE) -> pd.DataFrame:
        """Return a table of people.

        Parameters
        ----------
        name : str
            ``general``, ``rls``, ``control``, a condition, or ``arm:NAME:WEEKS``.
        scenario : str
            Of ``scenarios.toml``.

        Returns
        -------
        pandas.DataFrame
            A row a person.
        """
        key = f"{scenario}/{name}"
        if key not in self._tables:
            self._tables[key] = self._make(name, scenario)
        return self._tables[key]

    def _make(self, name: str, scenario: str) -> pd.DataFrame:
        if name in ("rls", "control"):
            rows = self.cases if name == "rls" else self.controls
            if scenario == _BASE:
                return self._tables["general"].iloc[rows]
            # the same people, under the scenario; diagnosis as before
            again = co.settled(co.scenario(self._raw().take(rows), scenario))
            frame = self._frame(co.table(again))
            known = self._tables["general"].iloc[rows]
            for column in ("plmi", "irls"):
                frame[column] = known[column].to_numpy()
            return frame
        if name == "general":
            return self._tables["general"]
        if name.startswith("arm:"):
            _, arm, weeks = name.split(":")
            people, events = co.treated(self.people.take(self.cases), arm, float(weeks))
            frame = self._frame(co.table(people, events))
            known = self._tables["general"].iloc[self.cases]
            for column in ("z", "ferritin@10", "plmi", "tsat_percent@10"):
                frame[f"before_{column}"] = known[column].to_numpy()
            self._add_nights(frame, np.arange(len(frame)))
            return frame
        rows = np.arange(min(self.n, 3000))
        return self._frame(co.table(co.condition(self.people.take(rows), name)))

    def _raw(self) -> co.People:
        return co.draw(self.n, self.seed, siblings=True)[0]

    def _frame(self, columns: dict[str, NDArray[np.float64]]) -> pd.DataFrame:
        frame = pd.DataFrame(columns)
        frame["rls"] = frame["z"] > self.cut
        rng = np.random.default_rng([self.seed, 3])
        frame["irls"] = co.irls(frame["z"].to_numpy(), self.cut, rng)
        return frame

    def _add_nights(self, frame: pd.DataFrame, rows: NDArray[np.intp]) -> None:
        """Two nights and an hour of quiet wake of some people, scored by WASM 2016."""
        names = ("plmi", "pi", "plmi2", "pi2", "plmw")
        made = {c: np.full(len(frame), np.nan) for c in names}
        age, person = frame["age"].to_numpy(), frame["plm_person"].to_numpy()
        e = frame["e@0"].to_numpy()
        for i in rows:
            rng = np.random.default_rng([self.seed, 4, int(i)])
            for suffix in ("", "2"):
                index, periodicity = scored(night(rng, age[i], person[i], e[i]).onset, 7.5)
                made[f"plmi{suffix}"][i], made[f"pi{suffix}"][i] = index, periodicity
            wake = night(rng, age[i], person[i], e[i], hours=1.0, wake=True).onset
            made["plmw"][i] = scored(wake, 1.0)[0]
        for c, values in made.items():
            frame[c] = values

    def _add_rest_tests(self, frame: pd.DataFrame, rows: NDArray[np.intp]) -> None:
        """Urge after an hour of immobility, and after an hour of walking, at three times."""
        part = self.people.cohort.take(rows)
        for word, posture in (("sit", 1.0), ("up", 0.0)):
            events = []
            for h in (8, 16, 22):
                events += [Event(23.0 + h, "hold", 1.0), Event(23.0 + h, "hold_pos", posture)]
                events += [Event(24.0 + h + 0.01, "hold", 0.0)]
            u = simulate(part, 48, events=events).get("u")
            for h in (8, 16, 22):
                column = np.full(len(frame), np.nan)
                column[rows] = u[:, 24 + h]
                frame[f"{word}@{h}"] = column


def scored(onset: NDArray[np.float64], hours: float) -> tuple[float, float]:
    """Return index and periodicity of movements, by the scorer of ``measures.legs``.

    Parameters
    ----------
    onset : (M,) float
        Seconds, in order.
    hours : float
        Time that the index refers to.

    Returns
    -------
    tuple of float
        Periodic movements an hour (WASM 2016) and the share of movements that
        are periodic; NaN without movements.
    """
    keep = np.r_[True, np.diff(onset) > 0.5] if len(onset) else np.zeros(0, bool)
    times = onset[keep]
    if len(times) == 0:
        return 0.0, np.nan
    found = find_series(times, np.ones(len(times), bool), rule_sets(("wasm2016",))[0])
    count = int(np.sum(found.periodic))
    return count / hours, count / len(times)


def error_of(column: str) -> float:
    """Return the coefficient of variation of the measurement of a column."""
    name = column.split("@")[0]
    return {r.id: r.cv for r in load().readouts}.get(name, 0.0)
