"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

os.environ.setdefault("MPLBACKEND", "Agg")


def _real_data() -> Path | None:
    named = os.environ.get("EKBOM_REAL_DATA")
    place = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    return place if place.is_dir() else None


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data beside the checkout (or EKBOM_REAL_DATA); skips without it."""
    place = _real_data()
    if place is None:
        pytest.skip(
            "real data not present: EKBOM_REAL_DATA names the folder that holds ds004869 and pbr28"
        )
    return place


#: Files with tests of half a minute and more on an empty cache of kernels, longest first.
_LONGEST = (
    "test_virtual_demo.py",
    "test_trials.py",
    "test_compartment_maps.py",
    "test_validate_pet.py",
    "test_virtual_native.py",
    "test_legs_io.py",
    "test_space_motion.py",
    "test_pet_models.py",
    "test_pet_feng.py",
    "test_resume.py",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Start the longest files first: one that starts last leaves the other workers idle.

    Only for runs that ask xdist for the order of collection (``--no-loadscope-reorder``);
    xdist's own order, most tests first, puts a file with one long test near the end.
    """
    if config.getoption("loadscopereorder", default=True):
        return
    place = {name: k for k, name in enumerate(_LONGEST)}
    sizes = Counter(item.path for item in items)
    items.sort(key=lambda item: (place.get(item.path.name, len(place)), -sizes[item.path]))
