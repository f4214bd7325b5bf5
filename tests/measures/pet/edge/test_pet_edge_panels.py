"""Panels that are drawn here: where a value stands, what is missing, round ticks."""

from __future__ import annotations

import re
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekbom.measures.pet.qc import Drawn, delay_figure, fits_figure
from ekbom.measures.pet.qc_panels import Panel, ticks

_SVG = "{http://www.w3.org/2000/svg}"


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 8))
def test_ticks_are_round_inside_and_not_too_many(low, span, count):
    found = ticks(low, low + span, count)
    assert 1 <= len(found) <= count + 1 or span < 1e-5 * abs(low)
    assert all(low - 1e-6 * span - 1e-9 <= t <= low + span * (1 + 1e-6) + 1e-9 for t in found)
    if len(found) > 1:
        step = found[1] - found[0]
        assert float(f"{step:.6e}".split("e")[0]) in (1.0, 2.0, 2.5, 5.0) or span < 1e-4 * abs(low)


@pytest.mark.parametrize("log", [False, True])
def test_a_curve_stands_where_its_values_are_and_is_broken_where_they_are_missing(log):
    panel = Panel(10.0, 20.0, 100.0, 50.0, (0.0, 10.0), (1.0, 100.0), log)
    y = np.array([1.0, 100.0, np.nan, 10.0])
    panel.line(np.array([0.0, 5.0, 6.0, 10.0]), y, "#000000")
    path = re.search(r'd="(M[^"]*)" fill="none" stroke="#000000"', panel.finish()).group(1)
    first, second = path[1:].split("M")
    assert first == "10.0,70.0 60.0,20.0"
    x, up = (float(v) for v in second.split(","))
    assert x == 110.0
    assert up == pytest.approx(45.0 if log else 70.0 - 50.0 * 9 / 99, abs=0.051)


def test_figures_hold_every_region_and_every_frame():
    end = np.arange(1.0, 9.0) * 5
    start, mid = end - 5, end - 2.5
    names = [f"region & {k}" for k in range(6)]
    values = np.arange(1.0, 7.0)[:, None] * np.exp(-mid / 40)
    fitted = values * 1.01
    fitted[:, :3] = np.nan
    found = fits_figure(mid, start, end, names, values, [Drawn("ma1", fitted)])
    again = fits_figure(mid, start, end, names, values, [Drawn("ma1", fitted)])
    assert found.data == again.data
    root = ElementTree.fromstring(found.data)
    words = [t.text for t in root.iter(f"{_SVG}text")]
    assert [w for w in words if w.startswith("region")] == names
    assert {"measured", "ma1", "kBq/mL", "minutes from injection"} <= set(words)
    bars = [p for p in root.iter(f"{_SVG}path") if p.get("d", "").count("H") == end.size]
    assert len(bars) == len(names)
    _, _, wide, high = (float(v) for v in root.get("viewBox").split())
    for text in root.iter(f"{_SVG}text"):
        assert 0 <= float(text.get("x")) <= wide
        assert 0 <= float(text.get("y")) <= high


def test_a_flat_profile_of_the_delay_is_drawn_too():
    delay = SimpleNamespace(
        profile_t=np.linspace(-0.5, 0.5, 5), profile_rss=np.full(5, 2.0), value=0.1, se=np.nan,
        flag="delay_edge",
    )  # fmt: skip
    figure = delay_figure(delay)
    root = ElementTree.fromstring(figure.data)
    assert len(list(root.iter(f"{_SVG}circle"))) == 5
    assert "0 s was used" in figure.caption
