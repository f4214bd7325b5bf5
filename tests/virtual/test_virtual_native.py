"""Images in native space: what the transforms say is where the tissue is."""

from __future__ import annotations

import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage
from test_virtual_study import errors

from ekbom import virtual
from ekbom.space import checks
from ekbom.space.grid import Grid
from ekbom.space.template import template
from ekbom.space.transform import Chain, Rigid, jacobian, round_trip
from ekbom.space.transforms_io import read_transform
from ekbom.space.warp import warp
from ekbom.study.run import run_study
from ekbom.virtual.head import CENTRE, draw_head
from ekbom.virtual.motion import draw_motion, moved
from ekbom.virtual.seeds import stream

DESIGN = virtual.load("von-spiczak-2005")
SPACE = "MNI152NLin2009aSym"


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    """One patient and one volunteer, without noise."""
    design = virtual.load("von-spiczak-2005", {"scanner.noise_cov": 0.0, "t1.snr": 200})
    out = tmp_path_factory.mktemp("native")
    return virtual.make(design, out, size="quick", seed=3, subjects=2)


def image(path):
    found = nib.load(path)
    return np.asarray(found.dataobj), Grid(found.shape[:3], found.affine)


def to_template(root, label):
    anat = root / "derivatives/truth" / label / "anat"
    stem = f"{label}_from-{SPACE}_to-T1w_mode-image_desc-"
    return Chain(
        (
            read_transform(anat / f"{stem}affine_xfm.txt"),
            read_transform(anat / f"{stem}warp_xfm.nii.gz"),
        )
    )


def from_pet(root, label):
    return read_transform(
        root / "derivatives/truth" / label / f"pet/{label}_from-T1w_to-PET_mode-image_xfm.txt"
    )


def test_the_true_transforms_bring_template_and_person_together(native):
    base = template(2.0)
    for label in ("sub-01", "sub-02"):
        there = to_template(native.root, label)
        t1, grid = image(native.root / label / "anat" / f"{label}_T1w.nii.gz")
        # tissue of the template, seen through the transform that was stored
        grey, white = (
            np.nan_to_num(warp(m, base.grid, grid, there)) for m in (base.grey, base.white)
        )
        pure = (grey > 0.9) | (white > 0.9)
        expected = np.where(white > 0.9, 1000, 600)[pure]
        ratio = t1[pure] / expected
        assert np.corrcoef(t1[pure], expected)[0, 1] > 0.8  # the bias field remains
        assert abs(np.median(ratio) - 1) < 0.15
        # a T1w image that is not moved does not fit
        plain = np.nan_to_num(warp(base.white, base.grid, grid, Rigid(np.eye(4)))) > 0.9
        assert np.median(t1[plain]) < np.median(t1[white > 0.9]) * 0.99


def test_true_maps_of_both_spaces_agree_through_the_chain(native):
    for label in ("sub-01", "sub-02"):
        folder = native.root / "derivatives/truth" / label / "pet"
        own, grid = image(folder / f"{label}_desc-truth_VT.nii.gz")
        common, base = image(folder / f"{label}_space-{SPACE}_desc-truth_VT.nii.gz")
        chain = Chain((*to_template(native.root, label).parts, from_pet(native.root, label)))
        there = np.nan_to_num(warp(common, base, grid, chain))
        inside = (there > 3) & (own > 3)
        assert inside.sum() > 10_000
        assert np.corrcoef(there[inside], own[inside])[0, 1] > 0.93
        assert np.mean(own[inside]) == pytest.approx(np.mean(there[inside]), rel=0.03)


def test_inverse_of_the_anatomy_is_stored_too(native):
    anat = native.root / "derivatives/truth/sub-01/anat"
    stem = f"sub-01_from-T1w_to-{SPACE}_mode-image_desc-"
    back = Chain(
        (
            read_transform(anat / f"{stem}warp_xfm.nii.gz"),
            read_transform(anat / f"{stem}affine_xfm.txt"),
        )
    )
    points = np.random.default_rng(0).uniform(-60, 60, (2000, 3)) + CENTRE
    apart = round_trip(to_template(native.root, "sub-01"), back, points)
    assert np.median(apart) < 0.1
    assert apart.max() < 0.5


def test_label_means_are_what_the_curves_say_before_noise(native):
    """The image and the tables of truth hold the same regional means (no motion, no noise)."""
    still = virtual.load(
        "von-spiczak-2005",
        {
            "scanner.noise_cov": 0.0,
            "scanner.noise_floor": 0.0,
            "head.motion_mm": 0.0,
            "head.motion_deg": 0.0,
            "head.jump_probability": 0.0,
        },
    )
    study = virtual.study.VirtualStudy.plan(still, native.root, "quick", 3)
    person = study.people[0]
    head = draw_head(stream(3, person.index, "head"), still.head, person.age)
    texture = np.ones(study.anatomy.grid.shape)
    where = virtual.write_native.native_place(study, head, texture)
    curves = np.linspace(1, 2, len(study.sources))[:, None] * np.ones((1, 27))
    poses = draw_motion(stream(3, 0, "motion"), still.head, study.timing.end)
    frames = virtual.write_native._frames(study, where, curves, poses, head, stream(3, 0, "scan"))
    labels = max(s.index for s in study.sources)
    seen, _, voxels = where.mixing(labels)
    assert voxels.min() >= 3
    for label in range(1, labels + 1):
        mean = frames[where.labels == label].mean(axis=0)
        np.testing.assert_allclose(mean, seen[label - 1] @ curves, rtol=1e-3)
    # shares are shares; the blur moves activity and keeps it
    assert where.true.sum(axis=1).max() <= 1 + 1e-9
    assert where.seen.sum() == pytest.approx(where.true.sum(), rel=2e-3)


def test_heads_differ_do_not_fold_and_grow_ventricles_with_age():
    heads = [draw_head(np.random.default_rng(s), DESIGN.head, 30 + 10 * s) for s in range(5)]
    assert min(h.jacobian[0] for h in heads) > 0.2
    assert jacobian(heads[0].warp, heads[0].warp.grid).min() == pytest.approx(heads[0].jacobian[0])
    volumes = [abs(np.linalg.det(h.affine.matrix[:3, :3])) for h in heads]
    assert np.std(volumes) > 0.02
    same = DESIGN.head.model_copy(update={"ventricle_sd": 0.0})
    young, old = (draw_head(np.random.default_rng(7), same, age) for age in (30, 90))
    assert old.ventricles > young.ventricles
    # a point beside the ventricle of the old person looks nearer to its middle
    middle = np.array([13.0, -12.0, 20.0])
    at = young.from_template.points(middle + np.array([0, 8, 0]))
    looked = [np.linalg.norm(h.to_template.points(at) - middle) for h in (young, old)]
    assert looked[1] < looked[0]


def test_motion_moves_activity_and_keeps_it():
    grid = virtual.native.pet_grid(4.0)
    x = np.indices(grid.shape).reshape(3, -1).T
    far = np.linalg.norm(grid.to_world(x) - (CENTRE + np.array([20, 10, 5])), axis=1).reshape(
        grid.shape
    )
    ball = np.exp(-0.5 * (far / 12.0) ** 2)
    pose = Rigid.of([0.05, -0.03, 0.08, 3.0, -2.0, 4.0], CENTRE)
    seen = moved(ball, grid, pose, np.arange(grid.size))
    assert seen.sum() == pytest.approx(ball.sum(), rel=2e-3)
    centre = (grid.to_world(x) * seen.ravel()[:, None]).sum(axis=0) / seen.sum()
    np.testing.assert_allclose(centre, pose.points(CENTRE + np.array([20, 10, 5])), atol=0.05)
    end = np.cumsum(np.full(20, 4.5))
    last = np.array(
        [
            draw_motion(np.random.default_rng(s), DESIGN.head, end)[-1].parameters(
                CENTRE + np.array([0, -20, -60])
            )
            for s in range(400)
        ]
    )
    jump = DESIGN.head.jump_probability * DESIGN.head.jump_mm**2
    expected = np.sqrt(DESIGN.head.motion_mm**2 + jump)
    np.testing.assert_allclose(last[:, 3:].std(axis=0), expected, rtol=0.15)


def test_moved_images_are_those_of_an_independent_spline():
    grid = virtual.native.pet_grid(8.0)
    image = np.zeros(grid.shape)
    inner = tuple(slice(6, n - 6) for n in grid.shape)  # brains do not reach the edge
    image[inner] = np.random.default_rng(4).random(image[inner].shape)
    pose = Rigid.of([0.04, -0.05, 0.03, 2.0, -4.0, 3.0], CENTRE)
    where = np.flatnonzero(np.random.default_rng(5).random(grid.size) < 0.5)
    seen = moved(image, grid, pose, where)
    at = grid.to_index(
        pose.inverse().points(grid.to_world(np.indices(grid.shape).reshape(3, -1).T))
    )
    plain = ndimage.map_coordinates(image, at.T, order=3, mode="grid-constant")
    np.testing.assert_allclose(seen.ravel()[where], plain[where], atol=2e-3)
    assert np.count_nonzero(seen) <= where.size
    near_rest = Rigid.of([0.0, 0.0, 0.0, 0.04, 0.0, 0.0])
    assert moved(image, grid, near_rest, where) is image


def test_motion_is_written_as_it_was_made(native):
    path = native.root / "derivatives/truth/sub-01/pet/sub-01_desc-truth_motion.tsv"
    table = pd.read_csv(path, sep="\t")
    assert len(table) == 27
    row = table.iloc[-1]
    pose = Rigid.of(
        [*np.radians(row[["rot_x", "rot_y", "rot_z"]]), *row[["trans_x", "trans_y", "trans_z"]]]
    )
    matrix = row[[f"m{i}{j}" for i in range(3) for j in range(4)]].to_numpy().reshape(3, 4)
    np.testing.assert_allclose(pose.matrix[:3], matrix.astype(float), atol=1e-6)


def test_native_studies_validate_and_do_not_depend_on_workers(native, tmp_path):
    assert errors(native.root) == []
    again = virtual.make(native.design, tmp_path / "a", size="quick", seed=3, subjects=2, workers=1)
    sums = [t.root / "derivatives/truth/SHA256SUMS" for t in (native, again)]
    assert sums[0].read_bytes() == sums[1].read_bytes()
    assert len(sums[0].read_text().splitlines()) > 60


def test_a_mirrored_scan_of_a_simulated_person_is_refused_by_the_run(native, tmp_path):
    """The faces of the two images differ by the torque of the head alone."""
    raw = tmp_path / "raw"
    keep = ["dataset_description.json", "participants.tsv", "sub-02", "derivatives"]
    raw.mkdir()
    for name in keep:
        copy = shutil.copytree if (native.root / name).is_dir() else shutil.copy
        copy(native.root / name, raw / name)
    (raw / "participants.tsv").write_text("participant_id\nsub-02\n")
    path = raw / "sub-02" / "pet" / "sub-02_pet.nii.gz"
    scan = nib.load(path)
    flipped = nib.Nifti1Image(np.asarray(scan.dataobj, dtype=np.float32)[::-1], scan.affine)
    flipped.set_sform(scan.affine, code=1)
    flipped.set_qform(scan.affine, code=1)
    flipped.header.set_xyzt_units("mm", "sec")
    nib.save(flipped, path)
    plan = tmp_path / "plan.toml"
    plan.write_text(
        '[measures.pet]\ntracer = "diprenorphine"\nmodel = ["ma1"]\ntstar = 20\nfigures = false\n'
        '[space]\nresolution = 4\nwarp_resolution = 4\nwarp = "affine"\nmotion = false\n'
    )
    summary = run_study(raw, tmp_path / "out", "participant", plan)
    assert summary.exit_code == 2
    stopped = summary.found.stopped[0]
    assert stopped.what == checks.SIDES_DIFFER.what
    assert "sub-02_T1w.nii.gz and sub-02" in stopped.parts["file"]
    assert "mirrored" in stopped.parts["found"]
    # the way to the template was found from the T1w: the truth beside it was not taken
    table = pd.read_csv(tmp_path / "out" / "measures.tsv", sep="\t")
    assert "GM_Dice" in set(table["parameter"])
