"""What the noise of blood samples does to V_T: residual bootstrap of the input function.

The residuals of the best parametric form stand for the noise of the samples,
also where the input is a line through them (a line leaves no residuals). Each
draw puts resampled residuals on the fitted values, of the parent fraction and of
parent plasma, makes the input function again in the way that was asked for, and
refits the tissue. Whole blood is not redrawn: it only enters through v_B.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.measures.pet import parent as parent_models
from ekbom.measures.pet.arterial import fit_arterial
from ekbom.measures.pet.frames import Frames
from ekbom.measures.pet.input import InputFunction
from ekbom.measures.pet.input_fit import InputFit, fit_curve
from ekbom.measures.pet.parent import ParentFit
from ekbom.measures.pet.plasma import Curve, sample_root
from ekbom.measures.pet.regional import Regional
from ekbom.measures.pet.settings import BLOODLESS, PETSettings

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BloodError:
    """The part of an outcome's uncertainty that comes from the blood.

    Attributes
    ----------
    parameter : str
        VT, or Ki.
    se_tissue : (N,) array
        Of the fit, the input being known.
    se_blood : (N,) array
        Standard deviation over draws.
    draws : (K, N) array
        The outcome in each draw.
    """

    parameter: str
    se_tissue: Array
    se_blood: Array
    draws: Array

    @property
    def se(self) -> Array:
        """Both parts together, (N,)."""
        return np.asarray(np.hypot(self.se_tissue, self.se_blood))


def draw_inputs(fitted: InputFit, frames: Frames, draws: int, seed: int) -> list[InputFunction]:
    """Return input functions as other samples of the same blood would give them.

    Parameters
    ----------
    fitted : InputFit
    frames : Frames
    draws : int
        K, two or more.
    seed : int

    Returns
    -------
    list of InputFunction
        K of them, without delay.

    Raises
    ------
    Refused
        When there are too few samples for any parametric form.
    """
    if draws < 2:
        raise Refused("A bootstrap needs two draws or more.", field="blood_draws", found=draws)
    end = float(frames.end[-1])
    t, samples = fitted.samples_t, fitted.samples
    forms = [c for c in fitted.candidates.values() if c.search is not None]
    if not forms:
        raise Refused(
            "Too few blood samples to tell their noise.",
            file=fitted.blood.source,
            field="blood_draws",
            found=f"{t.size} samples",
            expected="as many as a parametric input function needs",
            mend="set blood_draws = 0",
        )
    best = fitted.parent_plasma
    if best.search is None:
        best = min(forms, key=lambda c: c.aicc)
    root = sample_root(samples)
    noise = _scaled(root * (samples - best.at(t)), best.n_free)
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        again = best.at(t) + noise[rng.integers(0, t.size, t.size)] / root
        again = again * _fraction_ratio(fitted, t, rng)
        start = best.search if fitted.parent_plasma.model == best.model else None
        curve = fit_curve(fitted.parent_plasma.model, t, again, end, start=start)
        found.append(_input(fitted.input, curve))
    return found


def blood_errors(
    values: Array,
    regional: Regional,
    fitted: InputFit,
    frames: Frames,
    settings: PETSettings,
    *,
    seed: int = 0,
) -> Mapping[str, BloodError]:
    """Refit every region with every draw.

    Parameters
    ----------
    values : (N, F) array
        kBq/mL decay-corrected to injection.
    regional : Regional
        The fits; delay, weights and t* are theirs.
    fitted : InputFit
    frames : Frames
    settings : PETSettings
        ``blood_draws`` is how many.
    seed : int

    Returns
    -------
    mapping of str to BloodError
        By model with arterial input.
    """
    models = [name for name in regional.fits if name not in BLOODLESS]
    inputs = draw_inputs(fitted, frames, settings.blood_draws, seed)
    outcome: dict[str, list[Array]] = {name: [] for name in models}
    for one in inputs:
        used = one.shifted(regional.delay_min) if regional.delay_min else one
        for name in models:
            done = fit_arterial(
                values, frames, used, name, settings, regional.weights,
                tstar=regional.tstar.get(name), with_se=False,
            )  # fmt: skip
            outcome[name].append(done.params[done.outcome])
    errors = {}
    for name in models:
        base = regional.fits[name]
        table = np.array(outcome[name])
        spread = table.std(axis=0, ddof=1)
        errors[name] = BloodError(base.outcome, base.se[base.outcome], spread, table)
    return errors


def _scaled(residual: Array, n_free: int) -> Array:
    """Residuals as large as the noise that a fit of n_free parameters left of it."""
    n = residual.size
    return np.asarray((residual - residual.mean()) * np.sqrt(n / max(n - n_free, 1)))


def _fraction_ratio(fitted: InputFit, t: Array, rng: np.random.Generator) -> Array:
    """A redrawn parent fraction over the chosen one, at the plasma samples."""
    chosen, blood = fitted.parent, fitted.blood
    if chosen is None or blood.time_f is None or blood.parent_fraction is None:
        return np.ones(t.size)
    time, fraction = blood.time_f, blood.parent_fraction
    best: ParentFit | None = chosen
    if chosen.model == "interpolate":
        able = [one for one in fitted.parent_candidates if np.isfinite(one.aicc)]
        best = min(able, key=lambda one: one.aicc) if able else None
    if best is None:
        return np.ones(t.size)
    noise = _scaled(fraction - best.at(time), best.n_free)
    again = np.clip(best.at(time) + noise[rng.integers(0, time.size, time.size)], 0.0, 1.0)
    if chosen.model == "interpolate":
        one = parent_models.interpolate(time, again)
        below = parent_models.interpolate(time, best.at(time)).at(t)
    else:
        # a fraction at injection that was held has no standard error
        held = chosen.params["f0"] if "f0" not in chosen.se else None
        one = parent_models.fit_form(chosen.model, time, again, f0=held)
        below = chosen.at(t)
    return np.asarray(np.where(below > 1e-3, one.at(t) / np.maximum(below, 1e-3), 1.0))


def _input(base: InputFunction, curve: Curve) -> InputFunction:
    knots = np.unique(np.concatenate((base.t, curve.t)))
    return replace(
        base,
        t=knots,
        plasma_parent=np.maximum(curve.at(knots), 0.0),
        whole_blood=base.whole_blood_at(knots),
    )
