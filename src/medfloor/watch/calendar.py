"""Count working days: weekends, public holidays and working weekends of China, year by year (holidays.toml)."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, get_args

from medfloor.errors import InputError
from medfloor.policy.model import Trust

_FILE = Path(__file__).parent / "holidays.toml"
_DAY = timedelta(days=1)
_NEXT_NOTICE = (12, 29)
"""From this day of December on, the next year's notice may say otherwise."""
TRUSTS: tuple[str, ...] = (*get_args(Trust), "office")
"""How far a source can be trusted; `office` marks what an office chose itself."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """Be what is known of working days: holidays that fall on weekdays and weekends that are worked, for known years.

    A year of which no notice is known is not guessed: every question about it raises InputError `no_holidays`, unless
    it is asked with `guess=True`. Then weekends alone are taken for rest days, and whoever asks must say so.
    """

    years: frozenset[int]
    rest: frozenset[date]
    work: frozenset[date]
    sources: tuple[tuple[int, str, str], ...] = ()
    """Year, notice and trust of each."""

    def knows(self, first: date, last: date) -> bool:
        """Say whether all years from one day to another are known.

        The notice of a year may take the last days of the December before (2018-12-29 was worked for 2018-12-31), so
        these are known with the next year's notice only.

        >>> shipped_calendar().knows(date(2026, 1, 1), date(2027, 1, 1))
        False
        >>> [shipped_calendar().knows(day, day) for day in (date(2026, 12, 28), date(2026, 12, 29), date(2025, 12, 31))]
        [True, False, True]
        """
        until = last.year + ((last.month, last.day) >= _NEXT_NOTICE)
        return all(year in self.years for year in range(first.year, until + 1))

    def is_working(self, day: date, *, guess: bool = False) -> bool:
        """Say whether offices work on a day. Raises InputError no_holidays for an unknown year.

        >>> [shipped_calendar().is_working(date(2026, 2, n)) for n in (13, 14, 15, 23, 24)]
        [True, True, False, False, True]
        """
        if day.year not in self.years and not guess:
            raise InputError(
                "no_holidays",
                f"the public holidays of {day.year} are not known; add the notice of the State Council for {day.year} "
                "to a file like watch/holidays.toml and load it",
            )
        return day in self.work or (day.weekday() < 5 and day not in self.rest)

    def add_working_days(self, day: date, days: int, *, guess: bool = False) -> date:
        """Give the n-th working day after a day; the day itself is not counted (Civil Code, article 201).

        Raises InputError no_holidays for an unknown year.

        >>> shipped_calendar().add_working_days(date(2026, 9, 30), 1)
        datetime.date(2026, 10, 8)
        """
        assert days >= 0, "working days are counted forward"
        while days:
            day += _DAY
            days -= self.is_working(day, guess=guess)
        return day

    def on_or_after(self, day: date, *, guess: bool = False) -> date:
        """Give the first working day that is not before a day. Raises InputError no_holidays for an unknown year.

        >>> shipped_calendar().on_or_after(date(2026, 10, 1))
        datetime.date(2026, 10, 8)
        """
        while not self.is_working(day, guess=guess):
            day += _DAY
        return day

    def working_days(self, after: date, until: date, *, guess: bool = False) -> int:
        """Count the working days after one day and up to another, which is counted; 0 when it is not later.

        Raises InputError no_holidays for an unknown year.

        >>> shipped_calendar().working_days(date(2026, 9, 30), date(2026, 10, 10))
        3
        """
        span = (until - after).days
        return sum(self.is_working(after + n * _DAY, guess=guess) for n in range(1, span + 1))


@functools.cache
def shipped_calendar() -> Calendar:
    """Give the shipped calendar.

    >>> sorted(shipped_calendar().years)
    [2021, 2022, 2023, 2024, 2025, 2026]
    """
    return load_calendar(_FILE)


def load_calendar(path: str | Path) -> Calendar:
    """Read a file of the form of holidays.toml.

    Raises InputError bad_holidays for a file that is not of that form: a year twice, a day outside of its year and the
    December before, a weekday said to be worked, a source or trust that lacks.
    """
    try:
        data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError("bad_holidays", f"{path} cannot be read as TOML: {error}") from error
    notices = data.get("notice")
    if not isinstance(notices, list) or not notices or set(data) != {"notice"}:
        raise InputError("bad_holidays", f"{path} has no [[notice]]; write one for each year, as holidays.toml does")
    rest: set[date] = set()
    work: set[date] = set()
    sources: dict[int, tuple[int, str, str]] = {}
    for notice in notices:
        year, its_rest, its_work, source = _notice(notice, path)
        if year in sources:
            raise InputError("bad_holidays", f"{path}: {year} stands there twice; keep one notice a year")
        sources[year] = source
        rest |= its_rest
        work |= its_work
    return Calendar(frozenset(sources), frozenset(rest), frozenset(work), tuple(sources[y] for y in sorted(sources)))


def _notice(notice: Any, path: str | Path) -> tuple[int, set[date], set[date], tuple[int, str, str]]:
    fields = {"year", "source", "trust", "rest", "work"}
    if not isinstance(notice, dict) or set(notice) != fields or type(notice["year"]) is not int:
        raise InputError("bad_holidays", f"{path}: a notice has {', '.join(sorted(fields))}, the year as 2026")
    year, source, trust = notice["year"], notice["source"], notice["trust"]
    if not isinstance(source, str) or not source.strip() or trust not in TRUSTS:
        raise InputError("bad_holidays", f"{path}: {year} needs a source and a trust out of {', '.join(TRUSTS)}")
    try:
        spans = [(first, last) for first, last in notice["rest"]]
        work = set(notice["work"])
        rest = {first + n * _DAY for first, last in spans for n in range((last - first).days + 1)}
    except (TypeError, ValueError) as error:
        raise InputError(
            "bad_holidays", f"{path}: {year}: rest is a list of [first day, last day], work of days"
        ) from error
    if any(type(day) is not date for day in rest | work) or any(last < first for first, last in spans):
        raise InputError("bad_holidays", f"{path}: {year}: rest is a list of [first day, last day], work of days")
    for day in sorted(rest | work):
        if day.year != year and (day.year, day.month) != (year - 1, 12):
            raise InputError("bad_holidays", f"{path}: {day} does not belong to the notice for {year}")
    wrong = sorted(day for day in work if day.weekday() < 5 or day in rest)
    if wrong:
        raise InputError("bad_holidays", f"{path}: {wrong[0]} is no weekend day that could be worked in exchange")
    return year, rest, work, (year, source, trust)
