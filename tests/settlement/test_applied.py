"""The yearly assistance of families impoverished by illness: 京医保发〔2023〕9号."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medfloor.errors import InputError, MissingValueError, PolicyError, UsageError
from medfloor.policy.load import load_policy
from medfloor.policy.resolve import resolve_applied
from medfloor.settlement import applied, settle
from medfloor.settlement.applied import Applications, apply_yearly, schedule_worth

BEIJING = load_policy("cn/beijing@2023-01-01").versions[0]
RULES = resolve_applied(BEIJING, BEIJING.applied[0], 2023)
ONE_PERSON = pl.DataFrame({"person_id": ["p1"], "household_id": ["h1"]})


def claim(self_paid: int, in_scope: int = 0, **more: Any) -> dict[str, Any]:
    row = {"claim_id": "c1", "person_id": "p1", "care_type": "inpatient", "start_date": "2023-03-01"}
    row |= {"end_date": "2023-03-10", "facility_level": "3", "total": str(self_paid + in_scope)}
    return row | {"first_self_pay": str(self_paid), "in_scope": str(in_scope)} | more


def home(**more: Any) -> pl.DataFrame:
    return pl.DataFrame([{"household_id": "h1", "size": "1", "income": "0"} | more])


def applied_for(*claims: dict[str, Any], homes: pl.DataFrame | None = None, **more: Any) -> dict[str, Any]:
    found = apply(*claims, homes=homes, **more)
    assert found.fen.height == 1
    return found.fen.row(0, named=True)


def apply(*claims: dict[str, Any], homes: pl.DataFrame | None = None, **more: Any) -> Applications:
    more = {"people": ONE_PERSON, "policy": "cn/beijing", "year": 2023} | more
    people = more.pop("people")
    return apply_yearly(pl.DataFrame(list(claims)), people, home() if homes is None else homes, **more)


@pytest.mark.parametrize(
    ("burden", "assistance"),
    [
        (80_000, 32_000),  # 三: 30,000 x 30 % + 20,000 x 40 % + 30,000 x 50 %
        (350_000, 150_000),  # 三: 全年救助封顶线15万元
        (30_000, 9_000),  # 三: 3万元（含）以下30%
        (50_000, 17_000),  # 三: 3万元以上至5万元（含）以下40%
    ],
)
def test_a_burden_is_assisted_by_the_brackets_of_article_3(burden: int, assistance: int) -> None:
    row = applied_for(claim(burden))
    assert (row["burden_fen"], row["assistance_fen"]) == (burden * 100, assistance * 100)
    assert (row["passed"], row["reason"]) == ("yes", "granted")


def test_both_kinds_of_self_pay_count_after_the_insurance_has_paid_and_the_rest_does_not() -> None:
    # 二（二）: 包括自付一和自付二. (130,000 - 1,300) x 75 % leaves 33,475; critical illness insurance pays 1,842.60.
    row = applied_for(claim(5_000, 130_000, total="142000", off_catalogue="7000"))
    assert row["burden_fen"] == 3_163_240 + 500_000


def test_income_is_taken_after_the_burden_by_head_and_month_and_the_line_itself_passes() -> None:
    # 二（二）: 2,420 yuan a head and month in 2023.
    line = 2_420 * 12 * 2
    at = applied_for(claim(40_000), homes=home(size="2", income=str(line + 40_000)))
    above = applied_for(claim(40_000), homes=home(size="2", income=f"{line + 40_000}.01"))
    assert (at["passed"], at["monthly_income_after_fen"], at["assistance_fen"]) == ("yes", 242_000, 1_300_000)
    assert (above["passed"], above["reason"], above["assistance_fen"]) == ("no", "income_too_high", 0)


def test_a_missing_income_is_neither_yes_nor_no() -> None:
    row = applied_for(claim(80_000), homes=home(income=None))
    assert (row["passed"], row["reason"], row["assistance_fen"]) == ("unknown", "income_missing", None)
    assert row["assistance_if_passed_fen"] == 3_200_000


def test_members_are_those_of_the_table_else_those_of_people() -> None:
    people = pl.DataFrame({"person_id": ["p1", "p2", "p3"], "household_id": ["h1", "h1", "h1"]})
    assert applied_for(claim(10), people=people, homes=home(size=None))["members"] == 3
    assert applied_for(claim(10), people=people, homes=home(size="5"))["members"] == 5


def test_who_already_has_social_assistance_on_any_day_of_the_year_is_shut_out() -> None:
    # 一: 未享受城乡居民最低生活保障或低收入等社会救助
    spells = pl.DataFrame(
        {"person_id": ["p1"], "group": ["dibao"], "from_date": [date(2020, 1, 1)], "to_date": [date(2023, 1, 1)]}
    )
    row = applied_for(claim(80_000), spells=spells)
    assert (row["passed"], row["reason"], row["assistance_fen"]) == ("no", "excluded_status", 0)
    before = spells.with_columns(pl.lit(date(2022, 12, 31)).alias("to_date"))
    assert applied_for(claim(80_000), spells=before)["reason"] == "granted"


def test_one_member_shut_out_leaves_the_burden_of_the_others() -> None:
    people = pl.DataFrame({"person_id": ["p1", "p2"], "household_id": ["h1", "h1"]})
    spells = pl.DataFrame({"person_id": ["p2"], "group": ["tekun"], "from_date": [date(2023, 1, 1)], "to_date": [None]})
    spells = spells.with_columns(pl.col("to_date").cast(pl.Date))
    row = applied_for(
        claim(30_000), claim(50_000, claim_id="c2", person_id="p2"), people=people, spells=spells, homes=home(size="2")
    )
    assert (row["burden_fen"], row["excluded_members"]) == (3_000_000, 1)


def test_what_a_commercial_insurer_paid_is_deducted_first() -> None:
    # 三: 在扣除基本医疗保险、大病保险以及商业保险报销赔付和各种救助后
    column = applied_for(claim(80_000), homes=home(commercial_paid="50000"))
    table = pl.DataFrame({"household_id": ["h1", "h1"], "amount": ["20000", "30000.00"]})
    file = applied_for(claim(80_000), commercial=table)
    assert column == file
    assert (file["burden_fen"], file["assistance_fen"]) == (3_000_000, 900_000)
    assert applied_for(claim(80_000), homes=home(commercial_paid="90000"))["reason"] == "no_burden"
    with pytest.raises(UsageError, match="keep one"):
        applied_for(claim(80_000), homes=home(commercial_paid="5"), commercial=table)
    with pytest.raises(InputError, match="two decimals"):
        applied_for(claim(80_000), homes=home(commercial_paid="5.005"))


def test_only_the_year_asked_for_counts() -> None:
    later = claim(50_000, claim_id="c2", start_date="2024-01-02", end_date="2024-01-05")
    assert applied_for(claim(30_000), later)["burden_fen"] == 3_000_000
    assert applied_for(claim(30_000), later, year=2024)["burden_fen"] == 5_000_000


def test_a_claim_taken_back_does_not_count() -> None:
    back = claim(0, claim_id="r1", reverses="c1", start_date="2023-04-01", end_date="2023-04-01")
    row = applied_for(claim(80_000, reverses=None), claim(30_000, claim_id="c2", reverses=None), back)
    assert row["burden_fen"] == 3_000_000


def test_a_household_applies_once_a_year() -> None:
    with pytest.raises(InputError, match="once a year"):
        apply(claim(80_000), homes=pl.concat([home(), home()]))


def test_a_household_that_cannot_be_read_is_kept_and_says_so() -> None:
    row = applied_for(claim(80_000), homes=home(income="much"))
    assert (row["passed"], row["reason"]) == ("unknown", "household_unreadable")


def test_claims_that_cannot_be_settled_come_back() -> None:
    found = apply(claim(80_000), claim(10, claim_id="c2", total="11"))
    assert found.rejected["reason"].to_list() == ["parts_not_total"]
    assert found.fen["burden_fen"].item() == 8_000_000


def test_a_year_whose_wage_is_not_published_is_refused_with_the_next_step() -> None:
    with pytest.raises(MissingValueError, match="minimum_wage has no value for 2030"):
        apply(claim(80_000, start_date="2030-01-01", end_date="2030-01-02"), year=2030)


def test_a_policy_without_such_an_assistance_says_so() -> None:
    with pytest.raises(PolicyError, match="no assistance that is applied for"):
        apply(claim(80_000), policy="cn/jiangxi/nanchang", year=2025)


def test_the_conditions_that_an_office_checks_are_named() -> None:
    assert apply(claim(10)).by_hand == ("liquid_assets", "vehicles", "dwellings")


def test_the_reference_keeps_the_same_pools_apart_as_the_sums_say(monkeypatch: pytest.MonkeyPatch) -> None:
    claims = [claim(5_000, 130_000), claim(100, 40_000, claim_id="c2", care_type="special_outpatient")]
    quick = applied_for(*claims)
    monkeypatch.setattr(applied, "INSIDE", ())
    assert applied_for(*claims) == quick
    own = settle(pl.DataFrame(claims), ONE_PERSON, policy="cn/beijing").fen
    assert quick["burden_fen"] == own["own_in_scope_fen"].sum() + 510_000


@given(st.integers(0, 100_000_000), st.integers(0, 100_000_000))
def test_a_larger_burden_never_gets_less_nor_more_than_itself(one: int, other: int) -> None:
    low, high = sorted((one, other))
    less, more = schedule_worth(RULES, low, BEIJING), schedule_worth(RULES, high, BEIJING)
    assert less <= more <= 15_000_000
    assert more - less <= high - low + 1
