"""Tracer files: every number marked, sums right, mistakes refused."""

from __future__ import annotations

import json
import math

import pytest

from ekbom.errors import Refused
from ekbom.measures.pet.half_lives import half_life, half_lives, nuclide
from ekbom.measures.pet.tracers import parse_tracer, tracer, tracer_names


@pytest.mark.parametrize("name", tracer_names())
def test_every_file_loads_and_its_priors_hang_together(name):
    found = tracer(name)
    assert found.name == name
    assert found.half_life == half_life(found.nuclide)
    for key, rates in found.kinetics.items():
        if rates.k4 > 0:
            assert math.isclose(rates.VT, rates.K1 / rates.k2 * (1 + rates.k3 / rates.k4)), key
    for regional in found.regional.values():
        assert all(value > 0 for value in regional.values.values())


def test_diprenorphine_as_printed():
    found = tracer("[11C]Diprenorphine")
    general = found.kinetics["general"]
    assert abs(general.VND - 2.6667) < 1e-4
    assert abs(general.BPND - 5.714) < 1e-3
    assert abs(general.VT - 17.9) < 0.01
    s = general.k2 + general.k3 + general.k4
    slow = (s - math.sqrt(s * s - 4 * general.k2 * general.k4)) / 2
    assert slow == pytest.approx(0.0174, abs=5e-5)
    assert found.frames is not None
    assert len(found.frames.durations) == 27
    assert found.frames.total == 5400
    assert found.unverified()["regional.VT"] == "recalled"
    assert "kinetics.general" not in found.unverified()
    assert "bind" in found.reference.warning


@pytest.mark.real_data
def test_mc1_frames_are_those_of_the_public_data(shared_data):
    path = shared_data / "ds004869/sub-04/ses-baseline/pet/sub-04_ses-baseline_pet.json"
    frames = tracer("mc1").frames
    assert frames is not None
    assert list(frames.durations) == json.loads(path.read_text())["FrameDuration"]


@pytest.mark.parametrize("word", ["11C", "C11", "C-11", "[11C]", "carbon-11", "11c", " 11C "])
def test_spellings_of_a_nuclide(word):
    assert nuclide(word) == "11C"
    assert half_life(word) == half_lives()["11C"].value


@pytest.mark.parametrize("word", ["", "11", "C12", "99mTc", "carbon"])
def test_unknown_nuclide_is_refused(word):
    with pytest.raises(Refused) as no:
        half_life(word)
    assert no.value.field == "TracerRadionuclide"


def test_unknown_tracer_is_refused_with_the_list():
    with pytest.raises(Refused) as no:
        tracer("morphine")
    assert "diprenorphine" in (no.value.expected or "")


GOOD = """
name = "x"
label = "[11C]x"
bids_name = "x"
nuclide = "11C"
target = "t"
model = "2tcm"
outcomes = ["VT"]
[dose]
value = 1.0
unit = "MBq"
status = "assumed"
source = "s"
"""


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ('unit = "MBq"\n', "", "dose.unit"),
        ('status = "assumed"\n', "", "dose.status"),
        ('status = "assumed"', 'status = "sure"', "dose.status"),
        ('source = "s"\n', "", "dose.source"),
        ('model = "2tcm"', 'model = "5tcm"', "model"),
        ('name = "x"\n', 'name = "x"\nhalflife = 3\n', "halflife"),
    ],
)
def test_a_file_without_marks_is_refused(old, new, field):
    assert parse_tracer(GOOD).name == "x"
    with pytest.raises(Refused) as no:
        parse_tracer(GOOD.replace(old, new, 1), source="x.toml")
    assert no.value.field == field
    assert no.value.file == "x.toml"


def test_an_unknown_nuclide_in_a_file_is_refused():
    with pytest.raises(Refused):
        parse_tracer(GOOD.replace("11C", "11X"))


def test_text_that_is_not_toml_is_refused():
    with pytest.raises(Refused, match="not TOML"):
        parse_tracer("name = ")
