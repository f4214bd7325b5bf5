from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ekbom.disease import expr
from ekbom.disease.model import _BLOCKS, load, read, steady_values
from ekbom.disease.writers.code import module
from ekbom.disease.writers.steady import rate_function, steady
from ekbom.errors import Refused


def _texts() -> dict[str, str]:
    here = files("ekbom.disease.spec")
    return {b: here.joinpath(f"{b}.toml").read_text("utf-8") for b in _BLOCKS}


def test_every_parameter_has_source_status_and_unit():
    model = load()
    assert len(model.states) == 40
    for p in model.params:
        assert p.source in model.references
        assert p.status in ("verified", "unverified", "assumed")
        assert p.note


def test_generated_code_is_fresh():
    here = files("ekbom.disease.solve").joinpath("_generated.py").read_text("utf-8")
    assert here == module(load())


def test_stored_steady_state_is_the_one_of_the_source():
    found = steady(load())
    for name, value in steady_values().items():
        assert found[name] == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize(
    ("block", "old", "new"),
    [
        ("brain", 'k_t*(irp - tfr)"', 'k_t*(irp - tau_b)"'),  # hours less a number
        ("brain", 'k_t*(irp - tfr)"', 'irp - tfr"'),  # a rate without 1/h
        ("terminal", 'unit="uM/h", source="MODEL1502230000", status="verified", note="transporter"',
         'unit="uM", source="MODEL1502230000", status="verified", note="transporter"'),
        ("cord", 'source="jones1994"', 'source="nobody"'),
        ("cord", "occ1", "auto"),  # a C++ keyword
        ("clock", 'id="fire_a"', 'id="fire"'),  # twice
        ("systemic", "phi*fq", "phii*fq"),  # unknown
        ("cord", 'status="assumed", note="vesicular loss', 'status="sure", note="vesicular loss'),
    ],
)  # fmt: skip
def test_a_fault_in_the_source_is_refused(block, old, new):
    texts = _texts()
    assert old in texts[block]
    texts[block] = texts[block].replace(old, new)
    with pytest.raises(Refused):
        read(texts, dict(load().references))


@pytest.mark.parametrize(
    "text", ["1 if x else 2", "floor(x)", "x % 2", "f(x, y)", "x <", "a.b", "'s'"]
)
def test_the_language_has_no_more_than_it_says(text):
    with pytest.raises(Refused):
        expr.parse(text)


@given(st.floats(0.2, 3), st.floats(0.2, 3))
@settings(max_examples=40, deadline=None)
def test_derivatives_agree_with_differences(x, z):
    for text in (
        "x^2/(1 + x*z)", "exp(-x/z)", "log(1 + exp(4*(x - z)))", "sqrt(x^2 + z)", "cos(2*x)",
        "tanh(x*z)", "x^z", "-x^(-z)", "z^x", "(x + z)^3",
    ):  # fmt: skip
        tree = expr.parse(text)
        step = 1e-6
        up = expr.evaluate(tree, {"x": x + step, "z": z})
        down = expr.evaluate(tree, {"x": x - step, "z": z})
        exact = expr.evaluate(expr.derivative(tree, "x"), {"x": x, "z": z})
        assert exact == pytest.approx((up - down) / (2 * step), rel=2e-6, abs=1e-7)


def test_compiled_rates_are_those_of_the_expressions():
    from ekbom.disease.simulate import Cohort, healthy_start, parameters
    from ekbom.disease.solve._generated import rhs

    model = load()
    p = parameters(Cohort(1))
    rng = np.random.default_rng(4)
    f = rate_function(model)
    for t in (0.3, 9.0, 22.5):
        y = healthy_start(model, p)[0] * rng.uniform(0.5, 1.5, len(model.states)) + 0.01
        dy = np.empty_like(y)
        rhs(t, y, p[0], dy)
        np.testing.assert_allclose(dy, f(t, y), rtol=1e-10, atol=1e-9)


@given(seed=st.integers(0, 2**32 - 1), t=st.floats(0, 200), n_mar=st.sampled_from([1.0, 2.0, 1.7]))
@settings(max_examples=20, deadline=None)
def test_rates_of_the_solver_are_those_of_the_model_bit_by_bit(seed, t, n_mar):
    from ekbom.disease.simulate import Cohort, healthy_start, parameters
    from ekbom.disease.solve import _generated as g

    rng = np.random.default_rng(seed)
    p = parameters(Cohort(1, {"n_mar": n_mar}))[0]
    p *= rng.uniform(0.9, 1.1, len(p)) ** (p != 1.0)  # powers of 1 stay, as most are
    n = len(g.STATES)
    y = healthy_start(load(), p[None])[0] * rng.uniform(0.5, 1.5, n) + 0.01
    q, z = np.empty(g.N_FOLDED), np.empty(g.N_CLOCK)
    whole, slopes, shared = np.empty((3, n))
    g.rhs(t, y, p, whole)
    g.fold(p, q)
    g.clock(t, q, z)
    g.slopes(z, y, q, slopes)
    g.jacobian(t, z, y, q, shared, np.empty(g.N_ENTRIES), np.empty(n))
    assert np.array_equal(whole, slopes)
    assert np.array_equal(whole, shared)


def test_compiled_jacobian_and_factors():
    from ekbom.disease.simulate import Cohort, healthy_start, parameters
    from ekbom.disease.solve import _generated as g

    model = load()
    p = parameters(Cohort(1))[0]
    rng = np.random.default_rng(5)
    n = len(model.states)
    y = healthy_start(model, p[None])[0] * rng.uniform(0.6, 1.4, n) + 0.02
    entry, ft, w = np.empty(g.N_ENTRIES), np.empty(n), np.empty(g.N_FACTORS)
    q, z, dy = np.empty(g.N_FOLDED), np.empty(g.N_CLOCK), np.empty(n)
    g.fold(p, q)
    g.clock(5.0, q, z)
    g.jacobian(5.0, z, y, q, dy, entry, ft)
    f = rate_function(model)
    dense = np.empty((n, n))
    for j in range(n):
        step = 1e-6 * max(abs(y[j]), 1e-3)
        up, down = y.copy(), y.copy()
        up[j] += step
        down[j] -= step
        dense[:, j] = (f(5.0, up) - f(5.0, down)) / (2 * step)
    np.testing.assert_allclose(
        ft, (f(5.0 + 1e-5, y) - f(5.0 - 1e-5, y)) / 2e-5, rtol=1e-5, atol=1e-6
    )
    shift = 40.0
    g.factorise(entry, shift, w)
    b = rng.normal(size=n)
    x = b.copy()
    g.substitute(w, x)
    np.testing.assert_allclose(shift * x - dense @ x, b, rtol=1e-4, atol=1e-5)
