"""Count days, months and benefit years."""

from __future__ import annotations

import calendar
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medfloor.periods import OPEN_END, Span, add_months, age_on, benefit_year

DAYS = st.dates(date(1900, 1, 1), date(2100, 12, 31))
OPEN = st.one_of(st.none(), DAYS)


@given(OPEN, OPEN, DAYS)
def test_a_span_of_days_holds_its_first_and_its_last_day(first: date | None, last: date | None, day: date) -> None:
    held = Span.from_days(first, last).holds(day)
    assert held == ((first is None or first <= day) and (last is None or day <= last))


@given(st.tuples(DAYS, DAYS).map(sorted), st.tuples(DAYS, DAYS).map(sorted))
def test_spans_meet_where_a_day_lies_in_both(one: list[date], other: list[date]) -> None:
    a, b = Span.from_days(*one), Span.from_days(*other)
    assert a.meets(b) == b.meets(a) == (max(one[0], other[0]) <= min(one[1], other[1]))


def test_an_open_end_stays_open() -> None:
    assert Span.from_days(None, None) == Span(date.min, OPEN_END)
    assert Span.from_days(None, OPEN_END) == Span(date.min, OPEN_END)
    assert Span.from_days(None, OPEN_END - timedelta(days=1)).holds(OPEN_END - timedelta(days=1))


@given(DAYS, st.integers(-600, 600))
def test_adding_months_keeps_the_day_where_the_month_has_it(day: date, months: int) -> None:
    moved = add_months(day, months)
    assert (moved.year * 12 + moved.month) - (day.year * 12 + day.month) == months
    assert moved.day == min(day.day, calendar.monthrange(moved.year, moved.month)[1])


STARTS = st.tuples(st.integers(1, 12), st.integers(1, 28))


@given(DAYS, STARTS)
def test_a_benefit_year_begins_on_its_first_day_and_ends_the_day_before_the_next(
    day: date, starts: tuple[int, int]
) -> None:
    year = benefit_year(day, starts)
    assert date(year, *starts) <= day < date(year + 1, *starts)


@given(DAYS, DAYS)
def test_an_age_grows_by_one_on_each_birthday(birth: date, day: date) -> None:
    birth, day = sorted((birth, day))
    age = age_on(birth, day)
    # A birthday on 29 February is kept on 1 March of common years.
    birthdays = [
        date(year, 3, 1)
        if (birth.month, birth.day) == (2, 29) and not calendar.isleap(year)
        else birth.replace(year=year)
        for year in range(birth.year + 1, day.year + 1)
    ]
    assert age == sum(birthday <= day for birthday in birthdays)


def test_the_age_before_birth_is_nought() -> None:
    assert age_on(date(2024, 5, 2), date(2024, 5, 1)) == 0
    assert age_on(date(2024, 5, 2), date(2020, 1, 1)) == 0


@pytest.mark.parametrize(
    ("day", "age"), [(date(2025, 2, 28), 0), (date(2025, 3, 1), 1), (date(2028, 2, 28), 3), (date(2028, 2, 29), 4)]
)
def test_who_was_born_on_a_leap_day_is_a_year_older_on_the_first_of_march(day: date, age: int) -> None:
    assert age_on(date(2024, 2, 29), day) == age
