"""Real images: maps of pain studies, and a label image drawn on a real brain."""

from __future__ import annotations

import numpy as np
import pytest

from ekbom.space import template
from ekbom.space.io import read_stack, read_volume
from ekbom.space.labels_io import label_table_bytes, read_labels

pytestmark = pytest.mark.real_data


def test_maps_of_21_studies(shared_data):
    folder = shared_data / "pain21"
    paths = sorted(folder.glob("contrast_pain_*.nii.gz"))
    out = read_stack(paths, folder / "mask.nii.gz")
    assert out.values.shape == (21, out.tally.kept)
    assert out.grid.orientation == "LAS"
    assert out.tally.kept + out.tally.missing + out.tally.constant == out.tally.considered
    # Pain acts on the insula on both sides: stored left to right or not.
    mean = out.image(out.values.mean(axis=0) / out.values.std(axis=0, ddof=1))
    for x in (-38, 38):
        index = tuple(np.round(out.grid.to_index([x, 10, 2])).astype(int))
        assert mean[index] > 0.5
    coarse = read_stack(paths[:3], folder / "mask.nii.gz", grid=template(4).grid)
    assert coarse.grid == template(4).grid
    assert coarse.tally.kept * 8 == pytest.approx(out.tally.kept, rel=0.12)


def test_regions_of_a_real_brain(shared_data, tmp_path):
    folder = shared_data / "colin27"
    names = {}
    for line in (folder / "aal.nii.txt").read_text().splitlines():
        parts = line.split()
        if len(parts) >= 2 and parts[0].isdigit():
            names[int(parts[0])] = parts[1]
    table = tmp_path / "aal_dseg.tsv"
    table.write_bytes(label_table_bytes(names))
    labels = read_labels(folder / "aal.nii.gz", table, segmentation="aal", space="MNIColin27")
    assert len(labels.names) == len(names) == 116
    t1 = read_volume(folder / "ch2.nii.gz")
    assert t1.grid == labels.grid
    means = labels.region_means(t1.values)
    # Inside the head everywhere; the thalamus holds white matter, the cortex less.
    assert all(mean.coverage == 1 and mean.mean > 20 for mean in means.values())
    assert means["Thalamus_L"].mean > means["Calcarine_L"].mean
    for side, sign in (("L", -1), ("R", 1)):
        assert labels.at([sign * 13, 11, 9]).name == f"Caudate_{side}"
        centre = labels.grid.to_world(np.argwhere(labels.mask(f"Amygdala_{side}"))).mean(axis=0)
        assert np.allclose(centre, [sign * 25, 0, -18], atol=5)
    coarse = labels.on(template(2).grid)
    before, after = labels.volumes(), coarse.volumes()
    for name in ("Putamen_L", "Thalamus_R", "Insula_L"):
        assert after[name] == pytest.approx(before[name], rel=0.03)
