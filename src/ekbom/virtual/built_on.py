"""A design may be built on another: its settings, but for what the new one says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ekbom.errors import Refused

#: What a design never takes from the one below: its key, and the variants, which may speak
#: of parts that the new design has left out.
_OWN = ("name", "variants")


def whole(
    tree: dict[str, Any],
    source: str,
    below: Callable[[str], dict[str, Any]],
    above: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Return the settings of a design with those of the designs that it is built on.

    Parameters
    ----------
    tree : dict
        Settings as written; ``base`` names the design below, ``without`` lists its parts
        that are left out. Tables are joined key by key, anything else is replaced.
    source : str
        File name, for messages.
    below : callable
        Gives the settings of a ready-made design, as written.
    above : tuple of str
        Designs that lead here, to find a loop.

    Returns
    -------
    dict
        Without ``base`` and ``without``. The name and the variants are the design's own.

    Raises
    ------
    Refused
        Unknown base, a loop, or a part left out that the base does not have.
    """
    own = dict(tree)
    base, without = own.pop("base", None), own.pop("without", [])
    if base is None:
        if without:
            raise Refused(
                "A design without a base has nothing to leave out.",
                file=source, field="without", found=without, expected='base = "..." above it',
            )  # fmt: skip
        return own
    if not isinstance(base, str) or not _words(without):
        raise Refused(
            "A base is a name, and what is left of it a list of names.",
            file=source, field="base, without", found=f"{base!r}, {without!r}",
            expected='base = "von-spiczak-2005" and without = ["head", "t1"]',
        )  # fmt: skip
    if base in above:
        raise Refused(
            "Designs are built on each other in a circle.",
            file=source, field="base", found=" on ".join((*above, base)),
            expected="a design that does not come from this one",
        )  # fmt: skip
    try:
        written = below(base)
    except Refused as no:
        no.file = no.file or source
        raise
    settings = whole(written, f"{base}.toml", below, (*above, base))
    for key in _OWN:
        settings.pop(key, None)
    for part in without:
        if part not in settings:
            raise Refused(
                "The base has no such part.",
                file=source, field="without", found=part, expected=", ".join(settings),
            )  # fmt: skip
        del settings[part]
    return _joined(settings, own)


def _words(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


def _joined(below: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    out = dict(below)
    for key, value in own.items():
        there = out.get(key)
        both = isinstance(there, dict) and isinstance(value, dict)
        out[key] = _joined(there, value) if both else value  # type: ignore[arg-type]
    return out
