"""Whole answers: tables, corrections, words."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ekbom.errors import Refused
from ekbom.inference import Settings, answer_regions, describe
from ekbom.inference.multiple import benjamini_hochberg, holm

NAMES = ["gtmseg:thalamus", "gtmseg:caudate", "gtmseg:insula"]
MAXT = Settings("max-t", 500, seed=3)


@pytest.fixture
def planted(groups, rng):
    y = rng.normal(20, 2, (27, 3))
    y[:15, 1] -= 6
    return y


def test_columns_are_those_of_the_parts(groups, planted):
    answer = answer_regions(planted, NAMES, "mL/cm3", groups, "~ group", "rls - control", MAXT)
    frame = answer.table("regions").frame
    truth = stats.ttest_ind(planted[:15], planted[15:])
    np.testing.assert_allclose(frame.t, truth.statistic)
    np.testing.assert_allclose(frame.p, truth.pvalue)
    np.testing.assert_allclose(frame.p_holm, holm(truth.pvalue))
    np.testing.assert_allclose(frame.p_fdr, benjamini_hochberg(truth.pvalue))
    np.testing.assert_allclose(frame.mean_a - frame.mean_b, frame.effect)
    np.testing.assert_allclose(frame.percent, 100 * frame.effect / frame.mean_b)
    assert (frame.p_maxT >= frame.p_perm).all()
    assert frame.region.tolist() == NAMES
    assert set(frame.unit) == {"mL/cm3"}
    assert (frame.n == 27).all()
    assert answer.meta["permutations"] == 500
    assert not answer.meta["exhaustive"]


def test_every_column_has_a_meaning_and_nothing_else_has(groups, planted, pairs, rng):
    answers = [
        answer_regions(planted, NAMES, "u", groups, "~ group + age", t, MAXT)
        for t in ("rls - control", "age", "group, age", "intercept")
    ]
    answers.append(
        answer_regions(
            rng.normal(20, 2, (12, 3)), NAMES, "u", pairs, "~ session + participant",
            "session: blocked - baseline",
        )
    )  # fmt: skip
    for answer in answers:
        for table in answer.tables:
            assert list(table.frame.columns) == list(table.columns), table.name
            assert all(c.description for c in table.columns.values())


def test_slope_has_its_own_unit_and_no_g(groups, planted):
    answer = answer_regions(planted, NAMES, "mL/cm3", groups, "~ age", "age", MAXT)
    frame = answer.table("regions").frame
    assert set(frame.unit) == {"mL/cm3 per unit of age"}
    assert "g" not in frame
    assert "r" in frame
    assert "per unit of age" in answer.results


def test_leave_one_out_row_is_the_least_of_the_influence_table(groups, planted):
    answer = answer_regions(planted, NAMES, "u", groups, "~ group", "rls - control")
    row = answer.table("regions").frame.iloc[1]
    table = answer.table("influence").frame
    table = table[table.region == NAMES[1]].set_index("participant_id")
    assert len(table) == 27
    assert row.t < 0
    assert row.loo_subject == table.stat_without.idxmax()
    assert row.loo_stat == table.stat_without.max()
    assert row.loo_p == table.p_without[row.loo_subject]


def test_region_with_a_missing_value_is_not_tested_and_says_why(groups, planted):
    planted[4, 2] = np.nan
    answer = answer_regions(planted, NAMES, "u", groups, "~ group", "rls - control", MAXT)
    frame = answer.table("regions").frame
    assert frame.note[2] == "no value in sub-05"
    assert frame.loc[2, ["effect", "t", "p", "p_holm", "p_maxT", "g", "loo_stat"]].isna().all()
    np.testing.assert_allclose(frame.p_holm[:2], holm(frame.p[:2]))
    assert answer.meta["regions_not_tested"] == [NAMES[2]]
    assert "sub-05" in answer.results
    planted[3] = np.nan
    with pytest.raises(Refused, match="No region") as caught:
        answer_regions(planted, NAMES, "u", groups, "~ group", "rls - control", MAXT)
    assert "sub-04" in caught.value.found


def test_words_of_a_finding_and_of_none(groups, planted, rng):
    found = answer_regions(planted, NAMES, "mL/cm3", groups, "~ group", "rls - control", MAXT)
    assert "1 of 3 regions significant at 0.05" in found.results
    assert NAMES[1] in found.results
    assert "not shown to be without" in found.results
    none = answer_regions(
        rng.normal(20, 2, (27, 3)), NAMES, "mL/cm3", groups, "~ group", "rls - control", MAXT
    )
    assert "does not show that there is no effect" in none.results
    for text in (found.results, none.results):
        for word in ("equivalen", "no difference", "identical", "causes", "proves"):
            assert word not in text.lower()


def test_methods_say_what_was_done(groups, planted, pairs, rng):
    drawn = answer_regions(planted, NAMES, "u", groups, "~ group + age", "rls - control", MAXT)
    for words in ("27 participants", "`~ group + age`", "24 residual", "500 of", "seed 3",
                  "Freedman and Lane", f"age {groups.age.mean():.2f}"):  # fmt: skip
        assert words in drawn.methods
    exact = answer_regions(
        rng.normal(20, 2, (12, 3)), NAMES, "u", pairs, "~ session + participant",
        "session: blocked - baseline", MAXT,
    )  # fmt: skip
    assert "all 64 distinct relabellings" in exact.methods
    assert "seed" not in exact.methods
    assert exact.meta["seed"] is None
    plain = answer_regions(planted, NAMES, "u", groups, "~ group", "rls - control")
    assert "ermut" not in plain.methods
    assert "p_maxT" not in plain.table("regions").frame
    assert not any("Freedman" in r for r in plain.meta["references"])


def test_too_few_relabellings_are_told(rng):
    table = pd.DataFrame({"participant": np.repeat(list("abcd"), 2), "session": ["x", "y"] * 4})
    answer = answer_regions(
        rng.normal(5, 1, (8, 1)) + np.tile([0, 9.0], 4)[:, None], ["r"], "u", table,
        "~ session + participant", "session: y - x", MAXT,
    )  # fmt: skip
    assert answer.table("regions").frame.p_maxT[0] == 2 / 16
    assert any("cannot reach 0.05" in w for w in answer.meta["warnings"])
    assert "By the t distribution" in answer.results


def test_dropped_person_is_in_words_and_not_in_values(pairs, rng):
    y = rng.normal(20, 2, (12, 2))
    table = pairs.drop(index=7)
    answer = answer_regions(
        np.delete(y, 7, axis=0), ["a", "b"], "u", table, "~ session + participant",
        "session: blocked - baseline", MAXT,
    )  # fmt: skip
    assert answer.meta["dropped"] == ["sub-04: no blocked"]
    assert "sub-04" in answer.results
    assert "sub-04" not in set(answer.table("values").frame.participant_id)
    keep = pairs.participant != "sub-04"
    truth = stats.ttest_rel(y[keep][1::2], y[keep][::2])
    np.testing.assert_allclose(answer.table("regions").frame.t, truth.statistic)


def test_percentage_of_pairs_is_the_mean_change_over_the_mean_before(pairs, rng):
    y = rng.normal(20, 2, (12, 1))
    answer = answer_regions(
        y, ["a"], "u", pairs, "~ session + participant", "session: blocked - baseline"
    )
    row = answer.table("regions").frame.iloc[0]
    assert row.percent == pytest.approx(100 * (y[1::2].mean() / y[::2].mean() - 1))
    assert row.percent_low < row.percent < row.percent_high


def test_rows_are_joined_by_person_whatever_their_order(pairs, rng):
    y = rng.normal(20, 2, (12, 2))
    order = rng.permutation(12)
    one, two = (
        answer_regions(
            values, ["a", "b"], "u", table, "~ session + participant",
            "session: blocked - baseline", MAXT,
        )
        for values, table in ((y, pairs), (y[order], pairs.iloc[order]))
    )  # fmt: skip
    drop = ["loo_subject"]
    pd.testing.assert_frame_equal(
        one.table("regions").frame.drop(columns=drop),
        two.table("regions").frame.drop(columns=drop),
        rtol=1e-9,
    )


def test_same_bytes_from_any_number_of_threads_and_twice(groups, planted):
    asked = (planted, NAMES, "u", groups, "~ group + age", "rls - control", MAXT)
    texts = set()
    for workers in (1, 2, 2):
        answer = answer_regions(*asked, workers=workers)
        texts.add(
            "\n".join(t.frame.to_csv(sep="\t", float_format="%.17g") for t in answer.tables)
            + answer.methods
            + answer.results
            + repr(answer.meta)
        )
    assert len(texts) == 1


def test_participant_id_is_taken_too(groups, planted):
    bids = groups.rename(columns={"participant": "participant_id"})
    one = answer_regions(planted, NAMES, "u", groups, "~ group", "rls - control")
    two = answer_regions(planted, NAMES, "u", bids, "~ group", "rls - control")
    pd.testing.assert_frame_equal(one.table("regions").frame, two.table("regions").frame)


def test_meta_goes_into_json(groups, planted):
    import json

    answer = answer_regions(planted, NAMES, "u", groups, "~ group + age", "group", MAXT)
    text = json.dumps(answer.meta, allow_nan=False)
    assert json.loads(text)["df"] == 24
    assert json.dumps(answer.table("design").meta, allow_nan=False)
    assert math.isfinite(answer.meta["threshold"])


def test_design_hash_follows_rows_columns_and_people(groups, planted):
    def digest(table, formula="~ group + age"):
        return answer_regions(
            planted, NAMES, "u", table, formula, "rls - control"
        ).meta["design_sha256"]  # fmt: skip

    one = digest(groups)
    assert one == digest(groups)
    assert one != digest(groups, "~ group")
    assert one != digest(groups.assign(participant=groups.participant[::-1].to_numpy()))
    assert one != digest(groups.assign(age=groups.age**2))


def test_describe_holds_the_words_and_every_reference(groups, planted):
    answer = answer_regions(planted, NAMES, "u", groups, "~ group * age", "age[rls]", MAXT)
    text = describe(answer)
    assert answer.methods in text
    assert answer.results in text
    assert text.count("\n- ") == len(answer.meta["references"])
    assert answer.meta["meaning"] == "slope on age, in rls"
