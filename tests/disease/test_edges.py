import pytest

from ekbom.cli.app import call
from ekbom.disease.doses import dose
from ekbom.disease.model import NOT_ADVICE, load
from ekbom.disease.writers.docs import pages
from ekbom.errors import Refused


@pytest.mark.parametrize(
    "text",
    ["levodopa 100 21:00", "levodopa 100 ug 21:00", "water 1 mg 21:00", "levodopa 1 mg 25:00", ""],
)  # fmt: skip
def test_a_dose_that_cannot_be_meant_is_refused(text):
    with pytest.raises(Refused):
        dose(text, 2)


def test_a_dose_is_given_each_day():
    found = dose("Levodopa 100 mg 21:30", 3)
    assert [e.time for e in found] == [21.5, 45.5, 69.5]
    assert {(e.target, e.amount) for e in found} == {("l_gut", 100.0)}
    assert len(dose("iv iron 1000 mg 9:00", 3)) == 1


def test_the_documentation_names_everything_and_is_fresh():
    from pathlib import Path

    made = pages(load())
    text = "".join(made.values())
    for x in load().everything:
        assert f"`{x.id}`" in text
    docs = Path(__file__).parents[2] / "docs" / "disease"
    for name, page in made.items():
        assert (docs / name).read_text("utf-8") == page


def test_the_command_runs_a_person_and_says_what_it_is_not(tmp_path, capsys):
    person = tmp_path / "p.toml"
    person.write_text("g0 = -1.0\nq_bbb = 0.7\n")
    code = call(["model", "run", "--person", str(person), "--days", "2",
                 "--out", str(tmp_path / "o"),
                 "--dose", "levodopa 100 mg 21:00"])  # fmt: skip
    assert code == 0
    assert NOT_ADVICE in capsys.readouterr().out
    lines = (tmp_path / "o" / "run.tsv").read_text().splitlines()
    assert len(lines) == 50
    assert NOT_ADVICE in (tmp_path / "o" / "run.json").read_text()


def test_the_command_exports_and_refuses(tmp_path):
    assert call(["model", "export", "--out", str(tmp_path)]) == 0
    assert NOT_ADVICE in (tmp_path / "ekbom_disease.xml").read_text()
    assert call(["model", "export", "--out", str(tmp_path), "--format", "petab"]) == 2
    assert call(["model", "run", "--out", str(tmp_path), "--dose", "levodopa 100 21:00"]) == 2
    assert call(["model", "evidence", "--rows", "QQ*"]) == 2
