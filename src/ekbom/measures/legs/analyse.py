"""One night from marks to everything that is said of it: by rule set, with intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from ekbom.measures.legs.detect import DetectSettings
from ekbom.measures.legs.events import Marks, Spans
from ekbom.measures.legs.hypnogram import Hypnogram
from ekbom.measures.legs.indices import Index, indices
from ekbom.measures.legs.night import course, first_half
from ekbom.measures.legs.rules import RuleSet, rule_sets
from ekbom.measures.legs.score import Scored, score
from ekbom.measures.legs.settings import LegsSettings
from ekbom.measures.legs.uncertainty import Variant, bootstrap, sensitivity

#: Groups of stages that get bootstrap intervals.
_BOOT = ("sleep", "wake", "night")


@dataclass(frozen=True)
class Analysis:
    """What is said of a night by one rule set.

    Parameters
    ----------
    scored : Scored
    indices : list of Index
        Every number, with intervals.
    variants : list of Variant
        PLMS an hour under other rules and thresholds.
    """

    scored: Scored
    indices: list[Index]
    variants: list[Variant]


def chosen_rules(settings: LegsSettings) -> tuple[RuleSet, ...]:
    """Return the rule sets asked for, with the readings of the settings."""
    found = []
    for rules in rule_sets(settings.rules):
        rules = replace(rules, arousal_closed=settings.arousal_closed)
        if rules.name == "wasm2016":
            rules = replace(rules, short_imi_can_open=settings.short_imi_can_open)
            if settings.resp_window == "event":
                rules = replace(rules, resp_from="event", resp_before=0.5, resp_after=0.5)
        elif rules.name == "aasm":
            rules = replace(rules, short_imi=settings.aasm_short_imi, non_clm=settings.aasm_non_clm)
        found.append(rules)
    return tuple(found)


def analyse(
    marks: Marks,
    hypnogram: Hypnogram,
    resp: Spans | None = None,
    arousal: Spans | None = None,
    *,
    settings: LegsSettings | None = None,
    again: Callable[[DetectSettings], Marks] | None = None,
) -> dict[str, Analysis]:
    """Score a night by every rule set asked for.

    Parameters
    ----------
    marks, hypnogram, resp, arousal
        As for :func:`ekbom.measures.legs.score.score`.
    settings : LegsSettings, optional
    again : callable, optional
        Finds the movements anew under other thresholds.

    Returns
    -------
    dict of str to Analysis
        By name of the rule set.
    """
    asked = settings or LegsSettings()
    out = {}
    # The same changes of thresholds serve every rule set.
    remembered = None if again is None else cache(again)
    for rules in chosen_rules(asked):
        scored = score(marks, hypnogram, resp, arousal, rules=rules, rera=asked.rera)
        rows = [*_with_bootstrap(scored, asked.seed), *_course_rows(scored)]
        used = resp if resp is None or asked.rera else resp.without("rera")
        variants = sensitivity(
            marks, hypnogram, used, arousal, rules, remembered, asked.detection()
        )  # fmt: skip
        out[rules.name] = Analysis(scored, rows, variants)
    return out


def _with_bootstrap(scored: Scored, seed: int) -> list[Index]:
    rows = indices(scored)
    for group in _BOOT:
        for name, (low, high) in bootstrap(scored, group, seed).items():
            k = next(i for i, r in enumerate(rows) if (r.measure, r.stage) == (name, group))
            if not math.isnan(rows[k].value):
                rows[k] = replace(rows[k], lower=low, upper=high)
    return rows


def _course_rows(scored: Scored) -> list[Index]:
    rules, rows = scored.rules.name, []
    for since, tail in (("sleep onset", ""), ("lights off", "_from_lights_off")):
        of = course(scored, "sleep", since)
        n, hours = int(of.counts.sum()), float(of.hours.sum())
        slope, low, high = of.slope()
        rows.append(Index(f"PLM_slope{tail}", "sleep", "all", rules, slope.value, "1/h2", n, hours,
                          low, high, slope.why))  # fmt: skip
        for name, value, unit in (
            ("PLM_dispersion", of.dispersion(), "1"),
            ("PLM_peak_hour", of.peak_hour(), "h"),
        ):
            rows.append(Index(f"{name}{tail}", "sleep", "all", rules, value.value, unit, n, hours,
                              why=value.why))  # fmt: skip
    share, low, high = first_half(scored)
    rows.append(Index("PLM_share_first_half", "sleep", "all", rules, share.value, "%", n, hours,
                      low, high, share.why))  # fmt: skip
    return rows


def sleep_rows(hypnogram: Hypnogram) -> list[tuple[str, float, str]]:
    """Return the measures of sleep itself as name, value, unit."""
    units = {"SE": "%"}
    return [(k, v, units.get(k, "min")) for k, v in hypnogram.minutes().items()]


def rules_words(sets: Sequence[RuleSet]) -> str:
    """Return the rule sets in words."""
    return ", ".join(r.title for r in sets)
