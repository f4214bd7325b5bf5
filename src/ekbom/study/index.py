"""The index of a BIDS study, made by one walk over the folders.

Raw tree and every derivative, entities, datatypes, and JSON metadata with BIDS
inheritance. A walk over 500 subjects takes a fraction of a second, so nothing is
cached on disk and nothing can be out of date.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from ekbom.errors import Refused
from ekbom.nouns import BidsFile, Unit
from ekbom.study import bidsname
from ekbom.study.readers import read_json, read_tsv
from ekbom.study.walk import STORE, Walk


class Study:
    """A BIDS data set opened for reading; implements :class:`ekbom.nouns.Files`.

    Made by :meth:`Study.open`.

    Attributes
    ----------
    root : Path
        Absolute path of the data set.
    files : tuple of BidsFile
        Every file with a BIDS name, sorted by path.
    participants : tuple of str
        Folders ``sub-*`` of the raw tree, with prefix, sorted.
    description : dict
        ``dataset_description.json``.
    warnings : tuple of str
        What a reader should know although it stops nothing.
    """

    def __init__(
        self,
        root: Path,
        files: Sequence[BidsFile],
        participants: Sequence[str],
        description: dict[str, Any],
        warnings: Sequence[str],
    ) -> None:
        self.root = root
        self.files = tuple(files)
        self.participants = tuple(participants)
        self.description = description
        self._by_subject: dict[str | None, list[BidsFile]] = {}
        self._by_path: dict[str, BidsFile] = {}
        self._json_in: dict[str, list[BidsFile]] = {}
        self._json: dict[str, dict[str, Any]] = {}
        for file in self.files:
            self._by_subject.setdefault(file.entities.get("sub"), []).append(file)
            self._by_path[str(file.path)] = file
            if file.extension == ".json":
                self._json_in.setdefault(str(file.path.parent), []).append(file)
        self.warnings = (*warnings, *self._check_participants())

    @classmethod
    def open(cls, bids_dir: str | Path, *, ignore: Iterable[str | Path] = ()) -> Study:
        """Walk a BIDS data set and index it.

        Parameters
        ----------
        bids_dir : path-like
            Folder that holds ``dataset_description.json``.
        ignore : iterable of path-like
            Folders to leave out, such as the output folder of this run. Hidden
            folders and outputs of ekbom are always left out.

        Returns
        -------
        Study
            The opened study.

        Raises
        ------
        Refused
            No such folder, no or broken ``dataset_description.json``, no
            subjects, or a participants table that contradicts itself.
        """
        root = Path(bids_dir).absolute()
        if not root.is_dir():
            raise Refused(
                "the BIDS folder does not exist",
                file=root,
                found="a file" if root.exists() else "nothing",
                expected="a folder with dataset_description.json",
                mend="check the path",
            )
        described = root / "dataset_description.json"
        if not described.is_file():
            raise Refused(
                "this folder is not a BIDS data set",
                file=described,
                found="no dataset_description.json",
                expected="the file, with Name and BIDSVersion",
                mend="give the top folder of the data set, or write that file",
            )
        if (root / STORE).exists():
            raise Refused(
                "this folder is an output of ekbom, not a study",
                file=root,
                found=STORE,
                expected="raw data",
                mend="give the BIDS folder first, then the output folder",
            )
        description = read_json(described)
        walk = Walk(root, {str(Path(path).absolute()) for path in ignore})
        walk.run()
        if not walk.participants:
            raise Refused(
                "the data set holds no subjects",
                file=root,
                found="no folder called sub-*",
                expected="one folder a participant, sub-<label>",
                mend="give the top folder of the data set",
            )
        files = sorted(walk.files, key=lambda file: str(file.path))
        return cls(root, files, sorted(walk.participants), description, walk.warnings)

    # What a measure asks for -------------------------------------------------

    def find(
        self,
        unit: Unit | None = None,
        *,
        suffix: str | None = None,
        extension: str | None = None,
        datatype: str | None = None,
        scope: str | None = None,
        **entities: str,
    ) -> list[BidsFile]:
        """Return matching files in order of path.

        Parameters
        ----------
        unit : Unit, optional
            Files of this subject; a file that names another session, run or
            tracer than the unit does not match, one that names none does. What
            the unit leaves None is not asked for.
        suffix, extension, datatype : str, optional
            ``"blood"``, ``".tsv"``, ``"pet"``.
        scope : str, optional
            ``"raw"``, ``"derivatives"`` or the name of one derivative.
        **entities : str
            Further entities the file must have, ``desc="gtmseg"``.

        Returns
        -------
        list of BidsFile
            Possibly empty.
        """
        wanted: dict[str, str] = {}
        pool: Sequence[BidsFile] = self.files
        if unit is not None:
            pool = self._by_subject.get(unit.participant.removeprefix("sub-"), [])
            for key, value in (("ses", unit.session), ("run", unit.run), ("trc", unit.tracer)):
                if value is not None:
                    wanted[key] = value
        return [
            file
            for file in pool
            if (suffix is None or file.suffix == suffix)
            and (extension is None or file.extension == extension)
            and (datatype is None or file.datatype == datatype)
            and (scope is None or file.scope == scope or _any_derivative(scope, file.scope))
            and all(
                key not in file.entities or bidsname.same_value(key, file.entities[key], value)
                for key, value in wanted.items()
            )
            and all(
                key in file.entities and bidsname.same_value(key, file.entities[key], value)
                for key, value in entities.items()
            )
        ]

    def metadata(self, file: BidsFile | Path) -> dict[str, Any]:
        """Return the JSON metadata of a file with BIDS inheritance applied.

        Parameters
        ----------
        file : BidsFile or Path
            Data file (or JSON) of this study.

        Returns
        -------
        dict
            Keys of the most specific file win.

        Raises
        ------
        Refused
            A JSON is broken, or two of one folder contradict each other.
        """
        merged: dict[str, Any] = {}
        said: dict[str, Path] = {}
        for path in self.metadata_files(file):
            for key, value in self._read(path).items():
                before = said.get(key)
                if before is not None and _rivals(before, path) and merged[key] != value:
                    raise Refused(
                        f"two JSON files of one folder say different things about {key}",
                        file=path,
                        field=key,
                        found=f"{value!r} here, {merged[key]!r} in {before.name}",
                        expected="one value",
                        mend="keep the key in one of the two files",
                    )
                merged[key] = value
                said[key] = path
        return merged

    def metadata_files(self, file: BidsFile | Path) -> list[Path]:
        """Return the JSON files that apply to a file, least specific first.

        Parameters
        ----------
        file : BidsFile or Path
            Data file of this study.

        Returns
        -------
        list of Path
            From the top of the data set (or derivative) down to the file's own
            folder; within a folder by the number of entities in the name.
        """
        known = file if isinstance(file, BidsFile) else self._known(file)
        if known is None:
            return []
        top = self._top(known)
        folder = known.path.parent
        chain = [folder, *(p for p in folder.parents if p == top or p.is_relative_to(top))]
        if folder == top:
            chain = [folder]
        hits: list[Path] = []
        for place in reversed(chain):
            here = [
                other
                for other in self._json_in.get(str(place), ())
                if other.suffix == known.suffix and bidsname.applies(other.entities, known.entities)
            ]
            here.sort(key=lambda other: (len(other.entities), other.path.name))
            hits += [other.path for other in here]
        return hits

    def participant(self, unit: Unit) -> dict[str, Any]:
        """Return the participants.tsv row of a unit.

        Parameters
        ----------
        unit : Unit
            Whose row.

        Returns
        -------
        dict
            Column to value, without ``n/a`` ones; empty without a row.
        """
        return dict(self._rows.get(unit.participant, {}))

    # What the study's own modules ask for -------------------------------------

    def sessions(self, participant: str | None = None) -> list[str]:
        """Return session labels without prefix, sorted.

        Parameters
        ----------
        participant : str, optional
            With prefix; all participants by default.

        Returns
        -------
        list of str
            Labels that occur in raw file names.
        """
        return self._values("ses", participant)

    def tracers(self) -> list[str]:
        """Return tracer labels (entity ``trc``) of raw file names, sorted.

        Returns
        -------
        list of str
            Labels without prefix.
        """
        return self._values("trc", None)

    def derivatives(self) -> list[str]:
        """Return the names of the derivatives that hold BIDS files, sorted.

        Returns
        -------
        list of str
            Folder names below ``derivatives/``.
        """
        return sorted({file.scope for file in self.files} - {"raw"})

    def relative(self, path: Path) -> str:
        """Return a path as it is written in outputs: from the top of the study.

        Parameters
        ----------
        path : Path
            Any path.

        Returns
        -------
        str
            With forward slashes; outside the study the name only.
        """
        try:
            return path.absolute().relative_to(self.root).as_posix()
        except ValueError:
            return path.name

    def _values(self, key: str, participant: str | None) -> list[str]:
        pool: Sequence[BidsFile] = self.files
        if participant is not None:
            pool = self._by_subject.get(participant.removeprefix("sub-"), [])
        return sorted({f.entities[key] for f in pool if f.scope == "raw" and key in f.entities})

    def _top(self, file: BidsFile) -> Path:
        if file.scope == "raw":
            return self.root
        return self.root / "derivatives" / file.scope

    def _known(self, path: Path) -> BidsFile | None:
        path = path.absolute()
        hit = self._by_path.get(str(path))
        if hit is not None:
            return hit
        parsed = bidsname.parse(path.name)
        if parsed is None or not path.is_relative_to(self.root):
            return None
        datatype = path.parent.name if path.parent.name in bidsname.DATATYPES else None
        parts = path.relative_to(self.root).parts
        scope = parts[1] if parts[0] == "derivatives" and len(parts) > 2 else "raw"
        return BidsFile(path, parsed.entities, parsed.suffix, parsed.extension, datatype, scope)

    def _read(self, path: Path) -> dict[str, Any]:
        key = str(path)
        if key not in self._json:
            self._json[key] = read_json(path)
        return self._json[key]

    @cached_property
    def _rows(self) -> dict[str, dict[str, Any]]:
        path = self.root / "participants.tsv"
        if not path.is_file():
            return {}
        frame = read_tsv(path, keys=("participant_id",))
        rows: dict[str, dict[str, Any]] = {}
        for record in frame.to_dict("records"):
            label = str(record["participant_id"])
            rows[label] = {
                str(key): value
                for key, value in record.items()
                if not (value is None or value != value)
            }
        return rows

    def _check_participants(self) -> list[str]:
        if not (self.root / "participants.tsv").is_file():
            return ["participants.tsv is missing: no covariates, no group, no weight"]
        said = []
        table, folders = set(self._rows), set(self.participants)
        for label in sorted(table - folders):
            said.append(f"participants.tsv names {label}, but there is no folder {label}")
        for label in sorted(folders - table):
            said.append(f"folder {label} has no row in participants.tsv")
        return said


def _any_derivative(asked: str, scope: str) -> bool:
    return asked == "derivatives" and scope != "raw"


def _rivals(one: Path, other: Path) -> bool:
    """Of one folder, and neither name is a special case of the other."""
    if one.parent != other.parent:
        return False
    first, second = bidsname.parse(one.name), bidsname.parse(other.name)
    if first is None or second is None:
        return False
    return not bidsname.applies(first.entities, second.entities)
