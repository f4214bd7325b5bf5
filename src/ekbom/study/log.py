"""The log of a run: times, host, workers, command line. Outside the promise."""

from __future__ import annotations

import json
import os
import platform
import socket
import sys
import time
from pathlib import Path
from typing import Any

from ekbom.study import files
from ekbom.study.names import NAMES


class Log:
    """One file of JSON lines a run, ``OUT/logs/run-<time>-<process>.jsonl``.

    Parameters
    ----------
    out : Path
        The output folder.
    """

    def __init__(self, out: Path) -> None:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        self.path = out / NAMES["logs"] / f"run-{stamp}-{os.getpid()}.jsonl"
        self._start = time.monotonic()
        with files.refusals(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self.path.open("a", encoding="utf-8")
        self.event(
            "start",
            time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            host=socket.gethostname(),
            platform=platform.platform(),
            argv=sys.argv,
            folder=str(Path.cwd()),
            process=os.getpid(),
        )

    def event(self, what: str, **said: Any) -> None:
        """Write one line.

        Parameters
        ----------
        what : str
            Short word.
        **said : object
            What else there is to say; JSON.

        Raises
        ------
        OutputRefused
            The system refuses.
        """
        line = {"event": what, "after_s": round(time.monotonic() - self._start, 3), **said}
        with files.refusals(self.path):
            self._stream.write(json.dumps(files.plain(line), ensure_ascii=False) + "\n")
            self._stream.flush()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
