"""Burden reduction, relative risk and the safe zone: other people's answers, a study's printed figures, failures."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protection_cases import check, expected, ids, table

from medfloor.errors import InputError, UsageError
from medfloor.measures import Design, burden
from medfloor.measures.result import Result

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CELLS = [("low", "unsafe"), ("low", "safe"), ("high", "unsafe"), ("high", "safe")]


def rand() -> pl.DataFrame:
    """Give the RAND experiment's first year with what patients paid: coinsurance up to the year's maximum."""
    return table("randhie_y1").with_columns(
        own=pl.min_horizontal(pl.col("coins") / 100 * pl.col("meddol"), pl.col("mdeoff"))
    )


def crossed(found: Result, tier: str, statistic: str = "cross_cases") -> list[float]:
    return [found.value(statistic, tier=tier, risk=risk, zone=zone) for risk, zone in CELLS]


@pytest.mark.parametrize("name", ids("H05"))
def test_burden_reduction_in_rand_is_that_of_an_own_script_in_r(name: str) -> None:
    found = burden(rand(), total="meddol", oop="own", reference="mean", by="coins")
    at = {"group": name.removeprefix("H05_bri_coins"), "tier": "compensation"}
    check(name, found.value("burden_reduction", **at), found.value("mean_burden_reduction", **at))


@pytest.mark.parametrize("name", ids("H06"))
def test_the_cross_table_of_rand_is_that_of_an_own_script_in_r(name: str) -> None:
    check(name, *crossed(burden(rand(), total="meddol", oop="own", reference="mean"), "compensation"))


def test_other_references_give_the_cross_tables_of_the_notes() -> None:
    # Counts worked out with R for the research note of this project, by the median and by 10 % of income.
    by_median = burden(rand(), total="meddol", oop="own", reference="median")
    assert crossed(by_median, "compensation") == [1028, 1197, 835, 1391]
    by_income = burden(rand(), total="meddol", oop="own", reference="income", risk_cut=0.1)
    assert crossed(by_income, "compensation") == [1753, 2348, 110, 240]
    assert by_income.special["no_reference"] == 20


def constructed() -> pl.DataFrame:
    made: pl.DataFrame = runpy.run_path(str(EXAMPLES / "seed_003.py"))["cases"]()
    return made


def test_constructed_cases_give_the_figures_that_the_study_of_a_county_printed() -> None:
    found = burden(constructed(), reference="income")
    at = {"tier": "assistance", "zone": "safe"}
    shares = [found.value("cross_share", risk=risk, **at) for risk in ("low", "high")]
    safe = found.value("safe_share", tier="assistance")
    counts = crossed(found, "assistance")
    printed = [round(100 * one, 2) for one in (*shares, safe)]
    check("I01_seed003", *printed, sum(counts), counts[1] + counts[3])
    assert counts == [361, 1041, 214, 961]
    # chi2 and odds ratio of this table, as the research note gives them to three decimals.
    assert found.value("pearson_chi2", tier="assistance") == pytest.approx(20.944, abs=0.0005)
    assert found.value("odds_ratio", tier="assistance") == pytest.approx(1.557, abs=0.0005)


def test_shares_of_diseases_are_those_that_the_study_printed() -> None:
    found = burden(constructed(), reference="income", by="disease")
    shares = [found.value("case_share", group=group) for group in ("circulatory", "respiratory")]
    check("I02_seed003_dx", *[round(100 * one, 2) for one in shares])
    assert found.pick("case_share", group="respiratory").rows["n"].item() == 346
    assert expected("I02_seed003_dx") == [54.09, 13.43]


# Synthetic cases

COST, BASIC, ASSISTANCE = [100.0, 100.0, 400.0, 1000.0], [60.0, 80.0, 100.0, 300.0], [0.0, 0.0, 260.0, 500.0]
CASES = {"total": COST, "pay_basic": BASIC, "pay_assistance": ASSISTANCE, "income": [200.0, 50.0, 500.0, 800.0]}


def test_layers_add_up_to_the_whole_reduction() -> None:
    found = burden(CASES, reference="mean")
    for added, whole in (("added_reduction", "burden_reduction"), ("mean_added_reduction", "mean_burden_reduction")):
        parts = [found.value(added, tier=tier) for tier in ("basic", "assistance")]
        assert sum(parts) == pytest.approx(found.value(whole, tier="assistance"), rel=1e-14)
    assert found.value("burden_reduction", tier="basic") == pytest.approx(540 / 1600)
    assert found.value("mean_burden_reduction", tier="basic") == pytest.approx((0.6 + 0.8 + 0.25 + 0.3) / 4)


def test_with_a_fixed_reference_the_fall_of_relative_risk_is_the_burden_reduction() -> None:
    found = burden(CASES, reference=250.0)
    before = found.value("relative_risk", tier="before")
    for tier in ("basic", "assistance"):
        fall = 1 - found.value("relative_risk", tier=tier) / before
        assert fall == pytest.approx(found.value("burden_reduction", tier=tier), rel=1e-14)
        # A fixed reference makes ratio of sums and mean of ratios one and the same.
        means = found.value("mean_relative_risk", tier=tier)
        assert means == pytest.approx(found.value("relative_risk", tier=tier), rel=1e-14)


def test_whether_exactly_the_share_is_safe_is_a_choice_that_the_result_states() -> None:
    closed = burden(CASES, reference="mean")
    opened = burden(CASES, reference="mean", safe_closed=False)
    # Cases reach 0.6, 0.8, 0.9 and 0.8; 0.8 is exactly at the edge.
    assert closed.value("safe_share", tier="assistance") == 0.75
    assert opened.value("safe_share", tier="assistance") == 0.25
    assert (closed.sign, opened.sign) == (">=", ">")
    assert ">= 0.8" in closed.definition.say("en") and "> 0.8" in opened.definition.say("zh")


def test_an_edge_that_rounding_misses_still_counts_as_the_edge() -> None:
    # 0.1 + 0.7 is 0.7999999999999999 in doubles; in fen it is 0.80.
    cases = {"total": [1.0], "pay_basic": [0.1], "pay_assistance": [0.7]}
    assert burden(cases, reference=1.0).value("safe_share", tier="assistance") == 1.0


def test_risk_moves_from_before_to_after_and_rows_add_up() -> None:
    found = burden(CASES, reference="income")
    moved = {
        (row["risk"], row["risk_after"]): row["estimate"]
        for row in found.rows.filter(statistic="change_cases", tier="basic").iter_rows(named=True)
    }
    # Costs over income: 0.5, 2, 0.8, 1.25; after basic 0.2, 0.4, 0.6, 0.875.
    assert moved == {("low", "low"): 2, ("low", "high"): 0, ("high", "low"): 2, ("high", "high"): 0}
    shares = found.rows.filter(statistic="change_share", tier="basic").group_by("risk").agg(pl.col("estimate").sum())
    assert shares["estimate"].to_list() == [1.0, 1.0]


def test_what_is_left_can_be_given_instead_of_payments() -> None:
    left = [c - b - a for c, b, a in zip(COST, BASIC, ASSISTANCE, strict=True)]
    found = burden({"total": COST, "left": left}, oop="left", reference="mean")
    whole = burden(CASES, reference="mean")
    assert crossed(found, "compensation") == crossed(whole, "assistance")
    both = burden({**CASES, "left": [one / 2 for one in left]}, oop="left", reference="mean")
    assert both.rows["tier"].unique(maintain_order=True).drop_nulls().to_list() == [
        "before",
        "basic",
        "assistance",
        "other",
    ]


def test_cases_without_cost_are_counted_and_change_nothing() -> None:
    more = {name: [*values, 0.0, -5.0] for name, values in CASES.items()}
    found = burden(more, reference="mean")
    assert (found.special["no_cost"], found.special["negative_cost"]) == (1, 1)
    plain = burden(CASES, reference="mean")
    tests = pl.col("statistic").is_in(["pearson_chi2", "rao_scott_f"])  # they know how many rows were drawn
    pairs = zip(*(one.rows.filter(~tests)["estimate"].to_list() for one in (found, plain)), strict=True)
    assert all(one == other for one, other in pairs)


def test_a_reference_of_zero_or_below_is_high_risk_while_something_is_left() -> None:
    cases = {**CASES, "income": [0.0, -10.0, 500.0, 800.0], "pay_assistance": [40.0, 0.0, 260.0, 500.0]}
    found = burden(cases, reference="income")
    assert found.special["no_reference"] == 2
    assert found.value("high_risk_share", tier="before") == 0.75
    # The first is paid in full in the end, so that nothing is left to be a risk.
    assert found.value("high_risk_share", tier="assistance") == 0.25
    assert found.pick("relative_risk", tier="before").n == 2
    assert any("zero or below" in note.say("en") for note in found.notes)


def test_payments_over_the_cost_and_below_zero_are_reported() -> None:
    found = burden({"total": [100.0, 50.0], "pay_basic": [120.0, -10.0]}, reference="mean")
    assert (found.special["paid_over_cost"], found.special["negative_payment"]) == (1, 1)
    assert found.value("burden_reduction", tier="basic") == pytest.approx(110 / 150)


def test_the_reference_has_no_default_and_the_error_names_the_choices() -> None:
    with pytest.raises(UsageError, match=r"mean or median .* a number, or a column") as caught:
        burden(CASES)
    assert caught.value.code == "no_reference"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"reference": 0.0}, "bad_reference"),
        ({"reference": float("nan")}, "bad_reference"),
        ({"reference": "mean", "safe": 80.0}, "bad_share"),
        ({"reference": "mean", "risk_cut": 0.0}, "bad_share"),
        ({"reference": "mean", "tiers": "pay_basic"}, "no_tiers"),
        ({"reference": "mean", "tiers": ["pay_basic", "pay_basic"]}, "no_tiers"),
        ({"reference": "mean", "tiers": []}, "no_tiers"),
        ({"reference": "incme"}, "missing_column"),
        ({"reference": "mean", "by": "income", "against": "nowhere"}, "no_such_group"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: dict[str, object], code: str) -> None:
    with pytest.raises((UsageError, InputError)) as caught:
        burden(CASES, **arguments)
    assert caught.value.code == code


def test_a_table_without_payments_or_without_costs_is_refused() -> None:
    with pytest.raises(UsageError, match="no column pay_<tier>"):
        burden({"total": COST}, reference="mean")
    with pytest.raises(InputError, match="none of 2 cases has a cost") as caught:
        burden({"total": [0.0, 0.0], "pay_basic": [0.0, 0.0]}, reference="mean")
    assert caught.value.code == "no_costs"
    with pytest.raises(InputError, match="infinite"):
        burden({"total": [1.0, float("inf")], "pay_basic": [0.0, 0.0]}, reference="mean")
    with pytest.raises(InputError, match="zero or above"):
        burden({**CASES, "weight": [1.0, -1.0, 1.0, 1.0]}, reference="mean")


@pytest.mark.parametrize("rows", [1, 2])
def test_one_case_or_one_cluster_has_estimates_and_no_error(rows: int) -> None:
    cases = {name: values[:rows] for name, values in CASES.items()} | {"psu": ["a"] * rows}
    found = burden(cases, reference="mean", design=Design(psu="psu"))
    assert found.rows["se"].null_count() == found.rows.height
    assert 0 < found.value("burden_reduction", tier="assistance") < 1


def test_cases_that_are_all_alike_have_no_test_and_no_odds() -> None:
    found = burden({"total": [100.0] * 5, "pay_basic": [50.0] * 5}, reference="mean")
    assert "pearson_chi2" not in found.rows["statistic"].to_list()
    assert found.pick("odds_ratio", tier="basic").rows["estimate"].item() is None
    assert found.value("high_risk_share", tier="before") == 1.0


def test_missing_amounts_leave_a_case_out_and_are_counted() -> None:
    found = burden({**CASES, "pay_basic": [60.0, None, 100.0, 300.0]}, reference="mean")
    assert found.special["missing"] == 1
    assert found.pick("safe_share", tier="basic").n == 3


amounts = st.lists(
    st.tuples(st.integers(1, 10**6), st.floats(0, 0.7), st.floats(0, 0.3), st.floats(1, 10**6), st.integers(1, 3)),
    min_size=2,
    max_size=12,
)


def _cases(rows: list[tuple[int, float, float, float, int]]) -> dict[str, list[float]]:
    return {
        "total": [float(cost) for cost, *_ in rows],
        "pay_basic": [cost * basic for cost, basic, *_ in rows],
        "pay_assistance": [cost * further for cost, _, further, *_ in rows],
        "income": [income for *_, income, _ in rows],
        "weight": [float(copies) for *_, copies in rows],
    }


@settings(max_examples=40)
@given(amounts)
def test_weights_are_copies_and_the_unit_of_money_does_not_matter(
    rows: list[tuple[int, float, float, float, int]],
) -> None:
    weighted = burden(_cases(rows), reference="income", design=Design(weight="weight"))
    copied = burden(_cases([row for row in rows for _ in range(row[-1])]), reference="income", design=Design())
    fen = {name: [v if name == "weight" else 100 * v for v in values] for name, values in _cases(rows).items()}
    scaled = burden(fen, reference="income", design=Design(weight="weight"))
    for row in weighted.rows.filter(~pl.col("statistic").is_in(["pearson_chi2", "rao_scott_f"])).iter_rows(named=True):
        labels = {name: row[name] for name in ("tier", "risk", "zone", "risk_after")}
        for other in (copied, scaled):
            same = other.pick(row["statistic"], **labels).rows["estimate"].item()
            # Sums of a dozen doubles; the order of adding differs.
            assert same == (None if row["estimate"] is None else pytest.approx(row["estimate"], rel=1e-9, abs=1e-12))


@settings(max_examples=40)
@given(amounts)
def test_a_burden_that_payers_only_lower_never_raises_a_risk(
    rows: list[tuple[int, float, float, float, int]],
) -> None:
    found = burden(_cases(rows), reference="income", design=Design())
    for tier in ("basic", "assistance"):
        assert found.value("change_cases", tier=tier, risk="low", risk_after="high") == 0
        assert -1e-12 <= found.value("burden_reduction", tier=tier) <= 1 + 1e-12
        assert sum(crossed(found, tier)) == len(rows)


def synthetic(clusters: int = 120, size: int = 6, seed: int = 5) -> pl.DataFrame:
    """Make up clustered cases."""
    rng = np.random.default_rng(seed)
    n = clusters * size
    place = np.repeat(np.arange(clusters), size)
    cost = rng.lognormal(8, 0.6, n) * np.exp(rng.normal(0, 0.3, clusters))[place]
    basic = cost * rng.uniform(0.3, 0.8, n)
    return pl.DataFrame(
        {
            "total": cost,
            "pay_basic": basic,
            "pay_assistance": (cost - basic) * rng.uniform(0, 1, n),
            "income": rng.lognormal(8.2, 0.7, n),
            "village": place,
            "w": rng.uniform(0.5, 2, n),
            "side": np.where(place % 2 == 0, "east", "west"),
        }
    )


@pytest.mark.parametrize("by", [None, "side"])
def test_linearised_and_jackknife_errors_agree(by: str | None) -> None:
    drawn = {"weight": "w", "psu": "village"}
    linear = burden(synthetic(), reference="income", by=by, design=Design(**drawn))
    jackknife = burden(synthetic(), reference="income", by=by, design=Design(**drawn, method="jackknife"))
    pairs = linear.rows.select("statistic", "tier", "se").with_columns(other=jackknife.rows["se"])
    pairs = pairs.filter(pl.col("se") > 1e-9)  # a share of one has an error of rounding only
    assert pairs.height > 30
    off = (pairs["other"] / pairs["se"] - 1).abs()
    # The two differ by terms of one over the number of clusters, here 60 to 120, times how far a statistic is from linear.
    assert off.max() < 0.05


def test_groups_differ_as_their_estimates_do() -> None:
    found = burden(synthetic(), reference="income", by="side", against="east", design=Design(psu="village"))
    at = {"tier": "assistance", "group": "west"}
    gap = found.value("safe_share", **at) - found.value("safe_share", tier="assistance", group="east")
    row = found.rows.filter(statistic="safe_share", tier="assistance", against="east").row(0, named=True)
    assert row["estimate"] == pytest.approx(gap, rel=1e-12)
    assert row["se"] > 0 and 0 <= row["p"] <= 1


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_answer_says_that_the_formulas_are_ours(lang: str) -> None:
    told = burden(synthetic(), reference="median", by="side").text(lang)
    assert {"en": "this project's own", "zh": "本项目自定"}[lang] in told
    assert {"en": "median cost of all cases", "zh": "中位数"}[lang] in told


@pytest.mark.parametrize(("reference", "high"), [(1e9, 0.0), (1e-3, 1.0)])
def test_a_reference_above_or_below_everyone_leaves_one_interval_empty(reference: float, high: float) -> None:
    found = burden(CASES, reference=reference)
    assert found.value("high_risk_share", tier="before") == high
    # The empty row of the cross table has counts of zero and no shares.
    empty = "high" if high == 0 else "low"
    assert found.value("cross_cases", tier="basic", risk=empty, zone="safe") == 0
    assert found.pick("cross_share", tier="basic", risk=empty, zone="safe").rows["estimate"].item() is None


def test_a_case_that_is_paid_in_full_is_not_paid_over_its_cost() -> None:
    found = burden({"total": [100.0, 100.0], "pay_basic": [100.0, 120.0]}, reference=50)
    assert found.special["paid_over_cost"] == 1


def test_the_mean_reference_and_the_counted_cases_are_weighted() -> None:
    cases = {"total": [100.0, 400.0, 200.0], "pay_basic": [50.0, 100.0, 0.0], "weight": [3.0, 1.0, 0.5]}
    found = burden(cases, reference="mean", design=Design(weight="weight"))
    # All costs over as many times their weighted mean.
    assert found.value("relative_risk", tier="before") == pytest.approx(1, rel=1e-12)
    for statistic in ("relative_risk", "mean_relative_risk"):
        one = found.pick(statistic, tier="basic")
        assert (one.n, one.weighted_n) == (3, 4.5)
