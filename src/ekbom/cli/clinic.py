"""`ekbom clinic`: scores, criteria, iron, response and explanations, on tables."""

from __future__ import annotations

import hashlib
import json
import tomllib
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from cyclopts import App, Parameter

from ekbom.cli.clinictables import (
    console,
    count,
    finish,
    ids,
    leave_out,
    read_table,
    read_visits,
    say,
    settings,
    split,
    write_table,
)
from ekbom.errors import Refused
from ekbom.measures.clinic import tables
from ekbom.measures.clinic.decide import decide_all
from ekbom.measures.clinic.endpoints import all_endpoints, crossover_table
from ekbom.measures.clinic.facts import facts, sources
from ekbom.measures.clinic.io import people
from ekbom.measures.clinic.iron import iron_status
from ekbom.measures.clinic.levodopa import levodopa_test
from ekbom.measures.clinic.response import (
    FACTS,
    first_responses,
    kaplan_meier,
    response_table,
    thresholds,
)
from ekbom.measures.clinic.scales.augmentation import augmentation
from ekbom.nouns import Column, Table

app = App(name="clinic", help="Diagnosis with reasons, scales, iron status, response.")
app.command(
    "ekbom.cli.clinic_explain:explain_",
    name="explain",
    help="Explain one person in plain language.",
)

Strict = Annotated[bool, Parameter(help="Refuse the whole table when a row is at fault.")]
Columns = Annotated[
    Path | None, Parameter(help="JSON that maps local column names to names of this room.")
]


@app.command
def score(
    *paths: Path,
    scales: str | None = None,
    strict: Strict = False,
    prorate: bool = False,
    rls6_total: bool = False,
    columns: Columns = None,
) -> int:
    """Score the scales of one or more tables: TABLE.tsv ... OUT.

    Parameters
    ----------
    paths
        Phenotype tables, then the output folder.
    scales
        Scales to score, with commas; all that have columns by default.
    prorate
        Prorate a score with one item missing, where the rules leave it open.
    rls6_total
        Give the sum of the RLS-6 too.
    """
    if len(paths) < 2:
        raise Refused(
            "Tables and an output folder are needed.",
            found=f"{len(paths)} paths",
            expected="TABLE.tsv [TABLE.tsv ...] OUT",
        )
    *inputs, out = paths
    asked = settings(scales=split(scales)) if scales else settings()
    refused: list[Refused] = []
    done: dict[str, Path] = {}
    for path in inputs:
        table = read_table(path, columns)
        found = [k for k in people.scales_in(table) if asked.scales is None or k in asked.scales]
        if not found:
            raise Refused(
                "The table holds no column of a scale.",
                file=path,
                found=", ".join(table.ignored[:8]) or "no other columns",
                expected="columns such as irls_01 or irls_total",
                mend="name the columns so, or map them with --columns",
            )
        for key in found:
            if key in done:
                raise Refused(
                    "One scale is in two tables.", file=path, field=key,
                    found=f"{done[key]} and {path}", expected="one table a scale",
                )  # fmt: skip
            done[key] = path
            results, kept, no = leave_out(
                table,
                partial(people.scored, key=key, prorate=prorate, on_request=rls6_total),
                strict,
            )
            refused += no
            if results:
                made = tables.scale_table(key, ids(kept), results)
                write_table(out, made)
                for name, r in results.items():
                    given = int((~np.isnan(r.value)).sum())
                    say(f"{name}: {given} of {len(kept)} scored")
    return finish(out, refused)


@app.command
def diagnose(
    table: Path,
    out: Path,
    *,
    criteria: str = "2012,2003",
    variants: Literal["exclude", "include"] = "exclude",
    strict: Strict = False,
    columns: Columns = None,
) -> int:
    """Decide under criteria sets, with reasons, for every row of a table.

    Parameters
    ----------
    table
        Table with dx_ columns.
    out
        Output folder.
    criteria
        Sets with commas: 1995, 2003, 2012, icsd3tr.
    variants
        Whether variants without the legs count as RLS.
    """
    sets = settings(criteria=split(criteria)).criteria
    read = read_table(table, columns)
    if not people.has_diagnosis(read):
        raise Refused("The table holds no answers to criteria.", file=table,
                      expected="columns dx_c1 to dx_c5")  # fmt: skip
    verdicts, kept, refused = leave_out(
        read, lambda t: [decide_all(p, sets) for p in people.presentations(t)], strict
    )
    made = tables.diagnosis_table(ids(kept), verdicts, variants == "include")
    write_table(out, made)
    count(made, "set", "status")
    return finish(out, refused)


@app.command
def iron(table: Path, out: Path, *, strict: Strict = False, columns: Columns = None) -> int:
    """Hold iron values against the guidelines, side by side.

    Parameters
    ----------
    table
        Table with ferritin, iron, tibc ... and units in the JSON beside it.
    out
        Output folder.
    """
    read = read_table(table, columns)
    results, kept, refused = leave_out(
        read, lambda t: [iron_status(s) for s in people.samples(t)], strict
    )
    mixed = people.mixed_assays(read)
    warning = ""
    if mixed:
        ratio = facts()["iron.assay"]["roche_over_beckman"]
        warning = (
            f"several ferritin assays in one table ({len(mixed)}): they may differ by a factor"
            f" of about {ratio:g} (not checked); nothing was converted"
        )
        say(f"warning: {warning}")
    made = tables.iron_table(ids(kept), results, warning)
    write_table(out, made)
    count(made, "guideline", "status")
    return finish(out, refused)


@app.command
def levodopa(table: Path, out: Path, *, strict: Strict = False, columns: Columns = None) -> int:
    """Judge levodopa tests.

    Parameters
    ----------
    table
        Table with ldopa_vas_000 to ldopa_vas_120 (and ldopa_urge_...).
    out
        Output folder.
    """
    read = read_table(table, columns)
    kinds = people.levodopa_kinds(read)
    if not kinds:
        raise Refused("The table holds no levodopa test.", file=table,
                      expected="columns ldopa_vas_000 to ldopa_vas_120")  # fmt: skip
    results, kept, refused = leave_out(
        read,
        lambda t: [levodopa_test(v, k) for k in kinds for v in people.levodopa_curves(t, k)],
        strict,
    )
    made = tables.levodopa_table(ids(kept) * len(kinds), results)
    write_table(out, made)
    count(made, "status")
    return finish(out, refused)


@app.command(name="augmentation")
def augmentation_(
    table: Path, out: Path, *, strict: Strict = False, columns: Columns = None
) -> int:
    """Apply the augmentation rule of 2007.

    Parameters
    ----------
    table
        Table with mpi_ columns.
    out
        Output folder.
    """
    results, kept, refused = leave_out(
        read_table(table, columns),
        lambda t: [augmentation(x) for x in people.treatments(t)],
        strict,
    )
    made = tables.augmentation_table(ids(kept), results)
    write_table(out, made)
    count(made, "augmentation")
    return finish(out, refused)


@app.command
def response(
    table: Path, out: Path, *, baseline: str, strict: Strict = False, columns: Columns = None
) -> int:
    """Compare the IRLS of later sessions with the baseline.

    Parameters
    ----------
    table
        Table with IRLS items or totals, one row a person and session.
    out
        Output folder.
    baseline
        Session that is the baseline.
    """
    long, refused = read_visits(read_table(table, columns), strict)
    first = baseline.removeprefix("ses-")
    if first not in set(long["session_id"]):
        raise Refused(
            "The baseline session is not in the table.",
            file=table,
            field="--baseline",
            found=baseline,
            expected=", ".join(dict.fromkeys(long["session_id"])),
        )
    frame = response_table(long.rename(columns={"irls_total": "value"}), first)
    words = {
        "baseline": "IRLS total at baseline",
        "value": "IRLS total now",
        "delta": "now minus baseline, negative is better",
        "percent": "change in percent of baseline, n/a at baseline 0",
        "responder_50": "fall of at least half, 1 or 0",
        "rci": "reliable change index, delta / (sqrt(2) SEM)",
        "reliable": "beyond measurement error, 1 or 0",
    }
    labels = {
        name: f"{row['points']:g} points: {row['label']}" for name, row in thresholds().items()
    }
    words |= labels
    named = {c: Column(words.get(c, c.replace("_", " "))) for c in map(str, frame.columns)}
    write_table(out, Table("response", frame, named, tables.meta(FACTS)))
    if "week" in long:
        weeks = long.groupby("session_id")["week"].first()
        times = first_responses(frame, weeks)
        curve = kaplan_meier(
            times["time"].to_numpy(dtype=float), times["event"].to_numpy(dtype=bool)
        )
        for name, made in (("firstresponse", times), ("desc-kaplanmeier_firstresponse", curve)):
            columns_ = {str(c): Column(str(c).replace("_", " ")) for c in made}
            write_table(out, Table(name, made, columns_, tables.meta(FACTS)))
        say(f"first fall by half: {int(times['event'].sum())} of {len(times)} people")
    for c in ("responder_50", "mcic_minimal", "mcic_much", "mcid_review", "cohort_change"):
        known = frame[c].dropna()
        say(f"{c}: {int(known.sum())} of {len(known)}")
    return finish(out, refused)


@app.command
def endpoints(
    table: Path, out: Path, *, plan: Path, strict: Strict = False, columns: Columns = None
) -> int:
    """Compute the endpoints that a plan names, in its order.

    Parameters
    ----------
    table
        Table with IRLS, arm, and when there cgi_i, one row a person and session.
    out
        Output folder.
    plan
        TOML with [endpoints]: visits (baseline first), arms (treatment, control), order
        (primary first), and when wanted covariates, design = "crossover".
    """
    try:
        text = plan.read_bytes()
        asked = tomllib.loads(text.decode("utf-8"))["endpoints"]
        visits, arms, order = asked["visits"], asked["arms"], asked["order"]
    except (OSError, ValueError, KeyError) as fault:
        raise Refused(
            "The plan of the trial cannot be read.",
            file=plan,
            found=str(fault),
            expected="[endpoints] with visits, arms and order",
        ) from fault
    digest = hashlib.sha256(text).hexdigest()
    first = digest
    for name in ("endpoints", "crossover"):
        stored = out / "phenotype" / f"{name}.json"
        if stored.is_file():
            first = json.loads(stored.read_text(encoding="utf-8")).get("PlanFirstSeen", digest)
    say(f"plan {digest[:16]}, first seen with these data as {first[:16]}")
    if first != digest:
        say("the plan was changed after the data were first seen; every result says so")
    long, refused = read_visits(read_table(table, columns), strict)
    if "arm" not in long:
        raise Refused("The table does not say who was in which arm.", file=table, field="arm",
                      expected="a column arm")  # fmt: skip
    covariates = list(asked.get("covariates", ()))
    strange = [c for c in covariates if c not in long]
    if strange:
        raise Refused("A covariate is not in the table.", file=plan, field="endpoints.covariates",
                      found=", ".join(strange), expected="dose_mg, clock_h, age, week")  # fmt: skip
    names = [str(v) for v in visits]
    if asked.get("design", "parallel") == "crossover":
        made = {"crossover": crossover_table(long, names, str(arms[0]))}
    else:
        made = all_endpoints(long, names, (arms[0], arms[1]), list(order), covariates=covariates)
    more: dict[str, Any] = {
        "PlanFirstSeen": first,
        "Plan": digest,
        "PlanChanged": first != digest,
    }
    for name, frame in made.items():
        named = {str(c): Column(str(c).replace("_", " ")) for c in frame}
        write_table(out, Table(name, frame, named, tables.meta(FACTS) | more))
    for row in next(iter(made.values())).itertuples(index=False):
        name = row[0] if "crossover" in made else f"{row.endpoint} ({row.population})"
        say(f"{name}: {row.estimate:.3g} ({row.lower:.3g} to {row.upper:.3g}), p {row.p:.3g}")
    return finish(out, refused)


@app.command(name="sources")
def sources_(*, unverified: bool = False) -> int:
    """Print every fact with its source, and whether it was checked.

    Parameters
    ----------
    unverified
        Only those that were not.
    """
    shown = [f for f in facts().values() if not (unverified and f.verified)]
    for f in shown:
        source = sources()[f.source]
        values = ", ".join(f"{k} = {v}" for k, v in f.values.items() if k not in _WORDS)
        mark = "checked" if f.verified else "NOT CHECKED"
        console.print(f"{f.key}: {values or 'words only'}", markup=False)
        console.print(f"    {mark}; {source}, {source.reference} ({source.seen})", markup=False)
        if f.note:
            console.print(f"    {f.note}", markup=False)
    n = sum(not f.verified for f in facts().values())
    say(f"{len(facts())} facts, {n} of them not checked against their source")
    return 0


_WORDS = ("title", "features", "labels", "from", "licence", "text")
