"""Broken input is refused with file, field, what was found and how to mend it."""
# ruff: noqa: E501 (one case a row)

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pet_edge_study import Made, write_tsv

from ekbom.errors import Refused

Change = Callable[[Made], None]


def _set(part: str, key: str, value: object) -> Change:
    return lambda made: getattr(made, part).__setitem__(key, value)


def _drop(part: str, key: str) -> Change:
    return lambda made: getattr(made, part).pop(key)


def _scale(part: str, factor: float, *keys: str) -> Change:
    def change(made: Made) -> None:
        table = getattr(made, part)
        for key in keys or [k for k in table if not k.startswith(("frame", "time"))]:
            table[key] = [factor * value for value in table[key]]

    return change


def _swap_times(made: Made) -> None:
    times = made.blood["time"]
    times[5], times[6] = times[6], times[5]


def _same_time(made: Made) -> None:
    made.blood["time"][6] = made.blood["time"][5]


def _cell(column: str, row: int, value: object) -> Change:
    return lambda made: made.blood[column].__setitem__(row, value)


def _cut_blood(made: Made) -> None:
    keep = [i for i, t in enumerate(made.blood["time"]) if t < 2500]
    made.blood = {key: [values[i] for i in keep] for key, values in made.blood.items()}


def _decay_factor(offset_s: float) -> Change:
    def change(made: Made) -> None:
        start = np.array(made.pet["FrameTimesStart"])
        mid = start + np.array(made.pet["FrameDuration"]) / 2
        decay = np.log(2) / 1220.04
        made.pet["RadionuclideHalfLife"] = 1220.04
        made.pet["DecayFactor"] = np.exp(decay * (mid - offset_s)).tolist()

    return change


def _fraction(values: Callable[[np.ndarray], np.ndarray]) -> Change:
    def change(made: Made) -> None:
        now = np.array(made.blood["metabolite_parent_fraction"])
        made.blood["metabolite_parent_fraction"] = values(now).tolist()

    return change


def _after(step: Change) -> Change:
    return lambda made: made.after.append(step)


def _truncate(attribute: str) -> Change:
    def cut(made: Made) -> None:
        file: Path = getattr(made, attribute)
        text = file.read_text()
        # in the middle of the last row, before its last cell
        file.write_text(text[: text.rstrip().rfind("\t")])

    return _after(cut)


def _write(attribute: str, text: str) -> Change:
    return _after(lambda made: getattr(made, attribute).write_text(text))


def _second_curves(made: Made) -> None:
    other = made.root / "derivatives" / "petprep" / "sub-01" / "ses-a" / "pet"
    write_tsv(other / made.tacs_file.name, made.tacs)


def _repeat_column(made: Made) -> None:
    lines = made.blood_file.read_text().splitlines()
    made.blood_file.write_text("\n".join(f"{line}\t{line.split(chr(9))[1]}" for line in lines))


def _joined(patterns: list[str], name: str = "both") -> Change:
    return _set("settings", "regions", {"gtmseg": {name: patterns}})


def _no_volumes(made: Made) -> None:
    made.volumes = None
    _joined(["*-Thalamus"])(made)


def _blood_unit(unit: object, column: str = "plasma_radioactivity") -> Change:
    return lambda made: made.blood_json.__setitem__(column, {} if unit is None else {"Units": unit})


CASES: dict[str, tuple[Change, str, str, str]] = {
    # name: change, words of the refusal, file at fault, field
    "image unit absent": (_drop("pet", "Units"), "unit of radioactivity is not declared", "pet.json", "Units"),
    "image unit unknown": (_set("pet", "Units", "counts"), "unit of radioactivity is not known", "pet.json", "Units"),
    "image bare Bq": (_set("pet", "Units", "Bq"), "not known", "pet.json", "Units"),
    "blood unit absent": (_blood_unit(None), "not declared", "blood.tsv", "plasma_radioactivity: Units"),
    "blood unit unknown": (_blood_unit("kBq"), "not known", "blood.tsv", "plasma_radioactivity: Units"),
    "blood time unit unknown": (_blood_unit("hours", "time"), "unit of time", "blood.tsv", "time: Units"),
    "tissue 1000 too large": (_scale("tacs", 1000), "cannot be in the declared units", "tacs.tsv", "Units"),
    "tissue 1000 too small": (_scale("tacs", 1e-3), "cannot be in the declared units", "tacs.tsv", "Units"),
    "decay correction absent": (_drop("pet", "ImageDecayCorrected"), "whether the image is decay", "pet.json", "ImageDecayCorrected"),
    "decay correction no word": (_set("pet", "ImageDecayCorrected", "perhaps"), "whether the image is decay", "pet.json", "ImageDecayCorrected"),
    "decay time absent": (_drop("pet", "ImageDecayCorrectionTime"), "missing or no number", "pet.json", "ImageDecayCorrectionTime"),
    "decay factors 100 s off": (_decay_factor(100.0), "decay factors disagree", "pet.json", "DecayFactor"),
    "half-life of another nuclide": (_set("pet", "RadionuclideHalfLife", 6586.0), "not that of the radionuclide", "pet.json", "RadionuclideHalfLife"),
    "no half-life": (_drop("pet", "TracerRadionuclide"), "half-life of the radionuclide", "pet.json", "TracerRadionuclide"),
    "injection absent": (_drop("pet", "InjectionStart"), "missing or no number", "pet.json", "InjectionStart"),
    "injection after the scan": (_set("pet", "InjectionStart", 9000), "No frame ends after injection", "pet.json", "InjectionStart"),
    "frames before the scan": (_set("pet", "ScanStart", 120), "begins before the scan", "pet.json", "FrameTimesStart"),
    "no frame times": (_drop("pet", "FrameTimesStart"), "frames are not declared", "pet.json", "FrameTimesStart"),
    "frames of words": (_set("pet", "FrameDuration", ["a", "b"]), "frames are not declared", "pet.json", "FrameDuration"),
    "one duration too few": (lambda m: m.pet["FrameDuration"].pop(), "differ in number", "pet.json", "FrameDuration"),
    "negative duration": (lambda m: m.pet["FrameDuration"].__setitem__(3, -5), "negative duration", "pet.json", "FrameDuration"),
    "frame times decreasing": (lambda m: m.pet["FrameTimesStart"].__setitem__(4, 1), "do not increase", "pet.json", "FrameTimesStart"),
    "frames overlap": (lambda m: m.pet["FrameDuration"].__setitem__(4, 45), "Frames overlap", "pet.json", "FrameDuration"),
    "blood not in order": (_swap_times, "times of the blood samples do not increase", "blood.tsv", "time"),
    "blood twice at a time": (_same_time, "times of the blood samples do not increase", "blood.tsv", "time"),
    "blood too short": (_cut_blood, "ends before the scan", "blood.tsv", "time"),
    "sample without time": (_cell("time", 3, "n/a"), "has no time", "blood.tsv", "time, row 4"),
    "cell no number": (_cell("plasma_radioactivity", 2, "1,5"), "not a number", "blood.tsv", "plasma_radioactivity, row 3"),
    "fraction in percent": (_fraction(lambda f: 100 * f), "not a fraction", "blood.tsv", "metabolite_parent_fraction"),
    "fraction above one": (_fraction(lambda f: 1.2 * f), "outside 0 to 1", "blood.tsv", "metabolite_parent_fraction"),
    "metabolites for parent": (_fraction(lambda f: 1 - f), "metabolite fraction", "blood.tsv", "metabolite_parent_fraction"),
    "plasma promised": (_drop("blood", "plasma_radioactivity"), "promises a column", "blood.tsv", "plasma_radioactivity"),
    "fraction promised": (_drop("blood", "metabolite_parent_fraction"), "promises a column", "blood.tsv", "metabolite_parent_fraction"),
    "column twice": (_after(_repeat_column), "named twice", "blood.tsv", "plasma_radioactivity"),
    "blood truncated": (_truncate("blood_file"), "not as many cells", "blood.tsv", "row"),
    "curves truncated": (_truncate("tacs_file"), "not as many cells", "tacs.tsv", "row"),
    "blood empty": (_write("blood_file", ""), "no rows", "blood.tsv", ""),
    "json cut off": (_write("pet_file", '{"Units": "Bq/mL",'), "JSON", "pet.json", ""),
    "frames of curves fewer": (lambda m: m.tacs.update({k: v[:-1] for k, v in m.tacs.items()}), "as many frames", "tacs.tsv", "frame_start"),
    "frames of curves shifted": (_scale("tacs", 1.02, "frame_end"), "not those of the image", "tacs.tsv", "frame_start"),
    "no frame columns": (_drop("tacs", "frame_end"), "column is missing", "tacs.tsv", "frame_end"),
    "curves twice": (_after(_second_curves), "two tables of curves", "tacs.tsv", "pipeline"),
    "pattern without region": (_joined(["*-Talamus"]), "matches no region", "tacs.tsv", "gtmseg.both"),
    "joined name taken": (_joined(["*-Thalamus"], "Cerebellum"), "name of a region", "tacs.tsv", "Cerebellum"),
    "join without volumes": (_no_volumes, "without their volumes", "tacs.tsv", "gtmseg.both"),
    "segmentation not there": (_set("settings", "segmentations", ["aparc"]), "segmentation aparc", "ses-a", "segmentations"),
    "weights of no region": (_set("settings", "weight_reference", "gtmseg:x"), "make the weights", "tacs.tsv", "weight_reference"),
    "no blood": (_after(lambda m: m.blood_file.unlink()), "no blood", "ses-a", "blood"),
    "no curves": (_after(lambda m: m.tacs_file.unlink()), "no regional curves", "ses-a", "tacs"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_refused_with_all_its_parts(case: str, made: Made) -> None:
    change, words, file, field = CASES[case]
    change(made)
    with pytest.raises(Refused) as no:
        made.run()
    said = no.value
    assert words in said.what
    assert file in str(said.file)
    assert field in (said.field or "")
    assert said.mend or said.expected


def test_the_study_they_start_from_is_accepted(made: Made) -> None:
    product = made.run()
    assert {score.region for score in product.scores} >= {"gtmseg:Left-Thalamus"}
    assert not [note for note in product.notes if note.permission]


def test_rows_and_values_are_named_when_blood_is_out_of_order(made: Made) -> None:
    _swap_times(made)
    with pytest.raises(Refused) as no:
        made.run()
    assert "row 6: 35 s, row 7: 30 s" in str(no.value.found)
    assert "blood.sort = true" in str(no.value.mend)


def test_sorting_by_permission_is_recorded_and_gives_the_same(made: Made, tmp_path: Path) -> None:
    clean = Made(tmp_path / "clean").run()
    for values in made.blood.values():
        values[5], values[6] = values[6], values[5]
    made.settings["scans"] = {"sub-01_ses-a": {"blood": {"sort": True}}}
    product = made.run()
    assert [note.code for note in product.notes if note.permission] == ["blood-sorted"]
    assert product.meta["PermissionsUsed"]
    assert [s.value for s in product.scores] == [s.value for s in clean.scores]


def test_a_permission_that_is_not_needed_is_not_recorded(made: Made) -> None:
    made.settings["scans"] = {"sub-01_ses-a": {"blood": {"sort": True, "extrapolate": True}}}
    assert not [note for note in made.run().notes if note.permission]


def test_extrapolation_by_permission_is_recorded_with_its_share(made: Made) -> None:
    _cut_blood(made)
    made.settings["scans"] = {"sub-01_ses-a": {"blood": {"extrapolate": True}}}
    product = made.run()
    assert [note.code for note in product.notes if note.permission] == ["blood-extrapolated"]
    assert product.meta["ExtrapolatedShare"] > 0.01


def test_trusted_units_are_recorded(made: Made) -> None:
    _scale("tacs", 1000)(made)
    made.settings["scans"] = {"sub-01_ses-a": {"trust_units": True}}
    assert [note.code for note in made.run().notes if note.permission] == ["units-trusted"]
