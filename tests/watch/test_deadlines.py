"""Deadlines of cases: by place and day, across holidays and month ends."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from medfloor.errors import InputError, UsageError
from medfloor.watch.calendar import shipped_calendar
from medfloor.watch.deadlines import (
    UNITS,
    decision_due,
    help_due,
    load_case_rules,
    notice_until,
    open_month,
    removal_from,
    visit_due,
    with_values,
)

CALENDAR = shipped_calendar()
RULES = load_case_rules("cn", on=date(2026, 1, 1))
HAINAN = load_case_rules("cn/hainan", on=date(2026, 1, 1))


def test_every_parameter_says_where_it_comes_from() -> None:
    assert {one.name for one in RULES.all} == set(UNITS)
    assert all(one.source and one.trust for one in RULES.all)
    assert all(one.words for one in RULES.all if one.trust == "official")


def test_fifteen_days_end_on_the_next_working_day_and_not_on_a_holiday() -> None:
    # 16 September + 15 = 1 October, in the holiday to 7 October.
    assert decision_due(date(2026, 9, 16), RULES, CALENDAR).day == date(2026, 10, 8)
    assert decision_due(date(2026, 9, 15), RULES, CALENDAR).day == date(2026, 9, 30)
    # 28 February 2026 is a Saturday that is worked: nothing moves.
    assert decision_due(date(2026, 2, 13), RULES, CALENDAR).day == date(2026, 2, 28)


def test_an_office_may_leave_due_days_where_they_fall() -> None:
    strict = with_values(RULES, rest_day_moves_due=0)
    assert decision_due(date(2026, 9, 16), strict, CALENDAR).day == date(2026, 10, 1)
    assert strict["rest_day_moves_due"].trust == "office"


def test_the_last_days_of_december_wait_for_the_notice_of_the_next_year() -> None:
    # 29 and 31 December 2018 were changed by the notice for 2019; that for 2027 is not known.
    late = visit_due(date(2026, 12, 26), RULES, CALENDAR)
    assert (late.day, late.provisional) == (date(2026, 12, 29), True)
    assert not visit_due(date(2026, 12, 25), RULES, CALENDAR).provisional
    assert decision_due(date(2026, 12, 1), HAINAN, CALENDAR).provisional
    assert not visit_due(date(2025, 12, 26), RULES, CALENDAR).provisional


def test_twenty_working_days_of_hainan_over_the_spring_festival() -> None:
    # After 2 February 2026: 3-6 (4), 9-14 (6, the Saturday worked), 24-28 (5, the Saturday worked), 2-6 March (5).
    assert decision_due(date(2026, 2, 2), HAINAN, CALENDAR).day == date(2026, 3, 6)


def test_a_visit_found_before_the_holiday_is_due_after_it() -> None:
    assert visit_due(date(2026, 2, 13), RULES, CALENDAR).day == date(2026, 2, 24)


def test_a_month_of_help_ends_on_the_last_day_of_a_short_month() -> None:
    assert help_due(date(2026, 1, 31), RULES, CALENDAR).day == date(2026, 2, 28)
    assert help_due(date(2024, 1, 31), RULES, CALENDAR).day == date(2024, 2, 29)
    assert help_due(date(2026, 8, 31), RULES, CALENDAR).day == date(2026, 9, 30)


def test_a_notice_stands_its_days_also_over_a_month_end_and_a_holiday() -> None:
    assert notice_until(date(2026, 2, 26), RULES, CALENDAR).day == date(2026, 3, 3)
    assert notice_until(date(2026, 9, 28), RULES, CALENDAR).day == date(2026, 10, 3)


def test_a_deadline_into_an_unknown_year_is_provisional() -> None:
    due = decision_due(date(2026, 12, 20), HAINAN, CALENDAR)
    assert due.provisional
    assert due.day == date(2027, 1, 15)
    assert not decision_due(date(2026, 11, 20), RULES, CALENDAR).provisional
    assert decision_due(date(2026, 12, 20), RULES, CALENDAR).provisional


@pytest.mark.parametrize(
    ("recognised", "first"),
    [
        (date(2026, 1, 1), date(2026, 3, 1)),
        (date(2026, 1, 31), date(2026, 3, 1)),
        (date(2025, 12, 31), date(2026, 2, 1)),
        (date(2025, 11, 30), date(2026, 1, 1)),
    ],
)
def test_nobody_is_removed_in_the_month_of_recognition_or_the_next(recognised: date, first: date) -> None:
    assert open_month(recognised, RULES) == first


def test_what_holds_a_removal_back_longest_is_named() -> None:
    january = date(2026, 1, 10)

    def held(recognised: date, stable: date, published: date) -> tuple[date, str]:
        due, name = removal_from(recognised, stable, published, RULES, CALENDAR)
        return due.day, name

    assert held(january, date(2026, 2, 1), date(2026, 3, 2)) == (date(2026, 8, 1), "stable_at_least")
    assert held(january, date(2025, 11, 1), date(2026, 3, 2)) == (date(2026, 7, 10), "monitored_at_least")
    assert held(january, date(2025, 11, 1), date(2026, 9, 1)) == (date(2026, 9, 7), "notice_at_least")
    short = with_values(RULES, monitored_at_least=0, stable_at_least=0)
    due, name = removal_from(january, date(2026, 1, 10), date(2026, 1, 11), short, CALENDAR)
    assert (due.day, name) == (date(2026, 3, 1), "closed_months")


def own(text: str, tmp_path: Path) -> Path:
    file = tmp_path / "own.toml"
    file.write_text(text, encoding="utf-8")
    return file


OWN = """
[sources.us]
title = "notice of the county"
[[parameter]]
name = "visit_within"
place = "cn/x"
from = 2026-07-01
value = 5
unit = "working_days"
source = "us"
trust = "office"
words = ""
"""


def test_rules_of_ones_own_hold_for_their_place_from_their_day(tmp_path: Path) -> None:
    file = own(OWN, tmp_path)
    after = date(2026, 7, 1)
    assert load_case_rules("cn/x/y", on=after, path=file)["visit_within"].unit == "working_days"
    assert load_case_rules("cn/x", on=date(2026, 6, 30), path=file).number("visit_within") == 3
    assert load_case_rules("cn/xy", on=after, path=file).number("visit_within") == 3


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("visit_within", "visit_sometime"),
        ("value = 5", "value = -1"),
        ("value = 5", "value = true"),
        ("value = 5", 'value = "5"'),
        ('unit = "working_days"', 'unit = "moons"'),
        ("from = 2026-07-01", 'from = "2026"'),
        ('source = "us"', 'source = "them"'),
        ('title = "notice of the county"', ""),
        ('trust = "office"', 'trust = "rumour"'),
        ('words = ""', ""),
        ("[sources.us]", "[elsewhere]"),
        ("[[parameter]]", "[[parameter"),
    ],
)
def test_rules_that_cannot_be_meant_are_refused(old: str, new: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        load_case_rules("cn/x", on=date(2026, 7, 1), path=own(OWN.replace(old, new), tmp_path))
    assert raised.value.code == "bad_case_rules"


def test_a_place_or_day_without_rules_is_an_error() -> None:
    with pytest.raises(InputError, match="from the country down"):
        load_case_rules("150981", on=date(2026, 1, 1))
    with pytest.raises(InputError) as raised:
        load_case_rules("cn", on=date(2020, 12, 31))
    assert raised.value.code == "no_case_rules"


@pytest.mark.parametrize("values", [{"visit": 1}, {"visit_within": -1}, {"rest_day_moves_due": 2}])
def test_a_value_of_ones_own_must_be_possible(values: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        with_values(RULES, **values)
