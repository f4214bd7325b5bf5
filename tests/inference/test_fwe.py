"""Error rates in null studies under fixed seeds: gates are binomial 99.9 % ranges."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ekbom.inference import Settings, build_design, effect, effect_sizes, fit, model, permute

STUDIES = 400


def _gate(alpha: float) -> tuple[int, int]:
    return int(stats.binom.ppf(0.0005, STUDIES, alpha)), int(
        stats.binom.ppf(0.9995, STUDIES, alpha)
    )


def _made(formula, table, test):
    design = build_design(formula, table)
    return model(design, effect(design, test))


@pytest.mark.parametrize("noise", ["normal", "skewed"])
def test_max_t_holds_the_family_error(noise):
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        {"participant": [f"s{i:02d}" for i in range(13)], "group": ["rls"] * 7 + ["control"] * 6}
    )
    made = _made("~ group", table, "rls - control")
    settings = Settings("max-t", 200)  # all C(13, 6) = 1716
    mix = np.linalg.cholesky(0.6 * np.ones((8, 8)) + 0.4 * np.eye(8))
    hits = 0
    for _ in range(STUDIES):
        y = rng.normal(size=(13, 8)) @ mix.T
        if noise == "skewed":
            y = np.exp(y)
        hits += permute(y, made, settings).p_corrected.min() <= 0.05
    low, high = _gate(0.05)
    assert low <= hits <= high


def test_freedman_lane_with_a_strong_nuisance():
    """Nuisance correlated .8 with the tested score and strongly with the outcome."""
    rng = np.random.default_rng(2)
    n = 15
    settings = Settings("max-t", 199, seed=3)
    hits = 0
    for _ in range(STUDIES):
        age = rng.normal(size=n)
        score = 0.8 * age + 0.6 * rng.normal(size=n)
        table = pd.DataFrame(
            {"participant": [f"s{i:02d}" for i in range(n)], "score": score, "age": age}
        )
        y = 3 * age[:, None] + rng.normal(size=(n, 4))
        hits += (
            permute(y, _made("~ score + age", table, "score"), settings).p_corrected.min() <= 0.05
        )
    low, high = _gate(0.05)
    assert low <= hits <= high


def test_intervals_cover():
    """Raw effect, g and r of a true effect: 95 % intervals cover 95 %, of 400."""
    rng = np.random.default_rng(4)
    n1, n2, delta, rho = 15, 12, 0.8, 0.6
    two = pd.DataFrame(
        {
            "participant": [f"s{i:02d}" for i in range(n1 + n2)],
            "group": ["rls"] * n1 + ["control"] * n2,
        }
    )
    y = rng.normal(size=(n1 + n2, STUDIES)) + delta * (two.group == "rls").to_numpy()[:, None]
    design = build_design("~ group", two)
    asked = effect(design, "rls - control")
    made = model(design, asked)
    found = fit(y, made)
    sizes = [effect_sizes(found, made, asked, v) for v in range(STUDIES)]
    covered = {
        "effect": sum(s.ci[0] <= delta <= s.ci[1] for s in sizes),
        "g": sum(s.g_ci[0] <= delta <= s.g_ci[1] for s in sizes),
        "r": 0,
    }
    for _ in range(STUDIES):
        x = rng.normal(size=15)
        outcome = rho * x + np.sqrt(1 - rho**2) * rng.normal(size=15)
        table = pd.DataFrame({"participant": [f"s{i:02d}" for i in range(15)], "irls": x})
        design = build_design("~ irls", table)
        asked = effect(design, "irls")
        made = model(design, asked)
        low, high = effect_sizes(fit(outcome[:, None], made), made, asked, 0).r_ci
        covered["r"] += low <= rho <= high
    low, high = _gate(0.95)
    assert all(low <= hits <= high for hits in covered.values()), covered
    # g has no bias, as J promises
    assert np.mean([s.g for s in sizes]) == pytest.approx(delta, abs=3 * 0.42 / np.sqrt(STUDIES))
