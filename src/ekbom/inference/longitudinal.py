"""Repeated measurements over time: mixed models and MMRM by restricted likelihood.

Everybody with at least one measurement counts; somebody who drops out counts until
then. That is right when dropping out depends on what was measured before, not on what
would have been measured after (missing at random); no analysis can test this.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ekbom.errors import Refused
from ekbom.inference.covariance import SIMPLER, WORDS, parameters, random_part, stacked
from ekbom.inference.reml import Contrast, Joint, Reml, SmallSample, climb


@dataclass(frozen=True)
class Repeated:
    """A fitted model of repeated measurements.

    Parameters
    ----------
    fit : Reml
        Coefficients, covariance parameters, tests by :meth:`Reml.contrast`.
    structure : str
        Covariance that was fitted in the end.
    asked : str
        Covariance that was asked for.
    names : tuple of str
        Names of the covariance parameters.
    warnings : tuple of str
        What was simplified, and why.
    """

    fit: Reml
    structure: str
    asked: str
    names: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def repeated(
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    subject: Sequence[Hashable] | NDArray[Any],
    visit: Sequence[Hashable] | NDArray[Any],
    *,
    time: NDArray[np.float64] | None = None,
    covariance: str = "unstructured",
    simplify: bool = False,
    visits: Sequence[Hashable] | None = None,
) -> Repeated:
    """Fit a linear model whose errors belong together within persons.

    Parameters
    ----------
    y : (N,) float64
        One measurement a row; no missing values (leave the row out).
    x : (N, q) float64
        Design of the means; full column rank.
    subject : (N,) array
        Whose measurement.
    visit : (N,) array
        Which visit; a person has each at most once.
    time : (N,) float64, optional
        When, for ``covariance="slope"``; the number of the visit by default.
    covariance : {"unstructured", "slope", "intercept", "independent"}
        MMRM; random intercept and slope; random intercept; none.
    simplify : bool
        Whether a singular covariance may be replaced by the next simpler one, by name
        (unstructured by a random intercept).
    visits : sequence, optional
        Order of the visits.

    Returns
    -------
    Repeated
        Fit, structure and warnings.

    Raises
    ------
    Refused
        The covariance cannot be estimated and ``simplify`` is False; a visit held twice;
        two visits that nobody has both of (unstructured).
    """
    y, x = np.asarray(y, float), np.asarray(x, float)
    if not (np.isfinite(y).all() and np.isfinite(x).all()):
        raise ValueError("y and x must be finite; leave out the rows of missing measurements")
    who = np.unique(np.asarray(subject), return_inverse=True)[1].ravel()
    labels, which = _numbered(visit, visits)
    when = which.astype(float) if time is None else np.asarray(time, float)
    _once(who, which, labels)
    warnings: list[str] = []
    structure = covariance
    while True:
        no = _cannot(structure, who, which, when, labels, x)
        if no is None:
            fit = _fit(y, x, who, which, when, structure, len(labels))
            no = _singular(fit, structure)
        if no is None:
            return Repeated(fit, structure, covariance, parameters(structure, labels),
                            tuple(warnings))  # fmt: skip
        next_ = SIMPLER.get(structure, "intercept" if structure == "unstructured" else "")
        if not simplify or not next_:
            raise Refused(
                f"The covariance of the visits cannot be estimated: {no}.",
                field="covariance",
                found=f"{structure} ({WORDS[structure]}) with {len(set(who))} people, "
                f"{len(y)} measurements at {len(labels)} visits",
                expected="a covariance that the data can tell",
                mend=f'say covariance = "{next_}"' if next_ else "include more people or visits",
            )
        warnings.append(
            f"The covariance asked for ({structure}) could not be estimated: {no}. "
            f"It was simplified to {next_}: {WORDS[next_]}."
        )
        structure = next_


@dataclass(frozen=True)
class Mmrm:
    """What a trial reports: means and differences between arms at each visit.

    Parameters
    ----------
    arms, visits : tuple of str
        In order; the first arm is the reference.
    means : mapping of (arm, visit) to Contrast
        Adjusted means, covariates at their mean.
    differences : mapping of (arm, visit) to Contrast
        Arm less reference, visit by visit, for every arm but the reference.
    average : mapping of arm to Contrast
        The difference averaged over the visits.
    overall : Joint
        Any difference between any arms at any visit.
    counts : mapping of (arm, visit) to int
        Measurements.
    model : Repeated
        The fit.
    columns : tuple of str
        Names of the coefficients.
    """

    arms: tuple[str, ...]
    visits: tuple[str, ...]
    means: dict[tuple[str, str], Contrast]
    differences: dict[tuple[str, str], Contrast]
    average: dict[str, Contrast]
    overall: Joint
    counts: dict[tuple[str, str], int]
    model: Repeated
    columns: tuple[str, ...]


def mmrm(
    y: NDArray[np.float64],
    arm: Sequence[Hashable] | NDArray[Any],
    *,
    baseline: NDArray[np.float64] | None = None,
    covariates: NDArray[np.float64] | None = None,
    visits: Sequence[str] | None = None,
    reference: Hashable | None = None,
    covariance: str = "unstructured",
    small_sample: SmallSample = "satterthwaite",
    simplify: bool = False,
    interval: float = 0.95,
) -> Mmrm:
    """Compare arms of a trial at each visit (mixed model for repeated measures).

    The mean is free for each arm and visit, the baseline has its own slope at each
    visit, further covariates one slope; the covariance over visits is unstructured
    and the same in all arms.

    Parameters
    ----------
    y : (n, T) float64
        One row a person, one column a visit after baseline; NaN where there is no
        measurement. Persons without any are left out.
    arm : (n,) array
        Arm of each person.
    baseline : (n,) float64, optional
        Measurement before treatment. People without one are refused.
    covariates : (n, c) float64, optional
        Further columns; centred here.
    visits : sequence of str, length T, optional
        Names of the visits; numbers from 1 by default.
    reference : hashable, optional
        Arm the others are compared with; the first in order by default.
    covariance : {"unstructured", "intercept", "slope"}
        Of the visits within a person; ``"slope"`` takes visits as equally spaced.
    small_sample : {"satterthwaite", "kenward-roger"}
        Correction for the estimated covariance, of single effects; all together are always
        tested by Kenward and Roger's F.
    simplify : bool
        Whether a singular covariance may be simplified, by name; else it is refused.
    interval : float
        Coverage of intervals.

    Returns
    -------
    Mmrm
        ``result.differences["iron", "week12"].estimate`` and the like.

    Raises
    ------
    Refused
        One arm only; an arm without measurements at a visit; a missing baseline or
        covariate; a covariance that cannot be estimated.

    References
    ----------
    Mallinckrodt et al. 2008, 10.1177/009286150804200402.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> level = rng.normal(20, 5, 80)
    >>> arm = np.repeat(["placebo", "iron"], 40)
    >>> y = level[:, None] + rng.normal(0, 3, (80, 3)) - 4 * (arm == "iron")[:, None]
    >>> y[::7, 2] = np.nan
    >>> found = mmrm(y, arm, baseline=level + rng.normal(0, 3, 80), reference="placebo")
    >>> found.differences["iron", "3"].p < 0.01
    True
    """
    y = np.asarray(y, float)
    n, many = y.shape
    names = tuple(str(v) for v in (visits if visits is not None else range(1, many + 1)))
    group = np.array([str(a) for a in arm])
    arms = sorted(set(group.tolist()))
    first = str(reference) if reference is not None else arms[0]
    if first not in arms or len(arms) < 2:
        raise Refused(
            "There are no arms to compare." if len(arms) < 2 else "Nobody is in the reference arm.",
            field="arm",
            found=", ".join(arms),
            expected="two or more arms" if len(arms) < 2 else first,
        )
    arms = [first, *(a for a in arms if a != first)]
    extra = np.empty((n, 0)) if covariates is None else np.asarray(covariates, float).reshape(n, -1)
    start = None if baseline is None else np.asarray(baseline, float)
    seen = np.isfinite(y)
    used = np.asarray(seen.any(axis=1), bool)
    _complete("baseline", np.empty((n, 0)) if start is None else start[:, None], used)
    _complete("covariates", extra, used)
    counts = {(a, v): int(seen[group == a, j].sum()) for a in arms for j, v in enumerate(names)}
    empty = [f"{a} at {v}" for (a, v), k in counts.items() if k == 0]
    if empty:
        raise Refused(
            "An arm has no measurement at a visit.",
            field="visits",
            found=", ".join(empty),
            expected="some in every arm at every visit",
            mend="leave the visit out",
        )
    person, visit = np.nonzero(seen)
    cell = np.array([arms.index(a) for a in group])[person] * many + visit
    blocks = [np.eye(len(arms) * many)[cell]]
    columns = [f"{a}, {v}" for a in arms for v in names]
    if start is not None:
        blocks.append(np.eye(many)[visit] * (start - start[used].mean())[person, None])
        columns += [f"baseline, {v}" for v in names]
    if extra.shape[1]:
        blocks.append((extra - extra[used].mean(axis=0))[person])
        columns += [f"covariate {j + 1}" for j in range(extra.shape[1])]
    model = repeated(
        y[seen], np.hstack(blocks), person, visit,
        covariance=covariance, simplify=simplify, visits=range(many),
    )  # fmt: skip
    model = replace(model, names=parameters(model.structure, names))
    eye = np.eye(len(columns))

    def ask(c: NDArray[np.float64]) -> Contrast:
        return model.fit.contrast(c, interval, small_sample)

    at = {(a, v): eye[i * many + j] for i, a in enumerate(arms) for j, v in enumerate(names)}
    gap = {(a, v): at[a, v] - at[first, v] for a in arms[1:] for v in names}
    return Mmrm(
        tuple(arms),
        names,
        {key: ask(c) for key, c in at.items()},
        {key: ask(c) for key, c in gap.items()},
        {a: ask(np.mean([gap[a, v] for v in names], axis=0)) for a in arms[1:]},
        model.fit.joint(np.array(list(gap.values()))),
        counts,
        model,
        tuple(columns),
    )


def _complete(what: str, values: NDArray[np.float64], used: NDArray[np.bool_]) -> None:
    lacking = used & ~np.isfinite(values).all(axis=1)
    if lacking.any():
        raise Refused(
            f"{what} is missing for people who were measured.",
            field=what,
            found=f"{int(lacking.sum())} of {int(used.sum())} people, rows "
            + ", ".join(map(str, np.flatnonzero(lacking)[:10])),
            expected="a number for everybody",
            mend="leave these people out, or complete them",
        )


def _numbered(
    visit: Sequence[Hashable] | NDArray[Any], order: Sequence[Hashable] | None
) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    given = np.asarray(visit)
    levels, which = np.unique(given, return_inverse=True)
    which = which.ravel()
    if order is None:
        return tuple(str(v) for v in levels), which
    place = {str(v): k for k, v in enumerate(order)}
    used = [v for v in map(str, order) if v in {str(level) for level in levels}]
    rank = {v: k for k, v in enumerate(used)}
    missing = [str(v) for v in levels if str(v) not in place]
    if missing:
        raise ValueError(f"visits {missing} are not in the order given")
    return tuple(used), np.array([rank[str(v)] for v in levels])[which]


def _once(who: NDArray[np.intp], which: NDArray[np.intp], labels: tuple[str, ...]) -> None:
    pairs = np.column_stack([who, which])
    if len(np.unique(pairs, axis=0)) < len(pairs):
        raise Refused(
            "A person has two measurements at the same visit.",
            field="session",
            found=f"{len(pairs)} measurements at the visits {', '.join(labels)}",
            expected="one a person and visit",
            mend="choose one by `among`",
        )


def _cannot(
    structure: str,
    who: NDArray[np.intp],
    which: NDArray[np.intp],
    when: NDArray[np.float64],
    labels: tuple[str, ...],
    x: NDArray[np.float64],
) -> str | None:
    """Return why a covariance cannot be told from the data whatever the numbers are."""
    if len(who) <= x.shape[1]:
        return f"{len(who)} measurements for {x.shape[1]} coefficients"
    if structure == "independent":
        return None
    if structure == "unstructured":
        held = np.zeros((int(who.max()) + 1, len(labels)))
        held[who, which] = 1
        together = held.T @ held
        for i, a in enumerate(labels):
            for j, b in enumerate(labels[:i]):
                if together[i, j] < 3:
                    return f"{int(together[i, j])} people were measured at both {b} and {a}"
        return None
    _, counts = np.unique(who, return_counts=True)
    if (counts > 1).sum() < 2:
        return "hardly anybody was measured twice"
    if structure == "slope" and not ((counts > 2).any() and len(np.unique(when)) > 2):
        return "nobody was measured three times"
    return None


def _fit(
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    who: NDArray[np.intp],
    which: NDArray[np.intp],
    when: NDArray[np.float64],
    structure: str,
    visits: int,
) -> Reml:
    n, q = x.shape
    basis, r = np.linalg.qr(x)
    if np.abs(np.diag(r)).min() < 1e-10 * np.abs(np.diag(r)).max():
        raise ValueError("the columns of x are not independent")
    shift = basis.T @ y
    rest = y - basis @ shift
    scale = float(np.sqrt(np.square(rest).sum() / (n - q)))
    if not scale > 1e-12 * float(np.abs(y).max()):
        raise Refused(
            "The model fits without any residual.",
            field="outcome",
            found="residuals of 0",
            expected="measurements that vary within and between people",
        )
    pace = max(float(np.abs(when).max()), 1e-12)
    rows = np.column_stack([basis, rest / scale])
    stack = stacked(rows, who, which, when / pace, structure, visits)
    k = len(stack.bases)
    found = climb(stack, _start(structure, k, visits), n)
    # back to the units of y, x and time
    back = np.linalg.inv(r)
    unit = np.full(k, scale**2)
    if structure == "slope":
        unit[1:3] = unit[1:3] / np.array([pace, pace**2])
    return replace(
        found,
        beta=back @ (shift + scale * found.beta),
        cov=scale**2 * back @ found.cov @ back.T,
        theta=found.theta * unit,
        theta_cov=found.theta_cov * np.outer(unit, unit),
        expected_cov=found.expected_cov * np.outer(unit, unit),
        slopes=scale**2 * (back @ found.slopes @ back.T) / unit[:, None, None],
        adjusted=scale**2 * back @ found.adjusted @ back.T,
        loglik=found.loglik
        - (n - q) * float(np.log(scale))
        - float(np.log(np.abs(np.diag(r))).sum()),
    )


def _start(structure: str, k: int, visits: int) -> NDArray[np.float64]:
    """Return half the variance between persons and half within, in units of the residuals."""
    if structure == "unstructured":
        return np.array([1.0 if i == j else 0.5 for i in range(visits) for j in range(i + 1)])
    return {
        "independent": np.array([1.0]),
        "intercept": np.array([0.5, 0.5]),
        "slope": np.array([0.5, 0.0, 0.1, 0.4]),
    }[structure]


def _singular(fit: Reml, structure: str) -> str | None:
    """Return why a fit is not to be used, None when it is."""
    if not fit.converged:
        return fit.why
    part = random_part(structure, fit.theta)
    if part is None:
        return None
    size = np.sqrt(np.abs(np.diag(part)))
    if structure == "slope":
        if part[1, 1] <= 0:
            return "the variance of the slopes between persons is estimated at 0 or below"
        if part[0, 0] <= 0:
            return "the variance of the levels between persons is estimated at 0 or below"
        if abs(part[0, 1]) >= (1 - 1e-6) * size[0] * size[1]:
            return "level and slope of a person would be perfectly correlated"
        return None
    return None if part[0, 0] > 0 else (
        "the variance between persons is estimated at 0 or below"
    )  # fmt: skip
