"""The closed loop itself, small; and clusters where smoothness varies."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ekbom.cli.app import call
from ekbom.inference import Settings, fit
from ekbom.inference.clusters import clusters
from ekbom.inference.question import ask
from ekbom.inference.searched import field_of
from ekbom.validate import inference
from ekbom.validate.inference import SHORT, validate_inference
from ekbom.validate.nullmaps import Cell, noise_maps, null_maps


def test_the_command_prints_every_cell(tmp_path, capsys, monkeypatch):
    assert call(["validate", "inference", "--out", str(tmp_path), "--studies", "3"]) == 0
    said = capsys.readouterr().out
    for word in ("max-T", "TFCE", "cluster extent", "cluster mass", "small volume", "random field",
                 "Manly", "Freedman-Lane", "changes of sign", "coverage", "equivalence claimed",
                 "joint significance", "MMRM", "conjunction null", "noncentral t",
                 "iron to symptom"):  # fmt: skip
        assert word in said
    page = (tmp_path / "validate-inference.tsv").read_bytes()
    frame = pd.read_csv(tmp_path / "validate-inference.tsv", sep="\t")
    assert (frame["result"] != "FAILED").all()
    assert (frame["result"] == "passed").sum() >= 18
    # nothing is run twice, and what was kept says the same
    monkeypatch.setattr(inference, "LOOPS", [(name, None) for name, _ in inference.LOOPS])
    assert call(["validate", "inference", "--out", str(tmp_path), "--studies", "3"]) == 0
    assert (tmp_path / "validate-inference.tsv").read_bytes() == page


def test_a_broken_engine_would_fail_the_gates(monkeypatch):
    """The gate is worth something: relabellings that come out too small are seen in few studies."""
    from ekbom.inference.permute import spatial
    from ekbom.validate import inference

    monkeypatch.setattr(inference, "LOOPS", [])
    right = spatial.relabelled

    def wrong(w, plan, part):
        out = 0.8 * right(w, plan, part)
        if part.start == 0:
            out[0] /= 0.8
        return out

    monkeypatch.setattr(spatial, "relabelled", wrong)
    checks = validate_inference(studies=12, seed=2)
    assert not all(c.passed for c in checks if c.name.startswith("max-T"))
    assert SHORT.studies == 100


def test_local_resels_even_out_varying_smoothness():
    """Noise of 3 voxels FWHM on the left, 6 on the right: false clusters by resels of each side."""
    rng = np.random.default_rng(8)
    half, n = (12, 16, 12), 40
    shape = (24, 16, 12)
    mask = np.ones(shape, bool)
    mask[12] = False  # the seam
    table = pd.DataFrame({"participant": [f"s{i:02d}" for i in range(n)]})
    question = ask(table, "~ 1", "intercept", "u", Settings())
    left = np.argwhere(mask)[:, 0] < 12
    low = {"local": [0, 0], "global": [0, 0]}
    share = np.zeros(2)
    for _ in range(60):
        maps = np.concatenate(
            [noise_maps(rng, n, half, w, "Gaussian") for w in (3.0, 6.0)], axis=1
        )[:, mask]
        found = fit(maps, question.model)
        field = field_of(maps, question, found, mask, np.eye(4))
        rpv = field.smooth.rpv
        share += [rpv[left].sum(), rpv[~left].sum()]
        for c in clusters(found.statistic, mask, np.eye(4), 2.5):
            side = 0 if left[c.voxels[0]] else 1
            k = {"local": rpv[c.voxels].sum(), "global": c.size / np.prod(field.smooth.fwhm_vox)}
            for how, extent in k.items():
                low[how][side] += field.space.p_extent(extent, 2.5) <= 0.1
    share /= share.sum()
    rate = {how: (np.array(v) + 0.5) / share for how, v in low.items()}
    # by the global width almost every long cluster is on the smooth side
    assert rate["global"][1] / rate["global"][0] > 5
    assert rate["local"][1] / rate["local"][0] < rate["global"][1] / rate["global"][0] / 3


def test_null_studies_resume_and_decide_as_all_draws_would(tmp_path, monkeypatch):
    from ekbom.validate import nullmaps

    cell = Cell("Gaussian", 10, 10, 2.0, (5, 6, 5), 200, 3)
    monkeypatch.setattr(nullmaps, "KEEP", 2)
    whole = null_maps(cell, 6)
    part = null_maps(cell, 3, kept=tmp_path)
    assert part[0].n == 3
    study, again = nullmaps._study, []
    monkeypatch.setattr(nullmaps, "_study", lambda c, k: again.append(k) or study(c, k))
    assert null_maps(cell, 6, kept=tmp_path, workers=2) == whole
    assert sorted(again) == [3, 4, 5]
    permute_maps = nullmaps.permute_maps
    monkeypatch.setattr(
        nullmaps, "permute_maps", lambda *a, enough, alone, **k: permute_maps(*a, **k)
    )
    drawn = [study(cell, k) for k in range(6)]
    for check in whole:
        name = check.name.split(": ")[0]
        assert check.value == sum(d[name] for d in drawn), name
    assert {d["draws"] for d in drawn} == {200}
