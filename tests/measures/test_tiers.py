"""Measures before insurance and after each tier."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.errors import InputError, UsageError
from medfloor.measures.catastrophic import catastrophic
from medfloor.measures.concentration import concentration
from medfloor.measures.design import Design
from medfloor.measures.impoverishing import impoverishing
from medfloor.measures.inequality import inequality
from medfloor.measures.lines import RelativeLine
from medfloor.measures.poverty import poverty
from medfloor.measures.result import Result
from medfloor.measures.stages import stages_of
from medfloor.measures.tiers import by_tier
from medfloor.settlement import settle
from medfloor.tables import NATIONAL_SETTLEMENTS
from medfloor.words import LANGS

TIERS = ("basic", "critical_illness", "assistance")
STAGES = ("before", *TIERS)


def county(homes: int = 200, seed: int = 3) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Make a synthetic county: households, people, and their settlements by three tiers; money with two decimals."""
    rng = np.random.default_rng(seed)
    size = rng.integers(1, 5, homes)
    households = pl.DataFrame(
        {
            "household_id": [f"h{place}" for place in range(homes)],
            "size": size,
            "consumption": rng.lognormal(10.5, 0.5, homes).round(2),
            "weight": rng.uniform(0.5, 2, homes),
            "psu": np.arange(homes) // 8,
            "residence": np.where(rng.random(homes) < 0.5, "urban", "rural"),
        }
    )
    who = np.repeat(np.arange(homes), size)
    people = pl.DataFrame(
        {"person_id": [f"p{place}" for place in range(len(who))], "household_id": [f"h{place}" for place in who]}
    )
    ill = rng.integers(0, len(who), 2 * homes)
    total = rng.lognormal(8.5, 1.3, len(ill)).round(2)
    basic = (0.6 * total).round(2)
    critical = (0.5 * np.maximum(total - basic - 10_000, 0)).round(2)
    aid = np.where(rng.random(len(ill)) < 0.3, (0.7 * (total - basic - critical)).round(2), 0.0)
    settlements = pl.DataFrame(
        {
            "claim_id": [f"c{place}" for place in range(len(ill))],
            "person_id": [f"p{place}" for place in ill],
            "benefit_year": np.full(len(ill), 2024),
            "total": total,
            "pay_basic": basic,
            "pay_critical_illness": critical,
            "pay_assistance": aid,
            "pay_total": (basic + critical + aid).round(2),
        }
    )
    return households, settlements, people


def measured(**asked: Any) -> Result:
    households, settlements, people = county()
    return by_tier(households, settlements, people=people, **asked)


MEASURES: dict[str, dict[str, Any]] = {
    "catastrophic": {"of": "catastrophic", "thresholds": [0.1, 0.25], "rank_weighted": True},
    "impoverishing": {"of": "impoverishing", "line": [6000.0, "median:0.6"], "ranked": True},
    "concentration": {"of": "concentration"},
    "inequality": {"of": "inequality"},
}


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("by", [None, "residence"])
def test_the_changes_of_the_tiers_add_up_to_the_whole(name: str, by: str | None) -> None:
    rows = measured(**MEASURES[name], by=by).rows
    keys = ["of", "by", "group", *(one for one in ("threshold", "line") if one in rows.columns)]
    steps = rows.filter(pl.col("statistic") == "step_change").group_by(keys).agg(pl.col("estimate").sum())
    last = rows.filter(pl.col("statistic") == "cumulative_change", pl.col("tier") == TIERS[-1])
    both = steps.join(last, on=keys, nulls_equal=True)
    assert both.height == steps.height > 0
    # Sums of three differences: rounding alone keeps them apart.
    assert both["estimate"].to_list() == pytest.approx(both["estimate_right"].to_list(), rel=1e-9, abs=1e-9)
    levels = rows.filter(pl.col("of").is_null(), pl.col("statistic") != "paid")
    assert levels["tier"].unique(maintain_order=True).to_list() == list(STAGES)


def stage_tables() -> list[pl.DataFrame]:
    households, settlements, people = county()
    frame = stages_of(households, settlements, people=people).frame
    return [frame.with_columns(oop=pl.col(f"stage_{place}")) for place in range(4)]


def test_each_stage_is_the_measure_on_what_is_paid_then() -> None:
    found = measured(**MEASURES["catastrophic"])
    poor = measured(of="impoverishing", line=6000.0)
    spent = measured(of="concentration")
    for tier, homes in zip(STAGES, stage_tables(), strict=True):
        plain = catastrophic(homes, thresholds=[0.1, 0.25])
        for statistic in ("headcount", "overshoot", "mean_positive_overshoot", "concentration_headcount"):
            one, other = (
                found.pick(statistic, tier=tier, threshold=0.25, of=None),
                plain.pick(statistic, threshold=0.25),
            )
            # The plain measure may add up in another order (its compiled pass), so the last digits differ.
            assert (one.estimate, one.se) == pytest.approx((other.estimate, other.se), rel=1e-9)
        plain = impoverishing(homes, line=6000.0)
        for statistic in ("net_headcount", "impoverished", "net_gap"):
            one, other = poor.pick(statistic, tier=tier, of=None), plain.pick(statistic)
            assert (one.estimate, one.se) == pytest.approx((other.estimate, other.se), rel=1e-9)
        one = spent.pick("concentration_index", tier=tier, of=None)
        other = concentration(homes, of="oop", rank="consumption", rank_by="person").pick("concentration_index")
        assert (one.estimate, one.se) == pytest.approx((other.estimate, other.se), rel=1e-9)


def test_changes_are_paired_so_their_error_is_that_of_the_difference_by_household() -> None:
    before, after = stage_tables()[:2]
    households = before.with_columns(
        change=(pl.lit(after["oop"]) > 0.1 * pl.col("consumption")).cast(pl.Float64)
        - (pl.col("oop") > 0.1 * pl.col("consumption")).cast(pl.Float64)
    )
    w, y = households["weight"].to_numpy(), households["change"].to_numpy()
    mean = float(w @ y / w.sum())
    totals = np.bincount(households["psu"].to_numpy(), w * (y - mean)) / w.sum()
    error = np.sqrt(len(totals) / (len(totals) - 1) * ((totals - totals.mean()) ** 2).sum())
    found = measured(thresholds=[0.1]).pick("step_change", of="headcount", tier="basic")
    assert (found.estimate, found.se) == pytest.approx((mean, error), rel=1e-9)


@pytest.mark.parametrize("method", ["jackknife", "bootstrap"])
def test_errors_of_changes_and_prices_agree_with_replicates(method: str) -> None:
    names = [("step_change", "headcount"), ("cumulative_change", "overshoot"), ("change_per_10000", "headcount")]
    errors = []
    for one in ("linearised", method):
        design = Design(weight="weight", psu="psu", method=one, replicates=400)  # type: ignore[arg-type]
        found = measured(thresholds=[0.25], design=design)
        errors.append([found.pick(view, of=of, tier="critical_illness").se for view, of in names])
    # 25 clusters only, and ratios: some hundredths of second order, and 4 per cent of noise in 400 bootstraps.
    assert errors[0] == pytest.approx(errors[1], rel=0.12)


def test_the_price_is_the_change_over_what_the_tier_pays() -> None:
    households, settlements, people = county()
    found = by_tier(households, settlements, people=people, thresholds=[0.25], unit="person")
    home = settlements.join(people, on="person_id").group_by("household_id").agg(pl.col("pay_basic").sum())
    joined = households.join(home, on="household_id", how="left").fill_null(0.0)
    paid = float((joined["weight"] * joined["pay_basic"]).sum())
    persons = float((joined["weight"] * joined["size"]).sum())
    assert found.value("paid", tier="basic", of=None) == pytest.approx(paid / persons)
    change = found.value("step_change", of="headcount", tier="basic") * persons
    assert found.value("change_per_10000", of="headcount", tier="basic") == pytest.approx(change / paid * 10_000)


def test_a_tier_that_pays_nothing_changes_nothing() -> None:
    households, settlements, people = county()
    idle = settlements.with_columns(pay_tilt=pl.lit(0.0)).select(*settlements.columns, "pay_tilt")
    for name, asked in MEASURES.items():
        found = by_tier(households, idle, people=people, **asked).rows.filter(pl.col("tier") == "tilt")
        changes = found.filter(pl.col("statistic").is_in(["step_change"]))
        assert changes["estimate"].drop_nulls().to_list() == [0.0] * changes["estimate"].count(), name
        prices = found.filter(pl.col("statistic") == "change_per_10000")
        assert prices["estimate"].null_count() == prices.height, name


@settings(max_examples=25)
@given(st.integers(1, 10_000), st.integers(-6, 6))
def test_scale_changes_no_share_and_order_changes_nothing(seed: int, power: int) -> None:
    households, settlements, people = county(40, seed)
    asked = {"thresholds": [0.1], "people": people}
    first = by_tier(households, settlements, **asked)
    shuffled = by_tier(households.reverse(), settlements.sample(fraction=1, shuffle=True, seed=seed), **asked)
    # 100 is a whole number of fen, so what each household pays stays exact.
    scale = 100.0 * 2 ** abs(power)
    money = [name for name in settlements.columns if name == "total" or name.startswith("pay_")]
    scaled = by_tier(
        households.with_columns(pl.col("consumption") * scale),
        settlements.with_columns((pl.col(*money) * scale).round(0)),
        **asked,
    )
    for one in (shuffled, scaled):
        for tier in STAGES:
            value = one.value("headcount", tier=tier, of=None)
            assert value == pytest.approx(first.value("headcount", tier=tier, of=None), rel=1e-9)
            assert 0 <= value <= 1


def test_rows_that_take_a_claim_back_cancel_it() -> None:
    households, settlements, people = county()
    money = [name for name in settlements.columns if name == "total" or name.startswith("pay_")]
    wrong = settlements[:50].with_columns(claim_id=pl.col("claim_id") + "x")
    reversed_rows = wrong.with_columns(-pl.col(*money))
    both = pl.concat([settlements, wrong, reversed_rows])
    assert by_tier(households, both, people=people).rows.equals(by_tier(households, settlements, people=people).rows)


def test_households_without_claims_pay_nothing_and_are_counted() -> None:
    homes = {"household_id": ["a", "b", "c"], "consumption": [100.0] * 3, "size": [1] * 3, "chemist": [0.0, 20.0, 0.0]}
    claims = {"household_id": ["a"], "total": [50.0], "pay_basic": [45.0]}
    found = by_tier(homes, claims, thresholds=[0.1])
    assert found.special["no_claims"] == 2
    assert [found.value("headcount", tier=tier) for tier in ("before", "basic")] == pytest.approx([1 / 3, 0])
    beside = by_tier(homes, claims, thresholds=[0.1], besides="chemist")
    assert [beside.value("headcount", tier=tier) for tier in ("before", "basic")] == pytest.approx([2 / 3, 1 / 3])


def test_tiers_are_taken_in_the_order_asked_and_joined() -> None:
    found = measured(tiers=["assistance", "basic+critical_illness"])
    names = found.rows["tier"].unique(maintain_order=True).to_list()
    assert names == ["before", "assistance", "basic+critical_illness"]
    assert found.value("headcount", threshold=0.1, tier=names[-1], of=None) == pytest.approx(
        measured().value("headcount", threshold=0.1, tier="assistance", of=None), rel=1e-12
    )
    assert "基本医疗保险 + 大病保险" in found.text("zh")
    part = measured(tiers=["basic"])
    assert [note.key for note in part.notes] == ["by_tier.observed", "by_tier.ours", "by_tier.left"]


def test_any_function_of_the_room_is_measured_with_paired_errors() -> None:
    ours = measured(thresholds=[0.1, 0.25])
    found = measured(of=catastrophic, thresholds=[0.1, 0.25], rank_weighted=False)
    for statistic in ("headcount", "overshoot"):
        for tier in TIERS:
            labels = {"threshold": 0.25, "tier": tier}
            for asked in (
                (statistic, {"of": None}),
                ("step_change", {"of": statistic}),
                ("cumulative_change", {"of": statistic}),
            ):
                one, other = (each.pick(asked[0], **asked[1], **labels) for each in (found, ours))
                # Households and their clusters are the same ones at two stages, so the error is the paired one.
                assert (one.estimate, one.se, one.n) == pytest.approx((other.estimate, other.se, other.n), rel=1e-9)
    gini = measured(of=partial(inequality, of="net", measures=["gini"]))
    plain = measured(of="inequality")
    one, other = (each.pick("step_change", of="gini", tier="basic") for each in (gini, plain))
    assert (one.estimate, one.se) == pytest.approx((other.estimate, other.se), rel=1e-9)


def test_a_function_without_clusters_pairs_households() -> None:
    households, settlements, people = county()
    asked = {"people": people, "thresholds": [0.1], "design": Design(weight="weight")}
    one = by_tier(households, settlements, of=catastrophic, rank_weighted=False, **asked)
    other = by_tier(households, settlements, **asked)
    found = [each.pick("step_change", of="headcount", tier="basic") for each in (one, other)]
    assert found[0].se == pytest.approx(found[1].se, rel=1e-9)


def test_groups_and_their_differences_are_those_of_the_rows() -> None:
    found = measured(thresholds=[0.1], by="residence", against="rural")
    change = [found.value("step_change", of="headcount", tier="basic", group=group) for group in ("urban", "rural")]
    between = found.pick("step_change", of="headcount", tier="basic", group="urban", against="rural")
    assert between.estimate == pytest.approx(change[0] - change[1])
    assert between.se > 0


def test_settlements_as_they_come_from_settle_are_taken() -> None:
    people = pl.DataFrame(
        {
            "person_id": ["P1", "P2"],
            "household_id": ["H1", "H2"],
            "birth_date": ["1984-05-02", "1979-11-20"],
            "sex": ["male", "female"],
            "scheme": ["resident", "resident"],
            "residence": ["urban", "rural"],
            "continuous_years": [6, 6],
        }
    )
    claims = pl.DataFrame(
        {
            "claim_id": ["C1", "C2"],
            "person_id": ["P1", "P2"],
            "care_type": ["inpatient"] * 2,
            "start_date": ["2024-03-01"] * 2,
            "end_date": ["2024-03-10"] * 2,
            "facility_level": ["3", "3"],
            "total": [150_000.0, 1_000.0],
            "off_catalogue": [20_000.0, 0.0],
            "in_scope": [130_000.0, 1_000.0],
        }
    )
    settled = settle(claims, people, None, "cn/beijing")
    homes = {"household_id": ["H1", "H2"], "consumption": [200_000.0, 30_000.0], "size": [2, 2]}
    found = by_tier(homes, settled, people=people, thresholds=[0.4])
    assert found.rows["tier"].unique(maintain_order=True).to_list() == ["before", *settled.tiers]
    assert found.value("headcount", tier="before", of=None) == 0.5
    own = settled.settlements["own_total"].sum()
    last = by_tier(homes, settled, people=people, of="concentration").value("mean_spending", tier="assistance", of=None)
    assert last == pytest.approx(own / 2)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"of": "progress"}, "no_such_measure"),
        ({"line": 5.0}, "no_such_option"),
        ({"of": "impoverishing"}, "no_line"),
        ({"tiers": ["basic", "tilt"]}, "no_such_tier"),
        ({"tiers": ["basic", "basic"]}, "no_such_tier"),
        ({"tiers": []}, "no_such_tier"),
        ({"year": 2020}, "no_such_year"),
        ({"definition": "share"}, "no_such_definition"),
        ({"of": catastrophic, "by": "residence"}, "no_such_option"),
    ],
)
def test_questions_that_mean_nothing_are_refused(asked: dict[str, Any], code: str) -> None:
    with pytest.raises(UsageError) as found:
        measured(**asked)
    assert found.value.code == code


def test_claims_of_unknown_households_are_refused_or_counted() -> None:
    households, settlements, people = county()
    with pytest.raises(InputError, match="unknown=leave_out") as found:
        by_tier(households[10:], settlements, people=people)
    assert found.value.code == "unknown_household"
    with pytest.raises(InputError):
        by_tier(households, settlements, people=people[5:])
    part = by_tier(households[10:], settlements, people=people, unknown="leave_out")
    gone = settlements.join(people, on="person_id").join(households[:10], on="household_id").height
    assert part.special["claims_left_out"] == gone > 0


def test_tables_that_do_not_fit_are_refused() -> None:
    households, settlements, people = county()

    def code(homes: pl.DataFrame, claims: pl.DataFrame, persons: pl.DataFrame | None) -> str:
        with pytest.raises((InputError, UsageError)) as found:
            by_tier(homes, claims, people=persons)
        return found.value.code

    later = settlements.with_columns(benefit_year=pl.when(pl.col("claim_id") == "c1").then(2025).otherwise(2024))
    moved = pl.concat([people, pl.DataFrame({"person_id": ["p1"], "household_id": ["h9"]})])
    assert code(households, settlements, None) == "no_people"
    assert code(households, later, people) == "many_years"
    assert by_tier(households, later, people=people, year=2025).special["no_claims"] == households.height - 1
    assert code(households, settlements, moved) == "two_households"
    assert code(pl.concat([households, households[:1]]), settlements, people) == "duplicate_household"
    assert code(households, settlements.with_columns(pay_total=pl.lit(1.0)), people) == "parts_not_total"
    assert code(households, settlements.drop("pay_basic"), people) == "parts_not_total"
    assert code(households, settlements.select("person_id", "total"), people) == "missing_column"
    assert code(households, settlements.with_columns(total=pl.lit("12,5")), people) == "not_numeric"
    assert code(households, settlements.with_columns(total=pl.lit(None, pl.Float64)), people) == "missing_value"
    assert code(households.drop("household_id"), settlements, people) == "missing_column"


def test_all_claims_paid_and_none_paid_have_a_defined_answer() -> None:
    homes = {"household_id": ["a"], "consumption": [100.0], "size": [1]}
    claims = {"household_id": ["a"], "total": [90.0], "pay_basic": [90.0]}
    found = by_tier(homes, claims, thresholds=[0.1])
    assert [found.value("headcount", tier=tier, of=None) for tier in ("before", "basic")] == [1, 0]
    assert found.rows["se"].null_count() == found.rows.height
    for of in ("concentration", "inequality"):
        after = by_tier(homes, claims, of=of).rows.filter(pl.col("tier") == "basic")
        assert after.height
    broke = by_tier(homes | {"consumption": [50.0]}, claims, of="inequality")
    assert broke.pick("gini", tier="before").rows["estimate"][0] is None
    assert broke.special["negative_net"] == 1


def test_an_amount_paid_to_the_last_fen_leaves_nothing() -> None:
    # 100 - 60.1 - 39.9 is not zero in doubles; in fen it is.
    homes = {"household_id": ["a"], "consumption": [0.0], "size": [1]}
    claims = {"household_id": ["a"], "total": [100.0], "pay_basic": [60.1], "pay_aid": [39.9]}
    assert by_tier(homes, claims).value("headcount", tier="aid", threshold=0.1) == 0


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("name", MEASURES)
def test_the_result_is_told_in_both_languages(name: str, lang: str) -> None:
    text = measured(**MEASURES[name]).text(lang)
    assert ("医疗救助" if lang == "zh" else "medical assistance") in text
    assert "step_change" not in text


def test_neighbouring_stages_join_without_a_gap() -> None:
    found = measured(thresholds=[0.1]).rows.filter(pl.col("statistic") == "headcount")
    steps = measured(thresholds=[0.1]).rows.filter(pl.col("statistic") == "step_change", pl.col("of") == "headcount")
    for (before, after), step in zip(pairwise(found["estimate"].to_list()), steps["estimate"].to_list(), strict=True):
        assert step == pytest.approx(after - before, abs=1e-15)


def test_a_function_is_told_per_yuan_too() -> None:
    asked = {"thresholds": [0.1]}
    ours = measured(**asked)
    found = measured(of=catastrophic, rank_weighted=False, **asked)
    for tier in TIERS:
        paid = found.pick("paid", tier=tier)
        other = ours.pick("paid", tier=tier)
        # The same mean of the same payments, and so the same error; the price has none, as no covariance is told.
        assert (paid.estimate, paid.se) == pytest.approx((other.estimate, other.se))
        price = found.pick("change_per_10000", of="headcount", tier=tier)
        assert price.estimate == pytest.approx(ours.value("change_per_10000", of="headcount", tier=tier))
        assert math.isnan(price.se)


def test_what_a_function_takes_from_the_whole_is_the_same_at_every_stage() -> None:
    found = measured(of=partial(poverty, of="net", line=RelativeLine(0.6), measures=["headcount"]))
    level = {tier: found.value("headcount", of=None, tier=tier) for tier in STAGES}
    for before, after in pairwise(STAGES):
        step = found.value("step_change", of="headcount", tier=after)
        assert step == pytest.approx(level[after] - level[before], abs=1e-12)  # differences of shares below one


def test_settlements_under_the_platforms_names_give_the_same() -> None:
    households, settlements, people = county()
    names = {ours: theirs for theirs, ours in NATIONAL_SETTLEMENTS.items()}
    national = settlements.rename({one: names[one] for one in settlements.columns if one in names})
    assert "hifp_pay" in national.columns
    # Fields of funds that the place does not have stand there with zero, and are no tiers.
    zero = pl.lit(0.0)
    national = national.with_columns(zero.alias("hifob_pay"), zero.alias("othfund_pay"))
    one, other = (by_tier(households, table, people=people, thresholds=[0.1]) for table in (settlements, national))
    for tier in STAGES:
        assert other.value("headcount", tier=tier) == one.value("headcount", tier=tier)
    assert other.rows.height == one.rows.height


def test_spending_of_people_is_that_of_a_head() -> None:
    found = measured(of="concentration", unit="person")
    households, settlements, people = county()
    stages = stages_of(households, settlements, people=people).frame
    heads = stages.with_columns(oop=pl.col("stage_1") / pl.col("size"), rank=pl.col("consumption") / pl.col("size"))
    plain = concentration(heads, rank="rank", unit="person")
    one = found.pick("concentration_index", tier="basic")
    assert (one.estimate, one.se) == pytest.approx((plain.estimate, plain.se), rel=1e-9)


def test_what_a_tier_pays_for_a_group_does_not_depend_on_the_line() -> None:
    both = [measured(of="impoverishing", line=line, by="residence") for line in (6000.0, "median:0.6")]
    for group in ("urban", "rural"):
        fixed, moving = (one.pick("paid", tier="basic", group=group) for one in both)
        assert (moving.estimate, moving.se) == pytest.approx((fixed.estimate, fixed.se), rel=1e-9)


def test_a_person_that_the_table_of_people_names_twice_alike_is_one() -> None:
    households, settlements, people = county(40)
    once, twice = (by_tier(households, settlements, people=one) for one in (people, pl.concat([people, people[:9]])))
    assert twice.rows.equals(once.rows)
