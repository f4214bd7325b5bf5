"""Small studies made by seed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240611)


@pytest.fixture
def groups(rng: np.random.Generator) -> pd.DataFrame:
    """Fifteen patients and twelve controls with age and sex."""
    n = 27
    return pd.DataFrame(
        {
            "participant": [f"sub-{i:02d}" for i in range(1, n + 1)],
            "group": ["rls"] * 15 + ["control"] * 12,
            "age": rng.normal(50, 8, n).round(1),
            "sex": (["F", "M"] * 14)[:n],
        }
    )


@pytest.fixture
def pairs() -> pd.DataFrame:
    """Six people, two sessions each."""
    return pd.DataFrame(
        {
            "participant": np.repeat([f"sub-{i:02d}" for i in range(1, 7)], 2),
            "session": ["baseline", "blocked"] * 6,
        }
    )
