"""Turn the law for one kind of claim into integers: conditions, cases, numbers and their limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError
from worlds import one_tier, percent, policy_set, yuan

from medfloor.errors import MissingValueError, PolicyError
from medfloor.money import MAX_FEN
from medfloor.policy.model import When
from medfloor.policy.resolve import NO_LIMIT, Amount, Facts, Step, fits, resolve, status_used

FACTS = Facts(
    care_type="inpatient",
    facility_level="3",
    age=70,
    sex="female",
    residence="rural",
    continuous_years=4,
    claim_free_years=0,
    total_fen=3_000_000,
    diagnosis="C50.9",
    benefit_year=2024,
    held={"any_day": frozenset({"dibao", "special"}), "start": frozenset({"tekun"})},
)
HALF = {"brackets": [{"rate": percent(50)}]}


def step_of(part: dict[str, Any], facts: Facts = FACTS, **policy: Any) -> Step:
    return resolve(policy_set(one_tier(part, **policy)).versions[0], facts).steps[0]


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ({}, True),
        ({"care_type": "inpatient"}, True),
        ({"care_type": ["outpatient", "inpatient"]}, True),
        ({"care_type": "outpatient"}, False),
        ({"facility_level": 3}, True),
        ({"facility_level": [1, 2]}, False),
        ({"facility_level": "primary"}, False),
        ({"area": "local", "referral": "regular"}, True),
        ({"area": "local", "referral": "emergency"}, False),
        ({"scheme": "none"}, False),
        ({"insured_class": ["working_age"]}, True),
        ({"residence": "urban"}, False),
        ({"sex": "female"}, True),
        ({"family_doctor": True}, False),
        ({"family_doctor": False}, True),
        ({"group": "dibao"}, True),
        ({"group": "special"}, False),
        ({"holds": ["special", "tekun"]}, True),
        ({"holds": "tekun"}, False),
        ({"lacks": "tekun"}, True),
        ({"lacks": ["tekun", "special"]}, False),
        ({"age": {"at_least": 70}}, True),
        ({"age": {"over": 70}}, False),
        ({"age": {"at_most": 70}}, True),
        ({"age": {"under": 70}}, False),
        ({"continuous_years": {"at_least": 4, "under": 5}}, True),
        ({"claim_free_years": {"over": 0}}, False),
        ({"total": {"over": 30_000}}, False),
        ({"total": {"over": "29999.99"}}, True),
        ({"diagnosis": ["I10", "C5"]}, True),
        ({"diagnosis": "C50.91"}, False),
    ],
)
def test_a_condition_holds_where_all_its_keys_do(when: dict[str, Any], holds: bool) -> None:
    assert fits(When.model_validate(when), FACTS, "dibao", "any_day") is holds


@pytest.mark.parametrize(
    "when", [{"age": {"at_least": 0}}, {"sex": ["male", "female"]}, {"claim_free_years": {"at_least": 0}}]
)
def test_no_condition_on_what_is_unknown_holds(when: dict[str, Any]) -> None:
    unknown = replace(FACTS, age=None, sex=None, claim_free_years=None)
    assert not fits(When.model_validate(when), unknown, "none", "any_day")


def test_a_diagnosis_that_is_unknown_begins_with_nothing() -> None:
    assert not fits(When.model_validate({"diagnosis": "C"}), replace(FACTS, diagnosis=None), "none", "any_day")


def test_each_tier_uses_the_first_status_of_its_own_order_on_its_own_day() -> None:
    tiers = [
        {"id": "one", "prefer": ["tekun", "special", "dibao"], "parts": [{"id": "k", **HALF}]},
        {"id": "two", "prefer": ["special", "tekun"], "status_day": "start", "parts": [{"id": "k", **HALF}]},
        {"id": "three", "prefer": ["tekun"], "parts": [{"id": "k", **HALF}]},
    ]
    policy = policy_set({"tiers": tiers}).versions[0]
    assert [status_used(policy, tier, FACTS) for tier in policy.tiers] == ["special", "tekun", "none"]


def test_the_first_part_and_the_first_case_that_fit_are_used() -> None:
    parts = [
        {"id": "a", "when": {"care_type": "outpatient"}, **HALF},
        {
            "id": "b",
            "brackets": [
                {
                    "rate": [
                        {"when": {"sex": "female"}, **percent(60)},
                        {"when": {"area": "local"}, **percent(70)},
                        percent(80),
                    ]
                }
            ],
        },
        {"id": "c", **HALF},
    ]
    policy = policy_set({"tiers": [{"id": "basic", "parts": parts}]}).versions[0]
    step = resolve(policy, FACTS).steps[0]
    assert (step.part, step.brackets) == ("b", ((0, 6_000),))


def test_a_part_that_does_not_feed_ends_the_claim() -> None:
    tiers = [
        {"id": "one", "parts": [{"id": "k", "pays": "nothing", "feeds": False}]},
        {"id": "two", "parts": [{"id": "k", **HALF}]},
    ]
    assert [step.tier for step in resolve(policy_set({"tiers": tiers}).versions[0], FACTS).steps] == ["one"]


def test_a_part_that_pays_by_no_schedule_has_no_deductible() -> None:
    deductible = {"per": "admission", "amount": yuan(1)}
    for part in ({"pays": "nothing"}, {"pays": "given", "given": "pay_other"}):
        assert step_of({**part, "deductible": deductible}).deductible_per == "none"


def adjusted(*changes: dict[str, Any], rate: Any = 60) -> int:
    return step_of({"brackets": [{"rate": percent(rate)}], "adjust": list(changes)}).brackets[0][1]


def points(value: int | str, **when: Any) -> dict[str, Any]:
    return {"points": {"value": value, "unit": "points"}} | ({"when": when} if when else {})


def test_rates_are_adjusted_in_the_order_written_and_stay_between_nought_and_all() -> None:
    times = {"times": percent(50)}
    assert adjusted(points(10), times) == 3_500
    assert adjusted(times, points(10)) == 4_000
    assert adjusted(points(10, sex="male")) == 6_000
    assert adjusted(points(50)) == 10_000
    assert adjusted(points(-70)) == 0
    assert adjusted(points(70), points(-10)) == 10_000, "only the end is held, so points do not get lost on the way"


def test_a_rate_finer_than_a_basis_point_is_an_error() -> None:
    with pytest.raises(PolicyError, match="basis point"):
        adjusted({"times": percent(50)}, rate="33.33")


def deductible(amount: Any, **more: Any) -> Amount:
    return step_of({"deductible": {"per": "claim", "amount": amount, **more}, **HALF}).deductible


def test_amounts_are_fixed_taken_of_a_series_or_brought_by_a_column() -> None:
    assert deductible({"value": "1300.5", "unit": "yuan"}) == Amount(130_050)
    share = {"value": "12.5", "unit": "percent", "of": {"series": "income"}}
    assert deductible(share) == Amount(75_867), "12.5 % of 6,069.37, the value of the year before, is 758.67125"
    assert deductible({**share, "of": {"series": "income", "lag": 0}}) == Amount(75_905)
    assert deductible({"value": 1, "unit": "yuan", "column": "own"}) == Amount(100, "own")
    assert deductible({"unit": "yuan", "column": "own"}) == Amount(0, "own")


def test_a_factor_rounds_to_the_fen_and_holds_for_the_column_too() -> None:
    factor = {"factor": percent("33.33")}
    assert deductible(yuan(101), **factor) == Amount(34, None, 3_333)
    assert deductible({"unit": "yuan", "column": "own"}, **factor) == Amount(0, "own", 3_333)
    assert deductible({"unit": "yuan", "column": "own", "unlimited": True}, **factor).factor_bp == 3_333
    assert deductible(yuan(101), factor=[{"when": {"sex": "male"}, **percent(50)}]) == Amount(101)


def test_a_deductible_without_limit_takes_everything_and_a_cap_without_limit_nothing() -> None:
    unlimited = {"unit": "yuan", "unlimited": True}
    assert deductible(unlimited) == Amount(MAX_FEN)
    assert step_of({**HALF, "cap_per_claim": unlimited}).cap_per_claim == Amount(NO_LIMIT)


def cap(growth: dict[str, Any], facts: Facts = FACTS) -> int:
    pot = {"id": "pot", "cap": yuan(1_000_000), "growth": growth}
    return step_of({**HALF, "pots": ["pot"]}, facts, pots=[pot]).pots[0][1].fen


def test_a_cap_grows_with_years_up_to_its_share() -> None:
    years = replace(FACTS, continuous_years=6, claim_free_years=2)
    continuous = {"per_continuous_year": yuan(30_000), "continuous_after": {"value": 4, "unit": "year"}}
    free = {"per_claim_free_year": yuan(50_000)}
    assert cap(continuous, years) == 1_060_000
    assert cap(continuous, replace(years, continuous_years=3)) == 1_000_000
    assert cap(continuous | free, years) == 1_160_000
    assert cap(continuous | free | {"at_most": percent(10)}, years) == 1_100_000
    assert cap(continuous | free, replace(years, continuous_years=None, claim_free_years=None)) == 1_000_000


@pytest.mark.parametrize(
    "part",
    [
        {"brackets": [{"rate": {"unit": "percent"}}]},
        {**HALF, "deductible": {"per": "claim", "amount": {"unit": "yuan"}}},
        {**HALF, "first_share": {"unit": "percent"}},
        {**HALF, "cap_per_claim": {"unit": "yuan"}},
        {**HALF, "floor": {"share": {"unit": "percent"}, "of": "total"}},
        {**HALF, "adjust": [{"points": {"unit": "points"}}]},
        {**HALF, "pots": ["pot"]},
        {
            **HALF,
            "deductible": {
                "per": "claim",
                "amount": {"value": 10, "unit": "percent", "of": {"series": "income", "lag": 40}},
            },
        },
        {**HALF, "deductible": {"per": "claim", "amount": {"value": 10, "unit": "percent", "of": {"series": "wage"}}}},
    ],
)
def test_a_number_that_was_not_published_is_named_with_its_path(part: dict[str, Any]) -> None:
    with pytest.raises(MissingValueError, match=r"tiers/basic/parts/k0/|pots/pot/cap"):
        step_of(part, pots=[{"id": "pot", "cap": {"unit": "yuan"}}])


@pytest.mark.parametrize(
    ("part", "code"),
    [
        ({"brackets": [{"rate": [{"when": {"sex": "male"}, **percent(50)}]}]}, "policy_gap"),
        ({**HALF, "deductible": {"per": "claim", "amount": [{"when": {"sex": "male"}, **yuan(1)}]}}, "policy_gap"),
        (
            {
                "brackets": [
                    {"up_to": yuan(100), "rate": percent(50)},
                    {"up_to": yuan(100), "rate": percent(50)},
                    {"rate": percent(0)},
                ]
            },
            "policy_brackets",
        ),
        ({"brackets": [{"up_to": yuan(0), "rate": percent(50)}, {"rate": percent(0)}]}, "policy_brackets"),
        ({**HALF, "first_share": percent("0.001")}, "policy_rate"),
        ({**HALF, "first_share": percent(101)}, "policy_rate"),
        ({**HALF, "first_share": percent(-1)}, "policy_rate"),
        ({**HALF, "deductible": {"per": "claim", "amount": yuan(1), "factor": percent(1_001)}}, "policy_rate"),
        ({**HALF, "deductible": {"per": "claim", "amount": {"value": "0.001", "unit": "yuan"}}}, "policy_amount"),
        ({**HALF, "deductible": {"per": "claim", "amount": {"value": -1, "unit": "yuan"}}}, "policy_amount"),
        ({**HALF, "cap_per_claim": {"value": 10**13, "unit": "yuan"}}, "policy_amount"),
    ],
)
def test_a_number_that_cannot_be_meant_is_an_error(part: dict[str, Any], code: str) -> None:
    with pytest.raises(PolicyError) as error:
        step_of(part)
    assert error.value.code == code


@pytest.mark.parametrize(
    "change",
    [
        {"tiers": [{"id": f"t{n}", "parts": [{"id": "k", **HALF}]} for n in range(17)]},
        {"tiers": [{"id": "basic", "base": ["in_scope", "in_scope"], "parts": [{"id": "k", **HALF}]}]},
        {"tiers": [{"id": "basic", "parts": [{"id": "k", **HALF}, {"id": "k", **HALF}]}]},
        {
            "tiers": [{"id": "basic", "parts": [{"id": "k", **HALF, "pots": ["pot", "pot"]}]}],
            "pots": [{"id": "pot", "cap": yuan(1)}],
        },
    ],
)
def test_a_policy_that_counts_something_twice_or_has_too_many_tiers_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        policy_set(change)
