"""Outliers of quality control: who is listed, and where on the page."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ekbom.report import outliers
from ekbom.report.measurements import _scores
from ekbom.space.assess import robust_z


def rows(values, name="NMI", step="PET-to-T1w", unit="1"):
    return pd.DataFrame(
        {
            "participant_id": [f"sub-{k + 1:02d}" for k in range(len(values))],
            "session_id": np.nan,
            "measure": "space",
            "parameter": name,
            "value": values,
            "unit": unit,
            "method": step,
        }
    )


def test_those_apart_are_listed_first_by_distance():
    shift = [4.0, 5.0, 6.0, 5.5, 4.5, 40.0]
    overlap = [0.80, 0.81, 0.82, 0.79, 0.80, 0.60]
    frame = pd.concat([rows(overlap, "GM_Dice"), rows(shift, "shift", unit="mm")])
    found = outliers.table(frame)
    assert found["scan"].tolist() == ["sub-06", "sub-06"]
    for one in found.to_dict("records"):
        values = np.array(shift if one["number"] == "shift" else overlap)
        assert one["z"] == robust_z(values)[5]
    assert found["z"].abs().is_monotonic_decreasing
    assert found.set_index("number")["z"]["GM_Dice"] < -3.5
    grid = outliers.blocks(frame)[0].content
    assert "stand apart" in str(grid.caption)


def test_no_spread_or_too_few_list_nobody():
    same = rows([0.0, 0.0, 0.0, 0.0, 0.0, 9.0])  # most are equal: nothing to measure by
    assert outliers.table(same).empty
    assert outliers.blocks(rows([1.0, 2.0, 3.0, 99.0])) == []
    quiet = outliers.blocks(rows([1.0, 2.0, 3.0, 2.5, 1.5]))
    assert "No scan stands apart" in str(quiet[0].content)
    missing = rows([1.0, np.nan, 1.2, 1.1, 0.9, 0.95, 50.0])
    assert outliers.table(missing)["scan"].tolist() == ["sub-07"]


def test_only_quality_control_is_screened():
    frame = rows([1.0, 1.1, 0.9, 1.05, 0.95, 50.0])
    assert len(_scores(frame, "space").blocks) == 2
    assert len(_scores(frame.assign(measure="clinic"), "clinic").blocks) == 1
