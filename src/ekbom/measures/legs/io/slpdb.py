"""MIT-BIH Polysomnographic Database (PhysioNet, doi:10.13026/C23K5S): ``.st`` annotations.

Each annotation speaks of the thirty seconds after it: a stage, then what happened in
it, such as ``2 LA`` (stage 2, leg movements with arousal). A movement has no time of
its own, so none can be scored: they are counted by epoch.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ekbom.errors import Refused
from ekbom.measures.legs.io.annotations import Annotations, Row, sort_out

#: Seconds that one annotation speaks of.
EPOCH = 30.0
#: What stands in an epoch beside its stage.
CODES = {
    "H": "hypopnoea", "HA": "hypopnoea with arousal", "OA": "obstructive apnoea",
    "X": "obstructive apnoea with arousal", "CA": "central apnoea",
    "CAA": "central apnoea with arousal", "L": "leg movements",
    "LA": "leg movements with arousal", "A": "arousal", "MT": "movement time",
}  # fmt: skip
_SKIP, _NUM, _SUB, _CHN, _AUX = 59, 60, 61, 62, 63


class Epoch(NamedTuple):
    """Thirty seconds: onset (s), stage word, and codes of what happened."""

    onset: float
    stage: str
    codes: tuple[str, ...]


def read_slpdb(path: str | Path) -> Annotations:
    """Return the stages of an ``.st`` file; what has no time of its own is counted.

    Parameters
    ----------
    path : path-like
        ``slp01a.st``, with ``slp01a.hea`` beside it.

    Returns
    -------
    Annotations
        Stages of Rechtschaffen and Kales. No marks, no respiratory events and no
        arousals, since the file gives only the epochs that hold some; how many
        epochs, by code, stands in `ignored`.
    """
    path = Path(path)
    epochs = read_epochs(path)
    rows = [
        Row(e.onset, EPOCH, f"Sleep stage {'?' if 'MT' in e.codes else e.stage}") for e in epochs
    ]
    counts = Counter(CODES[c] for e in epochs for c in e.codes)
    said = sort_out(rows, path)
    flags = said.flags
    if any(c in ("L", "LA") for e in epochs for c in e.codes):
        flags = (*flags, "leg-movements-by-epoch-only")
    named = {f"epochs with {word}": n for word, n in sorted(counts.items())}
    return replace(said, flags=flags, ignored={**said.ignored, **named})


def read_epochs(path: str | Path) -> list[Epoch]:
    """Return the epochs of an ``.st`` file with what happened in each.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    list of Epoch
        In order of time.

    Raises
    ------
    Refused
        No header beside it, a file that is cut off, or words that are not known.
    """
    path = Path(path)
    fs = _sampling(path.with_suffix(".hea"))
    out = []
    for sample, text in _notes(path):
        words = text.replace("\0", " ").split()
        if not words or text.startswith("##"):
            continue  # a note about the file itself, such as its time resolution
        stage, codes = words[0].upper(), tuple(w.upper() for w in words[1:])
        if stage == "MT":
            stage, codes = "?", ("MT", *codes)
        wrong = [c for c in codes if c not in CODES]
        if stage not in ("W", "1", "2", "3", "4", "R", "?") or wrong:
            raise Refused(
                "An annotation is not known.",
                file=path,
                field=f"annotation at {sample / fs:g} s",
                found=text,
                expected="a stage (W, 1, 2, 3, 4, R), then " + ", ".join(CODES),
            )
        out.append(Epoch(sample / fs, stage, codes))
    return out


def _sampling(header: Path) -> float:
    """Return the sampling rate of the record line: name, signals, rate."""
    if not header.is_file():
        raise Refused(
            "The header of the record is not there.",
            file=header,
            expected="the .hea file of the same record: times are counted in samples",
            mend="put it beside the .st file",
        )
    lines = header.read_text(encoding="latin-1").splitlines()
    record = next((x for x in lines if x.strip() and not x.startswith("#")), "")
    cells = record.split()
    try:
        return float(cells[2].partition("/")[0].partition("(")[0])
    except (IndexError, ValueError) as fault:
        raise Refused(
            "The header does not say the sampling rate.",
            file=header,
            field="record line",
            found=record or "nothing",
            expected="name, number of signals, sampling rate in Hz",
        ) from fault


def _notes(path: Path) -> list[tuple[int, str]]:
    """Return sample and text of each annotation of the compact WFDB format."""
    data = path.read_bytes()
    found: list[tuple[int, str]] = []
    sample, at = 0, 0

    def cut() -> Refused:
        return Refused(
            "The annotations are cut off.",
            file=path,
            found=f"{len(data)} bytes",
            expected="an end mark of two zero bytes (WFDB, MIT format)",
        )

    while True:
        if at + 2 > len(data):
            raise cut()
        pair = data[at] | data[at + 1] << 8
        kind, value = pair >> 10, pair & 1023
        at += 2
        if kind == 0 and value == 0:
            return found
        if kind == _SKIP:
            if at + 4 > len(data):
                raise cut()
            high = data[at] | data[at + 1] << 8
            low = data[at + 2] | data[at + 3] << 8
            jump = high << 16 | low
            sample += jump - (1 << 32) if jump >= 1 << 31 else jump
            at += 4
        elif kind in (_NUM, _SUB, _CHN):
            continue
        elif kind == _AUX:
            if at + value > len(data):
                raise cut()
            text = data[at : at + value].decode("latin-1").strip("\0 ")
            at += value + (value & 1)
            if found:
                found[-1] = (found[-1][0], text)
        else:
            sample += value
            found.append((sample, ""))
