"""Made cases with the verdict that must come out.

They are shown in the documentation and run again by ``ekbom validate clinic``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from ekbom.measures.clinic.decide import Verdict, decide
from ekbom.measures.clinic.facts import data_text
from ekbom.measures.clinic.io.people import presentations
from ekbom.measures.clinic.io.phenotype import from_frame

# What is met as asked needs no line in a table.
_PLAIN = re.compile(r"criterion [1-4] \(.*\) met")


@dataclass(frozen=True)
class Case:
    """One made case: cells of a table row, expected status by set, words of the reasons."""

    id: int
    title: str
    cells: Mapping[str, str]
    expect: Mapping[str, str]
    say: tuple[str, ...]

    def verdicts(self) -> dict[str, Verdict]:
        """Return the verdict under every set the case speaks of.

        Returns
        -------
        dict
            Verdict by set.
        """
        frame = pd.DataFrame([{"participant_id": f"sub-{self.id:02d}", **self.cells}], dtype=str)
        person = presentations(from_frame(frame, "cases"))[0]
        return {name: decide(person, name) for name in self.expect}

    def failures(self) -> list[str]:
        """Return what came out other than expected, empty when all is right.

        Returns
        -------
        list of str
            In words.
        """
        out = []
        for name, verdict in self.verdicts().items():
            if verdict.status.value != self.expect[name]:
                out.append(f"{name}: {verdict.status.value}, expected {self.expect[name]}")
            if name == "2012":
                words = "; ".join(verdict.why)
                out += [f"{name}: reasons lack {s!r}" for s in self.say if s not in words]
        return out


def cases() -> list[Case]:
    """Return the made cases in order.

    Returns
    -------
    list of Case
        As in the data file.
    """
    return [
        Case(row["id"], row["title"], row["cells"], row["expect"], tuple(row["say"]))
        for row in tomllib.loads(data_text("cases"))["cases"]
    ]


def as_markdown() -> str:
    """Return the cases as a table for the documentation.

    Returns
    -------
    str
        Markdown.
    """
    lines = [
        "| case | what is told | 2012 | other sets | reasons (2012), without plain 'met' |",
        "|---|---|---|---|---|",
    ]
    for case in cases():
        got = case.verdicts()
        other = "; ".join(f"{n}: {v.status.value}" for n, v in got.items() if n != "2012")
        why = "; ".join(w for w in got["2012"].why if not _PLAIN.fullmatch(w))
        lines.append(f"| {case.id} | {case.title} | {got['2012'].status.value} | {other} | {why} |")
    return "\n".join(lines) + "\n"
