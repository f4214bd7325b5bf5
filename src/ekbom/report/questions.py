"""Answers as parts of the page: sentence, figures, tables, words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from ekbom.report import answers, figures, kinds, numbers, searched, style
from ekbom.report.blocks import Block, Part
from ekbom.report.columns import (
    VALUE,
    alpha_of,
    bare,
    corrected,
    effect_of,
    is_reliability,
    nested,
    pick,
    unit_of,
)
from ekbom.report.output import Answered, Output
from ekbom.study import names

_INFERENCE = {
    "max-t": "max-T permutation",
    "tfce": "TFCE, by permutation",
    "rft": "random field",
    "parametric": "parametric, Holm",
}


@dataclass(frozen=True)
class Asked:
    """One question of the plan with its answers, one for each method.

    Parameters
    ----------
    name : str
        Key in the plan.
    answers : sequence of (method, Answered)
        ``method`` is empty when the plan names only one.
    plan : mapping
        The question as the plan has it, defaults filled in.
    """

    name: str
    answers: Sequence[tuple[str, Answered]]
    plan: Mapping[str, Any]

    @property
    def anchor(self) -> str:
        """Id of the part on the page."""
        return "question-" + names.slug(self.name)


def asked(output: Output) -> list[Asked]:
    """Put the answers of an output folder together by question.

    Parameters
    ----------
    output : Output
        An opened output folder.

    Returns
    -------
    list of Asked
        In the order of the plan; folders the plan does not name come last.
    """
    found: dict[str, list[tuple[str, Answered]]] = {}
    planned: dict[str, Any] = dict(output.plan.get("questions") or {})
    for answer in output.answers:
        told = answer.about.get("question")
        slug = answer.folder.name.removeprefix("question-")
        name = str(told.get("name", slug)) if isinstance(told, Mapping) else slug
        if output.lone:
            name = str(nested(answer.about, "effect") or effect_of(answer))
        found.setdefault(name, []).append((str(answer.about.get("outcome_method") or ""), answer))
    order = {name: k for k, name in enumerate(planned)}
    out = []
    for name in sorted(found, key=lambda n: (order.get(n, len(order)), n)):
        told = found[name][0][1].about.get("question")
        plan = {**(told if isinstance(told, Mapping) else {}), **dict(planned.get(name) or {})}
        if output.lone:
            plan |= _as_asked(found[name][0][1])
        listed = plan.get("method")
        rank = {m: k for k, m in enumerate(listed if isinstance(listed, list) else [listed])}
        answers_ = sorted(found[name], key=lambda a: rank.get(a[0], len(rank)))
        out.append(Asked(name, answers_, plan))
    return out


def _as_asked(answer: Answered) -> dict[str, Any]:
    """Return what was asked, as a plan would have it, of an answer without one."""
    own = answer.about.get("Question")
    told = dict(own) if isinstance(own, Mapping) else {}
    for key, kept in (("model", "formula"), ("test", "effect"), ("outcome", "outcome")):
        told.setdefault(key, nested(answer.about, kept))
    told["over"] = "voxels" if answer.maps else None
    return told


def refused(output: Output) -> list[tuple[str, str]]:
    """Return name and reason of every question that was refused.

    Parameters
    ----------
    output : Output
        An opened output folder.

    Returns
    -------
    list of (str, str)
        In the order of the table.
    """
    frame = output.refused
    if not {"measure", "what"} <= set(frame):
        return []
    mine = frame[frame["measure"].astype(str).str.startswith("question ")]
    return [
        (str(m).removeprefix("question "), str(w))
        for m, w in zip(mine["measure"], mine["what"], strict=True)
    ]


def sentence(answer: Answered) -> Markup:
    """Return the answer in words: what inference said, or that it said nothing."""
    words = answer.about.get("words")
    text = words.get("results") if isinstance(words, Mapping) else None
    if not text:
        return Markup("No words were left by the analysis; see the table.")
    text = str(text).strip()
    for region in answer.table("regions").get("region", []):
        text = text.replace(str(region), bare(str(region)))
    return numbers.prose(text)


def short(answer: Answered) -> Markup:
    """Return the answer in a sentence or two: how many regions, and which."""
    parts = re.split(r"(?<=[.!?])\s+", str(sentence(answer)))
    if kinds.kind_of(answer):
        return Markup(" ".join(parts[:2]))
    frame = answer.table("regions")
    p, value = corrected(frame), pick(frame, VALUE)
    hits = frame[frame[p] < alpha_of(answer)] if p and value else frame[:0]
    if not len(hits) or value is None:
        return Markup(" ".join(parts[:2]))
    places = numbers.decimals(hits[value].tolist())
    said = ", ".join(
        f"{bare(str(r))} ({numbers.number(float(v), places=places)})"
        for r, v in zip(hits["region"], hits[value], strict=True)
    )
    told = nested(answer.about, "effect_unit")
    unit = numbers.unit_text(told if isinstance(told, str) else None) or unit_of(answer)
    return Markup("{} Effect in {}{}.").format(Markup(parts[0]), said, f" {unit}" if unit else "")


def part(one: Asked) -> Part:
    """Return the part of the page for one question.

    Parameters
    ----------
    one : Asked
        A question with its answers.

    Returns
    -------
    Part
        The first method in full, the others folded under it.
    """
    first = one.answers[0][1]
    blocks: list[Block] = []
    drawn = _all_methods(one) if len(one.answers) > 1 else []
    blocks += drawn
    for k, (method, answer) in enumerate(one.answers):
        key = names.slug(f"{one.name} {method} {answer.effect}") or f"q{k}"
        results = Markup("<p>{}</p>").format(sentence(answer))
        words = [Block("quote", results, fold="Results in words")]
        inner = [*_said(answer), *answers.blocks(answer, key, alone=not (drawn and k == 0)), *words]
        if k == 0:
            if method and len(one.answers) > 1:
                blocks.append(_heading(f"In full: {method}"))
            blocks += inner
        else:
            blocks.append(
                Block(
                    "fold",
                    {
                        "title": Markup("In full: {}").format(method),
                        "blocks": inner,
                        "lead": short(answer),
                    },
                )
            )
    return Part(
        one.anchor,
        numbers.symbols(one.name),
        blocks,
        short(first),
        _facts(one, first),
    )


def _heading(text: str) -> Block:
    return Block("heading", numbers.symbols(text))


def _facts(one: Asked, answer: Answered) -> list[tuple[str, Markup]]:
    about = answer.about
    facts: list[tuple[str, Markup]] = []
    n, rows = nested(about, "n"), nested(about, "rows")
    people = f"{n} ({rows} scans)" if n and rows and rows != n else n
    method = None if is_reliability(answer) else nested(about, "method")
    if method == "parametric" and answer.maps:
        method = "parametric, Bonferroni over voxels"
    count = nested(about, "permutations") if method in {"max-t", "tfce"} else None
    every = ", all there are" if nested(about, "exhaustive") else ""
    # Where nothing is drawn at random there is no seed to speak of.
    seed = nested(about, "seed") if (count and not every) or is_reliability(answer) else None
    for label, value in (
        ("Outcome", about.get("outcome") or one.plan.get("outcome")),
        ("Over", one.plan.get("over")),
        ("Among", one.plan.get("among")),
        ("Model", one.plan.get("model")),
        ("Effect", one.plan.get("test")),
        ("People", people),
        ("Voxels", searched.tested(answer)),
        ("Inference", method),
        ("Relabellings", numbers.whole(float(count)) + every if count else None),
        ("Seed", seed),
    ):
        if value is None or value == "" or isinstance(value, (dict, list)):
            continue
        text = _INFERENCE.get(str(value), str(value))
        code = label in {"Model", "Effect", "Among"}
        facts.append(
            (label, Markup("<code>{}</code>").format(text) if code else numbers.symbols(text))
        )
    return facts


def _said(answer: Answered) -> list[Block]:
    """Return what a reader must know before the figures: who is missing, what was changed."""
    about = answer.about
    said: list[str] = []
    for one in about.get("dropped") or []:
        who = [str(one[k]) for k in ("participant_id", "session_id") if one.get(k, "n/a") != "n/a"]
        said.append(f"Left out: {' '.join(who)}: {one.get('reason', 'no reason was given')}.")
    for region in about.get("regions_dropped") or []:
        said.append(f"Region left out: {region}.")
    for one in about.get("flagged") or []:
        said.append(
            f"{one.get('n')} of {one.get('of')} numbers used are flagged {one.get('flag')}."
        )
    if about.get("added_since_first_seen"):
        said.append("This question was added after the data were first seen.")
    elif about.get("changed_since_first_seen"):
        said.append("This question was changed after the data were first seen.")
    if about.get("measure_changed_since_first_seen"):
        said.append("How the outcome is measured was changed after the data were first seen.")
    warned = nested(about, "warnings")
    said += [str(w) for w in warned] if isinstance(warned, list) else []
    items = Markup("").join(Markup("<li>{}</li>").format(numbers.prose(w)) for w in said)
    return [Block("warnings", items)] if said else []


def _all_methods(one: Asked) -> list[Block]:
    """Draw the effects of all methods side by side."""
    frames = [(m, a, a.table("regions")) for m, a in one.answers]
    first = frames[0][2]
    if "region" not in first or is_reliability(frames[0][1]) or kinds.kind_of(frames[0][1]):
        return []
    rows = list(first["region"].astype(str))
    drawn = []
    for method, answer, frame in frames:
        if "region" not in frame:
            continue
        aligned = frame.assign(region=frame["region"].astype(str)).set_index("region").reindex(rows)
        one_series = answers.series(method, aligned.reset_index(), alpha_of(answer))
        if one_series is not None:
            drawn.append(one_series)
    if len(drawn) < 2:
        return []
    label = answers.effect_label(frames[0][1])
    figure = figures.forest([bare(r) for r in rows], [(label, drawn, 0.0)])
    key = "all" + names.slug(one.name)
    alt = f"Forest plot of the effect in {len(rows)} regions by {len(drawn)} methods."
    words = (
        "The same question by each method, every one corrected within itself. "
        "Filled markers: significant after correction."
    )
    return [Block("figure", style.svg(figure, key=key, alt=alt), Markup(escape(words)))]
