"""What figures add to data: checked against closed forms and other programs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ekbom.report import figures, lines, style
from ekbom.report.lines import agreement, line, mean_half_width, paired_half_width, spread


def test_line_is_least_squares() -> None:
    rng = np.random.default_rng(1)
    x = rng.uniform(10, 40, 15)
    y = 20 - 0.2 * x + rng.normal(0, 1, 15)
    made = line(x, y)
    other = stats.linregress(x, y)
    assert made.slope == pytest.approx(other.slope, rel=1e-10)
    np.testing.assert_allclose(made.fitted, other.intercept + other.slope * made.grid, rtol=1e-10)
    # The line goes through the point of means, where the band is narrowest.
    at = np.interp(x.mean(), made.grid, made.fitted)
    assert at == pytest.approx(y.mean(), rel=1e-9)
    width = made.upper - made.lower
    assert abs(made.grid[np.argmin(width)] - x.mean()) < 1.0
    residual = y - other.intercept - other.slope * x
    s = math.sqrt((residual**2).sum() / 13)
    spread_x = ((x - x.mean()) ** 2).sum()
    half = stats.t.ppf(0.975, 13) * s * np.sqrt(1 / 15 + (made.grid - x.mean()) ** 2 / spread_x)
    np.testing.assert_allclose(width / 2, half, rtol=1e-9)


def test_line_holds_other_terms_at_their_means() -> None:
    rng = np.random.default_rng(2)
    age = rng.uniform(40, 70, 20)
    x = 0.3 * age + rng.normal(0, 2, 20)
    y = 5 + 0.4 * x - 0.1 * age + rng.normal(0, 0.2, 20)
    made = line(x, y, age[:, None])
    beta = np.linalg.lstsq(np.column_stack([np.ones(20), x, age]), y, rcond=None)[0]
    assert made.slope == pytest.approx(beta[1], rel=1e-9)
    np.testing.assert_allclose(made.fitted, beta @ [1, 0, age.mean()] + beta[1] * made.grid)
    # Adjusted points scatter about the line exactly as residuals about the model.
    residual = y - np.column_stack([np.ones(20), x, age]) @ beta
    at = beta @ [1, 0, age.mean()] + beta[1] * x
    np.testing.assert_allclose(made.y - at, residual, atol=1e-9)


def test_line_leaves_missing_rows_out() -> None:
    x = np.array([1.0, 2.0, 3.0, np.nan, 5.0])
    y = np.array([2.0, 4.0, 6.0, 0.0, np.nan])
    made = line(x, y)
    assert made.slope == pytest.approx(2.0)
    assert len(made.x) == 3


def test_paired_interval_is_that_of_the_difference() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(2, 1, 6), rng.normal(1.5, 1, 6)
    low, high = stats.ttest_rel(b, a).confidence_interval()
    # Two means with this half width differ by sqrt(2) times it.
    assert math.sqrt(2) * paired_half_width(a, b) == pytest.approx((high - low) / 2, rel=1e-9)
    assert math.isnan(paired_half_width(a[:1], b[:1]))


def test_mean_interval() -> None:
    v = np.array([1.0, 2.0, 4.0, np.nan])
    mean, half = mean_half_width(v)
    low, high = stats.ttest_1samp(v[:3], 0).confidence_interval()
    assert (mean - half, mean + half) == pytest.approx((low, high))


def test_limits_of_agreement_by_hand() -> None:
    a = np.array([1.0, 2.0, 3.0, 4.0])
    b = a + np.array([0.1, -0.1, 0.3, 0.1])
    bias, low, high, half_bias, half_limit = agreement(a, b)
    sd = math.sqrt((0.0**2 + 0.2**2 + 0.2**2 + 0.0**2) / 3)
    assert bias == pytest.approx(0.1)
    assert (low, high) == pytest.approx((0.1 - 1.959964 * sd, 0.1 + 1.959964 * sd), rel=1e-6)
    t = stats.t.ppf(0.975, 3)
    assert half_bias == pytest.approx(t * sd / 2)
    assert half_limit == pytest.approx(t * sd * math.sqrt(1 / 4 + 1.959964**2 / 6), rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30))
def test_spread_is_small_and_fixed(values: list[float]) -> None:
    v = np.array(values)
    shifts = spread(v)
    assert np.abs(shifts).max() <= 0.18
    np.testing.assert_array_equal(shifts, spread(v))


def test_forest_draws_the_numbers() -> None:
    value = np.array([-0.3, 0.1])
    one = figures.Series("x", value, value - 0.2, value + 0.2, np.array([True, False]))
    with style.look():
        drawn = figures.forest(["a", "b"], [("effect", [one], 0.0)])
    axes = drawn.axes[0]
    found = [line.get_xdata() for line in axes.lines if line.get_marker() == "o"]
    points = np.concatenate([np.asarray(f, float) for f in found])
    assert sorted(points) == pytest.approx([-0.3, 0.1])
    ends = np.concatenate([p[:, 0] for p in axes.collections[0].get_segments()])
    assert sorted(ends) == pytest.approx([-0.5, -0.1, -0.1, 0.3])
    assert [t.get_text() for t in axes.get_yticklabels()] == ["a", "b"]
    assert axes.get_ylim() == (1.5, -0.5)


def test_paired_joins_people_and_means() -> None:
    a, b = np.array([1.0, 2.0, 3.0]), np.array([0.5, 1.0, 2.4])
    with style.look():
        drawn = figures.paired([("insula", a, b)], ("before", "after"), label="VT")
    lines_ = [tuple(np.asarray(l.get_ydata(), float)) for l in drawn.axes[0].lines]
    for pair in zip(a, b, strict=True):
        assert pair in lines_
    assert any(l == pytest.approx((2.0, 1.3)) for l in lines_ if len(l) == 2)


def test_regression_panel_shows_the_line() -> None:
    x = np.linspace(0, 10, 8)
    one = line(x, 3 - 0.5 * x)
    with style.look():
        drawn = figures.regressions([("a", one)], x_label="irls", label="VT")
    curve = drawn.axes[0].lines[0]
    np.testing.assert_allclose(curve.get_ydata(), 3 - 0.5 * np.asarray(curve.get_xdata()))


@pytest.mark.parametrize("count", [1, 2, 5, 7, 13, 15])
def test_every_panel_is_drawn(count: int) -> None:
    rng = np.random.default_rng(0)
    panels = [(f"region {k}", rng.normal(size=5), rng.normal(size=5)) for k in range(count)]
    with style.look():
        drawn = figures.bland_altman(panels, label="VT", unit="mL/cm³")
        text = style.svg(drawn, key="k", alt="x")
    assert len(drawn.axes) == count
    for title, _, _ in panels:
        assert f">{title}<" in text


def test_svg_is_the_same_and_keeps_its_ids_apart() -> None:
    def draw(key: str) -> str:
        with style.look():
            figure = style.new_figure(3, 2)
            axes = figure.add_subplot()
            axes.plot([0, 1], [0, 1])
            axes.set_xlabel("V‹T› (mL/cm³) <&>")
            return str(style.svg(figure, key=key, alt='a "b" <c>'))

    one = draw("a")
    assert one == draw("a")
    import re

    ids = set(re.findall(r'id="([^"]+)"', one))
    assert ids
    assert not ids & set(re.findall(r'id="([^"]+)"', draw("b")))
    used = set(re.findall(r"url\(#([^)]+)\)", one)) | set(re.findall(r'href="#([^"]+)"', one))
    assert used <= ids
    assert "<metadata" not in one
    assert "<!--" not in one
    assert '<tspan dy="2" font-size="75%">T</tspan>' in one
    assert "&lt;&amp;&gt;" in one


def test_users_settings_do_not_matter() -> None:
    import matplotlib as mpl

    def draw() -> str:
        with style.look():
            figure = style.new_figure(2, 2)
            figure.add_subplot().plot([0, 1], [1, 0])
            return str(style.svg(figure, key="k", alt="x"))

    plain = draw()
    with mpl.rc_context({"axes.facecolor": "black", "font.size": 20, "lines.linewidth": 9}):
        assert draw() == plain


def test_small_svg_moves_nothing_far() -> None:
    text = style.small_svg('<?xml?><!DOCTYPE svg><svg><path d="M 1.23456 -0.00012 L 3 4.5"/></svg>')
    assert text == '<svg><path d="M 1.23 -0.00 L 3 4.5"/></svg>'


def test_glyphs_keep_their_scale() -> None:
    text = '<svg><g transform="translate(1.23456 2) scale(0.015625)"><use x="3.14159"/></g></svg>'
    made = style.small_svg(text)
    assert "scale(0.015625)" in made
    assert 'x="3.14"' in made
    assert "translate(1.23 2)" in made


def test_axis_ends_at_outliers() -> None:
    v = np.array([1.0, 1.1, 1.2, 1.3, 1.4, 50.0, np.nan])
    assert lines.fences(v) == (1.0, 1.4)
    assert lines.fences(np.array([np.nan])) == (0.0, 1.0)
