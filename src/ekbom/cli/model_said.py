"""What every `ekbom model` command prints in the same way, and what it says that it is not."""

from __future__ import annotations

from rich.console import Console

_out = Console(highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Print a line as it is.

    Parameters
    ----------
    text : str
        The line.
    """
    _out.print(text, markup=False)


def banner() -> str:
    """Return version of the model, shares of its parameters, and what it is not.

    Returns
    -------
    str
        The sentence that every output carries.
    """
    from ekbom.disease.model import load

    return load().banner()
