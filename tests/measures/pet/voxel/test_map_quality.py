"""The figure of what to doubt in a map."""

from __future__ import annotations

import numpy as np
import voxel_study as tiny

from ekbom.measures.pet.flags import bits
from ekbom.measures.pet.map_quality import _first, quality_figure
from ekbom.measures.pet.measure import PETMeasure
from ekbom.measures.pet.settings import PETSettings
from ekbom.study.index import Study


def test_first_flags_are_ordered_by_how_many_voxels_have_them():
    flags = np.array([0.0, 0, bits(["cv_high"]), bits(["k4_small", "cv_high"]), np.nan])
    flags = np.append(flags, [float(bits(["cv_high"]))] * 2)
    place, legend = _first(flags)
    assert legend == ["cv_high", "k4_small"]
    np.testing.assert_array_equal(place, [0, 0, 1, 2, np.nan, 1, 1])
    # more kinds than colours: the rarest share one
    many = np.array([float(1 << k) for k in range(10)] + [1.0])
    _, legend = _first(many)
    assert len(legend) == 7
    assert legend[-1] == "other"


def test_without_a_row_there_is_no_figure():
    values = np.where(tiny.brain(), 2.0, np.nan)
    assert quality_figure(values, tiny.GRID, name="x", parameter="VT", model="ma1") is None
    cv = np.where(tiny.brain(), 60.0, np.nan)
    one = quality_figure(values, tiny.GRID, cv=cv, name="x", parameter="VT", model="ma1")
    two = quality_figure(values, tiny.GRID, cv=cv, name="x", parameter="VT", model="ma1")
    assert one is not None
    assert one.data == two.data
    assert "above 50 % in 100.0 % of voxels" in one.caption


def test_maps_with_errors_come_with_their_doubts(tmp_path):
    study = Study.open(tiny.write(tmp_path / "study"))
    settings = PETSettings.model_validate(
        {
            "model": ["ma1"], "tstar": 30, "tacs": "dseg",
            "maps": {"model": ["ma1", "spectral"], "se": True, "spectral": {"draws": 2}},
            "space": {"fwhm": 0},
        }
    )  # fmt: skip
    measure = PETMeasure()
    product = measure.run(measure.inputs(measure.units(study)[0], study, settings), settings)
    captions = {figure.name: figure.caption for figure in product.figures}
    assert "CV median" in captions["desc-ma1Quality_mimap"]
    assert "beyond the scan" not in captions["desc-ma1Quality_mimap"]
    assert "beyond the scan" in captions["desc-spectralQuality_mimap"]
