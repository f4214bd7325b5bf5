"""What was planted in a simulated study beside what `ekbom run` found in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ekbom.errors import Refused
from ekbom.virtual import StudyTruth

#: Level of every answer.
ALPHA = 0.05


@dataclass(frozen=True, eq=False)
class Comparison:
    """Truth and answers of one study.

    Parameters
    ----------
    severity : pandas.DataFrame
        One row a region of the family: ``region planted occupancy_per_irls
        slope_planted slope_seen slope slope_low slope_high r p_holm found``;
        slopes in mL/cm3 per IRLS point, the planted one as mean over the label
        before the scanner's blur, ``slope_seen`` after it.
    affective : pandas.DataFrame or None
        The same for affective pain, in its two regions.
    group : pandas.DataFrame
        ``region difference difference_low difference_high percent percent_low
        percent_high p_holm``.
    bias : pandas.DataFrame
        ``region VT_true VT_seen VT_found bias_percent bias_seen_percent``:
        means over persons; against the tissue in the label, and against what
        the scanner's blur leaves of it.
    peaks : dict of str to pandas.DataFrame
        Peak tables of voxel questions by name.
    """

    severity: pd.DataFrame
    affective: pd.DataFrame | None
    group: pd.DataFrame
    bias: pd.DataFrame
    peaks: dict[str, pd.DataFrame]

    @property
    def hits(self) -> int:
        """Regions with a planted slope that were found, with the planted sign."""
        rows = self.severity[self.severity["planted"] & self.severity["found"]]
        return int((np.sign(rows["slope"]) == np.sign(rows["slope_planted"])).sum())

    @property
    def planted(self) -> int:
        """Regions with a planted slope."""
        return int(self.severity["planted"].sum())

    @property
    def false(self) -> int:
        """Regions without a planted slope that came out significant."""
        return int((~self.severity["planted"] & self.severity["found"]).sum())

    @property
    def group_significant(self) -> bool:
        """Whether any region differs between the groups at Holm p < .05."""
        return bool((self.group["p_holm"] < ALPHA).any())


def compare(truth: StudyTruth, results: Path) -> Comparison:
    """Compare a simulated study with the output of its run.

    Parameters
    ----------
    truth : StudyTruth
        What was put in.
    results : Path
        Output folder of `ekbom run` with the study's own plan.

    Returns
    -------
    Comparison
        Tables to print or to gate.

    Raises
    ------
    Refused
        When an answer is not there.
    """
    effects = truth.effects.set_index("region")
    severity = _answer(results, "severity", "regions")
    rows = pd.DataFrame(
        {
            "region": severity["region"],
            "planted": effects.loc[severity["region"], "VT_per_irls"].to_numpy() != 0,
            "occupancy_per_irls": effects.loc[severity["region"], "occupancy_per_irls"].to_numpy(),
            "slope_planted": effects.loc[severity["region"], "VT_per_irls_label"].to_numpy(),
            "slope_seen": effects.loc[severity["region"], "VT_per_irls_seen"].to_numpy(),
            "slope": severity["effect"],
            "slope_low": severity["ci_low"],
            "slope_high": severity["ci_high"],
            "r": severity["r"],
            "p_holm": severity["p_holm"],
            "found": severity["p_holm"] < ALPHA,
        }
    )
    affective = None
    if _folder(results, "affective").is_dir():
        found = _answer(results, "affective", "regions")
        affective = pd.DataFrame(
            {
                "region": found["region"],
                "slope_planted": effects.loc[found["region"], "VT_per_affective_label"].to_numpy(),
                "slope": found["effect"],
                "slope_low": found["ci_low"],
                "slope_high": found["ci_high"],
                "p_holm": found["p_holm"],
                "found": found["p_holm"] < ALPHA,
            }
        )
    between = _answer(results, "group", "regions")
    group = between.rename(
        columns={
            "effect": "difference",
            "ci_low": "difference_low",
            "ci_high": "difference_high",
        }
    )[
        [
            "region",
            "difference",
            "difference_low",
            "difference_high",
            "percent",
            "percent_low",
            "percent_high",
            "p_holm",
        ]
    ]
    peaks = {
        name: _answer(results, name, "peaks", regions=False)
        for name in ("severityVoxels", "groupVoxels")
        if list(_folder(results, name).glob("desc-*_peaks.tsv"))
    }
    return Comparison(rows, affective, group, _bias(truth, results), peaks)


def _folder(results: Path, question: str) -> Path:
    return results / "group" / f"question-{question}"


def _answer(results: Path, question: str, table: str, *, regions: bool = True) -> pd.DataFrame:
    folder = _folder(results, question)
    files = sorted(
        p for p in folder.glob(f"desc-*_{table}.tsv") if "WithoutPermitted" not in p.name
    )
    if len(files) != 1:
        raise Refused(
            "The question has no answer in this output.",
            file=folder,
            found=", ".join(p.name for p in files) or "nothing",
            expected=f"one desc-<effect>_{table}.tsv",
            mend="run the study with its own plan first",
        )
    found = pd.read_csv(files[0], sep="\t", na_values="n/a")
    if regions:
        found["region"] = found["region"].str.split(":").str[-1]
    return found


def _bias(truth: StudyTruth, results: Path) -> pd.DataFrame:
    """Return mean V_T by region: in truth, as seen, as found."""
    measured = pd.read_csv(results / "measures.tsv", sep="\t", na_values="n/a")
    measured = measured[
        (measured["parameter"] == "VT") & measured["region"].str.startswith("sim:", na=False)
    ]
    measured = measured.assign(area=measured["region"].str.split(":").str[-1])
    both = measured.merge(truth.joined(), on=["participant_id", "area"], validate="many_to_one")
    means = both.groupby("area", sort=False)[["VT_label", "VT_seen", "value"]].mean()
    return pd.DataFrame(
        {
            "region": means.index,
            "VT_true": means["VT_label"].to_numpy(),
            "VT_seen": means["VT_seen"].to_numpy(),
            "VT_found": means["value"].to_numpy(),
            "bias_percent": (100 * (means["value"] / means["VT_label"] - 1)).to_numpy(),
            "bias_seen_percent": (100 * (means["value"] / means["VT_seen"] - 1)).to_numpy(),
        }
    )
