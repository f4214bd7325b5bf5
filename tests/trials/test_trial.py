"""In-silico trials: errors, power and sizes against closed forms; the model's own trials."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ekbom.cli.app import call
from ekbom.errors import Refused
from ekbom.inference.longitudinal import repeated
from ekbom.trials.augmentation import onset_hour, run_augmentation
from ekbom.trials.columns import augmentation_chance, value
from ekbom.trials.power import false_positives, many, plan, sample_size, share_found
from ekbom.trials.responses import Responses, Visit, respond
from ekbom.trials.trial import analyse_trial, conduct, odds_ratio, parts, truth_of
from ekbom.trials.trialdesign import parse_trial, ready_designs, ready_text
from ekbom.virtual.patients import Pool

P = 4000
CUT = -2.0


def made(design, shift, *, spread=0.5, sequences=False):
    """A pool whose log urge falls by `shift` in the first arm other than the reference."""
    rng = np.random.default_rng(0)
    z = CUT + np.abs(rng.normal(0, spread, P))
    nights = rng.gamma(2.0, 8.0, (P, 1)) * rng.lognormal(0, 0.3, (P, 3))
    pool = Pool(None, {"z": z}, np.ones(P, bool), CUT)

    def visit(drop):
        return Visit({"z": z - drop}, plms=nights * math.exp(-drop))

    start = Visit({"z": z}, plms=nights)
    if sequences:
        a, b = design.names
        both = {
            (f"{a}>{b}", 1): visit(0), (f"{a}>{b}", 2): visit(shift),
            (f"{b}>{a}", 1): visit(shift), (f"{b}>{a}", 2): visit(0),
        }  # fmt: skip
        return Responses(pool, start, {}, both)
    arms = {
        (name, week): visit(shift if k else 0.0)
        for k, name in enumerate(design.names)
        for week in design.visits
    }
    return Responses(pool, start, arms, {})


def design(name="oxycodone", **changes):
    return parse_trial(ready_text(name), name, changes)


@pytest.mark.parametrize("analysis", ["ancova", "mmrm"])
def test_without_an_effect_one_trial_in_twenty_finds_one(analysis):
    asked = design(
        n=60, endpoints=["irls_change", "responder", "plms"], analysis=analysis, findings={}
    )
    trials = 1000 if analysis == "ancova" else 300
    found = false_positives(asked, made(asked, 0.5), trials=trials, seed=4)
    assert (found["of"] == trials).all()
    if trials == 1000:
        assert set(zip(found["lower"], found["upper"], strict=True)) == {(29, 74)}
    assert set(found["inside"]) == {"yes"}, found


def test_a_crossover_without_an_effect():
    asked = design("crossover", n=40)
    found = made(asked, 0.0, sequences=True)
    got = false_positives(asked, found, trials=1000, seed=5)
    assert set(got["inside"]) == {"yes"}, got


def test_estimates_are_without_bias_and_intervals_cover():
    asked = design(n=120, endpoints=["plms", "irls_change"], dropout=0.2, findings={})
    found = made(asked, 0.4)
    results = many(asked, found, 400, seed=6)
    for endpoint in asked.endpoints:
        true = truth_of(asked, found, endpoint)
        got = results[endpoint, 1]
        x = np.array([r.estimate for r in got])
        assert x.mean() == pytest.approx(true, abs=4 * x.std() / 20 + 0.02 * abs(true))
        cover = np.mean([(r.lower <= true) & (true <= r.upper) for r in got])
        assert 0.91 < cover < 0.985


def test_people_with_few_movements_are_not_taken_and_the_baseline_is_another_night():
    asked = design(n=2000, irls_least=0, plms_least=20, endpoints=["irls_change"], findings={})
    assert asked.nights == {"plms"}
    found = made(asked, 0.3)
    nights = found.start.plms
    share = (nights >= 20).mean(axis=1)  # chance of each patient to be taken
    one = conduct(asked, found, np.random.default_rng(3))
    taken = np.bincount(one.person, minlength=share.size)
    assert not taken[share == 0].any()
    got = np.average(share, weights=taken)
    assert got == pytest.approx((share**2).sum() / share.sum(), abs=0.02)
    with_movements = design(n=2000, irls_least=0, plms_least=20, findings={}, endpoints=["plms"])
    again = conduct(with_movements, found, np.random.default_rng(3)).values["plms"][:, 0]
    assert again.min() < 20 < again.mean()
    with pytest.raises(Refused, match="plms_least"):
        conduct(asked.model_copy(update={"plms_least": 99.9}), found, np.random.default_rng(3))


def test_sample_size_is_that_of_the_closed_form():
    asked = design(n=80, endpoints=["vas"], dropout=0.0, irls_least=0, findings={})
    found = made(asked, 0.35)
    curve = sample_size(asked, found, seed=7, power=0.8, trials=300)
    size = int(curve.loc[curve["wanted"] == "yes", "n"].iloc[0])
    one = conduct(asked, found, np.random.default_rng(1), 20_000)
    x = one.values["vas"]
    treated = one.arm == 1
    r = np.corrcoef(x[~treated, 0], x[~treated, -1])[0, 1]
    change = x[:, -1] - x[:, 0]
    sd = x[~treated, -1].std() * math.sqrt(1 - r**2)
    effect = change[treated].mean() - change[~treated].mean()
    want = 4 * (sd / effect) ** 2 * (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) ** 2
    assert size == pytest.approx(want, rel=0.25)
    assert curve["n"].is_monotonic_increasing
    assert (curve["wanted"] == "yes").sum() == 1


def test_a_power_that_is_never_reached_is_said_so():
    asked = design(n=20, endpoints=["vas"], findings={})
    curve = sample_size(asked, made(asked, 0.0), seed=8, trials=40, largest=40)
    assert set(curve["wanted"]) == {"no"}
    assert curve["n"].max() == 40


def test_the_same_seed_gives_the_same_trial_and_more_trials_the_same_first_ones():
    asked = design(n=30, findings={})
    found = made(asked, 0.3)
    a, b = (conduct(asked, found, np.random.default_rng([3, 1])) for _ in range(2))
    assert all(np.array_equal(a.values[k], b.values[k], equal_nan=True) for k in a.values)
    few, more = (many(asked, found, k, seed=3) for k in (5, 9))
    for key, got in few.items():
        assert got == more[key][:5]


def test_people_leave_for_good_and_in_the_share_asked_for():
    asked = design(n=4000, dropout=0.3, findings={})
    one = conduct(asked, made(asked, 0.3), np.random.default_rng(2))
    gone = np.isnan(one.values["irls"])
    assert not gone[:, 0].any()
    assert gone[:, -1].mean() == pytest.approx(0.3, abs=0.03)
    assert (np.diff(gone.astype(int), axis=1) >= 0).all()


def test_selection_expectancy_and_drug_add_up():
    asked = design(findings={})
    table = parts(asked, made(asked, 0.5)).set_index("part")["points"]
    assert table["whole change"] == pytest.approx(table.iloc[:3].sum())
    assert (table < -0.5).all()  # each makes people better
    fresh = parts(design(findings={}, baseline="fresh"), made(asked, 0.5)).set_index("part")
    assert abs(fresh.loc["regression to the mean", "points"]) < 0.2
    none = parts(asked, made(asked, 0.0)).set_index("part")["points"]
    assert abs(none["drug"]) < 0.2


def test_odds_ratio_by_hand():
    hit = np.array([True] * 30 + [False] * 20 + [True] * 15 + [False] * 35)
    treated = np.arange(100) < 50
    got = odds_ratio(hit, treated)
    assert got.estimate == pytest.approx(30.5 * 35.5 / (20.5 * 15.5))
    assert got.lower < got.estimate < got.upper
    assert got.p == pytest.approx(
        stats.chi2.sf((30 * 35 - 20 * 15) ** 2 * 99 / (50 * 50 * 45 * 55), 1)
    )
    assert math.isnan(odds_ratio(np.zeros(3, bool), np.ones(3, bool)).p)
    assert odds_ratio(np.zeros(8, bool), np.arange(8) < 4).p == 1


def test_the_crossover_is_the_mixed_model_with_period_and_carry_over():
    asked = design("crossover", n=40, dropout=0.0)
    one = conduct(asked, made(asked, 0.4, sequences=True), np.random.default_rng(3))
    got = analyse_trial(asked, one, "irls_change")
    y = one.values["irls"][:, 1:]
    first = one.arm == 1  # the treatment comes first
    treatment = np.column_stack([first, ~first]).astype(float)
    period = np.tile([0.0, 1.0], (len(y), 1))
    sequence = np.repeat(first[:, None].astype(float), 2, axis=1)
    x = np.column_stack([np.ones(y.size), treatment.ravel(), period.ravel(), sequence.ravel()])
    who = np.repeat(np.arange(len(y)), 2)
    fit = repeated(y.ravel(), x, who, np.tile([0, 1], len(y)), covariance="intercept").fit
    c = fit.contrast(np.array([0.0, 1, 0, 0]))
    assert c.estimate == pytest.approx(got.estimate)
    assert c.p == pytest.approx(got.p, rel=1e-3)


def test_plan_holds_a_design_to_print():
    asked = design(n=100, endpoints=["irls_change", "responder"])
    done = plan(asked, made(asked, 0.6), replicates=60, seed=1, search=30)
    row = done.table.set_index("endpoint").loc["irls_change"]
    assert row["finding"] == "TX15"
    assert row["printed"] == -8.15
    assert row["power_lower"] <= row["power"] <= row["power_upper"]
    assert row["q05"] < row["true"] < row["q95"]
    assert done.first.iloc[0]["lower"] < done.first.iloc[0]["upper"]
    with pytest.raises(Refused, match="no such finding"):
        plan(design(findings={"irls_change": "XX1"}), made(asked, 0.6), replicates=20)
    with pytest.raises(Refused, match="power"):
        plan(asked, made(asked, 0.6), power=1.5)
    assert share_found([])[0] != share_found([])[0]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"reference": "nobody"}, "one of the arms"),
        ({"visits": [4, 8]}, "end of treatment"),
        ({"visits": [8, 4, 12]}, "rise"),
        ({"endpoints": ["pain"]}, "irls_change"),
        ({"analysis": "crossover"}, "crossover"),
        ({"design": "crossover", "analysis": "crossover"}, "not analysed"),
        ({"allocation": [1]}, "share an arm"),
        ({"n": 2}, "8"),
        ({"colour": 1}, "xtra"),
    ],
)
def test_designs_that_do_not_hold_together(change, word):
    with pytest.raises(Refused, match="hold together") as no:
        design(**change)
    assert word in str(no.value.expected)


def test_doses_are_read_and_infusions_may_be_on_a_day():
    for name in ready_designs():
        design(name)
    arms = {"placebo": {}, "iron": {"dose": ["iv iron 750 mg 10:00", "iv iron 750 mg 10:00 day 5"]}}
    daily, once = design(arms=arms, findings={}).arms["iron"].events()
    assert not daily
    assert [(e.time, e.amount) for e in once] == [(10.0, 750.0), (130.0, 750.0)]
    with pytest.raises(Refused, match="unit"):
        design(arms={"placebo": {}, "a": {"dose": ["levodopa 100 21:00"]}})
    with pytest.raises(Refused, match="Only an infusion"):
        design(arms={"placebo": {}, "a": {"dose": ["levodopa 100 mg 21:00 day 2"]}})
    with pytest.raises(Refused, match="not TOML"):
        parse_trial("a = [", "x")


@pytest.fixture(scope="module")
def short():
    """Two weeks of oxycodone, few patients of the disease model."""
    asked = design(n=40, weeks=2, visits=[1, 2], findings={}, dropout=0.0)
    return asked, respond(asked, people=24, seed=3)


def test_the_disease_model_under_treatment(short):
    asked, found = short
    treated, placebo = (found.arms[a, 2] for a in ("oxycodone", "placebo"))
    assert (treated.table["z"] < placebo.table["z"]).mean() > 0.9
    # nothing happens under placebo but the change from the averaged to the real clock;
    # expectancy is a matter of what people say
    assert np.allclose(placebo.table["z"], found.start.table["z"], atol=0.05)
    assert treated.plms.shape == (24, 3)
    assert parts(asked, found).set_index("part").loc["drug", "points"] < -1


def test_iron_is_given_to_those_who_lack_it():
    asked = design("iv-iron", weeks=2, visits=[1, 2], endpoints=["ferritin"], findings={})
    found = respond(asked, people=26, seed=3)
    low = found.start.table
    assert ((low["ferritin@8"] < 75) | (low["tsat_percent@8"] < 20)).all()
    after = found.arms["fcm", 2].table
    stores = 8 * (after["ferritin@8"] - low["ferritin@8"])
    cells = 2520 / 14.5 * (after["hb@8"] - low["hb@8"])
    assert stores.min() > 50
    # of 1,000 mg, as much in everybody has reached stores and cells; an empty store sends more
    assert np.all((stores + cells > 500) & (stores + cells < 1000))
    assert np.corrcoef(low["ferritin@8"], cells)[0, 1] < -0.5
    with pytest.raises(Refused, match="so little iron"):
        respond(asked.model_copy(update={"ferritin_below": 1e-3}), people=20, seed=3)


def test_people_are_recruited_with_the_movements_of_the_study():
    asked = design(
        irls_least=0, plms_least=5, plms_like=(49.5, 29.2), n=1000, endpoints=["plms"], findings={}
    )
    found = made(asked, 0.5)
    one = conduct(asked, found, np.random.default_rng(3))
    taken = found.start.plms[one.person].mean(axis=1)
    assert found.start.plms.mean() < 18
    assert 30 < taken.mean() < 49.5  # other nights than that of screening: nearer to the mean
    with pytest.raises(Refused, match="moves as much"):
        conduct(asked.model_copy(update={"plms_least": 1e4}), found, np.random.default_rng(3))
    with pytest.raises(Refused, match="mean and an SD"):
        design(plms_like=(0.0, 3.0))


def test_hours_of_onset_and_what_counts_as_augmentation():
    e = np.tile(np.linspace(0, 1.2, 25), (3, 1))  # 0.05 an hour from noon
    assert onset_hour(e, np.array([0.3, 0.0, 2.0])).tolist() == pytest.approx([18.0, 12.0, 36.0])
    assert onset_hour(e[:1], 0.325)[0] == pytest.approx(18.5)
    # six hours earlier; three, worse or better than untreated; none; at four hours as often as not
    earlier, worse = np.array([6.0, 3.0, 3.0, 0.0, 4.0]), np.array([-5.0, 5.0, -5.0, 5.0, -5.0])
    hours, visit = np.random.default_rng(1).normal(size=(2, 2, 200_000))
    h, v = (value(*k) for k in (("augmentation", "onset_sd"), ("placebo", "visit_sd")))
    told, rise = (
        x[:, None] + e * (n[0] - n[1]) for x, e, n in ((earlier, h, hours), (worse, v, visit))
    )
    counted = ((told >= 4) | ((told >= 2) & (rise > 0))).mean(axis=1)
    chance = augmentation_chance(earlier, worse)
    assert chance == pytest.approx(counted, abs=5e-3)
    assert chance[0] > 0.9
    assert chance[1] > 0.7 > chance[2]
    assert chance[4] == pytest.approx(0.5, abs=1e-3)


def test_augmentation_of_a_short_time_and_a_design_of_another_kind():
    asked = design("augmentation", weeks=4, visits=[2, 4], n=60)
    frame = run_augmentation(asked, people=20, seed=2)
    assert frame["arm"].tolist() == list(asked.names)
    assert (frame["log_urge_early"] < 0).all()
    assert frame["share_percent"].between(0, 100).all()
    assert "printed_difference" in frame
    with pytest.raises(Refused, match="not one of augmentation"):
        run_augmentation(design())


def test_the_command_from_design_to_page(tmp_path, capsys):
    out = tmp_path / "o"
    asked = ["model", "trial", "levodopa", "--out", str(out), "--people", "20"]
    few = ["--replicates", "20", "--search", "20", "--set", "weeks=1", "--set", "visits=[1]",
           "--set", 'endpoints=["irls_change"]', "--set", "n=20"]  # fmt: skip
    assert call([*asked, *few]) == 0
    said = capsys.readouterr().out
    assert "regression to the mean" in said
    assert "no medical advice" in said
    page = (out / "trial.html").read_text("utf-8")
    assert "Hypothesis engine: no medical advice" in page
    assert "<svg" in page
    assert {"endpoints", "sample_size", "parts"} <= {p.stem for p in out.glob("*.tsv")}
    table = pd.read_csv(out / "endpoints.tsv", sep="\t")
    assert table["power"].between(0, 1).all()
    assert call(["model", "trial", "levodopa", "--show"]) == 0
    assert "benserazide" in capsys.readouterr().out
    assert call(["model", "trial", "levodopa"]) == 2
    assert "--out" in capsys.readouterr().err
    assert call(["model", "trial", "nothing", "--out", str(out)]) == 2
    assert "oxycodone" in capsys.readouterr().err
    assert call([*asked, "--set", "arms.x=1"]) == 2
    assert call([*asked, "--people", "3"]) == 2
