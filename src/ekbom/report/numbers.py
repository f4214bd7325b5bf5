"""Numbers and names as a paper prints them.

Three significant digits, a true minus sign, ``.012`` and ``< .001`` for p
values, subscripts in symbols and superscripts in units. A column of numbers
shares its number of decimals, so that it can be read down.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from markupsafe import Markup, escape

#: What stands where there is no number.
NOTHING = "–"
MINUS = "−"

_SYMBOLS = {
    "VT": ("V", "T"),
    "VND": ("V", "ND"),
    "VS": ("V", "S"),
    "V_T": ("V", "T"),
    "V_ND": ("V", "ND"),
    "V_S": ("V", "S"),
    "BPND": ("BP", "ND"),
    "BP_ND": ("BP", "ND"),
    "BPP": ("BP", "P"),
    "BP_P": ("BP", "P"),
    "BPF": ("BP", "F"),
    "BP_F": ("BP", "F"),
    "K1": ("K", "1"),
    "K_1": ("K", "1"),
    "k2": ("k", "2"),
    "k3": ("k", "3"),
    "k4": ("k", "4"),
    "Ki": ("K", "i"),
    "K_i": ("K", "i"),
    "vB": ("v", "B"),
    "v_B": ("v", "B"),
}
_SYMBOL = re.compile(
    r"(?<![\w.])(?:" + "|".join(sorted(_SYMBOLS, key=len, reverse=True)) + r")(?!\w)"
)
_UPPER = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def decimals(values: Iterable[float], digits: int = 3) -> int:
    """Return how many decimals show a column with so many significant digits.

    Parameters
    ----------
    values : iterable of float
        The numbers of the column; those that are zero or not finite are left out.
    digits : int
        Significant digits of the middle one (in absolute size).

    Returns
    -------
    int
        Between 0 and 6.

    Examples
    --------
    >>> decimals([1.234, 0.951, 2.2])
    2
    >>> decimals([152.3, 99.1, 120.0])
    0
    """
    sizes = sorted(abs(v) for v in values if math.isfinite(v) and v != 0)
    if not sizes:
        return 0
    middle = sizes[len(sizes) // 2]
    return min(6, max(0, digits - 1 - math.floor(math.log10(middle))))


def number(value: float, *, places: int | None = None, digits: int = 3) -> str:
    """Return a number for reading.

    Parameters
    ----------
    value : float
        Any number; NaN prints as a dash.
    places : int, optional
        Decimals to show; chosen for this number alone when left out.
    digits : int
        Significant digits, used only when `places` is left out.

    Returns
    -------
    str
        With a true minus sign.

    Examples
    --------
    >>> number(0.012345), number(-1234.4), number(2.0, places=2), number(float("nan"))
    ('0.0123', '−1234', '2.00', '–')
    """
    if not math.isfinite(value):
        return NOTHING if math.isnan(value) else ("∞" if value > 0 else MINUS + "∞")
    if places is None:
        if float(value).is_integer() and abs(value) < 1e7:
            return whole(value)
        if value != 0 and not 1e-4 <= abs(value) < 1e7:
            mantissa, power = f"{value:.{digits - 1}e}".split("e")
            return _signed(mantissa) + " × 10" + str(int(power)).translate(_UPPER)
        places = decimals([value], digits)
    return _signed(f"{value:.{places}f}")


def _signed(text: str) -> str:
    # A rounded zero has no sign.
    if text.startswith("-") and not text.strip("-0."):
        text = text[1:]
    return text.replace("-", MINUS)


def whole(value: float) -> str:
    """Return a count, its thousands set apart.

    Examples
    --------
    >>> whole(10000).replace(chr(0x202F), "_"), whole(924)
    ('10_000', '924')
    """
    if not math.isfinite(value):
        return NOTHING
    text = f"{round(value):,}" if abs(value) >= 10000 else f"{round(value)}"
    return _signed(text.replace(",", "\u202f"))


def p_value(value: float) -> str:
    """Return a p value as papers print it: no leading zero, three decimals.

    Examples
    --------
    >>> p_value(0.0123), p_value(0.0002), p_value(0.9999), p_value(1.0)
    ('.012', '< .001', '> .999', '> .999')
    """
    if math.isnan(value):
        return NOTHING
    if value < 0.001:
        return "< .001"
    if value > 0.9994:
        return "> .999"
    return f"{value:.3f}"[1:]


def level(value: float) -> str:
    """Return a level of significance: ``.05``, no digits more than needed.

    Examples
    --------
    >>> level(0.05), level(0.001)
    ('.05', '.001')
    """
    return f"{value:g}".removeprefix("0")


def p_phrase(value: float) -> str:
    """Return ``p = .012`` or ``p < .001``, for sentences.

    Examples
    --------
    >>> p_phrase(0.0123), p_phrase(0.0)
    ('p = .012', 'p < .001')
    """
    text = p_value(value)
    return f"p {text}" if text[0] in "<>" else f"p = {text}"


def interval(lower: float, upper: float, *, places: int | None = None) -> str:
    """Return an interval in square brackets.

    Examples
    --------
    >>> interval(-0.52, -0.104, places=2)
    '[−0.52, −0.10]'
    """
    if math.isnan(lower) and math.isnan(upper):
        return NOTHING
    if places is None:
        places = decimals([lower, upper])
    return f"[{number(lower, places=places)}, {number(upper, places=places)}]"


def unit_text(unit: str | None) -> str:
    """Return a unit in Unicode: ``mL/cm3`` becomes ``mL/cm³``, ``1/min`` ``min⁻¹``.

    Examples
    --------
    >>> unit_text("mL/cm3"), unit_text("1/min"), unit_text("mL/cm3/min"), unit_text("n/a")
    ('mL/cm³', 'min⁻¹', 'mL/cm³/min', '')
    """
    if unit is None or unit in {"", "n/a", "1", "none", "unitless"}:
        return ""
    single = re.fullmatch(r"1/([A-Za-z]+)", unit)
    if single:
        return single[1] + "⁻¹"
    unit = re.sub(r"\^(-?\d)", lambda m: m[1].translate(_UPPER), unit)
    unit = re.sub(r"(?<=mm|cm|dm)([23])\b", lambda m: m[1].translate(_UPPER), unit)
    return re.sub(r"\b(?:u|mc)(?=(?:Ci|mol|g|L|V|s)\b)", "µ", unit)


def symbols(text: str) -> Markup:
    """Return text as HTML with the field's symbols set: ``VT`` with its subscript.

    Examples
    --------
    >>> str(symbols("VT < 2 & K1"))
    '<i>V</i><sub>T</sub> &lt; 2 &amp; <i>K</i><sub>1</sub>'
    """
    out, last = [], 0
    for found in _SYMBOL.finditer(text):
        head, foot = _SYMBOLS[found[0]]
        out += [str(escape(text[last : found.start()])), f"<i>{head}</i><sub>{foot}</sub>"]
        last = found.end()
    return Markup("".join([*out, str(escape(text[last:]))]))


def prose(text: str) -> Markup:
    """Return a sentence of the analysis as HTML: minus signs, units, symbols, p values set.

    Examples
    --------
    >>> str(prose("`a - b`: -0.5 mL/cm3 (-1 to 2), p = 0.094"))
    '<code>a − b</code>: −0.5 mL/cm³ (−1 to 2), <i>p</i> = .094'
    """
    text = re.sub(r"(?<![\w.)])-(?=\.?\d)", MINUS, text)
    text = re.sub(r"(?<=mm|cm)([23])\b", lambda m: m[1].translate(_UPPER), text)
    out = str(symbols(text))
    out = re.sub(r"`([^`]*)`", lambda m: f"<code>{minus(m[1])}</code>", out)
    out = re.sub(r"\bp (=|&lt;|&gt;) 0?(\.\d+)", r"<i>p</i> \1 \2", out)
    return Markup(out)


def minus(text: str) -> str:
    """Return the text of an effect with a true minus sign between its levels.

    Examples
    --------
    >>> minus("rls - control")
    'rls − control'
    """
    return text.replace(" - ", f" {MINUS} ")


def plot_symbols(text: str) -> str:
    """Return text for a figure: symbols with their subscript between ‹ and ›.

    :func:`ekbom.report.style.svg` turns the brackets into lowered text.

    Examples
    --------
    >>> plot_symbols("VT (mL/cm³)")
    'V‹T› (mL/cm³)'
    """
    return _SYMBOL.sub(lambda m: "{}‹{}›".format(*_SYMBOLS[m[0]]), text)
