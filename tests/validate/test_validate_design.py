"""The report on designs: closed forms against lattices, and a small run of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from ekbom.cli import app
from ekbom.trials.petstudy import PetStudy, exact_power
from ekbom.validate import designmaps
from ekbom.validate.design import _curse_of_d, _curse_of_r, density_of_r, detectable_r, share


@pytest.mark.parametrize("fwhm", [6.0, 10.0, 13.4])
def test_the_middle_of_a_ball_is_that_of_the_lattice(fwhm):
    middle = (designmaps._EDGE // 2,) * 3
    assert designmaps._blob(fwhm)[middle] == pytest.approx(
        designmaps.seen(designmaps.RADIUS, fwhm), abs=0.01
    )


@pytest.mark.parametrize("filter_mm", designmaps.FILTERS)
def test_smoothed_noise_has_the_variance_of_the_lattice(filter_mm):
    total = designmaps._variance(math.hypot(designmaps.SCANNER, filter_mm))
    narrow = total / designmaps._variance(designmaps.SCANNER)
    expected = math.sqrt(designmaps.WIDE + (1 - designmaps.WIDE) * narrow)
    assert designmaps.noise_sd(filter_mm) == pytest.approx(expected, rel=2e-3)


def test_the_density_of_r_is_one_and_without_correlation_that_of_t():
    assert integrate.quad(lambda r: density_of_r(r, -0.6, 9), -1, 1)[0] == pytest.approx(
        1, abs=1e-7
    )
    r, df = 0.4, 7
    t = r * math.sqrt(df / (1 - r * r))
    expected = stats.t.pdf(t, df) * math.sqrt(df) / (1 - r * r) ** 1.5
    assert density_of_r(r, 0.0, 9) == pytest.approx(expected, rel=1e-9)


def test_the_curse_vanishes_where_everything_is_found():
    _, mean, wrong = _curse_of_r(0.9, 200, 0.1)
    assert mean == pytest.approx(0.9, abs=2e-3)
    assert wrong < 1e-12
    power, mean, _ = _curse_of_d(3.0, 60, 60, 2.0)
    assert power == pytest.approx(1.0)
    # the expectation of t exceeds its noncentrality by the factor of Hedges' J
    assert mean == pytest.approx(3.0 / (1 - 3 / (4 * 118 - 1)), rel=1e-4)


def test_the_detectable_correlation_has_the_power():
    study = PetStudy(15, -0.1, 1, 1, correction="none")
    found = detectable_r(study)
    assert exact_power(PetStudy(15, -found, 1, 1, correction="none")) == pytest.approx(
        0.8, abs=1e-3
    )


def test_a_wrong_closed_form_is_noticed():
    assert share("x", 500, 1000, 0.5).passed
    assert not share("x", 500, 1000, 0.6).passed


def test_the_report_passes_its_gates(tmp_path, monkeypatch, capsys):
    from ekbom.validate import design

    monkeypatch.setattr(design, "PATIENTS", (15,))
    monkeypatch.setattr(designmaps, "_PATIENTS", (15,))
    small = design.validate_design
    monkeypatch.setattr(
        design, "validate_design", lambda **k: small(**{**k, "studies": 500, "maps": 25})
    )
    assert app.call(["validate", "design", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "power at d 0.8, one two-sided test at .05: 0.5104" in said
    assert "significant at two-sided .001: 0.7604" in said
    rows = (tmp_path / "validate-design.tsv").read_text().splitlines()
    assert any("findings with the wrong sign" in row for row in rows)
    assert any("filter 8 mm, whole brain" in row for row in rows)
    assert np.char.find(np.array(rows), "FAILED").max() < 0
