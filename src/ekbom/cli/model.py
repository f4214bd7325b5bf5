"""`ekbom model`: the executable model of the disease, and the model held to print."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from cyclopts import App
from rich.console import Console

from ekbom.cli.model_calibrate import calibrate
from ekbom.cli.model_people import cohort, run
from ekbom.cli.model_said import banner, say
from ekbom.cli.model_trial import trial
from ekbom.errors import Refused
from ekbom.study.files import json_bytes, tsv_bytes, write_bytes

app = App(name="model", help="The executable model of the disease: a hypothesis engine.")
app.command(run)
app.command(cohort)
app.command(calibrate)
app.command(trial)
_err = Console(stderr=True, highlight=False, soft_wrap=True)


@app.command
def evidence(
    *,
    out: Path | None = None,
    rows: str = "*",
    scenario: str | None = None,
    replicates: int = 1000,
    n: int = 3000,
    draws: int = 10,
    seed: int = 1,
    findings: Path | None = None,
    recipes: Path | None = None,
) -> None:
    """Hold the model to the published findings; a failed verdict is a result.

    Parameters
    ----------
    out
        Folder for evidence.tsv and evidence.html.
    rows
        Ids, such as "OP*,FE03".
    scenario
        Only this one.
    replicates
        Simulated studies a row.
    n
        People of each stored cohort.
    draws
        Cohorts, each with parameters drawn from the posterior of the calibration; 0 for
        one cohort with the shipped values. With --out, those done are kept, and a run that
        was stopped goes on.
    seed
        Of every draw.
    findings
        A table of findings in place of the shipped one.
    recipes
        Recipes in place of the shipped ones.
    """
    from ekbom.report.evidence import (
        in_words,
        opioid_figure,
        page,
        spread_figure,
        verdict_figure,
    )
    from ekbom.trials import evidence as ev
    from ekbom.trials import prints
    from ekbom.trials.constraints import spread_readings, tonic_and_phasic
    from ekbom.trials.posterior import draws as drawn
    from ekbom.trials.recipes import recipes as read
    from ekbom.trials.replicates import from_table, to_table, world_key
    from ekbom.trials.world import World

    table, text = None, None
    try:
        if findings is not None:
            table = pd.read_csv(findings, sep="\t", dtype=str, keep_default_na=False)
            table = table.set_index("id")
        if recipes is not None:
            text = recipes.read_text("utf-8")
    except (OSError, KeyError, ValueError) as no:
        raise Refused("The findings or recipes cannot be read.", found=no) from None
    found = read(rows, text, table)
    if draws < 0 or n < 200:
        raise Refused("Too few.", field="draws" if draws < 0 else "n", found=min(draws, n),
                      expected="0 draws or more, 200 people or more")  # fmt: skip
    every = drawn(draws, seed) if draws else [{}]
    asked = [dict(r.entry) for r in found]  # words about misses change no simulated study
    parts = []
    for k, own in enumerate(every):
        key = world_key(n, seed, k, own, rows, scenario, replicates, len(every), asked)
        store = None if out is None else out / "worlds" / f"{k:02d}-{key}.tsv"
        if store is not None and store.exists():
            parts.append(from_table(store.read_text("utf-8")))
            continue
        each = -(-replicates // len(every))
        made = ev.simulated(World(n, seed + k, own), found, scenario=scenario, replicates=each,
                            seed=seed + k, skip=len(every) > 1)  # fmt: skip
        parts.append(made)
        if store is not None:
            write_bytes(store, tsv_bytes(to_table(made)))
        _err.print(f"cohort {k + 1} of {len(every)} is done", markup=False)
    result = ev.judged(parts, found, table)
    for _, r in result.table.iterrows():
        say(f"{r['id']}  {r['verdict']:<10} {r['scenario']:<18} printed {r['printed']}, "
             f"model {r['median']}")  # fmt: skip
    lines = ev.summary(result)
    for line in lines:
        say(line)
    if out is not None:
        write_bytes(out / "evidence.tsv", tsv_bytes(result.table))
        counted = result.table["class"] != "contested"
        tables = {
            "Required and null-required findings, most surprising first": in_words(
                result.table[counted]
            ),
            "Contested findings, scenario by scenario": in_words(result.table[~counted]),
            "Outside, and what is known of it": ev.discussed(result),
        }
        figures = {
            "Counted findings: blue inside, orange not; hollow where the source is not verified. "
            "Left: where the printed number lies among simulated studies. Right: printed "
            "directions and nulls.": verdict_figure(result.table[counted])
        }
        ids = {r.id for r in found}
        if {"FE01", "FE02"} & ids:
            spread = spread_readings()
            write_bytes(out / "spread.tsv", tsv_bytes(spread))
            tables["Printed spread of FE01 and FE02, read as SE and as SD"] = spread
            figures[
                "The printed p fits the reading as standard error; read as SD, the tests would "
                "be far more significant than printed (FE01, FE02)."
            ] = spread_figure(spread)
        if {"TX03", "TX10", "TX13", "PL01"} & ids:
            against = prints.pairs()
            write_bytes(out / "prints.tsv", tsv_bytes(against))
            tables["Print against print: what cannot all be met"] = against
        if {"OP01", "OP02"} & ids:
            store = out / "worlds" / f"opioid-{world_key('opioid', n, seed)}.tsv"
            if not store.exists():
                write_bytes(store, tsv_bytes(tonic_and_phasic(World(n, seed), seed=seed)))
            opioid = pd.read_csv(store, sep="\t")
            write_bytes(out / "opioid.tsv", tsv_bytes(opioid))
            tables["Tonic and phasic opioids: OP01 and OP02 in one study"] = opioid
            figures["Rows: tonic deficit, none at the bottom. Columns: phasic release by urge, "
                    "none at the left. The printed pattern needs both in one study."] = (
                opioid_figure(opioid)
            )  # fmt: skip
        if recipes is None:
            tables["Findings without a recipe"] = ev.left_out()
        html = page("The disease model held to print", lines, tables, banner(), figures)
        write_bytes(out / "evidence.html", html.encode())
        about = {
            "About": banner(),
            "Rows": rows,
            "Replicates": replicates,
            "People": n,
            "Draws": draws,
            "Seed": seed,
        }
        write_bytes(out / "evidence.json", json_bytes(about))
        say(f"written to {out}")
    say(banner())


@app.command
def postulates(*, out: Path | None = None, n: int = 2000, seed: int = 1) -> None:
    """Check the four iron postulates, whatever they give.

    Parameters
    ----------
    out
        Folder for the tables.
    n
        People of the stored cohort.
    seed
        Of every draw.
    """
    from ekbom.report.evidence import page
    from ekbom.trials.postulates import postulates as check
    from ekbom.trials.world import World

    held, tables, lines = [], {}, []
    for p in check(World(n, seed)):
        lines.append(f"{p.number}. {p.claim}: {'holds' if p.holds else 'not supported'}. {p.note}")
        tables[f"{p.number}. {p.claim}"] = p.table
        say(f"{p.number}. {p.claim}: {'holds' if p.holds else 'NOT SUPPORTED'}  {p.note}")
        say(p.table.to_string(index=False, na_rep="", float_format=lambda v: f"{v:.3f}"))
        if out is not None:
            write_bytes(out / f"postulate-{p.number}.tsv", tsv_bytes(p.table))
            held.append({"Postulate": p.number, "Claim": p.claim, "Holds": p.holds,
                         "Note": p.note})  # fmt: skip
    if out is not None:
        about = {"About": banner(), "People": n, "Seed": seed, "Postulates": held}
        write_bytes(out / "postulates.json", json_bytes(about))
        html = page("Four postulates on iron (Allen and Earley 2007)", lines, tables, banner())
        write_bytes(out / "postulates.html", html.encode())
        say(f"written to {out}")
    say(banner())


@app.command
def decides(
    *, out: Path, rows: str = "*", n: int = 900, replicates: int = 200, seed: int = 1
) -> None:
    """Say which mechanism decides which finding: one taken out at a time; goes on when stopped.

    Parameters
    ----------
    out
        Folder for decides.tsv and verdicts.tsv.
    rows
        Ids, such as "OP*,FE03".
    n
        People of each cohort.
    replicates
        Simulated studies a row.
    seed
        Of every draw.
    """
    from ekbom.report.evidence import page
    from ekbom.trials.decides import decides as compare
    from ekbom.trials.recipes import recipes as read
    from ekbom.trials.replicates import world_key

    def store(name: str) -> Path:
        return out / "worlds" / f"{name}-{world_key(n, replicates, seed, rows)}.tsv"

    def kept(name: str) -> pd.DataFrame | None:
        at = store(name)
        return pd.read_csv(at, sep="\t", index_col="id") if at.exists() else None

    mechanisms, verdicts = compare(
        read(rows), people=n, replicates=replicates, seed=seed, say=say, kept=kept,
        keep=lambda name, made: write_bytes(store(name), tsv_bytes(made.reset_index())),
    )  # fmt: skip
    write_bytes(out / "decides.tsv", tsv_bytes(mechanisms))
    write_bytes(out / "verdicts.tsv", tsv_bytes(verdicts))
    say(mechanisms.to_string(index=False))
    about = {"About": banner(), "People": n, "Replicates": replicates, "Seed": seed}
    write_bytes(out / "decides.json", json_bytes(about))
    lines = ["One mechanism is taken out of the model at a time. A row near the edge of its range "
             "changes its verdict by chance."]  # fmt: skip
    tables = {"Mechanisms": mechanisms, "Verdicts": verdicts}
    html = page("Which mechanism decides which finding", lines, tables, banner())
    write_bytes(out / "decides.html", html.encode())
    say(banner())


@app.command
def export(*, out: Path, format: str = "sbml") -> None:
    """Write the model as SBML L3V2 or as documentation.

    Parameters
    ----------
    out
        Folder.
    format
        sbml or docs.
    """
    from ekbom.disease.model import load
    from ekbom.disease.writers.docs import pages
    from ekbom.disease.writers.sbml import sbml

    if format not in ("sbml", "docs"):
        raise Refused(
            "The format is not known.", field="format", found=format, expected="sbml, docs"
        )
    files = {"ekbom_disease.xml": sbml(load())} if format == "sbml" else pages(load())
    for name, text in files.items():
        write_bytes(out / name, text.encode())
        say(f"written: {out / name}")
    say(banner())
