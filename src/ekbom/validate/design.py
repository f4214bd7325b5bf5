"""What designs of the model study's kind can find: power, winner's curse, sign, smoothing.

Studies are made person by person, or voxel by voxel, and tested as a reader would; closed
forms that share nothing with them stand beside. Power and detectable effect are facts
and have no gate; that simulation and closed form agree has one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import integrate, special, stats

from ekbom.inference.power import detectable_shift, power_of_t
from ekbom.trials.petstudy import Correction, PetStudy, exact_power, least_correlation
from ekbom.validate.designmaps import smoothing
from ekbom.validate.result import Check

Array = NDArray[np.float64]

#: Patients, and patients with volunteers, of the designs.
PATIENTS = (10, 15, 20, 30, 60, 120)
GROUPS = ((15, 12), (30, 24), (60, 48))
_R, _D = (0.3, 0.5, 0.7), (0.5, 0.8, 1.2)
_LEVELS = (0.05, 0.001)
_CORRECTED: tuple[Correction, ...] = ("bonferroni", "holm", "max-t")


def validate_design(
    *,
    studies: int = 4000,
    maps: int = 100,
    seed: int = 1,
    tell: Callable[[str], None] | None = None,
) -> list[Check]:
    """Say what studies of the model study's kind can find.

    Parameters
    ----------
    studies : int
        Made person by person at each size.
    maps : int
        Studies of maps at each size and smoothing.
    seed : int
        Of every random draw.
    tell : callable, optional
        Told what is being done.

    Returns
    -------
    list of Check
        Power, detectable effect, inflation of r and d among findings, sign errors; those of
        maps by smoothing and threshold.
    """
    say = tell or (lambda text: None)
    say("the model study")
    checks = [*_statement()]
    say("correlations")
    checks += _correlations(studies, seed)
    say("groups")
    checks += _groups(studies, seed)
    say("many regions")
    checks += _regions(studies, seed)
    say("maps by smoothing and threshold")
    checks += smoothing(maps, seed)
    return checks


def _statement() -> Iterator[Check]:
    """What the model study could detect, in closed form."""
    unit = math.sqrt(1 / 15 + 1 / 12)
    yield Check("model study, 15 v 12: power at d 0.8, one two-sided test at .05",
                power_of_t(0.8 / unit, 25, float(special.stdtrit(25, 0.975))), 1, "1",
                0.505, 0.515, note="closed form; the computed anchor is .51")  # fmt: skip
    yield Check("model study, 15 v 12: d found with power .8",
                detectable_shift(25, float(special.stdtrit(25, 0.975)), 0.8) * unit, 1,
                "SD", 1.124, 1.134, note="closed form; the computed anchor is 1.129")  # fmt: skip
    yield Check("model study, 15 patients: |r| that is significant at two-sided .001",
                least_correlation(15, 0.001), 1, "1", 0.755, 0.765,
                note="closed form; the computed anchor is .76")  # fmt: skip
    yield Check("model study, 15 patients: true |r| found with power .8 at two-sided .001",
                detectable_r(PetStudy(15, -0.5, 1, 1, alpha=0.001, correction="none")), 1,
                "1")  # fmt: skip


def detectable_r(study: PetStudy, power: float = 0.8) -> float:
    """Return the true |r| that one region's test finds with a power, in closed form.

    Parameters
    ----------
    study : PetStudy
        Its own r counts not.
    power : float
        Wished for.

    Returns
    -------
    float
        By bisection to 1e-4.
    """
    low, high = 0.0, 1.0 - 1e-9
    while high - low > 1e-4:
        middle = (low + high) / 2
        enough = exact_power(replace(study, r=-middle)) >= power
        low, high = (low, middle) if enough else (middle, high)
    return high


def density_of_r(r: float, rho: float, n: int) -> float:
    """Return the density of the sample correlation of bivariate normal data.

    Parameters
    ----------
    r, rho : float
        Sample and population correlation.
    n : int
        People.

    Returns
    -------
    float
        Hotelling (1953).
    """
    log = (
        math.log(n - 2) + special.gammaln(n - 1) - special.gammaln(n - 0.5)
        + (n - 1) / 2 * math.log1p(-rho * rho) + (n - 4) / 2 * math.log1p(-r * r)
        - 0.5 * math.log(2 * math.pi) - (n - 1.5) * math.log1p(-rho * r)
    )  # fmt: skip
    return float(math.exp(log) * special.hyp2f1(0.5, 0.5, n - 0.5, (rho * r + 1) / 2))


def _curse_of_r(rho: float, n: int, least: float) -> tuple[float, float, float]:
    """Power, mean |r| of what is found, share of it with the wrong sign."""

    def over(low: float, high: float, power: int) -> float:
        return float(integrate.quad(lambda r: abs(r) ** power * density_of_r(r, rho, n), low, high,
                                    limit=200)[0])  # fmt: skip

    right, wrong = over(least, 1.0, 0), over(-1.0, -least, 0)
    mean = (over(least, 1.0, 1) + over(-1.0, -least, 1)) / (right + wrong)
    return right + wrong, mean, wrong / (right + wrong)


def _curse_of_d(d: float, n1: int, n2: int, critical: float) -> tuple[float, float, float]:
    unit, df = math.sqrt(1 / n1 + 1 / n2), n1 + n2 - 2
    one = stats.nct(df, d / unit)

    def over(low: float, high: float) -> float:
        return float(integrate.quad(lambda t: abs(t) * one.pdf(t), low, high, limit=200)[0])

    right, wrong = float(one.sf(critical)), float(one.cdf(-critical))
    mean = (over(critical, critical + 30) + over(-critical - 30, -critical)) / (right + wrong)
    return right + wrong, mean * unit, wrong / (right + wrong)


def _correlations(studies: int, seed: int) -> Iterator[Check]:
    rng = np.random.default_rng([seed, 1])
    for n in PATIENTS:
        for alpha in _LEVELS:
            study = PetStudy(n, -0.5, 1, 1, alpha=alpha, correction="none")
            yield Check(f"{n} patients, two-sided {alpha:g}: true |r| found with power .8",
                        detectable_r(study), 1, "1", note="closed form")  # fmt: skip
        for rho in _R:
            x, e = rng.standard_normal((2, studies, n))
            y = rho * x + math.sqrt(1 - rho * rho) * e
            x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
            r = (x * y).sum(axis=1) / np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
            least = least_correlation(n, 0.05)
            yield from _cursed(f"{n} patients, r {rho:g}", r, np.abs(r) >= least, rho,
                               _curse_of_r(rho, n, least), "r")  # fmt: skip


def _groups(studies: int, seed: int) -> Iterator[Check]:
    rng = np.random.default_rng([seed, 2])
    for n1, n2 in GROUPS:
        df, unit = n1 + n2 - 2, math.sqrt(1 / n1 + 1 / n2)
        critical = float(special.stdtrit(df, 0.975))
        yield Check(f"{n1} v {n2}, two-sided .05: d found with power .8",
                    detectable_shift(df, critical, 0.8) * unit, 1, "SD",
                    note="closed form")  # fmt: skip
        for d in _D:
            a = rng.standard_normal((studies, n1)) + d
            b = rng.standard_normal((studies, n2))
            pooled = ((n1 - 1) * a.var(axis=1, ddof=1) + (n2 - 1) * b.var(axis=1, ddof=1)) / df
            seen = (a.mean(axis=1) - b.mean(axis=1)) / np.sqrt(pooled)
            yield from _cursed(f"{n1} v {n2}, d {d:g}", seen, np.abs(seen) / unit >= critical, d,
                               _curse_of_d(d, n1, n2, critical), "d")  # fmt: skip


def _cursed(
    stem: str, size: Array, found: NDArray[np.bool_], true: float,
    exact: tuple[float, float, float], letter: str,
) -> Iterator[Check]:  # fmt: skip
    """Power, inflation and sign error: simulated, gated against the closed form."""
    power, mean, wrong = exact
    yield share(f"{stem}: power at two-sided .05", int(found.sum()), found.size, power)
    seen = np.abs(size[found])
    if seen.size > 20:
        se = float(seen.std(ddof=1)) / math.sqrt(seen.size) / true
        yield Check(f"{stem}: mean |{letter}| of findings over the truth",
                    float(seen.mean()) / true, seen.size, "1", mean / true - 3.9 * se,
                    mean / true + 3.9 * se, se,
                    note=f"winner's curse; closed form {mean / true:.3f}")  # fmt: skip
        yield share(f"{stem}: findings with the wrong sign", int((size[found] < 0).sum()),
                    seen.size, wrong)  # fmt: skip


def share(name: str, hits: int, n: int, exact: float, note: str = "") -> Check:
    """Return a share with the range in which chance leaves it around a closed form.

    Parameters
    ----------
    name : str
        What was counted.
    hits, n : int
        Counted, of so many.
    exact : float
        Closed form.
    note : str
        Further words.

    Returns
    -------
    Check
        Gate: the binomial 99.99 % range, as there are many of them.
    """
    low, high = (float(stats.binom.ppf(q, n, exact)) / n for q in (5e-5, 1 - 5e-5))
    p = (hits + 2) / (n + 4)
    words = f"closed form {exact:.4g}" + (f"; {note}" if note else "")
    return Check(name, hits / n, n, "1", low, high,
                 math.sqrt(p * (1 - p) / (n + 4)), words)  # fmt: skip


def _regions(studies: int, seed: int) -> Iterator[Check]:
    """Six regions that share variance: any, each and all of them, by correction."""
    from ekbom.trials.petpower import row

    for n in (15, 30, 60):
        for correction in _CORRECTED:
            study = PetStudy(n, -0.5, 6, 6, 0.3, correction=correction)
            found = row(study, studies, seed)
            for wish in ("each", "any", "all"):
                low, high = math.nan, math.nan
                if wish == "each" and correction == "bonferroni":
                    wide = 3.9 * found["each_se"]
                    low, high = found["each_exact"] - wide, found["each_exact"] + wide
                yield Check(f"{n} patients, r 0.5 in six regions, {correction}: {wish} found",
                            found[wish], studies, "1", low, high, found[f"{wish}_se"])  # fmt: skip
