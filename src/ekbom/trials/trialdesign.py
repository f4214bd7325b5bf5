"""The design of an in-silico trial, as TOML."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ekbom.disease.doses import dose as read_dose
from ekbom.disease.simulate import Event
from ekbom.errors import Refused

#: Endpoints, and what each is.
ENDPOINTS: Mapping[str, str] = {
    "irls_change": "change of the severity total at the last visit, points",
    "responder": "share whose severity fell by half or more, as odds ratio",
    "plms": "periodic leg movements in sleep, change, 1/h",
    "plmw": "periodic leg movements in an hour of quiet wake, change, 1/h",
    "vas": "evening urge on a scale of 0 to 100, change",
    "ferritin": "serum ferritin, change, ug/L",
    "r2s_sn": "R2* of the substantia nigra, change, 1/s",
    "augmentation": "share with augmentation at the end, %",
}
_DAY = re.compile(r"^(?P<dose>.*?)\s+day\s+(?P<day>\d+)$")


class Arm(BaseModel):
    """What an arm takes.

    Parameters
    ----------
    dose : tuple of str
        Daily doses, ``levodopa 100 mg 21:00``; an infusion is given once, on the
        first day or on ``day N`` after it.
    set : mapping of str to float
        Parameters of the disease model that the drug sets.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dose: tuple[str, ...] = ()
    set: dict[str, float] = Field(default_factory=dict)

    def events(self) -> tuple[list[Event], list[Event]]:
        """Return doses of every day, and single ones from the start of treatment."""
        daily: list[Event] = []
        once: list[Event] = []
        for text in self.dose:
            found = _DAY.match(text.strip().lower())
            (event,) = read_dose(found["dose"] if found else text, 1)
            if event.target == "fx":
                day = int(found["day"]) if found else 0
                once.append(Event(event.time + 24.0 * day, event.target, event.amount))
            elif found:
                raise Refused("Only an infusion is given on one day.", field="dose", found=text,
                              expected="a daily dose without `day`")  # fmt: skip
            else:
                daily.append(event)
        return daily, once


class TrialDesign(BaseModel):
    """A trial.

    Parameters
    ----------
    title : str
    design : {"parallel", "crossover", "augmentation"}
    weeks : int
        Of treatment (of each period, in a crossover).
    visits : tuple of int
        Weeks; the last is the end of treatment.
    washout_weeks : int
        Between the periods of a crossover.
    n : int
        People in all.
    allocation : tuple of int
        Shares of the arms in their order; equal when empty.
    reference : str
        Arm the others are compared with.
    arms : mapping of str to Arm
    irls_least : int
        Severity at screening.
    plms_least : float or None
        Periodic leg movements in an hour of sleep, in a night of screening; the baseline of
        movements is another night.
    plms_like : tuple of float or None
        Mean and SD of movements an hour at screening in the study that is repeated: people
        are screened so often that those taken have about these.
    ferritin_below : float or None
        ug/L, or transferrin saturation below 20 %.
    baseline : {"screening", "fresh"}
        Whether the value that people were selected by is the baseline (which then
        regresses to the mean), or they are asked again.
    dropout : float
        Share lost by the end, spread over the visits.
    endpoints : tuple of str
        The first is the primary one.
    analysis : {"ancova", "mmrm", "crossover", "share"}
    findings : mapping of str to str
        Finding whose printed effect stands beside an endpoint.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    design: Literal["parallel", "crossover", "augmentation"]
    weeks: int = Field(ge=1, le=156)
    visits: tuple[int, ...] = Field(min_length=1)
    washout_weeks: int = Field(default=2, ge=0, le=52)
    n: int = Field(ge=8, le=20_000)
    allocation: tuple[int, ...] = ()
    reference: str
    arms: dict[str, Arm] = Field(min_length=2)
    irls_least: int = Field(default=0, ge=0, le=39)
    plms_least: float | None = Field(default=None, ge=0, le=100)
    plms_like: tuple[float, float] | None = None
    ferritin_below: float | None = Field(default=None, gt=0)
    baseline: Literal["screening", "fresh"] = "screening"
    dropout: float = Field(default=0.0, ge=0, lt=0.8)
    endpoints: tuple[str, ...] = Field(min_length=1)
    analysis: Literal["ancova", "mmrm", "crossover", "share"]
    findings: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.reference not in self.arms:
            raise ValueError(f"reference must be one of the arms: {', '.join(self.arms)}")
        if list(self.visits) != sorted(set(self.visits)) or self.visits[0] < 1:
            raise ValueError("visits must be weeks that rise from 1 on")
        if self.plms_like is not None and min(self.plms_like) <= 0:
            raise ValueError("plms_like must be a mean and an SD above 0")
        if self.visits[-1] != self.weeks:
            raise ValueError("the last visit must be the end of treatment")
        strange = [e for e in self.endpoints if e not in ENDPOINTS]
        if strange:
            raise ValueError(f"endpoints must be some of {', '.join(ENDPOINTS)}")
        if self.allocation and len(self.allocation) != len(self.arms):
            raise ValueError("allocation must be one share an arm")
        if self.allocation and min(self.allocation) < 1:
            raise ValueError("allocation must be whole numbers of 1 or more")
        if (self.design == "crossover") != (self.analysis == "crossover"):
            raise ValueError("a crossover is analysed as one, and nothing else is")
        if (self.design == "augmentation") != (self.analysis == "share"):
            raise ValueError('a design of augmentation has analysis = "share", no other has')
        if self.design == "crossover" and len(self.arms) != 2:
            raise ValueError("a crossover has two arms")
        if self.design != "augmentation" and "augmentation" in self.endpoints:
            raise ValueError("augmentation is an endpoint of its own design")
        if self.analysis == "mmrm" and len(self.visits) < 2:
            raise ValueError("mmrm needs two visits or more after the baseline")
        if self.design == "crossover" and "responder" in self.endpoints:
            raise ValueError("responders of a crossover are not analysed here")
        return self

    @property
    def nights(self) -> frozenset[str]:
        """What is read from recordings of movements, ``plms`` in sleep and ``plmw`` awake."""
        screened = self.plms_least is not None or self.plms_like is not None
        asked = {"plms"} if screened else set()
        return frozenset(asked | ({"plms", "plmw"} & set(self.endpoints)))

    @property
    def others(self) -> tuple[str, ...]:
        """Arms other than the reference, in order."""
        return tuple(a for a in self.arms if a != self.reference)

    @property
    def names(self) -> tuple[str, ...]:
        """Arms, the reference first."""
        return (self.reference, *self.others)

    def shares(self) -> tuple[float, ...]:
        """Return the share of each arm of :attr:`names`."""
        given = dict(zip(self.arms, self.allocation or (1,) * len(self.arms), strict=True))
        return tuple(given[a] / sum(given.values()) for a in self.names)


def ready_designs() -> tuple[str, ...]:
    """Return the names of the designs that are shipped."""
    folder = resources.files("ekbom.trials") / "designs"
    return tuple(
        sorted(p.name.removesuffix(".toml") for p in folder.iterdir() if p.name.endswith(".toml"))
    )


def ready_text(name: str) -> str:
    """Return the TOML of a design that is shipped."""
    return (resources.files("ekbom.trials") / "designs" / f"{name}.toml").read_text("utf-8")


def parse_trial(text: str, source: str, changes: Mapping[str, Any] | None = None) -> TrialDesign:
    """Return a design from TOML text.

    Parameters
    ----------
    text : str
        TOML.
    source : str
        File name, for messages.
    changes : mapping, optional
        Keys to change, such as ``{"n": 100}``.

    Returns
    -------
    TrialDesign
        Checked, its doses read.

    Raises
    ------
    Refused
        No TOML, an unknown key, a value out of range, a dose that cannot be read.
    """
    try:
        tree = tomllib.loads(text) | dict(changes or {})
    except tomllib.TOMLDecodeError as fault:
        raise Refused("The design is not TOML.", file=source, found=str(fault)) from fault
    try:
        built = TrialDesign(**tree)
    except (ValidationError, TypeError) as fault:
        first: dict[str, Any] = (
            dict(fault.errors()[0]) if isinstance(fault, ValidationError) else {}
        )
        raise Refused(
            "The design of the trial does not hold together.",
            file=source,
            field=".".join(str(p) for p in first.get("loc", ())) or "design",
            found=first.get("input") if first.get("loc") else None,
            expected=str(first.get("msg", fault)).removeprefix("Value error, "),
        ) from fault
    for arm in built.arms.values():
        arm.events()
    return built
