"""A run killed at any moment and started again gives the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_study import make_study

from ekbom.study import store
from ekbom.study.manifest import check_manifest
from ekbom.study.run import run_study

HERE = Path(__file__).parent
ENV = {**os.environ, "PYTHONPATH": str(HERE), "NUMBA_NUM_THREADS": "2"}

PLAN = """
[measures.fake]
[questions.change]
outcome = "fake.VT"
model = "~ session + participant"
test = "session: two - one"
[questions.retest]
kind = "reliability"
outcome = "fake.VT"
"""

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")


def test_killed_at_twenty_random_moments(tmp_path: Path) -> None:
    study = make_study(tmp_path / "bids", n=4)
    (study / "code" / "plan.toml").write_text(PLAN)
    done = subprocess.run(
        [sys.executable, str(HERE / "kill_driver.py"), str(study), str(tmp_path), "20"],
        capture_output=True,
        text=True,
        env=ENV,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line.split() for line in done.stdout.splitlines()]
    ends = [line[1:] for line in lines if line[0] == "end"]
    assert ends == [["True", "0"]] * len(ends)  # same bytes, nothing left half done
    hits = [int(line[2]) for line in lines if line[:2] == ["kill", "True"]]
    assert len(hits) >= 20
    assert len(set(hits)) >= 4  # the kills came at different stages of the work
    assert len(ends) >= 5
    for trial in range(len(ends)):
        assert check_manifest(tmp_path / f"trial-{trial}") == []


SLOW = "[measures.fake]\nsleep = 0.2"

COMMAND = """
import sys
from ekbom.study import registry, store
registry.BUILT_IN["fake"] = "fake_measure:FakeMeasure"
store.sources = lambda *modules: "fixed"
from ekbom.study.executors import LocalProcesses
from ekbom.study.run import run_study
if __name__ == "__main__":
    study, out = sys.argv[1:]
    run_study(study, out, "all", study + "/code/plan.toml", executor=LocalProcesses(2))
"""


def test_killed_with_two_workers(
    tmp_path: Path, fake: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "sources", lambda *modules: "fixed")  # as in COMMAND
    study = make_study(tmp_path / "bids", n=4)
    (study / "code" / "plan.toml").write_text(PLAN.replace("[measures.fake]", SLOW))
    script = tmp_path / "go.py"
    script.write_text(COMMAND)
    out = tmp_path / "out"
    command = [sys.executable, str(script), str(study), str(out)]
    first = subprocess.Popen(command, env=ENV)
    steps = out / ".ekbom" / "steps"
    end = time.monotonic() + 60
    while len(list(steps.glob("*"))) < 3 and time.monotonic() < end:
        time.sleep(0.02)
    children = workers_of(first.pid)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert 3 <= len(list(steps.glob("*"))) < 8
    subprocess.run(command, env=ENV, check=True)
    reference = tmp_path / "reference"
    run_study(study, reference, "all", study / "code" / "plan.toml")  # here, in one process
    assert (out / "manifest.tsv").read_bytes() == (reference / "manifest.tsv").read_bytes()
    assert len(children) >= 2
    assert not [pid for pid in children if alive(pid)]  # workers left with their parent


def workers_of(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    if not path.exists():
        pytest.skip("no /proc on this system")
    return [int(child) for child in path.read_text().split()]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
