"""Numbers, names and tables as printed."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ekbom.report import columns, figures, grid, numbers, provenance
from ekbom.report.grid import build
from ekbom.report.numbers import decimals, interval, number, p_value, symbols, unit_text


@pytest.mark.parametrize("module", [numbers, columns, figures, provenance, grid])
def test_examples(module: object) -> None:
    found = doctest.testmod(module)  # type: ignore[arg-type]
    assert found.failed == 0


@settings(max_examples=200, deadline=None)
@given(st.floats(1e-4, 1e6))
def test_three_digits_are_near(value: float) -> None:
    text = number(-value).replace("−", "-").replace("\u202f", "")
    assert float(text) == pytest.approx(-value, rel=5.1e-3)


@settings(max_examples=200, deadline=None)
@given(st.floats(0, 1))
def test_p_never_flatters(p: float) -> None:
    text = p_value(p)
    if text == "< .001":
        assert p < 0.001
    elif text == "> .999":
        assert p > 0.999
    else:
        assert abs(float(text) - p) <= 0.0005 + 1e-12
        assert text.startswith(".")


def test_no_number() -> None:
    assert number(math.nan) == p_value(math.nan) == interval(math.nan, math.nan) == "–"
    assert number(-0.0001, places=2) == "0.00"
    assert number(math.inf) == "∞"
    assert decimals([]) == 0


@pytest.mark.parametrize(
    ("plain", "set_"),
    [
        ("mL/cm3", "mL/cm³"),
        ("mL/cm^3", "mL/cm³"),
        ("1/min", "min⁻¹"),
        ("kBq/mL", "kBq/mL"),
        ("ug/L", "µg/L"),
        ("n/a", ""),
        ("%", "%"),
    ],
)
def test_units(plain: str, set_: str) -> None:
    assert unit_text(plain) == set_


def test_symbols_only_whole_words() -> None:
    assert "sub" not in str(symbols("VTE pet.VTx"))
    assert "<sub>T</sub>" in str(symbols("VT."))
    assert str(symbols("<VT>")).startswith("&lt;<i>V</i>")


def test_columns_share_their_decimals_with_their_intervals() -> None:
    frame = pd.DataFrame(
        {
            "region": ["a", "b", "c"],
            "effect": [1.234, -0.5, np.nan],
            "ci_low": [1.0, -1.0, np.nan],
            "ci_high": [2.0, 0.25, np.nan],
            "p": [0.04, 1.0, np.nan],
            "n": [6, 6, 5],
            "nothing": [np.nan] * 3,
        }
    )
    made = build(
        frame,
        ["region", "effect", "p", "n", "nothing", "absent"],
        intervals={"effect": ("ci_low", "ci_high")},
        strong=lambda row: row["p"] < 0.05,
    )
    text = [[str(c.shown) for c in row] for row in made.rows]
    assert text[0] == ["a", "1.23", "<span class=ci>[1.00, 2.00]</span>", ".040", "6"]
    assert text[1] == ["b", "−0.50", "<span class=ci>[−1.00, 0.25]</span>", "&gt; .999", "6"]
    assert text[2] == ["c", "–", "<span class=ci>–</span>", "–", "5"]
    assert [row[0].strong for row in made.rows] == [True, False, False]
    assert made.rows[0][1].value == "1.234"
    assert made.rows[2][1].value == ""


def test_words_in_cells_are_escaped() -> None:
    made = build(pd.DataFrame({"what": ["<b>", None]}), ["what"], caption="<i>")
    assert str(made.rows[0][0].shown) == "&lt;b&gt;"
    assert str(made.rows[1][0].shown) == "–"
    assert str(made.caption) == "&lt;i&gt;"
