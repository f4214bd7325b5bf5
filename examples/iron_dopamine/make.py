"""Made studies of iron, dopamine and symptom with known paths, of 50, 200 and 1,000 people.

    python make.py FOLDER
    for n in 50 200 1000; do
      ekbom ask FOLDER/n$n.tsv FOLDER/out$n --question FOLDER/question.toml
    done

Brain iron goes with dopamine (a = 0.35), dopamine with the symptom at the same iron
(b = 0.35), and iron with the symptom at the same dopamine (c' = 0.15), in standard
deviations of what is left: 45 % of the way from iron to symptom is by dopamine. Age
takes part in all three. The numbers are made up.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

SEED, A, B, DIRECT = 3, 0.35, 0.35, 0.15
QUESTION = """\
kind = "mediation"
outcome = "dopamine"
path = "iron -> dopamine -> symptom"
covariates = ["age"]

[inference]
permutations = 5000
bootstrap = 5000
"""


def main(folder: Path) -> None:
    """Write three tables and the question."""
    folder.mkdir(parents=True, exist_ok=True)
    for n in (50, 200, 1000):
        rng = np.random.default_rng([SEED, n])
        age = rng.normal(50, 12, n)
        z = (age - 50) / 12
        iron = 0.3 * z + rng.normal(size=n)
        dopamine = A * iron - 0.3 * z + rng.normal(size=n)
        symptom = B * dopamine + DIRECT * iron + 0.2 * z + rng.normal(size=n)
        rows = ["participant_id\tage\tiron\tdopamine\tsymptom"]
        rows += [
            f"sub-{k + 1:04d}\t{age[k]:.1f}\t{iron[k]:.4f}\t{dopamine[k]:.4f}\t{symptom[k]:.4f}"
            for k in range(n)
        ]
        (folder / f"n{n}.tsv").write_text("\n".join(rows) + "\n")
    (folder / "question.toml").write_text(QUESTION)
    print(f"{folder}: n50.tsv, n200.tsv, n1000.tsv, question.toml")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
