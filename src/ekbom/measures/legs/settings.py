"""Settings of ``[measures.legs]`` in a plan."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ekbom.measures.legs.detect import DetectSettings
from ekbom.measures.legs.rules import RULE_SETS


class LegsSettings(BaseModel):
    """How leg movements are found and scored.

    Parameters
    ----------
    rules : list of str
        Rule sets, each with its own numbers.
    marks : {"auto", "given", "detect"}
        Marks of the study's events, movements found in the EMG, or the former
        where there are any.
    task : str
        Task of the night recording.
    sit_task : str
        Task of the suggested immobilisation test.
    channels : list of str
        Leg channels, ``LABEL`` or ``LABEL=L``; by type and name when empty.
    ecg_channel : str or None
        By name when not given.
    scorer : str or None
        Value of the entity ``acq`` of the events file, when there are several.
    short_imi_can_open : bool
        WASM 2016: whether the movement after a short interval may open a series.
    aasm_short_imi, aasm_non_clm : {"end", "skip"}
        Readings of the AASM manual.
    arousal_closed : bool
        Whether a gap of exactly 0.5 s to an arousal counts.
    resp_window : {"rules", "event"}
        WASM 2016: the recommended window about the end of a respiratory event,
        or 0.5 s about all of it.
    rera : bool
        Whether arousals related to respiratory effort count as respiratory events.
    child : bool
        Cut of 5/h instead of 15/h in words; the rules are the same.
    on, off, hold : float
        Detection thresholds, uV above rest and s.
    ecg, notch, crosstalk : {"auto", "none"}
        Disturbances removed.
    figures : bool
    seed : int
        Of the bootstrap.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: list[str] = list(RULE_SETS)
    marks: Literal["auto", "given", "detect"] = "auto"
    task: str = "sleep"
    sit_task: str = "sit"
    channels: list[str] = []
    ecg_channel: str | None = None
    scorer: str | None = None
    short_imi_can_open: bool = True
    aasm_short_imi: Literal["end", "skip"] = "end"
    aasm_non_clm: Literal["end", "skip"] = "end"
    arousal_closed: bool = False
    resp_window: Literal["rules", "event"] = "rules"
    rera: bool = False
    child: bool = False
    on: float = Field(8.0, gt=0)
    off: float = Field(2.0, gt=0)
    hold: float = Field(0.5, gt=0.1, le=5)
    ecg: Literal["auto", "none"] = "auto"
    notch: Literal["auto", "none"] = "auto"
    crosstalk: Literal["auto", "none"] = "auto"
    figures: bool = True
    seed: int = 0

    @field_validator("rules")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        wrong = [n for n in names if n not in RULE_SETS]
        if wrong or not names:
            raise ValueError(f"rules must be some of {', '.join(RULE_SETS)}; got {wrong or names}")
        return list(dict.fromkeys(names))

    def detection(self) -> DetectSettings:
        """Return the settings of the detector."""
        return DetectSettings(
            on=self.on,
            off=self.off,
            hold=self.hold,
            ecg=self.ecg,
            notch=self.notch,
            crosstalk=self.crosstalk,
        )
