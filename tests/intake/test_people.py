"""People, their status and their households on the way in."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest

from medfloor.errors import InputError
from medfloor.intake import read_households, read_people, read_spells
from medfloor.tables import PEOPLE, SCHEMES, SEXES

GROUPS = ["tekun", "orphan", "dibao", "dibao_marginal"]


def people(*rows: dict[str, Any]) -> pl.DataFrame:
    names = dict.fromkeys(name for row in rows for name in row)
    return pl.DataFrame([{**dict.fromkeys(names), **row} for row in rows], schema=dict.fromkeys(names, pl.String))


def test_a_person_is_read_in_the_inside_form_with_extras_carried() -> None:
    read = read_people(
        people(
            {"psn_no": " P1 ", "brdy": "1960-02-29", "gend": "2", "insutype": "390", "family_doctor": "Yes",
             "continuous_years": "4", "max_expenditure": "1000"}
        )
    )  # fmt: skip
    row = read.accepted.row(0, named=True)
    assert read.national
    assert read.carried == ("max_expenditure",)
    assert list(row) == [column.inside for column in PEOPLE.columns] + ["max_expenditure"]
    assert row["person_id"] == row["household_id"] == "P1"
    assert row["birth_date"] == date(1960, 2, 29)
    assert SEXES[row["sex"]] == "female"
    assert SCHEMES[row["scheme"]] == "resident"
    assert row["family_doctor"] is True
    assert row["continuous_years"] == 4
    assert row["claim_free_years"] is None
    assert row["max_expenditure"] == "1000"


def test_a_bare_list_of_people_is_enough() -> None:
    row = read_people(people({"person_id": "P1"})).accepted.row(0, named=True)
    assert (row["household_id"], row["scheme"], row["family_doctor"], row["sex"]) == ("P1", 0, False, None)


def test_a_sex_that_is_not_stated_is_empty() -> None:
    assert read_people(people({"person_id": "1", "gend": "9"})).accepted["sex"].to_list() == [None]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"person_id": ""}, "person_id is empty"),
        ({"birth_date": "1960-02-30"}, "birth_date is '1960-02-30'"),
        ({"sex": "x"}, "sex is 'x'"),
        ({"scheme": "510"}, "scheme is '510'"),
        ({"continuous_years": "-1"}, "continuous_years is '-1'"),
        ({"family_doctor": "perhaps"}, "family_doctor is 'perhaps'"),
        ({"enrolled_from": "2024-02-01", "enrolled_to": "2024-01-01"}, "before enrolled_from"),
    ],
)
def test_a_person_whose_row_cannot_be_read_is_listed_as_bad(change: dict[str, Any], words: str) -> None:
    read = read_people(people({"person_id": "P0"}, {"person_id": "P1", **change}))
    assert read.accepted["person_id"].to_list() == ["P0"]
    assert read.bad["reason"].to_list() == ["bad_person"]
    assert words in read.bad["detail"][0]


def spans(*days: tuple[str | None, str | None, str]) -> pl.DataFrame:
    return people(*[{"person_id": "P1", "enrolled_from": a, "enrolled_to": b, "scheme": s} for a, b, s in days])


def test_a_person_may_change_scheme_from_one_day_to_the_next() -> None:
    read = read_people(spans((None, "2024-06-30", "resident"), ("2024-07-01", None, "employee")))
    assert read.bad.is_empty()
    assert read.accepted["scheme"].to_list() == [0, 1]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([(None, "2024-07-01", "resident"), ("2024-07-01", None, "employee")], "overlapping_schemes"),
        ([("2024-07-01", "2024-07-02", "employee"), (None, None, "resident")], "overlapping_schemes"),
        ([(None, None, "resident"), (None, None, "resident")], "duplicate_person"),
        (
            [(None, "2023-12-31", "resident"), (None, "2023-01-01", "resident"), ("2024-01-01", None, "employee")],
            "duplicate_person",
        ),
        (
            [("2020-01-01", "2020-12-31", "resident"), ("2020-02-01", "2020-03-01", "resident"),
             ("2020-12-31", None, "employee")],
            "overlapping_schemes",
        ),
    ],
)  # fmt: skip
def test_two_rows_for_the_same_day_are_listed(rows: list[tuple[str | None, str | None, str]], reason: str) -> None:
    for order in (rows, rows[::-1]):
        read = read_people(pl.concat([spans(*order), people({"person_id": "P2", "enrolled_from": None,
                                                             "enrolled_to": None, "scheme": "none"})]))  # fmt: skip
        assert read.bad.select("person_id", "reason").rows() == [("P1", reason)]
        assert read.accepted["person_id"].to_list() == ["P2"]


def test_an_unreadable_row_takes_the_persons_other_rows_with_it() -> None:
    read = read_people(
        people({"person_id": "P1", "sex": "male", "enrolled_to": "2023-12-31"},
               {"person_id": "P1", "sex": "?", "enrolled_from": "2024-01-01"})
    )  # fmt: skip
    assert read.accepted.is_empty()
    assert read.bad["reason"].to_list() == ["bad_person"]


def test_spells_are_read_under_both_spellings_and_in_the_laws_words() -> None:
    frame = people(
        {"psn_no": "1", "psn_idet_type": " Dibao ", "begntime": "2024-01-01 00:00:00", "endtime": "2024-12-31"},
        {"psn_no": "2", "psn_idet_type": "特困人员", "begntime": None, "endtime": None},
        {"psn_no": "3", "psn_idet_type": "7041", "begntime": "2024-03-01", "endtime": None},
    )
    spells = read_spells(frame, GROUPS, psn_idet_type={"7041": "orphan"})
    assert spells.accepted.rows() == [
        ("1", "dibao", date(2024, 1, 1), date(2024, 12, 31)),
        ("2", "tekun", None, None),
        ("3", "orphan", date(2024, 3, 1), None),
    ]


def test_no_spells_are_nobody_with_a_status() -> None:
    spells = read_spells(None, GROUPS)
    assert spells.accepted.is_empty()
    assert spells.accepted.schema["from_date"] == pl.Date


@pytest.mark.parametrize(
    "change",
    [{"group": ""}, {"person_id": ""}, {"from_date": "x"}, {"from_date": "2025-01-02", "to_date": "2025-01-01"}],
)
def test_an_interval_that_cannot_be_read_is_listed(change: dict[str, Any]) -> None:
    good = {"person_id": "P0", "group": "dibao", "from_date": "2024-01-01", "to_date": None}
    spells = read_spells(people(good, {**good, "person_id": "P1", **change}), GROUPS)
    assert spells.accepted["person_id"].to_list() == ["P0"]
    assert spells.bad["reason"].to_list() == ["bad_spell"]


def test_a_group_that_the_policy_does_not_know_stops_the_run() -> None:
    with pytest.raises(InputError, match=r"'diabo'.*nearest it knows is dibao.*`groups:`") as caught:
        read_spells(people({"person_id": "1", "group": "diabo"}), GROUPS)
    assert caught.value.code == "unknown_group"


def test_households_keep_income_in_fen_and_may_have_lost_money() -> None:
    frame = people(
        {"household_id": "1", "size": "3", "income": "-120.50", "food": "1.00", "wave": "2018"},
        {"household_id": "2", "size": "2", "income": "1", "food": "-1", "wave": "2018"},
    )
    households = read_households(frame)
    assert households.accepted["income_fen"].to_list() == [-12_050]
    assert households.carried == ("wave",)
    assert households.bad.select("household_id", "reason").rows() == [("2", "negative_amount")]


def test_tables_of_no_rows_are_read() -> None:
    assert read_people(people({"person_id": "1"}).clear()).accepted.is_empty()
    assert read_spells(people({"person_id": "1", "group": "x"}).clear(), GROUPS).accepted.is_empty()
