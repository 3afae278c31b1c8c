"""Working days across holidays, working weekends, month ends and the end of what is known."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.errors import InputError
from medfloor.watch.calendar import load_calendar, shipped_calendar

KNOWN = st.dates(date(2021, 1, 1), date(2026, 11, 1))


def test_each_year_has_as_many_working_days_as_its_law_leaves() -> None:
    """Weekdays of the year less the public holidays of the law: 11 days until 2024, 13 from 2025.

    Working weekends give back what is shifted, so the count must come out exactly. A legal holiday on a weekend is made up
    on a weekday, so it counts as well. In 2023 the notice gives a day of 2022's end to its New Year.
    """
    calendar = shipped_calendar()
    for year in (2021, 2022, 2024, 2025, 2026):
        days = [date(year, 1, 1) + timedelta(n) for n in range(366)]
        days = [day for day in days if day.year == year]
        weekdays = sum(day.weekday() < 5 for day in days)
        law = 13 if year >= 2025 else 11
        assert sum(calendar.is_working(day) for day in days) == weekdays - law, year


@pytest.mark.parametrize(
    ("day", "works"),
    [
        (date(2024, 2, 4), True),  # a Sunday worked for the Spring Festival
        (date(2024, 2, 9), True),  # the eve of 2024: encouraged to rest, not a holiday
        (date(2025, 1, 28), False),  # the eve of 2025 is a holiday since the law of 2024
        (date(2022, 12, 31), False),  # a Saturday that the notice for 2023 names
        (date(2026, 10, 10), True),
        (date(2026, 9, 20), True),
        (date(2026, 2, 28), True),  # a Saturday at the end of a month
        (date(2026, 3, 1), False),
    ],
)
def test_a_day_is_worked_or_not_as_its_notice_says(day: date, works: bool) -> None:
    assert shipped_calendar().is_working(day) is works


def test_a_deadline_over_the_national_holiday_counts_the_days_by_hand() -> None:
    # After Wednesday 30 September 2026: 8, 9 and (a worked Saturday) 10 October, 12.
    assert shipped_calendar().add_working_days(date(2026, 9, 30), 4) == date(2026, 10, 12)


def test_a_year_without_a_notice_is_said_and_only_guessed_when_asked() -> None:
    calendar = shipped_calendar()
    with pytest.raises(InputError, match="2027") as raised:
        calendar.add_working_days(date(2026, 12, 31), 1)
    assert raised.value.code == "no_holidays"
    assert calendar.add_working_days(date(2026, 12, 31), 1, guess=True) == date(2027, 1, 1)
    with pytest.raises(InputError):
        calendar.is_working(date(2020, 6, 1))


@given(KNOWN, st.integers(0, 30))
@settings(max_examples=50, deadline=None)
def test_counting_forward_and_counting_between_agree(day: date, many: int) -> None:
    calendar = shipped_calendar()
    end = calendar.add_working_days(day, many)
    assert calendar.working_days(day, end) == many
    assert many == 0 or calendar.is_working(end)
    assert calendar.on_or_after(day) >= day


NOTICE = '[[notice]]\nyear = 2030\nsource = "x"\ntrust = "office"\nrest = [[2030-01-01, 2030-01-01]]\nwork = []\n'


def test_an_office_loads_a_year_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(NOTICE, encoding="utf-8")
    assert load_calendar(file).add_working_days(date(2030, 1, 1), 1) == date(2030, 1, 2)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "year = 2030",
        "[[notice]]\nyear = 2030\n",
        NOTICE + NOTICE,
        NOTICE.replace('"office"', '"rumour"'),
        NOTICE.replace('source = "x"', 'source = ""'),
        NOTICE.replace("[[2030-01-01, 2030-01-01]]", "[[2030-01-02, 2030-01-01]]"),
        NOTICE.replace("[[2030-01-01, 2030-01-01]]", "[[2031-01-01, 2031-01-01]]"),
        NOTICE.replace("[[2030-01-01, 2030-01-01]]", "[2030-01-01]"),
        NOTICE.replace("work = []", "work = [2030-01-03]"),  # a Thursday
        NOTICE.replace("work = []", 'work = ["2030-01-05"]'),
        "[[notice",
    ],
)
def test_a_calendar_that_cannot_be_meant_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as raised:
        load_calendar(file)
    assert raised.value.code == "bad_holidays"
