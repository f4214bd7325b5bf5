"""What a registration backend is, and how one is found by name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ekbom.space.checks import Message
from ekbom.space.image import Volume
from ekbom.space.transform import Affine, Transform

Kind = Literal["rigid", "affine", "deformable"]

#: Entry points under which another package offers a backend.
GROUP = "ekbom.registration"

_OWN = {
    "numba": "ekbom.space.register.own:Own",
    "greedy": "ekbom.space.register.greedy:Greedy",
    "niimath": "ekbom.space.register.niimath:Niimath",
    "dipy": "ekbom.space.register.dipy:Dipy",
    "ants": "ekbom.space.register.ants:Ants",
}

UNKNOWN_BACKEND = Message(
    "There is no registration backend of that name.",
    mend="Leave the backend out to use our own, or install a package that offers it.",
    field="backend",
)
CANNOT = Message("The registration backend cannot do this kind.", field="kind")
FAILED = Message(
    "The images could not be registered: the match is no better than at the start.",
    expected="a match above that of the start",
    mend="Look at both images; try another start (header, com or a transform file).",
)


@dataclass(frozen=True, eq=False)
class Registration:
    """What a backend found.

    Parameters
    ----------
    transform : Transform
        From points of the fixed image to points of the moving one.
    inverse : Transform
        The other way.
    metric : str
        What was made as large as possible.
    value, value_start : float
        The metric at the end and at the start.
    backend, version : str
        Who did it.
    settings : mapping
        All that the result depends on, besides the images.
    log : tuple of str
        What should be known.
    """

    transform: Transform
    inverse: Transform
    metric: str
    value: float
    value_start: float
    backend: str
    version: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    log: tuple[str, ...] = ()


@runtime_checkable
class Registrar(Protocol):
    """A registration program behind one interface."""

    name: str
    version: str
    can: frozenset[Kind]

    def register(
        self,
        fixed: Volume,
        moving: Volume,
        *,
        kind: Kind,
        metric: str = "auto",
        start: Affine | Literal["com", "header", "search"] = "com",
        fixed_mask: NDArray[np.bool_] | None = None,
        moving_mask: NDArray[np.bool_] | None = None,
        resolution: float = 2.0,
        threads: int = 1,
        seed: int = 0,
    ) -> Registration:
        """Find the transform that brings the moving image onto the fixed one.

        Parameters
        ----------
        fixed, moving : Volume
            Images with their place; values that are not finite do not count.
        kind : {"rigid", "affine", "deformable"}
            Freedom of the transform.
        metric : str
            ``"auto"`` lets the backend choose.
        start : Affine or {"com", "header", "search"}
            Where to start: centres of mass, the headers as they are, or several
            turns about the centres of mass of which the best is taken.
        fixed_mask, moving_mask : (X, Y, Z) array of bool, optional
            Where the images count.
        resolution : float
            Finest step (mm) at which the images are looked at.
        threads : int
            Upper limit.
        seed : int
            Of every random choice.

        Returns
        -------
        Registration
            The transform, its inverse, and how good it is.
        """
        ...


def backends() -> tuple[str, ...]:
    """List the backends there are by name, our own first.

    Returns
    -------
    tuple of str
        Our own, those we know how to call (installed or not), then those that other
        packages offer.
    """
    return (*_OWN, *sorted({e.name for e in entry_points(group=GROUP)} - set(_OWN)))


def backend(name: str = "auto", kind: Kind = "rigid") -> Registrar:
    """Return a backend by name.

    Parameters
    ----------
    name : str
        ``"auto"`` is our own, ``"numba"``.
    kind : {"rigid", "affine", "deformable"}
        What it must be able to do.

    Returns
    -------
    Registrar
        Ready to be called.

    Raises
    ------
    Refused
        No backend of that name, one that is not installed, or one that cannot do this kind.
    """
    name = "numba" if name == "auto" else name
    if name in _OWN:
        module, _, attribute = _OWN[name].partition(":")
        made = getattr(importlib.import_module(module), attribute)()
    else:
        found = [e for e in entry_points(group=GROUP) if e.name == name]
        if not found:
            raise UNKNOWN_BACKEND.refused(found=name, expected=", ".join(backends()))
        made = found[0].load()()
    if kind not in made.can:
        raise CANNOT.refused(found=f"{name}: {kind}", expected=", ".join(sorted(made.can)))
    registrar: Registrar = made
    return registrar
