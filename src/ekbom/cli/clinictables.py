"""What the `ekbom clinic` commands share: reading, leaving out, writing, ending."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from rich.console import Console

from ekbom import __version__
from ekbom.cli.options import accepted
from ekbom.errors import Refused
from ekbom.measures.clinic.decide import NOT_ADVICE
from ekbom.measures.clinic.io import people
from ekbom.measures.clinic.io.long import from_long, is_long
from ekbom.measures.clinic.io.phenotype import Phenotype, read_phenotype, tolerant
from ekbom.measures.clinic.page import page
from ekbom.measures.clinic.settings import ClinicSettings
from ekbom.nouns import Table
from ekbom.study.files import json_bytes, tsv_bytes, write_bytes

_R = TypeVar("_R")
console = Console(highlight=False, soft_wrap=True)


def settings(**given: Any) -> ClinicSettings:
    """Return checked settings, refusing as the command line does."""
    return accepted(lambda: ClinicSettings(**given), "clinic")


def split(text: str | None) -> list[str]:
    """Return the words between commas."""
    return [t.strip() for t in (text or "").split(",") if t.strip()]


def read_table(path: Path, columns: Path | None) -> Phenotype:
    """Read a table, wide or long, and name the columns that are not used."""
    names = None
    if columns is not None:
        try:
            names = json.loads(columns.read_text(encoding="utf-8"))
        except (OSError, ValueError) as fault:
            raise Refused(
                "The column map cannot be read.",
                file=columns,
                found=str(fault),
                expected='{"local name": "irls_01"}',
            ) from fault
        names = names.get("columns", names)
    if not path.is_file():
        raise Refused("The table is not there.", file=path, expected="a .tsv or .csv file")
    separator = "," if path.suffix == ".csv" else "\t"
    header = pd.read_csv(path, sep=separator, dtype=str, nrows=0)
    if is_long(header):
        frame = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False)
        read = from_long(frame, str(path), columns=names)
    else:
        read = read_phenotype(path, columns=names)
    if read.ignored:
        say(f"{path.name}: columns not used: {', '.join(read.ignored)}")
    return read


def read_visits(table: Phenotype, strict: bool) -> tuple[pd.DataFrame, list[Refused]]:
    """Return the IRLS and the design columns, one row a person and session."""

    def scores(t: Phenotype) -> pd.DataFrame:
        frame = t.frame[["participant_id", "session_id"]].reset_index(drop=True)
        frame["irls_total"] = people.scored(t, "irls")["IRLS_total"].value
        if "cgi_i" in t:
            frame["cgi_i"] = t.numbers("cgi_i", 1, 7, integer=True)
        if "arm" in t:
            frame["arm"] = t.text("arm")
        for c in ("week", "dose_mg", "clock_h", "age"):
            if c in t:
                frame[c] = t.numbers(c, 0.0, 24.0 if c == "clock_h" else 1e5)
        return frame

    if "irls" not in people.scales_in(table):
        raise Refused("The table holds no IRLS.", file=table.file,
                      expected="columns irls_01 to irls_10, or irls_total")  # fmt: skip
    result, _, refused = leave_out(table, scores, strict)
    return result, refused


def leave_out(
    table: Phenotype, work: Callable[[Phenotype], _R], strict: bool
) -> tuple[_R, Phenotype, list[Refused]]:
    """Do the work, strictly or leaving out the rows that it refuses."""
    if strict:
        return work(table), table, []
    result, kept, refused = tolerant(table, work)
    return result, kept, list(refused)


def ids(table: Phenotype) -> list[tuple[str, str]]:
    """Return person and session of each row."""
    frame = table.frame
    return list(zip(frame["participant_id"], frame["session_id"], strict=True))


def write_table(out: Path, table: Table) -> None:
    """Write a table with its JSON, and the description of the folder."""
    folder = out / "phenotype"
    described = {
        "Name": "ekbom clinic",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "ekbom", "Version": __version__}],
    }
    if not (out / "dataset_description.json").exists():
        write_bytes(out / "dataset_description.json", json_bytes(described))
    write_bytes(folder / f"{table.name}.tsv", tsv_bytes(table.frame))
    columns = {
        name: {"Description": c.description} | ({"Units": c.unit} if c.unit else {})
        for name, c in table.columns.items()
    }
    write_bytes(folder / f"{table.name}.json", json_bytes(columns | dict(table.meta)))


def count(table: Table, *columns: str) -> None:
    """Print how often each combination occurs."""
    counts = table.frame[list(columns)].value_counts(sort=False).reset_index()
    for row in counts.itertuples(index=False):
        say(": ".join(str(cell) for cell in row))


def say(text: str) -> None:
    """Print one line as it is."""
    console.print(text, markup=False)


def finish(out: Path, refused: Sequence[Refused]) -> int:
    """Write the page, say what was left out, and return the exit code."""
    made = {
        path.stem: pd.read_csv(path, sep="\t", na_values=["n/a"], dtype={"session_id": str})
        for path in sorted((out / "phenotype").glob("*.tsv"))
    }
    write_bytes(out / "clinic.html", page(made).encode())
    say(f"written to {out / 'phenotype'}, as a page: {out / 'clinic.html'}")
    say(NOT_ADVICE)
    if not refused:
        return 0
    say("left out:")
    for no in refused:
        say(str(no))
    return 3
