"""The plan that belongs to a simulated study, as a user would write it."""

from __future__ import annotations

from importlib import resources

from ekbom.virtual.design import Design
from ekbom.virtual.study import SIZES


def plan_text(size: str, design: Design | None = None) -> str:
    """Return ``plan.toml`` for a simulated study.

    Parameters
    ----------
    size : {"rois", "quick", "full"}
        Images add maps and questions over voxels.
    design : Design, optional
        One with a plan of its own gets that.

    Returns
    -------
    str
        TOML.
    """
    if design is not None and design.plan is not None:
        return (resources.files("ekbom.virtual") / "plans" / f"{design.plan}.toml").read_text(
            "utf-8"
        )
    folder = resources.files("ekbom.virtual") / "plans"
    text = (folder / "regions.toml").read_text("utf-8")
    if SIZES[size] is not None:
        text += (folder / "voxels.toml").read_text("utf-8")
    return text
