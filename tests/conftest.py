"""Fixtures shared by all tests."""

from __future__ import annotations

import os
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
