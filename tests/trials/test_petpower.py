"""Power of a planned PET study: closed forms, and studies made person by person."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

from ekbom.cli import app
from ekbom.errors import Refused
from ekbom.inference.power import power_of_t
from ekbom.trials.petpower import plan, row
from ekbom.trials.petstudy import (
    PetStudy,
    ball,
    correlation,
    draw,
    exact_power,
    least_correlation,
)

ONE = PetStudy(15, -0.5, 1, 1, correction="none")


def density(r, rho, n):
    """Of the sample correlation of bivariate normal data (Hotelling 1953)."""
    log = (
        math.log(n - 2) + special.gammaln(n - 1) + (n - 1) / 2 * math.log(1 - rho**2)
        + (n - 4) / 2 * math.log(1 - r**2) - 0.5 * math.log(2 * math.pi)
        - special.gammaln(n - 0.5) - (n - 1.5) * math.log(1 - rho * r)
    )  # fmt: skip
    return math.exp(log) * special.hyp2f1(0.5, 0.5, n - 0.5, (rho * r + 1) / 2)


@pytest.mark.parametrize(("n", "rho"), [(5, 0.3), (15, 0.5), (15, -0.76), (40, -0.2)])
def test_power_is_the_integral_of_the_density_of_r(n, rho):
    least = least_correlation(n, 0.05)
    low, high = (-1, -least) if rho < 0 else (least, 1)
    expected = integrate.quad(lambda r: density(r, rho, n), low, high, epsabs=1e-10)[0]
    assert exact_power(PetStudy(n, rho, 1, 1, correction="none")) == pytest.approx(
        expected, abs=1e-5
    )


@pytest.mark.parametrize(("rho", "n"), [(0.5, 29), (0.3, 84)])
def test_sample_sizes_are_those_of_the_bivariate_normal_tables(rho, n):
    # G*Power, exact family, bivariate normal model, two-sided .05, power .8
    power = [exact_power(PetStudy(m, rho, 1, 1, correction="none")) for m in (n - 1, n)]
    assert power[0] < 0.8 <= power[1]


@pytest.mark.parametrize("correction", ["none", "bonferroni", "field"])
@pytest.mark.parametrize("covariates", [0, 2])
def test_drawn_studies_have_the_power_of_the_closed_form(correction, covariates):
    study = PetStudy(20, -0.8, 6, 6, 0.3, covariates, correction=correction, volume_cm3=10)
    found = row(study, 20_000, 3)
    assert abs(found["each"] - found["each_exact"]) < 4 * found["each_se"]


def by_person(study, studies, seed):
    """Scores and values of every person, tested by pearsonr's own formula."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((studies, study.n, 1))
    common = rng.standard_normal((studies, study.n, 1))
    e = math.sqrt(study.shared) * common + math.sqrt(1 - study.shared) * rng.standard_normal(
        (studies, study.n, study.regions)
    )
    y = e * math.sqrt(1 - study.r**2)
    y[..., : study.affected] += study.r * x
    x, y = (v - v.mean(axis=1, keepdims=True) for v in (x, y))
    return (x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))


def test_sufficient_statistics_are_distributed_as_those_of_people():
    study = PetStudy(9, -0.6, 3, 2, 0.5)
    ours, theirs = draw(study, 6000, 1).r, by_person(study, 6000, 2)
    for j in range(3):
        assert stats.ks_2samp(ours[:, j], theirs[:, j]).pvalue > 1e-3
    # regions go together as much, and so do their sizes
    for change in (lambda r: r, np.abs):
        a, b = (np.corrcoef(change(v).T)[np.triu_indices(3, 1)] for v in (ours, theirs))
        apart = (np.arctanh(a) - np.arctanh(b)) * math.sqrt(6000 / 2)
        assert np.abs(apart).max() < 4


def test_any_of_independent_regions_is_the_product_over_them():
    study = PetStudy(15, -0.5, 4, 4, 0.0, correction="bonferroni")
    node, weight = np.polynomial.legendre.leggauss(64)
    spread = stats.chi2.ppf((node + 1) / 2, 14)
    each = np.array([
        power_of_t(study.delta * math.sqrt(q), 13, study.critical(), "negative") for q in spread
    ])  # fmt: skip
    found = row(study, 20_000, 5)
    for name, values in (("any", 1 - (1 - each) ** 4), ("all", each**4)):
        assert abs(found[name] - weight @ values / 2) < 4 * found[f"{name}_se"]


@pytest.mark.parametrize("correction", ["bonferroni", "holm", "max-t"])
def test_without_an_effect_the_family_keeps_its_level(correction):
    found = row(PetStudy(15, -0.5, 6, 0, 0.3, correction=correction), 20_000, 7)
    high = stats.binom.ppf(0.9995, 20_000, 0.05) / 20_000
    assert found["false"] <= high
    if correction == "max-t":  # exact, and not only safe; its threshold is drawn too
        assert found["false"] == pytest.approx(0.05, abs=0.01)


def test_small_studies_exaggerate_and_err_in_sign_more():
    small, large = (row(replace(ONE, n=n, r=-0.3), 20_000, 1) for n in (8, 80))
    assert small["inflation"] > 2 > 1.2 > large["inflation"]
    assert small["wrong_sign"] > 0.01 > large["wrong_sign"]


@settings(max_examples=15, deadline=None)
@given(
    slope=st.floats(0.002, 0.03), specific=st.floats(0.5, 1.0), sd=st.floats(3, 10),
    share=st.floats(0.0, 0.8), cv=st.floats(0.05, 0.15), error=st.floats(0.0, 0.08),
)  # fmt: skip
def test_the_correlation_of_a_slope_is_that_of_people(slope, specific, sd, share, cv, error):
    rng = np.random.default_rng(1)
    n = 40_000
    true = sd * math.sqrt(1 - share**2) * rng.standard_normal(n)
    score = true + share * sd * rng.standard_normal(n)
    bound = specific * (1 - slope * true + cv * rng.standard_normal(n))
    value = 1 - specific + bound + error * rng.standard_normal(n)
    expected = correlation(
        slope, specific=specific, score_sd=sd, score_error=share * sd, cv=cv, error=error
    )
    assert np.corrcoef(score, value)[0, 1] == pytest.approx(expected, abs=0.02)


def test_resels_of_a_ball_are_those_of_its_radius():
    q = 50.0 / 8.0
    volume = 4 / 3 * math.pi * 50**3 / 1000
    np.testing.assert_allclose(
        ball(volume, 8.0), [1, 4 * q, 2 * math.pi * q**2, 4 / 3 * math.pi * q**3]
    )


def test_the_plan_holds_what_it_promises():
    study = PetStudy(15, -0.5, correction="bonferroni")
    done = plan(study, studies=4000, seed=2)
    exact = next(n for n in range(5, 200) if exact_power(replace(study, n=n)) >= 0.8)
    assert done.n_low <= exact <= done.n_high
    assert exact_power(replace(study, r=-done.detectable)) == pytest.approx(0.8, abs=0.02)
    assert list(done.curve["n"]) == sorted(done.curve["n"])
    assert (done.curve["wanted"] == "yes").sum() == 1


def test_a_hopeless_study_says_so():
    done = plan(PetStudy(15, -0.01), studies=200)
    assert done.n is None
    assert (done.curve["wanted"] == "no").all()


@pytest.mark.parametrize(
    ("change", "field"),
    [({"n": 3}, "n"), ({"r": 1.0}, "r"), ({"affected": 9}, "affected"), ({"shared": 2}, "shared"),
     ({"alpha": 0.7}, "alpha"), ({"n": 6, "correction": "field"}, "n"),
     ({"regions": 0}, "regions")],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(change, field):
    with pytest.raises(Refused) as no:
        replace(PetStudy(15, -0.5), **change)
    assert no.value.field == field


def test_the_command_writes_curve_and_page_and_repeats_them(tmp_path, capsys):
    def files(where):
        code = app.call(
            [
                "power",
                "pet",
                "--out",
                str(where),
                "--studies",
                "500",
                "--sizes",
                "10,20",
                "--lost",
                "0.1",
            ]
        )
        assert code == 0
        return {p.name: p.read_bytes() for p in where.iterdir()}

    first = files(tmp_path / "a")
    said = capsys.readouterr().out
    assert "true r -0.70" in said
    assert "winner's curse" in said
    assert "to recruit" in said
    assert first == files(tmp_path / "b")
    assert set(first) == {"power.tsv", "power.json", "power.html"}
    assert json.loads(first["power.json"])["Study"]["n"] == 15
    assert b"<svg" in first["power.html"]


@pytest.mark.parametrize(
    ("args", "says"),
    [(["--r", "2"], "between -1 and 1"), (["--sizes", "a"], "whole"), (["--lost", "1"], "lost"),
     (["--tracer", "raclopride"], "--specific"), (["--cv", "0", "--error", "0"], "above 0"),
     (["--slope", "-5"], "between 0 and 1")],
)  # fmt: skip
def test_the_command_refuses(args, says, tmp_path, capsys):
    assert app.call(["power", "pet", "--out", str(tmp_path), *args]) == 2
    assert says in " ".join(capsys.readouterr().err.split())
