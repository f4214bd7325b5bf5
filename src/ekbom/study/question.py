"""What a question of the plan may say, and what it may not say at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ekbom.errors import Refused
from ekbom.nouns import Measure
from ekbom.study import registry
from ekbom.study.kinds import Kind, KindKeys, check_keys
from ekbom.study.words import choices, did_you_mean

Sign = Literal["two-sided", "positive", "negative"]


class Strict(BaseModel):
    """A table of the plan: no unknown keys, no change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class Question(KindKeys):
    """``[questions.<name>]``: what is asked of the measurements.

    Attributes
    ----------
    kind : {"effect", "reliability", "equivalence", "mediation", "conjunction", ...}
        A tested effect of a model, agreement between sessions, or one of the kinds whose
        keys :class:`~ekbom.study.kinds.KindKeys` lists.
    outcome : str
        ``"pet.VT"``, ``"table:FILE:column"``, or a name of a table column.
    method : str or list of str, optional
        Kinetic model or rule set; a list gives one answer each.
    over : {"regions", "voxels"}
        Where it is asked. A plain number is one region.
    segmentation : str, optional
        Whose regions; needed when there are several.
    regions : list of str, optional
        The declared family, in this order; all of the segmentation by default.
    among : str, optional
        Which scans, ``"group == 'rls' and age < 70"``.
    model, test : str, optional
        Formula, and the named effect tested (for ``kind = "effect"``).
    sign : {"two-sided", "positive", "negative"}, optional
        Alternative; two-sided unless given.
    blocks : str, optional
        Column within whose levels rows are exchangeable.
    missing : {"drop-scan", "drop-region", "refuse"}
        What is done when a scan has no number in a declared region. Always by
        name.
    drop_flagged : list of str
        Flags of a measure (``k4_small``, ``no_convergence``) whose numbers count as missing;
        none by default: then a flagged number stays, is counted and named.
    space : str, optional
        Space label of the maps (voxels), when there are several.
    mask : str, optional
        Mask image (voxels), relative to the BIDS folder.
    inference : mapping
        Fields of :class:`ekbom.inference.Settings`.
    """

    kind: Kind = "effect"
    outcome: str
    method: str | list[str] | None = None
    over: Literal["regions", "voxels"] = "regions"
    segmentation: str | None = None
    regions: list[str] | None = Field(default=None, min_length=1)
    among: str | None = None
    model: str | None = None
    test: str | None = None
    sign: Sign | None = None
    blocks: str | None = None
    missing: Literal["drop-scan", "drop-region", "refuse"] = "drop-scan"
    drop_flagged: list[str] = Field(default_factory=list)
    space: str | None = None
    mask: str | None = None
    inference: dict[str, Any] = Field(default_factory=dict)

    @property
    def measure(self) -> str | None:
        """Name of the measure asked about, None for a column of a table."""
        head, dot, _ = self.outcome.partition(".")
        return head if dot and not self.outcome.startswith("table:") else None

    @property
    def methods(self) -> list[str | None]:
        """The methods, one answer each."""
        return [*self.method] if isinstance(self.method, list) else [self.method]


def check_question(question: Question, measures: Mapping[str, Measure]) -> None:
    """Refuse a question that contradicts itself.

    Parameters
    ----------
    question : Question
        What is asked.
    measures : mapping of str to Measure
        Those of the plan.

    Raises
    ------
    Refused
        Without the file and the full key, which the plan adds.
    """
    check_keys(question)
    methods = [m for m in question.methods if m is not None]
    if len(set(methods)) < len(methods) or question.method == []:
        raise Refused(
            "the list of methods is empty or names one twice",
            field="method",
            found=question.method,
            expected="each method once",
            mend="correct the list",
        )
    doubled = sorted({r for r in question.regions or () if (question.regions or []).count(r) > 1})
    if doubled:
        raise Refused(
            "the list of regions names one twice",
            field="regions",
            found=choices(doubled),
            expected="each region once",
            mend="remove the second",
        )
    if question.drop_flagged and question.over == "voxels":
        raise Refused(
            "flags of regions say nothing of voxels",
            field="drop_flagged",
            found=choices(question.drop_flagged),
            expected="a question over regions",
            mend="leave it out, or ask over regions; maps have a map of their flags",
        )
    _check_outcome(question, measures)


def _check_outcome(question: Question, measures: Mapping[str, Measure]) -> None:
    outcome = question.outcome
    if outcome.startswith("table:"):
        if not re.fullmatch(r"table:[^:]+:[^:]+", outcome):
            raise Refused(
                "the outcome does not name a column of a table",
                field="outcome",
                found=outcome,
                expected="table:FILE:column, FILE relative to the BIDS folder",
                mend='write it like "table:phenotype/irls.tsv:irls_total"',
            )
    elif question.measure is not None and question.measure in registry.places():
        name = question.measure
        if name not in measures:
            raise Refused(
                f"the question asks about the measure {name}, which the plan does not take",
                field="outcome",
                found=outcome,
                expected=choices(f"{key}.*" for key in measures),
                mend=f"add [measures.{name}] to the plan",
            )
        known = [f"{name}.{parameter}" for parameter in measures[name].outcomes]
        if outcome not in known:
            raise Refused(
                f"the measure {name} has no outcome of this name",
                field="outcome",
                found=outcome,
                expected=choices(known),
                mend=did_you_mean(outcome, known) or "name one of its outcomes",
            )
    if question.over == "voxels" and question.kind in ("reliability", "longitudinal"):
        raise Refused(
            f"{'reliability' if question.kind == 'reliability' else 'a longitudinal question'}"
            " is asked over regions",
            field="over",
            found="voxels",
            expected="regions",
            mend='say over = "regions"',
        )
    if question.over == "voxels" and question.measure not in measures:
        raise Refused(
            "only a measure has maps",
            field="over",
            found=f"voxels, with outcome {outcome}",
            expected='the outcome of a measure, or over = "regions"',
            mend='say over = "regions"',
        )
