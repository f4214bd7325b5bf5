"""What is drawn of the data behind an answer."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from ekbom.report import answers, brain, data
from ekbom.report.output import Answered


def three_groups(effect: str) -> Answered:
    values = pd.DataFrame(
        {
            "participant_id": [f"sub-{k:02}" for k in range(9)],
            "site": list("abc") * 3,
            "age": np.arange(40.0, 49.0),
            "thalamus": np.arange(9.0),
        }
    )
    regions = pd.DataFrame({"region": ["thalamus"], "F": [3.0], "p": [0.1]})
    about = {"effect": {"text": effect, "slug": "x"}, "outcome_name": "VT"}
    return Answered(Path("x"), "x", about, {"values": values, "regions": regions}, {}, {})


def test_a_whole_factor_is_drawn_level_by_level() -> None:
    answer = three_groups("site")
    kind = data.contrast(answer)
    assert kind == data.Contrast("site", None, False, ("a", "b", "c"))
    sets = dict(data.by_level(answer, kind, [("thalamus", "thalamus")]))["thalamus"]
    assert {k: list(v) for k, v in sets.items()} == {
        "a": [0.0, 3.0, 6.0],
        "b": [1.0, 4.0, 7.0],
        "c": [2.0, 5.0, 8.0],
    }
    (block,) = data.blocks(answer, "k")
    assert "a 3, b 3, c 3" in str(block.caption)
    assert answers.effect_label(answer).endswith(", site")


def test_a_difference_is_drawn_with_what_is_taken_away_last() -> None:
    kind = data.contrast(three_groups("c - a"))
    assert kind is not None
    assert kind.drawn == ("c", "a")


@pytest.mark.parametrize("effect", ["age", "site:age"])
def test_slopes_and_interactions_are_no_groups(effect: str) -> None:
    kind = data.contrast(three_groups(effect))
    assert kind is None or kind.drawn == ()
    assert (kind is None) == (effect == "site:age")


def test_a_map_one_voxel_wide_is_drawn(tmp_path: Path) -> None:
    values = np.linspace(-4, 4, 12, dtype=np.float32).reshape(1, 4, 3)
    path = tmp_path / "space-orig_stat-t_statmap.nii.gz"
    nib.save(nib.Nifti1Image(values, np.eye(4)), path)
    image = brain.Image(values.astype(float), np.eye(4))
    hit = brain.Image((values > 3).astype(float), np.eye(4))
    under, _ = brain.background("orig", None, image)
    figure = brain.mosaic(under, image, hit, label="t")
    assert len(figure.axes) > 1
