"""The jump at a status line, against R's regressions and against itself. Tables made here are synthetic."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protection_cases import check, ids, table

from medfloor.errors import InputError, UsageError
from medfloor.measures.boundary import Heaping, edge_constant, imbens_kalyanaraman, kernel_weights, rule_of_thumb
from medfloor.measures.cliff import arithmetic_cliff, cliff, status_cliff
from medfloor.measures.design import Design

TRANSFERS = {"outcome": "Support", "running": "Income_Centered", "sensitivity": False, "density": False}
CASES = {
    "H01_rd_linear": {},
    "H02_rd_triangular": {"kernel": "triangular", "bandwidth": 0.01},
    "H03_rd_uniform": {"bandwidth": 0.01},
}
BRIEF = {"sensitivity": False, "density": False}


def made_up(rows: int = 1200, jump: float = 0.25, seed: int = 5) -> pl.DataFrame:
    """Make people whose reimbursement falls by `jump` at an income of 6,000, in 60 villages, with weights."""
    rng = np.random.default_rng(seed)
    income = rng.uniform(2000, 10_000, rows).round(2)
    village = rng.integers(0, 60, rows)
    noise = rng.normal(0, 0.05, rows) + rng.normal(0, 0.04, 60)[village]
    return pl.DataFrame(
        {
            "income": income,
            "reimbursed": np.clip(0.6 + (income < 6000) * jump - (income - 6000) * 1e-5 + noise, 0, 1),
            "psu": village,
            "weight": rng.uniform(0.5, 3, rows),
            "residence": np.where(rng.random(rows) < 0.4, "urban", "rural"),
        }
    )


@pytest.mark.parametrize("name", ids("H01", "H02", "H03"))
def test_jump_and_error_are_those_of_a_regression_in_r(name: str) -> None:
    found = cliff(table("gov_transfers"), **TRANSFERS, **CASES[name]).pick("jump")
    check(name, found.estimate, found.se)


def test_weights_and_hc1_are_those_of_statsmodels() -> None:
    import statsmodels.api as sm

    frame = made_up()
    found = cliff(
        frame, cutoff=6000, kernel="epanechnikov", bandwidth=2500, order=2, design=Design(weight="weight"), **BRIEF
    )
    d = frame["income"].to_numpy() - 6000
    k = kernel_weights(d, 2500, "epanechnikov")
    kept = k > 0
    below = (d < 0) * 1.0
    x = np.column_stack([below, d**0, d, d**2, below * d, below * d**2])[kept]
    x[:, 2:] /= 2500 ** np.array([1, 2, 1, 2])
    fit = sm.WLS(frame["reimbursed"].to_numpy()[kept], x, weights=(k * frame["weight"].to_numpy())[kept])
    fit = fit.fit(cov_type="HC1")
    # The same normal equations solved twice: equal but for rounding.
    assert found.pick("jump").estimate == pytest.approx(fit.params[0], rel=1e-9)
    assert found.pick("jump").se == pytest.approx(fit.bse[0], rel=1e-8)
    assert found.pick("jump").n == kept.sum()


def test_clusters_give_the_cluster_robust_error_of_statsmodels() -> None:
    import statsmodels.api as sm

    frame = made_up()
    found = cliff(frame, cutoff=6000, design=Design(psu="psu"), **BRIEF).pick("jump")
    d = frame["income"].to_numpy() - 6000
    below = (d < 0) * 1.0
    x = np.column_stack([below, d**0, d / 4000, below * d / 4000])
    fit = sm.OLS(frame["reimbursed"].to_numpy(), x).fit(
        cov_type="cluster", cov_kwds={"groups": frame["psu"].to_numpy()}
    )
    assert found.se == pytest.approx(fit.bse[0], rel=1e-8)
    assert found.rows["df"][0] == 59


def test_linearised_and_jackknife_errors_agree() -> None:
    frame = made_up(600)
    both = [
        cliff(frame, cutoff=6000, bandwidth=2000, by="residence", against="urban", density=1500, sensitivity=False, design=Design(weight="weight", psu="psu", method=method))
        for method in ("linearised", "jackknife")
    ]  # fmt: skip
    for mine, other in zip(both[0].rows["se"], both[1].rows["se"], strict=True):
        # The jackknife has no n/(n-k) and adds what curvature over 60 clusters of unequal weight brings.
        assert mine == pytest.approx(other, rel=0.06)


def test_limits_are_told_for_both_sides_and_groups_are_compared() -> None:
    found = cliff(made_up(), cutoff=6000, by="residence", against="rural", **BRIEF)
    levels = [found.value(name) for name in ("level_eligible", "level_ineligible", "jump")]
    # The made-up truth is 0.25; its error is near 0.01.
    assert levels[0] - levels[1] == pytest.approx(levels[2], abs=1e-12)
    assert levels[2] == pytest.approx(0.25, abs=0.04)
    gap = found.pick("jump", group="urban", against="rural")
    parts = [found.value("jump", group=group) for group in ("urban", "rural")]
    assert gap.estimate == pytest.approx(parts[0] - parts[1], abs=1e-12)
    assert gap.rows["p"][0] is not None


def test_the_sign_says_who_is_eligible_and_where_the_line_itself_belongs() -> None:
    people = {"income": [1.0, 2.0, 3.0, 3.0, 4.0, 5.0], "reimbursed": [0.9, 0.9, 0.9, 0.9, 0.6, 0.6]}
    below = {sign: cliff(people, cutoff=3, sign=sign, order=0, **BRIEF) for sign in ("<", "<=", ">", ">=")}
    assert below["<="].value("jump") == pytest.approx(0.3)
    assert below["<"].value("jump") == pytest.approx(0.9 - 0.75)
    assert below[">"].value("jump") == pytest.approx(-0.3)
    assert below[">="].value("jump") == pytest.approx(-0.15)
    assert below["<="].special["at_the_line"] == 2
    assert below["<="].special["eligible"] == 4


def test_a_line_that_not_all_keep_to_gives_the_wald_ratio() -> None:
    frame = made_up().with_columns(
        has=((pl.col("income") < 6000) & (pl.int_range(pl.len()) % 5 > 0)).cast(pl.Float64),
        paid=pl.col("income") * 0.01,
    ).with_columns(paid=pl.col("paid") + 30 * pl.col("has"))  # fmt: skip
    found = cliff(frame, outcome="paid", cutoff=6000, received="has", **BRIEF)
    # Four in five below the line have the status, and each gets 30 more.
    assert found.value("jump_received") == pytest.approx(0.8, abs=0.05)
    assert found.value("jump_per_received") == pytest.approx(30, abs=1e-6)
    assert found.value("jump_per_received") * found.value("jump_received") == pytest.approx(found.value("jump"))


def test_sensitivity_shows_other_bandwidths_kernels_and_orders() -> None:
    found = cliff(made_up(), cutoff=6000, bandwidth=1500, kernel="triangular", density=False)
    rows = found.rows.filter(pl.col("statistic") == "sensitivity")
    assert rows.select("bandwidth", "kernel", "order").n_unique() == rows.height == 12
    same = rows.filter((pl.col("bandwidth") == 1500) & (pl.col("kernel") == "triangular") & (pl.col("order") == 1))
    assert same["estimate"][0] == pytest.approx(found.value("jump"), abs=1e-12)
    assert same["se"][0] == pytest.approx(found.pick("jump").se, rel=1e-9)


def test_windows_that_hold_nobody_are_told() -> None:
    people = {"income": [1.0, 2.0, 9.0, 10.0], "reimbursed": [1.0, 1.0, 0.0, 0.0]}
    found = cliff(people, cutoff=5, bandwidth=6.0, density=False)
    assert any(note.key == "cliff.empty_windows" for note in found.notes)


def test_a_donut_leaves_out_rows_near_the_line() -> None:
    frame = made_up()
    found = cliff(frame, cutoff=6000, donut=200, **BRIEF)
    kept = frame.filter((pl.col("income") - 6000).abs() >= 200)
    plain = cliff(kept, cutoff=6000, **BRIEF)
    assert found.value("jump") == pytest.approx(plain.value("jump"), abs=1e-12)
    # The design still knows the rows of the hole, as it knows any domain; the correction of HC1 takes that back.
    assert found.pick("jump").se == pytest.approx(plain.pick("jump").se, rel=1e-9)
    assert found.special["in_donut"] == frame.height - kept.height
    assert found.pick("jump").n == kept.height


# Bandwidths


def test_constants_of_bandwidths_are_the_published_ones() -> None:
    # Imbens and Kalyanaraman (2012): 3.4375 for the edge kernel; 5.40 for the uniform one over [-1/2, 1/2], twice ours.
    assert edge_constant("triangular") == pytest.approx(3.4375, abs=5e-5)
    assert 2 * edge_constant("uniform") == pytest.approx(5.40, abs=0.005)


@pytest.mark.parametrize("rule", [imbens_kalyanaraman, rule_of_thumb])
def test_bandwidths_follow_the_unit_of_the_running_variable_and_not_that_of_the_outcome(rule: object) -> None:
    assert callable(rule)
    frame = made_up(500)
    d, y = frame["income"].to_numpy() - 6000, np.sin(frame["income"].to_numpy() / 1500) + frame["reimbursed"].to_numpy()
    plain = rule(d, y, d < 0, "triangular")
    assert 0 < plain <= 4000
    # Powers of a thousand in a cubic and quartic: rounding, no more.
    assert rule(d / 1000, 7 * y, d < 0, "triangular") == pytest.approx(plain / 1000, rel=1e-6)


def test_a_bandwidth_shrinks_with_the_sample_as_its_fifth_root() -> None:
    sizes = []
    for rows in (1_000, 32_000):
        rng = np.random.default_rng(3)
        d = rng.uniform(-1, 1, rows)
        y = np.cos(3 * d) + 0.5 * (d < 0) * d**2 + rng.normal(0, 0.3, rows)
        sizes.append(imbens_kalyanaraman(d, y, d < 0, "triangular"))
    # 32 times the rows halve it; the pilot estimates are random, so roughly.
    assert 1.4 < sizes[0] / sizes[1] < 2.8


def test_the_rule_of_imbens_and_kalyanaraman_nears_the_best_bandwidth_that_a_known_curve_has() -> None:
    rng = np.random.default_rng(1)
    d = rng.uniform(-1, 1, 20_000)
    y = np.where(d < 0, -4 * d**2, 0.5 + 4 * d**2) + rng.normal(0, 0.3, len(d))
    # Their equation 4 with what is known here: variance 0.09 and second derivatives -8 and 8, density one half.
    best = 3.4375 * (2 * 0.09 / (0.5 * 16**2)) ** 0.2 * 20_000**-0.2
    # The pilots are estimates: a tenth to either side over seeds.
    assert imbens_kalyanaraman(d, y, d < 0, "triangular") == pytest.approx(best, rel=0.12)


@pytest.mark.parametrize("rule", ["ik", "rot"])
def test_rules_are_named_in_a_note(rule: str) -> None:
    found = cliff(made_up(), cutoff=6000, bandwidth=rule, **BRIEF)
    assert found.notes[0].key == f"cliff.bandwidth_{rule}"
    assert 0 < found.rows["bandwidth"][0] <= 4000


# Density


def test_density_error_is_that_of_mccrary() -> None:
    rng = np.random.default_rng(11)
    d = rng.normal(0.2, 1, 20_000)
    heaping = Heaping.of(d, d < 0, np.ones(len(d)), 0.5)
    assert heaping is not None
    w = np.ones(len(d))
    theta = heaping.log_difference(w)
    scores = np.asarray(theta.influence())
    density = math.exp(-0.02) / math.sqrt(2 * math.pi)
    # McCrary (2008, proposition 1): variance (24/5)(1/f+ + 1/f-) / (n h); asymptotic, so within a few per cent.
    assert math.sqrt(float(scores @ scores)) == pytest.approx(math.sqrt(4.8 * 2 / density / (20_000 * 0.5)), rel=0.06)
    assert abs(theta.value) < 3 * math.sqrt(float(scores @ scores))


def test_density_sees_people_who_sort_to_the_side_that_gets_more() -> None:
    rng = np.random.default_rng(2)
    income = rng.uniform(2000, 10_000, 8_000)
    moved = np.where((income > 6000) & (income < 6800) & (rng.random(8_000) < 0.5), income - 800, income)
    for values, sorted_away in ((income, False), (moved, True)):
        found = cliff({"income": values, "reimbursed": (values < 6000) * 0.3}, cutoff=6000, sensitivity=False)
        row = found.pick("density_jump").rows
        assert (row["p"][0] < 0.001) == sorted_away
    assert row["estimate"][0] < -0.5


def test_density_counts_a_row_at_the_line_on_its_own_side() -> None:
    d = np.concatenate([np.linspace(-1, 1, 401), np.zeros(40)])
    for below in (d < 0, d <= 0):
        heaping = Heaping.of(d, below, np.ones(len(d)), 0.5)
        assert heaping is not None
        value = heaping.log_difference(np.ones(len(d))).value
        assert value < 0 if below[d == 0].all() else value > 0


def test_too_few_values_give_no_density_and_say_so() -> None:
    people = {"income": [1.0, 2.0, 3.0, 4.0], "reimbursed": [0.9, 0.9, 0.6, 0.6]}
    found = cliff(people, cutoff=2.5, sensitivity=False)
    assert any(note.key == "cliff.no_density" for note in found.notes)


# Properties


@given(seed=st.integers(0, 10_000), scale=st.sampled_from([0.01, 3.0, 1e4]), order=st.integers(0, 2))
@settings(max_examples=25)
def test_units_of_running_variable_and_outcome_change_nothing_else(seed: int, scale: float, order: int) -> None:
    frame = made_up(120, seed=seed)
    plain = cliff(frame, cutoff=6000, bandwidth=3000, order=order, **BRIEF).pick("jump")
    scaled = frame.with_columns(income=pl.col("income") * scale, reimbursed=pl.col("reimbursed") * 100)
    other = cliff(scaled, cutoff=6000 * scale, bandwidth=3000 * scale, order=order, **BRIEF).pick("jump")
    # Normal equations of scaled distances lose a few digits, not more.
    assert other.estimate == pytest.approx(100 * plain.estimate, rel=1e-7, abs=1e-9)
    assert other.se == pytest.approx(100 * plain.se, rel=1e-7)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25)
def test_a_weight_of_k_gives_what_k_copies_give(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame = made_up(80, seed=seed).with_columns(weight=pl.Series(rng.integers(0, 4, 80)))
    copies = frame.select(pl.all().repeat_by("weight").explode()).drop_nulls().with_columns(weight=1)
    options = {"cutoff": 6000, "kernel": "triangular", "bandwidth": 4000, **BRIEF}
    weighted = cliff(frame, design=Design(weight="weight"), **options)
    # Copies are not told from weights by the estimate; the error takes copies for rows drawn on their own.
    assert weighted.value("jump") == pytest.approx(cliff(copies, design=Design(), **options).value("jump"), abs=1e-9)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25)
def test_a_line_through_all_points_is_found_exactly_and_rows_may_stand_in_any_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    income = rng.uniform(0, 10, 40)
    income[:6] = [1, 2, 3, 7, 8, 9]
    outcome = np.where(income < 5, 3 - 0.5 * income, 1 + 0.25 * income)
    order = rng.permutation(40)
    for rows in (np.arange(40), order):
        found = cliff({"income": income[rows], "reimbursed": outcome[rows]}, cutoff=5, **BRIEF)
        assert found.value("jump") == pytest.approx(0.5 - 2.25, abs=1e-9)


# Failure


def test_one_side_is_refused_with_a_sentence() -> None:
    people = {"income": [1.0, 2.0], "reimbursed": [1.0, 1.0]}
    with pytest.raises(InputError, match="nobody stands above the line") as found:
        cliff(people, cutoff=3)
    assert found.value.code == "one_side"
    with pytest.raises(InputError, match=r"within 0\.5 below"):
        cliff({"income": [1.0, 5.1], "reimbursed": [1.0, 1.0]}, cutoff=5, bandwidth=0.5)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"sign": "=<"}, "bad_sign"),
        ({"cutoff": math.nan}, "bad_cutoff"),
        ({"kernel": "normal"}, "bad_choice"),
        ({"bandwidth": 0}, "bad_bandwidth"),
        ({"bandwidth": "cct"}, "bad_bandwidth"),
        ({"order": 4}, "bad_order"),
        ({"donut": -1}, "bad_donut"),
        ({"density": -1.0}, "bad_bandwidth"),
        ({"against": "town", "by": "residence"}, "no_such_group"),
    ],
)
def test_misuse_is_refused_by_name(options: dict[str, object], code: str) -> None:
    with pytest.raises(UsageError) as found:
        cliff(made_up(50), **{"cutoff": 6000, **options})
    assert found.value.code == code


def test_too_few_points_for_a_rule_are_refused() -> None:
    with pytest.raises(InputError) as found:
        cliff({"income": [1.0, 2.0, 3.0, 4.0], "reimbursed": [1.0, 1.0, 0.0, 0.0]}, cutoff=2.5, bandwidth="ik")
    assert found.value.code == "no_bandwidth"


def test_one_row_a_side_is_not_determined_and_says_so() -> None:
    found = cliff({"income": [1.0, 4.0], "reimbursed": [1.0, 0.0]}, cutoff=2.5, density=False)
    assert math.isnan(found.value("jump"))
    assert any(note.key == "cliff.few_points" for note in found.notes)
    flat = cliff({"income": [1.0, 4.0], "reimbursed": [1.0, 0.0]}, cutoff=2.5, order=0, **BRIEF)
    assert flat.value("jump") == 1
    assert math.isnan(flat.pick("jump").se)


def test_tied_incomes_constant_outcomes_and_one_cluster_have_defined_answers() -> None:
    tied = cliff({"income": [1.0] * 5 + [3.0] * 5, "reimbursed": [0.5] * 10}, cutoff=2, **BRIEF)
    assert math.isnan(tied.value("jump"))
    constant = cliff(made_up().with_columns(reimbursed=0.5), cutoff=6000, **BRIEF)
    assert constant.value("jump") == pytest.approx(0, abs=1e-12)
    lonely = cliff(made_up().with_columns(psu=1), cutoff=6000, design=Design(psu="psu"), **BRIEF).pick("jump")
    assert math.isfinite(lonely.estimate)
    assert math.isnan(lonely.se)


def test_missing_zero_negative_and_infinite_values_are_counted_or_refused() -> None:
    frame = made_up(100)
    holes = frame.with_columns(
        reimbursed=pl.when(pl.int_range(pl.len()) < 7).then(None).otherwise(pl.col("reimbursed"))
    )
    assert cliff(holes, cutoff=6000, **BRIEF).special["missing"] == 7
    with pytest.raises(InputError, match="infinite"):
        cliff(frame.with_columns(income=math.inf), cutoff=6000)
    with pytest.raises(InputError, match="a weight is zero or above"):
        cliff(frame.with_columns(weight=-1.0), cutoff=6000)
    with pytest.raises(InputError, match="every weight is zero"):
        cliff(frame.with_columns(weight=0.0), cutoff=6000)


def test_curve_has_means_and_fitted_lines_on_both_sides() -> None:
    found = cliff(made_up(), cutoff=6000, bandwidth=2000, **BRIEF)
    curve = found.curves["cliff"]
    assert curve.columns == ["series", "side", "x", "y", "n"]
    assert curve.height <= 1000
    bins = curve.filter(pl.col("series") == "bin")
    assert bins["n"].sum() == found.pick("jump").n
    edge = curve.filter((pl.col("series") == "fit") & (pl.col("x") == 6000)).sort("side")["y"].to_list()
    assert edge == pytest.approx([found.value("level_ineligible"), found.value("level_eligible")])


def test_the_result_says_what_it_is_in_both_languages() -> None:
    found = cliff(made_up(), cutoff=6000, bandwidth="ik", kernel="triangular")
    assert "McCrary" in found.text("en")
    assert "悬崖" in found.text("zh")
    assert found.sign == "<"


# By status


def stays() -> pl.DataFrame:
    """Make 400 stays: poor people are paid about 90 % of their cost, others about 65 %."""
    rng = np.random.default_rng(9)
    cost = rng.gamma(2, 5000, 400).round(2)
    poor = np.arange(400) % 3 == 0
    rate = np.clip(np.where(poor, 0.9, 0.65) + rng.normal(0, 0.05, 400), 0, 1)
    group = np.where(poor, "dibao", "none")
    return pl.DataFrame({"status": group, "total": cost, "paid": (cost * rate).round(2), "psu": np.arange(400) // 10})


def test_reimbursement_with_and_without_a_status_differs_by_the_jump() -> None:
    frame = stays()
    found = status_cliff(frame, status="status", eligible="dibao", design=Design())
    sums = frame.group_by("status").agg(ratio=pl.col("paid").sum() / pl.col("total").sum()).sort("status")["ratio"]
    assert found.value("ratio_eligible") == pytest.approx(sums[0])
    assert found.value("jump") == pytest.approx(sums[0] - sums[1])
    means = frame.with_columns(one=pl.col("paid") / pl.col("total")).group_by("status").mean().sort("status")["one"]
    assert found.value("mean_jump") == pytest.approx(means[0] - means[1])
    assert found.pick("jump").rows["p"][0] < 1e-6
    # The group with more is the other one: the same difference with the other sign.
    turned = status_cliff(frame, status="status", eligible=["none"], design=Design())
    assert turned.value("jump") == pytest.approx(-found.value("jump"))


def test_errors_by_status_agree_with_the_jackknife() -> None:
    both = [
        status_cliff(stays(), status="status", eligible="dibao", design=Design(psu="psu", method=method)).rows["se"]
        for method in ("linearised", "jackknife")
    ]
    # Ratios over 40 clusters: the jackknife has curvature that linearising leaves out.
    assert both[0].to_list() == pytest.approx(both[1].to_list(), rel=0.03)


def test_statuses_may_be_numbers_and_flags() -> None:
    frame = stays().with_columns(code=pl.when(pl.col("status") == "dibao").then(1.0).otherwise(0.0))
    by_name = status_cliff(frame, status="status", eligible="dibao").value("jump")
    assert status_cliff(frame, status="code", eligible="1").value("jump") == by_name
    flags = frame.with_columns(flag=pl.col("code") > 0)
    assert status_cliff(flags, status="flag", eligible=True).value("jump") == by_name
    with pytest.raises(UsageError, match="holds numbers"):
        status_cliff(frame, status="code", eligible="dibao")


def test_a_status_that_nobody_or_everybody_has_is_refused() -> None:
    with pytest.raises(InputError, match="nobody has the status tekun"):
        status_cliff(stays(), status="status", eligible="tekun")
    with pytest.raises(InputError, match="nobody lacks"):
        status_cliff(stays(), status="status", eligible=["dibao", "none"])


def test_stays_without_cost_are_counted_and_have_no_ratio_of_their_own() -> None:
    frame = {"status": ["a", "a", "b", "b"], "total": [100.0, 0.0, 100.0, 50.0], "paid": [90.0, 0.0, 60.0, 60.0]}
    found = status_cliff(frame, status="status", eligible="a")
    assert found.special["cost_of_zero"] == 1
    assert found.special["paid_above_cost"] == 1
    assert found.value("mean_ratio_eligible") == pytest.approx(0.9)
    nothing = status_cliff({**frame, "total": [0.0] * 4, "paid": [0.0] * 4}, status="status", eligible="a")
    assert math.isnan(nothing.value("jump"))


# Arithmetic


def test_ninety_against_sixty_five_per_cent_costs_a_quarter() -> None:
    found = arithmetic_cliff(cost=10_000)
    assert found.value("jump") == pytest.approx(0.25)
    assert found.value("loss") == pytest.approx(2500)
    assert found.value("dominated_width") == pytest.approx(2500)
    assert found.value("burden_eligible") == pytest.approx(1000)
    assert found.value("burden_ineligible") == pytest.approx(3500)
    assert math.isnan(found.pick("loss").se)


def test_arithmetic_refuses_rates_and_costs_that_are_none() -> None:
    for options, code in (({"rate_in": 90}, "bad_rate"), ({"cost": -1}, "bad_cost")):
        with pytest.raises(UsageError) as found:
            arithmetic_cliff(**{"cost": 1.0, **options})
        assert found.value.code == code
    assert arithmetic_cliff(cost=100, rate_in=0.5, rate_out=0.6).value("dominated_width") == 0


def test_a_row_exactly_as_far_as_the_donut_stays() -> None:
    people = {"income": [-2.0, -1.0, 0.0, 1.0, 2.0], "reimbursed": [0.9, 0.8, 0.6, 0.7, 0.5]}
    found = cliff(people, donut=1.0, order=0, **BRIEF)
    assert found.special["in_donut"] == 1
    assert found.value("level_eligible") == pytest.approx(0.85)


def test_the_density_is_that_of_all_rows_also_around_a_donut() -> None:
    frame = made_up()
    plain, ring = (cliff(frame, cutoff=6000, donut=width, sensitivity=False) for width in (0.0, 100.0))
    assert ring.value("density_jump") == pytest.approx(plain.value("density_jump"), rel=1e-12)


def test_no_bandwidth_of_the_sensitivity_reaches_beyond_the_farthest_row() -> None:
    frame = made_up()
    rows = cliff(frame, cutoff=6000, density=False).rows.filter(statistic="sensitivity")
    farthest = float((frame["income"] - 6000).abs().max())  # type: ignore[arg-type]
    assert sorted(rows["bandwidth"].unique().to_list()) == pytest.approx([farthest / 2, farthest])
