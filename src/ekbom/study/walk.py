"""The one pass over the folders of a study.

Plain strings are used inside the loop: on large trees `pathlib` takes longer
than the file system.
"""

from __future__ import annotations

import os
from pathlib import Path

from ekbom.nouns import BidsFile
from ekbom.study import bidsname

#: Marks a folder as an output of ekbom; its content is never an input.
STORE = ".ekbom"

#: Folders beside the subjects that hold no raw data.
_NOT_RAW = frozenset({"sourcedata", "code", "phenotype", "stimuli"})

#: Files that may belong to no subject: label images and masks of a template.
_OF_ALL = frozenset({"dseg", "probseg", "mask"})


class Walk:
    """Files with BIDS names below a folder.

    Parameters
    ----------
    root : Path
        Top of the data set.
    ignore : set of str
        Absolute paths of folders to leave out.
    """

    def __init__(self, root: Path, ignore: set[str]) -> None:
        self.root = str(root)
        self.ignore = ignore
        self.files: list[BidsFile] = []
        self.participants: list[str] = []
        self.warnings: list[str] = []
        self._described: set[str] = set()

    def run(self) -> None:
        """Walk; fills ``files``, ``participants`` and ``warnings``."""
        derivatives = f"{self.root}{os.sep}derivatives"
        for place, folders, names in os.walk(self.root):
            if place == self.root:
                folders[:] = [name for name in folders if name not in _NOT_RAW]
                self.participants = [name for name in folders if name.startswith("sub-")]
            elif STORE in folders:
                folders.clear()
                continue
            folders[:] = sorted(
                name
                for name in folders
                if not name.startswith(".") and f"{place}{os.sep}{name}" not in self.ignore
            )
            if place == derivatives:
                continue
            scope = "raw"
            if place.startswith(derivatives + os.sep):
                scope = self._scope(place[len(derivatives) + 1 :], names)
            self._take(place, sorted(names), scope)

    def _scope(self, below: str, names: list[str]) -> str:
        # A derivative is the deepest folder with its own description, or the first level.
        below = below.replace(os.sep, "/")
        if "dataset_description.json" in names:
            self._described.add(below)
        candidate = below
        while "/" in candidate and candidate not in self._described:
            candidate = candidate.rpartition("/")[0]
        return candidate

    def _take(self, place: str, names: list[str], scope: str) -> None:
        folder = Path(place)
        parts = folder.parts[len(Path(self.root).parts) :]
        subject = next((p[4:] for p in parts if p.startswith("sub-")), None)
        session = next((p[4:] for p in parts if p.startswith("ses-")), None)
        datatype = parts[-1] if parts and parts[-1] in bidsname.DATATYPES else None
        for name in names:
            parsed = bidsname.parse(name)
            if parsed is None:
                continue
            says = parsed.entities
            shared = parsed.extension == ".json" or parsed.suffix in _OF_ALL
            if "sub" not in says and not shared:
                continue
            path = folder / name
            if (subject is not None and says.get("sub", subject) != subject) or (
                session is not None and says.get("ses", session) != session
            ):
                self.warnings.append(f"left out, its name contradicts its folder: {path}")
                continue
            self.files.append(
                BidsFile(path, says, parsed.suffix, parsed.extension, datatype, scope)
            )
