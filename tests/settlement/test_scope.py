"""Find out what the law asks about a claim: by columns as for one claim."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import (
    World,
    a_claim,
    claims_frame,
    examples,
    one_tier,
    people_frame,
    percent,
    policy_set,
    spells_frame,
    world_of,
    worlds,
)

from medfloor.periods import Span
from medfloor.policy.resolve import resolve
from medfloor.settlement import settle
from medfloor.settlement.batch import Batch, prepare
from medfloor.settlement.engines import claim_at, person_at, spells_at, visit_at
from medfloor.settlement.scope import (
    Spell,
    Visit,
    class_by_rule,
    facts_of,
    kinds_of,
    prefix_masks,
    statuses_held,
    year_of,
)
from medfloor.settlement.settle import law_of, read_all


def batch_of(world: World) -> Batch:
    claims, people, spells = read_all(world.claims, world.people, world.spells, world.policies)
    batch, _, _ = prepare(law_of(world.policies), [claims.accepted], people, spells)
    return batch


@examples(40)
@given(worlds())
def test_the_facts_that_stand_for_a_kind_meet_the_same_law_as_the_claims_own(world: World) -> None:
    batch = batch_of(world)
    law = batch.law
    kind, kinds = kinds_of(law.policies, law.dimensions, batch.columns, batch.spells)
    for i in range(batch.height):
        version, facts = kinds[kind[i]]
        policy = law.policies.versions[version]
        own = facts_of(policy, visit_at(batch, i), person_at(batch, i), spells_at(batch, i))
        assert own.benefit_year == facts.benefit_year == batch.columns.year[i]
        assert resolve(policy, own) == resolve(policy, facts) == batch.rules[batch.profile[i]]
        assert claim_at(batch, i).facts == own


ANY_RATE = {"brackets": [{"rate": percent(50)}]}


def seen(claim: dict[str, Any], person: dict[str, Any], **policy: Any) -> Any:
    """Give the facts of one claim under a policy that asks about the class."""
    law = {**one_tier({"when": {"insured_class": "working_age"}, **ANY_RATE}), **policy}
    batch = batch_of(world_of([law], [claim], [{"person_id": "p0", **person}], []))
    return facts_of(batch.law.policies.versions[0], visit_at(batch, 0), person_at(batch, 0), [])


def test_who_is_not_enrolled_on_the_first_day_of_the_care_is_not_insured() -> None:
    enrolled = {"enrolled_from": "2024-03-01", "enrolled_to": "2024-03-31"}
    for day, scheme in (
        ("2024-02-29", "none"),
        ("2024-03-01", "resident"),
        ("2024-03-31", "resident"),
        ("2024-04-01", "none"),
    ):
        assert seen(a_claim(day=day), enrolled).scheme == scheme


def test_age_is_counted_on_the_first_day_of_the_care() -> None:
    claim = a_claim(day="2024-05-01", end_date=date(2024, 5, 3))
    assert seen(claim, {"birth_date": "1954-05-02"}).age == 69
    assert seen(claim, {"birth_date": "1954-05-01"}).age == 70
    assert seen(claim, {}).age is None


def test_the_class_follows_from_age_and_sex_only_where_the_table_is_silent() -> None:
    rules = [{"id": "old", "insured_class": "elderly", "when": {"age": {"at_least": 60}, "sex": "male"}}]
    for person, expected in (
        ({"birth_date": "1950-01-01", "sex": "male"}, "elderly"),
        ({"birth_date": "1950-01-01", "sex": "female"}, "working_age"),
        ({"birth_date": "1950-01-01"}, "working_age"),
        ({"birth_date": "1950-01-01", "sex": "male", "insured_class": "student_child"}, "student_child"),
    ):
        assert seen(a_claim(), person, classes=rules).insured_class == expected


def test_the_first_rule_of_the_class_that_fits_counts() -> None:
    rules = [
        {"id": "a", "insured_class": "student_child", "when": {"age": {"under": 18}}},
        {"id": "b", "insured_class": "elderly", "when": {"age": {"at_least": 10}}},
    ]
    policy = policy_set({**one_tier(ANY_RATE), "classes": rules}).versions[0]
    assert [class_by_rule(policy, age, None) for age in (None, 9, 17, 18)] == [
        "working_age",
        "student_child",
        "student_child",
        "elderly",
    ]


STAY = Visit("inpatient", "3", date(2024, 3, 10), date(2024, 3, 20), date(2024, 4, 5))


@pytest.mark.parametrize(
    ("first", "last", "held"),
    [
        (None, None, "any_day start end settled"),
        (None, "2024-03-09", ""),
        (None, "2024-03-10", "any_day start"),
        ("2024-03-11", "2024-03-19", "any_day"),
        ("2024-03-20", None, "any_day end settled"),
        ("2024-03-21", None, "settled"),
        ("2024-04-05", "2024-04-05", "settled"),
        ("2024-04-06", None, ""),
    ],
)
def test_a_status_is_held_from_its_first_to_its_last_day(first: str | None, last: str | None, held: str) -> None:
    days = [None if day is None else date.fromisoformat(day) for day in (first, last)]
    found = statuses_held(STAY, [Spell("dibao", Span.from_days(*days))])
    assert {day for day, groups in found.items() if groups} == set(held.split())


def test_the_benefit_year_follows_the_day_that_the_policy_names() -> None:
    visit = Visit("inpatient", "3", date(2024, 6, 20), date(2024, 7, 2), date(2025, 7, 1))
    for by, starts, year in (
        ("end_date", "01-01", 2024),
        ("settled_date", "01-01", 2025),
        ("start_date", "07-01", 2023),
        ("end_date", "07-01", 2024),
        ("settled_date", "07-01", 2025),
    ):
        policy = policy_set(one_tier(ANY_RATE, benefit_year={"starts": starts, "belongs_by": by})).versions[0]
        assert year_of(policy, visit) == year
        world = world_of(
            [one_tier(ANY_RATE, benefit_year={"starts": starts, "belongs_by": by})],
            [a_claim(start_date=visit.start_date, end_date=visit.end_date, settled_date=visit.settled_date)],
            [{"person_id": "p0"}], [],
        )  # fmt: skip
        assert batch_of(world).columns.year.tolist() == [year]


@examples(100)
@given(
    st.lists(st.one_of(st.none(), st.text("CI5.0", max_size=4)), max_size=8),
    st.lists(st.text("CI5", max_size=3), max_size=4, unique=True),
)
def test_a_prefix_is_met_where_the_diagnosis_begins_with_it(codes: list[str | None], prefixes: list[str]) -> None:
    for code, mask in zip(codes, prefix_masks(codes, prefixes), strict=True):
        assert [bool(mask >> n & 1) for n in range(len(prefixes))] == [(code or "").startswith(p) for p in prefixes]


def test_a_person_with_several_rows_is_seen_in_the_one_that_covers_the_care() -> None:
    rows = [
        {"person_id": "p0", "scheme": "employee", "enrolled_from": "2024-04-01"},
        {"person_id": "p0", "scheme": "resident", "enrolled_to": "2024-02-29"},
    ]
    claims = [a_claim(f"c{n}", day=day) for n, day in enumerate(("2024-02-01", "2024-03-01", "2024-05-01"))]
    law = one_tier({"when": {"scheme": ["resident", "none"]}, **ANY_RATE})
    batch = batch_of(world_of([law], claims, rows, []))
    found = [
        facts_of(batch.law.policies.versions[0], visit_at(batch, i), person_at(batch, i), []).scheme for i in range(3)
    ]
    assert found == ["resident", "none", "employee"]


def test_a_person_who_moves_between_rows_counts_in_one_household() -> None:
    law = one_tier({"deductible": {"per": "year", "amount": {"value": 10, "unit": "yuan"}}, **ANY_RATE})
    law["tiers"][0]["accumulate"] = "household"
    people = [
        {"person_id": "p0", "household_id": "h1", "enrolled_to": "2024-02-29"},
        {"person_id": "p0", "household_id": "h2", "enrolled_from": "2024-03-01"},
        {"person_id": "p1", "household_id": "h1"},
    ]
    claims = [
        a_claim("c1", 1_500, "2024-02-01"),
        a_claim("c2", 1_500, "2024-04-01"),
        a_claim("c3", 1_500, "2024-05-01", person_id="p1"),
    ]
    for engine in ("reference", "kernel"):
        fen = settle(claims_frame(claims), people_frame(people), spells_frame([]), policy_set(law), engine=engine).fen
        assert fen["deductible_fen"].to_list() == [1_000, 0, 0]
