"""Planted faults through the real run: each must be refused by name, its neighbours measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ekbom import virtual
from ekbom.study.run import run_study
from ekbom.validate.result import Check
from ekbom.virtual.faults import FAULTS, Fault

#: Plan of each kind of study: as small as the refusal allows.
_PLANS = {
    "pet": '[measures.pet]\nmodel = ["ma1"]\ntstar = 20\nfigures = false\n',
    "night": "[measures.legs]\n",
    "sides": (
        '[measures.pet]\nmodel = ["ma1"]\ntstar = 20\nfigures = false\n'
        "[space]\nresolution = 4\nwarp_resolution = 4\n"
        'warp = "affine"\nmotion = false\n'
    ),
}


@dataclass(frozen=True)
class Said:
    """What became of one planted fault.

    Parameters
    ----------
    fault : Fault
        What was planted.
    people : tuple of str
        Whose scan or night was refused.
    what, file, field : str
        The refusal: its first sentence, and the file and field it names.
    measured : int
        Scans or nights that were measured.
    """

    fault: Fault
    people: tuple[str, ...]
    what: str
    file: str
    field: str
    measured: int

    @property
    def caught(self) -> bool:
        """Whether the person with the fault alone was refused, by the field at fault."""
        named = self.fault.field.lower() in f"{self.field} {self.what}".lower()
        return named and self.people == ("sub-01",)


def planted(place: Path, name: str) -> Said:
    """Plant one fault into a small study and run it.

    Parameters
    ----------
    place : Path
        Empty folder.
    name : str
        Key of :data:`ekbom.virtual.faults.FAULTS`.

    Returns
    -------
    Said
        What the run made of it.
    """
    fault = FAULTS[name]
    raw = place / "raw"
    if fault.of == "night":
        virtual.make_clinical("smoke-nights", raw, size="rois", faults=(name,))
    elif name == "sides":
        # the side can be told where the person's own T1w image shows it
        heads = virtual.load("von-spiczak-2005")
        own = virtual.load("smoke").model_copy(update={"head": heads.head, "t1": heads.t1})
        virtual.make(own, raw, size="quick", seed=1, subjects=1, faults=(name,))
    else:
        virtual.make("smoke", raw, size="rois", seed=1, subjects=2, faults=(name,))
    plan = place / "plan.toml"
    plan.write_text(_PLANS["sides" if name == "sides" else fault.of])
    found = run_study(raw, place / "out", "participant", plan).found
    parts = found.stopped[0].parts if found.stopped else {}
    return Said(
        fault,
        tuple(sorted({one.unit.participant for one in found.stopped})),
        str(parts.get("what") or ""),
        str(parts.get("file") or ""),
        str(parts.get("field") or ""),
        len(found.measured),
    )


def validate_faults(
    place: Path, names: tuple[str, ...] = tuple(FAULTS), tell: Callable[[str], None] = print
) -> Iterator[Check]:
    """Plant every fault, one study each.

    Parameters
    ----------
    place : Path
        Empty folder.
    names : tuple of str
        Faults.
    tell : callable
        Told which is being run.

    Yields
    ------
    Check
        1 where it was refused by name and nobody else was; the refusal in the note.
    """
    for name in names:
        tell(f"planting {name}: {FAULTS[name].words}")
        said = planted(place / name, name)
        file = Path(said.file).name
        yield Check(
            f"{name} ({said.fault.words}): refused by name", float(said.caught),
            1 + said.measured, "", 1.0, 1.0,
            note=f"{said.what} file {file}" + (f", field {said.field}" if said.field else ""),
        )  # fmt: skip
