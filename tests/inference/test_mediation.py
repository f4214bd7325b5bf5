"""Indirect paths against least squares done twice, and brute-force permutation."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ekbom.errors import Refused
from ekbom.inference import Settings
from ekbom.inference.kinds import Ask, answer_kind
from ekbom.inference.mediation import detectable, mediate, paths_of
from ekbom.inference.onmaps import Grid

CAUSAL = ("cause of", "causes", "caused", "effect of", "leads to", "because of", "due to",
          "drives", "explains")  # fmt: skip


def _slope(y: np.ndarray, *columns: np.ndarray) -> tuple[float, float]:
    x = np.column_stack([np.ones(len(y)), *columns])
    beta, *_ = np.linalg.lstsq(x, y, rcond=None)
    e = y - x @ beta
    s2 = e @ e / (len(y) - x.shape[1])
    return beta[1], beta[1] / np.sqrt(s2 * np.linalg.inv(x.T @ x)[1, 1])


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_paths_are_those_of_least_squares_and_ab_is_c_less_direct(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, m, y, z = rng.normal(size=(4, 20))
    m, y = m + 0.5 * x + z, y + 0.4 * m + 0.2 * x - z
    got = paths_of(x, m, y, z[:, None])
    assert (got.a, got.t_a) == pytest.approx(_slope(m, x, z))
    assert (got.b, got.t_b) == pytest.approx(_slope(y, m, x, z))
    assert (got.c, got.t_c) == pytest.approx(_slope(y, x, z))
    assert (got.direct, got.t_direct) == pytest.approx(_slope(y, x, m, z))
    assert got.indirect == pytest.approx(got.c - got.direct, abs=1e-12)


@pytest.mark.parametrize("place", ["x", "m", "y"])
def test_many_columns_equal_one_at_a_time(place: str) -> None:
    rng = np.random.default_rng(1)
    base = dict(zip("xmy", rng.normal(size=(3, 15)), strict=True))
    wide = rng.normal(size=(15, 4))
    many = paths_of(**{**base, place: wide})
    for j in range(4):
        one = paths_of(**{**base, place: wide[:, j]})
        for name in ("a", "b", "c", "direct", "t_a", "t_b", "t_c", "t_direct"):
            whole = np.broadcast_to(getattr(many, name), (4,))
            assert whole[j] == pytest.approx(getattr(one, name), rel=1e-9)


def test_bootstrap_equals_refitting_the_same_draws() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=25)
    m = 0.6 * x + rng.normal(size=25)
    y = 0.5 * m + rng.normal(size=25)
    got = mediate(x, m, y, draws=400, seed=3)
    counts = np.random.default_rng([3, 1]).multinomial(25, np.full(25, 1 / 25), 400)
    brute = []
    for row in counts:
        take = np.repeat(np.arange(25), row)
        brute.append(_slope(m[take], x[take])[0] * _slope(y[take], m[take], x[take])[0])
    assert got.percentile == pytest.approx(tuple(np.quantile(brute, [0.025, 0.975])), rel=1e-7)
    assert got.se == pytest.approx(np.std(brute, ddof=1), rel=1e-7)
    low, high = got.bca
    assert low < float(got.paths.indirect) < high


def _brute(y: np.ndarray, x: np.ndarray, others: list[np.ndarray]) -> float:
    """Share of all orders whose Freedman-Lane |t| reaches that of the data."""
    z = np.column_stack([np.ones(len(y)), *others])
    hat = z @ np.linalg.pinv(z)
    fitted, rest = hat @ y, y - hat @ y
    ts = []
    for order in itertools.permutations(range(len(y))):
        ts.append(abs(_slope(fitted + rest[list(order)], x, *others)[1]))
    return float((np.array(ts) >= ts[0] - 1e-9).mean())


def test_joint_significance_equals_all_orders_by_hand() -> None:
    # one covariate more would be too many orders; 7! = 5,040 are all used
    rng = np.random.default_rng(4)
    x, m, y = rng.normal(size=(3, 8))
    m, y = m + x, y + m
    table = pd.DataFrame(
        {"participant": [f"s{i}" for i in range(8)], "iron": x, "d2": m, "irls": y}
    )
    table = table.iloc[:8]
    asked = Ask("mediation", path="iron -> d2 -> score")
    table["score"] = table.pop("irls")
    got = answer_kind(
        asked, m[:, None], ["d2"], "1", table, Settings(permutations=40_320, bootstrap=100), "d2"
    )
    row = got.table("regions").frame.iloc[0]
    assert got.meta["tests"]["exhaustive"]
    assert row["p_a"] == pytest.approx(_brute(m, x, []), abs=1e-12)


def _table(n: int = 40, seed: int = 5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    m = 0.8 * x + rng.normal(size=n)
    return pd.DataFrame({
        "participant": [f"s{i:02d}" for i in range(n)], "iron": x, "d2": m,
        "score": m + rng.normal(size=n), "age": rng.normal(50, 9, n),
    })  # fmt: skip


def test_words_hold_no_causal_claim_and_tell_the_power() -> None:
    table = _table()
    asked = Ask("mediation", path="iron -> d2 -> score", covariates=("age",))
    y = table[["d2"]].to_numpy()
    how = Settings(permutations=500, bootstrap=300)
    got = answer_kind(asked, y, ["d2"], "1", table, how, "d2")
    said = (got.methods + " " + got.results).lower()
    assert not [word for word in CAUSAL if word in said]
    assert "does not show which comes first" in said
    assert "power .8" in said
    assert "fewer than 30" not in said
    few = answer_kind(asked, y[:20], ["d2"], "1", table[:20], how, "d2")
    assert any("fewer than 30" in w for w in few.meta["warnings"])


def test_a_map_gives_the_peak_where_the_path_was_put() -> None:
    table = _table(60)
    rng = np.random.default_rng(6)
    mask = np.ones((6, 6, 6), bool)
    maps = rng.normal(size=(60, 216))
    maps[:, 100] = table["d2"]
    asked = Ask("mediation", path="iron -> pet.BP -> score")
    got = answer_kind(
        asked, maps, [], "1", table, Settings(permutations=300, bootstrap=200), "BP",
        grid=Grid(mask, np.eye(4)), asked_as="pet.BP",
    )  # fmt: skip
    top = got.table("peaks").frame.iloc[0]
    assert (top["x"], top["y"], top["z"]) == tuple(np.argwhere(mask)[100].tolist())
    assert top["p_joint"] == max(top["p_a"], top["p_b"]) <= 0.05
    stat = next(m for m in got.maps if m.name.startswith("stat-joint")).values[mask]
    assert abs(stat[100]) == pytest.approx(min(abs(top["t_a"]), abs(top["t_b"])), rel=1e-5)
    with pytest.raises(Refused, match="may not be a map"):
        answer_kind(Ask("mediation", path="pet.BP -> iron -> score"), maps, [], "1", table,
                    Settings(), "BP", grid=Grid(mask, np.eye(4)), asked_as="pet.BP")  # fmt: skip


def test_what_is_wrong_with_a_path_is_said_by_name() -> None:
    table = _table()
    y = table[["d2"]].to_numpy()
    for path, word in (
        ("iron -> d2", "three different"),
        ("iron -> score -> age", "does not hold the outcome"),
        ("irn -> d2 -> score", "irn"),
    ):
        with pytest.raises((Refused, KeyError), match=word):
            answer_kind(Ask("mediation", path=path), y, ["d2"], "1", table, Settings(), "d2")


def test_detectable_paths_are_found_with_that_power() -> None:
    n = 50
    r = detectable(n, 0, 0.8)
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(1500):
        x = rng.normal(size=n)
        m = r * x + np.sqrt(1 - r * r) * rng.normal(size=n)
        y = r / np.sqrt(1 - r * r) * (m - r * x) / np.sqrt(1 - r * r) + rng.normal(size=n)
        y = y + 0.3 * x
        got = paths_of(x, m, y)
        hits += abs(got.t_a) > 2.0106 and abs(got.t_b) > 2.0117
    assert hits / 1500 == pytest.approx(0.8, abs=0.035)
