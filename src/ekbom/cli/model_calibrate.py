"""`ekbom model calibrate`: everything that was fitted, in one seeded command."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pandas as pd

from ekbom.cli.model_said import banner, say
from ekbom.errors import Refused
from ekbom.study.files import json_bytes, tsv_bytes, write_bytes


def calibrate(
    *,
    out: Path,
    step: Literal["all", "first", "second", "movements"] = "all",
    runs: int = 128,
    people: int = 600,
    particles: int = 1000,
    generations: int = 16,
    checks: int = 8,
    seed: int = 1,
) -> None:
    """Calibrate the free parameters to the rows marked calibrate, by ABC-SMC; goes on when stopped.

    Parameters
    ----------
    out
        Folder.
    step
        first: sixteen parameters by an emulator (design.tsv, parameters.tsv, targets.tsv,
        posterior.tsv, generations.tsv). second: eight parameters on the model itself, with the
        shipped values of all else (second.tsv, second-targets.tsv). movements: the generator
        of leg movements to its anchors, with the shipped values of all else (generator.tsv,
        generator-covariance.tsv, anchors.tsv). all: one after the other.
    runs
        First step: runs of the model that the emulator learns from.
    people
        People of each run.
    particles
        Of each generation.
    generations
        At most.
    checks
        Accepted points at which the model is run again.
    seed
        Of every draw.
    """
    if runs < 8 or people < 100:
        raise Refused("Too few.", field="runs" if runs < 8 else "people", found=min(runs, people),
                      expected="8 runs or more, 100 people or more")  # fmt: skip
    if step in ("all", "first"):
        _first(out, runs, people, particles, generations, checks, seed)
    if step in ("all", "second"):
        _second(out, seed)
    if step in ("all", "movements"):
        _movements(out, people, seed)
    say(f"written to {out}")
    say(banner())


def _first(
    out: Path, runs: int, people: int, particles: int, generations: int, checks: int, seed: int
) -> None:
    from ekbom.trials.calibrate import calibrate as fit
    from ekbom.trials.calibrate import design, run_design

    store = _part(out, "design", seed, runs, people)
    done = pd.read_csv(store, sep="\t") if store.exists() else None
    if done is not None:
        say(f"{len(done)} of {runs} runs are done")

    def keep(table: pd.DataFrame) -> None:
        write_bytes(store, tsv_bytes(table))
        if len(table) % 16 == 0:
            say(f"run {len(table)} of {runs}")

    table = run_design(runs, seed, done, keep, people=people)
    write_bytes(out / "design.tsv", tsv_bytes(table))
    found = fit(design(runs, seed), table, particles=particles, generations=generations, seed=seed,
                checks=checks, people=people)  # fmt: skip
    for name in ("parameters", "targets", "generations"):
        frame = getattr(found, name)
        write_bytes(out / f"{name}.tsv", tsv_bytes(frame))
        say(frame.to_string(index=False, float_format=lambda v: f"{v:.3g}"))
    write_bytes(out / "posterior.tsv", tsv_bytes(found.particles))
    write_bytes(out / "calibration.json", json_bytes({
        "About": banner(), "Runs": runs, "People": people, "Particles": particles, "Seed": seed,
    }))  # fmt: skip


def _second(out: Path, seed: int) -> None:
    from ekbom.trials import second as later

    made: list[pd.DataFrame] = []
    for name in ("barrier", "potency", "strength"):
        store = _part(out, name, seed)
        if not store.exists():
            run = {"barrier": later.barrier, "potency": later.potencies}.get(name)
            frame = run(seed=seed) if run else later.augmentation(made[1], seed=seed)
            write_bytes(store, tsv_bytes(frame))
            say(f"{name} is done")
        made.append(pd.read_csv(store, sep="\t"))
    sample, targets = later.combine(*made, seed=seed)
    write_bytes(out / "second.tsv", tsv_bytes(sample))
    write_bytes(out / "second-targets.tsv", tsv_bytes(targets))
    for frame in (sample.describe(), targets):
        say(frame.to_string(float_format=lambda v: f"{v:.3g}"))
    write_bytes(out / "second.json", json_bytes({"About": banner(), "Seed": seed}))


def _movements(out: Path, people: int, seed: int) -> None:
    from ekbom.trials.generator import fit_generator, people_table

    fitted = fit_generator(people_table(4 * people, seed), seed)
    for name, frame in zip(("generator", "generator-covariance", "anchors"), fitted, strict=True):
        write_bytes(out / f"{name}.tsv", tsv_bytes(frame))
        say(frame.to_string(index=False, na_rep="", float_format=lambda v: f"{v:.3g}"))
    write_bytes(out / "movements.json", json_bytes({"About": banner(), "Seed": seed}))


def _part(out: Path, name: str, *said: object) -> Path:
    """Return where a part is kept: under another name when the model or what was asked changes."""
    from ekbom.trials.replicates import world_key

    return out / "parts" / f"{name}-{world_key(name, *said)}.tsv"
