"""Plan the visits of the next seven days: whom they help most, and beside it first come, first served."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import polars as pl
import sqlalchemy as sa

from medfloor.service import following
from medfloor.service.access import Acting
from medfloor.service.looking import look
from medfloor.service.running import Running
from medfloor.store.cases import case_rules
from medfloor.store.watchlist import count_households, waiting_for_visit

MOST = 500
"""So many visits a week can be planned on a page."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Be one visit: whom, where, why now; harm in yuan; `in_other` says whether the other order visits it, too."""

    rank: int
    household_id: str
    case_id: str | None
    township: str
    reason: str
    signals: tuple[str, ...]
    found_on: date
    due: date
    late: bool
    expected_harm: float
    in_other: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """Be one order of visits, with the harm of those it visits and how many of those left pass their day meanwhile."""

    method: str
    visits: tuple[Visit, ...]
    harm: float
    left_late: int


@dataclass(frozen=True, slots=True)
class Week:
    """Be the visits of seven days from `day` to `last`; `waiting` households wait, `days` is the rule's term."""

    day: date
    last: date
    waiting: int
    days: int
    by_harm: Plan
    first_come: Plan


def week_of(run: Running, acting: Acting, *, capacity: int, apart: bool = False) -> Week:
    """Plan the next seven days for `capacity` visits within the place of who asks; who is listed is written down.

    `apart` has households whose care was not seen visited as well. Raises UsageError (`bad_capacity`).
    """
    day = following.today(acting)

    def work(connection: sa.Connection) -> tuple[Week, list[str]]:
        week = _planned(connection, acting, day, capacity, apart)
        listed = [one.household_id for plan in (week.by_harm, week.first_come) for one in plan.visits]
        return week, following.members_of(connection, listed)

    return look(run, acting, "plan_visits", work, detail=f"capacity={capacity}")


def _planned(connection: sa.Connection, acting: Acting, day: date, capacity: int, apart: bool) -> Week:
    from medfloor.watch.capacity import plan_queue, queue

    found = waiting_for_visit(connection, acting.actor, day=day, apart=apart)
    rules = case_rules(connection, on=day)
    homes = count_households(connection, acting.actor, day=day) or None
    waiting = queue(found, as_of=day, rules=rules)
    common: dict[str, Any] = {"capacity": capacity, "as_of": day, "weeks": 1, "households": homes}
    plans = {method: plan_queue(waiting, method=method, **common) for method in ("harm", "first_come")}
    last = day + timedelta(days=6)
    given = {method: set(plan["household_id"].to_list()) for method, plan in plans.items()}
    listed = found.filter(pl.col("household_id").is_in([*given["harm"], *given["first_come"]]))
    case_of = dict(listed.select("household_id", "case_id").iter_rows())
    made = {
        method: _plan(method, plan, waiting, case_of, given["first_come" if method == "harm" else "harm"], last)
        for method, plan in plans.items()
    }
    days = int(rules.number("visit_within"))
    return Week(day, last, waiting.height, days, made["harm"], made["first_come"])


def _plan(
    method: str, plan: pl.DataFrame, waiting: pl.DataFrame, case_of: dict[str, str | None], other: set[str], last: date
) -> Plan:
    visits = tuple(
        Visit(
            row["rank"], row["household_id"], case_of[row["household_id"]], row["township"], row["reason"],
            tuple(one for one in (row["signals"] or "").split(";") if one), row["found_on"], row["due"],
            row["late"], row["expected_harm"], row["household_id"] in other,
        )
        for row in plan.iter_rows(named=True)
    )  # fmt: skip
    mine = {one.household_id for one in visits}
    left = waiting.filter((pl.col("due") <= last) & ~pl.col("household_id").is_in(list(mine))).height
    return Plan(method, visits, sum(one.expected_harm for one in visits), left)
