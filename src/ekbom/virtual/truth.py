"""What was put into a simulated study, for those who compare."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ekbom.errors import Refused
from ekbom.virtual.design import Design, parse

#: What GeneratedBy says of size and seed.
_SAID = re.compile(r"size (\w+), seed (\d+)$")

#: Column meanings of the truth tables: (description, unit).
COLUMNS: dict[str, tuple[str, str]] = {
    "participant_id": ("Person", "n/a"),
    "group": ("rls or control", "n/a"),
    "irls_total": ("Severity", "point"),
    "mpq_affective": ("Affective pain", "point"),
    "clearance": ("True clearance of the parent", "mL/min"),
    "area": ("True area of the parent plasma curve to infinity", "min kBq/mL"),
    "dose": ("Injected activity", "MBq"),
    "session_id": ("Session of the scan", "n/a"),
    "tracer": ("Tracer of the scan", "n/a"),
    "latent_severity": ("Log evening urge of the disease model", "1"),
    "opioid_occupancy": ("Opioid occupancy beyond a volunteer's mean, at the scan", "1"),
    "d2_binding": ("D2 binding over the volunteers' mean, at the scan", "1"),
    "region": ("Label", "n/a"),
    "voxels": ("Voxels of the label", "1"),
    "K1": ("True uptake of the tissue", "mL/cm3/min"),
    "k2": ("True rate", "1/min"),
    "k3": ("True rate", "1/min"),
    "k4": ("True rate", "1/min"),
    "VT": ("True distribution volume of the tissue itself", "mL/cm3"),
    "occupancy": ("Share of sites taken beyond a volunteer's", "1"),
    "VT_label": (
        "True mean over the label: the tissue, its texture and what shares its voxels",
        "mL/cm3",
    ),
    "VT_seen": ("The same as the scanner sees it, blurred; no noise", "mL/cm3"),
    "planted": ("What was planted here", "n/a"),
    "occupancy_per_irls": ("Planted slope with severity", "1/point"),
    "occupancy_per_affective": ("Planted slope with affective pain", "1/point"),
    "VT_per_irls": ("The same in V_T of the tissue, typical person", "mL/cm3/point"),
    "VT_per_irls_label": ("The same as mean over the label", "mL/cm3/point"),
    "VT_per_irls_seen": ("The same as the scanner sees it", "mL/cm3/point"),
    "VT_per_affective_label": ("Affective pain, mean over the label", "mL/cm3/point"),
    "group_difference_percent": ("Planted difference patients - volunteers of mean V_T", "%"),
}


@dataclass(frozen=True, eq=False)
class StudyTruth:
    """The truth of a study that was written.

    Parameters
    ----------
    design : Design
        As used, overrides applied.
    root : Path
        Raw study.
    size : str
        ``rois``, ``quick`` or ``full``.
    seed : int
        Seed.
    participants : pandas.DataFrame
        One row a person: scores, clearance, dose.
    regions : pandas.DataFrame
        One row a person and label (sides apart): rates, V_T, occupancy, and
        the V_T of the label's mean with and without blur.
    effects : pandas.DataFrame
        One row a region (sides joined): planted slopes.
    files : int
        Number of files written.
    """

    design: Design
    root: Path
    size: str
    seed: int
    participants: pd.DataFrame
    regions: pd.DataFrame
    effects: pd.DataFrame
    files: int

    @classmethod
    def read(cls, root: Path) -> StudyTruth:
        """Read the truth of a study from its folder.

        Parameters
        ----------
        root : Path
            Raw study that :func:`ekbom.virtual.make` wrote.

        Returns
        -------
        StudyTruth
            As it was returned then.

        Raises
        ------
        Refused
            When the folder holds no finished simulated study.
        """
        folder = root / "derivatives" / "truth"
        try:
            sums = (folder / "SHA256SUMS").read_text("utf-8").splitlines()
            text = (folder / "design.toml").read_text("utf-8")
            said = json.loads((root / "dataset_description.json").read_text("utf-8"))
            size, seed = _SAID.findall(said["GeneratedBy"][0]["Description"])[0]
            participants, regions, effects = (
                pd.read_csv(folder / f"{name}_truth.tsv", sep="\t", na_values="n/a")
                for name in ("participants", "regions", "effects")
            )
        except (OSError, LookupError, ValueError) as fault:
            raise Refused(
                "The folder holds no finished simulated study.",
                file=root,
                found=fault,
                expected="what `ekbom simulate` wrote",
                mend="choose a new folder",
            ) from fault
        return cls(
            parse(text), root, size, int(seed), participants, regions, effects, len(sums) + 1
        )

    def joined(self) -> pd.DataFrame:
        """Return V_T by person and region, sides joined by volume.

        Returns
        -------
        pandas.DataFrame
            ``participant_id area VT VT_label VT_seen voxels``.
        """
        table = self.regions.assign(area=self.regions["region"].map(area_of))
        names = ["VT", "VT_label", "VT_seen"]
        parts = (
            table[names]
            .mul(table["voxels"], axis=0)
            .assign(
                participant_id=table["participant_id"], area=table["area"], voxels=table["voxels"]
            )
        )
        out = parts.groupby(["participant_id", "area"], sort=False).sum().reset_index()
        out[names] = out[names].div(out["voxels"], axis=0)
        return out


def area_of(region: str) -> str:
    """Return the name of a label without its side.

    Parameters
    ----------
    region : str
        ``"Left-Caudate"``.

    Returns
    -------
    str
        ``"caudate"``.
    """
    return region.split("-", 1)[-1].lower()


def table_sidecar(frame: pd.DataFrame) -> dict[str, Any]:
    """Return the JSON of a truth table.

    Parameters
    ----------
    frame : pandas.DataFrame
        With columns of :data:`COLUMNS`.

    Returns
    -------
    dict
        Description and unit of each column.
    """
    out: dict[str, Any] = {}
    for name in frame.columns:
        text, unit = COLUMNS[str(name)]
        out[str(name)] = {"Description": text} | ({} if unit == "n/a" else {"Units": unit})
    return out
