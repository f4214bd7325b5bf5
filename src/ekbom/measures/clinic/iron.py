"""Iron status against the guidelines, side by side: candidates, never advice."""

from __future__ import annotations

from dataclasses import dataclass

from ekbom.errors import Refused
from ekbom.measures.clinic.facts import fact, unverified
from ekbom.measures.clinic.logic import NO, UNKNOWN, YES, Answer, all_of, any_of, inverse

#: Accepted units by quantity, and the factor to the internal unit.
UNITS: dict[str, dict[str, float]] = {
    "ferritin": {"ug/L": 1.0, "ng/mL": 1.0},
    "crp": {"mg/L": 1.0, "mg/dL": 10.0},
    "transferrin": {"g/L": 1.0, "mg/dL": 0.01},
    "hb": {"g/dL": 1.0, "g/L": 0.1},
    "tsat": {"%": 1.0, "percent": 1.0},
}
_INTERNAL = {"ferritin": "ug/L", "crp": "mg/L", "transferrin": "g/L", "hb": "g/dL", "tsat": "%"}


@dataclass(frozen=True)
class Sample:
    """One blood sample, in internal units, and how it was taken.

    Parameters
    ----------
    ferritin : float or None
        ug/L (= ng/mL).
    iron, tibc : float or None
        umol/L.
    transferrin : float or None
        g/L, used when TIBC is missing.
    tsat : float or None
        Transferrin saturation as given, percent, used when it cannot be formed.
    hb : float or None
        g/dL.
    crp : float or None
        mg/L.
    hour : float or None
        Clock hour of the sample.
    off_iron_h : float or None
        Hours without iron before it.
    age : float or None
        Years.
    kidney_failure : Answer
        On dialysis.
    assay : str
        Ferritin assay, as named by the laboratory.
    """

    ferritin: float | None = None
    iron: float | None = None
    tibc: float | None = None
    transferrin: float | None = None
    tsat: float | None = None
    hb: float | None = None
    crp: float | None = None
    hour: float | None = None
    off_iron_h: float | None = None
    age: float | None = None
    kidney_failure: Answer = UNKNOWN
    assay: str = ""

    def __post_init__(self) -> None:
        ranges = fact("iron.ranges")
        for name, key in (
            ("ferritin", "ferritin"),
            ("iron", "iron_umol"),
            ("tibc", "tibc_umol"),
            ("transferrin", "transferrin_g"),
            ("crp", "crp"),
            ("hb", "hb"),
            ("tsat", "tsat"),
        ):
            value = getattr(self, name)
            low, high = ranges[key]
            if value is not None and not low <= value <= high:
                raise Refused(
                    f"The value of {name} cannot be.",
                    field=name,
                    found=f"{value:g}",
                    expected=f"{low:g} to {high:g} {_INTERNAL.get(name, 'umol/L')}",
                    mend="check the unit named in the JSON beside the table",
                )


@dataclass(frozen=True)
class Rule:
    """What one guideline says of one sample.

    ``status`` is ``candidate``, ``not a candidate``, ``repeat``, ``not
    informative low``, ``undetermined`` or ``does not apply``.
    """

    guideline: str
    status: str
    candidate_for: str
    why: tuple[str, ...]
    facts: tuple[str, ...]

    @property
    def flags(self) -> tuple[str, ...]:
        """Return the facts used here that were not checked.

        Returns
        -------
        tuple of str
            ``unverified:<key>``.
        """
        return tuple(f"unverified:{k}" for k in unverified(self.facts))


@dataclass(frozen=True)
class IronStatus:
    """Transferrin saturation, and every guideline's answer side by side."""

    tsat: float
    tsat_from: str
    inflamed: Answer
    rules: tuple[Rule, ...]
    conflict: str
    facts: tuple[str, ...]


def convert(quantity: str, value: float, unit: str) -> float:
    """Convert to the internal unit; an unknown unit is refused, never guessed.

    Parameters
    ----------
    quantity : str
        ``ferritin``, ``iron``, ``tibc``, ``transferrin``, ``crp``, ``hb``, ``tsat``.
    value : float
        As given.
    unit : str
        As given.

    Returns
    -------
    float
        In ug/L, umol/L, umol/L, g/L, mg/L, g/dL, percent.

    Raises
    ------
    Refused
        For an unknown unit.

    Examples
    --------
    >>> convert("ferritin", 75, "ng/mL"), round(convert("iron", 55.845, "ug/dL"), 6)
    (75.0, 10.0)
    """
    plain = unit.replace("µ", "u").replace("μ", "u").replace("mcg", "ug").strip()
    known = UNITS.get(quantity)
    if known is None:
        known = {"umol/L": 1.0, "ug/dL": 10.0 / fact("iron.iron_units")["ug_per_umol"]}
    if plain not in known:
        raise Refused(
            f"The unit of {quantity} is not known.",
            field=quantity,
            found=unit or "no unit",
            expected=", ".join(known),
            mend=f'name the unit in the JSON beside the table, "{quantity}": {{"Units": "..."}}',
        )
    return float(value * known[plain])


def tsat(sample: Sample) -> tuple[float, str, tuple[str, ...]]:
    """Return transferrin saturation, what it was made from, and facts used.

    Parameters
    ----------
    sample : Sample
        Iron and TIBC, or iron and transferrin.

    Returns
    -------
    value : float
        Percent, NaN when it cannot be formed.
    how : str
        Words.
    facts : tuple of str
        Keys.

    Examples
    --------
    >>> tsat(Sample(iron=10, tibc=50))[0]
    20.0
    """
    if sample.iron is not None and sample.tibc is not None:
        return sample.iron / sample.tibc * 100.0, "iron / TIBC", ()
    if sample.iron is not None and sample.transferrin is not None:
        factor = fact("iron.tibc_from_transferrin")["umol_per_g"]
        how = f"iron / (transferrin x {factor:g})"
        key = "iron.tibc_from_transferrin"
        return sample.iron / (sample.transferrin * factor) * 100.0, how, (key,)
    if sample.tsat is not None:
        return sample.tsat, "as given", ()
    return float("nan"), "iron, TIBC or transferrin missing", ()


def iron_status(sample: Sample) -> IronStatus:
    """Hold one sample against the guidelines.

    Parameters
    ----------
    sample : Sample
        Internal units.

    Returns
    -------
    IronStatus
        AASM 2025, IRLSSG 2018 by mouth and into a vein, kidney failure.

    Examples
    --------
    >>> status = iron_status(Sample(ferritin=75, hour=8, off_iron_h=24, age=50))
    >>> [(r.guideline, r.status) for r in status.rules][:2]
    [('AASM 2025, adult', 'candidate'), ('IRLSSG 2018, by mouth', 'candidate')]
    """
    saturation, how, tsat_facts = tsat(sample)
    limit = fact("iron.crp")["above_mg_per_l"]
    inflamed = UNKNOWN if sample.crp is None else (YES if sample.crp > limit else NO)
    rules = [
        _aasm(sample, saturation),
        _oral_2018(sample),
        _iv_2018(sample, saturation),
    ]
    if sample.kidney_failure is YES:
        rules.append(_kidney(sample, saturation))
    checked = tuple(
        _sampling(_inflammation(r, sample, inflamed, limit), sample)
        for r in (_with(r, tsat_facts) for r in rules)
    )
    used = tuple(dict.fromkeys(k for r in checked for k in r.facts))
    return IronStatus(saturation, how, inflamed, checked, _conflict(checked), used)


def _below(value: float | None, limit: float, inclusive: bool) -> Answer:
    if value is None or value != value:
        return UNKNOWN
    return YES if (value <= limit if inclusive else value < limit) else NO


def _say(name: str, value: float | None, sign: str, limit: float, unit: str, is_: Answer) -> str:
    if value is None or value != value:
        return f"{name} missing"
    return f"{name} {value:.6g} {unit}, {sign} {limit:g}: {is_.value}"


def _status(answer: Answer) -> str:
    return {YES: "candidate", NO: "not a candidate"}.get(answer, "undetermined")


def _aasm(sample: Sample, saturation: float) -> Rule:
    child, adult = fact("iron.aasm2025.child"), fact("iron.aasm2025.adult")
    if sample.age is not None and sample.age < child["adult_from_years"]:
        low = _below(sample.ferritin, child["ferritin_below"], inclusive=False)
        why = _say("ferritin", sample.ferritin, "<", child["ferritin_below"], "ug/L", low)
        route = f"oral iron ({fact('iron.aasm2025.child_route')['text']})" if low is YES else ""
        keys = ("iron.aasm2025.child", "iron.aasm2025.child_route")
        return Rule(child["title"], _status(low), route, (why,), keys)
    low = _below(sample.ferritin, adult["ferritin_max"], inclusive=True)
    unsaturated = _below(saturation, adult["tsat_below"], inclusive=False)
    between = all_of(
        (
            inverse(low),
            _below(sample.ferritin, adult["ferritin_iv_max"], inclusive=True),
        )
    )
    why_ = [
        _say("ferritin", sample.ferritin, "<=", adult["ferritin_max"], "ug/L", low),
        _say("TSAT", saturation, "<", adult["tsat_below"], "%", unsaturated),
    ]
    either = any_of((low, unsaturated))
    route = "oral or IV iron" if either is YES else ""
    if either is not YES:
        why_.append(
            f"ferritin above {adult['ferritin_max']:g} up to {adult['ferritin_iv_max']:g}:"
            f" {between.value}"
        )
        if between is YES:
            either, route = YES, "IV iron only"
    if sample.age is None:
        why_.append("age missing: the rule for adults was used")
    return Rule(adult["title"], _status(either), route, tuple(why_), ("iron.aasm2025.adult",))


def _oral_2018(sample: Sample) -> Rule:
    row = fact("iron.irlssg2018.oral")
    low = _below(sample.ferritin, row["ferritin_max"], inclusive=True)
    why = _say("ferritin", sample.ferritin, "<=", row["ferritin_max"], "ug/L", low)
    route = f"oral iron, {row['dose']}" if low is YES else ""
    return Rule(row["title"], _status(low), route, (why,), ("iron.irlssg2018.oral",))


def _iv_2018(sample: Sample, saturation: float) -> Rule:
    row, cut = fact("iron.irlssg2018.iv"), fact("iron.irlssg2018.iv_tsat")["tsat_below"]
    low = _below(sample.ferritin, row["ferritin_below"], inclusive=False)
    unsaturated = _below(saturation, cut, inclusive=False)
    both = all_of((low, unsaturated))
    why = (
        _say("ferritin", sample.ferritin, "<", row["ferritin_below"], "ug/L", low),
        _say("TSAT", saturation, "<", cut, "%", unsaturated),
    )
    route = f"IV iron, {row['dose']}" if both is YES else ""
    keys = ("iron.irlssg2018.iv", "iron.irlssg2018.iv_tsat")
    return Rule(row["title"], _status(both), route, why, keys)


def _kidney(sample: Sample, saturation: float) -> Rule:
    row = fact("iron.kidney")
    low = _below(sample.ferritin, row["ferritin_below"], inclusive=False)
    unsaturated = _below(saturation, row["tsat_below"], inclusive=False)
    both = all_of((low, unsaturated))
    why = (
        _say("ferritin", sample.ferritin, "<", row["ferritin_below"], "ug/L", low),
        _say("TSAT", saturation, "<", row["tsat_below"], "%", unsaturated),
    )
    return Rule(row["title"], _status(both), "review" if both is YES else "", why, ("iron.kidney",))


def _with(rule: Rule, keys: tuple[str, ...]) -> Rule:
    uses = any(line.startswith("TSAT") and "missing" not in line for line in rule.why)
    if not uses or not keys:
        return rule
    return Rule(rule.guideline, rule.status, rule.candidate_for, rule.why, (*rule.facts, *keys))


def _inflammation(rule: Rule, sample: Sample, inflamed: Answer, limit: float) -> Rule:
    """Ferritin rises with inflammation: a value that is not low then says nothing."""
    if inflamed is not YES or rule.status != "not a candidate":
        return rule
    why = (*rule.why, f"CRP {sample.crp:g} mg/L above {limit:g}: ferritin may be raised by it")
    return Rule(rule.guideline, "not informative low", "", why, (*rule.facts, "iron.crp"))


def _sampling(rule: Rule, sample: Sample) -> Rule:
    if not rule.guideline.startswith("AASM"):
        return rule
    row = fact("iron.aasm2025.sampling")
    key = "iron.aasm2025.sampling"
    broken, unknown = [], []
    if sample.hour is None:
        unknown.append("time of day not given")
    elif not row["morning_from"] <= sample.hour <= row["morning_to"]:
        broken.append(f"sampled at {sample.hour:g} h, not in the morning")
    if sample.off_iron_h is None:
        unknown.append("hours without iron not given")
    elif sample.off_iron_h < row["hours_off_iron"]:
        broken.append(f"{sample.off_iron_h:g} h without iron, {row['hours_off_iron']:g} h asked")
    if not broken and not unknown:
        return rule
    status = "repeat" if broken else rule.status
    route = "" if broken else rule.candidate_for
    return Rule(rule.guideline, status, route, (*rule.why, *broken, *unknown), (*rule.facts, key))


def _conflict(rules: tuple[Rule, ...]) -> str:
    """Name it when one guideline proposes iron and the other, on the same numbers, does not."""
    said = {}
    for name in ("AASM", "IRLSSG"):
        own = [r.status for r in rules if r.guideline.startswith(name)]
        if "candidate" in own:
            said[name] = "candidate"
        elif own and all(s == "not a candidate" for s in own):
            said[name] = "not a candidate"
    if len(set(said.values())) < 2:
        return ""
    return "the guidelines differ: " + "; ".join(f"{g}: {s}" for g, s in said.items())
