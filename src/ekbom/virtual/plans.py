"""The plan that belongs to a simulated study, as a user would write it."""

from __future__ import annotations

from importlib import resources

from ekbom.virtual.study import SIZES


def plan_text(size: str) -> str:
    """Return ``plan.toml`` for a simulated study.

    Parameters
    ----------
    size : {"rois", "quick", "full"}
        Images add maps and questions over voxels.

    Returns
    -------
    str
        TOML.
    """
    folder = resources.files("ekbom.virtual") / "plans"
    text = (folder / "regions.toml").read_text("utf-8")
    if SIZES[size] is not None:
        text += (folder / "voxels.toml").read_text("utf-8")
    return text
