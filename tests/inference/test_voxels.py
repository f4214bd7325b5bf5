"""Maps and peaks."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.ndimage import gaussian_filter

from ekbom.errors import Refused
from ekbom.inference import Settings, answer_regions, answer_voxels
from ekbom.inference.clusters import clusters

AFFINE = np.array([[-4.0, 0, 0, 40], [0, 4, 0, -40], [0, 0, 4, -30], [0, 0, 0, 1]])
MAXT = Settings("max-t", 300, seed=1)


@pytest.fixture(scope="module")
def study():
    rng = np.random.default_rng(12)
    shape = (14, 15, 13)
    mask = np.zeros(shape, bool)
    mask[1:-1, 1:-1, 1:-1] = True
    irls = rng.uniform(10, 40, 15)
    table = pd.DataFrame({"participant": [f"sub-{i:02d}" for i in range(15)], "irls": irls})
    noise = np.stack([gaussian_filter(rng.normal(size=shape), 1.2) for _ in irls])
    volumes = 20 + 2 * noise / noise.std()
    volumes[:, 5:8, 6:9, 6:9] -= 0.4 * (irls[:, None, None, None] - irls.mean())
    return mask, volumes[:, mask].astype(np.float32), table


@pytest.fixture(scope="module")
def answer(study):
    mask, values, table = study
    return answer_voxels(
        values, mask, AFFINE, "mL/cm3", table, "~ irls", "irls", MAXT,
        label=lambda x, y, z: f"at {x:.0f}", space="MNI152NLin2009aSym",
    )  # fmt: skip


def _map(answer, name):
    return next(m for m in answer.maps if m.name == f"{name}_statmap")


def test_maps_are_voxelwise_scipy(study, answer):
    mask, values, table = study
    for index in (0, 100, 999):
        truth = stats.linregress(table.irls, values[:, index].astype(float))
        place = tuple(np.argwhere(mask)[index])
        assert _map(answer, "beta").values[place] == pytest.approx(truth.slope, rel=1e-5)
        assert _map(answer, "se").values[place] == pytest.approx(truth.stderr, rel=1e-5)
        assert _map(answer, "stat-t").values[place] == pytest.approx(
            truth.slope / truth.stderr, rel=1e-4
        )
        p = stats.norm.sf(abs(_map(answer, "stat-z").values[place])) * 2
        assert p == pytest.approx(truth.pvalue, rel=1e-3)
        bonferroni = min(truth.pvalue * values.shape[1], 1)
        assert 10 ** -_map(answer, "pmap-fweBonferroni").values[place] == pytest.approx(
            bonferroni, rel=1e-3
        )
    for made in answer.maps:
        assert made.values.dtype == np.float32
        assert (made.values[~mask] == 0).all()
        assert np.isfinite(made.values).all()
        assert made.space == "MNI152NLin2009aSym"
        assert made.unit


def test_voxels_and_regions_are_the_same_code(study, answer):
    mask, values, table = study
    few = slice(200, 230)
    regions = answer_regions(
        values[:, few], [f"v{i}" for i in range(30)], "mL/cm3", table, "~ irls", "irls", MAXT
    )
    np.testing.assert_allclose(
        regions.table("regions").frame.t, _map(answer, "stat-t").values[mask][few], rtol=1e-6
    )


def test_planted_peak_is_found_where_it_was_planted(answer):
    frame = answer.table("peaks").frame
    best = frame.iloc[0]
    x, y, z = np.linalg.inv(AFFINE)[:3, :3] @ (
        best[["x", "y", "z"]].to_numpy(float) - AFFINE[:3, 3]
    )
    assert 5 <= x <= 7
    assert 6 <= y <= 8
    assert 6 <= z <= 8
    assert best["T"] < 0
    assert best.sign == -1
    assert best.p_maxT <= 0.05
    assert best.label == f"at {best.x:.0f}"
    assert best.effect == pytest.approx(-0.4, abs=0.15)
    assert best.r < -0.8
    assert "significant at 0.05" in answer.results


def test_peak_rows_agree_with_maps_and_with_each_other(study, answer):
    mask, values, _ = study
    frame = answer.table("peaks").frame
    inverse = np.linalg.inv(AFFINE)
    t, p = _map(answer, "stat-t").values, _map(answer, "pmap-fweMaxT").values
    for _, row in frame.iterrows():
        at = inverse @ np.array([row.x, row.y, row.z, 1])
        place = tuple(np.round(at[:3]).astype(int))
        assert t[place] == pytest.approx(row["T"], rel=1e-6)
        assert 10 ** -p[place] == pytest.approx(row.p_maxT, rel=1e-5)
        column = answer.table("values").frame[f"peak-{row.cluster}.{row.peak}"]
        index = int(np.flatnonzero((np.argwhere(mask) == place).all(1))[0])
        np.testing.assert_array_equal(column, values[:, index])
    for table in answer.tables:
        assert list(table.frame.columns) == list(table.columns)
    assert frame.selected.all()
    first = frame[frame.peak == 1]
    assert (first["T"].abs().diff().dropna() <= 0).all()


def test_threads_and_repeats_give_the_same_bytes(study, answer):
    mask, values, table = study
    for workers in (1, 2):
        again = answer_voxels(
            values, mask, AFFINE, "mL/cm3", table, "~ irls", "irls", MAXT,
            label=lambda x, y, z: f"at {x:.0f}", space="MNI152NLin2009aSym", workers=workers,
        )  # fmt: skip
        for one, two in zip(answer.maps, again.maps, strict=True):
            assert one.values.tobytes() == two.values.tobytes()
        assert again.results == answer.results
        for one, two in zip(answer.tables, again.tables, strict=True):
            assert one.frame.to_csv() == two.frame.to_csv()


def test_voxels_that_cannot_be_tested_are_counted_and_left_at_zero(study):
    mask, values, table = study
    values = values.copy()
    values[2, 0] = np.nan
    values[3, 1] = 0
    values[:, 2] = 5
    got = answer_voxels(values, mask, AFFINE, "u", table, "~ irls", "irls", Settings())
    assert got.meta["mask"] == {
        "given": values.shape[1], "not_finite": 1, "zero": 1, "constant": 1,
        "used": values.shape[1] - 3,
    }  # fmt: skip
    assert (_map(got, "mask").values[mask][:3] == 0).all()
    assert "1 0 in somebody" in got.methods
    kept = answer_voxels(
        values, mask, AFFINE, "u", table, "~ irls", "irls", Settings(), zero="keep"
    )
    assert kept.meta["mask"]["zero"] == 0
    assert kept.meta["mask"]["used"] == values.shape[1] - 2
    with pytest.raises(Refused, match="No voxel"):
        answer_voxels(values * np.nan, mask, AFFINE, "u", table, "~ irls", "irls", Settings())


def test_bonferroni_threshold_of_the_words():
    """235,375 voxels, two-sided, by the distribution itself."""
    from ekbom.inference.voxels import bonferroni_threshold

    class Fitted:
        kind, df, df1 = "t", 25, 1

    limit = bonferroni_threshold(Fitted(), Settings(sign="positive"), 235_375)
    assert limit == pytest.approx(6.77, abs=0.005)
    Fitted.df = 12
    limit = bonferroni_threshold(Fitted(), Settings(sign="positive"), 235_375)
    assert limit == pytest.approx(9.84, abs=0.005)
    assert limit / math.sqrt(limit**2 + 12) == pytest.approx(0.943, abs=0.001)


def test_nothing_above_the_forming_threshold_still_shows_the_largest(rng):
    mask = np.ones((4, 4, 4), bool)
    table = pd.DataFrame({"participant": list("abcdefgh"), "irls": np.arange(8.0)})
    got = answer_voxels(
        rng.normal(10, 1, (8, 64)), mask, AFFINE, "u", table, "~ irls", "irls",
        Settings(forming_p=1e-9),
    )  # fmt: skip
    frame = got.table("peaks").frame
    assert frame.cluster.tolist() == [0, 0]
    assert frame["T"].max() == pytest.approx(_map(got, "stat-t").values.max(), rel=1e-6)
    assert frame["T"].min() == pytest.approx(_map(got, "stat-t").values.min(), rel=1e-6)
    assert "no voxel was significant" in got.results


def _stat(shape, points):
    stat = np.zeros(shape)
    for place, value in points.items():
        stat[place] = value
    return stat.ravel()


def test_clusters_by_corner_and_by_sign():
    mask = np.ones((5, 5, 5), bool)
    stat = _stat((5, 5, 5), {(0, 0, 0): 5, (1, 1, 1): 4, (2, 2, 2): -6, (4, 4, 4): 4.5})
    got = clusters(stat, mask, np.diag([3.0, 3, 3, 1]), 3.0)
    assert [(c.sign, c.size) for c in got] == [(-1, 1), (1, 2), (1, 1)]
    one = clusters(stat, mask, np.diag([3.0, 3, 3, 1]), 3.0, signs=(1,))
    assert [c.size for c in one] == [2, 1]
    mask[1, 1, 1] = False
    cut = clusters(np.delete(stat, 31), mask, np.diag([3.0, 3, 3, 1]), 3.0, signs=(1,))
    assert [c.size for c in cut] == [1, 1]


def test_peaks_lie_more_than_eight_mm_apart_and_at_most_three():
    mask = np.ones((12, 1, 1), bool)
    values = [9, 4, 8, 4, 7, 4, 6, 4, 5, 4, 4.5, 4]  # peaks every 2 voxels
    got = clusters(np.array(values, float), mask, np.diag([4.0, 4, 4, 1]), 3.0)
    assert len(got) == 1
    # 8 mm apart exactly is not more than 8 mm
    assert got[0].peaks == (0, 4, 8)
    far = clusters(np.array(values, float), mask, np.diag([4.1, 4, 4, 1]), 3.0)
    assert far[0].peaks == (0, 2, 4)


@pytest.mark.real_data
def test_pain21_one_sample_t_runs_as_published_by_plain_least_squares(shared_data):
    """Range of t over the given mask, zeros kept: independent earlier computation."""
    import nibabel as nib

    folder = shared_data / "pain21"
    images = sorted(p for p in folder.rglob("*.nii.gz") if "mask" not in p.name.lower())
    masks = [p for p in folder.rglob("*.nii.gz") if "mask" in p.name.lower()]
    if len(images) != 21 or len(masks) != 1:
        pytest.skip(f"pain21 holds {len(images)} images and {len(masks)} masks")
    mask = np.asarray(nib.load(masks[0]).dataobj).squeeze() > 0
    values = np.stack([np.asarray(nib.load(p).dataobj, np.float32).squeeze()[mask] for p in images])
    table = pd.DataFrame({"participant": [p.name for p in images]})
    affine = nib.load(masks[0]).affine
    got = answer_voxels(
        values, mask, affine, "1", table, "~ 1", "intercept", Settings(), zero="keep"
    )
    t = _map(got, "stat-t").values[mask]
    assert int(mask.sum()) == 259_353
    assert t.min() == pytest.approx(-3.961, abs=0.001)
    assert t.max() == pytest.approx(8.074, abs=0.001)
    dropped = answer_voxels(values, mask, affine, "1", table, "~ 1", "intercept", Settings())
    assert dropped.meta["mask"]["zero"] > 0
    assert dropped.meta["mask"]["used"] < got.meta["mask"]["used"]
