"""Say what binds a case: by when a visit, a decision and help are due, how long a notice stands, when a case may end.

Every number is a parameter of deadlines.toml, for a place and from a day, with its source. Days are counted as by the
Civil Code (articles 201 to 203): the first day is not counted, a month ends on the day of the same number or on the
month's last, and a due day on which offices rest moves to the next working day.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from medfloor.errors import InputError, UsageError
from medfloor.periods import add_months
from medfloor.watch.calendar import TRUSTS, Calendar

_FILE = Path(__file__).parent / "deadlines.toml"
_FIELDS = {"name", "place", "from", "value", "unit", "source", "trust", "words"}
UNITS = {
    "visit_within": ("days", "working_days"),
    "decide_within": ("days", "working_days"),
    "help_within": ("days", "working_days", "months"),
    "notice_at_least": ("days", "working_days"),
    "rest_day_moves_due": ("yes_no",),
    "stable_at_least": ("months",),
    "monitored_at_least": ("months",),
    "measures_at_least": ("count",),
    "closed_months": ("count",),
    "removal_without_labour": ("yes_no",),
}
"""Every parameter, and the units that it may have."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """Be one number that binds cases: for which place, since when, who says so and in which words.

    Units are days, working_days, months, count and yes_no (1 and 0).
    """

    name: str
    place: str
    since: date
    value: int
    unit: str
    source: str
    address: str
    trust: str
    words: str


@dataclass(frozen=True, slots=True)
class CaseRules:
    """Be the parameters in force for a place on a day."""

    place: str
    on: date
    all: tuple[Parameter, ...]

    def __getitem__(self, name: str) -> Parameter:
        """Find a parameter by its name.

        >>> load_case_rules("cn/hainan", on=date(2026, 1, 1))["decide_within"].unit
        'working_days'
        """
        return next(one for one in self.all if one.name == name)

    def number(self, name: str) -> int:
        """Give the value of a parameter.

        >>> load_case_rules("cn", on=date(2026, 1, 1)).number("decide_within")
        15
        """
        return self[name].value


@dataclass(frozen=True, slots=True)
class Due:
    """Be the last day on which something is in time.

    `provisional` says that the holidays of a year on the way are not known: weekends alone were counted, so the day may
    move later once the notice is there.
    """

    day: date
    provisional: bool = False


def load_case_rules(place: str = "cn", *, on: date, path: str | Path | None = None) -> CaseRules:
    """Give the parameters in force for a place on a day; those of a file of one's own are laid over the shipped ones.

    A place is written as policies are, from the country down; the most particular place wins, then the latest day, then
    one's own file.

    Raises InputError: bad_case_rules for a file that cannot be used, no_case_rules where a parameter has no value for
    the place and day.

    >>> load_case_rules("cn/anhui/zongyang", on=date(2026, 1, 1)).number("visit_within")
    2
    """
    known = _shipped() + (_read(Path(path)) if path is not None else ())
    held = [one for one in known if (place == one.place or place.startswith(f"{one.place}/")) and one.since <= on]
    chosen = []
    for name in UNITS:
        fitting = [(len(one.place), one.since, order, one) for order, one in enumerate(held) if one.name == name]
        if not fitting:
            raise InputError(
                "no_case_rules",
                f"{name} has no value for {place} on {on}; write the place from the country down (cn/hainan), or give "
                "a file of your own like watch/deadlines.toml",
            )
        chosen.append(max(fitting, key=lambda found: found[:3])[3])
    return CaseRules(place, on, tuple(chosen))


def with_values(rules: CaseRules, **values: int) -> CaseRules:
    """Give the same rules with values of one's own, which say that they are the office's; the units stay.

    Raises UsageError bad_case_rules for a name that there is not or a value that cannot be.

    >>> with_values(load_case_rules("cn", on=date(2026, 1, 1)), visit_within=7).number("visit_within")
    7
    """
    for name, value in values.items():
        if name not in UNITS or value < 0 or (UNITS[name] == ("yes_no",) and value > 1):
            raise UsageError(
                "bad_case_rules", f"{name} = {value} cannot be; there are {', '.join(UNITS)}, none below 0"
            )
    return CaseRules(
        rules.place,
        rules.on,
        tuple(
            Parameter(one.name, rules.place, rules.on, values[one.name], one.unit, "the office", "", "office", "")
            if one.name in values
            else one
            for one in rules.all
        ),
    )


def visit_due(found_on: date, rules: CaseRules, calendar: Calendar) -> Due:
    """Say by when a household that was found must be visited.

    Found on 30 September, before the holiday of a week:

    >>> from medfloor.watch.calendar import shipped_calendar
    >>> rules = load_case_rules("cn", on=date(2026, 1, 1))
    >>> visit_due(date(2026, 9, 30), rules, shipped_calendar()).day
    datetime.date(2026, 10, 8)
    """
    return due(rules["visit_within"], found_on, rules, calendar)


def decision_due(found_on: date, rules: CaseRules, calendar: Calendar) -> Due:
    """Say by when a household that was found must be recognised or refused.

    >>> from medfloor.watch.calendar import shipped_calendar
    >>> rules = load_case_rules("cn/hainan", on=date(2026, 1, 1))
    >>> decision_due(date(2026, 9, 10), rules, shipped_calendar()).day
    datetime.date(2026, 10, 14)
    """
    return due(rules["decide_within"], found_on, rules, calendar)


def help_due(recognised_on: date, rules: CaseRules, calendar: Calendar) -> Due:
    """Say by when a household that was recognised must have its first measure.

    >>> from medfloor.watch.calendar import shipped_calendar
    >>> rules = load_case_rules("cn", on=date(2026, 1, 1))
    >>> help_due(date(2026, 1, 31), rules, shipped_calendar()).day
    datetime.date(2026, 2, 28)
    """
    return due(rules["help_within"], recognised_on, rules, calendar)


def notice_until(published_on: date, rules: CaseRules, calendar: Calendar) -> Due:
    """Say the last day on which a public notice must still stand; a decision may follow from the next day on.

    The day on which it was put up is not counted, and a notice of days does not end later because offices rest.

    >>> from medfloor.watch.calendar import shipped_calendar
    >>> rules = load_case_rules("cn", on=date(2026, 1, 1))
    >>> notice_until(date(2026, 2, 26), rules, shipped_calendar()).day
    datetime.date(2026, 3, 3)
    """
    return due(rules["notice_at_least"], published_on, rules, calendar, moves=False)


def removal_from(
    recognised_on: date, stable_since: date, exit_published_on: date, rules: CaseRules, calendar: Calendar
) -> tuple[Due, str]:
    """Say from which day on a case may end, and which parameter holds it back longest.

    It takes the last of: the day after the notice, so many months after recognition, so many months of stable income,
    and the first day of the first month that is not closed (not in the month of recognition nor in the next).

    >>> from medfloor.watch.calendar import shipped_calendar
    >>> rules = load_case_rules("cn", on=date(2026, 1, 1))
    >>> removal_from(date(2026, 1, 10), date(2026, 2, 28), date(2026, 3, 2), rules, shipped_calendar())
    (Due(day=datetime.date(2026, 8, 28), provisional=False), 'stable_at_least')
    """
    notice = notice_until(exit_published_on, rules, calendar)
    days = {
        "notice_at_least": notice.day + timedelta(days=1),
        "monitored_at_least": add_months(recognised_on, rules.number("monitored_at_least")),
        "stable_at_least": add_months(stable_since, rules.number("stable_at_least")),
        "closed_months": open_month(recognised_on, rules),
    }
    longest = max(days, key=lambda name: days[name])
    return Due(days[longest], longest == "notice_at_least" and notice.provisional), longest


def open_month(recognised_on: date, rules: CaseRules) -> date:
    """Give the first day of the first month in which a case may end after its recognition.

    >>> open_month(date(2025, 12, 31), load_case_rules("cn", on=date(2026, 1, 1)))
    datetime.date(2026, 2, 1)
    """
    closed = rules.number("closed_months")
    return add_months(recognised_on.replace(day=1), closed) if closed else recognised_on


def due(parameter: Parameter, start: date, rules: CaseRules, calendar: Calendar, *, moves: bool | None = None) -> Due:
    """Count a parameter from a day that is itself not counted; `moves` overrides whether a rest day moves the end.

    Where the holidays of a year on the way are unknown, weekends alone are counted and the result is provisional.
    """
    if moves is None:
        moves = bool(rules.number("rest_day_moves_due"))
    if parameter.unit == "working_days":
        day = calendar.add_working_days(start, parameter.value, guess=True)
        return Due(day, not calendar.knows(start, day))
    if parameter.unit == "months":
        day = add_months(start, parameter.value)
    else:
        day = start + timedelta(days=parameter.value)
    if not moves:
        return Due(day)
    end = calendar.on_or_after(day, guess=True)
    return Due(end, not calendar.knows(day, end))


@functools.cache
def _shipped() -> tuple[Parameter, ...]:
    return _read(_FILE)


def _read(path: Path) -> tuple[Parameter, ...]:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError("bad_case_rules", f"{path} cannot be read as TOML: {error}") from error
    given, sources = data.get("parameter", []), data.get("sources", {})
    if not isinstance(given, list) or not isinstance(sources, dict) or not set(data) <= {"parameter", "sources"}:
        raise InputError("bad_case_rules", f"{path} has [sources] and [[parameter]] and nothing else")
    return tuple(_parameters(given, sources, path))


def _parameters(given: Iterable[Any], sources: dict[str, Any], path: Path) -> Iterable[Parameter]:
    for number, one in enumerate(given, start=1):
        where = f"{path}: parameter {number}"
        if not isinstance(one, dict) or set(one) != _FIELDS:
            raise InputError("bad_case_rules", f"{where} needs {', '.join(sorted(_FIELDS))} and nothing else")
        name, value, unit = one["name"], one["value"], one["unit"]
        if name not in UNITS:
            raise InputError("bad_case_rules", f"{where}: there is no {name!r}; there are {', '.join(UNITS)}")
        if unit not in UNITS[name]:
            raise InputError("bad_case_rules", f"{where}: {name} is in {' or '.join(UNITS[name])}, not {unit!r}")
        if type(value) is not int or not 0 <= value <= (1 if unit == "yes_no" else 1000):
            raise InputError("bad_case_rules", f"{where}: {name} = {value!r} is no number from 0 on in {unit}")
        if type(one["from"]) is not date or not isinstance(one["place"], str) or not one["place"]:
            raise InputError("bad_case_rules", f"{where}: write place as cn/hainan and from as 2026-01-01")
        if one["source"] not in sources or one["trust"] not in TRUSTS or not isinstance(one["words"], str):
            raise InputError(
                "bad_case_rules", f"{where}: it needs a source of [sources] and a trust of {', '.join(TRUSTS)}"
            )
        source = sources[one["source"]]
        if not isinstance(source, dict) or not source.get("title"):
            raise InputError("bad_case_rules", f"{where}: its source needs a title")
        yield Parameter(
            name, one["place"], one["from"], value, unit, str(source["title"]), str(source.get("address", "")),
            one["trust"], one["words"],
        )  # fmt: skip
