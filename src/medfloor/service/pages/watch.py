"""Pages of the watch: how much there is, alerts by urgency, the week's visits, screenings and their rules."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, get_args
from urllib.parse import urlencode

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from medfloor.errors import AccessError, ConflictError, StoreError
from medfloor.service import following
from medfloor.service.access import Acting
from medfloor.service.bodies.alerts import Kind, ScreeningBody, Signal, Urgency
from medfloor.service.bodies.cases import State
from medfloor.service.looking import look
from medfloor.service.pages.frame import go, is_part, page, render
from medfloor.service.pages.watch_parts import render_watch
from medfloor.service.problems import status_of, title_of
from medfloor.service.routes import screenings, watch
from medfloor.service.routes.jobs import cancel_job
from medfloor.service.running import Running, running
from medfloor.service.visits import MOST, week_of
from medfloor.store.roles import may
from medfloor.store.watching import rules_of, runs
from medfloor.store.watchlist import APART, NO_CASE, by_urgency, count_by_urgency, cursor_after, cursor_from, townships
from medfloor.watch import told

router = APIRouter(include_in_schema=False)

Run = Annotated[Running, Depends(running)]
Counter = Annotated[Acting, page("read_case_counts")]
Reader = Annotated[Acting, page("read_alerts")]
Screener = Annotated[Acting, page("screen")]
Number = Annotated[int, Path(ge=1, le=2**53)]
ROWS = 30
RUNS = 20
USUAL = 20
"""Visits a week until somebody enters how many there are."""

_SIGNALS, _KINDS, _URGENCIES, _STATES = (get_args(one) for one in (Signal, Kind, Urgency, State))

Capacity = Annotated[str, Query(max_length=8)]
Absent = Annotated[bool, Query()]


@router.get("/watch")
def overview(request: Request, acting: Counter, run: Run) -> Response:
    """Show how much there is and how much is late: by state, by urgency, by township, and how cases came out."""
    counts = watch.summary(acting, run)
    most = {
        name: max((_shown(one, name) for one in counts.places), default=0)
        for name in ("alerts", "absent_care", "open", "overdue", "visits")
    }
    return render_watch(
        request, acting, "watch/overview.html", counts=counts, most=most, alert_days=watch.ALERT_DAYS,
        shown=_shown, may_alerts=may(acting.actor, "read_alerts"), may_cases=may(acting.actor, "read_cases"),
    )  # fmt: skip


@router.get("/watch/alerts")
def list_alerts(
    request: Request,
    acting: Reader,
    run: Run,
    signal: Annotated[str, Query(max_length=32)] = "",
    kind: Annotated[str, Query(max_length=24)] = "",
    urgency: Annotated[str, Query(max_length=8)] = "",
    place: Annotated[str, Query(max_length=12, pattern="^[0-9]*$")] = "",
    state: Annotated[str, Query(max_length=12)] = "",
    screening: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    after: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """List alerts by urgency, each with why it fired and with what it would not have; absent care stands apart."""
    asked = {
        "signal": _one_of(signal, _SIGNALS), "kind": _one_of(kind, _KINDS), "urgency": _one_of(urgency, _URGENCIES),
        "place": place, "state": _one_of(state, (*_STATES, NO_CASE)),
        "screening": "" if screening is None else str(screening),
    }  # fmt: skip
    return _listed(request, acting, run, "watch/alerts.html", asked, after, apart=False)


@router.get("/watch/absent-care")
def list_absent_care(
    request: Request,
    acting: Reader,
    run: Run,
    place: Annotated[str, Query(max_length=12, pattern="^[0-9]*$")] = "",
    after: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """List, apart from all others, the households whose care one would expect and does not see."""
    return _listed(request, acting, run, "watch/absent_care.html", {"place": place}, after, apart=True)


@router.get("/watch/visits")
def visits(
    request: Request,
    acting: Reader,
    run: Run,
    capacity: Capacity = "",
    absent: Absent = False,
) -> Response:
    """Plan the next seven days for the visits that there are, with first come, first served beside it."""
    return _visits(request, acting, run, "watch/visits.html", capacity, absent)


@router.get("/watch/visits/sheet")
def sheet(
    request: Request,
    acting: Reader,
    run: Run,
    capacity: Capacity = "",
    absent: Absent = False,
) -> Response:
    """Give the sheet that goes along on the visits, to print: whom, where, why, and room for what was found."""
    return _visits(request, acting, run, "watch/sheet.html", capacity, absent)


@router.get("/watch/screenings")
def list_screenings(
    request: Request, acting: Reader, run: Run, job: Annotated[int | None, Query(ge=1, le=2**53)] = None
) -> Response:
    """Show the last runs, with the rules by which they went, and the form that asks for one."""
    return _screenings(request, acting, run, job=job)


@router.post("/watch/screenings")
async def ask_screening(request: Request, acting: Screener, run: Run) -> Response:
    """Ask for a screening of the whole register, in the background."""
    await request.form()
    try:
        asked = await screenings.ask_screening(ScreeningBody(year=None, as_of=None), acting, run)
    except (AccessError, ConflictError, StoreError) as error:
        status = status_of(error)
        why = title_of(error.code, status, acting.language)
        return await run_in_threadpool(
            _screenings, request, acting, run, status=status, error=why, detail=error.message
        )
    return go(f"/watch/screenings?job={asked.id}", done="asked")


@router.get("/watch/screenings/{number}")
def follow_screening(request: Request, number: Number, acting: Screener, run: Run) -> Response:
    """Say how far a screening is: as a part of the page that is open, or on that page."""
    if not is_part(request):
        return go(f"/watch/screenings?job={number}")
    return render(request, acting, "watch/_screening.html", job=_job(acting, run, number))


@router.post("/watch/screenings/{number}/cancel")
async def cancel_screening(request: Request, number: Number, acting: Screener, run: Run) -> Response:
    """End a screening that waits or runs; what it wrote stays, and the next one goes on from there."""
    await request.form()
    await run_in_threadpool(screenings.look_at_screening, number, acting, run)
    await cancel_job(number, acting, run)
    return go(f"/watch/screenings?job={number}")


@router.get("/watch/rules")
def rules(request: Request, acting: Reader, run: Run) -> Response:
    """Show the rules by which alerts are raised today: each number with its unit and its source."""
    with run.store.reading() as connection:
        found = rules_of(connection, on=following.today(acting))
    return render_watch(request, acting, "watch/rules.html", rules=found)


def _shown(counted: Any, name: str) -> int:
    """Give a count of a township; alerts are told without absent care, which has a column of its own."""
    number: int = getattr(counted, name)
    return max(0, number - counted.absent_care) if name == "alerts" else number


def _listed(
    request: Request, acting: Acting, run: Running, template: str, asked: dict[str, str], after: str, *, apart: bool
) -> Response:
    since = following.today(acting) - timedelta(days=watch.ALERT_DAYS)
    given: dict[str, Any] = {name: value or None for name, value in asked.items() if name != "screening"}
    given["run"] = int(asked["screening"]) if asked.get("screening") else None

    def work(connection: sa.Connection) -> tuple[dict[str, Any], list[str]]:
        found = by_urgency(
            connection, acting.actor, since=since, apart=apart, after=cursor_from(after), limit=ROWS, **given
        )
        rows = list(told(found, acting.language).iter_rows(named=True))
        values = {
            "count": count_by_urgency(connection, acting.actor, since=since, apart=apart, **given),
            "alerts": rows, "towns": townships(connection, acting.actor),
            "next": cursor_after(rows[-1]) if len(rows) == ROWS else "",
        }  # fmt: skip
        return values, following.members_of(connection, [row["household_id"] for row in rows])

    values = look(run, acting, "read_alerts", work)
    chosen = {name: value for name, value in asked.items() if value}
    if asked["place"] and asked["place"] not in values["towns"]:
        values["towns"].append(asked["place"])
    return render_watch(
        request, acting, template, asked=asked, since=since, days=watch.ALERT_DAYS, after=after,
        query=urlencode(chosen), more=urlencode({**chosen, "after": values["next"]}),
        signals=[one for one in _SIGNALS if one != APART], kinds=[one for one in _KINDS if one != APART],
        urgencies=tuple(reversed(_URGENCIES)), states=(*_STATES, NO_CASE),
        may_cases=may(acting.actor, "read_cases"), **values,
    )  # fmt: skip


def _visits(request: Request, acting: Acting, run: Running, template: str, capacity: str, absent: bool) -> Response:
    text = capacity.strip() or str(USUAL)
    good = bool(re.fullmatch(r"[0-9]{1,4}", text)) and 1 <= int(text) <= MOST
    week = week_of(run, acting, capacity=int(text), apart=absent) if good else None
    return render_watch(
        request, acting, template if good else "watch/visits.html", status=200 if good else 422, week=week,
        capacity=text, absent=absent, most=MOST,
        query=urlencode({"capacity": text, **({"absent": 1} if absent else {})}),
    )  # fmt: skip


def _screenings(
    request: Request, acting: Acting, run: Running, *, job: int | None = None, status: int = 200, error: str = "",
    detail: str = "",
) -> Response:  # fmt: skip
    with run.store.reading() as connection:
        found = runs(connection, limit=RUNS)
    may_screen = may(acting.actor, "screen")
    return render_watch(
        request, acting, "watch/screenings.html", status=status, runs=found, error=error, detail=detail,
        job=_job(acting, run, job) if job is not None and may_screen else None, may_screen=may_screen,
    )  # fmt: skip


def _job(acting: Acting, run: Running, number: int) -> dict[str, Any]:
    """Give a screening's job, with its progress."""
    told_of = screenings.look_at_screening(number, acting, run)
    why = title_of(told_of.message, 500, acting.language) if told_of.message else ""
    return {**told_of.model_dump(), "why": why}


def _one_of(text: str, names: tuple[str, ...]) -> str:
    """Give a choice of a list, or nothing: a filter that we do not know filters nothing."""
    return text if text in names else ""
