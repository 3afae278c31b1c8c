"""Keep spans of days and benefit years.

A span is half-open inside the program: its first day belongs to it, its end does not. Files name the last day that
still counts (`to_date` is inclusive), as certificates do; `Span.from_days` turns one into the other. This is the one
place that adds months to dates.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, timedelta, timezone

OPEN_END = date(9999, 12, 31)
"""The end of a span that is still running."""

OFFICE_ZONE = timezone(timedelta(hours=8))
"""The clock of all offices: China has one, and no summer time."""


@dataclass(frozen=True, slots=True)
class Span:
    """Be the days from `start` up to, but not including, `end`.

    >>> Span(date(2024, 1, 1), date(2024, 1, 3)).holds(date(2024, 1, 3))
    False
    """

    start: date
    end: date

    @classmethod
    def from_days(cls, first: date | None, last: date | None) -> Span:
        """Make a span of a first and a last day, both inclusive; None leaves that side open.

        >>> Span.from_days(date(2024, 1, 1), date(2024, 1, 31)).end
        datetime.date(2024, 2, 1)
        """
        end = OPEN_END if last is None or last >= OPEN_END else last + timedelta(days=1)
        return cls(first or date.min, end)

    def holds(self, day: date) -> bool:
        """Say whether the day lies in the span."""
        return self.start <= day < self.end

    def meets(self, other: Span) -> bool:
        """Say whether the two spans share a day.

        >>> Span(date(2024, 1, 1), date(2024, 1, 3)).meets(Span(date(2024, 1, 3), date(2024, 1, 4)))
        False
        """
        return self.start < other.end and other.start < self.end


def add_months(day: date, months: int) -> date:
    """Move a date by whole months; a day that the month lacks becomes its last.

    >>> add_months(date(2024, 1, 31), 1), add_months(date(2024, 3, 31), -1)
    (datetime.date(2024, 2, 29), datetime.date(2024, 2, 29))
    """
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    month += 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def benefit_year(day: date, starts: tuple[int, int] = (1, 1)) -> int:
    """Name the benefit year of a day by the calendar year in which it begins.

    `starts` is (month, day) of its first day.

    >>> benefit_year(date(2025, 3, 1)), benefit_year(date(2025, 3, 1), (7, 1))
    (2025, 2024)
    """
    return day.year if (day.month, day.day) >= starts else day.year - 1


def age_on(birth: date, day: date) -> int:
    """Count the completed years of age on a day; a day before birth counts as age 0.

    Born on 29 February, one is a year older on 1 March of a common year.

    >>> age_on(date(1954, 5, 2), date(2024, 5, 1)), age_on(date(1954, 5, 2), date(2024, 5, 2))
    (69, 70)
    """
    years = day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))
    return max(0, years)
