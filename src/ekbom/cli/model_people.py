"""`ekbom model run` and `ekbom model cohort`: people of the disease model."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import pandas as pd
from cyclopts import Parameter

from ekbom.cli.model_said import banner, say
from ekbom.errors import Refused
from ekbom.study.files import json_bytes, tsv_bytes, write_bytes

if TYPE_CHECKING:
    from ekbom.trials.person import Course, Person

#: What a person file may say beside parameters.
_SAID = ("age", "sex", "irls", "genes")
#: Days in words, in the order of the table: column, words, unit, digits.
_TOLD = (
    ("severity", "severity, 0 to 40", 1),
    ("over_hours", "hours of the day over the threshold", 1),
    ("over_from", "first of them from noon on, clock", 1),
    ("ferritin", "ferritin, ug/L", 0),
    ("tsat_percent", "transferrin saturation, %", 0),
    ("hb", "haemoglobin, g/dL", 1),
    ("r2s_sn", "R2* of the nigra, 1/s", 1),
    ("bp_raclopride", "raclopride binding at 10 h, relative", 2),
    ("vt_dpn", "diprenorphine V_T at 10 h, mL/mL", 1),
)
_COLUMNS = {
    "hour": ("hours from midnight of the first day", "h"),
    "age": ("age", "year"),
    "female": ("1 a woman, 0 a man", "1"),
    "rls": ("has the disease: log evening urge over the threshold", "1"),
    "irls": ("severity total as the person would answer, 0 to 40", "1"),
    "z": ("log of the evening urge", "1"),
    "day_urge": ("mean urge from 9 to 16 h", "1"),
    "acrophase": ("clock hour of the most spinal excitability", "h"),
    "plm_phase": ("clock hour of the most drive of leg movements", "h"),
    "plm_log": ("log hazard of leg movements that night, beside age", "1"),
    "plm_person": ("the same, of the person alone", "1"),
    "z_plm": ("standard normal draw behind the movements of the person", "1"),
    "z_short": ("standard normal draw behind doubled movements", "1"),
    **{f"z_{k}": (f"standard normal draw behind {k}", "1") for k in
       ("g0", "u_e", "q_bbb", "g_irp")},
    "day": ("day of the run, 0 the first", "d"),
    "urge": ("mean urge to move from 18 to 02 h", "1"),
    "severity": ("severity total that is expected of such evenings, 0 to 40", "1"),
    "over_from": ("clock hour from noon at which the urge passes the threshold; over 24 is after "
                  "midnight; n/a when it does not before 02 h", "h"),
    "over_hours": ("time over the threshold from midnight to midnight", "h"),
    "plms": ("periodic leg movements an hour of one night, rules of 2016", "1/h"),
    "periodicity": ("periodicity index of the night (Ferri 2006)", "1"),
}  # fmt: skip


def run(
    *,
    out: Path,
    person: Path | None = None,
    irls: float | None = None,
    age: float | None = None,
    sex: Literal["female", "male"] | None = None,
    days: int = 7,
    dose: list[str] | None = None,
    treatment: str | None = None,
    condition: str | None = None,
    scenario: str = "base",
    seed: int = 1,
) -> None:
    """Run one person, with and without treatment; write hours, days and a page.

    Parameters
    ----------
    out
        Folder for run.tsv (hours), days.tsv, run.html and their JSON.
    person
        TOML: age, sex, irls, a table `genes` of risk alleles, and parameters that differ.
    irls
        A patient of about this severity is drawn; without it the typical person is run.
    age
        Years; 50 unless told.
    sex
        female or male; either for a drawn patient, male for the typical person unless told.
    days
        Length.
    dose
        Doses, such as "levodopa 100 mg 21:00" or "iv iron 1000 mg 09:00 day 7".
    treatment
        A shipped treatment, such as pramipexole_0.5, from day 0.
    condition
        Such as ida, pregnancy, esrd.
    scenario
        Such as d2-down.
    seed
        Of the drawn patient and of the nights.
    """
    from ekbom.disease.doses import dose as read_dose
    from ekbom.trials import person as who

    said, own = _read(person)
    said |= {k: v for k, v in (("irls", irls), ("age", age), ("sex", sex)) if v is not None}
    events = [e for text in dose or [] for e in read_dose(text, days)]
    female = None if "sex" not in said else said["sex"] == "female"
    years = float(said.get("age", 50.0))
    under = who.Under(own, scenario, condition)
    if "irls" in said:
        if "genes" in said:
            raise Refused("A drawn patient has genes of its own.", file=person, field="genes",
                          expected="genes or irls, not both")  # fmt: skip
        one = who.drawn(float(said["irls"]), years, female, seed=seed, under=under)
    else:
        one = who.typical(years, bool(female), genes=said.get("genes"), under=under)
    if treatment:
        events += who.treatment(one.people, treatment, days)
    made = who.course(one, days, events, seed=seed)
    plain = who.course(one, days, seed=seed) if events else None
    taken = [*(dose or []), *([treatment] if treatment else [])]
    about = {
        "About": banner(), "Person": one.title, "Severity": said.get("irls"), "Parameters": own,
        "Genes": said.get("genes", {}), "Condition": condition or "none", "Scenario": scenario,
        "Doses": taken, "Seed": seed,
    }  # fmt: skip
    write_bytes(out / "run.tsv", tsv_bytes(made.hours))
    write_bytes(out / "run.json", json_bytes(about | {"Columns": _columns(made.hours)}))
    write_bytes(out / "days.tsv", tsv_bytes(made.days))
    write_bytes(out / "days.json", json_bytes(about | {"Columns": _columns(made.days)}))
    title = "; ".join([one.title, *_circumstances(condition, scenario), ", ".join(taken)])
    title = title.removesuffix("; ")
    table = _compared(made, plain)
    write_bytes(out / "run.html", _page(title, one, made, plain, table).encode())
    say(title)
    say(table.to_string(index=False))
    say(f"written to {out}: run.html, days.tsv, run.tsv")
    say(banner())


def cohort(
    *,
    out: Path,
    n: Annotated[int, Parameter(name=("--n", "-n"))] = 1000,
    seed: int = 1,
    condition: str | None = None,
    scenario: str = "base",
) -> None:
    """Draw virtual people, run them; write the table, who has the disease, and a page.

    Parameters
    ----------
    out
        Folder for cohort.tsv, prevalence.tsv, cohort.html and their JSON.
    n
        Number of people.
    seed
        Of every draw.
    condition
        Such as ida, pregnancy, esrd: everybody has it; the same people without stand beside.
    scenario
        Such as d2-down.
    """
    from ekbom.report.evidence import page
    from ekbom.report.person import cohort_figure
    from ekbom.trials import cohort as many
    from ekbom.trials.person import threshold

    made = many.population(n, seed, condition=condition, scenario=scenario)
    shares = many.by_age(made.people)
    table = many.groups(made.people)
    hit = made.people["rls"]
    lines = [f"{int(hit.sum())} of {n} people have the disease ({100 * hit.mean():.1f} %)."]
    before = None
    if made.without is not None:
        before = many.by_age(made.without)
        found = many.ratio(made, seed)
        words = f"Without the condition {100 * made.without['rls'].mean():.1f} % of the same people"
        lines.append(f"{words}, too few for a ratio." if found is None else
                     f"{words}: {found[0]:.1f} times as many with it ({found[1]:.1f} to "
                     f"{found[2]:.1f}).")  # fmt: skip
        write_bytes(out / "without.tsv", tsv_bytes(made.without))
    write_bytes(out / "cohort.tsv", tsv_bytes(made.people))
    write_bytes(out / "prevalence.tsv", tsv_bytes(shares))
    about = {"About": banner(), "People": n, "Seed": seed, "Condition": condition or "none",
             "Scenario": scenario, "Threshold": threshold(), "Prevalence": float(hit.mean()),
             "Columns": _columns(made.people)}  # fmt: skip
    write_bytes(out / "cohort.json", json_bytes(about))
    title = "; ".join([f"{n} people of the model", *_circumstances(condition, scenario)])
    pale = "" if made.without is None else " Pale: the same people without the condition."
    figures = {"Share with the disease by age and sex (95 % intervals); severity of those with it; "
               f"serum ferritin.{pale}": cohort_figure(made.people, made.without, shares, before)
               }  # fmt: skip
    tables = {"With and without the disease, median (5 to 95 %)": table, "By age and sex": shares}
    html = page(title, lines, tables, banner(), figures)
    write_bytes(out / "cohort.html", html.encode())
    for line in lines:
        say(line)
    say(table.to_string(index=False))
    say(f"written to {out}: cohort.html, cohort.tsv, prevalence.tsv")
    say(banner())


def _circumstances(condition: str | None, scenario: str) -> list[str]:
    from ekbom.disease.people import data

    words = [] if condition is None else [str(data("conditions")[condition]["title"])]
    return words if scenario == "base" else [*words, f"scenario {scenario}"]


def _read(file: Path | None) -> tuple[dict[str, Any], dict[str, float]]:
    """Return what a person file says of the person, and the parameters it changes."""
    if file is None:
        return {}, {}
    from ekbom.disease.model import load

    expected = "age, sex, irls, a table genes, and parameter = number, in TOML"
    try:
        entries = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as no:
        raise Refused("The person cannot be read.", file=file, found=no,
                      expected=expected) from None  # fmt: skip
    known = load().defaults
    for key, value in entries.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        right = {"sex": value in ("female", "male"), "genes": isinstance(value, dict)}
        if not right.get(key, number):
            raise Refused("An entry of the person is not what it should be.", file=file, field=key,
                          found=value, expected={"sex": "female or male", "genes": "a table of loci"
                          }.get(key, "a number"))  # fmt: skip
        if key not in known and key not in _SAID:
            raise Refused("The model has no such parameter.", file=file, field=key,
                          expected=expected,
                          mend="parameters: `ekbom model export --format docs`")  # fmt: skip
    said = {k: v for k, v in entries.items() if k in _SAID}
    return said, {k: float(v) for k, v in entries.items() if k not in _SAID}


def _compared(made: Course, plain: Course | None) -> pd.DataFrame:
    """Return the last day in words, beside the same day without treatment."""
    columns = {"last day": made} if plain is None else {"untreated": plain, "treated": made}
    rows: list[dict[str, str]] = []
    for name, words, digits in _TOLD:
        row = {"": words}
        for head, one in columns.items():
            value = float(one.days[name].iloc[-1])
            if name == "over_from":
                minute = 0 if np.isnan(value) else round(60 * value) % 1440
                row[head] = "none" if np.isnan(value) else f"{minute // 60:02d}:{minute % 60:02d}"
            else:
                row[head] = f"{value:.{digits}f}"
        rows.append(row)
    row = {"": "leg movements in sleep, 1/h (90 % of nights)"}
    for head, one in columns.items():
        low, high = np.quantile(one.night, [0.05, 0.95])
        row[head] = f"{one.night.mean():.0f} ({low:.0f} to {high:.0f})"
    return pd.DataFrame([*rows[:3], row, *rows[3:]])


def _page(title: str, one: Person, made: Course, plain: Course | None, table: pd.DataFrame) -> str:
    from ekbom.report.evidence import page
    from ekbom.report.person import course_figure, day_figure
    from ekbom.trials.person import threshold

    hours, before = made.hours, None if plain is None else plain.hours
    level = float(np.exp(threshold()))
    pale = "" if plain is None else " Pale: the same person without treatment."
    figures = {
        "The last day from noon to noon; the night is shaded." + pale: (
            day_figure(hours, level, before)
        ),
    }  # fmt: skip
    if len(made.days) > 1:
        words = "By day: severity of the evening, movements of one night, iron, receptors." + pale
        figures[words] = course_figure(made.days, None if plain is None else plain.days)
    tables = {"The last day": table, "What makes this person differ": _changed(one)}
    now = f"{made.days['severity'].iloc[-1]:.1f}"
    if plain is not None:
        now = f"{plain.days['severity'].iloc[-1]:.1f} untreated and {now} treated"
    lines = [f"Severity, 0 to 40, at the end of {len(made.days)} days: {now}."]
    return page(title, lines, tables, banner(), figures)


def _changed(one: Person) -> pd.DataFrame:
    from ekbom.disease.model import load

    rows = []
    for p in load().params:
        if p.id not in one.people.cohort.params:
            continue
        value = float(np.ravel(one.people.cohort.params[p.id])[0])
        if value != p.value:
            rows.append({"parameter": p.id, "what it is": p.note, "this person": f"{value:.4g}",
                         "default": f"{p.value:.4g}", "unit": p.unit,
                         "status": p.status})  # fmt: skip
    return pd.DataFrame(rows)


def _columns(frame: pd.DataFrame) -> dict[str, dict[str, str]]:
    from ekbom.disease.model import load

    known = {x.id: x for x in load().everything}
    out = {}
    for column in frame.columns:
        name, _, hour = column.partition("@")
        if column in _COLUMNS:
            out[column] = dict(zip(("Description", "Units"), _COLUMNS[column], strict=True))
        elif name in known:
            x, when = known[name], f" at {hour} h" if hour else ""
            out[column] = {"Description": f"{getattr(x, 'doc', '')}{when}", "Units": x.unit}
        elif name.startswith("e_"):
            out[column] = {"Description": f"spinal excitability at {int(name[2:]) % 24} h",
                           "Units": "1"}  # fmt: skip
        elif name in _loci():
            out[column] = {"Description": f"risk alleles of {_loci()[name]}", "Units": "1"}
    return out


def _loci() -> dict[str, str]:
    from ekbom.disease.people import data

    return {x["id"]: x["variant"] for x in data("population")["locus"]}
