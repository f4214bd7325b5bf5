"""Fixtures of the PET edge tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from pet_edge_study import Made


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path / "study")
