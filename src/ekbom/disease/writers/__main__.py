"""Write the generated files anew: ``python -m ekbom.disease.writers [DOCS_FOLDER]``."""

from __future__ import annotations

import sys
from pathlib import Path

from ekbom.disease.model import load
from ekbom.disease.writers.code import module
from ekbom.disease.writers.docs import pages
from ekbom.disease.writers.steady import steady

HERE = Path(__file__).parents[1]
HEAD = "# Written by `python -m ekbom.disease.writers`: the steady state with the clock averaged.\n"


def main() -> None:
    """Write steady state and compiled model, and the documentation when a folder is given."""
    model = load()
    found = {s.id for s in model.states if s.initial == "steady"}
    rows = [f"{k} = {v!r}" for k, v in steady(model).items() if k in found]
    (HERE / "spec" / "steady.toml").write_text(HEAD + "\n".join(rows) + "\n", "utf-8")
    (HERE / "solve" / "_generated.py").write_text(module(model), "utf-8")
    for folder in sys.argv[1:2]:
        for name, text in pages(model).items():
            (Path(folder) / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
