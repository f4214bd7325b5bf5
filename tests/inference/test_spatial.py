"""Permutation of maps against direct enumeration with refits, and its tables."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage, stats

from ekbom.errors import Refused
from ekbom.inference import Settings, answer_regions, answer_voxels, lattice
from ekbom.inference.lattice import structure
from ekbom.inference.permute.spatial import Exchanged, permute_maps
from ekbom.inference.question import ask

from .test_tfce import brute, brute_clusters

AFFINE = np.diag([2.0, 2, 2, 1])
SHAPE = (5, 6, 4)
FORMING = 1.0


def _table(n1, n2):
    return pd.DataFrame(
        {
            "participant": [f"s{i:02d}" for i in range(n1 + n2)],
            "group": ["rls"] * n1 + ["control"] * n2,
        }
    )


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(3)
    mask = rng.random(SHAPE) < 0.8
    noise = np.stack([ndimage.gaussian_filter(rng.standard_normal(SHAPE), 0.8) for _ in range(10)])
    values = noise[:, mask] / noise.std() + 10
    values[:5, :20] += 1.0
    return mask, values


def _answer(values, mask, table, formula="~ group", test="rls - control", **more):
    settings = Settings("tfce", 100, forming=FORMING, **more)
    return answer_voxels(values, mask, AFFINE, "u", table, formula, test, settings)


@pytest.mark.parametrize("connectivity", [6, 26])
def test_two_groups_equal_every_regrouping_with_refits(small, connectivity):
    mask, values = small
    got = _answer(values, mask, _table(5, 5), connectivity=connectivity)
    nulls = {"t": [], "tfce": [], "extent": [], "mass": []}
    observed = None
    for members in itertools.combinations(range(10), 5):
        inside = np.isin(np.arange(10), members)
        t = stats.ttest_ind(values[inside], values[~inside]).statistic
        enhanced = brute(t.astype(np.float32).astype(float), mask, connectivity)
        if members == (0, 1, 2, 3, 4):
            observed = t, enhanced
        extent, mass = brute_clusters(t, mask, connectivity, FORMING)
        for key, value in zip(
            nulls, (np.abs(t).max(), np.abs(enhanced).max(), extent, mass), strict=True
        ):
            nulls[key].append(value)
    t, enhanced = observed
    null = got.table("null").frame
    assert len(null) == 252
    for key, values_ in nulls.items():
        np.testing.assert_allclose(np.sort(null[f"max_{key}"]), np.sort(values_), rtol=1e-5)
    maps = {m.parameter: m.values[mask] for m in got.maps}
    np.testing.assert_allclose(maps["stat-tfce"], enhanced, rtol=1e-4, atol=1e-6)
    for name, value, key in (
        ("pmap-fweTfce", np.abs(enhanced), "tfce"),
        ("pmap-fweMaxT", np.abs(t), "t"),
    ):
        p = (np.array(nulls[key])[:, None] >= value - 1e-5 * np.maximum(1, value)).mean(axis=0)
        np.testing.assert_allclose(10.0 ** -maps[name].astype(float), p, rtol=1e-5)
        assert p.min() >= 2 / 252  # the mirror regrouping is in the set
    clusters = got.table("clusters").frame
    for _, row in clusters.iterrows():
        p = (np.array(nulls["extent"]) >= row.k_vox - 1e-6).mean()
        assert row.p_extent == pytest.approx(p, abs=1e-12)
        p = (np.array(nulls["mass"]) >= row.mass - 1e-4).mean()
        assert row.p_mass == pytest.approx(p, abs=1e-12)
    assert got.meta["exhaustive"]


def test_sign_flips_of_six_equal_enumeration(small):
    mask, values = small
    y = values[:6] - 10.2
    table = _table(3, 3).drop(columns="group")
    got = _answer(y, mask, table, "~ 1", "intercept")
    most = []
    for signs in itertools.product((1, -1), repeat=6):
        t = stats.ttest_1samp(y * np.array(signs)[:, None], 0).statistic
        most.append(np.abs(brute(t.astype(np.float32).astype(float), mask, 26)).max())
    np.testing.assert_allclose(np.sort(got.table("null").frame.max_tfce), np.sort(most), rtol=1e-4)
    assert len(most) == 64


def test_tied_three_by_three_with_noise_counts_twentieths():
    rng = np.random.default_rng(4)
    mask = np.ones((3, 3, 2), bool)
    values = np.round(rng.standard_normal((6, 18)), 0) + 5
    noisy = (values * (1 + 1e-7 * rng.standard_normal(values.shape))).astype(np.float32)
    got = answer_voxels(
        noisy, mask, AFFINE, "u", _table(3, 3), "~ group", "rls - control",
        Settings("tfce", forming=1.0),
    )  # fmt: skip
    for name in ("pmap-fweTfce", "pmap-fweMaxT"):
        p = 10.0 ** -next(m for m in got.maps if m.parameter == name).values.astype(float)
        # the constant voxels that were dropped have p 1
        np.testing.assert_allclose(p * 20, np.round(p * 20), atol=1e-4)
        assert p.min() >= 2 / 20 - 1e-6


def test_threads_chunks_and_resume_give_the_same_bytes(small, monkeypatch):
    from ekbom.inference.permute import spatial

    monkeypatch.setattr(spatial, "CHUNK", 32)
    mask, values = small
    question = ask(_table(5, 5), "~ group", "rls - control", "u", Settings("tfce", 100))
    maps = Exchanged(values, question.model, question.settings)
    graph = lattice(mask)

    def run(**more):
        return permute_maps(maps, graph, question.settings, forming=FORMING, df=8, **more)

    plain = run()
    kept: dict[int, np.ndarray] = {}
    heard: list[int] = []
    first = run(kept=kept, tell=lambda done, whole: heard.append(done))
    assert heard[-1] == 252
    for start in list(kept)[3:]:
        del kept[start]  # what an interrupted run would not have
    kept_before = dict(kept)
    again = run(kept=kept, workers=2)
    for key, null in plain.nulls.items():
        assert null.tobytes() == first.nulls[key].tobytes() == again.nulls[key].tobytes()
    assert all(kept[k] is v for k, v in kept_before.items())
    monkeypatch.setattr(spatial, "BLOCK", 8)
    assert run().nulls["tfce"].tobytes() == plain.nulls["tfce"].tobytes()


def test_z_and_t_differ_and_both_are_told(small):
    mask, values = small
    table = _table(5, 5)
    t, z = _answer(values, mask, table), _answer(values, mask, table, on="z")
    assert t.table("null").frame.max_tfce[0] > z.table("null").frame.max_tfce[0]
    assert set(z.table("peaks").frame.enhanced_on) == {"z"}
    assert set(t.table("peaks").frame.enhanced_on) == {"t"}
    assert t.meta["tfce"]["on"] == "t"
    # a forming threshold in t stands for the same voxels in z
    np.testing.assert_array_equal(
        t.table("null").frame.max_extent, z.table("null").frame.max_extent
    )


def test_f_map_is_permuted_with_its_own_threshold(small):
    mask, values = small
    table = _table(5, 5)
    f = answer_voxels(values, mask, AFFINE, "u", table, "~ group", "group", Settings("tfce", H=1.0))
    assert f.meta["statistic"] == "F"
    assert f.meta["forming_threshold"] == pytest.approx(stats.f.isf(0.001, 1, 8))
    t = answer_voxels(
        values, mask, AFFINE, "u", table, "~ group", "rls - control", Settings("tfce")
    )
    np.testing.assert_allclose(
        f.table("null").frame.max_t, t.table("null").frame.max_t ** 2, rtol=1e-5
    )
    rft = f.table("peaks").frame
    if "p_rft_cluster" in rft:
        assert rft.p_rft_cluster.isna().all()


def test_volumes_have_their_own_maximum(small):
    mask, values = small
    box = {"name": "box", "box": [[0, 0, 0], [4, 10, 6]]}
    ball = {"name": "ball", "centre": [8, 8, 4], "radius": 3}
    drawn = np.zeros(SHAPE, bool)
    drawn[2:4] = True
    volumes = (box, ball, {"name": "drawn", "mask": "drawn.nii.gz", "post_hoc": True})
    settings = Settings("tfce", 300, forming=FORMING, volumes=volumes)
    got = answer_voxels(
        values, mask, AFFINE, "u", _table(5, 5), "~ group", "rls - control", settings,
        volume_images={"drawn": drawn},
    )  # fmt: skip
    frame = got.table("volumes").frame
    assert frame.volume.tolist() == ["box", "ball", "drawn"]
    assert frame.post_hoc.tolist() == [False, False, True]
    place = np.argwhere(mask)
    inside = (place <= [2, 5, 3]).all(axis=1)
    assert frame.k_vox[0] == inside.sum()
    nulls = []
    for members in itertools.combinations(range(10), 5):
        rows = np.isin(np.arange(10), members)
        t = stats.ttest_ind(values[rows][:, inside], values[~rows][:, inside]).statistic
        nulls.append(np.abs(t).max())
    observed = abs(frame["T"][0])
    assert observed == pytest.approx(nulls[0])
    p = (np.array(nulls) >= observed - 1e-5).mean()
    assert frame.p_maxT_svc[0] == pytest.approx(p, abs=1e-12)
    assert (frame.p_maxT_svc_holm >= frame.p_maxT_svc).all()
    assert frame.p_maxT_svc[0] <= got.table("peaks").frame.p_maxT.min() + 1e-12
    assert "declared after the data" in got.results
    with pytest.raises(Refused, match="search volume"):
        Settings(volumes=({"name": "x"},))
    with pytest.raises(Refused, match="search volume"):
        _answer(
            values,
            mask,
            _table(5, 5),
            volumes=({"name": "far", "centre": [900, 0, 0], "radius": 2},),
        )


def test_c_shaped_cluster_is_placed_inside():
    mask = np.ones((9, 9, 3), bool)
    shape = np.zeros(mask.shape)
    shape[1:8, 1, 1] = shape[1, 1:8, 1] = shape[7, 1:8, 1] = 4.0
    rng = np.random.default_rng(1)
    values = rng.standard_normal((12, mask.sum())) * 0.3 + shape[mask]
    table = _table(6, 6).drop(columns="group")
    got = answer_voxels(
        values,
        mask,
        np.eye(4),
        "u",
        table,
        "~ 1",
        "intercept",
        Settings("parametric", forming=10.0),
    )
    row = got.table("clusters").frame.iloc[0]
    assert shape[int(row.x), int(row.y), int(row.z)] > 0
    assert row.k_vox == (shape > 0).sum()


def test_regions_have_no_neighbours():
    with pytest.raises(Refused, match="regions"):
        answer_regions(
            np.random.default_rng(0).normal(size=(6, 2)), ["a", "b"], "u", _table(3, 3), "~ group",
            "rls - control", Settings("tfce"),
        )  # fmt: skip


def test_structures_match_the_lattice():
    for connectivity in (6, 18, 26):
        assert structure(connectivity).sum() == connectivity + 1


def test_pairs_are_sign_flips_of_their_differences(small):
    mask, values = small
    table = pd.DataFrame(
        {
            "participant": np.repeat([f"s{i}" for i in range(5)], 2),
            "session": ["one", "two"] * 5,
        }
    )
    got = _answer(values, mask, table, "~ session + participant", "session: two - one")
    change = values[1::2] - values[::2]
    most = []
    for signs in itertools.product((1, -1), repeat=5):
        t = stats.ttest_1samp(change * np.array(signs)[:, None], 0).statistic
        most.append(np.abs(brute(t.astype(np.float32).astype(float), mask, 26)).max())
    null = got.table("null").frame
    assert len(null) == 32
    np.testing.assert_allclose(np.sort(null.max_tfce), np.sort(most), rtol=1e-4)


def test_p_ignores_scale_and_nuisance(small):
    """Freedman-Lane: nothing changes when outcomes are scaled, or any nuisance is added."""
    mask, values = small
    rng = np.random.default_rng(9)
    table = _table(5, 5).assign(age=rng.normal(50, 8, 10))
    moved = 3.0 * (values + np.outer(table.age, rng.normal(size=values.shape[1])))
    one, two = (
        answer_voxels(
            y, mask, AFFINE, "u", table, "~ group + age", "rls - control",
            Settings("tfce", 300, forming=FORMING, seed=2),
        )
        for y in (values, moved)
    )  # fmt: skip
    for key in ("max_t", "max_tfce", "max_mass"):
        np.testing.assert_allclose(
            one.table("null").frame[key], two.table("null").frame[key], rtol=2e-5
        )
    assert one.meta["permutations"] == 300
