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

    Returns
    -------
    int
        Exit code.
    """
    from ekbom.report import render
    from ekbom.study import files, manifest

    data = render(out)
    place = to or out / "report.html"
    if to is None:
        manifest.replace_file(out, "report.html", data)
    else:
        files.write_bytes(place, data)
    print(f"{place}  ({len(data) / 1e6:.1f} MB)")
    return 0
