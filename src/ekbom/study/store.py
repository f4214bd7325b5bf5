"""The store of finished steps.

A step is a pure function of its inputs and settings. Its key is the hash of all
that shapes it; its output is a folder ``steps/<key>`` that appears whole, by
renaming, or not at all. What is in the store is checked against its own hashes
before it is believed.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import os
import platform
import sys
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import ekbom
from ekbom.errors import Refused
from ekbom.study import files
from ekbom.study.walk import STORE

#: Libraries whose version can change a number or a byte.
LIBRARIES = ("numpy", "scipy", "numba", "pandas", "nibabel", "nilearn", "formulaic", "matplotlib")

_SOURCES = (".py", ".toml", ".tsv", ".json", ".npz", ".csv")


@dataclass(frozen=True)
class Step:
    """A finished step.

    Parameters
    ----------
    key : str
        SHA-256 of what the step is made of.
    folder : Path
        Where its files are.
    parts : mapping
        What the key is the hash of.
    files : mapping of str to str
        Path inside the output tree to SHA-256.
    result : mapping
        What the step says apart from its files (scores, notes).
    """

    key: str
    folder: Path
    parts: Mapping[str, Any]
    files: Mapping[str, str]
    result: Mapping[str, Any]

    def path(self, name: str) -> Path:
        """Return where the store keeps the file of this tree path."""
        return self.folder / "files" / name


class Store:
    """Finished steps of one output folder.

    Parameters
    ----------
    out : Path
        The output folder; the store is its ``.ekbom``.
    """

    def __init__(self, out: Path) -> None:
        self.root = out / STORE
        self.steps = self.root / "steps"
        self.temporary = self.root / "tmp"

    def get(self, key: str) -> Step | None:
        """Return a finished step, or None when it is absent or damaged.

        Parameters
        ----------
        key : str
            Key of the step.

        Returns
        -------
        Step or None
            Every file has been compared with its hash.
        """
        folder = self.steps / key
        try:
            record = json.loads((folder / "step.json").read_bytes())
            step = Step(key, folder, record["parts"], record["files"], record["result"])
            sound = (
                record["sha256"] == _digest(step.parts, step.files, step.result)
                and key_of(step.parts) == key
                and all(files.sha256(step.path(name)) == want for name, want in step.files.items())
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, Refused):
            return None
        return step if sound else None

    def put(
        self, parts: Mapping[str, Any], content: Mapping[str, bytes], result: Mapping[str, Any]
    ) -> Step:
        """Store a finished step.

        Parameters
        ----------
        parts : mapping
            What the key is the hash of.
        content : mapping of str to bytes
            Path inside the output tree to content.
        result : mapping
            What else the step says; JSON.

        Returns
        -------
        Step
            As :meth:`get` would return it.

        Raises
        ------
        OutputRefused
            The system refuses to write.
        """
        key = key_of(parts)
        fresh = self.temporary / uuid.uuid4().hex
        hashes = {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}
        said = files.plain(result)
        for name, data in content.items():
            files.write_fresh(fresh / "files" / name, data)
        record = {
            "key": key,
            "parts": files.plain(parts),
            "files": hashes,
            "result": said,
            "sha256": _digest(parts, hashes, said),
        }
        files.write_fresh(fresh / "step.json", files.json_bytes(record))
        target = self.steps / key
        if target.exists():  # damaged, or get() would have found it
            files.remove(target)
        files.rename_folder(fresh, target)
        return Step(key, target, record["parts"], hashes, said)

    def clean(self) -> int:
        """Throw away what a killed run left half done.

        Returns
        -------
        int
            Number of folders removed.
        """
        if not self.temporary.is_dir():
            return 0
        left = list(self.temporary.iterdir())
        for folder in left:
            files.remove(folder)
        return len(left)


def key_of(parts: Mapping[str, Any]) -> str:
    """Return the key of a step.

    Parameters
    ----------
    parts : mapping
        Name, code, settings, inputs.

    Returns
    -------
    str
        SHA-256 of the canonical JSON.
    """
    return hashlib.sha256(files.canonical(parts)).hexdigest()


def _digest(parts: object, hashes: object, result: object) -> str:
    return hashlib.sha256(files.canonical([parts, hashes, result])).hexdigest()


@cache
def sources(*modules: str) -> str:
    """Return the digest of the source files of packages and modules.

    Parameters
    ----------
    *modules : str
        Import names; of a package all files below its folder count.

    Returns
    -------
    str
        SHA-256 over relative names and contents, in order.
    """
    whole = hashlib.sha256()
    for module in modules:
        for name, path in _source_files(module):
            whole.update(f"{module}/{name}\n{files.sha256(path)}\n".encode())
    return whole.hexdigest()


def _source_files(module: str) -> Iterable[tuple[str, Path]]:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return []
    origin = Path(spec.origin)
    if spec.submodule_search_locations is None:
        return [(origin.name, origin)]
    found = [
        path for path in origin.parent.rglob("*") if path.suffix in _SOURCES and path.is_file()
    ]
    return sorted((path.relative_to(origin.parent).as_posix(), path) for path in found)


def code_of(*modules: str) -> dict[str, Any]:
    """Return the code version of a step: part of its key.

    Parameters
    ----------
    *modules : str
        Import names of the packages that do the work.

    Returns
    -------
    dict
        Version, digest of sources, versions of the libraries.
    """
    return {"ekbom": ekbom.__version__, "sources": sources(*modules), "libraries": libraries()}


@cache
def _libraries() -> tuple[tuple[str, str], ...]:
    found = [("python", platform.python_version()), ("machine", f"{sys.platform} {os.name}")]
    for name in LIBRARIES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return tuple(found)


def libraries() -> dict[str, str]:
    """Return the versions of Python and of the libraries that make the numbers.

    Returns
    -------
    dict of str to str
        Name to version.
    """
    return dict(_libraries())
