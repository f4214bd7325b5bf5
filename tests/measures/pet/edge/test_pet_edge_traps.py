"""Traps of reading: units, what a fraction means, absent values, order of columns.

Each test also shows what the naive reader would have made of the same files.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pet_edge_study import TRUTH, Made, blood_curves, tissue, true_vt, write_tsv

from ekbom.errors import Refused
from ekbom.measures.pet.fit import fit
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction
from ekbom.measures.pet.io.text import read_tsv

REGION = "Left-Thalamus"


def measured(made: Made) -> float:
    (value,) = [
        s.value for s in made.run().scores if s.parameter == "VT" and s.region == f"gtmseg:{REGION}"
    ]
    return value


def naive(plasma: np.ndarray, fraction: np.ndarray, whole: np.ndarray, *, scale: float = 1.0,
          first: str = "zero") -> float:  # fmt: skip
    """V_T with numbers taken as they stand in the columns."""
    t = blood_curves()[0] / 60
    c_p = plasma * fraction
    start = 0.0 if first == "zero" else c_p[0]
    knots = np.concatenate(([0.0], t))
    given = InputFunction(
        knots,
        np.maximum(np.concatenate(([start], c_p)), 0),
        np.maximum(np.concatenate(([0.0], whole)), 0),
    )
    frames = Frames.of_runs([(4, 15), (4, 30), (5, 60), (4, 120), (13, 300)], 20.364)
    return float(fit(scale * tissue(REGION), frames, given, model="2tcm").params["VT"][0])


def test_numbers_without_their_unit_are_wrong_by_1000(made: Made) -> None:
    """T4: curves in Bq/mL beside blood in kBq/mL."""
    assert measured(made) == pytest.approx(true_vt(REGION), rel=1e-4)
    _, plasma, fraction, whole = blood_curves()
    wrong = naive(plasma, fraction, whole, scale=1000)
    assert wrong > 100 * true_vt(REGION)
    made.pet["Units"] = "kBq/mL"  # the curves are Bq/mL
    with pytest.raises(Refused, match="cannot be in the declared units") as no:
        made.run()
    assert "ratio" in str(no.value.found)


def test_the_share_of_metabolites_is_not_the_parent_fraction(made: Made) -> None:
    """T11: a column that holds what the parent fraction is not."""
    _, plasma, fraction, whole = blood_curves()
    assert abs(naive(plasma, 1 - fraction, whole) / true_vt(REGION) - 1) > 0.3
    made.blood["metabolite_parent_fraction"] = (1 - fraction).tolist()
    with pytest.raises(Refused, match="metabolite fraction"):
        made.run()


def test_absent_values_are_left_out_not_zero(made: Made) -> None:
    """T11: n/a in the parent fraction, which is assayed on fewer samples than plasma is counted."""
    t, plasma, fraction, whole = blood_curves()
    assayed = np.arange(t.size) % 4 == 0
    assayed[-1] = True
    made.blood["metabolite_parent_fraction"] = [
        f if there else "n/a" for f, there in zip(fraction, assayed, strict=True)
    ]
    assert measured(made) == pytest.approx(true_vt(REGION), rel=0.01)
    assert abs(naive(plasma, np.where(assayed, fraction, 0), whole) / true_vt(REGION) - 1) > 0.3


def test_a_first_sample_after_injection_rises_from_zero(made: Made) -> None:
    """T11: the first sample stands on the bolus; held back to injection it makes plasma there."""
    keep = [i for i, t in enumerate(made.blood["time"]) if t >= 55]
    made.blood = {key: [values[i] for i in keep] for key, values in made.blood.items()}
    made.settings["delay"] = 0
    found = measured(made)
    t, plasma, fraction, whole = blood_curves()
    late = t >= 55
    held = np.where(late, plasma * fraction, (plasma * fraction)[late][0])
    ours = abs(found / true_vt(REGION) - 1)
    theirs = abs(naive(held, np.ones(t.size), whole, first="held") / true_vt(REGION) - 1)
    assert ours < theirs


def test_negative_samples_stay_out_of_the_input(made: Made) -> None:
    """T11: background subtracted, so the first samples are noise about zero."""
    for column in ("plasma_radioactivity", "whole_blood_radioactivity"):
        made.blood[column][0] = -0.8
    assert measured(made) == pytest.approx(true_vt(REGION), rel=1e-3)
    (table,) = [t for t in made.run().tables if t.name == "inputfunction"]
    assert (table.frame["AIF"] >= 0).all()
    assert any(note.code == "blood-negative" for note in made.run().notes)
    # an input below zero is none at all
    with pytest.raises(Refused, match="cannot be negative"):
        InputFunction([0, 1, 2], [0, -1, 5], [0, 1, 1])


def test_columns_are_known_by_name_not_by_place(made: Made, tmp_path: Path) -> None:
    """T12: another order, further columns and a series in a recording of its own."""
    before = measured(made)
    other = Made(tmp_path / "other")
    order = ["whole_blood_radioactivity", "hplc_ok", "metabolite_parent_fraction", "time",
             "plasma_radioactivity"]  # fmt: skip
    other.blood["hplc_ok"] = ["yes"] * len(other.blood["time"])
    other.blood = {name: other.blood[name] for name in order}
    assert measured(other) == before
    table = read_tsv(other.blood_file)
    columns = list(table.columns)
    # by place the second column would be plasma and the first the time
    assert columns[0] != "time"
    with pytest.raises(Refused, match="not a number"):
        table.numbers(columns[1])
    apart = Made(tmp_path / "apart")
    whole = apart.blood.pop("whole_blood_radioactivity")
    apart.blood_json["WholeBloodAvail"] = False

    def second(made: Made) -> None:
        path = made.stem.with_name("sub-01_ses-a_recording-autosampler_blood.tsv")
        write_tsv(path, {"time": made.blood["time"], "whole_blood_radioactivity": whole})
        made.blood_file.with_suffix(".json").rename(path.with_suffix(".json"))
        path.with_suffix(".json").write_text(
            '{"time": {"Units": "s"}, "whole_blood_radioactivity": {"Units": "kBq/mL"}}'
        )
        from pet_edge_study import write_json

        write_json(made.blood_file.with_suffix(".json"), made.blood_json)

    apart.after.append(second)
    assert measured(apart) == pytest.approx(before, rel=1e-6)


def test_blood_volume_holds_whole_blood_of_the_file(made: Made) -> None:
    """T13 through the files: v_B with plasma in the blood term is another one."""
    product = made.run()
    (value,) = [
        s.value for s in product.scores if s.parameter == "vB" and s.region == f"gtmseg:{REGION}"
    ]
    assert value == pytest.approx(TRUTH[REGION][4], rel=0.01)
    made.blood["whole_blood_radioactivity"] = list(made.blood["plasma_radioactivity"])
    (wrong,) = [
        s.value for s in made.run().scores if s.parameter == "vB" and s.region == f"gtmseg:{REGION}"
    ]
    assert abs(wrong / TRUTH[REGION][4] - 1) > 0.1
