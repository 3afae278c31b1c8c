"""One claim at the counter: the desk pays what `settle` pays, and says what it cannot take."""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from worlds import claim_rows, claims_frame, examples, people_frame, people_rows, policy_sets, spell_rows, spells_frame

from medfloor import tables
from medfloor.errors import MedfloorError
from medfloor.money import MAX_FEN, parse_fen
from medfloor.periods import Span
from medfloor.settlement import settle
from medfloor.settlement.online import Desk
from medfloor.settlement.scope import Person, Spell, Visit
from medfloor.settlement.settle import law_of

LAWS = ("cn/beijing", "cn/jiangxi/nanchang@2025-06-01", "cn/heilongjiang/jiamusi@2018-06-01")


@cache
def desk_of(address: str) -> Desk:
    return Desk.of(address)


def answers_of(desk: Desk, claims: list[Any], people: list[Any], spells: list[Any]) -> dict[str, Any]:
    """Settle claims one by one in their order, each person-year's account carried from one to the next."""
    folk: dict[str, list[Any]] = {}
    for row in people:
        folk.setdefault(row["person_id"], []).append(row)
    accounts: dict[tuple[str, int], Any] = {}
    found = {}
    for row in claims:
        dates = (row["start_date"], row["end_date"], row["settled_date"])
        fen = {n: parse_fen(row[n]) for n in ("in_scope", "off_catalogue", "over_limit", "first_self_pay")}
        visit = Visit(
            row["care_type"], row["facility_level"], *dates, row["area"], row["referral"], row["diagnosis"],
            sum(fen.values()),
        )  # fmt: skip
        mine = [a_person(one) for one in folk[row["person_id"]]]
        person = next((one for one in mine if one.enrolled.holds(row["start_date"])), mine[0])
        held = [a_spell(one) for one in spells if one["person_id"] == row["person_id"]]
        brought = {name: row.get(name) or mine_of(folk, row, name) for name in desk.law.dimensions.columns}
        columns = {name: parse_fen(value) for name, value in brought.items() if value is not None}
        year = desk.settle(visit, person, held, **{f"{n}_fen": v for n, v in fen.items()}, columns=columns).benefit_year
        key = (row["person_id"], year)
        answer = desk.settle(
            visit, person, held, **{f"{n}_fen": v for n, v in fen.items()}, columns=columns, account=accounts.get(key)
        )
        accounts[key] = answer.account
        found[row["claim_id"]] = answer
    return found


def mine_of(folk: dict[str, list[Any]], claim: Any, name: str) -> str | None:
    rows = folk[claim["person_id"]]
    row = next((r for r in rows if a_person(r).enrolled.holds(claim["start_date"])), rows[0])
    value: str | None = row.get(name)
    return value


def a_person(row: Any) -> Person:
    first, last = row.get("enrolled_from"), row.get("enrolled_to")
    return Person(
        row["person_id"],
        row["household_id"],
        row["birth_date"] and date.fromisoformat(str(row["birth_date"])),
        row["sex"],
        row["scheme"] or "resident",
        row["residence"],
        row["insured_class"],
        Span.from_days(first and date.fromisoformat(first), last and date.fromisoformat(last)),
        row["continuous_years"],
        row["claim_free_years"],
        row["family_doctor"] == "yes",
    )


def a_spell(row: Any) -> Spell:
    return Spell(row["group"], Span.from_days(row["from_date"], row["to_date"]))


def assert_same_as_settle(desk: Desk, claims: Any, people: Any, spells: Any) -> None:
    claims = [row | {"continues": None} for row in claims]  # a transfer needs the whole year
    settled = settle(claims_frame(claims), people_frame(people), spells_frame(spells), desk.law, engine="reference")
    assert settled.rejected.height == 0, settled.rejected.select("claim_id", "reason", "detail").rows()
    found = answers_of(desk, claims, people, spells)
    for row in settled.fen.iter_rows(named=True):
        answer = found[row["claim_id"]]
        assert answer.pay_fen == {tier: row[f"pay_{tier}_fen"] for tier in settled.tiers}
        assert answer.own_in_scope_fen == row["own_in_scope_fen"]
        assert answer.own_total_fen == row["own_total_fen"]
        assert answer.deductible_fen == row["deductible_fen"]
        assert answer.benefit_year == row["benefit_year"]


@examples(30)
@given(st.data())
def test_a_desk_pays_what_settle_pays_under_random_law(data: st.DataObject) -> None:
    policies = data.draw(policy_sets(homes=("p",)))
    assume(not law_of(policies).layout.household)
    people = data.draw(people_rows())
    persons = sorted({row["person_id"] for row in people})
    claims = data.draw(claim_rows(persons, most=8))
    assert_same_as_settle(Desk.of(policies), claims, people, data.draw(spell_rows(persons)))


@examples(20)
@given(st.data(), st.sampled_from(LAWS))
def test_a_desk_pays_what_settle_pays_under_shipped_law(data: st.DataObject, address: str) -> None:
    people = data.draw(people_rows())
    persons = sorted({row["person_id"] for row in people})
    claims = data.draw(claim_rows(persons, most=8))
    groups = ("tekun", "dibao", "dibao_marginal", "returned_poor")
    assert_same_as_settle(desk_of(address), claims, people, data.draw(spell_rows(persons, groups)))


STAY = Visit("inpatient", "3", date(2024, 3, 1), date(2024, 3, 10), date(2024, 3, 10), total_fen=15_000_000)
ORDINARY = Person("p1", "h1")


def visit_of(**changes: Any) -> Visit:
    values = {name: getattr(STAY, name) for name in STAY.__slots__}
    return Visit(**{**values, **changes})


def ask(visit: Visit = STAY, person: Person = ORDINARY, **given: Any) -> Any:
    amounts = {"in_scope_fen": 13_000_000, "off_catalogue_fen": 2_000_000}
    return desk_of("cn/beijing").settle(visit, person, [], **{**amounts, **given})


def test_the_account_that_was_given_is_not_changed() -> None:
    first = ask()
    kept = first.account.copy()
    second = ask(account=first.account)
    assert np.array_equal(first.account, kept)
    assert second.pay_fen["basic"] != first.pay_fen["basic"]
    assert ask(account=first.account).pay_fen == second.pay_fen


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "care type": ({"visit": visit_of(care_type="dentist")}, "unknown_care_type", "dentist"),
    "level": ({"visit": visit_of(facility_level="4")}, "unknown_facility_level", "'4'"),
    "area": ({"visit": visit_of(area="abroad")}, "unknown_code", "abroad"),
    "scheme": ({"person": Person("p", "h", scheme="private")}, "unknown_code", "private"),
    "sex": ({"person": Person("p", "h", sex="f")}, "unknown_code", "male, female"),
    "order of days": ({"visit": visit_of(end_date=date(2024, 2, 1))}, "end_before_start", "2024-02-01"),
    "no law yet": ({"visit": visit_of(settled_date=date(1999, 1, 1))}, "outside_policy_dates", "1999-01-01"),
    "sum": ({"in_scope_fen": 12_999_999}, "parts_not_total", "14999999"),
    "negative": ({"in_scope_fen": 15_000_001, "off_catalogue_fen": -1}, "negative_amount", "-1"),
    "too large": (
        {"visit": visit_of(total_fen=MAX_FEN + 1), "in_scope_fen": MAX_FEN + 1, "off_catalogue_fen": 0},
        "amount_too_large",
        "9 trillion",
    ),
    "short account": ({"account": np.zeros(3, np.int64)}, "other_account", "account"),
    "a column that is not read": ({"columns": {"own_limit": 5}}, "unknown_column", "own_limit"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_a_desk_cannot_take_is_said_with_a_code_and_the_value(name: str) -> None:
    given, code, said = WRONG[name]
    with pytest.raises(MedfloorError) as caught:
        ask(**given)
    assert caught.value.code == code
    assert said in caught.value.message


def test_a_year_cannot_grow_beyond_what_the_kernel_counts() -> None:
    whole = visit_of(total_fen=MAX_FEN)
    first = ask(whole, in_scope_fen=MAX_FEN, off_catalogue_fen=0)
    more = 1_000_000  # beyond what the first claim's deductible left free
    with pytest.raises(MedfloorError) as caught:
        ask(visit_of(total_fen=more), in_scope_fen=more, off_catalogue_fen=0, account=first.account)
    assert caught.value.code == "amount_too_large"


def test_an_amount_of_a_column_must_be_one() -> None:
    desk = Desk.of("cn/shandong@2014-04-01")
    assert "pay_basic" in desk.law.dimensions.columns
    start = desk.law.policies.versions[-1].from_
    visit = visit_of(start_date=start, end_date=start, settled_date=start)
    amounts = {"in_scope_fen": 13_000_000, "off_catalogue_fen": 2_000_000}
    for wrong in (-1, MAX_FEN + 1):
        with pytest.raises(MedfloorError) as caught:
            desk.settle(visit, ORDINARY, [], **amounts, columns={"pay_basic": wrong})
        assert caught.value.code == "bad_amount"
    assert desk.settle(visit, ORDINARY, [], **amounts, columns={"pay_basic": 0}).own_total_fen >= 0


def test_a_policy_that_counts_by_household_needs_settle() -> None:
    with pytest.raises(MedfloorError) as caught:
        Desk.of("us/rand-hie")
    assert caught.value.code == "household_policy"
    assert "settle" in caught.value.message


def test_every_code_of_the_contract_is_known_at_the_desk() -> None:
    for care in tables.CARE_TYPES:
        for level in tables.FACILITY_LEVELS:
            answer = ask(visit_of(care_type=care, facility_level=level))
            assert sum(answer.pay_fen.values()) + answer.own_total_fen == STAY.total_fen
