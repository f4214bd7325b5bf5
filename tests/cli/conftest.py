"""The small study of the study tests, for the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ekbom.study import registry

sys.path.insert(0, str(Path(__file__).parents[1] / "study"))


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from small_study import make_study

    monkeypatch.setitem(registry.BUILT_IN, "fake", "fake_measure:FakeMeasure")
    return make_study(tmp_path / "bids")
