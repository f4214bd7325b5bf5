"""`ekbom model trial`: a planned trial, many times over, on virtual patients."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import pandas as pd
from cyclopts import Parameter
from rich.console import Console

from ekbom.cli.model_said import banner, say
from ekbom.errors import Refused
from ekbom.study.files import json_bytes, tsv_bytes, write_bytes

if TYPE_CHECKING:
    from ekbom.trials.responses import Responses
    from ekbom.trials.trialdesign import TrialDesign

_out = Console(highlight=False, soft_wrap=True)
_err = Console(stderr=True, highlight=False, soft_wrap=True)
STATEMENT = "Hypothesis engine: no medical advice, no advice on dosing."


def trial(
    design: str,
    *,
    out: Path | None = None,
    replicates: int = 500,
    people: int = 300,
    power: float = 0.8,
    search: int = 200,
    null: Annotated[bool, Parameter(negative=())] = False,
    seed: int = 1,
    set_: Annotated[tuple[str, ...], Parameter(name="--set", negative=())] = (),
    show: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Simulate a planned trial many times: estimate, interval, power, sample size.

    Nothing here is medical advice: patients are those of a hypothesis.

    Parameters
    ----------
    design
        A TOML file, or one of: augmentation, crossover, iv-iron, iv-iron-1500, levodopa,
        levodopa-benes, oxycodone, pramipexole.
    out
        Folder for tables and trial.html; not needed with --show.
    replicates
        Trials of the size of the design.
    people
        Patients of the pool; each is run under every arm.
    power
        Asked for.
    search
        Trials at each number of people tried by bisection.
    null
        Also count findings in 1,000 trials in which every arm gets the reference.
    seed
        Of every draw.
    set_
        Change one key of the design, `--set n=200`; may be repeated.
    show
        Print the design and stop.
    """
    from ekbom.report.trial import trial_page
    from ekbom.trials.trialdesign import ready_designs, ready_text

    path = Path(design)
    if path.is_file():
        text, source = path.read_text("utf-8"), str(path)
    elif design in ready_designs():
        text, source = ready_text(design), f"{design}.toml"
    else:
        raise Refused("There is no such design of a trial.", field="DESIGN", found=design,
                      expected="a TOML file, or " + ", ".join(ready_designs()))  # fmt: skip
    if show:
        _out.print(text, markup=False, end="")
        return 0
    if out is None:
        raise Refused("It is not said where the tables go.", field="--out", found="nothing",
                      expected="a folder")  # fmt: skip
    for name, value, least in (("replicates", replicates, 20), ("people", people, 20),
                               ("search", search, 20)):  # fmt: skip
        if value < least:
            raise Refused("Too few.", field=f"--{name}", found=value,
                          expected=f"{least} or more")  # fmt: skip
    asked = _parsed(text, source, set_)
    if asked.design == "augmentation":
        tables, figure, lines = _augmentation(asked, people, seed)
    else:
        from ekbom.trials.responses import respond

        found = respond(asked, people=people, seed=seed, say=_tell)
        tables, figure, lines = _planned(asked, found, replicates, power, search, null, seed)
    about = {
        "Statement": STATEMENT, "About": banner(), "Seed": seed, "Replicates": replicates,
        "People": people, "Design": asked.model_dump(mode="json"),
    }  # fmt: skip
    for name, frame in tables.items():
        write_bytes(out / f"{name}.tsv", tsv_bytes(frame))
    write_bytes(out / "trial.json", json_bytes(about))
    write_bytes(
        out / "trial.html",
        trial_page(asked.title, lines, tables, figure, f"{STATEMENT} {banner()}").encode(),
    )
    for line in lines:
        say(line)
    say(f"written to {out}")
    say(f"{STATEMENT} {banner()}")
    return 0


def _tell(text: str) -> None:
    _err.print(text, markup=False)


def _parsed(text: str, source: str, changes: tuple[str, ...]) -> TrialDesign:
    from ekbom.trials.trialdesign import parse_trial

    given: dict[str, Any] = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals or "." in key:
            raise Refused("A setting is key=value, of the top of the design.", field="--set",
                          found=change, mend="--set n=200")  # fmt: skip
        try:
            given[key.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            given[key.strip()] = value.strip()
    return parse_trial(text, source, given)


def _planned(
    asked: TrialDesign, found: Responses, replicates: int, power: float, search: int, null: bool,
    seed: int,
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame, list[str]]:  # fmt: skip
    from ekbom.trials.power import false_positives, plan
    from ekbom.trials.trial import parts

    done = plan(asked, found, replicates=replicates, seed=seed, power=power, search=search,
                say=_tell)  # fmt: skip
    tables = {"endpoints": done.table, "first_trial": done.first, "sample_size": done.curve}
    lines = []
    row: Any
    for row in done.table.itertuples():
        what = "odds ratio" if row.endpoint == "responder" else "difference"
        line = (
            f"{row.endpoint}, {row.arm} against {row.against}: {what} {row.estimate:.3g} (90 % of"
            f" trials {row.q05:.3g} to {row.q95:.3g}; truth {row.true:.3g}, coverage"
            f" {100 * row.coverage:.0f} %), power {100 * row.power:.0f} % with n {row.n},"
            f" smallest effect found {row.smallest_effect:.3g}"
        )
        if row.finding != "n/a":
            word = "inside" if row.printed_inside == "yes" else "OUTSIDE"
            line += f"; {row.finding} prints {row.printed:g}: {word}"
        lines.append(line)
    wanted = done.curve[done.curve["wanted"] == "yes"]
    if len(wanted):
        lines.append(f"{100 * power:.0f} % power for {asked.endpoints[0]} takes"
                     f" {int(wanted['n'].iloc[0])} people in all")  # fmt: skip
    else:
        lines.append(f"{100 * power:.0f} % power for {asked.endpoints[0]} is not reached with"
                     f" {int(done.curve['n'].max())} people")  # fmt: skip
    if asked.design == "parallel" and "irls_change" in asked.endpoints:
        shares = [parts(asked, found, k) for k in range(1, len(asked.names))]
        tables["parts"] = pd.concat(shares, ignore_index=True)
        for one in shares:
            p = dict(zip(one["part"], one["points"], strict=True))
            lines.append(
                f"change of severity in {one['arm'].iloc[0]}, {p['whole change']:.1f} points:"
                f" regression to the mean {p['regression to the mean']:.1f}, expectancy"
                f" {p['expectancy (placebo)']:.1f}, drug {p['drug']:.1f}; responders in the"
                f" reference {one.attrs['placebo_responders_percent']:.0f} %"
            )
    if null:
        _tell("1000 trials without any effect")
        tables["no_effect"] = false_positives(asked, found, seed=seed + 2)
        for row in tables["no_effect"].itertuples():
            lines.append(f"no effect, {row.endpoint}: {row.found} of {row.of} trials found one"
                         f" (range of chance {row.lower} to {row.upper})")  # fmt: skip
    return tables, done.curve, lines


def _augmentation(
    asked: TrialDesign, people: int, seed: int
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame, list[str]]:
    from ekbom.trials.augmentation import run_augmentation

    frame = run_augmentation(asked, people=people, seed=seed, say=_tell)
    lines = []
    row: Any
    for row in frame.itertuples():
        lines.append(
            f"{row.arm}: augmentation in {row.share_percent:.1f} % ({row.lower:.1f} to"
            f" {row.upper:.1f}) of {row.patients} after {asked.weeks} weeks; log urge"
            f" {row.log_urge_early:+.2f} early, {row.log_urge_late:+.2f} late; symptoms"
            f" {row.hours_earlier:+.1f} h earlier"
        )
    if "printed_difference" in frame:
        last = frame.iloc[-1]
        lines.append(
            f"{last['arm']} less {asked.reference}: {last['model_difference']:.1f} %,"
            f" {asked.findings['augmentation']} prints {last['printed_difference']:g} %"
        )
    return {"augmentation": frame}, pd.DataFrame(), lines
