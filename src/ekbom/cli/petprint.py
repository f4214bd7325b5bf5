"""What ``ekbom pet`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ekbom.measures.pet.input_fit import InputFit
    from ekbom.measures.pet.regional import Regional
    from ekbom.nouns import Note


def _console() -> Any:
    from rich.console import Console

    console = Console(highlight=False)
    # a log or a pipe has no width: do not cut numbers off there
    return console if console.is_terminal else Console(highlight=False, width=160)


def line(text: str) -> None:
    """Print a line as it is."""
    _console().print(text, markup=False)


def warn(text: str) -> None:
    """Print a note."""
    _console().print(f"[yellow]note[/] {text}")


def show_notes(notes: Sequence[Note]) -> None:
    """Print notes, each once."""
    for note in dict.fromkeys(notes):
        warn(note.text.replace("[", "\\["))


def show_fits(regional: Regional, shares: Any, choose: str | None) -> None:
    """Print a row a region and model; ``shares`` are Akaike weights in the order of the table."""
    from rich.table import Table as Rich

    used = {name for one in regional.fits.values() for name in one.params}
    with_volume = "VT" in used
    columns: tuple[str, ...] = ("K1", "k2", "k3", "k4", "BPND", "vB")
    others = ("Ki", "IRF60", "R1", "k2prime", "SUVR", "SUV")
    columns = ("VT", *(name for name in (*columns, *others) if name in used))
    rich = Rich(box=None, header_style="bold", pad_edge=False)
    rich.add_column("region")
    rich.add_column("model")
    head = ("V_T", "± SE") if with_volume else ("main", "± SE")
    for name in (*head, *columns[1:], "AICc", *(["weight"] if choose else [])):
        rich.add_column(name, justify="right")
    rich.add_column("flags")
    count = len(regional.labels)
    for row, label in enumerate(regional.labels):
        for place, (model, one) in enumerate(regional.fits.items()):
            main = "VT" if with_volume else one.outcome
            missing = [float("nan")] * count
            cells = [
                _digits(one.params.get(main, missing)[row]),
                _digits(one.se.get(main, missing)[row]),
            ]
            for name in columns[1:]:
                estimated = name in one.params and (name != "vB" or "vB" in one.se)
                cells.append(_digits(one.params[name][row]) if estimated else "")
            cells.append("" if one.aicc[row] != one.aicc[row] else f"{one.aicc[row]:.1f}")
            if choose:
                share = shares[place * count + row]
                cells.append("" if share != share else f"{share:.2f}")
            rich.add_row(label if place == 0 else "", model, *cells, " ".join(one.flags[row]))
    _console().print(rich)


def show_blood(fitted: InputFit) -> None:
    """Print the candidates of parent fraction and parent plasma."""
    from rich.table import Table as Rich

    for title, frame in (("parent fraction", fitted.parent_table), ("parent plasma", fitted.table)):
        if not len(frame):
            continue
        rich = Rich(
            box=None, header_style="bold", pad_edge=False, title=title, title_justify="left"
        )
        frame = frame.drop(columns=["parameters", "se"], errors="ignore")
        for name in frame.columns:
            rich.add_column(str(name), justify="left" if name == "model" else "right")
        for _, row in frame.iterrows():
            rich.add_row(*(_digits(value) for value in row))
        _console().print(rich)


def _digits(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, float):
        return "" if value != value else f"{value:.4g}"
    if hasattr(value, "item"):
        return _digits(value.item())
    return str(value)
