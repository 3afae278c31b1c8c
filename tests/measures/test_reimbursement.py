"""Reimbursement ratios, bands, own payments, shares of income and rates: answers, properties and failures."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protection_cases import check, ids, table
from scipy import stats

from medfloor.errors import InputError, UsageError
from medfloor.measures import Design, reimbursement
from medfloor.measures.bands import Bands
from medfloor.measures.reimbursement import Columns
from medfloor.measures.yardstick import Yardstick
from medfloor.words import Phrase

ROLES = Columns(total="meddol", oop="own")


def rand() -> pl.DataFrame:
    """Give the RAND experiment's first year with what patients paid."""
    return table("randhie_y1").with_columns(
        own=pl.min_horizontal(pl.col("coins") / 100 * pl.col("meddol"), pl.col("mdeoff"))
    )


@pytest.mark.parametrize("name", ids("H08"))
def test_bands_of_rand_are_those_of_an_own_script_in_r(name: str) -> None:
    rows = reimbursement(rand(), columns=ROLES).rows.filter(statistic="reimbursement_band")
    check(name, *(rows["estimate"] * rows["n"]).to_list())


def test_ratios_of_rand_are_those_of_the_notes() -> None:
    # 0.755 and 0.781, 0.085 and 0.321, to three decimals.
    found = reimbursement(rand(), columns=ROLES, parts=["ratios"], by="coins")
    told = [
        round(found.value(statistic, group=arm), 3)
        for arm in ("25", "95")
        for statistic in ("mean_real_ratio", "real_ratio")
    ]
    assert told == [0.755, 0.781, 0.085, 0.321]


STAYS = {
    "total": [100.0, 200.0, 400.0, 1000.0, 0.0],
    "reimbursed": [40.0, 100.0, 300.0, 900.0, 0.0],
    "in_scope": [50.0, 160.0, 400.0, 950.0, 0.0],
    "income": [50.0, 0.0, 500.0, -10.0, 80.0],
    "ward": ["a", "a", "b", "b", "b"],
}


def test_every_statistic_by_hand() -> None:
    found = reimbursement(STAYS, percentiles=[0.75])
    told = {
        "real_ratio": 1340 / 1700,
        "mean_real_ratio": (0.4 + 0.5 + 0.75 + 0.9) / 4,
        "own_share": 360 / 1700,
        "in_scope_ratio": 1340 / 1560,
        "mean_in_scope_ratio": (40 / 50 + 100 / 160 + 300 / 400 + 900 / 950) / 4,
        "own_mean": 360 / 4,
        "own_median": 100.0,
        "own_percentile": 100.0,
        "own_minimum": 60.0,
        "own_maximum": 100.0,
        "own_zero_share": 0.0,
        # Incomes of zero and below are in the sum, and not in the mean of ratios.
        "own_income_share": 360 / 540,
        "mean_own_income_share": (60 / 50 + 100 / 500) / 2,
    }
    for statistic, value in told.items():
        assert found.value(statistic) == pytest.approx(value, rel=1e-12), statistic
    assert found.pick("mean_own_income_share").n == 2
    assert found.special["no_cost"] == 1 and found.special["no_income"] == 1 and found.special["negative_income"] == 1


@pytest.mark.parametrize(
    ("closed", "expected"), [("left", [0.25, 0.25, 0.25, 0.25]), ("right", [0.5, 0.25, 0.25, 0.0])]
)
def test_an_edge_belongs_where_the_parameter_says(closed: str, expected: list[float]) -> None:
    # Ratios are 0.4, 0.5, 0.75 and 0.9: three of them are edges.
    found = reimbursement(STAYS, parts=["ratios"], closed=closed)  # type: ignore[arg-type]
    assert found.rows.filter(statistic="reimbursement_band")["estimate"].to_list() == expected
    assert {"left": ">=90%", "right": ">90%"}[closed] in found.definition.say("en")


def test_income_of_zero_or_below_is_a_band_of_its_own() -> None:
    found = reimbursement(STAYS, parts=["income"])
    bands = found.rows.filter(statistic="income_band").select("band", "estimate").rows()
    assert bands == [("<50%", 0.25), ("50-75%", 0.0), ("75-90%", 0.0), (">=90%", 0.25), ("none", 0.5)]
    assert "no income" in found.text("en") and "无收入" in found.text("zh")


def test_what_was_reimbursed_follows_from_what_was_paid() -> None:
    own = [t - r for t, r in zip(STAYS["total"], STAYS["reimbursed"], strict=True)]
    other = {**{name: v for name, v in STAYS.items() if name != "reimbursed"}, "oop": own}
    one, two = reimbursement(STAYS), reimbursement(other)
    assert two.rows["estimate"].to_list() == pytest.approx(one.rows["estimate"].to_list())


def test_own_payments_are_those_of_the_hospitalised_where_the_table_says_who_was() -> None:
    homes = {
        "hospitalised": ["yes", "no", "是", "否", None],
        "total": [100.0, None, 0.0, 50.0, 70.0],
        "reimbursed": [60.0, None, 0.0, 20.0, 70.0],
    }
    found = reimbursement(homes)
    assert found.value("hospitalisation_rate") == 0.5
    assert found.pick("own_mean").n == 2 and found.value("own_mean") == 20.0
    # Who was not hospitalised owes no answer about a bill; who did not say whether, is missing.
    assert found.special["missing_own"] == 1 and found.special["missing_hospitalised"] == 1
    assert "of the hospitalised" in found.definition.say("en")
    assert "missing_cost" not in found.special


@pytest.mark.parametrize(
    "yes",
    [
        [True, False, True, None],
        [1, 0, 1, None],
        [1.0, 0.0, 1.0, float("nan")],
        ["Yes", " no ", "TRUE", None],
        ["有", "无", "1.0", None],
    ],
)
def test_yes_and_no_are_read_however_they_are_written(yes: list[object]) -> None:
    found = reimbursement(pl.DataFrame({"chronic_disease": yes}, strict=False))
    assert found.value("chronic_disease_prevalence") == pytest.approx(2 / 3)
    assert found.special == {"missing_chronic_disease": 1}


@pytest.mark.parametrize("value", ["perhaps", 2, -1, 0.5])
def test_neither_yes_nor_no_is_refused_without_repeating_the_value(value: object) -> None:
    first = "yes" if isinstance(value, str) else 1
    with pytest.raises(InputError, match="row 2") as caught:
        reimbursement({"major_disease": [first, value]})
    assert caught.value.code == "not_yes_no"
    assert "perhaps" not in caught.value.message


def test_groups_are_compared_and_tested() -> None:
    frame = _clustered()
    found = reimbursement(frame, by="side", against="east", design=Design(weight="w", psu="village"))
    tested = found.rows.filter(pl.col("statistic").is_in(["wald_f", "rao_scott_f"]))
    assert set(tested["of"]) >= {
        "real_ratio",
        "own_mean",
        "reimbursement_band",
        "chronic_disease_prevalence",
    }
    assert tested["p"].is_between(0, 1).all()
    assert "pearson_chi2" not in found.rows["statistic"].to_list()
    # The F of two groups is the square of the t of their difference.
    row = found.rows.filter(statistic="own_mean", against="east").row(0, named=True)
    wald = tested.filter(statistic="wald_f", of="own_mean").row(0, named=True)
    assert wald["estimate"] == pytest.approx((row["estimate"] / row["se"]) ** 2, rel=1e-9)
    assert wald["p"] == pytest.approx(row["p"], rel=1e-9)


def test_a_plain_sample_has_pearsons_test_too() -> None:
    found = reimbursement(_clustered().drop("w"), by="side", parts=["rates"])
    assert {"pearson_chi2", "rao_scott_f"} <= set(found.rows["statistic"])


def test_a_group_without_costs_is_left_out_of_that_part_only() -> None:
    stays = {
        "total": [100.0, 50.0, 0.0, 0.0],
        "reimbursed": [50.0, 10.0, 0.0, 0.0],
        "chronic_disease": [1, 0, 1, 1],
        "ward": ["a", "a", "b", "b"],
    }
    found = reimbursement(stays, by="ward", against="b")
    assert found.rows.filter(statistic="real_ratio")["group"].to_list() == [None, "a"]
    assert found.rows.filter(statistic="chronic_disease_prevalence", against="b").height == 1
    with pytest.raises(UsageError, match="no group 'c'"):
        reimbursement(stays, by="ward", against="c")


def test_estimates_are_held_against_published_values() -> None:
    yardstick = Yardstick(0.5, Phrase("reimbursement.rates"))
    found = reimbursement(
        _clustered(), by="side", parts=["rates"], yardsticks={"chronic_disease_prevalence": yardstick}
    )
    rows = found.rows.filter(statistic="less_yardstick")
    own = found.rows.filter(statistic="chronic_disease_prevalence")
    assert rows["estimate"].to_list() == pytest.approx((own["estimate"] - 0.5).to_list())
    assert rows["se"].to_list() == own["se"].to_list() and rows["p"].is_between(0, 1).all()
    published = found.rows.filter(statistic="yardstick").row(0, named=True)
    assert (published["estimate"], published["se"], published["of"]) == (0.5, None, "chronic_disease_prevalence")
    assert any("50 %" in note.say("zh") for note in found.notes)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"edges": []}, "bad_edges"),
        ({"edges": [0.9, 0.5]}, "bad_edges"),
        ({"edges": [0.5, 0.5]}, "bad_edges"),
        ({"edges": [0.0]}, "bad_edges"),
        ({"closed": "both"}, "bad_choice"),
        ({"parts": ["rate"]}, "no_such_part"),
        ({"percentiles": [1.0]}, "bad_probability"),
        ({"parts": ["rates"]}, "nothing_to_measure"),
        ({"columns": Columns(total="bill")}, "missing_column"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: dict[str, object], code: str) -> None:
    with pytest.raises((UsageError, InputError)) as caught:
        reimbursement(STAYS, **arguments)  # type: ignore[arg-type]
    assert caught.value.code == code


def test_nothing_that_costs_is_an_error_and_odd_amounts_are_counted() -> None:
    with pytest.raises(InputError) as caught:
        reimbursement({"total": [0.0, 0.0], "reimbursed": [0.0, 0.0]})
    assert caught.value.code == "no_costs"
    found = reimbursement({"total": [100.0, 100.0, -20.0], "reimbursed": [120.0, -5.0, 0.0]}, parts=["ratios", "own"])
    special = found.special
    told = [special[one] for one in ("negative_cost", "negative_reimbursed", "reimbursed_over_cost", "negative_own")]
    assert told == [1, 1, 1, 1]
    assert found.rows.filter(statistic="reimbursement_band")["estimate"].to_list() == [0.5, 0.0, 0.0, 0.5]


@pytest.mark.parametrize("bad", [float("inf"), -1.0])
def test_infinite_amounts_and_negative_weights_are_refused(bad: float) -> None:
    with pytest.raises(InputError):
        reimbursement({"total": [10.0, 10.0], "reimbursed": [1.0, 2.0], "weight": [1.0, bad]})


def test_one_row_or_one_cluster_has_estimates_and_no_error() -> None:
    one = reimbursement({name: values[:1] for name, values in STAYS.items()})
    assert one.value("real_ratio") == 0.4 and one.rows["se"].null_count() == one.rows.height
    cluster = reimbursement(STAYS, design=Design(psu="c"), parts=["own"]) if "c" in STAYS else None
    assert cluster is None
    lonely = reimbursement({**STAYS, "c": [1] * 5}, design=Design(psu="c"), by="ward")
    assert lonely.rows["se"].null_count() == lonely.rows.height


def test_a_constant_own_payment_and_rows_of_weight_zero_have_answers() -> None:
    found = reimbursement(
        {"total": [10.0, 10.0, 99.0], "reimbursed": [4.0, 4.0, 0.0], "weight": [1.0, 1.0, 0.0]}, parts=["own"]
    )
    assert (found.value("own_median"), found.value("own_maximum"), found.special["zero_weight"]) == (6.0, 6.0, 1)


def test_people_count_by_the_size_of_their_household() -> None:
    homes = {"chronic_disease": [1, 0], "size": [3.0, 1.0]}
    assert reimbursement(homes, unit="person").value("chronic_disease_prevalence") == 0.75


def _clustered(rows: int = 900, clusters: int = 90, seed: int = 8) -> pl.DataFrame:
    """Make up stays in villages."""
    rng = np.random.default_rng(seed)
    place = np.repeat(np.arange(clusters), rows // clusters)
    cost = rng.lognormal(8, 0.5, rows)
    return pl.DataFrame(
        {
            "total": cost,
            "reimbursed": cost * rng.uniform(0.2, 1, rows),
            "income": rng.lognormal(9, 0.5, rows),
            "chronic_disease": rng.random(rows) < 0.35,
            "village": place,
            "w": rng.uniform(0.5, 2, rows),
            "side": np.where(place % 2 == 0, "east", "west"),
        }
    )


def test_linearised_and_jackknife_errors_agree() -> None:
    drawn = {"weight": "w", "psu": "village"}
    linear = reimbursement(_clustered(), design=Design(**drawn))
    jackknife = reimbursement(_clustered(), design=Design(**drawn, method="jackknife"))
    pairs = linear.rows.select("statistic", "se").with_columns(other=jackknife.rows["se"]).filter(pl.col("se") > 0)
    assert pairs.height == 19
    # They differ by terms of one over the 90 clusters.
    assert ((pairs["other"] / pairs["se"] - 1).abs() < 0.05).all()


def test_errors_of_quantiles_are_near_those_of_the_bootstrap() -> None:
    drawn = {"weight": "w", "psu": "village"}
    linear = reimbursement(_clustered(), parts=["own"], design=Design(**drawn))
    boot = reimbursement(_clustered(), parts=["own"], design=Design(**drawn, method="bootstrap", replicates=300))
    for share, statistic in ((None, "own_median"), (0.25, "own_percentile"), (0.75, "own_percentile")):
        ratio = boot.pick(statistic, percentile=share).se / linear.pick(statistic, percentile=share).se
        # 300 replicates leave 4 % of noise, and two ways to the slope of a distribution at one place some 15 %.
        assert ratio == pytest.approx(1, abs=0.25)


stays = st.lists(
    st.tuples(st.integers(1, 10**6), st.floats(0, 1), st.integers(-5, 10**6), st.integers(1, 3)),
    min_size=1,
    max_size=12,
)


def _stays(rows: list[tuple[int, float, int, int]]) -> dict[str, list[float]]:
    return {
        "total": [float(cost) for cost, *_ in rows],
        "reimbursed": [cost * back for cost, back, *_ in rows],
        "income": [float(income) for *_, income, _ in rows],
        "w": [float(copies) for *_, copies in rows],
    }


@settings(max_examples=40)
@given(stays)
def test_weights_are_copies_bands_add_up_and_ratios_stay_within_bounds(
    rows: list[tuple[int, float, int, int]],
) -> None:
    weighted = reimbursement(_stays(rows), design=Design(weight="w"))
    copied = reimbursement(_stays([row for row in rows for _ in range(row[-1])]), design=Design())
    for one, other in zip(weighted.rows["estimate"], copied.rows["estimate"], strict=True):
        # Sums of a dozen doubles in another order.
        assert other == (None if one is None else pytest.approx(one, rel=1e-9, abs=1e-9))
    for statistic in ("reimbursement_band", "income_band"):
        assert weighted.rows.filter(statistic=statistic)["estimate"].sum() == pytest.approx(1.0)
    assert -1e-12 <= weighted.value("real_ratio") <= 1 + 1e-12
    assert weighted.value("own_minimum") <= weighted.value("own_mean") * (1 + 1e-12) + 1e-9
    assert weighted.value("real_ratio") + weighted.value("own_share") == pytest.approx(1.0)


@settings(max_examples=40)
@given(st.lists(st.floats(0, 2), min_size=1, max_size=20), st.sampled_from(["left", "right"]))
def test_every_ratio_has_one_band_in_rising_order(ratios: list[float], closed: str) -> None:
    bands = Bands.of([0.5, 0.75, 0.9], closed)  # type: ignore[arg-type]
    ordered = np.sort(np.array(ratios))
    codes = bands.codes(ordered, np.ones(len(ordered)))
    assert (np.diff(codes) >= 0).all() and codes.min() >= 0 and codes.max() < len(bands.names)


def test_an_open_bill_is_nothing_only_for_those_who_were_not_in_hospital() -> None:
    frame = {"hospitalised": [1, 1, 0], "total": [100.0, None, None], "reimbursed": [40.0, None, None]}
    found = reimbursement(frame, parts=["own"])
    assert found.special["missing_own"] == 1
    assert found.pick("own_mean").n == 1


def test_own_payments_below_zero_are_not_zero_and_a_bill_paid_in_full_is_not_overpaid() -> None:
    found = reimbursement({"total": [100.0, 100.0, 100.0, 100.0], "reimbursed": [100.0, 110.0, 40.0, 50.0]})
    assert found.value("own_zero_share") == 0.25
    assert found.special["reimbursed_over_cost"] == 1


def test_what_lies_beside_a_yardstick_has_its_own_test_and_the_interval_of_its_level() -> None:
    yardsticks = {
        "real_ratio": Yardstick(0.6, Phrase("seed_004.cfps")),
        "own_zero_share": Yardstick(0.1, Phrase("seed_004.cfps")),
    }
    frame = _clustered()
    found = reimbursement(frame, yardsticks=yardsticks, design=Design(psu="village", level=0.9))
    ratio, less = found.pick("real_ratio"), found.pick("less_yardstick", of="real_ratio")
    assert less.interval == pytest.approx([end - 0.6 for end in ratio.interval], abs=1e-12)
    df = ratio.rows["df"][0]
    assert less.rows["p"][0] == pytest.approx(2 * stats.t.sf(abs(ratio.estimate - 0.6) / ratio.se, df), rel=1e-9)
    # A difference of proportions can leave 0 to 1.
    assert found.pick("own_zero_share").rows["kind"][0] == "proportion"
    assert found.pick("less_yardstick", of="own_zero_share").rows["kind"][0] == "percent"
