"""Image files of this room: NIfTI read and made, the template of nilearn."""

from __future__ import annotations

import gzip
import importlib.util
import itertools
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.space import checks
from ekbom.space.grid import Grid
from ekbom.space.image import Volume
from ekbom.space.resample import resample
from ekbom.space.stack import Stack, stack

#: What nibabel and gzip raise on files that are cut short or no images.
_FAULTS = (
    OSError,
    EOFError,
    ValueError,
    zlib.error,
    ImageFileError,
    HeaderDataError,
    WrapStructError,
)

#: Millimetres a unit of ``xyzt_units``.
_MM = {"mm": 1.0, "meter": 1000.0, "micron": 1e-3}


@dataclass(frozen=True)
class Header:
    """What the header of an image says, checked.

    Parameters
    ----------
    path : Path
        The file.
    grid : Grid
        Where its voxels are, in mm.
    n_frames : int
        Volumes along the fourth axis; 1 for a 3-D image.
    slope, intercept : float
        Stored number to value.
    dtype : numpy dtype
        Of the stored numbers.
    offset : int
        Bytes before the first stored number.
    notes : tuple of str
        What was accepted but should be known.
    """

    path: Path
    grid: Grid
    n_frames: int
    slope: float
    intercept: float
    dtype: np.dtype[Any]
    offset: int
    notes: tuple[str, ...] = ()


def read_header(
    path: str | Path, *, trust: str | None = None, assume_affine: bool = False
) -> Header:
    """Read and check the header of a NIfTI image.

    Parameters
    ----------
    path : path-like
        ``.nii`` or ``.nii.gz``.
    trust : {"sform", "qform"}, optional
        Which of the two is right where they differ.
    assume_affine : bool
        Believe the affine of an image whose codes are both 0.

    Returns
    -------
    Header
        With the checked grid; a trailing axis of 1 is dropped.

    Raises
    ------
    Refused
        Not a NIfTI image, no orientation, qform and sform apart, voxels not
        of 0.3 to 12 mm, unusable scale factor.
    """
    path = Path(path)
    try:
        image = nib.Nifti1Image.from_filename(path)
    except FileNotFoundError as fault:
        raise checks.UNREADABLE.refused(file=path, found="no such file") from fault
    except _FAULTS as fault:
        raise checks.UNREADABLE.refused(file=path, found=str(fault) or "cut short") from fault
    header = image.header
    shape = tuple(int(n) for n in header.get_data_shape())
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) not in (3, 4):
        raise checks.NOT_3D.refused(file=path, found=f"shape {shape}")
    affine, notes = _placement(path, header, trust, assume_affine)
    spatial = header.get_xyzt_units()[0]
    factor = _MM.get(spatial, 1.0)
    affine = np.diag([factor, factor, factor, 1.0]) @ affine
    if spatial == "unknown":
        notes += ("xyzt_units not set: millimetres taken, the voxel size fits",)
    try:
        grid = Grid((shape[0], shape[1], shape[2]), affine)
    except Refused as no:
        raise checks.BAD_AFFINE.refused(file=path, found=no.found) from no
    if not all(0.3 <= v <= 12.0 for v in grid.voxel_size):
        size = " x ".join(f"{v:.4g}" for v in grid.voxel_size)
        raise checks.VOXEL_SIZE.refused(file=path, found=f"{size} mm (xyzt_units {spatial})")
    slope, intercept = _scale(path)
    offset = int(image.dataobj.offset)
    return Header(
        path,
        grid,
        shape[3] if len(shape) == 4 else 1,
        slope,
        intercept,
        header.get_data_dtype(),
        offset,
        notes,
    )


def read_frames(header: Header) -> Iterator[NDArray[np.float64]]:
    """Read an image volume by volume, unpacking the file once.

    Parameters
    ----------
    header : Header
        From :func:`read_header`.

    Yields
    ------
    (X, Y, Z) array
        Values of one volume; never more than one is held here.

    Raises
    ------
    Refused
        When the file ends early.
    """
    count = header.grid.size
    width = count * header.dtype.itemsize
    packed = header.path.name.endswith(".gz")
    with gzip.open(header.path, "rb") if packed else header.path.open("rb") as stream:
        try:
            stream.seek(header.offset)
            for frame in range(header.n_frames):
                stored = stream.read(width)
                if len(stored) < width:
                    raise checks.UNREADABLE.refused(
                        file=header.path,
                        found=f"ends inside volume {frame + 1} of {header.n_frames}",
                    )
                numbers = np.frombuffer(stored, dtype=header.dtype).astype(np.float64)
                if header.slope != 1.0 or header.intercept != 0.0:
                    numbers = numbers * header.slope + header.intercept
                yield numbers.reshape(header.grid.shape, order="F")
        except (EOFError, zlib.error, gzip.BadGzipFile) as fault:
            raise checks.UNREADABLE.refused(
                file=header.path, found=f"cut short: {fault}"
            ) from fault


def read_volume(
    path: str | Path,
    unit: str = "",
    *,
    volume: int | None = None,
    trust: str | None = None,
    assume_affine: bool = False,
) -> Volume:
    """Read one 3-D image.

    Parameters
    ----------
    path : path-like
        NIfTI file; a trailing axis of 1 is dropped.
    unit : str
        Unit of the values, from the sidecar.
    volume : int, optional
        Which volume of a 4-D image, counted from 1.
    trust, assume_affine
        See :func:`read_header`.

    Returns
    -------
    Volume
        float64 values.

    Raises
    ------
    Refused
        See :func:`read_header`; also when the image is 4-D.
    """
    header = read_header(path, trust=trust, assume_affine=assume_affine)
    if volume is not None and not 1 <= volume <= header.n_frames:
        raise checks.NOT_3D.refused(
            file=path, found=f"{header.n_frames} volumes", expected=f"a volume {volume}"
        )
    if header.n_frames != 1 and volume is None:
        raise checks.NOT_3D.refused(file=path, found=f"{header.n_frames} volumes")
    frames = itertools.islice(read_frames(header), (volume or 1) - 1, None)
    return Volume(next(frames), header.grid, unit, header.notes)


def read_mask(path: str | Path, *, trust: str | None = None, assume_affine: bool = False) -> Volume:
    """Read a mask: voxels above 0 are inside.

    Parameters
    ----------
    path : path-like
        3-D NIfTI file.
    trust, assume_affine
        See :func:`read_header`.

    Returns
    -------
    Volume
        Boolean values.

    Raises
    ------
    Refused
        See :func:`read_volume`; also when fewer than two voxels are inside.
    """
    volume = read_volume(path, trust=trust, assume_affine=assume_affine)
    inside = np.asarray(np.nan_to_num(volume.values.astype(np.float64)) > 0)
    checks.require_mask(inside, file=path, found=str(volume.grid))
    return Volume(inside, volume.grid, "1", volume.notes)


def read_stack(
    paths: Sequence[str | Path], mask: str | Path | None = None, *, grid: Grid | None = None
) -> Stack:
    """Read published maps of one grid as rows of a matrix.

    Parameters
    ----------
    paths : sequence of path-like
        3-D NIfTI files, one a row.
    mask : path-like, optional
        Voxels above 0 are considered.
    grid : Grid, optional
        Resample every map (linear, once) onto this grid of the same space.
        Without it maps on different grids are refused.

    Returns
    -------
    Stack
        Values (n, V), mask, grid, and the tally of voxels left out.

    Raises
    ------
    Refused
        A file that cannot be read, grids that differ, nothing left.
    """
    maps = [read_volume(path) for path in paths]
    within = None if mask is None else read_mask(mask)
    if grid is not None:
        maps = [Volume(resample(_floats(m), m.grid, grid), grid, m.unit, m.notes) for m in maps]
        if within is not None:
            share = resample(_floats(within), within.grid, grid)
            within = Volume(np.nan_to_num(share) >= 0.5, grid, "1")
    return stack(maps, within, names=[str(path) for path in paths])


def nifti_bytes(
    values: NDArray[np.generic],
    affine: NDArray[np.float64],
    *,
    space: str = "",
    description: str = "",
) -> bytes:
    """Return a gzipped NIfTI-1 file with the same bytes for the same content.

    sform and qform are both set, units are mm, gzip holds no name and no time.

    Parameters
    ----------
    values : (X, Y, Z) or (X, Y, Z, F) array
        Floats are stored as float32, booleans as uint8, integers as int16
        when they fit and int32 otherwise.
    affine : (4, 4) array
        Index to RAS+ mm.
    space : str
        BIDS space label: a template of the MNI writes code 4, all others 1.
    description : str
        Up to 79 characters of free text in the header.

    Returns
    -------
    bytes
        A complete ``.nii.gz`` file.
    """
    array = np.asarray(values)
    if array.dtype == bool:
        array = array.astype(np.uint8)
    elif np.issubdtype(array.dtype, np.integer):
        fits = array.size == 0 or (array.min() >= -32768 and array.max() <= 32767)
        array = array.astype(np.int16 if fits else np.int32)
    else:
        array = array.astype(np.float32)
    image = nib.Nifti1Image(array, np.asarray(affine, dtype=np.float64))
    code = 4 if space.startswith("MNI") else 1
    image.set_sform(affine, code=code)
    image.set_qform(affine, code=code)
    image.header.set_xyzt_units("mm", "sec" if array.ndim == 4 else None)
    image.header["descrip"] = description.encode("ascii", "replace")[:79]
    return gzip.compress(image.to_bytes(), compresslevel=6, mtime=0)


def template_file(kind: str) -> tuple[NDArray[np.float32], Grid]:
    """Read one map of the template from the installed nilearn, without importing it.

    Parameters
    ----------
    kind : {"t1", "gm", "wm"}
        Which map.

    Returns
    -------
    values : (197, 233, 189) float32 array
        Scaled to a maximum of 1.
    grid : Grid
        1 mm.

    Raises
    ------
    Refused
        When the file is not there.
    """
    found = importlib.util.find_spec("nilearn")
    folder = Path(found.origin).parent if found is not None and found.origin else Path("nilearn")
    path = folder / "datasets" / "data" / f"mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz"
    if not path.is_file():
        raise checks.TEMPLATE_MISSING.refused(file=path, found="no such file")
    header = read_header(path)
    values = next(read_frames(header)).astype(np.float32)
    return values / values.max(), header.grid


def _placement(
    path: Path, header: Any, trust: str | None, assume_affine: bool
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    sform, scode = header.get_sform(coded=True)
    try:
        qform, qcode = header.get_qform(coded=True)
    except ValueError:  # quaternion of impossible length
        qform, qcode = None, 0
    if not scode and not qcode:
        if assume_affine:
            best = np.asarray(header.get_best_affine(), dtype=np.float64)
            return best, (checks.ASSUMED_NOTE,)
        raise checks.NO_ORIENTATION.refused(file=path, found="both codes 0")
    if not scode:
        return np.asarray(qform, dtype=np.float64), ()
    place = np.asarray(sform, dtype=np.float64)
    if not qcode or qform is None:
        return place, (checks.QFORM_MISSING_NOTE.format(sform=int(scode)),)
    sizes = [int(n) for n in header.get_data_shape()] + [1, 1, 1]
    shape = (sizes[0], sizes[1], sizes[2])
    try:
        apart = Grid(shape, place).distance(Grid(shape, np.asarray(qform)))
    except Refused as no:
        raise checks.BAD_AFFINE.refused(file=path, found=no.found) from no
    # Headers hold float32, so corners of a large image differ by rounding.
    if apart > 0.1 and trust is not None:
        note = checks.FORMS_DIFFER_NOTE.format(apart=apart, which=trust)
        return (place if trust == "sform" else np.asarray(qform, dtype=np.float64)), (note,)
    if apart > 0.1:
        raise checks.FORMS_DIFFER.refused(file=path, found=f"{apart:.3g} mm at a corner")
    return place, ()


def _scale(path: Path) -> tuple[float, float]:
    # nibabel hides the stored scale factors once an image is open, and reads a
    # slope of 0 as 1, as the standard says.
    packed = path.name.endswith(".gz")
    with gzip.open(path, "rb") if packed else path.open("rb") as stream:
        raw = nib.Nifti1Header.from_fileobj(stream, check=False)
    slope, intercept = float(raw["scl_slope"]), float(raw["scl_inter"])
    if slope == 0.0 or (np.isnan(slope) and np.isnan(intercept)):
        return 1.0, 0.0
    if not (np.isfinite(slope) and np.isfinite(intercept)):
        raise checks.BAD_SCALE.refused(file=path, found=f"slope {slope}, intercept {intercept}")
    return slope, intercept


def _floats(volume: Volume) -> NDArray[np.float64]:
    return np.asarray(volume.values, dtype=np.float64)
