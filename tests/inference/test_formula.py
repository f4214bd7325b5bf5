from __future__ import annotations

import pytest

from ekbom.errors import Refused
from ekbom.inference import formula_names


@pytest.mark.parametrize(
    ("formula", "names"),
    [
        ("~ group", ["group"]),
        ("~ group * age + sex", ["group", "age", "sex"]),
        ("~ irls_total + legs.PLMS_index", ["irls_total", "legs.PLMS_index"]),
        ("~ `legs.PLMS_index`:group", ["legs.PLMS_index", "group"]),
        ("~ log(clinic.ferritin) + C(site)", ["clinic.ferritin", "site"]),
        ("~ session + participant", ["session", "participant"]),
        ("~ 1", []),
        ("group + age - 1", ["group", "age"]),
    ],
)
def test_names_used_by_a_formula(formula: str, names: list[str]) -> None:
    assert formula_names(formula) == names


@pytest.mark.parametrize(
    "formula",
    [
        "",
        "~ group +",
        "VT ~ group",
        "~ session + (1|participant)",
        "~ __import__('os').getcwd()",
        "~ exp(age)",
        "~ log(age + 1)",
        "~ 2",
        "~ group + (age",
    ],
)
def test_what_cannot_be_a_model_is_refused_with_the_formula(formula: str) -> None:
    with pytest.raises(Refused) as caught:
        formula_names(formula)
    assert caught.value.field == "model"
    assert caught.value.found == formula
    assert caught.value.mend
    assert "\x1b" not in str(caught.value)
