"""One person's results in plain language, each line with its rule and source.

Written to be read by the person and to be accepted by a clinician: what was
told, what follows by which rule, what is not known, what would settle it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ekbom.measures.clinic.decide import Outcome, Status, Verdict
from ekbom.measures.clinic.facts import all_verified, cite, fact
from ekbom.measures.clinic.iron import IronStatus
from ekbom.measures.clinic.levodopa import LevodopaTest
from ekbom.measures.clinic.logic import NO, YES
from ekbom.measures.clinic.norms import place
from ekbom.measures.clinic.scales.augmentation import Augmentation
from ekbom.measures.clinic.scales.score import Scored

#: The last word of every explanation.
STATEMENT = (
    "This is a reading of recorded answers by published rules, for research. It is not medical"
    " advice, and not a diagnosis by a clinician. Questions about health or treatment belong to"
    " a doctor."
)


@dataclass(frozen=True)
class Line:
    """One statement, the rule it rests on, its source, and whether that was checked."""

    text: str
    rule: str = ""
    source: str = ""
    verified: bool = True

    def __str__(self) -> str:
        if not self.rule:
            return self.text
        mark = "" if self.verified else "; not all of it checked against the source"
        return f"{self.text}  [{self.rule}; {self.source}{mark}]"


def explain(
    *,
    verdicts: Sequence[Verdict] = (),
    scores: Sequence[Scored] = (),
    iron: Sequence[IronStatus] = (),
    levodopa: Sequence[LevodopaTest] = (),
    augmentation: Sequence[Augmentation] = (),
) -> list[Line]:
    """Return the explanation of one person's results, ending with the statement.

    Parameters
    ----------
    verdicts : sequence of Verdict
        One a criteria set.
    scores : sequence of Scored
        Of this person alone (N = 1).
    iron : sequence of IronStatus
        One a sample.
    levodopa : sequence of LevodopaTest
        One a test.
    augmentation : sequence of Augmentation
        One a visit.

    Returns
    -------
    list of Line
        In order.
    """
    lines = [line for v in verdicts for line in _verdict(v)]
    if len({v.status for v in verdicts}) > 1:
        lines.append(
            Line("The criteria sets do not agree; a study must say which of them it used.")
        )
    for s in scores:
        lines += _score(s)
    for i in iron:
        lines += _iron(i)
    for t in levodopa:
        lines += _levodopa(t)
    for a in augmentation:
        words = {YES: "is present", NO: "is not present"}.get(a.answer, "cannot be told")
        text = f"Worsening brought about by the treatment (augmentation) {words}."
        lines.append(Line(text, "augmentation rule", cite(a.facts), all_verified(a.facts)))
        lines += [Line("  " + w) for w in a.why[:-2]]
    return [*lines, Line(STATEMENT)]


_PLAIN = {
    Status.DEFINITE: "All criteria of this set are met: the answers fit restless legs syndrome.",
    Status.FOUR_MET: (
        "The four features of restless legs are all there, but it is not settled whether"
        " something else explains them. That question has to be answered first."
    ),
    Status.EXPLAINED: (
        "The four features are there, but another condition is said to explain them:"
        " under this set it is not restless legs syndrome."
    ),
    Status.NOT_RLS: "At least one feature that this set requires is not there: the answers do"
    " not fit restless legs syndrome at present.",
    Status.UNDETERMINED: "Too little is known to decide.",
    Status.WITHOUT_IMPAIRMENT: "The features are there, but neither distress nor impairment,"
    " which this set requires.",
    Status.IMPAIRMENT_UNKNOWN: "The features are there; whether they cause distress or"
    " impairment, which this set requires, was not said.",
}


def _verdict(v: Verdict) -> list[Line]:
    title = str(fact(f"criteria.sets.{v.set}")["title"])
    if v.status.value.startswith("variant"):
        head = (
            f"The symptoms are not in the legs but elsewhere ({v.part.replace('_', ' ')}). The"
            " criteria were applied to that part, in a modified manner; this may be a variant of"
            " restless legs and is never called definite here."
        )
    else:
        head = _PLAIN[v.status]
        if v.status is Status.DEFINITE and not fact(f"criteria.sets.{v.set}")["fifth"]:
            head += " This set does not ask whether something else explains them."
    text = f"{title}: {v.status.value}. {head}"
    lines = [Line(text, f"criteria {v.set}", cite(v.facts), v.verified)]
    lines += [Line(f"  {w}") for w in v.why if w != v.status.value]
    if v.status in (Status.FOUR_MET, Status.VARIANT_FOUR_MET):
        row = fact("criteria.four_criteria")
        share = round((1.0 - row["specificity"]) * 100)
        text = (
            f"  Why this matters: of people without restless legs, {share} of 100 told of all"
            f" four features in one study (n = {row['specificity_n']})."
        )
        lines.append(Line(text, "specificity of the four", cite([row.key]), row.verified))
    if v.next_questions:
        lines.append(Line("  To ask next: " + "; ".join(v.next_questions)))
    known = {k: w for k, w in v.specifiers.items() if w not in ("unknown", "none named", "no")}
    if known and v.best is Outcome.MET:
        names = {"secondary_to": "with", "familial": "family history", "treated": "treated"}
        said = "; ".join(f"{names.get(k, k)}: {w}" for k, w in known.items())
        lines.append(Line("  " + said, "specifiers", cite(["criteria.course"]), False))
    if v.supportive:
        text = "  Supports it, without deciding: " + ", ".join(v.supportive)
        lines.append(Line(text))
    return lines


def _score(s: Scored) -> list[Line]:
    value, low, high = float(s.value[0]), float(s.lower[0]), float(s.upper[0])
    band = str(s.band[0])
    flags = [f for f in str(s.flags[0]).split(",") if f and f != "unverified"]
    name = s.name.replace("_", " ")
    if value == value:
        text = f"{name}: {value:g} {s.unit}"
        if band != "n/a":
            text += f", {band}"
        if s.sem == s.sem:
            text += (
                f". A single score is uncertain by about {s.sem:.1f} points; a change below"
                f" {s.mdc90:.1f} may be chance"
            )
        where = place(s.name, value)
        if where is not None:
            text += f"; {where.z:+.1f} SD from the mean of {where.n} {where.population}"
        text += f" ({', '.join(flags).replace('_', ' ')})" if flags else ""
    elif s.missing[0] >= s.n_items:
        text = f"{name}: not answered"
    else:
        text = f"{name}: no score, {int(s.missing[0])} of {s.n_items} answers missing; it lies"
        text += f" between {low:g} and {high:g}" + (f" ({band})" if band != "n/a" else "")
    keys = s.facts_of(0)
    return [Line(text + ".", str(s.rule[0]), cite(keys), all_verified(keys))]


def _iron(status: IronStatus) -> list[Line]:
    lines = []
    if status.tsat == status.tsat:
        lines.append(Line(f"Transferrin saturation: {status.tsat:.1f} % ({status.tsat_from})."))
    for rule in status.rules:
        what = rule.status + (f" for {rule.candidate_for}" if rule.candidate_for else "")
        text = f"Iron, {rule.guideline}: {what} ({'; '.join(rule.why)})."
        lines.append(Line(text, rule.guideline, cite(rule.facts), all_verified(rule.facts)))
    if status.conflict:
        lines.append(Line(status.conflict[0].upper() + status.conflict[1:] + "."))
    lines.append(Line("'Candidate' means that a guideline would consider it, not that it is due."))
    return lines


def _levodopa(test: LevodopaTest) -> list[Line]:
    text = f"Levodopa test ({test.scale}): {test.status}; {'; '.join(test.why)}."
    lines = [Line(text, "fall of at least half", cite(test.facts), all_verified(test.facts))]
    lower = test.specificity_interval[0]
    lines.append(
        Line(
            "  In print no one without restless legs was positive, but few were tested: the share"
            f" of true negatives may be as low as {100 * lower:.0f} %."
        )
    )
    return lines
