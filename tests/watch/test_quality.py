"""Quality checks of cases: each finds its own, on the day and not a day before."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest

from medfloor.errors import InputError
from medfloor.watch.calendar import shipped_calendar
from medfloor.watch.cases import Event, replay
from medfloor.watch.deadlines import load_case_rules, with_values
from medfloor.watch.quality import CASE_COLUMNS, CHECKS, FINDING_COLUMNS, case_table, check_cases, say_finding
from medfloor.words import LANGS

RULES = load_case_rules("cn", on=date(2026, 1, 1))
CALENDAR = shipped_calendar()
GOOD: dict[str, Any] = {
    "case_id": "c1", "household_id": "h1", "place": "p", "round": 1, "state": "removed", "category": "edge",
    "found_on": date(2025, 3, 3), "verified_on": date(2025, 3, 5), "published_on": date(2025, 3, 6),
    "recognised_on": date(2025, 3, 12), "refused_on": None, "measures": 1, "first_measure_on": date(2025, 3, 20),
    "stable_since": date(2025, 4, 1), "removed_on": date(2025, 10, 16), "labour_capacity": True,
    "income_head_fen": 900_000, "line_head_fen": 730_000,
}  # fmt: skip
OPEN_CASE = {**GOOD, "state": "helped", "removed_on": None, "stable_since": None, "income_head_fen": 700_000}


def findings(
    *rows: dict[str, Any], on: date = date(2026, 3, 2), households: pl.DataFrame | None = None
) -> pl.DataFrame:
    return check_cases(pl.DataFrame(list(rows), schema=CASE_COLUMNS), RULES, CALENDAR, on=on, households=households)


def checks(*rows: dict[str, Any], on: date = date(2026, 3, 2)) -> list[str]:
    return findings(*rows, on=on)["check"].to_list()


def incomes(**income: int | None) -> pl.DataFrame:
    schema = {"household_id": pl.String, "income_head_fen": pl.Int64, "line_head_fen": pl.Int64}
    return pl.DataFrame([(home, fen, 730_000) for home, fen in income.items()], schema=schema, orient="row")


def test_a_case_by_rule_gives_no_finding() -> None:
    found = findings(GOOD, OPEN_CASE)
    assert found.is_empty()
    assert found.columns == list(FINDING_COLUMNS)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"verified_on": date(2025, 3, 6)}, []),
        ({"verified_on": date(2025, 3, 7)}, ["visit_late"]),
        ({"recognised_on": date(2025, 3, 18)}, []),
        ({"recognised_on": date(2025, 3, 19)}, ["decision_late"]),
        ({"first_measure_on": date(2025, 4, 14)}, []),  # a month later is Saturday 12 April
        ({"first_measure_on": date(2025, 4, 15)}, ["measure_late"]),
        ({"removed_on": date(2025, 4, 30)}, ["removed_too_soon"]),
        ({"removed_on": date(2025, 5, 1)}, ["removed_unstable"]),
        ({"removed_on": date(2025, 9, 30)}, ["removed_unstable"]),
        ({"removed_on": date(2025, 10, 1)}, []),
        ({"stable_since": date(2025, 4, 17)}, ["removed_unstable"]),
        ({"measures": 0, "first_measure_on": None}, ["removed_without_measure"]),
        ({"labour_capacity": False}, ["removed_without_labour"]),
        ({"labour_capacity": None}, []),
        ({"income_head_fen": 730_000}, ["removed_under_line"]),
        ({"income_head_fen": 730_001}, []),
    ],
)
def test_each_check_finds_its_own_to_the_day_and_fen(changed: dict[str, Any], expected: list[str]) -> None:
    assert checks({**GOOD, **changed}) == expected


def test_what_is_not_done_is_overdue_from_the_day_after() -> None:
    found_only = {
        **dict.fromkeys(GOOD),
        "case_id": "c",
        "household_id": "h",
        "state": "found",
        "found_on": date(2026, 3, 2),
    }
    assert checks(found_only, on=date(2026, 3, 5)) == []
    assert checks(found_only, on=date(2026, 3, 6)) == ["visit_overdue"]
    assert checks(found_only, on=date(2026, 3, 18)) == ["visit_overdue", "decision_overdue"]
    late = findings(found_only, on=date(2026, 3, 18))
    assert late["days_late"].to_list() == [13, 1]


def test_a_month_without_a_measure_is_found() -> None:
    waiting = {**OPEN_CASE, "state": "recognised", "measures": 0, "first_measure_on": None}
    assert checks(waiting, on=date(2025, 4, 14)) == []
    assert checks(waiting, on=date(2025, 4, 15)) == ["no_measure"]


UNSAID: dict[str, Any] = dict.fromkeys(GOOD) | {"case_id": "c", "household_id": "h", "found_on": date(2025, 3, 3)}
"""A case of another system of which little more than the state is listed."""


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"state": "removed"}, []),
        ({"state": "removed", "measures": 0}, ["removed_without_measure"]),
        ({"state": "helped"}, []),
        ({"state": "verified"}, ["decision_overdue"]),
        ({"state": "recognised", "recognised_on": date(2025, 3, 12), "measures": 2}, []),
        ({"state": "recognised", "recognised_on": date(2025, 3, 12)}, ["no_measure"]),
        ({"state": "helped", "recognised_on": date(2025, 3, 12)}, []),
        ({"state": "helped", "recognised_on": date(2025, 3, 12), "measures": 0}, ["no_measure"]),
        ({"state": "risk_stable", "recognised_on": date(2025, 3, 12)}, []),
        ({"state": "refused", "verified_on": date(2025, 3, 4)}, []),
    ],
)
def test_what_a_list_leaves_out_is_not_said_to_be_undone(said: dict[str, Any], expected: list[str]) -> None:
    assert checks({**UNSAID, **said}) == expected


def test_a_refusal_without_a_visit_is_found_and_one_after_a_visit_is_not() -> None:
    gone = {**OPEN_CASE, "state": "refused", "recognised_on": None, "refused_on": date(2025, 3, 12), "measures": 0}
    gone["first_measure_on"] = None
    assert checks(gone) == []
    assert checks({**gone, "verified_on": None}) == ["refused_unvisited"]


def test_households_under_the_line_that_nobody_follows_are_found() -> None:
    refused = {**OPEN_CASE, "household_id": "h2", "case_id": "c2", "state": "refused", "recognised_on": None}
    refused |= {"refused_on": date(2025, 3, 12), "measures": 0, "first_measure_on": None}
    known = incomes(h1=700_000, h2=730_000, h3=730_000, h4=730_001, h5=None)
    found = findings(OPEN_CASE, refused, households=known)
    assert found.select("check", "household_id", "case_id", "state").rows() == [
        ("not_monitored", "h2", "c2", "refused"),
        ("not_monitored", "h3", None, None),
    ]


def test_a_household_that_fell_after_its_removal_is_found_by_what_is_known_now() -> None:
    assert findings(GOOD, households=incomes(h1=700_000))["check"].to_list() == ["removed_under_line"]
    assert findings(GOOD, households=incomes(h1=None)).is_empty()


def test_the_longest_late_stands_first() -> None:
    first = {**OPEN_CASE, "case_id": "a", "household_id": "a", "verified_on": date(2025, 3, 7)}
    second = {**OPEN_CASE, "case_id": "b", "household_id": "b", "verified_on": date(2025, 3, 12)}
    assert findings(first, second)["case_id"].to_list() == ["b", "a"]


def test_a_due_day_in_an_unknown_year_says_so() -> None:
    hainan = load_case_rules("cn/hainan", on=date(2026, 12, 1))
    waiting = {**dict.fromkeys(GOOD), "case_id": "c", "household_id": "h", "state": "verified"}
    waiting |= {"found_on": date(2026, 12, 20), "verified_on": date(2026, 12, 21)}
    table = pl.DataFrame([waiting], schema=CASE_COLUMNS)
    found = check_cases(table, hainan, CALENDAR, on=date(2027, 2, 1))
    assert found["provisional"].to_list() == [True]
    assert "weekends alone" in say_finding(found.row(0, named=True), "en")
    assert "仅按周末推算" in say_finding(found.row(0, named=True), "zh")


def test_places_that_allow_more_find_less() -> None:
    free = with_values(RULES, removal_without_labour=1, measures_at_least=0)
    row = {**GOOD, "labour_capacity": False, "measures": 0, "first_measure_on": None}
    assert check_cases(pl.DataFrame([row], schema=CASE_COLUMNS), free, CALENDAR, on=date(2026, 1, 1)).is_empty()


def test_cases_become_a_table() -> None:
    seen = {"income_head_fen": 700_000, "line_head_fen": 730_000, "labour_capacity": True}
    case = replay(
        [
            Event("found", date(2026, 3, 2), "a", source="alert"),
            Event("verified", date(2026, 3, 4), "b", **seen),
            Event("published", date(2026, 3, 5), "b", category="edge"),
            Event("recognised", date(2026, 3, 11), "c", category="edge"),
            Event("helped", date(2026, 3, 12), "b", measure="m", given_by="x"),
            Event("helped", date(2026, 3, 20), "b", measure="n", given_by="x"),
        ],
        case_id="c1",
        household_id="h1",
        place="p",
    )
    row = case_table([case]).row(0, named=True)
    assert (row["state"], row["measures"], row["first_measure_on"]) == ("helped", 2, date(2026, 3, 12))
    assert check_cases(case_table([case]), RULES, CALENDAR, on=date(2026, 6, 1)).is_empty()


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("check", CHECKS)
def test_every_finding_is_said_in_words(check: str, lang: str) -> None:
    finding = {"check": check, "due": date(2026, 1, 5), "days_late": 3, "provisional": False}
    text = say_finding({**finding, "income_head_fen": 700_000, "line_head_fen": 730_000}, lang)
    assert "{" not in text
    assert ("7,000.00" in text) == (check in ("removed_under_line", "not_monitored"))


def test_a_table_without_its_columns_is_refused() -> None:
    with pytest.raises(InputError, match="found_on"):
        check_cases(pl.DataFrame({"case_id": []}), RULES, CALENDAR, on=date(2026, 1, 1))
    with pytest.raises(InputError, match="line_head_fen"):
        findings(GOOD, households=pl.DataFrame({"household_id": [], "income_head_fen": []}))
