"""List what waits at the desk of the watch: alerts by urgency, who waits for a first visit, how cases came out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import quantiles
from typing import Any

import polars as pl
import sqlalchemy as sa

from medfloor.errors import UsageError
from medfloor.store.history import believed, holding
from medfloor.store.roles import Actor, place_prefix
from medfloor.store.schema import alert, case_event, household, watch_case
from medfloor.watch.cases import OPEN
from medfloor.watch.screening import ALERTS, URGENCIES

APART = "absent_care"
"""Care that one would expect and does not see: kept apart, because it tells of no burden, and silence looks safe."""

NO_CASE = "none"
"""Stands for alerts of households without a case, where lists are filtered by state."""

Cursor = tuple[int, int]
"""Where a list by urgency goes on: rank of the urgency (0 is urgent), number of the alert."""

_RANKS = {name: rank for rank, name in enumerate(reversed(URGENCIES))}
_MORE = {
    "alert_id": pl.Int64, "case_id": pl.String, "place": pl.String, "run": pl.Int64, "case_state": pl.String,
    "rank": pl.Int64,
}  # fmt: skip
_WAITING = {
    "household_id": pl.String, "case_id": pl.String, "township": pl.String, "found_on": pl.Date,
    "signal": pl.String, "kind": pl.String, "urgency": pl.String, "unit": pl.String, "spent_fen": pl.Int64,
    "base_fen": pl.Int64, "allowed_fen": pl.Int64,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Say how the cases came out that were found from a day on, each round by itself.

    `decided` were recognised or refused; of them the screening had found `alerted`, of which `confirmed` were
    recognised. `helped` had a first measure, `days` after they were found (each of them, sorted).
    """

    since: date
    decided: int
    alerted: int
    confirmed: int
    days: tuple[int, ...]

    @property
    def helped(self) -> int:
        """Count the rounds with a first measure."""
        return len(self.days)

    @property
    def quartiles(self) -> tuple[float, float, float] | None:
        """Give the quartiles of the days from found to helped; None where nobody was helped.

        >>> Outcomes(date(2025, 1, 1), 0, 0, 0, (10, 20, 40)).quartiles
        (15.0, 20.0, 30.0)
        """
        if len(self.days) < 2:
            return (float(self.days[0]),) * 3 if self.days else None
        low, middle, high = quantiles(self.days, n=4, method="inclusive")
        return low, middle, high


def by_urgency(
    connection: sa.Connection,
    actor: Actor,
    *,
    since: date,
    apart: bool = False,
    signal: str | None = None,
    kind: str | None = None,
    urgency: str | None = None,
    place: str | None = None,
    state: str | None = None,
    run: int | None = None,
    after: Cursor | None = None,
    limit: int = 50,
) -> pl.DataFrame:
    """List alerts after a day within the actor's place, the most urgent first, of these the latest first.

    `apart` gives absent care alone, else all but it. `state` is that of the household's case, or `NO_CASE`. Gives the
    columns of `ALERTS`, alert_id, case_id and case_state of the household's case, place, run and rank.
    """
    rank = sa.case(_RANKS, value=alert.c.urgency, else_=len(_RANKS))
    same = {"signal": signal, "kind": kind, "urgency": urgency, "screening_id": run}
    clauses = _chosen(actor, same, since=since, apart=apart, place=place, state=state)
    if after is not None:
        clauses.append(sa.or_(rank > after[0], sa.and_(rank == after[0], alert.c.id < after[1])))
    more = (alert.c.id, watch_case.c.case_id, alert.c.place, alert.c.screening_id, watch_case.c.state, rank)
    asked = (
        sa.select(*(alert.c[name] for name in ALERTS), *more)
        .outerjoin(watch_case, watch_case.c.household_id == alert.c.household_id)
        .where(*clauses)
        .order_by(rank, alert.c.id.desc())
        .limit(limit)
    )
    return _frame(connection.execute(asked).all(), {**ALERTS, **_MORE})


def count_by_urgency(
    connection: sa.Connection,
    actor: Actor,
    *,
    since: date,
    apart: bool = False,
    signal: str | None = None,
    kind: str | None = None,
    urgency: str | None = None,
    place: str | None = None,
    state: str | None = None,
    run: int | None = None,
) -> int:
    """Count the alerts that `by_urgency` lists."""
    same = {"signal": signal, "kind": kind, "urgency": urgency, "screening_id": run}
    asked = (
        sa.select(sa.func.count())
        .select_from(alert)
        .outerjoin(watch_case, watch_case.c.household_id == alert.c.household_id)
        .where(*_chosen(actor, same, since=since, apart=apart, place=place, state=state))
    )
    return int(connection.execute(asked).scalar_one())


def _chosen(
    actor: Actor, same: Mapping[str, str | int | None], *, since: date, apart: bool, place: str | None,
    state: str | None,
) -> list[sa.ColumnElement[bool]]:  # fmt: skip
    clauses = [alert.c.as_of > since, (alert.c.kind == APART) if apart else (alert.c.kind != APART)]
    clauses += [alert.c[name] == value for name, value in same.items() if value is not None]
    clauses += _within(alert.c.place, actor, place)
    if state == NO_CASE:
        clauses.append(watch_case.c.case_id.is_(None))
    elif state is not None:
        clauses.append(watch_case.c.state == state)
    return clauses


def waiting_for_visit(connection: sa.Connection, actor: Actor, *, day: date, apart: bool = False) -> pl.DataFrame:
    """List who waits for a first visit: open cases that nobody verified, with the alerts since they were found.

    One row an alert, or one for a case without any: what `watch.capacity.plan_visits` takes. With `apart` also
    households whose care was not seen, while the alert's window runs and no case of theirs is open.
    """
    case = watch_case
    town = sa.func.substr(case.c.place, 1, 9)
    fired = [alert.c[name] for name in _WAITING if name in alert.c and name not in ("household_id", "case_id")]
    asked = (
        sa.select(case.c.household_id, case.c.case_id, town, case.c.found_on, *fired)
        .outerjoin(alert, sa.and_(alert.c.household_id == case.c.household_id, alert.c.as_of >= case.c.found_on))
        .where(case.c.state == "found", *_within(case.c.place, actor, None))
    )
    rows = list(connection.execute(asked).all())
    if apart:
        town = sa.func.substr(alert.c.place, 1, 9)
        open_case = sa.exists().where(case.c.household_id == alert.c.household_id, case.c.state.in_(OPEN))
        unseen = sa.select(alert.c.household_id, sa.null(), town, alert.c.as_of, *fired).where(
            alert.c.kind == APART, alert.c.suppressed_until >= day, ~open_case, *_within(alert.c.place, actor, None)
        )
        rows += connection.execute(unseen).all()
    return _frame(rows, _WAITING)


def count_households(connection: sa.Connection, actor: Actor, *, day: date) -> dict[str, int]:
    """Count the households of each township of the actor's place, as the register has them on a day."""
    town = sa.func.substr(household.c.place, 1, 9)
    asked = sa.select(town, sa.func.count()).where(
        believed(household, None), holding(household, day), *_within(household.c.place, actor, None)
    )
    return {place: int(number) for place, number in connection.execute(asked.group_by(town)) if place}


def townships(connection: sa.Connection, actor: Actor) -> list[str]:
    """List the townships that have cases or alerts, within the actor's place."""
    found: set[str] = set()
    for table in (alert, watch_case):
        town = sa.func.substr(table.c.place, 1, 9)
        found.update(
            connection.execute(sa.select(town).where(*_within(table.c.place, actor, None)).distinct()).scalars()
        )
    return sorted(one for one in found if one)


def outcomes(connection: sa.Connection, actor: Actor, *, since: date) -> Outcomes:
    """Say how the cases of the actor's place came out that were found from a day on."""
    kinds = ("found", "re_entered", "recognised", "refused", "helped")
    asked = (
        sa.select(case_event.c.case_id, case_event.c.kind, case_event.c.day, case_event.c.said)
        .join(watch_case, watch_case.c.case_id == case_event.c.case_id)
        .where(
            case_event.c.kind.in_(kinds), watch_case.c.changed_on >= since, *_within(watch_case.c.place, actor, None)
        )
        .order_by(case_event.c.case_id, case_event.c.number)
    )
    decided = alerted = confirmed = 0
    days: list[int] = []
    found_on, by_alert, helped = date.min, False, True
    for _, kind, day, said in connection.execute(asked):
        if kind in ("found", "re_entered"):
            found_on, helped = day, False
            by_alert = day >= since and json.loads(said).get("source") == "alert"
        elif found_on < since:
            continue
        elif kind == "helped":
            if not helped:
                days.append((day - found_on).days)
            helped = True
        else:
            decided += 1
            alerted += by_alert
            confirmed += by_alert and kind == "recognised"
    return Outcomes(since, decided, alerted, confirmed, tuple(sorted(days)))


def cursor_after(row: dict[str, Any]) -> str:
    """Write where a list by urgency goes on after a row.

    >>> cursor_after({"rank": 1, "alert_id": 70})
    '1.70'
    """
    return f"{row['rank']}.{row['alert_id']}"


def cursor_from(text: str) -> Cursor | None:
    """Read what `cursor_after` wrote; nothing begins the list. Raises UsageError (`bad_cursor`).

    >>> cursor_from("1.70"), cursor_from("")
    ((1, 70), None)
    """
    if not text:
        return None
    rank, _, number = text.partition(".")
    if not (rank.isascii() and rank.isdigit() and number.isascii() and number.isdigit() and len(text) <= 20):
        raise UsageError("bad_cursor", "the cursor is not one of this list; begin without one")
    return int(rank), int(number)


def _within(column: sa.ColumnElement[Any], actor: Actor, place: str | None) -> list[sa.ColumnElement[bool]]:
    return [column.startswith(place_prefix(one), autoescape=True) for one in (actor.place, place) if one]


def _frame(rows: Sequence[Any], kinds: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([tuple(row) for row in rows], schema=kinds, orient="row")
