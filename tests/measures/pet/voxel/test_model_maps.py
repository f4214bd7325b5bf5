"""Compartment and reference-region maps through the measure, from image file to map."""

from __future__ import annotations

import numpy as np
import pytest
import voxel_study as tiny

from ekbom.measures.pet.measure import PETMeasure
from ekbom.measures.pet.settings import PETSettings
from ekbom.study.index import Study


def maps(root, **given):
    given = {"figures": False, "space": {"fwhm": 0}, "tacs": "dseg", "delay": 0, **given}
    study, measure = Study.open(root), PETMeasure()
    settings = PETSettings.model_validate(given)
    unit = measure.units(study)[0]
    product = measure.run(measure.inputs(unit, study, settings), settings)
    return {(m.method, m.parameter): m for m in product.maps}, measure.words(settings)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    tiny.write(folder)
    return folder


def test_two_tissue_maps(root) -> None:
    found, words = maps(
        root, model=["2tcm"], maps={"model": ["2tcm"], "outcome": ["VT", "K1", "vB"], "se": True}
    )
    for k, (_, _, VT) in tiny.REGIONS.items():
        inside = tiny.labels() == k
        np.testing.assert_allclose(found["2tcm", "VT"].values[inside], VT, rtol=0.01)
        np.testing.assert_allclose(found["2tcm", "vB"].values[inside], 0.05, atol=0.005)
    assert found["2tcm", "VT"].unit == "mL/cm3"
    assert ("2tcm", "VT_se") in found
    assert "two-tissue compartment model" in words


def test_reference_maps_without_blood(root) -> None:
    found, words = maps(
        root,
        model=["srtm"],
        reference="halves:right",
        k2prime=0.1,
        tstar=20,
        window=[30, 60],
        maps={"model": ["srtm", "logan-ref", "suvr"], "outcome": ["BPND", "SUVR", "R1"]},
    )
    right = tiny.labels() == 2
    for model in ("srtm", "logan-ref"):
        assert np.abs(found[model, "BPND"].values[right]).max() < 0.01
    np.testing.assert_allclose(found["suvr", "SUVR"].values[right], 1.0, atol=1e-3)
    left = tiny.labels() == 1
    # half the volume of the reference: DVR 2/4
    np.testing.assert_allclose(1 + found["logan-ref", "BPND"].values[left], 0.5, rtol=0.1)
    assert found["srtm", "BPND"].meta["BloodSource"].startswith("none")
    assert "halves:right" in words


def test_suv_maps_of_a_plan_stand_beside_models_without_suv(tmp_path) -> None:
    dose = {
        "InjectedRadioactivity": 200, "InjectedRadioactivityUnits": "MBq", "PatientWeight": 80.0
    }  # fmt: skip
    tiny.write(tmp_path, sidecar=tiny.pet_json(**dose))
    found, words = maps(
        tmp_path,
        model=["ma1"],
        tstar=30,
        window=[40, 60],
        maps={"model": ["suv"], "outcome": ["SUV"]},
    )
    image = found["suv", "SUV"]
    inside = (tiny.truth.FRAMES.start >= 40) & (tiny.truth.FRAMES.end <= 60)
    length = tiny.truth.FRAMES.duration[inside]
    right = tiny.labels() == 2
    mean = (tiny.image()[right][:, inside] * length).sum(axis=-1) / length.sum()
    np.testing.assert_allclose(image.values[right], mean / (200 / 80), rtol=1e-3)
    assert (image.unit, image.meta["ModelSettings"]["weight_from"]) == ("g/mL", "PatientWeight")
    assert "SUV was the mean from 40 to 60 min" in words
