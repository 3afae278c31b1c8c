"""Take tables out in which nobody can be recognised."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.errors import AccessError
from medfloor.store import schema
from medfloor.store.engine import Store
from medfloor.store.export import TRAITS, Export, _coarsened, export_deidentified
from medfloor.store.keys import Keyring, new_keys
from medfloor.store.roles import Actor


def add(connection: sa.Connection, number: int, now: datetime, *, village: str, born: date, group: str) -> None:
    person_id = f"p{number}"
    known = {"valid_from": date(2020, 3, 17), "known_from": now, "recorded_by": "a", "source": "office"}
    connection.execute(schema.person.insert().values(person_id=person_id, created_at=now))
    connection.execute(
        schema.person_fact.insert().values(
            person_id=person_id, birth_date=born, sex="male", residence="rural", household_id=f"h{number // 2}",
            place=village, **known,
        )
    )  # fmt: skip
    connection.execute(schema.spell.insert().values(person_id=person_id, group=group, **known))


def settle(connection: sa.Connection, number: int, now: datetime, *, diagnosis: str, postings: dict[str, int]) -> None:
    if not connection.execute(sa.select(schema.account.c.id)).first():
        connection.execute(schema.account.insert().values(id=1, kind="person_year", owner="x", head=""))
    claim: dict[str, Any] = {
        "claim_id": f"c{number}", "person_id": f"p{number}", "account_id": 1, "care_type": "inpatient",
        "facility_level": "2", "area": "local", "referral": "regular", "start_date": date(2024, 3, 5),
        "end_date": date(2024, 3, 12), "settled_date": date(2024, 3, 12), "diagnosis": diagnosis, "total_fen": 100,
        "off_catalogue_fen": 0, "over_limit_fen": 0, "first_self_pay_fen": 0, "in_scope_fen": 100,
    }  # fmt: skip
    connection.execute(schema.claim.insert().values(**claim))
    done = connection.execute(
        schema.entry.insert().values(
            account_id=1, number=number + 1, kind="settlement", claim_id=f"c{number}", posted_at=now, posted_by="a",
            settled_date=date(2024, 3, 12), policy="x", policy_hash="", engine="", input="", input_hash="", result="",
            previous="", hash="",
        )
    )  # fmt: skip
    assert done.inserted_primary_key is not None
    for party, amount in postings.items():
        connection.execute(
            schema.posting.insert().values(entry_id=done.inserted_primary_key[0], party=party, amount_fen=amount)
        )


@pytest.fixture
def filled(store: Store, now: datetime) -> Store:
    with store.writing() as connection:
        for number in range(12):
            village = f"15098110200{number % 3}"
            add(connection, number, now, village=village, born=date(1950, 1, 1 + number), group="dibao")
        add(connection, 12, now, village="150981103001", born=date(1953, 4, 5), group="orphan")
        add(connection, 13, now, village="150982103001", born=date(1950, 4, 5), group="dibao")
        for number in range(5):
            settle(
                connection,
                number,
                now,
                diagnosis="I10.x02",
                postings={"person": 30, "fund:basic": 70, "facility": -100},
            )
        settle(connection, 6, now, diagnosis="Q87.1", postings={"person": 100, "facility": -100})
        settle(connection, 7, now, diagnosis="I10.x03", postings={"person": 0, "fund:basic": 0})
    return store


def taken(store: Store, ring: Keyring, actor: Actor, purpose: str = "study") -> Export:
    with store.reading() as connection:
        return export_deidentified(connection, ring, purpose=purpose, actor=actor)


def test_nobody_is_named_and_days_villages_and_facilities_are_gone(
    filled: Store, keyring: Keyring, analyst: Actor
) -> None:
    export = taken(filled, keyring, analyst)
    assert export.people.columns == ["person", "household", *TRAITS]
    text = export.people.write_csv() + export.spells.write_csv() + export.claims.write_csv()
    cells = {cell for line in text.splitlines() for cell in line.split(",")}
    # Within a pseudonym, two letters stand by chance.
    assert not cells & {"p1", "h1", "c1"}
    for secret in ("150981102", "1950-01", "2024-03-05", "x02", "orphan", "Q87"):
        assert not [cell for cell in cells if cell.startswith(secret)], secret
    assert export.counts == {
        "people": 12, "people_told_less": 0, "people_left_out": 1, "spells": 12, "spells_left_out": 0,
        "claims": 6, "diagnoses_left_out": 1, "cases": 0, "cases_left_out": 0,
    }  # fmt: skip


def test_amounts_of_claims_that_stand_are_exact(filled: Store, keyring: Keyring, analyst: Actor) -> None:
    claims = taken(filled, keyring, analyst).claims
    assert claims["pay_basic_fen"].sum() == 350
    assert claims["own_total_fen"].sum() == 250
    assert set(claims["month"]) == {"2024-03"}
    assert set(claims["days"]) == {7}
    assert Counter(claims["diagnosis"]) == {"I10": 5, None: 1}


def test_a_purpose_has_its_own_pseudonyms_and_keeps_them(filled: Store, keyring: Keyring, analyst: Actor) -> None:
    first, again = taken(filled, keyring, analyst), taken(filled, keyring, analyst)
    assert first.people.equals(again.people)
    assert set(first.claims["person"]) <= set(first.people["person"])
    for other in (taken(filled, keyring, analyst, "sale"), taken(filled, new_keys(), analyst)):
        assert not set(first.people["person"]) & set(other.people["person"])


def test_an_actor_takes_out_only_what_lies_in_the_place(filled: Store, keyring: Keyring, clerk: Actor) -> None:
    assert taken(filled, keyring, Actor("a", "analyst", "150981102000")).counts["people"] == 12
    assert taken(filled, keyring, Actor("a", "analyst", "1509")).counts["people"] == 12
    none = taken(filled, keyring, Actor("a", "analyst", "11"))
    assert none.people.is_empty()
    assert none.claims.schema["total_fen"] == pl.Int64
    with pytest.raises(AccessError):
        taken(filled, keyring, clerk)


@settings(max_examples=50)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from("AB"), st.integers(1940, 1965), st.sampled_from(["male", "female"]), st.booleans()),
        max_size=40,
    ),
    smallest=st.integers(2, 6),
)
def test_no_group_of_an_export_is_small(rows: list[tuple[str, int, str, bool]], smallest: int) -> None:
    people = [
        {
            "id": str(number), "county": county, "birth_year": year, "birth_decade": year // 10 * 10, "sex": sex,
            "residence": "rural" if rural else "urban",
        }
        for number, (county, year, sex, rural) in enumerate(rows)
    ]  # fmt: skip
    left, told_less, left_out = _coarsened(people, smallest)
    sizes = Counter(tuple(row[name] for name in TRAITS) for row in left)
    assert all(size >= smallest for size in sizes.values())
    assert len(left) + left_out == len(rows)
    assert told_less <= len(left)


def test_cases_are_shown_by_household_and_small_groups_are_told_less(
    filled: Store, keyring: Keyring, analyst: Actor, now: datetime
) -> None:
    with filled.writing() as connection:
        homes = connection.execute(sa.select(schema.person_fact.c.household_id).distinct()).scalars().all()
        for number, home in enumerate(sorted(homes)):
            connection.execute(
                schema.watch_case.insert().values(
                    case_id=f"k{number}", household_id=home, place="150981102003", state="helped" if number else "removed",
                    round=1, found_on=date(2024, 3, 5), changed_on=date(2024, 3, 5), length=1, head="", opened_at=now,
                    changed_at=now,
                )
            )  # fmt: skip
        connection.execute(schema.watch_case.insert().values(
            case_id="k99", household_id="elsewhere", place="11", state="helped", round=1, found_on=date(2024, 3, 5),
            changed_on=date(2024, 3, 5), length=1, head="", opened_at=now, changed_at=now,
        ))  # fmt: skip
    export = taken(filled, keyring, analyst)
    assert set(export.cases["household"]) <= set(export.people["household"])
    assert export.counts["cases"] + export.counts["cases_left_out"] <= len(homes)
    assert "k0" not in export.cases.write_csv() and "150981" not in export.cases.write_csv()
    shown = Counter(export.cases.drop("household").rows())
    assert shown and min(shown.values()) >= 5
    assert "removed" not in export.cases["state"].to_list()
