"""What the backends of others have in common: start, files, messages, one judge.

Every foreign program is given the moving image with a header that already
holds the start, so that all of them start from the same place, and its result
is judged by the same two numbers: normalised mutual information for matrices,
local correlation for fields.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ekbom.space.checks import BACKEND_FAILED, BACKEND_MISSING
from ekbom.space.grid import Grid
from ekbom.space.image import Volume
from ekbom.space.register.base import CANNOT, FAILED, Kind, Registration
from ekbom.space.register.linear import Metric, centre_of_mass, pyramid
from ekbom.space.register.own import Own
from ekbom.space.transform import Affine, Chain, Rigid, Transform, Warp, compose, jacobian

Start = Affine | Literal["com", "header", "search"]
Array = NDArray[np.float64]


def version(name: str, package: str, module: str, install: str) -> str:
    """Return the version of an installed package.

    Parameters
    ----------
    name : str
        Of the backend.
    package, module : str
        What pip and what Python call it.
    install : str
        What to type when it is missing.

    Returns
    -------
    str
        As pip knows it.

    Raises
    ------
    Refused
        When it is not installed.
    """
    if importlib.util.find_spec(module) is None:
        raise BACKEND_MISSING.refused(found=f"{name}: no module {module}", expected=install)
    return importlib.metadata.version(package)


def placed(fixed: Volume, moving: Volume, start: Start) -> tuple[Affine, Volume]:
    """Give the moving image a header that holds the start.

    Parameters
    ----------
    fixed, moving : Volume
        The images.
    start : Affine or {"com", "header", "search"}
        A search begins at the centres of mass; what more is done is the program's own.

    Returns
    -------
    first : Affine
        The start, from fixed to moving.
    image : Volume
        The moving image as if it lay there.
    """
    if isinstance(start, Affine):
        first = start
    elif start == "header":
        first = Rigid(np.eye(4))
    else:
        ends = [centre_of_mass(pyramid(v, None, [8.0])[0]) for v in (fixed, moving)]
        first = Rigid.of([0, 0, 0, *(ends[1] - ends[0])])
    grid = Grid(moving.grid.shape, np.linalg.inv(first.matrix) @ moving.grid.affine)
    return first, replace(moving, grid=grid)


def masked(volume: Volume, mask: NDArray[np.bool_] | None, grid: Grid | None = None) -> Volume:
    """Set to 0 what does not count, for programs that know neither NaN nor masks.

    Parameters
    ----------
    volume : Volume
        An image.
    mask : (X, Y, Z) array of bool, optional
        Where it counts.
    grid : Grid, optional
        Replaces that of the image.

    Returns
    -------
    Volume
        Float32.
    """
    values = np.nan_to_num(np.asarray(volume.values, dtype=np.float32), posinf=0.0, neginf=0.0)
    if mask is not None:
        values = np.where(mask, values, np.float32(0.0))
    return Volume(values, grid or volume.grid)


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Offer a folder for the files of a program.

    Yields
    ------
    Path
        Gone afterwards.
    """
    with tempfile.TemporaryDirectory(prefix="ekbom-") as name:
        yield Path(name)


@contextlib.contextmanager
def quiet(path: Path) -> Iterator[None]:
    """Send what a library prints, from Python or below, to a file.

    Parameters
    ----------
    path : Path
        Where it goes.

    Yields
    ------
    None
        Nothing.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with path.open("wb") as sink:
        try:
            os.dup2(sink.fileno(), 1)
            os.dup2(sink.fileno(), 2)
            with contextlib.redirect_stdout(None), contextlib.redirect_stderr(None):
                yield
        finally:
            os.dup2(kept[0], 1)
            os.dup2(kept[1], 2)
            os.close(kept[0])
            os.close(kept[1])


def failed(name: str, words: str) -> Exception:
    """Make the refusal for a program that ended badly.

    Parameters
    ----------
    name : str
        Of the backend.
    words : str
        What it printed.

    Returns
    -------
    Refused
        With its last lines.
    """
    last = [line for line in words.splitlines() if line.strip()][-3:]
    return BACKEND_FAILED.refused(found=f"{name}: " + " / ".join(last)[-400:])


def able(name: str, can: frozenset[Kind], kind: Kind) -> None:
    """Refuse a kind that a backend does not have.

    Parameters
    ----------
    name : str
        Of the backend.
    can : frozenset of str
        What it has.
    kind : str
        What is asked.

    Raises
    ------
    Refused
        When it does not have it.
    """
    if kind not in can:
        raise CANNOT.refused(found=f"{name}: {kind}", expected=", ".join(sorted(can)))


def linear_result(
    name: str,
    made: str,
    fixed: Volume,
    moving: Volume,
    start: Affine,
    found: Affine,
    fixed_mask: NDArray[np.bool_] | None,
    settings: Mapping[str, Any],
    log: tuple[str, ...] = (),
    seed: int = 0,
) -> Registration:
    """Judge a matrix and wrap it up.

    Parameters
    ----------
    name, made : str
        Backend and version.
    fixed, moving : Volume
        The images as they were given.
    start, found : Affine
        From fixed to moving.
    fixed_mask : (X, Y, Z) array of bool, optional
        Where the fixed image counts.
    settings : mapping
        Of the program.
    log : tuple of str
        What should be known.
    seed : int
        Of the points at which images are compared.

    Returns
    -------
    Registration
        With normalised mutual information at 4 mm.

    Raises
    ------
    Refused
        When the images match less than at the start.
    """
    still = pyramid(fixed, fixed_mask, [4.0])[0]
    metric = Metric(still, pyramid(moving, None, [4.0])[0], 16000, seed, centre_of_mass(still))
    before, value = metric.value(start), metric.value(found)
    if not value >= before - 0.01 * max(before - 1.0, 0.0):
        raise FAILED.refused(found=f"NMI {value:.4f}, at the start {before:.4f}")
    return Registration(found, found.inverse(), "nmi", value, before, name, made, settings, log)


def field_result(
    name: str,
    made: str,
    fixed: Volume,
    moving: Volume,
    linear: Affine,
    there: Warp,
    back: Warp | None,
    fixed_mask: NDArray[np.bool_] | None,
    settings: Mapping[str, Any],
    log: tuple[str, ...] = (),
    threads: int = 1,
) -> Registration:
    """Judge a field and wrap it up.

    Parameters
    ----------
    name, made : str
        Backend and version.
    fixed, moving : Volume
        The images as they were given.
    linear : Affine
        From fixed to moving; points go through the field before it.
    there, back : Warp
        The field and its inverse; found by fixed point when there is none.
    fixed_mask : (X, Y, Z) array of bool, optional
        Where the fixed image counts.
    settings : mapping
        Of the program.
    log : tuple of str
        What should be known.
    threads : int
        Upper limit.

    Returns
    -------
    Registration
        With local correlation at 4 mm, as our own backend measures it.

    Raises
    ------
    Refused
        When the field folds where the fixed image counts, or the images match
        less than at the start.
    """
    volume = jacobian(there, there.grid)
    if fixed_mask is not None:
        inside = _nearest(fixed_mask, fixed.grid, there.grid)
        volume = volume[inside]
    if volume.min() <= 0:
        raise BACKEND_FAILED.refused(
            found=f"{name}: the field folds (Jacobian {float(volume.min()):.3g})"
        )
    whole: Transform = Chain((linear, there))
    before, value = Own.judge(fixed, moving, linear, there, fixed_mask=fixed_mask, threads=threads)
    if not value > before:
        raise FAILED.refused(found=f"local correlation {value:.4f}, at the start {before:.4f}")
    inverse = compose((back or there.inverse()), linear.inverse())
    return Registration(whole, inverse, "lncc", value, before, name, made, settings, log)


def _nearest(mask: NDArray[np.bool_], grid: Grid, target: Grid) -> NDArray[np.bool_]:
    index = np.round(
        grid.to_index(target.to_world(np.moveaxis(np.indices(target.shape), 0, -1)))
    ).astype(int)
    inside = ((index >= 0) & (index < mask.shape)).all(axis=-1)
    index = np.clip(index, 0, np.array(mask.shape) - 1)
    return np.asarray(inside & mask[index[..., 0], index[..., 1], index[..., 2]])
