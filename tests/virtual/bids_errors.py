"""The official validator, for tests."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest


def errors(root):
    """Return the errors of the official validator, or skip with a word."""
    program = Path(sys.executable).with_name("bids-validator-deno")
    if importlib.util.find_spec("bids_validator_deno") is None or not program.exists():
        pytest.skip("bids-validator-deno is not installed")
    run = subprocess.run(
        [program, str(root), "--format", "json"], capture_output=True, text=True, check=False
    )
    found = json.loads(run.stdout)
    assert found["summary"]["totalFiles"] > 0
    return [i for i in found["issues"]["issues"] if i["severity"] == "error"]
