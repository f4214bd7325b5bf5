"""Random-field p in the tables of an answer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.ndimage import gaussian_filter

from ekbom.errors import Refused
from ekbom.inference import Settings, answer_voxels
from ekbom.inference.rft import RandomField

SHAPE = (20, 22, 18)
AFFINE = np.diag([2.0, 2, 2, 1])
MASK = np.ones(SHAPE, bool)


def _study(n, width, seed=1, effect=1.6):
    rng = np.random.default_rng(seed)
    irls = rng.uniform(10, 40, n)
    maps = np.stack([gaussian_filter(rng.standard_normal(SHAPE), width / 2.3548) for _ in range(n)])
    maps = 20 + maps / maps.std()
    z = (irls - irls.mean()) / irls.std()
    maps[:, 8:12, 9:13, 7:11] -= effect * z[:, None, None, None]
    table = pd.DataFrame({"participant": [f"s{i:02d}" for i in range(n)], "irls": irls})
    return maps[:, MASK].astype(np.float32), table


def _ask(values, table, **more):
    return answer_voxels(values, MASK, AFFINE, "mL/cm3", table, "~ irls", "irls", Settings(**more))


def test_every_row_has_its_field_p_and_the_rule():
    values, table = _study(40, 6)
    got = _ask(values, table, method="rft")
    about = got.meta["field"]
    frame = got.table("peaks").frame
    space = RandomField("T", (38.0,), np.array(about["resels"]), MASK.sum(), tails=2)
    for _, row in frame.iterrows():
        p, rule = space.p_peak(abs(row["T"]))
        assert row.p_rft_peak == pytest.approx(p)
        assert row.rule == rule
        assert row.p_rft_peak <= row.p_bonf + 1e-12
        forming = got.meta["forming_threshold"]
        assert row.p_rft_cluster == pytest.approx(space.p_cluster(row.k_rpv, forming))
        assert row.p_rft_cluster_fwhm == pytest.approx(space.p_cluster(row.k_resels, forming))
        assert row.k_resels == pytest.approx(row.k_vox / np.prod(about["fwhm_vox"]))
        assert 0 <= row.p_fdr_peak <= 1
        assert row.p_fdr_cluster >= 0
    assert frame.iloc[0].p_rft_peak < 0.05
    assert "random field" in got.results
    clusters = got.table("clusters")
    mean = float(space.expected(forming))
    assert clusters.meta["expected_clusters"] == pytest.approx(mean)
    assert clusters.meta["p_set"] == pytest.approx(stats.poisson.sf(len(clusters.frame) - 1, mean))
    # smooth maps and many people: the field asks for less than Bonferroni
    assert about["rule"] == "RF"
    assert about["threshold"] < about["threshold_bonferroni"]


def test_few_people_bonferroni_wins_and_the_column_says_so():
    values, table = _study(8, 3.2, effect=5.0)
    got = _ask(values, table)
    about = got.meta["field"]
    assert about["rule"] == "Bonferroni"
    assert about["threshold"] < about["threshold_rf"]
    assert got.table("peaks").frame.iloc[0].rule == "Bonferroni"
    assert any("degrees of freedom" in w for w in got.meta["warnings"])
    assert "|r|" in got.results


def test_rough_maps_are_told_and_refused():
    values, table = _study(20, 2.3, effect=0.0)
    rough = _ask(values, table)
    assert any("under 3" in w for w in rough.meta["warnings"])
    assert rough.meta["field"]["used"]
    rng = np.random.default_rng(0)
    white = rng.standard_normal(values.shape) + 20
    got = _ask(white, table)
    assert not got.meta["field"]["used"]
    assert "p_rft_peak" not in got.table("peaks").frame
    assert "Random-field theory was not used" in got.methods
    with pytest.raises(Refused, match="Random-field"):
        _ask(white, table, method="rft")


def test_forming_above_a_thousandth_warns():
    values, table = _study(20, 4, effect=0.0)
    assert any("Eklund" in w for w in _ask(values, table, forming_p=0.01).meta["warnings"])
    assert not any("Eklund" in w for w in _ask(values, table).meta["warnings"])


def test_spm_preset_keeps_its_smoothness():
    values, table = _study(12, 4)
    one, two = _ask(values, table), _ask(values, table, preset="spm")
    ratio = np.array(two.meta["field"]["fwhm_vox"]) / np.array(one.meta["field"]["fwhm_vox"])
    np.testing.assert_allclose(ratio, np.sqrt(8 / 9), rtol=1e-6)
    assert two.meta["field"]["convention"] == "spm"
