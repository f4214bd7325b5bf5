"""Data files: every number has a source; no protected wording anywhere; docs are current."""

from __future__ import annotations

import doctest
import hashlib
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import ekbom.measures.clinic as room
from ekbom.errors import Refused
from ekbom.measures.clinic.cases import as_markdown
from ekbom.measures.clinic.facts import (
    all_verified,
    cite,
    facts,
    read_facts,
    read_sources,
    sources,
    unverified,
)

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
WORDS = re.compile(r"[a-z0-9]+")


def test_a_fact_without_source_or_mark_does_not_load() -> None:
    good = '[a]\nlow = 1\nsource = "ekbom"\nverified = true\n'
    assert read_facts(good, "f", sources(), "f")["f.a"]["low"] == 1
    for line in ('source = "ekbom"\n', "verified = true\n"):
        with pytest.raises(Refused) as no:
            read_facts(good.replace(line, ""), "f.toml", sources(), "f")
        assert no.value.file == "f.toml"
    with pytest.raises(Refused):
        read_facts(good.replace("ekbom", "nobody"), "f", sources(), "f")
    with pytest.raises(Refused):
        read_facts("low = 1\n", "f", sources(), "f")
    with pytest.raises(Refused):
        read_sources('[a]\nauthors = "x"\nyear = 1\nreference = "y"\nseen = "dreamt"\n')


def test_what_is_recalled_is_not_called_checked() -> None:
    """A fact from a source that was only recalled, or a choice of ours, is not verified."""
    assert len(facts()) > 100
    for f in facts().values():
        if sources()[f.source].seen in ("recalled", "own"):
            assert not f.verified, f.key
    assert {f.source for f in facts().values()} == set(sources())


def test_open_questions_are_marked() -> None:
    for key in (
        "scales.irls.parts.symptoms", "scales.irls.parts.impact", "scales.mpi",
        "scales.asrs.items", "scales.asrs.bands.from the cut on", "iron.irlssg2018.iv_tsat",
        "scales.rls6.parts.tiredness", "scales.jhss", "response.remission_mild",
        "response.mcid_review", "scales.irls.missing", "scales.sfmpq.missing",
        "criteria.supportive.no_sleepiness", "criteria.onset",
    ):  # fmt: skip
        assert not facts()[key].verified, key
    assert unverified(["scales.mpi", "scales.irls.items", "scales.mpi"]) == ("scales.mpi",)
    assert all_verified(["scales.irls.items"])
    assert cite(["iron.kidney", "iron.aasm2025.adult"]) == "Winkelman JW et al. (AASM) 2025"


def _texts() -> list[Path]:
    found = []
    for top in ("src", "docs", "examples", "tests"):
        for path in sorted((ROOT / top).rglob("*")):
            if path.suffix in (".py", ".toml", ".md", ".json", ".j2", ".rst", ".tsv", ".txt"):
                found.append(path)
    return found


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def phrases(text: str, deny: set[str], length: int = 5) -> list[int]:
    words = WORDS.findall(text.lower())
    windows = (" ".join(words[i : i + length]) for i in range(len(words) - length + 1))
    return [i for i, w in enumerate(windows) if _hash(w) in deny]


def dense(text: str, deny: set[str], window: int = 40, most: int = 4) -> bool:
    """Whether more than a few different denied words stand close together."""
    words = WORDS.findall(text.lower())
    known = {w: _hash(w) in deny for w in set(words)}
    at = [i for i, w in enumerate(words) if known[w]]
    return any(len({words[j] for j in at if i <= j < i + window}) > most for i in at)


def test_no_wording_of_protected_scales() -> None:
    """Hashes of five-word runs of items and answers; hashes of the words of a list."""
    deny = set((HERE / "deny_phrases.txt").read_text().split())
    single = set((HERE / "deny_words.txt").read_text().split())
    assert len(deny) > 100
    assert len(single) > 10
    texts = _texts()
    assert len(texts) > 30
    for path in texts:
        text = path.read_text(encoding="utf-8", errors="replace")
        assert phrases(text, deny) == [], path
        assert not dense(text, single), path


def test_the_search_for_wording_finds_it() -> None:
    made = "a run of five plain words"
    deny = {_hash("of five plain words here"), _hash("run of five plain words")}
    assert phrases(f"Before; {made.upper()}, after", deny) == [2]
    colours = "red, green, blue, black and white"
    assert dense(colours, {_hash(w) for w in WORDS.findall(colours)})
    assert not dense(colours, {_hash("red"), _hash("green")})


def _modules() -> list[str]:
    return [m.name for m in pkgutil.walk_packages(room.__path__, room.__name__ + ".")]


@pytest.mark.parametrize("name", _modules())
def test_doctests(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_the_table_of_cases_in_the_documentation_is_current() -> None:
    page = (ROOT / "docs" / "clinic" / "cases.md").read_text(encoding="utf-8")
    assert as_markdown() in page


def test_the_list_of_unchecked_facts_in_the_documentation_is_current() -> None:
    page = (ROOT / "docs" / "clinic" / "facts.md").read_text(encoding="utf-8")
    listed = {line.split("|")[1].strip() for line in page.splitlines() if line.startswith("| ")}
    assert listed - {"fact"} == {f.key for f in facts().values() if not f.verified}
