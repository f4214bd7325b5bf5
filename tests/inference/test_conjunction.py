"""Conjunctions against their definition, and the global null by simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage, stats

from ekbom.errors import Refused
from ekbom.inference import Settings
from ekbom.inference.conjunction import GlobalNull
from ekbom.inference.kinds import Ask, answer_kind
from ekbom.inference.onmaps import Grid
from ekbom.inference.rft import RandomField

TESTS = ("a - c", "b - c")


def _people(n: int = 10) -> pd.DataFrame:
    return pd.DataFrame({
        "participant": [f"s{i:02d}" for i in range(3 * n)], "arm": np.repeat(["a", "b", "c"], n),
        "x": np.tile(np.arange(n) - (n - 1) / 2, 3),
    })  # fmt: skip


def _y(v: int = 3, seed: int = 1) -> np.ndarray:
    y = np.random.default_rng(seed).normal(size=(30, v))
    y[:10, 0] += 3.0  # a only
    y[:20, 1] += 3.0  # a and b
    return y


def test_one_field_is_plain_random_field_theory() -> None:
    resels = np.array([1.0, 12.0, 60.0, 90.0])
    for tails in (1, 2):
        plain = RandomField("T", (20.0,), resels, 5000, tails)
        one = GlobalNull("T", (20.0,), 1, tails)
        for u in (2.0, 3.5, 5.0):
            assert one.expected(u, resels) == pytest.approx(float(plain.expected(u)), rel=1e-12)
            assert one.p(u) == pytest.approx(tails * stats.t.sf(u, 20), rel=1e-6)


def test_global_null_of_two_smooth_fields_has_the_expected_characteristic() -> None:
    rng = np.random.default_rng(2)
    side, fwhm = 32, 6.0
    sigma = fwhm / np.sqrt(8 * np.log(2))
    # the roughness that lattice differences see
    lattice = np.sqrt(4 * np.log(2) / (2 * (1 - np.exp(-1 / (4 * sigma**2)))))
    r = (side - 1) / lattice
    resels = np.array([1.0, 2 * r, r * r, 0.0])
    u, found = 1.3, []
    for _ in range(300):
        fields = []
        for _ in range(2):
            noise = ndimage.gaussian_filter(rng.standard_normal((side + 40,) * 2), sigma)
            fields.append(noise[20:-20, 20:-20])
        scale = 1 / (2 * np.sqrt(np.pi) * sigma)
        above = np.minimum(*fields) / scale > u
        points = above.sum()
        edges = (above[1:] & above[:-1]).sum() + (above[:, 1:] & above[:, :-1]).sum()
        faces = (above[1:, 1:] & above[1:, :-1] & above[:-1, 1:] & above[:-1, :-1]).sum()
        found.append(points - edges + faces)
    want = GlobalNull("Z", (), 2).expected(u, resels)
    error = np.std(found) / np.sqrt(300)
    assert np.mean(found) == pytest.approx(want, abs=4 * error + 0.03 * want)


def test_shared_variance_makes_the_exact_p_larger_than_the_product() -> None:
    rng = np.random.default_rng(3)
    z, s = rng.normal(size=(2, 400_000)), np.sqrt(rng.chisquare(12, 400_000) / 12)
    brute = (np.min(z / s, axis=0) > 1.5).mean()
    null = GlobalNull("T", (12.0,), 2)
    assert null.p(1.5) == pytest.approx(brute, abs=4 * np.sqrt(brute / 400_000))
    assert null.p(3.0) > 2 * stats.t.sf(3.0, 12) ** 2


@pytest.mark.parametrize("method", ["parametric", "max-t"])
def test_every_effect_must_be_there(method: str) -> None:
    asked = Ask("conjunction", "~ arm", tests=TESTS)
    how = Settings(method=method, permutations=400)
    got = answer_kind(asked, _y(), ["one", "both", "none"], "u", _people(), how, "V_T")
    frame = got.table("regions").frame.set_index("region")
    assert frame.loc["both", "p_conj"] < 0.05
    assert frame.loc["one", "p_conj"] > 0.2
    assert frame.loc["none", "p_conj"] > 0.05
    each = frame[["t_1", "t_2"]].to_numpy()
    same = (each > 0).all(axis=1) | (each < 0).all(axis=1)
    want = np.where(same, np.abs(each).min(axis=1), 0.0)
    assert frame["min_t"].abs().to_numpy() == pytest.approx(want)
    assert frame.loc["both", "p"] == pytest.approx(frame.loc["both", ["p_1", "p_2"]].max())
    assert "all of a - c, b - c are shown" in got.results


def test_global_null_needs_orthogonal_effects_and_says_how_little_it_shows() -> None:
    names = ["one", "both", "none"]
    with pytest.raises(Refused, match="independent"):
        answer_kind(Ask("conjunction", "~ arm", tests=TESTS, null="global"), _y(), names, "u",
                    _people(), Settings(), "V_T")  # fmt: skip
    asked = Ask("conjunction", "~ arm + x", tests=("a - c", "x"), null="global")
    y = _y()
    y[:, 1] += 0.8 * _people()["x"]
    got = answer_kind(asked, y, names, "u", _people(), Settings(), "V_T")
    assert "at least one of a - c, x (not which, nor all)" in got.results
    with pytest.raises(Refused, match="not by permutation"):
        answer_kind(asked, y, names, "u", _people(), Settings("max-t"), "V_T")


def test_over_a_map_the_peak_is_where_both_are() -> None:
    mask = np.ones((6, 6, 6), bool)
    y = np.random.default_rng(5).normal(size=(30, 216))
    y[:20, 50] += 4.0
    y[:10, 70] += 4.0
    got = answer_kind(Ask("conjunction", "~ arm", tests=TESTS), y, [], "u", _people(),
                      Settings("max-t", 300), "V_T", grid=Grid(mask, np.eye(4)))  # fmt: skip
    assert got.meta["significant"] == 1
    top = got.table("peaks").frame.iloc[0]
    assert (top["x"], top["y"], top["z"]) == tuple(np.argwhere(mask)[50].tolist())
