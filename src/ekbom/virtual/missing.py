"""Missing data as real sites have it: values, samples, frames, columns and whole scans.

Each kind of gap comes to each person, or to each scan, with the same probability, from a
stream of its own, so that a study with gaps is the study without them, less what is
gone. ``derivatives/truth/missing_truth.tsv`` names every gap. Sidecars stay truthful: what
a site knows to be missing is declared so.
"""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ekbom.errors import Refused
from ekbom.virtual import bids
from ekbom.virtual.seeds import stream

#: Kinds of gap of a scan, and what is done.
KINDS: dict[str, str] = {
    "value": "one value of a table is missing, and the total it belongs to",
    "scan": "the scan or night was never recorded",
    "frames": "the scan was stopped early: its last frames are missing",
    "samples": "late blood samples were not drawn",
    "parent": "parent fractions of some samples were not measured",
    "column": "no parent fraction was measured at all",
}
#: Columns that are never lost: names, and what makes groups.
_KEPT = {"participant_id", "session_id", "visit", "group", "sex", "site"}
_Row = dict[str, Any]


def checked(share: float) -> float:
    """Return the share of gaps, or refuse it.

    Parameters
    ----------
    share : float
        Probability of each kind of gap.

    Returns
    -------
    float
        The same.

    Raises
    ------
    Refused
        Not from 0 to 0.9.
    """
    if not 0 <= share <= 0.9:
        raise Refused("The share of missing data is none.", field="--missing", found=share,
                      expected="a probability from 0 to 0.9, such as 0.05")  # fmt: skip
    return share


def drop(
    root: Path, people: Iterable[str], scans: Iterable[tuple[str, str, Path]], share: float,
    seed: int,
) -> None:  # fmt: skip
    """Take data away, and say in the truth what.

    Parameters
    ----------
    root : Path
        Study.
    people : iterable of str
        Labels, in the order of the study.
    scans : iterable of (label, stem, folder)
        Recordings of each person: the stem of its files and its folder below the study.
    share : float
        Probability of each kind of gap.
    seed : int
        Of the study.
    """
    labels = list(people)
    rows: list[_Row] = []
    for path in (root / "participants.tsv", *sorted((root / "phenotype").glob("*.tsv"))):
        rows += _values(root, path, labels, share, seed)
    counted: dict[str, int] = {}
    for label, stem, folder in scans:
        at = counted.get(label, 0)
        counted[label] = at + 1
        rng = stream(seed, labels.index(label), "missing", at + 1)
        # always the same number of draws: a gap more changes no other
        hits = dict(zip(KINDS, rng.random(len(KINDS)) < share, strict=True))
        how = rng.random(4)
        rows += [{"participant_id": label, **row} for row in
                 _scan(root, stem, folder, hits, how)]  # fmt: skip
    names = ("participant_id", "kind", "file", "what")
    columns = {name: [row[name] for row in rows] for name in names}
    truth = root / "derivatives" / "truth"
    bids.write_tsv(truth / "missing_truth.tsv", columns)
    bids.write_json(
        truth / "missing_truth.json",
        {
            "kind": {"Description": "Kind of gap", "Levels": KINDS},
            "file": {"Description": "Raw file it is in, or was"},
            "what": {"Description": "What is missing"},
            "Share": share,
        },
    )


def _values(root: Path, path: Path, labels: list[str], share: float, seed: int) -> Iterator[_Row]:
    names, rows = table(path)
    if "participant_id" not in names:
        return
    at = names.index("participant_id")
    may = [k for k, name in enumerate(names) if name not in _KEPT]
    changed = False
    for label in dict.fromkeys(row[at] for row in rows):
        # by the table's name, so that another table more changes nothing
        key = sum(path.name.encode()) % 1000
        rng = stream(seed, labels.index(label), "missing", 1000 + key)
        hit, which, place = rng.random(3)
        mine = [row for row in rows if row[at] == label]
        if hit >= share or not may:
            continue
        row = mine[int(which * len(mine))]
        there = [k for k in may if row[k] != "n/a"]  # volunteers are not asked for severity
        if not there:
            continue
        k = there[int(place * len(there))]
        lost = [k, *(j for j in may if _total_of(names[j], names[k]))]
        for j in lost:
            row[j] = "n/a"
        changed = True
        yield {"participant_id": label, "kind": "value",
               "file": path.relative_to(root).as_posix(),
               "what": ", ".join(names[j] for j in lost)}  # fmt: skip
    if changed:
        write_table(path, names, rows)


def _total_of(name: str, item: str) -> bool:
    """Whether a column is the sum over an item: ``irls_total`` over ``irls_03``."""
    stem, _, number = item.rpartition("_")
    if name == item or not number[-2:].isdigit():
        return False
    sums = {"irls": {"irls_total"}, "mpq": {"mpq_affective" if "_a" in item else "mpq_sensory"}}
    return name in sums.get(stem, {f"{stem}_total"})


def _scan(
    root: Path, stem: str, folder: Path, hits: dict[str, np.bool_], how: Any
) -> Iterator[_Row]:
    place = root / folder
    if hits["scan"]:
        yield {"kind": "scan", "file": f"{folder.as_posix()}/{stem}", "what": "the whole scan"}
        _forget(root, stem, folder)
        return
    whole = place / f"{stem}_pet.json"
    if not whole.is_file():
        return
    if hits["frames"]:
        lost = 1 + int(3 * how[0])
        _cut(root, stem, folder, lost)
        yield {"kind": "frames", "file": whole.relative_to(root).as_posix(),
               "what": f"the last {lost}"}  # fmt: skip
    blood = place / f"{stem}_recording-manual_blood.tsv"
    if not blood.is_file():
        return
    name = blood.relative_to(root).as_posix()
    if hits["samples"]:
        lost = 1 + int(3 * how[1])
        names, rows = table(blood)
        write_table(blood, names, rows[:-lost])
        yield {"kind": "samples", "file": name, "what": f"the last {lost}"}
    if hits["column"]:
        names, rows = table(blood)
        k = names.index("metabolite_parent_fraction")
        write_table(blood, names[:k] + names[k + 1 :], [r[:k] + r[k + 1 :] for r in rows])
        _said(blood.with_suffix(".json"), _no_metabolites)
        yield {"kind": "column", "file": name, "what": "metabolite_parent_fraction"}
    elif hits["parent"]:
        names, rows = table(blood)
        k = names.index("metabolite_parent_fraction")
        there = [row for row in rows if row[k] != "n/a"]
        # some from the middle: the first and the last say where the curve lies
        lost_at = sorted({1 + int(x * (len(there) - 2)) for x in how[2:]}) if len(there) > 3 else []
        for one in lost_at:
            there[one][k] = "n/a"
        write_table(blood, names, rows)
        yield {"kind": "parent", "file": name,
               "what": "metabolite_parent_fraction at "
               + ", ".join(there[one][names.index("time")] for one in lost_at) + " s"}  # fmt: skip


def _forget(root: Path, stem: str, folder: Path) -> None:
    """Remove a scan and what a site would derive from it; the truth keeps what it was."""
    for place in (root / folder, root / "derivatives" / "ekbom-sim" / folder):
        for path in place.glob(f"{stem}_*"):
            path.unlink()
        while place.is_dir() and not any(place.iterdir()) and place.name.startswith(
            ("pet", "eeg", "ses-")
        ):  # fmt: skip
            shutil.rmtree(place)
            place = place.parent


def _no_metabolites(said: _Row) -> None:
    said["MetaboliteAvail"] = False
    for key in ("MetaboliteMethod", "MetaboliteRecoveryCorrectionApplied",
                "metabolite_parent_fraction"):  # fmt: skip
        said.pop(key, None)


def _cut(root: Path, stem: str, folder: Path, lost: int) -> None:
    """Take the last frames from image, sidecar and regional curves."""

    def shorter(said: _Row) -> None:
        for key in ("FrameTimesStart", "FrameDuration"):
            said[key] = said[key][:-lost]

    _said(root / folder / f"{stem}_pet.json", shorter)
    image = root / folder / f"{stem}_pet.nii.gz"
    if image.is_file():
        raw = bytearray(gzip.decompress(image.read_bytes()))
        shape = np.frombuffer(bytes(raw[42:50]), "<i2").astype(int)
        raw[48:50] = np.array([shape[3] - lost], "<i2").tobytes()
        end = 352 + 2 * int(np.prod(shape[:3])) * (shape[3] - lost)
        bids.write_bytes(image, bids.zipped(bytes(raw[:end])))
    derived = root / "derivatives" / "ekbom-sim" / folder
    for path in derived.glob(f"{stem}_*_tacs.tsv"):
        names, rows = table(path)
        write_table(path, names, rows[:-lost])


def _said(path: Path, change: Callable[[_Row], None]) -> None:
    content = json.loads(path.read_text("utf-8"))
    change(content)
    bids.write_json(path, content)


def table(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return names and rows of a TSV.

    Parameters
    ----------
    path : Path
        With a line of names.

    Returns
    -------
    names : list of str
    rows : list of list of str
    """
    lines = path.read_text("utf-8").splitlines()
    return lines[0].split("\t"), [line.split("\t") for line in lines[1:]]


def write_table(path: Path, names: list[str], rows: list[list[str]]) -> None:
    """Write names and rows as TSV.

    Parameters
    ----------
    path : Path
    names : list of str
    rows : list of list of str
    """
    bids.write_text(path, "\n".join("\t".join(row) for row in [names, *rows]))
