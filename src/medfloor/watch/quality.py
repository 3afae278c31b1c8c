"""Look cases over: what is late, who was let go too early, who is under the line and not monitored.

The checks take a table of cases, so that lists of other systems can be held against the same rules. What is looked for
follows the rules of data quality of one province; the numbers are those of deadlines.toml.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from typing import Any

import polars as pl

from medfloor.errors import InputError
from medfloor.periods import add_months
from medfloor.watch.calendar import Calendar
from medfloor.watch.cases import OPEN, Case
from medfloor.watch.deadlines import CaseRules, Due, decision_due, help_due, open_month, visit_due
from medfloor.words import say

CASE_COLUMNS: dict[str, pl.DataType] = {
    "case_id": pl.String(), "household_id": pl.String(), "place": pl.String(), "round": pl.Int32(),
    "state": pl.String(), "category": pl.String(), "found_on": pl.Date(), "verified_on": pl.Date(),
    "published_on": pl.Date(), "recognised_on": pl.Date(), "refused_on": pl.Date(), "measures": pl.Int32(),
    "first_measure_on": pl.Date(), "stable_since": pl.Date(), "removed_on": pl.Date(), "labour_capacity": pl.Boolean(),
    "income_head_fen": pl.Int64(), "line_head_fen": pl.Int64(),
}  # fmt: skip
"""The table of cases: one row a case, in its present round. Incomes and lines are fen a head and year."""

FINDING_COLUMNS: dict[str, pl.DataType] = {
    "check": pl.String(), "household_id": pl.String(), "case_id": pl.String(), "state": pl.String(), "due": pl.Date(),
    "days_late": pl.Int32(), "provisional": pl.Boolean(), "income_head_fen": pl.Int64(), "line_head_fen": pl.Int64(),
}  # fmt: skip
"""The table of findings. `due` is the day that the rule names; `days_late` how long after it the thing was done, or is
not done yet; for removals that came too soon, how many days before it."""

CHECKS = (
    "visit_overdue", "visit_late", "decision_overdue", "decision_late", "no_measure", "measure_late",
    "refused_unvisited", "removed_too_soon", "removed_unstable", "removed_without_measure", "removed_without_labour",
    "removed_under_line", "not_monitored",
)  # fmt: skip
"""What is looked for, in the order of a case; `overdue` is not done yet, `late` was done after its day."""


def case_table(cases: Iterable[Case]) -> pl.DataFrame:
    """Give cases as a table, one row each, with the columns of CASE_COLUMNS.

    >>> case_table([]).columns[:3]
    ['case_id', 'household_id', 'place']
    """
    rows = [
        {name: getattr(case, name) for name in CASE_COLUMNS if name not in ("measures", "first_measure_on")}
        | {
            "measures": len(case.measures),
            "first_measure_on": min((given.day for given in case.measures), default=None),
        }
        for case in cases
    ]
    return pl.DataFrame(rows, schema=CASE_COLUMNS)


def check_cases(
    cases: pl.DataFrame,
    rules: CaseRules,
    calendar: Calendar,
    *,
    on: date,
    households: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """List what is wrong with cases as they stand on a day, with the columns of FINDING_COLUMNS, longest late first.

    `cases` has the columns of CASE_COLUMNS; what is missing in a row is null. `households` (household_id,
    income_head_fen, line_head_fen) is what is known of incomes now: with it, households at or below the line without
    an open case are found, and removed ones that fell under it. A refused case does not make a household safe: it is
    listed with its state. Rows of households with a null income or line are not judged.

    Raises InputError missing_column.

    >>> from medfloor.watch.calendar import shipped_calendar
    >>> from medfloor.watch.cases import Event, open_case
    >>> from medfloor.watch.deadlines import load_case_rules
    >>> found = Event("found", date(2026, 3, 2), "a", source="alert")
    >>> case = open_case(found, case_id="c", household_id="h", place="p")
    >>> rules = load_case_rules("cn", on=date(2026, 3, 2))
    >>> check_cases(case_table([case]), rules, shipped_calendar(), on=date(2026, 3, 6)).row(0)[:6]
    ('visit_overdue', 'h', 'c', 'found', datetime.date(2026, 3, 5), 1)
    """
    _columns(cases, CASE_COLUMNS, "cases")
    now: dict[str, tuple[int, int]] = {}
    if households is not None:
        _columns(households, ("household_id", "income_head_fen", "line_head_fen"), "households")
        known = households.drop_nulls(["income_head_fen", "line_head_fen"])
        now = {
            household: (income, line)
            for household, income, line in known.select("household_id", "income_head_fen", "line_head_fen").iter_rows()
        }
    found: list[dict[str, Any]] = []
    terms = _Terms(rules, calendar)
    for row in cases.select(list(CASE_COLUMNS)).iter_rows(named=True):
        found.extend(_findings(row, terms, on, now.get(row["household_id"])))
    open_now = set(cases.filter(pl.col("state").is_in(OPEN))["household_id"])
    removed = set(cases.filter(pl.col("state") == "removed")["household_id"])
    states = dict(zip(cases["household_id"], zip(cases["case_id"], cases["state"], strict=True), strict=True))
    for household, (income, line) in now.items():
        if income <= line and household not in open_now and household not in removed:
            case_id, state = states.get(household, (None, None))
            found.append(_finding("not_monitored", household, case_id, state, income=income, line=line))
    order = {check: place for place, check in enumerate(CHECKS)}
    return (
        pl.DataFrame(found, schema=FINDING_COLUMNS)
        .with_columns(pl.col("check").replace_strict(order, return_dtype=pl.Int32).alias("_order"))
        .sort(
            ["days_late", "_order", "household_id", "case_id"], descending=[True, False, False, False], nulls_last=True
        )
        .drop("_order")
    )


def say_finding(finding: Mapping[str, Any], lang: str) -> str:
    """Say a finding in a sentence.

    >>> say_finding({"check": "visit_overdue", "due": date(2026, 3, 5), "days_late": 1, "provisional": False}, "en")
    'The visit was due on 2026-03-05 and was not made: 1 day.'
    """
    money = {
        name: "" if finding.get(column) is None else f"{finding[column] / 100:,.2f}"
        for name, column in (("income", "income_head_fen"), ("line", "line_head_fen"))
    }
    text = say(f"case_check.{finding['check']}", lang, due=finding["due"], days=finding["days_late"], **money)
    return f"{text}{say('case_check_note.provisional', lang)}" if finding["provisional"] else text


class _Terms:
    """Say by when things are due; cases by the thousand share few days, so that each day is counted once."""

    def __init__(self, rules: CaseRules, calendar: Calendar) -> None:
        self.rules = rules
        self.visit, self.decision, self.help = (
            functools.cache(functools.partial(_due, term, rules, calendar))
            for term in (visit_due, decision_due, help_due)
        )


def _due(term: Callable[[date, CaseRules, Calendar], Due], rules: CaseRules, calendar: Calendar, day: date) -> Due:
    return term(day, rules, calendar)


def _findings(row: Mapping[str, Any], terms: _Terms, on: date, now: tuple[int, int] | None) -> Iterator[dict[str, Any]]:
    keys = (row["household_id"], row["case_id"], row["state"])
    if row["found_on"] is not None:
        yield from _entry(row, keys, terms, on)
    if row["recognised_on"] is not None:
        done = row["first_measure_on"]
        if done is not None or (row["state"] in ("recognised", "helped", "risk_stable") and _measures(row) == 0):
            due = terms.help(row["recognised_on"])
            yield from _in_time("no_measure", "measure_late", keys, due, done, on)
    if row["state"] == "refused" and row["verified_on"] is None:
        yield _finding("refused_unvisited", *keys, due=Due(row["refused_on"]) if row["refused_on"] else None, on=on)
    if row["state"] == "removed":
        yield from _exit(row, keys, terms.rules, now)


def _entry(row: Mapping[str, Any], keys: tuple[str, str, str], terms: _Terms, on: date) -> Iterator[dict[str, Any]]:
    decided = row["recognised_on"] or row["refused_on"]
    visit = terms.visit(row["found_on"])
    # A list that leaves out a day does not say that the thing was not done: the state does. Whoever was refused without
    # a visit stands under that check, not under an overdue visit as well.
    if row["verified_on"] is not None or row["state"] == "found":
        yield from _in_time("visit_overdue", "visit_late", keys, visit, row["verified_on"], on)
    decision = terms.decision(row["found_on"])
    if decided is not None or row["state"] in ("found", "verified", "published"):
        yield from _in_time("decision_overdue", "decision_late", keys, decision, decided, on)


def _exit(
    row: Mapping[str, Any], keys: tuple[str, str, str], rules: CaseRules, now: tuple[int, int] | None
) -> Iterator[dict[str, Any]]:
    removed, recognised, stable = row["removed_on"], row["recognised_on"], row["stable_since"]
    if removed is not None and recognised is not None:
        first = max(open_month(recognised, rules), add_months(recognised, rules.number("monitored_at_least")))
        closed = open_month(recognised, rules)
        if removed < closed:
            yield _finding("removed_too_soon", *keys, due=Due(closed), early=removed)
        elif removed < first:
            yield _finding("removed_unstable", *keys, due=Due(first), early=removed)
        elif stable is not None and removed < (end := add_months(stable, rules.number("stable_at_least"))):
            yield _finding("removed_unstable", *keys, due=Due(end), early=removed)
    measures = _measures(row)
    if measures is not None and measures < rules.number("measures_at_least"):
        yield _finding("removed_without_measure", *keys)
    if row["labour_capacity"] is False and not rules.number("removal_without_labour"):
        yield _finding("removed_without_labour", *keys)
    income, line = now or (row["income_head_fen"], row["line_head_fen"])
    if income is not None and line is not None and income <= line:
        yield _finding("removed_under_line", *keys, income=income, line=line)


def _measures(row: Mapping[str, Any]) -> int | None:
    """Say how many measures were given: as counted; at least one where a day or the state says so; None if unknown."""
    if row["measures"] is not None:
        return int(row["measures"])
    if row["first_measure_on"] is not None or row["state"] == "helped":
        return 1
    return 0 if row["state"] == "recognised" else None


def _in_time(
    overdue: str, late: str, keys: tuple[str, str, str], due: Due, done: date | None, on: date
) -> Iterator[dict[str, Any]]:
    """Find what was done after its day, or is not done and its day is over."""
    if (done or on) > due.day:
        yield _finding(late if done else overdue, *keys, due=due, on=done or on)


def _finding(
    check: str,
    household_id: str,
    case_id: str | None,
    state: str | None,
    *,
    due: Due | None = None,
    on: date | None = None,
    early: date | None = None,
    income: int | None = None,
    line: int | None = None,
) -> dict[str, Any]:
    assert check in CHECKS
    late = None
    if due is not None:
        late = (on - due.day).days if on else (due.day - early).days if early else None
    return {
        "check": check, "household_id": household_id, "case_id": case_id, "state": state,
        "due": due.day if due else None, "days_late": late, "provisional": bool(due and due.provisional),
        "income_head_fen": income, "line_head_fen": line,
    }  # fmt: skip


def _columns(table: pl.DataFrame, wanted: Iterable[str], name: str) -> None:
    missing = [column for column in wanted if column not in table.columns]
    if missing:
        raise InputError("missing_column", f"the table of {name} has no {', '.join(missing)}")
