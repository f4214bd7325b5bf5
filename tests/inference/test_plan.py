"""What a plan says of inference reaches the room."""

from __future__ import annotations

import pytest

from ekbom.errors import Refused
from ekbom.inference import Settings
from ekbom.study.plan import Plan

PLAN = """
[measures.pet]
model = "ma1"
tstar = 30

[questions.severity]
outcome = "pet.VT"
over = "voxels"
model = "~ irls_total"
test = "irls_total"
inference = { INFERENCE }
"""


def _settings(tmp_path, text) -> Settings:
    file = tmp_path / "plan.toml"
    file.write_text(PLAN.replace("INFERENCE", text))
    return Plan.read(file).settings_of("severity")


def test_every_choice_is_read(tmp_path):
    got = _settings(
        tmp_path,
        'method = "tfce", connectivity = 18, E = 1, H = 1.5, on = "z", forming_p = 0.01, '
        'mass = "sum", scaling = "ancova", variance = "pooled", variance_groups = "site", '
        'zero = "keep", threshold = 2, smoothness = "spm", volumes = [{name = "thalamus", '
        'centre = [0, -18, 8], radius = 15}, {name = "drawn", mask = "roi.nii.gz"}]',
    )
    assert (got.method, got.connectivity, got.E, got.H, got.on) == ("tfce", 18, 1.0, 1.5, "z")
    assert [v["name"] for v in got.volumes] == ["thalamus", "drawn"]
    assert (got.variance, got.scaling, got.convention, got.keeps_zeros) == (
        "pooled", "ancova", "spm", True,
    )  # fmt: skip


def test_defaults_are_the_plain_analysis(tmp_path):
    got = _settings(tmp_path, "")
    assert got == Settings()
    assert (got.connectivity, got.E, got.H, got.on) == (26, 0.5, 2.0, "t")
    assert got.convention == "unbiased"
    assert Settings(preset="spm").convention == "spm"


@pytest.mark.parametrize(
    "text",
    [
        'method = "tcfe"',
        "connectivity = 8",
        "E = 0",
        "H = -1",
        'volumes = [{name = "x", centre = [0, 0], radius = 3}]',
        'volumes = [{name = "x", centre = [0, 0, 0]}]',
        'volumes = [{name = "x", box = [[0, 0, 0]]}]',
        'volumes = [{name = "x", label = "a", mask = "b"}]',
        'volumes = [{name = "x", label = "a"}, {name = "x", label = "b"}]',
        'variance = "unequal"',
        "conectivity = 6",
    ],
)
def test_faults_are_refused_by_name(tmp_path, text):
    with pytest.raises(Refused) as no:
        _settings(tmp_path, text)
    assert "inference" in str(no.value)
