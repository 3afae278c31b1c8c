"""Compile law: which counters a year has, which questions the law asks, and the arrays that the kernel reads."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import examples, one_tier, percent, policy_set, yuan

from medfloor.errors import PolicyError
from medfloor.policy.compile import POOLS, STEP_COLUMNS, dimensions_of, layout_of, profiles_of, resolve_kinds
from medfloor.policy.model import Range
from medfloor.policy.resolve import Facts, resolve

HALF = {"brackets": [{"rate": percent(50)}]}
FACTS = Facts("inpatient", "3", benefit_year=2024)


def tier(name: str, *parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": name, "parts": [{"id": f"k{n}", **part} for n, part in enumerate(parts)], **more}


def test_a_layout_holds_the_counters_of_every_version() -> None:
    admission = {"per": "admission", "amount": yuan(100)}
    first = {"per": "year", "amount": yuan(100), "counter": "special", "fixed_by": "first"}
    one = {"tiers": [tier("basic", {**HALF, "deductible": admission}, {**HALF, "deductible": first, "per": "year"})]}
    two = {
        "tiers": [tier("basic", HALF), tier("tilt", {**HALF, "per": "year", "counter": "burden"})],
        "from": "2025-01-01",
    }
    layout = layout_of(policy_set(one, two))
    assert layout.tiers == ("basic", "tilt")
    assert layout.stay_tiers == ("basic",)
    assert [name for name, start in zip(layout.names, layout.initial, strict=True) if start < 0] == [
        "counter_special_deductible_set"
    ]
    wanted = {
        "basic_eligible", "basic_deductible", "basic_paid", "basic_admissions", "basic_admissions_primary",
        "basic_admissions_1", "basic_admissions_2", "basic_admissions_3", "counter_basic_k1_reached",
        "counter_special_deductible", "counter_special_deductible_set", "tilt_eligible", "tilt_deductible", "tilt_paid",
        "counter_burden_reached", "claims",
    }  # fmt: skip
    assert set(layout.names) == wanted
    assert not layout.household


def test_a_deductible_and_brackets_over_the_same_year_are_one_curve_with_one_counter() -> None:
    part = {**HALF, "per": "year", "deductible": {"per": "year", "amount": yuan(100)}}
    assert [n for n in layout_of(policy_set(one_tier(part))).names if n.startswith("counter_")] == [
        "counter_basic_k0_reached"
    ]


def test_household_counters_are_shared_and_others_are_not() -> None:
    raw = {
        "tiers": [tier("basic", {**HALF, "per": "year", "pots": ["ours", "mine"]}, accumulate="household")],
        "pots": [{"id": "ours", "cap": yuan(1), "scope": "household"}, {"id": "mine", "cap": yuan(1)}],
    }
    layout = layout_of(policy_set(raw))
    assert layout.household
    shared = [name for name, is_shared in zip(layout.names, layout.shared, strict=True) if is_shared]
    assert shared == ["counter_basic_k0_reached", "pot_ours_paid"]


def test_one_counter_cannot_belong_to_a_person_and_to_a_household() -> None:
    part = {**HALF, "per": "year", "counter": "both"}
    raw = {"tiers": [tier("one", part), tier("two", part, accumulate="household")]}
    with pytest.raises(PolicyError) as error:
        layout_of(policy_set(raw))
    assert error.value.code == "policy_counter"
    assert "counter_both_reached" in error.value.message


@pytest.mark.parametrize(
    ("orders", "merged"),
    [
        (["ab", "ab"], "ab"),
        (["ac", "abc"], "abc"),
        (["abc", "ac"], "abc"),
        (["ab", "ba"], "ab"),
        (["b", "ab"], "ab"),
        (["ab", "cd"], "cdab"),
    ],
)
def test_new_tiers_take_their_place_behind_the_tier_before_them(orders: list[str], merged: str) -> None:
    versions = [
        {"tiers": [tier(name, HALF) for name in order], "from": f"202{n}-01-01"} for n, order in enumerate(orders)
    ]
    assert "".join(layout_of(policy_set(*versions)).tiers) == merged


BOUND = st.decimals(0, 20, places=1)


@examples(200)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("at_least", "over", "at_most", "under"), BOUND)))
def test_ages_of_one_band_meet_a_range_alike(asked: dict[str, Any]) -> None:
    law = policy_set(one_tier({"when": {"age": asked}, **HALF}))
    bounds = dimensions_of(law).age
    condition = Range.model_validate(asked)
    alike: dict[int, set[bool]] = {}
    for age in range(-1, 30):
        alike.setdefault(sum(age >= bound for bound in bounds), set()).add(condition.holds(age))
    assert all(len(answers) == 1 for answers in alike.values())


def test_dimensions_collect_only_what_tiers_and_ceilings_ask() -> None:
    raw = {
        "tiers": [
            tier("basic", {"when": {"age": {"over": 6}, "holds": "special"}, **HALF}, prefer=["dibao"]),
            tier(
                "tilt",
                {"when": {"diagnosis": "C", "total": {"over": "333.33"}}, **HALF},
                status_day="end",
                prefer=["tekun"],
            ),
        ],
        "ceilings": [{"id": "c", "when": {"sex": "male"}, "share": percent(90), "give_back": ["tilt"]}],
        "pots": [{"id": "unused", "cap": [{"when": {"continuous_years": {"at_least": 2}}, **yuan(1)}, yuan(1)]}],
    }
    found = dimensions_of(policy_set(raw))
    assert found.coded == ("care_type", "facility_level", "sex")
    assert (found.age, found.total_fen, found.continuous_years) == ((7,), (33_334,), ())
    assert found.prefixes == ("C",)
    assert dict(found.groups) == {"any_day": ("dibao", "special"), "end": ("tekun",)}


@pytest.mark.parametrize(
    ("growth", "bounds"),
    [
        ({"per_continuous_year": yuan(500), "at_most": percent(20)}, (1, 2, 3, 4)),
        ({"per_continuous_year": yuan(300), "at_most": percent(10)}, (1, 2, 3, 4)),
        (
            {
                "per_continuous_year": yuan(500),
                "continuous_after": {"value": 4, "unit": "year"},
                "at_most": percent(10),
            },
            (5, 6),
        ),
        ({"per_continuous_year": yuan(500)}, tuple(range(1, 121))),
    ],
)
def test_years_are_cut_where_a_cap_grows(growth: dict[str, Any], bounds: tuple[int, ...]) -> None:
    pot = {"id": "pot", "cap": yuan(10_000), "growth": growth}
    assert dimensions_of(policy_set(one_tier({**HALF, "pots": ["pot"]}, pots=[pot]))).continuous_years == bounds


def test_a_cap_of_a_series_is_cut_at_every_year() -> None:
    share = {"value": 50, "unit": "percent", "of": {"series": "income"}}
    pot = {"id": "pot", "cap": share, "growth": {"per_claim_free_year": yuan(500), "at_most": percent(20)}}
    assert len(dimensions_of(policy_set(one_tier({**HALF, "pots": ["pot"]}, pots=[pot]))).claim_free_years) == 120


def test_a_step_is_written_as_the_kernel_reads_it() -> None:
    part = {
        "per": "year",
        "deductible": {"per": "claim", "amount": {"column": "own", **yuan(7)}, "factor": percent(50)},
        "brackets": [{"up_to": yuan(1_000), "rate": percent(60)}, {"rate": percent(80)}],
        "pots": ["pot"],
    }
    raw = one_tier(part, pots=[{"id": "pot", "cap": yuan(900)}])
    raw["tiers"][0]["base"] = ["first_self_pay", "in_scope"]
    law = policy_set(raw)
    layout, dimensions = layout_of(law), dimensions_of(law)
    profiles = profiles_of([resolve(law.versions[0], FACTS)], layout, dimensions.columns)
    row = dict(zip(STEP_COLUMNS, profiles.steps[0].tolist(), strict=True))
    assert (row["ded_fen"], row["ded_column"], row["ded_factor"]) == (4, 0, 5_000)
    assert row["base"] == POOLS.index("first_self_pay") + 8 * POOLS.index("in_scope")
    assert profiles.brackets.tolist() == [[0, 0, 6_000], [1_000, 6_000_000, 8_000]]
    assert profiles.pots.tolist() == [[layout.index("pot_pot_paid"), 900, -1, 10_000, 0]]
    assert layout.names[row["counter"]] == "counter_basic_k0_reached"


def test_kinds_that_meet_the_same_law_share_their_rules() -> None:
    law = policy_set(one_tier({"brackets": [{"rate": [{"when": {"sex": "male"}, **percent(60)}, percent(50)]}]}))
    kinds = [(0, Facts("inpatient", "3", sex=sex, benefit_year=2024)) for sex in ("male", "female", None)]
    rules, index, missing = resolve_kinds(law, kinds)
    assert (len(rules), index, missing) == (2, [0, 1, 1], {})


def test_a_tier_that_gives_back_twice_is_asked_once() -> None:
    raw = one_tier(HALF, ceilings=[{"id": "c", "share": percent(10), "give_back": ["basic"] * 20}])
    law = policy_set(raw)
    profiles = profiles_of([resolve(law.versions[0], FACTS)], layout_of(law), ())
    assert profiles.ceiling_rows[0, :3].tolist() == [1_000, 0, -1]
