"""The whole regional study in memory is the one that `simulate --rois-only` writes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ekbom import virtual
from ekbom.validate.pattern import SIX, bias_and_coverage, recover


def test_the_study_in_memory_is_the_one_on_disk_and_its_estimates_hold(tmp_path):
    design = virtual.load("smoke")
    table = recover(design, 3, draws=10)
    made = virtual.make(design, tmp_path / "s", size="rois", seed=3)
    joined = made.joined().pivot_table(index="participant_id", columns="area", values="VT_seen")
    for area in SIX:
        np.testing.assert_allclose(table[f"true_{area}"], joined[area], rtol=1e-6)
        ratio = table[f"VT_{area}"] / table[f"true_{area}"]
        assert ((ratio > 0.85) & (ratio < 1.1)).all()
    scores = pd.read_csv(made.root / "phenotype/irls.tsv", sep="\t")["irls_total"]
    np.testing.assert_array_equal(table["irls"], scores)
    bias, covered, wide, asked = bias_and_coverage(table)
    assert -10 < bias < 3
    assert asked == 24
    assert 0 <= covered <= wide <= 24
    # the error of the blood can only widen an interval
    for area in SIX:
        assert (table[f"wide_{area}"] >= (table[f"high_{area}"] - table[f"low_{area}"]) / 2).all()


def test_bias_and_coverage_by_hand():
    columns = {}
    for area in SIX:
        columns |= {f"VT_{area}": [11.0], f"true_{area}": [10.0]}
        columns |= {f"low_{area}": [10.5 if area == "insula" else 9.0], f"high_{area}": [12.0]}
        columns |= {f"wide_{area}": [0.5 if area in ("insula", "caudate") else 1.5]}
    bias, covered, wide, asked = bias_and_coverage(pd.DataFrame(columns))
    assert (round(bias, 9), covered, wide, asked) == (10.0, 5, 4, 6)
