"""EEGLAB and BrainVision recordings, by MNE when it is installed (extra ``mne``).

A file that does not say its unit, as those of EEGLAB, is refused unless the unit is
told: what a reader assumes is not what a header says.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ekbom.errors import Refused
from ekbom.measures.legs.io.annotations import Annotations, sort_out
from ekbom.measures.legs.io.edf import UNITS, Signals, open_edf
from ekbom.measures.legs.io.tal import Note

#: Endings that MNE reads here.
FOREIGN = (".set", ".vhdr")


@dataclass(frozen=True)
class _Signal:
    """One channel of an MNE recording; samples in uV are read when asked for."""

    raw: Any
    k: int
    factor: float
    label: str
    sampling_frequency: float
    digital_min: float = 0.0
    digital_max: float = 1.0
    physical_min: float = 0.0
    physical_max: float = 1.0
    #: such formats have no rails
    rails: tuple[float, float] = (float("nan"), float("nan"))

    @cached_property
    def digital(self) -> np.ndarray[Any, Any]:
        return np.asarray(self.raw.get_data(picks=[self.k])[0] * self.factor, np.float64)


@dataclass(frozen=True)
class _Recording:
    signals: tuple[_Signal, ...]
    duration: float


def open_recording(path: str | Path, unit: str | None = None) -> Signals:
    """Open a recording of any format that this room reads.

    Parameters
    ----------
    path : path-like
        EDF, EDF+, BDF; EEGLAB ``.set`` and BrainVision ``.vhdr`` by MNE.
    unit : {"V", "mV", "uV", "nV"}, optional
        Only for a file whose header has none.

    Returns
    -------
    Signals

    Raises
    ------
    Refused
        MNE is not installed, the file cannot be read, or a unit is told although
        the header has one.
    """
    path = Path(path)
    if path.suffix.lower() not in FOREIGN:
        if unit is not None:
            raise Refused(
                "The unit stands in the header of this format.",
                file=path,
                field="unit",
                found=unit,
                expected="no unit told",
            )
        return open_edf(path)
    raw = _raw(path)
    said: dict[str, str] = dict(raw._orig_units)
    if unit is not None and (said or unit.lower() not in UNITS):
        raise Refused(
            "The unit told cannot be used.",
            file=path,
            field="unit",
            found=unit,
            expected="V, mV, uV or nV" if not said else "the unit of the header",
        )
    fs = float(raw.info["sfreq"])
    signals, units = [], []
    for k, label in enumerate(raw.ch_names):
        # MNE gives volts when the header has a unit; without one it takes the numbers for uV.
        signals.append(_Signal(raw, k, 1e6, label, fs))
        own = said.get(label, unit or "")
        units.append("uV" if said and own.lower() in UNITS else own)
    notes = tuple(
        Note(float(a["onset"]) - float(raw.first_time), float(a["duration"]), str(a["description"]))
        for a in raw.annotations
    )
    recording = _Recording(tuple(signals), raw.n_times / fs)
    return Signals(path, tuple(raw.ch_names), tuple(units), recording, notes)


def read_foreign(path: str | Path) -> Annotations:
    """Return what the annotations of such a recording say.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Annotations
    """
    return sort_out(open_recording(path).rows(), path)


def _raw(path: Path) -> Any:
    if not path.is_file():
        raise Refused("The file is not there.", file=path, expected="a recording")
    try:
        import mne
    except ModuleNotFoundError as fault:
        raise Refused(
            "This format is read by MNE, which is not installed.",
            file=path,
            found=path.suffix,
            expected="EDF, EDF+ or BDF, which need no other program",
            mend="pip install 'ekbom[mne]', or export the night as EDF+",
        ) from fault
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return mne.io.read_raw(path, preload=False, verbose="ERROR")
    except Exception as fault:
        raise Refused(
            "The file cannot be read.",
            file=path,
            found=f"{type(fault).__name__}: {fault}",
            expected="a continuous recording",
        ) from fault
