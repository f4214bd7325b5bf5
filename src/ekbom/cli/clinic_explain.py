"""``ekbom clinic explain``: one person's results in plain language."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ekbom.cli.clinictables import console, settings, split
from ekbom.errors import Refused
from ekbom.measures.clinic.decide import decide_all
from ekbom.measures.clinic.explain import Line, explain
from ekbom.measures.clinic.io import people
from ekbom.measures.clinic.io.phenotype import Phenotype, read_phenotype
from ekbom.measures.clinic.iron import iron_status
from ekbom.measures.clinic.levodopa import levodopa_test
from ekbom.measures.clinic.scales.augmentation import augmentation


def explain_(
    bids_dir: Path,
    *,
    participant_label: str,
    session: str | None = None,
    criteria: str = "2012,2003",
) -> int:
    """Explain one person's results in plain language; nothing is written.

    Parameters
    ----------
    bids_dir
        Study with phenotype/*.tsv.
    participant_label
        With or without sub-.
    session
        One session only.
    criteria
        Sets with commas.
    """
    person = "sub-" + participant_label.removeprefix("sub-")
    sets = settings(criteria=split(criteria)).criteria
    paths = sorted((bids_dir / "phenotype").glob("*.tsv"))
    if not paths:
        raise Refused("The study has no phenotype tables.", file=bids_dir / "phenotype",
                      expected="tables such as irls.tsv")  # fmt: skip
    by_session: dict[str, list[Phenotype]] = {}
    for path in paths:
        header = pd.read_csv(path, sep="\t", nrows=0).columns
        if "participant_id" not in header:
            continue
        table = read_phenotype(path)
        mine = table.frame["participant_id"] == person
        if session is not None:
            mine &= table.frame["session_id"].isin([session.removeprefix("ses-"), "n/a"])
        for line in table.frame.index[mine]:
            others = [i for i in table.frame.index if i != line]
            one = table.without(others)
            by_session.setdefault(one.frame["session_id"].iloc[0], []).append(one)
    if not by_session:
        raise Refused("This person is in no phenotype table.", file=bids_dir / "phenotype",
                      field="participant_id", found=person)  # fmt: skip
    lines: list[Line] = []
    for name, own in sorted(by_session.items()):
        lines.append(Line(person + ("" if name == "n/a" else f", session {name}")))
        lines += _explained(own, sets)[:-1]
    for line in [*lines, explain()[-1]]:
        console.print(str(line), markup=False)
    return 0


def _explained(own: Sequence[Phenotype], sets: Sequence[str]) -> list[Line]:
    dx = [t for t in own if people.has_diagnosis(t)]
    return explain(
        verdicts=[v for t in dx for v in decide_all(people.presentations(t)[0], sets)],
        scores=[s for t in own for k in people.scales_in(t) for s in people.scored(t, k).values()],
        iron=[iron_status(people.samples(t)[0]) for t in own if people.has_iron(t)],
        levodopa=[
            levodopa_test(people.levodopa_curves(t, k)[0], k)
            for t in own
            for k in people.levodopa_kinds(t)
        ],
        augmentation=[
            augmentation(people.treatments(t)[0]) for t in own if people.has_augmentation(t)
        ],
    )
