"""Write the generated files anew: ``python -m ekbom.disease.writers [DOCS_FOLDER]``."""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

from ekbom.disease.model import load
from ekbom.disease.writers.code import module
from ekbom.disease.writers.docs import pages
from ekbom.disease.writers.steady import steady

HERE = Path(__file__).parents[1]
HEAD = "# Written by `python -m ekbom.disease.writers`: the steady state with the clock averaged.\n"


def stamp(solver: Path, text: str) -> None:
    """Write the fingerprint of the compiled model into the solver.

    numba's cache of the solver looks at the solver's own file only and would go on
    with the old model; a changed line makes it compile anew.

    Parameters
    ----------
    solver : Path
        Module of the solver.
    text : str
        Source of the compiled model.
    """
    mark = f'MODEL = "{hashlib.sha256(text.encode()).hexdigest()[:16]}"'
    old = solver.read_text("utf-8")
    solver.write_text(re.sub(r'^MODEL = ".*"$', mark, old, flags=re.MULTILINE), "utf-8")


def main() -> None:
    """Write steady state and compiled model, and the documentation when a folder is given."""
    model = load()
    found = {s.id for s in model.states if s.initial == "steady"}
    rows = [f"{k} = {v!r}" for k, v in steady(model).items() if k in found]
    (HERE / "spec" / "steady.toml").write_text(HEAD + "\n".join(rows) + "\n", "utf-8")
    (HERE / "solve" / "_generated.py").write_text(module(model), "utf-8")
    stamp(HERE / "solve" / "rosenbrock.py", module(model))
    for folder in sys.argv[1:2]:
        for name, text in pages(model).items():
            (Path(folder) / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
