from __future__ import annotations

import pytest

from ekbom import virtual


@pytest.fixture(scope="session")
def small_rois(tmp_path_factory):
    """Two patients and two volunteers, regional curves only."""
    return virtual.make("smoke", tmp_path_factory.mktemp("rois"), size="rois", seed=11)


@pytest.fixture(scope="session")
def small_images(tmp_path_factory):
    """One patient and one volunteer with images, without noise."""
    design = virtual.load("smoke", {"scanner.noise_cov": 0.0})
    out = tmp_path_factory.mktemp("images")
    return virtual.make(design, out, size="quick", seed=11, subjects=2)
