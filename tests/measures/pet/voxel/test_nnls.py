"""Non-negative least squares: against enumeration, SciPy and its own conditions."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls as scipy_nnls

from ekbom.measures.pet.nnls import nnls


def dense(solution, columns):
    """Coefficients of all columns, (V, N)."""
    out = np.zeros((solution.passive.shape[0], columns))
    for v, (index, value) in enumerate(zip(solution.passive, solution.coefficients, strict=True)):
        out[v, index[index >= 0]] = value[index >= 0]
    return out


def exponentials(nodes=100, frames=30):
    """Nearly parallel columns, as a spectral design has them."""
    t = np.linspace(0.5, 90, frames)
    beta = np.geomspace(0.1 / 90, 6, nodes)
    return np.exp(-np.outer(t, beta)) @ np.diag(1 + beta)


def enumerated(design, y):
    """Smallest residual over all sets of columns with a feasible solution."""
    best, x_best = float(y @ y), np.zeros(design.shape[1])
    for size in range(1, design.shape[1] + 1):
        for chosen in itertools.combinations(range(design.shape[1]), size):
            x, *_ = np.linalg.lstsq(design[:, chosen], y, rcond=None)
            if (x >= 0).all():
                rss = float(((design[:, chosen] @ x - y) ** 2).sum())
                if rss < best - 1e-13:
                    best, x_best = rss, np.zeros(design.shape[1])
                    x_best[list(chosen)] = x
    return best, x_best


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 100_000))
def test_every_set_of_columns_was_tried_by_hand(seed):
    rng = np.random.default_rng(seed)
    design, curves = rng.normal(size=(8, 5)), rng.normal(size=(3, 8))
    found = nnls(design, curves)
    for v in range(3):
        rss, x = enumerated(design, curves[v])
        assert found.rss[v] == pytest.approx(rss, rel=1e-10)
        assert np.allclose(dense(found, 5)[v], x, atol=1e-9)


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.1, 1.0])
def test_same_as_scipy_on_a_spectral_design(noise):
    rng = np.random.default_rng(1)
    design = exponentials()
    truth = np.zeros((60, 100))
    for row in truth:
        row[rng.choice(100, 3, replace=False)] = rng.random(3)
    curves = truth @ design.T
    curves += noise * rng.normal(size=curves.shape)
    found = nnls(design, curves)
    assert found.converged.all()
    for v, y in enumerate(curves):
        _, length = scipy_nnls(design, y)
        assert found.rss[v] <= length**2 * (1 + 1e-9) + 1e-12 * (y @ y)


def test_optimality_conditions_hold_on_the_true_residual():
    rng = np.random.default_rng(2)
    design = exponentials()
    curves = np.abs(rng.normal(size=(200, 100))) ** 6 @ design.T + rng.normal(size=(200, 30))
    found = nnls(design, curves)
    x = dense(found, 100)
    assert (x >= 0).all()
    residual = curves - x @ design.T
    gradient = residual @ (design / np.linalg.norm(design, axis=0))
    size = np.linalg.norm(curves, axis=1)[:, None]
    assert (gradient <= 1e-9 * size).all()
    assert (np.abs(gradient[x > 0]) <= 1e-9 * np.broadcast_to(size, x.shape)[x > 0]).all()
    assert found.violation.max() <= 1e-9
    assert np.allclose((residual**2).sum(axis=1), found.rss, rtol=1e-9)


def test_functions_of_the_solution():
    rng = np.random.default_rng(3)
    design, curves, wanted = rng.random((9, 6)), rng.random((4, 9)), rng.normal(size=(2, 6))
    found = nnls(design, curves, wanted)
    assert np.allclose(found.linear, dense(found, 6) @ wanted.T, rtol=1e-13, atol=1e-15)


def test_scaling_a_curve_or_a_column_scales_the_solution():
    rng = np.random.default_rng(4)
    design, curves = exponentials(20), rng.random((5, 30))
    plain = dense(nnls(design, curves), 20)
    assert np.allclose(dense(nnls(design, 1024.0 * curves), 20), 1024.0 * plain, rtol=1e-12)
    weights = 2.0 ** rng.integers(-8, 8, 20)
    assert np.allclose(dense(nnls(design * weights, curves), 20) * weights, plain, rtol=1e-12)


def test_nothing_to_find():
    design = exponentials(10)
    found = nnls(design, np.stack([np.zeros(30), -np.ones(30)]))
    assert (dense(found, 10) == 0).all()
    assert found.rss.tolist() == pytest.approx([0, 30])
    assert found.converged.all()
    empty = np.column_stack([design, np.zeros(30)])
    assert (dense(nnls(empty, np.ones((1, 30))), 11)[0, 10]) == 0


def test_double_columns_do_no_harm():
    rng = np.random.default_rng(5)
    design = exponentials(15)
    doubled = np.hstack([design, design])
    curves = rng.random((20, 15)) @ design.T
    found = nnls(doubled, curves)
    assert found.converged.all()
    assert np.allclose(found.rss, nnls(design, curves).rss, atol=1e-12)


_BYTES = """
import hashlib, numpy as np
from ekbom.measures.pet.nnls import nnls
rng = np.random.default_rng(7)
design = np.exp(-np.outer(np.linspace(.5, 90, 30), np.geomspace(.001, 6, 60)))
curves = np.abs(rng.normal(size=(1500, 60))) ** 5 @ design.T + rng.normal(size=(1500, 30))
found = nnls(design, curves, np.ones((1, 60)))
parts = [found.linear, found.rss, found.violation, found.passive, found.coefficients]
print(hashlib.sha256(b"".join(p.tobytes() for p in parts)).hexdigest())
"""


def test_same_bytes_in_any_order_and_with_one_or_two_threads():
    rng = np.random.default_rng(6)
    design = exponentials()
    curves = np.abs(rng.normal(size=(700, 100))) ** 5 @ design.T + rng.normal(size=(700, 30))
    order = rng.permutation(700)
    plain, other = nnls(design, curves), nnls(design, curves[order])
    for one, two in (
        (plain.coefficients, other.coefficients),
        (plain.passive, other.passive),
        (plain.rss, other.rss),
        (plain.violation, other.violation),
    ):
        assert one[order].tobytes() == two.tobytes()
    digests = {
        subprocess.run(
            [sys.executable, "-c", _BYTES],
            env={**os.environ, "NUMBA_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(digests) == 1
