"""More traps other programs fell into: each test also shows the naive version fail."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
from pet_numerics_truth import C11, SETS, VT, blood, schedule

import ekbom
from ekbom.errors import Refused
from ekbom.measures.pet import simulate
from ekbom.measures.pet.convolve import basis, make_grid
from ekbom.measures.pet.dispersion import disperse, undisperse
from ekbom.measures.pet.fit import fit
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.weights import weights


def test_weights_are_not_those_of_decay_corrected_counts():
    """T7: corrected counts are not counts; late frames of a short-lived nuclide are overrated."""
    frames = schedule("dpn90")
    tac = simulate.forward(*SETS["pbr28"], blood(), frames)[0]
    draws = simulate.add_noise(np.tile(tac, (5000, 1)), frames, 0.3, 0)
    variance = draws.var(axis=0)
    late = tac > 0.02 * tac.max()

    def spread(w):
        product = (variance * w)[late]
        return product.max() / product.min()

    assert spread(weights("poisson", frames, tac)) < 1.3
    assert spread(frames.duration / tac) > 10
    # as is a weight that makes a count of the corrected value
    assert spread(np.sqrt(tac * frames.duration)) > 10


def test_decay_weights_hold_the_time():
    """T8: a factor without its time is the same for frames of one length."""
    frames = Frames.of_runs([(20, 300)], C11)
    held = weights("poisson", frames, np.ones(frames.n))
    # constant tissue: duration over decay factor, so neighbours differ by the decay between them
    np.testing.assert_allclose(held[1:] / held[:-1], np.exp(-frames.decay_lambda * 5), rtol=1e-9)
    naive = frames.duration * np.exp(-frames.decay_lambda)
    np.testing.assert_allclose(naive, naive[0])
    assert held[0] / held[-1] > 20


def test_dispersion_has_its_parentheses_and_its_own_times():
    """T9: C = g + tau dg/dt, with dt of the samples."""
    rng = np.random.default_rng(3)
    t = np.concatenate(([0.0], np.cumsum(rng.uniform(0.5, 1.5, 400)))) / 60
    late = np.maximum(t - 0.4, 0)
    truth, tau = 600 * late**3 * np.exp(-4 * late), 9 / 60
    seen = disperse(t, truth, tau)
    inner, top = slice(2, -2), truth.max()

    def worst(found):
        return np.abs(found - truth)[inner].max() / top

    assert worst(undisperse(t, seen, tau)) < 1e-3
    slope = np.gradient(seen, t)
    assert worst(tau * (seen + slope)) > 0.1  # parentheses in the wrong place
    even = np.diff(t).mean()
    assert worst(seen + tau * np.gradient(seen, even)) > 0.02  # samples taken for even
    assert worst(seen) > 0.05  # not corrected


def test_a_scan_that_begins_late_keeps_its_first_integral():
    """A gap before the first frame (pbr28): the integral begins at injection, not at the frame."""
    model, params = SETS["one"]
    given, whole = blood(), schedule("dpn90")
    later = whole.start >= 35 / 60
    frames = Frames(whole.start[later], whole.end[later], C11)
    tac = simulate.forward(model, params, given, frames, vB=0.0)[0]
    how = {"model": "logan", "vB": 0.0, "tstar": 20, "weights": "duration"}
    found = fit(tac, frames, given, **how)
    assert found.params["VT"][0] == pytest.approx(VT(params), rel=2e-3)
    assert 0 < found.extra["guessed_share"][0] < 0.05
    exact = fit(tac, frames, given, model="1tcm", vB=0.0)
    assert exact.params["K1"][0] == pytest.approx(params["K1"], rel=1e-5)
    # the naive version starts its clock, or its integral, with the first frame
    moved = Frames(frames.start - frames.start[0], frames.end - frames.start[0], C11)
    naive = fit(tac, moved, given, model="1tcm", vB=0.0)
    assert abs(naive.params["K1"][0] / params["K1"] - 1) > 0.03


def test_frames_of_no_length_weigh_nothing():
    """A frame of no length: dividing by its duration gives no number."""
    start, end = np.array([0, 0, 1, 2.0]), np.array([0, 1, 2, 4.0])
    with pytest.raises(Refused, match="does not end after"):
        Frames(start, end, C11)
    frames, keep, notes = Frames.without_empty(start, end, C11)
    assert keep.tolist() == [False, True, True, True]
    assert len(notes) == 1
    assert np.isfinite(weights("poisson", frames, np.ones(3))).all()
    with np.errstate(divide="ignore"):
        naive = 1 / (end - start)
    assert np.isinf(naive[0])


def _single(theta, grid_t, c, start, end, dtype):
    """The exact recursion and its frame integrals in a chosen precision, by its short formula."""
    t, c = grid_t.astype(dtype), c.astype(dtype)
    theta = dtype(theta)
    y, area = np.zeros(t.size, dtype), np.zeros(t.size, dtype)
    for i in range(t.size - 1):
        h = t[i + 1] - t[i]
        e = np.exp(-theta * h)
        p0 = (dtype(1) - e) / theta
        g1 = (h - p0) / theta / h
        y[i + 1] = e * y[i] + (p0 - g1) * c[i] + g1 * c[i + 1]
        area[i + 1] = area[i] + h * (c[i] + c[i + 1]) / dtype(2)
    i, j = np.searchsorted(grid_t, start), np.searchsorted(grid_t, end)
    return ((area[j] - area[i]) - (y[j] - y[i])) / theta / (t[j] - t[i])


def test_recursions_in_single_precision_are_not_safe():
    """Slow rates and fine steps: h - (1 - e)/theta cancels, and single precision loses it."""
    given = blood()
    frames = Frames.of_runs([(18, 300)], np.inf)
    knots = np.unique(np.concatenate((given.t, np.arange(0, 90, 0.02), frames.start, frames.end)))
    knots = knots[np.concatenate(([True], np.diff(knots) > 1e-9))]
    start, end = frames.start, np.minimum(frames.end, knots[-1])
    i = np.abs(knots[:, None] - start).argmin(axis=0)
    j = np.abs(knots[:, None] - end).argmin(axis=0)
    values = given.at(knots)
    exact = basis(np.array([0.002]), make_grid(frames, given, decay_weighted=False))[0][0]
    double = _single(0.002, knots, values, knots[i], knots[j], np.float64)
    single = _single(0.002, knots, values, knots[i], knots[j], np.float32)
    np.testing.assert_allclose(double, exact, rtol=1e-6)
    assert np.abs(single / exact - 1).max() > 0.01


#: Names that NumPy 2 or SciPy 1.14 took away, by the module they were in.
_GONE = {
    "np": {
        "alltrue", "asfarray", "bool8", "cast", "complex_", "cumproduct", "float_", "in1d", "Inf",
        "infty", "int0", "NaN", "obj2sctype", "product", "row_stack", "sometrue", "string_",
        "trapz", "unicode_",
    },
    "integrate": {"cumtrapz", "simps", "trapz", "romb"},
}  # fmt: skip


def _old_idioms(source: str) -> list[str]:
    return [
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.attr in _GONE.get(node.value.id, ())
    ]


def test_no_idiom_that_newer_libraries_took_away():
    """T15: code of other programs that stops working with NumPy 2 and SciPy 1.14 is found."""
    naive = "area = np.trapz(c, t)\nrunning = integrate.cumtrapz(c, t)\n"
    assert _old_idioms(naive) == ["np.trapz", "integrate.cumtrapz"]
    files = sorted(Path(ekbom.__file__).parent.rglob("*.py"))
    assert len(files) > 300
    found = {str(f): names for f in files if (names := _old_idioms(f.read_text("utf-8")))}
    assert not found
