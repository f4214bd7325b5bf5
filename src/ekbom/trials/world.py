"""The stored cohort from which simulated studies are drawn: tables of people by name."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ekbom.disease import cohort as co
from ekbom.disease.model import load
from ekbom.disease.simulate import Event, simulate
from ekbom.trials import columns as col
from ekbom.trials.columns import scored

__all__ = ["World", "error_of", "scored"]
#: Scenario that overrides nothing.
_BASE = "base"
#: First-degree relatives drawn for each patient.
RELATIVES = 5
#: Patients that are treated at most, and patients and controls that are run anew in a scenario.
TREATED, AGAIN = 150, 150
#: Share of highest urge in which every patient lies when the drive of all is lowered.
_TOP = 0.12


class World:
    """Tables of virtual people, made when first asked for.

    Parameters
    ----------
    n : int
        People of the reference population.
    seed : int
        Of every draw.
    changes : mapping of str to float, optional
        What differs from the shipped values: parameters of everyone (a lesion of the
        model, or a draw from the posterior), ``spread:q_bbb``, ``spread:g_irp`` or
        ``spread:al_aug`` (SD of the log between people), after it ``median:al_aug``, and
        values of the population file by ``part.key``.
    """

    def __init__(
        self, n: int = 8000, seed: int = 1, changes: Mapping[str, float] | None = None
    ) -> None:
        self.n, self.seed, self._changes = n, seed, dict(changes or {})
        self._tables: dict[str, pd.DataFrame] = {}
        self.drawn = self._changed(co.draw(n, seed)[0])
        self.people = co.settled(self.drawn)
        first = co.table(self.people)
        self.cut = co.threshold(first["z"])
        self.cut_sufferer = float(np.quantile(first["z"], 1 - self.value("reference", "sufferers")))
        general = self._frame(first, np.arange(n), 0)
        self.onset_level = col.level_of_onset(general, self.cut)
        general["onset"] = col.onset_hour(general, self.onset_level)
        general["onset_age"] = col.onset_age(general, self.cut)
        cases = np.flatnonzero(general["rls"])
        rest = np.flatnonzero(~general["rls"])
        self.cases = cases
        self.controls = np.random.default_rng([seed, 2]).permutation(rest)[
            : max(len(cases) * 2, 400)
        ]
        col.add_nights(general, np.arange(n), seed)
        col.add_second_nights(general, cases, seed)
        self._add_rest_tests(general, cases)
        self._add_challenge(general, np.concatenate([cases, self.controls[: len(cases)]]))
        self._add_family(general, cases)
        self._tables["general"] = general

    def value(self, part: str, key: str) -> float:
        """Return a value of the population file, or what this world has in its place.

        Parameters
        ----------
        part, key : str
            Its place.

        Returns
        -------
        float
            The value.
        """
        return float(self._changes.get(f"{part}.{key}", col.value(part, key)))

    def table(self, name: str, scenario: str = _BASE) -> pd.DataFrame:
        """Return a table of people.

        Parameters
        ----------
        name : str
            ``general``, ``rls``, ``control``, a condition, ``matched:CONDITION`` (the
            same people without it), ``asia``, or ``arm:NAME:WEEKS``.
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

    def with_nights(self, name: str) -> pd.DataFrame:
        """Return a table of treated people with a night of movements each.

        Parameters
        ----------
        name : str
            ``arm:NAME:WEEKS``.

        Returns
        -------
        pandas.DataFrame
            With ``plmi``.
        """
        frame = self.table(name)
        if "plmi" not in frame:
            col.add_nights(frame, np.arange(len(frame)), self.seed + 1)
        return frame

    def _changed(self, people: co.People) -> co.People:
        params: dict[str, NDArray[np.float64] | float] = {}
        for key, v in self._changes.items():
            if key.startswith("spread:"):
                name = key.removeprefix("spread:")
                shape = co.data("population")["distributions"][name]
                own = np.asarray(people.cohort.params[name])
                z = people.facts.get(f"z_{name}", np.log(own / shape["location"]) / shape["scale"])
                params[name] = shape["location"] * np.exp(v * z)
            elif key.startswith("median:"):
                name = key.removeprefix("median:")
                shipped = co.data("population")["distributions"][name]["location"]
                own = np.asarray(params.get(name, people.cohort.params[name]))
                params[name] = own * v / shipped
            elif "." not in key:
                params[key] = v
        return co.People(people.cohort.with_params(**params), people.facts)

    def _make(self, name: str, scenario: str) -> pd.DataFrame:
        general = self._tables["general"]
        if name in ("rls", "control"):
            rows = self.cases if name == "rls" else self.controls
            if scenario == _BASE:
                return general.iloc[rows]
            # the same people, under the scenario; diagnosis as before
            rows = rows[:AGAIN]
            again = co.settled(co.scenario(self.drawn.take(rows), scenario))
            frame = self._frame(co.table(again), rows, 0)
            for column in ("plmi", "irls", "onset_age"):
                frame[column] = general.iloc[rows][column].to_numpy()
            return frame
        if name == "general":
            return general
        if name.startswith("arm:"):
            _, arm, weeks = name.split(":")
            treated = self.cases[:TREATED]
            people, events = co.treated(self.people.take(treated), arm, float(weeks))
            frame = self._frame(co.table(people, events), treated, 1 + sum(map(ord, name)))
            frame["onset"] = col.onset_hour(frame, self.onset_level)
            for column in ("z", "ferritin@10", "plmi", "tsat_percent@10", "waso", "mos", "onset"):
                frame[f"before_{column}"] = general.iloc[treated][column].to_numpy()
            return frame
        if name == "asia":
            return self._asia()
        rows = np.arange(min(self.n, max(self.n // 2, 600)))
        if name.startswith("matched:"):
            return general.iloc[rows]
        return self._frame(co.table(co.condition(self.people.take(rows), name)), rows, 3)

    def _asia(self) -> pd.DataFrame:
        """Everyone with the drive of East Asia; only those of the highest urge are run."""
        frame = self._tables["general"].copy()
        low = np.quantile(frame["z"], 1 - _TOP)
        rows = np.flatnonzero(frame["z"] > low)
        people = self.people.take(rows)
        shift = co.current(people.cohort, "u_e") + self.value("ancestry", "x_asia")
        made = self._frame(co.table(co.settled(people, u_e=shift)), rows, 2)
        for column in ("rls", "z", "irls"):
            values = frame[column].to_numpy(copy=True)
            values[:] = False if column == "rls" else values
            values[rows] = made[column].to_numpy()
            frame[column] = values
        return frame

    def _frame(
        self, made: dict[str, NDArray[np.float64]], rows: NDArray[np.intp], visit: int
    ) -> pd.DataFrame:
        frame = pd.DataFrame(made)
        frame["plm_log"] += self._movements(frame)
        frame["person"] = rows
        frame["rls"] = frame["z"] > self.cut
        frame["sufferer"] = frame["z"] > self.cut_sufferer
        rng = np.random.default_rng([self.seed, 3])
        frame["irls"] = co.irls(frame["z"].to_numpy(), self.cut, rng)
        above = np.linspace(-4, 4, 161)
        frame["affect"] = self._affect(frame["z"].to_numpy())
        frame["score"] = np.interp(frame["z"] - self.cut, above, co.expected_irls(above))
        glutamate = self.value("sleep", "glutamate")
        col.add_sleep(frame, self.cut, self.seed, [self.seed, 5, visit], glutamate)
        return frame

    def _movements(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Change of the log hazard of movements where this world differs from the file."""
        d = {k: self.value("plm", k) - col.value("plm", k)
             for k in ("person_sd", "male", "b_drive", "per_year")}  # fmt: skip
        out: NDArray[np.float64] = (
            np.log(self.value("plm", "rate") / col.value("plm", "rate"))
            + d["person_sd"] * frame["z_plm"].to_numpy()
            + d["male"] * (1 - frame["female"].to_numpy())
            + d["b_drive"] * frame["plm_drive@0"].to_numpy()
            + d["per_year"] * (frame["age"].to_numpy() - 50)
        )
        return out

    def _affect(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Affective pain, four items of 0 to 3, as the first three steps of the severity items."""
        rng = np.random.default_rng([self.seed, 6])
        steps = np.asarray(col.value("irls", "steps"))[1:]
        p = 1 / (1 + np.exp(-col.value("irls", "slope") * (z[:, None] - self.cut - steps)))
        total: NDArray[np.float64] = (rng.random((len(z), 4, 1)) < p[:, None, :]).sum((1, 2))
        return total.astype(np.float64)

    def _add_family(self, general: pd.DataFrame, cases: NDArray[np.intp]) -> None:
        """Affected first-degree relatives of each patient, in order, and the first of them."""
        kin = co.relatives(self.drawn.take(cases), self.seed, RELATIVES)
        kin = co.settled(self._changed(kin))
        hit = (co.table(kin)["z"] > self.cut).reshape(-1, RELATIVES)
        for k in range(RELATIVES):
            column = np.full(len(general), np.nan)
            column[cases] = hit[:, k]
            general[f"kin_{k}"] = column

    def _add_challenge(self, general: pd.DataFrame, rows: NDArray[np.intp]) -> None:
        """Fall of prolactin two hours after 200 mg of levodopa at 11 and at 23 h."""
        part = self.people.cohort.take(rows)
        plain = simulate(part, 26).get("prolactin")
        for word, hour in (("day", 11), ("night", 23)):
            run = simulate(part, 26, events=[Event(float(hour), "l_gut", 200.0)])
            column = np.full(len(general), np.nan)
            column[rows] = 1 - run.get("prolactin")[:, hour + 2] / plain[:, hour + 2]
            general[f"prolactin_fall_{word}"] = column

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


def error_of(column: str) -> float:
    """Return the coefficient of variation of the measurement of a column.

    Parameters
    ----------
    column : str
        Read-out, with or without its hour.

    Returns
    -------
    float
        0 for what is no read-out.
    """
    name = column.split("@")[0]
    return {r.id: r.cv for r in load().readouts}.get(name, 0.0)
