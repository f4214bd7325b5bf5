"""Curves and blood in single files, outside any study, in layouts that are known by their columns.

| curves | blood |
|---|---|
| ``frame_start``, ``frame_end`` (s), one column a region | ``time`` (s), ``plasma_radioactivity``, ``metabolite_parent_fraction``, ``whole_blood_radioactivity`` |
| ``StartTime``, ``Duration`` (s), ``Times``, ``Weights``, regions | ``Time`` (s), ``Cpl_metabcorr``, ``Cbl_dispcorr`` |
| PMOD ``.tac`` | PMOD ``.bld``, one or several |
| | ``time`` (s), ``AIF``, ``whole_blood_radioactivity`` |

Units stand in a JSON beside the file, in the header (PMOD), or are said by the caller.
"""  # noqa: E501 - a table

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.measures.pet.blood import BloodData
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.io import pmod, units
from ekbom.measures.pet.io.blood import FRACTION, PLASMA, WHOLE, read_blood
from ekbom.measures.pet.io.bloodstream import read_inputfunction
from ekbom.measures.pet.io.text import Tsv, read_json, read_tsv
from ekbom.nouns import Note

Array = NDArray[np.float64]

_BIDS = ("frame_start", "frame_end")
_KINFITR = ("StartTime", "Duration")
_PETPREP = ("FrameTimesStart", "FrameTimesEnd")
_NOT_REGIONS = {*_BIDS, *_PETPREP, *_KINFITR, "Times", "Weights", "frame_mid", "frame_duration"}


@dataclass(frozen=True)
class PlainTacs:
    """Curves of one file.

    Attributes
    ----------
    frames : Frames
        min from injection; zero-length frames are dropped.
    names : tuple of str
    values : (N, F) array
        kBq/mL decay-corrected to injection.
    weights : (F,) array or None
        Column ``Weights``, when there is one.
    notes : tuple of Note
    """

    frames: Frames
    names: tuple[str, ...]
    values: Array
    weights: Array | None
    notes: tuple[Note, ...]


def read_tacs(
    path: Path, *, unit: str | None, decay_corrected: bool | None, half_life: float | None
) -> PlainTacs:
    """Read curves from a single file.

    Parameters
    ----------
    path : Path
    unit : str or None
        Of the values, unless a JSON beside the file declares it.
    decay_corrected : bool or None
        Whether the values are decay-corrected to injection; must be said.
    half_life : float or None
        min; needed when the values are not decay-corrected.

    Returns
    -------
    PlainTacs

    Raises
    ------
    Refused
        For layout, unit, undeclared decay and frame times.
    """
    notes: list[Note] = []
    exchanged = pmod.read_tac(path, unit=unit) if pmod.is_pmod(path) else None
    table = read_tsv(path) if exchanged is None else None
    if table is not None:
        start, end = _frames(table)
    else:
        assert exchanged is not None
        start, end = exchanged.start_s, exchanged.end_s
    if decay_corrected is None:
        raise Refused(
            "It is not declared whether the curves are decay-corrected.",
            file=path,
            field="--decay-corrected",
            found="nothing",
            expected="--decay-corrected or --no-decay-corrected",
            mend="say which it is",
        )
    if not decay_corrected and half_life is None:
        raise Refused(
            "Curves cannot be decay-corrected without the nuclide.",
            file=path,
            field="--nuclide",
            found="nothing",
            expected="11C, 18F ...",
            mend="add --nuclide",
        )
    keep = end > start
    if not keep.all():
        notes.append(
            Note("frames-zero-length", f"{int((~keep).sum())} frames of no length were dropped")
        )
    try:
        frames = Frames(
            start[keep] / 60, end[keep] / 60, half_life or np.inf, decay_corrected=decay_corrected
        )
    except Refused as no:
        raise _in_file(no, path) from None
    weights = None
    if table is not None:
        factor = units.concentration(_declared(path, unit), file=path, field="--units")
        names = tuple(name for name in table.columns if name not in _NOT_REGIONS)
        if not names:
            raise Refused("The table holds no region.", file=path, expected="one column a region")
        values = np.array([table.numbers(n)[keep] for n in names]) * factor
        weights = table.numbers("Weights")[keep] if "Weights" in table.columns else None
    else:
        assert exchanged is not None
        names, values = exchanged.names, exchanged.values[:, keep]
    values = frames.to_injection(values)
    if not decay_corrected:
        frames = Frames(frames.start, frames.end, frames.half_life)
        notes.append(Note("image-decay-corrected-here", "the curves were decay-corrected here"))
    return PlainTacs(frames, names, values, weights, tuple(notes))


def read_input(
    path: Path,
    *,
    more: Sequence[Path] = (),
    unit: str | None,
    sort: bool = False,
    decay_corrected: bool = True,
    half_life: float | None = None,
) -> tuple[BloodData, tuple[Note, ...]]:
    """Read blood or an input function from a single file.

    Parameters
    ----------
    path : Path
    more : sequence of Path
        Other files of the same scan: one with BIDS columns (automatic sampler), or further
        ``.bld`` files of PMOD.
    unit : str or None
        Of activities, unless a JSON beside the file declares it.
    sort : bool
        Permission to sort samples.
    decay_corrected : bool
        Whether activities are decay-corrected to injection.
    half_life : float or None
        min; needed when they are not.

    Returns
    -------
    BloodData
        min from injection, kBq/mL decay-corrected to injection.
    tuple of Note

    Raises
    ------
    Refused
        For layout, units, times and contradictions.
    """
    notes: list[Note] = []
    if pmod.is_pmod(path):
        blood, said = pmod.read_bld((path, *more), unit=unit, sort=sort)
        return _finished(blood, decay_corrected, half_life, path, list(said))
    if len(more) > 1:
        raise Refused(
            "There are more blood files than one scan has.",
            file=path,
            field="--input",
            found=f"{1 + len(more)} files",
            expected="one recording, or two (manual, automatic sampler); only .bld files of PMOD"
            " come as one series a file",
        )
    second = more[0] if more else None
    table = read_tsv(path)
    if {"Time", "Cpl_metabcorr"} <= set(table.columns):
        blood = _kinfitr_blood(table, path, unit, notes)
    elif {"time", "AIF"} <= set(table.columns):
        blood, said = read_inputfunction(path, _sidecar(path), unit=unit)
        notes += said
    elif "time" in table.columns:
        manual, automatic = path, second
        if second is not None and PLASMA not in table.columns:
            manual, automatic = second, path
        pair = [None if p is None else (p, _sidecar(p)) for p in (manual, automatic)]
        blood, said, _ = read_blood(pair[0], pair[1], sort=sort, unit=unit)
        notes += said
    else:
        raise Refused(
            "The layout of the blood file is not known.",
            file=path,
            field="header",
            found=", ".join(list(table.columns)[:8]),
            expected=f"time, {PLASMA}, {FRACTION}, {WHOLE}; or time, AIF, {WHOLE};"
            " or Time, Cpl_metabcorr, Cbl_dispcorr; or PMOD's sample-time[seconds] ...",
            mend="rename the columns",
        )
    return _finished(blood, decay_corrected, half_life, path, notes)


def _finished(
    blood: BloodData, decay_corrected: bool, half_life: float | None, path: Path, notes: list[Note]
) -> tuple[BloodData, tuple[Note, ...]]:
    if not decay_corrected:
        blood = _corrected(blood, half_life, path)
        notes.append(Note("blood-decay-corrected-here", "the blood was decay-corrected here"))
    return blood, tuple(notes)


def _frames(table: Tsv) -> tuple[Array, Array]:
    columns = set(table.columns)
    if set(_BIDS) <= columns:
        return table.numbers(_BIDS[0]), table.numbers(_BIDS[1])
    if set(_PETPREP) <= columns:
        return table.numbers(_PETPREP[0]), table.numbers(_PETPREP[1])
    if set(_KINFITR) <= columns:
        start = table.numbers(_KINFITR[0])
        return start, start + table.numbers(_KINFITR[1])
    raise Refused(
        "The layout of the curves is not known.",
        file=table.path,
        field="header",
        found=", ".join(list(table.columns)[:8]),
        expected="frame_start, frame_end, or StartTime, Duration (s), then one column a region;"
        " or PMOD's start[seconds], end[kBq/cc]",
        mend="add or rename the columns of the frame times",
    )


def _kinfitr_blood(table: Tsv, path: Path, unit: str | None, notes: list[Note]) -> BloodData:
    # "metabcorr" and "dispcorr" in the names say it: both corrections were made, never twice
    factor = units.concentration(_declared(path, unit), file=path, field="--units")
    t = table.numbers("Time") / 60
    notes.append(
        Note("blood-corrected-before", f"{path.name} is corrected for metabolites already")
    )
    whole = table.numbers("Cbl_dispcorr") * factor if "Cbl_dispcorr" in table.columns else None
    return BloodData(
        time_wb=None if whole is None else t,
        whole_blood=whole,
        time_p=t,
        plasma=table.numbers("Cpl_metabcorr") * factor,
        plasma_is_parent=True,
        source=str(path),
    )


def _declared(path: Path, unit: str | None) -> object:
    """Unit of a JSON beside the file, else the one the caller said; both must agree."""
    sidecar = path.with_suffix(".json")
    declared = read_json([sidecar]).get("Units") if sidecar.is_file() else None
    if declared is None:
        return unit
    if unit is not None and units.concentration(
        unit, file=path, field="--units"
    ) != units.concentration(declared, file=sidecar, field="Units"):
        raise Refused(
            "The unit of the command line is not that of the JSON.",
            file=sidecar,
            field="Units",
            found=f"{declared} in the JSON, {unit} on the command line",
            expected="one unit",
            mend="leave --units away, or correct the JSON",
        )
    return declared


def _sidecar(path: Path) -> list[Path]:
    sidecar = path.with_suffix(".json")
    return [sidecar] if sidecar.is_file() else []


def _corrected(blood: BloodData, half_life: float | None, path: Path) -> BloodData:
    if half_life is None:
        raise Refused(
            "Blood cannot be decay-corrected without the nuclide.",
            file=path,
            field="--nuclide",
            found="nothing",
            expected="11C, 18F ...",
            mend="add --nuclide",
        )
    decay = np.log(2) / half_life

    def up(t: Array | None, values: Array | None) -> Array | None:
        return None if t is None or values is None else values * np.exp(decay * t)

    return BloodData(
        blood.time_wb,
        up(blood.time_wb, blood.whole_blood),
        blood.time_p,
        up(blood.time_p, blood.plasma),
        blood.time_f,
        blood.parent_fraction,
        blood.time_c,
        up(blood.time_c, blood.continuous),
        plasma_is_parent=blood.plasma_is_parent,
        source=blood.source,
    )


def _in_file(no: Refused, path: Path) -> Refused:
    return Refused(
        no.what, file=path, field=no.field, found=no.found, expected=no.expected, mend=no.mend
    )
