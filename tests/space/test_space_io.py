"""Image and label files: what is read, what is refused."""

from __future__ import annotations

import gzip

import nibabel as nib
import numpy as np
import pytest

from ekbom.errors import Refused
from ekbom.space import checks
from ekbom.space.io import nifti_bytes, read_frames, read_header, read_mask, read_volume
from ekbom.space.labels_io import label_table_bytes, read_labels

AFFINE = np.array([[-2, 0.1, 0, 30], [0.1, 2, 0, -40], [0, 0, 2.5, 5], [0, 0, 0, 1.0]])


def write(path, values, affine=AFFINE, *, sform=1, qform=1, unit="mm", header=None):
    image = nib.Nifti1Image(values, affine, header)
    image.set_sform(affine, code=sform)
    image.set_qform(affine, code=qform)
    image.header.set_xyzt_units(unit)
    nib.save(image, path)
    return path


def refusal(call, *args, **kwargs):
    with pytest.raises(Refused) as no:
        call(*args, **kwargs)
    return no.value


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kind", ["<i2", ">i2", "<f4", ">f8", "u1"])
def test_frames_are_what_nibabel_reads(tmp_path, ending, kind):
    values = np.random.default_rng(0).integers(0, 200, size=(5, 6, 7, 4)).astype(kind)
    image = nib.Nifti1Image(values, AFFINE)
    image.set_qform(AFFINE, code=1)
    image.header.set_data_dtype(kind)
    image.header.set_slope_inter(0.37 if kind == "<i2" else 1, 3.5 if kind == "<i2" else 0)
    nib.save(image, tmp_path / f"a{ending}")
    header = read_header(tmp_path / f"a{ending}")
    expected = nib.load(tmp_path / f"a{ending}").get_fdata()
    frames = list(read_frames(header))
    assert header.n_frames == 4
    assert np.array_equal(np.stack(frames, axis=-1), expected)
    assert np.allclose(header.grid.affine, AFFINE, atol=1e-5)


def test_stored_integers_with_a_scale(tmp_path):
    values = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    image = nib.Nifti1Image(values, np.eye(4))
    image.set_qform(np.eye(4), code=1)
    nib.save(image, tmp_path / "a.nii")
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    raw[112:120] = np.array([0.25, -3.0], dtype="<f4").tobytes()
    (tmp_path / "a.nii").write_bytes(raw)
    assert np.array_equal(read_volume(tmp_path / "a.nii").values, values * 0.25 - 3.0)
    raw[112:116] = np.array([0.0], dtype="<f4").tobytes()  # no scaling, says the standard
    (tmp_path / "a.nii").write_bytes(raw)
    assert np.array_equal(read_volume(tmp_path / "a.nii").values, values)
    raw[112:116] = np.array([np.inf], dtype="<f4").tobytes()
    (tmp_path / "a.nii").write_bytes(raw)
    assert refusal(read_volume, tmp_path / "a.nii").what == checks.BAD_SCALE.what


def test_a_trailing_one_is_dropped_and_four_dimensions_are_not(tmp_path):
    one = write(tmp_path / "one.nii.gz", np.ones((3, 4, 5, 1), dtype=np.float32))
    assert read_volume(one).values.shape == (3, 4, 5)
    many = write(tmp_path / "many.nii.gz", np.ones((3, 4, 5, 2), dtype=np.float32))
    no = refusal(read_volume, many)
    assert (no.what, no.found, no.file) == (checks.NOT_3D.what, "2 volumes", str(many))


def test_orientation_must_be_declared_once_and_the_same(tmp_path):
    values = np.ones((3, 4, 5), dtype=np.float32)
    lost = write(tmp_path / "lost.nii", values, sform=0, qform=0)
    assert refusal(read_volume, lost).what == checks.NO_ORIENTATION.what
    only_s = write(tmp_path / "s.nii", values, qform=0)
    assert read_volume(only_s).notes == (checks.QFORM_MISSING_NOTE.format(sform=1),)
    orthogonal = np.diag([2.0, 2, 2, 1])
    only_q = write(tmp_path / "q.nii", values, orthogonal, sform=0)
    assert np.allclose(read_volume(only_q).grid.affine, orthogonal)
    image = nib.Nifti1Image(values, orthogonal)
    image.set_sform(orthogonal, code=1)
    apart = orthogonal.copy()
    apart[0, 3] = 0.5
    image.set_qform(apart, code=1)
    nib.save(image, tmp_path / "two.nii")
    no = refusal(read_volume, tmp_path / "two.nii")
    assert (no.what, no.found) == (checks.FORMS_DIFFER.what, "0.5 mm at a corner")


def test_voxels_in_metres_and_voxels_of_no_head(tmp_path):
    values = np.ones((3, 4, 5), dtype=np.float32)
    metres = write(tmp_path / "m.nii", values, np.diag([0.002, 0.002, 0.002, 1]), unit="meter")
    assert read_volume(metres).grid.voxel_size == pytest.approx((2, 2, 2))
    wrong = write(tmp_path / "w.nii", values, np.diag([0.002, 0.002, 0.002, 1]), unit="mm")
    assert refusal(read_volume, wrong).what == checks.VOXEL_SIZE.what
    silent = write(tmp_path / "u.nii", values, np.diag([2.0, 2, 2, 1]), unit="unknown")
    assert any("xyzt_units" in note for note in read_volume(silent).notes)


def test_broken_files_are_named(tmp_path):
    good = write(tmp_path / "a.nii.gz", np.random.default_rng(0).random((9, 9, 9, 3)))
    for size in (0, 1, 12, 40, 200, 600, 8000):
        (tmp_path / "cut.nii.gz").write_bytes(good.read_bytes()[:size])
        no = refusal(lambda: list(read_frames(read_header(tmp_path / "cut.nii.gz"))))
        assert no.what == checks.UNREADABLE.what
        assert no.file == str(tmp_path / "cut.nii.gz")
    plain = gzip.decompress(good.read_bytes())
    (tmp_path / "cut.nii").write_bytes(plain[:-100])
    no = refusal(lambda: list(read_frames(read_header(tmp_path / "cut.nii"))))
    assert "volume 3 of 3" in no.found
    (tmp_path / "text.nii.gz").write_text("not an image")
    assert refusal(read_header, tmp_path / "text.nii.gz").what == checks.UNREADABLE.what
    assert refusal(read_header, tmp_path / "none.nii.gz").found == "no such file"


def test_masks(tmp_path):
    values = np.zeros((3, 4, 5), dtype=np.uint8)
    assert refusal(read_mask, write(tmp_path / "e.nii", values)).what == checks.EMPTY_MASK.what
    values[0, 0, 0] = 1
    assert refusal(read_mask, write(tmp_path / "o.nii", values)).what == checks.EMPTY_MASK.what
    values[1, 1, 1] = 1
    assert read_mask(write(tmp_path / "g.nii", values)).values.sum() == 2


def test_values_inside_a_mask():
    good = np.linspace(0, 1, 200)
    checks.require_values(good)
    cases = {
        checks.EMPTY_MAP: [np.full(200, np.nan), np.full(200, 2.0)],
        checks.TOO_LARGE: [np.append(good, 2e9)],
        checks.NAN_INSIDE: [np.append(good, [np.nan] * 3)],
    }
    for message, arrays in cases.items():
        for values in arrays:
            assert refusal(checks.require_values, values).what == message.what
    checks.require_values(np.append(good, np.nan))


@pytest.mark.parametrize("kind", [np.float64, bool, np.int64])
def test_written_images_read_back_and_have_the_same_bytes(tmp_path, kind):
    values = (np.random.default_rng(2).random((4, 5, 6)) * 3).astype(kind)
    data = nifti_bytes(values, AFFINE, description="V_T")
    assert data == nifti_bytes(np.asfortranarray(values), AFFINE, description="V_T")
    assert data[3] == 0  # no file name in the gzip header
    assert data[4:8] == bytes(4)  # and no time
    (tmp_path / "a.nii.gz").write_bytes(data)
    volume = read_volume(tmp_path / "a.nii.gz")
    assert np.allclose(volume.values, values.astype(np.float32), atol=0)
    assert np.allclose(volume.grid.affine, AFFINE, atol=1e-5)
    assert volume.notes == ()
    large = nifti_bytes(np.full((2, 2, 2), 70_000), AFFINE)
    (tmp_path / "b.nii.gz").write_bytes(large)
    assert np.all(read_volume(tmp_path / "b.nii.gz").values == 70_000)


def write_labels(folder, values, table, stem="sub-01_space-MNI152NLin2009aSym_seg-parts_dseg"):
    path = folder / f"{stem}.nii.gz"
    path.write_bytes(nifti_bytes(np.asarray(values).reshape(2, 2, 1), np.diag([2.0, 2, 2, 1])))
    (folder / f"{stem}.tsv").write_bytes(table)
    return path


def test_labels_round_trip(tmp_path):
    names = {1: "Left-Thalamus", 70_000: "ctx-lh-insula"}
    path = write_labels(tmp_path, [1, 70_000, 0, 1], label_table_bytes(names))
    labels = read_labels(path)
    assert labels.table == names
    assert labels.segmentation == "parts"
    assert labels.space == "MNI152NLin2009aSym"
    assert labels.values.ravel().tolist() == [1, 70_000, 0, 1]
    assert labels.notes == ()
    other = read_labels(path, segmentation="mine", space="T1w")
    assert (other.segmentation, other.space) == ("mine", "T1w")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (b"index\tname\n1\ta\n1\tb\n", checks.LABEL_TWICE),
        (b"index\tname\n1\ta\n2\ta\n", checks.LABEL_NAME_TWICE),
        (b"index\tname\n1.5\ta\n", checks.LABEL_TABLE),
        (b"index\tname\n1\t\n", checks.LABEL_TABLE),
        (b"index name\n1 a\n", checks.LABEL_TABLE),
        (b"", checks.LABEL_TABLE),
        (b"index\tname\n\xff\ta\n", checks.LABEL_TABLE),
    ],
)
def test_label_tables_that_are_refused(tmp_path, table, message):
    path = write_labels(tmp_path, [1, 1, 2, 0], table)
    no = refusal(read_labels, path)
    assert no.what == message.what
    assert no.file == str(path).replace(".nii.gz", ".tsv")


def test_label_images_that_are_refused(tmp_path):
    path = write_labels(tmp_path, [0.5, 1.0, 2.0, 0.0], b"index\tname\n1\ta\n")
    no = refusal(read_labels, path)
    assert (no.what, no.file) == (checks.NOT_INTEGER_LABELS.what, str(path))
    path.with_name(path.name.replace(".nii.gz", ".tsv")).unlink()
    assert refusal(read_labels, path).what == checks.LABEL_TABLE_MISSING.what
