"""Questions checked against the data before anything is measured.

A typing error in a formula must not cost hours of measuring.
"""

from __future__ import annotations

from collections.abc import Sequence

from ekbom.errors import Refused
from ekbom.inference import build_design, effect
from ekbom.inference.formula import formula_names
from ekbom.inference.kinds import check_kind
from ekbom.nouns import Unit
from ekbom.study.index import Study
from ekbom.study.kinds import ask_of
from ekbom.study.outcomes import Outcome, of_table
from ekbom.study.participants import units_of
from ekbom.study.plan import Plan
from ekbom.study.planerrors import at_key
from ekbom.study.question import Question
from ekbom.study.selection import asked_about, is_within, table_of
from ekbom.study.tables import Names


def check_questions(
    study: Study, plan: Plan, tables: Names, chosen: frozenset[str] = frozenset()
) -> dict[str, int]:
    """Refuse what is wrong with a question whatever the measurements will be.

    Parameters
    ----------
    study : Study
        The opened study.
    plan : Plan
        The plan.
    tables : Names
        Tables; nothing measured.
    chosen : frozenset of str
        Participants of this run; all when empty.

    Returns
    -------
    dict of str to int
        Question to number of scans it is about.

    Raises
    ------
    Refused
        An unknown or doubled name, an empty group, a formula or an effect that
        the design does not have.
    """
    units = units_of(study, plan)
    counts = {}
    for name, question in plan.questions.items():
        with at_key(plan.file, f"questions.{name}"):
            planned = _units(study, question, tables, units)
            planned = [u for u in planned if not chosen or u.participant in chosen]
            kept, _ = asked_about(question, planned, tables)
            counts[name] = len(kept)
            _check_model(plan, name, question, kept, tables)
    return counts


def _units(
    study: Study, question: Question, tables: Names, units: dict[str, list[Unit]]
) -> list[Unit]:
    if question.measure in units:
        return units[str(question.measure)]
    outcomes: Sequence[Outcome] = [of_table(question, m, tables, study) for m in question.methods]
    return list(dict.fromkeys(unit for outcome in outcomes for unit in outcome.units))


def _check_model(
    plan: Plan, name: str, question: Question, kept: list[Unit], tables: Names
) -> None:
    if question.kind == "mediation":
        table_of(question, kept, tables)  # every name is there
        return
    if question.kind == "reliability" or question.model is None:
        sessions = {unit.session for unit in kept}
        if len(sessions) < 2:
            raise Refused(
                "reliability needs two sessions a person",
                field="among",
                found=", ".join(sorted(s or "n/a" for s in sessions)),
                expected="two or more sessions",
                mend="include the retest by among",
            )
        return
    wanted = formula_names(question.model)
    scores = [n for n in wanted if tables.is_score(n)]
    frame = table_of(question, kept, tables)
    if scores:
        return  # their values are not there yet
    # Rows without a covariate may be refused scans: they are judged when all is measured.
    whole = frame.dropna(subset=list(frame.columns.intersection(wanted))).reset_index(drop=True)
    if len(whole) == 0:
        empty = [str(c) for c in frame.columns if frame[c].isna().all()]
        raise Refused(
            "a name of the model is missing for everybody",
            field="model",
            found=f"n/a for all {len(frame)} scans: {', '.join(empty) or 'one or another name'}",
            expected="a value for each",
            mend="complete the table",
        )
    if is_within(question) and whole["participant"].is_unique:
        raise Refused(
            "the model compares scans of the same person, but nobody has two",
            field="among",
            found=f"{len(whole)} scans of {len(whole)} people",
            expected="two or more scans a person",
            mend="include the other session by among, or remove participant from the model",
        )
    if question.kind not in ("effect", "reliability"):
        check_kind(ask_of(question), whole, plan.settings_of(name))
        return
    design = build_design(question.model, whole, plan.settings_of(name))
    effect(design, str(question.test))
