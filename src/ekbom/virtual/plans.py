"""The plan that belongs to a simulated study, as a user would write it."""

from __future__ import annotations

from importlib import resources

from ekbom.virtual.design import Design
from ekbom.virtual.study import SIZES

#: The plan of a design that is to be analysed quickly: straight lines between blood samples, and
#: nothing drawn of them again, which takes seconds a person.
QUICK = "quick"
#: Patients that the questions need: affective pain with severity and age has four columns.
FEWEST = 6
#: Heading of the part of the plan that speaks of space.
_SPACE = "[space]\n"
#: The line of the plan that speaks of the input function.
_INPUT = 'input = "interpolate"\n'


def plan_text(size: str, design: Design | None = None) -> str:
    """Return ``plan.toml`` for a simulated study.

    Parameters
    ----------
    size : {"rois", "quick", "full"}
        Images add maps and questions over voxels.
    design : Design, optional
        One with a plan of its own gets that; one with heads of its own says how
        they come together.

    Returns
    -------
    str
        TOML.
    """
    quick = design is not None and design.plan == QUICK
    if design is not None and design.plan is not None and not quick:
        return (resources.files("ekbom.virtual") / "plans" / f"{design.plan}.toml").read_text(
            "utf-8"
        )
    folder = resources.files("ekbom.virtual") / "plans"
    text = (folder / "regions.toml").read_text("utf-8")
    if design is not None and design.opioid is not None and not quick:
        # the model study: what becomes of the blood is carried to V_T
        text = text.replace(_INPUT, _INPUT + (folder / "blood.toml").read_text("utf-8"))
    resolution = SIZES[size]
    if resolution is not None:
        text += (folder / "voxels.toml").read_text("utf-8")
    if resolution is not None and design is not None and design.head is not None:
        # heads differ: where their maps meet, and how finely the way is looked for
        native = (folder / "native.toml").read_text("utf-8").format(resolution=resolution)
        text = text.replace(_SPACE, _SPACE + native)
    return text if design is None else _answerable(text, design)


def _answerable(text: str, design: Design) -> str:
    """Leave out the questions that so few people cannot answer."""
    rls, others = design.groups.rls, design.groups.control
    if rls >= FEWEST and rls + others >= FEWEST:
        return text
    blocks = text.rstrip("\n").split("\n\n")
    kept = [block for block in blocks if "[questions." not in block]
    text = "\n\n".join(kept) + "\n"
    if min(rls, others) >= 1 and rls + others >= 3:
        text += (resources.files("ekbom.virtual") / "plans" / "few.toml").read_text("utf-8")
    return text
