"""[11C]PBR28 test-retest: five people, two scans each, arterial blood."""

import numpy as np
import pandas as pd
import pytest
from pet_numerics_truth import C11

from ekbom.measures.pet.delay import fit_delay
from ekbom.measures.pet.fit import fit
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction
from ekbom.measures.pet.tstar import choose_tstar

REGIONS = ["FC", "TC", "STR", "THA", "WB", "CBL"]


@pytest.fixture(scope="module")
def scans(shared_data):
    folder = shared_data / "pbr28"
    people = pd.read_csv(folder / "participants.tsv", sep="\t").set_index("PET")
    found = {}
    for name in people.index:
        tacs = pd.read_csv(folder / f"{name}_tacs.tsv", sep="\t")
        blood = pd.read_csv(folder / f"{name}_procblood.tsv", sep="\t")
        start = tacs["StartTime"] / 60
        frames, keep, notes = Frames.without_empty(start, start + tacs["Duration"] / 60, C11)
        t = blood["Time"].to_numpy() / 60
        given = InputFunction(
            t,
            blood["Cpl_metabcorr"].clip(lower=0),
            blood["Cbl_dispcorr"].clip(lower=0),
            covers=(0, float(t[-1])),
        )
        values = tacs[REGIONS].to_numpy().T[:, keep]
        found[name] = (values, frames, given, notes, people.loc[name, "Genotype"])
    return found


@pytest.mark.real_data
def test_schedule_has_an_empty_frame_and_a_late_start(scans):
    for _, frames, _, notes, _ in scans.values():
        assert len(notes) == 1
        assert frames.gaps[0][0] == 0
        assert 8 / 60 - 1e-9 <= frames.gaps[0][1] <= 36 / 60


@pytest.mark.real_data
def test_models_agree_and_values_are_plausible(scans):
    VT = {}
    for name, (values, frames, given, _, genotype) in scans.items():
        delay = fit_delay(values[REGIONS.index("WB")], frames, given)
        assert delay.flag == ""
        assert abs(delay.value) < 0.5
        tissue = given.shifted(delay.value)
        two = fit(values, frames, tissue, model="2tcm", names=REGIONS)
        one = fit(values, frames, tissue, model="1tcm")
        start = choose_tstar(values, frames, tissue, vB=0.05).value
        assert 10 <= start <= 40
        ma1 = fit(values, frames, tissue, model="ma1", vB=0.05, tstar=30)
        logan = fit(values, frames, tissue, model="logan", vB=0.05, tstar=30)
        assert ((two.params["VT"] > 1) & (two.params["VT"] < 12)).all()
        assert ((two.params["K1"] > 0.05) & (two.params["K1"] < 0.5)).all()
        assert ((two.params["vB"] > 0.02) & (two.params["vB"] < 0.12)).all()
        # the tracer needs two tissues in every region
        assert (two.aicc < one.aicc).all()
        assert not any({"no_convergence", "singular", "k4_small"} & set(f) for f in two.flags)
        sure = two.cv() < 4
        np.testing.assert_allclose(ma1.params["VT"][sure], two.params["VT"][sure], rtol=0.12)
        np.testing.assert_allclose(logan.params["VT"], ma1.params["VT"], rtol=0.02)
        VT[name] = (genotype, float(ma1.params["VT"][REGIONS.index("WB")]))
    high = [v for g, v in VT.values() if g == "HAB"]
    mixed = [v for g, v in VT.values() if g == "MAB"]
    # high-affinity binders take up more
    assert np.mean(high) > 1.3 * np.mean(mixed)
