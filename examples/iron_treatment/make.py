"""A made iron trial: IRLS at baseline, week 6 and week 12, with people who drop out.

    python make.py FOLDER
    ekbom ask FOLDER/irls.tsv FOLDER/out --question FOLDER/question.toml --unit points

80 people, half of them on iron. The true difference between the arms is -2.5 points at
week 6 and -4 at week 12. Who still does badly at a visit is more likely to be missing
at the next (missing at random), in both arms: those who stay look better than all would.
The numbers are made up; nothing here is about a real treatment.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

N, SEED = 80, 12
VISITS, WEEK = ("baseline", "week6", "week12"), (0, 6, 12)
PLACEBO, IRON = (24.0, 21.5, 20.5), (24.0, 19.0, 16.5)
QUESTION = """\
kind = "longitudinal"
outcome = "irls"
model = "~ arm * session + baseline * session + age"
test = "iron - placebo[week12]"
baseline = "baseline"
covariance = "unstructured"
"""


def main(folder: Path) -> None:
    """Write the table and the question."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    root = np.linalg.cholesky(np.array([[25.0, 16, 14], [16, 30, 22], [14, 22, 36]]))
    rows = ["participant_id\tsession_id\tarm\tage\tweek\tirls"]
    for k in range(N):
        arm, age = ("iron", "placebo")[k % 2], round(rng.normal(52, 11), 1)
        score = np.clip(
            np.array(IRON if arm == "iron" else PLACEBO) + root @ rng.normal(size=3), 0, 40
        )
        here = True
        for j, visit in enumerate(VISITS):
            if j and here:
                here = rng.random() > 0.15 / (1 + np.exp(-(score[j - 1] - 26) / 2)) + 0.05
            value = f"{score[j]:.0f}" if here else "n/a"
            rows.append(f"sub-{k + 1:02d}\t{visit}\t{arm}\t{age}\t{WEEK[j]}\t{value}")
    (folder / "irls.tsv").write_text("\n".join(rows) + "\n")
    (folder / "question.toml").write_text(QUESTION)
    print(f"{folder}: irls.tsv, question.toml")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
