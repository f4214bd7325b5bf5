"""`ekbom validate`: closed loops with known truth, one report a room."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App
from rich.console import Console

from ekbom.study.files import json_bytes, tsv_bytes, write_bytes
from ekbom.validate.result import Check, as_frame, as_html

app = App(name="validate", help="Closed loops with known truth.")
_out = Console(highlight=False, soft_wrap=True)


@app.command
def clinic(*, out: Path, replicates: int = 2000, seed: int = 1) -> int:
    """Check diagnosis, scales and endpoints on made people.

    Parameters
    ----------
    out
        Folder for the report.
    replicates
        People of the cohort, and trials of the error rate.
    seed
        Of every random draw.
    """
    from ekbom.measures.clinic.decide import NOT_ADVICE
    from ekbom.validate.clinic import validate_clinic

    checks = validate_clinic(replicates=replicates, seed=seed)
    return _report("clinic", checks, out, {"Replicates": replicates, "Seed": seed}, NOT_ADVICE)


def _report(
    name: str, checks: list[Check], out: Path, settings: dict[str, object], more: str = ""
) -> int:
    """Print and write a report; a failed gate is an error of ours, exit code 1."""
    for c in checks:
        word = ("passed" if c.passed else "FAILED") if c.gated else "      "
        gate = f"  gate {c.low:g} to {c.high:g}" if c.gated else ""
        error = f" +- {c.se:.2g}" if c.se == c.se else ""
        note = f"  ({c.note})" if c.note else ""
        _out.print(f"{word}  {c.name}: {c.value:.4g}{error} {c.unit}, n {c.n}{gate}{note}",
                   markup=False)  # fmt: skip
    write_bytes(out / f"validate-{name}.tsv", tsv_bytes(as_frame(checks)))
    write_bytes(out / f"validate-{name}.json", json_bytes({"Report": name, **settings}))
    page = as_html(f"ekbom validate {name}", checks, more)
    write_bytes(out / f"validate-{name}.html", page.encode())
    _out.print(f"written to {out}", markup=False)
    return 0 if all(c.passed for c in checks) else 1
