"""A foreign program is judged by its exit code and its output file, never by what it prints."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest

from ekbom.errors import Refused
from ekbom.space import Volume, template
from ekbom.space.register import foreign
from ekbom.space.register.niimath import Niimath


@pytest.fixture
def program(monkeypatch):
    """Stand in for the program: exit code, what it prints, and whether it writes its matrix."""
    how = {"code": 0, "said": "", "writes": True}

    def run(command, *, cwd, **_):
        assert command[1:3] == ["-m", "niimath"]
        if how["writes"]:
            found = {"fixed_to_moving": np.eye(4).tolist()}
            (cwd / "found.json").write_text(json.dumps(found))
        return subprocess.CompletedProcess(command, how["code"], "", how["said"])

    monkeypatch.setattr(foreign, "version", lambda *a: "1")
    monkeypatch.setattr("ekbom.space.register.niimath.subprocess.run", run)
    return how


def found():
    t = template(8.0)
    head = Volume(np.nan_to_num(np.asarray(t.t1, float)), t.grid)
    return Niimath().register(head, head, kind="affine", start="header")


def test_noise_on_the_way_out_is_no_failure(program):
    quiet = found().transform.matrix
    program["said"] = "FATAL ERROR: double free or corruption (out)\nSegmentation fault"
    np.testing.assert_array_equal(found().transform.matrix, quiet)
    np.testing.assert_allclose(quiet, np.eye(4), atol=1e-9)


@pytest.mark.parametrize(("code", "writes"), [(1, True), (139, True), (0, False)])
def test_silence_is_no_success(program, code, writes):
    program["code"], program["writes"] = code, writes
    with pytest.raises(Refused, match="niimath"):
        found()
