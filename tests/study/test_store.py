"""The store, the lock, the tree, the manifest."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ekbom.errors import Refused
from ekbom.study.executors import LocalProcesses, Serial, executor
from ekbom.study.manifest import check_manifest, read_manifest, replace_file
from ekbom.study.output import Output, check_place
from ekbom.study.store import Store, code_of, key_of

PARTS = {"step": "x", "settings": {"a": 1.5}}


def test_put_and_get(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.get(key_of(PARTS)) is None
    step = store.put(PARTS, {"sub-01/a.tsv": b"x"}, {"scores": [float("nan")]})
    again = store.get(step.key)
    assert again == step
    assert again is not None
    assert again.path("sub-01/a.tsv").read_bytes() == b"x"
    assert again.result == {"scores": [None]}
    assert list(store.temporary.iterdir()) == []


@pytest.mark.parametrize("damage", ["file", "gone", "record", "result"])
def test_damaged_step_is_not_believed(tmp_path: Path, damage: str) -> None:
    store = Store(tmp_path)
    step = store.put(PARTS, {"a.tsv": b"x"}, {"v": 1})
    record = step.folder / "step.json"
    if damage == "file":
        step.path("a.tsv").write_bytes(b"y")
    elif damage == "gone":
        step.path("a.tsv").unlink()
    elif damage == "record":
        record.write_bytes(record.read_bytes()[:-20])
    else:
        record.write_text(record.read_text().replace('"v": 1', '"v": 2'))
    assert store.get(step.key) is None
    assert store.put(PARTS, {"a.tsv": b"x"}, {"v": 1}) == step
    assert store.get(step.key) == step


def test_key_depends_on_everything_but_order() -> None:
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})
    assert key_of({"a": 1}) != key_of({"a": 2})
    assert key_of({"a": 1}) != key_of({"a": 1.5})


def test_code_names_sources_and_libraries() -> None:
    code = code_of("ekbom.study", "ekbom.errors")
    assert code["sources"] != code_of("ekbom.study")["sources"]
    assert {"python", "numpy", "scipy", "numba"} <= set(code["libraries"])


def test_leftovers_are_cleared(tmp_path: Path) -> None:
    output = Output(tmp_path)
    (output.store.temporary / "dead").mkdir(parents=True)
    (tmp_path / "sub-01").mkdir()
    (tmp_path / "sub-01" / ".ekbom-tmp-1-x.tsv").write_text("half")
    with output.locked() as remarks:
        assert "2 leftovers" in " ".join(remarks)
    assert list(output.store.temporary.iterdir()) == []
    assert list((tmp_path / "sub-01").iterdir()) == []


HOLD = """
import sys, time
from pathlib import Path
from ekbom.study.output import Output
with Output(Path(sys.argv[1])).locked():
    print("held", flush=True)
    time.sleep(60)
"""


def test_two_runs_refuse_and_a_dead_one_does_not(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Refused, match="another run") as no, Output(tmp_path).locked():
            pass
        assert f"process {holder.pid} on {socket.gethostname()}" in str(no.value.found)
    finally:
        holder.kill()
        holder.communicate()
    with Output(tmp_path).locked() as remarks:
        assert "took over the lock" in " ".join(remarks)
    with Output(tmp_path).locked() as remarks:
        assert remarks == []


def test_lock_of_another_host_counts_while_it_lives(tmp_path: Path) -> None:
    lock = tmp_path / ".ekbom" / "lock"
    lock.parent.mkdir()
    lock.write_text(json.dumps({"pid": 1, "host": "elsewhere", "since": "then"}))
    with pytest.raises(Refused, match="another run"), Output(tmp_path).locked():
        pass
    old = time.time() - 1000
    os.utime(lock, (old, old))
    with Output(tmp_path).locked() as remarks:
        assert "took over" in remarks[0]


def test_publish_prunes_only_what_is_ours(tmp_path: Path) -> None:
    output = Output(tmp_path / "out")
    step = output.store.put(PARTS, {"g/a.tsv": b"a"}, {})
    output.publish({"g/a.tsv": step.path("g/a.tsv"), "b.txt": b"b"}, prune=True)
    output.seal({"g/a.tsv": b"", "b.txt": b""})
    (output.root / "mine.txt").write_text("keep")
    output.publish({"b.txt": b"c"}, prune=True)
    output.seal({"b.txt": b""})
    left = sorted(p.relative_to(output.root).as_posix() for p in output.root.rglob("*"))
    assert [p for p in left if not p.startswith(".ekbom")] == ["b.txt", "manifest.tsv", "mine.txt"]
    assert [path for path, _ in read_manifest(output.root)] == ["b.txt"]
    assert check_manifest(output.root) == []
    (output.root / "b.txt").write_text("d")
    assert check_manifest(output.root) == ["b.txt: changed"]
    replace_file(output.root, "b.txt", b"e")
    assert check_manifest(output.root) == []


def test_a_file_of_somebody_else_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(Refused, match="did not write"):
        Output(tmp_path).publish({"report.html": b"ours"}, prune=True)
    assert (tmp_path / "report.html").read_text() == "mine"


def test_edited_output_is_mended_and_the_store_is_not_hurt(tmp_path: Path) -> None:
    output = Output(tmp_path)
    step = output.store.put(PARTS, {"a.tsv": b"a"}, {})
    tree: dict[str, bytes | Path] = {"a.tsv": step.path("a.tsv")}
    output.publish(tree, prune=True)
    (tmp_path / "a.tsv").write_text("edited")  # through the hard link, so the step is damaged
    assert output.store.get(step.key) is None
    step = output.store.put(PARTS, {"a.tsv": b"a"}, {})
    output.publish({"a.tsv": step.path("a.tsv")}, prune=True)
    assert (tmp_path / "a.tsv").read_text() == "a"


def test_first_seen_is_kept_even_without_the_store(tmp_path: Path) -> None:
    output = Output(tmp_path)
    assert output.first_seen({"plan": "1"}) == ({"plan": "1"}, True)
    assert output.first_seen({"plan": "2"}) == ({"plan": "1"}, False)
    (tmp_path / ".ekbom" / "first_seen.json").unlink()
    (tmp_path / "plan.json").write_text('{"first_seen": {"plan": "1"}}')
    assert output.first_seen({"plan": "3"}) == ({"plan": "1"}, False)


@pytest.mark.parametrize(
    ("out", "said"),
    [
        (".", "is the BIDS folder itself"),
        ("..", "holds the BIDS folder"),
        ("sub-01/out", "among the raw data"),
        ("derivatives", "folder of all derivatives"),
        ("dataset_description.json", "is a file"),
    ],
)
def test_places_that_would_spoil_the_data(study: Path, out: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        check_place(study, study / out)


def test_good_places(study: Path, tmp_path: Path) -> None:
    check_place(study, study / "derivatives" / "ekbom")
    check_place(study, tmp_path / "elsewhere")


def _square(x: int) -> int:
    return x * x


def _die(x: int) -> int:
    os._exit(9)


def test_executors_agree() -> None:
    items = [3, 1, 2]
    truth = [(0, 9), (1, 1), (2, 4)]
    assert list(Serial().map(_square, items)) == truth
    assert sorted(LocalProcesses(2).map(_square, items)) == truth
    assert list(LocalProcesses(2).map(_square, [])) == []
    assert isinstance(executor(1), Serial)


def test_a_dead_worker_is_told() -> None:
    with pytest.raises(Refused, match="worker process died"):
        list(LocalProcesses(1).map(_die, [1]))


def test_no_workers_and_no_dask() -> None:
    with pytest.raises(Refused, match="there must be a worker"):
        executor(0)
    try:
        import distributed  # noqa: F401
    except ImportError:
        with pytest.raises(Refused, match=r"dask.distributed is not installed"):
            executor(1, dask="tcp://nowhere:1")
