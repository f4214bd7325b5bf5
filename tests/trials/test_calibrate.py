import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from ekbom.disease.cohort import data
from ekbom.disease.model import load
from ekbom.errors import Refused
from ekbom.trials import calibrate as cal
from ekbom.trials import second
from ekbom.trials.summary import SHIFTS, finish, setting, summaries, values_of

P = len(setting().free)


def made(x):
    """Summaries that hang on the unit cube in a known way."""
    rng = np.random.default_rng(0)
    names = sorted({t["summary"] for t in setting().targets} - {"csf_ferritin", "csf_transferrin"})
    slope = rng.normal(size=(P, len(names)))
    centre = {t["summary"]: (t["value"], t["se"]) for t in setting().targets}
    y = (x - 0.3) @ slope
    columns = {k: centre[k][0] + 3 * centre[k][1] * y[:, j] for j, k in enumerate(names)}
    for word, mean in (("case", -0.4), ("control", 0.0)):
        columns |= {f"lnb_mean_{word}": np.full(len(x), mean),
                    f"lnb_var_{word}": np.full(len(x), 0.08)}  # fmt: skip
    return pd.DataFrame(columns)


def test_the_emulator_learns_what_it_is_given():
    x = cal.design(96, 3)
    emulator, error = cal.emulate(x, made(x))
    new = np.random.default_rng(5).random((50, P))
    truth = made(new)
    for k, v in emulator(new).items():
        spread = max(float(np.std(truth[k])), 1e-3)
        assert np.sqrt(np.mean((v - truth[k]) ** 2)) < 0.1 * spread + 1e-6, k
        assert error[k] < 0.2 * spread


def test_the_calibration_is_seeded_and_narrows_what_the_targets_hold():
    x = cal.design(64, 3)
    run = lambda: cal.calibrate(x, made(x), particles=150, generations=5, seed=2, checks=0)  # noqa: E731
    a, b = run(), run()
    pd.testing.assert_frame_equal(a.particles, b.particles)
    assert a.generations["tolerance"].is_monotonic_decreasing
    assert a.particles["weight"].sum() == pytest.approx(1)
    assert (a.parameters["q05"] >= a.parameters["prior_low"] - 1e-9).all()
    assert (a.parameters["q95"] <= a.parameters["prior_high"] + 1e-9).all()
    assert set(a.parameters["identified"]) <= {"yes", "not identified"}
    assert (a.parameters["effective_n"] > 10).all()
    start = cal.distance(finish(cal.emulate(x, made(x))[0](x), 2.0, 2.0), pd.Series(dtype=float))
    assert a.generations["tolerance"].iloc[-1] < np.median(start)


def test_a_run_that_was_stopped_goes_on(monkeypatch):
    asked = []

    def fake(values, *, n, seed):
        asked.append(values["w_3"])
        return {"a": values["w_3"]}

    monkeypatch.setattr(cal, "summaries", fake)
    first = cal.run_design(4, 7)
    kept = []
    again = cal.run_design(6, 7, first, kept.append)
    assert len(asked) == 6
    assert [len(k) for k in kept] == [5, 6]
    pd.testing.assert_frame_equal(again.iloc[:4], first)
    with pytest.raises(Refused):
        cal.run_design(3, 7, again)


def test_summaries_move_the_way_the_parameters_say():
    base = values_of(np.full(P, 0.5)) | {"x_asia": -1.0}
    plain = summaries(base, n=160, patients=16)
    weaker = summaries(base | {"ec_g3": 0.003, "ec_o": 0.06, "del_o": 0.0}, n=160, patients=16)
    assert plain["pramipexole"] < weaker["pramipexole"]
    assert plain["opioid_percent"] < weaker["opioid_percent"]
    both = finish(plain, base["nu"], base["mu"])
    assert both["csf_ferritin"] < 0 < both["csf_transferrin"]


def test_the_shipped_posterior_is_the_default():
    import io
    from importlib.resources import files

    text = files("ekbom.trials.data").joinpath("parameters.tsv").read_text("utf-8")
    table = pd.read_csv(io.StringIO(text), sep="\t").set_index("parameter")
    text = files("ekbom.trials.data").joinpath("second.tsv").read_text("utf-8")
    later = pd.read_csv(io.StringIO(text), sep="\t").median()
    defaults = load().defaults
    for f in setting().free:
        if f["kind"] == "model" and f["id"] != "al_aug":
            found = later.get(f["id"], table.loc[f["id"], "median"])
            assert defaults[f["target"]] == pytest.approx(found, rel=5e-3)
    assert defaults["k_tsat"] == pytest.approx(later["k_tsat"], rel=5e-3)
    population = data("population")
    assert population["ancestry"]["x_asia"]["value"] == pytest.approx(later["x_asia"], rel=5e-3)
    strength = population["distributions"]["al_aug"]
    assert strength["location"] == defaults["al_aug"] == pytest.approx(later["al_aug"], rel=5e-3)
    assert strength["scale"] == pytest.approx(later["sd_aug"], rel=5e-3)


def test_the_second_step_finds_what_made_its_targets():
    # runs in which every summary is a known function of the parameter
    truth = {"k_tsat": 0.3, "al_aug": 20.0, "x_asia": -1.0, "ec_g3": 0.002, "lam_l": 2.0,
             "sd_aug": 1.2}  # fmt: skip
    values = np.geomspace(0.05, 1.0, 7)
    targets = {t["summary"]: t["value"] for t in setting().targets}
    runs = pd.DataFrame({"k_tsat": values} | {k: np.full(7, v) for k, v in targets.items()})
    runs["iron"] = targets["iron"] + 6 * np.log(values / truth["k_tsat"])
    for word, mean in (("case", -0.4), ("control", 0.0)):
        runs[f"lnb_mean_{word}"], runs[f"lnb_var_{word}"] = mean, 0.05
    for k, x in enumerate(SHIFTS):
        runs[f"asia_{k}"] = np.log(targets["asia"]) + 1.2 * (x - truth["x_asia"])
    drug = pd.DataFrame([
        {"parameter": k, "at": at, "change": targets[name] + 3 * np.log(at / truth[k])}
        for k, name in (("ec_g3", "pramipexole"), ("lam_l", "levodopa"))
        for at in (1e-4, 1.0, 100.0)
    ])  # fmt: skip
    # a share that a normal of the log strength gives: the mixture over people is known
    printed = {1.0: targets["augmentation"], 2.7: 20.0}
    wide = np.hypot(1.0, truth["sd_aug"])
    year = pd.DataFrame([
        {"al_aug": a, "years": t, "augmentation":
         100 * norm.cdf(np.log(a / truth["al_aug"]) + wide * norm.ppf(p / 100))}
        for a in np.geomspace(1e-3, 1e6, 300) for t, p in printed.items()
    ])  # fmt: skip
    made = second.shares(year, np.array(truth["al_aug"]), np.array(truth["sd_aug"]))
    assert [made[t] for t in printed] == pytest.approx(list(printed.values()), abs=0.1)
    sample, table = second.combine(runs, drug, year, particles=2000, seed=3)
    median = sample.median()
    for k, v in truth.items():
        assert median[k] == pytest.approx(v, rel=0.3 if "aug" in k else 0.12), k
    near = table.set_index("summary")["distance_in_se"]
    assert near[["iron", "asia", "augmentation"]].abs().max() < 0.5
    pd.testing.assert_frame_equal(
        sample, second.combine(runs, drug, year, particles=2000, seed=3)[0]
    )


def test_one_command_does_all_that_was_fitted_and_each_step_alone(tmp_path, monkeypatch):
    from ekbom.cli.app import call
    from ekbom.trials import generator

    ran = []

    def design(runs, seed, done, keep, *, people):
        ran.append("first")
        table = made(cal.design(runs, seed))
        keep(table)
        return table

    def part(name):
        def run(*known, seed):
            ran.append(name)
            return pd.DataFrame({"x": [1.0]})

        return run

    monkeypatch.setattr(cal, "run_design", design)
    for name in ("barrier", "potencies", "augmentation"):
        monkeypatch.setattr(second, name, part(name))
    frame = pd.DataFrame({"x": [1.0, 2.0]})
    monkeypatch.setattr(second, "combine", lambda *made, seed: (frame, frame))
    monkeypatch.setattr(generator, "people_table", lambda n, seed: frame)
    monkeypatch.setattr(generator, "fit_generator", lambda people, seed: (frame, frame, frame))
    files = {
        "first": {"design", "parameters", "targets", "posterior", "generations"},
        "second": {"second", "second-targets"},
        "movements": {"generator", "generator-covariance", "anchors"},
    }
    small = ["--runs", "48", "--particles", "60", "--generations", "2", "--checks", "0"]
    for step, told in (*files.items(), ("all", set().union(*files.values()))):
        out = tmp_path / step
        assert call(["model", "calibrate", "--step", step, "--out", str(out), *small]) == 0
        assert {f.stem for f in out.glob("*.tsv")} == told
    # what is done is not run again; another seed is another part
    count = len(ran)
    again = ["model", "calibrate", "--step", "second", "--out", str(tmp_path / "second")]
    assert call(again) == 0
    assert len(ran) == count
    assert call([*again, "--seed", "2"]) == 0
    assert ran[count:] == ["barrier", "potencies", "augmentation"]
    assert call([*again, "--people", "5"]) == 2
    assert call(["model", "calibrate", "--step", "third", "--out", str(tmp_path)]) == 2
