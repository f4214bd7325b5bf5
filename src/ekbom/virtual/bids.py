"""Files as bytes that do not depend on when or by whom they are written."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from ekbom.errors import OutputRefused, Refused


def new_folder(out: Path, bytes_needed: int) -> None:
    """Make an empty folder for a study.

    Parameters
    ----------
    out : Path
        Must not exist, or be empty.
    bytes_needed : int
        What the study will take.

    Raises
    ------
    Refused
        The folder holds something.
    OutputRefused
        It cannot be made, or the disk is too small.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise Refused(
                "The output folder is not empty.",
                file=out,
                mend="choose a new folder; a simulated study is never mixed with other files",
            )
        free = shutil.disk_usage(out).free
    except OSError as fault:
        raise OutputRefused("The output folder cannot be made.", file=out, found=fault) from fault
    if free < bytes_needed:
        raise OutputRefused(
            "The disk is too small for the study.",
            file=out,
            found=f"{free / 1e6:.0f} MB free",
            expected=f"{bytes_needed / 1e6:.0f} MB",
            mend="choose another disk, fewer persons (--subjects) or a smaller --size",
        )


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file, making its folder.

    Parameters
    ----------
    path : Path
        Where.
    data : bytes
        What.

    Raises
    ------
    OutputRefused
        The file cannot be written.
    """
    try:
        try:
            path.write_bytes(data)
        except FileNotFoundError:  # most files follow another into their folder
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    except OSError as fault:
        raise OutputRefused("A file cannot be written.", file=path, found=fault) from fault


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8 with plain line ends.

    Parameters
    ----------
    path : Path
        Where.
    text : str
        What; a line end is added if there is none.
    """
    write_bytes(path, (text if text.endswith("\n") else text + "\n").encode("utf-8"))


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file, keys in the order given.

    Parameters
    ----------
    path : Path
        Where.
    content : mapping
        What.
    """
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False))


def write_tsv(path: Path, columns: Mapping[str, Sequence[object] | NDArray[Any]]) -> None:
    """Write a table, ``n/a`` where a value is missing.

    Parameters
    ----------
    path : Path
        Where.
    columns : mapping of str to sequence
        Columns of one length; numbers are given to 8 significant digits.
    """
    write_text(path, tsv_text(columns))


def tsv_text(columns: Mapping[str, Sequence[object] | NDArray[Any]]) -> str:
    """Return the text of a table as :func:`write_tsv` writes it.

    Parameters
    ----------
    columns : mapping of str to sequence
        Columns of one length.

    Returns
    -------
    str
        Ends in a line end.
    """
    head = "\t".join(columns) + "\n"
    cells = list(columns.values())
    curves = [v for v in cells if isinstance(v, np.ndarray) and v.dtype == np.float64]
    if curves and len(curves) == len(cells):
        table = np.stack(curves, axis=1)
        if np.isfinite(table).all():  # curves: the whole table in one go
            row = "\t".join(["%.8g"] * len(cells)) + "\n"
            return head + row * len(table) % tuple(table.ravel().tolist())
    rows = zip(*(_column(values) for values in cells), strict=True)
    return head + "".join("\t".join(row) + "\n" for row in rows)


def _column(values: Sequence[object] | NDArray[Any]) -> list[str]:
    """Return the cells of a column; one of finite numbers in one go, most cells are of such."""
    if isinstance(values, np.ndarray) and values.dtype.kind == "f" and np.isfinite(values).all():
        return ("%.8g\n" * len(values) % tuple(values.tolist())).split("\n")[:-1]
    return [_cell(value) for value in values]


def _cell(value: object) -> str:
    if value is None:
        return "n/a"
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.8g}" if math.isfinite(value) else "n/a"
    return str(value)


def write_nifti(
    path: Path,
    values: NDArray[Any],
    affine: NDArray[np.float64],
    *,
    scaled: bool,
    native: bool = False,
    factor: float = 1.0,
) -> None:
    """Write a gzipped NIfTI-1 image, in mm and s, without a date.

    Parameters
    ----------
    path : Path
        Ends in ``.nii.gz``.
    values : (X, Y, Z) or (X, Y, Z, F) array
        Values; integers if not scaled.
    affine : (4, 4) array
        Index to RAS+ mm.
    scaled : bool
        Store as int16 with one scale factor (else as int16 as they are).
    native : bool
        A three-dimensional image of a person's own space, not of the template's.
    factor : float
        What is stored is this times the values.
    """
    slope = 1.0
    if scaled:
        peak = factor * float(max(values.max(), -values.min())) or 1.0
        # float32 holds the slope in the file; what is read back uses that one
        slope = float(np.float32(peak / 32767.0)) * (1.0 + 1e-7)
        slope = float(np.float32(slope))
        stored = np.empty(values.shape, dtype="<i2", order="F")
        for part in range(values.shape[-1]):  # by slab, to keep the memory small
            slab = np.rint(values[..., part] * (factor / slope))
            stored[..., part] = np.clip(slab, -32767, 32767)
    else:
        stored = np.asarray(values).astype("<i2")
    header = nib.Nifti1Header(endianness="<")
    header.set_data_dtype(np.int16)
    header.set_data_shape(stored.shape)
    code = 1 if native or stored.ndim == 4 else 4
    header.set_qform(affine, code=code)
    header.set_sform(affine, code=code)
    header.set_xyzt_units("mm", "sec")
    header.set_slope_inter(slope, 0.0)
    header["magic"] = b"n+1"
    header["vox_offset"] = 352
    data = header.binaryblock + bytes(4) + stored.tobytes(order="F")
    write_bytes(path, zipped(data))


def zipped(data: bytes) -> bytes:
    """Compress an image for its file, without a date.

    Parameters
    ----------
    data : bytes
        What.

    Returns
    -------
    bytes
        Gzip. Runs are sought, nothing else: measured voxels do not repeat, and so the
        file of a noisy image is as small as by gzip's first level in half of its time.
    """
    engine = zlib.compressobj(1, zlib.DEFLATED, 31, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
    return engine.compress(data) + engine.flush()


def write_sums(root: Path, path: Path) -> int:
    """Write the SHA-256 of every file of a study.

    Parameters
    ----------
    root : Path
        Study.
    path : Path
        The list itself; not in it.

    Returns
    -------
    int
        Number of files.
    """
    names = sorted(_names(str(root)), key=lambda name: name.split("/"))
    own = path.relative_to(root).as_posix()
    lines = []
    for name in names:
        if name == own:
            continue
        lines.append(f"{hashlib.sha256((root / name).read_bytes()).hexdigest()}  {name}")
    write_text(path, "\n".join(lines))
    return len(lines)


def _names(folder: str, above: str = "") -> Iterator[str]:
    """Yield the files below a folder by their names from there, parts joined by ``/``."""
    with os.scandir(folder) as found:
        for entry in found:
            if entry.is_dir():
                yield from _names(entry.path, f"{above}{entry.name}/")
            else:
                yield above + entry.name
