"""What a machine offers: versions, cores, memory, and where kernels are cached."""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

import ekbom
from ekbom import inference
from ekbom.study import registry
from ekbom.study.executors import cores
from ekbom.study.store import libraries

#: Functions that compile kernels, ``module:function``; those of other packages
#: are found in the entry-point group ``ekbom.warm``. A module that is not
#: there is passed over.
WARM = (
    "ekbom.measures.pet.warm:warm",
    "ekbom.measures.legs.warm:warm",
    "ekbom.study.health:warm_inference",
)

#: Optional packages and what they are for.
EXTRAS = {
    "distributed": "hpc: run on a cluster",
    "dask_jobqueue": "hpc: submit jobs to SLURM",
    "ants": "register: registration",
    "numba_cuda": "gpu: kernels on a GPU",
}


@dataclass(frozen=True)
class Fact:
    """One thing found.

    Parameters
    ----------
    name, found : str
        What, and what it is.
    state : {"ok", "note", "bad"}
        Whether it is as it should be.
    mend : str
        What can be done.
    """

    name: str
    found: str
    state: Literal["ok", "note", "bad"] = "ok"
    mend: str = ""


def examine() -> list[Fact]:
    """Return what this machine offers.

    Returns
    -------
    list of Fact
        Versions, cores, memory, cache, extras, measures.
    """
    facts = [
        Fact("ekbom", ekbom.__version__),
        Fact("python", f"{platform.python_version()} ({sys.executable})"),
        Fact("platform", platform.platform()),
        *_libraries(),
        Fact("cores", str(cores())),
        _memory(),
        _cache(),
        _temporary(),
    ]
    facts += [_extra(name, use) for name, use in EXTRAS.items()]
    facts += [_measure(name, place) for name, place in registry.places().items()]
    return facts


def warm() -> Iterator[str]:
    """Compile all kernels.

    Yields
    ------
    str
        One line before and after each part.
    """
    places = list(WARM) + [e.value for e in entry_points(group="ekbom.warm")]
    whole = time.perf_counter()
    for place in places:
        module, _, name = place.partition(":")
        if not _exists(module):
            continue
        function = getattr(importlib.import_module(module), name, None)
        if function is None:
            continue
        yield f"compiling {module} ..."
        start = time.perf_counter()
        function()
        yield f"  {time.perf_counter() - start:.1f} s"
    yield f"warm: all kernels compiled or found in the cache, {time.perf_counter() - whole:.1f} s"


def warm_inference() -> None:
    """Answer one small question by permutation, over regions and over voxels."""
    values = np.arange(24.0).reshape(8, 3) % 7
    table = pd.DataFrame(
        {"participant": [f"sub-{k}" for k in range(8)], "group": ["rls", "control"] * 4}
    )
    settings = inference.Settings(method="max-t", permutations=70)
    names = ("a", "b", "c")
    inference.answer_regions(values, names, "1", table, "~ group", "rls - control", settings)
    settings = inference.Settings(method="tfce", permutations=70)
    mask, affine = np.ones((3, 1, 1), bool), np.eye(4)
    asked = ("~ group", "rls - control")
    maps = (values + 1.0).astype(np.float32)
    inference.answer_voxels(maps, mask, affine, "1", table, *asked, settings)


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _libraries() -> list[Fact]:
    known = libraries()
    return [
        Fact(name, known[name])
        if name in known
        else Fact(name, "not installed", "bad", f"pip install {name}")
        for name in (
            "numpy",
            "scipy",
            "numba",
            "pandas",
            "nibabel",
            "nilearn",
            "formulaic",
            "matplotlib",
        )
    ]


def _memory() -> Fact:
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    except (ValueError, OSError, AttributeError):
        return Fact("memory", "unknown", "note")
    state: Literal["ok", "note"] = "note" if total < 4 else "ok"
    mend = "little for images; use one worker" if total < 4 else ""
    return Fact("memory", f"{total:.1f} GiB, {free:.1f} GiB free", state, mend)


def kernels_are_cold() -> bool:
    """Tell whether no compiled kernel is in the cache, so that a first run will compile.

    Returns
    -------
    bool
        True on a fresh install.
    """
    named = os.environ.get("NUMBA_CACHE_DIR")
    places = [Path(named)] if named else [Path(ekbom.__file__).parent]
    return not any(True for place in places for _ in place.rglob("*.nbi"))


def _cache() -> Fact:
    """Where numba keeps compiled kernels: NUMBA_CACHE_DIR, else beside the sources."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(named) if named else Path(ekbom.__file__).parent / "__pycache__"
    if writable(folder):
        return Fact("kernel cache", f"{folder} (can be written)")
    return Fact(
        "kernel cache",
        f"{folder} cannot be written: kernels would be compiled at every start",
        "bad" if named else "note",
        "set NUMBA_CACHE_DIR to a folder of yours, e.g. export NUMBA_CACHE_DIR=~/.cache/ekbom",
    )


def _temporary() -> Fact:
    folder = Path(tempfile.gettempdir())
    if writable(folder):
        return Fact("temporary folder", str(folder))
    return Fact("temporary folder", f"{folder} cannot be written", "bad", "set TMPDIR")


def writable(folder: Path) -> bool:
    """Tell whether a file can be made in a folder (permission bits do not say).

    Parameters
    ----------
    folder : Path
        Made when it does not exist.

    Returns
    -------
    bool
        A file was made and removed.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _extra(name: str, use: str) -> Fact:
    try:
        found = version(name)
    except PackageNotFoundError:
        return Fact(f"optional {name}", f"not installed ({use})", "note")
    return Fact(f"optional {name}", f"{found} ({use})")


def _measure(name: str, place: str) -> Fact:
    try:
        registry.load(place)
    except Exception as fault:
        return Fact(f"measure {name}", f"{type(fault).__name__}: {fault}", "bad", "reinstall it")
    return Fact(f"measure {name}", place)
