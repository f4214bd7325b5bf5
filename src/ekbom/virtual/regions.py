"""Sources of activity: both sides of each region, other grey, white matter."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any

from ekbom.measures.pet.tracers import Tracer

#: Label 0 is everything else.
SIDES = ("Left", "Right")


@dataclass(frozen=True)
class Ellipsoid:
    """A region of the right side; the left is its mirror image.

    Parameters
    ----------
    name : str
        ``"MedialThalamus"``.
    tissue : {"all", "grey"}
        What of the ellipsoid belongs to it.
    centre, radii : tuple of float
        mm, MNI152NLin2009aSym.
    """

    name: str
    tissue: str
    centre: tuple[float, float, float]
    radii: tuple[float, float, float]

    @property
    def area(self) -> str:
        """Name without side, as plans and designs write it."""
        return self.name.lower()


@dataclass(frozen=True)
class Source:
    """A tissue with one curve.

    Parameters
    ----------
    name : str
        ``"Left-Caudate"``, ``"OtherGrey"``, ``"White"``.
    area : str
        Name without side, ``"caudate"``.
    index : int
        Label in the segmentation, 0 when it has none.
    VT : float
        Typical distribution volume, mL/cm3.
    K1 : float or None
        Typical uptake, when not that of the general set.
    """

    name: str
    area: str
    index: int
    VT: float
    K1: float | None = None


@functools.cache
def ellipsoids() -> tuple[Ellipsoid, ...]:
    """Return the built-in regions in order of precedence.

    Returns
    -------
    tuple of Ellipsoid
        Right side.
    """
    return tuple(
        Ellipsoid(r["name"], r["tissue"], _triple(r["centre"]), _triple(r["radii"]))
        for r in _table()["region"]
    )


def sources(tracer: Tracer, *, fluid: bool = False) -> tuple[Source, ...]:
    """Return all sources with a tracer's typical values.

    Parameters
    ----------
    tracer : Tracer
        Gives V_T where a region names a prior.
    fluid : bool
        Add cerebrospinal fluid.

    Returns
    -------
    tuple of Source
        Left and right of each region (labels 1, 2, 3 ...), other grey, white, fluid.
    """
    table = _table()
    priors = tracer.regional["VT"].values if "VT" in tracer.regional else {}
    specific = tracer.regional["BPND"].values if "BPND" in tracer.regional else None
    VND = tracer.kinetics["general"].VND
    out: list[Source] = []
    for region in table["region"]:
        if specific is not None:
            # a tracer analysed by a reference region: nothing binds where none is named
            name = region.get("prior", region["name"].lower())
            VT = VND * (1.0 + specific.get(name, 0.0))
        else:
            VT = float(priors[region["prior"]] if "prior" in region else region["VT"])
        for side in SIDES:
            name = region["name"]
            out.append(Source(f"{side}-{name}", name.lower(), len(out) + 1, VT))
    grey = float(table["other_grey"]["VT"])
    if specific is not None:
        grey = VND * (1.0 + specific.get("othergrey", 0.0))
    out.append(Source("OtherGrey", "othergrey", 0, grey))
    for name, key in (("White", "white"), *((("CSF", "csf"),) if fluid else ())):
        part = table[key]
        VT, K1 = float(part["VT"]), float(part["K1"])
        if specific is not None and name == "White":
            VT, K1 = 0.8 * VND, 0.4 * tracer.kinetics["general"].K1
        out.append(Source(name, key, 0, min(VT, VND) if name == "CSF" else VT, K1))
    return tuple(out)


def _triple(values: list[float]) -> tuple[float, float, float]:
    x, y, z = values
    return float(x), float(y), float(z)


@functools.cache
def _table() -> dict[str, Any]:
    text = (resources.files("ekbom.virtual") / "regions.toml").read_text("utf-8")
    return tomllib.loads(text)
