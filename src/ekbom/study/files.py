"""The only writer of a run.

A file is written beside its name, synced, and renamed, so that a name never
stands for half a file. What the disk refuses becomes
:class:`~ekbom.errors.OutputRefused` with the path and how to mend it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ekbom.errors import OutputRefused, Refused
from ekbom.study.readers import absent

#: Start of the names of files that are being written.
TEMPORARY = ".ekbom-tmp-"

_WHY = {
    errno.ENOSPC: ("the disk is full", "make room; what was finished is kept, start again"),
    errno.EDQUOT: ("the disk quota is used up", "make room; what was finished is kept"),
    errno.EROFS: ("the file system is read-only", "choose an output folder elsewhere"),
    errno.EACCES: ("there is no permission to write", "choose a folder that is yours"),
    errno.EPERM: ("there is no permission to write", "choose a folder that is yours"),
    errno.ENOTDIR: ("part of the path is a file, not a folder", "choose another output folder"),
    errno.EEXIST: ("something else has this name", "choose another output folder"),
    errno.EFBIG: ("the file is too big for this file system", "choose another output folder"),
    errno.EIO: ("the disk reports an error", "check the disk; choose another output folder"),
}


@contextlib.contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses into :class:`OutputRefused`.

    Parameters
    ----------
    path : Path
        What is being written, for the message.

    Yields
    ------
    None
        Around the writing.

    Raises
    ------
    OutputRefused
        On any OSError.
    """
    try:
        yield
    except OSError as no:
        code = no.errno or 0
        why, mend = _WHY.get(code, ("it cannot be written", "choose another output folder"))
        raise OutputRefused(
            f"the output was not written: {why}",
            file=path,
            found=f"{errno.errorcode.get(code, code)}: {no.strerror or no}",
            expected="a folder that can be written to",
            mend=mend,
        ) from no


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all.

    Parameters
    ----------
    path : Path
        Where; folders are made.
    data : bytes
        What.

    Raises
    ------
    OutputRefused
        Disk full, read-only, no permission.
    """
    with refusals(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(path)
        try:
            with temporary.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        sync_folder(path.parent)


def write_fresh(path: Path, data: bytes) -> None:
    """Write a file into a folder that nobody sees yet; :func:`rename_folder` syncs the folder.

    Parameters
    ----------
    path : Path
        Where; folders are made.
    data : bytes
        What.

    Raises
    ------
    OutputRefused
        Disk full, read-only, no permission.
    """
    with refusals(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())


def _temporary(path: Path) -> Path:
    return path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")


def sync_folder(folder: Path) -> None:
    """Sync a folder's entries, where the system can.

    Parameters
    ----------
    folder : Path
        Whose new names must survive a power cut.
    """
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rename_folder(old: Path, new: Path) -> None:
    """Give a finished folder its final name.

    Parameters
    ----------
    old, new : Path
        On one file system. When `new` exists already, `old` is thrown away.

    Raises
    ------
    OutputRefused
        The system refuses.
    """
    with refusals(new):
        new.parent.mkdir(parents=True, exist_ok=True)
        for folder, *_ in os.walk(old, topdown=False):
            sync_folder(Path(folder))
        try:
            old.rename(new)
        except OSError:
            if not new.is_dir():
                raise
            shutil.rmtree(old)
        sync_folder(new.parent)


def place(source: Path, target: Path) -> None:
    """Put a file of the store at its name in the tree: a hard link, or a copy.

    Parameters
    ----------
    source : Path
        File of the store.
    target : Path
        Its name for people; replaced when it exists.

    Raises
    ------
    OutputRefused
        The system refuses.
    """
    with refusals(target):
        if target.exists() and target.samefile(source):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(target)
        temporary.unlink(missing_ok=True)
        try:
            os.link(source, temporary)
        except OSError as no:
            if no.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
                raise
            write_bytes(target, source.read_bytes())
            return
        temporary.replace(target)


def remove(path: Path) -> None:
    """Remove a file or folder if it is there.

    Parameters
    ----------
    path : Path
        What to remove.

    Raises
    ------
    OutputRefused
        The system refuses.
    """
    with refusals(path):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: no NaN, no NumPy, no tuples.

    Parameters
    ----------
    value : object
        Nested mappings, sequences, numbers, strings, paths.

    Returns
    -------
    object
        NaN and infinities become None and ``"inf"``.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(plain(item) for item in value)
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, Path):
        return value.as_posix()
    return value


def json_bytes(value: Any) -> bytes:
    """Return JSON for people: indented, keys in the order given.

    Parameters
    ----------
    value : object
        Anything that :func:`plain` understands.

    Returns
    -------
    bytes
        UTF-8 with a final newline.
    """
    text = json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


def canonical(value: Any) -> bytes:
    """Return JSON for hashing: sorted keys, no spaces.

    Parameters
    ----------
    value : object
        Anything that :func:`plain` understands.

    Returns
    -------
    bytes
        The same for equal values.
    """
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return text.encode()


def tsv_bytes(frame: pd.DataFrame) -> bytes:
    """Return a table as TSV: ``n/a`` for what is missing, floats in full.

    Parameters
    ----------
    frame : pandas.DataFrame
        Its index is not written.

    Returns
    -------
    bytes
        UTF-8, one line a row. A float is written with the fewest digits that
        give it back exactly.
    """
    lines = ["\t".join(_cell(name) for name in frame.columns)]
    columns = [[_cell(value) for value in frame.iloc[:, i].tolist()] for i in range(frame.shape[1])]
    lines += ["\t".join(row) for row in zip(*columns, strict=True)]
    return ("\n".join(lines) + "\n").encode()


def _cell(value: Any) -> str:
    if value is None or value is pd.NA or value is pd.NaT:
        return "n/a"
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (float, np.floating)):
        return "n/a" if math.isnan(value) else repr(float(value))
    if isinstance(value, (tuple, list)):
        return ",".join(_cell(item) for item in value) or "n/a"
    return " ".join(str(value).split()) or "n/a"


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file.

    Parameters
    ----------
    path : Path
        File to read.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    Refused
        The file is not there or cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        raise absent(path) from None
    except OSError as no:
        raise Refused("the file cannot be read", file=path, found=no.strerror) from None
