"""Phenotype tables: what is read, what is refused and how it is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ekbom.errors import Refused
from ekbom.measures.clinic.io import people
from ekbom.measures.clinic.io.long import from_long, is_long
from ekbom.measures.clinic.io.phenotype import RowsRefused, from_frame, read_phenotype, tolerant
from ekbom.measures.clinic.logic import NO, PAST, UNKNOWN, YES

IRLS = [f"irls_{i:02d}" for i in range(1, 11)]


def table(tmp_path: Path, text: str, sidecar: dict | None = None, name: str = "t.tsv"):  # type: ignore[no-untyped-def, type-arg]
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    if sidecar is not None:
        path.with_suffix(".json").write_text(json.dumps(sidecar), encoding="utf-8")
    return path


def irls_text(*rows: str) -> str:
    return "\n".join(["\t".join(["participant_id", *IRLS]), *rows]) + "\n"


def row(person: str, *items: object) -> str:
    return "\t".join([person, *map(str, items)])


GOOD = row("sub-01", 3, 2, 3, 1, 2, 3, 3, 2, 1, 2)


def test_read_and_score(tmp_path: Path) -> None:
    read = read_phenotype(table(tmp_path, irls_text(GOOD, row("02", *[1] * 9, "n/a"),
                                                    row("sub-03", *[1] * 9, ""))))  # fmt: skip
    assert read.frame["participant_id"].tolist() == ["sub-01", "sub-02", "sub-03"]
    r = people.scored(read, "irls")["IRLS_total"]
    np.testing.assert_array_equal(r.value, [22, np.nan, np.nan])
    assert r.lower.tolist() == [22, 9, 9]


@pytest.mark.parametrize(
    ("cell", "hint"),
    [
        ("5", "correct the cell"),
        ("-1", "correct the cell"),
        ("2.5", "correct the cell"),
        ("often", "correct the cell"),
        ("inf", "correct the cell"),
        ("-9", "if this means missing, write n/a"),
        ("999", "if this means missing, write n/a"),
        ("NA", "if this means missing, write n/a"),
        (".", "if this means missing, write n/a"),
    ],
)
def test_values_refused_with_row_column_value_range(tmp_path: Path, cell: str, hint: str) -> None:
    path = table(tmp_path, irls_text(GOOD, row("sub-02", 1, cell, *[1] * 8)))
    with pytest.raises(RowsRefused) as no:
        people.scored(read_phenotype(path), "irls")
    said = no.value
    assert said.file == str(path)
    assert said.field == "irls_02, line 3 (sub-02)"
    assert said.found == cell
    assert said.expected == "a whole number from 0 to 4, or n/a"
    assert said.mend == hint
    assert said.lines == (3,)


def test_many_rows_are_counted(tmp_path: Path) -> None:
    rows = [row(f"sub-{i:02d}", 7, *[1] * 9) for i in range(12)]
    with pytest.raises(RowsRefused) as no:
        people.scored(read_phenotype(table(tmp_path, irls_text(*rows))), "irls")
    assert str(no.value.field).endswith("and 7 more")


def test_bad_rows_are_left_out_and_the_rest_is_the_same(tmp_path: Path) -> None:
    rows = [
        GOOD,
        row("sub-02", 9, *[1] * 9),
        row("sub-03", *[2] * 10),
        row("sub-04", *[1] * 9, "x"),
    ]
    read = read_phenotype(table(tmp_path, irls_text(*rows)))
    result, kept, refused = tolerant(read, lambda t: people.scored(t, "irls"))
    assert kept.frame["participant_id"].tolist() == ["sub-01", "sub-03"]
    assert result["IRLS_total"].value.tolist() == [22, 20]
    assert [r.lines for r in refused] == [(3,), (5,)]
    only_bad = read.without([2, 4])
    with pytest.raises(RowsRefused):
        tolerant(only_bad, lambda t: people.scored(t, "irls"))


@pytest.mark.parametrize(
    ("text", "sidecar", "said"),
    [
        ("id\tirls_01\nx\t1\n", None, "does not say whose rows"),
        (irls_text(GOOD, GOOD), None, "more than one row"),
        ("participant_id\tirls_01\tirls_01\nsub-1\t1\t1\n", {"columns": {"irls_01.1": "irls_01"}},
         "column is there twice"),
        ("participant_id\tirls_01\n\t1\n", None, "no participant"),
        (irls_text(GOOD), {"columns": {"irls_01": "irls_99"}}, "not known here"),
        ("", None, "cannot be read"),
    ],
)  # fmt: skip
def test_tables_refused(tmp_path: Path, text: str, sidecar: dict | None, said: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(Refused, match=said) as no:
        read_phenotype(table(tmp_path, text, sidecar))
    assert no.value.file


def test_broken_json_is_refused(tmp_path: Path) -> None:
    path = table(tmp_path, irls_text(GOOD))
    path.with_suffix(".json").write_text("{", encoding="utf-8")
    with pytest.raises(Refused, match="JSON"):
        read_phenotype(path)
    path.with_suffix(".json").write_text("[]", encoding="utf-8")
    with pytest.raises(Refused, match="not an object"):
        read_phenotype(path)


def test_local_names_units_and_unknown_columns(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "participant_id\tsession_id\tSF\tremark\nsub-1\tses-a\t80\thello\n",
        {"columns": {"SF": "ferritin"}, "SF": {"Units": "ng/mL"}},
    )
    read = read_phenotype(path)
    assert read.ignored == ("remark",)
    assert "remark" not in read.frame.columns
    assert read.units == {"ferritin": "ng/mL"}
    assert read.frame["session_id"].tolist() == ["a"]
    assert people.samples(read)[0].ferritin == 80


def test_laboratory_without_unit_or_out_of_range(tmp_path: Path) -> None:
    text = "participant_id\tferritin\tiron\nsub-1\t80\t300\n"
    with pytest.raises(Refused) as no:
        people.samples(read_phenotype(table(tmp_path, text)))
    assert no.value.found == "no unit"
    units = {"ferritin": {"Units": "ug/L"}, "iron": {"Units": "umol/L"}}
    with pytest.raises(RowsRefused) as no:
        people.samples(read_phenotype(table(tmp_path, text, units)))
    assert no.value.field == "iron, line 2 (sub-1)"


def test_given_totals() -> None:
    frame = pd.DataFrame(
        [["sub-1", "25"], ["sub-2", "n/a"]], columns=["participant_id", "irls_total"]
    )
    r = people.scored(from_frame(frame, "t"), "irls")
    assert list(r) == ["IRLS_total"]
    assert r["IRLS_total"].flags[0] == "total_given"
    both = pd.DataFrame(
        [["sub-1", *["1"] * 10, "10"], ["sub-2", *["1"] * 10, "11"]],
        columns=["participant_id", *IRLS, "irls_total"],
    )
    with pytest.raises(RowsRefused, match="disagree") as no:
        people.scored(from_frame(both, "t"), "irls")
    assert no.value.field == "irls_total, line 3 (sub-2)"
    assert (no.value.found, no.value.expected) == ("11", "10, the sum of the items")
    both.loc[1, "irls_01"] = "n/a"
    assert np.isnan(people.scored(from_frame(both, "t"), "irls")["IRLS_total"].value[1])
    both.loc[1, "irls_total"] = "14"
    with pytest.raises(RowsRefused) as no:
        people.scored(from_frame(both, "t"), "irls")
    assert no.value.expected == "9 to 13, what the items allow"


def test_affective_items_alone_give_no_total() -> None:
    names = ["participant_id", "mpq_a01", "mpq_a02", "mpq_a03", "mpq_a04", "mpq_affective"]
    frame = pd.DataFrame([["sub-1", "1", "2", "3", "0", "6"]], columns=names)
    assert list(people.scored(from_frame(frame, "t"), "sfmpq")) == ["SFMPQ_affective"]


def test_answers() -> None:
    frame = pd.DataFrame(
        {
            "participant_id": ["sub-1", "sub-2"],
            "dx_c1": ["yes", "No"],
            "dx_c3": ["past", "n/a"],
            "dx_legs_c2": ["no", ""],
            "dx_c2": ["yes", "yes"],
            "dx_body_parts": ["legs, lower_back", "n/a"],
            "dx_frequency": ["2", "n/a"],
            "age": ["44", "n/a"],
        }
    )
    one, two = people.presentations(
        from_frame(frame, "t"), [{}, {"age": 51.0, "family_history": "yes"}]
    )
    assert (one.c1, one.c3, one.c4) == (YES, PAST, UNKNOWN)
    assert one.body_parts == ("legs", "lower_back")
    assert one.answer("c2", "legs") is NO
    assert one.answer("c2", "lower_back") is YES
    assert (one.frequency_per_week, one.age) == (2.0, 44.0)
    assert (two.c1, two.c3, two.body_parts) == (NO, UNKNOWN, ("legs",))
    assert two.answer("c2", "legs") is YES
    assert (two.age, two.family_history) == (51.0, YES)


@pytest.mark.parametrize(
    ("column", "cell", "expected", "mend"),
    [
        ("dx_c1", "1", "yes, no, past, unknown, or n/a", "write yes or no"),
        ("dx_body_parts", "tail", "legs, lower_back", None),
        ("dx_impairment", "past", "yes, no or unknown", None),
        ("dx_frequency", "9", "a number from 0 to 7, or n/a", "if this means missing, write n/a"),
    ],
)
def test_answers_refused(column: str, cell: str, expected: str, mend: str | None) -> None:
    frame = pd.DataFrame({"participant_id": ["sub-1", "sub-2"], column: ["n/a", cell]})
    with pytest.raises(RowsRefused) as no:
        people.presentations(from_frame(frame, "t"))
    assert "line 3 (sub-2)" in str(no.value.field)
    assert no.value.found == cell
    assert str(no.value.expected).startswith(expected)
    assert no.value.mend == mend


def test_long_tables() -> None:
    long = pd.DataFrame(
        [["1", "base", i, "2"] for i in IRLS] + [["2", "base", "irls_01", "3"]],
        columns=["record", "redcap_event_name", "field_name", "value"],
    )
    assert is_long(long)
    r = people.scored(from_long(long, "t"), "irls")["IRLS_total"]
    np.testing.assert_array_equal(r.value, [20, np.nan])
    assert r.missing.tolist() == [0, 9]
    with pytest.raises(Refused, match="answered twice") as no:
        from_long(pd.concat([long, long.tail(1)], ignore_index=True), "t")
    assert "line 12: 2, base, irls_01" in str(no.value.field)
    with pytest.raises(Refused, match="lacks a column"):
        from_long(long.drop(columns="record"), "t")


def test_jhss_words_and_levodopa_columns() -> None:
    frame = pd.DataFrame(
        {
            "participant_id": ["sub-1", "sub-2", "sub-3"],
            "jhss_onset_hour": ["none", "19.5", "n/a"],
            "jhss_bedtime_hour": ["23", "23", "23"],
            "ldopa_vas_000": ["80", "n/a", "50"],
            "ldopa_vas_120": ["30", "n/a", "50"],
        }
    )
    read = from_frame(frame, "t")
    np.testing.assert_array_equal(people.scored(read, "jhss")["JHSS"].value, [0, 2, np.nan])
    assert people.levodopa_kinds(read) == ("symptoms",)
    assert people.levodopa_curves(read, "symptoms").shape == (3, 9)


def test_mixed_assays_are_named_and_never_converted() -> None:
    frame = pd.DataFrame(
        {"participant_id": ["sub-1", "sub-2"], "ferritin": ["80", "80"], "assay": ["a", "b"]}
    )
    read = from_frame(frame, "t", sidecar={"ferritin": {"Units": "ug/L"}})
    assert people.mixed_assays(read) == ("a", "b")
    assert [s.ferritin for s in people.samples(read)] == [80, 80]
