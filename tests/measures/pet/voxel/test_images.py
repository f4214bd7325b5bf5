"""From an image file to maps and regional curves, through the measure."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import voxel_study as tiny
import voxel_truth as truth

from ekbom.errors import Refused
from ekbom.measures.pet.measure import PETMeasure
from ekbom.measures.pet.settings import PETSettings
from ekbom.nouns import Product
from ekbom.space import checks, template
from ekbom.space.io import nifti_bytes
from ekbom.study.index import Study

PET = PETMeasure()


def settings(maps=None, space=None, **given):
    return PETSettings.model_validate(
        {
            "model": ["ma1"],
            "tstar": 30,
            "vB": 0.05,
            "tacs": "dseg",
            "figures": False,
            "maps": {"model": ["logan", "ma1", "spectral"], **(maps or {})},
            "space": {"fwhm": 0, **(space or {})},
            **given,
        }
    )


def run(root, chosen=None, unit=0) -> Product:
    study = Study.open(root)
    chosen = chosen or settings()
    return PET.run(PET.inputs(PET.units(study)[unit], study, chosen), chosen)


def by_name(product):
    return {image.name: image for image in product.maps}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tiny.write(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def product(root):
    return run(root)


@pytest.fixture
def copy(root, tmp_path):
    return shutil.copytree(root, tmp_path / "copy")


def refusal(*args, **kwargs):
    with pytest.raises(Refused) as no:
        run(*args, **kwargs)
    return no.value


def test_true_values_come_back(product):
    maps = by_name(product)
    for model in ("logan", "ma1", "spectral"):
        image = maps[f"space-{tiny.SPACE}_desc-{model}_VT_mimap"]
        assert (image.parameter, image.method, image.unit) == ("VT", model, "mL/cm3")
        assert image.space == tiny.SPACE
        assert np.array_equal(image.affine, tiny.GRID.affine)
        assert image.values.dtype == np.float32
        for k, (_, _, VT) in tiny.REGIONS.items():
            assert np.allclose(image.values[tiny.labels() == k], VT, rtol=0.01)
        assert np.array_equal(np.isfinite(image.values), tiny.brain())
    assert len(maps) == 3


def test_a_map_is_the_regional_fit(product):
    scores = {s.region: s for s in product.scores if s.parameter == "VT" and s.method == "ma1"}
    image = by_name(product)[f"space-{tiny.SPACE}_desc-ma1_VT_mimap"]
    for k, (name, *_) in tiny.REGIONS.items():
        inside = image.values[tiny.labels() == k]
        assert np.allclose(inside, scores[f"halves:{name}"].value, rtol=1e-6)


def test_sidecars_say_how_it_was_made(product):
    for image in product.maps:
        meta = image.meta
        assert meta["Model"] == image.method
        assert "Units" not in meta  # that of the map stands there
        assert meta["ImageUnits"] == "Bq/mL"
        assert meta["Weights"] == "poisson"
        assert abs(meta["Delay"]["Seconds"]) < 1
        assert meta["DecayConvention"] == "decay-corrected to injection"
        assert meta["VoxelsInMask"] == tiny.brain().sum()
        assert meta["BrainMask"].endswith("desc-brain_mask.nii.gz")
        assert (meta["Interpolations"], meta["SmoothingFWHM"]) == (0, 0)
        assert json.dumps(meta)
    logan = by_name(product)[f"space-{tiny.SPACE}_desc-logan_VT_mimap"].meta["ModelSettings"]
    assert (logan["tstar_min"], logan["vB"], logan["Frames"]) == (30, 0.05, 7)


def test_more_maps_when_asked(root):
    asked = settings(
        {"outcome": ["VT", "K1", "IRF60"], "se": True, "flags": True, "spectral": {"draws": 3}}
    )
    product = run(root, asked)
    parameters = {(m.method, m.parameter): m for m in product.maps}
    for model in ("logan", "ma1"):
        assert parameters[model, "VT_cv"].unit == "%"
        ratio = parameters[model, "VT_se"].values / parameters[model, "VT"].values
        assert np.allclose(
            100 * ratio, parameters[model, "VT_cv"].values, equal_nan=True, rtol=1e-5
        )
    K1 = parameters["spectral", "K1"]
    assert K1.unit == "mL/cm3/min"
    assert np.allclose(K1.values[tiny.labels() == 2], 0.4, rtol=0.02)
    assert {("spectral", "K1_se"), ("spectral", "IRF60"), ("ma1", "flags")} <= set(parameters)
    assert parameters["ma1", "flags"].values[tiny.brain()].max() == 0
    assert PET.outcomes["IRF60"] == parameters["spectral", "IRF60"].unit


def test_smoothed_maps_are_those_of_questions(root):
    product = run(root, settings({"model": ["ma1"]}, {"fwhm": 8.0}))
    maps = by_name(product)
    plain = maps[f"space-{tiny.SPACE}_desc-ma1_VT_mimap"]
    calm = maps[f"space-{tiny.SPACE}_desc-ma1Smoothed_VT_mimap"]
    assert (plain.parameter, calm.parameter) == ("VT_unsmoothed", "VT")
    assert (plain.meta["SmoothingFWHM"], calm.meta["SmoothingFWHM"]) == (0, 8)
    assert np.array_equal(np.isfinite(calm.values), tiny.brain())
    assert 2.0 < calm.values[1, 3, 3] < calm.values[3, 3, 3] < calm.values[5, 3, 3] < 4.0


def test_another_resolution_is_that_of_the_template(root):
    product = run(root, settings({"model": ["ma1"]}, {"fwhm": 6.0, "resolution": 2.0}))
    maps = by_name(product)
    fine = maps[f"space-{tiny.SPACE}_res-2_desc-ma1Smoothed_VT_mimap"]
    assert fine.values.shape == template(2).grid.shape
    assert np.array_equal(fine.affine, template(2).grid.affine)
    assert fine.meta["Interpolations"] == 1
    there = fine.values[np.isfinite(fine.values)]
    assert 1.9 < there.min() < there.max() < 4.1
    # As much brain as before, in voxels an eighth as large.
    assert there.size == pytest.approx(8 * tiny.brain().sum(), rel=0.35)


def test_outlying_voxels_do_not_spoil_their_neighbours(copy):
    values = tiny.image() * 1000
    # Late frames that rise: MA1 turns negative here.
    values[2, 3, 3] = np.linspace(1, 9e5, truth.FRAMES.n) ** 2 / 9e5
    tiny.write(copy, values=values)
    product = run(copy, settings({"model": ["ma1"]}, {"fwhm": 8.0}))
    plain, calm = (m for m in product.maps)
    assert not 0 <= plain.values[2, 3, 3] < 100
    assert calm.meta["VoxelsLeftOutOfSmoothing"] == 1
    assert 2.0 < calm.values[2, 3, 3] < 4.0
    assert any("left out of smoothing" in note.text for note in product.notes)


def test_frames_can_be_smoothed_before_the_fit(copy):
    rng = np.random.default_rng(1)
    clean = tiny.image()
    noise = rng.normal(size=clean.shape) * np.sqrt(truth.variance(clean) * 1e-2)
    tiny.write(copy, values=(clean + noise * 20) * 1000)
    spread = []
    for fwhm in (0, 8):
        image = run(copy, settings({"model": ["logan"], "frame_fwhm": fwhm})).maps[0]
        assert image.meta["FrameSmoothingFWHM"] == fwhm
        spread.append(np.nanstd(image.values[tiny.labels() == 1]))
    assert spread[1] < 0.6 * spread[0]


def test_unit_and_decay_of_the_image_do_not_matter_when_declared(copy, product):
    plain = by_name(product)
    raw = tiny.image() / truth.FRAMES.decay_factor
    cases = [
        (tiny.image(), tiny.pet_json(Units="kBq/mL")),
        (raw * 1000, tiny.pet_json(ImageDecayCorrected=False, ImageDecayCorrectionTime=None)),
    ]
    for values, sidecar in cases:
        tiny.write(copy, values=values, sidecar=sidecar)
        for name, image in by_name(run(copy)).items():
            assert np.allclose(image.values, plain[name].values, rtol=2e-4, equal_nan=True)


def test_where_an_image_lies(copy):
    made = copy / "derivatives" / "seg" / "sub-01" / "pet"
    for old in sorted(made.iterdir()):
        old.rename(made / old.name.replace(f"_space-{tiny.SPACE}", ""))
    assert {m.space for m in run(copy).maps} == {"orig"}
    # Labels of the whole data set, in a named space on this grid.
    shared = copy / "derivatives" / "seg"
    for old in sorted(made.iterdir()):
        old.rename(shared / old.name.replace("sub-01", f"space-{tiny.SPACE}"))
    found = run(copy)
    assert {m.space for m in found.maps} == {tiny.SPACE}
    assert {s.region for s in found.scores} == {"halves:left", "halves:right"}


def test_a_preprocessed_image_goes_first(copy):
    stem = f"sub-01_space-{tiny.SPACE}_desc-preproc_pet.nii.gz"
    path = copy / "derivatives" / "prep" / "sub-01" / "pet" / stem
    path.parent.mkdir(parents=True)
    path.write_bytes(nifti_bytes(tiny.image() * 2000, tiny.GRID.affine))
    double = run(copy).maps[1].values[tiny.brain()]
    assert np.allclose(
        double, 2 * run(copy, settings({"image": "raw"})).maps[1].values[tiny.brain()], rtol=0.05
    )
    again = path.with_name(stem.replace("_space", "_trc-a_space"))
    again.write_bytes(path.read_bytes())
    assert "several preprocessed images" in refusal(copy).what
    missing = refusal(copy, settings({"image": "seg"}))
    assert missing.field == "measures.pet.maps.image"


def test_without_labels_the_brain_is_the_region(copy):
    for path in (copy / "derivatives" / "seg" / "sub-01" / "pet").glob("*dseg*"):
        path.unlink()
    product = run(copy)
    assert {s.region for s in product.scores} == {"image:brain"}
    assert len(product.maps) == 3
    wanted = refusal(copy, settings(segmentations=["halves"]))
    assert "halves" in wanted.what


def test_without_a_mask(copy):
    made = copy / "derivatives" / "seg" / "sub-01" / "pet"
    next(iter(made.glob("*mask*"))).unlink()
    # In template space the template's mask serves; this image is mostly outside of its brain.
    no = refusal(copy)
    assert no.what == checks.FIELD_OF_VIEW.what
    assert "template" in no.found or tiny.SPACE in no.found
    filled = tiny.image() * 1000
    filled[filled.sum(axis=-1) == 0] = filled[3, 3, 3]
    filled[0, :, :3] = 0
    tiny.write(copy, values=filled, mask=False)
    product = run(copy)
    inside = product.maps[0].meta["VoxelsInMask"]
    assert inside > 0.9 * tiny.GRID.size
    assert 0 < product.maps[0].meta["VoxelsByFlag"]["no_data"] < 25
    filled[:, :1] = 0
    tiny.write(copy, values=filled, mask=False)
    assert any(note.code == "field-of-view" for note in run(copy).notes)
    tiny.write(copy, mask=False)
    assert any("template" in note.text for note in product.notes)
    for old in sorted(made.iterdir()):
        old.rename(made / old.name.replace(f"_space-{tiny.SPACE}", ""))
    product = run(copy)
    assert np.array_equal(np.isfinite(product.maps[0].values), tiny.labels() > 0)
    for old in sorted(made.iterdir()):
        old.unlink()
    assert refusal(copy).what == "There is no brain mask for the image."


def test_images_that_do_not_fit_their_json_are_refused(copy):
    tiny.write(copy, values=tiny.image()[..., :-1])
    no = refusal(copy)
    assert no.what == checks.FRAMES_DIFFER.what
    assert no.found.startswith("26 volumes, 27 frames")
    tiny.write(copy, values=tiny.image()[..., 5])
    assert refusal(copy).what == checks.NOT_4D.what
    tiny.write(copy, values=np.zeros((*tiny.GRID.shape, 27)))
    assert refusal(copy).what == checks.EMPTY_MAP.what
    tiny.write(copy, sidecar=tiny.pet_json(Units=None))
    assert refusal(copy).field == "Units"
    path = copy / "sub-01" / "pet" / "sub-01_pet.nii.gz"
    tiny.write(copy)
    path.write_bytes(path.read_bytes()[:-2000])
    assert refusal(copy).what == checks.UNREADABLE.what
    tiny.write(copy, values=tiny.image() * 1e6)
    assert refusal(copy).field == "Units"  # tissue and plasma do not fit together
    path.unlink()
    assert refusal(copy).field == "measures.pet.maps"


def test_same_bytes_again_and_a_figure_a_model(root):
    chosen = settings(figures=True)
    one, two = run(root, chosen), run(root, chosen)
    for a, b in zip(one.maps, two.maps, strict=True):
        assert a.values.tobytes() == b.values.tobytes()
    drawn = [f for f in one.figures if f.kind == "png"]
    again = [f for f in two.figures if f.kind == "png"]
    names = [f.name for f in drawn if "Quality" not in f.name]
    assert names == [f"desc-{m}_mimap" for m in ("logan", "ma1", "spectral")]
    for a, b in zip(drawn, again, strict=True):
        assert a.data == b.data
        assert a.data.startswith(b"\x89PNG")
        assert "left is left" in a.caption or "What to doubt" in a.caption


def test_the_methods_say_what_was_done():
    said = PET.words(settings({"frame_fwhm": 4}, {"fwhm": 8, "resolution": 4}))
    for words in ("spectral analysis", "MA1", "1 over the end of the scan", "4 mm (FWHM)", "8 mm"):
        assert words in said
    assert "maps" not in PET.words(settings({"model": []}))
    assert "Cunningham" in PET.citations["spectral"]


def test_a_plan_that_asks_for_what_is_not_there_is_refused():
    for maps in ({"model": ["3tcm"]}, {"outcome": ["BPND"]}, {"model": ["ma1"], "outcome": ["K1"]}):
        with pytest.raises(ValueError, match=r"3tcm|BPND|K1|logan"):
            settings(maps)


def test_storage_order_does_not_move_anything(copy, product):
    """An image stored with its axes swapped and flipped; labels and mask as before."""
    path = copy / "derivatives" / "prep" / "sub-01" / "pet"
    path.mkdir(parents=True)
    turned = tiny.image()[::-1].transpose(1, 0, 2, 3) * 1000
    affine = np.zeros((4, 4))
    affine[1, 0], affine[0, 1], affine[2, 2] = 4, -4, 4
    affine[:, 3] = [12, -20, 2, 1]
    stem = f"sub-01_space-{tiny.SPACE}_desc-preproc_pet.nii.gz"
    (path / stem).write_bytes(nifti_bytes(turned, affine))
    found = run(copy)
    plain = by_name(product)
    for image in found.maps:
        assert np.array_equal(image.affine, affine)
        back = image.values.transpose(1, 0, 2)[::-1]
        assert np.allclose(back, plain[image.name].values, rtol=1e-5, equal_nan=True)
    assert sum("brought to the grid" in note.text for note in found.notes) == 2


def test_memory_stays_below_three_images():
    import tracemalloc

    from ekbom.measures.pet.parametric import map_voxels
    from ekbom.measures.pet.weights import weights

    input = truth.input_function()
    curve = truth.tissue(truth.two_tissue(0.3, 0.3, 0.1, 0.1), 0.05, input)
    y = truth.noisy(curve, 0.1, np.random.default_rng(1), 60_000)
    w = weights("poisson", truth.FRAMES, curve)
    for model in ("logan", "ma1", "spectral"):
        map_voxels(y[:10], truth.FRAMES, input, model=model, weights=w, tstar=30)
        tracemalloc.start()
        map_voxels(y, truth.FRAMES, input, model=model, weights=w, tstar=30)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 3 * y.nbytes
