"""The tables of validation.md from a report: `python docs/pet/validation_tables.py CHECK`.

CHECK is the folder of `ekbom validate pet --out CHECK --full`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd


def main(folder: Path) -> None:
    """Print the tables as Markdown."""
    frame = pd.read_csv(folder / "validate-pet.tsv", sep="\t").set_index("check")
    value = frame["value"].to_dict()
    models: dict[str, dict[str, list[str]]] = {}
    for name in value:
        if ", no noise" in name or " map, " in name or not name.endswith(": flagged"):
            continue
        stem = name.removesuffix(": flagged")
        model, noise = stem.rsplit(", ", 1)
        if " spectral " in model:
            cell = f"{value[f'{stem}: bias of VT']:+.1f}, {value[f'{stem}: bias of K1']:+.1f}"
        else:
            what = "VT" if f"{stem}: bias of VT" in value else "BPND"
            cell = f"{value[f'{stem}: bias of {what}']:+.2f}"
            cell += f", {value[f'{stem}: coverage of {what}']:.3f}"
        models.setdefault(model, {})[noise] = [f"{cell}, {value[name]:.2f}"]
    for spectral in (False, True):
        print()
        for model, cells in models.items():
            if (" spectral " in model) == spectral:
                row = " | ".join(" ".join(cell) for cell in cells.values())
                print(f"| {model.removesuffix(' spectral on 2tcm')} | {row} |")
    print()
    clean = frame[frame.index.str.contains(", no noise")]
    worst: dict[str, float] = {}
    for name, one in clean["value"].items():
        model, what = str(name).split(" ", 1)[1].split(", no noise: error of ")
        worst[f"{model}: {what}"] = max(worst.get(f"{model}: {what}", 0.0), abs(one))
    for name, most in worst.items():
        print(f"| {name} | {most:.2g} |")
    print()
    maps = frame[frame.index.str.contains(" map, ")]
    for word in ("off the optimum by over 1e-6", "off it without a flag", "below the search"):
        some = maps[maps.index.str.endswith(word)]
        count = (some["value"] * some["n"]).round().astype(int)
        print(f"voxels {word}: {count.sum()} of {some['n'].sum()}", dict(count[count > 0]))
    print(frame["result"].value_counts().to_dict())
    print(frame[frame["result"] == "FAILED"][["value", "gate_low", "gate_high"]].to_string())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
