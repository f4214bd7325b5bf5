"""Results as tables: one row a person and measure, with rule, source and flags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ekbom.measures.clinic.decide import NOT_ADVICE, Verdict
from ekbom.measures.clinic.facts import all_verified, cite, facts, sources, unverified
from ekbom.measures.clinic.iron import IronStatus
from ekbom.measures.clinic.levodopa import LevodopaTest
from ekbom.measures.clinic.scales.augmentation import Augmentation
from ekbom.measures.clinic.scales.score import Scored
from ekbom.nouns import Column, Table

Ids = Sequence[tuple[str, str]]

_ID = {
    "participant_id": Column("who"),
    "session_id": Column("session, n/a without sessions"),
}
_PROVENANCE = {
    "rule": Column("rule that was followed"),
    "source": Column("where the rule and its numbers come from"),
    "verified": Column("whether every fact used was checked against its source"),
    "flags": Column("short words, n/a when nothing is to be said"),
}


def meta(keys: Iterable[str]) -> dict[str, Any]:
    """Return what a sidecar says: the statement, facts used, and those not checked.

    Parameters
    ----------
    keys : iterable of str
        Keys of facts.

    Returns
    -------
    dict
        For the sidecar.
    """
    used = tuple(dict.fromkeys(keys))
    named = dict.fromkeys(facts()[k].source for k in used)
    return {
        "Statement": NOT_ADVICE,
        "Facts": {k: dict(facts()[k].values) for k in used},
        "NotVerified": list(unverified(used)),
        "Sources": {n: {"reference": sources()[n].reference, "seen": sources()[n].seen}
                    for n in named},
    }  # fmt: skip


def scale_table(name: str, ids: Ids, results: Mapping[str, Scored]) -> Table:
    """Return scores in long form, people outermost.

    Parameters
    ----------
    name : str
        Scale, for the file name.
    ids : sequence of (participant, session)
        One a row of the input.
    results : mapping of str to Scored
        By measure.

    Returns
    -------
    Table
        ``desc-scored_<name>``.
    """
    frames = []
    for result in results.values():
        n = len(ids)
        frames.append(
            pd.DataFrame(
                {
                    "participant_id": [i[0] for i in ids],
                    "session_id": [i[1] for i in ids],
                    "measure": np.full(n, result.name, dtype=object),
                    "value": result.value,
                    "lower": result.lower,
                    "upper": result.upper,
                    "sem": result.sem,
                    "mdc90": result.mdc90,
                    "unit": np.full(n, result.unit, dtype=object),
                    "band": result.band,
                    "n_items": result.n_items,
                    "missing": result.missing,
                    "rule": result.rule,
                    **_provenance(result),
                    "flags": np.where(result.flags == "", "n/a", result.flags),
                    "_row": np.arange(n),
                }
            )
        )
    frame = pd.concat(frames, ignore_index=True)
    frame = frame.sort_values("_row", kind="stable", ignore_index=True).drop(columns="_row")
    columns = {
        **_ID,
        "measure": Column("score"),
        "value": Column("score; n/a when the rule for missing items gives none"),
        "lower": Column("least score that the missing items allow"),
        "upper": Column("greatest score that the missing items allow"),
        "sem": Column("standard error of measurement, SD sqrt(1 - reliability)"),
        "mdc90": Column("90 % minimal detectable change, 1.645 sqrt(2) sem"),
        "unit": Column("unit of value, lower, upper, sem and mdc90"),
        "band": Column("severity band, or the bands that the missing items allow"),
        "n_items": Column("items of the score"),
        "missing": Column("items missing"),
        **_PROVENANCE,
    }
    keys = [k for r in results.values() for k in r.facts]
    keys += [k for r in results.values() if r.missing.any() for k in r.missing_facts]
    return Table(f"desc-scored_{name}", frame, columns, meta(keys))


def _provenance(result: Scored) -> dict[str, Any]:
    """Source and verified for each row: rows with items missing rest on more facts."""
    both = (*result.facts, *result.missing_facts)
    some = result.missing > 0
    return {
        "source": np.where(some, cite(both), cite(result.facts)),
        "verified": np.where(some, all_verified(both), all_verified(result.facts)),
    }


def diagnosis_table(ids: Ids, verdicts: Sequence[Sequence[Verdict]], variants: bool) -> Table:
    """Return one row a person and criteria set.

    Parameters
    ----------
    ids : sequence of (participant, session)
        One a person.
    verdicts : sequence of sequence of Verdict
        Per person, one a set.
    variants : bool
        Whether variants without the legs count as RLS.

    Returns
    -------
    Table
        ``diagnosis``.
    """
    rows = []
    for (participant, session), own in zip(ids, verdicts, strict=True):
        for v in own:
            rows.append(
                {
                    "participant_id": participant,
                    "session_id": session,
                    "set": v.set,
                    "body_part": v.part,
                    "status": v.status.value,
                    "counts_as_rls": v.counts_as_rls(variants).value,
                    "worst": v.worst.name.lower(),
                    "best": v.best.name.lower(),
                    "met": _list(v.met),
                    "failed": _list(v.failed),
                    "unknown": _list(v.unknown),
                    **{f"specifier_{k}": v.specifiers.get(k, "n/a") for k in _SPECIFIERS},
                    "supportive": _list(v.supportive),
                    "why": "; ".join(v.why),
                    "next_questions": "; ".join(v.next_questions) or "n/a",
                    "rule": f"criteria {v.set}",
                    "source": cite(v.facts),
                    "verified": v.verified,
                    "flags": _list(v.flags),
                }
            )
    columns = {
        **_ID,
        "set": Column("criteria set"),
        "body_part": Column("part of the body the criteria were judged for"),
        "status": Column("verdict; not a diagnosis by a clinician"),
        "counts_as_rls": Column(
            "whether a design counts this person as RLS, variants "
            + ("included" if variants else "not included")
        ),
        "worst": Column("worst outcome that the unknown answers allow"),
        "best": Column("best outcome that the unknown answers allow"),
        "met": Column("criteria met, by number"),
        "failed": Column("criteria not met, by number"),
        "unknown": Column("criteria unknown, by number"),
        **{f"specifier_{k}": Column(words) for k, words in _SPECIFIERS.items()},
        "supportive": Column("supportive features that are there; none is required"),
        "why": Column("reasons in order"),
        "next_questions": Column("what would settle what is unknown"),
        **_PROVENANCE,
    }
    keys = [k for own in verdicts for v in own for k in v.facts]
    frame = pd.DataFrame(rows, columns=list(columns))
    return Table("diagnosis", frame, columns, meta(keys))


_SPECIFIERS = {
    "course": "chronic-persistent, intermittent, below both or unknown",
    "significance": "clinical significance, by distress or impairment",
    "onset": "early or late",
    "familial": "family history",
    "secondary_to": "conditions named that make it secondary",
    "treated": "under treatment now",
    "presence": "whether the criteria were met in the past only",
}


def iron_table(ids: Ids, results: Sequence[IronStatus], warning: str = "") -> Table:
    """Return one row a person and guideline.

    Parameters
    ----------
    ids : sequence of (participant, session)
        One a sample.
    results : sequence of IronStatus
        In order.
    warning : str
        Said in the sidecar (several assays in one table).

    Returns
    -------
    Table
        ``iron``.
    """
    rows = [
        {
            "participant_id": participant,
            "session_id": session,
            "tsat": status.tsat,
            "tsat_from": status.tsat_from,
            "guideline": rule.guideline,
            "status": rule.status,
            "candidate_for": rule.candidate_for or "n/a",
            "conflict": status.conflict or "n/a",
            "why": "; ".join(rule.why),
            "rule": rule.guideline,
            "source": cite(rule.facts),
            "verified": all_verified(rule.facts),
            "flags": _list(rule.flags),
        }
        for (participant, session), status in zip(ids, results, strict=True)
        for rule in status.rules
    ]
    columns = {
        **_ID,
        "tsat": Column("transferrin saturation", "%"),
        "tsat_from": Column("what it was formed from"),
        "guideline": Column("guideline"),
        "status": Column("candidate, not a candidate, repeat, not informative low, undetermined"),
        "candidate_for": Column("what the guideline would consider; not advice to treat"),
        "conflict": Column("named when the guidelines differ"),
        "why": Column("reasons"),
        **_PROVENANCE,
    }
    keys = [k for s in results for k in s.facts]
    extra = {"Warning": warning} if warning else {}
    return Table("iron", pd.DataFrame(rows, columns=list(columns)), columns, meta(keys) | extra)


def levodopa_table(ids: Ids, results: Sequence[LevodopaTest]) -> Table:
    """Return one row a test.

    Parameters
    ----------
    ids : sequence of (participant, session)
        One a test.
    results : sequence of LevodopaTest
        In order.

    Returns
    -------
    Table
        ``levodopa``.
    """
    rows = [
        {
            "participant_id": participant,
            "session_id": session,
            "scale": r.scale,
            "status": r.status,
            "fall_best": r.fall_best,
            "fall_end": r.fall_end,
            "minutes_to_half": r.minutes_to_half,
            "auc": r.auc,
            "lr_positive_lower": r.lr_positive[0],
            "lr_negative": r.lr_negative,
            "specificity_lower": r.specificity_interval[0],
            "interpolated": r.interpolated,
            "why": "; ".join(r.why),
            "rule": "best fall at least 50 % of baseline",
            "source": cite(r.facts),
            "verified": all_verified(r.facts),
            "flags": _list(r.flags),
        }
        for (participant, session), r in zip(ids, results, strict=True)
    ]
    columns = {
        **_ID,
        "scale": Column("what the analogue scale asked for"),
        "status": Column("positive, negative, not testable, undetermined"),
        "fall_best": Column("greatest fall", "% of baseline"),
        "fall_end": Column("fall at 120 min", "% of baseline"),
        "minutes_to_half": Column("time to the fall asked for, interpolated", "min"),
        "auc": Column("mean of the curve", "% of baseline"),
        "lr_positive_lower": Column("likelihood ratio of a positive test, exact lower bound"),
        "lr_negative": Column("likelihood ratio of a negative test"),
        "specificity_lower": Column("exact 95 % lower bound of the printed specificity of 1"),
        "interpolated": Column("readings filled in between others"),
        "why": Column("reasons"),
        **_PROVENANCE,
    }
    keys = [k for r in results for k in r.facts]
    return Table("levodopa", pd.DataFrame(rows, columns=list(columns)), columns, meta(keys))


def augmentation_table(ids: Ids, results: Sequence[Augmentation]) -> Table:
    """Return one row a person: augmentation and its features.

    Parameters
    ----------
    ids : sequence of (participant, session)
        One a person.
    results : sequence of Augmentation
        In order.

    Returns
    -------
    Table
        ``augmentation``.
    """
    rows = [
        {
            "participant_id": participant,
            "session_id": session,
            "augmentation": r.answer.value,
            "a": r.a.value,
            "b": r.b.value,
            "c1": r.c1.value,
            "c2": r.c2.value,
            "hours_earlier": r.hours_earlier,
            "why": "; ".join(r.why),
            "rule": "A and (B or C1 or C2)",
            "source": cite(r.facts),
            "verified": all_verified(r.facts),
            "flags": _list([f"unverified:{k}" for k in unverified(r.facts)]),
        }
        for (participant, session), r in zip(ids, results, strict=True)
    ]
    features = {k: Column(f"feature {k.upper()}") for k in ("a", "b", "c1", "c2")}
    columns = {
        **_ID,
        "augmentation": Column("yes, no or unknown"),
        **features,
        "hours_earlier": Column("how much earlier symptoms begin, circular clock", "h"),
        "why": Column("reasons"),
        **_PROVENANCE,
    }
    keys = [k for r in results for k in r.facts]
    return Table("augmentation", pd.DataFrame(rows, columns=list(columns)), columns, meta(keys))


def _list(items: Iterable[object]) -> str:
    return ", ".join(str(i) for i in items) or "n/a"
