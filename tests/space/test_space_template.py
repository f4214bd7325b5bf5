"""The template of the installed nilearn."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from ekbom.errors import Refused
from ekbom.space import checks, template
from ekbom.space.template import _template


def test_two_millimetres_start_where_they_should():
    two = template(2)
    assert two.space == "MNI152NLin2009aSym"
    assert two.grid.shape == (99, 117, 95)
    assert two.grid.to_world([0, 0, 0]).tolist() == [-98, -134, -72]
    assert template(4).grid.shape == (50, 59, 48)
    assert template(1).grid.shape == (197, 233, 189)


def test_one_millimetre_is_what_nilearn_itself_gives():
    code = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "import numpy as np\n"
        "from nilearn.datasets import load_mni152_brain_mask, load_mni152_template\n"
        "from nilearn.datasets import load_mni152_gm_template\n"
        "from ekbom.space import template\n"
        "one = template(1)\n"
        "assert np.array_equal(load_mni152_brain_mask(1).get_fdata() > 0, one.brain)\n"
        "assert np.array_equal(load_mni152_template(1).get_fdata(dtype='float32'), one.t1)\n"
        "grey = load_mni152_gm_template(1).get_fdata(dtype='float32')\n"
        "assert np.allclose(grey, one.grey, atol=1e-6)\n"
        "assert np.array_equal(load_mni152_brain_mask(1).affine, one.grid.affine)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_nilearn_is_not_imported():
    code = "import sys, ekbom.space as s; s.template(4); assert 'nilearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("resolution", [1.5, 2, 4])
def test_volumes_hardly_change_with_resolution(resolution):
    one, other = template(1), template(resolution)
    volume = other.grid.voxel_volume
    assert other.brain.sum() * volume == pytest.approx(one.brain.sum(), rel=0.01)
    assert other.grey.sum() * volume == pytest.approx(one.grey.sum(), rel=0.01)
    assert other.white.sum() * volume == pytest.approx(one.white.sum(), rel=0.01)
    assert 0 <= other.grey.min() <= other.grey.max() <= 1
    # T1 does not fade at the edge of the head.
    middle = np.median(other.t1[other.brain])
    assert middle == pytest.approx(np.median(one.t1[one.brain]), rel=0.05)


def test_it_is_symmetric():
    four = template(4)
    x = four.grid.to_world([[0, 0, 0], [four.grid.shape[0] - 1, 0, 0]])[:, 0]
    assert x.tolist() == [-98, 98]
    assert np.mean(four.brain != four.brain[::-1]) < 0.002


def test_same_again_and_not_to_be_written_to():
    first = template(4)
    copy = first.grey.copy()
    _template.cache_clear()
    assert np.array_equal(template(4).grey, copy)
    with pytest.raises(ValueError, match="read-only"):
        first.grey[0, 0, 0] = 1


def test_resolutions_out_of_range_are_refused():
    for wrong in (0.5, 13, float("nan")):
        with pytest.raises(Refused) as no:
            template(wrong)
        assert no.value.what == checks.TEMPLATE_RESOLUTION.what
