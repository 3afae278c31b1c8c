"""Routes of the watch over households as a whole: counts for a head of office."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Depends

from medfloor.service import following
from medfloor.service.access import Acting, need
from medfloor.service.bodies.cases import CountsAnswer, OutcomesAnswer, PlaceCounts
from medfloor.service.bodies.problems import problems
from medfloor.service.running import Running, running
from medfloor.store.office import office_of
from medfloor.store.roles import may, place_prefix
from medfloor.store.schema import alert, screening, watch_case, watch_pending
from medfloor.store.watchlist import APART, outcomes
from medfloor.watch import cases as steps

router = APIRouter(prefix="/api/v1/watch", tags=["watch 监测概况"])

ALERT_DAYS = 90
"""Alerts of so many days are counted."""

OUTCOME_DAYS = 365
"""Cases found in so many days are looked at for how they came out."""


@router.get(
    "/summary",
    responses=problems(),
    summary="Count cases and alerts",
    description="监测概况：各状态个案数、逾期数、各乡镇数量；不能看个人信息者所见数字取整。",
)
def summary(
    acting: Annotated[Acting, Depends(need("read_case_counts"))], run: Annotated[Running, Depends(running)]
) -> CountsAnswer:
    """Count cases by state, what is late, and alerts, within the place of who asks; nobody is named."""
    with run.store.reading() as connection:
        return _counted(connection, acting)


def _counted(connection: sa.Connection, acting: Acting) -> CountsAnswer:
    office, day = office_of(connection), following.today(acting)
    # Who may see no person learns no small number either: a township with one case would be somebody.
    step = 1 if may(acting.actor, "read_person") else office.smallest_cell
    prefix = place_prefix(acting.actor.place)
    states, late, places = Counter[str](), Counter[str](), dict[str, Counter[str]]()
    mine = watch_case.c.place.startswith(prefix, autoescape=True)
    is_late = sa.case((watch_case.c.due_on < day, watch_case.c.due_for), else_=None)
    town = sa.func.substr(watch_case.c.place, 1, 9)
    grouped = sa.select(town, watch_case.c.state, is_late, sa.func.count()).where(mine)
    for place, state, due, number in connection.execute(grouped.group_by(town, watch_case.c.state, is_late)):
        states[state] += number
        here = places.setdefault(place, Counter())
        if state in steps.OPEN:
            here["open"] += number
        if state == "found":
            here["visits"] += number
        if due is not None:
            late[due] += number
            here["overdue"] += number
    urgencies, apart = Counter[str](), Counter[str]()
    raised = alert.c.place.startswith(prefix, autoescape=True), alert.c.as_of > day - timedelta(days=ALERT_DAYS)
    town = sa.func.substr(alert.c.place, 1, 9)
    unseen = sa.case((alert.c.kind == APART, 1), else_=0)
    grouped = sa.select(town, alert.c.urgency, unseen, sa.func.count()).where(*raised)
    for place, urgency, is_apart, number in connection.execute(grouped.group_by(town, alert.c.urgency, unseen)):
        here = places.setdefault(place, Counter())
        urgencies[urgency] += number
        here["alerts"] += number
        if is_apart:
            apart[urgency] += number
            here["absent_care"] += number
    whole = place_prefix(office.place).startswith(prefix)
    return CountsAnswer(
        day=day,
        place=acting.actor.place,
        rounded_to=step if step > 1 else None,
        states={state: _rounded(states[state], step) for state in (*steps.OPEN, "removed", "refused")},
        open=_rounded(sum(states[state] for state in steps.OPEN), step),
        overdue={due: _rounded(late[due], step) for due in ("visit", "decision", "help")},
        urgencies={urgency: _rounded(urgencies[urgency], step) for urgency in ("urgent", "soon", "routine")},
        absent_care={urgency: _rounded(apart[urgency], step) for urgency in ("urgent", "soon", "routine")},
        places=_places(places, step),
        outcomes=_outcomes(connection, acting, day - timedelta(days=OUTCOME_DAYS), step),
        screened_at=connection.execute(
            sa.select(sa.func.max(screening.c.finished_at)).where(screening.c.kind == "office")
        ).scalar(),
        pending=connection.execute(sa.select(sa.func.count()).select_from(watch_pending)).scalar() if whole else None,
    )


def _places(counts: dict[str, Counter[str]], step: int) -> list[PlaceCounts]:
    rows = [
        PlaceCounts(
            place=place,
            open=_rounded(here["open"], step),
            overdue=_rounded(here["overdue"], step),
            alerts=_rounded(here["alerts"], step),
            absent_care=_rounded(here["absent_care"], step),
            visits=_rounded(here["visits"], step),
        )
        for place, here in sorted(counts.items())
    ]
    # A township of zeros only would tell that it has some.
    return [row for row in rows if step == 1 or row.open or row.overdue or row.alerts]


def _outcomes(connection: sa.Connection, acting: Acting, since: date, step: int) -> OutcomesAnswer:
    found = outcomes(connection, acting.actor, since=since)
    alerted, confirmed = _rounded(found.alerted, step), _rounded(found.confirmed, step)
    quartiles = found.quartiles if found.helped >= step else None
    return OutcomesAnswer(
        since=since,
        decided=_rounded(found.decided, step),
        alerted=alerted,
        confirmed=confirmed,
        # Of rounded counts, where they are rounded: the exact share would tell the exact counts.
        confirmed_share=confirmed / alerted if alerted else None,
        helped=_rounded(found.helped, step),
        days_to_help=None if quartiles is None else list(quartiles),
    )


def _rounded(number: int, step: int) -> int:
    """Round a count to the nearest multiple of a step, halves up.

    >>> _rounded(2, 5), _rounded(3, 5), _rounded(7, 1)
    (0, 5, 7)
    """
    return (2 * number + step) // (2 * step) * step
