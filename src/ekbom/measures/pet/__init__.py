"""Dynamic PET and blood to regional values and maps.

Public names are imported when they are first asked for, so that the tracer
files or the settings can be read without compiling kernels::

    from ekbom.measures import pet
    frames = pet.Frames.of_runs([(6, 10), (3, 20), (3, 60), (5, 120), (14, 300)], half_life=20.364)
    result = pet.fit(tacs, frames, input, model="2tcm")
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ekbom.measures.pet.blood import BloodData
    from ekbom.measures.pet.delay import Delay, fit_delay
    from ekbom.measures.pet.fit import fit
    from ekbom.measures.pet.frames import Frames
    from ekbom.measures.pet.input import InputFunction
    from ekbom.measures.pet.input_fit import InputFit, fit_input
    from ekbom.measures.pet.kinetic import KineticFit
    from ekbom.measures.pet.parametric import map_voxels
    from ekbom.measures.pet.reference import fit_reference
    from ekbom.measures.pet.reference_maps import map_reference
    from ekbom.measures.pet.select import choose
    from ekbom.measures.pet.tracers import Tracer, tracer
    from ekbom.measures.pet.tstar import TStar, choose_tstar
    from ekbom.measures.pet.uncertainty import bootstrap, profile_interval

_HOME = {
    "BloodData": "blood",
    "Delay": "delay",
    "Frames": "frames",
    "InputFit": "input_fit",
    "InputFunction": "input",
    "KineticFit": "kinetic",
    "TStar": "tstar",
    "Tracer": "tracers",
    "bootstrap": "uncertainty",
    "choose": "select",
    "choose_tstar": "tstar",
    "fit": "fit",
    "fit_delay": "delay",
    "fit_input": "input_fit",
    "fit_reference": "reference",
    "map_reference": "reference_maps",
    "map_voxels": "parametric",
    "profile_interval": "uncertainty",
    "tracer": "tracers",
}

__all__ = [
    "BloodData",
    "Delay",
    "Frames",
    "InputFit",
    "InputFunction",
    "KineticFit",
    "TStar",
    "Tracer",
    "bootstrap",
    "choose",
    "choose_tstar",
    "fit",
    "fit_delay",
    "fit_input",
    "fit_reference",
    "map_reference",
    "map_voxels",
    "profile_interval",
    "tracer",
]


class _Package(ModuleType):
    """A package in which ``fit`` is the function, though a module has that name too."""

    def __setattr__(self, name: str, value: Any) -> None:
        # the import system binds a submodule to its parent under its own name
        if name == "fit" and isinstance(value, ModuleType):
            value = value.fit
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
