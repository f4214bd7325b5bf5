"""Random fields against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage, stats

from ekbom.inference.fields import ec_density
from ekbom.inference.rft import RandomField
from ekbom.inference.smoothness import resels, smoothness

BRAIN = np.array([1.0, 50.0, 500.0, 1300.0])
VOXELS = 235_375
L = 4 * np.log(2)


@pytest.mark.parametrize(
    ("kind", "u", "df", "truth"),
    [
        ("Z", 3, (), (0.00134990, 0.00294400, 0.00586694, 0.01039282)),
        ("T", 4, (12,), (0.00088085, 0.00250836, 0.00652779, 0.01512721)),
        ("F", 8, (3, 20), (0.00106663, 0.00322898, 0.00899394, 0.02251750)),
        ("X", 15, (3,), (0.00181665, 0.00439720, 0.00980451, 0.01966226)),
    ],
)
def test_densities_by_hand(kind, u, df, truth):
    np.testing.assert_allclose(ec_density(kind, u, *df), truth, atol=1.1e-8)


def test_densities_of_one_field_from_another():
    t = np.linspace(1.5, 8, 14)
    for v in (7.0, 12.0, 40.0):
        np.testing.assert_allclose(
            ec_density("F", t**2, 1, v), 2 * ec_density("T", t, v), rtol=1e-10
        )
    np.testing.assert_allclose(ec_density("X", t**2, 1), 2 * ec_density("Z", t), rtol=1e-10)
    np.testing.assert_allclose(ec_density("T", t, 1e7), ec_density("Z", t), rtol=3e-4)
    for k in (2.0, 5.0):
        np.testing.assert_allclose(
            ec_density("F", 25 / k, k, 1e7), ec_density("X", 25.0, k), rtol=1e-4
        )


def test_gaussian_densities_are_hermite():
    z = np.linspace(0.5, 5, 10)
    for d, he in ((1, [1]), (2, [0, 1]), (3, [-1, 0, 1])):
        value = np.polynomial.hermite_e.hermeval(z, [0] * (d - 1) + [1])
        assert np.polynomial.hermite_e.herme2poly([0] * (d - 1) + [1]) == pytest.approx(he)
        truth = L ** (d / 2) * (2 * np.pi) ** (-(d + 1) / 2) * value * np.exp(-(z**2) / 2)
        np.testing.assert_allclose(ec_density("Z", z)[d], truth, rtol=1e-12)


@pytest.mark.parametrize(
    ("df", "field", "bonferroni"),
    [(12, 10.39, 9.84), (25, 6.46, 6.77), (100, 5.07, 5.41), (None, 4.74, 5.06)],
)
def test_thresholds_of_a_brain_and_which_rule_won(df, field, bonferroni):
    kind, args = ("Z", ()) if df is None else ("T", (float(df),))
    space = RandomField(kind, args, BRAIN, VOXELS)
    least, rule, by_field, by_count = space.threshold(0.05)
    # the printed table takes p for the expected number itself, 2.5 % more than 1 - exp(-it)
    assert float(space.expected(field)) == pytest.approx(0.05, rel=0.03)
    assert -np.expm1(-float(space.expected(by_field))) == pytest.approx(0.05, rel=1e-8)
    assert by_field == pytest.approx(field, abs=0.035)
    assert by_count == pytest.approx(bonferroni, abs=0.006)
    assert rule == ("Bonferroni" if df == 12 else "RF")
    assert least == min(by_field, by_count)
    p, said = space.p_peak(least)
    assert said == rule
    assert p == pytest.approx(0.05, rel=1e-6)


def test_partial_correlation_at_the_threshold_of_fifteen_people():
    assert 9.84 / np.sqrt(9.84**2 + 12) == pytest.approx(0.943, abs=5e-4)


def test_p_of_peaks_falls_and_two_tails_double():
    space = RandomField("T", (25.0,), BRAIN, VOXELS)
    both = RandomField("T", (25.0,), BRAIN, VOXELS, tails=2)
    p = [space.p_peak(u)[0] for u in np.linspace(0, 15, 151)]
    assert (np.diff(p) <= 1e-15).all()
    assert p[0] == 1.0
    assert float(both.expected(7)) == pytest.approx(2 * float(space.expected(7)))
    assert both.threshold()[0] > space.threshold()[0]
    f = RandomField("F", (3.0, 20.0), BRAIN, VOXELS)
    p = [f.p_peak(u)[0] for u in np.linspace(0.1, 80, 151)]
    assert (np.diff(p) <= 1e-15).all()
    # F(1, v) and two-sided T are one field
    square = RandomField("F", (1.0, 25.0), BRAIN, VOXELS)
    assert square.p_peak(49.0)[0] == pytest.approx(both.p_peak(7.0)[0], rel=1e-9)
    assert square.threshold()[0] == pytest.approx(both.threshold()[0] ** 2, rel=1e-6)


def test_cluster_and_set():
    space = RandomField("Z", (), BRAIN, VOXELS)
    u = 3.1
    rho = ec_density("Z", u)
    eta = BRAIN[3] * rho[0] / (BRAIN[3] * rho[3])
    # the mean extent is that of the tail probability shared out over the clusters
    k = np.linspace(0, 60 * eta, 400_001)
    tail = np.exp(-((stats.gamma(2.5).pdf(1) * 0 + 1.329340388179137 / eta * k) ** (2 / 3)))
    assert np.trapezoid(tail, k) == pytest.approx(eta, rel=1e-3)
    assert space.p_extent(2.0, u) == pytest.approx(
        float(np.exp(-((1.329340388179137 / eta * 2) ** (2 / 3)))), rel=1e-12
    )
    mean = float(BRAIN @ rho)
    assert space.p_cluster(0.0, u) == pytest.approx(1 - np.exp(-mean))
    assert space.p_set(1, 0.5, u) == pytest.approx(space.p_cluster(0.5, u))
    assert space.p_set(3, 0.5, u) < space.p_set(2, 0.5, u)
    assert np.isnan(RandomField("F", (3.0, 20.0), BRAIN, VOXELS).p_extent(1.0, 9.0))
    np.testing.assert_allclose(space.p_height([u, 6.0], u)[0], 1.0)


def test_resels_of_boxes_balls_and_holes():
    fwhm = (2.0, 3.0, 4.0)
    box = np.zeros((9, 10, 11), bool)
    box[1:8, 2:9, 1:10] = True
    a, b, c = 6 / 2, 6 / 3, 8 / 4
    np.testing.assert_allclose(resels(box, fwhm), [1, a + b + c, a * b + b * c + a * c, a * b * c])
    # steps keep volume and topology of a ball; lines and faces count as those of a box
    x = np.indices((113, 113, 113)) - 56
    ball = (x**2).sum(axis=0) <= 55**2
    radius = 55 / 5
    np.testing.assert_allclose(
        resels(ball, (5.0, 5.0, 5.0))[[0, 3]], [1, 4 / 3 * np.pi * radius**3], rtol=0.05
    )
    hollow = np.ones((5, 5, 5), bool)
    hollow[1:4, 1:4, 1:4] = False
    assert resels(hollow, fwhm)[0] == 2
    ring = np.ones((5, 5, 1), bool)
    ring[2, 2] = False
    assert resels(ring, fwhm)[0] == 0


@pytest.mark.parametrize(("width", "seen"), [(2, 2.18), (3, 3.12), (4, 4.09), (5, 5.07)])
def test_smoothness_of_filtered_noise(width, seen):
    """Differences of a lattice see the autocorrelation exp(-1 / 4 s^2) of the next voxel."""
    rng = np.random.default_rng(width)
    s = width / np.sqrt(8 * np.log(2))
    n, shape = 40, (26, 24, 22)
    wide = tuple(k + 24 for k in shape)
    noise = np.stack(
        [ndimage.gaussian_filter(rng.standard_normal(wide), s, truncate=6) for _ in range(n)]
    )[:, 12:-12, 12:-12, 12:-12]
    mask = np.ones(shape, bool)
    e = noise[:, mask] - noise[:, mask].mean(axis=0)
    got = smoothness(e, mask, np.diag([2.0, 2, 2, 1]), n - 1)
    np.testing.assert_allclose(got.fwhm_vox, seen, rtol=0.03)
    assert np.prod(1 / np.array(got.fwhm_vox)) == pytest.approx(got.rpv.mean(), rel=0.02)
    assert np.array(got.fwhm_mm) == pytest.approx(2 * np.array(got.fwhm_vox))
    spm = smoothness(e, mask, np.eye(4), n - 1, "spm")
    ratio = np.array(got.fwhm_vox) / np.array(spm.fwhm_vox)
    np.testing.assert_allclose(ratio, np.sqrt((n - 2) / (n - 3)), rtol=1e-9)


def test_offsets_between_people_inflate_the_width():
    rng = np.random.default_rng(9)
    noise = np.stack(
        [ndimage.gaussian_filter(rng.standard_normal((18,) * 3), 1.3) for _ in range(20)]
    )
    mask = np.ones((18,) * 3, bool)
    noise = noise[:, mask] / noise.std()
    plain = noise - noise.mean(axis=0)
    moved = plain + 0.5 * rng.standard_normal((20, 1))
    moved -= moved.mean(axis=0)
    width = [
        np.mean(smoothness(e, mask, np.eye(4), 19).fwhm_vox)
        for e in (plain, moved, moved - moved.mean(axis=1, keepdims=True))
    ]
    assert width[1] > 1.05 * width[0]
    assert width[2] == pytest.approx(width[0], rel=0.02)


def test_a_flat_mask_has_no_field():
    assert smoothness(np.ones((5, 16)), np.ones((4, 4, 1), bool), np.eye(4), 4) is None


@pytest.mark.parametrize("df", [8.0, 12.0, 25.0, 200.0])
@pytest.mark.parametrize("tails", [1, 2])
def test_threshold_and_p_of_a_peak_agree(df, tails):
    field = RandomField("T", (df,), np.array([1.0, 50.0, 500.0, 1300.0]), 235_375, tails)
    limit, rule, by_field, by_count = field.threshold(0.05)
    assert limit == min(by_field, by_count)
    p, which = field.p_peak(limit)
    assert (p, which) == (pytest.approx(0.05, rel=1e-6), rule)
