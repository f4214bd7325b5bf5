"""``ekbom report``: make the report of an output folder again."""

from __future__ import annotations

from pathlib import Path


def report(out: Path, /, *, to: Path | None = None) -> int:
    """Make the HTML report of an output folder again.

    Parameters
    ----------
    out : Path
        The output folder of a run.
    to : Path, optional
        Where to write; `report.html` in that folder when left out.
    """
    from ekbom.report import render
    from ekbom.study import files

    place = to or out / "report.html"
    data = render(out)
    files.write_bytes(place, data)
    print(f"{place}  ({len(data) / 1e6:.1f} MB)")
    return 0
