"""Parts of a long permutation, kept until its answer is stored."""

from __future__ import annotations

import io
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ekbom.study import files


class Chunks(MutableMapping[int, NDArray[np.float64]]):
    """A folder of arrays by the number of their first relabelling.

    Parameters
    ----------
    folder : Path
        Of one question with these settings and data; made when something is kept.

    Notes
    -----
    A file is whole or not there; one that cannot be read counts as absent.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __getitem__(self, start: int) -> NDArray[np.float64]:
        try:
            return np.asarray(np.load(self._path(start), allow_pickle=False))
        except (OSError, ValueError, EOFError):
            raise KeyError(start) from None

    def __contains__(self, start: object) -> bool:
        if not isinstance(start, int):
            return False
        try:
            self[start]
        except KeyError:
            return False
        return True

    def __setitem__(self, start: int, value: NDArray[Any]) -> None:
        stream = io.BytesIO()
        np.save(stream, value, allow_pickle=False)
        files.write_bytes(self._path(start), stream.getvalue())

    def __delitem__(self, start: int) -> None:
        files.remove(self._path(start))

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(int(p.stem) for p in self.folder.glob("*.npy") if p.stem.isdigit()))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def remove(self) -> None:
        """Throw all of it away."""
        if self.folder.exists():
            files.remove(self.folder)

    def _path(self, start: int) -> Path:
        return self.folder / f"{start:09d}.npy"
