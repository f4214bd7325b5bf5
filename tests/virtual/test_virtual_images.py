"""Anatomy, blur, noise and files: activity is kept, both paths agree, bytes repeat."""

from __future__ import annotations

import gzip

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, sparse

from ekbom import virtual
from ekbom.errors import OutputRefused, Refused
from ekbom.measures.pet.tracers import tracer
from ekbom.virtual import bids
from ekbom.virtual.anatomy import anatomy, blur, draw_texture, mixing, noise_gain
from ekbom.virtual.regions import sources
from ekbom.virtual.scanner import Timing, dynamic_image, noise_scale, noisy_labels
from ekbom.virtual.smooth import smoothed

DPN = tracer("diprenorphine")
SOURCES = sources(DPN)
PLACE = anatomy(SOURCES, 4.0)
TIMING = Timing.of(DPN)
LABELLED = [s for s in SOURCES if s.index]


def test_all_regions_are_there_on_both_sides_and_mirror_each_other():
    assert PLACE.labels.shape == (50, 59, 48)
    counts = {s.name: int((PLACE.labels == s.index).sum()) for s in LABELLED}
    assert min(counts.values()) >= 8, counts
    flipped = PLACE.labels[::-1]
    for left, right in zip(LABELLED[::2], LABELLED[1::2], strict=True):
        assert left.name.replace("Left", "Right") == right.name
        assert counts[left.name] == pytest.approx(counts[right.name], rel=0.1, abs=3)
        x = np.nonzero(PLACE.labels == left.index)[0] * 4 - 98
        assert x.max() <= 0, left.name
    assert flipped.shape == PLACE.labels.shape


def test_weights_are_shares():
    total = PLACE.weights.sum(axis=-1)
    assert PLACE.weights.min() >= 0
    assert total.max() <= 1 + 1e-9
    assert np.all(total[~PLACE.brain] == 0)
    assert np.median(total[PLACE.brain]) > 0.9
    # a label is given where its source is, and nowhere else
    for s, source in enumerate(SOURCES):
        if source.index:
            assert PLACE.weights[..., s][PLACE.labels == source.index].min() >= 0.35


def test_blur_keeps_activity_and_has_the_width_asked_for():
    point = np.zeros(PLACE.grid.shape)
    point[25, 30, 24] = 7.0
    seen = blur(point, 12.0, PLACE.grid)
    assert seen.sum() == pytest.approx(7.0, rel=1e-9)
    x = (np.arange(50) - 25) * 4.0
    variance = (seen.sum(axis=(1, 2)) * x**2).sum() / 7.0
    assert np.sqrt(variance) * 2.3548 == pytest.approx(12.0, rel=0.01)
    np.testing.assert_array_equal(blur(point, 0.0, PLACE.grid), point)


def test_noise_has_the_sd_and_correlation_asked_for():
    scanner = virtual.load("demo").scanner
    curve = np.full((len(SOURCES), TIMING.start.size), 5.0)
    flat = sparse.csr_array(np.full((PLACE.labels.size, len(SOURCES)), 1 / len(SOURCES)))
    scale = noise_scale(0.2, curve[0], TIMING)
    image = dynamic_image(np.random.default_rng(0), flat, curve, PLACE, scanner, scale, TIMING)
    expected = scale * TIMING.relative_sd() * np.sqrt(5.0 * 1.05)
    sd = image.reshape(-1, image.shape[-1]).std(axis=0)
    np.testing.assert_allclose(sd, expected, rtol=0.02)
    np.testing.assert_allclose(image.mean(axis=(0, 1, 2)), 5.0, rtol=0.05)
    assert sd[-1] / 5.0 == pytest.approx(0.2 * np.sqrt(1.05), rel=0.02)
    # noise in the unit of a frame follows sqrt(e^(lambda t) / duration)
    z = image[..., -1] - image[..., -1].mean()
    neighbour = (z[1:] * z[:-1]).mean() / (z * z).mean()
    kernel = np.zeros((31, 3, 3))
    kernel[15, 1, 1] = 1
    k = ndimage.gaussian_filter1d(kernel[:, 1, 1], 6.0 / 2.3548 / 4.0, truncate=5.0)
    assert neighbour == pytest.approx((k[1:] * k[:-1]).sum() / (k * k).sum(), abs=0.02)


def test_label_noise_equals_the_spread_of_voxel_noise():
    mix = mixing(SOURCES, 4.0, 6.0)
    gain = noise_gain(6.0, PLACE.grid)
    rng = np.random.default_rng(1)
    means = []
    for _ in range(150):
        field = blur(rng.standard_normal(PLACE.grid.shape), 6.0, PLACE.grid) / gain
        means.append([field[PLACE.labels == s.index].mean() for s in LABELLED])
    np.testing.assert_allclose(np.std(means, axis=0), mix.noise, rtol=0.2)
    flat = noisy_labels(
        np.random.default_rng(2),
        np.full((len(LABELLED), 27), 4.0),
        np.zeros(27),
        0.0,
        mix.noise,
        TIMING,
    )
    np.testing.assert_array_equal(flat, 4.0)


def test_texture_has_mean_one_and_its_sd():
    field = draw_texture(np.random.default_rng(0), 0.03, 8.0, PLACE.grid)
    assert field.mean() == pytest.approx(1.0, abs=1e-3)
    assert field.std() == pytest.approx(0.03, rel=0.05)


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(*[st.integers(3, 12)] * 3),
    st.lists(st.floats(0.3, 2.5), min_size=3, max_size=3),
    st.sampled_from([np.float32, np.float64]),
    st.data(),
)
def test_the_filter_has_the_numbers_of_scipy_in_any_box(shape, sigma, kind, data):
    field = np.random.default_rng(sum(shape)).standard_normal(shape).astype(kind)
    whole = ndimage.gaussian_filter(field, sigma, mode="wrap")
    edges = [sorted(data.draw(st.tuples(st.integers(0, n - 1), st.integers(1, n)))) for n in shape]
    box = tuple(slice(low, max(high, low + 1)) for low, high in edges)
    rtol = 1e-6 if kind is np.float32 else 1e-13
    for found, true in ((smoothed(field, sigma), whole), (smoothed(field, sigma, box), whole[box])):
        assert found.dtype == kind
        np.testing.assert_allclose(found, true, rtol=rtol, atol=rtol)


def test_a_texture_is_the_same_where_labels_look():
    mix = mixing(SOURCES, 4.0, 6.0)
    draw = [
        draw_texture(np.random.default_rng(3), 0.03, 8.0, PLACE.grid, box)
        for box in (None, mix.box)
    ]
    assert np.sum(draw[1] != 1.0) < draw[0].size / 2
    for whole, part in zip(*(mix.matrices(texture) for texture in draw), strict=True):
        np.testing.assert_array_equal(part, whole)


def read(root, label, kind):
    if kind == "pet":
        return nib.load(root / label / "pet" / f"{label}_pet.nii.gz")
    folder = root / "derivatives" / kind[0] / label / "pet"
    return nib.load(folder / f"{label}_space-MNI152NLin2009aSym_{kind[1]}.nii.gz")


def test_images_and_regional_tables_agree_without_noise(small_images, tmp_path):
    rois = virtual.make(small_images.design, tmp_path / "r", size="rois", seed=11, subjects=2)
    for label in ("sub-01", "sub-02"):
        image = read(small_images.root, label, "pet")
        dseg = read(small_images.root, label, ("ekbom-sim", "desc-sim_dseg"))
        assert image.header.get_data_dtype() == np.int16
        np.testing.assert_allclose(image.affine, dseg.affine)
        values, labels = image.get_fdata(), np.asarray(dseg.dataobj)
        table = pd.read_csv(
            rois.root / f"derivatives/ekbom-sim/{label}/pet/{label}_desc-sim_tacs.tsv", sep="\t"
        )
        for source in LABELLED:
            mean = values[labels == source.index].mean(axis=0)
            peak = mean.max()
            np.testing.assert_allclose(mean, table[source.name], atol=1e-3 * peak)


def test_label_means_of_the_true_map_are_the_true_table(small_images):
    truth = small_images.regions
    for label in ("sub-01", "sub-02"):
        VT = read(small_images.root, label, ("truth", "desc-truth_VT")).get_fdata()
        rows = truth[truth["participant_id"] == label].set_index("region")
        for source in LABELLED:
            mean = VT[PLACE.labels == source.index].mean()
            assert mean == pytest.approx(rows.loc[source.name, "VT_label"], rel=1e-3)
        assert np.all(rows["VT_label"] <= rows["VT"] * 1.1)


def test_without_blur_and_texture_a_voxel_is_its_sources_mixed(tmp_path):
    design = virtual.load(
        "smoke",
        {"scanner.noise_cov": 0.0, "scanner.psf_fwhm_mm": 0, "scanner.texture_sd": 0.0},
    )
    made = virtual.make(design, tmp_path / "s", size="quick", seed=2, subjects=1)
    values = read(made.root, "sub-01", "pet").get_fdata()
    curves = pd.read_csv(
        made.root / "derivatives/truth/sub-01/pet/sub-01_desc-truth_curves.tsv", sep="\t"
    )
    table = curves[[source.name for source in SOURCES]].to_numpy()
    expected = np.einsum("xyzs,fs->xyzf", PLACE.weights, table)
    np.testing.assert_allclose(values, expected, atol=1e-4 * expected.max())
    assert max(PLACE.weights[..., 0].max(), PLACE.weights[..., 2].max()) > 0.9


def test_nifti_is_read_back_within_half_a_step(tmp_path):
    values = np.random.default_rng(0).normal(0, 100, (5, 6, 7, 3)).astype(np.float32)
    affine = np.array([[4.0, 0, 0, -98], [0, 4, 0, -134], [0, 0, 4, -72], [0, 0, 0, 1]])
    path = tmp_path / "a.nii.gz"
    bids.write_nifti(path, values, affine, scaled=True)
    back = nib.load(path)
    assert np.abs(back.get_fdata() - values).max() <= np.abs(values).max() / 32767 * 0.51
    np.testing.assert_array_equal(back.affine, affine)
    raw = path.read_bytes()
    assert raw[3] == 0  # no file name in the gzip header
    assert raw[4:8] == bytes(4)  # no date
    assert gzip.decompress(raw)[344:348] == b"n+1\0"


def test_tables_say_na(tmp_path):
    bids.write_tsv(tmp_path / "t.tsv", {"a": [1, None], "b": [np.nan, 1 / 3]})
    assert (tmp_path / "t.tsv").read_text() == "a\tb\n1\tn/a\nn/a\t0.33333333\n"


def test_a_full_folder_and_a_full_disk_are_refused(tmp_path, monkeypatch):
    (tmp_path / "x").write_text("here already")
    with pytest.raises(Refused, match="not empty"):
        virtual.make("smoke", tmp_path, size="rois", seed=1)
    usage = type("Usage", (), {"free": 1000})()
    monkeypatch.setattr(bids.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OutputRefused, match="too small"):
        virtual.make("smoke", tmp_path / "new", size="rois", seed=1)
