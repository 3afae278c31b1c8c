"""The first page: this month at a glance, and the lists behind its numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any, TypeVar

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from medfloor.errors import AccessError
from medfloor.periods import OFFICE_ZONE
from medfloor.service import jobs as queue
from medfloor.service.access import Acting
from medfloor.service.looking import in_place, look
from medfloor.service.pages.cases import WEEK
from medfloor.service.pages.frame import page, render
from medfloor.service.pages.shown import colour_of, tier_name
from medfloor.service.paging import Cursor, cursor_of, number_of
from medfloor.service.results import leads_in
from medfloor.service.routes import jobs, watch
from medfloor.service.routes.statements import MONTH_PATTERN, provider_in_place
from medfloor.service.running import Running, running
from medfloor.store import glance
from medfloor.store.office import Office, office_of
from medfloor.store.roles import may, place_prefix
from medfloor.store.schema import arrear, claim, reconciliation_item, statement
from medfloor.store.statements import month_of
from medfloor.words import say

router = APIRouter(include_in_schema=False)

Run = Annotated[Running, Depends(running)]
Reader = Annotated[Acting, page("read_settlements")]
MonthText = Annotated[str, Query(max_length=7, pattern=rf"^$|{MONTH_PATTERN}")]
ROWS = 50
NEAR_DAYS = WEEK
"""A deadline is near so many days ahead, as the list of cases filters it."""
REJECT_DAYS = 31
_KEPT_AT_MOST = 128
_STILL = timedelta(minutes=1)

Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True)
class Work:
    """Be a line of what waits: its sentence (`home_page.<name>`), how many, money, its list, and if it is late."""

    name: str
    count: int
    fen: int | None
    path: str
    late: bool = False


@dataclass(frozen=True, slots=True)
class Leads:
    """Be what the newest supervision of the office's claims found: its job, how many leads, of which year, and when.

    Without a run that is kept there is no `number`.
    """

    number: int | None
    count: int
    year: int
    at: datetime | None


@router.get("/")
def home(request: Request, acting: Annotated[Acting, page(None)], run: Run) -> Response:
    """Show this month at a glance, in the place of who asks and as far as the role sees it."""
    today = acting.now.astimezone(OFFICE_ZONE).date()
    this = f"{today:%Y-%m}"
    values: dict[str, Any] = {
        "today": today, "month": this, "near_days": NEAR_DAYS, "figures": None, "parts": [], "odd": None,
        "watched": None, "near": None, "reserve": None, "works": [], "leads": None,
        "may_cases": may(acting.actor, "read_cases"), "may_alerts": may(acting.actor, "read_alerts"),
        "may_settings": may(acting.actor, "manage_settings"),
        "may_run": may(acting.actor, "run_jobs"),
    }  # fmt: skip
    with run.store.reading() as connection:
        office = office_of(connection)
        values["office"] = office
        values["leads"] = _leads(request, connection, acting, run)
        values["whole"] = sees_office(acting, office)
        if may(acting.actor, "read_settlements"):
            found, odd = _of_ledger(request, connection, acting, office, this)
            values |= {"figures": found, "odd": odd, "parts": _parts(run, found, acting.language)}
        if may(acting.actor, "read_statements"):
            values["reserve"] = glance.reserve_of(connection, office.fund_reserve_fen, before=this)
        if may(acting.actor, "read_cases"):
            until = today + timedelta(days=NEAR_DAYS)
            values["near"] = glance.due_soon(connection, place_prefix(acting.actor.place), on=today, until=until)
        values["works"] = _works(connection, acting, office, today)
    if may(acting.actor, "read_case_counts"):
        values["watched"] = watch.summary(acting, run)
    return render(request, acting, "home.html", **values)


@router.get("/month")
def list_month(
    request: Request,
    acting: Reader,
    run: Run,
    month: MonthText = "",
    kind: Annotated[str, Query(max_length=16, pattern=r"^[a-z]*$")] = "",
    cursor: Cursor = None,
) -> Response:
    """List what was settled, taken back and settled anew in a month, the latest first."""
    chosen = month or _this_month(acting)
    before = number_of("month", cursor)

    def work(connection: sa.Connection) -> tuple[tuple[glance.Month, list[glance.Settled]], list[str]]:
        office = office_of(connection)
        whose = _whose(acting, office)
        rows = glance.settled_in(connection, chosen, kind=kind or None, whose=whose, before=before, limit=ROWS)
        summed = _kept(
            request, connection, acting, office, chosen, lambda: glance.month_of(connection, chosen, whose=whose)
        )
        return (summed, rows), [one.person_id for one in rows]

    found, rows = look(run, acting, "read_month", work)
    following = cursor_of("month", rows[-1].entry_id) if len(rows) == ROWS else None
    return render(
        request, acting, "home/month.html", month=chosen, kind=kind, figures=found, rows=rows, following=following,
        parts=_parts(run, found, acting.language), begun=cursor is not None,
    )  # fmt: skip


@router.get("/month/overlaps")
def list_overlaps(request: Request, acting: Reader, run: Run, month: MonthText = "") -> Response:
    """List stays of a month that overlap another stay of the same person."""
    chosen = month or _this_month(acting)

    def work(connection: sa.Connection) -> tuple[list[glance.Overlap], list[str]]:
        rows = glance.overlaps(connection, chosen, whose=_whose(acting, office_of(connection)))
        return rows, [one.person_id for one in rows]

    rows = look(run, acting, "read_overlaps", work)
    return render(request, acting, "home/overlaps.html", month=chosen, rows=rows)


def sees_office(acting: Acting, office: Office) -> bool:
    """Say whether somebody sees the whole place of the office."""
    return place_prefix(office.place).startswith(place_prefix(acting.actor.place))


def _of_ledger(
    request: Request, connection: sa.Connection, acting: Acting, office: Office, month: str
) -> tuple[glance.Month, int]:
    """Sum the month and count its stays that overlap."""
    whose = _whose(acting, office)
    summed = _kept(request, connection, acting, office, month, lambda: glance.month_of(connection, month, whose=whose))
    odd = _kept(
        request, connection, acting, office, f"overlaps {month}",
        lambda: len(glance.overlaps(connection, month, whose=whose)),
    )  # fmt: skip
    return summed, odd


def _kept(
    request: Request, connection: sa.Connection, acting: Acting, office: Office, what: str, work: Callable[[], Kept]
) -> Kept:
    """Work something out over the ledger, or give what came out while the ledger has no new entry: it is the same.

    A PostgreSQL may show an entry before one with a lower number, so there nothing is kept that is not a minute old.
    """
    kept: dict[Any, Any] = request.app.state.__dict__.setdefault("glances", {})
    number, posted_at = glance.last_entry(connection)
    if what < month_of(acting.now - _STILL):
        number, posted_at = 0, None  # nothing is posted into a month that is over
    key = ("" if sees_office(acting, office) else acting.actor.place, what, number)
    if key in kept:
        found: Kept = kept[key]
        return found
    found = work()
    young = posted_at is not None and acting.now - posted_at < _STILL
    if not (young and connection.dialect.name == "postgresql"):
        if len(kept) >= _KEPT_AT_MOST:
            kept.clear()
        kept[key] = found
    return found


def _leads(request: Request, connection: sa.Connection, acting: Acting, run: Running) -> Leads | None:
    """Give what the newest supervision of the office found, as it was kept; None for who may not see its leads."""
    if not (may(acting.actor, "read_settlements") and may(acting.actor, "read_person")):
        return None
    try:
        jobs.may_ask(connection, acting, "supervise", {})
    except AccessError:
        return None
    row = queue.newest_of_office(connection, "supervise")
    if row is None:
        return Leads(None, 0, 0, None)
    kept: dict[Any, int] = request.app.state.__dict__.setdefault("leads", {})
    key = (row["id"], row["finished_at"])
    if key not in kept:
        found = leads_in(run.jobs.folder_of(row["id"]))
        if found is None:
            return Leads(None, 0, 0, None)
        kept.clear()
        kept[key] = found
    year = int(json.loads(row["parameters"])["office_year"])
    return Leads(row["id"], kept[key], year, row["finished_at"])


def _whose(acting: Acting, office: Office) -> sa.ColumnElement[bool] | None:
    return None if sees_office(acting, office) else in_place(claim.c.person_id, acting)


def _parts(run: Running, found: glance.Month, lang: str) -> list[tuple[str, str, int]]:
    """Say who paid, in the order in which they pay, people last."""
    order = [] if run.books is None else [tier for tier in run.books.law.layout.tiers if tier in found.paid]
    listed = [*order, *(tier for tier in found.paid if tier not in order)]
    parts = [(colour_of(tier), tier_name(run, tier, lang), found.paid[tier]) for tier in listed]
    return [*parts, ("tier-self", say("home_page.own", lang), found.own_fen)]


def _works(connection: sa.Connection, acting: Acting, office: Office, today: date) -> list[Work]:
    """Count what waits for somebody, as far as the role sees it; lines with nothing in them are left out."""
    prefix = place_prefix(acting.actor.place)
    last = month_of(acting.now - timedelta(days=today.day))
    theirs = None if sees_office(acting, office) else in_place(arrear.c.person_id, acting)
    sides: list[tuple[str, str, str, bool, Callable[[], glance.Waiting]]] = [
        ("read_proposals", "proposals", "/office/proposals?state=open", False,
         lambda: glance.open_proposals(connection, prefix)),
        ("read_arrears", "arrears", "/office/arrears", False,
         lambda: glance.open_arrears(connection, whose=theirs)),
        ("read_statements", "drawn", "/office/statements?state=drawn", False,
         lambda: glance.open_statements(
             connection, "drawn", of=provider_in_place(connection, acting, statement.c.provider_id))),
        ("read_statements", "agreed", "/office/statements?state=agreed", False,
         lambda: glance.open_statements(
             connection, "agreed", of=provider_in_place(connection, acting, statement.c.provider_id))),
        ("read_statements", "differences", "/office/reconciliation?state=open", True,
         lambda: glance.open_differences(
             connection, of=provider_in_place(connection, acting, reconciliation_item.c.provider_id))),
        ("import_register", "rejects", "/office/imports", False,
         lambda: glance.refused_rows(connection, since=acting.now - timedelta(days=REJECT_DAYS))),
    ]  # fmt: skip
    works = []
    for permission, name, path, late, counted in sides:
        if may(acting.actor, permission):
            found = counted()
            if found.count:
                works.append(Work(name, found.count, found.fen or None, path, late))
    if may(acting.actor, "draw_statements") and not _drawn(connection, last):
        works.insert(0, Work("undrawn", 1, None, f"/office/statements?month={last}", True))
    return works


def _drawn(connection: sa.Connection, month: str) -> bool:
    asked = sa.select(statement.c.id).where(statement.c.month == month).limit(1)
    return connection.execute(asked).first() is not None


def _this_month(acting: Acting) -> str:
    return f"{acting.now.astimezone(OFFICE_ZONE):%Y-%m}"
