"""`ekbom demo`: the model study in silico, from raw BIDS to the report."""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path
from typing import Annotated

import pandas as pd
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from ekbom import virtual
from ekbom.cli.run import run
from ekbom.cli.simulate import with_progress
from ekbom.errors import Refused
from ekbom.validate.drawn_power import DrawnPower, drawn_power
from ekbom.validate.planted import Comparison, compare
from ekbom.virtual.truth import area_of


def demo(
    out: Path = Path("ekbom-demo"),
    /,
    *,
    seed: int = 1,
    realistic: Annotated[bool, Parameter(negative=())] = False,
    native: Annotated[bool, Parameter(negative=())] = False,
    size: str = "quick",
    workers: int = 2,
) -> int:
    """Run the model study in silico: 15 patients, 12 volunteers, known truth.

    Writes raw BIDS to OUT/raw, runs `ekbom run` on it into OUT/results, and
    prints what was planted beside what was found. A demo that was stopped goes
    on when it is started again. Simulated; no patient data, no medical advice.

    Parameters
    ----------
    out
        Folder; new, empty, or that of the same demo before.
    seed
        Another seed is another study.
    realistic
        The slope and the coupling of the model study itself, von-spiczak-2005; prints its
        power.
    native
        Every head with an anatomy, a place and a motion of its own, and a T1w image;
        takes minutes. With realistic: the design von-spiczak-2005 as it is.
    size
        quick: images of 4 mm and maps; rois: regional curves only.
    workers
        Processes.
    """
    started = time.perf_counter()
    console = Console(highlight=False, soft_wrap=True)
    design = chosen(realistic=realistic, native=native)
    raw, results = out / "raw", out / "results"
    truth = _before(raw, design, size, seed) or with_progress(design, raw, size=size, seed=seed)
    groups, binding = truth.design.groups, truth.design.binding
    console.print(
        f"{raw}: {groups.rls} patients, {groups.control} volunteers, simulated. "
        f"Planted: {100 * truth.design.severity_slope:.2g} % occupancy per IRLS point in "
        f"{len(binding.severity_regions)} regions, group means equal.",
        markup=False,
    )
    code = run(raw, results, "all", workers=workers)
    if code not in (0, 3):
        return code
    show(truth, compare(truth, results), console)
    console.print(f"\nreport: {results / 'report.html'}", markup=False)
    console.print(
        f"the same by hand: ekbom run {raw} {results} all   (plan: {raw / 'code' / 'plan.toml'})",
        markup=False,
    )
    console.print(f"{time.perf_counter() - started:.0f} s{_memory()}", markup=False)
    return code


def chosen(*, realistic: bool, native: bool) -> virtual.Design:
    """Return the design that a demo simulates.

    Parameters
    ----------
    realistic : bool
        Slope and coupling of the model study.
    native : bool
        Heads of their own.

    Returns
    -------
    Design
        ``demo``; the same with the heads of ``von-spiczak-2005``, ``demo-native``; or that
        design itself, whose slope is the weaker one.
    """
    if native and realistic:
        return virtual.load("von-spiczak-2005")
    if native:
        model = virtual.load("von-spiczak-2005")
        heads = {"name": "demo-native", "head": model.head, "t1": model.t1}
        return virtual.load("demo").model_copy(update=heads)
    return virtual.load("demo", variant="realistic" if realistic else None)


def _memory() -> str:
    """Return peak memory in words, where the system tells."""
    try:
        import resource
    except ImportError:  # Windows
        return ""
    scale = 1e6 if sys.platform == "darwin" else 1e3
    here = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / scale
    return f"; peak memory {here:.0f} MB here, {worker:.0f} MB in the largest worker"


def _before(raw: Path, design: virtual.Design, size: str, seed: int) -> virtual.StudyTruth | None:
    """Return the truth of the same study simulated before, ``None`` without one."""
    if not raw.is_dir() or not any(raw.iterdir()):
        return None
    truth = virtual.StudyTruth.read(raw)
    same = truth.design == design.model_copy(update={"variants": {}})
    if not same or truth.size != size or truth.seed != seed:
        raise Refused(
            "The folder holds another demo.",
            file=raw,
            found=f"design {truth.design.name}, size {truth.size}, seed {truth.seed}, "
            f"slope {truth.design.severity_slope}",
            expected=f"design {design.name}, size {size}, seed {seed}, "
            f"slope {design.severity_slope}",
            mend="choose a new folder",
        )
    return truth


def show(truth: virtual.StudyTruth, found: Comparison, console: Console) -> None:
    """Print planted beside found.

    Parameters
    ----------
    truth : StudyTruth
        What was put in.
    found : Comparison
        From `ekbom.validate.planted.compare`.
    console : rich.console.Console
        Where.
    """
    severity = truth.design.severity_slope
    bias = dict(zip(found.bias["region"], found.bias["bias_percent"], strict=True))
    table = _table(
        "Severity in the patients: V_T per IRLS point (mL/cm3)",
        ("region", "planted", "blurred", "found", "95 %", "p (Holm)", "", "V_T bias"),
    )
    for row in found.severity.to_dict("records"):
        table.add_row(
            str(row["region"]),
            f"{row['slope_planted']:z.2f}" if row["planted"] else "0",
            f"{row['slope_seen']:z.2f}",
            f"{row['slope']:z.2f}",
            f"{row['slope_low']:z.2f} to {row['slope_high']:z.2f}",
            _p(row["p_holm"]),
            _word(bool(row["planted"]), bool(row["found"])),
            f"{bias[row['region']]:+.0f} %",
        )
    console.print(table)
    console.print(
        f"{found.hits} of {found.planted} planted regions found at Holm p < .05, "
        f"{found.false} of the others.",
        markup=False,
    )
    console.print(
        "Planted: in the tissue of each label, as is the V_T that the bias is against. Blurred: "
        "what the scanner leaves of it, because it mixes in what lies beside.",
        markup=False,
    )
    if found.affective is not None:
        table = _table(
            "Affective pain beyond severity: V_T per point (mL/cm3)",
            ("region", "planted", "found", "95 %", "p (Holm)", ""),
        )
        for row in found.affective.to_dict("records"):
            table.add_row(
                str(row["region"]),
                f"{row['slope_planted']:z.2f}",
                f"{row['slope']:z.2f}",
                f"{row['slope_low']:z.2f} to {row['slope_high']:z.2f}",
                _p(row["p_holm"]),
                _word(True, bool(row["found"])),
            )
        console.print(table)
    worst = found.group.nsmallest(1, "p_holm").to_dict("records")[0]
    console.print(
        f"\nPatients against volunteers, planted equal: "
        f"{'a difference came out' if found.group_significant else 'no difference'}; "
        f"smallest p in {worst['region']}: {worst['percent']:+.1f} % "
        f"(95 % {worst['percent_low']:+.1f} to {worst['percent_high']:+.1f}), "
        f"p (Holm) {_p(worst['p_holm'])}.",
        markup=False,
    )
    for name, peaks in found.peaks.items():
        _peaks(name, peaks, truth.design.binding.severity_regions, console)
    if severity < 0.02:
        console.print(
            "The slope planted is one the disease model allows; a study of this size finds it "
            "only now and then.",
            markup=False,
        )
        console.print(power_words(drawn_power(truth.design), truth.design), markup=False)
    else:
        console.print(
            f"A slope of {severity:.2g} is stronger than the disease model allows "
            "(0.012 to 0.016); --realistic plants that.",
            markup=False,
        )


def power_words(power: DrawnPower, design: virtual.Design) -> str:
    """Return what such a study can find, in words.

    Parameters
    ----------
    power : DrawnPower
        Of the design.
    design : Design
        Whose patients are counted.

    Returns
    -------
    str
        Two lines.
    """
    each = ", ".join(f"{area} {100 * share:.0f}" for area, share in power.regions.items())
    error = 100 * 0.5 / math.sqrt(power.studies)
    return (
        f"Power of {design.groups.rls} patients at Holm p < .05, % of {power.studies} such "
        f"studies drawn (+- {error:.0f}): {each}.\n"
        f"At least five regions: {100 * power.five:.0f} %; none: {100 * power.none:.0f} %."
    )


def _peaks(name: str, peaks: pd.DataFrame, planted: tuple[str, ...], console: Console) -> None:
    words = {"severityVoxels": "severity", "groupVoxels": "patients against volunteers"}
    corrected = next((c for c in ("p_maxT", "p_bonf") if c in peaks), None)
    strong = peaks[peaks[corrected] < 0.05] if corrected else peaks.iloc[:0]
    console.print(
        f"Over the whole brain, {words.get(name, name)}: {len(strong)} peaks at corrected p < .05"
        f"{_where(strong)}; {len(peaks)} listed at uncorrected p < .001{_where(peaks)}.",
        markup=False,
    )
    if name == "severityVoxels":
        seen = {area_of(str(label)) for label in peaks["label"].dropna()}
        console.print(
            f"  {len(seen & set(planted))} of {len(planted)} planted regions hold a listed peak.",
            markup=False,
        )


def _where(peaks: pd.DataFrame) -> str:
    """Return the regions that hold peaks, sides left out."""
    labels = [str(v) for v in peaks["label"].dropna()] if "label" in peaks else []
    areas = dict.fromkeys(label.split("-", 1)[-1] for label in labels)
    return f" ({', '.join(areas)})" if areas else ""


def _table(title: str, columns: tuple[str, ...]) -> Table:
    # one space between columns: the widest table fits 80 characters
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for i, column in enumerate(columns):
        table.add_column(column, no_wrap=True, justify="left" if i == 0 or not column else "right")
    return table


def _p(value: object) -> str:
    p = float(str(value))
    if math.isnan(p):
        return "n/a"
    return "< .001" if p < 0.001 else f"{p:.3f}"


def _word(planted: bool, found: bool) -> str:
    if planted:
        return "found" if found else "missed"
    return "FALSE" if found else ""
