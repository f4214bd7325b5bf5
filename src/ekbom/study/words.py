"""Small words for messages: lists of choices and "did you mean"."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def choices(names: Iterable[str], limit: int = 20) -> str:
    """Return names as one line, cut after `limit` with the number left out.

    Parameters
    ----------
    names : iterable of str
        The choices, in the order to be shown.
    limit : int
        How many are written out.

    Returns
    -------
    str
        ``"a, b, c (and 7 more)"``, or ``"nothing"`` when there are none.
    """
    listed = [str(name) for name in names]
    if not listed:
        return "nothing"
    more = len(listed) - limit
    return ", ".join(listed[:limit]) + (f" (and {more} more)" if more > 0 else "")


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the choice that looks most like `name`, if one does.

    Parameters
    ----------
    name : str
        What was written.
    names : iterable of str
        What could have been meant.

    Returns
    -------
    str or None
        One of `names`.
    """
    listed = [str(n) for n in names]
    folded = {n.casefold(): n for n in reversed(listed)}
    hits = difflib.get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.6)
    return folded[hits[0]] if hits else None


def did_you_mean(name: str, names: Iterable[str]) -> str | None:
    """Return ``"did you mean 'x'?"`` or None.

    Parameters
    ----------
    name : str
        What was written.
    names : iterable of str
        What could have been meant.

    Returns
    -------
    str or None
        The question, ready for ``Refused.mend``.
    """
    hit = nearest(name, names)
    return None if hit is None else f"did you mean {hit!r}?"
