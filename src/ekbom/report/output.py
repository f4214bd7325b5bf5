"""An output folder opened for reading: its tables, answers and figures.

Nothing is computed here. Whatever file is not there is simply empty, so that a
report can be made of a run that was stopped half way.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from ekbom.errors import Refused

#: End of the effect's slug in the answer without scans that needed a permission.
WITHOUT = "WithoutPermitted"
#: What the folder of a single answer holds.
LONE = "answer.json"

_WORDS = frozenset(
    {"participant_id", "session_id", "run_id", "measure", "region", "parameter", "unit", "method"}
    | {"flags", "code", "permission", "text", "what", "file", "field", "found", "expected", "mend"}
    | {"label", "path", "sha256", "participant", "session", "group", "note", "rule"}
)


@dataclass(frozen=True)
class Scan:
    """Figures and tables of one subject-session.

    Parameters
    ----------
    participant, session : str
        With prefixes; ``session`` is empty when there is none.
    figures : tuple of pathlib.Path
        SVG and PNG files in the order of their names.
    """

    participant: str
    session: str
    figures: tuple[Path, ...]

    @property
    def name(self) -> str:
        """Participant and session in one word, for headings and anchors."""
        return f"{self.participant}_{self.session}" if self.session else self.participant


@dataclass(frozen=True)
class Answered:
    """The files of one answer: one question, one method, one effect.

    Parameters
    ----------
    folder : pathlib.Path
        ``group/question-<slug>``.
    effect : str
        Slug of the effect, the part after ``desc-``.
    about : mapping
        Content of ``answer.json`` (what it says about this effect).
    tables : mapping of str to pandas.DataFrame
        By the end of their name (``regions``, ``values`` ...).
    columns : mapping of str to mapping
        Column descriptions of these tables, from their JSON.
    maps : mapping of str to pathlib.Path
        Images by the end of their name (``stat-t_statmap``).
    methods : str
        The words for the methods section.
    """

    folder: Path
    effect: str
    about: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    columns: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    maps: Mapping[str, Path] = field(default_factory=dict)
    methods: str = ""

    def table(self, name: str) -> pd.DataFrame:
        """Return a table, empty when the file is not there."""
        return self.tables.get(name, pd.DataFrame())


@dataclass(frozen=True)
class Output:
    """What a run left in a folder.

    Parameters
    ----------
    root : pathlib.Path
        The output folder.
    """

    root: Path

    @classmethod
    def open(cls, root: str | Path) -> Output:
        """Open a folder that ``ekbom run``, ``infer`` or ``ask`` has written.

        Parameters
        ----------
        root : path-like
            The output folder.

        Returns
        -------
        Output
            Read lazily.

        Raises
        ------
        ekbom.errors.Refused
            The folder is not there or holds nothing that a run leaves.
        """
        root = Path(root)
        if not root.is_dir():
            raise Refused(
                "There is no such output folder.",
                file=root,
                expected="a folder written by `ekbom run`",
                mend="give the OUT folder of a run",
            )
        known = ("measures.tsv", "refused.tsv", "plan.json", "plan.toml", "group", LONE)
        if not any((root / name).exists() for name in known):
            raise Refused(
                "This folder holds nothing to report.",
                file=root,
                found=", ".join(sorted(p.name for p in root.iterdir())[:8]) or "nothing",
                expected="at least one of " + ", ".join(known),
                mend="give the OUT folder of a run, not the data set",
            )
        return cls(root)

    @property
    def lone(self) -> bool:
        """Whether the folder holds one answer, with no study around it."""
        return (self.root / LONE).is_file()

    @cached_property
    def description(self) -> dict[str, Any]:
        """Content of ``dataset_description.json``."""
        return read_json(self.root / "dataset_description.json")

    @cached_property
    def plan(self) -> dict[str, Any]:
        """Content of ``plan.json``: the plan with every default filled in."""
        return read_json(self.root / "plan.json")

    @cached_property
    def plan_text(self) -> str:
        """The plan as the user wrote it."""
        return read_text(self.root / "plan.toml")

    @cached_property
    def measures(self) -> pd.DataFrame:
        """The long table of scores."""
        return read_table(self.root / "measures.tsv")

    @cached_property
    def notes(self) -> pd.DataFrame:
        """Warnings and permissions used, one row each."""
        return read_table(self.root / "notes.tsv")

    @cached_property
    def refused(self) -> pd.DataFrame:
        """Scans and questions that were refused, one row each."""
        return read_table(self.root / "refused.tsv")

    @cached_property
    def answers(self) -> tuple[Answered, ...]:
        """All answers, in the order of the plan, then of their names."""
        if self.lone:
            return tuple(_answers(self.root))
        folders = sorted((self.root / "group").glob("question-*"))
        asked = [_slug(name) for name in self.plan.get("questions", {})]

        def place(folder: Path) -> tuple[int, str]:
            slug = folder.name.removeprefix("question-")
            starts = [k for k, name in enumerate(asked) if slug.startswith(name)]
            return (starts[0] if starts else len(asked), folder.name)

        return tuple(a for f in sorted(folders, key=place) for a in _answers(f))

    @cached_property
    def scans(self) -> tuple[Scan, ...]:
        """Every subject-session that has QC figures."""
        found = []
        for folder in sorted(self.root.glob("sub-*/**/figures")):
            pictures = tuple(
                sorted(p for p in folder.iterdir() if p.suffix in {".svg", ".png"} and p.is_file())
            )
            parts = folder.relative_to(self.root).parts
            session = next((p for p in parts if p.startswith("ses-")), "")
            if pictures:
                found.append(Scan(parts[0], session, pictures))
        return tuple(found)

    def digests(self) -> list[tuple[str, str]]:
        """Return path and SHA-256 of the tables this report is made from."""
        names = [self.root / n for n in ("plan.toml", "measures.tsv", "notes.tsv", "refused.tsv")]
        names += sorted((self.root / "group").glob("question-*/*"))
        if self.lone:
            names += sorted(p for p in self.root.iterdir() if p.name != "report.html")
        return [
            (path.relative_to(self.root).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest())
            for path in names
            if path.is_file()
        ]


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object, empty when the file is not there.

    Raises
    ------
    ekbom.errors.Refused
        The file is not a JSON object.
    """
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as broken:
        raise _damaged(path, str(broken)) from broken
    if not isinstance(content, dict):
        raise _damaged(path, type(content).__name__)
    return content


def read_text(path: Path) -> str:
    """Return a text file, empty when it is not there."""
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def read_table(path: Path) -> pd.DataFrame:
    """Return a TSV, empty when the file is not there.

    Columns of words stay words (a session called ``01``); others become numbers
    when every cell is one. ``n/a`` is missing.

    Raises
    ------
    ekbom.errors.Refused
        The file cannot be read as a table.
    """
    if not path.is_file() or path.stat().st_size == 0:
        return pd.DataFrame()
    try:
        raw = pd.read_csv(
            path, sep="\t", dtype=str, keep_default_na=False, na_values=["n/a"], encoding="utf-8"
        )
    except (ValueError, pd.errors.ParserError) as broken:
        raise _damaged(path, str(broken)) from broken
    for name in raw.columns:
        if name not in _WORDS and not str(name).endswith("_id"):
            try:
                raw[name] = pd.to_numeric(raw[name])
            except (ValueError, TypeError):
                continue
    return raw


def _damaged(path: Path, found: str) -> Refused:
    return Refused(
        "A file of the output folder cannot be read.",
        file=path,
        found=found,
        expected="the file as `ekbom run` wrote it",
        mend="run `ekbom run` again; finished steps are kept",
    )


def _slug(text: str) -> str:
    return "".join(c for c in text if c.isalnum())


def _answers(folder: Path) -> list[Answered]:
    """Sort the files of a folder by the effect in their names."""
    about = read_json(folder / "answer.json")
    tables: dict[str, dict[str, pd.DataFrame]] = {}
    columns: dict[str, dict[str, Mapping[str, Any]]] = {}
    maps: dict[str, dict[str, Path]] = {}
    methods: dict[str, str] = {}
    for path in sorted(folder.iterdir()):
        parts = path.name.split("_")
        effect = next((p.removeprefix("desc-") for p in parts if p.startswith("desc-")), None)
        if effect is None:
            continue
        rest = "_".join(p for p in parts if not p.startswith(("desc-", "space-", "res-")))
        name = rest.split(".")[0]
        if path.suffix == ".tsv":
            tables.setdefault(effect, {})[name] = read_table(path)
            columns.setdefault(effect, {})[name] = read_json(path.with_suffix(".json"))
        elif path.name.endswith((".nii.gz", ".nii")):
            maps.setdefault(effect, {})[name] = path
        elif path.suffix == ".txt" and name == "methods":
            methods[effect] = read_text(path)
    for effect in [e for e in tables if e.endswith(WITHOUT) and e.removesuffix(WITHOUT) in tables]:
        whole = effect.removesuffix(WITHOUT)
        tables[whole] |= {name + WITHOUT: frame for name, frame in tables.pop(effect).items()}
        columns[whole] |= {name + WITHOUT: told for name, told in columns.pop(effect).items()}
        methods.pop(effect, None)
        maps.pop(effect, None)
    effects = sorted(set(tables) | set(maps) | set(methods)) or [""]
    return [
        Answered(
            folder,
            effect,
            about,
            tables.get(effect, {}),
            columns.get(effect, {}),
            maps.get(effect, {}),
            methods.get(effect, ""),
        )
        for effect in effects
    ]
