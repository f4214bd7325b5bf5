"""Tables, names and the expression `among`."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekbom.errors import Refused
from ekbom.nouns import Score, Unit
from ekbom.study.among import Among, Missing
from ekbom.study.index import Study
from ekbom.study.readers import read_json, read_tsv
from ekbom.study.results import Measured, score_from_json, score_to_json
from ekbom.study.tables import Names

UNITS = [Unit("sub-01", "one"), Unit("sub-01", "two"), Unit("sub-02", "one")]


def test_read_tsv_types_and_missing(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text(
        "participant_id\tage\tcode\tgroup\tword\nsub-01\t3e1\t01\t1\tx\nsub-02\tn/a\t02\tn/a\tn/a\n"
    )
    frame = read_tsv(path)
    assert frame["age"].tolist()[0] == 30.0
    assert frame["age"].isna().tolist() == [False, True]
    assert frame["code"].tolist() == ["01", "02"]  # leading zeros are a label
    assert frame["group"].tolist() == ["1", None]  # an identifier whatever it looks like
    assert frame["word"].tolist() == ["x", None]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("a\tb\n1\n", "another number of columns"),
        ("a\ta\n1\t2\n", "names a column twice"),
        ("a\t\n1\t2\n", "no name"),
        ("participant_id,age\nsub-01,3\n", "no column participant_id"),
    ],
)
def test_broken_tsv(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "t.tsv"
    path.write_text(text)
    with pytest.raises(Refused, match=said) as no:
        read_tsv(path, keys=("participant_id",) if "," in text else ())
    assert no.value.file == str(path)


def test_broken_json_says_line(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text('{"a": 1,\n "b": ')
    with pytest.raises(Refused) as no:
        read_json(path)
    assert "line 2" in str(no.value.found)
    path.write_text('{"a": 1, "a": 2}')
    with pytest.raises(Refused, match="twice"):
        read_json(path)


class TestNames:
    def names(self, study: Path, **more: object) -> Names:
        return Names.open(Study.open(study), **more)  # type: ignore[arg-type]

    def test_plain_and_dotted(self, study: Path) -> None:
        names = self.names(study)
        assert names.column("age", UNITS) == [30.0, 30.0, 33.0]
        assert names.column("participants.age", UNITS) == [30.0, 30.0, 33.0]
        assert names.column("scales.mood", UNITS)[0] == "high"
        assert names.column("group", UNITS) == ["rls", "rls", "control"]
        assert names.column("irls_total", UNITS) == [15.0, 15.0, None]
        assert names.column("session", UNITS) == ["one", "two", "one"]
        assert names.column("participant", UNITS) == ["sub-01", "sub-01", "sub-02"]

    def test_sessions_tables(self, study: Path) -> None:
        for k in (1, 2):
            (study / f"sub-0{k}" / f"sub-0{k}_sessions.tsv").write_text(
                f"session_id\tferritin\nses-one\t{k}0\nses-two\tn/a\n"
            )
        assert self.names(study).column("ferritin", UNITS) == [10.0, None, 20.0]

    def test_phenotype_by_session(self, study: Path) -> None:
        (study / "phenotype" / "night.tsv").write_text(
            "participant_id\tsession_id\tplm\nsub-01\tses-one\t5\nsub-01\ttwo\t7\n"
        )
        assert self.names(study).column("plm", UNITS) == [5.0, 7.0, None]

    def test_two_hits_name_both(self, study: Path) -> None:
        (study / "phenotype" / "other.tsv").write_text("participant_id\tage\nsub-01\t31\n")
        with pytest.raises(Refused, match="in two tables") as no:
            self.names(study).column("age", UNITS)
        assert "participants.tsv: age" in str(no.value.found)
        assert "other.tsv: age" in str(no.value.found)
        assert "participants.age or other.age" in str(no.value.mend)
        assert self.names(study).column("other.age", UNITS)[0] == 31.0

    def test_typo_says_what_was_meant(self, study: Path) -> None:
        with pytest.raises(Refused, match="irls_totl") as no:
            self.names(study).column("irls_totl", UNITS)
        assert no.value.mend == "did you mean 'irls_total'?"
        assert "irls_total" in str(no.value.expected)

    def test_other_words_for_groups(self, study: Path) -> None:
        path = study / "participants.tsv"
        path.write_text(path.read_text().replace("\tcontrol", "\thealthy"))
        with pytest.raises(Refused, match="other words than rls and control"):
            self.names(study).column("group", UNITS)

    def test_several_rows_for_a_person(self, study: Path) -> None:
        (study / "phenotype" / "visits.tsv").write_text(
            "participant_id\tvisit\tpain\nsub-01\t1\t5\nsub-01\t2\t6\n"
        )
        with pytest.raises(Refused, match="several rows for sub-01"):
            self.names(study).column("pain", UNITS)

    def test_scores(self, study: Path) -> None:
        one = Measured("legs", UNITS[0], "k", [Score("PLMS_index", 12.5, "1/h")], [], [], {})
        many = Measured(
            "fake",
            UNITS[0],
            "k",
            [Score("VT", 1.0, "1", "seg:a"), Score("VT", 2.0, "1", "seg:b")],
            [],
            [],
            {},
        )
        names = Names.open(
            Study.open(study), (), {"legs": ["PLMS_index"], "fake": ["VT"]}, [one, many]
        )
        assert names.column("legs.PLMS_index", UNITS) == [12.5, None, None]
        runs = [Unit("sub-01", "one", "1"), Unit("sub-01", "one", "2"), Unit("sub-01", "two", "1")]
        assert names.column("legs.PLMS_index", runs) == [12.5, 12.5, None]
        assert names.is_score("legs.PLMS_index")
        with pytest.raises(Refused, match="not one number a scan"):
            names.column("fake.VT", UNITS)
        with pytest.raises(Refused) as no:
            names.column("legs.PLM_index", UNITS)
        assert no.value.mend == "did you mean 'legs.PLMS_index'?"


@given(st.floats(), st.floats(), st.lists(st.text("ab", min_size=1)))
def test_scores_survive_json(value: float, se: float, flags: list[str]) -> None:
    score = Score("VT", value, "u", "s:r", "m", se, flags=tuple(flags))
    back = score_from_json(score_to_json(score))
    assert repr(back) == repr(score)


ROW = {"group": "rls", "age": 40.0, "session": "one", "p.x": 3.0, "gap": None}


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("group == 'rls'", True),
        ("group != 'rls'", False),
        ("age < 40", False),
        ("18 < age <= 40", True),
        ("session in ['one', 'two']", True),
        ("session not in ('one',)", False),
        ("not (age > 50 or group == 'control')", True),
        ("group == 'rls' and age >= 40 and p.x == 3", True),
        ("group == 'rls' or gap == 3", True),  # decided before the gap is reached
        ("age > -1", True),
    ],
)
def test_among(text: str, truth: bool) -> None:
    assert Among(text)(ROW) is truth


def test_among_missing_value_is_told() -> None:
    with pytest.raises(Missing, match="gap"):
        Among("gap > 3")(ROW)


@pytest.mark.parametrize(
    "text",
    [
        "group = 'rls'",
        "group",
        "__import__('os').system('true')",
        "age + 1 > 3",
        "group == 'rls' &",
        "age is None",
        "[x for x in age]",
        "age == age()",
        "",
        "f'{age}' == 'x'",
    ],
)
def test_among_refuses_what_is_not_a_comparison(text: str) -> None:
    with pytest.raises(Refused) as no:
        Among(text)
    assert no.value.field == "among"


def test_among_checks_words_and_types() -> None:
    columns = {"group": ["rls", "control"], "age": [40.0, None]}
    Among("group == 'rls' and age > 3").check(columns)
    with pytest.raises(Refused) as no:
        Among("group == 'rsl'").check(columns)
    assert no.value.mend == "did you mean 'rls'?"
    with pytest.raises(Refused, match="holds numbers"):
        Among("age == 'old'").check(columns)
    with pytest.raises(Refused, match="holds text"):
        Among("group in [1, 2]").check(columns)


def test_among_names_in_order() -> None:
    assert Among("a.b == 'x' and c < 2 and a.b != 'y'").names == ["a.b", "c"]
