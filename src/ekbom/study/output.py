"""The output folder: one run at a time, and a tree that says what the plan says."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ekbom.errors import Refused
from ekbom.study import files, names
from ekbom.study.manifest import manifest_bytes, read_manifest
from ekbom.study.store import Store
from ekbom.study.walk import STORE

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

#: Seconds between signs of life in the lock, and after which a far holder is dead.
BEAT, DEAD = 20.0, 120.0


class Output:
    """An output folder in use by one run.

    Parameters
    ----------
    out : Path
        The folder; made when it does not exist.
    """

    def __init__(self, out: Path) -> None:
        self.root = out.absolute()
        self.store = Store(self.root)
        self._record = self.root / STORE / "published.json"

    @contextlib.contextmanager
    def locked(self) -> Iterator[list[str]]:
        """Hold the folder; clear what a killed run left.

        Yields
        ------
        list of str
            Remarks: a stale lock taken over, leftovers removed.

        Raises
        ------
        Refused
            Another run uses the folder.
        OutputRefused
            The folder cannot be written to.
        """
        path = self.root / STORE / "lock"
        with files.refusals(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            stream = path.open("a+")
        with stream:
            remarks = _take(stream, path)
            over = threading.Event()
            beat = threading.Thread(target=_beat, args=(path, over), daemon=True)
            beat.start()
            try:
                remarks += self._clear()
                yield remarks
            finally:
                over.set()
                beat.join()
                with contextlib.suppress(OSError):
                    stream.truncate(0)

    def publish(self, tree: Mapping[str, bytes | Path], *, prune: bool) -> None:
        """Make the visible tree.

        Parameters
        ----------
        tree : mapping of str to bytes or Path
            Path inside the folder to content, or to the file of the store.
        prune : bool
            Remove what earlier runs published and this one does not.

        Raises
        ------
        Refused
            A file that ekbom did not write stands in the way.
        OutputRefused
            The system refuses.
        """
        ours = self._published()
        self._refuse_strangers(tree, ours)
        # Without a manifest the tree is one in the making.
        files.remove(self.root / names.NAMES["manifest"])
        self._remember(ours | set(tree))
        for name, content in tree.items():
            target = self.root / name
            if isinstance(content, bytes):
                if not _holds(target, content):
                    files.write_bytes(target, content)
            else:
                files.place(content, target)
        if prune:
            for name in sorted(ours - set(tree)):
                files.remove(self.root / name)
                self._remove_empty((self.root / name).parent)
            self._remember(set(tree))

    def seal(self, tree: Mapping[str, bytes | Path]) -> None:
        """Write the manifest of a finished tree.

        Parameters
        ----------
        tree : mapping of str to bytes or Path
            What :meth:`publish` was given.
        """
        name = names.NAMES["manifest"]
        self._remember(set(tree) | {name})
        files.write_bytes(self.root / name, manifest_bytes(self.root, tree))

    def first_seen(self, hashes: Mapping[str, str]) -> tuple[dict[str, str], bool]:
        """Return the plan's hashes of when data were first seen, kept for ever.

        Parameters
        ----------
        hashes : mapping of str to str
            Of the plan now: whole, measures, questions.

        Returns
        -------
        first : dict of str to str
            Those of the first run in this folder.
        now : bool
            Whether this is that run.
        """
        path = self.root / STORE / "first_seen.json"
        with contextlib.suppress(OSError, ValueError, KeyError):
            return dict(json.loads(path.read_bytes())["hashes"]), False
        # The store may have been deleted to make room; the tree remembers too.
        with contextlib.suppress(OSError, ValueError, KeyError):
            first = dict(
                json.loads((self.root / names.NAMES["resolved_plan"]).read_bytes())["first_seen"]
            )
            files.write_bytes(path, files.json_bytes({"hashes": first}))
            return first, False
        seen = {"hashes": dict(hashes), "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        files.write_bytes(path, files.json_bytes(seen))
        return dict(hashes), True

    def _clear(self) -> list[str]:
        remarks = []
        left = self.store.clean()
        for place, folders, found in os.walk(self.root):
            if Path(place) == self.root:
                folders[:] = [f for f in folders if f != STORE]
            for name in found:
                if name.startswith(files.TEMPORARY):
                    files.remove(Path(place) / name)
                    left += 1
        if left:
            remarks.append(f"removed {left} leftovers of a run that was stopped")
        return remarks

    def _published(self) -> set[str]:
        ours = {path for path, _ in read_manifest(self.root)} | {names.NAMES["manifest"]}
        with contextlib.suppress(OSError, ValueError):
            ours |= set(json.loads(self._record.read_bytes()))
        return ours

    def _remember(self, ours: set[str]) -> None:
        content = files.json_bytes(sorted(ours))
        if not _holds(self._record, content):
            files.write_bytes(self._record, content)

    def _refuse_strangers(self, tree: Mapping[str, bytes | Path], ours: set[str]) -> None:
        for name, content in tree.items():
            target = self.root / name
            if name in ours or not target.exists():
                continue
            data = content if isinstance(content, bytes) else content.read_bytes()
            if not _holds(target, data):
                raise Refused(
                    "a file that ekbom did not write stands where an output belongs",
                    file=target,
                    found="other content",
                    expected="an empty output folder, or one of ekbom",
                    mend="choose another output folder, or move that file away",
                )

    def _remove_empty(self, folder: Path) -> None:
        while folder != self.root and folder.is_dir() and not any(folder.iterdir()):
            with contextlib.suppress(OSError):
                folder.rmdir()
            folder = folder.parent


def check_place(bids_dir: Path, out: Path) -> None:
    """Refuse an output folder that would spoil the data.

    Parameters
    ----------
    bids_dir, out : Path
        Study and output folder.

    Raises
    ------
    Refused
        They are the same, the study lies inside the output, or the output
        lies among the raw data.
    """
    study, place = bids_dir.resolve(), out.resolve()
    why = None
    if study == place:
        why = "is the BIDS folder itself"
    elif study.is_relative_to(place):
        why = "holds the BIDS folder"
    elif place.is_relative_to(study):
        first = place.relative_to(study).parts[0]
        if first.startswith("sub-") or first in ("phenotype", "sourcedata", "code"):
            why = "lies among the raw data"
        elif place == study / "derivatives":
            why = "is the folder of all derivatives"
    if out.exists() and not out.is_dir():
        why = "is a file"
    if why is not None:
        raise Refused(
            f"the output folder {why}",
            file=out,
            field="OUT_DIR",
            found=out,
            expected="a folder of its own",
            mend=f"use {study / 'derivatives' / 'ekbom'} or a folder elsewhere",
        )


def _holds(path: Path, content: bytes) -> bool:
    try:
        if path.stat().st_size != len(content):
            return False
        return files.sha256(path) == hashlib.sha256(content).hexdigest()
    except (OSError, Refused):
        return False


def _take(stream: Any, path: Path) -> list[str]:
    """Take the lock or refuse; the kernel frees it when its holder dies."""
    stream.seek(0)
    before = _holder(stream.read())
    here = socket.gethostname()
    held = False
    if fcntl is not None:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            held = True
    # On a file system without locks between hosts, the sign of life decides.
    far = bool(before) and (before.get("host") != here or fcntl is None)
    if held or (far and _age(path) < DEAD):
        raise Refused(
            "another run uses this output folder",
            file=path,
            found=f"process {before.get('pid', '?')} on {before.get('host', '?')}, "
            f"since {before.get('since', '?')}",
            expected="one run at a time",
            mend="wait for it, or choose another folder"
            + (f" (a dead run on another host is known after {DEAD:.0f} s)" if far else ""),
        )
    stream.seek(0)
    stream.truncate()
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    stream.write(json.dumps({"pid": os.getpid(), "host": here, "since": since}))
    stream.flush()
    return (
        [f"took over the lock of a run that was stopped ({before.get('since')})"] if before else []
    )


def _holder(text: str) -> dict[str, Any]:
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _age(path: Path) -> float:
    # Compared with a file of now, because the clock of a file server may differ.
    probe = path.with_name(f"{files.TEMPORARY}{os.getpid()}-clock")
    with files.refusals(probe):
        probe.write_bytes(b"")
        try:
            return probe.stat().st_mtime - path.stat().st_mtime
        finally:
            probe.unlink()


def _beat(path: Path, over: threading.Event) -> None:
    while not over.wait(BEAT):
        with contextlib.suppress(OSError):
            os.utime(path)
