"""The manifest: path and SHA-256 of all that a run promises."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from ekbom.study import files, names


def manifest_bytes(out: Path, paths: Iterable[str]) -> bytes:
    """Return the manifest of files of an output folder.

    Parameters
    ----------
    out : Path
        The output folder.
    paths : iterable of str
        Relative, with forward slashes; the manifest itself is left out.

    Returns
    -------
    bytes
        A TSV with the columns ``path`` and ``sha256``, sorted by path.
    """
    own = names.NAMES["manifest"]
    lines = [f"{path}\t{files.sha256(out / path)}" for path in sorted(set(paths) - {own})]
    return "\n".join(["path\tsha256", *lines, ""]).encode()


def read_manifest(out: Path) -> list[tuple[str, str]]:
    """Return path and SHA-256 of each file, empty without a manifest.

    Parameters
    ----------
    out : Path
        The output folder.

    Returns
    -------
    list of (str, str)
        In the order of the file.
    """
    path = out / names.NAMES["manifest"]
    if not path.is_file():
        return []
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    return [(row[0], row[1]) for row in rows if len(row) == 2]


def check_manifest(out: Path) -> list[str]:
    """Return the files that are not as the manifest says.

    Parameters
    ----------
    out : Path
        The output folder.

    Returns
    -------
    list of str
        ``"path: missing"`` or ``"path: changed"``; empty when all is well.
    """
    wrong = []
    for path, digest in read_manifest(out):
        if not (out / path).is_file():
            wrong.append(f"{path}: missing")
        elif files.sha256(out / path) != digest:
            wrong.append(f"{path}: changed")
    return wrong


def replace_file(out: Path, path: str, content: bytes) -> None:
    """Write one promised file anew and mend its line in the manifest.

    Parameters
    ----------
    out : Path
        The output folder.
    path : str
        Relative, with forward slashes.
    content : bytes
        What it holds now.
    """
    files.write_bytes(out / path, content)
    rows = dict(read_manifest(out))
    if not rows:
        return
    rows[path] = hashlib.sha256(content).hexdigest()
    lines = [f"{name}\t{digest}" for name, digest in sorted(rows.items())]
    own = out / names.NAMES["manifest"]
    files.write_bytes(own, "\n".join(["path\tsha256", *lines, ""]).encode())
