"""A small BIDS study and an instrument that reads it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from small_study import make_study

from ekbom.study import registry


@pytest.fixture(autouse=True)
def no_waiting_for_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    # Whether data reach the platter cannot be tested here; waiting for it can be saved.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.BUILT_IN, "fake", "fake_measure:FakeMeasure")


@pytest.fixture
def study(tmp_path: Path, fake: None) -> Path:
    return make_study(tmp_path / "bids")


@pytest.fixture
def plan(tmp_path: Path, fake: None) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "plan.toml"
        path.write_text(text)
        return path

    return write
