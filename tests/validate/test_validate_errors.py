"""Monte-Carlo errors against simulation and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ekbom.validate.errors import binomial_error, f1_error, mean_words, median_error
from ekbom.validate.result import Check, as_frame


def test_a_count_of_studies_has_the_error_of_a_binomial():
    check = Check("errors", 50, 1000, "null studies")
    assert check.error == pytest.approx(math.sqrt(1000 * 0.05 * 0.95), rel=0.05)
    assert as_frame([check])["se"][0] == check.error
    assert Check("errors", 0, 1000, "null studies").error > 0
    assert Check("given", 50, 1000, "null studies", se=1.0).error == 1.0
    assert math.isnan(Check("draws", 50.0, 1000, "draws").error)
    assert 1000 * binomial_error(0.05, 1000) == pytest.approx(check.error)


def test_the_error_of_f1_is_its_spread_over_studies():
    rng = np.random.default_rng(1)
    found, said = [], []
    for _ in range(400):
        p = rng.beta(40, 2, 12)  # recordings differ
        hits = rng.binomial(200, p)
        wrong = 200 - hits
        found.append(2 * hits.sum() / (2 * hits.sum() + wrong.sum()))
        said.append(f1_error(hits, wrong))
    assert np.mean(said) == pytest.approx(np.std(found), rel=0.12)
    assert math.isnan(f1_error([5], [1]))


def test_the_error_of_a_median_is_its_spread_over_studies():
    rng = np.random.default_rng(2)
    draws = rng.laplace(size=(300, 150))
    said = [median_error(row, seed=k) for k, row in enumerate(draws[:60])]
    assert np.mean(said) == pytest.approx(np.median(np.abs(draws), axis=1).std(), rel=0.15)
    assert math.isnan(median_error([1.0]))


def test_words_of_a_mean():
    assert mean_words([1.0, 3.0]) == "mean +2.00, standard error 1.00"
    assert mean_words([]) == "none"
