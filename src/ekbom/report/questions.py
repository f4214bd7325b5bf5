"""Answers as parts of the page: sentence, figures, tables, words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from ekbom.report import answers, figures, numbers, style
from ekbom.report.blocks import Block, Part
from ekbom.report.columns import alpha_of, bare, is_reliability, nested
from ekbom.report.output import Answered, Output
from ekbom.study import names


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
    plans: dict[str, Mapping[str, Any]] = {}
    planned = dict(output.plan.get("questions") or {})
    for answer in output.answers:
        slug = answer.folder.name.removeprefix("question-")
        about = answer.about
        question = about.get("question")
        told = dict(question) if isinstance(question, Mapping) else {}
        name = str(told.get("name") or (question if isinstance(question, str) else "") or "")
        method = str(
            about.get("outcome_method") or told.get("method") or about.get("kinetic_method") or ""
        )
        if name not in planned:
            hits = [n for n in planned if slug.startswith(names.slug(n))]
            name = name or max(hits, key=len, default=slug)
        if isinstance(told.get("method"), list):
            method = ""
        if not method:
            listed = dict(planned.get(name) or {}).get("method")
            listed = [listed] if isinstance(listed, str) else listed or []
            method = next((m for m in listed if names.question_slug(name, m) == slug), "")
        found.setdefault(name, []).append((method, answer))
        plans.setdefault(name, {**dict(planned.get(name) or {}), **told})
    order = {n: k for k, n in enumerate(planned)}
    out = []
    for name in sorted(found, key=lambda n: (order.get(n, len(order)), n)):
        listed = plans[name].get("method")
        listed = [listed] if isinstance(listed, str) else list(listed or [])
        rank = {m: k for k, m in enumerate(listed)}
        answers = sorted(found[name], key=lambda a: rank.get(a[0], len(rank)))
        out.append(Asked(name, answers, plans[name]))
    return out


def sentence(answer: Answered) -> str:
    """Return the answer in words: what inference said, or that it said nothing."""
    for key in ("results", "words", "sentence", "answer"):
        text = answer.about.get(key)
        if isinstance(text, Mapping):
            text = text.get("results")
        if isinstance(text, str) and text.strip():
            return text.strip()
    return "No words were left by the analysis; see the table."


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
    if len(one.answers) > 1:
        blocks += _all_methods(one)
    for k, (method, answer) in enumerate(one.answers):
        key = names.slug(f"{one.name} {method} {answer.effect}") or f"q{k}"
        inner = answers.blocks(answer, key)
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
                        "lead": numbers.symbols(sentence(answer)),
                    },
                )
            )
    return Part(
        one.anchor,
        numbers.symbols(one.name),
        blocks,
        numbers.symbols(sentence(first)),
        _facts(one, first),
    )


def _heading(text: str) -> Block:
    return Block("heading", numbers.symbols(text))


def _facts(one: Asked, answer: Answered) -> list[tuple[str, Markup]]:
    about = answer.about
    told = {**one.plan}
    facts: list[tuple[str, Markup]] = []
    for label, value in (
        ("Outcome", told.get("outcome")),
        ("Over", told.get("over")),
        ("Among", told.get("among")),
        ("Model", told.get("model")),
        ("Effect tested", told.get("test") or _text(about.get("effect"))),
        ("n", about.get("n")),
        ("df", about.get("df")),
        ("Permutations", nested(about, "permutations")),
        ("Seed", about.get("seed")),
    ):
        if value is None or value == "" or isinstance(value, (dict, list)):
            continue
        shown = numbers.number(float(value)) if isinstance(value, float) else str(value)
        if label == "Outcome":
            facts.append((label, numbers.symbols(shown)))
        elif label in {"Model", "Effect tested", "Among"}:
            facts.append((label, Markup("<code>{}</code>").format(shown)))
        else:
            facts.append((label, Markup(escape(shown))))
    return facts


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value.get("name") or value.get("text") or "")
    return "" if value is None else str(value)


def _all_methods(one: Asked) -> list[Block]:
    """Draw the effects of all methods side by side."""
    frames = [(m, a, a.table("regions")) for m, a in one.answers]
    first = frames[0][2]
    if "region" not in first or is_reliability(frames[0][1]):
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
    figure = figures.forest(
        [bare(r) for r in rows], drawn, label=answers.effect_label(frames[0][1])
    )
    key = "all" + names.slug(one.name)
    alt = f"Forest plot of the effect in {len(rows)} regions by {len(drawn)} methods."
    words = (
        "The same question by each method, every one corrected within itself. "
        "Filled markers: significant after correction."
    )
    return [Block("figure", style.svg(figure, key=key, alt=alt), Markup(escape(words)))]
