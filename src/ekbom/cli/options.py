"""Options that become settings: what validation says of them, as a refusal of the command."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pydantic import ValidationError

from ekbom.errors import Refused

_S = TypeVar("_S")


def accepted(make: Callable[[], _S], command: str) -> _S:
    """Return settings made of options.

    Parameters
    ----------
    make : callable
        Makes the settings.
    command : str
        Whose help lists the options, such as ``pet map``.

    Returns
    -------
    settings
        What ``make`` returned.

    Raises
    ------
    Refused
        With the first option that is at fault; where several only do not go together, none is
        named and what is asked for says which.
    """
    try:
        return make()
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        option = "-".join(str(part) for part in first["loc"] if isinstance(part, str))
        found = first["input"]
        listed = ", ".join(map(str, found)) if isinstance(found, list | tuple) else found
        raise Refused(
            "An option is not accepted." if option else "These options do not go together.",
            field=f"--{option}" if option else None,
            found=(listed if listed != "" else "nothing") if option else None,
            expected=first["msg"].removeprefix("Value error, "),
            mend=f"see `ekbom {command} --help`",
        ) from None
