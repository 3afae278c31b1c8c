"""Refuse what cannot be settled, each row with its own reason, and settle all the rest."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from worlds import Raw, a_claim, claims_frame, one_tier, people_frame, percent, policy_set, spells_frame, yuan

from medfloor.errors import MissingValueError
from medfloor.settlement import Settlements, settle
from medfloor.tables import REASONS

LAW = one_tier({"when": {"group": ["none", "dibao"]}, "brackets": [{"rate": percent(50)}]})
PEOPLE = [{"person_id": "p0"}, {"person_id": "p1"}]


def told(*claims: Raw, people: list[Raw] = PEOPLE, spells: tuple[Raw, ...] = (), law: Any = None) -> Settlements:
    policies = policy_set(LAW) if law is None else law
    result = settle(claims_frame(claims), people_frame(people), spells_frame(spells), policies)
    assert result.rows_in == result.fen.height + result.rejected.height
    assert result.money_in_fen == result.fen["total_fen"].sum() + result.money_rejected_fen
    assert set(result.rejected["reason"]) <= REASONS.keys()
    return result


def reasons(result: Settlements) -> dict[str, str]:
    return dict(result.rejected.select("claim_id", "reason").iter_rows())


def test_a_person_whom_people_does_not_have_is_unknown() -> None:
    assert reasons(told(a_claim(), a_claim("c2", person_id="stranger"))) == {"c2": "unknown_person"}


def test_a_person_whose_row_cannot_be_read_is_named_with_the_reason() -> None:
    people = [*PEOPLE, {"person_id": "p2", "birth_date": "long ago"}]
    assert reasons(told(a_claim(), a_claim("c2", person_id="p2"), people=people)) == {"c2": "bad_person"}


def test_a_person_with_two_schemes_on_one_day_is_refused() -> None:
    people = [*PEOPLE, {"person_id": "p2", "scheme": "resident"}, {"person_id": "p2", "scheme": "employee"}]
    assert reasons(told(a_claim(), a_claim("c2", person_id="p2"), people=people)) == {"c2": "overlapping_schemes"}
    people[3] = people[2]
    assert reasons(told(a_claim(), a_claim("c2", person_id="p2"), people=people)) == {"c2": "duplicate_person"}


def test_a_person_whose_status_cannot_be_read_is_refused() -> None:
    spells = ({"person_id": "p1", "group": "dibao", "from_date": "2024-05-01", "to_date": "2024-01-01"},)
    assert reasons(told(a_claim(), a_claim("c2", person_id="p1"), spells=spells)) == {"c2": "bad_spell"}


def test_a_claim_outside_the_policys_dates_is_refused() -> None:
    law = policy_set(
        {**LAW, "from": "2024-01-01", "to": "2024-06-30"}, {**LAW, "from": "2024-09-01", "to": "2024-12-31"}
    )
    days = [
        "2023-12-31",
        "2024-01-01",
        "2024-06-30",
        "2024-07-01",
        "2024-08-31",
        "2024-09-01",
        "2024-12-31",
        "2025-01-01",
    ]
    result = told(*(a_claim(f"c{n}", day=day) for n, day in enumerate(days)), law=law)
    assert reasons(result) == {f"c{n}": "outside_policy_dates" for n in (0, 3, 4, 7)}
    assert "2023-12-31" in result.rejected["detail"][0]


def test_the_settled_date_chooses_the_version() -> None:
    law = policy_set(LAW, {**one_tier({"brackets": [{"rate": percent(80)}]}), "from": "2024-09-01"})
    late = a_claim("c2", day="2024-08-30", settled_date="2024-09-01")
    assert told(a_claim(day="2024-08-31"), late, law=law).fen["pay_basic_fen"].to_list() == [50_000, 80_000]


def test_a_number_that_was_never_published_refuses_the_claims_that_need_it() -> None:
    rates = [{"when": {"facility_level": "3"}, "unit": "percent"}, percent(50)]
    law = policy_set(one_tier({"brackets": [{"rate": rates}]}))
    result = told(a_claim(), a_claim("c2", facility_level="2"), a_claim("c3", continues="c1"), law=law)
    assert reasons(result) == {"c1": "policy_value_missing", "c3": "policy_value_missing"}
    assert result.fen["pay_basic_fen"].to_list() == [50_000]


def test_a_policy_that_can_settle_nothing_says_so() -> None:
    with pytest.raises(MissingValueError) as error:
        told(a_claim(), law=policy_set(one_tier({"brackets": [{"rate": {"unit": "percent"}}]})))
    assert "tiers/basic/parts/k0/brackets/0/rate" in error.value.message


@pytest.mark.parametrize(
    ("claims", "refused"),
    [
        ([a_claim("c2", continues="c9")], {"c2": "unknown_continues"}),
        ([a_claim("c1"), a_claim("c2", continues="c1", person_id="p1")], {"c2": "continues_other_person"}),
        ([a_claim("c1", day="2024-04-01"), a_claim("c2", continues="c1")], {"c2": "continues_later"}),
        ([a_claim("c2"), a_claim("c1", continues="c2")], {"c1": "continues_later"}),
        ([a_claim("c1", continues="c1")], {"c1": "continues_later"}),
        (
            [
                a_claim("c1", continues="c9"),
                a_claim("c2", continues="c1"),
                a_claim("c3", continues="c2"),
                a_claim("c4"),
            ],
            {"c1": "unknown_continues", "c2": "unknown_continues", "c3": "unknown_continues"},
        ),
        (
            [a_claim("c1", person_id="stranger"), a_claim("c2", continues="c1")],
            {"c1": "unknown_person", "c2": "continues_other_person"},
        ),
    ],
)
def test_a_stay_that_cannot_continue_what_it_names_is_refused(claims: list[Raw], refused: dict[str, str]) -> None:
    assert reasons(told(*claims)) == refused


def test_refused_rows_come_back_as_they_came_in_the_order_of_the_input() -> None:
    rows = [
        a_claim("c3", person_id="x"),
        a_claim("c1"),
        a_claim("c2", continues="c9", provider_id="H 1"),
        a_claim("c0", total="abc"),
    ]
    rejected = told(*rows).rejected
    assert rejected["claim_id"].to_list() == ["c3", "c2", "c0"]
    assert rejected["reason"].to_list() == ["unknown_person", "unknown_continues", "bad_amount"]
    assert rejected["provider_id"].to_list() == [None, "H 1", None]
    assert rejected["total"].to_list() == ["1000.00", "1000.00", "abc"]


def test_carried_columns_come_through_untouched_whatever_their_name() -> None:
    claims = claims_frame([a_claim()]).with_columns(
        score_fen=pl.lit(250), ward=pl.lit(None, pl.String), weight=pl.lit(1.5)
    )
    back = claims_frame([a_claim("r1", day="2024-04-01", reverses="c1")]).with_columns(
        score_fen=pl.lit(7), ward=pl.lit("w"), weight=pl.lit(2.5)
    )
    people, law = people_frame(PEOPLE), policy_set(LAW)
    table = settle(claims, people, None, law).settlements
    assert table.select("score_fen", "ward", "weight").rows() == [(250, None, 1.5)]
    table = settle(pl.concat([claims, back]), people, None, law).settlements
    assert table.select("score_fen", "ward", "weight").rows() == [(250, None, 1.5), (7, "w", 2.5)]


def test_a_column_that_gives_an_amount_is_the_limit_where_the_law_says_so() -> None:
    pot = {"id": "pot", "cap": {"column": "own_limit", **yuan(10_000)}}
    law = policy_set(one_tier({"brackets": [{"rate": percent(50)}], "pots": ["pot"]}, pots=[pot]))
    rows = [
        a_claim("c1", own_limit="150"),
        a_claim("c2", day="2024-03-02", own_limit="200"),
        a_claim("c3", day="2024-03-03"),
    ]
    assert told(*rows, law=law).fen["pay_basic_fen"].to_list() == [15_000, 5_000, 0]


def test_care_before_birth_is_refused() -> None:
    claims = pl.DataFrame(
        {
            "claim_id": ["c1", "c2"],
            "person_id": ["p1", "p2"],
            "care_type": ["inpatient"] * 2,
            "start_date": ["2024-03-01"] * 2,
            "end_date": ["2024-03-02"] * 2,
            "facility_level": ["3"] * 2,
            "total": ["2000"] * 2,
            "in_scope": ["2000"] * 2,
        }
    )
    people = pl.DataFrame({"person_id": ["p1", "p2"], "birth_date": ["2080-01-01", "2024-03-01"]})
    done = settle(claims, people, policy="cn/beijing")
    assert done.rejected.select("claim_id", "reason").rows() == [("c1", "born_after_care")]
    assert done.settlements["claim_id"].to_list() == ["c2"]
